/// \file
/// Logit quantal response equilibria of two-player games: every strategy is the softmax, at
/// temperature tau, of its actions' expected payoffs against the other strategy.
///
/// Source: McKelvey and Palfrey 1995, "Quantal response equilibria for normal form games".
#pragma once

#include "kernels/core/math.hpp"
#include "kernels/solvers/zero_sum.hpp"

namespace cumarl::inline CUMARL_VARIANT {

struct QuantalResponse {
  bool ok = false;
  double row[kMaxSolverActions] = {};
  double column[kMaxSolverActions] = {};
};

/// All equilibria of a 2x2 game, those with the most of the row player's action 0 first.
struct QuantalResponses2x2 {
  static constexpr int kMost = 8;
  int count = 0;
  QuantalResponse found[kMost] = {};
};

namespace quantal_detail {

/// Turns logits into probabilities.
CUMARL_HD inline void softmax(double* logits, int count) {
  double top = logits[0];
  for (int k = 1; k < count; ++k) top = logits[k] > top ? logits[k] : top;
  for (int k = 0; k < count; ++k) logits[k] = portable_exp(logits[k] - top);
  normalise(logits, count);
}

CUMARL_HD inline double magnitude(double x) { return x < 0.0 ? -x : x; }

/// Solves the n x n system in place (rows of n + 1, the right side last). The sign of the
/// determinant; 0 if the system is singular and nothing was solved.
CUMARL_HD inline int solve_linear(double (*rows)[kMaxSolverActions + 1], int n, double* solution) {
  int sign = 1;
  for (int c = 0; c < n; ++c) {
    int top = c;
    for (int r = c + 1; r < n; ++r) {
      if (magnitude(rows[r][c]) > magnitude(rows[top][c])) top = r;
    }
    if (!(magnitude(rows[top][c]) > 1e-300)) return 0;
    if ((top != c) != (rows[top][c] < 0.0)) sign = -sign;
    for (int k = 0; k <= n; ++k) {
      const double moved = rows[top][k];
      rows[top][k] = rows[c][k];
      rows[c][k] = moved;
    }
    for (int r = c + 1; r < n; ++r) {
      const double factor = rows[r][c] / rows[c][c];
      for (int k = c; k <= n; ++k) rows[r][k] -= factor * rows[c][k];
    }
  }
  for (int r = n - 1; r >= 0; --r) {
    double sum = rows[r][n];
    for (int k = r + 1; k < n; ++k) sum -= rows[r][k] * solution[k];
    solution[r] = sum / rows[r][r];
  }
  return sign;
}

/// The equilibria as a path: unknown are the row player's logits z_1, ... (z_0 = 0) and s, the
/// inverse temperature times `width`. The column player answers x = softmax(z) exactly.
struct Path {
  const double* u1;
  const double* u2;
  int rows;
  int columns;
  double width;

  CUMARL_HD void strategies(const double* point, double* x, double* y) const {
    const double rate = point[rows - 1] / width;
    x[0] = 0.0;
    for (int i = 1; i < rows; ++i) x[i] = point[i - 1];
    softmax(x, rows);
    for (int j = 0; j < columns; ++j) {
      y[j] = 0.0;
      for (int i = 0; i < rows; ++i) y[j] += x[i] * u2[i * columns + j];
      y[j] = rate * y[j];
    }
    softmax(y, columns);
  }

