#!/usr/bin/env python3
"""scripts/bench_tables.py: tables of figures from files of results, in a temporary folder, and that
the tables of this repository are those of its files.

usage: bench_tables_test.py

Expected tables are written here by hand from the figures in RESULTS.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def bench(name, threads, median, **more):
    return {"bench": name, "device": "cpu", "threads": threads, "joint_steps_per_second": median,
            "agent_steps_per_second": 2 * median, "learning": True, "runs": 16, "repeats": 7, "median": median,
            "iqr": median / 50, "bound": {"kind": "memory", "limit": 4 * median, "reached": 0.25},
            "check": "ok", **more}


CPU = {"date": "2026-11-21T12:00:00Z", "commit": "0123456789abcdef", "threads": 2, "busy": False,
       "load_before": 0.1, "load_after": 1.9,
       "doctor": {"cpu": "Processor", "threads": 2, "cpu_kernels": "x86_64_v4", "compiler": "12.2.0"},
       "rows": [bench("pricing", 1, 158_400_000), bench("pricing", 2, 312e6), bench("matrix", 2, 999.7e6),
                bench("lbf", 1, 5e6, check="failed"),
                bench("mixing", 1, 19100, training_iterations_per_second=264.2)],
       "scaling": [{"bench": "pricing", "threads": 2, "ratio": 1.9697}]}
HEAD = ("Processor, 2 threads, x86_64_v4, g++ 12.2.0, commit 0123456789, 2026-11-21; load average 0.1 before and "
        "1.9 after.")
PEER = {"workload": "pricing", "peer": "C++", "unit": "joint steps/s", "learning": True, "repeats": 3,
        "ours_wall": {"median": 2e8}, "theirs_wall": {"median": 2.5e7},
        "ratio_wall": {"median": 8.0, "least": 7.5, "most": 8.25},
        "ratio_cpu": {"median": 0.5, "least": 0.4, "most": 0.6}}
PEERS = {"machine": {"processor": "Processor", "cores": 2, "load_before": 0.25, "load_after": 2.0}, "threads": 2,
         "rows": [PEER, {**PEER, "workload": "mixing", "unit": "gradients/s", "note": "one core", "ratio_cpu": None}],
         "skipped": [{"workload": "mixing", "peer": "torch", "why": "not there"}]}
PEERS_TABLE = """| workload | beside | learning | ours, clock | theirs, clock | ratio, clock | ratio, processor time |
|---|---|---|---|---|---|---|
| pricing | C++ | yes | 200 M | 25 M | 8 (7.5 to 8.25) | 0.5 (0.4 to 0.6) |
| mixing, gradients/s | C++ | yes | 200 M | 25 M | 8 (7.5 to 8.25) | - |

Where they differ:

- mixing, C++: one core."""
RATES = """Rates: medians, joint steps a second where nothing else is said. Ratios, ours over theirs: \
median (least to most); below 1 we lose."""
GPU = {"date": "2026-11-22T01:00:00Z", "commit": "fedcba98765432", "device": "Card", "driver": "580.1",
       "toolkit": "13.0", "passed": 5, "failed": 1,
       "results": [{"part": "test", "name": "gpu_test", "ok": True},
                   {"part": "bench", "name": "pricing", "ok": True,
                    "result": bench("pricing", 0, 8e9, bound={"kind": "unmeasured", "limit": None, "reached": None})},
                   {"part": "bench", "name": "matrix", "ok": False, "result": bench("matrix", 0, 9e9)},
                   {"part": "bench", "name": "mixing_gpu", "ok": True,
                    "result": [{"products": "tf32", "rows": 65536, "agents": 8, "ms": 0.25, "least_ms": 0.2404}]},
                   {"part": "peers", "name": "pricing", "ok": True, "result": PEERS}]}

WANTED = {
    "kernels": "Compiled for sm_90.\n\n| a | b |\n|---|---|",
    "cpu": f"""{HEAD}

| bench | threads | joint steps/s | iqr | agent steps/s | limit reached | learning |
|---|---|---|---|---|---|---|
| `pricing` | 1 | 158 M | 2.0% | 317 M | 0.25 of 634 M (memory) | yes |
| `pricing` | 2 | 312 M | 2.0% | 624 M | 0.25 of 1.25 G (memory) | yes |
| `matrix` | 2 | 1 G | 2.0% | 2 G | 0.25 of 4 G (memory) | yes |
| `lbf` | 1 | check failed | 2.0% | 10 M | 0.25 of 20 M (memory) | yes |
| `mixing` | 1 | 19.1 k (and 264 training iterations) | 2.0% | 38.2 k | 0.25 of 76.4 k (memory) | yes |""",
    "cpu-short": f"""{HEAD}

| bench | one thread, joint steps/s | 2 threads | learning |
|---|---|---|---|
| `pricing` | 158 M | 312 M | yes |
| `matrix` |  | 1 G | yes |
| `lbf` | check failed |  | yes |
| `mixing` | 19.1 k |  | yes |""",
    "scaling": f"""{HEAD}

