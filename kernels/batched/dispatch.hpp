/// \file
/// From the number of a joint learner to its batched stages.
#pragma once

#include "any_joint.gen.hpp"  // dispatch_joint
#include "kernels/batched/stages.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Calls f.template operator()<L>() for the learner at hand, on the host. Pre: it is Batchable.
template <class F>
void dispatch_batched(const JointParams& p, F f) {
  const auto call = [&]<class L>() {
    if constexpr (Batchable<L>) f.template operator()<L>();
  };
  if (p.float64) {
    dispatch_joint<double>(p.kind, call);
  } else {
    dispatch_joint<float>(p.kind, call);
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
