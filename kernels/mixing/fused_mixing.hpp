/// \file
/// QMIX's mixing network on a large batch, forward and backward in one pass over it: joint values,
/// their slopes in the utilities, and the gradient of all hypernetworks. What the hypernetworks
/// make of a sample stays in a team's scratch.
///
/// Work is cut by the number of samples alone. A chunk is a stretch of up to kChunks equal ones; a
/// team goes through a chunk tile by tile and adds up its gradient row by row; the chunks'
/// gradients are added in one binary tree. So results depend neither on how many teams there are,
/// nor on their size, nor on the tile. Parameters, their layout and the mathematics are those of
/// MonotonicMixer (qmix.hpp), which is what one lane of a CPU runs on each tile.
///
/// In order: `prepare` (once for new parameters), `chunk` for every chunk (in any order, by any
/// teams), `reduce`. fused_mixing.cuh launches them on a GPU; `run` does all of it with one team.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernels/core/launch.hpp"
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
  /// [rows][kColumns] d loss / d q; columns of no agent stay as they are. Null: totals alone are
  /// asked for, with any `slope`; no gradient is written.
  Real* dq;
};

/// Products as batch_ops.hpp has them: strict multiply and add, the same bits for every team.
struct StrictProducts {
  static constexpr bool kRounds = false;
  /// What a factor is rounded to, by whoever writes it.
  template <class Real>
  CUMARL_HD static CUMARL_INLINE Real factor(Real x) {
    return x;
  }

