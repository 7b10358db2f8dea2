/// \file
/// Tit-for-tat.
#pragma once

#include "kernels/tabular/scripted.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Does what the other did last; with several others it cooperates if all of them did.
/// Source: Axelrod, "The Evolution of Cooperation", 1984. Deviation: none for two players.
struct TitForTatRule {
  static constexpr LearnerFacts kFacts{"tit_for_tat", "Tit-for-tat", "Axelrod 1984", Sees::joint};
  CUMARL_HD static bool cooperates(bool, bool others, bool) { return others; }
};
using TitForTat = Scripted<TitForTatRule>;

}  // namespace cumarl::inline CUMARL_VARIANT
