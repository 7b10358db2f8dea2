#!/usr/bin/env python3
"""Bad input on the command line: each case must end with the right exit status, say what is wrong on
one line of standard error, print nothing on standard output and write nothing.

usage: bad_input_test.py CUMARL [WORD...]     with WORDs: only the cases whose names hold one

Only the standard library is used. The last line reads "N passed, N failed"; the exit status is 1 if
a case failed.
"""
import os
import subprocess
import sys
import tempfile

BASE = """\
[experiment]
name = "bad-input"
runs = 2
seed = 1
[env]
name = "bertrand_logit"
firms = 2
prices = 5
memory = 1
[learner]
name = "q_learning"
alpha = 0.15
gamma = 0.95
exploration = { kind = "epsilon_greedy", start = 1.0, decay_rate = 4e-6 }
[stop]
stable_periods = 100
max_steps = 1000
"""
MATRIX = """\
[env]
name = "matrix_game"
game = "climbing"
[learner]
name = "q_learning"
gamma = 0.5
[stop]
max_steps = 10
"""
USAGE = "See `cumarl --help`."

CASES = []


def case(name, arguments, fragments, status=2, usage=False, files=None):
    """A command line. In arguments and fragments {d} is the folder of the files."""
    CASES.append(dict(name=name, arguments=arguments, fragments=fragments, status=status,
                      usage=usage, files=files or {}))


def config(name, old, new, fragments, status=2, base=BASE, more=()):
    """A run of the base configuration with `old` replaced by `new`."""
    assert base.count(old) == 1, (name, old)
    text = base.replace(old, new)
    case(name, ["run", "{d}/bad.toml", *more], fragments, status, files={"bad.toml": text})


def given(name, assignment, fragments, status=2, base=BASE):
    """A run of the base configuration with one --set."""
    case("--set " + name, ["run", "{d}/good.toml", "--set", assignment], fragments, status,
         files={"good.toml": base})


# ---- the configuration: keys -------------------------------------------------------------------
config("unknown key", "alpha = 0.15", "alhpa = 0.15",
       ["bad.toml:12: learner.alhpa: unknown key", 'did you mean "learner.alpha"?'])
config("unknown key of a sub-table", "decay_rate = 4e-6", "decay_rat = 4e-6",
       ["bad.toml:14: learner.exploration.decay_rat: unknown key",
        '"learner.exploration.decay_rate"'])
config("unknown table", "[stop]", "[stpo]", ["bad.toml:15: stpo", "unknown", '"stop"'])
config("key of another table", "memory = 1", "memory = 1\ngamma = 0.9",
       ["bad.toml:10: env.gamma: unknown key", '"learner.gamma"'])
config("key outside of any table", "[experiment]", "runs = 3\n[experiment]",
       ["bad.toml:1: runs"])
config("key of another environment", "firms = 2", "game = \"climbing\"\nfirms = 2",
       ["bad.toml:7: env.game: unknown key"])
config("unknown environment", '"bertrand_logit"', '"bertrand_logti"',
       ['bad.toml:6: env.name = "bertrand_logti"', '"bertrand_logit"', "lbf"])
config("unknown learner", '"q_learning"', '"q_lerning"',
       ['bad.toml:11: learner.name = "q_lerning"', 'did you mean "q_learning"?'])
config("no environment", 'name = "bertrand_logit"\n', "", ["env.name", "is missing", "matrix_game"])
config("no learner", 'name = "q_learning"\n', "", ["learner.name", "is missing", "q_learning"])
case("empty file", ["run", "{d}/bad.toml"], ["bad.toml", "env.name", "is missing"],
     files={"bad.toml": ""})

# ---- the configuration: types and ranges -------------------------------------------------------
config("wrong type: string for a number", "alpha = 0.15", 'alpha = "much"',
       ['bad.toml:12: learner.alpha = "much"', "must be a number from 0 to 1"])
config("wrong type: number for a string", 'name = "q_learning"', "name = 3",
       ["bad.toml:11: learner.name = 3", "must be one of"])
config("wrong type: table for a number", "alpha = 0.15", "alpha = { start = 1 }",
       ["bad.toml:12: learner.alpha", "must be a number from 0 to 1"])
config("wrong type: number for a table",
       'exploration = { kind = "epsilon_greedy", start = 1.0, decay_rate = 4e-6 }',
       "exploration = 0.1", ["bad.toml:14: learner.exploration = 0.1", "must be a table"])
config("wrong type: real for a whole number", "firms = 2", "firms = 2.5",
       ["bad.toml:7: env.firms = 2.5", "must be a whole number from 2 to 6"])
