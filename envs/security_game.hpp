/// \file
/// A Stackelberg security game: patrols that an attacker has watched.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/market_tools.hpp"
#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A defender (agent 0) covers `resources` of the targets, and an attacker (agent 1) attacks one,
/// at the same time. Each is paid by whether the attacked target was covered. Both see which
/// targets were covered in the last `window` periods; so a defender who mixes is the leader of the
/// game, and an attacker who learns follows.
///
/// Solved here: the strong Stackelberg equilibrium of mixed coverage, c_t the probability that
/// target t is covered. To hold the attacker to v everywhere takes c_t = (uncovered_t - v) /
/// (uncovered_t - covered_t) where its uncovered payoff is above v; the defender commits to the
/// coverage of the lowest v that `resources` allow, no lower than any covered payoff, and of the
/// targets that pay v the attacker takes the one best for the defender.
///
/// Source: Kiekintveld, Jain, Tsai, Pita, Ordonez and Tambe, "Computing optimal randomized resource
/// allocations for massive security games", AAMAS 2009 (ORIGAMI, here by bisection). Deviation: the
/// game is repeated, and what the attacker knows of the coverage is what it has seen.
struct SecurityGame {
  static constexpr EnvFacts kFacts{
      "security_game",
      "Stackelberg security game: a defender's patrols and an attacker who watched them",
      "Kiekintveld et al., AAMAS 2009",
      Family::market,
      "defender: number of the covered set, sets in the order of their targets' numbers; attacker: "
      "the target",
      "floats: the share of the last `window` periods in which each target was covered (0 without "
      "a window); table index: the sets covered in them",
      ""};
  static constexpr int kMaxAgents = 2;
  static constexpr int kMaxTargets = 8;
  static constexpr int kMaxSets = 70;  ///< 4 of 8 targets
  static constexpr int kMaxWindow = 4;
  static constexpr bool kSharedObservation = true;

  struct Config {
    int targets = 3;
    int resources = 1;
    std::vector<double> defender_covered{0.0};
    std::vector<double> defender_uncovered{-5.0, -3.0, -1.0};
    std::vector<double> attacker_covered{-1.0};
    std::vector<double> attacker_uncovered{5.0, 3.0, 1.0};
    int window = 2;
    int horizon = 100;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("targets", c.targets, Bounds{2, kMaxTargets}, "", "number of targets");
    v("resources", c.resources, Bounds{1, kMaxTargets - 1}, "", "targets covered at a time");
    v("defender_covered", c.defender_covered, Bounds{-1e6, 1e6}, "payoff",
      "defender's, if the attacked target is covered: one value, or one a target");
    v("defender_uncovered", c.defender_uncovered, Bounds{-1e6, 1e6}, "payoff",
      "defender's, if it is not covered: one value, or one a target");
    v("attacker_covered", c.attacker_covered, Bounds{-1e6, 1e6}, "payoff",
      "attacker's, if it is covered: one value, or one a target");
    v("attacker_uncovered", c.attacker_uncovered, Bounds{-1e6, 1e6}, "payoff",
      "attacker's, if it is not covered: one value, or one a target");
    v("window", c.window, Bounds{0, kMaxWindow}, "periods", "past coverage that both see");
    v("horizon", c.horizon, Bounds{0, 1e9}, "periods",
      "length of an episode, a time limit; 0: endless");
  }

  struct Params {
    int32_t targets;
    int32_t resources;
    int32_t sets;
    int32_t window;
    uint32_t older;         ///< sets^(window-1)
    uint32_t observations;  ///< sets^window
    uint32_t horizon;
    int32_t attacked;                  ///< the target attacked in equilibrium
    double payoff[2][2][kMaxTargets];  ///< [agent][covered][target]
    double coverage[kMaxTargets];      ///< in equilibrium
    double value[2];                   ///< of the equilibrium to each agent
    uint8_t set[kMaxSets];             ///< targets, a bit each
  };

  struct State {
    uint32_t history;  ///< the last `window` sets, newest in the lowest digit
    uint32_t period;   ///< within the episode; stays 0 when endless
  };

