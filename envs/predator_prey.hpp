/// \file
/// Predator-prey: hunters must stand beside a fleeing prey together; a lone one pays.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/gridworld.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The rules of "PredatorPrey" of the Python package ma-gym (commit 01f6a86 of koulanurag/ma-gym),
/// the pursuit with a penalty for lone captures.
///
/// A joint step, in this order:
///  1. Every agent pays step_cost.
///  2. The hunters move one after another, in agent order, each into its cell if that lies on the
///     grid and is free: no hunter and no prey is in it at that moment. So a hunter can follow one
///     that moved before it, but two never swap.
///  3. Each prey left, one after another: h hunters stand beside it (north, south, west, east).
///     If h >= needed it is caught and gone, and every agent gets `capture`, those far away too.
///     If 0 < h < needed, every agent pays lone_penalty, in each step in which that is so.
///     A prey not caught draws its move, up to five times: stay with prey_stay, each direction
///     with a quarter of the rest. The first draw whose cell (also one off the grid, or occupied)
///     has no hunter beside it counts, and after five others it stays. It stays too where the
///     cell is off the grid or not free. So a prey does not walk up to a hunter, but one beside a
///     hunter cannot choose to stay, and flees if it can.
///  4. The episode ends when no prey is left.
///
/// At reset hunters, then prey stand on distinct cells, each drawn uniformly until it is free and,
/// for prey, has no hunter beside it (after 1,000 draws: the first free cell). The package draws
/// rows and columns from 0 to size - 2, as an upper bound is exclusive there, and so leaves out the
/// last row and column; `start_anywhere` draws from the whole grid.
///
/// Deviations: agents see each other (in the package the prey only, and how many steps were made);
/// hunters who stand where a prey was caught stay visible (the package clears that cell's entry in
/// each step); the step limit is Episode::cut (the package has one flag for both); `needed` is 2
/// there. Actions are in this library's order (there 0 down, 1 left, 2 up, 3 right, 4 none).
/// Source: the package above, read and rewritten; the task is from Koul 2019.
struct PredatorPreyGame {
  static constexpr EnvFacts kFacts{
      "predator_prey",
      "predator-prey with a penalty for lone captures",
      "ma-gym PredatorPrey (Koul 2019)",
      Family::gridworld,
      "0 none, 1 north, 2 south, 3 west, 4 east (row 0 is north)",
      "self, other hunters, prey by cell; own row and column (see envs/gridworld.hpp)",
      "size = [3, 3]\nstart_anywhere = true"};
  static constexpr int kMaxAgents = 8;
  static constexpr int kMaxPrey = 4;
  static constexpr int kMaxSide = 15;
  static constexpr int kActions = 5;
  static constexpr int kMaxSteps = 100;
  static constexpr int kChannels = 3;  ///< self, another hunter, a prey
  static constexpr int kMaxExtra = 0;

  struct Config {
    std::vector<int> size{5, 5};
    int hunters = 2;
    int prey = 1;
    int needed = 2;
    double capture = 5;
    double lone_penalty = 0.5;
    double step_cost = 0.01;
    double prey_stay = 0.3;
    bool start_anywhere = false;
  };

  static void fields(FieldVisitor& v, Config& c) {
    v("size", c.size, Bounds{2, kMaxSide}, "cells", "rows and columns of the grid");
    v("hunters", c.hunters, Bounds{1, kMaxAgents}, "", "number of agents");
    v("prey", c.prey, Bounds{1, kMaxPrey}, "", "number of prey");
    v("needed", c.needed, Bounds{1, 4}, "", "hunters beside a prey that catch it");
    v("capture", c.capture, Bounds{-1e6, 1e6}, "reward", "what each agent gets for a prey caught");
    v("lone_penalty", c.lone_penalty, Bounds{-1e6, 1e6}, "reward",
      "what each agent pays in a step with too few hunters beside a prey");
    v("step_cost", c.step_cost, Bounds{-1e6, 1e6}, "reward", "what each agent pays in each step");
    v("prey_stay", c.prey_stay, Bounds{0, 1}, "",
      "chance that a prey draws to stay; the four directions share the rest");
    v("start_anywhere", c.start_anywhere,
      "episodes begin on the whole grid; else the last row and column stay free, as in the "
      "package");
  }

  struct Params {
    int32_t rows, cols, hunters, prey, needed;
    int32_t start_rows, start_cols;  ///< where episodes begin
    float capture, lone_penalty, step_cost;
    uint64_t stay;  ///< prey_stay * 2^32
    CellSets sets;
    uint32_t prey_sets;  ///< sets of at most `prey` cells
    uint32_t observations;
  };

