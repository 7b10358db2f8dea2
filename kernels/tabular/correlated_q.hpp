/// \file
/// Correlated-Q.
#pragma once

#include "kernels/solvers/correlated.hpp"
#include "kernels/tabular/stage_game_learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The best correlated equilibrium of the one-shot game of all agents' tables. Plans are joint
/// actions, drawn from one random word.
struct CorrelatedRule {
  static constexpr int speaker = 0;
  static constexpr size_t kMaxScratch = size_t{1} << 20;

  struct Config {
    Choice objective{0};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v.choice("objective", c.objective, {"utilitarian", "egalitarian"},
             "which equilibrium: the highest sum of values, or the highest least value");
  }

  JointActions joints;
  int32_t tables;
  int32_t plans;
  int32_t plan_weight;
  CorrelatedQuestion question;

  static CorrelatedRule make(const Config& c, const AgentSpec& spec) {
    if (spec.agents > NormalFormView::kMaxPlayers) {
      throw ParameterError("name", "correlated_q takes up to 6 agents");
    }
    CorrelatedRule r{};
    r.joints = JointActions::make(spec, {}, spec.agents);
    r.tables = spec.agents;
    r.plans = r.joints.count();
    r.plan_weight = static_cast<int32_t>(r.joints.weight[spec.agent]);
    r.question.objective = c.objective.value == 0 ? CorrelatedObjective::utilitarian
                                                  : CorrelatedObjective::egalitarian;
    if (r.scratch() > kMaxScratch) {
      throw ParameterError("name", "too many joint actions for the linear program of correlated_q");
    }
    return r;
  }
  CUMARL_HD NormalFormView game(const double* q) const {
    return normal_form(joints.agents, joints.actions, q);
  }
  CUMARL_HD int owner(int table) const { return table; }
  CUMARL_HD int place(int table, int cell) const { return cell * tables + table; }
  CUMARL_HD size_t scratch() const {
    const NormalFormView view = game(nullptr);
    const auto rows = static_cast<size_t>(correlated_rows(view, question));
    const auto columns = static_cast<size_t>(correlated_columns(view, question));
    return (rows + 1) * (columns + 1) + (2 * rows + columns + 1) / 2;
  }
  CUMARL_HD bool solve(const double* q, double* scratch, double* strategy, double* values) const {
    const NormalFormView view = game(q);
    Tableau t;
    const int rows = correlated_rows(view, question);
    const int columns = correlated_columns(view, question);
    t.cells = scratch;
    t.basic = reinterpret_cast<int*>(scratch + (rows + 1) * (columns + 1));
    t.nonbasic = t.basic + rows;
    t.slack_column = t.nonbasic + columns;
    if (!solve_correlated(view, question, t, strategy)) return false;
    joint_payoffs(view, strategy, values);
    return true;
  }
};

/// Every agent learns the tables of all, V(s) is what the chosen correlated equilibrium of the
/// one-shot game Q(s, .) pays, and its recommendations, drawn in common, are played.
/// Source: Greenwald and Hall, "Correlated-Q learning", ICML 2003, section 3, uCE-Q and eCE-Q.
/// Deviation: none; of several best equilibria solve_correlated's (kernels/solvers/
/// correlated.hpp). Evaluated policies are the agents' own parts of the distribution, drawn
/// independently.
struct CorrelatedQ : StageGameLearner<CorrelatedRule> {
  static constexpr LearnerFacts kFacts{"correlated_q", "Correlated-Q",
                                       "Greenwald and Hall, ICML 2003, uCE-Q and eCE-Q",
                                       Sees::joint};
};

}  // namespace cumarl::inline CUMARL_VARIANT
