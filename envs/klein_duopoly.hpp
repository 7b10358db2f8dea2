/// \file
/// Two firms that set prices in turns: the market of Klein (2021).
#pragma once

#include <cstdint>
#include <string>

#include "kernels/core/env.hpp"
#include "kernels/core/learner.hpp"
#include "kernels/core/outcome.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A joint step is a period. In it one firm, the mover, sets its price; the other's stands from the
/// period before, and its action is ignored. Then both are paid: buyers want 1 - p, all from the
/// cheaper firm, half from each at equal prices; there are no costs. Then the other firm is the
/// mover. Prices are the fractions 0, 1/k, ..., 1 of k intervals. The mover sees the other's price;
/// the other sees only that it is not its turn, as the last observation index.
/// A run starts with two prices drawn uniformly, and agent 0 moves.
/// Source: Maskin and Tirole, Econometrica 56(3), 1988; as a market of Q-learners: Klein, RAND
/// Journal of Economics 52(3), 2021, whose learner is turn_q. Deviation: none.
struct KleinDuopoly {
  static constexpr EnvFacts kFacts{
      "klein_duopoly",
      "Price competition in turns, two firms",
      "Klein, RAND Journal of Economics 2021; Maskin and Tirole, Econometrica 1988",
      Family::market,
      "price in units of 1/intervals; ignored where it is not the firm's turn",
      "the other firm's price in units of 1/intervals; the last index: not this firm's turn"};
  static constexpr int kMaxAgents = 2;
  static constexpr bool kSharedObservation = false;
  static constexpr int kMaxIntervals = 127;

  struct Config {
    int intervals = 6;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("intervals", c.intervals, Bounds{2, kMaxIntervals}, "", "k: prices are 0, 1/k, ..., 1");
  }

  struct Params {
    int32_t intervals;
  };
  static Params make(const Config& c, Arena&) { return {c.intervals}; }

  struct State {
    int32_t price[kMaxAgents];  ///< in units of 1/intervals
    int32_t mover;
  };

  CUMARL_HD static int agents(const Params&) { return kMaxAgents; }
  CUMARL_HD static int actions(const Params& p, int) { return p.intervals + 1; }
  CUMARL_HD static uint32_t observations(const Params& p, int) {
    return static_cast<uint32_t>(p.intervals) + 2;
  }
  CUMARL_HD static uint32_t observe_index(const Params& p, const State& s, int agent) {
    return static_cast<uint32_t>(agent == s.mover ? s.price[1 - agent] : p.intervals + 1);
  }
  /// Host: the observation of a firm whose turn it is not.
  static int64_t waiting_observation(const Params& p, int) { return int64_t{p.intervals} + 1; }
  CUMARL_HD static int features(const Params&, int) { return 2; }
  /// Whether it is the firm's turn, and the other's price from 0 to 1 (else 0).
  CUMARL_HD static void observe(const Params& p, const State& s, int agent, float* out) {
    const bool moves = agent == s.mover;
    out[0] = moves ? 1.0F : 0.0F;
    out[1] = moves ? static_cast<float>(price(p, s.price[1 - agent])) : 0.0F;
  }
  static Bounds reward_bounds(const Params&) { return {0.0, 0.25}; }

