#!/usr/bin/env python3
"""Pages of experiments: `cumarl report`.

usage: report_test.py CUMARL

Small experiments are run and their pages read: elements nest, pictures are XML, nothing is loaded from
elsewhere, names are escaped, every metric is there. Where Chromium is installed, pages are opened in it,
and their menus, tips and cells used. Only the standard library is needed. The last line reads
"N passed, N failed"; the exit status is 1 if a check failed.
"""
import base64
import html.parser
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
import zlib

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
SVG = "http://www.w3.org/2000/svg"

PRICING = """\
[experiment]
name = "pricing"
runs = 20
[env]
name = "bertrand_logit"
prices = 8
[learner]
name = "q_learning"
exploration = { kind = "epsilon_greedy", start = 1.0, decay_rate = 2e-4 }
[stop]
stable_periods = 2000
max_steps = 60_000
"""
GAME = """\
[experiment]
name = "game"
runs = 6
[env]
name = "matrix_game"
game = "stag_hunt"
memory = 1
[learner]
name = "q_learning"
gamma = 0.9
[stop]
max_steps = 500
"""
MATCHUP = GAME.replace("[learner]\nname = \"q_learning\"\ngamma = 0.9\n",
                       "[[learner]]\nname = \"q_learning\"\n" * 2)
SWITCH = """\
[experiment]
name = "walkers"
runs = 1
save_tables = true
[env]
name = "switch"
[learner]
name = "hysteretic_q"
gamma = 0.98
[stop]
max_steps = 20_000
"""
# Weights grow without bound: step sizes far too large.
DIVERGED = """\
[experiment]
name = "too-fast"
runs = 3
[env]
name = "lbf"
size = [5, 5]
[learner]
name = "linear_q"
alpha = 1000
[stop]
max_steps = 3000
"""
LEARNERS = '["q_learning", "hysteretic_q", "tit_for_tat"]'
EXPERIMENTS = {
    "pricing": PRICING,
    "one-run": PRICING.replace("runs = 20", "runs = 1"),
    "line": PRICING + '[sweep]\n"learner.gamma" = [0.0, 0.5, 0.9, 0.95]\n',
    "names": GAME + '[sweep]\n"env.game" = ["stag_hunt", "chicken", "prisoners_dilemma"]\n',
    "map": GAME + '[sweep]\n"learner.alpha" = [0.05, 0.1, 0.2, 0.4, 0.8]\n'
                  '"learner.gamma" = [0.0, 0.3, 0.6, 0.9]\n',
    "large-map": GAME + '[sweep]\n"learner.alpha" = { start = 0.01, stop = 0.3, step = 0.01 }\n'
                        '"learner.gamma" = { start = 0.0, stop = 0.95, step = 0.05 }\n',
    "slices": GAME + '[sweep]\n"learner.alpha" = [0.05, 0.1, 0.2, 0.4]\n'
                     '"learner.gamma" = [0.0, 0.3, 0.6, 0.9]\n"env.game" = ["stag_hunt", "chicken"]\n',
    "match-up": MATCHUP + f'[sweep]\n"learner[0].name" = {LEARNERS}\n"learner[1].name" = {LEARNERS}\n',
    "walkers": SWITCH,
    "diverged": DIVERGED,
    "script": GAME.replace('"game"\n', '"<script>alert(1)</script>"\n', 1),
}

passed = failed = 0


