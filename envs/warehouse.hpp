/// \file
/// Warehouses that restock under uncertain demand: the newsvendor, period after period.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/market_tools.hpp"
#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// n warehouses order at the same time what is there at once; then demand, a whole number, is drawn
/// uniformly from [demand_low, demand_high] + the season's shift for each. With inventory I,
/// restock a (cut to the room left) and demand d a warehouse sells min(d, I + a), keeps the rest,
/// and is paid
///     revenue sold - cost a - penalty short - holding rest.
/// `short` is the demand that was not met, max(0, d - I - a), or with shortage = "before_restock"
/// what the inventory alone would not have met, max(0, d - I). All demand that is not met is lost.
///
/// With `transfers`, unmet demand is served from what other warehouses have left, the next by
/// number first: the receiver earns the revenue and pays `transfer_price` a unit to the giver.
///
/// Solved here, without transfers and with shortage = "unmet": the policy of greatest mean reward
/// in the long run. What is left saves its cost in the next period, so a period that starts with y
/// is worth g(y) = (revenue - cost) E sold - penalty E short - holding E rest, whatever came
/// before, and the best y is the smallest with P(d <= y) >= (revenue - cost + penalty) / (revenue -
/// cost + penalty + holding), or the capacity. Ordering up to it is possible in every period, since
/// no more than it is ever left: a shift leaves no demand below 0. A limit on restocks below what
/// this takes makes it an upper bound.
///
/// Source: order-up-to policies, e.g. Porteus, "Foundations of Stochastic Inventory Theory", 2002,
/// chapters 1 and 4; Veinott 1965. Deviation: inventories are kept in millionths.
struct Warehouse {
  static constexpr EnvFacts kFacts{
      "warehouse",
      "Warehouses that restock under uncertain demand",
      "newsvendor with order-up-to policies, Porteus 2002, chapters 1 and 4",
      Family::market,
      "position on the grid of restocks from 0 to max_restock; or the restock as a number",
      "floats: own inventory, own demand of the last `history` periods, newest first, number of "
      "the season; table index: the season and the own inventory, as the nearest of `bins` levels",
      "restocks = 5\nbins = 5\n"};
  static constexpr int kMaxAgents = 8;
  static constexpr int kMaxHistory = 4;
  static constexpr int kMaxSeasons = 8;
  static constexpr bool kSharedObservation = false;

  struct Config {
    int warehouses = 2;
    int restocks = 13;
    double max_restock = 60.0;
    double capacity = 100.0;
    double initial = 50.0;
    int demand_low = 20;
    int demand_high = 60;
    std::vector<int> season_shift{0};
    int season_length = 10;
    double revenue = 10.0;
    double cost = 5.0;
    double penalty = 2.0;
    double holding = 1.0;
    Choice shortage;
    bool transfers = false;
    double transfer_price = 5.0;
    Choice reward;
    int history = 1;
    int bins = 21;
    int horizon = 100;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("warehouses", c.warehouses, Bounds{1, kMaxAgents}, "", "number of warehouses");
    v("restocks", c.restocks, Bounds{2, 1024}, "", "restocks to choose from, equally spaced");
    v("max_restock", c.max_restock, Bounds{1e-3, 1e6}, "units", "largest restock of a period");
    v("capacity", c.capacity, Bounds{1e-3, 1e6}, "units", "what a warehouse can hold");
    v("initial", c.initial, Bounds{0, 1e6}, "units", "inventory at the start of an episode");
    v("demand_low", c.demand_low, Bounds{0, 1e6}, "units", "lowest demand of a period");
    v("demand_high", c.demand_high, Bounds{0, 1e6}, "units", "highest demand of a period");
    v("season_shift", c.season_shift, Bounds{-1e6, 1e6}, "units",
      "a list with one number a season, up to 8: what it adds to demands");
    v("season_length", c.season_length, Bounds{1, 1e6}, "periods", "length of a season");
    v("revenue", c.revenue, Bounds{0, 1e4}, "reward/unit", "for a unit sold");
    v("cost", c.cost, Bounds{0, 1e4}, "reward/unit", "of a unit of restock");
    v("penalty", c.penalty, Bounds{0, 1e4}, "reward/unit", "for a unit short");
    v("holding", c.holding, Bounds{0, 1e4}, "reward/unit", "of a unit left after a period");
    v.choice("shortage", c.shortage, {"unmet", "before_restock"},
             "what counts as short: demand not met, or not met by the inventory before restocking");
    v("transfers", c.transfers, "unmet demand is served from what other warehouses have left");
    v("transfer_price", c.transfer_price, Bounds{0, 1e4}, "reward/unit",
      "what the receiver of a transfer pays the giver");
    v.choice("reward", c.reward, {"individual", "shared"}, "own reward, or everybody's added up");
    v("history", c.history, Bounds{1, kMaxHistory}, "periods", "own demands that a warehouse sees");
    v("bins", c.bins, Bounds{2, 4096}, "", "levels of inventory in the table index");
    v("horizon", c.horizon, Bounds{0, 1e9}, "periods",
      "length of an episode, a time limit; 0: endless");
  }

