/// \file
/// The fused loop of joint learners (kernels/linear/joint_learner.hpp): a team of lanes advances a
/// run, whose learner sees the features of all agents. Start and evaluation of a run as well.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernels/core/launch.hpp"
#include "kernels/linear/joint_learner.hpp"
#include "kernels/rollout/joint_perturbation.hpp"
#include "kernels/rollout/rollout.hpp"

namespace cumarl::inline CUMARL_VARIANT {

extern template struct AnyJointOf<SerialTeam>;

/// Parameters of one cell of an experiment, as kernels read them.
template <class Env>
struct JointCell {
  typename Env::Params env;
  JointParams learner;
  Stop stop;
  Evaluation evaluation;
  uint64_t probe_at;     ///< double [evaluation.points]: mean returns of an episode
  uint64_t probe_every;  ///< joint steps; 0: no probes
  uint64_t scratch_at;   ///< working memory of the evaluation, Env::scratch_bytes
  uint64_t memory_bytes;
};

/// Numbers of the global features.
template <class Env>
CUMARL_HD int global_features(const typename Env::Params& p) {
  if constexpr (requires { Env::global_features(p); }) {
    return Env::global_features(p);
  } else {
    int count = 0;
    for (int i = 0; i < Env::agents(p); ++i) count += Env::features(p, i);
    return count;
  }
}

/// Whether a joint learner can play an environment: kMaxJointAgents agents or fewer.
template <class Env>
constexpr bool plays_jointly() {
  return Env::kMaxAgents <= kMaxJointAgents;
}

/// Whether an environment states what a joint step costs its agents:
///   costs(p, before, actions, after, out)
/// from the states before and after it and the actions as numbers, double [agents]: the position on
/// the grid or what Env::action_value makes of it. Writes float [agents].
template <class Env>
concept HasCosts = requires(const typename Env::Params& p, const typename Env::State& s,
                            const double* actions, float* out) {
  Env::costs(p, s, actions, s, out);
};

/// Writes what a learner is to see of a state to the place for raw features, as it is perturbed by
/// noise at `moment`, if one is given, and table indices to `index` [agents]. Returns whether
/// observations are attacked then, which is left to the caller.
template <class Env, class Team>
CUMARL_HD bool observe_all(const Team& team, const JointCell<Env>& cell,
                           const typename Env::State& s, std::byte* memory, uint32_t* index,
                           const Moment* moment) {
  const JointParams& p = cell.learner;
  auto* const raw = reinterpret_cast<float*>(memory + p.raw_at);
  for (int i = 0; i < p.agents; ++i) {
    if (i % Team::size() == team.rank() && p.reads_raw(i)) {
      Env::observe(cell.env, s, i, raw + i * p.raw_pitch);
    }
    const bool indexed = i < p.views && p.basis[i].kind == Basis::kOneHot;
    index[i] = indexed ? Env::observe_index(cell.env, s, i) : 0;
  }
  team.sync();
  if (!p.skips_global) {
    float* const global = raw + p.agents * p.raw_pitch;
    if constexpr (requires { Env::observe_global(cell.env, s, global); }) {
      if (team.rank() == 0) Env::observe_global(cell.env, s, global);
    } else {
      if (team.rank() == 0) {
        int at = 0;
        for (int i = 0; i < p.agents; ++i) {
          for (int k = 0; k < p.basis[i].inputs; ++k) global[at++] = raw[i * p.raw_pitch + k];
        }
      }
    }
    team.sync();
  }
  if (moment == nullptr || !p.perturb.blurs(*moment)) return false;
  if (p.perturb.attacks(*moment)) return true;
  for (int i = team.rank(); i < p.agents; i += Team::size()) {
    p.perturb.add_noise(*moment, i, p.basis[i], raw + i * p.raw_pitch);
  }
  team.sync();
  return false;
}

/// Shows a state to the learner, in place `which`; as it is perturbed at `moment`, if one is given.
template <class Env, class Team>
CUMARL_HD void show(const Team& team, const JointCell<Env>& cell, const typename Env::State& s,
                    std::byte* memory, int which, const Moment* moment = nullptr) {
  uint32_t index[kMaxJointAgents];
  const bool attacked = observe_all<Env>(team, cell, s, memory, index, moment);
  AnyJointOf<Team>::see(team, cell.learner, memory, index, which);
  if (attacked) attack_observations(team, cell.learner, memory, which);
}

/// Takes a joint action.
template <class Env>
CUMARL_HD Episode take(const JointCell<Env>& cell, typename Env::State& s,
                       const JointAction& actions, float* rewards, Rng& rng) {
  if constexpr (requires { Env::step_real(cell.env, s, actions.value, rewards, rng); }) {
    if (cell.learner.real) return Env::step_real(cell.env, s, actions.value, rewards, rng);
  }
  return Env::step(cell.env, s, actions.action, rewards, rng);
}

/// The actions as numbers, [agents].
template <class Env>
CUMARL_HD void action_numbers(const JointCell<Env>& cell, const JointAction& actions, double* out) {
  for (int i = 0; i < cell.learner.agents; ++i) {
    out[i] = cell.learner.real ? actions.value[i] : actions.action[i];
    if constexpr (requires { Env::action_value(cell.env, i, 0); }) {
      if (!cell.learner.real) out[i] = Env::action_value(cell.env, i, actions.action[i]);
    }
  }
}

/// The evaluated policies of a run's agents, from the start of an episode on; the counterpart of
/// Policy. Policies that remember forget when `play` ends an episode.
template <class Env>
class JointPolicy {
 public:
  /// `place`: where the learner may be shown states, see show().
  CUMARL_HD JointPolicy(const JointCell<Env>& cell, std::byte* memory, RunKey key, int place = 0)
      : cell_(cell), memory_(memory), key_(key), place_(place) {
    begin();
  }

