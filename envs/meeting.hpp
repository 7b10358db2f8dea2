/// \file
/// Meeting in a grid: agents are paid while they stand in the same cell at the same time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/gridworld.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The coordinated meeting of the Dec-POMDP literature, for n agents.
///
/// All move at once and do not block each other. A move succeeds with probability 1 - slip; with
/// slip / 4 each it becomes one of the three other directions or "none". "None" never slips. A move
/// off the grid leads nowhere. If all agents then stand in one goal cell, each gets `reward`, in
/// every step in which that is so; with `ends` the episode ends at the first one. With
/// `lone_penalty` an agent in a goal cell pays that while not all are there.
///
/// Goals are all cells, or the north-west and the south-east corner. Agents 0, 2, ... begin in the
/// north-east corner, agents 1, 3, ... in the south-west one; or anywhere, uniformly and
/// independently, with `start = "uniform"`.
///
/// Deviations: the reward of a state is paid when it is reached, not with the action taken in it,
/// so a horizon of h there is max_steps = h - 1 here. The papers' agents see their own position
/// only, which is `see_others = false`; 2 agents, 3 x 3 cells, slip .4 and corners are theirs.
/// The 2 x 2 problem of Bernstein et al., where agents see the walls beside them only, is not
/// covered. Actions are in this library's order (there up, down, left, right, stay).
/// Source: Bernstein, Hansen and Zilberstein, IJCAI 2005 (the problem); Amato, Dibangoye and
/// Zilberstein, ICAPS 2009 (3 x 3 with goals in two corners, the problem file Grid3x3corners).
struct MeetingGame {
  static constexpr EnvFacts kFacts{
      "meeting",
      "meeting in a grid",
      "Grid3x3corners: Amato, Dibangoye and Zilberstein, ICAPS 2009",
      Family::gridworld,
      "0 none, 1 north, 2 south, 3 west, 4 east (row 0 is north)",
      "self, share of the others, goal by cell; own row and column (see envs/gridworld.hpp)",
      ""};
  static constexpr int kMaxAgents = 8;
  static constexpr int kMaxSide = 16;
  static constexpr int kActions = 5;
  static constexpr int kMaxSteps = 100;
  static constexpr int kChannels = 3;  ///< self, the share of the others here, goal
  static constexpr int kMaxExtra = 0;

  enum Goals { kCorners, kAnywhere };
  enum Start { kApart, kUniform };

  struct Config {
    std::vector<int> size{3, 3};
    int players = 2;
    Choice goals{kCorners};
    Choice start{kApart};
    double slip = 0.4;
    double reward = 1;
    double lone_penalty = 0;
    double step_cost = 0;
    bool ends = false;
    bool see_others = true;
  };

  static void fields(FieldVisitor& v, Config& c) {
    v("size", c.size, Bounds{2, kMaxSide}, "cells", "rows and columns of the grid");
    v("players", c.players, Bounds{2, kMaxAgents}, "", "number of agents");
    v.choice("goals", c.goals, {"corners", "anywhere"},
             "where to meet: in the north-west or the south-east corner, or in any cell");
    v.choice("start", c.start, {"apart", "uniform"},
             "agents begin in turn in the other two corners, or anywhere");
    v("slip", c.slip, Bounds{0, 1}, "", "chance that a move becomes another one or none");
    v("reward", c.reward, Bounds{-1e6, 1e6}, "reward", "what each agent gets while all meet");
    v("lone_penalty", c.lone_penalty, Bounds{-1e6, 1e6}, "reward",
      "what an agent pays that waits in a goal corner for others");
    v("step_cost", c.step_cost, Bounds{-1e6, 1e6}, "reward", "what each agent pays in each step");
    v("ends", c.ends, "the episode ends when all have met");
    v("see_others", c.see_others, "agents see each other; else their own position only");
  }

  struct Params {
    int32_t rows, cols, players;
    bool anywhere, uniform, ends, see_others;
    float reward, lone_penalty, step_cost;
    uint64_t slip;  ///< slip * 2^32
    CellSets sets;
    uint32_t observations;
  };

  struct State {
    uint64_t cells;  ///< byte i: row * cols + col of agent i
  };

