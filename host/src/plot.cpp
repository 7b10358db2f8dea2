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

constexpr const char* kInk = "#1f2933";
constexpr const char* kFaint = "#616e7c";
constexpr const char* kGrid = "#e4e7eb";
constexpr const char* kOurs = "#2b6cb0";
constexpr const char* kRival = "#2f855a";
constexpr const char* kPublished = "#c05621";

struct TextStyle {
  const char* anchor = "start";  ///< start, middle, end
  double size = 12;
  const char* color = kInk;
  bool bold = false;
  double rotate = 0;  ///< degrees
};

struct Point {
  double x, y;
};

/// Collects SVG elements; coordinates in pixels from the top left.
class Svg {
 public:
  Svg(double width, double height, const std::string& title) {
    out_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "viewBox=\"0 0 {0:.0f} {1:.0f}\" role=\"img\" "
        "font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif\">\n"
        "<title>{2}</title>\n",
        width, height, escape(title));
    rect(0, 0, width, height, "#ffffff");
  }

  void rect(double x, double y, double width, double height, const char* fill) {
    out_ += fmt::format(
        "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"/>\n", x, y,
        width, height, fill);
  }
  void line(Point a, Point b, const char* color, double width = 1, const char* dash = "none") {
    out_ += fmt::format(
        "<line x1=\"{:.2f}\" y1=\"{:.2f}\" x2=\"{:.2f}\" y2=\"{:.2f}\" stroke=\"{}\" "
        "stroke-width=\"{:g}\" stroke-dasharray=\"{}\"/>\n",
        a.x, a.y, b.x, b.y, color, width, dash);
  }
  void polyline(const std::vector<Point>& points, const char* color, double width) {
    out_ += fmt::format(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{:g}\" "
        "stroke-linejoin=\"round\"/>\n",
        list(points), color, width);
  }
  void band(const std::vector<Point>& outline, const char* color) {
    out_ += fmt::format("<polygon points=\"{}\" fill=\"{}\" fill-opacity=\"0.18\"/>\n",
                        list(outline), color);
  }
  void dot(Point p, double radius, const char* fill, const char* stroke) {
    out_ += fmt::format(
        "<circle cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"{:g}\" fill=\"{}\" stroke=\"{}\" "
        "stroke-width=\"1.6\"/>\n",
        p.x, p.y, radius, fill, stroke);
  }
  void text(Point p, const std::string& words, const TextStyle& style = {}) {
    const std::string turn =
        style.rotate == 0
            ? ""
            : fmt::format(" transform=\"rotate({:g} {:.2f} {:.2f})\"", style.rotate, p.x, p.y);
    out_ += fmt::format(
        "<text x=\"{:.2f}\" y=\"{:.2f}\" font-size=\"{:g}\" text-anchor=\"{}\" fill=\"{}\"{}{}>{}"
        "</text>\n",
        p.x, p.y, style.size, style.anchor, style.color, style.bold ? " font-weight=\"bold\"" : "",
        turn, escape(words));
  }
  std::string finish() const { return out_ + "</svg>\n"; }

 private:
  static std::string escape(const std::string& words) {
    std::string safe;
    for (const char c : words) {
      switch (c) {
        case '&': safe += "&amp;"; break;
        case '<': safe += "&lt;"; break;
        case '>': safe += "&gt;"; break;
        case '"': safe += "&quot;"; break;
        default: safe += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
      }
    }
    return safe;
  }
  static std::string list(const std::vector<Point>& points) {
    std::string text;
    for (const Point& p : points) text += fmt::format("{:.2f},{:.2f} ", p.x, p.y);
    return text;
  }

  std::string out_;
};

/// Values from `low` to `high` at a distance of 1, 2 or 5 times a power of ten, about `count`.
std::vector<double> ticks(double low, double high, int count) {
  const double raw = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double digit = raw / power;
  const double step = power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
  std::vector<double> values;
  for (auto k = static_cast<int64_t>(std::ceil(low / step - 1e-9));
       static_cast<double>(k) * step <= high + 1e-9 * step; ++k) {
    values.push_back(static_cast<double>(k) * step);
  }
  return values;
}

