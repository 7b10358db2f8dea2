/// \file
/// Mean-field Q-learning.
#pragma once

#include <string>
#include <vector>

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/agent_memory.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// With m, what the neighbours' actions were on average at this step:
///   Q(s, a, m) += alpha (r + gamma v(s') - Q(s, a, m)),  v(s') = sum_a' pi(a'|s', m) Q(s', a', m),
/// and pi(. | s, m) = softmax(Q(s, ., m) / temperature) is played at the next step, where the
/// present mean is not known yet.
/// Source: Yang, Luo, Li, Zhou, Zhang, Wang, "Mean field multi-agent reinforcement learning", ICML
/// 2018, section 3. Deviations: the mean action is kept exactly, as the number of neighbours who
/// played each action, and v takes the last mean for the expectation over it. The last mean is
/// remembered from learning, and before the first step of an episode the neighbours count as having
/// played all actions equally often, up to rounding in favour of low ones. Where the observation is
/// that mean and nothing else (as in the Ising lattice), mean_action = "observed" takes it from
/// there, and the table is Q(a, m).
struct MeanFieldQ {
  static constexpr LearnerFacts kFacts{"mean_field_q", "Mean-field Q-learning",
                                       "Yang et al., ICML 2018, section 3", Sees::actions};
  static constexpr bool kGreedy = false;
  static constexpr uint64_t kMaxEntries = uint64_t{1} << 28;

  enum MeanAction : int32_t { kRemembered = 0, kObserved = 1 };
  struct Config {
    double alpha = 0.1;
    double gamma = 0.95;
    Choice mean_action{kRemembered};
    double initial = 0.0;
    Exploration::Config exploration;
    Config() { exploration.kind.value = Exploration::kBoltzmann; }
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate");
    v("gamma", c.gamma, Bounds{0, 1}, "", "discount factor");
    v.choice(
        "mean_action", c.mean_action, {"remembered", "observed"},
        "the neighbours' last mean action: kept beside the observation, or it is the observation");
    c.exploration.fields(v);
    v("init.value", c.initial, Bounds{-1e12, 1e12}, "return", "initial value of every entry");
  }

  struct Params {
    Exploration exploration;
    const int* neighbours;  ///< [neighbour_count] agents
    const uint32_t* ways;   ///< [actions + 1][neighbour_count + 1], see rank
    int32_t neighbour_count;
    int32_t actions;
    uint32_t means;  ///< number of mean actions
    uint32_t first_mean;
    uint32_t observations;  ///< beside the mean action
    bool observed;          ///< the observation is the mean action
    double alpha;
    double gamma;
    double initial;

    /// The number of a vector of counts. All vectors are ordered by the count of the last action,
    /// then of the one before, and so on: for two actions the number is the count of action 1.
    /// ways[m][n] vectors of m counts sum to n.
    CUMARL_HD uint32_t rank(const int* count) const {
      uint32_t number = 0;
      int left = neighbour_count;
      for (int a = actions - 1; a > 0; --a) {
        const uint32_t* shorter = ways + a * (neighbour_count + 1);
        for (int less = 0; less < count[a]; ++less) number += shorter[left - less];
        left -= count[a];
      }
      return number;
    }
  };

