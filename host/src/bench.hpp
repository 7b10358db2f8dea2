/// \file
/// `cumarl bench`: throughput with its unit, and with what limits it.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "cumarl/runner.hpp"

namespace cumarl {

struct BenchInfo {
  std::string name;
  std::string title;
  bool learning;
};

/// The headline benches (headline_benches()), and one "ENV/LEARNER" or "ENV/LEARNER/TABLE" for every registered pair.
std::vector<BenchInfo> benches();

/// Names of the headline benches, which `cumarl bench` runs when none is named.
std::vector<std::string> headline_benches();

struct BenchRequest {
  std::string name;
  std::string device = "auto";
  int threads = 0;
  int repeats = 7;
};

struct BenchResult {
  std::string name, device;
  int threads = 0;
  int agents = 0;
  bool learning = false;
  uint64_t runs = 0;
  std::vector<double> rates;  ///< joint steps/s of each repeat, after one warm-up
  double median = 0, iqr = 0;
  /// "memory" or "issue"; "unmeasured" on a GPU.
  std::string bound_kind = "unmeasured";
  /// Joint steps/s at the measured copy bandwidth; NaN where that was not measured.
  double bound_limit = std::numeric_limits<double>::quiet_NaN();
  /// Training iterations (updates from a batch) of a run over its joint steps; 0: the bench has none.
  double iterations_a_step = 0;
  bool check = false;  ///< the result hash did not depend on threads and batch
};

/// The runs that a bench times, for other harnesses. Throws ConfigError for an unknown name and for
/// lbf_observations, which is no experiment.
RunRequest bench_request(const BenchRequest& request);

/// Throws ConfigError for an unknown name, DeviceError.
BenchResult bench(const BenchRequest& request);
std::string to_json(const BenchResult& result);

}  // namespace cumarl
