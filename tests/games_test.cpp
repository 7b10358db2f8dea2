// The named games against hand-made figures and small solvers of their own.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "envs/auction.hpp"
#include "envs/cournot.hpp"
#include "envs/gaussian_squeeze.hpp"
#include "envs/ising.hpp"
#include "envs/matrix_game.hpp"
#include "envs/random_game.hpp"
#include "envs/stochastic_game.hpp"
#include "kernels/rollout/launch_args.hpp"

namespace cumarl {
namespace {

// ---- Matrix games -------------------------------------------------------------------------------

/// Positions in the list of names of MatrixStage::fields; the names themselves are checked.
class NameReader final : public FieldVisitor {
 public:
  void operator()(const char*, int&, Bounds, const char*, const char*) override {}
  void operator()(const char*, int64_t&, Bounds, const char*, const char*) override {}
  void operator()(const char*, double&, Bounds, const char*, const char*) override {}
  void operator()(const char*, bool&, const char*) override {}
  void operator()(const char*, std::string&, const char*) override {}
  void operator()(const char*, std::vector<double>&, Bounds, const char*, const char*) override {}
  void operator()(const char*, std::vector<int>&, Bounds, const char*, const char*) override {}
  void operator()(const char*, Tensor&, const char*, const char*) override {}
  void choice(const char*, Choice&, std::initializer_list<const char*> names,
              const char*) override {
    if (all.empty()) all.assign(names.begin(), names.end());  // the first choice
  }
  std::vector<std::string> all;
};

template <class Env>
int position(const std::string& name) {
  NameReader reader;
  typename Env::Config config;
  Env::fields(reader, config);
  const auto at = std::find(reader.all.begin(), reader.all.end(), name);
  EXPECT_NE(at, reader.all.end()) << name;
  return static_cast<int>(at - reader.all.begin());
}

struct Bimatrix {
  int rows = 0;
  int columns = 0;
  std::vector<double> u1, u2;
};

Bimatrix named(const std::string& name) {
  HostArena arena;
  MatrixStage::Config config;
  config.game.value = position<MatrixStage>(name);
  config.penalty = -100;
  const auto p = MatrixStage::make(config, arena);
  Bimatrix game{p.actions[0], p.actions[1], {}, {}};
  for (int a = 0; a < game.rows; ++a) {
    for (int b = 0; b < game.columns; ++b) {
      const int actions[] = {a, b};
      double out[MatrixStage::kMaxPlayers];
      MatrixStage::payoffs(p, actions, out);
      game.u1.push_back(out[0]);
      game.u2.push_back(out[1]);
    }
  }
  return game;
}

/// Solves the n x n system m x = y by elimination; false if it is singular.
bool solve(std::vector<std::vector<double>> m, std::vector<double> y, std::vector<double>& x) {
  const size_t n = y.size();
  for (size_t c = 0; c < n; ++c) {
    size_t pivot = c;
    for (size_t r = c; r < n; ++r) {
      if (std::fabs(m[r][c]) > std::fabs(m[pivot][c])) pivot = r;
    }
    if (std::fabs(m[pivot][c]) < 1e-10) return false;
    std::swap(m[c], m[pivot]);
    std::swap(y[c], y[pivot]);
    for (size_t r = 0; r < n; ++r) {
      if (r == c) continue;
      const double f = m[r][c] / m[c][c];
      for (size_t k = c; k < n; ++k) m[r][k] -= f * m[c][k];
      y[r] -= f * y[c];
    }
  }
  x.resize(n);
  for (size_t c = 0; c < n; ++c) x[c] = y[c] / m[c][c];
  return true;
}

struct Equilibrium {
  std::vector<double> x, y;
  double v1, v2;
};

/// All equilibria with supports of equal size (Nash 1951), by enumeration.
std::vector<Equilibrium> equilibria(const Bimatrix& g) {
  std::vector<Equilibrium> found;
  const auto supports = [](int n) {
    std::vector<std::vector<int>> all;
    for (int mask = 1; mask < 1 << n; ++mask) {
      std::vector<int> s;
      for (int i = 0; i < n; ++i) {
        if ((mask >> i & 1) != 0) s.push_back(i);
      }
      all.push_back(s);
    }
    return all;
  };
  const auto u = [&](const std::vector<double>& m, int a, int b) {
    return m[static_cast<size_t>(a * g.columns + b)];
  };
  // the mix of `mine` that makes the other indifferent over `other`, and his payoff
  const auto mix = [](const std::vector<int>& mine, const std::vector<int>& other, auto payoff,
                      int n, std::vector<double>& out, double& value) {
    const size_t k = mine.size();
    std::vector<std::vector<double>> m(k + 1, std::vector<double>(k + 1, 0.0));
    std::vector<double> y(k + 1, 0.0), x;
    for (size_t r = 0; r < k; ++r) {
      for (size_t c = 0; c < k; ++c) m[r][c] = payoff(mine[c], other[r]);
      m[r][k] = -1;
    }
    for (size_t c = 0; c < k; ++c) m[k][c] = 1;
    y[k] = 1;
    if (!solve(m, y, x)) return false;
    out.assign(static_cast<size_t>(n), 0.0);
    for (size_t c = 0; c < k; ++c) {
      if (x[c] < -1e-12) return false;
      out[static_cast<size_t>(mine[c])] = x[c];
    }
    value = x[k];
    return true;
  };
  for (const auto& s : supports(g.rows)) {
    for (const auto& t : supports(g.columns)) {
      if (s.size() != t.size()) continue;
      Equilibrium e;
      if (!mix(
              s, t, [&](int a, int b) { return u(g.u2, a, b); }, g.rows, e.x, e.v2))
        continue;
      if (!mix(
              t, s, [&](int b, int a) { return u(g.u1, a, b); }, g.columns, e.y, e.v1))
        continue;
      bool best = true;
      for (int a = 0; a < g.rows; ++a) {
        double payoff = 0;
        for (int b = 0; b < g.columns; ++b) payoff += e.y[static_cast<size_t>(b)] * u(g.u1, a, b);
        best = best && payoff <= e.v1 + 1e-9;
      }
      for (int b = 0; b < g.columns; ++b) {
        double payoff = 0;
        for (int a = 0; a < g.rows; ++a) payoff += e.x[static_cast<size_t>(a)] * u(g.u2, a, b);
        best = best && payoff <= e.v2 + 1e-9;
      }
      bool again = false;
      for (const Equilibrium& o : found) {
        double gap = 0;
        for (size_t i = 0; i < e.x.size(); ++i) gap = std::max(gap, std::fabs(e.x[i] - o.x[i]));
        for (size_t i = 0; i < e.y.size(); ++i) gap = std::max(gap, std::fabs(e.y[i] - o.y[i]));
        again = again || gap < 1e-9;
      }
      if (best && !again) found.push_back(e);
    }
  }
  return found;
}

struct Expected {
  std::vector<double> x, y;
  double v1, v2;
};

// Section 1 of the reference tables, computed there with lrsnash.
TEST(MatrixGame, EquilibriaOfTheNamedGames) {
  const std::vector<double> third{1.0 / 3, 1.0 / 3, 1.0 / 3};
  const std::map<std::string, std::vector<Expected>> all = {
      {"prisoners_dilemma", {{{0, 1}, {0, 1}, 1, 1}}},
      {"stag_hunt",
       {{{1, 0}, {1, 0}, 4, 4}, {{0, 1}, {0, 1}, 3, 3}, {{.75, .25}, {.75, .25}, 3, 3}}},
      {"chicken",
       {{{1, 0}, {0, 1}, 2, 7},
        {{0, 1}, {1, 0}, 7, 2},
        {{2.0 / 3, 1.0 / 3}, {2.0 / 3, 1.0 / 3}, 14.0 / 3, 14.0 / 3}}},
      {"battle_of_the_sexes",
       {{{1, 0}, {1, 0}, 3, 2}, {{0, 1}, {0, 1}, 2, 3}, {{.6, .4}, {.4, .6}, 1.2, 1.2}}},
      {"matching_pennies", {{{.5, .5}, {.5, .5}, 0, 0}}},
      {"coordination",
       {{{1, 0}, {1, 0}, 2, 2},
        {{0, 1}, {0, 1}, 1, 1},
        {{1.0 / 3, 2.0 / 3}, {1.0 / 3, 2.0 / 3}, 2.0 / 3, 2.0 / 3}}},
      {"rock_paper_scissors", {{third, third, 0, 0}}},
      {"rock_paper_scissors_weighted", {{{.4, .4, .2}, {.4, .4, .2}, 0, 0}}},
      {"rock_paper_scissors_biased", {{{.0625, .625, .3125}, {.0625, .625, .3125}, 0, 0}}},
      {"shapley", {{third, third, 1.0 / 3, 1.0 / 3}}},
      {"climbing",
       {{{1, 0, 0}, {1, 0, 0}, 11, 11},
        {{0, 1, 0}, {0, 1, 0}, 7, 7},
        {{5.0 / 16, 0, 11.0 / 16}, {5.0 / 16, 0, 11.0 / 16}, 55.0 / 16, 55.0 / 16}}},
      {"penalty",
       {{{1, 0, 0}, {1, 0, 0}, 10, 10},
        {{0, 0, 1}, {0, 0, 1}, 10, 10},
        {{0, 1, 0}, {0, 1, 0}, 2, 2},
        {{1.0 / 6, 5.0 / 6, 0}, {1.0 / 6, 5.0 / 6, 0}, 5.0 / 3, 5.0 / 3},
        {{0, 5.0 / 6, 1.0 / 6}, {0, 5.0 / 6, 1.0 / 6}, 5.0 / 3, 5.0 / 3}}},
      {"qtran",
       {{{1, 0, 0}, {1, 0, 0}, 8, 8},
        {{0, 1, 0}, {0, 0, 1}, 0, 0},
        {{.375, .625, 0}, {.375, .625, 0}, -4.5, -4.5}}},
  };
  for (const auto& [name, expected] : all) {
    const auto found = equilibria(named(name));
    for (const Expected& e : expected) {
      bool there = false;
      for (const Equilibrium& f : found) {
        double gap = std::fabs(f.v1 - e.v1) + std::fabs(f.v2 - e.v2);
        for (size_t i = 0; i < e.x.size(); ++i) gap += std::fabs(f.x[i] - e.x[i]);
        for (size_t i = 0; i < e.y.size(); ++i) gap += std::fabs(f.y[i] - e.y[i]);
        there = there || gap < 1e-8;
      }
      EXPECT_TRUE(there) << name << ": no equilibrium of values " << e.v1 << ", " << e.v2;
    }
    // (the QTRAN game has infinitely many)
    if (name != "qtran") {
      EXPECT_EQ(found.size(), expected.size()) << name;
    }
  }
}

TEST(MatrixGame, SymmetricZeroSumAndCommonWhereTheyShouldBe) {
  for (const char* name :
       {"prisoners_dilemma", "stag_hunt", "chicken", "coordination", "rock_paper_scissors",
        "rock_paper_scissors_weighted", "rock_paper_scissors_biased", "penalty", "qtran"}) {
    const Bimatrix g = named(name);
    for (int a = 0; a < g.rows; ++a) {
      for (int b = 0; b < g.columns; ++b) {
        EXPECT_EQ(g.u1[static_cast<size_t>(a * g.columns + b)],
                  g.u2[static_cast<size_t>(b * g.columns + a)])
            << name;
      }
    }
  }
  for (const char* name : {"matching_pennies", "rock_paper_scissors",
                           "rock_paper_scissors_weighted", "rock_paper_scissors_biased"}) {
    const Bimatrix g = named(name);
    for (size_t c = 0; c < g.u1.size(); ++c) EXPECT_EQ(g.u1[c], -g.u2[c]) << name;
  }
  for (const char* name : {"coordination", "climbing", "climbing_partially_stochastic",
                           "climbing_fully_stochastic", "penalty", "qtran"}) {
    const Bimatrix g = named(name);
    EXPECT_EQ(g.u1, g.u2) << name;
  }
}

TEST(MatrixGame, HiddenActionsLeaveNothingToRemember) {
  HostArena arena;
  MatrixGame::Config config;
  EXPECT_FALSE(MatrixGame::hides_actions(MatrixGame::make(config, arena)));
  config.stage.hide_actions = true;
  EXPECT_TRUE(MatrixGame::hides_actions(MatrixGame::make(config, arena)));
  config.memory = 1;
  EXPECT_THROW(MatrixGame::make(config, arena), ParameterError);
}

// ---- Stochastic games ---------------------------------------------------------------------------

struct Game {
  explicit Game(const std::string& name, StochasticGame::Config c = {}) : config(c) {
    config.game.value = position<StochasticGame>(name);
    p = StochasticGame::make(config, arena);
    v = StochasticGame::view(p);
  }
  int cell(int s, int a, int b) const { return s * v.joint + a * v.actions[1] + b; }
  double reward(int cell, int player) const { return v.reward[cell * v.players + player]; }
  /// The state with these coordinates.
  int state(std::vector<int> coordinates) const {
    for (int s = 0; s < p.states; ++s) {
      bool same = true;
      for (size_t k = 0; k < coordinates.size(); ++k) {
        same = same && p.coord[static_cast<size_t>(s * p.coords) + k] == coordinates[k];
      }
      if (same) return s;
    }
    ADD_FAILURE() << "no such state";
    return 0;
  }
  double probability(int cell, int next) const {
    double sum = 0;
    for (int k = v.first[cell]; k < v.first[cell + 1]; ++k) {
      if (v.next[k] == next) sum += v.probability[k];
    }
    return sum;
  }

