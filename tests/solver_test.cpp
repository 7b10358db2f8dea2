/// The solvers: known equilibria (shared reference tables, exact by lrsnash), identities, games of
/// full capacity, degenerate games, and that every compiler gets the same bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "cumarl/error.hpp"
#include "host/src/extreme_equilibria.hpp"
#include "host/src/nash_search.hpp"
#include "host/src/solve.hpp"
#include "kernels/solvers/bimatrix.hpp"
#include "kernels/solvers/correlated.hpp"
#include "kernels/solvers/quantal.hpp"
#include "kernels/solvers/stochastic.hpp"
#include "kernels/solvers/strategies.hpp"
#include "kernels/solvers/zero_sum.hpp"

namespace {

using namespace cumarl;
using Numbers = std::vector<double>;

struct Game {
  int rows;
  int columns;
  Numbers u1;
  Numbers u2;
};
const Game kPrisoners{2, 2, {3, 0, 5, 1}, {3, 5, 0, 1}};
const Game kStagHunt{2, 2, {4, 0, 3, 3}, {4, 3, 0, 3}};
const Game kChicken{2, 2, {6, 2, 7, 0}, {6, 7, 2, 0}};
const Game kSexes{2, 2, {3, 0, 0, 2}, {2, 0, 0, 3}};
const Game kPennies{2, 2, {1, -1, -1, 1}, {-1, 1, 1, -1}};
const Game kRock{3, 3, {0, -1, 1, 1, 0, -1, -1, 1, 0}, {0, 1, -1, -1, 0, 1, 1, -1, 0}};
const Game kShapley{3, 3, {0, 0, 1, 1, 0, 0, 0, 1, 0}, {0, 1, 0, 0, 0, 1, 1, 0, 0}};
const Game kClimbing{3, 3, {11, -30, 0, -30, 7, 6, 0, 0, 5}, {11, -30, 0, -30, 7, 6, 0, 0, 5}};
const Game kPenalty{3, 3, {10, 0, -7, 0, 2, 0, -7, 0, 10}, {10, 0, -7, 0, 2, 0, -7, 0, 10}};
const Game kQtran{3, 3, {8, -12, -12, -12, 0, 0, -12, 0, 0}, {8, -12, -12, -12, 0, 0, -12, 0, 0}};

/// Random games of the kinds that make pivoting hard, too: few values, repeated rows, wild scales.
class Draw {
 public:
  explicit Draw(uint64_t seed) : bits_(seed) {}

  int below(int n) { return static_cast<int>(bits_() % static_cast<uint64_t>(n)); }
  double uniform() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }
  Numbers table(int rows, int columns) {
    Numbers out(static_cast<std::size_t>(rows * columns));
    const int kind = below(4);
    for (double& u : out) {
      u = kind == 0   ? 2.0 * uniform() - 1.0
          : kind == 1 ? below(3)
          : kind == 2 ? below(7) - 3
                      : std::exp(8.0 * uniform() - 4.0);
    }
    return out;
  }
  Game game(int rows, int columns) {
    Game g{rows, columns, table(rows, columns), table(rows, columns)};
    if (rows > 1 && below(5) == 0) {
      for (int j = 0; j < columns; ++j) {
        const auto from = static_cast<std::size_t>(j);
        const auto to = static_cast<std::size_t>((rows - 1) * columns + j);
        g.u1[to] = g.u1[from];
        g.u2[to] = g.u2[from];
      }
    }
    return g;
  }

 private:
  std::mt19937_64 bits_;
};

double range(const Numbers& u) {
  const auto [low, high] = std::minmax_element(u.begin(), u.end());
  return *high > *low ? *high - *low : 1.0;
}
Numbers mapped(Numbers u, double scale, double shift) {
  for (double& value : u) value = scale * value + shift;
  return u;
}
Numbers transposed(const Numbers& u, int rows, int columns) {
  Numbers out(u.size());
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      out[static_cast<std::size_t>(j * rows + i)] = u[static_cast<std::size_t>(i * columns + j)];
    }
  }
  return out;
}
/// Payoffs as NormalFormView has them.
Numbers joined(const Game& g) {
  Numbers out;
  for (std::size_t k = 0; k < g.u1.size(); ++k) {
    out.push_back(g.u1[k]);
    out.push_back(g.u2[k]);
  }
  return out;
}
ZeroSumSolution zero_sum(const Game& g) { return solve_zero_sum(g.u1.data(), g.rows, g.columns); }
BimatrixSolution nash(const Game& g) {
  return solve_bimatrix(g.u1.data(), g.u2.data(), g.rows, g.columns);
}

// ---- Zero-sum games --------------------------------------------------------------------------------

void expect_optimal(const ZeroSumSolution& s, const Game& g) {
  ASSERT_TRUE(s.ok);
  EXPECT_LE(s.high - s.low, 1e-9 * range(g.u1)) << g.rows << "x" << g.columns;
  double sums[2] = {};
  for (int i = 0; i < g.rows; ++i) {
    EXPECT_GE(s.row[i], 0.0);
    sums[0] += s.row[i];
  }
  for (int j = 0; j < g.columns; ++j) {
    EXPECT_GE(s.column[j], 0.0);
    sums[1] += s.column[j];
  }
  EXPECT_NEAR(sums[0], 1.0, 1e-14);
  EXPECT_NEAR(sums[1], 1.0, 1e-14);
}

TEST(ZeroSum, KnownValues) {
  const auto pennies = zero_sum(kPennies);
  EXPECT_EQ(pennies.value, 0.0);
  EXPECT_EQ(pennies.row[0], 0.5);
  const auto rock = zero_sum(kRock);
  EXPECT_NEAR(rock.value, 0.0, 1e-15);
  for (int k = 0; k < 3; ++k) EXPECT_NEAR(rock.column[k], 1.0 / 3.0, 1e-15);
  // No saddle point: p = 3/5, value 7/5.
  const double two[] = {3, -1, -1, 5};
  const auto s = solve_zero_sum(two, 2, 2);
  EXPECT_NEAR(s.row[0], 0.6, 1e-15);
  EXPECT_NEAR(s.column[0], 0.6, 1e-15);
  EXPECT_NEAR(s.value, 1.4, 1e-15);
  // A saddle point is exact and pure: the lowest row and column of several.
  const double saddle[] = {1, 0.1, 0.1, 2, 0.1, 0.1};
  const auto pure = solve_zero_sum(saddle, 2, 3);
  EXPECT_EQ(pure.value, 0.1);
  EXPECT_EQ(pure.row[0], 1.0);
  EXPECT_EQ(pure.column[1], 1.0);
}

