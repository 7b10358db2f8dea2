/// \file
/// Hysteretic Q-learning.
#pragma once

#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q-learning that believes good news faster than bad: rate alpha when the error is >= 0, beta
/// when it is negative.
/// Source: Matignon, Laurent, Le Fort-Piat, "Hysteretic Q-learning", IROS 2007, eq. (5).
/// Deviation: none; beta <= alpha is what the method is for, but not enforced.
template <class Table, class Shape>
struct HystereticQ : Tabular<Table, Shape> {
  using Base = Tabular<Table, Shape>;
  using typename Base::Cursor;

  static constexpr LearnerFacts kFacts{"hysteretic_q", "Hysteretic Q-learning",
                                       "Matignon, Laurent, Le Fort-Piat, IROS 2007, eq. (5)"};

  struct Config : Base::Config {
    double alpha = 0.1;
    double beta = 0.01;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate for errors >= 0");
    v("beta", c.beta, Bounds{0, 1}, "", "learning rate for errors < 0");
    Base::fields(v, c);
  }

  struct Params : Base::Params {
    typename Table::Rate alpha;
    typename Table::Rate beta;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    return {Base::make(c, spec, arena), Table::rate(c.alpha), Table::rate(c.beta)};
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
    const auto rate = Table::is_loss(error) ? p.beta : p.alpha;
    Base::write(team, p, memory, from, a, was, Table::moved(was, a, rate, error), next);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
