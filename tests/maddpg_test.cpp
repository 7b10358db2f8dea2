/// MADDPG on linear approximators: updates by hand, gradients against central differences, the
/// replay memory's end, the same bits for every team, and games whose equilibria are known.
#include "kernels/linear/maddpg.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "tests/joint_bench.hpp"

namespace {

using namespace cumarl;

template <class Real>
using Bench = JointBench<Maddpg<Real>, Real>;

/// Plain gradient steps of constant size, no scale, an update at every step.
template <class Real>
typename Maddpg<Real>::Config plain() {
  typename Maddpg<Real>::Config c;
  c.optimizer.kind.value = Optimizer<Real>::kSgd;
  c.optimizer.max_norm = 0;
  c.alpha_decay = 0;
  c.reward_scale = 1;
  c.init_scale = 0;
  c.capacity = c.batch = c.warmup = c.update_every = 1;
  return c;
}

// One agent that sees nothing but the bias: z = (1, u), phi = (1, u, u^2). All numbers are sums of
// few powers of 2, so exact.
TEST(Maddpg, TwoUpdatesByHand) {
  auto c = plain<double>();
  c.actor_alpha = 0.25;
  c.critic_alpha = 0.5;
  c.gamma = 0.5;
  c.tau = 0.5;
  Bench<double> bench(c, bench_spec({1}, 1, true, 0));
  bench.show(0, 0);
  bench.show(1, 0);
  JointAction taken{};
  const double* w = Maddpg<double>::critic(bench.params, bench.memory, 0);
  const double* theta = Maddpg<double>::actor(bench.params, bench.memory, 0, 0);
  const double* slow = Maddpg<double>::targets(bench.params, bench.memory);
  const double* slow_theta = slow + 16;

  // u = 1/2, reward 2, the end: error 2, w = 1/2 * 2 * (1, 1/2, 1/4); at mu = 0 the slope is 1/2
  taken.value[0] = 0.5;
  bench.learn(SerialTeam{}, 0, taken, {2}, Episode::ended);
  EXPECT_EQ(w[0], 1);
  EXPECT_EQ(w[1], 0.5);
  EXPECT_EQ(w[2], 0.25);
  EXPECT_EQ(theta[0], 0.125);
  EXPECT_EQ(slow[0], 0.5);
  EXPECT_EQ(slow[1], 0.25);
  EXPECT_EQ(slow[2], 0.125);
  EXPECT_EQ(slow_theta[0], 0.0625);

  // u = -1, reward 0, a time limit: Q' = 1/2 + 1/4 * 1/16 + 1/8 * 1/256 = 0.51611328125, target
  // half of it, Q = 1 - 1/2 + 1/4; error -0.491943359375. Then mu = 1/8, slope w_1 + 2 w_2 / 8.
  taken.value[0] = -1;
  bench.learn(SerialTeam{}, 1, taken, {0}, Episode::cut);
  EXPECT_EQ(w[0], 0.7540283203125);
  EXPECT_EQ(w[1], 0.7459716796875);
  EXPECT_EQ(w[2], 0.0040283203125);
  EXPECT_EQ(theta[0], 0.125 + 0.25 * 0.746978759765625);
  EXPECT_EQ(slow[0], (0.5 + 0.7540283203125) / 2);
}

// Beyond the range a clipped actor moves back inside, but not further out.
TEST(Maddpg, TheGradientOfAClippedActor) {
  for (const double slope : {1.0, -1.0}) {
    for (const double pre : {2.0, -2.0, 0.5}) {
      auto c = plain<double>();
      c.actor.value = Maddpg<double>::kLinear;
      c.critic_alpha = 0;
      c.actor_alpha = 1;
      Bench<double> bench(c, bench_spec({1}, 1, true, 0));
      bench.show(0, 0);
      bench.show(1, 0);
      Maddpg<double>::critic(bench.params, bench.memory, 0)[1] = slope;
      double& theta = Maddpg<double>::actor(bench.params, bench.memory, 0, 0)[0];
      theta = pre;
      bench.learn(SerialTeam{}, 0, JointAction{}, {0});
      const bool outward = std::abs(pre) > 1 && (pre > 0) == (slope > 0);
      EXPECT_EQ(theta, outward ? pre : pre + slope) << pre << " " << slope;
      EXPECT_EQ(bench.policy(0)[0], std::max(-1.0, std::min(1.0, theta)));
    }
  }
}

TEST(Maddpg, ActionsAreScaledAndRewardsToo) {
  typename Maddpg<double>::Config c;
  c.init_scale = 0;
  c.warmup = 1;
  c.noise_start = c.noise_end = 0;
  JointSpec spec = bench_spec({2, 2}, 2, true, 0);
  spec.low[1] = 10;
  spec.high[1] = 30;
  spec.reward_low = -50;
  spec.reward_high = 20;
  Bench<double> bench(c, spec);
  bench.show(0, 0);
  bench.show(1, 1);
  const JointAction taken = bench.act(SerialTeam{}, 1);
  EXPECT_EQ(taken.value[0], 0);
  EXPECT_EQ(taken.value[1], 20);
  JointAction other{};
  other.value[0] = -0.5;
  other.value[1] = 25;
  bench.learn(SerialTeam{}, 0, other, {10, -25});
  // x of both, global, u | x of both, global | rewards, goes on
  const double* record = Maddpg<double>::replayed(bench.params, bench.memory, 0);
  EXPECT_EQ(record[6], -0.5);
  EXPECT_EQ(record[7], 0.5);
  EXPECT_EQ(record[8], bench.seen(1).agent(0)[0]);
  EXPECT_EQ(record[12], 2 * bench.seen(1).global[0] - 1);
  EXPECT_EQ(record[14], 0.2);
  EXPECT_EQ(record[15], -0.5);
  EXPECT_EQ(record[16], 1);
}

TEST(Maddpg, TheReplayMemoryKeepsTheLastSteps) {
  auto c = plain<double>();
  c.capacity = 4;
  c.warmup = 1000;
  Bench<double> bench(c, bench_spec({1}, 1, true, 0));
  bench.show(0, 0);
  bench.show(1, 1);
  for (uint64_t t = 0; t < 6; ++t) {
    bench.learn(SerialTeam{}, t, JointAction{}, {static_cast<float>(t + 1)});
  }
  // places 0 and 1 were written again: steps 5 6 3 4
  const double wanted[4] = {5, 6, 3, 4};
  for (size_t k = 0; k < 4; ++k) {
    const double* record = Maddpg<double>::replayed(bench.params, bench.memory, k);
    EXPECT_EQ(record[bench.params.reward_at], wanted[k]);
  }
  EXPECT_EQ(Maddpg<double>::head(bench.memory)->stored, 6u);
  EXPECT_EQ(Maddpg<double>::head(bench.memory)->updates, 0u);
}

/// The losses written down anew, in double, over plain vectors.
struct Oracle {
  static constexpr int kSteps = 7, kBatch = 5;
  static constexpr uint64_t kNow = 40;
  using L = Maddpg<double>;
  struct Step {
    std::vector<std::vector<double>> x, x_next;
    std::vector<double> z, s_next, reward;
    bool goes_on;
  };