/// Ticks as text, all with the decimals their distance needs.
std::vector<std::string> tick_texts(const std::vector<double>& values) {
  int decimals = 0;
  if (values.size() > 1) {
    decimals = std::max(0, static_cast<int>(-std::floor(std::log10(values[1] - values[0]) + 1e-9)));
  }
  std::vector<std::string> texts;
  for (const double v : values) texts.push_back(fmt::format("{:.{}f}", v, decimals));
  return texts;
}

/// A plotting area and its scales.
struct Panel {
  double left, top, width, height;
  double low_x = 0, high_x = 1, low_y = 0, high_y = 1;

  double x(double value) const { return left + (value - low_x) / (high_x - low_x) * width; }
  double y(double value) const {
    return top + height - (value - low_y) / (high_y - low_y) * height;
  }
  Point at(double px, double py) const { return {x(px), y(py)}; }
  double bottom() const { return top + height; }
  double right() const { return left + width; }

  void title(Svg& svg, const std::string& words) const {
    svg.text({left, top - 26}, words, {.size = 13.5, .bold = true});
  }
  /// Horizontal grid with its labels.
  void y_axis(Svg& svg, const std::string& label, double scale = 1) const {
    const auto values = ticks(low_y * scale, high_y * scale, 5);
    const auto texts = tick_texts(values);
    for (size_t i = 0; i < values.size(); ++i) {
      const double at_y = y(values[i] / scale);
      svg.line({left, at_y}, {right(), at_y}, kGrid);
      svg.text({left - 6, at_y + 4}, texts[i], {.anchor = "end", .size = 11, .color = kFaint});
    }
    svg.text({left - 48, top + height / 2}, label,
             {.anchor = "middle", .color = kFaint, .rotate = -90});
  }
  void x_axis(Svg& svg, const std::string& label, int count) const {
    const auto values = ticks(low_x, high_x, count);
    const auto texts = tick_texts(values);
    for (size_t i = 0; i < values.size(); ++i) {
      svg.line({x(values[i]), bottom()}, {x(values[i]), bottom() + 4}, kFaint);
      svg.text({x(values[i]), bottom() + 17}, texts[i],
               {.anchor = "middle", .size = 11, .color = kFaint});
    }
    base_line(svg);
    svg.text({left + width / 2, bottom() + 36}, label, {.anchor = "middle", .color = kFaint});
  }
  void base_line(Svg& svg) const { svg.line({left, bottom()}, {right(), bottom()}, kFaint); }
};

/// Words on a white ground, so that a grid behind them does not disturb.
void legend_text(Svg& svg, Point at, const std::string& words) {
  svg.rect(at.x - 2, at.y - 11, 6.1 * static_cast<double>(words.size()) + 4, 15, "#ffffff");
  svg.text(at, words, {.size = 11});
}

// ---- finding figures ----

using Kind = PublishedFigure::Kind;

const ReproduceRow* find_row(const std::vector<ReproduceRow>& rows, Kind kind,
                             const std::string& name) {
  for (const ReproduceRow& row : rows) {
    if (row.figure.kind == kind && row.figure.name == name) return &row;
  }
  return nullptr;
}

/// One bar: ours with its standard error, and the published value where there is one.
struct Bar {
  std::vector<std::string> label;  ///< lines
  double ours = PublishedFigure::kNone;
  double se = 0;
  double published = PublishedFigure::kNone;
};

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

