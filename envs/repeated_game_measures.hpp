/// \file
/// Initial values and outcome measures of repeated games. Included by repeated_game.hpp.
#pragma once

#include "envs/repeated_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Averages over a limit cycle (or a played path).
template <int MaxAgents>
struct PathMeans {
  double payoff[MaxAgents];  ///< mean payoff a period
  double level[MaxAgents];   ///< mean price, where actions stand for prices
};

/// Periods of an impulse response that are reported, the one before the deviation (0) included.
inline constexpr int kImpulsePeriods = 16;

/// Points of a curve over a run's time that are reported, at most.
inline constexpr uint32_t kCurvePoints = 100;

template <class Stage>
std::vector<double> RepeatedGame<Stage>::initial_values(const Params& host, const AgentSpec& spec,
                                                        double gamma) {
  const auto kind = static_cast<InitKind>(spec.init.kind.value);
  const int me = spec.agent;
  if (!(gamma < 1.0)) throw ParameterError("init.kind", "values of an endless game need gamma < 1");
  const auto pick = [&](const char* key, int agent, int given, int which) {
    if (given >= 0) {
      if (given >= host.actions[agent]) {
        throw ParameterError(key, "must be below the number of actions, " +
                                      std::to_string(host.actions[agent]));
      }
      return given;
    }
    if constexpr (requires { Stage::reference_action(host.stage, agent, which); }) {
      return Stage::reference_action(host.stage, agent, which);
    } else {
      throw ParameterError(key, "this game has no reference action: name one");
      return 0;
    }
  };
  int chosen[kMaxAgents] = {};
  double payoff[kMaxAgents] = {};
  const int own = host.actions[me];
  std::vector<double> q(static_cast<size_t>(own), 0.0);

  if (kind == InitKind::expected) {
    if (host.joint > 100'000'000u) {
      throw ParameterError("init.kind", "too many joint actions to average over (10^8)");
    }
    const double weight =
        static_cast<double>(own) / static_cast<double>(host.joint) / (1.0 - gamma);
    for (uint32_t j = 0; j < host.joint; ++j) {
      for (int i = 0; i < host.players; ++i) chosen[i] = static_cast<int>(action_of(host, j, i));
      Stage::payoffs(host.stage, chosen, payoff);
      q[static_cast<size_t>(chosen[me])] += payoff[me] * weight;
    }
    return q;
  }
  if (kind == InitKind::fixed_rivals) {
    // one period of an own action, then everybody plays the fixed one
    for (int i = 0; i < host.players; ++i) chosen[i] = pick("init.action", i, spec.init.action, 0);
    Stage::payoffs(host.stage, chosen, payoff);
    const double after = payoff[me] * gamma / (1.0 - gamma);
    for (int a = 0; a < own; ++a) {
      chosen[me] = a;
      Stage::payoffs(host.stage, chosen, payoff);
      q[static_cast<size_t>(a)] = payoff[me] + after;
    }
    return q;
  }
  // Grim trigger: in a history of mutual cooperation the rivals cooperate, elsewhere they punish;
  // from the next period on everybody plays grim trigger.
  int agreed[kMaxAgents] = {};
  int punish[kMaxAgents] = {};
  for (int i = 0; i < host.players; ++i) {
    agreed[i] = pick("init.cooperate", i, spec.init.cooperate, 1);
    punish[i] = pick("init.punish", i, spec.init.punish, 0);
  }
  Stage::payoffs(host.stage, agreed, payoff);
  const double peace = payoff[me] * gamma / (1.0 - gamma);
  Stage::payoffs(host.stage, punish, payoff);
  const double war = payoff[me] * gamma / (1.0 - gamma);
  uint32_t kept = 0;
  for (int k = 0; k < host.memory; ++k) kept = remember(host, kept, joint_of(host, agreed));
  q.assign(size_t{host.histories} * static_cast<size_t>(own), 0.0);
  for (uint32_t h = 0; h < host.histories; ++h) {
    const bool trust = h == kept;
    for (int a = 0; a < own; ++a) {
      for (int i = 0; i < host.players; ++i) chosen[i] = trust ? agreed[i] : punish[i];
      chosen[me] = a;
      Stage::payoffs(host.stage, chosen, payoff);
      q[size_t{h} * static_cast<size_t>(own) + static_cast<size_t>(a)] =
          payoff[me] + (trust && a == agreed[me] ? peace : war);
    }
  }
  return q;
}

