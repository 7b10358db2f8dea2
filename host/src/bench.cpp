#include "host/src/bench.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>
#include <tuple>

#include "cumarl/runner.hpp"
#include "host/src/bench_observations.hpp"
#include "host/src/config.hpp"
#include "host/src/experiment.hpp"
#include "host/src/kernel_choice.hpp"
#include "host/src/model.hpp"
#include "kernels/rollout/policies.hpp"

namespace cumarl {
namespace {

constexpr double kNotCounted = std::numeric_limits<double>::quiet_NaN();

/// One workload: a configuration with a fixed number of joint steps a run.
struct Workload {
  BenchInfo info;
  std::string config;  ///< TOML without [experiment] and stop.max_steps
  int64_t steps;       ///< joint steps a run
  uint64_t lanes;      ///< runs a CPU thread
  /// Operations of the environment's rules in a joint step, with these settings.
  double rules = kNotCounted;
  /// Of linear Q-learning's features, padded, with these settings; 0: not counted. 1: they are one-hot,
  /// and only the column of the one is gone through.
  int columns = 0;
  double iteration_multiply_adds = kNotCounted;  ///< of a training iteration, with these settings
  uint64_t check_runs = 8;
  int64_t check_steps = 20'000;
  uint64_t gpu_runs = 131'072;
  int64_t gpu_steps = 0;        ///< 0: a tenth of `steps`
  int64_t iteration_steps = 0;  ///< joint steps from one training iteration to the next; 0: none
  int64_t untrained_steps = 0;  ///< joint steps of a run before the first iteration
};

/// The bench of the mixing network: QMIX with episodes of 50 joint steps and an update after each,
/// from the 32nd on.
Workload mixing() {
  return {.info = {"mixing",
                   "QMIX, a training iteration (32 episodes of 50 steps) every 50 joint steps",
                   true},
          .config =
              "[env]\nname = \"coin_game\"\nsize = [4, 4]\nmax_steps = 50\n"
              "[learner]\nname = \"qmix\"\nreplay = { steps = 50, slots = 64 }\n"
              "[evaluation]\nepisodes = 1\n",
          .steps = 5'000,
          .lanes = 1,
          .iteration_multiply_adds = qmix_multiply_adds(32 * 50, 2, 66, 4, 68, 64, 32, 64),
          .check_runs = 3,
          .check_steps = 2'000,
          .gpu_runs = 1'056,
          .gpu_steps = 2'500,
          .iteration_steps = 50,
          .untrained_steps = 31 * 50};
}

/// The headline workloads. Convergence is watched where there is learning, with a window that
/// no run can fill, so that every run takes the same number of steps.
std::vector<Workload> headline() {
  return {
      {{"pricing", "Calvano et al. baseline: 2 firms, 15 prices, memory 1, Q-learning", true},
       "[env]\nname = \"bertrand_logit\"\n"
       "[learner]\nname = \"q_learning\"\nalpha = 0.15\ngamma = 0.95\n"
       "exploration = { kind = \"epsilon_greedy\", start = 1.0, decay_rate = 4e-6 }\n"
       "[stop]\nstable_periods = 1_000_000_000\n",
       1'750'000,
       16},
      {{"matrix", "2x2 prisoner's dilemma, memory 1, two Q-learners", true},
       "[env]\nname = \"matrix_game\"\ngame = \"prisoners_dilemma\"\nmemory = 1\n"
       "[learner]\nname = \"q_learning\"\nalpha = 0.1\ngamma = 0.95\n"
       "exploration = { kind = \"epsilon_greedy\", start = 1.0, decay_rate = 1e-5 }\n",
       1'000'000,
       16},
      {{"linear", "linear Q-learning on 64 one-hot features: two firms with 8 prices", true},
       "[env]\nname = \"bertrand_logit\"\nprices = 8\n"
       "[learner]\nname = \"linear_q\"\nalpha = 0.1\nfeatures = { kind = \"one_hot\" }\n"
       "exploration = { start = 1.0, decay_rate = 1e-5 }\n[evaluation]\nsteps = 1\n",
       200'000,
       16,
       kNotCounted,
       1},
      {{"linear_dense",
        "linear Q-learning on 55 quadratic features: level-based foraging 8x8-2p-1f", true},
       "[env]\nname = \"lbf\"\n"
       "[learner]\nname = \"linear_q\"\nalpha = 0.01\nfeatures = { kind = \"quadratic\" }\n"
       "exploration = { start = 1.0, decay_rate = 1e-5 }\n[evaluation]\nepisodes = 1\n",
       100'000,
       16,
       kNotCounted,
       64},
      {{"linear_fourier", "linear Q-learning on 64 Fourier features: two firms with 50 prices",
        true},
       "[env]\nname = \"bertrand_logit\"\nprices = 50\n"
       "[learner]\nname = \"linear_q\"\nalpha = 0.01\n"
       "features = { kind = \"fourier\", order = 7 }\n"
       "exploration = { start = 1.0, decay_rate = 1e-5 }\n[evaluation]\nsteps = 1\n",
       100'000,
       16,
       kNotCounted,
       64},
      {{"lbf", "level-based foraging 8x8-2p-3f, random play, no observations", false},
       "[env]\nname = \"lbf\"\nfoods = 3\n"
       "[learner]\nname = \"random\"\n[evaluation]\nepisodes = 1\n",
       1'000'000,
       16,
       lbf_operations(2, 3)},
      mixing(),
  };
}

std::string pair_name(const PairModel& pair) {
  std::string name = std::string(pair.env().name) + "/" + pair.learner().name;
  if (*pair.table() != '\0') name += std::string("/") + pair.table();
  return name;
}

Workload pair_workload(const PairModel& pair) {
  const bool has_table = *pair.table() != '\0';
  std::string config = std::string("[env]\nname = \"") + pair.env().name + "\"\n" +
                       pair.env().small + "\n[learner]\nname = \"" + pair.learner().name + "\"\n";
  if (has_table) {
    config += std::string("table = \"") + pair.table() +
              "\"\nexploration = { start = 1.0, decay_rate = 1e-5 }\n";
  }
  config += "[evaluation]\nepisodes = 1\nsteps = 1\n";
  return {
      {pair_name(pair), std::string(pair.env().title) + ", " + pair.learner().title, pair.learns()},
      config,
      200'000,
      8};
}

Workload find(const std::string& name) {
  std::vector<std::string> names;
  for (const Workload& w : headline()) {
    if (w.info.name == name) return w;
    names.push_back(w.info.name);
  }
  for (const BenchInfo& info : observation_benches()) names.push_back(info.name);
  for (const PairModel* pair : pair_models()) {
    if (pair_name(*pair) == name) return pair_workload(*pair);
    names.push_back(pair_name(*pair));
  }
  throw ConfigError({.key = "bench",
                     .value = name,
                     .why = "no such bench (`cumarl list benches`)",
                     .nearest = nearest_name(name, names)});
}

int cpu_threads(const BenchRequest& b) {
  const int all = static_cast<int>(std::thread::hardware_concurrency());
  return b.threads > 0 ? b.threads : std::max(1, all);
}

RunRequest request_for(const Workload& w, const BenchRequest& b, uint64_t runs, uint64_t steps) {
  RunRequest r;
  r.config_text = w.config;
  r.config_name = "bench " + w.info.name;
  r.sets = {"stop.max_steps=" + std::to_string(steps)};
  r.sets.insert(r.sets.end(), b.sets.begin(), b.sets.end());
  r.runs = static_cast<int64_t>(runs);
  r.device = b.device;
  r.threads = b.threads;
  return r;
}

RunRequest check_request(const Workload& w, const BenchRequest& b) {
  return request_for(w, b, w.check_runs, static_cast<uint64_t>(w.check_steps));
}

/// The runs that are timed. `plan`: of the same runs in another number.
RunRequest timed_request(const Workload& w, const BenchRequest& b, const Plan& plan) {
  const bool on_cpu = plan.device == "cpu";
  const uint64_t usual = on_cpu ? w.lanes * static_cast<uint64_t>(cpu_threads(b)) : w.gpu_runs;
  const int64_t gpu_steps = w.gpu_steps > 0 ? w.gpu_steps : w.steps / 10;
  const auto each = static_cast<uint64_t>(on_cpu ? w.steps : gpu_steps);
  const uint64_t runs = b.runs.value_or(usual);
  const uint64_t most = runs == usual ? each : static_cast<uint64_t>(w.steps);
  return request_for(w, b, runs, steps_for(usual * each, runs, plan.run_bytes, most));
}

bool observes(const BenchRequest& request) {
  const auto all = observation_benches();
  return std::any_of(all.begin(), all.end(),
                     [&](const BenchInfo& info) { return info.name == request.name; });
}

/// Whether a setting of `table` was asked for.
bool sets(const BenchRequest& b, const std::string& table) {
  return std::any_of(b.sets.begin(), b.sets.end(),
                     [&](const std::string& set) { return set.starts_with(table); });
}

/// What is counted: the bytes of tabular learners (an agent reads the row it comes to, and reads and
/// writes one entry of the row it leaves), and the operations of Q-learning among them; linear
/// Q-learning (rows of weights likewise: a product for each that is read, one for the row that moves,
/// one for the overlap of two states' features; on one-hot features a weight for each, the table's
/// update, and the overlap); epsilon-greedy both. Random play (the run's state is
/// read and written). Training iterations, each of which reads half of the kept episodes, nearly all
/// of a run's memory. Of rules those of repeated games, and what the workload says.
StepCosts count(const Workload& w, const BenchRequest& b, const Runner& runner,
                const ExperimentCell& cell, double iterations_a_step) {
  StepCosts costs;
  const double agents = runner.agents();
  double actions = 0;
  for (int i = 0; i < runner.agents(); ++i) actions += cell.problem->actions(i);
  const std::string learner = cell.pair->learner().name;
  const std::string env = cell.pair->env().name;
  const bool repeated = env == "matrix_game" || env == "public_goods" || env == "bertrand_logit";
  double rules = sets(b, "env") ? kNotCounted : w.rules;
  if (repeated) rules = agents * kJointActionOperations;
  if (runner.step_bytes() > 0) {
    costs.bytes = static_cast<double>(runner.step_bytes());
    if (learner == "q_learning" && !sets(b, "learner.exploration")) {
      costs.operations = rules + agents * (kEpsilonGreedyOperations + kUpdateOperations) + actions;
    }
  } else if (learner == "random") {
    costs.bytes = 2 * static_cast<double>(cell.problem->layout().state_bytes);
    costs.operations = rules + agents * kRandomOperations;
  } else if (w.columns > 0 && !sets(b, "env") && !sets(b, "learner")) {
    const double weights = (actions + 2 * agents) * w.columns;
    costs.bytes = sizeof(float) * weights;
    costs.operations = agents * kEpsilonGreedyOperations + actions;
    if (w.columns == 1) {
      costs.operations += rules + agents * (kUpdateOperations + kOverlapOperations);
    } else {
      costs.multiply_adds = weights;  // the rules are nothing beside
    }
  } else if (iterations_a_step > 0) {
    costs.bytes = 0.5 * static_cast<double>(runner.plan().run_bytes) * iterations_a_step;
    costs.operations = 0;
    costs.multiply_adds = w.iteration_multiply_adds * iterations_a_step;
  }
  return costs;
}

/// Runs of which a worker interleaves the steps: as the policies say, and in 2x2 games the lanes of
/// AVX-512 registers.
double together(const Runner& runner, const ExperimentCell& cell) {
  const bool small = runner.step_bytes() > 0 && runner.agents() == 2 &&
                     cell.problem->actions(0) == 2 && cell.problem->actions(1) == 2;
  if (small && cpu_variant() == CpuVariant::x86_64_v4) return 16;
  const uint64_t lanes =
      cell.pair->joint() ? kPolicies.cpu_joint.lanes : kPolicies.cpu_rollout.lanes;
  return static_cast<double>(lanes);
}

/// "KEY=VALUE" as parts. Throws ConfigError.
std::pair<std::string, std::string> parts_of(const std::string& assignment,
                                             const std::string& option) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw ConfigError({.source = option + " " + assignment, .why = "must be KEY=VALUE"});
  }
  return {assignment.substr(0, equals), assignment.substr(equals + 1)};
}

