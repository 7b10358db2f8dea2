/// \file
/// The loop of a batched run: every lane takes `rollout` joint steps, then the learner takes
/// `updates` gradient steps on batches of what all lanes have kept. Here its environments' part, for
/// both backends, and how a CPU drives it: a tile of lanes, and a part of a batch, at a time by each
/// thread.
#pragma once

#include <atomic>
#include <barrier>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "kernels/batched/any_batched.hpp"
#include "kernels/core/launch.hpp"
#include "kernels/rollout/joint_rollout.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The shape (Problem::shape) of a joint learner's run with many lanes.
inline constexpr int kLanesShape = 1;

/// Parameters of one cell: those of a population run, whose weights, and evaluation, are a batched
/// run's as well.
template <class Env>
struct BatchedCell : JointCell<Env> {
  BatchedShape batched;
};

/// A batched run of an environment.
template <class Env>
CUMARL_HD BatchedRun batched_run(const BatchedCell<Env>& cell, std::byte* memory, RunKey key) {
  return {&cell.learner, &cell.batched, memory, key};
}

/// What an environment shows: features of all agents and of the global state to `raw`, table indices
/// to `index` [agents].
template <class Env>
CUMARL_HD void observe_all(const JointCell<Env>& cell, const typename Env::State& state, float* raw,
                           uint32_t* index) {
  const JointParams& p = cell.learner;
  for (int i = 0; i < p.agents; ++i) {
    Env::observe(cell.env, state, i, raw + i * p.raw_pitch);
    index[i] = 0;
    if (p.basis[i].kind == Basis::kOneHot) index[i] = Env::observe_index(cell.env, state, i);
  }
  float* const global = raw + p.agents * p.raw_pitch;
  if constexpr (requires { Env::observe_global(cell.env, state, global); }) {
    Env::observe_global(cell.env, state, global);
  } else {
    int at = 0;
    for (int i = 0; i < p.agents; ++i) {
      for (int k = 0; k < p.basis[i].inputs; ++k) global[at++] = raw[i * p.raw_pitch + k];
    }
  }
}

template <class Env>
CUMARL_HD typename Env::State& lane_state(const BatchedRun& run, int lane) {
  return run.at<typename Env::State>(run.s->states)[lane];
}

/// Puts a lane's environment into its first state. Pre: its memory is zero.
template <class Env>
CUMARL_HD void reset_lane(const BatchedCell<Env>& cell, const BatchedRun& run, int lane) {
  Rng rng(run.key, run.step(0, lane), Stream::reset);
  typename Env::State& state = lane_state<Env>(run, lane);
  Env::reset(cell.env, state, rng);
  observe_all(cell, state, run.raw(run.s->fresh_raw, lane), run.indices(run.s->fresh_index, lane));
}

/// A lane's environment takes the joint action that was chosen in step `number` of the rollout, and
/// is reset where its episode is over.
template <class Env>
CUMARL_HD void step_lane(const BatchedCell<Env>& cell, const BatchedRun& run, int number,
                         int lane) {
  const uint64_t round = run.head().rounds + static_cast<uint64_t>(number);
  typename Env::State& state = lane_state<Env>(run, lane);
  JointAction actions{};
  for (int i = 0; i < cell.learner.agents; ++i) actions.action[i] = run.actions(lane)[i];
  Rng rng(run.key, run.step(round, lane), Stream::dynamics);
  const Episode episode = take<Env>(cell, state, actions, run.rewards(lane), rng);
  run.episode(lane) = episode;
  observe_all(cell, state, run.raw(run.s->raw, lane), run.indices(run.s->index, lane));
  if (episode == Episode::goes_on) return;
  Rng fresh(run.key, run.step(round + 1, lane), Stream::reset);
  Env::reset(cell.env, state, fresh);
  observe_all(cell, state, run.raw(run.s->fresh_raw, lane), run.indices(run.s->fresh_index, lane));
}

/// Joint steps of an iteration.
CUMARL_HD inline uint64_t iteration_steps(const BatchedShape& s) {
  return static_cast<uint64_t>(s.lanes) * static_cast<uint64_t>(s.rollout);
}

/// Whether updates follow the rollout that begins after `rounds` rounds: there is a batch to sample.
CUMARL_HD inline bool updates_follow(const BatchedRun& run, uint64_t rounds) {
  return run.filled(rounds + static_cast<uint64_t>(run.s->rollout)) >=
         static_cast<uint64_t>(run.s->batch);
}

