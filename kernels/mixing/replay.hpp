/// \file
/// Episodes that a joint learner learns from again and again, in the run's memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/linear/joint_learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A ring of slots, each with an episode, or a piece of one, of up to `steps` joint steps, and what
/// was seen behind the last of them; one more slot is being written. With steps = 1 these are single
/// transitions. Places are numbered slot * (steps + 1) + step.
/// Memory: of a place x [agents][pitch] and the global vector; rewards [rewards]; numbers of actions;
/// how a step left the episode; lengths of the slots.
template <class Real>
struct Replay {
  struct Shape {
    int32_t slots;  ///< of complete episodes; there is one more
    int32_t steps;
    int32_t agents, pitch, global_pitch;
    int32_t rewards;  ///< of a step: one of all agents together, or one an agent
  };

  CUMARL_HD static size_t bytes(const Shape& s) {
    return places(s) *
               ((vector(s) + static_cast<size_t>(s.rewards)) * sizeof(Real) + kMaxJointAgents + 1) +
           (static_cast<size_t>(s.slots) + 1) * sizeof(int32_t) + 4 * 64;
  }
  /// Pre: memory is 64-byte aligned, with bytes(s) of room.
  CUMARL_HD Replay(const Shape& s, std::byte* memory) : shape_(s), memory_(memory) {}

  CUMARL_HD Real* x(int place, int agent) const {
    return reinterpret_cast<Real*>(memory_) + static_cast<size_t>(place) * vector(shape_) +
           static_cast<size_t>(agent) * static_cast<size_t>(shape_.pitch);
  }
  CUMARL_HD Real* global(int place) const { return x(place, shape_.agents); }
  /// Of the agents together, or of one of them.
  CUMARL_HD Real& reward(int place, int which = 0) const {
    return reinterpret_cast<Real*>(memory_ + rewards_at())[place * shape_.rewards + which];
  }
  CUMARL_HD int32_t& length(int slot) const {
    return reinterpret_cast<int32_t*>(memory_ + lengths_at())[slot];
  }
  /// [kMaxJointAgents]
  CUMARL_HD uint8_t* actions(int place) const {
    return reinterpret_cast<uint8_t*>(memory_ + actions_at()) +
           static_cast<size_t>(place) * kMaxJointAgents;
  }
  CUMARL_HD Episode& episode(int place) const {
    return reinterpret_cast<Episode*>(memory_ + actions_at() +
                                      places(shape_) * kMaxJointAgents)[place];
  }
  CUMARL_HD int place(int slot, int step) const { return slot * (shape_.steps + 1) + step; }

  /// Keeps what was seen; a lane writes its own columns.
  template <class Team>
  CUMARL_HD void keep(const Team& team, int place, const Seen<Real>& seen) const {
    for (int i = 0; i < shape_.agents; ++i) {
      copy_vector(team, x(place, i), seen.agent(i), shape_.pitch);
    }
    copy_vector(team, global(place), seen.global, shape_.global_pitch);
  }

 private:
  CUMARL_HD static size_t vector(const Shape& s) {
    return static_cast<size_t>(s.agents) * static_cast<size_t>(s.pitch) +
           static_cast<size_t>(s.global_pitch);
  }
  CUMARL_HD static size_t places(const Shape& s) {
    return (static_cast<size_t>(s.slots) + 1) * (static_cast<size_t>(s.steps) + 1);
  }
  CUMARL_HD static size_t up(size_t bytes) { return (bytes + 63) / 64 * 64; }
  CUMARL_HD size_t rewards_at() const { return up(places(shape_) * vector(shape_) * sizeof(Real)); }
  CUMARL_HD size_t lengths_at() const {
    return rewards_at() + up(places(shape_) * static_cast<size_t>(shape_.rewards) * sizeof(Real));
  }
  CUMARL_HD size_t actions_at() const {
    return lengths_at() + up((static_cast<size_t>(shape_.slots) + 1) * sizeof(int32_t));
  }

  Shape shape_;
  std::byte* memory_;
};

}  // namespace cumarl::inline CUMARL_VARIANT
