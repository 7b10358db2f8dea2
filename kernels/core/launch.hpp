/// \file
/// Launching: the same functor over n items on CPU threads (here) or on a GPU (launch.cuh).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "kernels/core/hd.hpp"
#include "kernels/core/team.hpp"

namespace cumarl {

/// CPU threads. `workers` of them run `body(context, worker)`; the call returns when all have.
/// An exception in a body is rethrown by the call.
class CpuBackend {
 public:
  /// Pre: threads >= 1.
  explicit CpuBackend(int threads) : threads_(threads) {}
  int threads() const { return threads_; }
  void parallel(void (*body)(void* context, int worker), void* context) const;

 private:
  int threads_;
};

/// Calls f(i) for i in [0, n), in chunks taken from a shared counter.
template <class F>
void launch(const CpuBackend& backend, uint64_t n, F f) {
  struct Job {
    F& f;
    uint64_t n;
    std::atomic<uint64_t> next{0};
  } job{f, n};
  backend.parallel(
      [](void* context, int) {
        auto& shared = *static_cast<Job*>(context);
        for (uint64_t i = shared.next++; i < shared.n; i = shared.next++) shared.f(i);
      },
      &job);
}

}  // namespace cumarl

namespace cumarl::inline CUMARL_VARIANT {

/// Calls f(team, i, scratch) for i in [0, n): teams of one lane, scratch of `scratch_bytes`
/// bytes each, 64-byte aligned.
template <class F>
void launch_teams(const CpuBackend& backend, uint64_t n, size_t scratch_bytes, F f) {
  struct Job {
    F& f;
    uint64_t n;
    size_t scratch_bytes;
    std::atomic<uint64_t> next{0};
  } job{f, n, scratch_bytes};
  backend.parallel(
      [](void* context, int) {
        auto& shared = *static_cast<Job*>(context);
        auto* scratch = static_cast<std::byte*>(
            ::operator new (shared.scratch_bytes + 1, std::align_val_t{64}));
        for (uint64_t i = shared.next++; i < shared.n; i = shared.next++)
          shared.f(SerialTeam{}, i, scratch);
        ::operator delete (scratch, std::align_val_t{64});
      },
      &job);
}

}  // namespace cumarl::inline CUMARL_VARIANT
