/// \file
/// From a configuration to problems: which environment, which learner, which cells.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cumarl/runner.hpp"
#include "host/src/config.hpp"
#include "host/src/model.hpp"

namespace cumarl {

/// One cell of an experiment, ready to run.
struct ExperimentCell {
  SweepCell set;
  const PairModel* pair = nullptr;
  std::unique_ptr<Problem> problem;
};

/// A configuration, read and checked.
struct Experiment {
  std::string name = "unnamed";
  int64_t runs = 1;
  int64_t seed = 1;
  bool save_tables = false;
  std::vector<ExperimentCell> cells;
  std::vector<std::unique_ptr<TrainedTables>> trained;  ///< that problems refer to
  std::string resolved;
  std::string canonical;  ///< every value of the configuration without its origin, as JSON
  bool watched = false;   ///< runs can converge
};

/// Throws ConfigError (with key, file and line) or IoError.
Experiment read_experiment(const RunRequest& request);

/// Whether the experiment keeps its tables (experiment.save_tables). Reads no cell. Throws as above.
bool saves_tables(const RunRequest& request);

/// The top-level settings outside of [env] and [learner], for `describe` and for reading.
struct CommonSettings {
  std::string name = "unnamed";
  int64_t runs = 1;
  int64_t seed = 1;
  bool save_tables = false;
  int64_t stable_periods = 0;
  int64_t max_steps = 1'000'000;
  int episodes = 100;
  int steps = 1'000;
  int points = 0;
  bool measures = false;

  void experiment_fields(FieldVisitor& v);
  void stop_fields(FieldVisitor& v);
  void evaluation_fields(FieldVisitor& v);
};

/// Names for error messages, in registry order.
std::vector<std::string> env_names();
std::vector<std::string> learner_names();

/// Tables of a finished experiment, from DIR/tables.bin. Throws IoError.
TrainedTables load_tables(const std::string& directory);
void save_tables(const Result& result, const std::string& path);

}  // namespace cumarl
