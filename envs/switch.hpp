/// \file
/// Switch: agents on both sides of a corridor one cell wide have to change sides.
#pragma once

#include <cstdint>
#include <string>

#include "envs/gridworld.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The rules of Switch. Two rooms of 3 x 2 cells are joined by a corridor in the middle row:
///
///     b A # # # B a      agents A (0) and B (1), C (2) and D (3) at their starts,
///     . . . . . . .      a, b, c, d their goals: opposite corners of the other room
///     d C # # # D c
///
/// A joint step: the agents act one after another, from agent 0 on. A move off the grid, into a
/// wall or into a cell where an agent stands does nothing; an agent that has just left its cell
/// has left it. An agent that reaches its goal gets `goal_reward` for that step and stays there
/// for the rest of the episode, in the way of the others, without further rewards. Every other
/// step pays `step_reward` to an agent that has not arrived. The episode ends when all have
/// arrived. There is no chance in this game.
///
/// With two agents, the corridor of 3 cells and the default rewards, 8.3 in 12 steps is the best
/// sum of rewards: one agent arrives after 7 steps, the other gives way and arrives after 12.
///
/// Source: environment Switch of ma-gym 0.0.14 (Koul 2019): Switch2-v0 is `players = 2`, Switch4-v0
/// `players = 4`. The game is from Sunehag et al., "Value-decomposition networks", 2017.
/// Deviation: the corridor's length is free (3 in the package). What an agent observes is that of
/// gridworlds here; the package shows it row and column only.
struct SwitchGame {
  static constexpr EnvFacts kFacts{
      "switch",
      "switch: changing sides through a narrow corridor",
      "ma-gym 0.0.14 (Switch2-v0, Switch4-v0); Sunehag et al. 2017",
      Family::gridworld,
      "0 south, 1 west, 2 north, 3 east, 4 stay (row 0 is north)",
      "the grid (wall, self, own goal, other heading the same way, others heading the other way "
      "for the own and for the other row) and where the own goal is",
      "players = 2"};
  static constexpr int kMaxAgents = 4;
  static constexpr int kActions = 5;
  static constexpr int kMaxSteps = 50;
  static constexpr int kRows = 3;
  static constexpr int kMaxCorridor = 11;
  static constexpr int kChannels = 6;
  static constexpr int kMaxExtra = 2;

  struct Config {
    int players = 2;
    int corridor = 3;
    double step_reward = -0.1;
    double goal_reward = 5.0;
  };

  static void fields(FieldVisitor& v, Config& c) {
    v("players", c.players, Bounds{2, kMaxAgents}, "", "number of agents");
    v("corridor", c.corridor, Bounds{1, kMaxCorridor}, "cells", "length of the corridor");
    v("step_reward", c.step_reward, Bounds{-1e6, 1e6}, "reward",
      "for each step of an agent that does not reach its goal");
    v("goal_reward", c.goal_reward, Bounds{-1e6, 1e6}, "reward",
      "for the step in which an agent reaches its goal");
  }

  struct Params {
    uint32_t agents, cols;
    uint32_t cells;  ///< that are no wall
    uint32_t observations;
    float step_reward, goal_reward;
  };

  /// Checks the configuration. Throws ParameterError.
  static Params make(const Config& c, Arena&) {
    const auto between = [](const char* key, double value, double min, double max) {
      if (!(value >= min && value <= max)) {
        throw ParameterError(key, "is " + std::to_string(value) + ", allowed are " +
                                      std::to_string(min) + " to " + std::to_string(max));
      }
    };
    between("players", c.players, 2, kMaxAgents);
    between("corridor", c.corridor, 1, kMaxCorridor);
    between("step_reward", c.step_reward, -1e6, 1e6);
    between("goal_reward", c.goal_reward, -1e6, 1e6);
    Params p{};
    p.agents = static_cast<uint32_t>(c.players);
    p.cols = static_cast<uint32_t>(c.corridor) + 4;
    p.cells = p.cols + 8;
    p.observations = p.agents;
    for (int i = 0; i < c.players; ++i) p.observations *= p.cells;  // at most 4 * 23^4
    p.step_reward = static_cast<float>(c.step_reward);
    p.goal_reward = static_cast<float>(c.goal_reward);
    return p;
  }

