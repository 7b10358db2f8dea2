/// \file
/// What tests of environments with a state of their own share: states as named lists, policies
/// written by hand, measures by name.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "kernels/core/env.hpp"
#include "kernels/core/outcome.hpp"
#include "kernels/rollout/launch_args.hpp"

namespace cumarl::test {

using Words = std::map<std::string, std::vector<int64_t>>;

/// Takes a state's lists, or puts the given ones in.
class StateWords final : public StateVisitor {
 public:
  StateWords() = default;
  explicit StateWords(Words given) : words(std::move(given)), writes_(true) {}
  void operator()(const char* key, int64_t* values, int count) override {
    if (!writes_) {
      words[key].assign(values, values + count);
    } else if (words.count(key) > 0) {
      ASSERT_EQ(words[key].size(), static_cast<size_t>(count)) << key;
      std::copy(words[key].begin(), words[key].end(), values);
    }
  }
  Words words;

 private:
  bool writes_ = false;
};

/// Collects measures; those of agents as "name_agent0".
struct Measures {
  std::map<std::string, double> values;
  std::vector<std::string> names;
  void metric(const char* name, double value, int agent = -1) {
    put(agent < 0 ? name : std::string(name) + "_agent" + std::to_string(agent), value);
  }
  void share(const char* name, uint64_t label, Label = Label::number) {
    put(name, static_cast<double>(label));
  }
  void curve(const char* name, int point, double value) {
    put(std::string(name) + "[" + std::to_string(point) + "]", value);
  }
  double at(const std::string& name) const {
    const auto found = values.find(name);
    EXPECT_NE(found, values.end()) << name;
    return found == values.end() ? -1e300 : found->second;
  }

 private:
  void put(const std::string& name, double value) {
    EXPECT_EQ(values.count(name), 0U) << name;
    values[name] = value;
    names.push_back(name);
  }
};

/// A policy written by hand: choose(p, s, agent) is the action as a number, played by step_real;
/// or, where the environment has only numbered actions, the action.
template <class Env, class Choose>
class HandPolicy {
 public:
  HandPolicy(Choose choose, uint32_t episodes, uint32_t steps, RunKey key)
      : choose_(choose), evaluation_{episodes, steps, 0}, key_(key) {}
  const Evaluation& evaluation() const { return evaluation_; }
  RunKey key() const { return key_; }
  Episode play(const typename Env::Params& p, typename Env::State& s, double* values,
               float* rewards, uint64_t t) const {
    int actions[Env::kMaxAgents] = {};
    for (int i = 0; i < Env::agents(p); ++i) {
      values[i] = choose_(p, s, i);
      actions[i] = static_cast<int>(values[i]);
    }
    Rng chance(key_, (uint64_t{2} << 32) + t, Stream::evaluate);
    if constexpr (requires { Env::step_real(p, s, values, rewards, chance); }) {
      return Env::step_real(p, s, values, rewards, chance);
    } else {
      return Env::step(p, s, actions, rewards, chance);
    }
  }

 private:
  Choose choose_;
  Evaluation evaluation_;
  RunKey key_;
};

/// An environment with its memory, at a state drawn by seed 1, run 0.
template <class Env>
struct World {
  explicit World(const typename Env::Config& c = {}) : params(Env::make(c, arena)) { reset(0); }
  void reset(uint64_t t) {
    Rng rng({1, 0}, t, Stream::reset);
    state = typename Env::State{};
    Env::reset(params, state, rng);
  }
  Words words() {
    StateWords reader;
    Env::state_fields(reader, params, state);
    return reader.words;
  }
  /// Puts lists into the state; those not named stay.
  void set(const Words& words) {
    StateWords writer(words);
    Env::state_fields(writer, params, state);
  }
  Episode step(const std::vector<int>& actions, uint64_t t = 0) {
    int all[Env::kMaxAgents] = {};
    std::copy(actions.begin(), actions.end(), all);
    Rng rng({1, 0}, t, Stream::dynamics);
    return Env::step(params, state, all, rewards, rng);
  }
  Episode step_real(const std::vector<double>& actions, uint64_t t = 0) {
    double all[Env::kMaxAgents] = {};
    std::copy(actions.begin(), actions.end(), all);
    Rng rng({1, 0}, t, Stream::dynamics);
    return Env::step_real(params, state, all, rewards, rng);
  }
  std::vector<float> observe(int agent) const {
    std::vector<float> out(static_cast<size_t>(Env::features(params, agent)));
    Env::observe(params, state, agent, out.data());
    return out;
  }
  template <class Choose>
  Measures evaluate(Choose choose, uint32_t episodes = 10, uint32_t steps = 1000) const {
    Measures sink;
    const HandPolicy<Env, Choose> policy(choose, episodes, steps, {1, 0});
    Env::evaluate(params, state, policy, RunFacts{1, 0, true}, sink);
    return sink;
  }

