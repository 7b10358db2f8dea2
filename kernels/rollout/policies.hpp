/// \file
/// Tuning policies: the figures that choose between compiled loops, or size a launch or a batch. None
/// of them changes a result. Sizes that are compiled in are constants beside them.
///
/// `cumarl bench NAME --autotune` (host/src/autotune.hpp) searches them; the bounds of each are in
/// host/src/policy_figures.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

namespace cumarl {

/// Of the rollout on CPU threads (cpu_rollout.hpp).
struct CpuRolloutPolicy {
  static constexpr int kChunk = 64;  ///< steps of exploration drawn ahead
  static constexpr int kLanes = 8;   ///< most runs in flight a worker
  uint64_t lanes = 4;                ///< runs in flight a worker, 1 to kLanes
};

/// Of the loop of joint learners on CPU threads (joint_rollout.hpp).
struct CpuJointPolicy {
  static constexpr int kChunk = 64;  ///< steps between two looks at `interrupt`
  static constexpr int kLanes = 8;   ///< most runs in flight a worker
  uint64_t lanes = 4;                ///< runs in flight a worker, 1 to kLanes
  /// What these may fill together: the greater part of a core's first-level cache.
  uint64_t bytes = 28 << 10;
};

/// Of runs in memory at a time on a CPU: as many as fill `bytes`, since every launch has its costs,
/// but not more than `runs`, nor, where runs are large, fewer than `runs_per_thread` a thread.
struct CpuBatchPolicy {
  uint64_t runs = 65'536;
  uint64_t bytes = 256 << 20;
  uint64_t runs_per_thread = 16;
};

/// Of the rollout on a GPU (cuda_rollout.cuh). The figures are estimates for an H200 (132
/// multiprocessors with 228 KB of shared memory each), not measurements.
struct CudaRolloutPolicy {
  /// Lanes that start a run.
  static constexpr int kStartTile = 32;
  /// Lanes that advance a run: the row of 15 prices, padded.
  static constexpr int kTile = 16;
  /// Compiled shapes with fewer actions leave most of a tile idle and have no tile kernel.
  static constexpr int kTileActions = 8;
  /// Runs of up to this many bytes (2x2 games: 192) are never advanced by tiles. Compiled shapes
  /// without a tile kernel are taken to shared memory by their threads instead, about 700 to a
  /// multiprocessor: tables scattered in device memory cost one access to the L1 cache a lane.
  uint64_t small_run = 512;
  /// A tile with its tables in shared memory steps about three times as fast as a thread that waits
  /// for device memory; so tiles win up to three times the runs that fit at once (pricing: 7 runs
  /// of 29 KB a multiprocessor).
  uint64_t staged_shifts = 3;
  /// A tile that leaves its tables in device memory shortens the scan of a wide row, while the
  /// processor has issue slots for 16-fold work: up to this many runs a multiprocessor.
  uint64_t tiles_per_processor = 32;
  /// Most threads of a block that advances runs, of all loops on a GPU: 32, 64 or 128.
  uint64_t threads = 128;
};

/// Of runs with many lanes on a GPU (kernels/batched/launches.hpp). Estimates.
struct CudaBatchedPolicy {
  uint64_t rows = 8;  ///< of a forward pass that one team takes: a power of two up to 32
  /// Iterations of a launch at least, so that making the graph costs little of it.
  uint64_t least_iterations = 64;
};

/// Of runs in memory at a time on a GPU, and of launches over them. Estimates.
struct CudaBatchPolicy {
  /// Some three times what the rollout's registers let a multiprocessor run at once.
  uint64_t runs_per_processor = 2'048;
  /// Joint steps a run advances in one launch: an estimated second or two with a full batch, a tenth
  /// of that with few runs.
  uint64_t steps = 100'000;
};

/// All of them.
struct Policies {
  CpuRolloutPolicy cpu_rollout{};
  CpuJointPolicy cpu_joint{};
  CpuBatchPolicy cpu_batch{};
  CudaRolloutPolicy cuda_rollout{};
  CudaBatchedPolicy cuda_batched{};
  CudaBatchPolicy cuda_batch{};
};
inline constexpr Policies kPolicies{};

}  // namespace cumarl
