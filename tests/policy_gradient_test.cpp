// Policy-gradient joint learners: single updates against arithmetic done by hand, gradients against
// finite differences of losses written here, the same bits for every team size, and what they learn
// in games whose solution is known.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "kernels/linear/actor_critic.hpp"
#include "kernels/linear/coma.hpp"
#include "kernels/linear/mappo.hpp"
#include "kernels/linear/reinforce.hpp"
#include "tests/emulated_team.hpp"
#include "tests/joint_seat.hpp"

namespace cumarl {
namespace {

constexpr SerialTeam kAlone{};

/// Numbers in [-1, 1], another sequence a seed.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : rng_({seed, 0}, 0, Stream::reset) {}
  double operator()() { return 2.0 * unit_double(rng_.word()) - 1.0; }

 private:
  Rng rng_;
};

/// Central difference with five points: its error is h^4 f'''''/30, about 1e-13 here, and the
/// rounding error eps |f| / h, about 1e-12.
double slope_of(const std::function<double()>& f, double& at) {
  constexpr double kH = 1e-3;
  const double was = at;
  const auto value = [&](double h) {
    at = was + h;
    return f();
  };
  const double out =
      (8.0 * (value(kH) - value(-kH)) - (value(2 * kH) - value(-2 * kH))) / (12.0 * kH);
  at = was;
  return out;
}

std::vector<double> softmax(const std::vector<double>& z) {
  std::vector<double> p;
  double total = 0;
  for (double value : z) total += std::exp(value);
  for (double value : z) p.push_back(std::exp(value) / total);
  return p;
}

/// A policy's logits at x, from its parameters.
std::vector<double> logits(const double* w, int actions, int pitch, const double* x) {
  std::vector<double> z;
  for (int a = 0; a < actions; ++a) {
    double sum = 0;
    for (int k = 0; k < pitch; ++k) sum += w[a * pitch + k] * x[k];
    z.push_back(sum);
  }
  return z;
}

/// ln pi(chosen) and the entropy of a policy of LinearActor, by the textbook.
struct Judged {
  double log_probability;
  double entropy;
};
Judged judge(bool real, const double* w, int actions, int pitch, const double* x, double chosen) {
  if (real) {
    const double mean = logits(w, 1, pitch, x)[0];
    const double deviation = std::exp(w[pitch]);
    const double pi = std::acos(-1.0);
    return {-(chosen - mean) * (chosen - mean) / (2 * deviation * deviation) -
                std::log(deviation * std::sqrt(2 * pi)),
            0.5 * std::log(2 * pi * std::exp(1.0) * deviation * deviation)};
  }
  const auto p = softmax(logits(w, actions, pitch, x));
  double entropy = 0;
  for (double one : p) entropy -= one * std::log(one);
  return {std::log(p[static_cast<size_t>(chosen)]), entropy};
}

// ---------------------------------------------------------------------------------------------
// Facts

TEST(Warehouse, RatioAdvantageAndClip) {
  // N(32, 8) against N(35, 8) at 42: exp((7^2 - 10^2) / 128)
  const double log_std = std::log(8.0);
  const double ratio = std::exp(GaussianPolicy{32, log_std}.log_density(42) -
                                GaussianPolicy{35, log_std}.log_density(42));
  EXPECT_NEAR(ratio, 0.671368, 5e-7);
  EXPECT_EQ(clipped_surrogate_slope(ratio, 200.0 - 500.0, 0.2), 0.0);
  EXPECT_DOUBLE_EQ(clipped_surrogate_slope(ratio, 300.0, 0.2), ratio * 300.0);
  EXPECT_EQ(clipped_surrogate_slope(1.3, 300.0, 0.2), 0.0);
  EXPECT_DOUBLE_EQ(clipped_surrogate_slope(1.3, -300.0, 0.2), -390.0);
  EXPECT_DOUBLE_EQ(clipped_surrogate_slope(1.0, -300.0, 0.2), -300.0);
}

TEST(ValueLoss, SlopeInsideAndOutsideOfTheClip) {
  EXPECT_DOUBLE_EQ(value_loss_slope(5, 0, 2, 0), 3.0);
  EXPECT_DOUBLE_EQ(value_loss_slope(5, 0, 2, 1), 3.0);    // 5 is further off than 1
  EXPECT_DOUBLE_EQ(value_loss_slope(2.5, 0, 2, 1), 0.0);  // 1 is further off than 2.5
  // Within the clip rounding never decides: was + (value - was) is not value in doubles.
  Numbers number(17);
  for (int k = 0; k < 1000; ++k) {
    const double value = number();
    const double target = number();
    EXPECT_EQ(value_loss_slope(value, value + 0.1 * number(), target, 0.2), value - target);
  }
}

TEST(GaussianPolicy, StandardNormal) {
  const GaussianPolicy standard{0, 0};
  EXPECT_NEAR(standard.log_density(0), -0.5 * std::log(2 * std::acos(-1.0)), 1e-15);
  EXPECT_NEAR(standard.log_density(2), -2 - 0.5 * std::log(2 * std::acos(-1.0)), 1e-15);
  EXPECT_NEAR(standard.entropy(), 0.5 * std::log(2 * std::acos(-1.0)) + 0.5, 1e-15);
}

TEST(SoftmaxPolicy, DrawsByInversionAndStandsLargeLogits) {
  SoftmaxPolicy policy{};
  policy.actions = 3;
  const double z[3] = {1000, 1000 + std::log(2.0), 1000};  // 1/4, 1/2, 1/4
  std::memcpy(policy.log_probability, z, sizeof(z));
  policy.normalize();
  EXPECT_NEAR(policy.probability[1], 0.5, 1e-12);
  EXPECT_NEAR(policy.entropy(), 1.5 * std::log(2.0), 1e-12);
  EXPECT_EQ(policy.draw(0), 0);
  EXPECT_EQ(policy.draw(0x3F000000), 0);
  EXPECT_EQ(policy.draw(0x41000000), 1);
  EXPECT_EQ(policy.draw(0xBF000000), 1);
  EXPECT_EQ(policy.draw(0xC1000000), 2);
  EXPECT_EQ(policy.draw(0xFFFFFFFF), 2);
}

// ---------------------------------------------------------------------------------------------
// Single updates by hand

TEST(Adam, TwoStepsByHand) {
  Optimizer<double>::Config config;
  config.beta1 = 0.5;
  config.beta2 = 0.75;
  config.epsilon = 1e-12;
  config.max_norm = 0;
  const auto adam = Optimizer<double>::make(config);
  alignas(64) double w[16] = {1.0}, g[16] = {2.0}, moments[32] = {};
  auto powers = adam.first();
  // m = 1, v = 1, both divided by 1 - beta: 2 and 4; the step is alpha
  adam.step(kAlone, 0.1, w, g, moments, 16, powers, 16);
  EXPECT_NEAR(w[0], 0.9, 1e-12);
  powers = adam.after(powers);
  g[0] = -1.0;
  // m = .5 - .5 = 0: no step; v = .75 + .25 = 1
  adam.step(kAlone, 0.1, w, g, moments, 16, powers, 16);
  EXPECT_NEAR(w[0], 0.9, 1e-12);
  EXPECT_DOUBLE_EQ(moments[0], 0.0);
  EXPECT_DOUBLE_EQ(moments[16], 1.0);
  powers = adam.after(powers);
  g[0] = 3.0;
  // m = 1.5 over 1 - 1/8 = 12/7; v = .75 + 9/4 = 3 over 1 - 27/64 = 192/37
  adam.step(kAlone, 0.1, w, g, moments, 16, powers, 16);
  EXPECT_NEAR(w[0], 0.9 - 0.1 * (12.0 / 7.0) / std::sqrt(192.0 / 37.0), 1e-12);
}

TEST(Optimizer, CutsTheNormDown) {
  Optimizer<double>::Config config;
  config.kind.value = Optimizer<double>::kSgd;
  config.max_norm = 1.0;
  const auto sgd = Optimizer<double>::make(config);
  alignas(64) double w[16] = {}, g[16] = {3.0, 4.0};
  EXPECT_DOUBLE_EQ(sgd.step(kAlone, 0.5, w, g, nullptr, 16, sgd.first(), 16), 25.0);
  EXPECT_DOUBLE_EQ(w[0], -0.3);
  EXPECT_DOUBLE_EQ(w[1], -0.4);
  g[0] = 0.3;
  g[1] = 0.4;  // below the bound: as it is
  sgd.step(kAlone, 0.5, w, g, nullptr, 16, sgd.first(), 16);
  EXPECT_DOUBLE_EQ(w[0], -0.45);
}

/// Plain gradient steps of size 1, one pass.
typename Mappo<double>::Config plain_mappo(int horizon) {
  typename Mappo<double>::Config c;
  c.optimizer.kind.value = Optimizer<double>::kSgd;
  c.optimizer.max_norm = 0;
  c.alpha = c.critic_alpha = 1;
  c.epochs = c.minibatches = 1;
  c.horizon = horizon;
  c.entropy = 0;
  c.normalize = false;
  c.gamma = c.lambda = 0.5;
  return c;
}

TEST(Mappo, OneUpdateByHand) {
  // Two agents, two actions, two steps; agent 1 is paid nothing. The global vector is (1, 0) always.
  JointSeat<Mappo<double>, double> seat(plain_mappo(2), joint_spec(2, 2, 2, 2));
  seat.init(kAlone);
  seat.global(0)[0] = seat.global(1)[0] = 1;
  seat.x(0, 0)[0] = 2;
  seat.x(0, 0)[1] = 1;
  auto chosen = seat.act(kAlone, 0);
  const int first = chosen.action[0];
  const float one[2] = {1, 0};
  EXPECT_EQ(seat.learn(kAlone, chosen, one, Episode::goes_on, 0), -1);
  seat.x(0, 0)[0] = 0;
  seat.x(0, 0)[1] = 4;
  chosen = seat.act(kAlone, 1);
  const int second = chosen.action[0];
  const float three[2] = {3, 0};
  EXPECT_EQ(seat.learn(kAlone, chosen, three, Episode::ended, 1), -1);
  // V = 0: delta = 1, 3; A = 1 + 3/4, 3. The mean over two steps of A (1 - 1/2) x for the action that
  // was played, and its negative for the other.
  const double* w = Mappo<double>::policy_weights(seat.p, seat.memory(), 0);
  double wanted[2][2] = {};
  for (int a = 0; a < 2; ++a) {
    const double s0 = (a == first ? 0.5 : -0.5) * 1.75 / 2;
    const double s1 = (a == second ? 0.5 : -0.5) * 3.0 / 2;
    wanted[a][0] = 2 * s0;
    wanted[a][1] = s0 + 4 * s1;
    EXPECT_NEAR(w[a * 16], wanted[a][0], 1e-14);
    EXPECT_NEAR(w[a * 16 + 1], wanted[a][1], 1e-14);
  }
  // Values are of the global vector: mean of the targets 1.75 and 3.
  EXPECT_DOUBLE_EQ(Mappo<double>::value_weights(seat.p, seat.memory(), 0)[0], 2.375);
  EXPECT_DOUBLE_EQ(Mappo<double>::value_weights(seat.p, seat.memory(), 1)[0], 0.0);
  for (int k = 0; k < 32; ++k) {
    EXPECT_EQ(Mappo<double>::policy_weights(seat.p, seat.memory(), 1)[k], 0.0);
  }
  // Another two steps without reward, the first cut by a time limit: V = 2.375 and .5 V - V = -V / 2
  // both times; the cut keeps the second error out of the first advantage.
  const float none[2] = {0, 0};
  for (uint64_t t = 2; t < 4; ++t) {
    chosen = seat.act(kAlone, t);
    seat.learn(kAlone, chosen, none, t == 2 ? Episode::cut : Episode::goes_on, t);
  }
  EXPECT_DOUBLE_EQ(Mappo<double>::value_weights(seat.p, seat.memory(), 0)[0], 2.375 / 2);
}

TEST(Mappo, NormalizesAdvantages) {
  auto config = plain_mappo(2);
  config.normalize = true;
  config.shared = true;
  JointSeat<Mappo<double>, double> seat(config, joint_spec(2, 2, 1, 1));
  seat.init(kAlone);
  const float rewards[2][2] = {{1, 2}, {3, 6}};
  for (uint64_t t = 0; t < 2; ++t) {
    const auto chosen = seat.act(kAlone, t);
    seat.learn(kAlone, chosen, rewards[t], Episode::ended, t);
  }
  // 1 2 3 6: mean 3, variance 3.5; shared parameters normalize over all agents
  const auto steps = Mappo<double>::trajectory(seat.p, seat.memory());
  const double deviation = std::sqrt(3.5) + 1e-5;
  EXPECT_DOUBLE_EQ(steps.at(Kept::advantage, 0, 0), -2 / deviation);
  EXPECT_DOUBLE_EQ(steps.at(Kept::advantage, 0, 1), -1 / deviation);
  EXPECT_DOUBLE_EQ(steps.at(Kept::advantage, 1, 0), 0.0);
  EXPECT_DOUBLE_EQ(steps.at(Kept::advantage, 1, 1), 3 / deviation);
}

TEST(Mappo, RefusesWhatDoesNotFit) {
  HostArena arena;
  const auto key_of = [&](const typename Mappo<double>::Config& c, const JointSpec& spec) {
    try {
      Mappo<double>::make(c, spec, arena);
    } catch (const ParameterError& e) {
      return e.key();
    }
    return std::string();
  };
  auto config = plain_mappo(4);
  EXPECT_EQ(key_of(config, joint_spec(2, 2, 2, 2)), "");
  config.minibatches = 5;
  EXPECT_EQ(key_of(config, joint_spec(2, 2, 2, 2)), "minibatches");
  config.minibatches = 2;
  config.epochs = 5;
  EXPECT_EQ(key_of(config, joint_spec(2, 2, 2, 2)), "epochs");
  config.epochs = 4;
  config.shared = true;
  JointSpec unlike = joint_spec(2, 2, 2, 2);
  unlike.actions[1] = 3;
  EXPECT_EQ(key_of(config, unlike), "shared");
}

TEST(ActorCritic, TwoUpdatesByHand) {
  typename ActorCritic<double>::Config config;
  config.alpha = 1;
  config.critic_alpha = 0.5;
  config.gamma = 0.5;
  config.lambda = 1;
  config.actor_lambda = 0.5;
  JointSeat<ActorCritic<double>, double> seat(config, joint_spec(1, 2, 2, 1));
  seat.init(kAlone);
  seat.x(0, 0)[0] = 1;
  seat.x(1, 0)[1] = 1;
  auto chosen = seat.act(kAlone, 0);
  const int first = chosen.action[0];
  const float two[1] = {2};
  seat.learn(kAlone, chosen, two, Episode::goes_on, 0);
  const double* v = ActorCritic<double>::value_weights(seat.p, seat.memory(), 0);
  const double* w = ActorCritic<double>::policy_weights(seat.p, seat.memory(), 0);
  EXPECT_DOUBLE_EQ(v[0], 1.0);  // delta = 2
  EXPECT_DOUBLE_EQ(w[first * 16], 1.0);
  EXPECT_DOUBLE_EQ(w[(1 - first) * 16], -1.0);
  std::swap(seat.x(0, 0)[0], seat.x(0, 0)[1]);
  chosen = seat.act(kAlone, 1);
  const int second = chosen.action[0];
  const float four[1] = {4};
  seat.learn(kAlone, chosen, four, Episode::ended, 1);
  // delta = 4; traces of values (1/2, 1); of the policy 1/4 of the first score and the second, 1/2
  EXPECT_DOUBLE_EQ(v[0], 1.0 + 0.5 * 4 * 0.5);
  EXPECT_DOUBLE_EQ(v[1], 0.5 * 4);
  EXPECT_DOUBLE_EQ(w[first * 16], 1.0 + 4 * 0.25 * 0.5);
  EXPECT_DOUBLE_EQ(w[second * 16 + 1], 4 * 0.5);
  EXPECT_DOUBLE_EQ(w[(1 - second) * 16 + 1], -4 * 0.5);
}

TEST(Reinforce, AnEpisodeByHand) {
  typename Reinforce<double>::Config config;
  config.alpha = 1;
  config.baseline_alpha = 0.5;
  config.gamma = 0.5;
  JointSeat<Reinforce<double>, double> seat(config, joint_spec(1, 2, 2, 1));
  seat.init(kAlone);
  int played[2];
  for (uint64_t t = 0; t < 2; ++t) {
    seat.x(0, 0)[0] = t == 0 ? 1 : 0;
    seat.x(0, 0)[1] = 1;
    const auto chosen = seat.act(kAlone, t);
    played[t] = chosen.action[0];
    const float reward[1] = {t == 0 ? 1.0F : 4.0F};
    seat.learn(kAlone, chosen, reward, t == 0 ? Episode::goes_on : Episode::ended, t);
  }
  // G = 3, 4. First delta = 3: v = (1.5, 1.5), and the rows move by +-1.5 (1, 1).
  // Second delta = 4 - 1.5 = 2.5: v[1] = 2.75; pi(played first) = e^1.5 / (e^1.5 + e^-1.5).
  const double* v = Reinforce<double>::baseline_weights(seat.p, seat.memory(), 0);
  const double* w = Reinforce<double>::policy_weights(seat.p, seat.memory(), 0);
  EXPECT_DOUBLE_EQ(v[0], 1.5);
  EXPECT_DOUBLE_EQ(v[1], 2.75);
  const int a = played[0];
  const double p = 1 / (1 + std::exp(-3.0));
  const double moved = 2.5 * (played[1] == a ? 1 - p : -p);
  EXPECT_DOUBLE_EQ(w[a * 16], 1.5);
  EXPECT_NEAR(w[a * 16 + 1], 1.5 + moved, 1e-14);
  EXPECT_NEAR(w[(1 - a) * 16 + 1], -1.5 - moved, 1e-14);
}

TEST(Reinforce, ABrokenOffReturnIsBootstrapped) {
  for (const Episode end : {Episode::cut, Episode::goes_on, Episode::ended}) {
    typename Reinforce<double>::Config config;
    config.baseline_alpha = 1;
    config.gamma = 0.5;
    config.horizon = 1;
    JointSeat<Reinforce<double>, double> seat(config, joint_spec(1, 2, 1, 1));
    seat.init(kAlone);
    double* v = Reinforce<double>::baseline_weights(seat.p, seat.memory(), 0);
    v[0] = 8;
    seat.x(0, 0)[0] = seat.x(1, 0)[0] = 1;
    const float reward[1] = {1};
    const auto chosen = seat.act(kAlone, 0);
    seat.learn(kAlone, chosen, reward, end, 0);
    EXPECT_DOUBLE_EQ(v[0], end == Episode::ended ? 1.0 : 5.0);
  }
}

TEST(Coma, OneUpdateByHand) {
  typename Coma<double>::Config config;
  config.alpha = 1;
  config.critic_alpha = 0.5;
  config.gamma = 0.5;
  config.lambda = 1;
  config.horizon = 1;
  config.target_every = 1;
  config.entropy = 0;
  config.optimizer.kind.value = Optimizer<double>::kSgd;
  config.optimizer.max_norm = 0;
  JointSeat<Coma<double>, double> seat(config, joint_spec(2, 2, 1, 1));
  seat.init(kAlone);
  for (int i = 0; i < 2; ++i) seat.x(0, i)[0] = 1;
  seat.global(0)[0] = 1;
  const auto chosen = seat.act(kAlone, 0);
  const float rewards[2] = {2, 0};
  seat.learn(kAlone, chosen, rewards, Episode::ended, 0);
  // G = 2, error 2, so the weight of the global one and of the other's action are 1 each: Q = 2 for
  // the action played, 0 for the other. The mean under the policy is 1, the advantage 1; the
  // rows move by +-1/2.
  const int mine = chosen.action[0];
  const int others = chosen.action[1];
  const double* q = Coma<double>::critic(seat.p, seat.memory(), 0);
  const int width = seat.p.width;
  EXPECT_DOUBLE_EQ(q[mine * width], 1.0);
  EXPECT_DOUBLE_EQ(q[mine * width + seat.p.action_at[1] + others], 1.0);
  EXPECT_DOUBLE_EQ(q[mine * width + seat.p.action_at[1] + 1 - others], 0.0);
  EXPECT_DOUBLE_EQ(q[(1 - mine) * width], 0.0);
  const double* w = Coma<double>::policy_weights(seat.p, seat.memory(), 0);
  EXPECT_DOUBLE_EQ(w[mine * 16], 0.5);
  EXPECT_DOUBLE_EQ(w[(1 - mine) * 16], -0.5);
  EXPECT_EQ(Coma<double>::policy_weights(seat.p, seat.memory(), 1)[0], 0.0);
}

TEST(Coma, AdvantagesCancelUnderThePolicy) {
  // Foerster et al. 2018, lemma 1: the counterfactual baseline adds nothing in expectation.
  typename Coma<double>::Config config;
  JointSeat<Coma<double>, double> seat(config, joint_spec(3, 4, 2, 5));
  Numbers number(7);
  double* const q = Coma<double>::critic(seat.p, seat.memory(), 0);
  for (int k = 0; k < 3 * 4 * seat.p.width; ++k) q[k] = number();
  for (int k = 0; k < 5; ++k) seat.global(0)[k] = number();
  for (int trial = 0; trial < 100; ++trial) {
    SoftmaxPolicy policy{};
    policy.actions = 4;
    for (int a = 0; a < 4; ++a) policy.log_probability[a] = 3 * number();
    policy.normalize();
    const int32_t actions[3] = {trial % 4, trial / 4 % 4, trial / 16 % 4};
    for (int i = 0; i < 3; ++i) {
      double advantage[4];
      Coma<double>::advantages(kAlone, seat.p, Coma<double>::critic(seat.p, seat.memory(), i), i,
                               policy, seat.global(0), actions, advantage);
      double mean = 0;
      double size = 0;
      for (int a = 0; a < 4; ++a) {
        mean += policy.probability[a] * advantage[a];
        size += std::abs(advantage[a]);
      }
      EXPECT_NEAR(mean, 0.0, 1e-14);
      EXPECT_GT(size, 0.01);
    }
  }
}

// ---------------------------------------------------------------------------------------------
// Gradients against finite differences

/// Logarithms of ratios on either side of the clip of 0.2, at ln 1.2 = 0.18 and ln 0.8 = -0.22, and
/// half the moves of values on either side of theirs of 0.4: away from the kinks, as differences need.
constexpr double kOff[4] = {-0.4, -0.1, 0.1, 0.35};

/// A seat of Mappo whose trajectory is filled with numbers.
template <class Real>
JointSeat<Mappo<Real>, Real> filled_mappo(bool real, bool shared, bool central, double value_clip,
                                          uint64_t seed) {
  typename Mappo<Real>::Config config;
  config.horizon = 12;
  config.entropy = 0.3;
  config.shared = shared;
  config.central = central;
  config.value_clip = value_clip;
  auto spec = joint_spec(2, 3, 5, 7);
  spec.real = real;
  JointSeat<Mappo<Real>, Real> seat(config, spec);
  seat.init(kAlone);
  Numbers number(seed);
  const auto& p = seat.p;
  auto* w = Mappo<Real>::policy_weights(p, seat.memory(), 0);
  const int entries = p.policies * p.actor.size + p.values * p.value_size;
  for (int k = 0; k < entries; ++k) w[k] = static_cast<Real>(0.7 * number());
  for (int s = 0; real && s < p.policies; ++s) {  // a narrow policy is too steep for differences
    Mappo<Real>::policy_weights(p, seat.memory(), s)[p.actor.pitch] = static_cast<Real>(0.2);
  }
  const auto steps = Mappo<Real>::trajectory(p, seat.memory());
  for (int k = 0; k < 12; ++k) {
    for (int j = 0; j < p.global_pitch; ++j) {
      steps.global(k)[j] = static_cast<Real>(j < 7 ? number() : 0);
    }
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 5; ++j) steps.x(k, i)[j] = static_cast<Real>(number());
      const double u = number();
      steps.at(Kept::chosen, k, i) = static_cast<Real>(real ? 2 * u : (k + i) % 3);
      typename LinearActor<Real>::Policy policy;
      LinearActor<Real>::at(kAlone, p.actor,
                            Mappo<Real>::policy_weights(p, seat.memory(), shared ? 0 : i), i,
                            steps.x(k, i), policy);
      steps.at(Kept::log_probability, k, i) = static_cast<Real>(
          policy.log_probability(steps.at(Kept::chosen, k, i)) + kOff[(3 * k + i) % 4]);
      steps.at(Kept::advantage, k, i) = static_cast<Real>(2 * number());
      steps.at(Kept::target, k, i) = static_cast<Real>(2 * number());
      const Real* const y = central ? steps.global(k) : steps.x(k, i);
      const Real value =
          dot(kAlone, Mappo<Real>::value_weights(p, seat.memory(), p.values == 1 ? 0 : i), y,
              p.value_size);
      steps.at(Kept::value, k, i) = value + static_cast<Real>(2 * kOff[(3 * k + i) % 4]);
    }
  }
  return seat;
}

