/// \file
/// The runs of some cells in flight on a device: places for them, launches, and what comes out.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "host/src/checkpoint.hpp"
#include "host/src/executor.hpp"
#include "host/src/experiment.hpp"

namespace cumarl {

/// Cells that share kernels and therefore launches.
struct Group {
  const PairModel* pair;
  int shape;
  RunLayout layout;  ///< memory_bytes: the largest of its cells
  uint32_t outcome_count;
  std::vector<size_t> cells;  ///< of the experiment, in order
};

std::vector<Group> group_cells(const Experiment& experiment);

/// The runs of one cell that are still to be begun: [first, last) without `skip`, which is sorted.
struct CellWork {
  uint64_t first = 0, last = 0;
  std::vector<uint64_t> skip;
};

/// A run that has ended.
struct FinishedRun {
  size_t cell = 0;  ///< of the experiment
  uint64_t run = 0;
  /// [kOutcomeHead + columns of the cell]; no number is one pattern, and no zero is negative.
  std::span<const double> row;
  std::vector<double> tables;  ///< with keep_tables, as Problem::tables
};

/// Keeps up to `slots` runs of a group in flight until all have ended.
class Flight {
 public:
  /// `work`: one entry a cell of the group. `budget`: joint steps a run advances in one launch.
  Flight(const Experiment& experiment, const Group& group, Executor& executor,
         std::vector<CellWork> work, uint64_t slots, uint64_t budget, bool keep_tables);
  /// Takes up a run where its checkpoint left it; begins it anew, if the sizes are not those of this
  /// program. Pre: its cell is one of the group's, and its CellWork skips it; before `advance`.
  void restore(SavedRun run);
  /// Gives the free places to runs that are still to be done, and starts these.
  void fill();
  /// Fills free places, launches once, and hands over what has ended. The CPU leaves the launch soon
  /// after `pause` gets true, and counts joint steps in `steps` as they are done. False when nothing
  /// is left to do.
  bool advance(const std::atomic<bool>& pause, std::atomic<uint64_t>& steps,
               const std::function<void(FinishedRun)>& ended);
  /// Writes the runs that have advanced and not ended.
  void save(CheckpointWriter& checkpoint) const;

 private:
  template <class Kernel>
  void launch_over(const std::vector<uint32_t>& slots, const Kernel& kernel);

  const Experiment& experiment_;
  const Group& group_;
  Executor& device_;
  std::vector<CellWork> work_;
  bool keep_tables_;
  size_t width_;
  std::unique_ptr<Arena> arena_;
  DeviceBuffer cells_, states_, memory_, outcomes_, slots_, live_slots_, phases_;
  Rollout rollout_{};
  std::vector<Slot> place_;  ///< what is in each slot
  std::vector<uint32_t> live_, free_;
  std::vector<SlotPhase> phase_;
  std::deque<SavedRun> restored_;  ///< still without a place
  size_t next_cell_ = 0;
};

}  // namespace cumarl
