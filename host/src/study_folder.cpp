#include "host/src/study_folder.hpp"

#include <algorithm>
#include <filesystem>

namespace cumarl {
namespace {

/// Makes the folder, if need be, and gives back its name.
const std::string& made(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) throw IoError(directory, error.message());
  return directory;
}

}  // namespace

ResultStore StudyFolder::open(const std::string& directory, const StoreHeader& header,
                              const std::vector<StoreCell>& cells) {
  if (!ResultStore::exists(directory)) return ResultStore::create(directory, header, cells);
  ResultStore store = ResultStore::open(directory);
  const StoreHeader& there = store.header();
  if (there.fingerprint != header.fingerprint) {
    throw ConfigError({.source = directory,
                       .why = "holds another experiment (\"" + there.experiment + "\" of cuMARL " +
                              there.version +
                              ", or other settings of this one); choose another folder, or remove "
                              "that one"});
  }
  if (there.shard != header.shard || there.shards != header.shards) {
    throw ConfigError({.source = directory,
                       .why = "holds shard " + std::to_string(there.shard) + "/" +
                              std::to_string(there.shards) + ", not " +
                              std::to_string(header.shard) + "/" + std::to_string(header.shards) +
                              "; each shard has its own folder"});
  }
  return store;
}

StudyFolder::StudyFolder(const std::string& directory, const StoreHeader& header,
                         const std::vector<StoreCell>& cells)
    : directory_(made(directory)),
      store_(open(directory, header, cells)),
      rows_(store_.rows()),
      seconds_(store_.seconds()) {
  if (store_.damaged() > 0) {
    notes_.push_back(std::to_string(store_.damaged()) +
                     " damaged rows of the store were left out; their runs are done again");
  }
  Checkpoint checkpoint = read_checkpoint(directory, header.fingerprint);
  notes_.insert(notes_.end(), checkpoint.refused.begin(), checkpoint.refused.end());
  for (SavedRun& run : checkpoint.runs) {
    if (run.cell >= rows_.size()) continue;
    const std::vector<uint64_t>& ended = rows_[run.cell].runs;
    if (!std::binary_search(ended.begin(), ended.end(), run.run)) {
      in_flight_.push_back(std::move(run));
    }
  }
}

void StudyFolder::append(std::vector<CellRows>& fresh, double seconds) {
  for (size_t c = 0; c < fresh.size(); ++c) {
    store_.append(c, fresh[c]);
    fresh[c].runs.clear();
    fresh[c].rows.clear();
  }
  store_.set_seconds(seconds);
  store_.commit();
}

void StudyFolder::finish(std::vector<CellRows>& fresh, const Result& result) {
  append(fresh, result.seconds);
  store_.finish(result);
  remove_checkpoints(directory_);
}

}  // namespace cumarl
