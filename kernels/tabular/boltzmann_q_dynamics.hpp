/// \file
/// Boltzmann Q-learning in continuous time.
#pragma once

#include "kernels/tabular/logit_dynamics.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// x_a' = x_a [(A y)_a - x.A y] / temperature - x_a [ln x_a - sum_b x_b ln x_b]. Its rest points are
/// the logit quantal response equilibria at that temperature.
/// Source: Tuyls, Verbeeck, Lenaerts, "A selection-mutation model for Q-learning in multi-agent
/// systems", AAMAS 2003, with the learning rate 1 and tau = 1 / their tau; Sato and Crutchfield
/// 2003. Deviation: none.
struct BoltzmannQDynamics : LogitDynamics {
  static constexpr LearnerFacts kFacts{"boltzmann_q_dynamics", "Boltzmann Q-learning dynamics",
                                       "Tuyls, Verbeeck, Lenaerts 2003; Sato and Crutchfield 2003",
                                       Sees::game};

  struct Config : LogitDynamics::Config {
    double temperature = 1.0;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("temperature", c.temperature, Bounds{1e-6, 1e9}, "payoff", "tau of the Boltzmann choice");
    LogitDynamics::fields(v, c);
  }
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    return LogitDynamics::make(c, spec, arena, c.temperature, 1.0);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
