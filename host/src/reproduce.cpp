#include "host/src/reproduce.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "host/src/config.hpp"
#include "kernels/core/launch.hpp"
#include "kernels/tabular/calvano_exact.hpp"

namespace cumarl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr const char* kExactTitle =
    "The baseline, draw by draw: every field of every session identical";
constexpr const char* kExactSource =
    "Calvano et al., AER 110(10), 2020; output of the programs of openICPSR 119462";

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// ---- published figures: reading ----

constexpr std::array<double, 5> kQuantiles = {0.05, 0.25, 0.5, 0.75, 0.95};

/// The keys of [published].
struct HeadFields {
  std::string title, source;
  int64_t runs = 0;

  void fields(FieldVisitor& v) {
    v("title", title, "what the experiment is");
    v("source", source, "where the figures were published");
    v("runs", runs, Bounds{1, 1e15}, "run", "runs behind the published figures");
  }
};

/// The keys that [[metric]], [[share]] and [[curve]] have in common.
struct FigureFields {
  std::string name;
  double tolerance = PublishedFigure::kNone;
  double rounding = 0;
  int64_t runs = 0;

  void fields(FieldVisitor& v) {
    v("name", name, "of the metric, share or curve");
    v("tolerance", tolerance, Bounds{0, kInfinity}, "", "allowed difference at `runs` runs");
    v("rounding", rounding, Bounds{0, kInfinity}, "", "half a unit of the last published digit");
    v("runs", runs, Bounds{1, 1e15}, "run", "runs behind this figure");
  }
};

class PublishedReader {
 public:
  explicit PublishedReader(const std::string& path) : config_(Config::from_file(path)) {
    read(config_, "published", [&](FieldVisitor& v) { head_.fields(v); });
    if (head_.runs == 0) throw config_.error("published.runs", "is missing");
    out_.title = head_.title;
    out_.source = head_.source;
    for (int i = 0; i < config_.count("metric"); ++i) read_metric(i);
    for (int i = 0; i < config_.count("share"); ++i) read_share(i);
    for (int i = 0; i < config_.count("curve"); ++i) read_curve(i);
    config_.reject_unknown({"published", "metric", "share", "curve"});
    if (out_.figures.empty()) {
      throw config_.error("published", "there is no [[metric]], [[share]] or [[curve]]");
    }
  }
  Published take() { return std::move(out_); }

 private:
  static std::string table(const char* kind, int i) { return fmt::format("{}[{}]", kind, i); }

  /// What is common to all figures of one table; `more` reads the rest.
  PublishedFigure figure(const std::string& at, const std::function<void(FieldVisitor&)>& more) {
    FigureFields common;
    read(config_, at, [&](FieldVisitor& v) {
      common.fields(v);
      more(v);
    });
    if (common.name.empty()) throw config_.error(at + ".name", "is missing");
    PublishedFigure f;
    f.name = common.name;
    f.runs = static_cast<uint64_t>(common.runs > 0 ? common.runs : head_.runs);
    f.tolerance = common.tolerance;
    f.rounding = common.rounding;
    return f;
  }

  void read_metric(int i) {
    const std::string at = table("metric", i);
    double mean = PublishedFigure::kNone;
    double sd = PublishedFigure::kNone;
    std::vector<double> quantiles;
    PublishedFigure f = figure(at, [&](FieldVisitor& v) {
      v("mean", mean, Bounds{}, "", "over runs");
      v("sd", sd, Bounds{0, kInfinity}, "", "standard deviation over runs");
      v("quantiles", quantiles, Bounds{}, "", "5, 25, 50, 75 and 95%; or the median alone");
    });
    if (std::isnan(mean) && std::isnan(sd) && quantiles.empty()) {
      throw config_.error(at, "has no mean, sd or quantiles");
    }
    if (!std::isnan(mean)) {
      f.value = mean;
      f.sd = sd;
      out_.figures.push_back(f);
    }
    f.tolerance = PublishedFigure::kNone;
    if (!std::isnan(sd)) {
      f.kind = PublishedFigure::Kind::sd;
      f.value = sd;
      out_.figures.push_back(f);
    }
    if (!quantiles.empty() && quantiles.size() != 1 && quantiles.size() != kQuantiles.size()) {
      throw config_.error(at + ".quantiles", "must be five values (5, 25, 50, 75, 95%) or one");
    }
    f.kind = PublishedFigure::Kind::quantile;
    for (size_t k = 0; k < quantiles.size(); ++k) {
      f.quantile = quantiles.size() == 1 ? 0.5 : kQuantiles[k];
      f.value = quantiles[k];
      out_.figures.push_back(f);
    }
  }

