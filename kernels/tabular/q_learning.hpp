/// \file
/// Independent Q-learning.
#pragma once

#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q(s,a) += alpha (r + gamma max Q(s',.) - Q(s,a)), every agent for itself.
/// Source: Watkins and Dayan, "Q-learning", Machine Learning 8, 1992, eq. (1); as independent
/// learners: Tan, ICML 1993. Deviation: none; ties go to the lowest action.
template <class Table, class Shape>
struct QLearning : Tabular<Table, Shape> {
  using Base = Tabular<Table, Shape>;
  using typename Base::Cursor;

  static constexpr LearnerFacts kFacts{
      "q_learning", "Independent Q-learning",
      "Watkins and Dayan 1992, eq. (1); Tan 1993 for independent learners"};

  struct Config : Base::Config {
    double alpha = 0.1;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate");
    Base::fields(v, c);
  }

  struct Params : Base::Params {
    typename Table::Rate alpha;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    return {Base::make(c, spec, arena), Table::rate(c.alpha)};
  }

  template <class Team>
  CUMARL_HD static CUMARL_INLINE void learn(const Team& team, const Params& p, std::byte* memory,
                                            Cursor& from, Cursor& next, const Transition& step) {
    const auto a = static_cast<uint32_t>(step.actions[step.agent]);
    const float reward = step.rewards[step.agent];
    const auto was = Base::row(p, memory, from.observation)[a];
    const auto error = step.episode == Episode::ended
                           ? Table::final_error(p.codec, was, reward)
                           : Table::error(p.codec, was, reward, next.best);
    Base::write(team, p, memory, from, a, was, Table::moved(was, a, p.alpha, error), next);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
