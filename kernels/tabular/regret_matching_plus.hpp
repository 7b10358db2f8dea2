/// \file
/// Regret matching+.
#pragma once

#include "kernels/tabular/regret_matching.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Regret matching whose regrets are cut off at 0 after every step.
/// Source: Tammelin, "Solving large imperfect information games using CFR+", 2014. Deviation: all
/// agents move at once, and the average is uniform unless averaging = "linear".
struct RegretMatchingPlus : RegretMatcher {
  static constexpr LearnerFacts kFacts{"regret_matching_plus", "Regret matching+", "Tammelin 2014",
                                       Sees::game};
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t, uint32_t,
                              const Transition& step) {
    update<true>(p, memory, step);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
