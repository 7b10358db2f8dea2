/// \file
/// Joint actions as numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/fields.hpp"
#include "kernels/core/hd.hpp"
#include "kernels/core/learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A joint action is the number sum of action_i * weight_i. In the plain order agent 0 has the
/// highest weight, as in RepeatedGame; learners that tell sides apart put theirs in front.
struct JointActions {
  static constexpr int kMaxAgents = 16;
  static constexpr uint64_t kMaxEntries = uint64_t{1} << 28;

  int32_t agents;
  uint32_t joint;  ///< number of joint actions
  int32_t actions[kMaxAgents];
  uint32_t weight[kMaxAgents];

  /// `order` lists the agents from the highest weight to the lowest; empty: the plain order.
  /// Throws ParameterError for too many agents, or more than 2^28 entries in `tables` tables.
  static JointActions make(const AgentSpec& spec, std::vector<int> order = {}, int tables = 1) {
    if (spec.agents > kMaxAgents) {
      throw ParameterError("name", "this learner tells up to 16 agents apart");
    }
    if (spec.observations == 0) {
      throw ParameterError("name", "this environment has no tabular observation of this size");
    }
    if (order.empty()) {
      for (int i = 0; i < spec.agents; ++i) order.push_back(i);
    }
    JointActions out{};
    out.agents = spec.agents;
    uint64_t joint = 1;
    for (auto i = order.rbegin(); i != order.rend(); ++i) {
      out.actions[*i] = spec.all_actions[*i];
      out.weight[*i] = static_cast<uint32_t>(joint);
      joint *= static_cast<uint64_t>(spec.all_actions[*i]);
      if (joint * spec.observations * static_cast<uint64_t>(tables) > kMaxEntries) {
        throw ParameterError("name",
                             "too many observations x joint actions for a table (2^28 entries)");
      }
    }
    out.joint = static_cast<uint32_t>(joint);
    return out;
  }

  CUMARL_HD int count() const { return static_cast<int>(joint); }
  CUMARL_HD int action_of(int cell, int agent) const {
    return cell / static_cast<int>(weight[agent]) % actions[agent];
  }
  CUMARL_HD int of(const int* chosen) const {
    uint32_t cell = 0;
    for (int i = 0; i < agents; ++i) cell += static_cast<uint32_t>(chosen[i]) * weight[i];
    return static_cast<int>(cell);
  }

  /// Joint actions of all but `agent`, in the same order.
  CUMARL_HD int others(int agent) const { return count() / actions[agent]; }
  CUMARL_HD int others_of(int cell, int agent) const {
    const int low = static_cast<int>(weight[agent]);
    return cell / (low * actions[agent]) * low + cell % low;
  }
  CUMARL_HD int with(int others, int agent, int action) const {
    const int low = static_cast<int>(weight[agent]);
    return (others / low * actions[agent] + action) * low + others % low;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
