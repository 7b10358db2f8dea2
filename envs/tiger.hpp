/// \file
/// The tiger problem, for one agent and for two.
#pragma once

#include <cstdint>
#include <string>

#include "envs/belief.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A tiger is behind one of two doors, a treasure behind the other; either is as likely. An agent
/// opens a door or listens. If all listen, each hears the tiger on the side where it is with
/// probability `accuracy`, independently. When any door has been opened, the tiger is put behind
/// a door anew, either as likely, and what the agents hear then tells nothing.
///
/// Rewards, with two agents paid in full to both:
///
///     one agent                   two agents
///     listens             -1      both listen                              -2
///     opens the treasure  10      both open the treasure                   20
///     opens the tiger   -100      both open the tiger                     -50
///                                 they open different doors              -100
///                                 one opens the treasure, one listens       9
///                                 one opens the tiger, one listens       -101
///
/// Source: one agent: Kaelbling, Littman and Cassandra, "Planning and acting in partially
/// observable stochastic domains", Artificial Intelligence 101, 1998, section 5. Two agents: Nair,
/// Tambe, Yokoo, Pynadath and Marsella, "Taming decentralized POMDPs", IJCAI 2003, as in the
/// problem file dectiger.dpomdp of the MADP toolbox. Deviation: the wrapper makes the joint
/// actions public; in the source of the two-agent problem they are not observed.
struct TigerProblem {
  static constexpr EnvFacts kFacts{
      "tiger",
      "Tiger behind one of two doors, one or two agents",
      "Kaelbling, Littman and Cassandra, AIJ 1998; Nair et al., IJCAI 2003",
      Family::gridworld,
      "0 open left, 1 open right, 2 listen",
      "the belief (tiger left, tiger right), or the last symbol: 0 heard left, 1 heard right",
      "players = 2\n"};
  static constexpr int kMaxAgents = 2;
  static constexpr int kMaxHidden = 2;
  static constexpr int kMaxSteps = 50;
  enum Action : int { kOpenLeft, kOpenRight, kListen };

  struct Config {
    int players = 2;
    double accuracy = 0.85;
    bool until_opened = false;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("players", c.players, Bounds{1, kMaxAgents}, "", "number of agents");
    v("accuracy", c.accuracy, Bounds{0.5, 1}, "",
      "probability that listening tells the tiger's side");
    v("until_opened", c.until_opened,
      "the first opened door ends the episode; false: the problem begins anew");
  }

  struct Params {
    int32_t agents;
    double accuracy;
    bool until_opened;
  };
  /// Checks the configuration. Throws ParameterError.
  static Params make(const Config& c, Arena&) {
    if (c.players < 1 || c.players > kMaxAgents) {
      throw ParameterError("players", "is " + std::to_string(c.players) + ", allowed are 1 and 2");
    }
    if (!(c.accuracy >= 0.5 && c.accuracy <= 1)) {
      throw ParameterError("accuracy",
                           "is " + std::to_string(c.accuracy) + ", allowed are 0.5 to 1");
    }
    return {c.players, c.accuracy, c.until_opened};
  }

  CUMARL_HD static int agents(const Params& p) { return p.agents; }
  CUMARL_HD static int hidden(const Params&) { return 2; }
  CUMARL_HD static int actions(const Params&, int) { return 3; }
  CUMARL_HD static int symbols(const Params&, int) { return 2; }

  /// Hidden state 0: the tiger is left, 1: right.
  CUMARL_HD static double initial(const Params&, int) { return 0.5; }

  CUMARL_HD static double transition(const Params& p, int s, const int* actions, int next) {
    if (!all_listen(p, actions)) return 0.5;
    return s == next ? 1.0 : 0.0;
  }

  CUMARL_HD static double emission(const Params& p, int, int next, const int* actions, int symbol) {
    if (!all_listen(p, actions)) return 0.5;
    return symbol == next ? p.accuracy : 1.0 - p.accuracy;
  }

  CUMARL_HD static void reward(const Params& p, int s, const int* actions, int, float* rewards) {
    int tigers = 0, treasures = 0;  // agents who open these
    for (int i = 0; i < p.agents; ++i) {
      tigers += actions[i] == s ? 1 : 0;
      treasures += actions[i] == 1 - s ? 1 : 0;
    }
    if (p.agents == 1) {
      rewards[0] = tigers > 0 ? -100.0F : (treasures > 0 ? 10.0F : -1.0F);
      return;
    }
    float paid = -2.0F;
    if (tigers == 2) {
      paid = -50.0F;
    } else if (treasures == 2) {
      paid = 20.0F;
    } else if (tigers == 1) {
      paid = treasures == 1 ? -100.0F : -101.0F;
    } else if (treasures == 1) {
      paid = 9.0F;
    }
    rewards[0] = paid;
    rewards[1] = paid;
  }

  CUMARL_HD static bool ends(const Params& p, int, const int* actions, int) {
    return p.until_opened && !all_listen(p, actions);
  }

  /// Bounds of a reward of one step.
  static Bounds reward_bounds(const Params& p) {
    return p.agents == 1 ? Bounds{-100, 10} : Bounds{-101, 20};
  }

 private:
  CUMARL_HD static bool all_listen(const Params& p, const int* actions) {
    for (int i = 0; i < p.agents; ++i) {
      if (actions[i] != kListen) return false;
    }
    return true;
  }
};

using Tiger = Believing<TigerProblem>;

}  // namespace cumarl::inline CUMARL_VARIANT
