// The cumarl program. Everything it does is a call into the library; here are only arguments,
// the terminal, signals and exit codes.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "cumarl/runner.hpp"
#include "host/cli/panel.hpp"
#include "host/cli/ranks.hpp"
#include "host/cli/report_command.hpp"
#include "host/cli/results_commands.hpp"
#include "host/src/autotune.hpp"
#include "host/src/bench.hpp"
#include "host/src/bench_compare.hpp"
#include "host/src/config.hpp"
#include "host/src/doctor.hpp"
#include "host/src/experiment.hpp"
#include "host/src/games.hpp"
#include "host/src/plot.hpp"
#include "host/src/reproduce.hpp"
#include "host/src/solve.hpp"
#include "host/src/store.hpp"
#include "host/src/trace.hpp"

namespace {

using Json = nlohmann::ordered_json;

enum Exit : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kNoDevice = 3,
  kOutOfTolerance = 4,
  kInterrupted = 130
};

cumarl::InterruptFlag interrupted{false};
extern "C" void on_signal(int) { interrupted = true; }

struct Options {
  cumarl::RunRequest request;
  int64_t runs = 0, seed = 0;
  std::string shard;
  std::string out;
  std::string max_time, checkpoint_every;
  bool dry_run = false, json = false, quiet = false;
};

/// What shows progress on standard error.
cumarl::Panel::Kind panel_kind(const Options& o) {
  if (o.quiet) return cumarl::Panel::Kind::none;
  const char* const terminal = std::getenv("TERM");
  const bool dumb = terminal == nullptr || std::strcmp(terminal, "dumb") == 0;
  return isatty(STDERR_FILENO) == 0 || dumb ? cumarl::Panel::Kind::lines
                                            : cumarl::Panel::Kind::terminal;
}

void add_saving(CLI::App& app, Options& o) {
  app.add_option("--max-time", o.max_time,
                 "save the state and leave after so long: 90, 90s, 10m, 2h");
  app.add_option("--checkpoint-every", o.checkpoint_every,
                 "time between two saved states (default: 30s)");
}

void add_common(CLI::App& app, Options& o) {
  app.add_option("--set", o.request.sets, "key.path=value, over the file; may be repeated")
      ->take_all()
      ->type_size(1)
      ->allow_extra_args(false);
  app.add_option("--runs", o.runs, "independent runs a cell")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 50));
  app.add_option("--seed", o.seed, "seed of all random numbers")->check(CLI::NonNegativeNumber);
  app.add_option("--device", o.request.device, "auto, cpu, cuda or cuda:I");
  app.add_option("--threads", o.request.threads, "CPU threads (default: all)")
      ->check(CLI::Range(1, 4096));
  app.add_option("--batch", o.request.batch, "runs in memory at a time")
      ->check(CLI::PositiveNumber);
  app.add_option("--shard", o.shard, "I/N: only the I-th of N parts of the runs, I from 0");
  app.add_option("--out", o.out, "folder for the results; one that holds a part goes on");
  add_saving(app, o);
  app.add_flag("--dry-run", o.dry_run, "say what it would take, and stop");
  app.add_flag("--json", o.json, "one JSON object on standard output");
  app.add_flag("--quiet", o.quiet, "no progress");
}

/// "90", "90s", "1.5m", "2h" in seconds.
double duration(const std::string& option, const std::string& text) {
  char* end = nullptr;
  double seconds = std::strtod(text.c_str(), &end);
  const std::string unit = end;
  if (unit == "m") seconds *= 60;
  if (unit == "h") seconds *= 3600;
  if (end == text.c_str() || (!unit.empty() && unit != "s" && unit != "m" && unit != "h") ||
      !(seconds > 0) || seconds > 1e9) {
    throw cumarl::ConfigError({.source = option + " " + text,
                               .why = "must be a time above 0, such as 90, 90s, 10m or 2h"});
  }
  return seconds;
}

void settle_saving(Options& o) {
  if (!o.max_time.empty()) o.request.max_seconds = duration("--max-time", o.max_time);
  if (!o.checkpoint_every.empty()) {
    o.request.checkpoint_seconds = duration("--checkpoint-every", o.checkpoint_every);
  }
}

void settle(const CLI::App& app, Options& o) {
  settle_saving(o);
  if (app.count("--runs") > 0) o.request.runs = o.runs;
  if (app.count("--seed") > 0) o.request.seed = o.seed;
  if (app.count("--shard") > 0) {
    unsigned long long i = 0, n = 0;
    char end = 0;
    if (std::sscanf(o.shard.c_str(), "%llu/%llu%c", &i, &n, &end) != 2 || n == 0 || i >= n) {
      throw cumarl::ConfigError(
          {.source = "--shard " + o.shard, .why = "must be I/N with 0 <= I < N, such as 0/4"});
    }
    o.request.shard = i;
    o.request.shards = n;
  }
}

