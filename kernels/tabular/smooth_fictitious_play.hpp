/// \file
/// Smooth fictitious play.
#pragma once

#include "kernels/tabular/beliefs.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Plays the logit response softmax(u / temperature) to the others' average strategies so far, each
/// other agent's by itself. Its rest points are the quantal response equilibria.
/// Source: Fudenberg and Levine, "The Theory of Learning in Games", 1998, chapter 4. Deviation: as
/// in FictitiousPlay, rounds may be taken in expectation.
struct SmoothFictitiousPlay {
  static constexpr LearnerFacts kFacts{"smooth_fictitious_play", "Smooth fictitious play",
                                       "Fudenberg and Levine 1998, chapter 4", Sees::game};
  static constexpr bool kGreedy = false;

  struct Config {
    double temperature = 0.1;
    std::vector<double> start;
    bool sampled = false;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("temperature", c.temperature, Bounds{1e-6, 1e9}, "payoff", "of the logit response");
    v("start", c.start, Bounds{0, 1}, "", "strategy of the first round; empty: uniform");
    v("sampled", c.sampled, "count the others' actions, not their strategies");
  }

  struct Params {
    Beliefs beliefs;
    int32_t actions;
    double temperature;
    const double* start;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    const std::vector<double> start = strategy_of("start", c.start, spec.actions);
    return {Beliefs::make(spec, arena, c.sampled), spec.actions, c.temperature, arena.store(start)};
  }
  CUMARL_HD static size_t bytes(const Params& p) { return p.beliefs.bytes(); }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey, int) {
    p.beliefs.clear(memory);
  }

  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t, double* out) {
    const double rounds = p.beliefs.rounds(memory);
    if (rounds == 0.0) {
      for (int a = 0; a < p.actions; ++a) out[a] = p.start[a];
      return;
    }
    double values[kMostActions];
    p.beliefs.scaled_values(memory, values);
    double scale = p.temperature;
    for (int i = 1; i < p.beliefs.packed.players; ++i) scale *= rounds;
    softmax(values, p.actions, scale, out);
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t) {
    double played[kMostActions];
    policy(p, memory, observation, played);
    return action_at(played, p.actions, unit_double(word));
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t, uint32_t,
                              const Transition& step) {
    p.beliefs.observe(memory, step);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
