/// \file
/// Implements model.hpp for one environment and all learners. Included by one generated
/// translation unit an environment (cmake/env_model.cpp.in).
#pragma once

#include <cstring>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "host/src/model.hpp"
#include "kernels/rollout/rollout.hpp"
#include "kernels/tabular/any_learner.hpp"
#include "kernels/tabular/table.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// An environment's parameters in host memory.
template <class Env>
struct MadeEnv {
  /// Throws ParameterError.
  explicit MadeEnv(const typename Env::Config& settings)
      : config(settings), params(Env::make(config, arena)) {}
  MadeEnv(const MadeEnv&) = delete;
  MadeEnv& operator=(const MadeEnv&) = delete;

  typename Env::Config config;
  HostArena arena;
  typename Env::Params params;
};

/// The settings of an environment. Problems made from one object share what is made from them.
template <class Env>
class EnvSettings final : public Settings {
 public:
  typename Env::Config values{};
  void fields(FieldVisitor& v) override {
    made_.reset();
    Env::fields(v, values);
  }
  std::shared_ptr<const void> config() const override {
    return std::make_shared<typename Env::Config>(values);
  }
  /// Throws ParameterError.
  std::shared_ptr<const MadeEnv<Env>> made() const {
    if (!made_) made_ = std::make_shared<const MadeEnv<Env>>(values);
    return made_;
  }

 private:
  mutable std::shared_ptr<const MadeEnv<Env>> made_;
};

template <class L>
using LearnerSettings = SettingsOf<typename L::Config, L>;

/// An environment that gives its picture, see docs/add-an-environment.md.
template <class Env>
concept Pictured = requires(const typename Env::Params& p, const typename Env::State& s) {
  Env::rows(p);
  Env::cols(p);
  Env::glyph(p, s, 0, 0);
};

template <class Env>
class EnvPlayOf final : public EnvPlay {
 public:
  explicit EnvPlayOf(const typename Env::Config& config) : params_(Env::make(config, arena_)) {}

  int agents() const override { return Env::agents(params_); }
  int actions(int agent) const override { return Env::actions(params_, agent); }
  void reset(RunKey key, uint64_t t) override {
    state_ = {};
    Rng rng(key, t, Stream::reset);
    Env::reset(params_, state_, rng);
  }
  Episode step(RunKey key, uint64_t t, std::span<const int> actions,
               std::span<float> rewards) override {
    Rng rng(key, t, Stream::dynamics);
    return Env::step(params_, state_, actions.data(), rewards.data(), rng);
  }
  void state(StateVisitor& v) override { Env::state_fields(v, params_, state_); }
  std::vector<float> observation(int agent) const override {
    std::vector<float> out(static_cast<size_t>(Env::features(params_, agent)));
    Env::observe(params_, state_, agent, out.data());
    return out;
  }
  uint32_t observations(int agent) const override { return Env::observations(params_, agent); }
  uint32_t observation_index(int agent) const override {
    return Env::observe_index(params_, state_, agent);
  }
  Picture picture() const override {
    Picture out;
    if constexpr (Pictured<Env>) {
      out.rows = static_cast<int>(Env::rows(params_));
      out.cols = static_cast<int>(Env::cols(params_));
      for (int row = 0; row < out.rows; ++row) {
        for (int col = 0; col < out.cols; ++col) {
          out.glyphs.push_back(Env::glyph(params_, state_, row, col));
          if constexpr (requires { Env::mark(params_, state_, row, col); }) {
            out.marks.push_back(Env::mark(params_, state_, row, col));
          }
        }
      }
    }
    return out;
  }

 private:
  HostArena arena_;
  typename Env::Params params_;
  typename Env::State state_{};
};

