/// \file
/// In the matrix: agents collect resources, which are their mixed strategies, and meet to play.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/gridworld.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The rules of "in the matrix": a matrix game is played by walking. Resources lie in an arena,
/// one kind for each action of the matrix game. What an agent holds is its mixed strategy. It is
/// ready as soon as it holds anything. Two ready agents play when one of them catches the other
/// in its beam. A joint step, in this order:
///  1. Agents that are frozen do nothing, whatever their action.
///  2. Turns happen, and moves, all at once: one cell ahead, unless this leads off the grid or to
///     an agent that stays where it is. Of several that want to enter one cell one, drawn
///     uniformly, moves. Agents follow each other and swap places.
///  3. An agent takes the resource in its cell. It holds at most `capacity` of each kind; what it
///     takes beyond that is lost.
///  4. A beam covers the two cells ahead and the two to the left and right of the first of them;
///     nothing stops it. Of all pairs of ready agents who are not frozen, one of whom fires and
///     has the other in its beam, one after another is drawn uniformly and plays, as long as there
///     are any; nobody plays twice in a step. The players get x U1 y and x U2 y, where x and y are
///     the shares of the kinds in what the two hold and U1, U2 the payoffs; the agent with the
///     lower number is player 0 (who chooses the row). Both are frozen for the `freeze` steps
///     after this one.
///  5. An agent whose last frozen step this was (with `freeze = 0`: who has just played) loses
///     what it holds and is put on a cell without agents that is no place of a resource, drawn
///     uniformly, facing anywhere. When this happens to all agents at once, all resources are back.
///  6. Each missing resource comes back with probability `regrowth`, unless an agent stands there.
///
/// The 12 places of resources on 8 x 8 lie in threes near the corners, (1,1), (1,2), (2,1) and
/// their mirror images; smaller grids have those of them that are no border cells. Kinds
/// alternate in the order of STORM's list, or with `shuffle` are dealt anew each episode.
/// An episode ends at the step limit only.
///
/// With `sight` an agent sees a window that is turned so that what is in front of it is up, and
/// moved `ahead` cells to the front: sight = 2 with ahead = 2 is STORM's 5 x 5 window, with the
/// agent in the middle of the last row, and with ahead = 1 Melting Pot's. Where other agents look
/// is told relative to the own direction.
///
/// Sources: STORM, the environments InTheGrid_2p and InTheGrid of JaxMARL (Rutherford et al. 2024;
/// Khan et al., "Scaling opponent shaping to high dimensional games", 2024); Melting Pot 2 (Agapiou
/// et al. 2022), whose substrates "... in the matrix" the payoffs are from (rock-paper-scissors:
/// running with scissors; matching pennies: textbook).
/// Deviations: with two agents the rules are InTheGrid_2p's, where these are stated, except that
/// agents start and come back anywhere but on resources, facing all four ways (STORM: in the
/// corners, opposite to each other, three ways); a move waits for an agent that in turn is stopped;
/// beams end at the edges (STORM moves cells beyond them back in) and are not seen. With more
/// agents, STORM asks both to fire and lets resources come back by timers; Melting Pot as here.
/// Melting Pot has sidesteps, walls, longer beams, and resources that beams destroy.
struct InTheMatrixGame {
  static constexpr EnvFacts kFacts{
      "in_the_matrix",
      "matrix games in an arena: collect a strategy, then meet",
      "STORM in JaxMARL (2024); Melting Pot 2 (Agapiou et al. 2022)",
      Family::gridworld,
      "0 turn left, 1 turn right, 2 forward, 3 interact, 4 stay",
      "the grid (resources by kind; self, other; its direction relative to the own one; whether it "
      "is ready; frozen time) and own holdings, own direction, own frozen time, holdings of the "
      "agent last played with while frozen, whether the row player in asymmetric games",
      "size = [3, 4]\ncapacity = 1\nfreeze = 1\nsight = 1"};
  static constexpr int kMaxAgents = 8;
  static constexpr int kActions = 5;
  static constexpr int kMaxSteps = 152;
  static constexpr int kMaxSide = 8;
  static constexpr int kMaxKinds = 3;
  static constexpr int kMaxSites = 12;  ///< places of resources
  static constexpr int kMaxCapacity = 15;
  static constexpr int kMaxFreeze = 31;
  static constexpr int kChannels = kMaxKinds + 8;
  static constexpr int kMaxExtra = 2 * kMaxKinds + 6;
  static constexpr uint32_t kMaxObservations = 1U << 24;  ///< largest table index space

