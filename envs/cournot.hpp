/// \file
/// Quantity competition: the Cournot oligopoly with linear demand.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/repeated_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// n firms choose quantities q_i at the same time; the price is max(0, a - b sum q), profit
/// (price - c_i) q_i. Solved here: the one-shot Nash quantities (firms that would not produce are
/// left out), the collusive ones (greatest joint profit: the cheapest firms share (a - c) / 2b), and
/// the Walrasian ones (price = the lowest marginal cost: they share (a - c) / b).
/// Source: Cournot 1838; for Q-learners: Waltman and Kaymak, "Q-learning agents in a Cournot
/// oligopoly model", JEDC 32, 2008. Deviation: none.
struct CournotStage {
  static constexpr EnvFacts kFacts{"cournot",
                                   "Repeated quantity competition with linear demand",
                                   "Cournot 1838; Waltman and Kaymak, JEDC 2008",
                                   Family::matrix,
                                   "position on the grid of quantities, 0 the lowest",
                                   "all firms' quantities of the last `memory` periods",
                                   "quantities = 5"};
  static constexpr int kMaxPlayers = 6;
  static constexpr int kDefaultMemory = 1;
  static constexpr const char* kSizeKey = "quantities";
  static constexpr InitKind kCustomInit = InitKind::constant;
  using Shapes = ShapeList<>;

  struct Config {
    int firms = 2;
    int quantities = 13;
    double lowest = 6.0;
    double highest = 18.0;
    double intercept = 40.0;
    double slope = 1.0;
    std::vector<double> cost{4.0};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("firms", c.firms, Bounds{2, kMaxPlayers}, "", "number of firms");
    v("quantities", c.quantities, Bounds{2, 128}, "", "quantities to choose from, equally spaced");
    v("lowest", c.lowest, Bounds{0, 1e6}, "quantity", "lowest quantity");
    v("highest", c.highest, Bounds{0, 1e6}, "quantity", "highest quantity");
    v("intercept", c.intercept, Bounds{1e-6, 1e6}, "price", "a: price at which nothing is bought");
    v("slope", c.slope, Bounds{1e-6, 1e6}, "price/quantity", "b: fall of the price a unit");
    v("cost", c.cost, Bounds{0, 1e6}, "price", "c_i, marginal cost: one value, or one a firm");
  }

  struct Params {
    int32_t firms;
    int32_t quantities;
    double lowest;
    double width;  ///< highest - lowest
    double intercept;
    double slope;
    double cost[kMaxPlayers];
    double nash_quantity[kMaxPlayers];
    double collusive_quantity[kMaxPlayers];
    double walrasian_quantity[kMaxPlayers];
    double nash_profit;       ///< of all firms
    double collusive_profit;  ///< of all firms
  };

  /// Throws ParameterError for lists of the wrong length, an empty grid, and costs above all prices.
  static Params make(const Config& c, Arena&) {
    const auto firms = static_cast<size_t>(c.firms);
    if (c.cost.size() != 1 && c.cost.size() != firms) {
      throw ParameterError("cost", "one value, or one a firm (" + std::to_string(firms) +
                                       "), not " + std::to_string(c.cost.size()));
    }
    if (!(c.highest > c.lowest)) throw ParameterError("highest", "must be above lowest");
    Params p{};
    p.firms = c.firms;
    p.quantities = c.quantities;
    p.lowest = c.lowest;
    p.width = c.highest - c.lowest;
    p.intercept = c.intercept;
    p.slope = c.slope;
    double cheapest = c.cost[0];
    for (size_t i = 0; i < firms; ++i) {
      p.cost[i] = c.cost.size() == 1 ? c.cost[0] : c.cost[i];
      cheapest = p.cost[i] < cheapest ? p.cost[i] : cheapest;
    }
    if (!(cheapest < c.intercept)) throw ParameterError("cost", "no firm can sell at a profit");
    solve(p, cheapest);
    p.nash_profit = total_profit(p, p.nash_quantity);
    p.collusive_profit = total_profit(p, p.collusive_quantity);
    return p;
  }

  CUMARL_HD static int players(const Params& p) { return p.firms; }
  CUMARL_HD static int actions(const Params& p, int) { return p.quantities; }

