/// \file
/// Results for other programs: tables of runs as CSV or NPZ, and the summaries of a stored experiment.
#pragma once

#include <cstdint>
#include <string>

#include "cumarl/runner.hpp"

namespace cumarl {

enum class ExportFormat : uint8_t { csv, npz };

/// "csv" or "npz". Throws ConfigError for anything else.
ExportFormat parse_format(const std::string& name);

struct Exported {
  std::string path;
  uint64_t runs = 0;     ///< rows written
  uint64_t wanted = 0;   ///< runs of the whole experiment, all shards
  uint64_t damaged = 0;  ///< rows of the store that were left out
};

/// Writes every run of the store in `directory` to `out` ("": runs.csv or runs.npz in `directory`), in
/// the order of run ids. Throws IoError; the file appears whole or not at all.
///
/// CSV (RFC 4180, but lines end in \n): run, the sweep's values, converged (1 or 0), joint_steps,
/// every measure, points of curves as NAME_POINT. Shares are labels as numbers. Numbers read back to
/// the bit. Empty: the cell has no such measure, or the run has diverged.
///
/// NPZ: a zip archive, not compressed, of one .npy array a column, [runs]: run, cell, joint_steps
/// int64; converged, diverged bool; a swept key as int64, float64, bool or text; a metric float64,
/// NaN where CSV is empty; a share int64, -1 where CSV is empty; a curve float64 [runs][points], NaN
/// where it is shorter. A curve that has a metric's or share's name is called NAME_curve.
Exported export_runs(const std::string& directory, ExportFormat format, const std::string& out);

/// The result of the store in `directory`, as the run that wrote it returned it, but for
/// Result::tables. `interrupted` where runs are missing or damaged. Throws IoError.
Result load_result(const std::string& directory);

}  // namespace cumarl
