/// \file
/// A team before a narrow bridge, where steps may fail: a game with an adversarial model.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// On the bank, place 0, all agents step (1) and are on place 1 of the bridge, or any of them stays
/// (0) and the team takes the long way round: everybody gets `detour` and the episode ends. On the
/// bridge all have to step together: they come to the next place, and on reaching place `length`, the
/// other bank, everybody gets 1; if any of them stays, the team falls and everybody gets -`fall`.
///
/// If actions do what they are meant to, the bridge is worth 1. Let each agent's action fail
/// with probability f, independently, so that the other one is played (learner.perturb.action =
/// "least" with action_probability = f for agents who prefer to step, "random" with 2 f), and let
/// q = (1 - f)^agents. Undiscounted, where all mean to step on the bridge,
///   on the bridge  B = q^(length-1) - (1 - q^(length-1)) fall
///   stepping on    q B + (1 - q) detour
///   staying, all   f^agents B + (1 - f^agents) detour
/// With the defaults and f = 0.1: B = 0.3122, 0.347882 and 0.498122. A team that trained where
/// nothing fails takes the bridge, one that trained where steps fail goes round.
/// Source: the model-adversarial stochastic game of Zhou, Liu, Tang, arXiv:2305.10091, with the
/// failing actions of Tessler, Efroni, Mannor, ICML 2019; the game itself is this project's, small
/// enough for its outcomes to be worked out by hand.
struct NarrowBridge {
  static constexpr EnvFacts kFacts{
      "narrow_bridge",
      "A team crosses a narrow bridge together, or goes round",
      "model-adversarial games of Zhou, Liu, Tang 2023; Tessler, Efroni, Mannor, ICML 2019",
      Family::matrix,
      "0 stay, 1 step",
      "float: the place; table index: the same"};
  static constexpr int kMaxAgents = 16;
  static constexpr bool kSharedObservation = true;

  struct Config {
    int agents = 2;
    int length = 3;
    double detour = 0.5;
    double fall = 1.0;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("agents", c.agents, Bounds{1, kMaxAgents}, "", "number of agents");
    v("length", c.length, Bounds{1, 1000}, "places", "length of the bridge");
    v("detour", c.detour, Bounds{-1e6, 1e6}, "reward", "what the long way round is worth");
    v("fall", c.fall, Bounds{-1e6, 1e6}, "reward", "what a fall costs");
  }

  struct Params {
    int32_t agents;
    int32_t length;
    float detour;
    float fall;
  };
  struct State {
    int32_t place;
  };

  static Params make(const Config& c, Arena&) {
    return {c.agents, c.length, static_cast<float>(c.detour), static_cast<float>(c.fall)};
  }

  CUMARL_HD static int agents(const Params& p) { return p.agents; }
  CUMARL_HD static int actions(const Params&, int) { return 2; }
  CUMARL_HD static uint32_t observations(const Params& p, int) {
    return static_cast<uint32_t>(p.length) + 1;
  }
  CUMARL_HD static uint32_t observe_index(const Params&, const State& s, int) {
    return static_cast<uint32_t>(s.place);
  }
  CUMARL_HD static int features(const Params&, int) { return 1; }
  CUMARL_HD static void observe(const Params&, const State& s, int, float* out) {
    out[0] = static_cast<float>(s.place);
  }
  static Bounds feature_range(const Params& p, int, int) {
    return {0.0, static_cast<double>(p.length)};
  }
  static Bounds reward_bounds(const Params& p) {
    Bounds bounds{-static_cast<double>(p.fall), -static_cast<double>(p.fall)};
    for (const double r : {static_cast<double>(p.detour), 0.0, 1.0}) {
      bounds = {r < bounds.min ? r : bounds.min, r > bounds.max ? r : bounds.max};
    }
    return bounds;
  }

  /// On the bank; uses no random numbers.
  CUMARL_HD static void reset(const Params&, State& s, Rng&) { s.place = 0; }

  /// One joint step; uses no random numbers. Shapes: actions int [agents], rewards float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng&) {
    bool together = true;
    for (int i = 0; i < kMaxAgents && i < p.agents; ++i) together = together && actions[i] == 1;
    float paid = 0;
    if (!together) {
      paid = s.place == 0 ? p.detour : -p.fall;
    } else if (++s.place == p.length) {
      paid = 1;
    }
    for (int i = 0; i < kMaxAgents && i < p.agents; ++i) rewards[i] = paid;
    return together && s.place < p.length ? Episode::goes_on : Episode::ended;
  }

  /// Shows the state as "place". Throws ParameterError for a place that is not there.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t place = s.place;
    v("place", &place, 1);
    if (place < 0 || place > p.length) {
      throw ParameterError("place", "must be from 0 to length");
    }
    s.place = static_cast<int32_t>(place);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
