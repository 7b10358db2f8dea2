/// Vectors that are given by the columns of their ones: the same bits as with all their entries, in
/// every operation, learner and team, and in whole runs.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "envs/bertrand_logit.hpp"
#include "envs/lbf.hpp"
#include "envs/matrix_game.hpp"
#include "envs/noisy_signal.hpp"
#include "kernels/linear/linear_mean_field_q.hpp"
#include "kernels/linear/linear_vdn.hpp"
#include "kernels/linear/mappo.hpp"
#include "kernels/linear/td_lambda.hpp"
#include "tests/joint_bench.hpp"
#include "tests/one_run.hpp"

namespace {

using namespace cumarl;

/// A whole number below `bound`, or 0.
uint32_t below(std::mt19937& rng, uint32_t bound) {
  return bound > 0 ? static_cast<uint32_t>(rng() % bound) : 0;
}

/// A value of a size that differs widely, never 0.
template <class Real>
Real draw(std::mt19937& rng) {
  const double size = std::ldexp(1.0, static_cast<int>(below(rng, 24)) - 12);
  return static_cast<Real>(size * (static_cast<double>(rng() | 1) / 4294967296.0 - 0.5));
}

/// Basis functions of which few are one at a time.
struct Coding {
  Basis::Kind kind;
  int inputs, tilings, tiles;
  bool coupled;
  uint32_t indices;
};
constexpr Coding kCodings[] = {
    {Basis::kOneHot, 1, 1, 2, true, 1},    {Basis::kOneHot, 2, 1, 2, true, 64},
    {Basis::kOneHot, 1, 1, 2, true, 1000}, {Basis::kTiles, 1, 4, 32, true, 0},
    {Basis::kTiles, 2, 8, 8, true, 0},     {Basis::kTiles, 3, 5, 6, true, 0},
    {Basis::kTiles, 3, 7, 20, false, 0},   {Basis::kTiles, 2, 64, 16, false, 0},
};

Basis basis_of(const Coding& c, Arena& arena) {
  Basis::Config config;
  config.kind.value = c.kind;
  config.tilings = c.tilings;
  config.tiles = c.tiles;
  config.coupled = c.coupled;
  return Basis::make(config, std::vector<Bounds>(static_cast<size_t>(c.inputs), {-1, 2}), c.indices,
                     arena);
}

/// x of one observation in both forms.
template <class Real>
struct Both {
  template <class Team>
  void make(const Team& team, const Basis& basis, const std::vector<float>& raw, uint32_t index) {
    basis.expand(team, raw.data(), index, entries.data());
    basis.list_ones(team, raw.data(), index, ones.data());
    team.sync();
  }
  AnyVector<Real> dense() { return {entries.data(), nullptr, 0}; }
  AnyVector<Real> sparse(const Basis& basis) { return {nullptr, ones.data(), basis.ones()}; }
  explicit Both(const Basis& basis)
      : entries(static_cast<size_t>(padded(basis.size))), ones(static_cast<size_t>(basis.ones())) {}
  Aligned<Real> entries;
  Aligned<int32_t> ones;
};

std::vector<float> observation(const Basis& basis, std::mt19937& rng) {
  std::vector<float> raw;
  for (int k = 0; k < basis.inputs; ++k) {  // of [-1, 2], its ends more often than others
    const uint32_t step = below(rng, 5) == 0 ? 1000 : 1;
    raw.push_back(0.001F * static_cast<float>(step * below(rng, 3000 / step + 1)) - 1.0F);
  }
  return raw;
}

template <class Real>
bool same_bits(const Real* a, const Real* b, int n) {
  return std::memcmp(a, b, static_cast<size_t>(n) * sizeof(Real)) == 0;
}

/// All operations on vectors of a basis, by a team of N lanes and by entries alone.
template <class Real, int N>
void expect_same_operations(const Coding& coding, int rows, unsigned seed) {
  HostArena arena;
  const Basis basis = basis_of(coding, arena);
  ASSERT_TRUE(basis.sparse());
  std::mt19937 rng(seed);
  const int n = padded(basis.size);
  Both<Real> x(basis), y(basis), mine(basis);
  const auto raw = observation(basis, rng), next = observation(basis, rng);
  const uint32_t index = below(rng, coding.indices);
  const uint32_t other = below(rng, 2) == 0 ? below(rng, coding.indices) : index;
  x.make(SerialTeam{}, basis, raw, index);
  y.make(SerialTeam{}, basis, below(rng, 2) == 0 ? raw : next, other);

  const auto count = static_cast<size_t>(rows * n);
  Aligned<Real> w(count), moved(count);
  Aligned<Real> wanted(static_cast<size_t>(padded(rows))), got(static_cast<size_t>(padded(rows)));
  for (size_t k = 0; k < count; ++k) w.data()[k] = moved.data()[k] = draw<Real>(rng);
  const Real scale = draw<Real>(rng);
  multiply(SerialTeam{}, w.data(), rows, x.dense(), n, wanted.data());
  const Real overlap = dot(SerialTeam{}, x.dense(), y.dense(), n);
  const auto run = [&](const auto& team) {
    mine.make(team, basis, raw, index);
    const AnyVector<Real> sparse = x.sparse(basis);
    multiply(team, w.data(), rows, sparse, n, got.data());
    EXPECT_TRUE(same_bits(got.data(), wanted.data(), rows));
    Real one = 0;
    for (int r = 0; r < rows; ++r) {
      one = dot(team, w.data() + r * n, sparse, n);
      EXPECT_TRUE(same_bits(&one, wanted.data() + r, 1));
    }
    one = dot(team, sparse, y.sparse(basis), n);
    EXPECT_TRUE(same_bits(&one, &overlap, 1));
    add_scaled(team, moved.data(), scale, sparse, n);
    team.sync();
  };
  if constexpr (N == 1) {
    run(SerialTeam{});
  } else {
    run_emulated<N>(run);
  }
  EXPECT_EQ(std::memcmp(mine.ones.data(), x.ones.data(),
                        static_cast<size_t>(basis.ones()) * sizeof(int32_t)),
            0);
  EXPECT_TRUE(same_bits(mine.entries.data(), x.entries.data(), n));
  add_scaled(SerialTeam{}, w.data(), scale, x.dense(), n);
  EXPECT_TRUE(same_bits(moved.data(), w.data(), rows * n));
}

template <class Real, int N>
void expect_same_operations() {
  unsigned seed = 1;
  for (const Coding& coding : kCodings) {
    for (const int rows : {1, 6, 8, 21}) {
      if (N > 1 && rows > 6) continue;  // threads wait for each other long
      for (int k = 0; k < (N == 1 ? 20 : 1); ++k) {
        expect_same_operations<Real, N>(coding, rows, ++seed);
        if (testing::Test::HasFailure()) {
          FAIL() << N << " lanes, kind " << coding.kind << ", " << coding.inputs << " inputs, "
                 << rows << " rows, seed " << seed;
        }
      }
    }
  }
}

TEST(Sparse, OperationsHaveTheBitsOfTheEntries) {
  expect_same_operations<float, 1>();
  expect_same_operations<double, 1>();
}

TEST(Sparse, EveryTeamSizeHasThem) {
  expect_same_operations<float, 2>();
  expect_same_operations<float, 4>();
  expect_same_operations<double, 8>();
  expect_same_operations<float, 16>();
  expect_same_operations<double, 16>();
}

TEST(Sparse, TheOnesAreWhereTheEntriesAre) {
  std::mt19937 rng(3);
  for (const Coding& coding : kCodings) {
    HostArena arena;
    const Basis basis = basis_of(coding, arena);
    std::vector<int> first(static_cast<size_t>(basis.ones()), basis.size), last = first;
    for (int& k : last) k = -1;
    for (int trial = 0; trial < 200; ++trial) {
      Both<double> x(basis);
      x.make(SerialTeam{}, basis, observation(basis, rng), below(rng, coding.indices));
      size_t j = 0;
      for (int k = 0; k < padded(basis.size); ++k) {
        if (x.entries.data()[k] == 0) continue;
        EXPECT_EQ(x.entries.data()[k], 1);
        ASSERT_LT(j, first.size());
        EXPECT_EQ(x.ones.data()[j], k);
        first[j] = std::min(first[j], k);
        last[j] = std::max(last[j], k);
        ++j;
      }
      EXPECT_EQ(j, first.size());
    }
    // each has columns of its own
    for (size_t j = 1; j < first.size(); ++j) EXPECT_LT(last[j - 1], first[j]);
  }
}

TEST(Sparse, OnlyWhereOnesAreFew) {
  HostArena arena;
  Basis::Config c;
  EXPECT_FALSE(Basis::make(c, {{0, 1}}, 0, arena).sparse());
  c.kind.value = Basis::kQuadratic;
  EXPECT_FALSE(Basis::make(c, {{0, 1}}, 0, arena).sparse());
  c.kind.value = Basis::kTiles;  // 8 ones in 72 columns, which are five times 16
  EXPECT_FALSE(Basis::make(c, {{0, 1}}, 0, arena).sparse());
  c.tiles = 14;  // in 120, padded 128
  EXPECT_TRUE(Basis::make(c, {{0, 1}}, 0, arena).sparse());
  c.tiles = 13;
  EXPECT_FALSE(Basis::make(c, {{0, 1}}, 0, arena).sparse());
}

/// Two agents at two places, in both forms.
template <class Real>
struct Shown {
  Shown(const Basis& b, const JointSpec& spec) : basis(b), agents(spec.agents), pitch(spec.pitch) {
    for (int which = 0; which < 2; ++which) {
      entries.emplace_back(static_cast<size_t>(agents * pitch));
      ones.emplace_back(static_cast<size_t>(agents * b.ones()));
    }
    for (int& count : counts) count = b.ones();
  }
  void show(size_t which, uint64_t t, uint32_t indices) {
    std::mt19937 rng(static_cast<unsigned>(t) / 2);  // every other state is the last one
    for (int i = 0; i < agents; ++i) {
      const auto raw = observation(basis, rng);
      const uint32_t index = below(rng, indices);
      basis.expand(SerialTeam{}, raw.data(), index, entries[which].data() + i * pitch);
      basis.list_ones(SerialTeam{}, raw.data(), index, ones[which].data() + i * basis.ones());
    }
  }
  Seen<Real> seen(size_t which, bool sparse) {
    if (!sparse) return {entries[which].data(), pitch, nullptr};
    return {nullptr, pitch, nullptr, ones[which].data(), basis.ones(), counts};
  }
  const Basis& basis;
  int agents, pitch;
  int32_t counts[kMaxJointAgents];
  std::vector<Aligned<Real>> entries;
  std::vector<Aligned<int32_t>> ones;
};

/// What a learner remembers, and what it would play at last, after some steps.
template <class L, class Real, int N>
std::vector<std::byte> learnt(const typename L::Config& config, const Coding& coding, int actions,
                              bool sparse, uint64_t steps = 60) {
  HostArena arena;
  const Basis basis = basis_of(coding, arena);
  constexpr int kAgents = 3;
  const JointSpec spec = bench_spec(std::vector<int>(kAgents, basis.size), 1, false, actions);
  JointBench<L, Real> bench(config, spec);
  Shown<Real> shown(basis, spec);
  const auto run = [&](const auto& team) {
    for (uint64_t t = 0; t < steps; ++t) {
      team.once([&] {
        shown.show(0, t, coding.indices);
        shown.show(1, t + 1, coding.indices);
      });
      uint32_t words[kMaxJointAgents];
      Rng rng(bench.key, t, Stream::explore);
      for (uint32_t& word : words) word = rng.word();
      JointAction taken{};
      L::act(team, bench.params, bench.memory, shown.seen(0, sparse), words, t, taken);
      float rewards[kAgents];
      for (int i = 0; i < kAgents; ++i) {
        rewards[i] = 0.37F * static_cast<float>(taken.action[i]) - 0.1F * static_cast<float>(i);
      }
      const Episode episode =
          t % 11 == 5 ? Episode::ended : (t % 11 == 3 ? Episode::cut : Episode::goes_on);
      EXPECT_EQ(L::learn(team, bench.params, bench.memory, shown.seen(0, sparse),
                         shown.seen(1, sparse), {&taken, rewards, episode, t, bench.key}),
                -1);
      team.sync();
    }
  };
  if constexpr (N == 1) {
    run(SerialTeam{});
  } else {
    run_emulated<N>(run);
  }
  std::vector<std::byte> out(bench.memory, bench.memory + L::bytes(bench.params));
  for (int i = 0; i < kAgents; ++i) {
    double play[2][kMaxJointActions] = {};
    L::policy(SerialTeam{}, bench.params, bench.memory, shown.seen(1, sparse), i, play[0]);
    L::preferences(SerialTeam{}, bench.params, bench.memory, shown.seen(1, sparse), i, play[1]);
    const auto* const at = reinterpret_cast<const std::byte*>(play);
    out.insert(out.end(), at, at + sizeof(play));
  }
  return out;
}

template <class L, class Real>
void expect_same_learner(const typename L::Config& config, int actions) {
  for (const Coding& coding : kCodings) {
    const auto wanted = learnt<L, Real, 1>(config, coding, actions, false);
    EXPECT_EQ((learnt<L, Real, 1>(config, coding, actions, true)), wanted) << coding.kind;
  }
  // a team of threads takes its time
  const auto wanted = learnt<L, Real, 1>(config, kCodings[4], actions, false, 6);
  EXPECT_EQ((learnt<L, Real, 4>(config, kCodings[4], actions, true, 6)), wanted);
}

template <class L, class Real>
void expect_same_traces(int actions) {
  typename L::Config config;
  config.alpha = 0.004;  // there are up to 128 ones
  config.exploration.start = 0.3;
  expect_same_learner<L, Real>(config, actions);
  config.lambda = 0.5;
  expect_same_learner<L, Real>(config, actions);
}

TEST(Sparse, LearnersRememberTheSame) {
  expect_same_traces<LinearQ<float>, float>(8);
  expect_same_traces<LinearQ<double>, double>(3);
  expect_same_traces<LinearSarsa<float>, float>(6);
  expect_same_traces<LinearExpectedSarsa<double>, double>(5);
  LinearVdn<float>::Config team;
  team.alpha = 0.004;
  expect_same_learner<LinearVdn<float>, float>(team, 9);
  LinearMeanFieldQ<float>::Config field;
  field.alpha = 0.004;
  expect_same_learner<LinearMeanFieldQ<float>, float>(field, 4);
}

/// Whole runs of an environment, shown the ones or all entries.
template <class Env, template <class> class Learner>
void expect_same_run(const typename Env::Config& env,
                     const typename Learner<float>::Config& config) {
  using Run = OneRun<Env, Learner>;
  ASSERT_TRUE(Run(env, config).cell().learner.sparse);
  const auto wanted = Run(env, config).dense().serial(700).learnt();
  EXPECT_EQ(Run(env, config).serial(700).learnt(), wanted);
  EXPECT_EQ(Run(env, config).serial(1).serial(299).serial(400).learnt(), wanted);
}

/// A few steps of one, by a team.
template <class Env, template <class> class Learner>
void expect_same_run_by_a_team(const typename Env::Config& env,
                               const typename Learner<float>::Config& config) {
  using Run = OneRun<Env, Learner>;
  const auto wanted = Run(env, config).dense().serial(9).learnt();
  EXPECT_EQ(Run(env, config).together(5).together(4).learnt(), wanted);
}

template <template <class> class Learner>
void expect_same_runs() {
  typename Learner<float>::Config c;
  c.alpha = 0.1;
  c.features.kind.value = Basis::kOneHot;
  BertrandLogit::Config pricing;
  pricing.stage.prices = 6;
  expect_same_run<BertrandLogit, Learner>(pricing, c);
  Lbf::Config foraging;
  foraging.size = {3, 4};
  foraging.foods = 1;
  foraging.max_steps = 7;
  c.precision.value = 1;
  expect_same_run<Lbf, Learner>(foraging, c);
  c.precision.value = 0;
  c.features.kind.value = Basis::kTiles;
  c.features.tilings = 4;
  c.features.tiles = 32;
  NoisySignal::Config signal;
  signal.agents = 3;
  expect_same_run<NoisySignal, Learner>(signal, c);
  c.perturb.observation.value = Perturbation::kSign;
  c.perturb.action.value = Perturbation::kLeast;
  expect_same_run<NoisySignal, Learner>(signal, c);
  c.perturb.observation.value = Perturbation::kUniform;
  expect_same_run<NoisySignal, Learner>(signal, c);
  expect_same_run_by_a_team<NoisySignal, Learner>(signal, c);
}

TEST(Sparse, RunsLearnTheSame) {
  expect_same_runs<LinearQ>();
  expect_same_runs<LinearSarsa>();
  expect_same_runs<LinearVdn>();
  expect_same_runs<LinearMeanFieldQ>();
}

/// Runs whose agents have one x together against such where everyone has an own one.
template <template <class> class Learner>
void expect_same_shared(Basis::Kind kind) {
  using Run = OneRun<BertrandLogit, Learner>;
  typename Learner<float>::Config c;
  c.features.kind.value = kind;
  BertrandLogit::Config pricing;
  pricing.stage.prices = 6;
  ASSERT_EQ(Run(pricing, c, true).cell().learner.views, 1);
  ASSERT_EQ(Run(pricing, c).cell().learner.views, 2);
  const auto wanted = Run(pricing, c).serial(500).learnt();
  EXPECT_EQ(Run(pricing, c, true).serial(500).learnt(), wanted);
  const auto begun = Run(pricing, c).serial(9).learnt();
  EXPECT_EQ(Run(pricing, c, true).together(5).together(4).learnt(), begun);
}

TEST(SharedView, RunsLearnTheSame) {
  expect_same_shared<LinearQ>(Basis::kOneHot);
  expect_same_shared<LinearQ>(Basis::kFourier);
  expect_same_shared<LinearVdn>(Basis::kQuadratic);
  expect_same_shared<Mappo>(Basis::kDense);
}

// Noise is everyone's own.
TEST(SharedView, EndsWhereObservationsArePerturbed) {
  LinearQ<float>::Config c;
  c.perturb.observation.value = Perturbation::kUniform;
  EXPECT_EQ((OneRun<BertrandLogit, LinearQ>({}, c, true).cell().learner.views), 2);
}

}  // namespace