  explicit Oracle(int actor, bool real) : real_(real) {
    auto c = plain<double>();
    c.actor.value = actor;
    c.capacity = 16;
    c.batch = kBatch;
    c.warmup = 1000;
    c.gamma = 0.9;
    c.temperature = 0.7;
    bench = std::make_unique<Bench<double>>(c, bench_spec({2, 3, 2}, 4, real, 3));
    fill_weights(*bench);
    fill_memory(*bench);
  }

  template <class Real>
  void fill_weights(Bench<Real>& b) const {
    using M = Maddpg<Real>;
    Rng rng({1, 2}, 3, Stream::init);
    for (int side = 0; side < 2; ++side) {
      Real* const all = M::weights(b.memory) + static_cast<size_t>(side) * M::all(b.params);
      const int products = b.params.joint * (b.params.joint + 1) / 2;
      for (int i = 0; i < 3; ++i) {
        for (int k = 0; k < products; ++k) {
          all[M::critic_at(b.params, i) + static_cast<size_t>(k)] =
              static_cast<Real>(rng.unit() - 0.5F);
        }
        for (int a = 0; a < b.params.actions[i]; ++a) {
          for (int k = 0; k < b.spec.size[i]; ++k) {
            all[M::actor_at(b.params, i, a) + static_cast<size_t>(k)] =
                static_cast<Real>(0.8F * (rng.unit() - 0.5F));
          }
        }
      }
    }
  }

