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
      expected_rewards(host.stage, chosen, payoff);
      q[static_cast<size_t>(chosen[me])] += payoff[me] * weight;
    }
    return q;
  }
  if (kind == InitKind::fixed_rivals) {
    // one period of an own action, then everybody plays the fixed one
    for (int i = 0; i < host.players; ++i) chosen[i] = pick("init.action", i, spec.init.action, 0);
    expected_rewards(host.stage, chosen, payoff);
    const double after = payoff[me] * gamma / (1.0 - gamma);
    for (int a = 0; a < own; ++a) {
      chosen[me] = a;
      expected_rewards(host.stage, chosen, payoff);
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
  expected_rewards(host.stage, agreed, payoff);
  const double peace = payoff[me] * gamma / (1.0 - gamma);
  expected_rewards(host.stage, punish, payoff);
  const double war = payoff[me] * gamma / (1.0 - gamma);
  uint32_t kept = 0;
  for (int k = 0; k < host.memory; ++k) kept = remember(host, kept, joint_of(host, agreed));
  q.assign(size_t{host.histories} * static_cast<size_t>(own), 0.0);
  for (uint32_t h = 0; h < host.histories; ++h) {
    const bool trust = h == kept;
    for (int a = 0; a < own; ++a) {
      for (int i = 0; i < host.players; ++i) chosen[i] = trust ? agreed[i] : punish[i];
      chosen[me] = a;
      expected_rewards(host.stage, chosen, payoff);
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
    const double apart = profile_distance(p, profile, e);
    if (e > 0 && !(apart < out.distance)) continue;
    out.distance = apart;
    out.nearest = e;
  }
  return out;
}

template <class Stage>
CUMARL_HD void RepeatedGame<Stage>::take_measures(const Params& p, const Judgement& now,
                                                  double* tally, double* out) {
  out[kNashConv] = now.nash_conv;
  out[kPolicyDistance] = now.distance;
  if (tally == nullptr) return;
  const NormalFormView game = normal_form(p.players, p.actions, p.game);
  const PlayTally seen(game, tally);
  const int n = p.players;
  const double steps = *seen.steps;
  out[kWelfare] = 0;
  for (int i = 0; i < n; ++i) {
    out[kWelfare] += now.payoff[i];
    out[kRegret + i] = external_regret(game, seen.played, steps, i);
    out[kRegret + n + i] = external_regret(game, seen.policy, steps, i);
  }
  double average[kMaxAgents] = {};
  joint_payoffs(game, seen.policy, average);
  if (steps > 0) {
    for (int i = 0; i < n; ++i) average[i] /= steps;
  }
  const auto apart = [n](const double* x, const double* y) {
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += x[i] < y[i] ? y[i] - x[i] : x[i] - y[i];
    return sum / n;
  };
  for (int k = kExpectedReturn; k <= kAverageReturn; ++k) out[k] = 0;
  if (p.equilibria == 0) return;
  const auto frequencies = [&](const double* sums, double* profile) {
    joint_marginals(game, sums, profile);
    for (int k = 0; k < p.profile && steps > 0; ++k) profile[k] /= steps;
  };
  double played[2 * kMaxSupport];  // equilibria are known of no larger games
  double policy[2 * kMaxSupport];
  frequencies(seen.played, played);
  frequencies(seen.policy, policy);
  for (int e = 0; e < p.equilibria; ++e) {
    const double* equilibrium = p.equilibrium + e * p.profile;
    double value[kMaxAgents] = {};
    expected_payoffs(game, equilibrium, value);
    const double distance[kAverageReturn - kExpectedReturn + 1] = {
        apart(now.payoff, value),
        joint_distance(game, seen.played, steps, equilibrium),
        joint_distance(game, seen.policy, steps, equilibrium),
        profile_distance(p, played, e),
        profile_distance(p, policy, e),
        apart(average, value)};
    for (int k = kExpectedReturn; k <= kAverageReturn; ++k) {
      const double d = distance[k - kExpectedReturn];
      out[k] = e == 0 || d < out[k] ? d : out[k];
    }
  }
}

template <class Stage>
template <class Sink>
CUMARL_HD void RepeatedGame<Stage>::report_measures(const Params& p, const double* profile,
                                                    const Judgement& end, uint32_t top,
                                                    double* tally, const double* measured,
                                                    Sink& sink) {
  const NormalFormView game = normal_form(p.players, p.actions, p.game);
  const PlayTally seen(game, tally);
  const int n = p.players;
  double least = end.payoff[0];
  for (int i = 1; i < n; ++i) least = end.payoff[i] < least ? end.payoff[i] : least;
  const double best = best_welfare(game);
  sink.metric("welfare", measured[kWelfare]);
  sink.metric("welfare_min", least);
  sink.metric("welfare_share", best > 0 ? measured[kWelfare] / best : 0.0);

  const bool optimal = is_pareto_optimal(game, static_cast<int>(top));
  double pareto = 0;
  for (int cell = 0; cell < game.joint; ++cell) {
    const double probability = joint_probability(game, profile, cell, -1);
    if (probability > 0 && is_pareto_optimal(game, cell)) pareto += probability;
  }
  sink.metric("pareto_optimal", optimal ? 1.0 : 0.0);
  sink.share("pareto_optimal", optimal ? 1 : 0, Label::yes_no);
  sink.metric("pareto_probability", pareto);

  if (p.equilibria > 0) {
    const bool reached = end.distance <= kReached;
    const auto chosen = [&](const char* name, int equilibrium) {
      if (equilibrium < 0) return;
      const bool yes = reached && end.nearest == equilibrium;
      sink.metric(name, yes ? 1.0 : 0.0);
      sink.share(name, yes ? 1 : 0, Label::yes_no);
    };
    sink.share("equilibrium", reached ? static_cast<uint64_t>(end.nearest) + 1 : 0);
    chosen("payoff_dominant", p.payoff_dominant);
    chosen("risk_dominant", p.risk_dominant);
    sink.metric("expected_return_distance", measured[kExpectedReturn]);
    sink.metric("empirical_distance", measured[kEmpirical]);
    sink.metric("average_policy_distance", measured[kAveragePolicy]);
    sink.metric("empirical_marginal_distance", measured[kEmpiricalMarginals]);
    sink.metric("average_marginal_distance", measured[kAverageMarginals]);
    sink.metric("average_return_distance", measured[kAverageReturn]);
  }
  for (int i = 0; i < n; ++i) sink.metric("regret", measured[kRegret + i], i);
  for (int i = 0; i < n; ++i) sink.metric("strategy_regret", measured[kRegret + n + i], i);
  if constexpr (requires { Stage::default_action(p.stage, 0); }) {
    for (int i = 0; i < n; ++i) {
      sink.metric("difference_reward",
                  difference_reward(game, profile, i, Stage::default_action(p.stage, i)), i);
    }
  }
  if (PlayTally::transitions(game) == 0) return;
  const char* const whole[] = {
      "transfer_entropy_from_agent0_to", "transfer_entropy_from_agent1_to",
      "transfer_entropy_from_agent2_to", "transfer_entropy_from_agent3_to",
      "transfer_entropy_from_agent4_to", "transfer_entropy_from_agent5_to"};
  const char* const late[] = {
      "transfer_entropy_late_from_agent0_to", "transfer_entropy_late_from_agent1_to",
      "transfer_entropy_late_from_agent2_to", "transfer_entropy_late_from_agent3_to",
      "transfer_entropy_late_from_agent4_to", "transfer_entropy_late_from_agent5_to"};
  static_assert(kMaxAgents <= 6);
  for (int from = 0; from < n; ++from) {
    for (int to = 0; to < n; ++to) {
      if (to == from) continue;
      const int at = PlayTally::transitions_at(game, from, to);
      sink.metric(whole[from], transfer_entropy(seen.follows + at, p.actions[to], p.actions[from]),
                  to);
      sink.metric(late[from],
                  transfer_entropy(seen.follows_late + at, p.actions[to], p.actions[from]), to);
    }
  }
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

  double* const tally = tally_of(policy);
  double last_measured[kMostMeasures] = {};
  take_measures(p, end, tally, last_measured);
  if (tally != nullptr) report_measures(p, profile, end, top, tally, last_measured, sink);

  // The course of the run; after its end everything stays as it is.
  const uint32_t points = policy.points();
  if (points == 0) return;
  const uint64_t reached = facts.steps / policy.points_every();
  const auto at = [&](uint32_t k, int which) {
    return k < reached ? policy.point(k)[which] : last_measured[which];
  };
  const auto report_late = [&](const char* late, int which) {
    double sum = 0;
    const uint32_t from = points - (points + 4) / 5;
    for (uint32_t k = from; k < points; ++k) sum += at(k, which);
    sink.metric(late, sum / (points - from));
  };
  const auto report_curve = [&](const char* curve, int which) {
    const uint32_t stride = (points + kCurvePoints - 1) / kCurvePoints;
    int index = 0;
    for (uint32_t k = stride - 1; k < points; k += stride) sink.curve(curve, index++, at(k, which));
  };
  report_late("nash_conv_late", kNashConv);
  report_curve("nash_conv_over_time", kNashConv);
  if (p.equilibria > 0) {
    report_late("policy_distance_late", kPolicyDistance);
    report_curve("policy_distance_over_time", kPolicyDistance);
  }
  if (tally == nullptr) return;
  report_late("welfare_late", kWelfare);
  report_curve("welfare_over_time", kWelfare);
  if (p.equilibria > 0) {
    report_late("expected_return_distance_late", kExpectedReturn);
    report_curve("expected_return_distance_over_time", kExpectedReturn);
    report_curve("empirical_distance_over_time", kEmpirical);
    report_curve("average_policy_distance_over_time", kAveragePolicy);
    report_curve("empirical_marginal_distance_over_time", kEmpiricalMarginals);
    report_curve("average_marginal_distance_over_time", kAverageMarginals);
    report_curve("average_return_distance_over_time", kAverageReturn);
  }
  const char* const regret[] = {"regret_over_time_agent0", "regret_over_time_agent1",
                                "regret_over_time_agent2", "regret_over_time_agent3",
                                "regret_over_time_agent4", "regret_over_time_agent5"};
  const char* const strategy_regret[] = {
      "strategy_regret_over_time_agent0", "strategy_regret_over_time_agent1",
      "strategy_regret_over_time_agent2", "strategy_regret_over_time_agent3",
      "strategy_regret_over_time_agent4", "strategy_regret_over_time_agent5"};
  for (int i = 0; i < n; ++i) report_curve(regret[i], kRegret + i);
  for (int i = 0; i < n; ++i) report_curve(strategy_regret[i], kRegret + n + i);
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
