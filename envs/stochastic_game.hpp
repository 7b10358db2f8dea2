/// \file
/// Small finite stochastic games, played from their transition tables, which solvers read too.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/stochastic_game_tables.hpp"
#include "kernels/core/env.hpp"
#include "kernels/core/learner.hpp"
#include "kernels/solvers/stochastic.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A stochastic game with a few thousand states at most. Everybody sees the state. The rules of each
/// game stand at its builder in stochastic_game_tables.hpp, with source and deviations.
struct StochasticGame {
  static constexpr EnvFacts kFacts{
      "stochastic_game",
      "Small stochastic game: soccer, grid games, two-state, two-step, k-step",
      "Littman 1994; Hu and Wellman 2003; Greenwald and Hall 2003; Zinkevich et al. 2005; Rashid "
      "et "
      "al. 2018; Mahajan et al. 2019",
      Family::gridworld,
      "soccer: 0 north, 1 south, 2 west, 3 east, 4 stand; grid games: 0 north, 1 south, 2 west, 3 "
      "east; others: 0 and 1",
      "the state: positions (row 0 is north, row, column) and ball; or the number of the state",
      "game = \"two_state\"\n"};
  static constexpr int kMaxAgents = GameTable::kMaxPlayers;
  static constexpr bool kSharedObservation = true;
  using Shapes = ShapeList<>;

  /// Positions in the list of games.
  enum Name : int { kSoccer, kTwoState, kTwoStep, kStep, kGridGame1, kGridGame2, kGridGame3 };

  struct Config {
    Choice game;
    int rows = 0;
    int columns = 0;
    int k = 10;
    int good_branches = 2;
    double goal_reward = 100.0;
    double collision_reward = -1.0;
    double barrier = 0.5;
    bool restart = true;
    int max_steps = 100;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v.choice(
        "game", c.game,
        {"soccer", "two_state", "two_step", "k_step", "grid_game_1", "grid_game_2", "grid_game_3"},
        "which game");
    v("rows", c.rows, Bounds{0, 32}, "cells",
      "of the soccer field or grid; 0: as published, 4 for soccer, 3 for grid games");
    v("columns", c.columns, Bounds{0, 32}, "cells",
      "of the soccer field or grid; 0: as published, 5 for soccer, 3 for grid games");
    v("k", c.k, Bounds{2, 1000}, "joint steps", "k_step: its length");
    v("good_branches", c.good_branches, Bounds{2, 4}, "",
      "k_step: first joint actions that pay, 2 or 4");
    v("goal_reward", c.goal_reward, Bounds{0, 1e6}, "reward", "grid games: for reaching a goal");
    v("collision_reward", c.collision_reward, Bounds{-1e6, 0}, "reward",
      "grid games: for moving into one cell");
    v("barrier", c.barrier, Bounds{0, 1}, "", "grid_game_2: chance to pass a barrier");
    v("restart", c.restart,
      "soccer: after a goal the next kick-off follows; else the episode ends");
    v("max_steps", c.max_steps, Bounds{1, 1e9}, "joint steps",
      "an episode is cut here; learners still bootstrap");
  }

  /// Cell (s, j) of a table is entry s * joint + j; joint action j = sum of action * weight.
  struct Params {
    int32_t players;
    int32_t states;
    int32_t joint;
    int32_t coords;
    bool soccer;
    uint32_t max_steps;
    uint32_t starts;
    int32_t actions[kMaxAgents];
    int32_t weight[kMaxAgents];
    const int* action_counts;       ///< [players], for view()
    const int* first;               ///< [states * joint + 1] where a cell's successors begin
    const int* next;                ///< of a successor: the state
    const uint32_t* before;         ///< of a successor: 2^32 * probability of those before it
    const double* probability;      ///< of a successor
    const float* paid;              ///< [successors][players]
    const double* reward;           ///< [states * joint][players], expected
    const unsigned char* terminal;  ///< [states]
    const int* start;               ///< [starts] states
    const uint32_t* start_before;   ///< [starts] 2^32 * probability of those before
    const int16_t* coord;           ///< [states][coords]
    const CoordName* names;         ///< host: which coordinates are shown together
    Bounds bounds;                  ///< of a reward
  };

  struct State {
    int32_t state;
    uint32_t step;  ///< joint steps of this episode
  };