/// The losses of the header, from the kept steps, written down anew.
double mappo_policy_loss(JointSeat<Mappo<double>, double>& seat, int s) {
  const auto& p = seat.p;
  const auto steps = Mappo<double>::trajectory(p, seat.memory());
  const double* w = Mappo<double>::policy_weights(p, seat.memory(), s);
  double sum = 0;
  int count = 0;
  for (int k = 0; k < p.steps.steps; ++k) {
    for (int i = 0; i < 2; ++i) {
      if (!p.shared && i != s) continue;
      const auto now =
          judge(p.actor.real, w, 3, p.actor.pitch, steps.x(k, i), steps.at(Kept::chosen, k, i));
      const double r = std::exp(now.log_probability - steps.at(Kept::log_probability, k, i));
      const double a = steps.at(Kept::advantage, k, i);
      const double clipped = std::min(std::max(r, 1 - p.clip), 1 + p.clip);
      sum += -std::min(r * a, clipped * a) - p.actor.entropy * now.entropy;
      ++count;
    }
  }
  return sum / count;
}
double mappo_value_loss(JointSeat<Mappo<double>, double>& seat, int s) {
  const auto& p = seat.p;
  const auto steps = Mappo<double>::trajectory(p, seat.memory());
  const double* w = Mappo<double>::value_weights(p, seat.memory(), s);
  double sum = 0;
  int count = 0;
  for (int k = 0; k < p.steps.steps; ++k) {
    for (int i = 0; i < 2; ++i) {
      if (p.values > 1 && i != s) continue;
      const double* y = p.global_pitch > 0 ? steps.global(k) : steps.x(k, i);
      double v = 0;
      for (int j = 0; j < p.value_size; ++j) v += w[j] * y[j];
      const double target = steps.at(Kept::target, k, i);
      const double was = steps.at(Kept::value, k, i);
      double loss = (v - target) * (v - target);
      if (p.value_clip > 0) {
        const double near = was + std::min(std::max(v - was, -p.value_clip), p.value_clip);
        loss = std::max(loss, (near - target) * (near - target));
      }
      sum += loss / 2;
      ++count;
    }
  }
  return sum / count;
}

