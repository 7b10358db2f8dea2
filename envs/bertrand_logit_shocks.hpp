/// \file
/// Price competition with logit demand of random strength.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/bertrand_logit.hpp"
#include "envs/profit_gain.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The market of bertrand_logit, but a_0, the attraction of the outside good, is drawn anew each
/// period, independently and uniformly, from a list. Firms set prices before they could know it and
/// are paid at the a_0 that was drawn. All firms have one grid, from p - xi (P - p) to P + xi (P -
/// p), where p is the lowest one-shot Nash price over all a_0 and firms, and P the highest
/// joint-monopoly price. The profit gain compares expected profits with the means over a_0 of the
/// profits in that a_0's own Nash and monopoly.
/// Source: Calvano, Calzolari, Denicolo, Pastorello, AER 110(10), 2020, online appendix, table A8,
/// and its replication package (program "stochasticdemand"). Deviation: none.
struct BertrandShocksStage {
  static constexpr EnvFacts kFacts{
      "bertrand_logit_shocks",
      "Repeated price competition with logit demand of random strength",
      "Calvano, Calzolari, Denicolo, Pastorello, AER 2020, online appendix A8",
      Family::pricing,
      "position on the price grid, 0 the lowest price",
      "all firms' prices of the last `memory` periods",
      "prices = 5"};
  static constexpr int kMaxPlayers = 6;
  static constexpr int kMaxLevels = 16;
  static constexpr int kDefaultMemory = 1;
  static constexpr const char* kSizeKey = "prices";
  static constexpr InitKind kCustomInit = InitKind::expected;
  using Shapes = ShapeList<>;

  struct Config {
    int firms = 2;
    int prices = 15;
    std::vector<double> quality{2.0};
    std::vector<double> cost{1.0};
    std::vector<double> outside_quality{-0.1, 0.0, 0.1};
    double mu = 0.25;
    std::vector<double> xi{0.1};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("firms", c.firms, Bounds{2, kMaxPlayers}, "", "number of firms");
    v("prices", c.prices, Bounds{2, 128}, "", "prices on the grid");
    v("quality", c.quality, Bounds{-100, 100}, "", "a_i: one value, or one a firm");
    v("cost", c.cost, Bounds{0, 100}, "price", "c_i, marginal cost: one value, or one a firm");
    v("outside_quality", c.outside_quality, Bounds{-100, 100}, "",
      "a_0 of the outside good: equally likely values, up to 16");
    v("mu", c.mu, Bounds{0.001, 100}, "price", "horizontal differentiation");
    v("xi", c.xi, Bounds{0, 100}, "",
      "the grid runs from p - xi (P - p) to P + xi (P - p), p the lowest Nash price and P the "
      "highest monopoly price; two values [low, high] set the ends apart");
  }

  struct Params {
    int32_t firms;
    int32_t prices;
    int32_t levels;
    const double* price;         ///< [prices]
    const double* attraction;    ///< exp((a_i - p)/mu), [firms][prices]
    double outside[kMaxLevels];  ///< exp(a_0/mu)
    double cost[kMaxPlayers];
    double nash_price[kMaxPlayers];  ///< means over a_0, as all that follow
    double monopoly_price[kMaxPlayers];
    double nash_profit[kMaxPlayers];
    double monopoly_profit[kMaxPlayers];
  };

