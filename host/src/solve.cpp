#include "host/src/solve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "cumarl/error.hpp"
#include "host/src/extreme_equilibria.hpp"
#include "host/src/nash_search.hpp"
#include "kernels/solvers/quantal.hpp"
#include "kernels/solvers/zero_sum.hpp"

namespace cumarl {

namespace {

constexpr const char* kConcepts[] = {"nash", "minimax", "ce", "cce", "qre"};
/// Joint actions of a search over supports, and entries of a linear program's tableau.
constexpr int kMostSearchedCells = 4096;
constexpr int64_t kMostTableau = int64_t{1} << 24;

[[noreturn]] void refuse(const NormalFormGame& game, const std::string& why) {
  throw ConfigError({.source = game.name, .why = why});
}

/// A game in the form the solvers read, which point into it.
struct Table {
  explicit Table(const NormalFormGame& game) {
    const std::size_t players = game.actions.size();
    if (players < 1 || players > static_cast<std::size_t>(NormalFormView::kMaxPlayers)) {
      refuse(game, fmt::format("{} players, where this solver takes 1 to {}", players,
                               NormalFormView::kMaxPlayers));
    }
    std::size_t cells = 1;
    for (std::size_t i = 0; i < players; ++i) {
      counts.push_back(game.action_count(i));
      const auto count = static_cast<std::size_t>(counts.back());
      if (count < 1) refuse(game, "a player has no action");
      if (count > static_cast<std::size_t>(kMostPayoffs) / cells / players) {
        refuse(game, fmt::format("more payoffs than this program takes: at most {}", kMostPayoffs));
      }
      cells *= count;
    }
    if (game.payoffs.size() != cells * players) {
      refuse(game, fmt::format("{} payoffs, where its actions need {}", game.payoffs.size(),
                               cells * players));
    }
    for (const double u : game.payoffs) {
      if (!std::isfinite(u)) refuse(game, "a payoff is not a finite number");
    }
    view = normal_form(static_cast<int>(players), counts.data(), game.payoffs.data());
  }
  std::vector<int> counts;
  NormalFormView view;
};

void need_two_players(const NormalFormGame& game, SolutionConcept kind) {
  if (game.actions.size() == 2) return;
  refuse(game, fmt::format("{} is for games of 2 players, and this one has {}", to_string(kind),
                           game.actions.size()));
}
void need_few_actions(const NormalFormGame& game, int most) {
  for (std::size_t i = 0; i < game.actions.size(); ++i) {
    if (game.action_count(i) <= most) continue;
    refuse(game, fmt::format("more actions than this solver takes: {} of at most {}",
                             game.action_count(i), most));
  }
}

/// One player's payoffs in a two-player game, row-major.
std::vector<double> payoffs_of(const NormalFormView& view, int player) {
  std::vector<double> out;
  for (int cell = 0; cell < view.joint; ++cell) out.push_back(view.payoff(cell, player));
  return out;
}

Solution from_profile(const NormalFormView& view, const std::vector<double>& profile) {
  Solution out;
  for (int i = 0; i < view.players; ++i) {
    const auto start = profile.begin() + view.offset[i];
    out.strategies.emplace_back(start, start + view.actions[i]);
  }
  out.values.resize(static_cast<std::size_t>(view.players));
  expected_payoffs(view, profile.data(), out.values.data());
  return out;
}
Solution from_strategies(const NormalFormView& view, const double* row, const double* column) {
  std::vector<double> profile(row, row + view.actions[0]);
  profile.insert(profile.end(), column, column + view.actions[1]);
  return from_profile(view, profile);
}

std::vector<Solution> exact_nash(const NormalFormGame& game, const NormalFormView& view) {
  std::vector<Rational> payoffs[2];
  for (std::size_t k = 0; k < game.payoffs.size(); ++k) {
    std::optional<Rational> exact;
    if (!game.exact.empty()) exact = parse_rational(game.exact[k]);
    payoffs[k % 2].push_back(exact ? *exact : exact_rational(game.payoffs[k]));
  }
  std::vector<Solution> out;
  try {
    for (const ExactEquilibrium& e :
         extreme_equilibria(payoffs[0], payoffs[1], view.actions[0], view.actions[1])) {
      Solution s;
      for (const auto* strategy : {&e.row, &e.column}) {
        s.strategies.emplace_back();
        s.exact_strategies.emplace_back();
        for (const Rational& p : *strategy) {
          s.strategies.back().push_back(to_double(p));
          s.exact_strategies.back().push_back(to_text(p));
        }
      }
      for (const Rational& value : e.values) {
        s.values.push_back(to_double(value));
        s.exact_values.push_back(to_text(value));
      }
      out.push_back(std::move(s));
    }
  } catch (const Error& error) {
    refuse(game, error.what());
  }
  return out;
}

void solve_nash(const NormalFormGame& game, const NormalFormView& view, SolveResult& result) {
  if (view.players == 2) {
    need_few_actions(game, kMostExactActions);
    result.solutions = exact_nash(game, view);
    return;
  }
  if (view.joint > kMostSearchedCells) {
    refuse(game, fmt::format("more joint actions than this solver takes: {} of at most {}",
                             view.joint, kMostSearchedCells));
  }
  const NashSearch search = search_equilibria(view);
  for (const auto& profile : search.profiles) {
    result.solutions.push_back(from_profile(view, profile));
  }
  if (!search.complete) {
    result.note = "not all: every pure equilibrium is listed, but mixed ones are missing";
  }
}

void solve_minimax(const NormalFormGame& game, const NormalFormView& view, SolveResult& result) {
  need_two_players(game, SolutionConcept::minimax);
  need_few_actions(game, kMaxSolverActions);
  const std::vector<double> u1 = payoffs_of(view, 0);
  const std::vector<double> u2 = payoffs_of(view, 1);
  const double total = u1[0] + u2[0];
  bool zero_sum = true;
  double size = 0.0;
  for (std::size_t k = 0; k < u1.size(); ++k) {
    size = std::max({size, std::fabs(u1[k]), std::fabs(u2[k])});
    zero_sum = zero_sum && std::fabs(u1[k] + u2[k] - total) <= 1e-12 * size;
  }
  const int rows = view.actions[0];
  const int columns = view.actions[1];
  const ZeroSumSolution first = solve_zero_sum(u1.data(), rows, columns);
  if (!first.ok) refuse(game, "the simplex method gave up on this game");
  if (zero_sum) {
    Solution s = from_strategies(view, first.row, first.column);
    s.values = {first.value, total - first.value};
    result.solutions.push_back(std::move(s));
    return;
  }
  // The column player as the row player of a game of its own.
  std::vector<double> turned(u2.size());
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j) {
      turned[static_cast<std::size_t>(j * rows + i)] =
          u2[static_cast<std::size_t>(i * columns + j)];
    }
  }
  const ZeroSumSolution second = solve_zero_sum(turned.data(), columns, rows);
  if (!second.ok) refuse(game, "the simplex method gave up on this game");
  Solution s = from_strategies(view, first.row, second.row);
  s.values = {first.value, second.value};
  result.solutions.push_back(std::move(s));
  result.note = "not a zero-sum game: the values are what each player secures by itself";
}

