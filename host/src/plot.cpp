#include "host/src/plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace cumarl {
namespace {

using charts::Bar;
using charts::Panel;
using charts::Svg;
using charts::Theme;

// ---- finding figures ----

using Kind = PublishedFigure::Kind;

const ReproduceRow* find_row(const std::vector<ReproduceRow>& rows, Kind kind,
                             const std::string& name) {
  for (const ReproduceRow& row : rows) {
    if (row.figure.kind == kind && row.figure.name == name) return &row;
  }
  return nullptr;
}

/// The share of runs with a label, with what `rows` say about it.
Bar share_bar(const CellResult& cell, const std::vector<ReproduceRow>& rows,
              std::vector<std::string> text, const std::string& name, const std::string& label,
              const std::string& given = {}, const std::string& given_label = {}) {
  Bar bar;
  bar.label = std::move(text);
  PublishedFigure figure;
  figure.kind = Kind::share;
  figure.name = name;
  figure.label = label;
  figure.given = given;
  figure.given_label = given_label;
  figure.runs = 1;
  const ReproduceRow ours = compare(cell, figure);
  bar.ours = ours.ours;
  bar.se = ours.se;
  for (const ReproduceRow& row : rows) {
    const PublishedFigure& f = row.figure;
    if (f.kind == Kind::share && f.name == name && f.label == label && f.given == given &&
        f.given_label == given_label) {
      bar.published = f.value;
    }
  }
  return bar;
}

// ---- panels ----

void draw_gains(Svg& svg, Panel& p, const CellResult& cell, const std::vector<ReproduceRow>& rows) {
  const Statistic& gain = cell.metrics.at("profit_gain");
  const std::vector<double> sorted = sorted_values(cell, "profit_gain");
  if (sorted.empty()) return;
  charts::Histogram histogram;
  histogram.bins = charts::bin(sorted);
  histogram.mean = gain.mean;
  histogram.se = gain.se;
  if (const auto* row = find_row(rows, Kind::mean, "profit_gain"); row != nullptr) {
    histogram.published = row->published;
  }
  histogram.low = 0;
  histogram.high = 1;
  histogram.marks = {{0, "static Nash"}, {1, "monopoly"}};
  histogram.x_label = "profit gain: (profit - Nash) / (monopoly - Nash)";
  histogram.y_label = "share of sessions, %";
  p.title(svg, "Profit gain over sessions");
  draw_histogram(svg, p, histogram);
}

std::string suffix_of(Deviation deviation) {
  return deviation == Deviation::as_published ? "_as_published" : "";
}

/// A bracket under bars first..last with words below it.
void draw_group(Svg& svg, const Panel& p, size_t first, size_t last, const std::string& words) {
  const double y = p.bottom() + 23;
  const double from = p.x(static_cast<double>(first) + 0.08);
  const double to = p.x(static_cast<double>(last) + 0.92);
  svg.line({from, y}, {to, y}, svg.theme().faint);
  svg.text({(from + to) / 2, y + 14}, words,
           {.anchor = "middle", .size = 11.5, .color = svg.theme().faint});
}

std::string summary(const Result& result) {
  std::string text =
      fmt::format("{}: {} runs on {}", result.experiment, result.runs, result.device);
  if (result.converged > 0) text += fmt::format(", {} converged", result.converged);
  return text;
}

void write_head(Svg& svg, const std::string& title, const std::string& below) {
  svg.text({24, 28}, title, {.size = 16, .bold = true});
  svg.text({24, 47}, below, {.color = svg.theme().faint});
}

}  // namespace

std::vector<double> sorted_values(const CellResult& cell, const std::string& column) {
  std::vector<double> values;
  const auto at = std::find(cell.columns.begin(), cell.columns.end(), column);
  if (at == cell.columns.end()) return values;
  const auto place = static_cast<size_t>(at - cell.columns.begin());
  std::vector<uint64_t> diverged;
  for (const Divergence& one : cell.diverged) diverged.push_back(one.run);
  std::sort(diverged.begin(), diverged.end());
  values.reserve(cell.run_ids.size());
  for (size_t r = 0; r < cell.run_ids.size(); ++r) {
    const double v = cell.values[r * cell.columns.size() + place];
    if (!std::isfinite(v)) continue;
    if (std::binary_search(diverged.begin(), diverged.end(), cell.run_ids[r])) continue;
    values.push_back(v);
  }
  std::sort(values.begin(), values.end());
  return values;
}

