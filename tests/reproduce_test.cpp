/// \file
/// Reproductions: tolerances by hand, right and wrong published figures, the files' errors, the
/// exact mode, and the pictures.
#include "host/src/reproduce.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/src/plot.hpp"

namespace cumarl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Kind = PublishedFigure::Kind;

const fs::path kGolden = fs::path(CUMARL_TEST_DATA) / "calvano2020_sessions_1_40.csv";

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

/// A folder of its own for a test, removed with it.
class Folder {
 public:
  Folder() {
    path_ = fs::temp_directory_path() /
            ("cumarl_reproduce_" + std::to_string(getpid()) + "_" + std::to_string(counter_++));
    fs::create_directories(path_ / "published");
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }

 private:
  static inline int counter_ = 0;
  fs::path path_;
};

/// Shipped experiments are looked for in `folder` while this lives.
class ExperimentsAt {
 public:
  explicit ExperimentsAt(const std::string& folder) {
    setenv("CUMARL_EXPERIMENTS", folder.c_str(), 1);
  }
  ExperimentsAt(const ExperimentsAt&) = delete;
  ExperimentsAt& operator=(const ExperimentsAt&) = delete;
  ~ExperimentsAt() { unsetenv("CUMARL_EXPERIMENTS"); }
};

/// Four runs: gains 1, 2, 3, 6; cycles 1, 1, 2, 5; Nash yes, no, yes, no; a curve of one point.
CellResult small_cell() {
  CellResult cell;
  cell.runs = 4;
  cell.run_ids = {0, 1, 2, 3};
  cell.columns = {"converged", "gain", "cycle_length", "nash_on_path", "price_0"};
  cell.values = {1, 1, 1, 1, 10,  //
                 1, 2, 1, 0, 12,  //
                 1, 3, 2, 1, 14,  //
                 1, 6, 5, 0, 16};
  cell.shares["cycle_length"] = {{"1", 0.5}, {"2", 0.25}, {"5", 0.25}};
  cell.shares["nash_on_path"] = {{"false", 0.5}, {"true", 0.5}};
  cell.shares["greedy_joint_action"] = {{"0,0", 0.25}, {"1,1", 0.5}, {"2,2", 0.25}};
  return cell;
}

/// A cell whose runs have not ended.
CellResult empty_cell() {
  CellResult cell;
  cell.columns = {"gain"};
  return cell;
}

PublishedFigure figure(Kind kind, const std::string& name, double value, uint64_t runs) {
  PublishedFigure f;
  f.kind = kind;
  f.name = name;
  f.value = value;
  f.runs = runs;
  return f;
}

PublishedFigure share(const std::string& name, const std::string& label, double value,
                      uint64_t runs = 100) {
  PublishedFigure f = figure(Kind::share, name, value, runs);
  f.label = label;
  return f;
}

// ---- tolerances ----

TEST(ReproduceCompare, Mean) {
  // mean 3, sum of squares 4+1+0+9 = 14, sd^2 = 14/3, se^2 = 14/12
  const double variance = 14.0 / 3;
  PublishedFigure f = figure(Kind::mean, "gain", 4, 9);
  ReproduceRow row = compare(small_cell(), f);
  EXPECT_EQ(row.n, 4u);
  EXPECT_DOUBLE_EQ(row.ours, 3);
  EXPECT_DOUBLE_EQ(row.se, std::sqrt(variance / 4));
  EXPECT_DOUBLE_EQ(row.tolerance, 3 * std::sqrt(variance / 9 + variance / 4));
  EXPECT_TRUE(row.ok);
  EXPECT_EQ(row.rule, "3 s.e.");

  f.sd = 1.5;  // the published one takes the place of ours
  EXPECT_DOUBLE_EQ(compare(small_cell(), f).tolerance, 3 * std::sqrt(1.5 * 1.5 / 9 + variance / 4));
  f.rounding = 0.25;
  EXPECT_DOUBLE_EQ(compare(small_cell(), f).tolerance,
                   3 * std::sqrt(1.5 * 1.5 / 9 + variance / 4) + 0.25);
}

