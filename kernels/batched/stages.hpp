/// \file
/// One iteration of a batched run, cut into stages: functions over a lane, a row of the batch, a tile
/// of rows or a block of parameters, each of which a team of lanes of the processor computes.
///
/// A CPU takes a tile of environments through a whole rollout, and a part of the batch through
/// sampling, forward and backward passes, while it is in the cache (batched_rollout.hpp). A GPU makes a
/// kernel of every stage (cuda_stages.cuh). Which rows share a sum is fixed by BatchedShape alone: the
/// gradient of a tile is made by itself, those of a part's tiles are added up, then the parts'. So the
/// number of threads, and which backend, change no bit.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/batched/run.hpp"
#include "kernels/mixing/value_decomposition.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A learner that has a batched shape: a value decomposition.
template <class L>
concept Batchable = requires(const typename L::Config& c) {
  typename L::Mix;
  typename L::Agents;
  c.batched.lanes;
};

/// Working memory of one learning step: `rows` transitions, and what follows them. Arrays of agents:
/// [agents][places][..], a transition's row at its number, what follows it `rows` further.
template <class Real>
struct BatchRows {
  int32_t rows, places;
  Real *x, *state, *next_state;
  Real *hidden, *q;     ///< [agents][places]
  Real* next_hidden;    ///< [agents][rows]: of targets, then the gradient of hidden
  Real *target_q, *dq;  ///< [agents][rows]
  Real *chosen, *next_chosen, *dchosen;       ///< [rows][kColumns]
  Real* reward;                               ///< [paid][rows]
  Real *total, *next_total, *slope, *weight;  ///< [rows]
  Real* gradient;                             ///< [tiles]
  Real* mixing;                               ///< [tiles]
  int32_t *action, *next_action, *greedy;     ///< [rows][kColumns]
  int32_t* ends;                              ///< [rows] nothing follows
};

/// The stages of learner L, for all of which `team` is a team of up to 16 lanes that come together.
template <class L>
struct BatchedStages {
  using Real = typename L::Real;
  using Agents = typename L::Agents;
  using Mix = typename L::Mix;
  using Params = typename L::Params;
  using Rows = BatchRows<Real>;
  static constexpr int kTile = BatchedShape::kTile;

  CUMARL_HD static const Params& params(const BatchedRun& run) {
    return *reinterpret_cast<const Params*>(run.p->learner);
  }
  CUMARL_HD static std::byte* own(const BatchedRun& run) { return run.memory + run.p->learner_at; }

  /// Bytes of working memory for `rows` transitions (a multiple of kTile), and, with `memory`, where
  /// its arrays are.
  CUMARL_HD static size_t working(const Params& p, int rows, std::byte* memory, Rows* out) {
    Rows w{};
    w.rows = rows;
    w.places = 2 * rows;
    size_t end = 0;
    const auto bytes = [&](auto*& array, int count, int columns) {
      using T = std::remove_reference_t<decltype(*array)>;
      if (memory != nullptr) array = reinterpret_cast<T*>(memory + end);
      end += (batch_ops::at(count, columns) * sizeof(T) + 63) / 64 * 64;
    };
    const int n = p.agents;
    bytes(w.x, n * w.places, p.pitch);
    bytes(w.state, rows, p.state_pitch);
    bytes(w.next_state, rows, p.state_pitch);
    bytes(w.hidden, n * w.places, p.utility.hidden);
    bytes(w.q, n * w.places, p.utility.row);
    bytes(w.next_hidden, n * rows, p.utility.hidden);
    bytes(w.target_q, n * rows, p.utility.row);
    bytes(w.dq, n * rows, p.utility.row);
    bytes(w.chosen, rows, kColumns);
    bytes(w.next_chosen, rows, kColumns);
    bytes(w.dchosen, rows, kColumns);
    bytes(w.reward, p.replay.rewards, rows);
    bytes(w.total, 1, rows);
    bytes(w.next_total, 1, rows);
    bytes(w.slope, 1, rows);
    bytes(w.weight, 1, rows);
    bytes(w.gradient, rows / kTile, static_cast<int>(p.size));
    bytes(w.mixing, rows / kTile, static_cast<int>(mixing_pitch(p)));
    bytes(w.action, rows, kColumns);
    bytes(w.next_action, rows, kColumns);
    bytes(w.greedy, rows, kColumns);
    bytes(w.ends, 1, rows);
    if (out != nullptr) *out = w;
    return end;
  }

