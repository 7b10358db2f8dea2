/// \file
/// QMIX: the joint value is monotonic in every utility.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/mixing/elu.hpp"
#include "kernels/mixing/value_decomposition.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// With the state s (which has a one behind it as bias) and utilities q:
///   h = f(q |W| + b),  Q = h . |w| + V(s),  f = ELU or ReLU
/// where W [agents][embed], w [embed] are made by hypernetworks, one-layer (linear in s) or two-layer
/// (ReLU), b = s B, and V(s) = max(s A, 0) . v + v_0 with `embed` hidden units.
/// Working memory of a row: what the state makes (t), the weights, h, and the gradient of t.
/// Source: Rashid et al., "QMIX: Monotonic Value Function Factorisation for Deep Multi-Agent
/// Reinforcement Learning", ICML 2018, section 4 and figure 2. Deviation: none; hypernetworks of one
/// layer as in that figure, of two layers as in the authors' later code. The slope of |x| at 0 is 0.
template <class Real>
struct MonotonicMixer {
  static constexpr LearnerFacts kFacts{"qmix", "monotonic value decomposition (QMIX)",
                                       "Rashid et al. 2018"};
  enum Activation : int32_t { kElu, kRelu };

  struct Config {
    int embed = 32;
    int layers = 2;
    int width = 64;
    Choice activation{kElu};

    void fields(FieldVisitor& v) {
      v("mixer.embed", embed, Bounds{1, 64}, "", "hidden units of the mixing network");
      v("mixer.layers", layers, Bounds{1, 2}, "", "layers of the hypernetworks");
      v("mixer.width", width, Bounds{1, 128}, "", "hidden units of two-layer hypernetworks");
      v.choice("mixer.activation", activation, {"elu", "relu"}, "of the mixing network");
    }
  };

  struct Shape {
    int32_t agents;
    int32_t state, state_pitch;
    int32_t embed, units;  ///< units: embed, padded
    int32_t width, hidden;
    bool deep;  ///< two layers
    Activation act;
    int32_t mixing;      ///< columns of W: agents * units
    int32_t t;           ///< columns of t
    int32_t b_at, v_at;  ///< of b and of V's hidden units in a row of t; W is at 0
    int32_t w_at;        ///< of what w is made of
    uint64_t deep_at;    ///< of the second layers' parameters
    uint64_t v_weights;  ///< of v
  };

  static Shape make(const Config& c, const MixerSpec& spec) {
    Shape s{};
    s.agents = spec.agents;
    s.state = spec.state_size;
    s.state_pitch = spec.state_pitch;
    s.embed = c.embed;
    s.units = padded(c.embed);
    s.width = c.width;
    s.hidden = padded(c.width);
    s.deep = c.layers == 2;
    s.act = static_cast<Activation>(c.activation.value);
    s.mixing = s.agents * s.units;
    s.w_at = s.deep ? s.hidden : s.mixing;
    s.b_at = s.deep ? 2 * s.hidden : s.mixing + s.units;
    s.v_at = s.b_at + s.units;
    s.t = s.v_at + s.units;
    s.deep_at = batch_ops::at(s.state, s.t);
    s.v_weights = s.deep_at + (s.deep ? batch_ops::at(s.width + 1, s.mixing + s.units) : 0);
    return s;
  }

  CUMARL_HD static size_t parameters(const Shape& s) {
    return s.v_weights + static_cast<size_t>(s.units + kColumns);
  }
  template <class F>
  CUMARL_HD static void for_weights(const Shape& s, F f) {
    const auto columns = [](int at) { return static_cast<size_t>(at); };
    if (s.deep) {
      f(Weights{"mixing_hidden", 0, s.state, s.width, s.t, s.state, -1});
      f(Weights{"final_hidden", columns(s.w_at), s.state, s.width, s.t, s.state, -1});
      const size_t bias = s.deep_at + batch_ops::at(s.width, s.mixing);
      const size_t last = final_at(s);
      for (int i = 0; i < s.agents; ++i) {
        const size_t at = columns(i * s.units);
        f(Weights{"mixing", s.deep_at + at, s.width, s.embed, s.mixing, s.width, i});
        f(Weights{"mixing_bias", bias + at, 1, s.embed, s.mixing, s.width, i});
      }
      f(Weights{"final", last, s.width, s.embed, s.units, s.width, -1});
      f(Weights{"final_bias", last + batch_ops::at(s.width, s.units), 1, s.embed, s.units, s.width,
                -1});
    } else {
      for (int i = 0; i < s.agents; ++i) {
        f(Weights{"mixing", columns(i * s.units), s.state, s.embed, s.t, s.state, i});
      }
      f(Weights{"final", columns(s.w_at), s.state, s.embed, s.t, s.state, -1});
    }
    f(Weights{"shift", columns(s.b_at), s.state, s.embed, s.t, s.state, -1});
    f(Weights{"value_hidden", columns(s.v_at), s.state, s.embed, s.t, s.state, -1});
    f(Weights{"value", s.v_weights, 1, s.embed, s.units, s.embed, -1});
    f(Weights{"value_bias", s.v_weights + columns(s.units), 1, 1, kColumns, s.embed, -1});
  }

