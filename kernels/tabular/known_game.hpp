/// \file
/// The payoff table of a game as the learners that are told it (Sees::game) read it, and what an
/// agent's actions are worth in it against the others' strategies.
#pragma once

#include <string>

#include "kernels/core/learner.hpp"
#include "kernels/solvers/strategies.hpp"
#include "kernels/tabular/mixed_strategy.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Profiles are [agents][kStrategyPitch], as in Transition::strategies.
struct KnownGame {
  NormalFormView view;
  bool sampled;  ///< the others' actions are taken instead of their strategies

  /// `sampled_key`: the setting that chooses between both, named in errors. Throws ParameterError.
  static KnownGame make(const AgentSpec& spec, Arena& arena, bool sampled,
                        const char* sampled_key) {
    if (spec.game == nullptr) {
      throw ParameterError("name", "this learner needs a game with one table of payoffs");
    }
    if (spec.agents > NormalFormView::kMaxPlayers) {
      throw ParameterError("name", "this learner takes up to 6 agents");
    }
    for (int i = 0; i < spec.agents; ++i) {
      if (!sampled && spec.all_actions[i] > kStrategyPitch) {
        throw ParameterError(sampled_key, "must be true: strategies are shown in games of up to " +
                                              std::to_string(kStrategyPitch) + " actions an agent");
      }
      if (spec.all_actions[i] > kMostActions) {
        throw ParameterError("name", "this learner takes up to 128 actions");
      }
    }
    KnownGame game{};
    game.view = normal_form(spec.agents, spec.all_actions, arena.store(*spec.game));
    for (int i = 0; i < spec.agents; ++i) game.view.offset[i] = i * kStrategyPitch;
    game.sampled = sampled;
    return game;
  }

  CUMARL_HD int actions(int agent) const { return view.actions[agent]; }
  CUMARL_HD int total_actions() const {
    int total = 0;
    for (int i = 0; i < view.players; ++i) total += view.actions[i];
    return total;
  }

  /// What each action would have paid the agent at this step, [actions]: in expectation over the
  /// others' strategies, or against their actions.
  CUMARL_HD void counterfactual(const Transition& step, double* out) const {
    const int me = step.agent;
    if (!sampled) {
      values(step.strategies, me, out);
      return;
    }
    int cell = 0;
    for (int i = 0; i < view.players; ++i) {
      if (i != me) cell += step.actions[i] * view.weight[i];
    }
    for (int a = 0; a < view.actions[me]; ++a) out[a] = view.payoff(cell + a * view.weight[me], me);
  }
  /// The same against a profile.
  CUMARL_HD void values(const double* profile, int agent, double* out) const {
    for (int a = 0; a < view.actions[agent]; ++a) out[a] = action_value(view, profile, agent, a);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
