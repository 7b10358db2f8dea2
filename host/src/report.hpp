/// \file
/// `cumarl report`: an experiment as one HTML page that needs nothing else: pictures are inline SVG,
/// styles and a little JavaScript are in it. Without JavaScript everything is shown one below the
/// other; with it, figures have a menu of measures, tips, cells to click on, and can be saved. Light
/// and dark by the reader's setting, light on paper.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cumarl/runner.hpp"
#include "host/src/reproduce.hpp"

namespace cumarl {

/// Where an agent goes from every cell of a grid.
struct PolicyMap {
  /// What the best action does at a place. `other`: it does not move.
  enum Move { north, south, west, east, other, kMoves };

  std::string agent;
  int rows = 0, cols = 0;
  std::vector<uint64_t> visits;  ///< [rows][cols][kMoves]: how often a move was best there
  std::vector<char> walls;       ///< [rows][cols]: 1 where there is a wall
};

/// A known price, to be drawn into pictures of prices.
struct PriceReference {
  double price = 0;
  std::string words;  ///< "static Nash"
};

/// What a page shows beside the results. All of it may be missing.
struct ReportExtras {
  std::string version;             ///< of the program that ran the experiment
  std::string title, source;       ///< of what was published
  std::vector<ReproduceRow> rows;  ///< published figures beside ours
  std::vector<std::string> notes;  ///< what a reader has to know, in words
  std::vector<PriceReference> prices;
  std::string episode;  ///< an animated SVG picture, see render.hpp
  std::vector<PolicyMap> policies;
  std::string policy_caption;
};

/// The page, whole. Sizes: a few hundred kilobytes; under 5 MB for sweeps of up to a million cells,
/// of which pictures then show fewer measures and blocks of cells (the page says so). The number of
/// runs does not matter.
std::string html_report(const Result& result, const ReportExtras& extras = {});

/// What is to be had about a result in `directory`: figures that were published under its name,
/// known prices of its market, and, where tables.bin is there and the environment has a picture, the
/// policies of the first run and an episode of theirs. What cannot be had is left out, with a note
/// where a reader would expect it.
ReportExtras find_extras(const Result& result, const std::string& directory);

/// Axes of a sweep, found from the cells.
struct SweepAxes {
  struct Axis {
    std::string key;
    std::vector<std::string> texts;  ///< as people read them: without the quotes of TOML
    std::vector<double> numbers;     ///< the same; empty where one of them is no number
  };

  std::vector<Axis> axes;                  ///< those with two values or more; numbers ascend
  std::vector<std::vector<size_t>> place;  ///< [cell][axis]: position among the axis's values
};
SweepAxes sweep_axes(const Result& result);

}  // namespace cumarl
