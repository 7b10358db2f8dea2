/// \file
/// Vectors that a team works on together, in one fixed shape: of every 16 neighbouring columns a
/// lane has 16 / size neighbouring ones, and a sum is 16 partial sums, one a column, added up in the
/// binary tree ((0 1)(2 3)).... So every team size gives the same bits, one lane (with the vector
/// registers of a CPU) as well as a tile of 16 CUDA threads.
///
/// Vectors are padded with zeros to a multiple of 16 entries and 64-byte aligned.
///
/// Of a vector whose entries are 0 but for few ones the columns of these are enough (AnyVector): the
/// other terms of a sum are 0, and adding 0 changes no partial sum, which is never -0.
#pragma once

#include <cstddef>
#include <cstdint>
#if defined(__AVX2__) && !defined(__CUDACC__)
#include <immintrin.h>
#endif

#include "kernels/core/hd.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/core/team.hpp"

namespace cumarl::inline CUMARL_VARIANT {

inline constexpr int kColumns = 16;

/// n, padded.
CUMARL_HD constexpr int padded(int n) { return (n + kColumns - 1) / kColumns * kColumns; }

namespace vector_ops {
#if !defined(__CUDACC__)
template <class Real>
struct WideOf {
  typedef Real type  // NOLINT(modernize-use-using): attributes of a dependent type
      __attribute__((vector_size(kColumns * sizeof(Real)), aligned(64), may_alias));
};
/// 16 columns at once.
template <class Real>
using Wide = typename WideOf<Real>::type;

/// The tree over the columns of one vector.
template <class Real>
CUMARL_INLINE Real tree(const Wide<Real>& v) {
  typedef Real Half __attribute__((vector_size(8 * sizeof(Real))));
  typedef Real Quarter __attribute__((vector_size(4 * sizeof(Real))));
  const Half h = __builtin_shufflevector(v, v, 0, 2, 4, 6, 8, 10, 12, 14) +
                 __builtin_shufflevector(v, v, 1, 3, 5, 7, 9, 11, 13, 15);
  const Quarter q =
      __builtin_shufflevector(h, h, 0, 2, 4, 6) + __builtin_shufflevector(h, h, 1, 3, 5, 7);
  return (q[0] + q[1]) + (q[2] + q[3]);
}

/// The sums of neighbouring columns, those of x before those of y.
template <class Real>
CUMARL_INLINE void add_neighbours(const Wide<Real>& x, const Wide<Real>& y, Wide<Real>& out) {
  out = __builtin_shufflevector(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30) +
        __builtin_shufflevector(x, y, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

/// The trees of four vectors at once, in a third of the instructions.
template <class Real>
CUMARL_INLINE void four_trees(const Wide<Real>& a, const Wide<Real>& b, const Wide<Real>& c,
                              const Wide<Real>& d, Real* out) {
  Wide<Real> ab, cd, fours;
  add_neighbours<Real>(a, b, ab);
  add_neighbours<Real>(c, d, cd);
  add_neighbours<Real>(ab, cd, fours);
  typedef Real Half __attribute__((vector_size(8 * sizeof(Real))));
  typedef Real Quarter __attribute__((vector_size(4 * sizeof(Real))));
  const Half twos = __builtin_shufflevector(fours, fours, 0, 2, 4, 6, 8, 10, 12, 14) +
                    __builtin_shufflevector(fours, fours, 1, 3, 5, 7, 9, 11, 13, 15);
  const Quarter ones = __builtin_shufflevector(twos, twos, 0, 2, 4, 6) +
                       __builtin_shufflevector(twos, twos, 1, 3, 5, 7);
  for (int k = 0; k < 4; ++k) out[k] = ones[k];
}

#if defined(__AVX2__)
// Vectors of floats in registers, explicitly: g++ takes wider vectors than there are registers apart
// column by column.

#if CUMARL_AVX512
/// 16 columns.
struct Sixteen {
  __m512 all{};

  CUMARL_INLINE static Sixteen load(const float* at) { return {_mm512_load_ps(at)}; }
  CUMARL_INLINE void store(float* at) const { _mm512_store_ps(at, all); }
  CUMARL_INLINE void add_products(const Sixteen& a, const Sixteen& b) {
    all = _mm512_add_ps(all, _mm512_mul_ps(a.all, b.all));
  }
  CUMARL_INLINE __m256 low() const { return _mm512_castps512_ps256(all); }
  CUMARL_INLINE __m256 high() const { return _mm512_extractf32x8_ps(all, 1); }
};
CUMARL_INLINE Sixteen everywhere(float value) { return {_mm512_set1_ps(value)}; }

/// Of every 128 bits of x and y the sums of neighbouring columns, x's before y's.
CUMARL_INLINE Sixteen add_within(const Sixteen& x, const Sixteen& y) {
  return {
      _mm512_add_ps(_mm512_shuffle_ps(x.all, y.all, 0x88), _mm512_shuffle_ps(x.all, y.all, 0xDD))};
}
#else
/// 16 columns.
struct Sixteen {
  __m256 half[2]{};

  CUMARL_INLINE static Sixteen load(const float* at) {
    return {{_mm256_load_ps(at), _mm256_load_ps(at + 8)}};
  }
  CUMARL_INLINE void store(float* at) const {
    _mm256_store_ps(at, half[0]);
    _mm256_store_ps(at + 8, half[1]);
  }
  CUMARL_INLINE void add_products(const Sixteen& a, const Sixteen& b) {
    half[0] = _mm256_add_ps(half[0], _mm256_mul_ps(a.half[0], b.half[0]));
    half[1] = _mm256_add_ps(half[1], _mm256_mul_ps(a.half[1], b.half[1]));
  }
  CUMARL_INLINE __m256 low() const { return half[0]; }
  CUMARL_INLINE __m256 high() const { return half[1]; }
};
CUMARL_INLINE Sixteen everywhere(float value) {
  return {{_mm256_set1_ps(value), _mm256_set1_ps(value)}};
}

/// Of every 128 bits of x and y the sums of neighbouring columns, x's before y's.
CUMARL_INLINE __m256 add_within(__m256 x, __m256 y) {
  return _mm256_add_ps(_mm256_shuffle_ps(x, y, 0x88), _mm256_shuffle_ps(x, y, 0xDD));
}
CUMARL_INLINE Sixteen add_within(const Sixteen& x, const Sixteen& y) {
  return {{add_within(x.half[0], y.half[0]), add_within(x.half[1], y.half[1])}};
}
#endif

CUMARL_INLINE Sixteen add_four_within(const Sixteen* v) {
  return add_within(add_within(v[0], v[1]), add_within(v[2], v[3]));
}

/// The tree over 16 columns.
CUMARL_INLINE float tree(const Sixteen& v) {
  const __m256 pairs = _mm256_hadd_ps(v.low(), v.high());
  const __m256 fours = _mm256_hadd_ps(pairs, pairs);  // of low, of high, in either half
  const __m128 eights = _mm_add_ps(_mm256_castps256_ps128(fours), _mm256_extractf128_ps(fours, 1));
  return eights[0] + eights[1];
}

/// The trees of four rows' columns.
CUMARL_INLINE __m128 four_trees(const Sixteen* v) {
  const Sixteen fours = add_four_within(v);
  const __m256 low = fours.low(), high = fours.high();
  return _mm_add_ps(_mm_add_ps(_mm256_castps256_ps128(low), _mm256_extractf128_ps(low, 1)),
                    _mm_add_ps(_mm256_castps256_ps128(high), _mm256_extractf128_ps(high, 1)));
}

/// Stores the first `count` of four numbers, and zeros behind them.
CUMARL_INLINE void store_some(float* out, __m128 v, int count) {
  const __m128i there = _mm_cmpgt_epi32(_mm_set1_epi32(count), _mm_setr_epi32(0, 1, 2, 3));
  _mm_storeu_ps(out, _mm_and_ps(v, _mm_castsi128_ps(there)));
}

/// kRows rows of n columns times x: their 16 columns of sums. Where there are fewer, `rows`, the
/// last one is taken again.
template <int kRows>
CUMARL_INLINE void row_products(const float* matrix, int rows, const float* x, int n,
                                Sixteen* sum) {
  const float* at[kRows];
#pragma GCC unroll 8
  for (int j = 0; j < kRows; ++j) {
    at[j] = matrix + static_cast<size_t>(j < rows ? j : rows - 1) * static_cast<size_t>(n);
  }
  for (int k = 0; k < n; k += kColumns) {
    const Sixteen mine = Sixteen::load(x + k);
#pragma GCC unroll 8
    for (int j = 0; j < kRows; ++j) sum[j].add_products(Sixteen::load(at[j] + k), mine);
  }
}
#endif

#if CUMARL_AVX512
/// The trees of eight rows' columns.
CUMARL_INLINE __m256 eight_trees(const Sixteen* v) {
  const __m512 first = add_four_within(v).all, second = add_four_within(v + 4).all;
  const __m512 eights = _mm512_add_ps(_mm512_shuffle_f32x4(first, second, 0x88),
                                      _mm512_shuffle_f32x4(first, second, 0xDD));
  return _mm512_castps512_ps256(_mm512_add_ps(_mm512_shuffle_f32x4(eights, eights, 0x88),
                                              _mm512_shuffle_f32x4(eights, eights, 0xDD)));
}

/// Which of eight are among the first `count`.
CUMARL_INLINE __mmask8 first_of_eight(int count) {
  return static_cast<__mmask8>(count >= 8 ? 255 : (1 << count) - 1);
}

/// Stores the first `count` of eight numbers, and zeros behind them.
CUMARL_INLINE void store_some(float* out, __m256 v, int count) {
  _mm256_storeu_ps(out, _mm256_maskz_mov_ps(first_of_eight(count), v));
}

/// x[k] = z[first[k]] z[second[k]] for n columns.
CUMARL_INLINE void pair_products(__m512 z, const int32_t* first, const int32_t* second, float* x,
                                 int n) {
  for (int k = 0; k < n; k += kColumns) {
    const __m512 left = _mm512_permutexvar_ps(_mm512_load_si512(first + k), z);
    const __m512 right = _mm512_permutexvar_ps(_mm512_load_si512(second + k), z);
    _mm512_store_ps(x + k, _mm512_mul_ps(left, right));
  }
}

/// The eight values from row[k] on, with less than any number where k + j >= count.
CUMARL_INLINE __m256 eight_of(const float* row, int k, int count) {
  return _mm256_mask_mov_ps(_mm256_set1_ps(-__builtin_inff()), first_of_eight(count - k),
                            _mm256_loadu_ps(row + k));
}

/// The largest of eight values, in all places.
CUMARL_INLINE __m256 largest(__m256 v) {
  v = _mm256_max_ps(v, _mm256_permute2f128_ps(v, v, 1));
  v = _mm256_max_ps(v, _mm256_permute_ps(v, 0x4E));
  return _mm256_max_ps(v, _mm256_permute_ps(v, 0xB1));
}
#endif
#endif
}  // namespace vector_ops

/// A vector by its entries or, where few of them are one and all others 0, by the columns of the ones.
/// Two of the same basis have equally many of these, each for a part of the columns of its own: a
/// column is one in both only where it is the j-th of both.
template <class Real>
struct AnyVector {
  const Real* entries;  ///< [n]; not there where the ones are
  const int32_t* ones;  ///< [count] columns, increasing; null: all entries are there
  int32_t count;

  CUMARL_HD bool sparse() const { return ones != nullptr; }
};

/// Calls f(k) for the columns k in [0, n) of the calling lane. Pre: n is padded.
template <class Team, class F>
CUMARL_HD CUMARL_INLINE void for_columns(const Team& team, int n, F f) {
  static_assert(Team::size() <= kColumns);
  constexpr int kOwn = kColumns / Team::size();
  if constexpr (kOwn == kColumns) {
    for (int k = 0; k < n; ++k) f(k);
  } else {
    for (int k = team.rank() * kOwn; k < n; k += kColumns) {
      for (int j = 0; j < kOwn; ++j) f(k + j);
    }
  }
}

/// The same for an f that reads and writes nothing of other columns.
template <class Team, class F>
CUMARL_HD CUMARL_INLINE void each_column(const Team& team, int n, F f) {
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
  if constexpr (Team::size() == 1) {
#pragma GCC ivdep
    for (int k = 0; k < n; ++k) f(k);
    return;
  }
#endif
  for_columns(team, n, f);
}

/// Calls f(k, own) for those of the ones that are in the calling lane's columns, the own-th of which
/// is k.
template <class Team, class Real, class F>
CUMARL_HD CUMARL_INLINE void for_ones(const Team& team, const AnyVector<Real>& x, F f) {
  constexpr int kOwn = kColumns / Team::size();
  for (int j = 0; j < x.count; ++j) {
    const int k = x.ones[j];
    const int own = (k & (kColumns - 1)) - team.rank() * kOwn;
    if constexpr (Team::size() == 1) {
      f(k, own);
    } else if constexpr (kOwn == 1) {
      if (own == 0) f(k, 0);
    } else {
      if (own >= 0 && own < kOwn) f(k, own);
    }
  }
}

/// The tree over 16 partial sums, of which every lane has its own columns', the same in every lane.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE Real sum_parts(const Team& team, Real* part) {
  constexpr int kOwn = kColumns / Team::size();
  for (int m = 1; m < kOwn; m *= 2) {
    for (int j = 0; j < kOwn; j += 2 * m) part[j] += part[j + m];
  }
  return team.sum(part[0]);
}

/// Sum of f(k) over the columns k in [0, n), the same in every lane. Pre: n is padded.
template <class Real, class Team, class F>
CUMARL_HD CUMARL_INLINE Real sum_columns(const Team& team, int n, F f) {
  static_assert(Team::size() <= kColumns);
  constexpr int kOwn = kColumns / Team::size();
  Real part[kOwn] = {};
  for (int k = team.rank() * kOwn; k < n; k += kColumns) {
    for (int j = 0; j < kOwn; ++j) part[j] += f(k + j);
  }
  return sum_parts(team, part);
}

/// a . b, the same in every lane.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE Real dot(const Team& team, const Real* a, const Real* b, int n) {
#if defined(__AVX2__) && !defined(__CUDACC__)
  if constexpr (Team::size() == 1 && sizeof(Real) == sizeof(float)) {
    vector_ops::Sixteen sum[1];
    vector_ops::row_products<1>(a, 1, b, n, sum);
    return vector_ops::tree(sum[0]);
  }
#endif
#if !defined(__CUDACC__)
  if constexpr (Team::size() == 1) {
    using Wide = vector_ops::Wide<Real>;
    Wide sum{};
    for (int k = 0; k < n; k += kColumns) {
      sum += *reinterpret_cast<const Wide*>(a + k) * *reinterpret_cast<const Wide*>(b + k);
    }
    return vector_ops::tree<Real>(sum);
  }
#endif
  return sum_columns<Real>(team, n, [&](int k) { return a[k] * b[k]; });
}

/// The same for any x. Pre: where it is sparse, the entries of a are finite, and none is -0.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE Real dot(const Team& team, const Real* a, const AnyVector<Real>& x, int n) {
  if (!x.sparse()) return dot(team, a, x.entries, n);
  if constexpr (Team::size() == 1) {
    if (x.count == 1) return a[x.ones[0]];
  }
  Real part[kColumns / Team::size()] = {};
  for_ones(team, x, [&](int k, int own) { part[own] += a[k]; });
  return sum_parts(team, part);
}

