/// \file
/// The tuned CPU loop of two Q-learners in an endless 2x2 game with at most one period of memory:
/// 16 runs in lock step, one in each lane of the AVX-512 registers. The portable Lane is its oracle:
/// same memory, same bits (tests/small_lane_test.cpp).
#pragma once

#include <vector>

#include "envs/repeated_game.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/rollout/cpu_rollout.hpp"
#include "kernels/tabular/q_learning.hpp"

#if CUMARL_AVX512

namespace cumarl::inline CUMARL_VARIANT {

/// One table entry of each of 16 runs, with the arithmetic of kernels/tabular/table.hpp.
template <class Table>
struct Entries16;

template <>
struct Entries16<Float32> {
  using Vec = __m512;
  static CUMARL_INLINE Vec load(const float* at) { return _mm512_load_ps(at); }
  static CUMARL_INLINE void store(float* at, Vec v) { _mm512_store_ps(at, v); }
  static CUMARL_INLINE Vec all(float value) { return _mm512_set1_ps(value); }
  static CUMARL_INLINE Vec blend(__mmask16 where, Vec no, Vec yes) {
    return _mm512_mask_blend_ps(where, no, yes);
  }
  static CUMARL_INLINE Vec best(Vec x, Vec y) { return _mm512_max_ps(x, y); }
  /// Whether action 1, worth y, beats action 0.
  static CUMARL_INLINE __mmask16 second(Vec x, Vec y) {
    return _mm512_cmp_ps_mask(y, x, _CMP_GT_OQ);
  }
  static float reward(const Float32::Codec&, float payoff) { return payoff; }
  /// FloatTable's error and moved. What moved adds, zero, changes nothing here: a sum is -0 only if
  /// both terms are, and no entry is, since encode keeps -0 out.
  static CUMARL_INLINE Vec moved(Vec was, Vec alpha, Vec gamma, Vec reward, Vec next) {
    const Vec error = _mm512_sub_ps(_mm512_add_ps(reward, _mm512_mul_ps(gamma, next)), was);
    return _mm512_add_ps(was, _mm512_mul_ps(alpha, error));
  }
};

template <>
struct Entries16<Fixed28> {
  using Vec = __m512i;
  static CUMARL_INLINE Vec load(const uint32_t* at) { return _mm512_load_si512(at); }
  static CUMARL_INLINE void store(uint32_t* at, Vec v) { _mm512_store_si512(at, v); }
  static CUMARL_INLINE Vec all(uint32_t value) {
    return _mm512_set1_epi32(static_cast<int>(value));
  }
  static CUMARL_INLINE Vec blend(__mmask16 where, Vec no, Vec yes) {
    return _mm512_mask_blend_epi32(where, no, yes);
  }
  static CUMARL_INLINE Vec best(Vec x, Vec y) { return _mm512_min_epu32(x, y); }
  static CUMARL_INLINE __mmask16 second(Vec x, Vec y) { return _mm512_cmplt_epu32_mask(y, x); }
  static uint32_t reward(const Fixed28::Codec& codec, float payoff) {
    return static_cast<uint32_t>(Fixed28::reward_cost(codec, payoff));
  }
  /// Fixed28's error, with the sign of the cost, and moved; the action's bits stay.
  static CUMARL_INLINE Vec moved(Vec was, Vec alpha, Vec gamma, Vec reward, Vec next) {
    const Vec following = upper(_mm512_srli_epi32(next, 4), gamma, _mm512_setzero_si512());
    const Vec error =
        _mm512_sub_epi32(_mm512_add_epi32(reward, following), _mm512_srli_epi32(was, 4));
    // alpha is unsigned: the product of a negative error's bits is 2^32 alpha too large
    const Vec excess = _mm512_and_si512(_mm512_srai_epi32(error, 31), alpha);
    const Vec product = upper(error, alpha, _mm512_set1_epi64(int64_t{1} << 31));
    return _mm512_add_epi32(was, _mm512_slli_epi32(_mm512_sub_epi32(product, excess), 4));
  }

