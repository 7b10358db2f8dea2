#include "cumarl/runner.hpp"

#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <limits>
#include <mutex>
#include <thread>

#include "host/src/executor.hpp"
#include "host/src/experiment.hpp"

namespace cumarl {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Cells that share kernels and therefore launches.
struct Group {
  const PairModel* pair;
  int shape;
  RunLayout layout;
  uint32_t outcome_count;
  std::vector<size_t> cells;
};

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

uint64_t saturating_multiply(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? std::numeric_limits<uint64_t>::max() : product;
}

Statistic statistic(std::vector<double> values) {
  Statistic s;
  s.n = values.size();
  if (values.empty()) return s;
  const auto n = static_cast<double>(values.size());
  for (const double v : values) s.mean += v;
  s.mean /= n;
  double squares = 0;
  for (const double v : values) squares += (v - s.mean) * (v - s.mean);
  s.sd = values.size() > 1 ? std::sqrt(squares / (n - 1)) : 0.0;
  s.se = s.sd / std::sqrt(n);
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double q) {
    const double place = q * (n - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  s.min = values.front();
  s.max = values.back();
  s.q05 = quantile(0.05);
  s.q25 = quantile(0.25);
  s.q50 = quantile(0.50);
  s.q75 = quantile(0.75);
  s.q95 = quantile(0.95);
  return s;
}

std::string label_text(const Problem& problem, Label label, double value) {
  const auto code = static_cast<uint64_t>(value);
  if (label == Label::yes_no) return code != 0 ? "true" : "false";
  if (label == Label::number) return std::to_string(code);
  std::string text;
  uint64_t rest = code;
  for (int i = problem.agents() - 1; i >= 0; --i) {
    const auto actions = static_cast<uint64_t>(problem.actions(i));
    text = std::to_string(rest % actions) + (text.empty() ? "" : ",") + text;
    rest /= actions;
  }
  return text;
}

/// Outcome rows of one cell, by run.
struct CellRows {
  std::vector<uint64_t> runs;
  std::vector<double> rows;  ///< [runs][outcome_count]
};

void summarise(const Problem& problem, const CellRows& rows, size_t width, CellResult& out) {
  const size_t n = rows.runs.size();
  const auto diverged = [&](size_t r) {
    return rows.rows[r * width] == static_cast<double>(RunStatus::diverged);
  };
  const auto column = [&](size_t c) {
    std::vector<double> values;
    for (size_t r = 0; r < n; ++r) {
      if (!diverged(r)) values.push_back(rows.rows[r * width + c]);
    }
    return values;
  };
  out.runs = n;
  for (size_t r = 0; r < n; ++r) {
    out.converged += rows.rows[r * width] == static_cast<double>(RunStatus::converged) ? 1 : 0;
    const auto steps = static_cast<uint64_t>(rows.rows[r * width + 1]);
    out.joint_steps += steps;
    if (diverged(r)) {
      out.diverged.push_back({rows.runs[r], static_cast<int>(rows.rows[r * width + 2]), steps});
    }
  }
  out.run_ids = rows.runs;
  out.columns = {"converged", "joint_steps"};
  std::vector<size_t> kept{0, 1};
  const auto& columns = problem.columns();
  for (size_t c = 0; c < columns.size(); ++c) {
    const OutcomeColumn& one = columns[c];
    const size_t at = kOutcomeHead + c;
    switch (one.kind) {
      case OutcomeColumn::Kind::metric: out.metrics[one.name] = statistic(column(at)); break;
      case OutcomeColumn::Kind::share: {
        auto& shares = out.shares[one.name];
        for (const double value : column(at)) shares[label_text(problem, one.label, value)] += 1;
        for (auto& [label, share] : shares) share /= static_cast<double>(n - out.diverged.size());
        break;
      }
      case OutcomeColumn::Kind::curve: out.curves[one.name].push_back(statistic(column(at))); break;
    }
    if (one.kind == OutcomeColumn::Kind::share && out.metrics.contains(one.name)) continue;
    kept.push_back(at);
    out.columns.push_back(one.kind == OutcomeColumn::Kind::curve
                              ? one.name + "_" + std::to_string(one.point)
                              : one.name);
  }
  for (size_t r = 0; r < n; ++r) {
    for (const size_t c : kept) {
      const double value = rows.rows[r * width + c];
      out.values.push_back(c == 0 ? (value == static_cast<double>(RunStatus::converged) ? 1.0 : 0.0)
                                  : value);
    }
  }
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

}  // namespace

struct Runner::Impl {
  RunRequest request;
  Experiment experiment;
  std::vector<Group> groups;
  std::unique_ptr<Executor> executor;
  Plan plan;

  /// Run ids of a cell: [first, last) of this shard; global id = cell * runs + r.
  std::pair<uint64_t, uint64_t> run_range(size_t cell) const {
    const auto runs = static_cast<uint64_t>(experiment.runs);
    const auto edge = [&](uint64_t i) {
      return static_cast<uint64_t>(static_cast<unsigned __int128>(runs) * i / request.shards);
    };
    const uint64_t base = static_cast<uint64_t>(cell) * runs;
    return {base + edge(request.shard), base + edge(request.shard + 1)};
  }

  void run_group(const Group& group, std::vector<CellRows>& rows, Result& result,
                 std::atomic<uint64_t>& steps, std::atomic<uint64_t>& done,
                 const InterruptFlag& interrupt, uint64_t budget, double seconds) const;
};

/// Keeps up to plan.batch runs of a group in flight until all have ended. With `seconds` > 0 it is
/// a calibration: stops after that time and keeps nothing.
void Runner::Impl::run_group(const Group& group, std::vector<CellRows>& rows, Result& result,
                             std::atomic<uint64_t>& steps, std::atomic<uint64_t>& done,
                             const InterruptFlag& interrupt, uint64_t budget,
                             double seconds) const {
  Executor& device = *executor;
  const auto begin = Clock::now();
  uint64_t total = 0;
  for (const size_t c : group.cells) total += run_range(c).second - run_range(c).first;
  const auto slots = static_cast<uint32_t>(std::min<uint64_t>(plan.batch, total));
  const size_t cells = group.cells.size();
  const size_t width = group.outcome_count;

  const auto arena = device.arena();
  const DeviceBuffer cell_memory(device, cells * group.layout.cell_bytes);
  {
    std::vector<std::byte> host(cells * group.layout.cell_bytes);
    CellArena parameters(*arena);
    for (size_t i = 0; i < cells; ++i) {
      experiment.cells[group.cells[i]].problem->write_cell(
          parameters, host.data() + i * group.layout.cell_bytes);
    }
    device.copy_in(cell_memory.data(), host.data(), host.size());
  }
  const DeviceBuffer states(device, slots * group.layout.state_bytes);
  const DeviceBuffer memory(device, slots * group.layout.memory_bytes);
  const DeviceBuffer outcomes(device, slots * width * sizeof(double));
  const DeviceBuffer slot_memory(device, slots * sizeof(Slot));
  const DeviceBuffer live_memory(device, slots * sizeof(uint32_t));
  const DeviceBuffer finished_memory(device, slots * sizeof(uint32_t));

  Rollout r{};
  r.cells = cell_memory.data();
  r.states = states.data();
  r.memory = memory.data();
  r.outcomes = reinterpret_cast<double*>(outcomes.data());
  r.slots = reinterpret_cast<const Slot*>(slot_memory.data());
  r.live = reinterpret_cast<const uint32_t*>(live_memory.data());
  r.cell_count = static_cast<uint32_t>(cells);
  r.outcome_count = group.outcome_count;
  r.layout = group.layout;
  r.seed = static_cast<uint64_t>(experiment.seed);
  r.budget = budget;
  r.finished = reinterpret_cast<uint32_t*>(finished_memory.data());
  r.progress = &steps;
  r.interrupt = &interrupt;

  std::vector<Slot> place(slots);
  std::vector<uint32_t> live, fresh, ended;
  std::vector<uint32_t> finished(slots);
  std::vector<double> row(width);
  std::vector<std::byte> tables(request.keep_tables ? group.layout.memory_bytes : 0);
  std::vector<uint32_t> free(slots);
  for (uint32_t i = 0; i < slots; ++i) free[i] = slots - 1 - i;
  size_t next_cell = 0;
  uint64_t next_run = run_range(group.cells[0]).first;
  const auto launch_over = [&](const std::vector<uint32_t>& list, auto&& kernel) {
    if (list.empty()) return;
    device.copy_in(live_memory.data(), list.data(), list.size() * sizeof(uint32_t));
    r.live_count = static_cast<uint32_t>(list.size());
    kernel(*group.pair, group.shape, r);
  };

  while (!interrupt.load()) {
    fresh.clear();
    while (!free.empty() && next_cell < cells) {
      if (next_run == run_range(group.cells[next_cell]).second) {
        if (++next_cell < cells) next_run = run_range(group.cells[next_cell]).first;
        continue;
      }
      const uint32_t slot = free.back();
      free.pop_back();
      place[slot] = {next_run++, static_cast<uint32_t>(next_cell)};
      fresh.push_back(slot);
    }
    if (!fresh.empty()) {
      device.copy_in(slot_memory.data(), place.data(), place.size() * sizeof(Slot));
      launch_over(fresh, [&](auto&... a) { device.start(a...); });
      live.insert(live.end(), fresh.begin(), fresh.end());
    }
    if (live.empty()) break;
    launch_over(live, [&](auto&... a) { device.advance(a...); });
    if (seconds > 0) {
      if (since(begin) > seconds) break;
    }

    device.copy_out(finished.data(), finished_memory.data(), finished.size() * sizeof(uint32_t));
    ended.clear();
    for (const uint32_t slot : live) {
      if (finished[slot] != 0) ended.push_back(slot);
    }
    std::erase_if(live, [&](uint32_t slot) { return finished[slot] != 0; });
    launch_over(ended, [&](auto&... a) { device.finish(a...); });
    for (const uint32_t slot : ended) {
      device.copy_out(row.data(), r.outcomes + slot * width, width * sizeof(double));
      CellRows& of_cell = rows[group.cells[place[slot].cell]];
      of_cell.runs.push_back(place[slot].run);
      of_cell.rows.insert(of_cell.rows.end(), row.begin(), row.end());
      if (request.keep_tables) {
        const auto& problem = *experiment.cells[group.cells[place[slot].cell]].problem;
        device.copy_out(tables.data(), r.memory + slot * group.layout.memory_bytes, tables.size());
        result.tables[place[slot].run - run_range(0).first] = problem.tables(tables.data());
      }
      free.push_back(slot);
    }
    done += ended.size();
  }
}

Runner::Runner(const RunRequest& request) : impl_(new Impl) {
  Impl& impl = *impl_;
  impl.request = request;
  impl.experiment = read_experiment(request);
  impl.groups = group_cells(impl.experiment);
  impl.executor = make_executor(request.device, request.threads);
  if (impl.experiment.cells.size() > 1 && request.keep_tables) {
    throw Error("tables are kept for one cell only, not for a sweep");
  }
  if (request.keep_tables && !impl.experiment.cells[0].problem->has_tables()) {
    throw Error("the learner has no tables that could be saved");
  }

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
  plan.batch = request.batch > 0 ? request.batch : impl.executor->useful_batch();
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

double Runner::calibrate(double seconds) const {
  std::atomic<uint64_t> steps{0};
  std::atomic<uint64_t> done{0};
  InterruptFlag stop{false};
  std::vector<CellRows> rows(impl_->experiment.cells.size());
  Result unused;
  unused.tables.resize(impl_->request.keep_tables ? impl_->plan.runs : 0);
  const auto begin = Clock::now();
  const std::jthread timer([&](const std::stop_token& over) {
    while (!over.stop_requested() && since(begin) < seconds) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    stop = true;
  });
  impl_->run_group(impl_->groups[0], rows, unused, steps, done, stop,
                   impl_->executor->launch_budget(), seconds);
  return static_cast<double>(steps.load()) / since(begin);
}

Result Runner::run(const std::function<void(const Progress&)>& progress,
                   const InterruptFlag* interrupt) const {
  const InterruptFlag never{false};
  const InterruptFlag& stop = interrupt != nullptr ? *interrupt : never;
  std::atomic<uint64_t> steps{0};
  std::atomic<uint64_t> done{0};
  Result result;
  result.experiment = impl_->experiment.name;
  result.device = impl_->executor->name();
  result.resolved_config = impl_->experiment.resolved;
  result.tables.resize(impl_->request.keep_tables ? impl_->plan.runs : 0);
  std::vector<CellRows> rows(impl_->experiment.cells.size());
  const auto begin = Clock::now();
  {
    std::unique_ptr<Reporter> reporter;
    if (progress) {
      reporter = std::make_unique<Reporter>([&] {
        progress({done.load(), impl_->plan.runs, steps.load(), since(begin)});
      });
    }
    for (const Group& group : impl_->groups) {
      impl_->run_group(group, rows, result, steps, done, stop, impl_->executor->launch_budget(), 0);
    }
  }
  result.seconds = since(begin);
  result.interrupted = stop.load();

  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> hash(XXH3_createState(),
                                                                             XXH3_freeState);
  XXH3_128bits_reset(hash.get());
  for (size_t c = 0; c < rows.size(); ++c) {
    const Group& group = *std::find_if(impl_->groups.begin(), impl_->groups.end(), [&](auto& g) {
      return std::find(g.cells.begin(), g.cells.end(), c) != g.cells.end();
    });
    const size_t width = group.outcome_count;
    const Problem& problem = *impl_->experiment.cells[c].problem;
    const size_t used = kOutcomeHead + problem.columns().size();
    // runs end in any order; results stand in the order of run ids
    std::vector<size_t> order(rows[c].runs.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return rows[c].runs[a] < rows[c].runs[b]; });
    CellRows sorted;
    for (const size_t i : order) {
      sorted.runs.push_back(rows[c].runs[i]);
      const auto* row = rows[c].rows.data() + i * width;
      sorted.rows.insert(sorted.rows.end(), row, row + used);
      XXH3_128bits_update(hash.get(), &rows[c].runs[i], sizeof(uint64_t));
      XXH3_128bits_update(hash.get(), row, used * sizeof(double));
    }
    CellResult& cell = result.cells.emplace_back();
    for (const auto& [key, value] : impl_->experiment.cells[c].set) {
      cell.set.emplace_back(key, to_text(value));
    }
    summarise(problem, sorted, used, cell);
    result.runs += cell.runs;
    result.converged += cell.converged;
    result.joint_steps += cell.joint_steps;
  }
  const XXH128_hash_t digest = XXH3_128bits_digest(hash.get());
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx",
                static_cast<unsigned long long>(digest.high64),
                static_cast<unsigned long long>(digest.low64));
  result.result_hash = text;
  return result;
}

}  // namespace cumarl
