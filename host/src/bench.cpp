#include "host/src/bench.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "cumarl/runner.hpp"
#include "host/src/bench_observations.hpp"
#include "host/src/bench_tools.hpp"
#include "host/src/config.hpp"
#include "host/src/kernel_choice.hpp"
#include "host/src/model.hpp"

namespace cumarl {
namespace {

/// One workload: a configuration with a fixed number of joint steps a run.
struct Workload {
  BenchInfo info;
  std::string config;  ///< TOML without [experiment] and stop.max_steps
  int64_t steps;       ///< joint steps a run
  uint64_t lanes;      ///< runs a CPU thread
  /// Multiply-adds of a joint step, columns that pad included, where they are its limit; 0: what
  /// moves in memory is.
  double multiply_adds = 0;
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
          .check_runs = 3,
          .check_steps = 2'000,
          .gpu_runs = 1'056,
          .gpu_steps = 2'500,
          .iteration_steps = 50,
          .untrained_steps = 31 * 50};
}

/// Of linear Q-learning: an update takes the next state's values, moves one row of weights, and has
/// the overlap of the two states' features.
constexpr double linear_multiply_adds(int agents, int actions, int columns) {
  return agents * (actions + 2.0) * columns;
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
       linear_multiply_adds(2, 8, 64)},
      {{"linear_dense",
        "linear Q-learning on 55 quadratic features: level-based foraging 8x8-2p-1f", true},
       "[env]\nname = \"lbf\"\n"
       "[learner]\nname = \"linear_q\"\nalpha = 0.01\nfeatures = { kind = \"quadratic\" }\n"
       "exploration = { start = 1.0, decay_rate = 1e-5 }\n[evaluation]\nepisodes = 1\n",
       100'000,
       16,
       linear_multiply_adds(2, 6, 64)},
      {{"lbf", "level-based foraging 8x8-2p-3f, random play, no observations", false},
       "[env]\nname = \"lbf\"\nfoods = 3\n"
       "[learner]\nname = \"random\"\n[evaluation]\nepisodes = 1\n",
       1'000'000,
       16},
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
  names.push_back(observations_info().name);
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

RunRequest request_for(const Workload& w, const BenchRequest& b, int64_t runs, int64_t steps) {
  RunRequest r;
  r.config_text = w.config;
  r.config_name = "bench " + w.info.name;
  r.sets = {"stop.max_steps=" + std::to_string(steps)};
  r.runs = runs;
  r.device = b.device;
  r.threads = b.threads;
  return r;
}

}  // namespace

double copy_bandwidth(size_t bytes) {
  const size_t half = std::max<size_t>(bytes / 2, 4096);
  std::vector<char> from(half, 1), to(half);
  double best = 0;
  for (int repeat = 0; repeat < 5; ++repeat) {
    const auto begin = std::chrono::steady_clock::now();
    size_t done = 0;
    while (done < (size_t{64} << 20)) {
      std::memcpy(to.data(), from.data(), half);
      from[done % half] = to[half - 1];
      done += half;
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, 2.0 * static_cast<double>(done) / seconds);
  }
  return best;
}

/// The loop whose speed multiply_add_rate measures: eight rows of 64 floats times a vector of 64, as
/// often as `repeats` says, in vectors of kBytes; multiply and add apart, as in the kernels.
template <int kBytes>
[[gnu::always_inline]] inline void multiply_rows(const float* rows, const float* x, int repeats) {
  constexpr int kColumns = 64, kRows = 8, kWide = kBytes / static_cast<int>(sizeof(float));
  typedef float Vector  // NOLINT(modernize-use-using): an attribute of a dependent size
      __attribute__((vector_size(kBytes), may_alias));
  for (int repeat = 0; repeat < repeats; ++repeat) {
    asm volatile("" ::: "memory");  // the rows may have changed
    Vector sum[kRows] = {};
    for (int k = 0; k < kColumns; k += kWide) {
      const Vector mine = *reinterpret_cast<const Vector*>(x + k);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        sum[r] += *reinterpret_cast<const Vector*>(rows + r * kColumns + k) * mine;
      }
    }
    for (const Vector& one : sum) {
      asm volatile("" ::"m"(one));  // used
    }
  }
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void multiply_rows_32(const float* rows, const float* x, int repeats) {
  multiply_rows<32>(rows, x, repeats);
}
[[gnu::target("avx512f,avx512vl")]] void multiply_rows_64(const float* rows, const float* x,
                                                          int repeats) {
  multiply_rows<64>(rows, x, repeats);
}
#endif

