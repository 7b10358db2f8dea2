/// \file
/// What strategies are worth in a normal form of 1 to 6 players: expected payoffs, best responses,
/// and how far a profile is from a Nash, a joint distribution from a correlated equilibrium.
#pragma once

#include "kernels/core/hd.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A payoff table. A joint action is numbered sum of action_i * weight_i, agent 0 with the highest
/// weight, as in RepeatedGame. The view owns nothing.
///
/// A profile of mixed strategies is one array: player 0's probabilities, then player 1's, ...
struct NormalFormView {
  static constexpr int kMaxPlayers = 6;

  int players = 0;
  int actions[kMaxPlayers] = {};
  int weight[kMaxPlayers] = {};     ///< of the player's action in a joint action
  int offset[kMaxPlayers] = {};     ///< where the player's part of a profile starts
  int joint = 0;                    ///< joint actions
  const double* payoffs = nullptr;  ///< [joint][players]

  CUMARL_HD int action_of(int cell, int player) const {
    return cell / weight[player] % actions[player];
  }
  CUMARL_HD double payoff(int cell, int player) const { return payoffs[cell * players + player]; }
};

/// The view of a table; `actions` has one entry a player.
CUMARL_HD inline NormalFormView normal_form(int players, const int* actions,
                                            const double* payoffs) {
  NormalFormView game;
  game.players = players;
  game.payoffs = payoffs;
  game.joint = 1;
  for (int i = players - 1; i >= 0; --i) {
    game.actions[i] = actions[i];
    game.weight[i] = game.joint;
    game.joint *= actions[i];
  }
  for (int i = 1; i < players; ++i) game.offset[i] = game.offset[i - 1] + actions[i - 1];
  return game;
}

/// Probability of a joint action, of all players but `without` (-1: of all).
CUMARL_HD inline double joint_probability(const NormalFormView& game, const double* profile,
                                          int cell, int without) {
  double probability = 1.0;
  for (int i = 0; i < game.players; ++i) {
    if (i != without) probability *= profile[game.offset[i] + game.action_of(cell, i)];
  }
  return probability;
}

/// Expected payoffs [players] of independent mixed strategies.
CUMARL_HD inline void expected_payoffs(const NormalFormView& game, const double* profile,
                                       double* out) {
  for (int i = 0; i < game.players; ++i) out[i] = 0.0;
  for (int cell = 0; cell < game.joint; ++cell) {
    const double probability = joint_probability(game, profile, cell, -1);
    if (probability == 0.0) continue;
    for (int i = 0; i < game.players; ++i) out[i] += probability * game.payoff(cell, i);
  }
}

/// What an action pays the player when the others play their strategies.
CUMARL_HD inline double action_value(const NormalFormView& game, const double* profile, int player,
                                     int action) {
  const int weight = game.weight[player];
  double value = 0.0;
  for (int high = action * weight; high < game.joint; high += weight * game.actions[player]) {
    for (int cell = high; cell < high + weight; ++cell) {
      value += joint_probability(game, profile, cell, player) * game.payoff(cell, player);
    }
  }
  return value;
}

struct BestResponse {
  int action = 0;  ///< the lowest of the best
  double value = 0.0;
};

CUMARL_HD inline BestResponse best_response(const NormalFormView& game, const double* profile,
                                            int player) {
  BestResponse best;
  for (int a = 0; a < game.actions[player]; ++a) {
    const double value = action_value(game, profile, player, a);
    if (a == 0 || value > best.value) best = {a, value};
  }
  return best;
}

/// How much the players gain by best responses, each alone: the sum (0 exactly in a Nash
/// equilibrium) and the largest gain, so that the profile is an epsilon-Nash equilibrium.
struct NashGap {
  double nash_conv = 0.0;
  double epsilon = 0.0;
};

CUMARL_HD inline NashGap nash_gap(const NormalFormView& game, const double* profile) {
  double value[NormalFormView::kMaxPlayers] = {};
  expected_payoffs(game, profile, value);
  NashGap gap;
  for (int i = 0; i < game.players; ++i) {
    const double gain = best_response(game, profile, i).value - value[i];
    if (gain <= 0.0) continue;  // rounding: no best response is worse
    gap.nash_conv += gain;
    gap.epsilon = gain > gap.epsilon ? gain : gap.epsilon;
  }
  return gap;
}

/// Whether joint action `cell` is a Nash equilibrium in pure strategies, exactly.
CUMARL_HD inline bool is_pure_nash(const NormalFormView& game, int cell) {
  for (int i = 0; i < game.players; ++i) {
    const int rest = cell - game.action_of(cell, i) * game.weight[i];
    for (int a = 0; a < game.actions[i]; ++a) {
      if (game.payoff(rest + a * game.weight[i], i) > game.payoff(cell, i)) return false;
    }
  }
  return true;
}

/// Expected payoffs [players] of a distribution over joint actions.
CUMARL_HD inline void joint_payoffs(const NormalFormView& game, const double* distribution,
                                    double* out) {
  for (int i = 0; i < game.players; ++i) out[i] = 0.0;
  for (int cell = 0; cell < game.joint; ++cell) {
    for (int i = 0; i < game.players; ++i) out[i] += distribution[cell] * game.payoff(cell, i);
  }
}

/// Each player's own part of a joint distribution, as a profile.
CUMARL_HD inline void joint_marginals(const NormalFormView& game, const double* distribution,
                                      double* profile) {
  for (int i = 0; i < game.players; ++i) {
    for (int a = 0; a < game.actions[i]; ++a) profile[game.offset[i] + a] = 0.0;
  }
  for (int cell = 0; cell < game.joint; ++cell) {
    for (int i = 0; i < game.players; ++i) {
      profile[game.offset[i] + game.action_of(cell, i)] += distribution[cell];
    }
  }
}

/// What the player gains, weighted with how often he is told so, by playing `instead` where
/// `told` is recommended. told = -1: whatever is recommended.
CUMARL_HD inline double deviation_gain(const NormalFormView& game, const double* distribution,
                                       int player, int told, int instead) {
  const int weight = game.weight[player];
  double gain = 0.0;
  for (int cell = 0; cell < game.joint; ++cell) {
    const int action = game.action_of(cell, player);
    if (told >= 0 && action != told) continue;
    const int other = cell + (instead - action) * weight;
    gain += distribution[cell] * (game.payoff(other, player) - game.payoff(cell, player));
  }
  return gain;
}

/// Largest gain of a deviation from a recommendation: at most 0 (as a sum, up to rounding) in a
/// correlated equilibrium.
CUMARL_HD inline double correlated_violation(const NormalFormView& game,
                                             const double* distribution) {
  double worst = 0.0;
  for (int i = 0; i < game.players; ++i) {
    for (int told = 0; told < game.actions[i]; ++told) {
      for (int a = 0; a < game.actions[i]; ++a) {
        const double gain = deviation_gain(game, distribution, i, told, a);
        worst = gain > worst ? gain : worst;
      }
    }
  }
  return worst;
}

/// The same for deviations decided on before the recommendation: a coarse correlated equilibrium.
CUMARL_HD inline double coarse_violation(const NormalFormView& game, const double* distribution) {
  double worst = 0.0;
  for (int i = 0; i < game.players; ++i) {
    for (int a = 0; a < game.actions[i]; ++a) {
      const double gain = deviation_gain(game, distribution, i, -1, a);
      worst = gain > worst ? gain : worst;
    }
  }
  return worst;
}

}  // namespace cumarl::inline CUMARL_VARIANT
