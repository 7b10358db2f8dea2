#!/usr/bin/env python3
"""Learning curves of several experiments in one SVG picture.

usage: learning_curves.py TITLE OUT.svg DIR...

Each DIR is what `cumarl run FILE --out DIR` wrote, with evaluation.points set. The picture shows
episode_return_over_time of each: mean over runs and its 95% interval (1.96 standard errors). The
figures are printed as well. Only the standard library is used.
"""
import json
import math
import os
import re
import sys

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 400, 78, 56, 150, 52
COLORS = ["#3366aa", "#cc6633", "#449966", "#9955aa", "#777777", "#aa3344"]


def read(folder):
    """Name of the learner, joint steps of the points, means, standard errors, runs."""
    with open(os.path.join(folder, "result.json")) as file:
        result = json.load(file)
    with open(os.path.join(folder, "config.toml")) as file:
        config = file.read()
    curve = result.get("curves", {}).get("episode_return_over_time")
    if curve is None:
        sys.exit(f"{folder} has no episode_return_over_time: set evaluation.points")
    steps = int(re.search(r"^max_steps *= *([0-9_]+)", config.split("[stop]")[1], re.M)[1])
    learner = re.search(r'^name *= *"([^"]+)"', config.split("[learner]")[1], re.M)[1]
    every = steps // len(curve["mean"])
    at = [every * (k + 1) for k in range(len(curve["mean"]))]
    return learner, at, curve["mean"], curve["se"], result["runs"]


def ticks(low, high, count=6):
    """Round numbers from low to high, `count` at most."""
    step, factors = 10.0 ** -6, [2, 2.5, 2]
    for k in range(60):
        if (high - low) / step < count:
            break
        step *= factors[k % 3]
    values = (round(k * step, 9) for k in range(math.ceil(low / step), math.floor(high / step) + 1))
    return list(values)


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    title, out, folders = sys.argv[1], sys.argv[2], sys.argv[3:]
    curves = [read(folder) for folder in folders]
    low = min(m - 1.96 * e for c in curves for m, e in zip(c[2], c[3]))
    high = max(m + 1.96 * e for c in curves for m, e in zip(c[2], c[3]))
    last = max(c[1][-1] for c in curves)
    x = lambda step: LEFT + (WIDTH - LEFT - RIGHT) * step / last
    y = lambda v: TOP + (HEIGHT - TOP - BOTTOM) * (high - v) / (high - low)
    text = lambda px, py, words, more="": (
        f'<text x="{px:.1f}" y="{py:.1f}" font-family="sans-serif" font-size="12" {more}>{words}</text>')
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">',
           f"<title>{title}</title>", '<rect width="100%" height="100%" fill="#ffffff"/>',
           text(LEFT, 26, title, 'font-weight="bold"')]
    for v in ticks(low, high):
        svg += [f'<path d="M{LEFT} {y(v):.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>',
                text(LEFT - 8, y(v) + 4, f"{v:g}", 'text-anchor="end" fill="#666666"')]
    for v in ticks(0, last):
        svg += [text(x(v), HEIGHT - BOTTOM + 18, f"{v:,.0f}", 'text-anchor="middle" fill="#666666"')]
    svg += [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "joint steps", 'text-anchor="middle" fill="#666666"')]
    for (learner, at, means, errors, runs), color in zip(curves, COLORS):
        over = [(x(t), y(m + 1.96 * e)) for t, m, e in zip(at, means, errors)]
        under = [(x(t), y(m - 1.96 * e)) for t, m, e in zip(at, means, errors)]
        joined = lambda points: " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        middle = [(x(t), y(m)) for t, m in zip(at, means)]
        svg += [f'<polygon points="{joined(over + under[::-1])}" fill="{color}" fill-opacity="0.18"/>',
                f'<polyline points="{joined(middle)}" fill="none" stroke="{color}" stroke-width="1.8"/>']
        print(f"{learner} ({runs} runs): " + ", ".join(
            f"{t:,}: {m:.2f} ({m - 1.96 * e:.2f} to {m + 1.96 * e:.2f})"
            for t, m, e in zip(at, means, errors)))
    for k, (curve, color) in enumerate(zip(curves, COLORS)):
        py = TOP + 12 + 20 * k
        svg += [f'<path d="M{WIDTH - RIGHT + 14} {py}h22" stroke="{color}" stroke-width="3"/>',
                text(WIDTH - RIGHT + 42, py + 4, curve[0])]
    with open(out, "w") as file:
        file.write("\n".join(svg) + "\n</svg>\n")


if __name__ == "__main__":
    main()
