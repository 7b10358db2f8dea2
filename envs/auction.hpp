/// \file
/// Sealed-bid auctions with private values: first and second price.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Each period one good is auctioned. Every bidder draws a value, independent and uniform on the
/// grid k / (values - 1), sees it alone, and bids from the grid k / (bids - 1) * highest_bid. The
/// highest bid wins, a tie by an even chance, and the winner gets its value minus the price: its own
/// bid (first price), or the highest bid of the others (second price); the others get 0. Endless.
/// Equilibria: second price: bidding the value is weakly dominant. First price, on fine grids: n
/// bidders bid (n - 1) / n of the value. In both the revenue is then near (n - 1) / (n + 1).
/// Source: Vickrey, "Counterspeculation, auctions, and competitive sealed tenders", Journal of
/// Finance 16, 1961. Deviation: grids of values and bids.
struct Auction {
  static constexpr EnvFacts kFacts{"auction",
                                   "Sealed-bid auction with private values",
                                   "Vickrey, Journal of Finance 1961",
                                   Family::matrix,
                                   "position on the grid of bids, 0 bids nothing",
                                   "the bidder's own value: position on the grid of values"};
  static constexpr int kMaxAgents = 8;
  static constexpr int kMaxValues = 128;
  static constexpr bool kSharedObservation = false;

  struct Config {
    Choice price;
    int bidders = 2;
    int values = 11;
    int bids = 11;
    double highest_bid = 1.0;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v.choice("price", c.price, {"first", "second"}, "what the winner pays: its bid, or the next");
    v("bidders", c.bidders, Bounds{2, kMaxAgents}, "", "number of bidders");
    v("values", c.values, Bounds{2, kMaxValues}, "", "values, equally spaced from 0 to 1");
    v("bids", c.bids, Bounds{2, 128}, "", "bids, equally spaced from 0 to highest_bid");
    v("highest_bid", c.highest_bid, Bounds{1e-6, 1e6}, "value", "the highest bid");
  }

  struct Params {
    int32_t bidders;
    int32_t values;
    int32_t bids;
    bool second_price;
    double highest_bid;
    double truthful_revenue;  ///< mean of the second highest value
  };
  /// Byte i: the position of bidder i's value.
  struct State {
    uint64_t values;
  };

  static Params make(const Config& c, Arena&) {
    // P(second highest <= k) = F^n + n F^(n-1) (1 - F), F = (k + 1) / values
    double revenue = 0;
    for (int k = 0; k + 1 < c.values; ++k) {
      const double f = (k + 1.0) / c.values;
      double all_but_one = 1;
      for (int i = 1; i < c.bidders; ++i) all_but_one *= f;
      revenue += 1 - (all_but_one * f + c.bidders * all_but_one * (1 - f));
    }
    return {c.bidders,          c.values,      c.bids,
            c.price.value == 1, c.highest_bid, revenue / (c.values - 1)};
  }

  CUMARL_HD static int agents(const Params& p) { return p.bidders; }
  CUMARL_HD static int actions(const Params& p, int) { return p.bids; }
  CUMARL_HD static uint32_t observations(const Params& p, int) {
    return static_cast<uint32_t>(p.values);
  }
  CUMARL_HD static uint32_t observe_index(const Params&, const State& s, int bidder) {
    return static_cast<uint32_t>(s.values >> (8 * bidder)) & 0xFFU;
  }
  CUMARL_HD static int features(const Params&, int) { return 1; }
  /// The bidder's value, 0 to 1.
  CUMARL_HD static void observe(const Params& p, const State& s, int bidder, float* out) {
    out[0] = static_cast<float>(value(p, s, bidder));
  }
  /// From winning worthless goods at the highest bid to winning the best one for nothing.
  static Bounds reward_bounds(const Params& p) { return {-p.highest_bid, 1.0}; }

