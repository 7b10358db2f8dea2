/// \file
/// Step sizes that fall with time or with visits.
#pragma once

#include <cstdint>

#include "kernels/core/fields.hpp"
#include "kernels/core/hd.hpp"
#include "kernels/core/math.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// alpha_t = max(end, alpha exp(-decay_rate t)), or max(end, alpha / n^power) at the n-th update of
/// an entry. No decay and no visits: constant.
struct LearningRate {
  enum Schedule : int32_t { kExponential = 0, kVisits = 1 };

  struct Config {
    double alpha = 0.1;
    Choice schedule{kExponential};
    double end = 0.0;
    double decay_rate = 0.0;
    double power = 1.0;

    void fields(FieldVisitor& v) {
      v("alpha", alpha, Bounds{0, 1}, "", "learning rate at the start");
      v.choice("rate.schedule", schedule, {"exponential", "visits"},
               "alpha * exp(-decay_rate t), or alpha / n^power at the n-th update of an entry");
      v("rate.end", end, Bounds{0, 1}, "", "lower bound of the learning rate");
      v("rate.decay_rate", decay_rate, Bounds{0, 1e3}, "1/step", "exponential decay rate");
      v("rate.power", power, Bounds{0, 1}, "", "visits: exponent of the count");
    }
  };

  Schedule schedule;
  double alpha;
  double end;
  double decay_rate;
  double power;

  static LearningRate make(const Config& c) {
    if (c.end > c.alpha) throw ParameterError("rate.end", "must not be above alpha");
    return {static_cast<Schedule>(c.schedule.value), c.alpha, c.end, c.decay_rate, c.power};
  }
  CUMARL_HD bool counts() const { return schedule == kVisits; }
  /// The rate of an update at step t, the entry's n-th (n from 1).
  CUMARL_HD double at(uint64_t t, uint64_t n) const {
    const double rate =
        counts()
            ? (power == 1.0 ? alpha / static_cast<double>(n)
                            : alpha * portable_exp(-power * portable_log(static_cast<double>(n))))
            : alpha * portable_exp(-decay_rate * static_cast<double>(t));
    return rate > end ? rate : end;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
