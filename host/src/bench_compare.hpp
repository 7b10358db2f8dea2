/// \file
/// `cumarl bench compare`: two files of `cumarl bench --json`, row by row.
#pragma once

#include <string>
#include <vector>

namespace cumarl {

/// One bench in both files. b over a; above 1 the second is faster.
struct BenchRatio {
  std::string bench;    ///< its name, and what was set for it: "pricing env.prices=20 runs=100"
  double a = 0, b = 0;  ///< medians, joint steps/s
  double ratio = 0;     ///< b / a
  /// The ratio's interval: each median may be off by 1.57 iqr / sqrt(repeats), and the bounds are
  /// those of the ends that are furthest apart. Two medians whose intervals do not meet differ at
  /// about the 95% level. Source: McGill, Tukey and Larsen, The American Statistician 32, 1978.
  double low = 0, high = 0;
  bool differs = false;            ///< 1 is outside [low, high]
  std::vector<std::string> notes;  ///< other device, other threads, a failed check
};

struct BenchComparison {
  std::vector<BenchRatio> rows;                   ///< in the order of the first file
  std::vector<std::string> only_in_a, only_in_b;  ///< benches without a partner
};

/// Compares two files, each one object of `cumarl bench NAME --json` or an object {"benches": [...]}
/// of several. Throws ConfigError, with file, key and range, for a file that cannot be read, is no
/// JSON, lacks a key, holds a bench twice, or whose numbers are out of range; and where the files
/// have no bench in common.
BenchComparison compare_benches(const std::string& file_a, const std::string& file_b);

/// A table for a terminal, with a line on the whole.
std::string to_text(const BenchComparison& comparison);
/// {"rows": [{"bench", "a", "b", "ratio", "low", "high", "differs", "notes"}], "only_in_a",
/// "only_in_b"}.
std::string to_json(const BenchComparison& comparison);

/// Why the repeats of a bench are not to be trusted, or "": the interquartile range is above 10% of
/// the median.
std::string noise_warning(const std::string& bench, double median, double iqr);
/// Why they are not to be trusted, or "": the machine slowed down. Each of the last half of `rates`
/// is below each of the first half (of an odd number the middle one is in neither), which of seven
/// equal ones happens by chance once in twenty times; and the halves' medians are more than 3% apart.
/// Fewer than six rates say nothing.
std::string throttling_warning(const std::string& bench, const std::vector<double>& rates);
/// The same of the machine at this moment: its load average of the last minute is above its cores.
std::string load_warning();

}  // namespace cumarl
