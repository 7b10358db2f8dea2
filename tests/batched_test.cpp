/// Batched runs: an update against the population shape's on the same batch, sampling by hand, the
/// launches of a GPU against the CPU's order, threads, episodes' ends, learning, bad input.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>

#include "cumarl/error.hpp"
#include "cumarl/runner.hpp"
#include "host/src/joint_adapters.hpp"
#include "kernels/batched/launches.hpp"
#include "kernels/batched/shape.hpp"
#include "tests/emulated_team.hpp"
#include "tests/mixing_harness.hpp"

namespace {

using namespace cumarl;
using namespace cumarl::mixing_harness;

/// A batched run of L whose ring is full of noise: three rounds more have been taken than it holds.
template <class L>
struct Lanes {
  using Real = typename L::Real;
  using Stages = BatchedStages<L>;

  Lanes(const typename L::Config& config, const Sizes& sizes, uint64_t number = 1)
      : spec(joint_spec(sizes)), key{7, number} {
    auto alone = config;
    alone.batch = 1;
    alone.slots = 1;
    const typename L::Params own = L::make(alone, spec, arena);
    std::memcpy(p.learner, &own, sizeof(own));
    p.agents = spec.agents;
    p.pitch = spec.pitch;
    p.global_pitch = spec.global_pitch;
    p.raw_pitch = spec.pitch;
    p.raw_global = spec.global_pitch;
    for (int i = 0; i < spec.agents; ++i) {
      p.actions[i] = spec.actions[i];
      const std::vector<Bounds> ranges(static_cast<size_t>(spec.size[i] - 1), Bounds{0, 1});
      p.basis[i] = Basis::make({}, ranges, 0, arena);
    }
    p.global = Basis::make(
        {}, std::vector<Bounds>(static_cast<size_t>(spec.global_size - 1), Bounds{0, 1}), 0, arena);
    p.learner_at = 64;
    p.bytes = 64 + (L::bytes(own) + 63) / 64 * 64;
    s = batched_shape<L>(config, p, 8);
    memory = std::make_unique<Block>(s.bytes);
    L::init(SerialTeam{}, own, memory->data() + p.learner_at, key);
    Stages::begin(run());
    Stages::prepare(SerialTeam{}, run());
    std::mt19937 rng(11);
    const auto draw = [&rng] {
      return static_cast<Real>(static_cast<double>(rng()) / 4294967296.0 * 2.0 - 1.0);
    };
    for (int round = 0; round < s.rounds; ++round) {
      const auto ring = static_cast<uint64_t>(round);
      for (int lane = 0; lane < s.lanes; ++lane) {
        for (const uint64_t x : {s.x, s.next_x}) {
          for (int i = 0; i < p.agents; ++i) {
            for (int k = 0; k < spec.size[i]; ++k) {
              run().template row<Real>(x, ring, i, lane)[k] = draw();
            }
          }
        }
        for (const uint64_t x : {s.global, s.next_global}) {
          for (int k = 0; k < spec.global_size; ++k) {
            run().template global_row<Real>(x, ring, lane)[k] = draw();
          }
        }
        for (int i = 0; i < p.agents; ++i) {
          run().kept_actions(ring, lane)[i] =
              static_cast<uint8_t>(rng() % static_cast<uint32_t>(spec.actions[i]));
        }
        for (int i = 0; i < s.paid; ++i) run().template kept_reward<Real>(ring, lane, i) = draw();
        run().kept_episode(ring, lane) = static_cast<Episode>(rng() % 3);
      }
    }
    run().head().rounds = static_cast<uint64_t>(s.rounds) + 3;
  }
  BatchedRun run() const { return {&p, &s, memory->data(), key}; }
  const typename L::Params& own() const { return Stages::params(run()); }
  std::byte* learner() const { return Stages::own(run()); }

  /// One update, as a CPU does it: part after part.
  void update() const {
    const SerialTeam team;
    Block scratch(Stages::working(own(), Stages::kTile, nullptr, nullptr));
    for (int part = 0; part < s.parts; ++part) Stages::part(team, run(), part, scratch.data());
    for (int b = 0; b < s.blocks; ++b) {
      Stages::reduce(team, run(), Stages::first_of(b), Stages::count_of(own(), b));
      Stages::measure(team, run(), b);
    }
    for (int b = 0; b < s.blocks; ++b) Stages::move(team, run(), b);
    Stages::end_update(run());
    Stages::prepare(team, run());
  }

