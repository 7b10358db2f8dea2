/// \file
/// AnyJointOf for tiles of CUDA threads. Included by the generated any_joint.cu only.
#pragma once

#include "kernels/linear/any_joint_impl.hpp"
#include "kernels/rollout/cuda_joint_rollout.cuh"

namespace cumarl::inline CUMARL_VARIANT {

__device__ void AnyJointOf<JointTile>::init(const JointTile& team, const JointParams& p,
                                            std::byte* memory, RunKey key) {
  any_joint::init(team, p, memory, key);
}
__device__ void AnyJointOf<JointTile>::see(const JointTile& team, const JointParams& p,
                                           std::byte* memory, const uint32_t* index, int which) {
  any_joint::see(team, p, memory, index, which);
}
__device__ void AnyJointOf<JointTile>::act(const JointTile& team, const JointParams& p,
                                           std::byte* memory, int which, const uint32_t* words,
                                           uint64_t t, JointAction& out) {
  any_joint::act(team, p, memory, which, words, t, out);
}
__device__ void AnyJointOf<JointTile>::learn(const JointTile& team, const JointParams& p,
                                             std::byte* memory, int from, const JointStep& step) {
  any_joint::learn(team, p, memory, from, step);
}
__device__ void AnyJointOf<JointTile>::preferences(const JointTile& team, const JointParams& p,
                                                   std::byte* memory, int which, int agent,
                                                   double* out) {
  any_joint::preferences(team, p, memory, which, agent, out);
}

}  // namespace cumarl::inline CUMARL_VARIANT