template <class Env>
class EnvModelOf final : public EnvModel {
 public:
  const EnvFacts& facts() const override { return Env::kFacts; }
  std::unique_ptr<Settings> settings() const override {
    return std::make_unique<EnvSettings<Env>>();
  }
  bool has_picture() const override { return Pictured<Env>; }
  std::unique_ptr<EnvPlay> play(const Settings& settings) const override {
    return std::make_unique<EnvPlayOf<Env>>(static_cast<const EnvSettings<Env>&>(settings).values);
  }
  std::vector<int> actions(const Settings& settings) const override {
    const auto env = static_cast<const EnvSettings<Env>&>(settings).made();
    std::vector<int> actions;
    for (int i = 0; i < Env::agents(env->params); ++i) {
      actions.push_back(Env::actions(env->params, i));
    }
    return actions;
  }
  std::vector<double> payoff_table(const Settings& settings,
                                   std::vector<int>& actions) const override {
    actions = this->actions(settings);
    const auto env = static_cast<const EnvSettings<Env>&>(settings).made();
    [[maybe_unused]] const auto& params = env->params;
    if constexpr (requires { Env::payoff_table(params); }) {
      return Env::payoff_table(params);
    } else {
      return {};
    }
  }
};

/// Collects the names that an evaluation reports.
class OutcomeNames {
 public:
  void metric(const char* name, double, int agent = -1) {
    columns.push_back({OutcomeColumn::Kind::metric,
                       agent < 0 ? name : std::string(name) + "_agent" + std::to_string(agent)});
  }
  void share(const char* name, uint64_t, Label label = Label::number) {
    columns.push_back({OutcomeColumn::Kind::share, name, label});
  }
  void curve(const char* name, int point, double) {
    columns.push_back({OutcomeColumn::Kind::curve, name, Label::number, point});
  }
  std::vector<OutcomeColumn> columns;
};

template <class Env, class L>
class ProblemOf final : public Problem {
 public:
  using CellT = Cell<Env, L>;

  ProblemOf(std::shared_ptr<const MadeEnv<Env>> env, std::vector<typename L::Config> learners,
            Stop stop, Evaluation evaluation, const TrainedTables& trained, int& agent_in_error)
      : env_(std::move(env)),
        host_params_(env_->params),
        learners_(std::move(learners)),
        stop_(stop),
        evaluation_(evaluation),
        trained_(trained) {
    build(host_params_, host_, cell_, agent_in_error);
    layout_ = {(sizeof(CellT) + 63) / 64 * 64, (sizeof(RunState<Env>) + 63) / 64 * 64,
               cell_.memory_bytes};
    name_columns();
  }

  int agents() const override { return cell_.agents; }
  int actions(int agent) const override { return Env::actions(host_params_, agent); }
  const RunLayout& layout() const override { return layout_; }
  const std::vector<OutcomeColumn>& columns() const override { return columns_; }
  size_t table_bytes() const override {
    size_t bytes = 0;
    if constexpr (L::kTabular) {
      for (int i = 0; i < cell_.agents; ++i) {
        bytes += size_t{Env::observations(host_params_, i)} * static_cast<size_t>(actions(i)) *
                 sizeof(typename L::Entry);
      }
    } else if constexpr (L::kAgentwise) {
      for (int i = 0; i < cell_.agents; ++i) bytes += L::bytes(cell_.learner[i]);
    }
    return bytes;
  }
  size_t step_bytes() const override {
    size_t bytes = 0;
    if constexpr (L::kTabular) {
      for (int i = 0; i < cell_.agents; ++i) {
        bytes += (static_cast<size_t>(actions(i)) + 2) * sizeof(typename L::Entry);
      }
    }
    return bytes;
  }
  uint64_t max_steps() const override { return stop_.max_steps; }
  int shape() const override { return match(shapes_of<Env>()); }
  void write_cell(CellArena& arena, std::byte* out) const override {
    const auto& env = arena.template shared<typename Env::Params>(
        env_.get(), [&](Arena& memory) { return Env::make(env_->config, memory); });
    CellT cell{};
    int ignored = 0;
    build(env, arena.memory(), cell, ignored);
    std::memcpy(out, &cell, sizeof(cell));
  }
  std::vector<double> tables(const std::byte* memory) const override {
    std::vector<double> values;
    if constexpr (L::kTabular) {
      for (int i = 0; i < cell_.agents; ++i) {
        const auto& p = cell_.learner[i];
        const auto* entries =
            reinterpret_cast<const typename L::Entry*>(memory + cell_.table_at[i]);
        for (uint32_t o = 0; o < p.observations; ++o) {
          for (int a = 0; a < p.actions; ++a) {
            values.push_back(L::Table::decode(
                p.codec,
                entries[size_t{o} * static_cast<size_t>(p.stride) + static_cast<size_t>(a)]));
          }
        }
      }
    } else if constexpr (L::kAgentwise) {
      auto* own = const_cast<std::byte*>(memory);  // policies only read it
      for (int i = 0; i < cell_.agents; ++i) {
        std::vector<double> out(static_cast<size_t>(actions(i)));
        for (uint32_t o = 0; o < Env::observations(host_params_, i); ++o) {
          L::policy(cell_.learner[i], own + cell_.table_at[i], o, out.data());
          values.insert(values.end(), out.begin(), out.end());
        }
      }
    }
    return values;
  }