  /// batch_ops::product for teams of any size, without the barrier behind it; a lane computes
  /// blocks of rows of a column. Lanes have the same entries whenever rows and columns are the
  /// same.
  template <class Real, class Team>
  CUMARL_HD static void product(const Team& team, batch_ops::Factor<Real> a, int rows, int depth,
                                const Real* b, int b_pitch, int columns,
                                batch_ops::Start<Real> start, Real* out, int out_pitch) {
    constexpr int kRows = sizeof(Real) == 4 ? 8 : 4;  // what a GPU's lane has registers for
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
        for (int r = 0; r < kRows; ++r) {
          sum[r] += left[batch_ops::at(r < height ? r : 0, a.row)] * *right;
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

/// Products of factors that were rounded to TF32 when they were written, summed in float32: what
/// tensor cores compute, but for the order of their sums. Of a product, |error| <= (2^-10 + 2^-22 +
/// K 2^-23) sum of |a b| over its K terms: 2^-11 for each factor, and one rounding of float32 a
/// term.
struct RoundedProducts : StrictProducts {
  static constexpr bool kRounds = true;
  CUMARL_HD static CUMARL_INLINE float factor(float x) { return round_tf32(x); }
};

/// The products of RoundedProducts by tensor cores: a warp computes tiles of 16 x 8 entries by
/// mma.m16n8k8, which adds 8 terms at a time in an order of its own, so that results agree with
/// RoundedProducts within the bound there, not to the bit. They are the same in every run. On a CPU
/// one lane does the work of a warp, with the same tiles and fragments; GPUs before compute
/// capability 8.0, which have no such instruction, compute the strict products of rounded factors.
struct TensorProducts {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  static constexpr int kHeld = 1;  ///< lanes of a warp whose fragments the calling lane holds
  static constexpr int kWarp = 32;
#else
  static constexpr int kHeld = 32;
  static constexpr int kWarp = 1;
#endif
  static constexpr bool kRounds = true;

  CUMARL_HD static CUMARL_INLINE float factor(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    uint32_t bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return std::bit_cast<float>(bits);
#else
    return round_tf32(x);
#endif
  }

  /// Pre: columns is a multiple of 16; on a GPU the team consists of whole warps. No barrier
  /// behind; lanes have the same entries whenever rows and columns are the same.
  template <class Team>
  CUMARL_HD static void product(const Team& team, batch_ops::Factor<float> a, int rows, int depth,
                                const float* b, int b_pitch, int columns,
                                batch_ops::Start<float> start, float* out, int out_pitch) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
    StrictProducts::product(team, a, rows, depth, b, b_pitch, columns, start, out, out_pitch);
#else
    static_assert(Team::size() % kWarp == 0);
    const int warps = Team::size() / kWarp;
    const int whole = depth % 8 == 0 ? rows / 32 * 32 : 0;
    if (whole / 32 * (columns / 16) < warps) {
      tiles<1, 1, false>(team, a, rows, depth, b, b_pitch, columns, start, out, out_pitch);
      return;
    }
    tiles<2, 2, true>(team, a, whole, depth, b, b_pitch, columns, start, out, out_pitch);
    if (whole == rows) return;
    a.data += batch_ops::at(whole, a.row);
    if (start.data != nullptr) start.data += batch_ops::at(whole, start.pitch);
    tiles<1, 1, false>(team, a, rows - whole, depth, b, b_pitch, columns, start,
                       out + batch_ops::at(whole, out_pitch), out_pitch);
#endif
  }

 private:
  /// Blocks of kM x kN tiles, one after another by each warp. kWhole: nothing hangs over.
  /// Source of the fragments' places: PTX ISA 8.0, section 9.7.13.4.5 (m16n8k8, .tf32).
  template <int kM, int kN, bool kWhole, class Team>
  CUMARL_HD static void tiles(const Team& team, batch_ops::Factor<float> a, int rows, int depth,
                              const float* b, int b_pitch, int columns,
                              batch_ops::Start<float> start, float* out, int out_pitch) {
    const int high = (rows + 16 * kM - 1) / (16 * kM);
    const int blocks = high * (columns / (8 * kN));
    for (int k = team.rank() / kWarp; k < blocks; k += Team::size() / kWarp) {
      const int m = k % high * 16 * kM;
      const int n = k / high * 8 * kN;
      float sum[kM][kN][kHeld][4];
      for (int i = 0; i < kM; ++i) {
        for (int j = 0; j < kN; ++j) {
          for_fragment(team, [&](int held, int group, int four) {
            for (int c = 0; c < 4; ++c) {
              const int row = m + 16 * i + group + c / 2 * 8;
              const int column = n + 8 * j + 2 * four + c % 2;
              sum[i][j][held][c] =
                  start.data != nullptr && (kWhole || row < rows)
                      ? start.data[batch_ops::at(row, start.pitch) + static_cast<size_t>(column)]
                      : 0.0F;
            }
          });
        }
      }
#if defined(__CUDA_ARCH__)
#pragma unroll(kWhole ? 4 : 1)  // loads of the next steps under way
#endif
      for (int d = 0; d < depth; d += 8) {
        uint32_t left[kM][kHeld][4];
        uint32_t right[kN][kHeld][2];
        for_fragment(team, [&](int held, int group, int four) {
          for (int j = 0; j < kN; ++j) {
            for (int c = 0; c < 2; ++c) {
              const int inner = d + four + 4 * c;
              right[j][held][c] =
                  kWhole || inner < depth
                      ? std::bit_cast<uint32_t>(b[batch_ops::at(inner, b_pitch) +
                                                  static_cast<size_t>(n + 8 * j + group)])
                      : 0u;
            }
          }
          for (int i = 0; i < kM; ++i) {
            for (int c = 0; c < 4; ++c) {
              const int row = m + 16 * i + group + c % 2 * 8;
              const int inner = d + four + c / 2 * 4;
              left[i][held][c] =
                  kWhole || (row < rows && inner < depth)
                      ? std::bit_cast<uint32_t>(
                            a.data[batch_ops::at(row, a.row) + batch_ops::at(inner, a.step)])
                      : 0u;
            }
          }
        });
        for (int i = 0; i < kM; ++i) {
          for (int j = 0; j < kN; ++j) multiply_add(left[i], right[j], sum[i][j]);
        }
      }
      for (int i = 0; i < kM; ++i) {
        for (int j = 0; j < kN; ++j) {
          for_fragment(team, [&](int held, int group, int four) {
            for (int c = 0; c < 4; ++c) {
              const int row = m + 16 * i + group + c / 2 * 8;
              const int column = n + 8 * j + 2 * four + c % 2;
              if (kWhole || row < rows) {
                out[batch_ops::at(row, out_pitch) + static_cast<size_t>(column)] =
                    sum[i][j][held][c];
              }
            }
          });
        }
      }
    }
  }

  /// Calls f(held, group, four) for the lanes 4 * group + four of a warp whose fragments the
  /// calling lane holds.
  template <class Team, class F>
  CUMARL_HD static CUMARL_INLINE void for_fragment(const Team& team, F f) {
    if constexpr (kHeld == 1) {
      f(0, team.rank() % 32 / 4, team.rank() % 4);
    } else {
      for (int lane = 0; lane < kHeld; ++lane) f(lane, lane / 4, lane % 4);
    }
  }

  /// sum += left right for a tile.
  CUMARL_HD static CUMARL_INLINE void multiply_add(const uint32_t (&left)[kHeld][4],
                                                   const uint32_t (&right)[kHeld][2],
                                                   float (&sum)[kHeld][4]) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0][0]), "+f"(sum[0][1]), "+f"(sum[0][2]), "+f"(sum[0][3])
        : "r"(left[0][0]), "r"(left[0][1]), "r"(left[0][2]), "r"(left[0][3]), "r"(right[0][0]),
          "r"(right[0][1]));