TEST(Mappo, GradientsAreThoseOfItsLosses) {
  for (int setting = 0; setting < 8; ++setting) {
    const bool real = (setting & 1) != 0;
    const bool shared = (setting & 2) != 0;
    const bool central = (setting & 4) != 0;
    const double value_clip = shared ? 0.4 : 0.0;
    const auto seed = static_cast<uint64_t>(20 + setting);
    auto seat = filled_mappo<double>(real, shared, central, value_clip, seed);
    auto single = filled_mappo<float>(real, shared, central, value_clip, seed);
    const auto& p = seat.p;
    const auto steps = Mappo<double>::trajectory(p, seat.memory());
    std::vector<double> room(static_cast<size_t>(p.actor.size + p.value_size) + 8);
    double* g = room.data() + (64 - reinterpret_cast<uintptr_t>(room.data()) % 64) / 8 % 8;
    alignas(64) float h[128];
    for (int s = 0; s < p.policies; ++s) {
      double* w = Mappo<double>::policy_weights(p, seat.memory(), s);
      Mappo<double>::policy_gradient(kAlone, p, steps, w, s, nullptr, 0, 12, g);
      ASSERT_LE(p.actor.size, 128);
      Mappo<float>::policy_gradient(
          kAlone, single.p, Mappo<float>::trajectory(single.p, single.memory()),
          Mappo<float>::policy_weights(single.p, single.memory(), s), s, nullptr, 0, 12, h);
      double size = 0;
      for (int k = 0; k < p.actor.size; ++k) {
        if (real && k > p.actor.pitch) continue;  // padding
        const double wanted = slope_of([&] { return mappo_policy_loss(seat, s); }, w[k]);
        EXPECT_NEAR(g[k], wanted, 1e-10) << "setting " << setting << " entry " << k;
        EXPECT_NEAR(static_cast<double>(h[k]), wanted, 1e-5);
        size += std::abs(wanted);
      }
      EXPECT_GT(size, 0.1);
    }
    for (int s = 0; s < p.values; ++s) {
      double* w = Mappo<double>::value_weights(p, seat.memory(), s);
      Mappo<double>::value_gradient(kAlone, p, steps, w, s, nullptr, 0, 12, g);
      for (int k = 0; k < p.value_size; ++k) {
        const double wanted = slope_of([&] { return mappo_value_loss(seat, s); }, w[k]);
        EXPECT_NEAR(g[k], wanted, 1e-10) << "setting " << setting << " entry " << k;
      }
    }
  }
}