/// x . y of two vectors of the same basis, both sparse or both not.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE Real dot(const Team& team, const AnyVector<Real>& x,
                                 const AnyVector<Real>& y, int n) {
  if (!x.sparse()) return dot(team, x.entries, y.entries, n);
  int common = 0;
  for (int j = 0; j < x.count; ++j) common += x.ones[j] == y.ones[j] ? 1 : 0;
  return static_cast<Real>(common);
}

/// y += scale * x.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE void add_scaled(const Team& team, Real* y, Real scale, const Real* x,
                                        int n) {
#if defined(__AVX2__) && !defined(__CUDACC__)
  if constexpr (Team::size() == 1 && sizeof(Real) == sizeof(float)) {
    const vector_ops::Sixteen factor = vector_ops::everywhere(scale);
    for (int k = 0; k < n; k += kColumns) {
      vector_ops::Sixteen sum = vector_ops::Sixteen::load(y + k);
      sum.add_products(factor, vector_ops::Sixteen::load(x + k));
      sum.store(y + k);
    }
    return;
  }
#endif
#if !defined(__CUDACC__)
  if constexpr (Team::size() == 1) {
    using Wide = vector_ops::Wide<Real>;
    for (int k = 0; k < n; k += kColumns) {
      *reinterpret_cast<Wide*>(y + k) += scale * *reinterpret_cast<const Wide*>(x + k);
    }
    return;
  }
#endif
  for_columns(team, n, [&](int k) { y[k] += scale * x[k]; });
}

