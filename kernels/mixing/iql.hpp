/// \file
/// Independent deep Q-learning: what value decomposition is compared with.
#pragma once

#include "kernels/mixing/value_decomposition.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// No joint value: every utility learns by itself, from its agent's own reward (or from the sum or
/// mean of all, `reward`), and the loss of a joint step is the sum of the agents'. Networks, replay,
/// targets and optimizer are those of the mixers.
/// Source: Tan, "Multi-Agent Reinforcement Learning: Independent vs. Cooperative Agents", ICML 1993;
/// Tampuu et al., "Multiagent Cooperation and Competition with Deep Reinforcement Learning", PLoS ONE
/// 2017. Deviation: all agents' samples are of the same joint steps.
template <class Real>
struct NoMixer {
  static constexpr LearnerFacts kFacts{"iql", "independent deep Q-learning (IQL)",
                                       "Tan 1993; Tampuu et al. 2017"};
  static constexpr bool kIndependent = true;
  struct Config {
    void fields(FieldVisitor&) {}
  };
  struct Shape {};
  static Shape make(const Config&, const MixerSpec&) { return {}; }
  CUMARL_HD static size_t parameters(const Shape&) { return 0; }
  template <class F>
  CUMARL_HD static void for_weights(const Shape&, F) {}
  CUMARL_HD static size_t prepared(const Shape&) { return 0; }
  template <class Team>
  CUMARL_HD static void prepare(const Team&, const Shape&, const Real*, Real*) {}
  CUMARL_HD static size_t working(const Shape&, int) { return 0; }
};

template <class Real>
using Iql = ValueDecomposition<Real, NoMixer>;

}  // namespace cumarl::inline CUMARL_VARIANT