def check(what, ok, detail=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAILED: {what}\n{detail}")


def run(*words):
    return subprocess.run([CUMARL, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=300)


class Nesting(html.parser.HTMLParser):
    """Whether every element is closed by its own end tag, and what is loaded."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong, self.loads, self.text, self.ids = [], [], [], [], []

    def note(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
                self.loads.append((tag, name, value or ""))
            if name == "id":
                self.ids.append(value)
            if name.startswith("on"):
                self.wrong.append(f"{tag} has {name}")

    def handle_starttag(self, tag, attributes):
        self.note(tag, attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.note(tag, attributes)

    def handle_endtag(self, tag):
        if not self.open or self.open[-1] != tag:
            self.wrong.append(f"</{tag}> closes {self.open[-3:]}")
        else:
            self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


def pixels(data):
    """Width, height and palette indices of a PNG file whose checksums are right."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length:at + 12 + length])[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = zlib.decompress(chunks[b"IDAT"])
    rows = [lines[r * (width + 1):(r + 1) * (width + 1)] for r in range(height)]
    assert all(row[0] == 0 for row in rows) and len(lines) == height * (width + 1)
    return width, height, [list(row[1:]) for row in rows]


def metrics_of(folder):
    """Names and means of every cell's metrics, as `run --json` gives them."""
    with open(f"{folder}/result.json") as file:
        result = json.load(file)
    return [cell["metrics"] for cell in result.get("cells", [result])]


def read_page(name, folder):
    with open(f"{folder}/report.html", encoding="utf-8") as file:
        page = file.read()
    parser = Nesting()
    parser.feed(page)
    parser.close()
    check(f"{name}: elements nest", not parser.wrong and not parser.open, parser.wrong + parser.open)
    check(f"{name}: ids are unique", len(set(parser.ids)) == len(parser.ids))
    for tag, key, value in parser.loads:
        check(f"{name}: loads nothing", value.startswith("#") and value[1:] in parser.ids or
              value.startswith("data:image/png;base64,"), f"{tag} {key}={value[:80]}")
    for word in ("@import", "url(", "XMLHttpRequest", "fetch(", "import(", "<link", "<iframe", "eval("):
        check(f"{name}: has no {word}", word not in page)
    other = re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\"' ]*", page.replace(SVG, ""))
    check(f"{name}: names no address", not other, other)
    svgs = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    for svg in svgs:
        try:
            root = ElementTree.fromstring(svg)
        except ElementTree.ParseError as error:
            check(f"{name}: pictures are XML", False, f"{error}\n{svg[:300]}")
            continue
        title = root.find(f"{{{SVG}}}title")
        check(f"{name}: pictures have titles", root.get("role") == "img" and title is not None and
              title.text, svg[:200])
        numbers = re.findall(r'(?:\b(?:[xy][12]?|width|height|c[xy]|r|points|d)=")([^"]*)', svg)
        check(f"{name}: coordinates are numbers",
              not any(re.search("nan|inf", n) for n in numbers), svg[:300])
    text = "".join(parser.text)
    for metrics in metrics_of(folder):
        for metric in metrics:
            check(f"{name}: has {metric}", metric in text)
    return page, svgs, text


def data_of(page):
    return json.loads(re.search(r'id="cells">(.*?)</script>', page, re.DOTALL).group(1))


def browser():
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if shutil.which(name):
            return shutil.which(name)
    return None


# Uses the page as a reader does, and writes what it finds into the title.
PROBE = """<script>
const found = { errors: window.errors, menus: document.querySelectorAll('.menu select').length,
                saves: document.querySelectorAll('button.save').length };
const shown = () => [...document.querySelectorAll('.choice > [data-name]')].filter(e => !e.hidden).length;
found.shown = shown();
const select = document.querySelector('.menu select');
if (select) {
  select.value = 1;
  select.dispatchEvent(new Event('change'));
  found.second = [...select.closest('.choice').children].find(e => e.dataset.name && !e.hidden).dataset.name;
  found.wanted = select.options[1].textContent;
  select.value = 0;
  select.dispatchEvent(new Event('change'));
}
const map = document.querySelector('[data-panel]');
if (map) {
  const p = JSON.parse(map.dataset.panel), svg = map.querySelector('svg'), box = svg.getBoundingClientRect();
  const k = box.width / svg.viewBox.baseVal.width;  // the cell at the lower left
  const at = { bubbles: true, clientX: box.left + k * (p.left + 0.5 * p.width / p.columns),
               clientY: box.top + k * (p.top + p.height - 0.5 * p.height / p.rows) };
  map.dispatchEvent(new MouseEvent('mousemove', at));
  found.tip = document.getElementById('tip').textContent;
  map.dispatchEvent(new MouseEvent('click', at));
  found.chosen = document.getElementById('chosen').textContent;
  found.hidden = document.getElementById('chosen').hidden;
}
document.title = JSON.stringify(found);
</script></body>"""


def use(chromium, page, folder):
    """What PROBE found in the page."""
    path = f"{folder}/probe.html"
    catch = "<script>window.errors = []; addEventListener('error', e => errors.push(e.message));</script>"
    with open(path, "w", encoding="utf-8") as file:
        file.write(page.replace("<head>", "<head>" + catch, 1).replace("</body>", PROBE, 1))
    answer = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900",
         f"--user-data-dir={folder}/profile", "--virtual-time-budget=2000", "--dump-dom",
         f"file://{path}"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    title = re.search(r"<title>(.*?)</title>", answer.stdout, re.DOTALL)
    if title is None:
        return None, answer.stderr
    return json.loads(html.unescape(title.group(1))), answer.stderr


def pages(folder):
    """Runs every experiment and reads its page."""
    out = {}
    for name, text in EXPERIMENTS.items():
        at = f"{folder}/{name}"
        with open(f"{at}.toml", "w") as file:
            file.write(text)
        answer = run("run", f"{at}.toml", "--device", "cpu", "--out", at, "--quiet")
        if answer.returncode != 0:
            check(f"{name}: runs", False, answer.stderr)
            continue
        answer = run("report", at)
        check(f"{name}: report", answer.returncode == 0 and answer.stdout == f"{at}/report.html\n",
              answer.stderr)
        if answer.returncode == 0:
            out[name] = read_page(name, at)
    return out


def contents(folder, read):
    """What each kind of experiment must show."""
    def has(name, *words):
        for word in words:
            check(f"{name}: says {word}", word in read[name][2])

    has("pricing", "Prices after a best-response deviation", "static Nash", "monopoly", "cycle_length",
        "Distribution of profit_gain", "profit_gain over runs", "default", "pricing.toml:5")
    with open(f"{folder}/pricing/result.json") as file:
        check("pricing: result hash", json.load(file)["result_hash"] in read["pricing"][2])
    has("one-run", "one run")
    check("one-run: no distributions", "Distributions" not in read["one-run"][2])
    has("line", "learner.gamma", "static Nash", "95% interval")
    has("names", "chicken")
    has("match-up", "Match-ups", "learner of agent 0", "tit_for_tat")
    has("slices", "env.game = stag_hunt", "env.game = chicken")
    has("walkers", "What was learnt", "Agent A", "An episode")
    check("walkers: the episode is animated", "<animate " in read["walkers"][0])
    has("diverged", "diverged")
    title = re.search(r"<title>(.*?)</title>", read["script"][0], re.DOTALL).group(1)
    check("script: the name is text", title == "&lt;script&gt;alert(1)&lt;/script&gt;", title)

    # Every cell's mean stands at its place, in the data and in the picture.
    for name in ("map", "large-map"):
        data = data_of(read[name][0])
        metrics = metrics_of(f"{folder}/{name}")
        measure = next(m for m in data["measures"] if m["name"] == "return_per_step")
        means = [cell["return_per_step"]["mean"] for cell in metrics]
        check(f"{name}: means", len(means) == len(measure["mean"]) and
              all(abs(a - b) <= 1e-3 * abs(b) for a, b in zip(measure["mean"], means)))
        check(f"{name}: places", len({tuple(place) for place in data["at"]}) == len(means))
    data = data_of(read["large-map"][0])
    pictures = re.findall(r"data:image/png;base64,([^\"]*)", read["large-map"][0])
    width, height, rows = pixels(base64.b64decode(pictures[0]))
    check("large-map: size", (width, height) == (30, 20), (width, height))
    means = next(m for m in data["measures"] if m["name"] == "return_per_step")["mean"]
    low, high = min(means), max(means)
    for (column, row), mean in zip(data["at"], means):  # rows of the axis from the bottom
        wanted = 1 + (mean - low) / (high - low) * 254
        if abs(rows[height - 1 - row][column] - wanted) > 1.5:
            check("large-map: colours", False, (column, row, mean))
            break
    else:
        check("large-map: colours", True)


def commands(folder):
    """The command line: other files, and what is refused without writing anything."""
    at = f"{folder}/pricing"
    answer = run("report", at, "--out", f"{folder}/new/page.html")
    check("--out", answer.returncode == 0 and os.path.exists(f"{folder}/new/page.html"), answer.stderr)
    os.makedirs(f"{folder}/empty")
    before = sorted(os.listdir(folder))
    for words, fragment in (
            (["report", f"{folder}/missing"], "missing"),
            (["report", f"{folder}/empty"], "empty"),
            (["report", at, "--out", folder], "must be a file"),
            (["report", at, "--out", f"{at}/config.toml/page.html"], "page.html"),
            (["report"], "DIR")):
        answer = run(*words)
        check(f"{' '.join(words)}: refused", answer.returncode == 2 and not answer.stdout and
              fragment in answer.stderr and "Traceback" not in answer.stderr,
              f"{answer.returncode} {answer.stderr}")
    check("nothing was written", sorted(os.listdir(folder)) == before and
          not os.listdir(f"{folder}/empty"))


def in_browser(folder, read):
    chromium = browser()
    if chromium is None:
        print("SKIPPED: no Chromium here: pages were not opened")
        return
    for name in ("pricing", "line", "map", "large-map", "slices", "match-up", "walkers", "script"):
        found, log = use(chromium, read[name][0], folder)
        if found is None:
            print(f"SKIPPED: {name}: Chromium gave no page: {log[-200:]}")
            return
        check(f"{name}: no errors in a browser", not found["errors"], found["errors"])
        figures = len(re.findall(r"<figure", read[name][0]))
        check(f"{name}: figures can be saved", found["saves"] == figures, found)
        choices = len(re.findall('class="choice"', read[name][0]))
        check(f"{name}: a menu a choice, one figure shown", found["menus"] == choices and
              found["shown"] == choices, found)
        if choices:
            check(f"{name}: the menu changes the figure", found["second"] == found["wanted"], found)
    for name in ("map", "large-map"):
        found, _ = use(chromium, read[name][0], folder)
        data = data_of(read[name][0])
        cell = data["at"].index([0, 0])
        mean = next(m for m in data["measures"] if m["name"] == "return_per_step")["mean"][cell]
        where = ", ".join(f"{a['key']} = {a['values'][0]}" for a in data["axes"])
        check(f"{name}: the tip", found["tip"].startswith(f"{where}: {mean:.4g}"),
              (found["tip"], where, mean))
        check(f"{name}: the chosen cell", not found["hidden"] and found["chosen"].startswith(where),
              found)


if len(sys.argv) != 2:
    sys.exit(__doc__)
CUMARL = os.path.abspath(sys.argv[1])
with tempfile.TemporaryDirectory() as directory:
    every = pages(directory)
    if len(every) == len(EXPERIMENTS):
        contents(directory, every)
        commands(directory)
        in_browser(directory, every)
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