 private:
  /// (x * y + more) >> 32.
  static CUMARL_INLINE Vec upper(Vec x, Vec y, Vec more) {
    const Vec even = _mm512_add_epi64(_mm512_mul_epu32(x, y), more);
    const Vec odd = _mm512_add_epi64(
        _mm512_mul_epu32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(y, 32)), more);
    return _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 32), odd);
  }
};

/// Up to 16 runs of one cell, at the same step and with the same upper half of their ids. Each entry of
/// the tables, of all runs, is one register; an action is a mask, so that the masks of both actions
/// choose payoffs, next row and bootstrap value, and no step has a branch. Lanes without a run play
/// along and are not saved. As runs converge, their lanes idle until the group is down to one run.
template <class Stage, class Table>
class SmallGroup {
  using Env = RepeatedGame<Stage>;
  using L = QLearning<Table, Shape<2, 2>>;
  using CellT = Cell<Env, L>;
  using StateT = RunState<Env>;
  using Entry = typename Table::Entry;
  using E = Entries16<Table>;
  using Vec = typename E::Vec;
  static_assert(row_stride(2) == 2 && !can_probe<Env, L>());
  static constexpr int kRuns = 16;
  static constexpr int kRows = 4;
  static constexpr int kRounds = 10;                   ///< of Philox
  static constexpr int kChunk = Exploration::kPeriod;  ///< chunks do not cross its multiples

 public:
  /// Whether every cell is an endless, deterministic 2x2 game with memory 0 or 1 and epsilon-greedy
  /// agents.
  static bool applies(const Rollout& r) {
    for (uint32_t c = 0; c < r.cell_count; ++c) {
      const auto& cell = *reinterpret_cast<const CellT*>(r.cells + c * r.layout.cell_bytes);
      if (cell.agents != 2 || cell.env.memory > 1 || cell.env.horizon != 0 ||
          cell.env.payoffs == nullptr) {
        return false;
      }
      for (int i = 0; i < 2; ++i) {
        if (cell.learner[i].exploration.kind != Exploration::kEpsilonGreedy) return false;
      }
    }
    return true;
  }

  /// Advances all live runs. A group costs the same however few runs it has, so neighbours in the
  /// list of live runs share one wherever they can, unless there is a thread for each.
  static void advance(const CpuBackend& backend, const Rollout& r) {
    const uint32_t most = r.live_count <= static_cast<uint32_t>(backend.threads()) ? 1 : kRuns;
    std::vector<uint32_t> starts;
    for (uint32_t i = 0; i < r.live_count; ++i) {
      if (starts.empty() || i - starts.back() == most ||
          !alike(r, r.live[starts.back()], r.live[i])) {
        starts.push_back(i);
      }
    }
    starts.push_back(r.live_count);
    launch(backend, starts.size() - 1, [&](uint64_t g) {
      if (r.interrupt->load(std::memory_order_relaxed)) return;
      SmallGroup group(r, r.live + starts[g], static_cast<int>(starts[g + 1] - starts[g]));
      group.run();
    });
  }

 private:
  struct Decisions {
    __mmask16 explores[2];
    __mmask16 forced[2];  ///< explores with action 1
  };

  static bool alike(const Rollout& r, uint32_t slot, uint32_t other) {
    const Slot a = r.slots[slot];
    const Slot b = r.slots[other];
    return a.cell == b.cell && a.run >> 32 == b.run >> 32 &&
           state(r, slot)->t == state(r, other)->t;
  }
  static StateT* state(const Rollout& r, uint32_t slot) {
    return reinterpret_cast<StateT*>(r.states + slot * r.layout.state_bytes);
  }

