/// \file
/// Environments and learners without their types: what the runner and the command line work with.
/// adapters.hpp implements these interfaces for every registered pair.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/src/settings.hpp"
#include "kernels/core/arena.hpp"
#include "kernels/core/env.hpp"
#include "kernels/core/launch.hpp"
#include "kernels/core/learner.hpp"
#include "kernels/core/outcome.hpp"
#include "kernels/rollout/launch_args.hpp"

namespace cumarl {

/// The picture of a gridworld at one moment, cell by cell: [rows][cols], row 0 at the top. No rows:
/// the environment has no picture.
struct Picture {
  int rows = 0, cols = 0;
  std::vector<Glyph> glyphs;
  std::vector<char> marks;  ///< a second, small character a cell; empty if the environment has none
};

/// One environment in play, on the host.
class EnvPlay {
 public:
  virtual ~EnvPlay() = default;
  virtual int agents() const = 0;
  virtual int actions(int agent) const = 0;
  /// Initial state of run `key.run`, as the rollout would draw it at step t.
  virtual void reset(RunKey key, uint64_t t) = 0;
  /// Joint step t. Pre: actions in range. Shapes: actions [agents], rewards [agents].
  virtual Episode step(RunKey key, uint64_t t, std::span<const int> actions,
                       std::span<float> rewards) = 0;
  virtual void state(StateVisitor& v) = 0;
  /// The float observation of an agent.
  virtual std::vector<float> observation(int agent) const = 0;
  /// The number of table indices of an agent (0: none), and the present one.
  virtual uint32_t observations(int agent) const = 0;
  virtual uint32_t observation_index(int agent) const = 0;
  virtual Picture picture() const = 0;
};

/// Memory of one backend for the parameters of cells, and what of it several cells share.
class CellArena {
 public:
  explicit CellArena(Arena& memory) : memory_(memory) {}
  Arena& memory() { return memory_; }
  /// The object of `key`: what `make(memory())` returned when it was first asked for. Pre: one type
  /// a key; what `key` points at outlives this.
  template <class T, class Make>
  const T& shared(const void* key, const Make& make) {
    std::shared_ptr<const void>& made = made_[key];
    if (!made) made = std::make_shared<const T>(make(memory_));
    return *static_cast<const T*>(made.get());
  }

 private:
  Arena& memory_;
  std::map<const void*, std::shared_ptr<const void>> made_;
};

/// A registered environment.
class EnvModel {
 public:
  virtual ~EnvModel() = default;
  virtual const EnvFacts& facts() const = 0;
  virtual std::unique_ptr<Settings> settings() const = 0;
  /// Whether EnvPlay::picture() shows something.
  virtual bool has_picture() const = 0;
  /// Throws ParameterError for settings that do not fit together.
  virtual std::unique_ptr<EnvPlay> play(const Settings& settings) const = 0;
  /// The numbers of actions, agent by agent. Throws ParameterError.
  virtual std::vector<int> actions(const Settings& settings) const = 0;
  /// Expected payoffs [joint action][agents] of a game with one table of them, agent 0's action the
  /// highest digit of a joint action, and the numbers of actions; else empty. Throws ParameterError.
  virtual std::vector<double> payoff_table(const Settings& settings,
                                           std::vector<int>& actions) const = 0;
};

/// One column of an outcome row after the head.
struct OutcomeColumn {
  enum class Kind : uint8_t { metric, share, curve };
  Kind kind;
  std::string name;
  Label label = Label::number;  ///< of a share
  int point = 0;                ///< of a curve
};

/// One cell of an experiment: an environment, its learners, all settings.
class Problem {
 public:
  virtual ~Problem() = default;
  virtual int agents() const = 0;
  virtual int actions(int agent) const = 0;
  virtual const RunLayout& layout() const = 0;
  virtual const std::vector<OutcomeColumn>& columns() const = 0;
  /// Bytes of learner tables a run would need without padding and bookkeeping.
  virtual size_t table_bytes() const = 0;
  /// Bytes of tables that a joint step touches: a row read, an entry read and written, an agent.
  virtual size_t step_bytes() const = 0;
  virtual uint64_t max_steps() const = 0;
  /// Which compiled shape fits; index into the pair's kernels. 0 is AnyShape.
  virtual int shape() const = 0;
  /// Writes layout().cell_bytes of parameters whose pointers go to `arena`.
  virtual void write_cell(CellArena& arena, std::byte* out) const = 0;
  /// Settings that are allowed but unwise, for the user to read.
  virtual const std::vector<std::string>& warnings() const {
    static const std::vector<std::string> none;
    return none;
  }
  /// The tables of a run as values [agents][observations][actions], from its memory on the host;
  /// empty without has_tables().
  virtual std::vector<double> tables(const std::byte* memory) const = 0;
  virtual bool has_tables() const { return true; }
};

/// Tables of a finished experiment for a trained start: [runs][agents][observations][actions].
/// No runs: there is none.
struct TrainedTables {
  uint64_t runs = 0;
  std::vector<double> values;
};

/// The "agent" of an error that is about [stop], see PairModel::problem.
inline constexpr int kStopInError = -2;
inline constexpr int kEvaluationInError = -3;  ///< the same of [evaluation]

/// A registered learner (with its table type) on a registered environment.
class PairModel {
 public:
  virtual ~PairModel() = default;
  virtual const EnvFacts& env() const = 0;
  virtual const LearnerFacts& learner() const = 0;
  virtual const char* table() const = 0;  ///< "float32", "float64", "fixed28", or "" if it has none
  virtual std::unique_ptr<Settings> learner_settings() const = 0;
  /// The folder of the experiment whose tables the learner starts from, or "".
  virtual std::string trained_from(const Settings& learner) const = 0;
  /// Pairs with equal loops share launches.
  virtual const void* loops() const { return this; }
  /// Whether the learner is one of all agents together, that is, no part of a mix.
  virtual bool joint() const { return false; }
  /// Whether it learns at all.
  virtual bool learns() const = 0;
  /// Throws ParameterError; `agent_in_error` then says whose key it is: agent i's learner, -1 the
  /// environment, kStopInError the stopping rule.
  virtual std::unique_ptr<Problem> problem(const Settings& env,
                                           std::span<const Settings* const> learners, Stop stop,
                                           Evaluation evaluation, const TrainedTables& trained,
                                           int& agent_in_error) const = 0;
  virtual Kernels<CpuBackend> cpu_kernels(int shape) const = 0;
  /// Throws DeviceError in a build without CUDA.
  virtual Kernels<CudaBackend> cuda_kernels(int shape) const = 0;
};

/// A registered environment with any learner for each agent.
class MixModel : public PairModel {
 public:
  /// The learners' settings, told apart by their kinds: positions in learner_entries().
  virtual std::unique_ptr<Problem> mix(const Settings& env, std::span<const int> kinds,
                                       std::span<const Settings* const> learners, Stop stop,
                                       Evaluation evaluation, const TrainedTables& trained,
                                       int& agent_in_error) const = 0;
};

/// What is compiled in, in the order of envs.def and learners.def.
const std::vector<const EnvModel*>& env_models();
const std::vector<const PairModel*>& pair_models();
/// The mix of an environment. Pre: it is registered.
const MixModel& mix_model(const std::string& env);

}  // namespace cumarl
