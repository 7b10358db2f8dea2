/// \file
/// The rollout on CPU threads: each worker keeps a few runs in flight at once, interleaved step by
/// step, so that the latency of one run's table look-ups hides behind the others' arithmetic.
#pragma once

#include <algorithm>
#include <atomic>
#include <type_traits>
#include <utility>

#include "kernels/core/launch.hpp"
#include "kernels/rollout/rollout.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The lane the CPU uses for a pair; specialised where a tuned one exists, with the same bits. A
/// `type` that is no lane, since it advances runs in lock step, has a static `advance` for all.
template <class Env, class L, class ShapeT>
struct CpuLane {
  using type = Lane<Env, L, ShapeT, SerialTeam, CpuRolloutPolicy::kChunk>;
  static bool applies(const Rollout&) { return true; }
};

/// Takes `steps` steps with N lanes in turn.
template <int N, class LaneT>
void step_lanes(LaneT* lanes, int steps) {
  for (int k = 0; k < steps; ++k) {
#pragma GCC unroll 8
    for (int l = 0; l < N; ++l) lanes[l].step(k);
  }
}

/// The same with `count` lanes. Those that are unrolled have a loop for every number of them.
template <class LaneT>
void step_lanes(LaneT* lanes, int count, int steps) {
  if constexpr (LaneT::kUnrolled) {
    [&]<int... kLess>(std::integer_sequence<int, kLess...>) {
      (void)((count == kLess + 1 && (step_lanes<kLess + 1>(lanes, steps), true)) || ...);
    }
    (std::make_integer_sequence<int, CpuRolloutPolicy::kLanes>{});
  } else {
    for (int k = 0; k < steps; ++k) {
      for (int l = 0; l < count; ++l) lanes[l].step(k);
    }
  }
}

/// One worker: keeps up to `most` runs in flight, at most kLanes, taking the next one when one
/// leaves, until there are none. All lanes take the same number of steps at a time.
template <class LaneT>
void advance_worker(const Rollout& r, std::atomic<uint32_t>& next, int most) {
  LaneT lanes[CpuRolloutPolicy::kLanes];
  int active = 0;
  const auto leave = [&](LaneT& lane) { r.phase[lane.slot()] = lane.store(); };
  const auto take = [&](LaneT& lane) {
    while (!r.interrupt->load(std::memory_order_relaxed)) {
      const uint32_t i = next++;
      if (i >= r.live_count) return false;
      lane.load(SerialTeam{}, r, r.live[i]);
      if (lane.room() > 0) return true;
      leave(lane);
    }
    return false;
  };
  while (active < most && take(lanes[active])) ++active;
  while (active > 0) {
    uint64_t room = lanes[0].room();
    for (int l = 1; l < active; ++l) room = lanes[l].room() < room ? lanes[l].room() : room;
    const auto steps = static_cast<int>(room);
    for (int l = 0; l < active; ++l) lanes[l].prepare(steps);
    step_lanes(lanes, active, steps);
    r.progress->fetch_add(room * static_cast<uint64_t>(active), std::memory_order_relaxed);
    const bool interrupted = r.interrupt->load(std::memory_order_relaxed);
    for (int l = 0; l < active;) {
      if (!lanes[l].commit(steps) && !interrupted) {
        ++l;
        continue;
      }
      leave(lanes[l]);
      if (take(lanes[l])) {
        ++l;
      } else if (l != --active) {
        lanes[l] = lanes[active];  // not committed yet: the next turn of this loop does it
      }
    }
  }
}

/// Few runs are spread over the workers rather than interleaved in one.
template <class LaneT>
void advance_with(const CpuBackend& backend, const Rollout& r) {
  struct Job {
    const Rollout& r;
    int most;
    std::atomic<uint32_t> next{0};
  } job{r, 1};
  const auto threads = static_cast<uint32_t>(backend.threads());
  const uint64_t share = (r.live_count + threads - 1) / threads;
  job.most = static_cast<int>(std::min(share, r.policies->cpu_rollout.lanes));
  backend.parallel(
      [](void* context, int) {
        auto& shared = *static_cast<Job*>(context);
        advance_worker<LaneT>(shared.r, shared.next, shared.most);
      },
      &job);
}

template <class Env, class L, class ShapeT>
void cpu_advance(const CpuBackend& backend, const Rollout& r) {
  using Plain = Lane<Env, L, ShapeT, SerialTeam, CpuRolloutPolicy::kChunk>;
  using Chosen = typename CpuLane<Env, L, ShapeT>::type;
  if constexpr (!std::is_same_v<Plain, Chosen>) {
    if (CpuLane<Env, L, ShapeT>::applies(r)) {
      if constexpr (requires { Chosen::advance(backend, r); }) {
        return Chosen::advance(backend, r);
      } else {
        return advance_with<Chosen>(backend, r);
      }
    }
  }
  advance_with<Plain>(backend, r);
}

template <class Env, class L>
void cpu_start(const CpuBackend& backend, const Rollout& r) {
  launch(backend, r.live_count,
         [&r](uint64_t i) { start_run<Env, L>(SerialTeam{}, r, r.live[i]); });
}

template <class Env, class L>
void cpu_finish(const CpuBackend& backend, const Rollout& r) {
  launch(backend, r.live_count, [&r](uint64_t i) { finish_run<Env, L>(r, r.live[i]); });
}

/// The loops of a learner (a template over shapes) on an environment.
template <class Env, template <class> class LearnerFor, class... Shapes>
Kernels<CpuBackend> cpu_kernels(int shape, ShapeList<Shapes...>) {
  using L = LearnerFor<AnyShape>;
  Kernels<CpuBackend> kernels{&cpu_start<Env, L>, &cpu_advance<Env, L, AnyShape>,
                              &cpu_finish<Env, L>};
  int index = 0;
  ((++index == shape ? void(kernels.advance = &cpu_advance<Env, LearnerFor<Shapes>, Shapes>)
                     : void()),
   ...);
  return kernels;
}

}  // namespace cumarl::inline CUMARL_VARIANT