  /// Checks the configuration. Throws ParameterError.
  static Params make(const Config& c, Arena& arena) {
    const auto between = [](const char* key, double value, double min, double max) {
      if (value >= min && value <= max) return;
      std::string range[3];
      const double numbers[3] = {value, min, max};
      for (int i = 0; i < 3; ++i) {
        range[i] = std::to_string(numbers[i]);
        range[i].erase(range[i].find_last_not_of('0') + 1);
        if (range[i].back() == '.') range[i].pop_back();
      }
      throw ParameterError(key, "is " + range[0] + ", allowed are " + range[1] + " to " + range[2]);
    };
    if (c.size.size() != 2) {
      throw ParameterError("size", "has " + std::to_string(c.size.size()) +
                                       " numbers, needs two: [rows, columns]");
    }
    for (const int side : c.size) between("size", side, 2, kMaxSide);
    between("players", c.players, 2, kMaxAgents);
    between("goals", c.goals, kCorners, kAnywhere);
    between("start", c.start, kApart, kUniform);
    between("slip", c.slip, 0, 1);
    between("reward", c.reward, -1e6, 1e6);
    between("lone_penalty", c.lone_penalty, -1e6, 1e6);
    between("step_cost", c.step_cost, -1e6, 1e6);
    if (c.goals == kAnywhere && c.lone_penalty != 0) {
      throw ParameterError("lone_penalty", "must be 0 where every cell is a goal");
    }
    Params p{};
    p.rows = c.size[0];
    p.cols = c.size[1];
    p.players = c.players;
    p.anywhere = c.goals == kAnywhere;
    p.uniform = c.start == kUniform;
    p.ends = c.ends;
    p.see_others = c.see_others;
    p.reward = static_cast<float>(c.reward);
    p.lone_penalty = static_cast<float>(c.lone_penalty);
    p.step_cost = static_cast<float>(c.step_cost);
    p.slip = static_cast<uint64_t>(std::llround(c.slip * 4294967296.0));
    const int cells = p.rows * p.cols;
    // Several agents can stand in one cell: sorted, the k-th of them counts as cell + k, so that
    // these multisets are sets.
    p.sets = CellSets::make(cells + p.players - 2, p.players - 1, arena);
    const uint64_t others =
        p.see_others ? CellSets::count(cells + p.players - 2, p.players - 1) : 1;
    const uint64_t count = static_cast<uint64_t>(cells) * others;
    p.observations = count < CellSets::kTooMany ? static_cast<uint32_t>(count) : 0;
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.players; }
  CUMARL_HD static int rows(const Params& p) { return p.rows; }
  CUMARL_HD static int cols(const Params& p) { return p.cols; }

