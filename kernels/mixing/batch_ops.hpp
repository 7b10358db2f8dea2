/// \file
/// Dense linear algebra on small batches for a team of lanes: batch x in -> batch x out, and the two
/// products of its backward pass.
///
/// One fixed shape: an entry of a result is a start value, to which the products are added one after
/// another in the order of the inner index. A lane computes whole columns, so that every team size
/// gives the same bits; one lane of a CPU holds a block of rows and columns in vector registers.
/// Products and sums are rounded one by one (the build forbids contraction).
///
/// Matrices are row-major, 64-byte aligned, with rows of a padded number of columns (vector_ops.hpp)
/// whose padding is zero. All lanes call every function; when it returns its result can be read, and
/// its operands overwritten, by all of them.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "kernels/core/rng.hpp"
#include "kernels/linear/vector_ops.hpp"

namespace cumarl::inline CUMARL_VARIANT {

namespace batch_ops {

CUMARL_HD constexpr size_t at(int row, int pitch) {
  return static_cast<size_t>(row) * static_cast<size_t>(pitch);
}

/// A factor whose entry (m, k) is data[m * row + k * step].
template <class Real>
struct Factor {
  const Real* data;
  int row, step;
};

/// What a result starts from: row m of it at data + m * pitch; no data: zeros.
template <class Real>
struct Start {
  const Real* data;
  int pitch;
};

#if !defined(__CUDACC__)
/// Vectors as wide as the processor's registers, and the block of a result that one lane holds in
/// them: kRows rows of kVectors vectors; where only kFew rows are left, of kMany vectors, so that
/// enough sums are under way to hide how long one addition takes.
/// Sizes were found by measuring (docs/performance.md, "Mixing"). The 16 columns of Wide, where they
/// are more than a register, are taken apart in memory by g++ 12, which costs a factor of 7.
template <class Real>
struct Registers {
#if defined(__AVX512F__)
  static constexpr int kBytes = 64, kRows = 16, kVectors = 1, kFew = 3, kMany = 4;
#elif defined(__AVX__)
  static constexpr int kBytes = 32, kRows = 6, kVectors = 2, kFew = 2, kMany = 4;
#else
  static constexpr int kBytes = 16, kRows = 6, kVectors = 2, kFew = 2, kMany = 4;
#endif
  static constexpr int kLanes = kBytes / static_cast<int>(sizeof(Real));
  typedef Real Vector  // NOLINT(modernize-use-using): attributes of a dependent type
      __attribute__((vector_size(kBytes), may_alias));
};

/// The tree over 16 columns (vector_ops.hpp).
template <class Real>
CUMARL_INLINE Real tree(const typename Registers<Real>::Vector* part) {
  if constexpr (Registers<Real>::kLanes == kColumns) {
    return vector_ops::tree<Real>(part[0]);
  } else {
    constexpr int kLanes = Registers<Real>::kLanes;
    Real level[kColumns];
    for (int k = 0; k < kColumns; ++k) level[k] = part[k / kLanes][k % kLanes];
    for (int m = kColumns / 2; m > 0; m /= 2) {
      for (int k = 0; k < m; ++k) level[k] = level[2 * k] + level[2 * k + 1];
    }
    return level[0];
  }
}

/// kRows rows of kVectors vectors of columns.
template <int kRows, int kVectors, class Real>
CUMARL_INLINE void block(const Factor<Real>& a, const Real* b, int b_pitch, int depth,
                         const Start<Real>& start, Real* out, int out_pitch) {
  using Vector = typename Registers<Real>::Vector;
  constexpr int kLanes = Registers<Real>::kLanes;
  Vector sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] =
          start.data == nullptr
              ? Vector{}
              : *reinterpret_cast<const Vector*>(start.data + at(r, start.pitch) + v * kLanes);
    }
  }
  // a pointer for every four rows: with one for all, their offsets do not fit the registers
  constexpr int kQuads = (kRows + 3) / 4;
  const Real* left[kQuads];
  for (int i = 0; i < kQuads; ++i) left[i] = a.data + at(4 * i, a.row);
  for (int k = 0; k < depth; ++k, b += b_pitch) {
    Vector right[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      right[v] = *reinterpret_cast<const Vector*>(b + v * kLanes);
    }
    for (int r = 0; r < kRows; ++r) {
      const Real factor = left[r / 4][at(r % 4, a.row)];
      for (int v = 0; v < kVectors; ++v) sum[r][v] += factor * right[v];
    }
    for (int i = 0; i < kQuads; ++i) left[i] += a.step;
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) {
      *reinterpret_cast<Vector*>(out + at(r, out_pitch) + v * kLanes) = sum[r][v];
    }
  }
}

