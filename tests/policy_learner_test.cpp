// Policy-, regret- and model-based learners and scripted players: single updates against arithmetic
// done by hand, and what whole populations of runs come to.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "envs/matrix_game.hpp"
#include "kernels/tabular/boltzmann_q_dynamics.hpp"
#include "kernels/tabular/fictitious_play.hpp"
#include "kernels/tabular/fixed.hpp"
#include "kernels/tabular/giga_wolf.hpp"
#include "kernels/tabular/grim_trigger.hpp"
#include "kernels/tabular/lola.hpp"
#include "kernels/tabular/pavlov.hpp"
#include "kernels/tabular/per_agent.hpp"
#include "kernels/tabular/phc.hpp"
#include "kernels/tabular/policy_fingerprint_q.hpp"
#include "kernels/tabular/q_learning.hpp"
#include "kernels/tabular/regret_matching.hpp"
#include "kernels/tabular/regret_matching_plus.hpp"
#include "kernels/tabular/replicator.hpp"
#include "kernels/tabular/self_play_pool.hpp"
#include "kernels/tabular/smooth_fictitious_play.hpp"
#include "kernels/tabular/stackelberg.hpp"
#include "kernels/tabular/tit_for_tat.hpp"
#include "kernels/tabular/wolf_phc.hpp"

namespace cumarl {
namespace {

using Independent = PerAgent<QLearning<Float64, AnyShape>>;

/// A two-player game as [joint action][player].
struct Game {
  int actions[2];
  std::vector<double> payoffs;
};

Game named(const std::string& name) {
  for (const NamedGame& g : named_games(-100)) {
    if (name != g.name) continue;
    Game out{{g.rows, g.columns}, {}};
    const auto& u2 = g.u2.empty() ? g.u1 : g.u2;
    for (size_t c = 0; c < g.u1.size(); ++c) {
      out.payoffs.push_back(g.u1[c]);
      out.payoffs.push_back(u2[c]);
    }
    return out;
  }
  std::abort();
}

/// One agent's learner with its memory.
template <class L>
class Player {
 public:
  Player(const Game& game, int agent, uint32_t observations, const typename L::Config& config,
         RunKey key) {
    AgentSpec spec{};
    spec.agent = agent;
    spec.agents = 2;
    spec.actions = game.actions[agent];
    spec.observations = observations;
    spec.reward_low = -1000;
    spec.reward_high = 1000;
    spec.initial_runs = 1;
    spec.init.kind.value = static_cast<int>(InitKind::constant);
    spec.all_actions = game.actions;
    spec.game = &game.payoffs;
    params = L::make(config, spec, arena_);
    const size_t bytes = L::bytes(params);
    bytes_ = bytes;
    block_.reset(static_cast<std::byte*>(::operator new (bytes + 64, std::align_val_t{64})));
    std::memset(block_.get(), 0xA5, bytes + 64);
    L::init(params, memory(), key, agent);
  }
  std::byte* memory() { return block_.get(); }
  std::string image() const { return {reinterpret_cast<const char*>(block_.get()), bytes_}; }
  /// Whether nothing was written beyond the memory.
  bool stays_inside() const {
    for (size_t k = bytes_; k < bytes_ + 64; ++k) {
      if (block_.get()[k] != std::byte{0xA5}) return false;
    }
    return true;
  }
  std::vector<double> policy(uint32_t observation = 0) {
    std::vector<double> out(kMostActions);
    L::policy(params, memory(), observation, out.data());
    return out;
  }
  void strategy(uint32_t observation, double* out) {
    if constexpr (requires { L::strategy(params, memory(), observation, out); }) {
      L::strategy(params, memory(), observation, out);
    } else {
      L::policy(params, memory(), observation, out);
    }
  }

  typename L::Params params;

 private:
  struct Free {
    void operator()(std::byte* block) const { ::operator delete (block, std::align_val_t{64}); }
  };
  HostArena arena_;
  size_t bytes_ = 0;
  std::unique_ptr<std::byte, Free> block_;
};

/// Two learners in a repeated game that is observed with memory 0 or 1, as the rollout drives them.
template <class A, class B>
class Match {
 public:
  Match(const Game& game, const typename A::Config& a, const typename B::Config& b,
        uint64_t run = 0, int memory = 0)
      : game_(game),
        key_{20240607, run},
        memory_(memory),
        first(game, 0, observations(), a, key_),
        second(game, 1, observations(), b, key_) {}

  void step(Episode episode = Episode::goes_on) {
    double shown[2 * kStrategyPitch] = {};
    first.strategy(observation, shown);
    second.strategy(observation, shown + kStrategyPitch);
    Rng rng(key_, t, Stream::explore);
    actions[0] = A::act(first.params, first.memory(), observation, rng.word(), t);
    actions[1] = B::act(second.params, second.memory(), observation, rng.word(), t);
    learn(shown, episode);
  }
  /// A step with given actions.
  void force(int a, int b, Episode episode = Episode::goes_on) {
    double shown[2 * kStrategyPitch] = {};
    first.strategy(observation, shown);
    second.strategy(observation, shown + kStrategyPitch);
    actions[0] = a;
    actions[1] = b;
    learn(shown, episode);
  }
  void steps(uint64_t count) {
    for (uint64_t k = 0; k < count; ++k) step();
  }
  /// NashConv of the evaluated policies.
  double nash_conv() {
    const NormalFormView view = normal_form(2, game_.actions, game_.payoffs.data());
    std::vector<double> profile = first.policy();
    profile.resize(static_cast<size_t>(game_.actions[0]));
    const std::vector<double> other = second.policy();
    profile.insert(profile.end(), other.begin(), other.begin() + game_.actions[1]);
    return nash_gap(view, profile.data()).nash_conv;
  }
  /// Mean over players and actions of |policy - 1 / actions|.
  double off_uniform() {
    double sum = 0;
    std::vector<double> x = first.policy();
    std::vector<double> y = second.policy();
    x.resize(static_cast<size_t>(game_.actions[0]));
    y.resize(static_cast<size_t>(game_.actions[1]));
    for (const double p : x) sum += std::fabs(p - 1.0 / game_.actions[0]);
    for (const double p : y) sum += std::fabs(p - 1.0 / game_.actions[1]);
    return sum / (game_.actions[0] + game_.actions[1]);
  }

 private:
  uint32_t observations() const {
    return memory_ == 0 ? 1 : static_cast<uint32_t>(game_.actions[0] * game_.actions[1]);
  }
  void learn(const double* shown, Episode episode) {
    const int cell = actions[0] * game_.actions[1] + actions[1];
    const float rewards[2] = {static_cast<float>(game_.payoffs[static_cast<size_t>(2 * cell)]),
                              static_cast<float>(game_.payoffs[static_cast<size_t>(2 * cell) + 1])};
    const uint32_t next = memory_ == 0 ? 0 : static_cast<uint32_t>(cell);
    A::learn(first.params, first.memory(), observation, next,
             Transition{actions, rewards, 0, 2, episode, t, key_, shown});
    B::learn(second.params, second.memory(), observation, next,
             Transition{actions, rewards, 1, 2, episode, t, key_, shown});
    observation = next;
    ++t;
  }

