/// \file
/// Agents who each weigh one sector of a common portfolio.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/market_tools.hpp"
#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Agent i sets the weight w_i of sector i, from 0 to max_weight; the rest is cash, which pays and
/// costs nothing. The market is good or bad, stays as it is with probability `stay`, and everybody
/// sees which. Sector i returns mean_i (or bad_mean_i) + beta_i market_risk F + risk_i E_i, the
/// shocks F and E_i independent and uniform with mean 0 and variance 1. All are paid the same:
///     w'r - aversion / 2 (w'(r - mean))^2,
/// whose expectation is the mean-variance utility w'mean - aversion / 2 w'Vw, where V_ij = beta_i
/// beta_j market_risk^2 + [i = j] risk_i^2. The best weights in each market are solved for here;
/// without the bounds they are V^-1 mean / aversion.
///
/// Source: Markowitz, "Portfolio selection", Journal of Finance 7(1), 1952. Deviations: uniform
/// shocks; no budget, since cash may be negative.
struct Portfolio {
  static constexpr EnvFacts kFacts{
      "portfolio",
      "Sector agents of one portfolio, paid by its mean and variance",
      "Markowitz, Journal of Finance 1952",
      Family::market,
      "position on the grid of weights from 0 to max_weight; or the weight as a number",
      "floats: 1 in a bad market and 0 in a good one, the own sector's last return; table index: "
      "the market",
      "weights = 5\n"};
  static constexpr int kMaxAgents = 8;
  static constexpr int kMarkets = 2;
  static constexpr bool kSharedObservation = true;

  struct Config {
    int sectors = 3;
    int weights = 11;
    double max_weight = 1.0;
    std::vector<double> mean{0.06};
    std::vector<double> bad_mean{0.02};
    std::vector<double> beta{1.0};
    std::vector<double> risk{0.15};
    double market_risk = 0.15;
    double aversion = 2.0;
    double stay = 0.9;
    int horizon = 100;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("sectors", c.sectors, Bounds{1, kMaxAgents}, "", "number of sectors, one agent each");
    v("weights", c.weights, Bounds{2, 1024}, "", "weights to choose from, equally spaced");
    v("max_weight", c.max_weight, Bounds{1e-3, 100}, "", "largest weight");
    v("mean", c.mean, Bounds{-10, 10}, "return",
      "mean return in a good market: one value, or one a sector");
    v("bad_mean", c.bad_mean, Bounds{-10, 10}, "return",
      "mean return in a bad market: one value, or one a sector");
    v("beta", c.beta, Bounds{-10, 10}, "",
      "share in the market's shock: one value, or one a sector");
    v("risk", c.risk, Bounds{1e-3, 10}, "return",
      "standard deviation of the own shock: one value, or one a sector");
    v("market_risk", c.market_risk, Bounds{0, 10}, "return",
      "standard deviation of the market's shock");
    v("aversion", c.aversion, Bounds{1e-3, 1e3}, "1/return", "aversion to risk");
    v("stay", c.stay, Bounds{0, 1}, "", "probability that the market stays good or bad");
    v("horizon", c.horizon, Bounds{0, 1e9}, "periods",
      "length of an episode, a time limit; 0: endless");
  }

  struct Params {
    int32_t sectors;
    int32_t weights;
    uint32_t horizon;
    double max_weight;
    double aversion;
    double stay;
    double market_risk;
    double mean[kMarkets][kMaxAgents];
    double beta[kMaxAgents];
    double risk[kMaxAgents];
    double best[kMarkets][kMaxAgents];  ///< weights of greatest utility
    double best_utility[kMarkets];
  };

  struct State {
    int64_t last[kMaxAgents];  ///< last returns, in millionths
    uint32_t bad;              ///< 1 in a bad market
    uint32_t period;           ///< within the episode; stays 0 when endless
  };

