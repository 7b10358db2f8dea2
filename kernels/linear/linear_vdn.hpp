/// \file
/// Value decomposition: one value of all agents together, the sum of linear utilities.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/linear/linear_values.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A team that learns from its common reward R, the sum or the mean of its members' rewards:
///   Q(s, a) = sum_i w_{i,a_i} . x_i
///   delta = R + gamma sum_i max_b w_ib . x'_i - Q(s, a);   w_{i,a_i} += alpha delta x_i for all i
/// Everybody explores, and is evaluated, by own utilities: their best actions are together the best
/// of Q. Memory of a run: weights, then a row of values an agent.
/// Source: Sunehag, Lever, Gruslys, Czarnecki, Zambaldi, Jaderberg, Lanctot, Sonnerat, Leibo, Tuyls,
/// Graepel, "Value-decomposition networks for cooperative multi-agent learning", AAMAS 2018, eq. (3).
/// Deviations: linear utilities, learning from each step as it comes; no memory of past
/// observations, no shared weights.
template <class Real>
struct LinearVdn {
  using Values = LinearValues<Real>;
  static constexpr LearnerFacts kFacts{"linear_vdn",
                                       "Value decomposition with linear utilities, common reward",
                                       "Sunehag et al., AAMAS 2018"};
  static constexpr Acts kActs = Acts::numbered;
  static constexpr bool kGreedy = true;
  static constexpr bool kSeesGlobal = false;
  static constexpr bool kSeesAny = true;

  enum TeamReward : int32_t { kSum, kMean };
  struct Config : Values::Config {
    Choice team_reward{kSum};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v.choice("team_reward", c.team_reward, {"sum", "mean"},
             "how the members' rewards make the common one");
    c.Values::Config::fields(v);
  }

  struct Params : Values::Params {
    bool mean;
  };
  static Params make(const Config& c, const JointSpec& spec, Arena&) {
    Params p{};
    static_cast<typename Values::Params&>(p) = Values::make(c, spec);
    p.mean = c.team_reward.value == kMean;
    int all = 0;
    for (int i = 0; i < spec.agents; ++i) all += spec.size[i];
    if (spec.warnings != nullptr && c.alpha * all > 2) {
      spec.warnings->push_back("learner.alpha: a step of " + std::to_string(c.alpha) +
                               " on up to " + std::to_string(all) +
                               " features of size 1 of all agents can overshoot: alpha |x|^2 above "
                               "2 is not stable");
    }
    return p;
  }

  CUMARL_HD static size_t bytes(const Params& p) {
    return (Values::entries(p) + static_cast<size_t>(p.agents * p.row_pitch)) * sizeof(Real);
  }

  template <class Team>
  CUMARL_HD static void init(const Team&, const Params&, std::byte*, RunKey) {}

  template <class Team>
  CUMARL_HD static void act(const Team& team, const Params& p, std::byte* memory,
                            const Seen<Real>& seen, const uint32_t* words, uint64_t t,
                            JointAction& out) {
    for (int i = 0; i < p.agents; ++i) {
      Real* const q = values(team, p, memory, seen, i);
      out.action[i] = Values::choose(p, i, q, words[i], p.exploration.at(t));
    }
    team.sync();
  }

  template <class Team>
  CUMARL_HD static int learn(const Team& team, const Params& p, std::byte* memory,
                             const Seen<Real>& from, const Seen<Real>& to, const JointStep& step) {
    Real paid = 0, now = 0, next = 0;
    for (int i = 0; i < p.agents; ++i) {
      paid += static_cast<Real>(step.rewards[i]);
      now += dot(team, own_row(p, memory, i, step.actions->action[i]), from.any(i), p.pitch);
      if (step.episode != Episode::ended) {
        const Real* const q = values(team, p, memory, to, i);
        next += q[top_of(q, p.actions[i])];
      }
    }
    if (p.mean) paid = paid / static_cast<Real>(p.agents);
    const Real error = paid + p.gamma * next - now;
    for (int i = 0; i < p.agents; ++i) {
      add_scaled(team, own_row(p, memory, i, step.actions->action[i]), p.alpha * error, from.any(i),
                 p.pitch);
    }
    team.sync();
    return Values::diverges(error) ? 0 : -1;
  }

  template <class Team>
  CUMARL_HD static void policy(const Team& team, const Params& p, std::byte* memory,
                               const Seen<Real>& seen, int agent, double* out) {
    const Real* const q = values(team, p, memory, seen, agent);
    pure_strategy(top_of(q, p.actions[agent]), p.actions[agent], out);
    team.sync();
  }

  /// The utilities of an agent's actions.
  template <class Team>
  CUMARL_HD static void preferences(const Team& team, const Params& p, std::byte* memory,
                                    const Seen<Real>& seen, int agent, double* out) {
    const Real* const q = values(team, p, memory, seen, agent);
    for (int a = 0; a < p.actions[agent]; ++a) out[a] = static_cast<double>(q[a]);
    team.sync();
  }

 private:
  CUMARL_HD static Real* own_row(const Params& p, std::byte* memory, int agent, int action) {
    return Values::row(p, reinterpret_cast<Real*>(memory), agent, action);
  }
  /// The utilities of an agent's actions, to be read by all lanes.
  template <class Team>
  CUMARL_HD static Real* values(const Team& team, const Params& p, std::byte* memory,
                                const Seen<Real>& seen, int agent) {
    Real* const q = reinterpret_cast<Real*>(memory) + Values::entries(p) +
                    static_cast<size_t>(agent * p.row_pitch);
    multiply(team, own_row(p, memory, agent, 0), p.actions[agent], seen.any(agent), p.pitch, q);
    return q;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