bool has_impulse(const CellResult& cell, Deviation deviation) {
  return cell.curves.contains("price_deviator" + suffix_of(deviation)) &&
         cell.curves.contains("price_rival" + suffix_of(deviation));
}

void draw_impulse(Svg& svg, Panel& p, const CellResult& cell, Deviation deviation,
                  const std::vector<ReproduceRow>& rows, const std::vector<charts::Mark>& marks) {
  const std::string suffix = suffix_of(deviation);
  charts::LineChart chart;
  chart.x_label = "period (0: before the deviation)";
  chart.y_label = "price";
  chart.marks = marks;
  for (const auto& [name, words] :
       {std::pair{"price_deviator", "deviator, 95% band"}, std::pair{"price_rival", "rival"}}) {
    charts::Series series = curve_series(words, cell.curves.at(name + suffix));
    for (const ReproduceRow& row : rows) {
      if (row.figure.kind != Kind::point || row.figure.name != name + suffix) continue;
      series.published.push_back({static_cast<double>(row.figure.point), row.published});
    }
    chart.series.push_back(std::move(series));
  }
  p.title(svg,
          deviation == Deviation::as_published
              ? "Prices after a deviation in period 1, as published"
              : "Prices after a best-response deviation in period 1",
          charts::legend_rows(chart, p.width));
  draw_lines(svg, p, chart);
}

charts::Series curve_series(const std::string& name, const std::vector<Statistic>& curve) {
  charts::Series series;
  series.name = name;
  for (size_t k = 0; k < curve.size(); ++k) {
    const bool any = curve[k].n > 0;
    series.x.push_back(static_cast<double>(k));
    series.y.push_back(any ? curve[k].mean : charts::kNone);
    series.low.push_back(curve[k].mean - charts::kInterval * curve[k].se);
    series.high.push_back(curve[k].mean + charts::kInterval * curve[k].se);
  }
  return series;
}

std::string pricing_picture(const std::string& title, const Result& result,
                            const std::vector<ReproduceRow>& rows) {
  const CellResult& cell = result.cells.at(0);
  Svg svg(1320, 440, title);
  write_head(svg, title, summary(result));
  Panel histogram{78, 104, 340, 270};
  draw_gains(svg, histogram, cell, rows);
  Panel impulse{512, 104, 340, 270};
  draw_impulse(svg, impulse, cell,
               find_row(rows, Kind::point, "price_rival_as_published") != nullptr
                   ? Deviation::as_published
                   : Deviation::best_response,
               rows, {});

  std::vector<Bar> bars;
  for (const char* length : {"1", "2", "3+"}) {
    bars.push_back(share_bar(cell, rows, {length}, "cycle_length", length));
  }
  if (cell.shares.contains("nash_on_path")) {
    bars.push_back(share_bar(cell, rows, {"all"}, "nash_on_path", "true"));
    for (const char* length : {"1", "2", "3+"}) {
      bars.push_back(
          share_bar(cell, rows, {length}, "nash_on_path", "true", "cycle_length", length));
    }
  }
  Panel shares{936, 104, 366, 270};
  shares.title(svg, "Limit cycles");
  draw_bars(svg, shares, bars, "share of sessions, %");
  draw_group(svg, shares, 0, 2, "cycle length");
  if (bars.size() > 3) draw_group(svg, shares, 3, 6, "Nash on the path, by cycle length");
  return svg.finish();
}

