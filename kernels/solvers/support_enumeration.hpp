/// \file
/// The equilibria of a small two-player game whose supports have equal sizes: in a nondegenerate game
/// all of them. Host only; for exact and complete lists of any game see extreme_equilibria.hpp.
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "kernels/solvers/strategies.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Solves a x = b in place by elimination with column pivots; false where a is singular.
/// Shapes: a [n][n] row-major, b [n].
inline bool solve_linear(std::vector<double>& a, std::vector<double>& b) {
  const size_t n = b.size();
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t r = k + 1; r < n; ++r) {
      if (std::fabs(a[r * n + k]) > std::fabs(a[pivot * n + k])) pivot = r;
    }
    if (std::fabs(a[pivot * n + k]) < 1e-12) return false;
    for (size_t c = 0; c < n; ++c) std::swap(a[k * n + c], a[pivot * n + c]);
    std::swap(b[k], b[pivot]);
    for (size_t r = 0; r < n; ++r) {
      if (r == k) continue;
      const double factor = a[r * n + k] / a[k * n + k];
      for (size_t c = k; c < n; ++c) a[r * n + c] -= factor * a[k * n + c];
      b[r] -= factor * b[k];
    }
  }
  for (size_t k = 0; k < n; ++k) b[k] /= a[k * n + k];
  return true;
}

/// Profiles [count][actions 0 + actions 1], by supports in order of size. A profile counts when no
/// deviation gains more than 1e-9 of the largest payoff. Pre: two players.
inline std::vector<std::vector<double>> support_equilibria(const NormalFormView& game) {
  const int rows = game.actions[0];
  const int columns = game.actions[1];
  double scale = 1.0;
  for (int k = 0; k < 2 * game.joint; ++k) scale = std::fmax(scale, std::fabs(game.payoffs[k]));

  /// The strategy of `mover` on its support that leaves `other` indifferent over the other's.
  const auto indifferent = [&](int mover, const std::vector<int>& own,
                               const std::vector<int>& others, std::vector<double>& out) {
    const size_t k = own.size();
    std::vector<double> a((k + 1) * (k + 1), 0.0);
    std::vector<double> b(k + 1, 0.0);
    for (size_t r = 0; r < k; ++r) {
      for (size_t c = 0; c < k; ++c) {
        const int cell = own[c] * game.weight[mover] + others[r] * game.weight[1 - mover];
        a[r * (k + 1) + c] = game.payoff(cell, 1 - mover);
      }
      a[r * (k + 1) + k] = -1.0;
    }
    for (size_t c = 0; c < k; ++c) a[k * (k + 1) + c] = 1.0;
    b[k] = 1.0;
    if (!solve_linear(a, b)) return false;
    out.assign(static_cast<size_t>(game.actions[mover]), 0.0);
    for (size_t c = 0; c < k; ++c) {
      if (b[c] < -1e-12) return false;
      out[static_cast<size_t>(own[c])] = std::fmax(b[c], 0.0);
    }
    return true;
  };
  const auto support = [](unsigned mask, int actions) {
    std::vector<int> members;
    for (int a = 0; a < actions; ++a) {
      if ((mask >> a & 1u) != 0) members.push_back(a);
    }
    return members;
  };

  std::vector<std::vector<double>> found;
  const int most = rows < columns ? rows : columns;
  for (int size = 1; size <= most; ++size) {
    for (unsigned m0 = 1; m0 < 1u << rows; ++m0) {
      if (__builtin_popcount(m0) != size) continue;
      for (unsigned m1 = 1; m1 < 1u << columns; ++m1) {
        if (__builtin_popcount(m1) != size) continue;
        const auto s0 = support(m0, rows);
        const auto s1 = support(m1, columns);
        std::vector<double> x;
        std::vector<double> y;
        if (!indifferent(0, s0, s1, x) || !indifferent(1, s1, s0, y)) continue;
        x.insert(x.end(), y.begin(), y.end());
        if (nash_gap(game, x.data()).epsilon > 1e-9 * scale) continue;
        bool known = false;
        for (const auto& other : found) {
          double apart = 0;
          for (size_t k = 0; k < x.size(); ++k) {
            apart = std::fmax(apart, std::fabs(x[k] - other[k]));
          }
          known |= apart < 1e-9;
        }
        if (!known) found.push_back(std::move(x));
      }
    }
  }
  return found;
}

}  // namespace cumarl::inline CUMARL_VARIANT
