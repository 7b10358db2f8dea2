#!/usr/bin/env python3
"""What the kernels of a CUDA build take: registers, spills, stack and shared memory, as a table.

usage: kernel_resources.py [--arch sm_90] [--stack BYTES] LOG

LOG is the output of a build with `-Xptxas -v -Xnvlink -v` in CMAKE_CUDA_FLAGS (the compiler says what
every function takes, the linker what every kernel takes with all that it calls), or that of
`cuobjdump --dump-resource-usage` (which knows no spills). Prints in Markdown: the units that were
compiled, kernels by groups with least and most of each, every function with spills, and every kernel
whose stack is above --stack (default 4096) bytes. A kernel that belongs to no group is told by its
name. Names are read by c++filt. Exit status: 2 if the log holds no kernel. Only the standard library is used.
"""
import argparse
import re
import subprocess
import sys

# The first that is found in a kernel's name, which holds its functor's type, says its group.
GROUPS = (
    ("fused mixing: prepare", r"MixingSteps<.*::Prepare"),
    ("fused mixing: a chunk, a block of 512 threads", r"MixingSteps<.*::Chunk"),
    ("fused mixing: reduce", r"MixingSteps<.*::Reduce"),
    ("joint learners: start, a tile a run", r"\bCudaStartJoint<"),
    ("joint learners: advance, a tile a run", r"\bCudaAdvanceJoint<"),
    ("joint learners: finish, a thread a run", r"\bCudaFinishJoint<"),
    ("lanes: environment, a thread a lane", r"\bCuda(ResetLane|StepLane)<"),
    ("lanes: store, digest, finish", r"\bCuda(StoreBatched|DigestBatched|FinishBatched)\b"),
    ("lanes: evaluation on the way, a thread a run", r"\bCudaProbeBatched<"),
    ("lanes: stages of networks", r"\b(cuda_batched|launches)::"),
    ("any learner: start, a warp a run", r"\bCudaStart<.*AnyLearner"),
    ("any learner: advance, a thread a run", r"\bCudaAdvance<.*AnyLearner"),
    ("any learner: finish, a thread a run", r"\bCudaFinish<.*AnyLearner"),
    ("own loops: start, a warp a run", r"\bCudaStart<"),
    ("own loops: advance, a thread a run", r"\bCudaAdvance<"),
    ("own loops: advance small, a thread a run", r"\bCudaAdvanceSmall<"),
    ("own loops: advance, a tile, tables in shared memory", r"\bCudaAdvanceTile<.*true>"),
    ("own loops: advance, a tile", r"\bCudaAdvanceTile<"),
    ("own loops: finish, a thread a run", r"\bCudaFinish<"),
)
FUNCTION = "functions that kernels call"


def demangled(names):
    out = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    return dict(zip(names, out.split("\n")))


# How ptxas, nvlink and cuobjdump say what a function takes.
NUMBERS = {
    "registers": r"[Uu]sed (\d+) registers|\bREG:(\d+)",
    "stack": r"(\d+) (?:bytes )?stack|\bSTACK:(\d+)",
    "spills": r"(\d+) bytes spill stores",
    "shared": r"(\d+) bytes smem|\bSHARED:(\d+)",
}


def numbers(text):
    """{"registers": 26, "stack": 0, ...} of a line."""
    found = {key: re.search(pattern, text) for key, pattern in NUMBERS.items()}
    return {key: int(next(group for group in match.groups() if group)) for key, match in found.items() if match}


def read(lines, arch):
    """{mangled name: {"kernel": bool, "registers": ..., ...}} of a log, for one architecture."""
    functions = {}
    entries = set()
    name, wanted = None, True
    for line in lines:
        entry = re.search(r"Compiling entry function '(\w+)' for '(\w+)'", line)
        begins = entry or re.search(r"Function properties for '?(\w+)'?", line) or re.search(r"^ Function (\w+):", line)
        section = re.search(r"\barch = (\w+)", line)
        if section:
            wanted = section[1] == arch
        if begins:
            name = begins[1]
            if entry:
                wanted = entry[2] == arch
                entries.add(name)
        if name is None or not wanted:
            continue
        found = numbers(line)
        if found:
            one = functions.setdefault(name, {})
            # the compiler's line and the linker's: the latter with all that a kernel calls
            for key, value in found.items():
                one[key] = max(value, one.get(key, 0))
    for name, one in functions.items():
        one["kernel"] = name in entries or "launch_kernel" in name or "launch_teams_kernel" in name
        if one["kernel"]:
            one.setdefault("shared", 0)  # which ptxas says only where there is some
    return functions


