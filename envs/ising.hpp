/// \file
/// The Ising lattice: hundreds of agents, each paid for agreeing with its neighbours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The agents are the spins of an n x n torus, agent r * n + c at row r and column c. All choose at
/// the same time to point down (-1) or up (+1), and each gets half of its spin times the sum of its
/// four neighbours' spins. Learners who play softmax(Q / T) make it the Ising model at temperature
/// T, critical at 1 / ln(1 + sqrt 2) = 1.1346. Since all choose at once, the cells of the two
/// colours of the checkerboard are two lattices that do not see each other: each orders by itself.
/// Endless.
/// Source: Yang, Luo, Li, Zhou, Zhang and Wang, "Mean field multi-agent reinforcement learning",
/// ICML 2018, section 5.2. Deviation: all update at once, as in its code; n must be even, so that
/// the checkerboard closes.
struct Ising {
  static constexpr EnvFacts kFacts{
      "ising",
      "Ising lattice: spins that choose to agree with their neighbours",
      "Yang, Luo, Li, Zhou, Zhang, Wang, ICML 2018, section 5.2",
      Family::matrix,
      "0 down, 1 up",
      "how many of the four neighbours pointed up in the step before, 0 to 4",
      "size = 4"};
  static constexpr int kMaxSide = 20;
  static constexpr int kMaxAgents = kMaxSide * kMaxSide;
  static constexpr int kNeighbours = 4;
  static constexpr bool kSharedObservation = false;

  struct Config {
    int size = 20;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("size", c.size, Bounds{4, kMaxSide}, "spins", "side of the lattice, even");
  }

  struct Params {
    int32_t size;
  };
  /// One bit a spin, 1 up; bits behind the last spin are 0.
  struct State {
    static constexpr int kWords = (kMaxAgents + 31) / 32;
    uint32_t up[kWords];
  };

  static Params make(const Config& c, Arena&) {
    if (c.size % 2 != 0) {
      throw ParameterError("size", "is " + std::to_string(c.size) +
                                       ", must be even: the two sublattices have to close");
    }
    return {c.size};
  }

  CUMARL_HD static int agents(const Params& p) { return p.size * p.size; }
  CUMARL_HD static int actions(const Params&, int) { return 2; }
  CUMARL_HD static uint32_t observations(const Params&, int) { return kNeighbours + 1; }
  CUMARL_HD static uint32_t observe_index(const Params& p, const State& s, int agent) {
    return static_cast<uint32_t>(ups_around(p, s, agent));
  }
  CUMARL_HD static int features(const Params&, int) { return 1; }
  /// The table index, from 0 to 4.
  CUMARL_HD static void observe(const Params& p, const State& s, int agent, float* out) {
    out[0] = static_cast<float>(ups_around(p, s, agent));
  }
  static Bounds reward_bounds(const Params&) { return {-2, 2}; }

  /// Writes the agents north, south, west and east of `agent` to out[4]; returns 4.
  CUMARL_HD static int neighbours(const Params& p, int agent, int* out) {
    const int n = p.size;
    const int row = agent / n;
    const int column = agent % n;
    out[0] = (row == 0 ? n - 1 : row - 1) * n + column;
    out[1] = (row == n - 1 ? 0 : row + 1) * n + column;
    out[2] = row * n + (column == 0 ? n - 1 : column - 1);
    out[3] = row * n + (column == n - 1 ? 0 : column + 1);
    return kNeighbours;
  }

  /// Independent spins, up or down with equal chance; one random word for 32 of them.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    const int n = agents(p);
    for (int w = 0; w < State::kWords; ++w) {
      const int left = n - 32 * w;
      const uint32_t mask = left >= 32 ? ~0U : (left > 0 ? (1U << left) - 1U : 0U);
      s.up[w] = mask == 0 ? 0 : rng.word() & mask;
    }
  }

  /// One joint step; uses no random numbers. Shapes: actions int [agents], rewards float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng&) {
    const int n = agents(p);
    put(p, s, actions);
    for (int i = 0; i < n; ++i) rewards[i] = static_cast<float>(local(p, s, i));
    return Episode::goes_on;
  }

  /// Shows the state as "up", one number a spin. Throws ParameterError for other numbers than 0, 1.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t up[kMaxAgents];
    int actions[kMaxAgents];
    const int n = agents(p);
    for (int i = 0; i < n; ++i) up[i] = points_up(s, i) ? 1 : 0;
    v("up", up, n);
    for (int i = 0; i < n; ++i) {
      if (up[i] != 0 && up[i] != 1) throw ParameterError("up", "must be 0 or 1");
      actions[i] = static_cast<int>(up[i]);
    }
    put(p, s, actions);
  }

  /// The run goes on from its last state for `policy.evaluation().steps` joint steps, by the learned
  /// policies. Reported are means over them: of the reward of a spin; of |mean spin| of the lattice
  /// and of each sublattice ("even": row + column even), 0 to 1; and the energy of a spin, minus the
  /// sum over neighbouring pairs of the product of their spins, -2 when all agree.
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    const int n = agents(p);
    const uint32_t steps = policy.evaluation().steps;
    State s = last;
    int chosen[kMaxAgents];
    double reward = 0, all = 0, even = 0, odd = 0;
    for (uint32_t t = 0; t < steps; ++t) {
      policy.act(p, s, chosen, t);
      put(p, s, chosen);
      double paid = 0;
      int spin[2] = {0, 0};
      for (int i = 0; i < n; ++i) {
        paid += local(p, s, i);
        spin[(i / p.size + i % p.size) % 2] += chosen[i] == 1 ? 1 : -1;
      }
      reward += paid / n;
      all += magnitude(spin[0] + spin[1]) / n;
      even += magnitude(spin[0]) * 2 / n;
      odd += magnitude(spin[1]) * 2 / n;
    }
    sink.metric("return_per_step", reward / steps);
    sink.metric("magnetisation", all / steps);
    sink.metric("magnetisation_even", even / steps);
    sink.metric("magnetisation_odd", odd / steps);
    sink.metric("energy", -reward / steps);
    sink.metric("time_to_convergence", static_cast<double>(facts.last_change));
  }

 private:
  CUMARL_HD static CUMARL_INLINE bool points_up(const State& s, int agent) {
    return (s.up[agent / 32] >> (agent % 32) & 1U) != 0;
  }
  CUMARL_HD static CUMARL_INLINE int ups_around(const Params& p, const State& s, int agent) {
    int around[kNeighbours];
    neighbours(p, agent, around);
    int count = 0;
    for (int k = 0; k < kNeighbours; ++k) count += points_up(s, around[k]) ? 1 : 0;
    return count;
  }
  /// Half of the spin times the sum of the neighbours' spins: the sum is 2 * (ups - 2).
  CUMARL_HD static CUMARL_INLINE int local(const Params& p, const State& s, int agent) {
    const int half = ups_around(p, s, agent) - 2;
    return points_up(s, agent) ? half : -half;
  }
  CUMARL_HD static double magnitude(int x) { return static_cast<double>(x < 0 ? -x : x); }
  CUMARL_HD static void put(const Params& p, State& s, const int* actions) {
    const int n = agents(p);
    for (int w = 0; w < State::kWords; ++w) s.up[w] = 0;
    for (int i = 0; i < n; ++i) s.up[i / 32] |= static_cast<uint32_t>(actions[i]) << (i % 32);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