  /// The joint action in a state; `t` numbers the draws. Where actions are real they are nobody's
  /// number: use play().
  CUMARL_HD void act(const typename Env::Params&, const typename Env::State& s, int* actions,
                     uint64_t t = 0) const {
    const JointAction chosen = choose(s, t);
    for (int i = 0; i < cell_.learner.agents; ++i) actions[i] = chosen.action[i];
  }
  /// See Policy::play.
  CUMARL_HD Episode play(const typename Env::Params&, typename Env::State& s, double* values,
                         float* rewards, uint64_t t) const {
    const JointAction chosen = choose(s, t);
    action_numbers<Env>(cell_, chosen, values);
    Rng chance = evaluation_chance(key_, t);
    const Episode episode = take<Env>(cell_, s, chosen, rewards, chance);
    if (episode != Episode::goes_on) begin();
    return episode;
  }
  /// The probabilities of an agent's actions in a state, [actions], at the start of an episode and
  /// without any perturbation. Pre: they are numbered.
  CUMARL_HD void distribution(const typename Env::Params&, const typename Env::State& s, int agent,
                              double* out) const {
    begin();
    show<Env>(SerialTeam{}, cell_, s, memory_, place_);
    AnyJointOf<SerialTeam>::policy(SerialTeam{}, cell_.learner, memory_, place_, agent, out);
  }
  CUMARL_HD bool deterministic() const {
    return cell_.learner.greedy && !cell_.learner.perturb.unsettles();
  }
  CUMARL_HD double discount(int) const { return cell_.learner.gamma; }
  CUMARL_HD const Evaluation& evaluation() const { return cell_.evaluation; }
  CUMARL_HD RunKey key() const { return key_; }
  CUMARL_HD uint32_t points() const { return 0; }
  CUMARL_HD uint64_t points_every() const { return 0; }
  CUMARL_HD std::byte* scratch() const { return memory_ + cell_.scratch_at; }
  CUMARL_HD const double* point(uint32_t) const { return nullptr; }
  /// Mean entropy of the agents' policies over what has been played, as a share of the greatest one
  /// there is. Pre: actions are numbered and drawn.
  CUMARL_HD double entropy() const { return judged_ > 0 ? entropy_ / judged_ : 0; }

