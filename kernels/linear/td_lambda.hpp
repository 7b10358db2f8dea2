/// \file
/// Q-learning, Sarsa and expected Sarsa with linear approximation and eligibility traces.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/linear/linear_values.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// What the update takes as the value of the next state.
enum class Backup : uint8_t { greedy, sampled, expected };

/// Every agent for itself, on its own features x:
///   delta = r + gamma V(x') - w_a . x;  e = gamma lambda e, then e_a += x;  w += alpha delta e
/// with V(x') = max_b w_b . x' (greedy), w_a' . x' for the action a' played next (sampled), or the
/// mean over the exploring policy (expected). Greedy cuts the traces where the next action is not a
/// best one (Watkins). Memory of a run: weights, then with lambda > 0 as many traces, then a row of
/// values an agent, then what is known of the coming step.
/// Source: Sutton and Barto, "Reinforcement Learning", 2nd ed. 2018: Sarsa(lambda) section 12.7,
/// Watkins's Q(lambda) section 12.10, expected Sarsa section 6.6; accumulating traces.
/// Deviation: the next action of `sampled` and of a trace's cut is drawn while learning, with the
/// exploration of the next step, and played there. At a time limit the bootstrap stays.
template <class Real, Backup kBackup>
struct TdLambda {
  using Values = LinearValues<Real>;
  static constexpr Acts kActs = Acts::numbered;
  static constexpr bool kGreedy = true;
  static constexpr bool kSeesGlobal = false;
  static constexpr bool kSeesAny = true;

  struct Config : Values::Config {
    double lambda = 0.0;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("lambda", c.lambda, Bounds{0, 1}, "", "decay of the eligibility traces; 0: none");
    c.Values::Config::fields(v);
  }

  struct Params : Values::Params {
    Real decay;  ///< gamma lambda
  };
  static Params make(const Config& c, const JointSpec& spec, Arena&) {
    Params p{};
    static_cast<typename Values::Params&>(p) = Values::make(c, spec);
    p.decay = static_cast<Real>(c.gamma * c.lambda);
    int widest = 0;
    for (int i = 0; i < spec.agents; ++i) widest = spec.size[i] > widest ? spec.size[i] : widest;
    if (spec.warnings != nullptr && c.alpha * widest > 2) {
      spec.warnings->push_back(
          "learner.alpha: a step of " + std::to_string(c.alpha) + " on up to " +
          std::to_string(widest) +
          " features of size 1 can overshoot: alpha |x|^2 above 2 is not stable");
    }
    return p;
  }

  /// What is known of the coming step: whether the row of values is that of its state, and the
  /// action, if it is drawn.
  struct Coming {
    int32_t known;
    int32_t action;
  };

  CUMARL_HD static size_t bytes(const Params& p) {
    return (Values::entries(p) * (p.decay > 0 ? 2 : 1) + rows(p)) * sizeof(Real) +
           kMaxJointAgents * sizeof(Coming) + sizeof(Exploration::Memo);
  }

  template <class Team>
  CUMARL_HD static void init(const Team& team, const Params& p, std::byte* memory, RunKey) {
    if (team.rank() == 0) {
      for (int i = 0; i < p.agents; ++i) coming(p, memory)[i] = {0, -1};
      *reinterpret_cast<Exploration::Memo*>(coming(p, memory) + kMaxJointAgents) = {};
    }
  }

  template <class Team>
  CUMARL_HD static void act(const Team& team, const Params& p, std::byte* memory,
                            const Seen<Real>& seen, const uint32_t* words, uint64_t t,
                            JointAction& out) {
    const float parameter = exploration(team, p, memory, t);
    for (int i = 0; i < p.agents; ++i) {
      Coming& next = coming(p, memory)[i];
      Real* const q = value_row(p, memory, i);
      if (next.known == 0) {
        multiply(team, weights(memory) + agent_at(p, i), p.actions[i], seen.any(i), p.pitch, q);
      }
      const int drawn = next.action;
      out.action[i] = drawn >= 0 ? drawn : Values::choose(p, i, q, words[i], parameter);
      team.sync();
      if (team.rank() == 0) next = {1, -1};
    }
    team.sync();
  }

