/// \file
/// Overcooked: two cooks share a kitchen, cook soups and deliver them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/grid_tools.hpp"
#include "envs/gridworld.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Two cooks, who face where they last moved or tried to move, and hold at most one thing. A joint
/// step:
///  1. Those that interact do so with what is ahead, agent 0 first. With empty hands one takes an
///     onion or a dish from a dispenser, or what lies on a counter. A held thing goes onto an empty
///     counter, an onion into a pot with fewer than `onions`, a soup to the serving window. With a
///     dish one takes a finished soup out of a pot.
///  2. Those that move turn there, and enter the cell if it is floor. If both would be in one cell,
///     or would swap, both stay.
///  3. Pots with `onions` onions cook, one step further; after `cook_time` the soup is finished.
/// Each delivered soup pays `delivery` to both. With shaping > 0 the agent that does it also gets
/// shaping times 3 for an onion put into a pot, 3 for a dish taken while dishes lie on no counter and
/// fewer are held than pots are in use, 5 for a soup taken out.
///
/// The map is text, rows separated by '/' or line ends: 'X' counter, 'O' onions, 'D' dishes, 'P' pot,
/// 'S' serving window, '.' or ' ' floor, '1' and '2' where the agents begin. Its border is no floor.
/// Source: Carroll et al., "On the Utility of Learning about Humans for Human-AI Coordination",
/// NeurIPS 2019, figure 3 for the layouts, and the rules of overcooked_ai as of that paper.
/// Deviations: onions only; the starting cells of the layouts are those of that package.
struct OvercookedGame {
  static constexpr EnvFacts kFacts{
      "overcooked",
      "Overcooked: two cooks in one kitchen",
      "Carroll et al., NeurIPS 2019",
      Family::gridworld,
      "0 north, 1 south, 2 east, 3 west, 4 stay, 5 interact",
      "cells: counter, onions, dishes, serving window, pot, its onions, how far it is cooked, "
      "onion, "
      "dish and soup lying or held there, self, the other facing north, east, south, west; own "
      "heading; onion, dish, soup held; table index: the same as one number",
      "counters = false\nsight = 1"};
  static constexpr int kMaxAgents = 2;
  static constexpr int kActions = 6;
  static constexpr int kMaxSteps = 400;
  static constexpr int kChannels = 15;
  static constexpr int kMaxExtra = 7;
  static constexpr int kMaxCells = 256;
  static constexpr int kMaxCounters = 32;
  static constexpr int kMaxPots = 4;
  static constexpr uint32_t kMaxObservations = 1U << 24;

  enum Tile : uint8_t { kFloor, kCounter, kOnions, kDishes, kServing, kPot };
  enum Thing { kNothing, kOnion, kDish, kSoup };
  enum Act { kNorth, kSouth, kEast, kWest, kStay, kInteract };
  enum Layout { kCrampedRoom, kCoordinationRing, kOwnMap };

  struct Config {
    Choice layout{kCrampedRoom};
    std::string map;
    int onions = 3;
    int cook_time = 20;
    double delivery = 20;
    double shaping = 0;
    bool counters = true;
    bool random_start = false;
  };

  static void fields(FieldVisitor& v, Config& c) {
    v.choice("layout", c.layout, {"cramped_room", "coordination_ring", "map"},
             "a kitchen of Carroll et al. 2019, or the one that `map` shows");
    v("map", c.map,
      "with layout = \"map\": rows of X counter, O onions, D dishes, P pot, S serving window, . "
      "floor, 1 2 agents, separated by /");
    v("onions", c.onions, Bounds{1, 3}, "", "onions in a soup");
    v("cook_time", c.cook_time, Bounds{1, 200}, "joint steps", "time until a soup is finished");
    v("delivery", c.delivery, Bounds{0, 1e6}, "reward", "what a delivered soup pays each agent");
    v("shaping", c.shaping, Bounds{0, 1e6}, "",
      "weight of the rewards for steps on the way to a soup; 0: none");
    v("counters", c.counters, "things can be put onto counters");
    v("random_start", c.random_start, "agents begin on random floor cells with random headings");
  }

  struct Params {
    int32_t rows, cols, floors, counters, pots;
    int32_t onions, cook_time;
    float delivery, shaping;
    bool use_counters, random_start;
    int32_t start[kMaxAgents];
    uint32_t observations;
    uint32_t hand_codes;    ///< place, heading and thing of one agent
    const uint8_t* tile;    ///< [cell] Tile
    const uint8_t* number;  ///< [cell] position among the cells of its kind
    const uint8_t* floor;   ///< [floors] cell
  };

