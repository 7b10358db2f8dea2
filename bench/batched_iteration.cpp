/// \file
/// Time of the stages of a batched run of QMIX on one thread: a gradient step on a batch (sampling,
/// forward, backward, clipped step), and the acting and keeping of a round of joint steps, without
/// the environment.
///
/// usage: batched_iteration [LANES BATCH AGENTS]. Prints a line of JSON: medians, in ms.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/batched/shape.hpp"
#include "tests/mixing_harness.hpp"

namespace {

using namespace cumarl;
using namespace cumarl::mixing_harness;

using L = Qmix<float>;
using Stages = BatchedStages<L>;

constexpr int kFeatures = 32;
constexpr int kState = 64;
constexpr int kActions = 8;

/// A run without an environment, whose ring is full.
struct Run {
  Run(int lanes, int batch, int agents) {
    L::Config c;
    c.utility.shared = true;
    const auto count = static_cast<size_t>(agents);
    const JointSpec spec =
        joint_spec({std::vector<int>(count, kActions), std::vector<int>(count, kFeatures), kState});
    c.batch = 1;
    c.slots = 1;
    const L::Params own = L::make(c, spec, arena);
    std::memcpy(p.learner, &own, sizeof(own));
    p.agents = agents;
    p.pitch = p.raw_pitch = spec.pitch;
    p.global_pitch = p.raw_global = spec.global_pitch;
    for (int i = 0; i < agents; ++i) {
      p.basis[i] = Basis::make({}, std::vector<Bounds>(kFeatures - 1, Bounds{0, 1}), 0, arena);
    }
    p.global = Basis::make({}, std::vector<Bounds>(kState - 1, Bounds{0, 1}), 0, arena);
    p.learner_at = 64;
    p.bytes = 64 + (L::bytes(own) + 63) / 64 * 64;
    c.batched.lanes = lanes;
    c.batch = batch;
    c.slots = std::max(batch, 4 * lanes) / lanes * lanes + lanes;
    s = batched_shape<L>(c, p, 8);
    memory = std::make_unique<Block>(s.bytes);
    scratch = std::make_unique<Block>(Stages::working(own, Stages::kTile, nullptr, nullptr));
    L::init(SerialTeam{}, own, memory->data() + p.learner_at, {1, 0});
    Stages::begin(run());
    Stages::prepare(SerialTeam{}, run());
    std::mt19937 rng(1);
    for (int lane = 0; lane < lanes; ++lane) {
      for (uint64_t k = 0; k < s.raw_each; ++k) {
        run().raw(s.raw, lane)[k] = static_cast<float>(rng() % 1000) / 1000;
        run().raw(s.fresh_raw, lane)[k] = static_cast<float>(rng() % 1000) / 1000;
      }
    }
    for (int round = 0; round < s.rounds; ++round) {
      keep();
      Stages::end_rollout(run());
    }
  }
  BatchedRun run() const { return {&p, &s, memory->data(), {1, 0}}; }
  const L::Params& own() const { return Stages::params(run()); }

  void act() const {
    constexpr int kTile = BatchedShape::kTile;
    Block hidden(batch_ops::at(kTile, own().utility.hidden) * sizeof(float));
    const size_t pitch = batch_ops::at(kTile, own().utility.row);
    Block q(static_cast<size_t>(p.agents) * pitch * sizeof(float));
    for (int first = 0; first < s.lanes; first += kTile) {
      const int count = std::min(kTile, s.lanes - first);
      for (int i = 0; i < p.agents; ++i) {
        Stages::utilities(SerialTeam{}, run(), 0, i, first, count, hidden.as<float>(),
                          q.as<float>() + static_cast<size_t>(i) * pitch);
      }
      for (int k = 0; k < count; ++k) {
        Stages::choose(run(), 0, first + k, q.as<float>() + batch_ops::at(k, own().utility.row),
                       pitch);
      }
    }
  }
  void keep() const {
    for (int lane = 0; lane < s.lanes; ++lane) Stages::keep(SerialTeam{}, run(), 0, lane);
  }
  /// As AnyBatched does it.
  void update() const {
    const SerialTeam team;
    for (int part = 0; part < s.parts; ++part) Stages::part(team, run(), part, scratch->data());
    for (int b = 0; b < s.blocks; ++b) {
      Stages::reduce(team, run(), Stages::first_of(b), Stages::count_of(own(), b));
      Stages::measure(team, run(), b);
    }
    for (int b = 0; b < s.blocks; ++b) Stages::move(team, run(), b);
    Stages::end_update(run());
    Stages::prepare(team, run());
  }

  HostArena arena;
  JointParams p{};
  BatchedShape s{};
  std::unique_ptr<Block> memory, scratch;
};

/// Processor time of this thread, ms.
double used_ms() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) * 1e-6;
}

struct Times {
  double wall, cpu;
};

template <class F>
Times median(int count, F f) {
  std::vector<double> wall, cpu;
  f();
  for (int k = 0; k < count; ++k) {
    const double used = used_ms();
    const auto begin = std::chrono::steady_clock::now();
    f();
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    wall.push_back(time.count());
    cpu.push_back(used_ms() - used);
  }
  std::sort(wall.begin(), wall.end());
  std::sort(cpu.begin(), cpu.end());
  return {wall[wall.size() / 2], cpu[cpu.size() / 2]};
}

}  // namespace

int main(int count, char** arguments) {
  const auto given = [&](int k, int otherwise) {
    return count > k ? std::atoi(arguments[k]) : otherwise;
  };
  const int lanes = given(1, 4096), batch = given(2, 4096), agents = given(3, 4);
  if (lanes < 2 || batch < 32 || batch % 32 != 0 || agents < 1 || agents > kMaxJointAgents) {
    std::fprintf(stderr, "usage: batched_iteration [LANES BATCH AGENTS]; BATCH a multiple of 32\n");
    return 2;
  }
  const Run run(lanes, batch, agents);
  const Times update = median(11, [&] { run.update(); });
  const Times act = median(11, [&] { run.act(); });
  const Times keep = median(11, [&] { run.keep(); });
  std::printf(
      "{\"lanes\": %d, \"batch\": %d, \"agents\": %d, \"update_ms\": %.3f, \"update_cpu_ms\": "
      "%.3f, "
      "\"act_ms\": %.3f, \"act_cpu_ms\": %.3f, \"keep_ms\": %.3f, \"keep_cpu_ms\": %.3f}\n",
      lanes, batch, agents, update.wall, update.cpu, act.wall, act.cpu, keep.wall, keep.cpu);
  return 0;
}
