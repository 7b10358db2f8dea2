/// \file
/// Limits on what agents' costs may come to on average, for every joint learner: multipliers that
/// dual ascent moves, and rewards less what they charge.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/env.hpp"
#include "kernels/core/fields.hpp"
#include "kernels/core/hd.hpp"
#include "kernels/linear/joint_sizes.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Agent i is to keep its mean cost d_i, a joint step in an endless environment and else an episode,
/// within limit_i. It learns from r_i - lambda_i c_i; after every window of `every` joint steps (or
/// episodes), with D_i its mean cost there,
///   m_i <- clip(m_i + rate (D_i - limit_i));   lambda_i = clip(m_i + proportional (D_i - limit_i))
/// where clip keeps a number within [0, most]. lambda_i and m_i start at `start`.
/// Source: Altman, "Constrained Markov decision processes", 1999; for sampled costs, Tessler,
/// Mankowitz, Mannor, "Reward constrained policy optimization", ICLR 2019, eqs. (6), (8) and (11);
/// the proportional term: Stooke, Achiam, Abbeel, ICML 2020, algorithm 2, without a derivative.
/// Deviation: one constraint an agent, on undiscounted means over a window of play, exploration
/// included; the learner's own discount applies to the charged rewards.
struct Constraint {
  struct Config {
    std::vector<double> limit;
    double rate = 0.01;
    double start = 0.0;
    double most = 100.0;
    double proportional = 0.0;
    int every = 1;

    void fields(FieldVisitor& v) {
      v("cost_limit", limit, Bounds{-1e9, 1e9}, "cost",
        "greatest mean cost of an agent in an episode, or in a joint step of an endless "
        "environment: one, or one an agent; empty: no limit");
      v("multiplier.rate", rate, Bounds{0, 1e6}, "reward/cost^2",
        "cost_limit: step size of the Lagrange multipliers");
      v("multiplier.start", start, Bounds{0, 1e9}, "reward/cost",
        "cost_limit: first value of the multipliers");
      v("multiplier.max", most, Bounds{0, 1e9}, "reward/cost",
        "cost_limit: greatest value of the multipliers");
      v("multiplier.proportional", proportional, Bounds{0, 1e6}, "reward/cost^2",
        "cost_limit: what a window's excess alone adds to the multiplier, against oscillation");
      v("multiplier.every", every, Bounds{1, 1e9}, "episodes or joint steps",
        "cost_limit: window between two steps of the multipliers");
    }
  };

  bool on;
  bool per_step;  ///< limits are on a joint step's cost, not on an episode's
  int32_t every;
  double rate, start, most, proportional;
  double limit[kMaxJointAgents];

  /// What a run keeps, in whole 64-byte lines.
  struct Ledger {
    double multiplier[kMaxJointAgents];  ///< lambda
    double level[kMaxJointAgents];       ///< m
    double total[kMaxJointAgents];       ///< costs in this window
    uint64_t counted;                    ///< joint steps or episodes in this window
    uint64_t spare[7];
  };

  /// `endless`: the environment has no episodes. Throws ParameterError.
  static Constraint make(const Config& c, int agents, bool has_costs, bool endless) {
    Constraint p{};
    if (c.limit.empty()) return p;
    if (!has_costs) {
      throw ParameterError("cost_limit", "needs an environment with costs; this one states none");
    }
    if (c.limit.size() != 1 && c.limit.size() != static_cast<size_t>(agents)) {
      throw ParameterError("cost_limit", "one value, or one an agent (" + std::to_string(agents) +
                                             "), not " + std::to_string(c.limit.size()));
    }
    if (c.start > c.most)
      throw ParameterError("multiplier.start", "must not exceed multiplier.max");
    p.on = true;
    p.per_step = endless;
    p.every = c.every;
    p.rate = c.rate;
    p.start = c.start;
    p.most = c.most;
    p.proportional = c.proportional;
    for (size_t i = 0; i < static_cast<size_t>(agents); ++i) {
      p.limit[i] = c.limit[c.limit.size() == 1 ? 0 : i];
    }
    return p;
  }

  /// Opens a run's ledger, all zero before.
  template <class Team>
  CUMARL_HD void open(const Team& team, int agents, Ledger& ledger) const {
    if (team.rank() == 0) {
      for (int i = 0; i < agents; ++i) ledger.multiplier[i] = ledger.level[i] = start;
    }
    team.sync();
  }

  /// Takes what the costs of a joint step [agents] are charged at from its rewards [agents], the
  /// same in every lane; then enters the costs.
  template <class Team>
  CUMARL_HD void charge(const Team& team, int agents, const float* cost, Episode episode,
                        Ledger& ledger, float* rewards) const {
    for (int i = 0; i < agents; ++i) {
      rewards[i] = static_cast<float>(static_cast<double>(rewards[i]) -
                                      ledger.multiplier[i] * static_cast<double>(cost[i]));
    }
    team.once([&] {
      for (int i = 0; i < agents; ++i) ledger.total[i] += static_cast<double>(cost[i]);
      if (!per_step && episode == Episode::goes_on) return;
      if (++ledger.counted < static_cast<uint64_t>(every)) return;
      for (int i = 0; i < agents; ++i) {
        const double excess = ledger.total[i] / static_cast<double>(every) - limit[i];
        ledger.level[i] = clipped(ledger.level[i] + rate * excess);
        ledger.multiplier[i] = clipped(ledger.level[i] + proportional * excess);
        ledger.total[i] = 0;
      }
      ledger.counted = 0;
    });
  }

 private:
  CUMARL_HD double clipped(double x) const { return x < 0 ? 0.0 : (x > most ? most : x); }
};

}  // namespace cumarl::inline CUMARL_VARIANT