void solve_joint(const NormalFormGame& game, const NormalFormView& view,
                 const SolveOptions& options, SolveResult& result) {
  const CorrelatedQuestion question{options.kind == SolutionConcept::cce, options.objective,
                                    options.player};
  if (options.objective == CorrelatedObjective::player &&
      (options.player < 0 || options.player >= view.players)) {
    refuse(game, fmt::format("there is no player {}: must be from 0 to {}", options.player,
                             view.players - 1));
  }
  const auto rows = static_cast<std::size_t>(correlated_rows(view, question));
  const auto columns = static_cast<std::size_t>(correlated_columns(view, question));
  const std::size_t entries = (rows + 1) * (columns + 1);
  if (entries > static_cast<std::size_t>(kMostTableau)) {
    refuse(game, fmt::format("a linear program larger than this solver takes: {} entries of at "
                             "most {}",
                             entries, kMostTableau));
  }
  std::vector<double> cells(entries);
  std::vector<int> labels(2 * rows + columns);
  Tableau room;
  room.cells = cells.data();
  room.basic = labels.data();
  room.slack_column = labels.data() + rows;
  room.nonbasic = labels.data() + 2 * rows;
  Solution s;
  s.joint.resize(static_cast<std::size_t>(view.joint));
  if (!solve_correlated(view, question, room, s.joint.data())) {
    refuse(game, "the simplex method gave up on this game");
  }
  std::vector<double> marginals;
  for (int i = 0; i < view.players; ++i) {
    marginals.resize(marginals.size() + static_cast<std::size_t>(view.actions[i]));
  }
  joint_marginals(view, s.joint.data(), marginals.data());
  s.strategies = from_profile(view, marginals).strategies;
  s.values.resize(static_cast<std::size_t>(view.players));
  joint_payoffs(view, s.joint.data(), s.values.data());
  result.solutions.push_back(std::move(s));
}

void solve_logit(const NormalFormGame& game, const NormalFormView& view,
                 const SolveOptions& options, SolveResult& result) {
  need_two_players(game, SolutionConcept::qre);
  need_few_actions(game, kMaxSolverActions);
  if (!(options.temperature > 0.0) || !std::isfinite(options.temperature)) {
    refuse(game,
           fmt::format("the temperature of qre must be above 0, not {}", options.temperature));
  }
  const std::vector<double> u1 = payoffs_of(view, 0);
  const std::vector<double> u2 = payoffs_of(view, 1);
  if (view.actions[0] == 2 && view.actions[1] == 2) {
    const auto all = solve_quantal_2x2(u1.data(), u2.data(), options.temperature);
    for (int k = 0; k < all.count; ++k) {
      result.solutions.push_back(from_strategies(view, all.found[k].row, all.found[k].column));
    }
    if (all.count > 0) return;
  } else {
    const QuantalResponse s =
        solve_quantal(u1.data(), u2.data(), view.actions[0], view.actions[1], options.temperature);
    if (s.ok) {
      result.solutions.push_back(from_strategies(view, s.row, s.column));
      result.note = "the principal branch only: there may be other quantal response equilibria";
      return;
    }
  }
  refuse(game, fmt::format("no quantal response equilibrium could be computed at temperature {}: "
                           "too low for these payoffs",
                           options.temperature));
}

