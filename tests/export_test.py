#!/usr/bin/env python3
"""Stored results through other programs' eyes: `cumarl export`, `cumarl merge` and the tables.

usage: export_test.py CUMARL STORE_PROBE

STORE_PROBE writes stores of rows that are made here; CSV, NPZ and the SQLite file are read with Python's
own csv, zipfile and sqlite3 modules and compared with these rows. Where NumPy is installed, the
arrays are read with it too. The last line reads "N passed, N failed"; the exit status is 1 if a
check failed.
"""
import ast
import csv
import json
import math
import os
import random
import resource
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import zipfile

try:
    import numpy
except ImportError:
    numpy = None

CUMARL, PROBE = (os.path.abspath(path) for path in sys.argv[1:3])
RESULTS = {"passed": 0, "failed": 0}
CONVERGED, OUT_OF_STEPS, DIVERGED = 1, 2, 3


def check(what, got, wanted):
    same = got == wanted or (isinstance(got, float) and isinstance(wanted, float)
                             and math.isnan(got) and math.isnan(wanted))
    RESULTS["passed" if same else "failed"] += 1
    if not same:
        print(f"FAILED: {what}\n    got    {str(got)[:300]!r}\n    wanted {str(wanted)[:300]!r}")


def cumarl(*words, limit=None):
    def restrict():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return subprocess.run([CUMARL, *words], capture_output=True, text=True, timeout=120,
                          preexec_fn=restrict)


def probe(folder, **given):
    given.setdefault("fingerprint", "ab")
    given.setdefault("finish", True)
    def plain(value):
        if isinstance(value, float) and math.isnan(value):
            return None
        if isinstance(value, float) and math.isinf(value):
            return "inf" if value > 0 else "-inf"
        return value
    for cell in given["cells"]:
        cell["rows"] = [[plain(value) for value in row] for row in cell["rows"]]
    subprocess.run([PROBE, folder], input=json.dumps(given), text=True, check=True, timeout=120)


# Two cells: the second lacks the share and has a longer curve. Rows: status, joint steps, last
# change, digest, and the measures. Run 2 has diverged, agent 1's weights.
NAN, INF = math.nan, math.inf
SET = [["learner.alpha", "0.1"], ["learner.name", '"q_learning"'], ["env.quality", "[1.0, 2.0]"],
       ["env.firms", "2"], ["env.noisy", "true"]]
FIRST = dict(
    set=SET, actions=[2, 3],
    columns=[["metric", "gain", "number", 0], ["share", "joint", "joint_action", 0],
             ["metric", "nash", "number", 0], ["share", "nash", "yes_no", 0],
             ["curve", "price", "number", 0], ["curve", "price", "number", 1]],
    runs=[2, 0, 1],
    rows=[[DIVERGED, 7, 1, 0, 0, 0, 0, 0, 0, 0, 0],
          [CONVERGED, 1000000, 5, 9, 8, 0.1, 5, 1, 1, 1e-300, 2],
          [OUT_OF_STEPS, 12, 5, 9, 8, NAN, 0, 0, 0, INF, -1 / 3]])
SECOND = dict(
    set=[["learner.alpha", "0.25"], ["learner.name", '"a, \\"b\\""'], ["env.quality", "[1.5]"],
         ["env.firms", "3"], ["env.noisy", "false"]], actions=[2, 3],
    columns=[["curve", "gain", "number", 0], ["metric", "gain", "number", 0],
             ["curve", "price", "number", 0], ["curve", "price", "number", 1],
             ["curve", "price", "number", 2]],
    runs=[3, 4],
    rows=[[CONVERGED, 4, 0, 0, 0, 0.5, -2.5, 1, 2, 3], [CONVERGED, 5, 0, 0, 0, 0.75, 1e22, 4, 5, 6]])


