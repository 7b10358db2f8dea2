/// Linear approximators: vectors with the same bits at every team size, basis functions by hand,
/// temporal-difference updates by hand, and against tables where both are the same learner.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "cumarl/runner.hpp"
#include "kernels/linear/td_lambda.hpp"
#include "tests/emulated_team.hpp"

namespace {

using namespace cumarl;

/// n values of widely different size in 64-byte aligned memory.
template <class Real>
struct Vector {
  explicit Vector(int n, unsigned seed = 0) : storage(static_cast<size_t>(n) + 16) {
    auto at = reinterpret_cast<uintptr_t>(storage.data());
    data = reinterpret_cast<Real*>((at + 63) / 64 * 64);
    if (seed == 0) return;
    std::mt19937 rng(seed);
    for (int k = 0; k < n; ++k) {
      const double size = std::ldexp(1.0, static_cast<int>(rng() % 24) - 12);
      data[k] = static_cast<Real>(size * (static_cast<double>(rng()) / 4294967296.0 - 0.5));
    }
  }
  std::vector<Real> storage;
  Real* data;
};

template <class Real>
bool same_bits(Real a, Real b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

template <class Real, int N>
void expect_same_as_serial(int n) {
  const Vector<Real> a(n, 1), b(n, 2);
  const Real alone = dot(SerialTeam{}, a.data, b.data, n);
  Vector<Real> y(n, 3), z(n, 3);
  add_scaled(SerialTeam{}, y.data, Real(0.37), a.data, n);
  run_emulated<N>([&](const auto& team) {
    const Real together = dot(team, a.data, b.data, n);
    EXPECT_TRUE(same_bits(together, alone)) << N << " lanes, " << n << " entries";
    add_scaled(team, z.data, Real(0.37), a.data, n);
  });
  for (int k = 0; k < n; ++k) EXPECT_TRUE(same_bits(y.data[k], z.data[k]));
}

TEST(VectorOps, EveryTeamSizeGivesTheSameBits) {
  for (const int n : {16, 48, 320}) {
    expect_same_as_serial<float, 2>(n);
    expect_same_as_serial<float, 4>(n);
    expect_same_as_serial<float, 16>(n);
    expect_same_as_serial<double, 2>(n);
    expect_same_as_serial<double, 8>(n);
    expect_same_as_serial<double, 16>(n);
  }
}

// The sum that vector_ops.hpp states, written down term by term.
TEST(VectorOps, TheShapeOfASum) {
  const int n = 48;
  const Vector<float> a(n, 5), b(n, 6);
  float part[16] = {};
  for (int k = 0; k < n; ++k) part[k % 16] += a.data[k] * b.data[k];
  float eight[8], four[4];
  for (int k = 0; k < 8; ++k) eight[k] = part[2 * k] + part[2 * k + 1];
  for (int k = 0; k < 4; ++k) four[k] = eight[2 * k] + eight[2 * k + 1];
  const float wanted = (four[0] + four[1]) + (four[2] + four[3]);
  EXPECT_TRUE(same_bits(dot(SerialTeam{}, a.data, b.data, n), wanted));
}

std::vector<double> expanded(const Basis::Config& c, const std::vector<Bounds>& ranges,
                             const std::vector<float>& raw, uint32_t indices = 0,
                             uint32_t index = 0) {
  HostArena arena;
  const Basis basis = Basis::make(c, ranges, indices, arena);
  Vector<double> x(padded(basis.size));
  basis.expand(SerialTeam{}, raw.data(), index, x.data);
  for (int k = basis.size; k < padded(basis.size); ++k) EXPECT_EQ(x.data[k], 0.0);
  return {x.data, x.data + basis.size};
}

// Features 3 of [1, 5] and 0 of [-1, 1] are both 1/2 after scaling; 5 is 1.
TEST(Basis, ByHand) {
  const std::vector<Bounds> ranges{{1, 5}, {-1, 1}};
  Basis::Config c;
  EXPECT_EQ(expanded(c, ranges, {3, 0}), (std::vector<double>{0.5, 0.5, 1}));
  c.kind.value = Basis::kOneHot;
  EXPECT_EQ(expanded(c, ranges, {3, 0}, 4, 2), (std::vector<double>{0, 0, 1, 0}));
  c.kind.value = Basis::kQuadratic;
  EXPECT_EQ(expanded(c, ranges, {5, 0}), (std::vector<double>{1, 0.5, 1, 0.5, 0.25, 1}));
  c.range = 8;
  EXPECT_EQ(expanded(c, ranges, {5, 0}), (std::vector<double>{8, 4, 64, 32, 16, 1}));
  c.kind.value = Basis::kDense;
  EXPECT_EQ(expanded(c, ranges, {3, 0}), (std::vector<double>{4, 4, 1}));
  HostArena arena;
  const Basis wide = Basis::make(c, ranges, 0, arena);
  EXPECT_EQ(wide.moved(0, 3, 0.25F), 4);  // a quarter of [1, 5], whatever it is scaled to
  EXPECT_EQ(wide.moved(0, 3, 1), 5);

  c.kind.value = Basis::kFourier;
  c.order = 2;
  // c = (0,0) (1,0) (2,0) (0,1) (1,1) (2,1) (0,2) (1,2) (2,2) at z = (1, 1/2)
  const std::vector<double> waves{1, -1, 1, 0, 0, 0, -1, 1, -1};
  const auto coupled = expanded(c, ranges, {5, 0});
  ASSERT_EQ(coupled.size(), waves.size());
  for (size_t k = 0; k < waves.size(); ++k) EXPECT_NEAR(coupled[k], waves[k], 1e-15) << k;
  c.coupled = false;
  const auto single = expanded(c, ranges, {5, 0});
  const std::vector<double> own{1, -1, 1, 0, -1};
  ASSERT_EQ(single.size(), own.size());
  for (size_t k = 0; k < own.size(); ++k) EXPECT_NEAR(single[k], own[k], 1e-15) << k;

  c.kind.value = Basis::kTiles;
  c.tilings = 2;
  c.tiles = 2;
  // One feature at 0.7 of its range: cell 1 of the first grid, 1.4 + 1/2 = 1.9: cell 1 again;
  // at 0.8: 1.6 and 2.1, cells 1 and 2. Three cells a grid, as the shifted one juts out.
  EXPECT_EQ(expanded(c, {{0, 1}}, {0.7F}), (std::vector<double>{0, 1, 0, 0, 1, 0}));
  EXPECT_EQ(expanded(c, {{0, 1}}, {0.8F}), (std::vector<double>{0, 1, 0, 0, 0, 1}));
  c.coupled = true;
  const auto grid = expanded(c, ranges, {3, 1});  // cells (1, 2) and (1, 2) of 3 x 3
  for (size_t k = 0; k < grid.size(); ++k) EXPECT_EQ(grid[k], k == 7 || k == 9 + 7 ? 1.0 : 0.0);
}

TEST(Basis, TooManyFunctionsAreRefused) {
  HostArena arena;
  Basis::Config c;
  c.kind.value = Basis::kFourier;
  c.order = 9;
  const std::vector<Bounds> many(10, Bounds{0, 1});
  EXPECT_THROW(Basis::make(c, many, 0, arena), ParameterError);
  c.coupled = false;
  EXPECT_EQ(Basis::make(c, many, 0, arena).size, 91);
  c.kind.value = Basis::kOneHot;
  EXPECT_THROW(Basis::make(c, many, 0, arena), ParameterError);
}

/// One agent of two actions on two features and a bias, driven by hand.
template <class L>
struct ByHand {
  explicit ByHand(double lambda, double epsilon = 0) {
    typename L::Config c;
    c.alpha = 0.5;
    c.gamma = 0.5;
    c.lambda = lambda;
    c.exploration.start = epsilon;
    JointSpec spec{};
    spec.agents = 1;
    spec.actions[0] = 2;
    spec.size[0] = 3;
    spec.pitch = 16;
    HostArena arena;
    params = L::make(c, spec, arena);
    memory = Vector<double>(static_cast<int>(L::bytes(params) / 8 + 8));
    bytes = reinterpret_cast<std::byte*>(memory.data);
    L::init(SerialTeam{}, params, bytes, RunKey{1, 1});
  }
  void step(const std::vector<double>& from, const std::vector<double>& to, int action,
            float reward, Episode episode) {
    Vector<double> x(16), y(16);
    for (size_t k = 0; k < 3; ++k) {
      x.data[k] = from[k];
      y.data[k] = to[k];
    }
    JointAction played{};
    const uint32_t word = 0xFFFFFFFFu;  // does not explore
    L::act(SerialTeam{}, params, bytes, Seen<double>{x.data, 16, nullptr}, &word, 0, played);
    played.action[0] = action;
    EXPECT_EQ(L::learn(SerialTeam{}, params, bytes, Seen<double>{x.data, 16, nullptr},
                       Seen<double>{y.data, 16, nullptr},
                       {&played, &reward, episode, 0, RunKey{1, 1}}),
              -1);
  }
  double weight(int action, int k) const { return memory.data[action * 16 + k]; }
  typename L::Params params{};
  Vector<double> memory{16};
  std::byte* bytes = nullptr;
};

TEST(TdLambda, OneStepByHand) {
  ByHand<LinearQ<double>> q(0.0);
  // w = 0: error 2, w_1 = 1/2 * 2 * (1, 2, 1)
  q.step({1, 2, 1}, {0, 1, 1}, 1, 2.0F, Episode::goes_on);
  EXPECT_EQ(q.weight(1, 0), 1);
  EXPECT_EQ(q.weight(1, 1), 2);
  EXPECT_EQ(q.weight(1, 2), 1);
  // Q(x', .) = (0, 3) at x' = (0, 1, 1); action 0: error 1 + 1/2 max(0, 3 + 1) - 0 = 3 at
  // x'' = (1, 1, 1), so w_0 = 1/2 * 3 * (0, 1, 1)
  q.step({0, 1, 1}, {1, 1, 1}, 0, 1.0F, Episode::goes_on);
  EXPECT_EQ(q.weight(0, 0), 0);
  EXPECT_EQ(q.weight(0, 1), 1.5);
  EXPECT_EQ(q.weight(0, 2), 1.5);
  // the end of an episode: nothing to come; Q(x'', 1) = 1 + 2 + 1 = 4, error -4
  q.step({1, 1, 1}, {9, 9, 9}, 1, 0.0F, Episode::ended);
  EXPECT_EQ(q.weight(1, 0), -1);
  EXPECT_EQ(q.weight(1, 1), 0);
  EXPECT_EQ(q.weight(1, 2), -1);
}

TEST(TdLambda, TracesByHand) {
  // gamma lambda = 1/4. Without exploration Watkins's cut does not happen on greedy actions.
  ByHand<LinearSarsa<double>> q(0.5);
  q.step({1, 0, 1}, {0, 1, 1}, 0, 2.0F, Episode::goes_on);  // error 2, e_0 = (1, 0, 1), w_0 = e_0
  EXPECT_EQ(q.weight(0, 0), 1);
  EXPECT_EQ(q.weight(0, 2), 1);
  // next: Q(x', 0) = 1. Action 0 ends the episode with 3: error 2, e_0 = (1/4, 1, 5/4)
  q.step({0, 1, 1}, {0, 0, 0}, 0, 3.0F, Episode::ended);
  EXPECT_EQ(q.weight(0, 0), 1.25);
  EXPECT_EQ(q.weight(0, 1), 1);
  EXPECT_EQ(q.weight(0, 2), 2.25);
}

TEST(TdLambda, ExpectedSarsaByHand) {
  ByHand<LinearExpectedSarsa<double>> q(0.0, 0.5);
  q.step({1, 0, 1}, {0, 0, 1}, 1, 2.0F, Episode::ended);  // w_1 = (1, 0, 1)
  // at x' = (0, 0, 1): Q = (0, 1); expected (1 - 1/2) * 1 + 1/2 * 1/2 = 3/4; error 3/8
  q.step({0, 1, 0}, {0, 0, 1}, 0, 0.0F, Episode::goes_on);
  EXPECT_EQ(q.weight(0, 1), 0.5 * 0.5 * 0.75);
}

// With one-hot features a linear learner is a table: same draws, same arithmetic, same runs.
TEST(TdLambda, OneHotIsTheTable) {
  const auto values = [](const std::string& env, const std::string& learner) {
    RunRequest request;
    request.config_text =
        "[env]\n" + env + "[learner]\n" + learner +
        "alpha = 0.25\ngamma = 0.9\nexploration = { start = 0.9, decay_rate = 1e-3 }\n"
        "[evaluation]\nepisodes = 20\n[stop]\nmax_steps = 4000\n";
    request.runs = 7;
    request.device = "cpu";
    const Result result = Runner(request).run();
    std::map<std::string, double> means;
    for (const auto& [name, s] : result.cells[0].metrics) {
      if (name != "time_to_convergence") means[name] = s.mean;
    }
    return means;
  };
  const std::string hot = "precision = \"float64\"\nfeatures = { kind = \"one_hot\" }\n";
  for (const std::string env :
       {"name = \"matrix_game\"\ngame = \"prisoners_dilemma\"\nmemory = 1\n",
        "name = \"lbf\"\nsize = [3, 4]\nplayers = 2\nfoods = 1\nmax_steps = 12\n"}) {
    EXPECT_EQ(values(env, "name = \"linear_q\"\n" + hot),
              values(env, "name = \"q_learning\"\ntable = \"float64\"\n"));
    EXPECT_EQ(values(env, "name = \"linear_expected_sarsa\"\n" + hot),
              values(env, "name = \"expected_sarsa\"\n"));
    EXPECT_EQ(values(env, "name = \"linear_sarsa\"\n" + hot), values(env, "name = \"sarsa\"\n"));
  }
}

TEST(Joint, DivergedRunsStopAloneAndAreNamed) {
  RunRequest request;
  request.config_text =
      "[env]\nname = \"matrix_game\"\ngame = \"prisoners_dilemma\"\nmemory = 1\n"
      "[learner]\nname = \"linear_q\"\nalpha = 1.3\ngamma = 0.9\n[stop]\nmax_steps = 3000\n";
  request.runs = 6;
  request.device = "cpu";
  const Runner runner(request);
  ASSERT_EQ(runner.plan().warnings.size(), 1u);
  EXPECT_NE(runner.plan().warnings[0].find("learner.alpha"), std::string::npos);
  const Result result = runner.run();
  const CellResult& cell = result.cells[0];
  ASSERT_FALSE(cell.diverged.empty());
  for (const Divergence& one : cell.diverged) {
    EXPECT_LT(one.step, 3000u);
    EXPECT_TRUE(one.agent == 0 || one.agent == 1);
  }
  EXPECT_EQ(cell.metrics.at("return_per_step").n, cell.runs - cell.diverged.size());
  EXPECT_NE(to_json(result).find("\"diverged\""), std::string::npos);
}

}  // namespace
