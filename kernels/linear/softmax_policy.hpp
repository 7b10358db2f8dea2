/// \file
/// The softmax policy over numbered actions: probabilities, entropy, and their derivatives by the
/// logits.
#pragma once

#include <cstdint>

#include "kernels/core/math.hpp"
#include "kernels/core/rng.hpp"
#include "kernels/linear/joint_learner.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// pi(a) = exp(z_a) / sum_b exp(z_b), in double.
struct SoftmaxPolicy {
  int32_t actions;
  double probability[kMaxJointActions];
  double log_probability[kMaxJointActions];

  /// Of the logits z [actions] in log_probability. Pre: they are numbers.
  CUMARL_HD void normalize() {
    double* const z = log_probability;
    double most = z[0];
    for (int a = 1; a < actions; ++a) most = z[a] > most ? z[a] : most;
    double total = 0;
    for (int a = 0; a < actions; ++a) {
      probability[a] = portable_exp(z[a] - most);
      total += probability[a];
    }
    const double log_total = portable_log(total);
    for (int a = 0; a < actions; ++a) {
      probability[a] /= total;
      z[a] = z[a] - most - log_total;
    }
  }

  /// An action, by inversion of one random word.
  CUMARL_HD int draw(uint32_t word) const {
    double left = unit_double(word);
    int a = 0;
    for (; a + 1 < actions; ++a) {
      left -= probability[a];
      if (left < 0) break;
    }
    return a;
  }

  /// -sum_a pi(a) ln pi(a).
  CUMARL_HD double entropy() const {
    double sum = 0;
    for (int a = 0; a < actions; ++a) sum -= probability[a] * log_probability[a];
    return sum;
  }

  /// d ln pi(chosen) / d z_a.
  CUMARL_HD double score(int chosen, int a) const {
    return (a == chosen ? 1.0 : 0.0) - probability[a];
  }
  /// d entropy / d z_a, given the entropy.
  CUMARL_HD double entropy_slope(double entropy, int a) const {
    return -probability[a] * (log_probability[a] + entropy);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
