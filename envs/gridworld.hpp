/// \file
/// What every gridworld offers as options, around the rules of one: limited sight, shared rewards,
/// messages, agent numbers, the step limit; and the observations that follow from them.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "envs/team_options.hpp"
#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Numbers sets of cells, for table indices: {c_0 < c_1 < ...} of k cells has the number
/// C(c_0, 1) + C(c_1, 2) + ..., which is below C(cells, k).
struct CellSets {
  static constexpr uint32_t kTooMany = (1U << 24) + 1;  ///< stands for all larger counts

  /// For sets of up to `most` of `cells` cells. Host.
  static CellSets make(int cells, int most, Arena& arena) {
    return {arena.store(binomials(cells, most)), cells};
  }

  /// C(cells, k), the number of sets of k cells, or kTooMany. Host.
  static uint32_t count(int cells, int k) { return binomials(cells, k).back(); }

  /// C(c, k), where c <= cells and k <= most.
  CUMARL_HD uint32_t choose(int c, int k) const { return table[k * (cells + 1) + c]; }

  /// Row k, column c: C(c, k), kTooMany at most.
  static std::vector<uint32_t> binomials(int cells, int most) {
    const auto width = static_cast<size_t>(cells) + 1;
    std::vector<uint32_t> out(width * (static_cast<size_t>(most) + 1), 0);
    for (size_t c = 0; c < width; ++c) out[c] = 1;
    for (size_t at = width; at < out.size(); ++at) {
      if (at % width != 0) out[at] = std::min(out[at - 1] + out[at - width - 1], kTooMany);
    }
    return out;
  }

  const uint32_t* table;
  int32_t cells;
};

/// The rules of a gridworld, all static. Cells are numbered row * cols + col, row 0 is north.
///
///  - `kFacts`, `kMaxAgents` (16 at most), `kActions`, `kMaxSteps` (default of `max_steps`),
///    `kChannels` (numbers that describe a cell), `kMaxExtra` (at most so many extras)
///  - `Config`, `fields`, `Params`, `make(config, arena)`: as every environment's. The keys of
///    Gridworld::fields are taken.
///  - `State`: trivially copyable, small
///  - `agents(p)`, `rows(p)`, `cols(p)`, `reset(p, state, rng)`
///  - `step(p, state, actions, rewards, rng)`: pays each agent its own reward; goes_on or ended.
///    `actions` and `rewards` have kMaxAgents places.
///  - `reward_bounds(p)`: host; of one agent in one step, and of the float that is paid
///  - `cell_of(p, state, agent)`: where its view is centred
///  - `view(p, state, agent, row, col, out)`: kChannels numbers in [0, 1], the cell as this agent
///    sees it. Others are told apart only where the rules do so, never by their numbers.
///  - `extras(p)`, `extra(p, state, agent, out)`: numbers in [0, 1] an agent knows besides
///  - `observations(p)`, `index(p, state, agent)`: the table index of what an agent sees when the
///    whole grid is in view; 0 if there are more than 2^24 (`index` is not called then)
///  - `state_fields(visitor, p, state)`, `glyph(p, state, row, col)`: as every environment's
///
/// Optional:
///  - `look(p, state, agent, down, right)`: the cell that an agent's window shows so many rows
///    below and columns right of its centre, -1 off the grid. For grids whose edges join, and for
///    agents who turn their window. Without it: cell_of plus that offset.
///  - `costs(p, before, actions, after, out)`: what a joint step costs each agent, for limits on it;
///    actions double [agents], out float [agents], in arrays of kMaxAgents
///  - `measure<World>(p, policy, sink)`: measures after those of the episodes. World is
///    Gridworld<Game>, p its Params; World::watch plays the episodes.
template <class G>
concept GridworldGame = std::is_trivially_copyable_v<typename G::State> && G::kMaxAgents >= 1 &&
                        G::kMaxAgents <= 16 && G::kChannels >= 1 &&
                        requires(const typename G::Params& p, typename G::State& s,
                                 const int* actions, float* out, Rng& rng, StateVisitor& v,
                                 FieldVisitor& f, typename G::Config& c, Arena& arena) {
  { G::make(c, arena) } -> std::same_as<typename G::Params>;
  G::fields(f, c);
  { G::agents(p) } -> std::same_as<int>;
  { G::rows(p) } -> std::same_as<int>;
  { G::cols(p) } -> std::same_as<int>;
  G::reset(p, s, rng);
  { G::step(p, s, actions, out, rng) } -> std::same_as<Episode>;
  { G::reward_bounds(p) } -> std::same_as<Bounds>;
  { G::cell_of(p, s, 0) } -> std::same_as<int>;
  G::view(p, s, 0, 0, 0, out);
  { G::extras(p) } -> std::same_as<int>;
  G::extra(p, s, 0, out);
  { G::observations(p) } -> std::same_as<uint32_t>;
  { G::index(p, s, 0) } -> std::same_as<uint32_t>;
  G::state_fields(v, p, s);
  { G::glyph(p, s, 0, 0) } -> std::same_as<Glyph>;
};

