/// \file
/// A joint learner in one run, driven by hand: parameters, memory and what it sees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/linear/joint_learner.hpp"

namespace cumarl {

/// What a learner of `agents` agents is told, with `size` features each and in the global vector.
inline JointSpec joint_spec(int agents, int actions, int size, int global_size) {
  JointSpec spec{};
  spec.agents = agents;
  for (int i = 0; i < agents; ++i) {
    spec.actions[i] = actions;
    spec.low[i] = -1;
    spec.high[i] = 1;
    spec.size[i] = size;
  }
  spec.pitch = padded(size);
  spec.global_size = global_size;
  spec.global_pitch = padded(global_size);
  spec.reward_low = -1;
  spec.reward_high = 1;
  return spec;
}

template <class L, class Real>
class JointSeat {
 public:
  JointSeat(const typename L::Config& config, const JointSpec& spec, RunKey run = {1, 0})
      : key(run), spec_(spec) {
    p = L::make(config, spec, arena_);
    memory_.assign(L::bytes(p) / 64 + 2, Block{});
    for (auto& place : x_) {
      place.assign(
          static_cast<size_t>(spec.agents * spec.pitch + spec.global_pitch) * sizeof(Real) / 64 + 1,
          Block{});
    }
  }

  std::byte* memory() { return memory_[0].bytes; }
  size_t bytes() const { return L::bytes(p); }
  /// Entries that a step sees before (0) or after it (1).
  Real* x(int which, int agent) { return start(which) + agent * spec_.pitch; }
  Real* global(int which) { return start(which) + spec_.agents * spec_.pitch; }
  Seen<Real> seen(int which) { return {start(which), spec_.pitch, global(which)}; }

  template <class Team>
  void init(const Team& team) {
    L::init(team, p, memory(), key);
    team.sync();
  }
  /// Acts at step t, with random words of the run's.
  template <class Team>
  JointAction act(const Team& team, uint64_t t) {
    uint32_t words[kMaxJointAgents];
    Rng rng(key, t, Stream::explore);
    for (auto& word : words) word = rng.word();
    JointAction out{};
    L::act(team, p, memory(), seen(0), words, t, out);
    return out;
  }
  template <class Team>
  int learn(const Team& team, const JointAction& actions, const float* rewards, Episode episode,
            uint64_t t) {
    return L::learn(team, p, memory(), seen(0), seen(1), {&actions, rewards, episode, t, key});
  }
  std::vector<double> policy(int which, int agent) {
    std::vector<double> out(kMaxJointActions);
    L::policy(SerialTeam{}, p, memory(), seen(which), agent, out.data());
    return out;
  }

  typename L::Params p;
  RunKey key;

 private:
  struct alignas(64) Block {
    std::byte bytes[64];
  };
  Real* start(int which) { return reinterpret_cast<Real*>(x_[which][0].bytes); }

  JointSpec spec_;
  HostArena arena_;
  std::vector<Block> memory_;
  std::vector<Block> x_[2];
};

}  // namespace cumarl