  HostArena arena;
  StochasticGame::Config config;
  StochasticGame::Params p;
  StochasticGameView v;
};

std::vector<std::pair<std::string, StochasticGame::Config>> table_games() {
  StochasticGame::Config plain, end, wide, four;
  end.restart = false;
  wide.rows = 3;
  wide.columns = 3;
  four.k = 4;
  four.good_branches = 4;
  return {{"soccer", plain},      {"soccer", end},       {"soccer", wide}, {"two_state", plain},
          {"two_step", plain},    {"k_step", plain},     {"k_step", four}, {"grid_game_1", plain},
          {"grid_game_2", plain}, {"grid_game_3", plain}};
}

TEST(StochasticGame, TablesAreComplete) {
  for (const auto& [name, config] : table_games()) {
    const Game g(name, config);
    const int cells = g.v.states * g.v.joint;
    EXPECT_EQ(g.v.first[0], 0);
    std::set<int> reached;
    for (int c = 0; c < cells; ++c) {
      ASSERT_LT(g.v.first[c], g.v.first[c + 1]) << name;
      double sum = 0;
      std::vector<double> expected(2, 0.0);
      for (int k = g.v.first[c]; k < g.v.first[c + 1]; ++k) {
        EXPECT_GT(g.v.probability[k], 0) << name;
        ASSERT_GE(g.v.next[k], 0) << name;
        ASSERT_LT(g.v.next[k], g.v.states) << name;
        sum += g.v.probability[k];
        reached.insert(g.v.next[k]);
        for (int i = 0; i < 2; ++i) {
          const double paid = static_cast<double>(g.p.paid[2 * k + i]);
          expected[static_cast<size_t>(i)] += g.v.probability[k] * paid;
          EXPECT_GE(paid, g.p.bounds.min);
          EXPECT_LE(paid, g.p.bounds.max);
        }
      }
      EXPECT_NEAR(sum, 1.0, 1e-12) << name;
      for (int i = 0; i < 2; ++i) {
        EXPECT_NEAR(g.reward(c, i), expected[static_cast<size_t>(i)], 1e-5) << name;
      }
      if (g.v.terminal[c / g.v.joint] != 0) {
        EXPECT_EQ(g.probability(c, c / g.v.joint), 1.0) << name;
        EXPECT_EQ(expected, std::vector<double>(2, 0.0)) << name;
      }
    }
    for (uint32_t k = 0; k < g.p.starts; ++k) reached.insert(g.p.start[k]);
    for (int s = 0; s < g.v.states; ++s) {
      if (name != "soccer" && name.substr(0, 4) != "grid") {
        EXPECT_TRUE(reached.contains(s)) << name;
      }
    }
  }
}

// Draws from step() have the probabilities of the tables.
TEST(StochasticGame, StepSamplesTheTable) {
  const Game g("soccer");
  const int s = g.p.start[0];
  const int moves[][2] = {{3, 2}, {0, 1}, {3, 3}, {4, 4}, {2, 2}, {3, 1}};
  const int near = g.state({1, 4, 1, 3, 0});  // A beside the goal, B behind
  for (const auto& actions : moves) {
    for (const int from : {s, near}) {
      std::map<int, int> seen;
      constexpr int kDraws = 20'000;
      for (uint64_t t = 0; t < kDraws; ++t) {
        StochasticGame::State state{from, 0};
        float rewards[2];
        Rng rng({5, 1}, t, Stream::dynamics);
        StochasticGame::step(g.p, state, actions, rewards, rng);
        ++seen[state.state];
      }
      const int c = g.cell(from, actions[0], actions[1]);
      for (const auto& [next, count] : seen) {
        EXPECT_NEAR(static_cast<double>(count) / kDraws, g.probability(c, next), 0.015);
      }
    }
  }
}

/// Value of the matrix game m (row player maximises), by the simplex method: positive after a
/// shift, maximise sum y with m y <= 1.
double matrix_value(const std::vector<std::vector<double>>& m) {
  const size_t rows = m.size(), columns = m[0].size();
  double low = m[0][0];
  for (const auto& row : m) low = std::min(low, *std::min_element(row.begin(), row.end()));
  const double shift = 1 - low;
  std::vector<std::vector<double>> t(rows + 1, std::vector<double>(columns + rows + 1, 0.0));
  std::vector<size_t> basis(rows);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < columns; ++c) t[r][c] = m[r][c] + shift;
    t[r][columns + r] = 1;
    t[r].back() = 1;
    basis[r] = columns + r;
  }
  for (size_t c = 0; c < columns; ++c) t[rows][c] = -1;
  for (;;) {
    size_t enter = 0;
    while (enter < columns + rows && t[rows][enter] > -1e-12) ++enter;  // Bland's rule
    if (enter == columns + rows) return 1 / t[rows].back() - shift;
    size_t leave = rows;
    for (size_t r = 0; r < rows; ++r) {
      if (t[r][enter] <= 1e-12) continue;
      if (leave == rows) {
        leave = r;
        continue;
      }
      const double gap = t[r].back() / t[r][enter] - t[leave].back() / t[leave][enter];
      if (gap < -1e-14 || (gap <= 1e-14 && basis[r] < basis[leave])) leave = r;
    }
    const double pivot = t[leave][enter];
    for (double& x : t[leave]) x /= pivot;
    for (size_t r = 0; r <= rows; ++r) {
      if (r == leave) continue;
      const double f = t[r][enter];
      if (f == 0) continue;
      for (size_t c = 0; c < t[r].size(); ++c) t[r][c] -= f * t[leave][c];
    }
    basis[leave] = enter;
  }
}

