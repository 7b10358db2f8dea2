#!/usr/bin/env python3
"""cuMARL beside other programs on the same device, in one run.

usage: compare.py --cumarl PROGRAM [--mixing PROGRAM] [--plain PROGRAM] [--fused PROGRAM]
                  [--device cpu|cuda] [--repeats N] [--threads N] [--seconds S] [--only TEXT]
                  [--torch PYTHON] [--why DIR] --out DIR

Every program is started and warmed up once; then ours and theirs are measured in turn, N times,
each for about S seconds. Rates are joint steps a second, by the clock and by processor time (user
and system, all threads): on a busy machine the second says more. With --device cuda ours and JAX
run on the GPU, and programs that know CPUs only are not measured. Writes DIR/peers.json and
DIR/peers.md, and prints the table; a peer that cannot be had is listed with the reason, to which
DIR/NAME of --why, what the installation of a package said, is added. Progress goes to standard
error.
"""

import argparse
import datetime
import json
import math
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
Q = (
    'name = "q_learning"\nalpha = {}\ngamma = 0.95\n'
    "exploration = {{ start = 1.0, decay_rate = {} }}\n"
)
RANDOM = '[learner]\nname = "random"\n[evaluation]\nepisodes = 1\n'
CONFIGS = {  # the settings of ours, joint steps a run
    "matrix": (
        '[env]\nname = "matrix_game"\ngame = "prisoners_dilemma"\nmemory = 1\n[learner]\n'
        + Q.format(0.1, 1e-5),
        2_000_000,
    ),
    "matrix_random": (
        '[env]\nname = "matrix_game"\ngame = "prisoners_dilemma"\nmemory = 1\nhorizon = 1000\n'
        + RANDOM,
        500_000,
    ),
    "pricing": (
        '[env]\nname = "bertrand_logit"\n[learner]\n'
        + Q.format(0.15, 4e-6)
        + "[stop]\nstable_periods = 1_000_000_000\n",
        1_000_000,
    ),
    "lbf": ('[env]\nname = "lbf"\nfoods = 3\n' + RANDOM, 500_000),
    "coin_game": ('[env]\nname = "coin_game"\ncoins = "both"\n' + RANDOM, 500_000),
    "in_the_matrix": ('[env]\nname = "in_the_matrix"\n' + RANDOM, 500_000),
    "overcooked": ('[env]\nname = "overcooked"\n' + RANDOM, 500_000),
}
NOTES = {
    "JAX": "XLA's own random numbers; the number of runs is the fastest of three",
    "plain double C++": "one session after the other on each core, best values of rows kept",
    "Jumanji LevelBasedForaging": "foods there keep a distance of 2, here of 3",
    "lbforaging": "Python, on one core",
    "EnvPool LevelBasedForaging-v0": "two foods there that take both agents, in fixed cells",
    "JaxMARL coin_game": "a coin may come up under an agent or on the other coin there",
    "JaxMARL storm_2p": "there agents begin on fixed cells, and beams are drawn into the grid",
    "JaxMARL overcooked": "there agents begin facing any way, and rewards are shaped besides",
    "OpenSpiel, random play": "a game in C++, stepped from Python on one core",
    "OpenSpiel, Q-learning": "Python, on one core; episodes of one stage, one state",
}


class Ours:
    """An experiment of CONFIGS, or the bench lbf_observations."""

    def __init__(self, workload):
        self.runs = 0
        self.command = [
            arguments.cumarl,
            "bench",
            workload,
            "--json",
            "--device",
            arguments.device,
            "--threads",
            str(arguments.threads),
            "--repeats",
            "1",
        ]
        if workload not in CONFIGS:
            self.measure()
            return
        config, steps = CONFIGS[workload]
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "peer.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        self.command = [
            arguments.cumarl,
            "run",
            path,
            "--device",
            arguments.device,
            "--json",
            "--quiet",
            "--threads",
            str(arguments.threads),
            "--set",
            f"stop.max_steps={steps}",
        ]
        self.runs = 32 if arguments.device == "cpu" else 16384
        rate = self.measure()[0]
        self.runs = max(self.runs, math.ceil(rate * arguments.seconds / steps / 32) * 32)

    def measure(self):
        runs = ["--runs", str(self.runs)] if self.runs else []
        before, from_wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        ended = subprocess.run(self.command + runs, capture_output=True, text=True)
        wall, after = time.monotonic() - from_wall, resource.getrusage(resource.RUSAGE_CHILDREN)
        if ended.returncode:
            sys.exit(f"compare.py: {' '.join(ended.args)}: {ended.stderr.strip()}")
        out = json.loads(ended.stdout)
        used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        if not runs:  # a bench does the same all the time: its processor time goes with the clock
            return out["joint_steps_per_second"], out["joint_steps_per_second"] * wall / used
        return out["joint_steps"] / out["seconds"], out["joint_steps"] / used


