/// \file
/// How fast runs get into the results store and out of it.
///
///     build/cpu/store_bench DIR [RUNS [MEASURES [CURVES [POINTS [BATCH]]]]]
///
/// Writes RUNS (1,000,000) runs of one cell with MEASURES (12) metrics and CURVES (0) curves of POINTS
/// (100) points into DIR, which must have no results yet, BATCH (10,000) runs a transaction, reads
/// them back, and checks that both have one hash. One line each.
#include "host/src/store.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "host/src/summary.hpp"
#include "kernels/core/rng.hpp"

namespace {

/// Wall-clock and processor time since it was made.
class Watch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - wall_).count(); }
  double cpu_seconds() const { return cpu() - cpu_; }

 private:
  using Clock = std::chrono::steady_clock;
  static double cpu() {
    rusage use{};
    getrusage(RUSAGE_SELF, &use);
    return static_cast<double>(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           1e-6 * static_cast<double>(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
  }
  Clock::time_point wall_ = Clock::now();
  double cpu_ = cpu();
};

void say(const char* what, uint64_t runs, double seconds, double cpu_seconds) {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  std::printf("%-22s %9.0f rows/s  %6.2f s  %6.2f s of processor  peak memory so far %ld MiB\n",
              what, static_cast<double>(runs) / seconds, seconds, cpu_seconds,
              use.ru_maxrss / 1024);
}

void say(const char* what, uint64_t runs, const Watch& watch) {
  say(what, runs, watch.seconds(), watch.cpu_seconds());
}

/// Uniform on [0, 1).
double number(uint64_t run, uint64_t column) {
  const cumarl::Philox block = cumarl::philox({1, run}, column, cumarl::Stream::learn, 0);
  return static_cast<double>(block.x0) / 4294967296.0 + static_cast<double>(block.x1) * 0x1p-64;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s DIR [RUNS [MEASURES [CURVES [POINTS [BATCH]]]]]\n", argv[0]);
    return 2;
  }
  const auto argument = [&](int at, uint64_t otherwise) {
    return argc > at ? std::strtoull(argv[at], nullptr, 10) : otherwise;
  };
  const std::string directory = argv[1];
  const uint64_t runs = argument(2, 1'000'000), measures = argument(3, 12), curves = argument(4, 0),
                 points = argument(5, 100), batch = argument(6, 10'000);
  cumarl::StoreCell cell;
  using Kind = cumarl::OutcomeColumn::Kind;
  for (uint64_t k = 0; k < measures; ++k) {
    cell.meaning.columns.push_back({Kind::metric, "metric_" + std::to_string(k)});
  }
  for (uint64_t k = 0; k < curves; ++k) {
    for (uint64_t p = 0; p < points; ++p) {
      cell.meaning.columns.push_back(
          {Kind::curve, "curve_" + std::to_string(k), cumarl::Label::number, static_cast<int>(p)});
    }
  }
  cumarl::StoreHeader header;
  header.experiment = "store bench";
  header.runs_per_cell = runs;
  try {
    const size_t width = cell.meaning.width();
    cumarl::ResultHash written;
    {
      auto store = cumarl::ResultStore::create(directory, header, {cell});
      double seconds = 0, cpu_seconds = 0;
      for (uint64_t first = 0; first < runs; first += batch) {
        cumarl::CellRows rows;
        for (uint64_t run = first; run < std::min(first + batch, runs); ++run) {
          rows.runs.push_back(run);
          rows.rows.insert(rows.rows.end(), {1, static_cast<double>(1000 + run % 1000), 500,
                                             static_cast<double>(run % 4294967295), 7});
          for (size_t c = cumarl::kOutcomeHead; c < width; ++c) {
            rows.rows.push_back(number(run, c));
          }
          written.add(run, {rows.rows.data() + rows.rows.size() - width, width});
        }
        const Watch watch;
        store.append(0, rows);
        store.commit();
        seconds += watch.seconds();
        cpu_seconds += watch.cpu_seconds();
      }
      say("append and commit", runs, seconds, cpu_seconds);
    }
    auto store = cumarl::ResultStore::open(directory);
    cumarl::ResultHash streamed;
    Watch watch;
    for (cumarl::RowReader reader(store); reader.next();) streamed.add(reader.run(), reader.row());
    say("read, a row at a time", runs, watch);
    watch = {};
    const std::vector<cumarl::CellRows> rows = store.rows();
    say("read, all at once", runs, watch);
    watch = {};
    const cumarl::Result result = cumarl::summarise(store.header(), store.cells(), rows);
    say("summaries", runs, watch);
    watch = {};
    store.finish(result);
    say("finish", runs, watch);
    const auto bytes = std::filesystem::file_size(directory + "/" + cumarl::ResultStore::kFile);
    std::printf("%-22s %.1f bytes a run\n", "file",
                static_cast<double>(bytes) / static_cast<double>(runs));
    const bool same = written.text() == streamed.text() && written.text() == result.result_hash;
    std::printf("%-22s %s\n", "check", same ? "ok" : "FAILED");
    return same ? 0 : 1;
  } catch (const cumarl::Error& error) {
    std::fprintf(stderr, "store_bench: %s\n", error.what());
    return 1;
  }
}