 private:
  /// `env`: the environment's parameters, with their tables in the memory of `arena`.
  void build(const typename Env::Params& env, Arena& arena, CellT& cell,
             int& agent_in_error) const {
    cell.env = env;
    cell.agents = Env::agents(host_params_);
    cell.stop = stop_;
    cell.evaluation = evaluation_;
    const auto n = static_cast<size_t>(cell.agents);
    agent_in_error = 0;
    if (learners_.size() != 1 && learners_.size() != n) {
      throw ParameterError("name", "there must be one [learner], or one [[learner]] an agent (" +
                                       std::to_string(n) + "), not " +
                                       std::to_string(learners_.size()));
    }
    uint64_t at = 0;
    for (size_t i = 0; i < n; ++i) {
      agent_in_error = learners_.size() == 1 ? 0 : static_cast<int>(i);
      const typename L::Config& config = learners_[static_cast<size_t>(agent_in_error)];
      cell.learner[i] = make_learner(config, static_cast<int>(i), arena);
      cell.table_at[i] = at;
      if constexpr (L::kAgentwise) cell.learner[i].watched = stop_.stable_periods > 0;
      at += (L::bytes(cell.learner[i]) + 63) / 64 * 64;
    }
    agent_in_error = -1;
    if (!L::kWatched && stop_.stable_periods > 0) {
      agent_in_error = kStopInError;
      throw ParameterError("stable_periods", "must be 0: this learner never converges");
    }
    cell.probe_at = at;
    if constexpr (can_probe<Env, L>()) {
      if (evaluation_.points > 0 && Env::probes(host_params_)) {
        if (evaluation_.points > stop_.max_steps) {
          agent_in_error = kEvaluationInError;
          throw ParameterError("points", "must not be more than stop.max_steps");
        }
        cell.probe_every = stop_.max_steps / evaluation_.points;
        cell.probe_width =
            static_cast<uint32_t>(Env::probe_width(host_params_, evaluation_.measures));
        at += (uint64_t{evaluation_.points} * cell.probe_width * sizeof(double) + 63) / 64 * 64;
      }
    }
    if (evaluation_.points > 0 && cell.probe_every == 0) {
      agent_in_error = kEvaluationInError;
      throw ParameterError("points",
                           "needs a matrix game without memory, and learners that are "
                           "compiled agent by agent (a policy learner, or a mix)");
    }
    cell.tally_at = at;
    if (evaluation_.measures) {
      bool measured = false;
      if constexpr (L::kAgentwise && requires { Env::measures(host_params_); }) {
        measured = Env::measures(host_params_);
      }
      if (!measured) {
        agent_in_error = kEvaluationInError;
        throw ParameterError("measures", "needs a matrix game without memory, or soccer");
      }
      if constexpr (can_tally<Env, L>()) at += (Env::tally_bytes(host_params_) + 63) / 64 * 64;
    }
    cell.scratch_at = at;
    if constexpr (requires { Env::scratch_bytes(host_params_); }) {
      at += (Env::scratch_bytes(host_params_) + 63) / 64 * 64;
    }
    cell.memory_bytes = at;
  }