/// Shapley's value iteration for player 0 of a zero-sum game.
std::vector<double> shapley_values(const StochasticGameView& v, double gamma, double precision) {
  std::vector<double> value(static_cast<size_t>(v.states), 0.0);
  for (double moved = 1; moved > precision;) {
    moved = 0;
    std::vector<double> next(value.size());
    for (int s = 0; s < v.states; ++s) {
      if (v.terminal[s] != 0) continue;
      std::vector<std::vector<double>> m(static_cast<size_t>(v.actions[0]),
                                         std::vector<double>(static_cast<size_t>(v.actions[1])));
      for (int j = 0; j < v.joint; ++j) {
        const int c = s * v.joint + j;
        double q = v.reward[c * v.players];
        for (int k = v.first[c]; k < v.first[c + 1]; ++k) {
          q += gamma * v.probability[k] * value[static_cast<size_t>(v.next[k])];
        }
        m[static_cast<size_t>(j / v.actions[1])][static_cast<size_t>(j % v.actions[1])] = q;
      }
      next[static_cast<size_t>(s)] = matrix_value(m);
      moved =
          std::max(moved, std::fabs(next[static_cast<size_t>(s)] - value[static_cast<size_t>(s)]));
    }
    value = next;
  }
  return value;
}

// Littman's 4x5 field; the value at kick-off was computed independently for the reference tables.
TEST(StochasticGame, SoccerHasItsShapleyValue) {
  for (const bool restart : {true, false}) {
    StochasticGame::Config config;
    config.restart = restart;
    const Game g("soccer", config);
    EXPECT_EQ(g.v.states, restart ? 760 : 761);
    const auto value = shapley_values(g.v, 0.9, 1e-9);
    EXPECT_EQ(g.p.starts, 2u);
    EXPECT_EQ(g.p.start[0], g.state({2, 1, 1, 3, 0}));
    EXPECT_EQ(g.p.start[1], g.state({2, 1, 1, 3, 1}));
    EXPECT_NEAR(value[static_cast<size_t>(g.p.start[0])], 0.218484, 5e-7);
    EXPECT_NEAR(value[static_cast<size_t>(g.p.start[1])], -0.218484, 5e-7);
  }
}

// Turning the field by half a turn and exchanging the players changes the sign of everything.
TEST(StochasticGame, SoccerIsSymmetric) {
  for (const auto& [rows, columns] : {std::pair{4, 5}, {3, 3}, {5, 4}, {2, 6}}) {
    StochasticGame::Config config;
    config.rows = rows;
    config.columns = columns;
    const Game g("soccer", config);
    constexpr int kTurned[] = {1, 0, 3, 2, 4};
    const auto turned = [&, r = rows, k = columns](int s) {
      const int16_t* at = g.p.coord + s * g.p.coords;
      return g.state({r - 1 - at[2], k - 1 - at[3], r - 1 - at[0], k - 1 - at[1], 1 - at[4]});
    };
    for (int s = 0; s < g.v.states; s += 7) {
      for (int a = 0; a < 5; ++a) {
        for (int b = 0; b < 5; ++b) {
          const int c = g.cell(s, a, b);
          const int d = g.cell(turned(s), kTurned[b], kTurned[a]);
          EXPECT_EQ(g.reward(c, 0), g.reward(d, 1));
          EXPECT_EQ(g.reward(c, 0), -g.reward(c, 1));
          for (int k = g.v.first[c]; k < g.v.first[c + 1]; ++k) {
            EXPECT_EQ(g.probability(d, turned(g.v.next[k])), g.probability(c, g.v.next[k]));
          }
        }
      }
    }
  }
}

