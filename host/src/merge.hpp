/// \file
/// Shards of an experiment put together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cumarl/runner.hpp"

namespace cumarl {

struct Merged {
  Result result;         ///< `interrupted` where runs are missing
  uint64_t wanted = 0;   ///< runs of the whole experiment
  uint64_t damaged = 0;  ///< rows of the folders that were left out
};

/// Writes the runs of all `directories` to a new store in `out`, with result.json, config.toml and, if
/// there are any, tables.bin. Where runs are missing, `cumarl run` with `out` goes on with them.
/// Together with the hash of a whole experiment this is what one process would have written; the
/// seconds are the sum. A run may be in several folders if it has the same values in all.
/// Throws IoError, and leaves nothing behind, where the folders are of different experiments or
/// disagree on a run, where `out` has results already, and where reading or writing fails.
/// Pre: at least one folder.
Merged merge_results(const std::vector<std::string>& directories, const std::string& out);

}  // namespace cumarl
