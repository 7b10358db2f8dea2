/// \file
/// AnyLearner over the learners of learners.def. Included by one generated unit an instruction set,
/// and by one for CUDA, whose device code the linker joins with the kernels.
#pragma once

#include <string>
#include <type_traits>

#include "any_learner.gen.hpp"  // EveryLearner, a LearnerList
#include "kernels/tabular/any_learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

namespace any_learner {

/// Calls f.template operator()<L>() for the kind-th learner of the list.
template <class F, class... Ls>
CUMARL_HD void dispatch(int kind, LearnerList<Ls...>, F f) {
  int index = 0;
  ((index++ == kind ? f.template operator()<Ls>() : void()), ...);
}

template <class L>
CUMARL_HD const typename L::Params& params(const std::byte* at) {
  return *reinterpret_cast<const typename L::Params*>(at);
}

template <class L, class Params>
CUMARL_HD void strategy(const Params& p, std::byte* memory, uint32_t observation, double* out) {
  if constexpr (requires { L::strategy(p, memory, observation, out); }) {
    L::strategy(p, memory, observation, out);
  } else {
    L::policy(p, memory, observation, out);
  }
}

}  // namespace any_learner

template <int N>
auto AnyLearnerOf<N>::make(const Config& c, AgentSpec& spec, Arena& arena,
                           const ResolveInit& resolve) -> Params {
  if (spec.actions > kMaxActions) {
    throw ParameterError("name", "agent by agent there may be up to " +
                                     std::to_string(kMaxActions) + " actions, not " +
                                     std::to_string(spec.actions));
  }
  Params out{};
  out.kind = c.kind;
  out.actions = spec.actions;
  out.gamma = 1.0;
  any_learner::dispatch(c.kind, EveryLearner{}, [&]<class L>() {
    static_assert(sizeof(typename L::Params) <= kParamBytes && alignof(typename L::Params) <= 16);
    static_assert(std::is_trivially_copyable_v<typename L::Params>);
    const auto& config = *static_cast<const typename L::Config*>(c.config.get());
    if constexpr (requires { config.init; }) resolve(config.init, config.gamma, spec);
    if constexpr (requires { config.gamma; }) out.gamma = config.gamma;
    out.greedy = L::kGreedy;
    out.sees_strategies = L::kFacts.sees == Sees::game;
    const typename L::Params made = L::make(config, spec, arena);
    __builtin_memcpy(out.learner, &made, sizeof(made));
  });
  return out;
}

template <int N>
CUMARL_HD size_t AnyLearnerOf<N>::bytes(const Params& p) {
  size_t bytes = 0;
  any_learner::dispatch(p.kind, EveryLearner{},
                        [&]<class L>() { bytes = L::bytes(any_learner::params<L>(p.learner)); });
  return bytes;
}

template <int N>
CUMARL_HD void AnyLearnerOf<N>::init_serially(const Params& p, std::byte* memory, RunKey key,
                                              int agent) {
  any_learner::dispatch(p.kind, EveryLearner{}, [&]<class L>() {
    L::init(any_learner::params<L>(p.learner), memory, key, agent);
  });
}

template <int N>
CUMARL_HD int AnyLearnerOf<N>::act_at(const Params& p, std::byte* memory, uint32_t observation,
                                      uint32_t word, uint64_t t) {
  int action = 0;
  any_learner::dispatch(p.kind, EveryLearner{}, [&]<class L>() {
    action = L::act(any_learner::params<L>(p.learner), memory, observation, word, t);
  });
  return action;
}

template <int N>
CUMARL_HD void AnyLearnerOf<N>::learn_from(const Params& p, std::byte* memory, uint32_t from,
                                           uint32_t to, const Transition& step) {
  any_learner::dispatch(p.kind, EveryLearner{}, [&]<class L>() {
    L::learn(any_learner::params<L>(p.learner), memory, from, to, step);
  });
}

template <int N>
CUMARL_HD void AnyLearnerOf<N>::policy(const Params& p, std::byte* memory, uint32_t observation,
                                       double* out) {
  any_learner::dispatch(p.kind, EveryLearner{}, [&]<class L>() {
    L::policy(any_learner::params<L>(p.learner), memory, observation, out);
  });
}

template <int N>
CUMARL_HD void AnyLearnerOf<N>::strategy(const Params& p, std::byte* memory, uint32_t observation,
                                         double* out) {
  any_learner::dispatch(p.kind, EveryLearner{}, [&]<class L>() {
    any_learner::strategy<L>(any_learner::params<L>(p.learner), memory, observation, out);
  });
}

template <int N>
CUMARL_HD uint32_t AnyLearnerOf<N>::top(const Params& p, std::byte* memory, uint32_t observation) {
  uint32_t best = 0;
  bool known = false;
  any_learner::dispatch(p.kind, EveryLearner{}, [&]<class L>() {
    const auto& mine = any_learner::params<L>(p.learner);
    if constexpr (requires { L::top(mine, memory, observation); }) {
      best = L::top(mine, memory, observation);
      known = true;
    }
  });
  if (known) return best;
  double probability[kMaxActions];
  policy(p, memory, observation, probability);
  for (int a = 1; a < p.actions; ++a) {
    if (probability[a] > probability[best]) best = static_cast<uint32_t>(a);
  }
  return best;
}

}  // namespace cumarl::inline CUMARL_VARIANT
