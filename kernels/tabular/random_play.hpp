/// \file
/// Uniformly random play.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/core/learner.hpp"
#include "kernels/core/team.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Every action with equal probability, for ever; learns nothing and needs no observation. The
/// baseline of learning curves and the policy of the environment benches.
struct RandomPlay {
  static constexpr LearnerFacts kFacts{"random", "Uniformly random play", "a baseline"};
  static constexpr bool kTabular = false;
  static constexpr bool kAgentwise = false;
  static constexpr bool kWatched = false;
  static constexpr bool kGreedyPolicy = false;

  struct Config {};
  static void fields(FieldVisitor&, Config&) {}
  struct Params {
    uint32_t actions;
  };
  struct Cursor {};
  struct Memo {};

  static Params make(const Config&, const AgentSpec& spec, Arena&) {
    return {static_cast<uint32_t>(spec.actions)};
  }
  CUMARL_HD static size_t bytes(const Params&) { return 0; }
  CUMARL_HD static double discount(const Params&) { return 1.0; }
  template <class Team>
  CUMARL_HD static void init(const Team&, const Params&, std::byte*, RunKey, int) {}
  template <class Team>
  CUMARL_HD static CUMARL_INLINE Cursor arrive(const Team&, const Params&, std::byte*, uint32_t) {
    return {};
  }
  CUMARL_HD static CUMARL_INLINE void decide(const Params& p, Memo&, uint64_t, int count,
                                             const uint32_t* words, int pitch, uint32_t* keep,
                                             uint32_t* forced) {
    for (int k = 0; k < count; ++k) {
      keep[k] = 0;
      forced[k] = below(words[k * pitch], p.actions);
    }
  }
  CUMARL_HD static CUMARL_INLINE uint32_t act(const Params&, std::byte*, const Cursor&,
                                              Decision decision, uint64_t) {
    return decision.forced;
  }
  CUMARL_HD static CUMARL_INLINE uint32_t evaluate(const Params& p, std::byte*, const Cursor&,
                                                   uint32_t word) {
    return below(word, p.actions);
  }
  CUMARL_HD static void policy(const Params& p, const Cursor&, double* out) {
    for (uint32_t a = 0; a < p.actions; ++a) out[a] = 1.0 / p.actions;
  }
  template <class Team>
  CUMARL_HD static CUMARL_INLINE void learn(const Team&, const Params&, std::byte*, Cursor&,
                                            Cursor&, const Transition&) {}
};

}  // namespace cumarl::inline CUMARL_VARIANT