  // ---- before the first round -----------------------------------------------------------------

  /// Counts nothing yet. Pre: the learner's own memory is initialised, the rest is zero.
  CUMARL_HD static void begin(const BatchedRun& run) {
    const auto powers = params(run).descent.first();
    run.head() = {0, 0, powers.beta1, powers.beta2, -1, 0};
  }

  /// Takes in what a lane's environment shows at first.
  template <class Team>
  CUMARL_HD static void show(const Team& team, const BatchedRun& run, int lane) {
    expand(team, run, lane, run.raw(run.s->fresh_raw, lane), run.indices(run.s->fresh_index, lane),
           run.s->x, run.s->global, 0);
  }

  // ---- a round of joint steps -----------------------------------------------------------------

  /// Utilities of agent i in `count` lanes from `lane` on, q [count][row]; `hidden` is working
  /// memory of [count] rows. `number`: of the rollout.
  template <class Team>
  CUMARL_HD static void utilities(const Team& team, const BatchedRun& run, int number, int agent,
                                  int lane, int count, Real* hidden, Real* q) {
    const Params& p = params(run);
    const uint64_t ring = run.ring(run.head().rounds + static_cast<uint64_t>(number));
    Agents::forward(team, p.utility, L::weights(p, own(run)), agent,
                    run.row<Real>(run.s->x, ring, agent, lane), count, hidden, q);
  }

  /// The joint action of a lane; the utilities of agent i at q + i * pitch.
  CUMARL_HD static void choose(const BatchedRun& run, int number, int lane, const Real* q,
                               size_t pitch) {
    const Params& p = params(run);
    const uint64_t round = run.head().rounds + static_cast<uint64_t>(number);
    const uint64_t t = run.step(round, lane);
    uint8_t* const kept = run.kept_actions(run.ring(round), lane);
    int32_t* const out = run.actions(lane);
    for (int i = 0; i < p.agents; ++i) {
      const uint64_t word = t * static_cast<uint64_t>(p.agents) + static_cast<uint64_t>(i);
      const int n = p.utility.actions[i];
      out[i] = epsilon_action(p.exploration, top_of(q + static_cast<size_t>(i) * pitch, n), n,
                              word_of(run.key, word, Stream::explore), t);
      kept[i] = static_cast<uint8_t>(out[i]);
    }
  }

  /// Keeps the joint step that a lane has taken, and takes in what its environment shows now.
  template <class Team>
  CUMARL_HD static void keep(const Team& team, const BatchedRun& run, int number, int lane) {
    const Params& p = params(run);
    const BatchedShape& s = *run.s;
    const uint64_t round = run.head().rounds + static_cast<uint64_t>(number);
    const uint64_t ring = run.ring(round);
    const uint64_t next = run.ring(round + 1);
    const Episode episode = run.episode(lane);
    expand(team, run, lane, run.raw(s.raw, lane), run.indices(s.index, lane), s.next_x,
           s.next_global, ring);
    const bool fresh = episode != Episode::goes_on;
    expand(team, run, lane, run.raw(fresh ? s.fresh_raw : s.raw, lane),
           run.indices(fresh ? s.fresh_index : s.index, lane), s.x, s.global, next);
    if (team.rank() == 0) {
      Real reward = 0;
      for (int i = 0; i < p.agents; ++i) reward += static_cast<Real>(run.rewards(lane)[i]);
      for (int i = 0; i < s.paid; ++i) {
        run.kept_reward<Real>(ring, lane, i) =
            p.reward_factor *
            (p.reward == L::kOwn ? static_cast<Real>(run.rewards(lane)[i]) : reward);
      }
      run.kept_episode(ring, lane) = episode;
    }
    team.sync();
  }

