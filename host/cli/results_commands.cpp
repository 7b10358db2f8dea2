#include "host/cli/results_commands.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "host/src/export.hpp"
#include "host/src/merge.hpp"

namespace {

/// What is not there, on standard error.
void tell_missing(uint64_t runs, uint64_t wanted, uint64_t damaged) {
  if (damaged > 0) {
    fmt::print(stderr, "warning: {} damaged row{} left out\n", damaged, damaged == 1 ? "" : "s");
  }
  if (runs < wanted) fmt::print(stderr, "{} of the experiment's {} runs are there\n", runs, wanted);
}

}  // namespace

void export_command(const std::string& directory, const std::string& format,
                    const std::string& out) {
  const cumarl::Exported exported =
      cumarl::export_runs(directory, cumarl::parse_format(format), out);
  tell_missing(exported.runs, exported.wanted, exported.damaged);
  fmt::print("{}: {} runs\n", exported.path, exported.runs);
}

void merge_command(const std::vector<std::string>& directories, const std::string& out, bool json) {
  const cumarl::Merged merged = cumarl::merge_results(directories, out);
  tell_missing(merged.result.runs, merged.wanted, merged.damaged);
  if (json) {
    fmt::print("{}\n", cumarl::to_json(merged.result));
  } else {
    fmt::print("{}: {} runs of {}\nresult hash {}\n", out, merged.result.runs,
               merged.result.experiment, merged.result.result_hash);
  }
}