/// Bars from 0 to 1 side by side: ours solid with a 95% whisker, published beside it in outline.
void draw_bars(Svg& svg, Panel& p, const std::vector<Bar>& bars, const char* unit) {
  double top = 0;
  bool any_published = false;
  for (const Bar& b : bars) {
    for (const double v : {b.ours + 1.96 * b.se, b.published}) {
      if (std::isfinite(v)) top = std::max(top, v);
    }
    any_published = any_published || std::isfinite(b.published);
  }
  p.low_x = 0;
  p.high_x = static_cast<double>(bars.size());
  p.low_y = 0;
  p.high_y = std::min(1.0, std::max(0.1, top)) * 1.18;
  p.y_axis(svg, unit, 100);
  const double slot = p.width / static_cast<double>(bars.size());
  const double thick = std::min(34.0, slot * (any_published ? 0.36 : 0.5));
  for (size_t i = 0; i < bars.size(); ++i) {
    const Bar& b = bars[i];
    const double middle = p.x(static_cast<double>(i) + 0.5);
    const double from = any_published ? middle - thick - 1 : middle - thick / 2;
    const auto value_text = [&](double x, double v, double above, const char* color) {
      svg.text({x, p.y(above) - 4}, fmt::format("{:.1f}", 100 * v),
               {.anchor = "middle", .size = 9.5, .color = color});
    };
    if (std::isfinite(b.ours)) {
      svg.rect(from, p.y(b.ours), thick, p.bottom() - p.y(b.ours), kOurs);
      const double low = std::max(0.0, b.ours - 1.96 * b.se);
      const double high = std::min(1.0, b.ours + 1.96 * b.se);
      if (b.se > 0) {
        svg.line({from + thick / 2, p.y(low)}, {from + thick / 2, p.y(high)}, kInk, 1.2);
      }
      value_text(from + thick / 2, b.ours, high, kOurs);
    }
    if (std::isfinite(b.published)) {
      const double x = middle + 1;
      const double y = p.y(b.published);
      svg.polyline({{x, p.bottom()}, {x, y}, {x + thick - 1, y}, {x + thick - 1, p.bottom()}},
                   kPublished, 1.8);
      value_text(x + thick / 2, b.published, b.published, kPublished);
    }
    for (size_t k = 0; k < b.label.size(); ++k) {
      svg.text({middle, p.bottom() + 16 + 13 * static_cast<double>(k)}, b.label[k],
               {.anchor = "middle", .size = 11, .color = kFaint});
    }
  }
  p.base_line(svg);
  double x = p.left;
  svg.rect(x, p.top - 15, 10, 10, kOurs);
  svg.text({x + 14, p.top - 6}, "ours, 95% interval", {.size = 11});
  if (any_published) {
    x += 128;
    svg.polyline({{x, p.top - 5}, {x, p.top - 15}, {x + 10, p.top - 15}, {x + 10, p.top - 5}},
                 kPublished, 1.8);
    svg.text({x + 15, p.top - 6}, "published", {.size = 11});
  }
}

void draw_histogram(Svg& svg, Panel& p, const CellResult& cell,
                    const std::vector<ReproduceRow>& rows) {
  const auto at = std::find(cell.columns.begin(), cell.columns.end(), "profit_gain");
  const auto column = static_cast<size_t>(at - cell.columns.begin());
  const Statistic& gain = cell.metrics.at("profit_gain");
  const ReproduceRow* published = find_row(rows, Kind::mean, "profit_gain");

  constexpr double kBin = 0.025;
  const double low = std::floor((std::min(0.0, gain.min) - 0.02) / 0.1) * 0.1;
  const double high = std::ceil((std::max(1.0, gain.max) + 0.02) / 0.1) * 0.1;
  std::vector<double> share(static_cast<size_t>(std::lround((high - low) / kBin)), 0.0);
  const auto runs = static_cast<double>(cell.run_ids.size());
  for (size_t r = 0; r < cell.run_ids.size(); ++r) {
    const double v = cell.values[r * cell.columns.size() + column];
    const auto bin = static_cast<size_t>(
        std::clamp((v - low) / kBin, 0.0, static_cast<double>(share.size() - 1)));
    share[bin] += 1 / runs;
  }
  p.low_x = low;
  p.high_x = high;
  p.high_y = *std::max_element(share.begin(), share.end()) * 1.12;
  p.title(svg, "Profit gain over sessions");
  p.y_axis(svg, "share of sessions, %", 100);
  for (size_t i = 0; i < share.size(); ++i) {
    if (share[i] == 0) continue;
    const double x = p.x(low + static_cast<double>(i) * kBin);
    const double y = p.y(share[i]);
    const double width = p.width / static_cast<double>(share.size());
    svg.rect(x + 0.5, y, width - 1, p.bottom() - y, "#90b4d8");
  }
  p.x_axis(svg, "profit gain: (profit - Nash) / (monopoly - Nash)", 6);
  for (const auto& [value, word] : {std::pair{0.0, "static Nash"}, std::pair{1.0, "monopoly"}}) {
    svg.line({p.x(value), p.top}, {p.x(value), p.bottom()}, kFaint, 1.2, "2 3");
    svg.text({p.x(value), p.top - 6}, word, {.anchor = "middle", .size = 11, .color = kFaint});
  }
  svg.line({p.x(gain.mean), p.top}, {p.x(gain.mean), p.bottom()}, kOurs, 2);
  // The legend stands where the histogram is low.
  const double x = gain.mean > 0.5 ? p.x(0) + 10 : p.right() - 190;
  svg.line({x, p.top + 18}, {x + 18, p.top + 18}, kOurs, 2);
  legend_text(svg, {x + 24, p.top + 22},
              fmt::format("mean {:.4f} (s.e. {:.4f})", gain.mean, gain.se));
  if (published != nullptr) {
    const double v = published->published;
    svg.line({p.x(v), p.top}, {p.x(v), p.bottom()}, kPublished, 2, "6 4");
    svg.line({x, p.top + 36}, {x + 18, p.top + 36}, kPublished, 2, "6 4");
    legend_text(svg, {x + 24, p.top + 40}, fmt::format("published {:g}", v));
  }
}

