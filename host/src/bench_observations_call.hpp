/// \file
/// What the loops of bench_observations_loop.hpp are asked, and what they answer. Their units are
/// compiled for several instruction sets, so little is included here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "kernels/core/fields.hpp"

namespace cumarl {

enum class ObservedEnv : uint8_t { lbf, matrix_game, bertrand_logit };

struct ObservedPlayCall {
  ObservedEnv env;
  /// Fills the environment's settings, which it is given as their fields.
  std::function<void(const std::function<void(FieldVisitor&)>&)> read;
  int threads = 1;
  uint64_t runs = 1, steps = 1;
  int together = 1;             ///< runs interleaved in a worker
  uint64_t* digests = nullptr;  ///< [runs], of all observations and rewards; null: none are made
};

struct ObservedPlayed {
  int agents = 0;
  size_t state_bytes = 0;
  size_t features = 0;  ///< of all agents
  double seconds = 0;   ///< without making the environment
};

}  // namespace cumarl
