/// \file
/// AnyJointOf over the joint learners of learners.def. Included by one generated unit an
/// instruction set, and by one for CUDA, whose device code the linker joins with the kernels.
#pragma once

#include <type_traits>

#include "any_joint.gen.hpp"  // dispatch_joint
#include "kernels/linear/joint_learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

namespace any_joint {

template <class L>
CUMARL_HD const typename L::Params& params(const JointParams& p) {
  return *reinterpret_cast<const typename L::Params*>(p.learner);
}

CUMARL_HD inline std::byte* place(const JointParams& p, std::byte* memory, int which) {
  return memory + p.x_at + (which != 0 ? p.place_bytes : 0);
}

template <class Real>
CUMARL_HD Seen<Real> seen(const JointParams& p, std::byte* memory, int which) {
  const std::byte* const at = place(p, memory, which);
  const auto* const global = reinterpret_cast<const Real*>(at + p.agents_bytes);
  const bool one = p.views < p.agents;
  const int pitch = one ? 0 : p.pitch;
  if (p.sparse) {
    const auto* const ones = reinterpret_cast<const int32_t*>(at);
    return {nullptr, pitch, global, ones, one ? 0 : p.ones_pitch, p.ones};
  }
  return {reinterpret_cast<const Real*>(at), pitch, global};
}

}  // namespace any_joint

namespace any_joint {

/// Calls f.template operator()<L, Real>() for the learner at hand.
template <class F>
CUMARL_HD void dispatch(const JointParams& p, F f) {
  if (p.float64) {
    dispatch_joint<double>(p.kind, [&]<class L>() { f.template operator()<L, double>(); });
  } else {
    dispatch_joint<float>(p.kind, [&]<class L>() { f.template operator()<L, float>(); });
  }
}

template <class Team>
CUMARL_HD void init(const Team& team, const JointParams& p, std::byte* memory, RunKey key) {
  if (team.rank() == 0) reinterpret_cast<JointHead*>(memory)->diverged = -1;
  dispatch(p,
           [&]<class L, class Real>() { L::init(team, params<L>(p), memory + p.learner_at, key); });
  team.sync();
}

/// Makes the basis functions, or what is enough of them, in place `which`.
template <class Real, class Team>
CUMARL_HD CUMARL_INLINE void expand(const Team& team, const JointParams& p, std::byte* memory,
                                    const uint32_t* index, int which) {
  const auto* raw = reinterpret_cast<const float*>(memory + p.raw_at);
  std::byte* const at = place(p, memory, which);
  if (p.sparse) {
    auto* const ones = reinterpret_cast<int32_t*>(at);
    for (int i = 0; i < p.views; ++i) {
      p.basis[i].list_ones(team, raw + i * p.raw_pitch, index[i], ones + i * p.ones_pitch);
    }
  } else {
    auto* const x = reinterpret_cast<Real*>(at);
    for (int i = 0; i < p.views; ++i) {
      p.basis[i].template expand<Real>(team, raw + i * p.raw_pitch, index[i], x + i * p.pitch);
    }
  }
  if (!p.skips_global) {
    p.global.template expand<Real>(team, raw + p.agents * p.raw_pitch, 0,
                                   reinterpret_cast<Real*>(at + p.agents_bytes));
  }
  team.sync();
}

template <class Team>
CUMARL_HD void see(const Team& team, const JointParams& p, std::byte* memory, const uint32_t* index,
                   int which) {
  if (p.float64) {
    expand<double>(team, p, memory, index, which);
  } else {
    expand<float>(team, p, memory, index, which);
  }
}

template <class Team>
CUMARL_HD void act(const Team& team, const JointParams& p, std::byte* memory, int which,
                   const uint32_t* words, uint64_t t, JointAction& out) {
  dispatch(p, [&]<class L, class Real>() {
    L::act(team, params<L>(p), memory + p.learner_at, seen<Real>(p, memory, which), words, t, out);
  });
}

template <class Team>
CUMARL_HD void learn(const Team& team, const JointParams& p, std::byte* memory, int from,
                     const JointStep& step) {
  int diverged = -1;
  dispatch(p, [&]<class L, class Real>() {
    diverged = L::learn(team, params<L>(p), memory + p.learner_at, seen<Real>(p, memory, from),
                        seen<Real>(p, memory, 1 - from), step);
  });
  if (diverged >= 0) {
    team.once([&] { reinterpret_cast<JointHead*>(memory)->diverged = diverged; });
  }
}

template <class Team>
CUMARL_HD bool turn(const Team& team, const JointParams& p, std::byte* memory,
                    const uint32_t* index, int from, const JointStep& step, const uint32_t* words,
                    JointAction& out) {
  int diverged = -1;
  dispatch(p, [&]<class L, class Real>() {
    std::byte* const own = memory + p.learner_at;
    const int to = 1 - from;
    expand<Real>(team, p, memory, index, to);
    const Seen<Real> now = seen<Real>(p, memory, to);
    diverged = L::learn(team, params<L>(p), own, seen<Real>(p, memory, from), now, step);
    if (diverged < 0 && words != nullptr) {
      L::act(team, params<L>(p), own, now, words, step.t + 1, out);
    }
  });
  if (diverged >= 0) {
    team.once([&] { reinterpret_cast<JointHead*>(memory)->diverged = diverged; });
  }
  return diverged < 0 && words != nullptr;
}

template <class Team>
CUMARL_HD void begin(const Team& team, const JointParams& p, std::byte* memory) {
  dispatch(p, [&]<class L, class Real>() {
    if constexpr (requires { L::begin(team, params<L>(p), memory); }) {
      L::begin(team, params<L>(p), memory + p.learner_at);
    }
  });
}

template <class Team>
CUMARL_HD void policy(const Team& team, const JointParams& p, std::byte* memory, int which,
                      int agent, double* out) {
  dispatch(p, [&]<class L, class Real>() {
    L::policy(team, params<L>(p), memory + p.learner_at, seen<Real>(p, memory, which), agent, out);
  });
}

template <class Team>
CUMARL_HD void preferences(const Team& team, const JointParams& p, std::byte* memory, int which,
                           int agent, double* out) {
  dispatch(p, [&]<class L, class Real>() {
    const Seen<Real> shown = seen<Real>(p, memory, which);
    if constexpr (requires { &L::template preferences<Team>; }) {
      L::preferences(team, params<L>(p), memory + p.learner_at, shown, agent, out);
    } else {
      L::policy(team, params<L>(p), memory + p.learner_at, shown, agent, out);
      constexpr double kLeast = 1e-300;
      for (int a = 0; a < p.actions[agent]; ++a) {
        out[a] = portable_log(out[a] > kLeast ? out[a] : kLeast);
      }
    }
  });
}

}  // namespace any_joint

