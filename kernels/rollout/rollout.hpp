/// \file
/// The fused loop: act, step, learn, watch for convergence, reset; and what surrounds it, the
/// start and the evaluation of a run. Knows no environment and no learner.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/core/env.hpp"
#include "kernels/core/learner.hpp"
#include "kernels/core/outcome.hpp"
#include "kernels/core/rng.hpp"
#include "kernels/core/rng_block.hpp"
#include "kernels/core/team.hpp"
#include "kernels/rollout/launch_args.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Parameters of one cell of an experiment, as kernels read them.
template <class Env, class L>
struct Cell {
  typename Env::Params env;
  typename L::Params learner[Env::kMaxAgents];
  Stop stop;
  Evaluation evaluation;
  int32_t agents;
  uint64_t table_at[Env::kMaxAgents];  ///< where an agent's memory begins in its run's
  uint64_t probe_at;                   ///< double [evaluation.points][probe_width]
  uint64_t probe_every;                ///< joint steps; 0: no probes
  uint32_t probe_width;                ///< Env::probe_width
  uint64_t tally_at;                   ///< Env::tally_bytes with evaluation.measures, else none
  uint64_t scratch_at;                 ///< working memory of the evaluation, Env::scratch_bytes
  uint64_t memory_bytes;
};

/// Whether a run of this pair can be probed on its way.
template <class Env, class L>
constexpr bool can_probe() {
  return L::kAgentwise && requires { Env::kProbes; };
}

/// Whether a run of this pair can be tallied step by step.
template <class Env, class L>
constexpr bool can_tally() {
  if constexpr (requires { Env::kTallies; }) {
    return L::kAgentwise && Env::kTallies;
  } else {
    return false;
  }
}

/// The shapes an environment wants compiled besides AnyShape.
template <class Env>
constexpr auto shapes_of() {
  if constexpr (requires { typename Env::Shapes; }) {
    return typename Env::Shapes{};
  } else {
    return ShapeList<>{};
  }
}

template <class Env, class L>
class Policy;

/// The phase of a slot whose run has taken steps.
CUMARL_HD constexpr SlotPhase phase_of(RunStatus status) {
  return status == RunStatus::running ? SlotPhase::advanced : SlotPhase::ended;
}

/// The loop state of a run between launches.
template <class Env>
struct RunState {
  typename Env::State env;
  uint64_t t;            ///< joint steps done
  uint64_t last_change;  ///< joint steps done when an update last changed a greedy action
  RunStatus status;
};

/// One run in flight: everything hot in registers (or a few cache lines).
///
/// `Chunk` is how many steps of exploration are drawn ahead: 64 on the CPU, where the drawing loop
/// is vectorised, 1 on a GPU. It changes nothing in the results.
template <class Env, class L, class ShapeT, class Team, int Chunk>
class Lane {
 public:
  using CellT = Cell<Env, L>;
  using StateT = RunState<Env>;
  static constexpr bool kUnrolled = false;  ///< whether the CPU unrolls over its lanes
  static constexpr int kAgents = ShapeT::kAgents > 0 ? ShapeT::kAgents : Env::kMaxAgents;
  static constexpr int kWords = Chunk == 1 ? kAgents : (Chunk * kAgents + 3 + 127) / 128 * 128;

  /// Takes up a run where its state left it.
  CUMARL_HD void load(const Team& team, const Rollout& r, uint32_t slot) {
    team_ = team;
    slot_ = slot;
    const Slot place = r.slots[slot];
    cell_ = reinterpret_cast<const CellT*>(r.cells + place.cell * r.layout.cell_bytes);
    saved_ = reinterpret_cast<StateT*>(r.states + slot * r.layout.state_bytes);
    memory_ = r.memory + slot * r.layout.memory_bytes;
    key_ = {r.seed, place.run};
    env_ = saved_->env;
    t_ = saved_->t;
    last_change_ = saved_->last_change;
    end_ = t_ + r.budget < t_ ? ~uint64_t{0} : t_ + r.budget;
    if (end_ > cell_->stop.max_steps) end_ = cell_->stop.max_steps;
    for (int i = 0; i < kAgents; ++i) memo_[i] = {};
    if constexpr (L::kAgentwise) {
      strategies_wanted_ = false;
      for (int i = 0; i < agents(); ++i) {
        strategies_wanted_ |= cell_->learner[i].sees_strategies;
        if (cell_->learner[i].actions > kStrategyPitch) {
          strategies_wanted_ = false;
          break;
        }
      }
    }
    arrive_all(cursor_);
  }

  CUMARL_HD uint32_t slot() const { return slot_; }

