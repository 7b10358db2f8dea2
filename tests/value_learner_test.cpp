// Value-based policy learners: single updates against arithmetic done by hand, and what they learn
// in games whose solution is known, over many seeds.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "envs/matrix_game.hpp"
#include "envs/stochastic_game.hpp"
#include "kernels/solvers/stochastic.hpp"
#include "kernels/tabular/central_q.hpp"
#include "kernels/tabular/coordination_graph_q.hpp"
#include "kernels/tabular/correlated_q.hpp"
#include "kernels/tabular/distributed_q.hpp"
#include "kernels/tabular/frequency_adjusted_q.hpp"
#include "kernels/tabular/friend_or_foe_q.hpp"
#include "kernels/tabular/joint_action_learner.hpp"
#include "kernels/tabular/lenient_q.hpp"
#include "kernels/tabular/mean_field_q.hpp"
#include "kernels/tabular/minimax_q.hpp"
#include "kernels/tabular/nash_q.hpp"
#include "kernels/tabular/opponent_model_q.hpp"
#include "kernels/tabular/outside_option_q.hpp"
#include "kernels/tabular/sarsa.hpp"

namespace cumarl {
namespace {

/// An agent's parameters and memory in one run.
template <class L>
class Seat {
 public:
  Seat(const typename L::Config& config, AgentSpec spec, RunKey key) : agent_(spec.agent) {
    spec.initial_runs = 1;
    spec.init.kind.value = static_cast<int>(InitKind::constant);
    if constexpr (requires { config.init; }) spec.init.value = config.init.value;
    if (spec.neighbours.empty()) {
      for (int i = 0; i < spec.agents; ++i) {
        if (i != spec.agent) spec.neighbours.push_back(i);
      }
    }
    p = L::make(config, spec, arena_);
    memory_.assign((L::bytes(p) + 127) / 64 * 64, std::byte{0xCD});
    L::init(p, memory(), key, agent_);
  }
  std::byte* memory() {
    const auto at = reinterpret_cast<uintptr_t>(memory_.data());
    return memory_.data() + ((at + 63) / 64 * 64 - at);
  }
  std::vector<double> policy(uint32_t observation, int actions) {
    std::vector<double> out(static_cast<size_t>(actions));
    L::policy(p, memory(), observation, out.data());
    return out;
  }
  typename L::Params p;

 private:
  HostArena arena_;
  std::vector<std::byte> memory_;
  int agent_;
};

AgentSpec spec_of(int agent, int agents, const int* actions, uint32_t observations) {
  AgentSpec spec{};
  spec.agent = agent;
  spec.agents = agents;
  spec.actions = actions[agent];
  spec.observations = observations;
  spec.reward_low = -100;
  spec.reward_high = 100;
  spec.all_actions = actions;
  return spec;
}

/// One run of learners of one kind in an environment, step by step as the rollout does it.
template <class Env, class L>
class Trial {
 public:
  Trial(const typename Env::Params& env, const std::vector<typename L::Config>& configs, RunKey key)
      : env_(env), key_(key), agents_(Env::agents(env)) {
    for (int i = 0; i < agents_; ++i) actions_[i] = Env::actions(env, i);
    for (int i = 0; i < agents_; ++i) {
      seats_.push_back(
          std::make_unique<Seat<L>>(configs[static_cast<size_t>(i) % configs.size()],
                                    spec_of(i, agents_, actions_, Env::observations(env, i)), key));
    }
    Rng rng(key_, 0, Stream::reset);
    Env::reset(env_, state_, rng);
  }

  void play(uint64_t steps) {
    for (const uint64_t end = t_ + steps; t_ < end; ++t_) {
      int action[Env::kMaxAgents] = {};
      float reward[Env::kMaxAgents] = {};
      uint32_t from[Env::kMaxAgents] = {};
      for (int i = 0; i < agents_; ++i) {
        from[i] = Env::observe_index(env_, state_, i);
        action[i] = L::act(seat(i).p, seat(i).memory(), from[i], word(i), t_);
      }
      Rng rng(key_, t_, Stream::dynamics);
      const Episode episode = Env::step(env_, state_, action, reward, rng);
      for (int i = 0; i < agents_; ++i) {
        L::learn(seat(i).p, seat(i).memory(), from[i], Env::observe_index(env_, state_, i),
                 Transition{action, reward, i, agents_, episode, t_, key_, nullptr});
        paid_ += static_cast<double>(reward[i]);
      }
      if (episode != Episode::goes_on) {
        ++episodes_;
        Rng fresh(key_, t_ + 1, Stream::reset);
        Env::reset(env_, state_, fresh);
      }
    }
  }

  Seat<L>& seat(int i) { return *seats_[static_cast<size_t>(i)]; }
  std::vector<double> policy(int i, uint32_t observation) {
    return seat(i).policy(observation, actions_[i]);
  }
  /// The most probable actions, "0,2".
  std::string greedy(uint32_t observation = 0) {
    std::string label;
    for (int i = 0; i < agents_; ++i) {
      const auto pi = policy(i, observation);
      label += (i > 0 ? "," : "") + std::to_string(arg_max(pi.data(), actions_[i]));
    }
    return label;
  }
  /// [states][actions] of an agent's policy.
  std::vector<double> strategies(int i) {
    std::vector<double> all;
    for (uint32_t s = 0; s < Env::observations(env_, i); ++s) {
      const auto pi = policy(i, s);
      all.insert(all.end(), pi.begin(), pi.end());
    }
    return all;
  }
  double paid() const { return paid_; }
  uint64_t episodes() const { return episodes_; }

 private:
  uint32_t word(int i) const {
    const uint64_t number = t_ * static_cast<uint64_t>(agents_) + static_cast<uint64_t>(i);
    const Philox block = philox(key_, number / 4, Stream::explore, 0);
    const uint32_t words[4] = {block.x0, block.x1, block.x2, block.x3};
    return words[number % 4];
  }

