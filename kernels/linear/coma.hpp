/// \file
/// Counterfactual multi-agent policy gradients with linear policies and critics.
#pragma once

#include <cstdint>

#include "kernels/linear/linear_actor.hpp"
#include "kernels/linear/optimizer.hpp"
#include "kernels/linear/trajectory.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Agent i has a critic of its own action a among the others' actions u_-i:
///   Q_i(s, u_-i, a) = w_ia . s + sum over j other than i of w_ia[j, u_j]
/// with s the global vector: linear in s and in the others' actions, one number each. Every
/// `horizon` steps, first the critics, for the kept steps from the last to the first, then once the
/// policies, whose gradient is the mean over the steps:
///   G_k = r_k + gamma ((1 - lambda) Q'(k+1) + lambda G_(k+1));  Q_i += critic_alpha (G - Q_i) grad Q_i
///   A_i = Q_i(s, u_-i, u_i) - sum_a pi_i(a) Q_i(s, u_-i, a);    ascends A_i ln pi_i(u_i) + entropy H
/// Q' are critics of earlier weights, taken over from Q every `target_every` updates. Behind the last
/// step, and where a time limit cuts an episode, Q' of actions drawn from the policies stands for
/// what follows. Memory of a run: Head; parameters of all policies; their gradients; their moments;
/// all critics [agents][most][width]; Q'; the trajectory.
/// Source: Foerster et al., "Counterfactual Multi-Agent Policy Gradients", AAAI 2018, eq. (4) and
/// algorithm 1.
/// Deviation: an agent's critic learns its own rewards (with common rewards they are the paper's);
/// no recurrence, one environment a run; exploration by the entropy's weight instead of a floor
/// under the probabilities; Adam instead of RMSProp for the policies.
template <class Real>
struct Coma {
  using Actor = LinearActor<Real>;
  using Steps = Trajectory<Real>;
  using Descent = Optimizer<Real>;
  static constexpr LearnerFacts kFacts{"coma",
                                       "counterfactual multi-agent policy gradients, linear",
                                       "Foerster et al. 2018, eq. (4) and algorithm 1"};
  static constexpr Acts kActs = Acts::numbered;
  static constexpr bool kGreedy = false;

  struct Config : Actor::Config {
    double alpha = 0.01;
    double critic_alpha = 0.01;
    double lambda = 0.8;
    int horizon = 64;
    int target_every = 10;
    typename Descent::Config optimizer;

