#include "host/cli/ranks.hpp"

#include <sched.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "host/src/executor.hpp"
#include "host/src/export.hpp"
#include "host/src/folder_lock.hpp"
#include "host/src/merge.hpp"
#include "host/src/store.hpp"

namespace cumarl {
namespace {

namespace fs = std::filesystem;

int number(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : otherwise;
}

/// Whether a rank has written everything: result.json appears last, and whole.
bool complete(const std::string& folder) { return fs::exists(folder + "/result.json"); }

}  // namespace

Ranks find_ranks() {
  Ranks ranks;
  const int size = number("OMPI_COMM_WORLD_SIZE", 1);
  if (size <= 1) return ranks;
  ranks.rank = number("OMPI_COMM_WORLD_RANK", 0);
  ranks.size = size;
  ranks.local_rank = number("OMPI_COMM_WORLD_LOCAL_RANK", ranks.rank);
  ranks.local_size = number("OMPI_COMM_WORLD_LOCAL_SIZE", size);
  const char* const job = std::getenv("PMIX_NAMESPACE");
  ranks.job = job != nullptr ? job : "0";
  return ranks;
}

std::string rank_folder(const std::string& directory, int rank, int size) {
  return directory + "/rank-" + std::to_string(rank) + "-of-" + std::to_string(size);
}

int ranks_begun(const std::string& directory) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    int rank = 0, size = 0;
    char end = 0;
    if (std::sscanf(entry.path().filename().c_str(), "rank-%d-of-%d%c", &rank, &size, &end) == 2) {
      return size;
    }
  }
  return 0;
}

void share_out(const Ranks& ranks, const std::string& directory, RunRequest& request) {
  const int begun = ranks_begun(directory);
  if (begun != 0 && begun != ranks.size) {
    throw ConfigError({.source = directory,
                       .why = "was begun with " + std::to_string(begun) +
                              " ranks; go on with as many, or choose another folder"});
  }
  const auto size = static_cast<uint64_t>(ranks.size);
  request.shard = request.shard * size + static_cast<uint64_t>(ranks.rank);
  request.shards *= size;
  request.directory = rank_folder(directory, ranks.rank, ranks.size);
  if (request.threads == 0) {
    // the launcher may have bound this rank to its cores already
    cpu_set_t mine;
    const int all = static_cast<int>(std::thread::hardware_concurrency());
    const int bound = sched_getaffinity(0, sizeof(mine), &mine) == 0 ? CPU_COUNT(&mine) : all;
    request.threads = std::max(1, bound < all ? bound : all / ranks.local_size);
  }
  const int devices = cuda_device_count();
  if (devices > 0 && (request.device == "auto" || request.device == "cuda")) {
    request.device = "cuda:" + std::to_string(ranks.local_rank % devices);
  }
}

std::string temporary_folder(const Ranks& ranks) {
  if (ranks.local_size != ranks.size) {
    throw ConfigError({.key = "--out",
                       .why = "is needed by ranks on several machines: a folder "
                              "that all of them see"});
  }
  return (fs::temp_directory_path() / ("cumarl-" + ranks.job)).string();
}

bool await_ranks(const Ranks& ranks, const std::string& directory, const InterruptFlag& interrupt) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kPatience = std::chrono::seconds(20);  // with a rank that holds no lock
  for (int rank = 0; rank < ranks.size; ++rank) {
    const std::string folder = rank_folder(directory, rank, ranks.size);
    auto seen = Clock::now();
    while (!complete(folder)) {
      if (interrupt) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      if (FolderLock::held(folder)) seen = Clock::now();
      if (Clock::now() - seen > kPatience && !complete(folder)) {
        throw Error("rank " + std::to_string(rank) +
                    " has ended without its results; the same command goes on with what is there");
      }
    }
  }
  return true;
}

Result merge_ranks(const Ranks& ranks, const std::string& directory) {
  if (ResultStore::exists(directory)) {
    if (ResultStore::open(directory, ResultStore::Access::read).complete()) {
      return load_result(directory);
    }
    // a merge that was cut short
    for (const char* companion : {"", "-wal", "-shm", "-journal"}) {
      fs::remove(directory + "/" + ResultStore::kFile + companion);
    }
  }
  std::vector<std::string> folders;
  for (int rank = 0; rank < ranks.size; ++rank) {
    folders.push_back(rank_folder(directory, rank, ranks.size));
  }
  return merge_results(folders, directory).result;
}

}  // namespace cumarl