  const typename Env::Params& env_;
  RunKey key_;
  int agents_;
  int actions_[Env::kMaxAgents] = {};
  std::vector<std::unique_ptr<Seat<L>>> seats_;
  typename Env::State state_{};
  uint64_t t_ = 0;
  double paid_ = 0;
  uint64_t episodes_ = 0;
};

/// A game by the number of its name in MatrixStage::fields.
MatrixGame::Params named_game(const std::string& name, Arena& arena) {
  MatrixGame::Config config;
  const auto games = named_games(config.stage.penalty);
  for (size_t k = 0; k < games.size(); ++k) {
    if (name == games[k].name) config.stage.game.value = static_cast<int>(k);
  }
  return MatrixGame::make(config, arena);
}

void set_epsilon(Exploration::Config& e, double start, double end = -1, double rate = 0) {
  e.kind.value = Exploration::kEpsilonGreedy;
  e.start = start;
  e.end = end < 0 ? start : end;
  e.decay_rate = rate;
}
void set_boltzmann(Exploration::Config& e, double start, double end = -1, double rate = 0) {
  set_epsilon(e, start, end, rate);
  e.kind.value = Exploration::kBoltzmann;
}
const double kFall998 = -std::log(0.998);
const double kFall997 = -std::log(0.997);

/// Share of runs that end with one of `labels` as the greedy joint action.
template <class L>
double share(const std::string& game, const typename L::Config& config, uint64_t steps, int runs,
             const std::vector<std::string>& labels) {
  HostArena arena;
  const auto env = named_game(game, arena);
  int hits = 0;
  for (int run = 0; run < runs; ++run) {
    Trial<MatrixGame, L> trial(env, {config}, {1, static_cast<uint64_t>(run)});
    trial.play(steps);
    hits += std::count(labels.begin(), labels.end(), trial.greedy()) > 0 ? 1 : 0;
  }
  const double found = static_cast<double>(hits) / runs;
  std::printf("%s in %s: share %.4f, n = %d, s.e. %.4f\n", L::kFacts.name, game.c_str(), found,
              runs, std::sqrt(found * (1 - found) / runs));
  return found;
}

/// A learner among two agents of three and two actions and two observations.
template <class L>
struct Two {
  static constexpr int kActions[2] = {3, 2};
  Seat<L> seat;
  int agent;
  explicit Two(const typename L::Config& c, int which = 0)
      : seat(c, spec_of(which, 2, kActions, 2), {1, 0}), agent(which) {}
  void step(uint32_t s, int a0, int a1, float r0, float r1, uint32_t next, Episode e,
            uint64_t t = 0) {
    const int actions[2] = {a0, a1};
    const float rewards[2] = {r0, r1};
    L::learn(seat.p, seat.memory(), s, next,
             Transition{actions, rewards, agent, 2, e, t, {1, 0}, nullptr});
  }
  int act(uint32_t s, uint32_t word, uint64_t t = 0) {
    return L::act(seat.p, seat.memory(), s, word, t);
  }
};

// ---------------------------------------------------------------- choice

// n = 2^18 words: a mixed strategy under epsilon = 0.3 is played in the right shares, within 4 s.e.
TEST(ActionChoice, ExploringAndSamplingAreIndependent) {
  Exploration::Config c;
  set_epsilon(c, 0.3);
  const Exploration e = Exploration::make(c, 3);
  const double pi[3] = {0.5, 0.0, 0.5};
  constexpr int kDraws = 1 << 18;
  double explored[3] = {};
  double played[3] = {};
  for (int k = 0; k < kDraws; ++k) {
    const uint32_t word = philox({7, 0}, static_cast<uint64_t>(k), Stream::explore, 0).x0;
    const MixedDecision d = mixed_decision(e, 3, word, 0);
    if (d.explores) {
      explored[d.action] += 1.0 / kDraws;
    } else {
      ASSERT_TRUE(d.uniform >= 0.0 && d.uniform < 1.0);
      played[action_at(pi, 3, d.uniform)] += 1.0 / kDraws;
    }
  }
  const auto near = [](double share, double expected) {
    EXPECT_NEAR(share, expected, 4 * std::sqrt(expected * (1 - expected) / kDraws));
  };
  for (const double share : explored) near(share, 0.1);
  near(played[0], 0.35);
  near(played[2], 0.35);
  EXPECT_EQ(played[1], 0.0);
}

TEST(ActionChoice, CommonWordsDifferByStepSpeakerAndRun) {
  const RunKey key{3, 5};
  EXPECT_EQ(common_word(key, 9, 0), common_word(key, 9, 0));
  EXPECT_NE(common_word(key, 9, 0), common_word(key, 10, 0));
  EXPECT_NE(common_word(key, 9, 0), common_word(key, 9, 1));
  EXPECT_NE(common_word(key, 9, 0), common_word({3, 6}, 9, 0));
}

TEST(ActionChoice, OwnWordsDifferByAgent) {
  std::vector<uint32_t> words;
  for (int agent = 0; agent < 1020; ++agent) {
    words.push_back(
        own_word({nullptr, nullptr, agent, 1020, Episode::goes_on, 9, {3, 5}, nullptr}));
  }
  EXPECT_EQ(words[7], Rng({3, 5}, 9, Stream::learn, 16 * 7).word());
  for (int speaker = 0; speaker < 16; ++speaker) words.push_back(common_word({3, 5}, 9, speaker));
  std::sort(words.begin(), words.end());
  EXPECT_EQ(std::adjacent_find(words.begin(), words.end()), words.end());
}

TEST(JointActions, NumbersAndTheirPartsAgree) {
  const int actions[3] = {3, 2, 4};
  const AgentSpec spec = spec_of(0, 3, actions, 5);
  for (const auto& order : {std::vector<int>{}, std::vector<int>{2, 0, 1}}) {
    const JointActions joints = JointActions::make(spec, order);
    std::vector<bool> seen(24, false);
    for (int a = 0; a < 3; ++a) {
      for (int b = 0; b < 2; ++b) {
        for (int c = 0; c < 4; ++c) {
          const int chosen[3] = {a, b, c};
          const int cell = joints.of(chosen);
          ASSERT_TRUE(cell >= 0 && cell < 24 && !seen[static_cast<size_t>(cell)]);
          seen[static_cast<size_t>(cell)] = true;
          EXPECT_EQ(cell, order.empty() ? (a * 2 + b) * 4 + c : (c * 3 + a) * 2 + b);
          for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(joints.action_of(cell, i), chosen[i]);
            const int others = joints.others_of(cell, i);
            EXPECT_LT(others, joints.others(i));
            EXPECT_EQ(joints.with(others, i, chosen[i]), cell);
          }
        }
      }
    }
  }
  EXPECT_THROW(JointActions::make(spec_of(0, 3, actions, 1u << 27)), ParameterError);
}

TEST(LearningRate, FollowsItsFormula) {
  LearningRate::Config c;
  c.alpha = 0.8;
  c.decay_rate = 1e-3;
  c.end = 0.1;
  EXPECT_NEAR(LearningRate::make(c).at(500, 0), 0.8 * std::exp(-0.5), 1e-15);
  EXPECT_EQ(LearningRate::make(c).at(1'000'000, 0), 0.1);
  c.schedule.value = LearningRate::kVisits;
  c.end = 0;
  EXPECT_EQ(LearningRate::make(c).at(7, 4), 0.2);
  c.power = 0.5;
  EXPECT_NEAR(LearningRate::make(c).at(7, 4), 0.4, 1e-15);
  c.end = 0.9;
  EXPECT_THROW(LearningRate::make(c), ParameterError);
}

// ---------------------------------------------------------------- single updates

TEST(Sarsa, LearnsFromTheActionItPlaysNext) {
  Sarsa::Config c;
  c.alpha = 0.5;
  c.gamma = 0.9;
  set_epsilon(c.exploration, 1.0);  // a random next action
  Two<Sarsa> b(c);
  double* here = Sarsa::Base::row(b.seat.p, b.seat.memory(), 0);
  double* there = Sarsa::Base::row(b.seat.p, b.seat.memory(), 1);
  const double values[3] = {1.0, 2.0, 4.0};
  bool played[3] = {};
  for (uint64_t t = 0; t < 40; ++t) {
    here[2] = 3.0;
    std::copy(values, values + 3, there);
    b.step(0, 2, 0, 1.0F, 0, 1, Episode::goes_on, t);
    const int next = b.act(1, 12345, t + 1);
    played[next] = true;
    EXPECT_DOUBLE_EQ(here[2], 3.0 + 0.5 * (1.0 + 0.9 * values[next] - 3.0));
  }
  EXPECT_TRUE(played[0] && played[1] && played[2]);
  here[2] = 3.0;
  b.step(0, 2, 0, 1.0F, 0, 1, Episode::ended);
  EXPECT_DOUBLE_EQ(here[2], 2.0);
  EXPECT_EQ(b.act(0, 1u << 31, 1), Exploration::decide(1.0F, 3, 1u << 31).forced);  // by the word
  here[2] = 3.0;
  std::fill(there, there + 3, 10.0);
  b.step(0, 2, 0, 1.0F, 0, 1, Episode::cut);
  EXPECT_DOUBLE_EQ(here[2], 3.0 + 0.5 * (1.0 + 9.0 - 3.0));
  EXPECT_EQ(b.act(0, 1u << 31, 1), Exploration::decide(1.0F, 3, 1u << 31).forced);
}

TEST(CentralQ, LearnsTheTeamsReward) {
  for (const bool sum : {false, true}) {
    CentralQ::Config c;
    c.alpha = 0.5;
    c.gamma = 0.9;
    c.reward.value = sum ? CentralQ::kSum : CentralQ::kMean;
    c.initial = 2.0;
    Two<CentralQ> b(c);
    double* here = CentralQ::row(b.seat.p, b.seat.memory(), 0);
    CentralQ::row(b.seat.p, b.seat.memory(), 1)[3] = 10.0;  // joint action (1, 1)
    b.step(0, 2, 1, 1.0F, 4.0F, 1, Episode::goes_on);
    EXPECT_DOUBLE_EQ(here[5], 2.0 + 0.5 * ((sum ? 5.0 : 2.5) + 9.0 - 2.0));
    here[5] = 2.0;
    b.step(0, 2, 1, 1.0F, 4.0F, 1, Episode::ended);
    EXPECT_DOUBLE_EQ(here[5], 2.0 + 0.5 * ((sum ? 5.0 : 2.5) - 2.0));
    EXPECT_EQ(b.seat.policy(1, 3), (std::vector<double>{0, 1, 0}));
  }
}

// Two copies explore one joint action together: under softmax over joint actions with two equally
// good corners, the other two are never played (n = 500).
TEST(CentralQ, CopiesExploreTogether) {
  HostArena arena;
  MatrixGame::Config game;
  game.stage.payoffs = {{1, -50, -50, 1}, {2, 2}};
  const auto env = MatrixGame::make(game, arena);
  CentralQ::Config c;
  c.gamma = 0;
  set_boltzmann(c.exploration, 0.5);
  Trial<MatrixGame, CentralQ> trial(env, {c}, {1, 0});
  for (int i = 0; i < 2; ++i) {
    double* q = CentralQ::row(trial.seat(i).p, trial.seat(i).memory(), 0);
    q[1] = q[2] = -50;
  }
  int first = 0;
  for (int k = 0; k < 500; ++k) {
    const uint64_t t = static_cast<uint64_t>(k);
    int a[2];
    for (int i = 0; i < 2; ++i) {
      a[i] = CentralQ::act(trial.seat(i).p, trial.seat(i).memory(), 0, static_cast<uint32_t>(i), t);
    }
    ASSERT_EQ(a[0], a[1]);
    first += a[0] == 0 ? 1 : 0;
  }
  EXPECT_NEAR(first, 250, 4 * std::sqrt(125.0));
}

TEST(JointActionLearner, RespondsToCounts) {
  JointActionLearner::Config c;
  c.alpha = 0.5;
  c.gamma = 0.9;
  c.beliefs.prior = 1.0;
  Two<JointActionLearner> b(c);
  using L = JointActionLearner;
  double* here = L::row(b.seat.p, b.seat.memory(), 0);
  double* there = L::row(b.seat.p, b.seat.memory(), 1);
  const double values[6] = {8, 0, 0, 6, 4, 4};  // rows: own action, columns: the other's
  std::copy(values, values + 6, there);
  // in 1 nothing was seen: even beliefs give 4, 3, 4; the lowest of the best
  EXPECT_EQ(b.seat.policy(1, 3), (std::vector<double>{1, 0, 0}));
  b.step(0, 1, 1, 1.0F, 0, 1, Episode::goes_on);
  EXPECT_DOUBLE_EQ(here[3], 0.5 * (1.0 + 0.9 * 4.0));
  // three steps in which the other plays 1: counts 1 and 4, values 1.6, 4.8, 4
  for (int k = 0; k < 3; ++k) b.step(1, 0, 1, 0.0F, 0, 0, Episode::ended);
  std::copy(values, values + 6, there);
  EXPECT_EQ(b.seat.policy(1, 3), (std::vector<double>{0, 1, 0}));
  double expected[3];
  L::expected(b.seat.p, b.seat.memory(), 1, expected);
  EXPECT_DOUBLE_EQ(expected[0], 0.2 * 8);
  EXPECT_DOUBLE_EQ(expected[1], 0.8 * 6);
}

TEST(JointActionLearner, TakesOthersAsIndependent) {
  const int actions[3] = {2, 2, 2};
  JointActionLearner::Config c;
  Seat<JointActionLearner> seat(c, spec_of(1, 3, actions, 1), {1, 0});
  const float rewards[3] = {};
  for (const auto& [a, b] : {std::pair{0, 0}, {0, 0}, {1, 1}, {0, 1}}) {
    const int played[3] = {a, 0, b};
    JointActionLearner::learn(
        seat.p, seat.memory(), 0, 0,
        Transition{played, rewards, 1, 3, Episode::ended, 0, {1, 0}, nullptr});
  }
  // agent 0: counts 4 and 2; agent 2: 3 and 3
  const double* row = JointActionLearner::beliefs(seat.p, seat.memory(), 0);
  EXPECT_NEAR(seat.p.beliefs.probability(row, 0), 4.0 / 6 * 0.5, 1e-15);
  EXPECT_NEAR(seat.p.beliefs.probability(row, 3), 2.0 / 6 * 0.5, 1e-15);
}

TEST(OpponentModelQ, ModelForgets) {
  OpponentModelQ::Config c;
  c.alpha = 0.5;
  c.gamma = 0.9;
  c.beliefs.model_rate = 0.5;
  Two<OpponentModelQ> b(c, 1);
  using L = OpponentModelQ;
  double* here = L::row(b.seat.p, b.seat.memory(), 0);
  double* there = L::row(b.seat.p, b.seat.memory(), 1);
  there[5] = 6.0;  // the other plays 2, the agent 1
  b.step(0, 2, 1, 0, 1.0F, 1, Episode::goes_on);
  EXPECT_DOUBLE_EQ(here[5], 0.5 * (1.0 + 0.9 * 2.0));  // the model is even: a third of 6
  const double* model = L::beliefs(b.seat.p, b.seat.memory(), 0);
  EXPECT_DOUBLE_EQ(model[0], 1.0 / 6);
  EXPECT_DOUBLE_EQ(model[2], 1.0 / 3 + 0.5 * (2.0 / 3));
  b.step(0, 0, 1, 0, 1.0F, 1, Episode::ended);
  EXPECT_DOUBLE_EQ(model[0], 1.0 / 12 + 0.5);
}

TEST(MinimaxQ, SolvesTheStageGame) {
  for (const int agent : {0, 1}) {
    MinimaxQ::Config c;
    c.rate.alpha = 0.5;
    c.gamma = 0.9;
    c.initial = 1.0;
    static constexpr int kTwo[2] = {2, 2};
    Seat<MinimaxQ> seat(c, spec_of(agent, 2, kTwo, 2), {1, 0});
    const auto m = MinimaxQ::view(seat.p, seat.memory());
    EXPECT_EQ(seat.policy(0, 2), (std::vector<double>{0.5, 0.5}));
    const auto step = [&](uint32_t from, int own, int other, double reward, uint32_t to,
                          Episode e) {
      const int actions[2] = {agent == 0 ? own : other, agent == 0 ? other : own};
      const auto r = static_cast<float>(reward);
      const float rewards[2] = {agent == 0 ? r : -r, agent == 0 ? -r : r};
      MinimaxQ::learn(seat.p, seat.memory(), from, to,
                      Transition{actions, rewards, agent, 2, e, 0, {1, 0}, nullptr});
    };
    // after one update 1 is [[2.5, 1], [1, 1]]: 1.5 = (4 - 1) / 2
    step(1, 0, 0, 4.0, 0, Episode::ended);
    EXPECT_DOUBLE_EQ(m.q[4], 2.5);
    EXPECT_DOUBLE_EQ(m.value[1], 1.0);
    step(1, 1, 1, 4.0, 0, Episode::ended);
    // [[2.5, 1], [1, 2.5]]: value 1.75, strategy even
    EXPECT_DOUBLE_EQ(m.value[1], 1.75);
    EXPECT_EQ(seat.policy(1, 2), (std::vector<double>{0.5, 0.5}));
    step(0, 1, 0, 1.0, 1, Episode::cut);
    EXPECT_DOUBLE_EQ(m.q[2], 1.0 + 0.5 * (1.0 + 0.9 * 1.75 - 1.0));
    EXPECT_EQ(seat.policy(0, 2), (std::vector<double>{1, 0}));  // a saddle point, the lowest row
  }
}

TEST(MinimaxQ, CountsVisits) {
  MinimaxQ::Config c;
  c.rate.alpha = 1.0;
  c.rate.schedule.value = LearningRate::kVisits;
  Two<MinimaxQ> b(c);
  const auto m = MinimaxQ::view(b.seat.p, b.seat.memory());
  for (const double r : {3.0, 6.0, 9.0}) {
    b.step(1, 2, 1, static_cast<float>(r), 0, 0, Episode::ended);
  }
  EXPECT_DOUBLE_EQ(m.q[6 + 5], 6.0);  // the mean
  EXPECT_EQ(m.visits[6 + 5], 3u);
  EXPECT_EQ(m.visits[6 + 4], 0u);
}

TEST(FriendOrFoeQ, TeamsPlanTogether) {
  const int actions[4] = {2, 2, 2, 3};
  FriendOrFoeQ::Config c;
  c.rule.teams = {0, 1, 1, 0};
  const auto make = [&](int agent) {
    return TeamRule::make(c.rule, spec_of(agent, 4, actions, 1));
  };
  const TeamRule first = make(0);
  const TeamRule last = make(3);
  EXPECT_EQ(first.plans, 6);
  EXPECT_EQ(first.foes(), 4);
  EXPECT_EQ(first.speaker, 0);
  EXPECT_EQ(last.speaker, 0);
  EXPECT_EQ(make(1).speaker, 1);
  EXPECT_EQ(make(1).plans, 4);
  for (int plan = 0; plan < 6; ++plan) {  // plan = 3 * own + that of agent 3, for both members
    EXPECT_EQ(plan / first.plan_weight % 2, plan / 3);
    EXPECT_EQ(plan / last.plan_weight % 3, plan % 3);
  }
  c.rule.teams = {0, 1};
  EXPECT_THROW(make(0), ParameterError);
  const int large[2] = {17, 3};
  EXPECT_THROW(MinimaxRule::make({}, spec_of(0, 2, large, 1)), ParameterError);
}

TEST(NashQ, LearnsBothTables) {
  NashQ::Config c;
  c.rate.alpha = 0.5;
  c.gamma = 0.9;
  Two<NashQ> b(c, 1);
  const auto m = NashQ::view(b.seat.p, b.seat.memory());
  b.step(1, 2, 1, 4.0F, 2.0F, 0, Episode::ended);
  EXPECT_DOUBLE_EQ(m.q[12 + 5], 2.0);
  EXPECT_DOUBLE_EQ(m.q[12 + 6 + 5], 1.0);
  EXPECT_DOUBLE_EQ(m.value[2], 2.0);  // (2, 1) is the equilibrium with the highest sum
  EXPECT_DOUBLE_EQ(m.value[3], 1.0);
  EXPECT_EQ(b.seat.policy(1, 2), (std::vector<double>{0, 1}));
  b.step(0, 0, 0, 1.0F, -1.0F, 1, Episode::cut);
  EXPECT_DOUBLE_EQ(m.q[0], 0.5 * (1.0 + 0.9 * 2.0));
  EXPECT_DOUBLE_EQ(m.q[6], 0.5 * (-1.0 + 0.9 * 1.0));
}

// Chicken: utilitarian (1/2, 1/4, 1/4, 0), 5.25 each (games.md).
TEST(CorrelatedQ, SolvesChicken) {
  const int actions[2] = {2, 2};
  for (const int objective : {0, 1}) {
    CorrelatedQ::Config c;
    c.rate.alpha = 1.0;
    c.gamma = 0.5;
    c.rule.objective.value = objective;
    set_epsilon(c.exploration, 0.0);
    Seat<CorrelatedQ> row(c, spec_of(0, 2, actions, 2), {1, 0});
    Seat<CorrelatedQ> column(c, spec_of(1, 2, actions, 2), {1, 0});
    const float u1[4] = {6, 2, 7, 0};
    const float u2[4] = {6, 7, 2, 0};
    for (int cell = 0; cell < 4; ++cell) {
      const int played[2] = {cell / 2, cell % 2};
      const float rewards[2] = {u1[cell], u2[cell]};
      for (auto* seat : {&row, &column}) {
        const int agent = seat == &row ? 0 : 1;
        CorrelatedQ::learn(
            seat->p, seat->memory(), 1, 0,
            Transition{played, rewards, agent, 2, Episode::ended, 0, {1, 0}, nullptr});
      }
    }
    const auto m = CorrelatedQ::view(row.p, row.memory());
    EXPECT_NEAR(m.value[2], 5.25, 1e-9);
    EXPECT_NEAR(m.value[3], 5.25, 1e-9);
    const double expected[4] = {0.5, 0.25, 0.25, 0};
    for (int cell = 0; cell < 4; ++cell) EXPECT_NEAR(m.strategy[4 + cell], expected[cell], 1e-9);
    EXPECT_NEAR(row.policy(1, 2)[0], 0.75, 1e-9);
    // both follow one recommendation: (1, 1) never comes up (n = 4000)
    double seen[4] = {};
    for (uint64_t t = 0; t < 4000; ++t) {
      const int a = CorrelatedQ::act(row.p, row.memory(), 1, 1u << 31, t);
      seen[a * 2 + CorrelatedQ::act(column.p, column.memory(), 1, 77, t)] += 1.0 / 4000;
    }
    for (int cell = 0; cell < 4; ++cell) {
      EXPECT_NEAR(seen[cell], expected[cell],
                  4 * std::sqrt(expected[cell] * (1 - expected[cell]) / 4000));
    }
  }
}

TEST(DistributedQ, BelievesTheBestAndKeepsItsChoice) {
  DistributedQ::Config c;
  c.gamma = 0.5;
  set_epsilon(c.exploration, 0.0);
  Two<DistributedQ> b(c);
  double* here = DistributedQ::Base::row(b.seat.p, b.seat.memory(), 0);
  DistributedQ::Base::row(b.seat.p, b.seat.memory(), 1)[0] = 4.0;
  EXPECT_EQ(b.act(0, 1), 0);
  b.step(0, 2, 0, 1.0F, 0, 1, Episode::goes_on);  // 1 + 0.5 * 4
  EXPECT_DOUBLE_EQ(here[2], 3.0);
  EXPECT_EQ(b.act(0, 1), 2);
  b.step(0, 1, 0, 3.0F, 0, 1, Episode::ended);  // as good, not better
  EXPECT_DOUBLE_EQ(here[1], 3.0);
  EXPECT_EQ(b.act(0, 1), 2);
  b.step(0, 2, 0, -5.0F, 0, 1, Episode::goes_on);  // worse: nothing happens
  EXPECT_DOUBLE_EQ(here[2], 3.0);
  b.step(0, 1, 0, 2.0F, 0, 1, Episode::cut);  // 2 + 0.5 * 4
  EXPECT_DOUBLE_EQ(here[1], 4.0);
  EXPECT_EQ(b.seat.policy(0, 3), (std::vector<double>{0, 1, 0}));
}

// Three actions, the last of which is the option; alpha 1/2, gamma 1/2, all values 4 at first.
TEST(OutsideOptionQ, TakesTheOptionUpAndGivesItUp) {
  using L = OutsideOptionQ;
  L::Config c;
  c.alpha = 0.5;
  c.gamma = 0.5;
  c.init.value = 4.0;
  set_epsilon(c.exploration, 0.0);
  Two<L> b(c);
  double* here = L::Base::row(b.seat.p, b.seat.memory(), 0);
  double* there = L::Base::row(b.seat.p, b.seat.memory(), 1);
  const auto row = [&] { return std::vector<double>(here, here + 3); };
  EXPECT_EQ(b.act(0, 1), 0);
  b.step(0, 2, 0, 4.0F, 0, 1, Episode::goes_on);  // 4 + 1/2 (4 + 4/2 - 4): above the best
  EXPECT_EQ(row(), (std::vector<double>{4, 4, 5}));
  EXPECT_EQ(b.act(0, 1), 2);
  EXPECT_EQ(b.seat.policy(0, 3), (std::vector<double>{0, 0, 1}));
  // an observation is worth what its best action is, the option among them: 4 + 1/2 (5/2 - 4)
  b.step(1, 1, 0, 0.0F, 0, 0, Episode::goes_on);
  EXPECT_EQ(there[1], 3.25);
  b.step(0, 1, 0, 1.0F, 0, 1, Episode::goes_on);  // another action falls: nothing changes
  EXPECT_EQ(row(), (std::vector<double>{4, 3.5, 5}));
  EXPECT_EQ(b.act(0, 1), 2);
  // the option falls, and is given up although it is still worth more than any other
  b.step(0, 2, 0, 2.5F, 0, 1, Episode::cut);  // 5 + 1/2 (2.5 + 4/2 - 5)
  EXPECT_EQ(row(), (std::vector<double>{4, 3.5, 4.75}));
  EXPECT_EQ(b.act(0, 1), 0);
  // and the observation is worth 4 again: 3.25 + 1/2 (4/2 - 3.25)
  b.step(1, 1, 0, 0.0F, 0, 0, Episode::goes_on);
  EXPECT_EQ(there[1], 2.625);
  // fallen once more, it is above the best, so taken up
  b.step(0, 2, 0, 4.25F, 0, 1, Episode::ended);  // 4.75 + 1/2 (4.25 - 4.75)
  EXPECT_EQ(row(), (std::vector<double>{4, 3.5, 4.5}));
  EXPECT_EQ(b.act(0, 1), 2);
  b.step(0, 1, 0, 6.5F, 0, 1, Episode::ended);  // another action rises above it: (3.5 + 6.5) / 2
  EXPECT_EQ(b.act(0, 1), 1);
  b.step(0, 1, 0, 0.0F, 0, 1, Episode::ended);  // and falls: the best but the option, 4.5
  EXPECT_EQ(row(), (std::vector<double>{4, 2.5, 4.5}));
  EXPECT_EQ(b.act(0, 1), 0);
}

// Of 3 * 2^14 steps that all explore, none plays the option, and the others share them within 4 s.e.
TEST(OutsideOptionQ, DoesNotExploreTheOption) {
  OutsideOptionQ::Config c;
  set_epsilon(c.exploration, 1.0);
  Two<OutsideOptionQ> b(c);
  constexpr int kSteps = 3 << 14;
  int played[3] = {};
  for (uint32_t t = 0; t < kSteps; ++t)
    ++played[b.act(0, philox({3, 0}, t, Stream::explore, 0).x0)];
  EXPECT_EQ(played[2], 0);
  EXPECT_NEAR(played[0], kSteps / 2, 4 * std::sqrt(kSteps / 4.0));
}

TEST(OutsideOptionQ, RefusesWhatItCannotDo) {
  OutsideOptionQ::Config c;
  set_boltzmann(c.exploration, 1.0);
  EXPECT_THROW(Two<OutsideOptionQ> b(c), ParameterError);
  set_epsilon(c.exploration, 0.0);
  const int one[1] = {1};
  EXPECT_THROW(Seat<OutsideOptionQ>(c, spec_of(0, 1, one, 2), {1, 0}), ParameterError);
}

TEST(LenientQ, ForgivesByTemperature) {
  LenientQ::Config c;
  c.alpha = 0.5;
  c.gamma = 0.5;
  c.max_temperature = 2.0;
  c.min_temperature = 0.5;
  c.decay = 0.9;
  c.diffusion = 0.25;
  c.leniency_moderation = 1.5;
  Two<LenientQ> b(c);
  double* q = LenientQ::Base::row(b.seat.p, b.seat.memory(), 0);
  double* temperature = LenientQ::temperatures(b.seat.p, b.seat.memory(), 0);
  double* next = LenientQ::temperatures(b.seat.p, b.seat.memory(), 1);
  next[0] = 5.0;  // mean 3
  LenientQ::Base::row(b.seat.p, b.seat.memory(), 1)[1] = 2.0;
  b.step(0, 1, 0, 3.0F, 0, 1, Episode::goes_on);
  EXPECT_DOUBLE_EQ(q[1], 2.0);                                        // good news: always
  EXPECT_DOUBLE_EQ(temperature[1], 0.9 * (0.75 * 2.0 + 0.25 * 3.0));  // diffused, decayed
  temperature[1] = 2.0;
  b.step(0, 1, 0, 3.0F, 0, 1, Episode::ended);
  EXPECT_DOUBLE_EQ(temperature[1], 0.9 * 2.0);
  // bad news is left out with probability exp(-1 / (1.5 * 2)) = 0.7165, n = 20000
  int forgiven = 0;
  for (uint64_t t = 0; t < 20'000; ++t) {
    q[1] = 2.0;
    temperature[1] = 2.0;
    b.step(0, 1, 0, -4.0F, 0, 1, Episode::ended, t);
    if (q[1] == 2.0) {
      ++forgiven;
    } else {
      EXPECT_DOUBLE_EQ(q[1], 2.0 + 0.5 * (-4.0 - 2.0));
    }
  }
  const double expected = std::exp(-1.0 / 3.0);
  EXPECT_NEAR(forgiven / 20'000.0, expected, 4 * std::sqrt(expected * (1 - expected) / 20'000));
  // softmax while warm, greedy when the mean is below 0.5
  q[0] = 1.0, q[1] = 0.5, q[2] = 0.9;
  std::fill(temperature, temperature + 3, 0.49);
  for (const uint32_t word : {0u, 1u << 31, ~0u}) EXPECT_EQ(b.act(0, word), 0);
  std::fill(temperature, temperature + 3, 0.51);
  EXPECT_EQ(b.act(0, ~0u), 2);
}

