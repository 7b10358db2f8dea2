/// \file
/// A fixed strategy.
#pragma once

#include "kernels/tabular/mixed_strategy.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// One mixed strategy for ever, whatever is observed. With a single action it is the script "always
/// cooperate" or "always defect". Source: a baseline.
struct Fixed {
  static constexpr LearnerFacts kFacts{"fixed", "A fixed strategy", "a baseline"};
  static constexpr bool kGreedy = false;

  struct Config {
    std::vector<double> strategy;
    int action = -1;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("strategy", c.strategy, Bounds{0, 1}, "",
      "a probability for each action, summing to 1; empty: uniform");
    v("action", c.action, Bounds{-1, kMostActions - 1}, "action",
      "this one always, instead of a strategy (-1: use strategy)");
  }

  struct Params {
    int32_t actions;
    const double* strategy;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    std::vector<double> strategy = strategy_of("strategy", c.strategy, spec.actions);
    if (c.action >= 0) {
      if (!c.strategy.empty()) throw ParameterError("action", "stands instead of a strategy");
      if (c.action >= spec.actions) {
        throw ParameterError("action", "must be below " + std::to_string(spec.actions));
      }
      strategy.assign(strategy.size(), 0.0);
      strategy[static_cast<size_t>(c.action)] = 1.0;
    }
    return {spec.actions, arena.store(strategy)};
  }
  CUMARL_HD static size_t bytes(const Params&) { return 0; }
  CUMARL_HD static void init(const Params&, std::byte*, RunKey, int) {}
  CUMARL_HD static int act(const Params& p, std::byte*, uint32_t, uint32_t word, uint64_t) {
    return action_at(p.strategy, p.actions, unit_double(word));
  }
  CUMARL_HD static void learn(const Params&, std::byte*, uint32_t, uint32_t, const Transition&) {}
  CUMARL_HD static void policy(const Params& p, std::byte*, uint32_t, double* out) {
    for (int a = 0; a < p.actions; ++a) out[a] = p.strategy[a];
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
