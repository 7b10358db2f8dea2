/// \file
/// Q-learning from one's own move to one's next own move, for agents who take turns.
#pragma once

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q(s,a) += alpha (r_0 + gamma r_1 + ... + gamma^(k-1) r_(k-1) + gamma^k max Q(s',.) - Q(s,a)),
/// where a was played in s, s' is what the agent sees at its next own move, k joint steps later,
/// and r_0, r_1, ... are its rewards from its move on. At the observation that stands for "not my
/// turn" (AgentSpec::waiting) the agent plays action 0 and learns nothing; in environments without
/// one this is Q-learning. An episode that ends between two moves ends the sum; one that is cut
/// there is not learned from.
/// Source: Bradtke and Duff, "Reinforcement learning methods for continuous-time Markov decision
/// problems", NIPS 1994 (Q-learning between decisions); with k = 2: Klein, RAND Journal of
/// Economics 52(3), 2021, eq. (5). Deviation: ties go to the lowest action; Klein draws among them.
struct TurnQ {
  using Base = ConstantRate<Float64, AnyShape>;

  static constexpr LearnerFacts kFacts{
      "turn_q", "Q-learning between an agent's own moves",
      "Bradtke and Duff 1994; Klein 2021, eq. (5); ties go to the lowest action"};
  static constexpr bool kGreedy = true;

  using Config = Base::Config;
  static void fields(FieldVisitor& v, Config& c) { Base::fields(v, c); }

  struct Params : Base::Params {
    int64_t waiting;  ///< AgentSpec::waiting
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    return {Base::make(c, spec, arena), spec.waiting};
  }

  /// The agent's last move, behind the table.
  struct Move {
    int64_t observation;  ///< -1: none that is still to be learned from
    int64_t action;
    double sum;       ///< discounted rewards since
    double discount;  ///< of the next reward
  };
  CUMARL_HD static Move& last_move(const Params& p, std::byte* memory) {
    return *reinterpret_cast<Move*>(memory + Base::bytes(p));
  }
  CUMARL_HD static size_t bytes(const Params& p) { return Base::bytes(p) + sizeof(Move); }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int agent) {
    Base::init(SerialTeam{}, p, memory, key, agent);
    last_move(p, memory) = {-1, 0, 0.0, 1.0};
  }

  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    if (waits(p, observation)) return 0;
    return explore(p.exploration, Base::row(p, memory, observation), p.actions, word, t);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    Move& move = last_move(p, memory);
    if (!waits(p, from)) {
      move = {static_cast<int64_t>(from), static_cast<int64_t>(step.actions[step.agent]), 0.0, 1.0};
    }
    if (move.observation < 0) return;
    move.sum += move.discount * static_cast<double>(step.rewards[step.agent]);
    move.discount *= p.gamma;
    const bool ended = step.episode == Episode::ended;
    if (ended || !waits(p, to)) {
      const double next =
          ended ? 0.0 : move.discount * best_value(Base::row(p, memory, to), p.actions);
      double& q = Base::row(p, memory, static_cast<uint32_t>(move.observation))[move.action];
      q += p.alpha * (move.sum + next - q);
      move.observation = -1;
    }
    if (step.episode != Episode::goes_on) move.observation = -1;
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    pure_strategy(arg_max(Base::row(p, memory, observation), p.actions), p.actions, out);
  }

 private:
  CUMARL_HD static bool waits(const Params& p, uint32_t observation) {
    return static_cast<int64_t>(observation) == p.waiting;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
