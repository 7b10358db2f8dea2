/// \file
/// One run of a joint learner in an environment, whose memory a test can look into. Compiles every
/// joint learner for the teams that are asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/linear/any_joint_impl.hpp"
#include "kernels/linear/make_joint.hpp"
#include "kernels/rollout/joint_rollout.hpp"
#include "tests/emulated_team.hpp"

namespace cumarl {

/// Where a registered joint learner stands in learners.def.
template <template <class> class Learner>
int kind_of() {
  int found = -1;
  for (int kind = 0; kind < kJointLearners; ++kind) {
    dispatch_joint<float>(kind, [&]<class L>() {
      if (std::string(L::kFacts.name) == Learner<float>::kFacts.name) found = kind;
    });
  }
  return found;
}

/// One run of a joint learner in an environment, advanced launch by launch.
template <class Env, template <class> class Learner>
class OneRun {
 public:
  using Config = typename Learner<float>::Config;

  /// `shared_view`: agents who are shown the same have one x.
  OneRun(const typename Env::Config& env, const Config& config, bool shared_view = false) {
    cell_.env = Env::make(env, arena_);
    cell_.stop = {0, 1u << 30};
    cell_.evaluation = {1, 1, 0, false};
    JointEnv told;
    told.agents = Env::agents(cell_.env);
    told.reward = Env::reward_bounds(cell_.env);
    told.has_costs = HasCosts<Env>;
    told.shared_view = shared_view;
    if constexpr (requires { Env::endless(cell_.env); }) told.endless = Env::endless(cell_.env);
    for (int i = 0; i < told.agents; ++i) {
      told.actions.push_back(Env::actions(cell_.env, i));
      told.observations.push_back(Env::observations(cell_.env, i));
      std::vector<Bounds> ranges;
      for (int k = 0; k < Env::features(cell_.env, i); ++k) {
        Bounds range{0, 1};
        if constexpr (requires { Env::feature_range(cell_.env, i, k); }) {
          range = Env::feature_range(cell_.env, i, k);
        }
        ranges.push_back(range);
      }
      told.features.push_back(ranges);
    }
    told.global.assign(static_cast<size_t>(global_features<Env>(cell_.env)), {0, 1});
    cell_.learner =
        make_joint({kind_of<Learner>(), std::make_shared<const Config>(config)}, told, arena_);
    cell_.memory_bytes = cell_.learner.bytes;
    memory_.assign(cell_.memory_bytes / 64 + 1, Line{});
    rollout_.cells = reinterpret_cast<const std::byte*>(&cell_);
    rollout_.states = reinterpret_cast<std::byte*>(&state_);
    rollout_.memory = memory_[0].bytes;
    rollout_.slots = &slot_;
    rollout_.layout = {sizeof(cell_), sizeof(state_), cell_.memory_bytes};
    rollout_.seed = 5;
    rollout_.phase = &phase_;
    start_joint_run<Env>(SerialTeam{}, rollout_, 0);
  }

  OneRun& serial(uint64_t steps) {
    rollout_.budget = steps;
    advance_joint_run<Env>(SerialTeam{}, rollout_, 0);
    return *this;
  }
  OneRun& together(uint64_t steps) {
    rollout_.budget = steps;
    run_emulated<4>([&](const auto& team) { advance_joint_run<Env>(team, rollout_, 0); });
    return *this;
  }
  /// From now on the learner is shown all entries of x, whatever is enough of them. Pre: no step was
  /// taken yet.
  OneRun& dense() {
    JointParams& p = cell_.learner;
    const size_t real = p.float64 ? sizeof(double) : sizeof(float);
    p.sparse = false;
    p.agents_bytes = static_cast<size_t>(p.agents * p.pitch) * real;
    p.place_bytes = p.agents_bytes + static_cast<size_t>(p.global_pitch) * real;
    p.x_at = cell_.memory_bytes;  // behind everything else
    cell_.memory_bytes += 2 * p.place_bytes;
    memory_.resize(cell_.memory_bytes / 64 + 1);
    rollout_.memory = memory_[0].bytes;
    rollout_.layout.memory_bytes = cell_.memory_bytes;
    return *this;
  }
  /// The learner's memory and the ledger.
  std::vector<std::byte> learnt() const {
    const std::byte* const at = memory_[0].bytes;
    return {at + cell_.learner.learner_at, at + cell_.learner.bytes};
  }
  const Constraint::Ledger& ledger() const {
    return *reinterpret_cast<const Constraint::Ledger*>(memory_[0].bytes + cell_.learner.ledger_at);
  }
  const JointCell<Env>& cell() const { return cell_; }
  std::byte* memory() { return memory_[0].bytes; }
  typename Env::State& state() { return state_.env; }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  HostArena arena_;
  JointCell<Env> cell_{};
  RunState<Env> state_{};
  Slot slot_{3, 0};
  SlotPhase phase_ = SlotPhase::started;
  std::vector<Line> memory_;
  Rollout rollout_{};
};

}  // namespace cumarl
