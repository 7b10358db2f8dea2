/// \file
/// The configuration: loading, --set, reading, errors, sweeps, writing.
#include "host/src/config.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

namespace cumarl {
namespace {

using Json = nlohmann::ordered_json;

/// A component with a field of every kind.
struct SampleEnv {
  int firms = 2;
  int64_t max_steps = 1000;
  double mu = 0.25;
  bool coop = false;
  std::string label = "plain";
  std::vector<double> quality = {2.0};
  std::vector<int> size = {8, 8};
  Tensor payoffs;
  Choice kind;

  void fields(FieldVisitor& v) {
    v("firms", firms, Bounds{2, 6}, "", "number of firms");
    v("max_steps", max_steps, Bounds{1}, "steps", "episode length");
    v("mu", mu, Bounds{0.01, 10}, "", "differentiation");
    v("coop", coop, "all players have to load");
    v("label", label, "free text");
    v("quality", quality, Bounds{0, 100}, "", "one, or one a firm");
    v("size", size, Bounds{2}, "cells", "rows and columns");
    v("payoffs", payoffs, "", "nested lists");
    v.choice("kind", kind, {"cournot", "bertrand", "stackelberg"}, "kind of competition");
  }
};

struct SampleLearner {
  double alpha = 0.15;
  double gamma = 0.95;
  Choice exploration;
  double start = 1.0;
  double decay_rate = 4e-6;

  void fields(FieldVisitor& v) {
    v("alpha", alpha, Bounds{0, 1}, "", "learning rate");
    v("gamma", gamma, Bounds{0, 1}, "", "discount");
    v.choice("exploration.kind", exploration, {"epsilon_greedy", "boltzmann"}, "which");
    v("exploration.start", start, Bounds{0}, "", "at the start");
    v("exploration.decay_rate", decay_rate, Bounds{0}, "1/period", "decay");
  }
};

struct SampleExperiment {
  std::string name;
  int64_t runs = 1;
  int64_t seed = 1;