TEST(ZeroSum, DualityOnRandomGames) {
  Draw draw(1);
  for (int k = 0; k < 6000; ++k) {
    const Game g = draw.game(1 + draw.below(16), 1 + draw.below(16));
    expect_optimal(zero_sum(g), g);
  }
}

TEST(ZeroSum, FullCapacity) {
  Draw draw(2);
  for (int k = 0; k < 300; ++k) {
    const Game g = draw.game(16, 16);
    expect_optimal(zero_sum(g), g);
  }
}

TEST(ZeroSum, Identities) {
  Draw draw(3);
  for (int k = 0; k < 500; ++k) {
    const int rows = 1 + draw.below(8);
    const int columns = 1 + draw.below(8);
    const Numbers u = draw.table(rows, columns);
    const double size = 1e-9 * (1.0 + range(u));
    const double value = solve_zero_sum(u.data(), rows, columns).value;
    const Numbers moved = mapped(u, 1.0, 3.5);
    EXPECT_NEAR(solve_zero_sum(moved.data(), rows, columns).value, value + 3.5, size);
    const Numbers other = transposed(mapped(u, -1.0, 0.0), rows, columns);
    EXPECT_NEAR(solve_zero_sum(other.data(), columns, rows).value, -value, size);
    Numbers near = u;
    for (double& x : near) x += 0.1 * draw.uniform();
    EXPECT_LE(std::fabs(solve_zero_sum(near.data(), rows, columns).value - value), 0.1 + size);
    Numbers odd(static_cast<std::size_t>(rows * rows));
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < i; ++j) {
        const double x = draw.uniform();
        odd[static_cast<std::size_t>(i * rows + j)] = x;
        odd[static_cast<std::size_t>(j * rows + i)] = -x;
      }
    }
    EXPECT_NEAR(solve_zero_sum(odd.data(), rows, rows).value, 0.0, 1e-9);
  }
}

TEST(ZeroSum, UnitsDoNotMatter) {
  Draw draw(20);
  for (int k = 0; k < 300; ++k) {
    Game g = draw.game(2 + draw.below(8), 3 + draw.below(8));
    const double scale = k % 2 == 0 ? 1e12 : 1e-12;
    g.u1 = mapped(g.u1, scale, 0.0);
    g.u2 = mapped(g.u2, 1.0 / scale, 0.0);
    expect_optimal(zero_sum(g), g);
    const auto s = nash(g);
    ASSERT_TRUE(s.ok);
    Numbers column(static_cast<std::size_t>(g.columns), 0.0);
    for (int j = 0; j < g.columns; ++j) {
      for (int i = 0; i < g.rows; ++i) {
        column[static_cast<std::size_t>(j)] +=
            s.row[i] * g.u2[static_cast<std::size_t>(i * g.columns + j)];
      }
    }
    const double top = *std::max_element(column.begin(), column.end());
    EXPECT_LE(top - s.values[1], 1e-9 * range(g.u2));
  }
}

TEST(ZeroSum, RefusesWhatItCannotSolve) {
  const Numbers many(17 * 2, 0.0);
  EXPECT_FALSE(solve_zero_sum(many.data(), 17, 2).ok);
  EXPECT_FALSE(solve_zero_sum(many.data(), 2, 17).ok);
  EXPECT_FALSE(solve_zero_sum(many.data(), 0, 2).ok);
  const double bad[] = {1, 2, std::numeric_limits<double>::quiet_NaN(), 0};
  EXPECT_FALSE(solve_zero_sum(bad, 2, 2).ok);
  const double endless[] = {1, 2, std::numeric_limits<double>::infinity(), 0};
  EXPECT_FALSE(solve_zero_sum(endless, 2, 2).ok);
}

// ---- One Nash equilibrium ---------------------------------------------------------------------------

TEST(Bimatrix, KnownEquilibria) {
  const auto expect = [](const Game& g, double v1, double v2, bool pure) {
    const auto s = nash(g);
    EXPECT_TRUE(s.ok);
    EXPECT_EQ(s.pure, pure);
    EXPECT_NEAR(s.values[0], v1, 1e-12);
    EXPECT_NEAR(s.values[1], v2, 1e-12);
  };
  expect(kPrisoners, 1, 1, true);
  expect(kStagHunt, 4, 4, true);  // the highest sum of two
  expect(kChicken, 2, 7, true);   // equal sums: the lowest joint action
  expect(kSexes, 3, 2, true);
  expect(kClimbing, 11, 11, true);
  expect(kPenalty, 10, 10, true);
  expect(kQtran, 8, 8, true);
  expect(kPennies, 0, 0, false);
  expect(kRock, 0, 0, false);
  expect(kShapley, 1.0 / 3.0, 1.0 / 3.0, false);
}

TEST(Bimatrix, RandomGames) {
  Draw draw(4);
  int mixed = 0;
  for (int k = 0; k < 6000; ++k) {
    const Game g = draw.game(1 + draw.below(16), 1 + draw.below(16));
    const auto s = nash(g);
    ASSERT_TRUE(s.ok);
    mixed += s.pure ? 0 : 1;
    const Numbers u = joined(g);
    const int actions[] = {g.rows, g.columns};
    Numbers profile(s.row, s.row + g.rows);
    profile.insert(profile.end(), s.column, s.column + g.columns);
    const auto view = normal_form(2, actions, u.data());
    const double size = range(u);
    EXPECT_LE(nash_gap(view, profile.data()).epsilon, 1e-9 * size);
    double values[2];
    expected_payoffs(view, profile.data(), values);
    EXPECT_NEAR(values[0], s.values[0], 1e-12 * size);
    EXPECT_NEAR(values[1], s.values[1], 1e-12 * size);
  }
  EXPECT_GT(mixed, 500);
}

TEST(Bimatrix, ZeroSumGamesHaveTheirValue) {
  Draw draw(5);
  for (int k = 0; k < 1000; ++k) {
    Game g = draw.game(1 + draw.below(10), 1 + draw.below(10));
    g.u2 = mapped(g.u1, -1.0, 0.0);
    EXPECT_NEAR(nash(g).values[0], zero_sum(g).value, 1e-9 * range(g.u1));
  }
}

TEST(Bimatrix, RefusesWhatItCannotSolve) {
  const Numbers many(17 * 2, 0.0);
  EXPECT_FALSE(solve_bimatrix(many.data(), many.data(), 17, 2).ok);
  const double bad[] = {1, 2, std::numeric_limits<double>::quiet_NaN(), 0};
  EXPECT_FALSE(solve_bimatrix(many.data(), bad, 2, 2).ok);
}

// ---- What strategies are worth ------------------------------------------------------------------------

