/// \file
/// A batched run in memory: one learner, many environments ("lanes") and one replay of all of them.
///
/// Memory of a run: that of a population run of the same learner with an empty replay
/// (kernels/linear/joint_learner.hpp: weights, targets, moments, and what its evaluation needs), then
/// BatchedHead, the lanes' states, the ring, and what is of no use after a launch (from `raw` on).
///
/// Lanes step in rounds. Step t of the run is that of lane t mod lanes in round t / lanes, and draws
/// the random numbers of step t. The ring has a place for each lane in each of `rounds` rounds; the
/// round that comes next is being written, all others are sampled from.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/batched/settings.hpp"
#include "kernels/linear/joint_learner.hpp"

namespace cumarl {

/// Sizes of a batched run, and where things are in its memory, in bytes.
struct BatchedShape {
  static constexpr int kTile = 32;     ///< rows of a batch that are worked through together
  static constexpr int kTiles = 4;     ///< whose gradients are added up one after another: a part
  static constexpr int kBlock = 1024;  ///< parameters that are moved together
  static constexpr uint64_t kChunk = 65536;  ///< bytes that one digest covers

  int32_t lanes, rollout, updates, batch;
  int32_t rounds;  ///< of the ring
  int32_t parts;   ///< of a batch's gradient
  int32_t blocks;  ///< of parameters
  int32_t paid;    ///< rewards that are kept of a joint step: one, or one an agent
  Products products;
  uint64_t raw_each;  ///< floats of what a lane's environment shows
  uint64_t state_bytes;
  uint64_t learned_end;  ///< of what the learner's own memory holds, working memory apart
  uint64_t head, states;
  uint64_t x, global, next_x, next_global;  ///< [rounds][agents][lanes][pitch], [rounds][lanes][..]
  uint64_t reward, action, episode;  ///< [rounds][lanes], reward: [paid], action: [agents] of each
  uint64_t kept_end;                 ///< of what lasts
  uint64_t raw, fresh_raw, index,
      fresh_index;                      ///< [lanes]: what is seen behind a step, and after a
                                        ///< reset
  uint64_t rewards, actions, episodes;  ///< [lanes] of the present round
  uint64_t partial;                     ///< [parts][parameters]
  uint64_t square;                      ///< [blocks]
  uint64_t digests;
  uint64_t bytes;
};

/// What a batched run counts.
struct BatchedHead {
  uint64_t rounds;   ///< all lanes have taken
  uint64_t updates;  ///< done
  double beta1;      ///< of the coming update, see Optimizer::Powers
  double beta2;
  int32_t diverged;  ///< 0 where the weights are no numbers any more, else -1
  int32_t unused;    ///< no padding: digests cover it
};
static_assert(sizeof(BatchedHead) <= 64);

}  // namespace cumarl

namespace cumarl::inline CUMARL_VARIANT {

/// A batched run: its parameters and its memory, all on one backend.
struct BatchedRun {
  const JointParams* p;
  const BatchedShape* s;
  std::byte* memory;
  RunKey key;

  template <class T>
  CUMARL_HD T* at(uint64_t bytes) const {
    return reinterpret_cast<T*>(memory + bytes);
  }
  CUMARL_HD BatchedHead& head() const { return *at<BatchedHead>(s->head); }
  /// Where round `number` of the run is in the ring.
  CUMARL_HD uint64_t ring(uint64_t number) const {
    return number % static_cast<uint64_t>(s->rounds);
  }
  /// The number of a lane's step in a round.
  CUMARL_HD uint64_t step(uint64_t round, int lane) const {
    return round * static_cast<uint64_t>(s->lanes) + static_cast<uint64_t>(lane);
  }
  /// The place of a lane in a round of the ring.
  CUMARL_HD size_t place(uint64_t in_ring, int lane) const {
    return static_cast<size_t>(in_ring) * static_cast<size_t>(s->lanes) + static_cast<size_t>(lane);
  }
  /// Row of [rounds][agents][lanes][pitch]; rows of neighbouring lanes follow each other.
  template <class Real>
  CUMARL_HD Real* row(uint64_t from, uint64_t in_ring, int agent, int lane) const {
    const size_t rows = (static_cast<size_t>(in_ring) * static_cast<size_t>(p->agents) +
                         static_cast<size_t>(agent)) *
                            static_cast<size_t>(s->lanes) +
                        static_cast<size_t>(lane);
    return at<Real>(from) + rows * static_cast<size_t>(p->pitch);
  }
  /// Row of [rounds][lanes][global_pitch].
  template <class Real>
  CUMARL_HD Real* global_row(uint64_t from, uint64_t in_ring, int lane) const {
    return at<Real>(from) + place(in_ring, lane) * static_cast<size_t>(p->global_pitch);
  }
  CUMARL_HD uint8_t* kept_actions(uint64_t in_ring, int lane) const {
    return at<uint8_t>(s->action) + place(in_ring, lane) * static_cast<size_t>(p->agents);
  }
  CUMARL_HD Episode& kept_episode(uint64_t in_ring, int lane) const {
    return at<Episode>(s->episode)[place(in_ring, lane)];
  }
  template <class Real>
  CUMARL_HD Real& kept_reward(uint64_t in_ring, int lane, int i = 0) const {
    return at<Real>(
        s->reward)[place(in_ring, lane) * static_cast<size_t>(s->paid) + static_cast<size_t>(i)];
  }
  /// What a lane's environment shows: features of the agents, then the global ones.
  CUMARL_HD float* raw(uint64_t from, int lane) const {
    return at<float>(from) + static_cast<size_t>(lane) * static_cast<size_t>(s->raw_each);
  }
  CUMARL_HD uint32_t* indices(uint64_t from, int lane) const {
    return at<uint32_t>(from) + static_cast<size_t>(lane) * static_cast<size_t>(p->agents);
  }
  /// [agents] of the present round.
  CUMARL_HD int32_t* actions(int lane) const {
    return at<int32_t>(s->actions) + static_cast<size_t>(lane) * static_cast<size_t>(p->agents);
  }
  CUMARL_HD float* rewards(int lane) const {
    return at<float>(s->rewards) + static_cast<size_t>(lane) * static_cast<size_t>(p->agents);
  }
  CUMARL_HD Episode& episode(int lane) const { return at<Episode>(s->episodes)[lane]; }
  /// Transitions that can be sampled after `done` rounds.
  CUMARL_HD uint64_t filled(uint64_t done) const {
    const auto most = static_cast<uint64_t>(s->rounds - 1);
    return (done < most ? done : most) * static_cast<uint64_t>(s->lanes);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
