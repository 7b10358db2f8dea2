/// Evaluation on the way of joint learners: what it measures, that it changes nothing, that it and
/// memories do not depend on how a run is cut up, and what diverges.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "cumarl/runner.hpp"

namespace {

using namespace cumarl;

const std::string kRecurrent =
    "name = \"vdn\"\nalpha = 0.003\ngamma = 1.0\noptimizer = { kind = \"adam\" }\n"
    "exploration = { decay_steps = 500 }\nbatch = 4\n"
    "utility = { kind = \"gru\", width = 8 }\nreplay = { slots = 50, steps = 10 }\n";
const std::string kHunt = "name = \"predator_prey\"\nsize = [3, 3]\nmax_steps = 10\n";

Result run(const std::string& learner, int points, uint64_t batch = 0, int threads = 1) {
  RunRequest request;
  request.config_text = "[env]\n" + kHunt + "[learner]\n" + learner +
                        "[evaluation]\nepisodes = 30\npoints = " + std::to_string(points) +
                        "\n[stop]\nmax_steps = 1200\n";
  request.runs = 5;
  request.device = "cpu";
  request.batch = batch;
  request.threads = threads;
  return Runner(request).run();
}

// The last point is taken at the end, over the episodes of the final evaluation. Points between do
// not change what is learned: everything but the curve is as without them.
TEST(LearningCurve, EndsInTheEvaluationAndChangesNothing) {
  const Result with = run(kRecurrent, 4), without = run(kRecurrent, 0);
  const CellResult &a = with.cells[0], &b = without.cells[0];
  ASSERT_EQ(a.curves.at("episode_return_over_time").size(), 4u);
  EXPECT_TRUE(b.curves.empty());
  EXPECT_EQ(a.curves.at("episode_return_over_time")[3].mean, a.metrics.at("episode_return").mean);
  EXPECT_NE(a.curves.at("episode_return_over_time")[0].mean,
            a.curves.at("episode_return_over_time")[3].mean);
  for (const char* name : {"episode_return", "episode_length"}) {
    EXPECT_EQ(a.metrics.at(name).mean, b.metrics.at(name).mean) << name;
    EXPECT_EQ(a.metrics.at(name).sd, b.metrics.at(name).sd) << name;
  }
}

TEST(LearningCurve, BatchesAndThreadsDoNotMatter) {
  const std::string hash = run(kRecurrent, 3).result_hash;
  EXPECT_EQ(run(kRecurrent, 3, 1).result_hash, hash);
  EXPECT_EQ(run(kRecurrent, 3, 2, 2).result_hash, hash);
}

// A step size that overshoots: the runs are named, with agent and step, and are in no mean.
TEST(Divergence, RunAgentAndStepAreNamed) {
  const Result result = run(
      "name = \"vdn\"\nalpha = 1000.0\nfeatures = { kind = \"dense\" }\nutility = { width = 0 }\n"
      "optimizer = { kind = \"sgd\", max_norm = 0.0 }\n",
      2);
  const CellResult& cell = result.cells[0];
  ASSERT_EQ(cell.diverged.size(), 5u);
  for (const auto& one : cell.diverged) {
    EXPECT_EQ(one.agent, 0);
    EXPECT_LT(one.step, 1200u);
    EXPECT_LT(one.run, 5u);
  }
}

}  // namespace