  /// What is missing from an equilibrium, [rows - 1], in the last column of `system`, and its
  /// derivatives in the columns before.
  CUMARL_HD double residual(const double* point, double (*system)[kMaxSolverActions + 1]) const {
    double x[kMaxSolverActions];
    double y[kMaxSolverActions];
    double mean[kMaxSolverActions];   // of u2 over y, a row
    double worth[kMaxSolverActions];  // of a column
    strategies(point, x, y);
    const double rate = point[rows - 1] / width;
    double mean_worth = 0.0;
    for (int i = 0; i < rows; ++i) {
      mean[i] = 0.0;
      for (int j = 0; j < columns; ++j) mean[i] += y[j] * u2[i * columns + j];
      mean_worth += x[i] * mean[i];
    }
    for (int j = 0; j < columns; ++j) {
      worth[j] = 0.0;
      for (int i = 0; i < rows; ++i) worth[j] += x[i] * u2[i * columns + j];
    }
    double worst = 0.0;
    for (int k = 1; k < rows; ++k) {
      double* out = system[k - 1];
      double gain = 0.0;
      double by_rate = 0.0;
      for (int j = 0; j < columns; ++j) {
        const double edge = u1[k * columns + j] - u1[j];
        gain += edge * y[j];
        by_rate += edge * y[j] * (worth[j] - mean_worth);
      }
      for (int l = 1; l < rows; ++l) {
        double slope = 0.0;
        for (int j = 0; j < columns; ++j) {
          const double edge = u1[k * columns + j] - u1[j];
          slope += edge * y[j] * (u2[l * columns + j] - mean[l] - worth[j] + mean_worth);
        }
        out[l - 1] = (k == l ? 1.0 : 0.0) - rate * rate * x[l] * slope;
      }
      out[rows - 1] = -(gain + rate * by_rate) / width;
      out[rows] = -(point[k - 1] - rate * gain);
      const double size = 1.0 + magnitude(point[k - 1]) + 0.01 * point[rows - 1];
      if (magnitude(out[rows]) / size > worst) worst = magnitude(out[rows]) / size;
    }
    return worst;
  }

  /// Newton's method on the plane through `point` across `normal`, for as long as it gains.
  CUMARL_HD bool correct(double* point, const double* normal) const {
    double system[kMaxSolverActions][kMaxSolverActions + 1];
    double move[kMaxSolverActions] = {};
    double before = 1e300;
    for (int step = 0; step < 20; ++step) {
      const double error = residual(point, system);
      if (!(error < before)) {
        for (int k = 0; k < rows; ++k) point[k] -= move[k];
        break;
      }
      before = error;
      if (error <= 1e-15) break;
      for (int k = 0; k < rows; ++k) system[rows - 1][k] = normal[k];
      system[rows - 1][rows] = 0.0;
      if (solve_linear(system, rows, move) == 0) return false;
      for (int k = 0; k < rows; ++k) point[k] += move[k];
    }
    return before <= 1e-10;
  }

  /// The direction in which the path goes on, its largest entry of size 1, on the same side as
  /// `direction`. The sign of the determinant, which stays the same along a path but for where
  /// another one crosses it; 0 if there is no direction.
  CUMARL_HD int turn(const double* point, double* direction) const {
    double system[kMaxSolverActions][kMaxSolverActions + 1];
    residual(point, system);
    for (int k = 0; k + 1 < rows; ++k) system[k][rows] = 0.0;
    for (int k = 0; k < rows; ++k) system[rows - 1][k] = direction[k];
    system[rows - 1][rows] = 1.0;
    double next[kMaxSolverActions];
    const int sign = solve_linear(system, rows, next);
    if (sign == 0) return 0;
    double length = 0.0;
    for (int k = 0; k < rows; ++k)
      length = length > magnitude(next[k]) ? length : magnitude(next[k]);
    if (!(length > 0.0 && length < 1e300)) return 0;
    for (int k = 0; k < rows; ++k) direction[k] = next[k] / length;
    return sign;
  }
};

/// A 2x2 game's equilibria as fixed points of one function of z = ln(x_0 / x_1).
struct Circle2x2 {
  double base1, slope1;  ///< gain of the row player's action 0: base + slope * y_0, over tau
  double base2, slope2;  ///< of the column player's action 0: base + slope * x_0, over tau

