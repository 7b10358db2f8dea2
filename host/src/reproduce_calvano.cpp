/// \file
/// The two large reproductions of Calvano et al., AER 110(10), 2020: the grid of learning rates and
/// rates of decay (figure 1), and all figures of single experiments in one table.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "host/src/charts.hpp"
#include "host/src/experiment.hpp"
#include "host/src/reproduce.hpp"

namespace cumarl {
namespace {

constexpr const char* kAlpha = "learner.alpha";
constexpr const char* kBeta = "learner.exploration.decay_rate";
constexpr const char* kGain = "profit_gain";
constexpr const char* kTime = "time_to_convergence";

// The figure, and what the paper says of it: profit gains from 70% to 90%.
constexpr double kShownAlpha = 0.025;
constexpr double kLowestGain = 0.70, kHighestGain = 0.90;
constexpr uint64_t kPublishedSessions = 1000;  ///< a cell
constexpr uint64_t kFewest = 20;               ///< sessions that a standard error is taken from
constexpr int kBlocks = 5;                     ///< a side: the figure in 25 parts

/// A cell of the grid.
struct GridCell {
  double alpha = 0, beta = 0;
  const CellResult* result = nullptr;
};

/// A point of the grid that was also published by itself.
struct PublishedPoint {
  const char* experiment;
  double alpha, beta;
};
constexpr PublishedPoint kPoints[] = {{"calvano2020-baseline", 0.15, 4e-6},
                                      {"calvano2020-alpha125-beta1e-5", 0.125, 1e-5},
                                      {"calvano2020-beta2e-5", 0.15, 2e-5}};
/// Sessions of cells so near count for the point: a tenth of alpha and of beta.
constexpr double kNear = 0.1;

std::vector<GridCell> grid_cells(const Result& result) {
  std::vector<GridCell> cells;
  for (const CellResult& cell : result.cells) {
    GridCell& one = cells.emplace_back(GridCell{0, 0, &cell});
    for (const auto& [key, value] : cell.set) {
      if (key == kAlpha) one.alpha = std::strtod(value.c_str(), nullptr);
      if (key == kBeta) one.beta = std::strtod(value.c_str(), nullptr);
    }
  }
  return cells;
}

std::size_t column_of(const CellResult& cell, const char* name) {
  const auto at = std::find(cell.columns.begin(), cell.columns.end(), name);
  if (at == cell.columns.end()) throw Error(std::string("the grid reports no ") + name);
  return static_cast<std::size_t>(at - cell.columns.begin());
}

/// The sessions of the cells around a point as one cell. Times to convergence go with 1/beta: each
/// is brought to the point's beta.
CellResult around(const std::vector<GridCell>& cells, const PublishedPoint& point) {
  CellResult pooled;
  pooled.columns = {kGain, kTime};
  const auto near = [](double value, double wanted) {
    return std::abs(value - wanted) <= kNear * wanted * (1 + 1e-9);
  };
  for (const GridCell& cell : cells) {
    if (!near(cell.alpha, point.alpha) || !near(cell.beta, point.beta)) continue;
    const CellResult& from = *cell.result;
    const std::size_t gain = column_of(from, kGain), time = column_of(from, kTime);
    for (std::size_t r = 0; r < from.run_ids.size(); ++r) {
      const double* row = from.values.data() + r * from.columns.size();
      pooled.run_ids.push_back(from.run_ids[r]);
      pooled.values.push_back(row[gain]);
      pooled.values.push_back(row[time] * cell.beta / point.beta);
    }
  }
  pooled.runs = pooled.run_ids.size();
  return pooled;
}

/// Profit gains of the part of the grid that a block covers.
struct Block {
  uint64_t n = 0;
  double sum = 0, squares = 0;

