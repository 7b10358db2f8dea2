/// \file
/// Fuzz target for the reader of .nfg files (libFuzzer): whatever a file holds, the answer is a game
/// that is whole, or a ConfigError of one line; and a game survives being written and read again.
///
///     clang++ -std=c++20 -g -O1 -DNDEBUG -fsanitize=fuzzer,address,undefined
///       -fno-sanitize-recover=undefined -I. -Ihost/include tests/fuzz/nfg_fuzz.cpp
///       host/src/nfg.cpp host/src/rational.cpp -o nfg_fuzz
///     ./nfg_fuzz -max_len=4096 -rss_limit_mb=2048 -timeout=10 DIR tests/fuzz/nfg_corpus
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cumarl/error.hpp"
#include "host/src/nfg.hpp"
#include "host/src/rational.hpp"

namespace {

using namespace cumarl;

void require(bool condition) {
  if (!condition) std::abort();
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\" ";
}

/// The game as a file of payoffs, or nothing if its numbers were not kept as text.
std::string written(const NormalFormGame& game) {
  std::string out = "NFG 1 R " + quoted(game.name) + "{ ";
  for (const auto& name : game.players) out += quoted(name);
  out += "} { ";
  for (const auto& names : game.actions) {
    out += "{ ";
    for (const auto& name : names) out += quoted(name);
    out += "} ";
  }
  out += "} ";
  const std::size_t cells = game.payoffs.size() / game.players.size();
  for (std::size_t k = 0; k < cells; ++k) {
    std::size_t rest = k;
    std::size_t weight = cells;
    std::size_t joint = 0;
    for (const auto& names : game.actions) {
      weight /= names.size();
      joint += rest % names.size() * weight;
      rest /= names.size();
    }
    for (std::size_t i = 0; i < game.players.size(); ++i) {
      out += game.exact[joint * game.players.size() + i] + ' ';
    }
  }
  return out;
}

void check(const NormalFormGame& game) {
  require(!game.players.empty() && game.players.size() == game.actions.size());
  std::size_t cells = 1;
  for (const auto& names : game.actions) {
    require(!names.empty());
    cells *= names.size();
  }
  require(game.payoffs.size() == cells * game.players.size());
  require(game.exact.empty() || game.exact.size() == game.payoffs.size());
  for (std::size_t k = 0; k < game.payoffs.size(); ++k) {
    require(std::isfinite(game.payoffs[k]));
    if (game.exact.empty()) continue;
    const auto exact = parse_rational(game.exact[k]);
    require(exact.has_value() && to_double(*exact) == game.payoffs[k]);
  }
}

/// Nothing that was accepted may be refused when read back, so no ConfigError passes here.
void check_round_trip(const NormalFormGame& game) noexcept {
  if (game.exact.empty()) return;
  const NormalFormGame again = read_nfg(written(game), "again.nfg");
  require(again.payoffs == game.payoffs && again.actions == game.actions &&
          again.players == game.players && again.name == game.name && again.exact == game.exact);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string input(data, data + size);
  try {
    const NormalFormGame game = read_nfg(input, "f.nfg");
    check(game);
    check_round_trip(game);
  } catch (const ConfigError& error) {
    const std::string_view message = error.what();
    require(message.starts_with("f.nfg:") && message.size() < 1000 &&
            std::all_of(message.begin(), message.end(),
                        [](char c) { return static_cast<unsigned char>(c) >= 0x20; }));
  }
  return 0;
}