config("wrong type: 1e3 for a whole number", "max_steps = 1000", "max_steps = 1e3",
       ["bad.toml:17: stop.max_steps = 1000.0", "whole number", "(write 1000)"])
config("wrong type: number for true or false", "seed = 1", "seed = 1\nsave_tables = 1",
       ["bad.toml:5: experiment.save_tables = 1", "must be true or false"])
config("wrong type: list of words", "firms = 2", 'firms = 2\nquality = [2.0, "two"]',
       ['bad.toml:8: env.quality[1] = "two"', "must be a number from -100 to 100"])
config("a table is given as a number", "[stop]\nstable_periods = 100\nmax_steps = 1000\n", "",
       ["bad.toml:1: stop", "must be a table"], base="stop = 3\n" + BASE)
config("out of range: too large", "firms = 2", "firms = 9",
       ["bad.toml:7: env.firms = 9", "must be a whole number from 2 to 6"])
config("out of range: 0 firms", "firms = 2", "firms = 0",
       ["bad.toml:7: env.firms = 0", "from 2 to 6"])
config("out of range: learning rate", "alpha = 0.15", "alpha = 1.5",
       ["bad.toml:12: learner.alpha = 1.5", "from 0 to 1"])
config("out of range: discount factor", "gamma = 0.95", "gamma = -0.1",
       ["bad.toml:13: learner.gamma = -0.1", "from 0 to 1"])
config("out of range: epsilon above 1", "start = 1.0", "start = 1.5",
       ["bad.toml:14: learner.exploration.start = 1.5", "from 0 to 1"])
config("out of range: end above start", "start = 1.0", "start = 0.5, end = 0.6",
       ["bad.toml:14: learner.exploration.end = 0.6", "exploration.start"])
config("out of range: 0 steps", "max_steps = 1000", "max_steps = 0",
       ["bad.toml:17: stop.max_steps = 0", "1 to"])
config("negative runs", "runs = 2", "runs = -5",
       ["bad.toml:3: experiment.runs = -5", "must be a whole number from 1"])
config("0 runs", "runs = 2", "runs = 0", ["bad.toml:3: experiment.runs = 0", "from 1"])
config("negative memory", "memory = 1", "memory = -1",
       ["bad.toml:9: env.memory = -1", "from 0 to 8"])
config("whole number of 30 digits", "runs = 2", "runs = 999999999999999999999999999999",
       ["bad.toml:3"])
config("whole number beyond int", "firms = 2", "firms = 5_000_000_000",
       ["bad.toml:7: env.firms = 5000000000", "from 2 to 6"])
config("nan", "alpha = 0.15", "alpha = nan", ["bad.toml:12: learner.alpha", "nan"])
config("infinity", "gamma = 0.95", "gamma = inf", ["bad.toml:13: learner.gamma", "inf"])
config("a date", "seed = 1", "seed = 2020-01-01", ["bad.toml:4: experiment.seed"])
config("unknown choice", '"epsilon_greedy"', '"epsilon_gredy"',
       ['bad.toml:14: learner.exploration.kind = "epsilon_gredy"', "boltzmann",
        'did you mean "epsilon_greedy"?'])
config("unknown table type", "alpha = 0.15", 'alpha = 0.15\ntable = "float16"',
       ['bad.toml:13: learner.table = "float16"', "fixed28", "float64"])
config("unknown game", '"climbing"', '"climbign"',
       ['bad.toml:3: env.game = "climbign"', 'did you mean "climbing"?'], base=MATRIX)

# ---- the configuration: what does not fit together ---------------------------------------------
config("ragged payoffs", 'game = "climbing"', "payoffs = [[[1, 2], [3]], [[1, 2], [3, 4]]]",
       ["bad.toml:3: env.payoffs", "ragged"], base=MATRIX)
config("payoffs of the wrong depth", 'game = "climbing"', "payoffs = [1, 2, 3]",
       ["bad.toml:3: env.payoffs", "one table a player"], base=MATRIX)
config("empty payoffs", 'game = "climbing"', "payoffs = []", ["bad.toml:3: env.payoffs", "empty"],
       base=MATRIX)
config("word among payoffs", 'game = "climbing"', 'payoffs = [[1, "x"], [3, 4]]',
       ["bad.toml:3: env.payoffs[0][1]", "must be a number"], base=MATRIX)
config("other_payoffs without payoffs", 'game = "climbing"', "other_payoffs = [[1, 2], [3, 4]]",
       ["bad.toml:3: env.other_payoffs", "needs payoffs"], base=MATRIX)
config("three costs for two firms", "firms = 2", "firms = 2\ncost = [1, 1, 1]",
       ["bad.toml:8: env.cost", "one a firm (2)", "not 3"])
