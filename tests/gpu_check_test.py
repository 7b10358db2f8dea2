#!/usr/bin/env python3
"""scripts/gpu-check.sh without a GPU: what it counts, what it writes, and how it tells failures.

usage: gpu_check_test.py

The program, the tests, nvidia-smi and compute-sanitizer are small scripts in a temporary folder that
answer as the real ones do; `FAULT` makes one of them fail.
"""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "scripts" / "gpu-check.sh"
# The hash of an experiment is made of its text, so that devices agree unless FAULT says otherwise.
CUMARL = r"""#!/usr/bin/env bash
case "$1 $2" in
  'list benches')
    printf '%s  title\n' pricing lbf_observations matrix_game/q_learning/float32 matrix_game/sarsa lbf/random \
      ising/random ;;
  'list envs') printf '%s  title\n' ising ;;
  'list learners') printf '%s  title\n' sarsa nash_q pavlov linear_q ;;
  'describe ising') printf '{"name":"ising","small":"size = 4\\nkind = \\"a\\"","parameters":[]}\n' ;;
  'doctor --json')
    gpu=',"cuda:0"'
    [[ $FAULT != device ]] || gpu=''
    printf '{"cuda":["cuda:0 Card, runtime 13.0"],"devices":["cpu"%s]}\n' "$gpu" ;;
  bench*)
    printf '{"bench":"%s","median":8e+09,"check":"%s"}\n' "$2" "$([[ $FAULT == bench ]] && echo failed || echo ok)" ;;
  run*)
    config=$2
    shift 2
    if [[ $* == *--dry-run* ]]; then
      [[ $* != *'"random", "linear_q"'* ]] && ! grep -q '^name = "nash_q"' "$config"
      exit
    fi
    [[ $FAULT != slow || $* != *"--device cuda"* ]] || sleep 60
    salt=''
    [[ $FAULT != hash || $* != *"--device cuda"* ]] || salt=$(grep pavlov "$config")
    printf '{"result_hash":"%s"}\n' "$( (cat "$config"; echo "$salt") | md5sum | cut -c 1-32)" ;;
esac
"""
TEST = r"""#!/usr/bin/env bash
echo 'Running main() from gtest_main.cc'
case $1 in
  --gtest_list_tests) printf 'Plain.\n  One\n  Two\nRegistry/Gpu.\n  Bits/ising  # GetParam() = 0x1\n' ;;
  --gtest_filter=Plain.Two)
    case $FAULT in
      skip) printf '[  PASSED  ] 0 tests.\n[  SKIPPED ] 1 test, listed below:\n' ;;
      test) printf '[  FAILED  ] 1 test, listed below:\n'; exit 1 ;;
      *) printf '[  PASSED  ] 1 test.\n' ;;
    esac ;;
  *) printf '[  PASSED  ] 1 test.\n' ;;
esac
"""
SANITIZER = r"""#!/usr/bin/env bash
while [[ $1 == --* ]]; do [[ $1 == --tool ]] && tool=$2; shift 2; done
"$@"
printf '========= ERROR SUMMARY: %s errors\n' "$([[ $FAULT == race && $tool == racecheck ]] && echo 3 || echo 0)"
[[ $FAULT != race || $tool != racecheck ]] || exit 99
"""
SMI = '#!/bin/sh\ncase $1 in *name) echo "Card \\"X\\"";; *driver_version) echo 580.1;; *) echo 9;; esac\n'