    Config() { this->entropy = 0.01; }
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1e3}, "", "step size of the policies");
    v("critic_alpha", c.critic_alpha, Bounds{0, 1e3}, "", "step size of the critics");
    v("lambda", c.lambda, Bounds{0, 1}, "", "weight of later steps in the critics' targets");
    v("horizon", c.horizon, Bounds{1, 65536}, "joint step", "steps between two updates");
    v("target_every", c.target_every, Bounds{1, 1e9}, "update",
      "updates until targets take over the critics' weights");
    c.optimizer.fields(v);
    c.Actor::Config::fields(v);
  }

  struct Params {
    typename Actor::Params actor;
    Descent descent;
    typename Steps::Shape steps;
    Real alpha, critic_alpha, lambda;
    int32_t width;  ///< columns of a critic's row: the global vector's, then of all agents' actions
    int32_t target_every;
    int32_t action_at[kMaxJointAgents];  ///< column of an agent's action 0
  };
  static Params make(const Config& c, const JointSpec& spec, Arena&) {
    Params p{};
    p.actor = Actor::make(c, spec);
    p.descent = Descent::make(c.optimizer);
    p.steps = {c.horizon, spec.agents, spec.pitch, spec.global_pitch};
    p.alpha = static_cast<Real>(c.alpha);
    p.critic_alpha = static_cast<Real>(c.critic_alpha);
    p.lambda = static_cast<Real>(c.lambda);
    p.target_every = c.target_every;
    int at = spec.global_pitch;
    for (int i = 0; i < spec.agents; ++i) {
      p.action_at[i] = at;
      at += spec.actions[i];
    }
    p.width = padded(at);
    warn_of_overshoot(spec, "critic_alpha", c.critic_alpha, spec.global_size + spec.agents - 1);
    return p;
  }

  CUMARL_HD static size_t bytes(const Params& p) {
    return kHeadBytes +
           (policies(p) * static_cast<size_t>(2 + p.descent.moments()) + 2 * critics(p)) *
               sizeof(Real) +
           Steps::bytes(p.steps);
  }

  template <class Team>
  CUMARL_HD static void init(const Team& team, const Params& p, std::byte* memory, RunKey) {
    if (team.rank() == 0) *head(memory) = {0, 0, p.descent.first()};
  }

  template <class Team>
  CUMARL_HD static void act(const Team& team, const Params& p, std::byte* memory,
                            const Seen<Real>& seen, const uint32_t* words, uint64_t,
                            JointAction& out) {
    const Steps steps = trajectory(p, memory);
    const int k = head(memory)->count;
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
    const int n = p.steps.steps;
    const int k = head(memory)->count;
    const bool full = k + 1 == n;
    const bool bootstraps =
        step.episode == Episode::cut || (full && step.episode == Episode::goes_on);
    JointAction drawn{};
    if (bootstraps) {
      typename Actor::Policy policy;
      for (int i = 0; i < p.actor.agents; ++i) {
        Actor::at(team, p.actor, policy_weights(p, memory, i), i, to.agent(i), policy);
        const auto block = static_cast<uint32_t>(i);
        drawn.action[i] = policy.softmax.draw(philox(step.key, step.t, Stream::learn, block).x0);
      }
    }
    int diverged = -1;
    steps.keep(team, k, from);
    for (int i = 0; i < p.actor.agents; ++i) {
      const Real* const old = target(p, memory, i);
      const int a = step.actions->action[i];
      const Real value = q(team, p, old, i, a, from.global, step.actions->action);
      const Real next =
          bootstraps ? q(team, p, old, i, drawn.action[i], to.global, drawn.action) : Real(0);
      if (diverging(value) && diverged < 0) diverged = i;
      if (team.rank() == 0) {
        steps.at(Kept::reward, k, i) = static_cast<Real>(step.rewards[i]);
        steps.at(Kept::value, k, i) = value;
        steps.at(Kept::next, k, i) = next;
      }
    }
    team.sync();  // all have read the count
    if (team.rank() == 0) {
      steps.episode(k) = step.episode;
      head(memory)->count = full ? 0 : k + 1;
    }
    team.sync();
    if (!full) return diverged;
    const int in_update = update(team, p, memory);
    return diverged >= 0 ? diverged : in_update;
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
  /// An agent's critic [most][width].
  CUMARL_HD static Real* critic(const Params& p, std::byte* memory, int agent) {
    return policy_weights(p, memory, 0) +
           policies(p) * static_cast<size_t>(2 + p.descent.moments()) +
           static_cast<size_t>(agent * p.actor.most) * static_cast<size_t>(p.width);
  }
  CUMARL_HD static Steps trajectory(const Params& p, std::byte* memory) {
    return {p.steps, reinterpret_cast<std::byte*>(critic(p, memory, 0) + 2 * critics(p))};
  }

  /// Q of agent i's action a by its critic w, at global vector s, among the others' actions
  /// [agents]; the same in every lane.
  template <class Team>
  CUMARL_HD static Real q(const Team& team, const Params& p, const Real* w, int agent, int a,
                          const Real* s, const int32_t* actions) {
    const Real* const row = w + static_cast<size_t>(a) * static_cast<size_t>(p.width);
    Real value = dot(team, row, s, p.steps.global_pitch);
    for (int j = 0; j < p.actor.agents; ++j) {
      if (j != agent) value += row[p.action_at[j] + actions[j]];
    }
    return value;
  }

  /// A_i(a) = Q_i(s, u_-i, a) - sum_b pi(b) Q_i(s, u_-i, b) for every own action a, into out
  /// [actions]; the same in every lane.
  template <class Team>
  CUMARL_HD static void advantages(const Team& team, const Params& p, const Real* w, int agent,
                                   const SoftmaxPolicy& policy, const Real* s,
                                   const int32_t* actions, double* out) {
    double mean = 0;
    for (int a = 0; a < policy.actions; ++a) {
      out[a] = static_cast<double>(q(team, p, w, agent, a, s, actions));
      mean += policy.probability[a] * out[a];
    }
    for (int a = 0; a < policy.actions; ++a) out[a] -= mean;
  }

  /// Gradient of agent i's policy loss (what it descends) over all kept steps, at parameters w, into
  /// g; a lane writes its own columns.
  template <class Team>
  CUMARL_HD static void policy_gradient(const Team& team, const Params& p, std::byte* memory,
                                        const Real* w, int agent, Real* g) {
    const Steps steps = trajectory(p, memory);
    const double weight = -1.0 / p.steps.steps;
    fill(team, g, Real(0), p.actor.size);
    typename Actor::Policy policy;
    double advantage[kMaxJointActions];
    for (int k = 0; k < p.steps.steps; ++k) {
      int32_t actions[kMaxJointAgents];
      played(p, steps, k, actions);
      Actor::at(team, p.actor, w, agent, steps.x(k, agent), policy);
      advantages(team, p, critic(p, memory, agent), agent, policy.softmax, steps.global(k), actions,
                 advantage);
      Actor::add_gradient(team, p.actor, policy, static_cast<Real>(actions[agent]),
                          weight * advantage[actions[agent]], weight * p.actor.entropy,
                          steps.x(k, agent), g);
    }
  }

 private:
  struct Head {
    int32_t count;    ///< steps kept
    int32_t updates;  ///< since targets took over the critics' weights
    typename Descent::Powers powers;
  };
  static constexpr size_t kHeadBytes = 64;
  static_assert(sizeof(Head) <= kHeadBytes);

  CUMARL_HD static Head* head(std::byte* memory) { return reinterpret_cast<Head*>(memory); }
  CUMARL_HD static size_t policies(const Params& p) {
    return static_cast<size_t>(p.actor.agents) * static_cast<size_t>(p.actor.size);
  }
  CUMARL_HD static size_t critics(const Params& p) {
    return static_cast<size_t>(p.actor.agents * p.actor.most) * static_cast<size_t>(p.width);
  }
  CUMARL_HD static Real* target(const Params& p, std::byte* memory, int agent) {
    return critic(p, memory, agent) + critics(p);
  }
  /// The joint action of a kept step.
  CUMARL_HD static void played(const Params& p, const Steps& steps, int k, int32_t* actions) {
    for (int i = 0; i < p.actor.agents; ++i) {
      actions[i] = static_cast<int32_t>(steps.at(Kept::chosen, k, i));
    }
  }

  /// One step of agent i's critic towards the target of kept step k; its error.
  template <class Team>
  CUMARL_HD static Real learn_critic(const Team& team, const Params& p, std::byte* memory,
                                     const Steps& steps, int agent, int k) {
    int32_t actions[kMaxJointAgents];
    played(p, steps, k, actions);
    Real* const w = critic(p, memory, agent);
    Real* const row = w + static_cast<size_t>(actions[agent]) * static_cast<size_t>(p.width);
    const Real* const s = steps.global(k);
    const Real error =
        steps.at(Kept::target, k, agent) - q(team, p, w, agent, actions[agent], s, actions);
    const Real move = p.critic_alpha * error;
    team.sync();  // all have read the weights of actions
    add_scaled(team, row, move, s, p.steps.global_pitch);
    if (team.rank() == 0) {
      for (int j = 0; j < p.actor.agents; ++j) {
        if (j != agent) row[p.action_at[j] + actions[j]] += move;
      }
    }
    team.sync();
    return error;
  }

  template <class Team>
  CUMARL_HD static int update(const Team& team, const Params& p, std::byte* memory) {
    const Steps steps = trajectory(p, memory);
    const int n = p.steps.steps;
    for (int i = team.rank(); i < p.actor.agents; i += Team::size()) {
      Real later = 0;
      for (int k = n - 1; k >= 0; --k) {
        const Real next = steps.breaks_off(k, n)
                              ? steps.at(Kept::next, k, i)
                              : (1 - p.lambda) * steps.at(Kept::value, k + 1, i) + p.lambda * later;
        later = steps.at(Kept::reward, k, i) + p.actor.gamma * next;
        steps.at(Kept::target, k, i) = later;
      }
    }
    team.sync();
    int diverged = -1;
    for (int k = n - 1; k >= 0; --k) {
      for (int i = 0; i < p.actor.agents; ++i) {
        const Real error = learn_critic(team, p, memory, steps, i, k);
        if (diverging(error) && diverged < 0) diverged = i;
      }
    }
    const Head was = *head(memory);
    const size_t stride = policies(p);
    for (int i = 0; i < p.actor.agents; ++i) {
      Real* const w = policy_weights(p, memory, i);
      Real* const g = w + stride;
      policy_gradient(team, p, memory, w, i, g);
      const Real square =
          p.descent.step(team, p.alpha, w, g, g + stride, stride, was.powers, p.actor.size);
      if (diverging(square) && diverged < 0) diverged = i;
    }
    const bool takes_over = was.updates + 1 >= p.target_every;
    if (takes_over) {
      const auto whole = static_cast<int>(critics(p) / static_cast<size_t>(p.actor.agents));
      for (int i = 0; i < p.actor.agents; ++i) {
        copy_vector(team, target(p, memory, i), critic(p, memory, i), whole);
      }
    }
    team.sync();
    if (team.rank() == 0) {
      *head(memory) = {was.count, takes_over ? 0 : was.updates + 1, p.descent.after(was.powers)};
    }
    team.sync();
    return diverged;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