  typename L::Params make_learner(const typename L::Config& config, int agent, Arena& arena) const {
    AgentSpec spec{};
    spec.agent = agent;
    spec.agents = Env::agents(host_params_);
    spec.actions = Env::actions(host_params_, agent);
    spec.observations = Env::observations(host_params_, agent);
    const Bounds reward = Env::reward_bounds(host_params_);
    spec.reward_low = reward.min;
    spec.reward_high = reward.max;
    spec.initial_runs = 1;
    if constexpr (requires { Env::waiting_observation(host_params_, agent); }) {
      spec.waiting = Env::waiting_observation(host_params_, agent);
    }
    int all_actions[Env::kMaxAgents] = {};
    for (int i = 0; i < spec.agents; ++i) all_actions[i] = Env::actions(host_params_, i);
    spec.all_actions = all_actions;
    std::vector<double> initial;
    if constexpr (L::kAgentwise) {
      const LearnerFacts& facts = learner_entries()[static_cast<size_t>(config.kind)].facts;
      std::vector<double> game;
      if constexpr (requires { Env::payoff_table(host_params_); }) {
        game = Env::payoff_table(host_params_);
        if (!game.empty()) spec.game = &game;
      }
      check_sight(facts);
      if (facts.sees == Sees::game && spec.game == nullptr) {
        throw ParameterError("name", std::string(facts.name) +
                                         " needs a game with one table of payoffs, played without "
                                         "memory");
      }
      spec.neighbours = neighbours_of(agent);
      return L::make(config, spec, arena,
                     [&](const InitConfig& init, double gamma, AgentSpec& told) {
                       resolve_init(init, gamma, told, initial);
                     });
    } else {
      if constexpr (L::kTabular) resolve_init(config.init, config.gamma, spec, initial);
      return L::make(config, spec, arena);
    }
  }

  /// Whether the environment shows what a learner has to see. Throws ParameterError.
  void check_sight(const LearnerFacts& facts) const {
    if (facts.sees == Sees::own) return;
    bool shared = false;
    if constexpr (requires { Env::kSharedObservation; }) shared = Env::kSharedObservation;
    if (!shared && facts.sees != Sees::actions) {
      throw ParameterError("name", std::string(facts.name) +
                                       " needs agents who observe the same; those of " +
                                       Env::kFacts.name + " do not");
    }
    if constexpr (requires { Env::hides_actions(host_params_); }) {
      if (Env::hides_actions(host_params_)) {
        throw ParameterError("name",
                             std::string(facts.name) +
                                 " needs to see everybody's actions, which this game hides");
      }
    }
  }

  std::vector<int> neighbours_of(int agent) const {
    std::vector<int> others;
    if constexpr (requires(int* out) { Env::neighbours(host_params_, agent, out); }) {
      others.resize(static_cast<size_t>(Env::kMaxAgents));
      others.resize(static_cast<size_t>(Env::neighbours(host_params_, agent, others.data())));
    } else {
      for (int i = 0; i < Env::agents(host_params_); ++i) {
        if (i != agent) others.push_back(i);
      }
    }
    return others;
  }

