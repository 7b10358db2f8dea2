/// Value decomposition and mean-field Q on linear approximators: updates by hand, against central
/// differences of the squared error, the same bits for every team, and games with known values.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/linear/linear_mean_field_q.hpp"
#include "kernels/linear/linear_vdn.hpp"
#include "tests/joint_bench.hpp"

namespace {

using namespace cumarl;

template <class Real>
using Vdn = JointBench<LinearVdn<Real>, Real>;
template <class Real>
using Field = JointBench<LinearMeanFieldQ<Real>, Real>;

template <class Real>
Real* weights(std::byte* memory) {
  return reinterpret_cast<Real*>(memory);
}

template <class Config>
Config halves() {
  Config c;
  c.alpha = 0.5;
  c.gamma = 0.5;
  return c;
}

// Two agents, two actions, x of two entries; rows of weights are 16 columns apart.
TEST(LinearVdn, TwoStepsByHand) {
  auto c = halves<LinearVdn<double>::Config>();
  c.exploration.start = 0;
  Vdn<double> bench(c, bench_spec({2, 2}, 1, false, 2));
  const double* w = weights<double>(bench.memory);
  const auto put = [&](size_t which, double first, double second) {
    bench.x[which].data()[0] = first;
    bench.x[which].data()[16] = second;
    bench.x[which].data()[1] = bench.x[which].data()[17] = 1;
  };
  put(0, 1, 2);
  put(1, 0, 1);
  JointAction taken{{1, 0}, {}};
  // rewards 3 and -1 are 2 together; Q = 0: w_0,1 = (1, 1), w_1,0 = (2, 1)
  bench.learn(SerialTeam{}, 0, taken, {3, -1});
  EXPECT_EQ(w[16], 1);
  EXPECT_EQ(w[17], 1);
  EXPECT_EQ(w[32], 2);
  EXPECT_EQ(w[33], 1);
  EXPECT_EQ(w[0], 0);
  EXPECT_EQ(w[48], 0);
  // at x = (0, 1), (1, 1): Q(1, 0) = 1 + 3; next (1, 1), (0, 1): 2 + 1, halved; reward 0:
  // error 1.5 - 4 = -2.5, w_0,1 += -1.25 (0, 1), w_1,0 += -1.25 (1, 1)
  put(0, 0, 1);
  put(1, 1, 0);
  bench.learn(SerialTeam{}, 1, taken, {1, -1});
  EXPECT_EQ(w[16], 1);
  EXPECT_EQ(w[17], -0.25);
  EXPECT_EQ(w[32], 0.75);
  EXPECT_EQ(w[33], -0.25);
  // the mean halves a reward
  c.team_reward.value = LinearVdn<double>::kMean;
  Vdn<double> mean(c, bench_spec({2, 2}, 1, false, 2));
  mean.x[0].data()[1] = 1;
  mean.learn(SerialTeam{}, 0, taken, {3, -1}, Episode::ended);
  EXPECT_EQ(weights<double>(mean.memory)[17], 0.5);
}

// One step from random weights is -alpha times the gradient of (R + gamma max Q' - Q)^2 / 2, the
// target held fixed: quadratic, so central differences of values below 1e2 are right to 1e-12.
TEST(LinearVdn, AStepIsTheGradientOfTheSquaredError) {
  auto c = halves<LinearVdn<double>::Config>();
  c.alpha = 1;
  Vdn<double> bench(c, bench_spec({3, 2, 4}, 1, false, 3));
  Rng rng({1, 1}, 0, Stream::init);
  double* const w = weights<double>(bench.memory);
  for (int row = 0; row < 9; ++row) {
    for (int k = 0; k < bench.spec.size[row / 3]; ++k) {
      w[16 * row + k] = static_cast<double>(rng.unit()) - 0.5;
    }
  }
  bench.show(0, 1);
  bench.show(1, 2);
  const JointAction taken{{2, 0, 1}, {}};
  const auto value = [&](const std::vector<double>& all, int which, int i, int a) {
    double sum = 0;
    for (int k = 0; k < bench.spec.size[i]; ++k) {
      sum += all[static_cast<size_t>(16 * (3 * i + a) + k)] * bench.seen(which).agent(i)[k];
    }
    return sum;
  };
  std::vector<double> before(w, w + 9 * 16);
  double target = 0.5 + 0.25 + 1;
  for (int i = 0; i < 3; ++i) {
    double best = -1e9;
    for (int a = 0; a < 3; ++a) best = std::max(best, value(before, 1, i, a));
    target += 0.5 * best;
  }
  bench.learn(SerialTeam{}, 0, taken, {0.5F, 0.25F, 1.0F});
  for (size_t k = 0; k < before.size(); ++k) {
    const double was = before[k];
    const double slope = central_difference(before[k], 0.5, [&] {
      double q = 0;
      for (int i = 0; i < 3; ++i) q += value(before, 0, i, taken.action[i]);
      return (target - q) * (target - q) / 2;
    });
    EXPECT_NEAR(w[k] - was, -slope, 1e-12) << k;
  }
}

// All the reward is agent 0's, but agent 1's action makes half of it: 2 for action 1 of agent 0, 4
// for action 2 of agent 1, and agent 1 pays 1 for that, which alone it would not. The best team
// reward is 2 + 4 - 1 = 5, so Q at gamma = 1/2 is 10, exactly: rewards are sums over agents, and
// nothing is random but exploration.
TEST(LinearVdn, ATeamFindsWhatIsBestTogether) {
  for (uint64_t run = 0; run < 8; ++run) {
    LinearVdn<double>::Config c;
    c.alpha = 0.1;
    c.gamma = 0.5;
    Vdn<double> bench(c, bench_spec({1, 1}, 1, false, 3));
    bench.key = {2, run};
    bench.show(0, 0);
    bench.show(1, 0);
    for (uint64_t t = 0; t < 4000; ++t) {
      const JointAction taken = bench.act(SerialTeam{}, t);
      const float made = taken.action[1] == 2 ? 4.0F : 0.0F;
      bench.learn(SerialTeam{}, t, taken,
                  {(taken.action[0] == 1 ? 2.0F : 0.0F) + made, made > 0 ? -1.0F : 0.0F});
    }
    EXPECT_EQ(bench.policy(0)[1], 1.0);
    EXPECT_EQ(bench.policy(1)[2], 1.0);
    const double* w = weights<double>(bench.memory);
    EXPECT_NEAR(w[16] + w[5 * 16], 10, 1e-6);
  }
}

// Three agents, two actions: agent 0's others play 1 and 0, so m = (1/2, 1/2). Weights of agent i's
// action a on b are row 4 i + 2 a + b.
TEST(LinearMeanFieldQ, TwoStepsByHand) {
  const auto c = halves<LinearMeanFieldQ<double>::Config>();
  Field<double> bench(c, bench_spec({1, 1, 1}, 1, false, 2));
  bench.show(0, 0);
  bench.show(1, 0);
  const double* w = weights<double>(bench.memory);
  const JointAction taken{{1, 1, 0}, {}};
  // error 4 for agent 0: w += 1/2 * 4 * 1/2 on both b; for agent 2, m = (0, 1): on b = 1 only
  bench.learn(SerialTeam{}, 0, taken, {4, 0, 2}, Episode::ended);
  EXPECT_EQ(w[16 * 2], 1);
  EXPECT_EQ(w[16 * 3], 1);
  EXPECT_EQ(w[16 * 8], 0);
  EXPECT_EQ(w[16 * 9], 1);
  EXPECT_EQ(w[16 * 4], 0);
  // v(x') of agent 0 with Q(., m) = (0, 1): softmax of (0, 1) at temperature 1, so e / (1 + e);
  // reward 1: error 1 + v / 2 - 1
  bench.learn(SerialTeam{}, 1, taken, {1, 0, 0});
  const double v = std::exp(1.0) / (1 + std::exp(1.0));
  EXPECT_NEAR(w[16 * 2], 1 + 0.5 * (v / 2) * 0.5, 1e-15);
  // the policy answers m: Q = (0, 1 + v / 8)
  const double e = std::exp(1 + v / 8);
  EXPECT_NEAR(bench.policy(0)[1], e / (1 + e), 1e-14);
}

// (r + gamma v - Q)^2 / 2 with the target held fixed, as above.
TEST(LinearMeanFieldQ, AStepIsTheGradientOfTheSquaredError) {
  auto c = halves<LinearMeanFieldQ<double>::Config>();
  c.alpha = 1;
  Field<double> bench(c, bench_spec({3, 2, 4}, 1, false, 3));
  Rng rng({1, 1}, 0, Stream::init);
  double* const w = weights<double>(bench.memory);
  for (int row = 0; row < 27; ++row) {
    for (int k = 0; k < bench.spec.size[row / 9]; ++k) {
      w[16 * row + k] = static_cast<double>(rng.unit()) - 0.5;
    }
  }
  bench.show(0, 1);
  bench.show(1, 2);
  const JointAction taken{{2, 0, 2}, {}};
  const double mean[3][3] = {{0.5, 0, 0.5}, {0, 0, 1}, {0.5, 0, 0.5}};
  std::vector<double> before(w, w + 27 * 16);
  const auto value = [&](int which, int i, int a) {
    double sum = 0;
    for (int b = 0; b < 3; ++b) {
      for (int k = 0; k < bench.spec.size[i]; ++k) {
        sum += mean[i][b] * before[static_cast<size_t>(16 * (9 * i + 3 * a + b) + k)] *
               bench.seen(which).agent(i)[k];
      }
    }
    return sum;
  };
  double target[3] = {0.5, 0.25, 1};
  for (int i = 0; i < 3; ++i) {
    double total = 0, v = 0;
    for (int a = 0; a < 3; ++a) {
      total += std::exp(value(1, i, a));
      v += std::exp(value(1, i, a)) * value(1, i, a);
    }
    target[i] += 0.5 * v / total;
  }
  bench.learn(SerialTeam{}, 0, taken, {0.5F, 0.25F, 1.0F});
  for (size_t k = 0; k < before.size(); ++k) {
    const double was = before[k];
    const double slope = central_difference(before[k], 0.5, [&] {
      double loss = 0;
      for (int i = 0; i < 3; ++i) {
        const double error = target[i] - value(0, i, taken.action[i]);
        loss += error * error / 2;
      }
      return loss;
    });
    EXPECT_NEAR(w[k] - was, -slope, 1e-12) << k;
  }
}

// An agent's reward is the mean over the others of a table (own action, other's): linear in the
// mean action, so the weights are the table, once all mean actions of the seven others were seen.
TEST(LinearMeanFieldQ, WeightsBecomeThePayoffTable) {
  const double table[2][2] = {{1.0, -0.5}, {0.25, 2.0}};
  for (uint64_t run = 0; run < 4; ++run) {
    LinearMeanFieldQ<double>::Config c;
    c.alpha = 0.5;
    c.gamma = 0;
    c.exploration.start = c.exploration.end = 2;
    Field<double> bench(c, bench_spec(std::vector<int>(8, 1), 1, false, 2));
    bench.key = {3, run};
    bench.show(0, 0);
    bench.show(1, 0);
    for (uint64_t t = 0; t < 6000; ++t) {
      const JointAction taken = bench.act(SerialTeam{}, t);
      std::vector<double> exact(8);
      std::vector<float> rewards(8);
      for (int i = 0; i < 8; ++i) {
        for (int j = 0; j < 8; ++j) {
          if (j != i) exact[static_cast<size_t>(i)] += table[taken.action[i]][taken.action[j]] / 7;
        }
        rewards[static_cast<size_t>(i)] = static_cast<float>(exact[static_cast<size_t>(i)]);
      }
      bench.learn(SerialTeam{}, t, taken, rewards);
    }
    // rewards are floats: right to 1e-7
    const double* w = weights<double>(bench.memory);
    for (int row = 0; row < 32; ++row) {
      EXPECT_NEAR(w[16 * row], table[row / 2 % 2][row % 2], 1e-5) << "run " << run;
    }
  }
}

TEST(LinearMeanFieldQ, NeedsOthersWithEqualActions) {
  HostArena arena;
  const LinearMeanFieldQ<float>::Config c;
  EXPECT_THROW(LinearMeanFieldQ<float>::make(c, bench_spec({1}, 1, false, 2), arena),
               ParameterError);
  JointSpec spec = bench_spec({1, 1}, 1, false, 2);
  spec.actions[1] = 3;
  EXPECT_THROW(LinearMeanFieldQ<float>::make(c, spec, arena), ParameterError);
}

TEST(LinearTeams, EveryTeamSizeGivesTheSameBits) {
  const JointSpec spec = bench_spec({3, 18, 2}, 2, false, 3);
  expect_same_in_all_teams<LinearVdn<float>, float>({}, spec, 8);
  expect_same_in_all_teams<LinearMeanFieldQ<double>, double>({}, spec, 8);
}

}  // namespace