  /// 16 bytes.
  struct State {
    uint64_t counters;          ///< two bits a counter: Thing
    uint32_t pots;              ///< a byte a pot: onions in it, or onions + steps cooked
    uint8_t cell[kMaxAgents];   ///< of the agents
    uint8_t hands[kMaxAgents];  ///< heading * 4 + Thing
  };

  /// Throws ParameterError for kitchens in which no soup can be delivered.
  static Params make(const Config& c, Arena& arena) {
    const auto expect = [](bool ok, const char* key, const std::string& why) {
      if (!ok) throw ParameterError(key, why);
    };
    expect(c.layout >= kCrampedRoom && c.layout <= kOwnMap, "layout", "is not known");
    expect(c.layout == kOwnMap || c.map.empty(), "map", "is used with layout = \"map\" only");
    const std::string text = c.layout == kCrampedRoom        ? "XXPXX/O..2O/X1..X/XDXSX"
                             : c.layout == kCoordinationRing ? "XXXPX/X.1.P/D2X.X/O...X/XOSXX"
                                                             : c.map;
    const std::vector<std::string> rows = map_rows(text, "XODPS. 12", kMaxCells);
    Params p{};
    p.rows = static_cast<int32_t>(rows.size());
    p.cols = static_cast<int32_t>(rows[0].size());
    std::vector<uint8_t> tile, number, floor;
    int count[6] = {};
    int agents[kMaxAgents] = {};
    for (int cell = 0; cell < p.rows * p.cols; ++cell) {
      const int row = cell / p.cols, col = cell % p.cols;
      const char sign = rows[static_cast<size_t>(row)][static_cast<size_t>(col)];
      const std::string signs = "XODSP";
      const size_t found = signs.find(sign);
      const auto kind = static_cast<uint8_t>(found == std::string::npos ? 0 : found + 1);
      if (kind == kFloor) {
        expect(row > 0 && col > 0 && row + 1 < p.rows && col + 1 < p.cols, "map",
               "has floor on its border");
        floor.push_back(static_cast<uint8_t>(cell));
      }
      if (sign == '1' || sign == '2') {
        p.start[sign - '1'] = cell;
        ++agents[sign - '1'];
      }
      tile.push_back(kind);
      number.push_back(static_cast<uint8_t>(count[kind]++));
    }
    expect(agents[0] == 1 && agents[1] == 1, "map", "needs one 1 and one 2");
    expect(count[kOnions] > 0 && count[kDishes] > 0 && count[kServing] > 0 && count[kPot] > 0,
           "map", "needs onions (O), dishes (D), a pot (P) and a serving window (S)");
    expect(count[kPot] <= kMaxPots, "map", "has more than 4 pots");
    expect(count[kCounter] <= kMaxCounters || !c.counters, "map",
           "has more than 32 counters; set counters = false or leave out some");
    expect(c.onions >= 1 && c.onions <= 3, "onions",
           "is " + std::to_string(c.onions) + ", allowed are 1 to 3");
    expect(c.cook_time >= 1 && c.cook_time <= 200, "cook_time",
           "is " + std::to_string(c.cook_time) + ", allowed are 1 to 200");
    expect(c.delivery >= 0 && c.delivery <= 1e6, "delivery", "is not within 0 and 1e6");
    expect(c.shaping >= 0 && c.shaping <= 1e6, "shaping", "is not within 0 and 1e6");

    p.floors = count[kFloor];
    p.counters = c.counters ? count[kCounter] : 0;
    p.pots = count[kPot];
    p.onions = c.onions;
    p.cook_time = c.cook_time;
    p.delivery = static_cast<float>(c.delivery);
    p.shaping = static_cast<float>(c.shaping);
    p.use_counters = c.counters;
    p.random_start = c.random_start;
    p.tile = arena.store(tile);
    p.number = arena.store(number);
    p.floor = arena.store(floor);
    p.hand_codes = static_cast<uint32_t>(p.floors) * 16;
    uint64_t codes = uint64_t{p.hand_codes} * p.hand_codes;
    for (int k = 0; k < p.pots; ++k) codes *= static_cast<uint64_t>(pot_codes(p));
    for (int k = 0; k < p.counters && codes <= kMaxObservations; ++k) codes *= 4;
    p.observations = codes <= kMaxObservations ? static_cast<uint32_t>(codes) : 0;
    return p;
  }

