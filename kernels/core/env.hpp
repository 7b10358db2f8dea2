/// \file
/// What every environment states about itself, and the words the rollout and it share.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/core/arena.hpp"
#include "kernels/core/fields.hpp"
#include "kernels/core/hd.hpp"
#include "kernels/core/rng.hpp"

namespace cumarl {

enum class Family { matrix, pricing, gridworld, market };

/// Shown by `cumarl list` and `cumarl describe`.
struct EnvFacts {
  const char* name;    ///< the name in config files
  const char* title;   ///< one line
  const char* source;  ///< paper or package, with the version
  Family family;
  const char* actions;       ///< meaning of the action numbers
  const char* observations;  ///< meaning of the observation
  const char* small = "";    ///< settings of a small instance (TOML), for tests and benches
};

/// What stands in a cell of a gridworld's picture.
struct Glyph {
  char symbol;   ///< ' ' floor, '#' wall, 'A', 'B', ... agents
  uint32_t rgb;  ///< colour, 0xRRGGBB
};

/// How a joint step left the episode. `cut` is a time limit: learners still bootstrap from it.
enum class Episode : uint8_t { goes_on, ended, cut };

/// The visitor through which a state is printed by `cumarl trace` and read back from `--state`.
/// Values are whole numbers; `count` of them stand one after another.
class StateVisitor {
 public:
  virtual ~StateVisitor() = default;
  virtual void operator()(const char* key, int64_t* values, int count) = 0;
};

}  // namespace cumarl