// The gain of the last run, 6, is no number: gains 1, 2 and 3 are left.
TEST(ReproduceCompare, RunsWithoutTheMeasureDoNotCount) {
  CellResult cell = small_cell();
  cell.values[16] = PublishedFigure::kNone;
  const ReproduceRow mean = compare(cell, figure(Kind::mean, "gain", 2, 9));
  EXPECT_EQ(mean.n, 3u);
  EXPECT_DOUBLE_EQ(mean.ours, 2);
  EXPECT_DOUBLE_EQ(mean.se, std::sqrt(1.0 / 3));
  EXPECT_DOUBLE_EQ(compare(cell, figure(Kind::sd, "gain", 1, 9)).ours, 1);
  PublishedFigure median = figure(Kind::quantile, "gain", 2, 9);
  median.quantile = 0.5;
  EXPECT_DOUBLE_EQ(compare(cell, median).ours, 2);
}

TEST(ReproduceCompare, TheEdgeOfATolerance) {
  PublishedFigure f = figure(Kind::mean, "gain", 3.5, 4);
  f.tolerance = 0.5;
  EXPECT_TRUE(compare(small_cell(), f).ok);
  f.value = 3.5000001;
  EXPECT_FALSE(compare(small_cell(), f).ok);
  f.value = 2.4999999;
  EXPECT_FALSE(compare(small_cell(), f).ok);
}

TEST(ReproduceCompare, StatedToleranceNeedsTheRuns) {
  PublishedFigure f = figure(Kind::mean, "gain", 3.2, 4);
  f.tolerance = 0.5;
  EXPECT_EQ(compare(small_cell(), f).tolerance, 0.5);
  EXPECT_EQ(compare(small_cell(), f).rule, "stated");
  f.runs = 5;  // we have fewer: three standard errors, which are more
  EXPECT_EQ(compare(small_cell(), f).rule, "3 s.e.");
  EXPECT_GT(compare(small_cell(), f).tolerance, 4.0);
  f.tolerance = 100;  // never less than stated
  EXPECT_EQ(compare(small_cell(), f).tolerance, 100);
}

TEST(ReproduceCompare, StandardDeviation) {
  // m2 = 14/4, m4 = (16+1+0+81)/4; se = sqrt((m4 - m2^2) / (4 m2 n))
  const double m2 = 3.5;
  const double m4 = 24.5;
  const ReproduceRow row = compare(small_cell(), figure(Kind::sd, "gain", 2, 16));
  EXPECT_DOUBLE_EQ(row.ours, std::sqrt(14.0 / 3));
  EXPECT_DOUBLE_EQ(row.se, std::sqrt((m4 - m2 * m2) / (4 * m2 * 4)));
  EXPECT_DOUBLE_EQ(row.tolerance, 3 * row.se * std::sqrt(1 + 4.0 / 16));
}

TEST(ReproduceCompare, Quantile) {
  // 101 values 0, 1, ..., 100: the quantile at q is 100 q
  CellResult cell;
  cell.columns = {"x"};
  for (int i = 0; i <= 100; ++i) {
    cell.run_ids.push_back(static_cast<uint64_t>(i));
    cell.values.push_back((i * 37) % 101);
  }
  cell.runs = 101;
  PublishedFigure f = figure(Kind::quantile, "x", 30, 101);
  f.quantile = 0.25;
  const ReproduceRow row = compare(cell, f);
  EXPECT_NEAR(row.ours, 25, 1e-12);
  EXPECT_NEAR(row.se, 100 * std::sqrt(0.25 * 0.75 / 101), 1e-12);
  EXPECT_NEAR(row.tolerance, 300 * std::sqrt(2 * 0.25 * 0.75 / 101), 1e-12);
  EXPECT_TRUE(row.ok);
  f.value = 44;
  EXPECT_FALSE(compare(cell, f).ok);
  f.quantile = 0.01;
  EXPECT_NEAR(compare(cell, f).tolerance, 300 * std::sqrt(2 * 0.01 * 0.99 / 101), 1e-12);
  f.value = 0.5;  // below ours, and there the minimum ends it
  EXPECT_NEAR(compare(cell, f).tolerance, 1, 1e-12);
}

