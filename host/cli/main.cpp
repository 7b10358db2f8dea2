// The cumarl program. Everything it does is a call into the library; here are only arguments,
// the terminal, signals and exit codes.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "cumarl/runner.hpp"
#include "host/cli/results_commands.hpp"
#include "host/src/bench.hpp"
#include "host/src/config.hpp"
#include "host/src/doctor.hpp"
#include "host/src/experiment.hpp"
#include "host/src/games.hpp"
#include "host/src/plot.hpp"
#include "host/src/reproduce.hpp"
#include "host/src/solve.hpp"
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
  bool dry_run = false, json = false, quiet = false;
};

/// "1234567" -> "1.23 M"
std::string scaled(double value) {
  const char* const units[] = {"", " k", " M", " G", " T", " P"};
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(units)) {
    value /= 1000;
    ++unit;
  }
  const int decimals = value < 10 && unit > 0 ? 2 : (value < 100 ? 1 : 0);
  return fmt::format("{:.{}f}{}", value, decimals, units[unit]);
}

std::string clock_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 86400) return fmt::format("{} d {} h", s / 86400, s % 86400 / 3600);
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
  return s >= 60 ? fmt::format("{} min {:02} s", s / 60, s % 60) : fmt::format("{} s", s);
}

/// The progress line, where standard error is a terminal.
std::function<void(const cumarl::Progress&)> progress_line(const Options& o) {
  if (o.quiet || isatty(STDERR_FILENO) == 0) return {};
  return [](const cumarl::Progress& p) {
    const double rate = p.seconds > 0 ? static_cast<double>(p.joint_steps) / p.seconds : 0;
    std::string left = "?";
    if (p.runs_done > 0) {
      const auto done = static_cast<double>(p.runs_done);
      left = clock_text(p.seconds * (static_cast<double>(p.runs) - done) / done);
    }
    fmt::print(stderr, "\r{}/{} runs  {} joint steps  {} joint steps/s  {} left \033[K",
               p.runs_done, p.runs, scaled(static_cast<double>(p.joint_steps)), scaled(rate), left);
    std::fflush(stderr);
  };
}

void end_progress(const Options& o) {
  if (!o.quiet && isatty(STDERR_FILENO) != 0) fmt::print(stderr, "\r\033[K");
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
  app.add_option("--out", o.out, "folder for the results");
  app.add_flag("--dry-run", o.dry_run, "say what it would take, and stop");
  app.add_flag("--json", o.json, "one JSON object on standard output");
  app.add_flag("--quiet", o.quiet, "no progress line");
}

void settle(const CLI::App& app, Options& o) {
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
  const double rate = runner.calibrate();
  const double seconds = static_cast<double>(p.steps_at_most) / rate;
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
                      {"estimated_seconds_at_most", seconds}}
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
             scaled(static_cast<double>(p.memory_bytes)));
  fmt::print("rate         {} joint steps/s (measured just now)\n", scaled(rate));
  fmt::print("time         at most {}, if no run converged before max_steps ({} joint steps)\n",
             clock_text(seconds), scaled(static_cast<double>(p.steps_at_most)));
  return kDone;
}

