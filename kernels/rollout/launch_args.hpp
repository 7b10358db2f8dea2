/// \file
/// What the host hands to a rollout: plain pointers to memory of the backend, no types of an
/// environment or a learner.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernels/rollout/policies.hpp"

namespace cumarl {

class CpuBackend;
class CudaBackend;

/// When a run ends. A run converges when no update has changed a greedy action for `stable_periods`
/// joint steps (0: never); it ends unconverged at `max_steps`.
struct Stop {
  uint64_t stable_periods;
  uint64_t max_steps;
};

/// How a finished run is evaluated.
struct Evaluation {
  uint32_t episodes;      ///< of episodic environments
  uint32_t steps;         ///< of endless ones, where the policy is not deterministic
  uint32_t points;        ///< in time, at which Env::probe is taken; 0: none
  bool measures = false;  ///< runs are tallied step by step, and measures of that reported
};

/// `diverged`: weights are no numbers any more; the run stopped there.
enum class RunStatus : uint32_t { running = 0, converged = 1, out_of_steps = 2, diverged = 3 };

/// Where the run in a slot stands between launches. A run that was started and has not advanced yet
/// needs no checkpoint.
enum class SlotPhase : uint32_t { started = 0, advanced = 1, ended = 2 };

/// One place for a run in device memory.
struct Slot {
  uint64_t run;   ///< global run id
  uint32_t cell;  ///< row of the parameter table
};

/// Sizes of one run of a (environment, learner, cell).
struct RunLayout {
  size_t cell_bytes;    ///< parameters
  size_t state_bytes;   ///< loop state
  size_t memory_bytes;  ///< learner tables, a multiple of 64
};

struct Rollout {
  const std::byte* cells;  ///< [cell_count] of cell_bytes
  std::byte* states;       ///< [slots] of state_bytes
  std::byte* memory;       ///< [slots] of memory_bytes, 64-byte aligned
  double* outcomes;        ///< [slots][outcome_count]
  const Slot* slots;       ///< [slots]
  const uint32_t* live;    ///< [live_count] slots to work on
  uint32_t live_count;
  uint32_t cell_count;
  uint32_t outcome_count;
  RunLayout layout;
  uint64_t seed;
  uint64_t budget;                        ///< joint steps each run may advance in this launch
  SlotPhase* phase;                       ///< [slots]
  std::atomic<uint64_t>* progress;        ///< joint steps done; CPU only
  const std::atomic<bool>* interrupt;     ///< leave soon when true; CPU only
  const Policies* policies = &kPolicies;  ///< of this launch, in host memory; never null
};

/// The compiled loops of a pair and shape on one backend.
template <class Backend>
struct Kernels {
  void (*start)(const Backend&, const Rollout&) = nullptr;
  void (*advance)(const Backend&, const Rollout&) = nullptr;
  void (*finish)(const Backend&, const Rollout&) = nullptr;
};

/// Outcome row: status, joint steps, last change (of a diverged run: the agent), digest of the final tables and state (upper and
/// lower 32 bits), then what `evaluate` reports.
inline constexpr uint32_t kOutcomeHead = 5;

}  // namespace cumarl
