/// \file
/// A joint learner on a bench of its own: features, actions and rewards come from the test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <vector>

#include "kernels/linear/joint_learner.hpp"
#include "tests/emulated_team.hpp"

namespace cumarl {

/// `count` values of T, aligned to 64 bytes, zero.
template <class T>
class Aligned {
 public:
  explicit Aligned(size_t count) : storage_(count * sizeof(T) + 64) {
    const auto at = reinterpret_cast<uintptr_t>(storage_.data());
    data_ = reinterpret_cast<T*>((at + 63) / 64 * 64);
  }
  T* data() { return data_; }

 private:
  std::vector<std::byte> storage_;
  T* data_;
};

/// Agents whose x has sizes[i] entries, the last of them and of the global vector a one.
inline JointSpec bench_spec(const std::vector<int>& sizes, int global, bool real, int actions) {
  JointSpec spec{};
  spec.agents = static_cast<int>(sizes.size());
  spec.real = real;
  for (int i = 0; i < spec.agents; ++i) {
    spec.size[i] = sizes[static_cast<size_t>(i)];
    spec.actions[i] = actions;
    spec.low[i] = -1;
    spec.high[i] = 1;
    spec.pitch = std::max(spec.pitch, padded(spec.size[i]));
  }
  spec.global_size = global;
  spec.global_pitch = padded(global);
  spec.reward_low = -1;
  spec.reward_high = 1;
  return spec;
}

/// One run of learner L with numbers of type Real.
template <class L, class Real>
struct JointBench {
  JointBench(const typename L::Config& config, const JointSpec& told)
      : spec(told),
        params(L::make(config, told, arena)),
        storage(L::bytes(params)),
        memory(storage.data()) {
    for (int k = 0; k < 2; ++k) {
      x.emplace_back(static_cast<size_t>(spec.agents * spec.pitch));
      global.emplace_back(static_cast<size_t>(spec.global_pitch));
    }
    L::init(SerialTeam{}, params, memory, key);
  }
  Seen<Real> seen(int which) {
    const auto k = static_cast<size_t>(which);
    return {x[k].data(), spec.pitch, global[k].data()};
  }
  /// Fills a place with features in [0, 1] that are a function of t.
  void show(int which, uint64_t t) {
    Rng rng({99, 7}, t, Stream::dynamics);
    const auto k = static_cast<size_t>(which);
    for (int i = 0; i < spec.agents; ++i) {
      for (int j = 0; j < spec.size[i]; ++j) {
        x[k].data()[i * spec.pitch + j] =
            j == spec.size[i] - 1 ? Real(1) : static_cast<Real>(rng.unit());
      }
    }
    for (int j = 0; j < spec.global_size; ++j) {
      global[k].data()[j] = j == spec.global_size - 1 ? Real(1) : static_cast<Real>(rng.unit());
    }
  }
  template <class Team>
  JointAction act(const Team& team, uint64_t t) {
    uint32_t words[kMaxJointAgents];
    Rng rng(key, t, Stream::explore);
    for (uint32_t& word : words) word = rng.word();
    JointAction out{};
    L::act(team, params, memory, seen(0), words, t, out);
    return out;
  }
  template <class Team>
  int learn(const Team& team, uint64_t t, const JointAction& taken,
            const std::vector<float>& rewards, Episode episode = Episode::goes_on) {
    return L::learn(team, params, memory, seen(0), seen(1),
                    {&taken, rewards.data(), episode, t, key});
  }
  std::vector<double> policy(int agent) {
    std::vector<double> out(static_cast<size_t>(kMaxJointActions));
    L::policy(SerialTeam{}, params, memory, seen(0), agent, out.data());
    return out;
  }

  RunKey key{5, 3};
  HostArena arena;
  JointSpec spec;
  typename L::Params params;
  Aligned<std::byte> storage;
  std::byte* memory;
  std::vector<Aligned<Real>> x, global;
};

/// `steps` steps of features and rewards that are functions of t and of what was done.
template <class L, class Real, class Team>
void bench_run(const Team& team, JointBench<L, Real>& bench, uint64_t steps) {
  for (uint64_t t = 0; t < steps; ++t) {
    team.once([&] {
      bench.show(0, t);
      bench.show(1, t + 1);
    });
    const JointAction taken = bench.act(team, t);
    std::vector<float> rewards;
    for (int i = 0; i < bench.spec.agents; ++i) {
      const double did = bench.spec.real ? taken.value[i] : taken.action[i];
      rewards.push_back(static_cast<float>(0.3 * did - 0.1 * i));
    }
    const Episode episode = t % 7 == 6 ? Episode::ended : Episode::goes_on;
    bench.learn(team, t, taken, rewards, episode);
    team.sync();
  }
}

template <class L, class Real, int N>
void expect_same_memory(const typename L::Config& config, const JointSpec& spec, uint64_t steps) {
  JointBench<L, Real> alone(config, spec), together(config, spec);
  bench_run(SerialTeam{}, alone, steps);
  run_emulated<N>([&](const auto& team) {
    L::init(team, together.params, together.memory, together.key);
    bench_run(team, together, steps);
  });
  EXPECT_EQ(std::memcmp(alone.memory, together.memory, L::bytes(alone.params)), 0) << N;
}

/// The whole memory has the same bits for teams of 1, 2, 4, 8 and 16 lanes.
template <class L, class Real>
void expect_same_in_all_teams(const typename L::Config& config, const JointSpec& spec,
                              uint64_t steps) {
  expect_same_memory<L, Real, 2>(config, spec, steps);
  expect_same_memory<L, Real, 4>(config, spec, steps);
  expect_same_memory<L, Real, 8>(config, spec, steps);
  expect_same_memory<L, Real, 16>(config, spec, steps);
}

/// df/dx by the five-point central difference; error of order h^4.
inline double central_difference(double& x, double h, const std::function<double()>& f) {
  const double at = x;
  const auto value = [&](double k) {
    x = at + k * h;
    return f();
  };
  const double slope = (8 * (value(1) - value(-1)) - (value(2) - value(-2))) / (12 * h);
  x = at;
  return slope;
}

}  // namespace cumarl