template <class Team>
CUMARL_HD void AnyJointOf<Team>::init(const Team& team, const JointParams& p, std::byte* memory,
                                      RunKey key) {
  any_joint::init(team, p, memory, key);
}
template <class Team>
CUMARL_HD void AnyJointOf<Team>::see(const Team& team, const JointParams& p, std::byte* memory,
                                     const uint32_t* index, int which) {
  any_joint::see(team, p, memory, index, which);
}
template <class Team>
CUMARL_HD void AnyJointOf<Team>::act(const Team& team, const JointParams& p, std::byte* memory,
                                     int which, const uint32_t* words, uint64_t t,
                                     JointAction& out) {
  any_joint::act(team, p, memory, which, words, t, out);
}
template <class Team>
CUMARL_HD void AnyJointOf<Team>::learn(const Team& team, const JointParams& p, std::byte* memory,
                                       int from, const JointStep& step) {
  any_joint::learn(team, p, memory, from, step);
}
template <class Team>
CUMARL_HD bool AnyJointOf<Team>::turn(const Team& team, const JointParams& p, std::byte* memory,
                                      const uint32_t* index, int from, const JointStep& step,
                                      const uint32_t* words, JointAction& out) {
  return any_joint::turn(team, p, memory, index, from, step, words, out);
}
template <class Team>
CUMARL_HD void AnyJointOf<Team>::begin(const Team& team, const JointParams& p, std::byte* memory) {
  any_joint::begin(team, p, memory);
}
template <class Team>
CUMARL_HD void AnyJointOf<Team>::policy(const Team& team, const JointParams& p, std::byte* memory,
                                        int which, int agent, double* out) {
  any_joint::policy(team, p, memory, which, agent, out);
}
template <class Team>
CUMARL_HD void AnyJointOf<Team>::preferences(const Team& team, const JointParams& p,
                                             std::byte* memory, int which, int agent, double* out) {
  any_joint::preferences(team, p, memory, which, agent, out);
}

}  // namespace cumarl::inline CUMARL_VARIANT
