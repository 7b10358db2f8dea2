/// \file
/// Time of one training iteration of QMIX: the sample of a batch of episodes (drawn and copied from
/// the replay), forward, loss, backward, clipped step. bench/peers/mixing_peers.py times the same in
/// other libraries.
///
/// usage: mixing_iteration [AGENTS...]. Prints for each number of agents a line of JSON: the median
/// time (and processor time) of one run alone on a core, and of a population of one run a core of the machine.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <thread>

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

double iteration_ms(const Run& run) {
  const auto begin = std::chrono::steady_clock::now();
  Qmix<float>::update(SerialTeam{}, run.p, run.memory());
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
  return time.count();
}

struct Times {
  double median, least, cpu;
};

/// Processor time of this thread, ms.
double used_ms() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) * 1e-6;
}

Times times_of(const Run& run, int count) {
  std::vector<double> all, used;
  for (int k = 0; k < count; ++k) {
    const double begin = used_ms();
    all.push_back(iteration_ms(run));
    used.push_back(used_ms() - begin);
  }
  std::sort(all.begin(), all.end());
  std::sort(used.begin(), used.end());
  return {all[all.size() / 2], all[0], used[used.size() / 2]};
}

}  // namespace

int main(int count, char** arguments) {
  std::vector<int> sizes;
  for (int k = 1; k < count; ++k) sizes.push_back(std::atoi(arguments[k]));
  if (sizes.empty()) sizes = {2, 4, 8};
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  for (const int agents : sizes) {
    const auto run = filled(agents, 1);
    times_of(*run, 3);
    const Times alone = times_of(*run, 31);
    std::vector<std::unique_ptr<Run>> population;
    for (unsigned k = 0; k < cores; ++k) population.push_back(filled(agents, k + 2));
    const auto begin = std::chrono::steady_clock::now();
    constexpr int kEach = 20;
    {
      std::vector<std::jthread> threads;
      for (const auto& one : population) {
        threads.emplace_back([&one] {
          for (int k = 0; k < kEach; ++k) iteration_ms(*one);
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