  /// A cell is the byte row * 16 + column.
  struct State {
    uint64_t hunters;  ///< byte i: cell of hunter i
    uint32_t prey;     ///< byte k: cell of prey k, or kGone
  };

  /// Checks the configuration. Throws ParameterError.
  static Params make(const Config& c, Arena& arena) {
    const auto between = [](const char* key, double value, double min, double max) {
      if (value >= min && value <= max) return;
      throw ParameterError(key,
                           "is " + text(value) + ", allowed are " + text(min) + " to " + text(max));
    };
    if (c.size.size() != 2) {
      throw ParameterError("size", "has " + std::to_string(c.size.size()) +
                                       " numbers, needs two: [rows, columns]");
    }
    for (const int side : c.size) between("size", side, 2, kMaxSide);
    between("hunters", c.hunters, 1, kMaxAgents);
    between("prey", c.prey, 1, kMaxPrey);
    between("needed", c.needed, 1, std::min(4, c.hunters));
    between("capture", c.capture, -1e6, 1e6);
    between("lone_penalty", c.lone_penalty, -1e6, 1e6);
    between("step_cost", c.step_cost, -1e6, 1e6);
    between("prey_stay", c.prey_stay, 0, 1);
    Params p{};
    p.rows = c.size[0];
    p.cols = c.size[1];
    p.hunters = c.hunters;
    p.prey = c.prey;
    p.needed = c.needed;
    p.start_rows = c.start_anywhere ? p.rows : p.rows - 1;
    p.start_cols = c.start_anywhere ? p.cols : p.cols - 1;
    const int room = p.start_rows * p.start_cols;
    if (c.hunters + c.prey > room) {
      throw ParameterError("size", "has " + std::to_string(room) +
                                       " cells to begin on, too few for " +
                                       std::to_string(c.hunters) + " hunters and " +
                                       std::to_string(c.prey) + " prey");
    }
    p.capture = static_cast<float>(c.capture);
    p.lone_penalty = static_cast<float>(c.lone_penalty);
    p.step_cost = static_cast<float>(c.step_cost);
    p.stay = static_cast<uint64_t>(std::llround(c.prey_stay * 4294967296.0));

    const int cells = p.rows * p.cols;
    p.sets = CellSets::make(cells, std::max(p.hunters - 1, p.prey), arena);
    uint64_t prey_sets = 0;
    for (int k = 0; k <= p.prey; ++k) prey_sets += CellSets::count(cells, k);
    uint64_t count = static_cast<uint64_t>(cells) * CellSets::count(cells, p.hunters - 1);
    if (count < CellSets::kTooMany) count *= prey_sets;
    p.prey_sets = static_cast<uint32_t>(prey_sets);
    p.observations = count < CellSets::kTooMany ? static_cast<uint32_t>(count) : 0;
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.hunters; }
  CUMARL_HD static int rows(const Params& p) { return p.rows; }
  CUMARL_HD static int cols(const Params& p) { return p.cols; }

