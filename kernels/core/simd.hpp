/// \file
/// Row reductions: the loops everybody may read, and the same in AVX-512 for rows of 16.
/// Both give the same value: minima, maxima and first positions do not depend on order.
#pragma once

#include <cstdint>

#include "kernels/core/hd.hpp"

#if defined(__AVX512F__) && !defined(__CUDACC__)
#include <immintrin.h>
#define CUMARL_AVX512 1
#else
#define CUMARL_AVX512 0
#endif

namespace cumarl::inline CUMARL_VARIANT {
namespace simd {

/// Smallest of row[0..n). Pre: n >= 1; a row of 16 is 64-byte aligned.
CUMARL_HD CUMARL_INLINE uint32_t min(const uint32_t* row, int n) {
#if CUMARL_AVX512
  if (n == 16) return _mm512_reduce_min_epu32(_mm512_load_si512(row));
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
#endif
  uint32_t i = 0;
  while (i + 1 < static_cast<uint32_t>(n) && row[i] != value) ++i;
  return i;
}

}  // namespace simd
}  // namespace cumarl::inline CUMARL_VARIANT