std::string joint_action_picture(const std::string& title, const Result& result,
                                 const std::vector<ReproduceRow>& rows) {
  constexpr const char* kShare = "greedy_joint_action";
  constexpr size_t kMostBars = 10;
  const CellResult& cell = result.cells.at(0);
  std::vector<Bar> bars;
  std::vector<std::string> shown;
  const auto add = [&](const std::string& label) {
    if (bars.size() == kMostBars || std::find(shown.begin(), shown.end(), label) != shown.end()) {
      return;
    }
    std::vector<std::string> lines;
    for (size_t from = 0; from != std::string::npos;) {
      const size_t bar = label.find('|', from);
      const std::string one = label.substr(from, bar == std::string::npos ? bar : bar - from);
      lines.push_back((lines.empty() ? "(" : "or (") + one + ")");
      from = bar == std::string::npos ? bar : bar + 1;
    }
    shown.push_back(label);
    bars.push_back(share_bar(cell, rows, lines, kShare, label));
  };
  for (const ReproduceRow& row : rows) {
    if (row.figure.kind == Kind::share && row.figure.name == kShare) add(row.figure.label);
  }
  std::vector<std::pair<double, std::string>> others;
  for (const auto& [label, share] : cell.shares.at(kShare)) others.emplace_back(-share, label);
  std::sort(others.begin(), others.end());
  for (const auto& [share, label] : others) add(label);

  const double width = std::max(660.0, 110.0 * static_cast<double>(bars.size()));
  Svg svg(width + 110, 430, title);
  write_head(svg, title, summary(result));
  Panel panel{80, 104, width, 250};
  panel.title(svg, "Greedy joint action at the end");
  draw_bars(svg, panel, bars, "share of runs, %");
  svg.text({panel.left + panel.width / 2, panel.bottom() + 52},
           "joint action (agent 0, agent 1), counted from 0",
           {.anchor = "middle", .color = svg.theme().faint});
  return svg.finish();
}

std::string distance_picture(const std::string& title, const std::vector<ReproduceRow>& rows) {
  constexpr double kRow = 20;
  constexpr double kWorst = 2.5;  // in tolerances; what is further off is drawn at the edge
  const double height = kRow * static_cast<double>(std::max<size_t>(rows.size(), 1));
  Svg svg(900, height + 150, title);
  write_head(svg, title, "distance from the published figure, in units of the tolerance");
  Panel p{400, 76, 460, height};
  p.low_x = -kWorst;
  p.high_x = kWorst;
  svg.rect(p.x(-1), p.top, p.x(1) - p.x(-1), p.height, "#edf5ee");
  svg.line({p.x(0), p.top}, {p.x(0), p.bottom()}, svg.theme().faint);
  for (size_t i = 0; i < rows.size(); ++i) {
    const ReproduceRow& row = rows[i];
    const double y = p.top + kRow * (static_cast<double>(i) + 0.5);
    svg.text({p.left - 10, y + 4}, row.what, {.anchor = "end", .size = 11});
    const double off = row.ours - row.published;
    const double distance = off == 0 ? 0 : off / row.tolerance;
    if (std::isnan(distance)) continue;
    const char* color = row.ok ? svg.theme().rival : svg.theme().published;
    svg.dot({p.x(std::clamp(distance, -kWorst, kWorst)), y}, 4, color, color);
  }
  p.x_axis(svg, "(ours - published) / tolerance", 5);
  return svg.finish();
}

std::string picture(const Reproduction& r) {
  if (!r.picture.empty()) return r.picture;
  if (!r.result.cells.empty() && r.result.cells[0].runs > 0) {
    const CellResult& cell = r.result.cells[0];
    if (cell.metrics.contains("profit_gain") && has_impulse(cell)) {
      return pricing_picture(r.title, r.result, r.rows);
    }
    if (cell.shares.contains("greedy_joint_action")) {
      return joint_action_picture(r.title, r.result, r.rows);
    }
  }
  return distance_picture(r.title, r.rows);
}

void write_picture(const std::string& text, const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path folder = fs::path(path).parent_path();
  if (!folder.empty()) fs::create_directories(folder, error);
  if (error) throw IoError(folder.string(), error.message());
  const std::string partial = path + ".partial";
  std::ofstream file(partial, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw IoError(path, std::strerror(errno));
  fs::rename(partial, path, error);
  if (error) throw IoError(path, error.message());
}

}  // namespace cumarl