config("no price range", "firms = 2", "firms = 2\nxi = [0.0, -1.0]",
       ["bad.toml:8: env.xi", "no price range"])
config("three learners for two firms", "[learner]\n",
       '[[learner]]\nname = "q_learning"\n[[learner]]\nname = "q_learning"\n[[learner]]\n',
       ["bad.toml", "one [learner]", "(2)", "not 3"])
config("fixed28 with 40 actions", "prices = 5", "prices = 40", 
       ["bad.toml:12: learner.table", "16 actions", "float32"],
       base=BASE.replace("alpha = 0.15", 'table = "fixed28"'))
config("fixed28 without discounting", "gamma = 0.95", 'gamma = 1.0\ntable = "fixed28"',
       ["bad.toml:14: learner.table", "gamma below 1"])
config("expected start without discounting", "gamma = 0.95",
       'gamma = 1.0\ninit = { kind = "expected" }', ["bad.toml:14: learner.init.kind", "gamma < 1"])
config("uniform start without a range", "gamma = 0.95", 'gamma = 0.95\ninit.kind = "uniform"',
       ["learner.init.high", "above init.low"])
config("action beyond the grid", "gamma = 0.95",
       'gamma = 0.95\ninit = { kind = "fixed_rivals", action = 99 }',
       ["bad.toml:14: learner.init.action = 99", "below the number of actions, 5"])
config("trained start without a folder", "gamma = 0.95",
       'gamma = 0.95\ninit = { kind = "trained", from = "nowhere" }',
       ["bad.toml:14: learner.init.from", "nowhere"])
config("random play never converges", 'name = "q_learning"', 'name = "random"',
       ["bad.toml", "stop.stable_periods"], base="[env]\nname = \"bertrand_logit\"\nprices = 5\n"
       "[stop]\nstable_periods = 5\n[learner]\nname = \"q_learning\"\n")
config("table too large for memory", "firms = 2\nprices = 5", "firms = 6\nprices = 128",
       ["bad.toml", "env.", "2^"])
config("histories beyond 2^24", "memory = 1", "memory = 8",
       ["bad.toml:9: env.memory = 8", "2^24"], base=BASE.replace("prices = 5", "prices = 15"))
config("payoff table of 129 columns", 'game = "climbing"',
       "payoffs = [[" + ",".join(["1"] * 129) + "]]", ["bad.toml:3: env.payoffs", "128"],
       base=MATRIX)
config("tables without --out", "seed = 1", "seed = 1\nsave_tables = true",
       ["experiment.save_tables", "--out"])

# ---- the sweep ---------------------------------------------------------------------------------
def sweep(name, line, fragments):
    case("sweep: " + name, ["run", "{d}/bad.toml"], ["bad.toml:19: sweep", *fragments],
         files={"bad.toml": BASE + "[sweep]\n" + line + "\n"})


sweep("unknown key", '"learner.alhpa" = [0.1, 0.2]', ["learner.alhpa", "unknown", '"learner.alpha"'])
sweep("empty list", '"learner.alpha" = []', ["at least one value"])
sweep("step of 0", '"learner.alpha" = { start = 0, stop = 1, step = 0 }', ["step must not be 0"])
sweep("wrong sign", '"learner.alpha" = { start = 0, stop = 1, step = -0.1 }', ["wrong sign"])
sweep("no stop", '"learner.alpha" = { start = 0, step = 0.1 }', ["has no stop"])
sweep("misspelt step", '"learner.alpha" = { start = 0, stop = 1, setp = 0.1 }', ['"step"'])
sweep("too many values", '"learner.alpha" = { start = 0, stop = 1, step = 1e-12 }', ["10000000"])
sweep("a number", '"learner.alpha" = 0.1', ["list of values"])
sweep("count of 1", '"learner.alpha" = { start = 0, stop = 1, count = 1 }', ["count", "from 2 to"])
sweep("count and step", '"learner.alpha" = { start = 0, stop = 1, count = 2, step = 1 }',
      ["step and count do not go together"])
sweep("logarithm of 0", '"learner.alpha" = { start = 0, stop = 1, count = 2, scale = "log" }',
      ["1e-300 to 1e300"])
sweep("misspelt scale", '"learner.alpha" = { start = 0.1, stop = 1, count = 2, scale = "lgo" }',
      ["one of linear, log", '"log"'])
sweep("no samples", '"learner.alpha" = { random = [0.1, 0.2] }', ["needs sweep.samples"])
sweep("reversed draws", '"learner.alpha" = { random = [0.2, 0.1] }\nsamples = 3', ["low is above high"])
sweep("draws for a whole number", '"env.prices" = { random = [5, 7.5] }\nsamples = 3',
      ["between whole numbers"])
