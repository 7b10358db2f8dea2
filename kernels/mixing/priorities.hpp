/// \file
/// Which kept episode is drawn how often: a sum tree over the slots of a replay.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/core/hd.hpp"
#include "kernels/core/math.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Slot j is drawn with probability P(j) = p_j^exponent / sum over k of p_k^exponent, where p_j is
/// the size of its error when it was last learned from, and `epsilon`. What is drawn counts
/// w_j = (n P(j))^-beta, over the largest of the sample, with n slots kept.
/// Memory: double [2 leaves]; node k is the sum of the nodes 2k and 2k + 1, leaf j is node
/// leaves + j. A node is added up anew from its two children whenever one of them changes, so that
/// nothing depends on the order of earlier changes. One lane works on it.
/// Source: Schaul, Quan, Antonoglou, Silver, "Prioritized Experience Replay", ICLR 2016, section 3.3
/// (proportional variant), 3.4 and appendix B.2.1. Deviation: none.
class Priorities {
 public:
  struct Shape {
    int32_t leaves;  ///< a power of two
    double exponent, epsilon;
  };

  static Shape make(int slots, double exponent, double epsilon) {
    Shape s{1, exponent, epsilon};
    while (s.leaves < slots) s.leaves *= 2;
    return s;
  }
  CUMARL_HD static size_t bytes(const Shape& s) {
    return 2 * static_cast<size_t>(s.leaves) * sizeof(double);
  }
  /// Pre: memory is 64-byte aligned, with bytes(s) of room, zero at first.
  CUMARL_HD Priorities(const Shape& s, std::byte* memory)
      : shape_(s), node_(reinterpret_cast<double*>(memory)) {}

  /// p^exponent of an error. Pre: error >= 0.
  CUMARL_HD double mass(double error) const {
    return portable_exp(shape_.exponent * portable_log(error + shape_.epsilon));
  }
  CUMARL_HD double total() const { return node_[1]; }
  CUMARL_HD double of(int slot) const { return node_[shape_.leaves + slot]; }
  CUMARL_HD void set(int slot, double mass) const {
    int k = shape_.leaves + slot;
    node_[k] = mass;
    for (k /= 2; k > 0; k /= 2) node_[k] = node_[2 * k] + node_[2 * k + 1];
  }
  /// The slot in which `mass`, counted from the first one, lies. Pre: 0 <= mass < total().
  CUMARL_HD int find(double mass) const {
    int k = 1;
    while (k < shape_.leaves) {
      k *= 2;
      if (mass < node_[k] || !(node_[k + 1] > 0)) continue;  // rounding may lead beyond the last
      mass -= node_[k];
      ++k;
    }
    return k - shape_.leaves;
  }
  /// (n P(slot))^-beta.
  CUMARL_HD double weight(int slot, double n, double beta) const {
    return portable_exp(-beta * portable_log(n * of(slot) / total()));
  }

 private:
  Shape shape_;
  double* node_;
};

}  // namespace cumarl::inline CUMARL_VARIANT