/// What standard output is to frames. https://no-color.org: an empty NO_COLOR counts as unset.
cumarl::Screen screen() {
  const char* const terminal = std::getenv("TERM");
  if (isatty(STDOUT_FILENO) == 0 || terminal == nullptr || std::strcmp(terminal, "dumb") == 0) {
    return {};
  }
  const char* const no_color = std::getenv("NO_COLOR");
  winsize size{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0;
  return {no_color == nullptr || *no_color == '\0', known ? size.ws_row : 24};
}

int trace(const cumarl::TraceRequest& request, bool rendered, const std::string* svg) {
  if (svg != nullptr) {
    const int64_t frames = cumarl::write_svg(request, *svg, &interrupted);
    if (!interrupted && !rendered) fmt::print("{}: {} frames\n", *svg, frames);
  }
  if (rendered && !interrupted) cumarl::render(request, screen(), std::cout, &interrupted);
  if (!rendered && svg == nullptr) cumarl::trace(request, std::cout, &interrupted);
  return interrupted ? kInterrupted : kDone;
}

/// Fails before any work if results could not be written.
void check_out(const std::string& out) {
  if (out.empty()) return;
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path at = fs::absolute(out, error);
  if (fs::exists(at, error) && !fs::is_directory(at, error)) {
    throw cumarl::ConfigError({.source = "--out " + out, .why = "is a file, not a folder"});
  }
  while (!fs::exists(at, error) && at.has_parent_path() && at != at.parent_path())
    at = at.parent_path();
  if (!fs::is_directory(at, error) || access(at.c_str(), W_OK | X_OK) != 0) {
    throw cumarl::ConfigError(
        {.source = "--out " + out, .why = "cannot be written: no permission in " + at.string()});
  }
}

/// Creates the folder for the results, before any work is spent on them.
void make_out(const std::string& out) {
  if (out.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(out, error);
  if (error) {
    throw cumarl::ConfigError(
        {.source = "--out " + out, .why = "cannot be created: " + error.message()});
  }
}

int dry_run(const cumarl::Runner& runner, const Options& o) {
  const cumarl::Plan& p = runner.plan();
  const cumarl::Estimate e = runner.estimate(p.cells > 1 ? 3.0 : 1.0);
  const double rate = e.joint_steps_per_second;
  const double seconds = static_cast<double>(p.steps_at_most) / rate;
  const auto number = [](double value) {
    return std::isfinite(value) ? Json(value) : Json(nullptr);
  };
  if (o.json) {
    std::cout << Json{{"experiment", p.experiment},
                      {"device", p.device},
                      {"cells", p.cells},
                      {"runs", p.runs},
                      {"batch", p.batch},
                      {"table_bytes_per_run", p.table_bytes},
                      {"memory_per_run", p.run_bytes},
                      {"memory", p.memory_bytes},
                      {"joint_steps_per_second", rate},
                      {"joint_steps_at_most", p.steps_at_most},
                      {"estimated_seconds_at_most", number(seconds)},
                      {"joint_steps_expected", number(e.joint_steps)},
                      {"estimated_seconds", number(e.joint_steps / rate)},
                      {"sampled_runs", e.sampled_runs},
                      {"ended_runs", e.ended_runs}}
                     .dump()
              << '\n';
    return kDone;
  }
  fmt::print("experiment   {} on {}\n", p.experiment, p.device);
  fmt::print("runs         {} in {} cell{}, {} at a time\n", p.runs, p.cells,
             p.cells == 1 ? "" : "s", p.batch);
  fmt::print("memory       {} bytes a run ({} of tables, {:.1f}% more), {}B for the batch\n",
             p.run_bytes, p.table_bytes,
             p.table_bytes > 0
                 ? 100.0 * static_cast<double>(p.run_bytes) / static_cast<double>(p.table_bytes) -
                       100.0
                 : 0.0,
             cumarl::scaled(static_cast<double>(p.memory_bytes)));
  if (!(rate > 0)) {
    fmt::print("rate         not a joint step was done in the time of the measurement\n");
    return kDone;
  }
  fmt::print("rate         {} joint steps/s (measured just now)\n", cumarl::scaled(rate));
  if (std::isfinite(e.joint_steps)) {
    fmt::print("time         about {}: {} joint steps, as {} of {} runs tried just now took\n",
               cumarl::clock_text(e.joint_steps / rate), cumarl::scaled(e.joint_steps),
               e.ended_runs, e.sampled_runs);
  }
  fmt::print("time         at most {}, if no run converged before max_steps ({} joint steps)\n",
             cumarl::clock_text(seconds), cumarl::scaled(static_cast<double>(p.steps_at_most)));
  return kDone;
}

void print_cell(const cumarl::CellResult& cell) {
  for (const auto& [key, value] : cell.set) fmt::print("{} = {}  ", key, value);
  if (!cell.set.empty()) fmt::print("\n");
  fmt::print("  {:<28} {:>14} {:>12} {:>12} {:>14} {:>14}\n", "metric", "mean", "s.e.", "s.d.",
             "5%", "95%");
  for (const auto& [name, s] : cell.metrics) {
    fmt::print("  {:<28} {:>14.6g} {:>12.3g} {:>12.4g} {:>14.6g} {:>14.6g}", name, s.mean, s.se,
               s.sd, s.q05, s.q95);
    if (s.n < cell.runs - cell.diverged.size()) fmt::print("  in {} runs", s.n);
    fmt::print("\n");
  }
  for (const auto& [name, shares] : cell.shares) {
    fmt::print("  {:<28}", name);
    int shown = 0;
    for (const auto& [label, share] : shares) {
      if (shown++ == 8) {
        fmt::print(" ...");
        break;
      }
      fmt::print(" {}: {:.3f}", label, share);
    }
    fmt::print("\n");
  }
}

/// The first cells of a large sweep, a line each, with the leading metrics.
void print_first_cells(const cumarl::Result& result, bool kept) {
  constexpr size_t kLines = 20, kMetrics = 3;
  const cumarl::CellResult& first = result.cells.front();
  std::vector<std::string> names;
  for (const std::string& column : first.columns) {
    const bool of_all = column.find("_agent") == std::string::npos;
    if (names.size() < kMetrics && of_all && first.metrics.contains(column))
      names.push_back(column);
  }
  const auto width = [](const std::string& title) {
    return static_cast<int>(std::max<size_t>(title.size(), 12)) + 2;
  };
  for (const auto& [key, value] : first.set) fmt::print("{:>{}}", key, width(key));
  for (const std::string& name : names) fmt::print("{:>{}}{:>10}", name, width(name), "s.e.");
  fmt::print("\n");
  for (size_t c = 0; c < std::min(kLines, result.cells.size()); ++c) {
    const cumarl::CellResult& cell = result.cells[c];
    for (const auto& [key, value] : cell.set) fmt::print("{:>{}}", value, width(key));
    for (const std::string& name : names) {
      const auto at = cell.metrics.find(name);
      if (at == cell.metrics.end()) {
        fmt::print("{:>{}}{:>10}", "-", width(name), "-");
      } else {
        fmt::print("{:>{}.6g}{:>10.2g}", at->second.mean, width(name), at->second.se);
      }
    }
    fmt::print("\n");
  }
  fmt::print("... and {} cells more: {}\n", result.cells.size() - kLines,
             kept ? "see `cumarl report` and `cumarl export` on the folder of the results"
                  : "keep them with --out DIR for `cumarl report DIR` and `cumarl export DIR`, or "
                    "print them with --json");
}

/// Every cell, or the first of many.
void print_cells(const cumarl::Result& result, bool kept) {
  constexpr size_t kFew = 24;
  if (result.cells.size() > kFew) {
    print_first_cells(result, kept);
    return;
  }
  for (const cumarl::CellResult& cell : result.cells) print_cell(cell);
}

/// The table of a match-up: what agent 0's learner (rows) got against agent 1's (columns). False
/// where the sweep is not one over the names of two learners.
bool print_matchup(const cumarl::Result& result) {
  std::vector<std::string> rows, columns;
  const auto place = [](std::vector<std::string>& names, const std::string& name) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at != names.end()) return static_cast<size_t>(at - names.begin());
    names.push_back(name);
    return names.size() - 1;
  };
  std::string metric;
  std::map<std::pair<size_t, size_t>, double> got;
  for (const cumarl::CellResult& cell : result.cells) {
    if (cell.set.size() != 2 || cell.set[0].first != "learner.0.name" ||
        cell.set[1].first != "learner.1.name") {
      return false;
    }
    for (const char* name :
         {"return_per_step_agent0", "episode_return_agent0", "mean_profit_agent0"}) {
      const auto at = cell.metrics.find(name);
      if (at == cell.metrics.end()) continue;
      metric = name;
      const size_t row = place(rows, cell.set[0].second);
      got[{row, place(columns, cell.set[1].second)}] = at->second.mean;
    }
  }
  if (got.empty()) return false;
  fmt::print("{}: row against column\n{:24}", metric, "");
  for (const std::string& name : columns) fmt::print(" {:>20}", name);
  for (size_t r = 0; r < rows.size(); ++r) {
    fmt::print("\n{:<24}", rows[r]);
    for (size_t c = 0; c < columns.size(); ++c) fmt::print(" {:>20.6g}", got[{r, c}]);
  }
  fmt::print("\n");
  return true;
}

