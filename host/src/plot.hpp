/// \file
/// Pictures of reproductions: self-contained SVG on a white background, without scripts or
/// external fonts.
#pragma once

#include <string>
#include <vector>

#include "cumarl/runner.hpp"
#include "host/src/charts.hpp"
#include "host/src/reproduce.hpp"

namespace cumarl {

/// A pricing experiment in three panels: profit gain over sessions, with the static Nash (0) and
/// monopoly (1) marks; prices after a one-period deviation, with 95% bands; cycle lengths and Nash
/// shares. Published figures found in `rows` stand beside ours. Pre: one cell with the metrics of a
/// pricing game.
std::string pricing_picture(const std::string& title, const Result& result,
                            const std::vector<ReproduceRow>& rows);

/// A matrix game: shares of the greedy joint actions, ours and published. Pre: one cell with the
/// share greedy_joint_action.
std::string joint_action_picture(const std::string& title, const Result& result,
                                 const std::vector<ReproduceRow>& rows);

/// Any experiment: every figure's distance from the published one, in units of its tolerance.
std::string distance_picture(const std::string& title, const std::vector<ReproduceRow>& rows);

/// The picture that suits the metrics of `reproduction`.
std::string picture(const Reproduction& reproduction);

/// The values of a column over the runs that have not diverged, ascending, without those that are no
/// numbers; none where there is no such column.
std::vector<double> sorted_values(const CellResult& cell, const std::string& column);

/// A curve with its 95% band; x is the number of the point. Points without runs are gaps.
charts::Series curve_series(const std::string& name, const std::vector<Statistic>& curve);

/// The deviation behind an impulse response: the best response, or that of the published figure.
enum class Deviation { best_response, as_published };

/// Whether a cell has the curves that draw_impulse() shows.
bool has_impulse(const CellResult& cell, Deviation deviation = Deviation::best_response);

/// Prices before and after a one-period deviation, with 95% bands, beside the published ones in
/// `rows`; `marks`: known prices. Pre: has_impulse(cell, deviation).
void draw_impulse(charts::Svg& svg, charts::Panel& panel, const CellResult& cell,
                  Deviation deviation, const std::vector<ReproduceRow>& rows,
                  const std::vector<charts::Mark>& marks);

/// Writes a file, such as an SVG picture, creating its folder. The file appears whole or not at all. Throws IoError.
void write_picture(const std::string& text, const std::string& path);

}  // namespace cumarl