def parse_npy(data):
    """Rows of a .npy file of format 1.0 as Python values, and its type."""
    assert data[:8] == b"\x93NUMPY\x01\x00"
    (length,) = struct.unpack("<H", data[8:10])
    assert (10 + length) % 64 == 0 and data[10 + length - 1:10 + length] == b"\n"
    head = ast.literal_eval(data[10:10 + length].decode("ascii"))
    assert head["fortran_order"] is False
    body, shape, kind = data[10 + length:], head["shape"], head["descr"]
    count = math.prod(shape)
    if kind.startswith("<U"):
        size = 4 * int(kind[2:])
        flat = [body[i:i + size].decode("utf-32-le").rstrip("\0") for i in range(0, len(body), size)]
    else:
        flat = list(struct.unpack("<" + {"<i8": "q", "<f8": "d", "|b1": "?"}[kind] * count, body))
    assert len(flat) == count
    if len(shape) == 2:
        flat = [flat[i:i + shape[1]] for i in range(0, count, shape[1])]
    return kind, flat


def texts(values):
    """Comparable: NaN is no equal of itself."""
    return [texts(v) if isinstance(v, (list, tuple)) else repr(v) for v in values]


ARRAYS = {
    "run": ("<i8", [0, 1, 2, 3, 4]), "cell": ("<i8", [0, 0, 0, 1, 1]),
    "learner.alpha": ("<f8", [0.1, 0.1, 0.1, 0.25, 0.25]),
    "learner.name": ("<U10", ["q_learning"] * 3 + ['a, "b"'] * 2),
    "env.quality": ("<U10", ["[1.0, 2.0]"] * 3 + ["[1.5]"] * 2),
    "env.firms": ("<i8", [2, 2, 2, 3, 3]), "env.noisy": ("|b1", [True] * 3 + [False] * 2),
    "converged": ("|b1", [True, False, False, True, True]),
    "diverged": ("|b1", [False, False, True, False, False]),
    "joint_steps": ("<i8", [1000000, 12, 7, 4, 5]),
    "gain": ("<f8", [0.1, NAN, NAN, -2.5, 1e22]), "joint": ("<i8", [5, 0, -1, -1, -1]),
    "nash": ("<f8", [1.0, 0.0, NAN, NAN, NAN]),
    "price": ("<f8", [[1e-300, 2.0, NAN], [INF, -1 / 3, NAN], [NAN] * 3, [1.0, 2.0, 3.0],
                      [4.0, 5.0, 6.0]]),
    "gain_curve": ("<f8", [[NAN]] * 3 + [[0.5], [0.75]]),
}
CSV = '''\
run,learner.alpha,learner.name,env.quality,env.firms,env.noisy,converged,joint_steps,gain,joint,nash,\
price_0,price_1,gain_0,price_2
0,0.1,q_learning,"[1.0, 2.0]",2,true,1,1000000,0.1,5,1,1e-300,2,,
1,0.1,q_learning,"[1.0, 2.0]",2,true,0,12,NaN,0,0,inf,-0.3333333333333333,,
2,0.1,q_learning,"[1.0, 2.0]",2,true,0,7,,,,,,,
3,0.25,"a, ""b""",[1.5],3,false,1,4,-2.5,,,1,2,0.5,3
4,0.25,"a, ""b""",[1.5],3,false,1,5,1e+22,,,4,5,0.75,6
'''


