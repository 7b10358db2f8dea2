/// \file
/// Price competition of two firms with linear demand (Singh and Vives).
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/profit_gain.hpp"
#include "envs/repeated_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Two firms set prices at the same time. Buyers have the utility q1 + q2 - (q1^2 + q2^2) / 2 -
/// gamma q1 q2, so that firm i sells q_i = (1 - gamma - p_i + gamma p_j) / (1 - gamma^2) where both
/// sell, 1 - p_i where it sells alone, and 0 where the other does; profit is (p_i - c) q_i.
/// One-shot
/// Nash: p = (1 - gamma + c) / (2 - gamma); greatest joint profit: p = (1 + c) / 2. Prices come
/// from one grid, equally spaced between bounds around those two, and not below 0.
/// Source: Singh and Vives, RAND Journal of Economics 15(4), 1984; as a market of Q-learners:
/// Calvano et al., AER 110(10), 2020, online appendix, table A14, and its replication package.
/// Deviation: the marginal cost may be set; it is 0 there.
struct SinghVivesStage {
  static constexpr EnvFacts kFacts{
      "singh_vives",
      "Repeated price competition with linear demand, two firms",
      "Singh and Vives, RAND 1984; Calvano et al., AER 2020, online appendix A14",
      Family::pricing,
      "position on the price grid, 0 the lowest price",
      "both firms' prices of the last `memory` periods",
      "prices = 5"};
  static constexpr int kMaxPlayers = 2;
  static constexpr int kDefaultMemory = 1;
  static constexpr const char* kSizeKey = "prices";
  static constexpr InitKind kCustomInit = InitKind::expected;
  using Shapes = ShapeList<>;

  struct Config {
    int prices = 15;
    double gamma = 0.5;
    double cost = 0.0;
    std::vector<double> xi{0.1};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("prices", c.prices, Bounds{2, 128}, "", "prices on the grid");
    v("gamma", c.gamma, Bounds{0.001, 0.999}, "",
      "how near the goods are to each other: 0 independent, 1 the same");
    v("cost", c.cost, Bounds{0, 0.999}, "price", "marginal cost; at a price of 1 nothing is sold");
    v("xi", c.xi, Bounds{0, 100}, "",
      "the grid runs from pN - xi (pM - pN) to pM + xi (pM - pN); two values [low, high] set the "
      "ends apart");
  }

  struct Params {
    int32_t prices;
    const double* price;  ///< [prices]
    double gamma;
    double cost;
    double nash_price;
    double monopoly_price;
    double nash_profit[kMaxPlayers];
    double monopoly_profit[kMaxPlayers];
  };

  /// Throws ParameterError for a list of the wrong length.
  static Params make(const Config& c, Arena& arena) {
    if (c.xi.empty() || c.xi.size() > 2) {
      throw ParameterError("xi", "one value, or two: [low, high]");
    }
    Params p{};
    p.prices = c.prices;
    p.gamma = c.gamma;
    p.cost = c.cost;
    p.nash_price = (1 - c.gamma + c.cost) / (2 - c.gamma);
    p.monopoly_price = (1 + c.cost) / 2;
    for (int i = 0; i < kMaxPlayers; ++i) {
      p.nash_profit[i] = profit(p, p.nash_price, p.nash_price);
      p.monopoly_profit[i] = profit(p, p.monopoly_price, p.monopoly_price);
    }
    const double range = p.monopoly_price - p.nash_price;
    const double low = std::fmax(0.0, p.nash_price - c.xi[0] * range);
    const double high = p.monopoly_price + c.xi.back() * range;
    std::vector<double> price;
    for (int k = 0; k < c.prices; ++k) price.push_back(low + k * (high - low) / (c.prices - 1));
    p.price = arena.store(price);
    return p;
  }

  CUMARL_HD static int players(const Params&) { return kMaxPlayers; }
  CUMARL_HD static int actions(const Params& p, int) { return p.prices; }

  CUMARL_HD static void payoffs(const Params& p, const int* actions, double* out) {
    const double first = p.price[actions[0]];
    const double second = p.price[actions[1]];
    out[0] = profit(p, first, second);
    out[1] = profit(p, second, first);
  }

  static Bounds payoff_bounds(const Params& p) {
    Bounds bounds{1e300, -1e300};
    for (int a = 0; a < p.prices; ++a) {
      for (int b = 0; b < p.prices; ++b) {
        const double one = profit(p, p.price[a], p.price[b]);
        bounds = {std::fmin(bounds.min, one), std::fmax(bounds.max, one)};
      }
    }
    return bounds;
  }

  /// The price behind an action.
  CUMARL_HD static double level(const Params& p, int, int action) { return p.price[action]; }

  /// The grid price nearest to Nash (which = 0) or monopoly (1). Pre: host arena.
  static int reference_action(const Params& p, int, int which) {
    return nearest_price(p.price, p.prices, which == 0 ? p.nash_price : p.monopoly_price);
  }

  /// See report_profit_gain.
  template <class Path, class Sink>
  CUMARL_HD static void measure(const Params& p, const Path& path, Sink& sink) {
    report_profit_gain(kMaxPlayers, p.nash_profit, p.monopoly_profit, path, sink);
  }

 private:
  CUMARL_HD static double profit(const Params& p, double own, double rival) {
    const double beside = (1 - p.gamma - own + p.gamma * rival) / (1 - p.gamma * p.gamma);
    const double alone = 1 - own;
    const double wanted = beside < alone ? beside : alone;
    return (own - p.cost) * (wanted > 0 ? wanted : 0.0);
  }
};

using SinghVives = RepeatedGame<SinghVivesStage>;

}  // namespace cumarl::inline CUMARL_VARIANT
