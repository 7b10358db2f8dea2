#include "host/src/autotune.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "host/src/bench.hpp"
#include "host/src/bench_tools.hpp"
#include "host/src/experiment.hpp"

namespace cumarl {
namespace {

/// A median and how far it may be off, see BenchRatio.
struct Median {
  explicit Median(const std::vector<double>& rates)
      : value(quantile(rates, 0.5)),
        off(1.57 * (quantile(rates, 0.75) - quantile(rates, 0.25)) /
            std::sqrt(static_cast<double>(rates.size()))) {}
  double value, off;
};

/// Measures two policies in turn, either one first every other time. False: interrupted.
bool compare(const Policies& a, const Policies& b, int repeats, const MeasurePolicies& measure,
             PolicyAttempt& out) {
  std::vector<double> of_a, of_b;
  for (int repeat = 0; repeat < repeats; ++repeat) {
    if (repeat % 2 == 0) of_a.push_back(measure(a));
    of_b.push_back(measure(b));
    if (repeat % 2 == 1) of_a.push_back(measure(a));
    if (std::isnan(of_a.back()) || std::isnan(of_b.back())) return false;
  }
  const Median before(of_a), now(of_b);
  out.rate_before = before.value;
  out.rate = now.value;
  out.ratio = now.value / before.value;
  out.low = std::max(0.0, now.value - now.off) / (before.value + before.off);
  const double least = before.value - before.off;
  out.high = least > 0 ? (now.value + now.off) / least : std::numeric_limits<double>::infinity();
  out.kept = out.low > 1;
  return true;
}

/// `runs` runs of `steps` joint steps each.
RunRequest load(const RunRequest& base, uint64_t runs, uint64_t steps) {
  RunRequest one = base;
  one.runs = static_cast<int64_t>(std::max<uint64_t>(1, runs));
  one.sets.push_back("stop.max_steps=" + std::to_string(std::max<uint64_t>(1, steps)));
  return one;
}

/// The runs that are timed; `runs` of `steps` joint steps are those of the bench, 16 a CPU thread or
/// fewer. What learns from batches keeps its steps, as it does not learn in the first ones.
std::vector<RunRequest> loads(const RunRequest& base, uint64_t runs, uint64_t steps, bool cuda,
                              int loops) {
  constexpr uint64_t kShort = 10'000;
  std::vector<RunRequest> out;
  if (!cuda) {
    // three times as many runs: every candidate for the lanes divides 48
    const uint64_t half = steps >= 2 * kShort ? steps / 2 : steps;
    const uint64_t cut = std::clamp<uint64_t>(half / kShort, 1, 64);
    out.push_back(load(base, 3 * runs, half));
    if (cut > 1) out.push_back(load(base, 3 * runs * cut, half / cut));
  } else if (loops == PolicyFigure::kTables) {
    for (const uint64_t many : {1'024U, 8'192U, 32'768U, 131'072U}) {
      const uint64_t each = 16 * runs * steps / many;
      out.push_back(load(base, many, std::clamp(each, std::min(steps, kShort), steps)));
    }
  } else {
    out.push_back(load(base, loops == PolicyFigure::kJoint ? 1'024 : runs, steps));
  }
  return out;
}

}  // namespace

Autotuned tune(const Policies& start, const std::vector<PolicyFigure>& figures, int repeats,
               const MeasurePolicies& measure,
               const std::function<void(const PolicyAttempt&)>& progress) {
  Autotuned out;
  out.policies = start;
  const auto attempt = [&](const Policies& best, const Policies& other, PolicyAttempt one) {
    out.interrupted = !compare(best, other, repeats, measure, one);
    if (out.interrupted) return false;
    out.attempts.push_back(one);
    if (progress) progress(one);
    return one.kept;
  };
  bool moved = false;
  for (const PolicyFigure& figure : figures) {
    const uint64_t first = figure.value(out.policies);
    for (const uint64_t value : figure.candidates) {
      if (value == first || out.interrupted) continue;
      Policies other = out.policies;
      figure.of(other) = value;
      if (attempt(out.policies, other,
                  {.figure = figure.key(), .before = figure.value(out.policies), .value = value})) {
        out.policies = other;
        moved = true;
      }
    }
  }
  if (moved && !out.interrupted && !attempt(start, out.policies, {})) {
    out.policies = start;
    moved = false;
  }
  if (!out.attempts.empty()) {
    out.rate_before = out.attempts.back().rate_before;
    out.rate = moved ? out.attempts.back().rate : out.rate_before;
  }
  return out;
}

Autotuned autotune(BenchRequest request, const std::function<void(const PolicyAttempt&)>& progress,
                   const InterruptFlag* interrupt) {
  RunRequest base = bench_request(request);
  const Plan plan = Runner(base).plan();
  const bool cuda = plan.device != "cpu";
  const int all = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const int threads = cuda ? 1 : (request.threads > 0 ? request.threads : all);
  if (cuda) {
    request.threads = 1;
    base = bench_request(request);
  }
  const Experiment experiment = read_experiment(base);
  const ExperimentCell& cell = experiment.cells.front();
  // the shape of a joint learner says whether it has many lanes
  const int loops = !cell.pair->joint()          ? PolicyFigure::kTables
                    : cell.problem->shape() == 0 ? PolicyFigure::kJoint
                                                 : PolicyFigure::kLanes;
  std::vector<PolicyFigure> figures;
  for (const PolicyFigure& figure : policy_figures()) {
    if (figure.cuda() == cuda && (figure.loops & loops) != 0) figures.push_back(figure);
  }

  const std::vector<RunRequest> timed =
      loads(base, static_cast<uint64_t>(experiment.runs), cell.problem->max_steps(), cuda, loops);
  std::vector<std::string> hashes(timed.size());
  const bool alone = !cuda && threads == 1;  // then nothing is waited for
  const MeasurePolicies measure = [&](const Policies& policies) {
    double sum = 0;
    for (size_t k = 0; k < timed.size(); ++k) {
      RunRequest one = timed[k];
      one.policies = std::make_shared<const Policies>(policies);
      const Runner runner(one);
      const std::clock_t begin = std::clock();
      const Result result = runner.run({}, interrupt);
      const double worked = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
      if (result.interrupted) return std::numeric_limits<double>::quiet_NaN();
      if (hashes[k].empty()) hashes[k] = result.result_hash;
      if (hashes[k] != result.result_hash) {
        throw Error("the result depends on the tuning policies: " + hashes[k] + " by default, " +
                    result.result_hash + " with " + to_initializer(policies, cuda));
      }
      const double seconds = alone ? worked : result.seconds;
      sum += std::log(static_cast<double>(result.joint_steps) / seconds);
    }
    return std::exp(sum / static_cast<double>(timed.size()));
  };
  measure(kPolicies);  // warms up
  Autotuned out = tune(kPolicies, figures, request.repeats, measure, progress);
  out.bench = request.name;
  out.device = plan.device;
  out.threads = cuda ? 0 : threads;
  out.cuda = cuda;
  return out;
}

std::string to_text(const PolicyAttempt& a) {
  const std::string what =
      a.figure.empty() ? "all that was kept" : fmt::format("{} = {}", a.figure, a.value);
  const std::string than = a.figure.empty() ? "the defaults" : std::to_string(a.before);
  return fmt::format("{}: {:.3f} times the rate of {} ({:.3f} to {:.3f}): {}", what, a.ratio, than,
                     a.low, a.high, a.kept ? "kept" : "dropped");
}

std::string to_text(const Autotuned& t) {
  const std::string threads = t.cuda ? "" : fmt::format(", {} threads", t.threads);
  return fmt::format("// {} on {}{}: {:.4g} joint steps/s, with the defaults {:.4g}\n{}\n", t.bench,
                     t.device, threads, t.rate, t.rate_before, to_initializer(t.policies, t.cuda));
}

std::string to_json(const Autotuned& t) {
  using Json = nlohmann::ordered_json;
  Json policy = Json::object(), attempts = Json::array();
  for (const PolicyFigure& f : policy_figures()) {
    if (f.cuda() == t.cuda) policy[f.policy][f.name] = f.value(t.policies);
  }
  for (const PolicyAttempt& a : t.attempts) {
    attempts.push_back({{"figure", a.figure},
                        {"before", a.before},
                        {"value", a.value},
                        {"ratio", a.ratio},
                        {"low", a.low},
                        {"high", a.high},
                        {"kept", a.kept}});
  }
  return Json{{"bench", t.bench},
              {"device", t.device},
              {"threads", t.threads},
              {"policy", policy},
              {"rates", {{"default", t.rate_before}, {"tuned", t.rate}}},
              {"attempts", attempts}}
      .dump();
}

}  // namespace cumarl