  /// Place in the ring of number `sample` of the coming update's batch: word `updates * batch +
  /// sample` of stream learn, scaled to the transitions there are, counts back from the newest one.
  std::pair<uint64_t, int> sampled(int sample) const {
    const BatchedHead& head = run().head();
    const uint64_t word =
        head.updates * static_cast<uint64_t>(s.batch) + static_cast<uint64_t>(sample);
    const Philox four = philox(key, word / 4, Stream::learn, 0);
    const uint32_t words[4] = {four.x0, four.x1, four.x2, four.x3};
    const uint64_t there = std::min<uint64_t>(head.rounds, static_cast<uint64_t>(s.rounds) - 1) *
                           static_cast<uint64_t>(s.lanes);
    const uint64_t back = (uint64_t{words[word % 4]} * there) >> 32;
    const auto lanes = static_cast<uint64_t>(s.lanes);
    return {(head.rounds - 1 - back / lanes) % static_cast<uint64_t>(s.rounds),
            static_cast<int>(back % lanes)};
  }

  JointSpec spec;
  HostArena arena;
  JointParams p{};
  BatchedShape s{};
  RunKey key;
  std::unique_ptr<Block> memory;
};

/// Puts the batch that `lanes` is about to sample into a population run's replay and updates it
/// there, from the same weights.
template <class L>
void update_reference(const typename L::Config& config, const Sizes& sizes, Lanes<L>& lanes,
                      Driven<L, typename L::Real>& reference) {
  for (int b = 0; b < config.batch; ++b) {
    const auto [ring, lane] = lanes.sampled(b);
    const auto kept = L::replay(reference.p, reference.memory());
    const auto size = [](int entries) {
      return static_cast<size_t>(entries) * sizeof(typename L::Real);
    };
    using Real = typename L::Real;
    for (int i = 0; i < lanes.p.agents; ++i) {
      std::memcpy(kept.x(kept.place(b, 0), i),
                  lanes.run().template row<Real>(lanes.s.x, ring, i, lane), size(lanes.p.pitch));
      std::memcpy(kept.x(kept.place(b, 1), i),
                  lanes.run().template row<Real>(lanes.s.next_x, ring, i, lane),
                  size(lanes.p.pitch));
      kept.actions(kept.place(b, 0))[i] = lanes.run().kept_actions(ring, lane)[i];
    }
    std::memcpy(kept.global(kept.place(b, 0)),
                lanes.run().template global_row<Real>(lanes.s.global, ring, lane),
                size(lanes.p.global_pitch));
    std::memcpy(kept.global(kept.place(b, 1)),
                lanes.run().template global_row<Real>(lanes.s.next_global, ring, lane),
                size(lanes.p.global_pitch));
    for (int i = 0; i < lanes.s.paid; ++i) {
      kept.reward(kept.place(b, 0), i) = lanes.run().template kept_reward<Real>(ring, lane, i);
    }
    kept.episode(kept.place(b, 0)) = lanes.run().kept_episode(ring, lane);
    kept.length(b) = 1;
  }
  (void)sizes;
  reference.pick_first();
  ASSERT_TRUE(L::update(SerialTeam{}, reference.p, reference.memory()));
}

/// The largest difference of two vectors, relative to the largest entry of the second.
template <class Real>
double difference(const Real* a, const Real* b, uint64_t n) {
  double most = 0, scale = 0;
  for (uint64_t k = 0; k < n; ++k) {
    const double gap = std::fabs(static_cast<double>(a[k]) - static_cast<double>(b[k]));
    most = std::max(most, std::isnan(gap) ? 1e300 : gap);
    scale = std::max(scale, std::fabs(static_cast<double>(b[k])));
  }
  return scale > 0 ? most / scale : most;
}

const Sizes kSizes{{3, 5, 4}, {7, 7, 7}, 9};

template <class L>
typename L::Config base_config(int batch = 160) {
  typename L::Config c;
  c.batched.lanes = 24;
  c.batch = batch;
  c.slots = 24 * 9;
  c.alpha = 0.01;
  c.gamma = 0.9;
  c.target_every = 2;
  c.utility.width = 20;
  c.optimizer.kind.value = Optimizer<typename L::Real>::kAdam;
  c.optimizer.max_norm = 0.5;
  return c;
}

/// Three updates of the batched shape and of the population shape, which sums a batch in another
/// order: weights, targets and gradient must agree to `tolerance` after each.
template <class L>
void check_updates(const typename L::Config& config, double tolerance) {
  using Real = typename L::Real;
  Lanes<L> lanes(config, kSizes);
  auto alone = config;
  alone.batched = {};
  alone.slots = config.batch;
  Driven<L, Real> reference(alone, kSizes);
  const uint64_t n = lanes.own().size;
  ASSERT_EQ(n, reference.p.size);
  for (int update = 0; update < 3; ++update) {
    update_reference<L>(config, kSizes, lanes, reference);
    lanes.update();
    EXPECT_LT(difference(L::gradient(lanes.own(), lanes.learner()), reference.gradient(), n),
              tolerance)
        << update;
    EXPECT_LT(difference(L::weights(lanes.own(), lanes.learner()), reference.weights(), n),
              tolerance)
        << update;
    EXPECT_LT(difference(L::targets(lanes.own(), lanes.learner()), reference.targets(), n),
              tolerance)
        << update;
  }
  EXPECT_EQ(lanes.run().head().updates, 3u);
  EXPECT_EQ(lanes.run().head().diverged, -1);
}

TEST(BatchedUpdate, EqualsThePopulationShapesOnTheSameBatch) {
  check_updates<Vdn<double>>(base_config<Vdn<double>>(), 1e-12);
  check_updates<Qmix<double>>(base_config<Qmix<double>>(), 1e-12);
  check_updates<Qtran<double>>(base_config<Qtran<double>>(), 1e-12);
  check_updates<Qmix<double>>(base_config<Qmix<double>>(32), 1e-12);  // one tile
  check_updates<Iql<double>>(base_config<Iql<double>>(), 1e-12);
}

TEST(BatchedUpdate, EqualsThePopulationShapesInFloat32) {
  check_updates<Qmix<float>>(base_config<Qmix<float>>(), 2e-4);
}

TEST(BatchedUpdate, HasEveryVariantOfThePopulationShape) {
  using L = Qmix<double>;
  auto c = base_config<L>();
  c.mixer.layers = 1;
  c.utility.shared = true;
  c.double_q = false;
  check_updates<L>(c, 1e-12);
  c = base_config<L>();
  c.utility.width = 0;
  c.target_rate = 0.1;
  c.alpha_updates = 2;
  c.optimizer.kind.value = Optimizer<double>::kRmsprop;
  c.mixer.activation.value = 1;
  check_updates<L>(c, 1e-12);
  c.utility.shared = true;
  c.optimizer.kind.value = Optimizer<double>::kSgd;
  c.optimizer.max_norm = 0;
  check_updates<L>(c, 1e-12);
  auto alt = base_config<Qtran<double>>();
  alt.mixer.variant.value = 1;
  check_updates<Qtran<double>>(alt, 1e-12);
}

// ---- sampling and the ring ----------------------------------------------------------------------

TEST(BatchedReplay, SamplesWhatLastsAndNothingElse) {
  using L = Vdn<float>;
  auto c = base_config<L>(4096);
  c.slots = 24 * 171;
  c.utility.width = 0;
  Lanes<L> lanes(c, kSizes);
  using Stages = BatchedStages<L>;
  Block scratch(Stages::working(lanes.own(), 4096, nullptr, nullptr));
  Stages::Rows w;
  Stages::working(lanes.own(), 4096, scratch.data(), &w);
  std::map<std::pair<uint64_t, int>, int> seen;
  for (int b = 0; b < 4096; ++b) {
    Stages::gather(SerialTeam{}, lanes.run(), w, b, b);
    const auto at = lanes.sampled(b);
    ++seen[at];
    for (int i = 0; i < 3; ++i) {
      const size_t bytes = static_cast<size_t>(lanes.p.pitch) * sizeof(float);
      ASSERT_EQ(std::memcmp(w.x + (i * w.places + b) * lanes.p.pitch,
                            lanes.run().row<float>(lanes.s.x, at.first, i, at.second), bytes),
                0);
      ASSERT_EQ(std::memcmp(w.x + (i * w.places + w.rows + b) * lanes.p.pitch,
                            lanes.run().row<float>(lanes.s.next_x, at.first, i, at.second), bytes),
                0);
      ASSERT_EQ(w.action[b * kColumns + i], lanes.run().kept_actions(at.first, at.second)[i]);
    }
    ASSERT_EQ(w.ends[b], lanes.run().kept_episode(at.first, at.second) == Episode::ended ? 1 : 0);
  }
  // 172 rounds in the ring, 175 taken: round 175 mod 172 = 3 is being written
  for (const auto& [at, count] : seen) EXPECT_NE(at.first, 3u);
  // 4,096 draws of 4,104 places: 1 - 1/e of them, 0.632, are seen; the standard deviation of the
  // share is sqrt(e^-1 - 2 e^-2) / sqrt(4104) = 0.005
  EXPECT_NEAR(static_cast<double>(seen.size()) / 4104, 0.632, 4 * 0.005);
}

// ---- the order of a GPU's launches --------------------------------------------------------------

/// Launches on this thread, by one lane.
struct SerialLauncher {
  template <class F>
  void teams(uint64_t n, F f) {
    for (uint64_t i = n; i-- > 0;) f(SerialTeam{}, i);  // in any order
  }
  template <class F>
  void each(uint64_t n, F f) {
    for (uint64_t i = n; i-- > 0;) f(i);
  }
};

/// By teams of N real threads.
template <int N>
struct EmulatedLauncher : SerialLauncher {
  template <class F>
  void teams(uint64_t n, F f) {
    run_emulated<N>([&](const auto& team) {
      for (uint64_t i = 0; i < n; ++i) {
        f(team, i);
        team.sync();
      }
    });
  }
};

/// Updates by launches leave the same weights, targets and moments as tile after tile.
template <class L, class Launcher>
void check_launches(const typename L::Config& config, int updates,
                    const CudaBatchedPolicy& policy = {}) {
  Lanes<L> tiles(config, kSizes), launched(config, kSizes);
  using Stages = BatchedStages<L>;
  Block work(Stages::working(launched.own(), config.batch, nullptr, nullptr));
  typename Stages::Rows w;
  Stages::working(launched.own(), config.batch, work.data(), &w);
  Launcher on;
  for (int update = 0; update < updates; ++update) {
    tiles.update();
    launch_update<L>(on, launch_sizes<L>(launched.p, launched.s, policy), launched.run(), w);
  }
  // up to what `prepare` has made
  EXPECT_EQ(std::memcmp(tiles.learner() + tiles.own().weights,
                        launched.learner() + launched.own().weights,
                        tiles.own().prepared - tiles.own().weights),
            0);
  EXPECT_EQ(std::memcmp(&tiles.run().head(), &launched.run().head(), sizeof(BatchedHead)), 0);
  EXPECT_EQ(launched.run().head().updates, static_cast<uint64_t>(updates));
}

TEST(BatchedLaunches, HaveTheBitsOfTheTiles) {
  check_launches<Vdn<float>, SerialLauncher>(base_config<Vdn<float>>(), 3);
  check_launches<Qmix<float>, SerialLauncher>(base_config<Qmix<float>>(), 3);
  check_launches<Qmix<double>, SerialLauncher>(base_config<Qmix<double>>(), 3);
  check_launches<Qtran<float>, SerialLauncher>(base_config<Qtran<float>>(), 3);
  check_launches<Iql<float>, SerialLauncher>(base_config<Iql<float>>(), 3);
  auto shared = base_config<Qmix<float>>();
  shared.utility.shared = true;
  shared.mixer.layers = 1;
  check_launches<Qmix<float>, SerialLauncher>(shared, 3);
  for (const uint64_t rows : {1U, 4U, 32U}) {
    check_launches<Qmix<float>, SerialLauncher>(base_config<Qmix<float>>(), 1, {.rows = rows});
  }
}

TEST(BatchedLaunches, HaveTheBitsOfOneLaneWithTeamsOfMore) {
  auto small = base_config<Qmix<float>>(32);
  small.utility.width = 4;
  small.utility.shared = true;
  small.mixer.embed = 4;
  small.mixer.width = 4;
  check_launches<Qmix<float>, EmulatedLauncher<2>>(small, 1);
  check_launches<Vdn<float>, EmulatedLauncher<16>>(base_config<Vdn<float>>(32), 1);
}

// ---- rounds of joint steps ----------------------------------------------------------------------

/// Two agents on a line. A joint step moves them on by the sum of their actions, a place further
/// with even chance, and pays agent i the place plus i. An episode ends at place 4 and beyond, and
/// is cut after three steps. It starts at place 0 or 1 (reset draw). They see place and steps.
struct Walk {
  static constexpr int kMaxAgents = 2;
  struct Config {};
  struct Params {
    int unused;
  };
  struct State {
    int32_t place, steps;
  };
  static Params make(const Config&, Arena&) { return {0}; }
  static int agents(const Params&) { return 2; }
  static int actions(const Params&, int) { return 2; }
  static uint32_t observations(const Params&, int) { return 0; }
  static uint32_t observe_index(const Params&, const State&, int) { return 0; }
  static int features(const Params&, int) { return 2; }
  static Bounds feature_range(const Params&, int, int) { return {0, 8}; }
  static Bounds reward_bounds(const Params&) { return {0, 10}; }
  static void observe(const Params&, const State& s, int, float* out) {
    out[0] = static_cast<float>(s.place);
    out[1] = static_cast<float>(s.steps);
  }
  static void reset(const Params&, State& s, Rng& rng) {
    s = {static_cast<int32_t>(rng.below(2)), 0};
  }
  static Episode step(const Params&, State& s, const int* actions, float* rewards, Rng& rng) {
    s.place += actions[0] + actions[1] + static_cast<int32_t>(rng.below(2));
    ++s.steps;
    for (int i = 0; i < 2; ++i) rewards[i] = static_cast<float>(s.place + i);
    if (s.place >= 4) return Episode::ended;
    return s.steps == 3 ? Episode::cut : Episode::goes_on;
  }
};

using WalkL = Qmix<float>;

WalkL::Config walk_config() {
  WalkL::Config c;
  c.batched.lanes = 40;  // a tile of 32, and 8 more
  c.batched.rollout = 3;
  c.batched.updates = 2;
  c.batch = 224;  // two parts, for two threads
  c.slots = 40 * 6;
  c.alpha = 0.01;
  c.utility.width = 8;
  c.mixer.embed = 4;
  c.mixer.width = 6;
  c.exploration.start = 0.5;
  c.exploration.end = 0.5;
  return c;
}

int qmix_kind() {
  const auto& entries = joint_entries();
  for (size_t k = 0; k < entries.size(); ++k) {
    if (std::string(entries[k].facts.name) == "qmix") return static_cast<int>(k);
  }
  return -1;
}

/// One run of the walk in a slot of its own.
struct WalkRun {
  explicit WalkRun(const WalkL::Config& config, uint64_t max_steps, uint32_t points = 0) {
    int agent = 0;
    const JointProblemOf<Walk, true> problem(std::make_shared<const MadeEnv<Walk>>(Walk::Config{}),
                                             {qmix_kind(), std::make_shared<WalkL::Config>(config)},
                                             {0, max_steps}, {4, 1, points}, agent);
    layout = problem.layout();
    cell_memory = std::make_unique<Block>(layout.cell_bytes);
    state = std::make_unique<Block>(layout.state_bytes);
    memory = std::make_unique<Block>(layout.memory_bytes);
    CellArena parameters(arena);
    problem.write_cell(parameters, cell_memory->data());
    outcome.resize(kOutcomeHead + problem.columns().size());
    r.cells = cell_memory->data();
    r.states = state->data();
    r.memory = memory->data();
    r.outcomes = outcome.data();
    r.slots = &slot;
    r.live = &live;
    r.live_count = 1;
    r.cell_count = 1;
    r.outcome_count = static_cast<uint32_t>(outcome.size());
    r.layout = layout;
    r.seed = 7;
    r.budget = ~uint64_t{0};
    r.phase = &phase;
    r.progress = &progress;
    r.interrupt = &interrupt;
  }
  const BatchedCell<Walk>& cell() const { return *cell_memory->as<BatchedCell<Walk>>(); }
  BatchedRun run() const { return batched_run(cell(), memory->data(), {7, slot.run}); }