  CUMARL_HD static size_t prepared(const Shape& s) {
    return s.deep ? batch_ops::at(s.mixing + s.embed, s.hidden) : 0;
  }
  template <class Team>
  CUMARL_HD static void prepare(const Team& team, const Shape& s, const Real* w, Real* out) {
    if (!s.deep) return;
    transpose(team, w + s.deep_at, s.width, s.mixing, s.mixing, out, s.hidden);
    transpose(team, w + final_at(s), s.width, s.embed, s.units,
              out + batch_ops::at(s.mixing, s.hidden), s.hidden);
  }

  CUMARL_HD static size_t working(const Shape& s, int rows) {
    return batch_ops::at(rows, 2 * s.t + 2 * s.units + (s.deep ? s.mixing + s.units : 0));
  }

  template <class Team>
  CUMARL_HD static void forward(const Team& team, const Shape& s, const Real* w,
                                const MixRows<Real>& in, Real* work, Real* total) {
    const Work k = parts(s, in.rows, work);
    affine<Real>(team, in.state, s.state_pitch, in.rows, s.state, w, s.t, nullptr, k.t, s.t);
    rectify(team, k.t + s.v_at, s.t, in.rows, s.units);
    if (s.deep) {
      rectify(team, k.t, s.t, in.rows, 2 * s.hidden);
      const Real* const a = w + s.deep_at;
      affine(team, k.t, s.t, in.rows, s.width, a, s.mixing, a + batch_ops::at(s.width, s.mixing),
             k.weights, k.pitch);
      const Real* const b = w + final_at(s);
      affine(team, k.t + s.w_at, s.t, in.rows, s.width, b, s.units,
             b + batch_ops::at(s.width, s.units), k.last, k.pitch);
    }
    const Real* const v = w + s.v_weights;
    for (int r = 0; r < in.rows; ++r) {
      const Real* const t = k.t + batch_ops::at(r, s.t);
      const Real* const weights = k.weights + batch_ops::at(r, k.pitch);
      const Real* const last = k.last + batch_ops::at(r, k.pitch);
      const Real* const q = in.q + batch_ops::at(r, kColumns);
      Real* const pre = k.pre + batch_ops::at(r, s.units);
#if !defined(__CUDACC__)
      if constexpr (Team::size() == 1) {
        total[r] = mix(s, q, weights, last, t, v, pre) + v[s.units];
        continue;
      }
#endif
      copy_vector(team, pre, t + s.b_at, s.units);
      for (int i = 0; i < s.agents; ++i) {
        const Real scale = q[i];
        const Real* const row = weights + i * s.units;
        each_column(team, s.units, [&](int e) { pre[e] += scale * std::fabs(row[e]); });
      }
      for_columns(team, s.units, [&](int e) { pre[e] = activate(s.act, pre[e]); });
      const Real sum = sum_columns<Real>(
          team, s.units, [&](int e) { return pre[e] * std::fabs(last[e]) + t[s.v_at + e] * v[e]; });
      if (team.rank() == 0) total[r] = sum + v[s.units];
    }
    team.sync();
  }