  /// Steps that can be taken before anything has to be decided; at most Chunk. 0: `store` it.
  CUMARL_HD CUMARL_INLINE uint64_t room() const {
    uint64_t steps = end_ - t_;
    if (watches()) {
      const uint64_t stable = t_ - last_change_;
      const uint64_t left = cell_->stop.stable_periods - stable;
      steps = left < steps ? left : steps;
    }
    if constexpr (can_probe<Env, L>()) {
      if (cell_->probe_every > 0) {
        const uint64_t left = cell_->probe_every - t_ % cell_->probe_every;
        steps = left < steps ? left : steps;
      }
    }
    return steps < Chunk ? steps : Chunk;
  }

  /// Draws the exploration of the next `steps` steps. Pre: steps <= room().
  CUMARL_HD CUMARL_INLINE void prepare(int steps) {
    const int n = agents();
    const uint64_t first = t_ * static_cast<uint64_t>(n);
    const uint32_t* words = draw(first, steps * n);
    for (int i = 0; i < n; ++i) {
      L::decide(cell_->learner[i], memo_[i], t_, steps, words + i, n, keep_[i], forced_[i]);
    }
    changed_at_ = -1;
  }

  /// Step k after `prepare`.
  CUMARL_HD CUMARL_INLINE void step(int k) {
    const int n = agents();
    const uint64_t now = t_ + static_cast<uint64_t>(k);
    int action[Env::kMaxAgents] = {};  // as long as environments may count on
    float reward[Env::kMaxAgents] = {};
    for (int i = 0; i < n; ++i) {
      action[i] = static_cast<int>(
          L::act(cell_->learner[i], table(i), cursor_[i], {keep_[i][k], forced_[i][k]}, now));
    }
    Rng rng(key_, now, Stream::dynamics);
    const Episode episode = Env::step(cell_->env, env_, action, reward, rng);
    if constexpr (requires { Env::played(cell_->env, env_, 0, 0); }) {
      for (int i = 0; i < n; ++i) action[i] = Env::played(cell_->env, env_, i, action[i]);
    }
    if constexpr (can_tally<Env, L>()) {
      if (cell_->evaluation.measures) tally(action, episode, now);
    }
    typename L::Cursor next[kAgents];
    arrive_all(next);
    constexpr bool kShowsStrategies = L::kAgentwise && kAgents <= kStrategyPitch;
    double shown[kShowsStrategies ? kAgents * kStrategyPitch : 1];
    const double* strategies = nullptr;
    if constexpr (kShowsStrategies) {
      if (strategies_wanted_) {
        for (int i = 0; i < n; ++i) {
          L::strategy(cell_->learner[i], table(i), cursor_[i].observation,
                      shown + i * kStrategyPitch);
        }
        strategies = shown;
      }
    }
    for (int i = 0; i < n; ++i) {
      if constexpr (requires { Env::absent(cell_->env, env_, i); }) {
        if (Env::absent(cell_->env, env_, i)) continue;
      }
      const typename L::Cursor before = cursor_[i];
      L::learn(team_, cell_->learner[i], table(i), cursor_[i], next[i],
               Transition{action, reward, i, n, episode, now, key_, strategies});
      if constexpr (L::kWatched) {
        if (L::greedy(cursor_[i]) != L::greedy(before)) changed_at_ = k;
      }
    }
    if (episode != Episode::goes_on) {
      Rng fresh(key_, now + 1, Stream::reset);
      Env::reset(cell_->env, env_, fresh);
      arrive_all(next);
    }
    for (int i = 0; i < n; ++i) cursor_[i] = next[i];
  }

  /// Ends a chunk of `steps`. True if the run has to leave: it ended or spent its budget.
  CUMARL_HD CUMARL_INLINE bool commit(int steps) {
    if (changed_at_ >= 0) last_change_ = t_ + static_cast<uint64_t>(changed_at_) + 1;
    t_ += static_cast<uint64_t>(steps);
    if constexpr (can_probe<Env, L>()) {
      if (cell_->probe_every > 0 && t_ % cell_->probe_every == 0) probe();
    }
    return room() == 0;
  }

  /// Saves the run.
  CUMARL_HD SlotPhase store() {
    RunStatus status = RunStatus::running;
    if (watches() && t_ - last_change_ >= cell_->stop.stable_periods) {
      status = RunStatus::converged;
    } else if (t_ >= cell_->stop.max_steps) {
      status = RunStatus::out_of_steps;
    }
    team_.once([&] { *saved_ = StateT{env_, t_, last_change_, status}; });
    return phase_of(status);
  }