sweep("idle samples", 'samples = 3\n"learner.alpha" = [0.1]', ["sweep.samples = 3", "nothing to act on"])
sweep("samples of 0", 'samples = 0\n"learner.alpha" = { random = [0.1, 0.2] }',
      ["sweep.samples = 0", "from 1 to 10000000"])
sweep("misspelt design", 'design = "latin_hypercubes"\nsamples = 2\n"learner.alpha" = { random = [0, 1] }',
      ["sweep.design", '"latin_hypercube"'])
sweep("zip of unequal lengths", 'zip = ["learner.alpha", "learner.gamma"]\n"learner.alpha" = [0.1, 0.2]\n'
      '"learner.gamma" = [0.5]', ["sweep.zip", "learner.alpha has 2 values, and learner.gamma has 1"])
sweep("zip of a key that is not swept", 'zip = ["learner.alpha", "learner.gama"]\n'
      '"learner.alpha" = [0.1]\n"learner.gamma" = [0.5]', ["learner.gama is not swept", '"learner.gamma"'])
case("sweep: a draw out of range", ["run", "{d}/bad.toml"], ["bad.toml:19: learner.alpha = ", "from 0 to 1"],
     files={"bad.toml": BASE + '[sweep]\n"learner.alpha" = { random = [3, 4] }\nsamples = 2\n'})
case("sweep: value out of range", ["run", "{d}/bad.toml"], ["learner.alpha = 7", "from 0 to 1"],
     files={"bad.toml": BASE + '[sweep]\n"learner.alpha" = [0.1, 7]\n'})

# ---- files that are none -----------------------------------------------------------------------
case("missing file", ["run", "{d}/absent.toml"], ["absent.toml", "cannot be opened"])
case("file is a directory", ["run", "{d}"], ["is a directory"])
case("not TOML", ["run", "{d}/bad.toml"], ["bad.toml:2"],
     files={"bad.toml": "[env]\nname = = 3\n"})
case("unclosed string", ["run", "{d}/bad.toml"], ["bad.toml:2"],
     files={"bad.toml": '[env]\nname = "lbf\n'})
case("unclosed table", ["run", "{d}/bad.toml"], ["bad.toml:1"], files={"bad.toml": "[env\n"})
case("[;", ["run", "{d}/bad.toml"], ["bad.toml:1"], files={"bad.toml": "[;"})
case("key twice", ["run", "{d}/bad.toml"], ["bad.toml:3"],
     files={"bad.toml": '[env]\nname = "lbf"\nname = "lbf"\n'})
case("byte outside of ASCII", ["run", "{d}/bad.toml"], ["bad.toml:1"],
     files={"bad.toml": b"# caf\xc3\xa9\n[env]\n"})
case("zero bytes", ["run", "{d}/bad.toml"], ["bad.toml:1"], files={"bad.toml": bytes(100)})
case("JSON", ["run", "{d}/bad.toml"], ["bad.toml:1"], files={"bad.toml": '{"env": 3}\n'})
case("17 MiB", ["run", "{d}/bad.toml"], ["larger than 16 MiB"],
     files={"bad.toml": "#" * (17 << 20)})

# ---- --set, --runs, --shard, --out, --device ---------------------------------------------------
given("unknown key", "learner.alhpa=0.1", ["--set learner.alhpa=0.1", "unknown", '"learner.alpha"'])
given("out of range", "learner.alpha=2", ["--set learner.alpha=2", "must be a number from 0 to 1"])
given("wrong type", "learner.alpha=x", ["--set learner.alpha=x", "must be a number from 0 to 1"])
given("no value", "learner.alpha=", ["--set learner.alpha=", "has no value"])
given("no =", "learner.alpha", ["--set learner.alpha", "must be key=value"])
given("no key", "=3", ["--set =3", "is no key"])
given("open bracket", "env.quality=[1, 2", ["--set env.quality=[1, 2"])
given("nan", "learner.alpha=nan", ["--set learner.alpha=nan"])
given("line end", "learner.alpha=1\nenv.firms=3", ["--set", "line end"])
given("no such learner", "learner[4].alpha=0.1", ["learner[4]", "no such table"])
given("a table by a number", "env=3", ["--set env=3", "is a table"])
GOOD = {"good.toml": BASE}
RUN = ["run", "{d}/good.toml"]
case("negative --runs", [*RUN, "--runs", "-1"], ["--runs"], usage=True, files=GOOD)
case("--runs 0", [*RUN, "--runs", "0"], ["--runs"], usage=True, files=GOOD)
case("--runs of a word", [*RUN, "--runs", "many"], ["--runs"], usage=True, files=GOOD)
case("negative --seed", [*RUN, "--seed", "-1"], ["--seed"], usage=True, files=GOOD)
case("--threads 0", [*RUN, "--threads", "0"], ["--threads"], usage=True, files=GOOD)
case("negative --batch", [*RUN, "--batch", "-3"], ["--batch"], usage=True, files=GOOD)
for shard in ["4/4", "-1/4", "1", "1/0", "a/b", "0/4x", "1/4/2", ""]:
    case(f"--shard '{shard}'", [*RUN, "--shard", shard], ["--shard", "I/N"], files=GOOD)
