/// \file
/// Repeated normal-form games drawn at random, another one for every run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "envs/repeated_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A game whose payoffs are independent draws, uniform between `low` and `high`, made when they are
/// looked up: a payoff is a pure function of (seed, game, joint action, player), so that no table
/// exists. Distributions:
///  - uniform: every player's payoff of every joint action is drawn.
///  - zero_sum: two players; player 0's is drawn, player 1 gets minus it.
///  - common_payoff: one draw a joint action, for all.
///  - potential: half of [low, high] for a potential of the joint action, which all get, and half
///    for a term of each player that depends on the others' actions alone: an exact potential game.
/// Source: uniform and zero-sum as in GAMUT (Nudelman, Wortman, Shoham, Leyton-Brown, AAMAS 2004);
/// potential: Monderer and Shapley, "Potential games", GEB 14, 1996, section 2. Deviation: none.
struct RandomStage {
  static constexpr EnvFacts kFacts{"random_game",
                                   "Repeated random normal-form game, another one for every run",
                                   "Nudelman et al., AAMAS 2004; Monderer and Shapley, GEB 1996",
                                   Family::matrix,
                                   "0 to actions - 1, without a meaning",
                                   "the joint actions of the last `memory` periods"};
  static constexpr int kMaxPlayers = 6;
  static constexpr int kDefaultMemory = 0;
  static constexpr const char* kSizeKey = "actions";
  static constexpr InitKind kCustomInit = InitKind::constant;
  using Shapes = ShapeList<>;
  enum Distribution : int32_t { kUniform, kZeroSum, kCommonPayoff, kPotential };

  struct Config {
    Choice distribution;
    int players = 2;
    int actions = 3;
    double low = -1.0;
    double high = 1.0;
    int64_t games = 0;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v.choice("distribution", c.distribution, {"uniform", "zero_sum", "common_payoff", "potential"},
             "what the games have in common");
    v("players", c.players, Bounds{2, kMaxPlayers}, "", "number of players");
    v("actions", c.actions, Bounds{2, 64}, "", "actions of each player");
    v("low", c.low, Bounds{-1e6, 1e6}, "payoff", "lowest payoff drawn");
    v("high", c.high, Bounds{-1e6, 1e6}, "payoff", "highest payoff drawn");
    v("games", c.games, Bounds{0, 1e15}, "",
      "number of games: run r plays game r modulo this; 0: every run its own");
  }

  struct Params {
    int32_t distribution;
    int32_t players;
    int32_t actions;
    double low;
    double width;  ///< high - low
    uint64_t games;
    RunKey key;  ///< which game; set by RandomGame before payoffs are looked up
  };
  static Params make(const Config& c, Arena&) {
    if (!(c.high > c.low)) throw ParameterError("high", "must be above low");
    if (c.distribution.value == kZeroSum && c.players != 2) {
      throw ParameterError("players", "must be 2 in zero_sum games");
    }
    return {c.distribution.value,           c.players,   c.actions, c.low, c.high - c.low,
            static_cast<uint64_t>(c.games), RunKey{0, 0}};
  }

  CUMARL_HD static int players(const Params& p) { return p.players; }
  CUMARL_HD static int actions(const Params& p, int) { return p.actions; }
  /// There is no table to make before the run is known.
  CUMARL_HD static bool stochastic(const Params&) { return true; }
  static Bounds payoff_bounds(const Params& p) {
    const double high = p.low + p.width;
    if (p.distribution != kZeroSum) return {p.low, high};
    const double most = high > -p.low ? high : -p.low;
    return {-most, most};
  }