TEST(Strategies, ThreePlayersByHand) {
  // Player i gets 1 for action 1 if an even number of the others plays 1; joint actions 000 to 111.
  Numbers u;
  for (int cell = 0; cell < 8; ++cell) {
    const int a[] = {cell >> 2, cell >> 1 & 1, cell & 1};
    for (int i = 0; i < 3; ++i) {
      const int others = a[0] + a[1] + a[2] - a[i];
      u.push_back(a[i] == 1 && others % 2 == 0 ? 1.0 : 0.0);
    }
  }
  const int actions[] = {2, 2, 2};
  const auto view = normal_form(3, actions, u.data());
  const double profile[] = {0.5, 0.5, 0.25, 0.75, 1.0, 0.0};
  // Player 0: the others play 1 evenly often with .25; player 1: .5; player 2: .125 + .375 = .5.
  EXPECT_DOUBLE_EQ(action_value(view, profile, 0, 1), 0.25);
  EXPECT_DOUBLE_EQ(action_value(view, profile, 0, 0), 0.0);
  EXPECT_DOUBLE_EQ(action_value(view, profile, 1, 1), 0.5);
  EXPECT_DOUBLE_EQ(action_value(view, profile, 2, 1), 0.5);
  double values[3];
  expected_payoffs(view, profile, values);
  EXPECT_DOUBLE_EQ(values[0], 0.125);
  EXPECT_DOUBLE_EQ(values[1], 0.375);
  EXPECT_DOUBLE_EQ(values[2], 0.0);
  const auto gap = nash_gap(view, profile);
  EXPECT_DOUBLE_EQ(gap.nash_conv, 0.125 + 0.125 + 0.5);
  EXPECT_DOUBLE_EQ(gap.epsilon, 0.5);
  EXPECT_EQ(best_response(view, profile, 2).action, 1);
  EXPECT_TRUE(is_pure_nash(view, 7));   // all play 1
  EXPECT_FALSE(is_pure_nash(view, 0));  // all play 0
}

TEST(Strategies, NashIsCorrelatedIsCoarse) {
  Draw draw(6);
  for (int k = 0; k < 500; ++k) {
    const Game g = draw.game(1 + draw.below(5), 1 + draw.below(5));
    const auto s = nash(g);
    const Numbers u = joined(g);
    const int actions[] = {g.rows, g.columns};
    const auto view = normal_form(2, actions, u.data());
    Numbers joint;
    for (int cell = 0; cell < view.joint; ++cell) {
      joint.push_back(s.row[cell / g.columns] * s.column[cell % g.columns]);
    }
    EXPECT_LE(correlated_violation(view, joint.data()), 1e-9 * range(u));
    EXPECT_LE(coarse_violation(view, joint.data()), 1e-9 * range(u));
  }
  // Told by a coin who gives way, nobody deviates; told to play (C, C), both do.
  const Numbers u = joined(kChicken);
  const int actions[] = {2, 2};
  const auto view = normal_form(2, actions, u.data());
  const double coin[] = {0, 0.5, 0.5, 0};
  const double both[] = {1, 0, 0, 0};
  EXPECT_EQ(correlated_violation(view, coin), 0.0);
  EXPECT_EQ(correlated_violation(view, both), 1.0);
  EXPECT_EQ(coarse_violation(view, both), 1.0);
}

// ---- Correlated equilibria ------------------------------------------------------------------------------

struct Best {
  Numbers joint;
  Numbers values;
  double objective;
  double violation;
};
Best best(const NormalFormView& view, const CorrelatedQuestion& q) {
  const auto rows = static_cast<std::size_t>(correlated_rows(view, q));
  const auto columns = static_cast<std::size_t>(correlated_columns(view, q));
  Numbers cells((rows + 1) * (columns + 1));
  std::vector<int> basic(rows);
  std::vector<int> nonbasic(columns);
  std::vector<int> slack_column(rows);
  const Tableau room{0, 0, 0, cells.data(), basic.data(), nonbasic.data(), slack_column.data()};
  Best out{Numbers(static_cast<std::size_t>(view.joint)),
           Numbers(static_cast<std::size_t>(view.players)), 0, 0};
  EXPECT_TRUE(solve_correlated(view, q, room, out.joint.data()));
  joint_payoffs(view, out.joint.data(), out.values.data());
  out.violation = q.coarse ? coarse_violation(view, out.joint.data())
                           : correlated_violation(view, out.joint.data());
  if (q.objective == CorrelatedObjective::egalitarian) {
    out.objective = *std::min_element(out.values.begin(), out.values.end());
  } else if (q.objective == CorrelatedObjective::player) {
    out.objective = out.values[static_cast<std::size_t>(q.player)];
  } else {
    for (const double value : out.values) out.objective += value;
  }
  return out;
}
constexpr CorrelatedObjective kObjectives[] = {CorrelatedObjective::utilitarian,
                                               CorrelatedObjective::egalitarian,
                                               CorrelatedObjective::player};

TEST(Correlated, KnownEquilibria) {
  const int two[] = {2, 2};
  const int three[] = {3, 3};
  const Numbers chicken = joined(kChicken);
  const auto best_chicken = best(normal_form(2, two, chicken.data()), {});
  EXPECT_NEAR(best_chicken.joint[0], 0.5, 1e-12);
  EXPECT_NEAR(best_chicken.joint[1], 0.25, 1e-12);
  EXPECT_NEAR(best_chicken.joint[2], 0.25, 1e-12);
  EXPECT_NEAR(best_chicken.values[0], 5.25, 1e-12);
  const Numbers shapley = joined(kShapley);
  EXPECT_NEAR(best(normal_form(2, three, shapley.data()), {}).objective, 1.0, 1e-12);
  const Numbers prisoners = joined(kPrisoners);
  for (const auto objective : kObjectives) {
    const auto only = best(normal_form(2, two, prisoners.data()), {false, objective, 1});
    EXPECT_NEAR(only.joint[3], 1.0, 1e-12);
  }
  // The column player's best in chicken is that the row player gives way.
  const auto own =
      best(normal_form(2, two, chicken.data()), {false, CorrelatedObjective::player, 1});
  EXPECT_NEAR(own.values[1], 7.0, 1e-12);
}

TEST(Correlated, OrderedOnRandomGames) {
  Draw draw(7);
  static CorrelatedRoom<6> room;
  for (int k = 0; k < 1500; ++k) {
    const Game g = draw.game(1 + draw.below(6), 1 + draw.below(6));
    const Numbers u = joined(g);
    const int actions[] = {g.rows, g.columns};
    const auto view = normal_form(2, actions, u.data());
    const double size = 1e-8 * range(u);
    const auto s = nash(g);
    for (const auto objective : kObjectives) {
      const auto ce = best(view, {false, objective, 1});
      const auto cce = best(view, {true, objective, 1});
      EXPECT_LE(ce.violation, size);
      EXPECT_LE(cce.violation, size);
      const double nash_objective =
          objective == CorrelatedObjective::utilitarian   ? s.values[0] + s.values[1]
          : objective == CorrelatedObjective::egalitarian ? std::min(s.values[0], s.values[1])
                                                          : s.values[1];
      EXPECT_GE(ce.objective, nash_objective - size);
      EXPECT_GE(cce.objective, ce.objective - size);
      // The stack's room for games of 6x6 gives the same bits.
      Numbers again(static_cast<std::size_t>(view.joint));
      ASSERT_TRUE(
          solve_correlated(view, {false, objective, 1}, room.tableau(0, 0, 0), again.data()));
      EXPECT_EQ(again, ce.joint);
    }
  }
}

