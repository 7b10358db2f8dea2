/// \file
/// All extreme Nash equilibria of a two-player game, in exact arithmetic.
#pragma once

#include <vector>

#include "host/src/rational.hpp"

namespace cumarl {

struct ExactEquilibrium {
  std::vector<Rational> row;
  std::vector<Rational> column;
  Rational values[2];
};

/// Most actions of a player.
inline constexpr int kMostExactActions = 16;
/// Most vertices of a player's polytope, also on the way there. Random games of 12 x 12 stay
/// below.
inline constexpr std::size_t kMostVertices = 20'000;

/// Every pair of vertices of the two best-response polytopes that carries all labels, so every
/// extreme equilibrium, degenerate games included: the equilibria are the convex hulls of maximal
/// sets of pairs of these. Payoffs row-major, [rows * columns] each. Sorted: those with the most of
/// the row player's first action first, then of its second, ..., then the column player's.
///
/// Throws cumarl::Error for more actions or vertices than the limits above.
/// Source: Avis, Rosenberg, Savani, von Stengel 2010, "Enumeration of Nash equilibria for two-player
/// games"; vertices by the double description method.
std::vector<ExactEquilibrium> extreme_equilibria(const std::vector<Rational>& u1,
                                                 const std::vector<Rational>& u2, int rows,
                                                 int columns);
/// The same for doubles, taken at their exact values.
std::vector<ExactEquilibrium> extreme_equilibria(const std::vector<double>& u1,
                                                 const std::vector<double>& u2, int rows,
                                                 int columns);

}  // namespace cumarl
