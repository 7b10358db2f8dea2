/// \file
/// Cooperative box pushing: small boxes take one agent, the large box takes both.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "envs/grid_tools.hpp"
#include "envs/gridworld.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Two agents, two small boxes and a large one, two cells wide; row 0 is the goal. On the grid of
/// 3 x 4 of the paper:
///
///     . . . .      goal
///     b B B b
///     > . . <
///
/// On larger grids (an even number of columns) the boxes stand in row (rows - 1) / 2, the small ones
/// in columns (cols - 4) / 4 from the walls, the large one in the middle, the agents in the last row
/// below the small boxes. A joint step:
///  1. Going ahead succeeds with probability `success`, turning with `turn_success`, each agent on
///     its own; otherwise the agent does nothing.
///  2. If both go ahead in one direction, each against another half of the large box from the same
///     side, and the cells behind it are free, both and the box move.
///  3. An agent that goes ahead against a small box with a free cell behind it pushes it. It moves
///     onto free floor. Cells are free as they were before the step; if both, with what they push,
///     want to enter one cell, neither moves.
///  4. An agent that goes ahead and does not move pays `bump` (walls, the other agent, a box that does
///     not give way, the large box alone). Everybody pays `step_cost`.
/// A box that reaches row 0 pays: a small one `small` to the agent that pushed it, the large one
/// `large` / 2 to each, so that the sum over the agents is the published reward. Then everything is
/// back in its place, and the episode ends (goal = "ends") or goes on ("continues").
///
/// With observe = "front" an agent sees only what is ahead of it: empty, wall, the other agent, a
/// small box, the large box, which are the five observations of the paper; cells then show nothing.
/// Source: Seuken and Zilberstein, "Improved Memory-Bounded Dynamic Programming for Decentralized
/// POMDPs", UAI 2007. Turns always succeed there: of the published values of the optimum, 17.6 with
/// horizon 2 is 20 * .9 - .4, a turn and a push for each agent.
/// Deviations: larger grids; two agents that want one cell both stay, which 3 x 4 leaves open.
struct BoxPushingGame {
  static constexpr EnvFacts kFacts{
      "box_pushing",
      "Cooperative box pushing",
      "Seuken and Zilberstein, UAI 2007",
      Family::gridworld,
      "0 turn left, 1 turn right, 2 go ahead, 3 stay",
      "cells: small box, large box, self, the other facing north, east, south, west; own heading; "
      "what is ahead: empty, wall, agent, small box, large box; table index: both agents' places "
      "and "
      "headings and the boxes (3 x 4: they never rest elsewhere), or with observe = \"front\" what "
      "is ahead"};
  static constexpr int kMaxAgents = 2;
  static constexpr int kActions = 4;
  static constexpr int kMaxSteps = 100;
  static constexpr int kChannels = 7;
  static constexpr int kMaxExtra = 9;
  static constexpr int kMaxSide = 16;
  static constexpr uint32_t kMaxObservations = 1U << 24;

  enum Act { kTurnLeft, kTurnRight, kAhead, kStay };
  enum Front { kEmpty, kWall, kAgent, kSmall, kLarge };
  enum Goal { kEnds, kContinues };
  enum Observe { kGrid, kFront };

  struct Config {
    std::vector<int> size{3, 4};
    double success = 0.9;
    double turn_success = 1.0;
    double step_cost = 0.1;
    double bump = 5;
    double small = 10;
    double large = 100;
    Choice goal{kEnds};
    Choice observe{kGrid};
  };

  static void fields(FieldVisitor& v, Config& c) {
    v("size", c.size, Bounds{3, kMaxSide}, "cells", "rows and columns of the grid");
    v("success", c.success, Bounds{0, 1}, "", "chance that going ahead is carried out");
    v("turn_success", c.turn_success, Bounds{0, 1}, "", "chance that a turn is carried out");
    v("step_cost", c.step_cost, Bounds{0, 1e6}, "reward", "what each agent pays in each step");
    v("bump", c.bump, Bounds{0, 1e6}, "reward", "what going ahead without moving costs");
    v("small", c.small, Bounds{0, 1e6}, "reward", "for a small box in row 0");
    v("large", c.large, Bounds{0, 1e6}, "reward", "for the large box in row 0, both together");
    v.choice("goal", c.goal, {"ends", "continues"},
             "what the episode does when a box reaches row 0");
    v.choice("observe", c.observe, {"grid", "front"}, "the whole grid, or what is ahead only");
  }

  struct Params {
    int32_t rows, cols;
    uint64_t success, turn_success;  ///< words_of
    float step_cost, bump, small, half_large;
    bool continues, front;
    bool boxes_rest;  ///< between steps boxes are where they began, and agents in the last row
    uint32_t spots;   ///< places and headings that the table index tells apart
    uint32_t observations;
    SetNumbers small_sets;
  };

