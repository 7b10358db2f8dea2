/// \file
/// Time of one training iteration of QMIX: the sample of a batch of episodes (drawn and copied from
/// the replay), forward, loss, backward, clipped step. bench/peers/mixing_peers.py times the same
/// in other libraries.
///
/// usage: mixing_iteration [--fused ROWS] [AGENTS...]. Prints for each number of agents a line of
/// JSON: the median time (and processor time) of one run alone on a core, and of a population of
/// one run a core of the machine. With --fused: of the fused mixing network, forward and backward,
/// on ROWS samples, by one thread.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>

#include "kernels/mixing/fused_mixing.hpp"
#include "tests/mixing_harness.hpp"

namespace {

using namespace cumarl;
using namespace cumarl::mixing_harness;

constexpr int kEpisodes = 32;
constexpr int kLength = 50;
constexpr int kFeatures = 32;
constexpr int kState = 64;
constexpr int kActions = 8;

using Run = Driven<Qmix<float>, float>;

/// A run whose replay is full of episodes of noise.
std::unique_ptr<Run> filled(int agents, uint64_t number) {
  Qmix<float>::Config c;
  c.batch = kEpisodes;
  c.slots = 2 * kEpisodes;
  c.steps = kLength;
  c.every = 1'000'000;
  c.utility.shared = true;
  auto run =
      std::make_unique<Run>(c,
                            Sizes{std::vector<int>(static_cast<size_t>(agents), kActions),
                                  std::vector<int>(static_cast<size_t>(agents), kFeatures), kState},
                            number);
  std::mt19937 rng(1);
  for (int e = 0; e < 2 * kEpisodes; ++e) {
    auto see = run->random(rng);
    for (int k = 0; k < kLength; ++k) {
      auto next = run->random(rng);
      std::vector<int> actions;
      for (int i = 0; i < agents; ++i) actions.push_back(static_cast<int>(rng() % kActions));
      run->learn(see, next, actions, std::vector<float>(static_cast<size_t>(agents), 0.1F),
                 k + 1 == kLength ? Episode::ended : Episode::goes_on);
      see = std::move(next);
    }
  }
  run->pick_first();
  return run;
}

void iterate(const Run& run) { Qmix<float>::update(SerialTeam{}, run.p, run.memory()); }

struct Times {
  double median, least, cpu;
};

/// Processor time of this thread, ms.
double used_ms() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) * 1e-6;
}

template <class F>
Times times_of(const F& f, int count) {
  std::vector<double> all, used;
  for (int k = 0; k < count; ++k) {
    const double begin = used_ms();
    const auto from = std::chrono::steady_clock::now();
    f();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - from;
    all.push_back(time.count());
    used.push_back(used_ms() - begin);
  }
  std::sort(all.begin(), all.end());
  std::sort(used.begin(), used.end());
  return {all[all.size() / 2], all[0], used[used.size() / 2]};
}

/// A batch of noise through the fused mixing network.
void time_fused(int64_t rows, int agents) {
  using Fused = FusedMixing<float>;
  using Mix = MonotonicMixer<float>;
  const Mix::Shape shape = Mix::make({}, {agents, 1, nullptr, kState, padded(kState)});
  const auto numbers = [](size_t n) { return n * sizeof(float); };
  const auto count = static_cast<size_t>(rows);
  const Block weights(numbers(Mix::parameters(shape))), gradient(numbers(Mix::parameters(shape))),
      state(numbers(count * kState)), q(numbers(count * kColumns)), target(numbers(count)),
      total(numbers(count)), dq(numbers(count * kColumns)),
      work(numbers(Fused::workspace(shape, rows))),
      scratch(numbers(Fused::scratch<SerialTeam>(shape, 32)));
  std::mt19937 rng(1);
  const auto noise = [&rng](const Block& block, size_t n) {
    for (size_t k = 0; k < n; ++k) {
      block.as<float>()[k] = static_cast<float>(rng()) / 2147483648.0F - 1.0F;
    }
  };
  noise(state, count * kState);
  noise(q, count * kColumns);
  noise(target, count);
  Mix::for_weights(shape, [&](const Weights& w) {
    for (int m = 0; m < w.rows; ++m) {
      for (int n = 0; n < w.columns; ++n) {
        weights.as<float>()[w.at + static_cast<size_t>(m * w.pitch + n)] =
            (static_cast<float>(rng()) / 2147483648.0F - 1.0F) /
            std::sqrt(static_cast<float>(w.fan_in));
      }
    }
  });
  const MixingBatch<float> batch{rows,
                                 state.as<float>(),
                                 q.as<float>(),
                                 nullptr,
                                 target.as<float>(),
                                 nullptr,
                                 1.0F / static_cast<float>(rows),
                                 total.as<float>(),
                                 dq.as<float>()};
  float loss = 0;
  const auto once = [&] {
    Fused::run(SerialTeam{}, shape, weights.as<float>(), batch, 32, work.as<float>(),
               scratch.as<float>(), gradient.as<float>(), &loss);
  };
  times_of(once, 3);
  const Times times = times_of(once, 15);
  std::printf(
      "{\"program\": \"cumarl\", \"rows\": %lld, \"agents\": %d, \"ms\": %.3f, \"least_ms\": %.3f, "
      "\"cpu_ms\": %.3f}\n",
      static_cast<long long>(rows), agents, times.median, times.least, times.cpu);
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<int> sizes;
  int64_t fused = 0;
  for (int k = 1; k < count; ++k) {
    if (std::strcmp(arguments[k], "--fused") == 0 && k + 1 < count) {
      fused = std::atoll(arguments[++k]);
      continue;
    }
    sizes.push_back(std::atoi(arguments[k]));
    if (sizes.back() < 1 || sizes.back() > kMaxJointAgents) {
      std::fprintf(stderr, "mixing_iteration: AGENTS must be in 1..%d, not %s\n", kMaxJointAgents,
                   arguments[k]);
      return 2;
    }
  }
  if (sizes.empty()) sizes = {2, 4, 8};
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  for (const int agents : sizes) {
    if (fused > 0) {
      time_fused(fused, agents);
      continue;
    }
    const auto run = filled(agents, 1);
    times_of([&] { iterate(*run); }, 3);
    const Times alone = times_of([&] { iterate(*run); }, 31);
    std::vector<std::unique_ptr<Run>> population;
    for (unsigned k = 0; k < cores; ++k) population.push_back(filled(agents, k + 2));
    const auto begin = std::chrono::steady_clock::now();
    constexpr int kEach = 20;
    {
      std::vector<std::jthread> threads;
      for (const auto& one : population) {
        threads.emplace_back([&one] {
          for (int k = 0; k < kEach; ++k) iterate(*one);
        });
      }
    }
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    std::printf(
        "{\"program\": \"cumarl\", \"agents\": %d, \"ms\": %.3f, \"least_ms\": %.3f, "
        "\"cpu_ms\": %.3f, "
        "\"cores\": %u, \"population_ms\": %.3f}\n",
        agents, alone.median, alone.least, alone.cpu, cores, time.count() / (kEach * cores));
  }
  return 0;
}