/// Parts between commas that are outside of brackets, braces and quotation marks.
std::vector<std::string> values_of(const std::string& list) {
  std::vector<std::string> values{""};
  int depth = 0;
  char quote = 0;
  for (const char c : list) {
    if (quote != 0) {
      quote = c == quote ? 0 : quote;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else {
      depth += static_cast<int>(c == '[' || c == '{') - static_cast<int>(c == ']' || c == '}');
    }
    if (c == ',' && depth == 0 && quote == 0) {
      values.emplace_back();
    } else {
      values.back() += c;
    }
  }
  return values;
}

uint64_t runs_of(const std::string& value, const std::string& axis) {
  constexpr uint64_t kMost = 0x7FFFFFFF;
  uint64_t runs = 0;
  const char* const end = value.data() + value.size();
  if (std::from_chars(value.data(), end, runs).ptr != end || runs < 1 || runs > kMost) {
    throw ConfigError({.source = "--axis " + axis,
                       .key = "runs",
                       .value = value,
                       .why = "must be a whole number from 1 to " + std::to_string(kMost)});
  }
  return runs;
}

}  // namespace

std::vector<std::string> headline_benches() {
  std::vector<std::string> names;
  for (const Workload& w : headline()) names.push_back(w.info.name);
  for (const BenchInfo& info : observation_benches()) names.push_back(info.name);
  return names;
}

