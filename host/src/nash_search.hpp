/// \file
/// Nash equilibria of games of any number of players, support by support.
#pragma once

#include <vector>

#include "kernels/solvers/strategies.hpp"

namespace cumarl {

struct NashSearch {
  /// Profiles (see NormalFormView), sorted: those with the most of player 0's first action first,
  /// then of its second, ...
  std::vector<std::vector<double>> profiles;
  /// Every equilibrium was found. Otherwise the game was too large to search, or some equilibria
  /// are not isolated (a degenerate game's come in continua), of which only pure ones are given. All
  /// pure equilibria are there in any case. Of a game of one player the pure ones are all.
  bool complete = true;
};

/// Work that a search does before it gives up being complete: payoffs read, a few seconds of them.
inline constexpr double kMostSearchWork = 1e9;

/// All Nash equilibria of a game with isolated ones.
///
/// Pure equilibria are compared exactly. Otherwise, for every choice of supports, the mixed ones are
/// the zeros of differences of expected payoffs, which are affine in every single probability:
/// their range over a box is that of its corners. Boxes are cut off and halved until no zero is
/// left or Krawczyk's test leaves one point; it is then refined by Newton's method. Doubles; every
/// profile returned has an epsilon-Nash gap of at most 1e-9 of the payoffs' range.
NashSearch search_equilibria(const NormalFormView& game);

}  // namespace cumarl