def check_exports(work):
    folder = os.path.join(work, "s")
    probe(folder, runs_per_cell=3, cells=[FIRST, SECOND])
    before = sorted(os.listdir(folder))
    check("a finished store is one file", before, ["results.sqlite"])

    answer = cumarl("export", folder, "--format", "csv")
    check("csv: status", (answer.returncode, answer.stdout),
          (0, f"{folder}/runs.csv: 5 runs\n"))
    check("csv: runs that are missing", answer.stderr, "5 of the experiment's 6 runs are there\n")
    with open(os.path.join(folder, "runs.csv"), newline="") as file:
        check("csv: text", file.read(), CSV)

    out = os.path.join(work, "arrays.npz")
    answer = cumarl("export", folder, "--format", "npz", "--out", out)
    check("npz: status", (answer.returncode, answer.stdout), (0, f"{out}: 5 runs\n"))
    with zipfile.ZipFile(out) as archive:
        check("npz: checksums", archive.testzip(), None)
        names = [name[:-len(".npy")] for name in archive.namelist()]
        check("npz: names", sorted(names), sorted(ARRAYS))
        for name in names:
            kind, values = parse_npy(archive.read(name + ".npy"))
            check(f"npz: type of {name}", kind, ARRAYS[name][0])
            check(f"npz: {name}", texts(values), texts(ARRAYS[name][1]))
    if numpy is not None:
        with numpy.load(out) as arrays:
            for name, (kind, values) in ARRAYS.items():
                check(f"numpy: type of {name}", arrays[name].dtype.str, kind)
                check(f"numpy: {name}", texts(arrays[name].tolist()), texts(values))
    with open(out, "rb") as file:
        first = file.read()
    cumarl("export", folder, "--format", "npz", "--out", out)
    with open(out, "rb") as file:
        check("npz: again the same bytes", file.read() == first, True)

    # errors: one line, and no file
    for words, status, fragment in [
            (["export", folder, "--format", "cvs"], 2, "--format = cvs: must be csv or npz"),
            (["export", folder], 2, "--format"),
            (["export", work, "--format", "csv"], 1, "results.sqlite: there are no results"),
            (["export", folder, "--format", "csv", "--out", f"{work}/none/x.csv"], 1,
             "none/x.csv: No such file"),
            (["merge", folder], 2, "--out"),
            (["merge", work, "--out", f"{work}/m"], 1, "results.sqlite: there are no results")]:
        answer = cumarl(*words)
        check(f"{' '.join(words[2:])}: status", answer.returncode, status)
        check(f"{' '.join(words[2:])}: {fragment}", fragment in answer.stderr, True)
    for form in ["csv", "npz"]:
        out = os.path.join(work, "limited")
        answer = cumarl("export", folder, "--format", form, "--out", out, limit=100)
        check(f"{form}: a limit on file sizes", (answer.returncode, "File too large" in answer.stderr),
              (1, True))
        check(f"{form}: nothing is left", [n for n in os.listdir(work) if "limited" in n], [])


def check_random_numbers(work):
    """Doubles of all magnitudes come back to the bit, by CSV and by NPZ."""
    random.seed(4)
    values = []
    while len(values) < 2000:
        (value,) = struct.unpack("<d", struct.pack("<Q", random.getrandbits(64)))
        if math.isfinite(value):
            values.append(value)
    values += [0.1, 123456789.0, 2.0**53, 2.0**63, 1e15, 1e16, 5e-324]
    folder = os.path.join(work, "r")
    probe(folder, runs_per_cell=len(values), finish=False, cells=[dict(
        set=[], actions=[], columns=[["metric", "x", "number", 0]], runs=list(range(len(values))),
        rows=[[CONVERGED, 1, 0, 0, 0, value] for value in values])])
    cumarl("export", folder, "--format", "csv")
    with open(os.path.join(folder, "runs.csv"), newline="") as file:
        check("csv: every double", [float(row["x"]) for row in csv.DictReader(file)], values)
    cumarl("export", folder, "--format", "npz")
    with zipfile.ZipFile(os.path.join(folder, "runs.npz")) as archive:
        check("npz: every double", parse_npy(archive.read("x.npy"))[1], values)
    with sqlite3.connect(os.path.join(folder, "results.sqlite")) as db:
        check("sqlite: every double", [x for (x,) in db.execute("SELECT x FROM runs ORDER BY run")],
              values)


