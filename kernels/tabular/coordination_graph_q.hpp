/// \file
/// Q-learning on a coordination graph.
#pragma once

#include <string>
#include <vector>

#include "kernels/tabular/action_choice.hpp"
#include "kernels/tabular/agent_memory.hpp"
#include "kernels/tabular/max_plus.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The team's value is a sum over the edges (i, j) of a given graph. With Gamma(i) the neighbours of
/// i, and a* the greedy joint action, found by max-plus,
///   Q_ij(s,a_i,a_j) += alpha (r_i/|Gamma(i)| + r_j/|Gamma(j)| + gamma Q_ij(s',a*_i,a*_j)
///                             - Q_ij(s,a_i,a_j)).
/// Source: Kok and Vlassis, "Collaborative multiagent reinforcement learning by payoff propagation",
/// JMLR 7, 2006, eq. (18), edge-based decomposition with edge-based update; max-plus: section 3.2
/// there. Deviations: see max_plus.hpp for how actions are read off; every agent holds a copy of all
/// edges, which stay equal, and explores its own action for itself.
struct CoordinationGraphQ {
  static constexpr LearnerFacts kFacts{"coordination_graph_q",
                                       "Q-learning on a coordination graph, by max-plus",
                                       "Kok and Vlassis, JMLR 7, 2006, eq. (18)", Sees::joint};
  static constexpr bool kGreedy = true;

  struct Config {
    double alpha = 0.1;
    double gamma = 0.95;
    Tensor edges;
    int rounds = 20;
    double initial = 0.0;
    Exploration::Config exploration;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate");
    v("gamma", c.gamma, Bounds{0, 1}, "", "discount factor");
    v("edges", c.edges, "agent", "pairs of agents, [[0, 1], [1, 2]]; empty: all pairs");
    v("rounds", c.rounds, Bounds{1, 10000}, "", "rounds of max-plus messages at most");
    c.exploration.fields(v);
    v("init.value", c.initial, Bounds{-1e12, 1e12}, "return",
      "initial value of the team, shared evenly among edges");
  }

  struct Params {
    Exploration exploration;
    CoordinationGraph graph;
    uint32_t observations;
    int32_t agent;
    int32_t rounds;
    double alpha;
    double gamma;
    double initial;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    if (spec.observations == 0) {
      throw ParameterError("name", "this environment has no tabular observation of this size");
    }
    require_epsilon(c.exploration,
                    "must be \"epsilon_greedy\": joint actions have no softmax here");
    Params p{};
    p.exploration = Exploration::make(c.exploration, spec.actions);
    p.graph = CoordinationGraph::make(edges_of(c.edges, spec.agents), spec, arena);
    p.observations = spec.observations;
    p.agent = spec.agent;
    p.rounds = c.rounds;
    p.alpha = c.alpha;
    p.gamma = c.gamma;
    p.initial = c.initial / p.graph.edges;
    return p;
  }

  struct Memory {
    double* q;        ///< [observations][graph.payoffs]
    int32_t* chosen;  ///< [observations][agents]: the greedy joint action
    double* messages;
    double* beliefs;
    int32_t* trial;
    size_t bytes;
  };
  CUMARL_HD static Memory view(const Params& p, std::byte* memory) {
    const CoordinationGraph& g = p.graph;
    const auto agents = static_cast<size_t>(g.agents);
    MemoryArrays arrays(memory);
    Memory m{};
    m.q = arrays.array<double>(size_t{p.observations} * g.payoffs);
    m.chosen = arrays.array<int32_t>(size_t{p.observations} * agents);
    m.messages = arrays.array<double>(g.message_count());
    m.beliefs = arrays.array<double>(g.belief_count());
    m.trial = arrays.array<int32_t>(agents);
    m.bytes = arrays.bytes();
    return m;
  }

  CUMARL_HD static size_t bytes(const Params& p) { return view(p, nullptr).bytes; }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey, int) {
    const Memory m = view(p, memory);
    clear_memory(memory, m.bytes);
    fill(m.q, size_t{p.observations} * p.graph.payoffs, p.initial);
  }
  CUMARL_HD static int32_t* chosen(const Params& p, std::byte* memory, uint32_t observation) {
    return view(p, memory).chosen + size_t{observation} * static_cast<size_t>(p.graph.agents);
  }
  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t t) {
    return epsilon_action(p.exploration, chosen(p, memory, observation)[p.agent],
                          p.graph.actions[p.agent], word, t);
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t to,
                              const Transition& step) {
    const Memory m = view(p, memory);
    const CoordinationGraph& g = p.graph;
    double* here = m.q + size_t{from} * g.payoffs;
    const double* there = m.q + size_t{to} * g.payoffs;
    const int32_t* next = chosen(p, memory, to);
    for (int e = 0; e < g.edges; ++e) {
      const int i = g.one[e];
      const int j = g.other[e];
      double target = static_cast<double>(step.rewards[i]) / g.degree[i] +
                      static_cast<double>(step.rewards[j]) / g.degree[j];
      if (step.episode != Episode::ended) target += p.gamma * there[g.place(e, next[i], next[j])];
      double& q = here[g.place(e, step.actions[i], step.actions[j])];
      q += p.alpha * (target - q);
    }
    max_plus(g, here, p.rounds, m.messages, m.beliefs, m.trial, chosen(p, memory, from));
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    pure_strategy(chosen(p, memory, observation)[p.agent], p.graph.actions[p.agent], out);
  }

 private:
  static std::vector<int> edges_of(const Tensor& listed, int agents) {
    std::vector<int> edges;
    if (listed.empty()) {
      for (int i = 0; i < agents; ++i) {
        for (int j = i + 1; j < agents; ++j) {
          edges.push_back(i);
          edges.push_back(j);
        }
      }
      return edges;
    }
    if (listed.shape.size() != 2 || listed.shape[1] != 2) {
      throw ParameterError("edges", "must be a list of pairs of agents: [[0, 1], [1, 2]]");
    }
    for (const double end : listed.values) {
      if (!(end >= 0 && end < agents) || end != static_cast<double>(static_cast<int>(end))) {
        throw ParameterError("edges",
                             "agents are numbered from 0 to " + std::to_string(agents - 1));
      }
      edges.push_back(static_cast<int>(end));
    }
    return edges;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
