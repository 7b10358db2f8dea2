/// \file
/// Beliefs of fictitious players: how often everybody has played what.
#pragma once

#include "kernels/tabular/known_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Memory: rounds seen, then counts of all agents' actions, one after another. Counts stay counts,
/// so that in games of whole-number payoffs equal values are equal to the bit.
struct Beliefs {
  KnownGame game;
  NormalFormView packed;  ///< the same game over the counts
  int32_t agent;
  int32_t total;  ///< actions of all agents together

  static Beliefs make(const AgentSpec& spec, Arena& arena, bool sampled) {
    Beliefs b{};
    b.game = KnownGame::make(spec, arena, sampled, "sampled");
    b.packed = normal_form(spec.agents, spec.all_actions, b.game.view.payoffs);
    b.agent = spec.agent;
    for (int i = 0; i < spec.agents; ++i) b.total += spec.all_actions[i];
    return b;
  }
  CUMARL_HD size_t bytes() const {
    return (size_t{1} + static_cast<size_t>(total)) * sizeof(double);
  }
  CUMARL_HD void clear(std::byte* memory) const {
    for (int k = 0; k <= total; ++k) doubles(memory)[k] = 0.0;
  }
  CUMARL_HD double rounds(std::byte* memory) const { return doubles(memory)[0]; }
  CUMARL_HD const double* own(std::byte* memory) const {
    return doubles(memory) + 1 + packed.offset[agent];
  }

  /// Adds a round: everybody's strategies, or actions where the game is sampled.
  CUMARL_HD void observe(std::byte* memory, const Transition& step) const {
    doubles(memory)[0] += 1.0;
    for (int i = 0; i < packed.players; ++i) {
      double* const counts = doubles(memory) + 1 + packed.offset[i];
      if (game.sampled) {
        counts[step.actions[i]] += 1.0;
      } else {
        for (int a = 0; a < packed.actions[i]; ++a) {
          counts[a] += step.strategies[i * kStrategyPitch + a];
        }
      }
    }
  }
  /// What the own actions are worth against the product of the others' counts, times rounds to the
  /// power of the number of others.
  CUMARL_HD void scaled_values(std::byte* memory, double* out) const {
    for (int a = 0; a < packed.actions[agent]; ++a) {
      out[a] = action_value(packed, doubles(memory) + 1, agent, a);
    }
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