TEST(ReproduceCompare, Share) {
  const CellResult cell = small_cell();
  const ReproduceRow one = compare(cell, share("cycle_length", "1", 0.6, 100));
  EXPECT_DOUBLE_EQ(one.ours, 0.5);
  EXPECT_DOUBLE_EQ(one.se, 0.25);
  const double pooled = 62.0 / 104;
  EXPECT_DOUBLE_EQ(one.tolerance, 3 * std::sqrt(pooled * (1 - pooled) * (1.0 / 4 + 1.0 / 100)));
  EXPECT_DOUBLE_EQ(compare(cell, share("cycle_length", "2+", 0.5)).ours, 0.5);
  EXPECT_DOUBLE_EQ(compare(cell, share("cycle_length", "3+", 0.5)).ours, 0.25);
  EXPECT_DOUBLE_EQ(compare(cell, share("cycle_length", "1|5", 0.5)).ours, 0.75);
  EXPECT_DOUBLE_EQ(compare(cell, share("cycle_length", "7", 0.5)).ours, 0);
  EXPECT_DOUBLE_EQ(compare(cell, share("greedy_joint_action", "0,0|2,2", 0.5)).ours, 0.5);
  EXPECT_DOUBLE_EQ(compare(cell, share("nash_on_path", "true", 0.5)).ours, 0.5);

  // All against none is told apart however sure both are of themselves.
  CellResult sure = cell;
  sure.shares["cycle_length"] = {{"1", 1.0}};
  EXPECT_FALSE(compare(sure, share("cycle_length", "2", 1, 100)).ok);
  EXPECT_TRUE(compare(sure, share("cycle_length", "2", 0, 100)).ok);
}

TEST(ReproduceCompare, ShareAmongSome) {
  const CellResult cell = small_cell();
  PublishedFigure f = share("nash_on_path", "true", 0.5);
  f.given = "cycle_length";
  f.given_label = "2+";
  ReproduceRow row = compare(cell, f);
  EXPECT_EQ(row.n, 2u);
  EXPECT_DOUBLE_EQ(row.ours, 0.5);
  f.given_label = "2";
  EXPECT_DOUBLE_EQ(compare(cell, f).ours, 1);
  f.given_label = "9";  // nobody: nothing to compare
  row = compare(cell, f);
  EXPECT_EQ(row.n, 0u);
  EXPECT_TRUE(std::isnan(row.ours));
  EXPECT_TRUE(row.ok);
  EXPECT_EQ(row.rule, "too few runs");
}

TEST(ReproduceCompare, CurvePoint) {
  PublishedFigure f = figure(Kind::point, "price", 13, 1000);
  EXPECT_DOUBLE_EQ(compare(small_cell(), f).ours, 13);
  f.point = 1;
  EXPECT_THROW(compare(small_cell(), f), ConfigError);
}

TEST(ReproduceCompare, UnknownNamesAreErrors) {
  try {
    compare(small_cell(), figure(Kind::mean, "gian", 1, 1));
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.problem().nearest, "gain");
  }
  EXPECT_THROW(compare(small_cell(), share("cycle_lenght", "1", 1)), ConfigError);
}

// ---- files of published figures ----

