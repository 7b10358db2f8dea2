// The measures of [evaluation] measures: regret, notions of convergence, welfare, equilibrium selection,
// transfer entropy, difference rewards and shares of games won, against hand calculations and
// calculations of the tests' own.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "cumarl/error.hpp"
#include "cumarl/runner.hpp"
#include "envs/matrix_game.hpp"
#include "envs/stochastic_game.hpp"
#include "kernels/rollout/launch_args.hpp"
#include "kernels/solvers/play_measures.hpp"

namespace cumarl {
namespace {

struct Report {
  void metric(const char* name, double value, int agent = -1) {
    values[agent < 0 ? name : std::string(name) + "_agent" + std::to_string(agent)] = value;
  }
  void share(const char* name, uint64_t label, Label = Label::number) { shares[name] = label; }
  void curve(const char* name, int, double value) { curves[name].push_back(value); }
  std::map<std::string, double> values;
  std::map<std::string, uint64_t> shares;
  std::map<std::string, std::vector<double>> curves;
};

/// Positions in the list of games of matrix_game.hpp.
enum Game {
  kPrisoners = 0,
  kStagHunt = 1,
  kPennies = 4,
  kClimbing = 8,
  kPartly = 9,
  kPenalty = 11
};

MatrixGame::Params matrix_game(Arena& arena, int game, int reward = 0,
                               std::vector<int> default_action = {0}) {
  MatrixGame::Config config;
  config.stage.game.value = game;
  config.stage.reward.value = reward;
  config.stage.default_action = std::move(default_action);
  return MatrixGame::make(config, arena);
}

/// A run that played what it is told and ends with a profile of strategies.
struct PlayedRun {
  explicit PlayedRun(const MatrixGame::Params& p)
      : params(p), memory(MatrixGame::tally_bytes(p) / sizeof(double), 0.0) {}

  /// One step in which the agents drew `actions` from `strategies`.
  void step(std::vector<int> actions, const std::vector<double>& strategies,
            Episode episode = Episode::goes_on, bool late = false) {
    std::copy(strategies.begin(), strategies.end(), memory.begin());
    MatrixGame::tally(params, actions.data(), episode, late,
                      reinterpret_cast<std::byte*>(memory.data()));
  }
  /// The same by pure strategies.
  void step(const std::vector<int>& actions, bool late = false) {
    std::vector<double> strategies;
    for (int i = 0; i < params.players; ++i) {
      for (int a = 0; a < params.actions[i]; ++a) {
        strategies.push_back(a == actions[static_cast<size_t>(i)] ? 1.0 : 0.0);
      }
    }
    step(actions, strategies, Episode::goes_on, late);
  }
  Report report(std::vector<double> profile) {
    at_end = std::move(profile);
    Report out;
    MatrixGame::evaluate(params, MatrixGame::State{}, *this, RunFacts{100, 7, true}, out);
    return out;
  }

  // what an evaluation asks of a policy
  void act(const MatrixGame::Params&, const MatrixGame::State&, int*, uint64_t = 0) const {}
  void distribution(const MatrixGame::Params& p, const MatrixGame::State&, int agent,
                    double* out) const {
    size_t from = 0;
    for (int i = 0; i < agent; ++i) from += static_cast<size_t>(p.actions[i]);
    for (int a = 0; a < p.actions[agent]; ++a) out[a] = at_end[from + static_cast<size_t>(a)];
  }
  bool deterministic() const { return false; }
  double discount(int) const { return 0.9; }
  const Evaluation& evaluation() const { return settings; }
  RunKey key() const { return {4, 2}; }
  uint32_t points() const { return 0; }
  uint64_t points_every() const { return 0; }
  const double* point(uint32_t) const { return nullptr; }
  std::byte* tally() const {
    return const_cast<std::byte*>(reinterpret_cast<const std::byte*>(memory.data()));
  }