  /// Counts a rollout.
  CUMARL_HD static void end_rollout(const BatchedRun& run) {
    run.head().rounds += static_cast<uint64_t>(run.s->rollout);
  }

  // ---- an update ------------------------------------------------------------------------------

  /// Makes what backward passes need of the weights.
  template <class Team>
  CUMARL_HD static void prepare(const Team& team, const BatchedRun& run) {
    const Params& p = params(run);
    const Real* const w = L::weights(p, own(run));
    Real* const out = prepared(run);
    Agents::prepare(team, p.utility, w, out);
    Mix::prepare(team, p.mixer, w + p.mixer_at, out + Agents::prepared(p.utility));
  }

  /// Copies number `sample` of the batch, drawn with replacement, into row r.
  template <class Team>
  CUMARL_HD static void gather(const Team& team, const BatchedRun& run, const Rows& w, int sample,
                               int r) {
    const Params& p = params(run);
    const BatchedShape& s = *run.s;
    const BatchedHead& head = run.head();
    const uint64_t word =
        head.updates * static_cast<uint64_t>(s.batch) + static_cast<uint64_t>(sample);
    const uint64_t back = below(word_of(run.key, word, Stream::learn),
                                static_cast<uint32_t>(run.filled(head.rounds)));
    const auto lanes = static_cast<uint64_t>(s.lanes);
    const uint64_t ring = run.ring(head.rounds - 1 - back / lanes);
    const auto lane = static_cast<int>(back % lanes);
    for (int i = 0; i < p.agents; ++i) {
      copy_vector(team, agent_row(w.x, w.places, i, r, p.pitch), run.row<Real>(s.x, ring, i, lane),
                  p.pitch);
      copy_vector(team, agent_row(w.x, w.places, i, w.rows + r, p.pitch),
                  run.row<Real>(s.next_x, ring, i, lane), p.pitch);
    }
    copy_vector(team, w.state + batch_ops::at(r, p.state_pitch),
                run.global_row<Real>(s.global, ring, lane), p.state_pitch);
    copy_vector(team, w.next_state + batch_ops::at(r, p.state_pitch),
                run.global_row<Real>(s.next_global, ring, lane), p.state_pitch);
    if (team.rank() == 0) {
      for (int i = 0; i < p.agents; ++i)
        w.action[r * kColumns + i] = run.kept_actions(ring, lane)[i];
      for (int i = 0; i < s.paid; ++i) {
        w.reward[i * w.rows + r] = run.kept_reward<Real>(ring, lane, i);
      }
      w.ends[r] = run.kept_episode(ring, lane) == Episode::ended ? 1 : 0;
    }
    team.sync();
  }

  /// All utilities of agent i that rows [first, first + count) need.
  template <class Team>
  CUMARL_HD static void forward(const Team& team, const BatchedRun& run, const Rows& w, int agent,
                                int first, int count) {
    const Params& p = params(run);
    const Real* const mine = L::weights(p, own(run));
    const Real* const target = L::targets(p, own(run));
    const int row = p.utility.row;
    const int hidden = p.utility.hidden;
    const auto online = [&](int from) {
      Agents::forward(team, p.utility, mine, agent, agent_row(w.x, w.places, agent, from, p.pitch),
                      count, agent_row(w.hidden, w.places, agent, from, hidden),
                      agent_row(w.q, w.places, agent, from, row));
    };
    online(first);
    if (p.double_q) online(w.rows + first);
    Agents::forward(team, p.utility, target, agent,
                    agent_row(w.x, w.places, agent, w.rows + first, p.pitch), count,
                    agent_row(w.next_hidden, w.rows, agent, first, hidden),
                    agent_row(w.target_q, w.rows, agent, first, row));
  }

