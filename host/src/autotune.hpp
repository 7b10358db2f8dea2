/// \file
/// `cumarl bench NAME --autotune`: which tuning policy is fastest on this machine.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cumarl/runner.hpp"
#include "host/src/bench.hpp"
#include "host/src/policy_figures.hpp"

namespace cumarl {

/// Two policies that were measured in turn. The interval is that of `cumarl bench compare`
/// (BenchRatio).
struct PolicyAttempt {
  std::string figure;  ///< "cpu_rollout.lanes"; "": all that was kept, against the start
  uint64_t before = 0, value = 0;
  double rate_before = 0, rate = 0;     ///< medians, joint steps/s
  double ratio = 0, low = 0, high = 0;  ///< rate over rate_before
  bool kept = false;                    ///< low is above 1
};

struct Autotuned {
  std::string bench, device;
  int threads = 0;  ///< 0 on a GPU
  bool cuda = false;
  Policies policies;
  double rate_before = 0, rate = 0;  ///< of the defaults, and of `policies`
  std::vector<PolicyAttempt> attempts;
  bool interrupted = false;
};

/// Joint steps a second with these policies, measured once; NaN: interrupted.
using MeasurePolicies = std::function<double(const Policies&)>;

/// Searches coordinate by coordinate: each candidate of each figure is measured `repeats` times in
/// turn with the best policies so far, and kept where it is faster beyond the noise. What was kept in
/// all is measured once more against `start`, and given up unless it is faster beyond the noise: of
/// many candidates one looks faster by chance. Pre: repeats >= 1.
Autotuned tune(const Policies& start, const std::vector<PolicyFigure>& figures, int repeats,
               const MeasurePolicies& measure,
               const std::function<void(const PolicyAttempt&)>& progress);

/// Tunes the figures that a bench's loops depend on; request.repeats are of either side of a
/// comparison. A rate is the geometric mean over some numbers of
/// runs: on a CPU a few longer and many shorter ones, on a GPU (tables) from 1,024 to 131,072 runs,
/// since the thresholds there choose by it. With one CPU thread seconds are those of processor time,
/// which other programs disturb less. Throws ConfigError for an unknown bench and for
/// one that is no experiment, DeviceError, and Error if a result depends on the policies.
Autotuned autotune(BenchRequest request, const std::function<void(const PolicyAttempt&)>& progress,
                   const InterruptFlag* interrupt = nullptr);

/// A line on one attempt.
std::string to_text(const PolicyAttempt& attempt);
/// The policies as C++, with the rates as a comment.
std::string to_text(const Autotuned& tuned);
/// {"bench", "device", "threads", "policy": {"cpu_rollout": {"lanes": 4}, ...}, "rates": {"default",
/// "tuned"}, "attempts": [{"figure", "before", "value", "ratio", "low", "high", "kept"}]}.
std::string to_json(const Autotuned& tuned);

}  // namespace cumarl
