/// \file
/// Writes value decomposition cases for tests/oracle/mixing_oracle.py: random shapes, weights and
/// replays, and what the kernels make of them.
///
/// usage: mixing_probe CASES SEED. For each case and precision a line of JSON, then its numbers as
/// raw doubles, in this order: weights [size], targets [size]; of each step x [agents][features],
/// state [state], next x, next state, action [agents], reward, 1 where the episode ended, 1 at the
/// first step of an episode; then the joint value of each step (0 where utilities are recurrent or
/// nothing is mixed), the loss, the gradient [size].
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/mixing_harness.hpp"

namespace {

using namespace cumarl;
using namespace cumarl::mixing_harness;

class Draws {
 public:
  explicit Draws(unsigned seed) : rng_(seed) {}
  int whole(int low, int high) {
    return low + static_cast<int>(rng_() % static_cast<unsigned>(high - low + 1));
  }
  /// Small ones more often than large ones.
  int size(int low, int high) { return whole(low, whole(low, high)); }
  double unit() { return static_cast<double>(rng_()) / 4294967296.0 * 2.0 - 1.0; }
  std::mt19937& rng() { return rng_; }

 private:
  std::mt19937 rng_;
};

template <template <class> class L, class Real>
void write_case(int number, unsigned seed) {
  using Learner = L<Real>;
  Draws draws(seed);
  Sizes sizes;
  const int agents = draws.size(1, 16);
  const int features = draws.size(1, 32);
  for (int i = 0; i < agents; ++i) {
    sizes.actions.push_back(draws.size(2, 32));
    sizes.features.push_back(features);
  }
  sizes.state = draws.size(1, 256);
  typename Learner::Config c;
  c.gamma = 0.9;
  c.double_q = draws.whole(0, 1) == 1;
  c.utility.width = draws.whole(0, 3) == 0 ? 0 : draws.size(1, 64);
  c.utility.shared = draws.whole(0, 1) == 1;
  const bool recurrent = c.utility.width > 0 && draws.whole(0, 1) == 1;
  if (recurrent) c.utility.kind.value = Utilities<Real>::kRecurrent;
  c.steps = draws.whole(recurrent ? 2 : 1, 5);
  c.slots = 8;
  c.batch = draws.whole(1, 5);
  if constexpr (Learner::kIndependent) c.reward.value = Learner::kSum;
  c.every = 1'000'000;
  int layers = 0, activation = 0, variant = 0;
  double opt = 1, nopt = 1;
  if constexpr (requires { c.mixer.embed; }) {
    c.mixer.embed = draws.size(1, 64);
    c.mixer.width = draws.size(1, 128);
    layers = c.mixer.layers = draws.whole(1, 2);
    activation = c.mixer.activation.value = draws.whole(0, 1);
  }
  if constexpr (requires { c.mixer.variant; }) {
    c.mixer.width = draws.size(1, 128);
    variant = c.mixer.variant.value = draws.whole(0, 1);
    opt = c.mixer.opt = 0.5 + draws.whole(0, 3);
    nopt = c.mixer.nopt = 0.5 + draws.whole(0, 3);
  }
  Driven<Learner, Real> d(c, sizes);
  std::string json =
      "{\"case\": " + std::to_string(number) + ", \"learner\": \"" + Learner::kFacts.name +
      "\", \"float64\": " + (sizeof(Real) == 8 ? "true" : "false") +
      ", \"agents\": " + std::to_string(agents) + ", \"features\": " + std::to_string(features) +
      ", \"state\": " + std::to_string(sizes.state) + ", \"actions\": [";
  for (int i = 0; i < agents; ++i) {
    json += (i > 0 ? ", " : "") + std::to_string(sizes.actions[static_cast<size_t>(i)]);
  }
  json += "], \"size\": " + std::to_string(d.p.size) +
          ", \"width\": " + std::to_string(c.utility.width) +
          ", \"recurrent\": " + (recurrent ? "true" : "false") +
          ", \"shared\": " + (c.utility.shared ? "true" : "false") +
          ", \"double_q\": " + (c.double_q ? "true" : "false") +
          ", \"layers\": " + std::to_string(layers) +
          ", \"activation\": " + std::to_string(activation) +
          ", \"variant\": " + std::to_string(variant) + ", \"opt\": " + std::to_string(opt) +
          ", \"nopt\": " + std::to_string(nopt) + ", \"matrices\": [";
  bool first = true;
  Learner::for_weights(d.p, [&](const Weights& w) {
    json += std::string(first ? "" : ", ") + "[\"" + w.name + "\", " + std::to_string(w.agent) +
            ", " + std::to_string(w.at) + ", " + std::to_string(w.rows) + ", " +
            std::to_string(w.columns) + ", " + std::to_string(w.pitch) + "]";
    first = false;
    for (int m = 0; m < w.rows; ++m) {
      for (int n = 0; n < w.columns; ++n) {
        const size_t at = w.at + static_cast<size_t>(m * w.pitch + n);
        const double scale = w.fan_in > 0 ? 1.0 / std::sqrt(w.fan_in) : 0.5;
        d.weights()[at] = static_cast<Real>(2.0 * scale * draws.unit());
        d.targets()[at] = static_cast<Real>(2.0 * scale * draws.unit());
      }
    }
  });
  struct Step {
    std::vector<Real> from, to;
    std::vector<int> actions;
    float reward;
    bool ended, first;
  };
  std::vector<Step> steps;
  auto see = d.random(draws.rng());
  for (int slot = 0; slot < c.batch; ++slot) {
    for (int k = 0; k < c.steps; ++k) {
      Step s{see, d.random(draws.rng()), {}, static_cast<float>(draws.unit()), false, k == 0};
      for (int i = 0; i < agents; ++i) {
        s.actions.push_back(draws.whole(0, sizes.actions[static_cast<size_t>(i)] - 1));
      }
      const int end = draws.whole(0, 5);
      s.ended = end == 0;
      const Episode episode =
          end == 0 ? Episode::ended : (end == 1 ? Episode::cut : Episode::goes_on);
      std::vector<float> rewards(static_cast<size_t>(agents), 0.0F);
      rewards[0] = s.reward;
      d.learn(s.from, s.to, s.actions, rewards, episode);
      see = episode == Episode::goes_on ? s.to : d.random(draws.rng());
      steps.push_back(s);
      if (episode != Episode::goes_on) break;
    }
  }
  d.pick_first();
  const Real loss = d.descend();
  json += "], \"steps\": " + std::to_string(steps.size()) + "}\n";
  std::vector<double> out;
  for (size_t k = 0; k < d.p.size; ++k) out.push_back(static_cast<double>(d.weights()[k]));
  for (size_t k = 0; k < d.p.size; ++k) out.push_back(static_cast<double>(d.targets()[k]));
  const auto seen = [&](const std::vector<Real>& all) {
    for (int i = 0; i < agents; ++i) {
      for (int k = 0; k < features; ++k) {
        out.push_back(static_cast<double>(all[static_cast<size_t>(i * d.spec.pitch + k)]));
      }
    }
    for (int k = 0; k < sizes.state; ++k) {
      out.push_back(static_cast<double>(all[static_cast<size_t>(agents * d.spec.pitch + k)]));
    }
  };
  for (const Step& s : steps) {
    seen(s.from);
    seen(s.to);
    for (const int a : s.actions) out.push_back(a);
    out.push_back(static_cast<double>(s.reward));
    out.push_back(s.ended ? 1 : 0);
    out.push_back(s.first ? 1 : 0);
  }
  for (const Step& s : steps) {
    double value = 0;
    if constexpr (!Learner::kIndependent) {
      if (!recurrent) value = static_cast<double>(d.total(s.from, s.actions));
    }
    out.push_back(value);
  }
  out.push_back(static_cast<double>(loss));
  for (size_t k = 0; k < d.p.size; ++k) out.push_back(static_cast<double>(d.gradient()[k]));
  std::fwrite(json.data(), 1, json.size(), stdout);
  std::fwrite(out.data(), sizeof(double), out.size(), stdout);
}

template <template <class> class L>
void write_both(int number, unsigned seed) {
  write_case<L, double>(number, seed);
  write_case<L, float>(number, seed);
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fputs("usage: mixing_probe CASES SEED\n", stderr);
    return 2;
  }
  const int cases = std::atoi(arguments[1]);
  const auto seed = static_cast<unsigned>(std::atoi(arguments[2]));
  for (int k = 0; k < cases; ++k) {
    const unsigned own = seed * 100'003u + static_cast<unsigned>(k);
    switch (k % 5) {
      case 0: write_both<Vdn>(k, own); break;
      case 3: write_both<Qtran>(k, own); break;
      case 4: write_both<Iql>(k, own); break;
      default: write_both<Qmix>(k, own);
    }
  }
  return 0;
}
