#!/usr/bin/env python3
"""scripts/kernel_resources.py on logs in the forms of ptxas, nvlink and cuobjdump, made by hand.

usage: kernel_resources_test.py
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "scripts" / "kernel_resources.py"
# void cumarl::launch_kernel<cumarl::CudaStepLane<Env> >(...) and so on, as g++ and nvcc mangle them
STEP = "_ZN6cumarl13launch_kernelINS_12CudaStepLaneI3EnvEEEEvT_m"
RESET = "_ZN6cumarl13launch_kernelINS_13CudaResetLaneI3EnvEEEEvT_m"
OTHER = "_ZN6cumarl13launch_kernelI4FillEEvT_m"
CALLED = "_ZN6cumarl5learnEi"


def ptxas(name, registers, stack=0, spills=0, arch="sm_90"):
    return f"""ptxas info    : Compiling entry function '{name}' for '{arch}'
ptxas info    : Function properties for {name}
    {stack} bytes stack frame, {spills} bytes spill stores, {spills} bytes spill loads
ptxas info    : Used {registers} registers, used 1 barriers, 16 bytes smem
"""


def nvlink(name, registers, stack):
    return f"""nvlink info    : Function properties for '{name}':
nvlink info    : used {registers} registers, used 1 barriers, {stack} stack, 16 bytes smem, 400 bytes cmem[0]
"""


LOG = "".join(("[2/2] Building CUDA object CMakeFiles/cumarl.dir/generated/Lbf.cu.o\n", ptxas(STEP, 40),
               ptxas(RESET, 24, 8, 4), ptxas(RESET, 99, 99, 99, "sm_80"), ptxas(OTHER, 10),
               f"ptxas info    : Function properties for {CALLED}\n    32 bytes stack frame, 0 bytes spill stores\n",
               nvlink(STEP, 128, 5000), nvlink(RESET, 20, 8)))


class Report(unittest.TestCase):
    def run_it(self, text, *arguments):
        with tempfile.NamedTemporaryFile("w", suffix=".log") as file:
            file.write(text)
            file.flush()
            return subprocess.run([sys.executable, SCRIPT, file.name, *arguments], capture_output=True, text=True,
                                  check=False)

    def test_compiler_and_linker(self):
        out = self.run_it(LOG)
        self.assertEqual(out.returncode, 0, out.stderr)
        self.assertEqual(out.stdout, """\
Compiled and linked for sm_90: units Lbf.

| kernels | number | registers | stack, bytes | spilled, bytes | static shared memory, bytes |
|---|---|---|---|---|---|
| lanes: environment, a thread a lane | 2 | 24 to 128 | 8 to 5000 | 0 to 4 | 16 |
| other: void cumarl::launch_kernel<Fill>(Fill, unsigned long) | 1 | 10 | 0 | 0 | 16 |
| functions that kernels call | 1 | - | 32 | 0 | - |

Functions that spill: 1 of 4.

| spills | bytes stored |
|---|---|
| `CudaResetLane<Env>` | 4 |

| stack above 4096 bytes | bytes |
|---|---|
| `CudaStepLane<Env>` | 5000 |
""")

    def test_another_architecture(self):
        out = self.run_it(LOG, "--arch", "sm_80")
        self.assertIn("| 1 | 99 | 99 | 99 | 16 |", out.stdout)
        out = self.run_it(LOG, "--arch", "sm_75")
        self.assertEqual(out.returncode, 2)
        self.assertIn("holds no kernel for sm_75", out.stderr)

    def test_cuobjdump(self):
        out = self.run_it(f"arch = sm_80\n Function {STEP}:\n  REG:9 STACK:9 SHARED:9 LOCAL:0\narch = sm_90\n"
                          f"Resource usage:\n Common:\n  GLOBAL:0\n Function {STEP}:\n"
                          "  REG:26 STACK:48 SHARED:1024 LOCAL:0 CONSTANT[0]:576\n")
        self.assertIn("| lanes: environment, a thread a lane | 1 | 26 | 48 | - | 1024 |", out.stdout)
        self.assertIn("Functions that spill: 0 of 1.", out.stdout)


unittest.main()
