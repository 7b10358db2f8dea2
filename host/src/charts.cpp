#include "host/src/charts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace cumarl::charts {
namespace {

constexpr double kLetter = 6.1;  // width of a letter at 11 pixels, about
constexpr double kLegendRow = 16;

double letters(const std::string& words) {
  const auto count = std::count_if(words.begin(), words.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  });
  return kLetter * static_cast<double>(count);
}

/// 10^power as "×10⁻⁶" without the sign of multiplication.
std::string power_text(int power) {
  static const char* const kDigits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string out = "10";
  for (const char c : std::to_string(power)) out += c == '-' ? "⁻" : kDigits[c - '0'];
  return out;
}

/// The least of 1, 2, 5, 10, 20, ... and their fractions that is `wanted` or more.
double round_up(double wanted) {
  const double power = std::pow(10.0, std::floor(std::log10(wanted)));
  for (const double digit : {1.0, 2.0, 5.0}) {
    if (digit * power >= wanted * (1 - 1e-9)) return digit * power;
  }
  return 10 * power;
}

bool is_number(double v) { return std::isfinite(v); }

}  // namespace

// ---- text ----

std::string escape(std::string_view words) {
  std::string safe;
  for (const char c : words) {
    switch (c) {
      case '&': safe += "&amp;"; break;
      case '<': safe += "&lt;"; break;
      case '>': safe += "&gt;"; break;
      case '"': safe += "&quot;"; break;
      case '\'': safe += "&#39;"; break;
      default: safe += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return safe;
}

std::string grouped(uint64_t value) {
  std::string text = std::to_string(value);
  for (size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string number(double value, int digits) {
  if (std::isnan(value)) return "–";
  const double size = std::fabs(value);
  const std::string sign = value < 0 ? "−" : "";
  if (std::isinf(value)) return sign + "∞";
  if (size == 0) return "0";
  if (size >= 999.5 && size < 1e9) return sign + grouped(static_cast<uint64_t>(std::llround(size)));
  if (size >= 1e-4 && size < 1e9) {
    const double rounded = std::stod(fmt::format("{:.{}g}", size, digits));
    return sign + fmt::format("{:.{}g}", rounded, std::max(digits, 3));
  }
  const std::string text = fmt::format("{:.{}e}", size, digits - 1);  // "4.100e-06"
  const size_t e = text.find('e');
  return fmt::format("{}{:g}×{}", sign, std::stod(text.substr(0, e)),
                     power_text(std::stoi(text.substr(e + 1))));
}

// ---- scales ----

std::vector<double> ticks(double low, double high, int count) {
  if (!is_number(low) || !is_number(high) || !(high > low)) return {low};
  const double raw = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double digit = raw / power;
  const double step = power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
  const double first = std::ceil(low / step - 1e-9);
  const double last = std::floor(high / step + 1e-9);
  if (!(std::fabs(first) < 1e15) || last - first > 1000) return {low};  // far from 0: all alike
  std::vector<double> values;
  for (double k = first; k <= last; ++k) values.push_back(k * step + 0.0);
  return values;
}

namespace {

/// What texts of an axis with values up to `size` are divided by, and how that is said.
struct Unit {
  double worth = 1;
  std::string letter;  ///< after each text
  std::string scale;   ///< after the axis's label
};

Unit unit_of(double size) {
  static constexpr std::array<std::pair<double, const char*>, 4> kUnits = {
      {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
  if (size >= 1e4 && size < 1e15) {
    for (const auto& [worth, name] : kUnits) {
      if (size >= worth) return {worth, name, ""};
    }
  }
  if (size >= 1e15 || (size > 0 && size < 1e-3)) {
    const auto power = static_cast<int>(std::floor(std::log10(size) + 1e-9));
    return {std::pow(10.0, power), "", " × " + power_text(power)};
  }
  return {};
}

double largest(const std::vector<double>& values) {
  double size = 0;
  for (const double v : values) size = std::max(size, std::fabs(v));
  return size;
}

/// With a true minus sign and the unit's letter.
std::string with_unit(std::string text, double value, const Unit& unit) {
  if (text.starts_with('-')) text.replace(0, 1, "−");
  return value == 0 ? text : text + unit.letter;
}

}  // namespace

TickTexts tick_texts(const std::vector<double>& values) {
  if (values.size() < 2) return value_texts(values);
  const Unit unit = unit_of(largest(values));
  const double step = std::fabs(values[1] - values[0]) / unit.worth;
  const int decimals =
      step > 0 ? std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 12) : 0;
  TickTexts out;
  out.scale = unit.scale;
  for (const double v : values) {
    out.texts.push_back(with_unit(fmt::format("{:.{}f}", v / unit.worth + 0.0, decimals), v, unit));
  }
  return out;
}

TickTexts value_texts(const std::vector<double>& values) {
  const Unit unit = unit_of(largest(values));
  TickTexts out;
  out.scale = unit.scale;
  for (const double v : values) {
    out.texts.push_back(with_unit(fmt::format("{:.6g}", v / unit.worth + 0.0), v, unit));
  }
  return out;
}

std::vector<double> log_ticks(double low, double high, int count) {
  const auto first = static_cast<int>(std::ceil(std::log10(low) - 1e-9));
  const auto last = static_cast<int>(std::floor(std::log10(high) + 1e-9));
  std::vector<double> values;
  if (last - first >= 2) {
    const int step = std::max(1, (last - first + count) / std::max(1, count));
    for (int power = first; power <= last; power += step) values.push_back(std::pow(10.0, power));
    return values;
  }
  for (int power = first - 1; power <= last; ++power) {
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double v = digit * std::pow(10.0, power);
      if (v >= low * (1 - 1e-9) && v <= high * (1 + 1e-9)) values.push_back(v);
    }
  }
  return values;
}

bool looks_logarithmic(const std::vector<double>& sorted) {
  if (sorted.size() < 3 || !(sorted.front() > 0) || sorted.back() < 20 * sorted.front()) {
    return false;
  }
  // variation of the gaps, relative to their mean
  const auto unevenness = [&](auto&& of) {
    const auto n = static_cast<double>(sorted.size() - 1);
    const double mean = (of(sorted.back()) - of(sorted.front())) / n;
    double squares = 0;
    for (size_t i = 1; i < sorted.size(); ++i) {
      const double off = of(sorted[i]) - of(sorted[i - 1]) - mean;
      squares += off * off;
    }
    return squares / (n * mean * mean);
  };
  return unevenness([](double v) { return std::log(v); }) < unevenness([](double v) { return v; });
}

double quantile(const std::vector<double>& sorted, double q) {
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Bins bin(const std::vector<double>& sorted) {
  constexpr double kMost = 60, kWhole = 40;
  const double low = sorted.front(), high = sorted.back();
  Bins bins;
  bins.total = sorted.size();
  const bool whole = high - low < kWhole && std::all_of(sorted.begin(), sorted.end(), [](double v) {
                       return v == std::floor(v);
                     });
  const double range = high - low;
  if (whole) {
    bins.low = low - 0.5;
    bins.counts.resize(static_cast<size_t>(range) + 1);
  } else if (!(range > 1e-12 * std::max(std::fabs(low), std::fabs(high)))) {
    bins.width = std::max(1e-300, 0.1 * std::fabs(low));
    bins.low = low - 0.5 * bins.width;
    bins.counts.resize(1);
  } else {
    const double quarters = quantile(sorted, 0.75) - quantile(sorted, 0.25);
    double width = 2 * quarters / std::cbrt(static_cast<double>(sorted.size()));
    if (!(width > range * 1e-6)) width = range / 20;
    bins.width = round_up(std::max(width, range / (kMost - 1)));
    bins.low = std::floor(low / bins.width + 1e-9) * bins.width;
    const double count = std::ceil((high - bins.low) / bins.width - 1e-9);
    bins.counts.resize(static_cast<size_t>(std::clamp(count, 1.0, kMost + 1)));
  }
  const auto last = static_cast<double>(bins.counts.size() - 1);
  for (const double v : sorted) {
    const double at = std::floor((v - bins.low) / bins.width + 1e-9);
    ++bins.counts[static_cast<size_t>(std::clamp(at, 0.0, last))];
  }
  return bins;
}

// ---- colours ----

namespace {

Rgb between(const Rgb* anchors, size_t count, double place) {
  const double at = std::clamp(place, 0.0, 1.0) * static_cast<double>(count - 1);
  const size_t below = std::min(static_cast<size_t>(at), count - 2);
  const double part = at - static_cast<double>(below);
  const auto mix = [part](uint8_t a, uint8_t b) {
    return static_cast<uint8_t>(std::lround(a + part * (b - a)));
  };
  const Rgb &a = anchors[below], &b = anchors[below + 1];
  return {mix(a.r, b.r), mix(a.g, b.g), mix(a.b, b.b)};
}

}  // namespace

std::string hex(Rgb color) { return fmt::format("#{:02x}{:02x}{:02x}", color.r, color.g, color.b); }

bool is_light(Rgb color) { return 299 * color.r + 587 * color.g + 114 * color.b > 140'000; }

Rgb viridis(double place) {
  static constexpr Rgb kAnchors[] = {{0x44, 0x01, 0x54}, {0x47, 0x2d, 0x7b}, {0x3b, 0x52, 0x8b},
                                     {0x2c, 0x72, 0x8e}, {0x21, 0x91, 0x8c}, {0x28, 0xae, 0x80},
                                     {0x5e, 0xc9, 0x62}, {0xad, 0xdc, 0x30}, {0xfd, 0xe7, 0x25}};
  return between(kAnchors, std::size(kAnchors), place);
}

Rgb diverging(double place) {
  static constexpr Rgb kAnchors[] = {{0x14, 0x3d, 0x7a},
                                     {0x5b, 0x8f, 0xc7},
                                     {0xf4, 0xf4, 0xf2},
                                     {0xe5, 0x94, 0x4a},
                                     {0x9a, 0x46, 0x08}};
  return between(kAnchors, std::size(kAnchors), 0.5 + 0.5 * place);
}

ColorScale ColorScale::of(const std::vector<double>& values) {
  ColorScale scale{0, 0, false};
  bool any = false;
  for (const double v : values) {
    if (!is_number(v)) continue;
    scale.low = any ? std::min(scale.low, v) : v;
    scale.high = any ? std::max(scale.high, v) : v;
    any = true;
  }
  const double far = std::max(-scale.low, scale.high);
  if (scale.low < 0 && scale.high > 0 && std::min(-scale.low, scale.high) > 0.2 * far) {
    return {-far, far, true};
  }
  if (!(scale.high > scale.low)) {
    const double margin = std::max(1e-12, 0.05 * std::fabs(scale.low));
    scale.low -= margin;
    scale.high += margin;
  }
  return scale;
}

Rgb ColorScale::at(double value) const {
  const double place = std::clamp((value - low) / (high - low), 0.0, 1.0);
  return around_zero ? diverging(2 * place - 1) : viridis(place);
}

const Theme kPaper{
    "#1f2933", "#616e7c", "#e4e7eb",
    "#ffffff", "#2b6cb0", "#2f855a",
    "#c05621", "#90b4d8", {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b07d00", "#3d9bd1"}};
const Theme kPage{"var(--ink)",
                  "var(--faint)",
                  "var(--grid)",
                  "var(--ground)",
                  "var(--ours)",
                  "var(--rival)",
                  "var(--published)",
                  "var(--fill)",
                  {"var(--s0)", "var(--s1)", "var(--s2)", "var(--s3)", "var(--s4)", "var(--s5)"}};

// ---- drawing ----

namespace {

std::string list(const std::vector<Point>& points) {
  std::string text;
  for (const Point& p : points) {
    if (!text.empty()) text += ' ';
    text += fmt::format("{:.2f},{:.2f}", p.x, p.y);
  }
  return text;
}

}  // namespace

Svg::Svg(double width, double height, const std::string& title, const Theme& theme)
    : theme_(&theme) {
  out_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "viewBox=\"0 0 {0:.0f} {1:.0f}\" role=\"img\" "
      "font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif\">\n"
      "<title>{2}</title>\n",
      width, height, escape(title));
  if (&theme == &kPaper) rect(0, 0, width, height, theme.ground);
}

void Svg::tag_end(const char* tag, const std::string& tip) {
  out_ += tip.empty() ? "/>\n" : fmt::format("><title>{}</title></{}>\n", escape(tip), tag);
}

void Svg::rect(double x, double y, double width, double height, const std::string& fill,
               const std::string& tip) {
  out_ +=
      fmt::format("<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"",
                  x, y, width, height, fill);
  tag_end("rect", tip);
}

void Svg::line(Point a, Point b, const char* color, double width, const char* dash) {
  out_ += fmt::format(
      "<line x1=\"{:.2f}\" y1=\"{:.2f}\" x2=\"{:.2f}\" y2=\"{:.2f}\" stroke=\"{}\" "
      "stroke-width=\"{:g}\" stroke-dasharray=\"{}\"/>\n",
      a.x, a.y, b.x, b.y, color, width, dash);
}

void Svg::polyline(const std::vector<Point>& points, const char* color, double width,
                   const char* dash) {
  out_ += fmt::format(
      "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{:g}\" "
      "stroke-linejoin=\"round\" stroke-dasharray=\"{}\"/>\n",
      list(points), color, width, dash);
}

void Svg::band(const std::vector<Point>& outline, const char* color, double opacity) {
  out_ += fmt::format("<polygon points=\"{}\" fill=\"{}\" fill-opacity=\"{:g}\"/>\n", list(outline),
                      color, opacity);
}

void Svg::dot(Point p, double radius, const char* fill, const char* stroke,
              const std::string& tip) {
  out_ += fmt::format(
      "<circle cx=\"{:.2f}\" cy=\"{:.2f}\" r=\"{:g}\" fill=\"{}\" stroke=\"{}\" "
      "stroke-width=\"1.6\"",
      p.x, p.y, radius, fill, stroke);
  tag_end("circle", tip);
}

void Svg::arrow(Point a, Point b, const char* color, double width, double opacity) {
  const double dx = b.x - a.x, dy = b.y - a.y;
  const double length = std::max(1e-9, std::hypot(dx, dy));
  const double ux = dx / length, uy = dy / length;
  const double head = std::min(0.45 * length, 3.2 * width);
  const Point neck{b.x - head * ux, b.y - head * uy};
  const double half = 0.62 * head;
  out_ += fmt::format(
      "<path d=\"M{:.2f} {:.2f}L{:.2f} {:.2f}\" stroke=\"{}\" stroke-width=\"{:g}\" "
      "stroke-linecap=\"round\" opacity=\"{:.2f}\"/>\n",
      a.x, a.y, neck.x, neck.y, color, width, opacity);
  out_ += fmt::format(
      "<path d=\"M{:.2f} {:.2f}L{:.2f} {:.2f}L{:.2f} {:.2f}Z\" fill=\"{}\" opacity=\"{:.2f}\"/>\n",
      b.x, b.y, neck.x - half * uy, neck.y + half * ux, neck.x + half * uy, neck.y - half * ux,
      color, opacity);
}

void Svg::pixels(double x, double y, double width, double height, int columns, int rows,
                 const std::vector<uint8_t>& indices, const std::vector<Rgb>& palette) {
  out_ += fmt::format(
      "<image x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" "
      "preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" "
      "href=\"data:image/png;base64,{}\"/>\n",
      x, y, width, height, base64(png(columns, rows, indices, palette)));
}

void Svg::text(Point p, const std::string& words, const TextStyle& style) {
  const std::string turn =
      style.rotate == 0
          ? ""
          : fmt::format(" transform=\"rotate({:g} {:.2f} {:.2f})\"", style.rotate, p.x, p.y);
  out_ += fmt::format(
      "<text x=\"{:.2f}\" y=\"{:.2f}\" font-size=\"{:g}\" text-anchor=\"{}\" fill=\"{}\"{}{}>{}"
      "</text>\n",
      p.x, p.y, style.size, style.anchor, style.color == nullptr ? theme_->ink : style.color,
      style.bold ? " font-weight=\"bold\"" : "", turn, escape(words));
}

void Svg::legend_text(Point at, const std::string& words) {
  rect(at.x - 2, at.y - 11, letters(words) + 4, 15, theme_->ground);
  text(at, words, {.size = 11});
}

// ---- PNG ----

namespace {

void put32(std::string& out, uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) out += static_cast<char>((value >> shift) & 255);
}

void put_chunk(std::string& out, const std::string& type, const std::string& data) {
  put32(out, static_cast<uint32_t>(data.size()));
  const std::string body = type + data;
  uint32_t crc = 0xFFFFFFFF;
  for (const char c : body) {
    crc ^= static_cast<unsigned char>(c);
    for (int k = 0; k < 8; ++k) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320U : 0U);
  }
  out += body;
  put32(out, ~crc);
}

/// The zlib format with stored blocks.
std::string stored(const std::string& data) {
  constexpr size_t kBlock = 65535;
  std::string out = "\x78\x01";
  for (size_t at = 0; at == 0 || at < data.size(); at += kBlock) {
    const size_t length = std::min(kBlock, data.size() - at);
    out += static_cast<char>(at + length == data.size() ? 1 : 0);
    for (const size_t word : {length, ~length}) {
      out += static_cast<char>(word & 255);
      out += static_cast<char>((word >> 8) & 255);
    }
    out.append(data, at, length);
  }
  uint32_t a = 1, b = 0;
  for (const char c : data) {
    a = (a + static_cast<unsigned char>(c)) % 65521;
    b = (b + a) % 65521;
  }
  put32(out, (b << 16) | a);
  return out;
}

}  // namespace

std::string png(int columns, int rows, const std::vector<uint8_t>& indices,
                const std::vector<Rgb>& palette) {
  std::string out = "\x89PNG\r\n\x1a\n";
  std::string head;
  put32(head, static_cast<uint32_t>(columns));
  put32(head, static_cast<uint32_t>(rows));
  head += std::string("\x08\x03\x00\x00\x00", 5);  // 8 bits, palette, no interlace
  put_chunk(out, "IHDR", head);
  std::string colors;
  for (const Rgb& c : palette) {
    for (const uint8_t part : {c.r, c.g, c.b}) colors += static_cast<char>(part);
  }
  put_chunk(out, "PLTE", colors);
  put_chunk(out, "tRNS", std::string(1, '\0'));
  std::string lines;
  const auto width = static_cast<size_t>(columns);
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    lines += '\0';  // no filter
    for (size_t k = 0; k < width; ++k) lines += static_cast<char>(indices[row * width + k]);
  }
  put_chunk(out, "IDAT", stored(lines));
  put_chunk(out, "IEND", "");
  return out;
}

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k) {
      const uint32_t byte = at + k < bytes.size() ? static_cast<unsigned char>(bytes[at + k]) : 0;
      word = (word << 8) | byte;
    }
    for (size_t k = 0; k < 4; ++k) {
      out += at + k > bytes.size() ? '=' : kDigits[(word >> (18 - 6 * k)) & 63];
    }
  }
  return out;
}

// ---- panels ----

double Panel::x(double value) const {
  if (log_x) {
    return left + std::log(value / low_x) / std::log(high_x / low_x) * width;
  }
  return left + (value - low_x) / (high_x - low_x) * width;
}

void Panel::title(Svg& svg, const std::string& words, int rows) const {
  svg.text({left, top - 10 - kLegendRow * std::max(rows, 1)}, words, {.size = 13.5, .bold = true});
}

void Panel::y_axis(Svg& svg, const std::string& label, double scale) const {
  const Theme& theme = svg.theme();
  const auto values = ticks(low_y * scale, high_y * scale, height < 150 ? 4 : 5);
  const TickTexts at = tick_texts(values);
  for (size_t i = 0; i < values.size(); ++i) {
    const double at_y = y(values[i] / scale);
    svg.line({left, at_y}, {right(), at_y}, theme.grid);
    svg.text({left - 6, at_y + 4}, at.texts[i],
             {.anchor = "end", .size = 11, .color = theme.faint});
  }
  svg.text({left - 48, top + height / 2}, label + at.scale,
           {.anchor = "middle", .color = theme.faint, .rotate = -90});
}

void Panel::x_axis(Svg& svg, const std::string& label, int count) const {
  const Theme& theme = svg.theme();
  const auto values = log_x ? log_ticks(low_x, high_x, count) : ticks(low_x, high_x, count);
  TickTexts at;
  if (log_x) {
    for (const double v : values) at.texts.push_back(number(v));
  } else {
    at = tick_texts(values);
  }
  for (size_t i = 0; i < values.size(); ++i) {
    svg.line({x(values[i]), bottom()}, {x(values[i]), bottom() + 4}, theme.faint);
    svg.text({x(values[i]), bottom() + 17}, at.texts[i],
             {.anchor = "middle", .size = 11, .color = theme.faint});
  }
  base_line(svg);
  svg.text({left + width / 2, bottom() + 36}, label + at.scale,
           {.anchor = "middle", .color = theme.faint});
}

void Panel::base_line(Svg& svg) const {
  svg.line({left, bottom()}, {right(), bottom()}, svg.theme().faint);
}

void Panel::fit_y(const std::vector<double>& values) {
  double low = 0, high = 0;
  bool any = false;
  for (const double v : values) {
    if (!is_number(v)) continue;
    low = any ? std::min(low, v) : v;
    high = any ? std::max(high, v) : v;
    any = true;
  }
  if (!any) high = 1;
  const double size = std::max(std::fabs(low), std::fabs(high));
  const double margin = std::max({0.06 * (high - low), 0.002 * size, 1e-9});
  low_y = low - margin;
  high_y = high + margin;
  if (low >= 0 && low < 0.25 * high) low_y = 0;  // near 0: from 0
}

void draw_bars(Svg& svg, Panel& p, const std::vector<Bar>& bars, const char* unit) {
  const Theme& theme = svg.theme();
  double top = 0;
  bool any_published = false;
  for (const Bar& b : bars) {
    for (const double v : {b.ours + kInterval * b.se, b.published}) {
      if (is_number(v)) top = std::max(top, v);
    }
    any_published = any_published || is_number(b.published);
  }
  p.low_x = 0;
  p.high_x = static_cast<double>(std::max<size_t>(bars.size(), 1));
  p.low_y = 0;
  p.high_y = std::min(1.0, std::max(0.1, top)) * 1.18;
  p.y_axis(svg, unit, 100);
  const double slot = p.width / p.high_x;
  const double thick = std::min(34.0, slot * (any_published ? 0.36 : 0.5));
  for (size_t i = 0; i < bars.size(); ++i) {
    const Bar& b = bars[i];
    const double middle = p.x(static_cast<double>(i) + 0.5);
    const double from = any_published ? middle - thick - 1 : middle - thick / 2;
    const auto value_text = [&](double x, double v, double above, const char* color) {
      svg.text({x, p.y(above) - 4}, fmt::format("{:.1f}", 100 * v),
               {.anchor = "middle", .size = 9.5, .color = color});
    };
    if (is_number(b.ours)) {
      svg.rect(from, p.y(b.ours), thick, p.bottom() - p.y(b.ours), theme.ours);
      const double low = std::max(0.0, b.ours - kInterval * b.se);
      const double high = std::min(1.0, b.ours + kInterval * b.se);
      if (b.se > 0) {
        svg.line({from + thick / 2, p.y(low)}, {from + thick / 2, p.y(high)}, theme.ink, 1.2);
      }
      value_text(from + thick / 2, b.ours, b.se > 0 ? high : b.ours, theme.ours);
    }
    if (is_number(b.published)) {
      const double x = middle + 1;
      const double y = p.y(b.published);
      svg.polyline({{x, p.bottom()}, {x, y}, {x + thick - 1, y}, {x + thick - 1, p.bottom()}},
                   theme.published, 1.8);
      value_text(x + thick / 2, b.published, b.published, theme.published);
    }
    for (size_t k = 0; k < b.label.size(); ++k) {
      svg.text({middle, p.bottom() + 16 + 13 * static_cast<double>(k)}, b.label[k],
               {.anchor = "middle", .size = 11, .color = theme.faint});
    }
  }
  p.base_line(svg);
  double x = p.left;
  svg.rect(x, p.top - 15, 10, 10, theme.ours);
  svg.text({x + 14, p.top - 6}, "ours, 95% interval", {.size = 11});
  if (any_published) {
    x += 128;
    svg.polyline({{x, p.top - 5}, {x, p.top - 15}, {x + 10, p.top - 15}, {x + 10, p.top - 5}},
                 theme.published, 1.8);
    svg.text({x + 15, p.top - 6}, "published", {.size = 11});
  }
}

void draw_histogram(Svg& svg, Panel& p, const Histogram& h) {
  const Theme& theme = svg.theme();
  const Bins& bins = h.bins;
  const auto count = static_cast<double>(bins.counts.size());
  p.low_x = std::min(is_number(h.low) ? h.low : bins.low, bins.low);
  p.high_x = std::max(is_number(h.high) ? h.high : p.low_x, bins.low + count * bins.width);
  if (is_number(h.published)) {
    p.low_x = std::min(p.low_x, h.published);
    p.high_x = std::max(p.high_x, h.published);
  }
  const double margin = 0.02 * (p.high_x - p.low_x);
  p.low_x -= margin;
  p.high_x += margin;
  const auto total = static_cast<double>(std::max<uint64_t>(bins.total, 1));
  const auto most = static_cast<double>(*std::max_element(bins.counts.begin(), bins.counts.end()));
  p.low_y = 0;
  p.high_y = std::max(most, 1e-9) / total * 1.12;
  p.y_axis(svg, h.y_label, 100);
  for (size_t i = 0; i < bins.counts.size(); ++i) {
    if (bins.counts[i] == 0) continue;
    const double from = bins.low + static_cast<double>(i) * bins.width;
    const double y = p.y(static_cast<double>(bins.counts[i]) / total);
    const double wide = p.x(from + bins.width) - p.x(from);
    const double gap = std::min(0.5, 0.1 * wide);
    svg.rect(p.x(from) + gap, y, wide - 2 * gap, p.bottom() - y, theme.fill,
             fmt::format("{} to {}: {} ({:.1f}%)", number(from), number(from + bins.width),
                         grouped(bins.counts[i]),
                         100 * static_cast<double>(bins.counts[i]) / total));
  }
  p.x_axis(svg, h.x_label, p.width < 300 ? 4 : 6);
  for (const Mark& mark : h.marks) {
    if (mark.value < p.low_x || mark.value > p.high_x) continue;
    svg.line({p.x(mark.value), p.top}, {p.x(mark.value), p.bottom()}, theme.faint, 1.2, "2 3");
    const bool at_edge = p.x(mark.value) + letters(mark.words) / 2 > p.right() + 8;
    svg.text({p.x(mark.value), p.top - 6}, mark.words,
             {.anchor = at_edge ? "end" : "middle", .size = 11, .color = theme.faint});
  }
  if (!is_number(h.mean)) return;
  svg.line({p.x(h.mean), p.top}, {p.x(h.mean), p.bottom()}, theme.ours, 2);
  // The legend stands where the histogram is low.
  const std::string words = fmt::format("mean {} (s.e. {})", number(h.mean), number(h.se, 2));
  const bool at_left = h.mean > 0.5 * (p.low_x + p.high_x);
  const double x = at_left ? p.left + 14 : p.right() - letters(words) - 30;
  svg.line({x, p.top + 18}, {x + 18, p.top + 18}, theme.ours, 2);
  svg.legend_text({x + 24, p.top + 22}, words);
  if (is_number(h.published)) {
    svg.line({p.x(h.published), p.top}, {p.x(h.published), p.bottom()}, theme.published, 2, "6 4");
    svg.line({x, p.top + 36}, {x + 18, p.top + 36}, theme.published, 2, "6 4");
    svg.legend_text({x + 24, p.top + 40}, "published " + number(h.published));
  }
}

namespace {

constexpr const char* kDashes[] = {"none", "7 3", "2 3", "9 3 2 3", "4 2", "1 2"};

/// Where the entries of a legend stand: x offset and row of each.
std::vector<std::pair<double, int>> legend_places(const LineChart& chart, double width) {
  std::vector<std::string> names;
  for (const Series& s : chart.series) names.push_back(s.name);
  bool published = false;
  for (const Series& s : chart.series) published = published || !s.published.empty();
  if (published) names.emplace_back("published");
  if (names.size() < 2) return {};
  std::vector<std::pair<double, int>> places;
  double x = 0;
  int row = 0;
  for (const std::string& name : names) {
    const double wide = 26 + letters(name) + 16;
    if (x > 0 && x + wide > width) {
      x = 0;
      ++row;
    }
    places.emplace_back(x, row);
    x += wide;
  }
  return places;
}

/// All names below the panel, in slots of `room` pixels, and the axis's label below them.
void draw_names(Svg& svg, const Panel& p, const std::vector<std::string>& names, double room,
                const std::string& label) {
  const double depth = names_depth(names, room);
  for (size_t k = 0; k < names.size(); ++k) {
    const double x = p.left + (static_cast<double>(k) + 0.5) * room;
    svg.text({depth > 0 ? x + 4 : x, p.bottom() + (depth > 0 ? 14 : 17)}, names[k],
             {.anchor = depth > 0 ? "end" : "middle",
              .size = 11,
              .color = svg.theme().faint,
              .rotate = depth > 0 ? -35.0 : 0.0});
  }
  svg.text({p.left + p.width / 2, p.bottom() + 36 + depth}, label,
           {.anchor = "middle", .color = svg.theme().faint});
}

/// Runs of points whose y are numbers.
std::vector<std::vector<size_t>> unbroken(const std::vector<double>& y) {
  std::vector<std::vector<size_t>> parts;
  bool open = false;
  for (size_t k = 0; k < y.size(); ++k) {
    if (!is_number(y[k])) {
      open = false;
      continue;
    }
    if (!open) parts.emplace_back();
    parts.back().push_back(k);
    open = true;
  }
  return parts;
}

}  // namespace

double names_depth(const std::vector<std::string>& names, double room) {
  double widest = 0;
  for (const std::string& name : names) widest = std::max(widest, letters(name));
  return widest + 8 <= room ? 0 : 0.57 * widest + 4;  // the sine of 35 degrees
}

int legend_rows(const LineChart& chart, double width) {
  const auto places = legend_places(chart, width);
  return places.empty() ? 0 : places.back().second + 1;
}

void draw_lines(Svg& svg, Panel& p, const LineChart& chart) {
  const Theme& theme = svg.theme();
  constexpr size_t kMostDots = 60;
  std::vector<double> ys;
  double low = kNone, high = kNone;
  for (const Series& s : chart.series) {
    for (const auto* list : {&s.y, &s.low, &s.high, &s.outer_low, &s.outer_high}) {
      ys.insert(ys.end(), list->begin(), list->end());
    }
    for (const Point& q : s.published) ys.push_back(q.y);
    for (const double x : s.x) {
      low = std::fmin(low, x);
      high = std::fmax(high, x);
    }
  }
  p.fit_y(ys);
  // Marks count where they are near, so that a far one does not flatten everything.
  const double range = p.high_y - p.low_y;
  for (const Mark& mark : chart.marks) {
    if (mark.value > p.low_y - range && mark.value < p.high_y + range) ys.push_back(mark.value);
  }
  p.fit_y(ys);
  if (is_number(chart.low_y)) p.low_y = chart.low_y;
  if (is_number(chart.high_y)) p.high_y = chart.high_y;
  p.log_x = chart.log_x;
  if (!chart.x_names.empty()) {
    p.low_x = -0.5;
    p.high_x = static_cast<double>(chart.x_names.size()) - 0.5;
  } else if (!is_number(low)) {
    p.low_x = 0;
    p.high_x = 1;
  } else if (p.log_x) {
    const double margin = std::pow(high / low, 0.03);
    p.low_x = low / margin;
    p.high_x = high * margin;
  } else {
    const double margin = high > low ? 0.03 * (high - low) : 0.5;
    p.low_x = low - margin;
    p.high_x = high + margin;
  }
  p.y_axis(svg, chart.y_label);
  if (chart.x_names.empty()) {
    p.x_axis(svg, chart.x_label, p.width < 300 ? 4 : 8);
  } else {
    draw_names(svg, p, chart.x_names, p.width / static_cast<double>(chart.x_names.size()),
               chart.x_label);
    p.base_line(svg);
  }
  for (const Mark& mark : chart.marks) {
    if (mark.value < p.low_y || mark.value > p.high_y) continue;
    svg.line({p.left, p.y(mark.value)}, {p.right(), p.y(mark.value)}, theme.faint, 1.2, "2 3");
    svg.text({p.right(), p.y(mark.value) - 4}, mark.words,
             {.anchor = "end", .size = 11, .color = theme.faint});
  }
  const bool names = !chart.x_names.empty();
  for (size_t i = 0; i < chart.series.size(); ++i) {
    const Series& s = chart.series[i];
    const char* const color = theme.series[i % Theme::kSeries];
    const char* const dash = kDashes[i % std::size(kDashes)];
    // Beside each other, where an axis of names would put all on one line.
    const double shift =
        names ? 0.12 * (static_cast<double>(i) - 0.5 * static_cast<double>(chart.series.size() - 1))
              : 0.0;
    const auto draw_range = [&](const std::vector<double>& from, const std::vector<double>& to,
                                double opacity, double thick) {
      if (from.empty()) return;
      for (const auto& part : unbroken(s.y)) {
        std::vector<Point> outline, below;
        for (const size_t k : part) {
          const double x = s.x[k] + shift;
          const double bottom = std::max(from[k], p.low_y), top = std::min(to[k], p.high_y);
          if (names) {
            svg.line(p.at(x, bottom), p.at(x, top), color, thick);
          } else {
            outline.push_back(p.at(x, top));
            below.push_back(p.at(x, bottom));
          }
        }
        if (names) continue;
        outline.insert(outline.end(), below.rbegin(), below.rend());
        svg.band(outline, color, opacity);
      }
    };
    draw_range(s.outer_low, s.outer_high, 0.09, 0.8);
    draw_range(s.low, s.high, chart.series.size() > 3 ? 0.12 : 0.2, 2.4);
    for (const auto& part : unbroken(s.y)) {
      std::vector<Point> points;
      for (const size_t k : part) {
        if (chart.steps && !points.empty()) points.push_back({p.x(s.x[k]), points.back().y});
        points.push_back(p.at(s.x[k] + shift, s.y[k]));
      }
      if (!names) svg.polyline(points, color, 1.8, dash);
      if (!chart.dots || s.y.size() > kMostDots) continue;
      for (const size_t k : part) {
        const std::string where =
            names && s.x[k] >= 0 ? chart.x_names[static_cast<size_t>(s.x[k])] : number(s.x[k]);
        const std::string range_text =
            s.low.empty() ? "" : fmt::format(" ({} to {})", number(s.low[k]), number(s.high[k]));
        svg.dot(p.at(s.x[k] + shift, s.y[k]), names ? 3.5 : 2.4, color, color,
                fmt::format("{}{}{}: {}{}", s.name, s.name.empty() ? "" : ", ", where,
                            number(s.y[k]), range_text));
      }
    }
    for (const Point& q : s.published) svg.dot(p.at(q.x, q.y), 5, "none", color, "published");
  }
  const auto places = legend_places(chart, p.width);
  for (size_t i = 0; i < places.size(); ++i) {
    const double x = p.left + places[i].first;
    const double y = p.top - 10 - kLegendRow * (places.back().second - places[i].second);
    if (i < chart.series.size()) {
      svg.line({x, y}, {x + 20, y}, theme.series[i % Theme::kSeries], 2.4,
               names ? "none" : kDashes[i % std::size(kDashes)]);
      svg.text({x + 25, y + 4}, chart.series[i].name, {.size = 11});
    } else {
      svg.dot({x + 10, y}, 5, "none", theme.faint);
      svg.text({x + 25, y + 4}, "published", {.size = 11});
    }
  }
}

std::vector<size_t> label_places(const std::vector<std::string>& names, double room) {
  double widest = 0;
  for (const std::string& name : names) widest = std::max(widest, letters(name));
  const auto least =
      static_cast<size_t>(std::max(1.0, std::ceil((widest + 6) / std::max(room, 1e-9))));
  std::vector<size_t> best;
  double best_score = 1e300;
  for (size_t step = least; step <= (least == 1 ? 1 : 2 * least); ++step) {
    for (size_t first = 0; first < step && first < names.size(); ++first) {
      std::vector<size_t> places;
      double length = 0;
      for (size_t k = first; k < names.size(); k += step) {
        places.push_back(k);
        length += letters(names[k]) / kLetter;
      }
      const double score = length / static_cast<double>(places.size()) +
                           0.8 * static_cast<double>(step - least) / static_cast<double>(least);
      if (score < best_score - 1e-9) {
        best_score = score;
        best = std::move(places);
      }
    }
  }
  return best;
}

void draw_heat_map(Svg& svg, const Panel& p, const HeatMap& map) {
  constexpr size_t kMostRects = 400;
  constexpr int kColors = 255, kLegend = 60;
  const Theme& theme = svg.theme();
  const size_t columns = map.x_names.size(), rows = map.y_names.size();
  const double wide = p.width / static_cast<double>(std::max<size_t>(columns, 1));
  const double high = p.height / static_cast<double>(std::max<size_t>(rows, 1));
  svg.rect(p.left, p.top, p.width, p.height, theme.grid);
  if (columns * rows <= kMostRects && !map.as_picture) {
    double widest = 0;
    for (const double v : map.values) widest = std::max(widest, letters(number(v)));
    const bool figures = widest + 6 < wide && high >= 17;  // in all cells or in none
    svg.open_group("shape-rendering=\"crispEdges\"");
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < columns; ++c) {
        const double v = map.values[r * columns + c];
        if (!is_number(v)) continue;
        const Rgb color = map.scale.at(v);
        const double x = p.left + static_cast<double>(c) * wide;
        const double y = p.bottom() - static_cast<double>(r + 1) * high;
        const double se = map.se.empty() ? kNone : map.se[r * columns + c];
        svg.rect(x, y, wide, high, hex(color),
                 fmt::format("{} = {}, {} = {}: {}{}", map.x_label, map.x_names[c], map.y_label,
                             map.y_names[r], number(v),
                             is_number(se) ? " (s.e. " + number(se, 2) + ")" : ""));
        if (figures) {
          svg.text(
              {x + wide / 2, y + high / 2 + 4}, number(v),
              {.anchor = "middle", .size = 11, .color = is_light(color) ? "#111111" : "#ffffff"});
        }
      }
    }
    svg.close_group();
  } else {
    std::vector<Rgb> palette{{0, 0, 0}};
    for (int k = 0; k < kColors; ++k) {
      const double part = static_cast<double>(k) / (kColors - 1);
      palette.push_back(map.scale.at(map.scale.low + part * (map.scale.high - map.scale.low)));
    }
    std::vector<uint8_t> indices(columns * rows, 0);
    for (size_t r = 0; r < rows; ++r) {
      for (size_t c = 0; c < columns; ++c) {
        const double v = map.values[r * columns + c];
        if (!is_number(v)) continue;
        const double place =
            std::clamp((v - map.scale.low) / (map.scale.high - map.scale.low), 0.0, 1.0);
        indices[(rows - 1 - r) * columns + c] =
            static_cast<uint8_t>(1 + std::lround(place * (kColors - 1)));
      }
    }
    svg.pixels(p.left, p.top, p.width, p.height, static_cast<int>(columns), static_cast<int>(rows),
               indices, palette);
  }
  if (map.all_x_names) {
    draw_names(svg, p, map.x_names, wide, map.x_label);
  } else {
    for (const size_t c : label_places(map.x_names, wide)) {
      const double x = p.left + (static_cast<double>(c) + 0.5) * wide;
      svg.line({x, p.bottom()}, {x, p.bottom() + 4}, theme.faint);
      svg.text({x, p.bottom() + 17}, map.x_names[c],
               {.anchor = "middle", .size = 11, .color = theme.faint});
    }
    svg.text({p.left + p.width / 2, p.bottom() + 36}, map.x_label,
             {.anchor = "middle", .color = theme.faint});
  }
  size_t longest = 1;
  for (const std::string& name : map.y_names) longest = std::max(longest, name.size());
  // Rows have the height of a line of text for their labels, whatever these say.
  std::vector<std::string> row_names = map.y_names;
  const double row_room = high / 16 * (kLetter * static_cast<double>(longest) + 6);
  for (const size_t r : label_places(row_names, row_room)) {
    const double y = p.bottom() - (static_cast<double>(r) + 0.5) * high;
    svg.line({p.left - 4, y}, {p.left, y}, theme.faint);
    svg.text({p.left - 7, y + 4}, map.y_names[r],
             {.anchor = "end", .size = 11, .color = theme.faint});
  }
  const double beside = p.left - 18 - kLetter * static_cast<double>(longest);
  svg.text({beside, p.top + p.height / 2}, map.y_label,
           {.anchor = "middle", .color = theme.faint, .rotate = -90});

  Panel bar{p.right() + 22, p.top, 14, p.height};
  bar.low_y = map.scale.low;
  bar.high_y = map.scale.high;
  const double part = bar.height / kLegend;
  for (int k = kLegend - 1; k >= 0; --k) {  // each down to the bottom: no seams
    const double v = bar.low_y + (k + 0.5) / kLegend * (bar.high_y - bar.low_y);
    svg.rect(bar.left, bar.bottom() - (k + 1) * part, bar.width, (k + 1) * part,
             hex(map.scale.at(v)));
  }
  const auto values = ticks(bar.low_y, bar.high_y, 5);
  const TickTexts texts = tick_texts(values);
  for (size_t i = 0; i < values.size(); ++i) {
    const double y = bar.y(values[i]);
    svg.line({bar.right(), y}, {bar.right() + 4, y}, theme.faint);
    svg.text({bar.right() + 7, y + 4}, texts.texts[i], {.size = 11, .color = theme.faint});
  }
  svg.text({bar.left - 4, bar.top - 9}, map.value_label + texts.scale,
           {.anchor = "middle", .size = 11, .color = theme.faint});
}

}  // namespace cumarl::charts
