#include "host/src/heat_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>

namespace cumarl {
namespace {

constexpr const char* kInk = "#1f2933";
constexpr const char* kFaint = "#616e7c";
constexpr const char* kUnknown = "#d5dae0";

// The map and its surroundings, in pixels.
constexpr double kLeft = 92, kTop = 84, kSide = 480, kBelow = 70;
constexpr double kScaleGap = 36, kScaleWidth = 18, kRight = 110;
constexpr double kScaleLeft = kLeft + kSide + kScaleGap;
constexpr std::size_t kTicks = 6;

std::string escape(const std::string& words) {
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

std::string text(double x, double y, const std::string& words, const char* anchor, double size,
                 const char* color, const std::string& more = "") {
  return fmt::format(
      "<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{:g}\" text-anchor=\"{}\" fill=\"{}\"{}>{}"
      "</text>\n",
      x, y, size, anchor, color, more, escape(words));
}

std::string rect(double x, double y, double width, double height, const std::string& fill) {
  return fmt::format(
      "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\"/>\n", x, y,
      width, height, fill);
}

/// Places of at most kTicks of `count` values, at one distance, from the first on.
std::vector<std::size_t> tick_places(std::size_t count) {
  const std::size_t stride = std::max<std::size_t>(1, (count + kTicks - 2) / (kTicks - 1));
  std::vector<std::size_t> places;
  for (std::size_t at = 0; at < count; at += stride) places.push_back(at);
  return places;
}

std::string number(double value) { return fmt::format("{:.3g}", value); }

}  // namespace

std::string heat_color(double share) {
  constexpr std::array<uint32_t, 10> kAnchors = {0x440154, 0x482878, 0x3e4989, 0x31688e, 0x26828e,
                                                 0x1f9e89, 0x35b779, 0x6ece58, 0xb5de2b, 0xfde725};
  const double step =
      std::floor(std::clamp(share, 0.0, 1.0) * (kHeatColors - 1) + 0.5) / (kHeatColors - 1);
  const double place = step * static_cast<double>(kAnchors.size() - 1);
  const std::size_t below = std::min(static_cast<std::size_t>(place), kAnchors.size() - 2);
  const double way = place - static_cast<double>(below);
  std::string color = "#";
  for (const int shift : {16, 8, 0}) {
    const auto part = [&](uint32_t anchor) {
      return static_cast<double>((anchor >> static_cast<unsigned>(shift)) & 0xffU);
    };
    const double mixed = part(kAnchors[below]) * (1 - way) + part(kAnchors[below + 1]) * way;
    color += fmt::format("{:02x}", static_cast<int>(mixed + 0.5));
  }
  return color;
}

std::string heat_map_svg(const HeatMap& map) {
  const std::size_t columns = map.x.values.size();
  const std::size_t rows = map.y.values.size();
  if (columns == 0 || rows == 0 || map.values.size() != columns * rows) {
    throw std::invalid_argument("a heat map needs one value a cell, and a cell at least");
  }
  double low = map.low, high = map.high;
  if (low == high) {
    low = std::numeric_limits<double>::infinity();
    high = -low;
    for (const double value : map.values) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
    if (!(low < high)) {  // one value, or none
      low = std::isfinite(low) ? low - 0.5 : 0;
      high = low + 1;
    }
  }
  const auto color = [&](double value) {
    return std::isfinite(value) ? heat_color((value - low) / (high - low)) : std::string(kUnknown);
  };

  const double width = kScaleLeft + kScaleWidth + kRight, height = kTop + kSide + kBelow;
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
      "viewBox=\"0 0 {0:.0f} {1:.0f}\" role=\"img\" "
      "font-family=\"Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif\">\n"
      "<title>{2}</title>\n",
      width, height, escape(map.title));
  out += rect(0, 0, width, height, "#ffffff");
  out += text(24, 32, map.title, "start", 17, kInk, " font-weight=\"bold\"");
  out += text(24, 54, map.subtitle, "start", 12, kFaint);

  // Neighbours of one colour are one rectangle; edges are kept crisp so that no seams show.
  const double cell_width = kSide / static_cast<double>(columns);
  const double cell_height = kSide / static_cast<double>(rows);
  out += "<g shape-rendering=\"crispEdges\">\n";
  for (std::size_t r = 0; r < rows; ++r) {
    const double y = kTop + kSide - cell_height * static_cast<double>(r + 1);
    for (std::size_t from = 0, to = 0; from < columns; from = to) {
      const std::string fill = color(map.values[r * columns + from]);
      for (to = from + 1; to < columns && color(map.values[r * columns + to]) == fill;) ++to;
      out += rect(kLeft + cell_width * static_cast<double>(from), y,
                  cell_width * static_cast<double>(to - from), cell_height, fill);
    }
  }
  for (int k = 0; k < kHeatColors; ++k) {
    const double part = kSide / kHeatColors;
    out += rect(kScaleLeft, kTop + kSide - part * (k + 1), kScaleWidth, part,
                heat_color(static_cast<double>(k) / (kHeatColors - 1)));
  }
  out += "</g>\n";

  for (const std::size_t c : tick_places(columns)) {
    out += text(kLeft + cell_width * (static_cast<double>(c) + 0.5), kTop + kSide + 20,
                number(map.x.values[c]), "middle", 12, kInk);
  }
  for (const std::size_t r : tick_places(rows)) {
    out += text(kLeft - 8, kTop + kSide - cell_height * (static_cast<double>(r) + 0.5) + 4,
                number(map.y.values[r]), "end", 12, kInk);
  }
  for (std::size_t k = 0; k < kTicks; ++k) {
    const double share = static_cast<double>(k) / (kTicks - 1);
    out += text(kScaleLeft + kScaleWidth + 8, kTop + kSide * (1 - share) + 4,
                number(low + (high - low) * share), "start", 12, kInk);
  }
  const auto upright = [](double x, double y) {
    return fmt::format(" transform=\"rotate(-90 {:.1f} {:.1f})\"", x, y);
  };
  const double middle = kTop + kSide / 2;
  out += text(kLeft + kSide / 2, kTop + kSide + 46, map.x.title, "middle", 13, kInk);
  out += text(26, middle, map.y.title, "middle", 13, kInk, upright(26, middle));
  const double at = kScaleLeft + kScaleWidth + 72;
  out += text(at, middle, map.value_title, "middle", 13, kInk, upright(at, middle));
  return out + "</svg>\n";
}

}  // namespace cumarl