std::vector<BenchInfo> benches() {
  std::vector<BenchInfo> all;
  for (const Workload& w : headline()) all.push_back(w.info);
  for (const BenchInfo& info : observation_benches()) all.push_back(info);
  for (const PairModel* pair : pair_models()) all.push_back(pair_workload(*pair).info);
  return all;
}

std::vector<BenchRequest> combinations(const BenchRequest& request,
                                       const std::vector<std::string>& axes) {
  std::vector<BenchRequest> all{request};
  std::vector<std::string> keys;
  for (const std::string& set : request.sets) keys.push_back(parts_of(set, "--set").first);
  if (request.runs) keys.emplace_back("runs");
  for (const std::string& axis : axes) {
    const auto [key, list] = parts_of(axis, "--axis");
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) {
      throw ConfigError({.source = "--axis " + axis, .why = key + " is there twice"});
    }
    keys.push_back(key);
    std::vector<BenchRequest> more;
    for (const BenchRequest& one : all) {
      for (const std::string& value : values_of(list)) {
        if (value.empty()) {
          throw ConfigError({.source = "--axis " + axis, .why = "must be KEY=V1,V2,..."});
        }
        BenchRequest& next = more.emplace_back(one);
        if (key == "runs") {
          next.runs = runs_of(value, axis);
        } else {
          next.sets.push_back(key + "=" + value);
        }
      }
    }
    all = std::move(more);
  }
  for (const std::string& key : keys) {
    if (key == "experiment.runs") {
      throw ConfigError(
          {.source = "bench", .key = key, .why = "is given by --runs or --axis runs="});
    }
  }
  return all;
}

