/// \file
/// What stands between agents and their game in robust learning: perturbed observations, rewards
/// and actions, for every joint learner. How observations are attacked and actions replaced stands
/// in kernels/rollout/joint_perturbation.hpp, which knows the learner.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/core/fields.hpp"
#include "kernels/core/hd.hpp"
#include "kernels/core/math.hpp"
#include "kernels/core/rng.hpp"
#include "kernels/linear/basis.hpp"
#include "kernels/linear/joint_sizes.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A joint step for which something is perturbed.
struct Moment {
  RunKey key;
  uint64_t t;       ///< joint step, in training and in evaluation each counted from 0
  bool evaluating;  ///< a finished run is judged

  /// The random words of this moment. Blocks: 0 to 15 the agents' actions, 16 to 31 their rewards,
  /// from 32 on kObservationBlocks an agent its observation.
  CUMARL_HD Rng rng(uint32_t block) const {
    return {key, evaluating ? (uint64_t{1} << 47) + t : t, Stream::perturb, block};
  }
};

/// Observations: every feature z of an agent, in shares of its range, becomes
///   uniform   z + size u, u uniform in [-1, 1]
///   gaussian  z + size n, n standard normal
///   sign      z + size s, s in {-1, 0, 1} the sign in which z lowers the agent's preference for its
///             best action against its best other one
/// kept within the range. Central critics see the true state.
/// Rewards, in training only: r becomes
///   uniform   r + size u
///   gaussian  r + size n
///   bias      r - size: the worst of [r - size, r + size]
///   flip      -r with the probability reward_probability
/// Actions: with the probability action_probability, agent by agent, the game gets instead
///   random    an action drawn uniformly
///   least     the agent's least preferred one
/// and the learner is told what it had chosen: the replacement is a part of the game's transitions.
/// Source: games with perturbed states and with perturbed models: Zhou, Liu, Tang, arXiv:2305.10091,
/// section on safety and robustness; sign: Goodfellow, Shlens, Szegedy, ICLR 2015, on policies Huang
/// et al. 2017 and Lin et al., "On the robustness of cooperative multi-agent reinforcement
/// learning", 2020; rewards: Wang, Liu, Li, AAAI 2020 (flip), Zhang et al., "Robust multi-agent
/// reinforcement learning with model uncertainty", NeurIPS 2020 (bias); actions: Tessler, Efroni,
/// Mannor, ICML 2019, definition 1. Deviation: the sign is that of a central difference over twice
/// `size`, which needs no derivative of basis functions, and the margin between two actions stands
/// for the loss; the worst action is the agent's least preferred one, not an adversary's that learns.
struct Perturbation {
  enum Observation : int32_t { kTrue, kUniform, kGaussian, kSign };
  enum Reward : int32_t { kPaid, kUniformReward, kGaussianReward, kBias, kFlip };
  enum Action : int32_t { kChosen, kRandom, kLeast };
  enum When : int32_t { kTraining, kEvaluation, kAlways };
  static constexpr uint32_t kRewardBlock = 16;
  static constexpr uint32_t kObservationBlock = 32;
  static constexpr uint32_t kObservationBlocks = 254;  ///< (4096 - 32) / 16
  static constexpr int kMaxFeatures = 4 * 254;         ///< of one agent, one word each

  struct Config {
    Choice observation{kTrue};
    double observation_size = 0.1;
    Choice reward{kPaid};
    double reward_size = 0.1;
    double reward_probability = 0.1;
    Choice action{kChosen};
    double action_probability = 0.1;
    Choice when{kTraining};

    void fields(FieldVisitor& v) {
      v.choice(
          "perturb.observation", observation, {"none", "uniform", "gaussian", "sign"},
          "noise on features, or sign: the step that most lowers the agent's preference for its "
          "best action");
      v("perturb.observation_size", observation_size, Bounds{0, 1}, "range of the feature",
        "greatest noise, or its standard deviation");
      v.choice("perturb.reward", reward, {"none", "uniform", "gaussian", "bias", "flip"},
               "noise on rewards in training; bias: less reward_size; flip: the sign changes with "
               "reward_probability");
      v("perturb.reward_size", reward_size, Bounds{0, 1e9}, "reward",
        "greatest noise, its standard deviation, or the bias");
      v("perturb.reward_probability", reward_probability, Bounds{0, 1}, "", "of a flip");
      v.choice("perturb.action", action, {"none", "random", "least"},
               "what is played instead of an agent's choice: a random action, or its least "
               "preferred one");
      v("perturb.action_probability", action_probability, Bounds{0, 1}, "",
        "of a replacement, a joint step and agent");
      v.choice("perturb.when", when, {"training", "evaluation", "always"},
               "when observations and actions are perturbed");
    }
  };

