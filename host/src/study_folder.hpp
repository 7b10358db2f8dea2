/// \file
/// The folder of an experiment: what has ended, in the results store, and what was in flight, in
/// the checkpoint. Opening it again goes on where it was.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/src/checkpoint.hpp"
#include "host/src/store.hpp"

namespace cumarl {

class StudyFolder {
 public:
  /// Makes the folder, or takes it up. Throws ConfigError where it holds another experiment or
  /// another shard, IoError where it cannot be used or another process is working there.
  StudyFolder(const std::string& directory, const StoreHeader& header,
              const std::vector<StoreCell>& cells);

  /// What was there when it was opened: rows of runs that had ended, and those in flight (without
  /// those that had ended).
  std::vector<CellRows>& rows() { return rows_; }
  std::vector<SavedRun>& in_flight() { return in_flight_; }
  /// What could not be taken up, for the user to read.
  const std::vector<std::string>& notes() const { return notes_; }
  /// Seconds that earlier calls worked.
  double seconds() const { return seconds_; }
  /// Whether everything had ended when it was opened.
  bool complete() const { return store_.complete(); }
  ResultStore& store() { return store_; }

  /// Makes durable what has ended since the last call, `fresh` [cells], which is empty after it.
  /// `flight` writes the runs in flight; `seconds`: worked by now, in all calls.
  template <class SaveFlight>
  void save(std::vector<CellRows>& fresh, double seconds, const SaveFlight& flight) {
    append(fresh, seconds);
    CheckpointWriter writer(directory_, store_.header().fingerprint);
    flight(writer);
    writer.commit();
  }
  /// Everything has ended.
  void finish(std::vector<CellRows>& fresh, const Result& result);

 private:
  static ResultStore open(const std::string& directory, const StoreHeader& header,
                          const std::vector<StoreCell>& cells);
  void append(std::vector<CellRows>& fresh, double seconds);

  std::string directory_;
  ResultStore store_;
  std::vector<CellRows> rows_;
  std::vector<SavedRun> in_flight_;
  std::vector<std::string> notes_;
  double seconds_ = 0;
};

}  // namespace cumarl
