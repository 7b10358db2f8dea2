/// \file
/// QMIX's mixing network on a large batch, forward and backward in one pass over it: joint values,
/// their slopes in the utilities, and the gradient of all hypernetworks. What the hypernetworks make
/// of a sample stays in a team's scratch.
///
/// Work is cut by the number of samples alone. A chunk is a stretch of up to kChunks equal ones; a
/// team goes through a chunk tile by tile and adds up its gradient row by row; the chunks' gradients
/// are added in one binary tree. So results depend neither on how many teams there are, nor on
/// their size, nor on the tile. Parameters, their layout and the mathematics are those of
/// MonotonicMixer (qmix.hpp), which is what one lane of a CPU runs on each tile.
///
/// In order: `prepare` (once for new parameters), `chunk` for every chunk (in any order, by any
/// teams), `reduce`. fused_mixing.cuh launches them on a GPU; `run` does all of it with one team.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernels/mixing/qmix.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Samples, and where what comes of them goes. All pointers are aligned to 64 bytes.
template <class Real>
struct MixingBatch {
  int64_t rows;
  const Real* state;   ///< [rows][state_pitch], a one as the last entry that counts
  const Real* q;       ///< [rows][kColumns] utilities of the actions taken, an agent a column
  const Real* slope;   ///< [rows] d loss / d total; null: the loss below
  const Real* target;  ///< [rows] without slopes: loss = scale * sum of weight (total - target)^2
  const Real* weight;  ///< [rows]; null: 1. Rows with 0 are not read: their total and dq are 0
  Real scale;
  Real* total;  ///< [rows] joint values
  Real* dq;     ///< [rows][kColumns] d loss / d q; columns of no agent stay as they are
};

/// Products as batch_ops.hpp has them: strict multiply and add, the same bits for every team.
struct StrictProducts {
  template <class Real>
  CUMARL_HD static Real factor(Real x) {
    return x;
  }

  /// batch_ops::product for teams of any size, without the barrier behind it; a lane computes
  /// blocks of rows of a column. Lanes have the same entries whenever rows and columns are the same.
  template <class Real, class Team, class Products = StrictProducts>
  CUMARL_HD static void product(const Team& team, batch_ops::Factor<Real> a, int rows, int depth,
                                const Real* b, int b_pitch, int columns,
                                batch_ops::Start<Real> start, Real* out, int out_pitch) {
    constexpr int kRows = 8;
    const int blocks = (rows + kRows - 1) / kRows;
    for (int k = team.rank(); k < blocks * columns; k += Team::size()) {
      const int first = k / columns * kRows;
      const int n = k % columns;
      const int height = rows - first < kRows ? rows - first : kRows;
      Real sum[kRows];
      for (int r = 0; r < kRows; ++r) {
        sum[r] = start.data == nullptr || r >= height
                     ? Real(0)
                     : start.data[batch_ops::at(first + r, start.pitch) + static_cast<size_t>(n)];
      }
      const Real* left = a.data + batch_ops::at(first, a.row);
      const Real* right = b + n;
      for (int d = 0; d < depth; ++d, left += a.step, right += b_pitch) {
        const Real factor = Products::factor(*right);
        for (int r = 0; r < kRows; ++r) {
          sum[r] += Products::factor(left[batch_ops::at(r < height ? r : 0, a.row)]) * factor;
        }
      }
      for (int r = 0; r < height; ++r) {
        out[batch_ops::at(first + r, out_pitch) + static_cast<size_t>(n)] = sum[r];
      }
    }
  }
};

/// x with the 10 bits of mantissa that tensor cores read of a float (TF32), to nearest, ties away
/// from zero: |rounded - x| <= 2^-11 |x| for normal x. Infinities and NaNs stay.
CUMARL_HD inline float round_tf32(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7F800000u) == 0x7F800000u) return x;
  return std::bit_cast<float>((bits + 0x1000u) & 0xFFFFE000u);
}

/// Products of factors rounded to TF32, summed in float32: what tensor cores compute, but for the
/// order of their sums. Of a product, |error| <= (2^-10 + 2^-22 + K 2^-23) sum of |a b| over its K
/// terms: 2^-11 for each factor, and one rounding of float32 a term.
struct RoundedProducts {
  CUMARL_HD static float factor(float x) { return round_tf32(x); }
  template <class Team>
  CUMARL_HD static void product(const Team& team, batch_ops::Factor<float> a, int rows, int depth,
                                const float* b, int b_pitch, int columns,
                                batch_ops::Start<float> start, float* out, int out_pitch) {
    StrictProducts::product<float, Team, RoundedProducts>(team, a, rows, depth, b, b_pitch, columns,
                                                          start, out, out_pitch);
  }
};