TEST(FrequencyAdjustedQ, MovesRareActionsFaster) {
  FrequencyAdjustedQ::Config c;
  c.alpha = 0.5;
  c.beta = 0.2;
  c.gamma = 0.5;
  set_boltzmann(c.exploration, 2.0);
  Two<FrequencyAdjustedQ> b(c);
  double* q = FrequencyAdjustedQ::Base::row(b.seat.p, b.seat.memory(), 0);
  FrequencyAdjustedQ::Base::row(b.seat.p, b.seat.memory(), 1)[2] = 4.0;
  const double start[3] = {2.0, 0.0, -4.0};
  std::copy(start, start + 3, q);
  const double total = std::exp(1.0) + 1.0 + std::exp(-2.0);
  const double x0 = std::exp(1.0) / total;
  EXPECT_NEAR(b.seat.policy(0, 3)[0], x0, 1e-15);
  b.step(0, 0, 0, 1.0F, 0, 1, Episode::goes_on);
  EXPECT_NEAR(q[0], 2.0 + 0.2 / x0 * 0.5 * (1.0 + 2.0 - 2.0), 1e-14);
  q[0] = 2.0;
  b.step(0, 2, 0, 1.0F, 0, 1, Episode::ended);  // x = 0.035 < beta: the whole rate
  EXPECT_NEAR(q[2], -4.0 + 0.5 * (1.0 + 4.0), 1e-14);
  c.exploration.kind.value = Exploration::kEpsilonGreedy;
  EXPECT_THROW(Two<FrequencyAdjustedQ>{c}, ParameterError);
}

