/// \file
/// The parameters of any registered joint learner, on the host. Included by the generated registry.
#pragma once

#include <algorithm>
#include <string>
#include <type_traits>

#include "any_joint.gen.hpp"  // dispatch_joint
#include "kernels/linear/joint_learner.hpp"

namespace cumarl {

inline JointParams make_joint(const JointChoice& choice, const JointEnv& env, Arena& arena) {
  if (env.agents > kMaxJointAgents) {
    throw ParameterError("name", "a joint learner has up to " + std::to_string(kMaxJointAgents) +
                                     " agents, not " + std::to_string(env.agents));
  }
  JointParams p{};
  p.kind = choice.kind;
  p.agents = env.agents;
  p.gamma = 1.0;
  const auto make = [&]<class L>(auto real) {
    using Real = decltype(real);
    const auto& config = *static_cast<const typename L::Config*>(choice.config.get());
    p.float64 = config.precision.value == 1;
    if (p.float64 != (sizeof(Real) == 8)) return;
    JointSpec spec{};
    spec.agents = env.agents;
    spec.real = L::kActs == Acts::real;
    if constexpr (L::kActs == Acts::either) spec.real = config.continuous;
    if (spec.real && !env.has_real) {
      throw ParameterError(L::kActs == Acts::real ? "name" : "continuous",
                           "needs actions that are numbers, which this environment has not");
    }
    p.real = spec.real;
    p.greedy = L::kGreedy || spec.real;
    p.skips_global = !sees_global<L>();
    p.sparse = sees_any<L>();
    int most_features = 0;
    for (int i = 0; i < env.agents; ++i) {
      const auto at = static_cast<size_t>(i);
      if (!spec.real && env.actions[at] > kMaxJointActions) {
        throw ParameterError("name", "an agent of a joint learner has up to " +
                                         std::to_string(kMaxJointActions) + " actions, not " +
                                         std::to_string(env.actions[at]));
      }
      p.actions[i] = spec.actions[i] = env.actions[at];
      if (spec.real) {
        spec.low[i] = env.action_range[at].min;
        spec.high[i] = env.action_range[at].max;
      }
      p.basis[i] = Basis::make(config.features, env.features[at], env.observations[at], arena);
      spec.size[i] = p.basis[i].size;
      p.sparse = p.sparse && p.basis[i].sparse();
      p.ones[i] = p.basis[i].ones();
      p.ones_pitch = std::max(p.ones_pitch, p.ones[i]);
      p.pitch = std::max(p.pitch, padded(p.basis[i].size));
      p.raw_pitch = std::max(p.raw_pitch, padded(p.basis[i].inputs));
      most_features = std::max(most_features, p.basis[i].inputs);
    }
    p.global = Basis::make({}, env.global, 0, arena);
    p.global_pitch = padded(p.global.size);
    p.raw_global = padded(p.global.inputs);
    spec.pitch = p.pitch;
    spec.global_size = p.global.size;
    spec.global_pitch = p.global_pitch;
    spec.reward_low = env.reward.min;
    spec.reward_high = env.reward.max;
    spec.warnings = env.warnings;
    if constexpr (requires { config.gamma; }) p.gamma = config.gamma;
    static_assert(sizeof(typename L::Params) <= JointParams::kLearnerBytes);
    static_assert(alignof(typename L::Params) <= 16);
    static_assert(std::is_trivially_copyable_v<typename L::Params>);
    const typename L::Params made = L::make(config, spec, arena);
    __builtin_memcpy(p.learner, &made, sizeof(made));
    const auto up = [](size_t bytes) { return (bytes + 63) / 64 * 64; };
    p.raw_at = up(sizeof(JointHead));
    p.x_at =
        p.raw_at + up(static_cast<size_t>(p.agents * p.raw_pitch + p.raw_global) * sizeof(float));
    p.agents_bytes = up(p.sparse ? static_cast<size_t>(p.agents * p.ones_pitch) * sizeof(int32_t)
                                 : static_cast<size_t>(p.agents * p.pitch) * sizeof(Real));
    p.place_bytes = p.agents_bytes + static_cast<size_t>(p.global_pitch) * sizeof(Real);
    p.moved_at = p.x_at + 2 * p.place_bytes;
    p.perturb = Perturbation::make(config.perturb, config.features.kind.value == Basis::kOneHot,
                                   most_features, !spec.real && has_preferences<L>());
    p.views = env.shared_view && p.perturb.observation == Perturbation::kTrue ? 1 : env.agents;
    for (int i = 0; i < env.agents; ++i) {
      p.perturb.low[i] = spec.low[i];
      p.perturb.high[i] = spec.high[i];
    }
    const bool attacked = p.perturb.observation == Perturbation::kSign;
    p.learner_at = p.moved_at +
                   (attacked ? up(static_cast<size_t>(p.agents * p.raw_pitch) * sizeof(float)) : 0);
    p.ledger_at = p.learner_at + up(L::bytes(made));
    p.constraint = Constraint::make(config.constraint, env.agents, env.has_costs, env.endless);
    p.bytes = p.ledger_at + (p.constraint.on ? up(sizeof(Constraint::Ledger)) : 0);
  };
  dispatch_joint<float>(choice.kind, [&]<class L>() { make.template operator()<L>(0.0F); });
  dispatch_joint<double>(choice.kind, [&]<class L>() { make.template operator()<L>(0.0); });
  return p;
}

}  // namespace cumarl
