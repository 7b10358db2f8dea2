/// \file
/// Pivoting, once for all solvers that walk from vertex to vertex: a condensed tableau and the
/// lexicographic ratio test, which cannot cycle on degenerate games.
#pragma once

#include "kernels/core/hd.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A system  basic_r + sum_c cell(r, c) * nonbasic_c = right(r)  of non-negative variables. Row
/// `rows` is the objective: its cells are the negated reduced costs, its right side the value.
/// Variables are known by labels; the first slack's label is `slack`, the others follow, and at the
/// start slack r is basic in row r. The storage belongs to the caller.
struct Tableau {
  /// Below this, relative to entries of size 1, a number counts as zero.
  static constexpr double kZero = 1e-11;
  /// Smaller pivots are not taken.
  static constexpr double kSmallestPivot = 1e-9;

  int rows = 0;
  int columns = 0;
  int slack = 0;
  double* cells = nullptr;      ///< [rows + 1][columns + 1]; the last column is the right side
  int* basic = nullptr;         ///< [rows]: label of the variable of a row
  int* nonbasic = nullptr;      ///< [columns]: label of the variable of a column
  int* slack_column = nullptr;  ///< [rows]: where slack r is: its column, or -1 - row while basic

  CUMARL_HD double& cell(int r, int c) { return cells[r * (columns + 1) + c]; }
  CUMARL_HD double cell(int r, int c) const { return cells[r * (columns + 1) + c]; }
  CUMARL_HD double right(int r) const { return cell(r, columns); }

  /// The start: variables `first`, first + 1, ... are nonbasic, slacks basic, all cells 0.
  CUMARL_HD void start(int first) {
    for (int k = 0; k < (rows + 1) * (columns + 1); ++k) cells[k] = 0.0;
    for (int c = 0; c < columns; ++c) nonbasic[c] = first + c;
    for (int r = 0; r < rows; ++r) {
      basic[r] = slack + r;
      slack_column[r] = -1 - r;
    }
  }

  /// Column of a nonbasic variable, -1 if it is basic.
  CUMARL_HD int column_of(int label) const {
    for (int c = 0; c < columns; ++c) {
      if (nonbasic[c] == label) return c;
    }
    return -1;
  }
  /// What a variable is worth at the present vertex.
  CUMARL_HD double value_of(int label) const {
    for (int r = 0; r < rows; ++r) {
      if (basic[r] == label) return right(r) > 0.0 ? right(r) : 0.0;
    }
    return 0.0;
  }

  /// The row that leaves when column c enters, by the lexicographic ratio test: the right sides
  /// count as perturbed by e, e^2, ... for slack 0, 1, ... -1 if nothing limits the column.
  CUMARL_HD int leaving_row(int c) const {
    int best = -1;
    for (int r = 0; r < rows; ++r) {
      if (cell(r, c) > kSmallestPivot && (best < 0 || lower_ratio(r, best, c))) best = r;
    }
    return best;
  }

  /// Exchanges the variables of row r and column c.
  CUMARL_HD void pivot(int r, int c) {
    const double inverse = 1.0 / cell(r, c);
    for (int k = 0; k <= columns; ++k) cell(r, k) = cell(r, k) * inverse;
    cell(r, c) = inverse;
    for (int i = 0; i <= rows; ++i) {
      const double factor = cell(i, c);
      if (i == r || factor == 0.0) continue;
      for (int k = 0; k <= columns; ++k) {
        const double change = factor * cell(r, k);
        const double before = cell(i, k);
        const double after = before - change;
        const double size = (before < 0 ? -before : before) + (change < 0 ? -change : change);
        // What is left of two equal numbers is rounding, not a number.
        cell(i, k) = (after < 0 ? -after : after) <= 1e-14 * size ? 0.0 : after;
      }
      cell(i, c) = -factor * inverse;
    }
    const int leaves = basic[r];
    const int enters = nonbasic[c];
    basic[r] = enters;
    nonbasic[c] = leaves;
    if (enters >= slack && enters < slack + rows) slack_column[enters - slack] = -1 - r;
    if (leaves >= slack && leaves < slack + rows) slack_column[leaves - slack] = c;
  }