  struct Params {
    int32_t warehouses;
    int32_t restocks;
    int32_t demand_low;
    int32_t demands;  ///< demand_high - demand_low + 1
    int32_t seasons;
    int32_t season_length;
    int32_t history;
    int32_t bins;
    uint32_t horizon;
    bool before_restock;
    bool transfers;
    bool shared;
    int32_t shift[kMaxSeasons];
    double max_restock, capacity, initial;
    double revenue, cost, penalty, holding, transfer_price;
    double order_up_to[kMaxSeasons];  ///< the optimum; see measures_regret()
    double optimum[kMaxSeasons];      ///< its mean reward of a period and warehouse
  };

  struct State {
    int64_t inventory[kMaxAgents];            ///< millionths of a unit
    int32_t demand[kMaxHistory][kMaxAgents];  ///< newest first
    uint32_t clock;                           ///< periods since the first season began
    uint32_t period;                          ///< within the episode; stays 0 when endless
  };

  /// Throws ParameterError for demands below 0, an empty range of demands, and an initial inventory
  /// above the capacity.
  static Params make(const Config& c, Arena&) {
    if (c.demand_high < c.demand_low) {
      throw ParameterError("demand_high", "must not be below demand_low");
    }
    if (c.initial > c.capacity) throw ParameterError("initial", "must not be above capacity");
    if (c.season_shift.empty() || c.season_shift.size() > kMaxSeasons) {
      throw ParameterError("season_shift",
                           "must have 1 to " + std::to_string(kMaxSeasons) + " numbers");
    }
    Params p{};
    p.warehouses = c.warehouses;
    p.restocks = c.restocks;
    p.demand_low = c.demand_low;
    p.demands = c.demand_high - c.demand_low + 1;
    p.seasons = static_cast<int32_t>(c.season_shift.size());
    p.season_length = c.season_length;
    p.history = c.history;
    p.bins = c.bins;
    p.horizon = static_cast<uint32_t>(c.horizon);
    p.before_restock = c.shortage.value == 1;
    p.transfers = c.transfers;
    p.shared = c.reward.value == 1;
    p.max_restock = c.max_restock;
    p.capacity = c.capacity;
    p.initial = c.initial;
    p.revenue = c.revenue;
    p.cost = c.cost;
    p.penalty = c.penalty;
    p.holding = c.holding;
    p.transfer_price = c.transfer_price;
    for (size_t k = 0; k < c.season_shift.size(); ++k) {
      const auto season = static_cast<int>(k);
      p.shift[k] = c.season_shift[k];
      if (c.demand_low + p.shift[k] < 0) {
        throw ParameterError("season_shift", "leaves a demand below 0");
      }
      p.order_up_to[k] = best_level(p, season);
      p.optimum[k] = expected(p, season, p.order_up_to[k]);
    }
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.warehouses; }
  CUMARL_HD static int actions(const Params& p, int) { return p.restocks; }
  static Bounds action_range(const Params& p, int) { return {0.0, p.max_restock}; }
  CUMARL_HD static double action_value(const Params& p, int, int action) {
    return grid_value(0.0, p.max_restock, p.restocks, action);
  }

  CUMARL_HD static uint32_t observations(const Params& p, int) {
    return static_cast<uint32_t>(p.bins * p.seasons);
  }
  CUMARL_HD static uint32_t observe_index(const Params& p, const State& s, int agent) {
    const double inventory = from_millionths(s.inventory[agent]);
    return static_cast<uint32_t>(season(p, s) * p.bins +
                                 grid_index(0.0, p.capacity, p.bins, inventory));
  }
  CUMARL_HD static int features(const Params& p, int) { return p.history + 2; }
  CUMARL_HD static void observe(const Params& p, const State& s, int agent, float* out) {
    out[0] = static_cast<float>(from_millionths(s.inventory[agent]));
    for (int k = 0; k < kMaxHistory && k < p.history; ++k) {
      out[1 + k] = static_cast<float>(s.demand[k][agent]);
    }
    out[1 + p.history] = static_cast<float>(season(p, s));
  }
  static Bounds feature_range(const Params& p, int, int k) {
    if (k == 0) return {0.0, p.capacity};
    if (k <= p.history) return {0.0, std::max(1.0, most_demand(p))};
    return {0.0, std::max(1.0, p.seasons - 1.0)};
  }

