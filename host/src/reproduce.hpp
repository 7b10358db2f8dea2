/// \file
/// `cumarl reproduce`: shipped experiments beside their published figures.
///
/// An experiment is experiments/NAME.toml, an ordinary configuration; what was published about it
/// is experiments/published/NAME.toml:
///
///     [published]
///     title  = "The baseline: two firms, 15 prices"
///     source = "Author, Journal Year"
///     runs   = 1000                     # behind every figure that does not say otherwise
///
///     [[metric]]                        # mean, sd and quantiles over runs; all are optional
///     name      = "profit_gain"
///     mean      = 0.84872
///     sd        = 0.11198
///     quantiles = [0.654, 0.777, 0.868, 0.938, 0.994]   # 5, 25, 50, 75, 95%
///     tolerance = 0.012                 # of the mean, at `runs` runs or more
///
///     [[share]]                         # share of the runs with a label
///     name  = "cycle_length"
///     label = "3+"                      # "3+": three and above; "0,0|2,2": either of two
///     value = 0.119
///
///     [[curve]]                         # points first, first + 1, ... of a curve, averaged
///     name   = "price_rival"
///     first  = 1
///     values = [1.791, 1.547]
///
/// A mean, standard deviation or quantile is one over the runs that have the measure.
/// A share may be one among the runs with a given label (`given = "cycle_length"`, `given_label =
/// "1"`). Any of the three may have `runs`, and `rounding`: half a unit of the last digit where the
/// published figure is so coarse that it matters. Curves may have `tolerance` as well.
///
/// Tolerances. Both sides are samples, so the difference has the standard error of both together;
/// three of them are allowed:
///   mean      3 sqrt(sd^2 / published runs + se^2), sd the published one, or else ours
///   sd        3 se sqrt(1 + n / published runs), se from the fourth moment
///   quantile  the way from our quantile at q to that at q -+ 3 sqrt(q (1-q) (1/n + 1/published
///             runs)), on the side of the published one: distributions have gaps
///   share     3 sqrt(p (1-p) (1/n + 1/published runs)), p pooled over both
/// A stated `tolerance` stands instead; with fewer runs than published the larger of the two does.
/// `rounding` comes on top.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cumarl/runner.hpp"

namespace cumarl {

/// One published figure.
struct PublishedFigure {
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

  enum class Kind { mean, sd, quantile, share, point };

  Kind kind = Kind::mean;
  std::string name;  ///< of the metric, share or curve
  double value = 0;
  uint64_t runs = 0;               ///< that the published figure rests on
  double sd = kNone;               ///< published standard deviation over runs, of a mean
  double tolerance = kNone;        ///< stated, at `runs` runs or more
  double rounding = 0;             ///< half a unit of the last published digit
  double quantile = 0;             ///< which, from 0 to 1
  int point = 0;                   ///< of a curve
  std::string label;               ///< of a share
  std::string given, given_label;  ///< share among the runs with this label; "": among all

