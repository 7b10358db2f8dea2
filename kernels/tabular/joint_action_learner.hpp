/// \file
/// Joint-action learners.
#pragma once

#include "kernels/tabular/believing_learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Every other agent is believed to play each action as often as it has, independently of the rest.
struct EmpiricalBeliefs {
  struct Config {
    double prior = 1.0;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("prior", c.prior, Bounds{1e-9, 1e12}, "step",
      "how often each of the others' actions counts as seen at the start");
  }

  JointActions joints;
  int32_t agent;
  double prior;
  int32_t first[JointActions::kMaxAgents];  ///< where an agent's counts begin in a row
  int32_t total;

  static EmpiricalBeliefs make(const Config& c, const JointActions& joints, int agent) {
    EmpiricalBeliefs b{joints, agent, c.prior, {}, 0};
    for (int i = 0; i < joints.agents; ++i) {
      b.first[i] = b.total;
      if (i != agent) b.total += joints.actions[i] + 1;  // the counts' sum stands last
    }
    return b;
  }
  CUMARL_HD size_t size() const { return static_cast<size_t>(total); }
  CUMARL_HD void start(double* row) const {
    for (int i = 0; i < joints.agents; ++i) {
      if (i == agent) continue;
      for (int a = 0; a < joints.actions[i]; ++a) row[first[i] + a] = prior;
      row[first[i] + joints.actions[i]] = prior * joints.actions[i];
    }
  }
  CUMARL_HD void see(double* row, const int* actions) const {
    for (int i = 0; i < joints.agents; ++i) {
      if (i == agent) continue;
      row[first[i] + actions[i]] += 1.0;
      row[first[i] + joints.actions[i]] += 1.0;
    }
  }
  CUMARL_HD double probability(const double* row, int others) const {
    const int cell = joints.with(others, agent, 0);
    double product = 1.0;
    for (int i = 0; i < joints.agents; ++i) {
      if (i == agent) continue;
      product *= row[first[i] + joints.action_of(cell, i)] / row[first[i] + joints.actions[i]];
    }
    return product;
  }
};

/// Source: Claus and Boutilier, "The dynamics of reinforcement learning in cooperative multiagent
/// systems", AAAI 1998, section 2: Q over joint actions, beliefs from relative frequencies, and
/// the expected value EV. Deviations: theirs is a stateless game; here counts are kept an
/// observation, and the value of the next observation is max EV. They start from no counts; `prior`
/// may be made as small as 1e-9.
struct JointActionLearner : BelievingLearner<EmpiricalBeliefs> {
  static constexpr LearnerFacts kFacts{"joint_action_learner", "Joint-action learner",
                                       "Claus and Boutilier, AAAI 1998, section 2", Sees::joint};
};

}  // namespace cumarl::inline CUMARL_VARIANT
