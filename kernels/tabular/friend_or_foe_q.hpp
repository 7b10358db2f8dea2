/// \file
/// Friend-or-foe-Q.
#pragma once

#include <string>
#include <vector>

#include "kernels/tabular/stage_game_learner.hpp"
#include "kernels/tabular/two_sides.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The agent's team against all others.
struct TeamRule : TwoSides {
  struct Config {
    std::vector<int> teams;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("teams", c.teams, Bounds{0, 1e6}, "",
      "a team number for each agent: those of the own team are friends, the others foes; empty: "
      "all foes");
  }
  static TeamRule make(const Config& c, const AgentSpec& spec) {
    std::vector<bool> friends(static_cast<size_t>(spec.agents), false);
    if (!c.teams.empty()) {
      if (c.teams.size() != friends.size()) {
        throw ParameterError("teams", "must have one number for each of the " +
                                          std::to_string(spec.agents) + " agents");
      }
      for (size_t i = 0; i < friends.size(); ++i) {
        friends[i] = c.teams[i] == c.teams[static_cast<size_t>(spec.agent)];
      }
    }
    return {TwoSides::among(spec, friends)};
  }
};

/// V(s) = max over the joint mixed strategies of the agent and its friends of min over the foes'
/// joint actions of the agent's own Q(s, .). Friends alone: the best joint action; foes alone:
/// minimax-Q.
/// Source: Littman, "Friend-or-foe Q-learning in general-sum games", ICML 2001, eq. (5) and (6).
/// Deviation: he leaves open how friends coordinate; here a team draws its joint action from one
/// random word, so friends who hold equal values play one joint action.
struct FriendOrFoeQ : StageGameLearner<TeamRule> {
  static constexpr LearnerFacts kFacts{"friend_or_foe_q", "Friend-or-foe-Q", "Littman, ICML 2001",
                                       Sees::joint};
};

}  // namespace cumarl::inline CUMARL_VARIANT
