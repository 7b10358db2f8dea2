/// \file
/// Frequency-adjusted Q-learning.
#pragma once

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/agent_memory.hpp"
#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q(s,a) += min(beta / x_a, 1) alpha (r + gamma max Q(s',.) - Q(s,a)), where x = softmax(Q(s,.) /
/// temperature) is the policy that was played: rarely played actions move in larger steps, so that
/// on average all move at one speed and learning follows the replicator dynamics of Boltzmann
/// Q-learning.
/// Source: Kaisers and Tuyls, "Frequency adjusted multi-agent Q-learning", AAMAS 2010, eq. (5).
/// Deviation: none. The evaluated policy is the Boltzmann policy of the last step.
struct FrequencyAdjustedQ {
  using Base = Tabular<Float64, AnyShape>;

  static constexpr LearnerFacts kFacts{"frequency_adjusted_q", "Frequency-adjusted Q-learning",
                                       "Kaisers and Tuyls, AAMAS 2010"};
  static constexpr bool kGreedy = false;

  struct Config : Base::Config {
    double alpha = 0.01;
    double beta = 0.1;
    Config() { exploration.kind.value = Exploration::kBoltzmann; }
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate");
    v("beta", c.beta, Bounds{0, 1}, "",
      "actions played with a lower probability have the whole learning rate");
    Base::fields(v, c);
  }

  struct Params : Base::Params {
    double alpha;
    double beta;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    require_boltzmann(c.exploration);
    if (spec.actions > kMostActions) {
      throw ParameterError("name", "this learner takes up to 128 actions");
    }
    return {Base::make(c, spec, arena), c.alpha, c.beta};
  }

  /// The step of the last update; behind the table.
  CUMARL_HD static uint64_t& last_step(const Params& p, std::byte* memory) {
    return *reinterpret_cast<uint64_t*>(memory + Base::bytes(p));
  }
  CUMARL_HD static size_t bytes(const Params& p) { return Base::bytes(p) + sizeof(uint64_t); }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int agent) {
    Base::init(SerialTeam{}, p, memory, key, agent);
    last_step(p, memory) = 0;
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    return explore(p.exploration, Base::row(p, memory, observation), p.actions, word, t);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    const int a = step.actions[step.agent];
    last_step(p, memory) = step.t;
    double played[kMostActions];
    policy(p, memory, from, played);
    double target = static_cast<double>(step.rewards[step.agent]);
    if (step.episode != Episode::ended) {
      target += p.gamma * best_value(Base::row(p, memory, to), p.actions);
    }
    const double share = p.beta < played[a] ? p.beta / played[a] : 1.0;
    double& q = Base::row(p, memory, from)[a];
    q += share * p.alpha * (target - q);
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    const auto temperature = static_cast<double>(p.exploration.at(last_step(p, memory)));
    softmax(Base::row(p, memory, observation), p.actions, temperature, out);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