  /// Throws ParameterError for lists of the wrong length.
  static Params make(const Config& c, Arena&) {
    Params p{};
    p.sectors = c.sectors;
    p.weights = c.weights;
    p.horizon = static_cast<uint32_t>(c.horizon);
    p.max_weight = c.max_weight;
    p.aversion = c.aversion;
    p.stay = c.stay;
    p.market_risk = c.market_risk;
    fill("mean", c.mean, c.sectors, p.mean[0]);
    fill("bad_mean", c.bad_mean, c.sectors, p.mean[1]);
    fill("beta", c.beta, c.sectors, p.beta);
    fill("risk", c.risk, c.sectors, p.risk);
    for (int m = 0; m < kMarkets; ++m) {
      solve(p, m);
      p.best_utility[m] = utility(p, m, p.best[m]);
    }
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.sectors; }
  CUMARL_HD static int actions(const Params& p, int) { return p.weights; }
  static Bounds action_range(const Params& p, int) { return {0.0, p.max_weight}; }
  CUMARL_HD static double action_value(const Params& p, int, int action) {
    return grid_value(0.0, p.max_weight, p.weights, action);
  }
  CUMARL_HD static uint32_t observations(const Params&, int) { return kMarkets; }
  CUMARL_HD static uint32_t observe_index(const Params&, const State& s, int) { return s.bad; }
  CUMARL_HD static int features(const Params&, int) { return 2; }
  CUMARL_HD static void observe(const Params&, const State& s, int agent, float* out) {
    out[0] = static_cast<float>(s.bad);
    out[1] = static_cast<float>(from_millionths(s.last[agent]));
  }
  static Bounds feature_range(const Params& p, int agent, int k) {
    if (k == 0) return {0.0, 1.0};
    const double good = p.mean[0][agent], bad = p.mean[1][agent], most = deviation(p, agent);
    return {(good < bad ? good : bad) - most, (good > bad ? good : bad) + most};
  }

