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
HEADLINE = {"pricing", "matrix", "linear", "linear_dense", "linear_fourier", "lbf", "mixing", "lbf_observations",
            "matrix_observations", "pricing_observations"}
KEYS = {"bench", "set", "device", "threads", "joint_steps_per_second", "agent_steps_per_second", "learning",
        "runs", "steps", "run_bytes", "repeats", "median", "iqr", "processor_seconds_per_step", "bytes_per_step",
        "operations_per_step", "limits", "bound", "check", "unit"}
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
        check(name + ": the lowest limit binds", row["bound"]["limit"] == min(row["limits"].values())
              == row["limits"][row["bound"]["kind"]], row["limits"])
        check(name + ": nothing set", row["set"] == {} and row["steps"] > 0 and row["run_bytes"] > 0, row)
        check(name + ": rates", row["joint_steps_per_second"] == row["median"] > 0 and row["iqr"] >= 0, row)
        # One thread cannot use more time than there is; the clocks of the two are not read at one moment.
        check(name + ": processor time", 0 < row["processor_seconds_per_step"] * row["median"] < 1.2, row)
        # All of them have two agents.
        check(name + ": agents", near(row["agent_steps_per_second"], 2 * row["median"]), row)
        check(name + ": repeats", row["repeats"] == 2 and row["threads"] == 1, row)
        check(name + ": learning", row["learning"] is (name != "lbf" and "observations" not in name), row)
    # By hand, for two agents: a word of Philox4x32-10 takes 15 operations, epsilon-greedy 6 more, an update 7
    # and a comparison an action, the joint action's number 2. Bytes: a row read, an entry read and written.
    costs = {name: (row["bytes_per_step"], row["operations_per_step"]) for name, row in rows.items()}
    check("pricing: costs", costs["pricing"] == (2 * (15 + 2) * 4, 2 * (15 + 6 + 7 + 15 + 2)), costs)
    check("matrix: costs", costs["matrix"] == (2 * (2 + 2) * 4, 2 * (15 + 6 + 7 + 2 + 2)), costs)
    # One-hot: as many bytes as in a table of 8 actions; 3 for the overlap of two states' features.
    check("linear: costs", costs["linear"] == (2 * (8 + 2) * 4, 2 * (15 + 6 + 7 + 8 + 3 + 2)), costs)
    # 6 rows of 64 weights an agent, one that moves, one product of two states' features; 2 operations each.
    check("linear_dense: costs", costs["linear_dense"]
          == (2 * (6 + 2) * 64 * 4, 2 * ((6 + 2) * 64 * 2 + 15 + 6 + 6)), costs)
    check("linear_fourier: costs", costs["linear_fourier"]
          == (2 * (50 + 2) * 64 * 4, 2 * ((50 + 2) * 64 * 2 + 15 + 6 + 50)), costs)
    # A drawn action takes 17; an agent's rules 3 and 5 a food, 1 a pair of agents, 1 for the step; then each
    # of 2 * 15 features is written. The state has 32 bytes.
    check("lbf: operations", costs["lbf"][1] == 2 * (17 + 3 + 5 * 3) + 1 + 1, costs)
    check("lbf_observations: costs", costs["lbf_observations"]
          == (2 * 32 + 30 * 4, 2 * (17 + 3 + 5 * 3) + 1 + 1 + 30), costs)
    # Two agents see the two last actions.
    check("matrix_observations: operations", costs["matrix_observations"][1] == 2 * (17 + 2) + 4, costs)
    # Two tables of 225 rows of 15 fixed-point words, padded to 16, and the state.
    check("pricing: memory", 0 < rows["pricing"]["run_bytes"] - 2 * 225 * 16 * 4 <= 256, rows["pricing"])
    # Processors do as many multiplications and additions of floats together as of other vector operations,
    # give or take a unit: more would be a loop that the compiler took apart.
    operations, products = (rows[name]["limits"]["issue"] * rows[name]["operations_per_step"]
                            for name in ("matrix", "mixing"))
    check("rates agree", 1 / 3 < operations / products < 3, (operations, products))
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


