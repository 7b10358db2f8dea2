/// \file
/// Level-based foraging: agents with levels walk a grid and load food together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "envs/grid_tools.hpp"
#include "envs/team_options.hpp"
#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Level-based foraging, version 3, with the rules of the Python package lbforaging 2.0.0.
///
/// A joint step, in this order:
///  1. An action that the current state forbids becomes "none": a move off the grid or onto a
///     food, a load next to no food. Other agents do not forbid a move.
///  2. All move at once. A cell that two or more agents would occupy (movers, and agents that
///     stay) is entered by none of them; every other move happens, so agents swap and follow,
///     and may overrun an agent whose own move has failed: then two stand in one cell.
///  3. The loaders of a food are the agents beside it that load. If their levels add up to the
///     food's, the food goes and each gets level * food / (sum of the loaders' levels * levels of
///     all food spawned in the episode), or level * food with `normalize_reward = false`;
///     otherwise each gets -penalty.
///  4. The episode ends when no food is left or the step limit is reached. The package reports
///     both as "terminated", never as "truncated", so both are Episode::ended here.
///
/// At reset agents stand on distinct cells, uniformly, with uniform levels; then foods are drawn
/// one by one on inner cells, never on an agent, at Manhattan distance 3 or more from each other,
/// until all are placed or 1,000 draws are spent (so fewer foods can appear on a small grid).
/// Food levels are uniform in [min_food_level, max_food_level]; with `coop` all are the maximum.
///
/// The options of all gridworlds (TeamOptions) change none of this: actions are the game's with a
/// message, rewards are what the rules pay, shared, and observations get more numbers at their end.
///
/// Deviations: a reset does not know the episode before (the package also keeps agents off the
/// last cells of those not yet placed); grids beyond 15 x 15, levels beyond 15 and more foods than
/// can ever fit (3 on 5 x 5: the package plays with fewer) are refused; the package stops with an
/// assertion where an observed row exceeds the number of columns, this does not.
/// Source: Albrecht and Ramamoorthy 2013; Papoudakis et al. 2021; the package above.
struct Lbf {
  static constexpr EnvFacts kFacts{
      "lbf",
      "level-based foraging",
      "lbforaging 2.0.0 (v3); Albrecht and Ramamoorthy 2013; Papoudakis et al. 2021",
      Family::gridworld,
      "0 none, 1 north, 2 south, 3 west, 4 east, 5 load (row 0 is north)",
      "floats: y, x, level of each food in sight, row by row (-1, -1, 0 where none), then of self, "
      "then of the others in their order; table index: the same information as one number",
      "size = [4, 4]"};
  static constexpr int kMaxAgents = 6;
  static constexpr int kMaxFoods = 8;
  static constexpr int kMaxSide = 15;   ///< rows and columns; the 16th stays free as a wall
  static constexpr int kMaxLevel = 15;  ///< of agents and of foods
  static constexpr int kActions = 6;
  static constexpr uint32_t kMaxObservations = 1U << 24;  ///< largest table index space
  static constexpr bool kSharedObservation = false;
  using Options = TeamOptions<kMaxAgents>;

  /// What a user may set. Checked by make().
  struct Config : Options::Config {
    std::vector<int> size{8, 8};
    int players = 2;
    int foods = 1;
    int min_player_level = 1;
    int max_player_level = 2;
    int min_food_level = 1;
    int max_food_level = 0;
    bool coop = false;
    int sight = 0;
    double penalty = 0;
    bool normalize_reward = true;
    int max_steps = 50;
  };

  static void fields(FieldVisitor& v, Config& c) {
    v("size", c.size, Bounds{3, kMaxSide}, "cells", "rows and columns of the grid");
    v("players", c.players, Bounds{1, kMaxAgents}, "", "number of agents");
    v("foods", c.foods, Bounds{1, kMaxFoods}, "", "foods at the start of an episode, at most");
    v("min_player_level", c.min_player_level, Bounds{1, kMaxLevel}, "", "lowest level of agents");
    v("max_player_level", c.max_player_level, Bounds{1, kMaxLevel}, "", "highest level of agents");
    v("min_food_level", c.min_food_level, Bounds{1, kMaxLevel}, "",
      "lowest level of foods (not used with coop)");
    v("max_food_level", c.max_food_level, Bounds{0, kMaxLevel}, "",
      "highest level of foods; 0: the sum of the three lowest agent levels of the episode");
    v("coop", c.coop, "every food has the highest level, so that it takes several agents");
    v("sight", c.sight, Bounds{0, kMaxSide}, "cells",
      "how far an agent sees in each direction; 0: the whole grid");
    v("penalty", c.penalty, Bounds{0, 1e6}, "reward", "what each agent pays for a failed load");
    v("normalize_reward", c.normalize_reward, "divide rewards so that an episode pays at most 1");
    Options::fields(v, c);
    v("max_steps", c.max_steps, Bounds{1, 65535}, "joint steps", "length limit of an episode");
  }