TEST(StochasticGame, SoccerByHand) {
  const Game g("soccer");
  // A (ball) moves east into B, who stands: B has the ball, nobody moves
  const int beside = g.state({1, 2, 1, 3, 0});
  EXPECT_EQ(g.probability(g.cell(beside, 3, 4), g.state({1, 2, 1, 3, 1})), 1.0);
  // B moves west into A, who stands with the ball: A keeps it
  EXPECT_EQ(g.probability(g.cell(beside, 4, 2), beside), 1.0);
  // both into each other: the first to move gives the ball to the other, the second gives it back
  EXPECT_EQ(g.probability(g.cell(beside, 3, 2), g.state({1, 2, 1, 3, 0})), 0.5);
  EXPECT_EQ(g.probability(g.cell(beside, 3, 2), g.state({1, 2, 1, 3, 1})), 0.5);
  // A scores from row 2, not from row 0, not without the ball, and not in the west
  const auto east = [&](std::vector<int> state) {
    return g.reward(g.cell(g.state(state), 3, 4), 0);
  };
  EXPECT_EQ(east({2, 4, 0, 0, 0}), 1.0);
  EXPECT_EQ(east({1, 4, 0, 0, 0}), 1.0);
  EXPECT_EQ(east({0, 4, 1, 0, 0}), 0.0);
  EXPECT_EQ(east({2, 4, 0, 0, 1}), 0.0);
  EXPECT_EQ(g.reward(g.cell(g.state({2, 0, 0, 0, 0}), 2, 4), 0), 0.0);
  EXPECT_EQ(g.reward(g.cell(g.state({3, 3, 2, 0, 1}), 4, 2), 1), 1.0);
  // a goal is followed by a kick-off, the ball with either
  const int c = g.cell(g.state({2, 4, 0, 0, 0}), 3, 4);
  EXPECT_EQ(g.probability(c, g.p.start[0]), 0.5);
  EXPECT_EQ(g.probability(c, g.p.start[1]), 0.5);
}

/// The value of player `me` for a fixed joint policy, or of his best response to the other's
/// (`respond`); policy(s, player) is an action.
template <class PolicyOf>
std::vector<double> evaluate(const Game& g, double gamma, int me, bool respond, PolicyOf policy) {
  std::vector<double> value(static_cast<size_t>(g.v.states), 0.0);
  for (int round = 0; round < 4000; ++round) {
    double moved = 0;
    for (int s = 0; s < g.v.states; ++s) {
      if (g.v.terminal[s] != 0) continue;
      int actions[] = {policy(s, 0), policy(s, 1)};
      const int mine = actions[me];
      double best = -1e300;
      for (int a = 0; a < g.v.actions[me]; ++a) {
        if (!respond && a != mine) continue;
        actions[me] = a;
        const int c = g.cell(s, actions[0], actions[1]);
        double q = g.reward(c, me);
        for (int k = g.v.first[c]; k < g.v.first[c + 1]; ++k) {
          q += gamma * g.v.probability[k] * value[static_cast<size_t>(g.v.next[k])];
        }
        best = std::max(best, q);
      }
      moved = std::max(moved, std::fabs(best - value[static_cast<size_t>(s)]));
      value[static_cast<size_t>(s)] = best;
    }
    if (moved < 1e-12) break;
  }
  return value;
}

// Hu and Wellman's values at gamma .99; each joint policy is an equilibrium.
TEST(StochasticGame, GridGamesHaveTheirEquilibria) {
  enum { N, S, W, E };
  struct Case {
    const char* game;
    std::vector<std::pair<std::vector<int>, int>> rules[2];  ///< position (row, column) to action
    double value[2];
  };
  const std::vector<std::pair<std::vector<int>, int>> centre_from_left = {
      {{2, 0}, E}, {{2, 1}, N}, {{1, 1}, N}};
  const std::vector<std::pair<std::vector<int>, int>> side_from_right = {
      {{2, 2}, N}, {{1, 2}, N}, {{0, 2}, W}};
  const std::vector<std::pair<std::vector<int>, int>> centre_from_right = {
      {{2, 2}, W}, {{2, 1}, N}, {{1, 1}, N}};
  const std::vector<std::pair<std::vector<int>, int>> side_from_left = {
      {{2, 0}, N}, {{1, 0}, N}, {{0, 0}, E}};
  const Case cases[] = {
      {"grid_game_1",
       {{{{2, 0}, E}, {{2, 1}, E}, {{2, 2}, N}, {{1, 2}, N}},
        {{{2, 2}, N}, {{1, 2}, N}, {{0, 2}, W}, {{0, 1}, W}}},
       {97.0299, 97.0299}},
      {"grid_game_2", {centre_from_left, side_from_right}, {98.01, 49.005}},
      {"grid_game_2", {side_from_left, centre_from_right}, {49.005, 98.01}},
      {"grid_game_3", {centre_from_left, side_from_right}, {122.5125, 98.01}},
      {"grid_game_3", {side_from_left, centre_from_right}, {98.01, 122.5125}},
  };
  for (const Case& c : cases) {
    const Game g(c.game);
    const auto policy = [&](int s, int player) {
      const int16_t* at = g.p.coord + s * g.p.coords + 2 * player;
      for (const auto& [place, action] : c.rules[player]) {
        if (at[0] == place[0] && at[1] == place[1]) return action;
      }
      return int{N};
    };
    const auto start = static_cast<size_t>(g.p.start[0]);
    for (int i = 0; i < 2; ++i) {
      EXPECT_NEAR(evaluate(g, 0.99, i, false, policy)[start], c.value[i], 1e-9) << c.game << i;
      EXPECT_NEAR(evaluate(g, 0.99, i, true, policy)[start], c.value[i], 1e-9) << c.game << i;
    }
  }
  // in game 3 both from the sides get more together, but it is no equilibrium
  const Game g("grid_game_3");
  const auto sides = [&](int s, int player) {
    const int16_t* at = g.p.coord + s * g.p.coords + 2 * player;
    if (at[0] > 0) return int{N};
    return player == 0 ? int{E} : int{W};
  };
  const auto start = static_cast<size_t>(g.p.start[0]);
  EXPECT_NEAR(evaluate(g, 0.99, 0, false, sides)[start], 120 * .9801, 1e-9);
  EXPECT_NEAR(evaluate(g, 0.99, 0, true, sides)[start], 125 * .9801, 1e-9);
}

TEST(StochasticGame, GridGameByHand) {
  enum { N, S, W, E };
  const Game g("grid_game_2");
  const int start = g.state({2, 0, 2, 2});
  EXPECT_EQ(g.p.start[0], start);
  // both east of left and west of right: one cell, both bounce and pay
  const int bump = g.cell(start, E, W);
  EXPECT_EQ(g.probability(bump, start), 1.0);
  EXPECT_EQ(g.reward(bump, 0), -1.0);
  EXPECT_EQ(g.reward(bump, 1), -1.0);
  // the barrier holds half of the time, for both
  EXPECT_EQ(g.probability(g.cell(start, N, S), g.state({1, 0, 2, 2})), 0.5);
  EXPECT_EQ(g.probability(g.cell(start, N, N), g.state({1, 0, 1, 2})), 0.25);
  // into the goal at the same time: both are paid, no collision
  const int both = g.cell(g.state({0, 0, 1, 1}), E, N);
  EXPECT_EQ(g.reward(both, 0), 100.0);
  EXPECT_EQ(g.reward(both, 1), 100.0);
  // they may swap places
  EXPECT_EQ(g.probability(g.cell(g.state({1, 0, 1, 1}), E, W), g.state({1, 1, 1, 0})), 1.0);
  // into an agent who cannot move on
  EXPECT_EQ(g.reward(g.cell(g.state({1, 1, 1, 0}), W, W), 0), -1.0);
}

