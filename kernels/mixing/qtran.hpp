/// \file
/// QTRAN: utilities that are held to a joint value of their own by constraints.
#pragma once

#include <cstdint>

#include "kernels/mixing/value_decomposition.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The joint value Q(s, u) = max(s A + sum of E_i(u_i), 0) . w + w_0 learns by itself. With
/// V(s) = max(s B, 0) . v + v_0 and D(u) = sum of Q_i(x_i, u_i) - Q(s, u) + V(s), where Q does not
/// move, the utilities and V descend, with greedy actions m_i = argmax Q_i(x_i, .),
///   base  opt D(m)^2 + nopt min(D(u), 0)^2
///   alt   opt D(m)^2 + nopt (mean over agents i of (min over a of D(u with u_i = a))^2)
/// Source: Son et al., "QTRAN: Learning to Factorize with Transformation for Cooperative Multi-Agent
/// Reinforcement Learning", ICML 2019, eqs. (4), (5), (8) to (11). Deviation: Q and V see the global
/// state; the joint network has one hidden layer and does not share the utilities' hidden units.
template <class Real>
struct TransformMixer {
  static constexpr LearnerFacts kFacts{
      "qtran", "value decomposition by transformation (QTRAN-base, QTRAN-alt)", "Son et al. 2019"};
  enum Variant : int32_t { kBase, kAlt };

  struct Config {
    Choice variant{kBase};
    int width = 64;
    double opt = 1.0;
    double nopt = 1.0;

    void fields(FieldVisitor& v) {
      v.choice("variant", variant, {"base", "alt"}, "how other than greedy actions are held");
      v("mixer.width", width, Bounds{1, 128}, "", "hidden units of the joint value, and of V");
      v("mixer.opt", opt, Bounds{0, 1e6}, "", "weight of the loss at greedy actions");
      v("mixer.nopt", nopt, Bounds{0, 1e6}, "", "weight of the loss at other actions");
    }
  };

  struct Shape {
    int32_t agents, most;
    int32_t state, state_pitch;
    int32_t width, hidden;
    Variant variant;
    Real opt, nopt;
    int32_t actions[kMaxJointAgents];
  };

  static Shape make(const Config& c, const MixerSpec& spec) {
    Shape s{};
    s.agents = spec.agents;
    s.most = spec.most;
    s.state = spec.state_size;
    s.state_pitch = spec.state_pitch;
    s.width = c.width;
    s.hidden = padded(c.width);
    s.variant = static_cast<Variant>(c.variant.value);
    s.opt = static_cast<Real>(c.opt);
    s.nopt = static_cast<Real>(c.nopt);
    for (int i = 0; i < s.agents; ++i) s.actions[i] = spec.actions[i];
    return s;
  }

  CUMARL_HD static size_t parameters(const Shape& s) {
    return out_at(s) + batch_ops::at(2, s.hidden + kColumns);
  }
  template <class F>
  CUMARL_HD static void for_weights(const Shape& s, F f) {
    const auto columns = [](int at) { return static_cast<size_t>(at); };
    const int seen = s.state + s.agents;
    f(Weights{"joint_hidden", 0, s.state, s.width, 2 * s.hidden, seen, -1});
    f(Weights{"value_hidden", columns(s.hidden), s.state, s.width, 2 * s.hidden, s.state, -1});
    for (int i = 0; i < s.agents; ++i) {
      f(Weights{"action", actions_at(s, i, 0), s.actions[i], s.width, s.hidden, seen, i});
    }
    const size_t out = out_at(s);
    f(Weights{"joint", out, 1, s.width, s.hidden, s.width, -1});
    f(Weights{"joint_bias", out + columns(s.hidden), 1, 1, kColumns, s.width, -1});
    f(Weights{"value", out + columns(s.hidden + kColumns), 1, s.width, s.hidden, s.width, -1});
    f(Weights{"value_bias", out + columns(2 * s.hidden + kColumns), 1, 1, kColumns, s.width, -1});
  }

