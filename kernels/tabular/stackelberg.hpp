/// \file
/// Stackelberg play: an optimal commitment, and the response to one.
#pragma once

#include "kernels/solvers/tableau.hpp"
#include "kernels/solvers/zero_sum.hpp"
#include "kernels/tabular/known_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// An optimal mixed commitment, by one linear programme for each of the follower's actions j: the
/// strategy x that is best for the leader among those to which j is a best response. The follower
/// is taken to break ties in the leader's favour (strong Stackelberg equilibrium).
/// Source: Conitzer and Sandholm, "Computing the optimal strategy to commit to", EC 2006, section 3.
struct Commitment {
  double leader[kMaxSolverActions] = {};
  int response = 0;
  double value = 0.0;  ///< to the leader

  /// Payoffs [leader's action][follower's action]. Of equals the lowest response. Pre: 1 to 16
  /// actions each. Throws ParameterError for payoffs that are not finite.
  static Commitment solve(const std::vector<double>& leads, const std::vector<double>& follows,
                          int rows, int columns) {
    Commitment best;
    bool finite = true;
    const PayoffScale scale = PayoffScale::of(leads.data(), rows * columns, 1, finite);
    const PayoffScale other = PayoffScale::of(follows.data(), rows * columns, 1, finite);
    if (!finite) throw ParameterError("name", "needs finite payoffs");
    const auto at = [&](int i, int j) { return static_cast<size_t>(i * columns + j); };
    bool found = false;
    for (int j = 0; j < columns; ++j) {
      // maximise sum x_i u(i, j), u scaled to [1, 2], with sum x <= 1 and no other action better
      // than j. Payoffs above 0 make the sum 1 wherever x = 0 is not the only point.
      TableauRoom<kMaxSolverActions, kMaxSolverActions> room;
      Tableau t = room.tableau(columns, rows, rows);
      t.start(0);
      int r = 0;
      for (int k = 0; k < columns; ++k) {
        if (k == j) continue;
        for (int i = 0; i < rows; ++i) {
          t.cell(r, i) = (follows[at(i, k)] - follows[at(i, j)]) / other.width;
        }
        ++r;
      }
      for (int i = 0; i < rows; ++i) {
        t.cell(r, i) = 1.0;
        t.cell(columns, i) = -scale(leads[at(i, j)]);
      }
      t.cell(r, rows) = 1.0;
      if (!t.maximise(64 * (rows + columns)) || t.right(columns) < 0.5) continue;
      double x[kMaxSolverActions] = {};
      for (int i = 0; i < rows; ++i) x[i] = t.value_of(i);
      normalise(x, rows);
      double value = 0.0;
      for (int i = 0; i < rows; ++i) value += x[i] * leads[at(i, j)];
      if (!found || value > best.value + 1e-12 * scale.width) {
        found = true;
        best.response = j;
        best.value = value;
        for (int i = 0; i < rows; ++i) best.leader[i] = x[i];
      }
    }
    if (!found) throw ParameterError("name", "no optimal commitment found");
    return best;
  }
};

/// One of two agents commits to its optimal mixed strategy, the other best-responds to what the
/// leader played last, before that to the optimal commitment; ties within 1e-9 of the payoffs' range
/// in the leader's favour, then to the lowest action.
/// Source: Conitzer and Sandholm 2006, section 3. Deviation: none.
///
/// Memory: the follower's response.
struct Stackelberg {
  static constexpr LearnerFacts kFacts{"stackelberg", "Stackelberg leader or follower",
                                       "Conitzer and Sandholm 2006, section 3", Sees::game};
  static constexpr bool kGreedy = false;

  struct Config {
    Choice role{0};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v.choice("role", c.role, {"first_leads", "second_leads"},
             "which agent commits; the same for both");
  }

  struct Params {
    KnownGame game;
    int32_t agent;
    int32_t leader;
    int32_t actions;
    int32_t response;  ///< of the follower to the optimal commitment
    double indifference;
    double commitment[kMaxSolverActions];
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    if (spec.agents != 2) throw ParameterError("name", "Stackelberg play is for two agents");
    Params p{};
    p.game = KnownGame::make(spec, arena, false, "name");
    p.agent = spec.agent;
    p.leader = c.role.value;
    p.actions = spec.actions;
    const int rows = spec.all_actions[p.leader];
    const int columns = spec.all_actions[1 - p.leader];
    std::vector<double> leads;
    std::vector<double> follows;
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        const int cell = p.leader == 0 ? i * columns + j : j * rows + i;
        leads.push_back((*spec.game)[static_cast<size_t>(2 * cell + p.leader)]);
        follows.push_back((*spec.game)[static_cast<size_t>(2 * cell + 1 - p.leader)]);
      }
    }
    const Commitment best = Commitment::solve(leads, follows, rows, columns);
    for (int i = 0; i < rows; ++i) p.commitment[i] = best.leader[i];
    p.response = best.response;
    bool finite = true;
    p.indifference = 1e-9 * PayoffScale::of(follows.data(), rows * columns, 1, finite).width;
    return p;
  }
  CUMARL_HD static size_t bytes(const Params&) { return sizeof(double); }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey, int) {
    *doubles(memory) = p.response;
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t, double* out) {
    for (int a = 0; a < p.actions; ++a) {
      out[a] = p.agent == p.leader ? p.commitment[a] : (a == *doubles(memory) ? 1.0 : 0.0);
    }
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t, uint32_t word, uint64_t) {
    if (p.agent != p.leader) return static_cast<int>(*doubles(memory));
    return action_at(p.commitment, p.actions, unit_double(word));
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t, uint32_t,
                              const Transition& step) {
    if (p.agent == p.leader) return;
    double values[kMaxSolverActions];
    p.game.values(step.strategies, p.agent, values);
    const double top = values[arg_max(values, p.actions)];
    int best = -1;
    double best_for_leader = 0.0;
    for (int a = 0; a < p.actions; ++a) {
      if (values[a] < top - p.indifference) continue;
      double worth = 0.0;  // to the leader
      for (int i = 0; i < p.game.actions(p.leader); ++i) {
        const int cell = i * p.game.view.weight[p.leader] + a * p.game.view.weight[p.agent];
        worth +=
            step.strategies[p.leader * kStrategyPitch + i] * p.game.view.payoff(cell, p.leader);
      }
      if (best < 0 || worth > best_for_leader) {
        best = a;
        best_for_leader = worth;
      }
    }
    *doubles(memory) = best;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
