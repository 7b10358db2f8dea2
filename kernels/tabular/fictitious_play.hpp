/// \file
/// Fictitious play.
#pragma once

#include "kernels/tabular/beliefs.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Plays a best response to the others' average strategies so far, each other agent's by itself.
/// The first round is played by the start strategies and counts as one round of the averages.
/// Source: Brown, "Iterative solution of games by fictitious play", 1951; Robinson 1951. All
/// agents move at once. Deviation: with sampled = false rounds are taken in expectation: a mixed
/// start counts with its probabilities. Ties go to the lowest action.
struct FictitiousPlay {
  static constexpr LearnerFacts kFacts{"fictitious_play", "Fictitious play",
                                       "Brown 1951; Robinson 1951", Sees::game};
  static constexpr bool kGreedy = false;

  struct Config {
    std::vector<double> start;
    bool sampled = false;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("start", c.start, Bounds{0, 1}, "", "strategy of the first round; empty: uniform");
    v("sampled", c.sampled, "count the others' actions, not their strategies");
  }

  struct Params {
    Beliefs beliefs;
    int32_t actions;
    const double* start;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    const std::vector<double> start = strategy_of("start", c.start, spec.actions);
    return {Beliefs::make(spec, arena, c.sampled), spec.actions, arena.store(start)};
  }
  CUMARL_HD static size_t bytes(const Params& p) { return p.beliefs.bytes(); }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey, int) {
    p.beliefs.clear(memory);
  }

  CUMARL_HD static void strategy(const Params& p, std::byte* memory, uint32_t, double* out) {
    if (p.beliefs.rounds(memory) == 0.0) {
      for (int a = 0; a < p.actions; ++a) out[a] = p.start[a];
      return;
    }
    double values[kMostActions];
    p.beliefs.scaled_values(memory, values);
    const int best = arg_max(values, p.actions);
    for (int a = 0; a < p.actions; ++a) out[a] = a == best ? 1.0 : 0.0;
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t) {
    double played[kMostActions];
    strategy(p, memory, observation, played);
    return action_at(played, p.actions, unit_double(word));
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t, uint32_t,
                              const Transition& step) {
    p.beliefs.observe(memory, step);
  }
  /// The own average strategy.
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t, double* out) {
    const double rounds = p.beliefs.rounds(memory);
    const double* const counts = p.beliefs.own(memory);
    for (int a = 0; a < p.actions; ++a) out[a] = rounds > 0.0 ? counts[a] / rounds : p.start[a];
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
