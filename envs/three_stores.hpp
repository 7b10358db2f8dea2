/// \file
/// Stores that set prices for substitutes: linear demand, optional inventories.
#pragma once

#include <cstdint>
#include <string>

#include "envs/market_tools.hpp"
#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// n stores set prices at the same time. Store i's customers ask for
///     D_i = max(0, base - own p_i + cross sum of the other prices),
/// by default 100 - 2 p_i + p_j / 2 + p_k / 2. Without inventories all demand is served and the
/// profit is p_i D_i. With a `capacity` a store sells min(D_i, inventory), and after the sales
/// `restock` units arrive, free of charge, as far as there is room; episodes start full.
///
/// Solved here, without inventories: the one-shot Nash price, base / (2 own - (n-1) cross), and the
/// equal price of greatest joint profit, base / (2 own - 2 (n-1) cross), both kept within [lowest,
/// highest] (and `highest` where the formula's denominator is not positive). With the defaults 33
/// 1/3 (profit 2,222 2/9 each) and 50 (2,500 each). In a narrow box such as [1, 10] both are
/// `highest`, and there is no dilemma.
///
/// Source: linear demand for differentiated products, e.g. Vives, "Oligopoly Pricing", 1999,
/// section 6.1. Deviations: demand below 0 counts as 0; states keep quantities in millionths.
struct ThreeStores {
  static constexpr EnvFacts kFacts{
      "three_stores",
      "Stores that set prices, with linear demand and optional inventories",
      "linear demand for differentiated products, Vives 1999, section 6.1",
      Family::market,
      "position on the grid of prices, 0 the lowest; or the price as a number",
      "floats: own demand of the last `history` periods, newest first, then own inventory if there "
      "are inventories; table index: all stores' last prices, each as the nearest on the grid",
      "prices = 5\n"};
  static constexpr int kMaxAgents = 6;
  static constexpr int kMaxHistory = 4;
  static constexpr bool kSharedObservation = true;
  static constexpr uint32_t kMaxObservations = 1U << 24;

  struct Config {
    int stores = 3;
    int prices = 15;
    double lowest = 1.0;
    double highest = 60.0;
    double base = 100.0;
    double own = 2.0;
    double cross = 0.5;
    int history = 1;
    double capacity = 0.0;
    double restock = 0.0;
    Choice reward;
    int horizon = 100;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("stores", c.stores, Bounds{2, kMaxAgents}, "", "number of stores");
    v("prices", c.prices, Bounds{2, 1024}, "", "prices to choose from, equally spaced");
    v("lowest", c.lowest, Bounds{0, 1e4}, "price", "lowest price");
    v("highest", c.highest, Bounds{0, 1e4}, "price", "highest price");
    v("base", c.base, Bounds{1e-3, 1e6}, "units", "demand at prices of 0");
    v("own", c.own, Bounds{1e-6, 1e4}, "units/price", "fall of demand with the own price");
    v("cross", c.cross, Bounds{0, 1e4}, "units/price", "rise of demand with another store's price");
    v("history", c.history, Bounds{1, kMaxHistory}, "periods", "own demands that a store sees");
    v("capacity", c.capacity, Bounds{0, 1e6}, "units",
      "what a store can hold; 0: no inventories, all demand is served");
    v("restock", c.restock, Bounds{0, 1e6}, "units", "what arrives after each period");
    v.choice("reward", c.reward, {"individual", "shared"},
             "own profit, or everybody's profits added up");
    v("horizon", c.horizon, Bounds{0, 1e9}, "periods",
      "length of an episode, a time limit; 0: endless");
  }

  struct Params {
    int32_t stores;
    int32_t prices;
    int32_t history;
    uint32_t horizon;
    uint32_t observations;
    bool shared;
    double lowest, highest;
    double base, own, cross;
    double capacity;  ///< 0: no inventories
    double restock;
    double nash_price, joint_price;
    double nash_profit, joint_profit;  ///< of one store
  };

  struct State {
    int64_t demand[kMaxHistory][kMaxAgents];  ///< millionths of a unit, newest first
    int64_t inventory[kMaxAgents];            ///< millionths of a unit; 0 without inventories
    int32_t last[kMaxAgents];                 ///< last price, as the nearest on the grid
    uint32_t period;                          ///< within the episode; stays 0 when endless
  };