  void read_share(int i) {
    const std::string at = table("share", i);
    std::string label, given, given_label;
    double value = PublishedFigure::kNone;
    PublishedFigure f = figure(at, [&](FieldVisitor& v) {
      v("label", label, "\"2\", \"3+\" (three and above), \"0,0|2,2\" (either)");
      v("given", given, "a share: count only runs with given_label");
      v("given_label", given_label, "see given");
      v("value", value, Bounds{0, 1}, "", "share of the runs");
    });
    if (label.empty()) throw config_.error(at + ".label", "is missing");
    if (std::isnan(value)) throw config_.error(at + ".value", "is missing");
    if (given.empty() != given_label.empty()) {
      throw config_.error(at + ".given", "given and given_label go together");
    }
    f.kind = PublishedFigure::Kind::share;
    f.value = value;
    f.label = label;
    f.given = given;
    f.given_label = given_label;
    out_.figures.push_back(f);
  }

  void read_curve(int i) {
    const std::string at = table("curve", i);
    int first = 0;
    std::vector<double> values;
    PublishedFigure f = figure(at, [&](FieldVisitor& v) {
      v("first", first, Bounds{0, 1e6}, "", "the point that the first value stands for");
      v("values", values, Bounds{}, "", "point by point, averaged over runs");
    });
    if (values.empty()) throw config_.error(at + ".values", "is missing");
    f.kind = PublishedFigure::Kind::point;
    for (size_t k = 0; k < values.size(); ++k) {
      f.point = first + static_cast<int>(k);
      f.value = values[k];
      out_.figures.push_back(f);
    }
  }

  Config config_;
  HeadFields head_;
  Published out_;
};

// ---- comparing ----

/// The values of one column of a cell, run by run.
std::vector<double> column(const CellResult& cell, const std::string& name) {
  const auto at = std::find(cell.columns.begin(), cell.columns.end(), name);
  if (at == cell.columns.end()) {
    throw ConfigError({"published figures", 0, name, "", "the experiment does not report this",
                       nearest_name(name, cell.columns)});
  }
  const auto c = static_cast<size_t>(at - cell.columns.begin());
  std::vector<double> values(cell.run_ids.size());
  for (size_t r = 0; r < values.size(); ++r) values[r] = cell.values[r * cell.columns.size() + c];
  return values;
}

/// The same of the runs that have the measure.
std::vector<double> numbers(const CellResult& cell, const std::string& name) {
  std::vector<double> values = column(cell, name);
  std::erase_if(values, [](double v) { return std::isnan(v); });
  return values;
}

const std::map<std::string, double>& share_of(const CellResult& cell, const std::string& name) {
  const auto at = cell.shares.find(name);
  if (at == cell.shares.end()) {
    std::vector<std::string> names;
    for (const auto& [known, labels] : cell.shares) names.push_back(known);
    throw ConfigError({"published figures", 0, name, "", "the experiment reports no such share",
                       nearest_name(name, names)});
  }
  return at->second;
}

