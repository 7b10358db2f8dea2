#include "host/src/policy_figures.hpp"

#include <fmt/format.h>

#include <bit>
#include <string_view>

#include "cumarl/error.hpp"

namespace cumarl {

/// The first three members of a PolicyFigure.
#define CUMARL_FIGURE(policy, name) \
#policy, #name, [](Policies & p) -> uint64_t& { return p.policy.name; }

const std::vector<PolicyFigure>& policy_figures() {
  constexpr int kTables = PolicyFigure::kTables, kJoint = PolicyFigure::kJoint;
  constexpr int kLanes = PolicyFigure::kLanes, kAll = PolicyFigure::kAll;
  constexpr uint64_t kMany = 1 << 20, kRuns = 0x7FFFFFFF, kBytes = uint64_t{1} << 40;
  static const std::vector<PolicyFigure> figures{
      {CUMARL_FIGURE(cpu_rollout, lanes), {1, CpuRolloutPolicy::kLanes}, kTables, {1, 2, 3, 6, 8}},
      {CUMARL_FIGURE(cpu_joint, lanes), {1, CpuJointPolicy::kLanes}, kJoint, {1, 2, 3, 6, 8}},
      {CUMARL_FIGURE(cpu_joint, bytes), {0, kBytes}, kJoint, {0, 14'336, 57'344, 524'288}},
      {CUMARL_FIGURE(cpu_batch, runs), {1, kRuns}, kAll, {}},
      {CUMARL_FIGURE(cpu_batch, bytes), {0, kBytes}, kAll, {1 << 20, 16 << 20}},
      {CUMARL_FIGURE(cpu_batch, runs_per_thread), {1, kMany}, kAll, {}},
      {CUMARL_FIGURE(cuda_rollout, small_run), {0, 16'384}, kTables, {0, 256, 2'048, 8'192}},
      {CUMARL_FIGURE(cuda_rollout, staged_shifts), {0, kMany}, kTables, {0, 1, 2, 6, 12, 24}},
      {CUMARL_FIGURE(cuda_rollout, tiles_per_processor), {0, kMany}, kTables, {0, 8, 16, 64, 128}},
      {CUMARL_FIGURE(cuda_rollout, threads), {32, 128, true}, kTables | kJoint, {32, 64}},
      {CUMARL_FIGURE(cuda_batched, rows), {1, 32, true}, kLanes, {4, 16, 32}},
      {CUMARL_FIGURE(cuda_batched, least_iterations), {1, kMany}, kLanes, {16, 256}},
      {CUMARL_FIGURE(cuda_batch, runs_per_processor), {1, kMany}, kAll, {256, 512, 1'024}},
      {CUMARL_FIGURE(cuda_batch, steps), {1, kBytes}, kAll, {10'000, 30'000, 300'000}},
  };
  return figures;
}

void check_policies(const Policies& policies) {
  for (const PolicyFigure& f : policy_figures()) {
    const uint64_t value = f.value(policies);
    const auto [least, most, power_of_two] = f.range;
    if (value >= least && value <= most && (!power_of_two || std::has_single_bit(value))) continue;
    throw ConfigError({.key = f.key(),
                       .value = std::to_string(value),
                       .why = fmt::format("must be {}from {} to {}",
                                          power_of_two ? "a power of two " : "", least, most)});
  }
}

std::string to_initializer(const Policies& policies, bool cuda) {
  std::string text = "cumarl::Policies{";
  std::string_view open;
  for (const PolicyFigure& f : policy_figures()) {
    if (f.cuda() != cuda) continue;
    if (f.policy == open) {
      text += ", ";
    } else {
      text += fmt::format("{}\n    .{} = {{", open.empty() ? "" : "},", f.policy);
      open = f.policy;
    }
    text += fmt::format(".{} = {}", f.name, f.value(policies));
  }
  return text + "}}";
}

}  // namespace cumarl
