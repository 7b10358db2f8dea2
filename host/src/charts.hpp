/// \file
/// Charts as SVG text, for the pictures of reproductions (plot.hpp) and for pages (report.hpp):
/// scales with round ticks, bins, colour maps, and panels with lines, bars, histograms and maps.
/// Nothing here needs a script, a font or a file from elsewhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace cumarl::charts {

inline constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
/// Half the width of a 95% interval, in standard errors.
inline constexpr double kInterval = 1.96;

// ---- text ----

/// With &, <, > and quotes as entities and control characters as spaces: fit for XML and HTML text
/// and attributes.
std::string escape(std::string_view words);
/// So many significant digits, or whole from 1,000 on: "0.8012", "1,821,490", "4.1×10⁻⁶"; "–" for
/// what is no number.
std::string number(double value, int digits = 4);
/// A whole number with commas: "15,420,113".
std::string grouped(uint64_t value);

// ---- scales ----

/// Values from `low` to `high` at a distance of 1, 2 or 5 times a power of ten, about `count`. One
/// value, `low`, where the range is empty or no range of numbers.
std::vector<double> ticks(double low, double high, int count);
/// What stands at an axis: its texts, and what to add to the axis's label (" × 10⁻⁵", or "").
struct TickTexts {
  std::vector<std::string> texts;
  std::string scale;
};
/// Texts with the decimals that their distance needs; "1.5M" and the like from 10,000 on, a common
/// power of ten below 0.001.
TickTexts tick_texts(const std::vector<double>& values);
/// The values themselves as texts, with the same units: "0.85", "0.9", "0.975".
TickTexts value_texts(const std::vector<double>& values);
/// Ticks of a logarithmic axis: powers of ten, with 2 and 5 times them where there are fewer than
/// three; at most about `count`. Pre: 0 < low <= high.
std::vector<double> log_ticks(double low, double high, int count);
/// Whether values are better seen on a logarithmic axis: all positive, at least three, over a
/// factor of at least 20, and more even in their logarithms than in themselves.
bool looks_logarithmic(const std::vector<double>& sorted);

/// Counts in bins of equal width; bin i holds [low + i width, low + (i + 1) width), the last one
/// its end too.
struct Bins {
  double low = 0, width = 1;
  std::vector<uint64_t> counts;
  uint64_t total = 0;
};
/// Bins with round edges, about as wide as Freedman and Diaconis (1981) say, 2 IQR n^(-1/3), at
/// least 1 and at most 60 of them; whole numbers over a range below 40 get a bin each, centred.
/// Pre: `sorted` is ascending, finite and not empty.
Bins bin(const std::vector<double>& sorted);
/// The quantile q of sorted values by linear interpolation (type 7 of Hyndman and Fan).
double quantile(const std::vector<double>& sorted, double q);

// ---- colours ----

struct Rgb {
  uint8_t r = 0, g = 0, b = 0;
};
/// "#1f2933"
std::string hex(Rgb color);
/// Whether black letters read better on it than white ones.
bool is_light(Rgb color);
/// A colour scale whose lightness rises evenly, so that it is read without hues and in grey print.
/// Source: anchors of viridis (van der Walt and Smith, matplotlib, CC0), linear between them.
/// Pre: 0 <= place <= 1.
Rgb viridis(double place);
/// Blue over near-white to orange, for values on both sides of 0. Pre: -1 <= place <= 1.
Rgb diverging(double place);

/// From values to colours: viridis from `low` to `high`, or diverging around 0 where values of both
/// signs weigh.
struct ColorScale {
  double low = 0, high = 1;
  bool around_zero = false;

  /// The scale of these values, those that are numbers.
  static ColorScale of(const std::vector<double>& values);
  /// Values outside are drawn as the nearest end. Pre: value is a number.
  Rgb at(double value) const;
};

/// Colours of a drawing, as SVG wants them: "#1f2933", or "var(--ink)" in a page that has both a
/// light and a dark look.
struct Theme {
  static constexpr size_t kSeries = 6;

  const char *ink, *faint, *grid, *ground;
  const char *ours, *rival, *published, *fill;
  const char* series[kSeries];  ///< told apart by colour-blind people, too (Okabe and Ito)
};
extern const Theme kPaper;  ///< for files, on white
extern const Theme kPage;   ///< for pages that define these variables, see report.cpp

// ---- drawing ----

struct TextStyle {
  const char* anchor = "start";  ///< start, middle, end
  double size = 12;
  const char* color = nullptr;  ///< null: ink
  bool bold = false;
  double rotate = 0;  ///< degrees
};

struct Point {
  double x, y;
};

/// Collects SVG elements; coordinates in pixels from the top left. `title` is what screen readers
/// say. A drawing for a file has a ground; one in a page shows the page's.
class Svg {
 public:
  Svg(double width, double height, const std::string& title, const Theme& theme = kPaper);

