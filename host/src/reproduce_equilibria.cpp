#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>

#include "cumarl/error.hpp"
#include "envs/stochastic_game.hpp"
#include "host/src/games.hpp"
#include "host/src/reproduce.hpp"
#include "host/src/solve.hpp"

namespace cumarl {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

/// One line of the file of known solutions.
struct KnownSolution {
  std::string game, kind, option, strategies_text;
  std::vector<std::vector<double>> strategies;  ///< none: any
  std::vector<double> values;                   ///< none: not compared
  double temperature = 1.0;                     ///< of qre
  double rounding = 1e-12;                      ///< half a unit of the last digit of a decimal
};

class KnownReader {
 public:
  explicit KnownReader(const std::string& path) : path_(path), file_(path) {
    if (!file_) throw ConfigError({.source = path, .why = "cannot be read"});
  }
  std::vector<KnownSolution> take() {
    std::vector<KnownSolution> all;
    std::string line;
    bool header = false;
    while (std::getline(file_, line)) {
      ++line_;
      if (line.empty() || line[0] == '#') continue;
      if (!header) {
        header = true;
        if (line != "game,concept,option,strategies,values")
          fail("is no header of known solutions");
        continue;
      }
      const auto fields = split(line, ',');
      if (fields.size() != 5) fail("must have 5 fields");
      KnownSolution one{fields[0], fields[1], fields[2], fields[3], {}, {}};
      if (one.kind.starts_with("qre")) one.temperature = number(one.option);
      if (!fields[3].empty()) {
        for (const std::string& player : split(fields[3], '|')) {
          one.strategies.push_back(numbers(player, one));
        }
      }
      if (!fields[4].empty()) one.values = numbers(fields[4], one);
      all.push_back(std::move(one));
    }
    return all;
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw ConfigError({.source = path_, .line = line_, .why = why});
  }
  std::vector<double> numbers(const std::string& text, KnownSolution& one) const {
    std::vector<double> out;
    for (const std::string& word : split(text, ' ')) {
      const auto parts = split(word, '/');
      out.push_back(number(parts[0]));
      if (parts.size() == 2) out.back() /= number(parts[1]);
      const size_t point = word.find('.');
      if (point != std::string::npos) {
        one.rounding = std::max(
            one.rounding, 0.51 * std::pow(10.0, -static_cast<double>(word.size() - point - 1)));
      }
    }
    return out;
  }
  double number(const std::string& word) const {
    char* end = nullptr;
    const double value = std::strtod(word.c_str(), &end);
    if (word.empty() || *end != '\0') fail(word + ": must be a number or a fraction");
    return value;
  }

  std::string path_;
  std::ifstream file_;
  int line_ = 0;
};

double distance(const std::vector<std::vector<double>>& a,
                const std::vector<std::vector<double>>& b) {
  double apart = 0;
  if (a.size() != b.size()) return std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size()) return std::numeric_limits<double>::infinity();
    for (size_t k = 0; k < a[i].size(); ++k) {
      apart = std::fmax(apart, std::fabs(a[i][k] - b[i][k]));
    }
  }
  return apart;
}

ReproduceRow row_of(std::string what, double published, double ours, double tolerance) {
  ReproduceRow row;
  row.what = std::move(what);
  row.published = published;
  row.ours = ours;
  row.n = 1;
  row.tolerance = tolerance;
  row.ok = std::fabs(ours - published) <= tolerance;
  row.rule = tolerance > 1e-9 ? "digits" : "exact";
  return row;
}

/// Shapley's value of Littman's soccer to the player with the ball, at gamma 0.9.
ReproduceRow soccer_row() {
  HostArena arena;
  const auto params = StochasticGame::make(StochasticGame::Config{}, arena);
  const StochasticGameView game = StochasticGame::view(params);
  std::vector<double> values(static_cast<size_t>(game.states), 0.0);
  solve_zero_sum_stochastic(game, 0.9, 1e-10, 10'000, values.data());
  double best = 0;
  for (uint32_t k = 0; k < params.starts; ++k) {
    best = std::fmax(best, values[static_cast<size_t>(params.start[k])]);
  }
  return row_of("soccer, 4x5, gamma 0.9: value to the player with the ball", 0.218484, best,
                5.1e-7);
}

}  // namespace

Reproduction reproduce_equilibria(const std::string& file) {
  const auto begin = std::chrono::steady_clock::now();
  Reproduction out;
  out.name = kEquilibria;
  out.title = kEquilibriaTitle;
  out.source = "textbook games; equilibria by lrsnash (exact), Shapley 1953 for soccer";
  for (const KnownSolution& known : KnownReader(file).take()) {
    const auto words = split(known.kind, ' ');
    const bool count = known.option == "count" || words.back() == "count";
    SolveOptions options;
    options.kind = parse_concept(words[0]);
    if (options.kind == SolutionConcept::qre) options.temperature = known.temperature;
    const SolveResult solved = solve(find_game(known.game, {}), options);
    std::string name = fmt::format("{}, {}", known.game, words[0]);
    if (options.kind == SolutionConcept::qre) name += " at " + known.option;
    if (count) {
      out.rows.push_back(row_of(name + ": number of solutions", known.values.at(0),
                                static_cast<double>(solved.solutions.size()), 0));
      continue;
    }
    if (!known.strategies_text.empty()) name += " " + known.strategies_text;
    const auto nearest = std::min_element(solved.solutions.begin(), solved.solutions.end(),
                                          [&](const auto& a, const auto& b) {
                                            return distance(a.strategies, known.strategies) <
                                                   distance(b.strategies, known.strategies);
                                          });
    if (nearest == solved.solutions.end()) {
      out.rows.push_back(row_of(name, 0, std::numeric_limits<double>::quiet_NaN(), 0));
      continue;
    }
    if (!known.strategies.empty()) {
      out.rows.push_back(row_of(name + ": distance", 0,
                                distance(nearest->strategies, known.strategies), known.rounding));
    }
    for (size_t i = 0; i < known.values.size(); ++i) {
      out.rows.push_back(row_of(fmt::format("{}: value {}", name, i), known.values[i],
                                nearest->values.at(i), 1e-9));
    }
  }
  out.rows.push_back(soccer_row());
  out.ok = std::all_of(out.rows.begin(), out.rows.end(), [](const auto& row) { return row.ok; });
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return out;
}

}  // namespace cumarl