def group_of(name):
    for group, pattern in GROUPS:
        if re.search(pattern, name):
            return group
    return "other: " + name


def span(values):
    if not values:
        return "-"
    least, most = min(values), max(values)
    return f"{least}" if least == most else f"{least} to {most}"


def short(name):
    """A functor's name without namespaces and without the launch around it."""
    name = re.sub(r"\(anonymous namespace\)::|cumarl::(?:\w+::)?(?=\w)", "", name)
    inner = re.search(r"launch(?:_teams)?_kernel<(?:\d+, )?(.*)>\(", name)
    return inner[1].strip() if inner else re.sub(r"\(.*", "", name)


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


LISTED = 20  # rows of a list of functions


def units(lines):
    """Names of the units of a build's log, in alphabetical order; none if it does not name them."""
    built = (re.search(r"Building CUDA object .*/(\w+)\.cu\.o", line) for line in lines)
    return sorted({match[1] for match in built if match})


def most(what, unit, found):
    """The table of the (name, bytes) with most bytes; functions with one name are one row."""
    largest = {}
    for name, size in found:
        largest[name] = max(size, largest.get(name, 0))
    rows = [[f"`{name}`", str(size)] for name, size in sorted(largest.items(), key=lambda row: (-row[1], row[0]))]
    if not rows:
        return []
    lines = table([what, unit], rows[:LISTED])
    if len(rows) > LISTED:
        lines += ["", f"And {len(rows) - LISTED} more, up to {rows[LISTED][1]} bytes."]
    return lines + [""]


def report(functions, names, most_stack):
    groups = {}
    for name, one in functions.items():
        group = group_of(names[name]) if one["kernel"] else FUNCTION
        groups.setdefault(group, []).append(one)
    order = [group for group, _ in GROUPS] + sorted(g for g in groups if g.startswith("other: ")) + [FUNCTION]
    rows = []
    for group in order:
        if group in groups:
            def column(key, group=group):
                return span([one[key] for one in groups[group] if key in one])
            rows.append([group, str(len(groups[group])), *map(column, NUMBERS)])
    head = ["kernels", "number", "registers", "stack, bytes", "spilled, bytes", "static shared memory, bytes"]
    lines = table(head, rows)
    spilling = [(short(names[name]), one["spills"]) for name, one in functions.items() if one.get("spills", 0)]
    lines += ["", f"Functions that spill: {len(spilling)} of {len(functions)}.", ""]
    lines += most("spills", "bytes stored", spilling)
    lines += most(f"stack above {most_stack} bytes", "bytes",
                  [(short(names[name]), one["stack"]) for name, one in functions.items()
                   if one["kernel"] and one.get("stack", 0) > most_stack])
    return "\n".join(lines).rstrip("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--arch", default="sm_90")
    parser.add_argument("--stack", type=int, default=4096)
    parser.add_argument("log")
    arguments = parser.parse_args()
    try:
        with open(arguments.log, encoding="utf-8", errors="replace") as file:
            lines = file.read().split("\n")
    except OSError as error:
        print(f"kernel_resources.py: {error}", file=sys.stderr)
        return 2
    functions = read(lines, arguments.arch)
    if not any(one["kernel"] for one in functions.values()):
        print(f"kernel_resources.py: {arguments.log} holds no kernel for {arguments.arch}", file=sys.stderr)
        return 2
    built = units(lines)
    linked = "Compiled and linked" if any(line.startswith("nvlink info") for line in lines) else "Compiled, not linked,"
    print(f"{linked} for {arguments.arch}{': units ' if built else ''}{', '.join(built)}.\n")
    print(report(functions, demangled(list(functions)), arguments.stack))
    return 0


sys.exit(main())
