/// \file
/// Scripted players of repeated games with two actions.
#pragma once

#include "kernels/core/learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A player who cooperates at first and then follows `Rule` from what was played:
///   Rule::kFacts
///   Rule::cooperates(own, others, ever)   own: it cooperated last time; others: all others did;
///                                         ever: somebody else has defected in this episode
/// Every episode starts afresh.
///
/// It goes by its own memory, not by the observation, so that it also plays in games that are
/// observed without memory. For the evaluated policy it notes its reply to each observation when it
/// gets there; to one that it has not seen it cooperates. Where observations hold the last joint
/// action and a reply depends on no more than that (tit-for-tat, Pavlov), the notes are exact. Grim
/// trigger depends on more, but notes what it did when it last came there.
///
/// Memory, bytes: whether it cooperates next, whether somebody has defected, replies
/// [observations].
template <class Rule>
struct Scripted {
  static constexpr LearnerFacts kFacts = Rule::kFacts;
  static constexpr bool kGreedy = true;

  struct Config {
    int cooperate = 0;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("cooperate", c.cooperate, Bounds{0, 1}, "action",
      "the action that means cooperation; the other one is defection");
  }

  struct Params {
    int32_t cooperate;
    uint32_t observations;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena&) {
    if (spec.observations == 0) {
      throw ParameterError("name", "this environment has no tabular observation of this size");
    }
    for (int i = 0; i < spec.agents; ++i) {
      if (spec.all_actions[i] != 2) {
        throw ParameterError("name", "this script is for games of two actions");
      }
    }
    return {c.cooperate, spec.observations};
  }
  CUMARL_HD static size_t bytes(const Params& p) { return 2 + static_cast<size_t>(p.observations); }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey, int) {
    start(memory);
    for (uint32_t s = 0; s < p.observations; ++s) memory[2 + s] = std::byte{1};
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t, uint32_t, uint64_t) {
    return action(p, memory[0]);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t, uint32_t to,
                              const Transition& step) {
    bool others = true;
    for (int i = 0; i < step.agents; ++i) {
      if (i != step.agent && step.actions[i] != p.cooperate) others = false;
    }
    if (!others) memory[1] = std::byte{1};
    const bool own = step.actions[step.agent] == p.cooperate;
    const bool next = Rule::cooperates(own, others, memory[1] != std::byte{0});
    memory[0] = std::byte{next};
    if (step.episode != Episode::ended) memory[2 + to] = memory[0];
    if (step.episode != Episode::goes_on) start(memory);
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    const int a = action(p, memory[2 + observation]);
    out[a] = 1.0;
    out[1 - a] = 0.0;
  }

 private:
  CUMARL_HD static void start(std::byte* memory) {
    memory[0] = std::byte{1};
    memory[1] = std::byte{0};
  }
  CUMARL_HD static int action(const Params& p, std::byte cooperates) {
    return cooperates != std::byte{0} ? p.cooperate : 1 - p.cooperate;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