  /// Throws ParameterError where the neighbours are not known or the table is too large.
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    require_boltzmann(c.exploration);
    if (spec.observations == 0) {
      throw ParameterError("name", "this environment has no tabular observation of this size");
    }
    if (spec.actions > kMostActions) {
      throw ParameterError("name", "this learner takes up to 128 actions");
    }
    for (const int i : spec.neighbours) {
      if (spec.all_actions[i] != spec.actions) {
        throw ParameterError("name",
                             "mean_field_q needs neighbours with the same number of actions");
      }
    }
    const bool observed = c.mean_action.value == kObserved;
    const uint32_t observations = observed ? 1 : spec.observations;
    const auto neighbours = spec.neighbours.size();
    const auto actions = static_cast<size_t>(spec.actions);
    std::vector<uint32_t> ways((actions + 1) * (neighbours + 1), 0);
    ways[0] = 1;
    for (size_t m = 1; m <= actions; ++m) {
      uint64_t sum = 0;
      for (size_t n = 0; n <= neighbours; ++n) {
        sum += ways[(m - 1) * (neighbours + 1) + n];
        if (sum * observations * actions > kMaxEntries) {
          throw ParameterError("name", "too many mean actions for a table (2^28 entries)");
        }
        ways[m * (neighbours + 1) + n] = static_cast<uint32_t>(sum);
      }
    }
    Params p{};
    p.exploration = Exploration::make(c.exploration, spec.actions);
    p.neighbour_count = static_cast<int32_t>(neighbours);
    p.actions = spec.actions;
    p.means = ways.back();
    if (observed && p.means != spec.observations) {
      throw ParameterError("mean_action",
                           "\"observed\" needs an observation for each mean action: there are " +
                               std::to_string(p.means) + " of these and " +
                               std::to_string(spec.observations) + " observations");
    }
    p.observations = observations;
    p.observed = observed;
    p.alpha = c.alpha;
    p.gamma = c.gamma;
    p.initial = c.initial;
    p.ways = ways.data();
    std::vector<int> even(actions);
    for (size_t a = 0; a < actions; ++a) {
      even[a] = static_cast<int>((neighbours + actions - 1 - a) / actions);
    }
    p.first_mean = p.rank(even.data());
    p.ways = arena.store(ways);
    p.neighbours = arena.store(spec.neighbours);
    return p;
  }

  struct Head {
    uint64_t last_step;
    uint32_t mean;  ///< of the last step
    uint32_t unused;
  };
  struct Memory {
    Head* head;
    double* q;  ///< [observations][means][actions]
    size_t bytes;
  };
  CUMARL_HD static Memory view(const Params& p, std::byte* memory) {
    MemoryArrays arrays(memory);
    Memory m{};
    m.head = arrays.array<Head>(1);
    m.q = arrays.array<double>(entries(p));
    m.bytes = arrays.bytes();
    return m;
  }
  CUMARL_HD static size_t entries(const Params& p) {
    return size_t{p.observations} * p.means * static_cast<size_t>(p.actions);
  }
  CUMARL_HD static double* row(const Params& p, std::byte* memory, uint32_t observation,
                               uint32_t mean) {
    const size_t place = p.observed ? mean : size_t{observation} * p.means + mean;
    return view(p, memory).q + place * static_cast<size_t>(p.actions);
  }
  /// The row that is played: that of the last mean action.
  CUMARL_HD static double* present(const Params& p, std::byte* memory, uint32_t observation) {
    return row(p, memory, observation, p.observed ? observation : view(p, memory).head->mean);
  }

  CUMARL_HD static size_t bytes(const Params& p) { return view(p, nullptr).bytes; }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey, int) {
    const Memory m = view(p, memory);
    *m.head = {0, p.first_mean, 0};
    fill(m.q, entries(p), p.initial);
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    return explore(p.exploration, present(p, memory, observation), p.actions, word, t);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    Head& head = *view(p, memory).head;
    int count[kMostActions];
    for (int a = 0; a < p.actions; ++a) count[a] = 0;
    for (int k = 0; k < p.neighbour_count; ++k) ++count[step.actions[p.neighbours[k]]];
    const uint32_t mean = p.rank(count);
    double target = static_cast<double>(step.rewards[step.agent]);
    if (step.episode != Episode::ended) {
      const double* next = row(p, memory, to, mean);
      double pi[kMostActions];
      softmax(next, p.actions, static_cast<double>(p.exploration.at(step.t + 1)), pi);
      target += p.gamma * inner_product(pi, next, p.actions);
    }
    double& q = row(p, memory, from, mean)[step.actions[step.agent]];
    q += p.alpha * (target - q);
    head.last_step = step.t;
    head.mean = step.episode == Episode::goes_on ? mean : p.first_mean;
  }
  /// At the last step's temperature, answering the last step's mean action.
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    softmax(present(p, memory, observation), p.actions,
            static_cast<double>(p.exploration.at(view(p, memory).head->last_step)), out);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
