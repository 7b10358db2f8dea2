/// The double auction, market makers, the portfolio, the security game and flocking, against what
/// their sources derive.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "envs/double_auction.hpp"
#include "envs/flocking.hpp"
#include "envs/market_maker.hpp"
#include "envs/portfolio.hpp"
#include "envs/security_game.hpp"
#include "tests/market_harness.hpp"

namespace {

using namespace cumarl;
using namespace cumarl::test;

using Call = World<DoubleAuction>;

TEST(DoubleAuction, Contract) {
  check_contract<DoubleAuction>({});
  DoubleAuction::Config config;
  config.buyers = 5;
  config.sellers = 3;
  config.noise = 16;
  config.prices = 7;
  config.k = 1;
  config.horizon = 0;
  check_contract<DoubleAuction>(config);
}

// Bids 15, 11 (agents), 12 (noise); asks 4, 11 (agents), 9 (noise). Sorted: 15, 12, 11 against 4,
// 9, 11: three units, at 11 (the third bid and the third ask).
TEST(DoubleAuction, Clearing) {
  DoubleAuction::Config config;
  config.noise = 2;
  Call call(config);
  call.set({{"value", {18, 13, 2, 10}}, {"noise_value", {14, 5}}, {"noise_price", {12, 9}}});
  call.step({15, 11, 4, 11});
  EXPECT_EQ(call.rewards[0], 7);
  EXPECT_EQ(call.rewards[1], 2);
  EXPECT_EQ(call.rewards[2], 9);
  EXPECT_EQ(call.rewards[3], 1);
  // asks 4, 9, 13: two units. Exactly two trade at prices from max(9, bid 11) to min(12, ask 13)
  call.set({{"value", {18, 13, 2, 10}}, {"noise_value", {14, 5}}, {"noise_price", {12, 9}}});
  call.step({15, 11, 4, 13});
  EXPECT_EQ(call.rewards[0], 6.5F);
  EXPECT_EQ(call.rewards[1], 0);
  EXPECT_EQ(call.rewards[2], 9.5F);
  EXPECT_EQ(call.rewards[3], 0);
  config.k = 1;
  Call high(config);
  high.set({{"value", {18, 13, 2, 10}}, {"noise_value", {14, 5}}, {"noise_price", {12, 9}}});
  high.step({15, 11, 4, 13});
  EXPECT_EQ(high.rewards[0], 6);
  // asks 4, 13, 20: one unit, at 12. Ties go by number, agents first: the agent's bid of 12 trades
  call.set({{"value", {18, 13, 2, 10}}, {"noise_value", {14, 5}}, {"noise_price", {12, 13}}});
  call.step({12, 12, 4, 20});
  EXPECT_EQ(call.rewards[0], 6);
  EXPECT_EQ(call.rewards[1], 0);
  EXPECT_EQ(call.rewards[2], 10);
}

TEST(DoubleAuction, NoTradeAndErrors) {
  DoubleAuction::Config config;
  config.noise = 0;
  config.horizon = 3;
  Call call(config);
  EXPECT_EQ(call.step({3, 2, 5, 4}), Episode::goes_on);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(call.rewards[i], 0);
  call.step({3, 2, 5, 4});
  EXPECT_EQ(call.step({3, 2, 5, 4}), Episode::cut);
  HostArena arena;
  config.buyers = config.sellers = 0;
  EXPECT_THROW(DoubleAuction::make(config, arena), ParameterError);
  config.buyers = 9;
  EXPECT_THROW(DoubleAuction::make(config, arena), ParameterError);
  EXPECT_THROW(call.set({{"value", {0, 0, 0, 21}}}), ParameterError);
}

// Chatterjee and Samuelson 1983: one buyer, one seller, values uniform on [0, 1], k = 1/2. The
// linear equilibrium bids 2/3 v + 1/12, asks 2/3 c + 1/4; trade happens if v >= c + 1/4. Expected
// gains are 9/64, of 1/6 that are possible: efficiency 27/32. Each side gets half.
TEST(DoubleAuction, ChatterjeeSamuelson) {
  DoubleAuction::Config config;
  config.buyers = config.sellers = 1;
  config.noise = 0;
  config.max_value = 1000;
  config.horizon = 0;
  const Call call(config);
  const auto play = [&](double shade) {
    return call.evaluate(
        [=](const auto&, const auto& s, int i) {
          const double x = s.value[i];
          return i == 0 ? 2.0 / 3 * x + 1000.0 / 12 - shade : 2.0 / 3 * x + 250;
        },
        1, 400'000);
  };
  const auto m = play(0);
  // 400,000 periods, in which gains have a spread of .23: s.e. .0004, or .0025 of what is possible
  EXPECT_NEAR(m.at("efficiency"), 27.0 / 32, 0.008);
  EXPECT_NEAR(m.at("return_per_step_agent0"), 1000 * 9.0 / 128, 1.0);
  EXPECT_NEAR(m.at("return_per_step_agent1"), 1000 * 9.0 / 128, 1.0);
  EXPECT_NEAR(m.at("volume"), 9.0 / 32, 0.003);
  // no shift of the buyer's bids gains; the draws are the same
  EXPECT_LT(play(60).at("return_per_step_agent0"), m.at("return_per_step_agent0"));
  EXPECT_LT(play(-60).at("return_per_step_agent0"), m.at("return_per_step_agent0"));
}

TEST(DoubleAuction, TruthIsEfficientWhereNobodyElseShades) {
  DoubleAuction::Config config;
  config.noise = 0;
  const Call honest(config);
  const auto truth = [](const auto&, const auto& s, int i) { return double{s.value[i] * 1.0}; };
  EXPECT_EQ(honest.evaluate(truth).at("efficiency"), 1);
  EXPECT_LT(Call().evaluate(truth).at("efficiency"), 1);  // noise traders shade
  EXPECT_GT(Call().evaluate(truth).at("efficiency"), 0.5);
}

using Dealers = World<MarketMaker>;

TEST(MarketMaker, Contract) {
  check_contract<MarketMaker>({});
  MarketMaker::Config config;
  config.dealers = 4;
  config.rounds = 30;
  config.informed = 0.6;
  config.value_low = -3;
  config.value_high = 5;
  config.reservation = 0;
  config.max_half_spread = 7;
  check_contract<MarketMaker>(config);
}

// Glosten and Milgrom with two values: E[V | buy] - E[V] at b = 1/2 is a R / 2; in general the
// dealers' gains vanish at 2 a b (1 - b) R.
TEST(MarketMaker, ZeroProfitSpread) {
  MarketMaker::Config config;
  config.reservation = 0;
  const Dealers always(config);
  EXPECT_NEAR(MarketMaker::zero_profit_half_spread(always.params, 0.5), 0.3, 1e-11);
  EXPECT_NEAR(MarketMaker::zero_profit_half_spread(always.params, 0.8), 2 * 0.3 * 0.16 * 2, 1e-11);
  // noise traders up to 2: .7 s (1 - s / 2) = .3 (1 - s), s = (1 - sqrt(.58)) / .7
  const Dealers some;
  EXPECT_NEAR(MarketMaker::zero_profit_half_spread(some.params, 0.5), (1 - std::sqrt(0.58)) / 0.7,
              1e-11);
  // elsewhere: no profit there, and a loss at everything lower; at .6 informed and .8 or .2, where
  // those who know the likelier value no longer gain
  for (const double informed : {0.3, 0.6}) {
    config.informed = informed;
    config.reservation = 2;
    const Dealers dealers(config);
    for (const double belief : {0.01, 0.2, 0.37, 0.62, 0.8}) {
      const double s = MarketMaker::zero_profit_half_spread(dealers.params, belief);
      EXPECT_NEAR(MarketMaker::expected_profit(dealers.params, belief, s), 0, 1e-12) << belief;
      for (int k = 0; k < 100; ++k) {
        EXPECT_LT(MarketMaker::expected_profit(dealers.params, belief, s * k / 100), 0) << belief;
      }
    }
  }
  // nobody but informed traders: the spread that keeps them out
  config.informed = 1;
  config.reservation = 2;
  const Dealers hopeless(config);
  const double s = MarketMaker::zero_profit_half_spread(hopeless.params, 0.5);
  EXPECT_NEAR(s, 1, 1e-12);
  EXPECT_NEAR(MarketMaker::zero_profit_half_spread(hopeless.params, 0.3), 1.4, 1e-12);
}

TEST(MarketMaker, OneRound) {
  MarketMaker::Config config;
  config.informed = 1;  // the trader knows
  Dealers dealers(config);
  dealers.set({{"high", {1}}});
  dealers.step_real({0.25, 0.25});  // sold at 1.25 what is worth 2: each loses half of .75
  EXPECT_EQ(dealers.rewards[0], -0.375F);
  EXPECT_EQ(dealers.rewards[1], -0.375F);
  EXPECT_EQ(dealers.words()["belief"][0], 999'999);
  dealers.set({{"high", {0}}, {"belief", {500'000}}});
  dealers.step_real({0.5, 0.4});  // bought at .6 what is worth 0
  EXPECT_EQ(dealers.rewards[0], 0);
  EXPECT_NEAR(dealers.rewards[1], -0.6, 1e-7);
  EXPECT_EQ(dealers.words()["belief"][0], 1);
  dealers.set({{"belief", {500'000}}});
  dealers.step_real({1, 1});  // nothing to gain
  EXPECT_EQ(dealers.rewards[0], 0);
  EXPECT_EQ(dealers.words()["belief"][0], 500'000);
}

// With informed = .3 and noise traders who always trade, a buy has probability .65 if the value is
// high and .35 if it is low: after net buys n the odds are (.65 / .35)^n.
TEST(MarketMaker, BayesRule) {
  MarketMaker::Config config;
  config.reservation = 0;
  config.rounds = 1000;
  Dealers dealers(config);
  const double ratio = 0.65 / 0.35;
  double odds = 1;
  for (uint64_t t = 0; t < 4; ++t) {
    dealers.step_real({0.1, 0.2}, t);
    const double middle = odds / (1 + odds) * 2;
    const double value = dealers.words()["high"][0] == 1 ? 2 : 0;
    const bool sold = std::abs(dealers.rewards[0] - (middle + 0.1 - value)) < 1e-5;
    EXPECT_NEAR(dealers.rewards[0], sold ? middle + 0.1 - value : value - middle + 0.1, 1e-5);
    odds *= sold ? ratio : 1 / ratio;
    EXPECT_NEAR(from_millionths(dealers.words()["belief"][0]), odds / (1 + odds), 1e-5);
  }
}

// What dealers are paid is what expected_profit says; at the competitive spread it is nothing.
TEST(MarketMaker, ProfitsAsExpected) {
  const Dealers dealers;
  const auto quoting = [&](auto quote) { return dealers.evaluate(quote, 60'000); };
  for (const double s : {0.1, 0.5, 0.9}) {
    const auto m = quoting([=](auto&, auto&, int) { return s; });
    // s.e. about .0016: 300,000 rounds with a spread below .9
    EXPECT_NEAR(2 * m.at("return_per_step"), m.at("expected_profit"), 0.007) << s;
    EXPECT_NEAR(m.at("half_spread"), s, 1e-9) << s;
  }
  const auto competitive = quoting([](const auto& p, const auto& s, int) {
    return MarketMaker::zero_profit_half_spread(p, from_millionths(s.belief));
  });
  EXPECT_NEAR(competitive.at("expected_profit"), 0, 1e-9);
  EXPECT_NEAR(competitive.at("markup"), 0, 1e-9);
  EXPECT_NEAR(competitive.at("return_per_step"), 0, 0.004);
  EXPECT_LT(competitive.at("pricing_error"), 0.5);
}

TEST(MarketMaker, Errors) {
  HostArena arena;
  MarketMaker::Config config;
  config.value_high = 0;
  EXPECT_THROW(MarketMaker::make(config, arena), ParameterError);
  Dealers dealers;
  EXPECT_THROW(dealers.set({{"belief", {0}}}), ParameterError);
}

using Fund = World<Portfolio>;

TEST(Portfolio, Contract) {
  check_contract<Portfolio>({});
  Portfolio::Config config;
  config.sectors = 4;
  config.mean = {0.1, -0.2, 0.3, 0.0};
  config.beta = {1, -2, 0.5, 0};
  config.aversion = 20;
  config.horizon = 9;
  check_contract<Portfolio>(config);
}

// Equal sectors: w = mean / aversion / (n beta^2 market^2 + risk^2) = .03 / (4 * .0225) = 1/3 in
// the good market and a third of that in the bad one; utility w n mean / 2.
TEST(Portfolio, EqualSectors) {
  const Fund fund;
  for (int i = 0; i < 3; ++i) {
    EXPECT_NEAR(fund.params.best[0][i], 1.0 / 3, 1e-12);
    EXPECT_NEAR(fund.params.best[1][i], 1.0 / 9, 1e-12);
  }
  EXPECT_NEAR(fund.params.best_utility[0], 0.03, 1e-12);
  const auto m =
      fund.evaluate([](const auto& p, const auto& s, int i) { return p.best[s.bad][i]; }, 2000);
  EXPECT_NEAR(m.at("regret"), 0, 1e-12);
  EXPECT_NEAR(m.at("distance_to_optimum"), 0, 1e-12);
  // both markets are as frequent: s.e. below .0003 (200,000 periods, spread .1, markets last 10)
  EXPECT_NEAR(m.at("return_per_step"), (0.03 + 0.03 / 9) / 2, 0.0015);
  EXPECT_NEAR(m.at("return_per_step"), m.at("utility"), 0.001);
}

// Two sectors by hand: V = [[.04 + .01, .02], [.02, .01 + .04]] (market .2 with betas 1 and .5,
// risks .1 and .2), mean (.05, .02), aversion 1: w = V^-1 mean = (.0021, 0) / .0021 = (1, 0).
TEST(Portfolio, TwoSectors) {
  Portfolio::Config config;
  config.sectors = 2;
  config.mean = {0.05, 0.02};
  config.bad_mean = {0.05, 0.04};
  config.beta = {1, 0.5};
  config.risk = {0.1, 0.2};
  config.market_risk = 0.2;
  config.aversion = 1;
  const Fund fund(config);
  EXPECT_NEAR(fund.params.best[0][0], 1, 1e-9);
  EXPECT_NEAR(fund.params.best[0][1], 0, 1e-9);
  // (.05 * .05 - .02 * .04) / .0021 = .8095, (.05 * .04 - .02 * .05) / .0021 = .4762
  EXPECT_NEAR(fund.params.best[1][0], 17.0 / 21, 1e-9);
  EXPECT_NEAR(fund.params.best[1][1], 10.0 / 21, 1e-9);
  const double w[] = {0.5, 1.0};  // .025 + .02 - (.25 * .05 + 2 * .5 * .02 + .05) / 2
  EXPECT_NEAR(Portfolio::utility(fund.params, 0, w), 0.045 - 0.04125, 1e-12);
  // a box of [0, .5]: the first at its bound, the second (.04 - .5 * .02) / .05 = .6, at its bound
  config.max_weight = 0.5;
  const Fund boxed(config);
  EXPECT_EQ(boxed.params.best[1][0], 0.5);
  EXPECT_EQ(boxed.params.best[1][1], 0.5);
  EXPECT_NEAR(boxed.params.best[0][1], 0.2, 1e-12);  // (.02 - .5 * .02) / .05
}

// Simulated means, variances and covariances are those of the model.
TEST(Portfolio, Moments) {
  Portfolio::Config config;
  config.sectors = 2;
  config.beta = {1, -0.5};
  config.horizon = 0;
  config.stay = 1;
  Fund fund(config);
  fund.set({{"bad", {0}}});
  double sum = 0, squares = 0, products = 0;
  constexpr int kSteps = 100'000;
  for (uint64_t t = 0; t < kSteps; ++t) {
    fund.step({0, 0}, t);
    const Words words = fund.words();
    const double a = from_millionths(words.at("last")[0]) - 0.06;
    const double b = from_millionths(words.at("last")[1]) - 0.06;
    sum += a;
    squares += a * a;
    products += a * b;
  }
  EXPECT_NEAR(sum / kSteps, 0, 4 * 0.2121 / std::sqrt(double{kSteps}));
  EXPECT_NEAR(squares / kSteps, 0.045, 0.0008);      // s.e. below .0002
  EXPECT_NEAR(products / kSteps, -0.01125, 0.0006);  // s.e. about .00013
}

TEST(Portfolio, Errors) {
  HostArena arena;
  Portfolio::Config config;
  config.beta = {1, 2};
  EXPECT_THROW(Portfolio::make(config, arena), ParameterError);
  Fund fund;
  EXPECT_THROW(fund.set({{"last", {0, 0, 2'000'000}}}), ParameterError);
}

using Patrol = World<SecurityGame>;

TEST(SecurityGame, Contract) {
  const auto check = [](const SecurityGame::Config& config) {
    check_contract<SecurityGame>(config, 500);
  };
  check({});
  SecurityGame::Config config;
  config.targets = 5;
  config.resources = 2;
  config.defender_uncovered = {-4};
  config.attacker_uncovered = {4, 1, 2, 3, 5};
  config.window = 3;
  config.horizon = 7;
  check(config);
  config.window = 0;
  check(config);
}

// Attacker -1 covered and 5, 3, 1 uncovered, one resource. To hold it to v takes (5 - v) / 6 +
// (3 - v) / 4 = 1 with two targets: v = 7/5 >= 1, so the third is not worth an attack. Coverage
// .6, .4; the defender loses 5 * .4 = 2 or 3 * .6 = 1.8, and the attacker takes the second.
TEST(SecurityGame, Equilibrium) {
  const Patrol patrol;
  const auto& p = patrol.params;
  EXPECT_NEAR(p.coverage[0], 0.6, 1e-9);
  EXPECT_NEAR(p.coverage[1], 0.4, 1e-9);
  EXPECT_EQ(p.coverage[2], 0);
  EXPECT_NEAR(p.value[1], 1.4, 1e-9);
  EXPECT_EQ(p.attacked, 1);
  EXPECT_NEAR(p.value[0], -1.8, 1e-9);
}

// No commitment on a fine grid, against an attacker who breaks ties for the defender, does better.
TEST(SecurityGame, NoCoverageIsBetter) {
  SecurityGame::Config config;
  config.defender_covered = {1, 2, 4};
  config.defender_uncovered = {-5, -3, -6};
  config.attacker_covered = {-2, 0, -1};
  config.attacker_uncovered = {3, 4, 2.5};
  for (const int resources : {1, 2}) {
    config.resources = resources;
    const Patrol patrol(config);
    const auto& p = patrol.params;
    double best = -1e9;
    constexpr int kGrid = 200;
    for (int a = 0; a <= kGrid; ++a) {
      for (int b = 0; b <= kGrid && a + b <= resources * kGrid; ++b) {
        const int rest = resources * kGrid - a - b;
        const double c[] = {a / double{kGrid}, b / double{kGrid},
                            std::min(rest, kGrid) / double{kGrid}};
        double attack = -1e9, defence = -1e9;
        for (int t = 0; t < 3; ++t) {
          const double u = p.payoff[1][0][t] + c[t] * (p.payoff[1][1][t] - p.payoff[1][0][t]);
          const double d = p.payoff[0][0][t] + c[t] * (p.payoff[0][1][t] - p.payoff[0][0][t]);
          if (u > attack + 1e-9 || (u > attack - 1e-9 && d > defence)) {
            attack = std::max(u, attack);
            defence = d;
          }
        }
        best = std::max(best, defence);
      }
    }
    EXPECT_LE(best, p.value[0] + 1e-6) << resources;
    EXPECT_GT(best, p.value[0] - 0.15) << resources;  // the grid nearly reaches it
  }
}

TEST(SecurityGame, StepsAndHistory) {
  SecurityGame::Config config;
  config.targets = 4;
  config.resources = 2;
  config.defender_uncovered = {-5, -3, -1, -2};
  config.attacker_uncovered = {5, 3, 1, 2};
  config.window = 2;
  Patrol patrol(config);  // sets 01 02 03 12 13 23
  EXPECT_EQ(patrol.params.sets, 6);
  EXPECT_EQ(patrol.params.observations, 36U);
  patrol.step({2, 3});  // covered
  EXPECT_EQ(patrol.rewards[0], 0);
  EXPECT_EQ(patrol.rewards[1], -1);
  patrol.step({3, 0});
  EXPECT_EQ(patrol.rewards[0], -5);
  EXPECT_EQ(patrol.rewards[1], 5);
  EXPECT_EQ(patrol.words()["history"], (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(patrol.observe(1), (std::vector<float>{0.5F, 0.5F, 0.5F, 0.5F}));
}

TEST(SecurityGame, Measures) {
  SecurityGame::Config config;
  config.horizon = 0;
  config.window = 1;
  Patrol patrol(config);
  patrol.set({{"history", {2}}});
  // cover 0, 1, 2, 0, 1, ...; always attack the first: coverage of a third each
  const auto m = patrol.evaluate(
      [](const auto&, const auto& s, int i) { return i == 0 ? (s.history + 1) % 3 : 0.0; }, 1, 300);
  EXPECT_NEAR(m.at("coverage[0]"), 1.0 / 3, 1e-12);
  EXPECT_EQ(m.at("attacks[0]"), 1);
  EXPECT_NEAR(m.at("return_per_step_agent0"), -10.0 / 3, 1e-9);
  EXPECT_NEAR(m.at("defender_shortfall"), -1.8 + 10.0 / 3, 1e-9);
  EXPECT_NEAR(m.at("attacker_best_value"), 3, 1e-9);  // 5 - 6 / 3
  EXPECT_NEAR(m.at("coverage_distance"), (0.6 + 0.4 - 2.0 / 3 + 1.0 / 3) / 3, 1e-9);
}

TEST(SecurityGame, Errors) {
  HostArena arena;
  SecurityGame::Config config;
  config.resources = 3;
  EXPECT_THROW(SecurityGame::make(config, arena), ParameterError);
  config = {};
  config.attacker_covered = {2};
  EXPECT_THROW(SecurityGame::make(config, arena), ParameterError);
  config = {};
  config.targets = 4;
  EXPECT_THROW(SecurityGame::make(config, arena), ParameterError);
}

using Flock = World<Flocking>;

TEST(Flocking, Contract) {
  check_contract<Flocking>({}, 1000);
  Flocking::Config config;
  config.birds = 16;
  config.directions = 90;
  config.turns = 3;
  config.max_turn = 45;
  config.radius = 0.5;
  config.too_near = 0.5;
  config.speed = 0.25;
  check_contract<Flocking>(config, 1000);
}

TEST(Flocking, DirectionsAreOnTheCircle) {
  for (const int n : {4, 7, 64, 90, 1000}) {
    Flocking::Config config;
    config.directions = n;
    config.max_turn = 2;
    const Flock flock(config);
    for (int k = 0; k < n; ++k) {
      const long double angle = 2 * std::numbers::pi_v<long double> * k / n;
      EXPECT_NEAR(flock.params.direction[k].x, static_cast<double>(std::cos(angle)), 4e-16);
      EXPECT_NEAR(flock.params.direction[k].y, static_cast<double>(std::sin(angle)), 4e-16);
    }
  }
}

constexpr int64_t kSide = int64_t{1} << 32;

Flocking::Config pair_of_birds() {
  Flocking::Config config;
  config.birds = 2;
  config.speed = 0;
  return config;
}

// Bird 0 flies east at (0, .5), bird 1 north, .125 behind it across the edge of the torus.
TEST(Flocking, WhatABirdSees) {
  Flock flock(pair_of_birds());
  flock.set({{"x", {0, kSide * 7 / 8}}, {"y", {kSide / 2, kSide / 2}}, {"heading", {0, 16}}});
  // offset (-.125, 0): half of the radius behind; it heads to the left
  EXPECT_EQ(flock.observe(0), (std::vector<float>{-0.5F, 0, -0.5F, 0, 0, 1, 1}));
  // bird 1 looks north: bird 0 is on its right, and heads there
  const auto seen = flock.observe(1);
  const float expected[] = {0, -0.5F, 0, -0.5F, 0, -1, 1};
  for (size_t k = 0; k < 7; ++k) EXPECT_NEAR(seen[k], expected[k], 1e-6);
  EXPECT_EQ(Flocking::observe_index(flock.params, flock.state, 0), 1U + (2 * 8 + 4) * 2);
  EXPECT_EQ(Flocking::observe_index(flock.params, flock.state, 1), 1U + (6 * 8 + 6) * 2);
  flock.step({2, 2});  // straight on: u . u = 0, (d / radius)^2 = 1/4, not too near
  EXPECT_NEAR(flock.rewards[0], -0.125, 1e-7);
  EXPECT_NEAR(flock.rewards[1], -0.125, 1e-7);
  // parallel and .02 apart: too near
  flock.set({{"x", {0, kSide / 50}}, {"y", {0, 0}}, {"heading", {8, 8}}});
  EXPECT_EQ(Flocking::observe_index(flock.params, flock.state, 0), 1U + (0 * 8 + 7) * 2 + 1);
  flock.step({2, 2});
  EXPECT_NEAR(flock.rewards[0], 1 - 0.5 * 0.0064 - 1, 1e-6);
  // out of sight
  flock.set({{"x", {0, kSide / 4}}});
  EXPECT_EQ(Flocking::observe_index(flock.params, flock.state, 0), 0U);
  EXPECT_EQ(flock.observe(0), std::vector<float>(7, 0.0F));
  flock.step({2, 2});
  EXPECT_EQ(flock.rewards[0], -0.5F);
}

TEST(Flocking, MovesAndTurns) {
  Flocking::Config config = pair_of_birds();
  config.speed = 0.125;
  Flock flock(config);
  flock.set({{"x", {kSide * 15 / 16, 0}}, {"y", {0, 0}}, {"heading", {0, 62}}});
  flock.step({2, 4});  // 0 goes on over the edge; 1 turns by 4 to direction 2
  EXPECT_EQ(flock.words()["x"][0], kSide / 16);
  EXPECT_EQ(flock.words()["heading"], (std::vector<int64_t>{0, 2}));
  EXPECT_NEAR(static_cast<double>(flock.words()["y"][1]) / static_cast<double>(kSide),
              0.125 * std::sin(std::numbers::pi / 16), 1e-9);
  flock.step_real({-1.4, 1.5});
  EXPECT_EQ(flock.words()["heading"], (std::vector<int64_t>{63, 4}));
  flock.step_real({-100, 100});
  EXPECT_EQ(flock.words()["heading"], (std::vector<int64_t>{59, 8}));
}

// Two uniform headings of 64: the mean of |cos(pi k / 64)|, k = 0 to 63, is cot(pi / 128) / 64.
TEST(Flocking, OrderParameter) {
  Flock flock(pair_of_birds());
  double sum = 0;
  constexpr int kDraws = 20'000;
  for (uint64_t t = 0; t < kDraws; ++t) {
    flock.reset(t);
    sum += Flocking::order(flock.params, flock.state);
  }
  // spread .31: s.e. .0022
  EXPECT_NEAR(sum / kDraws, 1 / std::tan(std::numbers::pi / 128) / 64, 0.009);
  flock.set({{"heading", {5, 5}}});
  EXPECT_NEAR(Flocking::order(flock.params, flock.state), 1, 1e-15);
  flock.set({{"heading", {5, 37}}});
  EXPECT_NEAR(Flocking::order(flock.params, flock.state), 0, 1e-15);
}

// Birds that turn towards their neighbours' mean heading come to order; those that do not, do not.
TEST(Flocking, AligningBirdsOrder) {
  Flocking::Config config;
  config.radius = 0.5;
  const Flock flock(config);
  const auto align = flock.evaluate(
      [](const auto& p, const auto& s, int i) {
        float seen[7];
        Flocking::observe(p, s, i, seen);
        return seen[5] > 0.05F ? 4.0 : (seen[5] < -0.05F ? -4.0 : 0.0);
      },
      20);
  const auto straight = flock.evaluate([](auto&, auto&, int) { return 0.0; }, 20);
  EXPECT_GT(align.at("order_parameter"), 0.9);
  EXPECT_LT(straight.at("order_parameter"), 0.5);
  EXPECT_GT(align.at("return_per_step"), straight.at("return_per_step") + 0.3);
}

TEST(Flocking, Errors) {
  HostArena arena;
  const auto refused = [&](auto change) {
    Flocking::Config config;
    change(config);
    EXPECT_THROW(Flocking::make(config, arena), ParameterError);
  };
  refused([](auto& c) { c.turns = 4; });
  refused([](auto& c) { c.max_turn = 3; });
  refused([](auto& c) { c.max_turn = 34; });
  refused([](auto& c) { c.too_near = 0.3; });
}

}  // namespace