  /// Two random words.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    for (int i = 0; i < kMaxAgents; ++i) {
      s.price[i] = static_cast<int32_t>(rng.below(static_cast<uint32_t>(p.intervals) + 1));
    }
    s.mover = 0;
  }

  /// One period; uses no random numbers. Shapes: actions int [2], rewards float [2].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng&) {
    s.price[s.mover] = actions[s.mover];
    for (int i = 0; i < kMaxAgents; ++i) {
      rewards[i] = static_cast<float>(profit(p, s.price[i], s.price[1 - i]));
    }
    s.mover = 1 - s.mover;
    return Episode::goes_on;
  }

  /// Shows the state as "prices" and "mover". Throws ParameterError for others than there are.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t prices[kMaxAgents] = {s.price[0], s.price[1]};
    int64_t mover = s.mover;
    v("prices", prices, kMaxAgents);
    v("mover", &mover, 1);
    for (int i = 0; i < kMaxAgents; ++i) {
      if (prices[i] < 0 || prices[i] > int64_t{p.intervals}) {
        throw ParameterError("prices", "must be from 0 to " + std::to_string(p.intervals));
      }
      s.price[i] = static_cast<int32_t>(prices[i]);
    }
    if (mover != 0 && mover != 1) throw ParameterError("mover", "must be 0 or 1");
    s.mover = static_cast<int32_t>(mover);
  }

  /// The greedy policies are followed from the run's last state to their limit cycle (Brent's
  /// algorithm); stochastic ones are played for `evaluation.steps` periods. Reported are means over
  /// that path: a firm's profit a period (`mean_profit`), the lower of both prices
  /// (`market_price`), each firm's price (`mean_price`). And for deterministic policies: the length
  /// of the cycle; `optimality`, the discounted profit that a firm earns from the path's first own
  /// move on, as a share of what the best response to the other's policy would earn (Gamma of eq.
  /// (8), by policies instead of learned values); whether that is 1 up to 1e-5 for both, a Nash
  /// equilibrium (`nash_on_path`); whether it is one in which both charge the monopoly price all
  /// the time (`joint_maximum_nash`); whether both firms earn the same (`equal_profits`).
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    const bool deterministic = policy.deterministic();
    State s = last;
    uint32_t length = policy.evaluation().steps;
    if (deterministic) {
      length = 1;
      uint32_t power = 1;
      State hare = s;
      follow(p, policy, hare, 0);
      while (!same(s, hare)) {
        if (power == length) {
          s = hare;
          power *= 2;
          length = 0;
        }
        follow(p, policy, hare, 0);
        ++length;
      }
    }
    const State start = s;
    double paid[kMaxAgents] = {};
    double charged[kMaxAgents] = {};
    double market = 0;
    bool monopoly = true;
    for (uint32_t t = 0; t < length; ++t) {
      follow(p, policy, s, t);
      for (int i = 0; i < kMaxAgents; ++i) {
        paid[i] += profit(p, s.price[i], s.price[1 - i]);
        charged[i] += price(p, s.price[i]);
        monopoly = monopoly && 2 * s.price[i] == p.intervals;
      }
      market += price(p, s.price[0] < s.price[1] ? s.price[0] : s.price[1]);
    }
    sink.metric("mean_profit", (paid[0] + paid[1]) / 2 / length);
    for (int i = 0; i < kMaxAgents; ++i) sink.metric("mean_profit", paid[i] / length, i);
    sink.metric("market_price", market / length);
    for (int i = 0; i < kMaxAgents; ++i) sink.metric("mean_price", charged[i] / length, i);
    sink.metric("time_to_convergence", static_cast<double>(facts.last_change));
    if (!deterministic) return;

    sink.share("cycle_length", length);
    const double apart = paid[0] - paid[1];
    sink.share("equal_profits", apart < 1e-9 * length && apart > -1e-9 * length ? 1 : 0,
               Label::yes_no);
    if (policy.discount(0) >= 1.0 || policy.discount(1) >= 1.0) return;
    int32_t reply[kMaxAgents][kMaxIntervals + 1] = {};
    for (int i = 0; i < kMaxAgents; ++i) {
      for (int32_t other = 0; other <= p.intervals; ++other) {
        State at{};
        at.price[1 - i] = other;
        at.mover = i;
        int chosen[kMaxAgents] = {};
        policy.act(p, at, chosen);
        reply[i][other] = chosen[i];
      }
    }
    double gamma = 0;
    bool nash = true;
    for (int i = 0; i < kMaxAgents; ++i) {
      const int32_t seen = start.mover == i ? start.price[1 - i] : reply[1 - i][start.price[i]];
      const double share = optimality(p, reply[i], reply[1 - i], seen, policy.discount(i));
      sink.metric("optimality", share, i);
      gamma += share / kMaxAgents;
      nash = nash && share > 1 - 1e-5;
    }
    sink.metric("optimality", gamma);
    sink.share("nash_on_path", nash ? 1 : 0, Label::yes_no);
    sink.share("joint_maximum_nash", nash && monopoly ? 1 : 0, Label::yes_no);
  }

 private:
  CUMARL_HD static double price(const Params& p, int32_t units) {
    return static_cast<double>(units) / p.intervals;
  }
  CUMARL_HD static double profit(const Params& p, int32_t own, int32_t rival) {
    if (own > rival) return 0.0;
    const double alone = price(p, own) * (1 - price(p, own));
    return own == rival ? alone / 2 : alone;
  }
  CUMARL_HD static bool same(const State& a, const State& b) {
    return a.price[0] == b.price[0] && a.price[1] == b.price[1] && a.mover == b.mover;
  }
  template <class Policy>
  CUMARL_HD static void follow(const Params& p, const Policy& policy, State& s, uint64_t t) {
    int chosen[kMaxAgents] = {};
    policy.act(p, s, chosen, t);
    s.price[s.mover] = chosen[s.mover];
    s.mover = 1 - s.mover;
  }

  /// What policy `own` is worth at a move against the price `seen`, as a share of the best response
  /// to `rival`; both policies map the other's price to a reply. Value iteration from 0, until
  /// nothing grows by more than 1e-12.
  CUMARL_HD static double optimality(const Params& p, const int32_t* own, const int32_t* rival,
                                     int32_t seen, double discount) {
    const auto earned = [&](int32_t mine, int32_t other) {  // until the next own move
      return profit(p, mine, other) + discount * profit(p, mine, rival[mine]);
    };
    double best[kMaxIntervals + 1] = {};
    for (double grown = 1; grown > 1e-12;) {
      grown = 0;
      for (int32_t other = 0; other <= p.intervals; ++other) {
        double value = 0;
        for (int32_t mine = 0; mine <= p.intervals; ++mine) {
          const double one = earned(mine, other) + discount * discount * best[rival[mine]];
          value = one > value ? one : value;
        }
        grown = value - best[other] > grown ? value - best[other] : grown;
        best[other] = value;
      }
    }
    double mine = 0;
    double weight = 1;
    for (int32_t other = seen; weight > 1e-15; weight *= discount * discount) {
      mine += weight * earned(own[other], other);
      other = rival[own[other]];
    }
    return best[seen] > 0 ? mine / best[seen] : 1.0;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