 private:
  CUMARL_HD void note_entropy(const double* probabilities, int actions) const {
    double sum = 0;
    for (int a = 0; a < actions; ++a) {
      if (probabilities[a] > 0) sum -= probabilities[a] * portable_log(probabilities[a]);
    }
    entropy_ += actions > 1 ? sum / portable_log(static_cast<double>(actions)) : 0.0;
    judged_ += 1;
  }
  CUMARL_HD void begin() const {
    AnyJointOf<SerialTeam>::begin(SerialTeam{}, cell_.learner, memory_);
  }
  CUMARL_HD JointAction choose(const typename Env::State& s, uint64_t t) const {
    const JointParams& p = cell_.learner;
    const Moment moment{key_, t, true};
    show<Env>(SerialTeam{}, cell_, s, memory_, place_, &moment);
    Rng rng(key_, t, Stream::evaluate);
    JointAction chosen{};
    double out[kMaxJointActions] = {};
    for (int i = 0; i < p.agents; ++i) {
      AnyJointOf<SerialTeam>::policy(SerialTeam{}, p, memory_, place_, i, out);
      if (p.real) {
        chosen.value[i] = out[0];
        continue;
      }
      if (p.greedy) {
        chosen.action[i] = top_of(out, p.actions[i]);
        continue;
      }
      note_entropy(out, p.actions[i]);
      double left = unit_double(rng.word());
      int a = 0;
      for (; a + 1 < p.actions[i]; ++a) {
        left -= out[a];
        if (left < 0) break;
      }
      chosen.action[i] = a;
    }
    if (p.perturb.replaces(moment)) {
      replace_actions(SerialTeam{}, p, memory_, place_, moment, chosen);
    }
    return chosen;
  }

  const JointCell<Env>& cell_;
  std::byte* memory_;
  RunKey key_;
  int place_;
  mutable double entropy_ = 0, judged_ = 0;
};

/// Whether a run can be evaluated on its way: it consists of episodes that evaluate_episodes plays.
template <class Env>
constexpr bool has_learning_curve() {
  return !requires(const typename Env::Params& p, const typename Env::State& s,
                   const JointPolicy<Env>& policy, const RunFacts& facts, OutcomeWriter& sink) {
    Env::evaluate(p, s, policy, facts, sink);
  };
}

/// What all agents together get in an episode of the evaluation, on average.
template <class Env>
CUMARL_HD double mean_return(const JointCell<Env>& cell, const JointPolicy<Env>& policy) {
  double total[Env::kMaxAgents] = {};
  play_episodes<Env>(cell.env, policy, total);
  double sum = 0;
  for (int i = 0; i < cell.learner.agents; ++i) sum += total[i];
  return sum / cell.evaluation.episodes;
}

/// One run in flight.
template <class Env, class Team>
class JointLane {
 public:
  using CellT = JointCell<Env>;
  using StateT = RunState<Env>;

  /// Takes up a run where its state left it.
  CUMARL_HD void load(const Team& team, const Rollout& r, uint32_t slot) {
    team_ = team;
    const Slot place = r.slots[slot];
    cell_ = reinterpret_cast<const CellT*>(r.cells + place.cell * r.layout.cell_bytes);
    saved_ = reinterpret_cast<StateT*>(r.states + slot * r.layout.state_bytes);
    memory_ = r.memory + slot * r.layout.memory_bytes;
    key_ = {r.seed, place.run};
    env_ = saved_->env;
    t_ = saved_->t;
    end_ = t_ + r.budget < t_ ? ~uint64_t{0} : t_ + r.budget;
    if (end_ > cell_->stop.max_steps) end_ = cell_->stop.max_steps;
    at_ = 0;
    chosen_ = {};
    acted_ = false;
    if (cell_->learner.perturb.attacks(now()) && head().shown > 0) {
      at_ = head().shown - 1;
    } else {
      look(at_);
    }
  }

  /// Whether there is a step to take.
  CUMARL_HD bool goes_on() const { return t_ < end_ && head().diverged < 0; }

