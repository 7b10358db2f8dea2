#include "host/cli/panel.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace cumarl {
namespace {

/// Resident memory of this process in bytes, 0 where the system does not say.
double resident_memory() {
  std::ifstream statm("/proc/self/statm");
  uint64_t size = 0, resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

size_t terminal_width() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

double rate(const Progress& p) {
  return p.seconds > 0 ? static_cast<double>(p.joint_steps) / p.seconds : 0;
}

/// From the runs that ended in this call.
std::string time_left(const Progress& p) {
  const uint64_t ended = p.runs_done - p.runs_before;
  if (ended == 0) return "time left not known yet";
  const auto todo = static_cast<double>(p.runs - p.runs_done);
  return "about " + clock_text(p.seconds * todo / static_cast<double>(ended)) + " left";
}

}  // namespace

std::string scaled(double value) {
  const char* const units[] = {"", " k", " M", " G", " T", " P"};
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < std::size(units)) {
    value /= 1000;
    ++unit;
  }
  const int decimals = unit == 0 || value >= 100 ? 0 : (value < 10 ? 2 : 1);
  return fmt::format("{:.{}f}{}", value, decimals, units[unit]);
}

std::string clock_text(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 86400) return fmt::format("{} d {} h", s / 86400, s % 86400 / 3600);
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
  return s >= 60 ? fmt::format("{} min {:02} s", s / 60, s % 60) : fmt::format("{} s", s);
}

std::vector<std::string> advice(const Progress& p, double idle) {
  constexpr double kIdle = 10;      // seconds
  constexpr uint64_t kEnough = 10;  // runs, before a share says something
  constexpr double kManyRestless = .1;
  constexpr double kCollapsed = .02;
  std::vector<std::string> lines;
  if (p.diverged > 0) {
    lines.push_back(fmt::format(
        "{} of {} runs diverged: their weights are no numbers any more; smaller step sizes help",
        p.diverged, p.runs_done));
  }
  const uint64_t ended = p.converged + p.out_of_steps;
  const auto restless = static_cast<double>(p.out_of_steps);
  if (p.watched && ended >= kEnough && restless > kManyRestless * static_cast<double>(ended)) {
    lines.push_back(
        fmt::format("{} of {} runs reached stop.max_steps with greedy actions that still change: "
                    "they oscillate "
                    "or need longer; a smaller learner.alpha or a larger stop.max_steps helps",
                    p.out_of_steps, ended));
  }
  for (const LiveMetric& metric : p.metrics) {
    if (metric.name == kEntropyMetric && metric.n >= kEnough && metric.mean < kCollapsed) {
      lines.push_back(fmt::format(
          "policies are all but deterministic (entropy {:.2g} of 1): if returns are poor, they "
          "have "
          "settled too early; a larger learner.entropy or a smaller learner.alpha helps",
          metric.mean));
    }
  }
  if (idle > kIdle && p.runs_done < p.runs) {
    lines.push_back(
        fmt::format("no joint step in the last {}: one step or evaluation is very long, or "
                    "the machine is busy with something else",
                    clock_text(idle)));
  }
  return lines;
}

Panel::Panel(Kind kind, std::string title) : kind_(kind), title_(std::move(title)) {}

Panel::~Panel() { erase(); }

void Panel::erase() {
  if (shown_ > 0) fmt::print(stderr, "\033[{}F\033[J", shown_);
  shown_ = 0;
}

std::vector<std::string> Panel::lines(const Progress& p) {
  constexpr size_t kBar = 32;
  if (p.joint_steps != steps_) {
    steps_ = p.joint_steps;
    changed_ = Clock::now();
  }
  const double idle = std::chrono::duration<double>(Clock::now() - changed_).count();
  const auto filled =
      static_cast<size_t>(static_cast<double>(kBar) * static_cast<double>(p.runs_done) /
                          static_cast<double>(std::max<uint64_t>(p.runs, 1)));
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{}   {}, {}", title_, clock_text(p.seconds), time_left(p)));
  std::string ends;
  if (p.watched) ends = fmt::format("   {} converged", p.converged);
  if (p.diverged > 0) ends += fmt::format("   {} diverged", p.diverged);
  lines.push_back(fmt::format("[{}{}] {}/{} runs{}", std::string(filled, '#'),
                              std::string(kBar - filled, '.'), p.runs_done, p.runs, ends));
  std::string saved;
  if (p.checkpointed >= 0) {
    saved = fmt::format("   saved {} ago", clock_text(p.seconds - p.checkpointed));
  }
  lines.push_back(fmt::format("{} joint steps   {} joint steps/s   {}B in memory{}",
                              scaled(static_cast<double>(p.joint_steps)), scaled(rate(p)),
                              scaled(resident_memory()), saved));
  std::string metrics;
  for (const LiveMetric& metric : p.metrics) {
    if (metric.n > 0) {
      metrics += fmt::format("{}{} {:.4g} +- {:.2g}", metrics.empty() ? "" : "   ", metric.name,
                             metric.mean, 1.96 * metric.se);
    }
  }
  if (!metrics.empty()) lines.push_back(metrics + "   (95%)");
  for (const std::string& line : advice(p, idle)) lines.push_back("warning: " + line);
  return lines;
}

void Panel::show(const Progress& p) {
  if (kind_ == Kind::none) return;
  if (kind_ == Kind::lines) {
    if (p.seconds < next_line_) return;
    next_line_ = p.seconds + kLineEvery;
    std::string text;
    for (const std::string& line : lines(p)) text += (text.empty() ? "" : "   ") + line;
    fmt::print(stderr, "{}\n", text);
    return;
  }
  const std::vector<std::string> now = lines(p);
  erase();
  const size_t width = terminal_width();
  for (const std::string& line : now) {
    const size_t room = width > 1 ? width - 1 : 1;
    fmt::print(stderr, "{}\n", line.size() > room ? line.substr(0, room) : line);
  }
  std::fflush(stderr);
  shown_ = now.size();
}

}  // namespace cumarl
