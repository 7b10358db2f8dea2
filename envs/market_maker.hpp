/// \file
/// Dealers who quote a spread against traders who may know more than they do.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "envs/market_tools.hpp"
#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// An asset is worth value_low or value_high, each with probability 1/2, and this is drawn anew for
/// every episode of `rounds` rounds. In a round every dealer quotes a half-spread s: it sells one
/// unit at m + s and buys one at m - s, m the asset's expected value given all trades so far. One
/// trader comes. With probability `informed` it knows the value and trades where it gains; else it
/// wants to buy or to sell, each with probability 1/2, and does so if s is not above what it is
/// willing to pay, drawn uniformly from [0, reservation] (reservation 0: always). It trades at the
/// lowest s, which dealers who quote the same share. They are paid price - value for a unit sold,
/// and value - price for one bought, at the true value. Then all update the probability of
/// value_high by Bayes' rule, from what was traded, or not, at that s.
///
/// A round's expected profit of all dealers, with b the probability of value_high, R the range of
/// values, a = informed and w(s) = max(0, 1 - s / reservation), is
///     f(s) = (1 - a) w(s) s - a b max(0, (1 - b) R - s) - a (1 - b) max(0, b R - s).
/// Competing dealers quote the lowest s with f(s) = 0: 2 a b (1 - b) R where noise traders always
/// trade and a <= 1/2, the spread of Glosten and Milgrom.
///
/// Source: Glosten and Milgrom, Journal of Financial Economics 14, 1985; with learning dealers
/// Colliard, Foucault and Lovo, "Algorithmic pricing and liquidity in securities markets", 2022.
/// Deviations: one half-spread on both sides; the probability is kept in millionths, and from
/// .000001 to .999999.
struct MarketMaker {
  static constexpr EnvFacts kFacts{
      "market_maker",
      "Dealers' spreads against informed and noise traders",
      "Glosten and Milgrom, Journal of Financial Economics 1985",
      Family::market,
      "position on the grid of half-spreads from 0 to max_half_spread; or the half-spread itself",
      "floats: probability of the high value given all trades, number of the round; table index: "
      "that probability, as the nearest of `bins` from 0 to 1",
      "spreads = 5\n"};
  static constexpr int kMaxAgents = 6;
  static constexpr bool kSharedObservation = true;

  struct Config {
    int dealers = 2;
    int rounds = 5;
    double informed = 0.3;
    double value_low = 0.0;
    double value_high = 2.0;
    double reservation = 2.0;
    int spreads = 21;
    double max_half_spread = 1.0;
    int bins = 11;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("dealers", c.dealers, Bounds{1, kMaxAgents}, "", "number of dealers");
    v("rounds", c.rounds, Bounds{1, 1e9}, "rounds", "length of an episode");
    v("informed", c.informed, Bounds{0, 1}, "", "probability that a trader knows the value");
    v("value_low", c.value_low, Bounds{-1e6, 1e6}, "price", "the low value");
    v("value_high", c.value_high, Bounds{-1e6, 1e6}, "price", "the high value");
    v("reservation", c.reservation, Bounds{0, 1e6}, "price",
      "the widest half-spread that any noise trader accepts; 0: they always trade");
    v("spreads", c.spreads, Bounds{2, 1024}, "", "half-spreads to choose from, equally spaced");
    v("max_half_spread", c.max_half_spread, Bounds{1e-6, 1e6}, "price", "the widest one");
    v("bins", c.bins, Bounds{1, 100001}, "", "probabilities that the table index tells apart");
  }

  struct Params {
    int32_t dealers;
    int32_t spreads;
    int32_t bins;
    uint32_t rounds;
    double informed;
    double low, range;  ///< value_low, value_high - value_low
    double reservation;
    double max_half_spread;
  };

  struct State {
    int64_t belief;  ///< probability of the high value given all trades, in millionths
    uint32_t round;
    uint32_t high;  ///< 1 if the value is the high one; nobody sees it
  };

