// The lock-step loop of 2x2 games (kernels/rollout/cpu_small_lane.hpp) against the portable one: the
// result hash covers every run's tables, state, steps and last change.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <tuple>
#include <vector>

#include "cumarl/runner.hpp"

namespace cumarl {
namespace {

struct Case {
  const char* name;
  std::string config;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

constexpr const char* kDilemma = "[env]\nname = \"matrix_game\"\ngame = \"prisoners_dilemma\"\n";
constexpr const char* kPennies = "[env]\nname = \"matrix_game\"\ngame = \"matching_pennies\"\n";
constexpr const char* kPublicGoods = "[env]\nname = \"public_goods\"\nlevels = 2\nmemory = 1\n";
constexpr const char* kAgent = "[[learner]]\nname = \"q_learning\"\n";
constexpr const char* kLearner = "[learner]\nname = \"q_learning\"\n";
/// 3001 steps: whole chunks of 64 and some more, an odd number.
constexpr const char* kStop = "[stop]\nmax_steps = 3001\n";
/// Runs of the dilemma converge at different steps; few of matching pennies do.
constexpr const char* kWatched = "[stop]\nmax_steps = 3001\nstable_periods = 301\n";
constexpr const char* kExponential = "exploration = { start = 0.9, decay_rate = 3e-3 }\n";
constexpr const char* kLinear =
    "exploration = { schedule = \"linear\", start = 0.8, end = 0.01, decay_steps = 1500 }\n";

std::vector<Case> cases() {
  const auto join = [](auto... parts) { return (std::string() + ... + parts); };
  return {
      {"Memory1", join(kDilemma, "memory = 1\n", kLearner, kExponential, kStop)},
      {"Memory1Watched", join(kDilemma, "memory = 1\n", kLearner, kExponential, kWatched)},
      {"Memory0", join(kDilemma, "memory = 0\n", kLearner, kExponential, kStop)},
      {"Memory0Watched", join(kDilemma, "memory = 0\n", kLearner, kExponential, kWatched)},
      {"SomeConverge", join(kPennies, "memory = 1\n", kLearner, kExponential, kWatched)},
      {"Linear", join(kDilemma, "memory = 1\n", kLearner, kLinear, kWatched)},
      {"NoExploration", join(kPennies, "memory = 1\n", kLearner, kStop)},
      {"ShortWindow", join(kPennies, "memory = 1\n", kLearner, kLinear,
                           "[stop]\nmax_steps = 999\nstable_periods = 5\n")},
      {"PublicGoods", join(kPublicGoods, kLearner, kExponential, kWatched)},
      {"UniformStart", join(kPennies, "memory = 1\n", kLearner, kExponential,
                            "init = { kind = \"uniform\", low = -1, high = 2 }\n", kStop)},
      {"AgentsDiffer", join(kDilemma, "memory = 1\n", kAgent, "alpha = 0.3\ngamma = 0.9\n",
                            kExponential, kAgent, "alpha = 0.7\ngamma = 0.5\n", kLinear, kStop)},
      {"Sweep", join(kDilemma, "memory = 1\n", kLearner, kExponential, kWatched,
                     "[sweep]\n\"learner.alpha\" = [0.05, 0.2, 0.6]\n")},
      {"SweepOfMemory",
       join(kDilemma, kLearner, kExponential, kWatched, "[sweep]\n\"env.memory\" = [0, 1]\n")},
      {"SweepPastTheLoop",
       join(kDilemma, kLearner, kExponential, kWatched, "[sweep]\n\"env.memory\" = [1, 2]\n")},
  };
}

std::string hash(RunRequest request, const char* variant) {
  setenv("CUMARL_CPU", variant, 1);
  const std::string result = Runner(request).run().result_hash;
  unsetenv("CUMARL_CPU");
  return result;
}

class SmallLane : public testing::TestWithParam<std::tuple<Case, const char*>> {};

TEST_P(SmallLane, HasTheBitsOfThePortableLane) {
  const auto& [one, table] = GetParam();
  RunRequest request;
  request.config_text = one.config;
  request.device = "cpu";
  // all agents' tables: [[learner]] entries have theirs each
  for (size_t at = 0;
       (at = request.config_text.find("name = \"q_learning\"\n", at)) != std::string::npos;) {
    at += sizeof("name = \"q_learning\"\n") - 1;
    request.config_text.insert(at, std::string("table = \"") + table + "\"\n");
  }
  for (const int runs : {1, 15, 16, 17, 40}) {
    request.runs = runs;
    request.threads = 1;
    request.batch = 0;
    const std::string expected = hash(request, "generic");
    for (const uint64_t batch : {uint64_t{7}, uint64_t{64}}) {
      for (const int threads : {1, 2}) {
        request.batch = batch;
        request.threads = threads;
        EXPECT_EQ(hash(request, "x86_64_v4"), expected)
            << runs << " runs, batch " << batch << ", threads " << threads;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Games, SmallLane,
                         testing::Combine(testing::ValuesIn(cases()),
                                          testing::Values("float32", "fixed28")),
                         [](const auto& one) {
                           return std::string(std::get<0>(one.param).name) + "_" +
                                  std::get<1>(one.param);
                         });

// Or the cases would not test what they say.
TEST(SmallLaneCases, RunsConvergeAtDifferentSteps) {
  for (const Case& one : cases()) {
    const std::string name = one.name;
    if (name != "Memory1Watched" && name != "Memory0Watched" && name != "SomeConverge") continue;
    RunRequest request;
    request.config_text = one.config;
    request.device = "cpu";
    request.runs = 40;
    const Result result = Runner(request).run();
    EXPECT_GT(result.converged, 0u) << name;
    if (name == "SomeConverge") {
      EXPECT_LT(result.converged, 40u);
    }
    const Statistic steps = result.cells[0].metrics.at("time_to_convergence");
    EXPECT_LT(steps.min, steps.max) << name;
  }
}

}  // namespace
}  // namespace cumarl
