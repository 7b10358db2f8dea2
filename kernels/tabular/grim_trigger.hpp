/// \file
/// Grim trigger.
#pragma once

#include "kernels/tabular/scripted.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Cooperates until somebody else defects, and never again in that episode.
/// Source: Friedman, "A non-cooperative equilibrium for supergames", 1971. Deviation: none.
struct GrimTriggerRule {
  static constexpr LearnerFacts kFacts{"grim_trigger", "Grim trigger", "Friedman 1971",
                                       Sees::joint};
  CUMARL_HD static bool cooperates(bool, bool, bool ever) { return !ever; }
};
using GrimTrigger = Scripted<GrimTriggerRule>;

}  // namespace cumarl::inline CUMARL_VARIANT