 protected:
  CUMARL_HD CUMARL_INLINE int agents() const {
    return ShapeT::kAgents > 0 ? ShapeT::kAgents : cell_->agents;
  }
  CUMARL_HD CUMARL_INLINE bool watches() const {
    if constexpr (L::kWatched) {
      return cell_->stop.stable_periods > 0;
    } else {
      return false;
    }
  }
  CUMARL_HD CUMARL_INLINE std::byte* table(int i) const { return memory_ + cell_->table_at[i]; }

  CUMARL_HD CUMARL_INLINE void arrive_all(typename L::Cursor* cursor) const {
    const int n = agents();
    for (int i = 0; i < n; ++i) {
      cursor[i] =
          L::arrive(team_, cell_->learner[i], table(i), Env::observe_index(cell_->env, env_, i));
    }
  }

  /// Takes the measures of this moment.
  CUMARL_HD void probe() {
    const uint64_t point = t_ / cell_->probe_every - 1;
    if (point >= cell_->evaluation.points) return;
    auto* out = reinterpret_cast<double*>(memory_ + cell_->probe_at) + point * cell_->probe_width;
    const Policy<Env, L> policy(*cell_, memory_, key_);
    team_.once([&] { Env::probe(cell_->env, env_, policy, out); });
  }

  /// Counts the joint step `now`, before anybody learns from it.
  CUMARL_HD void tally(const int* action, Episode episode, uint64_t now) {
    std::byte* const counts = memory_ + cell_->tally_at;
    const uint64_t most = cell_->stop.max_steps;
    team_.once([&] {
      auto* strategy = reinterpret_cast<double*>(counts);
      for (int i = 0; i < agents(); ++i) {
        L::strategy(cell_->learner[i], table(i), cursor_[i].observation, strategy);
        strategy += cell_->learner[i].actions;
      }
      Env::tally(cell_->env, action, episode, now >= most - most / 5, counts);
    });
  }

  /// Exploration words [first, first + count) of the run.
  CUMARL_HD CUMARL_INLINE const uint32_t* draw(uint64_t first, int count) {
    const uint64_t block = first / 4;
    const auto skipped = static_cast<int>(first % 4);
    if constexpr (Chunk > 1) {
      const int blocks = ((skipped + count + 3) / 4 + 31) / 32 * 32;
      philox_words(key_, block, Stream::explore, blocks, words_);
      return words_ + skipped;
    } else {
      for (int i = 0; i < count; ++i) {
        words_[i] = sequence_.at(key_, Stream::explore, first + static_cast<uint64_t>(i));
      }
      return words_;
    }
  }

  Team team_;
  uint32_t slot_;
  const CellT* cell_;
  StateT* saved_;
  std::byte* memory_;
  RunKey key_;
  typename Env::State env_;
  uint64_t t_;
  uint64_t last_change_;
  uint64_t end_;
  int changed_at_;
  bool strategies_wanted_;  ///< Transition::strategies has to be filled
  typename L::Cursor cursor_[kAgents];
  typename L::Memo memo_[kAgents];
  uint32_t keep_[kAgents][Chunk];
  uint32_t forced_[kAgents][Chunk];
  alignas(64) uint32_t words_[kWords];
  WordSequence sequence_;  ///< Chunk == 1: where words come from
};

/// Work on one slot at a time; what backends launch.
///
/// Starts a run: tables and initial state.
template <class Env, class L, class Team>
CUMARL_HD void start_run(const Team& team, const Rollout& r, uint32_t slot) {
  const Slot place = r.slots[slot];
  const auto& cell =
      *reinterpret_cast<const Cell<Env, L>*>(r.cells + place.cell * r.layout.cell_bytes);
  std::byte* memory = r.memory + slot * r.layout.memory_bytes;
  const RunKey key{r.seed, place.run};
  // what no table covers is zero, so that digests of the memory are defined
  const auto clear = [&](uint64_t from, uint64_t to) {
    for (uint64_t b = from + static_cast<uint64_t>(team.rank()); b < to;
         b += static_cast<uint64_t>(team.size())) {
      memory[b] = std::byte{0};
    }
  };
  for (int i = 0; i < cell.agents; ++i) {
    const uint64_t at = cell.table_at[i];
    const uint64_t end = at + L::bytes(cell.learner[i]);
    L::init(team, cell.learner[i], memory + at, key, i);
    clear(end, (end + 63) / 64 * 64);
  }
  clear(cell.probe_at, cell.memory_bytes);
  RunState<Env> state{};
  Rng rng(key, 0, Stream::reset);
  Env::reset(cell.env, state.env, rng);
  team.once([&] {
    *reinterpret_cast<RunState<Env>*>(r.states + slot * r.layout.state_bytes) = state;
    r.phase[slot] = SlotPhase::started;
  });
}