TEST(ReproducePublished, ReadsEveryKind) {
  const Folder folder;
  const Published p = read_published(folder.write("p.toml", R"(
[published]
title = "T"
source = "S"
runs = 50
[[metric]]
name = "gain"
mean = 1.5
sd = 2
quantiles = [1, 2, 3, 4, 5]
tolerance = 0.1
[[metric]]
name = "gain"
quantiles = [7]
[[share]]
name = "cycle_length"
label = "3+"
given = "nash"
given_label = "true"
value = 0.25
runs = 7
[[curve]]
name = "price"
first = 2
values = [8, 9]
rounding = 0.5
)"));
  EXPECT_EQ(p.title, "T");
  EXPECT_EQ(p.source, "S");
  ASSERT_EQ(p.figures.size(), 11u);
  EXPECT_EQ(p.figures[0].text(), "gain, mean");
  EXPECT_EQ(p.figures[0].sd, 2);
  EXPECT_EQ(p.figures[0].tolerance, 0.1);
  EXPECT_EQ(p.figures[0].runs, 50u);
  EXPECT_EQ(p.figures[1].text(), "gain, s.d.");
  EXPECT_TRUE(std::isnan(p.figures[1].tolerance));
  EXPECT_EQ(p.figures[2].text(), "gain, 5% quantile");
  EXPECT_EQ(p.figures[6].value, 5);
  EXPECT_EQ(p.figures[7].text(), "gain, 50% quantile");
  EXPECT_EQ(p.figures[8].text(), "share of cycle_length = 3+ where nash = true");
  EXPECT_EQ(p.figures[8].runs, 7u);
  EXPECT_EQ(p.figures[10].text(), "price, point 3");
  EXPECT_EQ(p.figures[10].rounding, 0.5);
}

TEST(ReproducePublished, ErrorsNameFileAndLine) {
  const std::string head = "[published]\ntitle = \"T\"\nruns = 10\n";
  const struct {
    std::string text;
    int line;
    std::string key;
  } cases[] = {
      {head, 1, "published"},
      {"[published]\ntitle = \"T\"\n[[metric]]\nname = \"x\"\nmean = 1\n", 1, "published.runs"},
      {head + "[[metric]]\nname = \"x\"\n", 4, "metric[0]"},
      {head + "[[metric]]\nmean = 1\n", 4, "metric[0].name"},
      {head + "[[metric]]\nname = \"x\"\nquantiles = [1, 2]\n", 6, "metric[0].quantiles"},
      {head + "[[metric]]\nname = \"x\"\nmaen = 1\nsd = 1\n", 6, "metric[0].maen"},
      {head + "[[share]]\nname = \"x\"\nlabel = \"1\"\nvalue = 1.5\n", 7, "share[0].value"},
      {head + "[[share]]\nname = \"x\"\nlabel = \"1\"\n", 4, "share[0].value"},
      {head + "[[share]]\nname = \"x\"\nvalue = 1\n", 4, "share[0].label"},
      {head + "[[share]]\nname = \"x\"\nlabel = \"1\"\nvalue = 1\ngiven = \"y\"\n", 8,
       "share[0].given"},
      {head + "[[curve]]\nname = \"x\"\n", 4, "curve[0].values"},
      {head + "[[curv]]\nname = \"x\"\n", 4, "curv"},
  };
  const Folder folder;
  for (const auto& c : cases) {
    const std::string path = folder.write("bad.toml", c.text);
    try {
      read_published(path);
      ADD_FAILURE() << c.text;
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.problem().source, path) << c.text;
      EXPECT_EQ(error.problem().line, c.line) << c.text;
      EXPECT_TRUE(error.problem().key.starts_with(c.key.substr(0, c.key.find('['))))
          << error.what();
    }
  }
}

// ---- whole reproductions ----

/// Two agents that only explore: action 0 of the coordination game is twice as good on average.
const char* const kGame = R"([experiment]
name = "small"
runs = 40
[env]
name = "matrix_game"
game = "coordination"
[learner]
name = "q_learning"
alpha = 0.02
gamma = 0.0
exploration = { start = 1.0, end = 1.0 }
[stop]
max_steps = 200
)";

std::string published_share(double value) {
  return "[published]\ntitle = \"Small\"\nsource = \"Nobody\"\nruns = 40\n[[share]]\n"
         "name = \"greedy_joint_action\"\nlabel = \"0,0\"\ntolerance = 0.04\nvalue = " +
         std::to_string(value) + "\n";
}