/// See the file. `Products` computes the matrix products; sizes in numbers are of type Real.
template <class Real, class Products = StrictProducts>
struct FusedMixing {
  using Mix = MonotonicMixer<Real>;
  using Shape = typename Mix::Shape;
  using Batch = MixingBatch<Real>;
  static constexpr int kChunks = 128;  ///< at most
  static constexpr int kLeast = 64;    ///< rows of a chunk, at least, where there are more chunks

  /// Rows of a chunk (the last one may have fewer), and chunks; functions of the batch alone.
  CUMARL_HD static int64_t chunk_rows(int64_t rows) {
    const int64_t even = ((rows + kChunks - 1) / kChunks + 15) / 16 * 16;
    return even < kLeast ? kLeast : even;
  }
  CUMARL_HD static int chunks(int64_t rows) {
    const int64_t each = chunk_rows(rows);
    return static_cast<int>((rows + each - 1) / each);
  }

  /// Numbers of a chunk's gradient, of the prepared weights, and of a team's scratch for tiles of
  /// `tile` rows.
  CUMARL_HD static size_t parameters(const Shape& s) { return Mix::parameters(s); }
  CUMARL_HD static size_t prepared(const Shape& s) { return Mix::prepared(s); }
  template <class Team>
  CUMARL_HD static size_t scratch(const Shape& s, int tile) {
    const Places p = places<Team>(s, tile);
    return p.end;
  }

  /// Transposes the second layers for `chunk`. Entry k of `prepared(s)` for k = first, first +
  /// stride, ...; any number of lanes may share it.
  CUMARL_HD static void prepare(const Shape& s, const Real* w, Real* out, uint64_t first,
                                uint64_t stride) {
    const auto hidden = static_cast<uint64_t>(s.hidden);
    const Real* const last = w + Mix::final_at(s);
    for (uint64_t k = first; k < prepared(s); k += stride) {
      const auto n = static_cast<int>(k / hidden);
      const auto m = static_cast<int>(k % hidden);
      const Real* const from = n < s.mixing ? w + s.deep_at + batch_ops::at(m, s.mixing) + n
                                            : last + batch_ops::at(m, s.units) + (n - s.mixing);
      out[k] = m < s.width ? *from : Real(0);
    }
  }

  /// Chunk `c`: its rows' total and dq, its share of the gradient (partial [parameters], written) and
  /// of the loss (*loss; 0 where slopes are given). All lanes of a team call it.
  /// Pre: tile > 0; scratch has room for scratch<Team>(s, tile) numbers, aligned to 64 bytes;
  /// `transposed` is what `prepare` made.
  template <class Team>
  CUMARL_HD static void chunk(const Team& team, const Shape& s, const Real* w,
                              const Real* transposed, const Batch& in, int c, int tile,
                              Real* scratch, Real* partial, Real* loss) {
    const Work k = make_work(places<Team>(s, tile), scratch);
    const auto n = static_cast<int>(parameters(s));
    for (int j = team.rank(); j < n; j += Team::size()) partial[j] = Real(0);
    const int64_t each = chunk_rows(in.rows);
    const int64_t begin = c * each;
    const int64_t end = begin + each < in.rows ? begin + each : in.rows;
    Real sum = 0;
    for (int64_t row = begin; row < end; row += tile) {
      const int rows = end - row < tile ? static_cast<int>(end - row) : tile;
      if (!gather(team, s, in, row, rows, k)) continue;
      values(team, s, w, rows, k);
      sum = judge(team, in, row, rows, k, sum);
      if constexpr (kTuned<Team>) {
        const MixRows<Real> here{rows, k.state, k.q, nullptr};
        Mix::backward(team, s, w, transposed, here, k.slope, k.work, k.dq, partial);
        for (int r = 0; r < rows; ++r) {
          for (int i = 0; i < s.agents; ++i) {
            in.dq[(row + r) * kColumns + i] = k.dq[r * kColumns + i];
          }
        }
      } else {
        gradients(team, s, w, transposed, in, row, rows, k, partial);
      }
    }
    team.sync();
    if (team.rank() == 0) *loss = sum;
  }

