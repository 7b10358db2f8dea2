/// \file
/// From outcome rows to results: distributions of metrics, shares of labels, curves, and the hash.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cumarl/runner.hpp"
#include "host/src/store.hpp"

namespace cumarl {

/// The distribution of those of `values` that are numbers, n of them: there are measures that some
/// runs do not have. Where there are none, all but n is NaN.
Statistic statistic(std::vector<double> values);

/// What --json calls a label of a share: "true", "3", "0,2".
std::string label_text(const RowMeaning& meaning, Label label, double value);

/// One column of a table with one row a run.
struct RunColumn {
  std::string name;  ///< of a point of a curve: "price_3"
  size_t at;         ///< place in the outcome row
};

/// The columns of a table of runs after the run's id and the sweep's values: "converged",
/// "joint_steps", then every measure, but for shares of a metric's name, which say the same.
std::vector<RunColumn> run_columns(const RowMeaning& meaning);
/// The number that such a table shows: 1 or 0 for "converged", the row's value for all others.
double run_value(const RunColumn& column, std::span<const double> row);

/// Summaries of one cell. Pre: rows of the cell's width, sorted by run id.
CellResult summarise(const StoreCell& cell, const CellRows& rows);

/// XXH3-128 over outcome rows. Cells are added in order, runs of a cell by id.
class ResultHash {
 public:
  ResultHash();
  ResultHash(ResultHash&&) noexcept;
  ~ResultHash();
  /// `row`: RowMeaning::width() doubles.
  void add(uint64_t run, std::span<const double> row);
  /// 32 hexadecimal digits of what has been added.
  std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Summaries of a whole store, a cell at a time in memory. Damaged rows are left out; seconds,
/// interrupted and tables are left to the caller. Throws IoError.
Result summarise(const ResultStore& store);

/// Summaries of an experiment; seconds, interrupted and tables are left to the caller.
/// Pre: one CellRows a cell, sorted by run id.
Result summarise(const StoreHeader& header, const std::vector<StoreCell>& cells,
                 const std::vector<CellRows>& rows);

}  // namespace cumarl