class Check(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        for name, text in (("build/cumarl", CUMARL), ("build/some_gpu_test", TEST),
                           ("build/other_test", "#!/bin/false\n"), ("build/fused_mixing_gpu_test", TEST),
                           ("bin/compute-sanitizer", SANITIZER), ("bin/nvidia-smi", SMI),
                           ("bin/python3", "#!/bin/sh\necho no jax >&2\nexit 1\n"),
                           ("bin/nvcc", "#!/bin/sh\nexit 1\n")):
            path = self.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            path.chmod(0o755)

    def run_it(self, fault="", **more):
        environment = {**os.environ, "PATH": f"{self.folder}/bin:{os.environ['PATH']}", "FAULT": fault,
                       "GPU_CHECK_COMMIT": "abc", "GPU_CHECK_JOBS": "4", **more}
        out = subprocess.run([SCRIPT, self.folder / "out", self.folder / "build"], env=environment, capture_output=True,
                             text=True, check=False, timeout=120)
        with open(self.folder / "out" / "gpu-check.json", encoding="utf-8") as file:
            result = json.load(file)
        oks = [one["ok"] for one in result["results"]]
        self.assertEqual((result["passed"], result["failed"]), (oks.count(True), oks.count(False)), out.stderr)
        self.assertEqual(out.returncode, 1 if result["failed"] else 0, out.stdout + out.stderr)
        self.assertIn(f"{result['passed']} passed, {result['failed']} failed", out.stdout)
        return result

    def failed(self, result):
        return sorted(one["name"] for one in result["results"] if not one["ok"])

    def names(self, result, part):
        return sorted(one["name"] for one in result["results"] if one["part"] == part)

    def test_all_is_well(self):
        result = self.run_it()
        self.assertEqual(self.failed(result), [])
        self.assertEqual([result[key] for key in ("commit", "device", "driver", "toolkit")],
                         ["abc", 'Card "X"', "580.1", "13.0"])
        self.assertEqual(self.names(result, "test"),
                         sorted(f"{program} {test}" for program in ("some_gpu_test", "fused_mixing_gpu_test")
                                for test in ("Plain.One", "Plain.Two", "Registry/Gpu.Bits/ising")))
        # the own loops with few and many runs (matrix_game/sarsa and ising/random have none), two copies
        # of float32 tables in other sizes, teams, the sweep and the joint learner
        runs = [f"{name}, {runs} runs" for runs in (64, 4096)
                for name in ("matrix_game-q_learning-float32", "matrix-horizon", "lbf-random", "lbf-3-players")]
        teams = [name + kind for name in ("vdn", "qmix", "qtran") for kind in ("", "-lanes")] + ["iql"]
        self.assertEqual(self.names(result, "parity"),
                         sorted(runs + teams + ["linear", "memory", "learners on ising", "linear_q on ising"]))
        self.assertEqual(len(self.names(result, "sanitizer")), 4 * 8)
        self.assertEqual(self.names(result, "bench"), ["pricing"])
        self.assertEqual(result["results"][-1]["result"]["median"], 8e9)
        self.assertEqual([one["part"] for one in result["skipped"]], ["peers"])

    def test_every_pair(self):
        result = self.run_it(GPU_CHECK_ALL="1", GPU_CHECK_PARTS="parity bench")
        self.assertEqual(self.failed(result), [])
        self.assertIn("ising-random, 64 runs", self.names(result, "parity"))
        self.assertIn("matrix_game-sarsa, 4096 runs", self.names(result, "parity"))
        self.assertIn("ising/random", self.names(result, "bench"))

    def test_a_differing_hash_names_the_learner(self):
        result = self.run_it("hash", GPU_CHECK_PARTS="parity")
        self.assertEqual(self.failed(result), ["learners on ising", "learners on ising, pavlov"])
        sweep = next(one for one in result["results"] if one["name"] == "learners on ising")
        self.assertNotEqual(sweep["result"]["cpu"], sweep["result"]["cuda"])

    def test_faults(self):
        for fault, part, wanted in (("bench", "bench", ["pricing"]), ("device", "bench", ["device"]),
                                    ("skip", "test", ["fused_mixing_gpu_test Plain.Two", "some_gpu_test Plain.Two"]),
                                    ("test", "test", ["fused_mixing_gpu_test Plain.Two", "some_gpu_test Plain.Two"])):
            with self.subTest(fault):
                self.assertEqual(self.failed(self.run_it(fault, GPU_CHECK_PARTS=part)), wanted)
        races = self.failed(self.run_it("race", GPU_CHECK_PARTS="sanitizer"))
        self.assertEqual(len(races), 8)
        self.assertTrue(all(name.startswith("racecheck, ") for name in races), races)

    def test_out_of_time(self):
        result = self.run_it(GPU_CHECK_SECONDS="0", GPU_CHECK_PARTS="parity bench")
        self.assertEqual({one["detail"] for one in result["results"] if not one["ok"]}, {"not begun: out of time"})
        self.assertEqual(result["passed"], 1)  # the device
        # what hangs is ended: at least 5 seconds are given to what has begun
        result = self.run_it("slow", GPU_CHECK_SECONDS="4", GPU_CHECK_PARTS="parity", GPU_CHECK_JOBS="16")
        self.assertGreater(result["failed"], 4)
        self.assertLess(result["seconds"], 30)

    def test_no_program(self):
        out = subprocess.run([SCRIPT, self.folder / "out", self.folder], capture_output=True, text=True, check=False)
        self.assertEqual(out.returncode, 2)
        self.assertIn("build it with", out.stderr)


unittest.main()
