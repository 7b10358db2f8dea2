/// \file
/// Teams: the lanes that work on one run together. Cooperative code is written once against this
/// interface; a team is one lane (SerialTeam, the CPU's fast path and a GPU's thread per run), a
/// tile or block of CUDA threads (CudaTeam, team.cuh), or real threads with real barriers in the
/// tests (EmulatedTeam, tests/emulated_team.hpp).
///
///   int rank() const, int size() const
///   void sync() const                     memory written before it is seen by all after it
///   T min(T) / max(T) / sum(T)            over all lanes, same result in each, in a fixed order:
///                                         the binary tree over ranks ((0 1)(2 3))((4 5)(6 7)).
///                                         Of values that compare equal (-0, +0) min and max take
///                                         the lowest rank's. Needs size = 2^k, no NaN
///   void once(f)                          when all lanes are here, lane 0 calls f; then all see
///                                         what it wrote
#pragma once

#include "kernels/core/hd.hpp"

namespace cumarl::inline CUMARL_VARIANT {
namespace reduction {

/// What a reduction does at each node of its tree: `low` comes from the lower ranks.
struct Min {
  template <class T>
  CUMARL_HD CUMARL_INLINE T operator()(T low, T high) const {
    return high < low ? high : low;
  }
};
struct Max {
  template <class T>
  CUMARL_HD CUMARL_INLINE T operator()(T low, T high) const {
    return high > low ? high : low;
  }
};
struct Sum {
  template <class T>
  CUMARL_HD CUMARL_INLINE T operator()(T low, T high) const {
    return low + high;
  }
};

/// The reduction over N = 2^k lanes, as one of them sees it: after the exchange of mask m it holds
/// the result of its 2m lanes. `exchange(value, m)` gives lane `rank ^ m` the value and returns
/// that lane's. The same code for shuffles and for threads.
template <int N, class T, class Op, class Exchange>
CUMARL_HD CUMARL_INLINE T butterfly(int rank, T value, Op op, Exchange exchange) {
  for (int m = 1; m < N; m *= 2) {
    const T other = exchange(value, m);
    value = (rank & m) == 0 ? op(value, other) : op(other, value);
  }
  return value;
}

}  // namespace reduction

/// A team of one.
struct SerialTeam {
  CUMARL_HD static constexpr int rank() { return 0; }
  CUMARL_HD static constexpr int size() { return 1; }
  CUMARL_HD static void sync() {}
  template <class T>
  CUMARL_HD static CUMARL_INLINE T min(T value) {
    return value;
  }
  template <class T>
  CUMARL_HD static CUMARL_INLINE T max(T value) {
    return value;
  }
  template <class T>
  CUMARL_HD static CUMARL_INLINE T sum(T value) {
    return value;
  }
  template <class F>
  CUMARL_HD static CUMARL_INLINE void once(F&& f) {
    f();
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