def check_tables(work):
    """The file as other programs read it."""
    db = sqlite3.connect(os.path.join(work, "s", "results.sqlite"))
    check("sqlite: integrity", db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
    check("sqlite: results", db.execute(
        'SELECT run, "learner.alpha", status, gain, joint, nash, joint_steps FROM results '
        "ORDER BY run").fetchall(),
        [(0, 0.1, "converged", 0.1, "1,2", 1, 1000000), (1, 0.1, "out_of_steps", None, "0,0", 0, 12),
         (2, 0.1, "diverged", None, None, None, 7), (3, 0.25, "converged", -2.5, None, None, 4),
         (4, 0.25, "converged", 1e22, None, None, 5)])
    (points,) = db.execute("SELECT points FROM curves WHERE run = 4 AND name = 'price'").fetchone()
    check("sqlite: a curve", struct.unpack("<3d", points), (4, 5, 6))
    check("sqlite: shares", db.execute("SELECT label, share FROM shares WHERE cell = 0 AND "
                                       "name = 'joint' ORDER BY label").fetchall(),
          [("0,0", 0.5), ("1,2", 0.5)])
    check("sqlite: means", db.execute("SELECT n, mean FROM curve_points WHERE cell = 1 AND "
                                      "name = 'price' ORDER BY point").fetchall(),
          [(2, 2.5), (2, 3.5), (2, 4.5)])
    db.close()


def check_merge(work):
    def part(name, runs, fingerprint="ab", change=0.0):
        folder = os.path.join(work, name)
        probe(folder, runs_per_cell=6, fingerprint=fingerprint, cells=[dict(
            set=[], actions=[], columns=[["metric", "x", "number", 0]], runs=runs,
            rows=[[CONVERGED, 1, 0, 0, 0, run + change] for run in runs])])
        return folder
    whole, a, b = part("whole", [0, 1, 2, 3, 4, 5]), part("a", [0, 1, 2]), part("b", [3, 4, 5])
    out = os.path.join(work, "merged")
    answer = cumarl("merge", b, a, "--out", out, "--json")
    check("merge: status", (answer.returncode, answer.stderr), (0, ""))
    merged = json.loads(answer.stdout)
    check("merge: runs", merged["runs"], 6)
    check("merge: mean", merged["metrics"]["x"]["mean"], 2.5)
    with sqlite3.connect(os.path.join(whole, "results.sqlite")) as db:
        check("merge: hash", merged["result_hash"], db.execute(
            "SELECT value FROM experiment WHERE key = 'result_hash'").fetchone()[0])
    check("merge: files", sorted(os.listdir(out)), ["config.toml", "result.json", "results.sqlite"])
    other, liar = part("other", [3], "cd"), part("liar", [2], "ab", 0.5)
    for name, folder, fragment in [("experiments", other, f"{other}: is of another experiment than {a}"),
                                   ("values", liar, f"{liar}: run 2 has other values than in {a}")]:
        answer = cumarl("merge", a, folder, "--out", os.path.join(work, "bad"))
        check(f"merge: other {name}", (answer.returncode, fragment in answer.stderr), (1, True))
        check(f"merge: other {name}: nothing is left", os.path.exists(os.path.join(work, "bad")), False)
    answer = cumarl("merge", a, b, "--out", os.path.join(work, "bad"), limit=20000)
    check("merge: a limit on file sizes", (answer.returncode, "cannot be written" in answer.stderr),
          (1, True))
    check("merge: nothing is left", os.path.exists(os.path.join(work, "bad")), False)


def main():
    with tempfile.TemporaryDirectory() as work:
        check_exports(work)
        check_random_numbers(work)
        check_tables(work)
        check_merge(work)
    if numpy is None:
        print("NumPy is not installed: its reading was left out")
    print(f"{RESULTS['passed']} passed, {RESULTS['failed']} failed")
    sys.exit(1 if RESULTS["failed"] else 0)


if __name__ == "__main__":
    main()
