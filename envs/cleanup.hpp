/// \file
/// Cleanup: apples grow only while somebody keeps the river clean.
#pragma once

#include <cstdint>
#include <vector>

#include "envs/commons.hpp"
#include "envs/gridworld.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The rules of Commons, with a river, through which agents walk, and a cleaning beam. It has the
/// shape of the tagging beam, costs nothing, and each of its rays removes the first waste that it
/// meets and ends there (or at a wall or an agent). After the beams let d be the share of river cells
/// with waste. If d < depletion,
///  - each empty apple place without an agent bears an apple with probability
///    apple_chance * (1 - d / depletion), and
///  - with probability waste_chance one of the clean river cells, uniformly, becomes dirty;
/// otherwise nothing grows and no more waste appears. Cleaning is a public good, and pays nothing.
///
/// The map is text, rows separated by '/' or line ends: '#' wall, 'A' apple place, 'W' river with
/// waste at first, 'R' clean river, 'P' starting cell, '.' or ' ' floor; without any P agents begin
/// on floor.
/// Source: Hughes et al., NeurIPS 2018; the numbers .05, .4, .5 as in the package
/// sequential_social_dilemma_games. Deviations: that package tries the clean cells one after another,
/// each with .5, until one becomes dirty, so that with many clean cells one nearly always does;
/// cleaning beams act at the same time, so two that meet the same waste remove one; see Commons.
struct CleanupGame : Commons {
  static constexpr EnvFacts kFacts{
      "cleanup",
      "Cleanup: a public good that keeps apples growing",
      "Hughes et al., NeurIPS 2018",
      Family::gridworld,
      "0 stay, 1 ahead, 2 back, 3 step left, 4 step right, 5 turn left, 6 turn right, 7 tagging "
      "beam, 8 cleaning beam; without orientation 1 to 4 are north, south, west, east and 5, 6 "
      "stay",
      "cells: wall, apple, river, waste, self, another agent facing ahead, right, back, left; own "
      "heading; with time-outs the share that is left; table index: own place, set of the others', "
      "waste, apples",
      "map = \"PWR/PAA\"\nplayers = 2"};
  static constexpr int kActions = 9;
  static constexpr int kMaxSteps = 1000;
  static constexpr int kChannels = 9;
  static constexpr int kMaxExtra = 5;

  struct Config {
    Commons::Config world{
        "################/"
        "#WWR.......AAAA#/"
        "#WWR.P...P.AAAA#/"
        "#WWR.......AAAA#/"
        "#WWR.P...P.AAAA#/"
        "#WWR.......AAAA#/"
        "#WWR.P...P.AAAA#/"
        "#WWR.......AAAA#/"
        "#WWR.P...P.AAAA#/"
        "################"};
    double apple_chance = 0.05;
    double waste_chance = 0.5;
    double depletion = 0.4;
  };

  static void fields(FieldVisitor& v, Config& c) {
    v("map", c.world.map,
      "rows of # wall, A apple place, W waste, R river, P start, . floor, separated by /");
    Commons::fields(v, c.world);
    v("apple_chance", c.apple_chance, Bounds{0, 1}, "",
      "chance of an apple on an empty place in a step while the river is clean");
    v("waste_chance", c.waste_chance, Bounds{0, 1}, "", "chance of one more waste in a step");
    v("depletion", c.depletion, Bounds{1e-6, 1}, "",
      "share of dirty river from which on nothing grows and no waste appears");
  }

  struct Params : Commons::Params {
    uint64_t waste_chance;         ///< words_of
    const uint64_t* apple_chance;  ///< [rivers + 1] words_of, by the number of dirty river cells
    int32_t depleted;              ///< the lowest number of dirty cells with d >= depletion
  };

  struct State : Commons::State {
    uint64_t waste[kWords];  ///< bit k: river cell k is dirty
  };