/// Names the runs that were stopped, the first few of each cell.
void report_divergences(const cumarl::Result& result) {
  constexpr size_t kNamed = 5;
  for (const cumarl::CellResult& cell : result.cells) {
    for (size_t k = 0; k < std::min(kNamed, cell.diverged.size()); ++k) {
      const cumarl::Divergence& one = cell.diverged[k];
      fmt::print(stderr,
                 "warning: run {} diverged: agent {}'s weights were no numbers any more after step "
                 "{}; smaller step sizes help\n",
                 one.run, one.agent, one.step);
    }
    if (cell.diverged.size() > kNamed) {
      fmt::print(stderr, "warning: {} of {} runs diverged\n", cell.diverged.size(), cell.runs);
    }
  }
}

void print_result(const cumarl::Result& result, const Options& o) {
  if (o.json) {
    std::cout << cumarl::to_json(result) << '\n';
    return;
  }
  fmt::print("{}: {} runs, {} converged, {} joint steps in {:.2f} s ({} joint steps/s) on {}\n",
             result.experiment, result.runs, result.converged,
             cumarl::scaled(static_cast<double>(result.joint_steps)), result.seconds,
             cumarl::scaled(static_cast<double>(result.joint_steps) / result.seconds),
             result.device);
  if (!print_matchup(result)) print_cells(result, !o.out.empty());
  fmt::print("result hash {}\n", result.result_hash);
  if (!o.out.empty() && !result.interrupted) fmt::print("results in {}\n", o.out);
}