  /// Maximises the objective from a feasible start. False if it gave up after `limit` pivots or
  /// the objective has no bound.
  CUMARL_HD bool maximise(int limit) {
    for (int step = 0; step < limit; ++step) {
      int enters = -1;
      double most = kZero;
      for (int c = 0; c < columns; ++c) {
        if (-cell(rows, c) > most) {
          most = -cell(rows, c);
          enters = c;
        }
      }
      if (enters < 0) return true;
      const int leaves = leaving_row(enters);
      if (leaves < 0) return false;
      pivot(leaves, enters);
    }
    return false;
  }

  /// Maximises the objective from a start that is optimal but for negative right sides, which no
  /// reduced cost forbids (the dual simplex method; ties go to the largest pivot). False if it gave
  /// up after `limit` pivots or nothing satisfies the system.
  CUMARL_HD bool repair(int limit) {
    for (int step = 0; step < limit; ++step) {
      int leaves = -1;
      double least = -kZero;
      for (int r = 0; r < rows; ++r) {
        if (right(r) < least) {
          least = right(r);
          leaves = r;
        }
      }
      if (leaves < 0) return true;
      // The first pass finds how far the ratios may go when each cost may miss zero by a hair, the
      // second takes the largest pivot within that.
      double bound = 0.0;
      bool any = false;
      for (int c = 0; c < columns; ++c) {
        const double size = -cell(leaves, c);
        if (size <= kSmallestPivot) continue;
        const double cost = cell(rows, c) > 0.0 ? cell(rows, c) : 0.0;
        const double ratio = (cost + kZero) / size;
        if (!any || ratio < bound) bound = ratio;
        any = true;
      }
      if (!any) return false;
      int enters = -1;
      for (int c = 0; c < columns; ++c) {
        const double size = -cell(leaves, c);
        if (size <= kSmallestPivot) continue;
        const double cost = cell(rows, c) > 0.0 ? cell(rows, c) : 0.0;
        if (cost / size <= bound && (enters < 0 || size > -cell(leaves, enters))) enters = c;
      }
      pivot(leaves, enters);
    }
    return false;
  }

 private:
  CUMARL_HD double slack_cell(int r, int s) const {
    const int where = slack_column[s];
    if (where >= 0) return cell(r, where);
    return where == -1 - r ? 1.0 : 0.0;
  }
  /// Whether row r limits column c strictly before row s does.
  CUMARL_HD bool lower_ratio(int r, int s, int c) const {
    const double a = cell(r, c);
    const double b = cell(s, c);
    const double difference = right(r) / a - right(s) / b;
    if (difference < -kZero) return true;
    if (difference > kZero) return false;
    for (int k = 0; k < rows; ++k) {
      const double next = slack_cell(r, k) / a - slack_cell(s, k) / b;
      if (next < -kZero) return true;
      if (next > kZero) return false;
    }
    return false;
  }
};

/// Room for a tableau of up to kRows x kColumns, for the stack.
template <int kRows, int kColumns>
struct TableauRoom {
  double cells[(kRows + 1) * (kColumns + 1)];
  int basic[kRows];
  int nonbasic[kColumns];
  int slack_column[kRows];

  /// The slacks get the labels from `slack` on.
  CUMARL_HD Tableau tableau(int rows, int columns, int slack) {
    return {rows, columns, slack, cells, basic, nonbasic, slack_column};
  }
};

/// The affine map of payoffs onto [1, 2], which changes no equilibrium. A constant game goes to 1.
struct PayoffScale {
  double low = 0.0;
  double width = 1.0;

  /// Over count payoffs, `step` apart. `ok` is false where one of them is not finite.
  CUMARL_HD static PayoffScale of(const double* payoffs, int count, int step, bool& ok) {
    double low = payoffs[0];
    double high = payoffs[0];
    for (int k = 0; k < count; ++k) {
      const double u = payoffs[k * step];
      if (!(u - u == 0.0)) ok = false;
      low = u < low ? u : low;
      high = u > high ? u : high;
    }
    const double width = high - low;
    if (!(width - width == 0.0)) ok = false;
    return {low, width > 0.0 ? width : 1.0};
  }
  CUMARL_HD double operator()(double payoff) const { return (payoff - low) / width + 1.0; }
};

/// Divides `count` non-negative weights by their sum.
CUMARL_HD inline void normalise(double* weights, int count) {
  double sum = 0.0;
  for (int k = 0; k < count; ++k) sum += weights[k];
  for (int k = 0; k < count; ++k) weights[k] = weights[k] / sum;
}

}  // namespace cumarl::inline CUMARL_VARIANT
