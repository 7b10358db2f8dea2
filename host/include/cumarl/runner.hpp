/// \file
/// Running experiments: the whole of what a program that links cuMARL needs.
///
///     cumarl::RunRequest request;
///     request.config_file = "experiments/calvano2020-baseline.toml";
///     request.sets = {"experiment.runs=100"};
///     cumarl::Runner runner(request);
///     const cumarl::Result result = runner.run();
///     std::cout << result.cells[0].metrics.at("profit_gain").mean << "\n";
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cumarl/error.hpp"

namespace cumarl {

struct Policies;

/// What to run, and on what.
struct RunRequest {
  std::string config_file;  ///< a TOML file; or
  std::string config_text;  ///< its text, called `config_name` in messages
  std::string config_name = "config";
  std::vector<std::string> sets;   ///< "key.path=value", in order
  std::optional<int64_t> runs;     ///< instead of experiment.runs
  std::optional<int64_t> seed;     ///< instead of experiment.seed
  std::string device = "auto";     ///< auto, cpu, cuda, cuda:I
  int threads = 0;                 ///< CPU threads; 0: all
  uint64_t batch = 0;              ///< runs in memory at a time; 0: as many as are useful
  uint64_t shard = 0, shards = 1;  ///< which part of the runs: [shard/shards, (shard+1)/shards)
  bool keep_tables = false;        ///< fill Result::tables
  /// Where results are kept: DIR/results.sqlite and, while runs are in flight, DIR/checkpoint. A
  /// folder that holds a part of this experiment is gone on with. "": nowhere.
  std::string directory;
  double checkpoint_seconds = 30;  ///< between two checkpoints
  double max_seconds = 0;          ///< then runs are interrupted; 0: never
  /// Tuning of the loops (kernels/rollout/policies.hpp), which changes no result; null: the defaults.
  std::shared_ptr<const Policies> policies;
};

/// What a run will take.
struct Plan {
  std::string experiment;
  std::string device;
  uint64_t cells = 1;
  uint64_t runs = 0;  ///< over all cells, of this shard
  uint64_t batch = 0;
  uint64_t table_bytes = 0;           ///< learner tables of a run, without padding (largest cell)
  uint64_t run_bytes = 0;             ///< memory of a run (largest cell)
  uint64_t memory_bytes = 0;          ///< of the whole batch with parameters and results
  uint64_t steps_at_most = 0;         ///< joint steps if no run converged; saturates
  std::vector<std::string> warnings;  ///< settings that are allowed but unwise
};

/// How long an experiment will take, from a short run of a sample of it.
struct Estimate {
  double joint_steps_per_second = 0;  ///< 0: none could be taken in the time
  uint64_t sampled_runs = 0;          ///< from cells all over the sweep
  uint64_t ended_runs = 0;            ///< of these, in the time
  /// Joint steps of all runs, if the others go on as long as those that ended; NaN where too few
  /// did. Never above Plan::steps_at_most.
  double joint_steps = 0;
};

/// Distribution of a metric over the runs that have it, n of them. Quantiles interpolate linearly
/// (type 7 of Hyndman and Fan).
struct Statistic {
  uint64_t n = 0;
  double mean = 0, sd = 0, se = 0, min = 0, q05 = 0, q25 = 0, q50 = 0, q75 = 0, q95 = 0, max = 0;
};

/// A run that was stopped because an agent's weights were no numbers any more.
struct Divergence {
  uint64_t run = 0;
  int agent = 0;
  uint64_t step = 0;  ///< the joint step after which it was seen
};

/// Results of one cell. Metrics, shares and curves are of the runs that have not diverged.
struct CellResult {
  std::vector<std::pair<std::string, std::string>> set;  ///< what the sweep set, as TOML text
  uint64_t runs = 0, converged = 0, joint_steps = 0;
  std::vector<Divergence> diverged;
  std::map<std::string, Statistic> metrics;
  std::map<std::string, std::map<std::string, double>> shares;  ///< label -> share of runs
  std::map<std::string, std::vector<Statistic>> curves;         ///< point by point
  /// Raw values: one name a column, one row a run, in the order of run ids.
  std::vector<std::string> columns;
  std::vector<uint64_t> run_ids;
  std::vector<double> values;  ///< [runs][columns]
};

struct Result {
  std::string experiment, device;
  uint64_t runs = 0, converged = 0, joint_steps = 0;
  double seconds = 0;        ///< of the rollout in all calls that worked on it, without start-up
  bool interrupted = false;  ///< then only runs that had ended are in it
  std::string result_hash;   ///< over every run's outcome, state and tables
  std::vector<CellResult> cells;
  /// With keep_tables: values of every run [agents][observations][actions], in the order of runs.
  std::vector<std::vector<double>> tables;
  std::string resolved_config;  ///< TOML, with the origin of every value
};

/// A metric over the runs that have ended so far.
struct LiveMetric {
  std::string name;
  uint64_t n = 0;
  double mean = 0, se = 0;
};

/// The metric of learners with stochastic policies: their mean entropy in the evaluation, as a share
/// of the greatest one there is.
inline constexpr const char* kEntropyMetric = "policy_entropy";

struct Progress {
  uint64_t runs_done = 0;  ///< of all calls
  uint64_t runs = 0;
  uint64_t runs_before = 0;                                ///< that had ended before this call
  uint64_t joint_steps = 0;                                ///< of this call
  double seconds = 0;                                      ///< of this call
  uint64_t converged = 0, out_of_steps = 0, diverged = 0;  ///< of runs_done
  /// Whether runs can converge at all, so that `out_of_steps` means they did not.
  bool watched = false;
  double checkpointed = -1;         ///< seconds of this call at the last checkpoint; -1: none
  std::vector<LiveMetric> metrics;  ///< the leading ones; none in a sweep
};

/// Set by signal handlers to end a run early.
using InterruptFlag = std::atomic<bool>;

/// One experiment, checked and ready. Construction reads and validates everything and allocates
/// nothing on the device. Errors: ConfigError (bad configuration, or tables larger than memory),
/// DeviceError, IoError.
class Runner {
 public:
  explicit Runner(const RunRequest& request);
  Runner(Runner&&) noexcept;
  Runner& operator=(Runner&&) noexcept;
  ~Runner();