  MatrixGame::Params params;
  std::vector<double> memory;
  std::vector<double> at_end;
  Evaluation settings{1, 1, 0, true};
};

const std::vector<double> kBothFirst{1, 0, 1, 0};
const std::vector<double> kBothSecond{0, 1, 0, 1};

// ---- Regret -------------------------------------------------------------------------------------

TEST(Regret, ByHandInMatchingPennies) {
  HostArena arena;
  PlayedRun run(matrix_game(arena, kPennies));
  // Player 0 wins 1 where they match. Three matches and one mismatch, all with player 1 at 0.
  for (int t = 0; t < 3; ++t) run.step({0, 0});
  run.step({1, 0});
  const Report r = run.report(kBothFirst);
  // player 0 got 3 - 1 = 2 and had got 4 with 0; player 1 got -2 and had got +2 with 1
  EXPECT_DOUBLE_EQ(r.values.at("regret_agent0"), 2.0 / 4);
  EXPECT_DOUBLE_EQ(r.values.at("regret_agent1"), 4.0 / 4);
  EXPECT_DOUBLE_EQ(r.values.at("strategy_regret_agent0"), 2.0 / 4);
}

TEST(Regret, CanBeNegativeWherePlayChanges) {
  HostArena arena;
  PlayedRun run(matrix_game(arena, kPennies));
  run.step({0, 0});
  run.step({1, 1});
  const Report r = run.report(kBothFirst);
  EXPECT_DOUBLE_EQ(r.values.at("regret_agent0"), -1.0);  // got 2; either action had got 0
  EXPECT_DOUBLE_EQ(r.values.at("regret_agent1"), 1.0);
}

TEST(Regret, OfStrategiesIsByTheirProducts) {
  HostArena arena;
  PlayedRun run(matrix_game(arena, kPennies));
  run.step({0, 1}, {0.5, 0.5, 0.25, 0.75});
  run.step({0, 1}, {1.0, 0.0, 1.0, 0.0});
  const Report r = run.report(kBothFirst);
  // player 0 got 0 + 1; against 0.25 + 1 times 0 and 0.75 + 0 times 1, playing 0 had got -0.5 + 1
  EXPECT_DOUBLE_EQ(r.values.at("strategy_regret_agent0"), (0.5 - 1.0) / 2);
  // player 1 got 0 - 1; against (0.5, 0.5) and (1, 0), playing 1 had got 0 + 1
  EXPECT_DOUBLE_EQ(r.values.at("strategy_regret_agent1"), (1.0 + 1.0) / 2);
  // of play: twice (0, 1), which player 0 lost
  EXPECT_DOUBLE_EQ(r.values.at("regret_agent0"), 2.0);
  EXPECT_DOUBLE_EQ(r.values.at("regret_agent1"), 0.0);
}

// ---- The notions of convergence -------------------------------------------------------------------

// Stag hunt: (4, 4), (3, 3) and stag with 3/4, worth 3. Three times stag, once hare, by pure strategies.
TEST(Convergence, DistancesByHandInTheStagHunt) {
  HostArena arena;
  PlayedRun run(matrix_game(arena, kStagHunt));
  for (int t = 0; t < 3; ++t) run.step({0, 0});
  run.step({1, 1});
  const Report r = run.report({0.9, 0.1, 0.8, 0.2});
  EXPECT_NEAR(r.values.at("policy_distance"), (0.15 + 0.15 + 0.05 + 0.05) / 4, 1e-15);  // to mixed
  // both get: row .8 * 4 * .9 + .1 * 3, column .72 * 4 + .2 * 3
  EXPECT_NEAR(r.values.at("expected_return_distance"),
              (std::fabs(.72 * 4 + .1 * 3 - 3) + std::fabs(.72 * 4 + .2 * 3 - 3)) / 2, 1e-12);
  // the distribution (3/4, 0, 0, 1/4): 1/4 from stag, 3/4 from hare, 3/8 from the mixed one
  EXPECT_NEAR(r.values.at("empirical_distance"), 0.25, 1e-15);
  EXPECT_NEAR(r.values.at("average_policy_distance"), 0.25, 1e-15);
  // each agent alone plays stag with 3/4, as in the mixed equilibrium: only together they do not
  EXPECT_NEAR(r.values.at("empirical_marginal_distance"), 0, 1e-15);
  EXPECT_NEAR(r.values.at("average_marginal_distance"), 0, 1e-15);
  EXPECT_NEAR(r.values.at("average_return_distance"), 4 - 3.75, 1e-12);
}

TEST(Convergence, PlayAndStrategiesAreToldApart) {
  HostArena arena;
  PlayedRun run(matrix_game(arena, kPennies));
  // uniform strategies that always come out as (0, 0)
  for (int t = 0; t < 5; ++t) run.step({0, 0}, {0.5, 0.5, 0.5, 0.5});
  const Report r = run.report({0.5, 0.5, 0.5, 0.5});
  EXPECT_DOUBLE_EQ(r.values.at("policy_distance"), 0);
  EXPECT_DOUBLE_EQ(r.values.at("average_policy_distance"), 0);
  EXPECT_DOUBLE_EQ(r.values.at("average_return_distance"), 0);
  EXPECT_DOUBLE_EQ(r.values.at("empirical_distance"), 0.75);  // (1, 0, 0, 0) from 1/4 each
  EXPECT_DOUBLE_EQ(r.values.at("empirical_marginal_distance"), 0.5);
  EXPECT_DOUBLE_EQ(r.values.at("average_marginal_distance"), 0);
}

// A cycle through the corners of matching pennies: play has the equilibrium's distribution, and the
// averages are its, while no strategy ever is near it.
TEST(Convergence, AveragesConvergeWherePoliciesCycle) {
  HostArena arena;
  PlayedRun run(matrix_game(arena, kPennies));
  for (int t = 0; t < 8; ++t) run.step({t / 2 % 2, (t + 1) / 2 % 2});
  const Report r = run.report(kBothFirst);
  EXPECT_DOUBLE_EQ(r.values.at("policy_distance"), 0.5);
  EXPECT_DOUBLE_EQ(r.values.at("expected_return_distance"), 1);
  EXPECT_DOUBLE_EQ(r.values.at("empirical_distance"), 0);
  EXPECT_DOUBLE_EQ(r.values.at("average_policy_distance"), 0);
  EXPECT_DOUBLE_EQ(r.values.at("average_return_distance"), 0);
}

// ---- Welfare, Pareto optimality, selection --------------------------------------------------------

TEST(Welfare, ByHandInThePrisonersDilemma) {
  HostArena arena;
  PlayedRun run(matrix_game(arena, kPrisoners));
  run.step({1, 1});
  const Report defect = run.report(kBothSecond);
  EXPECT_DOUBLE_EQ(defect.values.at("welfare"), 2);
  EXPECT_DOUBLE_EQ(defect.values.at("welfare_min"), 1);
  EXPECT_DOUBLE_EQ(defect.values.at("welfare_share"), 2.0 / 6);
  EXPECT_EQ(defect.shares.at("pareto_optimal"), 0u);
  EXPECT_EQ(defect.values.at("pareto_probability"), 0);
  const Report exploit = run.report({0, 1, 1, 0});
  EXPECT_DOUBLE_EQ(exploit.values.at("welfare"), 5);
  EXPECT_DOUBLE_EQ(exploit.values.at("welfare_min"), 0);
  EXPECT_EQ(exploit.shares.at("pareto_optimal"),
            1u);  // 5 for one: nobody can gain without his loss
  // all but (defect, defect) are Pareto-optimal
  const Report mixed = run.report({0.75, 0.25, 0.5, 0.5});
  EXPECT_DOUBLE_EQ(mixed.values.at("pareto_probability"), 1 - 0.125);
  EXPECT_DOUBLE_EQ(mixed.values.at("welfare"), .375 * 6 + .375 * 5 + .125 * 5 + .125 * 2);
}

TEST(Selection, NearestEquilibriumAndDominance) {
  HostArena arena;
  PlayedRun run(matrix_game(arena, kStagHunt));
  run.step({0, 0});
  // Deviating from both stag loses 4 - 3, from both hare 3 - 0: products 1 and 9.
  const Report stag = run.report({0.95, 0.05, 1, 0});
  EXPECT_EQ(stag.shares.at("equilibrium"), 1u);
  EXPECT_EQ(stag.shares.at("payoff_dominant"), 1u);
  EXPECT_EQ(stag.shares.at("risk_dominant"), 0u);
  const Report hare = run.report(kBothSecond);
  EXPECT_EQ(hare.shares.at("equilibrium"), 2u);
  EXPECT_EQ(hare.shares.at("payoff_dominant"), 0u);
  EXPECT_EQ(hare.shares.at("risk_dominant"), 1u);
  EXPECT_EQ(run.report({0.75, 0.25, 0.75, 0.25}).shares.at("equilibrium"), 3u);
  const Report none = run.report({0.5, 0.5, 0, 1});
  EXPECT_EQ(none.shares.at("equilibrium"), 0u);
  EXPECT_EQ(none.shares.at("risk_dominant"), 0u);
}

TEST(Selection, DominanceIsReportedWhereThereIsOneOnly) {
  HostArena arena;
  // climbing: (11, 11) is preferred to all others; no 2 x 2 game
  const auto climbing = matrix_game(arena, kClimbing);
  EXPECT_EQ(climbing.payoff_dominant, 0);
  EXPECT_EQ(climbing.risk_dominant, -1);
  EXPECT_EQ(matrix_game(arena, kPenalty).payoff_dominant, -1);    // 10 twice
  EXPECT_EQ(matrix_game(arena, kPrisoners).payoff_dominant, -1);  // nothing to select
  // battle of the sexes: both products are 6; chicken: loss products 1 * 2 on either side
  EXPECT_EQ(matrix_game(arena, 3).risk_dominant, -1);
  EXPECT_EQ(matrix_game(arena, 2).risk_dominant, -1);
  // equilibria on the other diagonal: u = ((0, 0), (3, 1); (2, 2), (0, 0))
  const std::vector<double> table{0, 0, 3, 1, 2, 2, 0, 0};
  const int sizes[] = {2, 2};
  // losses at (0, 1): 3 - 0 and 1 - 0; at (1, 0): 2 - 0 and 2 - 0
  EXPECT_EQ(risk_dominant(normal_form(2, sizes, table.data())), 2);
}

// ---- Transfer entropy -----------------------------------------------------------------------------

TEST(TransferEntropy, ByHandOfAFollower) {
  HostArena arena;
  PlayedRun run(matrix_game(arena, kPennies));
  // agent 0 plays 0 0 1 1 0; agent 1 repeats it one step later
  const int lead[] = {0, 0, 1, 1, 0};
  int follower = 0;
  for (const int a : lead) {
    run.step({a, follower});
    follower = a;
  }
  const Report r = run.report(kBothFirst);
  // What agent 0 did determines agent 1: H(next | own) = 3/4 H(1/3), since own = 0 three times
  const double third = -(std::log2(1.0 / 3) / 3 + 2 * std::log2(2.0 / 3) / 3);
  EXPECT_NEAR(r.values.at("transfer_entropy_from_agent0_to_agent1"), 0.75 * third, 1e-12);
  // Backwards (next, own, other): 0 0 0, 1 0 0, 1 1 0, 0 1 1: own 0 has one other only; own 1: one bit
  EXPECT_NEAR(r.values.at("transfer_entropy_from_agent1_to_agent0"), 0.5, 1e-12);
  EXPECT_EQ(r.values.at("transfer_entropy_late_from_agent0_to_agent1"), 0);
}

/// From a sequence of joint actions, by probabilities in maps.
double entropy_of(const std::vector<std::array<int, 3>>& play, size_t from, size_t to) {
  std::map<std::array<int, 3>, double> all;
  std::map<std::array<int, 2>, double> both, own_next;
  std::map<int, double> own;
  for (size_t t = 1; t < play.size(); ++t) {
    const int next = play[t][to], mine = play[t - 1][to], his = play[t - 1][from];
    all[{next, mine, his}] += 1;
    both[{mine, his}] += 1;
    own_next[{next, mine}] += 1;
    own[mine] += 1;
  }
  double sum = 0;
  for (const auto& [key, count] : all) {
    const double given_both = count / both[{key[1], key[2]}];
    const double given_own = own_next[{key[0], key[1]}] / own[key[1]];
    sum += count / static_cast<double>(play.size() - 1) * std::log2(given_both / given_own);
  }
  return sum;
}

TEST(TransferEntropy, OfThreeAgentsWithDifferentActions) {
  HostArena arena;
  MatrixGame::Config config;
  config.stage.payoffs.shape = {3, 2, 3, 4};
  config.stage.payoffs.values.assign(72, 1.0);
  PlayedRun run(MatrixGame::make(config, arena));
  std::vector<std::array<int, 3>> play;
  std::vector<std::array<int, 3>> late;
  Rng rng({11, 0}, 0, Stream::dynamics);
  std::array<int, 3> now{0, 0, 0};
  const int steps = 4000;
  for (int t = 0; t < steps; ++t) {
    // 1 follows 0 half of the time, 2 follows 1 always
    const std::array<int, 3> next{static_cast<int>(rng.below(2)),
                                  rng.below(2) == 0 ? now[0] : static_cast<int>(rng.below(3)),
                                  now[1]};
    now = next;
    run.step({now[0], now[1], now[2]}, t >= 3000);
    play.push_back(now);
    if (t >= 2999) late.push_back(now);
  }
  const Report r = run.report({1, 0, 1, 0, 0, 1, 0, 0, 0});
  for (size_t from = 0; from < 3; ++from) {
    for (size_t to = 0; to < 3; ++to) {
      if (from == to) continue;
      const std::string pair =
          "from_agent" + std::to_string(from) + "_to_agent" + std::to_string(to);
      EXPECT_NEAR(r.values.at("transfer_entropy_" + pair), entropy_of(play, from, to), 1e-10)
          << pair;
      EXPECT_NEAR(r.values.at("transfer_entropy_late_" + pair), entropy_of(late, from, to), 1e-10);
    }
  }
  // 2's next action is 1's last one, and 1's alternate little: nearly all entropy of 1 is transferred
  EXPECT_GT(r.values.at("transfer_entropy_from_agent1_to_agent2"), 1.3);
  // of an independent agent only the bias: (2 - 1) 2 (4 - 1) / (2 ln 2 * 3999) = .0011
  EXPECT_LT(r.values.at("transfer_entropy_from_agent2_to_agent0"), 0.005);
}

TEST(TransferEntropy, DoesNotReachAcrossEpisodes) {
  HostArena arena;
  PlayedRun run(matrix_game(arena, kPennies));
  run.step({0, 0}, kBothFirst);
  run.step({1, 0}, kBothFirst, Episode::ended);
  run.step({1, 1}, kBothFirst);
  const PlayTally seen(normal_form(2, run.params.actions, nullptr), run.memory.data());
  double pairs = 0;
  for (int k = 0; k < 8; ++k) pairs += seen.follows[k];
  EXPECT_EQ(pairs, 1);
  EXPECT_EQ(*seen.steps, 3);
}

// ---- Rewards --------------------------------------------------------------------------------------

std::array<float, 2> rewards(const MatrixGame::Params& p, int a, int b, uint64_t t = 0) {
  const int actions[MatrixGame::kMaxAgents] = {a, b};
  float out[MatrixGame::kMaxAgents] = {};
  MatrixGame::State s{};
  Rng rng({5, 0}, t, Stream::dynamics);
  MatrixGame::step(p, s, actions, out, rng);
  return {out[0], out[1]};
}

// Climbing with default action c: D_1(aa) = 11 - 0, D_1(ba) = -30 - 0, D_1(cb) = 0.
TEST(DifferenceReward, ByHandInClimbing) {
  HostArena arena;
  const auto p = matrix_game(arena, kClimbing, MatrixStage::kDifference, {2});
  EXPECT_EQ(rewards(p, 0, 0), (std::array{11.0F, 11.0F}));
  EXPECT_EQ(rewards(p, 1, 0), (std::array{-30.0F, -30.0F - 6.0F}));  // 2 without: (b, c) pays 6
  EXPECT_EQ(rewards(p, 2, 1), (std::array{0.0F, 0.0F - 5.0F}));      // 2 without: (c, c) pays 5
  EXPECT_GE(p.reward.max, 11);
  EXPECT_LE(p.reward.min, -36);
  // the measures stay those of the payoffs
  PlayedRun run(p);
  run.step({0, 0});
  const Report r = run.report({1, 0, 0, 1, 0, 0});
  EXPECT_DOUBLE_EQ(r.values.at("return_per_step_agent0"), 11);
  EXPECT_DOUBLE_EQ(r.values.at("difference_reward_agent0"), 11);
  const Report miss = run.report({0, 1, 0, 1, 0, 0});
  EXPECT_DOUBLE_EQ(miss.values.at("difference_reward_agent0"), -30);
  EXPECT_DOUBLE_EQ(miss.values.at("difference_reward_agent1"), -36);
  // a mixture of the two
  EXPECT_DOUBLE_EQ(run.report({.5, .5, 0, 1, 0, 0}).values.at("difference_reward_agent0"), -9.5);
}

TEST(DifferenceReward, OfOwnPayoffsIsByTheirMean) {
  HostArena arena;
  // prisoner's dilemma, (defect, cooperate) pays 5 and 0
  EXPECT_EQ(rewards(matrix_game(arena, kPrisoners), 1, 0), (std::array{5.0F, 0.0F}));
  EXPECT_EQ(rewards(matrix_game(arena, kPrisoners, MatrixStage::kTeam), 1, 0),
            (std::array{2.5F, 2.5F}));
  // player 0 instead at 0: mean 3; player 1 instead at 1: mean 1
  EXPECT_EQ(rewards(matrix_game(arena, kPrisoners, MatrixStage::kDifference, {0, 1}), 1, 0),
            (std::array{2.5F - 3.0F, 2.5F - 1.0F}));
  EXPECT_THROW(matrix_game(arena, kPrisoners, MatrixStage::kDifference, {2}), ParameterError);
  EXPECT_THROW(matrix_game(arena, kPrisoners, MatrixStage::kDifference, {0, 0, 0}), ParameterError);
}

// (b, b) pays 14 or 0 and (c, b) pays 0: one drawn table for both joint actions.
TEST(DifferenceReward, IsTakenWithinOneDraw) {
  HostArena arena;
  const auto p = matrix_game(arena, kPartly, MatrixStage::kDifference, {2});
  int paid = 0;
  const int draws = 1000;
  for (int t = 0; t < draws; ++t) {
    const auto r = rewards(p, 1, 1, static_cast<uint64_t>(t));
    ASSERT_TRUE(r[0] == 14.0F || r[0] == 0.0F);
    ASSERT_EQ(r[1], r[0] - 6.0F);  // (b, c) pays 6 in both tables
    paid += r[0] == 14.0F ? 1 : 0;
  }
  EXPECT_NEAR(paid, draws / 2, 4 * std::sqrt(draws) / 2);  // four standard errors
}

// ---- Shares of games won --------------------------------------------------------------------------

/// `weight(state, agent, action)`: unnormalised probabilities of a stationary strategy.
template <class Weight>
struct SoccerPolicy {
  Weight weight;
  Evaluation settings{4000, 1, 0, true};

