// Prints, as JSON, inputs and gradients of the policy-gradient learners in float64, for
// linear_oracle.py: losses of mappo (policy and value), COMA's policy loss, the score and entropy of
// the policies, generalized advantages, and steps of the optimizer.
//
// usage: linear_gradients [SEED]
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "kernels/linear/coma.hpp"
#include "kernels/linear/mappo.hpp"
#include "tests/joint_seat.hpp"

namespace cumarl {
namespace {

using nlohmann::json;
constexpr SerialTeam kAlone{};
constexpr int kAgents = 2;
constexpr int kActions = 3;
constexpr int kSteps = 24;
constexpr int kSize = 5;
constexpr int kGlobal = 7;

class Numbers {
 public:
  explicit Numbers(uint64_t seed) : rng_({seed, 0}, 0, Stream::reset) {}
  /// In [-1, 1].
  double operator()() { return 2.0 * unit_double(rng_.word()) - 1.0; }
  int below(uint32_t n) { return static_cast<int>(rng_.below(n)); }

 private:
  Rng rng_;
};

json list(const double* values, int count) { return std::vector<double>(values, values + count); }

/// 64-byte aligned room for n numbers.
class Room {
 public:
  explicit Room(int n) : room_(static_cast<size_t>(n) / 8 + 1) {}
  double* data() { return room_[0].values; }