RunRequest bench_request(const BenchRequest& request) {
  const Workload w = find(request.name);
  return timed_request(w, request, Runner(check_request(w, request)).plan());
}

void validate(const BenchRequest& request) {
  if (observes(request)) return validate_observations(request);
  Runner{bench_request(request)};
}

uint64_t steps_for(uint64_t work, uint64_t runs, uint64_t run_bytes, uint64_t most) {
  constexpr uint64_t kLeast = 20'000, kStepsAByte = 4;
  return std::min(std::max({work / runs, kLeast, kStepsAByte * run_bytes}), most);
}

std::string BenchResult::label() const {
  std::string text = name;
  for (const std::string& set : sets) text += " " + set;
  return text;
}

BenchResult begin_result(const BenchRequest& request, const std::string& device) {
  BenchResult out;
  out.name = request.name;
  out.device = device;
  out.sets = request.sets;
  if (request.runs) out.sets.push_back("runs=" + std::to_string(*request.runs));
  out.threads = device == "cpu" ? cpu_threads(request) : 0;
  return out;
}

void finish(BenchResult& result, const StepCosts& costs, double together) {
  result.median = quantile(result.rates, 0.5);
  result.iqr = quantile(result.rates, 0.75) - quantile(result.rates, 0.25);
  result.costs = costs;
  if (result.device != "cpu") return;
  const double in_flight = std::clamp(
      static_cast<double>(result.runs) / static_cast<double>(result.threads), 1.0, together);
  const auto hot = static_cast<size_t>(static_cast<double>(result.run_bytes) * in_flight);
  result.limits = limits_of(costs, thread_rates(hot), result.threads, in_flight);
  std::tie(result.bound_kind, result.bound_limit) = binding(result.limits);
}

