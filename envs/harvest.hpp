/// \file
/// Harvest: a commons of apples that grow back only where apples are left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/commons.hpp"
#include "envs/gridworld.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The rules of Commons. After the beams, each empty apple place without an agent bears an apple
/// again with a probability that depends on the number of apples within squared distance 2 of it (its
/// eight neighbours) before this step's growth: regrowth[k] with k of them, the last entry with more.
/// A patch that is eaten up never comes back: what is best for each is ruin for all.
///
/// The map is text, rows separated by '/' or line ends: '#' wall, 'A' apple place, 'P' starting
/// cell, '.' or ' ' floor; without any P agents begin on floor.
/// Source: Perolat et al., NeurIPS 2017; Hughes et al., NeurIPS 2018, whose beam fines 50 and costs
/// 1. Their growth: 0, .005, .02, .05. Perolat et al. take tagged agents away for 25 steps
/// (beam = "timeout", beam_cost = 0). Deviations: see Commons.
struct HarvestGame : Commons {
  static constexpr EnvFacts kFacts{
      "harvest",
      "Harvest: apples that grow back near apples",
      "Perolat et al., NeurIPS 2017; Hughes et al., NeurIPS 2018",
      Family::gridworld,
      "0 stay, 1 ahead, 2 back, 3 step left, 4 step right, 5 turn left, 6 turn right, 7 tagging "
      "beam; without orientation 1 to 4 are north, south, west, east and 5, 6 stay",
      "cells: wall, apple, self, another agent facing ahead, right, back, left; own heading; with "
      "time-outs the share that is left; table index: own place, set of the others', apples",
      "map = \"PAA/AAP\"\nplayers = 2"};
  static constexpr int kActions = 8;
  static constexpr int kMaxSteps = 1000;
  static constexpr int kChannels = 7;
  static constexpr int kMaxExtra = 5;
  static constexpr int kNeighbours = 8;

  struct Config {
    Commons::Config world{
        "###################/"
        "#P....A.....A....P#/"
        "#....AAA...AAA....#/"
        "#.A...A..A..A...A.#/"
        "#AAA....AAA....AAA#/"
        "#.A...A..A..A...A.#/"
        "#....AAA...AAA....#/"
        "#P....A.....A....P#/"
        "#P..P....P....P..P#/"
        "###################"};
    std::vector<double> regrowth{0, 0.005, 0.02, 0.05};
  };

  static void fields(FieldVisitor& v, Config& c) {
    v("map", c.world.map, "rows of # wall, A apple place, P start, . floor, separated by /");
    Commons::fields(v, c.world);
    v("regrowth", c.regrowth, Bounds{0, 1}, "",
      "chance of an apple by the number of apples around: 0, 1, ..., the last for all more");
  }

  struct Params : Commons::Params {
    uint64_t regrowth[kNeighbours + 1];  ///< words_of the chance with so many neighbours
    const uint16_t* near;  ///< [places][8] places around, `places` where there is none
  };
  using State = Commons::State;

  /// Throws ParameterError for maps and settings that do not fit together.
  static Params make(const Config& c, Arena& arena) {
    Params p{};
    static_cast<Commons::Params&>(p) = Commons::make(c.world, "#AP. ", arena);
    if (c.regrowth.empty() || c.regrowth.size() > kNeighbours + 1) {
      throw ParameterError("regrowth", "has " + std::to_string(c.regrowth.size()) +
                                           " numbers, allowed are 1 to 9");
    }
    for (size_t k = 0; k <= kNeighbours; ++k) {
      const double chance = c.regrowth[k < c.regrowth.size() ? k : c.regrowth.size() - 1];
      if (!(chance >= 0 && chance <= 1)) throw ParameterError("regrowth", "is not within 0 and 1");
      p.regrowth[k] = words_of(chance);
    }
    std::vector<uint16_t> near;
    for (int k = 0; k < p.places; ++k) {
      for (int down = -1; down <= 1; ++down) {
        for (int right = -1; right <= 1; ++right) {
          if (down == 0 && right == 0) continue;
          const int cell = offset(p, p.place[k], 0, -down, right);
          const bool bears = cell >= 0 && p.tile[cell] == kOrchard;
          near.push_back(bears ? p.number[cell] : static_cast<uint16_t>(p.places));
        }
      }
    }
    p.near = arena.store(near);
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.agents; }
  CUMARL_HD static int rows(const Params& p) { return p.rows; }
  CUMARL_HD static int cols(const Params& p) { return p.cols; }

  /// One joint step. Shapes: actions int [agents], rewards float [agents], in arrays of kMaxAgents.
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    int act[kMaxAgents] = {};
    for (int i = 0; i < p.agents; ++i) act[i] = act_of(p, actions[i]);
    move(p, s, act, rng);
    eat(p, s, rewards);
    tag(p, s, act, rewards, rng);
    grow(p, s, rng);
    return Episode::goes_on;
  }

  /// A joint step's costs, [agents]: 1 for firing the beam, by agents who are not away.
  CUMARL_HD static void costs(const Params& p, const State& before, const double* actions,
                              const State&, float* out) {
    for (int i = 0; i < kMaxAgents && i < p.agents; ++i) {
      const bool fires =
          static_cast<int>(actions[i]) == kTag && before.away[i] == 0 && p.beam != kNoBeam;
      out[i] = fires ? 1.0F : 0.0F;
    }
  }

  /// Wall, apple, then the agents.
  CUMARL_HD static void view(const Params& p, const State& s, int agent, int row, int col,
                             float* out) {
    const int cell = row * p.cols + col;
    out[0] = p.tile[cell] == kWall ? 1.0F : 0.0F;
    out[1] = p.tile[cell] == kOrchard && has(s.apples, p.number[cell]) ? 1.0F : 0.0F;
    view_agents(p, s, agent, cell, out + 2);
  }

  CUMARL_HD static uint32_t observations(const Params& p) { return p.observations; }

 private:
  CUMARL_HD static void grow(const Params& p, State& s, Rng& rng) {
    uint64_t taken[kWords], before[kWords + 1];
    occupied(p, s, taken);
    for (int w = 0; w < kWords; ++w) before[w] = s.apples[w];
    before[kWords] = 0;  // where near[] points to for "none"
    for (int k = 0; k < p.places; ++k) {
      if (has(before, k) || has(taken, k)) continue;
      int around = 0;
      for (int j = 0; j < kNeighbours; ++j)
        around += has(before, p.near[kNeighbours * k + j]) ? 1 : 0;
      const uint64_t chance = p.regrowth[around];
      if (chance > 0 && happens(rng, chance)) s.apples[k / 64] |= uint64_t{1} << (k % 64);
    }
  }
};

using Harvest = Gridworld<HarvestGame>;

}  // namespace cumarl::inline CUMARL_VARIANT
