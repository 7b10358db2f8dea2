/// \file
/// Replicator-like dynamics in continuous time, integrated in the logarithms of the probabilities.
#pragma once

#include "kernels/tabular/known_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// d ln x_a / dt = ((A y)_a - x.A y) / temperature - forgetting (ln x_a - sum_b x_b ln x_b), where
/// (A y)_a is what action a pays against the others' present strategies. One joint step is `dt` of
/// time, by the third-order Adams-Bashforth method over the slopes of this and the last two steps
/// (Euler and second order at the first two), so that an agent needs to know the others' strategies
/// only as they are. Strategies are the softmax of the logits: positive, and summing to 1.
///
/// Memory, [actions] each: logits, the strategy, the slope before this one, the slope before that;
/// then the number of steps.
struct LogitDynamics {
  static constexpr bool kGreedy = false;

  struct Config {
    double dt = 0.01;
    std::vector<double> start;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("dt", c.dt, Bounds{1e-9, 1}, "time", "of one joint step");
    v("start", c.start, Bounds{0, 1}, "", "strategy at time 0, all above 0; empty: uniform");
  }

  struct Params {
    KnownGame game;
    int32_t actions;
    double dt;
    double temperature;
    double forgetting;
    const double* start;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena, double temperature,
                     double forgetting) {
    const std::vector<double> start = strategy_of("start", c.start, spec.actions);
    for (const double x : start) {
      if (!(x > 1e-300)) {
        throw ParameterError("start", "must be above 0: these dynamics never leave a face");
      }
    }
    return {KnownGame::make(spec, arena, false, "name"),
            spec.actions,
            c.dt,
            temperature,
            forgetting,
            arena.store(start)};
  }
  CUMARL_HD static size_t bytes(const Params& p) {
    return (4 * static_cast<size_t>(p.actions) + 1) * sizeof(double);
  }
  CUMARL_HD static double* strategy_at(const Params& p, std::byte* memory) {
    return doubles(memory) + p.actions;
  }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey, int) {
    double* const logits = doubles(memory);
    for (int k = 0; k < 4 * p.actions + 1; ++k) logits[k] = 0.0;
    for (int a = 0; a < p.actions; ++a) {
      logits[a] = portable_log(p.start[a]);
      strategy_at(p, memory)[a] = p.start[a];
    }
  }

  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t, uint32_t word, uint64_t) {
    return action_at(strategy_at(p, memory), p.actions, unit_double(word));
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t, double* out) {
    for (int a = 0; a < p.actions; ++a) out[a] = strategy_at(p, memory)[a];
  }

  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t, uint32_t,
                              const Transition& step) {
    const int n = p.actions;
    double* const logits = doubles(memory);
    double* const strategy = logits + n;
    double* const last = strategy + n;
    double* const before = last + n;
    double& steps = before[n];
    double values[kMostActions];
    p.game.counterfactual(step, values);
    const double mean = inner_product(strategy, values, n);
    const double mean_logit = inner_product(strategy, logits, n);
    // weights of this slope and the two before it
    const double w0 = steps == 0.0 ? 1.0 : steps == 1.0 ? 1.5 : 23.0 / 12.0;
    const double w1 = steps == 0.0 ? 0.0 : steps == 1.0 ? -0.5 : -16.0 / 12.0;
    const double w2 = steps < 2.0 ? 0.0 : 5.0 / 12.0;
    for (int a = 0; a < n; ++a) {
      const double slope =
          (values[a] - mean) / p.temperature - p.forgetting * (logits[a] - mean_logit);
      logits[a] += p.dt * (w0 * slope + w1 * last[a] + w2 * before[a]);
      before[a] = last[a];
      last[a] = slope;
    }
    steps += 1.0;
    softmax(logits, n, 1.0, strategy);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