/// A gridworld with the rules of `Game`.
///
/// Features of an agent, one after another:
///  1. sight = 0: all cells, row by row, each with the game's channels, then the agent's own row
///     and column, scaled to [0, 1]. sight = s > 0: the (2 s + 1)^2 cells around it, each with
///     channel 0 "outside of the grid" before the game's, which are 0 there.
///  2. The game's extras.
///  3. With messages: one-hot, what each other agent sent in the last step, in agent order.
///     An episode begins as if everybody had sent message 0.
///  4. With agent_ids: one-hot, its own number.
/// The table index holds the same information, with the whole grid in view only; with messages
/// they are digits in base `messages`, the agent number is the last one.
///
/// The step limit is Episode::cut: learners still bootstrap from it.
template <GridworldGame Game>
struct Gridworld {
  static constexpr EnvFacts kFacts = Game::kFacts;
  static constexpr int kMaxAgents = Game::kMaxAgents;
  static constexpr uint32_t kMaxObservations = 1U << 24;  ///< largest table index space
  static constexpr bool kSharedObservation = false;

  using Options = TeamOptions<kMaxAgents>;
  static constexpr int kMaxMessages = Options::kMaxMessages;
  using RewardRule = typename Options::RewardRule;
  static constexpr RewardRule kIndividual = Options::kIndividual;
  static constexpr RewardRule kShared = Options::kShared;
  static constexpr RewardRule kMixed = Options::kMixed;

  /// What a user may set. Checked by make().
  struct Config : Options::Config {
    typename Game::Config game;
    int sight = 0;
    int max_steps = Game::kMaxSteps;
  };

  static void fields(FieldVisitor& v, Config& c) {
    Game::fields(v, c.game);
    v("sight", c.sight, Bounds{0, 255}, "cells",
      "how far an agent sees in each direction; 0: the whole grid");
    Options::fields(v, c);
    v("max_steps", c.max_steps, Bounds{1, 65535}, "joint steps", "length limit of an episode");
  }

  struct Params : Options {
    typename Game::Params game;
    int32_t sight;
    uint32_t max_steps;
    uint32_t observations;
  };

  struct State {
    typename Game::State game;
    typename Options::Messages messages;
    uint16_t steps;  ///< joint steps done
  };

  /// Checks the configuration. Throws ParameterError.
  static Params make(const Config& c, Arena& arena) {
    const typename Game::Params game = Game::make(c.game, arena);
    const int rows = Game::rows(game), cols = Game::cols(game), n = Game::agents(game);
    const auto between = [](const char* key, int value, int min, int max, const std::string& why) {
      if (value >= min && value <= max) return;
      throw ParameterError(key, "is " + std::to_string(value) + ", allowed are " +
                                    std::to_string(min) + " to " + std::to_string(max) + why);
    };
    between("sight", c.sight, 0, std::max(rows, cols) - 1,
            ": 0 is the whole grid of " + std::to_string(rows) + "x" + std::to_string(cols));
    between("max_steps", c.max_steps, 1, 65535, "");
    Params p{Options::make(c, n), game, c.sight, static_cast<uint32_t>(c.max_steps), 0};
    p.observations = p.indices(c.sight == 0 ? Game::observations(game) : 0, n, kMaxObservations);
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return Game::agents(p.game); }
  CUMARL_HD static int actions(const Params& p, int) { return Game::kActions * p.messages; }

