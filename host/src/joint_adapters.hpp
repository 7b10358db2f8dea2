/// \file
/// Implements model.hpp for one environment and every joint learner. Included by one generated
/// translation unit an environment (cmake/env_model.cpp.in).
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "host/src/adapters.hpp"
#include "kernels/batched/batched_rollout.hpp"
#include "kernels/rollout/joint_rollout.hpp"

namespace cumarl {

/// A joint learner as the registry lists it; its place in joint_entries() is its kind.
struct JointEntry {
  LearnerFacts facts;
  bool learns;  ///< it is no scripted player
  std::unique_ptr<Settings> (*settings)();
};

/// Every joint learner, in the order of learners.def.
const std::vector<JointEntry>& joint_entries();

/// Parameters of a joint learner for an environment. Throws ParameterError.
JointParams joint_params(const JointChoice& choice, const JointEnv& env, Arena& arena);
/// Whether its settings ask for one run with many lanes.
bool has_lanes(const JointChoice& choice);
/// The same for such a run, whose environments have states of so many bytes; `shape` gets its sizes.
JointParams batched_params(const JointChoice& choice, const JointEnv& env, size_t state_bytes,
                           Arena& arena, BatchedShape& shape);

}  // namespace cumarl

namespace cumarl::inline CUMARL_VARIANT {

/// Ranges of an agent's features: those the environment states, else 0 to 1.
template <class Env>
std::vector<Bounds> feature_ranges(const typename Env::Params& p, int agent) {
  std::vector<Bounds> ranges;
  for (int k = 0; k < Env::features(p, agent); ++k) {
    if constexpr (requires { Env::feature_range(p, agent, k); }) {
      ranges.push_back(Env::feature_range(p, agent, k));
    } else {
      ranges.push_back({0.0, 1.0});
    }
  }
  return ranges;
}

/// What joint learners are told of an environment.
template <class Env>
JointEnv joint_env(const typename Env::Params& p) {
  JointEnv out;
  out.agents = Env::agents(p);
  out.reward = Env::reward_bounds(p);
  if constexpr (requires { Env::action_range(p, 0); }) out.has_real = true;
  out.has_costs = HasCosts<Env>;
  if constexpr (requires { Env::endless(p); }) out.endless = Env::endless(p);
  if constexpr (requires { Env::kSharedView; }) out.shared_view = Env::kSharedView;
  for (int i = 0; i < out.agents; ++i) {
    out.actions.push_back(Env::actions(p, i));
    out.observations.push_back(Env::observations(p, i));
    out.features.push_back(feature_ranges<Env>(p, i));
    if constexpr (requires { Env::action_range(p, 0); }) {
      out.action_range.push_back(Env::action_range(p, i));
    }
    if constexpr (!requires { Env::global_features(p); }) {
      out.global.insert(out.global.end(), out.features.back().begin(), out.features.back().end());
    }
  }
  if constexpr (requires { Env::global_features(p); }) {
    out.global.assign(static_cast<size_t>(Env::global_features(p)), {0.0, 1.0});
    if constexpr (requires { Env::global_range(p, 0); }) {
      for (size_t k = 0; k < out.global.size(); ++k) {
        out.global[k] = Env::global_range(p, static_cast<int>(k));
      }
    }
  }
  return out;
}

/// With kLanes the learner's run has many environments (kernels/batched/).
template <class Env, bool kLanes = false>
class JointProblemOf final : public Problem {
 public:
  using CellT = std::conditional_t<kLanes, BatchedCell<Env>, JointCell<Env>>;

  JointProblemOf(std::shared_ptr<const MadeEnv<Env>> env, JointChoice learner, Stop stop,
                 Evaluation evaluation, int& agent_in_error)
      : env_(std::move(env)),
        host_params_(env_->params),
        learner_(std::move(learner)),
        stop_(stop),
        evaluation_(evaluation) {
    build(host_params_, host_, cell_, &warnings_, agent_in_error);
    layout_ = {(sizeof(CellT) + 63) / 64 * 64, (sizeof(RunState<Env>) + 63) / 64 * 64,
               cell_.memory_bytes};
    name_columns();
  }