  HostArena arena;
  RunLayout layout{};
  std::unique_ptr<Block> cell_memory, state, memory;
  std::vector<double> outcome;
  Slot slot{5, 0};
  uint32_t live = 0;
  SlotPhase phase = SlotPhase::started;
  std::atomic<uint64_t> progress{0};
  std::atomic<bool> interrupt{false};
  Rollout r{};
};

TEST(BatchedRounds, KeepWhatEveryLaneOfTheWalkDid) {
  auto config = walk_config();
  config.reward_scale = 2;
  WalkRun walk(config, 1);  // a rollout is less than a batch: weights stay as they are
  const CpuBackend one(1);
  const auto kernels = cpu_batched_kernels<Walk>();
  kernels.start(one, walk.r);
  kernels.advance(one, walk.r);
  const BatchedRun run = walk.run();
  const auto& p = BatchedStages<WalkL>::params(run);
  const float* const w = WalkL::weights(p, BatchedStages<WalkL>::own(run));
  ASSERT_EQ(run.head().rounds, 3u);
  ASSERT_EQ(run.head().updates, 0u);
  std::map<Episode, int> episodes;
  Block x(16 * 4), h(16 * 4), q(16 * 4);
  for (int lane = 0; lane < 40; ++lane) {
    Walk::State state{};
    Rng first({7, 5}, static_cast<uint64_t>(lane), Stream::reset);
    Walk::reset({0}, state, first);
    for (uint64_t round = 0; round < 3; ++round) {
      const uint64_t t = round * 40 + static_cast<uint64_t>(lane);
      const auto sees = [&](const float* row) {  // features over their range of 8, and a one
        EXPECT_FLOAT_EQ(row[0], static_cast<float>(state.place) / 8);
        EXPECT_FLOAT_EQ(row[1], static_cast<float>(state.steps) / 8);
        EXPECT_EQ(row[2], 1.0F);
        EXPECT_EQ(row[3], 0.0F);
      };
      int actions[2];
      for (int i = 0; i < 2; ++i) {
        const float* const row = run.row<float>(run.s->x, round, i, lane);
        sees(row);
        std::memcpy(x.data(), row, 64);
        WalkL::Agents::forward(SerialTeam{}, p.utility, w, i, x.as<float>(), 1, h.as<float>(),
                               q.as<float>());
        const uint64_t word = t * 2 + static_cast<uint64_t>(i);
        const Philox four = philox({7, 5}, word / 4, Stream::explore, 0);
        const uint32_t words[4] = {four.x0, four.x1, four.x2, four.x3};
        actions[i] = epsilon_action(p.exploration, top_of(q.as<float>(), 2), 2, words[word % 4], t);
        EXPECT_EQ(run.kept_actions(round, lane)[i], actions[i]);
      }
      // the global state: the agents' features one behind the other
      EXPECT_FLOAT_EQ(run.global_row<float>(run.s->global, round, lane)[2],
                      static_cast<float>(state.place) / 8);
      float rewards[2];
      Rng chance({7, 5}, t, Stream::dynamics);
      const Episode episode = Walk::step({0}, state, actions, rewards, chance);
      ++episodes[episode];
      EXPECT_EQ(run.kept_episode(round, lane), episode);
      EXPECT_EQ(run.kept_reward<float>(round, lane), (rewards[0] + rewards[1]) / 2);
      sees(run.row<float>(run.s->next_x, round, 1, lane));  // also where the episode is over
      if (episode != Episode::goes_on) {
        Rng fresh({7, 5}, t + 40, Stream::reset);
        Walk::reset({0}, state, fresh);
      }
      sees(run.row<float>(run.s->x, round + 1, 0, lane));
    }
  }
  EXPECT_GT(episodes[Episode::ended], 5);
  EXPECT_GT(episodes[Episode::cut], 0);
}

/// A walk by launches in place of tiles.
template <class Launcher>
void walk_by_launches(WalkRun& walk, int iterations, const CudaBatchedPolicy& policy = {}) {
  const CpuBackend one(1);
  cpu_batched_kernels<Walk>().start(one, walk.r);
  const BatchedRun run = walk.run();
  const auto& p = BatchedStages<WalkL>::params(run);
  const LaunchSizes n = launch_sizes<WalkL>(*run.p, *run.s, policy);
  Block work(BatchedStages<WalkL>::working(p, run.s->batch, nullptr, nullptr));
  BatchedStages<WalkL>::Rows w;
  BatchedStages<WalkL>::working(p, run.s->batch, work.data(), &w);
  Block hidden(40 * 2 * static_cast<size_t>(p.utility.hidden) * 4);
  Block q(40 * 2 * static_cast<size_t>(p.utility.row) * 4);
  Launcher on;
  for (int k = 0; k < iterations; ++k) {
    const bool learns = updates_follow(run, run.head().rounds);
    for (int number = 0; number < run.s->rollout; ++number) {
      launch_actions<WalkL>(on, n, run, number, hidden.as<float>(), q.as<float>());
      on.each(n.lanes,
              [&](uint64_t i) { step_lane<Walk>(walk.cell(), run, number, static_cast<int>(i)); });
      launch_keeping<WalkL>(on, n, run, number);
    }
    launch_end_rollout<WalkL>(on, run);
    for (int u = 0; learns && u < run.s->updates; ++u) launch_update<WalkL>(on, n, run, w);
  }
}

TEST(BatchedRounds, HaveTheSameBitsByLaunchesAndByTiles) {
  WalkRun tiles(walk_config(), 10 * 120);
  const CpuBackend two(2);
  const auto kernels = cpu_batched_kernels<Walk>();
  kernels.start(two, tiles.r);
  kernels.advance(two, tiles.r);
  EXPECT_EQ(tiles.run().head().rounds, 30u);
  EXPECT_EQ(tiles.run().head().updates, 18u);  // none in the first iteration
  EXPECT_EQ(tiles.phase, SlotPhase::ended);
  EXPECT_EQ(tiles.progress.load(), 1200u);
  const auto same = [&](const WalkRun& other) {
    const BatchedShape& s = *tiles.run().s;
    const JointParams& p = *tiles.run().p;
    const auto& own = BatchedStages<WalkL>::params(tiles.run());
    EXPECT_EQ(std::memcmp(tiles.memory->data() + p.learner_at, other.memory->data() + p.learner_at,
                          own.work),
              0);
    EXPECT_EQ(std::memcmp(tiles.memory->data() + s.head, other.memory->data() + s.head,
                          s.kept_end - s.head),
              0);
  };
  WalkRun launched(walk_config(), 10 * 120);
  walk_by_launches<SerialLauncher>(launched, 10);
  same(launched);
  WalkRun in_rows(walk_config(), 10 * 120);
  walk_by_launches<SerialLauncher>(in_rows, 10, {.rows = 32});  // of 40: the second team has 8
  same(in_rows);
  // interrupted and taken up again after every iteration
  WalkRun pieces(walk_config(), 10 * 120);
  pieces.r.budget = 1;
  kernels.start(two, pieces.r);
  for (int k = 0; k < 10; ++k) {
    EXPECT_NE(pieces.phase, SlotPhase::ended);
    kernels.advance(two, pieces.r);
  }
  EXPECT_EQ(pieces.phase, SlotPhase::ended);
  same(pieces);
  kernels.finish(two, tiles.r);
  kernels.finish(two, pieces.r);
  EXPECT_EQ(tiles.outcome, pieces.outcome);
}

TEST(BatchedRounds, AreEvaluatedOnTheirWayWithoutATrace) {
  // 10 iterations of 120 joint steps; with 7 points, moments are 171 steps apart, and the first
  // iterations that end at or behind them are 2, 3, 5, 6, 8, 9 and 10
  const std::map<int, uint64_t> ends{{2, 1}, {3, 2}, {5, 3}, {6, 4}, {8, 5}, {9, 6}, {10, 7}};
  WalkRun plain(walk_config(), 10 * 120), curve(walk_config(), 10 * 120, 7);
  for (int k = 1; k <= 10; ++k) {
    EXPECT_EQ(probe_number(curve.cell(), static_cast<uint64_t>(3 * k)),
              ends.count(k) > 0 ? ends.at(k) : 0)
        << k;
    EXPECT_EQ(probe_number(plain.cell(), static_cast<uint64_t>(3 * k)), 0u);
  }
  const CpuBackend two(2);
  const auto kernels = cpu_batched_kernels<Walk>();
  for (WalkRun* walk : {&plain, &curve}) {
    kernels.start(two, walk->r);
    kernels.advance(two, walk->r);
    kernels.finish(two, walk->r);
  }
  // how it ended, its steps, and the digest of all that it holds
  for (size_t k = 0; k < plain.outcome.size(); ++k) EXPECT_EQ(plain.outcome[k], curve.outcome[k]);
  ASSERT_EQ(curve.outcome.size(), plain.outcome.size() + 7);
  EXPECT_EQ(curve.outcome.back(), plain.outcome[kOutcomeHead]);  // the mean return at the end
  EXPECT_NE(curve.outcome[plain.outcome.size()], 0.0);
}

TEST(BatchedRounds, OfTeamsHaveTheBitsOfOneLane) {
  WalkRun serial(walk_config(), 1), teams(walk_config(), 1);
  walk_by_launches<SerialLauncher>(serial, 1);
  walk_by_launches<EmulatedLauncher<2>>(teams, 1);
  EXPECT_EQ(std::memcmp(serial.memory->data() + serial.run().s->head,
                        teams.memory->data() + teams.run().s->head,
                        serial.run().s->kept_end - serial.run().s->head),
            0);
}

TEST(BatchedRounds, StopWhereTheWeightsAreNoNumbers) {
  auto config = walk_config();
  config.alpha = 1e3;
  config.optimizer.kind.value = Optimizer<float>::kSgd;
  config.optimizer.max_norm = 0;
  WalkRun walk(config, 120'000);
  const CpuBackend two(2);
  const auto kernels = cpu_batched_kernels<Walk>();
  kernels.start(two, walk.r);
  kernels.advance(two, walk.r);
  kernels.finish(two, walk.r);
  EXPECT_EQ(walk.phase, SlotPhase::ended);
  EXPECT_EQ(walk.outcome[0], static_cast<double>(RunStatus::diverged));
  EXPECT_LT(walk.outcome[1], 120'000);
  EXPECT_EQ(walk.outcome[kOutcomeHead], 0.0);
}

// ---- whole runs ---------------------------------------------------------------------------------

const char* const kTwoStep = R"(
[experiment]
name = "lanes"
runs = 3
seed = 1
[env]
name = "stochastic_game"
game = "two_step"
[learner]
name = "qmix"
lanes = 64
rollout = 2
updates = 2
batch = 160
replay = { slots = 2048 }
mixer = { embed = 16, layers = 2, width = 32 }
gamma = 1.0
alpha = 0.005
reward = "mean"
features = { kind = "one_hot" }
utility = { width = 0 }
optimizer = { kind = "adam" }
target = { every = 50 }
exploration = { start = 1.0, end = 1.0 }
[stop]
max_steps = 60_000
)";

Result run_lanes(const std::vector<std::string>& sets, int threads = 1, uint64_t batch = 0,
                 const std::string& text = kTwoStep) {
  RunRequest request;
  request.config_text = text;
  request.config_name = "lanes.toml";
  request.device = "cpu";
  request.threads = threads;
  request.batch = batch;
  request.sets = sets;
  return Runner(request).run(nullptr, nullptr);
}

/// The game with a mixer that has no settings.
std::string without_mixer() {
  std::string text = kTwoStep;
  const size_t at = text.find("mixer =");
  return text.erase(at, text.find('\n', at) - at);
}

TEST(BatchedRuns, LearnTheTwoStepGame) {
  // 2A pays each agent 7 whatever is done there, 2B pays 8 at best: QMIX finds 8, VDN, which cannot
  // show 2B's payoffs, 7. Source: Rashid et al., ICML 2018, section 5.
  EXPECT_DOUBLE_EQ(run_lanes({}).cells[0].metrics.at("episode_return_agent0").min, 8.0);
  const Result vdn = run_lanes({"learner.name=vdn"}, 1, 0, without_mixer());
  EXPECT_DOUBLE_EQ(vdn.cells[0].metrics.at("episode_return_agent0").max, 7.0);
}

TEST(BatchedRuns, OfIndependentLearnersHaveTheirOwnRewardsOrTheSum) {
  // the prisoner's dilemma 3 0 / 5 1: an agent's own reward is greatest where it defects, whatever
  // the other does (1 each); the sum, 6 of 6, 5 and 2, where both cooperate (3 each)
  const std::string text = R"(
[experiment]
name = "lanes"
runs = 3
seed = 1
[env]
name = "matrix_game"
game = "prisoners_dilemma"
[learner]
name = "iql"
lanes = 64
batch = 64
replay = { slots = 1024 }
gamma = 0.0
alpha = 0.05
utility = { width = 0 }
optimizer = { kind = "sgd" }
exploration = { start = 1.0, end = 1.0 }
[stop]
max_steps = 20_000
)";
  const auto mean = [&](const std::vector<std::string>& sets) {
    return run_lanes(sets, 1, 0, text).cells[0].metrics.at("return_per_step_agent0").mean;
  };
  EXPECT_DOUBLE_EQ(mean({}), 1.0);
  EXPECT_DOUBLE_EQ(mean({"learner.reward=sum"}), 3.0);
}

const char* const kHunt = R"(
[experiment]
name = "hunt"
runs = 2
seed = 1
[env]
name = "predator_prey"
max_steps = 20
[learner]
name = "vdn"
lanes = 32
rollout = 2
batch = 64
replay = { slots = 1024 }
alpha = 0.005
utility = { width = 8 }
[stop]
max_steps = 6400
[evaluation]
episodes = 5
)";