TEST(MeanFieldQ, MeansAreNumberedOnceEach) {
  const int actions[6] = {3, 3, 3, 3, 3, 3};
  MeanFieldQ::Config c;
  Seat<MeanFieldQ> seat(c, spec_of(0, 6, actions, 1), {1, 0});
  ASSERT_EQ(seat.p.means, 21u);  // 5 neighbours, 3 actions: C(7, 2)
  std::vector<bool> seen(21, false);
  for (int x = 0; x <= 5; ++x) {
    for (int y = 0; x + y <= 5; ++y) {
      const int count[3] = {5 - x - y, x, y};
      const uint32_t rank = seat.p.rank(count);
      ASSERT_LT(rank, 21u);
      EXPECT_FALSE(seen[rank]);
      seen[rank] = true;
    }
  }
  const int even[3] = {2, 2, 1};
  EXPECT_EQ(seat.p.first_mean, seat.p.rank(even));
  const int two[5] = {2, 2, 2, 2, 2};
  Seat<MeanFieldQ> ising(c, spec_of(0, 5, two, 1), {1, 0});
  EXPECT_EQ(ising.p.means, 5u);
  for (int up = 0; up <= 4; ++up) {
    const int count[2] = {4 - up, up};
    EXPECT_EQ(ising.p.rank(count), static_cast<uint32_t>(up));
  }
}