void draw_impulse(Svg& svg, Panel& p, const CellResult& cell,
                  const std::vector<ReproduceRow>& rows) {
  struct Line {
    std::string curve;
    const char* color;
    const char* words;
  };
  // The deviation of the published figure where there is one, else the best response.
  const bool as_published = find_row(rows, Kind::point, "price_rival_as_published") != nullptr;
  const std::string suffix = as_published ? "_as_published" : "";
  const Line lines[] = {{"price_deviator" + suffix, kOurs, "deviating firm"},
                        {"price_rival" + suffix, kRival, "its rival"}};
  double low = 1e300;
  double high = -1e300;
  size_t points = 2;
  const auto include = [&](double v) {
    low = std::min(low, v);
    high = std::max(high, v);
  };
  bool any_published = false;
  for (const Line& line : lines) {
    for (const Statistic& s : cell.curves.at(line.curve)) {
      include(s.mean - 1.96 * s.se);
      include(s.mean + 1.96 * s.se);
    }
    points = std::max(points, cell.curves.at(line.curve).size());
    for (const ReproduceRow& row : rows) {
      if (row.figure.kind != Kind::point || row.figure.name != line.curve) continue;
      include(row.published);
      any_published = true;
    }
  }
  const double margin = std::max(0.02 * (high - low), 1e-6);
  p.low_x = -0.4;
  p.high_x = static_cast<double>(points) - 0.6;
  p.low_y = low - 3 * margin;
  p.high_y = high + 3 * margin;
  p.title(svg, as_published ? "Prices after a deviation in period 1, as published"
                            : "Prices after a best-response deviation in period 1");
  p.y_axis(svg, "price");
  p.x_axis(svg, "period (0: before the deviation)", 8);
  for (const Line& line : lines) {
    const auto& curve = cell.curves.at(line.curve);
    std::vector<Point> middle, outline, below;
    for (size_t k = 0; k < curve.size(); ++k) {
      const auto t = static_cast<double>(k);
      middle.push_back(p.at(t, curve[k].mean));
      outline.push_back(p.at(t, curve[k].mean + 1.96 * curve[k].se));
      below.push_back(p.at(t, curve[k].mean - 1.96 * curve[k].se));
    }
    outline.insert(outline.end(), below.rbegin(), below.rend());
    svg.band(outline, line.color);
    svg.polyline(middle, line.color, 1.8);
    for (const Point& one : middle) svg.dot(one, 2, line.color, line.color);
    for (const ReproduceRow& row : rows) {
      if (row.figure.kind == Kind::point && row.figure.name == line.curve) {
        svg.dot(p.at(row.figure.point, row.published), 5, "none", line.color);
      }
    }
  }
  const double x = p.left + p.width * 0.48;
  double y = p.bottom() - (any_published ? 62 : 34);
  for (const Line& line : lines) {
    svg.line({x, y}, {x + 20, y}, line.color, 2);
    legend_text(svg, {x + 26, y + 4}, std::string(line.words) + ", 95% band");
    y += 18;
  }
  if (any_published) {
    svg.dot({x + 4, y}, 5, "none", kOurs);
    svg.dot({x + 16, y}, 5, "none", kRival);
    legend_text(svg, {x + 26, y + 4}, "published");
  }
}