  /// Throws ParameterError for lists of the wrong length, as many resources as targets, and payoffs
  /// by which coverage would harm the defender or not deter the attacker.
  static Params make(const Config& c, Arena&) {
    if (c.resources >= c.targets) throw ParameterError("resources", "must be less than targets");
    Params p{};
    p.targets = c.targets;
    p.resources = c.resources;
    p.window = c.window;
    p.horizon = static_cast<uint32_t>(c.horizon);
    fill("defender_uncovered", c.defender_uncovered, c.targets, p.payoff[0][0]);
    fill("defender_covered", c.defender_covered, c.targets, p.payoff[0][1]);
    fill("attacker_uncovered", c.attacker_uncovered, c.targets, p.payoff[1][0]);
    fill("attacker_covered", c.attacker_covered, c.targets, p.payoff[1][1]);
    for (int t = 0; t < c.targets; ++t) {
      if (p.payoff[0][1][t] < p.payoff[0][0][t]) {
        throw ParameterError("defender_covered", "must not be below defender_uncovered");
      }
      if (!(p.payoff[1][1][t] < p.payoff[1][0][t])) {
        throw ParameterError("attacker_covered", "must be below attacker_uncovered");
      }
    }
    // sets in the order of their targets, so that with one resource set t is target t
    std::vector<int> chosen(static_cast<size_t>(c.resources));
    for (int k = 0; k < c.resources; ++k) chosen[static_cast<size_t>(k)] = k;
    for (;;) {
      unsigned mask = 0;
      for (const int t : chosen) mask |= 1U << t;
      p.set[p.sets++] = static_cast<uint8_t>(mask);
      int k = c.resources - 1;
      while (k >= 0 && chosen[static_cast<size_t>(k)] == c.targets - c.resources + k) --k;
      if (k < 0) break;
      ++chosen[static_cast<size_t>(k)];
      for (int j = k + 1; j < c.resources; ++j) {
        chosen[static_cast<size_t>(j)] = chosen[static_cast<size_t>(j - 1)] + 1;
      }
    }
    p.older = p.observations = 1;  // of 70 sets at most 70^4, about 2.4e7
    for (int k = 0; k < c.window; ++k) {
      p.older = p.observations;
      p.observations *= static_cast<uint32_t>(p.sets);
    }
    solve(p);
    return p;
  }

  CUMARL_HD static int agents(const Params&) { return 2; }
  CUMARL_HD static int actions(const Params& p, int agent) {
    return agent == 0 ? p.sets : p.targets;
  }
  CUMARL_HD static uint32_t observations(const Params& p, int) { return p.observations; }
  CUMARL_HD static uint32_t observe_index(const Params&, const State& s, int) { return s.history; }
  CUMARL_HD static int features(const Params& p, int) { return p.targets; }
  CUMARL_HD static void observe(const Params& p, const State& s, int, float* out) {
    for (int t = 0; t < kMaxTargets && t < p.targets; ++t) {
      const auto sets = static_cast<uint32_t>(p.sets);
      uint32_t history = s.history;
      int times = 0;
      for (int k = 0; k < p.window; ++k) {
        times += p.set[history % sets] >> t & 1;
        history /= sets;
      }
      out[t] = p.window > 0 ? static_cast<float>(times) / static_cast<float>(p.window) : 0.0F;
    }
  }
  static Bounds feature_range(const Params&, int, int) { return {0.0, 1.0}; }

