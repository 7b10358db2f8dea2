/// Fused mixing: against the mixer of qmix.hpp in float64 over random shapes, the same bits for
/// every team, tile and order of chunks, rows without weight, and the error of TF32 products
/// against its bound.
#include "kernels/mixing/fused_mixing.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/emulated_team.hpp"
#include "tests/mixing_harness.hpp"

namespace {

using namespace cumarl;
using mixing_harness::Block;

/// The lanes' own way on one lane, where StrictProducts would take the vectors of qmix.hpp.
struct PlainProducts : StrictProducts {};

struct Setting {
  int agents, state, embed, width, layers, activation, rows;
  unsigned seed;
  bool slopes;  ///< given; else targets and weights
};

template <class Real>
struct Case {
  using Mix = MonotonicMixer<Real>;

  /// Weights and states on a grid of eighths, so that what the hypernetworks make is exact in
  /// float32 too and no kink (of a ReLU or of |x|) is on another side there.
  explicit Case(const Setting& t)
      : rows(t.rows),
        shape(make(t)),
        weights(Mix::parameters(shape) * sizeof(Real)),
        state(numbers(shape.state_pitch)),
        q(numbers(kColumns)),
        slope(numbers(1)),
        target(numbers(1)),
        weight(numbers(1)),
        total(numbers(1)),
        dq(numbers(kColumns)),
        gradient(Mix::parameters(shape) * sizeof(Real)),
        slopes(t.slopes) {
    std::mt19937 rng(t.seed);
    const auto eighths = [&rng] { return static_cast<Real>(static_cast<int>(rng() % 17) - 8) / 8; };
    const auto any = [&rng] {
      return static_cast<Real>(static_cast<float>(rng()) / 2147483648.0F - 1.0F);
    };
    Mix::for_weights(shape, [&](const Weights& w) {
      for (int m = 0; m < w.rows; ++m) {
        for (int n = 0; n < w.columns; ++n) {
          weights.template as<Real>()[w.at + static_cast<size_t>(m * w.pitch + n)] =
              eighths() / (w.fan_in > 8 ? 4 : 1);
        }
      }
    });
    for (int r = 0; r < rows; ++r) {
      for (int k = 0; k + 1 < t.state; ++k) {
        state.template as<Real>()[r * shape.state_pitch + k] = eighths() / 2;
      }
      state.template as<Real>()[r * shape.state_pitch + t.state - 1] = 1;
      for (int i = 0; i < t.agents; ++i) q.template as<Real>()[r * kColumns + i] = any();
      slope.template as<Real>()[r] = any();
      target.template as<Real>()[r] = 10 * any();
      weight.template as<Real>()[r] = rng() % 4 == 0 ? Real(0) : Real(1) + any() / 2;
    }
  }
  Case(const Case&) = delete;

  static typename Mix::Shape make(const Setting& t) {
    typename Mix::Config c;
    c.embed = t.embed;
    c.width = t.width;
    c.layers = t.layers;
    c.activation.value = t.activation;
    return Mix::make(c, {t.agents, 1, nullptr, t.state, padded(t.state)});
  }
  size_t numbers(int pitch) const {
    return static_cast<size_t>(rows) * static_cast<size_t>(pitch) * sizeof(Real);
  }

  MixingBatch<Real> batch() const {
    return {rows,
            state.template as<Real>(),
            q.template as<Real>(),
            slopes ? slope.template as<Real>() : nullptr,
            slopes ? nullptr : target.template as<Real>(),
            slopes ? nullptr : weight.template as<Real>(),
            Real(0.25),
            total.template as<Real>(),
            dq.template as<Real>()};
  }