  /// Initial inventories, and past demands of the season that the episode starts in: the first one.
  /// One random word a warehouse and period.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s = State{};
    for (int i = 0; i < kMaxAgents && i < p.warehouses; ++i) {
      s.inventory[i] = to_millionths(p.initial);
      for (int k = 0; k < kMaxHistory && k < p.history; ++k) s.demand[k][i] = draw(p, 0, rng);
    }
  }

  /// One period; one random word a warehouse. Shapes: actions int [agents], rewards float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    double restock[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < p.warehouses; ++i) {
      restock[i] = action_value(p, i, actions[i]);
    }
    return step_real(p, s, restock, rewards, rng);
  }

  /// The same with restocks, double [agents], which are kept within [0, max_restock] and the room.
  CUMARL_HD static Episode step_real(const Params& p, State& s, const double* restocks,
                                     float* rewards, Rng& rng) {
    double left[kMaxAgents], unmet[kMaxAgents], reward[kMaxAgents];
    const int now = season(p, s);
    for (int k = p.history - 1; k > 0; --k) {
      for (int i = 0; i < kMaxAgents && i < p.warehouses; ++i) s.demand[k][i] = s.demand[k - 1][i];
    }
    for (int i = 0; i < kMaxAgents && i < p.warehouses; ++i) {
      s.demand[0][i] = draw(p, now, rng);
      const double asked = s.demand[0][i], inventory = from_millionths(s.inventory[i]);
      const double restock = taken(p, inventory, restocks[i]);
      const double stock = inventory + restock;
      const double sold = asked < stock ? asked : stock;
      left[i] = stock - sold;
      unmet[i] = asked - sold;
      reward[i] = p.revenue * sold - p.cost * restock;
      if (p.before_restock && asked > inventory) reward[i] -= p.penalty * (asked - inventory);
    }
    if (p.transfers) transfer(p, left, unmet, reward);
    double total = 0;
    for (int i = 0; i < kMaxAgents && i < p.warehouses; ++i) {
      if (!p.before_restock) reward[i] -= p.penalty * unmet[i];
      reward[i] -= p.holding * left[i];
      s.inventory[i] = to_millionths(left[i]);
      total += reward[i];
    }
    for (int i = 0; i < kMaxAgents && i < p.warehouses; ++i) {
      rewards[i] = static_cast<float>(p.shared ? total : reward[i]);
    }
    s.clock = (s.clock + 1) % static_cast<uint32_t>(p.seasons * p.season_length);
    if (p.horizon == 0) return Episode::goes_on;
    return ++s.period >= p.horizon ? Episode::cut : Episode::goes_on;
  }

  /// Bounds that no period reaches all at once.
  static Bounds reward_bounds(const Params& p) {
    const double asked = most_demand(p), stock = p.capacity;
    const double restock = std::min(p.max_restock, p.capacity);
    const double given = p.transfers ? std::min(stock, asked * (p.warehouses - 1)) : 0.0;
    const double got = p.transfers ? asked : 0.0;
    const double low =
        -p.cost * restock - p.penalty * asked - p.holding * stock - p.transfer_price * got;
    const double high =
        p.revenue * (p.transfers ? asked : std::min(asked, stock)) + p.transfer_price * given;
    const double count = p.shared ? p.warehouses : 1.0;
    return {low * count, high * count};
  }

  /// Shows the state as "inventory" (millionths of a unit), "demand", "clock" and "period". Throws
  /// ParameterError for values that no period leaves.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t inventory[kMaxAgents], demand[kMaxHistory * kMaxAgents];
    int64_t clock = s.clock, period = s.period;
    for (int i = 0; i < p.warehouses; ++i) {
      inventory[i] = s.inventory[i];
      for (int k = 0; k < p.history; ++k) demand[k * p.warehouses + i] = s.demand[k][i];
    }
    v("inventory", inventory, p.warehouses);
    v("demand", demand, p.history * p.warehouses);
    v("clock", &clock, 1);
    v("period", &period, 1);
    State read{};
    for (int i = 0; i < p.warehouses; ++i) {
      read.inventory[i] = checked("inventory", inventory[i], 0, to_millionths(p.capacity));
      for (int k = 0; k < p.history; ++k) {
        read.demand[k][i] = static_cast<int32_t>(checked("demand", demand[k * p.warehouses + i], 0,
                                                         static_cast<int64_t>(most_demand(p))));
      }
    }
    read.clock =
        static_cast<uint32_t>(checked("clock", clock, 0, int64_t{p.seasons} * p.season_length - 1));
    read.period = static_cast<uint32_t>(checked("period", period, 0, p.horizon));
    s = read;
  }

  /// Whether the optimum of make() is that of these settings, so that evaluate() measures by it.
  CUMARL_HD static bool measures_regret(const Params& p) {
    return !p.transfers && !p.before_restock;
  }

  /// The learned policies are played (see watch_market). Besides what that reports, means over
  /// periods and warehouses: of restocks; the service level, sales from stock as a share of demand
  /// (1 where there was none); and, where measures_regret(): `regret`, of g(optimum) - g(y) at the
  /// stock y after restocking, in expectation over demand and so never below 0, and
  /// `distance_to_optimum`, of |y - optimum|.
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    const int n = p.warehouses;
    double restocked[kMaxAgents] = {};
    double asked = 0, sold = 0, regret = 0, away = 0;
    const auto steps = static_cast<double>(watch_market<Warehouse>(
        p, last, policy, facts, p.horizon > 0, sink,
        [&](const State& before, const double* chosen, const State& after) {
          const int now = season(p, before);
          for (int i = 0; i < kMaxAgents && i < n; ++i) {
            const double inventory = from_millionths(before.inventory[i]);
            const double restock = taken(p, inventory, chosen[i]), stock = inventory + restock;
            const double demand = after.demand[0][i];
            restocked[i] += restock;
            asked += demand;
            sold += demand < stock ? demand : stock;
            regret += p.optimum[now] - expected(p, now, stock);
            away += stock < p.order_up_to[now] ? p.order_up_to[now] - stock
                                               : stock - p.order_up_to[now];
          }
        }));
    double all = 0;
    for (int i = 0; i < n; ++i) all += restocked[i];
    sink.metric("mean_restock", all / n / steps);
    for (int i = 0; i < n; ++i) sink.metric("mean_restock", restocked[i] / steps, i);
    sink.metric("service_level", asked > 0 ? sold / asked : 1.0);
    if (measures_regret(p)) {
      sink.metric("regret", regret / n / steps);
      sink.metric("distance_to_optimum", away / n / steps);
    }
  }

 private:
  CUMARL_HD static CUMARL_INLINE int season(const Params& p, const State& s) {
    return static_cast<int>(s.clock) / p.season_length;
  }
  CUMARL_HD static CUMARL_INLINE int draw(const Params& p, int season, Rng& rng) {
    return p.demand_low + p.shift[season] +
           static_cast<int>(rng.below(static_cast<uint32_t>(p.demands)));
  }
  CUMARL_HD static CUMARL_INLINE double taken(const Params& p, double inventory, double restock) {
    const double room = p.capacity - inventory;
    return clipped(restock, 0.0, room < p.max_restock ? room : p.max_restock);
  }

  /// Serves unmet demand from what others have left.
  CUMARL_HD static void transfer(const Params& p, double* left, double* unmet, double* reward) {
    for (int i = 0; i < kMaxAgents && i < p.warehouses; ++i) {
      for (int k = 1; k < p.warehouses; ++k) {
        const int j = (i + k) % p.warehouses;
        const double moved = left[j] < unmet[i] ? left[j] : unmet[i];
        left[j] -= moved;
        unmet[i] -= moved;
        reward[i] += (p.revenue - p.transfer_price) * moved;
        reward[j] += p.transfer_price * moved;
      }
    }
  }

  /// g(y) of a season: a period's mean reward from stock y, what is left counted at its cost.
  CUMARL_HD static double expected(const Params& p, int season, double y) {
    const double low = p.demand_low + p.shift[season], high = low + p.demands - 1;
    const double mean = 0.5 * (low + high);
    double unmet = 0;  // E max(0, d - y): the demands from `first` on are above y
    if (y < low) {
      unmet = mean - y;
    } else if (y < high) {
      const double first = low + static_cast<double>(static_cast<int>(y - low) + 1);
      unmet = (high - first + 1) * (0.5 * (first + high) - y) / p.demands;
    }
    const double sold = mean - unmet;
    return (p.revenue - p.cost) * sold - p.penalty * unmet - p.holding * (y - sold);
  }

  /// The best stock of a season: g is concave and linear between whole numbers.
  static double best_level(const Params& p, int season) {
    double best = 0, value = expected(p, season, 0);
    const double high =
        std::min(p.capacity, static_cast<double>(p.demand_low + p.shift[season] + p.demands - 1));
    const auto consider = [&](double y) {
      const double other = expected(p, season, y);
      if (other > value) {
        best = y;
        value = other;
      }
    };
    for (double y = p.demand_low + p.shift[season]; y <= high; ++y) consider(y);
    consider(high);
    return best;
  }

  static double most_demand(const Params& p) {
    const int shift = *std::max_element(p.shift, p.shift + p.seasons);
    return p.demand_low + p.demands - 1 + shift;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