TEST(MeanFieldQ, LearnsTheMeanItMetAndAnswersIt) {
  MeanFieldQ::Config c;
  c.alpha = 0.5;
  c.gamma = 0.5;
  set_boltzmann(c.exploration, 2.0);
  const int actions[5] = {2, 2, 2, 2, 2};
  AgentSpec spec = spec_of(0, 5, actions, 2);
  spec.neighbours = {4, 2, 1};
  Seat<MeanFieldQ> seat(c, spec, {1, 0});
  const int played[5] = {1, 1, 0, 1, 1};  // two of the three neighbours play 1
  const float rewards[5] = {3, 0, 0, 0, 0};
  double* next = MeanFieldQ::row(seat.p, seat.memory(), 1, 2);
  next[0] = 2.0;
  const auto learn = [&](Episode e) {
    MeanFieldQ::learn(seat.p, seat.memory(), 0, 1,
                      Transition{played, rewards, 0, 5, e, 0, {1, 0}, nullptr});
  };
  learn(Episode::goes_on);
  const double x = std::exp(1.0) / (std::exp(1.0) + 1.0);
  double* q = MeanFieldQ::row(seat.p, seat.memory(), 0, 2);
  EXPECT_NEAR(q[1], 0.5 * (3.0 + 0.5 * x * 2.0), 1e-15);
  EXPECT_NEAR(seat.policy(1, 2)[0], x, 1e-15);  // at mean 2
  q[1] = 0;
  learn(Episode::ended);
  EXPECT_NEAR(q[1], 1.5, 1e-15);
  EXPECT_EQ(seat.policy(1, 2)[0], 0.5);  // a new episode starts at the even mean, 1
}