  /// The utilities of what was done, and of what is to be done next, in row r.
  CUMARL_HD static void select(const BatchedRun& run, const Rows& w, int r) {
    const Params& p = params(run);
    const int row = p.utility.row;
    for (int i = 0; i < p.agents; ++i) {
      const int at = r * kColumns + i;
      const Real* const values = agent_row(w.q, w.places, i, r, row);
      const Real* const later = agent_row(w.target_q, w.rows, i, r, row);
      const int best = top_of(p.double_q ? agent_row(w.q, w.places, i, w.rows + r, row) : later,
                              p.utility.actions[i]);
      w.next_action[at] = best;
      w.chosen[at] = values[w.action[at]];
      w.next_chosen[at] = later[best];
      if constexpr (L::kConstrains) w.greedy[at] = top_of(values, p.utility.actions[i]);
    }
  }

  /// The mixer forward and backward over the rows of a tile, from `select`: begins the tile's gradient
  /// with that of the mixer's parameters, and leaves that of the utilities in dq.
  template <class Team>
  CUMARL_HD static void mix(const Team& team, const BatchedRun& run, const Rows& w, int tile) {
    const Params& p = params(run);
    fill(team, tile_gradient(p, w, tile), Real(0), static_cast<int>(p.size));
    const int from = tile * kTile;
    const int row = p.utility.row;
    for (int i = 0; i < p.agents; ++i) {
      fill(team, agent_row(w.dq, w.rows, i, from, row), Real(0), kTile * row);
    }
    if constexpr (L::kIndependent) {
      apart(team, run, w, from);
    } else {
      together(team, run, w, tile);
    }
    for_rows(team, kTile, [&](int r) {
      for (int i = 0; i < p.agents; ++i) {
        const size_t at = batch_ops::at(from + r, kColumns) + static_cast<size_t>(i);
        agent_row(w.dq, w.rows, i, from + r, row)[w.action[at]] += w.dchosen[at];
      }
    });
    team.sync();
  }

  /// Adds the gradient of agent i's utilities over the rows of a tile to the tile's.
  template <class Team>
  CUMARL_HD static void backward(const Team& team, const BatchedRun& run, const Rows& w, int agent,
                                 int tile) {
    const Params& p = params(run);
    const int from = tile * kTile;
    Agents::backward(
        team, p.utility, prepared(run), agent, agent_row(w.x, w.places, agent, from, p.pitch),
        kTile, agent_row(w.hidden, w.places, agent, from, p.utility.hidden),
        agent_row(w.dq, w.rows, agent, from, p.utility.row),
        agent_row(w.next_hidden, w.rows, agent, from, p.utility.hidden), tile_gradient(p, w, tile));
  }

  /// Of the part of the batch's gradient that tiles [part * kTiles, ..) make.
  CUMARL_HD static Real* partial(const BatchedRun& run, int part) {
    return run.at<Real>(run.s->partial) + static_cast<size_t>(part) * params(run).size;
  }
  CUMARL_HD static int first_tile(int part) { return part * BatchedShape::kTiles; }
  CUMARL_HD static int last_tile(const BatchedRun& run, int part) {
    const int end = first_tile(part) + BatchedShape::kTiles;
    const int tiles = run.s->batch / kTile;
    return end < tiles ? end : tiles;
  }

  /// Adds the gradient of a part's next tile to it, for `count` parameters from `first` on; `begins`:
  /// it is the part's first.
  template <class Team>
  CUMARL_HD static void collect(const Team& team, const BatchedRun& run, const Rows& w, int tile,
                                int part, bool begins, uint64_t first, int count) {
    const Real* const more = tile_gradient(params(run), w, tile) + first;
    Real* const sum = partial(run, part) + first;
    if (begins) {
      copy_vector(team, sum, more, count);
    } else {
      each_column(team, count, [&](int k) { sum[k] += more[k]; });
    }
  }

  /// A part's gradient by one team, tile after tile, in working memory for a tile.
  template <class Team>
  CUMARL_HD static void part(const Team& team, const BatchedRun& run, int part,
                             std::byte* scratch) {
    const Params& p = params(run);
    Rows w;
    working(p, kTile, scratch, &w);
    for (int tile = first_tile(part); tile < last_tile(run, part); ++tile) {
      for (int r = 0; r < kTile; ++r) gather(team, run, w, tile * kTile + r, r);
      for (int i = 0; i < p.agents; ++i) forward(team, run, w, i, 0, kTile);
      for (int r = 0; r < kTile; ++r) select(run, w, r);
      mix(team, run, w, 0);
      for (int i = 0; i < p.agents; ++i) backward(team, run, w, i, 0);
      collect(team, run, w, 0, part, tile == first_tile(part), 0, static_cast<int>(p.size));
    }
  }

