/// \file
/// What the commons dilemmas Harvest and Cleanup share: the map, moves, beams, the social measures.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "envs/grid_tools.hpp"
#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Agents with a heading on a map with apples. One joint step of both games:
///  1. All turn and move at once. Of several that move into one cell one does, each with equal
///     chance, and the others stay; nobody enters a cell whose agent stays, and two do not swap.
///     Agents follow one another, and three or more move in a circle.
///  2. An agent on an apple eats it: +1.
///  3. All beams are fired at once. A beam has three rays: one starts ahead of the agent, two start
///     in the cells to its left and right; each goes `beam_length` cells ahead, and ends at a wall
///     and at the first agent. Firing the tagging beam costs `beam_cost`. With beam = "fine" each
///     hit costs the agent that is hit `fine`; with "timeout" it is taken from the grid for the
///     next `timeout` steps, and then comes back on a random free starting cell.
///  4. Apples grow (and waste appears), as the games say.
/// The game has no end of its own.
///
/// Source: the published rules of both papers as the package sequential_social_dilemma_games
/// (Vinitsky et al. 2019) plays them; the time-out is that of Perolat et al. 2017.
/// Deviations: the package resolves moves and beams agent by agent in parts, here all are
/// simultaneous; beams are not seen; agents begin on random starting cells with random headings, the
struct Commons {
  static constexpr int kMaxAgents = 8;
  static constexpr int kMaxCells = 1024;
  static constexpr int kMaxPlaces = 256;  ///< cells where apples grow; cells of the river
  static constexpr int kWords = kMaxPlaces / 64;
  static constexpr uint32_t kMaxObservations = 1U << 24;

  enum Tile : uint8_t { kWall, kFloor, kOrchard, kRiver };
  enum Beam { kNoBeam, kFine, kTimeout };
  enum Act { kStay, kAhead, kBack, kLeft, kRight, kTurnLeft, kTurnRight, kTag, kClean };

  struct Config {
    std::string map;
    int players = 5;
    bool orientation = true;
    Choice beam{kFine};
    int beam_length = 5;
    double beam_cost = 1;
    double fine = 50;
    int timeout = 25;
  };

  static void fields(FieldVisitor& v, Config& c) {
    v("players", c.players, Bounds{1, kMaxAgents}, "", "number of agents");
    v("orientation", c.orientation,
      "moves and the view turn with the agent; otherwise moves are north, south, west and east, "
      "and an agent faces where it last moved to");
    v.choice("beam", c.beam, {"none", "fine", "timeout"},
             "what the tagging beam does to those it hits");
    v("beam_length", c.beam_length, Bounds{1, 32}, "cells", "length of beams");
    v("beam_cost", c.beam_cost, Bounds{0, 1e6}, "reward", "what firing the tagging beam costs");
    v("fine", c.fine, Bounds{0, 1e6}, "reward", "what a hit costs, with beam = \"fine\"");
    v("timeout", c.timeout, Bounds{1, 255}, "joint steps",
      "how long a hit takes an agent away, with beam = \"timeout\"");
  }

  struct Params {
    int32_t agents, rows, cols;
    int32_t floors;   ///< cells that are no wall
    int32_t places;   ///< cells where apples grow
    int32_t rivers;   ///< cells of the river
    int32_t starts;   ///< cells on which agents begin
    int32_t timeout;  ///< joint steps; 0 if the beam takes nobody away
    int32_t beam, beam_length;
    float beam_cost, fine;  ///< fine 0 if the beam fines nobody
    bool orientation;
    uint32_t own_codes;
    uint32_t observations;
    SetNumbers others;
    // Tables by cell, and lists of cells in the order of the map.
    const uint8_t* tile;      ///< [cell] Tile
    const uint16_t* number;   ///< [cell] position in the list of places or of rivers
    const uint16_t* floor;    ///< [cell] position among the cells that are no wall
    const uint16_t* place;    ///< [places] cell
    const uint16_t* river;    ///< [rivers] cell
    const uint16_t* start;    ///< [starts] cell
    uint64_t waste[kWords];   ///< bit k: river cell k is dirty at first
    uint64_t apples[kWords];  ///< bit k: place k; all bear apples at first
  };

  struct State {
    uint64_t apples[kWords];    ///< bit k: there is an apple on place k
    uint16_t cell[kMaxAgents];  ///< while an agent is away: where it was hit
    uint8_t away[kMaxAgents];   ///< joint steps that an agent is still away
    uint16_t headings;          ///< two bits an agent
  };