  /// The whole batch by one team of N lanes, with tiles of `tile` rows, in memory full of NaNs.
  template <class Products, int N>
  void run(int tile) {
    using Fused = FusedMixing<Real, Products>;
    using Team = std::conditional_t<N == 1, SerialTeam, EmulatedTeam<N>>;
    const size_t scratch_size = Fused::template scratch<Team>(shape, tile);
    const size_t work_size = Fused::workspace(shape, rows);
    Block scratch(scratch_size * sizeof(Real)), work(work_size * sizeof(Real));
    constexpr Real kNone = std::numeric_limits<Real>::quiet_NaN();
    std::fill_n(scratch.as<Real>(), scratch_size, kNone);
    std::fill_n(work.as<Real>(), work_size, kNone);
    std::fill_n(gradient.template as<Real>(), Mix::parameters(shape), kNone);
    std::fill_n(total.template as<Real>(), rows, kNone);
    std::fill_n(dq.template as<Real>(), rows * kColumns, kNone);
    loss = kNone;
    const auto all = [&](const auto& team) {
      Fused::run(team, shape, weights.template as<Real>(), batch(), tile, work.as<Real>(),
                 scratch.as<Real>(), gradient.template as<Real>(), &loss);
    };
    if constexpr (N == 1) {
      all(SerialTeam{});
    } else {
      run_emulated<N>(all);
    }
  }

