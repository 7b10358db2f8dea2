#!/usr/bin/env python3
"""Tables of measured figures in README.md and docs/performance.md, from the files in bench/results.

usage: bench_tables.py [--check] [--root DIR]

Writes anew what stands between a line `<!-- table: NAME -->` and the next line `<!-- end -->`:

  cpu        every bench of cpu-*.json: rate, spread, limit
  cpu-short  their joint steps a second alone, with one thread and with all
  scaling    all threads over one, from the same files
  peers      peers-*.json: ours beside other programs
  kernels    registers, spills and stack of the kernels: kernels-*.md, as scripts/kernel_resources.py
             wrote it
  gpu        the benches of gpu-check*.json; without such a file, that they are still to be measured

bench/results/README.md describes the files. --check writes nothing and names every block that
differs from its files. --root is the project's folder, by default this one. Exit status: 0 done, 1 a
block differs (--check), 2 a file is missing or wrong. Only the standard library is used.
"""
import argparse
import difflib
import json
import pathlib
import re
import sys

DOCUMENTS = ("README.md", "docs/performance.md")


class Wrong(Exception):
    """A file of results or a document that is not as it must be."""


class Result(dict):
    """A JSON object of a file, whose missing keys are told with the file's name."""

    def __init__(self, where, values):
        super().__init__(values)
        self.where = where

    def __missing__(self, key):
        raise Wrong(f"{self.where}: \"{key}\" is missing")


def read(root, pattern):
    """The files bench/results/PATTERN in the order of their names."""
    files = []
    for path in sorted((root / "bench" / "results").glob(pattern)):
        try:
            with open(path, encoding="utf-8") as file:
                files.append(json.load(file, object_hook=lambda values, at=path.name: Result(at, values)))
        except (OSError, ValueError) as error:
            raise Wrong(f"{path}: {error}") from error
        if not isinstance(files[-1], Result):
            raise Wrong(f"{path}: must be an object")
    return files


def figure(value):
    """Three digits and the letter of their unit: 1.09 G."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g} {letter}" if value < 999.5 * size else f"{value / size:.0f} {letter}"
    return f"{value:.3g}"


def table(head, rows):
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]


def day(result):
    """What was measured and when: commit and date of a file."""
    commit, _, changed = result["commit"].partition("-")
    return f"commit {commit[:10]}{', changed' if changed else ''}, {result['date'][:10]}"


def rate(row):
    """Joint steps a second of a bench's row; no figure where its check failed."""
    return figure(row["median"]) if row["check"] == "ok" else "check failed"


def cell(row):
    """What tells a row from others of its bench: the settings of an axis."""
    return f"`{row['bench']}`" + "".join(f", {key} {value}" for key, value in row.get("set", {}).items())


def machine(result):
    doctor = result["doctor"]
    compiler = ("g++ " if doctor["compiler"][0].isdigit() else "") + doctor["compiler"]
    text = f"{doctor['cpu']}, {doctor['threads']} threads, {doctor['cpu_kernels']}, {compiler}, {day(result)}"
    text += f"; load average {result['load_before']} before and {result['load_after']} after"
    return text + (". **Other programs were running.**" if result["busy"] else ".")


def limit(row):
    """The limit of a row, how much of it was reached, and what belongs to the row besides."""
    bound = row["bound"]
    if bound["reached"] is None:
        return bound["kind"]
    return f"{bound['reached']:.2f} of {figure(bound['limit'])} ({bound['kind']})"


def bench_rows(rows, threads):
    out = []
    for row in rows:
        more = row.get("training_iterations_per_second")
        out.append([cell(row), *([str(row["threads"])] if threads else []),
                    rate(row) + (f" (and {figure(more)} training iterations)" if more else ""),
                    f"{100 * row['iqr'] / row['median']:.1f}%", figure(row["agent_steps_per_second"]), limit(row),
                    "yes" if row["learning"] else "no"])
    return out


BENCH_HEAD = ["joint steps/s", "iqr", "agent steps/s", "limit reached", "learning"]


def cpu(root):
    lines = []
    for result in read(root, "cpu-*.json"):
        lines += [machine(result), "", *table(["bench", "threads", *BENCH_HEAD], bench_rows(result["rows"], True)), ""]
    return lines or ["Not measured yet: `scripts/bench.sh bench/results/cpu-NAME.json` has not been run."]


def by_threads(result):
    """Rows of a file by bench: {name: (with one thread, with all)}, None where there is none."""
    pairs = {}
    for row in result["rows"]:
        pairs.setdefault(cell(row), {})[row["threads"]] = row
    return {name: (rows.get(1), rows[max(rows)] if max(rows) > 1 else None) for name, rows in pairs.items()}


def cpu_short(root):
    lines = []
    for result in read(root, "cpu-*.json"):
        rows = [[name, rate(one) if one else "", rate(many) if many else "",
                 "yes" if (one or many)["learning"] else "no"]
                for name, (one, many) in by_threads(result).items()]
        lines += [machine(result), "",
                  *table(["bench", "one thread, joint steps/s", f"{result['threads']} threads", "learning"], rows), ""]
    return lines or cpu(root)


def scaling(root):
    lines = []
    for result in read(root, "cpu-*.json"):
        rows = [[f"`{row['bench']}`", str(row["threads"]), f"{row['ratio']:.2f}"] for row in result["scaling"]]
        if rows:
            lines += [machine(result), "", *table(["bench", "threads", "rate over that of one thread"], rows), ""]
    return lines or ["Not measured yet."]


