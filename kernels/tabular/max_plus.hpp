/// \file
/// Max-plus on a coordination graph: a joint action that makes a sum of payoffs over edges large.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/arena.hpp"
#include "kernels/core/fields.hpp"
#include "kernels/core/hd.hpp"
#include "kernels/core/learner.hpp"
#include "kernels/tabular/mixed_strategy.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Who shares payoffs with whom. Edge e joins agents one[e] and other[e]; its payoffs lie at
/// place(e, action of `one`, action of `other`) of an array [payoffs].
struct CoordinationGraph {
  int32_t agents;
  int32_t edges;
  int32_t most_actions;
  uint32_t payoffs;
  const int32_t* actions;   ///< [agents]
  const int32_t* degree;    ///< [agents] number of edges
  const int32_t* one;       ///< [edges]
  const int32_t* other;     ///< [edges]
  const uint32_t* first;    ///< [edges] where an edge's payoffs begin
  const int32_t* order;     ///< [agents] so that each but the first of a component has a neighbour
                            ///< before it
  const int32_t* position;  ///< [agents] in `order`

  CUMARL_HD size_t place(int e, int of_one, int of_other) const {
    return first[e] + static_cast<size_t>(of_one * actions[other[e]] + of_other);
  }
  /// Edge e's message to `other` is number 2 e, that to `one` 2 e + 1; rows of most_actions.
  CUMARL_HD size_t message_count() const {
    return 2 * static_cast<size_t>(edges) * static_cast<size_t>(most_actions);
  }
  CUMARL_HD size_t belief_count() const {
    return static_cast<size_t>(agents) * static_cast<size_t>(most_actions);
  }

  /// `ends` lists two agents an edge. Throws ParameterError.
  static CoordinationGraph make(const std::vector<int>& ends, const AgentSpec& spec, Arena& arena) {
    const auto agents = static_cast<size_t>(spec.agents);
    CoordinationGraph g{};
    g.agents = spec.agents;
    std::vector<int32_t> actions(spec.all_actions, spec.all_actions + agents);
    std::vector<int32_t> degree(agents), one, other, order, position(agents, -1);
    std::vector<uint32_t> first;
    uint64_t payoffs = 0;
    for (size_t e = 0; e + 1 < ends.size(); e += 2) {
      const int i = ends[e];
      const int j = ends[e + 1];
      bool again = i == j;
      for (size_t k = 0; k < one.size(); ++k) {
        again = again || (one[k] == i && other[k] == j) || (one[k] == j && other[k] == i);
      }
      if (again)
        throw ParameterError("edges", "an edge joins two agents, and no two join the same");
      one.push_back(i);
      other.push_back(j);
      ++degree[static_cast<size_t>(i)];
      ++degree[static_cast<size_t>(j)];
      first.push_back(static_cast<uint32_t>(payoffs));
      payoffs +=
          static_cast<uint64_t>(spec.all_actions[i]) * static_cast<uint64_t>(spec.all_actions[j]);
    }
    if (payoffs * spec.observations > uint64_t{1} << 28) {
      throw ParameterError("edges", "too many observations x edge payoffs for a table (2^28)");
    }
    for (size_t i = 0; i < agents; ++i) {
      if (degree[i] == 0) {
        throw ParameterError("edges", "agent " + std::to_string(i) + " is in no edge");
      }
      if (actions[i] > kMostActions) {
        throw ParameterError("name", "this learner takes up to 128 actions");
      }
      if (actions[i] > g.most_actions) g.most_actions = actions[i];
    }
    for (size_t start = 0; start < agents; ++start) {
      const auto reach = [&](int32_t i) {
        if (position[static_cast<size_t>(i)] >= 0) return;
        position[static_cast<size_t>(i)] = static_cast<int32_t>(order.size());
        order.push_back(i);
      };
      size_t next = order.size();
      for (reach(static_cast<int32_t>(start)); next < order.size(); ++next) {
        const int32_t i = order[next];
        for (size_t e = 0; e < one.size(); ++e) {
          if (one[e] == i) reach(other[e]);
          if (other[e] == i) reach(one[e]);
        }
      }
    }
    g.edges = static_cast<int32_t>(one.size());
    g.payoffs = static_cast<uint32_t>(payoffs);
    g.actions = arena.store(actions);
    g.degree = arena.store(degree);
    g.one = arena.store(one);
    g.other = arena.store(other);
    g.first = arena.store(first);
    g.order = arena.store(order);
    g.position = arena.store(position);
    return g;
  }
};

