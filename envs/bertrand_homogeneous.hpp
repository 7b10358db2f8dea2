/// \file
/// Price competition with one homogeneous good, without memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/env.hpp"
#include "kernels/core/outcome.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Firms set prices at the same time, from one grid. The firms with the lowest price share a demand
/// of 1, if that price is not above the buyers' reservation value; the others sell nothing. Profit
/// is (p - c) times what is sold. Nobody remembers anything: there is one observation.
/// Source: Bertrand 1883; as a market of Q-learners: Asker, Fershtman, Pakes, "Artificial
/// intelligence and pricing: the impact of algorithm design", NBER working paper 28535, 2021, and
/// AEA Papers and Proceedings 112, 2022. Deviation: none.
struct BertrandHomogeneous {
  static constexpr EnvFacts kFacts{"bertrand_homogeneous",
                                   "Repeated price competition with a homogeneous good",
                                   "Asker, Fershtman, Pakes, NBER working paper 28535, 2021",
                                   Family::market,
                                   "position on the price grid, 0 the lowest price",
                                   "nothing",
                                   "prices = 5"};
  static constexpr int kMaxAgents = 10;
  static constexpr bool kSharedObservation = true;

  struct Config {
    int firms = 2;
    int prices = 100;
    double lowest = 0.01;
    double highest = 10.0;
    double reservation = 10.0;
    double cost = 2.0;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("firms", c.firms, Bounds{1, kMaxAgents}, "", "number of firms");
    v("prices", c.prices, Bounds{2, 128}, "", "prices on the grid, equally spaced");
    v("lowest", c.lowest, Bounds{0, 1e6}, "price", "lowest price");
    v("highest", c.highest, Bounds{0, 1e6}, "price", "highest price");
    v("reservation", c.reservation, Bounds{0, 1e6}, "price", "above it nothing is bought");
    v("cost", c.cost, Bounds{0, 1e6}, "price", "marginal cost");
  }

  struct Params {
    int32_t firms;
    int32_t prices;
    const double* price;   ///< [prices]
    const double* margin;  ///< what a firm alone at a price earns, same shape
    Bounds reward;
  };
  /// Throws ParameterError for an empty grid.
  static Params make(const Config& c, Arena& arena) {
    if (!(c.highest > c.lowest)) throw ParameterError("highest", "must be above lowest");
    std::vector<double> price;
    std::vector<double> margin;
    Bounds reward{0, 0};
    for (int k = 0; k < c.prices; ++k) {
      // the upper end is met exactly, as buyers may have it for their reservation value
      price.push_back(k + 1 == c.prices ? c.highest
                                        : c.lowest + (c.highest - c.lowest) * k / (c.prices - 1));
      margin.push_back(price.back() > c.reservation ? 0.0 : price.back() - c.cost);
      reward.min = margin.back() < reward.min ? margin.back() : reward.min;
      reward.max = margin.back() > reward.max ? margin.back() : reward.max;
    }
    return {c.firms, c.prices, arena.store(price), arena.store(margin), reward};
  }

  struct State {
    int32_t lowest;  ///< position of the last period's lowest price; nobody sees it
  };

  CUMARL_HD static int agents(const Params& p) { return p.firms; }
  CUMARL_HD static int actions(const Params& p, int) { return p.prices; }
  CUMARL_HD static uint32_t observations(const Params&, int) { return 1; }
  CUMARL_HD static uint32_t observe_index(const Params&, const State&, int) { return 0; }
  CUMARL_HD static int features(const Params&, int) { return 0; }
  CUMARL_HD static void observe(const Params&, const State&, int, float*) {}
  static Bounds reward_bounds(const Params& p) { return p.reward; }

  /// Uses no random numbers.
  CUMARL_HD static void reset(const Params&, State& s, Rng&) { s.lowest = 0; }

  /// One period; uses no random numbers. Shapes: actions int [firms], rewards float [firms].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng&) {
    int sellers = 0;
    s.lowest = lowest(p, actions, sellers);
    const auto paid = static_cast<float>(p.margin[s.lowest] / sellers);
    for (int i = 0; i < kMaxAgents && i < p.firms; ++i) {
      rewards[i] = actions[i] == s.lowest ? paid : 0.0F;
    }
    return Episode::goes_on;
  }

  /// Shows the state as "lowest". Throws ParameterError beyond the grid.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t lowest = s.lowest;
    v("lowest", &lowest, 1);
    if (lowest < 0 || lowest >= int64_t{p.prices}) {
      throw ParameterError("lowest", "must be from 0 to " + std::to_string(p.prices - 1));
    }
    s.lowest = static_cast<int32_t>(lowest);
  }

  /// The learned policies play `evaluation.steps` periods, or one if they are deterministic.
  /// Reported are means: of the lowest price (`market_price`), and of all and each firm's price and
  /// profit.
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    const uint32_t steps = policy.deterministic() ? 1 : policy.evaluation().steps;
    double paid[kMaxAgents] = {};
    double charged[kMaxAgents] = {};
    double market = 0;
    for (uint32_t t = 0; t < steps; ++t) {
      int chosen[kMaxAgents] = {};
      policy.act(p, last, chosen, t);
      int sellers = 0;
      const int32_t cheapest = lowest(p, chosen, sellers);
      market += p.price[cheapest];
      for (int i = 0; i < kMaxAgents && i < p.firms; ++i) {
        charged[i] += p.price[chosen[i]];
        paid[i] += chosen[i] == cheapest ? p.margin[cheapest] / sellers : 0.0;
      }
    }
    double all_paid = 0, all_charged = 0;
    for (int i = 0; i < kMaxAgents && i < p.firms; ++i) {
      all_paid += paid[i];
      all_charged += charged[i];
    }
    sink.metric("market_price", market / steps);
    sink.metric("mean_price", all_charged / p.firms / steps);
    sink.metric("mean_profit", all_paid / p.firms / steps);
    for (int i = 0; i < p.firms; ++i) {
      sink.metric("mean_price", charged[i] / steps, i);
      sink.metric("mean_profit", paid[i] / steps, i);
    }
    sink.metric("time_to_convergence", static_cast<double>(facts.last_change));
  }

 private:
  /// The lowest price, and how many firms have it.
  CUMARL_HD static CUMARL_INLINE int32_t lowest(const Params& p, const int* actions, int& sellers) {
    int32_t least = actions[0];
    for (int i = 1; i < kMaxAgents && i < p.firms; ++i) {
      least = actions[i] < least ? actions[i] : least;
    }
    sellers = 0;
    for (int i = 0; i < kMaxAgents && i < p.firms; ++i) sellers += actions[i] == least ? 1 : 0;
    return least;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
