#!/usr/bin/env python3
"""Experiments that are killed, and go on: `cumarl run --out`, `resume`, shards and ranks.

usage: resume_test.py CUMARL [KILLS]

Runs and a sweep are killed with SIGKILL at random moments (KILLS times a run, default 200, and a
quarter as often a sweep) and begun again until they are complete: the result hash has to be that of an
uninterrupted run, every run has to be there once, and every file has to be readable at every
moment. Then SIGTERM, --max-time, damaged checkpoints, full disks, shards, and ranks of Open MPI where
mpirun is there. Only the standard library is used. The last line reads "N passed, N failed, N skipped";
the exit status is 1 if a check failed.
"""
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

PRICING = """
[experiment]
name = "kill-pricing"
runs = 24
[env]
name = "bertrand_logit"
[learner]
name = "q_learning"
alpha = 0.15
gamma = 0.95
exploration = { kind = "epsilon_greedy", start = 1.0, decay_rate = 4e-6 }
[stop]
stable_periods = 100_000
max_steps = 10_000_000
"""
SWEEP = """
[experiment]
name = "kill-sweep"
runs = 40
[env]
name = "matrix_game"
game = "prisoners_dilemma"
memory = 1
[learner]
name = "q_learning"
[stop]
max_steps = 100_000
[sweep]
"learner.alpha" = [0.05, 0.1, 0.2]
"learner.gamma" = [0.9, 0.95]
"""

passed, failed, skipped = 0, 0, 0


def check(what, condition, detail=""):
    global passed, failed
    if condition:
        passed += 1
    else:
        failed += 1
        print(f"FAILED: {what} {detail}", flush=True)


def skip(what):
    global skipped
    skipped += 1
    print(f"skipped: {what}", flush=True)


class Study:
    """One configuration and the folder it works in."""

    def __init__(self, cumarl, home, name, text):
        self.cumarl, self.home = cumarl, home
        self.config = os.path.join(home, name + ".toml")
        self.out = os.path.join(home, name)
        with open(self.config, "w", encoding="ascii") as file:
            file.write(text)

    def command(self, *more, out=None):
        return [self.cumarl, "run", self.config, "--device", "cpu", "--json", "--quiet",
                "--out", out or self.out, *more]

    def run(self, *more, out=None, **options):
        return subprocess.run(self.command(*more, out=out), capture_output=True, text=True,
                              check=False, timeout=300, **options)

    def expected(self):
        """The hash of a run that nobody stops."""
        done = subprocess.run([self.cumarl, "run", self.config, "--device", "cpu", "--json", "--quiet"],
                              capture_output=True, text=True, check=True, timeout=300)
        return json.loads(done.stdout)["result_hash"]

    def clear(self):
        shutil.rmtree(self.out, ignore_errors=True)

    def rows(self, out=None):
        """The run ids in the store; reading them fails where the file is damaged."""
        path = os.path.join(out or self.out, "results.sqlite")
        if not os.path.exists(path):
            return []
        store = sqlite3.connect(path)
        assert store.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        rows = [row[0] for row in store.execute("SELECT run FROM runs ORDER BY run")]
        store.close()
        return rows