/// Runs, or goes on with, what `request` says. With several ranks (see ranks.hpp) the first one
/// reports for all.
int run(const Options& o, cumarl::RunRequest request) {
  const cumarl::Ranks ranks = cumarl::find_ranks();
  check_out(o.out);
  request.keep_tables = cumarl::saves_tables(request);
  if (request.keep_tables && o.out.empty()) {
    throw cumarl::ConfigError({.key = "experiment.save_tables", .why = "needs --out"});
  }
  const bool temporary = o.out.empty() && !ranks.alone();
  const std::string out = temporary ? cumarl::temporary_folder(ranks) : o.out;
  request.directory = out;
  if (!ranks.alone()) {
    if (request.shards > 1) {
      throw cumarl::ConfigError({.key = "--shard", .why = "ranks divide the runs already"});
    }
    cumarl::share_out(ranks, out, request);
  }

  const cumarl::Runner runner(request);
  const cumarl::Plan& plan = runner.plan();
  if (ranks.first()) {
    for (const std::string& warning : plan.warnings) fmt::print(stderr, "warning: {}\n", warning);
    if (o.dry_run) return dry_run(runner, o);
    if (!o.json && !o.quiet) {
      fmt::print(stderr, "{}: {} runs on {}\n", plan.experiment, plan.runs, plan.device);
    }
  } else if (o.dry_run) {
    return kDone;
  }
  cumarl::Result result;
  {
    cumarl::Panel panel(ranks.first() ? panel_kind(o) : cumarl::Panel::Kind::none,
                        plan.experiment + " on " + plan.device);
    result = runner.run([&](const cumarl::Progress& p) { panel.show(p); }, &interrupted,
                        [&](const std::string& note) { fmt::print(stderr, "note: {}\n", note); });
  }
  if (!request.directory.empty() && !result.interrupted) {
    cumarl::write_result(result, request.directory);
  }
  if (!ranks.alone() && !result.interrupted) {
    if (!ranks.first()) return kDone;
    result.interrupted = !cumarl::await_ranks(ranks, out, interrupted);
    if (!result.interrupted) {
      result = cumarl::merge_ranks(ranks, out);
      if (temporary) std::filesystem::remove_all(out);
    }
  }
  report_divergences(result);
  if (result.interrupted) {
    fmt::print(stderr, "interrupted: {} of {} runs had ended{}\n", result.runs, plan.runs,
               out.empty() ? "; nothing was kept, as there was no --out"
                           : "; the state is saved, the same command goes on");
    if (!ranks.first()) return kInterrupted;
  }
  print_result(result, o);
  return result.interrupted ? kInterrupted : kDone;
}

/// Goes on with the experiment in `directory`.
int resume(Options& o, const std::string& directory) {
  const cumarl::Ranks ranks = cumarl::find_ranks();
  const int begun = cumarl::ranks_begun(directory);
  if (begun > 0 && ranks.alone()) {
    throw cumarl::ConfigError({.source = directory,
                               .why = fmt::format("was begun with {0} ranks; go on with `mpirun -n "
                                                  "{0} cumarl resume {1}`",
                                                  begun, directory)});
  }
  const cumarl::ResultStore store = cumarl::ResultStore::open(
      ranks.alone() ? directory : cumarl::rank_folder(directory, ranks.rank, ranks.size),
      cumarl::ResultStore::Access::read);
  cumarl::RunRequest request = o.request;
  request.config_text = store.header().config;
  request.config_name = directory;
  if (ranks.alone()) {
    request.shard = store.header().shard;
    request.shards = store.header().shards;
  }
  o.out = directory;
  return run(o, request);
}