TEST(Correlated, ZeroSumMarginalsAreMinimax) {
  Draw draw(8);
  for (int k = 0; k < 300; ++k) {
    Game g = draw.game(1 + draw.below(6), 1 + draw.below(6));
    g.u2 = mapped(g.u1, -1.0, 0.0);
    const Numbers u = joined(g);
    const int actions[] = {g.rows, g.columns};
    const auto view = normal_form(2, actions, u.data());
    const auto cce = best(view, {true, CorrelatedObjective::player, 0});
    Numbers profile(static_cast<std::size_t>(g.rows + g.columns));
    joint_marginals(view, cce.joint.data(), profile.data());
    EXPECT_NEAR(cce.values[0], zero_sum(g).value, 1e-8 * range(u));
    EXPECT_LE(nash_gap(view, profile.data()).nash_conv, 1e-8 * range(u));
  }
}

TEST(Correlated, ManyPlayers) {
  Draw draw(9);
  for (int k = 0; k < 60; ++k) {
    const std::vector<int> actions =
        k % 2 == 0 ? std::vector<int>{2, 3, 2} : std::vector<int>{2, 2, 2, 2, 2, 2};
    int cells = static_cast<int>(actions.size());
    for (const int n : actions) cells *= n;
    const Numbers u = draw.table(cells, 1);
    const auto view = normal_form(static_cast<int>(actions.size()), actions.data(), u.data());
    for (const auto objective : kObjectives) {
      const auto ce = best(view, {false, objective, 1});
      const auto cce = best(view, {true, objective, 1});
      EXPECT_LE(ce.violation, 1e-8 * range(u));
      EXPECT_LE(cce.violation, 1e-8 * range(u));
      EXPECT_GE(cce.objective, ce.objective - 1e-8 * range(u));
      for (int cell = 0; cell < view.joint; ++cell) {
        if (!is_pure_nash(view, cell)) continue;
        Numbers pure(static_cast<std::size_t>(view.joint), 0.0);
        pure[static_cast<std::size_t>(cell)] = 1.0;
        double sum = 0.0;
        for (int i = 0; i < view.players; ++i) sum += view.payoff(cell, i);
        if (objective == CorrelatedObjective::utilitarian) {
          EXPECT_GE(ce.objective, sum - 1e-8 * range(u));
        }
      }
    }
  }
}

// ---- Quantal response equilibria ----------------------------------------------------------------------

TEST(Quantal, KnownEquilibria) {
  const auto& pd = kPrisoners;
  for (const auto& [tau, p] : {std::pair{2.0, .338648}, {1.0, .226751}, {0.5, .099788}}) {
    const auto all = solve_quantal_2x2(pd.u1.data(), pd.u2.data(), tau);
    ASSERT_EQ(all.count, 1);
    EXPECT_NEAR(all.found[0].row[0], p, 5e-7);
    EXPECT_NEAR(all.found[0].column[0], p, 5e-7);
    EXPECT_NEAR(solve_quantal(pd.u1.data(), pd.u2.data(), 2, 2, tau).row[0], all.found[0].row[0],
                1e-12);
  }
  const auto& stag = kStagHunt;
  for (const double tau : {1.0, 0.5, 0.3, 0.28}) {
    EXPECT_EQ(solve_quantal_2x2(stag.u1.data(), stag.u2.data(), tau).count, 1);
  }
  for (const double tau : {0.27, 0.2, 0.1, 0.01, 0.001}) {
    const auto all = solve_quantal_2x2(stag.u1.data(), stag.u2.data(), tau);
    ASSERT_EQ(all.count, 3);
    EXPECT_GT(all.found[0].row[0], all.found[1].row[0]);
    EXPECT_GT(all.found[1].row[0], all.found[2].row[0]);
    const auto principal = solve_quantal(stag.u1.data(), stag.u2.data(), 2, 2, tau);
    EXPECT_NEAR(principal.row[0], all.found[2].row[0], 1e-12);  // to the risk-dominant one
  }
}

TEST(Quantal, AnswersItself) {
  Draw draw(10);
  int solved = 0;
  for (int k = 0; k < 500; ++k) {
    const int rows = 1 + draw.below(16);
    const int columns = 1 + draw.below(16);
    Numbers u1(static_cast<std::size_t>(rows * columns));
    Numbers u2 = u1;
    for (double& u : u1) u = draw.uniform();
    for (double& u : u2) u = draw.uniform();
    const double tau = 0.03 + draw.uniform();
    const auto s = solve_quantal(u1.data(), u2.data(), rows, columns, tau);
    if (!s.ok) continue;
    ++solved;
    Numbers x(static_cast<std::size_t>(rows), 0.0);
    Numbers y(static_cast<std::size_t>(columns), 0.0);
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        const auto cell = static_cast<std::size_t>(i * columns + j);
        x[static_cast<std::size_t>(i)] += u1[cell] * s.column[j] / tau;
        y[static_cast<std::size_t>(j)] += u2[cell] * s.row[i] / tau;
      }
    }
    for (auto* logits : {&x, &y}) {
      double sum = 0.0;
      for (double& z : *logits) sum += z = std::exp(z);
      for (double& z : *logits) z /= sum;
    }
    for (int i = 0; i < rows; ++i) EXPECT_NEAR(x[static_cast<std::size_t>(i)], s.row[i], 1e-9);
    for (int j = 0; j < columns; ++j) {
      EXPECT_NEAR(y[static_cast<std::size_t>(j)], s.column[j], 1e-9);
    }
  }
  EXPECT_EQ(solved, 500);
}

TEST(Quantal, PrincipalBranchIsAmongAll) {
  Draw draw(11);
  int three = 0;
  for (int k = 0; k < 2000; ++k) {
    Numbers u1(4);
    Numbers u2(4);
    for (double& u : u1) u = draw.uniform();
    for (double& u : u2) u = draw.uniform();
    const double tau = std::exp(-5.0 * draw.uniform());
    const auto all = solve_quantal_2x2(u1.data(), u2.data(), tau);
    ASSERT_EQ(all.count % 2, 1);
    three += all.count == 3 ? 1 : 0;
    const auto s = solve_quantal(u1.data(), u2.data(), 2, 2, tau);
    ASSERT_TRUE(s.ok);
    double nearest = 1.0;
    for (int m = 0; m < all.count; ++m) {
      nearest = std::min(nearest, std::fabs(all.found[m].row[0] - s.row[0]) +
                                      std::fabs(all.found[m].column[0] - s.column[0]));
    }
    EXPECT_LE(nearest, 1e-8);
  }
  EXPECT_GT(three, 50);
}