  /// Entry k of the sum of the chunks' gradients, or of their losses: count numbers, `pitch` apart,
  /// in the binary tree over kChunks leaves of which those behind `count` are 0.
  CUMARL_HD static Real reduced(const Real* parts, size_t pitch, int count) {
    constexpr int kGroup = 16;
    Real group[kChunks / kGroup];
    for (int g = 0; g < kChunks / kGroup; ++g) {
      Real leaf[kGroup];
      for (int j = 0; j < kGroup; ++j) {
        const int c = g * kGroup + j;
        leaf[j] = c < count ? parts[static_cast<size_t>(c) * pitch] : Real(0);
      }
      for (int m = 1; m < kGroup; m *= 2) {
        for (int j = 0; j < kGroup; j += 2 * m) leaf[j] += leaf[j + m];
      }
      group[g] = leaf[0];
    }
    for (int m = 1; m < kChunks / kGroup; m *= 2) {
      for (int g = 0; g < kChunks / kGroup; g += 2 * m) group[g] += group[g + m];
    }
    return group[0];
  }

  /// gradient [parameters] and *loss of the whole batch from partials [chunks][parameters] and
  /// losses [chunks]: entries first, first + stride, ...; any number of lanes may share it.
  CUMARL_HD static void reduce(const Shape& s, int64_t rows, const Real* partials,
                               const Real* losses, Real* gradient, Real* loss, uint64_t first,
                               uint64_t stride) {
    const size_t n = parameters(s);
    const int count = chunks(rows);
    for (uint64_t k = first; k < n; k += stride) gradient[k] = reduced(partials + k, n, count);
    if (first == 0) *loss = reduced(losses, 1, count);
  }

  /// Numbers of memory that a whole batch needs besides scratch: prepared weights, partial
  /// gradients, losses.
  CUMARL_HD static size_t workspace(const Shape& s, int64_t rows) {
    return prepared(s) + static_cast<size_t>(chunks(rows)) * parameters(s) +
           static_cast<size_t>(padded(chunks(rows)));
  }
  CUMARL_HD static Real* partials_of(const Shape& s, Real* work) { return work + prepared(s); }
  CUMARL_HD static Real* losses_of(const Shape& s, int64_t rows, Real* work) {
    return partials_of(s, work) + static_cast<size_t>(chunks(rows)) * parameters(s);
  }

  /// The whole batch, by one team: gradient [parameters] and *loss are written.
  /// Pre: work has room for workspace(s, in.rows), scratch for scratch<Team>(s, tile) numbers.
  template <class Team>
  CUMARL_HD static void run(const Team& team, const Shape& s, const Real* w, const Batch& in,
                            int tile, Real* work, Real* scratch, Real* gradient, Real* loss) {
    const auto rank = static_cast<uint64_t>(team.rank());
    const auto size = static_cast<uint64_t>(Team::size());
    prepare(s, w, work, rank, size);
    team.sync();
    Real* const partials = partials_of(s, work);
    Real* const losses = losses_of(s, in.rows, work);
    for (int c = 0; c < chunks(in.rows); ++c) {
      chunk(team, s, w, work, in, c, tile, scratch,
            partials + static_cast<size_t>(c) * parameters(s), losses + c);
      team.sync();
    }
    reduce(s, in.rows, partials, losses, gradient, loss, rank, size);
    team.sync();
  }

 private:
  /// One lane with strict products takes MonotonicMixer's vectors.
  template <class Team>
  static constexpr bool kTuned = Team::size() == 1 && std::is_same_v<Products, StrictProducts>;

