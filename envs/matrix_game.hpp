/// \file
/// Matrix games: any normal form with 2 to 6 players, named or given as payoffs.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/payoff_tables.hpp"
#include "envs/repeated_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A named two-player game. `other` is a second payoff table played with probability 1/2 in every
/// cell independently, empty for deterministic games; u2 empty means common payoffs.
struct NamedGame {
  const char* name;
  int rows;
  int columns;
  std::vector<double> u1;
  std::vector<double> u2;
  std::vector<double> other;  ///< of a common-payoff game
};

/// Payoffs row-major. Sources: the classical games as in any textbook; climbing and penalty: Claus
/// and Boutilier, AAAI 1998; its stochastic variants: Kapetanakis and Kudenko, AAAI 2002; Shapley
/// 1964; the QTRAN game: Son et al., ICML 2019, table 1; weighted rock-paper-scissors: Brown,
/// Bakhtin, Lerer and Gong, NeurIPS 2020 ("RPS+": whoever meets scissors wins or loses 2); biased:
/// matrix_brps of OpenSpiel. `k` is the penalty game's parameter. docs/games.md lists equilibria.
inline std::vector<NamedGame> named_games(double k) {
  return {
      {"prisoners_dilemma", 2, 2, {3, 0, 5, 1}, {3, 5, 0, 1}, {}},
      {"stag_hunt", 2, 2, {4, 0, 3, 3}, {4, 3, 0, 3}, {}},
      {"chicken", 2, 2, {6, 2, 7, 0}, {6, 7, 2, 0}, {}},
      {"battle_of_the_sexes", 2, 2, {3, 0, 0, 2}, {2, 0, 0, 3}, {}},
      {"matching_pennies", 2, 2, {1, -1, -1, 1}, {-1, 1, 1, -1}, {}},
      {"coordination", 2, 2, {2, 0, 0, 1}, {}, {}},
      {"rock_paper_scissors",
       3,
       3,
       {0, -1, 1, 1, 0, -1, -1, 1, 0},
       {0, 1, -1, -1, 0, 1, 1, -1, 0},
       {}},
      {"shapley", 3, 3, {0, 0, 1, 1, 0, 0, 0, 1, 0}, {0, 1, 0, 0, 0, 1, 1, 0, 0}, {}},
      {"climbing", 3, 3, {11, -30, 0, -30, 7, 6, 0, 0, 5}, {}, {}},
      {"climbing_partially_stochastic",
       3,
       3,
       {11, -30, 0, -30, 14, 6, 0, 0, 5},
       {},
       {11, -30, 0, -30, 0, 6, 0, 0, 5}},
      {"climbing_fully_stochastic",
       3,
       3,
       {10, 5, 8, 5, 14, 12, 5, 5, 7},
       {},
       {12, -65, -8, -65, 0, 0, -5, -5, 3}},
      {"penalty", 3, 3, {10, 0, k, 0, 2, 0, k, 0, 10}, {}, {}},
      {"qtran", 3, 3, {8, -12, -12, -12, 0, 0, -12, 0, 0}, {}, {}},
      {"rock_paper_scissors_weighted",
       3,
       3,
       {0, -1, 2, 1, 0, -2, -2, 2, 0},
       {0, 1, -2, -1, 0, 2, 2, -2, 0},
       {}},
      {"rock_paper_scissors_biased",
       3,
       3,
       {0, -25, 50, 25, 0, -5, -50, 5, 0},
       {0, 25, -50, -25, 0, 5, 50, -5, 0},
       {}},
  };
}

struct MatrixStage {
  static constexpr EnvFacts kFacts{
      "matrix_game",
      "Repeated normal-form game, 2 to 6 players",
      "named games: see `cumarl list games`; or payoffs from the configuration",
      Family::matrix,
      "row of the player's payoff table, counted from 0",
      "the joint actions of the last `memory` periods"};
  static constexpr int kMaxPlayers = kMaxTablePlayers;
  static constexpr int kDefaultMemory = 0;
  static constexpr const char* kSizeKey = "payoffs";
  static constexpr InitKind kCustomInit = InitKind::constant;
  using Shapes = ShapeList<Shape<2, 2>>;

