/// \file
/// Settings of the batched shape: one run with many environments side by side.
#pragma once

#include <cstdint>

#include "kernels/core/fields.hpp"

namespace cumarl {

/// How a GPU multiplies the matrices of a batched run.
enum class Products : int32_t {
  exact,    ///< in the one shape of batch_ops.hpp: the bits of the CPU
  float32,  ///< cuBLAS, every product and sum rounded to float32
  tf32,     ///< cuBLAS on tensor cores: factors rounded to 10 bits of mantissa, sums in float32
};

/// With lanes = 1 a run is one environment (the population shape); the others belong to lanes > 1.
struct BatchedSettings {
  int lanes = 1;
  int rollout = 1;
  int updates = 1;
  Choice products{0};

  void fields(FieldVisitor& v) {
    v("lanes", lanes, Bounds{1, 1e6}, "environment",
      "of a run, stepped side by side and learned from together; 1: one");
    v("rollout", rollout, Bounds{1, 1e5}, "joint step",
      "of every lane between updates (lanes above 1)");
    v("updates", updates, Bounds{1, 1e5}, "update", "after a rollout (lanes above 1)");
    v.choice("products", products, {"exact", "float32", "tf32"},
             "matrices on a GPU with lanes above 1: the CPU's bits, or cuBLAS in float32 or TF32");
  }
  bool batched() const { return lanes > 1; }
};

}  // namespace cumarl