 private:
  struct alignas(64) Block {
    double values[8];
  };
  std::vector<Block> room_;
};

json kept(const Trajectory<double>& steps, Kept what, int count) {
  json out = json::array();
  for (int k = 0; k < count; ++k) {
    json row = json::array();
    for (int i = 0; i < kAgents; ++i) row.push_back(steps.at(what, k, i));
    out.push_back(row);
  }
  return out;
}

/// Random x, global vectors where they are kept, and choices.
void fill_steps(const Trajectory<double>& steps, bool real, bool central, Numbers& number) {
  for (int k = 0; k < kSteps; ++k) {
    for (int j = 0; central && j < kGlobal; ++j) steps.global(k)[j] = number();
    for (int i = 0; i < kAgents; ++i) {
      for (int j = 0; j < kSize; ++j) steps.x(k, i)[j] = number();
      steps.at(Kept::chosen, k, i) = real ? 2 * number() : number.below(kActions);
    }
  }
}

json seen(const Trajectory<double>& steps, bool central) {
  json x = json::array();
  json global = json::array();
  for (int k = 0; k < kSteps; ++k) {
    json row = json::array();
    for (int i = 0; i < kAgents; ++i) row.push_back(list(steps.x(k, i), kSize));
    x.push_back(row);
    if (central) global.push_back(list(steps.global(k), kGlobal));
  }
  return {{"x", x}, {"global", global}};
}

/// Rows of weights without their padding, and log_std where actions are real.
json rows(const double* w, bool real, int pitch) {
  json out = json::array();
  for (int a = 0; a < (real ? 1 : kActions); ++a) out.push_back(list(w + a * pitch, kSize));
  return {{"rows", out}, {"log_std", real ? w[pitch] : 0.0}};
}

json mappo(int setting, uint64_t seed) {
  using L = Mappo<double>;
  const bool real = (setting & 1) != 0;
  L::Config config;
  config.horizon = kSteps;
  config.entropy = 0.3;
  config.shared = (setting & 2) != 0;
  config.central = (setting & 4) != 0;
  config.normalize = (setting & 4) != 0;
  config.value_clip = (setting & 2) != 0 ? 0.3 : 0.0;
  auto spec = joint_spec(kAgents, kActions, kSize, kGlobal);
  spec.real = real;
  JointSeat<L, double> seat(config, spec);
  seat.init(kAlone);
  const auto& p = seat.p;
  Numbers number(seed);
  double* const weights = L::policy_weights(p, seat.memory(), 0);
  for (int k = 0; k < p.policies * p.actor.size + p.values * p.value_size; ++k) {
    weights[k] = 0.8 * number();
  }
  const auto steps = L::trajectory(p, seat.memory());
  fill_steps(steps, real, config.central, number);
  json ends = json::array();
  for (int k = 0; k < kSteps; ++k) {
    const int end = number.below(6);
    steps.episode(k) = end == 0 ? Episode::ended : (end == 1 ? Episode::cut : Episode::goes_on);
    ends.push_back(end == 0 ? "ended" : (end == 1 ? "cut" : "goes_on"));
    for (int i = 0; i < kAgents; ++i) {
      LinearActor<double>::Policy policy;
      LinearActor<double>::at(kAlone, p.actor,
                              L::policy_weights(p, seat.memory(), config.shared ? 0 : i), i,
                              steps.x(k, i), policy);
      steps.at(Kept::log_probability, k, i) =
          policy.log_probability(steps.at(Kept::chosen, k, i)) + 0.5 * number();
      steps.at(Kept::reward, k, i) = number();
      steps.at(Kept::value, k, i) = number();
      steps.at(Kept::next, k, i) =
          steps.episode(k) == Episode::ended ? 0.0 : number();  // as learn() keeps it
    }
  }
  L::estimate(kAlone, p, steps);
  json out = {{"real", real},
              {"shared", config.shared},
              {"central", config.central},
              {"normalize", config.normalize},
              {"clip", config.clip},
              {"value_clip", config.value_clip},
              {"entropy", config.entropy},
              {"gamma", config.gamma},
              {"lambda", config.lambda},
              {"episode", ends}};
  out.update(seen(steps, config.central));
  const char* const names[] = {"chosen", "log_probability", "reward", "value",
                               "next",   "advantage",       "target"};
  for (int f = 0; f < static_cast<int>(Kept::count); ++f) {
    out[names[f]] = kept(steps, static_cast<Kept>(f), kSteps);
  }
  Room g(p.actor.size + p.value_size);
  for (int s = 0; s < p.policies; ++s) {
    const double* w = L::policy_weights(p, seat.memory(), s);
    L::policy_gradient(kAlone, p, steps, w, s, nullptr, 0, kSteps, g.data());
    out["policies"].push_back({{"weights", rows(w, real, p.actor.pitch)},
                               {"gradient", rows(g.data(), real, p.actor.pitch)}});
  }
  const int inputs = config.central ? kGlobal : kSize;
  for (int s = 0; s < p.values; ++s) {
    const double* w = L::value_weights(p, seat.memory(), s);
    L::value_gradient(kAlone, p, steps, w, s, nullptr, 0, kSteps, g.data());
    out["values"].push_back({{"weights", list(w, inputs)}, {"gradient", list(g.data(), inputs)}});
  }
  return out;
}

json coma(uint64_t seed) {
  using L = Coma<double>;
  L::Config config;
  config.horizon = kSteps;
  config.entropy = 0.2;
  JointSeat<L, double> seat(config, joint_spec(kAgents, kActions, kSize, kGlobal));
  seat.init(kAlone);
  const auto& p = seat.p;
  Numbers number(seed);
  const auto steps = L::trajectory(p, seat.memory());
  fill_steps(steps, false, true, number);
  json out = seen(steps, true);
  out["chosen"] = kept(steps, Kept::chosen, kSteps);
  out["entropy"] = config.entropy;
  Room g(p.actor.size);
  for (int i = 0; i < kAgents; ++i) {
    double* const w = L::policy_weights(p, seat.memory(), i);
    double* const q = L::critic(p, seat.memory(), i);
    for (int k = 0; k < p.actor.size; ++k) w[k] = number();
    json global = json::array();
    json joint = json::array();
    for (int a = 0; a < kActions; ++a) {
      double* const row = q + a * p.width;
      for (int k = 0; k < p.width; ++k) row[k] = number();
      global.push_back(list(row, kGlobal));
      joint.push_back(list(row + p.action_at[1 - i], kActions));
    }
    L::policy_gradient(kAlone, p, seat.memory(), w, i, g.data());
    out["agents"].push_back({{"weights", rows(w, false, p.actor.pitch)},
                             {"critic_global", global},
                             {"critic_actions", joint},
                             {"gradient", rows(g.data(), false, p.actor.pitch)}});
  }
  return out;
}

/// Scores of the policies, which actor_critic and reinforce follow.
json score(bool real, uint64_t seed) {
  LinearActor<double>::EitherConfig config;
  auto spec = joint_spec(1, kActions, kSize, 1);
  spec.real = real;
  const auto p = LinearActor<double>::make(config, spec);
  Numbers number(seed);
  Room w(p.size), x(p.pitch), g(p.size), h(p.size);
  for (int k = 0; k < p.size; ++k) w.data()[k] = number();
  for (int k = 0; k < kSize; ++k) x.data()[k] = 2 * number();
  const double chosen = real ? 2 * number() : number.below(kActions);
  LinearActor<double>::Policy policy;
  LinearActor<double>::at(kAlone, p, w.data(), 0, x.data(), policy);
  LinearActor<double>::add_gradient(kAlone, p, policy, chosen, 1.0, 0.0, x.data(), g.data());
  LinearActor<double>::add_gradient(kAlone, p, policy, chosen, 0.0, 1.0, x.data(), h.data());
  return {{"real", real},
          {"x", list(x.data(), kSize)},
          {"chosen", chosen},
          {"weights", rows(w.data(), real, p.pitch)},
          {"log_probability", policy.log_probability(chosen)},
          {"score", rows(g.data(), real, p.pitch)},
          {"entropy_gradient", rows(h.data(), real, p.pitch)}};
}

json optimizer(bool adam, double max_norm, uint64_t seed) {
  using Descent = Optimizer<double>;
  Descent::Config config;
  config.kind.value = adam ? Descent::kAdam : Descent::kSgd;
  config.max_norm = max_norm;
  const auto descent = Descent::make(config);
  Numbers number(seed);
  constexpr int kEntries = 32;
  Room w(kEntries), g(kEntries), moments(2 * kEntries);
  for (int k = 0; k < kEntries; ++k) w.data()[k] = number();
  json out = {{"adam", adam},
              {"max_norm", max_norm},
              {"alpha", 0.05},
              {"beta1", config.beta1},
              {"beta2", config.beta2},
              {"epsilon", config.epsilon},
              {"start", list(w.data(), kEntries)}};
  auto powers = descent.first();
  for (int step = 0; step < 20; ++step) {
    for (int k = 0; k < kEntries; ++k) g.data()[k] = number() * (step % 3);
    out["gradients"].push_back(list(g.data(), kEntries));
    descent.step(kAlone, 0.05, w.data(), g.data(), moments.data(), kEntries, powers, kEntries);
    powers = descent.after(powers);
    out["weights"].push_back(list(w.data(), kEntries));
  }
  return out;
}

}  // namespace
}  // namespace cumarl

int main(int argc, char** argv) {
  using namespace cumarl;
  const uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
  json out;
  for (int setting = 0; setting < 8; ++setting) {
    for (uint64_t k = 0; k < 3; ++k) {
      out["mappo"].push_back(mappo(setting, 1000 * seed + 10 * k + static_cast<uint64_t>(setting)));
    }
  }
  for (uint64_t k = 0; k < 5; ++k) {
    out["coma"].push_back(coma(1000 * seed + 100 + k));
    out["score"].push_back(score(false, 1000 * seed + 200 + k));
    out["score"].push_back(score(true, 1000 * seed + 300 + k));
  }
  for (const double max_norm : {0.0, 1.0}) {
    out["optimizer"].push_back(optimizer(true, max_norm, 1000 * seed + 400));
    out["optimizer"].push_back(optimizer(false, max_norm, 1000 * seed + 401));
  }
  std::puts(out.dump().c_str());
  return 0;
}
