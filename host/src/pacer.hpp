/// \file
/// Makes launches end: now and then, so that the host hears of the runs, and for good when it is time.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "cumarl/runner.hpp"

namespace cumarl {

class Pacer {
 public:
  /// Leaves when `interrupt` is true (it may be null) or after `seconds` (0: never). Launches pause
  /// every `tick` seconds.
  Pacer(const InterruptFlag* interrupt, double seconds, double tick)
      : interrupt_(interrupt),
        begin_(Clock::now()),
        seconds_(seconds),
        tick_(tick),
        pause_(interrupt != nullptr && interrupt->load()),
        leaving_(pause_.load()),
        thread_([this](const std::stop_token& stop) { watch(stop); }) {}

  /// What launches look at.
  const std::atomic<bool>& pause() const { return pause_; }
  /// Whether it is time to leave for good.
  bool leaving() const { return leaving_; }
  /// Ends the pause, unless it is time to leave.
  void go_on() {
    pause_ = false;
    if (leaving_) pause_ = true;
  }

 private:
  using Clock = std::chrono::steady_clock;

  static double since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  void watch(const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    Clock::time_point last = begin_;
    while (!stop.stop_requested()) {
      wake.wait_for(lock, stop, std::chrono::milliseconds(5), [] { return false; });
      if ((interrupt_ != nullptr && interrupt_->load()) ||
          (seconds_ > 0 && since(begin_) >= seconds_)) {
        leaving_ = true;
        pause_ = true;
      } else if (since(last) >= tick_) {
        last = Clock::now();
        pause_ = true;
      }
    }
  }

  const InterruptFlag* interrupt_;
  Clock::time_point begin_;
  double seconds_, tick_;
  std::atomic<bool> pause_, leaving_;
  std::jthread thread_;  // last: it uses the others
};

}  // namespace cumarl
