/// \file
/// Multi-agent proximal policy optimization with linear policies and values.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "kernels/linear/linear_actor.hpp"
#include "kernels/linear/optimizer.hpp"
#include "kernels/linear/trajectory.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// d min(r A, clip(r, 1 - c, 1 + c) A) / d ln pi, with r = pi / pi_old: r A, or 0 where the clip
/// holds the smaller of the two.
CUMARL_HD inline double clipped_surrogate_slope(double ratio, double advantage, double clip) {
  const bool held = advantage > 0 ? ratio > 1.0 + clip : ratio < 1.0 - clip;
  return held ? 0.0 : ratio * advantage;
}

/// d loss / d v of the value loss: (v - target)^2 / 2, or with clip > 0 the larger of it and the
/// same with v within `clip` of what it was when the step was kept.
CUMARL_HD inline double value_loss_slope(double value, double was, double target, double clip) {
  const double error = value - target;
  const double move = value - was;
  if (clip > 0 && (move > clip || move < -clip)) {
    const double near = was + (move > 0 ? clip : -clip) - target;
    if (near * near > error * error) return 0.0;
  }
  return error;
}

/// Every `horizon` steps all agents learn from them, with r = pi / pi_old:
///   A_k = delta_k + gamma lambda A_(k+1),  delta_k = r_k + gamma V(s_(k+1)) - V(s_k)
///   policy: ascends the mean of min(r A, clip(r, 1 - clip, 1 + clip) A) + entropy H
///   value:  descends the mean of (V - (A + V_old))^2 / 2
/// `epochs` times over, each in `minibatches` shuffled parts of equal size. V is linear in the
/// global vector (`central`), one an agent, since the vector does not tell whose returns are
/// meant; otherwise in the agent's own features, which is IPPO. With `shared` all agents have one
/// policy, and one value of own features. Advantages are put to mean 0 and deviation 1 over all
/// that a policy learns from. Memory of a run: Head; parameters of all policies, then of all
/// values; their gradient; their moments (adam); the trajectory; an order of its steps.
/// Source: Yu et al., "The Surprising Effectiveness of PPO in Cooperative Multi-Agent Games",
/// NeurIPS 2022, algorithm 1 (MAPPO, IPPO); Schulman et al., "Proximal Policy Optimization
/// Algorithms", 2017, eqs. (7), (11), (12).
/// Deviation: one environment a run; no recurrence, no value normalization, squared instead of
/// Huber loss; at a time limit V(s_(k+1)) stays in delta. LinearActor says how real actions are
/// drawn.
template <class Real>
struct Mappo {
  using Actor = LinearActor<Real>;
  using Steps = Trajectory<Real>;
  using Descent = Optimizer<Real>;
  static constexpr LearnerFacts kFacts{
      "mappo", "multi-agent proximal policy optimization, linear; IPPO with central = false",
      "Yu et al. 2022, algorithm 1; Schulman et al. 2017"};
  static constexpr Acts kActs = Acts::either;
  static constexpr bool kGreedy = false;
  static constexpr int kMaxHorizon = 16384;  ///< random words of a step, as a shuffle uses them

  struct Config : Actor::EitherConfig {
    double alpha = 0.01;
    double critic_alpha = 0.02;
    double lambda = 0.95;
    int horizon = 2048;
    int epochs = 10;
    int minibatches = 1;
    double clip = 0.2;
    double value_clip = 0.0;
    bool normalize = true;
    bool central = true;
    bool shared = false;
    typename Descent::Config optimizer;