  /// 8 bytes.
  struct State {
    uint8_t cell[kMaxAgents];
    uint8_t heading[kMaxAgents];
    uint8_t small[2];  ///< cells, in ascending order
    uint8_t large;     ///< cell of its left half
    uint8_t unused;    ///< 0
  };

  /// Throws ParameterError for grids without room for the boxes.
  static Params make(const Config& c, Arena& arena) {
    const auto expect = [](bool ok, const char* key, const std::string& why) {
      if (!ok) throw ParameterError(key, why);
    };
    expect(c.size.size() == 2, "size", "needs two numbers: [rows, columns]");
    expect(c.size[0] >= 3 && c.size[0] <= kMaxSide, "size", "needs 3 to 16 rows");
    expect(c.size[1] >= 4 && c.size[1] <= kMaxSide && c.size[1] % 2 == 0, "size",
           "needs an even number of columns, 4 to 16");
    const auto chance = [&](const char* key, double value) {
      expect(value >= 0 && value <= 1, key, "is not within 0 and 1");
      return words_of(value);
    };
    const auto reward = [&](const char* key, double value) {
      expect(value >= 0 && value <= 1e6, key, "is not within 0 and 1e6");
      return static_cast<float>(value);
    };
    expect(c.goal >= kEnds && c.goal <= kContinues, "goal", "is not known");
    expect(c.observe >= kGrid && c.observe <= kFront, "observe", "is not known");
    Params p{};
    p.rows = c.size[0];
    p.cols = c.size[1];
    p.success = chance("success", c.success);
    p.turn_success = chance("turn_success", c.turn_success);
    p.step_cost = reward("step_cost", c.step_cost);
    p.bump = reward("bump", c.bump);
    p.small = reward("small", c.small);
    p.half_large = reward("large", c.large) / 2;
    p.continues = c.goal == kContinues;
    p.front = c.observe == kFront;
    p.boxes_rest = p.rows == 3 && p.cols == 4;
    const auto cells = static_cast<uint32_t>(p.rows * p.cols);
    p.small_sets = SetNumbers::make(cells, 2, kMaxObservations, arena);
    p.spots = 4 * (p.boxes_rest ? static_cast<uint32_t>(p.cols) : cells);
    uint64_t count = uint64_t{p.spots} * p.spots;
    if (!p.boxes_rest) count *= uint64_t{p.small_sets.sets} * cells;
    if (p.front) count = 5;
    p.observations = count <= kMaxObservations ? static_cast<uint32_t>(count) : 0;
    return p;
  }

  CUMARL_HD static int agents(const Params&) { return kMaxAgents; }
  CUMARL_HD static int rows(const Params& p) { return p.rows; }
  CUMARL_HD static int cols(const Params& p) { return p.cols; }

  static Bounds reward_bounds(const Params& p) {
    const float best = p.small > p.half_large ? p.small : p.half_large;
    const float least = -p.step_cost - p.bump, most = -p.step_cost + best;
    return {static_cast<double>(least), static_cast<double>(most)};
  }

  CUMARL_HD static void reset(const Params& p, State& s, Rng&) { place(p, s); }