  /// A random word a bidder.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s.values = 0;
    for (int i = 0; i < kMaxAgents && i < p.bidders; ++i) {
      s.values |= uint64_t{rng.below(static_cast<uint32_t>(p.values))} << (8 * i);
    }
  }

  /// One auction, then new values; a random word if there is a tie, and one a bidder. Shapes:
  /// actions int [agents], rewards float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    const Sale sale = sell(p, actions, rng);
    for (int i = 0; i < kMaxAgents && i < p.bidders; ++i) {
      rewards[i] = i == sale.winner ? static_cast<float>(value(p, s, i) - sale.price) : 0.0F;
    }
    reset(p, s, rng);
    return Episode::goes_on;
  }

  /// Shows the state as "values", positions on the grid. Throws ParameterError beyond it.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t at[kMaxAgents];
    for (int i = 0; i < p.bidders; ++i) at[i] = observe_index(p, s, i);
    v("values", at, p.bidders);
    s.values = 0;
    for (int i = 0; i < p.bidders; ++i) {
      if (at[i] < 0 || at[i] >= p.values) {
        throw ParameterError("values", "must be from 0 to " + std::to_string(p.values - 1));
      }
      s.values |= static_cast<uint64_t>(at[i]) << (8 * i);
    }
  }

  /// The learned policies take part in `evaluation.steps` auctions. Reported are means: of a
  /// bidder's reward; of the price (revenue), also as a share of what truthful second-price bidding
  /// would bring; of the winner's value as a share of the highest value (efficiency: sums over all
  /// auctions divided); and, as curves, each value and the bidders' mean bid for it.
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    const int n = p.bidders;
    const uint32_t steps = policy.evaluation().steps;
    int chosen[kMaxAgents] = {};
    double won[kMaxAgents] = {};
    double revenue = 0, given = 0, best = 0;
    State s = last;
    for (uint32_t t = 0; t < steps; ++t) {
      policy.act(p, s, chosen, t);
      Rng rng(policy.key(), (uint64_t{2} << 32) + t, Stream::evaluate);
      const Sale sale = sell(p, chosen, rng);
      double highest = 0;
      for (int i = 0; i < kMaxAgents && i < n; ++i) {
        const double mine = value(p, s, i);
        highest = mine > highest ? mine : highest;
        if (i == sale.winner) {
          won[i] += mine - sale.price;
          given += mine;
        }
      }
      revenue += sale.price;
      best += highest;
      reset(p, s, rng);
    }
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += won[i];
    sink.metric("return_per_step", sum / n / steps);
    for (int i = 0; i < n; ++i) sink.metric("return_per_step", won[i] / steps, i);
    sink.metric("revenue", revenue / steps);
    sink.metric("revenue_share", revenue / steps / p.truthful_revenue);
    sink.metric("efficiency", best > 0 ? given / best : 1.0);
    sink.metric("time_to_convergence", static_cast<double>(facts.last_change));
    for (int k = 0; k < p.values; ++k) {
      sink.curve("value", k, static_cast<double>(k) / (p.values - 1));
    }
    for (int k = 0; k < p.values; ++k) {
      s.values = 0;
      for (int i = 0; i < kMaxAgents && i < n; ++i) {
        s.values |= static_cast<uint64_t>(k) << (8 * i);
      }
      policy.act(p, s, chosen, uint64_t{steps} + static_cast<uint64_t>(k));
      double bid = 0;
      for (int i = 0; i < kMaxAgents && i < n; ++i) bid += bid_of(p, chosen[i]);
      sink.curve("mean_bid", k, bid / n);
    }
  }

 private:
  struct Sale {
    int winner;
    double price;
  };

  CUMARL_HD static CUMARL_INLINE double value(const Params& p, const State& s, int bidder) {
    return static_cast<double>(observe_index(p, s, bidder)) / (p.values - 1);
  }
  CUMARL_HD static CUMARL_INLINE double bid_of(const Params& p, int action) {
    return p.highest_bid * action / (p.bids - 1);
  }
  CUMARL_HD static CUMARL_INLINE Sale sell(const Params& p, const int* actions, Rng& rng) {
    int first = -1;   // highest bid
    int second = -1;  // highest of the others, equal to it in a tie
    uint32_t tied = 0;
    for (int i = 0; i < kMaxAgents && i < p.bidders; ++i) {
      if (actions[i] > first) {
        second = first;
        first = actions[i];
        tied = 1;
      } else {
        second = actions[i] > second ? actions[i] : second;
        tied += actions[i] == first ? 1 : 0;
      }
    }
    uint32_t skip = tied > 1 ? rng.below(tied) : 0;
    int winner = 0;
    for (int i = 0; i < kMaxAgents && i < p.bidders; ++i) {
      if (actions[i] != first) continue;
      winner = i;
      if (skip == 0) break;
      --skip;
    }
    return {winner, bid_of(p, p.second_price ? second : first)};
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
