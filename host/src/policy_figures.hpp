/// \file
/// The figures of the tuning policies (kernels/rollout/policies.hpp) one by one: names, bounds, and
/// what is worth a try.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/rollout/policies.hpp"

namespace cumarl {

/// A member of a member of Policies.
struct PolicyFigure {
  /// The loops that it tunes, added up: of learners that read table indices, of joint learners, and of
  /// these with many lanes.
  enum Loops : uint8_t { kTables = 1, kJoint = 2, kLanes = 4, kAll = 7 };

  const char* policy;
  const char* name;
  uint64_t& (*of)(Policies&);
  struct Range {
    uint64_t least, most;
    bool power_of_two = false;
  } range;
  int loops;                         ///< of Loops
  std::vector<uint64_t> candidates;  ///< for autotune, besides the default; none: it is left alone

  /// Of a GPU; else of CPU threads.
  bool cuda() const { return std::string_view(policy).starts_with("cuda_"); }
  uint64_t value(const Policies& policies) const { return of(const_cast<Policies&>(policies)); }
  std::string key() const { return std::string(policy) + '.' + name; }
};

/// All figures, in the order of the structs' members.
const std::vector<PolicyFigure>& policy_figures();

/// Throws ConfigError, with key, value and range, for a figure out of its bounds.
void check_policies(const Policies& policies);

/// The policies of a device as C++: designated initializers for `kPolicies`, a struct a line.
std::string to_initializer(const Policies& policies, bool cuda);

}  // namespace cumarl
