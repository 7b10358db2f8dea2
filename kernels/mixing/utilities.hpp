/// \file
/// The agents' utilities Q_i(x, .): linear, or perceptrons with one hidden layer.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/linear/joint_learner.hpp"
#include "kernels/mixing/batch_ops.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// With width 0: Q_i(x) = x W + n_i; else Q_i(x) = max(x A + n_i, 0) B + c. Parameters are an
/// agent's own, or `shared`: then the number of the agent is an input as well, one-hot, which makes
/// n_i its row of weights; else n_i is a bias, or, with width 0, left out, since x has a one for it.
/// A linear one starts at zero: over one_hot features it is a table.
template <class Real>
struct Utilities {
  struct Config {
    int width = 64;
    bool shared = false;

    void fields(FieldVisitor& v) {
      v("utility.width", width, Bounds{0, 64}, "", "hidden units (ReLU); 0: linear");
      v("utility.shared", shared,
        "one network for all agents, which sees the agent's number; they need features alike");
    }
  };

  struct Shape {
    int32_t agents;
    int32_t networks;  ///< 1, or one an agent
    int32_t inputs;    ///< entries of x that count
    int32_t pitch;     ///< of x
    int32_t width;
    int32_t hidden;   ///< width, padded
    int32_t most;     ///< actions of the agent with most of them
    int32_t row;      ///< most, padded
    int32_t numbers;  ///< rows n_i of a network
    int32_t actions[kMaxJointAgents];
    uint64_t size;  ///< entries of a network
  };

  /// Throws ParameterError.
  static Shape make(const Config& c, const JointSpec& spec) {
    Shape s{};
    s.agents = spec.agents;
    s.networks = c.shared ? 1 : spec.agents;
    s.pitch = spec.pitch;
    s.width = c.width;
    s.hidden = padded(c.width);
    for (int i = 0; i < spec.agents; ++i) {
      s.actions[i] = spec.actions[i];
      s.most = spec.actions[i] > s.most ? spec.actions[i] : s.most;
      s.inputs = spec.size[i] > s.inputs ? spec.size[i] : s.inputs;
      if (c.shared && spec.size[i] != spec.size[0]) {
        throw ParameterError("utility.shared",
                             "needs agents with equal numbers of features; agent " +
                                 std::to_string(i) + " differs from agent 0");
      }
    }
    s.row = padded(s.most);
    s.numbers = c.shared ? spec.agents : (c.width > 0 ? 1 : 0);
    s.size = batch_ops::at(s.inputs + s.numbers, s.width > 0 ? s.hidden : s.row) +
             (s.width > 0 ? batch_ops::at(s.width + 1, s.row) : 0);
    return s;
  }

  /// Calls f(Weights) for the matrices of all networks.
  template <class F>
  CUMARL_HD static void for_weights(const Shape& s, F f) {
    const int fan_in = s.width > 0 ? s.inputs : 0;
    const int pitch = s.width > 0 ? s.hidden : s.row;
    const int columns = s.width > 0 ? s.width : s.most;
    for (int i = 0; i < s.networks; ++i) {
      const size_t from = static_cast<size_t>(i) * s.size;
      const int whose = s.networks == s.agents ? i : -1;
      f(Weights{"input", from, s.inputs, columns, pitch, fan_in, whose});
      f(Weights{"number", from + batch_ops::at(s.inputs, pitch), s.numbers, columns, pitch, fan_in,
                whose});
      if (s.width == 0) continue;
      const size_t out = second(s, i);
      f(Weights{"output", out, s.width, s.most, s.row, s.width, whose});
      f(Weights{"output_bias", out + batch_ops::at(s.width, s.row), 1, s.most, s.row, s.width,
                whose});
    }
  }