int reproduce(const Options& o, const std::string& name, const std::string& golden) {
  if (name.empty()) {
    for (const auto& [one, title] : cumarl::experiment_names())
      fmt::print("{:<36} {}\n", one, title);
    return kDone;
  }
  check_out(o.out);
  make_out(o.out);
  cumarl::RunRequest request = o.request;
  request.directory = o.out;
  cumarl::Reproduction result;
  {
    cumarl::Panel panel(panel_kind(o), name);
    result = cumarl::reproduce(
        name, request, golden, [&](const cumarl::Progress& p) { panel.show(p); }, &interrupted);
  }
  if (interrupted || result.result.interrupted) return kInterrupted;
  if (!o.out.empty()) {
    if (!result.result.cells.empty()) cumarl::write_result(result.result, o.out);
    cumarl::write_picture(cumarl::picture(result), o.out + "/" + name + ".svg");
  }
  if (o.json) {
    std::cout << cumarl::to_json(result) << '\n';
  } else {
    std::cout << cumarl::to_table(result);
    if (!o.out.empty()) fmt::print("picture: {}/{}.svg\n", o.out, name);
  }
  return result.ok ? kDone : kOutOfTolerance;
}

int list(const std::string& what, bool json) {
  std::vector<std::pair<std::string, std::string>> rows;
  if (what == "envs") {
    for (const auto* m : cumarl::env_models()) rows.emplace_back(m->facts().name, m->facts().title);
  } else if (what == "learners") {
    for (const auto* m : cumarl::pair_models()) {
      if (rows.empty() || std::none_of(rows.begin(), rows.end(), [&](const auto& r) {
            return r.first == m->learner().name;
          })) {
        rows.emplace_back(m->learner().name, m->learner().title);
      }
    }
  } else if (what == "experiments") {
    rows = cumarl::experiment_names();
  } else if (what == "benches") {
    for (const auto& b : cumarl::benches()) rows.emplace_back(b.name, b.title);
  } else if (what == "games") {
    rows = cumarl::game_names();
  } else {
    const std::vector<std::string> names{"envs", "learners", "experiments", "benches", "games"};
    throw cumarl::ConfigError({.key = "list",
                               .value = what,
                               .why = "must be envs, learners, experiments, benches or games",
                               .nearest = cumarl::nearest_name(what, names)});
  }
  if (json) {
    Json out = Json::array();
    for (const auto& [name, title] : rows) out.push_back({{"name", name}, {"title", title}});
    std::cout << Json{{what, out}}.dump() << '\n';
  } else {
    for (const auto& [name, title] : rows) fmt::print("{:<36} {}\n", name, title);
  }
  return kDone;
}

int describe(const std::string& name, bool json) {
  const cumarl::Description d = cumarl::describe_component(name);
  if (json) {
    std::cout << d.json.dump() << '\n';
    return kDone;
  }
  fmt::print("{} ({})\n{}\nsource: {}\n", d.name, d.kind, d.title, d.source);
  if (!d.actions.empty()) fmt::print("actions: {}\nobservations: {}\n", d.actions, d.observations);
  fmt::print("\n  {:<28} {:<8} {:<22} {:<24} {}\n", "parameter", "type", "range", "default",
             "meaning");
  for (const cumarl::FieldInfo& f : d.fields) {
    std::string range;
    if (!f.choices.empty()) {
      range = fmt::format("{}", fmt::join(f.choices, " | "));
    } else if (f.type == "whole" || f.type == "real" || f.type == "reals" || f.type == "wholes") {
      range = fmt::format("{:g} to {:g}{}", f.bounds.min, f.bounds.max,
                          f.unit.empty() ? "" : " " + f.unit);
    }
    fmt::print("  {:<28} {:<8} {:<22} {:<24} {}\n", f.key, f.type, range.size() > 22 ? "" : range,
               cumarl::to_text(f.default_value),
               range.size() > 22 ? f.text + " (" + range + ")" : f.text);
  }
  return kDone;
}

/// Some lines for a terminal.
void print(const cumarl::BenchResult& r) {
  using cumarl::scaled;
  const auto counted = [](double value, const char* unit) {
    return std::isnan(value) ? std::string(unit) + " not counted"
                             : fmt::format("{:.4g} {}", value, unit);
  };
  fmt::print("{:<32} {:>8} joint steps/s (median of {}, iqr {})  {:>8} agent steps/s  {}  {}\n",
             r.label(), scaled(r.median), r.rates.size(), scaled(r.iqr),
             scaled(r.median * r.agents), r.learning ? "with learning" : "no learning",
             r.check ? "check ok" : "CHECK FAILED");
  fmt::print(
      "{:<32} {:.3g} ns a joint step (processor time {:.3g}) on {}, {} threads, {} runs of {} "
      "steps, "
      "{} bytes a run\n",
      "", 1e9 / r.median, 1e9 * cumarl::quantile(r.processor, 0.5), r.device, r.threads, r.runs,
      r.steps, r.run_bytes);
  fmt::print("{:<32} a joint step: {}, {}; ", "", counted(r.costs.bytes, "bytes"),
             counted(r.costs.all_operations(), "operations"));
  if (std::isnan(r.bound_limit)) {
    fmt::print("limits are not measured on a GPU\n");
  } else {
    fmt::print("{:.0f}% of the limit by {}, {} joint steps/s\n", 100 * r.median / r.bound_limit,
               r.bound_kind, scaled(r.bound_limit));
  }
  if (!std::isnan(r.host_median)) {
    fmt::print("{:<32} {} joint steps/s by the host's clock\n", "", scaled(r.host_median));
  }
  if (r.iterations_a_step > 0) {
    fmt::print("{:<32} {:.4g} training iterations/s\n", "", r.median * r.iterations_a_step);
  }
}

