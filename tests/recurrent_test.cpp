/// Recurrent utilities: two steps by hand, gradients through time against differences, episodes of
/// different length, the same bits at every team size, and a game that takes a memory.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/mixing_tools.hpp"

namespace {

using namespace cumarl;
using namespace cumarl::mixing_harness;

template <class L>
typename L::Config recurrent_config() {
  auto c = small_config<L>();
  c.utility.kind.value = Utilities<double>::kRecurrent;
  return c;
}

// In float against the standard library in double: no more than 2e-7 apart; their limits; NaN.
TEST(Activations, NearTheExactOnes) {
  double worst = 0;
  for (int k = -300'000; k <= 300'000; ++k) {
    const float x = static_cast<float>(k) * 1e-3F * (k % 3 == 0 ? 0.01F : 0.1F);
    const auto y = static_cast<double>(x);
    worst = std::fmax(worst, std::fabs(static_cast<double>(logistic(x)) - 1 / (1 + std::exp(-y))));
    worst = std::fmax(worst, std::fabs(static_cast<double>(hyperbolic_tangent(x)) - std::tanh(y)));
  }
  EXPECT_LT(worst, 2e-7);
  EXPECT_EQ(logistic(1e30F), 1);
  EXPECT_NEAR(logistic(-1e30F), 0, 1e-37);
  EXPECT_EQ(hyperbolic_tangent(1e30F), 1);
  EXPECT_EQ(hyperbolic_tangent(-1e30F), -1);
  EXPECT_EQ(hyperbolic_tangent(0.0F), 0);
  EXPECT_TRUE(std::isnan(logistic(std::nanf(""))));
  EXPECT_TRUE(std::isnan(hyperbolic_tangent(std::nanf(""))));
  EXPECT_NEAR(logistic(0.3), 1 / (1 + std::exp(-0.3)), 1e-15);
  EXPECT_NEAR(hyperbolic_tangent(-0.3), std::tanh(-0.3), 1e-15);
}

double exact_logistic(double y) { return 1 / (1 + std::exp(-y)); }

// One unit, two steps, by the equations of utilities.hpp: Q_0 = 2 h, Q_1 = -h + .5.
TEST(Recurrent, TwoStepsByHand) {
  auto c = recurrent_config<Vdn<double>>();
  c.utility.width = 1;
  c.gamma = 0;
  c.batch = 1;
  Driven<Vdn<double>, double> d(c, {{2}, {1}, 1});
  std::fill_n(d.weights(), d.p.size, 0.0);
  const auto set = [&](const char* name, double value) { d.matrix(name)[0] = value; };
  set("input", 1.5);
  set("number", 0.2);
  set("reset_input", 0.3);
  set("reset_bias", -0.1);
  set("reset_state", 0.7);
  set("update_input", -0.4);
  set("update_bias", 0.6);
  set("update_state", 0.9);
  set("candidate_input", 0.8);
  set("candidate_bias", 0.05);
  set("candidate_state", -1.1);
  set("candidate_state_bias", 0.25);
  d.matrix("output")[0] = 2;
  d.matrix("output")[1] = -1;
  d.matrix("output_bias")[1] = 0.5;
  double h = 0, loss = 0;
  auto see = d.blank(), next = d.blank(), last = d.blank();
  const double x[2] = {1.2, 0.4};
  const int action[2] = {0, 1};
  const float reward[2] = {0.3F, -0.6F};
  see[0] = x[0];
  next[0] = x[1];
  last[0] = 5;
  for (int t = 0; t < 2; ++t) {
    const double e = std::fmax(1.5 * x[t] + 0.2, 0);
    const double r = exact_logistic(0.3 * e - 0.1 + 0.7 * h);
    const double z = exact_logistic(-0.4 * e + 0.6 + 0.9 * h);
    const double y = std::tanh(0.8 * e + 0.05 + r * (-1.1 * h + 0.25));
    h = (1 - z) * y + z * h;
    const double q = t == 0 ? 2 * h : -h + 0.5;
    loss += (q - static_cast<double>(reward[t])) * (q - static_cast<double>(reward[t])) / 2;
  }
  d.learn(see, next, {action[0]}, {reward[0]}, Episode::goes_on);
  d.learn(next, last, {action[1]}, {reward[1]}, Episode::ended);
  d.pick_first();
  EXPECT_NEAR(d.descend(), loss, 1e-14);
}

/// Every gradient through time, for a learner with own and shared networks.
template <class L>
void expect_gradients(const std::function<void(typename L::Config&)>& settings,
                      const std::function<bool(const std::string&)>& only = {}) {
  for (const bool shared : {false, true}) {
    auto c = recurrent_config<L>();
    c.utility.shared = shared;
    c.double_q = shared;
    settings(c);
    Case<L> d(c, kUneven);
    fill_replay(d, 40, 3);
    expect_gradient(d, only);
  }
}

TEST(RecurrentGradient, Vdn) {
  expect_gradients<Vdn<double>>([](auto&) {});
}
TEST(RecurrentGradient, Iql) {
  expect_gradients<Iql<double>>([](auto&) {});
}
// The constraints see all utilities of a step; the joint value does not move in them.
TEST(RecurrentGradient, Qtran) {
  for (const int variant : {0, 1}) {
    expect_gradients<Qtran<double>>(
        [&](auto& c) {
          c.mixer.variant.value = variant;
          c.mixer.width = 4;
        },
        [](const std::string& name) { return !name.starts_with("joint") && name != "action"; });
  }
}

// The loss of a sample is the mean over its steps: of episodes of 1, 4, 2 and 3 steps together as
// of each alone. More than 32 of them take two passes.
TEST(Recurrent, EpisodesDoNotTouchEachOther) {
  for (const int batch : {4, 37}) {
    auto c = recurrent_config<Vdn<double>>();
    c.batch = batch;
    c.slots = 40;
    Case<Vdn<double>> d(c, kUneven);
    std::mt19937 rng(5);
    const int lengths[4] = {1, 4, 2, 3};
    for (const int length : lengths) {
      auto see = d.random(rng);
      for (int t = 0; t < length; ++t) {
        auto next = d.random(rng);
        d.learn(see, next, {t % 4, t % 2, 1}, {static_cast<float>(draw(rng)), 0, 0},
                t + 1 < length ? Episode::goes_on : Episode::cut);
        see = next;
      }
    }
    const auto pick = [&](int first, int period) {
      for (int b = 0; b < d.p.batch; ++b) {
        Vdn<double>::picked(d.p, d.memory())[b] = first + b % period;
      }
    };
    double loss = 0, steps = 0;
    std::vector<double> gradient(d.p.size, 0.0);
    for (int one = 0; one < 4; ++one) {
      pick(one, 1);
      const double times = (batch + 3 - one) / 4 * lengths[one];
      loss += times * d.descend();
      steps += times;
      for (size_t k = 0; k < d.p.size; ++k) gradient[k] += times * d.gradient()[k];
    }
    pick(0, 4);
    EXPECT_NEAR(d.descend(), loss / steps, 1e-13);
    for (size_t k = 0; k < d.p.size; ++k) {
      ASSERT_NEAR(d.gradient()[k], gradient[k] / steps, 1e-13) << k;
    }
  }
}

TEST(RecurrentTeams, TheSameBits) {
  using L = Vdn<float>;
  L::Config c;
  c.utility.kind.value = Utilities<float>::kRecurrent;
  c.utility.width = 18;
  c.utility.shared = true;
  c.batch = 2;
  c.slots = 3;
  c.steps = 3;
  c.target_every = 2;
  c.replay_kind.value = L::kPrioritised;
  const auto alone = played<L, float, 1>(c, 10);
  EXPECT_TRUE((played<L, float, 2>(c, 10)) == alone);
  EXPECT_TRUE((played<L, float, 4>(c, 10)) == alone);
  EXPECT_TRUE((played<L, float, 8>(c, 10)) == alone);
  EXPECT_TRUE((played<L, float, 16>(c, 10)) == alone);
}

/// Two agents each see a cue of their own, 1 or -1, then twice nothing but a one, and are then paid
/// .5 for the action 0 after 1 and the action 1 after -1.
struct CueGame {
  using L = Vdn<float>;
  static constexpr int kSteps = 3;

