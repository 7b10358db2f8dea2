/// Prioritised replay: the sum tree, sampling probabilities and weights, an update by hand; and
/// independent Q-learning, which shares everything but the mixer.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/mixing_tools.hpp"

namespace {

using namespace cumarl;
using namespace cumarl::mixing_harness;

using Learner = Vdn<double>;

// ---- the tree -----------------------------------------------------------------------------------

struct Tree {
  explicit Tree(int slots, double exponent = 1)
      : shape(Priorities::make(slots, exponent, 1e-12)),
        block(Priorities::bytes(shape)),
        of(shape, block.data()) {}
  Priorities::Shape shape;
  Block block;
  Priorities of;
};

// Masses 1, 2, 0, 4, .5 lie at [0, 1), [1, 3), nowhere, [3, 7), [7, 7.5).
TEST(Priorities, EveryMassFindsItsSlot) {
  const Tree tree(5);
  EXPECT_EQ(tree.shape.leaves, 8);
  const double masses[5] = {1, 2, 0, 4, 0.5};
  for (int k = 0; k < 5; ++k) tree.of.set(k, 9);
  for (int k = 4; k >= 0; --k) tree.of.set(k, masses[k]);
  EXPECT_EQ(tree.of.total(), 7.5);
  const double before = std::nextafter(1.0, 0.0);
  const std::pair<double, int> wanted[] = {{0, 0}, {before, 0}, {1, 1}, {2.9, 1},
                                           {3, 3}, {6.9, 3},    {7, 4}, {7.4, 4}};
  for (const auto& [mass, slot] : wanted) EXPECT_EQ(tree.of.find(mass), slot) << mass;
  tree.of.set(3, 0);
  EXPECT_EQ(tree.of.total(), 3.5);
  EXPECT_EQ(tree.of.find(3.2), 4);
  EXPECT_EQ(tree.of.find(3.5), 4);  // beyond everything, by rounding: the last one
}

TEST(Priorities, MassAndWeightByHand) {
  const Tree tree(4, 0.5);
  EXPECT_NEAR(tree.of.mass(9), 3, 1e-11);
  EXPECT_NEAR(tree.of.mass(0), 1e-6, 1e-18);
  tree.of.set(0, 3);
  tree.of.set(1, 1);
  // (3 * 3/4)^-.5 and (3 * 1/4)^-1
  EXPECT_NEAR(tree.of.weight(0, 3, 0.5), 1 / 1.5, 1e-15);
  EXPECT_NEAR(tree.of.weight(1, 3, 1), 4.0 / 3, 1e-15);
}

// ---- the learner --------------------------------------------------------------------------------

Learner::Config prioritised_config() {
  auto c = table_config<Learner>();
  c.replay_kind.value = Learner::kPrioritised;
  c.gamma = 0;
  c.epsilon = 1e-12;
  c.optimizer.kind.value = Optimizer<double>::kSgd;
  return c;
}

int slot_of(const Driven<Learner, double>& d, int b) { return Learner::picked(d.p, d.memory())[b]; }

// Errors of 1 to 5 that stay, since the step size is 0: slot j is drawn with probability
// j^.6 / (1 + 2^.6 + ... + 5^.6), the slot that is written never.
TEST(Prioritised, SamplesByError) {
  auto c = prioritised_config();
  c.slots = 5;
  c.batch = 5;
  c.alpha = 0;
  Driven<Learner, double> d(c, one_hot(1));
  const auto s = at_state(d, 0);
  for (int k = 1; k <= 5; ++k) {
    d.learn(s, s, {0, 0}, {static_cast<float>(k), 0}, Episode::ended);
  }
  const auto kept = Learner::replay(d.p, d.memory());
  for (int k = 0; k < 5; ++k) {
    for (int b = 0; b < c.batch; ++b) Learner::picked(d.p, d.memory())[b] = k;
    Learner::update(SerialTeam{}, d.p, d.memory());
    EXPECT_NEAR(Learner::priorities(d.p, d.memory()).of(k), std::pow(k + 1, 0.6), 1e-9);
  }
  // one more, with the largest priority so far, and the oldest one makes room
  d.learn(s, s, {0, 0}, {3, 0}, Episode::ended);
  EXPECT_EQ(Learner::priorities(d.p, d.memory()).of(0), 0);
  const int newest = 5;
  EXPECT_NEAR(kept.reward(kept.place(newest, 0)), 3, 0);
  std::vector<int> seen(6, 0);
  const int updates = 12'800;
  for (int k = 0; k < updates; ++k) {
    Learner::pick(SerialTeam{}, d.p, d.memory(), 6,
                  Rng(d.key, 1000 + static_cast<uint64_t>(k), Stream::learn));
    for (int b = 0; b < c.batch; ++b) ++seen[static_cast<size_t>(slot_of(d, b))];
    Learner::update(SerialTeam{}, d.p, d.memory());
  }
  EXPECT_EQ(seen[0], 0);
  const double error[6] = {0, 2, 3, 4, 5, 3};
  double total = 0;
  for (const double e : error) total += std::pow(e, 0.6);
  const double n = updates * c.batch;
  for (size_t k = 1; k < 6; ++k) {
    const double share = std::pow(error[k], 0.6) / total;
    // 64,000 stratified draws: no more than the binomial's standard deviation of .002
    EXPECT_NEAR(seen[k] / n, share, 4 * std::sqrt(share * (1 - share) / n)) << k;
  }
}

// Masses 2, 1, 1 of three transitions, four draws: each quarter of the mass, so slots 0, 0, 1, 2. With n
// = 3, P = 1/2, 1/4, 1/4, beta = .5 the weights are 1.5^-.5 and .75^-.5, over the largest 2^-.5, 1.
TEST(Prioritised, UpdateByHand) {
  auto c = prioritised_config();
  c.slots = 8;
  c.batch = 4;
  c.every = 1'000'000;
  c.beta = 0.5;
  c.beta_updates = 10;
  c.alpha = 0.1;
  Driven<Learner, double> d(c, one_hot(1));
  const auto s = at_state(d, 0);
  d.learn(s, s, {0, 0}, {1, 0}, Episode::ended);
  d.learn(s, s, {1, 1}, {-2, 0}, Episode::ended);
  const Priorities mass = Learner::priorities(d.p, d.memory());
  EXPECT_EQ(mass.of(0), 1);
  mass.set(0, 2);
  d.learn(s, s, {0, 1}, {3, 0}, Episode::ended);
  mass.set(1, 1);
  mass.set(2, 1);
  Learner::pick(SerialTeam{}, d.p, d.memory(), 3, Rng(d.key, 1, Stream::learn));
  const int wanted[4] = {0, 0, 1, 2};
  const double weight[4] = {std::sqrt(0.5), std::sqrt(0.5), 1, 1};
  for (int b = 0; b < 4; ++b) {
    EXPECT_EQ(slot_of(d, b), wanted[b]);
    EXPECT_NEAR(Learner::importance(d.p, d.memory())[b], weight[b], 1e-12);
  }
  Learner::update(SerialTeam{}, d.p, d.memory());
  // Q = 0, so errors are -1, -1, 2, -3; a utility moves by -.1 * 2/4 * weight * error
  const double once = 0.05;
  EXPECT_NEAR(d.matrix("input", 0)[0], once * (2 * std::sqrt(0.5) * 1 + 3), 1e-12);
  EXPECT_NEAR(d.matrix("input", 0)[1], once * -2, 1e-12);
  EXPECT_NEAR(d.matrix("input", 1)[0], once * 2 * std::sqrt(0.5) * 1, 1e-12);
  EXPECT_NEAR(d.matrix("input", 1)[1], once * (3 - 2), 1e-12);
  EXPECT_NEAR(mass.of(0), 1, 1e-9);
  EXPECT_NEAR(mass.of(1), std::pow(2, 0.6), 1e-9);
  EXPECT_NEAR(mass.of(2), std::pow(3, 0.6), 1e-9);
  EXPECT_NEAR(mass.total(), 1 + std::pow(2, 0.6) + std::pow(3, 0.6), 1e-9);
  // the largest so far goes to what comes next; beta has moved a tenth of the way to 1
  d.learn(s, s, {0, 0}, {0, 0}, Episode::ended);
  EXPECT_NEAR(mass.of(3), std::pow(3, 0.6), 1e-9);
  mass.set(0, 2);
  mass.set(1, 1);
  mass.set(2, 1);
  mass.set(3, 0);
  Learner::pick(SerialTeam{}, d.p, d.memory(), 3, Rng(d.key, 1, Stream::learn));
  EXPECT_NEAR(Learner::importance(d.p, d.memory())[0], std::pow(0.5, 0.55), 1e-12);
}

// Errors of an episode 1 and 3: .9 * 3 + .1 * 2.
TEST(Prioritised, AnEpisodeHasTheLargestErrorAndABitOfTheMean) {
  auto c = prioritised_config();
  c.steps = 2;
  c.exponent = 1;
  c.every = 1'000'000;
  Driven<Learner, double> d(c, one_hot(1));
  const auto s = at_state(d, 0);
  d.learn(s, s, {0, 0}, {-1, 0}, Episode::goes_on);
  d.learn(s, s, {0, 0}, {3, 0}, Episode::ended);
  d.pick_first();
  Learner::update(SerialTeam{}, d.p, d.memory());
  EXPECT_NEAR(Learner::priorities(d.p, d.memory()).of(0), 2.9, 1e-9);
}

// ---- independent learners -------------------------------------------------------------------------

// Q_0 = (1, 3), Q_1 = (0, -1) now, and the targets 10 times that; rewards 2 and -1, gamma .5, actions 0
// and 1: targets 2 + .5 * 30 and -1 + .5 * 0.
TEST(Iql, UpdateByHand) {
  using L = Iql<double>;
  for (const int reward : {L::kOwn, L::kSum, L::kMean}) {
    auto c = table_config<L>();
    c.reward.value = reward;
    c.every = 1'000'000;
    Driven<L, double> d(c, one_hot(1));
    const double q[2][2] = {{1, 3}, {0, -1}};
    for (int i = 0; i < 2; ++i) {
      for (int a = 0; a < 2; ++a) {
        d.matrix("input", i)[a] = q[i][a];
        d.targets()[d.matrix("input", i) - d.weights() + a] = 10 * q[i][a];
      }
    }
    const auto s = at_state(d, 0);
    d.learn(s, s, {0, 1}, {2, -1}, Episode::goes_on);
    d.pick_first();
    const double first = reward == L::kOwn ? 2 : (reward == L::kSum ? 1 : 0.5);
    const double second = reward == L::kOwn ? -1 : first;
    const double errors[2] = {1 - (first + 15), -1 - (second + 0)};
    EXPECT_NEAR(d.descend(), errors[0] * errors[0] + errors[1] * errors[1], 1e-12);
    EXPECT_NEAR(d.gradient()[d.matrix("input", 0) - d.weights()], 2 * errors[0], 1e-12);
    EXPECT_NEAR(d.gradient()[d.matrix("input", 0) - d.weights() + 1], 0, 0);
    EXPECT_NEAR(d.gradient()[d.matrix("input", 1) - d.weights() + 1], 2 * errors[1], 1e-12);
  }
}

TEST(Iql, Gradient) {
  for (const int width : {0, 5}) {
    auto c = small_config<Iql<double>>();
    c.utility.width = width;
    c.utility.shared = width > 0;
    Case<Iql<double>> d(c, kUneven);
    fill_replay(d, 40, 3);
    expect_gradient(d);
  }
}

// ---- what is no number --------------------------------------------------------------------------

TEST(Divergence, ARewardThatIsNoNumberNamesItsAgent) {
  auto c = table_config<Learner>();
  c.steps = 4;
  Driven<Learner, double> d(c, one_hot(1));
  const auto s = at_state(d, 0);
  EXPECT_EQ(d.learn(s, s, {0, 0}, {1, 1}, Episode::goes_on), -1);
  EXPECT_EQ(d.learn(s, s, {0, 0}, {1, std::nanf("")}, Episode::goes_on), 1);
  EXPECT_EQ(d.learn(s, s, {0, 0}, {-std::numeric_limits<float>::infinity(), 1}, Episode::goes_on),
            0);
}

}  // namespace