  /// Byte i: the place of agent i, row * 16 + column. An agent has arrived if it is at its goal.
  struct State {
    uint32_t places;
  };

  CUMARL_HD static int agents(const Params& p) { return static_cast<int>(p.agents); }
  CUMARL_HD static int rows(const Params&) { return kRows; }
  CUMARL_HD static int cols(const Params& p) { return static_cast<int>(p.cols); }

  /// Puts the agents at their starts; draws nothing.
  CUMARL_HD static void reset(const Params& p, State& s, Rng&) {
    s.places = 0;
    for (uint32_t i = 0; i < p.agents; ++i) {
      s.places |= (row_of(i) << 4 | (heads_east(i) ? 1 : p.cols - 2)) << (8 * i);
    }
  }

  /// One joint step; draws nothing. Pre: 0 <= action < 5.
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng&) {
    uint32_t places = s.places, arrived = 0;
    for (uint32_t i = 0; i < p.agents; ++i) {
      uint32_t at = place(places, i);
      const uint32_t end = goal(p, i);
      rewards[i] = 0.0F;
      if (at != end) {
        const uint32_t to = neighbour(at, actions[i]);
        bool free = is_floor(p, to >> 4, to & 15);
        for (uint32_t j = 0; j < p.agents; ++j) free = free && place(places, j) != to;
        if (free) {
          places ^= (at ^ to) << (8 * i);
          at = to;
        }
        rewards[i] = at == end ? p.goal_reward : p.step_reward;
      }
      arrived += at == end ? 1 : 0;
    }
    s.places = places;
    return arrived == p.agents ? Episode::ended : Episode::goes_on;
  }

  /// Bounds of an agent's reward of one step.
  static Bounds reward_bounds(const Params& p) {
    const double a = static_cast<double>(p.step_reward), b = static_cast<double>(p.goal_reward);
    const double low = a < b ? a : b, high = a < b ? b : a;
    return {low < 0 ? low : 0, high > 0 ? high : 0};
  }

  /// row * cols + column of `agent`.
  CUMARL_HD static int cell_of(const Params& p, const State& s, int agent) {
    const uint32_t at = place(s.places, static_cast<uint32_t>(agent));
    return static_cast<int>((at >> 4) * p.cols + (at & 15));
  }

  /// The cell as `agent` sees it: wall, self, own goal, the other that heads the same way, the one
  /// that heads the other way to a goal in the row of the own goal, and the one to the other row.
  CUMARL_HD static void view(const Params& p, const State& s, int agent, int row, int col,
                             float* out) {
    const uint32_t own = static_cast<uint32_t>(agent);
    const uint32_t y = static_cast<uint32_t>(row), x = static_cast<uint32_t>(col);
    const auto shows = [&](uint32_t other) {
      return other < p.agents && place(s.places, other) == (y << 4 | x) ? 1.0F : 0.0F;
    };
    out[0] = is_floor(p, y, x) ? 0.0F : 1.0F;
    out[1] = shows(own);
    out[2] = goal(p, own) == (y << 4 | x) ? 1.0F : 0.0F;
    out[3] = shows(own ^ 2);
    out[4] = shows(own ^ 1);
    out[5] = shows(own ^ 3);
  }

  CUMARL_HD static int extras(const Params&) { return kMaxExtra; }

  /// Where the own goal is: row 0 or 2 as 0 or 1, first or last column as 0 or 1.
  CUMARL_HD static void extra(const Params&, const State&, int agent, float* out) {
    const uint32_t own = static_cast<uint32_t>(agent);
    out[0] = row_of(own) == 0 ? 0.0F : 1.0F;
    out[1] = heads_east(own) ? 1.0F : 0.0F;
  }

  /// Number of table indices: agents * cells^agents, with `corridor` + 12 cells.
  CUMARL_HD static uint32_t observations(const Params& p) { return p.observations; }

  /// The own goal's number, then one digit an agent, its place: self, then the others in the
  /// order of view().
  CUMARL_HD static uint32_t index(const Params& p, const State& s, int agent) {
    const uint32_t own = static_cast<uint32_t>(agent);
    uint32_t index = own * p.cells + number(p, place(s.places, own));
    for (uint32_t k = 0; k < 3; ++k) {
      const uint32_t other = own ^ (0x312U >> (4 * k) & 3);  // 2, 1, 3
      if (other < p.agents) index = index * p.cells + number(p, place(s.places, other));
    }
    return index;
  }

  /// Shows the state as "agents" (row, column each) and rebuilds it from what the visitor leaves
  /// there. Throws ParameterError for places off the floor and for two agents in one.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t at[2 * kMaxAgents];
    for (uint32_t i = 0; i < p.agents; ++i) {
      at[2 * i] = place(s.places, i) >> 4;
      at[2 * i + 1] = place(s.places, i) & 15;
    }
    v("agents", at, 2 * agents(p));
    uint32_t places = 0;
    for (uint32_t i = 0; i < p.agents; ++i) {
      const int64_t y = at[2 * i], x = at[2 * i + 1];
      if (y < 0 || y >= kRows || x < 0 || x >= int64_t{p.cols} ||
          !is_floor(p, static_cast<uint32_t>(y), static_cast<uint32_t>(x))) {
        throw ParameterError("agents", "an agent is off the grid or in a wall");
      }
      const uint32_t to = static_cast<uint32_t>(y * 16 + x);
      for (uint32_t j = 0; j < i; ++j) {
        if (place(places, j) == to) throw ParameterError("agents", "two agents are in one cell");
      }
      places |= to << (8 * i);
    }
    s.places = places;
  }

  /// Agents 'A' to 'D', their goals 'a' to 'd'.
  static Glyph glyph(const Params& p, const State& s, int row, int col) {
    constexpr uint32_t kColours[kMaxAgents] = {0xD62728, 0x1F77B4, 0x2CA02C, 0xFF7F0E};
    const uint32_t y = static_cast<uint32_t>(row), x = static_cast<uint32_t>(col);
    if (!is_floor(p, y, x)) return {'#', 0x404040};
    for (uint32_t i = 0; i < p.agents; ++i) {
      if (place(s.places, i) == (y << 4 | x)) return {static_cast<char>('A' + i), kColours[i]};
    }
    for (uint32_t i = 0; i < p.agents; ++i) {
      if (goal(p, i) == (y << 4 | x)) return {static_cast<char>('a' + i), kColours[i]};
    }
    return {' ', 0xFFFFFF};
  }

 private:
  CUMARL_HD static uint32_t place(uint32_t places, uint32_t i) { return places >> (8 * i) & 0xFF; }
  CUMARL_HD static uint32_t row_of(uint32_t agent) { return agent & 2; }
  CUMARL_HD static bool heads_east(uint32_t agent) { return (agent & 1) == 0; }
  CUMARL_HD static uint32_t goal(const Params& p, uint32_t agent) {
    return row_of(agent) << 4 | (heads_east(agent) ? p.cols - 1 : 0);
  }

  /// Off the grid rows and columns have wrapped around to 15 and more.
  CUMARL_HD static bool is_floor(const Params& p, uint32_t row, uint32_t col) {
    return row < kRows && col < p.cols && (row == 1 || col < 2 || col + 2 >= p.cols);
  }

  CUMARL_HD static uint32_t neighbour(uint32_t at, int action) {
    constexpr uint64_t kMove = 0x0001F0FF10;  // byte a: what action a adds to a place
    return (at + static_cast<uint32_t>(kMove >> (8 * action))) & 0xFF;
  }

  /// Counts the floor cells row by row.
  CUMARL_HD static uint32_t number(const Params& p, uint32_t at) {
    const uint32_t y = at >> 4, x = at & 15;
    if (y == 1) return 4 + x;
    return (y == 0 ? 0 : 4 + p.cols) + (x < 2 ? x : x + 4 - p.cols);
  }
};

using Switch = Gridworld<SwitchGame>;

}  // namespace cumarl::inline CUMARL_VARIANT