  void fields(FieldVisitor& v) {
    v("name", name, "shown in reports");
    v("runs", runs, Bounds{1}, "", "independent runs");
    v("seed", seed, Bounds{}, "", "random seed");
  }
};

struct Sample {
  SampleExperiment experiment;
  std::string env_name;
  SampleEnv env;
  std::vector<SampleLearner> learners;
};

const std::vector<std::string> kEnvs = {"bertrand_logit", "matrix_game", "lbf"};
const std::vector<std::string> kLearners = {"q_learning", "sarsa", "minimax_q"};

/// Reads all that there is, as a program would.
Sample read_all(Config& config) {
  Sample sample;
  read(config, "experiment", [&](FieldVisitor& v) { sample.experiment.fields(v); });
  sample.env_name = config.take_name("env", kEnvs);
  read(config, "env", [&](FieldVisitor& v) { sample.env.fields(v); });
  sample.learners.resize(static_cast<std::size_t>(std::max(config.count("learner"), 1)));
  for (std::size_t i = 0; i < sample.learners.size(); ++i) {
    const std::string table = "learner[" + std::to_string(i) + "]";
    config.take_name(table, kLearners);
    read(config, table, [&](FieldVisitor& v) { sample.learners[i].fields(v); });
  }
  config.reject_unknown({"experiment", "env", "learner"});
  return sample;
}

Config load(const std::string& text, const std::vector<std::string>& sets = {}) {
  Config config = Config::from_text(text, "e.toml");
  for (const std::string& set : sets) config.set(set);
  return config;
}

/// A file that is in order; `more` follows [env] and its name, on line 4.
std::string with_env(const std::string& more) {
  return "[learner]\nname = \"sarsa\"\n[env]\nname = \"lbf\"\n" + more;
}

/// The same with `more` in [learner], on line 4 too.
std::string with_learner(const std::string& more) {
  return "[env]\nname = \"lbf\"\n[learner]\nname = \"sarsa\"\n" + more;
}

// ---- bad input ----

struct BadCase {
  std::string text;
  std::vector<std::string> sets;
  std::string key;
  int line;
  std::vector<std::string> fragments;
};

std::vector<BadCase> bad_files() {
  const std::string deep_list = std::string(40, '[') + std::string(40, ']');
  std::string many_tables = "[env]\nname = \"lbf\"\n";
  for (int i = 0; i < 1001; ++i) many_tables += "[[learner]]\n";
  std::string deep_key = "a";
  for (int i = 0; i < 100'000; ++i) deep_key += ".a";
  return {
      // No TOML.
      {"[env\nfirms = 2", {}, "", 1, {"column"}},
      {"[;", {}, "", 1, {"column"}},
      {"a = ", {}, "", 1, {"column"}},
      {"= 3", {}, "", 1, {"column"}},
      {"a = 1\na = 2", {}, "", 2, {"cannot redefine"}},
      {"[env]\n\n[env]\n", {}, "", 3, {"column"}},
      {"[env]\nfirms = 2\n[[env]]\n", {}, "", 3, {"column"}},
      {"x = 'open\n", {}, "", 1, {"column"}},
      {"x = \"\"\"open\n\n", {}, "", 2, {"column"}},
      {"a = {x = 1\n}", {}, "", 1, {"column"}},
      {"a = 99999999999999999999", {}, "", 1, {"column"}},
      {"a = 0x8000000000000000", {}, "", 1, {"column"}},
      {"a = -9223372036854775809", {}, "", 1, {"column"}},
      {"a = 01", {}, "", 1, {"column"}},
      {"[env]\nlabel = \"\xC3\xA9\"", {}, "", 2, {"column 10", "0xc3", "ASCII"}},
      {"# caf\xE9", {}, "", 1, {"column 6", "0xe9"}},
      {"\xEF\xBB\xBFx = 1", {}, "", 1, {"column 1", "0xef"}},
      {std::string("a = 1\nb\0 = 2", 12), {}, "", 2, {"column 2", "0x00"}},
      {"a = 1 \x1b[31m", {}, "", 1, {"0x1b"}},
      {"\n\na = " + deep_list, {}, "", 3, {"nested deeper than 32"}},
      {deep_key + " = 1", {}, "", 1, {"nested deeper than 32"}},
      {"[" + deep_key + "]", {}, "", 1, {"nested deeper than 32"}},
      // The right brackets of one level, the tables of another.
      {"[a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a]\na.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a = 1",
       {},
       "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a",
       2,
       {"nested deeper"}},
      // Values that configurations do not hold.
      {"[learner]\nalpha = nan", {}, "learner.alpha", 2, {"nan and inf"}},
      {"[learner]\nalpha = inf", {}, "learner.alpha", 2, {"nan and inf"}},
      {"[learner]\nalpha = -inf", {}, "learner.alpha", 2, {"nan and inf"}},
      {"[env]\nquality = [1.0,\n nan]", {}, "env.quality[1]", 3, {"nan and inf"}},
      {"[env]\nlabel = 2020-01-02", {}, "env.label", 2, {"dates"}},
      {"[env]\nlabel = [[1], [07:32:00]]", {}, "env.label[1][0]", 2, {"dates"}},
      // Tables of the wrong kind.
      {"env = 3", {}, "env", 1, {"env = 3", "must be a table"}},
      {"env = []", {}, "env", 1, {"must be a table"}},
      {"\n[[env]]\nname = \"lbf\"", {}, "env", 2, {"one table, [env]"}},
      {"[[experiment]]\n[[experiment]]", {}, "experiment", 1, {"one table, [experiment]"}},
      {"learner = \"q\"\n[env]\nname = \"lbf\"", {}, "learner", 1, {"must be a table"}},
      {"learner = [1, {}]\n[env]\nname = \"lbf\"", {}, "learner", 1, {"must be a table"}},
      {with_learner("exploration = 3"),
       {},
       "learner.exploration",
       5,
       {"must be a table, with the key kind"}},
      {with_learner("[[learner.exploration]]\nstart = 1"),
       {},
       "learner.exploration",
       5,
       {"must be a table"}},
      {with_learner("alpha.start = 3"), {}, "learner.alpha", 5, {"number from 0 to 1"}},
      {"sweep = 3", {}, "sweep", 1, {"must be a table"}},
      {"\n[[sweep]]", {}, "sweep", 2, {"must be a table"}},
      {"a = \"\"\"x\\\n\"\"\"\nb = " + deep_list, {}, "", 3, {"nested deeper than 32"}},
      {"x = {a = \"\"\"y\"\"\"\", " + deep_key + " = 1}", {}, "", 1, {"nested deeper than 32"}},
      {many_tables, {}, "learner", 3, {"more than 1000 tables"}},
      // Names.
      {"[env]\nfirms = 2", {}, "env.name", 1, {"is missing", "bertrand_logit, matrix_game, lbf"}},
      {"", {}, "env.name", 0, {"e.toml: env.name: is missing"}},
      {"[env]\nname = 3", {}, "env.name", 2, {"env.name = 3", "must be one of"}},
      {"[env]\nname = \"bertand-logit\"", {}, "env.name", 2, {"did you mean \"bertrand_logit\"?"}},
      {"[env]\nname = \"Matrix\"", {}, "env.name", 2, {"did you mean \"matrix_game\"?"}},
      {"[env]\nname = \"zzz\"", {}, "env.name", 2, {"\"zzz\": must be one of"}},
      {"[env]\nname = \"lbf\"\n[[learner]]\nname = \"sarsa\"\n[[learner]]\nname = \"asrsa\"",
       {},
       "learner[1].name",
       6,
       {"did you mean \"sarsa\"?"}},
      // Whole numbers.
      {with_env("firms = 9"),
       {},
       "env.firms",
       5,
       {"e.toml:5: env.firms = 9: must be a whole number"
        " from 2 to 6"}},
      {with_env("firms = 1"), {}, "env.firms", 5, {"env.firms = 1: ", "from 2 to 6"}},
      {with_env("firms = 2.0"), {}, "env.firms", 5, {"env.firms = 2.0: ", "(write 2)"}},
      {with_env("firms = 2.5"), {}, "env.firms", 5, {"env.firms = 2.5: must be a whole number"}},
      {with_env("firms = true"), {}, "env.firms", 5, {"env.firms = true: must be a whole number"}},
      {with_env("firms = \"2\""), {}, "env.firms", 5, {"env.firms = \"2\": must be a whole"}},
      {with_env("firms = [2]"), {}, "env.firms", 5, {"env.firms = [2]: must be a whole"}},
      {with_env("firms = {}"), {}, "env.firms", 5, {"env.firms = {}: must be a whole"}},
      {with_env("firms = 4294967298"), {}, "env.firms", 5, {"from 2 to 6"}},
      {with_env("max_steps = 0"), {}, "env.max_steps", 5, {"whole number of at least 1, in steps"}},
      {with_env("max_steps = 1e6"), {}, "env.max_steps", 5, {"(write 1000000)"}},
      {with_env("max_steps = 1e30"), {}, "env.max_steps", 5, {"env.max_steps = 1e+30: must be"}},
      // Real numbers.
      {with_learner("alpha = 1.5"),
       {},
       "learner.alpha",
       5,
       {"= 1.5: must be a number from 0 to 1"}},
      {with_learner("alpha = -1"), {}, "learner.alpha", 5, {"= -1: must be a number from 0 to 1"}},
      {with_learner("alpha = \"x\""), {}, "learner.alpha", 5, {"= \"x\": must be a number"}},
      {with_learner("alpha = true"), {}, "learner.alpha", 5, {"= true: must be a number"}},
      {with_learner("alpha = [0.1]"), {}, "learner.alpha", 5, {"= [0.1]: must be a number"}},
      {with_learner("\n\nexploration = { start = -0.5 }"),
       {},
       "learner.exploration.start",
       7,
       {"of at least 0"}},
      {with_learner("exploration.decay_rate = -1"),
       {},
       "learner.exploration.decay_rate",
       5,
       {"in 1/period"}},
      {with_env("mu = 0.001"), {}, "env.mu", 5, {"must be a number from 0.01 to 10"}},
      // Other kinds.
      {with_env("coop = 1"), {}, "env.coop", 5, {"= 1: must be true or false"}},
      {with_env("coop = \"true\""), {}, "env.coop", 5, {"must be true or false"}},
      {with_env("label = 3"), {}, "env.label", 5, {"= 3: must be a string"}},
      {with_env("kind = \"bertand\""),
       {},
       "env.kind",
       5,
       {"must be one of cournot, bertrand, stackelberg", "did you mean \"bertrand\"?"}},
      {with_env("kind = 1"), {}, "env.kind", 5, {"env.kind = 1: must be one of cournot"}},
      // Lists.
      {with_env("quality = \"x\""), {}, "env.quality", 5, {"from 0 to 100, or a list of such"}},
      {with_env("quality = 101"), {}, "env.quality", 5, {"from 0 to 100, or a list of such"}},
      {with_env("quality = []"), {}, "env.quality", 5, {"at least one number"}},
      {with_env("quality = [\n1,\n-2,\n]"), {}, "env.quality[1]", 7, {"env.quality[1] = -2"}},
      {with_env("quality = [1, [2]]"), {}, "env.quality[1]", 5, {"= [2]: must be a number"}},
      {with_env("size = [8, 8.0]"), {}, "env.size[1]", 5, {"whole number of at least 2, in cells"}},
      {with_env("size = [8, 1]"), {}, "env.size[1]", 5, {"env.size[1] = 1"}},
      {with_env("size = 3000000000"), {}, "env.size", 5, {"from 2 to 2147483647, in cells"}},
      // Tensors.
      {with_env("payoffs = 3"), {}, "env.payoffs", 5, {"nested lists of numbers"}},
      {with_env("payoffs = []"), {}, "env.payoffs", 5, {"none of them empty"}},
      {with_env("payoffs = [[], [1]]"), {}, "env.payoffs", 5, {"none of them empty"}},
      {with_env("payoffs = [[1, 2],\n[3]]"), {}, "env.payoffs[1]", 6, {"ragged", "a list of 2"}},
      {with_env("payoffs = [[1], [2, 3]]"), {}, "env.payoffs[1]", 5, {"ragged", "a list of 1"}},
      {with_env("payoffs = [[1, 2], 3]"), {}, "env.payoffs[1]", 5, {"= 3: ragged"}},
      {with_env("payoffs = [[1, 2], [3, [4]]]"), {}, "env.payoffs[1][1]", 5, {"= [4]: must be a"}},
      {with_env("payoffs = [[1, 2], [3, true]]"), {}, "env.payoffs[1][1]", 5, {"= true: must be"}},
      {with_env("payoffs = [[1, 2], [3, \"a\"]]"),
       {},
       "env.payoffs[1][1]",
       5,
       {"must be a number"}},
      // Unknown keys and tables.
      {with_learner("alhpa = 0.1"),
       {},
       "learner.alhpa",
       5,
       {"e.toml:5: learner.alhpa: unknown key; did you mean \"learner.alpha\"?"}},
      {with_learner("runs = 7"), {}, "learner.runs", 5, {"did you mean \"experiment.runs\"?"}},
      {with_learner("decay_rate = 7"),
       {},
       "learner.decay_rate",
       5,
       {"did you mean \"learner.exploration.decay_rate\"?"}},
      {with_learner("[learner.exploraton]\nstart = 7"),
       {},
       "learner.exploraton.start",
       6,
       {"did you mean \"learner.exploration.start\"?"}},
      {with_learner("Gamma = 0.5"), {}, "learner.Gamma", 5, {"did you mean \"learner.gamma\"?"}},
      {with_env("max-steps = 5"), {}, "env.max-steps", 5, {"did you mean \"env.max_steps\"?"}},
      {with_env("zzzzzzzz = 1"), {}, "env.zzzzzzzz", 5, {"env has name, firms, max_steps, mu"}},
      {with_env("\"a b\" = 1"), {}, "env.\"a b\"", 5, {"unknown key"}},
      {with_env("nothing = {}"), {}, "env.nothing", 5, {"unknown key"}},
      {with_env("[lerner]\nalpha = 1"),
       {},
       "lerner",
       5,
       {"unknown table; did you mean \"learner\""}},
      {with_env("[[zzz]]"), {}, "zzz", 5, {"unknown table; there are experiment, env, learner"}},
      {"alpha = 1\n" + with_env(""), {}, "alpha", 1, {"did you mean \"learner.alpha\"?"}},
      {"experiment.run = 1\n" + with_env(""), {}, "experiment.run", 1, {"\"experiment.runs\"?"}},
      {"[env]\nname = \"lbf\"\n[[learner]]\nname = \"sarsa\"\n[[learner]]\nname = \"sarsa\"\nalfa "
       "= 1",
       {},
       "learner[1].alfa",
       7,
       {"did you mean \"learner[1].alpha\"?"}},
  };
}

std::vector<BadCase> bad_sets() {
  const std::string two =
      "[env]\nname = \"lbf\"\n[[learner]]\nname = \"sarsa\"\n[[learner]]\nname = \"sarsa\"";
  const std::string fine = with_env("firms = 3\nquality = [1, 2]");
  return {
      {fine,
       {"learner.alpha=x"},
       "learner.alpha",
       0,
       {"--set learner.alpha=x: must be a number from 0 to 1"}},
      {fine, {"learner.alpha=2"}, "learner.alpha", 0, {"--set learner.alpha=2: must be a number"}},
      {fine,
       {"learner.alhpa=0.2"},
       "learner.alhpa",
       0,
       {"--set learner.alhpa=0.2: unknown key; did you mean \"learner.alpha\"?"}},
      {fine,
       {"lerner.alpha=0.2"},
       "lerner",
       0,
       {"lerner: unknown table; did you mean \"learner\"?"}},
      {fine, {"learner.alpha=nan"}, "learner.alpha", 0, {"nan and inf"}},
      {fine, {"env.firms=99999999999999999999"}, "", 0, {"--set env.firms=9999"}},
      {fine, {"env.label=2020-01-01"}, "env.label", 0, {"dates"}},
      {fine, {"env.label=[1"}, "", 0, {"--set env.label=[1: "}},
      {fine, {"env.label=\"a"}, "", 0, {"--set env.label=\"a: "}},
      {fine, {"env.label={a=1}}"}, "", 0, {"--set env.label={a=1}}: "}},
      {fine, {"env.label"}, "", 0, {"must be key=value"}},
      {fine, {"env.label="}, "", 0, {"has no value"}},
      {fine, {"=3"}, "", 0, {"is no key"}},
      {fine, {"env..label=3"}, "", 0, {"is no key"}},
      {fine, {"env.la bel=3"}, "", 0, {"is no key"}},
      {fine, {"env[x].label=3"}, "", 0, {"in [] must be a whole number"}},
      {fine, {"env[0.label=3"}, "", 0, {"'[' without"}},
      {fine, {"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a=3"}, "", 0, {"too many parts"}},
      {fine, {"env.label=a\nb"}, "", 0, {"has a line end", "a\\x0ab"}},
      {fine, {"env.label=\xC3\xA9"}, "", 0, {"0xc3"}},
      {fine, {"env.payoffs=" + std::string(50, '[')}, "", 0, {"nested deeper than 32"}},
      {fine, {"env=3"}, "env", 0, {"is a table here; set its keys (e.toml:3)"}},
      {fine, {"env.firms.x=3"}, "env.firms.x", 0, {"firms is no table (e.toml:5)"}},
      {fine, {"env.quality.0=3"}, "env.quality.0", 0, {"quality is no table (e.toml:6)"}},
      {fine, {"learner.1.alpha=0.1"}, "learner[1].alpha", 0, {"no such table; the file has 1"}},
      {fine, {"experiment.runs=0"}, "experiment.runs", 0, {"whole number of at least 1"}},
      {fine, {"env.quality=[1, -3]"}, "env.quality[1]", 0, {"env.quality[1] = -3: must be"}},
      {two, {"learner=3"}, "learner", 0, {"is a table here"}},
      {two, {"learner.2.alpha=0.1"}, "learner[2].alpha", 0, {"no such table; the file has 2"}},
      {two, {"learner[9999999].alpha=0.1"}, "learner[9999999].alpha", 0, {"no such table"}},
      {two,
       {"learner.alpha=7"},
       "learner[0].alpha",
       0,
       {"--set learner.alpha=7: learner[0].alpha = 7: must be a number from 0 to 1"}},
      {two, {"learner.1.alpha=7"}, "learner[1].alpha", 0, {"learner[1].alpha = 7: must be"}},
      {fine,
       {"learner.alpha=7 # high"},
       "learner.alpha",
       0,
       {"--set learner.alpha=7 # high: must be a number"}},
  };
}

std::vector<BadCase> bad_sweeps() {
  const auto sweep = [](const std::string& line) { return with_env("[sweep]\n" + line); };
  std::string many;
  for (int i = 0; i < 101; ++i) many += fmt::format("a{} = [1]\n", i);
  return {
      {sweep("\"learner.alhpa\" = [0.1]"),
       {},
       "sweep.learner.alhpa",
       6,
       {"unknown key; did you mean \"learner.alpha\"?"}},
      {sweep("\"learner.exploration\" = [0.1]"),
       {},
       "sweep.learner.exploration",
       6,
       {"unknown key"}},
      {sweep("\"learner\" = [0.1]"), {}, "sweep.learner", 6, {"unknown key"}},
      {sweep("\"a b\" = [0.1]"), {}, "", 6, {"is no key"}},
      {sweep("\"\" = [0.1]"), {}, "", 6, {"is no key"}},
      {sweep("\"learner.alpha\" = 0.1"),
       {},
       "sweep.learner.alpha",
       6,
       {"= 0.1: must be a list of values, { start, stop, step }"}},
      {sweep("\"learner.alpha\" = []"), {}, "sweep.learner.alpha", 6, {"at least one value"}},
      {sweep("\"learner.alpha\" = [{}]"), {}, "sweep.learner.alpha", 6, {"not of tables"}},
      {sweep("\"learner.alpha\" = { start = 0, stop = 1 }"),
       {},
       "sweep.learner.alpha",
       6,
       {"has no step"}},
      {sweep("\"learner.alpha\" = { start = 0, stop = 1, stpe = 1 }"),
       {},
       "sweep.learner.alpha",
       6,
       {"stpe is none of start, stop, step, count, scale, random; did you mean \"step\"?"}},
      {sweep("\"learner.alpha\" = { start = 0, stop = \"1\", step = 1 }"),
       {},
       "sweep.learner.alpha",
       6,
       {"stop must be a number"}},
      {sweep("\"learner.alpha\" = { start = 0, stop = 1, step = 0.0 }"),
       {},
       "sweep.learner.alpha",
       6,
       {"step must not be 0"}},
      {sweep("\"learner.alpha\" = { start = 0, stop = 1, step = -0.1 }"),
       {},
       "sweep.learner.alpha",
       6,
       {"wrong sign"}},
      {sweep("\"experiment.seed\" = { start = 4611686018427387905, stop = 4611686018427387904, "
             "step = 1 }"),
       {},
       "sweep.experiment.seed",
       6,
       {"wrong sign"}},
      {sweep("\"learner.alpha\" = { start = 0, stop = 1, step = 1e-9 }"),
       {},
       "sweep.learner.alpha",
       6,
       {"more than 10000000 values"}},
      {sweep("\"learner.alpha\" = { start = -1e308, stop = 1e308, step = 1e-308 }"),
       {},
       "sweep.learner.alpha",
       6,
       {"more than 10000000 values"}},
      {sweep("\"learner.alpha\" = { start = 0, stop = 1, step = 0.0001 }\n"
             "\"learner.gamma\" = { start = 0, stop = 1, step = 0.001 }"),
       {},
       "sweep.learner.gamma",
       7,
       {"more than 10000000 cells"}},
      {sweep("\"learner.alpha\" = [0.1]\nlearner.alpha = [0.2]"),
       {},
       "sweep.learner.alpha",
       7,
       {"is already in e.toml:6"}},
      {sweep("\"learner.alpha\" = [0.1]\n\"learner[0].alpha\" = [0.2]"),
       {},
       "sweep.learner.0.alpha",
       7,
       {"learner.alpha is swept twice"}},
      {sweep("\"learner.alpha\" = [0.1]"),
       {"learner.alpha=0.3"},
       "sweep.learner.alpha",
       6,
       {"learner.alpha is also fixed by --set learner.alpha=0.3"}},
      {sweep("\"learner.1.alpha\" = [0.1]"), {}, "learner[1].alpha", 6, {"no such table"}},
      {with_env(""),
       {"sweep.learner.alpha=0.3"},
       "sweep.learner.alpha",
       0,
       {"--set sweep.learner.alpha=0.3: must be a list of values, { start, stop, step }"}},
      {with_env(""), {"sweep=0.3"}, "sweep", 0, {"must be a table"}},
      {sweep(many), {}, "sweep.a100", 106, {"more than 100 keys"}},
      // Bounds are checked when a cell is read, and name the line of the sweep.
      {sweep("\"learner.alpha\" = [0.1, 1.5]"),
       {},
       "learner.alpha",
       6,
       {"learner.alpha = 1.5: must be a number from 0 to 1"}},
      {sweep("\"env.firms\" = { start = 2, stop = 7, step = 1 }"),
       {},
       "env.firms",
       6,
       {"env.firms = 7: must be a whole number from 2 to 6"}},
      {sweep("\"env.name\" = [\"lbf\", \"lfb\"]"), {}, "env.name", 6, {"did you mean \"lbf\"?"}},
  };
}

std::vector<BadCase> bad_designs() {
  std::vector<BadCase> cases;
  const auto alpha = [&](const std::string& spec, const std::string& fragment,
                         const std::string& more = "") {
    cases.push_back({with_env("[sweep]\n\"learner.alpha\" = " + spec + "\n" + more),
                     {},
                     "sweep.learner.alpha",
                     6,
                     {fragment}});
  };
  alpha("{ start = 0, stop = 1, count = 1 }", "count must be a whole number from 2 to 10000000");
  alpha("{ start = 0, stop = 1, count = 2.0 }", "count must be a whole number from 2");
  alpha("{ start = 0, stop = 1, count = 10_000_001 }", "count must be a whole number from 2");
  alpha("{ start = 1, stop = 1, count = 3 }", "both ends are the same");
  alpha("{ start = 0, stop = 1, count = 3, step = 0.5 }", "step and count do not go together");
  alpha("{ start = 0, stop = 1, step = 0.5, scale = \"log\" }",
        "step and scale do not go together");
  alpha("{ start = 0, stop = 1, count = 3, scale = \"log\" }", "from 1e-300 to 1e300");
  alpha("{ start = -1, stop = 1, count = 3, scale = \"log\" }", "from 1e-300 to 1e300");
  alpha("{ start = 1, stop = 2, count = 3, scale = \"lgo\" }",
        "scale must be one of linear, log; did you mean \"log\"?");
  alpha("{ start = 1, stop = 2, count = 3, scale = 2 }", "scale must be one of linear, log");
  alpha("{ start = 1, stop = 2, count = 3, scale = \"choice\" }",
        "scale must be one of linear, log");
  alpha("{ count = 3, stop = 1 }", "has no start");
  alpha("{ random = [0.1, 0.2] }", "random needs sweep.samples");
  const std::string samples = "samples = 3";
  alpha("{ random = [0.1, 0.2], start = 1 }", "random and start do not go together", samples);
  alpha("{ random = [0.1, 0.2], count = 3 }", "random and count do not go together", samples);
  alpha("{ random = 0.1 }", "random must be [low, high]", samples);
  alpha("{ random = [] }", "random must be [low, high]", samples);
  alpha("{ random = [0.1, 0.2, 0.3] }", "must be two numbers, [low, high]; with scale = \"choice\"",
        samples);
  alpha("{ random = [\"a\", \"b\"], scale = \"log\" }", "must be two numbers", samples);
  alpha("{ random = [{}, {}] }", "not among tables", samples);
  alpha("{ random = [0.2, 0.1] }", "low is above high", samples);
  alpha("{ random = [0.2, 0.2] }", "both ends are the same", samples);
  alpha("{ random = [0, 1], scale = \"log\" }", "from 1e-300 to 1e300", samples);
  alpha("{ random = [0.1, 1], scale = \"logarithmic\" }",
        "scale must be one of linear, log, choice", samples);

  const auto other = [&](const std::string& lines, const std::string& key, int line,
                         const std::string& fragment) {
    cases.push_back({with_env("[sweep]\n" + lines), {}, key, line, {fragment}});
  };
  other("\"env.firms\" = { start = 2, stop = 6.0, count = 3 }", "sweep.env.firms", 6,
        "must run between whole numbers");
  other("\"env.firms\" = { start = 2, stop = 4, count = 4 }", "sweep.env.firms", 6,
        "rounds two values to 3");
  other("\"env.firms\" = { random = [2.0, 4] }\nsamples = 2", "sweep.env.firms", 6,
        "must run between whole numbers");
  const std::string drawn = "\"learner.alpha\" = { random = [0.1, 0.2] }\n";
  other(drawn + "samples = 0", "sweep.samples", 7, "must be a whole number from 1 to 10000000");
  other(drawn + "samples = 2.0", "sweep.samples", 7, "must be a whole number from 1");
  other(drawn + "samples = 2\nseed = -1", "sweep.seed", 8, "must be a whole number of at least 0");
  other(drawn + "samples = 2\ndesign = \"latin\"", "sweep.design", 8,
        "must be one of independent, latin_hypercube; did you mean \"latin_hypercube\"?");
  other(drawn + "samples = 2\ndesign = 3", "sweep.design", 8, "must be one of independent");
  const std::string two = "\"learner.alpha\" = [0.1, 0.2]\n\"learner.gamma\" = [0.5, 0.6, 0.7]\n";
  other(two + "samples = 5", "sweep.samples", 8, "has nothing to act on");
  other(two + "design = \"independent\"", "sweep.design", 8, "has nothing to act on");
  const std::string form = "must be a list of two keys or more that go together";
  other(two + "zip = 3", "sweep.zip", 8, form);
  other(two + "zip = []", "sweep.zip", 8, form);
  other(two + "zip = [\"learner.alpha\"]", "sweep.zip", 8, form);
  other(two + "zip = [[\"learner.alpha\", 3]]", "sweep.zip", 8, form);
  other(two + "zip = [[\"learner.alpha\", \"learner.gamma\"], \"x\"]", "sweep.zip", 8, form);
  other(two + "zip = [\"learner.alpha\", \"learner.gama\"]", "sweep.zip", 8,
        "learner.gama is not swept; did you mean \"learner.gamma\"?");
  other(two + "zip = [\"learner.alpha\", \"learner.gamma\"]", "sweep.zip", 8,
        "learner.alpha has 2 values, and learner.gamma has 3");
  other(two + "zip = [\"learner.alpha\", \"learner.alpha\"]", "sweep.zip", 8, "is zipped twice");
  other(drawn +
            "\"learner.gamma\" = [0.5, 0.6]\nsamples = 2\n"
            "zip = [\"learner.gamma\", \"learner.alpha\"]",
        "sweep.zip", 9, "learner.alpha is random");
  other("\"learner.alpha\" = { random = [0.1, 0.2] }\n\"env.mu\" = [1, 2]\nsamples = 10_000_000",
        "sweep.env.mu", 7, "more than 10000000 cells");
  return cases;
}

void expect_bad(const BadCase& bad) {
  SCOPED_TRACE(bad.text.substr(0, 200) + (bad.sets.empty() ? "" : "\n--set " + bad.sets[0]));
  try {
    Config config = load(bad.text, bad.sets);
    read_all(config);
    const Sweep sweep = config.sweep();
    for (int64_t i = 0; i < sweep.size(); ++i) {
      Config cell = config.with(sweep.cell(i));
      read_all(cell);
    }
    ADD_FAILURE() << "accepted";
  } catch (const ConfigError& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.problem().key, bad.key) << message;
    EXPECT_EQ(error.problem().line, bad.line) << message;
    if (bad.line > 0) {
      EXPECT_EQ(message.find("e.toml:" + std::to_string(bad.line) + ": "), 0u) << message;
    }
    for (const std::string& fragment : bad.fragments) {
      EXPECT_NE(message.find(fragment), std::string::npos) << message << "\nlacks " << fragment;
    }
    for (const char c : message) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << message;
    EXPECT_LT(message.size(), 900u) << message;
  }
}

TEST(ConfigErrors, Files) {
  for (const BadCase& bad : bad_files()) expect_bad(bad);
}

TEST(ConfigErrors, Sets) {
  for (const BadCase& bad : bad_sets()) expect_bad(bad);
}

TEST(ConfigErrors, Sweeps) {
  for (const BadCase& bad : bad_sweeps()) expect_bad(bad);
}

TEST(ConfigErrors, Designs) {
  for (const BadCase& bad : bad_designs()) expect_bad(bad);
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

class ConfigFiles : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = testing::TempDir() + "cumarl_config_" + info->name();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& text) const {
    std::ofstream(folder_ + "/f.toml", std::ios::binary) << text;
    return folder_ + "/f.toml";
  }

