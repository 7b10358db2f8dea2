/// \file
/// A call market: buyers and sellers send limit orders, which clear at one price.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "envs/market_tools.hpp"
#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Each period every trader wants one unit: buyers have a value, sellers a cost, whole numbers
/// drawn uniformly from 0 to max_value and known to themselves only. All send a limit price.
/// Besides the agents there are noise traders (numbers 0, 2, ... buy, 1, 3, ... sell) with values
/// of their own, who draw their price uniformly from the whole numbers at which they cannot lose.
///
/// Clearing: with bids from the highest and asks from the lowest on (equal ones by number, agents
/// before noise traders), q units trade, q the most for which bid q >= ask q. The price is
/// low + k (high - low), [low, high] being all prices at which exactly these q units would trade:
/// from the greater of ask q and bid q+1 to the smaller of bid q and ask q+1. A buyer earns
/// value - price, a seller price - cost, and who does not trade 0.
///
/// Source: the k-double auction, Chatterjee and Samuelson, Operations Research 31(5), 1983, and
/// Rustichini, Satterthwaite and Williams, Econometrica 62(5), 1994; noise traders that cannot
/// lose: Gode and Sunder, JPE 101(1), 1993. Deviation: values and noise prices are whole numbers.
struct DoubleAuction {
  static constexpr EnvFacts kFacts{
      "double_auction",
      "Call market of buyers, sellers and noise traders",
      "Chatterjee and Samuelson, Operations Research 1983; Gode and Sunder, JPE 1993",
      Family::market,
      "position on the grid of limit prices from 0 to max_value; or the price as a number",
      "floats: own value or cost, 1 for a buyer and 0 for a seller; table index: own value or cost",
      "prices = 5\nmax_value = 8\nnoise = 2\n"};
  static constexpr int kMaxAgents = 8;
  static constexpr int kMaxNoise = 16;
  static constexpr bool kSharedObservation = false;

  struct Config {
    int buyers = 2;
    int sellers = 2;
    int noise = 4;
    int max_value = 20;
    int prices = 21;
    double k = 0.5;
    int horizon = 20;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("buyers", c.buyers, Bounds{0, kMaxAgents}, "", "number of buyers, the first agents");
    v("sellers", c.sellers, Bounds{0, kMaxAgents}, "", "number of sellers");
    v("noise", c.noise, Bounds{0, kMaxNoise}, "", "number of noise traders");
    v("max_value", c.max_value, Bounds{1, 10000}, "price", "highest value and cost");
    v("prices", c.prices, Bounds{2, 10001}, "", "limit prices to choose from, equally spaced");
    v("k", c.k, Bounds{0, 1}, "", "where in the range of clearing prices; 1: the highest");
    v("horizon", c.horizon, Bounds{0, 1e9}, "periods",
      "length of an episode, a time limit; 0: endless");
  }

  struct Params {
    int32_t buyers;
    int32_t traders;  ///< agents
    int32_t noise;
    int32_t max_value;
    int32_t prices;
    uint32_t horizon;
    double k;
  };

  struct State {
    int16_t value[kMaxAgents];       ///< of buyers; costs of sellers
    int16_t noise_value[kMaxNoise];  ///< likewise
    int16_t noise_price[kMaxNoise];
    uint32_t period;  ///< within the episode; stays 0 when endless
  };

