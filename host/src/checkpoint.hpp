/// \file
/// Checkpoints: the runs that were in flight, to the bit, so that an interrupted experiment goes on
/// where it was. Finished runs are in the results store (store.hpp) and not here. Since a run's
/// result depends on nothing but its configuration and its id, any good checkpoint fits any later
/// store: what both hold is finished, what neither holds begins anew.
///
/// A folder holds `checkpoint` and the one before it, `checkpoint.previous`. File format, all
/// integers little-endian: "cuMARLc1"; the experiment's fingerprint, 32 characters; the runs, each
/// as run id (8 bytes), cell (4), bytes of state (4), bytes of memory (8), state, memory; the
/// run id ~0 as an end mark; the number of runs (8); and the XXH3 hash of every byte before (16).
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/src/atomic_file.hpp"

namespace cumarl {

/// A run between two launches.
struct SavedRun {
  uint64_t run = 0;
  uint32_t cell = 0;  ///< of the experiment
  std::vector<std::byte> state, memory;
};

/// Writes the next checkpoint of `directory`. All members throw IoError; then the last one is still
/// there.
class CheckpointWriter {
 public:
  /// Pre: `fingerprint` has 32 characters.
  CheckpointWriter(const std::string& directory, const std::string& fingerprint);
  void add(const SavedRun& run);
  /// Makes it the current one, and the current one the previous one.
  void commit();

 private:
  void write(const void* data, size_t bytes);

  std::string current_;
  AtomicFile file_;
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> hash_;
  uint64_t runs_ = 0;
};

struct Checkpoint {
  std::vector<SavedRun> runs;
  std::vector<std::string> refused;  ///< files that were not taken, each with the reason
};

/// The newest good checkpoint of a folder; no runs where there is none. A file that is cut short, of
/// another experiment, or has a single wrong bit is refused.
Checkpoint read_checkpoint(const std::string& directory, const std::string& fingerprint);

/// Removes the checkpoints of a folder, as nothing is in flight any more.
void remove_checkpoints(const std::string& directory);

}  // namespace cumarl
