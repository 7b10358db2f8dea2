/// \file
/// The rollout on a GPU. Many runs: a thread a run. Few runs: a tile of 16 lanes a run, with the
/// run's tables in shared memory for the whole launch where they fit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/core/launch.cuh"
#include "kernels/core/team.hpp"
#include "kernels/rollout/rollout.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The rollout reduced to one slot, now slot 0, with its memory elsewhere.
CUMARL_HD CUMARL_INLINE Rollout alone(const Rollout& r, uint32_t slot, std::byte* memory) {
  Rollout one = r;
  one.states += slot * r.layout.state_bytes;
  one.memory = memory;
  one.slots += slot;
  one.phase += slot;
  return one;
}

/// Copies `bytes` bytes, a multiple of 64, by words that both ends' alignment allows.
template <class Word, class Team>
__device__ CUMARL_INLINE void copy(const Team& team, std::byte* to, const std::byte* from,
                                   size_t bytes) {
  const auto count = static_cast<unsigned>(bytes / sizeof(Word));
  for (auto i = static_cast<unsigned>(team.rank()); i < count;
       i += static_cast<unsigned>(team.size())) {
    reinterpret_cast<Word*>(to)[i] = reinterpret_cast<const Word*>(from)[i];
  }
}

/// Starts a run.
template <class Env, class L>
struct CudaStart {
  Rollout r;
  template <class Team>
  __device__ void operator()(const Team& team, uint64_t i, std::byte*) const {
    start_run<Env, L>(team, r, r.live[i]);
  }
};

/// Advances a run by one thread.
template <class Env, class L, class ShapeT>
struct CudaAdvance {
  Rollout r;
  __device__ void operator()(uint64_t i) const {
    advance_run<Lane<Env, L, ShapeT, SerialTeam, 1>>(SerialTeam{}, r, r.live[i]);
  }
};

/// Advances a small run by one thread, with the tables in shared memory. Rows of 16 would need
/// 16-byte alignment (simd.hpp) and have a tile kernel instead.
template <class Env, class L, class ShapeT>
struct CudaAdvanceSmall {
  Rollout r;
  template <class Team>
  __device__ void operator()(const Team&, uint64_t i, std::byte* scratch) const {
    const uint32_t slot = r.live[i];
    std::byte* const home = r.memory + slot * r.layout.memory_bytes;
    copy<uint32_t>(SerialTeam{}, scratch, home, r.layout.memory_bytes);
    advance_run<Lane<Env, L, ShapeT, SerialTeam, 1>>(SerialTeam{}, alone(r, slot, scratch), 0);
    copy<uint32_t>(SerialTeam{}, home, scratch, r.layout.memory_bytes);
  }
};

/// Advances a run by a tile, with the tables in shared memory or where they are.
template <class Env, class L, class ShapeT, bool Staged>
struct CudaAdvanceTile {
  Rollout r;
  template <class Team>
  __device__ void operator()(const Team& team, uint64_t i, std::byte* scratch) const {
    const uint32_t slot = r.live[i];
    if constexpr (Staged) {
      std::byte* const home = r.memory + slot * r.layout.memory_bytes;
      copy<uint4>(team, scratch, home, r.layout.memory_bytes);
      team.sync();
      advance_run<Lane<Env, L, ShapeT, Team, 1>>(team, alone(r, slot, scratch), 0);
      team.sync();
      copy<uint4>(team, home, scratch, r.layout.memory_bytes);
      team.sync();  // the next run of this tile is copied to the same place
    } else {
      advance_run<Lane<Env, L, ShapeT, Team, 1>>(team, r, slot);
    }
  }
};

/// Evaluates a finished run.
template <class Env, class L>
struct CudaFinish {
  Rollout r;
  __device__ void operator()(uint64_t i) const { finish_run<Env, L>(r, r.live[i]); }
};

template <class Env, class L>
void cuda_start(const CudaBackend& backend, const Rollout& r) {
  launch_teams<CudaRolloutPolicy::kStartTile>(backend, r.live_count, 0, CudaStart<Env, L>{r});
}

template <class Env, class L>
void cuda_finish(const CudaBackend& backend, const Rollout& r) {
  launch(backend, r.live_count, CudaFinish<Env, L>{r});
}

template <class Env, class L, class ShapeT>
void cuda_advance(const CudaBackend& backend, const Rollout& r) {
  using Policy = CudaRolloutPolicy;
  const Policy& policy = r.policies->cuda_rollout;
  const auto threads = static_cast<int>(policy.threads);
  const size_t bytes = r.layout.memory_bytes;
  constexpr bool kAnyShape = ShapeT::kActions == 0;
  if constexpr (L::kTabular && !kAnyShape && ShapeT::kActions < Policy::kTileActions) {
    if (bytes <= policy.small_run) {
      return launch_teams<1, sizeof(typename L::Entry)>(
          backend, r.live_count, bytes, CudaAdvanceSmall<Env, L, ShapeT>{r}, threads);
    }
  } else if constexpr (L::kTabular) {
    if (bytes > policy.small_run) {
      using Staged = CudaAdvanceTile<Env, L, ShapeT, true>;
      const uint64_t fit =
          team_grid<Policy::kTile, 16, Staged>(backend, r.live_count, bytes, threads).capacity;
      if (r.live_count <= policy.staged_shifts * fit) {
        return launch_teams<Policy::kTile>(backend, r.live_count, bytes, Staged{r}, threads);
      }
      if constexpr (kAnyShape) {
        const auto processors =
            static_cast<uint64_t>(backend.attribute(cudaDevAttrMultiProcessorCount));
        if (fit == 0 && r.live_count <= policy.tiles_per_processor * processors) {
          return launch_teams<Policy::kTile>(backend, r.live_count, 0,
                                             CudaAdvanceTile<Env, L, ShapeT, false>{r}, threads);
        }
      }
    }
  }
  launch(backend, r.live_count, CudaAdvance<Env, L, ShapeT>{r}, threads);
}

/// The loops of a learner (a template over shapes) on an environment.
template <class Env, template <class> class LearnerFor, class... Shapes>
Kernels<CudaBackend> cuda_kernels(int shape, ShapeList<Shapes...>) {
  using L = LearnerFor<AnyShape>;
  Kernels<CudaBackend> kernels{&cuda_start<Env, L>, &cuda_advance<Env, L, AnyShape>,
                               &cuda_finish<Env, L>};
  int index = 0;
  ((++index == shape ? void(kernels.advance = &cuda_advance<Env, LearnerFor<Shapes>, Shapes>)
                     : void()),
   ...);
  return kernels;
}

}  // namespace cumarl::inline CUMARL_VARIANT
