/// \file
/// Steps that a joint learner keeps until it learns from them, in the run's memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/linear/joint_learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// What is kept of a step for each agent, besides its x.
enum class Kept : uint8_t {
  chosen,           ///< an action's number, or u (LinearActor)
  log_probability,  ///< of it, when it was played
  reward,
  value,      ///< of the state, by the critic of that time
  next,       ///< of the state that followed, where the record breaks off behind the step
  advantage,  ///< how much better than expected it turned out
  target,     ///< what the critic learns
  count
};

/// Room for `steps` steps of `agents` agents: x [steps][agents][pitch], the global vector
/// [steps][global_pitch], Kept [Kept::count][steps][agents], and how each step left the episode.
template <class Real>
struct Trajectory {
  struct Shape {
    int32_t steps, agents, pitch;
    int32_t global_pitch;  ///< 0: the global vector is not kept
  };

  CUMARL_HD static size_t bytes(const Shape& s) {
    return vectors(s) * sizeof(Real) + kept(s) * sizeof(Real) +
           (static_cast<size_t>(s.steps) + 63) / 64 * 64;
  }
  /// Pre: memory is 64-byte aligned, with bytes(s) of room.
  CUMARL_HD Trajectory(const Shape& s, std::byte* memory)
      : shape_(s), x_(reinterpret_cast<Real*>(memory)) {}

  CUMARL_HD Real* x(int step, int agent) const {
    return x_ + (static_cast<size_t>(step) * static_cast<size_t>(shape_.agents) +
                 static_cast<size_t>(agent)) *
                    static_cast<size_t>(shape_.pitch);
  }
  CUMARL_HD Real* global(int step) const {
    return x(shape_.steps, 0) +
           static_cast<size_t>(step) * static_cast<size_t>(shape_.global_pitch);
  }
  CUMARL_HD Real& at(Kept what, int step, int agent) const {
    const size_t k =
        static_cast<size_t>(what) * static_cast<size_t>(shape_.steps) + static_cast<size_t>(step);
    return x_[vectors(shape_) + k * static_cast<size_t>(shape_.agents) +
              static_cast<size_t>(agent)];
  }
  CUMARL_HD Episode& episode(int step) const {
    return reinterpret_cast<Episode*>(x_ + vectors(shape_) + kept(shape_))[step];
  }
  /// Whether nothing that follows the step is kept: its `next` counts.
  CUMARL_HD bool breaks_off(int step, int count) const {
    return step + 1 == count || episode(step) != Episode::goes_on;
  }

  /// Keeps what was seen before a step; a lane writes its own columns.
  template <class Team>
  CUMARL_HD void keep(const Team& team, int step, const Seen<Real>& seen) const {
    for (int i = 0; i < shape_.agents; ++i) {
      copy_vector(team, x(step, i), seen.agent(i), shape_.pitch);
    }
    if (shape_.global_pitch > 0) copy_vector(team, global(step), seen.global, shape_.global_pitch);
  }

 private:
  CUMARL_HD static size_t vectors(const Shape& s) {
    return static_cast<size_t>(s.steps) *
           (static_cast<size_t>(s.agents) * static_cast<size_t>(s.pitch) +
            static_cast<size_t>(s.global_pitch));
  }
  CUMARL_HD static size_t kept(const Shape& s) {
    return static_cast<size_t>(Kept::count) * static_cast<size_t>(s.steps) *
           static_cast<size_t>(s.agents);
  }

  Shape shape_;
  Real* x_;
};

}  // namespace cumarl::inline CUMARL_VARIANT
