#!/usr/bin/env python3
"""Solves random games here, with lrsnash and with Gambit, and compares every equilibrium.

usage: solve_oracle.py CUMARL [--games N] [--seed S]

1. N bimatrix games up to 6x6 through `CUMARL solve FILE.nfg --json` and lrsnash (Debian: lrslib):
   the sets of extreme equilibria and their values must be the same. The games are of many kinds,
   most of them degenerate: payoffs of few values, repeated rows and columns, constant players,
   zero-sum, common payoffs, fractions and decimals.
2. More bimatrix games, in files that Gambit itself read and wrote again (outcome form, named
   strategies), through pygambit's enummixed_solve.
3. Games of three players through pygambit: all pure equilibria (enumpure_solve), and for games of
   2x2x2 all equilibria (enumpoly_solve).

Tolerance: 1e-12 in 1 and 2 (ours are the doubles nearest to exact fractions). In 3 Gambit's mixed
equilibria are approximate, within 1e-4 of the payoffs' range, and it misses some. So each of its
equilibria must be within 1e-2 of one of ours, each of ours must have a regret below 1e-8 of the
range by its own reckoning, and their number must be odd, as it is in generic games.

Exit status: 0 all equal, 1 a difference, 77 a tool is missing.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from fractions import Fraction

try:
    import pygambit
except ImportError:
    pygambit = None
if pygambit is not None and not pygambit.__version__.startswith("16."):
    pygambit = None  # 17 has another interface
if shutil.which("lrsnash") is None:
    print("SKIP: lrsnash is not on PATH (Debian: apt-get install lrslib)")
    sys.exit(77)


def number_text(value, rng):
    """A fraction as .nfg text: as a decimal now and then, where it has a finite one."""
    if value.denominator in (1, 2, 4, 5, 10) and rng.random() < 0.3:
        return f"{float(value):.2f}"
    return str(value)


def random_table(rng, rows, columns):
    kind = rng.choice(["few", "few", "digits", "wide", "fractions", "constant"])
    if kind == "constant":
        value = Fraction(rng.randint(-3, 3))
        return [[value] * columns for _ in range(rows)]
    draw = {
        "few": lambda: Fraction(rng.randint(0, 2)),
        "digits": lambda: Fraction(rng.randint(-9, 9)),
        "wide": lambda: Fraction(rng.randint(-10000, 10000)),
        "fractions": lambda: Fraction(rng.randint(-20, 20), rng.randint(1, 10)),
    }[kind]
    return [[draw() for _ in range(columns)] for _ in range(rows)]


def random_bimatrix(rng):
    rows, columns = rng.randint(1, 6), rng.randint(1, 6)
    a, b = random_table(rng, rows, columns), random_table(rng, rows, columns)
    relation = rng.random()
    if relation < 0.15:
        b = [[-u for u in row] for row in a]
    elif relation < 0.3:
        b = [list(row) for row in a]
    if rows > 1 and rng.random() < 0.25:
        k, l = rng.sample(range(rows), 2)
        a[k], b[k] = list(a[l]), list(b[l])
    if columns > 1 and rng.random() < 0.25:
        k, l = rng.sample(range(columns), 2)
        for table in (a, b):
            for row in table:
                row[k] = row[l]
    return a, b


def write_bimatrix(path, a, b, rng):
    rows, columns = len(a), len(a[0])
    with open(path, "w") as f:
        f.write(f'NFG 1 R "random" {{ "P1" "P2" }} {{ {rows} {columns} }}\n\n')
        for j in range(columns):
            for i in range(rows):
                f.write(f"{number_text(a[i][j], rng)} {number_text(b[i][j], rng)} ")
            f.write("\n")


def ours(binary, path):
    """{strategies as one tuple: values} by `cumarl solve`."""
    done = subprocess.run([binary, "solve", path, "--concept", "nash", "--json"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{binary} solve {path} exited with {done.returncode}: {done.stderr}")
    answer = json.loads(done.stdout)
    return [(tuple(p for strategy in s["strategies"] for p in strategy), tuple(s["values"]))
            for s in answer["solutions"]]


def by_lrsnash(a, b, folder):
    path = os.path.join(folder, "game.lrs")
    with open(path, "w") as f:
        f.write(f"{len(a)} {len(a[0])}\n")
        for table in (a, b):
            f.write("\n" + "\n".join(" ".join(map(str, row)) for row in table) + "\n")
    text = subprocess.run(["lrsnash", path], capture_output=True, text=True, check=True).stdout
    found, columns = [], []
    for line in text.splitlines():
        words = line.split()
        if not words:
            columns = []
        elif words[0] == "2":  # a strategy of the column player, what the row player gets
            columns.append([float(Fraction(w)) for w in words[1:]])
        elif words[0] == "1":  # one of the row player, which goes with all of those above
            row = [float(Fraction(w)) for w in words[1:]]
            found += [(tuple(row[:-1] + y[:-1]), (y[-1], row[-1])) for y in columns]
    return found


def by_gambit(game, solver, **options):
    found = []
    for profile in solver(game, **options).equilibria:
        strategies = tuple(float(profile[s]) for p in game.players for s in p.strategies)
        found.append((strategies, tuple(float(profile.payoff(p)) for p in game.players)))
    return found


def close(s, t, tolerance):
    return all(abs(x - y) <= tolerance * max(1.0, abs(y))
               for x, y in zip(s[0] + s[1], t[0] + t[1]))


def difference(mine, theirs, tolerance):
    """What one list has and the other lacks, or None. Doubles in a list count once."""
    for s in mine:
        if not any(close(s, t, tolerance) for t in theirs):
            return f"only here: {s}; there: {theirs}"
    for t in theirs:
        if not any(close(s, t, tolerance) for s in mine):
            return f"not here: {t}"
    for k, s in enumerate(mine):
        if any(close(s, t, 1e-12) for t in mine[:k]):
            return f"twice here: {s}"
    return None


def complain(what, path, problem):
    with open(path) as f:
        print(f"FAIL: {what}: {problem}\n{f.read()}")
    sys.exit(1)


def three_players(rng, shape):
    tables = []
    for _ in range(3):
        size = shape[0] * shape[1] * shape[2]
        tables.append([rng.randint(-1000, 1000) for _ in range(size)])
    game = pygambit.Game.new_table(list(shape), title="three players")
    k = 0
    for x in range(shape[0]):
        for y in range(shape[1]):
            for z in range(shape[2]):
                for p, player in enumerate(game.players):
                    game[x, y, z][player] = tables[p][k]
                k += 1
    return game


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("cumarl")
    parser.add_argument("--games", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "game.nfg")
        equilibria = 0
        for _ in range(args.games):
            a, b = random_bimatrix(rng)
            write_bimatrix(path, a, b, rng)
            mine = ours(args.cumarl, path)
            problem = difference(mine, by_lrsnash(a, b, folder), 1e-12)
            if problem:
                complain("lrsnash", path, problem)
            equilibria += len(mine)
        print(f"lrsnash: {args.games} bimatrix games, {equilibria} extreme equilibria: all equal")
        if pygambit is None:
            print("SKIP: parts 2 and 3 need pygambit 16, see tests/oracle/requirements.txt")
            return 0

        equilibria = 0
        for _ in range(args.games // 10):
            a, b = random_bimatrix(rng)
            write_bimatrix(path, a, b, rng)
            game = pygambit.read_nfg(path)
            with open(path, "w") as f:
                f.write(game.to_nfg())
            theirs = by_gambit(game, pygambit.nash.enummixed_solve, rational=True)
            mine = ours(args.cumarl, path)
            problem = difference(mine, theirs, 1e-12)
            if problem:
                complain("enummixed_solve", path, problem)
            equilibria += len(mine)
        print(f"pygambit {pygambit.__version__}: {args.games // 10} bimatrix games, "
              f"{equilibria} extreme equilibria: all equal")

        counts = [0, 0]
        missed = 0
        for number in range(args.games // 10):
            full = number % 2 == 0
            shape = (2, 2, 2) if full else tuple(rng.randint(1, 3) for _ in range(3))
            game = three_players(rng, shape)
            with open(path, "w") as f:
                f.write(game.to_nfg())
            mine = ours(args.cumarl, path)
            if full:
                theirs = by_gambit(game, pygambit.nash.enumpoly_solve)
                for strategies, _ in mine:
                    profile = game.mixed_strategy_profile(
                        data=[list(strategies[k:k + 2]) for k in (0, 2, 4)])
                    if profile.max_regret() > 1e-8 * 2000:
                        complain("three players", path, f"regret of {strategies}")
                if len(mine) % 2 == 0:
                    complain("three players", path, f"an even number of equilibria: {mine}")
                missed += sum(not any(close(s, t, 1e-2) for t in theirs) for s in mine)
                mine_too = [s for s in mine if any(close(s, t, 1e-2) for t in theirs)]
                problem = difference(mine_too, theirs, 1e-2)
            else:
                theirs = by_gambit(game, pygambit.nash.enumpure_solve)
                mine = [s for s in mine if all(p in (0.0, 1.0) for p in s[0])]
                problem = difference(mine, theirs, 1e-12)
            if problem:
                complain("three players", path, problem)
            counts[0 if full else 1] += len(mine)
        print(f"pygambit {pygambit.__version__}: {args.games // 10} games of three players, "
              f"{counts[0]} equilibria of 2x2x2 ({missed} of them not found by enumpoly_solve) "
              f"and {counts[1]} pure ones: all equal")


if __name__ == "__main__":
    main()
