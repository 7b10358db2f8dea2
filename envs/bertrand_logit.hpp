/// \file
/// Price competition with logit demand: the market of Calvano et al. (2020).
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "envs/repeated_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Firms set prices at the same time; q_i = exp((a_i-p_i)/mu) / (sum_j exp((a_j-p_j)/mu) +
/// exp(a_0/mu)), profit (p_i - c_i) q_i. Prices come from a grid a firm, equally spaced between
/// bounds around the one-shot Nash and the joint-monopoly price, which are solved here.
/// Source: Calvano, Calzolari, Denicolo, Pastorello, AER 110(10), 2020, section II.
struct BertrandStage {
  static constexpr EnvFacts kFacts{"bertrand_logit",
                                   "Repeated price competition with logit demand",
                                   "Calvano, Calzolari, Denicolo, Pastorello, AER 2020, section II",
                                   Family::pricing,
                                   "position on the firm's price grid, 0 the lowest price",
                                   "all firms' prices of the last `memory` periods"};
  static constexpr int kMaxPlayers = 6;
  static constexpr int kDefaultMemory = 1;
  static constexpr const char* kSizeKey = "prices";
  static constexpr InitKind kCustomInit = InitKind::expected;
  using Shapes = ShapeList<Shape<2, 15>>;

  struct Config {
    int firms = 2;
    int prices = 15;
    std::vector<double> quality{2.0};
    std::vector<double> cost{1.0};
    double outside_quality = 0.0;
    double mu = 0.25;
    std::vector<double> xi{0.1};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("firms", c.firms, Bounds{2, 6}, "", "number of firms");
    market_fields(v, c);
  }
  /// All but the number of firms.
  static void market_fields(FieldVisitor& v, Config& c) {
    v("prices", c.prices, Bounds{2, 128}, "", "prices on each firm's grid");
    v("quality", c.quality, Bounds{-100, 100}, "", "a_i: one value, or one a firm");
    v("cost", c.cost, Bounds{0, 100}, "price", "c_i, marginal cost: one value, or one a firm");
    v("outside_quality", c.outside_quality, Bounds{-100, 100}, "", "a_0 of the outside good");
    v("mu", c.mu, Bounds{0.001, 100}, "price", "horizontal differentiation");
    v("xi", c.xi, Bounds{-1, 100}, "",
      "the grid runs from pN - xi (pM - pN) to pM + xi (pM - pN); two values [low, high] set the "
      "ends apart, and a negative low means the lowest price is c (1 + low)");
  }

  struct Params {
    int32_t firms;
    int32_t prices;
    const double* price;       ///< [firms][prices]
    const double* attraction;  ///< exp((a_i - p)/mu), same shape
    double outside;            ///< exp(a_0/mu)
    double cost[kMaxPlayers];
    double nash_price[kMaxPlayers];
    double monopoly_price[kMaxPlayers];
    double nash_profit[kMaxPlayers];
    double monopoly_profit[kMaxPlayers];
  };