  /// Completes `spec` with the initial table that `init` asks for, whose values go to `initial`.
  void resolve_init(const InitConfig& init, double gamma, AgentSpec& spec,
                    std::vector<double>& initial) const {
    spec.init = init;
    auto kind = static_cast<InitKind>(init.kind.value);
    if (kind == InitKind::automatic) {
      if constexpr (requires { Env::kCustomInit; }) {
        // values of an endless game need gamma < 1: an undiscounted learner starts at zero
        kind = gamma < 1.0 ? Env::kCustomInit : InitKind::constant;
      } else {
        kind = InitKind::constant;
      }
      spec.init.kind.value = static_cast<int>(kind);
    }
    if (kind == InitKind::uniform && !(init.high > init.low)) {
      throw ParameterError("init.high", "must be above init.low");
    }
    if (kind == InitKind::trained) {
      initial = trained_of(spec.agent);
      spec.initial = &initial;
      spec.initial_runs = trained_.runs;
    } else if (kind != InitKind::constant && kind != InitKind::uniform) {
      if constexpr (requires { Env::initial_values(host_params_, spec, gamma); }) {
        initial = Env::initial_values(host_params_, spec, gamma);
        spec.initial = &initial;
        spec.initial_per_action = initial.size() == static_cast<size_t>(spec.actions);
      } else {
        throw ParameterError("init.kind",
                             "this environment has no such initial values; constant "
                             "and uniform work everywhere");
      }
    }
  }

  /// The trained values of one agent: [runs][observations][actions].
  std::vector<double> trained_of(int agent) const {
    size_t per_run = 0;
    size_t begin = 0;
    size_t mine = 0;
    for (int i = 0; i < Env::agents(host_params_); ++i) {
      const size_t entries = size_t{Env::observations(host_params_, i)} *
                             static_cast<size_t>(Env::actions(host_params_, i));
      if (i < agent) begin += entries;
      if (i == agent) mine = entries;
      per_run += entries;
    }
    if (trained_.runs == 0 || trained_.values.size() != trained_.runs * per_run) {
      throw ParameterError("init.from", "holds tables of another shape than this experiment's");
    }
    std::vector<double> values;
    values.reserve(trained_.runs * mine);
    for (uint64_t r = 0; r < trained_.runs; ++r) {
      const auto from = trained_.values.begin() + static_cast<ptrdiff_t>(r * per_run + begin);
      values.insert(values.end(), from, from + static_cast<ptrdiff_t>(mine));
    }
    return values;
  }

  void name_columns() {
    CellT cell = cell_;
    cell.evaluation.episodes = 1;
    cell.evaluation.steps = 1;
    std::vector<uint64_t> memory(cell.memory_bytes / 8 + 8, 0);
    auto* bytes = reinterpret_cast<std::byte*>(memory.data());
    bytes += (64 - reinterpret_cast<uintptr_t>(bytes) % 64) % 64;
    const Policy<Env, L> policy(cell, bytes, RunKey{0, 0});
    typename Env::State state{};
    Rng rng(RunKey{0, 0}, 0, Stream::reset);
    Env::reset(cell.env, state, rng);
    OutcomeNames names;
    evaluate_run<Env>(cell.env, state, policy, RunFacts{1, 0, true}, names);
    columns_ = std::move(names.columns);
  }

  bool fits(int agents, int actions) const {
    for (int i = 0; i < cell_.agents; ++i) {
      if (this->actions(i) != actions) return false;
    }
    return agents == cell_.agents;
  }

  template <class... Shapes>
  int match(ShapeList<Shapes...>) const {
    int index = 0;
    int found = 0;
    ((++index, found = found == 0 && fits(Shapes::kAgents, Shapes::kActions) ? index : found), ...);
    return index == 0 ? 0 : found;
  }

  std::shared_ptr<const MadeEnv<Env>> env_;
  const typename Env::Params& host_params_;
  std::vector<typename L::Config> learners_;
  Stop stop_;
  Evaluation evaluation_;
  const TrainedTables& trained_;
  HostArena host_;
  CellT cell_{};
  RunLayout layout_{};
  std::vector<OutcomeColumn> columns_;
};

template <class Table>
constexpr const char* table_name() {
  if constexpr (std::is_same_v<Table, Float32>) return "float32";
  else if constexpr (std::is_same_v<Table, Float64>) return "float64";
  else return "fixed28";
}