  template <class Real>
  void fill_memory(Bench<Real>& b) {
    steps.clear();
    for (uint64_t t = 0; t < kSteps; ++t) {
      b.show(0, t);
      b.show(1, t + 1);
      Rng rng({4, 4}, t, Stream::dynamics);
      JointAction taken{};
      Step s{};
      for (int k = 0; k < 4; ++k) s.z.push_back(k == 3 ? 1.0 : 2.0 * b.seen(0).global[k] - 1);
      for (int k = 0; k < 4; ++k) s.s_next.push_back(k == 3 ? 1.0 : 2.0 * b.seen(1).global[k] - 1);
      std::vector<float> rewards;
      for (int i = 0; i < 3; ++i) {
        taken.value[i] = 2.0 * static_cast<double>(rng.unit()) - 1;
        taken.action[i] = static_cast<int>(rng.below(3));
        rewards.push_back(rng.unit());
        s.reward.push_back(static_cast<double>(rewards.back()));
        if (real_) {
          s.z.push_back(taken.value[i]);
        } else {
          for (int a = 0; a < 3; ++a) s.z.push_back(a == taken.action[i] ? 1 : 0);
        }
        const int n = b.spec.size[i];
        s.x.emplace_back(b.seen(0).agent(i), b.seen(0).agent(i) + n);
        s.x_next.emplace_back(b.seen(1).agent(i), b.seen(1).agent(i) + n);
      }
      s.goes_on = t % 3 != 2;
      b.learn(SerialTeam{}, t, taken, rewards, s.goes_on ? Episode::goes_on : Episode::ended);
      steps.push_back(s);
    }
  }

  static double q(const double* w, const std::vector<double>& z) {
    double sum = 0;
    for (size_t j = 0; j < z.size(); ++j) {
      for (size_t k = j; k < z.size(); ++k) sum += *w++ * z[j] * z[k];
    }
    return sum;
  }
  double* weights(bool target) const {
    return L::weights(bench->memory) + (target ? L::all(bench->params) : 0);
  }
  double out(bool target, int i, int row, const std::vector<double>& x) const {
    const double* theta = weights(target) + L::actor_at(bench->params, i, row);
    double sum = 0;
    for (size_t k = 0; k < x.size(); ++k) sum += theta[k] * x[k];
    return sum;
  }
  double squashed(double pre) const {
    if (bench->params.actor == L::kTanh) return std::tanh(pre);
    return std::max(-1.0, std::min(1.0, pre));
  }
  std::vector<double> softmaxed(int i, const Step& s, bool target, double temperature,
                                const std::array<double, 3>& add) const {
    const auto n = static_cast<size_t>(i);
    std::vector<double> out_of(3);
    double sum = 0;
    for (int a = 0; a < 3; ++a) {
      const double l = out(target, i, a, target ? s.x_next[n] : s.x[n]);
      sum += out_of[static_cast<size_t>(a)] =
          std::exp((l + add[static_cast<size_t>(a)]) / temperature);
    }
    for (double& p : out_of) p /= sum;
    return out_of;
  }
  const Step& drawn(Rng& rng) const { return steps[rng.below(kSteps)]; }