  /// One game. `rank` (one row of `food_codes` per food) lives in the arena, the rest is plain.
  struct Params : Options {
    uint32_t agents, rows, cols, foods, max_steps;
    uint32_t sight;                            ///< 16 for the whole grid
    uint32_t min_player_level, player_levels;  ///< lowest level; how many
    uint32_t min_food_level, max_food_level;   ///< max 0: sum of the three lowest agent levels
    bool coop, normalize;
    float penalty;
    // The table index, see observe_index().
    bool whole;                       ///< everybody sees the whole grid
    uint32_t own_cols, view_cols;     ///< columns that an agent's own, and any, position can show
    uint32_t own_codes, other_codes;  ///< position and level; with 0 for "not in sight" for others
    uint32_t food_cols, food_level_base, food_levels, food_codes;  ///< food_levels 0: not coded
    uint32_t food_sets;  ///< sets of at most `foods` foods
    uint32_t observations;
    const uint32_t* rank;
    bool plain;  ///< neither messages nor shared rewards
  };

  /// 32 bytes. A cell is the byte y * 16 + x. Packed so that a step reads and writes whole words.
  struct State {
    uint64_t foods;          ///< byte k: cell of the k-th food left, row by row; then 0xFF
    uint64_t players;        ///< byte i: cell of agent i; bits 48 to 63: joint steps done
    uint32_t food_levels;    ///< nibble k: level of the k-th food left; then 0
    uint32_t player_levels;  ///< nibble i: level of agent i; bits 24 to 31: sum of the levels of
                             ///< all food spawned in this episode
    Options::Messages messages;
    uint32_t unused;  ///< 0
  };

  /// Checks the configuration and derives the tables. Throws ParameterError.
  static Params make(const Config& c, Arena& arena) {
    check(c);
    Params p{};
    static_cast<Options&>(p) = Options::make(c, c.players);
    p.plain = p.messages == 1 && !(p.mix > 0);
    p.agents = static_cast<uint32_t>(c.players);
    p.rows = static_cast<uint32_t>(c.size[0]);
    p.cols = static_cast<uint32_t>(c.size[1]);
    p.foods = static_cast<uint32_t>(c.foods);
    p.max_steps = static_cast<uint32_t>(c.max_steps);
    p.sight = c.sight == 0 ? 16U : static_cast<uint32_t>(c.sight);
    p.min_player_level = static_cast<uint32_t>(c.min_player_level);
    p.player_levels = static_cast<uint32_t>(c.max_player_level - c.min_player_level) + 1;
    p.min_food_level = static_cast<uint32_t>(c.min_food_level);
    p.max_food_level = static_cast<uint32_t>(c.max_food_level);
    p.coop = c.coop;
    p.normalize = c.normalize_reward;
    p.penalty = static_cast<float>(c.penalty);

    const uint32_t side = std::max(p.rows, p.cols);
    p.whole = p.sight + 1 >= side;
    p.own_cols = std::min(p.sight + 1, p.cols);
    p.view_cols = std::min(2 * p.sight + 1, p.cols);
    p.own_codes = std::min(p.sight + 1, p.rows) * p.own_cols * p.player_levels;
    p.other_codes = std::min(2 * p.sight + 1, p.rows) * p.view_cols * p.player_levels;
    if (!p.whole) ++p.other_codes;
    const auto [lowest, highest] = food_level_range(c);
    p.food_level_base = lowest;
    // With coop and the package's maximum the agents' levels, all in sight, tell the foods'.
    p.food_levels = c.coop && c.max_food_level == 0 && p.whole ? 0 : highest - lowest + 1;
    p.food_cols = p.whole ? p.cols - 2 : p.view_cols;
    p.food_codes =
        std::max(p.food_levels, 1U) *
        (p.whole ? (p.rows - 2) * p.food_cols : std::min(2 * p.sight + 1, p.rows) * p.food_cols);
    tabulate(p, arena);
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return static_cast<int>(p.agents); }
  CUMARL_HD static int actions(const Params& p, int) { return kActions * p.messages; }