  /// Throws ParameterError for an empty box, and for inventories that nothing ever refills.
  static Params make(const Config& c, Arena&) {
    if (!(c.highest > c.lowest)) throw ParameterError("highest", "must be above lowest");
    if (c.capacity > 0 && !(c.restock > 0)) {
      throw ParameterError("restock", "must be positive where there is a capacity");
    }
    Params p{};
    p.stores = c.stores;
    p.prices = c.prices;
    p.history = c.history;
    p.horizon = static_cast<uint32_t>(c.horizon);
    p.shared = c.reward.value == 1;
    p.lowest = c.lowest;
    p.highest = c.highest;
    p.base = c.base;
    p.own = c.own;
    p.cross = c.cross;
    p.capacity = c.capacity;
    p.restock = c.restock;
    uint64_t count = 1;
    for (int i = 0; i < c.stores && count <= kMaxObservations; ++i) {
      count *= static_cast<uint64_t>(c.prices);
    }
    p.observations = count <= kMaxObservations ? static_cast<uint32_t>(count) : 0;
    // what a rise of all prices takes from a store's demand: own - (n-1) cross
    const double rivals = c.cross * (c.stores - 1);
    p.nash_price = boxed(p, 2 * c.own - rivals);
    p.joint_price = boxed(p, 2 * (c.own - rivals));
    p.nash_profit = equal_profit(p, p.nash_price);
    p.joint_profit = equal_profit(p, p.joint_price);
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.stores; }
  CUMARL_HD static int actions(const Params& p, int) { return p.prices; }
  static Bounds action_range(const Params& p, int) { return {p.lowest, p.highest}; }
  CUMARL_HD static double action_value(const Params& p, int, int action) {
    return grid_value(p.lowest, p.highest, p.prices, action);
  }

