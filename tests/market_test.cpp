// The stage games against published and hand-made figures.
#include <gtest/gtest.h>

#include <cmath>

#include "cumarl/runner.hpp"
#include "envs/bertrand_logit.hpp"
#include "envs/matrix_game.hpp"

namespace cumarl {
namespace {

// Calvano et al. 2020, baseline: five published decimals.
TEST(BertrandLogit, SolvesTheBaseline) {
  HostArena arena;
  const auto p = BertrandStage::make({}, arena);
  for (int i = 0; i < 2; ++i) {
    EXPECT_NEAR(p.nash_price[i], 1.47293, 5e-6);
    EXPECT_NEAR(p.monopoly_price[i], 1.92498, 5e-6);
    EXPECT_NEAR(p.nash_profit[i], 0.222927, 1.5e-6);
    EXPECT_NEAR(p.monopoly_profit[i], 0.337490, 5e-7);
  }
  // published from prices of five decimals: half a unit there (times 1.2) and half a unit here
  EXPECT_NEAR(p.price[0], 1.42773, 1.1e-5);
  EXPECT_NEAR(p.price[14], 1.97018, 1.1e-5);
}

// The replication package's own inputs for asymmetric costs: pN1 pN2 pM1 pM2, five decimals.
TEST(BertrandLogit, SolvesAsymmetricCosts) {
  const struct {
    double cost, n1, n2, m1, m2;
  } cases[] = {
      {0.875, 1.44135, 1.39588, 1.97674, 1.85174}, {0.75, 1.4142, 1.32539, 2.04051, 1.79051},
      {0.625, 1.39133, 1.26145, 2.11503, 1.74003}, {0.5, 1.37233, 1.20377, 2.1984, 1.6984},
      {0.25, 1.34369, 1.10519, 2.38411, 1.63411},
  };
  for (const auto& c : cases) {
    HostArena arena;
    BertrandStage::Config config;
    config.cost = {1.0, c.cost};
    const auto p = BertrandStage::make(config, arena);
    EXPECT_NEAR(p.nash_price[0], c.n1, 1e-5) << c.cost;
    EXPECT_NEAR(p.nash_price[1], c.n2, 1e-5) << c.cost;
    EXPECT_NEAR(p.monopoly_price[0], c.m1, 1e-5) << c.cost;
    EXPECT_NEAR(p.monopoly_price[1], c.m2, 1e-5) << c.cost;
  }
}

// First-order conditions, away from the published cells: no firm gains by a small deviation.
TEST(BertrandLogit, NashAndMonopolyAreOptimal) {
  HostArena arena;
  BertrandStage::Config config;
  config.firms = 3;
  config.quality = {2.0, 1.5, 2.5};
  config.cost = {1.0, 0.7, 1.4};
  config.mu = 0.4;
  config.outside_quality = 0.3;
  const auto p = BertrandStage::make(config, arena);
  const auto profits = [&](const double* price, double* out) {
    double total = std::exp(0.3 / 0.4);
    for (size_t i = 0; i < 3; ++i) total += std::exp((config.quality[i] - price[i]) / 0.4);
    double sum = 0;
    for (size_t i = 0; i < 3; ++i) {
      out[i] = (price[i] - config.cost[i]) * std::exp((config.quality[i] - price[i]) / 0.4) / total;
      sum += out[i];
    }
    return sum;
  };
  double at[3], here[3], there[3];
  const double joint = profits(p.monopoly_price, here);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(here[i], p.monopoly_profit[i], 1e-12);
  profits(p.nash_price, here);
  for (int i = 0; i < 3; ++i) {
    for (const double step : {-1e-4, 1e-4}) {
      std::copy(p.nash_price, p.nash_price + 3, at);
      at[i] += step;
      profits(at, there);
      EXPECT_LT(there[i], here[i]);
      std::copy(p.monopoly_price, p.monopoly_price + 3, at);
      at[i] += step;
      EXPECT_LT(profits(at, there), joint);
    }
  }
}

// exact payoffs of named games: u1 row-major, u2 where it differs (games.md, checked with lrsnash)
TEST(MatrixGame, NamedPayoffs) {
  const auto game = [](int index) {
    static HostArena arena;
    MatrixStage::Config config;
    config.game.value = index;
    return MatrixStage::make(config, arena);
  };
  double out[6];
  const auto pay = [&](const MatrixStage::Params& p, int a, int b) {
    const int actions[] = {a, b};
    MatrixStage::payoffs(p, actions, out);
    return std::pair{out[0], out[1]};
  };
  EXPECT_EQ(pay(game(0), 0, 1), (std::pair{0.0, 5.0}));   // prisoner's dilemma: C against D
  EXPECT_EQ(pay(game(1), 1, 0), (std::pair{3.0, 0.0}));   // stag hunt: hare against stag
  EXPECT_EQ(pay(game(2), 0, 1), (std::pair{2.0, 7.0}));   // chicken
  EXPECT_EQ(pay(game(3), 1, 1), (std::pair{2.0, 3.0}));   // battle of the sexes
  EXPECT_EQ(pay(game(4), 0, 1), (std::pair{-1.0, 1.0}));  // matching pennies
  EXPECT_EQ(pay(game(7), 0, 2), (std::pair{1.0, 0.0}));   // Shapley
  EXPECT_EQ(pay(game(8), 1, 2), (std::pair{6.0, 6.0}));   // climbing: b, c
  EXPECT_EQ(pay(game(9), 1, 1), (std::pair{7.0, 7.0}));   // partially stochastic: mean of 14 and 0
  EXPECT_EQ(pay(game(10), 0, 0), (std::pair{11.0, 11.0}));
  EXPECT_EQ(pay(game(10), 0, 1), (std::pair{-30.0, -30.0}));
  EXPECT_EQ(pay(game(10), 1, 1), (std::pair{7.0, 7.0}));
  EXPECT_EQ(pay(game(11), 2, 0), (std::pair{-100.0, -100.0}));
  EXPECT_EQ(pay(game(12), 0, 0), (std::pair{8.0, 8.0}));
}

TEST(MatrixGame, ThreePlayersFromConfig) {
  RunRequest request;
  request.config_text =
      "[env]\nname = \"matrix_game\"\n"
      "payoffs = [ [[[1,2],[3,4]],[[5,6],[7,8]]], [[[0,0],[0,0]],[[1,1],[1,1]]],"
      " [[[0,1],[0,1]],[[0,1],[0,1]]] ]\n"
      "[learner]\nname = \"q_learning\"\ngamma = 0.0\n"
      "exploration = { start = 1.0, end = 0.05, decay_rate = 1e-2 }\n[stop]\nmax_steps = 3000\n";
  request.runs = 20;
  // player 0 gains by its second action whatever the others do (4 more), player 2 by its second;
  // player 1 is paid by player 0's action alone
  const Result result = Runner(request).run();
  double second = 0;
  for (const auto& [label, share] : result.cells[0].shares.at("greedy_joint_action")) {
    if (label.front() == '1' && label.back() == '1') second += share;
  }
  EXPECT_EQ(second, 1.0);
}

TEST(MatrixGame, StochasticPayoffsAverageOut) {
  HostArena arena;
  MatrixStage::Config config;
  config.game.value = 9;
  const auto p = MatrixStage::make(config, arena);
  const int bb[] = {1, 1};
  constexpr int kDraws = 40'000;
  int high = 0;
  for (uint64_t t = 0; t < kDraws; ++t) {
    Rng rng({1, 0}, t, Stream::dynamics);
    double out[2];
    MatrixStage::sample(p, bb, out, rng);
    ASSERT_TRUE(out[0] == 14.0 || out[0] == 0.0);
    ASSERT_EQ(out[0], out[1]);
    high += out[0] == 14.0 ? 1 : 0;
  }
  EXPECT_NEAR(high, kDraws / 2.0, 4 * std::sqrt(kDraws * 0.25));
}

// Prisoner's dilemma (3 0 / 5 1), gamma 1/2: by hand.
TEST(RepeatedGame, InitialValues) {
  HostArena arena;
  MatrixGame::Config config;
  config.memory = 1;
  const auto p = MatrixGame::make(config, arena);
  AgentSpec spec{};
  const auto values = [&](InitKind kind) {
    spec.init.kind.value = static_cast<int>(kind);
    return MatrixGame::initial_values(p, spec, 0.5);
  };
  EXPECT_EQ(values(InitKind::expected), (std::vector<double>{3, 6}));  // (3+0)/2*2, (5+1)/2*2
  spec.init.action = 0;
  EXPECT_EQ(values(InitKind::fixed_rivals), (std::vector<double>{6, 8}));  // 3+3, 5+3
  spec.init.cooperate = 0;
  spec.init.punish = 1;
  // after mutual cooperation: 3+3 or 5+1; else the rival defects: 0+1 or 1+1
  EXPECT_EQ(values(InitKind::grim_trigger), (std::vector<double>{6, 6, 1, 2, 1, 2, 1, 2}));
}

TEST(RepeatedGame, HistoryHoldsTheLastJointActions) {
  HostArena arena;
  MatrixGame::Config config;
  config.memory = 2;
  const auto p = MatrixGame::make(config, arena);
  MatrixGame::State s{};
  Rng rng({1, 1}, 0, Stream::dynamics);
  const int moves[][2] = {{0, 1}, {1, 1}, {1, 0}};
  float rewards[6];
  for (const auto& move : moves) MatrixGame::step(p, s, move, rewards, rng);
  EXPECT_EQ(s.history, 3u * 4u + 2u);  // (1,1) then (1,0), newest in the lowest digit
  float seen[4];
  MatrixGame::observe(p, s, 0, seen);
  EXPECT_EQ(std::vector<float>(seen, seen + 4), (std::vector<float>{1, 0, 1, 1}));
}

}  // namespace
}  // namespace cumarl
