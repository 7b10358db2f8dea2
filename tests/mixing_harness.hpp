/// \file
/// A value decomposition learner in memory of its own, driven by hand, without an environment.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/mixing/iql.hpp"
#include "kernels/mixing/qmix.hpp"
#include "kernels/mixing/qtran.hpp"
#include "kernels/mixing/vdn.hpp"
#include "tests/emulated_team.hpp"

namespace cumarl::mixing_harness {

/// 64-byte aligned memory, zero at first.
class Block {
 public:
  explicit Block(size_t bytes) : storage_(bytes + 64) {
    const auto at = reinterpret_cast<uintptr_t>(storage_.data());
    data_ = storage_.data() + ((at + 63) / 64 * 64 - at);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  std::byte* data() const { return data_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  std::vector<std::byte> storage_;
  std::byte* data_;
};

/// What agents and state there are.
struct Sizes {
  std::vector<int> actions;
  std::vector<int> features;
  int state;
};

inline JointSpec joint_spec(const Sizes& sizes) {
  JointSpec spec{};
  spec.agents = static_cast<int>(sizes.actions.size());
  for (int i = 0; i < spec.agents; ++i) {
    spec.actions[i] = sizes.actions[static_cast<size_t>(i)];
    spec.size[i] = sizes.features[static_cast<size_t>(i)];
    spec.pitch = std::max(spec.pitch, padded(spec.size[i]));
  }
  spec.global_size = sizes.state;
  spec.global_pitch = padded(sizes.state);
  return spec;
}

template <class L, class Real>
class Driven {
 public:
  Driven(const typename L::Config& c, const Sizes& sizes, uint64_t run = 1)
      : spec(joint_spec(sizes)), p(L::make(c, spec, arena_)), memory_(L::bytes(p)), key{7, run} {
    L::init(SerialTeam{}, p, memory(), key);
  }
  std::byte* memory() const { return memory_.data(); }

  /// Everything that is seen at once: x of the agents, one behind the other, then the state.
  std::vector<Real> blank() const {
    return std::vector<Real>(static_cast<size_t>(spec.agents * spec.pitch + spec.global_pitch),
                             Real(0));
  }
  std::vector<Real> random(std::mt19937& rng) const {
    auto v = blank();
    const auto draw = [&rng] {
      return static_cast<Real>(static_cast<double>(rng()) / 4294967296.0 * 2.0 - 1.0);
    };
    for (int i = 0; i < spec.agents; ++i) {
      for (int k = 0; k < spec.size[i]; ++k) v[static_cast<size_t>(i * spec.pitch + k)] = draw();
    }
    for (int k = 0; k < spec.global_size; ++k) {
      v[static_cast<size_t>(spec.agents * spec.pitch + k)] = draw();
    }
    return v;
  }
  /// One transition, into the replay and what follows from it.
  template <class Team = SerialTeam>
  int learn(const std::vector<Real>& from, const std::vector<Real>& to,
            const std::vector<int>& actions, const std::vector<float>& rewards, Episode episode,
            const Team& team = {}) {
    Block a(from.size() * sizeof(Real)), b(to.size() * sizeof(Real));
    std::memcpy(a.data(), from.data(), from.size() * sizeof(Real));
    std::memcpy(b.data(), to.data(), to.size() * sizeof(Real));
    JointAction played{};
    for (size_t i = 0; i < actions.size(); ++i) played.action[i] = actions[i];
    return L::learn(team, p, memory(), seen(a.as<Real>()), seen(b.as<Real>()),
                    {&played, rewards.data(), episode, t++, key});
  }
  Seen<Real> seen(const Real* all) const {
    return {all, spec.pitch, all + spec.agents * spec.pitch};
  }
  /// The loss over the slots picked, and the gradient in gradient().
  Real descend() const { return L::descend(SerialTeam{}, p, memory()); }
  void pick_first() const {
    for (int b = 0; b < p.batch; ++b) L::picked(p, memory())[b] = b;
  }
  Real* weights() const { return L::weights(p, memory()); }
  Real* targets() const { return L::targets(p, memory()); }
  Real* gradient() const { return L::gradient(p, memory()); }

  /// The first matrix of that name, of that agent (or the first).
  Real* matrix(const std::string& name, int agent = -1) const {
    Real* found = nullptr;
    L::for_weights(p, [&](const Weights& w) {
      if (found == nullptr && name == w.name && (agent < 0 || w.agent == agent)) {
        found = weights() + w.at;
      }
    });
    return found;
  }
  std::vector<Real> utilities(const std::vector<Real>& see, int agent) const {
    Block x(see.size() * sizeof(Real)), h(64 * sizeof(Real) + 64), q(128 * sizeof(Real));
    std::memcpy(x.data(), see.data(), see.size() * sizeof(Real));
    L::Agents::forward(SerialTeam{}, p.utility, weights(), agent, x.as<Real>() + agent * spec.pitch,
                       1, h.as<Real>(), q.as<Real>());
    return {q.as<Real>(), q.as<Real>() + spec.actions[agent]};
  }
  /// Q(s, u), as the mixer has it.
  Real total(const std::vector<Real>& see, const std::vector<int>& actions) const {
    Block state(static_cast<size_t>(spec.global_pitch) * sizeof(Real)), q(kColumns * sizeof(Real)),
        a(kColumns * sizeof(int32_t)), out(64), work(L::Mix::working(p.mixer, 1) * sizeof(Real));
    std::memcpy(state.data(), see.data() + spec.agents * spec.pitch,
                static_cast<size_t>(spec.global_pitch) * sizeof(Real));
    for (int i = 0; i < spec.agents; ++i) {
      const auto at = static_cast<size_t>(i);
      q.as<Real>()[i] = utilities(see, i)[static_cast<size_t>(actions[at])];
      a.as<int32_t>()[i] = actions[at];
    }
    L::Mix::forward(SerialTeam{}, p.mixer, weights() + p.mixer_at,
                    MixRows<Real>{1, state.as<Real>(), q.as<Real>(), a.as<int32_t>()},
                    work.as<Real>(), out.as<Real>());
    return *out.as<Real>();
  }
  int greedy(const std::vector<Real>& see, int agent) const {
    const auto q = utilities(see, agent);
    return top_of(q.data(), static_cast<int>(q.size()));
  }

  JointSpec spec;

 private:
  HostArena arena_;

 public:
  typename L::Params p;

 private:
  Block memory_;

 public:
  RunKey key;
  uint64_t t = 0;
};

/// Plays, learns and evaluates for `steps` joint steps in a team of N lanes, three agents with 4, 2
/// and 3 actions; the learner's whole memory.
template <class L, class Real, int N>
std::vector<std::byte> played(const typename L::Config& c, uint64_t steps) {
  Driven<L, Real> d(c, {{4, 2, 3}, {5, 5, 5}, 19});
  std::memset(d.memory(), 0, L::bytes(d.p));
  const auto play = [&](const auto& team) {
    L::init(team, d.p, d.memory(), d.key);
    std::mt19937 rng(3);
    for (uint64_t t = 0; t < steps; ++t) {
      const auto a = d.random(rng), b = d.random(rng);
      Block x(a.size() * sizeof(Real)), y(b.size() * sizeof(Real));
      std::memcpy(x.data(), a.data(), a.size() * sizeof(Real));
      std::memcpy(y.data(), b.data(), b.size() * sizeof(Real));
      const uint32_t words[3] = {static_cast<uint32_t>(rng()), static_cast<uint32_t>(rng()),
                                 static_cast<uint32_t>(rng())};
      JointAction actions{};
      L::act(team, d.p, d.memory(), d.seen(x.template as<Real>()), words, t + 2500, actions);
      const float rewards[3] = {1, static_cast<float>(static_cast<double>(rng()) / 4294967296.0),
                                -1};
      L::learn(team, d.p, d.memory(), d.seen(x.template as<Real>()), d.seen(y.template as<Real>()),
               {&actions, rewards, t % 5 == 4 ? Episode::ended : Episode::goes_on, t, d.key});
      if (t % 4 == 0) L::begin(team, d.p, d.memory());  // an evaluated episode
      double out[4];
      L::policy(team, d.p, d.memory(), d.seen(y.template as<Real>()), 1, out);
    }
  };
  if constexpr (N == 1) {
    play(SerialTeam{});
  } else {
    run_emulated<N>(play);
  }
  return {d.memory(), d.memory() + L::bytes(d.p)};
}

}  // namespace cumarl::mixing_harness
