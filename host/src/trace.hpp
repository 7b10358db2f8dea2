/// \file
/// `cumarl trace`: plays an environment and prints every transition as a JSON line.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace cumarl {

struct TraceRequest {
  std::string env;
  std::vector<std::string> sets;  ///< "env.key=value"
  uint64_t seed = 1;
  int64_t steps = 100;
  std::string actions_file;  ///< one joint action a line, comma-separated; "": random play
  std::string state_file;    ///< a state as printed; "": a drawn one
};

/// The first line holds the initial state and observations, then comes one line a joint step.
/// After the end of an episode the next one begins: that line's "next_state" is its first state.
/// Errors: ConfigError, IoError.
void trace(const TraceRequest& request, std::ostream& out);

}  // namespace cumarl