  int agents() const override { return Env::agents(host_params_); }
  int actions(int agent) const override { return Env::actions(host_params_, agent); }
  const RunLayout& layout() const override { return layout_; }
  const std::vector<OutcomeColumn>& columns() const override { return columns_; }
  size_t table_bytes() const override { return cell_.learner.bytes - cell_.learner.learner_at; }
  size_t step_bytes() const override { return 0; }
  uint64_t max_steps() const override { return stop_.max_steps; }
  int shape() const override { return kLanes ? kLanesShape : 0; }
  const std::vector<std::string>& warnings() const override { return warnings_; }
  bool has_tables() const override { return false; }
  std::vector<double> tables(const std::byte*) const override { return {}; }
  void write_cell(CellArena& arena, std::byte* out) const override {
    const auto& env = arena.template shared<typename Env::Params>(
        env_.get(), [&](Arena& memory) { return Env::make(env_->config, memory); });
    CellT cell{};
    int ignored = 0;
    build(env, arena.memory(), cell, nullptr, ignored);
    std::memcpy(out, &cell, sizeof(cell));
  }

 private:
  /// `env`: the environment's parameters, with their tables in the memory of `arena`.
  void build(const typename Env::Params& env, Arena& arena, CellT& cell,
             std::vector<std::string>* warnings, int& agent_in_error) const {
    agent_in_error = -1;
    cell.env = env;
    cell.stop = stop_;
    cell.evaluation = evaluation_;
    if (stop_.stable_periods > 0) {
      agent_in_error = kStopInError;
      throw ParameterError("stable_periods",
                           "must be 0: convergence is watched for tabular learners only");
    }
    if (evaluation_.points > 0) {
      agent_in_error = kEvaluationInError;
      if (!has_learning_curve<Env>()) {
        throw ParameterError("points",
                             "must be 0: this environment judges joint learners at the "
                             "end only");
      }
      if (evaluation_.points > stop_.max_steps) {
        throw ParameterError("points", "must not be more than stop.max_steps");
      }
    }
    if (evaluation_.measures) {
      agent_in_error = kEvaluationInError;
      throw ParameterError("measures", "must be false: joint learners are judged at the end only");
    }
    agent_in_error = 0;
    JointEnv told = joint_env<Env>(host_params_);
    told.warnings = warnings;
    if constexpr (kLanes) {
      cell.learner =
          batched_params(learner_, told, sizeof(typename Env::State), arena, cell.batched);
      cell.probe_at = cell.batched.bytes;
      const uint64_t most = stop_.max_steps / iteration_steps(cell.batched);
      if (evaluation_.points > most) {
        agent_in_error = kEvaluationInError;
        throw ParameterError("points", "must be at most " + std::to_string(most) +
                                           ": with lanes above 1 policies are evaluated between "
                                           "iterations, of lanes * rollout joint steps");
      }
    } else {
      cell.learner = joint_params(learner_, told, arena);
      cell.probe_at = cell.learner.bytes;
    }
    cell.probe_every = evaluation_.points > 0 ? stop_.max_steps / evaluation_.points : 0;
    agent_in_error = -1;
    cell.scratch_at = cell.probe_at + points_bytes();
    cell.memory_bytes = cell.scratch_at;
    if constexpr (requires { Env::scratch_bytes(host_params_); }) {
      cell.memory_bytes += (Env::scratch_bytes(host_params_) + 63) / 64 * 64;
    }
  }

  uint64_t points_bytes() const { return (evaluation_.points * sizeof(double) + 63) / 64 * 64; }

