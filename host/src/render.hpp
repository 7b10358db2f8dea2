/// \file
/// Pictures of gridworld episodes: frames of characters, and an animated SVG.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/src/model.hpp"

namespace cumarl {

/// One moment of an episode. All frames of an episode have pictures of one size.
struct Frame {
  int64_t t = -1;  ///< the joint step that led here; -1: the episode begins
  Picture picture;
  std::vector<int> actions;    ///< [agents]; empty if t is -1
  std::vector<float> rewards;  ///< [agents]; empty if t is -1
};

/// What all frames of an episode share.
struct Cast {
  std::string env;
  int agents = 0;
  std::vector<std::string> actions;  ///< [action] their names, or empty: shown as numbers
};

/// The names in EnvFacts::actions, which read "0 none, 1 north, 2 south"; empty if they do not
/// name all actions from 0 to `count` - 1.
std::vector<std::string> action_names(const std::string& text, int count);

/// A frame as lines of printable ASCII: the step, the grid in a box, then every agent with its
/// action and reward. Floor is drawn as '.'. All frames of an episode have equally many lines.
/// `color`: with ANSI sequences of the 256-colour palette.
std::string to_text(const Cast& cast, const Frame& frame, bool color);

/// The same as an SVG picture that plays and repeats by itself, with a second's rest at the end:
/// SMIL, no scripts, nothing from elsewhere. Where animations do not play it shows the first frame.
/// An element stands for a thing that is shown, and states the frames at which it comes and goes.
/// Pre: frames is not empty, fps > 0.
std::string to_svg(const Cast& cast, const std::vector<Frame>& frames, int fps);

}  // namespace cumarl
