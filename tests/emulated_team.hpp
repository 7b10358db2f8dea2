/// \file
/// A team of real threads with real barriers: it runs what a tile or block of CUDA threads runs,
/// lane by lane, at any size, on a machine without a GPU. Under ThreadSanitizer a barrier that is
/// missing from cooperative code is a data race (tests/missing_barrier.cpp).
#pragma once

#include <barrier>
#include <cstddef>
#include <cstring>
#include <thread>
#include <vector>

#include "kernels/core/team.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// One lane of N = 2^k. The interface of team.hpp; see there. Make it with run_emulated.
template <int N>
class EmulatedTeam {
  static_assert(N >= 1 && (N & (N - 1)) == 0);

 public:
  /// What the lanes of a team share.
  struct Shared {
    std::barrier<> barrier{N};
    struct {
      alignas(16) std::byte bytes[16];
    } register_of[N];
  };

  /// A team in a variable not yet set; using it is an error.
  EmulatedTeam() = default;
  EmulatedTeam(Shared& shared, int rank) : shared_(&shared), rank_(rank) {}

  static constexpr int size() { return N; }
  int rank() const { return rank_; }
  void sync() const { shared_->barrier.arrive_and_wait(); }

  template <class T>
  T min(T value) const {
    return reduce(value, reduction::Min{});
  }
  template <class T>
  T max(T value) const {
    return reduce(value, reduction::Max{});
  }
  template <class T>
  T sum(T value) const {
    return reduce(value, reduction::Sum{});
  }
  template <class F>
  void once(F&& f) const {
    sync();
    if (rank_ == 0) f();
    sync();
  }

 private:
  template <class T, class Op>
  T reduce(T value, Op op) const {
    static_assert(sizeof(T) <= sizeof(shared_->register_of[0].bytes));
    return reduction::butterfly<N>(rank_, value, op, [this](T mine, int m) {
      std::memcpy(shared_->register_of[rank_].bytes, &mine, sizeof(T));
      sync();
      T other;
      std::memcpy(&other, shared_->register_of[rank_ ^ m].bytes, sizeof(T));
      sync();
      return other;
    });
  }

  Shared* shared_ = nullptr;
  int rank_ = 0;
};

/// Calls f(team) on N threads, the lanes of one team, and waits for them.
template <int N, class F>
void run_emulated(const F& f) {
  typename EmulatedTeam<N>::Shared shared;
  std::vector<std::jthread> lanes;
  for (int rank = 0; rank < N; ++rank) {
    lanes.emplace_back([&shared, &f, rank] { f(EmulatedTeam<N>(shared, rank)); });
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
