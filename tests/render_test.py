#!/usr/bin/env python3
"""Pictures of gridworld episodes: `cumarl trace --render` and `--svg`.

usage: render_test.py CUMARL

A short episode of level-based foraging is drawn by hand below. Long ones are compared, frame by frame,
with the states that `trace --json` prints: every frame of characters, and every frame of the SVG, whose
animations are evaluated here as a browser does. Only the standard library is used. The last line
reads "N passed, N failed"; the exit status is 1 if a check failed.
"""
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import xml.etree.ElementTree as ElementTree

SVG = "{http://www.w3.org/2000/svg}"
ACTIONS = ["none", "north", "south", "west", "east", "load"]

# Agent A (level 1) in row 0, B (level 2) in row 3; foods of levels 3 and 2, spawned 5 in all.
STATE = '{"players": [0, 2, 1, 3, 1, 2], "foods": [1, 3, 3, 3, 2, 2], "step": 0, "spawned": 5}'
# A: east, load (in vain), none, none, load. B: load, east, north, east, load.
SCRIPT = "4,5\n5,4\n0,1\n0,4\n5,5\n0,0\n"
# By the rules in envs/lbf.hpp: B alone loads the 2, and gets 2 * 2 / (2 * 5); then both load the 3,
# A gets 1 * 3 / (3 * 5), B 2 * 3 / (3 * 5), and the episode ends: its last line is not played.
GOLDEN = """\
lbf, start
+----------------+
| .  .  A1 .  .  |
| .  .  .  3  .  |
| .  .  .  .  .  |
| .  B2 2  .  .  |
| .  .  .  .  .  |
+----------------+
A                   B

lbf, t 0
+----------------+
| .  .  .  A1 .  |
| .  .  .  3  .  |
| .  .  .  .  .  |
| .  B2 .  .  .  |
| .  .  .  .  .  |
+----------------+
A east  0           B load  0.4

lbf, t 1
+----------------+
| .  .  .  A1 .  |
| .  .  .  3  .  |
| .  .  .  .  .  |
| .  .  B2 .  .  |
| .  .  .  .  .  |
+----------------+
A load  0           B east  0

lbf, t 2
+----------------+
| .  .  .  A1 .  |
| .  .  .  3  .  |
| .  .  B2 .  .  |
| .  .  .  .  .  |
| .  .  .  .  .  |
+----------------+
A none  0           B north 0

lbf, t 3
+----------------+
| .  .  .  A1 .  |
| .  .  .  3  .  |
| .  .  .  B2 .  |
| .  .  .  .  .  |
| .  .  .  .  .  |
+----------------+
A none  0           B east  0

lbf, t 4
+----------------+
| .  .  .  A1 .  |
| .  .  .  .  .  |
| .  .  .  B2 .  |
| .  .  .  .  .  |
| .  .  .  .  .  |
+----------------+
A load  0.2         B load  0.4
"""
SMALL = ["trace", "lbf", "--set", "env.size=[5, 5]", "--set", "env.foods=2", "--state", "{d}/state",
         "--actions", "{d}/script"]
LONG = [  # random play
    ["trace", "lbf", "--set", "env.foods=3", "--seed", "5"],
    ["trace", "lbf", "--set", "env.size=[6, 4]", "--set", "env.players=6", "--seed", "3",
     "--set", "env.max_player_level=5", "--set", "env.max_food_level=15",
     "--set", "env.min_food_level=10", "--set", "env.max_steps=120", "--steps", "120"],
]

passed = failed = 0