  template <class Team>
  CUMARL_HD static int learn(const Team& team, const Params& p, std::byte* memory,
                             const Seen<Real>& from, const Seen<Real>& to, const JointStep& step) {
    int diverged = -1;
    const bool ended = step.episode == Episode::ended;
    constexpr bool kLooksAhead = kBackup != Backup::greedy;
    float parameter = 0;  // of the next step's exploration
    if (kLooksAhead || p.decay > 0) parameter = exploration(team, p, memory, step.t + 1);
    const bool known = step.episode == Episode::goes_on && !(p.decay > 0);
    // All agents go through a part before the next one begins: their chains of operations overlap.
    Real move[kMaxJointAgents];  // what they are at first: the values of what was played
    for (int i = 0; i < p.agents; ++i) move[i] = value_row(p, memory, i)[step.actions->action[i]];
    team.sync();
    if (!ended) {
      for (int i = 0; i < p.agents; ++i) {
        multiply(team, weights(memory) + agent_at(p, i), p.actions[i], to.any(i), p.pitch,
                 value_row(p, memory, i));
      }
    }
    int drawn[kMaxJointAgents];
    for (int i = 0; i < p.agents; ++i) {
      const Real* const q = value_row(p, memory, i);
      Real target = static_cast<Real>(step.rewards[i]);
      drawn[i] = -1;
      if (!ended) {
        if (kBackup == Backup::sampled || (kBackup == Backup::greedy && p.decay > 0)) {
          drawn[i] = Values::choose(p, i, q, own_word(step, i), parameter);
        }
        target += p.gamma * value(p, i, q, drawn[i], static_cast<double>(parameter));
      }
      const Real error = target - move[i];
      if (Values::diverges(error) && diverged < 0) diverged = i;
      move[i] = p.alpha * error;
    }
    team.sync();  // all have read the rows of values, which lane 0 mends now
    for (int i = 0; i < p.agents; ++i) {
      const AnyVector<Real> x = from.any(i);
      const int a = step.actions->action[i];
      Real* const q = value_row(p, memory, i);
      if (p.decay > 0) {
        const bool cut = step.episode != Episode::goes_on ||
                         (kBackup == Backup::greedy && q[drawn[i]] < top_value(q, p.actions[i]));
        trace(team, p, memory, i, a, x, move[i], cut);
      } else {
        add_scaled(team, Values::row(p, weights(memory), i, a), move[i], x, p.pitch);
        // the next state's value moves with the weights just moved
        if (known) {
          const Real overlap = dot(team, x, to.any(i), p.pitch);
          if (team.rank() == 0) add_at(q, a, move[i] * overlap);
        }
      }
      if (team.rank() == 0) {
        coming(p, memory)[i] = {known ? 1 : 0, step.episode == Episode::goes_on ? drawn[i] : -1};
      }
    }
    team.sync();
    return diverged;
  }

  template <class Team>
  CUMARL_HD static void policy(const Team& team, const Params& p, std::byte* memory,
                               const Seen<Real>& seen, int agent, double* out) {
    int best = 0;
    Real most = 0;
    for (int a = 0; a < p.actions[agent]; ++a) {
      const Real value =
          dot(team, Values::row(p, weights(memory), agent, a), seen.any(agent), p.pitch);
      if (a == 0 || value > most) {
        most = value;
        best = a;
      }
    }
    pure_strategy(best, p.actions[agent], out);
  }

  /// The values of an agent's actions. Leaves the row that learn() goes by as it is.
  template <class Team>
  CUMARL_HD static void preferences(const Team& team, const Params& p, std::byte* memory,
                                    const Seen<Real>& seen, int agent, double* out) {
    for (int a = 0; a < p.actions[agent]; ++a) {
      out[a] = static_cast<double>(
          dot(team, Values::row(p, weights(memory), agent, a), seen.any(agent), p.pitch));
    }
  }