  CUMARL_HD static void payoffs(const Params& p, const int* actions, double* out) {
    uint64_t joint = 0;
    for (int i = 0; i < kMaxPlayers && i < p.players; ++i) {
      joint = joint * static_cast<uint64_t>(p.actions) + static_cast<uint64_t>(actions[i]);
    }
    if (p.distribution == kUniform) {
      const Philox front = cell(p, joint, 0);
      out[0] = p.low + p.width * unit_double(front.x0);
      out[1] = p.low + p.width * unit_double(front.x1);
      if (p.players > 2) out[2] = p.low + p.width * unit_double(front.x2);
      if (p.players > 3) out[3] = p.low + p.width * unit_double(front.x3);
      if (p.players > 4) {
        const Philox back = cell(p, joint, 1);
        out[4] = p.low + p.width * unit_double(back.x0);
        if (p.players > 5) out[5] = p.low + p.width * unit_double(back.x1);
      }
      return;
    }
    const double drawn = unit_double(cell(p, joint, 0).x0);
    if (p.distribution != kPotential) {
      const double u = p.low + p.width * drawn;
      for (int i = 0; i < kMaxPlayers && i < p.players; ++i) {
        out[i] = p.distribution == kZeroSum && i == 1 ? -u : u;
      }
      return;
    }
    uint64_t weight = 1;
    for (int i = p.players - 1; i >= 0; --i) {
      const uint64_t others = joint - weight * static_cast<uint64_t>(actions[i]);
      const double term = unit_double(cell(p, others, 2 + static_cast<uint32_t>(i)).x0);
      out[i] = p.low + p.width * (0.5 * drawn + 0.5 * term);
      weight *= static_cast<uint64_t>(p.actions);
    }
  }

 private:
  /// Words of the game's own: steps from 2^47 on are beyond the longest run.
  CUMARL_HD static CUMARL_INLINE Philox cell(const Params& p, uint64_t joint, uint32_t block) {
    return philox(p.key, (uint64_t{1} << 47) + joint, Stream::dynamics, block);
  }
};

/// RepeatedGame<RandomStage> with the game's identity in the state.
struct RandomGame {
  using Game = RepeatedGame<RandomStage>;
  static constexpr EnvFacts kFacts = Game::kFacts;
  static constexpr int kMaxAgents = Game::kMaxAgents;
  static constexpr bool kSharedObservation = Game::kSharedObservation;
  using Shapes = Game::Shapes;
  using Config = Game::Config;
  using Params = Game::Params;

  struct State {
    Game::State play;
    uint64_t seed;
    uint64_t game;
  };

