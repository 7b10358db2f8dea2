#!/usr/bin/env python3
"""Draws birds of `cumarl trace flocking` as an SVG picture, one square a step.

    cumarl trace flocking --steps 200 | scripts/plot_flocking.py --at 0 20 200 > flock.svg

The number under a square is the joint steps done, with the order parameter: the length of the
birds' mean heading. Standard library only.
"""

import argparse
import json
import math
import sys

SIDE, GAP, FOOT = 220, 20, 26  # of a square, between squares, below them; pixels
BIRD = 9  # half the length of a bird, pixels


def states(lines):
    """The states of the first episode: before the first joint step, then after each."""
    out = []
    for number, line in enumerate(lines, 1):
        try:
            step = json.loads(line)
            state = step["state"]
            bird_numbers = [len(state[key]) for key in ("x", "y", "heading")]
        except (ValueError, KeyError, TypeError):
            sys.exit(f"plot_flocking.py: line {number} is not one of `cumarl trace flocking`")
        if len(set(bird_numbers)) != 1 or bird_numbers[0] == 0:
            sys.exit(f"plot_flocking.py: line {number}: x, y and heading differ in length")
        if out and "actions" not in step:
            break  # the next episode begins
        out.append(state)
    return out


def angles(state, directions):
    return [2 * math.pi * heading / directions for heading in state["heading"]]


def order_parameter(state, directions):
    turned = angles(state, directions)
    mean_x = sum(map(math.cos, turned)) / len(turned)
    mean_y = sum(map(math.sin, turned)) / len(turned)
    return math.hypot(mean_x, mean_y)


def bird(x, y, angle):
    """A dart at a place of the unit square; y grows upwards, as in the environment."""
    dart = []
    for turn, length in ((0, 1.0), (2.5, 0.8), (math.pi, 0.35), (-2.5, 0.8)):
        dart.append(
            f"{x * SIDE + BIRD * length * math.cos(angle + turn):.1f},"
            f"{(1 - y) * SIDE - BIRD * length * math.sin(angle + turn):.1f}"
        )
    return f'<polygon points="{" ".join(dart)}"/>'


def picture(trace, at, directions):
    width = len(at) * (SIDE + GAP) + GAP
    height = SIDE + GAP + FOOT
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for column, step in enumerate(at):
        state = trace[step]
        out.append(f'<svg x="{GAP + column * (SIDE + GAP)}" y="{GAP}" overflow="visible">')
        out.append(f'<rect width="{SIDE}" height="{SIDE}" fill="#f4f6f8" stroke="#8a939c"/>')
        out.append('<g fill="#1f5a96">')
        for x, y, angle in zip(state["x"], state["y"], angles(state, directions)):
            out.append(bird(x / 2**32, y / 2**32, angle))
        out.append("</g>")
        order = order_parameter(state, directions)
        out.append(
            f'<text x="{SIDE / 2:g}" y="{SIDE + 17}" text-anchor="middle" fill="#333333">'
            f"step {step}, order {order:.2f}</text></svg>"
        )
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("trace", nargs="?", help="file of JSON lines; standard input without it")
    parser.add_argument("--at", type=int, nargs="+", default=[0], help="joint steps done")
    parser.add_argument("--directions", type=int, default=64, help="env.directions")
    options = parser.parse_args()
    if options.directions < 1:
        parser.error("--directions must be positive")
    if options.trace is None:
        trace = states(sys.stdin)
    else:
        try:
            with open(options.trace, encoding="utf-8") as lines:
                trace = states(lines)
        except OSError as error:
            sys.exit(f"plot_flocking.py: {options.trace}: {error.strerror}")
    for step in options.at:
        if not 0 <= step < len(trace):
            sys.exit(f"plot_flocking.py: step {step}: the trace has 0 to {len(trace) - 1}")
    sys.stdout.write(picture(trace, options.at, options.directions))


if __name__ == "__main__":
    main()