template <class Stage>
template <class Policy, class Sink>
CUMARL_HD void RepeatedGame<Stage>::evaluate(const Params& p, const State& last,
                                             const Policy& policy, const RunFacts& facts,
                                             Sink& sink) {
  if constexpr (kFacts.family == Family::matrix) {
    if (p.game != nullptr) return evaluate_strategies(p, last, policy, facts, sink);
  }
  const int n = p.players;
  const bool deterministic = policy.deterministic();
  int chosen[kMaxAgents] = {};
  double payoff[kMaxAgents] = {};
  PathMeans<kMaxAgents> path{};
  const auto follow = [&](uint32_t history) {  // leaves actions and payoffs in chosen, payoff
    policy.act(p, State{history, 0}, chosen);
    Stage::payoffs(p.stage, chosen, payoff);
    return remember(p, history, joint_of(p, chosen));
  };
  const auto add_levels = [&] {
    if constexpr (requires { Stage::level(p.stage, 0, 0); }) {
      for (int i = 0; i < n; ++i) path.level[i] += Stage::level(p.stage, i, chosen[i]);
    }
  };

  uint32_t start = last.history;
  uint32_t length = 1;
  if (deterministic) {
    find_cycle(p, policy, start, length);
  } else {
    length = policy.evaluation().steps;
  }

  uint32_t joint_label = 0xFFFFFFFFu;
  double nash_conv = 0;
  uint32_t history = start;
  for (uint32_t t = 0; t < length; ++t) {
    if (deterministic) {
      history = follow(history);
    } else {
      policy.act(p, State{history, 0}, chosen, t);
      Stage::payoffs(p.stage, chosen, payoff);
      history = remember(p, history, joint_of(p, chosen));
    }
    const uint32_t joint = joint_of(p, chosen);
    joint_label = joint < joint_label ? joint : joint_label;
    for (int i = 0; i < n; ++i) path.payoff[i] += payoff[i];
    add_levels();
    if constexpr (kFacts.family == Family::matrix) {
      for (int i = 0; i < n; ++i) {
        const int played = chosen[i];
        double best = -1e300;
        double mine = 0;
        double out[kMaxAgents] = {};
        for (int a = 0; a < p.actions[i]; ++a) {
          chosen[i] = a;
          Stage::payoffs(p.stage, chosen, out);
          best = out[i] > best ? out[i] : best;
          mine = a == played ? out[i] : mine;
        }
        chosen[i] = played;
        nash_conv += best - mine;
      }
    }
  }
  for (int i = 0; i < n; ++i) {
    path.payoff[i] /= length;
    path.level[i] /= length;
  }

  if constexpr (kFacts.family == Family::matrix) {
    double mean = 0;
    for (int i = 0; i < n; ++i) mean += path.payoff[i] / n;
    sink.metric("return_per_step", mean);
    for (int i = 0; i < n; ++i) sink.metric("return_per_step", path.payoff[i], i);
    sink.metric("nash_conv", nash_conv / length);
    sink.share("greedy_joint_action", joint_label, Label::joint_action);
  }
  if constexpr (requires { Stage::measure(p.stage, path, sink); }) {
    Stage::measure(p.stage, path, sink);
  }
  sink.metric("time_to_convergence", static_cast<double>(facts.last_change));

  if (deterministic) {
    sink.share("cycle_length", length);

    // Nash on the path: on no state of the cycle would any agent gain by a one-period deviation
    // after which everybody follows the learned strategies.
    if (policy.discount(0) < 1.0) {
      bool nash = true;
      for (int i = 0; i < n && nash; ++i) {
        const double discount = policy.discount(i);
        double lap = 0;
        double weight = 1;
        history = start;
        for (uint32_t t = 0; t < length; ++t) {
          history = follow(history);
          lap += weight * payoff[i];
          weight *= discount;
        }
        const double value_at_start = lap / (1.0 - weight);
        const auto value_from = [&](uint32_t h) {
          double value = 0;
          double w = 1;
          while (h != start && w > 1e-14) {
            h = follow(h);
            value += w * payoff[i];
            w *= discount;
          }
          return h == start ? value + w * value_at_start : value;
        };
        history = start;
        for (uint32_t t = 0; t < length && nash; ++t) {
          policy.act(p, State{history, 0}, chosen);
          int here[kMaxAgents] = {};
          for (int j = 0; j < n; ++j) here[j] = chosen[j];
          double played = 0;
          double best = -1e300;
          for (int a = 0; a < p.actions[i]; ++a) {
            int deviation[kMaxAgents] = {};
            for (int j = 0; j < n; ++j) deviation[j] = here[j];
            deviation[i] = a;
            double now[kMaxAgents] = {};
            Stage::payoffs(p.stage, deviation, now);
            const double value =
                now[i] + discount * value_from(remember(p, history, joint_of(p, deviation)));
            best = value > best ? value : best;
            played = a == here[i] ? value : played;
          }
          const double scale = best < 0 ? -best : best;
          nash = best - played <= 1e-9 * (scale + 1e-9);
          history = remember(p, history, joint_of(p, here));
        }
      }
      sink.metric("nash_on_path", nash ? 1.0 : 0.0);
      sink.share("nash_on_path", nash ? 1 : 0, Label::yes_no);
    }

    if constexpr (kFacts.family == Family::pricing) {
      report_impulse(p, policy, start, length, false, "price_deviator", "price_rival", sink);
      report_impulse(p, policy, start, length, true, "price_deviator_as_published",
                     "price_rival_as_published", sink);
      if constexpr (requires { Stage::measure(p.stage, path, sink); }) {
        if (p.memory > 1) report_misread_start(p, policy, last.history, sink);
      }
    }
  }
}

