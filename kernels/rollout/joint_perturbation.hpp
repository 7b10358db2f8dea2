/// \file
/// Perturbations that look at the learner: attacked observations and replaced actions. What they are
/// stands in kernels/linear/perturbation.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/linear/joint_learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// How much an agent prefers its best action but `best` to `best`; 0 where there is no other.
CUMARL_HD inline double margin_against(const double* preference, int actions, int best) {
  bool found = false;
  double most = 0;
  for (int a = 0; a < actions; ++a) {
    if (a == best || (found && !(preference[a] > most))) continue;
    most = preference[a];
    found = true;
  }
  return found ? most - preference[best] : 0.0;
}

/// Takes the step Perturbation::kSign in the features at the place for raw ones, and has the learner
/// see the result in place `which`. Pre: that place shows the true features; observations are no
/// table indices.
template <class Team>
CUMARL_HD void attack_observations(const Team& team, const JointParams& p, std::byte* memory,
                                   int which) {
  auto* const raw = reinterpret_cast<float*>(memory + p.raw_at);
  auto* const moved = reinterpret_cast<float*>(memory + p.moved_at);
  const uint32_t index[kMaxJointAgents] = {};
  double preference[kMaxJointActions] = {};
  int best[kMaxJointAgents] = {};
  int inputs = 0;
  for (int i = 0; i < p.agents; ++i) {
    AnyJointOf<Team>::preferences(team, p, memory, which, i, preference);
    best[i] = top_of(preference, p.actions[i]);
    inputs = p.basis[i].inputs > inputs ? p.basis[i].inputs : inputs;
  }
  const float size = p.perturb.observation_size;
  // An agent's preferences are of its own features: feature k of all agents is tried at once.
  for (int k = 0; k < inputs; ++k) {
    float truth[kMaxJointAgents] = {};
    double margin[2][kMaxJointAgents] = {};
    for (int i = 0; i < p.agents; ++i) truth[i] = raw[i * p.raw_pitch + k];
    for (int side = 0; side < 2; ++side) {
      team.once([&] {
        for (int i = 0; i < p.agents; ++i) {
          if (k >= p.basis[i].inputs) continue;
          raw[i * p.raw_pitch + k] = p.basis[i].moved(k, truth[i], side == 0 ? -size : size);
        }
      });
      AnyJointOf<Team>::see(team, p, memory, index, which);
      for (int i = 0; i < p.agents; ++i) {
        if (k >= p.basis[i].inputs) continue;
        AnyJointOf<Team>::preferences(team, p, memory, which, i, preference);
        margin[side][i] = margin_against(preference, p.actions[i], best[i]);
      }
    }
    team.once([&] {
      for (int i = 0; i < p.agents; ++i) {
        const int at = i * p.raw_pitch + k;
        if (k >= p.basis[i].inputs) continue;
        raw[at] = truth[i];
        const double rise = margin[1][i] - margin[0][i];
        const float sign = rise > 0 ? 1.0F : (rise < 0 ? -1.0F : 0.0F);
        moved[at] = p.basis[i].moved(k, truth[i], sign * size);
      }
    });
  }
  team.once([&] {
    for (int i = 0; i < p.agents; ++i) {
      for (int k = 0; k < p.basis[i].inputs; ++k) {
        raw[i * p.raw_pitch + k] = moved[i * p.raw_pitch + k];
      }
    }
  });
  AnyJointOf<Team>::see(team, p, memory, index, which);
}

/// What the game gets for the joint action `chosen` of agents who see what is in place `which`.
template <class Team>
CUMARL_HD void replace_actions(const Team& team, const JointParams& p, std::byte* memory, int which,
                               const Moment& at, JointAction& chosen) {
  const Perturbation& perturb = p.perturb;
  for (int i = 0; i < p.agents; ++i) {
    Rng rng = at.rng(static_cast<uint32_t>(i));
    if (!(unit_double(rng.word()) < perturb.action_probability)) continue;
    if (perturb.action == Perturbation::kLeast) {
      double preference[kMaxJointActions] = {};
      AnyJointOf<Team>::preferences(team, p, memory, which, i, preference);
      for (int a = 0; a < p.actions[i]; ++a) preference[a] = -preference[a];
      chosen.action[i] = top_of(preference, p.actions[i]);
    } else if (p.real) {
      chosen.value[i] =
          perturb.low[i] + unit_double(rng.word()) * (perturb.high[i] - perturb.low[i]);
    } else {
      chosen.action[i] = static_cast<int32_t>(rng.below(static_cast<uint32_t>(p.actions[i])));
    }
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
