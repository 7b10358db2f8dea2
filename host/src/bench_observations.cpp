#include "host/src/bench_observations.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "cumarl/error.hpp"
#include "host/src/bench_tools.hpp"
#include "host/src/kernel_choice.hpp"

namespace cumarl {

using ObservedPlayLoop = void(int threads, uint64_t runs, uint64_t steps, int together,
                              uint64_t* digests);
// One of each compiled variant (cmake/bench_observations.cpp.in).
ObservedPlayLoop observed_play_generic, observed_play_x86_64_v3, observed_play_x86_64_v4;

namespace {

constexpr int kAgents = 2;
constexpr int kTogether = 4;
constexpr uint64_t kSteps = 500'000;
constexpr uint64_t kRunsAThread = 16;
/// State read and written (32 bytes each way), and two observations of 15 floats written.
constexpr double kStepBytes = 2 * 32 + 2 * 15 * 4;

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

}  // namespace

BenchInfo observations_info() {
  return {"lbf_observations",
          "level-based foraging 8x8-2p-3f, random play, float observations written in every step",
          false};
}

BenchResult bench_observations(const BenchRequest& request) {
  if (request.device != "auto" && request.device != "cpu") {
    throw DeviceError(request.device, {"cpu"}, "the bench lbf_observations is one of the CPU");
  }
  BenchResult out;
  out.name = request.name;
  out.device = "cpu";
  out.threads = request.threads > 0
                    ? request.threads
                    : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  out.agents = kAgents;
  out.learning = false;
  out.runs = kRunsAThread * static_cast<uint64_t>(out.threads);

  ObservedPlayLoop* const play = loop();
  std::vector<uint64_t> one(8), other(8);
  play(out.threads, one.size(), 20'000, kTogether, one.data());
  play(1, other.size(), 20'000, 1, other.data());
  out.check = one == other;

  for (int repeat = 0; repeat <= request.repeats; ++repeat) {
    const auto begin = std::chrono::steady_clock::now();
    play(out.threads, out.runs, kSteps, kTogether, nullptr);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (repeat > 0) out.rates.push_back(static_cast<double>(out.runs * kSteps) / seconds);
  }
  out.median = quantile(out.rates, 0.5);
  out.iqr = quantile(out.rates, 0.75) - quantile(out.rates, 0.25);
  // What a worker has in flight: its states and the observations' buffer.
  out.bound_limit = copy_bandwidth(size_t{kTogether} * 256) * out.threads / kStepBytes;
  out.bound_kind = out.median > 0.5 * out.bound_limit ? "memory" : "issue";
  return out;
}

}  // namespace cumarl
