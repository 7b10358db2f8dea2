/// \file
/// A learner with compiled loops of its own, seen as a policy learner (any_learner.hpp).
#pragma once

#include "kernels/tabular/any_learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The same rules, memory and draws as `L` has in its own loops, without what those keep in
/// registers from step to step.
template <class L>
struct PerAgent {
  static constexpr LearnerFacts kFacts = L::kFacts;
  static constexpr bool kGreedy = L::kGreedyPolicy;
  static constexpr bool kLearns = L::kTabular;
  using Config = typename L::Config;
  using Params = typename L::Params;

  static void fields(FieldVisitor& v, Config& c) { L::fields(v, c); }
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    return L::make(c, spec, arena);
  }
  CUMARL_HD static size_t bytes(const Params& p) { return L::bytes(p); }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int agent) {
    L::init(SerialTeam{}, p, memory, key, agent);
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    typename L::Memo memo{};
    uint32_t keep = 0;
    uint32_t forced = 0;
    L::decide(p, memo, t, 1, &word, 1, &keep, &forced);
    const auto at = L::arrive(SerialTeam{}, p, memory, observation);
    return static_cast<int>(L::act(p, memory, at, {keep, forced}, t));
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    auto here = L::arrive(SerialTeam{}, p, memory, from);
    auto there = L::arrive(SerialTeam{}, p, memory, to);
    L::learn(SerialTeam{}, p, memory, here, there, step);
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    L::policy(p, L::arrive(SerialTeam{}, p, memory, observation), out);
  }
  CUMARL_HD static uint32_t top(const Params& p, std::byte* memory,
                                uint32_t observation) requires L::kGreedyPolicy {
    return L::greedy(L::arrive(SerialTeam{}, p, memory, observation));
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