/// Multiply-adds of floats a second on one thread, weights in the first-level cache, with the widest
/// registers of the instruction set the loops run.
double multiply_add_rate() {
  constexpr int kRepeats = 20'000;
  alignas(64) float rows[8 * 64] = {};
  alignas(64) float x[64] = {};
  double best = 0;
  for (int trial = 0; trial < 50; ++trial) {
    const auto begin = std::chrono::steady_clock::now();
    switch (cpu_variant()) {
#if defined(__x86_64__)
      case CpuVariant::x86_64_v4: multiply_rows_64(rows, x, kRepeats); break;
      case CpuVariant::x86_64_v3: multiply_rows_32(rows, x, kRepeats); break;
#endif
      default: multiply_rows<16>(rows, x, kRepeats);
    }
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, 8.0 * 64.0 * kRepeats / seconds);
  }
  return best;
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

std::vector<std::string> headline_benches() {
  std::vector<std::string> names;
  for (const Workload& w : headline()) names.push_back(w.info.name);
  names.push_back(observations_info().name);
  return names;
}

std::vector<BenchInfo> benches() {
  std::vector<BenchInfo> all;
  for (const Workload& w : headline()) all.push_back(w.info);
  all.push_back(observations_info());
  for (const PairModel* pair : pair_models()) all.push_back(pair_workload(*pair).info);
  return all;
}

RunRequest bench_request(const BenchRequest& request) {
  const Workload w = find(request.name);
  const auto runs = w.lanes * static_cast<uint64_t>(cpu_threads(request));
  return request_for(w, request, static_cast<int64_t>(runs), w.steps);
}

BenchResult bench(const BenchRequest& request) {
  if (request.name == observations_info().name) return bench_observations(request);
  const Workload w = find(request.name);
  BenchResult out;
  out.name = request.name;
  out.learning = w.info.learning;

  // The check first: the same runs in another cut must give the same bits.
  const auto few = request_for(w, request, static_cast<int64_t>(w.check_runs), w.check_steps);
  auto other = few;
  other.batch = w.check_runs / 2;
  other.threads = 1;
  const Runner first(few);
  out.check = first.run().result_hash == Runner(other).run().result_hash;

  const bool on_cpu = first.plan().device == "cpu";
  out.threads = on_cpu ? cpu_threads(request) : 0;
  const uint64_t runs = on_cpu ? w.lanes * static_cast<uint64_t>(out.threads) : w.gpu_runs;
  const int64_t gpu_steps = w.gpu_steps > 0 ? w.gpu_steps : w.steps / 10;
  const int64_t steps = on_cpu ? w.steps : gpu_steps;
  const Runner runner(request_for(w, request, static_cast<int64_t>(runs), steps));
  out.device = runner.plan().device;
  out.runs = runs;
  out.agents = runner.agents();
  for (int repeat = 0; repeat <= request.repeats; ++repeat) {
    const Result result = runner.run();
    if (repeat > 0) out.rates.push_back(static_cast<double>(result.joint_steps) / result.seconds);
  }
  out.median = quantile(out.rates, 0.5);
  out.iqr = quantile(out.rates, 0.75) - quantile(out.rates, 0.25);
  if (w.iteration_steps > 0) {
    const auto iterations = static_cast<double>((steps - w.untrained_steps) / w.iteration_steps);
    out.iterations_a_step = iterations / static_cast<double>(steps);
  }

  if (on_cpu && w.multiply_adds > 0) {
    out.bound_limit = multiply_add_rate() * out.threads / w.multiply_adds;
    out.bound_kind = "issue";
  } else if (on_cpu) {
    // Each agent reads the row it comes to, and reads and writes one entry of the row it leaves.
    double bytes = std::max<double>(64.0, static_cast<double>(runner.step_bytes()));
    // An iteration reads 32 of the 64 kept episodes, half of the memory of a run.
    if (w.iteration_steps > 0) {
      bytes = 0.5 * static_cast<double>(runner.plan().run_bytes) * out.iterations_a_step;
    }
    const size_t hot = static_cast<size_t>(runner.plan().run_bytes) * 4;
    out.bound_limit = copy_bandwidth(hot) * out.threads / bytes;
    out.bound_kind = out.median > 0.5 * out.bound_limit ? "memory" : "issue";
  }
  return out;
}

std::string to_json(const BenchResult& r) {
  nlohmann::ordered_json object{
      {"bench", r.name},
      {"device", r.device},
      {"threads", r.threads},
      {"joint_steps_per_second", r.median},
      {"agent_steps_per_second", r.median * r.agents},
      {"learning", r.learning},
      {"runs", r.runs},
      {"repeats", r.rates.size()},
      {"median", r.median},
      {"iqr", r.iqr},
      {"bound",
       {{"kind", r.bound_kind}, {"limit", r.bound_limit}, {"reached", r.median / r.bound_limit}}},
      {"check", r.check ? "ok" : "failed"},
      {"unit", "joint steps/s"}};
  if (r.iterations_a_step > 0) {
    object["training_iterations_per_second"] = r.median * r.iterations_a_step;
  }
  return object.dump();
}

}  // namespace cumarl