TEST(Quantal, SymmetricGamesBranch) {
  // At tau = 1/2 two more equilibria split off; the principal one stays in the middle.
  const double u[] = {1, 0, 0, 1};
  const double pennies[] = {0, 1, 1, 0};
  for (const double tau : {1.0, 0.51, 0.49, 0.1, 0.02}) {
    EXPECT_EQ(solve_quantal_2x2(u, u, tau).count, tau > 0.5 ? 1 : 3);
    for (const auto* u2 : {u, pennies}) {
      const auto s = solve_quantal(u, u2, 2, 2, tau);
      ASSERT_TRUE(s.ok) << tau;
      EXPECT_NEAR(s.row[0], 0.5, 1e-9);
      EXPECT_NEAR(s.column[0], 0.5, 1e-9);
    }
  }
  const auto three = solve_quantal(kRock.u1.data(), kRock.u2.data(), 3, 3, 0.05);
  ASSERT_TRUE(three.ok);
  EXPECT_NEAR(three.row[1], 1.0 / 3.0, 1e-9);
}

TEST(Quantal, RefusesWhatItCannotSolve) {
  EXPECT_FALSE(solve_quantal(kStagHunt.u1.data(), kStagHunt.u2.data(), 2, 2, 0.0).ok);
  EXPECT_EQ(solve_quantal_2x2(kStagHunt.u1.data(), kStagHunt.u2.data(), -1.0).count, 0);
  EXPECT_EQ(solve_quantal_2x2(kStagHunt.u1.data(), kStagHunt.u2.data(), 0.0).count, 0);
}

// ---- Stochastic games ---------------------------------------------------------------------------------

/// A stochastic game that owns its arrays.
struct Tables {
  std::vector<int> actions;
  std::vector<int> first{0};
  std::vector<int> next;
  Numbers probability;
  Numbers reward;
  std::vector<unsigned char> terminal;
  int joint = 1;

  void lead(int state, double p) {
    next.push_back(state);
    probability.push_back(p);
  }
  void close() { first.push_back(static_cast<int>(next.size())); }
  StochasticGameView view() const {
    return {static_cast<int>(terminal.size()),
            static_cast<int>(actions.size()),
            actions.data(),
            joint,
            first.data(),
            next.data(),
            probability.data(),
            reward.data(),
            terminal.data()};
  }
};

/// Littman's soccer: rows 0 to 3, columns 0 to 4, the goals beside rows 1 and 2. Player 0 scores in
/// the east. State ((cell0 * 20) + cell1) * 2 + who has the ball; the last one is the end.
Tables soccer() {
  Tables t;
  t.actions = {5, 5};
  t.joint = 25;
  constexpr int kDown[] = {-1, 1, 0, 0, 0};
  constexpr int kRight[] = {0, 0, 1, -1, 0};
  for (int s = 0; s < 800; ++s) {
    for (int joint = 0; joint < 25; ++joint) {
      double reward = 0.0;
      const int wanted[] = {joint / 5, joint % 5};
      for (int leader = 0; leader < 2; ++leader) {
        int cell[] = {s / 40, s / 2 % 20};
        int ball = s % 2;
        int goal = 0;
        for (int turn = 0; turn < 2 && goal == 0; ++turn) {
          const int who = turn == 0 ? leader : 1 - leader;
          const int row = cell[who] / 5 + kDown[wanted[who]];
          const int column = cell[who] % 5 + kRight[wanted[who]];
          if (row < 0 || row > 3) continue;
          if (column < 0 || column > 4) {
            const bool scores = ball == who && (row == 1 || row == 2) && (column > 4) == (who == 0);
            if (scores) goal = who == 0 ? 1 : -1;
            continue;
          }
          if (row * 5 + column == cell[1 - who]) {
            ball = 1 - who;
          } else {
            cell[who] = row * 5 + column;
          }
        }
        reward += 0.5 * goal;
        t.lead(goal != 0 ? 800 : (cell[0] * 20 + cell[1]) * 2 + ball, 0.5);
      }
      t.reward.push_back(reward);
      t.reward.push_back(-reward);
      t.close();
    }
    t.terminal.push_back(s / 40 == s / 2 % 20 ? 1 : 0);  // two in one cell: never entered
  }
  for (int joint = 0; joint < 25; ++joint) {
    t.lead(800, 1.0);
    t.reward.push_back(0.0);
    t.reward.push_back(0.0);
    t.close();
  }
  t.terminal.push_back(1);
  return t;
}

TEST(Stochastic, SoccerHasItsValue) {
  const Tables t = soccer();
  const auto game = t.view();
  Numbers values(801, 0.0);
  const auto done = solve_zero_sum_stochastic(game, 0.9, 1e-10, 1000, values.data());
  EXPECT_TRUE(done.ok);
  const int a = 2 * 5 + 1;
  const int b = 1 * 5 + 3;
  EXPECT_NEAR(values[static_cast<std::size_t>((a * 20 + b) * 2)], .218484, 5e-7);
  EXPECT_NEAR(values[static_cast<std::size_t>((a * 20 + b) * 2 + 1)], -.218484, 5e-7);

  // The maximin strategies are worth that against each other and against best responses.
  Numbers x(801 * 5, 0.2);
  Numbers y(801 * 5, 0.2);
  for (int s = 0; s < 801; ++s) {
    const auto stage = zero_sum_stage_solution(game, s, 0.9, values.data());
    ASSERT_TRUE(stage.ok);
    std::copy_n(stage.row, 5, x.begin() + s * 5);
    std::copy_n(stage.column, 5, y.begin() + s * 5);
  }
  const double* strategies[] = {x.data(), y.data()};
  Numbers reply(801, 0.0);
  Numbers own(801 * 2, 0.0);
  std::vector<int> response(801);
  EXPECT_TRUE(
      best_response_values(game, 0, strategies, 0.9, 1e-10, 1000, reply.data(), response.data())
          .ok);
  EXPECT_TRUE(policy_values(game, strategies, 0.9, 1e-10, 1000, own.data()).ok);
  for (std::size_t s = 0; s < 801; ++s) {
    EXPECT_NEAR(reply[s], values[s], 1e-7);
    EXPECT_NEAR(own[2 * s], values[s], 1e-7);
    EXPECT_NEAR(own[2 * s + 1], -values[s], 1e-7);
  }
  EXPECT_TRUE(
      best_response_values(game, 1, strategies, 0.9, 1e-10, 1000, reply.data(), nullptr).ok);
  for (std::size_t s = 0; s < 801; ++s) EXPECT_NEAR(reply[s], -values[s], 1e-7);
}