/// The same for any x. Pre: where it is sparse, no entry of y is -0.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE void add_scaled(const Team& team, Real* y, Real scale,
                                        const AnyVector<Real>& x, int n) {
  if (!x.sparse()) return add_scaled(team, y, scale, x.entries, n);
  for_ones(team, x, [&](int k, int) { y[k] += scale; });
}

/// y = value everywhere.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE void fill(const Team& team, Real* y, Real value, int n) {
  for_columns(team, n, [&](int k) { y[k] = value; });
}

/// y = 1 in column `at`, 0 elsewhere.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE void unit_vector(const Team& team, Real* y, int at, int n) {
#if defined(__AVX2__) && !defined(__CUDACC__)
  if constexpr (Team::size() == 1 && sizeof(Real) == sizeof(float)) {
    const __m256i columns = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (int k = 0; k < n; k += 8) {
      const __m256i here = _mm256_cmpeq_epi32(columns, _mm256_set1_epi32(at - k));
      _mm256_store_ps(y + k, _mm256_and_ps(_mm256_castsi256_ps(here), _mm256_set1_ps(1.0F)));
    }
    return;
  }
#endif
  for_columns(team, n, [&](int k) { y[k] = Real(k == at ? 1 : 0); });
}

/// y = x.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE void copy_vector(const Team& team, Real* y, const Real* x, int n) {
  for_columns(team, n, [&](int k) { y[k] = x[k]; });
}

