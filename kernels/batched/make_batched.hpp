/// \file
/// The parameters of a batched run of any registered learner that has one, on the host. Included by
/// the generated registry.
#pragma once

#include <memory>
#include <string>

#include "kernels/batched/dispatch.hpp"
#include "kernels/batched/shape.hpp"
#include "kernels/linear/make_joint.hpp"

namespace cumarl {

/// Whether its settings ask for the batched shape.
inline bool asks_for_lanes(const JointChoice& choice) {
  bool batched = false;
  dispatch_joint<double>(choice.kind, [&]<class L>() {
    if constexpr (Batchable<L>) {
      batched = static_cast<const typename L::Config*>(choice.config.get())->batched.batched();
    }
  });
  return batched;
}

/// Parameters of a population run of the learner with an empty replay, whose weights and evaluation
/// a batched run shares, and the sizes of the rest. Throws ParameterError.
inline JointParams make_batched(const JointChoice& choice, const JointEnv& env, size_t state_bytes,
                                Arena& arena, BatchedShape& s) {
  JointParams p{};
  const auto make = [&]<class L>() {
    using Real = typename L::Real;
    const auto& config = *static_cast<const typename L::Config*>(choice.config.get());
    if ((config.precision.value == 1) != (sizeof(Real) == 8)) return;
    check_batched(config);
    auto alone = config;
    alone.batch = 1;
    alone.slots = 1;
    alone.batched = {};
    p = make_joint({choice.kind, std::make_shared<typename L::Config>(alone)}, env, arena);
    s = batched_shape<L>(config, p, state_bytes);
  };
  const auto dispatch = [&](auto real) {
    dispatch_joint<decltype(real)>(choice.kind, [&]<class L>() {
      if constexpr (Batchable<L>) make.template operator()<L>();
    });
  };
  dispatch(0.0F);
  dispatch(0.0);
  return p;
}

}  // namespace cumarl
