/// \file
/// Safe play: normal-form games whose joint actions also cost each player something.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "envs/payoff_tables.hpp"
#include "envs/repeated_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Players choose at the same time; a joint action pays them and costs them. How much it may cost is
/// the learner's setting (learner.cost_limit); without one costs change nothing. The default game
/// is slotted Aloha with two stations: 0 waits, 1 sends, which succeeds (payoff 1) if the other
/// waits and takes 1 of the sender's energy either way. With energy limits 0 < e_i < 1 its one
/// equilibrium under the constraints has station i send with probability e_i: sending pays as
/// long as the other waits at times, so that each uses all its energy. The multiplier, by which an
/// extra unit of energy pays, is 1 - e_j.
/// Source: constrained equilibria: Altman, Shwartz, "Constrained Markov games: Nash equilibria",
/// Annals of the International Society of Dynamic Games 5, 2000; the safe game of Zhou, Liu, Tang,
/// arXiv:2305.10091. Deviation: one cost a player.
struct ConstrainedStage {
  static constexpr EnvFacts kFacts{
      "constrained_game",
      "Repeated normal-form game with costs, for limits on them",
      "Altman, Shwartz, Annals of the International Society of Dynamic Games 2000",
      Family::matrix,
      "row of the player's payoff table, counted from 0",
      "the joint actions of the last `memory` periods"};
  static constexpr int kMaxPlayers = kMaxTablePlayers;
  static constexpr int kDefaultMemory = 0;
  static constexpr const char* kSizeKey = "payoffs";
  static constexpr InitKind kCustomInit = InitKind::constant;
  using Shapes = ShapeList<>;

  struct Config {
    Tensor payoffs{{0, 0, 1, 0, 0, 1, 0, 0}, {2, 2, 2}};
    Tensor costs{{0, 0, 1, 1, 0, 1, 0, 1}, {2, 2, 2}};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("payoffs", c.payoffs, "payoff", "payoffs[player][action of player 0][action of player 1]...");
    v("costs", c.costs, "cost", "what it costs each player, of the shape of payoffs");
  }

  struct Params {
    int32_t players;
    int32_t actions[kMaxPlayers];
    const double* payoff;  ///< [joint action][player]
    const double* cost;    ///< [joint action][player]
    Bounds bounds;         ///< of a payoff
  };

  /// Throws ParameterError for tables that are no games, or not of one shape.
  static Params make(const Config& c, Arena& arena) {
    check_payoffs(c.payoffs);
    const std::vector<int>& shape = c.payoffs.shape;
    if (c.costs.shape != shape) throw ParameterError("costs", "must have the shape of payoffs");
    Params p{};
    p.players = shape[0];
    for (int i = 0; i < p.players; ++i) p.actions[i] = shape[static_cast<size_t>(i) + 1];
    p.bounds = widened({c.payoffs.values[0], c.payoffs.values[0]}, c.payoffs.values);
    p.payoff = arena.store(by_joint_action(c.payoffs));
    p.cost = arena.store(by_joint_action(c.costs));
    return p;
  }

  CUMARL_HD static int players(const Params& p) { return p.players; }
  CUMARL_HD static int actions(const Params& p, int player) { return p.actions[player]; }
  static Bounds payoff_bounds(const Params& p) { return p.bounds; }

  CUMARL_HD static void payoffs(const Params& p, const int* actions, double* out) {
    const double* const cell = p.payoff + table_place(p.players, p.actions, actions);
    for (int i = 0; i < kMaxPlayers && i < p.players; ++i) out[i] = cell[i];
  }
  /// What a joint action costs, [players].
  CUMARL_HD static void costs(const Params& p, const int* actions, double* out) {
    const double* const cell = p.cost + table_place(p.players, p.actions, actions);
    for (int i = 0; i < kMaxPlayers && i < p.players; ++i) out[i] = cell[i];
  }
};

using ConstrainedGame = RepeatedGame<ConstrainedStage>;

}  // namespace cumarl::inline CUMARL_VARIANT