TEST(LinearActor, GradientIsThatOfLogProbabilityAndEntropy) {
  for (const bool real : {false, true}) {
    typename LinearActor<double>::EitherConfig config;
    auto spec = joint_spec(1, 4, 5, 1);
    spec.real = real;
    const auto p = LinearActor<double>::make(config, spec);
    Numbers number(3);
    alignas(64) double w[64] = {}, x[16] = {}, g[64];
    for (int k = 0; k < p.size; ++k) w[k] = number();
    for (int k = 0; k < 5; ++k) x[k] = number();
    const double chosen = real ? 1.3 : 2.0;
    typename LinearActor<double>::Policy policy;
    LinearActor<double>::at(kAlone, p, w, 0, x, policy);
    fill(kAlone, g, 0.0, 64);
    LinearActor<double>::add_gradient(kAlone, p, policy, chosen, 1.7, -0.6, x, g);
    for (int k = 0; k < (real ? 17 : 64); ++k) {
      const double wanted = slope_of(
          [&] {
            const auto now = judge(real, w, 4, 16, x, chosen);
            return 1.7 * now.log_probability - 0.6 * now.entropy;
          },
          w[k]);
      EXPECT_NEAR(g[k], wanted, 1e-10);
    }
  }
}

TEST(Coma, GradientIsThatOfTheCounterfactualObjective) {
  typename Coma<double>::Config config;
  config.horizon = 9;
  config.entropy = 0.2;
  JointSeat<Coma<double>, double> seat(config, joint_spec(2, 3, 4, 6));
  seat.init(kAlone);
  Numbers number(11);
  const auto& p = seat.p;
  const auto steps = Coma<double>::trajectory(p, seat.memory());
  double* const w = Coma<double>::policy_weights(p, seat.memory(), 1);
  double* const q = Coma<double>::critic(p, seat.memory(), 1);
  for (int k = 0; k < p.actor.size; ++k) w[k] = number();
  for (int k = 0; k < 3 * p.width; ++k) q[k] = number();
  for (int k = 0; k < 9; ++k) {
    for (int j = 0; j < 4; ++j) steps.x(k, 1)[j] = number();
    for (int j = 0; j < 6; ++j) steps.global(k)[j] = number();
    steps.at(Kept::chosen, k, 0) = k % 3;
    steps.at(Kept::chosen, k, 1) = k / 3;
  }
  // Q among agent 0's action, which is the others' only one here, and the advantages at w, held
  std::vector<double> held;
  for (int k = 0; k < 9; ++k) {
    const auto pi = softmax(logits(w, 3, 16, steps.x(k, 1)));
    double value[3];
    double mean = 0;
    for (int a = 0; a < 3; ++a) {
      value[a] = q[a * p.width + p.action_at[0] + k % 3];
      for (int j = 0; j < 6; ++j) value[a] += q[a * p.width + j] * steps.global(k)[j];
      mean += pi[static_cast<size_t>(a)] * value[a];
    }
    held.push_back(value[k / 3] - mean);
  }
  alignas(64) double g[48];
  Coma<double>::policy_gradient(kAlone, p, seat.memory(), w, 1, g);
  for (int k = 0; k < 48; ++k) {
    const double wanted = slope_of(
        [&] {
          double sum = 0;
          for (int j = 0; j < 9; ++j) {
            const auto now = judge(false, w, 3, 16, steps.x(j, 1), j / 3);
            sum -= held[static_cast<size_t>(j)] * now.log_probability + 0.2 * now.entropy;
          }
          return sum / 9;
        },
        w[k]);
    EXPECT_NEAR(g[k], wanted, 1e-10);
  }
}

