// Google Benchmark over every registered workload: what `cumarl bench` measures, with that
// harness's own statistics, filters and output formats.
//
//     build/cpu/cumarl_bench --benchmark_filter='^pricing' --benchmark_repetitions=5
#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "cumarl/runner.hpp"
#include "host/src/bench.hpp"
#include "host/src/bench_observations.hpp"

int main(int argc, char** argv) {
  const std::vector<cumarl::BenchInfo> observed = cumarl::observation_benches();
  for (const cumarl::BenchInfo& info : cumarl::benches()) {
    // no experiments: `cumarl bench` alone has them
    if (std::any_of(observed.begin(), observed.end(),
                    [&](const auto& one) { return one.name == info.name; })) {
      continue;
    }
    benchmark::RegisterBenchmark(
        info.name.c_str(),
        [name = info.name](benchmark::State& state) {
          const cumarl::Runner runner(cumarl::bench_request({.name = name, .threads = 1}));
          uint64_t joint_steps = 0;
          for (auto _ : state) joint_steps += runner.run().joint_steps;
          state.counters["joint_steps/s"] =
              benchmark::Counter(static_cast<double>(joint_steps), benchmark::Counter::kIsRate);
        })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime();
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