  double mean() const { return sum / static_cast<double>(n); }
  double se() const {
    const auto count = static_cast<double>(n);
    return std::sqrt(std::max(0.0, squares / count - mean() * mean()) / (count - 1));
  }
};

/// The figure in kBlocks x kBlocks parts of equal width; those with fewer than kFewest
/// sessions are left out.
std::vector<Block> blocks_of(const std::vector<GridCell>& cells) {
  double low[2] = {1e300, 1e300}, high[2] = {-1e300, -1e300};
  const auto shown = [](const GridCell& cell) { return cell.alpha >= kShownAlpha * (1 - 1e-9); };
  for (const GridCell& cell : cells) {
    if (!shown(cell)) continue;
    const double at[2] = {cell.alpha, cell.beta};
    for (int k = 0; k < 2; ++k) {
      low[k] = std::min(low[k], at[k]);
      high[k] = std::max(high[k], at[k]);
    }
  }
  std::vector<Block> blocks(std::size_t{kBlocks} * kBlocks);
  for (const GridCell& cell : cells) {
    if (!shown(cell)) continue;
    const double at[2] = {cell.alpha, cell.beta};
    std::size_t place = 0;
    for (int k = 0; k < 2; ++k) {
      const double way = high[k] > low[k] ? (at[k] - low[k]) / (high[k] - low[k]) : 0;
      place = place * kBlocks +
              std::min<std::size_t>(kBlocks - 1, static_cast<std::size_t>(way * kBlocks));
    }
    const std::size_t gain = column_of(*cell.result, kGain);
    for (std::size_t r = 0; r < cell.result->run_ids.size(); ++r) {
      const double value = cell.result->values[r * cell.result->columns.size() + gain];
      ++blocks[place].n;
      blocks[place].sum += value;
      blocks[place].squares += value * value;
    }
  }
  std::erase_if(blocks, [](const Block& block) { return block.n < kFewest; });
  return blocks;
}

/// A mean that the paper bounds from one side.
ReproduceRow bound_row(const std::string& what, const Block& block, double bound, bool above) {
  ReproduceRow row;
  row.what = what;
  row.published = bound;
  row.ours = block.mean();
  row.se = block.se();
  row.n = block.n;
  row.tolerance = 3 * row.se;
  row.ok = above ? row.ours >= bound - row.tolerance : row.ours <= bound + row.tolerance;
  row.rule = above ? "at least" : "at most";
  row.figure.name = kGain;
  row.figure.value = bound;
  row.figure.runs = kPublishedSessions;
  return row;
}

std::vector<ReproduceRow> grid_rows(const std::vector<GridCell>& cells,
                                    const std::string& directory) {
  std::vector<ReproduceRow> rows;
  const std::vector<Block> blocks = blocks_of(cells);
  if (!blocks.empty()) {
    const auto less = [](const Block& a, const Block& b) { return a.mean() < b.mean(); };
    const auto [lowest, highest] = std::minmax_element(blocks.begin(), blocks.end(), less);
    const std::string part = fmt::format(" of {} parts of the figure", blocks.size());
    rows.push_back(bound_row("profit_gain, lowest" + part, *lowest, kLowestGain, true));
    rows.push_back(bound_row("profit_gain, highest" + part, *highest, kHighestGain, false));
  }
  for (const PublishedPoint& point : kPoints) {
    const CellResult sessions = around(cells, point);
    if (sessions.runs < kFewest) continue;
    const Published published =
        read_published(directory + "/published/" + point.experiment + ".toml");
    for (const PublishedFigure& figure : published.figures) {
      if (figure.kind != PublishedFigure::Kind::mean) continue;
      if (figure.name != kGain && figure.name != kTime) continue;
      ReproduceRow& row = rows.emplace_back(compare(sessions, figure));
      row.what += fmt::format(" near alpha {:g}, beta {:g}", point.alpha, point.beta);
    }
  }
  return rows;
}

std::vector<std::string> texts_of(const std::set<double>& values) {
  std::vector<std::string> texts;
  for (const double value : values) texts.push_back(charts::number(value, 3));
  return texts;
}

std::string grid_picture(const std::vector<GridCell>& cells, const Result& result) {
  std::set<double> alphas, betas;
  for (const GridCell& cell : cells) {
    alphas.insert(cell.alpha);
    betas.insert(cell.beta);
  }
  charts::HeatMap map;
  map.x_names = texts_of(betas);
  map.y_names = texts_of(alphas);
  map.x_label = "beta, rate of decay of exploration (1/period)";
  map.y_label = "alpha, learning rate";
  map.value_label = "mean profit gain";
  map.scale = {.low = 0.5, .high = 1.0};
  map.values.assign(alphas.size() * betas.size(), charts::kNone);
  for (const GridCell& cell : cells) {
    const auto r = static_cast<std::size_t>(std::distance(alphas.begin(), alphas.find(cell.alpha)));
    const auto c = static_cast<std::size_t>(std::distance(betas.begin(), betas.find(cell.beta)));
    const auto gain = cell.result->metrics.find(kGain);
    if (gain != cell.result->metrics.end()) {
      map.values[r * betas.size() + c] = gain->second.mean;
    }
  }
  const char* const title = "Profit gain of two Q-learning firms";
  charts::Svg svg(706, 634, title);
  svg.text({24, 32}, title, {.size = 17, .bold = true});
  svg.text({24, 54},
           fmt::format("{} x {} cells, {} sessions, {:.3g} joint steps; cf. figure 1 of Calvano et "
                       "al. 2020",
                       alphas.size(), betas.size(), result.runs,
                       static_cast<double>(result.joint_steps)),
           {.color = svg.theme().faint});
  draw_heat_map(svg, {92, 84, 480, 480}, map);
  return svg.finish();
}

/// Throws ConfigError where the sweep is not one over alpha and beta.
void check_axes(const RunRequest& request) {
  for (const ExperimentCell& cell : read_experiment(request).cells) {
    std::size_t known = 0;
    for (const auto& [key, value] : cell.set) {
      const auto* real = value.as<double>();
      known += (key == kAlpha || key == kBeta) && real != nullptr && *real > 0 ? 1 : 0;
    }
    if (known == 2 && cell.set.size() == 2) continue;
    throw ConfigError({request.config_file, 0, "sweep", "",
                       std::string("must be one of ") + kAlpha + " and " + kBeta +
                           ", both above 0, and of nothing else",
                       ""});
  }
}

}  // namespace

Reproduction reproduce_calvano_grid(RunRequest request, const std::string& directory,
                                    const ProgressCallback& progress,
                                    const InterruptFlag* interrupt) {
  request.config_file = directory + "/" + kCalvanoGrid + ".toml";
  check_axes(request);
  const Runner runner(request);
  Reproduction out;
  out.name = kCalvanoGrid;
  out.title = kCalvanoGridTitle;
  out.source = "Calvano et al., AER 110(10), 2020, figure 1; replication package openICPSR 119462";
  out.result = runner.run(progress, interrupt);
  out.seconds = out.result.seconds;
  const std::vector<GridCell> cells = grid_cells(out.result);
  if (out.result.interrupted) return out;
  out.rows = grid_rows(cells, directory);
  out.picture = grid_picture(cells, out.result);
  out.ok = std::all_of(out.rows.begin(), out.rows.end(), [](const auto& row) { return row.ok; });
  return out;
}

Reproduction reproduce_calvano_tables(const RunRequest& request, const ProgressCallback& progress,
                                      const InterruptFlag* interrupt) {
  std::vector<std::string> names;
  for (const auto& [name, title] : experiment_names()) {
    const bool other = name == kExactExperiment || name == kCalvanoGrid || name == kCalvanoTables;
    if (name.starts_with("calvano2020-") && !other) names.push_back(name);
  }
  const std::string directory = experiments_directory();
  Progress total;
  for (const std::string& name : names) {
    RunRequest one = request;
    one.config_file = directory + "/" + name + ".toml";
    total.runs += Runner(one).plan().runs;
  }
  Reproduction out;
  out.name = kCalvanoTables;
  out.title = kCalvanoTablesTitle;
  out.source = "Calvano et al., AER 110(10), 2020; replication package openICPSR 119462";
  out.ok = true;
  for (const std::string& name : names) {
    ProgressCallback shown;
    if (progress) {
      shown = [&](const Progress& now) {
        Progress all = now;
        all.runs_done += total.runs_done;
        all.runs = total.runs;
        all.joint_steps += total.joint_steps;
        all.seconds += total.seconds;
        progress(all);
      };
    }
    Reproduction one = reproduce(name, request, "", shown, interrupt);
    total.runs_done += one.result.runs;
    total.joint_steps += one.result.joint_steps;
    total.seconds += one.seconds;
    const std::string prefix = name.substr(std::string("calvano2020-").size()) + ": ";
    for (ReproduceRow& row : one.rows) {
      row.what = prefix + row.what;
      out.rows.push_back(std::move(row));
    }
    out.ok = out.ok && one.ok;
    out.result.device = one.result.device;
    out.result.interrupted = one.result.interrupted;
    if (one.result.interrupted) break;
  }
  out.result.experiment = kCalvanoTables;
  out.result.runs = total.runs_done;
  out.result.joint_steps = total.joint_steps;
  out.result.seconds = out.seconds = total.seconds;
  return out;
}

}  // namespace cumarl