  void name_columns() {
    CellT cell = cell_;
    cell.evaluation.episodes = 1;
    cell.evaluation.steps = 1;
    cell.probe_at = cell.learner.bytes;
    cell.scratch_at = cell.probe_at + points_bytes();
    cell.memory_bytes = cell.scratch_at + (cell_.memory_bytes - cell_.scratch_at);
    std::vector<uint64_t> memory(cell.memory_bytes / 8 + 8, 0);
    auto* bytes = reinterpret_cast<std::byte*>(memory.data());
    bytes += (64 - reinterpret_cast<uintptr_t>(bytes) % 64) % 64;
    const JointPolicy<Env> policy(cell, bytes, RunKey{0, 0});
    typename Env::State state{};
    Rng rng(RunKey{0, 0}, 0, Stream::reset);
    Env::reset(cell.env, state, rng);
    OutcomeNames names;
    evaluate_joint_run<Env>(cell, state, policy, bytes, RunFacts{1, 0, true}, names);
    columns_ = std::move(names.columns);
  }

  std::shared_ptr<const MadeEnv<Env>> env_;
  const typename Env::Params& host_params_;
  JointChoice learner_;
  Stop stop_;
  Evaluation evaluation_;
  HostArena host_;
  CellT cell_{};
  RunLayout layout_{};
  std::vector<OutcomeColumn> columns_;
  std::vector<std::string> warnings_;
};

/// An environment with a joint learner.
template <class Env, class KernelSource>
class JointModelOf final : public PairModel {
 public:
  explicit JointModelOf(int kind) : kind_(kind) {}

  const EnvFacts& env() const override { return Env::kFacts; }
  const LearnerFacts& learner() const override { return entry().facts; }
  const char* table() const override { return ""; }
  bool joint() const override { return true; }
  std::unique_ptr<Settings> learner_settings() const override { return entry().settings(); }
  std::string trained_from(const Settings&) const override { return ""; }
  /// All joint learners of an environment share launches.
  const void* loops() const override { return reinterpret_cast<const void*>(&KernelSource::cpu); }
  bool learns() const override { return entry().learns; }
  std::unique_ptr<Problem> problem(const Settings& env, std::span<const Settings* const> learners,
                                   Stop stop, Evaluation evaluation, const TrainedTables&,
                                   int& agent_in_error) const override {
    agent_in_error = 0;
    if (learners.size() != 1) {
      throw ParameterError("name", std::string(entry().facts.name) +
                                       " learns for all agents together: give one [learner]");
    }
    agent_in_error = -1;
    auto settings = static_cast<const EnvSettings<Env>&>(env).made();
    const JointChoice choice{kind_, learners[0]->config()};
    if (has_lanes(choice)) {
      return std::make_unique<JointProblemOf<Env, true>>(std::move(settings), choice, stop,
                                                         evaluation, agent_in_error);
    }
    return std::make_unique<JointProblemOf<Env>>(std::move(settings), choice, stop, evaluation,
                                                 agent_in_error);
  }
  Kernels<CpuBackend> cpu_kernels(int shape) const override { return KernelSource::cpu(shape); }
  Kernels<CudaBackend> cuda_kernels(int shape) const override { return KernelSource::cuda(shape); }

 private:
  const JointEntry& entry() const { return joint_entries()[static_cast<size_t>(kind_)]; }
  int kind_;
};

/// Appends the models of every joint learner on an environment, if it has few enough agents.
template <class Env, class KernelSource>
void add_joint_models(std::vector<const PairModel*>& models) {
  if constexpr (plays_jointly<Env>()) {
    static const auto all = [] {
      std::vector<std::unique_ptr<const JointModelOf<Env, KernelSource>>> made;
      for (size_t kind = 0; kind < joint_entries().size(); ++kind) {
        made.emplace_back(new JointModelOf<Env, KernelSource>(static_cast<int>(kind)));
      }
      return made;
    }();
    for (const auto& model : all) models.push_back(model.get());
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
