/// \file
/// Central Q-learning over joint actions.
#pragma once

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/agent_memory.hpp"
#include "kernels/tabular/joint_actions.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q-learning by one controller who plays the joint action and is paid the team's reward: the
/// single-agent problem that a cooperative game becomes when control is central.
/// Source: Watkins and Dayan 1992, eq. (1), over joint actions; Boutilier, "Planning, learning and
/// coordination in multiagent decision processes", TARK 1996. Deviation: none. Every agent holds a
/// copy of the controller; all copies see the same and draw from a random word that agents share,
/// so they stay equal, and explore and play one joint action together.
struct CentralQ {
  static constexpr LearnerFacts kFacts{"central_q", "Central Q-learning over joint actions",
                                       "Watkins and Dayan 1992, eq. (1); Boutilier 1996",
                                       Sees::joint};
  static constexpr bool kGreedy = true;

  enum Reward : int32_t { kMean = 0, kSum = 1 };
  struct Config {
    double alpha = 0.1;
    double gamma = 0.95;
    Choice reward{kMean};
    double initial = 0.0;
    Exploration::Config exploration;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate");
    v("gamma", c.gamma, Bounds{0, 1}, "", "discount factor");
    v.choice("reward", c.reward, {"mean", "sum"},
             "the team's reward: mean of the agents' (the common one where there is one), or sum");
    c.exploration.fields(v);
    v("init.value", c.initial, Bounds{-1e12, 1e12}, "return", "initial value of every entry");
  }

  struct Params {
    Exploration exploration;  ///< over joint actions
    JointActions joints;
    uint32_t observations;
    int32_t agent;
    Reward reward;
    double alpha;
    double gamma;
    double initial;
  };
  /// Throws ParameterError for tables that are too large.
  static Params make(const Config& c, const AgentSpec& spec, Arena&) {
    Params p{};
    p.joints = JointActions::make(spec);
    p.exploration = Exploration::make(c.exploration, p.joints.count());
    p.observations = spec.observations;
    p.agent = spec.agent;
    p.reward = static_cast<Reward>(c.reward.value);
    p.alpha = c.alpha;
    p.gamma = c.gamma;
    p.initial = c.initial;
    return p;
  }

  struct Memory {
    RunKey* key;
    double* q;  ///< [observations][joint actions]
    size_t bytes;
  };
  CUMARL_HD static Memory view(const Params& p, std::byte* memory) {
    MemoryArrays arrays(memory);
    Memory m{};
    m.key = arrays.array<RunKey>(1);
    m.q = arrays.array<double>(size_t{p.observations} * p.joints.joint);
    m.bytes = arrays.bytes();
    return m;
  }
  CUMARL_HD static double* row(const Params& p, std::byte* memory, uint32_t observation) {
    return view(p, memory).q + size_t{observation} * p.joints.joint;
  }

  CUMARL_HD static size_t bytes(const Params& p) { return view(p, nullptr).bytes; }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int) {
    const Memory m = view(p, memory);
    *m.key = key;
    fill(m.q, size_t{p.observations} * p.joints.joint, p.initial);
  }
  /// The agent's word is not used.
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t,
                           uint64_t t) {
    const uint32_t word = common_word(*view(p, memory).key, t, 0);
    const int joint =
        explore(p.exploration, row(p, memory, observation), p.joints.count(), word, t);
    return p.joints.action_of(joint, p.agent);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    double target = 0.0;
    for (int i = 0; i < step.agents; ++i) target += static_cast<double>(step.rewards[i]);
    if (p.reward == kMean) target = target / step.agents;
    if (step.episode != Episode::ended) {
      target += p.gamma * best_value(row(p, memory, to), p.joints.count());
    }
    double& q = row(p, memory, from)[p.joints.of(step.actions)];
    q += p.alpha * (target - q);
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    const int joint = arg_max(row(p, memory, observation), p.joints.count());
    pure_strategy(p.joints.action_of(joint, p.agent), p.joints.actions[p.agent], out);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
