/// \file
/// Finite stochastic games: Shapley's value iteration for zero-sum games, best responses to fixed
/// stationary strategies, and what stationary strategies are worth.
///
/// All sweeps are in place and in the order of the states. With a discount factor `gamma` below 1
/// they converge, and a largest change of d in the last sweep bounds the error of every value by
/// d * gamma / (1 - gamma). Terminal states are worth 0.
///
/// Strategies are arrays [states][actions of the player], one pointer a player.
#pragma once

#include "kernels/solvers/stochastic_game_view.hpp"
#include "kernels/solvers/zero_sum.hpp"

namespace cumarl::inline CUMARL_VARIANT {

struct Iteration {
  bool ok = false;  ///< the last sweep changed no value by more than the tolerance
  int sweeps = 0;
  double change = 0.0;  ///< largest change of a value in the last sweep
};

/// Weight of a player's action in a joint action.
CUMARL_HD inline int action_weight(const StochasticGameView& game, int player) {
  int weight = 1;
  for (int i = game.players - 1; i > player; --i) weight *= game.actions[i];
  return weight;
}

/// Expected value of the successor of a state under a joint action; values[state * stride].
CUMARL_HD inline double successor_value(const StochasticGameView& game, int state, int joint,
                                        const double* values, int stride) {
  const int cell = state * game.joint + joint;
  double sum = 0.0;
  for (int k = game.first[cell]; k < game.first[cell + 1]; ++k) {
    if (game.terminal[game.next[k]] == 0) {
      sum += game.probability[k] * values[game.next[k] * stride];
    }
  }
  return sum;
}

/// The one-shot game of a state, [actions of player 0][actions of player 1], to the first player.
CUMARL_HD inline void zero_sum_stage(const StochasticGameView& game, int state, double gamma,
                                     const double* values, double* payoffs) {
  for (int j = 0; j < game.joint; ++j) {
    payoffs[j] = game.reward[(state * game.joint + j) * 2] +
                 gamma * successor_value(game, state, j, values, 1);
  }
}

/// Shapley 1953: values [states] of a two-player zero-sum game to player 0, whose rewards alone are
/// read. `values` holds the start, and is improved until no value moves by more than `tolerance`.
/// Up to 16 actions each; not ok with more.
CUMARL_HD inline Iteration solve_zero_sum_stochastic(const StochasticGameView& game, double gamma,
                                                     double tolerance, int most_sweeps,
                                                     double* values) {
  Iteration out;
  if (game.players != 2 || game.actions[0] > kMaxSolverActions ||
      game.actions[1] > kMaxSolverActions) {
    return out;
  }
  double payoffs[kMaxSolverActions * kMaxSolverActions];
  for (int s = 0; s < game.states; ++s) values[s] = game.terminal[s] != 0 ? 0.0 : values[s];
  while (!out.ok && out.sweeps < most_sweeps) {
    ++out.sweeps;
    out.change = 0.0;
    for (int s = 0; s < game.states; ++s) {
      if (game.terminal[s] != 0) continue;
      zero_sum_stage(game, s, gamma, values, payoffs);
      const ZeroSumSolution stage = solve_zero_sum(payoffs, game.actions[0], game.actions[1]);
      if (!stage.ok) return out;
      const double change = stage.value - values[s];
      values[s] = stage.value;
      const double size = change < 0.0 ? -change : change;
      out.change = size > out.change ? size : out.change;
    }
    out.ok = out.change <= tolerance;
  }
  return out;
}

/// Both players' maximin strategies in a state, given the game's values.
CUMARL_HD inline ZeroSumSolution zero_sum_stage_solution(const StochasticGameView& game, int state,
                                                         double gamma, const double* values) {
  double payoffs[kMaxSolverActions * kMaxSolverActions];
  if (game.players != 2 || game.actions[0] > kMaxSolverActions ||
      game.actions[1] > kMaxSolverActions) {
    return {};
  }
  zero_sum_stage(game, state, gamma, values, payoffs);
  return solve_zero_sum(payoffs, game.actions[0], game.actions[1]);
}

/// What `action` is worth to the player in a state, when the others follow their strategies and
/// values[state * stride] follows. The player's own strategy is not read.
CUMARL_HD inline double stochastic_action_value(const StochasticGameView& game, int state,
                                                int player, int action,
                                                const double* const* strategies, double gamma,
                                                const double* values, int stride) {
  const int own = action_weight(game, player);
  double sum = 0.0;
  for (int high = action * own; high < game.joint; high += own * game.actions[player]) {
    for (int j = high; j < high + own; ++j) {
      double probability = 1.0;
      int rest = j;
      for (int i = game.players - 1; i >= 0; --i) {
        const int taken = rest % game.actions[i];
        rest = rest / game.actions[i];
        if (i != player) probability *= strategies[i][state * game.actions[i] + taken];
      }
      if (probability == 0.0) continue;
      const double reward = game.reward[(state * game.joint + j) * game.players + player];
      sum += probability * (reward + gamma * successor_value(game, state, j, values, stride));
    }
  }
  return sum;
}

/// Values [states] of a best response of `player` to the others' strategies, and the response
/// itself (the lowest best action of a state) in `response` [states], which may be null. Its own
/// entry of `strategies` may be null. `values` holds the start.
CUMARL_HD inline Iteration best_response_values(const StochasticGameView& game, int player,
                                                const double* const* strategies, double gamma,
                                                double tolerance, int most_sweeps, double* values,
                                                int* response) {
  Iteration out;
  for (int s = 0; s < game.states; ++s) values[s] = game.terminal[s] != 0 ? 0.0 : values[s];
  while (!out.ok && out.sweeps < most_sweeps) {
    ++out.sweeps;
    out.change = 0.0;
    for (int s = 0; s < game.states; ++s) {
      if (response != nullptr) response[s] = 0;
      if (game.terminal[s] != 0) continue;
      double best = 0.0;
      for (int a = 0; a < game.actions[player]; ++a) {
        const double value =
            stochastic_action_value(game, s, player, a, strategies, gamma, values, 1);
        if (a == 0 || value > best) {
          best = value;
          if (response != nullptr) response[s] = a;
        }
      }
      const double change = best - values[s];
      values[s] = best;
      const double size = change < 0.0 ? -change : change;
      out.change = size > out.change ? size : out.change;
    }
    out.ok = out.change <= tolerance;
  }
  return out;
}

/// Values [states][players] of stationary strategies. `values` holds the start.
CUMARL_HD inline Iteration policy_values(const StochasticGameView& game,
                                         const double* const* strategies, double gamma,
                                         double tolerance, int most_sweeps, double* values) {
  Iteration out;
  for (int k = 0; k < game.states * game.players; ++k) {
    values[k] = game.terminal[k / game.players] != 0 ? 0.0 : values[k];
  }
  while (!out.ok && out.sweeps < most_sweeps) {
    ++out.sweeps;
    out.change = 0.0;
    for (int s = 0; s < game.states; ++s) {
      if (game.terminal[s] != 0) continue;
      for (int i = 0; i < game.players; ++i) {
        double value = 0.0;
        for (int a = 0; a < game.actions[i]; ++a) {
          const double probability = strategies[i][s * game.actions[i] + a];
          if (probability == 0.0) continue;
          value += probability * stochastic_action_value(game, s, i, a, strategies, gamma,
                                                         values + i, game.players);
        }
        const double change = value - values[s * game.players + i];
        values[s * game.players + i] = value;
        const double size = change < 0.0 ? -change : change;
        out.change = size > out.change ? size : out.change;
      }
    }
    out.ok = out.change <= tolerance;
  }
  return out;
}

}  // namespace cumarl::inline CUMARL_VARIANT