/// out[r] = row r . x for `rows` rows of n columns; to be read by all lanes when it returns. Shape:
/// out [padded(rows)], where what is behind `rows` may become 0.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE void multiply(const Team& team, const Real* matrix, int rows, const Real* x,
                                      int n, Real* out) {
  int r = 0;
#if !defined(__CUDACC__)
  if constexpr (Team::size() == 1) {
    using Wide = vector_ops::Wide<Real>;
#if defined(__AVX2__)
    if constexpr (sizeof(Real) == sizeof(float)) {
      const auto at = [&] { return matrix + static_cast<size_t>(r) * static_cast<size_t>(n); };
#if CUMARL_AVX512
      for (; r + 4 < rows; r += 8) {
        vector_ops::Sixteen sum[8];
        vector_ops::row_products<8>(at(), rows - r, x, n, sum);
        vector_ops::store_some(out + r, vector_ops::eight_trees(sum), rows - r);
      }
#endif
      for (; r < rows; r += 4) {
        vector_ops::Sixteen sum[4];
        vector_ops::row_products<4>(at(), rows - r, x, n, sum);
        vector_ops::store_some(out + r, vector_ops::four_trees(sum), rows - r);
      }
      return;
    }
#endif
    for (; r + 4 <= rows; r += 4) {
      const Real* const at = matrix + static_cast<size_t>(r) * static_cast<size_t>(n);
      Wide sum[4] = {};
      for (int k = 0; k < n; k += kColumns) {
        const Wide& mine = *reinterpret_cast<const Wide*>(x + k);
        for (int j = 0; j < 4; ++j) sum[j] += *reinterpret_cast<const Wide*>(at + j * n + k) * mine;
      }
      vector_ops::four_trees<Real>(sum[0], sum[1], sum[2], sum[3], out + r);
    }
  }
#endif
  for (; r < rows; ++r) {
    const Real value = dot(team, matrix + static_cast<size_t>(r) * static_cast<size_t>(n), x, n);
    if (team.rank() == 0) out[r] = value;
  }
  team.sync();
}

