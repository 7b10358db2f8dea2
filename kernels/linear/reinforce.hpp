/// \file
/// REINFORCE with linear policies and baselines.
#pragma once

#include <cstdint>

#include "kernels/linear/linear_actor.hpp"
#include "kernels/linear/optimizer.hpp"
#include "kernels/linear/trajectory.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Every agent for itself, on its own features x. When an episode is over, or every `horizon` steps
/// of a longer one, for its steps k in order, with the return G_k = r_k + gamma G_(k+1):
///   delta = G_k - v . x_k
///   v     += baseline_alpha delta x_k
///   theta += alpha (delta grad ln pi(a_k | x_k) + entropy grad H(x_k))
/// Memory of a run: Head; parameters of all policies, then of all baselines; the trajectory.
/// Source: Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist
/// Reinforcement Learning", Machine Learning 8, 1992; Sutton and Barto, "Reinforcement Learning",
/// 2nd ed. 2018, section 13.4, "REINFORCE with Baseline".
/// Deviation: without the factor gamma^k, as is usual; the entropy's gradient, 0 by default, is
/// added. Where `horizon` or a time limit breaks a return off, gamma v . x of the state that
/// followed stands for the rest.
template <class Real>
struct Reinforce {
  using Actor = LinearActor<Real>;
  using Steps = Trajectory<Real>;
  static constexpr LearnerFacts kFacts{"reinforce",
                                       "REINFORCE with baseline, linear, every agent for itself",
                                       "Williams 1992; Sutton and Barto 2018, section 13.4"};
  static constexpr Acts kActs = Acts::either;
  static constexpr bool kGreedy = false;