  HostArena arena;
  typename Env::Params params;
  typename Env::State state{};
  float rewards[Env::kMaxAgents] = {};
};

/// Random play: what every environment promises. Rewards stay within reward_bounds, features within
/// feature_range, indices below their number; a state that is shown and read back is the same, to
/// the byte, and goes on the same way; equal draws give equal steps; `step` is `step_real` of
/// action_value.
template <class Env>
void check_contract(const typename Env::Config& config, int steps = 2000) {
  World<Env> world(config);
  const auto& p = world.params;
  const int n = Env::agents(p);
  const Bounds bounds = Env::reward_bounds(p);
  for (int t = 0; t < steps; ++t) {
    Rng choice({7, 7}, static_cast<uint64_t>(t), Stream::explore);
    std::vector<int> actions;
    for (int i = 0; i < n; ++i) {
      const auto count = static_cast<uint32_t>(Env::actions(p, i));
      actions.push_back(static_cast<int>(choice.below(count)));
      const uint32_t observations = Env::observations(p, i);
      if (observations > 0) {
        ASSERT_LT(Env::observe_index(p, world.state, i), observations);
      }
      const std::vector<float> seen = world.observe(i);
      for (size_t k = 0; k < seen.size(); ++k) {
        const Bounds range = Env::feature_range(p, i, static_cast<int>(k));
        ASSERT_GE(double{seen[k]}, range.min - 1e-5) << "feature " << k << " at step " << t;
        ASSERT_LE(double{seen[k]}, range.max * (1 + 1e-6) + 1e-5) << "feature " << k;
      }
    }
    World<Env> twin(config);
    twin.set(world.words());
    ASSERT_EQ(twin.words(), world.words());
    ASSERT_EQ(std::memcmp(&twin.state, &world.state, sizeof(world.state)), 0) << "step " << t;
    const Episode episode = world.step(actions, static_cast<uint64_t>(t));
    if constexpr (requires { Env::action_value(p, 0, 0); }) {
      std::vector<double> values;
      for (int i = 0; i < n; ++i) {
        const double value = Env::action_value(p, i, actions[static_cast<size_t>(i)]);
        const Bounds range = Env::action_range(p, i);
        ASSERT_GE(value, range.min);
        ASSERT_LE(value, range.max);
        values.push_back(value);
      }
      ASSERT_EQ(twin.step_real(values, static_cast<uint64_t>(t)), episode);
    } else {
      ASSERT_EQ(twin.step(actions, static_cast<uint64_t>(t)), episode);
    }
    ASSERT_EQ(twin.words(), world.words()) << "step " << t;
    for (int i = 0; i < n; ++i) {
      ASSERT_EQ(twin.rewards[i], world.rewards[i]);
      ASSERT_GE(double{world.rewards[i]}, bounds.min - 1e-4) << "step " << t;
      ASSERT_LE(double{world.rewards[i]}, bounds.max * (1 + 1e-6) + 1e-4) << "step " << t;
    }
    if (episode != Episode::goes_on) world.reset(static_cast<uint64_t>(t) + 1);
  }
}

}  // namespace cumarl::test
