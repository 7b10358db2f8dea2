/// Teams of lanes: what a tile of CUDA threads computes together equals, to the bit, what one
/// thread computes alone. The lanes are threads here (emulated_team.hpp); their exchange, their
/// tree and all cooperative code are those of the GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "envs/bertrand_logit.hpp"
#include "host/src/adapters.hpp"
#include "kernels/rollout/rollout.hpp"
#include "kernels/tabular/q_learning.hpp"
#include "tests/emulated_team.hpp"

namespace {

using namespace cumarl;

/// Calls f(size constant) for every size of a tile.
template <class F>
void for_each_size(const F& f) {
  const auto all = [&f]<int... Log>(std::integer_sequence<int, Log...>) {
    (f(std::integral_constant<int, 1 << Log>{}), ...);
  };
  all(std::make_integer_sequence<int, 6>{});
}

template <class T>
bool same_bits(const T& x, const T& y) {
  return std::memcmp(&x, &y, sizeof(T)) == 0;
}

/// The tree of team.hpp, over ranks [0, values.size()).
template <class T>
T tree_sum(const std::vector<T>& values) {
  if (values.size() == 1) return values[0];
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  return tree_sum(std::vector<T>(values.begin(), middle)) +
         tree_sum(std::vector<T>(middle, values.end()));
}

template <class T>
struct Reduced {
  T min, max, sum;
};

/// Values of widely different size, so that another order of summation rounds differently.
template <class T>
std::vector<T> draw_values(size_t count, std::mt19937& rng) {
  std::vector<T> values(count);
  for (T& v : values) {
    if constexpr (std::is_floating_point_v<T>) {
      const int exponent = static_cast<int>(rng() % 40) - 20;
      v = std::ldexp(static_cast<T>(rng()) - static_cast<T>(0x80000000u), exponent);
    } else {
      v = static_cast<T>(rng());
    }
  }
  return values;
}

template <class T>
void expect_reductions() {
  for_each_size([](auto size) {
    constexpr int N = size;
    constexpr size_t kRounds = 20;
    std::mt19937 rng(N);
    std::vector<std::vector<T>> values;
    for (size_t k = 0; k < kRounds; ++k) values.push_back(draw_values<T>(N, rng));
    std::vector<Reduced<T>> seen(kRounds * N);
    run_emulated<N>([&](const EmulatedTeam<N>& team) {
      const auto rank = static_cast<size_t>(team.rank());
      for (size_t k = 0; k < kRounds; ++k) {
        const T mine = values[k][rank];
        seen[k * N + rank] = {team.min(mine), team.max(mine), team.sum(mine)};
      }
    });
    for (size_t k = 0; k < kRounds; ++k) {
      const T min = *std::min_element(values[k].begin(), values[k].end());
      const T max = *std::max_element(values[k].begin(), values[k].end());
      const T sum = tree_sum(values[k]);
      for (size_t rank = 0; rank < N; ++rank) {
        const auto& got = seen[k * N + rank];
        ASSERT_TRUE(same_bits(got.min, min) && same_bits(got.max, max) && same_bits(got.sum, sum))
            << "size " << N << ", round " << k << ", rank " << rank;
      }
    }
  });
}

TEST(Team, ReductionsOfFloatEqualTheSerialOnes) { expect_reductions<float>(); }
TEST(Team, ReductionsOfDoubleEqualTheSerialOnes) { expect_reductions<double>(); }
TEST(Team, ReductionsOfWordsEqualTheSerialOnes) { expect_reductions<uint32_t>(); }

// Without an order, lanes would disagree on the sign of a zero.
TEST(Team, OfEqualValuesTheLowestRanksIsTaken) {
  for_each_size([](auto size) {
    constexpr int N = size;
    for (int negative = 0; negative < N; ++negative) {
      std::vector<float> min(N), max(N);
      run_emulated<N>([&](const EmulatedTeam<N>& team) {
        const auto rank = static_cast<size_t>(team.rank());
        const float mine = team.rank() == negative ? -0.0F : 0.0F;
        min[rank] = team.min(mine);
        max[rank] = team.max(mine);
      });
      const float expected = negative == 0 ? -0.0F : 0.0F;
      for (size_t rank = 0; rank < N; ++rank) {
        EXPECT_TRUE(same_bits(min[rank], expected)) << N << ' ' << negative << ' ' << rank;
        EXPECT_TRUE(same_bits(max[rank], expected)) << N << ' ' << negative << ' ' << rank;
      }
    }
  });
}

TEST(Team, OnceShowsAllLanesWhatLaneZeroWrote) {
  for_each_size([](auto size) {
    constexpr int N = size;
    int calls = 0;
    std::vector<int> seen(N), stale(N);
    int board = -1;
    run_emulated<N>([&](const EmulatedTeam<N>& team) {
      for (int t = 0; t < 50; ++t) {
        // all lanes have read the last value before the next one is written
        stale[static_cast<size_t>(team.rank())] += board != t - 1;
        team.once([&] {
          ++calls;
          board = t;
        });
        seen[static_cast<size_t>(team.rank())] += board == t;
      }
    });
    EXPECT_EQ(calls, 50);
    for (size_t rank = 0; rank < N; ++rank) {
      EXPECT_EQ(seen[rank], 50);
      EXPECT_EQ(stale[rank], 0);
    }
  });
}

/// Block of memory aligned as executors align it.
struct AlignedBlock {
  explicit AlignedBlock(size_t bytes)
      : size(bytes),
        data(static_cast<std::byte*>(::operator new (bytes + 1, std::align_val_t{64}))) {
    std::memset(data, 0xA5, bytes);
  }
  AlignedBlock(const AlignedBlock&) = delete;
  AlignedBlock& operator=(const AlignedBlock&) = delete;
  ~AlignedBlock() { ::operator delete (data, std::align_val_t{64}); }
  size_t size;
  std::byte* data;
};

/// Rows of a table, many with ties for the best entry, padded as tables are.
template <class Table>
std::vector<std::vector<typename Table::Entry>> draw_rows(const typename Table::Codec& codec) {
  std::mt19937 rng(1);
  std::vector<std::vector<typename Table::Entry>> rows;
  for (const int actions : {1, 2, 3, 7, 15, 16, 33, 100}) {
    if (Table::kFixedPoint && actions > Fixed28::kMaxActions) continue;
    for (int k = 0; k < 12; ++k) {
      std::vector<typename Table::Entry> row;
      for (int a = 0; a < row_stride(actions); ++a) {
        const double value = static_cast<double>(rng() % (k < 6 ? 3 : 1000)) - 1.0;
        row.push_back(a < actions ? Table::encode(codec, value, static_cast<uint32_t>(a))
                                  : Table::pad());
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

template <class Table>
void expect_scans() {
  const auto codec = Table::codec({-1.0, 1000.0}, 0.9);
  const auto rows = draw_rows<Table>(codec);
  using Entry = typename Table::Entry;
  AlignedBlock block(rows.size() * 1024);
  const auto aligned = [&block](size_t k) {
    return reinterpret_cast<Entry*>(block.data + k * 1024);
  };
  std::vector<typename Table::Best> expected;
  for (size_t k = 0; k < rows.size(); ++k) {
    const auto& row = rows[k];
    ASSERT_LE(row.size() * sizeof(Entry), 1024u);
    std::copy(row.begin(), row.end(), aligned(k));
    expected.push_back(Table::scan(SerialTeam{}, aligned(k), static_cast<int>(row.size())));
    // and the serial scan itself: the lowest action of those with the highest value
    size_t best = 0;
    for (size_t a = 0; a < row.size(); ++a) {
      if (row[a] != Table::pad() &&
          Table::decode(codec, row[a]) > Table::decode(codec, row[best])) {
        best = a;
      }
    }
    ASSERT_EQ(Table::action(expected.back()), best);
  }
  for_each_size([&](auto size) {
    constexpr int N = size;
    std::vector<typename Table::Best> seen(rows.size() * N);
    run_emulated<N>([&](const EmulatedTeam<N>& team) {
      for (size_t k = 0; k < rows.size(); ++k) {
        seen[k * N + static_cast<size_t>(team.rank())] =
            Table::scan(team, aligned(k), static_cast<int>(rows[k].size()));
      }
    });
    for (size_t k = 0; k < rows.size(); ++k) {
      for (size_t rank = 0; rank < N; ++rank) {
        const auto& got = seen[k * N + rank];
        ASSERT_EQ(Table::action(got), Table::action(expected[k]))
            << "size " << N << ", row " << k << ", rank " << rank;
        ASSERT_TRUE(same_bits(Table::worth(codec, got), Table::worth(codec, expected[k])));
      }
    }
  });
}

TEST(Team, Fixed28ScanEqualsTheSerialScan) { expect_scans<Fixed28>(); }
TEST(Team, Float32ScanEqualsTheSerialScan) { expect_scans<Float32>(); }
TEST(Team, Float64ScanEqualsTheSerialScan) { expect_scans<Float64>(); }

/// A run that is over, or paused, with its bookkeeping.
template <class Env>
struct Played {
  std::vector<std::byte> memory;
  RunState<Env> state;
  SlotPhase phase;
};

struct Setting {
  Stop stop;
  int64_t horizon;
  uint64_t budget;  ///< of one launch; there are two
};

/// Starts run 7 and advances it through two launches; `with_team(f)` calls f(team) in every lane.
template <class Env, class L, class ShapeT, class Team, class WithTeam>
Played<Env> play(const Setting& setting, const WithTeam& with_team) {
  typename Env::Config env;
  env.horizon = setting.horizon;
  typename L::Config learner;
  learner.alpha = 0.15;
  learner.exploration.decay_rate = 2e-3;
  const TrainedTables trained;
  int agent = 0;
  const ProblemOf<Env, L> problem(std::make_shared<const MadeEnv<Env>>(env), {learner},
                                  setting.stop, Evaluation{}, trained, agent);
  const RunLayout layout = problem.layout();

  HostArena arena;
  AlignedBlock cell(layout.cell_bytes);
  AlignedBlock states(layout.state_bytes);
  AlignedBlock memory(layout.memory_bytes);
  CellArena parameters(arena);
  problem.write_cell(parameters, cell.data);
  const Slot slot{7, 0};
  const uint32_t live = 0;
  SlotPhase phase = SlotPhase::started;
  const Rollout r{cell.data, states.data, memory.data, nullptr,        &slot,  &live,   1,      1,
                  0,         layout,      42,          setting.budget, &phase, nullptr, nullptr};
  std::memset(memory.data, 0, layout.memory_bytes);
  with_team([&](const auto& team) { start_run<Env, L>(team, r, 0); });
  for (int launch = 0; launch < 2; ++launch) {
    with_team([&](const auto& team) { advance_run<Lane<Env, L, ShapeT, Team, 1>>(team, r, 0); });
  }
  Played<Env> out{{memory.data, memory.data + memory.size}, {}, phase};
  std::memcpy(&out.state, states.data, sizeof(out.state));
  return out;
}

/// Plays a run by one lane and by N, and compares all they leave behind.
template <class Table, class ShapeT, int N>
void expect_same_run(const Setting& setting, RunStatus status) {
  using L = QLearning<Table, ShapeT>;
  using Env = BertrandLogit;
  const auto serial =
      play<Env, L, ShapeT, SerialTeam>(setting, [](const auto& f) { f(SerialTeam{}); });
  const auto team =
      play<Env, L, ShapeT, EmulatedTeam<N>>(setting, [](const auto& f) { run_emulated<N>(f); });
  EXPECT_TRUE(serial.memory == team.memory);
  EXPECT_EQ(serial.state.env.history, team.state.env.history);
  EXPECT_EQ(serial.state.env.period, team.state.env.period);
  EXPECT_EQ(serial.state.t, team.state.t);
  EXPECT_EQ(serial.state.last_change, team.state.last_change);
  EXPECT_EQ(serial.state.status, team.state.status);
  EXPECT_EQ(serial.phase, team.phase);
  EXPECT_EQ(serial.state.status, status) << "the setting does not test what it says";
}

using Pricing = Shape<2, 15>;

TEST(TeamRollout, Fixed28OfFourLanes) {
  expect_same_run<Fixed28, Pricing, 4>({{100'000, 1'000'000}, 0, 1'000}, RunStatus::running);
}
TEST(TeamRollout, Fixed28OfSixteenLanesAsOnTheGpu) {
  expect_same_run<Fixed28, Pricing, 16>({{100'000, 1'000'000}, 0, 150}, RunStatus::running);
}
TEST(TeamRollout, Float32OfFourLanes) {
  expect_same_run<Float32, Pricing, 4>({{100'000, 1'000'000}, 0, 1'000}, RunStatus::running);
}
TEST(TeamRollout, AnyShapeOfTwoLanes) {
  expect_same_run<Fixed28, AnyShape, 2>({{100'000, 1'000'000}, 0, 500}, RunStatus::running);
}
TEST(TeamRollout, EpisodesThatEndInResets) {
  expect_same_run<Fixed28, Pricing, 4>({{0, 1'000'000}, 7, 300}, RunStatus::running);
}
TEST(TeamRollout, ARunThatConverges) {
  expect_same_run<Fixed28, Pricing, 4>({{5, 1'000'000}, 0, 1'000}, RunStatus::converged);
}
TEST(TeamRollout, ARunThatSpendsItsSteps) {
  expect_same_run<Fixed28, Pricing, 4>({{100'000, 777}, 0, 500}, RunStatus::out_of_steps);
}

}  // namespace