/// `LearnerFor<Shape>` is the learner type for a shape; KernelSource finds its compiled loops.
template <class Env, template <class> class LearnerFor, class KernelSource>
class PairModelOf final : public PairModel {
 public:
  using L = LearnerFor<AnyShape>;

  const EnvFacts& env() const override { return Env::kFacts; }
  const LearnerFacts& learner() const override { return L::kFacts; }
  const char* table() const override {
    if constexpr (L::kTabular) {
      return table_name<typename L::Table>();
    } else {
      return "";
    }
  }
  std::unique_ptr<Settings> learner_settings() const override {
    return std::make_unique<LearnerSettings<L>>();
  }
  std::string trained_from(const Settings& learner) const override {
    return cumarl::trained_from(static_cast<const LearnerSettings<L>&>(learner).values);
  }
  std::unique_ptr<Problem> problem(const Settings& env, std::span<const Settings* const> learners,
                                   Stop stop, Evaluation evaluation, const TrainedTables& trained,
                                   int& agent_in_error) const override {
    std::vector<typename L::Config> configs;
    for (const Settings* s : learners) {
      configs.push_back(static_cast<const LearnerSettings<L>*>(s)->values);
    }
    agent_in_error = -1;
    return std::make_unique<ProblemOf<Env, L>>(static_cast<const EnvSettings<Env>&>(env).made(),
                                               std::move(configs), stop, evaluation, trained,
                                               agent_in_error);
  }
  bool learns() const override { return L::kTabular; }
  Kernels<CpuBackend> cpu_kernels(int shape) const override { return KernelSource::cpu(shape); }
  Kernels<CudaBackend> cuda_kernels(int shape) const override { return KernelSource::cuda(shape); }
};

/// An environment with AnyLearner: the mix, and every policy learner alone.
template <class Env, class KernelSource>
class MixModelOf final : public MixModel {
 public:
  /// `kind`: the learner all agents have where it is used as a pair.
  explicit MixModelOf(int kind) : kind_(kind) {}

  const EnvFacts& env() const override { return Env::kFacts; }
  const LearnerFacts& learner() const override { return entry().facts; }
  const char* table() const override { return ""; }
  std::unique_ptr<Settings> learner_settings() const override { return entry().settings(); }
  std::string trained_from(const Settings& learner) const override {
    return entry().trained_from(learner.config().get());
  }
  const void* loops() const override { return &mix_model(Env::kFacts.name); }
  bool learns() const override { return entry().learns; }
  std::unique_ptr<Problem> problem(const Settings& env, std::span<const Settings* const> learners,
                                   Stop stop, Evaluation evaluation, const TrainedTables& trained,
                                   int& agent_in_error) const override {
    const std::vector<int> kinds(learners.size(), kind_);
    return mix(env, kinds, learners, stop, evaluation, trained, agent_in_error);
  }
  std::unique_ptr<Problem> mix(const Settings& env, std::span<const int> kinds,
                               std::span<const Settings* const> learners, Stop stop,
                               Evaluation evaluation, const TrainedTables& trained,
                               int& agent_in_error) const override {
    std::vector<AnyLearner::Config> configs;
    for (size_t i = 0; i < learners.size(); ++i) {
      configs.push_back({kinds[i], learners[i]->config()});
    }
    agent_in_error = -1;
    return std::make_unique<ProblemOf<Env, AnyLearner>>(
        static_cast<const EnvSettings<Env>&>(env).made(), std::move(configs), stop, evaluation,
        trained, agent_in_error);
  }
  Kernels<CpuBackend> cpu_kernels(int shape) const override { return KernelSource::cpu(shape); }
  Kernels<CudaBackend> cuda_kernels(int shape) const override { return KernelSource::cuda(shape); }

 private:
  const LearnerEntry& entry() const { return learner_entries()[static_cast<size_t>(kind_)]; }
  int kind_;
};

}  // namespace cumarl::inline CUMARL_VARIANT