  /// Throws ParameterError for lists of the wrong length and markets without a price range.
  static Params make(const Config& c, Arena& arena) {
    if (c.outside_quality.empty() || c.outside_quality.size() > size_t{kMaxLevels}) {
      throw ParameterError("outside_quality", "from 1 to 16 values");
    }
    if (c.xi.empty() || c.xi.size() > 2) {
      throw ParameterError("xi", "one value, or two: [low, high]");
    }
    Params p{};
    p.firms = c.firms;
    p.prices = c.prices;
    p.levels = static_cast<int32_t>(c.outside_quality.size());
    BertrandStage::Config one;  // the market at one a_0
    one.firms = c.firms;
    one.prices = 2;
    one.quality = c.quality;
    one.cost = c.cost;
    one.mu = c.mu;
    double lowest = 1e300;
    double highest = -1e300;
    for (int k = 0; k < p.levels; ++k) {
      one.outside_quality = c.outside_quality[static_cast<size_t>(k)];
      HostArena scratch;
      const auto market = BertrandStage::make(one, scratch);
      p.outside[k] = market.outside;
      for (int i = 0; i < c.firms; ++i) {
        p.cost[i] = market.cost[i];
        p.nash_price[i] += market.nash_price[i] / p.levels;
        p.monopoly_price[i] += market.monopoly_price[i] / p.levels;
        p.nash_profit[i] += market.nash_profit[i] / p.levels;
        p.monopoly_profit[i] += market.monopoly_profit[i] / p.levels;
        lowest = std::fmin(lowest, market.nash_price[i]);
        highest = std::fmax(highest, market.monopoly_price[i]);
      }
    }
    const double low = lowest - c.xi[0] * (highest - lowest);
    const double high = highest + c.xi.back() * (highest - lowest);
    std::vector<double> price;
    for (int k = 0; k < c.prices; ++k) price.push_back(low + k * (high - low) / (c.prices - 1));
    std::vector<double> attraction;
    for (size_t i = 0; i < static_cast<size_t>(c.firms); ++i) {
      const double quality = c.quality[c.quality.size() == 1 ? 0 : i];
      for (const double at : price) attraction.push_back(std::exp((quality - at) / c.mu));
    }
    for (const double e : attraction) {
      if (!std::isfinite(e)) {
        throw ParameterError("mu", "too small for these qualities: exp overflows");
      }
    }
    p.price = arena.store(price);
    p.attraction = arena.store(attraction);
    return p;
  }

  CUMARL_HD static int players(const Params& p) { return p.firms; }
  CUMARL_HD static int actions(const Params& p, int) { return p.prices; }
  CUMARL_HD static bool stochastic(const Params& p) { return p.levels > 1; }

  /// Means over a_0.
  CUMARL_HD static void payoffs(const Params& p, const int* actions, double* out) {
    double at[kMaxPlayers] = {};
    for (int i = 0; i < kMaxPlayers && i < p.firms; ++i) out[i] = 0;
    for (int k = 0; k < p.levels; ++k) {
      profits(p, actions, k, at);
      for (int i = 0; i < kMaxPlayers && i < p.firms; ++i) out[i] += at[i] / p.levels;
    }
  }
  /// At one a_0; one random word.
  CUMARL_HD static void sample(const Params& p, const int* actions, double* out, Rng& rng) {
    profits(p, actions, static_cast<int>(rng.below(static_cast<uint32_t>(p.levels))), out);
  }

  /// Profit is monotone in the rivals' prices and in a_0, so the corners of the grid bound it.
  static Bounds payoff_bounds(const Params& p) {
    Bounds bounds{1e300, -1e300};
    int chosen[kMaxPlayers] = {};
    double out[kMaxPlayers] = {};
    for (int i = 0; i < p.firms; ++i) {
      for (const int rivals : {0, p.prices - 1}) {
        for (int j = 0; j < p.firms; ++j) chosen[j] = rivals;
        for (int a = 0; a < p.prices; ++a) {
          chosen[i] = a;
          for (int k = 0; k < p.levels; ++k) {
            profits(p, chosen, k, out);
            bounds = {std::fmin(bounds.min, out[i]), std::fmax(bounds.max, out[i])};
          }
        }
      }
    }
    return bounds;
  }

  /// The price behind an action.
  CUMARL_HD static double level(const Params& p, int, int action) { return p.price[action]; }

  /// The grid price nearest to Nash (which = 0) or monopoly (1), means over a_0. Pre: host arena.
  static int reference_action(const Params& p, int firm, int which) {
    return nearest_price(p.price, p.prices,
                         which == 0 ? p.nash_price[firm] : p.monopoly_price[firm]);
  }

  /// See report_profit_gain.
  template <class Path, class Sink>
  CUMARL_HD static void measure(const Params& p, const Path& path, Sink& sink) {
    report_profit_gain(p.firms, p.nash_profit, p.monopoly_profit, path, sink);
  }

 private:
  CUMARL_HD static void profits(const Params& p, const int* actions, int level, double* out) {
    double total = p.outside[level];
    for (int i = 0; i < kMaxPlayers && i < p.firms; ++i)
      total += p.attraction[at(p, i, actions[i])];
    for (int i = 0; i < kMaxPlayers && i < p.firms; ++i) {
      out[i] = (p.price[actions[i]] - p.cost[i]) * (p.attraction[at(p, i, actions[i])] / total);
    }
  }
  CUMARL_HD static size_t at(const Params& p, int firm, int action) {
    return static_cast<size_t>(firm) * static_cast<size_t>(p.prices) + static_cast<size_t>(action);
  }
};

using BertrandLogitShocks = RepeatedGame<BertrandShocksStage>;

}  // namespace cumarl::inline CUMARL_VARIANT