  /// Where a tile's matrices are in scratch, in numbers, and their pitches. In the tuned way those of
  /// MonotonicMixer; else 4 numbers longer than a multiple of 16, so that the rows that the lanes of
  /// a warp read together begin in different banks of shared memory.
  struct Places {
    size_t q, slope, total, share, dq, work, t, dt, pre, dpre, weights, end;
    int state, wide, units, made;
  };
  template <class Team>
  CUMARL_HD static Places places(const Shape& s, int tile) {
    Places p{};
    const bool tuned = kTuned<Team>;
    const int gap = tuned ? 0 : 4;
    p.state = s.state_pitch + gap;
    p.wide = s.t + gap;
    p.units = s.units + gap;
    p.made = s.deep ? s.mixing + s.units + gap : p.wide;
    size_t at = 0;
    const auto take = [&at](size_t n) {
      const size_t from = at;
      at += (n + 15) / 16 * 16;
      return from;
    };
    take(batch_ops::at(tile, p.state));
    p.q = take(batch_ops::at(tile, kColumns));
    p.slope = take(static_cast<size_t>(tile));
    p.total = take(static_cast<size_t>(tile));
    p.share = take(static_cast<size_t>(tile));
    if (tuned) {
      p.dq = take(batch_ops::at(tile, kColumns));
      p.work = take(Mix::working(s, tile));
    } else {
      p.t = take(batch_ops::at(tile, p.wide));
      p.dt = take(batch_ops::at(tile, p.wide));
      p.pre = take(batch_ops::at(tile, p.units));
      p.dpre = take(batch_ops::at(tile, p.units));
      p.weights = s.deep ? take(batch_ops::at(tile, p.made)) : p.t;
    }
    p.end = at;
    return p;
  }

  struct Work {
    Real *state, *q, *slope, *total, *share;
    Real *dq, *work;            ///< tuned
    Real *t, *dt, *pre, *dpre;  ///< else, as in qmix.hpp
    Real *weights, *last, *dweights,
        *dlast;  ///< with two layers gradients replace what they are of
    int state_pitch, wide, units, made;
  };
  CUMARL_HD static Work make_work(const Places& p, Real* at) {
    Work k{};
    k.state = at;
    k.q = at + p.q;
    k.slope = at + p.slope;
    k.total = at + p.total;
    k.share = at + p.share;
    k.dq = at + p.dq;
    k.work = at + p.work;
    k.t = at + p.t;
    k.dt = at + p.dt;
    k.pre = at + p.pre;
    k.dpre = at + p.dpre;
    k.weights = at + p.weights;
    k.state_pitch = p.state;
    k.wide = p.wide;
    k.units = p.units;
    k.made = p.made;
    return k;
  }

  /// Calls f(row, column) for the entries of the calling lane.
  template <class Team, class F>
  CUMARL_HD static void for_entries(const Team& team, int rows, int columns, F f) {
    for (int k = team.rank(); k < rows * columns; k += Team::size()) f(k / columns, k % columns);
  }

  /// Copies a tile's rows, with zeros for those without weight. False if none counts; then all that
  /// is to be written of them is written.
  template <class Team>
  CUMARL_HD static bool gather(const Team& team, const Shape& s, const Batch& in, int64_t row,
                               int rows, const Work& k) {
    team.sync();  // the tile before has been read
    int counts = 0;
    for (int r = team.rank(); r < rows; r += Team::size()) {
      const Real share = in.weight == nullptr ? Real(1) : in.weight[row + r];
      k.share[r] = share;
      counts |= share != Real(0) ? 1 : 0;
    }
    counts = team.max(counts);
    team.sync();
    if (counts == 0) {
      for_entries(team, rows, s.agents, [&](int r, int i) {
        in.dq[(row + r) * kColumns + i] = Real(0);
        if (i == 0) in.total[row + r] = Real(0);
      });
      return false;
    }
    const Real* const state = in.state + row * s.state_pitch;
    for_entries(team, rows, s.state_pitch, [&](int r, int n) {
      k.state[batch_ops::at(r, k.state_pitch) + static_cast<size_t>(n)] =
          k.share[r] != Real(0) ? state[batch_ops::at(r, s.state_pitch) + static_cast<size_t>(n)]
                                : Real(0);
    });
    for_entries(team, rows, kColumns, [&](int r, int n) {
      k.q[r * kColumns + n] =
          k.share[r] != Real(0) && n < s.agents ? in.q[(row + r) * kColumns + n] : Real(0);
    });
    team.sync();
    return true;
  }