/// The state of a run after its last iteration: lane 0's environment stands for it.
template <class Env>
CUMARL_HD RunState<Env> batched_state(const BatchedCell<Env>& cell, const BatchedRun& run) {
  const BatchedHead& head = run.head();
  const uint64_t t = run.step(head.rounds, 0);
  RunStatus status = t >= cell.stop.max_steps ? RunStatus::out_of_steps : RunStatus::running;
  if (head.diverged >= 0) status = RunStatus::diverged;
  return {lane_state<Env>(run, 0), t, 0, status};
}

/// Chunks of what the learner holds; the rest of what lasts of a run comes behind.
CUMARL_HD inline uint64_t learned_chunks(const BatchedRun& run) {
  return (run.s->learned_end - run.p->learner_at - 1) / BatchedShape::kChunk + 1;
}
CUMARL_HD inline uint64_t digest_chunks(const BatchedRun& run) {
  return learned_chunks(run) + (run.s->kept_end - run.s->head - 1) / BatchedShape::kChunk + 1;
}
/// Digest of chunk `number` of what lasts of a run. Not the learner's working memory, in which an
/// evaluation on the way leaves its traces.
inline CUMARL_HD void digest_chunk(const BatchedRun& run, uint64_t number) {
  const uint64_t first = learned_chunks(run);
  const bool learned = number < first;
  const uint64_t from = learned ? run.p->learner_at + number * BatchedShape::kChunk
                                : run.s->head + (number - first) * BatchedShape::kChunk;
  const uint64_t left = (learned ? run.s->learned_end : run.s->kept_end) - from;
  const uint64_t count = left < BatchedShape::kChunk ? left : BatchedShape::kChunk;
  run.at<uint64_t>(run.s->digests)[number] = digest(run.memory + from, count, number);
}

/// The number, from 1, of the moment of evaluation that a run has come to with the iteration that
/// ended after `rounds` rounds; 0: none. Pre: an iteration comes to one at most.
template <class Env>
CUMARL_HD uint64_t probe_number(const BatchedCell<Env>& cell, uint64_t rounds) {
  if (cell.probe_every == 0) return 0;
  const uint64_t t = rounds * static_cast<uint64_t>(cell.batched.lanes);
  const uint64_t number = t / cell.probe_every;
  const bool before = number == (t - iteration_steps(cell.batched)) / cell.probe_every;
  return before || number > cell.evaluation.points ? 0 : number;
}

/// Evaluates the policies of a run at the end of an iteration, if a moment for that has come.
template <class Env>
CUMARL_HD void probe_batched(const BatchedCell<Env>& cell, const BatchedRun& run) {
  if constexpr (has_learning_curve<Env>()) {
    const uint64_t number = probe_number(cell, run.head().rounds);
    if (number == 0 || run.head().diverged >= 0) return;
    const JointPolicy<Env> policy(cell, run.memory, run.key);
    run.at<double>(cell.probe_at)[number - 1] = mean_return(cell, policy);
  }
}

/// Evaluates a finished run and writes its outcome row, as finish_joint_run does. Pre: all chunks
/// have their digests.
template <class Env>
CUMARL_HD void finish_batched_run(const Rollout& r, uint32_t slot) {
  const Slot place = r.slots[slot];
  const auto& cell =
      *reinterpret_cast<const BatchedCell<Env>*>(r.cells + place.cell * r.layout.cell_bytes);
  const auto& state =
      *reinterpret_cast<const RunState<Env>*>(r.states + slot * r.layout.state_bytes);
  double* const out = r.outcomes + size_t{slot} * r.outcome_count;
  if (state.status == RunStatus::diverged) {
    write_head(state, 0, out);
    for (uint32_t k = kOutcomeHead; k < r.outcome_count; ++k) out[k] = 0;
    return;
  }
  const RunKey key{r.seed, place.run};
  const BatchedRun run = batched_run(cell, r.memory + slot * r.layout.memory_bytes, key);
  const uint64_t hash =
      digest(run.memory + run.s->digests, digest_chunks(run) * sizeof(uint64_t), state.t);
  write_head(state, hash, out);
  OutcomeWriter sink(out + kOutcomeHead);
  const JointPolicy<Env> policy(cell, run.memory, key);
  evaluate_joint_run<Env>(cell, state.env, policy, run.memory, RunFacts{state.t, 0, false}, sink);
}