  /// The gradient of `count` parameters from `first` on, whole columns: the parts, one after another.
  template <class Team>
  CUMARL_HD static void reduce(const Team& team, const BatchedRun& run, uint64_t first, int count) {
    Real* const g = L::gradient(params(run), own(run)) + first;
    copy_vector(team, g, partial(run, 0) + first, count);
    for (int part = 1; part < run.s->parts; ++part) {
      const Real* const more = partial(run, part) + first;
      each_column(team, count, [&](int k) { g[k] += more[k]; });
    }
    team.sync();
  }

  /// The squared norm of a block of the gradient.
  template <class Team>
  CUMARL_HD static void measure(const Team& team, const BatchedRun& run, int block) {
    const Params& p = params(run);
    const uint64_t first = first_of(block);
    const Real* const g = L::gradient(p, own(run)) + first;
    const Real square = dot(team, g, g, count_of(p, block));
    if (team.rank() == 0) run.at<Real>(run.s->square)[block] = square;
    team.sync();
  }

  /// Moves a block of the parameters, and their targets.
  template <class Team>
  CUMARL_HD static void move(const Team& team, const BatchedRun& run, int block) {
    const Params& p = params(run);
    const BatchedHead& head = run.head();
    const uint64_t first = first_of(block);
    const int n = count_of(p, block);
    Real* const w = L::weights(p, own(run)) + first;
    Real* const target = L::targets(p, own(run)) + first;
    p.descent.move(
        team, L::step_size(p, head.updates), squared_norm(run), w, L::gradient(p, own(run)) + first,
        reinterpret_cast<Real*>(own(run) + p.moments) + first, p.size, {head.beta1, head.beta2}, n);
    if (p.target_rate > Real(0)) {
      for_columns(team, n, [&](int k) { target[k] += p.target_rate * (w[k] - target[k]); });
    } else if ((head.updates + 1) % static_cast<uint64_t>(p.target_every) == 0) {
      copy_vector(team, target, w, n);
    }
    team.sync();
  }

  /// Counts an update.
  CUMARL_HD static void end_update(const BatchedRun& run) {
    const Params& p = params(run);
    BatchedHead& head = run.head();
    const auto powers = p.descent.after({head.beta1, head.beta2});
    head.beta1 = powers.beta1;
    head.beta2 = powers.beta2;
    head.updates += 1;
    if (diverging(squared_norm(run))) head.diverged = 0;
  }

  /// Of a block of parameters.
  CUMARL_HD static uint64_t first_of(int block) {
    return static_cast<uint64_t>(block) * BatchedShape::kBlock;
  }
  CUMARL_HD static int count_of(const Params& p, int block) {
    const uint64_t left = p.size - first_of(block);
    return left < BatchedShape::kBlock ? static_cast<int>(left) : BatchedShape::kBlock;
  }

  /// Of the whole gradient; the same wherever it is asked for.
  CUMARL_HD static Real squared_norm(const BatchedRun& run) {
    Real sum = 0;
    for (int b = 0; b < run.s->blocks; ++b) sum += run.at<Real>(run.s->square)[b];
    return sum;
  }
  CUMARL_HD static Real* tile_gradient(const Params& p, const Rows& w, int tile) {
    return w.gradient + static_cast<size_t>(tile) * p.size;
  }
  CUMARL_HD static Real* prepared(const BatchedRun& run) {
    return reinterpret_cast<Real*>(own(run) + params(run).prepared);
  }
  /// Row r of agent i in an array of `rows` rows an agent.
  CUMARL_HD static Real* agent_row(Real* all, int rows, int agent, int r, int pitch) {
    return all + (static_cast<size_t>(agent) * static_cast<size_t>(rows) + static_cast<size_t>(r)) *
                     static_cast<size_t>(pitch);
  }
  /// Entries of a mixer's working memory for a tile.
  CUMARL_HD static size_t mixing_pitch(const Params& p) {
    return (Mix::working(p.mixer, kTile) + kColumns - 1) / kColumns * kColumns;
  }

