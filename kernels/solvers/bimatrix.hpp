/// \file
/// One Nash equilibrium of a two-player game, always the same one: for stage games inside
/// learners.
#pragma once

#include "kernels/solvers/tableau.hpp"
#include "kernels/solvers/zero_sum.hpp"

namespace cumarl::inline CUMARL_VARIANT {

struct BimatrixSolution {
  bool ok = false;  ///< false: payoffs not finite, sizes out of range, or (never seen) none found
  bool pure = false;
  double gap = 0.0;  ///< largest gain of a best response: the error of this equilibrium
  double values[2] = {};
  double row[kMaxSolverActions] = {};
  double column[kMaxSolverActions] = {};
};

namespace bimatrix_detail {

/// Fills in what the strategies are worth, and how far from a best response they are.
CUMARL_HD inline void appraise(const double* u1, const double* u2, int rows, int columns,
                               BimatrixSolution& s) {
  double best[2] = {};
  s.values[0] = s.values[1] = 0.0;
  for (int i = 0; i < rows; ++i) {
    double value = 0.0;
    for (int j = 0; j < columns; ++j) value += s.column[j] * u1[i * columns + j];
    s.values[0] += s.row[i] * value;
    best[0] = i == 0 || value > best[0] ? value : best[0];
  }
  for (int j = 0; j < columns; ++j) {
    double value = 0.0;
    for (int i = 0; i < rows; ++i) value += s.row[i] * u2[i * columns + j];
    s.values[1] += s.column[j] * value;
    best[1] = j == 0 || value > best[1] ? value : best[1];
  }
  const double gain0 = best[0] - s.values[0];
  const double gain1 = best[1] - s.values[1];
  s.gap = gain0 > gain1 ? gain0 : gain1;
  if (s.gap < 0.0) s.gap = 0.0;
}

/// Lemke and Howson's path from the artificial equilibrium, dropping label `dropped`: 0 to rows - 1
/// are the row player's actions, those of the column player follow. False if it gave up.
CUMARL_HD inline bool lemke_howson(const double* u1, const double* u2, int rows, int columns,
                                   PayoffScale scale1, PayoffScale scale2, int dropped,
                                   BimatrixSolution& out) {
  // x >= 0 with u2' x <= 1, and y >= 0 with u1 y <= 1. A variable has the label of its action;
  // the slack of an action in the other tableau has it as well.
  TableauRoom<kMaxSolverActions, kMaxSolverActions> rooms[2];
  Tableau t[2] = {rooms[0].tableau(columns, rows, rows), rooms[1].tableau(rows, columns, 0)};
  t[0].start(0);
  t[1].start(rows);
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      t[0].cell(j, i) = scale2(u2[i * columns + j]);
      t[1].cell(i, j) = scale1(u1[i * columns + j]);
    }
    t[1].cell(i, columns) = 1.0;
  }
  for (int j = 0; j < columns; ++j) t[0].cell(j, rows) = 1.0;
  int label = dropped;
  int side = dropped < rows ? 0 : 1;
  for (int step = 0; step < 64 * (rows + columns); ++step) {
    const int c = t[side].column_of(label);
    const int r = c < 0 ? -1 : t[side].leaving_row(c);
    if (r < 0) return false;
    label = t[side].basic[r];
    t[side].pivot(r, c);
    side = 1 - side;
    if (label == dropped) break;
  }
  if (label != dropped) return false;
  double sums[2] = {};
  for (int i = 0; i < rows; ++i) sums[0] += out.row[i] = t[0].value_of(i);
  for (int j = 0; j < columns; ++j) sums[1] += out.column[j] = t[1].value_of(rows + j);
  if (!(sums[0] > 0.0 && sums[1] > 0.0)) return false;
  for (int i = 0; i < rows; ++i) out.row[i] = out.row[i] / sums[0];
  for (int j = 0; j < columns; ++j) out.column[j] = out.column[j] / sums[1];
  appraise(u1, u2, rows, columns, out);
  return true;
}

}  // namespace bimatrix_detail

/// One equilibrium of the game that pays u1[i * columns + j] and u2[i * columns + j], 1 to 16
/// actions each.
///
/// Of the pure equilibria the one with the highest sum of payoffs, of equals the lowest joint
/// action. Without a pure one, 2x2 games are solved by formula, larger ones by the Lemke-Howson
/// path of the first label whose end is within 1e-9 of the payoffs' range.
CUMARL_HD inline BimatrixSolution solve_bimatrix(const double* u1, const double* u2, int rows,
                                                 int columns) {
  BimatrixSolution out;
  if (rows < 1 || columns < 1 || rows > kMaxSolverActions || columns > kMaxSolverActions) {
    return out;
  }
  bool finite = true;
  const PayoffScale scale1 = PayoffScale::of(u1, rows * columns, 1, finite);
  const PayoffScale scale2 = PayoffScale::of(u2, rows * columns, 1, finite);
  if (!finite) return out;

  int best = -1;
  for (int cell = 0; cell < rows * columns; ++cell) {
    const int j = cell % columns;
    bool stable = true;
    for (int i = 0; i < rows; ++i) stable = stable && !(u1[i * columns + j] > u1[cell]);
    for (int k = 0; k < columns; ++k) stable = stable && !(u2[cell - j + k] > u2[cell]);
    if (stable && (best < 0 || u1[cell] + u2[cell] > u1[best] + u2[best])) best = cell;
  }
  if (best >= 0) {
    out.ok = out.pure = true;
    out.row[best / columns] = 1.0;
    out.column[best % columns] = 1.0;
    out.values[0] = u1[best];
    out.values[1] = u2[best];
    return out;
  }

  if (rows == 2 && columns == 2) {
    // Best responses run in a circle, so each player's two gains have one sign, and none is 0.
    const double gain1 = scale1(u1[0]) - scale1(u1[2]);
    const double loss1 = scale1(u1[3]) - scale1(u1[1]);
    const double gain2 = scale2(u2[0]) - scale2(u2[1]);
    const double loss2 = scale2(u2[3]) - scale2(u2[2]);
    out.row[0] = loss2 / (gain2 + loss2);
    out.row[1] = gain2 / (gain2 + loss2);
    out.column[0] = loss1 / (gain1 + loss1);
    out.column[1] = gain1 / (gain1 + loss1);
    bimatrix_detail::appraise(u1, u2, rows, columns, out);
    out.ok = true;
    return out;
  }

  const double range = scale1.width > scale2.width ? scale1.width : scale2.width;
  for (int dropped = 0; dropped < rows + columns; ++dropped) {
    BimatrixSolution trial;
    if (!bimatrix_detail::lemke_howson(u1, u2, rows, columns, scale1, scale2, dropped, trial)) {
      continue;
    }
    if (!out.ok || trial.gap < out.gap) {
      out = trial;
      out.ok = true;
    }
    if (out.gap <= 1e-9 * range) break;
  }
  return out;
}

}  // namespace cumarl::inline CUMARL_VARIANT
