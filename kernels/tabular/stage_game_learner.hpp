/// \file
/// Q-learning whose next value is the solution of the one-shot game that the entries of an
/// observation make: what minimax-Q, friend-or-foe-Q, Nash-Q and correlated-Q share.
#pragma once

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/agent_memory.hpp"
#include "kernels/tabular/joint_actions.hpp"
#include "kernels/tabular/learning_rate.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q_k(s, joint action) += alpha (r_k + gamma V_k(s') - Q_k(s, joint action)) for every table k,
/// after which the one-shot game Q(s, .) is solved anew for V(s) and for the strategy in s. Before
/// the first update of s, V(s) is the initial value and the strategy uniform. If a game cannot be
/// solved, what stood for s remains.
///
/// A strategy is over `plans`: numbers of which plan / plan_weight mod actions is the own action
/// (own actions, or joint ones). Agents with one `speaker` draw their plan from one random word.
///
/// `Rule`, trivially copyable, gives
///   Config, fields(v, c), make(c, spec)    throws ParameterError for what it cannot solve
///   joints, plans, plan_weight, tables     see above; `tables` tables an observation
///   speaker                                -1: draws for itself
///   owner(k)                               the agent whose rewards table k holds
///   place(k, cell)                         of an entry among the tables * joint of an observation
///   scratch()                              doubles of working memory
///   solve(q, scratch, strategy, values)    to [plans] and [tables]; false: not solved
template <class Rule>
struct StageGameLearner {
  static constexpr bool kGreedy = false;

  struct Config {
    LearningRate::Config rate;
    double gamma = 0.95;
    double initial = 0.0;
    Exploration::Config exploration;
    typename Rule::Config rule;
  };
  static void fields(FieldVisitor& v, Config& c) {
    c.rate.fields(v);
    v("gamma", c.gamma, Bounds{0, 1}, "", "discount factor");
    Rule::fields(v, c.rule);
    c.exploration.fields(v);
    v("init.value", c.initial, Bounds{-1e12, 1e12}, "return", "initial value of every entry");
  }

  struct Params {
    Exploration exploration;
    Rule rule;
    LearningRate rate;
    uint32_t observations;
    int32_t agent;
    double gamma;
    double initial;
    CUMARL_HD int actions() const { return rule.joints.actions[agent]; }
    CUMARL_HD size_t entries() const {
      return static_cast<size_t>(rule.tables) * rule.joints.joint;
    }
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena&) {
    require_epsilon(c.exploration,
                    "must be \"epsilon_greedy\": the solution of the stage game is played, and "
                    "explored with probability epsilon");
    Params p{};
    p.rule = Rule::make(c.rule, spec);
    p.exploration = Exploration::make(c.exploration, spec.actions);
    p.rate = LearningRate::make(c.rate);
    p.observations = spec.observations;
    p.agent = spec.agent;
    p.gamma = c.gamma;
    p.initial = c.initial;
    return p;
  }

  struct Memory {
    RunKey* key;
    double* q;         ///< [observations][tables * joint actions]
    double* strategy;  ///< [observations][plans]
    double* value;     ///< [observations][tables]
    uint32_t* visits;  ///< [observations][joint actions] where the rate counts them
    double* scratch;
    size_t bytes;
  };
  CUMARL_HD static Memory view(const Params& p, std::byte* memory) {
    const size_t observations = p.observations;
    MemoryArrays arrays(memory);
    Memory m{};
    m.key = arrays.array<RunKey>(1);
    m.q = arrays.array<double>(observations * p.entries());
    m.strategy = arrays.array<double>(observations * static_cast<size_t>(p.rule.plans));
    m.value = arrays.array<double>(observations * static_cast<size_t>(p.rule.tables));
    m.visits = arrays.array<uint32_t>(p.rate.counts() ? observations * p.rule.joints.joint : 0);
    m.scratch = arrays.array<double>(p.rule.scratch());
    m.bytes = arrays.bytes();
    return m;
  }

  CUMARL_HD static size_t bytes(const Params& p) { return view(p, nullptr).bytes; }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int) {
    const Memory m = view(p, memory);
    const size_t observations = p.observations;
    clear_memory(memory, m.bytes);
    *m.key = key;
    fill(m.q, observations * p.entries(), p.initial);
    fill(m.strategy, observations * static_cast<size_t>(p.rule.plans), 1.0 / p.rule.plans);
    fill(m.value, observations * static_cast<size_t>(p.rule.tables), p.initial);
  }
  CUMARL_HD static const double* strategy_at(const Params& p, std::byte* memory,
                                             uint32_t observation) {
    return view(p, memory).strategy + size_t{observation} * static_cast<size_t>(p.rule.plans);
  }
  CUMARL_HD static int own_action(const Params& p, int plan) {
    return plan / p.rule.plan_weight % p.actions();
  }

  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    const MixedDecision d = mixed_decision(p.exploration, p.actions(), word, t);
    if (d.explores) return static_cast<int>(d.action);
    const double place = p.rule.speaker < 0
                             ? d.uniform
                             : unit_double(common_word(*view(p, memory).key, t, p.rule.speaker));
    return own_action(p, action_at(strategy_at(p, memory, observation), p.rule.plans, place));
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    const Memory m = view(p, memory);
    const Rule& rule = p.rule;
    const int cell = rule.joints.of(step.actions);
    double* q = m.q + size_t{from} * p.entries();
    uint64_t visit = 0;
    if (p.rate.counts()) {
      visit = ++m.visits[size_t{from} * rule.joints.joint + static_cast<size_t>(cell)];
    }
    const double rate = p.rate.at(step.t, visit);
    const double* next = m.value + size_t{to} * static_cast<size_t>(rule.tables);
    for (int k = 0; k < rule.tables; ++k) {
      double target = static_cast<double>(step.rewards[rule.owner(k)]);
      if (step.episode != Episode::ended) target += p.gamma * next[k];
      double& entry = q[rule.place(k, cell)];
      entry += rate * (target - entry);
    }
    rule.solve(q, m.scratch, m.strategy + size_t{from} * static_cast<size_t>(rule.plans),
               m.value + size_t{from} * static_cast<size_t>(rule.tables));
  }
  /// The own part of the strategy, whatever the others' is.
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    const double* strategy = strategy_at(p, memory, observation);
    for (int a = 0; a < p.actions(); ++a) out[a] = 0.0;
    for (int plan = 0; plan < p.rule.plans; ++plan) out[own_action(p, plan)] += strategy[plan];
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
