/// \file
/// Q-learning with an outside option.
#pragma once

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/agent_memory.hpp"
#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q-learning whose last action, the outside option, is nothing that it tries: it is not explored,
/// and left out when a best action is sought anew. Like every other action it learns when it was
/// played (by chance, say: BertrandLogitEntry), and becomes the best one where it rises above it.
/// With best(s) the action that is best in s, after a was played there:
///   Q(s,a) += alpha (r + gamma Q(s',best(s')) - Q(s,a));
///   if that is above what Q(s,best(s)) was, best(s) = a;
///   if it is below it and a = best(s), best(s) = the best of all actions but the last.
/// So an option that falls is given up even where it is still worth more than any other action, and
/// is taken up again at its next rise above them. In the beginning best(s) is the best of all.
/// Source: Calvano, Calzolari, Denicolo, Pastorello, AER 110(10), 2020, section on a variable market
/// structure: the outsider in the program "entryexit" of the replication package (openICPSR 119462).
/// Deviation: ties go to the lowest action instead of being drawn.
struct OutsideOptionQ {
  using Base = ConstantRate<Float64, AnyShape>;

  static constexpr LearnerFacts kFacts{
      "outside_option_q", "Q-learning with an outside option",
      "Calvano, Calzolari, Denicolo, Pastorello, AER 2020, replication package, \"entryexit\""};
  static constexpr bool kGreedy = true;

  using Config = Base::Config;
  static void fields(FieldVisitor& v, Config& c) { Base::fields(v, c); }
  using Params = Base::Params;
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    require_epsilon(c.exploration, "must be \"epsilon_greedy\": the last action is not explored");
    if (spec.actions < 2) throw ParameterError("name", "needs an action besides the last one");
    return Base::make(c, spec, arena);
  }

  /// The best actions, [observations]; behind the table.
  CUMARL_HD static uint32_t* best(const Params& p, std::byte* memory) {
    return reinterpret_cast<uint32_t*>(memory + Base::bytes(p));
  }
  CUMARL_HD static size_t bytes(const Params& p) {
    return Base::bytes(p) + (p.observations + size_t{1}) / 2 * 8;
  }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int agent) {
    clear_memory(memory, bytes(p));
    Base::init(SerialTeam{}, p, memory, key, agent);
    for (uint32_t s = 0; s < p.observations; ++s) {
      best(p, memory)[s] = static_cast<uint32_t>(arg_max(Base::row(p, memory, s), p.actions));
    }
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    return epsilon_action(p.exploration, static_cast<int>(top(p, memory, observation)),
                          p.actions - 1, word, t);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    double target = static_cast<double>(step.rewards[step.agent]);
    if (step.episode != Episode::ended) {
      target += p.gamma * Base::row(p, memory, to)[top(p, memory, to)];
    }
    const auto a = static_cast<uint32_t>(step.actions[step.agent]);
    double* row = Base::row(p, memory, from);
    uint32_t& chosen = best(p, memory)[from];
    const double standing = row[chosen];
    row[a] += p.alpha * (target - row[a]);
    if (row[a] > standing) {
      chosen = a;
    } else if (row[a] < standing && a == chosen) {
      chosen = static_cast<uint32_t>(arg_max(row, p.actions - 1));
    }
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    pure_strategy(static_cast<int>(top(p, memory, observation)), p.actions, out);
  }
  CUMARL_HD static uint32_t top(const Params& p, std::byte* memory, uint32_t observation) {
    return best(p, memory)[observation];
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
