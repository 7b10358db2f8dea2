#!/usr/bin/env python3
"""`cumarl bench`: the keys of --json, every headline bench, and `bench compare` on files written here.

usage: bench_test.py CUMARL

Only the standard library is used. The last line reads "N passed, N failed"; the exit status is 1 if a
case failed.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

PROGRAM = sys.argv[1]
HEADLINE = {"pricing", "matrix", "linear", "linear_dense", "lbf", "lbf_observations", "mixing"}
KEYS = {"bench", "device", "threads", "joint_steps_per_second", "agent_steps_per_second", "learning", "runs",
        "repeats", "median", "iqr", "bound", "check", "unit"}
passed = failed = 0


def check(name, ok, seen=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAILED {name}: {seen}")


def run(*arguments):
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)


def bench(name, median, iqr, repeats=7, **more):
    return {"bench": name, "device": "cpu", "threads": 1, "median": median, "iqr": iqr, "repeats": repeats,
            "check": "ok", **more}


def near(seen, wanted):
    return math.isclose(seen, wanted, rel_tol=1e-9)


def rows_of_benches():
    out = run("bench", "--device", "cpu", "--threads", "1", "--repeats", "2", "--json")
    check("all benches end well", out.returncode == 0, out.stderr)
    rows = {row["bench"]: row for row in json.loads(out.stdout)["benches"]}
    check("all headline benches", set(rows) == HEADLINE, sorted(rows))
    for name, row in rows.items():
        keys = set(row) - {"training_iterations_per_second"}
        check(name + ": keys", keys == KEYS, sorted(row))
        check(name + ": check", row["check"] == "ok", row["check"])
        check(name + ": bound", set(row["bound"]) == {"kind", "limit", "reached"}
              and row["bound"]["kind"] in {"memory", "issue", "latency"}, row["bound"])
        check(name + ": rates", row["joint_steps_per_second"] == row["median"] > 0 and row["iqr"] >= 0, row)
        # All of them have two agents.
        check(name + ": agents", near(row["agent_steps_per_second"], 2 * row["median"]), row)
        check(name + ": repeats", row["repeats"] == 2 and row["threads"] == 1, row)
        check(name + ": learning", row["learning"] is (not name.startswith("lbf")), row)
    # 5,000 joint steps are 100 episodes of 50; the first 31 only fill the replay: 69 iterations.
    check("mixing: iterations", near(rows["mixing"]["training_iterations_per_second"],
                                     rows["mixing"]["median"] * 69 / 5000), rows["mixing"])


def comparisons(folder):
    a, b = os.path.join(folder, "a.json"), os.path.join(folder, "b.json")

    def write(path, value):
        with open(path, "w", encoding="utf-8") as file:
            file.write(value if isinstance(value, str) else json.dumps(value))

    # Half widths are 1.57 iqr / sqrt(repeats): with 4 repeats .785 iqr.
    write(a, {"benches": [bench("pricing", 100, 10, 4), bench("matrix", 100, 40, 4), bench("old", 1, 0)]})
    write(b, {"benches": [bench("matrix", 130, 20, 4, threads=2), bench("pricing", 200, 20, 4, check="failed"),
                          bench("new", 1, 0)]})
    out = run("bench", "compare", a, b, "--json")
    check("compare ends well", out.returncode == 0, out.stderr)
    both = json.loads(out.stdout)
    pricing, matrix = both["rows"]
    check("compare: order", (pricing["bench"], matrix["bench"]) == ("pricing", "matrix"), both)
    check("compare: ratios", near(pricing["ratio"], 2) and near(matrix["ratio"], 1.3), both)
    check("compare: interval", near(pricing["low"], (200 - 15.7) / (100 + 7.85))
          and near(pricing["high"], (200 + 15.7) / (100 - 7.85)), pricing)
    # (130 - 15.7) / (100 + 31.4) is below 1.
    check("compare: noise", pricing["differs"] is True and matrix["differs"] is False, both)
    check("compare: alone", both["only_in_a"] == ["old"] and both["only_in_b"] == ["new"], both)
    check("compare: notes", pricing["notes"] == ["check failed in the second"]
          and matrix["notes"] == ["1 and 2 threads"], both)
    text = run("bench", "compare", a, b).stdout
    check("compare: text", "faster" in text and "1 of 2 differ by more than the noise" in text, text)
    text = run("bench", "compare", b, a).stdout
    check("compare: the other way", "slower" in text and "faster" not in text, text)
    write(b, bench("pricing", 100, 10, 4))
    text = run("bench", "compare", a, b).stdout
    check("compare: one object", "0 of 1 differ" in text, text)

    def bad(name, value, *fragments):
        write(b, value)
        result = run("bench", "compare", a, b)
        check(name, result.returncode == 2 and result.stdout == "" and result.stderr.count("\n") == 1
              and all(f in result.stderr for f in (b, *fragments)), result)

    bad("no JSON", "{", "is no JSON")
    bad("no object", "[1]", "must be an object")
    bad("no array", {"benches": 1}, "benches", "must be an array")
    bad("no object in the array", {"benches": [1]}, "benches[0]", "must be an object")
    bad("no median", {"benches": [{k: v for k, v in bench("pricing", 1, 0).items() if k != "median"}]},
        "benches[0].median", "is missing")
    bad("a median of 0", bench("pricing", 0, 0), "median = 0", "above 0")
    bad("a negative iqr", bench("pricing", 1, -1), "iqr = -1", "from 0 on")
    bad("a name that is none", bench(3, 1, 1), "bench = 3", "must be a string")
    bad("twice", {"benches": [bench("pricing", 1, 0)] * 2}, "bench = pricing", "is there twice")
    bad("nothing in common", bench("other", 1, 0), "no bench in common")
    os.remove(b)
    result = run("bench", "compare", a, b)
    check("no file", result.returncode == 2 and "cannot be read" in result.stderr, result)
    result = run("bench", "compare", a)
    check("one file", result.returncode == 2 and "two files" in result.stderr, result)
    result = run("bench", "lbf_observations", "--device", "cuda:0", "--json")
    check("observations on a GPU", result.returncode == 3 and result.stdout == "", result)


with tempfile.TemporaryDirectory() as scratch:
    comparisons(scratch)
rows_of_benches()
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
