/// \file
/// The tuned CPU lane of two fixed-point Q-learners in a game with one period of memory. The portable
/// Lane is its oracle: same memory, same bits (tests/pairs_test.cpp).
#pragma once

#include "envs/repeated_game.hpp"
#include "kernels/rollout/cpu_rollout.hpp"
#include "kernels/tabular/q_learning.hpp"

#if defined(__AVX2__)
#include <immintrin.h>

namespace cumarl::inline CUMARL_VARIANT {

/// While a run is in flight, the lane keeps the best word of every row beside the tables. So a step
/// reads the greedy actions and the values of the next history from one place, and reduces only the
/// rows it leaves, behind the update, where nothing waits for it. No step depends on whether the
/// history changed, so nothing is mispredicted.
///
/// Pairs hold agent 0 in the lower and agent 1 in the upper half. Pre: see applies().
template <class Stage, int Actions>
class PairLane : public Lane<RepeatedGame<Stage>, QLearning<Fixed28, Shape<2, Actions>>,
                             Shape<2, Actions>, SerialTeam, CpuRolloutPolicy::kChunk> {
  using Env = RepeatedGame<Stage>;
  using L = QLearning<Fixed28, Shape<2, Actions>>;
  using Base = Lane<Env, L, Shape<2, Actions>, SerialTeam, CpuRolloutPolicy::kChunk>;
  static_assert(row_stride(Actions) == 16);
  static constexpr int kChunk = CpuRolloutPolicy::kChunk;
  static constexpr uint64_t kActionBits = 0x0000000F'0000000F;
  static constexpr uint32_t kHistories = Actions * Actions;
  static constexpr uint32_t kTable1 = kHistories * 64;  ///< agent 1's table in the run's memory

 public:
  static constexpr bool kUnrolled = true;

  /// Whether every cell is an endless, deterministic game with memory 1 and epsilon-greedy agents
  /// whose learning rates are below 1/2.
  static bool applies(const Rollout& r) {
    for (uint32_t c = 0; c < r.cell_count; ++c) {
      const auto& cell =
          *reinterpret_cast<const typename Base::CellT*>(r.cells + c * r.layout.cell_bytes);
      if (cell.table_at[1] != kTable1 || cell.env.memory != 1 || cell.env.horizon != 0 ||
          cell.env.payoffs == nullptr || cell.stop.stable_periods == 0 || cell.agents != 2) {
        return false;
      }
      for (uint32_t i = 0; i < 2; ++i) {
        if (cell.learner[i].exploration.kind != Exploration::kEpsilonGreedy) return false;
        // the vector multiplication takes the rate as signed
        if (cell.learner[i].alpha >= uint32_t{1} << 31) return false;
      }
    }
    return true;
  }

  void load(const SerialTeam& team, const Rollout& r, uint32_t slot) {
    Base::load(team, r, slot);
    const auto& p0 = this->cell_->learner[0];
    const auto& p1 = this->cell_->learner[1];
    gamma_ = _mm_set_epi64x(p1.codec.gamma, p0.codec.gamma);
    alpha_ = _mm_set_epi64x(p1.alpha, p0.alpha);
    const float* payoffs = this->cell_->env.payoffs;
    for (uint32_t h = 0; h < kHistories; ++h) {
      for (uint32_t i = 0; i < 2; ++i) {
        const auto* words = reinterpret_cast<const uint32_t*>(row(h) + i * kTable1);
        best_[h][i] = simd::min(words, 16);
        cost_[h][i] = Fixed28::reward_cost(this->cell_->learner[i].codec, payoffs[2 * h + i]);
      }
    }
    here_ = this->env_.history;
  }

  CUMARL_INLINE void prepare(int steps) {
    Base::prepare(steps);
    for (int k = 0; k < kChunk; ++k) {
      keep_pair_[k] = (uint64_t{this->keep_[1][k]} << 32 | this->keep_[0][k]) & kActionBits;
      forced_pair_[k] = uint64_t{this->forced_[1][k]} << 32 | this->forced_[0][k];
    }
  }

  CUMARL_INLINE void step(int k) {
    const size_t here = here_;
    uint64_t actions;
    __builtin_memcpy(&actions, best_[here], 8);
    actions = (actions & keep_pair_[k]) | forced_pair_[k];
    const size_t a0 = static_cast<uint32_t>(actions);
    const size_t a1 = actions >> 32;
    const size_t next = a0 * Actions + a1;
    here_ = next;

    std::byte* const entry0 = row(here) + 4 * a0;
    std::byte* const entry1 = row(here) + kTable1 + 4 * a1;
    const __m128i was = _mm_insert_epi32(_mm_loadu_si32(entry0), get(entry1), 2);
    const __m128i cost = _mm_srli_epi32(was, 4);
    const __m128i following =
        _mm_srli_epi64(_mm_mul_epu32(_mm_srli_epi32(pair(best_[next]), 4), gamma_), 32);
    const __m128i error = _mm_sub_epi32(_mm_add_epi32(pair(cost_[next]), following), cost);
    const __m128i change = _mm_srli_epi64(
        _mm_add_epi64(_mm_mul_epi32(error, alpha_), _mm_set1_epi64x(int64_t{1} << 31)), 32);
    const __m128i moved = _mm_add_epi32(was, _mm_slli_epi32(change, 4));
    const __m128i now = _mm_shuffle_epi32(moved, 0x08);

    // the rows' other entries, from before the stores: a load right behind them would stall
    const __m128i others0 = others(row(here), a0);
    const __m128i others1 = others(row(here) + kTable1, a1);
    __m128i top =
        _mm_min_epu32(_mm_unpacklo_epi32(others0, others1), _mm_unpackhi_epi32(others0, others1));
    top = _mm_min_epu32(_mm_min_epu32(top, _mm_shuffle_epi32(top, 0x4E)), now);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(changes_ + k),
                     _mm_xor_si128(top, load(best_[here])));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(best_[here]), top);
    _mm_storeu_si32(entry0, now);
    put(entry1, _mm_extract_epi32(now, 1));
  }

  CUMARL_INLINE bool commit(int steps) {
    uint64_t any = 0;
    for (int k = 0; k < steps; ++k) any |= changes_[k];
    if ((any & kActionBits) != 0) {
      int last = steps - 1;
      while ((changes_[last] & kActionBits) == 0) --last;
      this->changed_at_ = last;
    }
    return Base::commit(steps);
  }

  SlotPhase store() {
    this->env_.history = static_cast<uint32_t>(here_);
    return Base::store();
  }

 private:
  /// For each action, all bits in its word.
  struct Masks {
    alignas(64) uint32_t at[Actions][16] = {};
    constexpr Masks() {
      for (int a = 0; a < Actions; ++a) at[a][a] = 0xFFFFFFFFu;
    }
  };
  static constexpr Masks kMasks{};

  /// Minima of the row's entries besides action `a`, over four words.
  static CUMARL_INLINE __m128i others(const std::byte* at, size_t a) {
    const auto* words = reinterpret_cast<const __m256i*>(at);
    const auto* masks = reinterpret_cast<const __m256i*>(kMasks.at[a]);
    const __m256i m = _mm256_min_epu32(
        _mm256_or_si256(_mm256_load_si256(words), _mm256_load_si256(masks)),
        _mm256_or_si256(_mm256_load_si256(words + 1), _mm256_load_si256(masks + 1)));
    return _mm_min_epu32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
  }
  static CUMARL_INLINE int get(const std::byte* at) {
    int word;
    __builtin_memcpy(&word, at, 4);
    return word;
  }
  static CUMARL_INLINE void put(std::byte* at, int word) { __builtin_memcpy(at, &word, 4); }
  static CUMARL_INLINE __m128i load(const void* two) {
    return _mm_loadl_epi64(static_cast<const __m128i*>(two));
  }
  static CUMARL_INLINE __m128i pair(const void* two) { return _mm_cvtepu32_epi64(load(two)); }
  CUMARL_INLINE std::byte* row(size_t history) const { return this->memory_ + history * 64; }

  __m128i gamma_, alpha_;
  size_t here_;                   ///< the present history
  uint32_t best_[kHistories][2];  ///< best word of each row, true to the tables
  int32_t cost_[kHistories][2];   ///< Fixed28::reward_cost of each joint action
  uint64_t keep_pair_[kChunk];    ///< Decision::keep of both agents
  uint64_t forced_pair_[kChunk];  ///< Decision::forced
  uint64_t changes_[kChunk];      ///< bits that a step changed in the best words it left
};

template <class Stage, int Actions>
requires(row_stride(Actions) ==
         16) struct CpuLane<RepeatedGame<Stage>, QLearning<Fixed28, Shape<2, Actions>>,
                            Shape<2, Actions>> {
  using type = PairLane<Stage, Actions>;
  static bool applies(const Rollout& r) { return type::applies(r); }
};

}  // namespace cumarl::inline CUMARL_VARIANT
#endif
