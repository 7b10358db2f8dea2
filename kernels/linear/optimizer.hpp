/// \file
/// Gradient steps: Adam, RMSprop or plain, with a bound on the gradient's norm, in one pass over the
/// weights.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/core/fields.hpp"
#include "kernels/linear/vector_ops.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Moves weights w against a gradient g, whose norm is cut down to `max_norm`:
///   sgd      w -= alpha g
///   rmsprop  v = decay v + (1 - decay) g^2;  w -= alpha g / (sqrt(v) + epsilon)
///   adam     m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
///            w -= alpha (m / (1 - beta1^k)) / (sqrt(v / (1 - beta2^k)) + epsilon), at the k-th step
/// Source: Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1;
/// Tieleman and Hinton, Coursera lecture 6.5, 2012, with epsilon outside the root, as the published
/// implementations of QMIX have it. Deviation: none.
template <class Real>
struct Optimizer {
  enum Kind : int32_t { kAdam, kSgd, kRmsprop };

  struct Config {
    Choice kind{kAdam};
    double decay = 0.99;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-5;
    double max_norm = 10.0;

    void fields(FieldVisitor& v) {
      v.choice("optimizer.kind", kind, {"adam", "sgd", "rmsprop"},
               "how gradients move the weights");
      v("optimizer.decay", decay, Bounds{0, 0.999999}, "", "rmsprop: decay of the mean square");
      v("optimizer.beta1", beta1, Bounds{0, 0.999999}, "", "adam: decay of the mean gradient");
      v("optimizer.beta2", beta2, Bounds{0, 0.999999}, "", "adam: decay of its mean square");
      v("optimizer.epsilon", epsilon, Bounds{1e-12, 1}, "", "adam, rmsprop: added to the root");
      v("optimizer.max_norm", max_norm, Bounds{0, 1e12}, "",
        "bound on the norm of a gradient; 0: none");
    }
  };

  /// beta1^k and beta2^k of the coming step k; in a run's memory.
  struct Powers {
    double beta1;
    double beta2;
  };

  Kind kind;
  double decay, beta1, beta2;
  Real epsilon;
  Real max_norm;

  static Optimizer make(const Config& c) {
    return {
        static_cast<Kind>(c.kind.value), c.decay, c.beta1, c.beta2, static_cast<Real>(c.epsilon),
        static_cast<Real>(c.max_norm)};
  }

  /// Vectors of the weights' size that it keeps besides weights and gradient.
  CUMARL_HD int moments() const { return kind == kAdam ? 2 : (kind == kRmsprop ? 1 : 0); }

  /// Before the first step.
  CUMARL_HD Powers first() const { return {beta1, beta2}; }
  /// After a step of all weights.
  CUMARL_HD Powers after(const Powers& k) const { return {k.beta1 * beta1, k.beta2 * beta2}; }

  /// One step of n weights, by all lanes: a lane reads and writes its own columns. `moment`: adam's m
  /// [n], and v at moment + stride; rmsprop's v [n]; not used by sgd. Returns the gradient's squared norm before it is cut
  /// down, which is at or above 1e30, or no number, where the run diverges.
  template <class Team>
  CUMARL_HD Real step(const Team& team, Real alpha, Real* w, const Real* g, Real* moment,
                      size_t stride, const Powers& k, int n) const {
    const Real square = dot(team, g, g, n);
    move(team, alpha, square, w, g, moment, stride, k, n);
    return square;
  }

  /// The same with the squared norm of a gradient of which these n weights are a part.
  template <class Team>
  CUMARL_HD void move(const Team& team, Real alpha, Real square, Real* w, const Real* g,
                      Real* moment, size_t stride, const Powers& k, int n) const {
    const Real norm = std::sqrt(square);
    const Real scale = max_norm > 0 && norm > max_norm ? max_norm / norm : Real(1);
    if (kind == kSgd) {
      add_scaled(team, w, -alpha * scale, g, n);
      return;
    }
    if (kind == kRmsprop) {
      const auto keep = static_cast<Real>(decay);
      const auto take = static_cast<Real>(1.0 - decay);
      each_column(team, n, [&](int j) {
        const Real slope = scale * g[j];
        const Real second = keep * moment[j] + take * (slope * slope);
        moment[j] = second;
        w[j] -= alpha * slope / (std::sqrt(second) + epsilon);
      });
      return;
    }
    const auto b1 = static_cast<Real>(beta1);
    const auto b2 = static_cast<Real>(beta2);
    const auto one_less_b1 = static_cast<Real>(1.0 - beta1);
    const auto one_less_b2 = static_cast<Real>(1.0 - beta2);
    const auto c1 = static_cast<Real>(1.0 / (1.0 - k.beta1));
    const auto c2 = static_cast<Real>(1.0 / (1.0 - k.beta2));
    Real* const square_moment = moment + stride;
    each_column(team, n, [&](int j) {
      const Real slope = scale * g[j];
      const Real first = b1 * moment[j] + one_less_b1 * slope;
      const Real second = b2 * square_moment[j] + one_less_b2 * (slope * slope);
      moment[j] = first;
      square_moment[j] = second;
      w[j] -= alpha * (first * c1) / (std::sqrt(second * c2) + epsilon);
    });
  }
};

/// A squared gradient norm, or a value, that no sound run has: |x| at or above 1e30, or no number.
template <class Real>
CUMARL_HD CUMARL_INLINE bool diverging(Real x) {
  return !(x < static_cast<Real>(1e30) && x > static_cast<Real>(-1e30));
}

}  // namespace cumarl::inline CUMARL_VARIANT
