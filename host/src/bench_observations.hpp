/// \file
/// The benches of observations: an environment under random play, with every agent's float
/// observation written in every joint step.
#pragma once

#include <vector>

#include "host/src/bench.hpp"

namespace cumarl {

/// `lbf_observations`, `matrix_observations`, `pricing_observations`.
std::vector<BenchInfo> observation_benches();

/// Reads and checks the settings. Throws as bench_observations().
void validate_observations(const BenchRequest& request);

/// Measures one of them on the CPU. Throws DeviceError for a request of a GPU, ConfigError for keys
/// outside of [env]. The check compares digests of all observations and rewards of 8 runs of 20,000
/// steps, once played four at a time by all threads and once one by one.
/// Pre: `request.name` is one of observation_benches().
BenchResult bench_observations(const BenchRequest& request);

}  // namespace cumarl
