/// \file
/// Mixed strategies: checking, sampling, normalising and projecting them, and the step sizes of the
/// learners that move them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/fields.hpp"
#include "kernels/core/hd.hpp"
#include "kernels/core/learner.hpp"
#include "kernels/core/math.hpp"
#include "kernels/core/rng.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Most actions of an agent.
inline constexpr int kMostActions = 128;

/// A learner's memory as doubles, from `offset` bytes on.
CUMARL_HD CUMARL_INLINE double* doubles(std::byte* memory, size_t offset = 0) {
  return reinterpret_cast<double*>(memory + offset);
}

/// The action at place `u` in [0, 1) of a strategy, by inversion in action order.
CUMARL_HD inline int action_at(const double* strategy, int actions, double u) {
  for (int a = 0; a + 1 < actions; ++a) {
    u -= strategy[a];
    if (u < 0.0) return a;
  }
  // Rounding can leave a little beyond the last probability: an action of probability 0 is not it.
  int last = actions - 1;
  while (last > 0 && !(strategy[last] > 0.0)) --last;
  return last;
}

/// The lowest of the largest.
CUMARL_HD inline int arg_max(const double* values, int count) {
  int best = 0;
  for (int a = 1; a < count; ++a) {
    if (values[a] > values[best]) best = a;
  }
  return best;
}

CUMARL_HD inline double inner_product(const double* x, const double* y, int count) {
  double sum = 0.0;
  for (int a = 0; a < count; ++a) sum += x[a] * y[a];
  return sum;
}

/// The positive parts of `weights`, normalised; uniform where there are none.
CUMARL_HD inline void positive_part(const double* weights, int count, double* out) {
  double sum = 0.0;
  for (int a = 0; a < count; ++a) sum += weights[a] > 0.0 ? weights[a] : 0.0;
  for (int a = 0; a < count; ++a) {
    out[a] = sum > 0.0 ? (weights[a] > 0.0 ? weights[a] : 0.0) / sum : 1.0 / count;
  }
}

/// softmax(values / temperature).
CUMARL_HD inline void softmax(const double* values, int count, double temperature, double* out) {
  const double top = values[arg_max(values, count)];
  double sum = 0.0;
  for (int a = 0; a < count; ++a) {
    out[a] = portable_exp((values[a] - top) / temperature);
    sum += out[a];
  }
  for (int a = 0; a < count; ++a) out[a] = out[a] / sum;
}

/// The point of the probability simplex that is nearest to `x`, in place: subtract one number from
/// the coordinates that stay positive, found by dropping those that do not until none is left to
/// drop (Michelot, "A finite algorithm for finding the projection of a point onto the canonical
/// simplex of R^n", JOTA 50, 1986).
CUMARL_HD inline void project_on_simplex(double* x, int count) {
  bool kept[kMostActions];
  for (int a = 0; a < count; ++a) kept[a] = true;
  double shift = 0.0;
  for (bool dropped = true; dropped;) {
    double sum = 0.0;
    int left = 0;
    for (int a = 0; a < count; ++a) {
      if (!kept[a]) continue;
      sum += x[a];
      ++left;
    }
    shift = (sum - 1.0) / left;
    dropped = false;
    for (int a = 0; a < count; ++a) {
      if (kept[a] && x[a] <= shift) {
        kept[a] = false;
        dropped = true;
      }
    }
  }
  for (int a = 0; a < count; ++a) x[a] = kept[a] && x[a] > shift ? x[a] - shift : 0.0;
}

/// Euclidean distance.
CUMARL_HD inline double distance(const double* x, const double* y, int count) {
  double sum = 0.0;
  for (int a = 0; a < count; ++a) sum += (x[a] - y[a]) * (x[a] - y[a]);
  return __builtin_sqrt(sum);
}

/// A strategy from the configuration: uniform where the list is empty. Throws ParameterError unless
/// it has one probability an action that sum to 1 within 1e-9; they are used as they stand.
inline std::vector<double> strategy_of(const char* key, const std::vector<double>& probabilities,
                                       int actions) {
  if (actions > kMostActions) {
    throw ParameterError("name", "this learner takes up to 128 actions");
  }
  if (probabilities.empty()) {
    return std::vector<double>(static_cast<size_t>(actions), 1.0 / actions);
  }
  if (probabilities.size() != static_cast<size_t>(actions)) {
    throw ParameterError(key, "must have one probability for each of the " +
                                  std::to_string(actions) + " actions");
  }
  double sum = 0.0;
  for (const double p : probabilities) {
    if (!(p >= 0.0 && p <= 1.0)) throw ParameterError(key, "probabilities are from 0 to 1");
    sum += p;
  }
  if (!(sum - 1.0 <= 1e-9 && 1.0 - sum <= 1e-9)) {
    throw ParameterError(key, "the probabilities must sum to 1");
  }
  return probabilities;
}

/// A step size that falls with time: scale / (offset + t / period), t counted in joint steps.
struct InverseTime {
  struct Config {
    double scale = 1.0;
    double offset = 100.0;
    double period = 1.0;

    /// The keys are "<of>.scale", "<of>.offset" and "<of>.period".
    void fields(FieldVisitor& v, const char* scale_key, const char* offset_key,
                const char* period_key, const char* text) {
      v(scale_key, scale, Bounds{0, 1e12}, "", text);
      v(offset_key, offset, Bounds{1e-9, 1e15}, "", "see scale");
      v(period_key, period, Bounds{1e-9, 1e15}, "step", "see scale; 1e15: as good as constant");
    }
  };
  double scale;
  double offset;
  double period;

  /// Throws ParameterError where the step size starts above 1.
  static InverseTime make(const Config& c, const char* scale_key) {
    if (c.scale > c.offset) throw ParameterError(scale_key, "must not be above the offset");
    return {c.scale, c.offset, c.period};
  }
  CUMARL_HD double at(uint64_t t) const {
    return scale / (offset + static_cast<double>(t) / period);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
