/// \file
/// How a policy learner comes from values or a mixed strategy, and one random word, to an action.
#pragma once

#include <cstdint>

#include "kernels/core/fields.hpp"
#include "kernels/core/math.hpp"
#include "kernels/core/rng.hpp"
#include "kernels/tabular/exploration.hpp"
#include "kernels/tabular/mixed_strategy.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The best of `count` values.
CUMARL_HD inline double best_value(const double* values, int count) {
  return values[arg_max(values, count)];
}

/// Puts probability 1 on an action.
CUMARL_HD inline void pure_strategy(int action, int count, double* out) {
  for (int a = 0; a < count; ++a) out[a] = a == action ? 1.0 : 0.0;
}

/// Draws from the softmax of values / temperature.
CUMARL_HD inline int softmax_action(const double* values, int count, double temperature,
                                    uint32_t word) {
  return draw_softmax([values](int a) { return values[a]; }, count, best_value(values, count),
                      temperature, word);
}

/// `action`, or what exploration at rate epsilon_t plays instead.
CUMARL_HD inline int epsilon_action(const Exploration& e, int action, int count, uint32_t word,
                                    uint64_t t) {
  const Decision d = Exploration::decide(e.at(t), static_cast<uint32_t>(count), word);
  return static_cast<int>((static_cast<uint32_t>(action) & d.keep) | d.forced);
}

/// The action of step t by a row of values: epsilon-greedy or Boltzmann.
CUMARL_HD inline int explore(const Exploration& e, const double* values, int count, uint32_t word,
                             uint64_t t) {
  if (e.kind == Exploration::kBoltzmann) {
    return softmax_action(values, count, static_cast<double>(e.at(t)), word);
  }
  return epsilon_action(e, arg_max(values, count), count, word, t);
}

/// One word's decision between exploring and a mixed strategy.
struct MixedDecision {
  bool explores;
  uint32_t action;  ///< where it explores
  double uniform;   ///< else: in [0, 1), independent of the decision
};

/// The words that do not explore are consecutive integers, stretched to [0, 1) anew.
CUMARL_HD inline MixedDecision mixed_decision(const Exploration& e, int actions, uint32_t word,
                                              uint64_t t) {
  const float epsilon = e.at(t);
  const Decision d = Exploration::decide(epsilon, static_cast<uint32_t>(actions), word);
  if (d.keep == 0) return {true, d.forced, 0.0};
  const double first = 2.0 * static_cast<double>(static_cast<int64_t>(epsilon * 2147483648.0F));
  const double uniform = (static_cast<double>(word) - first) / (4294967296.0 - first);
  return {false, 0, uniform > 0.0 ? uniform : 0.0};  // epsilon = 1 leaves a few words below `first`
}

/// A mixed strategy is played, and explored by epsilon only. Throws ParameterError.
inline void require_epsilon(const Exploration::Config& c, const char* why) {
  if (c.kind.value != Exploration::kEpsilonGreedy) throw ParameterError("exploration.kind", why);
}

/// The policy is Boltzmann's, at the temperature of the exploration schedule. Throws ParameterError.
inline void require_boltzmann(const Exploration::Config& c) {
  if (c.kind.value != Exploration::kBoltzmann) {
    throw ParameterError("exploration.kind", "must be \"boltzmann\": the learner plays no other");
  }
  if (!(c.end > 0) && (c.decay_rate > 0 || c.schedule.value == Exploration::kLinear)) {
    throw ParameterError("exploration.end",
                         "must be above 0: the evaluated policy has the last temperature");
  }
}

/// A word of the agent's own, the `draw`-th (0 to 15) of a step: from block 16 * agent + draw of the
/// stream `learn`. A step's blocks last for 255 agents, so the next 255 take the second words, and so
/// on, up to 1,020 agents.
CUMARL_HD inline uint32_t own_word(const Transition& step, uint32_t draw = 0) {
  const auto agent = static_cast<uint32_t>(step.agent);
  const Philox b = philox(step.key, step.t, Stream::learn, 16 * (agent % 255) + draw);
  const uint32_t words[4] = {b.x0, b.x1, b.x2, b.x3};
  return words[agent / 255 % 4];
}

/// A word that all agents of a run who ask for the same `speaker` at the same step are given: how
/// they draw one joint action together. Blocks from the upper end of a step's, where no agent's
/// own draws are.
CUMARL_HD inline uint32_t common_word(RunKey key, uint64_t t, int speaker) {
  return philox(key, t, Stream::learn, 4095u - static_cast<uint32_t>(speaker)).x0;
}

}  // namespace cumarl::inline CUMARL_VARIANT
