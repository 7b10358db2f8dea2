/// \file
/// Small parts that several gridworlds share: maps as text, headings, sets as numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Headings: 0 north, 1 east, 2 south, 3 west. The rows and columns that a step ahead adds.
CUMARL_HD inline int heading_row(int heading) { return heading == 0 ? -1 : (heading == 2 ? 1 : 0); }
CUMARL_HD inline int heading_col(int heading) { return heading == 1 ? 1 : (heading == 3 ? -1 : 0); }

/// The heading after turning right by `quarters`, which may be negative.
CUMARL_HD inline int turned(int heading, int quarters) { return (heading + quarters) & 3; }

/// The rows of a map that is written as text: rows are separated by '/' or by line ends; empty rows
/// are left out. Throws ParameterError("map") for rows of different lengths, characters not in
/// `known`, maps without rows and maps of more than `max_cells` cells. Host.
inline std::vector<std::string> map_rows(const std::string& text, const std::string& known,
                                         size_t max_cells) {
  std::vector<std::string> rows(1);
  for (const char c : text) {
    if (c == '/' || c == '\n') {
      if (!rows.back().empty()) rows.emplace_back();
    } else if (known.find(c) == std::string::npos) {
      throw ParameterError("map", std::string("has '") + c + "', known are \"" + known + "\"");
    } else {
      rows.back() += c;
    }
  }
  if (rows.back().empty()) rows.pop_back();
  if (rows.empty()) throw ParameterError("map", "has no rows");
  for (const std::string& row : rows) {
    if (row.size() != rows[0].size()) throw ParameterError("map", "has rows of different lengths");
  }
  if (rows.size() * rows[0].size() > max_cells) {
    throw ParameterError("map", "has more than " + std::to_string(max_cells) + " cells");
  }
  return rows;
}

/// Numbers the sets of at most `most` of the codes 0 .. codes - 1, the smaller sets first: the set
/// of e_0 < e_1 < ... has the number sum of C(codes, i) + C(e_i, i + 1).
struct SetNumbers {
  uint32_t codes;
  uint32_t sets;         ///< how many; 0 where there are more than `limit` of make()
  const uint32_t* rank;  ///< [most][codes]

  static SetNumbers make(uint32_t codes, uint32_t most, uint64_t limit, Arena& arena) {
    SetNumbers out{codes, 0, nullptr};
    uint64_t sets = 1, subsets = 1;  // C(codes, 0)
    for (uint64_t i = 1; i <= most && sets <= limit; ++i) {
      subsets = codes >= i ? subsets * (codes - i + 1) / i : 0;
      sets += subsets;
    }
    if (sets > limit) return out;
    out.sets = static_cast<uint32_t>(sets);
    std::vector<uint32_t> rank;
    std::vector<uint32_t> smaller(codes + 1, 1);  // C(e, i), from i = 0
    for (uint32_t i = 0; i < most; ++i) {
      std::vector<uint32_t> larger(codes + 1, 0);  // C(e, i + 1) = C(e - 1, i + 1) + C(e - 1, i)
      for (size_t e = 1; e <= codes; ++e) larger[e] = larger[e - 1] + smaller[e - 1];
      for (size_t e = 0; e < codes; ++e) rank.push_back(smaller[codes] + larger[e]);
      smaller = std::move(larger);
    }
    out.rank = arena.store(rank);
    return out;
  }

  /// The number of the set of `count` different codes, which this puts in order. Pre: sets > 0.
  CUMARL_HD uint32_t number(uint32_t* set, int count) const {
    for (int i = 1; i < count; ++i) {
      const uint32_t code = set[i];
      int at = i;
      for (; at > 0 && set[at - 1] > code; --at) set[at] = set[at - 1];
      set[at] = code;
    }
    uint32_t number = 0;
    for (int i = 0; i < count; ++i) number += rank[static_cast<uint32_t>(i) * codes + set[i]];
    return number;
  }
};

/// A probability as the number of 32-bit words, of 2^32, that mean yes. Host.
inline uint64_t words_of(double probability) {
  return static_cast<uint64_t>(probability * 4294967296.0 + 0.5);
}

/// True with the probability that words_of() coded; draws one word.
CUMARL_HD inline bool happens(Rng& rng, uint64_t words) { return rng.word() < words; }

}  // namespace cumarl::inline CUMARL_VARIANT