/// `common`: device, threads, repeats, settings and runs of all of them.
int bench(const Options& o, const std::vector<std::string>& names, cumarl::BenchRequest common,
          const std::vector<std::string>& axes) {
  if (!names.empty() && names[0] == "compare") {
    if (names.size() != 3) {
      throw cumarl::ConfigError(
          {.source = "bench compare", .why = "needs two files, A.json B.json"});
    }
    const cumarl::BenchComparison both = cumarl::compare_benches(names[1], names[2]);
    std::cout << (o.json ? cumarl::to_json(both) + "\n" : cumarl::to_text(both));
    return kDone;
  }
  const auto warn = [](const std::string& text) {
    if (!text.empty()) fmt::print(stderr, "cumarl: {}\n", text);
  };
  const std::string load = cumarl::load_warning();  // before this program adds to it
  std::vector<cumarl::BenchRequest> requests;
  for (const std::string& name : names.empty() ? cumarl::headline_benches() : names) {
    common.name = name;
    for (cumarl::BenchRequest& one : cumarl::combinations(common, axes)) {
      cumarl::validate(one);  // before anything is timed
      requests.push_back(std::move(one));
    }
  }
  std::vector<std::string> objects;
  bool ok = true;
  for (const cumarl::BenchRequest& request : requests) {
    const cumarl::BenchResult r = cumarl::bench(request);
    ok = ok && r.check;
    const std::string label = r.label();
    warn(cumarl::noise_warning(label, r.median, r.iqr));
    warn(cumarl::throttling_warning(label, r.rates));
    if (o.json) {
      objects.push_back(cumarl::to_json(r));
    } else {
      print(r);
    }
  }
  if (o.json) {
    if (objects.size() == 1) {
      std::cout << objects[0] << '\n';
    } else {
      std::cout << "{\"benches\":[" << fmt::format("{}", fmt::join(objects, ",")) << "]}\n";
    }
  }
  warn(load);
  return ok ? kDone : kFailed;
}

int autotune(const Options& o, const std::vector<std::string>& names,
             cumarl::BenchRequest request) {
  if (names.size() != 1) {
    throw cumarl::ConfigError({.source = "bench --autotune", .why = "needs one bench's NAME"});
  }
  request.name = names[0];
  const cumarl::Autotuned tuned = cumarl::autotune(
      request,
      [&](const cumarl::PolicyAttempt& attempt) {
        if (!o.quiet) fmt::print(stderr, "{}\n", cumarl::to_text(attempt));
      },
      &interrupted);
  if (tuned.interrupted) return kInterrupted;
  std::cout << (o.json ? cumarl::to_json(tuned) + "\n" : cumarl::to_text(tuned));
  return kDone;
}

