/// \file
/// Learners of all agents of a run together, who see features: how linear approximators and
/// whatever learns centrally plug into the rollout (kernels/rollout/joint_rollout.hpp).
///
/// A joint learner (kind `joint` in learners.def) is a template <class Real> struct, compiled for
/// float and double, with
///   kFacts                               name, title, source
///   kActs                                Acts: whether it chooses numbered or real actions
///   kGreedy                              whether its evaluated policy is deterministic
///   kLearns                              false where it never learns; optional
///   kSeesGlobal                          false where it never reads Seen::global, which is then
///                                        not made; optional
///   kSeesAny                             true where it asks Seen::any for x, and never Seen::agent:
///                                        it can be shown the columns of ones alone; optional
///   Config                               derives from JointConfig; fields(v, c) calls c.fields(v)
///   Params, make(c, spec, arena)         checked and ready for the device, up to
///                                        JointParams::kLearnerBytes; throws ParameterError
///   bytes(p)                             of its memory in one run
///   init(team, p, memory, key)
///   act(team, p, memory, seen, words, t, out)    joint action of step t; words [agents] random
///   learn(team, p, memory, from, to, step)       after it; returns the agent whose weights are no
///                                                numbers any more, or -1
///   policy(team, p, memory, seen, agent, out)    the evaluated policy: probabilities [actions], or
///                                                out[0] the real action
///   preferences(team, p, memory, seen, agent, out)   optional: numbers [actions], the greater the
///                                                better liked. Without it the logarithms of the
///                                                policy's probabilities, where kGreedy is false
///   begin(team, p, memory)               optional: an evaluated episode begins; policies with a
///                                        memory are asked once a step and agent from then on
/// all static, host and device but for fields and make, the functions with `team` templates over
/// it. Memory is 64-byte aligned and zero before init. What a lane writes for the others to read
/// needs a team.sync() between; values that all lanes compute alike need none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/core/arena.hpp"
#include "kernels/core/env.hpp"
#include "kernels/core/learner.hpp"
#include "kernels/core/team.hpp"
#include "kernels/linear/basis.hpp"
#include "kernels/linear/constraint.hpp"
#include "kernels/linear/joint_sizes.hpp"
#include "kernels/linear/perturbation.hpp"

namespace cumarl {

/// What a joint learner chooses.
enum class Acts : uint8_t {
  numbered,  ///< one of `actions` actions
  real,      ///< a number in [low, high]
  either,    ///< real ones where the environment has them and `continuous` is set, else numbered
};

/// A joint action. Where actions are numbered `value` is not used, else `action` is not.
struct JointAction {
  int32_t action[kMaxJointAgents];
  double value[kMaxJointAgents];
};

/// What a joint learner is told of the environment when its parameters are made.
struct JointSpec {
  int agents;
  bool real;                     ///< real actions are asked for
  int actions[kMaxJointAgents];  ///< numbers of actions (numbered)
  double low[kMaxJointAgents];   ///< bounds of real actions
  double high[kMaxJointAgents];
  int size[kMaxJointAgents];           ///< entries of an agent's x
  int pitch;                           ///< columns of every agent's x
  int global_size, global_pitch;       ///< of the global state's vector
  double reward_low, reward_high;      ///< of one agent's reward in a step
  std::vector<std::string>* warnings;  ///< for the user: settings that are allowed but unwise
};

/// The settings of a joint learner, and which it is.
struct JointChoice {
  int kind;
  std::shared_ptr<const void> config;
};

/// What an environment states of itself to joint learners.
struct JointEnv {
  int agents = 0;
  bool has_real = false;
  bool has_costs = false;
  bool endless = false;      ///< there are no episodes
  bool shared_view = false;  ///< all agents are shown the same features and table index
  std::vector<int> actions;
  std::vector<Bounds> action_range;           ///< where it has real actions
  std::vector<std::vector<Bounds>> features;  ///< ranges of every agent's features
  std::vector<uint32_t> observations;         ///< numbers of table indices
  std::vector<Bounds> global;                 ///< ranges of the global features
  Bounds reward;
  std::vector<std::string>* warnings = nullptr;
};

}  // namespace cumarl

namespace cumarl::inline CUMARL_VARIANT {

/// What a joint learner sees: x of every agent, and of the global state. Where all agents see the
/// same x there is one, and the pitch is 0.
template <class Real>
struct Seen {
  const Real* x;  ///< [agents][pitch]; not there where the ones are
  int pitch;
  const Real* global;             ///< [global_pitch]
  const int32_t* ones = nullptr;  ///< [agents][ones_pitch]: columns of x that are one; null: see x
  int ones_pitch = 0;
  const int32_t* counts = nullptr;  ///< [agents]: how many these are