TEST(Reproduce, RightAndWrongFigures) {
  const Folder folder;
  const ExperimentsAt at(folder.path());
  folder.write("small.toml", kGame);
  folder.write("published/small.toml", published_share(1));
  folder.write("published/no_experiment.toml", published_share(1));
  RunRequest request;
  request.device = "cpu";
  request.threads = 1;

  const auto names = experiment_names();
  ASSERT_EQ(names.size(), 3u);
  EXPECT_EQ(names[0].first, kExactExperiment);
  EXPECT_EQ(names[1].first, kEquilibria);
  EXPECT_EQ(names[2].first, "small");
  EXPECT_EQ(names[2].second, "Small");

  const Reproduction right = reproduce("small", request);
  ASSERT_EQ(right.rows.size(), 1u);
  const double ours = right.rows[0].ours;
  EXPECT_GT(ours, 0.9);
  EXPECT_TRUE(right.ok);
  EXPECT_EQ(right.result.runs, 40u);

  folder.write("published/small.toml", published_share(ours - 0.05));
  const Reproduction wrong = reproduce("small", request);
  EXPECT_FALSE(wrong.ok);
  EXPECT_FALSE(wrong.rows[0].ok);
  EXPECT_EQ(wrong.rows[0].ours, ours);
  EXPECT_EQ(wrong.result.result_hash, right.result.result_hash);

  request.runs = 3;  // too few for the stated tolerance
  EXPECT_EQ(reproduce("small", request).rows[0].n, 3u);
  EXPECT_EQ(reproduce("small", request).rows[0].rule, "3 s.e.");

  const InterruptFlag interrupt{true};
  const Reproduction none = reproduce("small", request, "", {}, &interrupt);
  EXPECT_FALSE(none.ok);
  EXPECT_TRUE(none.rows.empty());
}

TEST(Reproduce, Errors) {
  const Folder folder;
  const ExperimentsAt at(folder.path());
  folder.write("small.toml", kGame);
  folder.write("published/small.toml", published_share(1));
  try {
    reproduce("smal", {});
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.problem().nearest, "small");
  }
  EXPECT_THROW(reproduce("../small", {}), ConfigError);
  EXPECT_THROW(reproduce("small", {}, kGolden.string()), ConfigError);
  RunRequest sweep;
  sweep.sets = {"sweep.learner.alpha=[0.1,0.2]"};
  EXPECT_THROW(reproduce("small", sweep), ConfigError);
  RunRequest unknown;
  unknown.sets = {"learner.alhpa=0.1"};
  EXPECT_THROW(reproduce("small", unknown), ConfigError);
  RunRequest nowhere;
  nowhere.device = "cuda:99";
  EXPECT_THROW(reproduce("small", nowhere), DeviceError);

  RunRequest seed;
  seed.seed = 3;
  EXPECT_THROW(reproduce(kExactExperiment, seed, kGolden.string()), ConfigError);
  RunRequest cuda;
  cuda.device = "cuda";
  EXPECT_THROW(reproduce(kExactExperiment, cuda, kGolden.string()), DeviceError);

  const ExperimentsAt wrong(folder.path() + "/nowhere");
  EXPECT_THROW(experiment_names(), ConfigError);
}

/// Every figure that is shipped names something that its experiment reports.
TEST(Reproduce, EveryShippedExperiment) {
  int count = 0;
  for (const auto& [name, title] : experiment_names()) {
    if (name == kExactExperiment || name == kEquilibria) continue;
    RunRequest request;
    request.device = "cpu";
    request.threads = 1;
    request.runs = 2;
    request.sets = {"stop.max_steps=5000"};  // as many as any asks for points
    const Reproduction r = reproduce(name, request);
    EXPECT_EQ(r.result.experiment, name);
    EXPECT_FALSE(r.title.empty()) << name;
    EXPECT_FALSE(r.source.empty()) << name;
    EXPECT_FALSE(r.rows.empty()) << name;
    ++count;
  }
  EXPECT_GE(count, 30);
}

