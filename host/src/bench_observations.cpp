#include "host/src/bench_observations.hpp"

#include <algorithm>
#include <cstdint>
#include <ctime>
#include <string>

#include "cumarl/error.hpp"
#include "host/src/bench_observations_call.hpp"
#include "host/src/config.hpp"
#include "host/src/kernel_choice.hpp"

namespace cumarl {

using ObservedPlayLoop = ObservedPlayed(const ObservedPlayCall& call);
// One of each compiled variant (cmake/bench_observations.cpp.in).
ObservedPlayLoop observed_play_generic, observed_play_x86_64_v3, observed_play_x86_64_v4;

namespace {

constexpr int kTogether = 4;
constexpr uint64_t kSteps = 500'000;
constexpr uint64_t kRunsAThread = 16;
constexpr uint64_t kCheckRuns = 8;
constexpr uint64_t kCheckSteps = 20'000;

struct ObservedBench {
  BenchInfo info;
  ObservedEnv env;
  const char* config;
  double rules;  ///< operations of a joint step, an agent's drawn action included
};

const std::vector<ObservedBench>& observed() {
  static const std::vector<ObservedBench> all{
      {{"lbf_observations",
        "level-based foraging 8x8-2p-3f, random play, float observations written in every step",
        false},
       ObservedEnv::lbf,
       "[env]\nname = \"lbf\"\nfoods = 3\n",
       lbf_operations(2, 3) + 2 * kRandomOperations},
      {{"matrix_observations",
        "2x2 prisoner's dilemma, memory 1, random play, float observations written in every step",
        false},
       ObservedEnv::matrix_game,
       "[env]\nname = \"matrix_game\"\ngame = \"prisoners_dilemma\"\nmemory = 1\n",
       2 * (kJointActionOperations + kRandomOperations)},
      {{"pricing_observations",
        "Calvano et al. baseline, random play, float observations written in every step", false},
       ObservedEnv::bertrand_logit,
       "[env]\nname = \"bertrand_logit\"\n",
       2 * (kJointActionOperations + kRandomOperations)}};
  return all;
}

ObservedPlayLoop* loop() {
  switch (cpu_variant()) {
#if defined(CUMARL_HAS_x86_64_v3)
    case CpuVariant::x86_64_v3: return &observed_play_x86_64_v3;
#endif
#if defined(CUMARL_HAS_x86_64_v4)
    case CpuVariant::x86_64_v4: return &observed_play_x86_64_v4;
#endif
    default: return &observed_play_generic;
  }
}

/// A bench with the settings of a request.
class Observed {
 public:
  explicit Observed(const BenchRequest& request)
      : bench_(
            *std::find_if(observed().begin(), observed().end(),
                          [&](const ObservedBench& one) { return one.info.name == request.name; })),
        config_(Config::from_text(bench_.config, "bench " + request.name)) {
    if (request.device != "auto" && request.device != "cpu") {
      throw DeviceError(request.device, {"cpu"},
                        "the bench " + request.name + " is one of the CPU");
    }
    const std::string env = config_.take_name("env");
    for (const std::string& set : request.sets) config_.set(set);
    config_.take_name("env", {env});
    play(1, 1, 1, 1, nullptr);  // throws for what is wrong
    config_.reject_unknown({"env"});
  }

  const ObservedBench& bench() const { return bench_; }
  /// Of the last play.
  const ObservedPlayed& played() const { return played_; }
  const ObservedPlayed& play(int threads, uint64_t runs, uint64_t steps, int together,
                             uint64_t* digests) {
    try {
      const auto fields = [this](const std::function<void(FieldVisitor&)>& visit) {
        read(config_, "env", visit);
      };
      return played_ = loop()({bench_.env, fields, threads, runs, steps, together, digests});
    } catch (const ParameterError& error) {
      throw config_.locate("env", error);
    }
  }

 private:
  const ObservedBench& bench_;
  Config config_;
  ObservedPlayed played_;
};

}  // namespace

std::vector<BenchInfo> observation_benches() {
  std::vector<BenchInfo> all;
  for (const ObservedBench& one : observed()) all.push_back(one.info);
  return all;
}

void validate_observations(const BenchRequest& request) { Observed{request}; }

BenchResult bench_observations(const BenchRequest& request) {
  Observed observed(request);
  BenchResult out = begin_result(request, "cpu");
  out.agents = observed.played().agents;
  out.run_bytes = observed.played().state_bytes + observed.played().features * sizeof(float);
  const uint64_t usual = kRunsAThread * static_cast<uint64_t>(out.threads);
  out.runs = request.runs.value_or(usual);
  out.steps = steps_for(usual * kSteps, out.runs, out.run_bytes, kSteps);

  std::vector<uint64_t> one(kCheckRuns), other(kCheckRuns);
  observed.play(out.threads, kCheckRuns, kCheckSteps, kTogether, one.data());
  observed.play(1, kCheckRuns, kCheckSteps, 1, other.data());
  out.check = one == other;

  for (int repeat = 0; repeat <= request.repeats; ++repeat) {
    const std::clock_t used = std::clock();
    const double seconds =
        observed.play(out.threads, out.runs, out.steps, kTogether, nullptr).seconds;
    if (repeat == 0) continue;
    const auto steps = static_cast<double>(out.runs * out.steps);
    out.processor.push_back(static_cast<double>(std::clock() - used) / CLOCKS_PER_SEC / steps);
    out.rates.push_back(steps / seconds);
  }
  // The state is read and written, the observations are written.
  const ObservedPlayed& sizes = observed.played();
  StepCosts costs;
  costs.bytes = static_cast<double>(2 * sizes.state_bytes + sizes.features * sizeof(float));
  if (request.sets.empty()) {
    costs.operations = observed.bench().rules + static_cast<double>(sizes.features);
  }
  finish(out, costs, kTogether);
  return out;
}

}  // namespace cumarl