  double critic_loss(int i) const {
    Rng places(bench->key, kNow, Stream::learn);
    Rng chance(bench->key, kNow, Stream::learn, 2);  // 5 words fill two blocks
    double loss = 0;
    for (int b = 0; b < kBatch; ++b) {
      const Step& s = drawn(places);
      std::vector<double> z = s.s_next;
      for (int j = 0; j < 3; ++j) {
        if (real_) {
          z.push_back(squashed(out(true, j, 0, s.x_next[static_cast<size_t>(j)])));
          continue;
        }
        const auto p = softmaxed(j, s, true, 1.0, {});
        const double u = unit_double(chance.word());
        const int a = u < p[0] ? 0 : (u < p[0] + p[1] ? 1 : 2);
        for (int c = 0; c < 3; ++c) z.push_back(c == a ? 1 : 0);
      }
      const auto at = L::critic_at(bench->params, i);
      const double next = s.goes_on ? 0.9 * q(weights(true) + at, z) : 0.0;
      const double error = s.reward[static_cast<size_t>(i)] + next - q(weights(false) + at, s.z);
      loss += error * error / 2;
    }
    return loss / kBatch;
  }

  /// Minus the objective. With numbered actions: of the soft action, the critic linear in it about
  /// the hard one, which stays that of the actor's present weights.
  double actor_loss(int i, const std::vector<std::vector<double>>& slopes) const {
    Rng places(bench->key, kNow, Stream::learn);
    Rng chance(bench->key, kNow, Stream::learn, 2 + 4);  // 15 words fill four blocks
    const double* w = weights(false) + L::critic_at(bench->params, i);
    double sum = 0;
    for (int b = 0; b < kBatch; ++b) {
      const Step& s = drawn(places);
      if (real_) {
        std::vector<double> z = s.z;
        z[static_cast<size_t>(4 + i)] = squashed(out(false, i, 0, s.x[static_cast<size_t>(i)]));
        sum += q(w, z);
        continue;
      }
      const auto p = softmaxed(i, s, false, 0.7, gumbels(chance, i));
      for (size_t a = 0; a < 3; ++a) sum += p[a] * slopes[static_cast<size_t>(b)][a];
    }
    return -sum / kBatch;
  }
  std::vector<std::vector<double>> hard_slopes(int i) const {
    Rng places(bench->key, kNow, Stream::learn);
    Rng chance(bench->key, kNow, Stream::learn, 2 + 4);
    const double* w = weights(false) + L::critic_at(bench->params, i);
    std::vector<std::vector<double>> all;
    for (int b = 0; b < kBatch; ++b) {
      const Step& s = drawn(places);
      const auto p = softmaxed(i, s, false, 1.0, gumbels(chance, i));
      const auto hard = std::max_element(p.begin(), p.end()) - p.begin();
      std::vector<double> z = s.z, slope;
      const auto at = static_cast<size_t>(4 + 3 * i);
      for (size_t a = 0; a < 3; ++a) z[at + a] = static_cast<ptrdiff_t>(a) == hard ? 1 : 0;
      for (size_t a = 0; a < 3; ++a) {
        slope.push_back(central_difference(z[at + a], 0.5, [&] { return q(w, z); }));
      }
      all.push_back(slope);
    }
    return all;
  }
  /// Agent i's of a sample: three words each, for agents in order.
  static std::array<double, 3> gumbels(Rng& chance, int i) {
    std::array<double, 3> mine{};
    for (int j = 0; j < 3; ++j) {
      for (size_t a = 0; a < 3; ++a) {
        const double u = (static_cast<double>(chance.word()) + 0.5) / 4294967296.0;
        if (j == i) mine[a] = -std::log(-std::log(u));
      }
    }
    return mine;
  }

  template <class Real>
  static std::vector<double> gradients(Bench<Real>& b) {
    using M = Maddpg<Real>;
    const JointStep step{nullptr, nullptr, Episode::goes_on, kNow, b.key};
    M::critic_gradients(SerialTeam{}, b.params, b.memory, kSteps, step);
    M::actor_gradients(SerialTeam{}, b.params, b.memory, kSteps, step);
    const Real* g = M::gradients(b.params, b.memory);
    return {g, g + M::all(b.params)};
  }