TEST(Reproduce, EveryKnownEquilibriumIsFound) {
  const Reproduction r = reproduce(kEquilibria, RunRequest{});
  EXPECT_GE(r.rows.size(), 100u);
  for (const ReproduceRow& row : r.rows) EXPECT_TRUE(row.ok) << row.what;
  EXPECT_TRUE(r.ok);
}

TEST(Reproduce, JsonAndTable) {
  Reproduction r;
  r.name = "n";
  r.source = "s";
  r.seconds = 1.5;
  r.rows.push_back(compare(small_cell(), figure(Kind::mean, "gain", 3, 4)));
  r.rows.push_back(compare(empty_cell(), figure(Kind::mean, "gain", 3, 4)));
  r.ok = true;
  const Json json = Json::parse(to_json(r));
  std::vector<std::string> keys;
  for (const auto& item : json.items()) keys.push_back(item.key());
  EXPECT_EQ(keys, (std::vector<std::string>{"name", "source", "rows", "ok", "seconds"}));
  keys.clear();
  for (const auto& item : json["rows"][0].items()) keys.push_back(item.key());
  EXPECT_EQ(keys,
            (std::vector<std::string>{"what", "published", "ours", "se", "n", "tolerance", "ok"}));
  EXPECT_EQ(json["rows"][0]["ours"], 3.0);
  EXPECT_EQ(json["rows"][0]["n"], 4);
  EXPECT_TRUE(json["rows"][1]["ours"].is_null());
  EXPECT_TRUE(json["rows"][1]["tolerance"].is_null());

  EXPECT_NE(to_table(r).find("all 2 figures within their tolerance"), std::string::npos);
  r.rows[0].ok = false;
  const std::string table = to_table(r);
  EXPECT_NE(table.find(" NO\n"), std::string::npos);
  EXPECT_NE(table.find("1 of 2 figures out of tolerance"), std::string::npos);
}

// ---- exact mode ----

/// The golden file cut to these lines (1: the first session), in this order.
std::string golden_with(const Folder& folder, const std::vector<size_t>& sessions) {
  const auto lines = lines_of(kGolden);
  std::string text = lines[0] + "\n";
  for (const size_t s : sessions) text += lines[s] + "\n";
  return folder.write("golden.csv", text);
}

TEST(ReproduceExact, EightSessions) {
  const Folder folder;
  const auto path = golden_with(folder, {1, 2, 3, 4, 5, 6, 7, 8});
  const Reproduction r = reproduce_exact(path, 1);
  ASSERT_TRUE(r.exact);
  EXPECT_EQ(r.exact->sessions, 8u);
  EXPECT_EQ(r.exact->identical, 8u);
  EXPECT_EQ(r.exact->first_difference, "");
  EXPECT_TRUE(r.ok);
  EXPECT_EQ(r.rows.size(), 6u);
  const Json json = Json::parse(to_json(r));
  std::vector<std::string> keys;
  for (const auto& item : json.items()) keys.push_back(item.key());
  EXPECT_EQ(keys, (std::vector<std::string>{"name", "source", "sessions", "identical",
                                            "first_difference", "rows", "ok", "seconds"}));
  EXPECT_EQ(json["name"], kExactExperiment);
  EXPECT_TRUE(json["first_difference"].is_null());
}

TEST(ReproduceExact, AnyOrderAnyThreadsAnyLineEnds) {
  const Folder folder;
  golden_with(folder, {37, 2, 40, 9});
  std::string text;
  for (const std::string& line : lines_of(folder.path() + "/golden.csv")) text += line + "\r\n";
  const Reproduction r = reproduce_exact(folder.write("dos.csv", text + "\r\n"), 2);
  EXPECT_EQ(r.exact->sessions, 4u);
  EXPECT_TRUE(r.ok);
}

