/// \file
/// What value learners with linear approximators share: Q_i(x, a) = w_ia . x for every agent on its
/// own features, exploration, and the family of one-step and trace updates.
#pragma once

#include <cstdint>

#include "kernels/linear/joint_learner.hpp"
#include "kernels/tabular/action_choice.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Weights of every agent for every action.
template <class Real>
struct LinearValues {
  struct Config : JointConfig {
    double alpha = 0.01;
    double gamma = 0.99;
    Exploration::Config exploration;

    void fields(FieldVisitor& v) {
      v("alpha", alpha, Bounds{0, 1e3}, "", "step size");
      v("gamma", gamma, Bounds{0, 1}, "", "discount factor");
      exploration.fields(v);
      JointConfig::fields(v);
    }
  };

  struct Params {
    Real alpha;
    Real gamma;
    int32_t agents;
    int32_t pitch;      ///< columns of a row of weights
    int32_t most;       ///< actions of the agent with most of them
    int32_t row_pitch;  ///< most, padded
    int32_t actions[kMaxJointAgents];
    Exploration exploration;
  };

  static Params make(const Config& c, const JointSpec& spec) {
    Params p{};
    p.alpha = static_cast<Real>(c.alpha);
    p.gamma = static_cast<Real>(c.gamma);
    p.agents = spec.agents;
    p.pitch = spec.pitch;
    for (int i = 0; i < spec.agents; ++i) {
      p.actions[i] = spec.actions[i];
      p.most = spec.actions[i] > p.most ? spec.actions[i] : p.most;
    }
    p.row_pitch = padded(p.most);
    p.exploration = Exploration::make(c.exploration, p.most);
    return p;
  }

  /// Entries of all agents' weights.
  CUMARL_HD static size_t entries(const Params& p) {
    return static_cast<size_t>(p.agents) * static_cast<size_t>(p.most) *
           static_cast<size_t>(p.pitch);
  }
  /// The weights of an agent's action [pitch].
  CUMARL_HD static Real* row(const Params& p, Real* weights, int agent, int action) {
    return weights + static_cast<size_t>(agent * p.most + action) * static_cast<size_t>(p.pitch);
  }

  /// The action that agent i plays by a row of values q [row_pitch], explored with a word; `parameter`: epsilon
  /// or the temperature.
  CUMARL_HD static int choose(const Params& p, int agent, const Real* q, uint32_t word,
                              float parameter) {
    const int n = p.actions[agent];
    if (p.exploration.kind == Exploration::kBoltzmann) {
      double values[kMaxJointActions] = {};
      for (int a = 0; a < n; ++a) values[a] = static_cast<double>(q[a]);
      return softmax_action(values, n, static_cast<double>(parameter), word);
    }
    const Decision d = Exploration::decide(parameter, static_cast<uint32_t>(n), word);
    return static_cast<int>((static_cast<uint32_t>(top_of_row(q, n)) & d.keep) | d.forced);
  }

  /// A temporal-difference error that no sound run makes: |error| at or above 1e30, or no number.
  CUMARL_HD static bool diverges(Real error) {
    return !(error < static_cast<Real>(1e30) && error > static_cast<Real>(-1e30));
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