  /// A good or a bad market, each with probability 1/2, and last returns drawn in it: a random
  /// word, and one a sector and one for the market.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s = State{};
    s.bad = rng.word() >> 31;
    double off[kMaxAgents] = {};
    shocks(p, off, rng);
    for (int i = 0; i < kMaxAgents && i < p.sectors; ++i) {
      s.last[i] = to_millionths(p.mean[s.bad][i] + off[i]);
    }
  }

  /// One period; a random word a sector, one for the market, and one for the next market. Shapes:
  /// actions int [agents], rewards float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    double weight[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < p.sectors; ++i) {
      weight[i] = action_value(p, i, actions[i]);
    }
    return step_real(p, s, weight, rewards, rng);
  }

  /// The same with weights, double [agents], which are kept within [0, max_weight].
  CUMARL_HD static Episode step_real(const Params& p, State& s, const double* weights,
                                     float* rewards, Rng& rng) {
    double off[kMaxAgents] = {};
    shocks(p, off, rng);
    double earned = 0, surprise = 0;
    for (int i = 0; i < kMaxAgents && i < p.sectors; ++i) {
      const double weight = clipped(weights[i], 0.0, p.max_weight);
      const double back = p.mean[s.bad][i] + off[i];
      earned += weight * back;
      surprise += weight * off[i];
      s.last[i] = to_millionths(back);
    }
    const double reward = earned - 0.5 * p.aversion * (surprise * surprise);
    for (int i = 0; i < kMaxAgents && i < p.sectors; ++i) rewards[i] = static_cast<float>(reward);
    if (!(unit_double(rng.word()) < p.stay)) s.bad = 1 - s.bad;
    if (p.horizon == 0) return Episode::goes_on;
    return ++s.period >= p.horizon ? Episode::cut : Episode::goes_on;
  }

  static Bounds reward_bounds(const Params& p) {
    double low = 0, high = 0, most = 0;
    for (int i = 0; i < p.sectors; ++i) {
      const Bounds back = feature_range(p, i, 1);
      low += p.max_weight * (back.min < 0 ? back.min : 0);
      high += p.max_weight * (back.max > 0 ? back.max : 0);
      most += p.max_weight * deviation(p, i);
    }
    return {low - 0.5 * p.aversion * most * most, high};
  }

  /// Shows the state as "last" (millionths), "bad" and "period". Throws ParameterError for returns
  /// that no sector can have.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t last[kMaxAgents];
    int64_t bad = s.bad, period = s.period;
    for (int i = 0; i < p.sectors; ++i) last[i] = s.last[i];
    v("last", last, p.sectors);
    v("bad", &bad, 1);
    v("period", &period, 1);
    State read{};
    for (int i = 0; i < p.sectors; ++i) {
      const Bounds range = feature_range(p, i, 1);
      read.last[i] =
          checked("last", last[i], to_millionths(range.min) - 1, to_millionths(range.max) + 1);
    }
    read.bad = static_cast<uint32_t>(checked("bad", bad, 0, 1));
    read.period = static_cast<uint32_t>(checked("period", period, 0, p.horizon));
    s = read;
  }

  /// w'mean - aversion / 2 w'Vw in a market. Shape: weights double [agents].
  CUMARL_HD static double utility(const Params& p, int market, const double* weights) {
    double earned = 0, common = 0, own = 0;
    for (int i = 0; i < kMaxAgents && i < p.sectors; ++i) {
      earned += weights[i] * p.mean[market][i];
      common += weights[i] * (p.beta[i] * p.market_risk);
      own += weights[i] * p.risk[i] * (weights[i] * p.risk[i]);
    }
    return earned - 0.5 * p.aversion * (common * common + own);
  }

  /// The learned policies are played (see watch_market). Besides what that reports, means over
  /// periods: of weights, of all sectors and of each; of the utility, expected over shocks; of what
  /// it lacks to the best weights' (regret, never below 0 but for rounding); and of |weight - best
  /// weight| (distance_to_optimum).
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    const int n = p.sectors;
    double set[kMaxAgents] = {};
    double reached = 0, regret = 0, away = 0;
    const auto steps = static_cast<double>(
        watch_market<Portfolio>(p, last, policy, facts, p.horizon > 0, sink,
                                [&](const State& before, const double* chosen, const State&) {
                                  const auto market = static_cast<int>(before.bad);
                                  double weight[kMaxAgents] = {};
                                  for (int i = 0; i < kMaxAgents && i < n; ++i) {
                                    weight[i] = clipped(chosen[i], 0.0, p.max_weight);
                                    set[i] += weight[i];
                                    const double off = weight[i] - p.best[market][i];
                                    away += off < 0 ? -off : off;
                                  }
                                  const double now = utility(p, market, weight);
                                  reached += now;
                                  regret += p.best_utility[market] - now;
                                }));
    double all = 0;
    for (int i = 0; i < n; ++i) all += set[i];
    sink.metric("mean_weight", all / n / steps);
    for (int i = 0; i < n; ++i) sink.metric("mean_weight", set[i] / steps, i);
    sink.metric("utility", reached / steps);
    sink.metric("regret", regret / steps);
    sink.metric("distance_to_optimum", away / n / steps);
  }

 private:
  static constexpr double kRoot3 = 1.7320508075688772;

  static void fill(const char* key, const std::vector<double>& given, int sectors, double* out) {
    const auto count = static_cast<size_t>(sectors);
    if (given.size() != 1 && given.size() != count) {
      throw ParameterError(key, "one value, or one a sector (" + std::to_string(count) + "), not " +
                                    std::to_string(given.size()));
    }
    for (size_t i = 0; i < count; ++i) out[i] = given[given.size() == 1 ? 0 : i];
  }

  /// The greatest deviation of a sector's return from its mean.
  static double deviation(const Params& p, int i) {
    return kRoot3 * ((p.beta[i] < 0 ? -p.beta[i] : p.beta[i]) * p.market_risk + p.risk[i]);
  }

  /// Deviations of returns from their means: uniform on [-sqrt 3, sqrt 3] has variance 1.
  CUMARL_HD static void shocks(const Params& p, double* off, Rng& rng) {
    const double market = p.market_risk * uniform(rng);
    for (int i = 0; i < kMaxAgents && i < p.sectors; ++i) {
      off[i] = p.beta[i] * market + p.risk[i] * uniform(rng);
    }
  }
  CUMARL_HD static double uniform(Rng& rng) {
    return kRoot3 * (2.0 * unit_double(rng.word()) - 1.0);
  }

  /// Weight by weight to its best value given the others: utility is strictly concave.
  static void solve(Params& p, int market) {
    double* w = p.best[market];
    const double v = p.market_risk * p.market_risk;
    for (int round = 0; round < 100'000; ++round) {
      double most = 0;
      for (int i = 0; i < p.sectors; ++i) {
        double others = 0;
        for (int j = 0; j < p.sectors; ++j) others += j == i ? 0.0 : p.beta[j] * w[j];
        const double wanted = (p.mean[market][i] / p.aversion - p.beta[i] * v * others) /
                              (p.beta[i] * p.beta[i] * v + p.risk[i] * p.risk[i]);
        const double next = clipped(wanted, 0.0, p.max_weight);
        const double moved = next < w[i] ? w[i] - next : next - w[i];
        most = moved > most ? moved : most;
        w[i] = next;
      }
      if (most < 1e-15) return;
    }
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
