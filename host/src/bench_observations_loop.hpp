/// \file
/// The loop of the benches of observations, compiled for every CPU variant.
#pragma once

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>

#include "envs/bertrand_logit.hpp"
#include "envs/lbf.hpp"
#include "envs/matrix_game.hpp"
#include "host/src/bench_observations_call.hpp"
#include "kernels/core/launch.hpp"
#include "kernels/core/rng_block.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Runs of an environment, `steps` joint steps each, every action drawn uniformly: the runs of the
/// learner "random" with the same seed. After every joint step (and the reset that may follow it)
/// all agents' observations are written.
template <class Env>
struct ObservedPlay {
  static constexpr int kTogether = 4;  ///< runs interleaved in a worker
  static constexpr int kChunk = 64;    ///< steps whose words are drawn ahead
  /// Words of a chunk, in whole groups of what philox_words() makes at a time.
  static constexpr int kWords = (Env::kMaxAgents * kChunk + 127) / 128 * 128;

  typename Env::Params params;
  uint64_t seed, steps;

  /// Plays runs [first, first + count). Shapes: digests [count], of all observations and rewards
  /// in their order; null: none are made. Pre: count <= kTogether.
  template <bool kDigest>
  void play(uint64_t first, int count, uint64_t* digests) const {
    const int agents = Env::agents(params);
    const int blocks = (agents * kChunk + 127) / 128 * 32;
    int widest = 1;
    for (int i = 0; i < agents; ++i) widest = std::max(widest, Env::features(params, i));
    const size_t pitch = (static_cast<size_t>(widest) + 15) / 16 * 16;
    const Floats seen(new (std::align_val_t{64}) float[kTogether * Env::kMaxAgents * pitch]);
    alignas(64) uint32_t words[kTogether][kWords];
    typename Env::State state[kTogether];
    const auto observation = [&](int l, int i) {
      return seen.get() + static_cast<size_t>(l * Env::kMaxAgents + i) * pitch;
    };
    for (int l = 0; l < count; ++l) {
      Rng rng(key(first, l), 0, Stream::reset);
      Env::reset(params, state[l], rng);
      if constexpr (kDigest) digests[l] = 0;
    }
    for (uint64_t from = 0; from < steps; from += kChunk) {
      const auto now = static_cast<int>(std::min<uint64_t>(kChunk, steps - from));
      for (int l = 0; l < count; ++l) {
        philox_words(key(first, l), from * static_cast<uint64_t>(agents) / 4, Stream::explore,
                     blocks, words[l]);
      }
      for (int k = 0; k < now; ++k) {
        for (int l = 0; l < count; ++l) {
          int actions[Env::kMaxAgents] = {};
          float rewards[Env::kMaxAgents] = {};
          for (int i = 0; i < agents; ++i) {
            const auto choices = static_cast<uint32_t>(Env::actions(params, i));
            actions[i] = static_cast<int>(below(words[l][k * agents + i], choices));
          }
          const uint64_t t = from + static_cast<uint64_t>(k);
          Rng rng(key(first, l), t, Stream::dynamics);
          if (Env::step(params, state[l], actions, rewards, rng) != Episode::goes_on) {
            Rng fresh(key(first, l), t + 1, Stream::reset);
            Env::reset(params, state[l], fresh);
          }
          for (int i = 0; i < agents; ++i) Env::observe(params, state[l], i, observation(l, i));
          if constexpr (kDigest) {
            for (int i = 0; i < agents; ++i) {
              add(digests[l], rewards[i]);
              for (int f = 0; f < Env::features(params, i); ++f) {
                add(digests[l], observation(l, i)[f]);
              }
            }
          }
        }
        // Somebody could read the observations here, so they have to be in memory.
        asm volatile("" : : "r"(seen.get()) : "memory");
      }
    }
  }

 private:
  struct Free {
    void operator()(float* block) const { ::operator delete[](block, std::align_val_t{64}); }
  };
  using Floats = std::unique_ptr<float[], Free>;

  RunKey key(uint64_t first, int lane) const { return {seed, first + static_cast<uint64_t>(lane)}; }
  /// A step of the FNV-1a hash, word by word.
  static void add(uint64_t& digest, float value) {
    digest = (digest ^ std::bit_cast<uint32_t>(value)) * 0x100000001B3u;
  }
};

/// Throws ParameterError. Pre: 1 <= call.together <= ObservedPlay::kTogether.
template <class Env>
ObservedPlayed observed_play_of(const ObservedPlayCall& call) {
  HostArena arena;
  typename Env::Config config;
  call.read([&](FieldVisitor& v) { Env::fields(v, config); });
  const ObservedPlay<Env> play{Env::make(config, arena), 1, call.steps};
  ObservedPlayed out{Env::agents(play.params), sizeof(typename Env::State)};
  for (int i = 0; i < out.agents; ++i) {
    out.features += static_cast<size_t>(Env::features(play.params, i));
  }
  const auto group = static_cast<uint64_t>(call.together);
  const auto begin = std::chrono::steady_clock::now();
  launch(CpuBackend(call.threads), (call.runs + group - 1) / group, [&](uint64_t g) {
    const uint64_t first = g * group;
    const auto count = static_cast<int>(std::min(group, call.runs - first));
    if (call.digests == nullptr) {
      play.template play<false>(first, count, nullptr);
    } else {
      play.template play<true>(first, count, call.digests + first);
    }
  });
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return out;
}

inline ObservedPlayed observed_play(const ObservedPlayCall& call) {
  switch (call.env) {
    case ObservedEnv::lbf: return observed_play_of<Lbf>(call);
    case ObservedEnv::matrix_game: return observed_play_of<MatrixGame>(call);
    default: return observed_play_of<BertrandLogit>(call);
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
