/// \file
/// Sarsa.
#pragma once

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/agent_memory.hpp"
#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q(s,a) += alpha (r + gamma Q(s',a') - Q(s,a)), where a' is the action played next.
/// Source: Rummery and Niranjan 1994; Sutton and Barto, "Reinforcement Learning", 2nd ed. 2018,
/// section 6.4, eq. (6.7). Deviation: none. The next action is drawn while learning, with the
/// exploration of the next step, and played there; so updates are immediate, nothing is pending at
/// the end of an episode or run, and the step's own random word is used at the first step of an
/// episode only. At a time limit a next action is drawn for the bootstrap and not played.
struct Sarsa {
  using Base = ConstantRate<Float64, AnyShape>;

  static constexpr LearnerFacts kFacts{
      "sarsa", "Sarsa, on-policy Q-learning",
      "Rummery and Niranjan 1994; Sutton and Barto 2018, eq. (6.7)"};
  static constexpr bool kGreedy = true;

  using Config = Base::Config;
  static void fields(FieldVisitor& v, Config& c) { Base::fields(v, c); }

  using Params = Base::Params;
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    return Base::make(c, spec, arena);
  }

  /// The action that was drawn for the coming step, or -1; behind the table.
  CUMARL_HD static int64_t& drawn(const Params& p, std::byte* memory) {
    return *reinterpret_cast<int64_t*>(memory + Base::bytes(p));
  }
  CUMARL_HD static size_t bytes(const Params& p) { return Base::bytes(p) + sizeof(int64_t); }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int agent) {
    Base::init(SerialTeam{}, p, memory, key, agent);
    drawn(p, memory) = -1;
  }

  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    const auto ready = static_cast<int>(drawn(p, memory));
    return ready >= 0
               ? ready
               : explore(p.exploration, Base::row(p, memory, observation), p.actions, word, t);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    double target = static_cast<double>(step.rewards[step.agent]);
    int next = -1;
    if (step.episode != Episode::ended) {
      const double* row = Base::row(p, memory, to);
      next = explore(p.exploration, row, p.actions, own_word(step), step.t + 1);
      target += p.gamma * row[next];
    }
    double& q = Base::row(p, memory, from)[step.actions[step.agent]];
    q += p.alpha * (target - q);
    drawn(p, memory) = step.episode == Episode::goes_on ? next : -1;
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    pure_strategy(arg_max(Base::row(p, memory, observation), p.actions), p.actions, out);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