  SmallGroup(const Rollout& r, const uint32_t* slots, int count)
      : r_(r),
        slots_(slots),
        cell_(
            *reinterpret_cast<const CellT*>(r.cells + r.slots[*slots].cell * r.layout.cell_bytes)),
        t_(state(r, *slots)->t),
        rows_(cell_.env.memory == 0 ? 1 : kRows) {
    end_ = t_ + r.budget < t_ ? ~uint64_t{0} : t_ + r.budget;
    if (end_ > cell_.stop.max_steps) end_ = cell_.stop.max_steps;
    run_upper_ = static_cast<uint32_t>(r.slots[*slots].run >> 32);
    auto k0 = static_cast<uint32_t>(r.seed);
    auto k1 = static_cast<uint32_t>(r.seed >> 32);
    for (int round = 0; round < kRounds; ++round) {
      key_[round][0] = k0;
      key_[round][1] = k1;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 4; ++j) {
        reward_[i][j] = E::reward(cell_.learner[i].codec, cell_.env.payoffs[2 * j + i]);
      }
    }
    for (int l = 0; l < kRuns; ++l) {
      const uint32_t slot = slots[l < count ? l : 0];
      const StateT& from = *state(r, slot);
      run_[l] = static_cast<uint32_t>(r.slots[slot].run);
      last_change_[l] = from.last_change;
      alive_ |= l < count ? 1u << l : 0u;
      for (int i = 0; i < 2; ++i) {
        const Entry* entries = table(slot, i);
        for (int h = 0; h < rows_; ++h) {
          for (int a = 0; a < 2; ++a) table_[i][h][a][l] = entries[2 * h + a];
        }
        came_[i] = static_cast<__mmask16>(came_[i] | (from.env.history >> (1 - i) & 1u) << l);
      }
    }
  }

  Entry* table(uint32_t slot, int i) const {
    return reinterpret_cast<Entry*>(r_.memory + slot * r_.layout.memory_bytes + cell_.table_at[i]);
  }

  void run() {
    uint64_t steps = room();
    while (steps > 0 && alive() > 1 && !r_.interrupt->load(std::memory_order_relaxed)) {
      decide(static_cast<int>(steps));
      if (rows_ == 1) {
        play<1>(static_cast<int>(steps));
      } else {
        play<kRows>(static_cast<int>(steps));
      }
      t_ += steps;
      r_.progress->fetch_add(steps * static_cast<uint64_t>(alive()), std::memory_order_relaxed);
      steps = room();
    }
    const RunStatus status =
        t_ >= cell_.stop.max_steps ? RunStatus::out_of_steps : RunStatus::running;
    for (int l = 0; l < kRuns; ++l) {
      if (alive_ >> l & 1u) save(l, status);
    }
    if (steps > 0 && alive() == 1) finish_alone(slots_[__builtin_ctz(alive_)]);
  }
  int alive() const { return __builtin_popcount(alive_); }

  /// One run by itself is faster in the portable lane.
  void finish_alone(uint32_t slot) const {
    Rollout rest = r_;
    rest.live = &slot;
    rest.live_count = 1;
    rest.budget = end_ - t_;
    std::atomic<uint32_t> next{0};
    advance_worker<Lane<Env, L, Shape<2, 2>, SerialTeam, CpuRolloutPolicy::kChunk>>(rest, next, 1);
  }

  /// Lets the runs go that have converged. Steps until one of the others could have, at most to the end
  /// of the chunk; 0: all have to leave.
  uint64_t room() {
    uint64_t steps = end_ - t_;
    if (const uint64_t window = cell_.stop.stable_periods; window > 0) {
      for (int l = 0; l < kRuns; ++l) {
        if (!(alive_ >> l & 1u)) continue;
        const uint64_t stable = t_ - last_change_[l];
        if (stable >= window) {
          save(l, RunStatus::converged);
          alive_ &= ~(1u << l);
        } else if (window - stable < steps) {
          steps = window - stable;
        }
      }
      if (alive_ == 0) return 0;
    }
    const uint64_t left = kChunk - t_ % kChunk;
    return left < steps ? left : steps;
  }

  void save(int l, RunStatus status) {
    const uint32_t slot = slots_[l];
    StateT& to = *state(r_, slot);
    uint32_t history = 0;
    for (int i = 0; i < 2; ++i) {
      Entry* entries = table(slot, i);
      for (int h = 0; h < rows_; ++h) {
        for (int a = 0; a < 2; ++a) entries[2 * h + a] = table_[i][h][a][l];
      }
      history = 2 * history + (came_[i] >> l & 1u);
    }
    to.env.history = history;
    to.t = t_;
    to.last_change = last_change_[l];
    to.status = status;
    r_.phase[slot] = phase_of(status);
  }

  /// The words below which agent i explores at steps first .. first+count of one period; as
  /// Exploration::decide has it: word / 2 < threshold.
  void thresholds(int i, uint64_t first, int count) {
    const Exploration& e = cell_.learner[i].exploration;
    const auto put = [&](int k, float epsilon) {
      constexpr float kBelow31 = 2147483520.0F;
      const float scaled = epsilon * 2147483648.0F;
      const auto threshold = static_cast<int32_t>(scaled < kBelow31 ? scaled : kBelow31);
      below_[i][k] = 2 * static_cast<uint32_t>(threshold);
    };
    if (e.schedule == Exploration::kLinear) {
      for (int k = 0; k < count; ++k) put(k, e.line(first + static_cast<uint64_t>(k)));
    } else {
      const float anchored = e.anchor(first / kChunk, memo_[i]);
      const float* power = e.power + first % kChunk;
      const auto floor = static_cast<float>(e.end);
      for (int k = 0; k < count; ++k) put(k, Exploration::continued(anchored, power[k], floor));
    }
  }

  /// Draws the exploration of the next `steps` steps, by whole Philox blocks of two steps: decisions_
  /// begins with the step of the first block, t_ or the one before.
  void decide(int steps) {
    const uint64_t first = t_ / 2;
    const int blocks = static_cast<int>((t_ + static_cast<uint64_t>(steps) + 1) / 2 - first);
    for (int i = 0; i < 2; ++i) thresholds(i, 2 * first, 2 * blocks);

    // Of round 0 and 1, what depends on the run does not depend on the block, and the reverse.
    // x0[h] .. x3[h] hold the words of the runs 2 l + h in their lower halves.
    const __m512i m0 = _mm512_set1_epi64(kMultiplier0);
    const __m512i m1 = _mm512_set1_epi64(kMultiplier1);
    const uint32_t c1 =
        static_cast<uint32_t>(first >> 32) << 16 | static_cast<uint32_t>(Stream::explore) << 12;
    const __m512i runs = _mm512_load_si512(run_);
    __m512i own0[2], own2[2], own3[2];
    for (int h = 0; h < 2; ++h) {
      const __m512i p1 = _mm512_mul_epu32(h == 0 ? runs : _mm512_srli_epi64(runs, 32), m1);
      const __m512i p0 =
          _mm512_mul_epu32(_mm512_xor_si512(_mm512_srli_epi64(p1, 32), all(c1 ^ key_[0][0])), m0);
      own0[h] = _mm512_xor_si512(p1, all(key_[1][0]));
      own2[h] = _mm512_xor_si512(_mm512_srli_epi64(p0, 32), all(key_[1][1]));
      own3[h] = p0;
    }
    for (int b = 0; b < blocks; ++b) {
      const uint64_t p0 = kMultiplier0 * static_cast<uint32_t>(first + static_cast<uint64_t>(b));
      const uint64_t p1 =
          kMultiplier1 * (static_cast<uint32_t>(p0 >> 32) ^ run_upper_ ^ key_[0][1]);
      __m512i x0[2], x1[2], x2[2], x3[2];
      for (int h = 0; h < 2; ++h) {
        x0[h] = _mm512_xor_si512(own0[h], all(static_cast<uint32_t>(p1 >> 32)));
        x1[h] = all(static_cast<uint32_t>(p1));
        x2[h] = _mm512_xor_si512(own2[h], all(static_cast<uint32_t>(p0)));
        x3[h] = own3[h];
      }
#pragma GCC unroll 8
      for (int round = 2; round < kRounds; ++round) {
        const __m512i k0 = all(key_[round][0]);
        const __m512i k1 = all(key_[round][1]);
        for (int h = 0; h < 2; ++h) {
          const __m512i q0 = _mm512_mul_epu32(x0[h], m0);
          const __m512i q1 = _mm512_mul_epu32(x2[h], m1);
          x0[h] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(q1, 32), x1[h], k0, 0x96);
          x2[h] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(q0, 32), x3[h], k1, 0x96);
          x1[h] = q1;
          x3[h] = q0;
        }
      }
      decide(2 * b, 0, together(x0));
      decide(2 * b, 1, together(x1));
      decide(2 * b + 1, 0, together(x2));
      decide(2 * b + 1, 1, together(x3));
    }
  }
  /// Agent i's decisions of step k from its words. Of two actions the upper bits of a word's multiple
  /// name that of its highest bit.
  CUMARL_INLINE void decide(int k, int i, __m512i words) {
    const __mmask16 explores = _mm512_cmplt_epu32_mask(words, all(below_[i][k]));
    const __m512i place = _mm512_mullo_epi32(words, all(0x9E3779B1u));
    decisions_[k].explores[i] = explores;
    decisions_[k].forced[i] = _mm512_mask_cmplt_epi32_mask(explores, place, _mm512_setzero_si512());
  }
  static CUMARL_INLINE __m512i all(uint32_t word) {
    return _mm512_set1_epi32(static_cast<int>(word));
  }
  /// Lower halves, of x[0] in the even lanes and of x[1] in the odd ones.
  static CUMARL_INLINE __m512i together(const __m512i* x) {
    return _mm512_mask_shuffle_epi32(x[0], 0xAAAA, x[1], static_cast<_MM_PERM_ENUM>(0xA0));
  }

  /// Of four, the one that two actions point to.
  static CUMARL_INLINE Vec choose(__mmask16 upper, __mmask16 lower, Vec v0, Vec v1, Vec v2,
                                  Vec v3) {
    return E::blend(upper, E::blend(lower, v0, v1), E::blend(lower, v2, v3));
  }

  /// Plays the steps that `decide` drew.
  template <int Rows>
  void play(int steps) {
    Vec q[2][Rows][2];
    Vec row[2][2];  // the rows of the present history
    Vec alpha[2], gamma[2], reward[2][4];
    __mmask16 greedy[2];
    __mmask16 at[2] = {came_[0], came_[1]};
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      alpha[i] = E::all(cell_.learner[i].alpha);
      gamma[i] = E::all(cell_.learner[i].codec.gamma);
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) reward[i][j] = E::all(reward_[i][j]);
#pragma GCC unroll 2
      for (int a = 0; a < 2; ++a) {
#pragma GCC unroll 4
        for (int h = 0; h < Rows; ++h) q[i][h][a] = E::load(table_[i][h][a]);
        if constexpr (Rows == 1) {
          row[i][a] = q[i][0][a];
        } else {
          row[i][a] = choose(at[0], at[1], q[i][0][a], q[i][1][a], q[i][2][a], q[i][3][a]);
        }
      }
      greedy[i] = E::second(row[i][0], row[i][1]);
    }
    __m512i changed_at = _mm512_set1_epi32(-1);
    __m512i now = _mm512_setzero_si512();
    const Decisions* decisions = decisions_ + t_ % 2;
    for (int k = 0; k < steps; ++k) {
      const Decisions& d = decisions[k];
      __mmask16 act[2];
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        act[i] = _kor_mask16(_kandn_mask16(d.explores[i], greedy[i]), d.forced[i]);
      }
      Vec next[2][2], left[2][2];
      __mmask16 changed[2];
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
#pragma GCC unroll 2
        for (int a = 0; a < 2; ++a) {
          if constexpr (Rows == 1) {
            next[i][a] = row[i][a];
          } else {
            next[i][a] = choose(act[0], act[1], q[i][0][a], q[i][1][a], q[i][2][a], q[i][3][a]);
          }
        }
        const Vec paid =
            choose(act[0], act[1], reward[i][0], reward[i][1], reward[i][2], reward[i][3]);
        const Vec was = E::blend(act[i], row[i][0], row[i][1]);
        const Vec moved = E::moved(was, alpha[i], gamma[i], paid, E::best(next[i][0], next[i][1]));
        left[i][0] = E::blend(act[i], moved, row[i][0]);
        left[i][1] = E::blend(act[i], row[i][1], moved);
        changed[i] = _kxor_mask16(E::second(left[i][0], left[i][1]), greedy[i]);
      }
      if constexpr (Rows > 1) {
        const __mmask16 same =
            _kand_mask16(_kxnor_mask16(at[0], act[0]), _kxnor_mask16(at[1], act[1]));
#pragma GCC unroll 4
        for (int h = 0; h < Rows; ++h) {
          const __mmask16 here = h == 0   ? _knot_mask16(_kor_mask16(at[0], at[1]))
                                 : h == 1 ? _kandn_mask16(at[0], at[1])
                                 : h == 2 ? _kandn_mask16(at[1], at[0])
                                          : _kand_mask16(at[0], at[1]);
#pragma GCC unroll 2
          for (int i = 0; i < 2; ++i) {
            q[i][h][0] = E::blend(here, q[i][h][0], left[i][0]);
            q[i][h][1] = E::blend(here, q[i][h][1], left[i][1]);
          }
        }
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
          row[i][0] = E::blend(same, next[i][0], left[i][0]);
          row[i][1] = E::blend(same, next[i][1], left[i][1]);
        }
      } else {
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i) {
          row[i][0] = left[i][0];
          row[i][1] = left[i][1];
        }
      }
      greedy[0] = E::second(row[0][0], row[0][1]);
      greedy[1] = E::second(row[1][0], row[1][1]);
      changed_at = _mm512_mask_mov_epi32(changed_at, _kor_mask16(changed[0], changed[1]), now);
      now = _mm512_add_epi32(now, _mm512_set1_epi32(1));
      at[0] = act[0];
      at[1] = act[1];
    }
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
#pragma GCC unroll 2
      for (int a = 0; a < 2; ++a) {
        if constexpr (Rows == 1) {
          E::store(table_[i][0][a], row[i][a]);
        } else {
#pragma GCC unroll 4
          for (int h = 0; h < Rows; ++h) E::store(table_[i][h][a], q[i][h][a]);
        }
      }
      if constexpr (Rows > 1) came_[i] = at[i];
    }
    alignas(64) int32_t changes[kRuns];
    _mm512_store_si512(changes, changed_at);
    for (int l = 0; l < kRuns; ++l) {
      if (changes[l] >= 0) last_change_[l] = t_ + static_cast<uint64_t>(changes[l]) + 1;
    }
  }

  static constexpr uint64_t kMultiplier0 = 0xD2511F53;
  static constexpr uint64_t kMultiplier1 = 0xCD9E8D57;

  const Rollout& r_;
  const uint32_t* slots_;
  const CellT& cell_;
  uint64_t t_;
  uint64_t end_;
  int rows_;            ///< of each table: histories
  uint32_t alive_ = 0;  ///< lanes with a run that has not ended
  uint32_t run_upper_;
  uint32_t key_[kRounds][2];
  Entry reward_[2][4];
  Exploration::Memo memo_[2];
  __mmask16 came_[2] = {0, 0};  ///< the history: the last actions, if they are observed
  uint64_t last_change_[kRuns];
  alignas(64) uint32_t run_[kRuns];  ///< lower halves of the ids
  alignas(64) Entry table_[2][kRows][2][kRuns];
  alignas(64) uint32_t below_[2][kChunk];
  Decisions decisions_[kChunk];
};

template <class Stage, class Table>
requires(std::is_same_v<Table, Float32> || std::is_same_v<Table, Fixed28>) struct CpuLane<
    RepeatedGame<Stage>, QLearning<Table, Shape<2, 2>>, Shape<2, 2>> {
  using type = SmallGroup<Stage, Table>;
  static bool applies(const Rollout& r) { return type::applies(r); }
};

}  // namespace cumarl::inline CUMARL_VARIANT
#endif
