/// \file
/// Lenient Q-learning.
#pragma once

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/agent_memory.hpp"
#include "kernels/tabular/tabular.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Q-learning that forgives bad news while an action is young. Every entry has a temperature T(s,a),
/// which starts at max_temperature and falls with each of its updates; an update that would lower
/// Q(s,a) is left out with probability exp(-1 / (theta T(s,a))). Actions are drawn from
/// softmax(Q(s,.) / (omega mean T(s,.))) until that mean is below min_temperature, and are greedy
/// then. After a step, T(s,a) becomes decay ((1 - tau) T(s,a) + tau mean T(s',.)), without the
/// second part when the episode has ended.
/// Source: Panait, Sullivan, Luke, "Lenient learners in cooperative multiagent systems", AAMAS 2006;
/// in the form for several states of Wei and Luke, "Lenient learning in independent-learner
/// stochastic cooperative games" (LMRL2), JMLR 17, 2016, section 4. Deviation: none.
struct LenientQ {
  using Base = Tabular<Float64, AnyShape>;

  static constexpr LearnerFacts kFacts{
      "lenient_q", "Lenient Q-learning",
      "Panait, Sullivan, Luke, AAMAS 2006; Wei and Luke, JMLR 17, 2016 (LMRL2)"};
  static constexpr bool kGreedy = true;

  struct Config {
    double alpha = 0.1;
    double gamma = 0.9;
    double max_temperature = 50.0;
    double min_temperature = 2.0;
    double decay = 0.995;
    double diffusion = 0.1;
    double action_moderation = 1.0;
    double leniency_moderation = 1.0;
    InitConfig init;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate");
    v("gamma", c.gamma, Bounds{0, 1}, "", "discount factor");
    v("max_temperature", c.max_temperature, Bounds{1e-9, 1e9}, "", "initial temperature");
    v("min_temperature", c.min_temperature, Bounds{1e-9, 1e9}, "",
      "below this mean temperature actions are greedy");
    v("decay", c.decay, Bounds{0, 1}, "", "delta: factor of a temperature at each of its updates");
    v("diffusion", c.diffusion, Bounds{0, 1}, "",
      "tau: share of the next observation's mean temperature that is mixed in");
    v("action_moderation", c.action_moderation, Bounds{1e-9, 1e9}, "",
      "omega: softmax temperatures are this times the mean temperature");
    v("leniency_moderation", c.leniency_moderation, Bounds{1e-9, 1e9}, "",
      "theta: the higher, the more bad news is forgiven");
    c.init.fields(v);
  }

  struct Params : Base::Params {
    double alpha;
    double max_temperature;
    double min_temperature;
    double decay;
    double diffusion;
    double omega;
    double theta;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    typename Base::Config base;
    base.gamma = c.gamma;
    base.init = c.init;
    return {Base::make(base, spec, arena),
            c.alpha,
            c.max_temperature,
            c.min_temperature,
            c.decay,
            c.diffusion,
            c.action_moderation,
            c.leniency_moderation};
  }

  /// T(observation, .), [actions]; behind the table.
  CUMARL_HD static double* temperatures(const Params& p, std::byte* memory, uint32_t observation) {
    return reinterpret_cast<double*>(memory + Base::bytes(p)) +
           size_t{observation} * static_cast<size_t>(p.actions);
  }
  CUMARL_HD static double mean_temperature(const Params& p, std::byte* memory,
                                           uint32_t observation) {
    const double* t = temperatures(p, memory, observation);
    double sum = 0.0;
    for (int a = 0; a < p.actions; ++a) sum += t[a];
    return sum / p.actions;
  }
  CUMARL_HD static size_t bytes(const Params& p) {
    return Base::bytes(p) +
           size_t{p.observations} * static_cast<size_t>(p.actions) * sizeof(double);
  }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int agent) {
    Base::init(SerialTeam{}, p, memory, key, agent);
    fill(temperatures(p, memory, 0), size_t{p.observations} * static_cast<size_t>(p.actions),
         p.max_temperature);
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t) {
    const double* row = Base::row(p, memory, observation);
    const double mean = mean_temperature(p, memory, observation);
    return mean < p.min_temperature ? arg_max(row, p.actions)
                                    : softmax_action(row, p.actions, p.omega * mean, word);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    const int a = step.actions[step.agent];
    double& q = Base::row(p, memory, from)[a];
    double& temperature = temperatures(p, memory, from)[a];
    double target = static_cast<double>(step.rewards[step.agent]);
    double warmth = temperature;
    if (step.episode != Episode::ended) {
      target += p.gamma * best_value(Base::row(p, memory, to), p.actions);
      warmth += p.diffusion * (mean_temperature(p, memory, to) - temperature);
    }
    bool believed = target >= q;
    if (!believed) {
      believed = unit_double(own_word(step)) >= portable_exp(-1.0 / (p.theta * temperature));
    }
    if (believed) q += p.alpha * (target - q);
    temperature = p.decay * warmth;
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    pure_strategy(arg_max(Base::row(p, memory, observation), p.actions), p.actions, out);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