  /// Takes one step. `more`: the caller takes another one if the run goes on; then its joint action
  /// may be chosen at once, and store() must not come between.
  CUMARL_HD void step(bool more) {
    const JointParams& p = cell_->learner;
    uint32_t words[kMaxJointAgents];
    if (!acted_) {
      draw(words, p.agents);
      AnyJointOf<Team>::act(team_, p, memory_, at_, words, t_, chosen_);
    }
    acted_ = false;
    float reward[kMaxJointAgents];
    for (int i = 0; i < p.agents; ++i) reward[i] = 0;
    const Episode episode = play(chosen_, reward);
    const JointStep step{&chosen_, reward, episode, t_, key_};
    ++t_;
    bool turned = false;
    if constexpr (Team::size() == 1) {
      const Moment moment = now();
      if (!p.perturb.attacks(moment)) {
        uint32_t index[kMaxJointAgents];
        observe_all<Env>(team_, *cell_, env_, memory_, index, &moment);
        const bool ahead = more && t_ < end_ && episode == Episode::goes_on && !probes_now();
        if (ahead) draw(words, p.agents);
        acted_ = AnyJointOf<Team>::turn(team_, p, memory_, index, at_, step,
                                        ahead ? words : nullptr, chosen_);
        turned = true;
      }
    }
    if (!turned) {
      look(1 - at_);
      AnyJointOf<Team>::learn(team_, p, memory_, at_, step);
    }
    at_ = 1 - at_;
    if (episode != Episode::goes_on) {
      Rng fresh(key_, t_, Stream::reset);
      Env::reset(cell_->env, env_, fresh);
      look(at_);
    }
    if constexpr (has_learning_curve<Env>()) {
      if (probes_now()) probe();
    }
  }

  /// Saves the run.
  CUMARL_HD SlotPhase store() {
    RunStatus status = RunStatus::running;
    const int diverged = head().diverged;
    if (diverged >= 0) {
      status = RunStatus::diverged;
    } else if (t_ >= cell_->stop.max_steps) {
      status = RunStatus::out_of_steps;
    }
    const uint64_t agent = diverged >= 0 ? static_cast<uint64_t>(diverged) : 0;
    const bool attacked = cell_->learner.perturb.attacks(now());
    team_.once([&] {
      *saved_ = StateT{env_, t_, agent, status};
      if (attacked) reinterpret_cast<JointHead*>(memory_)->shown = at_ + 1;
    });
    return phase_of(status);
  }

 private:
  CUMARL_HD Moment now() const { return {key_, t_, false}; }

  /// Whether the policies are evaluated before step t_.
  CUMARL_HD bool probes_now() const {
    return has_learning_curve<Env>() && cell_->probe_every > 0 && t_ % cell_->probe_every == 0;
  }

  /// Shows the present state in a place, as it is perturbed at step t_.
  CUMARL_HD void look(int place) {
    const Moment moment = now();
    show<Env>(team_, *cell_, env_, memory_, place, &moment);
  }

  /// Plays the joint action that was chosen for step t_; writes the rewards that are learnt from.
  CUMARL_HD Episode play(const JointAction& chosen, float* reward) {
    const JointParams& p = cell_->learner;
    const Moment moment = now();
    if (p.perturb.replaces(moment)) {
      JointAction played = chosen;
      replace_actions(team_, p, memory_, at_, moment, played);
      return play_these(played, reward);
    }
    return play_these(chosen, reward);
  }

  /// Plays this joint action.
  CUMARL_HD Episode play_these(const JointAction& played, float* reward) {
    Rng rng(key_, t_, Stream::dynamics);
    if constexpr (HasCosts<Env>) {
      if (cell_->learner.constraint.on) return play_charged(played, reward, rng);
    }
    const Episode episode = take<Env>(*cell_, env_, played, reward, rng);
    misread(reward);
    return episode;
  }