  int rows;
  typename Mix::Shape shape;
  Block weights, state, q, slope, target, weight, total, dq, gradient;
  bool slopes;
  Real loss = 0;
};

/// What the mixer makes of all rows at once.
struct Expected {
  explicit Expected(const Case<double>& c)
      : total(static_cast<size_t>(c.rows)),
        dq(static_cast<size_t>(c.rows * kColumns)),
        gradient(MonotonicMixer<double>::parameters(c.shape)) {
    using Mix = MonotonicMixer<double>;
    const Block work(Mix::working(c.shape, c.rows) * 8), prepared(Mix::prepared(c.shape) * 8 + 64),
        sums(c.numbers(1)), slopes(c.numbers(1)), out(c.numbers(kColumns)), g(gradient.size() * 8);
    const double* const w = c.weights.as<double>();
    const MixRows<double> in{c.rows, c.state.as<double>(), c.q.as<double>(), nullptr};
    Mix::prepare(SerialTeam{}, c.shape, w, prepared.as<double>());
    Mix::forward(SerialTeam{}, c.shape, w, in, work.as<double>(), sums.as<double>());
    for (int r = 0; r < c.rows; ++r) {
      const double q = sums.as<double>()[r];
      const double share = c.weight.as<double>()[r] / 4;
      const double error = q - c.target.as<double>()[r];
      slopes.as<double>()[r] = c.slopes ? c.slope.as<double>()[r] : 2 * share * error;
      if (!c.slopes) loss += share * error * error;
      total[static_cast<size_t>(r)] = c.slopes || share != 0 ? q : 0;
    }
    Mix::backward(SerialTeam{}, c.shape, w, prepared.as<double>(), in, slopes.as<double>(),
                  work.as<double>(), out.as<double>(), g.as<double>());
    std::copy_n(out.as<double>(), dq.size(), dq.begin());
    std::copy_n(g.as<double>(), gradient.size(), gradient.begin());
  }
  std::vector<double> total, dq, gradient;
  double loss = 0;
};

/// Largest difference over the largest expected number.
template <class Real>
double error_of(const Real* got, const std::vector<double>& want, int step = 1, int count = 1) {
  double most = 0, size = 1e-30;
  for (size_t k = 0; k < want.size(); ++k) {
    if (static_cast<int>(k) % step >= count) continue;
    const double difference = std::fabs(static_cast<double>(got[k]) - want[k]);
    most = difference <= most ? most : difference;  // NaN counts
    size = std::max(size, std::fabs(want[k]));
  }
  return most / size;
}

struct Errors {
  double total, dq, gradient, loss;
};
template <class Real>
Errors errors_of(const Case<Real>& c, const Expected& want) {
  return {error_of(c.total.template as<Real>(), want.total),
          error_of(c.dq.template as<Real>(), want.dq, kColumns, c.shape.agents),
          error_of(c.gradient.template as<Real>(), want.gradient),
          std::fabs(static_cast<double>(c.loss) - want.loss) / std::max(1e-30, want.loss)};
}
void expect_below(const Errors& e, double bound) {
  EXPECT_LE(e.total, bound);
  EXPECT_LE(e.dq, bound);
  EXPECT_LE(e.gradient, bound);
  EXPECT_LE(e.loss, bound);
}

Setting draw_setting(std::mt19937& rng) {
  const auto upto = [&rng](int n) {
    return 1 + static_cast<int>(rng() % static_cast<unsigned>(n));
  };
  // every fourth of full size
  const int part = rng() % 4 == 0 ? 1 : 4;
  return {upto(16),
          upto(256 / part),
          upto(64 / part),
          upto(128 / part),
          upto(2),
          static_cast<int>(rng() % 2),
          upto(part == 1 ? 90 : 300),
          static_cast<unsigned>(rng()),
          rng() % 2 == 0};
}

TEST(FusedMixing, AgreesWithTheMixerOver500Shapes) {
  std::mt19937 rng(1);
  for (int k = 0; k < 500; ++k) {
    const Setting t = draw_setting(rng);
    SCOPED_TRACE(testing::Message() << "shape " << k << ": agents " << t.agents << ", state "
                                    << t.state << ", embed " << t.embed << ", width " << t.width
                                    << ", layers " << t.layers << ", rows " << t.rows);
    Case<double> exact(t);
    const Expected want(exact);
    const int tile = 1 + static_cast<int>(rng() % 40);
    exact.run<PlainProducts, 1>(tile);
    expect_below(errors_of(exact, want), 1e-12);
    exact.run<StrictProducts, 1>(tile);
    expect_below(errors_of(exact, want), 1e-12);
    Case<float> single(t);
    single.run<StrictProducts, 1>(tile);
    expect_below(errors_of(single, want), 1e-5);
    if (testing::Test::HasFailure()) return;
  }
}

// By hand: one agent, embed 1, one layer, s = (1), q = 2, W = -3, w = 0.5, b = -1, value hidden 2
// with v = 0.25, v_0 = 1: h = 2 * 3 - 1 = 5, Q = 5 * 0.5 + 2 * 0.25 + 1 = 4. With target 3.5,
// weight 2 and scale 3: error 0.5, loss 3 * 2 * 0.25 = 1.5, slope 2 * 3 * 2 * 0.5 = 6.
TEST(FusedMixing, LossAndGradientByHand) {
  Case<float> c({1, 1, 1, 1, 1, 0, 2, 1, false});
  using Mix = MonotonicMixer<float>;
  const auto at = [&](const std::string& name, const Block& block) -> float& {
    float* found = nullptr;
    Mix::for_weights(c.shape, [&](const Weights& w) {
      if (name == w.name) found = block.as<float>() + w.at;
    });
    return *found;
  };
  const std::vector<std::pair<std::string, float>> values{{"mixing", -3.0F}, {"final", 0.5F},
                                                          {"shift", -1.0F},  {"value_hidden", 2.0F},
                                                          {"value", 0.25F},  {"value_bias", 1.0F}};
  for (const auto& [name, value] : values) at(name, c.weights) = value;
  c.q.as<float>()[0] = 2;
  c.target.as<float>()[0] = 3.5F;
  c.weight.as<float>()[0] = 2;
  c.weight.as<float>()[1] = 0;
  auto batch = c.batch();
  batch.scale = 3;
  using Fused = FusedMixing<float>;
  const Block scratch(Fused::scratch<SerialTeam>(c.shape, 4) * 4),
      work(Fused::workspace(c.shape, 2) * 4);
  Fused::run(SerialTeam{}, c.shape, c.weights.as<float>(), batch, 4, work.as<float>(),
             scratch.as<float>(), c.gradient.as<float>(), &c.loss);
  EXPECT_EQ(c.total.as<float>()[0], 4);
  EXPECT_EQ(c.total.as<float>()[1], 0);
  EXPECT_EQ(c.loss, 1.5F);
  EXPECT_EQ(c.dq.as<float>()[0], 6 * 0.5F * 3);
  EXPECT_EQ(c.dq.as<float>()[kColumns], 0);
  EXPECT_EQ(at("mixing", c.gradient), 6 * 0.5F * 2 * -1);
  EXPECT_EQ(at("final", c.gradient), 6 * 5);
  EXPECT_EQ(at("shift", c.gradient), 6 * 0.5F);
  EXPECT_EQ(at("value_hidden", c.gradient), 6 * 0.25F);
  EXPECT_EQ(at("value", c.gradient), 6 * 2);
  EXPECT_EQ(at("value_bias", c.gradient), 6);
}

// ---- the same bits ------------------------------------------------------------------------------

template <class Real>
std::vector<Real> results_of(const Case<Real>& c) {
  std::vector<Real> all(c.total.template as<Real>(), c.total.template as<Real>() + c.rows);
  for (int r = 0; r < c.rows; ++r) {
    for (int i = 0; i < c.shape.agents; ++i) {
      all.push_back(c.dq.template as<Real>()[r * kColumns + i]);
    }
  }
  const Real* const g = c.gradient.template as<Real>();
  all.insert(all.end(), g, g + MonotonicMixer<Real>::parameters(c.shape));
  all.push_back(c.loss);
  return all;
}
template <class Real>
bool same_bits(const std::vector<Real>& a, const std::vector<Real>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(Real)) == 0;
}

