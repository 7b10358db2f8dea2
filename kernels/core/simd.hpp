/// \file
/// Row reductions: the loops everybody may read, and for rows of 16 the same in AVX-512 and, by
/// 16-byte loads, in one CUDA thread.
/// All give the same value: minima, maxima and first positions do not depend on order.
#pragma once

#include <cstdint>

#include "kernels/core/hd.hpp"

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512DQ__) && !defined(__CUDACC__)
#include <immintrin.h>
#define CUMARL_AVX512 1
#else
#define CUMARL_AVX512 0
#endif

namespace cumarl::inline CUMARL_VARIANT {
namespace simd {

#if defined(__CUDA_ARCH__)
/// A row of 16 in registers. Pre: 16-byte aligned.
template <class T>
struct Row16 {
  T at[16];

  __device__ CUMARL_INLINE explicit Row16(const T* row) {
    constexpr int kParts = sizeof(T);
    struct alignas(16) Part {
      T at[16 / sizeof(T)];
    };
#pragma unroll
    for (int k = 0; k < kParts; ++k) {
      const Part part = reinterpret_cast<const Part*>(row)[k];
#pragma unroll
      for (int j = 0; j < 16 / kParts; ++j) at[16 / kParts * k + j] = part.at[j];
    }
  }
  /// The best by a tree of comparisons, four deep; of equals the first.
  template <class Better>
  __device__ CUMARL_INLINE T best(Better better) {
#pragma unroll
    for (int m = 1; m < 16; m *= 2) {
#pragma unroll
      for (int i = 0; i < 16; i += 2 * m) at[i] = better(at[i + m], at[i]) ? at[i + m] : at[i];
    }
    return at[0];
  }
};
#endif

/// Smallest of row[0..n). Pre: n >= 1; a row of 16 is 64-byte aligned.
CUMARL_HD CUMARL_INLINE uint32_t min(const uint32_t* row, int n) {
#if CUMARL_AVX512
  if (n == 16) return _mm512_reduce_min_epu32(_mm512_load_si512(row));
#elif defined(__CUDA_ARCH__)
  if (n == 16) {
    return Row16<uint32_t>(row).best([](uint32_t x, uint32_t y) { return x < y; });
  }
#endif
  uint32_t best = row[0];
  for (int i = 1; i < n; ++i) best = row[i] < best ? row[i] : best;
  return best;
}

/// Largest of row[0..n), no NaN among them. Pre: n >= 1; a row of 16 is 64-byte aligned.
template <class Real>
CUMARL_HD CUMARL_INLINE Real max(const Real* row, int n) {
#if CUMARL_AVX512
  if constexpr (sizeof(Real) == 4) {
    if (n == 16) return _mm512_reduce_max_ps(_mm512_load_ps(row));
  }
#elif defined(__CUDA_ARCH__)
  if (n == 16) return Row16<Real>(row).best([](Real x, Real y) { return x > y; });
#endif
  Real best = row[0];
  for (int i = 1; i < n; ++i) best = row[i] > best ? row[i] : best;
  return best;
}

/// First i with row[i] == value. Pre: there is one.
template <class Real>
CUMARL_HD CUMARL_INLINE uint32_t first_equal(const Real* row, int n, Real value) {
#if CUMARL_AVX512
  if constexpr (sizeof(Real) == 4) {
    if (n == 16) {
      const __mmask16 hit =
          _mm512_cmp_ps_mask(_mm512_load_ps(row), _mm512_set1_ps(value), _CMP_EQ_OQ);
      return static_cast<uint32_t>(__builtin_ctz(hit | 0x10000u));
    }
  }
#elif defined(__CUDA_ARCH__)
  if (n == 16) {
    const Row16<Real> entries(row);
    uint32_t first = 15;
#pragma unroll
    for (int i = 14; i >= 0; --i) first = entries.at[i] == value ? static_cast<uint32_t>(i) : first;
    return first;
  }
#endif
  uint32_t i = 0;
  while (i + 1 < static_cast<uint32_t>(n) && row[i] != value) ++i;
  return i;
}

}  // namespace simd
}  // namespace cumarl::inline CUMARL_VARIANT