  explicit CueGame(int kind) : d(config(kind), {{2, 2}, {2, 2}, 1}), x(48 * 4), y(48 * 4) {}
  static L::Config config(int kind) {
    L::Config c;
    c.utility.kind.value = kind;
    c.utility.width = 8;
    c.alpha = 0.01;
    c.optimizer.kind.value = Optimizer<float>::kAdam;
    c.exploration.start = c.exploration.end = 1;
    c.steps = kSteps;
    c.slots = 64;
    c.batch = 16;
    c.target_every = 20;
    return c;
  }
  void see(const Block& out, int cues, int step) const {
    for (int i = 0; i < 2; ++i) {
      const bool up = (cues >> i & 1) == 1;
      out.as<float>()[16 * i] = step > 0 ? 0.0F : (up ? 1.0F : -1.0F);
      out.as<float>()[16 * i + 1] = 1;
    }
  }
  static float reward(int cues, int agent, int action) {
    return action == (cues >> agent & 1) ? 0.0F : 0.5F;
  }
  void train(int episodes) {
    std::mt19937 rng(4);
    for (int e = 0; e < episodes; ++e) {
      const auto cues = static_cast<int>(rng() % 4);
      for (int k = 0; k < kSteps; ++k) {
        see(x, cues, k);
        see(y, cues, k + 1);
        const uint32_t words[2] = {static_cast<uint32_t>(rng()), static_cast<uint32_t>(rng())};
        JointAction actions{};
        L::act(SerialTeam{}, d.p, d.memory(), d.seen(x.as<float>()), words, d.t, actions);
        const bool last = k + 1 == kSteps;
        const float rewards[2] = {last ? reward(cues, 0, actions.action[0]) : 0,
                                  last ? reward(cues, 1, actions.action[1]) : 0};
        L::learn(SerialTeam{}, d.p, d.memory(), d.seen(x.as<float>()), d.seen(y.as<float>()),
                 {&actions, rewards, last ? Episode::ended : Episode::goes_on, d.t++, d.key});
      }
    }
  }
  /// Of the greedy policies over all four pairs of cues.
  double mean_return() {
    double sum = 0;
    for (int cues = 0; cues < 4; ++cues) {
      L::begin(SerialTeam{}, d.p, d.memory());
      for (int k = 0; k < kSteps; ++k) {
        see(x, cues, k);
        for (int i = 0; i < 2; ++i) {
          double out[2];
          L::policy(SerialTeam{}, d.p, d.memory(), d.seen(x.as<float>()), i, out);
          if (k + 1 == kSteps) sum += static_cast<double>(reward(cues, i, top_of(out, 2)));
        }
      }
    }
    return sum / 4;
  }
  Driven<L, float> d;
  Block x, y;
};

// What sees the same at every last step does the same there: .5. What remembers gets all.
TEST(Recurrent, RemembersACue) {
  CueGame without(Utilities<float>::kPerceptron);
  without.train(600);
  EXPECT_EQ(without.mean_return(), 0.5);
  CueGame with(Utilities<float>::kRecurrent);
  with.train(600);
  EXPECT_EQ(with.mean_return(), 1.0);
}

// What is played next depends on what was seen before, in this episode only; evaluation has a
// memory of its own.
TEST(Recurrent, ForgetsWhenAnEpisodeEnds) {
  CueGame game(Utilities<float>::kRecurrent);
  game.train(600);
  auto& d = game.d;
  d.p.every = 1'000'000;  // learn nothing more
  d.p.exploration = Exploration::make(
      [] {
        Exploration::Config c;
        c.start = c.end = 0;
        return c;
      }(),
      2);
  const auto play = [&](int cues, Episode how) {
    JointAction actions{};
    for (int k = 0; k < CueGame::kSteps; ++k) {
      const uint32_t words[2] = {1, 2};
      game.see(game.x, cues, k);
      CueGame::L::act(SerialTeam{}, d.p, d.memory(), d.seen(game.x.as<float>()), words, d.t,
                      actions);
      const float rewards[2] = {0, 0};
      CueGame::L::learn(
          SerialTeam{}, d.p, d.memory(), d.seen(game.x.as<float>()), d.seen(game.x.as<float>()),
          {&actions, rewards, k + 1 == CueGame::kSteps ? how : Episode::goes_on, d.t++, d.key});
      if (k == 0) game.mean_return();  // leaves the player's memory alone
    }
    return 2 * actions.action[1] + actions.action[0];
  };
  for (const Episode how : {Episode::ended, Episode::cut}) {
    for (const int cues : {0, 1, 2, 3, 1, 0}) EXPECT_EQ(play(cues, how), 3 - cues);
  }
}

TEST(RecurrentConfig, BadSettingsAreRefused) {
  HostArena arena;
  Vdn<float>::Config c;
  c.utility.kind.value = Utilities<float>::kRecurrent;
  const JointSpec spec = joint_spec({{2, 2}, {3, 3}, 3});
  const auto complaint = [&] {
    try {
      Vdn<float>::make(c, spec, arena);
      return std::string("none");
    } catch (const ParameterError& error) {
      return error.key();
    }
  };
  EXPECT_EQ(complaint(), "replay.steps");  // single transitions
  c.steps = 10;
  EXPECT_EQ(complaint(), "none");
  c.utility.width = 0;
  EXPECT_EQ(complaint(), "utility.width");
  c.utility.width = 8;
  c.steps = 50'000;
  EXPECT_EQ(complaint(), "replay.steps");
}

}  // namespace