// ---- on CPU threads -----------------------------------------------------------------------------

/// 64-byte aligned working memory of a thread.
class BatchedScratch {
 public:
  explicit BatchedScratch(size_t bytes)
      : data_(static_cast<std::byte*>(::operator new (bytes + 1, std::align_val_t{64}))) {}
  BatchedScratch(const BatchedScratch&) = delete;
  BatchedScratch& operator=(const BatchedScratch&) = delete;
  ~BatchedScratch() { ::operator delete (data_, std::align_val_t{64}); }
  std::byte* data() const { return data_; }

 private:
  std::byte* data_;
};

/// The threads that work on one run.
class Crew {
 public:
  explicit Crew(int workers) : workers_(workers), barrier_(workers) {}
  int workers() const { return workers_; }
  /// Waits for all.
  void sync() {
    if (workers_ > 1) barrier_.arrive_and_wait();
  }
  /// Calls f(i) for every workers()-th i of [0, n), then waits for all.
  template <class F>
  void each(int worker, int n, F f) {
    for (int i = worker; i < n; i += workers_) f(i);
    sync();
  }
  /// Worker 0 calls f, the others wait.
  template <class F>
  void once(int worker, F f) {
    if (worker == 0) f();
    sync();
  }
  bool stop = false;    ///< set by worker 0, read behind a sync: no further iteration
  bool learns = false;  ///< the same: this one has updates

 private:
  int workers_;
  std::barrier<> barrier_;
};

/// The cell, and the run, in a slot.
template <class Env>
struct BatchedPlace {
  const BatchedCell<Env>& cell;
  BatchedRun run;

  CUMARL_HD static BatchedPlace of(const Rollout& r, uint32_t slot) {
    const Slot place = r.slots[slot];
    const auto& cell =
        *reinterpret_cast<const BatchedCell<Env>*>(r.cells + place.cell * r.layout.cell_bytes);
    return {cell, batched_run(cell, r.memory + slot * r.layout.memory_bytes, {r.seed, place.run})};
  }
};

/// Advances a run by iterations, as one worker of a crew.
template <class Env>
void advance_batched_run(Crew& crew, int worker, std::byte* scratch, const Rollout& r,
                         uint32_t slot) {
  const auto place = BatchedPlace<Env>::of(r, slot);
  const BatchedCell<Env>& cell = place.cell;
  const BatchedRun& run = place.run;
  const BatchedShape& s = cell.batched;
  constexpr int kTile = BatchedShape::kTile;
  const int tiles = (s.lanes + kTile - 1) / kTile;
  const uint64_t each = iteration_steps(s);
  // whether there is a further iteration, as worker 0 sees it
  const auto look = [&](uint64_t done) {
    crew.stop = done >= r.budget || run.head().diverged >= 0 ||
                run.step(run.head().rounds, 0) >= cell.stop.max_steps ||
                r.interrupt->load(std::memory_order_relaxed);
  };
  crew.once(worker, [&] { look(0); });
  for (uint64_t done = each; !crew.stop; done += each) {
    crew.each(worker, tiles, [&](int tile) {
      const int first = tile * kTile;
      const int count = s.lanes - first < kTile ? s.lanes - first : kTile;
      for (int number = 0; number < s.rollout; ++number) {
        AnyBatched::act(run, number, first, count, scratch);
        for (int k = 0; k < count; ++k) step_lane<Env>(cell, run, number, first + k);
        AnyBatched::keep(run, number, first, count);
      }
    });
    crew.once(worker, [&] {
      crew.learns = updates_follow(run, run.head().rounds);
      AnyBatched::end_rollout(run);
      r.progress->fetch_add(each, std::memory_order_relaxed);
      if (!crew.learns) look(done);
    });
    for (int update = 0; crew.learns && update < s.updates; ++update) {
      crew.each(worker, s.parts, [&](int part) { AnyBatched::part(run, part, scratch); });
      crew.each(worker, s.blocks, [&](int block) { AnyBatched::reduce(run, block); });
      crew.each(worker, s.blocks, [&](int block) { AnyBatched::move(run, block); });
      crew.once(worker, [&] {
        AnyBatched::end_update(run);
        look(done);
      });
      if (run.head().diverged >= 0) break;
    }
    if (probe_number(cell, run.head().rounds) > 0) {
      crew.once(worker, [&] { probe_batched(cell, run); });
    }
  }
  if (worker != 0) return;
  auto& state = *reinterpret_cast<RunState<Env>*>(r.states + slot * r.layout.state_bytes);
  state = batched_state(cell, run);
  r.phase[slot] = phase_of(state.status);
}