  bool real_;
  std::unique_ptr<Bench<double>> bench;
  std::vector<Step> steps;
};

void expect_gradients(int actor, bool real) {
  Oracle oracle(actor, real);
  const auto& p = oracle.bench->params;
  const std::vector<double> g = Oracle::gradients(*oracle.bench);
  double* const w = oracle.weights(false);
  double largest = 0;
  for (int i = 0; i < 3; ++i) {
    for (int k = 0; k < p.joint * (p.joint + 1) / 2; ++k) {
      const size_t at = Oracle::L::critic_at(p, i) + static_cast<size_t>(k);
      // the loss is quadratic in w: no error but rounding
      const double slope = central_difference(w[at], 0.5, [&] { return oracle.critic_loss(i); });
      EXPECT_NEAR(g[at], slope, 1e-10) << "critic " << i << " " << k;
      largest = std::max(largest, std::abs(slope));
    }
    const auto slopes = real ? std::vector<std::vector<double>>{} : oracle.hard_slopes(i);
    for (int a = 0; a < p.actions[i]; ++a) {
      for (int k = 0; k < p.size[i]; ++k) {
        const size_t at = Oracle::L::actor_at(p, i, a) + static_cast<size_t>(k);
        const double slope =
            central_difference(w[at], 1e-3, [&] { return oracle.actor_loss(i, slopes); });
        EXPECT_NEAR(g[at], slope, 1e-10) << "actor " << i << " " << a << " " << k;
        largest = std::max(largest, std::abs(slope));
      }
    }
  }
  EXPECT_GT(largest, 0.1);

  // the same in float: within 1e-5 of the largest
  typename Maddpg<float>::Config c;
  c.actor.value = actor;
  c.capacity = 16;
  c.batch = Oracle::kBatch;
  c.warmup = 1000;
  c.gamma = 0.9;
  c.temperature = 0.7;
  c.reward_scale = 1;
  c.optimizer.kind.value = Optimizer<float>::kSgd;
  Bench<float> single(c, bench_spec({2, 3, 2}, 4, real, 3));
  oracle.fill_weights(single);
  oracle.fill_memory(single);
  const std::vector<double> f = Oracle::gradients(single);
  ASSERT_EQ(f.size(), g.size());
  for (size_t k = 0; k < g.size(); ++k) EXPECT_NEAR(f[k], g[k], 1e-5 * largest) << k;
}

// Weights of at most 1/2 on features of at most 1 and up to 91 products: losses below 1e3, so their
// differences at steps of 1/2 have errors below 1e-12; the actors' objectives are below 1e2 and
// differ at steps of 1e-3, so 1e-11, with a remainder of h^4 |f'''''| / 30, of the same order.
TEST(Maddpg, GradientsAreThoseOfTheLosses) {
  expect_gradients(Maddpg<double>::kTanh, true);
  expect_gradients(Maddpg<double>::kLinear, true);
}
TEST(Maddpg, GradientsThroughTheGumbelSoftmax) { expect_gradients(Maddpg<double>::kTanh, false); }

// Two updates each. Few, as every sum is a handful of barriers between threads.
template <class Real>
void expect_same_in_teams(bool real, int actor) {
  typename Maddpg<Real>::Config c;
  c.batch = 2;
  c.warmup = 3;
  c.capacity = 4;
  c.update_every = 2;
  c.actor.value = actor;
  expect_same_in_all_teams<Maddpg<Real>, Real>(c, bench_spec({3, 18}, 4, real, 3), 6);
}
TEST(Maddpg, EveryTeamSizeGivesTheSameBits) {
  expect_same_in_teams<float>(true, Maddpg<float>::kTanh);
  expect_same_in_teams<double>(false, Maddpg<double>::kTanh);
}

TEST(Maddpg, SettingsThatCannotBeAreRefused) {
  HostArena arena;
  typename Maddpg<float>::Config c;
  EXPECT_THROW(Maddpg<float>::make(c, bench_spec({1}, 300, true, 0), arena), ParameterError);
  c.batch = 4096;
  EXPECT_THROW(Maddpg<float>::make(c, bench_spec({2, 2}, 2, false, 4), arena), ParameterError);
  EXPECT_NO_THROW(Maddpg<float>::make(c, bench_spec({2, 2}, 2, true, 0), arena));
}

/// Three stores whose customers ask for 100 - 2 p_i + half of the sum of the other prices. What a
/// store sees is its last demand, of at most 160.
struct Stores {
  double highest;
  bool shared;