  /// The same where costs are limited.
  CUMARL_HD Episode play_charged(const JointAction& played, float* reward, Rng& rng) {
    const JointParams& p = cell_->learner;
    const typename Env::State before = env_;
    double numbers[kMaxJointAgents] = {};
    float cost[kMaxJointAgents] = {};
    action_numbers<Env>(*cell_, played, numbers);
    const Episode episode = take<Env>(*cell_, env_, played, reward, rng);
    misread(reward);
    Env::costs(cell_->env, before, numbers, env_, cost);
    p.constraint.charge(team_, p.agents, cost, episode, ledger(), reward);
    return episode;
  }

  CUMARL_HD void misread(float* reward) const {
    const JointParams& p = cell_->learner;
    if (p.perturb.reward == Perturbation::kPaid) return;
    for (int i = 0; i < p.agents; ++i) reward[i] = p.perturb.misread(now(), i, reward[i]);
  }

  CUMARL_HD Constraint::Ledger& ledger() const {
    return *reinterpret_cast<Constraint::Ledger*>(memory_ + cell_->learner.ledger_at);
  }
  CUMARL_HD const JointHead& head() const { return *reinterpret_cast<const JointHead*>(memory_); }

  /// Evaluates the policies of this moment.
  CUMARL_HD void probe() {
    const uint64_t point = t_ / cell_->probe_every - 1;
    if (point >= cell_->evaluation.points || head().diverged >= 0) return;
    team_.sync();
    team_.once([&] {
      const JointPolicy<Env> policy(*cell_, memory_, key_, 1 - at_);
      reinterpret_cast<double*>(memory_ + cell_->probe_at)[point] = mean_return(*cell_, policy);
    });
    team_.sync();
  }

  /// The exploration words of this step: numbers t * agents + i of the run's.
  CUMARL_HD void draw(uint32_t* words, int n) {
    for (int i = 0; i < n; ++i) {
      words[i] = words_.at(key_, Stream::explore,
                           t_ * static_cast<uint64_t>(n) + static_cast<uint64_t>(i));
    }
  }