/// The chance moves of step t of an evaluation.
CUMARL_HD inline Rng evaluation_chance(RunKey key, uint64_t t) {
  return {key, (uint64_t{2} << 32) + t, Stream::evaluate};
}

/// The evaluated policies of a run's agents.
template <class Env, class L>
class Policy {
 public:
  CUMARL_HD Policy(const Cell<Env, L>& cell, std::byte* memory, RunKey key)
      : cell_(cell), memory_(memory), key_(key) {}

  /// The joint action in a state; `t` numbers the draws of a stochastic policy.
  CUMARL_HD void act(const typename Env::Params& p, const typename Env::State& s, int* actions,
                     uint64_t t = 0) const {
    Rng rng(key_, t, Stream::evaluate);
    const bool draws = !deterministic();
    for (int i = 0; i < cell_.agents; ++i) {
      std::byte* const memory = memory_ + cell_.table_at[i];
      const auto cursor =
          L::arrive(SerialTeam{}, cell_.learner[i], memory, Env::observe_index(p, s, i));
      actions[i] =
          static_cast<int>(L::evaluate(cell_.learner[i], memory, cursor, draws ? rng.word() : 0));
    }
  }
  /// One joint step of the policies from `s`, its chance moves and draws numbered by `t`. `values`
  /// [agents]: the actions, as numbers.
  CUMARL_HD Episode play(const typename Env::Params& p, typename Env::State& s, double* values,
                         float* rewards, uint64_t t) const {
    int action[Env::kMaxAgents] = {};
    act(p, s, action, t);
    for (int i = 0; i < cell_.agents; ++i) {
      if constexpr (requires { Env::action_value(p, i, 0); }) {
        values[i] = Env::action_value(p, i, action[i]);
      } else {
        values[i] = action[i];
      }
    }
    Rng chance = evaluation_chance(key_, t);
    return Env::step(p, s, action, rewards, chance);
  }
  /// The probabilities of an agent's actions in a state, [actions].
  CUMARL_HD void distribution(const typename Env::Params& p, const typename Env::State& s,
                              int agent, double* out) const {
    std::byte* const memory = memory_ + cell_.table_at[agent];
    const uint32_t observation = Env::observe_index(p, s, agent);
    if constexpr (L::kAgentwise) {
      L::policy(cell_.learner[agent], memory, observation, out);
    } else {
      L::policy(cell_.learner[agent],
                L::arrive(SerialTeam{}, cell_.learner[agent], memory, observation), out);
    }
  }
  /// Whether everybody's policy is; the same for all runs of a cell.
  CUMARL_HD bool deterministic() const {
    if constexpr (L::kAgentwise) {
      for (int i = 0; i < cell_.agents; ++i) {
        if (!L::deterministic(cell_.learner[i])) return false;
      }
      return true;
    } else {
      return L::kGreedyPolicy;
    }
  }
  CUMARL_HD double discount(int agent) const { return L::discount(cell_.learner[agent]); }
  CUMARL_HD const Evaluation& evaluation() const { return cell_.evaluation; }
  CUMARL_HD RunKey key() const { return key_; }

  /// What Env::probe reported at the end of step (k + 1) * points_every().
  CUMARL_HD uint32_t points() const { return cell_.probe_every > 0 ? cell_.evaluation.points : 0; }
  CUMARL_HD uint64_t points_every() const { return cell_.probe_every; }
  /// What Env::tally has counted; null where it was not asked to.
  CUMARL_HD std::byte* tally() const {
    return can_tally<Env, L>() && cell_.evaluation.measures ? memory_ + cell_.tally_at : nullptr;
  }
  /// Working memory of Env::scratch_bytes, 64-byte aligned.
  CUMARL_HD std::byte* scratch() const { return memory_ + cell_.scratch_at; }
  CUMARL_HD const double* point(uint32_t k) const {
    return reinterpret_cast<const double*>(memory_ + cell_.probe_at) +
           static_cast<size_t>(k) * cell_.probe_width;
  }

 private:
  const Cell<Env, L>& cell_;
  std::byte* memory_;
  RunKey key_;
};

