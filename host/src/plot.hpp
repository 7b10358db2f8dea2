/// \file
/// Pictures of reproductions: self-contained SVG on a white background, without scripts or
/// external fonts.
#pragma once

#include <string>
#include <vector>

#include "cumarl/runner.hpp"
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

/// Writes an SVG file, creating its folder. The file appears whole or not at all. Throws IoError.
void write_picture(const std::string& svg, const std::string& path);

}  // namespace cumarl
