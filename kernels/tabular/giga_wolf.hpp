/// \file
/// GIGA-WoLF.
#pragma once

#include "kernels/tabular/known_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Generalised infinitesimal gradient ascent with the WoLF principle. With v the payoffs of the own
/// actions, eta = scale / sqrt(t + 1) and P the projection on the simplex,
///   ascent = P(x + eta v),  z' = P(z + eta v / 3),
///   x' = ascent + min(1, |z' - z| / |z' - ascent|) (z' - ascent).
/// x is played; z is the slow strategy. Source: Bowling, "Convergence and no-regret in multiagent
/// learning", NIPS 2004 (2005), section 4. Deviation: none in expectation; sampled, v is taken
/// against the others' actions.
///
/// Memory, [actions] each: x, z.
struct GigaWolf {
  static constexpr LearnerFacts kFacts{"giga_wolf", "GIGA-WoLF", "Bowling 2005, section 4",
                                       Sees::game};
  static constexpr bool kGreedy = false;

  struct Config {
    double scale = 0.1;
    std::vector<double> start;
    bool sampled = false;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("scale", c.scale, Bounds{0, 1e6}, "1/payoff", "step size scale / sqrt(t + 1)");
    v("start", c.start, Bounds{0, 1}, "", "first strategies x and z; empty: uniform");
    v("sampled", c.sampled, "payoffs against the others' actions, not their strategies");
  }

  struct Params {
    KnownGame game;
    int32_t actions;
    double scale;
    const double* start;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    const std::vector<double> start = strategy_of("start", c.start, spec.actions);
    return {KnownGame::make(spec, arena, c.sampled, "sampled"), spec.actions, c.scale,
            arena.store(start)};
  }
  CUMARL_HD static size_t bytes(const Params& p) {
    return 2 * static_cast<size_t>(p.actions) * sizeof(double);
  }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey, int) {
    for (int a = 0; a < p.actions; ++a) {
      doubles(memory)[a] = p.start[a];
      doubles(memory)[p.actions + a] = p.start[a];
    }
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t, uint32_t word, uint64_t) {
    return action_at(doubles(memory), p.actions, unit_double(word));
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t, double* out) {
    for (int a = 0; a < p.actions; ++a) out[a] = doubles(memory)[a];
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t, uint32_t,
                              const Transition& step) {
    const int n = p.actions;
    double* const x = doubles(memory);
    double* const z = x + n;
    double values[kMostActions];
    p.game.counterfactual(step, values);
    const double eta = p.scale / __builtin_sqrt(static_cast<double>(step.t) + 1.0);
    double slow[kMostActions];
    for (int a = 0; a < n; ++a) {
      x[a] += eta * values[a];
      slow[a] = z[a] + eta * values[a] / 3.0;
    }
    project_on_simplex(x, n);
    project_on_simplex(slow, n);
    const double moved = distance(slow, z, n);
    const double apart = distance(slow, x, n);
    const double pull = moved < apart ? moved / apart : 1.0;
    for (int a = 0; a < n; ++a) {
      x[a] += pull * (slow[a] - x[a]);
      z[a] = slow[a];
    }
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
