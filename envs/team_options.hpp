/// \file
/// Options that gridworlds of every kind offer: shared rewards, messages, agent numbers.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The options of a game of up to `most` agents (16 at most), as kernels read them. An
/// environment's Params and Config derive from TeamOptions and TeamOptions::Config.
///
/// With messages, action a of the game and message m are the action a * messages + m. In features
/// and table indices the options come last: what each other agent sent in the last step, in agent
/// order, then the own number; one-hot, and digits in base `messages` and `agents`.
template <int most>
struct TeamOptions {
  static constexpr int kMaxMessages = 16;

  /// Who gets what the game pays. The sum over the agents is the same with all of them.
  enum RewardRule {
    kIndividual,  ///< each its own
    kShared,      ///< each the mean
    kMixed,       ///< (1 - mix) of its own, mix of the mean
  };

  /// Four bits an agent: its last message.
  using Messages = std::conditional_t<(most <= 8), uint32_t, uint64_t>;

  struct Config {
    Choice rewards{kIndividual};
    double mix = 0.5;
    int messages = 1;
    bool agent_ids = false;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v.choice("rewards", c.rewards, {"individual", "shared", "mixed"},
             "who gets what the game pays: each its own, all the mean, or a mixture");
    v("mix", c.mix, Bounds{0, 1}, "", "weight of the mean in mixed rewards");
    v("messages", c.messages, Bounds{1, kMaxMessages}, "",
      "messages to choose from; above 1 action a of the game and message m are action "
      "a * messages + m");
    v("agent_ids", c.agent_ids, "agents see their own number");
  }

  int32_t messages;
  bool agent_ids;
  double mix;  ///< weight of the mean reward

  /// Checks the options of a game of n agents. Throws ParameterError.
  static TeamOptions make(const Config& c, int n) {
    if (c.rewards.value < kIndividual || c.rewards.value > kMixed) {
      throw ParameterError("rewards", "is " + std::to_string(c.rewards.value) +
                                          ", allowed are 0 to " + std::to_string(kMixed));
    }
    if (!(c.mix >= 0 && c.mix <= 1)) {
      throw ParameterError("mix", "is " + std::to_string(c.mix) + ", allowed are 0 to 1");
    }
    const int messages = n > 1 ? kMaxMessages : 1;
    if (c.messages < 1 || c.messages > messages) {
      throw ParameterError("messages", "is " + std::to_string(c.messages) + ", allowed are 1 to " +
                                           std::to_string(messages) +
                                           (n > 1 ? "" : ": there is nobody else to read them"));
    }
    const bool own = c.rewards.value == kIndividual;
    return {c.messages, c.agent_ids, c.rewards.value == kShared ? 1.0 : (own ? 0.0 : c.mix)};
  }

  /// Table indices of a game that has `count` itself; 0 where they exceed `limit`. Host.
  uint32_t indices(uint64_t count, int n, uint64_t limit) const {
    for (int i = 1; i < n && count <= limit; ++i) count *= static_cast<uint64_t>(messages);
    if (agent_ids) count *= static_cast<uint64_t>(n);
    return count <= limit ? static_cast<uint32_t>(count) : 0;
  }

  /// The game's own index with the digits of the options.
  CUMARL_HD uint32_t index(uint32_t own, Messages sent, int n, int agent) const {
    if (messages > 1) {
      for (int i = 0; i < n; ++i) {
        if (i != agent) own = own * static_cast<uint32_t>(messages) + message(sent, i);
      }
    }
    return agent_ids ? own * static_cast<uint32_t>(n) + static_cast<uint32_t>(agent) : own;
  }

  /// How many features the options add.
  CUMARL_HD int features(int n) const {
    return (messages > 1 ? (n - 1) * messages : 0) + (agent_ids ? n : 0);
  }

  /// Writes them; returns where the next begin.
  CUMARL_HD float* observe(Messages sent, int n, int agent, float* out) const {
    if (messages > 1) {
      for (int i = 0; i < n; ++i) {
        if (i != agent) out = put_message(sent, i, out);
      }
    }
    if (agent_ids) {
      for (int i = 0; i < n; ++i) *out++ = i == agent ? 1.0F : 0.0F;
    }
    return out;
  }

  /// Takes actions apart: the game's go to `plain`, the messages are returned. Pre: messages > 1.
  CUMARL_HD Messages split(int n, const int* actions, int* plain) const {
    Messages sent = 0;
    for (int i = 0; i < n; ++i) {
      plain[i] = actions[i] / messages;
      const auto said = static_cast<uint32_t>(actions[i] - plain[i] * messages);
      sent |= static_cast<Messages>(said) << (4 * i);
    }
    return sent;
  }

  /// Moves each reward towards the mean. In double, so that the result lies between the lowest and
  /// the highest reward as a float.
  CUMARL_HD void share(int n, float* rewards) const {
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += static_cast<double>(rewards[i]);
    const double mean = sum / n;
    for (int i = 0; i < n; ++i) {
      rewards[i] = static_cast<float>((1.0 - mix) * static_cast<double>(rewards[i]) + mix * mean);
    }
  }

  /// With messages, shows the last one of each agent as "messages". Throws ParameterError.
  void state_fields(StateVisitor& v, int n, Messages& sent) const {
    if (messages == 1) return;
    int64_t last[most] = {};
    for (int i = 0; i < n; ++i) last[i] = message(sent, i);
    v("messages", last, n);
    sent = 0;
    for (int i = 0; i < n; ++i) {
      if (last[i] < 0 || last[i] >= messages) {
        throw ParameterError("messages", "there is no such message");
      }
      sent |= static_cast<Messages>(last[i]) << (4 * i);
    }
  }

  CUMARL_HD static uint32_t message(Messages sent, int i) {
    return static_cast<uint32_t>(sent >> (4 * i)) & 15;
  }
  /// One-hot, what agent i sent; returns where the next begins.
  CUMARL_HD float* put_message(Messages sent, int i, float* out) const {
    const auto last = static_cast<int>(message(sent, i));
    for (int m = 0; m < messages; ++m) *out++ = m == last ? 1.0F : 0.0F;
    return out;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