 private:
  /// From the chosen utilities of a tile through the mixer: its gradient, and the slopes dchosen.
  template <class Team>
  CUMARL_HD static void together(const Team& team, const BatchedRun& run, const Rows& w, int tile) {
    const Params& p = params(run);
    Real* const g = tile_gradient(p, w, tile);
    const Real* const mine = L::weights(p, own(run));
    const Real* const target = L::targets(p, own(run));
    const int from = tile * kTile;
    const int row = p.utility.row;
    const size_t columns = batch_ops::at(from, kColumns);
    Real* const mixing = w.mixing + static_cast<size_t>(tile) * mixing_pitch(p);
    Real* const slope = w.slope + from;
    const MixRows<Real> later{kTile, w.next_state + batch_ops::at(from, p.state_pitch),
                              w.next_chosen + columns, w.next_action + columns};
    const MixRows<Real> now{kTile, w.state + batch_ops::at(from, p.state_pitch), w.chosen + columns,
                            w.action + columns};
    Mix::forward(team, p.mixer, target + p.mixer_at, later, mixing, w.next_total + from);
    Mix::forward(team, p.mixer, mine + p.mixer_at, now, mixing, w.total + from);
    const Real share = Real(1) / static_cast<Real>(run.s->batch);
    for_rows(team, kTile, [&](int r) {
      Real wanted = w.reward[from + r];
      if (w.ends[from + r] == 0) wanted += p.gamma * w.next_total[from + r];
      slope[r] = Real(2) * share * (w.total[from + r] - wanted);
      w.weight[from + r] = share;
    });
    team.sync();
    if constexpr (L::kConstrains) {
      const AllUtilities<Real> all{w.q + batch_ops::at(from, row),
                                   w.dq + batch_ops::at(from, row),
                                   w.greedy + columns,
                                   w.places,
                                   w.rows,
                                   row};
      Mix::constrain(team, p.mixer, mine + p.mixer_at, now, w.total + from, all, w.weight + from,
                     mixing);
    }
    Mix::backward(team, p.mixer, mine + p.mixer_at, prepared(run) + Agents::prepared(p.utility),
                  now, slope, mixing, w.dchosen + columns, g + p.mixer_at);
  }

  /// The same without a mixer, of the tile that begins at row `from`.
  template <class Team>
  CUMARL_HD static void apart(const Team& team, const BatchedRun& run, const Rows& w, int from) {
    const Params& p = params(run);
    const Real share = Real(1) / static_cast<Real>(run.s->batch);
    for_rows(team, kTile, [&](int r) {
      for (int i = 0; i < p.agents; ++i) {
        const size_t at = batch_ops::at(from + r, kColumns) + static_cast<size_t>(i);
        Real wanted = w.reward[i * w.rows + from + r];
        if (w.ends[from + r] == 0) wanted += p.gamma * w.next_chosen[at];
        w.dchosen[at] = Real(2) * share * (w.chosen[at] - wanted);
      }
    });
    team.sync();
  }

  /// Word number `word` of the run's sequence of a stream, four to a block.
  CUMARL_HD static uint32_t word_of(RunKey key, uint64_t word, Stream stream) {
    return philox(key, word / 4, stream, 0).word(static_cast<int>(word % 4));
  }
  template <class Team>
  CUMARL_HD static void expand(const Team& team, const BatchedRun& run, int lane, const float* raw,
                               const uint32_t* index, uint64_t x, uint64_t global, uint64_t ring) {
    const JointParams& p = *run.p;
    for (int i = 0; i < p.agents; ++i) {
      p.basis[i].template expand<Real>(team, raw + i * p.raw_pitch, index[i],
                                       run.row<Real>(x, ring, i, lane));
    }
    p.global.template expand<Real>(team, raw + p.agents * p.raw_pitch, 0,
                                   run.global_row<Real>(global, ring, lane));
    team.sync();
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