  std::string folder_;
};

TEST_F(ConfigFiles, ReadsAFile) {
  const std::string path = write(with_env("firms = 9"));
  Config config = Config::from_file(path);
  EXPECT_EQ(message_of([&] { read_all(config); }),
            path + ":5: env.firms = 9: must be a whole number from 2 to 6");
}

TEST_F(ConfigFiles, SaysWhyAFileCannotBeRead) {
  EXPECT_EQ(message_of([&] { Config::from_file(folder_ + "/none.toml"); }),
            folder_ + "/none.toml: cannot be opened: No such file or directory");
  EXPECT_EQ(message_of([&] { Config::from_file(folder_); }),
            folder_ + ": is a directory, not a file");
  EXPECT_EQ(message_of([&] { Config::from_file(""); }),
            "cannot be opened: No such file or directory");
}

TEST_F(ConfigFiles, RefusesLargeFiles) {
  const std::string full(Config::kMaxFileBytes, '\n');
  EXPECT_EQ(message_of([&] { Config::from_file(write(full)); }), "no error");
  const std::string path = write(full + "\n");
  EXPECT_EQ(message_of([&] { Config::from_file(path); }), path + ": is larger than 16 MiB");
  EXPECT_EQ(message_of([&] { Config::from_text(full + "\n", "t"); }), "t: is larger than 16 MiB");
}

TEST(ConfigFile, RefusesADeviceWithoutEnd) {
  if (!std::filesystem::exists("/dev/zero")) GTEST_SKIP() << "no /dev/zero";
  EXPECT_EQ(message_of([] { Config::from_file("/dev/zero"); }), "/dev/zero: is larger than 16 MiB");
}

// ---- good input ----

TEST(ConfigRead, EveryKind) {
  Config config = load(R"([experiment]
name = "every kind"
runs = 1_000
seed = -9223372036854775808
[env]
name = "matrix_game"
firms = 6
max_steps = 9223372036854775807
mu = 1            # a whole number for a real one
coop = true
label = "a\tb \u00e9"
quality = [1, 2.5, 1e2]
size = [5, 2147483647]
payoffs = [[[1, 2.5], [-3, 0]]]
kind = "stackelberg"
[learner]
name = "q_learning"
alpha = 0.0
gamma = 1
exploration = { kind = "boltzmann", start = 2 }
)");
  const Sample s = read_all(config);
  EXPECT_EQ(s.experiment.name, "every kind");
  EXPECT_EQ(s.experiment.runs, 1000);
  EXPECT_EQ(s.experiment.seed, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(s.env_name, "matrix_game");
  EXPECT_EQ(s.env.firms, 6);
  EXPECT_EQ(s.env.max_steps, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(s.env.mu, 1.0);
  EXPECT_TRUE(s.env.coop);
  EXPECT_EQ(s.env.label, "a\tb \xC3\xA9");
  EXPECT_EQ(s.env.quality, (std::vector<double>{1, 2.5, 100}));
  EXPECT_EQ(s.env.size, (std::vector<int>{5, 2147483647}));
  EXPECT_EQ(s.env.payoffs.shape, (std::vector<int>{1, 2, 2}));
  EXPECT_EQ(s.env.payoffs.values, (std::vector<double>{1, 2.5, -3, 0}));
  EXPECT_EQ(s.env.kind, 2);
  ASSERT_EQ(s.learners.size(), 1u);
  EXPECT_EQ(s.learners[0].alpha, 0.0);
  EXPECT_EQ(s.learners[0].gamma, 1.0);
  EXPECT_EQ(s.learners[0].exploration, 1);
  EXPECT_EQ(s.learners[0].start, 2.0);
  EXPECT_EQ(s.learners[0].decay_rate, 4e-6);
}

TEST(ConfigRead, AbsentKeysLeaveDefaults) {
  Config config = load(with_env(""));
  const Sample s = read_all(config);
  EXPECT_EQ(s.env.firms, 2);
  EXPECT_EQ(s.env.quality, (std::vector<double>{2.0}));
  EXPECT_TRUE(s.env.payoffs.empty());
  EXPECT_EQ(s.env.kind, 0);
  EXPECT_EQ(s.experiment.runs, 1);
}

TEST(ConfigRead, ScalarsForLists) {
  Config config = load(with_env("quality = 3\nsize = 5"));
  const Sample s = read_all(config);
  EXPECT_EQ(s.env.quality, (std::vector<double>{3.0}));
  EXPECT_EQ(s.env.size, (std::vector<int>{5}));
}

TEST(ConfigRead, WaysToWriteASubTable) {
  for (const char* text : {"exploration = { kind = \"boltzmann\", start = 3.5 }",
                           "exploration.kind = \"boltzmann\"\nexploration.start = 3.5",
                           "[learner.exploration]\nkind = \"boltzmann\"\nstart = 3.5"}) {
    SCOPED_TRACE(text);
    Config config = load(with_learner(text));
    const Sample s = read_all(config);
    EXPECT_EQ(s.learners[0].exploration, 1);
    EXPECT_EQ(s.learners[0].start, 3.5);
  }
}

TEST(ConfigRead, SeveralLearners) {
  Config config = load(
      "[env]\nname = \"lbf\"\n[[learner]]\nname = \"sarsa\"\nalpha = 0.1\n"
      "[[learner]]\nname = \"q_learning\"\n");
  EXPECT_EQ(config.count("learner"), 2);
  EXPECT_EQ(config.count("env"), 1);
  EXPECT_EQ(config.count("stop"), 0);
  const Sample s = read_all(config);
  EXPECT_EQ(s.learners[0].alpha, 0.1);
  EXPECT_EQ(s.learners[1].alpha, 0.15);
}

TEST(ConfigRead, OneLearnerInAList) {
  Config config = load("[env]\nname = \"lbf\"\n[[learner]]\nname = \"sarsa\"\nalpha = 0.5");
  EXPECT_EQ(read_all(config).learners[0].alpha, 0.5);
}

TEST(ConfigRead, BracketsAndDotsInStringsAndCommentsAreNoNesting) {
  const std::string dots(100, '.');
  const std::string open(100, '[');
  Config config = load(with_env("label = \"\"\"" + dots + "\\\"\"" + open + "\"\"\"\"\" # " + open +
                                dots + "\nquality = [" +
                                "1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5,"
                                "1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5,1.5, 2.5, 3.5, 4.5, 5.5, "
                                "6.5, 7.5, 8.5,1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 1.5]\n"
                                "[learner.exploration]\nstart = 1 # '" +
                                open));
  EXPECT_EQ(read_all(config).env.label, dots + "\"\"" + open + "\"\"");
}

TEST(ConfigRead, LinesCountPastStringsOfSeveralLines) {
  Config config = load(with_env("label = \"\"\"a\n\\\n  b\n\"\"\"\nfirms = 9"));
  EXPECT_EQ(message_of([&] { read_all(config); }).find("e.toml:9: env.firms"), 0u);
  Config crlf = load("[env]\r\nname = \"lbf\"\r\nfirms = 9\r\n");
  EXPECT_EQ(message_of([&] { read_all(crlf); }).find("e.toml:3: env.firms"), 0u);
}

TEST(ConfigSet, ValuesAndWords) {
  Config config = load(with_env("firms = 3\n[experiment]\nruns = 5"),
                       {"env.firms=4", "env.name=matrix_game", "env.label= not toml ",
                        "env.quality=[1,2]", "learner.alpha = 0.5", "experiment.seed=7",
                        "learner.exploration={start=3}", "env.coop=true", "learner.0.gamma=0.25"});
  config.set("experiment.runs", {int64_t{9}}, "--runs 9");
  const Sample s = read_all(config);
  EXPECT_EQ(s.env.firms, 4);
  EXPECT_EQ(s.env_name, "matrix_game");
  EXPECT_EQ(s.env.label, "not toml");
  EXPECT_EQ(s.env.quality, (std::vector<double>{1, 2}));
  EXPECT_TRUE(s.env.coop);
  EXPECT_EQ(s.learners[0].alpha, 0.5);
  EXPECT_EQ(s.learners[0].gamma, 0.25);
  EXPECT_EQ(s.learners[0].start, 3.0);
  EXPECT_EQ(s.experiment.seed, 7);
  EXPECT_EQ(s.experiment.runs, 9);
  const Json origins = config.origins_json();
  EXPECT_EQ(origins["env.firms"], "--set env.firms=4");
  EXPECT_EQ(origins["experiment.runs"], "--runs 9");
  EXPECT_EQ(origins["learner.name"], "e.toml:2");
  EXPECT_EQ(origins["env.mu"], "default");
}

TEST(ConfigSet, TheLastOneCounts) {
  Config config = load(with_env(""), {"env.firms=4", "env.firms=5"});
  EXPECT_EQ(read_all(config).env.firms, 5);
}

TEST(ConfigSet, AllLearnersOrOne) {
  Config config =
      load("[env]\nname = \"lbf\"\n[[learner]]\nname = \"sarsa\"\n[[learner]]\nname = \"sarsa\"\n",
           {"learner.alpha=0.5", "learner.1.alpha=0.75", "learner[0].exploration.start=4"});
  const Sample s = read_all(config);
  EXPECT_EQ(s.learners[0].alpha, 0.5);
  EXPECT_EQ(s.learners[1].alpha, 0.75);
  EXPECT_EQ(s.learners[0].start, 4.0);
  EXPECT_EQ(s.learners[1].start, 1.0);
}

TEST(ConfigSet, MakesTablesAndStrings) {
  Config config = load("", {"env.name=lbf", "learner.name=sarsa", "env.label=\"3\""});
  const Sample s = read_all(config);
  EXPECT_EQ(s.env_name, "lbf");
  EXPECT_EQ(s.env.label, "3");
}

TEST(ConfigSet, ElementsOfListsKnowTheirOption) {
  Config config = load(with_env(""));
  config.set("env.quality", {ConfigValue::List{{1.0}, {-1.0}}}, "--quality 1,-1");
  EXPECT_EQ(message_of([&] { read_all(config); }),
            "--quality 1,-1: env.quality[1] = -1.0: must be a number from 0 to 100");
}

TEST(ConfigSet, RefusesWhatIsNotFinite) {
  Config config;
  EXPECT_EQ(message_of([&] { config.set("a.b", {std::nan("")}, "--alpha nan"); }),
            "--alpha nan: a.b = nan: must be finite");
}

TEST(ConfigRead, UnknownKeysListTheirOwnTable) {
  Config config = load(
      "[env]\nname = \"lbf\"\n[[learner]]\nname = \"sarsa\"\n"
      "[[learner]]\nname = \"sarsa\"\nzzzzzzzz = 1");
  EXPECT_EQ(message_of([&] { read_all(config); }),
            "e.toml:7: learner[1].zzzzzzzz: unknown key; learner[1] has name, alpha, gamma, "
            "exploration.kind, exploration.start, exploration.decay_rate");
}

// ---- errors of components ----

TEST(ConfigLocate, FindsKeyTableOrDefault) {
  Config config = load(with_env("firms = 3\nquality = [1, 2]"));
  read_all(config);
  EXPECT_STREQ(config.locate("env", ParameterError("firms", "is odd")).what(),
               "e.toml:5: env.firms = 3: is odd");
  EXPECT_STREQ(config.locate("env", ParameterError("quality[1]", "is bad")).what(),
               "e.toml:6: env.quality[1] = [1, 2]: is bad");
  EXPECT_STREQ(config.locate("env", ParameterError("mu", "is odd")).what(),
               "e.toml:3: env.mu = 0.25 (default): is odd");
  EXPECT_STREQ(config.locate("learner[0]", ParameterError("exploration.start", "is odd")).what(),
               "e.toml:1: learner.exploration.start = 1.0 (default): is odd");
  EXPECT_STREQ(config.locate("experiment", ParameterError("runs", "is odd")).what(),
               "default: experiment.runs = 1: is odd");
  EXPECT_STREQ(config.locate("env", ParameterError("no key at all", "is odd")).what(),
               "e.toml:3: env.no key at all: is odd");
  EXPECT_STREQ(config.locate("env", ParameterError("", "is odd")).what(), "e.toml:3: env: is odd");
  EXPECT_STREQ(config.error("env.name", "is no good", "matrix_game").what(),
               "e.toml:4: env.name = \"lbf\": is no good; did you mean \"matrix_game\"?");
}

// ---- sweeps ----

Sweep sweep_of(const std::string& lines, const std::vector<std::string>& sets = {}) {
  Config config = load(with_env("[sweep]\n" + lines), sets);
  read_all(config);
  return config.sweep();
}

std::vector<std::string> values_of(const SweepAxis& axis) {
  std::vector<std::string> values;
  for (int64_t i = 0; i < axis.size(); ++i) values.push_back(to_text(axis.value(i)));
  return values;
}

TEST(ConfigSweep, ProductInFileOrderLastKeyFastest) {
  const Sweep sweep = sweep_of(
      "\"learner.gamma\" = [0.9, 0.5]\n\"env.label\" = [\"x\", \"y\", \"z\"]\n"
      "learner.alpha = [0, 1]");
  ASSERT_EQ(sweep.size(), 12);
  std::vector<std::string> cells;
  for (int64_t i = 0; i < sweep.size(); ++i) {
    std::string text;
    for (const auto& [key, value] : sweep.cell(i)) text += key + "=" + to_text(value) + " ";
    cells.push_back(text);
  }
  EXPECT_EQ(cells[0], "learner.gamma=0.9 env.label=\"x\" learner.alpha=0 ");
  EXPECT_EQ(cells[1], "learner.gamma=0.9 env.label=\"x\" learner.alpha=1 ");
  EXPECT_EQ(cells[2], "learner.gamma=0.9 env.label=\"y\" learner.alpha=0 ");
  EXPECT_EQ(cells[6], "learner.gamma=0.5 env.label=\"x\" learner.alpha=0 ");
  EXPECT_EQ(cells[11], "learner.gamma=0.5 env.label=\"z\" learner.alpha=1 ");
}

TEST(ConfigSweep, RangesEqualWhatOneWouldWriteByHand) {
  using Texts = std::vector<std::string>;
  const auto range = [](const std::string& spec) {
    return values_of(sweep_of("\"env.label\" = " + spec).axes().at(0));
  };
  EXPECT_EQ(range("{ start = 0.1, stop = 0.5, step = 0.1 }"),
            (Texts{"0.1", "0.2", "0.3", "0.4", "0.5"}));
  EXPECT_EQ(range("{ start = 1, stop = 7, step = 3 }"), (Texts{"1", "4", "7"}));
  EXPECT_EQ(range("{ start = 1, stop = 6, step = 3 }"), (Texts{"1", "4"}));
  EXPECT_EQ(range("{ start = 2, stop = -2, step = -2 }"), (Texts{"2", "0", "-2"}));
  EXPECT_EQ(range("{ start = 1, stop = 0, step = -0.4 }"), (Texts{"1.0", "0.6", "0.2"}));
  EXPECT_EQ(range("{ start = 0, stop = 1, step = 0.4 }"), (Texts{"0.0", "0.4", "0.8"}));
  EXPECT_EQ(range("{ start = 3, stop = 3, step = 1 }"), (Texts{"3"}));
  EXPECT_EQ(range("{ start = 1e-6, stop = 3e-6, step = 1e-6 }"),
            (Texts{"1e-06", "2e-06", "3e-06"}));
  EXPECT_EQ(range("{ start = 1e30, stop = 2e30, step = 1e30 }"), (Texts{"1e+30", "2e+30"}));
  EXPECT_EQ(range("{ start = -9223372036854775808, stop = 9223372036854775807, "
                  "step = 9223372036854775807 }"),
            (Texts{"-9223372036854775808", "-1", "9223372036854775806"}));
  const Texts alphas = range("{ start = 0.025, stop = 0.25, step = 0.0025 }");
  ASSERT_EQ(alphas.size(), 91u);
  EXPECT_EQ(alphas[1], "0.0275");
  EXPECT_EQ(alphas[89], "0.2475");
  EXPECT_EQ(alphas[90], "0.25");
}

TEST(ConfigSweep, RangesWithoutShortDecimalsReachTheirStop) {
  const double third = 1.0 / 3.0;
  const Sweep sweep =
      sweep_of("\"learner.alpha\" = { start = 0, stop = 1, step = " + to_text({third}) + " }");
  ASSERT_EQ(sweep.size(), 4);
  EXPECT_EQ(sweep.cell(3)[0].second.as<double>()[0], 3 * third);
}

TEST(ConfigSweep, RangesForgiveRounding) {
  const Sweep sweep =
      sweep_of("\"env.mu\" = { start = 0, stop = 2.71799272363901, step = 0.45299878727316834 }");
  EXPECT_EQ(sweep.size(), 7);
}

TEST(ConfigSweep, TenMillionCellsAreAllowed) {
  const Sweep sweep = sweep_of(
      "\"experiment.seed\" = { start = 1, stop = 10000, step = 1 }\n"
      "\"learner.alpha\" = { start = 0.001, stop = 1, step = 0.001 }");
  ASSERT_EQ(sweep.size(), Sweep::kMaxCells);
  const SweepCell last = sweep.cell(sweep.size() - 1);
  EXPECT_EQ(*last[0].second.as<int64_t>(), 10000);
  EXPECT_EQ(*last[1].second.as<double>(), 1.0);
}

/// The values of the only axis of a sweep over `key`.
std::vector<std::string> spaced(const std::string& key, const std::string& spec) {
  return values_of(sweep_of("\"" + key + "\" = " + spec).axes().at(0));
}

TEST(ConfigSweep, CountsAreEvenlySpacedInDecimal) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(spaced("env.mu", "{ start = 0.1, stop = 0.5, count = 5 }"),
            (Texts{"0.1", "0.2", "0.3", "0.4", "0.5"}));
  EXPECT_EQ(spaced("env.mu", "{ start = 1, stop = 0, count = 3 }"), (Texts{"1.0", "0.5", "0.0"}));
  EXPECT_EQ(spaced("env.mu", "{ start = 0, stop = 1, count = 2, scale = \"linear\" }"),
            (Texts{"0.0", "1.0"}));
  EXPECT_EQ(spaced("env.mu", "{ start = 0, stop = 1, count = 4 }"),
            (Texts{"0.0", to_text({1.0 / 3}), to_text({2.0 / 3}), "1.0"}));
  // No short decimals: the ends are met, and so is what nine digits can say.
  EXPECT_EQ(spaced("env.mu", "{ start = 1e-20, stop = 5e-20, count = 5 }"),
            (Texts{"1e-20", "2e-20", "3e-20", "4e-20", "5e-20"}));
  const Texts betas = spaced("env.mu", "{ start = 2e-7, stop = 2e-5, count = 100 }");
  EXPECT_EQ(betas[1], "4e-07");
  EXPECT_EQ(betas[19], "4e-06");
  EXPECT_EQ(betas[98], "1.98e-05");
  // What a key takes decides: these are for whole numbers. 2 + 4 i / 3 = 2, 3.33, 4.67, 6.
  EXPECT_EQ(spaced("env.firms", "{ start = 2, stop = 6, count = 4 }"), (Texts{"2", "3", "5", "6"}));
  EXPECT_EQ(spaced("env.firms", "{ start = 6, stop = 2, count = 4 }"), (Texts{"6", "5", "3", "2"}));
  EXPECT_EQ(spaced("env.max_steps", "{ start = 1, stop = 9223372036854775807, count = 3 }"),
            (Texts{"1", "4611686018427387904", "9223372036854775807"}));
}

TEST(ConfigSweep, LogarithmicValuesAreThoseWrittenByHand) {
  using Texts = std::vector<std::string>;
  EXPECT_EQ(spaced("env.mu", "{ start = 1e-6, stop = 0.01, count = 5, scale = \"log\" }"),
            (Texts{"1e-06", "1e-05", "0.0001", "0.001", "0.01"}));
  EXPECT_EQ(spaced("env.mu", "{ start = 0.0025, stop = 0.04, count = 5, scale = \"log\" }"),
            (Texts{"0.0025", "0.005", "0.01", "0.02", "0.04"}));
  EXPECT_EQ(spaced("env.mu", "{ start = 1e-300, stop = 1e300, count = 3, scale = \"log\" }"),
            (Texts{"1e-300", "1.0", "1e+300"}));
  EXPECT_EQ(spaced("env.max_steps", "{ start = 1, stop = 1024, count = 11, scale = \"log\" }"),
            (Texts{"1", "2", "4", "8", "16", "32", "64", "128", "256", "512", "1024"}));
  // 10^(i/3) = 1, 2.15, 4.64, 10
  EXPECT_EQ(spaced("env.max_steps", "{ start = 1, stop = 10, count = 4, scale = \"log\" }"),
            (Texts{"1", "2", "5", "10"}));
  const Sweep sweep =
      sweep_of("\"env.mu\" = { start = 0.1, stop = 1, count = 3, scale = \"log\" }");
  EXPECT_NEAR(*sweep.cell(1)[0].second.as<double>(), std::sqrt(0.1), 1e-16);
}

// Expected draws: a Python program of Philox4x32-10 (its known answer 6627e8d5 e169c58d bc57ac4c
// 9b00dbd8 for zeros, Random123) and FNV-1a ("a": af63dc4c8601ec8c, RFC 9923), keyed as
// host/src/config.cpp says: counter (sample, hash of the key), key = seed.
TEST(ConfigSweep, DrawsAreThoseOfPhilox) {
  const Sweep sweep = sweep_of(
      "\"learner.gamma\" = { random = [0.5, 0.99] }\n"
      "\"learner.alpha\" = { random = [1e-4, 1e-1], scale = \"log\" }\n"
      "\"env.label\" = { random = [\"a\", \"b\", \"c\"] }\nsamples = 8");
  ASSERT_EQ(sweep.size(), 8);
  const double gammas[] = {0.7192062424455681, 0.956782178839775, 0.5588242271437494,
                           0.7352806440676951};
  const double alphas[] = {0.0018142133928184482, 0.05553913763240563, 0.012204756831621312,
                           0.0027649210402727136};
  const std::string labels = "cbacabcb";
  for (int i = 0; i < 8; ++i) {
    const SweepCell cell = sweep.cell(i);
    if (i < 4) {
      EXPECT_DOUBLE_EQ(*cell[0].second.as<double>(), gammas[i]);
      EXPECT_NEAR(*cell[1].second.as<double>(), alphas[i], 2e-14 * alphas[i]);  // exp, log
    }
    EXPECT_EQ(*cell[2].second.as<std::string>(), labels.substr(static_cast<size_t>(i), 1));
  }
  const auto firms = values_of(
      sweep_of("\"env.firms\" = { random = [2, 6] }\nsamples = 8\nseed = 7").axes().at(0));
  EXPECT_EQ(firms, (std::vector<std::string>{"6", "6", "3", "2", "5", "3", "6", "4"}));
}

TEST(ConfigSweep, LatinHypercubeDrawsOnceInEveryPart) {
  const Sweep sweep = sweep_of(
      "\"learner.gamma\" = { random = [0, 1] }\n\"env.max_steps\" = { random = [3, 7] }\n"
      "\"env.coop\" = { random = [true, false] }\n"
      "\"learner.alpha\" = { random = [1e-5, 1], scale = \"log\" }\n"
      "samples = 5\ndesign = \"latin_hypercube\"");
  ASSERT_EQ(sweep.size(), 5);
  // As in DrawsAreThoseOfPhilox: parts 0, 3, 2, 1, 4, in the order of words 2 and 3 of the blocks.
  const double gammas[] = {0.08947193569206861, 0.7864417056488878, 0.4240098886301018,
                           0.296032915945998, 0.925368862182855};
  std::set<int64_t> steps;
  std::set<int> decades;
  int yes = 0;
  for (int i = 0; i < 5; ++i) {
    const SweepCell cell = sweep.cell(i);
    EXPECT_DOUBLE_EQ(*cell[0].second.as<double>(), gammas[i]);
    steps.insert(*cell[1].second.as<int64_t>());
    yes += *cell[2].second.as<bool>() ? 1 : 0;
    decades.insert(static_cast<int>(std::floor(std::log10(*cell[3].second.as<double>()))));
  }
  EXPECT_EQ(steps, (std::set<int64_t>{3, 4, 5, 6, 7}));  // five values in five samples
  EXPECT_TRUE(yes == 2 || yes == 3) << yes;              // five samples in two halves
  EXPECT_EQ(decades, (std::set<int>{-5, -4, -3, -2, -1}));
}

TEST(ConfigSweep, LatinHypercubesOfTwoAxesAreShuffledApart) {
  const Sweep sweep = sweep_of(
      "\"learner.gamma\" = { random = [0, 1] }\n\"learner.alpha\" = { random = [0, 1] }\n"
      "samples = 1000\ndesign = \"latin_hypercube\"");
  double product = 0;
  std::set<int> parts;
  for (int i = 0; i < 1000; ++i) {
    const SweepCell cell = sweep.cell(i);
    const double a = *cell[0].second.as<double>(), b = *cell[1].second.as<double>();
    product += (a - 0.5) * (b - 0.5) / 1000;
    parts.insert(static_cast<int>(std::floor(a * 1000)));
  }
  EXPECT_EQ(parts.size(), 1000u);
  // The covariance of independent uniforms over 1,000 pairs has s.e. 1 / (12 sqrt(1000)) = 0.0026.
  EXPECT_LT(std::abs(product), 4 * 0.0026);
}

TEST(ConfigSweep, DrawsDependOnTheirOwnKeyAlone) {
  const auto gammas = [](const std::string& lines, std::size_t axis) {
    return values_of(sweep_of(lines).axes().at(axis));
  };
  const std::string gamma = "\"learner.gamma\" = { random = [0, 1] }\n";
  const std::string more = "\"learner.alpha\" = { random = [0, 1] }\n\"env.mu\" = [1, 2]\n";
  for (const char* design : {"", "design = \"latin_hypercube\"\n"}) {
    const auto alone = gammas(gamma + design + "samples = 9", 0);
    EXPECT_EQ(gammas(more + gamma + design + "samples = 9", 2), alone);
    EXPECT_NE(gammas(more + gamma + design + "samples = 9", 0), alone);
    EXPECT_NE(gammas(gamma + design + "samples = 9\nseed = 2", 0), alone);
  }
  auto longer = gammas(gamma + "samples = 12", 0);
  longer.resize(9);
  EXPECT_EQ(longer, gammas(gamma + "samples = 9", 0));
}

/// "gamma=0.5 alpha=1 ..." of every cell, without the tables of the keys.
std::vector<std::string> cells_of(const Sweep& sweep) {
  std::vector<std::string> cells;
  for (int64_t i = 0; i < sweep.size(); ++i) {
    std::string text;
    for (const auto& [key, value] : sweep.cell(i)) {
      text += key.substr(key.rfind('.') + 1) + "=" + to_text(value) + " ";
    }
    cells.push_back(text);
  }
  return cells;
}

TEST(ConfigSweep, ZippedKeysGoTogether) {
  using Texts = std::vector<std::string>;
  const std::string axes =
      "\"learner.alpha\" = { start = 0.1, stop = 0.2, step = 0.1 }\n\"env.coop\" = [true, false]\n"
      "\"learner.gamma\" = [0.5, 0.9]\n";
  // The group stands where its first key does.
  EXPECT_EQ(cells_of(sweep_of(axes + "zip = [\"learner.alpha\", \"learner.gamma\"]")),
            (Texts{"alpha=0.1 coop=true gamma=0.5 ", "alpha=0.1 coop=false gamma=0.5 ",
                   "alpha=0.2 coop=true gamma=0.9 ", "alpha=0.2 coop=false gamma=0.9 "}));
  EXPECT_EQ(
      cells_of(sweep_of(axes + "zip = [[\"learner.gamma\", \"env.coop\", \"learner.alpha\"]]")),
      (Texts{"alpha=0.1 coop=true gamma=0.5 ", "alpha=0.2 coop=false gamma=0.9 "}));
  const Sweep vectors = sweep_of(
      "\"env.quality\" = [[1, 2], [3, 4]]\n\"env.label\" = [\"x\", \"y\"]\n"
      "\"env.mu\" = [1, 2]\n\"learner.0.alpha\" = [0, 1]\n"
      "zip = [[\"env.quality\", \"env.label\"], [\"env.mu\", \"learner[0].alpha\"]]");
  EXPECT_EQ(cells_of(vectors), (Texts{"quality=[1, 2] label=\"x\" mu=1 alpha=0 ",
                                      "quality=[1, 2] label=\"x\" mu=2 alpha=1 ",
                                      "quality=[3, 4] label=\"y\" mu=1 alpha=0 ",
                                      "quality=[3, 4] label=\"y\" mu=2 alpha=1 "}));
}

TEST(ConfigSweep, SamplesAreTheSlowestOfAll) {
  const Sweep sweep = sweep_of(
      "\"env.mu\" = [1, 2]\n\"learner.alpha\" = { random = [0, 1] }\n\"env.coop\" = [true, false]\n"
      "samples = 3");
  ASSERT_EQ(sweep.size(), 12);
  EXPECT_EQ(sweep.places(0), (std::vector<int64_t>{0, 0, 0}));
  EXPECT_EQ(sweep.places(3), (std::vector<int64_t>{1, 0, 1}));
  EXPECT_EQ(sweep.places(6), (std::vector<int64_t>{1, 1, 0}));
  EXPECT_EQ(to_text(sweep.cell(4)[1].second), to_text(sweep.axes()[1].value(1)));
}

TEST(ConfigSweep, ReplacingReadsWhatACellOfItsOwnReads) {
  const std::string lines =
      "\"learner.alpha\" = [0.1, 0.2]\n\"env.quality\" = [[1, 2], "
      "3]\n\"learner.exploration.start\" "
      "= { random = [0, 1] }\n\"env.kind\" = [\"bertrand\", \"cournot\"]\nsamples = 2";
  Config config = load(with_env("[sweep]\n" + lines));
  read_all(config);
  const Sweep sweep = config.sweep();
  ASSERT_EQ(sweep.size(), 16);
  Config reused = config;
  for (int64_t i = 0; i < sweep.size(); ++i) {
    Config fresh = config.with(sweep.cell(i));
    const Sample expected = read_all(fresh);
    reused.replace(sweep.cell(i));
    const Sample got = read_all(reused);
    EXPECT_EQ(got.learners[0].alpha, expected.learners[0].alpha);
    EXPECT_EQ(got.learners[0].start, expected.learners[0].start);
    EXPECT_EQ(got.env.quality, expected.env.quality);
    EXPECT_EQ(got.env.kind.value, expected.env.kind.value);
    EXPECT_EQ(got.env.kind.value, i % 2 == 0 ? 1 : 0);
  }
  EXPECT_EQ(config.tables_of("learner.exploration.start"), (std::vector<std::string>{"learner"}));
}

TEST(ConfigSweep, DesignsSurviveBeingWritten) {
  Config config = load(with_env(
      "[sweep]\n\"learner.alpha\" = { random = [0.1, 0.2], scale = \"log\" }\n\"env.mu\" = { start "
      "= 1, stop = 2, count = 3 }\n\"learner.gamma\" = [0.1, 0.2, 0.3]\nsamples = 4\nseed = 9\n"
      "design = \"latin_hypercube\"\nzip = [\"env.mu\", \"learner.gamma\"]"));
  read_all(config);
  Config again = Config::from_text(config.to_toml(), "again");
  read_all(again);
  EXPECT_EQ(cells_of(again.sweep()), cells_of(config.sweep()));
  EXPECT_EQ(again.sweep().size(), 12);
}

TEST(ConfigSweep, CellsBecomeConfigs) {
  Config config =
      load(with_env("[sweep]\n\"learner.alpha\" = [0.1, 0.2]\nenv.quality = [[1, 2], 3]"),
           {"experiment.runs=3"});
  read_all(config);
  const Sweep sweep = config.sweep();
  ASSERT_EQ(sweep.size(), 4);
  Config cell = config.with(sweep.cell(2));
  EXPECT_FALSE(cell.has_sweep());
  EXPECT_TRUE(cell.origins_json().empty());
  const Sample s = read_all(cell);
  EXPECT_EQ(s.learners[0].alpha, 0.2);
  EXPECT_EQ(s.env.quality, (std::vector<double>{1, 2}));
  EXPECT_EQ(s.experiment.runs, 3);
  EXPECT_EQ(cell.origins_json()["learner.alpha"], "e.toml:6");
}

TEST(ConfigSweep, NestedTablesAndSets) {
  const Sweep sweep =
      sweep_of("learner.exploration.start = [1, 2]\n\"learner.alpha\" = [0.5]",
               {"sweep.learner.alpha=[0.25,0.75]", "sweep.env.mu={start=1,stop=3,step=1}"});
  ASSERT_EQ(sweep.axes().size(), 3u);
  EXPECT_EQ(sweep.axes()[0].key(), "learner.exploration.start");
  EXPECT_EQ(values_of(sweep.axes()[1]), (std::vector<std::string>{"0.25", "0.75"}));
  EXPECT_EQ(values_of(sweep.axes()[2]), (std::vector<std::string>{"1", "2", "3"}));
}

TEST(ConfigSweep, AllLearnersOrOne) {
  Config config = load(
      "[env]\nname = \"lbf\"\n[[learner]]\nname = \"sarsa\"\n[[learner]]\nname = \"sarsa\"\n"
      "[sweep]\nlearner.alpha = [0.5]\n\"learner.1.gamma\" = [0.25]");
  read_all(config);
  Config cell = config.with(config.sweep().cell(0));
  const Sample s = read_all(cell);
  EXPECT_EQ(s.learners[0].alpha, 0.5);
  EXPECT_EQ(s.learners[1].alpha, 0.5);
  EXPECT_EQ(s.learners[0].gamma, 0.95);
  EXPECT_EQ(s.learners[1].gamma, 0.25);
}

TEST(ConfigSweep, NoneIsOneCell) {
  const Sweep sweep = sweep_of("");
  EXPECT_EQ(sweep.size(), 1);
  EXPECT_TRUE(sweep.cell(0).empty());
}

// ---- writing ----

const char* const kFull = R"([experiment]
name = "q\"\\\u0007 \u00e9 \U0001F600"
[env]
name = "matrix_game"
mu = 0.30000000000000004
quality = [-0.0, 1e-7, 99]
payoffs = [[1, 2], [3, 5e-324]]
kind = "bertrand"
[[learner]]
name = "sarsa"
exploration.decay_rate = 1.7976931348623157e308
[[learner]]
name = "q_learning"
[sweep]
"learner.alpha" = { start = 0.1, stop = 0.3, step = 0.1 }
env.label = ["a", "b"]
)";

TEST(ConfigWrite, RoundTrip) {
  Config config = load(kFull, {"env.firms=4"});
  const Sample first = read_all(config);
  const std::string text = config.to_toml();

  Config again = Config::from_text(text, "again.toml");
  const Sample second = read_all(again);
  EXPECT_EQ(again.to_json(), config.to_json());
  EXPECT_EQ(second.experiment.name, "q\"\\\x07 \xC3\xA9 \xF0\x9F\x98\x80");
  EXPECT_EQ(second.env.mu, first.env.mu);
  EXPECT_TRUE(std::signbit(second.env.quality[0]));
  EXPECT_EQ(second.env.quality, first.env.quality);
  EXPECT_EQ(second.env.payoffs.values, first.env.payoffs.values);
  EXPECT_EQ(second.learners[0].decay_rate, std::numeric_limits<double>::max());
  ASSERT_EQ(again.sweep().size(), config.sweep().size());
  for (int64_t i = 0; i < config.sweep().size(); ++i) {
    const SweepCell a = config.sweep().cell(i), b = again.sweep().cell(i);
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t k = 0; k < a.size(); ++k) {
      EXPECT_EQ(a[k].first, b[k].first);
      EXPECT_EQ(to_text(a[k].second), to_text(b[k].second));
    }
  }
}