case("device that is not there", [*RUN, "--device", "cuda:99"],
     ['device "cuda:99" is not there', "present: cpu"], status=3, files=GOOD)
case("device of another kind", [*RUN, "--device", "tpu"],
     ['device "tpu" is not there', "cuda:I", "present: cpu"], status=3, files=GOOD)
case("device with a bad number", [*RUN, "--device", "cuda:x"], ['device "cuda:x"'], status=3,
     files=GOOD)
case("--out is a file", [*RUN, "--out", "{d}/good.toml"], ["--out", "is a file"], files=GOOD)
case("--out under a file", [*RUN, "--out", "{d}/good.toml/results"],
     ["--out", "good.toml"], files=GOOD)

# ---- usage -------------------------------------------------------------------------------------
case("no command", [], ["subcommand"], usage=True)
case("unknown command", ["rnu", "x.toml"], ["rnu", 'did you mean "run"'])
case("unknown option", [*RUN, "--runz", "3"], ["--runz"], usage=True, files=GOOD)
case("run without a file", ["run"], ["CONFIG"], usage=True)
case("option without its value", [*RUN, "--seed"], ["--seed"], usage=True, files=GOOD)
case("list of nothing known", ["list", "envz"], ["envz", "experiments", 'did you mean "envs"?'])
case("list without a word", ["list"], ["WHAT"], usage=True)
case("describe an unknown name", ["describe", "q_learnign"],
     ["q_learnign", 'did you mean "q_learning"?'])
case("bench of an unknown name", ["bench", "pricng"], ["pricng", 'did you mean "pricing"?'])
case("bench on a missing device", ["bench", "pricing", "--device", "cuda:99"], ["cuda:99"], status=3)
case("bench with 0 repeats", ["bench", "pricing", "--repeats", "0"], ["--repeats"], usage=True)
case("reproduce an unknown name", ["reproduce", "calvano2020-baselin"],
     ["calvano2020-baselin", 'did you mean "calvano2020-baseline"?'])
case("reproduce with a missing golden file",
     ["reproduce", "calvano2020-exact", "--golden", "{d}/absent.csv"], ["absent.csv"])
case("reproduce with an empty golden file",
     ["reproduce", "calvano2020-exact", "--golden", "{d}/empty.csv"], ["empty.csv"],
     files={"empty.csv": ""})

# ---- trace -------------------------------------------------------------------------------------
TRACE = ["trace", "matrix_game", "--set", "env.game=climbing"]
case("trace of an unknown environment", ["trace", "lbff"], ["lbff", 'did you mean "lbf"?'])
case("trace: unknown key", ["trace", "lbf", "--set", "env.food=3"],
     ["env.food", "unknown", '"env.foods"'])
case("trace: out of range", ["trace", "lbf", "--set", "env.players=7"],
     ["env.players=7", "from 1 to 6"])
case("trace: negative steps", [*TRACE, "--steps", "-3"], ["--steps"], usage=True)
case("trace: unknown policy", [*TRACE, "--policy", "greedy"],
     ["--policy greedy", '"random"', "folder of an experiment"])
case("trace: policies of another environment", ["trace", "lbf", "--policy", "{d}"],
     ["config.toml:6", "env.name", "are not for lbf"], files={"config.toml": BASE})
case("trace: an experiment without tables", ["trace", "bertrand_logit", "--policy", "{d}"],
     ["--policy", "tables.bin", "save_tables"], files={"config.toml": BASE})
case("trace: tables cut short", ["trace", "bertrand_logit", "--policy", "{d}"],
     ["--policy", "tables.bin"], files={"config.toml": BASE, "tables.bin": b"\0" * 40})
LBF = ["trace", "lbf", "--steps", "3"]
case("trace: --render of an environment without a picture", [*TRACE, "--render"],
     ["trace matrix_game: has no picture; environments with one: ", "lbf"])
case("trace: --svg of an environment without a picture", [*TRACE, "--svg", "{d}/x.svg"],
     ["trace matrix_game: has no picture; environments with one: ", "lbf"])