  /// Reads the map and fills Params. `signs`: the characters of the map.
  static Params make(const Config& c, const std::string& signs, Arena& arena) {
    const auto expect = [](bool ok, const char* key, const std::string& why) {
      if (!ok) throw ParameterError(key, why);
    };
    const std::vector<std::string> rows = map_rows(c.map, signs, kMaxCells);
    Params p{};
    std::vector<uint8_t> tile;
    std::vector<uint16_t> number, floor, place, river, start, plain;
    for (const std::string& row : rows) {
      for (const char sign : row) {
        const auto cell = static_cast<uint16_t>(tile.size());
        uint16_t at = 0;
        floor.push_back(static_cast<uint16_t>(p.floors));
        if (sign != '#') ++p.floors;
        if (sign == '#') {
          tile.push_back(kWall);
        } else if (sign == 'A') {
          at = static_cast<uint16_t>(place.size());
          place.push_back(cell);
          tile.push_back(kOrchard);
        } else if (sign == 'W' || sign == 'R') {
          at = static_cast<uint16_t>(river.size());
          if (sign == 'W' && at < kMaxPlaces) p.waste[at / 64] |= uint64_t{1} << (at % 64);
          river.push_back(cell);
          tile.push_back(kRiver);
        } else {
          (sign == 'P' ? start : plain).push_back(cell);
          tile.push_back(kFloor);
        }
        number.push_back(at);
      }
    }
    if (start.empty()) start = plain;
    const auto some = [&](size_t count, const char* what) {
      expect(count >= 1 && count <= kMaxPlaces, "map",
             "has " + std::to_string(count) + " " + what + ", allowed are 1 to " +
                 std::to_string(kMaxPlaces));
    };
    some(place.size(), "apple places (A)");
    if (signs.find('W') != std::string::npos) some(river.size(), "river cells (W, R)");
    expect(c.players >= 1 && c.players <= kMaxAgents, "players",
           "is " + std::to_string(c.players) + ", allowed are 1 to " + std::to_string(kMaxAgents));
    expect(static_cast<size_t>(c.players) <= start.size(), "players",
           "is " + std::to_string(c.players) + ", but the map has only " +
               std::to_string(start.size()) + " starting cells (P, or any floor without P)");
    expect(c.beam_length >= 1 && c.beam_length <= 32, "beam_length",
           "is " + std::to_string(c.beam_length) + ", allowed are 1 to 32");
    expect(c.beam_cost >= 0 && c.beam_cost <= 1e6, "beam_cost", "is not within 0 and 1e6");
    expect(c.fine >= 0 && c.fine <= 1e6, "fine", "is not within 0 and 1e6");
    expect(c.timeout >= 1 && c.timeout <= 255, "timeout",
           "is " + std::to_string(c.timeout) + ", allowed are 1 to 255");
    expect(c.beam >= kNoBeam && c.beam <= kTimeout, "beam", "is not known");

    p.agents = c.players;
    p.rows = static_cast<int32_t>(rows.size());
    p.cols = static_cast<int32_t>(rows[0].size());
    p.places = static_cast<int32_t>(place.size());
    p.rivers = static_cast<int32_t>(river.size());
    p.starts = static_cast<int32_t>(start.size());
    p.beam = c.beam;
    p.timeout = c.beam == kTimeout ? c.timeout : 0;
    p.beam_length = c.beam_length;
    p.beam_cost = c.beam == kNoBeam ? 0.0F : static_cast<float>(c.beam_cost);
    p.fine = c.beam == kFine ? static_cast<float>(c.fine) : 0.0F;
    p.orientation = c.orientation;
    for (size_t k = 0; k < place.size(); ++k) p.apples[k / 64] |= uint64_t{1} << (k % 64);
    p.tile = arena.store(tile);
    p.number = arena.store(number);
    p.floor = arena.store(floor);
    p.place = arena.store(place);
    p.river = arena.store(river);
    p.start = arena.store(start);

    const auto spots = static_cast<uint32_t>(4 * p.floors);
    p.own_codes = spots + static_cast<uint32_t>(p.timeout);
    p.others =
        SetNumbers::make(spots, static_cast<uint32_t>(p.agents - 1), kMaxObservations, arena);
    uint64_t count = uint64_t{p.own_codes} * p.others.sets;
    for (int k = 0; k < p.places + p.rivers && count <= kMaxObservations; ++k) count *= 2;
    p.observations = count <= kMaxObservations ? static_cast<uint32_t>(count) : 0;
    return p;
  }