/// Part of a joint distribution as nested lists, from player `player` on.
nlohmann::ordered_json nested(const SolveResult& result, const Solution& s, std::size_t player,
                              std::size_t& at) {
  auto out = nlohmann::ordered_json::array();
  for (int a = 0; a < result.actions[player]; ++a) {
    if (player + 1 == result.actions.size()) {
      out.push_back(s.joint[at++]);
    } else {
      out.push_back(nested(result, s, player + 1, at));
    }
  }
  return out;
}

/// A number for reading: the exact fraction where it is short, else six decimals.
std::string number(double value, const std::string& exact) {
  if (!exact.empty() && exact.size() <= 12) return exact;
  return fmt::format("{:.6g}", std::fabs(value) < 5e-13 ? 0.0 : value);
}

}  // namespace

std::string_view to_string(SolutionConcept kind) { return kConcepts[static_cast<int>(kind)]; }

SolutionConcept parse_concept(const std::string& word) {
  for (int k = 0; k < static_cast<int>(std::size(kConcepts)); ++k) {
    if (word == kConcepts[k]) return static_cast<SolutionConcept>(k);
  }
  throw ConfigError({.source = "--concept " + word,
                     .why = fmt::format("must be one of {}", fmt::join(kConcepts, ", "))});
}

SolveResult solve(const NormalFormGame& game, const SolveOptions& options) {
  const Table table(game);
  SolveResult result;
  result.game = game.name;
  result.kind = options.kind;
  result.actions = table.counts;
  result.action_names = game.actions;
  switch (options.kind) {
    case SolutionConcept::nash: solve_nash(game, table.view, result); break;
    case SolutionConcept::minimax: solve_minimax(game, table.view, result); break;
    case SolutionConcept::ce:
    case SolutionConcept::cce: solve_joint(game, table.view, options, result); break;
    case SolutionConcept::qre: solve_logit(game, table.view, options, result); break;
  }
  return result;
}

nlohmann::ordered_json to_json(const SolveResult& result) {
  nlohmann::ordered_json out;
  out["game"] = result.game;
  out["concept"] = to_string(result.kind);
  out["solutions"] = nlohmann::ordered_json::array();
  for (const Solution& s : result.solutions) {
    nlohmann::ordered_json solution;
    solution["strategies"] = s.strategies;
    solution["values"] = s.values;
    std::size_t at = 0;
    if (!s.joint.empty()) solution["joint"] = nested(result, s, 0, at);
    out["solutions"].push_back(std::move(solution));
  }
  if (!result.note.empty()) out["note"] = result.note;
  return out;
}

std::string to_text(const SolveResult& result) {
  std::string out =
      fmt::format("{}: {}, {} {}\n", result.game, to_string(result.kind), result.solutions.size(),
                  result.solutions.size() == 1 ? "solution" : "solutions");
  for (std::size_t k = 0; k < result.solutions.size(); ++k) {
    const Solution& s = result.solutions[k];
    out += fmt::format("{:>4}.", k + 1);
    for (std::size_t i = 0; i < s.strategies.size(); ++i) {
      out += i == 0 ? " (" : "  (";
      for (std::size_t a = 0; a < s.strategies[i].size(); ++a) {
        const std::string exact = s.exact_strategies.empty() ? "" : s.exact_strategies[i][a];
        out += (a == 0 ? "" : ", ") + number(s.strategies[i][a], exact);
      }
      out += ')';
    }
    out += "  values";
    for (std::size_t i = 0; i < s.values.size(); ++i) {
      out += ' ' + number(s.values[i], s.exact_values.empty() ? "" : s.exact_values[i]);
    }
    out += '\n';
    for (std::size_t cell = 0; cell < s.joint.size(); ++cell) {
      if (s.joint[cell] < 5e-13) continue;
      std::size_t rest = cell;
      std::string names;
      for (std::size_t i = result.actions.size(); i-- > 0;) {
        const auto count = static_cast<std::size_t>(result.actions[i]);
        names = result.action_names[i][rest % count] + (names.empty() ? "" : ", ") + names;
        rest /= count;
      }
      out += fmt::format("      {} with probability {}\n", names, number(s.joint[cell], ""));
    }
  }
  if (!result.note.empty()) out += result.note + '\n';
  return out;
}

}  // namespace cumarl
