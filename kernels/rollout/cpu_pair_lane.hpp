/// \file
/// The tuned CPU lane of two fixed-point Q-learners in a game with one period of memory: both
/// agents' rows are reduced, and both entries moved, in one AVX2 register. The portable Lane is its
/// oracle: same memory, same bits (tests/parity_test.cpp).
#pragma once

#include "envs/repeated_game.hpp"
#include "kernels/rollout/cpu_rollout.hpp"
#include "kernels/tabular/q_learning.hpp"

#if defined(__AVX2__)
#include <immintrin.h>

namespace cumarl::inline CUMARL_VARIANT {

/// Agent 0's words stand in the lower, agent 1's in the upper 128 bits; a row of 16 words is two
/// registers an agent. Pre: see applies().
template <class Stage, int Actions>
class PairLane : public Lane<RepeatedGame<Stage>, QLearning<Fixed28, Shape<2, Actions>>,
                             Shape<2, Actions>, SerialTeam, CpuRolloutPolicy::kChunk> {
  using Env = RepeatedGame<Stage>;
  using L = QLearning<Fixed28, Shape<2, Actions>>;
  using Base = Lane<Env, L, Shape<2, Actions>, SerialTeam, CpuRolloutPolicy::kChunk>;
  static_assert(row_stride(Actions) == 16);
  static constexpr uint32_t kHistories = Actions * Actions;
  static constexpr uint32_t kTable1 = kHistories * 64;  ///< agent 1's table in the run's memory
  static constexpr uint32_t kSeen = 2 * kTable1;        ///< the greedy actions seen last

 public:
  static constexpr bool kUnrolled = true;

  /// Whether every cell is an endless, deterministic game with memory 1 and epsilon-greedy agents.
  static bool applies(const Rollout& r) {
    for (uint32_t c = 0; c < r.cell_count; ++c) {
      const auto& cell =
          *reinterpret_cast<const typename Base::CellT*>(r.cells + c * r.layout.cell_bytes);
      if (cell.table_at[1] != kTable1 || cell.watch_at != kSeen || cell.env.memory != 1 ||
          cell.env.horizon != 0 || cell.env.payoffs == nullptr || cell.stop.stable_periods == 0 ||
          cell.agents != 2) {
        return false;
      }
      for (int i = 0; i < 2; ++i) {
        if (cell.learner[i].exploration.kind != Exploration::kEpsilonGreedy) return false;
      }
    }
    return true;
  }

  void load(const SerialTeam& team, const Rollout& r, uint32_t slot) {
    Base::load(team, r, slot);
    const auto& p0 = this->cell_->learner[0];
    const auto& p1 = this->cell_->learner[1];
    payoffs_ = this->cell_->env.payoffs;
    gamma_ = _mm256_setr_epi64x(p0.codec.gamma, 0, p1.codec.gamma, 0);
    alpha_ = _mm256_setr_epi64x(p0.alpha, 0, p1.alpha, 0);
    scale_ = _mm_setr_ps(p0.codec.scale, p1.codec.scale, 0, 0);
    offset_ = _mm_setr_ps(p0.codec.offset, p1.codec.offset, 0, 0);
    here_ = row(this->env_.history);
    set_best(reduce(here_));
  }

  CUMARL_INLINE void step(int k) {
    const uint32_t a0 = (greedy0_ & this->keep_[0][k]) | this->forced_[0][k];
    const uint32_t a1 = (greedy1_ & this->keep_[1][k]) | this->forced_[1][k];
    const size_t joint = a0 * Actions + a1;
    std::byte* const next = row(joint);
    __m256i best = reduce(next);

    std::byte* const entry0 = here_ + 4 * size_t{a0};
    std::byte* const entry1 = here_ + kTable1 + 4 * size_t{a1};
    const __m256i was = both(_mm_loadu_si32(entry0), _mm_loadu_si32(entry1));
    const __m128 reward =
        _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(payoffs_ + 2 * joint)));
    const __m256i reward_cost = _mm256_permutevar8x32_epi32(
        _mm256_castsi128_si256(_mm_cvttps_epi32(_mm_sub_ps(offset_, _mm_mul_ps(reward, scale_)))),
        _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1));
    const __m256i cost = _mm256_srli_epi32(was, 4);
    const __m256i following =
        _mm256_srli_epi64(_mm256_mul_epu32(_mm256_srli_epi32(best, 4), gamma_), 32);
    const __m256i error = _mm256_sub_epi32(_mm256_add_epi32(reward_cost, following), cost);
    const __m256i change = _mm256_srli_epi64(
        _mm256_add_epi64(_mm256_mul_epi32(error, alpha_), _mm256_set1_epi64x(int64_t{1} << 31)),
        32);
    const __m256i now = _mm256_or_si256(_mm256_slli_epi32(_mm256_add_epi32(cost, change), 4),
                                        _mm256_and_si256(was, _mm256_set1_epi32(15)));
    const __m128i now1 = _mm256_extracti128_si256(now, 1);
    _mm_storeu_si32(entry0, _mm256_castsi256_si128(now));
    _mm_storeu_si32(entry1, now1);

    if (next == here_) {
      // Fixed28::patched, for both agents: the row's best after its own entry moved
      const __m256i better = _mm256_min_epu32(best, now);
      const __m256i lost =
          _mm256_andnot_si256(_mm256_cmpeq_epi32(better, now), _mm256_cmpeq_epi32(best, was));
      best = better;
      if ((_mm256_movemask_epi8(lost) & 0x000F000F) != 0) {
        best = rescan(next, a0, a1, now);
      }
    }
    set_best(best);
    here_ = next;

    std::byte* const seen = this->memory_ + kSeen + 2 * joint;
    const auto greedy = static_cast<uint16_t>(greedy0_ | greedy1_ << 8);
    uint16_t last;
    __builtin_memcpy(&last, seen, 2);
    __builtin_memcpy(seen, &greedy, 2);
    this->changed_at_ = last == greedy ? this->changed_at_ : k;
  }

  bool store() {
    this->env_.history = static_cast<uint32_t>((here_ - this->memory_) / 64);
    return Base::store();
  }

 private:
  static CUMARL_INLINE __m256i both(__m128i low, __m128i high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  }
  static CUMARL_INLINE __m256i reduce(__m256i a, __m256i b, __m256i c, __m256i d) {
    const __m256i first = _mm256_min_epu32(a, b);
    const __m256i second = _mm256_min_epu32(c, d);
    __m256i m = _mm256_min_epu32(_mm256_permute2x128_si256(first, second, 0x20),
                                 _mm256_permute2x128_si256(first, second, 0x31));
    m = _mm256_min_epu32(m, _mm256_shuffle_epi32(m, 0x4E));
    return _mm256_min_epu32(m, _mm256_shuffle_epi32(m, 0xB1));
  }
  CUMARL_INLINE std::byte* row(size_t history) const { return this->memory_ + history * 64; }
  static CUMARL_INLINE const __m256i* words(const std::byte* at) {
    return reinterpret_cast<const __m256i*>(at);
  }
  static CUMARL_INLINE __m256i reduce(const std::byte* at) {
    return reduce(_mm256_load_si256(words(at)), _mm256_load_si256(words(at) + 1),
                  _mm256_load_si256(words(at + kTable1)),
                  _mm256_load_si256(words(at + kTable1) + 1));
  }
  /// The row as just written, from registers: a load right behind the narrow stores would stall.
  static CUMARL_INLINE __m256i rescan(const std::byte* at, uint32_t a0, uint32_t a1, __m256i now) {
    const __m256i low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i high = _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15);
    const __m256i* row0 = words(at);
    const __m256i* row1 = words(at + kTable1);
    const __m256i at0 = _mm256_set1_epi32(static_cast<int>(a0));
    const __m256i at1 = _mm256_set1_epi32(static_cast<int>(a1));
    const __m256i now0 = _mm256_broadcastd_epi32(_mm256_castsi256_si128(now));
    const __m256i now1 = _mm256_broadcastd_epi32(_mm256_extracti128_si256(now, 1));
    const auto with = [](__m256i entries, __m256i value, __m256i lanes, __m256i lane) {
      return _mm256_blendv_epi8(entries, value, _mm256_cmpeq_epi32(lanes, lane));
    };
    return reduce(with(_mm256_load_si256(row0), now0, low, at0),
                  with(_mm256_load_si256(row0 + 1), now0, high, at0),
                  with(_mm256_load_si256(row1), now1, low, at1),
                  with(_mm256_load_si256(row1 + 1), now1, high, at1));
  }
  CUMARL_INLINE void set_best(__m256i best) {
    best = _mm256_and_si256(best, _mm256_set1_epi32(15));
    greedy0_ = static_cast<uint32_t>(_mm256_cvtsi256_si32(best));
    greedy1_ = static_cast<uint32_t>(_mm_cvtsi128_si32(_mm256_extracti128_si256(best, 1)));
  }

  const float* payoffs_;
  __m256i gamma_, alpha_;
  __m128 scale_, offset_;
  std::byte* here_;             ///< agent 0's row of the present history
  uint32_t greedy0_, greedy1_;  ///< greedy actions here
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
