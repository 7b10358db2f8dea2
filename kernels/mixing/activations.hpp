/// \file
/// The activations of gated units, without branches, so that columns of a vector go side by side.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/core/math.hpp"

namespace cumarl::inline CUMARL_VARIANT {

namespace activations {

/// e^x for x in [-87, 87], beyond that e^87 or e^-87, and NaN for NaN. Relative error below 2e-7.
/// Method: x = n ln 2 + r, |r| <= ln 2 / 2, Taylor to r^7 (remainder below 6e-9), scale by 2^n.
CUMARL_HD CUMARL_INLINE float bounded_exp(float x) {
  x = x < -87.0F ? -87.0F : x;
  x = x > 87.0F ? 87.0F : x;
  constexpr float kShift = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number
  const float shifted = x * 1.44269504F + kShift;
  const float n = shifted - kShift;
  const float r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
  float p = 1.98412698e-4F;
  p = p * r + 1.38888889e-3F;
  p = p * r + 8.33333333e-3F;
  p = p * r + 4.16666667e-2F;
  p = p * r + 1.66666667e-1F;
  p = p * r + 0.5F;
  const float e = (p * r) * r + r + 1.0F;
  const uint32_t exponent = std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kShift);
  return e * std::bit_cast<float>((exponent + 127U) << 23);
}
CUMARL_HD CUMARL_INLINE double bounded_exp(double x) { return portable_exp(x); }

}  // namespace activations

/// 1 / (1 + e^-x).
template <class Real>
CUMARL_HD CUMARL_INLINE Real logistic(Real x) {
  return Real(1) / (Real(1) + activations::bounded_exp(-x));
}

/// tanh x; absolute error below 2e-7 (float), 1e-15 (double).
template <class Real>
CUMARL_HD CUMARL_INLINE Real hyperbolic_tangent(Real x) {
  const Real e = activations::bounded_exp(Real(-2) * (x < Real(0) ? -x : x));
  const Real t = (Real(1) - e) / (Real(1) + e);
  return x < Real(0) ? -t : t;
}

}  // namespace cumarl::inline CUMARL_VARIANT
