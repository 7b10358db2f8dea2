/// \file
/// The results of an experiment on disk: one SQLite file, DIR/results.sqlite, with one row a run.
/// docs/results.md describes the tables for people who read them with other programs.
///
///     ResultStore store = ResultStore::create(dir, header, cells);
///     store.append(0, rows);  // as runs end
///     store.commit();         // they are on disk
///     ...
///     ResultStore again = ResultStore::open(dir);
///     for (const CellRows& of_cell : again.rows()) ...
///     again.finish(summarise(again.header(), again.cells(), again.rows()));
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cumarl/runner.hpp"
#include "host/src/model.hpp"

namespace cumarl {

/// What the numbers of a cell's outcome rows mean: those after the head (kOutcomeHead of
/// kernels/rollout/launch_args.hpp).
struct RowMeaning {
  std::vector<OutcomeColumn> columns;
  std::vector<int> actions;  ///< [agents], for Label::joint_action

  /// Doubles in a row.
  size_t width() const { return kOutcomeHead + columns.size(); }
};

/// Outcome rows of finished runs of one cell, in any order.
struct CellRows {
  std::vector<uint64_t> runs;
  std::vector<double> rows;  ///< [runs][RowMeaning::width()]
};

/// What an experiment is.
struct StoreHeader {
  std::string experiment;
  std::string fingerprint;  ///< hexadecimal; equal for configurations with equal results
  std::string config;       ///< resolved, TOML
  std::string version;      ///< of cuMARL
  std::string device;
  int64_t seed = 0;
  uint64_t runs_per_cell = 0;
  uint64_t shard = 0, shards = 1;  ///< whose runs these are, of how many parts
};

/// One cell of an experiment: what the sweep set, as TOML text, and what its rows mean.
struct StoreCell {
  std::vector<std::pair<std::string, std::string>> set;
  RowMeaning meaning;
};

/// `value` with every NaN as the one quiet NaN of std::numeric_limits, and -0.0 as 0.0: what SQLite
/// gives back to the bit.
double canonical(double value);

/// The results of one experiment. One process writes at a time; others may read meanwhile.
/// Everything throws IoError where the file system or the file fails; what was committed before
/// stays readable. A full disk, a read-only folder and a limit on file sizes (SIGXFSZ has to be
/// ignored for that) are such failures.
class ResultStore {
 public:
  enum class Access : uint8_t { read, write };
  static constexpr const char* kFile = "results.sqlite";

  /// Whether there is a store in `directory`.
  static bool exists(const std::string& directory);
  /// Makes the folder, if need be, and the file, whole or not at all. Errors: there is a store
  /// already; more than kMaxSweptKeys keys in StoreCell::set.
  /// Pre: every cell sets the same keys.
  static ResultStore create(const std::string& directory, const StoreHeader& header,
                            const std::vector<StoreCell>& cells);
  /// Errors: no store, a file of another program or version, a damaged one, or (to write) one that
  /// another process is writing.
  static ResultStore open(const std::string& directory, Access access = Access::write);

  ResultStore(ResultStore&&) noexcept;
  ResultStore& operator=(ResultStore&&) noexcept;
  /// What was appended and not committed is gone.
  ~ResultStore();

  const std::string& directory() const;
  const StoreHeader& header() const;
  const std::vector<StoreCell>& cells() const;

  /// Adds rows to the open transaction, which begins with the first. A run that is there already is
  /// replaced. Values are made canonical() first. If the store was complete, it no longer is.
  /// After an IoError nothing of the open transaction is left.
  /// Pre: cell < cells().size(), rows of the cell's width; run ids are
  /// cell * runs_per_cell + number; status, joint steps, last change, digest
  /// and labels are whole numbers from 0 to 2^53. Throws Error otherwise.
  void append(size_t cell, const CellRows& rows);
  /// The final tables of a run, as Problem::tables: with experiment.save_tables.
  void append_tables(uint64_t run, std::span<const double> values);
  std::map<uint64_t, std::vector<double>> tables() const;
  /// Seconds worked on the experiment by now.
  void set_seconds(double seconds);
  /// Ends the transaction; when this returns, its rows are on disk.
  void commit();

  /// Everything, a cell an entry, sorted by run id. Rows whose hash does not fit their values are
  /// left out: a flipped bit costs a run, not the study. Rows not committed yet are included.
  std::vector<CellRows> rows() const;
  /// Rows that the last complete reading left out; a stretch of the file that cannot be read
  /// counts as one.
  uint64_t damaged() const;

  /// Writes the tables of summaries, which replace those of before, marks the store complete
  /// unless the result was interrupted, and commits. The file is left without companions where
  /// nobody else has it open, so that it may be copied or read from a read-only place.
  void finish(const Result& result);
  bool complete() const;
  /// What set_seconds or finish() had last.
  double seconds() const;
  /// Of the result that finish() had; "" before.
  const std::string& result_hash() const;

  static constexpr size_t kMaxSweptKeys = 500;
  /// Columns of measures of the table `runs`; measures beyond are kept as curves of one point, so
  /// that SQLite's limit of 2,000 columns is never met.
  static constexpr size_t kMaxMeasures = 1400;

 private:
  friend class RowReader;
  struct Impl;
  explicit ResultStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The rows of a store in the order of run ids, one at a time: for studies larger than memory.
/// Reads one moment of the store, whatever another process commits meanwhile.
/// Pre: the store outlives it, and nothing is appended while it is there.
class RowReader {
 public:
  explicit RowReader(const ResultStore& store);
  RowReader(RowReader&&) noexcept;
  ~RowReader();

  /// Goes to the next row that is not damaged; false after the last.
  bool next();
  size_t cell() const;
  uint64_t run() const;
  std::span<const double> row() const;
  /// Rows left out so far.
  uint64_t damaged() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cumarl