template <class Env>
void cpu_start_batched(const CpuBackend& backend, const Rollout& r) {
  for (uint32_t i = 0; i < r.live_count; ++i) {
    const uint32_t slot = r.live[i];
    const auto place = BatchedPlace<Env>::of(r, slot);
    const BatchedCell<Env>& cell = place.cell;
    const BatchedRun& run = place.run;
    constexpr uint64_t kPiece = uint64_t{1} << 20;
    launch(backend, (cell.memory_bytes - 1) / kPiece + 1, [&](uint64_t piece) {
      const uint64_t from = piece * kPiece;
      const uint64_t left = cell.memory_bytes - from;
      __builtin_memset(run.memory + from, 0, left < kPiece ? left : kPiece);
    });
    AnyBatched::start(run);
    for (int lane = 0; lane < cell.batched.lanes; ++lane) reset_lane<Env>(cell, run, lane);
    AnyBatched::show(run, 0, cell.batched.lanes);
    *reinterpret_cast<RunState<Env>*>(r.states + slot * r.layout.state_bytes) =
        batched_state(cell, run);
    r.phase[slot] = SlotPhase::started;
  }
}

/// Bytes of working memory of a thread.
template <class Env>
size_t scratch_of(const Rollout& r, uint32_t slot) {
  return AnyBatched::scratch_bytes(BatchedPlace<Env>::of(r, slot).run);
}

/// Enough runs get a thread each, few are worked on by several threads together: no more of them
/// than there are parts of a batch, as waiting for each other takes time as well.
template <class Env>
void cpu_advance_batched(const CpuBackend& backend, const Rollout& r) {
  const auto threads = static_cast<uint32_t>(backend.threads());
  if (r.live_count >= threads) {
    launch(backend, r.live_count, [&r](uint64_t i) {
      Crew crew(1);
      const BatchedScratch scratch(scratch_of<Env>(r, r.live[i]));
      advance_batched_run<Env>(crew, 0, scratch.data(), r, r.live[i]);
    });
    return;
  }
  for (uint32_t i = 0; i < r.live_count; ++i) {
    struct Job {
      Crew crew;
      const Rollout& r;
      uint32_t slot;
      size_t each;
      BatchedScratch scratch;  // of all: nothing may throw between the threads' barriers
    };
    const size_t each = scratch_of<Env>(r, r.live[i]);
    const int parts = BatchedPlace<Env>::of(r, r.live[i]).cell.batched.parts;
    const int workers = parts < backend.threads() ? parts : backend.threads();
    Job job{Crew(workers), r, r.live[i], each, BatchedScratch(each * static_cast<size_t>(workers))};
    CpuBackend(workers).parallel(
        [](void* context, int worker) {
          auto& shared = *static_cast<Job*>(context);
          advance_batched_run<Env>(shared.crew, worker,
                                   shared.scratch.data() +
                                       static_cast<size_t>(worker) * shared.each,
                                   shared.r, shared.slot);
        },
        &job);
  }
}

template <class Env>
void cpu_finish_batched(const CpuBackend& backend, const Rollout& r) {
  for (uint32_t i = 0; i < r.live_count; ++i) {
    const BatchedRun run = BatchedPlace<Env>::of(r, r.live[i]).run;
    launch(backend, digest_chunks(run), [&run](uint64_t chunk) { digest_chunk(run, chunk); });
  }
  launch(backend, r.live_count, [&r](uint64_t i) { finish_batched_run<Env>(r, r.live[i]); });
}

/// The loops of batched runs on an environment.
template <class Env>
Kernels<CpuBackend> cpu_batched_kernels() {
  if constexpr (plays_jointly<Env>()) {
    return {&cpu_start_batched<Env>, &cpu_advance_batched<Env>, &cpu_finish_batched<Env>};
  } else {
    return {};
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
