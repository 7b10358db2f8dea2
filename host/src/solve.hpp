/// \file
/// `cumarl solve`: the equilibria of a game in normal form.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "host/src/nfg.hpp"
#include "kernels/solvers/correlated.hpp"

namespace cumarl {

enum class SolutionConcept {
  nash,     ///< two players: all extreme equilibria, exactly; else see nash_search.hpp
  minimax,  ///< two players: what each secures, and how; the value if the game is zero-sum
  ce,       ///< the best correlated equilibrium
  cce,      ///< the best coarse correlated equilibrium
  qre       ///< two players: logit quantal response equilibria, all of a 2x2 game
};

struct SolveOptions {
  SolutionConcept kind = SolutionConcept::nash;
  CorrelatedObjective objective = CorrelatedObjective::utilitarian;  ///< of ce and cce
  int player = 0;            ///< whose payoff counts under CorrelatedObjective::player
  double temperature = 1.0;  ///< of qre, above 0
};

struct Solution {
  std::vector<std::vector<double>> strategies;  ///< [player][action]; of ce and cce the marginals
  std::vector<double> values;                   ///< [player]: expected payoffs
  std::vector<double> joint;                    ///< of ce and cce: [joint action]
  /// The strategies and values as fractions, where they are known exactly; else empty.
  std::vector<std::vector<std::string>> exact_strategies = {};
  std::vector<std::string> exact_values = {};
};

struct SolveResult {
  std::string game;
  SolutionConcept kind = SolutionConcept::nash;
  std::vector<int> actions;
  std::vector<std::vector<std::string>> action_names;
  std::vector<Solution> solutions;
  std::string note;  ///< what the list lacks, "" where it is all that was asked for
};

std::string_view to_string(SolutionConcept kind);
/// Throws ConfigError for another word than nash, minimax, ce, cce and qre.
SolutionConcept parse_concept(const std::string& word);

/// Solves `game`. Throws ConfigError if the concept does not apply to it or it is too large: "more
/// actions than this solver takes: 20 of at most 16".
SolveResult solve(const NormalFormGame& game, const SolveOptions& options);

/// {"game", "concept", "solutions": [{"strategies": [[...], [...]], "values": [...]}]}; solutions
/// of ce and cce also have "joint", nested as the players are; "note" is there if it says anything.
nlohmann::ordered_json to_json(const SolveResult& result);
/// For people: one paragraph a solution, with fractions where they are exact.
std::string to_text(const SolveResult& result);

}  // namespace cumarl
