// What the panel of `cumarl run` says of a study that is under way.
#include "host/cli/panel.hpp"

#include <gtest/gtest.h>

namespace cumarl {
namespace {

TEST(PanelText, NumbersAndTimes) {
  EXPECT_EQ(scaled(0), "0");
  EXPECT_EQ(scaled(999), "999");
  EXPECT_EQ(scaled(1234), "1.23 k");
  EXPECT_EQ(scaled(156.4e6), "156 M");
  EXPECT_EQ(clock_text(0.4), "0 s");
  EXPECT_EQ(clock_text(61), "1 min 01 s");
  EXPECT_EQ(clock_text(7500), "2 h 05 min");
  EXPECT_EQ(clock_text(90'000), "1 d 1 h");
}

Progress study() {
  Progress p;
  p.runs = 1000;
  p.runs_done = 100;
  p.converged = 100;
  p.watched = true;
  return p;
}

TEST(Advice, NothingWhereAllIsWell) { EXPECT_TRUE(advice(study(), 0.2).empty()); }

TEST(Advice, OnDivergedRuns) {
  Progress p = study();
  p.diverged = 3;
  const auto lines = advice(p, 0);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].rfind("3 of 100 runs diverged", 0), 0u) << lines[0];
}

TEST(Advice, OnRunsThatDoNotSettle) {
  Progress p = study();
  p.converged = 90;
  p.out_of_steps = 10;  // a tenth: still quiet
  EXPECT_TRUE(advice(p, 0).empty());
  p.converged = 89;
  p.out_of_steps = 11;
  ASSERT_EQ(advice(p, 0).size(), 1u);
  EXPECT_NE(advice(p, 0)[0].find("stop.max_steps"), std::string::npos);
  // where convergence is not watched, all runs end so
  p.watched = false;
  EXPECT_TRUE(advice(p, 0).empty());
  // and a few runs say nothing yet
  p.watched = true;
  p.converged = 0;
  p.out_of_steps = 9;
  EXPECT_TRUE(advice(p, 0).empty());
}

TEST(Advice, OnPoliciesThatHaveSettled) {
  Progress p = study();
  p.metrics = {{"episode_return", 100, 0.5, 0.01}, {kEntropyMetric, 100, 0.03, 0.001}};
  EXPECT_TRUE(advice(p, 0).empty());
  p.metrics[1].mean = 0.01;
  ASSERT_EQ(advice(p, 0).size(), 1u);
  EXPECT_NE(advice(p, 0)[0].find("entropy 0.01 of 1"), std::string::npos) << advice(p, 0)[0];
}

TEST(Advice, OnNoProgress) {
  EXPECT_TRUE(advice(study(), 10).empty());
  EXPECT_EQ(advice(study(), 11).size(), 1u);
  Progress done = study();
  done.runs_done = done.runs;
  EXPECT_TRUE(advice(done, 60).empty());
}

}  // namespace
}  // namespace cumarl
