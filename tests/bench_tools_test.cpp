// What a bench says of its repeats and limits, as functions of numbers that are written here.
#include "host/src/bench_tools.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "cumarl/error.hpp"
#include "host/src/bench.hpp"
#include "host/src/bench_compare.hpp"

namespace cumarl {
namespace {

TEST(Throttling, IsAHalfThatIsSlowerAsAWhole) {
  // The middle one of seven is in neither half. Medians: 100 and 90.
  const std::string warning = throttling_warning("pricing", {101, 100, 99, 70, 91, 90, 89});
  EXPECT_NE(warning.find("pricing: the last 3 repeats are 10% slower than the first 3"),
            std::string::npos)
      << warning;
  EXPECT_NE(throttling_warning("pricing", {101, 100, 99, 91, 90, 89}), "");
}

TEST(Throttling, IsNoNoiseAndNoSpeedUp) {
  EXPECT_EQ(throttling_warning("b", {101, 90, 99, 95, 91, 89, 88}), "");   // 91 is above 90
  EXPECT_EQ(throttling_warning("b", {90, 91, 92, 95, 99, 100, 101}), "");  // it gets faster
  EXPECT_EQ(throttling_warning("b", {100, 100, 100, 98, 98, 98}), "");     // by 2%
  EXPECT_EQ(throttling_warning("b", {100, 100, 50, 50, 50}), "");          // too few
  EXPECT_EQ(throttling_warning("b", {}), "");
}

TEST(Limits, AreRatesOverCosts) {
  StepCosts costs;
  costs.bytes = 100;
  costs.operations = 50;
  const ThreadRates rates{1e9, 2e9, 4e9, 1e-8};
  Limits limits = limits_of(costs, rates, 2, 4);
  EXPECT_DOUBLE_EQ(limits.memory, 2e7);   // 2 threads of 1e9 / 100
  EXPECT_DOUBLE_EQ(limits.issue, 8e7);    // 2 threads of 2e9 / 50
  EXPECT_DOUBLE_EQ(limits.latency, 8e8);  // 2 threads with 4 runs that wait 1e-8 s
  EXPECT_EQ(binding(limits).first, "memory");
  EXPECT_DOUBLE_EQ(binding(limits).second, 2e7);

  costs.multiply_adds = 1000;  // 2.5e-7 s, behind 2.5e-8 s of the others
  limits = limits_of(costs, rates, 2, 4);
  EXPECT_DOUBLE_EQ(limits.issue, 2 / 2.75e-7);
  EXPECT_EQ(binding(limits).first, "issue");
  EXPECT_DOUBLE_EQ(costs.all_operations(), 2050);
}

TEST(Limits, OfWhatIsNotCountedDoNotBind) {
  const Limits limits = limits_of(StepCosts{}, {1e9, 2e9, 4e9, 1e-8}, 1, 1);
  EXPECT_TRUE(std::isnan(limits.memory));
  EXPECT_TRUE(std::isnan(limits.issue));
  EXPECT_EQ(binding(limits).first, "latency");
  EXPECT_EQ(binding(Limits{}).first, "unmeasured");
  EXPECT_TRUE(std::isnan(binding(Limits{}).second));
}

TEST(Costs, OfAnUpdateOfQmix) {
  // With every size 1: forward 2 of the utilities; the hypernetworks' first layers 2, their second
  // ones 2, the layers of one 2, mixing itself 3. Three times these, and two layers' inputs: 1 + 2.
  EXPECT_DOUBLE_EQ(qmix_multiply_adds(1, 1, 1, 1, 1, 1, 1, 1), 3 * (2 + 2 + 2 + 2 + 3) + 1 + 2);
  // Each agent has its own row of the utilities (2, three times, and 1) and of W (1, three times, and
  // 1), and its own weights in mixing (1, three times).
  EXPECT_DOUBLE_EQ(qmix_multiply_adds(1, 2, 1, 1, 1, 1, 1, 1) -
                       qmix_multiply_adds(1, 1, 1, 1, 1, 1, 1, 1),
                   3 * (2 + 1 + 1) + 1 + 1);
}

TEST(Quantile, InterpolatesLinearly) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.25), 1.75);
}

TEST(Steps, KeepTheWorkWithinBounds) {
  EXPECT_EQ(steps_for(1'000'000, 10, 64, 500'000), 100'000);
  EXPECT_EQ(steps_for(1'000'000, 1, 64, 500'000), 500'000);         // at most
  EXPECT_EQ(steps_for(1'000'000, 1'000'000, 64, 500'000), 20'000);  // at least
  EXPECT_EQ(steps_for(1'000'000, 1'000'000, 10'000, 500'000), 40'000);
  EXPECT_EQ(steps_for(1'000'000, 1'000'000, 10'000, 5'000), 5'000);
}

TEST(Combinations, AreTheProductOfTheAxes) {
  BenchRequest request;
  request.sets = {"learner.alpha=0.5"};
  const auto all =
      combinations(request, {"env.size=[4,4],[5,5]", R"(env.name="a,b",c)", "runs=1,7"});
  ASSERT_EQ(all.size(), 8u);
  EXPECT_EQ(all[0].sets,
            (std::vector<std::string>{"learner.alpha=0.5", "env.size=[4,4]", R"(env.name="a,b")"}));
  EXPECT_EQ(all[0].runs, 1u);
  EXPECT_EQ(all[1].runs, 7u);
  EXPECT_EQ(all[7].sets,
            (std::vector<std::string>{"learner.alpha=0.5", "env.size=[5,5]", "env.name=c"}));
  EXPECT_EQ(combinations(request, {}).size(), 1u);
  EXPECT_THROW(combinations(request, {"learner.alpha=1,2"}), ConfigError);
  EXPECT_THROW(combinations(request, {"runs=-1"}), ConfigError);
  EXPECT_THROW(combinations(request, {"runs=2147483648"}), ConfigError);
}

TEST(Rates, AreThoseOfAMachine) {
  // Not below what any processor does, nor above what a core of any can: an error of units, or a loop
  // that the compiler took out, is many powers of ten.
  const ThreadRates small = thread_rates(16 << 10);
  EXPECT_GT(small.bytes, 1e8);
  EXPECT_LT(small.bytes, 2e12);
  EXPECT_GT(small.operations, 1e8);
  EXPECT_LT(small.operations, 2e12);
  EXPECT_GT(small.multiply_adds, 1e7);
  EXPECT_LT(small.multiply_adds, 1e12);
  EXPECT_GT(small.load_seconds, 2e-10);
  EXPECT_LT(small.load_seconds, 1e-6);
  EXPECT_GT(load_latency(size_t{128} << 20), 2 * small.load_seconds);  // from beyond the caches
}

}  // namespace
}  // namespace cumarl
