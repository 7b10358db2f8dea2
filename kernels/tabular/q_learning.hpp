/// \file
/// Independent Q-learning.
#pragma once

#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q(s,a) += alpha (r + gamma max Q(s',.) - Q(s,a)), every agent for itself.
/// Source: Watkins and Dayan, "Q-learning", Machine Learning 8, 1992, eq. (1); as independent
/// learners: Tan, ICML 1993. Deviation: none; ties go to the lowest action.
template <class Table, class Shape>
struct QLearning : ConstantRate<Table, Shape> {
  using Base = ConstantRate<Table, Shape>;
  using typename Base::Cursor;
  using typename Base::Params;

  static constexpr LearnerFacts kFacts{
      "q_learning", "Independent Q-learning",
      "Watkins and Dayan 1992, eq. (1); Tan 1993 for independent learners"};

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
