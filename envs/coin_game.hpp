/// \file
/// The coin game: collect coins on a torus, those of the other colour at the other's expense.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "envs/gridworld.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The rules of the coin game: two agents, red (0) and blue (1), on a grid whose opposite edges
/// join, and coins in their colours. A joint step:
///  1. Both agents move one cell or stay. They may share a cell and pass each other.
///  2. Whoever is on a coin's cell takes it and gets `coin_reward`, of whichever colour it is; if
///     both are, both get it. For a coin that the agent of the other colour has taken, its owner
///     gets `theft_reward`.
///  3. Coins that were taken are replaced, see `coins`, each on a cell drawn uniformly from those
///     without an agent and without a coin.
/// An episode begins with the agents on two different cells, uniformly, and coins as in 3. It
/// ends at the step limit only.
///
/// `coins`: "alternate": one coin at a time, in the other colour than the one before, the first
/// in either with equal chance; "random": one at a time, in either colour with equal chance;
/// "both": always one of each colour.
///
/// Sources: Lerer and Peysakhovich, "Maintaining cooperation in complex social dilemmas using deep
/// reinforcement learning", 2017 (the game); Foerster et al., "Learning with opponent-learning
/// awareness", AAMAS 2018, and its package lola_dice (3 x 3, "alternate"); JaxMARL ("both").
/// Deviations: "stay" is always among the actions (the LOLA package has the four moves only).
/// Coins keep off agents and each other as in the LOLA package, also with "both", where JaxMARL
/// draws all four places independently.
struct CoinGameRules {
  static constexpr EnvFacts kFacts{
      "coin_game",
      "coin game: every coin pays, one of the other's colour costs the other",
      "Lerer and Peysakhovich 2017; LOLA's 3x3 torus (Foerster et al. 2018); JaxMARL",
      Family::gridworld,
      "0 east, 1 west, 2 south, 3 north, 4 stay (row 0 is north; edges join)",
      "the grid (self, other, coin of the own colour, coin of the other's colour)",
      "size = [3, 3]"};
  static constexpr int kMaxAgents = 2;
  static constexpr int kActions = 5;
  static constexpr int kMaxSteps = 150;
  static constexpr int kMaxSide = 8;
  static constexpr int kChannels = 4;
  static constexpr int kMaxExtra = 0;

  enum Coins { kAlternate, kRandom, kBoth };

  struct Config {
    std::vector<int> size{3, 3};
    Choice coins{kAlternate};
    double coin_reward = 1.0;
    double theft_reward = -2.0;
  };

  static void fields(FieldVisitor& v, Config& c) {
    v("size", c.size, Bounds{2, kMaxSide}, "cells", "rows and columns of the grid");
    v.choice("coins", c.coins, {"alternate", "random", "both"},
             "one coin at a time, in alternating or random colours, or always one of each colour");
    v("coin_reward", c.coin_reward, Bounds{-1e6, 1e6}, "reward", "for taking a coin");
    v("theft_reward", c.theft_reward, Bounds{-1e6, 1e6}, "reward",
      "to the owner of a coin that the other agent takes");
  }

  struct Params {
    uint32_t rows, cols, cells;
    uint32_t coins;  ///< Coins
    float coin_reward, theft_reward;
  };

  /// Checks the configuration. Throws ParameterError.
  static Params make(const Config& c, Arena&) {
    if (c.size.size() != 2) {
      throw ParameterError("size", "has " + std::to_string(c.size.size()) +
                                       " numbers, needs two: [rows, columns]");
    }
    const auto between = [](const char* key, double value, double min, double max) {
      if (!(value >= min && value <= max)) {
        throw ParameterError(key, "is " + std::to_string(value) + ", allowed are " +
                                      std::to_string(min) + " to " + std::to_string(max));
      }
    };
    between("size", c.size[0], 2, kMaxSide);
    between("size", c.size[1], 2, kMaxSide);
    between("coins", c.coins, kAlternate, kBoth);
    between("coin_reward", c.coin_reward, -1e6, 1e6);
    between("theft_reward", c.theft_reward, -1e6, 1e6);
    Params p{};
    p.rows = static_cast<uint32_t>(c.size[0]);
    p.cols = static_cast<uint32_t>(c.size[1]);
    p.cells = p.rows * p.cols;
    p.coins = static_cast<uint32_t>(c.coins.value);
    p.coin_reward = static_cast<float>(c.coin_reward);
    p.theft_reward = static_cast<float>(c.theft_reward);
    if (p.coins == kBoth && p.cells < 5) {
      throw ParameterError("size", "is 2x2: two agents and two coins leave no cell to draw from");
    }
    return p;
  }

