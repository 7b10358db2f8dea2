/// \file
/// A matrix as a heat map: one self-contained SVG picture, without scripts or external fonts.
#pragma once

#include <string>
#include <vector>

namespace cumarl {

/// One side of a heat map.
struct HeatAxis {
  std::string title;
  std::vector<double> values;  ///< of the columns or rows, in ascending order
};

/// Shapes: values [y][x], row 0 at the bottom; no number: nothing is known there.
struct HeatMap {
  std::string title, subtitle;
  std::string value_title;  ///< what the colours stand for
  HeatAxis x, y;
  std::vector<double> values;
  /// What the first and the last colour stand for; values beyond get the nearest colour. Equal:
  /// the smallest and the largest value.
  double low = 0, high = 0;
};

/// The colour of `share` of the way from low to high, as "#rrggbb": one of kHeatColors steps
/// between the ten anchors of viridis (Smith and van der Walt 2015; CC0), even in brightness and
/// readable without colour vision.
std::string heat_color(double share);
inline constexpr int kHeatColors = 64;

/// The picture, with axes in numbers and a scale. Throws std::invalid_argument where the matrix has
/// no cell or another shape than the axes.
std::string heat_map_svg(const HeatMap& map);

}  // namespace cumarl