  const Plan& plan() const;
  /// Agents of the first cell.
  int agents() const;
  /// Bytes of learner tables that a joint step of the first cell has to touch: each agent reads
  /// the row it comes to, and reads and writes one entry.
  uint64_t step_bytes() const;
  /// Seconds of all launches so far by the device's own clock (CUDA events); 0 on a CPU.
  double launch_seconds() const;
  /// Joint steps a second, from a calibration of about `seconds` on the device (not part of any
  /// result).
  double calibrate(double seconds = 0.3) const;
  /// The same with what it says of the whole experiment. Runs differ in length, and those under way
  /// when the time is over count as if they went on like the others: `joint_steps` is about right
  /// when some dozens have ended.
  Estimate estimate(double seconds = 1.0) const;
  /// Runs to the end, or until `interrupt` is true. `progress` is called about ten times a second
  /// from another thread. May be called again; the result is the same. With a directory: goes on
  /// where the folder's last call ended; `notes` is told what of it could not be taken up. Errors:
  /// ConfigError (the folder holds another experiment), IoError (the last good state is kept).
  Result run(const std::function<void(const Progress&)>& progress = {},
             const InterruptFlag* interrupt = nullptr,
             const std::function<void(const std::string&)>& notes = {}) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Writes DIR/result.json, config.toml (resolved) and, if the result has them, tables.bin. Creates DIR. Throws IoError; files appear whole or not at all.
void write_result(const Result& result, const std::string& directory);

/// The JSON object that `cumarl run --json` prints.
std::string to_json(const Result& result);

}  // namespace cumarl