  /// The lowest and highest sum of what a step can pay, added up as step() does.
  static Bounds reward_bounds(const Params& p) {
    float low = 0.0F - p.step_cost, high = low;
    for (int k = 0; k < p.prey; ++k) {
      low += std::min({0.0F, p.capture, 0.0F - p.lone_penalty});
      high += std::max({0.0F, p.capture, 0.0F - p.lone_penalty});
    }
    return {static_cast<double>(low), static_cast<double>(high)};
  }

  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s.hunters = ~uint64_t{0};
    s.prey = ~uint32_t{0};
    for (int i = 0; i < p.hunters; ++i) {
      s.hunters = with(s.hunters, i, start_cell(p, s, rng, false));
    }
    for (int k = 0; k < p.prey; ++k) {
      s.prey = static_cast<uint32_t>(with(s.prey, k, start_cell(p, s, rng, true)));
    }
  }

  /// One joint step; one random word a draw of a prey.
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    for (int i = 0; i < p.hunters; ++i) {
      const uint32_t to = moved(cell(s.hunters, i), actions[i]);
      if (inside(p, to) && vacant(s, to)) s.hunters = with(s.hunters, i, to);
    }
    float paid = 0.0F - p.step_cost;
    for (int k = 0; k < p.prey; ++k) {
      const uint32_t at = cell(s.prey, k);
      if (at == kGone) continue;
      const int beside = hunters_beside(p, s, at);
      if (beside >= p.needed) {
        paid += p.capture;
        s.prey = static_cast<uint32_t>(with(s.prey, k, kGone));
        continue;
      }
      if (beside > 0) paid -= p.lone_penalty;
      for (int tries = 0; tries < 5; ++tries) {
        const uint32_t to = moved(at, prey_move(p, rng.word()));
        if (!inside(p, to)) break;
        if (hunters_beside(p, s, to) > 0) continue;
        if (vacant(s, to)) s.prey = static_cast<uint32_t>(with(s.prey, k, to));
        break;
      }
    }
    for (int i = 0; i < p.hunters; ++i) rewards[i] = paid;
    return s.prey == ~uint32_t{0} ? Episode::ended : Episode::goes_on;
  }

  CUMARL_HD static int cell_of(const Params& p, const State& s, int agent) {
    return number(p, cell(s.hunters, agent));
  }

  CUMARL_HD static void view(const Params& p, const State& s, int agent, int row, int col,
                             float* out) {
    const auto here = static_cast<uint32_t>(row * 16 + col);
    out[0] = cell(s.hunters, agent) == here ? 1.0F : 0.0F;
    out[1] = 0.0F;
    out[2] = 0.0F;
    for (int i = 0; i < p.hunters; ++i) {
      if (i != agent && cell(s.hunters, i) == here) out[1] = 1.0F;
    }
    for (int k = 0; k < p.prey; ++k) {
      if (cell(s.prey, k) == here) out[2] = 1.0F;
    }
  }

  CUMARL_HD static int extras(const Params&) { return 0; }
  CUMARL_HD static void extra(const Params&, const State&, int, float*) {}

  CUMARL_HD static uint32_t observations(const Params& p) { return p.observations; }

  /// (own cell * sets of the other hunters + their set) * sets of prey + the set of the prey left;
  /// smaller sets of prey come first.
  CUMARL_HD static uint32_t index(const Params& p, const State& s, int agent) {
    const auto own = static_cast<uint32_t>(cell_of(p, s, agent));
    uint32_t index = own * p.sets.choose(p.sets.cells, p.hunters - 1);
    for (int i = 0; i < p.hunters; ++i) {
      if (i == agent) continue;
      int place = 1;
      for (int j = 0; j < p.hunters; ++j) {
        if (j != agent && cell(s.hunters, j) < cell(s.hunters, i)) ++place;
      }
      index += p.sets.choose(number(p, cell(s.hunters, i)), place);
    }
    index *= p.prey_sets;
    int left = 0;
    for (int k = 0; k < p.prey; ++k) {
      if (cell(s.prey, k) == kGone) continue;
      index += p.sets.choose(p.sets.cells, left);  // the sets of fewer prey
      ++left;
      int place = 1;
      for (int j = 0; j < p.prey; ++j) place += cell(s.prey, j) < cell(s.prey, k) ? 1 : 0;
      index += p.sets.choose(number(p, cell(s.prey, k)), place);
    }
    return index;
  }

  /// Shows "hunters" and "prey" (row, column each; -1, -1 for a prey that was caught).
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t hunters[2 * kMaxAgents] = {}, prey[2 * kMaxPrey] = {};
    show(s.hunters, p.hunters, hunters);
    show(s.prey, p.prey, prey);
    v("hunters", hunters, 2 * p.hunters);
    v("prey", prey, 2 * p.prey);
    State fresh{~uint64_t{0}, ~uint32_t{0}};
    const auto placed = [&](const char* key, const int64_t* at) {
      if (at[0] < 0 || at[0] >= p.rows || at[1] < 0 || at[1] >= p.cols) {
        throw ParameterError(key, "a cell is off the grid");
      }
      const auto c = static_cast<uint32_t>(at[0] * 16 + at[1]);
      if (!vacant(fresh, c)) throw ParameterError(key, "two stand in one cell");
      return c;
    };
    for (int i = 0; i < p.hunters; ++i) {
      fresh.hunters = with(fresh.hunters, i, placed("hunters", hunters + 2 * i));
    }
    for (int k = 0; k < p.prey; ++k) {
      if (prey[2 * k] == -1 && prey[2 * k + 1] == -1) continue;
      fresh.prey = static_cast<uint32_t>(with(fresh.prey, k, placed("prey", prey + 2 * k)));
    }
    s = fresh;
  }

  static Glyph glyph(const Params& p, const State& s, int row, int col) {
    const auto here = static_cast<uint32_t>(row * 16 + col);
    for (int i = 0; i < p.hunters; ++i) {
      if (cell(s.hunters, i) == here) return {static_cast<char>('A' + i), 0x1F77B4};
    }
    for (int k = 0; k < p.prey; ++k) {
      if (cell(s.prey, k) == here) return {'p', 0xD62728};
    }
    return {' ', 0xFFFFFF};
  }

  /// The share of the prey that is caught in an episode.
  template <class World, class PolicyT, class Sink>
  CUMARL_HD static void measure(const typename World::Params& p, const PolicyT& policy,
                                Sink& sink) {
    double caught = 0;
    World::watch(
        p, policy, [&](const State& before, const int*, const float*, const State& after, Episode) {
          for (int k = 0; k < p.game.prey; ++k) {
            if (cell(before.prey, k) != cell(after.prey, k) && cell(after.prey, k) == kGone) {
              caught += 1;
            }
          }
        });
    sink.metric("caught_share", caught / policy.evaluation().episodes / p.game.prey);
  }

 private:
  static constexpr uint32_t kGone = 0xFF;
  static constexpr int kMaxTries = 1000;

  static std::string text(double value) {
    std::string out = std::to_string(value);
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
    return out;
  }

  CUMARL_HD static uint32_t cell(uint64_t cells, int i) {
    return static_cast<uint32_t>(cells >> (8 * i)) & 0xFF;
  }
  CUMARL_HD static uint64_t with(uint64_t cells, int i, uint32_t c) {
    return (cells & ~(uint64_t{0xFF} << (8 * i))) | uint64_t{c} << (8 * i);
  }
  CUMARL_HD static int number(const Params& p, uint32_t c) {
    return static_cast<int>(c >> 4) * p.cols + static_cast<int>(c & 15);
  }
  /// The cell one step on. Off the grid it is no cell of it: 15 rows and columns leave a row and a
  /// column of bytes free around them, as numbers wrap.
  CUMARL_HD static uint32_t moved(uint32_t c, int action) {
    const uint32_t step = action == 1 ? 0xF0U : (action == 2 ? 0x10U : (action == 3 ? 0xFFU : 1U));
    return action == 0 ? c : (c + step) & 0xFF;
  }
  CUMARL_HD static bool inside(const Params& p, uint32_t c) {
    return static_cast<int>(c >> 4) < p.rows && static_cast<int>(c & 15) < p.cols;
  }
  /// Whether some byte of `cells` is c.
  CUMARL_HD static bool holds(uint64_t cells, uint32_t c) {
    constexpr uint64_t kOnes = 0x0101010101010101;
    const uint64_t x = cells ^ (c * kOnes);
    return ((x - kOnes) & ~x & (kOnes << 7)) != 0;
  }
  /// Whether a cell of the grid holds nobody; free bytes are kGone, which is no cell of it.
  CUMARL_HD static bool vacant(const State& s, uint32_t c) {
    return !holds(s.hunters, c) && !holds(s.prey | uint64_t{0xFFFFFFFF} << 32, c);
  }
  CUMARL_HD static int hunters_beside(const Params& p, const State& s, uint32_t c) {
    int count = 0;
    for (int action = 1; action <= 4; ++action) {
      const uint32_t next = moved(c, action);
      count += inside(p, next) && holds(s.hunters, next) ? 1 : 0;
    }
    return count;
  }
  /// What a prey draws, as an action.
  CUMARL_HD static int prey_move(const Params& p, uint32_t word) {
    if (word < p.stay) return 0;
    const uint64_t rest = (uint64_t{1} << 32) - p.stay;
    return 1 + static_cast<int>((word - p.stay) * 4 / rest);
  }
  CUMARL_HD static uint32_t start_cell(const Params& p, const State& s, Rng& rng, bool for_prey) {
    const auto start_cols = static_cast<uint32_t>(p.start_cols);
    const auto room = static_cast<uint32_t>(p.start_rows) * start_cols;
    for (int tries = 0; tries < kMaxTries; ++tries) {
      const uint32_t drawn = rng.below(room);
      const uint32_t c = drawn / start_cols * 16 + drawn % start_cols;
      if (vacant(s, c) && !(for_prey && hunters_beside(p, s, c) > 0)) return c;
    }
    uint32_t first = 0;
    for (uint32_t drawn = room; drawn-- > 0;) {
      const uint32_t c = drawn / start_cols * 16 + drawn % start_cols;
      if (vacant(s, c)) first = c;
    }
    return first;
  }
  static void show(uint64_t cells, int count, int64_t* out) {
    for (int i = 0; i < count; ++i) {
      const uint32_t c = cell(cells, i);
      out[2 * i] = c == kGone ? -1 : int64_t{c >> 4};
      out[2 * i + 1] = c == kGone ? -1 : int64_t{c & 15};
    }
  }
};

/// Predator-prey with the options of every gridworld.
using PredatorPrey = Gridworld<PredatorPreyGame>;

}  // namespace cumarl::inline CUMARL_VARIANT