  static void fields(FieldVisitor& v, Config& c) { Game::fields(v, c); }
  static Params make(const Config& c, Arena& arena) {
    Params p = Game::make(c, arena);
    p.game = nullptr;  // each run has its own: see in_game
    p.equilibrium = nullptr;
    p.equilibria = 0;
    return p;
  }
  CUMARL_HD static CUMARL_INLINE int agents(const Params& p) { return Game::agents(p); }
  CUMARL_HD static CUMARL_INLINE int actions(const Params& p, int agent) {
    return Game::actions(p, agent);
  }
  CUMARL_HD static CUMARL_INLINE uint32_t observations(const Params& p, int agent) {
    return Game::observations(p, agent);
  }
  CUMARL_HD static CUMARL_INLINE uint32_t observe_index(const Params& p, const State& s,
                                                        int agent) {
    return Game::observe_index(p, s.play, agent);
  }
  CUMARL_HD static int features(const Params& p, int agent) { return Game::features(p, agent); }
  CUMARL_HD static void observe(const Params& p, const State& s, int agent, float* out) {
    Game::observe(p, s.play, agent, out);
  }
  static Bounds reward_bounds(const Params& p) { return Game::reward_bounds(p); }

  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    const RunKey key = rng.key();
    s.seed = key.seed;
    s.game = p.stage.games == 0 ? key.run : key.run % p.stage.games;
    Game::reset(p, s.play, rng);
  }
  CUMARL_HD static CUMARL_INLINE Episode step(const Params& p, State& s, const int* actions,
                                              float* rewards, Rng& rng) {
    return Game::step(drawn(p, s), s.play, actions, rewards, rng);
  }
  /// Expected payoffs [agents] of a joint action in the game of `s`.
  CUMARL_HD static void payoffs(const Params& p, const State& s, const int* actions, double* out) {
    RandomStage::payoffs(drawn(p, s).stage, actions, out);
  }

  /// Shows which game it is as "seed" and "game", beside the fields of repeated games.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    auto seed = static_cast<int64_t>(s.seed);
    auto game = static_cast<int64_t>(s.game);
    v("seed", &seed, 1);
    v("game", &game, 1);
    Game::state_fields(v, p, s.play);
    s.seed = static_cast<uint64_t>(seed);
    s.game = static_cast<uint64_t>(game);
  }

  /// The measures of repeated games, in the run's own game. Played without memory, a game of up to
  /// kMaxJudged payoffs is judged by its players' strategies; equilibria are not looked for.
  template <class Policy, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const RunFacts& facts, Sink& sink) {
    double table[kMaxJudged];
    Game::evaluate(in_game(p, last, table), last.play, InGame<Policy>(policy, last), facts, sink);
  }
  static constexpr int kProbes = Game::kProbes;
  CUMARL_HD static bool probes(const Params& p) {
    return p.memory == 0 && p.joint * static_cast<uint32_t>(p.players) <= kMaxJudged;
  }
  template <class Policy>
  CUMARL_HD static void probe(const Params& p, const State& s, const Policy& policy, double* out) {
    double table[kMaxJudged];
    Game::probe(in_game(p, s, table), s.play, InGame<Policy>(policy, s), out);
  }
  CUMARL_HD static int probe_width(const Params& p, bool measures) {
    return Game::probe_width(p, measures);
  }
  static constexpr bool kTallies = Game::kTallies;
  static bool measures(const Params& p) { return probes(p); }
  CUMARL_HD static size_t tally_bytes(const Params& p) { return Game::tally_bytes(p); }
  CUMARL_HD static void tally(const Params& p, const int* actions, Episode episode, bool late,
                              std::byte* memory) {
    Game::tally(p, actions, episode, late, memory);
  }

 private:
  /// The parameters with the game of `s` filled in.
  CUMARL_HD static CUMARL_INLINE Params drawn(const Params& p, const State& s) {
    Params q = p;
    q.stage.key = RunKey{s.seed, s.game};
    return q;
  }

  static constexpr uint32_t kMaxJudged = 1024;
  /// `drawn` with its payoffs [joint][players] in `table`, where strategies are judged.
  CUMARL_HD static Params in_game(const Params& p, const State& s, double* table) {
    Params q = drawn(p, s);
    if (!probes(p)) return q;
    int chosen[kMaxAgents] = {};
    double payoff[kMaxAgents] = {};
    for (uint32_t j = 0; j < p.joint; ++j) {
      for (int i = 0; i < p.players; ++i) chosen[i] = static_cast<int>(Game::action_of(p, j, i));
      RandomStage::payoffs(q.stage, chosen, payoff);
      for (int i = 0; i < p.players; ++i) {
        table[j * static_cast<uint32_t>(p.players) + static_cast<uint32_t>(i)] = payoff[i];
      }
    }
    q.game = table;
    return q;
  }

  /// A policy of this environment, as one of the repeated game.
  template <class Policy>
  class InGame {
   public:
    CUMARL_HD InGame(const Policy& policy, const State& s) : policy_(policy), state_(s) {}
    CUMARL_HD void act(const Params& p, const Game::State& play, int* actions,
                       uint64_t t = 0) const {
      policy_.act(p, at(play), actions, t);
    }
    CUMARL_HD void distribution(const Params& p, const Game::State& play, int agent,
                                double* out) const {
      policy_.distribution(p, at(play), agent, out);
    }
    CUMARL_HD bool deterministic() const { return policy_.deterministic(); }
    CUMARL_HD double discount(int agent) const { return policy_.discount(agent); }
    CUMARL_HD decltype(auto) evaluation() const { return policy_.evaluation(); }
    CUMARL_HD RunKey key() const { return policy_.key(); }
    CUMARL_HD uint32_t points() const { return policy_.points(); }
    CUMARL_HD uint64_t points_every() const { return policy_.points_every(); }
    CUMARL_HD const double* point(uint32_t k) const { return policy_.point(k); }
    CUMARL_HD decltype(auto) tally() const requires requires(const Policy& p) { p.tally(); }
    { return policy_.tally(); }

   private:
    CUMARL_HD State at(const Game::State& play) const {
      return State{play, state_.seed, state_.game};
    }
    const Policy& policy_;
    const State& state_;
  };
};

}  // namespace cumarl::inline CUMARL_VARIANT