class Theirs:
    """A program that says who it is, then measures once for every line it reads."""

    def __init__(self, command):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )
        self.ready = self.read()

    def read(self):
        for line in self.process.stdout:  # packages print while they are imported
            if line.startswith("{"):
                return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        words = self.errors.read().strip().split("\n")
        raise RuntimeError(words[-1] or "it ended without a word")

    def measure(self):
        self.process.stdin.write("again\n")
        self.process.stdin.flush()
        out = self.read()
        return out["joint_steps"] / out["seconds"], out["joint_steps"] / out["cpu_seconds"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def spread(values):
    ordered = sorted(values)
    return {"median": statistics.median(ordered), "least": ordered[0], "most": ordered[-1]}


def pip_said(package):
    """Why it was not installed, or nothing."""
    at = os.path.join(arguments.why, package)
    if not arguments.why or not os.path.isfile(at):
        return ""
    with open(at, encoding="utf-8") as file:
        return "pip: " + file.read().strip()


def skip(workload, peer, why):
    missing = re.search(r"No module named '(\w+)", why)
    if missing and pip_said(missing[1]):
        why += f" ({pip_said(missing[1])})"
    entry = {"workload": workload, "peer": peer, "why": why}
    if entry not in skipped:
        skipped.append(entry)
        progress(f"{workload} beside {peer}: not measured: {why}")


def progress(text):
    print(f"[{time.monotonic() - begin:4.0f} s] {text}", file=sys.stderr, flush=True)


def wanted(workload, peer):
    return arguments.only.lower() in f"{workload} beside {peer}".lower()


def add(workload, peer, unit, learning, pairs, **more):
    """One row of ((ours by the clock, by processor time), (theirs ...)) a repeat. Without processor
    times its figures are null."""
    row = {
        "workload": workload,
        "peer": peer,
        "unit": unit,
        "repeats": len(pairs),
        "learning": learning,
        **more,
    }
    for at, kind in ((0, "wall"), (1, "cpu")):
        known = at < len(pairs[0][0])
        row["ours_" + kind] = spread([a[at] for a, _ in pairs]) if known else None
        row["theirs_" + kind] = spread([b[at] for _, b in pairs]) if known else None
        row["ratio_" + kind] = spread([a[at] / b[at] for a, b in pairs]) if known else None
    rows.append(row)
    progress(
        f"{workload} beside {peer}: {ratio(row, 'wall')} by the clock, "
        f"{ratio(row, 'cpu')} by processor time"
    )


def ratio(row, kind):
    r = row["ratio_" + kind]
    return f"{r['median']:.3g} ({r['least']:.3g} to {r['most']:.3g})" if r else "-"


def compare(workload, config, peer, learning, command, where=("cpu",)):
    if not wanted(workload, peer):
        return
    if arguments.device not in where:
        skip(workload, peer, f"it does not run on {arguments.device}")
        return
    progress(f"{workload} beside {peer} ...")
    try:
        theirs = Theirs(command)
        ours = Ours(config)
        pairs = [(ours.measure(), theirs.measure()) for _ in range(arguments.repeats)]
    except (RuntimeError, OSError) as error:
        skip(workload, peer, str(error))
        return
    theirs.end()
    versions.update(theirs.ready["versions"])
    more = {"our_runs": ours.runs, "their_runs": theirs.ready.get("runs"), "note": NOTES.get(peer)}
    add(
        workload,
        theirs.ready["ready"],
        "joint steps/s",
        learning,
        pairs,
        **{key: value for key, value in more.items() if value},
    )


def compare_mixing(peer, interpreter):
    """Training iterations of QMIX, by mixing_peers.py, which measures both programs itself."""
    workload = "mixing"
    if not wanted(workload, peer):
        return
    if arguments.device != "cpu":
        skip(
            workload,
            peer,
            f"the comparison of training iterations does not run on {arguments.device}",
        )
        return
    if not os.access(arguments.mixing, os.X_OK):
        skip(workload, peer, "the program mixing_iteration is not built")
        return
    progress(f"{workload} beside {peer} ...")
    found = {}
    for _ in range(arguments.repeats):
        ended = subprocess.run(
            [
                interpreter,
                os.path.join(HERE, "mixing_peers.py"),
                "--ours",
                arguments.mixing,
                "--programs",
                peer,
                "--threads",
                str(arguments.threads),
                "2",
                "8",
            ],
            capture_output=True,
            text=True,
        )
        if ended.returncode:
            skip(workload, peer, ended.stderr.strip().split("\n")[-1])
            return
        for line in map(json.loads, ended.stdout.splitlines()):
            if "ms" not in line:
                skip(workload, peer, line["left out"])
                return
            rate = (1000 / line["ms"], 1000 / line["cpu_ms"])
            found.setdefault((line["agents"], line["program"]), []).append(rate)
    for (agents, name), theirs in found.items():
        if name != "cumarl":
            versions[name.split()[0]] = name.split()[1]
            add(
                f"mixing, {agents} agents",
                name,
                "training iterations/s",
                True,
                list(zip(found[agents, "cumarl"], theirs)),
            )


def compare_fused():
    """The mixing network alone on a GPU, forward and backward: mixing_gpu beside jitted JAX."""
    workload, samples = "mixing network", 65536
    if arguments.device != "cuda" or not wanted(workload, "jax"):
        return
    if not os.access(arguments.fused, os.X_OK):
        skip(workload, "jax", "the program mixing_gpu is not built")
        return
    theirs = [sys.executable, os.path.join(HERE, "mixing_peers.py"), "--fused", str(samples), "8"]
    pairs, name = [], "jax"
    try:
        for _ in range(arguments.repeats):
            lines = [
                json.loads(line)
                for command in ([arguments.fused, str(samples)], theirs)
                for line in subprocess.run(
                    command, check=True, capture_output=True, text=True
                ).stdout.splitlines()
            ]
            tf32 = next(line for line in lines if line.get("products") == "tf32")
            name = lines[-1]["program"]
            pairs.append(((1000 / tf32["ms"],), (1000 / lines[-1]["ms"],)))
    except subprocess.CalledProcessError as error:
        skip(workload, name, error.stderr.strip().split("\n")[-1])
    else:
        add(f"{workload}, {samples:,} samples, 8 agents", name, "gradients/s", True, pairs)


def figure(value):
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}"


