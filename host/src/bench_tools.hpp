/// \file
/// What the benches share: statistics of repeats, the rates of this machine, and what bounds a
/// workload.
#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace cumarl {

/// The quantile q of `values`, interpolated linearly (type 7 of Hyndman and Fan).
/// Pre: values not empty, 0 <= q <= 1.
double quantile(std::vector<double> values, double q);

/// What a joint step takes, counted from its algorithm: not instructions, whose number depends on
/// compiler and registers. NaN: not counted.
struct StepCosts {
  double bytes =
      std::numeric_limits<double>::quiet_NaN();  ///< of a run's memory, read plus written
  /// On 32-bit numbers; an addition, a multiplication, a comparison are one each.
  double operations = std::numeric_limits<double>::quiet_NaN();
  double multiply_adds = 0;  ///< of floats in sums over columns, not among `operations`

  double all_operations() const { return operations + 2 * multiply_adds; }
};

/// Operations of one agent in a joint step. A random word: a block of Philox4x32-10 has ten rounds
/// of two multiplications and four exclusive ors, and gives four words.
inline constexpr double kWordOperations = 10 * (2 + 4) / 4.0;
/// An action drawn uniformly: a word, times the number of actions, shifted.
inline constexpr double kRandomOperations = kWordOperations + 2;
/// Epsilon-greedy: a word; epsilon from two tabulated factors, the comparison with it, the explored
/// action (two) and the choice between the two.
inline constexpr double kEpsilonGreedyOperations = kWordOperations + 6;
/// The agent's part in the number of a joint action: a multiplication and an addition.
inline constexpr double kJointActionOperations = 2;
/// An update of a table: the entry's address (two), two multiplications, three additions; the best of
/// a row's entries comes to that.
inline constexpr double kUpdateOperations = 2 + 2 + 3;
/// Whether the one-hot features of two states are the same, and the move of a value by that: a
/// comparison, a multiplication, an addition.
inline constexpr double kOverlapOperations = 3;
/// Of all agents in level-based foraging: each agent's new cell (an addition, two comparisons with the
/// walls, one with every food) and its distance from every food (four), the comparisons between
/// agents, and the count of steps.
constexpr double lbf_operations(int agents, int foods) {
  return agents * (3 + 5 * foods) + agents * (agents - 1) / 2.0 + 1;
}
/// Multiply-adds of an update of QMIX from `samples` joint transitions, without padding: forward twice
/// (learned and target network), gradients of all weights, and of the inputs of layers that are no
/// first ones. Agents share a network of one hidden layer of `units`; the mixing network, with
/// `embed` units, has two hypernetworks of two layers, `width` units, and two of one.
constexpr double qmix_multiply_adds(int samples, int agents, int features, int actions, int state,
                                    int units, int embed, int width) {
  const double utilities = agents * (features + actions) * units;
  const double hidden = width * (agents + 1.0) * embed;  // the second layers
  const double mixing = state * 2.0 * (width + embed) + hidden + (agents + 2.0) * embed;
  return samples * (3 * (utilities + mixing) + agents * actions * units + hidden);
}

/// What one thread can do, measured.
struct ThreadRates {
  double bytes = 0;          ///< copied a second, read plus written
  double operations = 0;     ///< a second
  double multiply_adds = 0;  ///< a second
  double load_seconds = 0;   ///< from a load to the next one, whose address it gives
};

/// Joint steps a second that each limit allows alone; NaN where it is not known.
struct Limits {
  double memory = std::numeric_limits<double>::quiet_NaN();
  double issue = std::numeric_limits<double>::quiet_NaN();
  double latency = std::numeric_limits<double>::quiet_NaN();
};

/// Bytes a second of a copy over a working set of `bytes`, read plus written, one thread.
double copy_bandwidth(size_t bytes);
/// Operations a second of independent chains of additions and exclusive ors, one thread, in the
/// widest registers of the instruction set that the loops run.
double operation_rate();
/// The same for multiply-adds of floats, weights in the first-level cache; multiply and add rounded
/// apart, as in the kernels.
double multiply_add_rate();
/// Seconds a load of a walk through all cache lines of `bytes` bytes, in random order, each of
/// which holds the address of the next.
double load_latency(size_t bytes);
/// All four, the first and the last over a working set of `bytes`, at most 256 MiB.
ThreadRates thread_rates(size_t bytes);

/// The limits of a workload of which each thread has `together` runs in flight at a time: memory by
/// the bytes copied; issue by the operations, with the multiply-adds behind the others as they
/// share the units; latency by one load, at least, from the result of a joint step to the next step
/// of its run. Pre: threads >= 1, together >= 1.
Limits limits_of(const StepCosts& costs, const ThreadRates& rates, int threads, double together);

/// The lowest limit that is known, "memory", "issue" or "latency"; "unmeasured" and NaN: none is.
std::pair<std::string, double> binding(const Limits& limits);

}  // namespace cumarl