  /// Throws ParameterError where the values are not in order.
  static Params make(const Config& c, Arena&) {
    if (!(c.value_high > c.value_low)) {
      throw ParameterError("value_high", "must be above value_low");
    }
    Params p{};
    p.dealers = c.dealers;
    p.spreads = c.spreads;
    p.bins = c.bins;
    p.rounds = static_cast<uint32_t>(c.rounds);
    p.informed = c.informed;
    p.low = c.value_low;
    p.range = c.value_high - c.value_low;
    p.reservation = c.reservation;
    p.max_half_spread = c.max_half_spread;
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.dealers; }
  CUMARL_HD static int actions(const Params& p, int) { return p.spreads; }
  static Bounds action_range(const Params& p, int) { return {0.0, p.max_half_spread}; }
  CUMARL_HD static double action_value(const Params& p, int, int action) {
    return grid_value(0.0, p.max_half_spread, p.spreads, action);
  }
  CUMARL_HD static uint32_t observations(const Params& p, int) {
    return static_cast<uint32_t>(p.bins);
  }
  CUMARL_HD static uint32_t observe_index(const Params& p, const State& s, int) {
    return static_cast<uint32_t>(grid_index(0.0, 1.0, p.bins, from_millionths(s.belief)));
  }
  CUMARL_HD static int features(const Params&, int) { return 2; }
  CUMARL_HD static void observe(const Params&, const State& s, int, float* out) {
    out[0] = static_cast<float>(from_millionths(s.belief));
    out[1] = static_cast<float>(s.round);
  }
  static Bounds feature_range(const Params& p, int, int k) {
    return {0.0, k == 0 ? 1.0 : static_cast<double>(p.rounds)};
  }

  /// A new value; one random word.
  CUMARL_HD static void reset(const Params&, State& s, Rng& rng) {
    s = State{500'000, 0, rng.word() >> 31};
  }

  /// One round; up to three random words. Shapes: actions int [agents], rewards float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    double quote[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < p.dealers; ++i) quote[i] = action_value(p, i, actions[i]);
    return step_real(p, s, quote, rewards, rng);
  }

  /// The same with half-spreads, double [agents], which are kept within [0, max_half_spread].
  CUMARL_HD static Episode step_real(const Params& p, State& s, const double* quotes,
                                     float* rewards, Rng& rng) {
    double quote[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < p.dealers; ++i) {
      quote[i] = clipped(quotes[i], 0.0, p.max_half_spread);
    }
    const double best = lowest(p, quotes);
    int sharing = 0;
    for (int i = 0; i < kMaxAgents && i < p.dealers; ++i) sharing += quote[i] == best ? 1 : 0;

    const double b = from_millionths(s.belief), middle = b * p.range;  // above value_low
    const bool gains_high = best < p.range - middle, gains_low = best < middle;
    int side = 0;  // 1: the trader buys, -1: it sells
    if (unit_double(rng.word()) < p.informed) {
      if (s.high == 1 && gains_high) side = 1;
      if (s.high == 0 && gains_low) side = -1;
    } else {
      const int wish = rng.word() >> 31 != 0 ? 1 : -1;
      if (p.reservation <= 0 || best <= p.reservation * unit_double(rng.word())) side = wish;
    }
    const double above = (s.high == 1 ? p.range : 0.0) - middle;  // true value over the middle
    const double profit = side == 0 ? 0.0 : best - side * above;
    for (int i = 0; i < kMaxAgents && i < p.dealers; ++i) {
      rewards[i] = quote[i] == best ? static_cast<float>(profit / sharing) : 0.0F;
    }
    s.belief = updated(p, b, best, side, gains_high, gains_low);
    return ++s.round >= p.rounds ? Episode::ended : Episode::goes_on;
  }

  static Bounds reward_bounds(const Params& p) { return {-p.range, p.max_half_spread + p.range}; }

  /// Shows the state as "belief" (millionths), "round" and "high". Throws ParameterError for other
  /// numbers than these can have.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t belief = s.belief, round = s.round, high = s.high;
    v("belief", &belief, 1);
    v("round", &round, 1);
    v("high", &high, 1);
    s = State{checked("belief", belief, 1, 999'999),
              static_cast<uint32_t>(checked("round", round, 0, p.rounds)),
              static_cast<uint32_t>(checked("high", high, 0, 1))};
  }