def table(result):
    machine = result["machine"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {result['threads']} threads, device "
        f"{result['device']}, load average {machine['load_before']:.1f} before and "
        f"{machine['load_after']:.1f} after, {arguments.repeats} alternating repeats, "
        f"{result['date'][:10]}. Rates: medians, a second. Ratios, ours over theirs: median "
        "(least to most); below 1 we lose.",
        "",
        "| workload | beside | learning | ours, clock | theirs, clock | ratio, clock "
        "| ratio, processor time |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        lines.append(
            f"| {row['workload']} | {row['peer']} | {'yes' if row['learning'] else 'no'} "
            f"| {figure(row['ours_wall']['median'])} | {figure(row['theirs_wall']['median'])} "
            f"| {ratio(row, 'wall')} | {ratio(row, 'cpu')} |"
        )
    noted = [
        f"- {row['workload']}, {row['peer']}: {row['note']}."
        for row in result["rows"]
        if "note" in row
    ]
    lines += ["", "Where they differ:", "", *noted] if noted else []
    lines += ["", "Not measured:", ""] if result["skipped"] else []
    lines += [f"- {s['workload']}, {s['peer']}: {s['why']}" for s in result["skipped"]]
    return "\n".join(lines) + "\n"


def python(name, *more):
    return [sys.executable, os.path.join(HERE, name), *map(str, more), str(arguments.seconds)]


