/// \file
/// Deep Q-learning of all agents together through a mixer (mixer.hpp).
#pragma once

#include <cstdint>
#include <string>

#include "kernels/batched/settings.hpp"
#include "kernels/linear/joint_learner.hpp"
#include "kernels/linear/optimizer.hpp"
#include "kernels/mixing/mixer.hpp"
#include "kernels/mixing/priorities.hpp"
#include "kernels/mixing/replay.hpp"
#include "kernels/mixing/utilities.hpp"
#include "kernels/tabular/action_choice.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Utilities Q_i(x_i, u_i) and a mixer Q(s, u) of them descend the mean over the joint steps of a
/// sample of episodes of
///   (r + gamma Q'(s', u') - Q(s, u))^2   (+ the mixer's constraints)
/// with r the sum (or mean) of the agents' rewards over `reward_scale`, Q' of target networks, and
/// u' the greedy actions by the utilities (`double_q`) or by their targets; a step that ended its
/// episode has no u', one that a time limit cut has. Every `every`-th time that an episode, or a
/// piece of `replay.steps` steps of one, has been kept, `batch` of those kept are drawn (with
/// replacement) and learned from: each as likely, or by priorities (priorities.hpp), of which a new
/// episode has the largest so far; the error of an episode is .9 of its largest |Q - target| and .1 of their
/// mean. A mixer with `kIndependent` mixes nothing: the loss of a joint step is the sum of the
/// agents'
///   (r_i + gamma Q_i'(x_i', u_i') - Q_i(x_i, u_i))^2.
/// The sample is worked through in chunks of up to kSteps joint steps, whose activations and
/// generated weights stay in the run's working memory. Memory of a run: see make().
/// Recurrent utilities go through kSteps episodes of the sample at a time, the longest ones first,
/// so that those that have a step t are the first rows of it; the gradient goes back through all
/// steps of an episode, or of a piece of one, whose hidden state is zero at its start.
/// Source: the mixer's; van Hasselt, Guez, Silver, "Deep Reinforcement Learning with Double
/// Q-learning", AAAI 2016; the error of an episode: Kapturowski et al., "Recurrent Experience
/// Replay in Distributed Reinforcement Learning", ICLR 2019. Deviation: sampling with replacement;
/// one environment a run; with lanes many, see kernels/batched/.
template <class RealT, template <class> class Mixer>
struct ValueDecomposition {
  using Real = RealT;
  using Mix = Mixer<Real>;
  using Agents = Utilities<Real>;
  using Memory = Replay<Real>;
  static constexpr LearnerFacts kFacts = Mix::kFacts;
  static constexpr Acts kActs = Acts::numbered;
  static constexpr bool kGreedy = true;
  static constexpr int kSteps = 32;           ///< of a chunk
  static constexpr int kPlaces = 2 * kSteps;  ///< with what follows them
  static constexpr int kMaxBatch = 1024;      ///< with one lane
  static constexpr bool kConstrains = requires { &Mix::template constrain<SerialTeam>; };
  static constexpr bool kIndependent = requires { Mix::kIndependent; };
  enum Reward : int32_t { kSum, kMean, kOwn };
  enum ReplayKind : int32_t { kUniform, kPrioritised };

  struct Config : JointConfig {
    double alpha = 5e-4;
    double alpha_end = 0.0;
    int alpha_updates = 0;
    double gamma = 0.99;
    Exploration::Config exploration;
    typename Agents::Config utility;
    typename Mix::Config mixer;
    typename Optimizer<Real>::Config optimizer;
    int batch = 32;
    Choice replay_kind{kUniform};
    int slots = 512;
    int steps = 1;
    double exponent = 0.6;
    double epsilon = 1e-6;
    double beta = 0.4;
    int beta_updates = 100'000;
    int every = 1;
    int target_every = 200;
    double target_rate = 0.0;
    bool double_q = true;
    Choice reward{kIndependent ? kOwn : kSum};
    double reward_scale = 1.0;
    BatchedSettings batched;