// ---------------------------------------------------------------------------------------------
// Every team size gives the same bits

/// Steps of random features, rewards and ends.
template <class L, class Real, class Team>
void play_randomly(const Team& team, JointSeat<L, Real>& seat, int agents) {
  seat.init(team);
  for (uint64_t t = 0; t < 8; ++t) {
    Numbers number(100 + t);
    float rewards[kMaxJointAgents];
    if (team.rank() == 0) {
      for (int which = 0; which < 2; ++which) {
        for (int i = 0; i < agents; ++i) {
          for (int k = 0; k < 20; ++k) seat.x(which, i)[k] = static_cast<Real>(number());
        }
        for (int k = 0; k < 18; ++k) seat.global(which)[k] = static_cast<Real>(number());
      }
    }
    Numbers other(500 + t);
    for (int i = 0; i < agents; ++i) rewards[i] = static_cast<float>(other());
    team.sync();
    const auto chosen = seat.act(team, t);
    seat.learn(team, chosen, rewards,
               t % 7 == 3   ? Episode::ended
               : t % 7 == 5 ? Episode::cut
                            : Episode::goes_on,
               t);
    team.sync();
  }
}

template <int N, class L, class Real>
void expect_same_bits(JointSeat<L, Real>& alone, const typename L::Config& config,
                      const JointSpec& spec) {
  JointSeat<L, Real> seat(config, spec);
  run_emulated<N>([&](const auto& team) { play_randomly<L, Real>(team, seat, spec.agents); });
  EXPECT_EQ(std::memcmp(alone.memory(), seat.memory(), seat.bytes()), 0)
      << L::kFacts.name << ", " << N << " lanes, " << sizeof(Real) << " bytes a number";
}