TEST(BatchedRuns, AreEvaluatedOnTheirWayWithoutATrace) {
  const auto run = [](const std::vector<std::string>& sets, int threads = 1) {
    return run_lanes(sets, threads, 0, kHunt);
  };
  const auto end = [](const Result& r) { return r.cells[0].metrics.at("episode_return").mean; };
  const Result plain = run({}), curve = run({"evaluation.points=4"});
  const auto& points = curve.cells[0].curves.at("episode_return_over_time");
  ASSERT_EQ(points.size(), 4u);
  EXPECT_EQ(curve.result_hash, run({"evaluation.points=4"}, 3).result_hash);
  EXPECT_EQ(end(curve), end(plain));
  for (int k = 0; k < 4; ++k) {  // 6,400 steps are 100 iterations of 64
    const Result early = run({"stop.max_steps=" + std::to_string(1600 * (k + 1))});
    EXPECT_NEAR(points[static_cast<size_t>(k)].mean, end(early), 1e-12) << k;
  }
  // moments 2,133 steps apart, of which 2,176, 4,288 and 6,400 are the first after an iteration
  const Result uneven = run({"evaluation.points=3"});
  const auto& three = uneven.cells[0].curves.at("episode_return_over_time");
  ASSERT_EQ(three.size(), 3u);
  EXPECT_NEAR(three[0].mean, end(run({"stop.max_steps=2176"})), 1e-12);
  EXPECT_NEAR(three[1].mean, end(run({"stop.max_steps=4288"})), 1e-12);
  EXPECT_NEAR(three[2].mean, end(plain), 1e-12);
}

