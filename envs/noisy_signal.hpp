/// \file
/// Agents who act on a signal that somebody may tamper with: a state-adversarial game.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// In each joint step a signal z is drawn uniformly from the midpoints of 2 `levels` equal parts of
/// [-1, 1], and each agent says "below" (0) or "above" (2) zero, or holds (1). It gets 1 if it is
/// right, -1 if it is wrong, and `hold` if it holds. Endless; the next signal depends on nothing.
///
/// Who sees z is always right: 1. Now somebody moves what an agent sees by up to e < 1/2 to where it
/// likes the best action for z less (learner.perturb.observation = "sign" with observation_size =
/// e / 2, as the range is 2). Let it hold where what it sees is within b of 0, and else name the
/// side. From z in (0, b) it is moved to z + e, from z > b to z - e. So it gets, for many levels,
///   b < e/2           1 - 2 e + 2 b (1 + hold)     b = 0, to trust the signal: 1 - 2 e
///   e/2 <= b <= 1-e   1 - e (1 - hold)             the best there is against this step
/// and without anybody in between 1 - b (1 - hold). What it sees within e - b of 0 comes as often
/// from above as from below: there it is best to hold, elsewhere to name the side. A rule that is
/// the best answer to its own attacks thus has b = e - b: b = e/2, and pays e (1 - hold) / 2 for it
/// where nobody attacks.
/// Source: the state-adversarial stochastic game of Zhou, Liu, Tang, arXiv:2305.10091, and Han et
/// al., "What is the solution for state-adversarial multi-agent reinforcement learning?", TMLR 2024;
/// the game itself is this project's, small enough for its outcomes to be worked out by hand.
struct NoisySignal {
  static constexpr EnvFacts kFacts{
      "noisy_signal",
      "Agents act on a signal that may be tampered with",
      "state-adversarial games of Zhou, Liu, Tang 2023 and Han et al., TMLR 2024",
      Family::matrix,
      "0 say below, 1 hold, 2 say above",
      "float: the signal, from -1 to 1; table index: its level"};
  static constexpr int kMaxAgents = 16;
  static constexpr bool kSharedObservation = true;
  enum Act : int { kBelow, kHold, kAbove };

  struct Config {
    int agents = 2;
    int levels = 500;
    double hold = 0.2;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("agents", c.agents, Bounds{1, kMaxAgents}, "", "number of agents");
    v("levels", c.levels, Bounds{1, 100000}, "", "levels of the signal on each side of 0");
    v("hold", c.hold, Bounds{-1, 1}, "reward", "what holding pays");
  }

  struct Params {
    int32_t agents;
    int32_t levels;
    double hold;
  };
  struct State {
    int32_t level;  ///< 0 to 2 levels - 1
  };

  static Params make(const Config& c, Arena&) { return {c.agents, c.levels, c.hold}; }

  CUMARL_HD static int agents(const Params& p) { return p.agents; }
  CUMARL_HD static int actions(const Params&, int) { return 3; }
  CUMARL_HD static uint32_t observations(const Params& p, int) {
    return 2 * static_cast<uint32_t>(p.levels);
  }
  CUMARL_HD static uint32_t observe_index(const Params&, const State& s, int) {
    return static_cast<uint32_t>(s.level);
  }
  CUMARL_HD static int features(const Params&, int) { return 1; }
  CUMARL_HD static void observe(const Params& p, const State& s, int, float* out) {
    out[0] = static_cast<float>((2.0 * s.level + 1.0) / (2.0 * p.levels) - 1.0);
  }
  static Bounds feature_range(const Params&, int, int) { return {-1.0, 1.0}; }
  static Bounds reward_bounds(const Params&) { return {-1.0, 1.0}; }
  static bool endless(const Params&) { return true; }

  /// Uses one random word.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s.level = static_cast<int32_t>(rng.below(2 * static_cast<uint32_t>(p.levels)));
  }

  /// One joint step; uses one random word. Shapes: actions int [agents], rewards float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    for (int i = 0; i < kMaxAgents && i < p.agents; ++i) {
      rewards[i] = static_cast<float>(pay(p, s, actions[i]));
    }
    reset(p, s, rng);
    return Episode::goes_on;
  }

  /// Shows the state as "level". Throws ParameterError for a level that there is none of.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t level = s.level;
    v("level", &level, 1);
    if (level < 0 || level >= 2 * int64_t{p.levels}) {
      throw ParameterError("level", "must be from 0 to 2 levels - 1");
    }
    s.level = static_cast<int32_t>(level);
  }

  /// The learned policies play `evaluation.steps` joint steps from the run's last state. Reported are
  /// mean rewards, of all agents and of each, and the shares of actions that hold and are wrong.
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts&, Sink& sink) {
    const uint32_t steps = policy.evaluation().steps;
    State s = last;
    double paid[kMaxAgents] = {};
    double all = 0, held = 0, wrong = 0;
    for (uint32_t t = 0; t < steps; ++t) {
      const State before = s;
      double value[kMaxAgents] = {};
      float reward[kMaxAgents] = {};
      policy.play(p, s, value, reward, t);
      for (int i = 0; i < kMaxAgents && i < p.agents; ++i) {
        const auto action = static_cast<int>(value[i]);
        paid[i] += pay(p, before, action);
        held += action == kHold ? 1 : 0;
        wrong += action != kHold && action != side(p, before) ? 1 : 0;
      }
    }
    for (int i = 0; i < kMaxAgents && i < p.agents; ++i) all += paid[i];
    const double acts = static_cast<double>(steps) * p.agents;
    sink.metric("return_per_step", all / acts);
    for (int i = 0; i < p.agents; ++i) sink.metric("return_per_step", paid[i] / steps, i);
    sink.metric("share_held", held / acts);
    sink.metric("share_wrong", wrong / acts);
  }

 private:
  /// The right word for the signal.
  CUMARL_HD static int side(const Params& p, const State& s) {
    return s.level < p.levels ? kBelow : kAbove;
  }
  CUMARL_HD static double pay(const Params& p, const State& s, int action) {
    if (action == kHold) return p.hold;
    return action == side(p, s) ? 1.0 : -1.0;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