/// Column k of `rows` rows of n columns, by whichever lane; to be read by all when it returns.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE void read_column(const Team& team, const Real* matrix, int rows, int k,
                                         int n, Real* out) {
  const auto at = [&](int r) {
    return matrix[static_cast<size_t>(r) * static_cast<size_t>(n) + static_cast<size_t>(k)];
  };
  int r = 0;
#if defined(__AVX2__) && !defined(__CUDACC__)
  if constexpr (Team::size() == 1 && sizeof(Real) == sizeof(float)) {
    // stored as they are going to be read
    for (; r + 8 <= rows; r += 8) {
      _mm256_storeu_ps(out + r, _mm256_setr_ps(at(r), at(r + 1), at(r + 2), at(r + 3), at(r + 4),
                                               at(r + 5), at(r + 6), at(r + 7)));
    }
  }
#endif
  for (r += team.rank(); r < rows; r += Team::size()) out[r] = at(r);
  team.sync();
}

/// out[r] = row r . x, as above, for any x. Pre: where it is sparse, the entries of the matrix are
/// finite, none is -0, and all are there for every lane to read.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE void multiply(const Team& team, const Real* matrix, int rows,
                                      const AnyVector<Real>& x, int n, Real* out) {
  if (!x.sparse()) return multiply(team, matrix, rows, x.entries, n, out);
  if (x.count == 1) return read_column(team, matrix, rows, x.ones[0], n, out);
  for (int r = 0; r < rows; ++r) {
    const Real value = dot(team, matrix + static_cast<size_t>(r) * static_cast<size_t>(n), x, n);
    if (team.rank() == 0) out[r] = value;
  }
  team.sync();
}