/// "3+" holds for "3", "4", ...; "1|2" for "1" and "2"; anything else for itself.
bool matches(std::string_view pattern, std::string_view label) {
  for (;;) {
    const size_t bar = pattern.find('|');
    const std::string_view one = pattern.substr(0, bar);
    if (one == label) return true;
    if (one.ends_with('+')) {
      int least = 0;
      int number = 0;
      const auto whole = [](std::string_view text, int& value) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        return error == std::errc{} && end == text.data() + text.size();
      };
      if (whole(one.substr(0, one.size() - 1), least) && whole(label, number) && number >= least) {
        return true;
      }
    }
    if (bar == std::string_view::npos) return false;
    pattern.remove_prefix(bar + 1);
  }
}

/// The labels of a share, run by run. Joint actions are known by their totals only.
std::vector<std::string> labels_of(const CellResult& cell, const std::string& name) {
  const auto& known = share_of(cell, name);
  const bool yes_no = known.contains("true") || known.contains("false");
  std::vector<std::string> labels;
  for (const double value : column(cell, name)) {
    labels.push_back(yes_no ? (value != 0 ? "true" : "false")
                            : std::to_string(static_cast<uint64_t>(value)));
    if (!known.contains(labels.back())) {
      throw ConfigError({"published figures", 0, name, "",
                         "shares of joint actions cannot be given or depend on others", ""});
    }
  }
  return labels;
}

