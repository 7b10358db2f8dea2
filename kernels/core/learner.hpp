/// \file
/// What every learner states about itself, and the words the rollout and it share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/core/arena.hpp"
#include "kernels/core/env.hpp"
#include "kernels/core/fields.hpp"
#include "kernels/core/hd.hpp"

namespace cumarl {

/// What a learner has to be told of the game, beyond its own observation, action and reward.
enum class Sees : uint8_t {
  own,      ///< nothing more
  actions,  ///< everybody's actions
  joint,    ///< everybody's actions and rewards; all agents must have the same observation
  game,     ///< the payoff table, and everybody's strategies where it asks for them
};

/// Shown by `cumarl list` and `cumarl describe`.
struct LearnerFacts {
  const char* name;    ///< the name in config files
  const char* title;   ///< one line
  const char* source;  ///< paper, equation; any deviation from it
  Sees sees = Sees::own;
};

/// Agents and actions, where they are known at compile time and decide what stays in registers;
/// 0 means "known at run time".
template <int Agents, int Actions>
struct Shape {
  static constexpr int kAgents = Agents;
  static constexpr int kActions = Actions;
};
using AnyShape = Shape<0, 0>;

/// The shapes that an environment wants compiled besides AnyShape.
template <class... Shapes>
struct ShapeList {};

/// How a table starts. `automatic` is the environment's custom (InitialValues::custom).
enum class InitKind : int32_t {
  automatic = 0,
  constant,      ///< one value everywhere
  uniform,       ///< independent draws from [low, high)
  expected,      ///< own payoff against uniformly random rivals for ever
  fixed_rivals,  ///< everybody plays one action for ever, but for the own one of this period
  grim_trigger,  ///< everybody plays grim trigger from the next period on
  trained,       ///< the final tables of another experiment
};

struct InitConfig {
  Choice kind{static_cast<int>(InitKind::automatic)};
  double value = 0.0;
  double low = 0.0;
  double high = 0.0;
  int action = -1;
  int cooperate = -1;
  int punish = -1;
  std::string from;

  void fields(FieldVisitor& v) {
    v.choice("init.kind", kind,
             {"auto", "constant", "uniform", "expected", "fixed_rivals", "grim_trigger", "trained"},
             "initial table; auto: expected for pricing, constant elsewhere");
    v("init.value", value, Bounds{-1e12, 1e12}, "return", "constant: every entry");
    v("init.low", low, Bounds{-1e12, 1e12}, "return", "uniform: lower end");
    v("init.high", high, Bounds{-1e12, 1e12}, "return", "uniform: upper end");
    v("init.action", action, Bounds{-1, 1e6}, "action",
      "fixed_rivals: what everybody plays (-1: the grid's nearest to Nash)");
    v("init.cooperate", cooperate, Bounds{-1, 1e6}, "action",
      "grim_trigger: the agreed action (-1: the grid's nearest to monopoly)");
    v("init.punish", punish, Bounds{-1, 1e6}, "action",
      "grim_trigger: the punishment (-1: the grid's nearest to Nash)");
    v("init.from", from, "trained: folder of a finished experiment with saved tables");
  }
};

/// What a learner is told of its place in the environment when its parameters are made.
struct AgentSpec {
  int agent;
  int agents;
  int actions;
  uint32_t observations;  ///< size of the tabular index; 0 if the environment has none
  double reward_low;      ///< bounds of a step's reward
  double reward_high;
  /// Initial values [runs][observations][actions] with runs = 1 (or the number of trained runs),
  /// or [actions] when `initial_per_action`; empty for constant and uniform.
  const std::vector<double>* initial;
  bool initial_per_action;
  uint64_t initial_runs;
  InitConfig init;         ///< with `automatic` resolved
  const int* all_actions;  ///< [agents] numbers of actions
  /// Expected payoffs [joint action][agents] of a game that has one table of them, agent 0's action
  /// the highest digit of the joint action; else null.
  const std::vector<double>* game;
  std::vector<int> neighbours;  ///< whom a mean-field learner averages over: all others by default
  int64_t waiting = -1;         ///< observation that stands for "not my turn"; -1: there is none
};

/// Strategies that Sees::game learners are shown, [agents][kStrategyPitch].
inline constexpr int kStrategyPitch = 16;

/// What a learner wants to do at a step before it has seen its memory. For epsilon-greedy the action
/// is (greedy & keep) | forced; else `forced` carries a random word.
struct Decision {
  uint32_t keep;
  uint32_t forced;
};

/// A list of types.
template <class... Ls>
struct LearnerList {};

/// What a learner sees of a step besides its own cursors.
struct Transition {
  const int* actions;    ///< [agents]
  const float* rewards;  ///< [agents]
  int agent;
  int agents;
  Episode episode;
  uint64_t t;  ///< the joint step this was
  RunKey key;  ///< for draws of its own: see own_word
  /// The strategies that were played, [agents][kStrategyPitch], for Sees::game learners in games of
  /// up to kStrategyPitch actions and agents; else null.
  const double* strategies;
};

}  // namespace cumarl