case("trace: --render with --json", [*LBF, "--render", "--json"], ["--json", "--render"], usage=True)
case("trace: --svg with --json", [*LBF, "--svg", "{d}/x.svg", "--json"], ["--json", "--svg"],
     usage=True)
for fps in ["0", "-1", "61", "1e3", "nan", "fast", ""]:
    case(f"trace: --fps '{fps}'", [*LBF, "--render", "--fps", fps], ["--fps"], usage=True)
case("trace: --fps without a picture", [*LBF, "--fps", "3"], ["--fps", "needs --render or --svg"])
case("trace: --svg without a file", [*LBF, "--svg"], ["--svg"], usage=True)
case("trace: --svg of an empty name", [*LBF, "--svg", ""], ["--svg", "must be a file"])
case("trace: --svg is a folder", [*LBF, "--render", "--svg", "{d}"], ["--svg", "must be a file"])
case("trace: --svg under a file", [*LBF, "--render", "--svg", "{d}/file/x.svg"],
     ["--svg", "cannot be written"], files={"file": ""})
case("trace: --svg where nobody can write", [*LBF, "--render", "--svg", "/proc/x.svg"],
     ["--svg /proc/x.svg", "cannot be written"])
case("trace: --svg of too long an episode",
     ["trace", "lbf", "--set", "env.max_steps=65535", "--steps", "60000", "--set",
      "env.max_food_level=15", "--set", "env.min_food_level=15", "--svg", "{d}/x.svg"],
     ["--svg", "10000", "--steps"])
case("trace: missing actions", [*TRACE, "--actions", "{d}/absent"], ["absent", "cannot be read"])
case("trace: actions are a directory", [*TRACE, "--actions", "{d}"], ["cannot be read"])


def actions(name, text, fragments):
    case("trace: " + name, [*TRACE, "--actions", "{d}/actions", "--steps", "10"], fragments,
         files={"actions": text})


actions("action beyond the last", "0,1\n1,3\n",
        ["actions:2", "action 1 must be a whole number from 0 to 2"])
actions("negative action", "0,-1\n", ["actions:1", "from 0 to 2"])
actions("too few actions", "0,1\n2\n", ["actions:2", "one action an agent, 2"])
actions("too many actions", "0,1,2\n", ["actions:1", "more than 2 actions"])
actions("words for actions", "north,south\n", ["actions:1", "whole number from 0 to 2"])
actions("semicolons", "0;1\n", ["actions:1", "comma"])
actions("action of 30 digits", "0," + "9" * 30 + "\n", ["actions:1", "from 0 to 2"])


def state(name, text, fragments, env=("trace", "lbf", "--set", "env.size=[5,5]")):
    case("trace: " + name, [*env, "--state", "{d}/state"], fragments, files={"state": text})


state("state is no JSON", "players: 3", ["state", "no JSON object"])
state("state is a list", "[1, 2]", ["state", "no JSON object"])
state("state lacks a key", '{"foods": [0]}', ["state", "players", "missing"])
state("state with a list too long", '{"history": [1, 2, 3], "period": 0}',
      ["history", "1 values, not 3"], ("trace", "matrix_game", "--set", "env.memory=1"))
state("state of reals", '{"history": 0.5, "period": 0}', ["history", "whole numbers"],
      ("trace", "matrix_game", "--set", "env.memory=1"))
state("state out of range", '{"history": 123456, "period": 0}', ["history"],
      ("trace", "matrix_game", "--set", "env.memory=1"))
state("negative state", '{"history": -1, "period": 0}', ["history"],
      ("trace", "matrix_game", "--set", "env.memory=1"))
case("trace: state off the grid", ["trace", "lbf", "--state", "{d}/state"], ["state", "players"],
     files={"state": '{"players": [99, 99, 1, 0, 0, 1], "foods": [3, 3, 1], "step": 0, "spawned": 1}'})
case("trace: missing state", [*TRACE, "--state", "{d}/absent"], ["absent", "cannot be read"])

# ---- solve and .nfg files ----------------------------------------------------------------------
NFG = 'NFG 1 R "g" { "A" "B" } { 2 2 }\n\n3 3 5 0 0 5 1 1\n'
case("solve: unknown game", ["solve", "stag_hint"], ["solve = stag_hint", 'did you mean "stag_hunt"?'])
case("solve: unknown concept", ["solve", "stag_hunt", "--concept", "nsh"], ["nash, minimax, ce, cce"])
case("solve: no such file", ["solve", "{d}/none.nfg"], ["none.nfg"], status=1)
case("solve: unknown setting", ["solve", "penalty", "--set", "env.penalti=-3"],
     ["env.penalti", '"env.penalty"'])