/// Adds up every agent's rewards over `evaluation.episodes` episodes in total [agents]; returns the
/// joint steps.
template <class Env, class PolicyT>
CUMARL_HD uint64_t play_episodes(const typename Env::Params& p, const PolicyT& policy,
                                 double* total) {
  const int n = Env::agents(p);
  uint64_t t = 0;
  const uint32_t episodes = policy.evaluation().episodes;
  for (uint32_t e = 0; e < episodes; ++e) {
    typename Env::State state{};
    Rng fresh(policy.key(), (uint64_t{1} << 32) + e, Stream::evaluate);
    Env::reset(p, state, fresh);
    for (Episode episode = Episode::goes_on; episode == Episode::goes_on; ++t) {
      double value[Env::kMaxAgents] = {};
      float reward[Env::kMaxAgents] = {};
      episode = policy.play(p, state, value, reward, t);
      for (int i = 0; i < n; ++i) total[i] += static_cast<double>(reward[i]);
    }
  }
  return t;
}

/// Evaluation of episodic environments: mean return and length over `evaluation.episodes`, then
/// what the environment says of the policies themselves (judge_policies), if it does.
template <class Env, class PolicyT, class Sink>
CUMARL_HD void evaluate_episodes(const typename Env::Params& p, const PolicyT& policy, Sink& sink) {
  const int n = Env::agents(p);
  double total[Env::kMaxAgents] = {};
  const uint64_t t = play_episodes<Env>(p, policy, total);
  const uint32_t episodes = policy.evaluation().episodes;
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += total[i];
  sink.metric("episode_return", sum / episodes);
  for (int i = 0; i < n; ++i) sink.metric("episode_return", total[i] / episodes, i);
  sink.metric("episode_length", static_cast<double>(t) / episodes);
  if constexpr (requires { Env::judge_policies(p, policy, sink); }) {
    Env::judge_policies(p, policy, sink);
  }
}

template <class Env, class PolicyT, class Sink>
CUMARL_HD void evaluate_run(const typename Env::Params& p, const typename Env::State& last,
                            const PolicyT& policy, const RunFacts& facts, Sink& sink) {
  if constexpr (requires { Env::evaluate(p, last, policy, facts, sink); }) {
    Env::evaluate(p, last, policy, facts, sink);
  } else {
    evaluate_episodes<Env>(p, policy, sink);
  }
}

/// A 64-bit digest of `count` bytes, a multiple of 8: the same on every backend.
CUMARL_HD inline uint64_t digest(const std::byte* bytes, uint64_t count, uint64_t hash) {
  const auto* words = reinterpret_cast<const uint64_t*>(bytes);
  for (uint64_t i = 0; i < count / 8; ++i) {
    hash = (hash ^ words[i]) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  return hash;
}

/// The first kOutcomeHead numbers of an outcome row.
template <class Env>
CUMARL_HD void write_head(const RunState<Env>& state, uint64_t digest, double* out) {
  out[0] = static_cast<double>(state.status);
  out[1] = static_cast<double>(state.t);
  out[2] = static_cast<double>(state.last_change);
  out[3] = static_cast<double>(digest >> 32);
  out[4] = static_cast<double>(digest & 0xFFFFFFFFu);
}

/// Evaluates a finished run and writes its outcome row.
template <class Env, class L>
CUMARL_HD void finish_run(const Rollout& r, uint32_t slot) {
  const Slot place = r.slots[slot];
  const auto& cell =
      *reinterpret_cast<const Cell<Env, L>*>(r.cells + place.cell * r.layout.cell_bytes);
  const auto& state =
      *reinterpret_cast<const RunState<Env>*>(r.states + slot * r.layout.state_bytes);
  std::byte* memory = r.memory + slot * r.layout.memory_bytes;
  const Policy<Env, L> policy(cell, memory, {r.seed, place.run});
  double* out = r.outcomes + size_t{slot} * r.outcome_count;
  const uint64_t hash = digest(memory, cell.memory_bytes, state.t);
  write_head(state, hash, out);
  OutcomeWriter sink(out + kOutcomeHead);
  evaluate_run<Env>(cell.env, state.env, policy,
                    RunFacts{state.t, state.last_change, state.status == RunStatus::converged},
                    sink);
}

/// Advances one run by up to r.budget steps, the plain way.
template <class LaneT, class Team>
CUMARL_HD void advance_run(const Team& team, const Rollout& r, uint32_t slot) {
  LaneT lane;
  lane.load(team, r, slot);
  for (auto steps = static_cast<int>(lane.room()); steps > 0;
       steps = static_cast<int>(lane.room())) {
    lane.prepare(steps);
    for (int k = 0; k < steps; ++k) lane.step(k);
    lane.commit(steps);
  }
  const SlotPhase phase = lane.store();
  team.once([&] { r.phase[slot] = phase; });
}

}  // namespace cumarl::inline CUMARL_VARIANT
