/// \file
/// What the benches share: statistics of repeats and the copy bandwidth of this machine.
#pragma once

#include <cstddef>
#include <vector>

namespace cumarl {

/// Bytes a second of a copy over a working set of `bytes`, read plus written, one thread.
double copy_bandwidth(size_t bytes);

/// The quantile q of `values`, interpolated linearly (type 7 of Hyndman and Fan).
/// Pre: values not empty, 0 <= q <= 1.
double quantile(std::vector<double> values, double q);

}  // namespace cumarl