#else
    // matrices of the tile, from the registers that the instruction takes them from
    for (int row = 0; row < 16; ++row) {
      for (int column = 0; column < 8; ++column) {
        float& entry = sum[row % 8 * 4 + column / 2][row / 8 * 2 + column % 2];
        for (int k = 0; k < 8; ++k) {
          entry += std::bit_cast<float>(left[row % 8 * 4 + k % 4][row / 8 + k / 4 * 2]) *
                   std::bit_cast<float>(right[column * 4 + k % 4][k / 4]);
        }
      }
    }
#endif
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
  CUMARL_HD static size_t prepared(const Shape& s) {
    return Mix::prepared(s) + (Products::kRounds ? parameters(s) : 0);
  }
  template <class Team>
  CUMARL_HD static size_t scratch(const Shape& s, int tile) {
    const Places p = places<Team>(s, tile);
    return p.end;
  }

  /// Transposes the second layers for `chunk`, rounds all. Entry k of `prepared(s)` for k = first,
  /// first + stride, ...; any number of lanes may share it.
  CUMARL_HD static void prepare(const Shape& s, const Real* w, Real* out, uint64_t first,
                                uint64_t stride) {
    const auto hidden = static_cast<uint64_t>(s.hidden);
    const Real* const last = w + Mix::final_at(s);
    for (uint64_t k = first; k < prepared(s); k += stride) {
      if (k >= Mix::prepared(s)) {
        out[k] = Products::factor(w[k - Mix::prepared(s)]);
        continue;
      }
      const auto n = static_cast<int>(k / hidden);
      const auto m = static_cast<int>(k % hidden);
      const Real* const from = n < s.mixing ? w + s.deep_at + batch_ops::at(m, s.mixing) + n
                                            : last + batch_ops::at(m, s.units) + (n - s.mixing);
      out[k] = m < s.width ? Products::factor(*from) : Real(0);
    }
  }

  /// Chunk `c`: its rows' total and dq, its share of the gradient (partial [parameters], written)
  /// and of the loss (*loss; 0 where slopes are given). All lanes of a team call it.
  /// Pre: tile > 0; scratch has room for scratch<Team>(s, tile) numbers, aligned to 64 bytes;
  /// `transposed` is what `prepare` made.
  template <class Team>
  CUMARL_HD static void chunk(const Team& team, const Shape& s, const Real* w,
                              const Real* transposed, const Batch& in, int c, int tile,
                              Real* scratch, Real* partial, Real* loss) {
    const Work k = make_work(places<Team>(s, tile), scratch);
    const auto n = static_cast<int>(parameters(s));
    const bool learns = in.dq != nullptr;
    for (int j = team.rank(); learns && j < n; j += Team::size()) partial[j] = Real(0);
    const int64_t each = chunk_rows(in.rows);
    const int64_t begin = c * each;
    const int64_t end = begin + each < in.rows ? begin + each : in.rows;
    Real sum = 0;
    for (int64_t row = begin; row < end; row += tile) {
      const int rows = end - row < tile ? static_cast<int>(end - row) : tile;
      if (!gather(team, s, in, row, rows, k)) continue;
      values(team, s, w, transposed, rows, k);
      sum = judge(team, in, row, rows, k, sum);
      if (!learns) continue;
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

  /// The sum of `count` numbers (or vectors of neighbouring ones), `pitch` numbers apart: the
  /// binary tree over kChunks leaves, of which those behind `count` are 0.
  template <class Some = Real>
  CUMARL_HD static Some reduced(const Real* parts, size_t pitch, int count) {
    constexpr int kGroup = 16;
    static_assert(kChunks == 8 * kGroup);
    Some one{}, two{}, four{};  // groups that wait for their neighbours
    Some sum{};
#if defined(__CUDA_ARCH__)
#pragma unroll 1
#endif
    for (int g = 0; g < 8; ++g) {
      Some leaf[kGroup];
      for (int j = 0; j < kGroup; ++j) {
        const int c = g * kGroup + j;
        leaf[j] = c < count ? *reinterpret_cast<const Some*>(parts + static_cast<size_t>(c) * pitch)
                            : Some{};
      }
      for (int m = 1; m < kGroup; m *= 2) {
        for (int j = 0; j < kGroup; j += 2 * m) leaf[j] += leaf[j + m];
      }
      sum = leaf[0];
      if ((g & 1) == 0) {
        one = sum;
        continue;
      }
      sum = one + sum;
      if ((g & 2) == 0) {
        two = sum;
        continue;
      }
      sum = two + sum;
      if ((g & 4) == 0) {
        four = sum;
      } else {
        sum = four + sum;
      }
    }
    return sum;
  }

  /// gradient [parameters] and *loss of the whole batch from partials [chunks][parameters] and
  /// losses [chunks]: the entries from `begin` to before `end`, and the loss with entry 0.
  CUMARL_HD static void reduce(const Shape& s, int64_t rows, const Real* partials,
                               const Real* losses, Real* gradient, Real* loss, uint64_t begin,
                               uint64_t end) {
    const size_t n = parameters(s);
    const int count = chunks(rows);
    uint64_t k = begin;
#if !defined(__CUDACC__)
    using In = batch_ops::Registers<Real>;
    using Vector = typename In::Vector;
    for (; k % In::kLanes == 0 && k + In::kLanes <= end; k += In::kLanes) {
      *reinterpret_cast<Vector*>(gradient + k) = reduced<Vector>(partials + k, n, count);
    }
#endif
    for (; k < end; ++k) gradient[k] = reduced(partials + k, n, count);
    if (begin == 0) *loss = reduced(losses, 1, count);
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
    const uint64_t n = parameters(s);
    reduce(s, in.rows, partials, losses, gradient, loss, rank * n / size, (rank + 1) * n / size);
    team.sync();
  }

 private:
  /// One lane with strict products takes MonotonicMixer's vectors.
  template <class Team>
  static constexpr bool kTuned = Team::size() == 1 && std::is_same_v<Products, StrictProducts>;

  /// Where a tile's matrices are in scratch, in numbers, and their pitches. In the tuned way those
  /// of MonotonicMixer; else 4 numbers longer than a multiple of 16, so that the rows that the
  /// lanes of a warp read together begin in different banks of shared memory.
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
    if constexpr (Team::size() == 1) {
      for (int r = 0; r < rows; ++r) {
        for (int n = 0; n < columns; ++n) f(r, n);
      }
    } else {
      for (int k = team.rank(); k < rows * columns; k += Team::size()) f(k / columns, k % columns);
    }
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
        if (in.dq != nullptr) in.dq[(row + r) * kColumns + i] = Real(0);
        if (i == 0) in.total[row + r] = Real(0);
      });
      return false;
    }
    const Real* const state = in.state + row * s.state_pitch;
    if constexpr (kTuned<Team>) {
      for (int r = 0; r < rows; ++r) {
        const bool kept = k.share[r] != Real(0);
        const Real* const from = state + batch_ops::at(r, s.state_pitch);
        Real* const to = k.state + batch_ops::at(r, s.state_pitch);
        const Real* const q = in.q + (row + r) * kColumns;
        each_column(team, s.state_pitch, [&](int n) { to[n] = kept ? from[n] : Real(0); });
        for (int i = 0; i < s.agents; ++i) k.q[r * kColumns + i] = kept ? q[i] : Real(0);
      }
    } else {
      for_entries(team, rows, s.state_pitch, [&](int r, int n) {
        k.state[batch_ops::at(r, k.state_pitch) + static_cast<size_t>(n)] =
            k.share[r] != Real(0)
                ? Products::factor(state[batch_ops::at(r, s.state_pitch) + static_cast<size_t>(n)])
                : Real(0);
      });
      for_entries(team, rows, s.agents, [&](int r, int i) {
        k.q[r * kColumns + i] = k.share[r] != Real(0) ? in.q[(row + r) * kColumns + i] : Real(0);
      });
    }
    team.sync();
    return true;
  }

  /// The tile's joint values, into k.total; the barrier behind is the caller's.
  template <class Team>
  CUMARL_HD static void values(const Team& team, const Shape& s, const Real* w,
                               const Real* transposed, int rows, Work k) {
    if constexpr (kTuned<Team>) {
      Mix::forward(team, s, w, MixRows<Real>{rows, k.state, k.q, nullptr}, k.work, k.total);
    } else {
      split(s, k);
      const Real* const factors = Products::kRounds ? transposed + Mix::prepared(s) : w;
      multiply(team, {k.state, k.state_pitch, 1}, rows, s.state, factors, s.t, s.t, {nullptr, 0},
               k.t, k.wide);
      team.sync();
      for_entries(team, rows, s.units, [&](int r, int e) {
        Real& x = k.t[batch_ops::at(r, k.wide) + static_cast<size_t>(s.v_at + e)];
        x = x > Real(0) ? x : Real(0);
      });
      if (s.deep) {
        for_entries(team, rows, 2 * s.hidden, [&](int r, int n) {
          Real& x = k.t[batch_ops::at(r, k.wide) + static_cast<size_t>(n)];
          x = x > Real(0) ? Products::factor(x) : Real(0);
        });
        team.sync();
        const Real* const a = w + s.deep_at;
        multiply(team, {k.t, k.wide, 1}, rows, s.width, factors + s.deep_at, s.mixing, s.mixing,
                 {a + batch_ops::at(s.width, s.mixing), 0}, k.weights, k.made);
        const Real* const b = w + Mix::final_at(s);
        multiply(team, {k.t + s.w_at, k.wide, 1}, rows, s.width, factors + Mix::final_at(s),
                 s.units, s.units, {b + batch_ops::at(s.width, s.units), 0}, k.last, k.made);
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
      dt[s.b_at + e] = Products::factor(d);
      dt[s.v_at + e] = hidden > Real(0) ? Products::factor(error * v[e]) : Real(0);
      k.dlast[batch_ops::at(r, k.made) + static_cast<size_t>(e)] =
          Products::factor(Mix::with_sign(error * h, last));
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
      for (int e = 0; e < s.units; ++e) {
        dmade[e] = Products::factor(Mix::with_sign(scale * d[e], made[e]));
      }
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
        k.dt[at] = k.t[at] > Real(0) ? Products::factor(k.dt[at]) : Real(0);
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

/// The three steps of a batch as a launch calls them (launch.hpp, launch.cuh).
template <class Real, class Products>
struct MixingSteps {
  using Fused = FusedMixing<Real, Products>;
  typename Fused::Shape shape;
  const Real* weights;
  MixingBatch<Real> batch;
  int tile;
  Real* work;  ///< [Fused::workspace(shape, batch.rows)]
  Real* gradient;
  Real* loss;

  /// Item k of `lanes`.
  struct Prepare;
  struct Reduce;
  /// A chunk by a team; scratch of scratch_bytes.
  struct Chunk;
};

template <class Real, class Products>
struct MixingSteps<Real, Products>::Prepare {
  MixingSteps all;
  uint64_t lanes;
  CUMARL_HD void operator()(uint64_t k) const {
    Fused::prepare(all.shape, all.weights, all.work, k, lanes);
  }
};

template <class Real, class Products>
struct MixingSteps<Real, Products>::Chunk {
  MixingSteps all;
  template <class Team>
  CUMARL_HD void operator()(const Team& team, uint64_t c, std::byte* scratch) const {
    const int64_t rows = all.batch.rows;
    Fused::chunk(team, all.shape, all.weights, all.work, all.batch, static_cast<int>(c), all.tile,
                 reinterpret_cast<Real*>(scratch),
                 Fused::partials_of(all.shape, all.work) + c * Fused::parameters(all.shape),
                 Fused::losses_of(all.shape, rows, all.work) + c);
  }
};

template <class Real, class Products>
struct MixingSteps<Real, Products>::Reduce {
  MixingSteps all;
  uint64_t lanes;
  CUMARL_HD void operator()(uint64_t k) const {
    const uint64_t n = Fused::parameters(all.shape);
    const int64_t rows = all.batch.rows;
    Fused::reduce(all.shape, rows, Fused::partials_of(all.shape, all.work),
                  Fused::losses_of(all.shape, rows, all.work), all.gradient, all.loss,
                  k * n / lanes, (k + 1) * n / lanes);
  }
};

/// FusedMixing on the backend's threads: gradient [parameters] and *loss are written.
/// Pre: in.rows > 0; work has room for workspace(shape, in.rows) numbers.
template <class Products, class Real>
void launch_fused_mixing(const CpuBackend& backend,
                         const typename MonotonicMixer<Real>::Shape& shape, const Real* weights,
                         const MixingBatch<Real>& in, Real* work, Real* gradient, Real* loss) {
  using Steps = MixingSteps<Real, Products>;
  using Fused = typename Steps::Fused;
  constexpr int kTile = 32;
  const Steps all{shape, weights, in, kTile, work, gradient, loss};
  const auto threads = static_cast<uint64_t>(backend.threads());
  launch(backend, threads, typename Steps::Prepare{all, threads});
  launch_teams(backend, static_cast<uint64_t>(Fused::chunks(in.rows)),
               Fused::template scratch<SerialTeam>(shape, kTile) * sizeof(Real),
               typename Steps::Chunk{all});
  launch(backend, threads, typename Steps::Reduce{all, threads});
}

}  // namespace cumarl::inline CUMARL_VARIANT
