/// \file
/// Q-learning with a policy fingerprint.
#pragma once

#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Independent Q-learning whose observation is extended by how far training has come, so that the
/// values learned against the others' early, exploring policies are not taken for those against
/// their late ones: Q(s, f; a), where f is the exploration parameter (epsilon or temperature)
/// between its start and its end, or the step up to horizon, cut into equal bins, late ones high.
/// Source: Foerster et al., "Stabilising experience replay for deep multi-agent reinforcement
/// learning", ICML 2017, section 3.2. Deviation: a table instead of a network, so the fingerprint is
/// cut into bins; there is no replay. Ties go to the lowest action.
///
/// Memory: values [fingerprint][observation][action], then the fingerprint of the last step.
struct PolicyFingerprintQ {
  using Values = Tabular<Float64, AnyShape>;
  static constexpr LearnerFacts kFacts{"policy_fingerprint_q", "Q-learning with policy fingerprint",
                                       "Foerster et al. 2017, section 3.2"};
  static constexpr bool kGreedy = true;

  struct Config : Values::Config {
    double alpha = 0.1;
    Choice fingerprint{0};
    int bins = 10;
    int64_t horizon = 100'000;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate");
    v.choice("fingerprint", c.fingerprint, {"exploration", "iteration"},
             "what tells early from late: the exploration parameter, or the step");
    v("bins", c.bins, Bounds{1, 4096}, "", "that it is cut into");
    v("horizon", c.horizon, Bounds{1, 1e15}, "step", "iteration: where the last bin ends");
    Values::fields(v, c);
  }

  struct Params : Values::Params {
    double alpha;
    uint32_t real_observations;
    int32_t bins;
    bool by_step;
    double horizon;
    double span;  ///< exploration parameter at the start - at the end
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    const uint64_t rows = uint64_t{spec.observations} * static_cast<uint64_t>(c.bins);
    if (rows > uint64_t{1} << 28) throw ParameterError("bins", "observations times bins: 2^28");
    AgentSpec extended = spec;
    extended.observations = static_cast<uint32_t>(rows);
    std::vector<double> repeated;
    if (spec.initial != nullptr && !spec.initial->empty() && !spec.initial_per_action) {
      if (spec.initial_runs != 1) {
        throw ParameterError("init.kind", "this learner starts from one table for all runs");
      }
      for (int f = 0; f < c.bins; ++f) {
        repeated.insert(repeated.end(), spec.initial->begin(), spec.initial->end());
      }
      extended.initial = &repeated;
    }
    Params p{};
    static_cast<Values::Params&>(p) = Values::make(c, extended, arena);
    p.alpha = c.alpha;
    p.real_observations = spec.observations;
    p.bins = c.bins;
    p.by_step = c.fingerprint.value == 1;
    p.horizon = static_cast<double>(c.horizon);
    p.span = c.exploration.start - c.exploration.end;
    return p;
  }

  CUMARL_HD static size_t bytes(const Params& p) { return Values::bytes(p) + sizeof(double); }
  CUMARL_HD static double& last_fingerprint(const Params& p, std::byte* memory) {
    return *reinterpret_cast<double*>(memory + Values::bytes(p));
  }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int agent) {
    Values::init(SerialTeam{}, p, memory, key, agent);
    last_fingerprint(p, memory) = fingerprint(p, 0);
  }

  /// The bin of step t.
  CUMARL_HD static uint32_t fingerprint(const Params& p, uint64_t t) {
    double done = 1.0;
    if (p.by_step) {
      done = static_cast<double>(t) / p.horizon;
    } else if (p.span > 0.0) {
      done = (p.exploration.start - static_cast<double>(p.exploration.at(t))) / p.span;
    }
    const double place = done * p.bins;
    return place >= p.bins - 1 ? static_cast<uint32_t>(p.bins - 1)
                               : static_cast<uint32_t>(place > 0.0 ? place : 0.0);
  }
  CUMARL_HD static uint32_t row_of(const Params& p, uint32_t bin, uint32_t observation) {
    return bin * p.real_observations + observation;
  }

  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    Values::Memo memo{};
    uint32_t keep = 0;
    uint32_t forced = 0;
    Values::decide(p, memo, t, 1, &word, 1, &keep, &forced);
    const auto at =
        Values::arrive(SerialTeam{}, p, memory, row_of(p, fingerprint(p, t), observation));
    return static_cast<int>(Values::act(p, memory, at, {keep, forced}, t));
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    const uint32_t later = fingerprint(p, step.t + 1);
    const auto next = Values::arrive(SerialTeam{}, p, memory, row_of(p, later, to));
    const int a = step.actions[step.agent];
    double& entry = Values::row(p, memory, row_of(p, fingerprint(p, step.t), from))[a];
    const float reward = step.rewards[step.agent];
    const double error = step.episode == Episode::ended
                             ? Float64::final_error(p.codec, entry, reward)
                             : Float64::error(p.codec, entry, reward, next.best);
    entry = Float64::moved(entry, static_cast<uint32_t>(a), p.alpha, error);
    last_fingerprint(p, memory) = later;
  }
  /// Greedy by the values of the fingerprint that training has come to.
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    const auto bin = static_cast<uint32_t>(last_fingerprint(p, memory));
    Values::policy(p, Values::arrive(SerialTeam{}, p, memory, row_of(p, bin, observation)), out);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
