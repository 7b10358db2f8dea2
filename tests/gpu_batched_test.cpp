// Batched runs on a GPU: with exact products the bits of the CPU; with cuBLAS's they learn what is
// known. Skipped without a device, failed without one when CUMARL_REQUIRE_GPU=1.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string_view>

#include "cumarl/runner.hpp"
#include "host/src/executor.hpp"

namespace cumarl {
namespace {

class GpuBatched : public testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() > 0) return;
    const char* required = std::getenv("CUMARL_REQUIRE_GPU");
    if (required != nullptr && std::string_view(required) == "1") FAIL() << "no CUDA device";
    GTEST_SKIP() << "no CUDA device";
  }
};

/// Three runs with 100 lanes: tiles of 32 and a rest.
Result run(const std::string& device, const std::string& env, const std::string& learner,
           const std::vector<std::string>& sets = {}) {
  RunRequest request;
  request.config_text =
      "[experiment]\nruns = 3\n[env]\n" + env + "\n[learner]\n" + learner +
      "\nlanes = 100\nrollout = 3\nupdates = 2\nbatch = 160\n"
      "replay = { slots = 2000 }\nalpha = 0.005\noptimizer = { kind = \"adam\" }\n"
      "target = { every = 20 }\n[evaluation]\nepisodes = 3\n"
      "[stop]\nmax_steps = 20_000\n";
  request.config_name = "gpu-batched.toml";
  request.device = device;
  request.threads = 2;
  request.sets = sets;
  return Runner(request).run();
}

const char* const kTwoStep = "name = \"stochastic_game\"\ngame = \"two_step\"";
const char* const kForaging = "name = \"lbf\"\nsize = [5, 5]\nplayers = 2\nfoods = 1";

TEST_F(GpuBatched, ExactProductsGiveTheBitsOfTheCpu) {
  for (const char* env : {kTwoStep, kForaging}) {
    for (const char* name : {"vdn", "qmix", "qtran"}) {
      for (const char* precision : {"float32", "float64"}) {
        for (const char* shared : {"false", "true"}) {
          const std::string learner = std::string("name = \"") + name + "\"\nprecision = \"" +
                                      precision + "\"\nutility = { width = 20, shared = " + shared +
                                      " }";
          SCOPED_TRACE(learner);
          const std::string expected = run("cpu", env, learner).result_hash;
          EXPECT_EQ(run("cuda", env, learner).result_hash, expected);
        }
      }
    }
  }
}

TEST_F(GpuBatched, CublasLearnsTheTwoStepGame) {
  // QMIX finds the 8 of 2B, VDN cannot show it and settles for 2A's 7. Source: Rashid et al., ICML
  // 2018, section 5.
  const std::string settings =
      "\ngamma = 1.0\nreward = \"mean\"\nfeatures = { kind = \"one_hot\" }\n"
      "exploration = { start = 1.0, end = 1.0 }\n";
  const std::vector<std::string> long_run{"stop.max_steps=150000"};
  for (const char* products : {"exact", "float32", "tf32"}) {
    for (const char* utility : {"utility = { width = 0 }", "utility = { width = 32 }",
                                "utility = { width = 32, shared = true }"}) {
      const std::string common =
          std::string("products = \"") + products + "\"\n" + utility + settings;
      SCOPED_TRACE(common);
      const Result qmix = run("cuda", kTwoStep, "name = \"qmix\"\n" + common, long_run);
      EXPECT_DOUBLE_EQ(qmix.cells[0].metrics.at("episode_return_agent0").min, 8.0);
      const Result vdn = run("cuda", kTwoStep, "name = \"vdn\"\n" + common, long_run);
      EXPECT_DOUBLE_EQ(vdn.cells[0].metrics.at("episode_return_agent0").max, 7.0);
    }
  }
}

}  // namespace
}  // namespace cumarl