  CUMARL_HD static int agents(const Params&) { return kMaxAgents; }
  CUMARL_HD static int rows(const Params& p) { return p.rows; }
  CUMARL_HD static int cols(const Params& p) { return p.cols; }

  /// Both may deliver in one step, and both are paid for it.
  static Bounds reward_bounds(const Params& p) {
    const float most = 2 * p.delivery + 5 * p.shaping;
    return {0.0, static_cast<double>(most)};
  }

  /// Empty hands, counters and pots; both face north unless the start is random.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s.counters = 0;
    s.pots = 0;
    for (int i = 0; i < kMaxAgents; ++i) {
      s.cell[i] = static_cast<uint8_t>(p.start[i]);
      s.hands[i] = 0;
    }
    if (!p.random_start) return;
    const uint32_t first = rng.below(static_cast<uint32_t>(p.floors));
    uint32_t second = rng.below(static_cast<uint32_t>(p.floors) - 1);
    if (second >= first) ++second;
    s.cell[0] = p.floor[first];
    s.cell[1] = p.floor[second];
    for (uint8_t& hands : s.hands) hands = static_cast<uint8_t>(rng.below(4) * 4);
  }

  /// One joint step; uses no random numbers. Shapes: actions int [2], rewards float [2].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng&) {
    rewards[0] = rewards[1] = 0.0F;
    int in_use = 0;  // pots with anything in them, before anybody interacts
    for (int k = 0; k < p.pots; ++k) in_use += pot(s, k) > 0 ? 1 : 0;
    int delivered = 0;
    for (int i = 0; i < kMaxAgents; ++i) {
      if (actions[i] != kInteract) continue;
      float bonus = 0;
      delivered += interact(p, s, i, in_use, bonus) ? 1 : 0;
      rewards[i] = p.shaping * bonus;
    }
    const float pay = static_cast<float>(delivered) * p.delivery;
    for (int i = 0; i < kMaxAgents; ++i) rewards[i] += pay;
    move(p, s, actions);
    for (int k = 0; k < p.pots; ++k) {
      const int at = pot(s, k);
      if (at >= p.onions && at < p.onions + p.cook_time) set_pot(s, k, at + 1);
    }
    return Episode::goes_on;
  }

  CUMARL_HD static int cell_of(const Params&, const State& s, int agent) { return s.cell[agent]; }

  CUMARL_HD static void view(const Params& p, const State& s, int agent, int row, int col,
                             float* out) {
    for (int k = 0; k < kChannels; ++k) out[k] = 0.0F;
    const int cell = row * p.cols + col, tile = p.tile[cell], k = p.number[cell];
    if (tile != kFloor) out[tile - 1] = 1.0F;
    int thing = kNothing;
    if (tile == kCounter && p.use_counters) thing = on_counter(s, k);
    if (tile == kPot) {
      const int at = pot(s, k), onions = at < p.onions ? at : p.onions;
      out[5] = static_cast<float>(onions) / static_cast<float>(p.onions);
      out[6] = static_cast<float>(at - onions) / static_cast<float>(p.cook_time);
    }
    for (int i = 0; i < kMaxAgents; ++i) {
      if (s.cell[i] != cell) continue;
      thing = s.hands[i] & 3;
      out[i == agent ? 10 : 11 + (s.hands[i] >> 2)] = 1.0F;
    }
    if (thing != kNothing) out[6 + thing] = 1.0F;
  }

  CUMARL_HD static int extras(const Params&) { return kMaxExtra; }
  CUMARL_HD static void extra(const Params&, const State& s, int agent, float* out) {
    for (int h = 0; h < 4; ++h) out[h] = h == s.hands[agent] >> 2 ? 1.0F : 0.0F;
    for (int t = kOnion; t <= kSoup; ++t) out[3 + t] = t == (s.hands[agent] & 3) ? 1.0F : 0.0F;
  }

  CUMARL_HD static uint32_t observations(const Params& p) { return p.observations; }

  /// Own place, heading and thing, those of the other, the pots, the counters. Pre: observations > 0.
  CUMARL_HD static uint32_t index(const Params& p, const State& s, int agent) {
    uint32_t index = hand_code(p, s, agent) * p.hand_codes + hand_code(p, s, 1 - agent);
    for (int k = 0; k < p.pots; ++k) {
      // while onions are below p.onions nothing cooks; full and not cooked yet is never seen
      const int at = pot(s, k);
      index = index * static_cast<uint32_t>(pot_codes(p)) +
              static_cast<uint32_t>(at < p.onions ? at : at - 1);
    }
    for (int k = 0; k < p.counters; ++k) {
      index = index * 4 + static_cast<uint32_t>(on_counter(s, k));
    }
    return index;
  }

  /// The fields "agents" (row, column, heading 0 to 3 from north clockwise, thing 0 nothing, 1
  /// onion, 2 dish, 3 soup), "pots" (onions, steps cooked) and "counters" (thing), row by row.
  /// Throws ParameterError.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t agents[4 * kMaxAgents], pots[2 * kMaxPots] = {}, counters[kMaxCounters] = {};
    for (int i = 0; i < kMaxAgents; ++i) {
      agents[4 * i] = s.cell[i] / p.cols;
      agents[4 * i + 1] = s.cell[i] % p.cols;
      agents[4 * i + 2] = s.hands[i] >> 2;
      agents[4 * i + 3] = s.hands[i] & 3;
    }
    for (int k = 0; k < p.pots; ++k) {
      pots[2 * k] = std::min(pot(s, k), p.onions);
      pots[2 * k + 1] = pot(s, k) - pots[2 * k];
    }
    for (int k = 0; k < p.counters; ++k) counters[k] = on_counter(s, k);
    v("agents", agents, 4 * kMaxAgents);
    v("pots", pots, 2 * p.pots);
    if (p.counters > 0) v("counters", counters, p.counters);
    const auto expect = [](bool ok, const char* key, const char* why) {
      if (!ok) throw ParameterError(key, why);
    };
    State to{};
    for (int i = 0; i < kMaxAgents; ++i) {
      const int64_t row = agents[4 * i], col = agents[4 * i + 1];
      expect(row >= 0 && row < p.rows && col >= 0 && col < p.cols &&
                 p.tile[row * p.cols + col] == kFloor,
             "agents", "an agent is not on floor");
      expect(agents[4 * i + 2] >= 0 && agents[4 * i + 2] < 4, "agents", "there is no such heading");
      expect(agents[4 * i + 3] >= 0 && agents[4 * i + 3] < 4, "agents", "there is no such thing");
      to.cell[i] = static_cast<uint8_t>(row * p.cols + col);
      to.hands[i] = static_cast<uint8_t>(agents[4 * i + 2] * 4 + agents[4 * i + 3]);
    }
    expect(to.cell[0] != to.cell[1], "agents", "both agents are in one cell");
    for (int k = 0; k < p.pots; ++k) {
      const int64_t onions = pots[2 * k], cooked = pots[2 * k + 1];
      expect(onions >= 0 && onions <= p.onions, "pots", "a pot has too many onions");
      expect(onions < p.onions ? cooked == 0 : cooked >= 1 && cooked <= p.cook_time, "pots",
             "a full pot has cooked 1 to cook_time steps, another one none");
      set_pot(to, k, static_cast<int>(onions + cooked));
    }
    for (int k = 0; k < p.counters; ++k) {
      expect(counters[k] >= 0 && counters[k] < 4, "counters", "there is no such thing");
      put_on(to, k, static_cast<int>(counters[k]));
    }
    s = to;
  }

  static Glyph glyph(const Params& p, const State& s, int row, int col) {
    const int cell = row * p.cols + col, k = p.number[cell];
    for (int i = 0; i < kMaxAgents; ++i) {
      if (s.cell[i] == cell) return {static_cast<char>('A' + i), i == 0 ? 0x3366CCU : 0x33AA33U};
    }
    switch (p.tile[cell]) {
      case kFloor: return {' ', 0xF4F0E8U};
      case kOnions: return {'O', 0xE0B040U};
      case kDishes: return {'D', 0xDDDDDDU};
      case kServing: return {'S', 0x888888U};
      case kPot: return {static_cast<char>('0' + std::min(pot(s, k), p.onions)), 0x333333U};
      default: break;
    }
    const int thing = p.use_counters ? on_counter(s, k) : int{kNothing};
    return thing == kNothing ? Glyph{'#', 0xA0784EU} : Glyph{"#ods"[thing], 0xC8A070U};
  }

 private:
  /// Onions 0 to onions - 1, then cooked for 1 to cook_time steps.
  CUMARL_HD static int pot_codes(const Params& p) { return p.onions + p.cook_time; }
  CUMARL_HD static int pot(const State& s, int k) { return (s.pots >> (8 * k)) & 0xFF; }
  CUMARL_HD static void set_pot(State& s, int k, int value) {
    s.pots = (s.pots & ~(0xFFU << (8 * k))) | static_cast<uint32_t>(value) << (8 * k);
  }
  CUMARL_HD static int on_counter(const State& s, int k) {
    return static_cast<int>((s.counters >> (2 * k)) & 3);
  }
  CUMARL_HD static void put_on(State& s, int k, int thing) {
    s.counters = (s.counters & ~(uint64_t{3} << (2 * k))) | static_cast<uint64_t>(thing) << (2 * k);
  }
  CUMARL_HD static void take(State& s, int i, int thing) {
    s.hands[i] = static_cast<uint8_t>((s.hands[i] & ~3) | thing);
  }
  CUMARL_HD static int ahead(const Params& p, int cell, int heading) {
    return cell + heading_row(heading) * p.cols + heading_col(heading);
  }
  CUMARL_HD static uint32_t hand_code(const Params& p, const State& s, int i) {
    return static_cast<uint32_t>(p.number[s.cell[i]] * 16 + s.hands[i]);
  }

  /// Agent i interacts; whether it delivers a soup. `bonus`: the shaping reward.
  CUMARL_HD static bool interact(const Params& p, State& s, int i, int pots_in_use, float& bonus) {
    const int cell = ahead(p, s.cell[i], s.hands[i] >> 2);
    const int held = s.hands[i] & 3, k = p.number[cell];
    switch (p.tile[cell]) {
      case kCounter: {
        if (!p.use_counters) break;
        const int lies = on_counter(s, k);
        if ((held == kNothing) == (lies == kNothing)) break;
        put_on(s, k, held);
        take(s, i, lies);
        break;
      }
      case kOnions:
        if (held == kNothing) take(s, i, kOnion);
        break;
      case kDishes:
        if (held != kNothing) break;
        if (pots_in_use > dishes_held(s) && !dish_on_counter(p, s)) bonus = 3;
        take(s, i, kDish);
        break;
      case kPot: {
        const int at = pot(s, k);
        if (held == kOnion && at < p.onions) {
          set_pot(s, k, at + 1);
          take(s, i, kNothing);
          bonus = 3;
        } else if (held == kDish && at == p.onions + p.cook_time) {
          set_pot(s, k, 0);
          take(s, i, kSoup);
          bonus = 5;
        }
        break;
      }
      case kServing:
        if (held != kSoup) break;
        take(s, i, kNothing);
        return true;
      default: break;
    }
    return false;
  }

  CUMARL_HD static int dishes_held(const State& s) {
    return ((s.hands[0] & 3) == kDish ? 1 : 0) + ((s.hands[1] & 3) == kDish ? 1 : 0);
  }
  CUMARL_HD static bool dish_on_counter(const Params& p, const State& s) {
    bool found = false;
    for (int k = 0; k < p.counters; ++k) found = found || on_counter(s, k) == kDish;
    return found;
  }

  CUMARL_HD static void move(const Params& p, State& s, const int* actions) {
    int to[kMaxAgents];
    for (int i = 0; i < kMaxAgents; ++i) {
      to[i] = s.cell[i];
      const int a = actions[i];
      if (a >= kStay) continue;
      const int heading = a == kNorth ? 0 : (a == kSouth ? 2 : (a == kEast ? 1 : 3));
      s.hands[i] = static_cast<uint8_t>(heading * 4 + (s.hands[i] & 3));
      const int target = ahead(p, s.cell[i], heading);
      if (p.tile[target] == kFloor) to[i] = target;
    }
    const bool collide = to[0] == to[1] || (to[0] == s.cell[1] && to[1] == s.cell[0]);
    if (collide) return;
    for (int i = 0; i < kMaxAgents; ++i) s.cell[i] = static_cast<uint8_t>(to[i]);
  }
};

using Overcooked = Gridworld<OvercookedGame>;

}  // namespace cumarl::inline CUMARL_VARIANT