def check(what, ok, detail=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAILED: {what}\n{detail}")


def run(*words):
    answer = subprocess.run([CUMARL, *words], stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, timeout=60)
    assert answer.returncode == 0, (words, answer.stderr)
    return answer.stdout


def in_terminal(words, lines, **environment):
    """What the program writes to a terminal of so many lines."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 80, 0, 0))
    settings = termios.tcgetattr(its)
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(its, termios.TCSANOW, settings)
    variables = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    variables.update({"TERM": "xterm-256color", **environment})
    program = subprocess.Popen([CUMARL, *words], stdin=subprocess.DEVNULL, stdout=its,
                               stderr=subprocess.PIPE, env=variables)
    os.close(its)
    out = b""
    try:
        while block := os.read(ours, 65536):
            out += block
    except OSError:  # Linux: the other end is closed
        pass
    os.close(ours)
    assert program.wait(timeout=60) == 0, program.stderr.read()
    program.stderr.close()
    return out.decode()


def on_screen(text):
    """The lines left on a screen after `text`, colours apart: cursor up and clear to end of line."""
    screen, row, col = [""], 0, 0
    for token in re.findall(r"\033\[\d*A|\033\[K|\033\[[\d;]*m|\n|[^\n\033]+", text):
        if token == "\n":
            row, col = row + 1, 0
            if row == len(screen):
                screen.append("")
        elif token.endswith("A") and token.startswith("\033"):
            row -= int(token[2:-1])
        elif token == "\033[K":
            screen[row] = screen[row][:col]
        elif not token.startswith("\033"):
            screen[row] = screen[row][:col] + token + screen[row][col + len(token):]
            col += len(token)
    return "\n".join(screen)


def states(lines):
    """The states of the first episode as `trace --json` prints them, with actions and rewards."""
    out = []
    for line in lines.splitlines():
        out.append(json.loads(line))
        if out[-1].get("done"):
            break
    return out


def cells_of(state):
    """(row, column) -> what stands there, by the rules of docs/gridworlds.md."""
    cells = {}
    foods, players = state["foods"], state["players"]
    for y, x, level in zip(foods[0::3], foods[1::3], foods[2::3]):
        if y >= 0:
            cells[y, x] = f"{level:x}"
    for i, (y, x, level) in enumerate(zip(players[0::3], players[1::3], players[2::3])):
        here = cells.get((y, x))
        cells[y, x] = here[0] + "+" if here else "ABCDEF"[i] + f"{level:x}"
    return cells


def reward(value):
    return f"{value:.4g}"


def said(one):
    """The agents' words of a frame: name, action, reward."""
    if "actions" not in one:
        return [["ABCDEF"[i]] for i in range(len(one["state"]["players"]) // 3)]
    return [["ABCDEF"[i], ACTIONS[a], reward(r)]
            for i, (a, r) in enumerate(zip(one["actions"], one["rewards"]))]


def check_frames(name, text, played):
    frames = text.split("\n\n")
    check(f"{name}: number of frames", len(frames) == len(played), f"{len(frames)}, {len(played)}")
    for frame, one in zip(frames, played):
        lines = frame.strip("\n").split("\n")
        title = f"lbf, t {one['t']}" if "actions" in one else "lbf, start"
        box = [i for i, line in enumerate(lines) if line.startswith("+-")]
        cells = {}
        for y, line in enumerate(lines[box[0] + 1:box[1]]):
            for x in range((len(line) - 3) // 3):
                word = line[2 + 3 * x:4 + 3 * x].strip()
                if word != ".":
                    cells[y, x] = word
        words = " ".join(lines[box[1] + 1:]).split()
        wanted = [word for agent in said(one) for word in agent]
        ok = lines[0] == title and cells == cells_of(one["state"]) and words == wanted
        check(f"{name}: {title}", ok, f"{frame}\n{one}")
        if not ok:
            break


def seen(element, share):
    """Whether an element is seen at this share of the animation's duration."""
    opacity = element.get("opacity", "1")
    for animation in element.findall(SVG + "animate"):
        assert animation.get("attributeName") == "opacity"
        assert animation.get("calcMode") == "discrete"
        assert animation.get("repeatCount") == "indefinite"
        times = [float(t) for t in animation.get("keyTimes").split(";")]
        values = animation.get("values").split(";")
        assert times[0] == 0 and times == sorted(set(times)) and times[-1] < 1
        assert len(times) == len(values)
        assert values[0] == opacity  # what a viewer without animations shows
        opacity = [v for v, t in zip(values, times) if t <= share][-1]
    return opacity == "1"


def check_svg(name, path, played, fps, limit):
    with open(path, encoding="ascii") as file:
        text = file.read()
    root = ElementTree.fromstring(text)
    check(f"{name}: root", root.tag == SVG + "svg")
    tags = {element.tag.replace(SVG, "") for element in root.iter()}
    check(f"{name}: nothing but shapes, texts and their animation",
          tags <= {"svg", "title", "desc", "defs", "g", "rect", "text", "tspan", "path", "use",
                   "animate"}, tags)
    check(f"{name}: nothing from elsewhere",
          text.count("http") == 1 and "url(" not in text and "<!" not in text and "<?" not in text)
    check(f"{name}: size", len(text) < limit, f"{len(text)} bytes, limit {limit}")
    check(f"{name}: number of frames",
          root.find(SVG + "desc").text == f"{len(played)} frames, {fps} a second")
    duration = {a.get("dur") for a in root.iter(SVG + "animate")}
    total = len(played) + fps  # a second's rest
    check(f"{name}: duration", duration == {f"{total / fps:.6g}s"}, duration)

    glyphs = {g.get("id"): "".join(g.find(SVG + "text").itertext())
              for g in root.find(SVG + "defs")}
    left, top, side = 14, 44, 36
    for k, one in enumerate(played):
        share = (k + 0.5) / total
        cells = {}
        for use in root.findall(SVG + "use"):
            if seen(use, share):
                y, x = (int(use.get("y")) - top) / side, (int(use.get("x")) - left) / side
                assert (y, x) not in cells, "two things in one cell"
                cells[y, x] = glyphs[use.get("href")[1:]]
        texts = sorted((int(t.get("y")), int(t.get("x")), t.text)
                       for t in root.findall(SVG + "text") if seen(t, share))
        head = "".join(word for y, x, word in texts if y == 28)
        words = [word for y, x, word in texts if y > 28]
        wanted = [word for agent in said(one) for word in agent]
        title = f"lbft{one['t']}" if "actions" in one else "lbfstart"
        ok = cells == cells_of(one["state"]) and head == title and words == wanted
        check(f"{name}: frame {k}", ok, f"{cells}\n{texts}\n{one}")
        if not ok:
            break
    rest = [seen(e, 0.9999) for e in root.iter() if e.find(SVG + "animate") is not None]
    last = [seen(e, (len(played) - 0.5) / total) for e in root.iter()
            if e.find(SVG + "animate") is not None]
    check(f"{name}: rests on the last frame", rest == last)


def main():
    with tempfile.TemporaryDirectory() as folder:
        for name, text in [("state", STATE), ("script", SCRIPT)]:
            with open(os.path.join(folder, name), "w") as file:
                file.write(text)
        small = [word.replace("{d}", folder) for word in SMALL]
        text = run(*small, "--render")
        check("frames by hand", text == GOLDEN, text)
        check("--steps 2", run(*small, "--render", "--steps", "2").split("\n\n")
              == GOLDEN.split("\n\n")[:2] + [GOLDEN.split("\n\n")[2] + "\n"])
        check("two agents in one cell", "A+" in run(*LONG[1], "--render"))

        last = GOLDEN.split("\n\n")[-1]
        colored = in_terminal([*small, "--render", "--fps", "60"], 24)
        check("terminal: each frame over the last", on_screen(colored) == last, repr(colored))
        check("terminal: 5 times up", colored.count("\033[9A") == 5, repr(colored))
        # The nearest of the palette to 0x0072B2: levels 0, 1 and 3 of the 6 x 6 x 6 cube.
        check("terminal: A's colour", f"\033[1;38;5;{16 + 6 * 1 + 3}mA1\033[0m" in colored,
              repr(colored))
        plain = in_terminal([*small, "--render", "--fps", "60"], 24, NO_COLOR="1")
        check("NO_COLOR: no colour, but in place",
              on_screen(plain) == last and "m" not in "".join(re.findall(r"\033\[[\d;]*\w", plain)),
              repr(plain))
        low = in_terminal([*small, "--render", "--fps", "60"], 9)
        check("a terminal too low: one after another", re.sub(r"\033\[[\d;]*\w", "", low) == GOLDEN,
              repr(low))
        dumb = in_terminal([*small, "--render", "--fps", "60"], 24, TERM="dumb")
        check("TERM=dumb: plain", dumb == GOLDEN, repr(dumb))

        path = os.path.join(folder, "picture.svg")
        said_so = run(*small, "--svg", path, "--fps", "2")
        check("--svg says what it wrote", said_so == f"{path}: 6 frames\n", said_so)
        check_svg("svg by hand", path, states(run(*small)), 2, 12_000)
        check("--svg with --render", run(*small, "--svg", path, "--render") == GOLDEN)
        for number, words in enumerate(LONG):
            played = states(run(*words))
            check(f"long {number}: is long", len(played) > 40, len(played))
            check_frames(f"long {number}", run(*words, "--render"), played)
            run(*words, "--svg", path)
            check_svg(f"long svg {number}", path, played, 4, [30_000, 120_000][number])
        run(*small, "--svg", path, "--steps", "0")
        check("--steps 0: one frame, nothing moves",
              not list(ElementTree.parse(path).getroot().iter(SVG + "animate")))

        # Learnt tables, with the experiment's settings. No episode of random play meets this
        # max_steps, which the learner would take for an end without reward.
        config = os.path.join(folder, "q.toml")
        with open(config, "w") as file:
            file.write('[experiment]\nruns = 2\nsave_tables = true\n[env]\nname = "lbf"\n'
                       'size = [5, 5]\nplayers = 1\nmax_player_level = 1\nmax_steps = 60000\n'
                       '[learner]\n'
                       'name = "q_learning"\nalpha = 0.5\ngamma = 0.9\n'
                       'exploration = { start = 1.0, decay_rate = 0.0 }\n'
                       '[stop]\nmax_steps = 300000\n')
        run("run", config, "--out", os.path.join(folder, "q"), "--quiet")
        learnt = [states(run("trace", "lbf", "--policy", os.path.join(folder, "q"), "--seed", str(s)))
                  for s in range(20)]
        # A cell beside a food of the inner grid is at most 5 moves away, then the agent loads; the
        # first line is the beginning.
        check("learnt policies take the shortest way",
              all(one[-1].get("done") and len(one) <= 7 for one in learnt),
              [len(one) for one in learnt])
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    CUMARL = os.path.abspath(sys.argv[1])
    main()
