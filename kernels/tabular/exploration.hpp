/// \file
/// When to explore, and what to play then: epsilon-greedy and Boltzmann, with their schedules.
#pragma once

#include <cstdint>

#include "kernels/core/fields.hpp"
#include "kernels/core/hd.hpp"
#include "kernels/core/learner.hpp"
#include "kernels/core/math.hpp"
#include "kernels/core/rng.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Exploration of one agent. epsilon_t = max(end, start * exp(-decay_rate t)) or
/// max(end, start - (start - end) t / decay_steps); temperature_t likewise.
///
/// Epsilon-greedy spends one random word w a step: it explores iff w/2 < epsilon 2^31, and then
/// plays by the upper bits of w * 0x9E3779B1 mod 2^32. Over the words that explore, consecutive
/// integers from 0, these multiples of an odd number near 2^32 / golden ratio are equidistributed. exp(-rate t) is put together from three factors (t by 4096, by 64, and
/// the rest), two of them tabulated, the same way on every backend.
struct Exploration {
  static constexpr int kPeriod = 64;
  enum Kind : int32_t { kEpsilonGreedy = 0, kBoltzmann = 1 };
  enum Schedule : int32_t { kExponential = 0, kLinear = 1 };

  /// What the configuration sets.
  struct Config {
    Choice kind{kEpsilonGreedy};
    Choice schedule{kExponential};
    double start = 1.0;
    double end = 0.0;
    double decay_rate = 0.0;
    int64_t decay_steps = 100'000;

    void fields(FieldVisitor& v) {
      v.choice("exploration.kind", kind, {"epsilon_greedy", "boltzmann"},
               "explore with probability epsilon, or play softmax(Q / temperature)");
      v.choice("exploration.schedule", schedule, {"exponential", "linear"},
               "start * exp(-decay_rate t), or a straight line to `end` over decay_steps");
      v("exploration.start", start, Bounds{0, 1e9}, "", "epsilon or temperature at t = 0");
      v("exploration.end", end, Bounds{0, 1e9}, "", "its lower bound");
      v("exploration.decay_rate", decay_rate, Bounds{0, 1e3}, "1/step", "exponential decay rate");
      v("exploration.decay_steps", decay_steps, Bounds{1, 1e15}, "step", "length of the line");
    }
  };

  Kind kind;
  Schedule schedule;
  double start;
  double end;
  double rate;  ///< decay rate, or the line's slope
  uint32_t actions;
  float power[2 * kPeriod];  ///< exp(-rate (k mod kPeriod)), twice, to be read across a boundary
  double leap[kPeriod];      ///< exp(-rate kPeriod k)

  /// Throws ParameterError for a probability above 1 or a temperature of 0.
  static Exploration make(const Config& c, int actions) {
    Exploration e{};
    e.kind = static_cast<Kind>(c.kind.value);
    e.schedule = static_cast<Schedule>(c.schedule.value);
    if (e.kind == kEpsilonGreedy && (c.start > 1 || c.end > 1)) {
      throw ParameterError(c.start > 1 ? "exploration.start" : "exploration.end",
                           "epsilon is a probability: it must be from 0 to 1");
    }
    if (c.end > c.start) {
      throw ParameterError("exploration.end", "must not be above exploration.start");
    }
    if (e.kind == kBoltzmann && !(c.start > 0)) {
      throw ParameterError("exploration.start", "a Boltzmann temperature must be above 0");
    }
    e.start = c.start;
    e.end = c.end;
    e.rate = e.schedule == kExponential ? c.decay_rate
                                        : (c.start - c.end) / static_cast<double>(c.decay_steps);
    e.actions = static_cast<uint32_t>(actions);
    for (int k = 0; k < 2 * kPeriod; ++k) {
      e.power[k] = static_cast<float>(portable_exp(-e.rate * (k % kPeriod)));
    }
    for (int k = 0; k < kPeriod; ++k) e.leap[k] = portable_exp(-e.rate * (kPeriod * k));
    return e;
  }

  /// What is kept between steps so that exp is evaluated only every kPeriod^2 steps.
  struct Memo {
    uint64_t era = ~uint64_t{0};
    double start = 0;
  };

  /// The exponential schedule at t = kPeriod * period.
  CUMARL_HD CUMARL_INLINE float anchor(uint64_t period, Memo& memo) const {
    const uint64_t era = period / kPeriod;
    if (era != memo.era) {
      memo = {era, start * portable_exp(-rate * static_cast<double>(era * kPeriod * kPeriod))};
    }
    return static_cast<float>(memo.start * leap[period % kPeriod]);
  }
  /// The exponential schedule k steps after an anchor, power = exp(-rate k).
  CUMARL_HD static CUMARL_INLINE float continued(float anchored, float power, float floor) {
    const float value = anchored * power;
    return value > floor ? value : floor;
  }
  CUMARL_HD float line(uint64_t t) const {
    const double value = start - rate * static_cast<double>(t);
    return static_cast<float>(value > end ? value : end);
  }
  /// Epsilon or temperature at step t.
  CUMARL_HD float at(uint64_t t) const {
    Memo memo;
    return at(t, memo);
  }
  /// The same, with what may be kept from call to call.
  CUMARL_HD float at(uint64_t t, Memo& memo) const {
    return schedule == kLinear
               ? line(t)
               : continued(anchor(t / kPeriod, memo), power[t % kPeriod], static_cast<float>(end));
  }

  /// The epsilon-greedy decision for a random word.
  CUMARL_HD static CUMARL_INLINE Decision decide(float epsilon, uint32_t actions, uint32_t word) {
    constexpr float kBelow31 = 2147483520.0F;  // largest float below 2^31
    const float scaled = epsilon * 2147483648.0F;
    const float threshold = scaled < kBelow31 ? scaled : kBelow31;
    const auto half = static_cast<int32_t>(word >> 1);
    // all ones if half < threshold; both are in [0, 2^31)
    const auto explores = static_cast<uint32_t>((half - static_cast<int32_t>(threshold)) >> 31);
    const float place = unit_float(word * 0x9E3779B1u) * static_cast<float>(actions);
    const auto action = static_cast<uint32_t>(static_cast<int32_t>(place));
    return {~explores, action & explores};
  }
};

/// Draws one of `count` actions from the softmax of value(a) / temperature by inversion of a random
/// word; plain doubles in action order. `top` is the largest value.
template <class Value>
CUMARL_HD CUMARL_INLINE int draw_softmax(Value value, int count, double top, double temperature,
                                         uint32_t word) {
  double total = 0.0;
  for (int a = 0; a < count; ++a) total += portable_exp((value(a) - top) / temperature);
  double left = unit_double(word) * total;
  for (int a = 0; a + 1 < count; ++a) {
    left -= portable_exp((value(a) - top) / temperature);
    if (left < 0.0) return a;
  }
  return count - 1;
}

}  // namespace cumarl::inline CUMARL_VARIANT