  /// What an action number does; turning is staying without `orientation`.
  CUMARL_HD static int act_of(const Params& p, int action) {
    return !p.orientation && (action == kTurnLeft || action == kTurnRight) ? int{kStay} : action;
  }

  /// Bounds of one agent's reward: an apple, or a shot and hits by all others.
  static Bounds reward_bounds(const Params& p) {
    const float worst = -p.beam_cost - static_cast<float>(p.agents - 1) * p.fine;
    return {static_cast<double>(worst), 1.0};
  }

  CUMARL_HD static int heading(const State& s, int i) { return (s.headings >> (2 * i)) & 3; }
  CUMARL_HD static void face(State& s, int i, int heading) {
    s.headings = static_cast<uint16_t>((s.headings & ~(3U << (2 * i))) |
                                       static_cast<uint32_t>(heading) << (2 * i));
  }
  CUMARL_HD static bool has(const uint64_t* bits, int k) {
    return ((bits[k / 64] >> (k % 64)) & 1) != 0;
  }

  /// The agent on a cell of the grid, -1 if there is none.
  CUMARL_HD static int agent_on(const Params& p, const State& s, int cell) {
    for (int i = 0; i < p.agents; ++i) {
      if (s.away[i] == 0 && s.cell[i] == cell) return i;
    }
    return -1;
  }

  /// The cell `ahead` steps in a heading and `right` steps to its right, -1 off the grid.
  CUMARL_HD static int offset(const Params& p, int cell, int heading, int ahead, int right) {
    const int side = turned(heading, 1);
    const int row = cell / p.cols + ahead * heading_row(heading) + right * heading_row(side);
    const int col = cell % p.cols + ahead * heading_col(heading) + right * heading_col(side);
    const bool inside = row >= 0 && row < p.rows && col >= 0 && col < p.cols;
    return inside ? row * p.cols + col : -1;
  }