  /// "profit_gain, 5% quantile", "nash_on_path = true, cycle_length = 1".
  std::string text() const;
};

/// Everything that was published about an experiment.
struct Published {
  std::string title, source;
  std::vector<PublishedFigure> figures;
};

/// A published figure beside ours.
struct ReproduceRow {
  std::string what;
  double published = 0;
  double ours = 0;       ///< nan where no run could tell
  double se = 0;         ///< standard error of ours
  uint64_t n = 0;        ///< runs behind ours
  double tolerance = 0;  ///< infinite where n is too small to say anything
  bool ok = false;
  std::string rule;  ///< where the tolerance comes from, in words
  PublishedFigure figure;
};

/// What calvano2020-exact says.
struct ExactComparison {
  uint64_t sessions = 0;
  uint64_t identical = 0;        ///< sessions that agree in every field
  std::string first_difference;  ///< session and field; "" where there is none
};

/// Outcome of a reproduction.
struct Reproduction {
  std::string name, title, source;
  std::vector<ReproduceRow> rows;
  bool ok = false;  ///< every row is; false where it was interrupted
  double seconds = 0;
  Result result;        ///< no cells for calvano2020-exact and calvano2020-tables
  std::string picture;  ///< an SVG of its own; "": the one that suits the rows
  std::optional<ExactComparison> exact;
};

using ProgressCallback = std::function<void(const Progress&)>;

/// Name of the experiment that is compared session by session instead.
inline constexpr const char* kExactExperiment = "calvano2020-exact";

/// Name of the experiment that solves the named games.
inline constexpr const char* kEquilibria = "game-equilibria";
inline constexpr const char* kEquilibriaTitle = "Equilibria of the named games, and soccer's value";

/// Names of the grid of learning rates and rates of decay, and of all single experiments in one.
inline constexpr const char* kCalvanoGrid = "calvano2020-grid";
inline constexpr const char* kCalvanoGridTitle =
    "Profit gains over alpha and beta (figure 1), 100 x 100 cells, with a heat map";
inline constexpr const char* kCalvanoTables = "calvano2020-tables";
inline constexpr const char* kCalvanoTablesTitle =
    "Every published figure of every calvano2020 experiment, in one table";

/// The folder with the shipped experiments: $CUMARL_EXPERIMENTS, else that of the source tree, else
/// the installed one. Throws ConfigError where there is none.
std::string experiments_directory();

/// Names and titles of the shipped experiments, by name. Throws ConfigError.
std::vector<std::pair<std::string, std::string>> experiment_names();

/// Reads a file of published figures. Throws ConfigError.
Published read_published(const std::string& path);

/// Compares one cell with one figure. Throws ConfigError where the cell has no such metric.
ReproduceRow compare(const CellResult& cell, const PublishedFigure& figure);

/// Runs an experiment and compares it. `request` may override runs, seed, settings, device and so
/// on; its config_file is set here. `golden`: a file of sessions for calvano2020-exact, "" for the
/// shipped one. Errors: ConfigError (unknown name, options that do not apply), DeviceError, and
/// what Runner throws.
Reproduction reproduce(const std::string& name, RunRequest request, const std::string& golden = {},
                       const ProgressCallback& progress = {},
                       const InterruptFlag* interrupt = nullptr);

/// Runs the sessions of a golden file in exact replication mode (kernels/tabular/
/// calvano_exact.hpp) on CPU threads (0: all) and compares every field. The file has the columns
/// session,converged,ttc_episodes_of_25000,cycle_length,cycle_states,strategy_firm1,strategy_firm2
/// (experiments/data/), in any order of sessions. Throws ConfigError with file and line where it is
/// malformed.
Reproduction reproduce_exact(const std::string& golden, int threads,
                             const ProgressCallback& progress = {},
                             const InterruptFlag* interrupt = nullptr);

/// Solves games and compares with a file of known solutions, lines game,concept,option,strategies,
/// values (experiments/data/matrix_game_equilibria.csv). Throws ConfigError with file and line.
Reproduction reproduce_equilibria(const std::string& file);

/// Runs the grid (experiments/calvano2020-grid.toml; `request` may thin it by its sets) and compares
/// what the paper says of figure 1. Sessions of a few cells are pooled: the figure in 25 parts, whose
/// lowest and highest mean must be within the published range; and the neighbourhood, a tenth of
/// alpha and of beta around, of each cell that was published by itself. Has a picture of its own.
/// Throws ConfigError where the sweep is over anything else.
Reproduction reproduce_calvano_grid(RunRequest request, const std::string& directory,
                                    const ProgressCallback& progress = {},
                                    const InterruptFlag* interrupt = nullptr);

/// Runs every calvano2020 experiment that has published figures, one after another, with what
/// `request` overrides for each, and compares them all.
Reproduction reproduce_calvano_tables(const RunRequest& request,
                                      const ProgressCallback& progress = {},
                                      const InterruptFlag* interrupt = nullptr);

/// The JSON object that `cumarl reproduce --json` prints.
std::string to_json(const Reproduction& reproduction);

/// An aligned table with a verdict, for people.
std::string to_table(const Reproduction& reproduction);

}  // namespace cumarl
