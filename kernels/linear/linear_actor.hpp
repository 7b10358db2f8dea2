/// \file
/// What learners with linear policies share: an agent's policy on its own features x, drawn from,
/// evaluated, and differentiated.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/linear/gaussian_policy.hpp"
#include "kernels/linear/joint_learner.hpp"
#include "kernels/linear/softmax_policy.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Numbered actions: a softmax over w_a . x. Real actions in [low, high]: u is drawn from a Gaussian
/// with mean w . x and standard deviation exp(s), and the action is
/// clip(middle + half u, low, high), where middle and half are the interval's centre and half its
/// length. Probabilities are those of u, before it is clipped.
///
/// A policy's parameters are one vector: numbered [most][pitch], the rows w_a; real [pitch], the
/// weights of the mean, then s and kColumns - 1 zeros. They start at zero, s at log_std.
/// Deviation: mean and standard deviation are in half lengths of the interval, so that zero weights
/// aim at its centre and step sizes do not depend on the action's unit; s is kept within
/// [kLeastLogStd, kMostLogStd], since a standard deviation that vanishes stops all learning.
template <class Real>
struct LinearActor {
  static constexpr double kLeastLogStd = -5.0;
  static constexpr double kMostLogStd = 2.0;

  struct Config : JointConfig {
    double gamma = 0.99;
    double entropy = 0.0;

    void fields(FieldVisitor& v) {
      v("gamma", gamma, Bounds{0, 1}, "", "discount factor");
      v("entropy", entropy, Bounds{0, 1e3}, "", "weight of the policy's entropy in the objective");
      JointConfig::fields(v);
    }
  };

  /// Of learners that play numbered and real actions.
  struct EitherConfig : Config {
    bool continuous = false;
    double log_std = -0.5;
    bool learn_std = true;

    void fields(FieldVisitor& v) {
      v("continuous", continuous, "choose numbers instead of numbered actions");
      v("log_std", log_std, Bounds{kLeastLogStd, kMostLogStd}, "",
        "continuous: logarithm of the first standard deviation, in half the actions' range");
      v("learn_std", learn_std, "continuous: learn the standard deviation; false: it stays");
      Config::fields(v);
    }
  };

  struct Params {
    Real gamma;
    double entropy;
    int32_t agents;
    int32_t pitch;
    int32_t most;  ///< actions of the agent with most of them; 1 where actions are real
    int32_t size;  ///< entries of a policy's parameters
    bool real, learn_std;
    double log_std;
    int32_t actions[kMaxJointAgents];
    double low[kMaxJointAgents];
    double high[kMaxJointAgents];
  };

  static Params make(const Config& c, const JointSpec& spec) {
    Params p{};
    p.gamma = static_cast<Real>(c.gamma);
    p.entropy = c.entropy;
    p.agents = spec.agents;
    p.pitch = spec.pitch;
    p.real = spec.real;
    p.most = 1;
    for (int i = 0; i < spec.agents; ++i) {
      p.actions[i] = spec.real ? 1 : spec.actions[i];
      p.low[i] = spec.low[i];
      p.high[i] = spec.high[i];
      p.most = p.actions[i] > p.most ? p.actions[i] : p.most;
    }
    p.size = p.most * p.pitch + (p.real ? kColumns : 0);
    return p;
  }
  static Params make(const EitherConfig& c, const JointSpec& spec) {
    Params p = make(static_cast<const Config&>(c), spec);
    p.learn_std = c.learn_std;
    p.log_std = c.log_std;
    return p;
  }

  /// Gives a policy's parameters, all zero, their first values.
  template <class Team>
  CUMARL_HD static void init(const Team& team, const Params& p, Real* w) {
    if (p.real && team.rank() == 0) w[p.pitch] = static_cast<Real>(p.log_std);
  }

  /// Brings the standard deviation back into its bounds. After a step, before others read.
  template <class Team>
  CUMARL_HD static void bound(const Team& team, const Params& p, Real* w) {
    if (!p.real || team.rank() != 0) return;
    Real& s = w[p.pitch];
    if (s < static_cast<Real>(kLeastLogStd)) s = static_cast<Real>(kLeastLogStd);
    if (s > static_cast<Real>(kMostLogStd)) s = static_cast<Real>(kMostLogStd);
  }

  /// An agent's policy at one x: the one of the two that Params::real says.
  struct Policy {
    SoftmaxPolicy softmax;
    GaussianPolicy gaussian;
    bool real;