  /// Throws ParameterError for sizes that the game cannot have.
  static Params make(const Config& c, Arena& arena) {
    if (c.game.value == kStep && c.k > c.max_steps) {
      throw ParameterError("max_steps", "must not be below k: no game would come to its end");
    }
    const GameTable table = tabulate(c);
    Params p{};
    p.players = table.players;
    p.states = static_cast<int32_t>(table.states());
    p.joint = table.joint();
    p.coords = table.coords;
    p.soccer = c.game.value == kSoccer;
    p.max_steps = static_cast<uint32_t>(c.max_steps);
    p.starts = static_cast<uint32_t>(table.start.size());
    p.names = table.names;
    int32_t weight = 1;
    for (int i = p.players - 1; i >= 0; --i) {
      p.actions[i] = table.actions[static_cast<size_t>(i)];
      p.weight[i] = weight;
      weight *= p.actions[i];
    }
    p.bounds = Bounds{table.paid[0], table.paid[0]};
    for (const double r : table.paid) {
      p.bounds = {r < p.bounds.min ? r : p.bounds.min, r > p.bounds.max ? r : p.bounds.max};
    }
    const auto players = static_cast<size_t>(p.players);
    std::vector<uint32_t> before(table.next.size());
    std::vector<double> reward((table.first.size() - 1) * players);
    for (size_t cell = 0; cell + 1 < table.first.size(); ++cell) {
      double sum = 0;
      for (auto k = static_cast<size_t>(table.first[cell]);
           k < static_cast<size_t>(table.first[cell + 1]); ++k) {
        before[k] = threshold(sum);
        sum += table.probability[k];
        for (size_t i = 0; i < players; ++i) {
          reward[cell * players + i] += table.probability[k] * table.paid[k * players + i];
        }
      }
    }
    std::vector<uint32_t> start_before;
    double sum = 0;
    for (const double probability : table.start_probability) {
      start_before.push_back(threshold(sum));
      sum += probability;
    }
    p.action_counts = arena.store(std::vector<int>(p.actions, p.actions + p.players));
    p.first = arena.store(table.first);
    p.next = arena.store(table.next);
    p.before = arena.store(before);
    p.probability = arena.store(table.probability);
    p.paid = arena.store(std::vector<float>(table.paid.begin(), table.paid.end()));
    p.reward = arena.store(reward);
    p.terminal = arena.store(table.terminal);
    p.start = arena.store(table.start);
    p.start_before = arena.store(start_before);
    p.coord = arena.store(table.coord);
    return p;
  }

  /// The game for the solvers; it points into the arena of `make`.
  CUMARL_HD static StochasticGameView view(const Params& p) {
    StochasticGameView v;
    v.states = p.states;
    v.players = p.players;
    v.actions = p.action_counts;
    v.joint = p.joint;
    v.first = p.first;
    v.next = p.next;
    v.probability = p.probability;
    v.reward = p.reward;
    v.terminal = p.terminal;
    return v;
  }

  CUMARL_HD static CUMARL_INLINE int agents(const Params& p) { return p.players; }
  CUMARL_HD static CUMARL_INLINE int actions(const Params& p, int agent) {
    return p.actions[agent];
  }
  CUMARL_HD static CUMARL_INLINE uint32_t observations(const Params& p, int) {
    return static_cast<uint32_t>(p.states);
  }
  CUMARL_HD static CUMARL_INLINE uint32_t observe_index(const Params&, const State& s, int) {
    return static_cast<uint32_t>(s.state);
  }
  CUMARL_HD static CUMARL_INLINE int features(const Params& p, int) { return p.coords; }
  /// The coordinates of the state, in the order of state_fields; -1 where the game is over.
  CUMARL_HD static void observe(const Params& p, const State& s, int, float* out) {
    for (int k = 0; k < p.coords; ++k) {
      out[k] = static_cast<float>(p.coord[at(s.state, p.coords) + static_cast<size_t>(k)]);
    }
  }
  static Bounds reward_bounds(const Params& p) { return p.bounds; }

