/// \file
/// What the tests of value decomposition share: random replays, gradients against differences, games
/// whose states are one-hot.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "tests/mixing_harness.hpp"

namespace cumarl::mixing_harness {

inline double draw(std::mt19937& rng) {
  return static_cast<double>(rng()) / 4294967296.0 * 2.0 - 1.0;
}

template <class L>
typename L::Config small_config() {
  typename L::Config c;
  c.precision.value = 1;
  c.gamma = 0.9;
  c.batch = 6;
  c.slots = 8;
  c.steps = 5;
  c.every = 1'000'000;  // learn nothing while the replay fills
  c.utility.width = 5;
  return c;
}

/// Episodes of random length, some cut, some in pieces; the targets differ from the weights.
template <class D>
void fill_replay(D& d, int steps, unsigned seed) {
  std::mt19937 rng(seed);
  auto see = d.random(rng);
  for (int t = 0; t < steps; ++t) {
    auto next = d.random(rng);
    std::vector<int> actions;
    std::vector<float> rewards;
    for (int i = 0; i < d.spec.agents; ++i) {
      actions.push_back(static_cast<int>(rng() % static_cast<unsigned>(d.spec.actions[i])));
      rewards.push_back(static_cast<float>(draw(rng)));
    }
    const auto end = rng() % 8;
    const Episode episode =
        end == 0 ? Episode::ended : (end == 1 ? Episode::cut : Episode::goes_on);
    EXPECT_EQ(d.learn(see, next, actions, rewards, episode), -1);
    see = episode == Episode::goes_on ? next : d.random(rng);
  }
  for (size_t k = 0; k < d.p.size; ++k) {
    using Real = std::remove_reference_t<decltype(d.targets()[0])>;
    if (d.weights()[k] != Real(0)) d.targets()[k] += static_cast<Real>(0.3 * draw(rng));
  }
  d.pick_first();
}

/// Every entry of the gradient against (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12 h, whose error is
/// about h^4 + 1e-16 / h = 1e-12, but where a kink (of a ReLU, |x| or a maximum) is that near. Where
/// `only` is given: entries of matrices it accepts.
template <class D>
void expect_gradient(D& d, const std::function<bool(const std::string&)>& only = {}) {
  d.descend();
  const std::vector<double> g(d.gradient(), d.gradient() + d.p.size);
  std::vector<bool> counts(d.p.size, false);
  using L = typename D::Learner;
  L::for_weights(d.p, [&](const Weights& w) {
    for (int m = 0; m < w.rows; ++m) {
      for (int n = 0; n < w.columns; ++n) {
        counts[w.at + static_cast<size_t>(m * w.pitch + n)] = !only || only(w.name);
      }
    }
  });
  const double h = 1e-4;
  int checked = 0, kinks = 0, moving = 0;
  for (size_t k = 0; k < g.size(); ++k) {
    if (!counts[k]) {
      if (!only) {
        EXPECT_EQ(g[k], 0.0) << "padding " << k;
      }
      continue;
    }
    const double was = d.weights()[k];
    const auto f = [&](double move) {
      d.weights()[k] = was + move;
      const double value = d.descend();
      d.weights()[k] = was;
      return value;
    };
    const double right = f(h), left = f(-h), far_right = f(2 * h), far_left = f(-2 * h),
                 here = f(0);
    if (std::fabs((right - here) - (here - left)) > 1e-6 ||
        std::fabs((far_right - right) - (left - far_left)) > 1e-6) {
      ++kinks;
      continue;
    }
    const double slope = (8 * (right - left) - (far_right - far_left)) / (12 * h);
    EXPECT_NEAR(g[k], slope, 1e-9 * std::max(1.0, std::fabs(slope))) << "entry " << k;
    ++checked;
    moving += g[k] != 0 ? 1 : 0;
  }
  EXPECT_GT(moving, checked / 4);
  EXPECT_LE(kinks, (checked + kinks) / 20);
}

/// Driven, with its learner's type named.
template <class L>
struct Case : Driven<L, double> {
  using Learner = L;
  using Driven<L, double>::Driven;
};

inline const Sizes kUneven{{4, 2, 3}, {5, 5, 5}, 4};

/// Two agents with two actions, who see one of `states` states, one-hot; so does the mixer.
inline Sizes one_hot(int states) { return {{2, 2}, {states, states}, states + 1}; }

template <class L, class Real>
std::vector<Real> at_state(const Driven<L, Real>& d, int state) {
  auto v = d.blank();
  for (int i = 0; i < d.spec.agents; ++i) v[static_cast<size_t>(i * d.spec.pitch + state)] = 1;
  const auto global = static_cast<size_t>(d.spec.agents * d.spec.pitch);
  v[global + static_cast<size_t>(state)] = 1;
  v[global + static_cast<size_t>(d.spec.global_size - 1)] = 1;
  return v;
}

template <class L>
typename L::Config table_config() {
  typename L::Config c;
  c.utility.width = 0;
  c.gamma = 0.5;
  c.batch = 1;
  c.optimizer.max_norm = 0;
  return c;
}

}  // namespace cumarl::mixing_harness
