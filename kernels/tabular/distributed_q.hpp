/// \file
/// Distributed Q-learning.
#pragma once

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/agent_memory.hpp"
#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Optimistic independent learners for deterministic games of common rewards:
///   q(s,a) = max(q(s,a), r + gamma max q(s',.)),
/// and the action chosen in s is replaced by a only when this raises max q(s,.).
/// Source: Lauer and Riedmiller, "An algorithm for distributed reinforcement learning in cooperative
/// multi-agent systems", ICML 2000, eq. (12) and (13). Deviation: the first action is the lowest of
/// the best instead of an arbitrary one. Their proof needs initial values no better than what can be
/// reached; with rewards of chance the values are those of the luckiest draws, as they say.
struct DistributedQ {
  using Base = Tabular<Float64, AnyShape>;

  static constexpr LearnerFacts kFacts{"distributed_q", "Distributed Q-learning",
                                       "Lauer and Riedmiller, ICML 2000, eq. (12) and (13)"};
  static constexpr bool kGreedy = true;

  using Config = Base::Config;
  static void fields(FieldVisitor& v, Config& c) { Base::fields(v, c); }
  using Params = Base::Params;
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    require_epsilon(c.exploration, "must be \"epsilon_greedy\": there is one chosen action");
    return Base::make(c, spec, arena);
  }

  /// The chosen actions, [observations]; behind the table.
  CUMARL_HD static uint32_t* chosen(const Params& p, std::byte* memory) {
    return reinterpret_cast<uint32_t*>(memory + Base::bytes(p));
  }
  CUMARL_HD static size_t bytes(const Params& p) {
    return Base::bytes(p) + (p.observations + size_t{1}) / 2 * 8;
  }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int agent) {
    clear_memory(memory, bytes(p));
    Base::init(SerialTeam{}, p, memory, key, agent);
    for (uint32_t s = 0; s < p.observations; ++s) {
      chosen(p, memory)[s] = static_cast<uint32_t>(arg_max(Base::row(p, memory, s), p.actions));
    }
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    return epsilon_action(p.exploration, static_cast<int>(chosen(p, memory)[observation]),
                          p.actions, word, t);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    double target = static_cast<double>(step.rewards[step.agent]);
    if (step.episode != Episode::ended) {
      target += p.gamma * best_value(Base::row(p, memory, to), p.actions);
    }
    double* row = Base::row(p, memory, from);
    const int a = step.actions[step.agent];
    if (!(target > row[a])) return;
    if (target > best_value(row, p.actions)) {
      chosen(p, memory)[from] = static_cast<uint32_t>(a);
    }
    row[a] = target;
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    pure_strategy(static_cast<int>(chosen(p, memory)[observation]), p.actions, out);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