  template <class Team>
  CUMARL_HD static void backward(const Team& team, const Shape& s, const Real* w,
                                 const Real* transposed, const MixRows<Real>& in, const Real* slope,
                                 Real* work, Real* dq, Real* g) {
    const Work k = parts(s, in.rows, work);
    const Real* const v = w + s.v_weights;
    Real* const dv = g + s.v_weights;
    for (int r = 0; r < in.rows; ++r) {
      const Real* const t = k.t + batch_ops::at(r, s.t);
      Real* const dt = k.dt + batch_ops::at(r, s.t);
      const Real* const weights = k.weights + batch_ops::at(r, k.pitch);
      const Real* const last = k.last + batch_ops::at(r, k.pitch);
      Real* const dweights = s.deep ? k.weights + batch_ops::at(r, k.pitch) : dt;
      Real* const dlast = s.deep ? k.last + batch_ops::at(r, k.pitch) : dt + s.w_at;
      const Real* const h = k.pre + batch_ops::at(r, s.units);
      Real* const dpre = k.dpre + batch_ops::at(r, s.units);
      const Real* const q = in.q + batch_ops::at(r, kColumns);
      const Real error = slope[r];
#if !defined(__CUDACC__)
      if constexpr (Team::size() == 1) {
        mix_gradient(s, error, q, t, v, h, weights, last, dt, dpre, dweights, dlast,
                     dq + batch_ops::at(r, kColumns), dv);
        dv[s.units] += error;
        continue;
      }
#endif
      each_column(team, s.units, [&](int e) {
        const Real d = error * std::fabs(last[e]) * bend(s.act, h[e]);
        const Real hidden = t[s.v_at + e];
        dpre[e] = d;
        dt[s.b_at + e] = d;
        dlast[e] = with_sign(error * h[e], last[e]);
        dt[s.v_at + e] = hidden > Real(0) ? error * v[e] : Real(0);
        dv[e] += error * hidden;
      });
      for (int i = 0; i < s.agents; ++i) {
        const Real* const row = weights + i * s.units;
        const Real slope_q =
            sum_columns<Real>(team, s.units, [&](int e) { return std::fabs(row[e]) * dpre[e]; });
        if (team.rank() == 0) {
          dq[batch_ops::at(r, kColumns) + static_cast<size_t>(i)] = slope_q;
        }
        const Real scale = q[i];
        Real* const drow = dweights + i * s.units;
        each_column(team, s.units, [&](int e) { drow[e] = with_sign(scale * dpre[e], row[e]); });
      }
      if (team.rank() == 0) dv[s.units] += error;
    }
    team.sync();
    if (s.deep) {
      Real* const a = g + s.deep_at;
      add_weight_gradient(team, k.t, s.t, in.rows, s.width, k.weights, k.pitch, s.mixing, a);
      add_bias_gradient(team, k.weights, k.pitch, in.rows, s.mixing,
                        a + batch_ops::at(s.width, s.mixing));
      Real* const b = g + final_at(s);
      add_weight_gradient(team, k.t + s.w_at, s.t, in.rows, s.width, k.last, k.pitch, s.units, b);
      add_bias_gradient(team, k.last, k.pitch, in.rows, s.units,
                        b + batch_ops::at(s.width, s.units));
      input_gradient(team, k.weights, k.pitch, in.rows, s.mixing, transposed, s.hidden, k.dt, s.t);
      input_gradient(team, k.last, k.pitch, in.rows, s.embed,
                     transposed + batch_ops::at(s.mixing, s.hidden), s.hidden, k.dt + s.w_at, s.t);
      rectify_gradient(team, k.t, s.t, in.rows, 2 * s.hidden, k.dt, s.t);
    }
    add_weight_gradient(team, in.state, s.state_pitch, in.rows, s.state, k.dt, s.t, s.t, g);
  }

  /// Where the parameters of w's second layer begin.
  CUMARL_HD static size_t final_at(const Shape& s) {
    return s.deep_at + batch_ops::at(s.width + 1, s.mixing);
  }
  /// x with the sign of y; 0 where y is 0.
  CUMARL_HD static CUMARL_INLINE Real with_sign(Real x, Real y) {
    return y > Real(0) ? x : (y < Real(0) ? -x : Real(0));
  }
  CUMARL_HD static CUMARL_INLINE Real activate(Activation act, Real x) {
    if (act == kRelu) return x > Real(0) ? x : Real(0);
    return elu(x);
  }
  /// The slope of the activation, from its value.
  CUMARL_HD static CUMARL_INLINE Real bend(Activation act, Real h) {
    const Real below = act == kElu ? h + Real(1) : Real(0);
    return h > Real(0) ? Real(1) : below;
  }

