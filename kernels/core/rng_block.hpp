/// \file
/// Many Philox blocks at once, for the CPU loops that draw a chunk of steps ahead.
#pragma once

#include <cstdint>

#include "kernels/core/rng.hpp"
#include "kernels/core/simd.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Words 4*first .. 4*(first+count) of the sequence whose block b is philox(key, b, stream, 0).
/// Shapes: out [4 * count] words. Pre: count is a multiple of 32, out is 64-byte aligned.
/// The AVX-512 form computes the same words 32 blocks at a time, four chains
/// side by side (tests/rng_test.cpp).
inline void philox_words(RunKey key, uint64_t first, Stream stream, int count, uint32_t* out) {
#if CUMARL_AVX512
  const __m512i m0 = _mm512_set1_epi64(0xD2511F53);
  const __m512i m1 = _mm512_set1_epi64(0xCD9E8D57);
  const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
  const __m512i front = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
  const __m512i back = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);
  const __m512i tag = _mm512_set1_epi64(static_cast<int64_t>(stream) << 12);
  for (int b = 0; b < count; b += 32) {
    __m512i x0[4], x1[4], x2[4], x3[4];  // words in the low halves; high halves are not read
    for (int h = 0; h < 4; ++h) {
      x0[h] = _mm512_add_epi64(
          _mm512_set1_epi64(static_cast<int64_t>(first + static_cast<uint64_t>(b + 8 * h))), lane);
      x1[h] = _mm512_or_si512(_mm512_slli_epi64(_mm512_srli_epi64(x0[h], 32), 16), tag);
      x2[h] = _mm512_set1_epi64(static_cast<int64_t>(key.run));
      x3[h] = _mm512_set1_epi64(static_cast<int64_t>(key.run >> 32));
    }
    auto k0 = static_cast<uint32_t>(key.seed);
    auto k1 = static_cast<uint32_t>(key.seed >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      const __m512i key0 = _mm512_set1_epi64(k0);
      const __m512i key1 = _mm512_set1_epi64(k1);
      for (int h = 0; h < 4; ++h) {
        const __m512i p0 = _mm512_mul_epu32(x0[h], m0);
        const __m512i p1 = _mm512_mul_epu32(x2[h], m1);
        x0[h] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), x1[h], key0, 0x96);
        x2[h] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), x3[h], key1, 0x96);
        x1[h] = p1;
        x3[h] = p0;
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    for (int h = 0; h < 4; ++h) {
      const __m512i x01 = _mm512_mask_blend_epi32(0xAAAA, x0[h], _mm512_slli_epi64(x1[h], 32));
      const __m512i x23 = _mm512_mask_blend_epi32(0xAAAA, x2[h], _mm512_slli_epi64(x3[h], 32));
      uint32_t* at = out + 4 * (b + 8 * h);
      _mm512_store_si512(at, _mm512_permutex2var_epi64(x01, front, x23));
      _mm512_store_si512(at + 16, _mm512_permutex2var_epi64(x01, back, x23));
    }
  }
#else
  for (int b = 0; b < count; ++b) {
    const Philox block = philox(key, first + static_cast<uint64_t>(b), stream, 0);
    out[4 * b] = block.x0;
    out[4 * b + 1] = block.x1;
    out[4 * b + 2] = block.x2;
    out[4 * b + 3] = block.x3;
  }
#endif
}

}  // namespace cumarl::inline CUMARL_VARIANT
