/// \file
/// Several processes on one experiment, as `mpirun -n N cumarl run ...` starts them. Runs are
/// independent, so ranks need no messages: each does its part of the run ids into a folder of its
/// own, and the first merges the folders when all are complete.
#pragma once

#include <string>
#include <vector>

#include "cumarl/runner.hpp"

namespace cumarl {

/// Where this process stands among those that a launcher started.
struct Ranks {
  int rank = 0, size = 1;
  int local_rank = 0, local_size = 1;  ///< among those on this machine
  std::string job;                     ///< one name for all of them; "" alone

  bool alone() const { return size == 1; }
  bool first() const { return rank == 0; }
};

/// From the environment that Open MPI's mpirun gives its processes.
Ranks find_ranks();

/// The folder in which a rank works.
std::string rank_folder(const std::string& directory, int rank, int size);

/// How many ranks an experiment in `directory` was begun with; 0 where it was not begun so.
int ranks_begun(const std::string& directory);

/// Gives a rank its part of the runs, its CPU cores and its GPU, and its folder under `directory`.
/// Throws ConfigError where `directory` was begun with another number of ranks.
void share_out(const Ranks& ranks, const std::string& directory, RunRequest& request);

/// Where ranks work that were given no folder; all on one machine. Throws ConfigError where they
/// are not, and therefore need one.
std::string temporary_folder(const Ranks& ranks);

/// Waits until all ranks' folders are complete. False if interrupted. Throws Error where a rank has
/// ended, or never began, without completing its folder.
bool await_ranks(const Ranks& ranks, const std::string& directory, const InterruptFlag& interrupt);

/// The results of all ranks, merged into `directory`. Pre: their folders are complete.
Result merge_ranks(const Ranks& ranks, const std::string& directory);

}  // namespace cumarl
