#!/usr/bin/env python3
"""cuMARL beside other programs, CPU against CPU on the same cores, in one run.

usage: compare.py --cumarl PROGRAM [--mixing PROGRAM] [--plain PROGRAM] [--repeats N] [--threads N]
                  [--scale X] --out DIR

Every program is started and warmed up once; then ours and theirs are measured in turn, N times. Rates
are joint steps a second, by the clock and by processor time (user and system, all threads): on a busy
machine the second says more. Writes DIR/peers.json and DIR/peers.md, and prints the table. A peer that
cannot be had is listed with the reason.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
Q = 'name = "q_learning"\nalpha = {}\ngamma = 0.95\nexploration = {{ start = 1.0, decay_rate = {} }}\n'
CONFIGS = {
    "matrix": ('[env]\nname = "matrix_game"\ngame = "prisoners_dilemma"\nmemory = 1\n[learner]\n'
               + Q.format(0.1, 1e-5), 2_000_000),
    "pricing": ('[env]\nname = "bertrand_logit"\n[learner]\n' + Q.format(0.15, 4e-6)
                + "[stop]\nstable_periods = 1_000_000_000\n", 1_000_000),
    "lbf": ('[env]\nname = "lbf"\nfoods = 3\n[learner]\nname = "random"\n[evaluation]\nepisodes = 1\n', 500_000),
}
RUNS = 32  # of ours, in all


class Ours:
    def __init__(self, workload):
        config, steps = CONFIGS[workload]
        self.folder = tempfile.TemporaryDirectory()
        path = os.path.join(self.folder.name, "peer.toml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(config)
        self.command = [arguments.cumarl, "run", path, "--device", "cpu", "--json", "--quiet", "--runs", str(RUNS),
                        "--threads", str(arguments.threads), "--set", f"stop.max_steps={int(steps * arguments.scale)}"]
        self.measure()

    def measure(self):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        out = json.loads(subprocess.run(self.command, check=True, capture_output=True, text=True).stdout)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return out["joint_steps"] / out["seconds"], out["joint_steps"] / used


class Theirs:
    """A program that measures once for every line it reads."""

    def __init__(self, command, ready):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.name = None
        if ready:
            line = self.process.stdout.readline()
            if not line:
                words = self.process.stderr.read().strip().split("\n")
                raise RuntimeError(words[-1] or "it ended without a word")
            self.name = json.loads(line)["ready"]
        else:
            self.measure()

    def measure(self):
        self.process.stdin.write("again\n")
        self.process.stdin.flush()
        out = json.loads(self.process.stdout.readline())
        return out["joint_steps"] / out["seconds"], out["joint_steps"] / out["cpu_seconds"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def spread(values):
    ordered = sorted(values)
    return {"median": statistics.median(ordered), "least": ordered[0], "most": ordered[-1]}


def compare(workload, peer, command, ready=True):
    try:
        theirs = Theirs(command, ready)
    except (RuntimeError, OSError) as error:
        skipped.append({"workload": workload, "peer": peer, "why": str(error)})
        return
    ours = Ours(workload)
    pairs = [(ours.measure(), theirs.measure()) for _ in range(arguments.repeats)]
    theirs.end()
    row = {"workload": workload, "peer": theirs.name or peer, "unit": "joint steps/s", "repeats": len(pairs)}
    for at, kind in ((0, "wall"), (1, "cpu")):
        row["ours_" + kind] = spread([a[at] for a, _ in pairs])
        row["theirs_" + kind] = spread([b[at] for _, b in pairs])
        row["ratio_" + kind] = spread([a[at] / b[at] for a, b in pairs])
    rows.append(row)
    print(json.dumps(row), file=sys.stderr, flush=True)


def compare_mixing():
    """Training iterations of QMIX, by mixing_peers.py, which measures both programs itself."""
    if not arguments.mixing or not os.access(arguments.mixing, os.X_OK):
        skipped.append({"workload": "mixing", "peer": "JAX", "why": "the program mixing_iteration is not built"})
        return
    found = {}
    for _ in range(arguments.repeats):
        out = subprocess.run([sys.executable, os.path.join(HERE, "mixing_peers.py"), "--ours", arguments.mixing,
                              "--threads", str(arguments.threads), "2"], check=True, capture_output=True, text=True)
        for line in map(json.loads, out.stdout.splitlines()):
            if "ms" in line:
                found.setdefault(line["program"], []).append((1000 / line["ms"], 1000 / line["cpu_ms"]))
            else:
                why = {"workload": "mixing", "peer": line["program"], "why": line["left out"]}
                if why not in skipped:
                    skipped.append(why)
    ours = found.pop("cumarl")
    for name, theirs in found.items():
        row = {"workload": "mixing, 2 agents", "peer": name, "unit": "training iterations/s", "repeats": len(theirs)}
        for at, kind in ((0, "wall"), (1, "cpu")):
            row["ours_" + kind] = spread([a[at] for a in ours])
            row["theirs_" + kind] = spread([b[at] for b in theirs])
            row["ratio_" + kind] = spread([a[at] / b[at] for a, b in zip(ours, theirs)])
        rows.append(row)


def figure(value):
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}"


def table(state):
    lines = [f"{state['processor']}, {state['cores']} cores, {arguments.threads} threads, load average "
             f"{state['load_before']:.1f} before and {state['load_after']:.1f} after, {arguments.repeats} alternating "
             "repeats. Rates: medians, a second. Ratios, ours over theirs: median (least to most); below 1 we lose.",
             "", "| workload | beside | ours, clock | theirs, clock | ratio, clock | ratio, processor time |",
             "|---|---|---|---|---|---|"]
    for row in rows:
        def ratio(kind, row=row):
            r = row["ratio_" + kind]
            return f"{r['median']:.3g} ({r['least']:.3g} to {r['most']:.3g})"
        lines.append(f"| {row['workload']} | {row['peer']} | {figure(row['ours_wall']['median'])} "
                     f"| {figure(row['theirs_wall']['median'])} | {ratio('wall')} | {ratio('cpu')} |")
    lines += ["", "Not measured:", ""] if skipped else []
    lines += [f"- {s['workload']}, {s['peer']}: {s['why']}" for s in skipped]
    return "\n".join(lines) + "\n"


parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--cumarl", required=True)
parser.add_argument("--mixing", default="")
parser.add_argument("--plain", default="")
parser.add_argument("--repeats", type=int, default=5)
parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
parser.add_argument("--scale", type=float, default=1.0, help="of the lengths of all runs")
parser.add_argument("--out", required=True)
arguments = parser.parse_args()
os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:arguments.threads]))  # theirs inherit it
rows, skipped = [], []
with open("/proc/cpuinfo", encoding="utf-8") as file:
    models = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
machine = {"processor": models[0] if models else "unknown", "cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
chunks = max(1, int(16 * arguments.scale)) * 64


def python(name, *more):
    return [sys.executable, os.path.join(HERE, name), *map(str, more)]


compare("matrix", "JAX", python("jax_workloads.py", "matrix", 2048, chunks))
compare("pricing", "JAX", python("jax_workloads.py", "pricing", 256, chunks))
if arguments.plain:
    compare("pricing", "plain double C++", [arguments.plain, "4", str(int(1e6 * arguments.scale)),
                                            str(arguments.threads)], ready=False)
else:
    skipped.append({"workload": "pricing", "peer": "plain double C++", "why": "it is not compiled"})
compare("lbf", "JAX", python("jax_workloads.py", "lbf", 1024, chunks))
compare("lbf", "lbforaging", python("package_workloads.py", "lbforaging", int(5000 * arguments.scale)))
compare("matrix", "OpenSpiel", python("package_workloads.py", "open_spiel", int(5000 * arguments.scale)))
compare_mixing()
skipped.append({"workload": "all", "peer": "JaxMARL", "why": "none of the workloads is among its environments"})
machine["load_after"] = os.getloadavg()[0]
os.makedirs(arguments.out, exist_ok=True)
with open(os.path.join(arguments.out, "peers.json"), "w", encoding="utf-8") as file:
    json.dump({"machine": machine, "threads": arguments.threads, "rows": rows, "skipped": skipped}, file, indent=1)
with open(os.path.join(arguments.out, "peers.md"), "w", encoding="utf-8") as file:
    file.write(table(machine))
print(table(machine))
