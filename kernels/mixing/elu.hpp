/// \file
/// The exponential linear unit: x where x is not negative, e^x - 1 below, with the bits of
/// portable_exp, for one number and for vectors of them.
/// Source: Clevert, Unterthiner, Hochreiter, "Fast and Accurate Deep Network Learning by
/// Exponential Linear Units (ELUs)", ICLR 2016, with alpha = 1. Deviation: none.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/core/math.hpp"
#include "kernels/mixing/batch_ops.hpp"

namespace cumarl::inline CUMARL_VARIANT {

template <class Real>
CUMARL_HD CUMARL_INLINE Real elu(Real x) {
  return x < Real(0) ? static_cast<Real>(portable_exp(static_cast<double>(x)) - 1.0) : x;
}

#if !defined(__CUDACC__)
/// elu(x) of n numbers in place, by vectors. Below -708, where portable_exp is 0, the exponential is
/// too small to be seen beside the 1.
/// Pre: x is aligned to 64 bytes; n is padded.
template <class Real>
CUMARL_INLINE void elu_columns(Real* x, int n) {
  using In = batch_ops::Registers<double>;
  using Vector = typename In::Vector;
  typedef Real Few  // NOLINT(modernize-use-using): attributes of a dependent type
      __attribute__((vector_size(In::kLanes * sizeof(Real)), may_alias));
  typedef int64_t Bits  // NOLINT(modernize-use-using): attributes
      __attribute__((vector_size(In::kBytes), may_alias));
  for (int k = 0; k < n; k += In::kLanes) {
    Few& place = *reinterpret_cast<Few*>(x + k);
    const Vector was = __builtin_convertvector(place, Vector);
    const Vector none{};
    const Vector below = was < none ? was : none;
    const Vector v = below > none - 708.0 ? below : none - 708.0;
    Vector e, shifted;
    math::split_exp(v, e, shifted);
    // the lowest bits of `shifted` are the whole number; the shift drops all others
    const Bits scale = (std::bit_cast<Bits>(shifted) + 1023) << 52;
    const Vector bent = e * std::bit_cast<Vector>(scale) - 1.0;
    place = __builtin_convertvector(was < none ? bent : was, Few);
  }
}
#endif

}  // namespace cumarl::inline CUMARL_VARIANT