case("solve: setting of a file", ["solve", "{d}/g.nfg", "--set", "env.penalty=-3"],
     ["a file has no settings"], files={"g.nfg": NFG})
case("solve: a game without a table", ["solve", "public_goods"], ["no single payoff table"])
case("solve: temperature 0", ["solve", "stag_hunt", "--concept", "qre", "--temperature", "0"],
     ["--temperature"], usage=True)
case("solve: minimax for three players", ["solve", "{d}/three.nfg", "--concept", "minimax"],
     ["games of 2 players"], files={"three.nfg": 'NFG 1 R "g" { "A" "B" "C" } { 2 2 2 }\n' + "0 " * 24 + "\n"})
case("solve: more actions than the solver takes", ["solve", "{d}/big.nfg", "--concept", "minimax"],
     ["more actions than this solver takes: 20 of at most 16"],
     files={"big.nfg": 'NFG 1 R "g" { "A" "B" } { 20 2 }\n' + "0 " * 80 + "\n"})
for what, text, fragment in [
        ("empty", "", "NFG"),
        ("of another kind", "EFG 2 R", "NFG"),
        ("of version 2", NFG.replace("NFG 1", "NFG 2"), "1"),
        ("cut in its header", 'NFG 1 R "g" { "A" "B', "line 1" if False else "bad.nfg:1"),
        ("with a payoff missing", NFG.replace(" 1 1\n", " 1\n"), "bad.nfg"),
        ("with a payoff too many", NFG.replace(" 1 1\n", " 1 1 1\n"), "bad.nfg:3"),
        ("with a word for a payoff", NFG.replace("3 3 5", "3 x 5"), "bad.nfg:3"),
        ("with a fraction by 0", NFG.replace("3 3 5", "3 1/0 5"), "bad.nfg:3"),
        ("with no strategies", NFG.replace("{ 2 2 }", "{ 0 2 }"), "bad.nfg:1"),
        ("with negative strategies", NFG.replace("{ 2 2 }", "{ -2 2 }"), "bad.nfg:1"),
        ("of too many strategies", NFG.replace("{ 2 2 }", "{ 99999999 99999999 }"), "bad.nfg:1"),
        ("with seven players", 'NFG 1 R "g" { "1" "2" "3" "4" "5" "6" "7" } { 2 2 2 2 2 2 2 }\n',
         "bad.nfg:1")]:
    case(f"solve: a file {what}", ["solve", "{d}/bad.nfg"], [fragment], files={"bad.nfg": text})
config("payoffs from a malformed .nfg", 'game = "climbing"', 'payoffs = "{0}"'.format("none.nfg"),
       ["env.payoffs", "none.nfg"], base=MATRIX)
config("payoffs from a file of another kind", 'game = "climbing"', 'payoffs = "game.csv"',
       ["bad.toml:3: env.payoffs", ".nfg"], base=MATRIX)

# ---- learners and what they need ---------------------------------------------------------------
config("a learner of joint actions where they are hidden", 'game = "climbing"\n[learner]\nname = "q_learning"',
       'game = "climbing"\nhide_actions = true\n[learner]\nname = "minimax_q"',
       ["learner.name", "minimax_q", "hides"], base=MATRIX)
config("a learner of joint actions among agents who see different things",
       'name = "matrix_game"\ngame = "climbing"\n[learner]\nname = "q_learning"',
       'name = "lbf"\n[learner]\nname = "nash_q"', ["learner.name", "nash_q", "observe the same"],
       base=MATRIX)
TEAM = """\
[env]
name = "lbf"
[learner]
name = "qmix"
[stop]
max_steps = 10
"""
given("learner.batch above replay.slots", "learner.batch=513",
      ["learner.batch", "must be from 1 to replay.slots = 512"], base=TEAM)
given("learner.batch of none", "learner.batch=0", ["learner.batch=0", "from 1 to"], base=TEAM)
given("no agents for a team", "env.players=0", ["env.players=0", "from 1 to 6"], base=TEAM)
given("a reward that is no number", "env.penalty=nan", ["env.penalty"], base=TEAM)
given("recurrent utilities over single transitions", 'learner.utility.kind="gru"',
      ["learner.replay.steps", "must be above 1", "gru"], base=TEAM)
config("recurrent utilities without units", 'name = "qmix"',
       'name = "qmix"\nutility = { kind = "gru", width = 0 }\nreplay = { steps = 50 }',
       ["learner.utility.width", "from 1 to 64"], base=TEAM)
given("an unknown kind of replay", 'learner.replay.kind="sorted"',
      ["learner.replay.kind", "must be one of uniform, prioritised"], base=TEAM)