// ---------------------------------------------------------------- max-plus

/// The graph with these edges and random payoffs; the best joint action by trying all.
struct RandomGraph {
  HostArena arena;
  CoordinationGraph graph;
  std::vector<double> payoffs;
  double best;
  RandomGraph(const std::vector<int>& ends, const std::vector<int>& actions, uint64_t seed) {
    const AgentSpec spec = spec_of(0, static_cast<int>(actions.size()), actions.data(), 1);
    graph = CoordinationGraph::make(ends, spec, arena);
    for (uint32_t k = 0; k < graph.payoffs; ++k) {
      // whole numbers from 0 to 4, so that there are ties
      payoffs.push_back(below(philox({seed, 0}, k, Stream::init, 0).x0, 5));
    }
    std::vector<int32_t> chosen(actions.size(), 0);
    best = -1;
    for (bool more = true; more;) {
      best = std::max(best, graph_payoff(graph, payoffs.data(), chosen.data()));
      more = false;
      for (size_t i = 0; i < chosen.size() && !more; ++i) {
        more = ++chosen[i] < actions[i];
        if (!more) chosen[i] = 0;
      }
    }
  }
  double found(int rounds) {
    std::vector<double> messages(graph.message_count()), beliefs(graph.belief_count());
    std::vector<int32_t> trial(static_cast<size_t>(graph.agents)), chosen(trial.size());
    max_plus(graph, payoffs.data(), rounds, messages.data(), beliefs.data(), trial.data(),
             chosen.data());
    return graph_payoff(graph, payoffs.data(), chosen.data());
  }
};