/// kRows rows of all columns.
template <int kRows, class Real>
void band(const Factor<Real>& a, const Real* b, int b_pitch, int columns, int depth,
          const Start<Real>& start, Real* out, int out_pitch) {
  using In = Registers<Real>;
  int n = 0;
  const auto run = [&]<int kVectors>() {
    for (; n + kVectors * In::kLanes <= columns; n += kVectors * In::kLanes) {
      const Start<Real> from{start.data == nullptr ? nullptr : start.data + n, start.pitch};
      block<kRows, kVectors>(a, b + n, b_pitch, depth, from, out + n, out_pitch);
    }
  };
  if constexpr (kRows <= In::kFew) run.template operator()<In::kMany>();
  run.template operator()<In::kVectors>();
}

/// Rows in bands of nearly equal height, of up to kRows rows.
template <int kRows, class Real>
void bands(Factor<Real> a, int rows, const Real* b, int b_pitch, int columns, int depth,
           Start<Real> start, Real* out, int out_pitch) {
  const int count = (rows + kRows - 1) / kRows;
  for (int k = count; k > 0; --k) {
    const int height = (rows + k - 1) / k;
    const auto run = [&]<int... kLess>(std::integer_sequence<int, kLess...>) {
      (void)((height == kLess + 1 &&
              (band<kLess + 1>(a, b, b_pitch, columns, depth, start, out, out_pitch), true)) ||
             ...);
    };
    run(std::make_integer_sequence<int, kRows>{});
    rows -= height;
    a.data += at(height, a.row);
    out += at(height, out_pitch);
    if (start.data != nullptr) start.data += at(height, start.pitch);
  }
}
#endif

/// out[m][n] = start[m][n] + sum over k < depth of a(m, k) b[k][n], for m < rows, n < columns.
/// Pre: columns is padded; out is none of the factors. It may be the start.
template <class Real, class Team>
CUMARL_HD void product(const Team& team, Factor<Real> a, int rows, int depth, const Real* b,
                       int b_pitch, int columns, Start<Real> start, Real* out, int out_pitch) {
#if !defined(__CUDACC__)
  if constexpr (Team::size() == 1) {
    bands<Registers<Real>::kRows>(a, rows, b, b_pitch, columns, depth, start, out, out_pitch);
    return;
  }
#endif
  constexpr int kRows = 4;
  for_columns(team, columns, [&](int n) {
    for (int m = 0; m < rows; m += kRows) {
      Real sum[kRows];
      for (int r = 0; r < kRows; ++r) {
        sum[r] = start.data == nullptr || m + r >= rows
                     ? Real(0)
                     : start.data[at(m + r, start.pitch) + static_cast<size_t>(n)];
      }
      for (int k = 0; k < depth; ++k) {
        const Real right = b[at(k, b_pitch) + static_cast<size_t>(n)];
        for (int r = 0; r < kRows; ++r) {
          const int row = m + r < rows ? m + r : m;
          sum[r] += a.data[at(row, a.row) + at(k, a.step)] * right;
        }
      }
      for (int r = 0; r < kRows && m + r < rows; ++r) {
        out[at(m + r, out_pitch) + static_cast<size_t>(n)] = sum[r];
      }
    }
  });
  team.sync();
}

}  // namespace batch_ops

/// y[b] = bias + x[b] W for `rows` rows: x [rows][x_pitch], of which `in` columns count, W
/// [in][out], bias [out] or null, y [rows][y_pitch].
template <class Real, class Team>
CUMARL_HD void affine(const Team& team, const Real* x, int x_pitch, int rows, int in,
                      const Real* weights, int out, const Real* bias, Real* y, int y_pitch) {
  batch_ops::product<Real>(team, {x, x_pitch, 1}, rows, in, weights, out, out, {bias, 0}, y,
                           y_pitch);
}

