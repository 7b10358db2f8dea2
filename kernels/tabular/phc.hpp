/// \file
/// Policy hill climbing.
#pragma once

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// What PHC and WoLF-PHC share: Q-learning of the values, and a mixed strategy per observation that
/// walks towards the greedy action. Memory: the values, then the strategies [observations][actions].
struct HillClimbing {
  using Values = Tabular<Float64, AnyShape>;

  struct Config : Values::Config {
    InverseTime::Config alpha{1.0, 100.0, 10'000.0};
    InverseTime::Config delta{2.0, 20'000.0, 1.0};
    Choice start{0};
    Config() {
      exploration.start = 0.05;
      exploration.end = 0.05;
    }
  };
  static void fields(FieldVisitor& v, Config& c) {
    c.alpha.fields(v, "alpha.scale", "alpha.offset", "alpha.period",
                   "learning rate of the values: scale / (offset + t / period)");
    c.delta.fields(v, "delta.scale", "delta.offset", "delta.period",
                   "step of the strategy: scale / (offset + t / period)");
    v.choice("start", c.start, {"random", "uniform"},
             "first strategies: drawn uniformly from the simplex, or all actions alike");
    Values::fields(v, c);
  }

  struct Params : Values::Params {
    InverseTime alpha;
    InverseTime delta;
    bool random_start;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    require_epsilon(c.exploration,
                    "must be \"epsilon_greedy\": the strategies are mixed by themselves");
    Params p{};
    static_cast<Values::Params&>(p) = Values::make(c, spec, arena);
    p.alpha = InverseTime::make(c.alpha, "alpha.scale");
    p.delta = InverseTime::make(c.delta, "delta.scale");
    p.random_start = c.start.value == 0;
    return p;
  }

  CUMARL_HD static size_t entries(const Params& p) {
    return static_cast<size_t>(p.observations) * static_cast<size_t>(p.actions);
  }
  /// Bytes of values and strategies.
  CUMARL_HD static size_t shared_bytes(const Params& p) {
    return Values::bytes(p) + entries(p) * sizeof(double);
  }
  CUMARL_HD static double* strategy_at(const Params& p, std::byte* memory, uint32_t observation) {
    return doubles(memory, Values::bytes(p)) +
           static_cast<size_t>(observation) * static_cast<size_t>(p.actions);
  }

  /// Initial values take word 0 of the blocks that give the first strategies word 1.
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int agent) {
    Values::init(SerialTeam{}, p, memory, key, agent);
    for (uint32_t s = 0; s < p.observations; ++s) {
      double* const strategy = strategy_at(p, memory, s);
      double sum = 0.0;
      for (int a = 0; a < p.actions; ++a) {
        strategy[a] = 1.0;
        if (p.random_start) {
          const uint64_t index =
              uint64_t{s} * static_cast<uint64_t>(p.actions) + static_cast<uint64_t>(a);
          const Philox block = philox(key, index, Stream::init, static_cast<uint32_t>(agent));
          strategy[a] = -portable_log((static_cast<double>(block.x1) + 0.5) / 4294967296.0);
        }
        sum += strategy[a];
      }
      for (int a = 0; a < p.actions; ++a) strategy[a] = strategy[a] / sum;
    }
  }

  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    const MixedDecision decision = mixed_decision(p.exploration, p.actions, word, t);
    return decision.explores
               ? static_cast<int>(decision.action)
               : action_at(strategy_at(p, memory, observation), p.actions, decision.uniform);
  }

  /// Q(s,a) += alpha (r + gamma max Q(s',.) - Q(s,a)); the row of s.
  CUMARL_HD static const double* learn_values(const Params& p, std::byte* memory, uint32_t from,
                                              uint32_t to, const Transition& step) {
    const auto next = Values::arrive(SerialTeam{}, p, memory, to);
    double* const row = Values::row(p, memory, from);
    const int a = step.actions[step.agent];
    const float reward = step.rewards[step.agent];
    const double error = step.episode == Episode::ended
                             ? Float64::final_error(p.codec, row[a], reward)
                             : Float64::error(p.codec, row[a], reward, next.best);
    row[a] = Float64::moved(row[a], static_cast<uint32_t>(a), p.alpha.at(step.t), error);
    return row;
  }

  /// Every action but the greedy one gives up to delta / (actions - 1) to it.
  CUMARL_HD static void climb(double* strategy, const double* values, int actions, double delta) {
    if (actions < 2) return;
    const int greedy = arg_max(values, actions);
    const double share = delta / (actions - 1);
    double given = 0.0;
    for (int a = 0; a < actions; ++a) {
      if (a == greedy) continue;
      const double gift = strategy[a] < share ? strategy[a] : share;
      strategy[a] -= gift;
      given += gift;
    }
    strategy[greedy] += given;
  }

  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    const double* const strategy = strategy_at(p, memory, observation);
    for (int a = 0; a < p.actions; ++a) out[a] = strategy[a];
  }
};

/// Source: Bowling and Veloso, "Multiagent learning using a variable learning rate", Artificial
/// Intelligence 136, 2002, table 4. Deviation: none; ties go to the lowest action.
struct Phc : HillClimbing {
  static constexpr LearnerFacts kFacts{"phc", "Policy hill climbing",
                                       "Bowling and Veloso 2002, table 4"};
  static constexpr bool kGreedy = false;

  CUMARL_HD static size_t bytes(const Params& p) { return shared_bytes(p); }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    const double* const values = learn_values(p, memory, from, to, step);
    climb(strategy_at(p, memory, from), values, p.actions, p.delta.at(step.t));
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
