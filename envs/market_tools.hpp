/// \file
/// What the environments of the family `market` share: quantities as whole millionths, grids of
/// numbers, and the loop in which a finished run's policies are judged.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A quantity in whole millionths, rounded to the nearest, halves away from 0: states keep
/// quantities so, and can be shown and read back exactly. Pre: |x| < 9e12.
CUMARL_HD CUMARL_INLINE int64_t to_millionths(double x) {
  return static_cast<int64_t>(x * 1e6 + (x < 0 ? -0.5 : 0.5));
}
CUMARL_HD CUMARL_INLINE double from_millionths(int64_t x) { return static_cast<double>(x) / 1e6; }

/// x within [low, high]; low where x is no number.
CUMARL_HD CUMARL_INLINE double clipped(double x, double low, double high) {
  return !(x > low) ? low : (x < high ? x : high);
}

/// Number k of `count` equally spaced numbers from low to high, both among them (count 1: low).
CUMARL_HD CUMARL_INLINE double grid_value(double low, double high, int count, int k) {
  return count < 2 ? low : low + (high - low) * k / (count - 1);
}
/// The number of the grid's value that is nearest to x, of two the higher.
CUMARL_HD CUMARL_INLINE int grid_index(double low, double high, int count, double x) {
  if (count < 2 || !(high > low)) return 0;
  return static_cast<int>((clipped(x, low, high) - low) / (high - low) * (count - 1) + 0.5);
}

/// A state's number that has to lie in [low, high]. Throws ParameterError. Host only.
inline int64_t checked(const char* key, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) {
    throw ParameterError(key, "has a value of " + std::to_string(value) + ", allowed are " +
                                  std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

/// Plays a finished run's policies: `policy.evaluation().episodes` episodes, or, where the market
/// is endless (`episodic` false), `policy.evaluation().steps` joint steps on from the run's last
/// state. After each joint step it calls watch(before, values, after): the states, and double
/// [agents] the actions as numbers. Returns the joint steps played. Reports means: of an agent's
/// reward of a joint step, of all and of each; of the episodes' return, summed over agents, where
/// there are episodes; and the time to convergence.
template <class Env, class Policy, class Facts, class Sink, class Watch>
CUMARL_HD uint64_t watch_market(const typename Env::Params& p, const typename Env::State& last,
                                const Policy& policy, const Facts& facts, bool episodic, Sink& sink,
                                const Watch& watch) {
  const int n = Env::agents(p);
  const uint32_t episodes = episodic ? policy.evaluation().episodes : 1;
  const uint64_t longest = episodic ? ~uint64_t{0} : policy.evaluation().steps;
  double total[Env::kMaxAgents] = {};
  typename Env::State state = last;
  uint64_t t = 0;
  for (uint32_t e = 0; e < episodes; ++e) {
    if (episodic) {
      Rng fresh(policy.key(), (uint64_t{1} << 32) + e, Stream::evaluate);
      Env::reset(p, state, fresh);
    }
    for (Episode episode = Episode::goes_on; episode == Episode::goes_on && t < longest; ++t) {
      double values[Env::kMaxAgents] = {};
      float rewards[Env::kMaxAgents] = {};
      const typename Env::State before = state;
      episode = policy.play(p, state, values, rewards, t);
      for (int i = 0; i < n; ++i) total[i] += static_cast<double>(rewards[i]);
      watch(before, values, state);
    }
  }
  const auto steps = static_cast<double>(t);
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += total[i];
  sink.metric("return_per_step", sum / n / steps);
  for (int i = 0; i < n; ++i) sink.metric("return_per_step", total[i] / steps, i);
  if (episodic) sink.metric("episode_return", sum / episodes);
  sink.metric("time_to_convergence", static_cast<double>(facts.last_change));
  return t;
}

}  // namespace cumarl::inline CUMARL_VARIANT
