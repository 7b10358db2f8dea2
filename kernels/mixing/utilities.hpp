/// \file
/// The agents' utilities Q_i(x, .): linear, perceptrons with one hidden layer, or recurrent.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/linear/joint_learner.hpp"
#include "kernels/mixing/activations.hpp"
#include "kernels/mixing/batch_ops.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// With width 0: Q_i(x) = x W + n_i; else Q_i(x) = max(x A + n_i, 0) B + c; recurrent, with the
/// hidden state h (zero at the start of an episode) and s(y) = 1 / (1 + e^-y):
///   e = max(x A + n_i, 0),  (r', z', y) = e W + b,  (r", z", u) = h U + (0, 0, d)
///   r = s(r' + r"),  z = s(z' + z"),  y' = tanh(y + r u),  h <- (1 - z) y' + z h,  Q_i = h B + c
/// Parameters are an agent's own, or `shared`: then the number of the agent is an input as well, one-hot, which makes
/// n_i its row of weights; else n_i is a bias, or, with width 0, left out, since x has a one for it.
/// A linear one starts at zero: over one_hot features it is a table.
/// Source: gated recurrent unit: Cho et al., "Learning Phrase Representations using RNN
/// Encoder-Decoder for Statistical Machine Translation", EMNLP 2014, eqs. (5) to (8); as a utility:
/// Rashid et al., ICML 2018, appendix. Deviation: r is applied behind the product with U, as the
/// published implementations of QMIX have it.
template <class Real>
struct Utilities {
  enum Kind : int32_t { kPerceptron, kRecurrent };

  struct Config {
    Choice kind{kPerceptron};
    int width = 64;
    bool shared = false;

