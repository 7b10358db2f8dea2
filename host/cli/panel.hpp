/// \file
/// What a person sees while runs are in flight: a panel on a terminal, now and then a line elsewhere.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cumarl/runner.hpp"

namespace cumarl {

/// "1.23 M"
std::string scaled(double value);
/// "2 h 05 min"
std::string clock_text(double seconds);

/// What is going wrong so far, in words that say what to do. `idle`: seconds since the last joint
/// step was counted.
std::vector<std::string> advice(const Progress& p, double idle);

class Panel {
 public:
  enum class Kind : uint8_t { none, lines, terminal };

  /// `title`: experiment and device.
  Panel(Kind kind, std::string title);
  /// Takes the panel off the terminal.
  ~Panel();
  Panel(const Panel&) = delete;
  Panel& operator=(const Panel&) = delete;

  /// Pre: called from one thread at a time.
  void show(const Progress& p);

 private:
  using Clock = std::chrono::steady_clock;
  /// Seconds between two lines where standard error is no terminal.
  static constexpr double kLineEvery = 15;

  void erase();
  std::vector<std::string> lines(const Progress& p);

  Kind kind_;
  std::string title_;
  size_t shown_ = 0;  ///< lines on the terminal
  double next_line_ = kLineEvery;
  uint64_t steps_ = 0;  ///< at the last change
  Clock::time_point changed_ = Clock::now();
};

}  // namespace cumarl