TEST(ConfigWrite, TomlNamesEveryOrigin) {
  Config config =
      Config::from_text("[env]\nname = \"lbf\"\n[sweep]\n\"env.mu\" = [1.0]", "dir\xC3\xA9/e.toml");
  config.set("learner.name=sarsa");
  config.take_name("env");
  SampleEnv env;
  read(config, "env", [&](FieldVisitor& v) { env.fields(v); });
  config.take_name("learner");
  EXPECT_EQ(config.to_toml(), R"([env]
name = "lbf"  # "dir\u00E9/e.toml:2"
firms = 2  # default
max_steps = 1000  # default
mu = 0.25  # default
coop = false  # default
label = "plain"  # default
quality = [2.0]  # default
size = [8, 8]  # default
# payoffs = []  # default
kind = "cournot"  # default

[learner]
name = "sarsa"  # --set learner.name=sarsa

[sweep]
"env.mu" = [1.0]  # "dir\u00E9/e.toml:4"
)");
}

TEST(ConfigWrite, JsonIsNested) {
  Config config = load(kFull);
  read_all(config);
  const Json json = config.to_json();
  EXPECT_EQ(json["env"]["payoffs"], Json::parse("[[1.0, 2.0], [3.0, 5e-324]]"));
  EXPECT_EQ(json["learner"][1]["name"], "q_learning");
  EXPECT_EQ(json["learner"][0]["exploration"]["kind"], "epsilon_greedy");
  EXPECT_EQ(json.begin().key(), "experiment");
  EXPECT_FALSE(json.contains("sweep"));
}