    Config() {
      exploration.schedule.value = Exploration::kLinear;
      exploration.end = 0.05;
      exploration.decay_steps = 5000;
      optimizer.kind.value = Optimizer<Real>::kRmsprop;
    }
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1e3}, "", "step size");
    v("rate.end", c.alpha_end, Bounds{0, 1e3}, "", "step size after rate.decay_updates");
    v("rate.decay_updates", c.alpha_updates, Bounds{0, 1e9}, "updates",
      "until the step size has fallen, linearly, to rate.end; 0: it stays as it is");
    v("gamma", c.gamma, Bounds{0, 1}, "", "discount factor");
    c.exploration.fields(v);
    c.utility.fields(v);
    c.mixer.fields(v);
    c.optimizer.fields(v);
    v("batch", c.batch, Bounds{1, 1e6}, "episodes", "learned from in an update");
    v("every", c.every, Bounds{1, 1e6}, "episodes", "kept between two updates");
    v.choice("replay.kind", c.replay_kind, {"uniform", "prioritised"},
             "kept episodes are drawn alike, or by their last error");
    v("replay.slots", c.slots, Bounds{1, 1e9}, "episodes", "that are kept, the newest ones");
    v("replay.steps", c.steps, Bounds{1, 1e5}, "joint step",
      "of a kept episode at most, longer ones are kept in pieces; 1: single transitions");
    v("replay.exponent", c.exponent, Bounds{0, 1}, "",
      "prioritised: of the error, for the probability to be drawn; 0: all alike");
    v("replay.epsilon", c.epsilon, Bounds{1e-12, 1e6}, "", "prioritised: added to the error");
    v("replay.beta", c.beta, Bounds{0, 1}, "",
      "prioritised: how far weights make up for it in the first update");
    v("replay.beta_updates", c.beta_updates, Bounds{1, 1e9}, "updates",
      "prioritised: until weights make up for all of it");
    v("target.every", c.target_every, Bounds{1, 1e9}, "updates",
      "after which the targets become copies (with target.rate 0)");
    v("target.rate", c.target_rate, Bounds{0, 1}, "",
      "how far the targets move with every update; 0: copies instead");
    v("double_q", c.double_q, "next actions by the utilities, not by their targets");
    if constexpr (kIndependent) {
      v.choice("reward", c.reward, {"sum", "mean", "own"},
               "what an agent learns: the sum or mean of all agents' rewards, or its own");
    } else {
      v.choice("reward", c.reward, {"sum", "mean"},
               "of the agents' rewards, which all of them learn");
    }
    v("reward_scale", c.reward_scale, Bounds{1e-12, 1e12}, "reward", "rewards are divided by it");
    c.batched.fields(v);
    c.JointConfig::fields(v);
  }

  struct Params {
    typename Agents::Shape utility;
    typename Mix::Shape mixer;
    typename Memory::Shape replay;
    Optimizer<Real> descent;
    Exploration exploration;
    Real alpha, alpha_slope;  ///< step size in the end, and what it is above that an update earlier
    Real gamma, target_rate, reward_factor;
    uint64_t alpha_updates;  ///< until it stays
    Reward reward;
    Priorities::Shape priorities;
    double beta, beta_slope;
    int32_t agents, pitch, state_pitch;
    int32_t group;     ///< recurrent: episodes at a time, else 0
    int32_t rows;      ///< of an agent's utilities in working memory
    int32_t own_rows;  ///< and of their slopes
    int32_t batch, every, target_every;
    bool double_q, prioritised;
    uint64_t size;  ///< of all parameters, the utilities' first
    uint64_t mixer_at;
    // where things are in the run's memory, in bytes
    uint64_t weights, targets, gradient, moments, prepared, work, indices, importance, masses,
        starts, recalled, kept, bytes;
    // and in working memory, in numbers
    uint64_t x, state, next_state, hidden, dh, q, target_q, dq, chosen, next_chosen, dchosen, total,
        next_total, slope, weight, mixing, traces, gates, carry, nothing;
  };

  static Params make(const Config& c, const JointSpec& spec, Arena&) {
    Params p{};
    p.utility = Agents::make(c.utility, spec);
    p.mixer = Mix::make(c.mixer, {spec.agents, p.utility.most, p.utility.actions, spec.global_size,
                                  spec.global_pitch});
    p.reward = static_cast<Reward>(c.reward.value);
    p.replay = {c.slots,    c.steps,           spec.agents,
                spec.pitch, spec.global_pitch, kIndependent ? spec.agents : 1};
    p.descent = Optimizer<Real>::make(c.optimizer);
    p.exploration = Exploration::make(c.exploration, p.utility.most);
    if (p.exploration.kind != Exploration::kEpsilonGreedy) {
      throw ParameterError("exploration.kind", "must be \"epsilon_greedy\" for this learner");
    }
    if (c.batch > kMaxBatch) {
      throw ParameterError("batch", "must be at most " + std::to_string(kMaxBatch) +
                                        " with one lane; many lanes take up to 1e6");
    }
    if ((static_cast<double>(c.slots) + 1) * (c.steps + 1) > 1e9) {
      throw ParameterError("replay.slots", "times replay.steps must stay below 1e9");
    }
    if (c.batch > c.slots) {
      throw ParameterError("batch", "must be from 1 to replay.slots = " + std::to_string(c.slots) +
                                        ": no more episodes are kept");
    }
    if (c.alpha_end > c.alpha) throw ParameterError("rate.end", "must not be above alpha");
    p.alpha = static_cast<Real>(c.alpha_updates > 0 ? c.alpha_end : c.alpha);
    p.alpha_updates = static_cast<uint64_t>(c.alpha_updates);
    if (c.alpha_updates > 0) {
      p.alpha_slope = static_cast<Real>((c.alpha - c.alpha_end) / c.alpha_updates);
    }
    p.gamma = static_cast<Real>(c.gamma);
    p.target_rate = static_cast<Real>(c.target_rate);
    p.reward_factor = static_cast<Real>(
        1.0 / (p.reward == kMean ? spec.agents * c.reward_scale : c.reward_scale));
    p.agents = spec.agents;
    p.pitch = spec.pitch;
    p.state_pitch = spec.global_pitch;
    p.batch = c.batch;
    p.every = c.every;
    p.target_every = c.target_every;
    p.double_q = c.double_q;
    p.prioritised = c.replay_kind.value == kPrioritised;
    p.priorities = Priorities::make(c.slots + 1, c.exponent, c.epsilon);
    p.beta = c.beta;
    p.beta_slope = (1.0 - c.beta) / c.beta_updates;
    if (p.utility.gates > 0) {
      if (c.steps == 1) {
        throw ParameterError("replay.steps",
                             "must be above 1 with utility.kind = \"gru\": single transitions hold "
                             "nothing to remember");
      }
      p.group = c.batch < kSteps ? c.batch : kSteps;
    }
    if (p.group > 0 && static_cast<double>(p.group) * (c.steps + 1) > 1e6) {
      throw ParameterError("replay.steps",
                           "times the smaller of batch and 32 must stay below 1e6 with "
                           "utility.kind = \"gru\"");
    }
    p.rows = p.group > 0 ? p.group * (c.steps + 1) : kPlaces;
    p.own_rows = p.group > 0 ? p.rows : kSteps;
    p.mixer_at = Agents::parameters(p.utility);
    p.size = p.mixer_at + Mix::parameters(p.mixer);

    uint64_t end = kHeadBytes;
    const auto place = [&end](uint64_t bytes) {
      const uint64_t at = end;
      end += (bytes + 63) / 64 * 64;
      return at;
    };
    p.weights = place(p.size * sizeof(Real));
    p.targets = place(p.size * sizeof(Real));
    p.gradient = place(p.size * sizeof(Real));
    p.moments = place(p.size * sizeof(Real) * static_cast<uint64_t>(p.descent.moments()));
    p.prepared = place((Agents::prepared(p.utility) + Mix::prepared(p.mixer)) * sizeof(Real));
    p.indices = place(sizeof(Indices) + static_cast<uint64_t>(p.batch) * sizeof(int32_t));
    p.importance = place(3 * static_cast<uint64_t>(p.batch) * sizeof(Real));
    p.masses = place(p.prioritised ? Priorities::bytes(p.priorities) : 0);
    const bool recurrent = p.group > 0;
    p.starts = place(recurrent ? static_cast<uint64_t>(c.steps + 3) * sizeof(int32_t) : 0);
    p.recalled =
        place(recurrent ? batch_ops::at(2 * spec.agents, p.utility.hidden) * sizeof(Real) : 0);
    p.kept = place(Memory::bytes(p.replay));
    p.work = end;
    end = 0;
    const auto rows = [&place](int count, int pitch) { return place(batch_ops::at(count, pitch)); };
    const int n = spec.agents;
    p.x = rows(recurrent ? kSteps : n * kPlaces, p.pitch);
    p.state = rows(kPlaces, p.state_pitch);
    p.next_state = rows(kSteps, p.state_pitch);
    p.hidden = recurrent ? 0 : rows(n * kPlaces, p.utility.hidden);
    p.dh = rows(kPlaces, p.utility.hidden);
    p.q = rows(n * p.rows, p.utility.row);
    p.target_q = rows(n * p.rows, p.utility.row);
    p.dq = rows(n * p.own_rows, p.utility.row);
    p.chosen = rows(kSteps, kColumns);
    p.next_chosen = rows(kSteps, kColumns);
    p.dchosen = rows(kSteps, kColumns);
    p.total = rows(1, kSteps);
    p.next_total = rows(1, kSteps);
    p.slope = rows(1, kSteps);
    p.weight = rows(1, kSteps);
    p.mixing = place(Mix::working(p.mixer, kSteps));
    if (recurrent) {
      p.traces = place(static_cast<uint64_t>(n) * Agents::traced(p.utility, p.rows));
      p.gates = place(Agents::back_scratch(p.utility, kSteps));
      p.carry = rows(kSteps, p.utility.hidden);
      p.nothing = rows(kSteps, p.utility.hidden);
    }
    p.bytes = p.work + end * sizeof(Real);
    return p;
  }

  CUMARL_HD static size_t bytes(const Params& p) { return p.bytes; }

  /// Calls f(Weights) for all matrices of parameters.
  template <class F>
  CUMARL_HD static void for_weights(const Params& p, F f) {
    Agents::for_weights(p.utility, f);
    Mix::for_weights(p.mixer, [&](Weights w) {
      w.at += p.mixer_at;
      f(w);
    });
  }
  /// [size]
  CUMARL_HD static Real* weights(const Params& p, std::byte* memory) {
    return reinterpret_cast<Real*>(memory + p.weights);
  }
  CUMARL_HD static Real* targets(const Params& p, std::byte* memory) {
    return reinterpret_cast<Real*>(memory + p.targets);
  }
  CUMARL_HD static Real* gradient(const Params& p, std::byte* memory) {
    return reinterpret_cast<Real*>(memory + p.gradient);
  }
  CUMARL_HD static Memory replay(const Params& p, std::byte* memory) {
    return {p.replay, memory + p.kept};
  }
  /// [batch] slots of the replay that `descend` learns from.
  CUMARL_HD static int32_t* picked(const Params& p, std::byte* memory) {
    return reinterpret_cast<int32_t*>(memory + p.indices + sizeof(Indices));
  }

  /// [batch] what each of them counts; [batch] the largest, and [batch] the sum, of its errors.
  CUMARL_HD static Real* importance(const Params& p, std::byte* memory) {
    return reinterpret_cast<Real*>(memory + p.importance);
  }
  CUMARL_HD static Priorities priorities(const Params& p, std::byte* memory) {
    return {p.priorities, memory + p.masses};
  }

  template <class Team>
  CUMARL_HD static void init(const Team& team, const Params& p, std::byte* memory, RunKey key) {
    Real* const w = weights(p, memory);
    uint32_t block = 0;
    for_weights(p, [&](const Weights& m) { init_weights(team, m, w, key, block++); });
    copy_vector(team, targets(p, memory), w, static_cast<int>(p.size));
    if (team.rank() == 0) {
      *head(memory) = {0, 0, 1.0, 0, 0, p.descent.first()};
      for (int b = 0; b < p.batch; ++b) importance(p, memory)[b] = 1;
    }
    team.sync();
  }

  template <class Team>
  CUMARL_HD static void act(const Team& team, const Params& p, std::byte* memory,
                            const Seen<Real>& seen, const uint32_t* words, uint64_t t,
                            JointAction& out) {
    for (int i = 0; i < p.agents; ++i) {
      const Real* const q = utilities(team, p, memory, seen, i, 0);
      const int n = p.utility.actions[i];
      out.action[i] = epsilon_action(p.exploration, top_of(q, n), n, words[i], t);
      team.sync();
    }
  }

  template <class Team>
  CUMARL_HD static void policy(const Team& team, const Params& p, std::byte* memory,
                               const Seen<Real>& seen, int agent, double* out) {
    const Real* const q = utilities(team, p, memory, seen, agent, 1);
    pure_strategy(top_of(q, p.utility.actions[agent]), p.utility.actions[agent], out);
    team.sync();
  }

  /// An evaluated episode begins: recurrent utilities forget the one before. Between two of these
  /// `policy` is called for every agent once a step.
  template <class Team>
  CUMARL_HD static void begin(const Team& team, const Params& p, std::byte* memory) {
    if (p.group > 0) forget(team, p, memory, 1);
  }

  template <class Team>
  CUMARL_HD static int learn(const Team& team, const Params& p, std::byte* memory,
                             const Seen<Real>& from, const Seen<Real>& to, const JointStep& step) {
    const Memory kept = replay(p, memory);
    Head* const at = head(memory);
    const int k = at->step;
    const uint64_t complete = at->complete;
    const auto slot = static_cast<int>(complete % static_cast<uint64_t>(p.replay.slots + 1));
    const int place = kept.place(slot, k);
    const bool full = step.episode != Episode::goes_on || k + 1 == p.replay.steps;
    if (p.group > 0 && step.episode != Episode::goes_on) forget(team, p, memory, 0);
    kept.keep(team, place, from);
    if (full) kept.keep(team, place + 1, to);
    if (team.rank() == 0) {
      Real reward = 0;
      for (int i = 0; i < p.agents; ++i) {
        reward += static_cast<Real>(step.rewards[i]);
        kept.actions(place)[i] = static_cast<uint8_t>(step.actions->action[i]);
      }
      for (int i = 0; i < p.replay.rewards; ++i) {
        kept.reward(place, i) =
            p.reward_factor * (p.reward == kOwn ? static_cast<Real>(step.rewards[i]) : reward);
      }
      kept.episode(place) = step.episode;
      if (full) kept.length(slot) = k + 1;
      if (full && p.prioritised) {
        const Priorities mass = priorities(p, memory);
        mass.set(slot, at->most);
        mass.set((slot + 1) % (p.replay.slots + 1), 0);  // it is written next
      }
    }
    team.sync();  // all have read the head
    if (team.rank() == 0) {
      at->step = full ? 0 : k + 1;
      at->complete = full ? complete + 1 : complete;
    }
    team.sync();
    for (int i = 0; i < p.agents; ++i) {
      if (diverging(step.rewards[i])) return i;
    }
    if (!full || (complete + 1) % static_cast<uint64_t>(p.every) != 0) return -1;
    if (complete + 1 < static_cast<uint64_t>(p.batch)) return -1;
    pick(team, p, memory, complete + 1, Rng(step.key, step.t, Stream::learn));
    return update(team, p, memory) ? -1 : 0;
  }

  /// Draws `batch` slots of `complete` written ones, and what they count.
  template <class Team>
  CUMARL_HD static void pick(const Team& team, const Params& p, std::byte* memory,
                             uint64_t complete, Rng rng) {
    if (team.rank() == 0) {
      const auto ring = static_cast<uint64_t>(p.replay.slots + 1);
      const uint64_t there = complete < ring ? complete : static_cast<uint64_t>(p.replay.slots);
      int32_t* const out = picked(p, memory);
      if (p.prioritised) {
        pick_by_priority(p, memory, static_cast<double>(there), rng);
        return team.sync();
      }
      for (int b = 0; b < p.batch; ++b) {
        const uint64_t back = 1 + rng.below(static_cast<uint32_t>(there));
        out[b] = static_cast<int32_t>((complete - back) % ring);
      }
    }
    team.sync();
  }

  /// That of the update after so many.
  CUMARL_HD static Real step_size(const Params& p, uint64_t updates) {
    const uint64_t left = updates < p.alpha_updates ? p.alpha_updates - updates : 0;
    return p.alpha + p.alpha_slope * static_cast<Real>(left);
  }

  /// A gradient step on the slots `picked`. False where the run diverges.
  template <class Team>
  CUMARL_HD static bool update(const Team& team, const Params& p, std::byte* memory) {
    descend(team, p, memory);
    Head* const at = head(memory);
    const auto powers = at->powers;
    const uint64_t updates = at->updates + 1;
    Real* const w = weights(p, memory);
    Real* const target = targets(p, memory);
    const auto n = static_cast<int>(p.size);
    const Real square =
        p.descent.step(team, step_size(p, updates - 1), w, gradient(p, memory),
                       reinterpret_cast<Real*>(memory + p.moments), p.size, powers, n);
    if (p.target_rate > Real(0)) {
      for_columns(team, n, [&](int k) { target[k] += p.target_rate * (w[k] - target[k]); });
    } else if (updates % static_cast<uint64_t>(p.target_every) == 0) {
      copy_vector(team, target, w, n);
    }
    team.sync();
    if (team.rank() == 0) {
      at->powers = p.descent.after(powers);
      at->updates = updates;
      if (p.prioritised) set_priorities(p, memory);
    }
    team.sync();
    return !diverging(square);
  }

  /// The loss over the slots `picked`, the same in every lane, and its gradient.
  template <class Team>
  CUMARL_HD static Real descend(const Team& team, const Params& p, std::byte* memory) {
    const Memory kept = replay(p, memory);
    const int32_t* const slots = picked(p, memory);
    Real* const g = gradient(p, memory);
    const Real* const w = weights(p, memory);
    Real* const prepared = reinterpret_cast<Real*>(memory + p.prepared);
    fill(team, g, Real(0), static_cast<int>(p.size));
    Agents::prepare(team, p.utility, w, prepared);
    Mix::prepare(team, p.mixer, w + p.mixer_at, prepared + Agents::prepared(p.utility));
    if (p.prioritised && team.rank() == 0) {
      Real* const errors = importance(p, memory) + p.batch;
      for (int k = 0; k < 2 * p.batch; ++k) errors[k] = 0;
    }
    int64_t steps = 0;
    for (int b = 0; b < p.batch; ++b) steps += kept.length(slots[b]);
    const Real share = Real(1) / static_cast<Real>(steps);
    Real loss = 0;
    for (int b = 0; p.group > 0 && b < p.batch; b += p.group) {
      loss += unroll(team, p, memory, b, p.batch - b < p.group ? p.batch - b : p.group, share);
    }
    Cursor cursor{p.group > 0 ? p.batch : 0, 0};
    while (cursor.episode < p.batch) {
      int follow = 0;
      const int rows = gather(team, p, memory, cursor, follow);
      loss += chunk(team, p, memory, rows, follow, share);
    }
    return loss;
  }

 private:
  struct Head {
    uint64_t complete;  ///< slots written
    uint64_t updates;
    double most;     ///< largest priority so far, to its exponent
    int32_t step;    ///< of the slot that is written
    int32_t unused;  ///< no padding: digests cover it
    typename Optimizer<Real>::Powers powers;
  };
  static constexpr size_t kHeadBytes = 64;
  static_assert(sizeof(Head) <= kHeadBytes);

  /// What a chunk consists of. Rows of it: its steps, then what follows those that nothing of the
  /// chunk follows.
  struct Indices {
    int32_t place[kPlaces];  ///< in the replay, of a row
    int32_t next[kSteps];    ///< the row that follows a step
    int32_t sample[kSteps];  ///< the episode of the sample that it is from
    int32_t action[kSteps * kColumns];
    int32_t next_action[kSteps * kColumns];
    int32_t greedy[kSteps * kColumns];
  };
  static_assert(sizeof(Indices) % 64 == 0);

  /// How far a pass over the sample is.
  struct Cursor {
    int episode;  ///< of the sample
    int step;     ///< of it
  };

  CUMARL_HD static Head* head(std::byte* memory) { return reinterpret_cast<Head*>(memory); }
  CUMARL_HD static Indices& indices(const Params& p, std::byte* memory) {
    return *reinterpret_cast<Indices*>(memory + p.indices);
  }
  CUMARL_HD static Real* work(const Params& p, std::byte* memory, uint64_t at) {
    return reinterpret_cast<Real*>(memory + p.work) + at;
  }
  /// The part of agent i in an array of kPlaces rows an agent.
  CUMARL_HD static Real* of(Real* all, int agent, int pitch, int rows = kPlaces) {
    return all + batch_ops::at(agent * rows, pitch);
  }

  /// The hidden state of an agent that plays (which = 0) or is evaluated (1).
  CUMARL_HD static Real* recalled(const Params& p, std::byte* memory, int agent, int which) {
    return reinterpret_cast<Real*>(memory + p.recalled) +
           batch_ops::at(which * p.agents + agent, p.utility.hidden);
  }
  template <class Team>
  CUMARL_HD static void forget(const Team& team, const Params& p, std::byte* memory, int which) {
    fill(team, recalled(p, memory, 0, which), Real(0), p.agents * p.utility.hidden);
    team.sync();
  }
  /// The hidden states and gates of an agent from row `first` on.
  CUMARL_HD static typename Agents::Trace trace(const Params& p, std::byte* memory, int agent,
                                                int first) {
    const auto size = static_cast<uint64_t>(agent) * Agents::traced(p.utility, p.rows);
    return Agents::trace(p.utility, work(p, memory, p.traces + size), p.rows, first);
  }

  /// Of what an agent sees; a recurrent one moves on by a step.
  template <class Team>
  CUMARL_HD static const Real* utilities(const Team& team, const Params& p, std::byte* memory,
                                         const Seen<Real>& seen, int agent, int which) {
    Real* const q = work(p, memory, p.q);
    if (p.group > 0) {
      Real* const h = recalled(p, memory, agent, which);
      const typename Agents::Trace out = trace(p, memory, 0, 0);
      Agents::step(team, p.utility, weights(p, memory), agent, seen.agent(agent), h, 1, out,
                   work(p, memory, p.gates), q);
      copy_vector(team, h, out.h, p.utility.hidden);
      team.sync();
      return q;
    }
    Agents::forward(team, p.utility, weights(p, memory), agent, seen.agent(agent), 1,
                    work(p, memory, p.hidden), q);
    return q;
  }

  /// One of each of `batch` equal parts of all mass. Lane 0 only.
  CUMARL_HD static void pick_by_priority(const Params& p, std::byte* memory, double there,
                                         Rng rng) {
    const Priorities mass = priorities(p, memory);
    int32_t* const out = picked(p, memory);
    const double beta = p.beta + p.beta_slope * static_cast<double>(head(memory)->updates);
    const double part = mass.total() / p.batch;
    double most = 0;
    for (int b = 0; b < p.batch; ++b) {
      out[b] = mass.find((b + unit_double(rng.word())) * part);
      const double weight = mass.weight(out[b], there, beta < 1 ? beta : 1);
      importance(p, memory)[b] = static_cast<Real>(weight);
      most = weight > most ? weight : most;
    }
    for (int b = 0; b < p.batch; ++b) importance(p, memory)[b] /= static_cast<Real>(most);
  }

  /// Of the episodes learned from, by their errors. Lane 0 only.
  CUMARL_HD static void set_priorities(const Params& p, std::byte* memory) {
    const Memory kept = replay(p, memory);
    const Priorities mass = priorities(p, memory);
    const int32_t* const slots = picked(p, memory);
    const Real* const most = importance(p, memory) + p.batch;
    const Real* const sum = most + p.batch;
    for (int b = 0; b < p.batch; ++b) {
      const double mean = static_cast<double>(sum[b]) / kept.length(slots[b]);
      const double now = mass.mass(0.9 * static_cast<double>(most[b]) + 0.1 * mean);
      mass.set(slots[b], now);
      if (now > head(memory)->most) head(memory)->most = now;
    }
  }

  /// Fills the places of the next chunk and copies what was seen there. Returns its steps;
  /// `follow`: the rows behind them.
  template <class Team>
  CUMARL_HD static int gather(const Team& team, const Params& p, std::byte* memory, Cursor& cursor,
                              int& follow) {
    const Memory kept = replay(p, memory);
    const int32_t* const slots = picked(p, memory);
    Indices& rows = indices(p, memory);
    const Cursor begin = cursor;
    int n = 0;
    for (; cursor.episode < p.batch && n < kSteps; ++follow) {
      const int left = kept.length(slots[cursor.episode]) - cursor.step;
      const int take = left < kSteps - n ? left : kSteps - n;
      n += take;
      cursor =
          take == left ? Cursor{cursor.episode + 1, 0} : Cursor{cursor.episode, cursor.step + take};
    }
    if (team.rank() == 0) {
      Cursor at = begin;
      int last = n;
      for (int r = 0; r < n;) {
        const int slot = slots[at.episode];
        const int left = kept.length(slot) - at.step;
        const int take = left < n - r ? left : n - r;
        for (int k = 0; k < take; ++k) {
          rows.place[r + k] = kept.place(slot, at.step + k);
          rows.next[r + k] = r + k + 1;
          rows.sample[r + k] = at.episode;
        }
        rows.next[r + take - 1] = last;
        rows.place[last++] = kept.place(slot, at.step + take);
        r += take;
        at = Cursor{at.episode + 1, 0};
      }
    }
    team.sync();
    for (int r = 0; r < n + follow; ++r) {
      const int place = rows.place[r];
      for (int i = 0; i < p.agents; ++i) {
        copy_vector(team, of(work(p, memory, p.x), i, p.pitch) + batch_ops::at(r, p.pitch),
                    kept.x(place, i), p.pitch);
      }
      copy_vector(team, work(p, memory, p.state) + batch_ops::at(r, p.state_pitch),
                  kept.global(place), p.state_pitch);
    }
    for (int r = 0; r < n; ++r) {
      copy_vector(team, work(p, memory, p.next_state) + batch_ops::at(r, p.state_pitch),
                  kept.global(rows.place[rows.next[r]]), p.state_pitch);
    }
    team.sync();
    return n;
  }

  /// From the chosen utilities of n steps, and of what follows them, through the mixer: the loss,
  /// and its slopes dchosen.
  template <class Team>
  CUMARL_HD static Real together(const Team& team, const Params& p, std::byte* memory, int n,
                                 Real share, const AllUtilities<Real>& all) {
    const Memory kept = replay(p, memory);
    const Indices& rows = indices(p, memory);
    const Real* const w = weights(p, memory) + p.mixer_at;
    const Real* const prepared =
        reinterpret_cast<const Real*>(memory + p.prepared) + Agents::prepared(p.utility);
    const Real* const counts = importance(p, memory);
    Real* const mixing = work(p, memory, p.mixing);
    Real* const total = work(p, memory, p.total);
    Real* const next_total = work(p, memory, p.next_total);
    Real* const slope = work(p, memory, p.slope);
    Real* const weight = work(p, memory, p.weight);
    const MixRows<Real> later{n, work(p, memory, p.next_state), work(p, memory, p.next_chosen),
                              rows.next_action};
    const MixRows<Real> now{n, work(p, memory, p.state), work(p, memory, p.chosen), rows.action};
    Mix::forward(team, p.mixer, targets(p, memory) + p.mixer_at, later, mixing, next_total);
    Mix::forward(team, p.mixer, w, now, mixing, total);
    for_rows(team, n, [&](int r) {
      const int place = rows.place[r];
      Real wanted = kept.reward(place);
      if (kept.episode(place) != Episode::ended) wanted += p.gamma * next_total[r];
      slope[r] = total[r] - wanted;
      weight[r] = share * counts[rows.sample[r]];
    });
    team.sync();
    Real loss = 0;
    for (int r = 0; r < n; ++r) loss += weight[r] * (slope[r] * slope[r]);
    if (p.prioritised && team.rank() == 0) {
      for (int r = 0; r < n; ++r) note_error(p, memory, rows.sample[r], slope[r]);
    }
    team.sync();
    for_rows(team, n, [&](int r) { slope[r] = Real(2) * weight[r] * slope[r]; });
    team.sync();
    if constexpr (kConstrains) {
      loss += Mix::constrain(team, p.mixer, w, now, total, all, weight, mixing);
    }
    Mix::backward(team, p.mixer, w, prepared, now, slope, mixing, work(p, memory, p.dchosen),
                  gradient(p, memory) + p.mixer_at);
    return loss;
  }

  /// The same without a mixer.
  template <class Team>
  CUMARL_HD static Real apart(const Team& team, const Params& p, std::byte* memory, int n,
                              Real share) {
    const Memory kept = replay(p, memory);
    const Indices& rows = indices(p, memory);
    const Real* const counts = importance(p, memory);
    const Real* const chosen = work(p, memory, p.chosen);
    const Real* const next_chosen = work(p, memory, p.next_chosen);
    Real* const dchosen = work(p, memory, p.dchosen);
    for_rows(team, n, [&](int r) {
      const int place = rows.place[r];
      for (int i = 0; i < p.agents; ++i) {
        Real wanted = kept.reward(place, i);
        if (kept.episode(place) != Episode::ended) {
          wanted += p.gamma * next_chosen[r * kColumns + i];
        }
        dchosen[r * kColumns + i] = chosen[r * kColumns + i] - wanted;
      }
    });
    team.sync();
    Real loss = 0;
    for (int r = 0; r < n; ++r) {
      Real sum = 0, squares = 0;
      for (int i = 0; i < p.agents; ++i) {
        const Real error = dchosen[r * kColumns + i];
        sum += error < Real(0) ? -error : error;
        squares += error * error;
      }
      loss += share * counts[rows.sample[r]] * squares;
      if (p.prioritised && team.rank() == 0) {
        note_error(p, memory, rows.sample[r], sum / static_cast<Real>(p.agents));
      }
    }
    team.sync();
    for_rows(team, n, [&](int r) {
      const Real scale = Real(2) * share * counts[rows.sample[r]];
      for (int i = 0; i < p.agents; ++i) dchosen[r * kColumns + i] *= scale;
    });
    team.sync();
    return loss;
  }

  /// Of a step of an episode of the sample, for its priority. Lane 0 only.
  CUMARL_HD static void note_error(const Params& p, std::byte* memory, int sample, Real error) {
    const Real size = error < Real(0) ? -error : error;
    Real* const most = importance(p, memory) + p.batch + sample;
    if (!(size <= *most)) *most = size;
    most[p.batch] += size;
  }

  /// What n steps lose, whose utilities are rows `first` and on of q and target_q, and those of
  /// what follows them rows.next of the same; adds the slopes of the utilities to rows `first` and
  /// on of dq.
  template <class Team>
  CUMARL_HD static Real compare(const Team& team, const Params& p, std::byte* memory, int n,
                                int first, Real share) {
    const Memory kept = replay(p, memory);
    Indices& rows = indices(p, memory);
    const int row = p.utility.row;
    const Real* const q = work(p, memory, p.q);
    const Real* const target_q = work(p, memory, p.target_q);
    Real* const dq = work(p, memory, p.dq) + batch_ops::at(first, row);
    Real* const chosen = work(p, memory, p.chosen);
    Real* const next_chosen = work(p, memory, p.next_chosen);
    Real* const dchosen = work(p, memory, p.dchosen);
    for_rows(team, n, [&](int r) {
      for (int i = 0; i < p.agents; ++i) {
        const int at = r * kColumns + i;
        const size_t next = batch_ops::at(i * p.rows + rows.next[r], row);
        const Real* const values = q + batch_ops::at(i * p.rows + first + r, row);
        const Real* const later = target_q + next;
        const int best = top_of(p.double_q ? q + next : later, p.utility.actions[i]);
        rows.action[at] = kept.actions(rows.place[r])[i];
        rows.next_action[at] = best;
        chosen[at] = values[rows.action[at]];
        next_chosen[at] = later[best];
        if constexpr (kConstrains) rows.greedy[at] = top_of(values, p.utility.actions[i]);
      }
    });
    team.sync();
    Real loss = 0;
    if constexpr (kIndependent) {
      loss = apart(team, p, memory, n, share);
    } else {
      const AllUtilities<Real> all{
          q + batch_ops::at(first, row), dq, rows.greedy, p.rows, p.own_rows, row};
      loss = together(team, p, memory, n, share, all);
    }
    for_rows(team, n, [&](int r) {
      for (int i = 0; i < p.agents; ++i) {
        const int at = r * kColumns + i;
        dq[batch_ops::at(i * p.own_rows + r, row) + static_cast<size_t>(rows.action[at])] +=
            dchosen[at];
      }
    });
    team.sync();
    return loss;
  }

  /// Recurrent: the loss of `count` episodes of the sample, from the first-th on, and its gradient.
  /// Row starts[t] + g is step t of the g-th of them in order of length.
  template <class Team>
  CUMARL_HD static Real unroll(const Team& team, const Params& p, std::byte* memory, int first,
                               int count, Real share) {
    const Memory kept = replay(p, memory);
    const int32_t* const slots = picked(p, memory);
    Indices& rows = indices(p, memory);
    auto* const starts = reinterpret_cast<int32_t*>(memory + p.starts);
    int32_t* const order = rows.sample;  // of the sample
    if (team.rank() == 0) {
      for (int g = 0; g < count; ++g) {
        const int length = kept.length(slots[first + g]);
        int at = g;
        for (; at > 0 && kept.length(slots[order[at - 1]]) < length; --at) {
          order[at] = order[at - 1];
        }
        order[at] = first + g;
      }
      starts[0] = 0;
      const int longest = kept.length(slots[order[0]]);
      for (int t = 0, there = count; t <= longest + 1; ++t) {
        while (there > 0 && kept.length(slots[order[there - 1]]) < t) --there;
        starts[t + 1] = starts[t] + there;
      }
    }
    team.sync();
    const int longest = kept.length(slots[order[0]]);
    const auto there = [starts](int t) { return static_cast<int>(starts[t + 1] - starts[t]); };
    const int row = p.utility.row;
    const Real* const w = weights(p, memory);
    Real* const x = work(p, memory, p.x);
    Real* const dq = work(p, memory, p.dq);
    Real* const nothing = work(p, memory, p.nothing);
    const auto see = [&](int agent, int t, int n) {
      for (int g = 0; g < n; ++g) {
        copy_vector(team, x + batch_ops::at(g, p.pitch),
                    kept.x(kept.place(slots[order[g]], t), agent), p.pitch);
      }
      team.sync();
    };
    const auto forward = [&](const Real* net, int agent, Real* q) {
      for (int t = 0; t <= longest; ++t) {
        see(agent, t, there(t));
        const Real* const before = t == 0 ? nothing : trace(p, memory, agent, starts[t - 1]).h;
        Agents::step(team, p.utility, net, agent, x, before, there(t),
                     trace(p, memory, agent, starts[t]), work(p, memory, p.gates),
                     q + batch_ops::at(agent * p.rows + starts[t], row));
      }
    };
    for (int i = 0; i < p.agents; ++i) {
      forward(targets(p, memory), i, work(p, memory, p.target_q));
      forward(w, i, work(p, memory, p.q));
      fill(team, dq + batch_ops::at(i * p.rows, row), Real(0), starts[longest + 1] * row);
    }
    team.sync();

    Real loss = 0;
    for (int t = 0; t < longest; ++t) {
      const int n = there(t + 1);  // those whose step t has something behind it
      if (team.rank() == 0) {
        for (int g = 0; g < n; ++g) {
          rows.place[g] = kept.place(slots[order[g]], t);
          rows.next[g] = starts[t + 1] + g;
        }
      }
      for (int g = 0; g < n; ++g) {
        const int place = kept.place(slots[order[g]], t);
        copy_vector(team, work(p, memory, p.state) + batch_ops::at(g, p.state_pitch),
                    kept.global(place), p.state_pitch);
        copy_vector(team, work(p, memory, p.next_state) + batch_ops::at(g, p.state_pitch),
                    kept.global(place + 1), p.state_pitch);
      }
      team.sync();
      loss += compare(team, p, memory, n, starts[t], share);
    }

    const Real* const prepared = reinterpret_cast<const Real*>(memory + p.prepared);
    Real* const carry = work(p, memory, p.carry);
    for (int i = 0; i < p.agents; ++i) {
      fill(team, carry, Real(0), kSteps * p.utility.hidden);
      for (int t = longest - 1; t >= 0; --t) {
        const int n = there(t + 1);
        see(i, t, n);
        const Real* const before = t == 0 ? nullptr : trace(p, memory, i, starts[t - 1]).h;
        Agents::step_back(team, p.utility, prepared, i, x, before, n,
                          trace(p, memory, i, starts[t]),
                          dq + batch_ops::at(i * p.rows + starts[t], row), carry,
                          work(p, memory, p.gates), gradient(p, memory));
      }
    }
    return loss;
  }

  /// Adds the gradient of n steps, of which each counts `share`, and returns their loss.
  template <class Team>
  CUMARL_HD static Real chunk(const Team& team, const Params& p, std::byte* memory, int n,
                              int follow, Real share) {
    const Real* const w = weights(p, memory);
    const Real* const target = targets(p, memory);
    Real* const g = gradient(p, memory);
    const Real* const prepared = reinterpret_cast<const Real*>(memory + p.prepared);
    Real* const x = work(p, memory, p.x);
    Real* const q = work(p, memory, p.q);
    Real* const target_q = work(p, memory, p.target_q);
    Real* const dq = work(p, memory, p.dq);
    Real* const hidden = work(p, memory, p.hidden);
    Real* const dh = work(p, memory, p.dh);
    const int row = p.utility.row;
    const int first = follow == n ? n : 0;  // of the rows that follow a step
    const int seen = p.double_q ? n + follow : n;
    for (int i = 0; i < p.agents; ++i) {
      const Real* const mine = of(x, i, p.pitch);
      Agents::forward(team, p.utility, w, i, mine, seen, of(hidden, i, p.utility.hidden),
                      of(q, i, row));
      Agents::forward(team, p.utility, target, i, mine + batch_ops::at(first, p.pitch),
                      n + follow - first, dh, of(target_q, i, row) + batch_ops::at(first, row));
    }

    for (int i = 0; i < p.agents; ++i) fill(team, of(dq, i, row, kSteps), Real(0), n * row);
    team.sync();
    const Real loss = compare(team, p, memory, n, 0, share);
    for (int i = 0; i < p.agents; ++i) {
      Agents::backward(team, p.utility, prepared, i, of(x, i, p.pitch), n,
                       of(hidden, i, p.utility.hidden), of(dq, i, row, kSteps), dh, g);
    }
    return loss;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
