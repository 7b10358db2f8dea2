/// Value decomposition: batch algebra in its one shape, mixers by hand and by identities, gradients
/// against differences, updates by hand, fits with known values, the same bits at every team size.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/emulated_team.hpp"
#include "tests/mixing_tools.hpp"

namespace {

using namespace cumarl;
using namespace cumarl::mixing_harness;

// ---- batch algebra ------------------------------------------------------------------------------

template <class Real>
struct Matrix {
  Matrix(int rows, int columns, unsigned seed)
      : pitch(padded(columns)), block(static_cast<size_t>(rows * pitch) * sizeof(Real)) {
    std::mt19937 rng(seed);
    for (int m = 0; m < rows; ++m) {
      for (int n = 0; n < columns; ++n) {
        (*this)(m, n) = static_cast<Real>(std::ldexp(draw(rng), static_cast<int>(rng() % 20) - 10));
      }
    }
  }
  Real& operator()(int m, int n) const { return block.template as<Real>()[m * pitch + n]; }
  Real* data() const { return block.template as<Real>(); }
  int pitch;
  Block block;
};

template <class Real>
bool same_bits(Real a, Real b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0;
}

/// The sizes of a product.
struct Sizes3 {
  int rows, in, out;
};

/// All products of a team against the sums that batch_ops.hpp states, written down term by term.
template <class Real, int N>
void check_products(const Sizes3& size) {
  const auto [rows, in, out] = size;
  const Matrix<Real> x(rows, in, 1), w(in, out, 2), bias(1, out, 3), dy(rows, out, 4);
  const Matrix<Real> was(in, out, 5), bias_was(1, out, 6);
  const Matrix<Real> y(rows, out, 7), g(in, out, 5), gb(1, out, 6), t(out, in, 8), dx(rows, in, 9);
  const auto run = [&, rows = rows, in = in, out = out](const auto& team) {
    affine(team, x.data(), x.pitch, rows, in, w.data(), w.pitch, bias.data(), y.data(), y.pitch);
    add_weight_gradient(team, x.data(), x.pitch, rows, in, dy.data(), dy.pitch, w.pitch, g.data());
    add_bias_gradient(team, dy.data(), dy.pitch, rows, w.pitch, gb.data());
    transpose(team, w.data(), in, out, w.pitch, t.data(), t.pitch);
    input_gradient(team, dy.data(), dy.pitch, rows, out, t.data(), t.pitch, dx.data(), dx.pitch);
  };
  if constexpr (N == 1) {
    run(SerialTeam{});
  } else {
    run_emulated<N>(run);
  }
  int wrong = 0;
  const auto compare = [&wrong](Real got, Real want) { wrong += same_bits(got, want) ? 0 : 1; };
  for (int b = 0; b < rows; ++b) {
    for (int n = 0; n < out; ++n) {
      Real sum = bias(0, n);
      for (int k = 0; k < in; ++k) sum += x(b, k) * w(k, n);
      compare(y(b, n), sum);
    }
    for (int k = 0; k < in; ++k) {
      Real sum = 0;
      for (int n = 0; n < out; ++n) sum += dy(b, n) * w(k, n);
      compare(dx(b, k), sum);
    }
  }
  for (int n = 0; n < out; ++n) {
    for (int k = 0; k < in; ++k) {
      Real sum = was(k, n);
      for (int b = 0; b < rows; ++b) sum += x(b, k) * dy(b, n);
      compare(g(k, n), sum);
    }
    Real sum = bias_was(0, n);
    for (int b = 0; b < rows; ++b) sum += dy(b, n);
    compare(gb(0, n), sum);
  }
  EXPECT_EQ(wrong, 0) << rows << " x " << in << " -> " << out << ", team of " << N;
}

TEST(BatchOps, EverySizeOfBatchAndTeamSumsInOneShape) {
  for (const Sizes3& size : {Sizes3{1, 1, 1}, Sizes3{3, 5, 7}, Sizes3{8, 16, 16},
                             Sizes3{13, 17, 40}, Sizes3{32, 33, 100}, Sizes3{19, 64, 33}}) {
    check_products<float, 1>(size);
    check_products<double, 1>(size);
  }
  for (const Sizes3& size : {Sizes3{3, 5, 7}, Sizes3{13, 17, 40}}) {
    check_products<float, 2>(size);
    check_products<double, 4>(size);
    check_products<float, 8>(size);
    check_products<double, 16>(size);
  }
}

// ---- the mixing network -------------------------------------------------------------------------

/// |W| = [[3, 3.5], [3, 2]], b = (0, -2), |w| = (1, 2), V = 0.3 at s = (1, -2), some of W and w made
/// negative, by hypernetworks of one or two layers.
struct Golden {
  using Mix = MonotonicMixer<double>;
  Golden(int layers, int activation)
      : state(16 * 8), q(16 * 8), dq(16 * 8), action(64), total(64), slope(64) {
    Mix::Config c;
    c.embed = 2;
    c.layers = layers;
    c.width = 1;
    c.activation.value = activation;
    const int actions[2] = {2, 2};
    s = Mix::make(c, {2, 2, actions, 2, 16});
    weights = std::make_unique<Block>(Mix::parameters(s) * 8);
    gradient = std::make_unique<Block>(Mix::parameters(s) * 8);
    work = std::make_unique<Block>(Mix::working(s, 1) * 8);
    prepared = std::make_unique<Block>(Mix::prepared(s) * 8);
    const double mixing[2][2] = {{3, -3.5}, {-3, 2}};
    const double last[2] = {1, -2};
    Mix::for_weights(s, [&](const Weights& w) {
      double* const at = weights->as<double>() + w.at;
      const std::string name = w.name;
      // two layers: the one hidden unit is s_0 = 1; one layer: s_0 - 2 s_0' with s_0 = 3 x, s_1 = x
      if (name == "mixing_hidden" || name == "final_hidden") at[0] = 1;
      const auto make = [&](int n, double value) {
        if (layers == 2) {
          at[n] = value;
        } else {
          at[n] = 3 * value;
          at[w.pitch + n] = value;
        }
      };
      for (int e = 0; e < 2; ++e) {
        if (name == "mixing") make(e, mixing[w.agent][e]);
        if (name == "final") make(e, last[e]);
      }
      if (name == "shift") at[w.pitch + 1] = 1;  // b = (0, -2)
      if (name == "value_hidden") at[0] = 1;     // max(s_0, 0) = 1
      if (name == "value") at[0] = 0.1;
      if (name == "value_bias") at[0] = 0.2;
    });
    state.as<double>()[0] = 1;
    state.as<double>()[1] = -2;
    q.as<double>()[0] = 0.7;
    q.as<double>()[1] = -0.4;
    *slope.as<double>() = 1;
    const MixRows<double> in{1, state.as<double>(), q.as<double>(), action.as<int32_t>()};
    Mix::prepare(SerialTeam{}, s, weights->as<double>(), prepared->as<double>());
    Mix::forward(SerialTeam{}, s, weights->as<double>(), in, work->as<double>(),
                 total.as<double>());
    Mix::backward(SerialTeam{}, s, weights->as<double>(), prepared->as<double>(), in,
                  slope.as<double>(), work->as<double>(), dq.as<double>(), gradient->as<double>());
  }
  Mix::Shape s{};
  Block state, q, dq, action, total, slope;
  std::unique_ptr<Block> weights, gradient, work, prepared;
};

// By hand: q|W| + b = (0.9, -0.35); ELU: (0.9, e^-0.35 - 1).
TEST(Qmix, GoldenByHand) {
  for (const int layers : {1, 2}) {
    const Golden elu(layers, 0);
    EXPECT_NEAR(*elu.total.as<double>(), 0.609376179437426, 1e-12);
    EXPECT_NEAR(elu.dq.as<double>()[0], 3 + 3.5 * 2 * std::exp(-0.35), 1e-12);
    EXPECT_NEAR(elu.dq.as<double>()[1], 3 + 2 * 2 * std::exp(-0.35), 1e-12);
    EXPECT_NEAR(elu.dq.as<double>()[0], 7.9328167, 5e-7);
    EXPECT_NEAR(elu.dq.as<double>()[1], 5.8187524, 5e-7);
    const Golden relu(layers, 1);
    EXPECT_NEAR(*relu.total.as<double>(), 0.9 + 0.3, 1e-12);
    EXPECT_NEAR(relu.dq.as<double>()[0], 3, 1e-12);
    EXPECT_NEAR(relu.dq.as<double>()[1], 3, 1e-12);
  }
}

// Rashid et al. 2018, eq. (4): on 100,000 random networks and states dQ/dQ_i >= 0, and the joint
// action of everybody's greedy actions has the largest value.
TEST(Qmix, MonotonicAndGreedyActionsAgree) {
  using Mix = MonotonicMixer<double>;
  std::mt19937 rng(11);
  int falling = 0, disagree = 0;
  double steepest = 0;
  for (int net = 0; net < 100'000; ++net) {
    const int agents = net % 8 == 0 ? 3 : 2;
    const int n = 3;
    const int rows = agents == 2 ? 9 : 27;
    Mix::Config c;
    c.embed = 1 + static_cast<int>(rng() % 4);
    c.layers = 1 + net % 2;
    c.width = 3;
    c.activation.value = net / 2 % 2;
    const int actions[3] = {3, 3, 3};
    const Mix::Shape s = Mix::make(c, {agents, n, actions, 3, 16});
    static const Block weights(1 << 16), gradient(1 << 16), work(1 << 18), prepared(1 << 16),
        state(27 * 16 * 8), q(27 * 16 * 8), dq(27 * 16 * 8), action(27 * 16 * 4), total(32 * 8),
        slope(32 * 8);
    ASSERT_LE(Mix::parameters(s) * 8, size_t{1} << 16);
    ASSERT_LE(Mix::working(s, rows) * 8, size_t{1} << 18);
    std::fill_n(weights.as<double>(), Mix::parameters(s), 0.0);
    Mix::for_weights(s, [&](const Weights& w) {
      for (int m = 0; m < w.rows; ++m) {
        for (int k = 0; k < w.columns; ++k) {
          weights.as<double>()[w.at + static_cast<size_t>(m * w.pitch + k)] = 2 * draw(rng);
        }
      }
    });
    double see[3], own[3][3];
    for (double& v : see) v = draw(rng);
    for (auto& row : own) {
      for (double& v : row) v = 3 * draw(rng);
    }
    int best = 0;
    for (int i = 0, width = 1; i < agents; ++i, width *= 3) best += top_of(own[i], 3) * width;
    for (int r = 0; r < rows; ++r) {
      std::copy_n(see, 3, state.as<double>() + r * 16);
      for (int i = 0, at = r; i < agents; ++i, at /= 3) q.as<double>()[r * 16 + i] = own[i][at % 3];
      slope.as<double>()[r] = 1;
    }
    const MixRows<double> in{rows, state.as<double>(), q.as<double>(), action.as<int32_t>()};
    Mix::prepare(SerialTeam{}, s, weights.as<double>(), prepared.as<double>());
    Mix::forward(SerialTeam{}, s, weights.as<double>(), in, work.as<double>(), total.as<double>());
    Mix::backward(SerialTeam{}, s, weights.as<double>(), prepared.as<double>(), in,
                  slope.as<double>(), work.as<double>(), dq.as<double>(), gradient.as<double>());
    const double top = total.as<double>()[best];
    for (int r = 0; r < rows; ++r) {
      for (int i = 0; i < agents; ++i) {
        const double d = dq.as<double>()[r * 16 + i];
        falling += d >= 0 ? 0 : 1;
        steepest = std::max(steepest, d);
      }
      disagree += total.as<double>()[r] <= top + 1e-12 * (1 + std::fabs(top)) ? 0 : 1;
    }
  }
  EXPECT_EQ(falling, 0);
  EXPECT_EQ(disagree, 0);
  EXPECT_GT(steepest, 1);
}

// ---- gradients ----------------------------------------------------------------------------------

TEST(Gradient, VdnUtilities) {
  for (const int width : {0, 5}) {
    for (const bool shared : {false, true}) {
      for (const bool double_q : {false, true}) {
        auto c = small_config<Vdn<double>>();
        c.utility.width = width;
        c.utility.shared = shared;
        c.double_q = double_q;
        Case<Vdn<double>> d(c, kUneven);
        fill_replay(d, 40, 3);
        if (width == 0) {
          std::mt19937 rng(5);
          Vdn<double>::for_weights(d.p, [&](const Weights& w) {
            for (int m = 0; m < w.rows; ++m) {
              for (int n = 0; n < w.columns; ++n) {
                d.weights()[w.at + static_cast<size_t>(m * w.pitch + n)] = draw(rng);
              }
            }
          });
        }
        expect_gradient(d);
      }
    }
  }
}

TEST(Gradient, Qmix) {
  for (const int layers : {1, 2}) {
    for (const int activation : {0, 1}) {
      auto c = small_config<Qmix<double>>();
      c.mixer.layers = layers;
      c.mixer.activation.value = activation;
      c.mixer.embed = 3;
      c.mixer.width = 4;
      Case<Qmix<double>> d(c, kUneven);
      fill_replay(d, 40, 4);
      expect_gradient(d);
    }
  }
}

// The joint value does not move in the constraints' losses, so each part is differentiated alone.
TEST(Gradient, Qtran) {
  const auto is_joint = [](const std::string& name) {
    return name.starts_with("joint") || name == "action";
  };
  for (const int variant : {0, 1}) {
    auto c = small_config<Qtran<double>>();
    c.mixer.variant.value = variant;
    c.mixer.width = 4;
    c.mixer.opt = 0.7;
    c.mixer.nopt = 1.3;
    {
      Case<Qtran<double>> d(c, kUneven);
      fill_replay(d, 40, 6);
      expect_gradient(d, [&](const std::string& name) { return !is_joint(name); });
    }
    c.mixer.opt = c.mixer.nopt = 0;
    Case<Qtran<double>> d(c, kUneven);
    fill_replay(d, 40, 6);
    expect_gradient(d, is_joint);
  }
}

// ---- updates by hand ----------------------------------------------------------------------------

TEST(Update, RmspropByHand) {
  auto c = table_config<Vdn<double>>();
  c.alpha = 0.1;
  c.optimizer.decay = 0.75;
  c.optimizer.epsilon = 0.5;
  c.target_every = 2;
  Driven<Vdn<double>, double> d(c, one_hot(1));
  const auto s = at_state(d, 0);
  // rewards 1 + 2 = 3, Q = 0: d loss / dQ = -6 for Q_0(1) and Q_1(0); v = 36 / 4 = 9;
  // w = 0.1 * 6 / (3 + 0.5)
  EXPECT_EQ(d.learn(s, s, {1, 0}, {1, 2}, Episode::ended), -1);
  EXPECT_NEAR(d.utilities(s, 0)[1], 0.6 / 3.5, 1e-15);
  EXPECT_NEAR(d.utilities(s, 1)[0], 0.6 / 3.5, 1e-15);
  EXPECT_EQ(d.utilities(s, 0)[0], 0);
  EXPECT_EQ(d.utilities(s, 1)[1], 0);
  EXPECT_EQ(d.targets()[1], 0);
  c.batch = 2;  // the second update is the targets' copy; the same transition, so no doubt which
  EXPECT_EQ(d.learn(s, s, {1, 0}, {1, 2}, Episode::ended), -1);
  const double error = 2 * 0.6 / 3.5 - 3;
  const double v = 0.75 * 9 + 0.25 * (2 * error) * (2 * error);
  const double w = 0.6 / 3.5 - 0.1 * 2 * error / (std::sqrt(v) + 0.5);
  EXPECT_NEAR(d.utilities(s, 0)[1], w, 1e-14);
  EXPECT_EQ(d.targets()[1], d.utilities(s, 0)[1]);
}

TEST(Update, RmspropClipByHand) {
  auto c = table_config<Vdn<double>>();
  c.alpha = 0.1;
  c.optimizer.decay = 0.75;
  c.optimizer.epsilon = 0.5;
  c.optimizer.max_norm = 1;
  Driven<Vdn<double>, double> d(c, one_hot(1));
  const auto s = at_state(d, 0);
  // slopes -6 and -6, of norm 6 sqrt 2, cut to 1: 1 / sqrt 2 each; v = 1/4 * 1/2
  d.learn(s, s, {1, 0}, {1, 2}, Episode::ended);
  EXPECT_NEAR(d.utilities(s, 0)[1], 0.1 / std::sqrt(2.0) / (std::sqrt(0.125) + 0.5), 1e-12);
}

// Utilities (q00, 3) and (2, 5), joint value and V zero, actions (0, 0), reward 0.
double qtran_loss(int variant, double q00, double opt, double nopt) {
  auto c = table_config<Qtran<double>>();
  c.mixer.variant.value = variant;
  c.mixer.opt = opt;
  c.mixer.nopt = nopt;
  c.every = 1'000'000;
  Driven<Qtran<double>, double> d(c, one_hot(1));
  const auto s = at_state(d, 0);
  d.learn(s, s, {0, 0}, {0, 0}, Episode::ended);
  std::fill_n(d.weights(), d.p.size, 0.0);
  d.matrix("input", 0)[0] = q00;
  d.matrix("input", 0)[1] = 3;
  d.matrix("input", 1)[0] = 2;
  d.matrix("input", 1)[1] = 5;
  d.pick_first();
  return d.descend();
}

TEST(Update, QtranConstraintsByHand) {
  EXPECT_EQ(qtran_loss(0, 1, 1, 1), 64);       // D(greedy) = 3 + 5; D(u) = 1 + 2, allowed
  EXPECT_EQ(qtran_loss(0, -4, 1, 1), 64 + 4);  // D(u) = -4 + 2
  EXPECT_EQ(qtran_loss(0, -4, 2, 3), 128 + 12);
  // least of 1 + 2 and 3 + 2, of 1 + 2 and 1 + 5: the mean of 9 and 9
  EXPECT_EQ(qtran_loss(1, 1, 1, 1), 64 + 9);
  // least of 4 + 2 and 3 + 2, of 4 + 2 and 4 + 5: the mean of 25 and 36; greedy is 4 + 5
  EXPECT_EQ(qtran_loss(1, 4, 0.5, 2), 40.5 + 61);
}

TEST(Update, AdamClipAndSoftTargetByHand) {
  auto c = table_config<Vdn<double>>();
  c.alpha = 0.25;
  c.optimizer.kind.value = Optimizer<double>::kAdam;
  c.optimizer.max_norm = 1;
  c.optimizer.epsilon = 0.5;
  c.target_rate = 0.25;
  c.reward.value = 1;
  Driven<Vdn<double>, double> d(c, one_hot(1));
  const auto s = at_state(d, 0);
  // mean reward 4: slopes -8 and -8, of norm 8 sqrt 2, cut to 1: 1 / sqrt 2 each; Adam's first step
  // is alpha g / (|g| + epsilon)
  d.learn(s, s, {0, 1}, {3, 5}, Episode::ended);
  const double g = 1 / std::sqrt(2.0);
  EXPECT_NEAR(d.utilities(s, 0)[0], 0.25 * g / (g + 0.5), 1e-12);
  EXPECT_NEAR(d.utilities(s, 1)[1], 0.25 * g / (g + 0.5), 1e-12);
  EXPECT_NEAR(d.targets()[0], 0.25 * 0.25 * g / (g + 0.5), 1e-12);
}

TEST(Update, FallingStepSizesAndScaledRewardsByHand) {
  auto c = table_config<Vdn<double>>();
  c.optimizer.kind.value = Optimizer<double>::kSgd;
  c.alpha = 0.125;
  c.alpha_end = 0.025;
  c.alpha_updates = 2;
  c.reward_scale = 2;
  Driven<Vdn<double>, double> d(c, one_hot(1));
  const auto s = at_state(d, 0);
  // r = (1 + 3) / 2; both utilities move by -2 alpha (Q - 2): Q - 2 shrinks by 1 - 4 alpha with
  // alpha = .125, .075, and .025 from then on
  const double error[] = {-2 * 0.5, -1 * 0.7, -0.7 * 0.9, -0.63 * 0.9};
  for (const double left : error) {
    EXPECT_EQ(d.learn(s, s, {0, 1}, {1, 3}, Episode::ended), -1);
    EXPECT_NEAR(d.utilities(s, 0)[0], (2 + left) / 2, 1e-14);
    EXPECT_NEAR(d.utilities(s, 1)[1], (2 + left) / 2, 1e-14);
  }
}

/// The loss of one transition from state 0 to state 1 with Q = 0 in state 0.
double loss_of(Episode episode, bool double_q, const std::vector<double>& next,
               const std::vector<double>& next_target) {
  auto c = table_config<Vdn<double>>();
  c.double_q = double_q;
  c.every = 1'000'000;
  Driven<Vdn<double>, double> d(c, {{2, 1}, {2, 2}, 3});  // the second agent has no choice
  d.learn(at_state(d, 0), at_state(d, 1), {0, 0}, {1, 1}, episode);
  for (size_t a = 0; a < 2; ++a) {
    d.matrix("input", 0)[16 + a] = next[a];
    d.targets()[16 + a] = next_target[a];
  }
  // what agent 1 does not have: were it taken for an action, it would be the greedy one
  d.matrix("input", 1)[16 + 1] = 1000;
  d.targets()[d.p.utility.size + 16 + 1] = 1000;
  d.pick_first();
  return d.descend();
}

TEST(Update, TargetsEndsAndPaddingByHand) {
  // r = 2, gamma = 1/2
  EXPECT_EQ(loss_of(Episode::ended, true, {1, 3}, {8, 6}), 4);
  EXPECT_EQ(loss_of(Episode::goes_on, true, {1, 3}, {8, 6}), 25);   // action 1 by the utilities: 6
  EXPECT_EQ(loss_of(Episode::cut, true, {1, 3}, {8, 6}), 25);       // the same at a time limit
  EXPECT_EQ(loss_of(Episode::goes_on, false, {1, 3}, {8, 6}), 36);  // action 0 by the targets: 8
}

// One network for all: Q_i = x W + n_i, or max(x A + n_i, 0) B + c.
TEST(Utilities, SharedOnesSeeTheAgentsNumber) {
  for (const int width : {0, 2}) {
    auto c = table_config<Vdn<double>>();
    c.utility.width = width;
    c.utility.shared = true;
    Driven<Vdn<double>, double> d(c, one_hot(2));
    std::fill_n(d.weights(), d.p.size, 0.0);
    double* const input = d.matrix("input");
    double* const number = d.matrix("number");
    input[16] = 5;    // state 1, action or hidden unit 0
    number[0] = 1;    // agent 0
    number[16] = -7;  // agent 1
    number[16 + 1] = 3;
    if (width > 0) {
      d.matrix("output")[0] = 2;
      d.matrix("output")[16 + 1] = 1;
      d.matrix("output_bias")[1] = 0.5;
    }
    const auto s = at_state(d, 1);
    // linear: (5 + 1, 0), (5 - 7, 3); else of hidden units (6, 0), (0, 3)
    const std::vector<double> first =
        width == 0 ? std::vector<double>{6, 0} : std::vector<double>{12, 0.5};
    const std::vector<double> second =
        width == 0 ? std::vector<double>{-2, 3} : std::vector<double>{0, 3.5};
    EXPECT_EQ(d.utilities(s, 0), first);
    EXPECT_EQ(d.utilities(s, 1), second);
    // the gradient comes to the row of the agent that acted otherwise than expected
    d.p.every = 1'000'000;
    d.learn(s, s, {0, 1}, {0, 0}, Episode::ended);
    d.pick_first();
    d.descend();
    const double slope = 2 * (first[0] + second[1]);
    const auto at = [&](const double* w) { return d.gradient()[w - d.weights()]; };
    EXPECT_EQ(at(number), width == 0 ? slope : 2 * slope);
    EXPECT_EQ(at(number + 16 + 1), slope);
    EXPECT_EQ(at(number + 1), 0);
    EXPECT_EQ(at(number + 16), 0);
  }
}

// Episodes of 1, 3 and (cut into 4 and 1) 5 steps: each step counts once, what an older and longer
// episode left in a slot does not count.
TEST(Update, EpisodesOfDifferentLength) {
  auto c = table_config<Vdn<double>>();
  c.steps = 4;
  c.slots = 4;
  c.batch = 4;
  c.gamma = 0;
  c.every = 1'000'000;
  Driven<Vdn<double>, double> d(c, one_hot(1));
  const auto s = at_state(d, 0);
  const auto play = [&](int steps, float reward) {
    for (int k = 1; k <= steps; ++k) {
      d.learn(s, s, {0, 0}, {reward, 0}, k == steps ? Episode::ended : Episode::goes_on);
    }
  };
  play(4, 100);
  play(4, 100);
  play(4, 100);
  play(4, 100);
  play(4, 100);  // all five slots, one of which is written next
  play(1, 2);    // slot 0
  play(3, 4);    // slot 1
  play(5, 6);    // slots 2 and 3
  d.pick_first();
  EXPECT_NEAR(d.descend(), (1 * 4.0 + 3 * 16.0 + 5 * 36.0) / 9, 1e-12);
  // 2 * mean of Q - r, at Q = 0
  EXPECT_NEAR(d.gradient()[0], -2 * (1 * 2.0 + 3 * 4.0 + 5 * 6.0) / 9, 1e-12);
}

// The sample is of the newest `slots` episodes, never of the one that is written: rewards 1, 2, 3...
// of single transitions tell which they are.
TEST(Update, SamplesTheNewestOnly) {
  auto c = table_config<Vdn<double>>();
  c.slots = 5;
  c.batch = 5;
  c.alpha = 0;
  Driven<Vdn<double>, double> d(c, one_hot(1));
  const auto s = at_state(d, 0);
  std::vector<int> seen(8, 0);
  for (int k = 1; k <= 2000; ++k) {
    d.learn(s, s, {0, 0}, {static_cast<float>(k), 0}, Episode::ended);
    if (k < 10) continue;
    const auto kept = Vdn<double>::replay(d.p, d.memory());
    for (int b = 0; b < c.batch; ++b) {
      const int slot = Vdn<double>::picked(d.p, d.memory())[b];
      const int age = k - static_cast<int>(kept.reward(kept.place(slot, 0)));
      ASSERT_GE(age, 0);
      ASSERT_LT(age, 5);
      ++seen[static_cast<size_t>(age)];
    }
  }
  // 1991 * 5 draws of 5: mean 1991, standard deviation 39.9
  for (int age = 0; age < 5; ++age) EXPECT_NEAR(seen[static_cast<size_t>(age)], 1991, 5 * 39.9);
}

// ---- fits with known values ---------------------------------------------------------------------

/// All joint actions of a 3 x 3 game of common payoffs, each once.
template <class L>
struct Game : Driven<L, double> {
  using Base = Driven<L, double>;
  Game(typename L::Config c, const std::vector<double>& payoffs, uint64_t run = 1)
      : Base(prepared(c), {{3, 3}, {1, 1}, 1}, run) {
    see = this->blank();
    see[0] = see[16] = see[32] = 1;
    for (int k = 0; k < 9; ++k) {
      this->learn(see, see, {k / 3, k % 3},
                  {static_cast<float>(payoffs[static_cast<size_t>(k)]), 0}, Episode::ended);
    }
    this->pick_first();
  }
  static typename L::Config prepared(typename L::Config c) {
    c.utility.width = 0;
    c.gamma = 0;
    c.batch = c.slots = 9;
    c.every = 1'000'000;
    c.optimizer.kind.value = Optimizer<double>::kAdam;
    c.optimizer.epsilon = 1e-8;
    return c;
  }
  /// Full-batch Adam with a falling step size.
  void fit(int steps, double alpha) {
    for (int k = 0; k < steps; ++k) {
      this->p.alpha = alpha * std::pow(1e-3, static_cast<double>(k) / steps);
      L::update(SerialTeam{}, this->p, this->memory());
    }
  }
  double q(int a, int b) const { return this->total(see, {a, b}); }
  std::vector<double> see;
};

const std::vector<double> kClimbing{11, -30, 0, -30, 7, 6, 0, 0, 5};
const std::vector<double> kQtran{8, -12, -12, -12, 0, 0, -12, 0, 0};

// An additive fit of a table is row mean + column mean - grand mean.
TEST(Fit, VdnIsTheAdditiveOne) {
  for (const auto& payoffs : {kClimbing, kQtran}) {
    Game<Vdn<double>> game({}, payoffs);
    for (int k = 0; k < 400; ++k) {
      game.descend();
      for (size_t j = 0; j < game.p.size; ++j) game.weights()[j] -= 0.5 * game.gradient()[j];
    }
    const double mean = std::accumulate(payoffs.begin(), payoffs.end(), 0.0) / 9;
    double squares = 0;
    for (size_t a = 0; a < 3; ++a) {
      for (size_t b = 0; b < 3; ++b) {
        double row = 0, column = 0;
        for (size_t k = 0; k < 3; ++k) {
          row += payoffs[3 * a + k] / 3;
          column += payoffs[3 * k + b] / 3;
        }
        const double fit = game.q(static_cast<int>(a), static_cast<int>(b));
        EXPECT_NEAR(fit, row + column - mean, 1e-10);
        squares += (fit - payoffs[3 * a + b]) * (fit - payoffs[3 * a + b]) / 9;
      }
    }
    EXPECT_NEAR(game.descend(), squares, 1e-9);
    if (payoffs == kClimbing) {
      EXPECT_NEAR(game.q(2, 2), 8.7778, 5e-5);
      EXPECT_NEAR(game.q(0, 0), -9.2222, 5e-5);
      EXPECT_NEAR(squares, 175.0864, 5e-5);
      EXPECT_EQ(game.greedy(game.see, 0), 2);
    } else {
      EXPECT_NEAR(game.q(0, 0), -6.2222, 5e-5);
      EXPECT_NEAR(game.q(1, 1), -3.5556, 5e-5);
      EXPECT_NEAR(squares, 50.5679, 5e-5);
    }
  }
}

// Two orders of the actions make local optima of monotonic fits to the QTRAN game. A lowest, as Son
// et al. 2019 (table 1) have it: everything with an A at its mean (8 - 4 * 12) / 5 = -8, the rest at
// 0, mean square 320 / 9. A highest: 8 at AA, the rest at its mean -6, mean square 32. QMIX ends in
// one of them, in the first from most starts.
TEST(Fit, QmixOnTheQtranGame) {
  Qmix<double>::Config c;
  c.mixer.embed = 8;
  c.mixer.width = 16;
  int lowest = 0;
  for (uint64_t run = 1; run <= 6; ++run) {
    Game<Qmix<double>> game(c, kQtran, run);
    game.fit(2000, 0.02);
    const bool low = game.q(0, 0) < game.q(1, 1);
    lowest += low ? 1 : 0;
    for (int k = 0; k < 9; ++k) {
      const bool has_a = k / 3 == 0 || k % 3 == 0;
      const double wanted = low ? (has_a ? -8 : 0) : (k == 0 ? 8 : -6);
      EXPECT_NEAR(game.q(k / 3, k % 3), wanted, 0.1) << run << ": " << k;
    }
    EXPECT_NEAR(game.descend(), low ? 320.0 / 9 : 32.0, 0.05);
  }
  EXPECT_GE(lowest, 3);
}

// Son et al. 2019, eq. (4): sum Q_i - Q + V is 0 at the greedy joint action and at or above 0
// elsewhere; Q is the game's table, and the greedy joint action is AA.
TEST(Fit, QtranMeetsItsConditions) {
  for (const int variant : {0, 1}) {
    for (uint64_t run = 1; run <= 2; ++run) {
      Qtran<double>::Config c;
      c.mixer.variant.value = variant;
      c.mixer.width = 32;
      Game<Qtran<double>> game(c, kQtran, run);
      game.fit(12000, 0.02);
      EXPECT_EQ(game.greedy(game.see, 0), 0);
      EXPECT_EQ(game.greedy(game.see, 1), 0);
      const auto q0 = game.utilities(game.see, 0), q1 = game.utilities(game.see, 1);
      // V is what is left at AA
      const double v = game.q(0, 0) - q0[0] - q1[0];
      for (int a = 0; a < 3; ++a) {
        double least = 1e9;
        for (int b = 0; b < 3; ++b) {
          const auto k = static_cast<size_t>(3 * a + b);
          EXPECT_NEAR(game.q(a, b), kQtran[k], 5e-3) << a << b;
          const double d = q0[static_cast<size_t>(a)] + q1[static_cast<size_t>(b)] - kQtran[k] + v;
          EXPECT_GE(d, -5e-3) << a << b;
          least = std::min(least, d);
        }
        // alt: for every action of an agent the tightest joint action is tight
        if (variant == 1) {
          EXPECT_NEAR(least, 0, 2e-2) << a;
        }
      }
      EXPECT_NEAR(game.descend(), 0, 1e-3);  // all of it: Q at its table, V and Q_i at (4)
    }
  }
}

/// The two-step game of Rashid et al. 2018 (section 5) with uniform data, gamma = 1: what the
/// greedy joint policy gets.
template <class L>
double two_step(typename L::Config c, uint64_t run) {
  c.utility.width = 0;
  c.gamma = 1;
  c.batch = c.slots = 12;
  c.every = 1'000'000;
  c.optimizer.kind.value = Optimizer<double>::kAdam;
  c.target_every = 50;
  Driven<L, double> d(c, one_hot(3), run);
  const std::vector<float> kLast{0, 1, 1, 8};
  for (int s = 0; s < 3; ++s) {
    for (int k = 0; k < 4; ++k) {
      const int a = k / 2;
      const float reward = s == 0 ? 0.0F : (s == 1 ? 7.0F : kLast[static_cast<size_t>(k)]);
      d.learn(at_state(d, s), at_state(d, s == 0 ? 1 + a : 0), {a, k % 2}, {reward, 0},
              s == 0 ? Episode::goes_on : Episode::ended);
    }
  }
  d.pick_first();
  for (int k = 0; k < 3000; ++k) {
    d.p.alpha = 0.02 * std::pow(1e-2, k / 3000.0);
    L::update(SerialTeam{}, d.p, d.memory());
  }
  if (d.greedy(at_state(d, 0), 0) == 0) return 7;
  return static_cast<double>(
      kLast[static_cast<size_t>(2 * d.greedy(at_state(d, 2), 0) + d.greedy(at_state(d, 2), 1))]);
}

TEST(Fit, TwoStepGame) {
  for (uint64_t run = 1; run <= 3; ++run) {
    EXPECT_EQ(two_step<Vdn<double>>({}, run), 7);
    Qmix<double>::Config c;
    c.mixer.embed = 8;
    c.mixer.width = 16;
    EXPECT_EQ(two_step<Qmix<double>>(c, run), 8);
  }
}

// ---- the same bits ------------------------------------------------------------------------------

/// The memory after a while, with uneven action counts and episodes in pieces, must be that of one
/// lane.
template <class L, class Real>
void expect_same_bits() {
  typename L::Config c;
  c.precision.value = sizeof(Real) == 8 ? 1 : 0;
  c.utility.width = 18;
  c.utility.shared = true;
  c.batch = 2;
  c.slots = 3;
  c.steps = 3;
  c.target_every = 2;
  if constexpr (requires { c.mixer.embed; }) c.mixer.embed = 18;
  if constexpr (requires { c.mixer.width; }) c.mixer.width = 20;
  if constexpr (requires { c.mixer.variant; }) c.mixer.variant.value = 1;
  const auto alone = played<L, Real, 1>(c, 8);
  if constexpr (sizeof(Real) == 4) {
    EXPECT_TRUE((played<L, Real, 2>(c, 8)) == alone);
    EXPECT_TRUE((played<L, Real, 4>(c, 8)) == alone);
    EXPECT_TRUE((played<L, Real, 8>(c, 8)) == alone);
  }
  EXPECT_TRUE((played<L, Real, 16>(c, 8)) == alone);
}

TEST(Teams, VdnHasTheSameBits) { expect_same_bits<Vdn<float>, float>(); }
TEST(Teams, QmixHasTheSameBits) { expect_same_bits<Qmix<float>, float>(); }
TEST(Teams, QmixHasTheSameBitsInFloat64) { expect_same_bits<Qmix<double>, double>(); }
TEST(Teams, QtranHasTheSameBits) { expect_same_bits<Qtran<float>, float>(); }

// ---- playing ------------------------------------------------------------------------------------

// Epsilon = 1 plays every action of an agent equally often and none that it has not.
TEST(Play, ExploresItsOwnActions) {
  auto c = table_config<Vdn<float>>();
  c.exploration.start = c.exploration.end = 1;
  Driven<Vdn<float>, float> d(c, {{4, 2}, {1, 1}, 1});
  Block x(48 * 4);
  x.as<float>()[0] = x.as<float>()[16] = 1;
  std::vector<int> seen(8, 0);
  for (uint64_t t = 0; t < 4000; ++t) {
    Rng rng(d.key, t, Stream::explore);
    const uint32_t words[2] = {rng.word(), rng.word()};
    JointAction out{};
    Vdn<float>::act(SerialTeam{}, d.p, d.memory(), d.seen(x.as<float>()), words, t, out);
    ASSERT_LT(out.action[0], 4);
    ASSERT_LT(out.action[1], 2);
    ++seen[static_cast<size_t>(out.action[0])];
    ++seen[static_cast<size_t>(4 + out.action[1])];
  }
  // binomial: standard deviations 27.4 and 31.6
  for (size_t a = 0; a < 4; ++a) EXPECT_NEAR(seen[a], 1000, 5 * 27.4);
  for (size_t a = 4; a < 6; ++a) EXPECT_NEAR(seen[a], 2000, 5 * 31.6);
}

TEST(Config, BadSettingsAreRefused) {
  HostArena arena;
  Vdn<float>::Config c;
  c.exploration.kind.value = Exploration::kBoltzmann;
  EXPECT_THROW(Vdn<float>::make(c, joint_spec({{2, 2}, {3, 3}, 3}), arena), ParameterError);
  c = {};
  c.utility.shared = true;
  EXPECT_THROW(Vdn<float>::make(c, joint_spec({{2, 2}, {3, 4}, 3}), arena), ParameterError);
  c = {};
  c.slots = c.batch - 1;
  EXPECT_THROW(Vdn<float>::make(c, joint_spec({{2, 2}, {3, 3}, 3}), arena), ParameterError);
  c.slots = 1'000'000;
  c.steps = 100'000;
  EXPECT_THROW(Vdn<float>::make(c, joint_spec({{2, 2}, {3, 3}, 3}), arena), ParameterError);
  c = {};
  c.alpha_end = 2 * c.alpha;
  EXPECT_THROW(Vdn<float>::make(c, joint_spec({{2, 2}, {3, 3}, 3}), arena), ParameterError);
}

// A reward beyond all bounds: the run is given up.
TEST(Update, DivergenceIsTold) {
  Driven<Vdn<float>, float> d(table_config<Vdn<float>>(), one_hot(1));
  const auto s = at_state(d, 0);
  EXPECT_EQ(d.learn(s, s, {0, 0}, {1e20F, 0}, Episode::ended), 0);
}

}  // namespace
