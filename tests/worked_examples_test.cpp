/// The three worked examples of cooperating stores: pricing, restocking, fulfilment. Figures by
/// hand, from the formulas in the comments.
#include <gtest/gtest.h>

#include <cmath>

#include "envs/fulfilment.hpp"
#include "envs/three_stores.hpp"
#include "envs/warehouse.hpp"
#include "tests/market_harness.hpp"

namespace {

using namespace cumarl;
using namespace cumarl::test;

TEST(MarketTools, MillionthsAndGrids) {
  EXPECT_EQ(to_millionths(1.6e-6), 2);
  EXPECT_EQ(to_millionths(1.4e-6), 1);
  EXPECT_EQ(to_millionths(-1.6e-6), -2);
  EXPECT_EQ(to_millionths(-1.4e-6), -1);
  EXPECT_EQ(from_millionths(-2'500'000), -2.5);
  EXPECT_EQ(clipped(std::nan(""), 1, 2), 1);
  EXPECT_EQ(grid_value(2, 10, 5, 3), 8);
  EXPECT_EQ(grid_value(2, 10, 1, 0), 2);
  EXPECT_EQ(grid_index(2, 10, 5, 6.9), 2);
  EXPECT_EQ(grid_index(2, 10, 5, 7), 3);
  EXPECT_EQ(grid_index(2, 10, 5, 99), 4);
}

using Stores = World<ThreeStores>;

TEST(ThreeStores, Contract) {
  check_contract<ThreeStores>({});
  ThreeStores::Config config;
  config.stores = 4;
  config.prices = 7;
  config.history = 3;
  config.capacity = 70;
  config.restock = 55.5;
  config.reward.value = 1;
  config.horizon = 13;
  check_contract<ThreeStores>(config);
}

// D = 100 - 2 p + (sum of the others) / 2 at (5.2, 4.8, 6.1): 100 - 10.4 + 5.45, 100 - 9.6 + 5.65,
// 100 - 12.2 + 5; profits 5.2 * 95.05, 4.8 * 96.05, 6.1 * 92.8.
TEST(ThreeStores, WorkedExample) {
  Stores market;
  EXPECT_EQ(market.step_real({5.2, 4.8, 6.1}), Episode::goes_on);
  EXPECT_EQ(market.words()["demand"], (std::vector<int64_t>{95'050'000, 96'050'000, 92'800'000}));
  EXPECT_NEAR(market.rewards[0], 494.26, 1e-4);
  EXPECT_NEAR(market.rewards[1], 461.04, 1e-4);
  EXPECT_NEAR(market.rewards[2], 566.08, 1e-4);
  EXPECT_NEAR(market.observe(0)[0], 95.05, 1e-5);
  // 60 prices at 1, 2, ...: the nearest to 5.2, 4.8 and 6.1 are 5, 5 and 6
  ThreeStores::Config config;
  config.prices = 60;
  Stores fine(config);
  fine.step_real({5.2, 4.8, 6.1});
  EXPECT_EQ(fine.words()["last"], (std::vector<int64_t>{4, 4, 5}));
  EXPECT_EQ(ThreeStores::observe_index(fine.params, fine.state, 2), (4U * 60 + 4) * 60 + 5);
}

// Nash: 100 - 4 p + p = 0, so p = 100/3, D = 100 - 100/3 = 200/3. Joint: 100 - 2 p = 0, so p = 50,
// D = 50. The best deviation from 50 is (100 + 50) / 4 = 37.5: profit 37.5 * 75; the others' demand
// is 100 - 100 + (50 + 37.5) / 2 = 43.75.
TEST(ThreeStores, NashAndJointOptimum) {
  Stores market;
  const auto& p = market.params;
  EXPECT_NEAR(p.nash_price, 100.0 / 3, 1e-12);
  EXPECT_NEAR(p.nash_profit, 20000.0 / 9, 1e-9);
  EXPECT_NEAR(p.joint_price, 50.0, 1e-12);
  EXPECT_NEAR(p.joint_profit, 2500.0, 1e-9);
  market.step_real({37.5, 50, 50});
  EXPECT_EQ(market.rewards[0], 2812.5F);
  EXPECT_EQ(market.rewards[1], 2187.5F);
  // Stackelberg, from the reference figures: leader 34.6154 / 2225.27, followers 33.5165 / 2246.71
  market.step_real({34.615385, 33.516484, 33.516484});
  EXPECT_NEAR(market.rewards[0], 2225.27, 0.01);
  EXPECT_NEAR(market.rewards[1], 2246.71, 0.01);
}

// In [1, 10] the best response (100 + S / 2) / 4 is above 25: 10 is dominant and jointly optimal,
// profit 10 * (100 - 10).
TEST(ThreeStores, NarrowBoxHasNoDilemma) {
  ThreeStores::Config config;
  config.highest = 10;
  const Stores market(config);
  EXPECT_EQ(market.params.nash_price, 10);
  EXPECT_EQ(market.params.joint_price, 10);
  EXPECT_NEAR(market.params.nash_profit, 900, 1e-9);
  const auto measures = market.evaluate([](auto&, auto&, int) { return 10.0; });
  EXPECT_EQ(measures.at("profit_gain"), 0);
  EXPECT_EQ(measures.at("distance_to_nash"), 0);
  // strong substitutes: 2 own = 4 < (n-1) cross = 6, every rise pays
  ThreeStores::Config strong;
  strong.cross = 3;
  EXPECT_EQ(Stores(strong).params.nash_price, 60);
  EXPECT_EQ(Stores(strong).params.joint_price, 60);
}

TEST(ThreeStores, Measures) {
  const Stores market;
  const auto at = [&](double price) {
    return market.evaluate([=](auto&, auto&, int) { return price; });
  };
  EXPECT_NEAR(at(100.0 / 3).at("profit_gain"), 0.0, 1e-9);
  EXPECT_NEAR(at(100.0 / 3).at("distance_to_nash"), 0.0, 1e-9);
  EXPECT_NEAR(at(50).at("profit_gain"), 1.0, 1e-9);
  EXPECT_NEAR(at(50).at("distance_to_nash"), 50.0 / 3, 1e-9);
  // prices 30, 40, 50: D = 85, 60, 35; profits 2550, 2400, 1750
  const auto apart = market.evaluate([](auto&, auto&, int i) { return 30.0 + 10 * i; });
  EXPECT_NEAR(apart.at("mean_price"), 40, 1e-9);
  EXPECT_NEAR(apart.at("mean_price_agent2"), 50, 1e-9);
  EXPECT_NEAR(apart.at("mean_profit_agent0"), 2550, 1e-9);
  EXPECT_NEAR(apart.at("mean_profit_agent2"), 1750, 1e-9);
  EXPECT_NEAR(apart.at("mean_profit"), 6700.0 / 3, 1e-9);
  EXPECT_NEAR(apart.at("profit_gain"), (6700.0 / 3 - 20000.0 / 9) / (2500 - 20000.0 / 9), 1e-9);
  EXPECT_NEAR(apart.at("distance_to_nash"), (10.0 / 3 + 20.0 / 3 + 50.0 / 3) / 3, 1e-9);
  EXPECT_NEAR(apart.at("episode_return"), 100 * 6700.0, 1e-3);
}

// Simultaneous best responses (100 + S / 2) / 4 bring prices to Nash; the error shrinks to a
// quarter each round where all are equal (S = 2 p: the slope is 1/4).
TEST(ThreeStores, BestResponsesFindNash) {
  const Stores market;
  double price = 60;
  for (int round = 0; round < 4; ++round) {
    double best = 0, most = -1;
    for (double own = 1; own <= 60; own += 0.001) {
      const double profit = own * (100 - 2 * own + price);
      if (profit > most) {
        most = profit;
        best = own;
      }
    }
    EXPECT_NEAR(best - market.params.nash_price, (price - market.params.nash_price) / 4, 1e-3);
    price = best;
  }
}

TEST(ThreeStores, DemandIsNeverNegative) {
  Stores market;  // 100 - 120 + 1 < 0
  market.step_real({60, 1, 1});
  EXPECT_EQ(market.words()["demand"][0], 0);
  EXPECT_EQ(market.rewards[0], 0);
  market.step_real({1e9, -5, 1});  // kept within the box
  EXPECT_EQ(market.rewards[1], 1 * (100 - 2 + 30.5F));
}

TEST(ThreeStores, Inventories) {
  ThreeStores::Config config;
  config.capacity = 80;
  config.restock = 30;
  config.history = 2;
  Stores market(config);
  EXPECT_EQ(market.words()["inventory"], (std::vector<int64_t>(3, 80'000'000)));
  market.set({{"inventory", {50'000'000, 80'000'000, 0}}});
  const int64_t before = market.words()["demand"][0];
  market.step_real({10, 40, 20});  // D = 100 - 20 + 30, 100 - 80 + 15, 100 - 40 + 25
  EXPECT_EQ(market.rewards[0], 500);
  EXPECT_EQ(market.rewards[1], 1400);
  EXPECT_EQ(market.rewards[2], 0);
  EXPECT_EQ(market.words()["inventory"],
            (std::vector<int64_t>{30'000'000, 75'000'000, 30'000'000}));
  EXPECT_EQ(market.observe(1),
            (std::vector<float>{
                35, static_cast<float>(from_millionths(market.words()["demand"][4])), 75}));
  EXPECT_EQ(market.words()["demand"][3], before);  // the history moves on
  // shared: everybody is paid the sum
  config.reward.value = 1;
  Stores shared(config);
  shared.set({{"inventory", {50'000'000, 80'000'000, 0}}});
  shared.step_real({10, 40, 20});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(shared.rewards[i], 1900);
  const auto measures = shared.evaluate([](auto&, auto&, int) { return 20.0; });
  // D = 80 each: all that is there is sold, first 80, then 30 a period
  EXPECT_NEAR(measures.at("mean_profit"), 20 * (80 + 99 * 30) / 100.0, 1e-6);
}

TEST(ThreeStores, EpisodesAndErrors) {
  ThreeStores::Config config;
  config.horizon = 2;
  Stores market(config);
  EXPECT_EQ(market.step({0, 0, 0}), Episode::goes_on);
  EXPECT_EQ(market.step({0, 0, 0}), Episode::cut);
  config.horizon = 0;
  Stores endless(config);
  for (int t = 0; t < 500; ++t) ASSERT_EQ(endless.step({1, 2, 3}), Episode::goes_on);
  const auto measures = endless.evaluate([](auto&, auto&, int) { return 50.0; });
  EXPECT_NEAR(measures.at("return_per_step"), 2500, 1e-9);
  EXPECT_EQ(measures.values.count("episode_return"), 0U);
  HostArena arena;
  config.highest = 1;
  EXPECT_THROW(ThreeStores::make(config, arena), ParameterError);
  config.highest = 60;
  config.capacity = 10;
  EXPECT_THROW(ThreeStores::make(config, arena), ParameterError);
  EXPECT_THROW(market.set({{"last", {0, 0, 15}}}), ParameterError);
  EXPECT_THROW(market.set({{"demand", {-1, 0, 0}}}), ParameterError);
}

using Stocks = World<Warehouse>;

/// One warehouse with a certain demand.
Warehouse::Config certain(int demand) {
  Warehouse::Config config;
  config.warehouses = 1;
  config.demand_low = demand;
  config.demand_high = demand;
  return config;
}

TEST(Warehouse, Contract) {
  check_contract<Warehouse>({});
  Warehouse::Config config;
  config.warehouses = 4;
  config.transfers = true;
  config.reward.value = 1;
  config.season_shift = {0, 15, -20};
  config.season_length = 3;
  config.history = 4;
  config.horizon = 17;
  check_contract<Warehouse>(config);
  config.shortage.value = 1;
  config.transfer_price = 30;
  config.reward.value = 0;
  check_contract<Warehouse>(config);
}

// min(45, 50 + 42) - 5 * 42 = -165; nothing is short, whichever way it is counted.
TEST(Warehouse, WorkedExample) {
  for (const int shortage : {0, 1}) {
    Warehouse::Config config = certain(45);
    config.revenue = 1;
    config.cost = 5;
    config.penalty = 3;
    config.holding = 0;
    config.shortage.value = shortage;
    Stocks stock(config);
    stock.set({{"inventory", {50'000'000}}});
    stock.step_real({42});
    EXPECT_EQ(stock.rewards[0], -165);
    EXPECT_EQ(stock.words()["inventory"][0], 47'000'000);
    EXPECT_EQ(stock.observe(0), (std::vector<float>{47, 45, 0}));
  }
}

// Revenue 1 against cost 5: restocking nothing is best as long as the penalty is below 4.
TEST(Warehouse, PrintedParametersHaveNoTradeOff) {
  Warehouse::Config config;
  config.revenue = 1;
  config.cost = 5;
  config.penalty = 3.5;
  config.holding = 0;
  EXPECT_EQ(Stocks(config).params.order_up_to[0], 0);
}

TEST(Warehouse, ShortAndHeld) {
  Warehouse::Config config = certain(40);
  Stocks stock(config);  // revenue 10, cost 5, penalty 2, holding 1
  stock.set({{"inventory", {10'500'000}}});
  stock.step_real({20});  // sells 30.5, 9.5 short: 305 - 100 - 19
  EXPECT_EQ(stock.rewards[0], 186);
  EXPECT_EQ(stock.words()["inventory"][0], 0);
  config.shortage.value = 1;  // 29.5 short before restocking: 305 - 100 - 59
  Stocks early(config);
  early.set({{"inventory", {10'500'000}}});
  early.step_real({20});
  EXPECT_EQ(early.rewards[0], 146);
  // room for 35 only, all paid for; 60 left: 400 - 175 - 60
  stock.set({{"inventory", {65'000'000}}});
  stock.step_real({60});
  EXPECT_EQ(stock.rewards[0], 165);
  EXPECT_EQ(stock.words()["inventory"][0], 60'000'000);
}

// Uniform on 20 .. 60, (10 - 5 + 2) / (7 + 1) = 7/8: the smallest y with (y - 19) / 41 >= 7/8 is 55
// (35.875 needed). At 55: E short = (1 + ... + 5) / 41 = 15/41, E sold = 40 - 15/41, so the mean
// reward is 5 (40 - 15/41) - 2 * 15/41 - (55 - 40 + 15/41) = 185 - 8 * 15/41.
TEST(Warehouse, Optimum) {
  const Stocks stock;
  EXPECT_EQ(stock.params.order_up_to[0], 55);
  EXPECT_NEAR(stock.params.optimum[0], 185 - 120.0 / 41, 1e-12);
  const auto order_up_to = [&](double level) {
    return stock.evaluate(
        [=](const auto&, const auto& s, int i) { return level - from_millionths(s.inventory[i]); },
        400);
  };
  const auto best = order_up_to(55);
  EXPECT_NEAR(best.at("regret"), 0, 1e-9);
  EXPECT_NEAR(best.at("distance_to_optimum"), 0, 1e-9);
  EXPECT_NEAR(best.at("service_level"), (40 - 15.0 / 41) / 40, 0.002);
  // 40,000 periods of 2 warehouses with a spread of about 10 * 12 each: s.e. about 0.5; the stock
  // of 50 at hand in the beginning, less the 15.4 left in the end, is worth 5 * 34.6 / 100 a period
  EXPECT_NEAR(best.at("return_per_step"), stock.params.optimum[0] + 1.73, 2.0);
  // g(50) = 5 (40 - 55/41) - 2 * 55/41 - (10 + 55/41), with 1 + ... + 10 = 55; g falls either way
  EXPECT_NEAR(order_up_to(50).at("regret"), (185 - 120.0 / 41) - (190 - 8 * 55.0 / 41), 1e-9);
  EXPECT_NEAR(order_up_to(50).at("distance_to_optimum"), 5, 1e-9);
  // 54.5 lies on the line between 54 (21/41 short) and 55: 18/41 short
  EXPECT_NEAR(order_up_to(54.5).at("regret"), -0.5 + 8 * 3.0 / 41, 1e-9);
  EXPECT_LT(best.at("regret"), order_up_to(54).at("regret"));
  EXPECT_LT(best.at("regret"), order_up_to(56).at("regret"));
  // nothing to sell, everything short: g(0) = -2 * 40
  Warehouse::Config config;
  config.initial = 0;
  EXPECT_NEAR(Stocks(config).evaluate([](auto&, auto&, int) { return 0.0; }).at("regret"),
              185 - 120.0 / 41 + 80, 1e-9);
}

// The measured mean reward of other policies falls short of the optimum by their regret.
TEST(Warehouse, RegretIsWhatPoliciesLose) {
  Warehouse::Config config;
  config.horizon = 0;
  config.season_shift = {0, 30, -15};
  config.season_length = 4;
  Stocks stock(config);
  EXPECT_EQ(stock.params.order_up_to[0], 55);
  EXPECT_EQ(stock.params.order_up_to[1], 85);
  EXPECT_EQ(stock.params.order_up_to[2], 40);
  const double optimum =
      (stock.params.optimum[0] + stock.params.optimum[1] + stock.params.optimum[2]) / 3;
  for (const double level : {35.0, 60.0, 80.0}) {
    const auto m = stock.evaluate(
        [=](const auto&, const auto& s, int i) { return level - from_millionths(s.inventory[i]); },
        1, 240'000);
    // s.e. about 0.2: 480,000 periods with a spread of some 100, somewhat correlated
    EXPECT_NEAR(m.at("return_per_step"), optimum - m.at("regret"), 1.0) << level;
    EXPECT_GT(m.at("regret"), 1) << level;
  }
}

TEST(Warehouse, Transfers) {
  Warehouse::Config config = certain(40);
  config.warehouses = 3;
  config.transfers = true;
  config.transfer_price = 6;
  Stocks stock(config);
  stock.set({{"inventory", {10'000'000, 65'000'000, 50'000'000}}});
  stock.step_real({0, 0, 0});
  // 0 sells 10, needs 30: gets 25 from 1 and 5 from 2 at a margin of 4; 5 are left to 2
  EXPECT_EQ(stock.rewards[0], 100 + 30 * 4);
  EXPECT_EQ(stock.rewards[1], 400 + 25 * 6);
  EXPECT_EQ(stock.rewards[2], 400 + 5 * 6 - 5);
  EXPECT_EQ(stock.words()["inventory"], (std::vector<int64_t>{0, 0, 5'000'000}));
  // 1 sells nothing, and gets 10 from 2 before it gets 25 from 0; 5 stay short
  stock.set({{"inventory", {65'000'000, 0, 50'000'000}}});
  stock.step_real({0, 0, 0});
  EXPECT_EQ(stock.rewards[0], 400 + 25 * 6);
  EXPECT_EQ(stock.rewards[1], 35 * 4 - 5 * 2);
  EXPECT_EQ(stock.rewards[2], 400 + 10 * 6);
  const auto measures = stock.evaluate([](auto&, auto&, int) { return 40.0; });
  EXPECT_EQ(measures.values.count("regret"), 0U);
  config.reward.value = 1;
  Stocks shared(config);
  shared.set({{"inventory", {10'000'000, 65'000'000, 50'000'000}}});
  shared.step_real({0, 0, 0});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(shared.rewards[i], 220 + 550 + 425);
}

// Whole numbers from 20 to 60, mean 40, variance (41^2 - 1) / 12 = 140.
TEST(Warehouse, DemandIsUniform) {
  Warehouse::Config config;
  config.horizon = 0;
  Stocks stock(config);
  double sum = 0, squares = 0, low = 1e9, high = 0;
  constexpr int kSteps = 20'000;
  for (uint64_t t = 0; t < kSteps; ++t) {
    stock.step({6, 6}, t);
    const Words words = stock.words();
    for (const int64_t d : words.at("demand")) {
      const auto x = static_cast<double>(d);
      sum += x;
      squares += x * x;
      low = std::min(low, x);
      high = std::max(high, x);
    }
  }
  const double mean = sum / (2 * kSteps);
  EXPECT_NEAR(mean, 40, 4 * std::sqrt(140.0 / (2 * kSteps)));
  EXPECT_NEAR(squares / (2 * kSteps) - mean * mean, 140, 3);  // s.e. about 0.63
  EXPECT_EQ(low, 20);
  EXPECT_EQ(high, 60);
}

TEST(Warehouse, Errors) {
  HostArena arena;
  Warehouse::Config config;
  config.demand_low = 61;
  EXPECT_THROW(Warehouse::make(config, arena), ParameterError);
  config = {};
  config.initial = 101;
  EXPECT_THROW(Warehouse::make(config, arena), ParameterError);
  config = {};
  config.season_shift = {-21};
  EXPECT_THROW(Warehouse::make(config, arena), ParameterError);
  config.season_shift = {};
  EXPECT_THROW(Warehouse::make(config, arena), ParameterError);
  Stocks stock;
  EXPECT_THROW(stock.set({{"inventory", {0, 100'000'001}}}), ParameterError);
}

using Orders = World<Fulfilment>;

TEST(Fulfilment, Contract) {
  check_contract<Fulfilment>({});
  Fulfilment::Config config;
  config.rule.value = 1;
  config.stores = 3;
  config.lost_cost = 60;
  config.orders = 7;
  check_contract<Fulfilment>(config);
  config.reward.value = 1;
  check_contract<Fulfilment>(config);
}

/// Stores A 2 km, B 5 km, C 15 km, D 3 km with little left; Q(1) = -2, -5, -15, -13, Q(0) = 0.
void set_example(Orders& orders) {
  orders.set({{"distance", {2, 5, 15, 3}}, {"inventory", {9, 5, 3, 2}}});
}

// The arg-max over stores of Q(1) - Q(0) is store A, at a cost of 2.
TEST(Fulfilment, WorkedExample) {
  Fulfilment::Config config;
  config.stores = 4;
  Orders orders(config);
  set_example(orders);
  const double costs[] = {2, 5, 15, 13};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(Fulfilment::cost(orders.params, orders.state, i), costs[i]);
  }
  const double gain[] = {-2, -5, -15, -13};
  EXPECT_EQ(Fulfilment::highest_bid(orders.params, gain), 0);
  orders.step({13, 10, 0, 2});  // bids 15 - cost
  for (int i = 0; i < 4; ++i) EXPECT_EQ(orders.rewards[i], -2);
  set_example(orders);
  orders.step({3, 7, 7, 2});  // a tie goes to the lower number: B
  EXPECT_EQ(orders.rewards[3], -5);
  config.reward.value = 1;
  Orders own(config);
  set_example(own);
  own.step({0, 0, 1, 0});
  EXPECT_EQ(own.rewards[2], -15);
  EXPECT_EQ(own.rewards[0], 0);
}

// Each for itself: Q(1) < 0 = Q(0), so nobody ships.
TEST(Fulfilment, IndependentChoicesShipNothing) {
  Fulfilment::Config config;
  config.stores = 4;
  config.rule.value = 1;
  const Orders orders(config);
  const auto measures = orders.evaluate([](const auto& p, const auto& s, int i) {
    return -Fulfilment::cost(p, s, i) > 0 ? 1.0 : 0.0;
  });
  EXPECT_EQ(measures.at("lost_share"), 1);
  EXPECT_EQ(measures.at("best_store_share"), 0);
  EXPECT_EQ(measures.at("return_per_step"), 0);
  // everybody ships: all costs are paid
  Orders all(config);
  set_example(all);
  all.step({1, 1, 1, 1});
  EXPECT_EQ(all.rewards[1], -35);
  const auto everybody = orders.evaluate([](auto&, auto&, int) { return 1.0; });
  EXPECT_EQ(everybody.at("several_share"), 1);
  config.lost_cost = 7;
  config.reward.value = 1;
  Orders lost(config);
  lost.step({0, 0, 0, 0});
  EXPECT_EQ(lost.rewards[2], -7);
}

// The clock, by hand: at fees .5 and 1.5 nobody ships, at 2.5 store A does, whose cost of 2 is below
// it, and earns .5. Of two that say yes the lower number ships. Costs reach 15 + 10 = 25, so the last
// of 26 rounds offers 25.5, and an order refused there is lost.
TEST(Fulfilment, ClockByHand) {
  Fulfilment::Config config;
  config.stores = 4;
  config.rule.value = 2;
  config.reward.value = 1;
  config.lost_cost = 7;
  check_contract<Fulfilment>(config);
  Orders orders(config);
  set_example(orders);
  EXPECT_EQ(Fulfilment::observations(orders.params, 0), 2U * 15 * 26);
  for (const float fee : {0.5F, 1.5F}) {
    EXPECT_EQ(orders.observe(0), (std::vector<float>{2, 9, fee}));
    EXPECT_EQ(orders.step({0, 0, 0, 0}), Episode::goes_on);
    EXPECT_EQ(orders.words()["distance"], (std::vector<int64_t>{2, 5, 15, 3}));
  }
  EXPECT_EQ(orders.words()["round"], std::vector<int64_t>{2});
  EXPECT_EQ(Fulfilment::observe_index(orders.params, orders.state, 3), 2U * 30 + 2 * 2 + 1);
  orders.step({1, 0, 0, 0});
  EXPECT_EQ(orders.rewards[0], 0.5F);
  EXPECT_EQ(orders.rewards[1], 0);
  EXPECT_EQ(orders.words()["round"], std::vector<int64_t>{0});
  EXPECT_EQ(orders.words()["order"], std::vector<int64_t>{1});
  set_example(orders);
  orders.step({0, 1, 1, 0});
  EXPECT_EQ(orders.rewards[1], 0.5F - 5);
  EXPECT_EQ(orders.rewards[2], 0);
  set_example(orders);
  for (int round = 0; round < 25; ++round) {
    orders.step({0, 0, 0, 0});
    EXPECT_EQ(orders.rewards[3], 0);
  }
  orders.step({0, 0, 0, 0});
  EXPECT_EQ(orders.rewards[3], -7);
  EXPECT_EQ(orders.words()["order"], std::vector<int64_t>{3});
  EXPECT_THROW(orders.set({{"round", {26}}}), ParameterError);
}

// Who says yes where fee - cost > 0, Q(0) = 0, makes the cheapest store ship every order.
TEST(Fulfilment, ClockFindsTheGreatestDifference) {
  Fulfilment::Config config;
  config.rule.value = 2;
  config.reward.value = 1;
  const Orders orders(config);
  const auto measures = orders.evaluate(
      [](const auto& p, const auto& s, int i) {
        return s.round + 0.5 - Fulfilment::cost(p, s, i) > 0 ? 1.0 : 0.0;
      },
      100);
  EXPECT_EQ(measures.at("best_store_share"), 1);
  EXPECT_EQ(measures.at("lost_share"), 0);
  EXPECT_EQ(measures.at("mean_cost"), measures.at("best_cost"));
  EXPECT_NEAR(measures.at("episode_return"), 20 * 0.5, 1e-3);  // each winner earns .5
}

TEST(Fulfilment, Measures) {
  const Orders orders;
  const auto by_cost = orders.evaluate(
      [](const auto& p, const auto& s, int i) { return 1 - Fulfilment::cost(p, s, i) / 25; }, 100);
  EXPECT_EQ(by_cost.at("best_store_share"), 1);
  EXPECT_EQ(by_cost.at("mean_cost"), by_cost.at("best_cost"));
  EXPECT_NEAR(by_cost.at("return_per_step"), -by_cost.at("best_cost"), 1e-9);
  // equal bids: store 0 ships, at a mean cost of 8 + .3 * 10; sd sqrt(18.7 + 21) over 2,000: .14
  const auto blind = orders.evaluate([](auto&, auto&, int) { return 0.0; }, 100);
  EXPECT_NEAR(blind.at("mean_cost"), 11, 4 * 0.141);
  EXPECT_LT(blind.at("best_store_share"), 0.3);
  EXPECT_EQ(blind.at("lost_share") + blind.at("several_share"), 0);
  EXPECT_EQ(blind.at("episode_return"), -10 * 20 * blind.at("mean_cost"));
}

TEST(Fulfilment, EpisodesAndErrors) {
  Fulfilment::Config config;
  config.orders = 2;
  Orders orders(config);
  const std::vector<int> bids(10, 3);
  EXPECT_EQ(orders.step(bids), Episode::goes_on);
  EXPECT_EQ(orders.step(bids), Episode::ended);
  EXPECT_THROW(orders.set({{"distance", std::vector<int64_t>(10, 0)}}), ParameterError);
}

}  // namespace