template <class Stage>
template <class Policy>
CUMARL_HD void RepeatedGame<Stage>::find_cycle(const Params& p, const Policy& policy,
                                               uint32_t& start, uint32_t& length) {
  const auto follow = [&](uint32_t history) {
    int chosen[kMaxAgents] = {};
    policy.act(p, State{history, 0}, chosen);
    return remember(p, history, joint_of(p, chosen));
  };
  uint32_t power = 1;
  length = 1;
  uint32_t hare = follow(start);
  while (start != hare) {
    if (power == length) {
      start = hare;
      power *= 2;
      length = 0;
    }
    hare = follow(hare);
    ++length;
  }
}

/// The profit gain (the first measure of every pricing game) where the learned policies are
/// followed from a misread last history, with a memory above 1. The replication package of Calvano
/// et al. 2020 (openICPSR 119462) numbers histories period by period, from the newest on, and takes
/// the last one of a session apart firm by firm before it follows the strategies. From there they
/// need not come to the cycle that was learned, and its published figure for a memory of 2 rests on
/// that. (There all firms have as many prices; where they have not, a price beyond a grid is read
/// as its highest.)
template <class Stage>
template <class Policy, class Sink>
CUMARL_HD void RepeatedGame<Stage>::report_misread_start(const Params& p, const Policy& policy,
                                                         uint32_t last, Sink& sink) {
  const int n = p.players;
  int chosen[kMaxAgents] = {};
  uint32_t start = 0;
  for (int k = p.memory - 1; k >= 0; --k) {  // the oldest period first
    for (int i = 0; i < n; ++i) {
      const int digit = i * p.memory + k;
      uint32_t joint = last;
      for (int older = digit / n; older > 0; --older) joint /= p.joint;
      const auto read = static_cast<int>(action_of(p, joint % p.joint, digit % n));
      chosen[i] = read < p.actions[i] ? read : p.actions[i] - 1;
    }
    start = remember(p, start, joint_of(p, chosen));
  }
  uint32_t length = 1;
  find_cycle(p, policy, start, length);
  double payoff[kMaxAgents] = {};
  PathMeans<kMaxAgents> path{};
  for (uint32_t t = 0; t < length; ++t) {
    policy.act(p, State{start, 0}, chosen);
    Stage::payoffs(p.stage, chosen, payoff);
    for (int i = 0; i < n; ++i) path.payoff[i] += payoff[i] / length;
    start = remember(p, start, joint_of(p, chosen));
  }
  struct FirstMetric {
    double value = 0;
    bool taken = false;
    CUMARL_HD void metric(const char*, double one, int = -1) {
      if (!taken) value = one;
      taken = true;
    }
  } first;
  Stage::measure(p.stage, path, first);
  sink.metric("profit_gain_as_published", first.value);
}

template <class Stage>
CUMARL_HD auto RepeatedGame<Stage>::judge(const Params& p, const double* profile) -> Judgement {
  const NormalFormView game = normal_form(p.players, p.actions, p.game);
  Judgement out{};
  expected_payoffs(game, profile, out.payoff);
  out.nash_conv = nash_gap(game, profile).nash_conv;
  for (int e = 0; e < p.equilibria; ++e) {
    double apart = 0;
    for (int k = 0; k < p.profile; ++k) {
      const double d = profile[k] - p.equilibrium[e * p.profile + k];
      apart += d < 0 ? -d : d;
    }
    apart /= p.profile;
    out.distance = e == 0 || apart < out.distance ? apart : out.distance;
  }
  return out;
}