  CUMARL_HD static void payoffs(const Params& p, const int* actions, double* out) {
    double sold = 0;
    for (int i = 0; i < kMaxPlayers && i < p.firms; ++i) sold += level(p, i, actions[i]);
    const double price = p.intercept - p.slope * sold;
    for (int i = 0; i < kMaxPlayers && i < p.firms; ++i) {
      out[i] = ((price > 0 ? price : 0) - p.cost[i]) * level(p, i, actions[i]);
    }
  }

  /// Profit falls with what the rivals sell, so the ends of their grids bound it.
  static Bounds payoff_bounds(const Params& p) {
    Bounds bounds{1e300, -1e300};
    int chosen[kMaxPlayers];
    double out[kMaxPlayers];
    for (int i = 0; i < p.firms; ++i) {
      for (const int rivals : {0, p.quantities - 1}) {
        for (int j = 0; j < p.firms; ++j) chosen[j] = rivals;
        for (int k = 0; k < p.quantities; ++k) {
          chosen[i] = k;
          payoffs(p, chosen, out);
          bounds = {std::fmin(bounds.min, out[i]), std::fmax(bounds.max, out[i])};
        }
      }
    }
    return bounds;
  }

  /// The quantity behind an action.
  CUMARL_HD static double level(const Params& p, int, int action) {
    return p.lowest + p.width * action / (p.quantities - 1);
  }

  /// The grid's quantity nearest to Nash (which = 0) or collusion (1).
  static int reference_action(const Params& p, int firm, int which) {
    const double wanted = which == 0 ? p.nash_quantity[firm] : p.collusive_quantity[firm];
    int best = 0;
    for (int k = 1; k < p.quantities; ++k) {
      if (std::fabs(level(p, firm, k) - wanted) < std::fabs(level(p, firm, best) - wanted))
        best = k;
    }
    return best;
  }

  /// Profit gain (pi - piN) / (piM - piN) of all firms' profits, M the collusive ones (0 where both
  /// are equal); mean quantity and profit, of all and of each firm.
  template <class Path, class Sink>
  CUMARL_HD static void measure(const Params& p, const Path& path, Sink& sink) {
    double profit = 0, quantity = 0;
    for (int i = 0; i < p.firms; ++i) {
      profit += path.payoff[i];
      quantity += path.level[i];
    }
    const double room = p.collusive_profit - p.nash_profit;
    sink.metric("profit_gain", room > 0 ? (profit - p.nash_profit) / room : 0.0);
    sink.metric("mean_quantity", quantity / p.firms);
    sink.metric("mean_profit", profit / p.firms);
    for (int i = 0; i < p.firms; ++i) {
      sink.metric("mean_quantity", path.level[i], i);
      sink.metric("mean_profit", path.payoff[i], i);
    }
  }

 private:
  static double total_profit(const Params& p, const double* quantity) {
    double sold = 0;
    for (int i = 0; i < p.firms; ++i) sold += quantity[i];
    const double price = std::fmax(0.0, p.intercept - p.slope * sold);
    double total = 0;
    for (int i = 0; i < p.firms; ++i) total += (price - p.cost[i]) * quantity[i];
    return total;
  }

  /// Nash: with k active firms the price is (a + sum of their costs) / (k + 1) and each sells
  /// (price - c_i) / b; firms enter from the cheapest on, as long as the price is above their cost.
  static void solve(Params& p, double cheapest) {
    std::vector<bool> active(static_cast<size_t>(p.firms), false);
    double sum = p.intercept;
    int count = 0;
    for (;;) {
      int entrant = -1;
      for (int i = 0; i < p.firms; ++i) {
        if (!active[static_cast<size_t>(i)] && (entrant < 0 || p.cost[i] < p.cost[entrant])) {
          entrant = i;
        }
      }
      if (entrant < 0 || !(p.cost[entrant] < sum / (count + 1))) break;
      active[static_cast<size_t>(entrant)] = true;
      sum += p.cost[entrant];
      ++count;
    }
    const double price = sum / (count + 1);
    int share = 0;
    for (int i = 0; i < p.firms; ++i) share += p.cost[i] == cheapest ? 1 : 0;
    for (int i = 0; i < p.firms; ++i) {
      const double all = p.cost[i] == cheapest ? (p.intercept - cheapest) / p.slope / share : 0.0;
      p.nash_quantity[i] = active[static_cast<size_t>(i)] ? (price - p.cost[i]) / p.slope : 0.0;
      p.collusive_quantity[i] = all / 2;
      p.walrasian_quantity[i] = all;
    }
  }
};

using Cournot = RepeatedGame<CournotStage>;

}  // namespace cumarl::inline CUMARL_VARIANT