  /// Throws ParameterError for maps and settings that do not fit together.
  static Params make(const Config& c, Arena& arena) {
    Params p{};
    static_cast<Commons::Params&>(p) = Commons::make(c.world, "#AWRP. ", arena);
    const auto within = [](const char* key, double value, double min) {
      if (!(value >= min && value <= 1))
        throw ParameterError(key, "is not within its bounds, up to 1");
    };
    within("apple_chance", c.apple_chance, 0);
    within("waste_chance", c.waste_chance, 0);
    within("depletion", c.depletion, 1e-6);
    p.waste_chance = words_of(c.waste_chance);
    std::vector<uint64_t> chance;
    p.depleted = p.rivers + 1;
    for (int dirty = p.rivers; dirty >= 0; --dirty) {
      if (static_cast<double>(dirty) / p.rivers >= c.depletion) p.depleted = dirty;
    }
    for (int dirty = 0; dirty <= p.rivers; ++dirty) {
      const double d = static_cast<double>(dirty) / p.rivers;
      chance.push_back(dirty < p.depleted ? words_of(c.apple_chance * (1 - d / c.depletion)) : 0);
    }
    p.apple_chance = arena.store(chance);
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.agents; }
  CUMARL_HD static int rows(const Params& p) { return p.rows; }
  CUMARL_HD static int cols(const Params& p) { return p.cols; }

  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    Commons::reset(p, s, rng);
    for (int w = 0; w < kWords; ++w) {
      s.apples[w] = 0;  // what has not grown is not there
      s.waste[w] = p.waste[w];
    }
  }

  /// One joint step. Shapes: actions int [agents], rewards float [agents], in arrays of kMaxAgents.
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    int act[kMaxAgents] = {};
    for (int i = 0; i < p.agents; ++i) act[i] = act_of(p, actions[i]);
    move(p, s, act, rng);
    eat(p, s, rewards);
    clean(p, s, act);
    tag(p, s, act, rewards, rng);
    grow(p, s, rng);
    return Episode::goes_on;
  }

  /// Wall, apple, river, waste, then the agents.
  CUMARL_HD static void view(const Params& p, const State& s, int agent, int row, int col,
                             float* out) {
    const int cell = row * p.cols + col;
    const bool river = p.tile[cell] == kRiver;
    out[0] = p.tile[cell] == kWall ? 1.0F : 0.0F;
    out[1] = p.tile[cell] == kOrchard && has(s.apples, p.number[cell]) ? 1.0F : 0.0F;
    out[2] = river ? 1.0F : 0.0F;
    out[3] = river && has(s.waste, p.number[cell]) ? 1.0F : 0.0F;
    view_agents(p, s, agent, cell, out + 4);
  }

  CUMARL_HD static uint32_t observations(const Params& p) { return p.observations; }

  /// That of Commons, with one bit a river cell put in above the apples'.
  CUMARL_HD static uint32_t index(const Params& p, const State& s, int agent) {
    const uint32_t rest = Commons::index(p, s, agent);
    const auto apples = static_cast<uint32_t>(s.apples[0]);
    return ((rest >> p.places) << p.rivers | static_cast<uint32_t>(s.waste[0])) << p.places |
           apples;
  }

  /// Those of Commons, and "waste" (0 or 1 each river cell, row by row).
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    Commons::state_fields(v, p, s);
    int64_t waste[kMaxPlaces] = {};
    for (int k = 0; k < p.rivers; ++k) waste[k] = has(s.waste, k) ? 1 : 0;
    v("waste", waste, p.rivers);
    for (uint64_t& word : s.waste) word = 0;
    read_bits("waste", waste, p.rivers, s.waste);
  }

  static Glyph glyph(const Params& p, const State& s, int row, int col) {
    const Glyph plain = Commons::glyph(p, s, row, col);
    const int cell = row * p.cols + col;
    if (plain.symbol != ' ' || p.tile[cell] != kRiver) return plain;
    return has(s.waste, p.number[cell]) ? Glyph{'%', 0x7A5C2EU} : Glyph{'~', 0x66AADDU};
  }

 private:
  CUMARL_HD static void clean(const Params& p, State& s, const int* act) {
    uint64_t removed[kWords] = {};
    for (int i = 0; i < p.agents; ++i) {
      if (s.away[i] > 0 || act[i] != kClean) continue;
      for (int ray = -1; ray <= 1; ++ray) {
        for (int ahead = ray == 0 ? 1 : 0, left = p.beam_length; left > 0; ++ahead, --left) {
          const int cell = offset(p, s.cell[i], heading(s, i), ahead, ray);
          if (cell < 0 || p.tile[cell] == kWall || agent_on(p, s, cell) >= 0) break;
          const int k = p.number[cell];
          if (p.tile[cell] != kRiver || !has(s.waste, k)) continue;
          removed[k / 64] |= uint64_t{1} << (k % 64);
          break;
        }
      }
    }
    for (int w = 0; w < kWords; ++w) s.waste[w] &= ~removed[w];
  }

  CUMARL_HD static void grow(const Params& p, State& s, Rng& rng) {
    int dirty = 0;
    for (int k = 0; k < p.rivers; ++k) dirty += has(s.waste, k) ? 1 : 0;
    if (dirty >= p.depleted) return;
    const uint64_t chance = p.apple_chance[dirty];
    uint64_t taken[kWords];
    occupied(p, s, taken);
    for (int k = 0; k < p.places; ++k) {
      if (has(s.apples, k) || has(taken, k)) continue;
      if (happens(rng, chance)) s.apples[k / 64] |= uint64_t{1} << (k % 64);
    }
    if (dirty == p.rivers || !happens(rng, p.waste_chance)) return;
    auto left = static_cast<int>(rng.below(static_cast<uint32_t>(p.rivers - dirty)));
    for (int k = 0; k < p.rivers; ++k) {
      if (has(s.waste, k) || left-- > 0) continue;
      s.waste[k / 64] |= uint64_t{1} << (k % 64);
      return;
    }
  }
};

using Cleanup = Gridworld<CleanupGame>;

}  // namespace cumarl::inline CUMARL_VARIANT