TEST(Stochastic, OneStateIsARepeatedGame) {
  Tables t;
  t.actions = {2, 3, 2};
  t.joint = 12;
  Draw draw(12);
  for (int j = 0; j < 12; ++j) {
    t.lead(0, 1.0);
    t.close();
    for (int i = 0; i < 3; ++i) t.reward.push_back(draw.uniform());
  }
  t.terminal = {0};
  const auto view = normal_form(3, t.actions.data(), t.reward.data());
  const double profile[] = {0.3, 0.7, 0.2, 0.5, 0.3, 0.9, 0.1};
  const double* strategies[] = {profile, profile + 2, profile + 5};
  double expected[3];
  expected_payoffs(view, profile, expected);
  double values[3] = {};
  ASSERT_TRUE(policy_values(t.view(), strategies, 0.8, 1e-13, 1000, values).ok);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(values[i], expected[i] / 0.2, 1e-11);
    double best_value = 0.0;
    int action = 0;
    ASSERT_TRUE(
        best_response_values(t.view(), i, strategies, 0.8, 1e-13, 1000, &best_value, &action).ok);
    EXPECT_NEAR(best_value, best_response(view, profile, i).value / 0.2, 1e-11);
    EXPECT_EQ(action, best_response(view, profile, i).action);
  }
}

TEST(Stochastic, ShapleyOperatorContracts) {
  const Tables t = soccer();
  Draw draw(13);
  Numbers v(801);
  Numbers w(801);
  for (double& x : v) x = draw.uniform();
  for (double& x : w) x = draw.uniform();
  v[800] = w[800] = 0.0;
  double before = 0.0;
  for (std::size_t s = 0; s < 801; ++s) before = std::max(before, std::fabs(v[s] - w[s]));
  solve_zero_sum_stochastic(t.view(), 0.9, 0.0, 1, v.data());
  solve_zero_sum_stochastic(t.view(), 0.9, 0.0, 1, w.data());
  double after = 0.0;
  for (std::size_t s = 0; s < 801; ++s) after = std::max(after, std::fabs(v[s] - w[s]));
  EXPECT_GT(after, 0.0);
  EXPECT_LE(after, 0.9 * before + 1e-12);
}

// ---- All extreme equilibria ---------------------------------------------------------------------------

std::string listed(const Game& g) {
  std::string out;
  for (const auto& e : extreme_equilibria(g.u1, g.u2, g.rows, g.columns)) {
    for (const auto& p : e.row) out += to_text(p) + ' ';
    out += '|';
    for (const auto& p : e.column) out += ' ' + to_text(p);
    out += " = " + to_text(e.values[0]) + ' ' + to_text(e.values[1]) + "; ";
  }
  return out;
}

TEST(ExtremeEquilibria, KnownGames) {
  EXPECT_EQ(listed(kPrisoners), "0 1 | 0 1 = 1 1; ");
  EXPECT_EQ(listed(kStagHunt), "1 0 | 1 0 = 4 4; 3/4 1/4 | 3/4 1/4 = 3 3; 0 1 | 0 1 = 3 3; ");
  EXPECT_EQ(listed(kChicken), "1 0 | 0 1 = 2 7; 2/3 1/3 | 2/3 1/3 = 14/3 14/3; 0 1 | 1 0 = 7 2; ");
  EXPECT_EQ(listed(kSexes), "1 0 | 1 0 = 3 2; 3/5 2/5 | 2/5 3/5 = 6/5 6/5; 0 1 | 0 1 = 2 3; ");
  EXPECT_EQ(listed(kPennies), "1/2 1/2 | 1/2 1/2 = 0 0; ");
  EXPECT_EQ(listed(kRock), "1/3 1/3 1/3 | 1/3 1/3 1/3 = 0 0; ");
  EXPECT_EQ(listed(kShapley), "1/3 1/3 1/3 | 1/3 1/3 1/3 = 1/3 1/3; ");
  EXPECT_EQ(listed(kClimbing),
            "1 0 0 | 1 0 0 = 11 11; 5/16 0 11/16 | 5/16 0 11/16 = 55/16 55/16; "
            "0 1 0 | 0 1 0 = 7 7; ");
  // {B, C}^2 at 0 is a face; its four corners are extreme.
  EXPECT_EQ(listed(kQtran),
            "1 0 0 | 1 0 0 = 8 8; 3/8 5/8 0 | 3/8 5/8 0 = -9/2 -9/2; "
            "3/8 5/8 0 | 3/8 0 5/8 = -9/2 -9/2; 3/8 0 5/8 | 3/8 5/8 0 = -9/2 -9/2; "
            "3/8 0 5/8 | 3/8 0 5/8 = -9/2 -9/2; 0 1 0 | 0 1 0 = 0 0; 0 1 0 | 0 0 1 = 0 0; "
            "0 0 1 | 0 1 0 = 0 0; 0 0 1 | 0 0 1 = 0 0; ");
  const auto penalty = extreme_equilibria(kPenalty.u1, kPenalty.u2, 3, 3);
  ASSERT_GE(penalty.size(), 5u);
  EXPECT_EQ(to_text(penalty.front().values[0]), "10");
}

TEST(ExtremeEquilibria, AreEquilibriaExactlyAndIncludeTheFastOne) {
  Draw draw(14);
  for (int k = 0; k < 400; ++k) {
    Game g = draw.game(1 + draw.below(6), 1 + draw.below(6));
    const auto all = extreme_equilibria(g.u1, g.u2, g.rows, g.columns);
    ASSERT_FALSE(all.empty());
    for (const auto& e : all) {
      for (int i = 0; i < g.rows; ++i) {
        Rational value = 0;
        for (int j = 0; j < g.columns; ++j) {
          value += e.column[static_cast<std::size_t>(j)] *
                   exact_rational(g.u1[static_cast<std::size_t>(i * g.columns + j)]);
        }
        EXPECT_LE(value, e.values[0]);
        if (e.row[static_cast<std::size_t>(i)] > 0) {
          EXPECT_EQ(value, e.values[0]);
        }
      }
      for (int j = 0; j < g.columns; ++j) {
        Rational value = 0;
        for (int i = 0; i < g.rows; ++i) {
          value += e.row[static_cast<std::size_t>(i)] *
                   exact_rational(g.u2[static_cast<std::size_t>(i * g.columns + j)]);
        }
        EXPECT_LE(value, e.values[1]);
      }
    }
    const auto one = nash(g);
    bool found = false;
    for (const auto& e : all) {
      double apart = 0.0;
      for (int i = 0; i < g.rows; ++i) {
        apart =
            std::max(apart, std::fabs(to_double(e.row[static_cast<std::size_t>(i)]) - one.row[i]));
      }
      for (int j = 0; j < g.columns; ++j) {
        apart = std::max(
            apart, std::fabs(to_double(e.column[static_cast<std::size_t>(j)]) - one.column[j]));
      }
      found = found || apart < 1e-7;
    }
    EXPECT_TRUE(found) << g.rows << "x" << g.columns;
  }
}

