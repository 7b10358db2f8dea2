/// \file
/// exp, log and what comes of them with the same bits on every compiler, host and device: fixed
/// polynomials in plain double multiply and add (the build forbids contraction), no table, no
/// library call but sqrt, which IEEE 754 rounds correctly everywhere.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/core/hd.hpp"

namespace cumarl::inline CUMARL_VARIANT {

namespace math {
/// e^x as fraction * 2^n, n the whole number in the lowest bits of `shifted`; Real is double or a
/// vector of doubles. Pre: |x| <= 709.
/// Method: x = n ln 2 + r, |r| <= ln 2 / 2, Taylor to r^13 (remainder below 2^-57).
template <class Real>
CUMARL_HD CUMARL_INLINE void split_exp(const Real& x, Real& fraction, Real& shifted) {
  constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to a whole number
  shifted = x * 1.4426950408889634 + kShift;
  const Real n = shifted - kShift;
  const Real r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
  Real p = r * 1.6059043836821613e-10 + 2.0876756987868099e-09;
  p = p * r + 2.5052108385441720e-08;
  p = p * r + 2.7557319223985888e-07;
  p = p * r + 2.7557319223985893e-06;
  p = p * r + 2.4801587301587302e-05;
  p = p * r + 1.9841269841269841e-04;
  p = p * r + 1.3888888888888889e-03;
  p = p * r + 8.3333333333333332e-03;
  p = p * r + 4.1666666666666664e-02;
  p = p * r + 1.6666666666666666e-01;
  p = p * r + 0.5;
  fraction = (p * r) * r + r + 1.0;
}
}  // namespace math

/// e^x. Error below 2 ulp for x in [-708, 709]; 0 below that, +inf above (and NaN for NaN).
CUMARL_HD inline double portable_exp(double x) {
  if (!(x >= -708.0)) return x != x ? x : 0.0;
  if (x > 709.0) return std::bit_cast<double>(uint64_t{0x7FF0000000000000});
  double e, shifted;
  math::split_exp(x, e, shifted);
  const int64_t exponent = static_cast<int64_t>(std::bit_cast<uint64_t>(shifted) << 32) >> 32;
  return e * std::bit_cast<double>(static_cast<uint64_t>(exponent + 1023) << 52);
}

/// ln x for positive normal x; error below 2.5 ulp (worst found 2.0). -inf for 0, NaN for negative x.
/// Method: x = 2^n m, m in [sqrt(1/2), sqrt 2], ln m = 2 atanh(z), z = (m-1)/(m+1), to z^23.
CUMARL_HD inline double portable_log(double x) {
  if (!(x > 0.0)) {
    return std::bit_cast<double>(x == 0.0 ? uint64_t{0xFFF0000000000000}
                                          : uint64_t{0x7FF8000000000000});
  }
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  if (bits >= 0x7FF0000000000000) return x;
  int64_t n = static_cast<int64_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFF) | 0x3FF0000000000000);
  if (m > 1.4142135623730951) {
    m = 0.5 * m;
    n += 1;
  }
  const double f = m - 1.0;
  const double z = f / (m + 1.0);
  const double w = z * z;
  double p = 1.0 / 23.0;
  p = p * w + 1.0 / 21.0;
  p = p * w + 1.0 / 19.0;
  p = p * w + 1.0 / 17.0;
  p = p * w + 1.0 / 15.0;
  p = p * w + 1.0 / 13.0;
  p = p * w + 1.0 / 11.0;
  p = p * w + 1.0 / 9.0;
  p = p * w + 1.0 / 7.0;
  p = p * w + 1.0 / 5.0;
  p = p * w + 1.0 / 3.0;
  const double k = static_cast<double>(n);
  const double tail = 2.0 * z * (w * p) + k * 1.90821492927058770002e-10;
  return k * 0.693147180369123816490 + (2.0 * z + tail);
}

/// tanh x, by exp; absolute error below 4e-16.
CUMARL_HD inline double portable_tanh(double x) {
  const double e = portable_exp(-2.0 * (x < 0 ? -x : x));
  const double t = (1.0 - e) / (1.0 + e);
  return x < 0 ? -t : t;
}