  CUMARL_HD static size_t prepared(const Shape&) { return 0; }
  template <class Team>
  CUMARL_HD static void prepare(const Team&, const Shape&, const Real*, Real*) {}
  CUMARL_HD static size_t working(const Shape& s, int rows) {
    return batch_ops::at(rows, 5 * s.hidden) + static_cast<size_t>(2 * padded(rows));
  }

  template <class Team>
  CUMARL_HD static void forward(const Team& team, const Shape& s, const Real* w,
                                const MixRows<Real>& in, Real* work, Real* total) {
    const Work k = parts(s, in.rows, work);
    const int pitch = 2 * s.hidden;
    affine<Real>(team, in.state, s.state_pitch, in.rows, s.state, w, pitch, nullptr, k.t, pitch);
    rectify(team, k.t + s.hidden, pitch, in.rows, s.hidden);
    const Real* const out = w + out_at(s);
    const Real* const v = out + s.hidden + kColumns;
    for (int r = 0; r < in.rows; ++r) {
      const Real* const t = k.t + batch_ops::at(r, pitch);
      Real* const h = k.h + batch_ops::at(r, s.hidden);
      const int32_t* const action = in.action + batch_ops::at(r, kColumns);
      for_columns(team, s.hidden, [&](int e) { h[e] = hidden(s, w, t, action, -1, 0, e); });
      const Real joint = sum_columns<Real>(team, s.hidden, [&](int e) { return h[e] * out[e]; });
      const Real value =
          sum_columns<Real>(team, s.hidden, [&](int e) { return t[s.hidden + e] * v[e]; });
      if (team.rank() == 0) {
        total[r] = joint + out[s.hidden];
        k.value[r] = value + v[s.hidden];
        k.dvalue[r] = 0;
      }
    }
    team.sync();
  }

  /// Adds to all.dq; `weight` [rows] is what a row counts in the loss.
  template <class Team>
  CUMARL_HD static Real constrain(const Team& team, const Shape& s, const Real* w,
                                  const MixRows<Real>& in, const Real* total,
                                  const AllUtilities<Real>& all, const Real* weight, Real* work) {
    const Work k = parts(s, in.rows, work);
    const Real* const out = w + out_at(s);
    Real loss = 0;
    for (int r = 0; r < in.rows; ++r) {
      const Real* const t = k.t + batch_ops::at(r, 2 * s.hidden);
      const int32_t* const action = in.action + batch_ops::at(r, kColumns);
      const int32_t* const greedy = all.greedy + batch_ops::at(r, kColumns);
      const Real value = k.value[r];
      const auto joint = [&](const int32_t* of, int agent, int other) {
        return sum_columns<Real>(
                   team, s.hidden,
                   [&](int e) { return hidden(s, w, t, of, agent, other, e) * out[e]; }) +
               out[s.hidden];
      };
      const auto sum = [&](const int32_t* of, int agent, int other) {
        Real q = 0;
        for (int i = 0; i < s.agents; ++i) q += all.value(i, r, i == agent ? other : of[i]);
        return q;
      };
      const auto descend = [&](const int32_t* of, int agent, int other, Real scale, Real d) {
        const Real slope = Real(2) * scale * weight[r] * d;
        loss += scale * weight[r] * (d * d);
        if (team.rank() != 0) return;
        for (int i = 0; i < s.agents; ++i) all.slope(i, r, i == agent ? other : of[i]) += slope;
        k.dvalue[r] += slope;
      };
      descend(greedy, -1, 0, s.opt, sum(greedy, -1, 0) - joint(greedy, -1, 0) + value);
      if (s.variant == kBase) {
        const Real d = sum(action, -1, 0) - total[r] + value;
        if (d < 0) descend(action, -1, 0, s.nopt, d);
        continue;
      }
      for (int i = 0; i < s.agents; ++i) {
        Real least = 0;
        int at = 0;
        for (int a = 0; a < s.actions[i]; ++a) {
          const Real d = sum(action, i, a) - joint(action, i, a) + value;
          if (a == 0 || d < least) {
            least = d;
            at = a;
          }
        }
        descend(action, i, at, s.nopt / static_cast<Real>(s.agents), least);
      }
    }
    team.sync();
    return loss;
  }

