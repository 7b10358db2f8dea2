/// \file
/// The bench `lbf_observations`: level-based foraging under random play with every agent's float
/// observation written in every joint step.
#pragma once

#include "host/src/bench.hpp"

namespace cumarl {

/// What `lbf_observations` plays.
BenchInfo observations_info();

/// Measures it on the CPU. Throws DeviceError for a request of a GPU.
/// The check compares digests of all observations and rewards of 8 runs of 20,000 steps, once
/// played four at a time by all threads and once one by one.
/// Bound: the copy bandwidth over the state (read and written) and the observations (written).
BenchResult bench_observations(const BenchRequest& request);

}  // namespace cumarl