given("a priority exponent above 1", "learner.replay.exponent=1.5",
      ["learner.replay.exponent=1.5", "from 0 to 1"], base=TEAM)
config("a learning curve where an environment judges by itself", 'name = "lbf"',
       'name = "matrix_game"\ngame = "climbing"\n[evaluation]\npoints = 5',
       ["evaluation.points = 5", "must be 0"], base=TEAM)
given("more points than steps", "evaluation.points=11",
      ["evaluation.points=11", "must not be more than stop.max_steps"], base=TEAM)
config("a learner of the payoff table in a game with memory",
       'game = "climbing"\n[learner]\nname = "q_learning"\ngamma = 0.5',
       'game = "climbing"\nmemory = 1\n[learner]\nname = "regret_matching"',
       ["learner.name", "regret_matching", "without memory"], base=MATRIX)
config("hidden actions and memory", 'game = "climbing"', 'game = "climbing"\nhide_actions = true\nmemory = 1',
       ["env.memory", "must be 0"], base=MATRIX)
config("probabilities that do not sum to one", 'name = "q_learning"\ngamma = 0.5',
       'name = "fixed"\nstrategy = [0.5, 0.2, 0.2]', ["learner.strategy", "sum"], base=MATRIX)
config("points without strategies", "max_steps = 10", "max_steps = 10\n[evaluation]\npoints = 5",
       ["evaluation.points", "policy learner"], base=MATRIX)
config("points beyond the run's steps", 'name = "q_learning"\ngamma = 0.5\n[stop]\nmax_steps = 10',
       'name = "phc"\n[stop]\nmax_steps = 10\n[evaluation]\npoints = 11',
       ["evaluation.points", "max_steps"], base=MATRIX)
config("different learners and a table that is not float64", '[learner]\nname = "q_learning"\n',
       '[[learner]]\nname = "random"\n[[learner]]\nname = "q_learning"\ntable = "float32"\n',
       ["learner[1].table", "float64"], base=MATRIX)


def listing(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder)
                  for at, folders, files in os.walk(folder) for name in folders + files)


def complaints(program, one):
    """What is wrong with the answer to a case; nothing if it is right."""
    with tempfile.TemporaryDirectory() as files, tempfile.TemporaryDirectory() as work:
        for name, text in one["files"].items():
            with open(os.path.join(files, name), "wb") as file:
                file.write(text if isinstance(text, bytes) else text.encode())
        before = listing(files)
        words = [word.replace("{d}", files) for word in one["arguments"]]
        try:
            answer = subprocess.run([program, *words], cwd=work, stdin=subprocess.DEVNULL,
                                    capture_output=True, timeout=60)
        except subprocess.TimeoutExpired:
            return ["no answer within 60 s"]
        out = answer.stdout.decode(errors="replace")
        error = answer.stderr.decode(errors="replace")
        wrong = []
        if answer.returncode != one["status"]:
            wrong.append(f"exit status {answer.returncode}, not {one['status']}")
        lines = error.splitlines()
        wanted = 2 if one["usage"] else 1
        if len(lines) != wanted or not error.endswith("\n"):
            wrong.append(f"{len(lines)} lines on standard error, not {wanted}")
        if one["usage"] and (not lines or lines[-1] != USAGE):
            wrong.append(f"the last line is not: {USAGE}")
        if not error.startswith("cumarl: "):
            wrong.append("standard error does not begin with 'cumarl: '")
        if any(ord(c) < 32 and c != "\n" for c in error):
            wrong.append("a control character on standard error")
        for fragment in one["fragments"]:
            if fragment.replace("{d}", files) not in error:
                wrong.append(f"standard error lacks: {fragment}")
        if out:
            wrong.append(f"standard output is not empty: {out[:100]!r}")
        if listing(work):
            wrong.append(f"wrote {listing(work)}")
        if listing(files) != before:
            wrong.append(f"wrote beside the input: {listing(files)}")
        if wrong:
            wrong.append(f"it said: {error.strip()[:400]!r}".replace(files, "{d}"))
        return wrong


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv[1])
    if not os.access(program, os.X_OK):
        sys.exit(f"{program} is no program")
    names = [one["name"] for one in CASES]
    assert len(set(names)) == len(names), [n for n in names if names.count(n) > 1]
    chosen = [one for one in CASES
              if len(sys.argv) == 2 or any(word in one["name"] for word in sys.argv[2:])]
    failed = 0
    for one in chosen:
        wrong = complaints(program, one)
        if wrong:
            failed += 1
            print(f"FAILED: {one['name']}")
            for line in wrong:
                print(f"    {line}")
    print(f"{len(chosen) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
