/// \file
/// The sizes of a batched run, and where things are in its memory. Host only.
#pragma once

#include <string>
#include <utility>

#include "kernels/batched/stages.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Checks what lanes ask of a learner's other settings. Throws ParameterError.
template <class Config>
void check_batched(const Config& c) {
  constexpr int kTile = BatchedShape::kTile;
  const auto lanes = std::to_string(c.batched.lanes);
  const double least = static_cast<double>(c.batched.lanes) * c.batched.rollout;
  if (c.batch % kTile != 0) {
    throw ParameterError("batch",
                         "must be a multiple of " + std::to_string(kTile) + " with lanes above 1");
  }
  if (c.slots % c.batched.lanes != 0) {
    throw ParameterError("replay.slots", "must be a multiple of lanes, which are " + lanes);
  }
  if (c.slots < least) {
    throw ParameterError("replay.slots", "must hold a rollout of all lanes: at least " +
                                             std::to_string(static_cast<long long>(least)));
  }
  if (c.batch > c.slots) {
    throw ParameterError("batch",
                         "must be at most replay.slots, which are " + std::to_string(c.slots));
  }
  if (c.steps != 1) {
    throw ParameterError("replay.steps", "must be 1 with lanes above 1: single transitions");
  }
  if (c.utility.kind.value != 0) {
    throw ParameterError("utility.kind", "must be \"mlp\" with lanes above 1");
  }
  if (c.replay_kind.value != 0) {
    throw ParameterError("replay.kind", "must be \"uniform\" with lanes above 1");
  }
  if (!c.constraint.limit.empty()) {
    throw ParameterError("cost_limit", "must be left out with lanes above 1");
  }
  for (const auto& [key, choice] : {std::pair{"perturb.observation", c.perturb.observation},
                                    std::pair{"perturb.reward", c.perturb.reward},
                                    std::pair{"perturb.action", c.perturb.action}}) {
    if (choice.value != 0) throw ParameterError(key, "must be \"none\" with lanes above 1");
  }
  if (c.every != 1) {
    throw ParameterError("every", "must be 1 with lanes above 1: use rollout and updates");
  }
}

/// `p`: parameters of a population run of L with an empty replay. Throws ParameterError.
template <class L>
BatchedShape batched_shape(const typename L::Config& config, const JointParams& p,
                           size_t state_bytes) {
  using Real = typename L::Real;
  check_batched(config);
  BatchedShape s{};
  s.lanes = config.batched.lanes;
  s.rollout = config.batched.rollout;
  s.updates = config.batched.updates;
  s.products = static_cast<Products>(config.batched.products.value);
  s.batch = config.batch;
  s.rounds = config.slots / config.batched.lanes + 1;
  if (s.products != Products::exact && sizeof(Real) == 8) {
    throw ParameterError("products", "must be \"exact\" with precision = \"float64\"");
  }
  const auto& own = *reinterpret_cast<const typename L::Params*>(p.learner);
  const int tiles = s.batch / BatchedShape::kTile;
  s.parts = (tiles - 1) / BatchedShape::kTiles + 1;
  s.blocks = static_cast<int32_t>((own.size - 1) / BatchedShape::kBlock + 1);
  s.paid = own.replay.rewards;
  s.learned_end = p.learner_at + own.work;
  s.raw_each = static_cast<uint64_t>(p.agents * p.raw_pitch + p.raw_global);
  s.state_bytes = state_bytes;
  uint64_t end = p.bytes;
  const auto place = [&end](uint64_t bytes) {
    const uint64_t at = end;
    end += (bytes + 63) / 64 * 64;
    return at;
  };
  const auto lanes = static_cast<uint64_t>(s.lanes);
  const auto agents = static_cast<uint64_t>(p.agents);
  const uint64_t places = lanes * static_cast<uint64_t>(s.rounds);
  const uint64_t x = places * agents * static_cast<uint64_t>(p.pitch) * sizeof(Real);
  const uint64_t global = places * static_cast<uint64_t>(p.global_pitch) * sizeof(Real);
  s.head = place(sizeof(BatchedHead));
  s.states = place(lanes * state_bytes);
  s.x = place(x);
  s.global = place(global);
  s.next_x = place(x);
  s.next_global = place(global);
  s.reward = place(places * static_cast<uint64_t>(s.paid) * sizeof(Real));
  s.action = place(places * agents);
  s.episode = place(places);
  s.kept_end = end;
  s.raw = place(lanes * s.raw_each * sizeof(float));
  s.fresh_raw = place(lanes * s.raw_each * sizeof(float));
  s.index = place(lanes * agents * sizeof(uint32_t));
  s.fresh_index = place(lanes * agents * sizeof(uint32_t));
  s.rewards = place(lanes * agents * sizeof(float));
  s.actions = place(lanes * agents * sizeof(int32_t));
  s.episodes = place(lanes);
  s.partial = place(static_cast<uint64_t>(s.parts) * own.size * sizeof(Real));
  s.square = place(static_cast<uint64_t>(s.blocks) * sizeof(Real));
  s.digests = place(((s.kept_end - p.learner_at) / BatchedShape::kChunk + 2) * sizeof(uint64_t));
  s.bytes = end;
  return s;
}

}  // namespace cumarl::inline CUMARL_VARIANT