template <class L, class Real>
void expect_same_bits(const typename L::Config& config, bool real) {
  auto spec = joint_spec(2, 3, 20, 18);
  spec.real = real;
  JointSeat<L, Real> alone(config, spec);
  play_randomly<L, Real>(kAlone, alone, spec.agents);
  expect_same_bits<2>(alone, config, spec);
  if (sizeof(Real) == 8) return;  // the same code: one size will do
  expect_same_bits<4>(alone, config, spec);
  expect_same_bits<8>(alone, config, spec);
  expect_same_bits<16>(alone, config, spec);
}

template <class Real>
void expect_same_bits_of_all() {
  for (const bool real : {false, true}) {
    typename Mappo<Real>::Config mappo;
    mappo.horizon = 4;
    mappo.epochs = 2;
    mappo.minibatches = 2;
    mappo.value_clip = 0.1;
    expect_same_bits<Mappo<Real>, Real>(mappo, real);
    mappo.shared = true;
    mappo.central = false;
    mappo.minibatches = 1;
    expect_same_bits<Mappo<Real>, Real>(mappo, real);
    typename ActorCritic<Real>::Config critic;
    critic.lambda = 0.7;
    critic.actor_lambda = 0.6;
    critic.entropy = 0.1;
    expect_same_bits<ActorCritic<Real>, Real>(critic, real);
    typename Reinforce<Real>::Config reinforce;
    reinforce.horizon = 5;
    reinforce.entropy = 0.1;
    expect_same_bits<Reinforce<Real>, Real>(reinforce, real);
  }
  typename Coma<Real>::Config coma;
  coma.horizon = 3;
  coma.target_every = 2;
  expect_same_bits<Coma<Real>, Real>(coma, false);
}

