/// \file
/// Sweeps as experiments: cells that share settings and environments give what each gives alone;
/// the grid of Calvano et al.
#include <gtest/gtest.h>

#include <cmath>

#include "cumarl/runner.hpp"
#include "host/src/reproduce.hpp"

namespace cumarl {
namespace {

const std::string kMarket =
    "[experiment]\nname = \"s\"\nruns = 2\n[env]\nname = \"bertrand_logit\"\nprices = 5\n"
    "[learner]\nname = \"q_learning\"\ngamma = 0.9\n"
    "exploration = { kind = \"epsilon_greedy\", start = 1.0, decay_rate = 1e-2 }\n"
    "[stop]\nstable_periods = 50\nmax_steps = 2000\n";

Result run(const std::string& text, const std::vector<std::string>& sets = {}) {
  RunRequest request;
  request.config_text = text;
  request.sets = sets;
  request.device = "cpu";
  request.threads = 1;
  return Runner(request).run();
}

/// The rows of a cell; run ids differ between a sweep and a run of one cell, and so do results, but
/// for the first cell. So cells are compared as the first ones of sweeps of their own.
void expect_first_cell(const Result& sweep, const std::string& text,
                       const std::vector<std::string>& sets) {
  const Result alone = run(text, sets);
  EXPECT_EQ(sweep.cells[0].columns, alone.cells[0].columns);
  EXPECT_EQ(sweep.cells[0].values, alone.cells[0].values);
}

TEST(Sweeps, SharedPartsAreThoseOfTheCell) {
  // Every combination once as the first cell of a sweep (read in full) and once later (shared).
  const std::string axes =
      "[sweep]\n\"learner.alpha\" = [0.1, 0.3]\n\"env.mu\" = [0.25, 0.5]\n"
      "\"stop.max_steps\" = [500, 2000]\n\"env.prices\" = [5, 20]\n";
  const Result all = run(kMarket + axes);
  ASSERT_EQ(all.cells.size(), 16u);
  const char* const alphas[] = {"0.1", "0.3"};
  const char* const mus[] = {"0.25", "0.5"};
  const char* const steps[] = {"500", "2000"};
  const char* const prices[] = {"5", "20"};
  for (size_t c = 0; c < 16; ++c) {
    // The same cell as the only one that differs: lists that repeat its value keep its run ids.
    const auto twice = [](const char* value) {
      return std::string("[") + value + "," + value + "]";
    };
    const Result one = run(kMarket + axes, {"sweep.learner.alpha=" + twice(alphas[c / 8]),
                                            "sweep.env.mu=" + twice(mus[c / 4 % 2]),
                                            "sweep.stop.max_steps=" + twice(steps[c / 2 % 2]),
                                            "sweep.env.prices=" + twice(prices[c % 2])});
    EXPECT_EQ(all.cells[c].values, one.cells[c].values) << c;
    EXPECT_EQ(all.cells[c].run_ids, one.cells[c].run_ids) << c;
  }
  expect_first_cell(all, kMarket, {"learner.alpha=0.1", "env.mu=0.25", "stop.max_steps=500"});
  // mu is heard: cells 0 and 4 differ in it alone but for their run ids, and mean prices move.
  EXPECT_NE(all.cells[0].metrics.at("mean_price").mean, all.cells[4].metrics.at("mean_price").mean);
}

TEST(Sweeps, OneAgentsKeysAreNotTheOthers) {
  const std::string single =
      "[learner]\nname = \"q_learning\"\ngamma = 0.9\n"
      "exploration = { kind = \"epsilon_greedy\", start = 1.0, decay_rate = 1e-2 }\n";
  const std::string axes = "\"learner.alpha\" = [0.1, 0.9]\n\"env.mu\" = [0.25, 0.5]\n";
  const Result plain = run(kMarket + "[sweep]\n" + axes);
  std::string text = kMarket;
  const auto at = text.find(single);
  ASSERT_NE(at, std::string::npos);
  const std::string listed = "[[learner]]" + single.substr(9);
  text.replace(at, single.size(), listed + listed);
  EXPECT_EQ(run(text + "[sweep]\n" + axes).result_hash, plain.result_hash);
  const Result second =
      run(text + "[sweep]\n\"learner[1].alpha\" = [0.1, 0.9]\n" + axes.substr(axes.find("\"env")));
  EXPECT_EQ(second.cells[0].values, plain.cells[0].values);  // the default of alpha is 0.1
  EXPECT_NE(second.cells[2].values, plain.cells[2].values);
}

TEST(Sweeps, NamesMayBeSwept) {
  const std::string text =
      "[experiment]\nruns = 2\n[env]\nname = \"matrix_game\"\n[learner]\nname = \"q_learning\"\n"
      "gamma = 0.5\n[stop]\nmax_steps = 200\n[sweep]\n"
      "\"learner.name\" = [\"q_learning\", \"random\"]\n\"env.game\" = [\"chicken\", "
      "\"stag_hunt\"]\n"
      "\"stop.max_steps\" = [100, 200]\n";
  EXPECT_THROW(run(text), ConfigError);  // gamma is no key of random
  std::string known = text;
  known.replace(known.find("gamma = 0.5\n"), 12, "");
  const Result result = run(known);
  ASSERT_EQ(result.cells.size(), 8u);
  for (const CellResult& cell : result.cells) EXPECT_EQ(cell.runs, 2u);
}

TEST(Sweeps, ErrorsOfLateCellsSayWhatCellsInFullSay) {
  try {
    run(kMarket + "[sweep]\n\"learner.alpha\" = [0.1, 0.2, 1.5]\n");
    ADD_FAILURE() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.problem().key, "learner.alpha");
    EXPECT_EQ(error.problem().line, 15);
    EXPECT_EQ(error.problem().value, "1.5");
  }
}

// ---- the grid ----

RunRequest grid(const std::string& alpha, const std::string& beta, int64_t runs) {
  RunRequest request;
  request.sets = {"sweep.learner.alpha=" + alpha, "sweep.learner.exploration.decay_rate=" + beta};
  request.runs = runs;
  request.device = "cpu";
  request.threads = 1;
  return request;
}

TEST(CalvanoGrid, TakesNoOtherSweep) {
  RunRequest request = grid("[0.1]", "[1e-5]", 1);
  request.sets.push_back("sweep.env.mu=[0.25]");
  EXPECT_THROW(reproduce(kCalvanoGrid, request), ConfigError);
  EXPECT_THROW(reproduce(kCalvanoGrid, grid("[0.1]", "[0]", 1)), ConfigError);
}

TEST(CalvanoGrid, PoolsCellsAroundPublishedPoints) {
  // Four cells, all within a tenth of (0.15, 2e-5), and 24 sessions; short runs, which need no
  // convergence: rows are there, of 24 sessions, and one part holds everything.
  RunRequest request = grid("[0.145, 0.155]", "[1.9e-5, 2.1e-5]", 6);
  request.sets.push_back("stop.max_steps=1000");
  const Reproduction r = reproduce(kCalvanoGrid, request);
  ASSERT_EQ(r.rows.size(), 2u);
  EXPECT_EQ(r.rows[0].what, "profit_gain, mean near alpha 0.15, beta 2e-05");
  EXPECT_EQ(r.rows[0].published, 0.795);
  EXPECT_EQ(r.rows[0].n, 24u);
  double sum = 0;
  for (const CellResult& cell : r.result.cells) sum += cell.metrics.at("profit_gain").mean / 4;
  EXPECT_NEAR(r.rows[0].ours, sum, 1e-12);
  EXPECT_EQ(r.rows[1].published, 452'000);
  const double betas[] = {1.9e-5, 2.1e-5, 1.9e-5, 2.1e-5};
  double time = 0;
  for (size_t c = 0; c < 4; ++c) {
    time += r.result.cells[c].metrics.at("time_to_convergence").mean * betas[c] / 2e-5 / 4;
  }
  EXPECT_NEAR(r.rows[1].ours, time, 1e-9);
  EXPECT_FALSE(r.rows[1].ok);
  EXPECT_FALSE(r.ok);
  EXPECT_NE(r.picture.find("2 x 2 cells, 24 sessions"), std::string::npos);
}

}  // namespace
}  // namespace cumarl