/// A bracket under bars first..last with words below it.
void draw_group(Svg& svg, const Panel& p, size_t first, size_t last, const std::string& words) {
  const double y = p.bottom() + 23;
  const double from = p.x(static_cast<double>(first) + 0.08);
  const double to = p.x(static_cast<double>(last) + 0.92);
  svg.line({from, y}, {to, y}, kFaint);
  svg.text({(from + to) / 2, y + 14}, words, {.anchor = "middle", .size = 11.5, .color = kFaint});
}

std::string summary(const Result& result) {
  std::string text =
      fmt::format("{}: {} runs on {}", result.experiment, result.runs, result.device);
  if (result.converged > 0) text += fmt::format(", {} converged", result.converged);
  return text;
}

void write_head(Svg& svg, const std::string& title, const std::string& below) {
  svg.text({24, 28}, title, {.size = 16, .bold = true});
  svg.text({24, 47}, below, {.color = kFaint});
}

}  // namespace

std::string pricing_picture(const std::string& title, const Result& result,
                            const std::vector<ReproduceRow>& rows) {
  const CellResult& cell = result.cells.at(0);
  Svg svg(1320, 440, title);
  write_head(svg, title, summary(result));
  Panel histogram{78, 104, 340, 270};
  draw_histogram(svg, histogram, cell, rows);
  Panel impulse{512, 104, 340, 270};
  draw_impulse(svg, impulse, cell, rows);

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
           {.anchor = "middle", .color = kFaint});
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
  svg.line({p.x(0), p.top}, {p.x(0), p.bottom()}, kFaint);
  for (size_t i = 0; i < rows.size(); ++i) {
    const ReproduceRow& row = rows[i];
    const double y = p.top + kRow * (static_cast<double>(i) + 0.5);
    svg.text({p.left - 10, y + 4}, row.what, {.anchor = "end", .size = 11});
    const double off = row.ours - row.published;
    const double distance = off == 0 ? 0 : off / row.tolerance;
    if (std::isnan(distance)) continue;
    const char* color = row.ok ? kRival : kPublished;
    svg.dot({p.x(std::clamp(distance, -kWorst, kWorst)), y}, 4, color, color);
  }
  p.x_axis(svg, "(ours - published) / tolerance", 5);
  return svg.finish();
}

std::string picture(const Reproduction& r) {
  if (!r.picture.empty()) return r.picture;
  if (!r.result.cells.empty() && r.result.cells[0].runs > 0) {
    const CellResult& cell = r.result.cells[0];
    if (cell.metrics.contains("profit_gain") && cell.curves.contains("price_rival")) {
      return pricing_picture(r.title, r.result, r.rows);
    }
    if (cell.shares.contains("greedy_joint_action")) {
      return joint_action_picture(r.title, r.result, r.rows);
    }
  }
  return distance_picture(r.title, r.rows);
}

void write_picture(const std::string& svg, const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path folder = fs::path(path).parent_path();
  if (!folder.empty()) fs::create_directories(folder, error);
  if (error) throw IoError(folder.string(), error.message());
  const std::string partial = path + ".partial";
  std::ofstream file(partial, std::ios::binary);
  file << svg;
  file.close();
  if (!file) throw IoError(path, std::strerror(errno));
  fs::rename(partial, path, error);
  if (error) throw IoError(path, error.message());
}

}  // namespace cumarl