  struct Config {
    std::vector<int> size{8, 8};
    int players = 2;
    Choice game;
    Tensor payoffs;
    bool shuffle = false;
    int capacity = kMaxCapacity;
    int freeze = 5;
    double regrowth = 0.0;
    int ahead = 2;
  };

  static void fields(FieldVisitor& v, Config& c) {
    v("size", c.size, Bounds{3, kMaxSide}, "cells", "rows and columns of the arena");
    v("players", c.players, Bounds{2, kMaxAgents}, "", "number of agents");
    v.choice("game", c.game,
             {"prisoners_dilemma", "chicken", "stag_hunt", "matching_pennies",
              "rock_paper_scissors", "bach_or_stravinsky"},
             "the matrix game; ignored where payoffs are given");
    v("payoffs", c.payoffs, "payoff",
      "payoffs[player][action of player 0][action of player 1], or payoffs[..][..] for a game of "
      "common payoffs; 2 or 3 actions, asymmetric games for two agents only");
    v("shuffle", c.shuffle, "each episode deals the kinds of resources anew over their places");
    v("capacity", c.capacity, Bounds{1, kMaxCapacity}, "resources",
      "how many of a kind an agent can hold");
    v("freeze", c.freeze, Bounds{0, kMaxFreeze}, "joint steps",
      "how long agents that have played stand still, before they come back elsewhere");
    v("regrowth", c.regrowth, Bounds{0, 1}, "",
      "probability that a missing resource comes back in a step (Melting Pot: 0.02)");
    v("ahead", c.ahead, Bounds{0, kMaxSide - 1}, "cells",
      "how far the window of limited sight is moved to the front of the agent");
  }

  struct Params {
    uint32_t agents, rows, cols, kinds, sites;
    uint32_t capacity, freeze;
    uint32_t observations;
    int32_t ahead;
    uint64_t site_cells;  ///< bit set of cells
    double regrowth;
    double payoff[2][kMaxKinds][kMaxKinds];
    Bounds bounds;
    bool shuffle, asymmetric;
    uint8_t site[kMaxSites];  ///< its cell
  };

  /// One agent.
  struct Agent {
    uint8_t cell;
    uint8_t facing;   ///< 0 north, 1 east, 2 south, 3 west
    uint8_t frozen;   ///< steps left
    uint8_t partner;  ///< of the last game while frozen, else kNobody
    uint16_t holds;   ///< nibble k: number of resources of kind k
  };
  static constexpr uint8_t kNobody = 0xFF;

  struct State {
    Agent agents[kMaxAgents];
    uint32_t kinds;    ///< two bits a site: its kind
    uint32_t present;  ///< bit k: the resource of site k is there
  };