 private:
  /// Where things are in working memory; with one layer W and w are in t.
  struct Work {
    Real* t;
    Real* dt;
    Real* pre;  ///< h
    Real* dpre;
    Real* weights;
    Real* last;
    int pitch;  ///< of weights and last
  };
  CUMARL_HD static Work parts(const Shape& s, int rows, Real* work) {
    Work k{};
    k.t = work;
    k.dt = k.t + batch_ops::at(rows, s.t);
    k.pre = k.dt + batch_ops::at(rows, s.t);
    k.dpre = k.pre + batch_ops::at(rows, s.units);
    k.weights = s.deep ? k.dpre + batch_ops::at(rows, s.units) : k.t;
    k.last = k.weights + s.mixing;
    k.pitch = s.deep ? s.mixing + s.units : s.t;
    return k;
  }
#if !defined(__CUDACC__)
  using In = batch_ops::Registers<Real>;
  using Vector = typename In::Vector;
  static constexpr int kVectors = kColumns / In::kLanes;  ///< of 16 columns

  static CUMARL_INLINE Vector load(const Real* x) { return *reinterpret_cast<const Vector*>(x); }
  static CUMARL_INLINE void store(Real* x, Vector v) { *reinterpret_cast<Vector*>(x) = v; }
  static CUMARL_INLINE Vector magnitude(Vector x) {
    using Bits = std::conditional_t<sizeof(Real) == 4, int32_t, int64_t>;
    typedef Bits Mask  // NOLINT(modernize-use-using): attributes of a dependent type
        __attribute__((vector_size(In::kBytes)));
    return std::bit_cast<Vector>(std::bit_cast<Mask>(x) & std::numeric_limits<Bits>::max());
  }

  /// `forward` of a row by one lane, without v_0; keeps h in `pre`.
  static Real mix(const Shape& s, const Real* q, const Real* weights, const Real* last,
                  const Real* t, const Real* v, Real* pre) {
    const Vector none{};
    for (int e = 0; e < s.units; e += kColumns) {
      Vector sum[kVectors];
      for (int j = 0; j < kVectors; ++j) sum[j] = load(t + s.b_at + e + j * In::kLanes);
      const Real* row = weights + e;
      for (int i = 0; i < s.agents; ++i, row += s.units) {
        for (int j = 0; j < kVectors; ++j) sum[j] += q[i] * magnitude(load(row + j * In::kLanes));
      }
      for (int j = 0; j < kVectors; ++j) {
        store(pre + e + j * In::kLanes, s.act == kRelu ? (sum[j] > none ? sum[j] : none) : sum[j]);
      }
    }
    if (s.act == kElu) elu_columns(pre, s.units);
    Vector part[kVectors] = {};
    for (int e = 0; e < s.units; e += kColumns) {
      for (int j = 0; j < kVectors; ++j) {
        const int at = e + j * In::kLanes;
        part[j] +=
            load(pre + at) * magnitude(load(last + at)) + load(t + s.v_at + at) * load(v + at);
      }
    }
    return batch_ops::tree<Real>(part);
  }

  /// `backward` of a row by one lane, up to the gradients of what the second layers made.
  static void mix_gradient(const Shape& s, Real error, const Real* q, const Real* t, const Real* v,
                           const Real* h, const Real* weights, const Real* last, Real* dt,
                           Real* dpre, Real* dweights, Real* dlast, Real* dq, Real* dv) {
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC ivdep
#endif
    for (int e = 0; e < s.units; ++e) {
      const Real d = error * std::fabs(last[e]) * bend(s.act, h[e]);
      const Real hidden = t[s.v_at + e];
      const Real through = error * v[e];
      dpre[e] = d;
      dt[s.b_at + e] = d;
      dlast[e] = with_sign(error * h[e], last[e]);
      dt[s.v_at + e] = hidden > Real(0) ? through : Real(0);
      dv[e] += error * hidden;
    }
    for (int i = 0; i < s.agents; ++i) {
      const Real* const row = weights + i * s.units;
      Real* const drow = dweights + i * s.units;
      Vector part[kVectors] = {};
      for (int e = 0; e < s.units; e += kColumns) {
        for (int j = 0; j < kVectors; ++j) {
          const int at = e + j * In::kLanes;
          const Vector made = load(row + at);
          const Vector d = load(dpre + at);
          part[j] += magnitude(made) * d;
          const Vector slope = q[i] * d;
          const Vector none{};
          store(drow + at, made > none ? slope : (made < none ? -slope : none));
        }
      }
      dq[i] = batch_ops::tree<Real>(part);
    }
  }
#endif
};

template <class Real>
using Qmix = ValueDecomposition<Real, MonotonicMixer>;

}  // namespace cumarl::inline CUMARL_VARIANT