  /// Throws ParameterError for lists of the wrong length and markets without a price range.
  static Params make(const Config& c, Arena& arena) {
    const auto firms = static_cast<size_t>(c.firms);
    const auto per_firm = [&](const char* key, const std::vector<double>& values) {
      if (values.size() != 1 && values.size() != firms) {
        throw ParameterError(key, "one value, or one a firm (" + std::to_string(firms) + "), not " +
                                      std::to_string(values.size()));
      }
      std::vector<double> out(firms, values[0]);
      if (values.size() == firms) out = values;
      return out;
    };
    const std::vector<double> quality = per_firm("quality", c.quality);
    const std::vector<double> cost = per_firm("cost", c.cost);
    if (c.xi.empty() || c.xi.size() > 2) {
      throw ParameterError("xi", "one value, or two: [low, high]");
    }
    const double low_end = c.xi[0];
    const double high_end = c.xi.back();

    Params p{};
    p.firms = c.firms;
    p.prices = c.prices;
    p.outside = std::exp(c.outside_quality / c.mu);
    for (size_t i = 0; i < firms; ++i) p.cost[i] = cost[i];
    solve_nash(quality, cost, c.outside_quality, c.mu, p.nash_price);
    solve_monopoly(quality, cost, c.outside_quality, c.mu, p.monopoly_price);
    profits_at(quality, cost, c.outside_quality, c.mu, p.nash_price, p.nash_profit);
    profits_at(quality, cost, c.outside_quality, c.mu, p.monopoly_price, p.monopoly_profit);

    std::vector<double> price;
    std::vector<double> attraction;
    for (size_t i = 0; i < firms; ++i) {
      const double range = p.monopoly_price[i] - p.nash_price[i];
      const double low = low_end < 0 ? cost[i] * (1 + low_end) : p.nash_price[i] - low_end * range;
      const double high = p.monopoly_price[i] + high_end * range;
      if (!(high > low)) {
        throw ParameterError("xi", "leaves no price range: from " + std::to_string(low) + " to " +
                                       std::to_string(high));
      }
      for (int k = 0; k < c.prices; ++k) {
        price.push_back(low + k * (high - low) / (c.prices - 1));
        attraction.push_back(std::exp((quality[i] - price.back()) / c.mu));
      }
    }
    for (const double e : attraction) {
      if (!std::isfinite(e))
        throw ParameterError("mu", "too small for these qualities: exp overflows");
    }
    p.price = arena.store(price);
    p.attraction = arena.store(attraction);
    return p;
  }

  CUMARL_HD static int players(const Params& p) { return p.firms; }
  CUMARL_HD static int actions(const Params& p, int) { return p.prices; }

  CUMARL_HD static void payoffs(const Params& p, const int* actions, double* out) {
    double total = p.outside;
    for (int i = 0; i < kMaxPlayers && i < p.firms; ++i) {
      total += p.attraction[at(p, i, actions[i])];
    }
    for (int i = 0; i < kMaxPlayers && i < p.firms; ++i) {
      const size_t k = at(p, i, actions[i]);
      out[i] = (p.price[k] - p.cost[i]) * (p.attraction[k] / total);
    }
  }

  /// Profit is monotone in the rivals' prices, so the corners of the grid bound it.
  static Bounds payoff_bounds(const Params& p) {
    Bounds bounds{1e300, -1e300};
    int chosen[kMaxPlayers];
    double out[kMaxPlayers];
    for (int i = 0; i < p.firms; ++i) {
      for (int rivals : {0, p.prices - 1}) {
        for (int j = 0; j < p.firms; ++j) chosen[j] = rivals;
        for (int k = 0; k < p.prices; ++k) {
          chosen[i] = k;
          payoffs(p, chosen, out);
          bounds = {std::fmin(bounds.min, out[i]), std::fmax(bounds.max, out[i])};
        }
      }
    }
    return bounds;
  }

  /// The price behind an action.
  CUMARL_HD static double level(const Params& p, int firm, int action) {
    return p.price[at(p, firm, action)];
  }

  /// The grid price nearest to Nash (which = 0) or monopoly (1). Pre: host arena.
  static int reference_action(const Params& p, int firm, int which) {
    const double wanted = which == 0 ? p.nash_price[firm] : p.monopoly_price[firm];
    int best = 0;
    for (int k = 1; k < p.prices; ++k) {
      if (std::fabs(level(p, firm, k) - wanted) < std::fabs(level(p, firm, best) - wanted))
        best = k;
    }
    return best;
  }

  /// Profit gain Delta = (pi - piN) / (piM - piN), of the firms' mean profits, and a firm at a time;
  /// mean price and profit. `path` holds averages a firm over the limit cycle.
  template <class Path, class Sink>
  CUMARL_HD static void measure(const Params& p, const Path& path, Sink& sink) {
    double profit = 0, nash = 0, monopoly = 0, price = 0;
    for (int i = 0; i < p.firms; ++i) {
      profit += path.payoff[i];
      price += path.level[i];
      nash += p.nash_profit[i];
      monopoly += p.monopoly_profit[i];
    }
    sink.metric("profit_gain", (profit - nash) / (monopoly - nash));
    sink.metric("mean_price", price / p.firms);
    sink.metric("mean_profit", profit / p.firms);
    for (int i = 0; i < p.firms; ++i) {
      sink.metric("profit_gain",
                  (path.payoff[i] - p.nash_profit[i]) / (p.monopoly_profit[i] - p.nash_profit[i]),
                  i);
      sink.metric("mean_price", path.level[i], i);
      sink.metric("mean_profit", path.payoff[i], i);
    }
  }