  Team team_;
  const CellT* cell_;
  StateT* saved_;
  std::byte* memory_;
  RunKey key_;
  typename Env::State env_;
  uint64_t t_;
  uint64_t end_;
  int at_;  ///< the place of what is seen now; the other one is for what comes next
  JointAction chosen_;
  bool acted_;  ///< chosen_ is the joint action of step t_, which is still to be taken
  WordSequence words_;
};

/// Starts a run: weights and initial state.
template <class Env, class Team>
CUMARL_HD void start_joint_run(const Team& team, const Rollout& r, uint32_t slot) {
  const Slot place = r.slots[slot];
  const auto& cell =
      *reinterpret_cast<const JointCell<Env>*>(r.cells + place.cell * r.layout.cell_bytes);
  std::byte* const memory = r.memory + slot * r.layout.memory_bytes;
  const RunKey key{r.seed, place.run};
  for (uint64_t b = static_cast<uint64_t>(team.rank()); b < cell.memory_bytes;
       b += static_cast<uint64_t>(Team::size())) {
    memory[b] = std::byte{0};
  }
  team.sync();
  AnyJointOf<Team>::init(team, cell.learner, memory, key);
  if (cell.learner.constraint.on) {
    auto& ledger = *reinterpret_cast<Constraint::Ledger*>(memory + cell.learner.ledger_at);
    cell.learner.constraint.open(team, cell.learner.agents, ledger);
  }
  RunState<Env> state{};
  Rng rng(key, 0, Stream::reset);
  Env::reset(cell.env, state.env, rng);
  team.once([&] {
    *reinterpret_cast<RunState<Env>*>(r.states + slot * r.layout.state_bytes) = state;
    r.phase[slot] = SlotPhase::started;
  });
}

/// Evaluation of limited costs: what an agent's costs come to on average when the evaluated policies
/// play `evaluation.episodes` episodes, or in an endless environment `evaluation.steps` joint steps
/// from the state `last`; and the multipliers at the end of the run.
template <class Env, class Sink>
CUMARL_HD void evaluate_costs(const JointCell<Env>& cell, const typename Env::State& last,
                              const JointPolicy<Env>& policy, std::byte* memory, Sink& sink) {
  const JointParams& p = cell.learner;
  constexpr uint64_t kFirstPlay = uint64_t{8} << 32;  // draws apart from those of other measures
  constexpr uint64_t kFirstReset = uint64_t{16} << 32;
  const uint64_t steps = policy.evaluation().steps;
  const uint64_t episodes = policy.evaluation().episodes;
  double total[kMaxJointAgents] = {};
  typename Env::State s = last;
  uint64_t ends = 0;
  bool begins = !p.constraint.per_step;
  for (uint64_t t = 0; p.constraint.per_step ? t < steps : ends < episodes; ++t) {
    if (begins) {
      Rng fresh(policy.key(), kFirstReset + ends, Stream::evaluate);
      Env::reset(cell.env, s, fresh);
    }
    const typename Env::State before = s;
    double numbers[kMaxJointAgents] = {};
    float reward[kMaxJointAgents] = {};
    float cost[kMaxJointAgents] = {};
    begins = policy.play(cell.env, s, numbers, reward, kFirstPlay + t) != Episode::goes_on;
    Env::costs(cell.env, before, numbers, s, cost);
    for (int i = 0; i < p.agents; ++i) total[i] += static_cast<double>(cost[i]);
    if (begins) ++ends;
  }
  const auto& ledger = *reinterpret_cast<const Constraint::Ledger*>(memory + p.ledger_at);
  const auto count = static_cast<double>(p.constraint.per_step ? steps : episodes);
  for (int i = 0; i < p.agents; ++i) {
    sink.metric(p.constraint.per_step ? "cost_per_step" : "episode_cost", total[i] / count, i);
  }
  for (int i = 0; i < p.agents; ++i) sink.metric("multiplier", ledger.multiplier[i], i);
}

/// All measures of a finished run.
template <class Env, class Sink>
CUMARL_HD void evaluate_joint_run(const JointCell<Env>& cell, const typename Env::State& last,
                                  const JointPolicy<Env>& policy, std::byte* memory,
                                  const RunFacts& facts, Sink& sink) {
  evaluate_run<Env>(cell.env, last, policy, facts, sink);
  if (!cell.learner.greedy && !cell.learner.real) {
    sink.metric("policy_entropy", policy.entropy());
  }
  if constexpr (HasCosts<Env>) {
    if (cell.learner.constraint.on) evaluate_costs<Env>(cell, last, policy, memory, sink);
  }
  if (cell.probe_every == 0) return;
  const auto* const points = reinterpret_cast<const double*>(memory + cell.probe_at);
  for (uint32_t k = 0; k < cell.evaluation.points; ++k) {
    sink.curve("episode_return_over_time", static_cast<int>(k), points[k]);
  }
}

/// Evaluates a finished run and writes its outcome row, which is zero behind the head for a run
/// that has diverged.
template <class Env>
CUMARL_HD void finish_joint_run(const Rollout& r, uint32_t slot) {
  const Slot place = r.slots[slot];
  const auto& cell =
      *reinterpret_cast<const JointCell<Env>*>(r.cells + place.cell * r.layout.cell_bytes);
  const auto& state =
      *reinterpret_cast<const RunState<Env>*>(r.states + slot * r.layout.state_bytes);
  std::byte* const memory = r.memory + slot * r.layout.memory_bytes;
  double* const out = r.outcomes + size_t{slot} * r.outcome_count;
  if (state.status == RunStatus::diverged) {
    write_head(state, 0, out);
    for (uint32_t k = kOutcomeHead; k < r.outcome_count; ++k) out[k] = 0;
    return;
  }
  const JointParams& p = cell.learner;
  write_head(state, digest(memory + p.learner_at, p.bytes - p.learner_at, state.t), out);
  OutcomeWriter sink(out + kOutcomeHead);
  const JointPolicy<Env> policy(cell, memory, {r.seed, place.run});
  evaluate_joint_run<Env>(cell, state.env, policy, memory,
                          RunFacts{state.t, state.last_change, false}, sink);
}

/// Advances one run by up to r.budget steps.
template <class Env, class Team>
CUMARL_HD void advance_joint_run(const Team& team, const Rollout& r, uint32_t slot) {
  JointLane<Env, Team> lane;
  lane.load(team, r, slot);
  while (lane.goes_on()) lane.step(true);
  const SlotPhase phase = lane.store();
  team.once([&] { r.phase[slot] = phase; });
}

template <class Env>
void cpu_start_joint(const CpuBackend& backend, const Rollout& r) {
  launch(backend, r.live_count,
         [&r](uint64_t i) { start_joint_run<Env>(SerialTeam{}, r, r.live[i]); });
}

/// One worker: keeps up to `most` runs in flight, interleaved step by step, so that one's chain of
/// action, state, values and update hides behind the others' arithmetic.
template <class Env>
void advance_joint_worker(const Rollout& r, std::atomic<uint32_t>& next, int most) {
  JointLane<Env, SerialTeam> lanes[CpuJointPolicy::kLanes];
  uint32_t slots[CpuJointPolicy::kLanes];
  int active = 0;
  const auto interrupted = [&r] { return r.interrupt->load(std::memory_order_relaxed); };
  const auto take = [&](int l) {
    if (interrupted()) return false;
    const uint32_t i = next++;
    if (i >= r.live_count) return false;
    slots[l] = r.live[i];
    lanes[l].load(SerialTeam{}, r, slots[l]);
    return true;
  };
  while (active < most && take(active)) ++active;
  while (active > 0) {
    uint64_t steps = 0;
    for (int k = 0; k < CpuJointPolicy::kChunk; ++k) {
      for (int l = 0; l < active; ++l) {
        if (!lanes[l].goes_on()) continue;
        lanes[l].step(k + 1 < CpuJointPolicy::kChunk);
        ++steps;
      }
    }
    r.progress->fetch_add(steps, std::memory_order_relaxed);
    const bool stops = interrupted();
    for (int l = 0; l < active;) {
      if (lanes[l].goes_on() && !stops) {
        ++l;
        continue;
      }
      r.phase[slots[l]] = lanes[l].store();
      if (take(l)) {
        ++l;
      } else if (l != --active) {
        lanes[l] = lanes[active];
        slots[l] = slots[active];
      }
    }
  }
}

/// Few runs are spread over the workers rather than interleaved in one.
template <class Env>
void cpu_advance_joint(const CpuBackend& backend, const Rollout& r) {
  struct Job {
    const Rollout& r;
    int most;
    std::atomic<uint32_t> next{0};
  } job{r, 1};
  if (r.live_count == 0) return;
  const auto threads = static_cast<uint64_t>(backend.threads());
  const uint64_t share = (r.live_count + threads - 1) / threads;
  const auto* const cells = r.cells + r.slots[r.live[0]].cell * r.layout.cell_bytes;
  const uint64_t bytes = reinterpret_cast<const JointCell<Env>*>(cells)->learner.bytes;
  const CpuJointPolicy& policy = r.policies->cpu_joint;
  const uint64_t fit = std::max<uint64_t>(1, policy.bytes / (bytes + 1));
  job.most = static_cast<int>(std::min({fit, share, policy.lanes}));
  backend.parallel(
      [](void* context, int) {
        auto& shared = *static_cast<Job*>(context);
        advance_joint_worker<Env>(shared.r, shared.next, shared.most);
      },
      &job);
}

template <class Env>
void cpu_finish_joint(const CpuBackend& backend, const Rollout& r) {
  launch(backend, r.live_count, [&r](uint64_t i) { finish_joint_run<Env>(r, r.live[i]); });
}

/// The loops of joint learners on an environment.
template <class Env>
Kernels<CpuBackend> cpu_joint_kernels() {
  if constexpr (plays_jointly<Env>()) {
    return {&cpu_start_joint<Env>, &cpu_advance_joint<Env>, &cpu_finish_joint<Env>};
  } else {
    return {};
  }
}

}  // namespace cumarl::inline CUMARL_VARIANT