  std::vector<double> learned(uint64_t run, uint64_t steps) const {
    typename Maddpg<float>::Config c;
    JointSpec spec = bench_spec({2, 2, 2}, 4, true, 0);
    for (int i = 0; i < 3; ++i) {
      spec.low[i] = 1;
      spec.high[i] = highest;
    }
    spec.reward_low = 0;
    spec.reward_high = shared ? 9600 : 3200;
    Bench<float> bench(c, spec);
    bench.key = {1, run};
    Maddpg<float>::init(SerialTeam{}, bench.params, bench.memory, bench.key);
    double demand[3] = {50, 50, 50};
    for (uint64_t t = 0; t < steps; ++t) {
      put(bench, 0, demand);
      const JointAction taken = bench.act(SerialTeam{}, t);
      std::vector<float> rewards(3);
      double total = 0;
      for (int i = 0; i < 3; ++i) {
        const double* p = taken.value;
        demand[i] = std::max(0.0, 100 - 2.5 * p[i] + (p[0] + p[1] + p[2]) / 2);
        rewards[static_cast<size_t>(i)] = static_cast<float>(p[i] * demand[i]);
        total += p[i] * demand[i];
      }
      if (shared) rewards.assign(3, static_cast<float>(total));
      put(bench, 1, demand);
      EXPECT_EQ(bench.learn(SerialTeam{}, t, taken, rewards), -1);
    }
    put(bench, 0, demand);
    return {bench.policy(0)[0], bench.policy(1)[0], bench.policy(2)[0]};
  }
  static void put(Bench<float>& bench, size_t which, const double* demand) {
    for (int i = 0; i < 3; ++i) {
      const auto seen = static_cast<float>(demand[i] / 160);
      float* const x = bench.x[which].data() + i * bench.spec.pitch;
      x[0] = seen;
      x[1] = 1;
      bench.global[which].data()[i] = seen;
    }
    bench.global[which].data()[3] = 1;
  }
  void expect_prices(double wanted, double tolerance) const {
    for (uint64_t run = 0; run < 6; ++run) {
      for (const double price : learned(run, 20'000)) {
        EXPECT_NEAR(price, wanted, tolerance) << "run " << run;
      }
    }
  }
};

// Nash: 100 - 4 p + p = 0. Joint profit: 100 - 4 p + 2 p = 0. Each of the 18 prices of 6 runs has
// to be within 2%; over 64 runs of this game the standard deviation of a run's mean price is 0.06
// (individual) and 0.1 (shared).
TEST(Maddpg, StoresFindTheNashPrice) { Stores{60, false}.expect_prices(100.0 / 3, 0.02 * 33.3); }
TEST(Maddpg, StoresWithASharedRewardFindTheBestPrice) { Stores{60, true}.expect_prices(50, 1); }
TEST(Maddpg, StoresInABoxGoToItsEdge) { Stores{10, false}.expect_prices(10, 0.01); }

// Prisoner's dilemma, 0 cooperates: defection dominates by 1 and 2, so its probability goes to 1.
TEST(Maddpg, PrisonersDefect) {
  const double payoff[2][2] = {{3, 0}, {4, 2}};
  for (uint64_t run = 0; run < 5; ++run) {
    typename Maddpg<float>::Config c;
    c.gamma = 0;
    JointSpec spec = bench_spec({1, 1}, 1, false, 2);
    spec.reward_high = 4;
    Bench<float> bench(c, spec);
    bench.key = {1, run};
    bench.show(0, 0);
    bench.show(1, 0);
    for (uint64_t t = 0; t < 4000; ++t) {
      const JointAction taken = bench.act(SerialTeam{}, t);
      const int a = taken.action[0], b = taken.action[1];
      bench.learn(SerialTeam{}, t, taken,
                  {static_cast<float>(payoff[a][b]), static_cast<float>(payoff[b][a])});
    }
    for (int i = 0; i < 2; ++i) EXPECT_GT(bench.policy(i)[1], 0.95) << run;
  }
}

}  // namespace