  /// One joint step; two random words. Shapes: actions int [2], rewards float [2].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    bool goes[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents; ++i) {
      rewards[i] = -p.step_cost;
      const bool turns = actions[i] == kTurnLeft || actions[i] == kTurnRight;
      const bool done = happens(rng, turns ? p.turn_success : p.success);
      if (turns && done) {
        const int to = turned(s.heading[i], actions[i] == kTurnLeft ? -1 : 1);
        s.heading[i] = static_cast<uint8_t>(to);
      }
      goes[i] = actions[i] == kAhead && done;
    }
    bool reached = false;
    if (goes[0] && goes[1] && push_large(p, s)) {
      reached = s.large < p.cols;
      if (reached) {
        for (int i = 0; i < kMaxAgents; ++i) rewards[i] += p.half_large;
      }
    } else {
      reached = go(p, s, goes, rewards);
    }
    if (!reached) return Episode::goes_on;
    place(p, s);
    return p.continues ? Episode::goes_on : Episode::ended;
  }

  CUMARL_HD static int cell_of(const Params&, const State& s, int agent) { return s.cell[agent]; }

  CUMARL_HD static void view(const Params& p, const State& s, int agent, int row, int col,
                             float* out) {
    for (int k = 0; k < kChannels; ++k) out[k] = 0.0F;
    if (p.front) return;
    const int cell = row * p.cols + col;
    if (small_on(s, cell) >= 0) out[0] = 1.0F;
    if (large_on(s, cell)) out[1] = 1.0F;
    if (s.cell[agent] == cell) out[2] = 1.0F;
    if (s.cell[1 - agent] == cell) out[3 + s.heading[1 - agent]] = 1.0F;
  }

  /// Heading, and what is ahead.
  CUMARL_HD static int extras(const Params&) { return kMaxExtra; }
  CUMARL_HD static void extra(const Params& p, const State& s, int agent, float* out) {
    for (int h = 0; h < 4; ++h) out[h] = h == s.heading[agent] ? 1.0F : 0.0F;
    const int seen = front(p, s, agent);
    for (int k = 0; k < 5; ++k) out[4 + k] = k == seen ? 1.0F : 0.0F;
  }

  CUMARL_HD static uint32_t observations(const Params& p) { return p.observations; }

  CUMARL_HD static uint32_t index(const Params& p, const State& s, int agent) {
    if (p.front) return static_cast<uint32_t>(front(p, s, agent));
    const auto cells = static_cast<uint32_t>(p.rows * p.cols);
    const int first = p.boxes_rest ? (p.rows - 1) * p.cols : 0;
    const auto spot = [&](int i) {
      return static_cast<uint32_t>((s.cell[i] - first) * 4 + s.heading[i]);
    };
    const uint32_t places = spot(agent) * p.spots + spot(1 - agent);
    if (p.boxes_rest) return places;
    uint32_t set[2] = {s.small[0], s.small[1]};
    return (places * p.small_sets.sets + p.small_sets.number(set, 2)) * cells + s.large;
  }

  /// The fields "agents" (row, column, heading 0 to 3 from north clockwise), "small" (row, column of
  /// each small box) and "large" (row, column of its left half). Throws ParameterError.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t agents[3 * kMaxAgents], small[4], large[2];
    for (int i = 0; i < kMaxAgents; ++i) {
      agents[3 * i] = s.cell[i] / p.cols;
      agents[3 * i + 1] = s.cell[i] % p.cols;
      agents[3 * i + 2] = s.heading[i];
      small[2 * i] = s.small[i] / p.cols;
      small[2 * i + 1] = s.small[i] % p.cols;
    }
    large[0] = s.large / p.cols;
    large[1] = s.large % p.cols;
    v("agents", agents, 3 * kMaxAgents);
    v("small", small, 4);
    v("large", large, 2);
    const auto expect = [](bool ok, const char* key, const char* why) {
      if (!ok) throw ParameterError(key, why);
    };
    bool taken[kMaxSide * kMaxSide] = {};
    const auto cell = [&](const char* key, int64_t row, int64_t col) {
      expect(row >= 0 && row < p.rows && col >= 0 && col < p.cols, key,
             "something is off the grid");
      bool& here = taken[row * p.cols + col];
      expect(!here, key, "two things are in one cell");
      here = true;
      return static_cast<uint8_t>(row * p.cols + col);
    };
    State to{};
    for (int i = 0; i < kMaxAgents; ++i) {
      to.cell[i] = cell("agents", agents[3 * i], agents[3 * i + 1]);
      expect(agents[3 * i + 2] >= 0 && agents[3 * i + 2] < 4, "agents", "there is no such heading");
      to.heading[i] = static_cast<uint8_t>(agents[3 * i + 2]);
      to.small[i] = cell("small", small[2 * i], small[2 * i + 1]);
      expect(small[2 * i] > 0, "small", "a box in row 0 would have ended the episode");
    }
    to.large = cell("large", large[0], large[1]);
    cell("large", large[0], large[1] + 1);
    expect(large[0] > 0, "large", "a box in row 0 would have ended the episode");
    sort_small(to);
    State rest;
    place(p, rest);
    if (p.boxes_rest) {
      expect(to.small[0] == rest.small[0] && to.small[1] == rest.small[1], "small",
             "on 3 x 4 boxes are where they began");
      expect(to.large == rest.large, "large", "on 3 x 4 boxes are where they began");
      expect(agents[0] == p.rows - 1 && agents[3] == p.rows - 1, "agents",
             "on 3 x 4 agents are in the last row");
    }
    s = to;
  }

  static Glyph glyph(const Params& p, const State& s, int row, int col) {
    const int cell = row * p.cols + col;
    for (int i = 0; i < kMaxAgents; ++i) {
      if (s.cell[i] == cell) return {static_cast<char>('A' + i), i == 0 ? 0x3366CCU : 0x33AA33U};
    }
    if (small_on(s, cell) >= 0) return {'b', 0xC8A070U};
    if (large_on(s, cell)) return {'L', 0x8B5A2BU};
    return {' ', row == 0 ? 0xDDEEDDU : 0xF4F0E8U};
  }

 private:
  CUMARL_HD static void place(const Params& p, State& s) {
    const int row = (p.rows - 1) / 2, left = (p.cols - 4) / 4, right = p.cols - 1 - left;
    s = State{};
    s.cell[0] = static_cast<uint8_t>((p.rows - 1) * p.cols + left);
    s.cell[1] = static_cast<uint8_t>((p.rows - 1) * p.cols + right);
    s.heading[0] = 1;
    s.heading[1] = 3;
    s.small[0] = static_cast<uint8_t>(row * p.cols + left);
    s.small[1] = static_cast<uint8_t>(row * p.cols + right);
    s.large = static_cast<uint8_t>(row * p.cols + p.cols / 2 - 1);
  }

  /// The small box in a cell, -1 if there is none.
  CUMARL_HD static int small_on(const State& s, int cell) {
    return s.small[0] == cell ? 0 : (s.small[1] == cell ? 1 : -1);
  }
  CUMARL_HD static bool large_on(const State& s, int cell) {
    return cell == s.large || cell == s.large + 1;
  }
  CUMARL_HD static bool agent_on(const State& s, int cell) {
    return s.cell[0] == cell || s.cell[1] == cell;
  }
  /// Whether a cell is on the grid (-1 is not) with nothing in it.
  CUMARL_HD static bool is_free(const State& s, int cell) {
    return cell >= 0 && small_on(s, cell) < 0 && !large_on(s, cell) && !agent_on(s, cell);
  }
  CUMARL_HD static void sort_small(State& s) {
    if (s.small[0] < s.small[1]) return;
    const uint8_t cell = s.small[0];
    s.small[0] = s.small[1];
    s.small[1] = cell;
  }

  /// The cell `steps` ahead, -1 off the grid.
  CUMARL_HD static int ahead(const Params& p, const State& s, int i, int steps) {
    const int row = s.cell[i] / p.cols + steps * heading_row(s.heading[i]);
    const int col = s.cell[i] % p.cols + steps * heading_col(s.heading[i]);
    const bool inside = row >= 0 && row < p.rows && col >= 0 && col < p.cols;
    return inside ? row * p.cols + col : -1;
  }

  CUMARL_HD static int front(const Params& p, const State& s, int agent) {
    const int cell = ahead(p, s, agent, 1);
    if (cell < 0) return kWall;
    if (agent_on(s, cell)) return kAgent;
    if (small_on(s, cell) >= 0) return kSmall;
    return large_on(s, cell) ? kLarge : kEmpty;
  }

  /// Both go ahead: moves them and the large box if they push it together. It is moved north and
  /// south only: from the side there is room for one.
  CUMARL_HD static bool push_large(const Params& p, State& s) {
    const int heading = s.heading[0];
    if (s.heading[1] != heading || heading_row(heading) == 0) return false;
    const int first = ahead(p, s, 0, 1), second = ahead(p, s, 1, 1);
    if (first < 0 || second < 0) return false;
    if (!large_on(s, first) || !large_on(s, second)) return false;
    if (!is_free(s, ahead(p, s, 0, 2)) || !is_free(s, ahead(p, s, 1, 2))) return false;
    s.cell[0] = static_cast<uint8_t>(first);
    s.cell[1] = static_cast<uint8_t>(second);
    s.large = static_cast<uint8_t>(s.large + heading_row(heading) * p.cols);
    return true;
  }

  /// Those of `goes` go ahead, each on its own; whether a small box reaches row 0.
  CUMARL_HD static bool go(const Params& p, State& s, const bool* goes, float* rewards) {
    int to[kMaxAgents] = {}, box[kMaxAgents] = {}, box_to[kMaxAgents] = {};
    bool moves[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents; ++i) {
      to[i] = ahead(p, s, i, 1);
      box[i] = to[i] < 0 ? -1 : small_on(s, to[i]);
      box_to[i] = box[i] < 0 ? -1 : ahead(p, s, i, 2);
      moves[i] = goes[i] && is_free(s, box[i] < 0 ? to[i] : box_to[i]);
    }
    if (moves[0] && moves[1]) {
      const bool contested = to[0] == to[1] || (box_to[0] >= 0 && box_to[0] == box_to[1]) ||
                             box_to[0] == to[1] || box_to[1] == to[0];
      if (contested) moves[0] = moves[1] = false;
    }
    bool reached = false;
    for (int i = 0; i < kMaxAgents; ++i) {
      if (goes[i] && !moves[i]) rewards[i] -= p.bump;
      if (!moves[i]) continue;
      s.cell[i] = static_cast<uint8_t>(to[i]);
      if (box[i] < 0) continue;
      s.small[box[i]] = static_cast<uint8_t>(box_to[i]);
      if (box_to[i] >= p.cols) continue;
      reached = true;
      rewards[i] += p.small;
    }
    sort_small(s);
    return reached;
  }
};

using BoxPushing = Gridworld<BoxPushingGame>;

}  // namespace cumarl::inline CUMARL_VARIANT