TEST(BatchedRuns, EndWithTheIterationThatReachesTheirSteps) {
  // 64 lanes times a rollout of 2 are 128 joint steps an iteration: 469 of them reach 60,000
  EXPECT_EQ(run_lanes({}).cells[0].joint_steps, 3u * 469u * 128u);
}

TEST(BatchedRuns, HaveTheSameBitsOnAnyNumberOfThreadsAndBatches) {
  const std::vector<std::string> few{"stop.max_steps=4000"};
  const std::string hash = run_lanes(few).result_hash;
  EXPECT_EQ(run_lanes(few, 2).result_hash, hash);
  EXPECT_EQ(run_lanes(few, 3).result_hash, hash);
  EXPECT_EQ(run_lanes(few, 8).result_hash, hash);     // fewer runs than threads: crews
  EXPECT_EQ(run_lanes(few, 2, 1).result_hash, hash);  // one run at a time
  EXPECT_NE(run_lanes({"stop.max_steps=4000", "learner.updates=1"}).result_hash, hash);
  EXPECT_NE(run_lanes({"stop.max_steps=4000", "experiment.seed=2"}).result_hash, hash);
}

TEST(BatchedRuns, RefuseSettingsThatDoNotFit) {
  const auto refused = [](const std::string& set, const std::string& key, const std::string& why) {
    try {
      run_lanes({set});
      ADD_FAILURE() << set << " was taken";
    } catch (const ConfigError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find(key), std::string::npos) << text;
      EXPECT_NE(text.find(why), std::string::npos) << text;
    }
  };
  refused("learner.lanes=0", "learner.lanes", "1 to 1000000");
  refused("learner.rollout=0", "learner.rollout", "1 to 100000");
  refused("learner.updates=0", "learner.updates", "1 to 100000");
  refused("learner.batch=100", "learner.batch", "multiple of 32");
  refused("learner.batch=4096", "learner.batch", "at most replay.slots, which are 2048");
  refused("learner.replay.slots=2000", "learner.replay.slots", "multiple of lanes, which are 64");
  refused("learner.rollout=33", "learner.replay.slots", "at least 2112");
  refused("learner.replay.steps=2", "learner.replay.steps", "must be 1");
  refused("learner.every=2", "learner.every", "must be 1");
  refused("learner.products=bf16", "learner.products", "exact");
  refused("learner.precision=float16", "learner.precision", "float32");
  refused("evaluation.points=469", "evaluation.points", "at most 468");  // 60,000 / 128
}

}  // namespace
