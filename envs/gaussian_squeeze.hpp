/// \file
/// The Gaussian squeeze: many agents share a resource that is best used in moderation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/core/env.hpp"
#include "kernels/core/math.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Each agent takes a_i from 0 to levels - 1; with x = scale * sum a_i all get
/// G(x) = x exp(-(x - mu)^2 / sigma^2). Endless, no state to observe. With mu = 400, sigma = 200, G
/// is greatest at x = 444.95; on the default grid (10 agents, 10 levels, scale 5) at x = 445, where
/// it is 423.0326.
/// Source: HolmesParker, Taylor, Zhan, Tumer, "Exploiting structure and utilizing agent-centric
/// rewards to promote coordination in large multiagent systems", ALA 2014; Yang et al., ICML 2018,
/// section 5.1. Deviation: there the scale is 1 and hundreds of agents share x; here up to 16.
struct GaussianSqueeze {
  static constexpr EnvFacts kFacts{
      "gaussian_squeeze",
      "Gaussian squeeze: a shared resource, best used in moderation",
      "HolmesParker, Taylor, Zhan, Tumer, ALA 2014; Yang et al., ICML 2018",
      Family::matrix,
      "amount taken, in units of `scale`",
      "nothing: always 0"};
  static constexpr int kMaxAgents = 16;
  static constexpr bool kSharedObservation = true;

  struct Config {
    int agents = 10;
    int levels = 10;
    double scale = 5.0;
    double mu = 400.0;
    double sigma = 200.0;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("agents", c.agents, Bounds{2, kMaxAgents}, "", "number of agents");
    v("levels", c.levels, Bounds{2, 128}, "", "amounts to choose from, 0 the lowest");
    v("scale", c.scale, Bounds{1e-6, 1e6}, "amount", "what one unit of an action takes");
    v("mu", c.mu, Bounds{-1e6, 1e6}, "amount", "where the squeeze is weakest");
    v("sigma", c.sigma, Bounds{1e-3, 1e6}, "amount", "width of the squeeze");
  }

  struct Params {
    int32_t agents;
    int32_t levels;
    const double* payoff;  ///< [agents * (levels - 1) + 1] by the sum of actions
    double best;           ///< the greatest of them
    double scale;
  };
  struct State {
    int32_t total;  ///< sum of the last actions, which nobody sees
  };

  static Params make(const Config& c, Arena& arena) {
    std::vector<double> payoff;
    double best = 0;
    for (int k = 0; k <= c.agents * (c.levels - 1); ++k) {
      const double x = c.scale * k;
      const double z = (x - c.mu) / c.sigma;
      payoff.push_back(x * portable_exp(-(z * z)));
      best = payoff.back() > best ? payoff.back() : best;
    }
    return {c.agents, c.levels, arena.store(payoff), best, c.scale};
  }

  CUMARL_HD static int agents(const Params& p) { return p.agents; }
  CUMARL_HD static int actions(const Params& p, int) { return p.levels; }
  CUMARL_HD static uint32_t observations(const Params&, int) { return 1; }
  CUMARL_HD static uint32_t observe_index(const Params&, const State&, int) { return 0; }
  CUMARL_HD static int features(const Params&, int) { return 0; }
  CUMARL_HD static void observe(const Params&, const State&, int, float*) {}
  static Bounds reward_bounds(const Params& p) { return {0, p.best}; }

  /// Uses no random numbers.
  CUMARL_HD static void reset(const Params&, State& s, Rng&) { s.total = 0; }

  /// One joint step; uses no random numbers. Shapes: actions int [agents], rewards float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng&) {
    s.total = sum(p, actions);
    const auto paid = static_cast<float>(p.payoff[s.total]);
    for (int i = 0; i < kMaxAgents && i < p.agents; ++i) rewards[i] = paid;
    return Episode::goes_on;
  }

  /// Shows the state as "total". Throws ParameterError where no actions add up to it.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t total = s.total;
    v("total", &total, 1);
    if (total < 0 || total > int64_t{p.agents} * (p.levels - 1)) {
      throw ParameterError("total", "no actions add up to that");
    }
    s.total = static_cast<int32_t>(total);
  }

  /// The learned policies play `evaluation.steps` joint steps, or one if they are deterministic.
  /// Reported are means: of G, of x, of G as a share of the best G of the grid, and of the sum over
  /// agents of what each could gain by another action alone.
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    const uint32_t steps = policy.deterministic() ? 1 : policy.evaluation().steps;
    int chosen[kMaxAgents] = {};
    double payoff = 0, total = 0, gain = 0;
    for (uint32_t t = 0; t < steps; ++t) {
      policy.act(p, last, chosen, t);
      const int x = sum(p, chosen);
      payoff += p.payoff[x];
      total += x;
      for (int i = 0; i < kMaxAgents && i < p.agents; ++i) {
        double best = p.payoff[x];
        for (int a = 0; a < p.levels; ++a) {
          const double other = p.payoff[x - chosen[i] + a];
          best = other > best ? other : best;
        }
        gain += best - p.payoff[x];
      }
    }
    sink.metric("return_per_step", payoff / steps);
    sink.metric("amount", p.scale * total / steps);
    sink.metric("efficiency", p.best > 0 ? payoff / steps / p.best : 0.0);
    sink.metric("nash_conv", gain / steps);
    sink.metric("time_to_convergence", static_cast<double>(facts.last_change));
  }

 private:
  CUMARL_HD static CUMARL_INLINE int sum(const Params& p, const int* actions) {
    int total = 0;
    for (int i = 0; i < kMaxAgents && i < p.agents; ++i) total += actions[i];
    return total;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