def axes():
    out = run("bench", "matrix", "--threads", "1", "--repeats", "1", "--set", "learner.alpha=0.2",
              "--axis", "env.memory=0,1", "--axis", "runs=2,400", "--json")
    check("axes end well", out.returncode == 0, out.stderr)
    rows = json.loads(out.stdout)["benches"]
    check("axes: the last one fastest", [row["set"] for row in rows]
          == [{"learner.alpha": 0.2, "env.memory": m, "runs": r} for m in (0, 1) for r in (2, 400)], rows)
    # The bench by itself does 16 runs of 1,000,000 joint steps a thread; a run has no more.
    check("axes: runs and steps", [(row["runs"], row["steps"]) for row in rows]
          == [(2, 1000000), (400, 40000)] * 2, rows)
    check("axes: check", all(row["check"] == "ok" for row in rows), rows)
    # One history or four, two actions, two agents, in whole cache lines each.
    sizes = [row["run_bytes"] for row in rows]
    check("axes: memory", sizes[0] == sizes[1] == sizes[2] == sizes[3], sizes)

    out = run("bench", "lbf_observations", "--threads", "1", "--repeats", "1", "--axis", "env.players=2,4",
              "--axis", "env.size=[8,8],[6,6]", "--runs", "8", "--json")
    check("axes of observations end well", out.returncode == 0, out.stderr)
    rows = json.loads(out.stdout)["benches"]
    check("axes of observations", [(row["set"]["env.players"], row["set"]["env.size"]) for row in rows]
          == [(2, [8, 8]), (2, [6, 6]), (4, [8, 8]), (4, [6, 6])], rows)
    for row in rows:
        check("agents of observations", near(row["agent_steps_per_second"],
                                             row["set"]["env.players"] * row["median"]), row)
        # Of other settings than the bench's own the rules are not counted.
        check("rules of observations", row["operations_per_step"] is None and row["check"] == "ok", row)
    out = run("bench", "linear", "--threads", "1", "--repeats", "1", "--set", "env.prices=4", "--json")
    row = json.loads(out.stdout)
    check("linear: four prices", row["bytes_per_step"] is None and row["limits"]["issue"] is None
          and row["bound"]["kind"] == "latency", row)

    def bad(name, *arguments, says):
        result = run("bench", *arguments, "--json")
        check(name, result.returncode == 2 and result.stdout == "" and result.stderr.count("\n") == 1
              and all(text in result.stderr for text in says), result)

    bad("a key that is none", "matrix", "--set", "env.memry=1", says=("env.memry", 'did you mean "env.memory"'))
    bad("a key of an axis that is none", "matrix", "--axis", "env.memry=1,0", says=('"env.memory"',))
    # The second value is refused before the first is timed.
    bad("a value out of range", "matrix", "pricing", "--axis", "env.memory=1,99", says=("99", "from 0 to 8"))
    bad("no value", "matrix", "--axis", "env.memory=", says=("V1,V2",))
    bad("an empty value", "matrix", "--axis", "env.memory=1,,0", says=("V1,V2",))
    bad("no key", "matrix", "--axis", "=1", says=("KEY=VALUE",))
    bad("no runs", "matrix", "--axis", "runs=1,0", says=("runs = 0", "from 1 to 2147483647"))
    bad("broken runs", "matrix", "--axis", "runs=1.5", says=("runs = 1.5",))
    bad("runs twice", "matrix", "--axis", "runs=1", "--runs", "2", says=("runs is there twice",))
    bad("a key twice", "matrix", "--axis", "env.memory=1", "--axis", "env.memory=0", says=("there twice",))
    bad("runs as a setting", "matrix", "--set", "experiment.runs=3", says=("--runs",))
    bad("observations of another environment", "lbf_observations", "--set", "env.name=lbff", says=("lbf",))
    bad("observations that learn", "lbf_observations", "--set", "learner.alpha=0.1", says=("learner",))
    bad("observations out of range", "lbf_observations", "--axis", "env.players=2,99", says=("99",))

    # Rows of one bench are told apart by what was set.
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"benches": [bench("matrix", 100, 0, set={"runs": n}) for n in (1, 10)]}, file)
        out = run("bench", "compare", path, path, "--json")
        check("compare: axes", out.returncode == 0 and [row["bench"] for row in json.loads(out.stdout)["rows"]]
              == ["matrix runs=1", "matrix runs=10"], out)


with tempfile.TemporaryDirectory() as scratch:
    comparisons(scratch)
axes()
rows_of_benches()
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