  /// f(s): a round's expected profit of all dealers at the lowest half-spread s.
  CUMARL_HD static double expected_profit(const Params& p, double belief, double s) {
    const double b = belief, a = p.informed;
    double willing = 1.0;
    if (p.reservation > 0) willing = s < p.reservation ? 1.0 - s / p.reservation : 0.0;
    const double high = (1 - b) * p.range - s, low = b * p.range - s;
    return (1 - a) * willing * s - (high > 0 ? a * b * high : 0.0) -
           (low > 0 ? a * (1 - b) * low : 0.0);
  }

  /// The lowest s with f(s) = 0; where noise traders cannot pay for the informed ones, the s that
  /// keeps all of them out, max(b, 1 - b) R. f is made of two quadratics, that end where the
  /// informed trader of either value no longer gains.
  CUMARL_HD static double zero_profit_half_spread(const Params& p, double belief) {
    const double less = belief < 0.5 ? belief : 1 - belief, more = 1 - less, a = p.informed;
    const double bend = p.reservation > 0 ? (1 - a) / p.reservation : 0.0;
    const double slack = 1e-12 * p.range;
    double from = 0;
    for (int k = 0; k < 2; ++k) {
      double to = (k == 0 ? less : more) * p.range;
      if (p.reservation > 0 && p.reservation < to) to = p.reservation;
      // f(s) = slope s - bend s^2 - loss
      const double loss = (k == 0 ? 2 : 1) * a * less * more * p.range;
      const double slope = 1 - a + a * (k == 0 ? 1.0 : less);
      const double root = slope * slope - 4 * bend * loss;
      if (to > from && root >= 0) {
        const double s = loss > 0 ? 2 * loss / (slope + __builtin_sqrt(root)) : 0.0;
        if (s >= from - slack && s <= to + slack) return clipped(s, from, to);
      }
      from = to > from ? to : from;
    }
    return more * p.range;
  }

  /// The learned policies quote in `evaluation.episodes` episodes (see watch_market). Besides what
  /// that reports, means over rounds: of the lowest half-spread; of the profit of all dealers that
  /// is to be expected from it (expected_profit, 0 where they compete); of the zero-profit
  /// half-spread; of the difference of the two half-spreads (markup); and of |value - expected
  /// value| after the round, as a share of the range (pricing_error).
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    double quoted = 0, profit = 0, zero = 0, error = 0;
    const auto steps = static_cast<double>(watch_market<MarketMaker>(
        p, last, policy, facts, true, sink,
        [&](const State& before, const double* quotes, const State& after) {
          const double best = lowest(p, quotes), belief = from_millionths(before.belief);
          quoted += best;
          profit += expected_profit(p, belief, best);
          zero += zero_profit_half_spread(p, belief);
          const double now = from_millionths(after.belief);
          error += before.high == 1 ? 1 - now : now;
        }));
    sink.metric("half_spread", quoted / steps);
    sink.metric("expected_profit", profit / steps);
    sink.metric("zero_profit_half_spread", zero / steps);
    sink.metric("markup", (quoted - zero) / steps);
    sink.metric("pricing_error", error / steps);
  }

 private:
  CUMARL_HD static double lowest(const Params& p, const double* quotes) {
    double best = p.max_half_spread;
    for (int i = 0; i < kMaxAgents && i < p.dealers; ++i) {
      const double quote = clipped(quotes[i], 0.0, p.max_half_spread);
      best = quote < best ? quote : best;
    }
    return best;
  }

  /// Bayes' rule, in millionths.
  CUMARL_HD static int64_t updated(const Params& p, double b, double best, int side,
                                   bool gains_high, bool gains_low) {
    const double a = p.informed;
    double willing = 1.0;
    if (p.reservation > 0) willing = best < p.reservation ? 1.0 - best / p.reservation : 0.0;
    const double noise = side == 0 ? (1 - a) * (1 - willing) : 0.5 * (1 - a) * willing;
    double if_high = noise, if_low = noise;
    if (side == (gains_high ? 1 : 0)) if_high += a;
    if (side == (gains_low ? -1 : 0)) if_low += a;
    const double both = b * if_high + (1 - b) * if_low;
    if (!(both > 0)) return to_millionths(b);
    return to_millionths(clipped(b * if_high / both, 1e-6, 1 - 1e-6));
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