  /// The tile's joint values, into k.total; the barrier behind is the caller's.
  template <class Team>
  CUMARL_HD static void values(const Team& team, const Shape& s, const Real* w, int rows, Work k) {
    if constexpr (kTuned<Team>) {
      Mix::forward(team, s, w, MixRows<Real>{rows, k.state, k.q, nullptr}, k.work, k.total);
    } else {
      split(s, k);
      multiply(team, {k.state, k.state_pitch, 1}, rows, s.state, w, s.t, s.t, {nullptr, 0}, k.t,
               k.wide);
      team.sync();
      for_entries(team, rows, s.units, [&](int r, int e) {
        rectify_entry(k.t[batch_ops::at(r, k.wide) + static_cast<size_t>(s.v_at + e)]);
      });
      if (s.deep) {
        for_entries(team, rows, 2 * s.hidden, [&](int r, int n) {
          rectify_entry(k.t[batch_ops::at(r, k.wide) + static_cast<size_t>(n)]);
        });
        team.sync();
        const Real* const a = w + s.deep_at;
        multiply(team, {k.t, k.wide, 1}, rows, s.width, a, s.mixing, s.mixing,
                 {a + batch_ops::at(s.width, s.mixing), 0}, k.weights, k.made);
        const Real* const b = w + Mix::final_at(s);
        multiply(team, {k.t + s.w_at, k.wide, 1}, rows, s.width, b, s.units, s.units,
                 {b + batch_ops::at(s.width, s.units), 0}, k.last, k.made);
      }
      team.sync();
      for_entries(team, rows, s.units, [&](int r, int e) {
        Real sum = k.t[batch_ops::at(r, k.wide) + static_cast<size_t>(s.b_at + e)];
        const Real* const made = k.weights + batch_ops::at(r, k.made) + e;
        for (int i = 0; i < s.agents; ++i) {
          sum += k.q[r * kColumns + i] * std::fabs(made[i * s.units]);
        }
        k.pre[batch_ops::at(r, k.units) + static_cast<size_t>(e)] = Mix::activate(s.act, sum);
      });
      team.sync();
      const Real* const v = w + s.v_weights;
      for (int r = team.rank(); r < rows; r += Team::size()) {
        const Real* const pre = k.pre + batch_ops::at(r, k.units);
        const Real* const last = k.last + batch_ops::at(r, k.made);
        const Real* const hidden = k.t + batch_ops::at(r, k.wide) + s.v_at;
        k.total[r] =
            tree(s.units, [&](int e) { return pre[e] * std::fabs(last[e]) + hidden[e] * v[e]; }) +
            v[s.units];
      }
    }
  }

  /// Writes the totals, makes the slopes, and adds the rows' losses to `sum`, which lane 0 holds.
  template <class Team>
  CUMARL_HD static Real judge(const Team& team, const Batch& in, int64_t row, int rows,
                              const Work& k, Real sum) {
    // a lane reads the totals that it has written
    for (int r = team.rank(); r < rows; r += Team::size()) {
      const bool counts = k.share[r] != Real(0);
      in.total[row + r] = counts ? k.total[r] : Real(0);
      if (in.slope != nullptr) {
        k.slope[r] = counts ? in.slope[row + r] : Real(0);
        k.share[r] = Real(0);
      } else {
        const Real error = counts ? k.total[r] - in.target[row + r] : Real(0);
        const Real share = in.scale * k.share[r];
        k.slope[r] = Real(2) * share * error;
        k.share[r] = share * (error * error);
      }
    }
    team.sync();
    if (team.rank() == 0) {
      for (int r = 0; r < rows; ++r) sum += k.share[r];
    }
    return sum;
  }

