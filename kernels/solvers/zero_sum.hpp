/// \file
/// Zero-sum matrix games: the value and a maximin strategy of each player.
#pragma once

#include "kernels/solvers/tableau.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Most actions of a player in the solvers that run inside kernels.
inline constexpr int kMaxSolverActions = 16;

/// `row` secures at least `low` whatever the column player does, `column` at most `high` whatever
/// the row player does. Both are computed from the strategies, so that high - low bounds the error
/// of everything here.
struct ZeroSumSolution {
  bool ok = false;  ///< false: payoffs not finite, sizes out of range, or (never seen) no optimum
  double value = 0.0;  ///< (low + high) / 2
  double low = 0.0;
  double high = 0.0;
  double row[kMaxSolverActions] = {};
  double column[kMaxSolverActions] = {};
};

/// Solves the game that pays payoffs[i * columns + j] to the row player, 1 to 16 actions each.
///
/// A saddle point comes first: the lowest row, then the lowest column. Otherwise 2x2 games are
/// solved by formula, larger ones by the simplex method on payoffs scaled to [1, 2]. Accuracy: high
/// - low below 1e-9 of the payoffs' range. Plain multiply, add and divide in a fixed order.
CUMARL_HD inline ZeroSumSolution solve_zero_sum(const double* payoffs, int rows, int columns) {
  ZeroSumSolution out;
  if (rows < 1 || columns < 1 || rows > kMaxSolverActions || columns > kMaxSolverActions) {
    return out;
  }
  bool finite = true;
  const PayoffScale scale = PayoffScale::of(payoffs, rows * columns, 1, finite);
  if (!finite) return out;

  int best_row = 0;
  int best_column = 0;
  double maximin = 0.0;
  double minimax = 0.0;
  for (int i = 0; i < rows; ++i) {
    double least = payoffs[i * columns];
    for (int j = 1; j < columns; ++j) {
      least = payoffs[i * columns + j] < least ? payoffs[i * columns + j] : least;
    }
    if (i == 0 || least > maximin) {
      maximin = least;
      best_row = i;
    }
  }
  for (int j = 0; j < columns; ++j) {
    double most = payoffs[j];
    for (int i = 1; i < rows; ++i) {
      most = payoffs[i * columns + j] > most ? payoffs[i * columns + j] : most;
    }
    if (j == 0 || most < minimax) {
      minimax = most;
      best_column = j;
    }
  }
  if (maximin == minimax) {
    out.ok = true;
    out.value = out.low = out.high = maximin;
    out.row[best_row] = 1.0;
    out.column[best_column] = 1.0;
    return out;
  }

  if (rows == 2 && columns == 2) {
    // No saddle point, so both differences of a diagonal pair have one sign, and neither is 0.
    const double a = scale(payoffs[0]);
    const double b = scale(payoffs[1]);
    const double c = scale(payoffs[2]);
    const double d = scale(payoffs[3]);
    out.row[0] = (d - c) / ((a - b) + (d - c));
    out.row[1] = (a - b) / ((a - b) + (d - c));
    out.column[0] = (d - b) / ((a - c) + (d - b));
    out.column[1] = (a - c) / ((a - c) + (d - b));
  } else {
    // Maximise the sum of q with (scaled payoffs) q <= 1: q / sum is the column player's
    // strategy, and so are the reduced costs of the slacks the row player's.
    TableauRoom<kMaxSolverActions, kMaxSolverActions> room;
    Tableau t = room.tableau(rows, columns, columns);
    t.start(0);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) t.cell(i, j) = scale(payoffs[i * columns + j]);
      t.cell(i, columns) = 1.0;
    }
    for (int j = 0; j < columns; ++j) t.cell(rows, j) = -1.0;
    if (!t.maximise(64 * (rows + columns))) return out;
    for (int j = 0; j < columns; ++j) out.column[j] = t.value_of(j);
    for (int c = 0; c < columns; ++c) {
      const int label = t.nonbasic[c];
      const double weight = t.cell(rows, c);
      if (label >= columns) out.row[label - columns] = weight > 0.0 ? weight : 0.0;
    }
    normalise(out.row, rows);
    normalise(out.column, columns);
  }

  for (int j = 0; j < columns; ++j) {
    double payoff = 0.0;
    for (int i = 0; i < rows; ++i) payoff += out.row[i] * payoffs[i * columns + j];
    if (j == 0 || payoff < out.low) out.low = payoff;
  }
  for (int i = 0; i < rows; ++i) {
    double payoff = 0.0;
    for (int j = 0; j < columns; ++j) payoff += out.column[j] * payoffs[i * columns + j];
    if (i == 0 || payoff > out.high) out.high = payoff;
  }
  out.ok = true;
  out.value = 0.5 * (out.low + out.high);
  return out;
}

}  // namespace cumarl::inline CUMARL_VARIANT