/// Type 7 of Hyndman and Fan. Pre: sorted, not empty.
double quantile_of(const std::vector<double>& sorted, double q) {
  const double place = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// Mean, and the second and fourth central moment.
struct Moments {
  double mean = 0, second = 0, fourth = 0;

  explicit Moments(const std::vector<double>& values) {
    const auto n = static_cast<double>(values.size());
    for (const double v : values) mean += v;
    mean /= n;
    for (const double v : values) {
      const double square = (v - mean) * (v - mean);
      second += square / n;
      fourth += square * square / n;
    }
  }
};

void compare_mean(const CellResult& cell, ReproduceRow& row) {
  const PublishedFigure& f = row.figure;
  const bool point = f.kind == PublishedFigure::Kind::point;
  const auto values = numbers(cell, point ? f.name + "_" + std::to_string(f.point) : f.name);
  row.n = values.size();
  if (row.n < 2) return;
  const auto n = static_cast<double>(row.n);
  const Moments m(values);
  const double sd = std::sqrt(m.second * n / (n - 1));
  row.ours = m.mean;
  row.se = sd / std::sqrt(n);
  const double theirs = (std::isnan(f.sd) ? sd : f.sd) / std::sqrt(static_cast<double>(f.runs));
  row.tolerance = 3 * std::hypot(theirs, row.se);
}

void compare_sd(const CellResult& cell, ReproduceRow& row) {
  const auto values = numbers(cell, row.figure.name);
  row.n = values.size();
  if (row.n < 2) return;
  const auto n = static_cast<double>(row.n);
  const Moments m(values);
  row.ours = std::sqrt(m.second * n / (n - 1));
  row.se = m.second > 0
               ? std::sqrt(std::max(0.0, m.fourth - m.second * m.second) / (4 * m.second * n))
               : 0.0;
  row.tolerance = 3 * row.se * std::sqrt(1 + n / static_cast<double>(row.figure.runs));
}

void compare_quantile(const CellResult& cell, ReproduceRow& row) {
  auto values = numbers(cell, row.figure.name);
  row.n = values.size();
  if (row.n < 2) return;
  std::sort(values.begin(), values.end());
  const double q = row.figure.quantile;
  const double variance = q * (1 - q) / static_cast<double>(row.n);
  const double d = std::sqrt(variance);
  const double reach = 3 * std::sqrt(variance + q * (1 - q) / static_cast<double>(row.figure.runs));
  row.ours = quantile_of(values, q);
  row.se = (quantile_of(values, q + d) - quantile_of(values, q - d)) / 2;
  row.tolerance = row.figure.value >= row.ours ? quantile_of(values, q + reach) - row.ours
                                               : row.ours - quantile_of(values, q - reach);
}

void compare_share(const CellResult& cell, ReproduceRow& row) {
  const PublishedFigure& f = row.figure;
  double hits = 0;
  if (f.given.empty()) {
    row.n = cell.runs;
    for (const auto& [label, share] : share_of(cell, f.name)) {
      if (matches(f.label, label)) hits += share * static_cast<double>(cell.runs);
    }
  } else {
    const auto labels = labels_of(cell, f.name);
    const auto given = labels_of(cell, f.given);
    for (size_t r = 0; r < labels.size(); ++r) {
      if (!matches(f.given_label, given[r])) continue;
      ++row.n;
      hits += matches(f.label, labels[r]) ? 1 : 0;
    }
  }
  if (row.n == 0) return;
  const auto n = static_cast<double>(row.n);
  const auto published = static_cast<double>(f.runs);
  row.ours = hits / n;
  row.se = std::sqrt(row.ours * (1 - row.ours) / n);
  const double pooled = (hits + f.value * published) / (n + published);
  row.tolerance = 3 * std::sqrt(std::max(0.0, pooled * (1 - pooled)) * (1 / n + 1 / published));
}

// ---- sessions of the exact mode ----

constexpr const char* kGoldenHeader =
    "session,converged,ttc_episodes_of_25000,cycle_length,cycle_states,strategy_firm1,"
    "strategy_firm2";
constexpr std::array<const char*, 6> kGoldenFields = {"converged",      "ttc_episodes_of_25000",
                                                      "cycle_length",   "cycle_states",
                                                      "strategy_firm1", "strategy_firm2"};
constexpr int kMaxSession = 10'000'000;

/// One line of a golden file; states and prices as there, from 1.
struct GoldenSession {
  int session = 0;
  int converged = 0;
  double ttc = 0;  ///< in episodes of 25,000 periods, two decimals
  int cycle_length = 0;
  std::vector<int> cycle_states;
  std::array<std::vector<int>, kExactFirms> strategy;
};

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& path) : path_(path), file_(path) {
    std::error_code error;
    if (!fs::is_regular_file(path, error) || !file_) fail("cannot be read as a file");
    if (!next_line() || line_ != kGoldenHeader) {
      number_ = 1;
      fail(fmt::format("must start with the columns {}", kGoldenHeader));
    }
    while (next_line()) {
      if (!line_.empty()) sessions_.push_back(parse());
    }
    if (sessions_.empty()) fail("holds no session");
  }
  const std::vector<GoldenSession>& sessions() const { return sessions_; }

 private:
  bool next_line() {
    if (!std::getline(file_, line_)) return false;
    ++number_;
    if (line_.ends_with('\r')) line_.pop_back();
    return true;
  }

  [[noreturn]] void fail(const std::string& why, const char* key = "") const {
    throw ConfigError({path_, number_, key, "", why, ""});
  }

  template <class Number>
  Number number(std::string_view text, const char* key, Number least, Number most) const {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() ||
        !(value >= least && value <= most)) {
      fail(fmt::format("\"{}\": must be a number from {} to {}", text.substr(0, 40), least, most),
           key);
    }
    return value;
  }

  std::vector<int> numbers(std::string_view text, const char* key, size_t count, int most) const {
    std::vector<int> values;
    while (!text.empty()) {
      const size_t space = std::min(text.find(' '), text.size());
      values.push_back(number<int>(text.substr(0, space), key, 1, most));
      text.remove_prefix(std::min(space + 1, text.size()));
    }
    if (values.size() != count) {
      fail(fmt::format("has {} numbers, must have {}", values.size(), count), key);
    }
    return values;
  }

  GoldenSession parse() const {
    std::vector<std::string_view> parts;
    std::string_view rest = line_;
    for (size_t comma; (comma = rest.find(',')) != std::string_view::npos;) {
      parts.push_back(rest.substr(0, comma));
      rest.remove_prefix(comma + 1);
    }
    parts.push_back(rest);
    if (parts.size() != kGoldenFields.size() + 1) {
      fail(fmt::format("has {} columns, must have {}", parts.size(), kGoldenFields.size() + 1));
    }
    GoldenSession s;
    s.session = number<int>(parts[0], "session", 1, kMaxSession);
    s.converged = number<int>(parts[1], kGoldenFields[0], 0, 1);
    s.ttc = number<double>(parts[2], kGoldenFields[1], 0.0, 1e9);
    s.cycle_length = number<int>(parts[3], kGoldenFields[2], 1, kExactStates);
    s.cycle_states =
        numbers(parts[4], kGoldenFields[3], static_cast<size_t>(s.cycle_length), kExactStates);
    for (size_t i = 0; i < kExactFirms; ++i) {
      s.strategy[i] = numbers(parts[5 + i], kGoldenFields[4 + i], kExactStates, kExactPrices);
    }
    return s;
  }

  std::string path_;
  std::ifstream file_;
  std::string line_;
  int number_ = 0;
  std::vector<GoldenSession> sessions_;
};

