/// \file
/// Games in normal form: what `cumarl solve` reads, and Gambit's file format for them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cumarl {

/// A payoff table of 1 to 6 players. A joint action is numbered sum of action_i * weight_i, player
/// 0 with the highest weight (the last player's action runs fastest), as in RepeatedGame.
struct NormalFormGame {
  std::string name;
  std::vector<std::string> players;               ///< their names
  std::vector<std::vector<std::string>> actions;  ///< names, [player][action]
  std::vector<double> payoffs;                    ///< [joint][players]
  /// The payoffs as they were written ("1/3", "0.1"), for exact solvers; or empty: the doubles are
  /// exact.
  std::vector<std::string> exact;

  int action_count(std::size_t player) const { return static_cast<int>(actions[player].size()); }
};

/// A game without names: its actions are "1", "2", ..., its players "Player 1", ...
NormalFormGame make_game(std::string name, const std::vector<int>& actions,
                         std::vector<double> payoffs);

/// Most payoffs (joint actions times players) of a file, and most kept as text.
inline constexpr int64_t kMostPayoffs = int64_t{1} << 22;
inline constexpr int64_t kMostExactPayoffs = int64_t{1} << 16;

/// Reads Gambit's .nfg format, version 1, R or D, with payoffs or with outcomes, strategies counted
/// or named. Bytes that are no UTF-8 become '?'. `source` is what errors call the text.
///
/// Throws ConfigError: "FILE:LINE: column C: expected ..., not ...".
/// Source: Gambit manual, "The strategic game (.nfg) file format".
NormalFormGame read_nfg(std::string_view text, const std::string& source);

/// Reads a file of up to 256 MiB. Throws IoError where it cannot be read, else as above.
NormalFormGame load_nfg(const std::string& path);

}  // namespace cumarl
