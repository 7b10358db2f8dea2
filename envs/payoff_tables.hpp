/// \file
/// What games given by tables of numbers share: tables as users write them, [player][action of
/// player 0][action of player 1]..., and as the kernels read them, [joint action][player].
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

inline constexpr int kMaxTablePlayers = 6;

/// Throws ParameterError for a table that is no game of 2 to 6 players with up to 128 actions.
inline void check_payoffs(const Tensor& t) {
  const auto depth = t.shape.size();
  if (depth < 3 || t.shape[0] != static_cast<int>(depth) - 1 || t.shape[0] > kMaxTablePlayers) {
    throw ParameterError("payoffs",
                         "must be one table a player, nested as deep as there are players (2 to "
                         "6): [[[3,0],[5,1]], [[3,5],[0,1]]] for two players with two actions");
  }
  for (const int size : t.shape) {
    if (size > 128) throw ParameterError("payoffs", "up to 128 actions a player");
  }
}

/// [player][joint action] -> [joint action][player]
inline std::vector<double> by_joint_action(const Tensor& t) {
  const auto players = static_cast<size_t>(t.shape[0]);
  const size_t cells = t.values.size() / players;
  std::vector<double> out(t.values.size());
  for (size_t i = 0; i < players; ++i) {
    for (size_t c = 0; c < cells; ++c) out[c * players + i] = t.values[i * cells + c];
  }
  return out;
}

/// The least interval with all `values` and `before`.
inline Bounds widened(Bounds before, const std::vector<double>& values) {
  for (const double u : values) {
    before = {u < before.min ? u : before.min, u > before.max ? u : before.max};
  }
  return before;
}

/// Where a joint action's numbers, one a player, begin. Shapes: count, actions [players].
CUMARL_HD inline size_t table_place(int players, const int32_t* count, const int* actions) {
  size_t at = 0;
  for (int i = 0; i < kMaxTablePlayers && i < players; ++i) {
    at = at * static_cast<size_t>(count[i]) + static_cast<size_t>(actions[i]);
  }
  return at * static_cast<size_t>(players);
}

}  // namespace cumarl::inline CUMARL_VARIANT
