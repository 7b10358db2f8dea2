/// \file
/// Nash-Q.
#pragma once

#include "kernels/solvers/bimatrix.hpp"
#include "kernels/tabular/stage_game_learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A Nash equilibrium of the bimatrix game of both agents' tables. Plans are own actions.
struct NashRule {
  static constexpr int tables = 2;
  static constexpr int plan_weight = 1;
  static constexpr int speaker = -1;

  struct Config {};
  static void fields(FieldVisitor&, Config&) {}

  JointActions joints;
  int32_t plans;
  int32_t agent;

  static NashRule make(const Config&, const AgentSpec& spec) {
    if (spec.agents != 2) throw ParameterError("name", "nash_q is for two agents");
    if (spec.all_actions[0] > kMaxSolverActions || spec.all_actions[1] > kMaxSolverActions) {
      throw ParameterError("name", "nash_q takes up to 16 actions an agent");
    }
    return {JointActions::make(spec, {}, tables), spec.actions, spec.agent};
  }
  CUMARL_HD int owner(int table) const { return table; }
  CUMARL_HD int place(int table, int cell) const { return table * joints.count() + cell; }
  CUMARL_HD size_t scratch() const { return 0; }
  CUMARL_HD bool solve(const double* q, double*, double* strategy, double* values) const {
    const BimatrixSolution game =
        solve_bimatrix(q, q + joints.count(), joints.actions[0], joints.actions[1]);
    if (!game.ok) return false;
    const double* own = agent == 0 ? game.row : game.column;
    for (int a = 0; a < plans; ++a) strategy[a] = own[a];
    values[0] = game.values[0];
    values[1] = game.values[1];
    return true;
  }
};

/// Every agent learns the tables of both, and V(s) is what a Nash equilibrium of the one-shot game
/// Q(s, ., .) pays; its part of that equilibrium is played.
/// Source: Hu and Wellman, "Nash Q-learning for general-sum stochastic games", JMLR 4, 2003, eq.
/// (7) and (8). Deviation: which equilibrium is solve_bimatrix's choice (kernels/solvers/
/// bimatrix.hpp), the same for both agents: of the pure ones that with the highest sum. Observations
/// without a visit are worth the initial value and played uniformly. Their learning rate 1 / n(s,
/// a1, a2) is alpha = 1, rate.schedule = "visits".
struct NashQ : StageGameLearner<NashRule> {
  static constexpr LearnerFacts kFacts{"nash_q", "Nash-Q, for two agents",
                                       "Hu and Wellman, JMLR 4, 2003, eq. (7) and (8)",
                                       Sees::joint};
};

}  // namespace cumarl::inline CUMARL_VARIANT
