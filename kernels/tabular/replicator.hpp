/// \file
/// Replicator dynamics.
#pragma once

#include "kernels/tabular/logit_dynamics.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// x_a' = x_a [(A y)_a - x.A y]. In zero-sum games with an interior equilibrium the sum of the
/// players' Kullback-Leibler divergences from it is conserved; here up to the integrator's error.
/// Source: Taylor and Jonker, "Evolutionarily stable strategies and game dynamics", 1978, for two
/// populations; the conserved sum: Hofbauer 1996. Deviation: none.
struct Replicator : LogitDynamics {
  static constexpr LearnerFacts kFacts{"replicator", "Replicator dynamics",
                                       "Taylor and Jonker 1978", Sees::game};
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    return LogitDynamics::make(c, spec, arena, 1.0, 0.0);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
