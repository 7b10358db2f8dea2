/// \file
/// Any of the registered learners, chosen agent by agent at run time: how agents with different
/// learners meet in one run, and how every learner without compiled loops of its own runs.
///
/// A policy learner (kind `policy` in learners.def) is a struct with
///   kFacts                               name, title, source, what it has to see
///   kGreedy                              whether its evaluated policy is deterministic
///   kLearns                              false where it never learns; optional
///   Config, fields(v, c)                 its settings
///   Params, make(c, spec, arena)         checked and ready for the device, up to kParamBytes;
///                                        throws ParameterError
///   bytes(p)                             of one agent's memory in one run
///   init(p, memory, key, agent)
///   act(p, memory, observation, word, t)        the action of step t from one random word
///   learn(p, memory, from, to, step)            after it; `from` and `to` are observations
///   policy(p, memory, observation, out)         the evaluated policy, probabilities [actions]
///   top(p, memory, observation)                 its most probable action, of equals the lowest;
///                                               optional, where it is had faster than by policy
///   strategy(p, memory, observation, out)       what it plays at present, where that differs from
///                                               the policy; optional
/// all static, host and device but for fields and make. Memory is 64-byte aligned; how it is laid out
/// is the learner's business. One lane works on a run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "kernels/core/learner.hpp"
#include "kernels/core/rng.hpp"
#include "kernels/core/team.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Resolves an InitConfig of a learner with discount gamma into `spec`.
using ResolveInit = std::function<void(const InitConfig&, double gamma, AgentSpec& spec)>;

/// Models the learner interface of the rollout (see Lane). A template only so that it is compiled
/// once an instruction set and once for CUDA (any_learner_impl.hpp), not once an environment.
template <int>
struct AnyLearnerOf {
  static constexpr LearnerFacts kFacts{"any", "Any learner, agent by agent", ""};
  static constexpr bool kTabular = false;
  static constexpr bool kAgentwise = true;  ///< each agent may have another learner
  static constexpr bool kWatched = true;
  static constexpr bool kGreedyPolicy = false;  ///< known at run time only: deterministic()
  static constexpr int kParamBytes = 1536;
  static constexpr int kMaxActions = 128;

  struct Config {
    int kind;
    std::shared_ptr<const void> config;  ///< of the learner's own Config type
  };
  struct Params {
    int32_t kind;
    int32_t actions;
    bool greedy;           ///< the evaluated policy is deterministic
    bool sees_strategies;  ///< Transition::strategies is filled
    bool watched;          ///< greedy actions are kept up to date
    double gamma;
    alignas(16) std::byte learner[kParamBytes];
  };
  struct Cursor {
    uint32_t observation;
    uint32_t greedy;
  };
  struct Memo {};

  static Params make(const Config& c, AgentSpec& spec, Arena& arena, const ResolveInit& resolve);
  CUMARL_HD static size_t bytes(const Params& p);
  CUMARL_HD static void init_serially(const Params& p, std::byte* memory, RunKey key, int agent);
  CUMARL_HD static int act_at(const Params& p, std::byte* memory, uint32_t observation,
                              uint32_t word, uint64_t t);
  CUMARL_HD static void learn_from(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                                   const Transition& step);
  /// The evaluated policy, [actions].
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out);
  /// What is played at present, [actions].
  CUMARL_HD static void strategy(const Params& p, std::byte* memory, uint32_t observation,
                                 double* out);
  /// The most probable action of the policy, of equals the lowest.
  CUMARL_HD static uint32_t top(const Params& p, std::byte* memory, uint32_t observation);

  CUMARL_HD static double discount(const Params& p) { return p.gamma; }
  CUMARL_HD static bool deterministic(const Params& p) { return p.greedy; }
  CUMARL_HD static uint32_t greedy(const Cursor& at) { return at.greedy; }

  template <class Team>
  CUMARL_HD static void init(const Team& team, const Params& p, std::byte* memory, RunKey key,
                             int agent) {
    team.once([&] { init_serially(p, memory, key, agent); });
  }
  template <class Team>
  CUMARL_HD static Cursor arrive(const Team&, const Params& p, std::byte* memory,
                                 uint32_t observation) {
    return {observation, p.watched ? top(p, memory, observation) : 0};
  }
  CUMARL_HD static void decide(const Params&, Memo&, uint64_t, int count, const uint32_t* words,
                               int pitch, uint32_t* keep, uint32_t* forced) {
    for (int k = 0; k < count; ++k) {
      keep[k] = 0;
      forced[k] = words[k * pitch];
    }
  }
  CUMARL_HD static uint32_t act(const Params& p, std::byte* memory, const Cursor& at,
                                Decision decision, uint64_t t) {
    return static_cast<uint32_t>(act_at(p, memory, at.observation, decision.forced, t));
  }
  template <class Team>
  CUMARL_HD static void learn(const Team&, const Params& p, std::byte* memory, Cursor& from,
                              Cursor& next, const Transition& step) {
    learn_from(p, memory, from.observation, next.observation, step);
    if (p.watched) {
      from.greedy = top(p, memory, from.observation);
      next.greedy = top(p, memory, next.observation);
    }
  }
  CUMARL_HD static uint32_t evaluate(const Params& p, std::byte* memory, const Cursor& at,
                                     uint32_t word) {
    if (p.greedy) return top(p, memory, at.observation);
    double probability[kMaxActions];
    policy(p, memory, at.observation, probability);
    double left = unit_double(word);
    for (int a = 0; a + 1 < p.actions; ++a) {
      left -= probability[a];
      if (left < 0) return static_cast<uint32_t>(a);
    }
    return static_cast<uint32_t>(p.actions - 1);
  }
};

using AnyLearner = AnyLearnerOf<0>;

extern template struct AnyLearnerOf<0>;

}  // namespace cumarl::inline CUMARL_VARIANT
