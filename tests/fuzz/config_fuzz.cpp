/// \file
/// Fuzz target for the configuration (libFuzzer): whatever a file and a `--set` hold, the answer
/// is a configuration or a ConfigError of one line; and what is accepted survives being written
/// and read again.
///
///     clang++ -std=c++20 -g -O1 -DNDEBUG -fsanitize=fuzzer,address,undefined
///       -fno-sanitize-recover=undefined -I. -Ihost/include tests/fuzz/config_fuzz.cpp
///       host/src/config.cpp host/src/nfg.cpp host/src/rational.cpp host/src/toml.cpp -lfmt
///       -o config_fuzz
///     ./config_fuzz -max_len=4096 -rss_limit_mb=2048 -timeout=10 DIR tests/fuzz/corpus
///
/// Input: the file; what follows a last line of the form "--set key=value" is the assignment.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "host/src/config.hpp"

namespace {

using namespace cumarl;

/// A component with a field of every kind.
struct Sample {
  int firms = 2;
  int64_t steps = 10;
  double mu = 0.25;
  bool coop = false;
  std::string label;
  std::vector<double> quality = {2.0};
  std::vector<int> size;
  Tensor payoffs;
  Choice kind;
  double start = 1.0;

  void fields(FieldVisitor& v) {
    v("firms", firms, Bounds{2, 6}, "", "");
    v("steps", steps, Bounds{-1e300, 9223372036854775807.0}, "steps", "");
    v("mu", mu, Bounds{0}, "", "");
    v("coop", coop, "");
    v("label", label, "");
    v("quality", quality, Bounds{0, 100}, "", "");
    v("size", size, Bounds{}, "cells", "");
    v("payoffs", payoffs, "", "");
    v.choice("kind", kind, {"cournot", "bertrand"}, "");
    v("exploration.start", start, Bounds{}, "", "");
  }
};

void require(bool condition) {
  if (!condition) std::abort();
}

void read_all(Config& config) {
  Sample env;
  config.take_name("env");
  read(config, "env", [&](FieldVisitor& v) { env.fields(v); });
  for (int i = 0; i < std::max(config.count("learner"), 1); ++i) {
    Sample learner;
    const std::string table = "learner[" + std::to_string(i) + "]";
    read(config, table, [&](FieldVisitor& v) { learner.fields(v); });
  }
  const auto known = config.origins_json();
  require(known.contains("env.name") && known.size() >= 21);
  const ConfigError located = config.locate("env", ParameterError("exploration.start", "is odd"));
  require(std::string_view(located.what()).ends_with("is odd"));
  config.reject_unknown({"env", "learner"});
}

void read_cells(const Config& config) {
  const Sweep sweep = config.sweep();
  for (const int64_t i : {int64_t{0}, sweep.size() / 2, sweep.size() - 1}) {
    try {
      Config cell = config.with(sweep.cell(i));
      read_all(cell);
    } catch (const ConfigError&) {
      // The cell's values are out of bounds.
    }
  }
}

/// Nothing that was accepted may be refused when read back, so no ConfigError passes here.
void check_round_trip(const Config& config) noexcept {
  const std::string text = config.to_toml();
  Config again = Config::from_text(text, "again");
  read_all(again);
  require(again.to_json().dump() == config.to_json().dump());
  require(again.sweep().size() == config.sweep().size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string input(data, data + size);
  constexpr std::string_view kSet = "\n--set ";
  const std::size_t set = input.rfind(kSet);
  try {
    Config config = Config::from_text(std::string_view(input).substr(0, set), "f.toml");
    if (set != std::string::npos) config.set(std::string_view(input).substr(set + kSet.size()));
    read_all(config);
    read_cells(config);
    check_round_trip(config);
  } catch (const ConfigError& error) {
    const std::string_view message = error.what();
    require(!message.empty() && message.size() < 4000 &&
            std::all_of(message.begin(), message.end(),
                        [](char c) { return static_cast<unsigned char>(c) >= 0x20; }));
  }
  return 0;
}