/// The best undiscounted sum of rewards of player 0 in `steps` steps, if all pull together.
double best_return(const Game& g, int start, int steps) {
  std::vector<double> value(static_cast<size_t>(g.v.states), 0.0);
  for (int t = 0; t < steps; ++t) {
    std::vector<double> next(value.size(), -1e300);
    for (int s = 0; s < g.v.states; ++s) {
      for (int j = 0; j < g.v.joint; ++j) {
        const int c = s * g.v.joint + j;
        double q = g.reward(c, 0);
        for (int k = g.v.first[c]; k < g.v.first[c + 1]; ++k) {
          q += g.v.probability[k] * value[static_cast<size_t>(g.v.next[k])];
        }
        next[static_cast<size_t>(s)] = std::max(next[static_cast<size_t>(s)], q);
      }
    }
    value = next;
  }
  return value[static_cast<size_t>(start)];
}

double play_return(const Game& g, const std::vector<std::array<int, 2>>& moves, int* length) {
  StochasticGame::State s{};
  Rng fresh({1, 0}, 0, Stream::reset);
  StochasticGame::reset(g.p, s, fresh);
  double sum = 0;
  *length = 0;
  for (const auto& actions : moves) {
    float rewards[2];
    Rng rng({1, 0}, 0, Stream::dynamics);
    const Episode episode = StochasticGame::step(g.p, s, actions.data(), rewards, rng);
    EXPECT_EQ(rewards[0], rewards[1]);
    sum += static_cast<double>(rewards[0]);
    ++*length;
    if (episode != Episode::goes_on) break;
  }
  return sum;
}

TEST(StochasticGame, TwoStepAndKStepByHand) {
  int length = 0;
  const Game two("two_step");
  EXPECT_EQ(two.v.states, 4);
  EXPECT_EQ(play_return(two, {{0, 1}, {1, 0}}, &length), 7.0);
  EXPECT_EQ(play_return(two, {{1, 0}, {0, 0}}, &length), 0.0);
  EXPECT_EQ(play_return(two, {{1, 1}, {1, 0}}, &length), 1.0);
  EXPECT_EQ(play_return(two, {{1, 0}, {1, 1}}, &length), 8.0);
  EXPECT_EQ(length, 2);
  EXPECT_EQ(best_return(two, 0, 2), 8.0);
  for (const int k : {2, 4, 10}) {
    StochasticGame::Config config;
    config.k = k;
    for (const int good : {2, 4}) {
      config.good_branches = good;
      const Game g("k_step", config);
      EXPECT_EQ(g.v.states, 2 + (k - 1) * good);
      EXPECT_EQ(best_return(g, 0, k), k + 3.0);
      std::vector<std::array<int, 2>> moves(static_cast<size_t>(k), {0, 0});
      EXPECT_EQ(play_return(g, moves, &length), k);
      moves.back() = {1, 1};
      EXPECT_EQ(play_return(g, moves, &length), k + 3.0);
      EXPECT_EQ(
          play_return(g, std::vector<std::array<int, 2>>(static_cast<size_t>(k), {1, 1}), &length),
          k);
      EXPECT_EQ(length, k);
      EXPECT_EQ(
          play_return(g, std::vector<std::array<int, 2>>(static_cast<size_t>(k), {0, 1}), &length),
          good == 4 ? k : 0.0);
      EXPECT_EQ(length, good == 4 ? k : 1);
      if (k > 2) {
        EXPECT_EQ(play_return(g, {{1, 1}, {0, 0}, {1, 1}}, &length), 1.0);
        EXPECT_EQ(length, 2);
      }
    }
  }
}

// Zinkevich et al.: no deterministic stationary equilibrium, one mixed one, at gamma 3/4.
TEST(StochasticGame, TwoStateGameHasNoDeterministicEquilibrium) {
  const Game g("two_state");
  const double gamma = 0.75;
  for (int mask = 0; mask < 4; ++mask) {
    const auto policy = [&](int s, int) { return mask >> s & 1; };
    bool stable = true;
    for (int i = 0; i < 2; ++i) {
      const auto now = evaluate(g, gamma, i, false, policy);
      const auto best = evaluate(g, gamma, i, true, policy);
      for (size_t s = 0; s < 2; ++s) stable = stable && best[s] < now[s] + 1e-9;
    }
    EXPECT_FALSE(stable) << mask;
  }
  // with these probabilities of "send" both actions of the one who decides are worth the same
  const double send[] = {2.0 / 3, 5.0 / 12};
  const double value[2][2] = {{4, 16.0 / 3}, {16.0 / 3, 4}};  // [player][state]
  for (int i = 0; i < 2; ++i) {
    for (int s = 0; s < 2; ++s) {
      double q[2];
      for (int a = 0; a < 2; ++a) {
        const int c = g.cell(s, a, a);
        q[a] = g.reward(c, i) + gamma * value[i][g.v.next[g.v.first[c]]];
      }
      if (s == i) {
        EXPECT_NEAR(q[0], q[1], 1e-12);
      }
      EXPECT_NEAR(q[0] + send[s] * (q[1] - q[0]), value[i][s], 1e-12);
    }
  }
}

TEST(StochasticGame, TimeLimitCutsAndSizesAreChecked) {
  StochasticGame::Config config;
  config.max_steps = 3;
  const Game g("two_state", config);
  StochasticGame::State s{0, 0};
  const int keep[] = {0, 0};
  float rewards[2];
  for (int t = 1; t <= 3; ++t) {
    Rng rng({1, 0}, 0, Stream::dynamics);
    EXPECT_EQ(StochasticGame::step(g.p, s, keep, rewards, rng),
              t < 3 ? Episode::goes_on : Episode::cut);
  }
  HostArena arena;
  const auto refused = [&](const char* game, int rows, int columns) {
    StochasticGame::Config c;
    c.game.value = position<StochasticGame>(game);
    c.rows = rows;
    c.columns = columns;
    EXPECT_THROW(StochasticGame::make(c, arena), ParameterError) << game;
  };
  refused("soccer", 1, 5);
  refused("soccer", 4, 2);
  refused("soccer", 32, 32);
  refused("grid_game_2", 3, 4);
  refused("grid_game_1", 1, 3);
  StochasticGame::Config c;
  c.game.value = position<StochasticGame>("k_step");
  c.k = 101;
  EXPECT_THROW(StochasticGame::make(c, arena), ParameterError);
}

// ---- Measures: a policy of the tests' own, and a sink that keeps what is reported -----------------

struct Report {
  void metric(const char* name, double value, int agent = -1) {
    values[agent < 0 ? name : std::string(name) + std::to_string(agent)] = value;
  }
  void share(const char* name, uint64_t label, Label = Label::number) {
    values[name] = static_cast<double>(label);
  }
  void curve(const char* name, int point, double value) {
    EXPECT_EQ(curves[name].size(), static_cast<size_t>(point));
    curves[name].push_back(value);
  }
  std::map<std::string, double> values;
  std::map<std::string, std::vector<double>> curves;
};

/// `choose(index, agent, word)` is the action of an agent who observes `index`.
template <class Env, class Choose>
struct TestPolicy {
  Choose choose;
  Evaluation settings = [] {
    Evaluation e{};
    e.episodes = 10;
    e.steps = 20'000;
    return e;
  }();
  bool draws = false;
  double gamma = 0.9;

  void act(const typename Env::Params& p, const typename Env::State& s, int* actions,
           uint64_t t = 0) const {
    Rng rng(key(), t, Stream::evaluate);
    for (int i = 0; i < Env::agents(p); ++i) {
      actions[i] = choose(static_cast<int>(Env::observe_index(p, s, i)), i, draws ? rng.word() : 0);
    }
  }
  void distribution(const typename Env::Params& p, const typename Env::State& s, int agent,
                    double* out) const {
    std::fill(out, out + Env::actions(p, agent), 0.0);
    out[choose(static_cast<int>(Env::observe_index(p, s, agent)), agent, 0)] = 1;
  }
  bool deterministic() const { return !draws; }
  double discount(int) const { return gamma; }
  uint32_t points() const { return 0; }
  uint64_t points_every() const { return 0; }
  const double* point(uint32_t) const { return nullptr; }
  const Evaluation& evaluation() const { return settings; }
  RunKey key() const { return {4, 2}; }
};