  /// Bounds of an agent's reward of one step: a normalised episode pays at most 1.
  static Bounds reward_bounds(const Params& p) {
    const double most = p.normalize ? 1.0 : double{kMaxLevel} * kMaxLevel;
    return {-static_cast<double>(p.penalty), most};
  }

  /// Number of table indices, 0 where it would exceed kMaxObservations.
  CUMARL_HD static uint32_t observations(const Params& p, int) { return p.observations; }

  /// What `agent` sees, as one number below observations(); 0 if observations() is 0.
  /// The code is (own * other_codes^(n-1) + others) * food_sets + foods:
  ///  - own: (position * levels + level - lowest level);
  ///  - others: one digit each in agent order, likewise, or with limited sight 0 for an agent that
  ///    is not seen and 1 + that for one that is;
  ///  - foods in sight, as a set: food number i from 0, row by row, has the code
  ///    e = cell * levels + level - lowest level (cells: the inner grid, or with limited sight the
  ///    window) and adds C(E, i) + C(e, i + 1) with E codes in all: the rank among all sets of at
  ///    most `foods` foods, the smaller sets first;
  ///  - then the digits of the options.
  /// Positions are as observe() shows them. Levels that cannot vary take no room.
  CUMARL_HD static uint32_t observe_index(const Params& p, const State& s, int agent) {
    if (p.observations == 0) return 0;
    const View view(p, cell(s.players, agent));
    uint32_t index = (view.y * p.own_cols + view.x) * p.player_levels +
                     nibble(s.player_levels, agent) - p.min_player_level;
    for (int i = 0; i < agents(p); ++i) {
      if (i == agent) continue;
      const uint32_t c = cell(s.players, i);
      const uint32_t y = view.row(c), x = view.col(c);
      uint32_t code =
          (y * p.view_cols + x) * p.player_levels + nibble(s.player_levels, i) - p.min_player_level;
      if (!p.whole) code = view.shows_agent(y, x) ? code + 1 : 0;
      index = index * p.other_codes + code;
    }
    index *= p.food_sets;
    const uint32_t* row = p.rank;
    for (int k = 0; k < static_cast<int>(p.foods); ++k) {
      const uint32_t c = cell(s.foods, k);
      if (c == kGone) break;
      if (!p.whole && !view.shows_food(c)) continue;
      const uint32_t inner = p.whole ? 1 : 0;
      uint32_t code = (view.row(c) - inner) * p.food_cols + view.col(c) - inner;
      if (p.food_levels > 1) {
        code = code * p.food_levels + nibble(s.food_levels, k) - p.food_level_base;
      }
      index += row[code];
      row += p.food_codes;
    }
    return p.index(index, s.messages, agents(p), agent);
  }

  /// Length of the float observation: three numbers a food and an agent, and those of the options.
  CUMARL_HD static int features(const Params& p, int) {
    return static_cast<int>(3 * (p.foods + p.agents)) + p.Options::features(agents(p));
  }

  /// Bounds of feature k: a row, a column or a level, or -1, -1, 0 for what is not there; or a
  /// number of the options.
  static Bounds feature_range(const Params& p, int, int k) {
    if (k >= static_cast<int>(3 * (p.foods + p.agents))) return {0.0, 1.0};
    const uint32_t side = k % 3 == 0 ? p.rows : p.cols;
    return k % 3 == 2 ? Bounds{0.0, double{kMaxLevel}} : Bounds{-1.0, side - 1.0};
  }

  /// The package's float observation of `agent`; out: float [features].
  /// Positions count from the upper left corner of the agent's window, which the grid cuts off:
  /// a row y shows as y - max(own row - sight, 0). Foods are seen within `sight` of the agent.
  /// Agents are seen where the shown position is in 0 .. 2 sight (the package's rule: near the
  /// north and west walls that is further than `sight`); unseen ones leave -1, -1, 0 at the end.
  CUMARL_HD static void observe(const Params& p, const State& s, int agent, float* out) {
    const View view(p, cell(s.players, agent));
    float* next = out;
    for (int k = 0; k < static_cast<int>(p.foods); ++k) {
      const uint32_t c = cell(s.foods, k);
      if (c == kGone) break;
      if (view.shows_food(c)) next = put(next, view.row(c), view.col(c), nibble(s.food_levels, k));
    }
    float* const players = out + 3 * p.foods;
    while (next != players) next = put_nothing(next);
    next = put(next, view.y, view.x, nibble(s.player_levels, agent));
    for (int i = 0; i < agents(p); ++i) {
      if (i == agent) continue;
      const uint32_t c = cell(s.players, i);
      const uint32_t y = view.row(c), x = view.col(c);
      if (view.shows_agent(y, x)) next = put(next, y, x, nibble(s.player_levels, i));
    }
    float* const end = players + 3 * p.agents;
    while (next != end) next = put_nothing(next);
    p.Options::observe(s.messages, agents(p), agent, end);
  }