  static Bounds reward_bounds(const Params& p) {
    const float paid[3] = {0.0F - p.step_cost, p.reward - p.step_cost,
                           0.0F - p.lone_penalty - p.step_cost};
    const int kinds = p.anywhere ? 2 : 3;
    return {static_cast<double>(*std::min_element(paid, paid + kinds)),
            static_cast<double>(*std::max_element(paid, paid + kinds))};
  }

  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    const auto last = static_cast<uint32_t>(p.rows * p.cols - 1);
    s.cells = 0;
    for (int i = 0; i < p.players; ++i) {
      const uint32_t corner =
          i % 2 == 0 ? static_cast<uint32_t>(p.cols - 1) : last + 1 - static_cast<uint32_t>(p.cols);
      s.cells |= uint64_t{p.uniform ? rng.below(last + 1) : corner} << (8 * i);
    }
  }

  /// One joint step; one random word an agent.
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    uint64_t cells = 0;
    for (int i = 0; i < p.players; ++i) {
      const int to = moved(p, at(s, i), move(p, actions[i], rng.word()));
      cells |= static_cast<uint64_t>(to) << (8 * i);
    }
    s.cells = cells;
    bool met = goal(p, at(s, 0));
    for (int i = 1; i < p.players; ++i) met = met && at(s, i) == at(s, 0);
    for (int i = 0; i < p.players; ++i) {
      const bool waits = !met && !p.anywhere && goal(p, at(s, i));
      const float paid = met ? p.reward : (waits ? 0.0F - p.lone_penalty : 0.0F);
      rewards[i] = paid - p.step_cost;
    }
    return met && p.ends ? Episode::ended : Episode::goes_on;
  }

  CUMARL_HD static int cell_of(const Params&, const State& s, int agent) { return at(s, agent); }

  CUMARL_HD static void view(const Params& p, const State& s, int agent, int row, int col,
                             float* out) {
    const int here = row * p.cols + col;
    int others = 0;
    for (int i = 0; i < p.players; ++i) others += i != agent && at(s, i) == here ? 1 : 0;
    out[0] = at(s, agent) == here ? 1.0F : 0.0F;
    out[1] = p.see_others ? static_cast<float>(others) / static_cast<float>(p.players - 1) : 0.0F;
    out[2] = goal(p, here) ? 1.0F : 0.0F;
  }

  CUMARL_HD static int extras(const Params&) { return 0; }
  CUMARL_HD static void extra(const Params&, const State&, int, float*) {}

  CUMARL_HD static uint32_t observations(const Params& p) { return p.observations; }

  /// The own cell; with see_others times the number of multisets of the others' cells, plus theirs.
  CUMARL_HD static uint32_t index(const Params& p, const State& s, int agent) {
    auto index = static_cast<uint32_t>(at(s, agent));
    if (!p.see_others) return index;
    index *= p.sets.choose(p.sets.cells, p.players - 1);
    for (int i = 0; i < p.players; ++i) {
      if (i == agent) continue;
      int before = 0;
      for (int j = 0; j < p.players; ++j) {
        const bool first = at(s, j) < at(s, i) || (at(s, j) == at(s, i) && j < i);
        before += j != agent && first ? 1 : 0;
      }
      index += p.sets.choose(at(s, i) + before, before + 1);
    }
    return index;
  }

  /// Shows "players" (row, column each).
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t players[2 * kMaxAgents] = {};
    for (int i = 0; i < p.players; ++i) {
      players[2 * i] = at(s, i) / p.cols;
      players[2 * i + 1] = at(s, i) % p.cols;
    }
    v("players", players, 2 * p.players);
    uint64_t cells = 0;
    for (int i = 0; i < p.players; ++i) {
      const int64_t row = players[2 * i], col = players[2 * i + 1];
      if (row < 0 || row >= p.rows || col < 0 || col >= p.cols) {
        throw ParameterError("players", "an agent is off the grid");
      }
      cells |= static_cast<uint64_t>(row * p.cols + col) << (8 * i);
    }
    s.cells = cells;
  }

  /// Where several agents stand in a cell, the first of them.
  static Glyph glyph(const Params& p, const State& s, int row, int col) {
    const int here = row * p.cols + col;
    const bool marked = !p.anywhere && goal(p, here);
    for (int i = 0; i < p.players; ++i) {
      if (at(s, i) == here) return {static_cast<char>('A' + i), 0x1F77B4};
    }
    return {marked ? '*' : ' ', marked ? 0x2CA02CU : 0xFFFFFFU};
  }

 private:
  CUMARL_HD static int at(const State& s, int i) {
    return static_cast<int>(s.cells >> (8 * i)) & 0xFF;
  }
  CUMARL_HD static bool goal(const Params& p, int cell) {
    return p.anywhere || cell == 0 || cell == p.rows * p.cols - 1;
  }
  /// What becomes of an action.
  CUMARL_HD static int move(const Params& p, int action, uint32_t word) {
    if (action == 0 || word >= p.slip) return action;
    const auto other = static_cast<int>(uint64_t{word} * 4 / p.slip);
    return other < action ? other : other + 1;
  }
  CUMARL_HD static int moved(const Params& p, int cell, int action) {
    const int row = cell / p.cols, col = cell % p.cols;
    switch (action) {
      case 1: return row > 0 ? cell - p.cols : cell;
      case 2: return row < p.rows - 1 ? cell + p.cols : cell;
      case 3: return col > 0 ? cell - 1 : cell;
      case 4: return col < p.cols - 1 ? cell + 1 : cell;
      default: return cell;
    }
  }
};

/// The meeting with the options of every gridworld.
using Meeting = Gridworld<MeetingGame>;

}  // namespace cumarl::inline CUMARL_VARIANT