template <class Env, class Choose>
Report report(const typename Env::Params& p, const typename Env::State& s, Choose choose,
              bool draws = false) {
  Report out;
  TestPolicy<Env, Choose> policy{choose};
  policy.draws = draws;
  Env::evaluate(p, s, policy, RunFacts{100, 7, true}, out);
  return out;
}

// ---- Ising --------------------------------------------------------------------------------------

TEST(Ising, NeighboursAreMutual) {
  HostArena arena;
  for (const int size : {4, 6, 20}) {
    const auto p = Ising::make({size}, arena);
    for (int i = 0; i < size * size; ++i) {
      int mine[4], theirs[4];
      ASSERT_EQ(Ising::neighbours(p, i, mine), 4);
      EXPECT_EQ(std::set<int>(mine, mine + 4).size(), 4u);
      for (const int j : mine) {
        Ising::neighbours(p, j, theirs);
        EXPECT_EQ(std::count(theirs, theirs + 4, i), 1);
        EXPECT_NE((i / size + i % size) % 2, (j / size + j % size) % 2);
      }
    }
  }
  EXPECT_THROW(Ising::make({5}, arena), ParameterError);
}

TEST(Ising, EnergiesByHand) {
  HostArena arena;
  const auto p = Ising::make({4}, arena);
  Ising::State s{};
  float rewards[Ising::kMaxAgents];
  int actions[Ising::kMaxAgents] = {};
  Rng rng({1, 0}, 0, Stream::dynamics);
  const auto energy = [&](auto up) {
    for (int i = 0; i < 16; ++i) actions[i] = up(i / 4, i % 4) ? 1 : 0;
    Ising::step(p, s, actions, rewards, rng);
    double sum = 0;
    for (int i = 0; i < 16; ++i) sum -= static_cast<double>(rewards[i]);
    return sum / 16;
  };
  EXPECT_EQ(energy([](int, int) { return true; }), -2);
  EXPECT_EQ(energy([](int, int) { return false; }), -2);
  EXPECT_EQ(energy([](int r, int c) { return (r + c) % 2 == 0; }), 2);
  EXPECT_EQ(energy([](int r, int) { return r % 2 == 0; }), 0);
  EXPECT_EQ(energy([](int r, int) { return r < 2; }), -1);
  // one spin up among others that are down
  EXPECT_EQ(energy([](int r, int c) { return r == 1 && c == 2; }), -1.5);
  EXPECT_EQ(rewards[6], -2.0F);
  EXPECT_EQ(rewards[5], 1.0F);
  EXPECT_EQ(rewards[2], 1.0F);
  EXPECT_EQ(rewards[0], 2.0F);
  EXPECT_EQ(Ising::observe_index(p, s, 5), 1u);
  EXPECT_EQ(Ising::observe_index(p, s, 6), 0u);
}

TEST(Ising, MeasuresGoOnFromTheLastState) {
  HostArena arena;
  const auto p = Ising::make({20}, arena);
  Ising::State s{};
  Rng rng({3, 0}, 0, Stream::reset);
  Ising::reset(p, s, rng);
  int up = 0;
  for (int i = 0; i < 400; ++i) up += static_cast<int>(s.up[i / 32] >> (i % 32) & 1U);
  EXPECT_NEAR(up, 200, 60);
  // the two sublattices against each other: each is in order, the whole is not
  const auto against =
      report<Ising>(p, s, [](int, int i, uint32_t) { return (i / 20 + i % 20) % 2; });
  EXPECT_EQ(against.values.at("magnetisation"), 0);
  EXPECT_EQ(against.values.at("magnetisation_even"), 1);
  EXPECT_EQ(against.values.at("magnetisation_odd"), 1);
  EXPECT_EQ(against.values.at("energy"), 2);
  // everybody joins the majority of the neighbours; a tie goes up
  for (uint32_t& word : s.up) word = 0;
  const auto down = report<Ising>(p, s, [](int ups, int, uint32_t) { return ups >= 2 ? 1 : 0; });
  EXPECT_EQ(down.values.at("magnetisation"), 1);
  EXPECT_EQ(down.values.at("return_per_step"), 2);
  EXPECT_EQ(down.values.at("time_to_convergence"), 7);
  // two bands with straight borders stay as they are: 40 of 800 bonds are broken
  for (int k = 0; k < 200; ++k) s.up[k / 32] |= 1U << (k % 32);
  const auto bands = report<Ising>(p, s, [](int ups, int, uint32_t) { return ups >= 2 ? 1 : 0; });
  EXPECT_EQ(bands.values.at("magnetisation"), 0);
  EXPECT_NEAR(bands.values.at("energy"), -1.8, 1e-9);
  // coins: no order beyond that of 400 and 200 of them, sqrt(2 / (pi n)) in the mean
  const auto coins = report<Ising>(
      p, s, [](int, int, uint32_t word) { return static_cast<int>(word >> 31); }, true);
  EXPECT_NEAR(coins.values.at("magnetisation"), 0.0399, 0.001);
  EXPECT_NEAR(coins.values.at("magnetisation_even"), 0.0564, 0.001);
  EXPECT_NEAR(coins.values.at("energy"), 0, 0.002);
}

// ---- Random games -------------------------------------------------------------------------------

struct Drawn {
  Drawn(int distribution, int players, int actions, uint64_t run, int64_t games = 0) {
    RandomGame::Config config;
    config.stage.distribution.value = distribution;
    config.stage.players = players;
    config.stage.actions = actions;
    config.stage.low = -2;
    config.stage.high = 3;
    config.stage.games = games;
    p = RandomGame::make(config, arena);
    Rng rng({9, run}, 0, Stream::reset);
    RandomGame::reset(p, s, rng);
  }
  std::vector<double> pay(std::vector<int> actions) const {
    std::vector<double> out(6);
    RandomGame::payoffs(p, s, actions.data(), out.data());
    out.resize(static_cast<size_t>(p.players));
    return out;
  }
  HostArena arena;
  RandomGame::Params p;
  RandomGame::State s;
};

TEST(RandomGame, PayoffsAreUniformAndFixedForARun) {
  std::vector<double> all;
  std::set<double> distinct;
  for (uint64_t run = 0; run < 200; ++run) {
    const Drawn g(0, 6, 2, run);
    const Drawn again(0, 6, 2, run);
    for (int j = 0; j < 64; ++j) {
      std::vector<int> actions;
      for (int i = 5; i >= 0; --i) actions.push_back(j >> i & 1);
      const auto paid = g.pay(actions);
      EXPECT_EQ(paid, again.pay(actions));
      all.insert(all.end(), paid.begin(), paid.end());
      distinct.insert(paid.begin(), paid.end());
    }
  }
  EXPECT_GT(distinct.size(), all.size() - 10);
  double mean = 0, square = 0;
  for (const double u : all) {
    EXPECT_GE(u, -2);
    EXPECT_LT(u, 3);
    mean += u;
    square += u * u;
  }
  mean /= static_cast<double>(all.size());
  square /= static_cast<double>(all.size());
  EXPECT_NEAR(mean, 0.5, 0.02);
  EXPECT_NEAR(square - mean * mean, 25.0 / 12, 0.03);
}