  void distribution(const StochasticGame::Params& p, const StochasticGame::State& s, int agent,
                    double* out) const {
    double sum = 0;
    for (int a = 0; a < p.actions[agent]; ++a) sum += out[a] = weight(s.state, agent, a);
    for (int a = 0; a < p.actions[agent]; ++a) out[a] /= sum;
  }
  void act(const StochasticGame::Params& p, const StochasticGame::State& s, int* actions,
           uint64_t t = 0) const {
    Rng rng(key(), t, Stream::evaluate);
    for (int i = 0; i < p.players; ++i) {
      double probability[8] = {};
      distribution(p, s, i, probability);
      double left = unit_double(rng.word());
      actions[i] = 0;
      while (actions[i] + 1 < p.actions[i] && (left -= probability[actions[i]]) >= 0) ++actions[i];
    }
  }
  double discount(int) const { return 0.9; }
  const Evaluation& evaluation() const { return settings; }
  RunKey key() const { return {9, 3}; }
};

/// Chances that `player` wins and loses by `weight` against uniform play, from the table by iteration.
template <class Weight>
std::array<double, 2> chances(const StochasticGame::Params& p, const Weight& weight, int player) {
  const SoccerPolicy<Weight> policy{weight};
  const auto states = static_cast<size_t>(p.states);
  std::vector<std::array<double, 2>> value(states, {0, 0});
  for (int sweep = 0; sweep < 300; ++sweep) {
    const auto old = value;
    for (int s = 0; s < p.states; ++s) {
      double own[8] = {};
      policy.distribution(p, {s, 0}, player, own);
      std::array<double, 2> sum{0, 0};
      for (int j = 0; j < p.joint; ++j) {
        const double chance = own[j / p.weight[player] % p.actions[player]] / p.actions[1 - player];
        for (int k = p.first[s * p.joint + j]; k < p.first[s * p.joint + j + 1]; ++k) {
          const float paid = p.paid[k * p.players + player];
          const auto& after = old[static_cast<size_t>(p.next[k])];
          for (size_t w = 0; w < 2; ++w) {
            const double ends = (w == 0 ? paid > 0 : paid < 0) ? 1.0 : 0.0;
            sum[w] += chance * p.probability[k] * (paid != 0 ? ends : 0.9 * after[w]);
          }
        }
      }
      value[static_cast<size_t>(s)] = sum;
    }
  }
  std::array<double, 2> mean{0, 0};
  for (uint32_t k = 0; k < p.starts; ++k) {
    for (size_t w = 0; w < 2; ++w) mean[w] += value[static_cast<size_t>(p.start[k])][w] / p.starts;
  }
  return mean;
}

TEST(WinShare, EqualsTheChancesOfTheTable) {
  HostArena arena;
  for (const bool restart : {true, false}) {
    StochasticGame::Config config;  // soccer
    config.restart = restart;
    const auto p = StochasticGame::make(config, arena);
    ASSERT_EQ(p.starts, 2u);
    // players who mostly go where they score: A east (3), B west (2)
    const auto forward = [](int, int agent, int a) {
      return a == (agent == 0 ? 3 : 2) ? 3.0 : 1.0;
    };
    const auto uniform = [](int, int, int) { return 1.0; };
    const auto expect = [&](const auto& weight, int player) {
      const auto [wins, losses] = chances(p, weight, player);
      const double share = wins / (wins + losses);
      const double decided = 4000 * (wins + losses);
      const double error = std::sqrt(share * (1 - share) / decided);
      const SoccerPolicy<std::decay_t<decltype(weight)>> policy{weight};
      EXPECT_NEAR(StochasticGame::win_share_against_random(p, policy, player), share, 4 * error)
          << player << " of " << decided << " decided games";
      return share;
    };
    EXPECT_GT(expect(forward, 0), 0.6);
    EXPECT_GT(expect(forward, 1), 0.6);
    EXPECT_NEAR(expect(uniform, 0), 0.5, 1e-9);  // by symmetry
  }
}

// ---- Whole runs -----------------------------------------------------------------------------------

CellResult run(const std::string& config) {
  RunRequest request;
  request.config_text = config;
  request.threads = 1;
  return Runner(request).run().cells.at(0);
}

std::string experiment(const std::string& game, const std::string& learner,
                       const std::string& evaluation, int steps = 2000) {
  return "[experiment]\nruns = 5\n[env]\nname = \"matrix_game\"\n" + game + "[learner]\n" +
         learner + "[stop]\nmax_steps = " + std::to_string(steps) + "\n[evaluation]\n" + evaluation;
}

// In a zero-sum game of two NashConv of the average strategies is the sum of the average regrets of the
// strategies; regret matching's evaluated policy is its average strategy.
TEST(MeasuredRuns, NashConvOfAveragesIsTheSumOfRegrets) {
  for (const char* learner : {"regret_matching", "regret_matching_plus"}) {
    const auto r = run(experiment("game = \"rock_paper_scissors_weighted\"\n",
                                  "name = \"" + std::string(learner) + "\"\n",
                                  "measures = true\npoints = 10\n"));
    const auto& m = r.metrics;
    EXPECT_NEAR(m.at("nash_conv").mean,
                m.at("strategy_regret_agent0").mean + m.at("strategy_regret_agent1").mean, 1e-9)
        << learner;
    const auto& over_time = r.curves.at("nash_conv_over_time");
    ASSERT_EQ(over_time.size(), 10u);
    for (size_t k = 0; k < over_time.size(); ++k) {
      EXPECT_NEAR(over_time[k].mean,
                  r.curves.at("strategy_regret_over_time_agent0")[k].mean +
                      r.curves.at("strategy_regret_over_time_agent1")[k].mean,
                  1e-9);
    }
    EXPECT_GT(over_time.front().mean, 0);
    EXPECT_LT(m.at("average_marginal_distance").mean, 0.05);
  }
}

TEST(MeasuredRuns, MeasuringChangesNoRun) {
  const std::string game = "game = \"stag_hunt\"\n";
  for (const std::string learner : {"name = \"wolf_phc\"\n", "name = \"regret_matching\"\n",
                                    "name = \"joint_action_learner\"\n"}) {
    const auto plain = run(experiment(game, learner, "points = 5\n"));
    const auto measured = run(experiment(game, learner, "points = 5\nmeasures = true\n"));
    EXPECT_GT(measured.metrics.size(), plain.metrics.size() + 10);
    for (const auto& [name, statistic] : plain.metrics) {
      EXPECT_EQ(statistic.mean, measured.metrics.at(name).mean) << name << " of " << learner;
      EXPECT_EQ(statistic.sd, measured.metrics.at(name).sd) << name << " of " << learner;
    }
    EXPECT_EQ(plain.curves.at("nash_conv_over_time").back().mean,
              measured.curves.at("nash_conv_over_time").back().mean);
  }
}

// Learners with loops of their own are called agent by agent here: by the same draws, in float64.
TEST(MeasuredRuns, OfALearnerWithLoopsOfItsOwn) {
  const std::string learner =
      "name = \"q_learning\"\ngamma = 0.0\ntable = \"float64\"\n"
      "exploration = { start = 0.2 }\n";
  const auto plain = run(experiment("game = \"climbing\"\n", learner, "steps = 1\n"));
  const auto measured = run(experiment("game = \"climbing\"\n", learner, "measures = true\n"));
  EXPECT_EQ(plain.shares.at("greedy_joint_action"), measured.shares.at("greedy_joint_action"));
  EXPECT_TRUE(measured.metrics.contains("regret_agent1"));
  EXPECT_TRUE(measured.shares.contains("equilibrium"));
}

TEST(MeasuredRuns, OfRandomGames) {
  const auto r =
      run("[experiment]\nruns = 20\n[env]\nname = \"random_game\"\nplayers = 3\nactions = 2\n"
          "distribution = \"common_payoff\"\n[learner]\nname = \"hysteretic_q\"\ngamma = 0.0\n"
          "exploration = { start = 0.3 }\n[stop]\nmax_steps = 3000\n[evaluation]\nmeasures = true\n"
          "points = 4\n");
  EXPECT_FALSE(r.metrics.contains("empirical_distance"));  // equilibria are not looked for
  const double share = r.metrics.at("welfare_share").mean;
  EXPECT_GT(share, 0.7);
  EXPECT_LE(share, 1.0);
  // in a game of common payoffs only the best joint action is Pareto-optimal, and has share 1
  EXPECT_LE(r.metrics.at("pareto_optimal").mean, share);
  EXPECT_DOUBLE_EQ(r.metrics.at("welfare").mean, 3 * r.metrics.at("welfare_min").mean);
  EXPECT_EQ(r.curves.at("regret_over_time_agent2").size(), 4u);
}

// With difference rewards Q-learners of the climbing game are told what they add.
TEST(MeasuredRuns, RewardsAreLearntFrom) {
  const auto learnt = [](const char* reward) {
    return run(experiment(std::string("game = \"prisoners_dilemma\"\nreward = \"") + reward +
                              "\"\n",
                          "name = \"q_learning\"\ngamma = 0.0\nexploration = { start = 0.2 }\n",
                          "measures = true\n"))
        .metrics.at("welfare")
        .mean;
  };
  EXPECT_EQ(learnt("own"), 2);  // both defect
  EXPECT_EQ(learnt("team"),
            6);  // mean payoffs 3, 2.5 and 1: cooperating is best whatever the other does
  EXPECT_EQ(learnt("difference"), 6);
}

TEST(MeasuredRuns, AreRefusedWhereNothingCanBeMeasured) {
  for (const std::string env :
       {"name = \"bertrand_logit\"\n", "name = \"matrix_game\"\nmemory = 1\n", "name = \"lbf\"\n",
        "name = \"stochastic_game\"\ngame = \"two_state\"\n"}) {
    RunRequest request;
    request.config_text = "[env]\n" + env +
                          "[learner]\nname = \"random\"\n[stop]\nmax_steps = 10\n[evaluation]\n"
                          "measures = true\n";
    try {
      const Runner runner(request);
      ADD_FAILURE() << env;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find("evaluation.measures"), std::string::npos)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace cumarl