const Setting kSettings[] = {{3, 10, 5, 7, 2, 0, 90, 1, false},
                             {16, 20, 17, 20, 2, 1, 70, 2, true},
                             {2, 33, 20, 1, 1, 0, 140, 3, false},
                             {5, 4, 3, 2, 1, 1, 65, 4, true}};

template <class Real>
void expect_same_bits() {
  for (const Setting& t : kSettings) {
    Case<Real> c(t);
    c.template run<StrictProducts, 1>(32);
    const auto want = results_of(c);
    const auto check = [&](const char* what) {
      EXPECT_TRUE(same_bits(results_of(c), want)) << what << ", agents " << t.agents;
    };
    c.template run<PlainProducts, 1>(8);
    check("one lane");
    c.template run<StrictProducts, 1>(5);
    check("tiles of 5");
    c.template run<StrictProducts, 2>(16);
    check("2 lanes");
    c.template run<StrictProducts, 8>(32);
    check("8 lanes");
    c.template run<StrictProducts, 32>(64);
    check("32 lanes");
    c.template run<StrictProducts, 64>(48);
    check("64 lanes");
  }
}
TEST(FusedMixing, EveryTeamAndTileHasTheSameBits) { expect_same_bits<float>(); }
TEST(FusedMixing, EveryTeamAndTileHasTheSameBitsInFloat64) { expect_same_bits<double>(); }

// The fragments of tensor cores, a lane of the team for a warp, against plain sums: here the
// emulated instruction adds its terms in their order.
TEST(FusedMixing, TensorProductsAreRoundedProducts) {
  for (const Setting& t : kSettings) {
    Case<float> c(t);
    c.run<RoundedProducts, 1>(32);
    const auto want = results_of(c);
    c.run<StrictProducts, 1>(32);
    EXPECT_FALSE(same_bits(results_of(c), want)) << "nothing was rounded";
    const auto check = [&](const char* what) {
      EXPECT_TRUE(same_bits(results_of(c), want)) << what << ", agents " << t.agents;
    };
    c.run<RoundedProducts, 8>(16);
    check("rounded, 8 lanes");
    c.run<TensorProducts, 1>(32);
    check("one warp");
    c.run<TensorProducts, 2>(64);
    check("2 warps, tiles of 64");
    c.run<TensorProducts, 16>(48);
    check("16 warps, tiles of 48");
  }
}

