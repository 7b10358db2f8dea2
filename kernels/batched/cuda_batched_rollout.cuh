/// \file
/// The loop of a batched run on a GPU. An iteration is captured once into a graph, which is then
/// launched as often as there are iterations: what changes from one to the next (round, update, the
/// optimizer's powers) is in the run's memory. The host hears of a run when a launch is over.
#pragma once

#include <algorithm>

#include "kernels/batched/batched_rollout.hpp"
#include "kernels/batched/cuda_batched.cuh"

namespace cumarl::inline CUMARL_VARIANT {

/// Device memory while in scope.
class CudaScratch {
 public:
  CudaScratch(const CudaBackend& backend, size_t bytes) {
    const CudaDeviceScope scope(backend.device());
    CUMARL_CUDA_CHECK(cudaMalloc(&data_, std::max<size_t>(bytes, 1)));
  }
  CudaScratch(const CudaScratch&) = delete;
  CudaScratch& operator=(const CudaScratch&) = delete;
  ~CudaScratch() { cudaFree(data_); }
  std::byte* data() const { return static_cast<std::byte*>(data_); }

 private:
  void* data_ = nullptr;
};

/// A captured sequence of launches.
class CudaGraph {
 public:
  /// Captures what `f` launches on the backend's stream.
  template <class F>
  CudaGraph(const CudaBackend& backend, F f) : backend_(backend) {
    const CudaDeviceScope scope(backend.device());
    CUMARL_CUDA_CHECK(cudaStreamBeginCapture(backend.stream(), cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
      f();
    } catch (...) {
      cudaStreamEndCapture(backend.stream(), &graph);
      if (graph != nullptr) cudaGraphDestroy(graph);
      throw;
    }
    CUMARL_CUDA_CHECK(cudaStreamEndCapture(backend.stream(), &graph));
    const cudaError_t made = cudaGraphInstantiate(&graph_, graph, 0);
    cudaGraphDestroy(graph);
    CUMARL_CUDA_CHECK(made);
  }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;
  ~CudaGraph() { cudaGraphExecDestroy(graph_); }
  void launch() const {
    const CudaDeviceScope scope(backend_.device());
    CUMARL_CUDA_CHECK(cudaGraphLaunch(graph_, backend_.stream()));
  }

 private:
  const CudaBackend& backend_;
  cudaGraphExec_t graph_ = nullptr;
};

/// A value in device memory.
template <class T>
T read_back(const CudaBackend& backend, const void* from) {
  const CudaDeviceScope scope(backend.device());
  alignas(T) std::byte out[sizeof(T)];
  CUMARL_CUDA_CHECK(
      cudaMemcpyAsync(out, from, sizeof(T), cudaMemcpyDeviceToHost, backend.stream()));
  backend.synchronize();
  return *reinterpret_cast<T*>(out);
}

/// A run in a slot: what is there, and where its cell is.
template <class Env>
struct CudaBatchedPlace {
  CudaBatchedPlace(const CudaBackend& backend, const Rollout& r, uint32_t number)
      : slot(read_back<uint32_t>(backend, r.live + number)) {
    const Slot place = read_back<Slot>(backend, r.slots + slot);
    on_device =
        reinterpret_cast<const BatchedCell<Env>*>(r.cells + place.cell * r.layout.cell_bytes);
    cell = read_back<BatchedCell<Env>>(backend, on_device);
    run = {&on_device->learner,
           &on_device->batched,
           r.memory + slot * r.layout.memory_bytes,
           {r.seed, place.run}};
    state = reinterpret_cast<RunState<Env>*>(r.states + slot * r.layout.state_bytes);
    policy = &r.policies->cuda_batched;
  }
  CudaBatchedRun on(const CudaBackend& backend, std::byte* work) const {
    return {backend, cell.learner, cell.batched, run, work, *policy};
  }
  uint32_t slot;
  const BatchedCell<Env>* on_device;
  BatchedCell<Env> cell;  ///< a copy
  BatchedRun run;
  RunState<Env>* state;  ///< on the device
  const CudaBatchedPolicy* policy;
};

template <class Env>
struct CudaResetLane {
  const BatchedCell<Env>* cell;
  BatchedRun run;
  __device__ void operator()(uint64_t i) const { reset_lane<Env>(*cell, run, static_cast<int>(i)); }
};

template <class Env>
struct CudaStepLane {
  const BatchedCell<Env>* cell;
  BatchedRun run;
  int number;
  __device__ void operator()(uint64_t i) const {
    if (run.head().diverged < 0) step_lane<Env>(*cell, run, number, static_cast<int>(i));
  }
};

/// Saves where a run is.
template <class Env>
struct CudaStoreBatched {
  const BatchedCell<Env>* cell;
  BatchedRun run;
  RunState<Env>* state;
  SlotPhase* phase;
  __device__ void operator()(uint64_t) const {
    *state = batched_state(*cell, run);
    *phase = run.head().rounds == 0 ? SlotPhase::started : phase_of(state->status);
  }
};

template <class Env>
struct CudaProbeBatched {
  const BatchedCell<Env>* cell;
  BatchedRun run;
  __device__ void operator()(uint64_t) const { probe_batched(*cell, run); }
};

struct CudaDigestBatched {
  BatchedRun run;
  __device__ void operator()(uint64_t i) const { digest_chunk(run, i); }
};

template <class Env>
struct CudaFinishBatched {
  Rollout r;
  __device__ void operator()(uint64_t i) const { finish_batched_run<Env>(r, r.live[i]); }
};

template <class Env>
void cuda_start_batched(const CudaBackend& backend, const Rollout& r) {
  for (uint32_t i = 0; i < r.live_count; ++i) {
    const CudaBatchedPlace<Env> place(backend, r, i);
    const CudaDeviceScope scope(backend.device());
    CUMARL_CUDA_CHECK(
        cudaMemsetAsync(place.run.memory, 0, place.cell.memory_bytes, backend.stream()));
    const CudaBatchedRun on = place.on(backend, nullptr);
    CudaBatched::check(on);
    CudaBatched::start(on);
    launch(backend, static_cast<uint64_t>(place.cell.batched.lanes),
           CudaResetLane<Env>{place.on_device, place.run});
    CudaBatched::show(on);
    launch(backend, 1,
           CudaStoreBatched<Env>{place.on_device, place.run, place.state, r.phase + place.slot});
    backend.synchronize();
  }
}

template <class Env>
void cuda_advance_batched(const CudaBackend& backend, const Rollout& r) {
  for (uint32_t i = 0; i < r.live_count; ++i) {
    const CudaBatchedPlace<Env> place(backend, r, i);
    const BatchedShape& s = place.cell.batched;
    const CudaScratch work(backend, CudaBatched::work_bytes(place.cell.learner, s));
    const CudaBatchedRun on = place.on(backend, work.data());
    CudaBatched::check(on);
    const uint64_t each = iteration_steps(s);
    auto rounds = read_back<BatchedHead>(backend, place.run.memory + s.head).rounds;
    const uint64_t t = rounds * static_cast<uint64_t>(s.lanes);
    uint64_t left =
        t < place.cell.stop.max_steps ? (place.cell.stop.max_steps - t - 1) / each + 1 : 0;
    left = std::min(left, std::max(place.policy->least_iterations, r.budget / each));
    const auto iteration = [&](bool learns) {
      for (int number = 0; number < s.rollout; ++number) {
        CudaBatched::act(on, number);
        launch(backend, static_cast<uint64_t>(s.lanes),
               CudaStepLane<Env>{place.on_device, place.run, number});
        CudaBatched::keep(on, number);
      }
      CudaBatched::end_rollout(on);
      for (int update = 0; learns && update < s.updates; ++update) CudaBatched::update(on);
    };
    const BatchedRun sizes{&place.cell.learner, &s, place.run.memory, place.run.key};
    const auto count = [&] {
      rounds += static_cast<uint64_t>(s.rollout);
      if (probe_number(place.cell, rounds) == 0) return;
      launch(backend, 1, CudaProbeBatched<Env>{place.on_device, place.run});
    };
    // one iteration goes ahead of the graph: whatever is loaded or set up at first use is there
    // before the capture
    for (bool learns = false; left > 0 && !learns; --left) {
      learns = updates_follow(sizes, rounds);
      iteration(learns);
      count();
    }
    const auto store = [&] {
      launch(backend, 1,
             CudaStoreBatched<Env>{place.on_device, place.run, place.state, r.phase + place.slot});
      backend.synchronize();
    };
    if (left > 0) {
      const CudaGraph graph(backend, [&] { iteration(true); });
      for (; left > 0; --left) {
        graph.launch();
        count();
      }
      store();  // the graph lives until it is done
    } else {
      store();
    }
  }
}

template <class Env>
void cuda_finish_batched(const CudaBackend& backend, const Rollout& r) {
  for (uint32_t i = 0; i < r.live_count; ++i) {
    const CudaBatchedPlace<Env> place(backend, r, i);
    const BatchedRun sizes{&place.cell.learner, &place.cell.batched, place.run.memory,
                           place.run.key};
    launch(backend, digest_chunks(sizes), CudaDigestBatched{place.run});
    backend.synchronize();
  }
  launch(backend, r.live_count, CudaFinishBatched<Env>{r});
}

/// The loops of batched runs on an environment.
template <class Env>
Kernels<CudaBackend> cuda_batched_kernels() {
  if constexpr (plays_jointly<Env>()) {
    return {&cuda_start_batched<Env>, &cuda_advance_batched<Env>, &cuda_finish_batched<Env>};
  } else {
    return {};
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