  struct Config {
    Choice game;
    Tensor payoffs;
    Tensor other_payoffs;
    double other_probability = 0.5;
    double penalty = -100.0;
    bool hide_actions = false;
    Choice reward;
    std::vector<int> default_action = {0};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v.choice("game", c.game,
             {"prisoners_dilemma", "stag_hunt", "chicken", "battle_of_the_sexes",
              "matching_pennies", "coordination", "rock_paper_scissors", "shapley", "climbing",
              "climbing_partially_stochastic", "climbing_fully_stochastic", "penalty", "qtran",
              "rock_paper_scissors_weighted", "rock_paper_scissors_biased"},
             "a named game; ignored where payoffs are given");
    v("payoffs", c.payoffs, "payoff",
      "payoffs[player][action of player 0][action of player 1]...; one table less deep for a "
      "game of common payoffs of two players");
    v("other_payoffs", c.other_payoffs, "payoff",
      "a second table of the same shape: each cell pays from it with other_probability");
    v("other_probability", c.other_probability, Bounds{0, 1}, "", "see other_payoffs");
    v("penalty", c.penalty, Bounds{-1e9, 0}, "payoff", "k of the penalty game");
    v("hide_actions", c.hide_actions,
      "players see their own action and payoff only: no memory, no learners of joint actions");
    v.choice("reward", c.reward, {"own", "team", "difference"},
             "what agents learn from: their own payoff, the mean of all players', or what of it "
             "their action adds to that of default_action");
    v("default_action", c.default_action, Bounds{0, 127}, "action",
      "of difference rewards: one, or one a player");
  }

  struct Params {
    int32_t players;
    int32_t actions[kMaxPlayers];
    uint32_t cells;        ///< joint actions
    const double* payoff;  ///< [cells][players]
    const double* other;   ///< [cells][players], or null
    double other_probability;
    Bounds bounds;  ///< of a single reward
    bool hide_actions;
    int32_t reward;  ///< a Reward
    int32_t default_action[kMaxPlayers];
  };
  enum Reward : int { kOwn, kTeam, kDifference };

  static Params make(const Config& c, Arena& arena) {
    Tensor first = c.payoffs;
    Tensor second = c.other_payoffs;
    double probability = c.other_probability;
    if (first.empty()) {
      if (!second.empty()) throw ParameterError("other_payoffs", "needs payoffs beside it");
      const NamedGame game = named_games(c.penalty)[static_cast<size_t>(c.game.value)];
      first.shape = {2, game.rows, game.columns};
      first.values = game.u1;
      const auto& u2 = game.u2.empty() ? game.u1 : game.u2;
      first.values.insert(first.values.end(), u2.begin(), u2.end());
      if (!game.other.empty()) {
        second.shape = first.shape;
        second.values = game.other;
        second.values.insert(second.values.end(), game.other.begin(), game.other.end());
        probability = 0.5;
      }
    }
    if (first.shape.size() == 2) first = common(first);
    if (second.shape.size() == 2) second = common(second);
    check_payoffs(first);
    if (!second.empty() && second.shape != first.shape) {
      throw ParameterError("other_payoffs", "must have the shape of payoffs");
    }
    Params p{};
    p.players = first.shape[0];
    p.cells = 1;
    for (int i = 0; i < p.players; ++i) {
      p.actions[i] = first.shape[static_cast<size_t>(i) + 1];
      p.cells *= static_cast<uint32_t>(p.actions[i]);
    }
    p.bounds = Bounds{first.values[0], first.values[0]};
    p.bounds = widened(widened(p.bounds, first.values), second.values);
    p.payoff = arena.store(by_joint_action(first));
    if (!second.empty() && probability > 0) p.other = arena.store(by_joint_action(second));
    p.other_probability = probability;
    p.hide_actions = c.hide_actions;
    p.reward = c.reward.value;
    if (p.reward == kDifference) {
      p.bounds = Bounds{p.bounds.min - p.bounds.max, p.bounds.max - p.bounds.min};
    }
    const auto players = static_cast<size_t>(p.players);
    if (c.default_action.size() != 1 && c.default_action.size() != players) {
      throw ParameterError("default_action", "must be one action, or one a player");
    }
    for (size_t i = 0; i < players; ++i) {
      p.default_action[i] = c.default_action[c.default_action.size() == 1 ? 0 : i];
      if (p.default_action[i] >= p.actions[i]) {
        throw ParameterError("default_action", "must be below the number of actions, " +
                                                   std::to_string(p.actions[i]));
      }
    }
    return p;
  }