/// cos(pi x), absolute error below 1e-15, for |x| below 2^31.
/// Method: x = n + r, |r| <= 1/2; Taylor of cos(pi r) to r^22 (remainder below 1e-19), sign (-1)^n.
CUMARL_HD inline double portable_cos_pi(double x) {
  constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to a whole number
  const double shifted = x + kShift;
  const double r = (x - (shifted - kShift)) * 3.14159265358979323846;
  const double w = r * r;
  double p = -8.896791392450574e-22;
  p = p * w + 4.110317623312165e-19;
  p = p * w - 1.5619206968586225e-16;
  p = p * w + 4.779477332387385e-14;
  p = p * w - 1.1470745597729725e-11;
  p = p * w + 2.08767569878681e-09;
  p = p * w - 2.755731922398589e-07;
  p = p * w + 2.48015873015873e-05;
  p = p * w - 1.3888888888888889e-03;
  p = p * w + 4.1666666666666664e-02;
  p = p * w - 0.5;
  p = p * w + 1.0;
  return (std::bit_cast<uint64_t>(shifted) & 1) == 0 ? p : -p;
}

namespace math {
/// The polynomial with `count` coefficients, the lowest first.
CUMARL_HD inline double polynomial(const double* coefficient, int count, double x) {
  double p = coefficient[count - 1];
  for (int k = count - 2; k >= 0; --k) p = p * x + coefficient[k];
  return p;
}
}  // namespace math

/// The quantile of the standard normal distribution at p in (0, 1), relative error below 1e-15.
/// Source: Wichura, "The percentage points of the normal distribution", Applied Statistics 37,
/// 1988, algorithm AS 241, PPND16.
CUMARL_HD inline double normal_quantile(double p) {
  constexpr double kA[8] = {3.3871328727963666080e0,  1.3314166789178437745e+2,
                            1.9715909503065514427e+3, 1.3731693765509461125e+4,
                            4.5921953931549871457e+4, 6.7265770927008700853e+4,
                            3.3430575583588128105e+4, 2.5090809287301226727e+3};
  constexpr double kB[8] = {1.0,
                            4.2313330701600911252e+1,
                            6.8718700749205790830e+2,
                            5.3941960214247511077e+3,
                            2.1213794301586595867e+4,
                            3.9307895800092710610e+4,
                            2.8729085735721942674e+4,
                            5.2264952788528545610e+3};
  constexpr double kC[8] = {1.42343711074968357734e0,  4.63033784615654529590e0,
                            5.76949722146069140550e0,  3.64784832476320460504e0,
                            1.27045825245236838258e0,  2.41780725177450611770e-1,
                            2.27238449892691845833e-2, 7.74545014278341407640e-4};
  constexpr double kD[8] = {1.0,
                            2.05319162663775882187e0,
                            1.67638483018380384940e0,
                            6.89767334985100004550e-1,
                            1.48103976427480074590e-1,
                            1.51986665636164571966e-2,
                            5.47593808499534494600e-4,
                            1.05075007164441684324e-9};
  constexpr double kE[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,
                            1.78482653991729133580e0,  2.96560571828504891230e-1,
                            2.65321895265761230930e-2, 1.24266094738807843860e-3,
                            2.71155556874348757815e-5, 2.01033439929228813265e-7};
  constexpr double kF[8] = {1.0,
                            5.99832206555887937690e-1,
                            1.36929880922735805310e-1,
                            1.48753612908506148525e-2,
                            7.86869131145613259100e-4,
                            1.84631831751005468180e-5,
                            1.42151175831644588870e-7,
                            2.04426310338993978564e-15};
  const double q = p - 0.5;
  if (q >= -0.425 && q <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * math::polynomial(kA, 8, r) / math::polynomial(kB, 8, r);
  }
  const double r = std::sqrt(-portable_log(q < 0 ? p : 1.0 - p));
  const double z = r <= 5.0 ? math::polynomial(kC, 8, r - 1.6) / math::polynomial(kD, 8, r - 1.6)
                            : math::polynomial(kE, 8, r - 5.0) / math::polynomial(kF, 8, r - 5.0);
  return q < 0 ? -z : z;
}

/// A standard normal draw from 32 random bits.
CUMARL_HD inline double normal_draw(uint32_t word) {
  return normal_quantile((static_cast<double>(word) + 0.5) * (1.0 / 4294967296.0));
}

}  // namespace cumarl::inline CUMARL_VARIANT