  /// All places bear apples; agents on different starting cells, with random headings.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    for (int w = 0; w < kWords; ++w) s.apples[w] = p.apples[w];
    s.headings = 0;
    for (int i = 0; i < kMaxAgents; ++i) {
      s.cell[i] = 0;
      s.away[i] = i < p.agents ? 1 : 0;  // not yet on the grid
    }
    for (int i = 0; i < p.agents; ++i) arrive(p, s, i, rng);
  }

  /// Turns and moves.
  CUMARL_HD static void move(const Params& p, State& s, const int* act, Rng& rng) {
    int want[kMaxAgents] = {};
    for (int i = 0; i < p.agents; ++i) {
      want[i] = s.cell[i];
      if (s.away[i] > 0) continue;
      const int a = act[i];
      if (a == kTurnLeft || a == kTurnRight)
        face(s, i, turned(heading(s, i), a == kTurnLeft ? -1 : 1));
      if (a < kAhead || a > kRight) continue;
      // north or ahead, south or back, west or left, east or right
      const int quarters = a == kAhead ? 0 : (a == kBack ? 2 : (a == kLeft ? 3 : 1));
      const int to = turned(p.orientation ? heading(s, i) : 0, quarters);
      if (!p.orientation) face(s, i, to);
      const int target = offset(p, s.cell[i], to, 1, 0);
      if (target >= 0 && p.tile[target] != kWall) want[i] = target;
    }
    contest(p, s, want, rng);
    for (int i = 0; i < p.agents; ++i) {
      for (int j = 0; j < i; ++j) {
        if (moves(s, want, i) && moves(s, want, j) && want[i] == s.cell[j] &&
            want[j] == s.cell[i]) {
          want[i] = s.cell[i];
          want[j] = s.cell[j];
        }
      }
    }
    for (bool changed = true; changed;) {
      changed = false;
      for (int i = 0; i < p.agents; ++i) {
        if (!moves(s, want, i)) continue;
        for (int j = 0; j < p.agents; ++j) {
          if (j == i || s.away[j] > 0 || want[j] != want[i]) continue;
          want[i] = s.cell[i];
          changed = true;
          break;
        }
      }
    }
    for (int i = 0; i < p.agents; ++i) s.cell[i] = static_cast<uint16_t>(want[i]);
  }

  /// Eats, and sets the rewards.
  CUMARL_HD static void eat(const Params& p, State& s, float* rewards) {
    for (int i = 0; i < p.agents; ++i) {
      rewards[i] = 0.0F;
      const int k = p.number[s.cell[i]];
      if (s.away[i] > 0 || p.tile[s.cell[i]] != kOrchard || !has(s.apples, k)) continue;
      s.apples[k / 64] &= ~(uint64_t{1} << (k % 64));
      rewards[i] = 1.0F;
    }
  }

  /// How often each agent is hit by the tagging beams of those who fire; hits int [kMaxAgents].
  CUMARL_HD static void hits(const Params& p, const State& s, const int* act, int* hits) {
    for (int i = 0; i < p.agents; ++i) hits[i] = 0;
    for (int i = 0; i < p.agents; ++i) {
      if (s.away[i] > 0 || act[i] != kTag || p.beam == kNoBeam) continue;
      for (int ray = -1; ray <= 1; ++ray) {
        for (int ahead = ray == 0 ? 1 : 0, left = p.beam_length; left > 0; ++ahead, --left) {
          const int cell = offset(p, s.cell[i], heading(s, i), ahead, ray);
          if (cell < 0 || p.tile[cell] == kWall) break;
          const int other = agent_on(p, s, cell);
          if (other < 0) continue;
          ++hits[other];
          break;
        }
      }
    }
  }

  /// Tagging beams; agents come back and are taken away.
  CUMARL_HD static void tag(const Params& p, State& s, const int* act, float* rewards, Rng& rng) {
    if (p.beam == kNoBeam) return;
    int hit[kMaxAgents] = {};
    hits(p, s, act, hit);
    for (int i = 0; i < p.agents; ++i) {
      if (s.away[i] > 0) continue;
      float pay = rewards[i];
      if (act[i] == kTag) pay -= p.beam_cost;
      rewards[i] = pay - static_cast<float>(hit[i]) * p.fine;
    }
    if (p.timeout == 0) return;
    for (int i = 0; i < p.agents; ++i) {
      if (s.away[i] > 1) {
        --s.away[i];
      } else if (s.away[i] == 1) {
        arrive(p, s, i, rng);
      }
    }
    for (int i = 0; i < p.agents; ++i) {
      if (hit[i] == 0) continue;
      s.away[i] = static_cast<uint8_t>(p.timeout);
      face(s, i, 0);
    }
  }

  /// The places on which agents stand.
  CUMARL_HD static void occupied(const Params& p, const State& s, uint64_t* out) {
    for (int w = 0; w < kWords; ++w) out[w] = 0;
    for (int i = 0; i < p.agents; ++i) {
      if (s.away[i] > 0 || p.tile[s.cell[i]] != kOrchard) continue;
      const int k = p.number[s.cell[i]];
      out[k / 64] |= uint64_t{1} << (k % 64);
    }
  }

  /// Where an agent is seen and sees; agents that are away look on from the first starting cell.
  CUMARL_HD static int cell_of(const Params& p, const State& s, int agent) {
    return s.away[agent] > 0 ? p.start[0] : s.cell[agent];
  }

  /// What an agent's window shows `down` and `right` of its centre; ahead is up with `orientation`.
  CUMARL_HD static int look(const Params& p, const State& s, int agent, int down, int right) {
    return offset(p, cell_of(p, s, agent), p.orientation ? heading(s, agent) : 0, -down, right);
  }

  /// Self, and another agent by its heading as this agent sees it: ahead, right, back, left (north,
  /// east, south, west without `orientation`). Five numbers.
  CUMARL_HD static void view_agents(const Params& p, const State& s, int agent, int cell,
                                    float* out) {
    for (int k = 0; k < 5; ++k) out[k] = 0.0F;
    const int on = agent_on(p, s, cell);
    if (on < 0) return;
    const int turn = p.orientation ? heading(s, agent) : 0;
    out[on == agent ? 0 : 1 + turned(heading(s, on), -turn)] = 1.0F;
  }

  /// The own heading, one-hot, and with a time-out the share of it that is left.
  CUMARL_HD static int extras(const Params& p) { return p.timeout > 0 ? 5 : 4; }
  CUMARL_HD static void extra(const Params& p, const State& s, int agent, float* out) {
    for (int h = 0; h < 4; ++h) out[h] = h == heading(s, agent) ? 1.0F : 0.0F;
    if (p.timeout > 0) out[4] = static_cast<float>(s.away[agent]) / static_cast<float>(p.timeout);
  }

  /// Own position and heading (or the time away), the set of those of the others on the grid, and
  /// one bit an apple place. Pre: observations > 0.
  CUMARL_HD static uint32_t index(const Params& p, const State& s, int agent) {
    uint32_t set[kMaxAgents] = {};
    int count = 0;
    for (int i = 0; i < p.agents; ++i) {
      if (i != agent && s.away[i] == 0) set[count++] = spot(p, s, i);
    }
    const uint32_t own = s.away[agent] > 0 ? p.own_codes - s.away[agent] : spot(p, s, agent);
    const uint32_t crowd = own * p.others.sets + p.others.number(set, count);
    return crowd << p.places | static_cast<uint32_t>(s.apples[0]);
  }

  /// The fields "agents" (row, column, heading, steps away) and "apples" (0 or 1 each place, row by
  /// row). Throws ParameterError.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t agents[4 * kMaxAgents] = {}, apples[kMaxPlaces] = {};
    for (int i = 0; i < p.agents; ++i) {
      agents[4 * i] = s.cell[i] / p.cols;
      agents[4 * i + 1] = s.cell[i] % p.cols;
      agents[4 * i + 2] = heading(s, i);
      agents[4 * i + 3] = s.away[i];
    }
    for (int k = 0; k < p.places; ++k) apples[k] = has(s.apples, k) ? 1 : 0;
    v("agents", agents, 4 * p.agents);
    v("apples", apples, p.places);
    const auto expect = [](bool ok, const char* key, const char* why) {
      if (!ok) throw ParameterError(key, why);
    };
    State to{};
    for (int i = 0; i < p.agents; ++i) {
      const int64_t row = agents[4 * i], col = agents[4 * i + 1];
      const int64_t turn = agents[4 * i + 2], away = agents[4 * i + 3];
      expect(row >= 0 && row < p.rows && col >= 0 && col < p.cols, "agents",
             "an agent is off the grid");
      const int64_t cell = row * p.cols + col;
      expect(p.tile[cell] != kWall, "agents", "an agent is in a wall");
      expect(turn >= 0 && turn < 4, "agents", "a heading is outside of 0 to 3");
      expect(away >= 0 && away <= p.timeout, "agents", "a time away is outside of 0 to timeout");
      expect(away == 0 || turn == 0, "agents", "an agent that is away has a heading");
      expect(away > 0 || agent_on(p, to, static_cast<int>(cell), i) < 0, "agents",
             "two agents are in one cell");
      to.cell[i] = static_cast<uint16_t>(cell);
      to.away[i] = static_cast<uint8_t>(away);
      face(to, i, static_cast<int>(turn));
    }
    read_bits("apples", apples, p.places, to.apples);
    for (int i = 0; i < p.agents; ++i) {
      expect(to.away[i] > 0 || p.tile[to.cell[i]] != kOrchard ||
                 !has(to.apples, p.number[to.cell[i]]),
             "apples", "an apple is under an agent");
    }
    s = to;
  }

  static void read_bits(const char* key, const int64_t* values, int count, uint64_t* out) {
    for (int k = 0; k < count; ++k) {
      if (values[k] != 0 && values[k] != 1)
        throw ParameterError(key, "has other numbers than 0 and 1");
      if (values[k] == 1) out[k / 64] |= uint64_t{1} << (k % 64);
    }
  }

  static Glyph glyph(const Params& p, const State& s, int row, int col) {
    const int cell = row * p.cols + col;
    const int agent = agent_on(p, s, cell);
    if (agent >= 0) return {static_cast<char>('A' + agent), 0x3366CCU};
    if (p.tile[cell] == kWall) return {'#', 0x555555U};
    const bool apple = p.tile[cell] == kOrchard && has(s.apples, p.number[cell]);
    return apple ? Glyph{'o', 0x33AA33U} : Glyph{' ', 0xF4F0E8U};
  }

  /// The social outcome measures, averaged over the evaluation's episodes, of T steps each, in which
  /// agent i eats R_i apples:
  ///  - "efficiency": sum of R_i / T
  ///  - "equality": 1 - (sum over i, j of |R_i - R_j|) / (2 n sum of R_i), one less the Gini
  ///    coefficient; 1 where nobody eats
  ///  - "sustainability": mean over the agents of the mean step (from 1) at which they eat; 0 for
  ///    one that eats nothing
  ///  - "peace": mean number of agents in a step that are not away and, where beams fine, not hit
  /// Source: Perolat et al., NeurIPS 2017, section 2.2, whose rewards are apples alone; fines and the
  /// cost of firing do not count here.
  template <class World, class PolicyT, class Sink>
  CUMARL_HD static void measure(const typename World::Params& world, const PolicyT& policy,
                                Sink& sink) {
    const Params& p = world.game;
    const int n = p.agents;
    double eaten[kMaxAgents] = {}, when[kMaxAgents] = {};
    double at_peace = 0, steps = 0;
    double efficiency = 0, equality = 0, sustainability = 0, peace = 0;
    World::watch(world, policy,
                 [&](const State& before, const int* actions, const float*, const State& after,
                     Episode episode) {
                   steps += 1;
                   int act[kMaxAgents] = {}, hit[kMaxAgents] = {};
                   for (int i = 0; i < n; ++i) act[i] = act_of(p, actions[i]);
                   if (p.beam == kFine) hits(p, after, act, hit);
                   for (int i = 0; i < n; ++i) {
                     if (after.away[i] == 0 && hit[i] == 0) at_peace += 1;
                     // An agent away keeps the cell where it was hit, and starting cells bear no apples.
                     const int cell = after.cell[i];
                     if (before.away[i] > 0 || p.tile[cell] != kOrchard) continue;
                     if (!has(before.apples, p.number[cell])) continue;
                     eaten[i] += 1;
                     when[i] += steps;
                   }
                   if (episode == Episode::goes_on) return;
                   double sum = 0, gaps = 0, mean_time = 0;
                   for (int i = 0; i < n; ++i) {
                     sum += eaten[i];
                     if (eaten[i] > 0) mean_time += when[i] / eaten[i];
                     for (int j = 0; j < n; ++j) {
                       gaps += eaten[i] > eaten[j] ? eaten[i] - eaten[j] : eaten[j] - eaten[i];
                     }
                   }
                   efficiency += sum / steps;
                   equality += sum > 0 ? 1 - gaps / (2 * n * sum) : 1.0;
                   sustainability += mean_time / n;
                   peace += at_peace / steps;
                   for (int i = 0; i < n; ++i) eaten[i] = when[i] = 0;
                   at_peace = steps = 0;
                 });
    const double episodes = policy.evaluation().episodes;
    sink.metric("efficiency", efficiency / episodes);
    sink.metric("equality", equality / episodes);
    sink.metric("sustainability", sustainability / episodes);
    sink.metric("peace", peace / episodes);
  }

 private:
  static int agent_on(const Params&, const State& s, int cell, int first) {
    for (int i = 0; i < first; ++i) {
      if (s.away[i] == 0 && s.cell[i] == cell) return i;
    }
    return -1;
  }

  CUMARL_HD static uint32_t spot(const Params& p, const State& s, int i) {
    return static_cast<uint32_t>(p.floor[s.cell[i]] * 4 + heading(s, i));
  }

  CUMARL_HD static bool moves(const State& s, const int* want, int i) {
    return s.away[i] == 0 && want[i] != s.cell[i];
  }

  /// Puts an agent on a random free starting cell. There is one: they are as many as agents.
  CUMARL_HD static void arrive(const Params& p, State& s, int i, Rng& rng) {
    int free = 0;
    for (int k = 0; k < p.starts; ++k) free += agent_on(p, s, p.start[k]) < 0 ? 1 : 0;
    auto left = static_cast<int>(rng.below(static_cast<uint32_t>(free)));
    for (int k = 0; k < p.starts; ++k) {
      if (agent_on(p, s, p.start[k]) >= 0) continue;
      if (left-- > 0) continue;
      s.cell[i] = p.start[k];
      break;
    }
    s.away[i] = 0;
    face(s, i, static_cast<int>(rng.below(4)));
  }

  /// Leaves one, drawn with equal chances, of those that want to move into one cell.
  CUMARL_HD static void contest(const Params& p, const State& s, int* want, Rng& rng) {
    for (int i = 0; i < p.agents; ++i) {
      if (!moves(s, want, i)) continue;
      uint32_t rivals = 1;
      for (int j = i + 1; j < p.agents; ++j) {
        rivals += moves(s, want, j) && want[j] == want[i] ? 1U : 0U;
      }
      if (rivals == 1) continue;
      const int target = want[i];
      const uint32_t winner = rng.below(rivals);
      uint32_t seen = 0;
      for (int j = i; j < p.agents; ++j) {
        if (!moves(s, want, j) || want[j] != target) continue;
        if (seen != winner) want[j] = s.cell[j];
        ++seen;
      }
    }
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