int dispatch(int argc, char** argv) {
  CLI::App app{"cumarl: thousands of multi-agent learning runs at a time, on CPU and GPU"};
  app.name("cumarl");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("cumarl ") + cumarl::version());
  app.set_help_flag("-h,--help", "this text");

  Options o;
  std::string config, name, golden, what;
  auto* run_app = app.add_subcommand("run", "run one experiment, or a sweep");
  run_app->add_option("CONFIG", config, "a TOML file")->required();
  add_common(*run_app, o);

  auto* resume_app = app.add_subcommand("resume", "go on with an interrupted experiment");
  resume_app->add_option("DIR", config, "its folder")->required();
  resume_app->add_option("--device", o.request.device, "auto, cpu, cuda or cuda:I");
  resume_app->add_option("--threads", o.request.threads, "CPU threads (default: all)")
      ->check(CLI::Range(1, 4096));
  resume_app->add_option("--batch", o.request.batch, "runs in memory at a time")
      ->check(CLI::PositiveNumber);
  add_saving(*resume_app, o);
  resume_app->add_flag("--json", o.json, "one JSON object on standard output");
  resume_app->add_flag("--quiet", o.quiet, "no progress");

  auto* reproduce_app =
      app.add_subcommand("reproduce", "a shipped experiment against its published figures");
  reproduce_app->add_option("NAME", name, "which (none: list them)");
  reproduce_app->add_option("--golden", golden, "calvano2020-exact: sessions to compare with");
  add_common(*reproduce_app, o);

  cumarl::TraceRequest trace_request;
  std::string svg;
  int64_t trace_seed = 1;
  bool trace_json = false, rendered = false;
  auto* trace_app = app.add_subcommand(
      "trace", "play an environment: one JSON line a joint step, or a gridworld's picture");
  trace_app->add_option("ENV", trace_request.env, "an environment (`cumarl list envs`)")
      ->required();
  trace_app->add_option("--set", trace_request.sets, "env.key=value")
      ->take_all()
      ->type_size(1)
      ->allow_extra_args(false);
  trace_app->add_option("--seed", trace_seed, "seed of all random numbers")
      ->check(CLI::NonNegativeNumber);
  trace_app->add_option("--steps", trace_request.steps, "joint steps")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40));
  trace_app->add_option("--policy", trace_request.policy,
                        "random, or the folder of an experiment with save_tables: its first run's");
  trace_app->add_option("--actions", trace_request.actions_file,
                        "a file: one joint action a line, comma-separated");
  trace_app->add_option("--state", trace_request.state_file,
                        "a file: start from this state, as trace prints it");
  auto* json_flag =
      trace_app->add_flag("--json", trace_json, "JSON lines (so without --render and --svg)");
  auto* render_flag =
      trace_app->add_flag("--render", rendered, "draw the first episode, one frame a joint step")
          ->excludes(json_flag);
  auto* svg_option =
      trace_app->add_option("--svg", svg, "a file: the first episode as an animated SVG picture")
          ->excludes(json_flag);
  trace_app->add_option("--fps", trace_request.fps, "frames a second, on a terminal and in --svg")
      ->check(CLI::Range(1, 60));

  std::string game, solution = "nash", objective = "utilitarian";
  std::vector<std::string> game_sets;
  cumarl::SolveOptions solve_options;
  auto* solve_app = app.add_subcommand("solve", "equilibria of a game");
  solve_app
      ->add_option("GAME", game,
                   "a named game, an environment of the matrix family, or a Gambit .nfg file")
      ->required();
  solve_app->add_option("--concept", solution, "nash, minimax, ce, cce or qre");
  solve_app->add_option("--objective", objective, "ce, cce: utilitarian, egalitarian or player")
      ->check(CLI::IsMember({"utilitarian", "egalitarian", "player"}));
  solve_app
      ->add_option("--player", solve_options.player, "whose payoff --objective player is, from 0")
      ->check(CLI::Range(0, 5));
  solve_app->add_option("--temperature", solve_options.temperature, "of qre")
      ->check(CLI::PositiveNumber);
  solve_app->add_option("--set", game_sets, "env.key=value")
      ->take_all()
      ->type_size(1)
      ->allow_extra_args(false);
  solve_app->add_flag("--json", o.json, "one JSON object on standard output");

  cumarl::BenchRequest bench_common;
  std::vector<std::string> bench_names, bench_axes;
  auto* bench_app = app.add_subcommand("bench", "throughput, with what limits it");
  bench_app->add_option(
      "NAME", bench_names,
      "which (`cumarl list benches`; none: the headline ones); or: compare A.json B.json");
  bench_app->add_option("--device", o.request.device, "auto, cpu, cuda or cuda:I");
  bench_app->add_option("--threads", o.request.threads, "CPU threads (default: all)")
      ->check(CLI::Range(1, 4096));
  bench_app->add_option("--repeats", bench_common.repeats, "measured repeats after a warm-up")
      ->check(CLI::Range(1, 1000));
  bench_app
      ->add_option("--set", bench_common.sets,
                   "key.path=value, over the bench's own; may be repeated")
      ->take_all()
      ->type_size(1)
      ->allow_extra_args(false);
  bench_app->add_option("--runs", o.runs, "runs (default: the bench's own number)")
      ->check(CLI::Range(int64_t{1}, int64_t{0x7FFFFFFF}));
  bench_app
      ->add_option(
          "--axis", bench_axes,
          "KEY=V1,V2,...: a row for every value; KEY is runs or a key of the configuration; "
          "may be repeated, for every combination")
      ->take_all()
      ->type_size(1)
      ->allow_extra_args(false);
  bench_app->add_flag("--json", o.json, "one JSON object on standard output");
  bench_app->add_flag("--quiet", o.quiet, "no progress");
  bool autotunes = false;
  bench_app->add_flag(
      "--autotune", autotunes,
      "find the fastest tuning policy for NAME on this machine, and print it as C++");

  auto* list_app = app.add_subcommand("list", "envs | learners | experiments | benches | games");
  list_app->add_option("WHAT", what, "envs, learners, experiments, benches or games")->required();
  list_app->add_flag("--json", o.json, "one JSON object on standard output");

  auto* describe_app =
      app.add_subcommand("describe", "parameters and meaning of an environment or a learner");
  describe_app->add_option("NAME", name, "an environment or a learner")->required();
  describe_app->add_flag("--json", o.json, "one JSON object on standard output");

  std::string results, page;
  auto* report_app =
      app.add_subcommand("report", "a self-contained HTML page of an experiment's results");
  report_app->add_option("DIR", results, "the folder of the results")->required();
  report_app->add_option("--out", page, "the file (default: DIR/report.html)");
  std::string export_dir, export_format, export_out, merge_out;
  std::vector<std::string> merge_dirs;
  auto* export_app = app.add_subcommand("export", "the runs of an experiment as a table");
  export_app->add_option("DIR", export_dir, "folder of the results")->required();
  export_app->add_option("--format", export_format, "csv or npz")->required();
  export_app->add_option("--out", export_out, "a file (default: DIR/runs.csv, DIR/runs.npz)");
  auto* merge_app = app.add_subcommand("merge", "put the shards of an experiment together");
  merge_app->add_option("DIR", merge_dirs, "folders of results")->required();
  merge_app->add_option("--out", merge_out, "folder for the whole")->required();
  merge_app->add_flag("--json", o.json, "one JSON object on standard output");

  auto* doctor_app = app.add_subcommand("doctor", "what this machine has, and what is missing");
  doctor_app->add_flag("--json", o.json, "one JSON object on standard output");

  // CLI11 would only say that a command is missing.
  if (argc > 1 && argv[1][0] != '-') {
    std::vector<std::string> commands;
    for (const CLI::App* one : app.get_subcommands({})) commands.push_back(one->get_name());
    if (std::find(commands.begin(), commands.end(), argv[1]) == commands.end()) {
      throw cumarl::ConfigError({.value = argv[1],
                                 .why = std::string(argv[1]) + ": no such command",
                                 .nearest = cumarl::nearest_name(argv[1], commands)});
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::string message = error.what();
    for (char& c : message) {
      if (c == '\n') c = ' ';
    }
    fmt::print(stderr, "cumarl: {}\nSee `cumarl --help`.\n", message);
    return kUsage;
  }

  if (*run_app) {
    settle(*run_app, o);
    o.request.config_file = config;
    return run(o, o.request);
  }
  if (*resume_app) {
    settle_saving(o);
    return resume(o, config);
  }
  if (*reproduce_app) {
    settle(*reproduce_app, o);
    return reproduce(o, name, golden);
  }
  if (*trace_app) {
    trace_request.seed = static_cast<uint64_t>(trace_seed);
    if (trace_app->count("--fps") > 0 && render_flag->empty() && svg_option->empty()) {
      throw cumarl::ConfigError({.source = "--fps", .why = "needs --render or --svg"});
    }
    return trace(trace_request, rendered, svg_option->empty() ? nullptr : &svg);
  }
  if (*solve_app) {
    solve_options.kind = cumarl::parse_concept(solution);
    solve_options.objective = objective == "egalitarian" ? cumarl::CorrelatedObjective::egalitarian
                              : objective == "player"    ? cumarl::CorrelatedObjective::player
                                                         : cumarl::CorrelatedObjective::utilitarian;
    const auto solved = cumarl::solve(cumarl::find_game(game, game_sets), solve_options);
    std::cout << (o.json ? cumarl::to_json(solved).dump() + "\n" : cumarl::to_text(solved));
    return kDone;
  }
  if (*bench_app) {
    bench_common.device = o.request.device;
    bench_common.threads = o.request.threads;
    if (bench_app->count("--runs") > 0) bench_common.runs = static_cast<uint64_t>(o.runs);
    if (autotunes) return autotune(o, bench_names, bench_common);
    return bench(o, bench_names, bench_common, bench_axes);
  }
  if (*list_app) return list(what, o.json);
  if (*export_app) return export_command(export_dir, export_format, export_out), kDone;
  if (*merge_app) return merge_command(merge_dirs, merge_out, o.json), kDone;
  if (*describe_app) return describe(name, o.json);
  if (*report_app) {
    fmt::print("{}\n", cumarl::report_command(results, page));
    return kDone;
  }
  std::cout << (o.json ? cumarl::doctor_json() : cumarl::doctor_text());
  return kDone;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit is an error of the file, not a death
  std::ios::sync_with_stdio(false);
  try {
    return dispatch(argc, argv);
  } catch (const cumarl::ConfigError& error) {
    fmt::print(stderr, "cumarl: {}\n", error.what());
    return kUsage;
  } catch (const cumarl::DeviceError& error) {
    fmt::print(stderr, "cumarl: {}\n", error.what());
    return kNoDevice;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "cumarl: out of memory\n");
    return kFailed;
  } catch (const std::exception& error) {
    fmt::print(stderr, "cumarl: {}\n", error.what());
    return kFailed;
  }
}