/// Where the largest of `count` values is, of equals the first.
template <class Real>
CUMARL_HD CUMARL_INLINE int top_of(const Real* values, int count) {
  int best = 0;
  for (int k = 1; k < count; ++k) best = values[k] > values[best] ? k : best;
  return best;
}

/// The same for a padded row, whatever pads it.
template <class Real>
CUMARL_HD CUMARL_INLINE int top_of_row(const Real* row, int count) {
#if CUMARL_AVX512
  if constexpr (sizeof(Real) == sizeof(float)) {
    __m256 most = vector_ops::eight_of(row, 0, count);
    for (int k = 8; k < count; k += 8) {
      most = _mm256_max_ps(most, vector_ops::eight_of(row, k, count));
    }
    most = vector_ops::largest(most);
    for (int k = 0; k < count; k += 8) {
      const auto there = static_cast<uint32_t>(
          _mm256_cmp_ps_mask(vector_ops::eight_of(row, k, count), most, _CMP_EQ_OQ));
      if (there != 0) return k + __builtin_ctz(there);
    }
  }
#endif
  return top_of(row, count);
}

/// Its largest value. Pre: no entry is -0.
template <class Real>
CUMARL_HD CUMARL_INLINE Real top_value(const Real* row, int count) {
#if CUMARL_AVX512
  if constexpr (sizeof(Real) == sizeof(float)) {
    __m256 most = vector_ops::eight_of(row, 0, count);
    for (int k = 8; k < count; k += 8) {
      most = _mm256_max_ps(most, vector_ops::eight_of(row, k, count));
    }
    return _mm256_cvtss_f32(vector_ops::largest(most));
  }
#endif
  return row[top_of(row, count)];
}

/// row[at] += change, which leaves the row ready to be read as a vector.
template <class Real>
CUMARL_HD CUMARL_INLINE void add_at(Real* row, int at, Real change) {
#if CUMARL_AVX512
  if constexpr (sizeof(Real) == sizeof(float)) {
    float* const eight = row + at / 8 * 8;
    const __m256 old = _mm256_loadu_ps(eight);
    _mm256_storeu_ps(eight, _mm256_mask_add_ps(old, static_cast<__mmask8>(1 << at % 8), old,
                                               _mm256_set1_ps(change)));
    return;
  }
#endif
  row[at] += change;
}

}  // namespace cumarl::inline CUMARL_VARIANT