  /// Bounds of an agent's reward of one step; a mean has no others.
  static Bounds reward_bounds(const Params& p) { return Game::reward_bounds(p.game); }

  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    Game::reset(p.game, s.game, rng);
    s.messages = 0;
    s.steps = 0;
  }

  /// One joint step. Shapes: actions int [agents], rewards float [agents], in arrays of kMaxAgents.
  /// Pre: 0 <= action < actions().
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    const int n = agents(p);
    Episode episode = Episode::goes_on;
    if (p.messages == 1) {
      episode = Game::step(p.game, s.game, actions, rewards, rng);
    } else {
      int plain[kMaxAgents] = {};
      const typename Options::Messages sent = p.split(n, actions, plain);
      episode = Game::step(p.game, s.game, plain, rewards, rng);
      s.messages = sent;
    }
    if (p.mix > 0) p.share(n, rewards);
    s.steps = static_cast<uint16_t>(s.steps + 1);
    if (episode == Episode::goes_on && s.steps >= p.max_steps) return Episode::cut;
    return episode;
  }

  /// Costs of a joint step, [agents], of games that state them (Game::costs).
  CUMARL_HD static void costs(const Params& p, const State& before, const double* actions,
                              const State& after, float* out) requires requires {
    Game::costs(p.game, before.game, actions, after.game, out);
  }
  {
    double plain[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < agents(p); ++i) {
      plain[i] = static_cast<int>(actions[i]) / p.messages;
    }
    Game::costs(p.game, before.game, plain, after.game, out);
  }

  /// Number of table indices; 0 with limited sight, or where it would exceed kMaxObservations.
  CUMARL_HD static uint32_t observations(const Params& p, int) { return p.observations; }

  /// What `agent` sees, as one number below observations(); 0 if that is 0.
  CUMARL_HD static uint32_t observe_index(const Params& p, const State& s, int agent) {
    if (p.observations == 0) return 0;
    return p.index(Game::index(p.game, s.game, agent), s.messages, agents(p), agent);
  }

  /// Length of the float observation.
  CUMARL_HD static int features(const Params& p, int) {
    const int extra = Game::extras(p.game) + p.Options::features(agents(p));
    if (p.sight == 0) return cells(p) * Game::kChannels + 2 + extra;
    const int side = 2 * p.sight + 1;
    return side * side * (Game::kChannels + 1) + extra;
  }

  /// Bounds of a feature.
  static Bounds feature_range(const Params&, int, int) { return {0, 1}; }

  /// What `agent` sees; out: float [features].
  CUMARL_HD static void observe(const Params& p, const State& s, int agent, float* out) {
    if (p.sight == 0) {
      out = put_grid(p, s, agent, out);
      out = put_place(p, s, agent, out);
    } else {
      out = put_window(p, s, agent, out);
    }
    Game::extra(p.game, s.game, agent, out);
    out += Game::extras(p.game);
    p.Options::observe(s.messages, agents(p), agent, out);
  }

  /// Length of the state that a central critic sees.
  CUMARL_HD static int global_features(const Params& p) {
    const int each = 2 + Game::extras(p.game) + (p.messages > 1 ? p.messages : 0);
    return cells(p) * Game::kChannels + agents(p) * each;
  }

  /// All cells as agent 0 sees them, then each agent's row, column, extras and last message, as
  /// in the features; out: float [global_features].
  CUMARL_HD static void observe_global(const Params& p, const State& s, float* out) {
    out = put_grid(p, s, 0, out);
    for (int i = 0; i < agents(p); ++i) {
      out = put_place(p, s, i, out);
      Game::extra(p.game, s.game, i, out);
      out += Game::extras(p.game);
      if (p.messages > 1) out = p.put_message(s.messages, i, out);
    }
  }

  /// Shows the game's fields, "step" (joint steps done) and with messages "messages" (the last one
  /// of each agent), and rebuilds the state from what the visitor leaves there. Throws
  /// ParameterError for what cannot be.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    Game::state_fields(v, p.game, s.game);
    int64_t step = s.steps;
    v("step", &step, 1);
    if (step < 0 || step > int64_t{p.max_steps}) {
      throw ParameterError("step", "is outside of 0 to max_steps");
    }
    s.steps = static_cast<uint16_t>(step);
    p.Options::state_fields(v, agents(p), s.messages);
  }

  /// The picture, cell by cell. Host.
  static int rows(const Params& p) { return Game::rows(p.game); }
  static int cols(const Params& p) { return Game::cols(p.game); }
  static Glyph glyph(const Params& p, const State& s, int row, int col) {
    return Game::glyph(p.game, s.game, row, col);
  }

  /// The game's own measures of finished policies.
  template <class PolicyT, class Sink>
  requires requires(const Params& p, const PolicyT& policy, Sink& sink) {
    Game::template measure<Gridworld>(p, policy, sink);
  }
  CUMARL_HD static void judge_policies(const Params& p, const PolicyT& policy, Sink& sink) {
    Game::template measure<Gridworld>(p, policy, sink);
  }

  /// Plays the episodes of the evaluation (the same ones as its mean returns are from) and calls
  /// visit(before, actions, rewards, after, episode) after each joint step: const Game::State&
  /// before and after, const int* the game's actions [agents], const float* rewards [agents].
  template <class PolicyT, class Visit>
  CUMARL_HD static void watch(const Params& p, const PolicyT& policy, Visit visit) {
    uint64_t t = 0;
    for (uint32_t e = 0; e < policy.evaluation().episodes; ++e) {
      State s{};
      Rng fresh(policy.key(), (uint64_t{1} << 32) + e, Stream::evaluate);
      reset(p, s, fresh);
      for (Episode episode = Episode::goes_on; episode == Episode::goes_on; ++t) {
        double value[kMaxAgents] = {};
        float reward[kMaxAgents] = {};
        int action[kMaxAgents] = {};
        const State before = s;
        episode = policy.play(p, s, value, reward, t);
        for (int i = 0; i < agents(p); ++i) action[i] = static_cast<int>(value[i]) / p.messages;
        visit(before.game, action, reward, s.game, episode);
      }
    }
  }

 private:
  CUMARL_HD static int cells(const Params& p) { return Game::rows(p.game) * Game::cols(p.game); }

  /// Each of these writes its part of an observation and returns where the next begins.
  CUMARL_HD static float* put_grid(const Params& p, const State& s, int agent, float* out) {
    for (int row = 0; row < Game::rows(p.game); ++row) {
      for (int col = 0; col < Game::cols(p.game); ++col) {
        Game::view(p.game, s.game, agent, row, col, out);
        out += Game::kChannels;
      }
    }
    return out;
  }

  CUMARL_HD static float* put_window(const Params& p, const State& s, int agent, float* out) {
    const int cols = Game::cols(p.game);
    for (int down = -p.sight; down <= p.sight; ++down) {
      for (int right = -p.sight; right <= p.sight; ++right) {
        const int cell = look(p, s, agent, down, right);
        out[0] = cell < 0 ? 1.0F : 0.0F;
        if (cell < 0) {
          for (int k = 1; k <= Game::kChannels; ++k) out[k] = 0.0F;
        } else {
          Game::view(p.game, s.game, agent, cell / cols, cell % cols, out + 1);
        }
        out += Game::kChannels + 1;
      }
    }
    return out;
  }

  CUMARL_HD static int look(const Params& p, const State& s, int agent, int down, int right) {
    if constexpr (requires { Game::look(p.game, s.game, agent, down, right); }) {
      return Game::look(p.game, s.game, agent, down, right);
    } else {
      const int rows = Game::rows(p.game), cols = Game::cols(p.game);
      const int centre = Game::cell_of(p.game, s.game, agent);
      const int row = centre / cols + down, col = centre % cols + right;
      const bool inside = row >= 0 && row < rows && col >= 0 && col < cols;
      return inside ? row * cols + col : -1;
    }
  }

  CUMARL_HD static float* put_place(const Params& p, const State& s, int agent, float* out) {
    const int cols = Game::cols(p.game);
    const int cell = Game::cell_of(p.game, s.game, agent);
    out[0] = scaled(cell / cols, Game::rows(p.game));
    out[1] = scaled(cell % cols, cols);
    return out + 2;
  }

  CUMARL_HD static float scaled(int place, int places) {
    return places > 1 ? static_cast<float>(place) / static_cast<float>(places - 1) : 0.0F;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