  /// dq of the tile's rows, and adds their gradient to `partial`.
  template <class Team>
  CUMARL_HD static void gradients(const Team& team, const Shape& s, const Real* w,
                                  const Real* transposed, const Batch& in, int64_t row, int rows,
                                  Work k, Real* partial) {
    split(s, k);
    const Real* const v = w + s.v_weights;
    Real* const dv = partial + s.v_weights;
    for_entries(team, rows, s.units, [&](int r, int e) {
      const Real error = k.slope[r];
      const Real h = k.pre[batch_ops::at(r, k.units) + static_cast<size_t>(e)];
      const Real last = k.last[batch_ops::at(r, k.made) + static_cast<size_t>(e)];
      const Real d = error * std::fabs(last) * Mix::bend(s.act, h);
      const Real hidden = k.t[batch_ops::at(r, k.wide) + static_cast<size_t>(s.v_at + e)];
      Real* const dt = k.dt + batch_ops::at(r, k.wide);
      k.dpre[batch_ops::at(r, k.units) + static_cast<size_t>(e)] = d;
      dt[s.b_at + e] = d;
      dt[s.v_at + e] = hidden > Real(0) ? error * v[e] : Real(0);
      k.dlast[batch_ops::at(r, k.made) + static_cast<size_t>(e)] = Mix::with_sign(error * h, last);
    });
    for (int e = team.rank(); e <= s.units; e += Team::size()) {
      Real sum = dv[e];
      for (int r = 0; r < rows; ++r) {
        sum += e == s.units
                   ? k.slope[r]
                   : k.slope[r] * k.t[batch_ops::at(r, k.wide) + static_cast<size_t>(s.v_at + e)];
      }
      dv[e] = sum;
    }
    team.sync();
    for_entries(team, rows, s.agents, [&](int r, int i) {
      const Real* const made = k.weights + batch_ops::at(r, k.made) + i * s.units;
      const Real* const d = k.dpre + batch_ops::at(r, k.units);
      const Real slope = tree(s.units, [&](int e) { return std::fabs(made[e]) * d[e]; });
      in.dq[(row + r) * kColumns + i] = slope;
      const Real scale = k.q[r * kColumns + i];
      Real* const dmade = k.dweights + batch_ops::at(r, k.made) + i * s.units;
      for (int e = 0; e < s.units; ++e) dmade[e] = Mix::with_sign(scale * d[e], made[e]);
    });
    team.sync();
    if (s.deep) {
      Real* const a = partial + s.deep_at;
      Real* const b = partial + Mix::final_at(s);
      multiply(team, {k.t, 1, k.wide}, s.width, rows, k.weights, k.made, s.mixing, {a, s.mixing}, a,
               s.mixing);
      multiply(team, {k.t + s.w_at, 1, k.wide}, s.width, rows, k.last, k.made, s.units,
               {b, s.units}, b, s.units);
      add_rows(team, k.weights, k.made, rows, s.mixing, a + batch_ops::at(s.width, s.mixing));
      add_rows(team, k.last, k.made, rows, s.units, b + batch_ops::at(s.width, s.units));
      multiply(team, {k.weights, k.made, 1}, rows, s.mixing, transposed, s.hidden, s.hidden,
               {nullptr, 0}, k.dt, k.wide);
      multiply(team, {k.last, k.made, 1}, rows, s.embed,
               transposed + batch_ops::at(s.mixing, s.hidden), s.hidden, s.hidden, {nullptr, 0},
               k.dt + s.w_at, k.wide);
      team.sync();
      for_entries(team, rows, 2 * s.hidden, [&](int r, int n) {
        const size_t at = batch_ops::at(r, k.wide) + static_cast<size_t>(n);
        if (!(k.t[at] > Real(0))) k.dt[at] = Real(0);
      });
      team.sync();
    }
    multiply(team, {k.state, 1, k.state_pitch}, s.state, rows, k.dt, k.wide, s.t, {partial, s.t},
             partial, s.t);
  }

  /// The second layers' parts of a row.
  CUMARL_HD static void split(const Shape& s, Work& k) {
    k.last = k.weights + s.mixing;
    k.dweights = s.deep ? k.weights : k.dt;
    k.dlast = s.deep ? k.last : k.dt + s.w_at;
  }

  template <class Team>
  CUMARL_HD static void multiply(const Team& team, batch_ops::Factor<Real> a, int rows, int depth,
                                 const Real* b, int b_pitch, int columns,
                                 batch_ops::Start<Real> start, Real* out, int out_pitch) {
    Products::product(team, a, rows, depth, b, b_pitch, columns, start, out, out_pitch);
  }

  /// g += the sum over rows of x, row by row.
  template <class Team>
  CUMARL_HD static void add_rows(const Team& team, const Real* x, int pitch, int rows, int columns,
                                 Real* g) {
    for (int n = team.rank(); n < columns; n += Team::size()) {
      Real sum = g[n];
      for (int r = 0; r < rows; ++r) sum += x[batch_ops::at(r, pitch) + static_cast<size_t>(n)];
      g[n] = sum;
    }
  }

  CUMARL_HD static void rectify_entry(Real& x) { x = x > Real(0) ? x : Real(0); }

  /// sum_columns of vector_ops.hpp by the calling lane alone.
  template <class F>
  CUMARL_HD static Real tree(int n, F f) {
    Real part[kColumns] = {};
    for (int k = 0; k < n; k += kColumns) {
      for (int j = 0; j < kColumns; ++j) part[j] += f(k + j);
    }
    for (int m = 1; m < kColumns; m *= 2) {
      for (int j = 0; j < kColumns; j += 2 * m) part[j] += part[j + m];
    }
    return part[0];
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
