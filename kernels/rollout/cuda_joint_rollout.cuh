/// \file
/// The rollout of joint learners on a GPU: a tile of 16 lanes a run.
#pragma once

#include "kernels/core/launch.cuh"
#include "kernels/rollout/joint_rollout.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Lanes of a run: a column of a vector each (kernels/linear/vector_ops.hpp).
using JointTile = CudaTile<kColumns>;

/// For tiles on the device only: defined by the generated any_joint.cu (any_joint_impl.cuh).
template <>
struct AnyJointOf<JointTile> {
  __device__ static void init(const JointTile& team, const JointParams& p, std::byte* memory,
                              RunKey key);
  __device__ static void see(const JointTile& team, const JointParams& p, std::byte* memory,
                             const uint32_t* index, int which);
  __device__ static void act(const JointTile& team, const JointParams& p, std::byte* memory,
                             int which, const uint32_t* words, uint64_t t, JointAction& out);
  __device__ static void learn(const JointTile& team, const JointParams& p, std::byte* memory,
                               int from, const JointStep& step);
  __device__ static void preferences(const JointTile& team, const JointParams& p, std::byte* memory,
                                     int which, int agent, double* out);
};

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
  launch_teams<kColumns>(backend, r.live_count, 0, CudaAdvanceJoint<Env>{r},
                         static_cast<int>(r.policies->cuda_rollout.threads));
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
