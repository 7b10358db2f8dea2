#!/usr/bin/env python3
"""A long run does not grow: resident memory of `cumarl run` over time.

usage: soak_test.py CUMARL [SECONDS]

A pricing study that would take hours works for SECONDS (default 300), saving its state twice a second.
Its resident memory is read every half second: the mean of the last quarter may exceed that of the
second quarter by less than 1%. The first quarter is left out: there memory is filled for the first
time. Only the standard library is used. The last line reads "N passed, N failed"; the exit status is 1
if a check failed.
"""
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

CONFIG = """
[experiment]
name = "soak"
runs = 100_000
[env]
name = "bertrand_logit"
[learner]
name = "q_learning"
alpha = 0.15
gamma = 0.95
exploration = { kind = "epsilon_greedy", start = 1.0, decay_rate = 4e-5 }
[stop]
stable_periods = 100_000
max_steps = 3_000_000
"""


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main():
    cumarl = sys.argv[1]
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 300
    with tempfile.TemporaryDirectory() as home:
        config = os.path.join(home, "soak.toml")
        with open(config, "w", encoding="ascii") as file:
            file.write(CONFIG)
        process = subprocess.Popen(
            [cumarl, "run", config, "--device", "cpu", "--batch", "512", "--quiet",
             "--out", os.path.join(home, "out"), "--checkpoint-every", "0.5"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        samples = []
        end = time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.5)
            samples.append(resident(process.pid))
        running = process.poll() is None
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=60)
    quarter = len(samples) // 4
    early = statistics.mean(samples[quarter:2 * quarter])
    late = statistics.mean(samples[3 * quarter:])
    print(f"{len(samples)} samples over {seconds:g} s: {early / 1e6:.2f} MB early, {late / 1e6:.2f} MB late")
    checks = {"still running": running, "leaves cleanly": status == 130,
              "grows by less than 1%": late < 1.01 * early}
    for what, good in checks.items():
        if not good:
            print(f"FAILED: {what}")
    failed = sum(not good for good in checks.values())
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