  /// A start state; one random word where there are several.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s.state = p.start[p.starts > 1 ? pick(p.start_before, 0, static_cast<int>(p.starts), rng) : 0];
    s.step = 0;
  }

  /// One joint step; one random word where there are several successors. Shapes: actions int
  /// [agents], rewards float [agents].
  CUMARL_HD static CUMARL_INLINE Episode step(const Params& p, State& s, const int* actions,
                                              float* rewards, Rng& rng) {
    int joint = 0;
    for (int i = 0; i < kMaxAgents && i < p.players; ++i) joint += actions[i] * p.weight[i];
    const int* first = p.first + at(s.state, p.joint) + static_cast<size_t>(joint);
    int k = first[0];
    if (first[1] - k > 1) k = pick(p.before, k, first[1], rng);
    for (int i = 0; i < kMaxAgents && i < p.players; ++i) {
      rewards[i] = p.paid[at(k, p.players) + static_cast<size_t>(i)];
    }
    s.state = p.next[k];
    ++s.step;
    if (p.terminal[s.state] != 0) return Episode::ended;
    return s.step >= p.max_steps ? Episode::cut : Episode::goes_on;
  }

  /// Shows the state by its coordinates and "step". Throws ParameterError for coordinates that no
  /// state of the game has.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    std::vector<int64_t> shown;
    for (int k = 0; k < p.coords; ++k) {
      shown.push_back(p.coord[at(s.state, p.coords) + static_cast<size_t>(k)]);
    }
    size_t next = 0;
    for (const CoordName* name = p.names; name->key != nullptr; ++name) {
      v(name->key, &shown[next], name->count);
      next += static_cast<size_t>(name->count);
    }
    int64_t step = s.step;
    v("step", &step, 1);
    if (step < 0 || step > int64_t{p.max_steps}) {
      throw ParameterError("step", "must be from 0 to " + std::to_string(p.max_steps));
    }
    s.step = static_cast<uint32_t>(step);
    for (s.state = 0; s.state < p.states; ++s.state) {
      bool same = true;
      for (int k = 0; k < p.coords; ++k) {
        same = same && shown[static_cast<size_t>(k)] ==
                           p.coord[at(s.state, p.coords) + static_cast<size_t>(k)];
      }
      if (same) return;
    }
    throw ParameterError(p.names->key, "the game has no such state");
  }

  /// What judge_policies works in: everybody's strategies, then values [states][players].
  CUMARL_HD static size_t scratch_bytes(const Params& p) {
    int entries = p.players;
    for (int i = 0; i < p.players; ++i) entries += p.actions[i];
    return at(p.states, entries) * sizeof(double);
  }

  /// How good the evaluated policies are in the game without its time limit, averaged over the start
  /// states, each player with its own discount, to 1e-9: what they are worth to the players
  /// (policy_value), what a best response to the others would be (best_response_value), and the sum
  /// of the differences (nash_conv). Nothing where a discount is 1.
  template <class Policy, class Sink>
  CUMARL_HD static void judge_policies(const Params& p, const Policy& policy, Sink& sink) {
    if (p.soccer && policy.evaluation().measures) {
      for (int i = 0; i < p.players; ++i) {
        sink.metric("win_share_vs_random", win_share_against_random(p, policy, i), i);
      }
    }
    for (int i = 0; i < p.players; ++i) {
      if (!(policy.discount(i) < 1.0)) return;
    }
    const StochasticGameView game = view(p);
    auto* memory = reinterpret_cast<double*>(policy.scratch());
    const double* strategies[kMaxAgents] = {};
    for (int i = 0; i < p.players; ++i) {
      strategies[i] = memory;
      for (int s = 0; s < p.states; ++s) {
        policy.distribution(p, State{s, 0}, i, memory);
        memory += p.actions[i];
      }
    }
    const auto from_start = [&](const double* values, int stride) {
      double mean = 0;
      for (uint32_t k = 0; k < p.starts; ++k) {
        const double end = k + 1 < p.starts ? p.start_before[k + 1] : 4294967296.0;
        mean += (end - p.start_before[k]) / 4294967296.0 * values[p.start[k] * stride];
      }
      return mean;
    };
    double nash_conv = 0;
    for (int i = 0; i < p.players; ++i) {
      const double discount = policy.discount(i);
      for (int k = 0; k < p.states * p.players; ++k) memory[k] = 0;
      policy_values(game, strategies, discount, kTolerance, kMostSweeps, memory);
      const double value = from_start(memory + i, p.players);
      for (int k = 0; k < p.states; ++k) memory[k] = 0;
      best_response_values(game, i, strategies, discount, kTolerance, kMostSweeps, memory, nullptr);
      const double best = from_start(memory, 1);
      sink.metric("policy_value", value, i);
      sink.metric("best_response_value", best, i);
      nash_conv += best - value;
    }
    sink.metric("nash_conv", nash_conv);
  }

  /// Whether [evaluation] measures has something to report here.
  static bool measures(const Params& p) { return p.soccer; }

  /// The share that `player`, with its evaluated policy, wins of the decided ones of
  /// `evaluation.episodes` games of soccer against a uniformly random player. A game ends with a goal;
  /// as a draw after each other step with probability 1 - discount, and after max_steps steps. 0 if
  /// none is decided. Source: Littman, "Markov games as a framework for multi-agent reinforcement
  /// learning", ICML 1994, section 5. Deviation: games are counted, not steps.
  template <class Policy>
  CUMARL_HD static double win_share_against_random(const Params& p, const Policy& policy,
                                                   int player) {
    const auto moment = [player](int what, uint64_t t) {  // apart from those of other evaluations
      return (uint64_t{3} + static_cast<uint64_t>(4 * player + what)) * (uint64_t{1} << 40) + t;
    };
    const double goes_on = policy.discount(player);
    uint64_t won = 0;
    uint64_t decided = 0;
    uint64_t t = 0;
    for (uint32_t game = 0; game < policy.evaluation().episodes; ++game) {
      State s{};
      Rng fresh(policy.key(), moment(0, game), Stream::evaluate);
      reset(p, s, fresh);
      for (bool over = false; !over; ++t) {
        int actions[kMaxAgents] = {};
        float rewards[kMaxAgents] = {};
        policy.act(p, s, actions, moment(1, t));
        Rng rng(policy.key(), moment(2, t), Stream::evaluate);
        for (int j = 0; j < kMaxAgents && j < p.players; ++j) {
          if (j != player) {
            actions[j] = static_cast<int>(rng.below(static_cast<uint32_t>(p.actions[j])));
          }
        }
        const bool drawn = !(unit_double(rng.word()) < goes_on);
        Rng chance(policy.key(), moment(3, t), Stream::evaluate);
        const Episode episode = step(p, s, actions, rewards, chance);
        const bool goal = rewards[player] != 0.0F;
        decided += goal ? 1 : 0;
        won += rewards[player] > 0.0F ? 1 : 0;
        over = goal || drawn || episode != Episode::goes_on;
      }
    }
    return decided > 0 ? static_cast<double>(won) / static_cast<double>(decided) : 0.0;
  }

 private:
  static constexpr double kTolerance = 1e-10;
  static constexpr int kMostSweeps = 5000;

  CUMARL_HD static CUMARL_INLINE size_t at(int row, int width) {
    return static_cast<size_t>(row) * static_cast<size_t>(width);
  }
  /// The entry of before[from..end) in which a random word falls.
  CUMARL_HD static CUMARL_INLINE int pick(const uint32_t* before, int from, int end, Rng& rng) {
    const uint32_t word = rng.word();
    int k = from;
    while (k + 1 < end && before[k + 1] <= word) ++k;
    return k;
  }
  /// 2^32 * probability, rounded; 1 becomes 2^32 - 1.
  static uint32_t threshold(double probability) {
    const double scaled = std::floor(probability * 4294967296.0 + 0.5);
    return scaled >= 4294967295.0 ? 0xFFFFFFFFu : static_cast<uint32_t>(scaled);
  }
  static GameTable tabulate(const Config& c) {
    const bool soccer = c.game.value == kSoccer;
    const int rows = c.rows > 0 ? c.rows : (soccer ? 4 : 3);
    const int columns = c.columns > 0 ? c.columns : (soccer ? 5 : 3);
    switch (c.game.value) {
      case kSoccer: return soccer_table(rows, columns, c.restart);
      case kTwoState: return two_state_table();
      case kTwoStep: return two_step_table();
      case kStep: return k_step_table(c.k, c.good_branches);
      default:
        return grid_game_table(c.game.value - kGridGame1 + 1, rows, columns, c.goal_reward,
                               c.collision_reward, c.barrier);
    }
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