def peer_rows(rows):
    """The table of `rows` of a comparison, and below it in what the programs differ."""
    cells = []
    for row in rows:
        ratios = [f"{r['median']:.3g} ({r['least']:.3g} to {r['most']:.3g})" if r else "-"
                  for r in (row["ratio_wall"], row["ratio_cpu"])]
        unit = "" if row["unit"] == "joint steps/s" else f", {row['unit']}"
        cells.append([row["workload"] + unit, row["peer"], {True: "yes", False: "no"}.get(row.get("learning"), ""),
                      figure(row["ours_wall"]["median"]), figure(row["theirs_wall"]["median"]), *ratios])
    notes = [f"- {row['workload']}, {row['peer']}: {row['note']}." for row in rows if "note" in row]
    return [*table(["workload", "beside", "learning", "ours, clock", "theirs, clock", "ratio, clock",
                    "ratio, processor time"], cells), "", *(["Where they differ:", "", *notes, ""] if notes else [])]


RATES = ("Rates: medians, joint steps a second where nothing else is said. Ratios, ours over theirs: median (least "
         "to most); below 1 we lose.")


def peers(root):
    lines = []
    for result in read(root, "peers-*.json"):
        host = result["machine"]
        when = f", {day(result)}" if "commit" in result and "date" in result else ""
        lines += [f"{host['processor']}, {host['cores']} cores, {result['threads']} threads{when}; load average "
                  f"{host['load_before']:.1f} before and {host['load_after']:.1f} after. {RATES}", "",
                  *peer_rows(result["rows"])]
        if result["skipped"]:
            lines += ["Not measured:", "",
                      *(f"- {s['workload']}, {s['peer']}: {s['why']}" for s in result["skipped"]), ""]
    return lines or ["Not measured yet: `bench/peers/run.sh` has not been run for `bench/results/peers-cpu.json`."]


def gpu(root):
    lines = []
    for result in read(root, "gpu-check*.json"):
        done = {part: [one for one in result["results"] if one["part"] == part and one["ok"]]
                for part in ("bench", "peers")}
        lines += [f"{result['device']}, driver {result['driver']}, CUDA {result['toolkit']}, {day(result)}: "
                  f"{result['passed']} checks passed, {result['failed']} failed.", ""]
        rows = [one["result"] for one in done["bench"] if one["name"] != "mixing_gpu"]
        if rows:
            lines += [*table(["bench", *BENCH_HEAD], bench_rows(rows, False)), ""]
        mixing = [line for one in done["bench"] if one["name"] == "mixing_gpu" for line in one["result"]]
        if mixing:
            lines += [*table(["fused mixing", "samples", "agents", "ms", "least ms"],
                             [[m["products"], str(m["rows"]), str(m["agents"]), f"{m['ms']:.3g}",
                               f"{m['least_ms']:.3g}"] for m in mixing]), ""]
        rows = [row for one in done["peers"] for row in one["result"]["rows"]]
        if rows:
            lines += ["Beside others on the same card. " + RATES, "", *peer_rows(rows)]
    return lines or ["GPU figures are still to be measured: there is no `bench/results/gpu-check*.json` yet "
                     "(`scripts/gpu-check.sh` writes one)."]


def kernels(root):
    lines = []
    for path in sorted((root / "bench" / "results").glob("kernels-*.md")):
        lines += path.read_text(encoding="utf-8").rstrip("\n").split("\n") + [""]
    return lines or ["Not compiled yet for `bench/results/kernels-sm_90.md`."]


TABLES = {"cpu": cpu, "cpu-short": cpu_short, "scaling": scaling, "peers": peers, "kernels": kernels, "gpu": gpu}


def renewed(text, document, root):
    """The text with its blocks written anew, and what differs: [(name, lines of a diff)]."""
    out, differing, name, inside = [], [], None, []
    for number, line in enumerate(text.split("\n"), 1):
        begins = re.fullmatch(r"<!-- table: (\S+) -->", line.strip())
        if begins and name is None:
            name = begins[1]
            if name not in TABLES:
                raise Wrong(f"{document}:{number}: no table \"{name}\"; tables: {', '.join(TABLES)}")
            out.append(line)
        elif begins or (line.strip() == "<!-- end -->" and name is None):
            where = "inside of a table" if begins else "without a table"
            raise Wrong(f"{document}:{number}: {line.strip()} {where}")
        elif line.strip() == "<!-- end -->":
            body = TABLES[name](root)
            while body and not body[-1]:
                body.pop()
            body = ["", *body, ""]
            if body != inside:
                diff = difflib.unified_diff(inside, body, "document", "results", lineterm="", n=0)
                differing.append((name, list(diff)))
            out += [*body, line]
            name, inside = None, []
        else:
            (out if name is None else inside).append(line)
    if name is not None:
        raise Wrong(f"{document}: table {name} has no <!-- end -->")
    return "\n".join(out), differing


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a table differs")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    arguments = parser.parse_args()
    different = False
    try:
        for document in DOCUMENTS:
            path = arguments.root / document
            text = path.read_text(encoding="utf-8")
            new, differing = renewed(text, document, arguments.root)
            for name, lines in differing:
                different = True
                print(f"{document}: table {name} {'differs from its files' if arguments.check else 'written'}")
                if arguments.check:
                    print("\n".join(lines[2:12]))
            if new != text and not arguments.check:
                path.write_text(new, encoding="utf-8")
    except (Wrong, OSError) as error:
        print(f"bench_tables.py: {error}", file=sys.stderr)
        return 2
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        print(f"bench_tables.py: a file of bench/results is not as its README says: {error}", file=sys.stderr)
        return 2
    return 1 if different and arguments.check else 0


sys.exit(main())