TEST(MaxPlus, IsExactOnTrees) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RandomGraph tree({3, 0, 0, 1, 1, 4, 1, 2, 5, 6}, {2, 3, 2, 4, 3, 2, 2}, seed);
    EXPECT_DOUBLE_EQ(tree.found(20), tree.best) << seed;
  }
}

// With a cycle nothing is promised; 200 random rings of 5 with a chord.
TEST(MaxPlus, IsGoodOnCycles) {
  double reached = 0;
  double best = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RandomGraph ring({0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 1, 3}, {3, 3, 3, 3, 3}, seed);
    const double found = ring.found(20);
    EXPECT_LE(found, ring.best);
    reached += found;
    best += ring.best;
  }
  std::printf("max-plus on rings: %.4f of the best, n = 200\n", reached / best);
  EXPECT_GT(reached / best, 0.97);
}

TEST(CoordinationGraphQ, MovesEdgesByTheirShareOfRewards) {
  const int actions[3] = {2, 2, 2};
  CoordinationGraphQ::Config c;
  c.alpha = 0.5;
  c.gamma = 0.9;
  c.edges = {{0, 1, 1, 2}, {2, 2}};
  set_epsilon(c.exploration, 0.0);
  Seat<CoordinationGraphQ> seat(c, spec_of(2, 3, actions, 2), {1, 0});
  const auto m = CoordinationGraphQ::view(seat.p, seat.memory());
  double* next = m.q + 8;
  next[3] = 4.0;                                                // (1, 1) of the first edge
  CoordinationGraphQ::chosen(seat.p, seat.memory(), 1)[0] = 1;  // as after a visit of 1
  CoordinationGraphQ::chosen(seat.p, seat.memory(), 1)[1] = 1;
  const int played[3] = {0, 1, 1};
  const float rewards[3] = {3, 4, 5};
  CoordinationGraphQ::learn(
      seat.p, seat.memory(), 0, 1,
      Transition{played, rewards, 2, 3, Episode::goes_on, 0, {1, 0}, nullptr});
  EXPECT_DOUBLE_EQ(m.q[1], 0.5 * (3.0 + 4.0 / 2 + 0.9 * 4.0));
  EXPECT_DOUBLE_EQ(m.q[4 + 3], 0.5 * (4.0 / 2 + 5.0));
  EXPECT_EQ(seat.policy(0, 2), (std::vector<double>{0, 1}));
  EXPECT_EQ(m.chosen[0], 0);
  EXPECT_EQ(m.chosen[1], 1);
  for (const Tensor& bad : {Tensor{{0, 1}, {1, 2}}, Tensor{{0, 0, 1, 2}, {2, 2}},
                            Tensor{{0, 1, 1, 3}, {2, 2}}, Tensor{{0, 1, 2}, {3}}}) {
    c.edges = bad;
    EXPECT_THROW((Seat<CoordinationGraphQ>(c, spec_of(0, 3, actions, 1), {1, 0})), ParameterError);
  }
}

// ---------------------------------------------------------------- what is learned

template <class L>
typename L::Config table_settings() {
  typename L::Config c;
  c.alpha = 0.1;
  c.gamma = 0.0;
  set_epsilon(c.exploration, 1.0, 0.01, kFall998);
  return c;
}

// games.md section 2: 100% in all three.
TEST(Outcome, CentralQFindsTheBest) {
  for (const std::string game : {"climbing", "climbing_partially_stochastic"}) {
    EXPECT_GE(share<CentralQ>(game, table_settings<CentralQ>(), 5000, 200, {"0,0"}), 0.96);
  }
  EXPECT_GE(share<CentralQ>("penalty", table_settings<CentralQ>(), 5000, 200, {"0,0", "2,2"}),
            0.96);
}

// games.md section 2: 0% optimal in all three, 96.6% (b, c) in climbing.
TEST(Outcome, JointActionLearnersPlaySafe) {
  using L = JointActionLearner;
  const auto c = table_settings<L>();
  EXPECT_LE(share<L>("climbing", c, 5000, 200, {"0,0"}), 0.04);
  EXPECT_NEAR(share<L>("climbing", c, 5000, 400, {"1,2"}), 0.966, 0.04);
  EXPECT_LE(share<L>("penalty", c, 5000, 200, {"0,0", "2,2"}), 0.04);
  EXPECT_LE(share<L>("climbing_partially_stochastic", c, 5000, 200, {"0,0"}), 0.04);
}

// games.md section 2: 100, 100, 0% after 3,000 steps with epsilon 0.2.
TEST(Outcome, DistributedQIsOptimistic) {
  using L = DistributedQ;
  L::Config c;
  c.gamma = 0;
  set_epsilon(c.exploration, 0.2);
  EXPECT_GE(share<L>("climbing", c, 3000, 200, {"0,0"}), 0.96);
  EXPECT_GE(share<L>("penalty", c, 3000, 200, {"0,0", "2,2"}), 0.96);
  EXPECT_LE(share<L>("climbing_partially_stochastic", c, 3000, 200, {"0,0"}), 0.04);
}

TEST(Outcome, SarsaLearnsAsQLearningWhereNothingFollows) {
  using L = Sarsa;
  L::Config c = table_settings<L>();
  EXPECT_LE(share<L>("climbing", c, 5000, 200, {"0,0"}), 0.04);  // independent Q: 0
}

