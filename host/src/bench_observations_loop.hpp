/// \file
/// The loop of the bench `lbf_observations`, compiled for every CPU variant.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "envs/lbf.hpp"
#include "kernels/core/launch.hpp"
#include "kernels/core/rng_block.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Runs 0 .. runs-1 of level-based foraging 8x8-2p-3f, `steps` joint steps each, every action drawn
/// uniformly: the runs of the learner "random" with the same seed. After every joint step (and the
/// reset that may follow it) all agents' observations are written.
struct ObservedPlay {
  static constexpr int kAgents = 2;
  static constexpr int kFoods = 3;
  static constexpr int kFeatures = 3 * (kAgents + kFoods);  ///< of an agent
  static constexpr int kTogether = 4;                       ///< runs interleaved in a worker
  static constexpr int kChunk = 64;                         ///< steps whose words are drawn ahead

  Lbf::Params params;
  uint64_t seed, steps;

  /// Plays runs [first, first + count). Shapes: digests [count], of all observations and rewards
  /// in their order; null: none are made. Pre: count <= kTogether.
  template <bool kDigest>
  void play(uint64_t first, int count, uint64_t* digests) const {
    alignas(64) uint32_t words[kTogether][kAgents * kChunk];
    alignas(64) float seen[kTogether][kAgents][16];
    static_assert(kFeatures <= 16);
    Lbf::State state[kTogether];
    for (int l = 0; l < count; ++l) {
      Rng rng(key(first, l), 0, Stream::reset);
      Lbf::reset(params, state[l], rng);
      if constexpr (kDigest) digests[l] = 0;
    }
    for (uint64_t from = 0; from < steps; from += kChunk) {
      const auto now = static_cast<int>(std::min<uint64_t>(kChunk, steps - from));
      for (int l = 0; l < count; ++l) {
        philox_words(key(first, l), from * kAgents / 4, Stream::explore, kAgents * kChunk / 4,
                     words[l]);
      }
      for (int k = 0; k < now; ++k) {
        for (int l = 0; l < count; ++l) {
          int actions[Lbf::kMaxAgents] = {};
          float rewards[Lbf::kMaxAgents] = {};
          for (int i = 0; i < kAgents; ++i) {
            actions[i] = static_cast<int>(below(words[l][k * kAgents + i], Lbf::kActions));
          }
          const uint64_t t = from + static_cast<uint64_t>(k);
          Rng rng(key(first, l), t, Stream::dynamics);
          if (Lbf::step(params, state[l], actions, rewards, rng) != Episode::goes_on) {
            Rng fresh(key(first, l), t + 1, Stream::reset);
            Lbf::reset(params, state[l], fresh);
          }
          for (int i = 0; i < kAgents; ++i) Lbf::observe(params, state[l], i, seen[l][i]);
          if constexpr (kDigest) {
            for (int i = 0; i < kAgents; ++i) {
              add(digests[l], rewards[i]);
              for (int f = 0; f < kFeatures; ++f) add(digests[l], seen[l][i][f]);
            }
          }
        }
        // Somebody could read the observations here, so they have to be in memory.
        asm volatile("" : : "r"(&seen[0][0][0]) : "memory");
      }
    }
  }

 private:
  RunKey key(uint64_t first, int lane) const { return {seed, first + static_cast<uint64_t>(lane)}; }
  /// A step of the FNV-1a hash, word by word.
  static void add(uint64_t& digest, float value) {
    digest = (digest ^ std::bit_cast<uint32_t>(value)) * 0x100000001B3u;
  }
};

/// `together` runs at a time in each of `threads` workers. Shapes: digests [runs], or null.
/// Pre: 1 <= together <= ObservedPlay::kTogether.
inline void observed_play(int threads, uint64_t runs, uint64_t steps, int together,
                          uint64_t* digests) {
  HostArena arena;
  Lbf::Config config;
  config.foods = ObservedPlay::kFoods;
  config.players = ObservedPlay::kAgents;
  const ObservedPlay play{Lbf::make(config, arena), 1, steps};
  const auto group = static_cast<uint64_t>(together);
  launch(CpuBackend(threads), (runs + group - 1) / group, [&](uint64_t g) {
    const uint64_t first = g * group;
    const auto count = static_cast<int>(std::min(group, runs - first));
    if (digests == nullptr) {
      play.play<false>(first, count, nullptr);
    } else {
      play.play<true>(first, count, digests + first);
    }
  });
}

}  // namespace cumarl::inline CUMARL_VARIANT