    Config() { this->entropy = 0.01; }
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1e3}, "", "step size of the policies");
    v("critic_alpha", c.critic_alpha, Bounds{0, 1e3}, "", "step size of the values");
    v("lambda", c.lambda, Bounds{0, 1}, "", "generalized advantage: decay of later errors");
    v("horizon", c.horizon, Bounds{1, kMaxHorizon}, "joint step", "steps between two updates");
    v("epochs", c.epochs, Bounds{1, 1000}, "", "passes over the steps in an update");
    v("minibatches", c.minibatches, Bounds{1, kMaxHorizon}, "", "gradient steps in a pass");
    v("clip", c.clip, Bounds{0, 1e6}, "", "how far a probability ratio counts on either side of 1");
    v("value_clip", c.value_clip, Bounds{0, 1e12}, "return",
      "how far values may move in an update; 0: no bound");
    v("normalize", c.normalize, "put advantages to mean 0 and standard deviation 1");
    v("central", c.central, "values of the global state; false: of own features (IPPO)");
    v("shared", c.shared, "one policy for all agents; they need features and actions alike");
    c.optimizer.fields(v);
    c.Actor::EitherConfig::fields(v);
  }

  struct Params {
    typename Actor::Params actor;
    Descent descent;
    typename Steps::Shape steps;
    Real alpha, critic_alpha;
    double decay;  ///< gamma lambda
    double clip, value_clip;
    int32_t epochs, minibatches;
    int32_t policies;      ///< 1, or one an agent
    int32_t values;        ///< 1, or one an agent
    int32_t value_size;    ///< entries of a value's weights
    int32_t global_pitch;  ///< of what values see; 0: own features
    bool normalize, shared;
  };

  static Params make(const Config& c, const JointSpec& spec, Arena&) {
    Params p{};
    p.actor = Actor::make(c, spec);
    p.descent = Descent::make(c.optimizer);
    p.global_pitch = c.central ? spec.global_pitch : 0;
    p.steps = {c.horizon, spec.agents, spec.pitch, p.global_pitch};
    p.alpha = static_cast<Real>(c.alpha);
    p.critic_alpha = static_cast<Real>(c.critic_alpha);
    p.decay = c.gamma * c.lambda;
    p.clip = c.clip;
    p.value_clip = c.value_clip;
    p.epochs = c.epochs;
    p.minibatches = c.minibatches;
    p.normalize = c.normalize;
    p.shared = c.shared;
    p.policies = c.shared ? 1 : spec.agents;
    p.values = c.shared && !c.central ? 1 : spec.agents;
    p.value_size = c.central ? spec.global_pitch : spec.pitch;
    if (c.minibatches > c.horizon) {
      throw ParameterError("minibatches", "must not exceed horizon (" + std::to_string(c.horizon) +
                                              "): each takes a step or more");
    }
    if (c.minibatches > 1 && c.epochs > c.horizon) {
      throw ParameterError("epochs", "must not exceed horizon (" + std::to_string(c.horizon) +
                                         ") with minibatches: each shuffles with the random words "
                                         "of a step");
    }
    for (int i = 1; c.shared && i < spec.agents; ++i) {
      if (spec.size[i] != spec.size[0] || (!spec.real && spec.actions[i] != spec.actions[0])) {
        throw ParameterError("shared",
                             "needs agents with equal numbers of features and actions; "
                             "agent " +
                                 std::to_string(i) + " differs from agent 0");
      }
    }
    return p;
  }

  CUMARL_HD static size_t bytes(const Params& p) {
    return kHeadBytes + entries(p) * static_cast<size_t>(2 + p.descent.moments()) * sizeof(Real) +
           Steps::bytes(p.steps) + static_cast<size_t>(p.steps.steps) * sizeof(int32_t);
  }

  template <class Team>
  CUMARL_HD static void init(const Team& team, const Params& p, std::byte* memory, RunKey) {
    for (int s = 0; s < p.policies; ++s) Actor::init(team, p.actor, policy_weights(p, memory, s));
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
      const Real chosen = Actor::act(team, p.actor, policy_weights(p, memory, policy_of(p, i)), i,
                                     seen.agent(i), words[i], policy, out);
      if (team.rank() == 0) {
        steps.at(Kept::chosen, k, i) = chosen;
        steps.at(Kept::log_probability, k, i) = static_cast<Real>(policy.log_probability(chosen));
      }
    }
  }

  template <class Team>
  CUMARL_HD static int learn(const Team& team, const Params& p, std::byte* memory,
                             const Seen<Real>& from, const Seen<Real>& to, const JointStep& step) {
    const Steps steps = trajectory(p, memory);
    const int k = head(memory)->count;
    const bool full = k + 1 == p.steps.steps;
    const bool bootstraps =
        step.episode == Episode::cut || (full && step.episode == Episode::goes_on);
    int diverged = -1;
    steps.keep(team, k, from);
    for (int i = 0; i < p.actor.agents; ++i) {
      const Real value = value_at(team, p, memory, i, from);
      const Real next = bootstraps ? value_at(team, p, memory, i, to) : Real(0);
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
    const int in_update = update(team, p, memory, step);
    return diverged >= 0 ? diverged : in_update;
  }

  template <class Team>
  CUMARL_HD static void policy(const Team& team, const Params& p, std::byte* memory,
                               const Seen<Real>& seen, int agent, double* out) {
    Actor::evaluated(team, p.actor, policy_weights(p, memory, policy_of(p, agent)), agent,
                     seen.agent(agent), out);
  }

  /// Parameters of policy s, LinearActor's.
  CUMARL_HD static Real* policy_weights(const Params& p, std::byte* memory, int s) {
    return weights(memory) + static_cast<size_t>(s) * static_cast<size_t>(p.actor.size);
  }
  /// Weights of value s [value_size].
  CUMARL_HD static Real* value_weights(const Params& p, std::byte* memory, int s) {
    return policy_weights(p, memory, p.policies) +
           static_cast<size_t>(s) * static_cast<size_t>(p.value_size);
  }
  CUMARL_HD static Steps trajectory(const Params& p, std::byte* memory) {
    return {p.steps,
            reinterpret_cast<std::byte*>(
                weights(memory) + entries(p) * static_cast<size_t>(2 + p.descent.moments()))};
  }

  /// Advantages and targets of the kept steps, by generalized advantage estimation; then the
  /// advantages' normalization. To be read by all lanes when it returns.
  template <class Team>
  CUMARL_HD static void estimate(const Team& team, const Params& p, const Steps& steps) {
    const int n = p.steps.steps;
    for (int i = team.rank(); i < p.actor.agents; i += Team::size()) {
      double later = 0;
      for (int k = n - 1; k >= 0; --k) {
        const bool breaks = steps.breaks_off(k, n);
        const auto value = static_cast<double>(steps.at(Kept::value, k, i));
        const auto next = static_cast<double>(breaks ? steps.at(Kept::next, k, i)
                                                     : steps.at(Kept::value, k + 1, i));
        const double delta = static_cast<double>(steps.at(Kept::reward, k, i)) +
                             static_cast<double>(p.actor.gamma) * next - value;
        later = delta + (breaks ? 0.0 : p.decay * later);
        steps.at(Kept::advantage, k, i) = static_cast<Real>(later);
        steps.at(Kept::target, k, i) = static_cast<Real>(later + value);
      }
    }
    team.sync();
    if (!p.normalize) return;
    for (int s = team.rank(); s < p.policies; s += Team::size()) {
      const int first = p.shared ? 0 : s;
      const int last = p.shared ? p.actor.agents : s + 1;
      const double count = static_cast<double>(n) * (last - first);
      double sum = 0;
      for (int k = 0; k < n; ++k) {
        for (int i = first; i < last; ++i) {
          sum += static_cast<double>(steps.at(Kept::advantage, k, i));
        }
      }
      const double mean = sum / count;
      double squares = 0;
      for (int k = 0; k < n; ++k) {
        for (int i = first; i < last; ++i) {
          const double off = static_cast<double>(steps.at(Kept::advantage, k, i)) - mean;
          squares += off * off;
        }
      }
      const double deviation = std::sqrt(squares / count) + 1e-5;
      for (int k = 0; k < n; ++k) {
        for (int i = first; i < last; ++i) {
          Real& a = steps.at(Kept::advantage, k, i);
          a = static_cast<Real>((static_cast<double>(a) - mean) / deviation);
        }
      }
    }
    team.sync();
  }

  /// Gradient of policy s's loss (what it descends) over steps order[begin] to order[end - 1], at
  /// parameters w, into g; a lane writes its own columns. Without an order: steps begin to end - 1.
  template <class Team>
  CUMARL_HD static void policy_gradient(const Team& team, const Params& p, const Steps& steps,
                                        const Real* w, int s, const int32_t* order, int begin,
                                        int end, Real* g) {
    fill(team, g, Real(0), p.actor.size);
    const int first = p.shared ? 0 : s;
    const int last = p.shared ? p.actor.agents : s + 1;
    const double weight = -1.0 / (static_cast<double>(end - begin) * (last - first));
    typename Actor::Policy policy;
    for (int j = begin; j < end; ++j) {
      const int k = order == nullptr ? j : order[j];
      for (int i = first; i < last; ++i) {
        const Real* const x = steps.x(k, i);
        const Real chosen = steps.at(Kept::chosen, k, i);
        Actor::at(team, p.actor, w, i, x, policy);
        const double ratio =
            portable_exp(policy.log_probability(chosen) -
                         static_cast<double>(steps.at(Kept::log_probability, k, i)));
        const double slope = clipped_surrogate_slope(
            ratio, static_cast<double>(steps.at(Kept::advantage, k, i)), p.clip);
        Actor::add_gradient(team, p.actor, policy, chosen, weight * slope, weight * p.actor.entropy,
                            x, g);
      }
    }
  }

  /// The same for the loss of value s.
  template <class Team>
  CUMARL_HD static void value_gradient(const Team& team, const Params& p, const Steps& steps,
                                       const Real* w, int s, const int32_t* order, int begin,
                                       int end, Real* g) {
    fill(team, g, Real(0), p.value_size);
    const bool one = p.values == 1 && p.actor.agents > 1;
    const int first = one ? 0 : s;
    const int last = one ? p.actor.agents : s + 1;
    const double weight = 1.0 / (static_cast<double>(end - begin) * (last - first));
    for (int j = begin; j < end; ++j) {
      const int k = order == nullptr ? j : order[j];
      for (int i = first; i < last; ++i) {
        const Real* const y = p.global_pitch > 0 ? steps.global(k) : steps.x(k, i);
        const auto value = static_cast<double>(dot(team, w, y, p.value_size));
        const double slope =
            value_loss_slope(value, static_cast<double>(steps.at(Kept::value, k, i)),
                             static_cast<double>(steps.at(Kept::target, k, i)), p.value_clip);
        add_scaled(team, g, static_cast<Real>(weight * slope), y, p.value_size);
      }
    }
  }

 private:
  struct Head {
    int32_t count;   ///< steps kept
    int32_t unused;  ///< no padding: digests cover it
    typename Descent::Powers powers;
  };
  static constexpr size_t kHeadBytes = 64;
  static_assert(sizeof(Head) <= kHeadBytes);

  CUMARL_HD static Head* head(std::byte* memory) { return reinterpret_cast<Head*>(memory); }
  CUMARL_HD static Real* weights(std::byte* memory) {
    return reinterpret_cast<Real*>(memory + kHeadBytes);
  }
  CUMARL_HD static size_t entries(const Params& p) {
    return static_cast<size_t>(p.policies) * static_cast<size_t>(p.actor.size) +
           static_cast<size_t>(p.values) * static_cast<size_t>(p.value_size);
  }
  CUMARL_HD static int policy_of(const Params& p, int agent) { return p.shared ? 0 : agent; }

  template <class Team>
  CUMARL_HD static Real value_at(const Team& team, const Params& p, std::byte* memory, int agent,
                                 const Seen<Real>& seen) {
    return dot(team, value_weights(p, memory, p.values == 1 ? 0 : agent),
               p.global_pitch > 0 ? seen.global : seen.agent(agent), p.value_size);
  }

  /// Shuffles the order of n steps, by lane 0 (Fisher and Yates).
  CUMARL_HD static void shuffle(int32_t* order, int n, Rng rng) {
    for (int k = n - 1; k > 0; --k) {
      const auto j = static_cast<int>(rng.below(static_cast<uint32_t>(k) + 1));
      const int32_t kept = order[k];
      order[k] = order[j];
      order[j] = kept;
    }
  }

  template <class Team>
  CUMARL_HD static int update(const Team& team, const Params& p, std::byte* memory,
                              const JointStep& step) {
    const Steps steps = trajectory(p, memory);
    const int n = p.steps.steps;
    const size_t stride = entries(p);
    auto* const order = reinterpret_cast<int32_t*>(memory + bytes(p)) - n;
    const bool shuffled = p.minibatches > 1;
    estimate(team, p, steps);
    if (shuffled && team.rank() == 0) {
      for (int k = 0; k < n; ++k) order[k] = k;
    }
    int diverged = -1;
    for (int e = 0; e < p.epochs; ++e) {
      if (shuffled) {
        team.sync();
        // a shuffle takes the random words of one of the steps that are learned from
        const uint64_t t = step.t - static_cast<uint64_t>(e);
        if (team.rank() == 0) shuffle(order, n, Rng(step.key, t, Stream::learn));
        team.sync();
      }
      for (int b = 0; b < p.minibatches; ++b) {
        const auto begin = static_cast<int>(int64_t{n} * b / p.minibatches);
        const auto end = static_cast<int>(int64_t{n} * (b + 1) / p.minibatches);
        const typename Descent::Powers powers = head(memory)->powers;
        const int32_t* const of = shuffled ? order : nullptr;
        for (int s = 0; s < p.policies; ++s) {
          Real* const w = policy_weights(p, memory, s);
          Real* const g = w + stride;
          policy_gradient(team, p, steps, w, s, of, begin, end, g);
          team.sync();  // all have read the standard deviation
          const Real square =
              p.descent.step(team, p.alpha, w, g, g + stride, stride, powers, p.actor.size);
          Actor::bound(team, p.actor, w);
          if (diverging(square) && diverged < 0) diverged = s;
        }
        for (int s = 0; s < p.values; ++s) {
          Real* const w = value_weights(p, memory, s);
          Real* const g = w + stride;
          value_gradient(team, p, steps, w, s, of, begin, end, g);
          const Real square =
              p.descent.step(team, p.critic_alpha, w, g, g + stride, stride, powers, p.value_size);
          if (diverging(square) && diverged < 0) diverged = s;
        }
        team.sync();  // all have read the powers
        if (team.rank() == 0) head(memory)->powers = p.descent.after(powers);
        team.sync();
      }
    }
    return diverged;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