  /// A first state; one random word a tried cell.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    uint64_t players = 0;
    uint32_t player_levels = 0;
    uint32_t low[3] = {kMaxLevel, kMaxLevel, kMaxLevel};  // the three lowest levels, ascending
    for (int i = 0; i < agents(p); ++i) {
      uint32_t c = 0, level = 0;
      bool free = false;
      for (int tries = 0; tries < kMaxTries && !free; ++tries) {
        Draw draw{rng.word()};
        const uint32_t y = draw.below(p.rows);
        c = y * 16 + draw.below(p.cols);
        level = p.min_player_level + draw.below(p.player_levels);
        free = true;
        for (int j = 0; j < i; ++j) free = free && cell(players, j) != c;
      }
      players |= uint64_t{c} << (8 * i);
      player_levels |= level << (4 * i);
      uint32_t carry = level;
      for (uint32_t& l : low) {
        const uint32_t smaller = carry < l ? carry : l;
        carry += l - smaller;
        l = smaller;
      }
    }
    uint32_t highest = p.max_food_level;
    if (highest == 0) {
      highest = low[0] + (p.agents > 1 ? low[1] : 0) + (p.agents > 2 ? low[2] : 0);
    }
    const uint32_t lowest = p.coop ? highest : p.min_food_level;

    uint64_t foods = ~uint64_t{0};
    uint32_t food_levels = 0, spawned = 0;
    int placed = 0;
    for (int tries = 0; tries < kMaxTries && placed < static_cast<int>(p.foods); ++tries) {
      Draw draw{rng.word()};
      const uint32_t y = 1 + draw.below(p.rows - 2);
      const uint32_t c = y * 16 + 1 + draw.below(p.cols - 2);
      const uint32_t level = lowest + draw.below(highest - lowest + 1);
      bool free = true;
      for (int i = 0; i < agents(p); ++i) free = free && cell(players, i) != c;
      int before = 0;
      for (int k = 0; k < placed; ++k) {
        const uint32_t other = cell(foods, k);
        free = free && distance(c, other) > 2;
        before += other < c ? 1 : 0;
      }
      if (!free) continue;
      foods = inserted(foods, c, 8 * before, 8);
      food_levels = static_cast<uint32_t>(inserted(food_levels, level, 4 * before, 4));
      spawned += level;
      ++placed;
    }
    s.foods = foods;
    s.players = players;
    s.food_levels = food_levels;
    s.player_levels = player_levels | spawned << 24;
    s.messages = 0;
    s.unused = 0;
  }

  /// One joint step; uses no random numbers. Shapes: actions int [agents], rewards float [agents],
  /// in arrays of kMaxAgents (or compilers warn of the branches not taken).
  /// Pre: 0 <= action < actions() (others raise in the package).
  CUMARL_HD static CUMARL_INLINE Episode step(const Params& p, State& s, const int* actions,
                                              float* rewards, Rng&) {
    if (p.plain) return play(p, s, actions, rewards);
    return step_with_options(p, s, actions, rewards);
  }

  /// Shows the state as "players" and "foods" (y, x, level each; -1, -1, 0 where food is gone),
  /// "step" and "spawned", and with messages "messages", the last one of each agent; and rebuilds
  /// it from what the visitor leaves there, foods in any order.
  /// Throws ParameterError if that is no state of this game.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t players[3 * kMaxAgents], foods[3 * kMaxFoods];
    int64_t step = static_cast<int64_t>(s.players >> 48), spawned = s.player_levels >> 24;
    const int n = agents(p), most = static_cast<int>(p.foods);
    for (int i = 0; i < n; ++i) {
      const uint32_t c = cell(s.players, i);
      players[3 * i] = c >> 4;
      players[3 * i + 1] = c & 15;
      players[3 * i + 2] = nibble(s.player_levels, i);
    }
    for (int k = 0; k < most; ++k) {
      const uint32_t c = cell(s.foods, k);
      foods[3 * k] = c == kGone ? -1 : int64_t{c >> 4};
      foods[3 * k + 1] = c == kGone ? -1 : int64_t{c & 15};
      foods[3 * k + 2] = nibble(s.food_levels, k);
    }
    v("players", players, 3 * n);
    v("foods", foods, 3 * most);
    v("step", &step, 1);
    v("spawned", &spawned, 1);
    State read = state_of(p, players, foods, step, spawned);
    read.messages = s.messages;
    p.Options::state_fields(v, n, read.messages);
    s = read;
  }

  /// The picture, host only: agents are 'A' to 'F', the first one where two stand in one cell;
  /// foods are their levels, as one digit ('a' to 'f' for 10 to 15).
  static int rows(const Params& p) { return static_cast<int>(p.rows); }
  static int cols(const Params& p) { return static_cast<int>(p.cols); }
  static Glyph glyph(const Params& p, const State& s, int row, int col) {
    // The colours that Okabe and Ito (Color Universal Design, 2008) chose for all kinds of sight.
    constexpr uint32_t kAgentColors[kMaxAgents] = {0x0072B2, 0xE69F00, 0x009E73,
                                                   0xCC79A7, 0x56B4E9, 0xF0E442};
    constexpr uint32_t kFoodColor = 0xD55E00;
    const uint32_t here = static_cast<uint32_t>(row * 16 + col);
    for (int i = 0; i < agents(p); ++i) {
      if (cell(s.players, i) == here) return {static_cast<char>('A' + i), kAgentColors[i]};
    }
    for (int k = 0; k < static_cast<int>(p.foods); ++k) {
      if (cell(s.foods, k) == here) return {digit(nibble(s.food_levels, k)), kFoodColor};
    }
    return {' ', 0};
  }

  /// Beside an agent its level, as foods show theirs, or '+' where more agents stand in its cell.
  static char mark(const Params& p, const State& s, int row, int col) {
    const uint32_t here = static_cast<uint32_t>(row * 16 + col);
    char shown = ' ';
    for (int i = 0; i < agents(p); ++i) {
      if (cell(s.players, i) != here) continue;
      shown = shown == ' ' ? digit(nibble(s.player_levels, i)) : '+';
    }
    return shown;
  }

 private:
  static constexpr uint32_t kGone = 0xFF;
  static constexpr int kMaxTries = 1000;
  static constexpr uint64_t kOnes = 0x0101010101010101;

  CUMARL_HD static uint32_t cell(uint64_t cells, int i) {
    return static_cast<uint32_t>(cells >> (8 * i)) & 0xFF;
  }
  CUMARL_HD static uint32_t nibble(uint32_t levels, int i) { return (levels >> (4 * i)) & 15; }
  static char digit(uint32_t level) { return "0123456789abcdef"[level]; }

  /// Nonzero exactly if some byte of `a` equals the same byte of `b`.
  CUMARL_HD static uint64_t matches(uint64_t a, uint64_t b) {
    const uint64_t x = a ^ b;
    return (x - kOnes) & ~x & (kOnes << 7);
  }

  /// `a` if bit is 1, `b` if it is 0; in arithmetic, because compilers like to branch here.
  CUMARL_HD static uint32_t chosen(uint32_t bit, uint32_t a, uint32_t b) {
    return b ^ ((a ^ b) & (0U - bit));
  }

  /// Manhattan distance of two cells.
  CUMARL_HD static uint32_t distance(uint32_t a, uint32_t b) {
    const uint32_t ay = a >> 4, ax = a & 15, by = b >> 4, bx = b & 15;
    return (ay > by ? ay - by : by - ay) + (ax > bx ? ax - bx : bx - ax);
  }

  /// `word` with `width` bits put in at bit `at`, and with them taken out.
  CUMARL_HD static uint64_t inserted(uint64_t word, uint64_t bits, int at, int width) {
    const uint64_t below = (uint64_t{1} << at) - 1;
    return (word & below) | (bits << at) | ((word & ~below) << width);
  }
  CUMARL_HD static uint64_t removed(uint64_t word, int at, int width) {
    const uint64_t below = (uint64_t{1} << at) - 1;
    return (word & below) | ((word >> width) & ~below);
  }

  /// Several small uniform numbers from one 32-bit word (bias below their product / 2^32).
  struct Draw {
    uint32_t rest;
    CUMARL_HD uint32_t below(uint32_t bound) {
      const uint64_t scaled = uint64_t{rest} * bound;
      rest = static_cast<uint32_t>(scaled);
      return static_cast<uint32_t>(scaled >> 32);
    }
  };

  /// What an agent at `own` sees, and where it sees it.
  struct View {
    CUMARL_HD View(const Params& p, uint32_t own) : own_(own), sight_(p.sight) {
      y = own >> 4 < sight_ ? own >> 4 : sight_;
      x = (own & 15) < sight_ ? own & 15 : sight_;
    }
    /// Shown row and column of a cell; wraps around below 0.
    CUMARL_HD uint32_t row(uint32_t c) const { return (c >> 4) - (own_ >> 4) + y; }
    CUMARL_HD uint32_t col(uint32_t c) const { return (c & 15) - (own_ & 15) + x; }
    CUMARL_HD bool shows_agent(uint32_t row, uint32_t col) const {
      return row <= 2 * sight_ && col <= 2 * sight_;
    }
    CUMARL_HD bool shows_food(uint32_t c) const {
      return (c >> 4) - (own_ >> 4) + sight_ <= 2 * sight_ &&
             (c & 15) - (own_ & 15) + sight_ <= 2 * sight_;
    }
    uint32_t y, x;  ///< shown position of the agent itself

   private:
    uint32_t own_, sight_;
  };

  CUMARL_HD static float* put(float* out, uint32_t y, uint32_t x, uint32_t level) {
    out[0] = static_cast<float>(y);
    out[1] = static_cast<float>(x);
    out[2] = static_cast<float>(level);
    return out + 3;
  }
  CUMARL_HD static float* put_nothing(float* out) {
    out[0] = -1.0F;
    out[1] = -1.0F;
    out[2] = 0.0F;
    return out + 3;
  }

  CUMARL_HD static CUMARL_INLINE Episode play(const Params& p, State& s, const int* actions,
                                              float* rewards) {
    static_assert(kMaxAgents == 6);
    switch (p.agents) {
      case 1: return step_of<1>(p, s, actions, rewards);
      case 2: return step_of<2>(p, s, actions, rewards);
      case 3: return step_of<3>(p, s, actions, rewards);
      case 4: return step_of<4>(p, s, actions, rewards);
      case 5: return step_of<5>(p, s, actions, rewards);
      default: return step_of<6>(p, s, actions, rewards);
    }
  }

  CUMARL_HD static Episode step_with_options(const Params& p, State& s, const int* actions,
                                             float* rewards) {
    const int n = agents(p);
    int plain[kMaxAgents] = {};
    if (p.messages > 1) {
      s.messages = p.split(n, actions, plain);
    } else {
      for (int i = 0; i < n; ++i) plain[i] = actions[i];
    }
    const Episode episode = play(p, s, plain, rewards);
    if (p.mix > 0) p.share(n, rewards);
    return episode;
  }

  /// play() for kAgents agents, so that the loops unroll and nothing but the loading branches.
  template <int kAgents>
  CUMARL_HD static CUMARL_INLINE Episode step_of(const Params& p, State& s, const int* actions,
                                                 float* rewards) {
    constexpr uint64_t kMove = 0x0001FF10F000;  // byte a: what action a adds to a cell
    const uint64_t foods = s.foods;
    uint32_t from[kAgents], to[kAgents];
    uint32_t loaders = 0;
    for (int i = 0; i < kAgents; ++i) {
      const uint32_t c = cell(s.players, i);
      const uint32_t target = (c + static_cast<uint32_t>(kMove >> (8 * actions[i]))) & 0xFF;
      const uint32_t inside = ((target >> 4) - p.rows) & ((target & 15) - p.cols);  // the sign bit
      const uint32_t clear = (inside >> 31) & (matches(foods, target * kOnes) == 0 ? 1U : 0U);
      from[i] = c;
      to[i] = chosen(clear, target, c);
      // Food beside the agent. A false alarm would be harmless, load() looks closer; there is none
      // while food is left: bytes that overflow at the walls are no cells of the grid.
      const uint64_t around = c * kOnes;
      const bool near = (matches(foods, around - 16 * kOnes) | matches(foods, around + 16 * kOnes) |
                         matches(foods, around - kOnes) | matches(foods, around + kOnes)) != 0;
      loaders |= static_cast<uint32_t>(near & (actions[i] == 5)) << i;
      rewards[i] = 0.0F;
    }
    const uint64_t steps = (s.players >> 48) + 1;
    uint64_t players = steps << 48;
    for (int i = 0; i < kAgents; ++i) {
      uint32_t shared = 0;
      for (int j = 0; j < kAgents; ++j) shared |= to[i] == to[j] && i != j ? 1U : 0U;
      players |= uint64_t{chosen(shared, from[i], to[i])} << (8 * i);
    }
    s.players = players;
    if (loaders != 0) load<kAgents>(p, s, loaders, rewards);
    const bool over = (s.foods == ~uint64_t{0}) | (steps >= p.max_steps);
    return over ? Episode::ended : Episode::goes_on;
  }

  /// Lets the agents of the bit set `loaders` load; those beside no food change nothing. No cell is
  /// beside two foods (they lie 3 or more apart), so the order of the foods does not matter.
  template <int kAgents>
  CUMARL_HD static void load(const Params& p, State& s, uint32_t loaders, float* rewards) {
    for (int k = static_cast<int>(p.foods) - 1; k >= 0; --k) {  // downwards: removing shifts
      const uint32_t food = cell(s.foods, k);
      if (food == kGone) continue;
      uint32_t group = 0, sum = 0;
      for (int i = 0; i < kAgents; ++i) {
        const bool in = ((loaders >> i) & 1) != 0 && distance(food, cell(s.players, i)) == 1;
        group |= static_cast<uint32_t>(in) << i;
        sum += in ? nibble(s.player_levels, i) : 0;
      }
      if (group == 0) continue;
      const uint32_t level = nibble(s.food_levels, k);
      const bool loaded = sum >= level;
      const float share = p.normalize ? static_cast<float>(sum * (s.player_levels >> 24)) : 1.0F;
      for (int i = 0; i < kAgents; ++i) {
        if (((group >> i) & 1) == 0) continue;
        const float gain = static_cast<float>(nibble(s.player_levels, i) * level) / share;
        rewards[i] = loaded ? gain : 0.0F - p.penalty;
      }
      if (!loaded) continue;
      s.foods = removed(s.foods, 8 * k, 8) | (uint64_t{kGone} << 56);
      s.food_levels = static_cast<uint32_t>(removed(s.food_levels, 4 * k, 4));
    }
  }

  struct Range {
    uint32_t lowest, highest;
  };

  /// The food levels that can occur.
  static Range food_level_range(const Config& c) {
    const int counted = std::min(c.players, 3);
    const int highest = c.max_food_level != 0 ? c.max_food_level : counted * c.max_player_level;
    int lowest = c.min_food_level;
    if (c.coop) lowest = c.max_food_level != 0 ? highest : counted * c.min_player_level;
    return {static_cast<uint32_t>(lowest), static_cast<uint32_t>(highest)};
  }

  /// Whether `left` more foods fit on inner cells from number `first` on, besides those in `set`.
  static bool fits(int rows, int cols, int left, int first, std::vector<uint32_t>& set) {
    if (left == 0) return true;
    for (int i = first; i < (rows - 2) * (cols - 2); ++i) {
      const uint32_t c = static_cast<uint32_t>((1 + i / (cols - 2)) * 16 + 1 + i % (cols - 2));
      if (std::any_of(set.begin(), set.end(), [c](uint32_t o) { return distance(c, o) <= 2; })) {
        continue;
      }
      set.push_back(c);
      if (fits(rows, cols, left - 1, i + 1, set)) return true;
      set.pop_back();
    }
    return false;
  }

  static void check(const Config& c) {
    const auto expect = [](bool ok, const char* key, const std::string& why) {
      if (!ok) throw ParameterError(key, why);
    };
    const auto between = [&](const char* key, int value, int min, int max) {
      expect(value >= min && value <= max, key,
             "is " + std::to_string(value) + ", allowed are " + std::to_string(min) + " to " +
                 std::to_string(max));
    };
    expect(c.size.size() == 2, "size",
           "has " + std::to_string(c.size.size()) + " numbers, needs two: [rows, columns]");
    const int rows = c.size[0], cols = c.size[1];
    between("size", rows, 3, kMaxSide);
    between("size", cols, 3, kMaxSide);
    between("players", c.players, 1, kMaxAgents);
    between("foods", c.foods, 1, kMaxFoods);
    int room = c.foods;
    std::vector<uint32_t> set;
    while (!fits(rows, cols, room, 0, set)) --room;
    expect(room == c.foods, "foods",
           "is " + std::to_string(c.foods) + ", but no more than " + std::to_string(room) +
               " fit on a " + std::to_string(rows) + "x" + std::to_string(cols) +
               " grid: foods keep off the border and 3 steps from each other");
    between("min_player_level", c.min_player_level, 1, kMaxLevel);
    between("max_player_level", c.max_player_level, c.min_player_level, kMaxLevel);
    between("min_food_level", c.min_food_level, 1, kMaxLevel);
    const int counted = std::min(c.players, 3);
    if (c.max_food_level != 0) {
      between("max_food_level", c.max_food_level, c.min_food_level, kMaxLevel);
    } else {
      expect(counted * c.max_player_level <= kMaxLevel, "max_player_level",
             "is " + std::to_string(c.max_player_level) + ": foods of the default level, that of " +
                 std::to_string(counted) + " agents together, would exceed " +
                 std::to_string(kMaxLevel) + "; allowed are up to " +
                 std::to_string(kMaxLevel / counted) + ", or set max_food_level");
      expect(c.coop || c.min_food_level <= counted * c.min_player_level, "min_food_level",
             "is " + std::to_string(c.min_food_level) + ", but the highest food level, that of " +
                 std::to_string(counted) + " agents together, can be as low as " +
                 std::to_string(counted * c.min_player_level) +
                 "; allowed are up to that, or set max_food_level");
    }
    between("sight", c.sight, 0, std::max(rows, cols));
    expect(c.penalty >= 0 && c.penalty <= 1e6, "penalty",
           "is " + std::to_string(c.penalty) + ", allowed are 0 to 1e6");
    between("max_steps", c.max_steps, 1, 65535);
  }

  /// The sizes of the table index and, if it fits, the table of ranks: row i < foods, entry e,
  /// is C(E, i) + C(e, i + 1).
  static void tabulate(Params& p, Arena& arena) {
    const SetNumbers sets = SetNumbers::make(p.food_codes, p.foods, kMaxObservations, arena);
    uint64_t count = uint64_t{p.own_codes} * sets.sets;
    for (uint32_t i = 1; i < p.agents && count <= kMaxObservations; ++i) count *= p.other_codes;
    p.observations = p.indices(count, agents(p), kMaxObservations);
    if (p.observations == 0) return;
    p.food_sets = sets.sets;
    p.rank = sets.rank;
  }

  static State state_of(const Params& p, const int64_t* players, const int64_t* foods, int64_t step,
                        int64_t spawned) {
    const auto expect = [](bool ok, const char* key, const char* why) {
      if (!ok) throw ParameterError(key, why);
    };
    const auto inside = [](int64_t value, int64_t min, int64_t end) {
      return value >= min && value < end;
    };
    const int64_t rows = p.rows, cols = p.cols;
    const int n = agents(p);
    State s{};
    uint64_t cells = 0;
    uint32_t levels = 0;
    for (int i = 0; i < n; ++i) {
      const int64_t y = players[3 * i], x = players[3 * i + 1], level = players[3 * i + 2];
      expect(inside(y, 0, rows) && inside(x, 0, cols), "players", "an agent is off the grid");
      expect(inside(level - p.min_player_level, 0, p.player_levels), "players",
             "a level is outside of min_player_level to max_player_level");
      cells |= static_cast<uint64_t>(y * 16 + x) << (8 * i);
      levels |= static_cast<uint32_t>(level) << (4 * i);
    }
    s.foods = ~uint64_t{0};
    const int64_t most = p.food_levels == 0 ? kMaxLevel : p.food_levels + p.food_level_base - 1;
    int64_t sum = 0;
    for (int k = 0, placed = 0; k < static_cast<int>(p.foods); ++k) {
      const int64_t y = foods[3 * k], x = foods[3 * k + 1], level = foods[3 * k + 2];
      if (y == -1 && x == -1 && level == 0) continue;
      expect(inside(y, 1, rows - 1) && inside(x, 1, cols - 1), "foods",
             "a food is off the inner grid (and not -1, -1, 0)");
      expect(inside(level, p.food_level_base, most + 1), "foods", "a food has an impossible level");
      const uint32_t c = static_cast<uint32_t>(y * 16 + x);
      for (int i = 0; i < n; ++i) expect(cell(cells, i) != c, "foods", "a food lies on an agent");
      int before = 0;
      for (int j = 0; j < placed; ++j) {
        const uint32_t other = cell(s.foods, j);
        expect(distance(c, other) > 2, "foods", "two foods are less than 3 steps apart");
        before += other < c ? 1 : 0;
      }
      s.foods = inserted(s.foods, c, 8 * before, 8);
      s.food_levels = static_cast<uint32_t>(
          inserted(s.food_levels, static_cast<uint64_t>(level), 4 * before, 4));
      sum += level;
      ++placed;
    }
    expect(inside(step, 0, int64_t{p.max_steps} + 1), "step", "is outside of 0 to max_steps");
    s.players = cells | static_cast<uint64_t>(step) << 48;
    expect(inside(spawned, sum, kMaxLevel * p.foods + 1), "spawned",
           "is less than the foods' levels together, or more than they can be");
    s.player_levels = levels | static_cast<uint32_t>(spawned) << 24;
    return s;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