  CUMARL_HD static uint32_t observations(const Params& p, int) { return p.observations; }
  /// Store 0's price the highest digit.
  CUMARL_HD static uint32_t observe_index(const Params& p, const State& s, int) {
    if (p.observations == 0) return 0;
    uint32_t index = 0;
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
      index = index * static_cast<uint32_t>(p.prices) + static_cast<uint32_t>(s.last[i]);
    }
    return index;
  }
  CUMARL_HD static int features(const Params& p, int) {
    return p.history + (p.capacity > 0 ? 1 : 0);
  }
  CUMARL_HD static void observe(const Params& p, const State& s, int agent, float* out) {
    for (int k = 0; k < kMaxHistory && k < p.history; ++k) {
      out[k] = static_cast<float>(from_millionths(s.demand[k][agent]));
    }
    if (p.capacity > 0) out[p.history] = static_cast<float>(from_millionths(s.inventory[agent]));
  }
  static Bounds feature_range(const Params& p, int, int k) {
    if (k == p.history) return {0.0, p.capacity};
    const double most = p.base - p.own * p.lowest + p.cross * (p.stores - 1) * p.highest;
    return {0.0, most > 1e-6 ? most : 1e-6};
  }

  /// Prices of the periods before, drawn uniformly from the grid: one random word a store and
  /// period. Inventories are full.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s = State{};
    for (int k = p.history - 1; k >= 0; --k) {
      double price[kMaxAgents] = {};
      for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
        s.last[i] = static_cast<int32_t>(rng.below(static_cast<uint32_t>(p.prices)));
        price[i] = action_value(p, i, s.last[i]);
      }
      for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
        s.demand[k][i] = to_millionths(demand(p, price, i));
      }
    }
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
      s.inventory[i] = to_millionths(p.capacity);
    }
  }

  /// One period; uses no random numbers. Shapes: actions int [agents], rewards float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    double price[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) price[i] = action_value(p, i, actions[i]);
    return step_real(p, s, price, rewards, rng);
  }

  /// The same with prices, double [agents], which are kept within [lowest, highest].
  CUMARL_HD static Episode step_real(const Params& p, State& s, const double* prices,
                                     float* rewards, Rng&) {
    double asked[kMaxAgents], sold[kMaxAgents], profit[kMaxAgents];
    const double total = trade(p, s, prices, asked, sold, profit);
    for (int k = p.history - 1; k > 0; --k) {
      for (int i = 0; i < kMaxAgents && i < p.stores; ++i) s.demand[k][i] = s.demand[k - 1][i];
    }
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
      rewards[i] = static_cast<float>(p.shared ? total : profit[i]);
      s.demand[0][i] = to_millionths(asked[i]);
      s.last[i] = grid_index(p.lowest, p.highest, p.prices, prices[i]);
      if (p.capacity > 0) {
        const double left = from_millionths(s.inventory[i]) - sold[i] + p.restock;
        s.inventory[i] = to_millionths(left < p.capacity ? left : p.capacity);
      }
    }
    if (p.horizon == 0) return Episode::goes_on;
    return ++s.period >= p.horizon ? Episode::cut : Episode::goes_on;
  }

  /// A period's costs, for limits on prices: each store's own price.
  CUMARL_HD static void costs(const Params& p, const State&, const double* prices, const State&,
                              float* out) {
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
      out[i] = static_cast<float>(clipped(prices[i], p.lowest, p.highest));
    }
  }
  static bool endless(const Params& p) { return p.horizon == 0; }

  /// No profit is below 0, nor above that of the best price against rivals at their highest.
  static Bounds reward_bounds(const Params& p) {
    const double room = p.base + p.cross * (p.stores - 1) * p.highest;
    const double price = clipped(room / (2 * p.own), p.lowest, p.highest);
    const double asked = room - p.own * price;
    const double most = asked > 0 ? price * asked : 0.0;
    return {0.0, p.shared ? most * p.stores : most};
  }

  /// Shows the state as "demand" and "inventory" (millionths of a unit), "last" and "period".
  /// Throws ParameterError for values that no period leaves.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t demand[kMaxHistory * kMaxAgents], inventory[kMaxAgents], last[kMaxAgents];
    int64_t period = s.period;
    for (int i = 0; i < p.stores; ++i) {
      for (int k = 0; k < p.history; ++k) demand[k * p.stores + i] = s.demand[k][i];
      inventory[i] = s.inventory[i];
      last[i] = s.last[i];
    }
    v("demand", demand, p.history * p.stores);
    v("inventory", inventory, p.stores);
    v("last", last, p.stores);
    v("period", &period, 1);
    const int64_t most = to_millionths(feature_range(p, 0, 0).max);
    State read{};
    for (int i = 0; i < p.stores; ++i) {
      for (int k = 0; k < p.history; ++k) {
        read.demand[k][i] = checked("demand", demand[k * p.stores + i], 0, most);
      }
      read.inventory[i] = checked("inventory", inventory[i], 0, to_millionths(p.capacity));
      read.last[i] = static_cast<int32_t>(checked("last", last[i], 0, p.prices - 1));
    }
    read.period = static_cast<uint32_t>(checked("period", period, 0, p.horizon));
    s = read;
  }

  /// The learned policies are played (see watch_market). Besides what that reports, means over the
  /// periods: of prices and profits, of all stores and of each; the profit gain
  /// (profit - Nash) / (joint - Nash), 0 where both are equal; and the distance to Nash, of
  /// |price - Nash price|. Both measure against the market without inventories.
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    const int n = p.stores;
    double price[kMaxAgents] = {}, paid[kMaxAgents] = {};
    double away = 0;
    const auto steps = static_cast<double>(watch_market<ThreeStores>(
        p, last, policy, facts, p.horizon > 0, sink,
        [&](const State& before, const double* chosen, const State&) {
          double asked[kMaxAgents], sold[kMaxAgents], profit[kMaxAgents];
          trade(p, before, chosen, asked, sold, profit);
          for (int i = 0; i < kMaxAgents && i < n; ++i) {
            const double mine = clipped(chosen[i], p.lowest, p.highest);
            price[i] += mine;
            paid[i] += profit[i];
            away += mine < p.nash_price ? p.nash_price - mine : mine - p.nash_price;
          }
        }));
    double prices = 0, profits = 0;
    for (int i = 0; i < n; ++i) {
      prices += price[i];
      profits += paid[i];
    }
    const double mean = profits / n / steps, room = p.joint_profit - p.nash_profit;
    sink.metric("mean_price", prices / n / steps);
    sink.metric("mean_profit", mean);
    for (int i = 0; i < n; ++i) {
      sink.metric("mean_price", price[i] / steps, i);
      sink.metric("mean_profit", paid[i] / steps, i);
    }
    sink.metric("profit_gain", room > 0 ? (mean - p.nash_profit) / room : 0.0);
    sink.metric("distance_to_nash", away / n / steps);
  }

 private:
  /// What store i's customers ask for.
  CUMARL_HD static double demand(const Params& p, const double* price, int i) {
    double others = 0;
    for (int j = 0; j < kMaxAgents && j < p.stores; ++j) others += j == i ? 0.0 : price[j];
    const double asked = p.base - p.own * price[i] + p.cross * others;
    return asked > 0 ? asked : 0.0;
  }

  /// A period's demands, sales and profits, each [agents]; returns the sum of profits.
  CUMARL_HD static double trade(const Params& p, const State& s, const double* prices,
                                double* asked, double* sold, double* profit) {
    double price[kMaxAgents] = {};
    double total = 0;
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
      price[i] = clipped(prices[i], p.lowest, p.highest);
    }
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
      asked[i] = demand(p, price, i);
      const double stock = from_millionths(s.inventory[i]);
      sold[i] = p.capacity > 0 && asked[i] > stock ? stock : asked[i];
      profit[i] = price[i] * sold[i];
      total += profit[i];
    }
    return total;
  }

  static double boxed(const Params& p, double denominator) {
    return denominator > 0 ? clipped(p.base / denominator, p.lowest, p.highest) : p.highest;
  }
  static double equal_profit(const Params& p, double price) {
    const double asked = p.base - (p.own - p.cross * (p.stores - 1)) * price;
    return asked > 0 ? price * asked : 0.0;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