/// A session that was run, in the words of the file.
GoldenSession as_golden(int session, const ExactSession& s) {
  GoldenSession out;
  out.session = session;
  out.converged = s.converged;
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f", static_cast<double>(s.ttc) / 25000.0);
  std::from_chars(text, text + sizeof(text), out.ttc);
  out.cycle_length = s.cycle_length;
  for (int i = 0, state = 0; i < s.cycle_length; ++i) {
    state = i < kExactMaxCycle ? s.cycle_state[i]
                               : kExactPrices * s.strategy[0][state] + s.strategy[1][state];
    out.cycle_states.push_back(state + 1);
  }
  for (size_t i = 0; i < kExactFirms; ++i) {
    for (const uint8_t price : s.strategy[i]) out.strategy[i].push_back(price + 1);
  }
  return out;
}

/// Where two sessions differ, field by field; "" where they agree.
std::array<std::string, kGoldenFields.size()> differences(const GoldenSession& file,
                                                          const GoldenSession& ours) {
  std::array<std::string, kGoldenFields.size()> found;
  const auto note = [&](size_t field, const std::string& where, auto theirs, auto mine) {
    if (found[field].empty() && theirs != mine) {
      found[field] = fmt::format("session {}: {}{} is {} in the file and {} here", file.session,
                                 kGoldenFields[field], where, theirs, mine);
    }
  };
  note(0, "", file.converged, ours.converged);
  note(1, "", file.ttc, ours.ttc);
  note(2, "", file.cycle_length, ours.cycle_length);
  const size_t shorter = std::min(file.cycle_states.size(), ours.cycle_states.size());
  for (size_t k = 0; k < shorter; ++k) {
    note(3, fmt::format(" at place {}", k + 1), file.cycle_states[k], ours.cycle_states[k]);
  }
  note(3, " (how many)", file.cycle_states.size(), ours.cycle_states.size());
  for (size_t i = 0; i < kExactFirms; ++i) {
    for (size_t s = 0; s < kExactStates; ++s) {
      note(4 + i, fmt::format(" in state {}", s + 1), file.strategy[i][s], ours.strategy[i][s]);
    }
  }
  return found;
}

Json number_json(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

/// Options that calvano2020-exact has no use for would otherwise be ignored silently.
void reject_run_options(const char* name, const RunRequest& request) {
  const auto reject = [&](bool given, const char* option) {
    if (given) {
      throw ConfigError(
          {option, 0, "", "",
           std::string("does not apply to ") + name + ", which computes what its file names", ""});
    }
  };
  reject(!request.sets.empty(), "--set");
  reject(request.runs.has_value(), "--runs");
  reject(request.seed.has_value(), "--seed");
  reject(request.batch != 0, "--batch");
  reject(request.shards != 1, "--shard");
  if (request.device != "auto" && request.device != "cpu") {
    throw DeviceError(request.device, {"cpu"}, std::string(name) + " runs on CPU threads");
  }
}

}  // namespace

