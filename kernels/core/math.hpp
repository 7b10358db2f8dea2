/// \file
/// exp and log with the same bits on every compiler, host and device: fixed polynomials in plain
/// double multiply and add (the build forbids contraction), no table, no library call.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/core/hd.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// e^x. Error below 2 ulp for x in [-708, 709]; 0 below that, +inf above (and NaN for NaN).
/// Method: x = n ln 2 + r, |r| <= ln 2 / 2, Taylor to r^13 (remainder below 2^-57), scale by 2^n.
CUMARL_HD inline double portable_exp(double x) {
  if (!(x >= -708.0)) return x != x ? x : 0.0;
  if (x > 709.0) return std::bit_cast<double>(uint64_t{0x7FF0000000000000});
  constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to a whole number
  const double shifted = x * 1.4426950408889634 + kShift;
  const double n = shifted - kShift;
  const double r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
  double p = 1.6059043836821613e-10;
  p = p * r + 2.0876756987868099e-09;
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
  const double e = (p * r) * r + r + 1.0;
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

}  // namespace cumarl::inline CUMARL_VARIANT
