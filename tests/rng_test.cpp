/// Random numbers: Philox against its authors' vectors and library, the vector form against the
/// scalar one, and that no two draws of an experiment share a counter.
#include "kernels/core/rng.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>
#include <vector>

#include "kernels/core/rng_block.hpp"

#if __has_include(<Random123/philox.h>)
#include <Random123/philox.h>
#define CUMARL_RANDOM123 1
#endif

namespace {

using namespace cumarl;

using Words = std::array<uint32_t, 4>;

Words words(const Philox& block) { return {block.x0, block.x1, block.x2, block.x3}; }

struct KnownAnswer {
  Words counter;
  std::array<uint32_t, 2> key;
  Words answer;
};

// Source: Random123 1.14.0, lines "philox4x32 10" of tests/kat_vectors (the first three) and of
// tests/old_kat_vectors (the others: one bit in each word of counter and key).
constexpr KnownAnswer kKnownAnswers[] = {
    {{0x00000000, 0x00000000, 0x00000000, 0x00000000},
     {0x00000000, 0x00000000},
     {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    {{0x00000001, 0x00000000, 0x00000000, 0x00000000},
     {0x00000001, 0x00000000},
     {0xac08141b, 0xdfc5ccbe, 0x79c07a47, 0xa7f66093}},
    {{0x00000000, 0x00000001, 0x00000000, 0x00000000},
     {0x00000001, 0x00000000},
     {0x833ff8dc, 0x225c963c, 0x232b88b3, 0x0b334b07}},
    {{0x00000000, 0x00000000, 0x00000001, 0x00000000},
     {0x00000001, 0x00000000},
     {0x07071c12, 0x428264b6, 0x3909104b, 0x6da2bda2}},
    {{0x00000000, 0x00000000, 0x00000000, 0x00000001},
     {0x00000000, 0x00000001},
     {0x96b27e8c, 0x28826d0f, 0x66d958ef, 0x081509dc}},
    {{0x00000000, 0x00000000, 0x80000000, 0x00000000},
     {0x00000000, 0x80000000},
     {0xae56ca02, 0x7609ba67, 0x25abd7df, 0x46ce39a3}},
};

TEST(Philox, KnownAnswers) {
  for (const auto& [counter, key, answer] : kKnownAnswers) {
    EXPECT_EQ(words(Philox::block(counter[0], counter[1], counter[2], counter[3], key[0], key[1])),
              answer);
  }
}

TEST(Philox, EqualsRandom123) {
#if defined(CUMARL_RANDOM123)
  std::mt19937 rng(1);
  const auto draw = [&rng] { return static_cast<uint32_t>(rng()); };
  for (int i = 0; i < 100'000; ++i) {
    const Words c{draw(), draw(), draw(), draw()};
    const std::array<uint32_t, 2> k{draw(), draw()};
    const philox4x32_ctr_t counter{{c[0], c[1], c[2], c[3]}};
    const philox4x32_key_t key{{k[0], k[1]}};
    const philox4x32_ctr_t expected = philox4x32(counter, key);
    ASSERT_EQ(words(Philox::block(c[0], c[1], c[2], c[3], k[0], k[1])),
              (Words{expected.v[0], expected.v[1], expected.v[2], expected.v[3]}));
  }
#else
  GTEST_SKIP() << "Random123 is not installed";
#endif
}

/// A run's identity and a place in one of its streams, drawn with many bits set.
struct Draw {
  RunKey key;
  uint64_t step;
  Stream stream;
  uint32_t block;
};

template <class Generator>
Draw draw_place(Generator& rng) {
  const auto wide = [&rng] { return (uint64_t{rng()} << 32) | uint64_t{rng()}; };
  return {{wide(), wide()},
          wide() & 0xFFFFFFFFFFFF,
          static_cast<Stream>(rng() % 6),
          static_cast<uint32_t>(rng()) & 0xFFF};
}

// The layout that rng.hpp promises: step (48 bits) | stream (4) | block (12) | run (64), and the
// seed as the key.
TEST(Philox, CounterLayout) {
  std::mt19937 rng(2);
  for (int i = 0; i < 1'000; ++i) {
    const auto [key, step, stream, block] = draw_place(rng);
    const uint64_t upper =
        ((step >> 32) << 16) | (static_cast<uint64_t>(stream) << 12) | uint64_t{block};
    ASSERT_EQ(words(philox(key, step, stream, block)),
              words(Philox::block(
                  static_cast<uint32_t>(step), static_cast<uint32_t>(upper),
                  static_cast<uint32_t>(key.run), static_cast<uint32_t>(key.run >> 32),
                  static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32))));
  }
}

// Under one seed Philox is a bijection of the counter, so two places share a block iff they share
// the counter. The places are the corners of every field and points beside them.
TEST(Philox, StreamsDoNotCollide) {
  const uint64_t steps[] = {0,       1,          2,           3,           0xF000,        0xFFFF,
                            0x10000, 0xFFFFFFFF, 0x100000000, 0x100000001, 0xFFFFFFFFFFFF};
  const uint32_t blocks[] = {0, 1, 2, 15, 16, 0x7FF, 0x800, 0xFFF};
  const uint64_t runs[] = {0, 1, 2, 0xFFFFFFFF, 0x100000000, 0x100000001, ~uint64_t{0}};
  std::set<Words> seen;
  size_t places = 0;
  for (const uint64_t step : steps) {
    for (uint32_t stream = 0; stream < 16; ++stream) {
      for (const uint32_t block : blocks) {
        for (const uint64_t run : runs) {
          seen.insert(words(philox({7, run}, step, static_cast<Stream>(stream), block)));
          ++places;
        }
      }
    }
  }
  EXPECT_EQ(places, 11u * 16 * 8 * 7);
  EXPECT_EQ(seen.size(), places);
  EXPECT_FALSE(seen.contains(words(philox({8, 0}, 0, Stream::explore, 0)))) << "another seed";
}

// The same in every build; in one for x86-64-v4 philox_words is written in AVX-512.
TEST(PhiloxWords, EqualsPhiloxBlockByBlock) {
#if CUMARL_AVX512
  if (!__builtin_cpu_supports("avx512f")) GTEST_SKIP() << "this processor has no AVX-512";
#endif
  std::mt19937 rng(3);
  const uint64_t edges[] = {0, 1, 0xFFFFFFF0, 0xFFFFFFFF, 0x100000000, 0xFFFFFFFFFF00};
  for (int i = 0; i < 200; ++i) {
    Draw place = draw_place(rng);
    place.step = i < 6 ? edges[i] : place.step & 0xFFFFFFFF0000;
    for (const int count : {32, 64, 96}) {
      alignas(64) uint32_t out[4 * 96 + 16];
      std::fill(std::begin(out), std::end(out), 0xDEADBEEF);
      philox_words(place.key, place.step, place.stream, count, out);
      for (int b = 0; b < count; ++b) {
        const Words got{out[4 * b], out[4 * b + 1], out[4 * b + 2], out[4 * b + 3]};
        ASSERT_EQ(got,
                  words(philox(place.key, place.step + static_cast<uint64_t>(b), place.stream, 0)))
            << "first " << place.step << ", block " << b << " of " << count;
      }
      for (int k = 4 * count; k < 4 * count + 16; ++k) ASSERT_EQ(out[k], 0xDEADBEEFu) << k;
    }
  }
}

TEST(Rng, GivesTheWordsOfItsBlocksInOrder) {
  const RunKey key{0x0123456789ABCDEF, 0xFEDCBA9876543210};
  Rng rng(key, 77, Stream::dynamics);
  for (uint32_t block = 0; block < 4096; ++block) {
    for (const uint32_t word : words(philox(key, 77, Stream::dynamics, block))) {
      ASSERT_EQ(rng.word(), word) << block;
    }
  }
}

TEST(Rng, ConversionsStayInRangeAndAreExact) {
  EXPECT_EQ(unit_float(0), 0.0F);
  EXPECT_EQ(unit_float(0xFFFFFFFF), 1.0F - 1.0F / 16777216.0F);
  EXPECT_EQ(unit_float(0x80000000), 0.5F);
  EXPECT_EQ(unit_double(0), 0.0);
  EXPECT_EQ(unit_double(0xFFFFFFFF), 1.0 - 1.0 / 4294967296.0);
  EXPECT_EQ(unit_double(1), 1.0 / 4294967296.0);
  EXPECT_EQ(below(0, 15), 0u);
  EXPECT_EQ(below(0xFFFFFFFF, 15), 14u);
  EXPECT_EQ(below(0xFFFFFFFF, 1), 0u);
  EXPECT_EQ(below(0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFEu);
}

// Pearson's statistic of 2^20 draws of one of 15 over 16 runs; chi2(14) is above
// 54.6, and below 1, with probability 1e-6 each.
TEST(Rng, DrawsAreUniform) {
  std::vector<double> count(15, 0.0);
  constexpr int kPerRun = 1 << 16;
  for (uint64_t run = 0; run < 16; ++run) {
    for (uint64_t step = 0; step < kPerRun / 4; ++step) {
      Rng rng({1, run}, step, Stream::reset);
      for (int k = 0; k < 4; ++k) count[rng.below(15)] += 1;
    }
  }
  const double expected = 16.0 * kPerRun / 15.0;
  double chi2 = 0;
  for (const double n : count) chi2 += (n - expected) * (n - expected) / expected;
  EXPECT_LT(chi2, 54.6);
  EXPECT_GT(chi2, 1.0) << "too even to be random";
}

}  // namespace