// A grid is some number of teams that take chunks in some order.
TEST(FusedMixing, GradientDoesNotDependOnTheGrid) {
  using Fused = FusedMixing<float>;
  Case<float> c({3, 12, 6, 8, 2, 0, 3000, 5, false});
  c.run<StrictProducts, 1>(32);
  const auto want = results_of(c);
  const int chunks = Fused::chunks(c.rows);
  EXPECT_EQ(chunks, 47);
  const size_t n = Fused::parameters(c.shape);
  std::mt19937 rng(9);
  for (const size_t teams : {size_t{1}, size_t{2}, size_t{3}}) {
    const Block work(Fused::workspace(c.shape, c.rows) * 4);
    float* const prepared = work.as<float>();
    float* const partials = Fused::partials_of(c.shape, prepared);
    float* const losses = Fused::losses_of(c.shape, c.rows, prepared);
    for (uint64_t lane = 0; lane < 5; ++lane) {
      Fused::prepare(c.shape, c.weights.as<float>(), prepared, lane, 5);
    }
    std::vector<int> order(static_cast<size_t>(chunks));
    for (int k = 0; k < chunks; ++k) order[static_cast<size_t>(k)] = k;
    std::shuffle(order.begin(), order.end(), rng);
    {
      std::vector<std::jthread> threads;
      for (size_t team = 0; team < teams; ++team) {
        threads.emplace_back([&, team] {
          const int tile = 16 + 7 * static_cast<int>(team);
          const Block scratch(Fused::scratch<SerialTeam>(c.shape, tile) * 4);
          for (size_t k = team; k < order.size(); k += teams) {
            const auto chunk = static_cast<size_t>(order[k]);
            Fused::chunk(SerialTeam{}, c.shape, c.weights.as<float>(), prepared, c.batch(),
                         order[k], tile, scratch.as<float>(), partials + chunk * n, losses + chunk);
          }
        });
      }
    }
    for (uint64_t lane = 0; lane < 7; ++lane) {
      Fused::reduce(c.shape, c.rows, partials, losses, c.gradient.as<float>(), &c.loss,
                    lane * n / 7, (lane + 1) * n / 7);
    }
    EXPECT_TRUE(same_bits(results_of(c), want)) << teams;
  }
}

TEST(FusedMixing, ThreadsHaveTheSameBits) {
  using Fused = FusedMixing<float>;
  Case<float> c({3, 12, 6, 8, 2, 0, 1000, 5, false});
  c.run<StrictProducts, 1>(32);
  const auto want = results_of(c);
  for (const int threads : {1, 3}) {
    const Block work(Fused::workspace(c.shape, c.rows) * 4);
    c.loss = 0;
    std::fill_n(c.gradient.as<float>(), Fused::parameters(c.shape), 0.0F);
    launch_fused_mixing<StrictProducts>(CpuBackend(threads), c.shape, c.weights.as<float>(),
                                        c.batch(), work.as<float>(), c.gradient.as<float>(),
                                        &c.loss);
    EXPECT_TRUE(same_bits(results_of(c), want)) << threads;
  }
}