cores = sorted(os.sched_getaffinity(0))
parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--cumarl", required=True)
parser.add_argument("--mixing", default="", help="the program mixing_iteration")
parser.add_argument("--plain", default="", help="the program plain_pricing")
parser.add_argument("--fused", default="", help="the program mixing_gpu")
parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
parser.add_argument("--repeats", type=int, default=5)
parser.add_argument("--threads", type=int, default=len(cores))
parser.add_argument("--seconds", type=float, default=1.0, help="of a measurement")
parser.add_argument(
    "--only", default="", help="comparisons that contain this text, as in 'lbf beside JAX'"
)
parser.add_argument("--torch", default=sys.executable, help="a Python that may have PyTorch")
parser.add_argument(
    "--why", default="", help="a folder with what the installation of missing packages said"
)
parser.add_argument("--out", required=True)
arguments = parser.parse_args()
for key, value, least, most in (
    ("repeats", arguments.repeats, 1, 1000),
    ("threads", arguments.threads, 1, len(cores)),
    ("seconds", arguments.seconds, 0.01, 100),
):
    if not least <= value <= most:
        parser.error(f"--{key}: {least} to {most}, not {value}")
os.sched_setaffinity(0, cores[: arguments.threads])  # theirs inherit it
os.environ.update(JAX_PLATFORMS=arguments.device, JAX_TRACEBACK_FILTERING="off")
os.makedirs(arguments.out, exist_ok=True)
begin = time.monotonic()
rows, skipped, versions = [], [], {}
with open("/proc/cpuinfo", encoding="utf-8") as file:
    models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
machine = {
    "processor": models[0] if models else "unknown",
    "cores": os.cpu_count(),
    "load_before": os.getloadavg()[0],
}
both = ("cpu", "cuda")


def jax(workload):
    return python("jax_workloads.py", workload, arguments.device)


def package(workload):
    return python("package_workloads.py", workload)


compare("matrix", "matrix", "JAX", True, jax("matrix"), both)
compare("pricing", "pricing", "JAX", True, jax("pricing"), both)
compare(
    "pricing",
    "pricing",
    "plain double C++",
    True,
    [
        arguments.plain,
        str(arguments.threads),
        "1000000",
        str(arguments.threads),
        str(arguments.seconds),
    ],
)
compare("lbf", "lbf", "JAX", False, jax("lbf"), both)
compare("lbf", "lbf", "Jumanji LevelBasedForaging", False, jax("jumanji_lbf"), both)
compare(
    "lbf, observed", "lbf_observations", "EnvPool LevelBasedForaging-v0", False, package("envpool")
)
compare("lbf, observed", "lbf_observations", "lbforaging", False, package("lbforaging"))
compare("coin_game", "coin_game", "JaxMARL coin_game", False, jax("coin_game"), both)
compare("in_the_matrix", "in_the_matrix", "JaxMARL storm_2p", False, jax("in_the_matrix"), both)
compare("overcooked", "overcooked", "JaxMARL overcooked", False, jax("overcooked"), both)
compare("matrix", "matrix_random", "OpenSpiel, random play", False, package("open_spiel"))
compare("matrix", "matrix", "OpenSpiel, Q-learning", True, package("open_spiel_learn"))
compare_mixing("jax", sys.executable)
compare_mixing("torch", arguments.torch)
compare_fused()
if wanted("switch", "JaxMARL"):
    skip(
        "switch",
        "JaxMARL",
        "its switch_riddle is about a light bulb, not about giving way in a corridor",
    )
if wanted("any", "PufferLib"):
    skip(
        "any",
        "PufferLib",
        pip_said("pufferlib") or "there is no adapter for the version that is installed",
    )
machine["load_after"] = os.getloadavg()[0]
commit = subprocess.run(
    ["git", "-C", HERE, "rev-parse", "HEAD"], capture_output=True, text=True
).stdout.strip()
result = {
    "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "commit": commit or "unknown",
    "device": arguments.device,
    "machine": machine,
    "threads": arguments.threads,
    "seconds": round(time.monotonic() - begin),
    "versions": versions,
    "rows": rows,
    "skipped": skipped,
}
with open(os.path.join(arguments.out, "peers.json"), "w", encoding="utf-8") as file:
    json.dump(result, file, indent=1)
    file.write("\n")
with open(os.path.join(arguments.out, "peers.md"), "w", encoding="utf-8") as file:
    file.write(table(result))
print(table(result))