TEST(ExtremeEquilibria, NoneTwiceInDegenerateGames) {
  Draw draw(19);
  for (int k = 0; k < 300; ++k) {
    Game g{6, 6, Numbers(36), Numbers(36)};
    for (double& u : g.u1) u = draw.below(3);
    for (double& u : g.u2) u = draw.below(3);
    const auto all = extreme_equilibria(g.u1, g.u2, 6, 6);
    for (std::size_t e = 1; e < all.size(); ++e) {  // they are sorted
      EXPECT_FALSE(all[e].row == all[e - 1].row && all[e].column == all[e - 1].column);
    }
  }
}

TEST(ExtremeEquilibria, SwappingPlayersSwapsThem) {
  Draw draw(15);
  for (int k = 0; k < 100; ++k) {
    const Game g = draw.game(1 + draw.below(5), 1 + draw.below(5));
    const auto all = extreme_equilibria(g.u1, g.u2, g.rows, g.columns);
    const auto other = extreme_equilibria(transposed(g.u2, g.rows, g.columns),
                                          transposed(g.u1, g.rows, g.columns), g.columns, g.rows);
    ASSERT_EQ(all.size(), other.size());
    for (const auto& e : all) {
      EXPECT_TRUE(std::any_of(other.begin(), other.end(), [&](const ExactEquilibrium& o) {
        return o.row == e.column && o.column == e.row && o.values[0] == e.values[1];
      }));
    }
  }
}

TEST(ExtremeEquilibria, LargeAndDegenerate) {
  const Numbers constant(256, 3.0);
  EXPECT_EQ(extreme_equilibria(constant, constant, 16, 16).size(), 256u);
  Draw draw(16);
  Game g{10, 10, Numbers(100), Numbers(100)};
  for (double& u : g.u1) u = draw.uniform();
  for (double& u : g.u2) u = draw.uniform();
  EXPECT_EQ(extreme_equilibria(g.u1, g.u2, 10, 10).size() % 2, 1u);  // generic: an odd number
  const Numbers many(17 * 2, 0.0);
  EXPECT_THROW(extreme_equilibria(many, many, 17, 2), Error);
}

TEST(Rational, ReadsAndRounds) {
  EXPECT_EQ(to_text(*parse_rational("0.1")), "1/10");
  EXPECT_EQ(to_text(*parse_rational("-12.50e-1")), "-5/4");
  EXPECT_EQ(to_text(*parse_rational("10/4")), "5/2");
  EXPECT_EQ(to_text(*parse_rational("007")), "7");
  EXPECT_EQ(to_text(*parse_rational("+3.")), "3");
  for (const char* bad : {"", "-", ".", "1/0", "1/", "/2", "1e", "1e5000", "1.5/2", "0x1", "1 "}) {
    EXPECT_FALSE(parse_rational(bad).has_value()) << bad;
  }
  EXPECT_EQ(to_double(*parse_rational("1/3")), 1.0 / 3.0);
  EXPECT_EQ(to_double(*parse_rational("9007199254740993")), 9007199254740992.0);  // tie to even
  EXPECT_EQ(to_double(*parse_rational("9007199254740995")), 9007199254740996.0);  // tie to even
  EXPECT_EQ(to_double(*parse_rational("90071992547409930000001/10000000")), 9007199254740994.0);
  Draw draw(17);
  for (int k = 0; k < 2000; ++k) {
    const auto bits = static_cast<uint64_t>(draw.uniform() * 0x1p53) * 2047 + uint64_t(k);
    const auto value = std::bit_cast<double>(bits & 0xFFEFFFFFFFFFFFFFu);
    if (std::isfinite(value)) {
      EXPECT_EQ(to_double(exact_rational(value)), value);
    }
  }
  EXPECT_EQ(to_double(exact_rational(5e-324)), 5e-324);
}

// ---- Games of many players ------------------------------------------------------------------------------

TEST(NashSearch, NineEquilibriaOfTheThreePlayerExample) {
  // McKelvey and McLennan 1997: 2x2x2 with nine equilibria, two of them totally mixed.
  Numbers u(24, 0.0);
  const auto pay = [&](int cell, double a, double b, double c) {
    u[static_cast<std::size_t>(3 * cell)] = a;
    u[static_cast<std::size_t>(3 * cell + 1)] = b;
    u[static_cast<std::size_t>(3 * cell + 2)] = c;
  };
  pay(0b000, 9, 8, 12);
  pay(0b110, 9, 8, 2);
  pay(0b101, 3, 4, 6);
  pay(0b011, 3, 4, 6);
  const int actions[] = {2, 2, 2};
  const auto view = normal_form(3, actions, u.data());
  const auto search = search_equilibria(view);
  EXPECT_TRUE(search.complete);
  EXPECT_EQ(search.profiles.size(), 9u);
  int total = 0;
  for (const auto& profile : search.profiles) {
    EXPECT_LE(nash_gap(view, profile.data()).epsilon, 1e-9 * 12);
    total += std::all_of(profile.begin(), profile.end(), [](double p) { return p > 0; }) ? 1 : 0;
  }
  EXPECT_EQ(total, 2);
}

TEST(NashSearch, OddNumbersInGenericGamesAndTwoPlayersAgree) {
  Draw draw(18);
  for (int k = 0; k < 60; ++k) {
    Numbers u(3 * 8);
    for (double& x : u) x = draw.uniform();
    const int actions[] = {2, 2, 2};
    const auto search = search_equilibria(normal_form(3, actions, u.data()));
    EXPECT_TRUE(search.complete);
    EXPECT_EQ(search.profiles.size() % 2, 1u);
  }
  for (int k = 0; k < 60; ++k) {
    Game g{3, 3, Numbers(9), Numbers(9)};
    for (double& x : g.u1) x = draw.uniform();
    for (double& x : g.u2) x = draw.uniform();
    const Numbers u = joined(g);
    const int actions[] = {3, 3};
    const auto search = search_equilibria(normal_form(2, actions, u.data()));
    EXPECT_TRUE(search.complete);
    const auto exact = extreme_equilibria(g.u1, g.u2, 3, 3);
    ASSERT_EQ(search.profiles.size(), exact.size());
    for (std::size_t e = 0; e < exact.size(); ++e) {
      for (std::size_t a = 0; a < 3; ++a) {
        EXPECT_NEAR(search.profiles[e][a], to_double(exact[e].row[a]), 1e-9);
        EXPECT_NEAR(search.profiles[e][3 + a], to_double(exact[e].column[a]), 1e-9);
      }
    }
  }
}