  CUMARL_HD static int players(const Params& p) { return p.players; }
  CUMARL_HD static int actions(const Params& p, int player) { return p.actions[player]; }
  static Bounds payoff_bounds(const Params& p) { return p.bounds; }
  CUMARL_HD static bool stochastic(const Params& p) { return p.other != nullptr; }
  static bool hides_actions(const Params& p) { return p.hide_actions; }

  CUMARL_HD static void payoffs(const Params& p, const int* actions, double* out) {
    const size_t at = table_place(p.players, p.actions, actions);
    for (int i = 0; i < kMaxPlayers && i < p.players; ++i) {
      const double u = p.payoff[at + static_cast<size_t>(i)];
      out[i] = p.other == nullptr
                   ? u
                   : u + p.other_probability * (p.other[at + static_cast<size_t>(i)] - u);
    }
  }
  /// Expected rewards of a joint action: what `reward` makes of the payoffs.
  CUMARL_HD static void rewards(const Params& p, const int* actions, double* out) {
    shape(
        p, actions, [&p](const int* played, double* u) { payoffs(p, played, u); }, out);
  }
  /// Rewards; where they take two joint actions, both are paid from the same table.
  CUMARL_HD static void sample(const Params& p, const int* actions, double* out, Rng& rng) {
    const bool other = p.other != nullptr && unit_double(rng.word()) < p.other_probability;
    const double* table = other ? p.other : p.payoff;
    shape(
        p, actions,
        [&p, table](const int* played, double* u) {
          const size_t at = table_place(p.players, p.actions, played);
          for (int i = 0; i < kMaxPlayers && i < p.players; ++i) {
            u[i] = table[at + static_cast<size_t>(i)];
          }
        },
        out);
  }
  CUMARL_HD static int default_action(const Params& p, int player) {
    return p.default_action[player];
  }

 private:
  /// `pay(actions, out)` gives the players' payoffs.
  template <class Pay>
  CUMARL_HD static void shape(const Params& p, const int* actions, Pay pay, double* out) {
    pay(actions, out);
    if (p.reward == kOwn) return;
    const auto mean = [&p](const double* u) {
      double sum = 0;
      for (int i = 0; i < kMaxPlayers && i < p.players; ++i) sum += u[i];
      return sum / p.players;
    };
    const double team = mean(out);
    for (int i = 0; i < kMaxPlayers && i < p.players; ++i) {
      out[i] = team;
      if (p.reward == kTeam) continue;
      int without[kMaxPlayers] = {};
      for (int j = 0; j < kMaxPlayers && j < p.players; ++j) without[j] = actions[j];
      without[i] = p.default_action[i];
      double u[kMaxPlayers] = {};
      pay(without, u);
      out[i] -= mean(u);
    }
  }

  static Tensor common(const Tensor& one) {
    Tensor both{one.values, {2, one.shape[0], one.shape[1]}};
    both.values.insert(both.values.end(), one.values.begin(), one.values.end());
    return both;
  }
};

using MatrixGame = RepeatedGame<MatrixStage>;

}  // namespace cumarl::inline CUMARL_VARIANT