TEST(RandomGame, DistributionsKeepTheirPromise) {
  for (uint64_t run = 0; run < 30; ++run) {
    const Drawn zero(1, 2, 4, run), common(2, 4, 3, run), potential(3, 3, 3, run);
    for (int j = 0; j < 81; ++j) {
      const std::vector<int> actions{j / 27, j / 9 % 3, j / 3 % 3, j % 3};
      const auto u = zero.pay({actions[0], actions[1]});
      EXPECT_EQ(u[0], -u[1]);
      const auto same = common.pay(actions);
      EXPECT_EQ(same, std::vector<double>(4, same[0]));
      // Monderer and Shapley: in a potential game deviations around a four-cycle cancel
      for (int i = 0; i < 3; ++i) {
        const int k = (i + 1) % 3;
        std::vector<int> a{actions[0], actions[1], actions[2]};
        const auto at = [&](int mine, int other, int who) {
          auto b = a;
          b[static_cast<size_t>(i)] = mine;
          b[static_cast<size_t>(k)] = other;
          return potential.pay(b)[static_cast<size_t>(who)];
        };
        const double round = (at(1, 0, i) - at(0, 0, i)) + (at(1, 2, k) - at(1, 0, k)) +
                             (at(0, 2, i) - at(1, 2, i)) + (at(0, 0, k) - at(0, 2, k));
        EXPECT_NEAR(round, 0, 1e-12);
      }
    }
  }
  HostArena arena;
  RandomGame::Config config;
  config.stage.distribution.value = RandomStage::kZeroSum;
  config.stage.players = 3;
  EXPECT_THROW(RandomGame::make(config, arena), ParameterError);
}

TEST(RandomGame, GamesOfRuns) {
  EXPECT_NE(Drawn(0, 2, 3, 1).pay({0, 0}), Drawn(0, 2, 3, 4).pay({0, 0}));
  EXPECT_EQ(Drawn(0, 2, 3, 1, 3).pay({0, 0}), Drawn(0, 2, 3, 4, 3).pay({0, 0}));
  EXPECT_NE(Drawn(0, 2, 3, 1, 3).pay({0, 0}), Drawn(0, 2, 3, 2, 3).pay({0, 0}));
}

// step() and the measures are those of the run's own game.
TEST(RandomGame, MeasuresAreOfTheRunsGame) {
  Drawn g(0, 2, 3, 5);
  const int actions[] = {2, 1};
  const auto paid = g.pay({2, 1});
  float rewards[RandomGame::kMaxAgents];
  Rng rng({9, 5}, 3, Stream::dynamics);
  RandomGame::step(g.p, g.s, actions, rewards, rng);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(rewards[i], static_cast<float>(paid[i]));
  const auto out = report<RandomGame>(g.p, g.s, [](int, int i, uint32_t) { return 2 - i; });
  EXPECT_EQ(out.values.at("return_per_step0"), paid[0]);
  EXPECT_EQ(out.values.at("return_per_step1"), paid[1]);
  double gain = 0;
  for (size_t i = 0; i < 2; ++i) {
    double best = -1e300;
    for (int a = 0; a < 3; ++a) {
      std::vector<int> b{2, 1};
      b[i] = a;
      best = std::max(best, g.pay(b)[i]);
    }
    gain += best - paid[i];
  }
  EXPECT_NEAR(out.values.at("nash_conv"), gain, 1e-12);
  double probed[RandomGame::kProbes];
  ASSERT_TRUE(RandomGame::probes(g.p));
  const auto choose = [](int, int i, uint32_t) { return 2 - i; };
  RandomGame::probe(g.p, g.s, TestPolicy<RandomGame, decltype(choose)>{choose}, probed);
  EXPECT_NEAR(probed[0], gain, 1e-12);
  // with a memory the limit cycle is followed
  RandomGame::Config config;
  config.memory = 1;
  const auto p = RandomGame::make(config, g.arena);
  EXPECT_FALSE(RandomGame::probes(p));
  const auto cycle =
      report<RandomGame>(p, g.s, [](int history, int, uint32_t) { return history == 0 ? 1 : 0; });
  EXPECT_EQ(cycle.values.at("cycle_length"), 2);
  double first[6], second[6];
  const int low[] = {0, 0}, high[] = {1, 1};
  RandomGame::payoffs(p, g.s, low, first);
  RandomGame::payoffs(p, g.s, high, second);
  EXPECT_NEAR(cycle.values.at("return_per_step0"), (first[0] + second[0]) / 2, 1e-12);
}

// ---- Cournot ------------------------------------------------------------------------------------

TEST(Cournot, QuantitiesByHand) {
  HostArena arena;
  const auto p = CournotStage::make({}, arena);  // a 40, b 1, c 4, two firms
  for (int i = 0; i < 2; ++i) {
    EXPECT_NEAR(p.nash_quantity[i], 12, 1e-12);
    EXPECT_NEAR(p.collusive_quantity[i], 9, 1e-12);
    EXPECT_NEAR(p.walrasian_quantity[i], 18, 1e-12);
    EXPECT_EQ(CournotStage::level(p, i, CournotStage::reference_action(p, i, 0)), 12);
    EXPECT_EQ(CournotStage::level(p, i, CournotStage::reference_action(p, i, 1)), 9);
  }
  EXPECT_NEAR(p.nash_profit, 288, 1e-9);
  EXPECT_NEAR(p.collusive_profit, 324, 1e-9);
  double out[CournotStage::kMaxPlayers];
  const int nash[] = {6, 6}, most[] = {12, 12};
  CournotStage::payoffs(p, nash, out);
  EXPECT_EQ(out[0], 144);
  CournotStage::payoffs(p, most, out);
  EXPECT_EQ(out[1], 0);
  const auto bounds = CournotStage::payoff_bounds(p);
  EXPECT_EQ(bounds.min, 0);
  EXPECT_EQ(bounds.max, 225);  // 15 against 6, at a price of 19
  CournotStage::Config flood;
  flood.highest = 30;
  flood.quantities = 2;
  const int both[] = {1, 1};  // 60 units where 40 are already worth nothing: the price stays at 0
  CournotStage::payoffs(CournotStage::make(flood, arena), both, out);
  EXPECT_EQ(out[0], -120);
}

// No firm gains by another quantity, whoever stays out; and no joint quantities pay more together.
TEST(Cournot, NashAndCollusionAreOptimal) {
  HostArena arena;
  for (const std::vector<double>& cost :
       {std::vector<double>{1, 1, 1}, {1, 2, 3}, {0, 2, 9}, {5, 8, 9.9}, {3, 3, 8}}) {
    CournotStage::Config config;
    config.firms = 3;
    config.cost = cost;
    config.intercept = 10;
    config.slope = 0.5;
    const auto p = CournotStage::make(config, arena);
    const auto profit = [&](const double* q, int i) {
      const double price = std::max(0.0, 10 - 0.5 * (q[0] + q[1] + q[2]));
      return (price - cost[static_cast<size_t>(i)]) * q[i];
    };
    double q[3];
    for (int i = 0; i < 3; ++i) {
      for (double other = 0; other <= 20; other += 0.01) {
        std::copy(p.nash_quantity, p.nash_quantity + 3, q);
        ASSERT_GE(q[i], 0) << cost[2];
        const double here = profit(q, i);
        q[i] = other;
        EXPECT_LE(profit(q, i), here + 1e-9) << cost[2];
      }
    }
    const auto joint = [&](const double* at) {
      return profit(at, 0) + profit(at, 1) + profit(at, 2);
    };
    EXPECT_NEAR(joint(p.collusive_quantity), p.collusive_profit, 1e-9);
    for (q[0] = 0; q[0] <= 20; q[0] += 0.5) {
      for (q[1] = 0; q[1] <= 20; q[1] += 0.5) {
        for (q[2] = 0; q[2] <= 20; q[2] += 0.5) EXPECT_LE(joint(q), p.collusive_profit + 1e-9);
      }
    }
    double sold = 0;
    for (int i = 0; i < 3; ++i) sold += p.walrasian_quantity[i];
    EXPECT_NEAR(10 - 0.5 * sold, *std::min_element(cost.begin(), cost.end()), 1e-9);
  }
}

