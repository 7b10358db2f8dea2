#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "cumarl/error.hpp"
#include "envs/bertrand_logit.hpp"
#include "envs/bertrand_logit_shocks.hpp"
#include "envs/singh_vives.hpp"
#include "host/src/charts.hpp"
#include "host/src/config.hpp"
#include "host/src/model.hpp"
#include "host/src/report.hpp"
#include "host/src/trace.hpp"
#include "kernels/core/arena.hpp"

namespace cumarl {
namespace {

namespace fs = std::filesystem;

/// The market of type Stage that [env] describes.
template <class Stage>
typename Stage::Params market(const std::string& config_text, Arena& arena) {
  Config config = Config::from_text(config_text, "config.toml");
  typename Stage::Config settings;
  read(config, "env", [&](FieldVisitor& v) { Stage::fields(v, settings); });
  return Stage::make(settings, arena);
}

/// Prices of firms that all have the same one; firms that differ have no single line.
void add_prices(ReportExtras& extras, const double* nash, const double* monopoly, int firms) {
  for (const auto& [prices, words] :
       {std::pair{nash, "static Nash"}, std::pair{monopoly, "monopoly"}}) {
    const bool alike = std::all_of(prices, prices + firms, [p = prices[0]](double v) {
      return std::fabs(v - p) < 1e-9 * std::max(1.0, std::fabs(p));
    });
    if (alike) extras.prices.push_back({prices[0], words});
  }
}

void find_prices(const Result& result, const std::string& env, ReportExtras& extras) {
  for (const CellResult& cell : result.cells) {
    for (const auto& [key, unused] : cell.set) {
      if (key.starts_with("env.")) return;  // markets differ from cell to cell
    }
  }
  HostArena arena;
  if (env == BertrandStage::kFacts.name) {
    const auto p = market<BertrandStage>(result.resolved_config, arena);
    add_prices(extras, p.nash_price, p.monopoly_price, p.firms);
  } else if (env == BertrandShocksStage::kFacts.name) {
    const auto p = market<BertrandShocksStage>(result.resolved_config, arena);
    add_prices(extras, p.nash_price, p.monopoly_price, p.firms);
  } else if (env == SinghVivesStage::kFacts.name) {
    const auto p = market<SinghVivesStage>(result.resolved_config, arena);
    add_prices(extras, &p.nash_price, &p.monopoly_price, 1);
  }
}

/// Published figures of an experiment of this name, and a note where its settings are not those.
void find_published(const Result& result, ReportExtras& extras) {
  if (result.cells.size() != 1 || result.cells[0].runs == result.cells[0].diverged.size()) return;
  const auto known = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  if (result.experiment.empty() ||
      !std::all_of(result.experiment.begin(), result.experiment.end(), known)) {
    return;
  }
  Published published;
  try {
    const std::string path = experiments_directory() + "/published/" + result.experiment + ".toml";
    std::error_code error;
    if (!fs::exists(path, error)) return;
    published = read_published(path);
  } catch (const ConfigError&) {
    return;  // no folder of experiments: nothing is known about this one
  }
  extras.title = published.title;
  extras.source = published.source;
  size_t missing = 0;
  for (const PublishedFigure& figure : published.figures) {
    try {
      extras.rows.push_back(compare(result.cells[0], figure));
    } catch (const ConfigError&) {
      ++missing;
    }
  }
  if (missing > 0) {
    extras.notes.push_back(
        fmt::format("{} published figures are of measures that this experiment has not.", missing));
  }
  std::string changed;
  size_t from = 0;
  const std::string& config = result.resolved_config;
  constexpr const char* kSet = "  # --set ";
  while ((from = config.find(kSet, from)) != std::string::npos) {
    from += std::string_view(kSet).size();
    changed += (changed.empty() ? "" : ", ") + config.substr(from, config.find('\n', from) - from);
  }
  if (!changed.empty()) {
    extras.notes.push_back("Published figures are of other settings: here " + changed + ".");
  }
}

/// The move that an action's name means.
PolicyMap::Move move_of(const std::string& action) {
  static constexpr std::array<std::pair<const char*, PolicyMap::Move>, 8> kNames = {
      {{"north", PolicyMap::north},
       {"south", PolicyMap::south},
       {"west", PolicyMap::west},
       {"east", PolicyMap::east},
       {"up", PolicyMap::north},
       {"down", PolicyMap::south},
       {"left", PolicyMap::west},
       {"right", PolicyMap::east}}};
  for (const auto& [name, move] : kNames) {
    if (action == name) return move;
  }
  return PolicyMap::other;
}

/// The policies of saved tables, from the states that they lead to, and an episode.
void find_policies(const std::string& directory, const std::string& env, ReportExtras& extras) {
  constexpr double kExplore = 0.3;
  constexpr int64_t kSteps = 20'000, kMostFrames = 200;
  TraceRequest request;
  request.env = env;
  request.policy = directory;
  request.steps = kMostFrames;
  extras.episode = episode_svg(request);

  struct Visit {
    size_t cell;
    int action;
  };
  std::vector<std::vector<Visit>> visits;  // [agents]
  Picture last;
  request.steps = kSteps;
  const Cast cast =
      visit_states(request, kExplore, [&](const Picture& picture, const std::vector<int>& best) {
        visits.resize(best.size());
        for (size_t cell = 0; cell < picture.glyphs.size(); ++cell) {
          const int agent = picture.glyphs[cell].symbol - 'A';
          if (agent < 0 || static_cast<size_t>(agent) >= best.size()) continue;
          const auto of = static_cast<size_t>(agent);
          visits[of].push_back({cell, best[of]});
        }
        last = picture;
      });
  std::array<bool, PolicyMap::kMoves> named{};
  for (const std::string& action : cast.actions) named[move_of(action)] = true;
  if (!std::all_of(named.begin(), named.begin() + PolicyMap::other, [](bool b) { return b; })) {
    return;  // agents that turn, or drive: arrows would say something else
  }
  for (size_t agent = 0; agent < visits.size(); ++agent) {
    if (visits[agent].empty()) continue;
    PolicyMap map;
    map.agent = std::string(1, static_cast<char>('A' + agent));
    map.rows = last.rows;
    map.cols = last.cols;
    map.visits.assign(last.glyphs.size() * PolicyMap::kMoves, 0);
    for (const Glyph& glyph : last.glyphs) map.walls.push_back(glyph.symbol == '#' ? 1 : 0);
    for (const Visit& one : visits[agent]) {
      const PolicyMap::Move move = move_of(cast.actions[static_cast<size_t>(one.action)]);
      ++map.visits[one.cell * PolicyMap::kMoves + move];
    }
    extras.policies.push_back(std::move(map));
  }
  extras.policy_caption = fmt::format(
      "The first run's tables. An arrow is as long as the share of visits in which its move was "
      "the "
      "best action of an agent's table there, a dot stands for all actions that do not move; what "
      "is best depends on everything else that an agent sees. Over {} joint steps of episodes in "
      "which every agent played its best action, or with probability {:g} any.",
      charts::grouped(kSteps), kExplore);
}

}  // namespace

ReportExtras find_extras(const Result& result, const std::string& directory) {
  ReportExtras extras;
  find_published(result, extras);
  std::string env;
  try {
    Config config = Config::from_text(result.resolved_config, "config.toml");
    env = config.take_name("env");
    find_prices(result, env, extras);
  } catch (const ConfigError&) {
    extras.notes.emplace_back("The configuration cannot be read, so known prices are not drawn.");
  } catch (const ParameterError&) {
    extras.notes.emplace_back("The configuration cannot be read, so known prices are not drawn.");
  }
  std::error_code error;
  const bool tables = fs::exists(fs::path(directory) / "tables.bin", error);
  for (const EnvModel* model : env_models()) {
    if (!tables || model->facts().name != env || !model->has_picture()) continue;
    try {
      find_policies(directory, env, extras);
    } catch (const Error& failure) {
      extras.notes.push_back(std::string("The policies cannot be shown: ") + failure.what());
    }
  }
  return extras;
}

}  // namespace cumarl
