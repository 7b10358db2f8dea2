/// \file
/// Regret matching.
#pragma once

#include "kernels/tabular/known_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// What regret matching and regret matching+ share: regrets R(a) += u(a) - u, where u(a) is what
/// action a would have paid at this step, and a strategy in proportion to the positive regrets,
/// uniform where there are none. All agents move at once. In expectation u(a) is taken against the
/// others' strategies and u is the mean under the own one; sampled, everything is what was played.
///
/// Memory, [actions] each: regrets, the present strategy, the weighted sum of past strategies.
struct RegretMatcher {
  static constexpr bool kGreedy = false;

  struct Config {
    std::vector<double> start;
    bool sampled = false;
    Choice averaging{0};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("start", c.start, Bounds{0, 1}, "", "strategy of the first step; empty: uniform");
    v("sampled", c.sampled, "regrets from the actions played, not from strategies");
    v.choice("averaging", c.averaging, {"uniform", "linear"},
             "weight of step t in the average strategy: 1, or t counted from 1");
  }

  struct Params {
    KnownGame game;
    int32_t actions;
    bool linear;
    const double* start;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    const std::vector<double> start = strategy_of("start", c.start, spec.actions);
    return {KnownGame::make(spec, arena, c.sampled, "sampled"), spec.actions,
            c.averaging.value == 1, arena.store(start)};
  }
  CUMARL_HD static size_t bytes(const Params& p) {
    return 3 * static_cast<size_t>(p.actions) * sizeof(double);
  }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey, int) {
    double* const regrets = doubles(memory);
    for (int a = 0; a < p.actions; ++a) {
      regrets[a] = 0.0;
      regrets[p.actions + a] = p.start[a];
      regrets[2 * p.actions + a] = 0.0;
    }
  }

  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t, uint32_t word, uint64_t) {
    return action_at(doubles(memory) + p.actions, p.actions, unit_double(word));
  }
  CUMARL_HD static void strategy(const Params& p, std::byte* memory, uint32_t, double* out) {
    for (int a = 0; a < p.actions; ++a) out[a] = doubles(memory)[p.actions + a];
  }
  /// The average strategy.
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t, double* out) {
    const double* const total = doubles(memory) + 2 * p.actions;
    double sum = 0.0;
    for (int a = 0; a < p.actions; ++a) sum += total[a];
    for (int a = 0; a < p.actions; ++a) out[a] = sum > 0.0 ? total[a] / sum : p.start[a];
  }

 protected:
  /// kPlus: regrets never fall below 0.
  template <bool kPlus>
  CUMARL_HD static void update(const Params& p, std::byte* memory, const Transition& step) {
    double* const regrets = doubles(memory);
    double* const current = regrets + p.actions;
    double* const total = current + p.actions;
    double values[kMostActions];
    p.game.counterfactual(step, values);
    const double baseline = p.game.sampled ? values[step.actions[step.agent]]
                                           : inner_product(current, values, p.actions);
    const double weight = p.linear ? static_cast<double>(step.t + 1) : 1.0;
    for (int a = 0; a < p.actions; ++a) {
      total[a] += weight * current[a];
      regrets[a] += values[a] - baseline;
      if (kPlus && regrets[a] < 0.0) regrets[a] = 0.0;
    }
    positive_part(regrets, p.actions, current);
  }
};

/// Source: Hart and Mas-Colell, "A simple adaptive procedure leading to correlated equilibrium",
/// Econometrica 68, 2000, section 4 (unconditional regrets). Deviation: the average is that of the
/// strategies, not of the actions drawn from them, which has the same mean.
struct RegretMatching : RegretMatcher {
  static constexpr LearnerFacts kFacts{"regret_matching", "Regret matching",
                                       "Hart and Mas-Colell 2000, section 4", Sees::game};
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t, uint32_t,
                              const Transition& step) {
    update<false>(p, memory, step);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
