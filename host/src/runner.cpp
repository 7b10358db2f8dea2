#include "cumarl/runner.hpp"

#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>

#include "host/src/executor.hpp"
#include "host/src/experiment.hpp"
#include "host/src/flight.hpp"
#include "host/src/pacer.hpp"
#include "host/src/policy_figures.hpp"
#include "host/src/study_folder.hpp"
#include "host/src/summary.hpp"
#include "rules_digest.hpp"

namespace cumarl {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

uint64_t saturating_multiply(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<uint64_t>::max() : product;
}

/// 32 hexadecimal digits; equal for experiments, and sources of cuMARL, with equal results.
std::string fingerprint(const std::string& configuration, const std::vector<StoreCell>& cells) {
  std::string text = std::string(CUMARL_RULES_DIGEST) + '\n' + configuration + '\n';
  for (const StoreCell& cell : cells) {
    for (const auto& [key, value] : cell.set) text += key + " = " + value + '\n';
  }
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  char digits[33];
  std::snprintf(digits, sizeof(digits), "%016llx%016llx",
                static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return digits;
}

/// Calls `report` ten times a second until it goes out of scope.
class Reporter {
 public:
  explicit Reporter(std::function<void()> report)
      : report_(std::move(report)), thread_([this](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          while (!wake_.wait_for(lock, stop, std::chrono::milliseconds(100), [] {
            return false;
          }) && !stop.stop_requested()) {
            report_();
          }
        }) {}

 private:
  std::function<void()> report_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

/// What there is to say of the runs that have ended, while others are in flight.
class LiveView {
 public:
  /// The leading metrics: those of all agents together; and the entropy of policies.
  static constexpr size_t kMetrics = 3;

  /// `watched`: see Progress. `cell`: the only cell, or null in a sweep.
  LiveView(uint64_t runs, bool watched, const StoreCell* cell) {
    now_.runs = runs;
    now_.watched = watched;
    for (size_t c = 0; cell != nullptr && c < cell->meaning.columns.size(); ++c) {
      const OutcomeColumn& column = cell->meaning.columns[c];
      if (column.kind != OutcomeColumn::Kind::metric ||
          (now_.metrics.size() >= kMetrics && column.name != kEntropyMetric) ||
          column.name.find("_agent") != std::string::npos) {
        continue;
      }
      now_.metrics.push_back({column.name});
      sums_.push_back({kOutcomeHead + c});
    }
  }

  /// `before`: it had ended before this call.
  void add(std::span<const double> row, bool before) {
    const std::lock_guard lock(mutex_);
    ++now_.runs_done;
    if (before) ++now_.runs_before;
    switch (static_cast<RunStatus>(row[0])) {
      case RunStatus::converged: ++now_.converged; break;
      case RunStatus::diverged: ++now_.diverged; return;
      default: ++now_.out_of_steps;
    }
    for (size_t k = 0; k < sums_.size(); ++k) {
      if (std::isnan(row[sums_[k].at])) continue;  // a measure that this run does not have
      // Welford: the mean of n values and the squares around it
      LiveMetric& metric = now_.metrics[k];
      const double distance = row[sums_[k].at] - metric.mean;
      const auto n = static_cast<double>(++metric.n);
      metric.mean += distance / n;
      sums_[k].squares += distance * (row[sums_[k].at] - metric.mean);
      metric.se = metric.n > 1 ? std::sqrt(sums_[k].squares / (n - 1) / n) : 0.0;
    }
  }
  void checkpointed(double seconds) {
    const std::lock_guard lock(mutex_);
    now_.checkpointed = seconds;
  }
  Progress now(uint64_t steps, double seconds) const {
    const std::lock_guard lock(mutex_);
    Progress p = now_;
    p.joint_steps = steps;
    p.seconds = seconds;
    return p;
  }

 private:
  struct Sum {
    size_t at;
    double squares = 0;
  };
  mutable std::mutex mutex_;
  Progress now_;
  std::vector<Sum> sums_;
};

/// The rows of a cell's runs, each in its place from the start: memory does not grow while runs end.
class CellTable {
 public:
  CellTable(uint64_t first, uint64_t last, size_t width)
      : first_(first), width_(width), rows_((last - first) * width), there_(last - first) {}

  void put(uint64_t run, std::span<const double> row) {
    const uint64_t at = run - first_;
    std::copy(row.begin(), row.end(), rows_.begin() + static_cast<ptrdiff_t>(at * width_));
    there_[at] = true;
  }
  /// Takes the rows that are there, in the order of run ids, out of the table.
  CellRows take() {
    CellRows out;
    for (uint64_t at = 0; at < there_.size(); ++at) {
      if (!there_[at]) continue;
      const auto from = rows_.begin() + static_cast<ptrdiff_t>(at * width_);
      const auto to = rows_.begin() + static_cast<ptrdiff_t>(out.runs.size() * width_);
      if (from != to) std::copy(from, from + static_cast<ptrdiff_t>(width_), to);
      out.runs.push_back(first_ + at);
    }
    rows_.resize(out.runs.size() * width_);
    out.rows = std::move(rows_);
    return out;
  }

 private:
  uint64_t first_;
  size_t width_;
  std::vector<double> rows_;  ///< [runs][width]
  std::vector<bool> there_;
};

}  // namespace

struct Runner::Impl {
  /// Launches on the CPU pause so often, in seconds, for the host to collect what has ended.
  static constexpr double kTick = 0.25;
  /// A checkpoint comes after so many times what the last one took, at the earliest.
  static constexpr double kCheckpointShare = 20;

  RunRequest request;
  Experiment experiment;
  std::vector<Group> groups;
  std::unique_ptr<Executor> executor;
  Plan plan;
  StoreHeader header;
  std::vector<StoreCell> cells;

  /// Run ids of a cell: [first, last) of this shard; global id = cell * runs + r.
  std::pair<uint64_t, uint64_t> run_range(size_t cell) const {
    const auto runs = static_cast<uint64_t>(experiment.runs);
    const auto edge = [&](uint64_t i) {
      return static_cast<uint64_t>(static_cast<unsigned __int128>(runs) * i / request.shards);
    };
    const uint64_t base = static_cast<uint64_t>(cell) * runs;
    return {base + edge(request.shard), base + edge(request.shard + 1)};
  }

  /// The flight of a group; null where nothing of it is left to do.
  /// `ended`: for each cell the runs that have ended, sorted.
  std::unique_ptr<Flight> take_off(const Group& group,
                                   const std::vector<std::vector<uint64_t>>& ended,
                                   std::vector<SavedRun>& in_flight) const;
};

std::unique_ptr<Flight> Runner::Impl::take_off(const Group& group,
                                               const std::vector<std::vector<uint64_t>>& ended,
                                               std::vector<SavedRun>& in_flight) const {
  const auto ours = [&](const SavedRun& run) {
    return std::binary_search(group.cells.begin(), group.cells.end(), size_t{run.cell});
  };
  uint64_t left = 0;
  std::vector<CellWork> work;
  for (const size_t c : group.cells) {
    const auto [first, last] = run_range(c);
    work.push_back({first, last, ended[c]});
    left += last - first - ended[c].size();
  }
  for (const SavedRun& run : in_flight) {
    if (!ours(run)) continue;
    const auto at = std::lower_bound(group.cells.begin(), group.cells.end(), size_t{run.cell});
    work[static_cast<size_t>(at - group.cells.begin())].skip.push_back(run.run);
  }
  for (CellWork& of_cell : work) std::sort(of_cell.skip.begin(), of_cell.skip.end());
  if (left == 0) return nullptr;
  auto flight = std::make_unique<Flight>(experiment, group, *executor, std::move(work),
                                         std::min<uint64_t>(plan.batch, left),
                                         executor->launch_budget(), request.keep_tables);
  for (SavedRun& run : in_flight) {
    if (ours(run)) flight->restore(std::move(run));
  }
  std::erase_if(in_flight, ours);
  return flight;
}

Runner::Runner(const RunRequest& request) : impl_(new Impl) {
  Impl& impl = *impl_;
  impl.request = request;
  impl.experiment = read_experiment(request);
  impl.groups = group_cells(impl.experiment);
  const Policies policies = request.policies ? *request.policies : kPolicies;
  check_policies(policies);
  impl.executor = make_executor(request.device, request.threads, policies);
  if (impl.experiment.cells.size() > 1 && request.keep_tables) {
    throw Error("tables are kept for one cell only, not for a sweep");
  }
  if (request.keep_tables && !impl.experiment.cells[0].problem->has_tables()) {
    throw Error("the learner has no tables that could be saved");
  }

  impl.header = {.experiment = impl.experiment.name,
                 .fingerprint = "",
                 .config = impl.experiment.resolved,
                 .version = CUMARL_VERSION,
                 .device = impl.executor->name(),
                 .seed = impl.experiment.seed,
                 .runs_per_cell = static_cast<uint64_t>(impl.experiment.runs),
                 .shard = request.shard,
                 .shards = request.shards};
  for (const ExperimentCell& cell : impl.experiment.cells) {
    StoreCell& of_store = impl.cells.emplace_back();
    for (const auto& [key, value] : cell.set) of_store.set.emplace_back(key, to_text(value));
    of_store.meaning.columns = cell.problem->columns();
    for (int i = 0; i < cell.problem->agents(); ++i) {
      of_store.meaning.actions.push_back(cell.problem->actions(i));
    }
  }

  impl.header.fingerprint = fingerprint(impl.experiment.canonical, impl.cells);

  Plan& plan = impl.plan;
  plan.experiment = impl.experiment.name;
  plan.device = impl.executor->name();
  plan.cells = impl.experiment.cells.size();
  for (size_t c = 0; c < impl.experiment.cells.size(); ++c) {
    const auto [first, last] = impl.run_range(c);
    plan.runs += last - first;
    const Problem& problem = *impl.experiment.cells[c].problem;
    plan.table_bytes = std::max<uint64_t>(plan.table_bytes, problem.table_bytes());
    for (const std::string& warning : problem.warnings()) {
      if (std::find(plan.warnings.begin(), plan.warnings.end(), warning) == plan.warnings.end()) {
        plan.warnings.push_back(warning);
      }
    }
  }
  uint64_t slot_bytes = 0;
  for (const Group& group : impl.groups) {
    plan.run_bytes =
        std::max<uint64_t>(plan.run_bytes, group.layout.memory_bytes + group.layout.state_bytes);
    slot_bytes =
        std::max<uint64_t>(slot_bytes, group.layout.memory_bytes + group.layout.state_bytes +
                                           sizeof(Slot) + 8 + group.outcome_count * sizeof(double));
  }
  const uint64_t memory = impl.executor->free_memory() / 10 * 9;
  if (slot_bytes > memory) {
    throw ConfigError(
        {.source = request.config_file.empty() ? request.config_name : request.config_file,
         .key = "env",
         .why = "the tables of one run take " + std::to_string(slot_bytes >> 20) + " MiB, and " +
                plan.device + " has " + std::to_string(memory >> 20) +
                " MiB free; fewer actions, agents or periods of memory make them "
                "smaller"});
  }
  const uint64_t fits = memory / slot_bytes;
  plan.batch = request.batch > 0 ? request.batch : impl.executor->useful_batch(slot_bytes);
  plan.batch = std::max<uint64_t>(
      1, std::min({plan.batch, fits, std::max<uint64_t>(plan.runs, 1), uint64_t{0x7FFFFFFF}}));
  plan.memory_bytes = plan.batch * slot_bytes;
  plan.steps_at_most = saturating_multiply(plan.runs, 1);
  uint64_t longest = 0;
  for (const ExperimentCell& cell : impl.experiment.cells) {
    longest = std::max(longest, cell.problem->max_steps());
  }
  plan.steps_at_most = saturating_multiply(plan.runs, longest);
}

Runner::Runner(Runner&&) noexcept = default;
Runner& Runner::operator=(Runner&&) noexcept = default;
Runner::~Runner() = default;

const Plan& Runner::plan() const { return impl_->plan; }
int Runner::agents() const { return impl_->experiment.cells[0].problem->agents(); }
uint64_t Runner::step_bytes() const { return impl_->experiment.cells[0].problem->step_bytes(); }

double Runner::launch_seconds() const { return impl_->executor->launch_seconds(); }

double Runner::calibrate(double seconds) const { return estimate(seconds).joint_steps_per_second; }

Estimate Runner::estimate(double seconds) const {
  const Impl& impl = *impl_;
  constexpr uint64_t kEverOnward = ~uint64_t{0};  // a launch takes runs to their end
  constexpr uint64_t kEnough = 256;               // runs, where the device is not filled by a batch
  constexpr uint64_t kFewest = 8;                 // ended runs that lengths are taken from
  const uint64_t budget = impl.executor->launch_budget();
  const uint64_t wanted =
      std::min({impl.plan.runs, impl.plan.batch, budget == kEverOnward ? kEnough : ~uint64_t{0}});
  uint64_t all_cells = 0;
  for (const Group& group : impl.groups) all_cells += group.cells.size();

  Estimate out;
  double total_seconds = 0;
  for (const Group& group : impl.groups) {
    // Cells in an order every beginning of which is spread over the group: by the fractions of the
    // multiples of the golden ratio. Then the second run of each, and so on.
    const size_t cells = group.cells.size();
    const double share = static_cast<double>(cells) / static_cast<double>(all_cells);
    std::vector<std::pair<double, size_t>> order;
    for (size_t i = 0; i < cells; ++i) {
      const double multiple = 0.6180339887498949 * static_cast<double>(i);
      order.emplace_back(multiple - std::floor(multiple), group.cells[i]);
    }
    std::sort(order.begin(), order.end());
    Group sample = group;
    sample.cells.clear();
    std::vector<CellWork> work;
    const auto [first_run, last_run] = impl.run_range(0);
    const uint64_t runs_a_cell = last_run - first_run;
    const auto most =
        std::max<uint64_t>(1, static_cast<uint64_t>(share * static_cast<double>(wanted) + 0.5));
    for (uint64_t k = 0; k < std::min(most, runs_a_cell * cells); ++k) {
      const size_t cell = order[k % cells].second;
      const uint64_t run = impl.run_range(cell).first + k / cells;
      sample.cells.push_back(cell);
      work.push_back({run, run + 1, {}});
    }
    if (work.empty()) continue;
    const uint64_t sampled = work.size();
    Flight flight(impl.experiment, sample, *impl.executor, std::move(work), sampled, budget, false);
    std::atomic<uint64_t> counted{0};
    uint64_t ended = 0, launches = 0;
    double ended_steps = 0;
    const double time = std::max(seconds * share, 0.05);
    flight.fill();  // first tables cost time once, not in every step
    Pacer pacer(nullptr, time, time);
    const auto begin = Clock::now();
    while (!pacer.leaving() && flight.advance(pacer.pause(), counted, [&](const FinishedRun& run) {
      ++ended;
      ended_steps += run.row[1];
    })) {
      ++launches;
    }
    const double took = since(begin);
    // A GPU does not count: what has not ended has taken every launch's budget.
    const double steps = counted.load() > 0 || budget == kEverOnward
                             ? static_cast<double>(counted.load())
                             : ended_steps + static_cast<double>(sampled - ended) *
                                                 static_cast<double>(launches) *
                                                 static_cast<double>(budget);
    const double runs = static_cast<double>(cells) * static_cast<double>(runs_a_cell);
    const bool known = ended == sampled || ended >= kFewest;
    const double length =
        known ? steps / static_cast<double>(ended) : std::numeric_limits<double>::quiet_NaN();
    out.sampled_runs += sampled;
    out.ended_runs += ended;
    out.joint_steps += runs * length;
    // Groups take their shares of the time by their lengths where these are known.
    total_seconds += (known ? runs * length : runs) * took / std::max(steps, 1.0);
    out.joint_steps_per_second += known ? runs * length : runs;
  }
  out.joint_steps_per_second = total_seconds > 0 ? out.joint_steps_per_second / total_seconds : 0;
  if (out.joint_steps > static_cast<double>(impl.plan.steps_at_most)) {
    out.joint_steps = static_cast<double>(impl.plan.steps_at_most);
  }
  return out;
}

Result Runner::run(const std::function<void(const Progress&)>& progress,
                   const InterruptFlag* interrupt,
                   const std::function<void(const std::string&)>& notes) const {
  const Impl& impl = *impl_;
  const auto begin = Clock::now();
  Pacer pacer(interrupt, impl.request.max_seconds, Impl::kTick);
  std::atomic<uint64_t> steps{0};
  LiveView live(impl.plan.runs, impl.experiment.watched,
                impl.cells.size() == 1 ? impl.cells.data() : nullptr);
  std::vector<CellTable> rows;
  for (size_t c = 0; c < impl.cells.size(); ++c) {
    const auto [first, last] = impl.run_range(c);
    rows.emplace_back(first, last, impl.cells[c].meaning.width());
  }
  std::vector<std::vector<uint64_t>> ended_before(impl.cells.size());
  std::vector<CellRows> fresh(impl.cells.size());  // not in the folder yet
  std::vector<SavedRun> in_flight;
  std::map<uint64_t, std::vector<double>> tables;
  std::optional<StudyFolder> folder;
  double seconds_before = 0;
  if (!impl.request.directory.empty()) {
    folder.emplace(impl.request.directory, impl.header, impl.cells);
    for (const std::string& note : folder->notes()) {
      if (notes) notes(note);
    }
    in_flight = std::move(folder->in_flight());
    seconds_before = folder->seconds();
    if (impl.request.keep_tables) tables = folder->store().tables();
    for (size_t c = 0; c < rows.size(); ++c) {
      CellRows& there = folder->rows()[c];
      const size_t width = impl.cells[c].meaning.width();
      for (size_t r = 0; r < there.runs.size(); ++r) {
        const std::span<const double> row = std::span(there.rows).subspan(r * width, width);
        rows[c].put(there.runs[r], row);
        live.add(row, true);
      }
      ended_before[c] = std::move(there.runs);
    }
    folder->rows().clear();
  }
  const auto worked = [&] { return seconds_before + since(begin); };
  {
    std::unique_ptr<Reporter> reporter;
    if (progress) {
      reporter = std::make_unique<Reporter>([&] { progress(live.now(steps, since(begin))); });
    }
    double next_checkpoint = impl.request.checkpoint_seconds;
    const auto save = [&](const Flight& flight) {
      const double from = since(begin);
      folder->save(fresh, worked(), [&](CheckpointWriter& writer) {
        flight.save(writer);
        for (const SavedRun& run : in_flight) writer.add(run);
      });
      const double took = since(begin) - from;
      next_checkpoint =
          since(begin) + std::max(impl.request.checkpoint_seconds, Impl::kCheckpointShare * took);
      live.checkpointed(since(begin));
    };
    for (const Group& group : impl.groups) {
      const auto flight = impl.take_off(group, ended_before, in_flight);
      const auto ended = [&](FinishedRun run) {
        rows[run.cell].put(run.run, run.row);
        if (folder) {
          fresh[run.cell].runs.push_back(run.run);
          auto& of_cell = fresh[run.cell].rows;
          of_cell.insert(of_cell.end(), run.row.begin(), run.row.end());
        }
        live.add(run.row, false);
        if (impl.request.keep_tables) {
          if (folder) folder->store().append_tables(run.run, run.tables);
          tables[run.run] = std::move(run.tables);
        }
      };
      while (flight != nullptr && !pacer.leaving() &&
             flight->advance(pacer.pause(), steps, ended)) {
        pacer.go_on();
        if (folder && since(begin) >= next_checkpoint) save(*flight);
      }
      if (pacer.leaving() && flight != nullptr) {
        if (folder) save(*flight);
        break;
      }
    }
  }

  std::vector<CellRows> sorted;
  for (CellTable& of_cell : rows) sorted.push_back(of_cell.take());
  Result result = summarise(impl.header, impl.cells, sorted);
  for (auto& [run, values] : tables) result.tables.push_back(std::move(values));
  const bool was_complete = folder && folder->complete();
  result.seconds = was_complete ? seconds_before : worked();
  result.interrupted = result.runs < impl.plan.runs;
  if (folder && !result.interrupted && !was_complete) folder->finish(fresh, result);
  return result;
}

}  // namespace cumarl