void print_cell(const cumarl::CellResult& cell) {
  for (const auto& [key, value] : cell.set) fmt::print("{} = {}  ", key, value);
  if (!cell.set.empty()) fmt::print("\n");
  fmt::print("  {:<28} {:>14} {:>12} {:>12} {:>14} {:>14}\n", "metric", "mean", "s.e.", "s.d.",
             "5%", "95%");
  for (const auto& [name, s] : cell.metrics) {
    fmt::print("  {:<28} {:>14.6g} {:>12.3g} {:>12.4g} {:>14.6g} {:>14.6g}\n", name, s.mean, s.se,
               s.sd, s.q05, s.q95);
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

int run(const Options& o) {
  check_out(o.out);
  cumarl::RunRequest request = o.request;
  const cumarl::Experiment experiment = cumarl::read_experiment(request);
  request.keep_tables = experiment.save_tables;
  if (request.keep_tables && o.out.empty()) {
    throw cumarl::ConfigError({.key = "experiment.save_tables", .why = "needs --out"});
  }
  const cumarl::Runner runner(request);
  for (const std::string& warning : runner.plan().warnings) {
    fmt::print(stderr, "warning: {}\n", warning);
  }
  if (o.dry_run) return dry_run(runner, o);
  make_out(o.out);
  if (!o.json && !o.quiet) {
    fmt::print(stderr, "{}: {} runs on {}\n", runner.plan().experiment, runner.plan().runs,
               runner.plan().device);
  }
  const cumarl::Result result = runner.run(progress_line(o), &interrupted);
  end_progress(o);
  if (result.interrupted) {
    fmt::print(stderr, "interrupted: {} of {} runs had ended\n", result.runs, runner.plan().runs);
  }
  report_divergences(result);
  if (!o.out.empty() && !result.interrupted) cumarl::write_result(result, o.out);
  if (o.json) {
    std::cout << cumarl::to_json(result) << '\n';
  } else {
    fmt::print("{}: {} runs, {} converged, {} joint steps in {:.2f} s ({} joint steps/s) on {}\n",
               result.experiment, result.runs, result.converged,
               scaled(static_cast<double>(result.joint_steps)), result.seconds,
               scaled(static_cast<double>(result.joint_steps) / result.seconds), result.device);
    if (!print_matchup(result)) {
      for (const cumarl::CellResult& cell : result.cells) print_cell(cell);
    }
    fmt::print("result hash {}\n", result.result_hash);
    if (!o.out.empty() && !result.interrupted) fmt::print("results in {}\n", o.out);
  }
  return result.interrupted ? kInterrupted : kDone;
}

int reproduce(const Options& o, const std::string& name, const std::string& golden) {
  if (name.empty()) {
    for (const auto& [one, title] : cumarl::experiment_names())
      fmt::print("{:<36} {}\n", one, title);
    return kDone;
  }
  check_out(o.out);
  make_out(o.out);
  const cumarl::Reproduction result =
      cumarl::reproduce(name, o.request, golden, progress_line(o), &interrupted);
  end_progress(o);
  if (interrupted) return kInterrupted;
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

int bench(const Options& o, const std::vector<std::string>& names, int repeats) {
  std::vector<std::string> chosen = names;
  if (chosen.empty()) chosen = {"pricing", "matrix", "lbf"};
  std::vector<std::string> objects;
  bool ok = true;
  for (const std::string& name : chosen) {
    const cumarl::BenchResult r =
        cumarl::bench({name, o.request.device, o.request.threads, repeats});
    ok = ok && r.check;
    if (o.json) {
      objects.push_back(cumarl::to_json(r));
    } else {
      fmt::print("{:<32} {:>8} joint steps/s (median of {}, iqr {})  {:>8} agent steps/s  {}  {}\n",
                 r.name, scaled(r.median), r.rates.size(), scaled(r.iqr),
                 scaled(r.median * r.agents), r.learning ? "with learning" : "no learning",
                 r.check ? "check ok" : "CHECK FAILED");
      fmt::print(
          "{:<32} on {}, {} threads, {} runs; {:.0f}% of what copying the same bytes allows ({})\n",
          "", r.device, r.threads, r.runs, 100 * r.median / r.bound_limit, r.bound_kind);
    }
  }
  if (o.json) {
    if (objects.size() == 1) {
      std::cout << objects[0] << '\n';
    } else {
      std::cout << "{\"benches\":[" << fmt::format("{}", fmt::join(objects, ",")) << "]}\n";
    }
  }
  return ok ? kDone : kFailed;
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

  int repeats = 7;
  std::vector<std::string> bench_names;
  auto* bench_app = app.add_subcommand("bench", "throughput, with what limits it");
  bench_app->add_option("NAME", bench_names,
                        "which (`cumarl list benches`; none: pricing matrix lbf)");
  bench_app->add_option("--device", o.request.device, "auto, cpu, cuda or cuda:I");
  bench_app->add_option("--threads", o.request.threads, "CPU threads (default: all)")
      ->check(CLI::Range(1, 4096));
  bench_app->add_option("--repeats", repeats, "measured repeats after a warm-up")
      ->check(CLI::Range(1, 1000));
  bench_app->add_flag("--json", o.json, "one JSON object on standard output");
  bench_app->add_flag("--quiet", o.quiet, "no progress line");

  auto* list_app = app.add_subcommand("list", "envs | learners | experiments | benches | games");
  list_app->add_option("WHAT", what, "envs, learners, experiments, benches or games")->required();
  list_app->add_flag("--json", o.json, "one JSON object on standard output");

  auto* describe_app =
      app.add_subcommand("describe", "parameters and meaning of an environment or a learner");
  describe_app->add_option("NAME", name, "an environment or a learner")->required();
  describe_app->add_flag("--json", o.json, "one JSON object on standard output");

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
    return run(o);
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
  if (*bench_app) return bench(o, bench_names, repeats);
  if (*list_app) return list(what, o.json);
  if (*export_app) return export_command(export_dir, export_format, export_out), kDone;
  if (*merge_app) return merge_command(merge_dirs, merge_out, o.json), kDone;
  if (*describe_app) return describe(name, o.json);
  std::cout << (o.json ? cumarl::doctor_json() : cumarl::doctor_text());
  return kDone;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is then an error of the write
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
