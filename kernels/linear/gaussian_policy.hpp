/// \file
/// The Gaussian policy over real actions: density, entropy, and their derivatives by mean and
/// logarithm of the standard deviation.
#pragma once

#include <cstdint>

#include "kernels/core/math.hpp"
#include "kernels/core/rng.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// u ~ N(mean, exp(log_std)^2), in double.
struct GaussianPolicy {
  double mean;
  double log_std;

  CUMARL_HD double deviation() const { return portable_exp(log_std); }
  /// (u - mean) in standard deviations.
  CUMARL_HD double standardized(double u) const { return (u - mean) * portable_exp(-log_std); }

  /// A draw from one random word.
  CUMARL_HD double draw(uint32_t word) const { return mean + deviation() * normal_draw(word); }

  CUMARL_HD double log_density(double u) const {
    constexpr double kHalfLogTwoPi = 0.91893853320467274178;
    const double z = standardized(u);
    return -0.5 * (z * z) - log_std - kHalfLogTwoPi;
  }
  CUMARL_HD double entropy() const {
    constexpr double kHalfLogTwoPiE = 1.4189385332046727418;
    return log_std + kHalfLogTwoPiE;
  }

  /// d log_density / d mean.
  CUMARL_HD double mean_score(double u) const { return standardized(u) * portable_exp(-log_std); }
  /// d log_density / d log_std.
  CUMARL_HD double log_std_score(double u) const {
    const double z = standardized(u);
    return z * z - 1.0;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
