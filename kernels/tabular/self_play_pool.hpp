/// \file
/// Self-play against a pool of past selves.
#pragma once

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/known_game.hpp"
#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Learns a symmetric two-player game from matches against its own past. At every step the action
/// that it plays also meets the greedy action of a snapshot drawn from its pool (of its present
/// values while the pool is empty), and the payoff of that match moves its value:
/// Q(a) += alpha (u(a, b) - Q(a)). Every `every` steps its values are offered to the pool, which is a
/// uniform sample of all that were (reservoir sampling; a window of the latest ones would let
/// cycles live on). What the other agent does is of no consequence to it. The evaluated policy is the
/// pool's mean: each snapshot's greedy action with equal probability.
/// Source: league play by uniform sampling of past selves as in Bansal et al., "Emergent complexity
/// via multi-agent competition", ICLR 2018, section 4.2; its mean as in Heinrich, Lanctot, Silver,
/// "Fictitious self-play in extensive-form games", ICML 2015. Deviation: values in a table, matches
/// of one step by the payoff table. Ties go to the lowest action.
///
/// Memory: values, snapshots [pool][actions], snapshots ever offered.
struct SelfPlayPool {
  using Values = Tabular<Float64, AnyShape>;
  static constexpr LearnerFacts kFacts{
      "self_play_pool", "Self-play against a pool of past selves",
      "Bansal et al. 2018, section 4.2; Heinrich, Lanctot, Silver 2015", Sees::game};
  static constexpr bool kGreedy = false;

  struct Config : Values::Config {
    double alpha = 0.1;
    int pool = 100;
    int64_t every = 100;
    Config() {
      gamma = 0.0;
      exploration.start = 0.1;
      exploration.end = 0.1;
    }
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate");
    v("pool", c.pool, Bounds{1, 100'000}, "snapshots", "size of the pool");
    v("every", c.every, Bounds{1, 1e15}, "step", "between two snapshots");
    Values::fields(v, c);
  }

  struct Params : Values::Params {
    KnownGame game;
    double alpha;
    int32_t pool;
    uint64_t every;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    if (c.gamma != 0.0) throw ParameterError("gamma", "must be 0: matches last one step");
    Params p{};
    p.game = KnownGame::make(spec, arena, true, "name");
    bool symmetric = spec.agents == 2 && spec.all_actions[0] == spec.all_actions[1];
    for (int a = 0; symmetric && a < spec.actions; ++a) {
      for (int b = 0; b < spec.actions; ++b) {
        const auto here = static_cast<size_t>(2 * (a * spec.actions + b));
        const auto there = static_cast<size_t>(2 * (b * spec.actions + a));
        if ((*spec.game)[here] != (*spec.game)[there + 1]) symmetric = false;
      }
    }
    if (!symmetric) throw ParameterError("name", "self-play needs a symmetric two-player game");
    static_cast<Values::Params&>(p) = Values::make(c, spec, arena);
    p.alpha = c.alpha;
    p.pool = c.pool;
    p.every = static_cast<uint64_t>(c.every);
    return p;
  }

  CUMARL_HD static size_t pool_entries(const Params& p) {
    return static_cast<size_t>(p.pool) * static_cast<size_t>(p.actions);
  }
  CUMARL_HD static size_t bytes(const Params& p) {
    return Values::bytes(p) + (pool_entries(p) + 1) * sizeof(double);
  }
  CUMARL_HD static double* snapshot(const Params& p, std::byte* memory, uint64_t k) {
    return doubles(memory, Values::bytes(p)) +
           static_cast<size_t>(k) * static_cast<size_t>(p.actions);
  }
  CUMARL_HD static double& offered(const Params& p, std::byte* memory) {
    return doubles(memory, Values::bytes(p))[pool_entries(p)];
  }
  CUMARL_HD static uint32_t size(const Params& p, std::byte* memory) {
    const double ever = offered(p, memory);
    return ever < p.pool ? static_cast<uint32_t>(ever) : static_cast<uint32_t>(p.pool);
  }

  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int agent) {
    Values::init(SerialTeam{}, p, memory, key, agent);
    double* const pool = snapshot(p, memory, 0);
    for (size_t k = 0; k <= pool_entries(p); ++k) pool[k] = 0.0;
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    return explore(p.exploration, Values::row(p, memory, observation), p.actions, word, t);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t,
                              const Transition& step) {
    double* const row = Values::row(p, memory, from);
    const uint32_t snapshots = size(p, memory);
    const double* const rival =
        snapshots == 0 ? row : snapshot(p, memory, below(own_word(step), snapshots));
    const int a = step.actions[step.agent];
    const int b = arg_max(rival, p.actions);
    row[a] += p.alpha * (p.game.view.payoff(a * p.actions + b, 0) - row[a]);
    if ((step.t + 1) % p.every == 0) {
      double& ever = offered(p, memory);
      ever += 1.0;
      // the n-th one takes place floor(n u), u uniform, if there is such a place
      const double place = ever <= p.pool ? ever - 1.0 : ever * unit_double(own_word(step, 1));
      if (place < p.pool) {
        double* const slot = snapshot(p, memory, static_cast<uint64_t>(place));
        for (int k = 0; k < p.actions; ++k) slot[k] = row[k];
      }
    }
  }
  /// What it plays but for exploration.
  CUMARL_HD static void strategy(const Params& p, std::byte* memory, uint32_t observation,
                                 double* out) {
    pure_strategy(arg_max(Values::row(p, memory, observation), p.actions), p.actions, out);
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    const uint32_t snapshots = size(p, memory);
    if (snapshots == 0) {
      strategy(p, memory, observation, out);
      return;
    }
    for (int a = 0; a < p.actions; ++a) out[a] = 0.0;
    for (uint32_t k = 0; k < snapshots; ++k) {
      out[arg_max(snapshot(p, memory, k), p.actions)] += 1.0;
    }
    for (int a = 0; a < p.actions; ++a) out[a] = out[a] / snapshots;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