 private:
  CUMARL_HD static size_t rows(const Params& p) {
    return static_cast<size_t>(p.agents) * static_cast<size_t>(p.row_pitch);
  }
  CUMARL_HD static Real* weights(std::byte* memory) { return reinterpret_cast<Real*>(memory); }
  CUMARL_HD static size_t agent_at(const Params& p, int agent) {
    return static_cast<size_t>(agent * p.most) * static_cast<size_t>(p.pitch);
  }
  CUMARL_HD static Real* value_row(const Params& p, std::byte* memory, int agent) {
    return weights(memory) + Values::entries(p) * (p.decay > 0 ? 2 : 1) +
           static_cast<size_t>(agent * p.row_pitch);
  }
  CUMARL_HD static Coming* coming(const Params& p, std::byte* memory) {
    return reinterpret_cast<Coming*>(value_row(p, memory, 0) + rows(p));
  }
  CUMARL_HD static uint32_t own_word(const JointStep& step, int agent) {
    return philox(step.key, step.t, Stream::learn, 16 * static_cast<uint32_t>(agent)).x0;
  }

  /// Epsilon or temperature at step t; exp only where an era of 4,096 steps begins.
  template <class Team>
  CUMARL_HD static float exploration(const Team& team, const Params& p, std::byte* memory,
                                     uint64_t t) {
    auto* const kept = reinterpret_cast<Exploration::Memo*>(coming(p, memory) + kMaxJointAgents);
    Exploration::Memo memo = *kept;
    const uint64_t era = memo.era;
    const float parameter = p.exploration.at(t, memo);
    if (memo.era != era) {
      team.sync();
      if (team.rank() == 0) *kept = memo;
      team.sync();
    }
    return parameter;
  }

  CUMARL_HD static Real value(const Params& p, int agent, const Real* q, int drawn,
                              double parameter) {
    const int n = p.actions[agent];
    if (kBackup == Backup::sampled) return q[drawn];
    if (kBackup == Backup::greedy) return top_value(q, n);
    const int best = top_of_row(q, n);
    double mean = 0;
    if (p.exploration.kind == Exploration::kBoltzmann) {
      double total = 0;
      for (int a = 0; a < n; ++a) {
        const double weight = portable_exp(static_cast<double>(q[a] - q[best]) / parameter);
        total += weight;
        mean += weight * static_cast<double>(q[a]);
      }
      return static_cast<Real>(mean / total);
    }
    for (int a = 0; a < n; ++a) mean += static_cast<double>(q[a]);
    return static_cast<Real>((1.0 - parameter) * static_cast<double>(q[best]) +
                             parameter * mean / n);
  }

  /// Moves an agent's weights along its traces, which are forgotten where `cut`.
  template <class Team>
  CUMARL_HD static void trace(const Team& team, const Params& p, std::byte* memory, int agent,
                              int action, const AnyVector<Real>& x, Real move, bool cut) {
    for (int b = 0; b < p.actions[agent]; ++b) {
      Real* const w = Values::row(p, weights(memory), agent, b);
      Real* const e = w + Values::entries(p);
      if (b == action) {
        for_columns(team, p.pitch, [&](int k) { e[k] = p.decay * e[k]; });
        add_scaled(team, e, Real(1), x, p.pitch);
      }
      const Real decay = b == action ? Real(1) : p.decay;
      for_columns(team, p.pitch, [&](int k) {
        const Real mine = decay * e[k];
        w[k] += move * mine;
        e[k] = cut ? Real(0) : mine;
      });
    }
  }
};

/// Q(lambda) on linear approximators, every agent for itself.
template <class Real>
struct LinearQ : TdLambda<Real, Backup::greedy> {
  static constexpr LearnerFacts kFacts{
      "linear_q", "Q-learning with linear approximation and Watkins's traces",
      "Watkins 1989; Sutton and Barto 2018, sections 9.4 and 12.10"};
};

/// Sarsa(lambda) on linear approximators, every agent for itself.
template <class Real>
struct LinearSarsa : TdLambda<Real, Backup::sampled> {
  static constexpr LearnerFacts kFacts{"linear_sarsa", "Sarsa(lambda) with linear approximation",
                                       "Sutton and Barto 2018, section 12.7"};
};

/// Expected Sarsa on linear approximators, every agent for itself.
template <class Real>
struct LinearExpectedSarsa : TdLambda<Real, Backup::expected> {
  static constexpr LearnerFacts kFacts{
      "linear_expected_sarsa", "Expected Sarsa with linear approximation",
      "van Seijen et al. 2009; Sutton and Barto 2018, section 6.6"};
};

}  // namespace cumarl::inline CUMARL_VARIANT
