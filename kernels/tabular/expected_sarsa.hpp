/// \file
/// Expected Sarsa.
#pragma once

#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q(s,a) += alpha (r + gamma sum_a' pi(a'|s') Q(s',a') - Q(s,a)), where pi is the agent's own
/// exploring policy at the next step: epsilon-greedy or Boltzmann.
/// Source: van Seijen, van Hasselt, Whiteson, Wiering, ADPRL 2009, eq. (5). Deviation: none.
template <class Table, class Shape>
struct ExpectedSarsa : ConstantRate<Table, Shape> {
  using Base = ConstantRate<Table, Shape>;
  using typename Base::Cursor;
  using typename Base::Params;

  static constexpr LearnerFacts kFacts{"expected_sarsa", "Expected Sarsa",
                                       "van Seijen, van Hasselt, Whiteson, Wiering 2009, eq. (5)"};

  /// The value of the next observation under the policy of step t.
  CUMARL_HD static double expected(const Params& p, std::byte* memory, const Cursor& at,
                                   uint64_t t) {
    const auto* entries = Base::row(p, memory, at.observation);
    const double top = Table::worth(p.codec, at.best);
    const auto parameter = static_cast<double>(p.exploration.at(t));
    const bool boltzmann = p.exploration.kind == Exploration::kBoltzmann;
    double sum = 0;
    double weights = 0;
    for (int a = 0; a < p.row_actions(); ++a) {
      const double value = Table::decode(p.codec, entries[a]);
      const double weight = boltzmann ? portable_exp((value - top) / parameter) : 1.0;
      sum += weight * value;
      weights += weight;
    }
    const double mean = sum / weights;
    return boltzmann ? mean : top + parameter * (mean - top);
  }

  template <class Team>
  CUMARL_HD static CUMARL_INLINE void learn(const Team& team, const Params& p, std::byte* memory,
                                            Cursor& from, Cursor& next, const Transition& step) {
    const auto a = static_cast<uint32_t>(step.actions[step.agent]);
    const auto was = Base::row(p, memory, from.observation)[a];
    double target = static_cast<double>(step.rewards[step.agent]);
    if (step.episode != Episode::ended) {
      target += p.gamma * expected(p, memory, next, step.t + 1);
    }
    const auto error = Table::error_to(p.codec, was, target);
    Base::write(team, p, memory, from, a, was, Table::moved(was, a, p.alpha, error), next);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
