/// \file
/// What the players of a repeated normal form did over a run: counts that are kept step by step, and
/// the measures that are taken from them. Host and device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/core/hd.hpp"
#include "kernels/core/math.hpp"
#include "kernels/solvers/strategies.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A run's play, as doubles in memory that starts as zeros; sums of ones are exact up to 2^53 steps.
/// The tally owns nothing. `game` says the shape; its payoffs are not read.
struct PlayTally {
  /// Above so many transition counts (both players' actions and one's next, over all ordered pairs)
  /// none are kept.
  static constexpr int kMaxTransitions = 1 << 14;

  double* strategy;      ///< a profile: where a step's strategies are put before `add`
  double* policy;        ///< [joint] sum over steps of the product of the strategies
  double* played;        ///< [joint] steps at which the joint action was played
  double* follows;       ///< [transitions] see transitions_at
  double* follows_late;  ///< the same, of late steps only
  double* previous;      ///< 1 + the joint action of the step before; 0: there was none
  double* steps;

  CUMARL_HD PlayTally(const NormalFormView& game, double* memory) {
    const int last = game.players - 1;
    strategy = memory;
    policy = strategy + game.offset[last] + game.actions[last];
    played = policy + game.joint;
    follows = played + game.joint;
    follows_late = follows + transitions(game);
    previous = follows_late + transitions(game);
    steps = previous + 1;
  }
  /// Doubles of memory.
  CUMARL_HD static size_t entries(const NormalFormView& game) {
    const int last = game.players - 1;
    return static_cast<size_t>(game.offset[last] + game.actions[last]) +
           2 * static_cast<size_t>(game.joint) + 2 * static_cast<size_t>(transitions(game)) + 2;
  }
  /// Counts of all ordered pairs of players; 0 where there would be too many.
  CUMARL_HD static int transitions(const NormalFormView& game) {
    const int64_t all = transitions_before(game, game.players, 0);
    return all <= kMaxTransitions ? static_cast<int>(all) : 0;
  }
  /// Where the counts [next action of `to`][action of `to`][action of `from`] begin.
  CUMARL_HD static int transitions_at(const NormalFormView& game, int from, int to) {
    return static_cast<int>(transitions_before(game, to, from));
  }

  /// Counts a step in which `actions` were played by the strategies in `strategy`. `ended`: the step
  /// after it does not follow from it. `late`: it is in the run's late window.
  CUMARL_HD void add(const NormalFormView& game, const int* actions, bool ended, bool late) const {
    int digit[NormalFormView::kMaxPlayers] = {};
    for (int cell = 0; cell < game.joint; ++cell) {
      double probability = 1.0;
      for (int i = 0; i < game.players; ++i) probability *= strategy[game.offset[i] + digit[i]];
      policy[cell] += probability;
      for (int i = game.players - 1; i >= 0 && ++digit[i] == game.actions[i]; --i) digit[i] = 0;
    }
    int joint = 0;
    for (int i = 0; i < game.players; ++i) joint += actions[i] * game.weight[i];
    played[joint] += 1.0;
    *steps += 1.0;
    if (*previous > 0.0 && transitions(game) > 0) {
      const int before = static_cast<int>(*previous) - 1;
      int at = 0;
      for (int to = 0; to < game.players; ++to) {
        const int own = actions[to] * game.actions[to] + game.action_of(before, to);
        for (int from = 0; from < game.players; ++from) {
          if (from == to) continue;
          const int width = game.actions[from];
          const int entry = at + own * width + game.action_of(before, from);
          follows[entry] += 1.0;
          if (late) follows_late[entry] += 1.0;
          at += game.actions[to] * game.actions[to] * width;
        }
      }
    }
    *previous = ended ? 0.0 : joint + 1.0;
  }

 private:
  /// Counts of the pairs (from, to) before these, ordered by `to`, then by `from`.
  CUMARL_HD static int64_t transitions_before(const NormalFormView& game, int to, int from) {
    int64_t sum = 0;
    for (int i = 0; i < game.players && i <= to; ++i) {
      for (int j = 0; j < game.players && (i < to || j < from); ++j) {
        if (j != i) sum += int64_t{game.actions[i]} * game.actions[i] * game.actions[j];
      }
    }
    return sum;
  }
};

/// Average external regret: what the player would have gained a step by always playing the action
/// that is best in hindsight, the others' play given. `sums` [joint] over `steps` steps, of play or of
/// the products of strategies. It can be negative: no fixed action need be as good as play that
/// changes. 0 where steps is 0.
/// Source: Hannan, "Approximation to Bayes risk in repeated play", 1957; Hart and Mas-Colell,
/// Econometrica 68, 2000. Deviation: by expected payoffs where payoffs are chancy.
CUMARL_HD inline double external_regret(const NormalFormView& game, const double* sums,
                                        double steps, int player) {
  if (!(steps > 0.0)) return 0.0;
  double most = 0.0;
  for (int a = 0; a < game.actions[player]; ++a) {
    const double gain = deviation_gain(game, sums, player, -1, a);
    most = a == 0 || gain > most ? gain : most;
  }
  return most / steps;
}