/// The sum over all edges.
CUMARL_HD inline double graph_payoff(const CoordinationGraph& g, const double* payoffs,
                                     const int32_t* actions) {
  double sum = 0.0;
  for (int e = 0; e < g.edges; ++e) {
    sum += payoffs[g.place(e, actions[g.one[e]], actions[g.other[e]])];
  }
  return sum;
}

/// Sends one message over edge e and brings the receiver's beliefs up to date; the largest change.
CUMARL_HD inline double send_message(const CoordinationGraph& g, const double* payoffs, int e,
                                     bool to_other, double* messages, double* beliefs) {
  const int sender = to_other ? g.one[e] : g.other[e];
  const int receiver = to_other ? g.other[e] : g.one[e];
  const size_t width = static_cast<size_t>(g.most_actions);
  double* sent = messages + (2 * static_cast<size_t>(e) + (to_other ? 0 : 1)) * width;
  const double* back = messages + (2 * static_cast<size_t>(e) + (to_other ? 1 : 0)) * width;
  const double* sender_belief = beliefs + static_cast<size_t>(sender) * width;
  double* belief = beliefs + static_cast<size_t>(receiver) * width;
  double fresh[kMostActions];
  double mean = 0.0;
  for (int b = 0; b < g.actions[receiver]; ++b) {
    double best = 0.0;
    for (int a = 0; a < g.actions[sender]; ++a) {
      const double payoff = payoffs[to_other ? g.place(e, a, b) : g.place(e, b, a)];
      const double value = payoff + (sender_belief[a] - back[a]);
      if (a == 0 || value > best) best = value;
    }
    fresh[b] = best;
    mean += best;
  }
  mean = mean / g.actions[receiver];
  double change = 0.0;
  for (int b = 0; b < g.actions[receiver]; ++b) {
    const double message = fresh[b] - mean;
    const double moved = message - sent[b];
    change = moved > change ? moved : (-moved > change ? -moved : change);
    belief[b] += moved;
    sent[b] = message;
  }
  return change;
}

/// Writes to `chosen` the best joint action found in up to `rounds` rounds of messages, each sent in
/// the order of the edges, there and back. It is the best one if the graph has no cycle.
/// Source: Kok and Vlassis, JMLR 7, 2006, section 3.2, figure 4, with their "anytime" extension: the
/// joint action is read off after every round and the best kept. Deviation: it is read off agent by
/// agent, each answering the choices of the neighbours before it, so that equally good joint actions
/// are not mixed up; of equals the lowest action.
CUMARL_HD inline void max_plus(const CoordinationGraph& g, const double* payoffs, int rounds,
                               double* messages, double* beliefs, int32_t* trial, int32_t* chosen) {
  const size_t width = static_cast<size_t>(g.most_actions);
  for (size_t k = 0; k < g.message_count(); ++k) messages[k] = 0.0;
  for (size_t k = 0; k < g.belief_count(); ++k) beliefs[k] = 0.0;
  double best = 0.0;
  for (int round = 0; round < rounds; ++round) {
    double change = 0.0;
    for (int k = 0; k < 2 * g.edges; ++k) {
      const bool forth = k < g.edges;
      const int e = forth ? k : 2 * g.edges - 1 - k;
      const double moved = send_message(g, payoffs, e, forth, messages, beliefs);
      change = moved > change ? moved : change;
    }
    for (int k = 0; k < g.agents; ++k) {
      const int i = g.order[k];
      double value[kMostActions];
      const double* belief = beliefs + static_cast<size_t>(i) * width;
      for (int a = 0; a < g.actions[i]; ++a) value[a] = belief[a];
      for (int e = 0; e < g.edges; ++e) {
        const bool first = g.one[e] == i;
        if (!first && g.other[e] != i) continue;
        const int neighbour = first ? g.other[e] : g.one[e];
        if (g.position[neighbour] > k) continue;
        const double* message = messages + (2 * static_cast<size_t>(e) + (first ? 1 : 0)) * width;
        for (int a = 0; a < g.actions[i]; ++a) {
          const int there = trial[neighbour];
          value[a] += payoffs[first ? g.place(e, a, there) : g.place(e, there, a)] - message[a];
        }
      }
      trial[i] = arg_max(value, g.actions[i]);
    }
    const double payoff = graph_payoff(g, payoffs, trial);
    if (round == 0 || payoff > best) {
      best = payoff;
      for (int i = 0; i < g.agents; ++i) chosen[i] = trial[i];
    }
    if (change < 1e-12) break;
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
