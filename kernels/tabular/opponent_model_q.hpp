/// \file
/// Q-learning with an opponent model.
#pragma once

#include "kernels/tabular/believing_learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// One distribution over the others' joint actions, which forgets: P += rate (seen - P).
struct RecentBeliefs {
  struct Config {
    double model_rate = 0.05;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("model_rate", c.model_rate, Bounds{0, 1}, "", "learning rate of the opponent model");
  }

  JointActions joints;
  int32_t agent;
  double rate;

  static RecentBeliefs make(const Config& c, const JointActions& joints, int agent) {
    return {joints, agent, c.model_rate};
  }
  CUMARL_HD size_t size() const { return static_cast<size_t>(joints.others(agent)); }
  CUMARL_HD void start(double* row) const {
    fill(row, size(), 1.0 / static_cast<double>(joints.others(agent)));
  }
  CUMARL_HD void see(double* row, const int* actions) const {
    const int seen = joints.others_of(joints.of(actions), agent);
    for (int o = 0; o < joints.others(agent); ++o) {
      row[o] += rate * ((o == seen ? 1.0 : 0.0) - row[o]);
    }
  }
  CUMARL_HD double probability(const double* row, int others) const { return row[others]; }
};

/// Best response to a learned model of the others, an observation.
/// Source: Uther and Veloso, "Adversarial reinforcement learning", CMU technical report 1997
/// (opponent modelling Q-learning): Q over own and others' actions, V(s) = max_a sum_o P(o|s)
/// Q(s,a,o). Deviation: their P is a relative frequency (as in joint_action_learner.hpp); here it
/// is an exponentially weighted one, so that a changing opponent is followed, and it is joint over
/// all others, so that it sees them correlate.
struct OpponentModelQ : BelievingLearner<RecentBeliefs> {
  static constexpr LearnerFacts kFacts{
      "opponent_model_q", "Q-learning with a recency-weighted opponent model",
      "Uther and Veloso 1997, with exponential forgetting", Sees::joint};
};

}  // namespace cumarl::inline CUMARL_VARIANT