| bench | threads | rate over that of one thread |
|---|---|---|
| `pricing` | 2 | 1.97 |""",
    "peers": f"""Processor, 2 cores, 2 threads; load average 0.2 before and 2.0 after. {RATES}

{PEERS_TABLE}

Not measured:

- mixing, torch: not there""",
    "gpu": f"""Card, driver 580.1, CUDA 13.0, commit fedcba9876, 2026-11-22: 5 checks passed, 1 failed.

| bench | joint steps/s | iqr | agent steps/s | limit reached | learning |
|---|---|---|---|---|---|
| `pricing` | 8 G | 2.0% | 16 G | unmeasured | yes |

| fused mixing | samples | agents | ms | least ms |
|---|---|---|---|---|
| tf32 | 65536 | 8 | 0.25 | 0.24 |

Beside others on the same card. {RATES}

{PEERS_TABLE}""",
}


class Tables(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "bench" / "results").mkdir(parents=True)
        (self.root / "docs").mkdir()
        (self.root / "docs" / "performance.md").write_text("nothing\n")

    def results(self, name, value):
        (self.root / "bench" / "results" / name).write_text(value if isinstance(value, str) else json.dumps(value))

    def readme(self, *names, body="old\n"):
        blocks = "".join(f"<!-- table: {name} -->\n{body}<!-- end -->\n" for name in names)
        (self.root / "README.md").write_text("# Title\n" + blocks + "last line\n")

    def run_it(self, *arguments, root=None):
        command = [sys.executable, ROOT / "scripts" / "bench_tables.py", "--root", root or self.root, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def test_tables(self):
        self.results("kernels-sm_90.md", WANTED["kernels"] + "\n")
        for name, value in (("cpu-a.json", CPU), ("peers-cpu.json", PEERS), ("gpu-check-card.json", GPU)):
            self.results(name, value)
        for name, wanted in WANTED.items():
            with self.subTest(name):
                self.readme(name)
                out = self.run_it()
                self.assertEqual(out.returncode, 0, out.stderr)
                self.assertEqual((self.root / "README.md").read_text(),
                                 f"# Title\n<!-- table: {name} -->\n\n{wanted}\n\n<!-- end -->\nlast line\n")

    def test_check_tells_the_block_and_writes_nothing(self):
        self.results("cpu-a.json", CPU)
        self.readme("cpu", "scaling")
        self.assertEqual(self.run_it().returncode, 0)
        self.assertEqual(self.run_it("--check").returncode, 0)
        before = (self.root / "README.md").read_text().replace("| 1.97 |", "| 2.97 |")
        (self.root / "README.md").write_text(before)
        out = self.run_it("--check")
        self.assertEqual(out.returncode, 1)
        self.assertIn("README.md: table scaling differs from its files", out.stdout)
        self.assertIn("-| `pricing` | 2 | 2.97 |", out.stdout)
        self.assertIn("+| `pricing` | 2 | 1.97 |", out.stdout)
        self.assertNotIn("table cpu", out.stdout)
        self.assertEqual((self.root / "README.md").read_text(), before)

    def test_nothing_measured(self):
        self.readme(*WANTED)
        self.assertEqual(self.run_it().returncode, 0)
        text = (self.root / "README.md").read_text()
        self.assertIn("GPU figures are still to be measured", text)
        self.assertEqual(text.count("Not measured yet"), 4)

    def test_other_programs(self):
        self.results("cpu-a.json", {**CPU, "busy": True})
        self.readme("scaling")
        self.run_it()
        self.assertIn("**Other programs were running.**", (self.root / "README.md").read_text())

    def test_wrong_input(self):
        self.results("cpu-a.json", CPU)
        for text, said in (("<!-- table: cup -->\n<!-- end -->\n", 'README.md:1: no table "cup"; tables: cpu,'),
                           ("<!-- table: cpu -->\n", "table cpu has no <!-- end -->"),
                           ("<!-- end -->\n", "README.md:1: <!-- end --> without a table"),
                           ("<!-- table: cpu -->\n<!-- table: gpu -->\n", "README.md:2: <!-- table: gpu --> inside")):
            with self.subTest(text):
                (self.root / "README.md").write_text(text)
                out = self.run_it()
                self.assertEqual(out.returncode, 2)
                self.assertIn(said, out.stderr)
                self.assertEqual((self.root / "README.md").read_text(), text)
        self.readme("cpu")
        for value, said in (("{", "cpu-a.json: "), ([1], "must be an object"), ({**CPU, "rows": 3}, "not as its"),
                            ({k: v for k, v in CPU.items() if k != "commit"}, 'cpu-a.json: "commit" is missing')):
            with self.subTest(said):
                self.results("cpu-a.json", value)
                out = self.run_it()
                self.assertEqual(out.returncode, 2)
                self.assertIn(said, out.stderr)
                self.assertIn("old", (self.root / "README.md").read_text())

    def test_this_repository(self):
        out = self.run_it("--check", root=ROOT)
        self.assertEqual(out.returncode, 0, out.stdout + out.stderr + "run scripts/bench_tables.py")


unittest.main()