def kills(study, count, runs, chance):
    """Kills a study `count` times, over as many experiments as that takes."""
    expected = study.expected()
    killed, unreadable, complete = 0, 0, 0
    begun = time.monotonic()
    study.run()
    whole = time.monotonic() - begun
    study.clear()
    while killed < count:
        process = subprocess.Popen(study.command("--checkpoint-every", "0.02"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            output, _ = process.communicate(timeout=chance.uniform(0.01, whole))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            killed += 1
            try:
                study.rows()
            except (sqlite3.Error, AssertionError) as error:
                unreadable += 1
                print("unreadable:", error)
            continue
        complete += 1
        check("exit status", process.returncode == 0, str(process.returncode))
        if process.returncode == 0:
            check("hash after kills", json.loads(output)["result_hash"] == expected)
            check("every run once", study.rows() == list(range(runs)))
        study.clear()
    done = study.run()
    check("hash after the last kill", done.returncode == 0 and
          json.loads(done.stdout)["result_hash"] == expected, done.stderr)
    check("every run once after the last kill", study.rows() == list(range(runs)))
    check("unreadable files", unreadable == 0, str(unreadable))
    print(f"{killed} kills, {complete + 1} experiments completed, {whole:.2f} s each", flush=True)
    study.clear()


def leaving(study):
    """SIGTERM, Ctrl-C and --max-time save the state; `resume` and `run` go on."""
    expected = study.expected()
    for number in (signal.SIGTERM, signal.SIGINT):
        study.clear()
        process = subprocess.Popen(study.command("--checkpoint-every", "0.02"),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not os.path.exists(os.path.join(study.out, "checkpoint")):
            time.sleep(0.001)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
        check(f"signal {number}", process.returncode == 130, errors)
        check("says how to go on", "the same command goes on" in errors, errors)
    done = subprocess.run([study.cumarl, "resume", study.out, "--json", "--quiet"],
                          capture_output=True, text=True, check=False, timeout=300)
    check("resume", done.returncode == 0, done.stderr)
    check("hash after resume", json.loads(done.stdout)["result_hash"] == expected)
    again = study.run()
    check("complete folder", json.loads(again.stdout)["result_hash"] == expected)
    other = study.run("--set", "learner.alpha=0.07")
    check("other settings are refused", other.returncode == 2 and
          "another experiment" in other.stderr, other.stderr)
    study.clear()
    calls = 0
    while True:
        done = study.run("--max-time", "0.1s")
        calls += 1
        if done.returncode != 130 or calls > 500:
            break
    check("--max-time", done.returncode == 0 and calls > 1, f"{calls} calls, {done.stderr}")
    check("hash after --max-time", json.loads(done.stdout)["result_hash"] == expected)
    study.clear()
    for text in ("0", "-1s", "10x", "s"):
        done = study.run("--max-time", text)
        check(f"--max-time {text}", done.returncode == 2 and not os.path.exists(study.out), done.stderr)
    done = subprocess.run([study.cumarl, "resume", study.out], capture_output=True, text=True,
                          check=False)
    check("resume of nothing", done.returncode in (1, 2) and study.out in done.stderr, done.stderr)


def damage(study):
    """A damaged checkpoint is refused, and said to be; the one before it is taken."""
    expected = study.expected()
    chance = random.Random(7)
    for kind in ("cut", "flip"):
        study.run("--max-time", "0.15s", "--checkpoint-every", "0.03")
        path = os.path.join(study.out, "checkpoint")
        with open(path, "r+b") as file:
            size = os.path.getsize(path)
            if kind == "cut":
                file.truncate(size // 2)
            else:
                at = chance.randrange(size)
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 1 << chance.randrange(8)]))
        done = study.run()
        check(f"{kind}: refused", "note: " in done.stderr, done.stderr)
        check(f"{kind}: hash", done.returncode == 0 and
              json.loads(done.stdout)["result_hash"] == expected, done.stderr)
        study.clear()


def no_room(study):
    """Where nothing can be written the exit is clean, and what was saved stays."""
    expected = study.expected()
    study.run("--max-time", "0.15s", "--checkpoint-every", "0.03")
    rows = study.rows()
    size = os.path.getsize(os.path.join(study.out, "checkpoint"))

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    done = study.run("--checkpoint-every", "0.02", preexec_fn=limit)
    check("file-size limit: status", done.returncode == 1, f"{done.returncode} {done.stderr}")
    check("file-size limit: reason", "limit on file sizes" in done.stderr or
          "too large" in done.stderr, done.stderr)
    check("file-size limit: rows stay", set(rows) <= set(study.rows()))
    done = study.run()
    check("file-size limit: goes on", json.loads(done.stdout)["result_hash"] == expected)
    study.clear()
    if os.path.exists("/dev/full"):
        os.makedirs(study.out)
        os.symlink("/dev/full", os.path.join(study.out, "checkpoint.partial"))
        done = study.run("--checkpoint-every", "0.02")
        check("full disk", done.returncode == 1 and "space" in done.stderr, done.stderr)
        study.clear()
    if os.geteuid() != 0:
        os.makedirs(study.out)
        os.chmod(study.out, 0o500)
        done = study.run()
        check("read-only folder", done.returncode in (1, 2) and study.out in done.stderr, done.stderr)
        os.chmod(study.out, 0o700)
        study.clear()
    else:
        skip("read-only folder: root may write anywhere")


def parts(study):
    """Shards and ranks give the hash of the whole."""
    expected = study.expected()
    for count in (1, 2, 4):
        folders = [f"{study.out}-{i}-of-{count}" for i in range(count)]
        for i, folder in enumerate(folders):
            done = study.run("--shard", f"{i}/{count}", out=folder)
            check("shard", done.returncode == 0, done.stderr)
        done = subprocess.run([study.cumarl, "merge", *folders, "--out", study.out, "--json"],
                              capture_output=True, text=True, check=False, timeout=300)
        check(f"hash of {count} shards", done.returncode == 0 and
              json.loads(done.stdout)["result_hash"] == expected, done.stderr)
        for folder in [*folders, study.out]:
            shutil.rmtree(folder)
    if shutil.which("mpirun") is None:
        skip("ranks: no mpirun")
        return
    mpirun = ["mpirun", "--oversubscribe"]
    if os.geteuid() == 0:
        mpirun.append("--allow-run-as-root")
    for count in (1, 2, 4):
        for out in (True, False):
            command = study.command()
            if not out:
                command = command[:command.index("--out")]
            done = subprocess.run([*mpirun, "-n", str(count), *command], capture_output=True,
                                  text=True, check=False, timeout=300)
            check(f"hash of {count} ranks", done.returncode == 0 and
                  json.loads(done.stdout)["result_hash"] == expected, done.stderr)
            study.clear()


def process_of_rank(rank, config):
    """The process id of a rank that works on `config`; None where there is none."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                command = file.read().split(b"\0")
            with open(f"/proc/{entry}/environ", "rb") as file:
                environment = file.read().split(b"\0")
        except OSError:
            continue
        if config.encode() in command and f"OMPI_COMM_WORLD_RANK={rank}".encode() in environment:
            return int(entry)
    return None


def dead_rank(study):
    """A rank that is killed ends the others soon, and the same command goes on."""
    if shutil.which("mpirun") is None:
        skip("dead ranks: no mpirun")
        return
    expected = study.expected()
    mpirun = ["mpirun", "--oversubscribe"]
    if os.geteuid() == 0:
        mpirun.append("--allow-run-as-root")
    process = subprocess.Popen([*mpirun, "-n", "3", *study.command("--checkpoint-every", "0.02")],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    victim = None
    while victim is None and process.poll() is None:
        # early: rows come when all runs of a rank are nearly done
        if os.path.exists(os.path.join(study.out, "rank-1-of-3", "checkpoint")):
            victim = process_of_rank(1, study.config)
        time.sleep(0.005)
    check("a rank is found while it works", victim is not None)
    if victim is not None:
        os.kill(victim, signal.SIGKILL)
        begun = time.monotonic()
        process.communicate(timeout=60)
        check("a dead rank ends the others", process.returncode != 0 and time.monotonic() - begun < 30)
    done = subprocess.run([*mpirun, "-n", "3", *study.command()], capture_output=True, text=True,
                          check=False, timeout=300)
    check("ranks go on", done.returncode == 0 and
          json.loads(done.stdout)["result_hash"] == expected, done.stderr)
    done = subprocess.run([*mpirun, "-n", "2", *study.command()], capture_output=True, text=True,
                          check=False, timeout=300)
    check("another number of ranks is refused", done.returncode == 2 and "3 ranks" in done.stderr,
          done.stderr)
    study.clear()


def main():
    cumarl = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as home:
        pricing = Study(cumarl, home, "pricing", PRICING)
        sweep = Study(cumarl, home, "sweep", SWEEP)
        leaving(pricing)
        damage(pricing)
        no_room(pricing)
        parts(sweep)
        dead_rank(pricing)
        kills(pricing, count, 24, chance)
        kills(sweep, count // 4, 240, chance)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