  template <class Team>
  CUMARL_HD static void backward(const Team& team, const Shape& s, const Real* w, const Real*,
                                 const MixRows<Real>& in, const Real* slope, Real* work, Real* dq,
                                 Real* g) {
    const Work k = parts(s, in.rows, work);
    const int pitch = 2 * s.hidden;
    const Real* const out = w + out_at(s);
    const Real* const v = out + s.hidden + kColumns;
    Real* const dout = g + out_at(s);
    Real* const dv = dout + s.hidden + kColumns;
    for (int r = 0; r < in.rows; ++r) {
      const Real* const t = k.t + batch_ops::at(r, pitch);
      const Real* const h = k.h + batch_ops::at(r, s.hidden);
      Real* const dt = k.dt + batch_ops::at(r, pitch);
      const int32_t* const action = in.action + batch_ops::at(r, kColumns);
      const Real error = slope[r];
      const Real moved = k.dvalue[r];
      for_columns(team, s.hidden, [&](int e) {
        dout[e] += error * h[e];
        const Real d = h[e] > Real(0) ? error * out[e] : Real(0);
        dt[e] = d;
        for (int i = 0; i < s.agents; ++i) {
          g[actions_at(s, i, action[i]) + static_cast<size_t>(e)] += d;
        }
        const Real seen = t[s.hidden + e];
        dv[e] += moved * seen;
        dt[s.hidden + e] = seen > Real(0) ? moved * v[e] : Real(0);
      });
      if (team.rank() == 0) {
        dout[s.hidden] += error;
        dv[s.hidden] += moved;
        for (int i = 0; i < s.agents; ++i) dq[r * kColumns + i] = 0;
      }
    }
    team.sync();
    add_weight_gradient(team, in.state, s.state_pitch, in.rows, s.state, k.dt, pitch, pitch, g);
  }

 private:
  struct Work {
    Real* t;       ///< [rows][2 hidden] what the state adds to the joint one's hidden units; V's
    Real* dt;      ///< the same shape
    Real* h;       ///< [rows][hidden] of the joint value
    Real* value;   ///< [rows] V
    Real* dvalue;  ///< [rows]
  };
  CUMARL_HD static Work parts(const Shape& s, int rows, Real* work) {
    Work k{};
    k.t = work;
    k.dt = k.t + batch_ops::at(rows, 2 * s.hidden);
    k.h = k.dt + batch_ops::at(rows, 2 * s.hidden);
    k.value = k.h + batch_ops::at(rows, s.hidden);
    k.dvalue = k.value + padded(rows);
    return k;
  }
  /// Of E_i(a).
  CUMARL_HD static size_t actions_at(const Shape& s, int agent, int action) {
    return batch_ops::at(2 * s.state + agent * s.most + action, s.hidden);
  }
  CUMARL_HD static size_t out_at(const Shape& s) {
    return batch_ops::at(2 * s.state + s.agents * s.most, s.hidden);
  }
  /// Hidden unit e of the joint value at actions `of`, but `other` for `agent`.
  CUMARL_HD static CUMARL_INLINE Real hidden(const Shape& s, const Real* w, const Real* t,
                                             const int32_t* of, int agent, int other, int e) {
    Real pre = t[e];
    for (int i = 0; i < s.agents; ++i) {
      pre += w[actions_at(s, i, i == agent ? other : of[i]) + static_cast<size_t>(e)];
    }
    return pre > Real(0) ? pre : Real(0);
  }
};

template <class Real>
using Qtran = ValueDecomposition<Real, TransformMixer>;

}  // namespace cumarl::inline CUMARL_VARIANT
