/// \file
/// Mean-field Q-learning with linear approximation.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/linear/linear_values.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// With m, the mean of the other agents' one-hot actions in a step, every agent for itself has
///   Q_i(x, a, m) = sum_b m_b w_iab . x
/// (features times mean action: as the m_b sum to 1, x alone is among them), and learns
///   delta = r + gamma v(x') - Q_i(x, a, m);   w_iab += alpha delta m_b x for all b
/// with v(x') = sum_a pi(a) Q_i(x', a, m). pi is what is played next: softmax of Q_i(x', ., m) over
/// the temperature, or epsilon-greedy. Evaluated is pi as of the last step.
/// Source: Yang, Luo, Li, Zhou, Zhang, Wang, "Mean field multi-agent reinforcement learning", ICML
/// 2018, eq. (9) to (12). Deviations: linear instead of a network; all other agents are neighbours;
/// the last mean action stands for the expected next one, as in `mean_field_q`; before the first
/// step of an episode the others count as having played all actions equally often.
///
/// Memory of a run: weights [agents][actions][actions][pitch], then mean actions and rows of values
/// [agents][row_pitch] each, then the last step.
template <class Real>
struct LinearMeanFieldQ {
  using Values = LinearValues<Real>;
  static constexpr LearnerFacts kFacts{"linear_mean_field_q",
                                       "Mean-field Q-learning with linear approximation",
                                       "Yang et al., ICML 2018, section 3"};
  static constexpr Acts kActs = Acts::numbered;
  static constexpr bool kGreedy = false;
  static constexpr bool kSeesGlobal = false;
  static constexpr bool kSeesAny = true;

  struct Config : Values::Config {
    Config() { this->exploration.kind.value = Exploration::kBoltzmann; }
  };
  static void fields(FieldVisitor& v, Config& c) { c.Values::Config::fields(v); }

  struct Params : Values::Params {};

  /// Throws ParameterError where there are no others, their actions are other ones, or Boltzmann
  /// exploration ends at a temperature of 0.
  static Params make(const Config& c, const JointSpec& spec, Arena&) {
    if (spec.agents < 2) throw ParameterError("name", "a mean field needs two agents or more");
    for (int i = 1; i < spec.agents; ++i) {
      if (spec.actions[i] != spec.actions[0]) {
        throw ParameterError("name", "a mean field needs agents with the same number of actions");
      }
    }
    if (c.exploration.kind.value == Exploration::kBoltzmann) require_boltzmann(c.exploration);
    Params p{};
    static_cast<typename Values::Params&>(p) = Values::make(c, spec);
    int widest = 0;
    for (int i = 0; i < spec.agents; ++i) widest = spec.size[i] > widest ? spec.size[i] : widest;
    if (spec.warnings != nullptr && c.alpha * widest > 2) {
      spec.warnings->push_back(
          "learner.alpha: a step of " + std::to_string(c.alpha) + " on up to " +
          std::to_string(widest) +
          " features of size 1 can overshoot: alpha |x|^2 |m|^2 above 2 is not stable");
    }
    return p;
  }

  CUMARL_HD static size_t bytes(const Params& p) {
    return (entries(p) + 2 * rows(p)) * sizeof(Real) + sizeof(uint64_t);
  }

  template <class Team>
  CUMARL_HD static void init(const Team& team, const Params& p, std::byte* memory, RunKey) {
    forget(team, p, memory);
    team.sync();
  }

  template <class Team>
  CUMARL_HD static void act(const Team& team, const Params& p, std::byte* memory,
                            const Seen<Real>& seen, const uint32_t* words, uint64_t t,
                            JointAction& out) {
    for (int i = 0; i < p.agents; ++i) {
      const Real* const q = values(team, p, memory, seen.any(i), i);
      out.action[i] = Values::choose(p, i, q, words[i], p.exploration.at(t));
    }
    team.sync();
  }

  template <class Team>
  CUMARL_HD static int learn(const Team& team, const Params& p, std::byte* memory,
                             const Seen<Real>& from, const Seen<Real>& to, const JointStep& step) {
    const int n = p.most;
    int diverged = -1;
    observe(team, p, memory, step);
    for (int i = 0; i < p.agents; ++i) {
      const int a = step.actions->action[i];
      const Real* const m = mean_of(p, memory, i);
      Real target = static_cast<Real>(step.rewards[i]);
      if (step.episode != Episode::ended) {
        const Real* const q = values(team, p, memory, to.any(i), i);
        double pi[kMaxJointActions] = {};
        strategy(p, q, step.t + 1, pi);
        double value = 0;
        for (int b = 0; b < n; ++b) value += pi[b] * static_cast<double>(q[b]);
        target += p.gamma * static_cast<Real>(value);
      }
      const AnyVector<Real> x = from.any(i);
      const Real error = target - value_of(team, p, memory, x, i, a);
      if (Values::diverges(error) && diverged < 0) diverged = i;
      for (int b = 0; b < n; ++b) {
        if (m[b] > 0) {
          add_scaled(team, weights(p, memory, i, a, b), p.alpha * error * m[b], x, p.pitch);
        }
      }
    }
    team.sync();
    if (step.episode != Episode::goes_on) forget(team, p, memory);
    if (team.rank() == 0) *last_step(p, memory) = step.t;
    team.sync();
    return diverged;
  }

