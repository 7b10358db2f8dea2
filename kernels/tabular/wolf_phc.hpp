/// \file
/// Policy hill climbing that wins or learns fast.
#pragma once

#include "kernels/tabular/phc.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// PHC with two steps: delta while winning, that is while the strategy is worth more than the
/// average of all strategies so far, and losing_ratio times delta otherwise.
/// Source: Bowling and Veloso, "Multiagent learning using a variable learning rate", Artificial
/// Intelligence 136, 2002, table 5. Deviation: none; ties go to the lowest action.
///
/// Memory: as PHC, then average strategies [observations][actions] and visits [observations].
struct WolfPhc : HillClimbing {
  static constexpr LearnerFacts kFacts{"wolf_phc", "Policy hill climbing, win or learn fast",
                                       "Bowling and Veloso 2002, table 5"};
  static constexpr bool kGreedy = false;

  struct Config : HillClimbing::Config {
    double losing_ratio = 2.0;
    Config() { delta.scale = 1.0; }
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("losing_ratio", c.losing_ratio, Bounds{1, 1e6}, "", "step while losing / step while winning");
    HillClimbing::fields(v, c);
  }
  struct Params : HillClimbing::Params {
    double losing_ratio;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    if (c.delta.scale * c.losing_ratio > c.delta.offset) {
      throw ParameterError("losing_ratio", "delta times it must not start above 1");
    }
    return {HillClimbing::make(c, spec, arena), c.losing_ratio};
  }

  CUMARL_HD static size_t bytes(const Params& p) {
    return shared_bytes(p) + (entries(p) + p.observations) * sizeof(double);
  }
  CUMARL_HD static double* average_at(const Params& p, std::byte* memory, uint32_t observation) {
    return doubles(memory, shared_bytes(p)) +
           static_cast<size_t>(observation) * static_cast<size_t>(p.actions);
  }
  CUMARL_HD static double& visits(const Params& p, std::byte* memory, uint32_t observation) {
    return doubles(memory, shared_bytes(p))[entries(p) + observation];
  }

  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int agent) {
    HillClimbing::init(p, memory, key, agent);
    double* const average = average_at(p, memory, 0);
    for (size_t k = 0; k < entries(p); ++k) average[k] = 1.0 / p.actions;
    for (uint32_t s = 0; s < p.observations; ++s) visits(p, memory, s) = 0.0;
  }

  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    const double* const values = learn_values(p, memory, from, to, step);
    double* const strategy = strategy_at(p, memory, from);
    double* const average = average_at(p, memory, from);
    double& count = visits(p, memory, from);
    count += 1.0;
    for (int a = 0; a < p.actions; ++a) average[a] += (strategy[a] - average[a]) / count;
    const bool winning =
        inner_product(strategy, values, p.actions) > inner_product(average, values, p.actions);
    const double delta = p.delta.at(step.t);
    climb(strategy, values, p.actions, winning ? delta : p.losing_ratio * delta);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
