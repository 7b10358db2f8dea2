/// \file
/// `cumarl bench`: throughput with its unit, and with what limits it.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "cumarl/runner.hpp"
#include "host/src/bench_tools.hpp"

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
  std::vector<std::string> sets = {};  ///< "key.path=value", over the bench's own configuration
  std::optional<uint64_t> runs = {};   ///< instead of the bench's own number
};

/// A request for every combination of the values of `axes`, the last one fastest. An axis is
/// "KEY=V1,V2,..."; KEY is "runs" or a key of the configuration; commas within brackets, braces and
/// quotation marks belong to a value. Throws ConfigError for an axis without values, a key that is
/// there twice, and runs outside of 1 to 2^31 - 1.
std::vector<BenchRequest> combinations(const BenchRequest& request,
                                       const std::vector<std::string>& axes);

struct BenchResult {
  /// The name and what was set: "pricing env.prices=20 runs=100".
  std::string label() const;

  std::string name, device;
  std::vector<std::string> sets;  ///< what was asked for: the request's, and "runs=N"
  int threads = 0;
  int agents = 0;
  bool learning = false;
  uint64_t runs = 0;
  uint64_t steps = 0;         ///< joint steps a run
  uint64_t run_bytes = 0;     ///< memory of a run on the device
  std::vector<double> rates;  ///< joint steps/s of each repeat, after one warm-up
  double median = 0, iqr = 0;
  /// Processor time of all threads a joint step, of each repeat, s: what other programs take is not
  /// in it.
  std::vector<double> processor;
  /// The median by the host's clock, where rates are by the device's (CUDA events); else NaN.
  double host_median = std::numeric_limits<double>::quiet_NaN();
  StepCosts costs;
  Limits limits;  ///< NaN on a GPU
  /// The lowest of them and its kind, "memory", "issue" or "latency"; "unmeasured" on a GPU.
  std::string bound_kind = "unmeasured";
  double bound_limit = std::numeric_limits<double>::quiet_NaN();
  /// Training iterations (updates from a batch) of a run over its joint steps; 0: the bench has none,
  /// or settings that may change them.
  double iterations_a_step = 0;
  bool check = false;  ///< the result hash did not depend on threads and batch
};

/// The runs that a bench times, for other harnesses. Throws as bench() does, and ConfigError for the
/// benches of observations, which are no experiments.
RunRequest bench_request(const BenchRequest& request);

/// Reads and checks what bench() would run. Throws as bench() does.
void validate(const BenchRequest& request);

/// Throws ConfigError for an unknown name and a bad configuration, DeviceError.
BenchResult bench(const BenchRequest& request);

/// Joint steps a run where there are `runs` of them: such that all together take `work`, but at most
/// `most`, and at least as many as keep start and end of a run, which write and read its memory, a
/// small part of its time.
uint64_t steps_for(uint64_t work, uint64_t runs, uint64_t run_bytes, uint64_t most);

/// A result with what is known before: name, settings, device and threads.
BenchResult begin_result(const BenchRequest& request, const std::string& device);
/// Fills in median and iqr, and from the costs limits and bound; `together`: runs that a thread has
/// in flight at a time, at most.
void finish(BenchResult& result, const StepCosts& costs, double together);

std::string to_json(const BenchResult& result);

}  // namespace cumarl
