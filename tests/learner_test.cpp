// One update at a time, against arithmetic done by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/tabular/hysteretic_q.hpp"
#include "kernels/tabular/q_learning.hpp"

namespace cumarl {
namespace {

/// A learner of two observations and three actions with rewards in [-1, 2], all values 0.
template <class L>
struct Bench {
  HostArena arena;
  typename L::Config config;
  typename L::Params params;
  alignas(64) std::byte memory[512];

  explicit Bench(typename L::Config c, int actions = 3) : config(c) {
    AgentSpec spec{};
    spec.agents = 1;
    spec.actions = actions;
    spec.observations = 2;
    spec.reward_low = -1;
    spec.reward_high = 2;
    spec.initial_runs = 1;
    spec.init.kind.value = static_cast<int>(InitKind::constant);
    params = L::make(config, spec, arena);
    L::init(SerialTeam{}, params, memory, RunKey{1, 0}, 0);
  }
  typename L::Cursor from{};  ///< where the last step left

  double value(uint32_t s, uint32_t a) {
    return L::Table::decode(params.codec, L::row(params, memory, s)[a]);
  }
  void set(uint32_t s, uint32_t a, double v) {
    L::row(params, memory, s)[a] = L::Table::encode(params.codec, v, a);
  }
  typename L::Cursor step(uint32_t s, int a, float r, uint32_t next, Episode e) {
    from = L::arrive(SerialTeam{}, params, memory, s);
    auto to = L::arrive(SerialTeam{}, params, memory, next);
    L::learn(SerialTeam{}, params, memory, from, to, Transition{&a, &r, 0, 1, e, 0, {}, nullptr});
    return to;
  }
};

template <class Table>
class Tables : public testing::Test {
 public:
  // fixed28 holds [-1, 2] / (1 - 0.9) = [-10, 20] in 2^28 units; a reward has float32 precision
  static constexpr double kTolerance = Table::kFixedPoint ? 2e-6 : 1e-6;
};
using TableTypes = testing::Types<Float32, Float64, Fixed28>;
TYPED_TEST_SUITE(Tables, TableTypes);

TYPED_TEST(Tables, QLearningUpdate) {
  using L = QLearning<TypeParam, AnyShape>;
  typename L::Config config;
  config.alpha = 0.25;
  config.gamma = 0.9;
  Bench<L> b(config);
  b.set(0, 1, 1.5);
  b.set(1, 2, 4.0);
  b.set(1, 0, -3.0);
  b.step(0, 1, 0.5F, 1, Episode::goes_on);
  // 1.5 + 0.25 (0.5 + 0.9 * 4 - 1.5) = 2.15
  EXPECT_NEAR(b.value(0, 1), 2.15, this->kTolerance);
  b.step(0, 1, -1.0F, 1, Episode::ended);
  // 2.15 + 0.25 (-1 - 2.15) = 1.3625: nothing follows an end
  EXPECT_NEAR(b.value(0, 1), 1.3625, this->kTolerance);
  b.step(0, 1, -1.0F, 1, Episode::cut);
  // 1.3625 + 0.25 (-1 + 3.6 - 1.3625) = 1.671875: a time limit is bootstrapped
  EXPECT_NEAR(b.value(0, 1), 1.671875, this->kTolerance);
  EXPECT_NEAR(b.value(0, 0), 0.0, this->kTolerance);
  EXPECT_NEAR(b.value(1, 2), 4.0, this->kTolerance);
}

TYPED_TEST(Tables, HystereticUpdate) {
  using L = HystereticQ<TypeParam, AnyShape>;
  typename L::Config config;
  config.alpha = 0.5;
  config.beta = 0.1;
  config.gamma = 0.9;
  Bench<L> b(config);
  b.step(0, 0, 1.0F, 1, Episode::goes_on);  // 0 + 0.5 * 1
  EXPECT_NEAR(b.value(0, 0), 0.5, this->kTolerance);
  b.step(0, 0, 0.0F, 1, Episode::goes_on);  // 0.5 + 0.1 (0 - 0.5)
  EXPECT_NEAR(b.value(0, 0), 0.45, this->kTolerance);
}

// Both cursors are true to the table after an update, whether the step stays in its row or leaves it.
TYPED_TEST(Tables, CursorsFollowTheirRow) {
  using L = QLearning<TypeParam, AnyShape>;
  typename L::Config config;
  config.alpha = 0.5;
  config.gamma = 0.0;
  Bench<L> b(config);
  b.set(0, 0, 1.0);
  b.set(0, 1, 0.8);
  b.set(0, 2, 0.9);
  for (const auto& [action, reward] : std::initializer_list<std::pair<int, float>>{
           {0, 0.0F}, {1, 2.0F}, {1, -1.0F}, {2, 0.9F}, {0, 0.5F}, {2, -1.0F}, {0, 2.0F}}) {
    const auto stayed = b.step(0, action, reward, 0, Episode::goes_on);
    const auto fresh = L::arrive(SerialTeam{}, b.params, b.memory, 0);
    const auto check = [&](const typename L::Cursor& cursor) {
      EXPECT_EQ(L::greedy(cursor), L::greedy(fresh));
      EXPECT_EQ(TypeParam::worth(b.params.codec, cursor.best),
                TypeParam::worth(b.params.codec, fresh.best));
    };
    check(stayed);
    check(b.from);
  }
  for (const auto& [action, reward] : std::initializer_list<std::pair<int, float>>{
           {0, 0.3F}, {0, -1.0F}, {1, 1.0F}, {1, -1.0F}, {2, -1.0F}}) {
    b.step(0, action, reward, 1, Episode::goes_on);
    const auto fresh = L::arrive(SerialTeam{}, b.params, b.memory, 0);
    EXPECT_EQ(L::greedy(b.from), L::greedy(fresh));
    EXPECT_EQ(TypeParam::worth(b.params.codec, b.from.best),
              TypeParam::worth(b.params.codec, fresh.best));
  }
}

TYPED_TEST(Tables, TiesGoToTheLowestAction) {
  using L = QLearning<TypeParam, AnyShape>;
  for (const int actions : {2, 3, 7, 15, 16}) {
    Bench<L> b(typename L::Config{}, actions);
    EXPECT_EQ(L::greedy(L::arrive(SerialTeam{}, b.params, b.memory, 0)), 0u);
    b.set(0, 1, 1.0);
    b.set(0, static_cast<uint32_t>(actions - 1), 1.0);
    EXPECT_EQ(L::greedy(L::arrive(SerialTeam{}, b.params, b.memory, 0)), 1u);
  }
}

// epsilon_t = max(end, start exp(-rate t)) to float precision, at any distance and alignment.
TEST(ExplorationSchedule, FollowsItsFormula) {
  Exploration::Config config;
  config.start = 0.9;
  config.end = 0.001;
  config.decay_rate = 4e-6;
  const Exploration exponential = Exploration::make(config, 15);
  for (const uint64_t t :
       {0ull, 1ull, 63ull, 64ull, 4095ull, 4096ull, 1'000'003ull, 1'700'000ull, 40'000'000ull}) {
    const double expected = std::max(0.001, 0.9 * std::exp(-4e-6 * static_cast<double>(t)));
    EXPECT_NEAR(exponential.at(t), expected, 4e-7 * expected) << t;
  }
  config.schedule.value = Exploration::kLinear;
  config.decay_steps = 1000;
  const Exploration line = Exploration::make(config, 15);
  EXPECT_FLOAT_EQ(line.at(0), 0.9F);
  EXPECT_NEAR(line.at(500), 0.4505, 1e-6);
  EXPECT_FLOAT_EQ(line.at(1000), 0.001F);
  EXPECT_FLOAT_EQ(line.at(5000), 0.001F);
}

// n = 2^20 draws: explored shares and action counts within 4 standard errors.
TEST(ExplorationDraws, ShareAndActionsAreRight) {
  constexpr int kDraws = 1 << 20;
  for (const double epsilon : {1.0, 0.3, 0.01, 1e-3}) {
    int explored = 0;
    int count[15] = {};
    for (int i = 0; i < kDraws; ++i) {
      const uint32_t word = philox({5, 0}, static_cast<uint64_t>(i), Stream::explore, 0).x0;
      const Decision d = Exploration::decide(static_cast<float>(epsilon), 15, word);
      ASSERT_TRUE(d.keep == 0 || (d.keep == 0xFFFFFFFFu && d.forced == 0));
      if (d.keep == 0) {
        ++explored;
        ASSERT_LT(d.forced, 15u);
        ++count[d.forced];
      }
    }
    const double share = static_cast<double>(explored) / kDraws;
    EXPECT_NEAR(share, epsilon, 4 * std::sqrt(epsilon * (1 - epsilon) / kDraws) + 1e-7);
    const double mean = explored / 15.0;
    for (const int c : count) EXPECT_NEAR(c, mean, 4 * std::sqrt(mean)) << epsilon;
  }
}

TEST(Boltzmann, PlaysSoftmax) {
  using L = QLearning<Float64, AnyShape>;
  typename L::Config config;
  config.exploration.kind.value = Exploration::kBoltzmann;
  config.exploration.start = 0.5;
  Bench<L> b(config);
  b.set(0, 0, 0.2);
  b.set(0, 1, 0.5);
  b.set(0, 2, -0.1);
  const auto at = L::arrive(SerialTeam{}, b.params, b.memory, 0);
  constexpr int kDraws = 200'000;
  double count[3] = {};
  for (int i = 0; i < kDraws; ++i) {
    const uint32_t word = philox({3, 0}, static_cast<uint64_t>(i), Stream::explore, 0).x0;
    count[L::act(b.params, b.memory, at, {0, word}, 0)] += 1.0 / kDraws;
  }
  const double e[3] = {std::exp(0.4), std::exp(1.0), std::exp(-0.2)};
  for (int a = 0; a < 3; ++a) {
    const double p = e[a] / (e[0] + e[1] + e[2]);
    EXPECT_NEAR(count[a], p, 4 * std::sqrt(p * (1 - p) / kDraws));
  }
}

}  // namespace
}  // namespace cumarl
