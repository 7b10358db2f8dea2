/// \file
/// The measures of a finished run: named once, where they are computed.
///
/// `evaluate` functions report through a Sink:
///   sink.metric("profit_gain", value)           a number; agent >= 0 adds the suffix "_agent<i>"
///   sink.share("cycle_length", label)           a category, reported as shares over runs
///   sink.curve("price_after_deviation", k, v)   point k of a curve
/// On the device the sink writes the values one after another; on the host another sink collects
/// the names by the same calls, so names and values cannot drift apart. Every run of a
/// configuration makes the same calls in the same order.
#pragma once

#include <cstdint>

#include "kernels/core/hd.hpp"

namespace cumarl {

/// How the labels of a share are printed.
enum class Label : uint8_t {
  number,        ///< "3"
  yes_no,        ///< 0 "false", 1 "true"
  joint_action,  ///< "0,2": digits of the joint action, agent 0 first
};

/// What a run's loop knows at its end.
struct RunFacts {
  uint64_t steps;        ///< joint steps taken
  uint64_t last_change;  ///< step of the last change of a greedy action
  bool converged;
};

/// Writes values in call order. Labels are stored as doubles (exact below 2^53).
class OutcomeWriter {
 public:
  CUMARL_HD explicit OutcomeWriter(double* out) : out_(out) {}
  CUMARL_HD void metric(const char*, double value, int = -1) { *out_++ = value; }
  CUMARL_HD void share(const char*, uint64_t label, Label = Label::number) {
    *out_++ = static_cast<double>(label);
  }
  CUMARL_HD void curve(const char*, int, double value) { *out_++ = value; }

 private:
  double* out_;
};

}  // namespace cumarl
