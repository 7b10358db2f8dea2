#include "host/src/bench_tools.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>

#include "host/src/kernel_choice.hpp"

namespace cumarl {
namespace {

/// The least time of `trials` calls of `f`, in seconds: what disturbs a call makes it slower only.
template <class F>
double least_seconds(int trials, const F& f) {
  double least = std::numeric_limits<double>::infinity();
  for (int trial = 0; trial < trials; ++trial) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    least = std::min(least, took.count());
  }
  return least;
}

/// Eight rows of 64 floats times a vector of 64, as often as `repeats` says, in vectors of kBytes.
template <int kBytes>
[[gnu::always_inline]] inline void multiply_rows(const float* rows, const float* x, int repeats) {
  constexpr int kColumns = 64, kRows = 8, kWide = kBytes / static_cast<int>(sizeof(float));
  typedef float Vector  // NOLINT(modernize-use-using): an attribute of a dependent size
      __attribute__((vector_size(kBytes), may_alias));
  for (int repeat = 0; repeat < repeats; ++repeat) {
    asm volatile("" ::: "memory");  // the rows may have changed
    Vector sum[kRows] = {};
    for (int k = 0; k < kColumns; k += kWide) {
      const Vector mine = *reinterpret_cast<const Vector*>(x + k);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        sum[r] += *reinterpret_cast<const Vector*>(rows + r * kColumns + k) * mine;
      }
    }
    for (const Vector& one : sum) {
      asm volatile("" ::"m"(one));  // used
    }
  }
}

constexpr uint32_t kChains = 8;  ///< of operations, none of which waits for another

/// In each chain an addition and an exclusive or, as often as `repeats` says, in vectors of kBytes;
/// the two are no single operation of any kind.
template <int kBytes>
[[gnu::always_inline]] inline void operate(const uint32_t* from, int repeats) {
  typedef uint32_t Vector  // NOLINT(modernize-use-using)
      __attribute__((vector_size(kBytes), may_alias));
  const Vector add = *reinterpret_cast<const Vector*>(from);
  const Vector flip = *reinterpret_cast<const Vector*>(from + 16);
  Vector chain[kChains];
  for (uint32_t k = 0; k < kChains; ++k) chain[k] = add + k;  // alike, they would be one
  for (int repeat = 0; repeat < repeats; ++repeat) {
#pragma GCC unroll 8
    for (Vector& one : chain) one = (one + add) ^ flip;
  }
  for (const Vector& one : chain) {
    asm volatile("" ::"m"(one));  // used
  }
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void multiply_rows_32(const float* rows, const float* x, int repeats) {
  multiply_rows<32>(rows, x, repeats);
}
[[gnu::target("avx512f,avx512vl")]] void multiply_rows_64(const float* rows, const float* x,
                                                          int repeats) {
  multiply_rows<64>(rows, x, repeats);
}
[[gnu::target("avx2")]] void operate_32(const uint32_t* from, int repeats) {
  operate<32>(from, repeats);
}
[[gnu::target("avx512f,avx512vl")]] void operate_64(const uint32_t* from, int repeats) {
  operate<64>(from, repeats);
}
#endif

}  // namespace

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

double copy_bandwidth(size_t bytes) {
  const size_t half = std::max<size_t>(bytes / 2, 4096);
  const size_t copies = (size_t{64} << 20) / half + 1;
  std::vector<char> from(half, 1), to(half);
  const double seconds = least_seconds(5, [&] {
    for (size_t k = 0; k < copies; ++k) {
      std::memcpy(to.data(), from.data(), half);
      from[k % half] = to[half - 1];
    }
  });
  return 2.0 * static_cast<double>(copies * half) / seconds;
}

double operation_rate() {
  constexpr int kRepeats = 100'000;
  alignas(64) uint32_t from[32];
  for (uint32_t k = 0; k < 32; ++k) from[k] = 0x9E3779B9u * (k + 1);
  double lanes = 4;
  const double seconds = least_seconds(20, [&] {
    switch (cpu_variant()) {
#if defined(__x86_64__)
      case CpuVariant::x86_64_v4: lanes = 16; return operate_64(from, kRepeats);
      case CpuVariant::x86_64_v3: lanes = 8; return operate_32(from, kRepeats);
#endif
      default: return operate<16>(from, kRepeats);
    }
  });
  return 2.0 * kChains * lanes * kRepeats / seconds;
}

double multiply_add_rate() {
  constexpr int kRepeats = 20'000;
  alignas(64) float rows[8 * 64] = {};
  alignas(64) float x[64] = {};
  const double seconds = least_seconds(50, [&] {
    switch (cpu_variant()) {
#if defined(__x86_64__)
      case CpuVariant::x86_64_v4: return multiply_rows_64(rows, x, kRepeats);
      case CpuVariant::x86_64_v3: return multiply_rows_32(rows, x, kRepeats);
#endif
      default: return multiply_rows<16>(rows, x, kRepeats);
    }
  });
  return 8.0 * 64.0 * kRepeats / seconds;
}

double load_latency(size_t bytes) {
  struct alignas(64) Line {
    const Line* next;
  };
  constexpr int kLoads = 200'000;
  std::vector<Line> lines(std::max<size_t>(bytes / sizeof(Line), 2));
  // Sattolo's algorithm: a random permutation that is one cycle
  std::vector<uint32_t> place(lines.size());
  for (size_t k = 0; k < place.size(); ++k) place[k] = static_cast<uint32_t>(k);
  std::minstd_rand random(1);
  for (size_t k = place.size() - 1; k > 0; --k) std::swap(place[k], place[random() % k]);
  for (size_t k = 0; k < lines.size(); ++k) lines[k].next = &lines[place[k]];
  const Line* at = lines.data();
  const double seconds = least_seconds(5, [&] {
    for (int k = 0; k < kLoads; ++k) at = at->next;
    asm volatile("" ::"r"(at));  // used
  });
  return seconds / kLoads;
}

ThreadRates thread_rates(size_t bytes) {
  const size_t most = std::min(bytes, size_t{256} << 20);
  return {copy_bandwidth(most), operation_rate(), multiply_add_rate(), load_latency(most)};
}

Limits limits_of(const StepCosts& costs, const ThreadRates& rates, int threads, double together) {
  const double issue =
      costs.operations / rates.operations + costs.multiply_adds / rates.multiply_adds;
  return {threads * rates.bytes / costs.bytes, threads / issue,
          threads * together / rates.load_seconds};
}

std::pair<std::string, double> binding(const Limits& limits) {
  std::pair<std::string, double> lowest{"unmeasured", std::numeric_limits<double>::quiet_NaN()};
  for (const auto& [kind, limit] :
       {std::pair{"memory", limits.memory}, {"issue", limits.issue}, {"latency", limits.latency}}) {
    if (limit < lowest.second || (std::isnan(lowest.second) && !std::isnan(limit))) {
      lowest = {kind, limit};
    }
  }
  return lowest;
}

}  // namespace cumarl
