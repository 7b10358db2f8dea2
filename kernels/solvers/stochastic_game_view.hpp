/// \file
/// A finite stochastic game as plain arrays: what an environment that can enumerate its states
/// hands to the solvers of stochastic.hpp.
#pragma once

#include "kernels/core/hd.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A joint action is numbered sum of action_i * weight_i, agent 0 with the highest weight (the last
/// player's action runs fastest), as in RepeatedGame. Cell (s, j) is entry s * joint + j. The view
/// owns nothing.
struct StochasticGameView {
  int states = 0;
  int players = 0;
  const int* actions = nullptr;  ///< [players]
  int joint = 0;                 ///< joint actions: the product of `actions`
  const int* first = nullptr;    ///< [states * joint + 1]: cell c has the successors first[c] up to
                                 ///< but without first[c + 1]
  const int* next = nullptr;     ///< of each successor: the state
  const double* probability = nullptr;      ///< of each successor; sums to 1 over a cell
  const double* reward = nullptr;           ///< [states * joint][players]: expected reward
  const unsigned char* terminal = nullptr;  ///< [states]: 1 where the episode is over, value 0
};

}  // namespace cumarl::inline CUMARL_VARIANT