TEST(Cournot, Measures) {
  HostArena arena;
  const auto p = Cournot::make({}, arena);
  const auto nash = report<Cournot>(p, {0, 0}, [](int, int, uint32_t) { return 6; });
  EXPECT_NEAR(nash.values.at("profit_gain"), 0, 1e-12);
  EXPECT_NEAR(nash.values.at("nash_conv"), 0, 1e-12);
  EXPECT_EQ(nash.values.at("mean_quantity"), 12);
  EXPECT_EQ(nash.values.at("mean_profit1"), 144);
  const auto cartel = report<Cournot>(p, {0, 0}, [](int, int, uint32_t) { return 3; });
  EXPECT_NEAR(cartel.values.at("profit_gain"), 1, 1e-12);
  EXPECT_GT(cartel.values.at("nash_conv"), 1);
}

// ---- Gaussian squeeze ---------------------------------------------------------------------------

TEST(GaussianSqueeze, HasItsMaximum) {
  HostArena arena;
  const auto p = GaussianSqueeze::make({}, arena);
  EXPECT_NEAR(p.best, 423.0326, 5e-5);
  EXPECT_EQ(p.payoff[89], p.best);  // 5 * 89 = 445
  for (int k = 0; k <= 90; ++k) {
    EXPECT_NEAR(p.payoff[k], 5 * k * std::exp(-std::pow((5.0 * k - 400) / 200, 2)), 1e-10);
  }
  GaussianSqueeze::State s{0};
  int actions[16] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 8};
  float rewards[16];
  Rng rng({1, 0}, 0, Stream::dynamics);
  EXPECT_EQ(GaussianSqueeze::step(p, s, actions, rewards, rng), Episode::goes_on);
  for (int i = 0; i < 10; ++i) EXPECT_NEAR(rewards[i], 423.0326, 5e-5);
}

TEST(GaussianSqueeze, Measures) {
  HostArena arena;
  const auto p = GaussianSqueeze::make({}, arena);
  const auto best =
      report<GaussianSqueeze>(p, {0}, [](int, int i, uint32_t) { return i == 3 ? 8 : 9; });
  EXPECT_EQ(best.values.at("efficiency"), 1);
  EXPECT_EQ(best.values.at("amount"), 445);
  EXPECT_EQ(best.values.at("nash_conv"), 0);
  const auto none = report<GaussianSqueeze>(p, {0}, [](int, int, uint32_t) { return 0; });
  EXPECT_EQ(none.values.at("return_per_step"), 0);
  EXPECT_NEAR(none.values.at("nash_conv"), 10 * p.payoff[9], 1e-9);
}

// ---- Auctions -----------------------------------------------------------------------------------

Auction::Params auction(int price, int bidders, int values, int bids) {
  static HostArena arena;
  Auction::Config c;
  c.price.value = price;
  c.bidders = bidders;
  c.values = values;
  c.bids = bids;
  return Auction::make(c, arena);
}

TEST(Auction, PaysByHand) {
  const uint64_t values = 8 | 6 << 8 | 10 << 16;  // .8, .6, 1
  const auto sell = [&](int price, std::vector<int> bids) {
    const auto p = auction(price, 3, 11, 11);
    Auction::State s{values};
    std::vector<float> rewards(Auction::kMaxAgents, -9.0F);
    bids.resize(Auction::kMaxAgents);
    Rng rng({1, 0}, 0, Stream::dynamics);
    EXPECT_EQ(Auction::step(p, s, bids.data(), rewards.data(), rng), Episode::goes_on);
    rewards.resize(3);
    return rewards;
  };
  EXPECT_EQ(sell(0, {5, 3, 4}), (std::vector<float>{static_cast<float>(.8 - .5), 0, 0}));
  EXPECT_EQ(sell(1, {5, 3, 4}), (std::vector<float>{static_cast<float>(.8 - .4), 0, 0}));
  EXPECT_EQ(sell(1, {1, 9, 4}), (std::vector<float>{0, static_cast<float>(.6 - .4), 0}));
  EXPECT_EQ(sell(1, {0, 0, 10}), (std::vector<float>{0, 0, 1}));
  // a tie at the top is paid at that bid, in both, and everybody in it wins equally often
  for (const int price : {0, 1}) {
    const auto p = auction(price, 3, 11, 11);
    int won[3] = {};
    for (uint64_t t = 0; t < 9000; ++t) {
      Auction::State s{values};
      const int bids[Auction::kMaxAgents] = {4, 2, 4};
      float rewards[Auction::kMaxAgents];
      Rng rng({1, 0}, t, Stream::dynamics);
      Auction::step(p, s, bids, rewards, rng);
      for (int i = 0; i < 3; ++i) won[i] += rewards[i] != 0 ? 1 : 0;
      EXPECT_TRUE(rewards[0] == static_cast<float>(.8 - .4) ||
                  rewards[2] == static_cast<float>(1 - .4));
    }
    EXPECT_NEAR(won[0], 4500, 200);
    EXPECT_EQ(won[1], 0);
    EXPECT_NEAR(won[2], 4500, 200);
  }
}

// Truthful second-price bids bring the mean of the second highest value; found here by enumeration.
TEST(Auction, RevenueOfTruthfulBids) {
  for (const auto& [bidders, values] : {std::pair{2, 11}, {3, 6}, {4, 5}, {2, 2}}) {
    int total = 1;
    for (int i = 0; i < bidders; ++i) total *= values;
    double mean = 0;
    for (int j = 0; j < total; ++j) {
      std::vector<int> v;
      for (int rest = j, i = 0; i < bidders; ++i, rest /= values) v.push_back(rest % values);
      std::sort(v.begin(), v.end());
      mean += static_cast<double>(v[static_cast<size_t>(bidders) - 2]) / (values - 1) / total;
    }
    const auto p = auction(1, bidders, values, values);
    EXPECT_NEAR(p.truthful_revenue, mean, 1e-12);
    Auction::State s{0};
    const auto out = report<Auction>(p, s, [](int value, int, uint32_t) { return value; });
    EXPECT_NEAR(out.values.at("revenue"), mean, 0.01);
    EXPECT_NEAR(out.values.at("efficiency"), 1, 1e-12);
    for (size_t k = 0; k < static_cast<size_t>(values); ++k) {
      EXPECT_NEAR(out.curves.at("mean_bid")[k], out.curves.at("value")[k], 1e-12);
    }
  }
  // many values: (n - 1) / (n + 1)
  EXPECT_NEAR(auction(1, 4, 128, 128).truthful_revenue, 0.6, 0.002);
  // first price: half of the value is the equilibrium of two, with the same revenue
  const auto p = auction(0, 2, 101, 101);
  const auto out = report<Auction>(p, {0}, [](int value, int, uint32_t) { return value / 2; });
  EXPECT_NEAR(out.values.at("revenue_share"), 1, 0.02);
}

// Second price: whatever the other bids, no bid is better than the value.
TEST(Auction, TruthIsDominant) {
  const auto p = auction(1, 2, 6, 6);
  for (uint64_t value = 0; value < 6; ++value) {
    for (int rival = 0; rival < 6; ++rival) {
      const auto mean = [&](int bid) {
        double sum = 0;
        for (uint64_t t = 0; t < 200; ++t) {
          Auction::State s{value};
          const int bids[Auction::kMaxAgents] = {bid, rival};
          float rewards[Auction::kMaxAgents];
          Rng rng({2, 0}, t, Stream::dynamics);
          Auction::step(p, s, bids, rewards, rng);
          sum += static_cast<double>(rewards[0]) / 200;
        }
        return sum;
      };
      const double truth = mean(static_cast<int>(value));
      for (int bid = 0; bid < 6; ++bid) EXPECT_LE(mean(bid), truth + 1e-6);
    }
  }
}

}  // namespace
}  // namespace cumarl
