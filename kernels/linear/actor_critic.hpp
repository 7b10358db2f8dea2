/// \file
/// One-step and TD(lambda) actor-critic with linear policies and values.
#pragma once

#include <cstdint>

#include "kernels/linear/linear_actor.hpp"
#include "kernels/linear/optimizer.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Every agent for itself, on its own features x:
///   delta = r + gamma v . x' - v . x
///   e_v = gamma lambda e_v + x;                   v     += critic_alpha delta e_v
///   e   = gamma actor_lambda e + grad ln pi(a|x); theta += alpha (delta e + entropy grad H)
/// lambda = actor_lambda = 0 is the one-step method. Memory of a run: parameters of all policies,
/// then of all values; a trace for each entry; what was chosen.
/// Source: Sutton and Barto, "Reinforcement Learning", 2nd ed. 2018, section 13.5, "Actor-Critic
/// with Eligibility Traces (episodic)".
/// Deviation: without the factor gamma^k of the k-th step of an episode, as is usual; the entropy's
/// gradient, 0 by default, is added. At a time limit the bootstrap stays.
template <class Real>
struct ActorCritic {
  using Actor = LinearActor<Real>;
  static constexpr LearnerFacts kFacts{"actor_critic",
                                       "TD(lambda) actor-critic, linear, every agent for itself",
                                       "Sutton and Barto 2018, section 13.5"};
  static constexpr Acts kActs = Acts::either;
  static constexpr bool kGreedy = false;

  struct Config : Actor::EitherConfig {
    double alpha = 0.01;
    double critic_alpha = 0.02;
    double lambda = 0.0;
    double actor_lambda = 0.0;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1e3}, "", "step size of the policies");
    v("critic_alpha", c.critic_alpha, Bounds{0, 1e3}, "", "step size of the values");
    v("lambda", c.lambda, Bounds{0, 1}, "", "decay of the values' eligibility traces; 0: none");
    v("actor_lambda", c.actor_lambda, Bounds{0, 1}, "", "decay of the policies' traces; 0: none");
    c.Actor::EitherConfig::fields(v);
  }

  struct Params {
    typename Actor::Params actor;
    Real alpha, critic_alpha;
    Real decay, actor_decay;  ///< gamma times the lambdas
  };
  static Params make(const Config& c, const JointSpec& spec, Arena&) {
    warn_of_overshoot(spec, "critic_alpha", c.critic_alpha, widest(spec));
    return {Actor::make(c, spec), static_cast<Real>(c.alpha), static_cast<Real>(c.critic_alpha),
            static_cast<Real>(c.gamma * c.lambda), static_cast<Real>(c.gamma * c.actor_lambda)};
  }

  CUMARL_HD static size_t bytes(const Params& p) {
    return (2 * entries(p) + kMaxJointAgents) * sizeof(Real);
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
    typename Actor::Policy policy;
    for (int i = 0; i < p.actor.agents; ++i) {
      const Real choice = Actor::act(team, p.actor, policy_weights(p, memory, i), i, seen.agent(i),
                                     words[i], policy, out);
      if (team.rank() == 0) chosen(p, memory)[i] = choice;
    }
    team.sync();
  }

  template <class Team>
  CUMARL_HD static int learn(const Team& team, const Params& p, std::byte* memory,
                             const Seen<Real>& from, const Seen<Real>& to, const JointStep& step) {
    const bool stays = step.episode == Episode::goes_on;
    const int size = p.actor.size;
    const int pitch = p.actor.pitch;
    int diverged = -1;
    typename Actor::Policy policy;
    for (int i = 0; i < p.actor.agents; ++i) {
      const Real* const x = from.agent(i);
      Real* const w = policy_weights(p, memory, i);
      Real* const e = w + entries(p);
      Real* const v = value_weights(p, memory, i);
      Real* const ev = v + entries(p);
      Real delta = static_cast<Real>(step.rewards[i]) - dot(team, v, x, pitch);
      if (step.episode != Episode::ended) delta += p.actor.gamma * dot(team, v, to.agent(i), pitch);
      if (diverging(delta) && diverged < 0) diverged = i;
      Actor::at(team, p.actor, w, i, x, policy);
      team.sync();  // all have read the standard deviation
      for_columns(team, size, [&](int k) { e[k] *= p.actor_decay; });
      for_columns(team, pitch, [&](int k) { ev[k] = p.decay * ev[k] + x[k]; });
      const Real choice = chosen(p, memory)[i];
      Actor::add_gradient(team, p.actor, policy, choice, 1.0, 0.0, x, e);
      add_scaled(team, v, p.critic_alpha * delta, ev, pitch);
      add_scaled(team, w, p.alpha * delta, e, size);
      if (p.actor.entropy > 0) {
        Actor::add_gradient(team, p.actor, policy, choice, 0.0,
                            static_cast<double>(p.alpha) * p.actor.entropy, x, w);
      }
      Actor::bound(team, p.actor, w);
      if (!stays) {
        fill(team, e, Real(0), size);
        fill(team, ev, Real(0), pitch);
      }
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
    return reinterpret_cast<Real*>(memory) +
           static_cast<size_t>(agent) * static_cast<size_t>(p.actor.size);
  }
  /// Weights of an agent's value [pitch].
  CUMARL_HD static Real* value_weights(const Params& p, std::byte* memory, int agent) {
    return policy_weights(p, memory, p.actor.agents) +
           static_cast<size_t>(agent) * static_cast<size_t>(p.actor.pitch);
  }

 private:
  CUMARL_HD static size_t entries(const Params& p) {
    return static_cast<size_t>(p.actor.agents) * static_cast<size_t>(p.actor.size + p.actor.pitch);
  }
  /// What was chosen last [agents].
  CUMARL_HD static Real* chosen(const Params& p, std::byte* memory) {
    return reinterpret_cast<Real*>(memory) + 2 * entries(p);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