// ---- describing ----

TEST(ConfigDescribe, SaysEverything) {
  SampleEnv env;
  const auto info = describe([&](FieldVisitor& v) { env.fields(v); });
  ASSERT_EQ(info.size(), 9u);
  std::vector<std::string> types;
  for (const FieldInfo& field : info) types.push_back(field.type);
  EXPECT_EQ(types, (std::vector<std::string>{"whole", "whole", "real", "bool", "string", "reals",
                                             "wholes", "tensor", "choice"}));
  EXPECT_EQ(to_json(info[0]).dump(),
            R"({"key":"firms","type":"whole","default":2,"min":2,"max":6,"unit":"",)"
            R"("choices":[],"text":"number of firms"})");
  EXPECT_EQ(to_json(info[1]).dump(),
            R"({"key":"max_steps","type":"whole","default":1000,"min":1,"max":null,)"
            R"("unit":"steps","choices":[],"text":"episode length"})");
  EXPECT_EQ(to_json(info[8]).dump(),
            R"({"key":"kind","type":"choice","default":"cournot","min":null,"max":null,"unit":"",)"
            R"("choices":["cournot","bertrand","stackelberg"],"text":"kind of competition"})");
  EXPECT_EQ(to_text(info[6].default_value), "[8, 8]");
}

