/// \file
/// The stages of any registered learner that has a batched shape, on a CPU. Compiled once an
/// instruction set (any_batched_impl.hpp); environments call it for tiles, not for single lanes.
#pragma once

#include <cstddef>

#include "kernels/batched/run.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// `scratch`: working memory of the calling thread, scratch_bytes(run), 64-byte aligned.
template <int>
struct AnyBatchedOf {
  static size_t scratch_bytes(const BatchedRun& run);
  /// Initial weights. Pre: memory is zero.
  static void start(const BatchedRun& run);
  /// Takes in what the environments of lanes [first, first + count) show at first.
  static void show(const BatchedRun& run, int first, int count);
  /// Actions of up to BatchedShape::kTile lanes in step `number` of the rollout.
  static void act(const BatchedRun& run, int number, int first, int count, std::byte* scratch);
  /// Keeps what these lanes have done, and takes in what their environments show now.
  static void keep(const BatchedRun& run, int number, int first, int count);
  static void end_rollout(const BatchedRun& run);
  /// Samples a part of the batch and makes its gradient.
  static void part(const BatchedRun& run, int part, std::byte* scratch);
  /// The gradient of a block of parameters, from all parts, and its norm.
  static void reduce(const BatchedRun& run, int block);
  /// Pre: all blocks are reduced.
  static void move(const BatchedRun& run, int block);
  /// Pre: all blocks are moved.
  static void end_update(const BatchedRun& run);
};
using AnyBatched = AnyBatchedOf<0>;
extern template struct AnyBatchedOf<0>;

}  // namespace cumarl::inline CUMARL_VARIANT
