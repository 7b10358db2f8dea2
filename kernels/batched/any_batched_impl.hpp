/// \file
/// AnyBatched over the learners of learners.def that have a batched shape. Included by one generated
/// unit an instruction set.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/batched/any_batched.hpp"
#include "kernels/batched/dispatch.hpp"

namespace cumarl::inline CUMARL_VARIANT {

namespace any_batched {

/// Calls f.template operator()<Stages>().
template <class F>
void dispatch(const BatchedRun& run, F f) {
  dispatch_batched(*run.p, [&]<class L>() { f.template operator()<BatchedStages<L>>(); });
}

/// Working memory of a thread: a tile of the batch, or utilities of a tile of lanes.
template <class Stages>
size_t scratch_bytes(const BatchedRun& run) {
  const auto& p = Stages::params(run);
  const size_t acting = static_cast<size_t>(BatchedShape::kTile) *
                        static_cast<size_t>(p.utility.hidden + p.agents * p.utility.row) *
                        sizeof(typename Stages::Real);
  return std::max(acting, Stages::working(p, BatchedShape::kTile, nullptr, nullptr));
}

}  // namespace any_batched

template <int N>
size_t AnyBatchedOf<N>::scratch_bytes(const BatchedRun& run) {
  size_t bytes = 0;
  any_batched::dispatch(run, [&]<class S>() { bytes = any_batched::scratch_bytes<S>(run); });
  return bytes;
}

template <int N>
void AnyBatchedOf<N>::start(const BatchedRun& run) {
  reinterpret_cast<JointHead*>(run.memory)->diverged = -1;
  dispatch_batched(*run.p, [&]<class L>() {
    using Stages = BatchedStages<L>;
    L::init(SerialTeam{}, Stages::params(run), Stages::own(run), run.key);
    Stages::begin(run);
    Stages::prepare(SerialTeam{}, run);
  });
}

template <int N>
void AnyBatchedOf<N>::show(const BatchedRun& run, int first, int count) {
  any_batched::dispatch(run, [&]<class S>() {
    for (int lane = first; lane < first + count; ++lane) S::show(SerialTeam{}, run, lane);
  });
}

template <int N>
void AnyBatchedOf<N>::act(const BatchedRun& run, int number, int first, int count,
                          std::byte* scratch) {
  any_batched::dispatch(run, [&]<class S>() {
    using Real = typename S::Real;
    const auto& p = S::params(run);
    auto* const hidden = reinterpret_cast<Real*>(scratch);
    Real* const q = hidden + batch_ops::at(BatchedShape::kTile, p.utility.hidden);
    const size_t pitch = batch_ops::at(BatchedShape::kTile, p.utility.row);
    for (int i = 0; i < p.agents; ++i) {
      S::utilities(SerialTeam{}, run, number, i, first, count, hidden,
                   q + static_cast<size_t>(i) * pitch);
    }
    for (int k = 0; k < count; ++k) {
      S::choose(run, number, first + k, q + batch_ops::at(k, p.utility.row), pitch);
    }
  });
}

template <int N>
void AnyBatchedOf<N>::keep(const BatchedRun& run, int number, int first, int count) {
  any_batched::dispatch(run, [&]<class S>() {
    for (int lane = first; lane < first + count; ++lane) S::keep(SerialTeam{}, run, number, lane);
  });
}

template <int N>
void AnyBatchedOf<N>::end_rollout(const BatchedRun& run) {
  any_batched::dispatch(run, [&]<class S>() { S::end_rollout(run); });
}

template <int N>
void AnyBatchedOf<N>::part(const BatchedRun& run, int part, std::byte* scratch) {
  any_batched::dispatch(run, [&]<class S>() { S::part(SerialTeam{}, run, part, scratch); });
}

template <int N>
void AnyBatchedOf<N>::reduce(const BatchedRun& run, int block) {
  any_batched::dispatch(run, [&]<class S>() {
    S::reduce(SerialTeam{}, run, S::first_of(block), S::count_of(S::params(run), block));
    S::measure(SerialTeam{}, run, block);
  });
}

template <int N>
void AnyBatchedOf<N>::move(const BatchedRun& run, int block) {
  any_batched::dispatch(run, [&]<class S>() { S::move(SerialTeam{}, run, block); });
}

template <int N>
void AnyBatchedOf<N>::end_update(const BatchedRun& run) {
  any_batched::dispatch(run, [&]<class S>() {
    S::end_update(run);
    S::prepare(SerialTeam{}, run);
  });
}

}  // namespace cumarl::inline CUMARL_VARIANT
