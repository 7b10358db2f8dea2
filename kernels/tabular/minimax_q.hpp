/// \file
/// Minimax-Q.
#pragma once

#include "kernels/tabular/stage_game_learner.hpp"
#include "kernels/tabular/two_sides.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The agent alone against the other one.
struct MinimaxRule : TwoSides {
  struct Config {};
  static void fields(FieldVisitor&, Config&) {}
  static MinimaxRule make(const Config&, const AgentSpec& spec) {
    if (spec.agents != 2) {
      throw ParameterError("name", "minimax_q is for two agents; friend_or_foe_q takes more");
    }
    return {TwoSides::among(spec, {false, false})};
  }
};

/// V(s) = max over own mixed strategies of min over the opponent's actions of Q(s, ., .), and the
/// maximin strategy is played.
/// Source: Littman, "Markov games as a framework for multi-agent reinforcement learning", ICML 1994,
/// figure 1. Deviations: none in the rule. His learning rate alpha_t = 10^(-2 t / 10^6) is alpha =
/// 1, rate.decay_rate = 4.605e-6; his explor = 0.2 is exploration.start = end = 0.2; his initial
/// value 1 is init.value = 1.
struct MinimaxQ : StageGameLearner<MinimaxRule> {
  static constexpr LearnerFacts kFacts{"minimax_q", "Minimax-Q, for two-player zero-sum games",
                                       "Littman, ICML 1994, figure 1", Sees::joint};
};

}  // namespace cumarl::inline CUMARL_VARIANT
