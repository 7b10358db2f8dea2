/// Tuning policies: no result depends on them, bounds, what `cumarl bench --autotune` prints, and its
/// search, on rates that are made up here.
#include "host/src/autotune.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cumarl/error.hpp"

namespace cumarl {
namespace {

// ---- results ------------------------------------------------------------------------------------

struct Case {
  const char* name;
  const char* config;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

/// Runs that end at different steps, so that lanes are given new ones and in the end grow few.
const Case kCases[] = {
    {"PairLane",
     "[env]\nname = \"bertrand_logit\"\n[learner]\nname = \"q_learning\"\n"
     "exploration = { start = 0.5, decay_rate = 1e-2 }\n"
     "[stop]\nstable_periods = 150\nmax_steps = 4000\n"},
    {"PortableLane",
     "[env]\nname = \"matrix_game\"\ngame = \"matching_pennies\"\nmemory = 2\n"
     "[learner]\nname = \"q_learning\"\ntable = \"float64\"\n"
     "exploration = { start = 0.5, decay_rate = 1e-2 }\n"
     "[stop]\nstable_periods = 40\nmax_steps = 1000\n"},
    {"LockStep",
     "[env]\nname = \"matrix_game\"\ngame = \"prisoners_dilemma\"\nmemory = 1\n"
     "[learner]\nname = \"q_learning\"\nexploration = { start = 0.5, decay_rate = 1e-2 }\n"
     "[stop]\nstable_periods = 100\nmax_steps = 1000\n"},
    {"Joint",
     "[env]\nname = \"lbf\"\nmax_steps = 10\n[learner]\nname = \"linear_q\"\n"
     "features = { kind = \"quadratic\" }\nexploration = { start = 0.5 }\n"
     "[evaluation]\nepisodes = 2\n[stop]\nmax_steps = 300\n"},
    {"ManyLanes",
     "[env]\nname = \"coin_game\"\nsize = [3, 3]\nmax_steps = 5\n"
     "[learner]\nname = \"qmix\"\nlanes = 40\nrollout = 2\nbatch = 32\nreplay = { slots = 160 }\n"
     "[evaluation]\nepisodes = 2\n[stop]\nmax_steps = 800\n"},
};

std::vector<Policies> other_policies() {
  std::vector<Policies> all;
  for (const uint64_t lanes : {1U, 2U, 3U, 5U, 6U, 7U, 8U}) {
    Policies p;
    p.cpu_rollout.lanes = lanes;
    p.cpu_joint = {.lanes = lanes, .bytes = lanes % 2 == 0 ? uint64_t{0} : uint64_t{1} << 30};
    p.cpu_batch = {.runs = 1 + 3 * lanes, .bytes = lanes << 12, .runs_per_thread = lanes};
    all.push_back(p);
  }
  return all;
}

class PolicyResults : public testing::TestWithParam<Case> {};

TEST_P(PolicyResults, AreTheSameUnderAllPolicies) {
  RunRequest request;
  request.config_text = GetParam().config;
  request.device = "cpu";
  request.runs = 37;
  request.threads = 1;
  const Result expected = Runner(request).run();
  ASSERT_GT(expected.joint_steps, 0u);
  for (const Policies& policies : other_policies()) {
    request.policies = std::make_shared<const Policies>(policies);
    for (const int threads : {1, 2}) {
      request.threads = threads;
      EXPECT_EQ(Runner(request).run().result_hash, expected.result_hash)
          << to_initializer(policies, false) << " with " << threads << " threads";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, PolicyResults, testing::ValuesIn(kCases),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Policies, SizeTheBatch) {
  RunRequest request;
  request.config_text = kCases[0].config;
  request.device = "cpu";
  request.threads = 2;
  request.runs = 1'000'000;
  const auto plan = [&](const CpuBatchPolicy& batch) {
    Policies policies;
    policies.cpu_batch = batch;
    request.policies = std::make_shared<const Policies>(policies);
    return Runner(request).plan();
  };
  EXPECT_EQ(plan({.runs = 7, .bytes = 1 << 30, .runs_per_thread = 1}).batch, 7u);
  EXPECT_EQ(plan({.runs = 1'000, .bytes = 0, .runs_per_thread = 5}).batch, 10u);
  // 29 KB of tables a run (225 histories of 64 bytes, two agents), and some more of it for the rest
  const Plan by_bytes = plan({.runs = 1'000, .bytes = 2'000'000, .runs_per_thread = 1});
  EXPECT_GE(by_bytes.run_bytes, 2u * 225 * 64);
  EXPECT_LT(by_bytes.batch, 2'000'000 / by_bytes.run_bytes + 1);
  EXPECT_GE(by_bytes.batch, 60u);
}

// ---- bounds and text ----------------------------------------------------------------------------

TEST(Policies, AreRefusedOutOfBounds) {
  const auto why = [](const Policies& policies) -> std::string {
    RunRequest request;
    request.config_text = kCases[1].config;
    request.device = "cpu";
    request.policies = std::make_shared<const Policies>(policies);
    try {
      Runner runner(request);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(why({}), "");
  EXPECT_EQ(why({.cpu_rollout = {.lanes = 8}}), "");
  EXPECT_EQ(why({.cpu_rollout = {.lanes = 9}}), "cpu_rollout.lanes = 9: must be from 1 to 8");
  EXPECT_EQ(why({.cpu_joint = {.lanes = 0}}), "cpu_joint.lanes = 0: must be from 1 to 8");
  EXPECT_EQ(why({.cuda_rollout = {.threads = 96}}),
            "cuda_rollout.threads = 96: must be a power of two from 32 to 128");
}

/// A figure's name is its members' names.
TEST(Policies, EveryFigureIsItsOwnMember) {
  Policies policies;
  uint64_t number = 1'000;
  for (const PolicyFigure& f : policy_figures()) f.of(policies) = number++;
  number = 1'000;
  for (const PolicyFigure& f : policy_figures()) EXPECT_EQ(f.value(policies), number++) << f.key();
  EXPECT_EQ(sizeof(Policies), policy_figures().size() * sizeof(uint64_t));
  EXPECT_EQ(policies.cpu_rollout.lanes, 1'000u);
  EXPECT_EQ(policies.cpu_batch.bytes, 1'004u);
  EXPECT_EQ(policies.cuda_batch.steps, 1'013u);
}

/// What is printed compiles, and is what was printed.
#define CUMARL_PASTED_CPU                                                                  \
  cumarl::Policies {                                                                       \
    .cpu_rollout = {.lanes = 6}, .cpu_joint = {.lanes = 2, .bytes = 57344}, .cpu_batch = { \
      .runs = 65536,                                                                       \
      .bytes = 1048576,                                                                    \
      .runs_per_thread = 16                                                                \
    }                                                                                      \
  }
#define CUMARL_TEXT_OF(...) #__VA_ARGS__
#define CUMARL_TEXT(text) CUMARL_TEXT_OF(text)

std::string without_spaces(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

TEST(Policies, ArePrintedAsTheyArePasted) {
  EXPECT_EQ(without_spaces(to_initializer(CUMARL_PASTED_CPU, false)),
            without_spaces(CUMARL_TEXT(CUMARL_PASTED_CPU)));
}

// ---- the search ---------------------------------------------------------------------------------

std::vector<PolicyFigure> figures_of(std::initializer_list<const char*> keys) {
  std::vector<PolicyFigure> some;
  for (const PolicyFigure& f : policy_figures()) {
    if (std::count(keys.begin(), keys.end(), f.key()) > 0) some.push_back(f);
  }
  return some;
}

TEST(Autotune, FindsTheFastestOfEachFigure) {
  int told = 0;
  const Autotuned t = tune(
      {}, figures_of({"cpu_joint.lanes", "cpu_joint.bytes"}), 3,
      [](const Policies& p) {
        double rate = p.cpu_joint.lanes == 6 ? 110 : 100;  // from 4
        if (p.cpu_joint.lanes == 3) rate = 105;            // kept until 6 comes
        return p.cpu_joint.bytes == 57'344 ? 1.5 * rate : rate;
      },
      [&](const PolicyAttempt&) { ++told; });
  EXPECT_EQ(t.policies.cpu_joint.lanes, 6u);
  EXPECT_EQ(t.policies.cpu_joint.bytes, 57'344u);
  EXPECT_EQ(t.policies.cpu_rollout.lanes, Policies{}.cpu_rollout.lanes);
  EXPECT_DOUBLE_EQ(t.rate_before, 100);
  EXPECT_DOUBLE_EQ(t.rate, 165);
  // lanes 1, 2, 3, 6, 8; bytes 0, 14336, 57344, 524288; and the whole
  ASSERT_EQ(t.attempts.size(), 10u);
  EXPECT_EQ(told, 10);
  EXPECT_TRUE(t.attempts[2].kept);
  EXPECT_EQ(t.attempts[3].before, 3u);
  EXPECT_DOUBLE_EQ(t.attempts[3].ratio, 110.0 / 105.0);
  EXPECT_FALSE(t.attempts[4].kept);
  EXPECT_EQ(t.attempts[9].figure, "");
  EXPECT_TRUE(t.attempts[9].kept);
}

/// Rates in the order in which they are asked for, over and over.
MeasurePolicies in_turn(std::vector<double> rates) {
  return
      [rates, next = size_t{0}](const Policies&) mutable { return rates[next++ % rates.size()]; };
}

TEST(Autotune, MeasuresInTurnAndStatesTheInterval) {
  // the best, 2, 2, the best, the best, 2, 2, the best
  auto figures = figures_of({"cpu_rollout.lanes"});
  figures[0].candidates = {2};
  const Autotuned t = tune({}, figures, 4, in_turn({100, 103, 104, 100, 100, 105, 106, 100}), {});
  ASSERT_EQ(t.attempts.size(), 2u);
  // median 104.5, quartiles 103.75 and 105.25, so off by 1.57 * 1.5 / sqrt(4) = 1.1775
  EXPECT_DOUBLE_EQ(t.attempts[0].ratio, 1.045);
  EXPECT_NEAR(t.attempts[0].low, 1.033225, 1e-12);
  EXPECT_NEAR(t.attempts[0].high, 1.056775, 1e-12);
  EXPECT_TRUE(t.attempts[0].kept);
  EXPECT_EQ(t.policies.cpu_rollout.lanes, 2u);
}

TEST(Autotune, KeepsNothingWithinTheNoise) {
  // medians 100 and 102; the best is off by 1.57 * 10 / 2 = 7.85
  auto figures = figures_of({"cpu_rollout.lanes"});
  figures[0].candidates = {2, 6};
  const Autotuned t = tune({}, figures, 4, in_turn({90, 102, 102, 95, 105, 102, 102, 110}), {});
  ASSERT_EQ(t.attempts.size(), 2u);
  EXPECT_DOUBLE_EQ(t.attempts[0].ratio, 1.02);
  EXPECT_FALSE(t.attempts[0].kept);
  EXPECT_EQ(t.policies.cpu_rollout.lanes, Policies{}.cpu_rollout.lanes);
  EXPECT_DOUBLE_EQ(t.rate, 100);
  EXPECT_DOUBLE_EQ(t.rate_before, 100);
}

TEST(Autotune, GivesUpWhatWasFasterByChance) {
  auto figures = figures_of({"cpu_rollout.lanes"});
  figures[0].candidates = {2};
  // faster when it is tried, not when it is tried again
  const Autotuned t = tune({}, figures, 2, in_turn({100, 120, 120, 100, 100, 100, 100, 100}), {});
  ASSERT_EQ(t.attempts.size(), 2u);
  EXPECT_TRUE(t.attempts[0].kept);
  EXPECT_FALSE(t.attempts[1].kept);
  EXPECT_EQ(t.policies.cpu_rollout.lanes, Policies{}.cpu_rollout.lanes);
  EXPECT_DOUBLE_EQ(t.rate, 100);
}

TEST(Autotune, StopsWhenItIsInterrupted) {
  int asked = 0;
  const Autotuned t = tune({}, figures_of({"cpu_rollout.lanes"}), 2,
                           [&](const Policies&) {
                             return ++asked < 6 ? 100.0 : std::numeric_limits<double>::quiet_NaN();
                           },
                           {});
  EXPECT_TRUE(t.interrupted);
  EXPECT_EQ(asked, 6);
  EXPECT_EQ(t.attempts.size(), 1u);
}

// ---- the whole ----------------------------------------------------------------------------------

TEST(Autotune, TunesABench) {
  const Autotuned t = autotune({.name = "matrix",
                                .device = "cpu",
                                .threads = 1,
                                .repeats = 1,
                                .sets = {"stop.max_steps=2000"}},
                               {});
  EXPECT_EQ(t.device, "cpu");
  EXPECT_EQ(t.threads, 1);
  // lanes and bytes of a batch; once more where one of them was kept
  EXPECT_GE(t.attempts.size(), 7u);
  EXPECT_LE(t.attempts.size(), 8u);
  for (const PolicyAttempt& a : t.attempts) EXPECT_FALSE(a.figure.starts_with("cpu_joint"));
  EXPECT_GT(t.rate_before, 0);
  EXPECT_NO_THROW(check_policies(t.policies));
  EXPECT_TRUE(to_text(t).starts_with("// matrix on cpu, 1 threads: "));
  const auto json = nlohmann::json::parse(to_json(t));
  EXPECT_EQ(json["bench"], "matrix");
  EXPECT_EQ(json["policy"]["cpu_rollout"]["lanes"], t.policies.cpu_rollout.lanes);
  EXPECT_EQ(json["policy"]["cpu_joint"].size(), 2u);
  EXPECT_FALSE(json["policy"].contains("cuda_rollout"));
  EXPECT_EQ(json["rates"]["default"], t.rate_before);
  EXPECT_EQ(json["rates"]["tuned"], t.rate);
  EXPECT_EQ(json["attempts"].size(), t.attempts.size());
}

TEST(Autotune, RefusesWhatIsNoExperiment) {
  EXPECT_THROW(autotune({.name = "lbf_observations", .device = "cpu"}, {}), ConfigError);
  EXPECT_THROW(autotune({.name = "pricin", .device = "cpu"}, {}), ConfigError);
  EXPECT_THROW(autotune({.name = "matrix", .device = "cuda:99"}, {}), DeviceError);
}

}  // namespace
}  // namespace cumarl