template <class Stage>
template <class Policy, class Sink>
CUMARL_HD void RepeatedGame<Stage>::evaluate_strategies(const Params& p, const State& last,
                                                        const Policy& policy, const RunFacts& facts,
                                                        Sink& sink) {
  const int n = p.players;
  double profile[kMaxProfile] = {};
  read_profile(p, last, policy, profile);
  const Judgement end = judge(p, profile);
  double mean = 0;
  uint32_t top = 0;  // the joint action of everybody's most probable action
  PathMeans<kMaxAgents> path{};
  const double* own = profile;
  for (int i = 0; i < n; ++i) {
    mean += end.payoff[i] / n;
    path.payoff[i] = end.payoff[i];
    int best = 0;
    for (int a = 1; a < p.actions[i]; ++a) best = own[a] > own[best] ? a : best;
    top += static_cast<uint32_t>(best) * p.weight[i];
    if constexpr (requires { Stage::level(p.stage, 0, 0); }) {
      for (int a = 0; a < p.actions[i]; ++a) path.level[i] += own[a] * Stage::level(p.stage, i, a);
    }
    own += p.actions[i];
  }
  sink.metric("return_per_step", mean);
  for (int i = 0; i < n; ++i) sink.metric("return_per_step", end.payoff[i], i);
  sink.metric("nash_conv", end.nash_conv);
  if (p.equilibria > 0) sink.metric("policy_distance", end.distance);
  if (!policy.deterministic()) {
    own = profile;
    for (int i = 0; i < n; ++i) {
      sink.metric("first_action_probability", own[0], i);
      own += p.actions[i];
    }
  }
  sink.share("greedy_joint_action", top, Label::joint_action);
  if constexpr (requires { Stage::measure(p.stage, path, sink); }) {
    Stage::measure(p.stage, path, sink);
  }
  sink.metric("time_to_convergence", static_cast<double>(facts.last_change));

  // The course of the run; after its end everything stays as it is.
  const uint32_t points = policy.points();
  if (points == 0) return;
  const uint64_t reached = facts.steps / policy.points_every();
  const auto at = [&](uint32_t k, int which) {
    if (k < reached) return policy.point(k)[which];
    return which == 0 ? end.nash_conv : end.distance;
  };
  const auto report = [&](const char* late, const char* curve, int which) {
    double sum = 0;
    const uint32_t from = points - (points + 4) / 5;
    for (uint32_t k = from; k < points; ++k) sum += at(k, which);
    sink.metric(late, sum / (points - from));
    const uint32_t stride = (points + kCurvePoints - 1) / kCurvePoints;
    int index = 0;
    for (uint32_t k = stride - 1; k < points; k += stride) sink.curve(curve, index++, at(k, which));
  };
  report("nash_conv_late", "nash_conv_over_time", 0);
  if (p.equilibria > 0) report("policy_distance_late", "policy_distance_over_time", 1);
}

/// Impulse response: one firm plays its static best response for a period, from every state of the
/// cycle, firm by firm; then everybody follows the learned strategies. Point 0 is the period before.
///
/// `as_published`: the response to what the rivals would play in history number t, where t is the
/// state's position in the cycle, instead of in that state. So does the replication package of
/// Calvano et al. 2020 (openICPSR 119462), and its published figure; the path itself starts in the
/// true state there too.
template <class Stage>
template <class Policy, class Sink>
CUMARL_HD void RepeatedGame<Stage>::report_impulse(const Params& p, const Policy& policy,
                                                   uint32_t start, uint32_t length,
                                                   bool as_published, const char* deviator_name,
                                                   const char* rival_name, Sink& sink) {
  const int n = p.players;
  int chosen[kMaxAgents] = {};
  double deviator[kImpulsePeriods] = {};
  double rivals[kImpulsePeriods] = {};
  const double weight = 1.0 / (static_cast<double>(length) * n);
  const auto play = [&](uint32_t history) { policy.act(p, State{history, 0}, chosen); };
  uint32_t origin = start;
  for (uint32_t t = 0; t < length; ++t) {
    play(origin);
    const uint32_t next_origin = remember(p, origin, joint_of(p, chosen));
    for (int i = 0; i < n; ++i) {
      uint32_t h = origin;
      for (int k = 0; k < kImpulsePeriods; ++k) {
        if (k == 1) {
          play(as_published ? t % p.histories : h);
          const int reply = best_reply(p, chosen, i);
          play(h);
          chosen[i] = reply;
        } else {
          play(h);
        }
        for (int j = 0; j < n; ++j) {
          const double level = Stage::level(p.stage, j, chosen[j]);
          if (j == i) {
            deviator[k] += level * weight;
          } else {
            rivals[k] += level * weight / (n - 1);
          }
        }
        h = remember(p, h, joint_of(p, chosen));
      }
    }
    origin = next_origin;
  }
  for (int k = 0; k < kImpulsePeriods; ++k) sink.curve(deviator_name, k, deviator[k]);
  for (int k = 0; k < kImpulsePeriods; ++k) sink.curve(rival_name, k, rivals[k]);
}

}  // namespace cumarl::inline CUMARL_VARIANT
