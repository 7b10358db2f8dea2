/// \file
/// Correlated and coarse correlated equilibria that are best for somebody: a linear program over
/// joint actions, for any number of players.
#pragma once

#include "kernels/solvers/strategies.hpp"
#include "kernels/solvers/tableau.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// What the chosen equilibrium maximises.
enum class CorrelatedObjective {
  utilitarian,  ///< the sum of the players' payoffs
  egalitarian,  ///< the payoff of the player who gets least
  player        ///< the payoff of one player
};

struct CorrelatedQuestion {
  bool coarse = false;  ///< deviations are decided on before the recommendation
  CorrelatedObjective objective = CorrelatedObjective::utilitarian;
  int player = 0;  ///< whose payoff counts under CorrelatedObjective::player
};

/// Size of the tableau that a question needs.
CUMARL_HD constexpr int correlated_rows(const NormalFormView& game, const CorrelatedQuestion& q) {
  int rows = 1;
  for (int i = 0; i < game.players; ++i) {
    rows += q.coarse ? game.actions[i] : game.actions[i] * (game.actions[i] - 1);
  }
  return rows + (q.objective == CorrelatedObjective::egalitarian ? game.players : 0);
}
CUMARL_HD constexpr int correlated_columns(const NormalFormView& game,
                                           const CorrelatedQuestion& q) {
  return game.joint + (q.objective == CorrelatedObjective::egalitarian ? 1 : 0);
}

/// Room for every question about a two-player game of up to kActions x kActions.
template <int kActions>
using CorrelatedRoom = TableauRoom<2 * kActions * kActions + 3, kActions * kActions + 1>;

/// Writes the best equilibrium to `distribution` [joint]; false if payoffs are not finite or (never
/// seen) the simplex method gave up. `t` has room for at least correlated_rows x
/// correlated_columns; its sizes are set here. Where several equilibria are best, the vertex the
/// method ends in is given, always the same one. Accuracy: the objective is within 1e-9 of the
/// payoffs' range of the best.
///
/// The start is the best joint action, equilibrium or not, so nothing is better; the dual simplex
/// method then gives up as little as it can until no deviation pays. The costs are moved apart by up
/// to 1e-9, so that equal ones do not lead in a circle.
CUMARL_HD inline bool solve_correlated(const NormalFormView& game, const CorrelatedQuestion& q,
                                       Tableau t, double* distribution) {
  const bool egalitarian = q.objective == CorrelatedObjective::egalitarian;
  bool finite = true;
  const PayoffScale common = PayoffScale::of(game.payoffs, game.joint * game.players, 1, finite);
  if (!finite) return false;
  t.rows = correlated_rows(game, q);
  t.columns = correlated_columns(game, q);
  t.slack = t.columns;
  t.start(0);

  int row = 0;
  for (int i = 0; i < game.players; ++i) {
    const PayoffScale own = PayoffScale::of(game.payoffs + i, game.joint, game.players, finite);
    for (int told = 0; told < (q.coarse ? 1 : game.actions[i]); ++told) {
      for (int instead = 0; instead < game.actions[i]; ++instead) {
        if (!q.coarse && instead == told) continue;
        for (int cell = 0; cell < game.joint; ++cell) {
          const int action = game.action_of(cell, i);
          if (!q.coarse && action != told) continue;
          const int other = cell + (instead - action) * game.weight[i];
          t.cell(row, cell) = (game.payoff(other, i) - game.payoff(cell, i)) / own.width;
        }
        ++row;
      }
    }
  }
  const int sum_row = row;
  const int floor_row = row + 1;  // the first of the egalitarian ones
  for (int cell = 0; cell < game.joint; ++cell) t.cell(sum_row, cell) = 1.0;
  t.cell(sum_row, t.columns) = 1.0;
  if (egalitarian) {
    // A last variable: what no player's payoff, moved to [1, 2], may be below.
    for (int i = 0; i < game.players; ++i) {
      for (int cell = 0; cell < game.joint; ++cell) {
        t.cell(floor_row + i, cell) = -common(game.payoff(cell, i));
      }
      t.cell(floor_row + i, game.joint) = 1.0;
    }
    t.cell(t.rows, game.joint) = -1.0;
  }
  int best = 0;
  double most = 0.0;
  for (int cell = 0; cell < game.joint; ++cell) {
    double worth = 0.0;
    for (int i = 0; i < game.players; ++i) {
      // The first player's best is a bound for the least payoff as well.
      const bool counts =
          egalitarian ? i == 0 : q.objective == CorrelatedObjective::utilitarian || i == q.player;
      if (counts) worth += common(game.payoff(cell, i));
    }
    const double golden = static_cast<double>(cell + 1) * 0.6180339887498949;
    const double apart = 1e-9 * (golden - static_cast<double>(static_cast<int>(golden)));
    t.cell(t.rows, cell) = egalitarian ? apart : apart - worth;
    if (cell == 0 || worth - apart > most) {
      most = worth - apart;
      best = cell;
    }
  }
  t.pivot(sum_row, best);
  if (egalitarian) t.pivot(floor_row, game.joint);
  if (!t.repair(64 * (t.rows + t.columns))) return false;
  double sum = 0.0;
  for (int cell = 0; cell < game.joint; ++cell) sum += distribution[cell] = t.value_of(cell);
  if (!(sum > 0.0)) return false;
  for (int cell = 0; cell < game.joint; ++cell) distribution[cell] = distribution[cell] / sum;
  return true;
}

}  // namespace cumarl::inline CUMARL_VARIANT