  /// Pre: all entries are there, which they always are for learners without kSeesAny.
  CUMARL_HD const Real* agent(int i) const { return x + i * pitch; }
  CUMARL_HD AnyVector<Real> any(int i) const {
    if (ones == nullptr) return {agent(i), nullptr, 0};
    return {nullptr, ones + i * ones_pitch, counts[i]};
  }
};

/// A joint step that was taken.
struct JointStep {
  const JointAction* actions;
  const float* rewards;  ///< [agents]
  Episode episode;
  uint64_t t;
  RunKey key;  ///< for draws: Rng(key, t, Stream::learn, block)
};

/// Settings that all joint learners have.
struct JointConfig {
  Choice precision{0};
  Basis::Config features;
  Constraint::Config constraint;
  Perturbation::Config perturb;

  void fields(FieldVisitor& v) {
    v.choice("precision", precision, {"float32", "float64"}, "of weights and arithmetic");
    features.fields(v);
    constraint.fields(v);
    perturb.fields(v);
  }
};

/// Ready for the device.
struct JointParams {
  static constexpr int kLearnerBytes = 6144;
  int32_t kind;
  int32_t agents;
  int32_t pitch, global_pitch;
  int32_t raw_pitch, raw_global;  ///< floats of an agent's features, of the global ones
  bool float64, real, greedy;
  bool skips_global;  ///< the global features are not made: the learner does not read them
  bool sparse;        ///< agents' x are given by the columns of their ones
  int32_t views;      ///< x that are made: one where all agents are shown the same, else `agents`
  double gamma;

  /// Whether the features of agent i at the place for raw ones are read by anyone.
  CUMARL_HD bool reads_raw(int i) const {
    return !skips_global || (i < views && basis[i].kind != Basis::kOneHot);
  }
  uint64_t raw_at, x_at, learner_at, bytes;  ///< where things are in a run's memory
  /// Bytes of each of the two places for what is seen, and of the agents' part, which comes first.
  uint64_t place_bytes, agents_bytes;
  uint64_t moved_at;   ///< attacked features, float [agents][raw_pitch], where they are attacked
  uint64_t ledger_at;  ///< Constraint::Ledger, where costs are limited
  Constraint constraint;
  Perturbation perturb;
  int32_t actions[kMaxJointAgents];
  int32_t ones[kMaxJointAgents];  ///< where x is sparse
  int32_t ones_pitch;             ///< the most of them
  Basis basis[kMaxJointAgents];
  Basis global;
  alignas(16) std::byte learner[kLearnerBytes];
};

/// The first bytes of a joint learner's memory.
struct JointHead {
  int32_t diverged;  ///< the agent whose weights are no numbers any more, or -1
  /// 1 + the place of what is seen now, where observations are attacked: an attack depends on the
  /// weights of its moment, so that what is seen has to be kept between launches. 0: nothing yet.
  int32_t shown;
};

/// Any registered joint learner, for a team of lanes. Compiled once an instruction set and once for
/// CUDA (any_joint_impl.hpp). `which`: the one of two places for what is seen.
template <class Team>
struct AnyJointOf {
  CUMARL_HD static void init(const Team& team, const JointParams& p, std::byte* memory, RunKey key);
  /// Takes in what the environment wrote to the place for raw features; `index` [agents].
  CUMARL_HD static void see(const Team& team, const JointParams& p, std::byte* memory,
                            const uint32_t* index, int which);
  CUMARL_HD static void act(const Team& team, const JointParams& p, std::byte* memory, int which,
                            const uint32_t* words, uint64_t t, JointAction& out);
  /// Learns from the step between the places `from` and 1 - from.
  CUMARL_HD static void learn(const Team& team, const JointParams& p, std::byte* memory, int from,
                              const JointStep& step);
  /// see() in place 1 - from, learn(), and where `words` are given and no weights diverged, act()
  /// at the next step: one call instead of three. `out` may be what step.actions points to. Returns
  /// whether it acted.
  CUMARL_HD static bool turn(const Team& team, const JointParams& p, std::byte* memory,
                             const uint32_t* index, int from, const JointStep& step,
                             const uint32_t* words, JointAction& out);
  /// An evaluated episode begins.
  CUMARL_HD static void begin(const Team& team, const JointParams& p, std::byte* memory);
  CUMARL_HD static void policy(const Team& team, const JointParams& p, std::byte* memory, int which,
                               int agent, double* out);
  /// How well an agent likes its actions [actions]: values, or logarithms of probabilities. Pre: the
  /// learner has_preferences.
  CUMARL_HD static void preferences(const Team& team, const JointParams& p, std::byte* memory,
                                    int which, int agent, double* out);
};

/// Whether a learner reads the global features.
template <class L>
constexpr bool sees_global() {
  if constexpr (requires { L::kSeesGlobal; }) {
    return L::kSeesGlobal;
  } else {
    return true;
  }
}

/// Whether a learner can be shown the columns of ones alone.
template <class L>
constexpr bool sees_any() {
  if constexpr (requires { L::kSeesAny; }) {
    return L::kSeesAny;
  } else {
    return false;
  }
}

/// Whether a learner states how it likes each of its numbered actions.
template <class L>
constexpr bool has_preferences() {
  return requires { &L::template preferences<SerialTeam>; }
  || !L::kGreedy;
}

}  // namespace cumarl::inline CUMARL_VARIANT