  /// Cells; a coin that is not there is at kNowhere.
  struct State {
    uint8_t agents[kMaxAgents];
    uint8_t coins[kMaxAgents];  ///< by colour
  };
  static constexpr uint8_t kNowhere = 0xFF;

  CUMARL_HD static int agents(const Params&) { return kMaxAgents; }
  CUMARL_HD static int rows(const Params& p) { return static_cast<int>(p.rows); }
  CUMARL_HD static int cols(const Params& p) { return static_cast<int>(p.cols); }

  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    const uint32_t first = rng.below(p.cells), second = rng.below(p.cells - 1);
    s.agents[0] = static_cast<uint8_t>(first);
    s.agents[1] = static_cast<uint8_t>(second + (second >= first ? 1 : 0));
    s.coins[0] = s.coins[1] = kNowhere;
    if (p.coins == kBoth) {
      s.coins[0] = free_cell(p, s, rng);
      s.coins[1] = free_cell(p, s, rng);
    } else {
      const uint32_t colour = rng.below(2);
      s.coins[colour] = free_cell(p, s, rng);
    }
  }

  /// One joint step. Pre: 0 <= action < 5.
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    for (int i = 0; i < kMaxAgents; ++i) {
      s.agents[i] = static_cast<uint8_t>(neighbour(p, s.agents[i], actions[i]));
      rewards[i] = 0.0F;
    }
    bool taken[kMaxAgents];
    for (int colour = 0; colour < kMaxAgents; ++colour) {
      const bool owner = s.agents[colour] == s.coins[colour];
      const bool thief = s.agents[1 - colour] == s.coins[colour];
      if (owner) rewards[colour] += p.coin_reward;
      if (thief) {
        rewards[1 - colour] += p.coin_reward;
        rewards[colour] += p.theft_reward;
      }
      taken[colour] = owner || thief;
    }
    if (!taken[0] && !taken[1]) return Episode::goes_on;
    for (int colour = 0; colour < kMaxAgents; ++colour) {
      if (taken[colour]) s.coins[colour] = kNowhere;
    }
    if (p.coins == kBoth) {
      for (int colour = 0; colour < kMaxAgents; ++colour) {
        if (taken[colour]) s.coins[colour] = free_cell(p, s, rng);
      }
    } else {
      const uint32_t next = p.coins == kRandom ? rng.below(2) : (taken[0] ? 1 : 0);
      s.coins[next] = free_cell(p, s, rng);
    }
    return Episode::goes_on;
  }

  /// Bounds of an agent's reward of one step: it takes a coin or not (no two coins share a cell),
  /// and is robbed or not.
  static Bounds reward_bounds(const Params& p) {
    const float all[3] = {p.coin_reward, p.theft_reward, p.coin_reward + p.theft_reward};
    float low = 0, high = 0;
    for (const float reward : all) {
      low = reward < low ? reward : low;
      high = reward > high ? reward : high;
    }
    return {static_cast<double>(low), static_cast<double>(high)};
  }

  CUMARL_HD static int cell_of(const Params&, const State& s, int agent) { return s.agents[agent]; }

  /// The window goes on across the edges.
  CUMARL_HD static int look(const Params& p, const State& s, int agent, int down, int right) {
    const int height = rows(p), width = cols(p);
    const int row = (s.agents[agent] / width + down) % height;
    const int col = (s.agents[agent] % width + right) % width;
    return (row < 0 ? row + height : row) * width + (col < 0 ? col + width : col);
  }

  /// The cell as `agent` sees it: self, other, coin of its colour, coin of the other's colour.
  CUMARL_HD static void view(const Params& p, const State& s, int agent, int row, int col,
                             float* out) {
    const int cell = row * cols(p) + col, other = 1 - agent;
    out[0] = s.agents[agent] == cell ? 1.0F : 0.0F;
    out[1] = s.agents[other] == cell ? 1.0F : 0.0F;
    out[2] = s.coins[agent] == cell ? 1.0F : 0.0F;
    out[3] = s.coins[other] == cell ? 1.0F : 0.0F;
  }

  CUMARL_HD static int extras(const Params&) { return 0; }
  CUMARL_HD static void extra(const Params&, const State&, int, float*) {}

  /// Number of table indices: 2 cells^3 with one coin, cells^4 with two; at most 2^24.
  CUMARL_HD static uint32_t observations(const Params& p) {
    return p.cells * p.cells * p.cells * (p.coins == kBoth ? p.cells : 2);
  }

  /// The digits self, other, then the coins: with one its cell and whether it is the other's, with
  /// two the cell of the own and that of the other's.
  CUMARL_HD static uint32_t index(const Params& p, const State& s, int agent) {
    const int other = 1 - agent;
    const uint32_t both = s.agents[agent] * p.cells + s.agents[other];
    if (p.coins == kBoth) {
      return (both * p.cells + s.coins[agent]) * p.cells + s.coins[other];
    }
    const bool own = s.coins[agent] != kNowhere;
    return (both * p.cells + s.coins[own ? agent : other]) * 2 + (own ? 0 : 1);
  }

  /// Shows the state as "agents" and "coins" (row, column of the red and of the blue one; -1, -1
  /// for a coin that is not there) and rebuilds it from what the visitor leaves there. Throws
  /// ParameterError for places off the grid, coins on agents or on each other, and the wrong
  /// number of coins.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    const int64_t height = p.rows, width = p.cols;
    int64_t agents[2 * kMaxAgents], coins[2 * kMaxAgents];
    for (int i = 0; i < kMaxAgents; ++i) {
      agents[2 * i] = s.agents[i] / width;
      agents[2 * i + 1] = s.agents[i] % width;
      coins[2 * i] = s.coins[i] == kNowhere ? -1 : s.coins[i] / width;
      coins[2 * i + 1] = s.coins[i] == kNowhere ? -1 : s.coins[i] % width;
    }
    v("agents", agents, 2 * kMaxAgents);
    v("coins", coins, 2 * kMaxAgents);
    const auto cell = [&](const char* key, const int64_t* at) {
      if (at[0] < 0 || at[0] >= height || at[1] < 0 || at[1] >= width) {
        throw ParameterError(key, "a place is off the grid");
      }
      return static_cast<uint8_t>(at[0] * width + at[1]);
    };
    State next{};
    uint32_t there = 0;
    for (int i = 0; i < kMaxAgents; ++i) next.agents[i] = cell("agents", agents + 2 * i);
    for (int i = 0; i < kMaxAgents; ++i) {
      next.coins[i] = kNowhere;
      if (coins[2 * i] == -1 && coins[2 * i + 1] == -1) continue;
      const uint8_t at = cell("coins", coins + 2 * i);
      if (at == next.agents[0] || at == next.agents[1]) {
        throw ParameterError("coins", "a coin lies under an agent");
      }
      if (i == 1 && at == next.coins[0]) throw ParameterError("coins", "both are in one cell");
      next.coins[i] = at;
      ++there;
    }
    if (there != (p.coins == kBoth ? 2U : 1U)) {
      throw ParameterError("coins", p.coins == kBoth ? "one is missing" : "exactly one is there");
    }
    s = next;
  }

  /// Agents 'A' (red) and 'B' (blue), their coins 'a' and 'b'; 'X' where both agents stand.
  static Glyph glyph(const Params& p, const State& s, int row, int col) {
    constexpr uint32_t kRed = 0xD62728, kBlue = 0x1F77B4, kMixed = 0x9467BD;
    const int cell = row * cols(p) + col;
    if (s.agents[0] == cell) return s.agents[1] == cell ? Glyph{'X', kMixed} : Glyph{'A', kRed};
    if (s.agents[1] == cell) return {'B', kBlue};
    if (s.coins[0] == cell) return {'a', kRed};
    if (s.coins[1] == cell) return {'b', kBlue};
    return {' ', 0xFFFFFF};
  }

 private:
  CUMARL_HD static uint32_t neighbour(const Params& p, uint32_t cell, int action) {
    const uint32_t row = cell / p.cols, col = cell - row * p.cols;
    switch (action) {
      case 0: return col + 1 == p.cols ? cell + 1 - p.cols : cell + 1;
      case 1: return col == 0 ? cell + p.cols - 1 : cell - 1;
      case 2: return row + 1 == p.rows ? col : cell + p.cols;
      case 3: return row == 0 ? cell + p.cells - p.cols : cell - p.cols;
      default: return cell;
    }
  }

  /// A cell without agents and coins, uniformly; one random word.
  CUMARL_HD static uint8_t free_cell(const Params& p, const State& s, Rng& rng) {
    uint64_t taken = uint64_t{1} << s.agents[0] | uint64_t{1} << s.agents[1];
    for (int k = 0; k < kMaxAgents; ++k) {
      if (s.coins[k] != kNowhere) taken |= uint64_t{1} << s.coins[k];
    }
    uint32_t free = 0;
    for (uint32_t c = 0; c < p.cells; ++c) free += (taken >> c & 1) == 0 ? 1 : 0;
    uint32_t left = rng.below(free), cell = 0;
    for (uint32_t c = 0; c < p.cells; ++c) {
      if ((taken >> c & 1) != 0) continue;
      if (left == 0) cell = c;
      --left;
    }
    return static_cast<uint8_t>(cell);
  }
};

using CoinGame = Gridworld<CoinGameRules>;

}  // namespace cumarl::inline CUMARL_VARIANT
