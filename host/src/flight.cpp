#include "host/src/flight.hpp"

#include <algorithm>
#include <iterator>

#include "host/src/store.hpp"

namespace cumarl {

std::vector<Group> group_cells(const Experiment& experiment) {
  std::vector<Group> groups;
  for (size_t c = 0; c < experiment.cells.size(); ++c) {
    const ExperimentCell& cell = experiment.cells[c];
    const int shape = cell.problem->shape();
    const auto at = std::find_if(groups.begin(), groups.end(), [&](const Group& g) {
      return g.pair->loops() == cell.pair->loops() && g.shape == shape;
    });
    Group& group =
        at != groups.end() ? *at : groups.emplace_back(Group{cell.pair, shape, {}, 0, {}});
    const RunLayout& layout = cell.problem->layout();
    group.layout = {layout.cell_bytes, layout.state_bytes,
                    std::max(group.layout.memory_bytes, layout.memory_bytes)};
    group.outcome_count = std::max(
        group.outcome_count, kOutcomeHead + static_cast<uint32_t>(cell.problem->columns().size()));
    group.cells.push_back(c);
  }
  return groups;
}

Flight::Flight(const Experiment& experiment, const Group& group, Executor& executor,
               std::vector<CellWork> work, uint64_t slots, uint64_t budget, bool keep_tables)
    : experiment_(experiment),
      group_(group),
      device_(executor),
      work_(std::move(work)),
      keep_tables_(keep_tables),
      width_(group.outcome_count),
      arena_(executor.arena()),
      cells_(executor, group.cells.size() * group.layout.cell_bytes),
      states_(executor, slots * group.layout.state_bytes),
      memory_(executor, slots * group.layout.memory_bytes),
      outcomes_(executor, slots * width_ * sizeof(double)),
      slots_(executor, slots * sizeof(Slot)),
      live_slots_(executor, slots * sizeof(uint32_t)),
      phases_(executor, slots * sizeof(SlotPhase)),
      place_(slots),
      free_(slots),
      phase_(slots) {
  std::vector<std::byte> host(group.cells.size() * group.layout.cell_bytes);
  CellArena parameters(*arena_);
  for (size_t i = 0; i < group.cells.size(); ++i) {
    experiment.cells[group.cells[i]].problem->write_cell(parameters,
                                                         host.data() + i * group.layout.cell_bytes);
  }
  device_.copy_in(cells_.data(), host.data(), host.size());
  for (size_t i = 0; i < free_.size(); ++i) free_[i] = static_cast<uint32_t>(slots - 1 - i);
  rollout_.cells = cells_.data();
  rollout_.states = states_.data();
  rollout_.memory = memory_.data();
  rollout_.outcomes = reinterpret_cast<double*>(outcomes_.data());
  rollout_.slots = reinterpret_cast<const Slot*>(slots_.data());
  rollout_.live = reinterpret_cast<const uint32_t*>(live_slots_.data());
  rollout_.cell_count = static_cast<uint32_t>(group.cells.size());
  rollout_.outcome_count = group.outcome_count;
  rollout_.layout = group.layout;
  rollout_.seed = static_cast<uint64_t>(experiment.seed);
  rollout_.budget = budget;
  rollout_.phase = reinterpret_cast<SlotPhase*>(phases_.data());
  rollout_.policies = &executor.policies();
}

template <class Kernel>
void Flight::launch_over(const std::vector<uint32_t>& slots, const Kernel& kernel) {
  if (slots.empty()) return;
  device_.copy_in(live_slots_.data(), slots.data(), slots.size() * sizeof(uint32_t));
  rollout_.live_count = static_cast<uint32_t>(slots.size());
  kernel(*group_.pair, group_.shape, rollout_);
}

void Flight::restore(SavedRun run) {
  if (run.state.size() == group_.layout.state_bytes &&
      run.memory.size() == group_.layout.memory_bytes) {
    restored_.push_back(std::move(run));
    return;
  }
  const auto at = std::lower_bound(group_.cells.begin(), group_.cells.end(), size_t{run.cell});
  auto& skip = work_[static_cast<size_t>(at - group_.cells.begin())].skip;
  std::erase(skip, run.run);
}

void Flight::fill() {
  std::vector<uint32_t> fresh;
  while (!free_.empty() && !restored_.empty()) {
    const SavedRun run = std::move(restored_.front());
    restored_.pop_front();
    const uint32_t slot = free_.back();
    free_.pop_back();
    const auto at = std::lower_bound(group_.cells.begin(), group_.cells.end(), size_t{run.cell});
    place_[slot] = {run.run, static_cast<uint32_t>(at - group_.cells.begin())};
    device_.copy_in(rollout_.states + slot * run.state.size(), run.state.data(), run.state.size());
    device_.copy_in(rollout_.memory + slot * run.memory.size(), run.memory.data(),
                    run.memory.size());
    constexpr auto kPhase = SlotPhase::advanced;
    device_.copy_in(rollout_.phase + slot, &kPhase, sizeof(kPhase));
    live_.push_back(slot);
  }
  while (!free_.empty() && next_cell_ < work_.size()) {
    CellWork& work = work_[next_cell_];
    const uint64_t run = work.first;
    if (run == work.last) {
      ++next_cell_;
      continue;
    }
    ++work.first;
    if (std::binary_search(work.skip.begin(), work.skip.end(), run)) continue;
    const uint32_t slot = free_.back();
    free_.pop_back();
    place_[slot] = {run, static_cast<uint32_t>(next_cell_)};
    fresh.push_back(slot);
  }
  device_.copy_in(slots_.data(), place_.data(), place_.size() * sizeof(Slot));
  launch_over(fresh, [&](auto&... a) { device_.start(a...); });
  live_.insert(live_.end(), fresh.begin(), fresh.end());
}

bool Flight::advance(const std::atomic<bool>& pause, std::atomic<uint64_t>& steps,
                     const std::function<void(FinishedRun)>& ended) {
  if (!free_.empty()) fill();
  if (live_.empty()) return false;
  rollout_.interrupt = &pause;
  rollout_.progress = &steps;
  launch_over(live_, [&](auto&... a) { device_.advance(a...); });
  device_.copy_out(phase_.data(), phases_.data(), phase_.size() * sizeof(SlotPhase));
  const auto over = [&](uint32_t slot) { return phase_[slot] == SlotPhase::ended; };
  std::vector<uint32_t> done;
  std::copy_if(live_.begin(), live_.end(), std::back_inserter(done), over);
  if (done.empty()) return true;
  std::erase_if(live_, over);
  launch_over(done, [&](auto&... a) { device_.finish(a...); });

  const auto [lowest, highest] = std::minmax_element(done.begin(), done.end());
  const size_t first = *lowest;
  std::vector<double> rows((*highest - first + 1) * width_);
  device_.copy_out(rows.data(), rollout_.outcomes + first * width_, rows.size() * sizeof(double));
  std::vector<std::byte> memory(keep_tables_ ? group_.layout.memory_bytes : 0);
  for (const uint32_t slot : done) {
    const std::span<double> row(rows.data() + (slot - first) * width_, width_);
    std::transform(row.begin(), row.end(), row.begin(), canonical);
    FinishedRun run;
    run.cell = group_.cells[place_[slot].cell];
    run.run = place_[slot].run;
    const Problem& problem = *experiment_.cells[run.cell].problem;
    run.row = row.first(kOutcomeHead + problem.columns().size());
    if (keep_tables_) {
      device_.copy_out(memory.data(), rollout_.memory + slot * memory.size(), memory.size());
      run.tables = problem.tables(memory.data());
    }
    ended(std::move(run));
    free_.push_back(slot);
  }
  return true;
}

void Flight::save(CheckpointWriter& checkpoint) const {
  SavedRun run;
  run.state.resize(group_.layout.state_bytes);
  run.memory.resize(group_.layout.memory_bytes);
  for (const uint32_t slot : live_) {
    if (phase_[slot] != SlotPhase::advanced) continue;
    run.run = place_[slot].run;
    run.cell = static_cast<uint32_t>(group_.cells[place_[slot].cell]);
    device_.copy_out(run.state.data(), rollout_.states + slot * run.state.size(), run.state.size());
    device_.copy_out(run.memory.data(), rollout_.memory + slot * run.memory.size(),
                     run.memory.size());
    checkpoint.add(run);
  }
  for (const SavedRun& waiting : restored_) checkpoint.add(waiting);
}

}  // namespace cumarl