  Game game_;
  RunKey key_;
  int memory_;

 public:
  uint32_t observation = 0;
  uint64_t t = 0;
  int actions[2] = {};
  Player<A> first;
  Player<B> second;
};

/// Mean and standard error over runs.
struct Sample {
  double sum = 0;
  double squares = 0;
  int n = 0;
  void add(double x) {
    sum += x;
    squares += x * x;
    ++n;
  }
  double mean() const { return sum / n; }
  double se() const { return std::sqrt((squares / n - mean() * mean()) / (n - 1)); }
  void print(const std::string& what) const {
    std::printf("  %s: %.6f +- %.6f (n = %d)\n", what.c_str(), mean(), se(), n);
  }
};

/// More runs where CUMARL_TEST_RUNS asks for them.
int runs(int usual) {
  const char* asked = std::getenv("CUMARL_TEST_RUNS");
  return asked != nullptr ? std::atoi(asked) : usual;
}

// ---- mixed strategies ----------------------------------------------------------------------------

TEST(MixedStrategy, ProjectionIsTheNearestPointOfTheSimplex) {
  double inside[3] = {0.2, 0.5, 0.3};
  project_on_simplex(inside, 3);
  EXPECT_NEAR(inside[0], 0.2, 1e-15);
  EXPECT_NEAR(inside[1], 0.5, 1e-15);
  // (1, .6, -.5): drop the last, subtract .3 from the others
  double x[3] = {1.0, 0.6, -0.5};
  project_on_simplex(x, 3);
  EXPECT_NEAR(x[0], 0.7, 1e-15);
  EXPECT_NEAR(x[1], 0.3, 1e-15);
  EXPECT_EQ(x[2], 0.0);
  double corner[2] = {5.0, -5.0};
  project_on_simplex(corner, 2);
  EXPECT_EQ(corner[0], 1.0);
  EXPECT_EQ(corner[1], 0.0);
  // optimality: (x - projection) . (y - projection) <= 0 for every point y of the simplex
  Rng rng(RunKey{3, 0}, 0, Stream::learn);
  for (int trial = 0; trial < 200; ++trial) {
    double v[5];
    double p[5];
    for (int a = 0; a < 5; ++a) p[a] = v[a] = 4.0 * unit_double(rng.word()) - 2.0;
    project_on_simplex(p, 5);
    EXPECT_NEAR(std::accumulate(p, p + 5, 0.0), 1.0, 1e-14);
    for (int corner_at = 0; corner_at < 5; ++corner_at) {
      double product = 0;
      for (int a = 0; a < 5; ++a) {
        EXPECT_GE(p[a], 0.0);
        product += (v[a] - p[a]) * ((a == corner_at ? 1.0 : 0.0) - p[a]);
      }
      EXPECT_LE(product, 1e-13);
    }
  }
}

TEST(MixedStrategy, InversionTakesNoImpossibleAction) {
  const double strategy[4] = {0.0, 0.25, 0.75, 0.0};
  EXPECT_EQ(action_at(strategy, 4, 0.0), 1);
  EXPECT_EQ(action_at(strategy, 4, 0.2499), 1);
  EXPECT_EQ(action_at(strategy, 4, 0.25), 2);
  EXPECT_EQ(action_at(strategy, 4, 0.9999999), 2);
  const double short_of_one[3] = {0.5, 0.5 - 1e-12, 0.0};
  EXPECT_EQ(action_at(short_of_one, 3, 1.0 - 1e-13), 1);
}

TEST(MixedStrategy, StrategiesFromTheConfigurationAreChecked) {
  EXPECT_EQ(strategy_of("start", {}, 4)[3], 0.25);
  EXPECT_NO_THROW(strategy_of("start", {0.1, 0.2, 0.7}, 3));
  EXPECT_NO_THROW(strategy_of("start", {0.1, 0.2, 0.7 + 9e-10}, 3));
  EXPECT_THROW(strategy_of("start", {0.1, 0.2, 0.7 + 2e-9}, 3), ParameterError);
  EXPECT_THROW(strategy_of("start", {0.5, 0.4}, 2), ParameterError);
  EXPECT_THROW(strategy_of("start", {0.5, 0.5}, 3), ParameterError);
  EXPECT_THROW(strategy_of("start", {1.5, -0.5}, 2), ParameterError);
}

// ---- PHC and WoLF-PHC ----------------------------------------------------------------------------

TEST(Phc, OneStepByHand) {
  Phc::Config c;
  c.gamma = 0.5;
  c.alpha = {1, 4, 2};  // 1 / (4 + t / 2)
  c.delta = {1, 5, 1};  // 1 / (5 + t)
  c.start.value = 1;
  Match<Phc, Fixed> m(named("climbing"), c, {});
  m.force(0, 0);  // reward 11, alpha 1/4: Q(0) = 2.75; delta 1/5, so .1 from each of the others
  const double* row = HillClimbing::Values::row(m.first.params, m.first.memory(), 0);
  EXPECT_DOUBLE_EQ(row[0], 2.75);
  auto x = m.first.policy();
  EXPECT_NEAR(x[0], 1.0 / 3 + 0.2, 1e-15);
  EXPECT_NEAR(x[1], 1.0 / 3 - 0.1, 1e-15);
  EXPECT_NEAR(x[2], 1.0 / 3 - 0.1, 1e-15);
  m.force(0, 1);  // reward -30, alpha 1/4.5: Q(0) = 2.75 + (-30 + .5 * 2.75 - 2.75) / 4.5
  EXPECT_NEAR(row[0], 2.75 + (-30 + 1.375 - 2.75) / 4.5, 1e-12);
  x = m.first.policy();  // now 1 is the lowest of the best; 1/6 / 2 from each of the others
  EXPECT_NEAR(x[1], 1.0 / 3 - 0.1 + 1.0 / 6, 1e-15);
  EXPECT_NEAR(x[0], 1.0 / 3 + 0.2 - 1.0 / 12, 1e-15);
  m.force(1, 1, Episode::ended);  // nothing follows an end: 7 / 5
  EXPECT_DOUBLE_EQ(row[1], 1.4);
  EXPECT_TRUE(m.first.stays_inside());
}

TEST(WolfPhc, OneStepByHand) {
  WolfPhc::Config c;
  c.gamma = 0.0;
  c.alpha = {1, 1, 1e15};  // 1
  c.delta = {0.1, 1, 1e15};
  c.losing_ratio = 3;
  c.start.value = 1;
  Match<WolfPhc, Fixed> m(named("prisoners_dilemma"), c, {});
  m.force(1, 0);
  // Q = (0, 5); the average is the strategy itself, so it is not winning: delta .3
  EXPECT_NEAR(m.first.policy()[1], 0.8, 1e-15);
  m.force(1, 0);
  // average (.5, .5) -> (.35, .65); strategy (.2, .8) is worth more: winning, delta .1
  EXPECT_NEAR(WolfPhc::average_at(m.first.params, m.first.memory(), 0)[1], 0.65, 1e-15);
  EXPECT_NEAR(m.first.policy()[1], 0.9, 1e-15);
  m.force(1, 0);
  m.force(1, 0);  // no further than 1
  EXPECT_NEAR(m.first.policy()[1], 1.0, 1e-15);
  EXPECT_NEAR(m.first.policy()[0], 0.0, 1e-15);
  EXPECT_EQ(WolfPhc::visits(m.first.params, m.first.memory(), 0), 4.0);
  EXPECT_TRUE(m.first.stays_inside());
}

TEST(Phc, FirstStrategiesAreUniformOnTheSimplex) {
  // uniform on the simplex of three: P(x_a > 1/2) = 1/4 for each a
  size_t above[3] = {};
  const int n = 4000;
  for (int run = 0; run < n; ++run) {
    Match<Phc, Phc> m(named("rock_paper_scissors"), {}, {}, static_cast<uint64_t>(run));
    const auto x = m.first.policy();
    EXPECT_NEAR(x[0] + x[1] + x[2], 1.0, 1e-14);
    EXPECT_NE(x[0], m.second.policy()[0]);
    for (size_t a = 0; a < 3; ++a) above[a] += x[a] > 0.5;
  }
  for (const size_t count : above)
    EXPECT_NEAR(static_cast<double>(count) / n, 0.25, 4 * std::sqrt(0.1875 / n));
}

// Exploration and the place in the strategy come from one word, and are independent of each other.
TEST(Phc, ExploresWithoutBendingTheStrategy) {
  Phc::Config c;
  c.exploration.start = c.exploration.end = 0.25;
  Player<Phc> player(named("rock_paper_scissors"), 0, 1, c, {});
  double* const strategy = HillClimbing::strategy_at(player.params, player.memory(), 0);
  strategy[0] = 0.2;
  strategy[1] = 0.0;
  strategy[2] = 0.8;
  int count[3] = {};
  const uint32_t words = 1u << 20;
  for (uint32_t k = 0; k < words; ++k) {
    ++count[Phc::act(player.params, player.memory(), 0, k << 12, 0)];
  }
  for (int a = 0; a < 3; ++a) {  // equidistributed words: exact up to a few of them
    EXPECT_NEAR(count[a] / double{words}, 0.25 / 3 + 0.75 * strategy[a], 1e-4) << a;
  }
}

TEST(Phc, RejectsWhatDoesNotFit) {
  const Game game = named("matching_pennies");
  Phc::Config boltzmann;
  boltzmann.exploration.kind.value = Exploration::kBoltzmann;
  EXPECT_THROW(Player<Phc>(game, 0, 1, boltzmann, {}), ParameterError);
  Phc::Config too_far;
  too_far.delta = {2, 1, 1};
  EXPECT_THROW(Player<Phc>(game, 0, 1, too_far, {}), ParameterError);
}

/// Mean |pi - pi*| over the last fifth of 1e6 steps, at 1,000 points of it.
template <class L>
Sample late_distance(const std::string& game, int n) {
  Sample sample;
  typename L::Config c;
  c.gamma = 0.0;
  for (int run = 0; run < n; ++run) {
    Match<L, L> m(named(game), c, c, static_cast<uint64_t>(run));
    m.steps(800'000);
    double sum = 0;
    for (int point = 0; point < 1000; ++point) {
      m.steps(200);
      sum += m.off_uniform();
    }
    sample.add(sum / 1000);
  }
  return sample;
}

// Published: matching pennies WoLF .0063, PHC .261; rock-paper-scissors WoLF .032, PHC .160, from 20
// starts each. Rock-paper-scissors with WoLF has a heavy tail over starts (standard error of 20:
// about .008), hence its wide bounds.
TEST(WolfPhc, ComesToTheEquilibriumWherePhcCirclesIt) {
  const int n = runs(6);
  const Sample wolf = late_distance<WolfPhc>("matching_pennies", n);
  const Sample phc = late_distance<Phc>("matching_pennies", n);
  wolf.print("matching pennies, WoLF-PHC");
  phc.print("matching pennies, PHC");
  EXPECT_NEAR(wolf.mean(), 0.0063, 0.003);
  EXPECT_NEAR(phc.mean(), 0.261, 0.03);
  const Sample wolf_rps = late_distance<WolfPhc>("rock_paper_scissors", n);
  const Sample phc_rps = late_distance<Phc>("rock_paper_scissors", n);
  wolf_rps.print("rock-paper-scissors, WoLF-PHC");
  phc_rps.print("rock-paper-scissors, PHC");
  EXPECT_LT(wolf_rps.mean(), 0.08);
  EXPECT_NEAR(phc_rps.mean(), 0.160, 0.03);
}

// ---- learners that know the game -----------------------------------------------------------------

template <class L>
typename L::Config starting(std::vector<double> start) {
  typename L::Config c;
  c.start = std::move(start);
  return c;
}

TEST(FictitiousPlay, OneStepByHand) {
  using L = FictitiousPlay;
  Match<L, L> m(named("rock_paper_scissors"), starting<L>({0.6, 0.3, 0.1}),
                starting<L>({0.2, 0.2, 0.6}));
  double x[kStrategyPitch];
  m.first.strategy(0, x);
  EXPECT_EQ(x[0], 0.6);
  EXPECT_EQ(m.first.policy()[2], 0.1);
  m.step();
  // against (.2, .2, .6): rock -.2 + .6 = .4, paper .2 - .6, scissors -.2 + .2
  m.first.strategy(0, x);
  EXPECT_EQ(x[0], 1.0);
  // against (.6, .3, .1): paper .6 - .1 = .5
  m.second.strategy(0, x);
  EXPECT_EQ(x[1], 1.0);
  m.step();
  EXPECT_NEAR(m.first.policy()[0], 0.8, 1e-15);
  EXPECT_NEAR(m.second.policy()[1], 0.6, 1e-15);
  EXPECT_TRUE(m.first.stays_inside());
}

TEST(FictitiousPlay, SampledItCountsActions) {
  using L = FictitiousPlay;
  L::Config c;
  c.sampled = true;
  Match<L, L> m(named("matching_pennies"), c, c);
  m.force(0, 1);
  m.force(0, 0);
  m.force(1, 1);
  // the other played tails twice in three: first wants to match, second to mismatch (0, 0, 1)
  double x[kStrategyPitch];
  m.first.strategy(0, x);
  EXPECT_EQ(x[1], 1.0);
  m.second.strategy(0, x);
  EXPECT_EQ(x[1], 1.0);
  EXPECT_NEAR(m.first.policy()[0], 2.0 / 3, 1e-15);
}

template <class L>
double nash_conv_after(const std::string& game, uint64_t steps) {
  const bool pennies = game == "matching_pennies";
  Match<L, L> m(named(game), pennies ? starting<L>({0.8, 0.2}) : starting<L>({0.6, 0.3, 0.1}),
                pennies ? starting<L>({0.3, 0.7}) : starting<L>({0.2, 0.2, 0.6}));
  m.steps(steps);
  const double gap = m.nash_conv();
  std::printf("  %s, %s, %llu rounds: NashConv %.8f\n", L::kFacts.name, game.c_str(),
              static_cast<unsigned long long>(steps), gap);
  return gap;
}

// The published digits: the start is a round of its own before 1e5 rounds of fictitious play; regret
// matching has 1e5 rounds with the start as the first. All simultaneous, averages uniform.
TEST(RegretMatching, NashConvOfTheAverages) {
  EXPECT_NEAR(nash_conv_after<FictitiousPlay>("matching_pennies", 100'001), 0.00446996, 6e-9);
  EXPECT_NEAR(nash_conv_after<FictitiousPlay>("rock_paper_scissors", 100'001), 0.00609494, 6e-9);
  EXPECT_NEAR(nash_conv_after<RegretMatching>("matching_pennies", 100'000), 0.00499524, 6e-9);
  EXPECT_NEAR(nash_conv_after<RegretMatching>("rock_paper_scissors", 100'000), 0.00575864, 6e-9);
  EXPECT_NEAR(nash_conv_after<RegretMatchingPlus>("matching_pennies", 100'000), 0.00235948, 6e-9);
  EXPECT_NEAR(nash_conv_after<RegretMatchingPlus>("rock_paper_scissors", 100'000), 0.00159027,
              6e-9);
}

TEST(RegretMatching, OneStepByHand) {
  using L = RegretMatching;
  using Plus = RegretMatchingPlus;
  Match<L, Plus> m(named("rock_paper_scissors"), starting<L>({0.6, 0.3, 0.1}),
                   starting<Plus>({0.2, 0.2, 0.6}));
  m.step();
  // first: u = (.4, -.4, 0), mean .24 - .12 = .12: R = (.28, -.52, -.12), all on rock
  const double* r = doubles(m.first.memory());
  EXPECT_NEAR(r[0], 0.28, 1e-15);
  EXPECT_NEAR(r[1], -0.52, 1e-15);
  EXPECT_NEAR(r[2], -0.12, 1e-15);
  double x[kStrategyPitch];
  m.first.strategy(0, x);
  EXPECT_NEAR(x[0], 1.0, 1e-15);
  // second: u = (-.3 + .1, .6 - .1, -.6 + .3) = (-.2, .5, -.3), mean -.04 + .1 - .18 = -.12
  const double* q = doubles(m.second.memory());
  EXPECT_EQ(q[0], 0.0);
  EXPECT_NEAR(q[1], 0.62, 1e-15);
  EXPECT_EQ(q[2], 0.0);
  EXPECT_NEAR(m.first.policy()[1], 0.3, 1e-15);
  EXPECT_TRUE(m.first.stays_inside());
}

TEST(RegretMatching, SampledRegretsComeFromTheActions) {
  using L = RegretMatching;
  L::Config c;
  c.sampled = true;
  c.averaging.value = 1;
  Match<L, L> m(named("chicken"), c, c);
  m.force(1, 1);
  // against D: C would have paid 2, D paid 0
  EXPECT_EQ(doubles(m.first.memory())[0], 2.0);
  EXPECT_EQ(doubles(m.first.memory())[1], 0.0);
  m.force(0, 0);
  // against C: D would have paid 7, C paid 6
  EXPECT_EQ(doubles(m.first.memory())[0], 2.0);
  EXPECT_EQ(doubles(m.first.memory())[1], 1.0);
  // weights 1 and 2: (.5, .5) and (1, 0)
  EXPECT_NEAR(m.first.policy()[0], 2.5 / 3, 1e-15);
}

// NashConv = (Reg1 + Reg2) / T in zero-sum games, with regrets within L sqrt(|A| T), L the payoffs'
// range.
TEST(RegretMatching, NashConvIsTheSumOfRegrets) {
  using L = RegretMatching;
  for (const char* name : {"matching_pennies", "rock_paper_scissors"}) {
    const Game game = named(name);
    const auto n = static_cast<size_t>(game.actions[0]);
    std::vector<double> x(n, 0.1 / static_cast<double>(n - 1));
    x[0] = 0.9;
    Match<L, L> m(game, starting<L>(x), starting<L>({}));
    const int rounds = 3000;
    m.steps(rounds);
    double regret[2];
    for (int i = 0; i < 2; ++i) {
      const double* r = doubles(i == 0 ? m.first.memory() : m.second.memory());
      regret[i] = r[arg_max(r, static_cast<int>(n))];
      EXPECT_LE(regret[i], 2.0 * std::sqrt(static_cast<double>(n) * rounds));
    }
    EXPECT_NEAR(m.nash_conv(), (regret[0] + regret[1]) / rounds, 1e-12) << name;
  }
}

// Sampled play: what was drawn is within the regret bound of every fixed action.
TEST(RegretMatching, SampledItReachesTheEquilibrium) {
  using L = RegretMatching;
  L::Config c;
  c.sampled = true;
  Sample gap;
  for (int run = 0; run < runs(50); ++run) {
    Match<L, L> m(named("rock_paper_scissors"), c, c, static_cast<uint64_t>(run));
    m.steps(20'000);
    gap.add(m.nash_conv());
  }
  gap.print("sampled regret matching, rock-paper-scissors, NashConv after 2e4");
  EXPECT_LT(gap.mean(), 0.06);
}

TEST(KnownGame, SaysWhatItNeeds) {
  Game game = named("matching_pennies");
  AgentSpec spec{};
  spec.agents = 2;
  spec.actions = 2;
  spec.all_actions = game.actions;
  HostArena arena;
  EXPECT_THROW(RegretMatching::make({}, spec, arena), ParameterError);  // no table
  spec.game = &game.payoffs;
  EXPECT_NO_THROW(RegretMatching::make({}, spec, arena));
  Game wide{{20, 2}, std::vector<double>(80, 1.0)};
  spec.actions = 20;
  spec.all_actions = wide.actions;
  spec.game = &wide.payoffs;
  EXPECT_THROW(FictitiousPlay::make({}, spec, arena), ParameterError);  // strategies are not shown
  FictitiousPlay::Config sampled;
  sampled.sampled = true;
  EXPECT_NO_THROW(FictitiousPlay::make(sampled, spec, arena));
}

TEST(SmoothFictitiousPlay, RestsInTheQuantalResponse) {
  using L = SmoothFictitiousPlay;
  L::Config c;
  c.start = {0.9, 0.1};
  for (const auto& [tau, cooperates] : std::initializer_list<std::pair<double, double>>{
           {2, .338648}, {1, .226751}, {.5, .099788}}) {
    c.temperature = tau;
    Match<L, L> m(named("prisoners_dilemma"), c, c);
    EXPECT_EQ(m.first.policy()[0], 0.9);
    m.step();
    // one round of (.9, .1): u = (2.7, 4.6), logit
    EXPECT_NEAR(m.first.policy()[0], 1.0 / (1.0 + std::exp((4.6 - 2.7) / tau)), 1e-14);
    m.steps(200'000);
    EXPECT_NEAR(m.first.policy()[0], cooperates, 2e-5) << tau;
    EXPECT_TRUE(m.first.stays_inside());
  }
}

// ---- dynamics ------------------------------------------------------------------------------------

TEST(BoltzmannQDynamics, RestsInTheQuantalResponse) {
  using L = BoltzmannQDynamics;
  L::Config c;
  for (const auto& [tau, cooperates] : std::initializer_list<std::pair<double, double>>{
           {2, .338648}, {1, .226751}, {.5, .099788}}) {
    c.temperature = tau;
    Match<L, L> m(named("prisoners_dilemma"), c, c);
    m.steps(5'000);
    std::printf("  prisoner's dilemma, tau %g: P(C) = %.9f\n", tau, m.first.policy()[0]);
    EXPECT_NEAR(m.first.policy()[0], cooperates, 5e-7);
    EXPECT_EQ(m.first.policy()[0], m.second.policy()[0]);
    EXPECT_TRUE(m.first.stays_inside());
  }
}

/// Where the stag hunt ends from P(S) = start for both.
double stag(double tau, double start) {
  using L = BoltzmannQDynamics;
  L::Config c;
  c.temperature = tau;
  c.start = {start, 1.0 - start};
  Match<L, L> m(named("stag_hunt"), c, c);
  m.steps(50'000);
  return m.first.policy()[0];
}

// One rest point at tau = .28; at tau = .27 three, the middle one a saddle between two basins.
TEST(BoltzmannQDynamics, StagHuntHasOneOrThreeRestPoints) {
  const double high = stag(0.28, 0.99);
  const double low = stag(0.28, 0.01);
  std::printf("  stag hunt, tau .28: %.9f, %.9f\n", high, low);
  EXPECT_NEAR(high, low, 1e-6);
  const double stags = stag(0.27, 0.99);
  const double hares = stag(0.27, 0.01);
  std::printf("  stag hunt, tau .27: %.9f, %.9f\n", stags, hares);
  EXPECT_GT(stags, 0.9);
  EXPECT_LT(hares, 0.1);
  // both are quantal responses
  for (const double p : {stags, hares}) {
    EXPECT_NEAR(p, 1.0 / (1.0 + std::exp((3.0 - 4.0 * p) / 0.27)), 1e-7);
  }
}

TEST(BoltzmannQDynamics, FirstStepIsEulers) {
  using L = BoltzmannQDynamics;
  L::Config c;
  c.dt = 0.125;
  c.temperature = 2;
  c.start = {0.25, 0.75};
  Match<L, L> m(named("prisoners_dilemma"), c, c);
  m.step();
  // u = (.75, 2): the difference of the slopes is (2 - .75) / 2 - ln 3
  const double odds = std::log(3.0) + 0.125 * (0.625 - std::log(3.0));
  EXPECT_NEAR(m.first.policy()[1], 1.0 / (1.0 + std::exp(-odds)), 1e-14);
}

TEST(Replicator, ConservesTheSumOfDivergences) {
  using L = Replicator;
  const auto divergence = [](const std::vector<double>& x) {
    return 0.5 * std::log(0.5 / x[0]) + 0.5 * std::log(0.5 / x[1]);
  };
  for (const double dt : {0.01, 0.005}) {
    L::Config c;
    c.dt = dt;
    c.start = {0.8, 0.2};
    L::Config d = c;
    d.start = {0.3, 0.7};
    Match<L, L> m(named("matching_pennies"), c, d);
    const double start = divergence(m.first.policy()) + divergence(m.second.policy());
    double worst = 0;
    double least = 1;
    for (int k = 0; k < 100'000; ++k) {
      m.step();
      const double now = divergence(m.first.policy()) + divergence(m.second.policy());
      worst = std::max(worst, std::fabs(now - start) / start);
      least = std::min(least, m.first.policy()[0]);
    }
    std::printf("  matching pennies, dt %g, 1e5 steps: sum of divergences off by up to %.2e\n", dt,
                worst);
    EXPECT_LT(worst, 1e-3 * (dt / 0.01) * (dt / 0.01));
    EXPECT_LT(least, 0.3);  // it goes round
    EXPECT_GT(worst, 0.0);
  }
}

TEST(Replicator, SelectsTheDominantAction) {
  using L = Replicator;
  L::Config c;
  Match<L, L> m(named("prisoners_dilemma"), c, c);
  const double dt = c.dt;
  double previous = 0.5;
  for (int k = 0; k < 500; ++k) {
    m.step();
    EXPECT_LT(m.first.policy()[0], previous);
    previous = m.first.policy()[0];
  }
  // by quadrature of d ln(x / (1 - x)) / dt = -(1 + x)
  double odds = 0;
  const double fine = dt / 1000;
  for (int k = 0; k < 500'000; ++k) {
    const auto slope = [](double o) { return -(1.0 + 1.0 / (1.0 + std::exp(-o))); };
    const double middle = odds + 0.5 * fine * slope(odds);
    odds += fine * slope(middle);
  }
  EXPECT_NEAR(previous / (1.0 / (1.0 + std::exp(-odds))), 1.0, 2e-5);
}

TEST(Replicator, RejectsAStartOnAFace) {
  Replicator::Config c;
  c.start = {1.0, 0.0};
  EXPECT_THROW(Player<Replicator>(named("matching_pennies"), 0, 1, c, {}), ParameterError);
}

// ---- GIGA-WoLF -----------------------------------------------------------------------------------

TEST(GigaWolf, OneStepByHand) {
  using L = GigaWolf;
  L::Config c;
  c.scale = 0.3;
  c.start = {0.5, 0.5};
  Fixed::Config heads;
  heads.action = 0;
  Match<L, Fixed> m(named("matching_pennies"), c, heads);
  m.step();
  // v = (1, -1): ascent (.8, .2), z' (.6, .4); |z' - z| = .1 sqrt 2, |z' - ascent| = .2 sqrt 2
  EXPECT_NEAR(m.first.policy()[0], 0.7, 1e-15);
  EXPECT_NEAR(doubles(m.first.memory())[2], 0.6, 1e-15);
  m.step();
  const double eta = 0.3 / std::sqrt(2.0);
  // ascent .7 + eta, z' .6 + eta / 3
  const double ascent = 0.7 + eta;
  const double slow = 0.6 + eta / 3;
  EXPECT_NEAR(m.first.policy()[0], ascent + (eta / 3) / (ascent - slow) * (slow - ascent), 1e-14);
  EXPECT_TRUE(m.first.stays_inside());
}

TEST(GigaWolf, ComesToTheEquilibriumOfMatchingPennies) {
  using L = GigaWolf;
  Match<L, L> m(named("matching_pennies"), starting<L>({0.9, 0.1}), starting<L>({0.2, 0.8}));
  m.steps(200'000);
  std::printf("  GIGA-WoLF, matching pennies: NashConv %.6f\n", m.nash_conv());
  EXPECT_LT(m.nash_conv(), 0.01);
}

// ---- fixed and scripted players ------------------------------------------------------------------

TEST(Fixed, PlaysItsStrategy) {
  Fixed::Config c;
  c.strategy = {0.2, 0.3, 0.5};
  Fixed::Config always;
  always.action = 2;
  Match<Fixed, Fixed> m(named("climbing"), c, always);
  int count[3] = {};
  const int n = 30'000;
  for (int k = 0; k < n; ++k) {
    m.step();
    ++count[m.actions[0]];
    EXPECT_EQ(m.actions[1], 2);
  }
  for (int a = 0; a < 3; ++a) {
    const double p = c.strategy[static_cast<size_t>(a)];
    EXPECT_NEAR(count[a] / double{n}, p, 4 * std::sqrt(p * (1 - p) / n));
  }
  const Game game = named("climbing");
  c.action = 1;
  EXPECT_THROW(Player<Fixed>(game, 0, 1, c, {}), ParameterError);
  always.action = 3;
  EXPECT_THROW(Player<Fixed>(game, 0, 1, always, {}), ParameterError);
}

/// What a script answers to the rival's actions, as text ("C" cooperates); its own slip where `own`
/// says so.
template <class L>
std::string replies(const std::string& rival, const std::string& own = "", int cooperate = 0) {
  typename L::Config c;
  c.cooperate = cooperate;
  Match<L, Fixed> m(named("prisoners_dilemma"), c, {}, 0, 1);
  std::string out;
  for (size_t k = 0; k < rival.size(); ++k) {
    int a = L::act(m.first.params, m.first.memory(), m.observation, 0, m.t);
    out += a == cooperate ? 'C' : 'D';
    if (!own.empty() && own[k] != '.') a = own[k] == 'C' ? cooperate : 1 - cooperate;
    m.force(a, rival[k] == 'C' ? cooperate : 1 - cooperate);
    // the evaluated policy says the same about the observation it has come to
    EXPECT_EQ(m.first.policy(m.observation)[0] == 1.0,
              L::act(m.first.params, m.first.memory(), m.observation, 0, m.t) == 0);
  }
  EXPECT_TRUE(m.first.stays_inside());
  return out;
}

TEST(Scripted, FollowTheirRules) {
  for (const int cooperate : {0, 1}) {
    EXPECT_EQ(replies<TitForTat>("CDDCDCC", "", cooperate), "CCDDCDC");
    EXPECT_EQ(replies<GrimTrigger>("CDCCDCC", "", cooperate), "CCDDDDD");
    EXPECT_EQ(replies<Pavlov>("CDDDCCC", "", cooperate), "CCDCDDD");
  }
  // own slips: grim trigger and tit-for-tat ignore them, Pavlov does not
  EXPECT_EQ(replies<TitForTat>("CCCC", "D..."), "CCCC");
  EXPECT_EQ(replies<GrimTrigger>("CCCC", "D..."), "CCCC");
  EXPECT_EQ(replies<Pavlov>("CCCC", "D..."), "CDDD");
}

TEST(Scripted, EpisodesStartAfresh) {
  for (const Episode episode : {Episode::ended, Episode::cut}) {
    Match<GrimTrigger, TitForTat> m(named("prisoners_dilemma"), {}, {}, 0, 1);
    m.force(1, 1);
    m.step();
    EXPECT_EQ(m.actions[0], 1);
    EXPECT_EQ(m.actions[1], 1);
    m.force(1, 1, episode);
    m.step();
    EXPECT_EQ(m.actions[0], 0);
    EXPECT_EQ(m.actions[1], 0);
  }
  EXPECT_THROW(Player<TitForTat>(named("climbing"), 0, 1, {}, {}), ParameterError);
}

// Published: Q-learning (gamma .9, alpha .1, 30,000 steps) against tit-for-tat cooperates in all runs.
TEST(Scripted, QLearningCooperatesWithTitForTat) {
  Independent::Config c;
  c.gamma = 0.9;
  c.alpha = 0.1;
  c.exploration.start = 1.0;
  c.exploration.decay_rate = 0.0002;
  int cooperates = 0;
  const int n = runs(200);
  for (int run = 0; run < n; ++run) {
    Match<Independent, TitForTat> m(named("prisoners_dilemma"), c, {}, static_cast<uint64_t>(run),
                                    1);
    m.steps(30'000);
    // follow the evaluated policies to their cycle, as the evaluation does
    uint32_t at = m.observation;
    for (int k = 0; k < 16; ++k) {
      const int a = arg_max(m.first.policy(at).data(), 2);
      const int b = arg_max(m.second.policy(at).data(), 2);
      at = static_cast<uint32_t>(2 * a + b);
    }
    cooperates += at == 0;
  }
  std::printf("  Q-learning against tit-for-tat: %d of %d runs cooperate\n", cooperates, n);
  EXPECT_EQ(cooperates, n);
}

// ---- policy fingerprint, self-play, Stackelberg, LOLA --------------------------------------------

TEST(PolicyFingerprintQ, OneStepByHand) {
  using L = PolicyFingerprintQ;
  L::Config c;
  c.alpha = 0.5;
  c.gamma = 0.5;
  c.bins = 2;
  c.fingerprint.value = 1;
  c.horizon = 4;  // steps 0 and 1 are early, the others late
  c.init.value = 0;
  Match<L, Fixed> m(named("prisoners_dilemma"), c, {}, 0, 1);
  const auto value = [&](uint32_t bin, uint32_t s, int a) {
    return L::Values::row(m.first.params, m.first.memory(), 4 * bin + s)[a];
  };
  m.observation = 0;
  m.force(1, 0);  // 5: Q(early, 0; 1) = 2.5
  EXPECT_DOUBLE_EQ(value(0, 0, 1), 2.5);
  EXPECT_EQ(m.first.policy(0)[1], 1.0);
  m.observation = 0;
  m.force(0, 0);  // t = 1 to late: 3 + .5 * 0, Q(early, 0; 0) = 1.5
  EXPECT_DOUBLE_EQ(value(0, 0, 0), 1.5);
  EXPECT_EQ(m.first.policy(0)[1], 0.0);  // late values are all 0: the lowest action
  m.force(0, 0);                         // from state 0 to 0, late: .5 * 3
  EXPECT_DOUBLE_EQ(value(1, 0, 0), 1.5);
  m.force(0, 0);  // 1.5 + .5 (3 + .5 * 1.5 - 1.5)
  EXPECT_DOUBLE_EQ(value(1, 0, 0), 2.625);
  EXPECT_DOUBLE_EQ(value(0, 0, 0), 1.5);
  EXPECT_TRUE(m.first.stays_inside());
}

TEST(PolicyFingerprintQ, FingerprintFollowsExploration) {
  using L = PolicyFingerprintQ;
  L::Config c;
  c.bins = 4;
  c.exploration.schedule.value = Exploration::kLinear;
  c.exploration.start = 0.8;
  c.exploration.end = 0.0;
  c.exploration.decay_steps = 800;
  Player<L> player(named("climbing"), 0, 1, c, {});
  EXPECT_EQ(L::fingerprint(player.params, 0), 0u);
  EXPECT_EQ(L::fingerprint(player.params, 199), 0u);
  EXPECT_EQ(L::fingerprint(player.params, 201), 1u);
  EXPECT_EQ(L::fingerprint(player.params, 601), 3u);
  EXPECT_EQ(L::fingerprint(player.params, 5000), 3u);
  c.exploration.schedule.value = Exploration::kExponential;
  Player<L> constant(named("climbing"), 0, 1, c, {});
  EXPECT_EQ(L::fingerprint(constant.params, 0), 0u);
}

// One bin is Q-learning.
TEST(PolicyFingerprintQ, OneBinIsQLearning) {
  using L = PolicyFingerprintQ;
  L::Config c;
  c.bins = 1;
  c.exploration.decay_rate = 1e-3;
  Independent::Config q;
  q.exploration.decay_rate = 1e-3;
  Match<L, L> one(named("stag_hunt"), c, c, 5, 1);
  Match<Independent, Independent> other(named("stag_hunt"), q, q, 5, 1);
  for (int k = 0; k < 2000; ++k) {
    one.step();
    other.step();
    ASSERT_EQ(one.actions[0], other.actions[0]);
    ASSERT_EQ(one.actions[1], other.actions[1]);
  }
  EXPECT_EQ(one.first.image().substr(0, other.first.image().size()), other.first.image());
}

TEST(SelfPlayPool, OneStepByHand) {
  using L = SelfPlayPool;
  L::Config c;
  c.alpha = 0.5;
  c.pool = 2;
  c.every = 2;
  Match<L, L> m(named("rock_paper_scissors"), c, c);
  const double* row = L::Values::row(m.first.params, m.first.memory(), 0);
  m.force(1, 0);  // paper meets the own greedy action, rock: +1
  EXPECT_DOUBLE_EQ(row[1], 0.5);
  m.force(0, 0);  // rock meets paper: -1; then a snapshot whose best is paper
  EXPECT_DOUBLE_EQ(row[0], -0.5);
  EXPECT_EQ(m.first.policy()[1], 1.0);
  m.force(2, 2);  // scissors meet the snapshot's paper: +1
  EXPECT_DOUBLE_EQ(row[2], 0.5);
  m.force(2, 2);  // .75, and the second snapshot's best is scissors
  EXPECT_DOUBLE_EQ(m.first.policy()[1], 0.5);
  EXPECT_DOUBLE_EQ(m.first.policy()[2], 0.5);
  EXPECT_TRUE(m.first.stays_inside());
}

TEST(SelfPlayPool, ItsMeanNearsTheEquilibrium) {
  using L = SelfPlayPool;
  Sample gap;
  Sample larger;
  L::Config large;
  large.pool = 2000;
  large.every = 20;
  for (int run = 0; run < runs(20); ++run) {
    Match<L, L> m(named("rock_paper_scissors"), {}, {}, static_cast<uint64_t>(run));
    m.steps(100'000);
    gap.add(m.nash_conv());
    Match<L, L> n(named("rock_paper_scissors"), large, large, static_cast<uint64_t>(run));
    n.steps(100'000);
    larger.add(n.nash_conv());
  }
  gap.print("self-play pool of 100, rock-paper-scissors, NashConv (best pure play: 2)");
  larger.print("the same of 2,000");
  EXPECT_LT(gap.mean(), 0.4);
  EXPECT_LT(larger.mean(), 0.2);
  EXPECT_THROW(Player<SelfPlayPool>(named("matching_pennies"), 0, 1, {}, {}), ParameterError);
  EXPECT_THROW(Player<SelfPlayPool>(named("battle_of_the_sexes"), 0, 1, {}, {}), ParameterError);
  EXPECT_NO_THROW(Player<SelfPlayPool>(named("prisoners_dilemma"), 0, 1, {}, {}));
}

// Conitzer and Sandholm 2006, figure 1: pure play gives the leader 2, a pure commitment 3, the best
// mixed one 3.5.
TEST(Stackelberg, TheLeaderGainsByCommitment) {
  using L = Stackelberg;
  const Game game{{2, 2}, {2, 1, 4, 0, 1, 0, 3, 1}};
  Match<L, L> m(game, {}, {});
  EXPECT_NEAR(m.first.policy()[0], 0.5, 1e-12);
  EXPECT_EQ(m.second.policy()[1], 1.0);
  m.steps(10);
  EXPECT_EQ(m.second.policy()[1], 1.0);  // indifferent: in the leader's favour
  EXPECT_EQ(m.actions[1], 1);
  // the roles exchanged, in the transposed game
  const Game swapped{{2, 2}, {1, 2, 0, 1, 0, 4, 1, 3}};
  L::Config second;
  second.role.value = 1;
  Match<L, L> n(swapped, second, second);
  n.steps(10);
  EXPECT_NEAR(n.second.policy()[0], 0.5, 1e-12);
  EXPECT_EQ(n.first.policy()[1], 1.0);
  // a follower answers whatever it sees: against "always the first row", the first column
  Fixed::Config first_row;
  first_row.action = 0;
  Match<Fixed, L> o(game, first_row, {});
  EXPECT_EQ(o.second.policy()[1], 1.0);
  o.step();
  EXPECT_EQ(o.second.policy()[0], 1.0);
}

// In zero-sum games commitment costs nothing: the strategy is maximin. In any game it is worth at
// least as much as the best grid point.
TEST(Stackelberg, CommitmentsAreOptimal) {
  Rng rng(RunKey{11, 0}, 0, Stream::learn);
  for (int trial = 0; trial < 300; ++trial) {
    const int rows = 2 + static_cast<int>(rng.below(2));
    const int columns = 2 + static_cast<int>(rng.below(4));
    std::vector<double> u;
    std::vector<double> v;
    std::vector<double> negative;
    for (int k = 0; k < rows * columns; ++k) {
      u.push_back(static_cast<double>(rng.below(11)) - 5.0);
      v.push_back(static_cast<double>(rng.below(11)) - 5.0);
      negative.push_back(-u.back());
    }
    const Commitment zero_sum = Commitment::solve(u, negative, rows, columns);
    EXPECT_NEAR(zero_sum.value, solve_zero_sum(u.data(), rows, columns).value, 1e-9);
    const Commitment best = Commitment::solve(u, v, rows, columns);
    const auto worth = [&](const std::vector<double>& x, double slack) {
      double top = -1e300;
      std::vector<double> follower(static_cast<size_t>(columns));
      std::vector<double> leader(static_cast<size_t>(columns));
      for (int j = 0; j < columns; ++j) {
        for (int i = 0; i < rows; ++i) {
          const auto at = static_cast<size_t>(i * columns + j);
          follower[static_cast<size_t>(j)] += x[static_cast<size_t>(i)] * v[at];
          leader[static_cast<size_t>(j)] += x[static_cast<size_t>(i)] * u[at];
        }
        top = std::max(top, follower[static_cast<size_t>(j)]);
      }
      double gain = -1e300;
      for (size_t j = 0; j < leader.size(); ++j) {
        if (follower[j] >= top - slack) gain = std::max(gain, leader[j]);
      }
      return gain;
    };
    EXPECT_NEAR(worth({best.leader, best.leader + rows}, 1e-8), best.value, 1e-7);
    // played, the follower stays with the response, though equal up to rounding with others
    Game game{{rows, columns}, {}};
    for (size_t k = 0; k < u.size(); ++k) game.payoffs.insert(game.payoffs.end(), {u[k], v[k]});
    Match<Stackelberg, Stackelberg> m(game, {}, {});
    m.steps(2);
    double shown[2 * kStrategyPitch] = {};
    m.first.strategy(0, shown);
    m.second.strategy(0, shown + kStrategyPitch);
    double payoff = 0;
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        payoff += shown[i] * shown[kStrategyPitch + j] * u[static_cast<size_t>(i * columns + j)];
      }
    }
    EXPECT_NEAR(payoff, best.value, 1e-7);
    const int grid = 40;
    for (int a = 0; a <= grid; ++a) {
      for (int b = 0; a + b <= grid; ++b) {
        if (rows == 2 && a + b != grid) continue;
        std::vector<double> x{a / double{grid}, b / double{grid}};
        if (rows == 3) x.push_back((grid - a - b) / double{grid});
        EXPECT_LE(worth(x, 0.0), best.value + 1e-8);
      }
    }
  }
}

/// A random memory-1 game of two players.
Memory1Game random_memory1(uint64_t seed) {
  Memory1Game g{};
  Rng rng(RunKey{seed, 0}, 0, Stream::learn);
  g.gamma = 0.9;
  for (int i = 0; i < 2; ++i) {
    for (int s = 0; s < 4; ++s) {
      g.cooperate[i][s] = 0.1 + 0.8 * unit_double(rng.word());
      g.payoff[i][s] = 6.0 * unit_double(rng.word()) - 3.0;
    }
  }
  g.solve();
  return g;
}
/// The same with a logit moved.
Memory1Game moved(Memory1Game g, int player, int s, double by) {
  double& p = g.cooperate[player][s];
  p = 1.0 / (1.0 + (1.0 - p) / p * std::exp(-by));
  g.solve();
  return g;
}

TEST(Lola, DerivativesAreExact) {
  const double h = 1e-4;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Memory1Game g = random_memory1(seed);
    // the value, by playing it forward
    double state[4] = {0.25, 0.25, 0.25, 0.25};
    double value = 0;
    double weight = 1 - g.gamma;
    for (int t = 0; t < 500; ++t) {
      double next[4] = {};
      for (int s = 0; s < 4; ++s) {
        for (int k = 0; k < 4; ++k)
          next[k] += state[s] * g.chance(0, s, k / 2) * g.chance(1, s, k % 2);
      }
      for (int k = 0; k < 4; ++k) {
        state[k] = next[k];
        value += weight * next[k] * g.payoff[1][k];
      }
      weight *= g.gamma;
    }
    EXPECT_NEAR(g.value(1), value, 1e-12);
    for (int of = 0; of < 2; ++of) {
      for (int s = 0; s < 4; ++s) {
        for (int by = 0; by < 2; ++by) {
          const double central =
              (moved(g, by, s, h).value(of) - moved(g, by, s, -h).value(of)) / (2 * h);
          EXPECT_NEAR(g.gradient(of, by, s), central, 1e-8);
        }
        for (int u = 0; u < 4; ++u) {
          const double central =
              (moved(g, 1, u, h).gradient(of, 0, s) - moved(g, 1, u, -h).gradient(of, 0, s)) /
              (2 * h);
          EXPECT_NEAR(g.mixed(of, s, u), central, 1e-8);
        }
      }
    }
  }
}

// The direction is the gradient of V_i(theta_i, theta_j + lookahead dV_j/dtheta_j) at first order in
// the rival's step, as far as it goes through that step.
TEST(Lola, DirectionLooksAhead) {
  const double h = 1e-4;
  const double lookahead = 0.7;
  const Memory1Game g = random_memory1(99);
  for (int player = 0; player < 2; ++player) {
    for (int s = 0; s < 4; ++s) {
      const auto through = [&](double by) {
        const Memory1Game there = moved(g, player, s, by);
        double sum = 0;
        for (int u = 0; u < 4; ++u) {
          sum += g.gradient(player, 1 - player, u) * there.gradient(1 - player, 1 - player, u);
        }
        return sum;
      };
      EXPECT_NEAR(g.direction(player, s, lookahead),
                  g.gradient(player, player, s) + lookahead * (through(h) - through(-h)) / (2 * h),
                  1e-8);
    }
  }
}

TEST(Lola, WaitsForThePayoffsAndKeepsTheTwinTrue) {
  using L = Lola;
  Match<L, L> m(named("prisoners_dilemma"), {}, {}, 3, 1);
  const auto start = m.first.policy(2);
  EXPECT_NE(start[0], m.first.policy(1)[0]);
  m.force(0, 0);
  m.force(0, 1);
  m.force(1, 0);
  EXPECT_EQ(m.first.policy(2), start);
  m.force(1, 1);
  EXPECT_NE(m.first.policy(2), start);
  m.steps(200);
  // each knows both strategies to the bit
  EXPECT_EQ(m.first.image(), m.second.image());
  EXPECT_TRUE(m.first.stays_inside());
  EXPECT_THROW(Player<L>(named("climbing"), 0, 9, {}, {}), ParameterError);
  EXPECT_THROW(Player<L>(named("prisoners_dilemma"), 0, 1, {}, {}), ParameterError);
}

/// Mean discounted payoff a period of two learners in the prisoner's dilemma -1 -3 / 0 -2.
Sample dilemma(const Lola::Config& c, int n, uint64_t steps) {
  using L = Lola;
  const Game game{{2, 2}, {-1, -1, -3, 0, 0, -3, -2, -2}};
  Sample sample;
  for (int run = 0; run < n; ++run) {
    Match<L, L> m(game, c, c, static_cast<uint64_t>(run), 1);
    m.steps(steps);
    Memory1Game g{};
    g.gamma = 0.96;
    for (int s = 0; s < 4; ++s) {
      for (int i = 0; i < 2; ++i) {
        Player<L>& player = i == 0 ? m.first : m.second;
        g.cooperate[i][s] = player.policy(static_cast<uint32_t>(s))[0];
        g.payoff[i][s] = game.payoffs[static_cast<size_t>(2 * s + i)];
      }
    }
    g.solve();
    sample.add(0.5 * (g.value(0) + g.value(1)));
  }
  return sample;
}

// Published (Foerster et al., figure 1): naive learners come to -2 a period, LOLA learners nearly to
// cooperation. The uniform first history, which is no opening move, costs LOLA some periods.
TEST(Lola, CooperatesWhereNaiveLearnersDefect) {
  Lola::Config naive;
  naive.lookahead = 0;
  const Sample defects = dilemma(naive, runs(30), 2'000);
  const Sample cooperates = dilemma({}, runs(30), 2'000);
  Lola::Config observed;
  observed.rival.value = 1;
  const Sample modelled = dilemma(observed, runs(30), 5'000);
  defects.print("prisoner's dilemma, naive");
  cooperates.print("prisoner's dilemma, LOLA");
  modelled.print("prisoner's dilemma, LOLA with a modelled rival");
  EXPECT_LT(defects.mean(), -1.95);
  EXPECT_GT(cooperates.mean(), -1.35);
  EXPECT_GT(modelled.mean(), defects.mean() + 0.2);
}

}  // namespace
}  // namespace cumarl