  /// Checks the configuration. Throws ParameterError.
  static Params make(const Config& c, Arena&) {
    Params p{};
    const auto between = [](const char* key, double value, double min, double max) {
      if (!(value >= min && value <= max)) {
        throw ParameterError(key, "is " + std::to_string(value) + ", allowed are " +
                                      std::to_string(min) + " to " + std::to_string(max));
      }
    };
    if (c.size.size() != 2) {
      throw ParameterError("size", "has " + std::to_string(c.size.size()) +
                                       " numbers, needs two: [rows, columns]");
    }
    between("size", c.size[0], 3, kMaxSide);
    between("size", c.size[1], 3, kMaxSide);
    between("players", c.players, 2, kMaxAgents);
    between("capacity", c.capacity, 1, kMaxCapacity);
    between("freeze", c.freeze, 0, kMaxFreeze);
    between("regrowth", c.regrowth, 0, 1);
    between("ahead", c.ahead, 0, kMaxSide - 1);
    p.agents = static_cast<uint32_t>(c.players);
    p.rows = static_cast<uint32_t>(c.size[0]);
    p.cols = static_cast<uint32_t>(c.size[1]);
    p.capacity = static_cast<uint32_t>(c.capacity);
    p.freeze = static_cast<uint32_t>(c.freeze);
    p.regrowth = c.regrowth;
    p.ahead = c.ahead;
    p.shuffle = c.shuffle;
    set_payoffs(p, c);
    if (p.asymmetric && p.agents > 2) {
      throw ParameterError("players", "is " + std::to_string(c.players) +
                                          ", but asymmetric payoffs are for two agents");
    }
    set_sites(p);
    if (p.sites < p.kinds) {
      throw ParameterError("size", "has places for " + std::to_string(p.sites) +
                                       " resources, the game has " + std::to_string(p.kinds) +
                                       " kinds");
    }
    if (p.rows * p.cols - p.sites < p.agents) {
      throw ParameterError("players", "is " + std::to_string(c.players) +
                                          ", but agents start off the places of resources: " +
                                          std::to_string(p.rows * p.cols - p.sites) + " cells");
    }
    p.observations = count_observations(p);
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return static_cast<int>(p.agents); }
  CUMARL_HD static int rows(const Params& p) { return static_cast<int>(p.rows); }
  CUMARL_HD static int cols(const Params& p) { return static_cast<int>(p.cols); }

  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s.kinds = dealt(p);
    if (p.shuffle) {
      for (uint32_t k = p.sites - 1; k > 0; --k) {
        const uint32_t other = rng.below(k + 1);
        const uint32_t swap = (kind(s, k) ^ kind(s, other)) * (k == other ? 0 : 1);
        s.kinds ^= swap << (2 * k) ^ swap << (2 * other);
      }
    }
    s.present = (1U << p.sites) - 1;
    uint64_t blocked = p.site_cells;
    for (int i = 0; i < kMaxAgents; ++i) s.agents[i] = {0, 0, 0, kNobody, 0};
    for (int i = 0; i < agents(p); ++i) place(p, s.agents[i], blocked, rng);
  }

  /// One joint step. Pre: 0 <= action < 5.
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    const int n = agents(p);
    uint32_t firing = 0, moving = 0, frozen = 0;  // bit i: agent i
    for (int i = 0; i < n; ++i) {
      Agent& a = s.agents[i];
      rewards[i] = 0.0F;
      if (a.frozen > 0) {
        frozen |= 1U << i;
        continue;
      }
      if (actions[i] == 0) a.facing = (a.facing + 3) & 3;
      if (actions[i] == 1) a.facing = (a.facing + 1) & 3;
      if (actions[i] == 2) moving |= 1U << i;
      if (actions[i] == 3) firing |= 1U << i;
    }
    if (moving != 0) move(p, s, moving, rng);
    for (int i = 0; i < n; ++i) collect(p, s, s.agents[i]);

    uint32_t played = 0;
    if (firing != 0) played = interact(p, s, firing, frozen, rewards, rng);

    uint32_t back = 0;
    for (int i = 0; i < n; ++i) {
      Agent& a = s.agents[i];
      if ((frozen >> i & 1) != 0) --a.frozen;
      if (((frozen | played) >> i & 1) != 0 && a.frozen == 0) back |= 1U << i;
    }
    if (back != 0) come_back(p, s, back, rng);
    if (p.regrowth > 0) regrow(p, s, rng);
    return Episode::goes_on;
  }

  /// Bounds of an agent's reward of one step.
  static Bounds reward_bounds(const Params& p) { return p.bounds; }

  CUMARL_HD static int cell_of(const Params&, const State& s, int agent) {
    return s.agents[agent].cell;
  }

  /// The window is turned with the agent, and lies `ahead` cells in front of it.
  CUMARL_HD static int look(const Params& p, const State& s, int agent, int down, int right) {
    const Agent& a = s.agents[agent];
    return cell_at(p, a.cell, a.facing, p.ahead - down, right);
  }

  /// The cell as `agent` sees it: resource of kind 0, 1, 2; self, other; whether who stands there
  /// faces the own direction, right of it, backwards, left of it; whether it is ready; how much of
  /// its frozen time is left.
  CUMARL_HD static void view(const Params& p, const State& s, int agent, int row, int col,
                             float* out) {
    const int cell = row * cols(p) + col;
    for (int k = 0; k < kChannels; ++k) out[k] = 0.0F;
    for (uint32_t k = 0; k < p.sites; ++k) {
      if (p.site[k] == cell && (s.present >> k & 1) != 0) out[kind(s, k)] = 1.0F;
    }
    float* const who = out + kMaxKinds;
    for (int i = 0; i < agents(p); ++i) {
      const Agent& a = s.agents[i];
      if (a.cell != cell) continue;
      who[i == agent ? 0 : 1] = 1.0F;
      who[2 + ((a.facing - s.agents[agent].facing) & 3)] = 1.0F;
      who[6] = a.holds != 0 ? 1.0F : 0.0F;
      who[7] = frozen_share(p, a);
    }
  }

  CUMARL_HD static int extras(const Params& p) {
    return static_cast<int>(2 * p.kinds) + 5 + (p.asymmetric ? 1 : 0);
  }

  /// What it holds of each kind, relative to `capacity`; its direction, one-hot; the share of its
  /// frozen time that is left; while frozen, what the agent it has played with holds; in
  /// asymmetric games 1 for player 0.
  CUMARL_HD static void extra(const Params& p, const State& s, int agent, float* out) {
    const Agent& a = s.agents[agent];
    const uint32_t other = a.partner == kNobody ? 0U : s.agents[a.partner].holds;
    const float most = static_cast<float>(p.capacity);
    for (uint32_t k = 0; k < p.kinds; ++k) *out++ = static_cast<float>(nibble(a.holds, k)) / most;
    for (int d = 0; d < 4; ++d) *out++ = a.facing == d ? 1.0F : 0.0F;
    *out++ = frozen_share(p, a);
    for (uint32_t k = 0; k < p.kinds; ++k) *out++ = static_cast<float>(nibble(other, k)) / most;
    if (p.asymmetric) *out = agent == 0 ? 1.0F : 0.0F;
  }

  CUMARL_HD static uint32_t observations(const Params& p) { return p.observations; }

  /// The digits, from the highest:
  ///  - in asymmetric games, whether player 0;
  ///  - own place (cell * 4 + direction) and holdings (base capacity + 1);
  ///  - 0 if not frozen, else 1 + (steps left - 1) * holdings + holdings of the partner;
  ///  - the others: place, whether ready and, with more than two agents, frozen steps left, as one
  ///    number each, sorted, so that it does not matter who is who;
  ///  - each site: 0 without a resource, else 1, or with `shuffle` 1 + kind.
  CUMARL_HD static uint32_t index(const Params& p, const State& s, int agent) {
    const int n = agents(p);
    const Agent& own = s.agents[agent];
    const uint32_t stocks = all_stocks(p);
    uint32_t index = p.asymmetric && agent == 0 ? 1 : 0;
    index = index * (p.rows * p.cols * 4) + own.cell * 4U + own.facing;
    index = index * stocks + stock(p, own);
    const uint32_t pause =
        own.frozen == 0 ? 0 : 1 + (own.frozen - 1U) * stocks + stock(p, s.agents[own.partner]);
    index = index * (1 + p.freeze * stocks) + pause;
    uint32_t others[kMaxAgents] = {};
    int count = 0;
    for (int i = 0; i < n; ++i) {
      if (i == agent) continue;
      const Agent& a = s.agents[i];
      uint32_t code = (a.cell * 4U + a.facing) * 2 + (a.holds != 0 ? 1 : 0);
      if (n > 2) code = code * (p.freeze + 1) + a.frozen;
      int at = count++;
      for (; at > 0 && others[at - 1] > code; --at) others[at] = others[at - 1];
      others[at] = code;
    }
    const uint32_t codes = other_codes(p);
    for (int i = 0; i < count; ++i) index = index * codes + others[i];
    for (uint32_t k = 0; k < p.sites; ++k) {
      const uint32_t there = s.present >> k & 1;
      index = p.shuffle ? index * (p.kinds + 1) + there * (1 + kind(s, k)) : index * 2 + there;
    }
    return index;
  }

  /// Shows the state as "agents" (row, column, direction, frozen steps left, partner or -1 each),
  /// "holds" (each agent's number of resources of each kind), "kinds" (of each site) and "present"
  /// (1 or 0 for each site), and rebuilds it from what the visitor leaves there. Throws
  /// ParameterError for a state that cannot be.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    const int n = agents(p), sites = static_cast<int>(p.sites), kinds = static_cast<int>(p.kinds);
    int64_t who[5 * kMaxAgents], holds[kMaxKinds * kMaxAgents], kind_of[kMaxSites],
        there[kMaxSites];
    for (int i = 0; i < n; ++i) {
      const Agent& a = s.agents[i];
      who[5 * i] = a.cell / static_cast<int>(p.cols);
      who[5 * i + 1] = a.cell % static_cast<int>(p.cols);
      who[5 * i + 2] = a.facing;
      who[5 * i + 3] = a.frozen;
      who[5 * i + 4] = a.partner == kNobody ? -1 : int64_t{a.partner};
      for (int k = 0; k < kinds; ++k) {
        holds[kinds * i + k] = nibble(a.holds, static_cast<uint32_t>(k));
      }
    }
    for (int k = 0; k < sites; ++k) {
      kind_of[k] = kind(s, static_cast<uint32_t>(k));
      there[k] = s.present >> k & 1;
    }
    v("agents", who, 5 * n);
    v("holds", holds, kinds * n);
    v("kinds", kind_of, sites);
    v("present", there, sites);
    s = state_of(p, who, holds, kind_of, there);
  }

  /// Agents 'A' to 'H', resources '0' to '2' by kind.
  static Glyph glyph(const Params& p, const State& s, int row, int col) {
    constexpr uint32_t kAgents[kMaxAgents] = {0xFF7F0E, 0x1F77B4, 0xEC407A, 0xFFEB3B,
                                              0x29B6F6, 0xAB47BC, 0x795548, 0xFFCDD2};
    constexpr uint32_t kKinds[kMaxKinds] = {0x2CA02C, 0xD62728, 0x17BECF};
    const int cell = row * cols(p) + col;
    for (int i = 0; i < agents(p); ++i) {
      if (s.agents[i].cell == cell) return {static_cast<char>('A' + i), kAgents[i]};
    }
    for (uint32_t k = 0; k < p.sites; ++k) {
      if (p.site[k] == cell && (s.present >> k & 1) != 0) {
        return {static_cast<char>('0' + kind(s, k)), kKinds[kind(s, k)]};
      }
    }
    return {' ', 0xFFFFFF};
  }

 private:
  CUMARL_HD static uint32_t nibble(uint32_t word, uint32_t k) { return word >> (4 * k) & 15; }
  CUMARL_HD static uint32_t kind(const State& s, uint32_t site) {
    return s.kinds >> (2 * site) & 3;
  }

  CUMARL_HD static float frozen_share(const Params& p, const Agent& a) {
    return a.frozen == 0 ? 0.0F : static_cast<float>(a.frozen) / static_cast<float>(p.freeze);
  }

  /// The cell so many steps ahead of and to the right of another; -1 off the grid.
  CUMARL_HD static int cell_at(const Params& p, int cell, int facing, int forward, int right) {
    int row = cell / cols(p), col = cell % cols(p);
    switch (facing) {
      case 0: row -= forward, col += right; break;
      case 1: row += right, col += forward; break;
      case 2: row += forward, col -= right; break;
      default: row -= right, col -= forward; break;
    }
    const bool inside = row >= 0 && row < rows(p) && col >= 0 && col < cols(p);
    return inside ? row * cols(p) + col : -1;
  }

  /// The kinds of the sites one after another, two bits each.
  CUMARL_HD static uint32_t dealt(const Params& p) {
    uint32_t kinds = 0, next = 0;
    for (uint32_t k = 0; k < p.sites; ++k) {
      kinds |= next << (2 * k);
      next = next + 1 == p.kinds ? 0 : next + 1;
    }
    return kinds;
  }

  /// Puts an agent on a cell that is not in `blocked`, and adds it there; two random words.
  CUMARL_HD static void place(const Params& p, Agent& a, uint64_t& blocked, Rng& rng) {
    const uint32_t cells = p.rows * p.cols;
    uint32_t free = 0;
    for (uint32_t c = 0; c < cells; ++c) free += (blocked >> c & 1) == 0 ? 1 : 0;
    uint32_t left = rng.below(free), cell = 0;
    for (uint32_t c = 0; c < cells; ++c) {
      if ((blocked >> c & 1) != 0) continue;
      if (left == 0) cell = c;
      --left;
    }
    blocked |= uint64_t{1} << cell;
    a = {static_cast<uint8_t>(cell), static_cast<uint8_t>(rng.below(4)), 0, kNobody, 0};
  }

  /// Moves the agents of the bit set `moving` one cell ahead, as far as they can.
  CUMARL_HD static void move(const Params& p, State& s, uint32_t moving, Rng& rng) {
    const int n = agents(p);
    int to[kMaxAgents];
    for (int i = 0; i < n; ++i) {
      to[i] = s.agents[i].cell;
      if ((moving >> i & 1) == 0) continue;
      to[i] = cell_at(p, s.agents[i].cell, s.agents[i].facing, 1, 0);
      if (to[i] < 0) moving &= ~(1U << i);
    }
    for (bool settled = false; !settled;) {  // each round stops at least one
      settled = true;
      for (int i = 0; i < n; ++i) {
        for (int j = 0; j < n; ++j) {
          const bool stays = (moving >> j & 1) == 0;
          if ((moving >> i & 1) != 0 && i != j && stays && to[i] == s.agents[j].cell) {
            moving &= ~(1U << i);
            settled = false;
          }
        }
      }
      for (int i = 0; i < n && settled; ++i) {
        uint32_t rivals = 0, count = 0;  // who wants the cell that i wants
        for (int j = 0; j < n; ++j) {
          if ((moving >> i & moving >> j & 1) == 0 || to[i] != to[j]) continue;
          rivals |= 1U << j;
          ++count;
        }
        if (count < 2) continue;
        uint32_t left = rng.below(count);
        for (int j = 0; j < n; ++j) {
          if ((rivals >> j & 1) == 0) continue;
          if (left != 0) moving &= ~(1U << j);
          --left;
        }
        settled = false;
      }
    }
    for (int i = 0; i < n; ++i) {
      if ((moving >> i & 1) != 0) s.agents[i].cell = static_cast<uint8_t>(to[i]);
    }
  }

  CUMARL_HD static void collect(const Params& p, State& s, Agent& a) {
    if ((p.site_cells >> a.cell & 1) == 0) return;
    for (uint32_t k = 0; k < p.sites; ++k) {
      if (p.site[k] != a.cell || (s.present >> k & 1) == 0) continue;
      s.present &= ~(1U << k);
      const uint32_t what = kind(s, k);
      if (nibble(a.holds, what) < p.capacity) {
        a.holds = static_cast<uint16_t>(a.holds + (1U << (4 * what)));
      }
    }
  }

  /// Whether the beam of `a` covers `cell`.
  CUMARL_HD static bool hits(const Params& p, const Agent& a, int cell) {
    return cell_at(p, a.cell, a.facing, 1, 0) == cell ||
           cell_at(p, a.cell, a.facing, 2, 0) == cell ||
           cell_at(p, a.cell, a.facing, 1, -1) == cell ||
           cell_at(p, a.cell, a.facing, 1, 1) == cell;
  }

  /// Plays all games of this step; the bit set of who has played.
  CUMARL_HD static uint32_t interact(const Params& p, State& s, uint32_t firing, uint32_t frozen,
                                     float* rewards, Rng& rng) {
    const int n = agents(p);
    uint32_t played = 0;
    for (;;) {
      uint32_t pairs = 0, first = 0, second = 0;
      for (int pass = 0; pass < 2; ++pass) {  // count the pairs, then find the one drawn
        uint32_t left = pass == 0 || pairs == 1 ? 0 : rng.below(pairs);
        for (uint32_t i = 0; i < p.agents; ++i) {
          for (uint32_t j = i + 1; j < p.agents; ++j) {
            const Agent &a = s.agents[i], &b = s.agents[j];
            if (((frozen | played) >> i & 1) != 0 || ((frozen | played) >> j & 1) != 0) continue;
            if (a.holds == 0 || b.holds == 0) continue;
            const bool meet = ((firing >> i & 1) != 0 && hits(p, a, b.cell)) ||
                              ((firing >> j & 1) != 0 && hits(p, b, a.cell));
            if (!meet) continue;
            if (pass == 0) {
              ++pairs;
              continue;
            }
            if (left == 0) first = i, second = j;
            --left;
          }
        }
        if (pairs == 0) return played;
      }
      play(p, s, first, second, rewards);
      played |= 1U << first | 1U << second;
      if (n < 4) return played;  // nobody is left to play
    }
  }

  /// The game of agents i < j.
  CUMARL_HD static void play(const Params& p, State& s, uint32_t i, uint32_t j, float* rewards) {
    Agent &a = s.agents[i], &b = s.agents[j];
    double sum[2] = {0, 0};
    uint32_t total_a = 0, total_b = 0;
    for (uint32_t k = 0; k < p.kinds; ++k) {
      total_a += nibble(a.holds, k);
      total_b += nibble(b.holds, k);
      for (uint32_t l = 0; l < p.kinds; ++l) {
        const double weight = static_cast<double>(nibble(a.holds, k) * nibble(b.holds, l));
        sum[0] += weight * p.payoff[0][k][l];
        sum[1] += weight * p.payoff[1][k][l];
      }
    }
    const double all = static_cast<double>(total_a * total_b);
    rewards[i] = static_cast<float>(clamped(p, sum[0] / all));
    rewards[j] = static_cast<float>(clamped(p, sum[1] / all));
    a.frozen = b.frozen = static_cast<uint8_t>(p.freeze);
    a.partner = static_cast<uint8_t>(j);
    b.partner = static_cast<uint8_t>(i);
  }

  /// A mean of payoffs can be off by rounding.
  CUMARL_HD static double clamped(const Params& p, double payoff) {
    const double low = payoff < p.bounds.min ? p.bounds.min : payoff;
    return low > p.bounds.max ? p.bounds.max : low;
  }

  /// Empties the agents of the bit set `back` and puts them elsewhere.
  CUMARL_HD static void come_back(const Params& p, State& s, uint32_t back, Rng& rng) {
    uint64_t blocked = p.site_cells;
    for (int i = 0; i < agents(p); ++i) {
      if ((back >> i & 1) == 0) blocked |= uint64_t{1} << s.agents[i].cell;
    }
    for (int i = 0; i < agents(p); ++i) {
      if ((back >> i & 1) != 0) place(p, s.agents[i], blocked, rng);
    }
    if (back == (1U << p.agents) - 1) s.present = (1U << p.sites) - 1;
  }

  CUMARL_HD static void regrow(const Params& p, State& s, Rng& rng) {
    uint64_t standing = 0;
    for (int i = 0; i < agents(p); ++i) standing |= uint64_t{1} << s.agents[i].cell;
    for (uint32_t k = 0; k < p.sites; ++k) {
      if ((s.present >> k & 1) != 0 || (standing >> p.site[k] & 1) != 0) continue;
      if (unit_double(rng.word()) < p.regrowth) s.present |= 1U << k;
    }
  }

  /// Holdings as one number, and how many there are.
  CUMARL_HD static uint32_t stock(const Params& p, const Agent& a) {
    uint32_t code = 0;
    for (uint32_t k = 0; k < p.kinds; ++k) code = code * (p.capacity + 1) + nibble(a.holds, k);
    return code;
  }
  CUMARL_HD static uint32_t all_stocks(const Params& p) {
    uint32_t count = 1;
    for (uint32_t k = 0; k < p.kinds; ++k) count *= p.capacity + 1;
    return count;
  }
  CUMARL_HD static uint32_t other_codes(const Params& p) {
    return p.rows * p.cols * 8 * (p.agents > 2 ? p.freeze + 1 : 1);
  }

  /// The number of table indices, 0 where it would exceed kMaxObservations.
  static uint32_t count_observations(const Params& p) {
    uint64_t count = p.asymmetric ? 2 : 1;
    const auto times = [&](uint64_t factor) {
      count = count > kMaxObservations ? count : count * factor;
    };
    times(p.rows * p.cols * 4);
    times(all_stocks(p));
    times(1 + p.freeze * all_stocks(p));
    for (uint32_t i = 1; i < p.agents; ++i) times(other_codes(p));
    for (uint32_t k = 0; k < p.sites; ++k) times(p.shuffle ? p.kinds + 1 : 2);
    return count > kMaxObservations ? 0 : static_cast<uint32_t>(count);
  }

  static void set_payoffs(Params& p, const Config& c) {
    struct Named {
      int actions;
      std::vector<double> first, second;
    };
    static const Named kNamed[] = {
        {2, {3, 0, 5, 1}, {3, 5, 0, 1}},      // C, D
        {2, {3, 2, 5, 0}, {3, 5, 2, 0}},      // dove, hawk
        {2, {4, 0, 2, 2}, {4, 2, 0, 2}},      // stag, hare
        {2, {1, -1, -1, 1}, {-1, 1, 1, -1}},  // heads, tails
        {3, {0, -10, 10, 10, 0, -10, -10, 10, 0}, {0, 10, -10, -10, 0, 10, 10, -10, 0}},
        {2, {3, 0, 0, 2}, {2, 0, 0, 3}},  // Bach, Stravinsky
    };
    Tensor t = c.payoffs;
    if (t.empty()) {
      if (c.game < 0 || c.game > 5) throw ParameterError("game", "there is no such game");
      const Named& game = kNamed[c.game.value];
      t.shape = {2, game.actions, game.actions};
      t.values = game.first;
      t.values.insert(t.values.end(), game.second.begin(), game.second.end());
    } else if (t.shape.size() == 2) {
      t.shape.insert(t.shape.begin(), 2);
      t.values.insert(t.values.end(), c.payoffs.values.begin(), c.payoffs.values.end());
    }
    const bool square = t.shape.size() == 3 && t.shape[0] == 2 && t.shape[1] == t.shape[2];
    if (!square || t.shape[1] < 2 || t.shape[1] > kMaxKinds) {
      throw ParameterError("payoffs",
                           "must be a table for each of two players with 2 or 3 actions each: "
                           "[[[3,0],[5,1]], [[3,5],[0,1]]]");
    }
    p.kinds = static_cast<uint32_t>(t.shape[1]);
    p.bounds = {0, 0};
    const size_t k = p.kinds;
    for (size_t player = 0; player < 2; ++player) {
      for (size_t i = 0; i < k * k; ++i) {
        const double u = t.values[player * k * k + i];
        if (!(u >= -1e6 && u <= 1e6)) {
          throw ParameterError("payoffs", "must be between -1e6 and 1e6");
        }
        // As the floats that are paid.
        const double paid = static_cast<double>(static_cast<float>(u));
        p.payoff[player][i / k][i % k] = paid;
        p.bounds = {paid < p.bounds.min ? paid : p.bounds.min,
                    paid > p.bounds.max ? paid : p.bounds.max};
      }
    }
    p.asymmetric = false;
    for (size_t i = 0; i < k; ++i) {
      for (size_t j = 0; j < k; ++j) {
        p.asymmetric = p.asymmetric || p.payoff[0][i][j] != p.payoff[1][j][i];
      }
    }
  }

  /// STORM's list of places, mirrored into the corners.
  static void set_sites(Params& p) {
    const uint32_t south = p.rows - 1, east = p.cols - 1;
    const uint32_t list[kMaxSites][2] = {{1, 1},
                                         {1, 2},
                                         {2, 1},
                                         {1, east - 1},
                                         {2, east - 1},
                                         {1, east - 2},
                                         {south - 1, 2},
                                         {south - 2, 1},
                                         {south - 1, 1},
                                         {south - 1, east - 1},
                                         {south - 1, east - 2},
                                         {south - 2, east - 1}};
    p.sites = 0;
    p.site_cells = 0;
    for (const auto& at : list) {
      const uint64_t bit = uint64_t{1} << (at[0] * p.cols + at[1]);
      const bool inner = at[0] > 0 && at[0] < south && at[1] > 0 && at[1] < east;
      if (!inner || (p.site_cells & bit) != 0) continue;
      p.site_cells |= bit;
      p.site[p.sites++] = static_cast<uint8_t>(at[0] * p.cols + at[1]);
    }
  }

  static State state_of(const Params& p, const int64_t* who, const int64_t* holds,
                        const int64_t* kind_of, const int64_t* there) {
    const auto expect = [](bool ok, const char* key, const char* why) {
      if (!ok) throw ParameterError(key, why);
    };
    const auto inside = [](int64_t value, int64_t min, int64_t end) {
      return value >= min && value < end;
    };
    const int n = agents(p);
    State s{};
    for (Agent& a : s.agents) a = {0, 0, 0, kNobody, 0};
    uint64_t standing = 0;
    for (int i = 0; i < n; ++i) {
      const int64_t* at = who + 5 * i;
      Agent& a = s.agents[i];
      expect(inside(at[0], 0, p.rows) && inside(at[1], 0, p.cols), "agents",
             "an agent is off the grid");
      expect(inside(at[2], 0, 4), "agents", "a direction is none of 0 to 3");
      expect(inside(at[3], 0, int64_t{p.freeze} + 1), "agents",
             "an agent is frozen for more than `freeze` steps");
      expect(at[3] == 0 ? at[4] == -1 : inside(at[4], 0, n) && at[4] != i, "agents",
             "frozen agents, and no others, have a partner");
      const int64_t cell = at[0] * int64_t{p.cols} + at[1];
      expect((standing >> cell & 1) == 0, "agents", "two agents are in one cell");
      standing |= uint64_t{1} << cell;
      a.cell = static_cast<uint8_t>(cell);
      a.facing = static_cast<uint8_t>(at[2]);
      a.frozen = static_cast<uint8_t>(at[3]);
      a.partner = at[4] == -1 ? kNobody : static_cast<uint8_t>(at[4]);
      for (uint32_t k = 0; k < p.kinds; ++k) {
        const int64_t held = holds[static_cast<uint32_t>(i) * p.kinds + k];
        expect(inside(held, 0, int64_t{p.capacity} + 1), "holds", "is outside of 0 to capacity");
        a.holds = static_cast<uint16_t>(a.holds | held << (4 * k));
      }
      expect(a.frozen == 0 || a.holds != 0, "holds", "a frozen agent has played, so it holds some");
    }
    for (int i = 0; i < n; ++i) {
      const Agent& a = s.agents[i];
      if (a.partner == kNobody) continue;
      const Agent& b = s.agents[a.partner];
      expect(b.partner == i && b.frozen == a.frozen, "agents",
             "partners are frozen together, for the same time");
    }
    uint32_t count[kMaxKinds] = {};
    for (uint32_t k = 0; k < p.sites; ++k) {
      expect(inside(kind_of[k], 0, p.kinds), "kinds", "there is no such kind");
      expect(inside(there[k], 0, 2), "present", "is neither 0 nor 1");
      expect(there[k] == 0 || (standing >> p.site[k] & 1) == 0, "present",
             "a resource lies under an agent");
      s.kinds |= static_cast<uint32_t>(kind_of[k]) << (2 * k);
      s.present |= static_cast<uint32_t>(there[k]) << k;
      ++count[kind_of[k]];
    }
    for (uint32_t k = 0; k < p.kinds; ++k) {
      const uint32_t due = (p.sites + p.kinds - 1 - k) / p.kinds;
      expect(count[k] == due, "kinds", "not as many of a kind as are dealt");
    }
    expect(p.shuffle || s.kinds == dealt(p), "kinds", "are dealt in one way without shuffle");
    return s;
  }
};

using InTheMatrix = Gridworld<InTheMatrixGame>;

}  // namespace cumarl::inline CUMARL_VARIANT