TEST(ReproduceExact, NamesTheDifference) {
  // Session 3 with one field changed; fields 1 to 6 of the line.
  const auto lines = lines_of(kGolden);
  std::vector<std::string> parts(1);
  for (const char c : lines[3]) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  ASSERT_EQ(parts.size(), 7u);
  const auto last_number = [](const std::string& text) { return text.rfind(' ') + 1; };
  const Folder folder;
  for (size_t field = 1; field < parts.size(); ++field) {
    auto changed = parts;
    std::string& text = changed[field];
    std::string where;
    if (field == 1) {
      text = "0";
      where = "converged is 0 in the file and 1 here";
    } else if (field == 2) {
      text = "1.25";
      where = "ttc_episodes_of_25000 is 1.25 in the file and " + parts[2];
    } else if (field == 3) {
      text = std::to_string(std::stoi(text) + 1);
      changed[4] += " 225";
      where = "cycle_length is " + text;
    } else {
      text.replace(last_number(text), std::string::npos,
                   text.substr(last_number(text)) == "7" ? "8" : "7");
      where = field == 4 ? "cycle_states at place"
                         : "strategy_firm" + std::to_string(field - 4) + " in state 225 is";
    }
    std::string csv = lines[0] + "\n" + lines[1] + "\n";
    for (size_t i = 0; i < changed.size(); ++i) csv += (i > 0 ? "," : "") + changed[i];
    const Reproduction r = reproduce_exact(folder.write("changed.csv", csv + "\n"), 1);
    EXPECT_FALSE(r.ok);
    EXPECT_EQ(r.exact->identical, 1u);
    EXPECT_TRUE(r.exact->first_difference.starts_with("session 3: " + where))
        << r.exact->first_difference;
    EXPECT_FALSE(r.rows[field - 1].ok);
    EXPECT_EQ(r.rows[field - 1].ours, 1);
    EXPECT_NE(to_table(r).find("first difference: session 3"), std::string::npos);
  }
}

TEST(ReproduceExact, MalformedFiles) {
  const auto lines = lines_of(kGolden);
  const std::string head = lines[0] + "\n" + lines[1] + "\n";
  const std::string& good = lines[2];
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string line = good;
    return head + line.replace(line.find(from), from.size(), to) + "\n";
  };
  const std::string ttc = ",56.32,";  // session 2
  ASSERT_NE(good.find(ttc), std::string::npos);
  const struct {
    std::string text;
    int line;
    std::string key;
  } cases[] = {
      {"", 1, ""},
      {"session,converged\n", 1, ""},
      {lines[1] + "\n", 1, ""},
      {lines[0] + "\n", 1, ""},
      {with("2,1,", "0,1,"), 3, "session"},
      {with("2,1,", "-2,1,"), 3, "session"},
      {with("2,1,", "2.0,1,"), 3, "session"},
      {with("2,1,", "99999999999,1,"), 3, "session"},
      {with("2,1,", "2,2,"), 3, "converged"},
      {with("2,1,", "2,,"), 3, "converged"},
      {with(ttc, ",x,"), 3, "ttc_episodes_of_25000"},
      {with(ttc, ",nan,"), 3, "ttc_episodes_of_25000"},
      {with(ttc, ",-1,"), 3, "ttc_episodes_of_25000"},
      {with(ttc, ",56.32,7,"), 3, ""},
      {with(ttc + "1,", ttc + "0,"), 3, "cycle_length"},
      {with(ttc + "1,", ttc + "2,"), 3, "cycle_states"},
      {with(ttc + "1,145,", ttc + "1,226,"), 3, "cycle_states"},
      {with(ttc + "1,145,", ttc + "1,,"), 3, "cycle_states"},
      {with(ttc + "1,145,2 ", ttc + "1,145,16 "), 3, "strategy_firm1"},
      {with(ttc + "1,145,2 ", ttc + "1,145,2  "), 3, "strategy_firm1"},
      {with(ttc + "1,145,2 ", ttc + "1,145,2 2 "), 3, "strategy_firm1"},
      {head + good.substr(0, good.rfind(' ')) + "\n", 3, "strategy_firm2"},
      {head + good.substr(0, good.rfind(',')) + "\n", 3, ""},
      {head + "\x01\x02\n", 3, ""},
  };
  const Folder folder;
  for (const auto& c : cases) {
    const std::string path = folder.write("bad.csv", c.text);
    try {
      reproduce_exact(path, 1);
      ADD_FAILURE() << c.text.substr(0, 80);
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.problem().source, path);
      EXPECT_EQ(error.problem().line, c.line) << error.what();
      EXPECT_EQ(error.problem().key, c.key) << error.what();
    }
  }
  EXPECT_THROW(reproduce_exact(folder.path() + "/none.csv", 1), ConfigError);
  EXPECT_THROW(reproduce_exact(folder.path(), 1), ConfigError);
}