  /// Throws ParameterError for less than one or more than kMaxAgents agents.
  static Params make(const Config& c, Arena&) {
    if (c.buyers + c.sellers < 1 || c.buyers + c.sellers > kMaxAgents) {
      throw ParameterError("sellers", "must be such that there are 1 to " +
                                          std::to_string(kMaxAgents) + " buyers and sellers");
    }
    Params p{};
    p.buyers = c.buyers;
    p.traders = c.buyers + c.sellers;
    p.noise = c.noise;
    p.max_value = c.max_value;
    p.prices = c.prices;
    p.horizon = static_cast<uint32_t>(c.horizon);
    p.k = c.k;
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.traders; }
  CUMARL_HD static int actions(const Params& p, int) { return p.prices; }
  static Bounds action_range(const Params& p, int) {
    return {0.0, static_cast<double>(p.max_value)};
  }
  CUMARL_HD static double action_value(const Params& p, int, int action) {
    return grid_value(0.0, p.max_value, p.prices, action);
  }
  CUMARL_HD static uint32_t observations(const Params& p, int) {
    return static_cast<uint32_t>(p.max_value) + 1;
  }
  CUMARL_HD static uint32_t observe_index(const Params&, const State& s, int agent) {
    return static_cast<uint32_t>(s.value[agent]);
  }
  CUMARL_HD static int features(const Params&, int) { return 2; }
  CUMARL_HD static void observe(const Params& p, const State& s, int agent, float* out) {
    out[0] = static_cast<float>(s.value[agent]);
    out[1] = agent < p.buyers ? 1.0F : 0.0F;
  }
  static Bounds feature_range(const Params& p, int, int k) {
    return {0.0, k == 0 ? static_cast<double>(p.max_value) : 1.0};
  }