    void fields(FieldVisitor& v) {
      v.choice("utility.kind", kind, {"mlp", "gru"},
               "one hidden layer, or a gated recurrent unit behind it, which remembers");
      v("utility.width", width, Bounds{0, 64}, "", "hidden units (ReLU, GRU); 0: linear");
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
    int32_t gates;    ///< 3 hidden, or 0 where nothing is recurrent
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
    if (c.kind.value == kRecurrent) {
      if (c.width == 0) {
        throw ParameterError("utility.width", "must be from 1 to 64 with utility.kind = \"gru\"");
      }
      s.gates = 3 * s.hidden;
    }
    s.row = padded(s.most);
    s.numbers = c.shared ? spec.agents : (c.width > 0 ? 1 : 0);
    s.size = batch_ops::at(s.inputs + s.numbers, s.width > 0 ? s.hidden : s.row) +
             batch_ops::at(2 * (s.width + 1), s.gates) +
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
      if (s.gates > 0) {
        static constexpr const char* kInput[] = {"reset_input", "update_input", "candidate_input"};
        static constexpr const char* kBias[] = {"reset_bias", "update_bias", "candidate_bias"};
        static constexpr const char* kState[] = {"reset_state", "update_state", "candidate_state"};
        for (int k = 0; k < 3; ++k) {
          const size_t at = input_gates(s, i) + static_cast<size_t>(k * s.hidden);
          f(Weights{kInput[k], at, s.width, s.width, s.gates, s.width, whose});
          f(Weights{kBias[k], at + batch_ops::at(s.width, s.gates), 1, s.width, s.gates, s.width,
                    whose});
          f(Weights{kState[k], at + batch_ops::at(s.width + 1, s.gates), s.width, s.width, s.gates,
                    s.width, whose});
        }
        f(Weights{"candidate_state_bias",
                  input_gates(s, i) + batch_ops::at(2 * s.width + 1, s.gates) +
                      static_cast<size_t>(2 * s.hidden),
                  1, s.width, s.gates, s.width, whose});
      }
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
  /// Entries of the transposed output weights, and W and U, of all networks.
  CUMARL_HD static size_t prepared(const Shape& s) {
    return s.width > 0 ? static_cast<size_t>(s.networks) * transposed_size(s) : 0;
  }

  /// Makes what `backward` needs of the weights.
  template <class Team>
  CUMARL_HD static void prepare(const Team& team, const Shape& s, const Real* w, Real* out) {
    if (s.width == 0) return;
    for (int i = 0; i < s.networks; ++i) {
      Real* const mine = out + static_cast<size_t>(i) * transposed_size(s);
      transpose(team, w + second(s, i), s.width, s.most, s.row, mine, s.hidden);
      if (s.gates == 0) continue;
      const Real* const input = w + input_gates(s, i);
      Real* const gates = mine + batch_ops::at(s.most, s.hidden);
      transpose(team, input, s.width, s.gates, s.gates, gates, s.hidden);
      transpose(team, input + batch_ops::at(s.width + 1, s.gates), s.width, s.gates, s.gates,
                gates + batch_ops::at(s.gates, s.hidden), s.hidden);
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
                   transposed + static_cast<size_t>(which) * transposed_size(s), s.hidden, dh,
                   s.hidden);
    rectify_gradient(team, h, s.hidden, rows, s.hidden, dh, s.hidden);
    add_weight_gradient(team, x, s.pitch, rows, s.inputs, dh, s.hidden, s.hidden, net);
    add_bias_gradient(team, dh, s.hidden, rows, s.hidden, net + number_at(s, agent));
  }

  /// What a recurrent utility keeps of a step, rows [.][hidden] but for the gates, for its backward
  /// pass.
  struct Trace {
    Real* e;
    Real* gates;  ///< r, z, y' [rows][gates]
    Real* u;
    Real* h;
  };
  /// Entries of the arrays of a Trace of so many rows, one behind the other.
  CUMARL_HD static size_t traced(const Shape& s, int rows) {
    return batch_ops::at(rows, 3 * s.hidden + s.gates);
  }
  /// The part of a trace of `rows` rows that begins at row `first`.
  CUMARL_HD static Trace trace(const Shape& s, Real* all, int rows, int first) {
    Real* const u = all + batch_ops::at(rows, s.hidden + s.gates);
    return {all + batch_ops::at(first, s.hidden),
            all + batch_ops::at(rows, s.hidden) + batch_ops::at(first, s.gates),
            u + batch_ops::at(first, s.hidden), u + batch_ops::at(rows + first, s.hidden)};
  }

  /// One step of recurrent utilities: q [rows][row] and the trace `out` of x [rows][pitch] and the
  /// hidden states `before` [rows][hidden]. scratch [rows][gates] is working memory.
  template <class Team>
  CUMARL_HD static void step(const Team& team, const Shape& s, const Real* w, int agent,
                             const Real* x, const Real* before, int rows, const Trace& out,
                             Real* scratch, Real* q) {
    const Real* const net = w + first(s, agent);
    const int which = network(s, agent);
    affine(team, x, s.pitch, rows, s.inputs, net, s.hidden, net + number_at(s, agent), out.e,
           s.hidden);
    rectify(team, out.e, s.hidden, rows, s.hidden);
    const Real* const input = w + input_gates(s, which);
    const Real* const state = input + batch_ops::at(s.width + 1, s.gates);
    affine(team, out.e, s.hidden, rows, s.width, input, s.gates,
           input + batch_ops::at(s.width, s.gates), out.gates, s.gates);
    affine(team, before, s.hidden, rows, s.width, state, s.gates,
           state + batch_ops::at(s.width, s.gates), scratch, s.gates);
    for (int b = 0; b < rows; ++b) {
      Real* const gates = out.gates + batch_ops::at(b, s.gates);
      const Real* const other = scratch + batch_ops::at(b, s.gates);
      Real* const u = out.u + batch_ops::at(b, s.hidden);
      Real* const h = out.h + batch_ops::at(b, s.hidden);
      const Real* const was = before + batch_ops::at(b, s.hidden);
      each_column(team, s.hidden, [&](int k) {
        const int z_at = s.hidden + k, y_at = 2 * s.hidden + k;
        const Real r = logistic(gates[k] + other[k]);
        const Real z = logistic(gates[z_at] + other[z_at]);
        const Real y = hyperbolic_tangent(gates[y_at] + r * other[y_at]);
        u[k] = other[y_at];
        gates[k] = r;
        gates[z_at] = z;
        gates[y_at] = y;
        h[k] = (Real(1) - z) * y + z * was[k];
      });
    }
    team.sync();
    const Real* const last = w + second(s, which);
    affine(team, out.h, s.hidden, rows, s.width, last, s.row, last + batch_ops::at(s.width, s.row),
           q, s.row);
  }

  /// Entries of working memory of `step_back`.
  CUMARL_HD static size_t back_scratch(const Shape& s, int rows) {
    return batch_ops::at(rows, 2 * s.gates + s.hidden);
  }

  /// Back through such a step: adds to g what follows from dq [rows][row], whose padding is zero,
  /// and from dh [rows][hidden], the slopes of the hidden states behind it by all that came later;
  /// leaves in dh the slopes of those before it. `before` null: they are zero. `transposed` is
  /// from `prepare`, scratch of `back_scratch` entries.
  template <class Team>
  CUMARL_HD static void step_back(const Team& team, const Shape& s, const Real* transposed,
                                  int agent, const Real* x, const Real* before, int rows,
                                  const Trace& kept, const Real* dq, Real* dh, Real* scratch,
                                  Real* g) {
    const int which = network(s, agent);
    const Real* const turned = transposed + static_cast<size_t>(which) * transposed_size(s);
    const Real* const turned_input = turned + batch_ops::at(s.most, s.hidden);
    Real* const net = g + first(s, agent);
    Real* const input = g + input_gates(s, which);
    Real* const state = input + batch_ops::at(s.width + 1, s.gates);
    Real* const out = g + second(s, which);
    add_weight_gradient(team, kept.h, s.hidden, rows, s.width, dq, s.row, s.row, out);
    add_bias_gradient(team, dq, s.row, rows, s.row, out + batch_ops::at(s.width, s.row));
    batch_ops::product<Real>(team, {dq, s.row, 1}, rows, s.most, turned, s.hidden, s.hidden,
                             {dh, s.hidden}, dh, s.hidden);
    Real* const dinput = scratch;
    Real* const dstate = dinput + batch_ops::at(rows, s.gates);
    Real* const de = dstate + batch_ops::at(rows, s.gates);
    for (int b = 0; b < rows; ++b) {
      const Real* const gates = kept.gates + batch_ops::at(b, s.gates);
      const Real* const u = kept.u + batch_ops::at(b, s.hidden);
      Real* const slope = dh + batch_ops::at(b, s.hidden);
      Real* const by_input = dinput + batch_ops::at(b, s.gates);
      Real* const by_state = dstate + batch_ops::at(b, s.gates);
      each_column(team, s.hidden, [&](int k) {
        const int z_at = s.hidden + k, y_at = 2 * s.hidden + k;
        const Real r = gates[k], z = gates[z_at], y = gates[y_at];
        const Real was = before == nullptr
                             ? Real(0)
                             : before[batch_ops::at(b, s.hidden) + static_cast<size_t>(k)];
        const Real dy = slope[k] * (Real(1) - z) * (Real(1) - y * y);
        const Real dr = dy * u[k] * r * (Real(1) - r);
        const Real dz = slope[k] * (was - y) * z * (Real(1) - z);
        by_input[k] = dr;
        by_input[z_at] = dz;
        by_input[y_at] = dy;
        by_state[k] = dr;
        by_state[z_at] = dz;
        by_state[y_at] = dy * r;
        slope[k] *= z;
      });
    }
    team.sync();
    add_weight_gradient(team, kept.e, s.hidden, rows, s.width, dinput, s.gates, s.gates, input);
    add_bias_gradient(team, dinput, s.gates, rows, s.gates,
                      input + batch_ops::at(s.width, s.gates));
    add_bias_gradient(team, dstate + 2 * s.hidden, s.gates, rows, s.hidden,
                      state + batch_ops::at(s.width, s.gates) + 2 * s.hidden);
    if (before != nullptr) {
      add_weight_gradient(team, before, s.hidden, rows, s.width, dstate, s.gates, s.gates, state);
      batch_ops::product<Real>(team, {dstate, s.gates, 1}, rows, s.gates,
                               turned_input + batch_ops::at(s.gates, s.hidden), s.hidden, s.hidden,
                               {dh, s.hidden}, dh, s.hidden);
    }
    input_gradient(team, dinput, s.gates, rows, s.gates, turned_input, s.hidden, de, s.hidden);
    rectify_gradient(team, kept.e, s.hidden, rows, s.hidden, de, s.hidden);
    add_weight_gradient(team, x, s.pitch, rows, s.inputs, de, s.hidden, s.hidden, net);
    add_bias_gradient(team, de, s.hidden, rows, s.hidden, net + number_at(s, agent));
  }

 private:
  /// Entries that `prepare` makes of one network.
  CUMARL_HD static size_t transposed_size(const Shape& s) {
    return batch_ops::at(s.most + 2 * s.gates, s.hidden);
  }
  /// Of W, b, U and d.
  CUMARL_HD static size_t input_gates(const Shape& s, int which) {
    return static_cast<size_t>(which) * s.size + batch_ops::at(s.inputs + s.numbers, s.hidden);
  }
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
    return input_gates(s, which) + batch_ops::at(2 * (s.width + 1), s.gates);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