/// Total variation distance, from 0 to 1, between the distribution sums / steps of joint actions and
/// that of independent strategies.
CUMARL_HD inline double joint_distance(const NormalFormView& game, const double* sums, double steps,
                                       const double* profile) {
  double apart = 0.0;
  for (int cell = 0; cell < game.joint; ++cell) {
    const double d =
        (steps > 0.0 ? sums[cell] / steps : 0.0) - joint_probability(game, profile, cell, -1);
    apart += d < 0.0 ? -d : d;
  }
  return apart / 2;
}

/// Whether no joint action pays somebody more and nobody less.
CUMARL_HD inline bool is_pareto_optimal(const NormalFormView& game, int cell) {
  for (int other = 0; other < game.joint; ++other) {
    bool less = false;
    bool more = false;
    for (int i = 0; i < game.players && !less; ++i) {
      const double gain = game.payoff(other, i) - game.payoff(cell, i);
      less = gain < 0.0;
      more |= gain > 0.0;
    }
    if (more && !less) return false;
  }
  return true;
}

/// The largest sum of payoffs of a joint action.
CUMARL_HD inline double best_welfare(const NormalFormView& game) {
  double best = 0.0;
  for (int cell = 0; cell < game.joint; ++cell) {
    double sum = 0.0;
    for (int i = 0; i < game.players; ++i) sum += game.payoff(cell, i);
    best = cell == 0 || sum > best ? sum : best;
  }
  return best;
}

/// What the team gets by a profile more than if `player` played `action`: with G the mean payoff of
/// all players, E[G(a) - G(a_-i, action)]. In a game of common payoffs G is the common payoff.
/// Source: Wolpert and Tumer, "Optimal payoff functions for members of collectives", Advances in
/// Complex Systems 4, 2001.
CUMARL_HD inline double difference_reward(const NormalFormView& game, const double* profile,
                                          int player, int action) {
  double difference = 0.0;
  for (int cell = 0; cell < game.joint; ++cell) {
    const double others = joint_probability(game, profile, cell, player);
    if (others == 0.0) continue;
    const int own = game.action_of(cell, player);
    const double weight = profile[game.offset[player] + own] - (own == action ? 1.0 : 0.0);
    double team = 0.0;
    for (int i = 0; i < game.players; ++i) team += game.payoff(cell, i);
    difference += weight * others * team;
  }
  return difference / game.players;
}

/// Transfer entropy in bits: what the other's last action tells of the own next one beyond the own
/// last one, from counts [next][own][other] of `actions` and `others` actions. The estimate from
/// counts is biased upwards, by about (actions - 1) actions (others - 1) / (2 ln 2 * counts).
/// Source: Schreiber, "Measuring information transfer", PRL 85, 2000, eq. (4), with k = l = 1.
CUMARL_HD inline double transfer_entropy(const double* counts, int actions, int others) {
  const auto count = [&](int next, int own, int other) {
    return counts[(next * actions + own) * others + other];
  };
  double all = 0.0;
  for (int k = 0; k < actions * actions * others; ++k) all += counts[k];
  if (!(all > 0.0)) return 0.0;
  double sum = 0.0;
  for (int own = 0; own < actions; ++own) {
    double from_own = 0.0;
    for (int next = 0; next < actions; ++next) {
      for (int other = 0; other < others; ++other) from_own += count(next, own, other);
    }
    for (int other = 0; other < others; ++other) {
      double from_both = 0.0;
      for (int next = 0; next < actions; ++next) from_both += count(next, own, other);
      for (int next = 0; next < actions; ++next) {
        const double here = count(next, own, other);
        if (here == 0.0) continue;
        double to_next = 0.0;
        for (int k = 0; k < others; ++k) to_next += count(next, own, k);
        sum += here / all * portable_log(here / from_both * from_own / to_next);
      }
    }
  }
  return sum / 0.6931471805599453;  // ln 2
}

/// The risk-dominant one of two strict equilibria in pure strategies of a 2 x 2 game, as a joint
/// action: that with the larger product of what the players lose by deviating from it. -1 where
/// there are no two, or the products are equal.
/// Source: Harsanyi and Selten, A General Theory of Equilibrium Selection in Games, MIT Press 1988,
/// section 3.9.
CUMARL_HD inline int risk_dominant(const NormalFormView& game) {
  if (game.players != 2 || game.actions[0] != 2 || game.actions[1] != 2) return -1;
  const auto product = [&](int cell) {  // 0 if the equilibrium is not strict
    const double loss0 = game.payoff(cell, 0) - game.payoff(cell ^ 2, 0);
    const double loss1 = game.payoff(cell, 1) - game.payoff(cell ^ 1, 1);
    return loss0 > 0.0 && loss1 > 0.0 ? loss0 * loss1 : 0.0;
  };
  for (int cell = 0; cell < 2; ++cell) {  // the other corner of its diagonal is 3 - cell
    const double here = product(cell);
    const double there = product(3 - cell);
    if (here > 0.0 && there > 0.0 && here != there) return here > there ? cell : 3 - cell;
  }
  return -1;
}

}  // namespace cumarl::inline CUMARL_VARIANT