/// The gradient of W: g[k] += sum over b of x[b][k] dy[b], g [in][out].
template <class Real, class Team>
CUMARL_HD void add_weight_gradient(const Team& team, const Real* x, int x_pitch, int rows, int in,
                                   const Real* dy, int dy_pitch, int out, Real* g) {
  batch_ops::product<Real>(team, {x, 1, x_pitch}, in, rows, dy, dy_pitch, out, {g, out}, g, out);
}

/// The gradient of a bias: g += sum over b of dy[b].
template <class Real, class Team>
CUMARL_HD void add_bias_gradient(const Team& team, const Real* dy, int dy_pitch, int rows, int out,
                                 Real* g) {
  const Real one = 1;
  batch_ops::product<Real>(team, {&one, 0, 0}, 1, rows, dy, dy_pitch, out, {g, 0}, g, out);
}

/// The gradient of x: dx[b] = dy[b] W', with W' [out][dx_pitch] as `transpose` makes it.
template <class Real, class Team>
CUMARL_HD void input_gradient(const Team& team, const Real* dy, int dy_pitch, int rows, int out,
                              const Real* transposed, int in, Real* dx, int dx_pitch) {
  batch_ops::product<Real>(team, {dy, dy_pitch, 1}, rows, out, transposed, in, in, {nullptr, 0}, dx,
                           dx_pitch);
}

/// out [columns][out_pitch] = in [rows][pitch] on its side, with zeros for padding.
/// Pre: columns <= pitch; rows <= out_pitch.
template <class Real, class Team>
CUMARL_HD void transpose(const Team& team, const Real* in, int rows, int columns, int pitch,
                         Real* out, int out_pitch) {
  for_columns(team, out_pitch, [&](int m) {
    for (int n = 0; n < columns; ++n) {
      out[batch_ops::at(n, out_pitch) + static_cast<size_t>(m)] =
          m < rows ? in[batch_ops::at(m, pitch) + static_cast<size_t>(n)] : Real(0);
    }
  });
  team.sync();
}

/// x = max(x, 0) for `rows` rows of n columns.
template <class Real, class Team>
CUMARL_HD void rectify(const Team& team, Real* x, int pitch, int rows, int n) {
  for (int b = 0; b < rows; ++b) {
    Real* const row = x + batch_ops::at(b, pitch);
    each_column(team, n, [&](int k) { row[k] = row[k] > Real(0) ? row[k] : Real(0); });
  }
  team.sync();
}

/// dx = 0 where the rectified x is 0.
template <class Real, class Team>
CUMARL_HD void rectify_gradient(const Team& team, const Real* x, int x_pitch, int rows, int n,
                                Real* dx, int dx_pitch) {
  for (int b = 0; b < rows; ++b) {
    const Real* const kept = x + batch_ops::at(b, x_pitch);
    Real* const row = dx + batch_ops::at(b, dx_pitch);
    each_column(team, n, [&](int k) { row[k] = kept[k] > Real(0) ? row[k] : Real(0); });
  }
  team.sync();
}

/// Calls f(b) for the rows b of the calling lane.
template <class Team, class F>
CUMARL_HD void for_rows(const Team& team, int rows, F f) {
  for (int b = team.rank(); b < rows; b += Team::size()) f(b);
}

/// A matrix of parameters: entry (m, n) is at + m * pitch + n.
struct Weights {
  const char* name;
  size_t at;  ///< a multiple of kColumns
  int rows, columns, pitch;
  int fan_in;  ///< the inputs that its outputs sum over; 0: it starts at zero
  int agent;   ///< whose it is, or -1
};

/// Draws the entries uniformly from [-1, 1] / sqrt(fan_in); a lane writes its own columns, and no
/// padding. `block` numbers the random words.
/// Source: the defaults of the published implementations' layers.
template <class Real, class Team>
CUMARL_HD void init_weights(const Team& team, const Weights& w, Real* weights, RunKey key,
                            uint32_t block) {
  const double bound = w.fan_in > 0 ? 1.0 / std::sqrt(static_cast<double>(w.fan_in)) : 0.0;
  for (int m = 0; m < w.rows; ++m) {
    const size_t row = w.at + batch_ops::at(m, w.pitch);
    for_columns(team, padded(w.columns), [&](int n) {
      if (n >= w.columns) return;
      const uint64_t entry = row + static_cast<uint64_t>(n);
      const uint32_t word = philox(key, entry, Stream::init, block).x0;
      weights[entry] = static_cast<Real>(bound * (2.0 * unit_double(word) - 1.0));
    });
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
