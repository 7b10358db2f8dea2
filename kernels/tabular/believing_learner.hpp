/// \file
/// Q-learning over joint actions by an agent who believes something about the others' actions and
/// responds to it: what joint-action learners and opponent-model learners share.
#pragma once

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/agent_memory.hpp"
#include "kernels/tabular/joint_actions.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// With EV(s,a) = sum over the others' joint actions o of P(o | s) Q(s, a, o):
///   Q(s, a, o) += alpha (r + gamma max_a' EV(s', a') - Q(s, a, o)),
/// and EV is what the agent explores and responds to. Beliefs are brought up to date before Q.
///
/// `Beliefs` gives
///   Config, fields(v, c), make(c, joints, agent)
///   size()                        numbers kept an observation
///   start(row)                    beliefs before anything was seen
///   see(row, actions)             after a step with these actions [agents]
///   probability(row, others)      of one of the others' joint actions (JointActions::others_of)
template <class Beliefs>
struct BelievingLearner {
  static constexpr bool kGreedy = true;

  struct Config {
    double alpha = 0.1;
    double gamma = 0.95;
    double initial = 0.0;
    Exploration::Config exploration;
    typename Beliefs::Config beliefs;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate");
    v("gamma", c.gamma, Bounds{0, 1}, "", "discount factor");
    Beliefs::fields(v, c.beliefs);
    c.exploration.fields(v);
    v("init.value", c.initial, Bounds{-1e12, 1e12}, "return", "initial value of every entry");
  }

  struct Params {
    Exploration exploration;
    Beliefs beliefs;
    uint32_t observations;
    int32_t agent;
    double alpha;
    double gamma;
    double initial;
    CUMARL_HD const JointActions& joints() const { return beliefs.joints; }
    CUMARL_HD int actions() const { return joints().actions[agent]; }
  };
  /// Throws ParameterError for tables that are too large.
  static Params make(const Config& c, const AgentSpec& spec, Arena&) {
    if (spec.actions > kMostActions) {
      throw ParameterError("name", "this learner takes up to 128 actions");
    }
    Params p{};
    p.beliefs = Beliefs::make(c.beliefs, JointActions::make(spec), spec.agent);
    p.exploration = Exploration::make(c.exploration, spec.actions);
    p.observations = spec.observations;
    p.agent = spec.agent;
    p.alpha = c.alpha;
    p.gamma = c.gamma;
    p.initial = c.initial;
    return p;
  }

  struct Memory {
    double* q;        ///< [observations][joint actions]
    double* beliefs;  ///< [observations][Beliefs::size()]
    size_t bytes;
  };
  CUMARL_HD static Memory view(const Params& p, std::byte* memory) {
    MemoryArrays arrays(memory);
    Memory m{};
    m.q = arrays.array<double>(size_t{p.observations} * p.joints().joint);
    m.beliefs = arrays.array<double>(size_t{p.observations} * p.beliefs.size());
    m.bytes = arrays.bytes();
    return m;
  }
  CUMARL_HD static double* row(const Params& p, std::byte* memory, uint32_t observation) {
    return view(p, memory).q + size_t{observation} * p.joints().joint;
  }
  CUMARL_HD static double* beliefs(const Params& p, std::byte* memory, uint32_t observation) {
    return view(p, memory).beliefs + size_t{observation} * p.beliefs.size();
  }
  /// EV(observation, .), [actions].
  CUMARL_HD static void expected(const Params& p, std::byte* memory, uint32_t observation,
                                 double* out) {
    const double* q = row(p, memory, observation);
    const double* believed = beliefs(p, memory, observation);
    for (int a = 0; a < p.actions(); ++a) out[a] = 0.0;
    for (int o = 0; o < p.joints().others(p.agent); ++o) {
      const double probability = p.beliefs.probability(believed, o);
      for (int a = 0; a < p.actions(); ++a) {
        out[a] += probability * q[p.joints().with(o, p.agent, a)];
      }
    }
  }

  CUMARL_HD static size_t bytes(const Params& p) { return view(p, nullptr).bytes; }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey, int) {
    fill(view(p, memory).q, size_t{p.observations} * p.joints().joint, p.initial);
    for (uint32_t s = 0; s < p.observations; ++s) p.beliefs.start(beliefs(p, memory, s));
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    double value[kMostActions];
    expected(p, memory, observation, value);
    return explore(p.exploration, value, p.actions(), word, t);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    p.beliefs.see(beliefs(p, memory, from), step.actions);
    double target = static_cast<double>(step.rewards[step.agent]);
    if (step.episode != Episode::ended) {
      double value[kMostActions];
      expected(p, memory, to, value);
      target += p.gamma * best_value(value, p.actions());
    }
    double& q = row(p, memory, from)[p.joints().of(step.actions)];
    q += p.alpha * (target - q);
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    double value[kMostActions];
    expected(p, memory, observation, value);
    pure_strategy(arg_max(value, p.actions()), p.actions(), out);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