BenchResult bench(const BenchRequest& request) {
  if (observes(request)) return bench_observations(request);
  const Workload w = find(request.name);

  // The check first: the same runs in another cut must give the same bits.
  const RunRequest few = check_request(w, request);
  RunRequest other = few;
  other.batch = w.check_runs / 2;
  other.threads = 1;
  const Runner first(few);
  const bool check = first.run().result_hash == Runner(other).run().result_hash;

  const RunRequest timed = timed_request(w, request, first.plan());
  const Runner runner(timed);
  BenchResult out = begin_result(request, runner.plan().device);
  out.check = check;
  out.learning = w.info.learning;
  out.agents = runner.agents();
  out.runs = runner.plan().runs;
  out.steps = runner.plan().steps_at_most / out.runs;
  out.run_bytes = runner.plan().run_bytes;
  std::vector<double> host_rates;
  for (int repeat = 0; repeat <= request.repeats; ++repeat) {
    const double before = runner.launch_seconds();
    const std::clock_t used = std::clock();
    const Result result = runner.run();
    const double launched = runner.launch_seconds() - before;
    if (repeat == 0) continue;
    const auto steps = static_cast<double>(result.joint_steps);
    out.processor.push_back(static_cast<double>(std::clock() - used) / CLOCKS_PER_SEC / steps);
    host_rates.push_back(steps / result.seconds);
    if (launched > 0) out.rates.push_back(steps / launched);
  }
  if (out.rates.empty()) {
    out.rates = std::move(host_rates);
  } else {
    out.host_median = quantile(host_rates, 0.5);
  }
  const auto steps = static_cast<int64_t>(out.steps);
  if (w.iteration_steps > 0 && request.sets.empty() && steps > w.untrained_steps) {
    const int64_t iterations = (steps - w.untrained_steps) / w.iteration_steps;
    out.iterations_a_step = static_cast<double>(iterations) / static_cast<double>(steps);
  }
  const Experiment experiment = read_experiment(timed);
  const ExperimentCell& cell = experiment.cells[0];
  finish(out, count(w, request, runner, cell, out.iterations_a_step), together(runner, cell));
  return out;
}

std::string to_json(const BenchResult& r) {
  nlohmann::ordered_json set = nlohmann::ordered_json::object();
  for (const std::string& assignment : r.sets) {
    const auto [key, value] = parts_of(assignment, "--set");
    const auto parsed = nlohmann::ordered_json::parse(value, nullptr, false);
    set[key] = parsed.is_discarded() ? nlohmann::ordered_json(value) : parsed;
  }
  nlohmann::ordered_json object{
      {"bench", r.name},
      {"set", std::move(set)},
      {"device", r.device},
      {"threads", r.threads},
      {"joint_steps_per_second", r.median},
      {"agent_steps_per_second", r.median * r.agents},
      {"learning", r.learning},
      {"runs", r.runs},
      {"steps", r.steps},
      {"run_bytes", r.run_bytes},
      {"repeats", r.rates.size()},
      {"median", r.median},
      {"iqr", r.iqr},
      {"processor_seconds_per_step", quantile(r.processor, 0.5)},
      {"bytes_per_step", r.costs.bytes},
      {"operations_per_step", r.costs.all_operations()},
      {"limits",
       {{"memory", r.limits.memory}, {"issue", r.limits.issue}, {"latency", r.limits.latency}}},
      {"bound",
       {{"kind", r.bound_kind}, {"limit", r.bound_limit}, {"reached", r.median / r.bound_limit}}},
      {"check", r.check ? "ok" : "failed"},
      {"unit", "joint steps/s"}};
  if (!std::isnan(r.host_median)) object["host_joint_steps_per_second"] = r.host_median;
  if (r.iterations_a_step > 0) {
    object["training_iterations_per_second"] = r.median * r.iterations_a_step;
  }
  return object.dump();
}

}  // namespace cumarl
