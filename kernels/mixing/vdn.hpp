/// \file
/// Value decomposition networks: the joint value is the sum of the utilities.
#pragma once

#include "kernels/mixing/value_decomposition.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q(s, u) = sum of Q_i(x_i, u_i). It has no parameters.
/// Source: Sunehag et al., "Value-Decomposition Networks For Cooperative Multi-Agent Learning Based
/// On Team Reward", AAMAS 2018, eq. (1). Deviation: none.
template <class Real>
struct SumMixer {
  static constexpr LearnerFacts kFacts{"vdn", "value decomposition by a sum of utilities (VDN)",
                                       "Sunehag et al. 2018"};
  struct Config {
    void fields(FieldVisitor&) {}
  };
  struct Shape {
    int32_t agents;
  };
  static Shape make(const Config&, const MixerSpec& spec) { return {spec.agents}; }
  CUMARL_HD static size_t parameters(const Shape&) { return 0; }
  template <class F>
  CUMARL_HD static void for_weights(const Shape&, F) {}
  CUMARL_HD static size_t prepared(const Shape&) { return 0; }
  template <class Team>
  CUMARL_HD static void prepare(const Team&, const Shape&, const Real*, Real*) {}
  CUMARL_HD static size_t working(const Shape&, int) { return 0; }

  template <class Team>
  CUMARL_HD static void forward(const Team& team, const Shape& s, const Real*,
                                const MixRows<Real>& in, Real*, Real* total) {
    for_rows(team, in.rows, [&](int r) {
      Real sum = 0;
      for (int i = 0; i < s.agents; ++i) sum += in.q[r * kColumns + i];
      total[r] = sum;
    });
    team.sync();
  }

  template <class Team>
  CUMARL_HD static void backward(const Team& team, const Shape& s, const Real*, const Real*,
                                 const MixRows<Real>& in, const Real* slope, Real*, Real* dq,
                                 Real*) {
    for_rows(team, in.rows, [&](int r) {
      for (int i = 0; i < s.agents; ++i) dq[r * kColumns + i] = slope[r];
    });
    team.sync();
  }
};

template <class Real>
using Vdn = ValueDecomposition<Real, SumMixer>;

}  // namespace cumarl::inline CUMARL_VARIANT
