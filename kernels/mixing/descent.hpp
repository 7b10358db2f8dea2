/// \file
/// Gradient steps of value decomposition: RMSprop or Adam, with a bound on the norm of the gradient
/// of all parameters together.
#pragma once

#include <cmath>
#include <cstdint>

#include "kernels/core/fields.hpp"
#include "kernels/linear/adam.hpp"
#include "kernels/mixing/batch_ops.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Moves weights w against a gradient g, whose norm is cut down to `max_norm`:
///   rmsprop  v = decay v + (1 - decay) g^2;  w -= alpha g / (sqrt(v) + epsilon)
///   adam     see Optimizer
/// Source: Tieleman and Hinton, Coursera lecture 6.5, 2012, with epsilon outside the root, as the
/// published implementations of QMIX have it. Deviation: none.
template <class Real>
struct Descent {
  enum Kind : int32_t { kRmsprop, kAdam };

  struct Config {
    Choice kind{kRmsprop};
    double decay = 0.99;
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-5;
    double max_norm = 10.0;

    void fields(FieldVisitor& v) {
      v.choice("optimizer.kind", kind, {"rmsprop", "adam"}, "how gradients move the weights");
      v("optimizer.decay", decay, Bounds{0, 0.999999}, "", "rmsprop: decay of the mean square");
      v("optimizer.beta1", beta1, Bounds{0, 0.999999}, "", "adam: decay of the mean gradient");
      v("optimizer.beta2", beta2, Bounds{0, 0.999999}, "", "adam: decay of its mean square");
      v("optimizer.epsilon", epsilon, Bounds{1e-12, 1}, "", "added to the root");
      v("optimizer.max_norm", max_norm, Bounds{0, 1e12}, "",
        "bound on the norm of the gradient; 0: none");
    }
  };
  using Powers = typename Optimizer<Real>::Powers;

  Optimizer<Real> adam;
  Kind kind;
  double decay;

  static Descent make(const Config& c) {
    typename Optimizer<Real>::Config own;
    own.beta1 = c.beta1;
    own.beta2 = c.beta2;
    own.epsilon = c.epsilon;
    own.max_norm = c.max_norm;
    return {Optimizer<Real>::make(own), static_cast<Kind>(c.kind.value), c.decay};
  }

  /// Vectors of the weights' size that it keeps besides weights and gradient.
  CUMARL_HD int moments() const { return kind == kAdam ? 2 : 1; }
  CUMARL_HD Powers first() const { return adam.first(); }
  CUMARL_HD Powers after(const Powers& k) const { return adam.after(k); }

  /// One step of n weights; see Optimizer::step.
  template <class Team>
  CUMARL_HD Real step(const Team& team, Real alpha, Real* w, const Real* g, Real* moment,
                      size_t stride, const Powers& k, int n) const {
    if (kind == kAdam) return adam.step(team, alpha, w, g, moment, stride, k, n);
    const Real square = dot(team, g, g, n);
    const Real norm = std::sqrt(square);
    const Real scale = adam.max_norm > 0 && norm > adam.max_norm ? adam.max_norm / norm : Real(1);
    const auto keep = static_cast<Real>(decay);
    const auto take = static_cast<Real>(1.0 - decay);
    const Real epsilon = adam.epsilon;
    batch_ops::each_column(team, n, [&](int j) {
      const Real slope = scale * g[j];
      const Real second = keep * moment[j] + take * (slope * slope);
      moment[j] = second;
      w[j] -= alpha * slope / (std::sqrt(second) + epsilon);
    });
    return square;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
