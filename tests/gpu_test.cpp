// CPU and GPU give the same bits, for every registered pair. Skipped without a device, failed
// without one when CUMARL_REQUIRE_GPU=1.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cumarl/runner.hpp"
#include "host/src/executor.hpp"
#include "host/src/model.hpp"

namespace cumarl {
namespace {

class Gpu : public testing::TestWithParam<const EnvModel*> {
 protected:
  void SetUp() override {
    if (cuda_device_count() > 0) return;
    const char* required = std::getenv("CUMARL_REQUIRE_GPU");
    if (required != nullptr && std::string_view(required) == "1") FAIL() << "no CUDA device";
    GTEST_SKIP() << "no CUDA device";
  }
};

void compare(const PairModel& pair) {
  RunRequest request;
  request.config_text = std::string("[env]\nname = \"") + pair.env().name + "\"\n" +
                        pair.env().small + "\n[learner]\nname = \"" + pair.learner().name + "\"\n";
  if (*pair.table() != '\0') {
    request.config_text += std::string("table = \"") + pair.table() +
                           "\"\nexploration = { start = 0.8, decay_rate = 1e-3 }\n";
  }
  request.config_text += "[evaluation]\nepisodes = 3\nsteps = 50\n[stop]\nmax_steps = 3000\n";
  const bool own_loops = *pair.table() != '\0';
  if (pair.learns() && !pair.joint()) {
    request.config_text += std::string("stable_periods = ") + (own_loops ? "700\n" : "30\n");
  }
  request.runs = 5;
  request.device = "cpu";
  try {
    Runner runner(request);
  } catch (const ConfigError& error) {
    return;  // the learner does not go with this environment
  }
  // Tables. Few runs: a tile a run. Many: a thread a run; more of them than shared memory could
  // hold. The others have one kernel, and may solve a game or move a network in every step.
  const bool small = Runner(request).plan().run_bytes < 65'536;
  const auto cases =
      own_loops ? std::vector<std::pair<int64_t, int>>{{5, 3000}, {small ? 40'000 : 2'000, 300}}
                : std::vector<std::pair<int64_t, int>>{{70, 100}};
  for (const auto& [runs, steps] : cases) {
    request.runs = runs;
    request.sets = {"stop.max_steps=" + std::to_string(steps)};
    request.device = "cpu";
    const std::string expected = Runner(request).run().result_hash;
    request.device = "cuda";
    EXPECT_EQ(Runner(request).run().result_hash, expected) << runs << " runs";
  }
}

TEST_P(Gpu, GivesTheBitsOfTheCpu) {
  for (const PairModel* pair : pair_models()) {
    if (std::string_view(pair->env().name) != GetParam()->facts().name) continue;
    SCOPED_TRACE(std::string(pair->learner().name) + " " + pair->table());
    compare(*pair);
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, Gpu, testing::ValuesIn(env_models()),
                         [](const auto& one) { return std::string(one.param->facts().name); });

}  // namespace
}  // namespace cumarl
