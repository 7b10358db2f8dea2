/// \file
/// The rollout of joint learners on a GPU: a tile of 16 lanes a run.
#pragma once

#include "kernels/core/launch.cuh"
#include "kernels/rollout/joint_rollout.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Lanes of a run: a column of a vector each (kernels/linear/vector_ops.hpp).
using JointTile = CudaTile<kColumns>;

extern template struct AnyJointOf<JointTile>;

template <class Env>
struct CudaStartJoint {
  Rollout r;
  template <class Team>
  __device__ void operator()(const Team& team, uint64_t i, std::byte*) const {
    start_joint_run<Env>(team, r, r.live[i]);
  }
};

template <class Env>
struct CudaAdvanceJoint {
  Rollout r;
  template <class Team>
  __device__ void operator()(const Team& team, uint64_t i, std::byte*) const {
    advance_joint_run<Env>(team, r, r.live[i]);
  }
};

template <class Env>
struct CudaFinishJoint {
  Rollout r;
  __device__ void operator()(uint64_t i) const { finish_joint_run<Env>(r, r.live[i]); }
};

template <class Env>
void cuda_start_joint(const CudaBackend& backend, const Rollout& r) {
  launch_teams<kColumns>(backend, r.live_count, 0, CudaStartJoint<Env>{r});
}
template <class Env>
void cuda_advance_joint(const CudaBackend& backend, const Rollout& r) {
  launch_teams<kColumns>(backend, r.live_count, 0, CudaAdvanceJoint<Env>{r});
}
template <class Env>
void cuda_finish_joint(const CudaBackend& backend, const Rollout& r) {
  launch(backend, r.live_count, CudaFinishJoint<Env>{r});
}

/// The loops of joint learners on an environment.
template <class Env>
Kernels<CudaBackend> cuda_joint_kernels() {
  if constexpr (plays_jointly<Env>()) {
    return {&cuda_start_joint<Env>, &cuda_advance_joint<Env>, &cuda_finish_joint<Env>};
  } else {
    return {};
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