TEST(PolicyGradient, EveryTeamSizeGivesTheSameBits) {
  expect_same_bits_of_all<float>();
  expect_same_bits_of_all<double>();
}

TEST(Mappo, NamesTheAgentThatDiverges) {
  auto config = plain_mappo(4);
  config.critic_alpha = 1e3;
  JointSeat<Mappo<double>, double> seat(config, joint_spec(2, 2, 1, 1));
  seat.init(kAlone);
  seat.global(0)[0] = seat.global(1)[0] = 1;
  int diverged = -1;
  const float rewards[2] = {0, 1};  // agent 0's values stay 0
  for (uint64_t t = 0; t < 1000 && diverged < 0; ++t) {
    diverged = seat.learn(kAlone, seat.act(kAlone, t), rewards, Episode::ended, t);
  }
  EXPECT_EQ(diverged, 1);
}

// ---------------------------------------------------------------------------------------------
// Games whose solution is known

struct Figure {
  double mean, error;
};
/// Mean and standard error of `runs` runs.
Figure figure(int runs, const std::function<double(uint64_t)>& run) {
  double sum = 0;
  double squares = 0;
  for (int k = 0; k < runs; ++k) {
    const double value = run(static_cast<uint64_t>(k));
    sum += value;
    squares += value * value;
  }
  const double mean = sum / runs;
  return {mean, std::sqrt((squares / runs - mean * mean) / (runs - 1))};
}

/// A corridor of five places, seen one-hot, with the end on the right: 1 on leaving it there, 0 at the
/// left wall. Two agents walk corridors of their own, and each is paid what both are: moving right is
/// best for both everywhere. Episodes are cut after 20 steps, so that a random walk rarely arrives.
/// Returns the mean probability of moving right, over places and agents.
template <class L>
double walk(typename L::Config config, uint64_t run, uint64_t steps) {
  config.gamma = 0.9;
  JointSeat<L, float> seat(config, joint_spec(2, 2, 5, 10), {5, run});
  seat.init(kAlone);
  int place[2] = {0, 0};
  int age = 0;
  const auto show = [&](int which) {
    for (int i = 0; i < 2; ++i) {
      for (int k = 0; k < 5; ++k) {
        seat.x(which, i)[k] = k == place[i] ? 1.0F : 0.0F;
        seat.global(which)[5 * i + k] = seat.x(which, i)[k];
      }
    }
  };
  for (uint64_t t = 0; t < steps; ++t) {
    show(0);
    const auto chosen = seat.act(kAlone, t);
    float paid = 0;
    for (int i = 0; i < 2; ++i) {
      place[i] += chosen.action[i] == 1 ? 1 : -1;
      if (place[i] < 0) place[i] = 0;
      if (place[i] == 5) {
        paid += 1;
        place[i] = 0;
      }
    }
    const float rewards[2] = {paid, paid};
    show(1);
    const bool cut = ++age == 20;
    EXPECT_EQ(seat.learn(kAlone, chosen, rewards, cut ? Episode::cut : Episode::goes_on, t), -1);
    if (cut) age = place[0] = place[1] = 0;
  }
  double right = 0;
  for (int k = 0; k < 5; ++k) {
    place[0] = place[1] = k;
    show(0);
    right += (seat.policy(0, 0)[1] + seat.policy(0, 1)[1]) / 10;
  }
  return right;
}