TEST(FusedMixing, ChunksCoverTheRows) {
  using Fused = FusedMixing<float>;
  for (const int64_t rows : {1, 63, 64, 65, 1000, 8192, 8193, 65'536, 1'000'000}) {
    const int64_t each = Fused::chunk_rows(rows);
    EXPECT_LE(Fused::chunks(rows), Fused::kChunks) << rows;
    EXPECT_GE(each * Fused::chunks(rows), rows);
    EXPECT_LT(each * (Fused::chunks(rows) - 1), rows);
  }
  EXPECT_EQ(Fused::chunks(65'536), 128);
}

/// The binary tree, by its definition.
float tree_of(const std::vector<float>& leaves, size_t first, size_t size) {
  if (size == 1) return first < leaves.size() ? leaves[first] : 0;
  return tree_of(leaves, first, size / 2) + tree_of(leaves, first + size / 2, size / 2);
}
TEST(FusedMixing, PartsAreAddedInABinaryTree) {
  std::mt19937 rng(3);
  for (const int count : {1, 2, 3, 16, 17, 100, 128}) {
    std::vector<float> leaves;
    for (int k = 0; k < count; ++k) {
      leaves.push_back(std::ldexp(static_cast<float>(rng() % 1000), static_cast<int>(rng() % 30)));
    }
    EXPECT_EQ(FusedMixing<float>::reduced(leaves.data(), 1, count), tree_of(leaves, 0, 128));
  }
}

// ---- rows without weight ------------------------------------------------------------------------

// Whatever such rows hold, they count as if they were not there.
TEST(FusedMixing, RowsWithoutWeightAreLeftOut) {
  Setting t{4, 9, 6, 5, 2, 0, 60, 6, false};
  Case<float> all(t);
  std::vector<int> kept;
  for (int r = 0; r < t.rows; ++r) {
    const bool counts = r % 3 == 1 && (r < 16 || r >= 40);
    all.weight.as<float>()[r] = counts ? 1.5F : 0;
    if (counts) {
      kept.push_back(r);
      continue;
    }
    constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
    std::fill_n(all.state.as<float>() + r * all.shape.state_pitch, all.shape.state_pitch, kNone);
    std::fill_n(all.q.as<float>() + r * kColumns, kColumns, kNone);
    all.target.as<float>()[r] = kNone;
  }
  t.rows = static_cast<int>(kept.size());
  Case<float> few(t);
  for (int r = 0; r < t.rows; ++r) {
    const int from = kept[static_cast<size_t>(r)];
    const int pitch = few.shape.state_pitch;
    std::copy_n(all.state.as<float>() + from * pitch, pitch, few.state.as<float>() + r * pitch);
    std::copy_n(all.q.as<float>() + from * kColumns, kColumns, few.q.as<float>() + r * kColumns);
    few.target.as<float>()[r] = all.target.as<float>()[from];
    few.weight.as<float>()[r] = 1.5F;
  }
  all.run<StrictProducts, 1>(8);
  few.run<StrictProducts, 1>(8);
  EXPECT_GT(few.loss, 0);
  EXPECT_EQ(all.loss, few.loss);
  const auto n = static_cast<int>(MonotonicMixer<float>::parameters(all.shape));
  int wrong = 0;
  for (int k = 0; k < n; ++k)
    wrong += all.gradient.as<float>()[k] == few.gradient.as<float>()[k] ? 0 : 1;
  EXPECT_EQ(wrong, 0);
  for (int r = 0, at = 0; r < all.rows; ++r) {
    const bool counts = at < t.rows && kept[static_cast<size_t>(at)] == r;
    EXPECT_EQ(all.total.as<float>()[r], counts ? few.total.as<float>()[at] : 0) << r;
    for (int i = 0; i < t.agents; ++i) {
      EXPECT_EQ(all.dq.as<float>()[r * kColumns + i],
                counts ? few.dq.as<float>()[at * kColumns + i] : 0)
          << r;
    }
    at += counts ? 1 : 0;
  }
}

// ---- TF32 ---------------------------------------------------------------------------------------

// The format: 10 bits of mantissa, so that neighbours of 1 are 2^-10 apart.
TEST(Tf32, RoundsToTenBits) {
  EXPECT_EQ(round_tf32(1.0F + 0x1p-11F), 1.0F + 0x1p-10F);  // a tie, away from zero
  EXPECT_EQ(round_tf32(-1.0F - 0x1p-11F), -1.0F - 0x1p-10F);
  EXPECT_EQ(round_tf32(1.0F + 0x1.FFCp-12F), 1.0F);
  EXPECT_EQ(round_tf32(1.0F + 0x1p-10F), 1.0F + 0x1p-10F);
  EXPECT_EQ(round_tf32(0x1.FFFp0F), 2.0F);
  EXPECT_EQ(round_tf32(0.0F), 0.0F);
  EXPECT_TRUE(std::isinf(round_tf32(std::numeric_limits<float>::infinity())));
  EXPECT_TRUE(std::isnan(round_tf32(std::numeric_limits<float>::quiet_NaN())));
  std::mt19937 rng(4);
  double most = 0;
  for (int k = 0; k < 100'000; ++k) {
    const float x =
        std::ldexp(static_cast<float>(rng()) - 2147483648.0F, static_cast<int>(rng() % 60) - 60);
    const float y = round_tf32(x);
    EXPECT_EQ(std::bit_cast<uint32_t>(y) & 0x1FFFu, 0u);
    if (x != 0) most = std::max(most, std::fabs(static_cast<double>(y) - x) / std::fabs(x));
  }
  EXPECT_LE(most, 0x1p-11);
  EXPECT_GT(most, 0.99 * 0x1p-11);
}

// The bound that RoundedProducts states, over 200 products; that strict float32 stays under what is
// left of it without the factors' rounding shows that the rounding is what the bound is about.
TEST(Tf32, ProductsStayWithinTheirBound) {
  std::mt19937 rng(5);
  double worst = 0, worst_strict = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const int rows = 1 + static_cast<int>(rng() % 20), depth = 1 + static_cast<int>(rng() % 256);
    const int columns = 16 * (1 + static_cast<int>(rng() % 3));
    const Block a(static_cast<size_t>(rows * depth) * 4),
        b(static_cast<size_t>(depth * columns) * 4), out(static_cast<size_t>(rows * columns) * 4),
        strict(static_cast<size_t>(rows * columns) * 4);
    const auto any = [&rng] { return static_cast<float>(rng()) / 2147483648.0F - 1.0F; };
    for (int k = 0; k < rows * depth; ++k) a.as<float>()[k] = any();
    for (int k = 0; k < depth * columns; ++k) b.as<float>()[k] = any();
    const Block ra(static_cast<size_t>(rows * depth) * 4),
        rb(static_cast<size_t>(depth * columns) * 4);
    for (int k = 0; k < rows * depth; ++k) {
      ra.as<float>()[k] = RoundedProducts::factor(a.as<float>()[k]);
    }
    for (int k = 0; k < depth * columns; ++k) {
      rb.as<float>()[k] = RoundedProducts::factor(b.as<float>()[k]);
    }
    RoundedProducts::product<float>(SerialTeam{}, {ra.as<float>(), depth, 1}, rows, depth,
                                    rb.as<float>(), columns, columns, {nullptr, 0}, out.as<float>(),
                                    columns);
    StrictProducts::product<float>(SerialTeam{}, {a.as<float>(), depth, 1}, rows, depth,
                                   b.as<float>(), columns, columns, {nullptr, 0},
                                   strict.as<float>(), columns);
    for (int m = 0; m < rows; ++m) {
      for (int n = 0; n < columns; ++n) {
        double want = 0, size = 0;
        for (int k = 0; k < depth; ++k) {
          const double term = static_cast<double>(a.as<float>()[m * depth + k]) *
                              static_cast<double>(b.as<float>()[k * columns + n]);
          want += term;
          size += std::fabs(term);
        }
        const double bound = (0x1p-10 + 0x1p-22 + depth * 0x1p-23) * size;
        worst = std::max(
            worst, std::fabs(static_cast<double>(out.as<float>()[m * columns + n]) - want) / bound);
        worst_strict =
            std::max(worst_strict,
                     std::fabs(static_cast<double>(strict.as<float>()[m * columns + n]) - want) /
                         (depth * 0x1p-23 * size));
      }
    }
  }
  EXPECT_LE(worst, 1);
  EXPECT_GT(worst, 0.1);
  EXPECT_LE(worst_strict, 1);
  RecordProperty("worst share of the bound", std::to_string(worst));
}

/// Norm of the difference over the norm of what is expected.
double distance(const float* got, const std::vector<double>& want, int step = 1, int count = 1) {
  double difference = 0, size = 0;
  for (size_t k = 0; k < want.size(); ++k) {
    if (static_cast<int>(k) % step >= count) continue;
    difference += std::pow(static_cast<double>(got[k]) - want[k], 2);
    size += want[k] * want[k];
  }
  return std::sqrt(difference / size);
}

// The whole network, with weights as they are drawn at the start of a run. An error of 2^-12 of W's
// size gives about p = 2^-12 of its entries another sign, and with it that part of the gradient: an
// error of 2 sqrt(p) = 3e-2 of its norm. Values, which are continuous there, have none of that.
TEST(Tf32, NetworksStayNearFloat64) {
  double total = 0, dq = 0, gradient = 0;
  for (unsigned seed = 0; seed < 20; ++seed) {
    const Setting t{1 + static_cast<int>(seed) % 16, 64, 32, 64, 2, 0, 256, seed, false};
    Case<double> exact(t);
    std::mt19937 rng(seed);
    MonotonicMixer<double>::for_weights(exact.shape, [&](const Weights& w) {
      for (int m = 0; m < w.rows; ++m) {
        for (int n = 0; n < w.columns; ++n) {
          const double uniform = static_cast<double>(rng()) / 2147483648.0 - 1;
          exact.weights.as<double>()[w.at + static_cast<size_t>(m * w.pitch + n)] =
              static_cast<float>(uniform / std::sqrt(w.fan_in));
        }
      }
    });
    Case<float> single(t);
    for (size_t k = 0; k < MonotonicMixer<float>::parameters(single.shape); ++k) {
      single.weights.as<float>()[k] = static_cast<float>(exact.weights.as<double>()[k]);
    }
    const Expected want(exact);
    single.run<RoundedProducts, 1>(32);
    total = std::max(total, distance(single.total.as<float>(), want.total));
    dq = std::max(dq, distance(single.dq.as<float>(), want.dq, kColumns, t.agents));
    gradient = std::max(gradient, distance(single.gradient.as<float>(), want.gradient));
  }
  std::printf("TF32: total %.1e, dq %.1e, gradient %.1e\n", total, dq, gradient);
  EXPECT_LE(total, 1e-3);
  EXPECT_LE(dq, 1e-3);
  EXPECT_LE(gradient, 5e-2);
  EXPECT_GT(total, 1e-5);
}

// ---- ELU ----------------------------------------------------------------------------------------

template <class Real>
void expect_elu() {
  std::mt19937 rng(8);
  std::vector<Real> x{0,
                      Real(-0.0),
                      Real(1),
                      Real(-1e-30),
                      Real(-700),
                      Real(-708),
                      Real(-709),
                      Real(-1e30),
                      std::numeric_limits<Real>::infinity(),
                      -std::numeric_limits<Real>::infinity()};
  while (x.size() < 4096) {
    x.push_back(static_cast<Real>(
        std::ldexp(static_cast<double>(rng()) - 2e9, static_cast<int>(rng() % 50) - 55)));
  }
  const Block block(x.size() * sizeof(Real));
  std::copy(x.begin(), x.end(), block.as<Real>());
  elu_columns(block.as<Real>(), static_cast<int>(x.size()));
  int wrong = 0;
  for (size_t k = 0; k < x.size(); ++k) {
    const Real want =
        x[k] < 0 ? static_cast<Real>(portable_exp(static_cast<double>(x[k])) - 1.0) : x[k];
    wrong += std::memcmp(&want, block.as<Real>() + k, sizeof(Real)) == 0 ? 0 : 1;
  }
  EXPECT_EQ(wrong, 0);
}
TEST(Elu, VectorsHaveTheBitsOfPortableExp) {
  expect_elu<float>();
  expect_elu<double>();
}

}  // namespace
