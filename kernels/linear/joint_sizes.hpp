/// \file
/// How large a joint learner's game can be.
#pragma once

namespace cumarl {

/// Most agents of a joint learner.
inline constexpr int kMaxJointAgents = 16;
/// Most actions of an agent of a joint learner.
inline constexpr int kMaxJointActions = 128;

}  // namespace cumarl