  template <class Team>
  CUMARL_HD static void policy(const Team& team, const Params& p, std::byte* memory,
                               const Seen<Real>& seen, int agent, double* out) {
    const Real* const q = values(team, p, memory, seen.any(agent), agent);
    strategy(p, q, *last_step(p, memory), out);
    team.sync();
  }

  /// The values of an agent's actions against the others' last mean action.
  template <class Team>
  CUMARL_HD static void preferences(const Team& team, const Params& p, std::byte* memory,
                                    const Seen<Real>& seen, int agent, double* out) {
    const Real* const q = values(team, p, memory, seen.any(agent), agent);
    for (int a = 0; a < p.most; ++a) out[a] = static_cast<double>(q[a]);
    team.sync();
  }

 private:
  CUMARL_HD static size_t entries(const Params& p) {
    return Values::entries(p) * static_cast<size_t>(p.most);
  }
  CUMARL_HD static size_t rows(const Params& p) {
    return static_cast<size_t>(p.agents * p.row_pitch);
  }
  /// w_iab [pitch].
  CUMARL_HD static Real* weights(const Params& p, std::byte* memory, int agent, int a, int b) {
    const auto number = static_cast<size_t>((agent * p.most + a) * p.most + b);
    return reinterpret_cast<Real*>(memory) + number * static_cast<size_t>(p.pitch);
  }
  /// The others' mean action, [actions].
  CUMARL_HD static Real* mean_of(const Params& p, std::byte* memory, int agent) {
    return reinterpret_cast<Real*>(memory) + entries(p) + agent * p.row_pitch;
  }
  CUMARL_HD static uint64_t* last_step(const Params& p, std::byte* memory) {
    return reinterpret_cast<uint64_t*>(mean_of(p, memory, 0) + 2 * rows(p));
  }

  /// Q_i(x, a, m), for the mean action at hand.
  template <class Team>
  CUMARL_HD static Real value_of(const Team& team, const Params& p, std::byte* memory,
                                 const AnyVector<Real>& x, int agent, int a) {
    const Real* const m = mean_of(p, memory, agent);
    Real sum = 0;
    for (int b = 0; b < p.most; ++b) {
      if (m[b] > 0) sum += m[b] * dot(team, weights(p, memory, agent, a, b), x, p.pitch);
    }
    return sum;
  }
  /// The same of all actions, to be read by all lanes.
  template <class Team>
  CUMARL_HD static const Real* values(const Team& team, const Params& p, std::byte* memory,
                                      const AnyVector<Real>& x, int agent) {
    Real* const q = mean_of(p, memory, agent) + rows(p);
    for (int a = 0; a < p.most; ++a) {
      const Real value = value_of(team, p, memory, x, agent, a);
      if (team.rank() == 0) q[a] = value;
    }
    team.sync();
    return q;
  }

  /// What is played at step t by a row of values.
  CUMARL_HD static void strategy(const Params& p, const Real* q, uint64_t t, double* out) {
    const auto parameter = static_cast<double>(p.exploration.at(t));
    if (p.exploration.kind != Exploration::kBoltzmann) {
      const int best = top_of(q, p.most);
      for (int a = 0; a < p.most; ++a) {
        out[a] = parameter / p.most + (a == best ? 1.0 - parameter : 0.0);
      }
      return;
    }
    double row[kMaxJointActions] = {};
    for (int a = 0; a < p.most; ++a) row[a] = static_cast<double>(q[a]);
    softmax(row, p.most, parameter, out);
  }

  /// Takes in what the others of every agent played.
  template <class Team>
  CUMARL_HD static void observe(const Team& team, const Params& p, std::byte* memory,
                                const JointStep& step) {
    if (team.rank() == 0) {
      for (int i = 0; i < p.agents; ++i) {
        for (int b = 0; b < p.most; ++b) {
          int count = 0;
          for (int j = 0; j < p.agents; ++j) {
            count += j != i && step.actions->action[j] == b ? 1 : 0;
          }
          mean_of(p, memory, i)[b] = static_cast<Real>(count) / static_cast<Real>(p.agents - 1);
        }
      }
    }
    team.sync();
  }
  template <class Team>
  CUMARL_HD static void forget(const Team& team, const Params& p, std::byte* memory) {
    if (team.rank() != 0) return;
    for (int i = 0; i < p.agents; ++i) {
      for (int b = 0; b < p.most; ++b) {
        mean_of(p, memory, i)[b] = Real(1) / static_cast<Real>(p.most);
      }
    }
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
