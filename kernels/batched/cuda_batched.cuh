/// \file
/// The stages of any registered learner that has a batched shape, on a GPU: one launch a stage, all
/// lanes or rows of the batch at once. Compiled once (cuda_batched_impl.cuh); environments add the
/// launch in which their lanes take a step.
#pragma once

#include <cstddef>

#include "kernels/batched/run.hpp"
#include "kernels/core/launch.cuh"
#include "kernels/rollout/policies.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A batched run that a GPU works on. Parameters are host copies, `run` and `work` are the device's.
struct CudaBatchedRun {
  const CudaBackend& backend;
  const JointParams& p;
  const BatchedShape& s;
  BatchedRun run;
  std::byte* work;
  const CudaBatchedPolicy& policy;
};

/// Every function adds to the backend's stream and does not wait; all of them can be captured into a
/// graph. With Products::exact they have the bits of AnyBatched.
template <int>
struct CudaBatchedOf {
  /// Of `work`, in bytes.
  static size_t work_bytes(const JointParams& p, const BatchedShape& s);
  /// Throws Error where what `products` asks for is missing.
  static void check(const CudaBatchedRun& on);
  /// Initial weights. Pre: memory is zero.
  static void start(const CudaBatchedRun& on);
  /// Takes in what the environments of all lanes show at first.
  static void show(const CudaBatchedRun& on);
  /// Actions of all lanes in step `number` of the rollout.
  static void act(const CudaBatchedRun& on, int number);
  /// Keeps what all lanes have done, and takes in what their environments show now.
  static void keep(const CudaBatchedRun& on, int number);
  static void end_rollout(const CudaBatchedRun& on);
  /// One gradient step.
  static void update(const CudaBatchedRun& on);
};
using CudaBatched = CudaBatchedOf<0>;
extern template struct CudaBatchedOf<0>;

}  // namespace cumarl::inline CUMARL_VARIANT