TEST(Outcome, LenientQClimbs) {
  LenientQ::Config c;
  EXPECT_GE(share<LenientQ>("climbing", c, 15'000, 200, {"0,0"}), 0.9);
  EXPECT_GE(share<LenientQ>("penalty", c, 15'000, 200, {"0,0", "2,2"}), 0.9);
}

// Opponent-model learners find an equilibrium of a coordination game.
TEST(Outcome, OpponentModelQCoordinates) {
  auto c = table_settings<OpponentModelQ>();
  EXPECT_GE(share<OpponentModelQ>("coordination", c, 5000, 200, {"0,0", "1,1"}), 0.99);
}

// A common best joint action is found by friends, and over a graph of one edge.
TEST(Outcome, FriendsAndGraphsClimb) {
  FriendOrFoeQ::Config friends;
  friends.gamma = 0;
  friends.rule.teams = {0, 0};
  set_epsilon(friends.exploration, 1.0, 0.01, kFall998);
  EXPECT_GE(share<FriendOrFoeQ>("climbing", friends, 5000, 200, {"0,0"}), 0.99);
  EXPECT_GE(share<CoordinationGraphQ>("climbing", table_settings<CoordinationGraphQ>(), 5000, 200,
                                      {"0,0"}),
            0.99);
}

/// Mean of P(action 0) over agents and runs after `steps`, and its standard error over runs.
template <class L>
std::pair<double, double> first_action(const std::string& game, const typename L::Config& config,
                                       uint64_t steps, int runs) {
  HostArena arena;
  const auto env = named_game(game, arena);
  double sum = 0;
  double squares = 0;
  for (int run = 0; run < runs; ++run) {
    Trial<MatrixGame, L> trial(env, {config}, {1, static_cast<uint64_t>(run)});
    trial.play(steps);
    const double p = (trial.policy(0, 0)[0] + trial.policy(1, 0)[0]) / 2;
    sum += p;
    squares += p * p;
  }
  const double mean = sum / runs;
  const double se = std::sqrt(std::max(0.0, squares / runs - mean * mean) / runs);
  std::printf("%s in %s: P(0) = %.6f, n = %d, s.e. %.6f\n", L::kFacts.name, game.c_str(), mean,
              runs, se);
  return {mean, se};
}

// games.md section 2: the rest points in the prisoner's dilemma are quantal responses.
TEST(Outcome, FrequencyAdjustedQFindsQuantalResponses) {
  for (const auto& [temperature, expected] :
       {std::pair{2.0, 0.338648}, {1.0, 0.226751}, {0.5, 0.099788}}) {
    FrequencyAdjustedQ::Config c;
    c.alpha = 0.01;
    c.beta = 0.05;
    c.gamma = 0;
    set_boltzmann(c.exploration, temperature);
    const auto [mean, se] = first_action<FrequencyAdjustedQ>("prisoners_dilemma", c, 60'000, 40);
    EXPECT_NEAR(mean, expected, 0.004 + 4 * se) << temperature;
  }
}

TEST(Outcome, MinimaxQMixesInMatchingPennies) {
  MinimaxQ::Config c;
  c.gamma = 0;
  set_epsilon(c.exploration, 0.2);
  const auto [mean, se] = first_action<MinimaxQ>("matching_pennies", c, 2000, 20);
  EXPECT_NEAR(mean, 0.5, 1e-9 + 4 * se);
  const auto [dilemma, se2] = first_action<NashQ>("prisoners_dilemma", {}, 2000, 20);
  EXPECT_EQ(dilemma, 0.0);
  EXPECT_EQ(se2, 0.0);
}

/// What the agents' strategies are worth where the game starts, and what best responses to them
/// would be.
struct Judged {
  double value[2];
  double best[2];
  double gap() const { return best[0] - value[0] + (best[1] - value[1]); }
};
template <class L>
Judged judge(const StochasticGame::Params& env, Trial<StochasticGame, L>& trial, double gamma) {
  const StochasticGameView game = StochasticGame::view(env);
  const std::vector<double> pi[2] = {trial.strategies(0), trial.strategies(1)};
  const double* strategies[2] = {pi[0].data(), pi[1].data()};
  std::vector<double> values(static_cast<size_t>(game.states) * 2, 0.0);
  EXPECT_TRUE(policy_values(game, strategies, gamma, 1e-10, 5000, values.data()).ok);
  Judged out{};
  for (int i = 0; i < 2; ++i) {
    std::vector<double> best(static_cast<size_t>(game.states), 0.0);
    EXPECT_TRUE(
        best_response_values(game, i, strategies, gamma, 1e-10, 5000, best.data(), nullptr).ok);
    for (uint32_t k = 0; k < env.starts; ++k) {
      const auto s = static_cast<size_t>(env.start[k]);
      out.value[i] += values[s * 2 + static_cast<size_t>(i)] / env.starts;
      out.best[i] += best[s] / env.starts;
    }
  }
  return out;
}
StochasticGame::Params stochastic_game(int number, bool restart, Arena& arena) {
  StochasticGame::Config config;
  config.game.value = number;
  config.restart = restart;
  return StochasticGame::make(config, arena);
}

// With Littman's settings a best responder wins 0.040 (s.d. 0.022 over 20 sides) against a side.
TEST(Outcome, MinimaxQIsHardToExploitInSoccer) {
  HostArena arena;
  const auto env = stochastic_game(0, false, arena);
  MinimaxQ::Config c;
  c.rate.alpha = 1.0;
  c.rate.decay_rate = std::log(100.0) / 1e6;
  c.rate.end = 0.01;
  c.gamma = 0.9;
  c.initial = 1.0;
  set_epsilon(c.exploration, 0.2);
  Trial<StochasticGame, MinimaxQ> trial(env, {c}, {1, 0});
  trial.play(1'000'000);
  const Judged judged = judge(env, trial, 0.9);
  std::printf("minimax_q in soccer: a best responder wins %.4f and %.4f, n = 1\n", judged.best[1],
              judged.best[0]);
  EXPECT_LT(judged.best[0], 0.12);
  EXPECT_LT(judged.best[1], 0.12);
  EXPECT_GE(judged.gap(), 0.0);
}

// games.md section 2: game 1 is worth (97.0299, 97.0299), game 2 98.01 to one and 49.005 to the
// other; n = 3 each.
TEST(Outcome, NashQFindsEquilibriaOfGridGames) {
  for (const int game : {1, 2}) {
    HostArena arena;
    const auto env = stochastic_game(3 + game, true, arena);
    NashQ::Config c;
    c.rate.alpha = 1.0;
    c.rate.schedule.value = LearningRate::kVisits;
    c.rate.power = 0.75;
    c.gamma = 0.99;
    set_epsilon(c.exploration, 0.5);
    for (uint64_t run = 0; run < 3; ++run) {
      Trial<StochasticGame, NashQ> trial(env, {c}, {1, run});
      trial.play(400'000);
      const Judged judged = judge(env, trial, 0.99);
      EXPECT_NEAR(judged.gap(), 0.0, 1e-3);
      const auto [least, most] = std::minmax(judged.value[0], judged.value[1]);
      EXPECT_NEAR(least, game == 1 ? 97.0299 : 49.005, 1e-3);
      EXPECT_NEAR(most, game == 1 ? 97.0299 : 98.01, 1e-3);
    }
  }
}

}  // namespace
}  // namespace cumarl