  /// A history drawn uniformly; one random word.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s = State{rng.below(p.observations), 0};
  }

  /// One period; uses no random numbers. Shapes: actions int [2], rewards float [2].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng&) {
    const auto set = static_cast<uint32_t>(actions[0]);
    const int covered = p.set[set] >> actions[1] & 1;
    for (int i = 0; i < 2; ++i) rewards[i] = static_cast<float>(p.payoff[i][covered][actions[1]]);
    if (p.window > 0) s.history = s.history % p.older * static_cast<uint32_t>(p.sets) + set;
    if (p.horizon == 0) return Episode::goes_on;
    return ++s.period >= p.horizon ? Episode::cut : Episode::goes_on;
  }

  static Bounds reward_bounds(const Params& p) {
    Bounds bounds{1e300, -1e300};
    for (int k = 0; k < 4 * p.targets; ++k) {
      const double payoff = p.payoff[k % 2][k / 2 % 2][k / 4];
      bounds = {std::min(bounds.min, payoff), std::max(bounds.max, payoff)};
    }
    return bounds;
  }

  /// Shows the state as "history", the last `window` sets, newest first, and "period". Throws
  /// ParameterError for sets that there are not.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t history[kMaxWindow], period = s.period;
    uint32_t rest = s.history;
    const auto sets = static_cast<uint32_t>(p.sets);
    for (int k = 0; k < p.window; ++k, rest /= sets) history[k] = rest % sets;
    v("history", history, p.window);
    v("period", &period, 1);
    State read{};
    for (int k = p.window - 1; k >= 0; --k) {
      read.history = read.history * sets +
                     static_cast<uint32_t>(checked("history", history[k], 0, p.sets - 1));
    }
    read.period = static_cast<uint32_t>(checked("period", period, 0, p.horizon));
    s = read;
  }

  /// The learned policies are played (see watch_market; agent 0 is the defender). Besides what that
  /// reports: what the defender lacks to the Stackelberg equilibrium (defender_shortfall); the best
  /// that the attacker could do against the mean coverage (attacker_best_value); the mean over
  /// targets of |mean coverage - equilibrium coverage| (coverage_distance); and, as curves by
  /// target, the mean coverage and the shares of attacks.
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    double covered[kMaxTargets] = {}, attacked[kMaxTargets] = {};
    double paid = 0;
    const auto steps = static_cast<double>(watch_market<SecurityGame>(
        p, last, policy, facts, p.horizon > 0, sink,
        [&](const State&, const double* chosen, const State&) {
          const auto set = static_cast<int>(chosen[0]), target = static_cast<int>(chosen[1]);
          for (int t = 0; t < kMaxTargets && t < p.targets; ++t) {
            covered[t] += p.set[set] >> t & 1;
          }
          attacked[target] += 1;
          paid += p.payoff[0][p.set[set] >> target & 1][target];
        }));
    double best = p.payoff[1][1][0], distance = 0;
    for (int t = 0; t < p.targets; ++t) {
      const double coverage = covered[t] / steps;
      const double value = worth(p, 1, t, coverage), off = coverage - p.coverage[t];
      best = t == 0 || value > best ? value : best;
      distance += off < 0 ? -off : off;
    }
    sink.metric("defender_shortfall", p.value[0] - paid / steps);
    sink.metric("attacker_best_value", best);
    sink.metric("coverage_distance", distance / p.targets);
    for (int t = 0; t < p.targets; ++t) sink.curve("coverage", t, covered[t] / steps);
    for (int t = 0; t < p.targets; ++t) sink.curve("attacks", t, attacked[t] / steps);
  }

 private:
  static void fill(const char* key, const std::vector<double>& given, int targets, double* out) {
    const auto count = static_cast<size_t>(targets);
    if (given.size() != 1 && given.size() != count) {
      throw ParameterError(key, "one value, or one a target (" + std::to_string(count) + "), not " +
                                    std::to_string(given.size()));
    }
    for (size_t t = 0; t < count; ++t) out[t] = given[given.size() == 1 ? 0 : t];
  }

  /// What an attack on a target of some coverage is worth to an agent.
  CUMARL_HD static double worth(const Params& p, int agent, int target, double coverage) {
    const double without = p.payoff[agent][0][target];
    return without + coverage * (p.payoff[agent][1][target] - without);
  }

  static double needed(const Params& p, int t, double v) {
    const double covered = p.payoff[1][1][t], uncovered = p.payoff[1][0][t];
    return clipped((uncovered - v) / (uncovered - covered), 0.0, 1.0);
  }
  static void solve(Params& p) {
    double low = p.payoff[1][1][0], high = p.payoff[1][0][0];
    for (int t = 1; t < p.targets; ++t) {
      low = std::max(low, p.payoff[1][1][t]);
      high = std::max(high, p.payoff[1][0][t]);
    }
    const auto affordable = [&](double v) {
      double sum = 0;
      for (int t = 0; t < p.targets; ++t) sum += needed(p, t, v);
      return sum <= p.resources;
    };
    if (affordable(low)) {
      high = low;
    } else {
      for (int k = 0; k < 200; ++k) {
        const double v = 0.5 * (low + high);
        (affordable(v) ? high : low) = v;
      }
    }
    p.attacked = -1;
    const double slack = 1e-9 * (std::max(std::abs(high), 1.0));
    for (int t = 0; t < p.targets; ++t) {
      p.coverage[t] = needed(p, t, high);
      if (worth(p, 1, t, p.coverage[t]) < high - slack) continue;
      const double value = worth(p, 0, t, p.coverage[t]);
      if (p.attacked < 0 || value > p.value[0] + slack) {
        p.attacked = t;
        p.value[0] = value;
      }
    }
    p.value[1] = worth(p, 1, p.attacked, p.coverage[p.attacked]);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
