/// \file
/// Counter-based random numbers: a draw is a pure function of (seed, run, step, stream, index).
#pragma once

#include <cstdint>

#include "kernels/core/hd.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Philox4x32-10: four 32-bit words from a 128-bit counter and a 64-bit key.
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011;
/// equal to Random123's philox4x32 (tests/rng_test.cpp).
struct Philox {
  uint32_t x0, x1, x2, x3;

  /// Word j. Pre: 0 <= j < 4.
  CUMARL_HD CUMARL_INLINE uint32_t word(int j) const {
    return j == 0 ? x0 : (j == 1 ? x1 : (j == 2 ? x2 : x3));
  }

  CUMARL_HD static CUMARL_INLINE Philox block(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3,
                                              uint32_t k0, uint32_t k1) {
    for (int round = 0; round < 10; ++round) {
      const uint64_t p0 = uint64_t{0xD2511F53u} * c0;
      const uint64_t p1 = uint64_t{0xCD9E8D57u} * c2;
      const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
      const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
      c1 = static_cast<uint32_t>(p1);
      c3 = static_cast<uint32_t>(p0);
      c0 = n0;
      c2 = n2;
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
    return {c0, c1, c2, c3};
  }
};

/// What a draw is for. Streams of one run never overlap.
enum class Stream : uint32_t {
  explore = 0,   ///< exploration: word t * agents + i of one sequence, four words a block
  dynamics = 1,  ///< the environment's own chance moves
  reset = 2,     ///< initial states
  init = 3,      ///< initial learner tables
  learn = 4,     ///< a learner's own draws (sampled policies, minibatches)
  evaluate = 5,  ///< chance moves while a finished run is evaluated
  perturb = 6,   ///< perturbations of observations, rewards and actions
};

/// The identity of a run's randomness: the experiment's seed and the global run id.
struct RunKey {
  uint64_t seed;
  uint64_t run;
};

/// The 128-bit counter: step (48 bits) | stream (4 bits) | block (12 bits) | run (64 bits).
CUMARL_HD CUMARL_INLINE Philox philox(RunKey key, uint64_t step, Stream stream, uint32_t block) {
  const uint32_t c1 =
      (static_cast<uint32_t>(step >> 32) << 16) | (static_cast<uint32_t>(stream) << 12) | block;
  return Philox::block(static_cast<uint32_t>(step), c1, static_cast<uint32_t>(key.run),
                       static_cast<uint32_t>(key.run >> 32), static_cast<uint32_t>(key.seed),
                       static_cast<uint32_t>(key.seed >> 32));
}

/// A run's words of a stream that is one sequence, by their numbers, four to a block; the block that
/// was read last is kept.
class WordSequence {
 public:
  CUMARL_HD CUMARL_INLINE uint32_t at(RunKey key, Stream stream, uint64_t number) {
    if (number / 4 != block_) {
      block_ = number / 4;
      words_ = philox(key, block_, stream, 0);
    }
    return words_.word(static_cast<int>(number % 4));
  }

 private:
  Philox words_;
  uint64_t block_ = ~uint64_t{0};
};

/// A whole number below `bound` from 32 random bits (bias below bound / 2^32).
CUMARL_HD CUMARL_INLINE uint32_t below(uint32_t word, uint32_t bound) {
  return static_cast<uint32_t>((uint64_t{word} * bound) >> 32);
}

/// A float in [0, 1) from the upper 24 of 32 random bits; exact.
CUMARL_HD CUMARL_INLINE float unit_float(uint32_t word) {
  return static_cast<float>(word >> 8) * (1.0F / 16777216.0F);
}

/// A double in [0, 1) with 32 random bits; exact.
CUMARL_HD CUMARL_INLINE double unit_double(uint32_t word) {
  return static_cast<double>(word) * (1.0 / 4294967296.0);
}

/// The words of one (run, step, stream), one after another. Costs nothing until the first draw.
/// At most 2^12 blocks, that is 16,384 words, a step.
class Rng {
 public:
  CUMARL_HD Rng(RunKey key, uint64_t step, Stream stream, uint32_t first_block = 0)
      : key_(key), step_(step), stream_(stream), block_(first_block) {}

  CUMARL_HD uint32_t word() {
    if (left_ == 0) {
      ahead_ = philox(key_, step_, stream_, block_++);
      left_ = 4;
    }
    const uint32_t out = ahead_.x0;
    ahead_ = {ahead_.x1, ahead_.x2, ahead_.x3, 0};
    --left_;
    return out;
  }
  CUMARL_HD uint32_t below(uint32_t bound) { return cumarl::below(word(), bound); }
  CUMARL_HD float unit() { return unit_float(word()); }
  CUMARL_HD RunKey key() const { return key_; }

 private:
  RunKey key_;
  uint64_t step_;
  Stream stream_;
  uint32_t block_;
  int left_ = 0;
  Philox ahead_{0, 0, 0, 0};
};

}  // namespace cumarl::inline CUMARL_VARIANT