TEST(NearestName, SeesCommonMistakes) {
  const std::vector<std::string> names = {"alpha", "gamma", "epsilon_greedy", "xi", "a_b_c_d"};
  EXPECT_EQ(nearest_name("alhpa", names), "alpha");
  EXPECT_EQ(nearest_name("alph", names), "alpha");
  EXPECT_EQ(nearest_name("Gamma", names), "gamma");
  EXPECT_EQ(nearest_name("epsilon-greedy", names), "epsilon_greedy");
  EXPECT_EQ(nearest_name("a-b-c-d", names), "a_b_c_d");
  EXPECT_EQ(nearest_name("eps", names), "epsilon_greedy");
  EXPECT_EQ(nearest_name("ix", names), "xi");
  EXPECT_EQ(nearest_name("mu", names), "");
  EXPECT_EQ(nearest_name("", names), "");
  EXPECT_EQ(nearest_name(std::string(1'000'000, 'a'), names), "");
}

TEST(Errors, SayWhatTheyKnow) {
  EXPECT_STREQ(DeviceError("cuda:2", {"cpu", "cuda:0"}).what(),
               "device \"cuda:2\" is not there; present: cpu, cuda:0");
  EXPECT_STREQ(DeviceError("cuda", {"cpu"}, "no driver").what(),
               "device \"cuda\" is not there (no driver); present: cpu");
  EXPECT_STREQ(CudaError("cudaMalloc(&p, n)", "a.cu", 7, "out of memory").what(),
               "a.cu:7: cudaMalloc(&p, n): out of memory");
  EXPECT_STREQ(IoError("out/r.sqlite", "disk\nfull").what(), "out/r.sqlite: disk\\x0afull");
}

}  // namespace
}  // namespace cumarl