  /// Values of a first period: one random word an agent, two a noise trader.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s = State{};
    draw(p, s, rng);
  }

  /// One period, then new values are drawn, as in reset. Shapes: actions int [agents], rewards
  /// float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    double price[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < p.traders; ++i) price[i] = action_value(p, i, actions[i]);
    return step_real(p, s, price, rewards, rng);
  }

  /// The same with limit prices, double [agents], which are kept within [0, max_value].
  CUMARL_HD static Episode step_real(const Params& p, State& s, const double* prices,
                                     float* rewards, Rng& rng) {
    const Clearing c = clear(p, s, prices);
    for (int i = 0; i < kMaxAgents && i < p.traders; ++i) {
      const double gain = i < p.buyers ? s.value[i] - c.price : c.price - s.value[i];
      rewards[i] = c.trades >> i & 1U ? static_cast<float>(gain) : 0.0F;
    }
    draw(p, s, rng);
    if (p.horizon == 0) return Episode::goes_on;
    return ++s.period >= p.horizon ? Episode::cut : Episode::goes_on;
  }

  static Bounds reward_bounds(const Params& p) {
    return {-static_cast<double>(p.max_value), static_cast<double>(p.max_value)};
  }

  /// Shows the state as "value", "noise_value", "noise_price" and "period". Throws ParameterError
  /// for numbers off their range.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t value[kMaxAgents], noise_value[kMaxNoise], noise_price[kMaxNoise];
    int64_t period = s.period;
    std::copy(s.value, s.value + p.traders, value);
    std::copy(s.noise_value, s.noise_value + p.noise, noise_value);
    std::copy(s.noise_price, s.noise_price + p.noise, noise_price);
    v("value", value, p.traders);
    v("noise_value", noise_value, p.noise);
    v("noise_price", noise_price, p.noise);
    v("period", &period, 1);
    const auto fits = [&](const char* key, int64_t x) {
      return static_cast<int16_t>(checked(key, x, 0, p.max_value));
    };
    State read{};
    for (int i = 0; i < p.traders; ++i) read.value[i] = fits("value", value[i]);
    for (int j = 0; j < p.noise; ++j) {
      read.noise_value[j] = fits("noise_value", noise_value[j]);
      read.noise_price[j] = fits("noise_price", noise_price[j]);
    }
    read.period = static_cast<uint32_t>(checked("period", period, 0, p.horizon));
    s = read;
  }

  /// The learned policies trade (see watch_market). Besides what that reports: gains from trade as
  /// a share of what truthful orders of all, noise traders too, would bring (efficiency: sums
  /// divided; 1 where nothing could be gained); units traded a period (volume); and the mean price
  /// of periods with trade (0 without).
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    double gained = 0, possible = 0, units = 0, price = 0, traded = 0;
    const auto steps = static_cast<double>(
        watch_market<DoubleAuction>(p, last, policy, facts, p.horizon > 0, sink,
                                    [&](const State& before, const double* chosen, const State&) {
                                      const Clearing c = clear(p, before, chosen);
                                      gained += c.surplus;
                                      units += c.units;
                                      price += c.units > 0 ? c.price : 0.0;
                                      traded += c.units > 0 ? 1 : 0;
                                      double truth[kMaxAgents] = {};
                                      State honest = before;
                                      for (int i = 0; i < kMaxAgents && i < p.traders; ++i)
                                        truth[i] = before.value[i];
                                      for (int j = 0; j < kMaxNoise && j < p.noise; ++j) {
                                        honest.noise_price[j] = before.noise_value[j];
                                      }
                                      possible += clear(p, honest, truth).surplus;
                                    }));
    sink.metric("efficiency", possible > 0 ? gained / possible : 1.0);
    sink.metric("volume", units / steps);
    sink.metric("mean_price", traded > 0 ? price / traded : 0.0);
  }

 private:
  static constexpr int kMaxOrders = kMaxAgents + kMaxNoise;

  struct Clearing {
    double price;     ///< 0 where nothing trades
    double surplus;   ///< values of the buyers who trade minus costs of the sellers who do
    uint32_t trades;  ///< agents who trade, a bit each
    int32_t units;
  };

  /// Orders of one side, best first.
  struct Book {
    double price[kMaxOrders];
    int8_t owner[kMaxOrders];  ///< agents, then noise traders
    int32_t size;
  };
  /// Puts an order behind those that are as good; `sign` 1 for bids, -1 for asks.
  CUMARL_HD static void enter(Book& book, double price, int owner, double sign) {
    int at = book.size++;
    for (; at > 0 && sign * book.price[at - 1] < sign * price; --at) {
      book.price[at] = book.price[at - 1];
      book.owner[at] = book.owner[at - 1];
    }
    book.price[at] = price;
    book.owner[at] = static_cast<int8_t>(owner);
  }

  CUMARL_HD static Clearing clear(const Params& p, const State& s, const double* prices) {
    Book bids, asks;
    bids.size = asks.size = 0;
    for (int i = 0; i < kMaxAgents && i < p.traders; ++i) {
      const double price = clipped(prices[i], 0.0, p.max_value);
      if (i < p.buyers) enter(bids, price, i, 1);
      if (i >= p.buyers) enter(asks, price, i, -1);
    }
    for (int j = 0; j < kMaxNoise && j < p.noise; ++j) {
      if (j % 2 == 0) enter(bids, s.noise_price[j], p.traders + j, 1);
      if (j % 2 == 1) enter(asks, s.noise_price[j], p.traders + j, -1);
    }
    Clearing c{};
    int q = 0;
    while (q < bids.size && q < asks.size && bids.price[q] >= asks.price[q]) ++q;
    c.units = q;
    if (q == 0) return c;
    double low = asks.price[q - 1], high = bids.price[q - 1];
    if (q < bids.size && bids.price[q] > low) low = bids.price[q];
    if (q < asks.size && asks.price[q] < high) high = asks.price[q];
    c.price = low + p.k * (high - low);
    for (int k = 0; k < q; ++k) {
      c.surplus += value_of(p, s, bids.owner[k]) - value_of(p, s, asks.owner[k]);
      if (bids.owner[k] < p.traders) c.trades |= 1U << bids.owner[k];
      if (asks.owner[k] < p.traders) c.trades |= 1U << asks.owner[k];
    }
    return c;
  }
  CUMARL_HD static int value_of(const Params& p, const State& s, int owner) {
    return owner < p.traders ? s.value[owner] : s.noise_value[owner - p.traders];
  }

  CUMARL_HD static void draw(const Params& p, State& s, Rng& rng) {
    const auto count = static_cast<uint32_t>(p.max_value) + 1;
    for (int i = 0; i < kMaxAgents && i < p.traders; ++i) {
      s.value[i] = static_cast<int16_t>(rng.below(count));
    }
    for (int j = 0; j < kMaxNoise && j < p.noise; ++j) {
      const uint32_t value = rng.below(count);
      s.noise_value[j] = static_cast<int16_t>(value);
      s.noise_price[j] = static_cast<int16_t>(j % 2 == 0 ? rng.below(value + 1)
                                                         : value + rng.below(count - value));
    }
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