    /// What is chosen with a random word: an action's number, or u.
    CUMARL_HD Real draw(uint32_t word) const {
      return real ? static_cast<Real>(gaussian.draw(word)) : static_cast<Real>(softmax.draw(word));
    }
    CUMARL_HD double log_probability(Real chosen) const {
      return real ? gaussian.log_density(static_cast<double>(chosen))
                  : softmax.log_probability[static_cast<int>(chosen)];
    }
    CUMARL_HD double entropy() const { return real ? gaussian.entropy() : softmax.entropy(); }
  };

  /// The policy with parameters w of agent i at x [pitch]; the same in every lane.
  template <class Team>
  CUMARL_HD static void at(const Team& team, const Params& p, const Real* w, int agent,
                           const Real* x, Policy& out) {
    out.real = p.real;
    if (p.real) {
      out.gaussian = {static_cast<double>(dot(team, w, x, p.pitch)),
                      static_cast<double>(w[p.pitch])};
      return;
    }
    out.softmax.actions = p.actions[agent];
    for (int a = 0; a < p.actions[agent]; ++a) {
      out.softmax.log_probability[a] = static_cast<double>(dot(team, w + row(p, a), x, p.pitch));
    }
    out.softmax.normalize();
  }

  /// g += score * grad ln pi(chosen) + entropy * grad H, by the policy's parameters, at x. A lane
  /// writes its own columns.
  template <class Team>
  CUMARL_HD static void add_gradient(const Team& team, const Params& p, const Policy& policy,
                                     Real chosen, double score, double entropy, const Real* x,
                                     Real* g) {
    if (p.real) {
      const auto u = static_cast<double>(chosen);
      const double slope = score * policy.gaussian.mean_score(u);
      add_scaled(team, g, static_cast<Real>(slope), x, p.pitch);
      if (p.learn_std && team.rank() == 0) {
        g[p.pitch] += static_cast<Real>(score * policy.gaussian.log_std_score(u) + entropy);
      }
      return;
    }
    const double h = entropy == 0 ? 0.0 : policy.softmax.entropy();
    for (int a = 0; a < policy.softmax.actions; ++a) {
      double slope = score * policy.softmax.score(static_cast<int>(chosen), a);
      if (entropy != 0) slope += entropy * policy.softmax.entropy_slope(h, a);
      add_scaled(team, g + row(p, a), static_cast<Real>(slope), x, p.pitch);
    }
  }

  /// Draws what agent i does at x with a random word, and hands it to the environment. Returns what
  /// was drawn; `policy` is the policy at x.
  template <class Team>
  CUMARL_HD static Real act(const Team& team, const Params& p, const Real* w, int agent,
                            const Real* x, uint32_t word, Policy& policy, JointAction& out) {
    at(team, p, w, agent, x, policy);
    const Real chosen = policy.draw(word);
    if (p.real) {
      out.value[agent] = in_range(p, agent, static_cast<double>(chosen));
    } else {
      out.action[agent] = static_cast<int32_t>(chosen);
    }
    return chosen;
  }

  /// The evaluated policy: probabilities [actions], or the mean action in out[0].
  template <class Team>
  CUMARL_HD static void evaluated(const Team& team, const Params& p, const Real* w, int agent,
                                  const Real* x, double* out) {
    Policy policy;
    at(team, p, w, agent, x, policy);
    if (p.real) {
      out[0] = in_range(p, agent, policy.gaussian.mean);
      return;
    }
    for (int a = 0; a < p.actions[agent]; ++a) out[a] = policy.softmax.probability[a];
  }

 private:
  CUMARL_HD static size_t row(const Params& p, int action) {
    return static_cast<size_t>(action) * static_cast<size_t>(p.pitch);
  }
  CUMARL_HD static double in_range(const Params& p, int agent, double u) {
    const double low = p.low[agent];
    const double high = p.high[agent];
    const double value = 0.5 * (low + high) + 0.5 * (high - low) * u;
    return value < low ? low : (value > high ? high : value);
  }
};

/// Adds a warning where a step of `alpha` on `features` entries of size 1 can overshoot.
inline void warn_of_overshoot(const JointSpec& spec, const char* key, double alpha, int features) {
  if (spec.warnings == nullptr || alpha * features <= 2) return;
  spec.warnings->push_back("learner." + std::string(key) + ": a step of " + std::to_string(alpha) +
                           " on up to " + std::to_string(features) +
                           " features of size 1 can overshoot: its product with |x|^2 above 2 is "
                           "not stable");
}

/// Entries of the longest x of an agent.
inline int widest(const JointSpec& spec) {
  int most = 0;
  for (int i = 0; i < spec.agents; ++i) most = spec.size[i] > most ? spec.size[i] : most;
  return most;
}

}  // namespace cumarl::inline CUMARL_VARIANT