TEST(ReproduceExact, Interrupted) {
  const Folder folder;
  const InterruptFlag interrupt{true};
  const Reproduction r = reproduce_exact(golden_with(folder, {1, 2}), 1, {}, &interrupt);
  EXPECT_FALSE(r.ok);
  EXPECT_TRUE(r.rows.empty());
}

// ---- pictures ----

/// Well-formed as far as a test needs: tags close, and no number went wrong.
void expect_svg(const std::string& svg) {
  EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  std::vector<std::string> open;
  for (size_t at = 0; (at = svg.find('<', at)) != std::string::npos;) {
    const size_t end = svg.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = svg.substr(at + 1, end - at - 1);
    const std::string name = tag.substr(0, tag.find(' '));
    EXPECT_EQ(tag.find('<'), std::string::npos) << tag;
    if (name[0] == '/') {
      ASSERT_FALSE(open.empty());
      EXPECT_EQ(open.back(), name.substr(1));
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(name);
    }
    at = end;
  }
  EXPECT_TRUE(open.empty());
  for (const char* wrong : {"nan", "inf", "<script", "href", "@import", "url("}) {
    EXPECT_EQ(svg.find(wrong), std::string::npos) << wrong;
  }
}

TEST(Picture, EveryKindOfExperiment) {
  RunRequest request;
  request.device = "cpu";
  request.threads = 1;
  request.runs = 3;
  request.sets = {"stop.max_steps=500"};
  Reproduction pricing = reproduce("calvano2020-baseline", request);
  const std::string three_panels = picture(pricing);
  expect_svg(three_panels);
  for (const char* word : {"Profit gain over sessions", "static Nash", "monopoly", "published",
                           "Prices after a deviation", "cycle length", "Nash on the path"}) {
    EXPECT_NE(three_panels.find(word), std::string::npos) << word;
  }
  pricing.rows.clear();  // nothing published
  expect_svg(picture(pricing));
  EXPECT_EQ(picture(pricing).find("published"), std::string::npos);

  Reproduction game = reproduce("penalty-q-epsilon", request);
  game.title = "a < b & \"c\"";
  const std::string bars = picture(game);
  expect_svg(bars);
  EXPECT_NE(bars.find("a &lt; b &amp; &quot;c&quot;"), std::string::npos);
  EXPECT_NE(bars.find("or (2,2)"), std::string::npos);

  Reproduction other;
  other.rows.push_back(compare(small_cell(), figure(Kind::mean, "gain", 3, 4)));
  other.rows.push_back(compare(small_cell(), figure(Kind::mean, "gain", 300, 4)));
  other.rows.push_back(compare(empty_cell(), figure(Kind::mean, "gain", 3, 4)));
  expect_svg(picture(other));
  expect_svg(picture(Reproduction{}));
}

TEST(Picture, Files) {
  const Folder folder;
  const std::string path = folder.path() + "/new/folder/p.svg";
  write_picture("<svg/>", path);
  EXPECT_EQ(lines_of(path), std::vector<std::string>{"<svg/>"});
  EXPECT_FALSE(fs::exists(path + ".partial"));
  EXPECT_THROW(write_picture("<svg/>", path + "/below"), IoError);
}

}  // namespace
}  // namespace cumarl
