/// \file
/// The one-shot game of a side against all others, as zero-sum: the rule of minimax-Q and of
/// friend-or-foe-Q.
#pragma once

#include <vector>

#include "kernels/solvers/zero_sum.hpp"
#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/joint_actions.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// max over the side's joint mixed strategies of min over the foes' joint actions of the agent's own
/// Q. Plans are the side's joint actions. Without foes the best joint action, of equals the lowest.
struct TwoSides {
  static constexpr int tables = 1;

  JointActions joints;  ///< the own side in front, in the order of the agents
  int32_t plans;
  int32_t plan_weight;
  int32_t speaker;
  int32_t agent;

  /// `friends` tells for every agent whether it is on the agent's side. Throws ParameterError.
  static TwoSides among(const AgentSpec& spec, const std::vector<bool>& friends) {
    std::vector<int> order;
    for (const bool wanted : {true, false}) {
      for (int i = 0; i < spec.agents; ++i) {
        if ((i == spec.agent || friends[static_cast<size_t>(i)]) == wanted) order.push_back(i);
      }
    }
    TwoSides out{};
    out.joints = JointActions::make(spec, order);
    out.agent = spec.agent;
    uint64_t side = 1;
    int members = 0;
    for (const int i : order) {
      if (i != spec.agent && !friends[static_cast<size_t>(i)]) break;
      side *= static_cast<uint64_t>(spec.all_actions[i]);
      ++members;
    }
    out.plans = static_cast<int32_t>(side);
    const int foes = out.foes();
    if (foes > 1 && (side > kMaxSolverActions || foes > kMaxSolverActions)) {
      throw ParameterError("name",
                           "this learner takes up to 16 joint actions of each of the two sides");
    }
    out.plan_weight = static_cast<int32_t>(out.joints.weight[spec.agent]) / foes;
    out.speaker = members > 1 ? order[0] : -1;
    return out;
  }

  CUMARL_HD int foes() const { return joints.count() / plans; }
  CUMARL_HD int owner(int) const { return agent; }
  CUMARL_HD int place(int, int cell) const { return cell; }
  CUMARL_HD size_t scratch() const { return 0; }
  CUMARL_HD bool solve(const double* q, double*, double* strategy, double* value) const {
    if (foes() == 1) {
      const int best = arg_max(q, plans);
      pure_strategy(best, plans, strategy);
      value[0] = q[best];
      return true;
    }
    const ZeroSumSolution game = solve_zero_sum(q, plans, foes());
    if (!game.ok) return false;
    for (int k = 0; k < plans; ++k) strategy[k] = game.row[k];
    value[0] = game.value;
    return true;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
