/// \file
/// `cumarl trace`: plays an environment and prints every transition as a JSON line, or draws it.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "cumarl/runner.hpp"
#include "host/src/render.hpp"

namespace cumarl {

struct TraceRequest {
  std::string env;
  std::vector<std::string> sets;  ///< "env.key=value"
  uint64_t seed = 1;
  int64_t steps = 100;
  std::string actions_file;  ///< one joint action a line, comma-separated; "": the policy's
  std::string state_file;    ///< a state as printed; "": a drawn one
  /// "random", or the folder of an experiment that saved its tables: the environment is then the
  /// one of its config.toml (with `sets` over it), and all agents play the best action of their row
  /// in the tables of its first run, the lowest of equals.
  std::string policy = "random";
  int fps = 4;  ///< frames a second
};

/// Where frames are printed.
struct Screen {
  bool color = false;
  int rows = 0;  ///< lines of the terminal; 0: it is none, frames come one after another, at once
};

/// The longest episode that write_svg() draws.
inline constexpr int64_t kMostSvgSteps = 10'000;

/// The first line holds the initial state and observations, then comes one line a joint step.
/// After the end of an episode the next one begins: that line's "next_state" is its first state.
/// Ends early when `interrupt` is set. Throws ConfigError.
void trace(const TraceRequest& request, std::ostream& out,
           const InterruptFlag* interrupt = nullptr);

/// Draws the first episode, or its first request.steps joint steps: one frame for its beginning and
/// one a joint step, `fps` a second and each over the last where it is a terminal with room for it.
/// Throws ConfigError, also for an environment without a picture.
void render(const TraceRequest& request, const Screen& screen, std::ostream& out,
            const InterruptFlag* interrupt = nullptr);

/// Writes the same frames to an SVG file, see to_svg() in render.hpp; the number of them, or 0 where
/// `interrupt` was set and nothing is written. Throws ConfigError, also for a file that cannot be
/// written; then there is none.
int64_t write_svg(const TraceRequest& request, const std::string& path,
                  const InterruptFlag* interrupt = nullptr);

/// The same picture as text; throws ConfigError where the episode is longer than kMostSvgSteps.
std::string episode_svg(const TraceRequest& request);

/// Plays request.steps joint steps, episode after episode, in which every agent does what its table
/// says is best, or with probability `explore` anything; shows `visit` the picture before each step
/// and what the tables say. Pre: request.policy is a folder. Throws ConfigError.
Cast visit_states(const TraceRequest& request, double explore,
                  const std::function<void(const Picture&, const std::vector<int>& best)>& visit);

}  // namespace cumarl