TEST(PolicyGradient, WalkTheCorridor) {
  const auto expect = [](const char* name, const Figure& right) {
    std::printf("%s: %.4f +- %.4f to the right, 10 runs\n", name, right.mean, right.error);
    EXPECT_GT(right.mean - 3 * right.error, 0.9) << name;
  };
  expect("mappo", figure(10, [](uint64_t run) {
           typename Mappo<float>::Config config;
           config.horizon = 256;
           return walk<Mappo<float>>(config, run, 20000);
         }));
  expect("mappo, shared, own features", figure(10, [](uint64_t run) {
           typename Mappo<float>::Config config;
           config.horizon = 256;
           config.shared = true;
           config.central = false;
           config.minibatches = 4;
           return walk<Mappo<float>>(config, run, 20000);
         }));
  expect("actor_critic", figure(10, [](uint64_t run) {
           typename ActorCritic<float>::Config config;
           config.alpha = 0.1;
           config.critic_alpha = 0.1;
           return walk<ActorCritic<float>>(config, run, 50000);
         }));
  expect("actor_critic, traces", figure(10, [](uint64_t run) {
           typename ActorCritic<float>::Config config;
           config.alpha = 0.05;
           config.critic_alpha = 0.1;
           config.lambda = config.actor_lambda = 0.8;
           return walk<ActorCritic<float>>(config, run, 50000);
         }));
  expect("reinforce", figure(10, [](uint64_t run) {
           typename Reinforce<float>::Config config;
           config.alpha = 0.05;
           config.baseline_alpha = 0.05;
           return walk<Reinforce<float>>(config, run, 100000);
         }));
  expect("coma", figure(10, [](uint64_t run) {
           typename Coma<float>::Config config;
           config.alpha = 0.02;
           config.critic_alpha = 0.1;
           return walk<Coma<float>>(config, run, 100000);
         }));
}

/// Three stores with demand 100 - 2 p_i + (p_j + p_k) / 2 and prices in [1, 60] find the Nash price
/// 100/3 of their price game by their own profits (in thousands). Returns the mean price.
template <class L>
double price_game(typename L::Config config, uint64_t run, uint64_t steps) {
  config.continuous = true;
  auto spec = joint_spec(3, 1, 1, 1);
  spec.real = true;
  for (int i = 0; i < 3; ++i) {
    spec.low[i] = 1;
    spec.high[i] = 60;
  }
  JointSeat<L, float> seat(config, spec, {9, run});
  seat.init(kAlone);
  for (int which = 0; which < 2; ++which) {
    seat.global(which)[0] = 1;
    for (int i = 0; i < 3; ++i) seat.x(which, i)[0] = 1;
  }
  double sum = 0;
  for (uint64_t t = 0; t < steps; ++t) {
    const auto chosen = seat.act(kAlone, t);
    float profit[3];
    const double all = chosen.value[0] + chosen.value[1] + chosen.value[2];
    for (int i = 0; i < 3; ++i) {
      const double price = chosen.value[i];
      EXPECT_TRUE(price >= 1 && price <= 60);
      profit[i] = static_cast<float>(price * (100 - 2 * price + 0.5 * (all - price)) / 1000);
    }
    EXPECT_EQ(seat.learn(kAlone, chosen, profit, Episode::ended, t), -1);
    if (t >= steps / 2) {
      for (int i = 0; i < 3; ++i) sum += seat.policy(0, i)[0];
    }
  }
  return sum / (3.0 * static_cast<double>(steps - steps / 2));
}

TEST(PolicyGradient, StoresFindTheNashPrice) {
  // Clipping at the bounds moves the best mean a little while the policies are wide: within 0.5.
  const auto expect = [](const char* name, const Figure& price) {
    std::printf("%s: mean price %.3f +- %.3f, 10 runs\n", name, price.mean, price.error);
    EXPECT_NEAR(price.mean, 100.0 / 3, 0.5 + 3 * price.error) << name;
    EXPECT_LT(price.error, 0.5) << name;
  };
  expect("mappo", figure(10, [](uint64_t run) {
           typename Mappo<float>::Config config;
           config.horizon = 256;
           config.entropy = 0;
           return price_game<Mappo<float>>(config, run, 40000);
         }));
  expect("actor_critic", figure(10, [](uint64_t run) {
           typename ActorCritic<float>::Config config;
           config.alpha = 0.003;
           config.critic_alpha = 0.02;
           config.log_std = -1.5;
           config.learn_std = false;
           return price_game<ActorCritic<float>>(config, run, 100000);
         }));
  expect("reinforce", figure(10, [](uint64_t run) {
           typename Reinforce<float>::Config config;
           config.alpha = 0.003;
           config.baseline_alpha = 0.02;
           config.log_std = -1.5;
           config.learn_std = false;
           return price_game<Reinforce<float>>(config, run, 100000);
         }));
}

}  // namespace
}  // namespace cumarl