  const Theme& theme() const { return *theme_; }
  /// `tip`: text that a browser shows where the pointer rests.
  void rect(double x, double y, double width, double height, const std::string& fill,
            const std::string& tip = {});
  void line(Point a, Point b, const char* color, double width = 1, const char* dash = "none");
  void polyline(const std::vector<Point>& points, const char* color, double width,
                const char* dash = "none");
  void band(const std::vector<Point>& outline, const char* color, double opacity = 0.18);
  void dot(Point p, double radius, const char* fill, const char* stroke,
           const std::string& tip = {});
  /// Everything until close_group() has these attributes.
  void open_group(const std::string& attributes) { out_ += "<g " + attributes + ">\n"; }
  void close_group() { out_ += "</g>\n"; }
  /// An arrow from `a` to `b`.
  void arrow(Point a, Point b, const char* color, double width, double opacity);
  /// The pixels of a palette picture, scaled up without smoothing, row 0 at the top.
  void pixels(double x, double y, double width, double height, int columns, int rows,
              const std::vector<uint8_t>& indices, const std::vector<Rgb>& palette);
  void text(Point p, const std::string& words, const TextStyle& style = {});
  /// Text with a margin of the ground's colour, so that a grid behind it does not disturb.
  void legend_text(Point at, const std::string& words);
  std::string finish() const { return out_ + "</svg>\n"; }

 private:
  void tag_end(const char* tag, const std::string& tip);

  const Theme* theme_;
  std::string out_;
};

/// A PNG file of a palette picture (stored, not compressed), whose colour 0 is transparent.
/// `indices`: [rows][columns], each below palette.size(). Pre: 1 to 256 colours.
std::string png(int columns, int rows, const std::vector<uint8_t>& indices,
                const std::vector<Rgb>& palette);
std::string base64(std::string_view bytes);

/// A plotting area and its scales.
struct Panel {
  double left = 0, top = 0, width = 100, height = 100;
  double low_x = 0, high_x = 1, low_y = 0, high_y = 1;
  bool log_x = false;

  double x(double value) const;
  double y(double value) const {
    return top + height - (value - low_y) / (high_y - low_y) * height;
  }
  Point at(double px, double py) const { return {x(px), y(py)}; }
  double bottom() const { return top + height; }
  double right() const { return left + width; }

  /// Above the panel and `rows` rows of a legend.
  void title(Svg& svg, const std::string& words, int rows = 1) const;
  /// Horizontal grid with its labels; `scale` turns values into what is printed.
  void y_axis(Svg& svg, const std::string& label, double scale = 1) const;
  void x_axis(Svg& svg, const std::string& label, int count) const;
  void base_line(Svg& svg) const;
  /// Sets the vertical range around these values, with a margin; values that are no numbers do not
  /// count. Never an empty range.
  void fit_y(const std::vector<double>& values);
};

/// A vertical line of a histogram, or a horizontal one of a line chart.
struct Mark {
  double value = 0;
  std::string words;
};

/// One bar: ours with its standard error, and the published value where there is one.
struct Bar {
  std::vector<std::string> label;  ///< lines
  double ours = kNone;
  double se = 0;
  double published = kNone;
};
/// Bars from 0 to 1 side by side: ours solid with a 95% whisker, published beside it in outline.
/// Sets the panel's scales.
void draw_bars(Svg& svg, Panel& panel, const std::vector<Bar>& bars, const char* unit);

/// A histogram in per cent, with the mean as a line, a published mean as a dashed one, and marks at
/// known values. Sets the panel's scales, over at least `low` to `high`.
struct Histogram {
  Bins bins;
  double mean = kNone, se = 0, published = kNone;
  double low = kNone, high = kNone;
  std::vector<Mark> marks;
  std::string x_label, y_label;
};
void draw_histogram(Svg& svg, Panel& panel, const Histogram& histogram);

/// One line of a line chart. Points whose y is no number break the line.
struct Series {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> low, high;              ///< a band, or empty
  std::vector<double> outer_low, outer_high;  ///< a wider, fainter one, or empty
  std::vector<Point> published;               ///< as rings
};
struct LineChart {
  std::vector<Series> series;
  std::vector<Mark> marks;
  std::string x_label, y_label;
  bool dots = true;    ///< at the points
  bool steps = false;  ///< steps to the right, as a distribution function has
  bool log_x = false;
  std::vector<std::string> x_names;      ///< texts at x = 0, 1, ...: the axis is of names
  double low_y = kNone, high_y = kNone;  ///< instead of the values' own range
};
/// Sets the panel's scales. The legend stands above the panel, where there are several series or
/// published points.
void draw_lines(Svg& svg, Panel& panel, const LineChart& chart);
/// How many rows of 16 pixels its legend takes above a panel of that width.
int legend_rows(const LineChart& chart, double width);

/// A map of values over two axes, colours explained by a scale at the right.
struct HeatMap {
  std::vector<std::string> x_names, y_names;  ///< of the columns, and of the rows from the bottom
  std::string x_label, y_label, value_label;
  std::vector<double> values;  ///< [rows from the bottom][columns]; no number: no result
  std::vector<double> se;      ///< the same shape, or empty
  bool all_x_names = false;    ///< print all of them, turned where they do not fit
  bool as_picture = false;     ///< one small picture, however few cells
  ColorScale scale;
};
/// Cells with tips up to 400 of them, with figures where they fit, and one small picture beyond.
void draw_heat_map(Svg& svg, const Panel& panel, const HeatMap& map);

/// Pixels below the first line of labels that `names` take where every one has `room` pixels: 0, or
/// more where they do not fit and are turned.
double names_depth(const std::vector<std::string>& names, double room);

/// Which of `names` to print where every one has `room` pixels: evenly spaced, so that none touches
/// another, and those with the shortest texts, which are the round values.
std::vector<size_t> label_places(const std::vector<std::string>& names, double room);

}  // namespace cumarl::charts