std::string PublishedFigure::text() const {
  switch (kind) {
    case Kind::mean: return name + ", mean";
    case Kind::sd: return name + ", s.d.";
    case Kind::quantile: return fmt::format("{}, {:g}% quantile", name, 100 * quantile);
    case Kind::point: return fmt::format("{}, point {}", name, point);
    case Kind::share: break;
  }
  const std::string condition =
      given.empty() ? "" : fmt::format(" where {} = {}", given, given_label);
  return fmt::format("share of {} = {}{}", name, label, condition);
}

Published read_published(const std::string& path) { return PublishedReader(path).take(); }

ReproduceRow compare(const CellResult& cell, const PublishedFigure& figure) {
  ReproduceRow row;
  row.what = figure.text();
  row.published = figure.value;
  row.ours = row.se = PublishedFigure::kNone;
  row.tolerance = kInfinity;
  row.figure = figure;
  switch (figure.kind) {
    case PublishedFigure::Kind::mean:
    case PublishedFigure::Kind::point: compare_mean(cell, row); break;
    case PublishedFigure::Kind::sd: compare_sd(cell, row); break;
    case PublishedFigure::Kind::quantile: compare_quantile(cell, row); break;
    case PublishedFigure::Kind::share: compare_share(cell, row); break;
  }
  if (!std::isfinite(row.tolerance)) {
    row.rule = "too few runs";
    row.ok = true;
    return row;
  }
  row.rule = "3 s.e.";
  if (!std::isnan(figure.tolerance) &&
      (row.n >= figure.runs || figure.tolerance >= row.tolerance)) {
    row.tolerance = figure.tolerance;
    row.rule = "stated";
  }
  row.tolerance += figure.rounding;
  row.ok = std::fabs(row.ours - row.published) <= row.tolerance;
  return row;
}

std::string experiments_directory() {
  std::error_code error;
  if (const char* given = std::getenv("CUMARL_EXPERIMENTS"); given != nullptr && *given != '\0') {
    if (fs::is_directory(given, error)) return given;
    throw ConfigError(
        {"CUMARL_EXPERIMENTS", 0, "", "", std::string("\"") + given + "\" is not a folder", ""});
  }
  for (const char* known : {CUMARL_SOURCE_EXPERIMENTS, CUMARL_INSTALLED_EXPERIMENTS}) {
    if (fs::is_directory(known, error)) return known;
  }
  throw ConfigError({"experiments", 0, "", "",
                     "not found in " CUMARL_SOURCE_EXPERIMENTS " or " CUMARL_INSTALLED_EXPERIMENTS
                     "; set CUMARL_EXPERIMENTS to their folder",
                     ""});
}