 private:
  CUMARL_HD static size_t at(const Params& p, int firm, int action) {
    return static_cast<size_t>(firm) * static_cast<size_t>(p.prices) + static_cast<size_t>(action);
  }

  /// Shares q_i and, through `out`, profits at given prices.
  static std::vector<double> shares_at(const std::vector<double>& quality, double outside_quality,
                                       double mu, const double* price) {
    std::vector<double> share(quality.size());
    double top = outside_quality / mu;
    for (size_t i = 0; i < quality.size(); ++i) top = std::fmax(top, (quality[i] - price[i]) / mu);
    double total = std::exp(outside_quality / mu - top);
    for (size_t i = 0; i < quality.size(); ++i) {
      share[i] = std::exp((quality[i] - price[i]) / mu - top);
      total += share[i];
    }
    for (double& s : share) s /= total;
    return share;
  }
  static void profits_at(const std::vector<double>& quality, const std::vector<double>& cost,
                         double outside_quality, double mu, const double* price, double* profit) {
    const auto share = shares_at(quality, outside_quality, mu, price);
    for (size_t i = 0; i < cost.size(); ++i) profit[i] = (price[i] - cost[i]) * share[i];
  }

  /// One-shot Nash prices: p_i = c_i + mu / (1 - q_i). Each best response solves an increasing
  /// function by bisection; rounds of best responses contract (prices are strategic complements
  /// with slope below 1). Throws ParameterError if 10,000 rounds do not reach 1e-13.
  static void solve_nash(const std::vector<double>& quality, const std::vector<double>& cost,
                         double outside_quality, double mu, double* price) {
    const size_t firms = cost.size();
    for (size_t i = 0; i < firms; ++i) price[i] = cost[i] + mu;
    for (int round = 0; round < 10'000; ++round) {
      double moved = 0;
      for (size_t i = 0; i < firms; ++i) {
        const double before = price[i];
        double low = cost[i];
        double high = cost[i] + mu;
        const auto excess = [&](double at) {
          price[i] = at;
          return at - cost[i] - mu / (1 - shares_at(quality, outside_quality, mu, price)[i]);
        };
        while (excess(high) < 0) high = cost[i] + 2 * (high - cost[i]);
        for (int k = 0; k < 200 && high - low > 1e-15 * high; ++k) {
          const double middle = 0.5 * (low + high);
          (excess(middle) < 0 ? low : high) = middle;
        }
        price[i] = 0.5 * (low + high);
        moved = std::fmax(moved, std::fabs(price[i] - before));
      }
      if (moved < 1e-13) return;
    }
    throw ParameterError("mu", "no Nash equilibrium in prices was found for this market");
  }

  /// Prices that maximise joint profit: equal mark-ups m with m (1 - sum q) = mu, by bisection.
  static void solve_monopoly(const std::vector<double>& quality, const std::vector<double>& cost,
                             double outside_quality, double mu, double* price) {
    const auto excess = [&](double markup) {
      for (size_t i = 0; i < cost.size(); ++i) price[i] = cost[i] + markup;
      double sold = 0;
      for (const double q : shares_at(quality, outside_quality, mu, price)) sold += q;
      return markup * (1 - sold) - mu;
    };
    double low = mu;
    double high = 2 * mu;
    while (excess(high) < 0) high *= 2;
    for (int k = 0; k < 200 && high - low > 1e-15 * high; ++k) {
      const double middle = 0.5 * (low + high);
      (excess(middle) < 0 ? low : high) = middle;
    }
    excess(0.5 * (low + high));
  }
};

using BertrandLogit = RepeatedGame<BertrandStage>;

}  // namespace cumarl::inline CUMARL_VARIANT