TEST(NashSearch, SaysWhenAGameHasTooMany) {
  const Numbers u(3 * 8, 1.0);
  const int actions[] = {2, 2, 2};
  const auto search = search_equilibria(normal_form(3, actions, u.data()));
  EXPECT_FALSE(search.complete);
  EXPECT_EQ(search.profiles.size(), 8u);  // the pure ones
}

// ---- `cumarl solve` -------------------------------------------------------------------------------------

NormalFormGame named(const char* name, const Game& g) {
  return make_game(name, {g.rows, g.columns}, joined(g));
}

TEST(Solve, JsonIsTheContract) {
  const auto hunt = to_json(solve(named("stag_hunt", kStagHunt), {}));
  EXPECT_EQ(hunt.dump(), R"({"game":"stag_hunt","concept":"nash","solutions":[)"
                         R"({"strategies":[[1.0,0.0],[1.0,0.0]],"values":[4.0,4.0]},)"
                         R"({"strategies":[[0.75,0.25],[0.75,0.25]],"values":[3.0,3.0]},)"
                         R"({"strategies":[[0.0,1.0],[0.0,1.0]],"values":[3.0,3.0]}]})");
  const auto ce = to_json(solve(named("chicken", kChicken), {.kind = SolutionConcept::ce}));
  EXPECT_EQ(ce.at("solutions").size(), 1u);
  EXPECT_NEAR(ce["solutions"][0]["joint"][0][1].get<double>(), 0.25, 1e-12);
  EXPECT_NEAR(ce["solutions"][0]["strategies"][0][0].get<double>(), 0.75, 1e-12);
  EXPECT_NEAR(ce["solutions"][0]["values"][0].get<double>(), 5.25, 1e-12);
  const auto minimax =
      to_json(solve(named("pennies", kPennies), {.kind = SolutionConcept::minimax}));
  EXPECT_EQ(minimax["solutions"][0]["values"].dump(), "[0.0,0.0]");
  const auto qre = to_json(
      solve(named("stag_hunt", kStagHunt), {.kind = SolutionConcept::qre, .temperature = 0.2}));
  EXPECT_EQ(qre["solutions"].size(), 3u);
  const auto pure = solve(make_game("alone", {3}, {1, 5, 5}), {});
  EXPECT_EQ(pure.solutions.size(), 2u);
}

TEST(Solve, ExactTextsCount) {
  // In doubles .1 + .2 is above .3; as written, both rows pay the same.
  NormalFormGame g = make_game("decimals", {2, 1}, {0.1 + 0.2, 0, 0.3, 0});
  EXPECT_EQ(solve(g, {}).solutions.size(), 1u);
  g.exact = {"0.3", "0", "3/10", "0"};
  EXPECT_EQ(solve(g, {}).solutions.size(), 2u);
}

TEST(Solve, TextShowsFractions) {
  const std::string text = to_text(solve(named("climbing", kClimbing), {}));
  EXPECT_NE(text.find("(5/16, 0, 11/16)  (5/16, 0, 11/16)  values 55/16 55/16"), std::string::npos)
      << text;
}

std::string error_of(const NormalFormGame& game, const SolveOptions& options) {
  try {
    solve(game, options);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Solve, ErrorsSayWhatIsAllowed) {
  const NormalFormGame wide = make_game("wide", {20, 2}, Numbers(80, 0.0));
  const std::string many = "wide: more actions than this solver takes: 20 of at most 16";
  EXPECT_EQ(error_of(wide, {}), many);
  EXPECT_EQ(error_of(wide, {.kind = SolutionConcept::minimax}), many);
  EXPECT_EQ(error_of(wide, {.kind = SolutionConcept::qre}), many);
  const NormalFormGame three = make_game("three", {2, 2, 2}, Numbers(24, 0.0));
  EXPECT_EQ(error_of(three, {.kind = SolutionConcept::minimax}),
            "three: minimax is for games of 2 players, and this one has 3");
  EXPECT_EQ(error_of(named("g", kRock), {.kind = SolutionConcept::qre, .temperature = -1}),
            "g: the temperature of qre must be above 0, not -1");
  EXPECT_EQ(error_of(named("g", kRock), {.kind = SolutionConcept::ce,
                                         .objective = CorrelatedObjective::player,
                                         .player = 2}),
            "g: there is no player 2: must be from 0 to 1");
  EXPECT_EQ(error_of(make_game("short", {2, 2}, {1, 2, 3}), {}),
            "short: 3 payoffs, where its actions need 8");
  EXPECT_EQ(error_of(make_game("many", {2, 2, 2, 2, 2, 2, 2}, Numbers(7 * 128, 0.0)), {}),
            "many: 7 players, where this solver takes 1 to 6");
  EXPECT_EQ(error_of(make_game("nan", {1}, {std::nan("")}), {}),
            "nan: a payoff is not a finite number");
  EXPECT_EQ(parse_concept("cce"), SolutionConcept::cce);
  EXPECT_THROW(parse_concept("nsah"), ConfigError);
}

// ---- The same bits on every compiler ----------------------------------------------------------------------

TEST(Bits, AreTheSameEverywhere) {
  uint64_t digest = 0xcbf29ce484222325u;
  const auto see = [&](double x) {
    digest = (digest ^ std::bit_cast<uint64_t>(x)) * 0x100000001b3u;
  };
  uint64_t state = 1;
  const auto next = [&] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state >> 40) * 0x1p-24;
  };
  for (int k = 0; k < 200; ++k) {
    const int rows = 1 + k % 6;
    const int columns = 1 + k / 6 % 6;
    Game g{rows, columns, Numbers(static_cast<std::size_t>(rows * columns)), {}};
    g.u2 = g.u1;
    for (double& u : g.u1) u = next();
    for (double& u : g.u2) u = next();
    const auto z = zero_sum(g);
    const auto b = nash(g);
    const auto q = solve_quantal(g.u1.data(), g.u2.data(), rows, columns, 0.5);
    for (int i = 0; i < rows; ++i) {
      see(z.row[i]);
      see(b.row[i]);
      see(q.row[i]);
    }
    const Numbers u = joined(g);
    const int actions[] = {rows, columns};
    for (const double p : best(normal_form(2, actions, u.data()), {}).joint) see(p);
  }
  EXPECT_EQ(digest, 14719368135180857084u);
}

}  // namespace