std::vector<std::pair<std::string, std::string>> experiment_names() {
  const fs::path directory = experiments_directory();
  std::vector<std::pair<std::string, std::string>> names{{kExactExperiment, kExactTitle},
                                                         {kEquilibria, kEquilibriaTitle}};
  std::error_code error;
  if (fs::exists(directory / (std::string(kCalvanoGrid) + ".toml"), error)) {
    names.emplace_back(kCalvanoGrid, kCalvanoGridTitle);
    names.emplace_back(kCalvanoTables, kCalvanoTablesTitle);
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(directory / "published", error)) {
    if (entry.path().extension() != ".toml") continue;
    if (!fs::exists(directory / entry.path().filename(), error)) continue;
    names.emplace_back(entry.path().stem().string(), read_published(entry.path().string()).title);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Reproduction reproduce(const std::string& name, RunRequest request, const std::string& golden,
                       const ProgressCallback& progress, const InterruptFlag* interrupt) {
  const std::string directory = experiments_directory();
  if (name == kExactExperiment) {
    reject_run_options(kExactExperiment, request);
    const std::string shipped = directory + "/data/calvano2020_baseline_sessions_1_200.csv";
    return reproduce_exact(golden.empty() ? shipped : golden, request.threads, progress, interrupt);
  }
  if (!golden.empty()) {
    throw ConfigError({"--golden " + golden, 0, "", "",
                       std::string("only ") + kExactExperiment + " compares with sessions", ""});
  }
  if (name == kEquilibria) {
    reject_run_options(kEquilibria, request);
    return reproduce_equilibria(directory + "/data/matrix_game_equilibria.csv");
  }
  if (name == kCalvanoGrid) {
    return reproduce_calvano_grid(std::move(request), directory, progress, interrupt);
  }
  if (name == kCalvanoTables) return reproduce_calvano_tables(request, progress, interrupt);
  std::vector<std::string> names;
  for (const auto& [known, title] : experiment_names()) names.push_back(known);
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    throw ConfigError({"", 0, "reproduce", name,
                       "no such experiment (`cumarl reproduce` lists them)",
                       nearest_name(name, names)});
  }
  const Published published = read_published(directory + "/published/" + name + ".toml");
  request.config_file = directory + "/" + name + ".toml";
  const Runner runner(request);
  if (runner.plan().cells != 1) {
    throw ConfigError({request.config_file, 0, "sweep", "",
                       "published figures are compared with one cell, not with a sweep", ""});
  }
  Reproduction out;
  out.name = name;
  out.title = published.title;
  out.source = published.source;
  out.result = runner.run(progress, interrupt);
  out.seconds = out.result.seconds;
  if (out.result.interrupted) return out;
  for (const PublishedFigure& figure : published.figures) {
    out.rows.push_back(compare(out.result.cells[0], figure));
  }
  out.ok = std::all_of(out.rows.begin(), out.rows.end(), [](const auto& row) { return row.ok; });
  return out;
}

Reproduction reproduce_exact(const std::string& golden, int threads,
                             const ProgressCallback& progress, const InterruptFlag* interrupt) {
  const GoldenFile file(golden);
  const std::vector<GoldenSession>& sessions = file.sessions();
  int last = 0;
  for (const GoldenSession& s : sessions) last = std::max(last, s.session);
  std::vector<uint32_t> initial(static_cast<size_t>(last));
  draw_exact_initial_states(last, initial.data());
  const ExactMarket market = make_exact_market();

  const auto begin = std::chrono::steady_clock::now();
  std::vector<ExactSession> played(sessions.size());
  std::atomic<uint64_t> steps{0};
  std::mutex mutex;  // guards done, reported and the callback
  uint64_t done = 0;
  double reported = 0;
  const int all = static_cast<int>(std::thread::hardware_concurrency());
  const CpuBackend backend(threads > 0 ? threads : std::max(1, all));
  launch_teams(backend, sessions.size(), sizeof(ExactWorkspace),
               [&](const auto&, uint64_t i, std::byte* scratch) {
                 if (interrupt != nullptr && interrupt->load()) return;
                 auto& workspace = *new (scratch) ExactWorkspace;
                 const int session = sessions[i].session;
                 run_exact_session(market, workspace, initial[static_cast<size_t>(session) - 1],
                                   session, played[i]);
                 steps += played[i].periods;
                 const std::lock_guard lock(mutex);
                 ++done;
                 if (progress && since(begin) >= reported + 0.1) {
                   reported = since(begin);
                   Progress now;
                   now.runs_done = done;
                   now.runs = sessions.size();
                   now.joint_steps = steps.load();
                   now.seconds = reported;
                   progress(now);
                 }
               });

  Reproduction out;
  out.name = kExactExperiment;
  out.title = kExactTitle;
  out.source = kExactSource;
  out.seconds = since(begin);
  out.exact = ExactComparison{sessions.size(), 0, ""};
  if (interrupt != nullptr && interrupt->load()) return out;

  std::array<uint64_t, kGoldenFields.size()> equal{};
  for (size_t i = 0; i < sessions.size(); ++i) {
    const auto found = differences(sessions[i], as_golden(sessions[i].session, played[i]));
    bool same = true;
    for (size_t field = 0; field < found.size(); ++field) {
      if (found[field].empty()) {
        ++equal[field];
        continue;
      }
      same = false;
      if (out.exact->first_difference.empty()) out.exact->first_difference = found[field];
    }
    out.exact->identical += same ? 1 : 0;
  }
  for (size_t field = 0; field < equal.size(); ++field) {
    ReproduceRow row;
    row.what = std::string("sessions with the same ") + kGoldenFields[field];
    row.n = sessions.size();
    row.published = static_cast<double>(row.n);
    row.ours = static_cast<double>(equal[field]);
    row.ok = equal[field] == row.n;
    row.rule = "identity";
    out.rows.push_back(row);
  }
  out.ok = out.exact->identical == sessions.size();
  return out;
}

std::string to_json(const Reproduction& r) {
  Json out{{"name", r.name}, {"source", r.source}};
  if (r.exact) {
    out["sessions"] = r.exact->sessions;
    out["identical"] = r.exact->identical;
    out["first_difference"] =
        r.exact->first_difference.empty() ? Json(nullptr) : Json(r.exact->first_difference);
  }
  out["rows"] = Json::array();
  for (const ReproduceRow& row : r.rows) {
    out["rows"].push_back({{"what", row.what},
                           {"published", number_json(row.published)},
                           {"ours", number_json(row.ours)},
                           {"se", number_json(row.se)},
                           {"n", row.n},
                           {"tolerance", number_json(row.tolerance)},
                           {"ok", row.ok}});
  }
  out["ok"] = r.ok;
  out["seconds"] = r.seconds;
  return out.dump();
}

std::string to_table(const Reproduction& r) {
  size_t width = 6;
  for (const ReproduceRow& row : r.rows) width = std::max(width, row.what.size());
  std::string text = fmt::format("{}: {}\nsource: {}\n\n", r.name, r.title, r.source);
  text += fmt::format("  {:<{}} {:>11} {:>11} {:>10} {:>7} {:>11}  {:<13} {}\n", "figure", width,
                      "published", "ours", "s.e.", "n", "tolerance", "rule", "ok");
  size_t failed = 0;
  const auto cell = [](double value, int digits) {
    return std::isfinite(value) ? fmt::format("{:.{}g}", value, digits) : std::string("-");
  };
  for (const ReproduceRow& row : r.rows) {
    failed += row.ok ? 0 : 1;
    text += fmt::format("  {:<{}} {:>11} {:>11} {:>10} {:>7} {:>11}  {:<13} {}\n", row.what, width,
                        cell(row.published, 7), cell(row.ours, 7), cell(row.se, 3), row.n,
                        cell(row.tolerance, 3), row.rule, row.ok ? "yes" : "NO");
  }
  if (r.exact) {
    text += fmt::format("\n{} of {} sessions identical\n", r.exact->identical, r.exact->sessions);
    if (!r.exact->first_difference.empty()) {
      text += fmt::format("first difference: {}\n", r.exact->first_difference);
    }
  } else {
    text += r.result.runs > 0 ? fmt::format("\n{} runs on {} in {:.2f} s\n", r.result.runs,
                                            r.result.device, r.seconds)
                              : fmt::format("\ncomputed in {:.2f} s\n", r.seconds);
  }
  text += failed == 0 ? fmt::format("all {} figures within their tolerance\n", r.rows.size())
                      : fmt::format("{} of {} figures out of tolerance\n", failed, r.rows.size());
  return text;
}

}  // namespace cumarl