  int32_t observation;  ///< an Observation
  int32_t reward;       ///< a Reward
  int32_t action;       ///< an Action
  bool training, evaluation;
  float observation_size;
  double reward_size, reward_probability, action_probability;
  double low[kMaxJointAgents];  ///< of real actions
  double high[kMaxJointAgents];

  /// `prefers`: the learner has preferences among its actions (AnyJointOf::preferences). Throws
  /// ParameterError.
  static Perturbation make(const Config& c, bool one_hot, int most_features, bool prefers) {
    Perturbation p{};
    p.observation = c.observation.value;
    p.reward = c.reward.value;
    p.action = c.action.value;
    p.training = c.when.value != kEvaluation;
    p.evaluation = c.when.value != kTraining;
    p.observation_size = static_cast<float>(c.observation_size);
    p.reward_size = c.reward_size;
    p.reward_probability = c.reward_probability;
    p.action_probability = c.action_probability;
    if (p.observation != kTrue && one_hot) {
      throw ParameterError("perturb.observation",
                           "moves features: with features.kind = \"one_hot\" there are none");
    }
    if ((p.observation == kUniform || p.observation == kGaussian) && most_features > kMaxFeatures) {
      throw ParameterError("perturb.observation", "takes up to " + std::to_string(kMaxFeatures) +
                                                      " features of an agent, not " +
                                                      std::to_string(most_features));
    }
    const char* const needed =
        "needs numbered actions and a learner that orders them beyond its best one";
    if (p.observation == kSign && !prefers) {
      throw ParameterError("perturb.observation", std::string("\"sign\" ") + needed);
    }
    if (p.action == kLeast && !prefers) {
      throw ParameterError("perturb.action", std::string("\"least\" ") + needed);
    }
    return p;
  }

  /// Whether observations and actions are perturbed at a moment.
  CUMARL_HD bool applies(const Moment& at) const { return at.evaluating ? evaluation : training; }
  CUMARL_HD bool blurs(const Moment& at) const { return observation != kTrue && applies(at); }
  CUMARL_HD bool attacks(const Moment& at) const { return observation == kSign && applies(at); }
  CUMARL_HD bool replaces(const Moment& at) const { return action != kChosen && applies(at); }
  /// Whether evaluated play has chance moves of these perturbations.
  CUMARL_HD bool unsettles() const {
    return evaluation && (observation != kTrue || action != kChosen);
  }

  /// Puts noise on an agent's features `raw` [basis.inputs].
  CUMARL_HD void add_noise(const Moment& at, int agent, const Basis& basis, float* raw) const {
    Rng rng = at.rng(kObservationBlock + kObservationBlocks * static_cast<uint32_t>(agent));
    for (int k = 0; k < basis.inputs; ++k) {
      const uint32_t word = rng.word();
      raw[k] = basis.moved(k, raw[k],
                           observation_size * (observation == kGaussian
                                                   ? static_cast<float>(normal_draw(word))
                                                   : 2.0F * unit_float(word) - 1.0F));
    }
  }

  /// What agent i takes for its reward.
  CUMARL_HD float misread(const Moment& at, int agent, float paid) const {
    if (reward == kPaid) return paid;
    if (reward == kBias) return static_cast<float>(static_cast<double>(paid) - reward_size);
    const uint32_t word = at.rng(kRewardBlock + static_cast<uint32_t>(agent)).word();
    if (reward == kFlip) return unit_double(word) < reward_probability ? -paid : paid;
    const double noise =
        reward == kGaussianReward ? normal_draw(word) : 2.0 * unit_double(word) - 1.0;
    return static_cast<float>(static_cast<double>(paid) + reward_size * noise);
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