  CUMARL_HD static double logistic(double z) {
    return z >= 0.0 ? 1.0 / (1.0 + portable_exp(-z)) : portable_exp(z) / (1.0 + portable_exp(z));
  }
  CUMARL_HD double answer(double z) const {
    return base1 + slope1 * logistic(base2 + slope2 * logistic(z));
  }
  /// The root of z - answer(z) in an interval at whose ends its signs differ.
  CUMARL_HD double root(double left, double right) const {
    const bool rises = left <= answer(left);
    for (int step = 0; step < 200; ++step) {
      const double middle = 0.5 * (left + right);
      if (!(middle > left && middle < right)) break;
      if ((middle <= answer(middle)) == rises) {
        left = middle;
      } else {
        right = middle;
      }
    }
    return 0.5 * (left + right);
  }
  CUMARL_HD void add(double z, QuantalResponses2x2& out) const {
    if (out.count == QuantalResponses2x2::kMost) return;
    QuantalResponse& s = out.found[out.count++];
    const double gain = base2 + slope2 * logistic(z);
    s.ok = true;
    s.row[0] = logistic(z);
    s.row[1] = logistic(-z);
    s.column[0] = logistic(gain);
    s.column[1] = logistic(-gain);
  }
};

}  // namespace quantal_detail

/// The equilibrium on the principal branch, the one connected with the centroid at infinite
/// temperature: the path is followed from there (also where it turns back) until it first comes to
/// `tau` > 0. 1 to 16 actions each. Not ok: payoffs not finite, tau not positive, or the path could
/// not be followed (where it branches; a generic game's does not).
CUMARL_HD inline QuantalResponse solve_quantal(const double* u1, const double* u2, int rows,
                                               int columns, double tau) {
  QuantalResponse out;
  if (rows < 1 || columns < 1 || rows > kMaxSolverActions || columns > kMaxSolverActions ||
      !(tau > 0.0)) {
    return out;
  }
  bool finite = true;
  const PayoffScale scale1 = PayoffScale::of(u1, rows * columns, 1, finite);
  const PayoffScale scale2 = PayoffScale::of(u2, rows * columns, 1, finite);
  if (!finite) return out;
  const double width = scale1.width > scale2.width ? scale1.width : scale2.width;
  const quantal_detail::Path path{u1, u2, rows, columns, width};
  const double target = width / tau;
  if (!(target < 1e15)) return out;
  double point[kMaxSolverActions] = {};
  if (rows == 1) {
    point[0] = target;
    path.strategies(point, out.row, out.column);
    out.ok = true;
    return out;
  }

  double direction[kMaxSolverActions] = {};
  double last_axis[kMaxSolverActions] = {};
  last_axis[rows - 1] = 1.0;
  direction[rows - 1] = 1.0;
  int orientation = path.turn(point, direction);
  if (orientation == 0) return out;
  double length = 0.05;
  for (int step = 0; step < 20000; ++step) {
    double ahead[kMaxSolverActions];
    double bend[kMaxSolverActions];
    for (int k = 0; k < rows; ++k) {
      ahead[k] = point[k] + length * direction[k];
      bend[k] = direction[k];
    }
    const bool arrives = ahead[rows - 1] >= target;
    if (arrives) {
      // Along the tangent to the plane of the temperature asked for.
      const double part = (target - point[rows - 1]) / direction[rows - 1];
      for (int k = 0; k < rows; ++k) ahead[k] = point[k] + part * direction[k];
      ahead[rows - 1] = target;
    }
    bool good = path.correct(ahead, arrives ? last_axis : direction);
    int sign = 0;
    if (good) {
      // Far from the prediction, round a sharp bend or in the other sense may be another path. A
      // path that crosses this one, as in symmetric games, is passed with a very short step.
      double off = 0.0;
      double dot = 0.0;
      double own = 0.0;
      double other = 0.0;
      sign = path.turn(ahead, bend);
      for (int k = 0; k < rows; ++k) {
        const double gap = quantal_detail::magnitude(ahead[k] - point[k] - length * direction[k]);
        if (!arrives) off = gap > off ? gap : off;
        dot += bend[k] * direction[k];
        own += direction[k] * direction[k];
        other += bend[k] * bend[k];
      }
      good = sign != 0 && off <= 0.1 * length && dot > 0.0 && dot * dot > 0.95 * own * other &&
             (sign == orientation || length < 1e-5);
    }
    if (!good) {
      length = 0.5 * length;
      if (length < 1e-10) return out;
      continue;
    }
    if (arrives) {
      path.strategies(ahead, out.row, out.column);
      out.ok = true;
      return out;
    }
    for (int k = 0; k < rows; ++k) {
      point[k] = ahead[k];
      direction[k] = bend[k];
    }
    orientation = sign;
    if (!(point[rows - 1] > 0.0)) return out;
    length = 1.4 * length;
  }
  return out;
}

/// Every equilibrium of a 2x2 game at temperature tau > 0.
///
/// The row player's logit is a fixed point of a monotone function f. On an interval [l, r] all fixed
/// points lie within [f(l), f(r)]; intervals are narrowed so and halved until they are empty or
/// shorter than 1e-8 of the range, so none is missed but for pairs closer than that.
CUMARL_HD inline QuantalResponses2x2 solve_quantal_2x2(const double* u1, const double* u2,
                                                       double tau) {
  QuantalResponses2x2 out;
  bool finite = true;
  PayoffScale::of(u1, 4, 1, finite);
  PayoffScale::of(u2, 4, 1, finite);
  if (!finite || !(tau > 0.0)) return out;
  const quantal_detail::Circle2x2 f{
      (u1[1] - u1[3]) / tau, ((u1[0] - u1[2]) - (u1[1] - u1[3])) / tau, (u2[2] - u2[3]) / tau,
      ((u2[0] - u2[1]) - (u2[2] - u2[3])) / tau};
  const double edge = f.slope1 > 0.0 ? f.base1 + f.slope1 : f.base1;
  const double low = f.slope1 > 0.0 ? f.base1 : f.base1 + f.slope1;
  if (!(edge - edge == 0.0 && low - low == 0.0)) return out;
  if (!(f.slope1 * f.slope2 > 0.0)) {
    f.add(f.root(low, edge), out);  // z - f(z) rises everywhere
    return out;
  }

  const double size = 1.0 + (edge - low);
  const double shortest = 1e-8 * size;
  const double slop = 1e-13 * (size + quantal_detail::magnitude(low));
  double lefts[80];
  double rights[80];
  int open = 1;
  lefts[0] = low - slop;
  rights[0] = edge + slop;
  double cluster_left = 0.0;
  double cluster_right = 0.0;
  bool in_cluster = false;
  while (true) {
    // From the right, so that the equilibria with the most of action 0 come first.
    double left = 0.0;
    double right = 0.0;
    bool leaf = false;
    if (open > 0) {
      --open;
      left = lefts[open];
      right = rights[open];
      const double above = f.answer(left) - slop;
      const double below = f.answer(right) + slop;
      left = above > left ? above : left;
      right = below < right ? below : right;
      if (left > right) continue;
      leaf = right - left <= shortest;
      if (!leaf) {
        const double middle = 0.5 * (left + right);
        lefts[open] = left;
        rights[open] = middle;
        lefts[open + 1] = middle;
        rights[open + 1] = right;
        open += 2;
        continue;
      }
      if (in_cluster && cluster_left - right <= shortest) {
        cluster_left = left < cluster_left ? left : cluster_left;
        continue;
      }
    }
    if (in_cluster) {
      const double wide_left = cluster_left - shortest;
      const double wide_right = cluster_right + shortest;
      const double middle = 0.5 * (cluster_left + cluster_right);
      if ((wide_left <= f.answer(wide_left)) != (wide_right <= f.answer(wide_right))) {
        f.add(f.root(wide_left, wide_right), out);
      } else if (quantal_detail::magnitude(middle - f.answer(middle)) <= 1e-12 * size) {
        f.add(middle, out);  // two equilibria just meet
      }
    }
    in_cluster = leaf;
    cluster_left = left;
    cluster_right = right;
    if (!leaf) return out;
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