  struct Config : Actor::EitherConfig {
    double alpha = 0.005;
    double baseline_alpha = 0.01;
    int horizon = 256;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1e3}, "", "step size of the policies");
    v("baseline_alpha", c.baseline_alpha, Bounds{0, 1e3}, "",
      "step size of the baselines; 0: no baseline");
    v("horizon", c.horizon, Bounds{1, 65536}, "joint step", "most steps before it learns");
    c.Actor::EitherConfig::fields(v);
  }

  struct Params {
    typename Actor::Params actor;
    typename Steps::Shape steps;
    Real alpha, baseline_alpha;
  };
  static Params make(const Config& c, const JointSpec& spec, Arena&) {
    warn_of_overshoot(spec, "baseline_alpha", c.baseline_alpha, widest(spec));
    return {Actor::make(c, spec),
            {c.horizon, spec.agents, spec.pitch, 0},
            static_cast<Real>(c.alpha),
            static_cast<Real>(c.baseline_alpha)};
  }

  CUMARL_HD static size_t bytes(const Params& p) {
    return kHeadBytes + entries(p) * sizeof(Real) + Steps::bytes(p.steps);
  }

  template <class Team>
  CUMARL_HD static void init(const Team& team, const Params& p, std::byte* memory, RunKey) {
    for (int i = 0; i < p.actor.agents; ++i) {
      Actor::init(team, p.actor, policy_weights(p, memory, i));
    }
  }

  template <class Team>
  CUMARL_HD static void act(const Team& team, const Params& p, std::byte* memory,
                            const Seen<Real>& seen, const uint32_t* words, uint64_t,
                            JointAction& out) {
    const Steps steps = trajectory(p, memory);
    const int k = count(memory);
    typename Actor::Policy policy;
    for (int i = 0; i < p.actor.agents; ++i) {
      const Real chosen = Actor::act(team, p.actor, policy_weights(p, memory, i), i, seen.agent(i),
                                     words[i], policy, out);
      if (team.rank() == 0) steps.at(Kept::chosen, k, i) = chosen;
    }
  }

  template <class Team>
  CUMARL_HD static int learn(const Team& team, const Params& p, std::byte* memory,
                             const Seen<Real>& from, const Seen<Real>& to, const JointStep& step) {
    const Steps steps = trajectory(p, memory);
    const int k = count(memory);
    const bool over = step.episode != Episode::goes_on || k + 1 == p.steps.steps;
    steps.keep(team, k, from);
    if (team.rank() == 0) {
      for (int i = 0; i < p.actor.agents; ++i) {
        steps.at(Kept::reward, k, i) = static_cast<Real>(step.rewards[i]);
      }
    }
    team.sync();  // all have read the count
    if (team.rank() == 0) count(memory) = over ? 0 : k + 1;
    team.sync();
    if (!over) return -1;
    int diverged = -1;
    for (int i = 0; i < p.actor.agents; ++i) {
      const Real* const v = baseline_weights(p, memory, i);
      const Real rest =
          step.episode == Episode::ended ? Real(0) : dot(team, v, to.agent(i), p.actor.pitch);
      if (team.rank() == 0) {
        Real later = rest;
        for (int j = k; j >= 0; --j) {
          later = steps.at(Kept::reward, j, i) + p.actor.gamma * later;
          steps.at(Kept::target, j, i) = later;
        }
      }
    }
    team.sync();
    for (int i = 0; i < p.actor.agents; ++i) {
      if (ascend(team, p, memory, i, k + 1) && diverged < 0) diverged = i;
    }
    team.sync();
    return diverged;
  }

  template <class Team>
  CUMARL_HD static void policy(const Team& team, const Params& p, std::byte* memory,
                               const Seen<Real>& seen, int agent, double* out) {
    Actor::evaluated(team, p.actor, policy_weights(p, memory, agent), agent, seen.agent(agent),
                     out);
  }

  /// Parameters of an agent's policy, LinearActor's.
  CUMARL_HD static Real* policy_weights(const Params& p, std::byte* memory, int agent) {
    return reinterpret_cast<Real*>(memory + kHeadBytes) +
           static_cast<size_t>(agent) * static_cast<size_t>(p.actor.size);
  }
  /// Weights of an agent's baseline [pitch].
  CUMARL_HD static Real* baseline_weights(const Params& p, std::byte* memory, int agent) {
    return policy_weights(p, memory, p.actor.agents) +
           static_cast<size_t>(agent) * static_cast<size_t>(p.actor.pitch);
  }

 private:
  static constexpr size_t kHeadBytes = 64;

  /// Steps kept.
  CUMARL_HD static int32_t& count(std::byte* memory) { return *reinterpret_cast<int32_t*>(memory); }
  CUMARL_HD static size_t entries(const Params& p) {
    return static_cast<size_t>(p.actor.agents) * static_cast<size_t>(p.actor.size + p.actor.pitch);
  }
  CUMARL_HD static Steps trajectory(const Params& p, std::byte* memory) {
    return {p.steps, memory + kHeadBytes + entries(p) * sizeof(Real)};
  }

  /// Learns an agent's `n` kept steps; whether it diverges.
  template <class Team>
  CUMARL_HD static bool ascend(const Team& team, const Params& p, std::byte* memory, int agent,
                               int n) {
    const Steps steps = trajectory(p, memory);
    Real* const w = policy_weights(p, memory, agent);
    Real* const v = baseline_weights(p, memory, agent);
    const auto alpha = static_cast<double>(p.alpha);
    bool diverged = false;
    typename Actor::Policy policy;
    for (int k = 0; k < n; ++k) {
      const Real* const x = steps.x(k, agent);
      const Real delta = steps.at(Kept::target, k, agent) - dot(team, v, x, p.actor.pitch);
      diverged = diverged || diverging(delta);
      add_scaled(team, v, p.baseline_alpha * delta, x, p.actor.pitch);
      Actor::at(team, p.actor, w, agent, x, policy);
      if (p.actor.real) team.sync();  // all have read the standard deviation
      Actor::add_gradient(team, p.actor, policy, steps.at(Kept::chosen, k, agent),
                          alpha * static_cast<double>(delta), alpha * p.actor.entropy, x, w);
      Actor::bound(team, p.actor, w);
      if (p.actor.real) team.sync();
    }
    return diverged;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