  /// Parameters of all agents.
  CUMARL_HD static size_t parameters(const Shape& s) {
    return static_cast<size_t>(s.networks) * s.size;
  }
  /// Entries of the transposed output weights of all networks.
  CUMARL_HD static size_t prepared(const Shape& s) {
    return s.width > 0 ? static_cast<size_t>(s.networks) * batch_ops::at(s.most, s.hidden) : 0;
  }

  /// Makes what `backward` needs of the weights.
  template <class Team>
  CUMARL_HD static void prepare(const Team& team, const Shape& s, const Real* w, Real* out) {
    if (s.width == 0) return;
    for (int i = 0; i < s.networks; ++i) {
      transpose(team, w + second(s, i), s.width, s.most, s.row,
                out + static_cast<size_t>(i) * batch_ops::at(s.most, s.hidden), s.hidden);
    }
  }

  /// q [rows][row] of an agent's x [rows][pitch]; h [rows][hidden] is kept for `backward`.
  template <class Team>
  CUMARL_HD static void forward(const Team& team, const Shape& s, const Real* w, int agent,
                                const Real* x, int rows, Real* h, Real* q) {
    const Real* const net = w + first(s, agent);
    if (s.width == 0) {
      const Real* const number = s.numbers > 0 ? net + number_at(s, agent) : nullptr;
      affine(team, x, s.pitch, rows, s.inputs, net, s.row, number, q, s.row);
      return;
    }
    affine(team, x, s.pitch, rows, s.inputs, net, s.hidden, net + number_at(s, agent), h, s.hidden);
    rectify(team, h, s.hidden, rows, s.hidden);
    const Real* const out = w + second(s, network(s, agent));
    affine(team, h, s.hidden, rows, s.width, out, s.row, out + batch_ops::at(s.width, s.row), q,
           s.row);
  }

  /// Adds the gradients that follow from dq [rows][row], whose padding is zero, to g. `transposed`
  /// is from `prepare`; dh [rows][hidden] is working memory.
  template <class Team>
  CUMARL_HD static void backward(const Team& team, const Shape& s, const Real* transposed,
                                 int agent, const Real* x, int rows, const Real* h, const Real* dq,
                                 Real* dh, Real* g) {
    Real* const net = g + first(s, agent);
    if (s.width == 0) {
      add_weight_gradient(team, x, s.pitch, rows, s.inputs, dq, s.row, s.row, net);
      if (s.numbers > 0) {
        add_bias_gradient(team, dq, s.row, rows, s.row, net + number_at(s, agent));
      }
      return;
    }
    const int which = network(s, agent);
    Real* const out = g + second(s, which);
    add_weight_gradient(team, h, s.hidden, rows, s.width, dq, s.row, s.row, out);
    add_bias_gradient(team, dq, s.row, rows, s.row, out + batch_ops::at(s.width, s.row));
    input_gradient(team, dq, s.row, rows, s.most,
                   transposed + static_cast<size_t>(which) * batch_ops::at(s.most, s.hidden),
                   s.hidden, dh, s.hidden);
    rectify_gradient(team, h, s.hidden, rows, s.hidden, dh, s.hidden);
    add_weight_gradient(team, x, s.pitch, rows, s.inputs, dh, s.hidden, s.hidden, net);
    add_bias_gradient(team, dh, s.hidden, rows, s.hidden, net + number_at(s, agent));
  }

 private:
  CUMARL_HD static int network(const Shape& s, int agent) { return s.networks == 1 ? 0 : agent; }
  CUMARL_HD static size_t first(const Shape& s, int agent) {
    return static_cast<size_t>(network(s, agent)) * s.size;
  }
  /// Of n_i, within a network.
  CUMARL_HD static size_t number_at(const Shape& s, int agent) {
    return batch_ops::at(s.inputs + (s.numbers > 1 ? agent : 0), s.width > 0 ? s.hidden : s.row);
  }
  /// Of the output weights.
  CUMARL_HD static size_t second(const Shape& s, int which) {
    return static_cast<size_t>(which) * s.size + batch_ops::at(s.inputs + s.numbers, s.hidden);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
