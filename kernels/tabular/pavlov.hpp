/// \file
/// Pavlov: win stay, lose shift.
#pragma once

#include "kernels/tabular/scripted.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Keeps its action if the others cooperated, changes it if not: it cooperates if it and the others
/// last did the same. Source: Nowak and Sigmund, "A strategy of win-stay, lose-shift that
/// outperforms tit-for-tat in the Prisoner's Dilemma game", Nature 364, 1993. Deviation: none for
/// two players; with several others one defection counts as a loss.
struct PavlovRule {
  static constexpr LearnerFacts kFacts{"pavlov", "Pavlov: win stay, lose shift",
                                       "Nowak and Sigmund 1993", Sees::joint};
  CUMARL_HD static bool cooperates(bool own, bool others, bool) { return own == others; }
};
using Pavlov = Scripted<PavlovRule>;

}  // namespace cumarl::inline CUMARL_VARIANT
