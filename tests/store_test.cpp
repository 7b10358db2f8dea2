// The results store: what is written comes back to the bit, what breaks costs as little as it can.
#include "host/src/store.hpp"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <bit>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "host/src/export.hpp"
#include "host/src/merge.hpp"
#include "host/src/summary.hpp"

namespace cumarl {
namespace {

namespace fs = std::filesystem;
using Kind = OutcomeColumn::Kind;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// A folder that goes away.
class Folder {
 public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "store_test.XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Folder() {
    std::error_code ignored;
    fs::permissions(path_, fs::perms::all, ignored);
    fs::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

StoreHeader header(uint64_t runs_per_cell, const std::string& fingerprint = "ab12") {
  StoreHeader h;
  h.experiment = "test";
  h.fingerprint = fingerprint;
  h.config = "[experiment]\nname = \"test\"\n";
  h.version = "1.2.3";
  h.device = "cpu";
  h.seed = -5;
  h.runs_per_cell = runs_per_cell;
  return h;
}

/// Two cells that report different things.
std::vector<StoreCell> two_cells() {
  const OutcomeColumn gain{Kind::metric, "profit_gain"}, on_path{Kind::metric, "nash_on_path"};
  const OutcomeColumn on_path_share{Kind::share, "nash_on_path", Label::yes_no};
  const OutcomeColumn joint{Kind::share, "greedy_joint_action", Label::joint_action};
  const OutcomeColumn length{Kind::share, "cycle_length"};
  const auto price = [](int k) { return OutcomeColumn{Kind::curve, "price", Label::number, k}; };
  const auto cost = [](int k) { return OutcomeColumn{Kind::curve, "cost", Label::number, k}; };
  StoreCell a{
      {{"learner.alpha", "0.1"}, {"learner.name", "\"q_learning\""}},
      {{gain, on_path, on_path_share, joint, price(0), cost(0), price(1), cost(1)}, {2, 3}}};
  StoreCell b{{{"learner.alpha", "0.25"}, {"learner.name", "\"sarsa\""}}, {{length, gain}, {2, 3}}};
  return {a, b};
}

CellRows rows_of_a() {
  return {{1, 0}, {1,        100,    40,    4294967295.0,
                   7,        0.1,    1,     1,
                   5,        1.5,    -0.25, 5e-324,
                   INFINITY,  //
                   3,        60,     1,     0,
                   0,        -1e308, kNan,  0,
                   0,        kNan,   0,     -INFINITY,
                   2}};
}
CellRows rows_of_b() {
  return {{4, 3},
          {2, 9007199254740992.0, 0, 1, 2, 12, 0.75,  //
           2, 5, 0, 1, 2, 1, -0.5}};
}

/// Row r alone, as that of `run`.
CellRows one_row(const CellRows& rows, size_t r, uint64_t run) {
  const size_t width = rows.rows.size() / rows.runs.size();
  const auto at = rows.rows.begin() + static_cast<std::ptrdiff_t>(r * width);
  return {{run}, {at, at + static_cast<std::ptrdiff_t>(width)}};
}

CellRows sorted(const CellRows& rows, size_t width) {
  std::vector<size_t> order(rows.runs.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](size_t x, size_t y) { return rows.runs[x] < rows.runs[y]; });
  CellRows out;
  for (const size_t i : order) {
    out.runs.push_back(rows.runs[i]);
    const double* row = rows.rows.data() + i * width;
    out.rows.insert(out.rows.end(), row, row + width);
  }
  return out;
}

void expect_same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(std::bit_cast<uint64_t>(a[i]), std::bit_cast<uint64_t>(b[i])) << i << ": " << a[i];
  }
}

/// The first column of the first row, "NULL" where there is none.
std::string query(const std::string& directory, const std::string& sql) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open((directory + "/results.sqlite").c_str(), &db), SQLITE_OK);
  sqlite3_stmt* statement = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr), SQLITE_OK)
      << sqlite3_errmsg(db);
  std::string answer = "NULL";
  if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != nullptr) {
    answer = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
  }
  sqlite3_finalize(statement);
  sqlite3_close(db);
  return answer;
}

/// The message of the IoError that `f` throws, "" if it throws none.
template <class F>
std::string io_error(F f) {
  try {
    f();
  } catch (const IoError& error) {
    return error.what();
  }
  return "";
}

/// Runs `f` in a process of its own; its exit status.
template <class F>
int in_child(F f) {
  const pid_t child = fork();
  if (child == 0) {
    int status = 99;
    try {
      status = f();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    _exit(status);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// A store of one cell with n runs of two metrics and a curve, committed.
CellRows many_rows(uint64_t n) {
  std::mt19937_64 random(7);
  CellRows rows;
  for (uint64_t run = 0; run < n; ++run) {
    rows.runs.push_back(run);
    for (const double head : {1.0, 10.0, 5.0}) rows.rows.push_back(head);
    for (int k = 0; k < 2; ++k) rows.rows.push_back(static_cast<double>(random() >> 32));
    for (int k = 0; k < 5; ++k) rows.rows.push_back(static_cast<double>(random()) * 0x1p-64);
  }
  return rows;
}
std::vector<StoreCell> plain_cell() {
  std::vector<OutcomeColumn> columns{{Kind::metric, "x"}, {Kind::metric, "y"}};
  for (int k = 0; k < 3; ++k) columns.push_back({Kind::curve, "c", Label::number, k});
  return {StoreCell{{}, {columns, {}}}};
}

TEST(Store, GivesBackWhatItGotToTheBit) {
  const Folder folder;
  const std::string dir = folder / "new/deep";
  EXPECT_FALSE(ResultStore::exists(dir));
  {
    ResultStore store = ResultStore::create(dir, header(3), two_cells());
    store.append(0, rows_of_a());
    store.append(1, rows_of_b());
    store.commit();
    EXPECT_FALSE(store.complete());
  }
  EXPECT_TRUE(ResultStore::exists(dir));
  const ResultStore store = ResultStore::open(dir);
  EXPECT_EQ(store.header().experiment, "test");
  EXPECT_EQ(store.header().fingerprint, "ab12");
  EXPECT_EQ(store.header().config, "[experiment]\nname = \"test\"\n");
  EXPECT_EQ(store.header().version, "1.2.3");
  EXPECT_EQ(store.header().device, "cpu");
  EXPECT_EQ(store.header().seed, -5);
  EXPECT_EQ(store.header().runs_per_cell, 3u);
  const std::vector<StoreCell> cells = two_cells();
  ASSERT_EQ(store.cells().size(), 2u);
  for (size_t c = 0; c < 2; ++c) {
    EXPECT_EQ(store.cells()[c].set, cells[c].set);
    EXPECT_EQ(store.cells()[c].meaning.actions, cells[c].meaning.actions);
    const auto &got = store.cells()[c].meaning.columns, &want = cells[c].meaning.columns;
    ASSERT_EQ(got.size(), want.size());
    for (size_t k = 0; k < got.size(); ++k) {
      EXPECT_EQ(got[k].kind, want[k].kind);
      EXPECT_EQ(got[k].name, want[k].name);
      EXPECT_EQ(got[k].label, want[k].label);
      EXPECT_EQ(got[k].point, want[k].point);
    }
  }
  const std::vector<CellRows> rows = store.rows();
  EXPECT_EQ(store.damaged(), 0u);
  EXPECT_EQ(rows[0].runs, (std::vector<uint64_t>{0, 1}));
  EXPECT_EQ(rows[1].runs, (std::vector<uint64_t>{3, 4}));
  expect_same_bits(rows[0].rows, sorted(rows_of_a(), cells[0].meaning.width()).rows);
  expect_same_bits(rows[1].rows, sorted(rows_of_b(), cells[1].meaning.width()).rows);
}

TEST(Store, MakesEveryNanOneAndMinusZeroZero) {
  EXPECT_EQ(std::bit_cast<uint64_t>(canonical(-0.0)), 0u);
  EXPECT_EQ(std::bit_cast<uint64_t>(canonical(std::bit_cast<double>(0xFFF8000000000001u))),
            0x7FF8000000000000u);
  const Folder folder;
  const std::string dir = folder / "s";
  CellRows rows = rows_of_b();
  rows.rows[6] = -0.0;
  rows.rows[13] = std::bit_cast<double>(0xFFF8000000000001u);
  {
    ResultStore store = ResultStore::create(dir, header(3), two_cells());
    store.append(1, rows);
    store.commit();
  }
  const std::vector<CellRows> back = ResultStore::open(dir).rows();
  ASSERT_EQ(back[1].runs.size(), 2u);
  EXPECT_EQ(std::bit_cast<uint64_t>(back[1].rows[6]), 0x7FF8000000000000u);
  EXPECT_EQ(std::bit_cast<uint64_t>(back[1].rows[13]), 0u);
}

TEST(Store, TablesReadAsDocumented) {
  const Folder folder;
  const std::string dir = folder / "s";
  {
    ResultStore store = ResultStore::create(dir, header(3), two_cells());
    store.append(0, rows_of_a());
    store.append(1, rows_of_b());
    store.commit();
  }
  EXPECT_EQ(query(dir, "SELECT value FROM experiment WHERE key = 'seed'"), "-5");
  EXPECT_EQ(query(dir, "SELECT typeof(\"learner.alpha\") || \"learner.alpha\" FROM cells"),
            "real0.1");
  EXPECT_EQ(query(dir, "SELECT \"learner.name\" FROM cells WHERE cell = 1"), "sarsa");
  EXPECT_EQ(query(dir, "SELECT typeof(joint_steps) || joint_steps FROM runs WHERE run = 4"),
            "integer9007199254740992");
  EXPECT_EQ(query(dir, "SELECT digest FROM runs WHERE run = 1"),
            std::to_string(static_cast<int64_t>(0xFFFFFFFF00000007)));
  EXPECT_EQ(query(dir, "SELECT profit_gain FROM runs WHERE run = 1"), "0.1");
  EXPECT_EQ(
      query(dir, "SELECT typeof(nash_on_path_label) || nash_on_path_label FROM runs WHERE run = 1"),
      "integer1");
  EXPECT_EQ(query(dir, "SELECT cycle_length FROM runs WHERE run = 1"), "NULL");
  // actions 2 and 3: joint action 5 is agent 0's 1 and agent 1's 2
  EXPECT_EQ(query(dir, "SELECT greedy_joint_action FROM runs WHERE run = 1"), "5");
  EXPECT_EQ(query(dir, "SELECT label FROM labels WHERE name = 'greedy_joint_action' AND value = 5"),
            "1,2");
  EXPECT_EQ(query(dir, "SELECT greedy_joint_action FROM results WHERE run = 1"), "1,2");
  // price is 1.5 and 5e-324, as little-endian doubles
  EXPECT_EQ(query(dir, "SELECT hex(points) FROM curves WHERE run = 1 AND name = 'price'"),
            "000000000000F83F0100000000000000");
  EXPECT_EQ(query(dir, "SELECT status || converged FROM results WHERE run = 1"), "converged1");
  EXPECT_EQ(query(dir, "SELECT status || converged FROM results WHERE run = 4"), "out_of_steps0");
  // run 0 has diverged: the agent, and no measures
  EXPECT_EQ(query(dir, "SELECT status || diverged_agent FROM results WHERE run = 0"), "diverged1");
  EXPECT_EQ(query(dir, "SELECT coalesce(last_change, profit_gain) FROM results WHERE run = 0"),
            "NULL");
  EXPECT_EQ(query(dir, "SELECT \"learner.name\" || cell FROM results WHERE run = 3"), "sarsa1");
  EXPECT_EQ(query(dir, "PRAGMA integrity_check"), "ok");
}

TEST(Store, WhatIsNotCommittedIsGone) {
  const Folder folder;
  const std::string dir = folder / "s";
  {
    ResultStore store = ResultStore::create(dir, header(3), two_cells());
    store.append(1, rows_of_b());
    EXPECT_EQ(store.rows()[1].runs.size(), 2u);  // its own
    EXPECT_EQ(ResultStore::open(dir, ResultStore::Access::read).rows()[1].runs.size(), 0u);
    store.commit();
    EXPECT_EQ(ResultStore::open(dir, ResultStore::Access::read).rows()[1].runs.size(), 2u);
    store.append(0, rows_of_a());
  }
  EXPECT_EQ(ResultStore::open(dir).rows()[0].runs.size(), 0u);
  // a process that ends without a word between two commits
  EXPECT_EQ(in_child([&] {
              ResultStore store = ResultStore::open(dir);
              store.append(0, one_row(rows_of_a(), 1, 0));
              store.commit();
              CellRows later = rows_of_a();
              later.runs = {2, 1};
              store.append(0, later);
              kill(getpid(), SIGKILL);
              return 0;
            }),
            -1);
  const ResultStore store = ResultStore::open(dir);
  EXPECT_EQ(store.rows()[0].runs, (std::vector<uint64_t>{0}));
  EXPECT_EQ(store.damaged(), 0u);
}

TEST(Store, ARunThatIsThereIsReplaced) {
  const Folder folder;
  ResultStore store = ResultStore::create(folder / "s", header(3), two_cells());
  store.append(0, rows_of_a());
  store.commit();
  CellRows again = one_row(rows_of_a(), 0, 1);
  again.rows[5] = 0.2;
  again.rows[9] = 2.5;
  store.append(0, again);
  store.commit();
  const CellRows rows = store.rows()[0];
  EXPECT_EQ(rows.runs, (std::vector<uint64_t>{0, 1}));
  EXPECT_EQ(rows.rows[13 + 5], 0.2);
  EXPECT_EQ(rows.rows[13 + 9], 2.5);
  EXPECT_EQ(store.damaged(), 0u);
}

TEST(Store, RefusesRowsThatItCouldNotKeep) {
  const Folder folder;
  ResultStore store = ResultStore::create(folder / "s", header(3), two_cells());
  store.append(0, rows_of_a());
  store.commit();
  const auto refused = [&](size_t cell, const CellRows& rows) {
    EXPECT_THROW(store.append(cell, rows), Error);
  };
  const auto changed = [](size_t at, double value) {
    CellRows rows = rows_of_b();
    rows.rows[at] = value;
    return rows;
  };
  refused(2, rows_of_b());
  refused(0, rows_of_b());                     // its width
  refused(1, {{2, 3}, rows_of_b().rows});      // run 2 is of cell 0
  refused(1, changed(1, 0.5));                 // half a joint step
  refused(1, changed(1, 9007199254740994.0));  // 2^53 + 2
  refused(1, changed(3, 4294967296.0));        // digest halves have 32 bits
  refused(1, changed(0, -1));                  // status
  refused(1, changed(5, 1.5));                 // a label
  EXPECT_EQ(store.rows()[1].runs.size(), 0u);
  store.append(1, rows_of_b());  // and goes on
  store.commit();
  EXPECT_EQ(store.rows()[1].runs.size(), 2u);
}

TEST(Store, SaysWhatIsWrongWithAFolder) {
  const Folder folder;
  const std::string dir = folder / "s", file = dir + "/results.sqlite";
  EXPECT_EQ(io_error([&] { ResultStore::open(dir); }), file + ": there are no results");
  { const ResultStore store = ResultStore::create(dir, header(3), two_cells()); }
  EXPECT_EQ(io_error([&] { ResultStore::create(dir, header(3), two_cells()); }),
            file + ": there are results already");
  {
    const ResultStore store = ResultStore::open(dir);
    EXPECT_EQ(io_error([&] { ResultStore::open(dir); }),
              dir + ": another process is writing results there");
    EXPECT_EQ(io_error([&] { ResultStore::open(dir, ResultStore::Access::read); }), "");
  }
  query(dir, "PRAGMA user_version = 2");
  EXPECT_NE(io_error([&] { ResultStore::open(dir); }).find("another version"), std::string::npos);
  query(dir, "PRAGMA application_id = 5");
  EXPECT_EQ(io_error([&] { ResultStore::open(dir); }), file + ": is not a results file of cumarl");
  std::ofstream(file, std::ios::trunc) << std::string(5000, 'x');
  EXPECT_EQ(io_error([&] { ResultStore::open(dir); }), file + ": is not a results file of cumarl");
  std::ofstream(file, std::ios::trunc).flush();
  EXPECT_EQ(io_error([&] { ResultStore::open(dir); }), file + ": is not a results file of cumarl");
  std::ofstream(folder / "plain") << "a file";
  EXPECT_NE(io_error([&] { ResultStore::create(folder / "plain", header(3), two_cells()); }), "");
}

TEST(Store, AFlippedBitCostsARun) {
  const Folder folder;
  const std::string dir = folder / "s";
  const CellRows all = many_rows(100);
  {
    ResultStore store = ResultStore::create(dir, header(100), plain_cell());
    store.append(0, all);
    store.commit();
  }
  query(dir, "UPDATE runs SET y = y * (1 + 1e-15) WHERE run = 17");
  query(dir, "UPDATE runs SET status = 2 WHERE run = 18");
  query(dir, "UPDATE curves SET points = zeroblob(24) WHERE run = 40");
  query(dir, "DELETE FROM curves WHERE run = 41");
  query(dir, "UPDATE runs SET run = 1000 WHERE run = 50");
  ResultStore store = ResultStore::open(dir);
  EXPECT_EQ(store.rows()[0].runs.size(), 95u);
  EXPECT_EQ(store.damaged(), 5u);
  CellRows again;
  for (const int run : {17, 18, 40, 41, 50}) {
    again.runs.push_back(static_cast<uint64_t>(run));
    again.rows.insert(again.rows.end(), all.rows.begin() + 10 * run,
                      all.rows.begin() + 10 * (run + 1));
  }
  store.append(0, again);
  store.commit();
  expect_same_bits(store.rows()[0].rows, all.rows);
}

// 300 copies with one to three bytes of the file changed anywhere (seed 3): each opens with an
// IoError, or gives only rows that are true.
TEST(Store, NeverGivesAWrongRow) {
  const Folder folder;
  const std::string dir = folder / "s", file = dir + "/results.sqlite";
  const CellRows all = many_rows(2000);
  {
    ResultStore store = ResultStore::create(dir, header(2000), plain_cell());
    store.append(0, all);
    store.finish(summarise(store));
  }
  std::string bytes(fs::file_size(file), '\0');
  std::ifstream(file, std::ios::binary)
      .read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  std::mt19937_64 random(3);
  uint64_t refused = 0, whole = 0, lost = 0;
  for (int trial = 0; trial < 300; ++trial) {
    std::string changed = bytes;
    for (uint64_t k = 0; k <= random() % 3; ++k) {
      changed[random() % changed.size()] ^= static_cast<char>(1u << random() % 8);
    }
    std::ofstream(file, std::ios::binary)
        .write(changed.data(), static_cast<std::streamsize>(changed.size()));
    try {
      const ResultStore store = ResultStore::open(dir, ResultStore::Access::read);
      const CellRows rows = store.rows()[0];
      for (size_t r = 0; r < rows.runs.size(); ++r) {
        ASSERT_LT(rows.runs[r], 2000u);
        ASSERT_EQ(std::memcmp(rows.rows.data() + 10 * r, all.rows.data() + 10 * rows.runs[r], 80),
                  0);
        if (r > 0) {
          ASSERT_LT(rows.runs[r - 1], rows.runs[r]);
        }
      }
      (rows.runs.size() == 2000 ? whole : lost) += 1;
      ASSERT_GE(rows.runs.size(), 1000u) << "one page costs this many";
    } catch (const IoError&) {
      ++refused;
    }
  }
  std::printf("refused %llu, all rows %llu, some rows lost %llu\n",
              static_cast<unsigned long long>(refused), static_cast<unsigned long long>(whole),
              static_cast<unsigned long long>(lost));
  EXPECT_GT(lost, 100u);
  EXPECT_LT(refused, 60u);
}

TEST(Store, AnUnreadablePageCostsItsRuns) {
  const Folder folder;
  const std::string dir = folder / "s", file = dir + "/results.sqlite";
  const CellRows all = many_rows(20'000);
  {
    ResultStore store = ResultStore::create(dir, header(20'000), plain_cell());
    store.append(0, all);
    store.finish(summarise(store));
  }
  const auto page = std::stoll(query(dir, "PRAGMA page_size"));
  const auto broken =
      std::stoll(query(dir,
                       "SELECT pageno FROM dbstat WHERE name = 'runs' AND pagetype = 'leaf' AND"
                       " ncell > 0 LIMIT 1 OFFSET 20"));
  const auto cells =
      std::stoull(query(dir, "SELECT ncell FROM dbstat WHERE pageno = " + std::to_string(broken)));
  {
    std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp((broken - 1) * page);
    out << std::string(static_cast<size_t>(page), '\0');
  }
  const ResultStore store = ResultStore::open(dir, ResultStore::Access::read);
  const CellRows rows = store.rows()[0];
  EXPECT_EQ(rows.runs.size(), 20'000u - cells);
  EXPECT_EQ(store.damaged(), 1u);
  for (size_t r = 0; r < rows.runs.size(); ++r) {
    ASSERT_EQ(std::memcmp(rows.rows.data() + 10 * r, all.rows.data() + 10 * rows.runs[r], 80), 0);
  }
  // merging saves what can be read
  EXPECT_EQ(merge_results({dir}, folder / "saved").result.runs, 20'000u - cells);
}

TEST(Store, HoldsMoreMeasuresThanATableHasColumns) {
  const Folder folder;
  const std::string dir = folder / "s";
  StoreCell cell;
  for (int k = 0; k < 3000; ++k)
    cell.meaning.columns.push_back({Kind::metric, "m" + std::to_string(k)});
  cell.meaning.columns.push_back({Kind::curve, "m2999", Label::number, 0});
  for (int k = 0; k < 500; ++k) cell.set.emplace_back("env.key" + std::to_string(k), "1");
  std::vector<double> row{1, 2, 3, 4, 5};
  for (int k = 0; k < 3001; ++k) row.push_back(k + 0.5);
  ResultStore store = ResultStore::create(dir, header(1), {cell});
  store.append(0, {{0}, row});
  store.commit();
  expect_same_bits(store.rows()[0].rows, row);
  EXPECT_EQ(query(dir, "SELECT m1399 FROM results"), "1399.5");
  EXPECT_EQ(query(dir, "SELECT stored_in || '/' || stored_as FROM measures WHERE name = 'm1400'"),
            "curves/m1400 value");
  cell.set.emplace_back("env.one_more", "1");
  EXPECT_NE(io_error([&] {
              ResultStore::create(folder / "t", header(1), {cell});
            }).find("at most 500 swept keys, and 501"),
            std::string::npos);
}

TEST(Store, NamesThatSqliteTakesForOneAreToldApart) {
  const Folder folder;
  const std::string dir = folder / "s";
  const StoreCell cell{{{"env.a", "1"}, {"env.A", "2"}},
                       {{{Kind::metric, "Gain"},
                         {Kind::metric, "gain"},
                         {Kind::metric, "gain"},
                         {Kind::share, "gain"},
                         {Kind::metric, "status"},
                         {Kind::metric, "a \"b\" 'c'"}},
                        {}}};
  const std::vector<double> row{1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 60};
  ResultStore store = ResultStore::create(dir, header(1), {cell});
  store.append(0, {{0}, row});
  store.commit();
  expect_same_bits(store.rows()[0].rows, row);
  EXPECT_EQ(query(dir, "SELECT \"Gain\" FROM runs"), "10.0");
  EXPECT_EQ(query(dir, "SELECT gain_metric FROM runs"), "20.0");
  EXPECT_EQ(query(dir, "SELECT status_metric FROM results"), "50.0");
  EXPECT_EQ(query(dir, "SELECT \"env.A_swept\" FROM results"), "2");
}

TEST(Store, AFullFileIsAnErrorAndLosesNothing) {
  const Folder folder;
  const std::string dir = folder / "s";
  const CellRows all = many_rows(20'000);
  {
    ResultStore store = ResultStore::create(dir, header(40'000), plain_cell());
    store.append(0, all);
    store.finish(summarise(store));
  }
  const auto size = fs::file_size(dir + "/results.sqlite");
  EXPECT_EQ(in_child([&] {
              std::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{size / 2, size / 2};
              setrlimit(RLIMIT_FSIZE, &limit);
              ResultStore store = ResultStore::open(dir);
              CellRows more = all;
              for (uint64_t& run : more.runs) run += 20'000;
              const std::string why = io_error([&] {
                store.append(0, more);
                store.commit();
              });
              if (why.find("results.sqlite: ") == std::string::npos ||
                  why.find("ulimit -f") == std::string::npos) {
                std::fprintf(stderr, "it said: %s\n", why.c_str());
                return 1;
              }
              // still there, in the same process
              return store.rows()[0].runs == all.runs ? 0 : 2;
            }),
            0);
  const ResultStore store = ResultStore::open(dir);
  expect_same_bits(store.rows()[0].rows, all.rows);
  EXPECT_EQ(in_child([&] {
              std::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit{20'000, 20'000};
              setrlimit(RLIMIT_FSIZE, &limit);
              return io_error([&] { ResultStore::create(folder / "t", header(1), plain_cell()); })
                  .empty();
            }),
            0);
  EXPECT_TRUE(fs::is_empty(folder / "t"));
}

TEST(Store, AReadOnlyFolderCanBeRead) {
  const Folder folder;
  const std::string dir = folder / "s", unfinished = folder / "u";
  for (const std::string& one : {dir, unfinished}) {
    ResultStore store = ResultStore::create(one, header(3), two_cells());
    store.append(1, rows_of_b());
    store.commit();
    if (one == dir) store.finish(summarise(store));
  }
  fs::permissions(folder / ".", fs::perms::all);
  for (const std::string& one : {dir, unfinished}) {
    fs::permissions(one + "/results.sqlite", fs::perms(0444));
    fs::permissions(one, fs::perms(0555));
  }
  EXPECT_EQ(in_child([&] {
              if (geteuid() == 0 && seteuid(65534) != 0) return 9;  // root may write anywhere
              for (const std::string& one : {dir, unfinished}) {
                if (ResultStore::open(one, ResultStore::Access::read).rows()[1].runs.size() != 2)
                  return 1;
                const std::string why = io_error([&] {
                  ResultStore store = ResultStore::open(one);
                  store.append(0, rows_of_a());
                  store.commit();
                });
                if (why.find("no permission") == std::string::npos) return 2;
              }
              const std::string why =
                  io_error([&] { ResultStore::create(dir + "/t", header(3), two_cells()); });
              return why.find("ermission") != std::string::npos ? 0 : 3;
            }),
            0);
  fs::permissions(dir, fs::perms::all);
  fs::permissions(unfinished, fs::perms::all);
}

// ---- summaries -----------------------------------------------------------------------------------

/// Four runs with metric 4, 1, 3, 2 and one that diverged; shares 1, 0, 1, 1; a curve of two points.
std::vector<StoreCell> summary_cell() {
  return {StoreCell{{},
                    {{{Kind::metric, "m"},
                      {Kind::share, "joint", Label::joint_action},
                      {Kind::share, "yes", Label::yes_no},
                      {Kind::share, "length"},
                      {Kind::share, "m"},
                      {Kind::curve, "c", Label::number, 0},
                      {Kind::curve, "c", Label::number, 1}},
                     {3, 2}}}};
}
CellRows summary_rows() {
  return {{0, 1, 2, 3, 4}, {1, 10, 1, 1, 1, 4, 5, 1, 12, 4, 1, 10,  //
                            2, 20, 2, 1, 1, 1, 0, 0, 2,  1, 2, 10,  //
                            3, 30, 1, 0, 0, 0, 0, 0, 0,  0, 0, 0,   //
                            1, 40, 2, 1, 1, 3, 5, 1, 2,  3, 3, 10,  //
                            1, 50, 2, 1, 1, 2, 3, 1, 2,  2, 4, 10}};
}

// Values by hand: 1, 2, 3, 4 have mean 2.5, squares of deviations 5, so s.d. sqrt(5/3); the q
// quantile of type 7 lies at 3 q between them.
void expect_summary(const CellResult& cell) {
  EXPECT_EQ(cell.runs, 5u);
  EXPECT_EQ(cell.converged, 3u);
  EXPECT_EQ(cell.joint_steps, 150u);
  ASSERT_EQ(cell.diverged.size(), 1u);
  EXPECT_EQ(cell.diverged[0].run, 2u);
  EXPECT_EQ(cell.diverged[0].agent, 1);
  EXPECT_EQ(cell.diverged[0].step, 30u);
  const Statistic& s = cell.metrics.at("m");
  EXPECT_EQ(s.n, 4u);
  EXPECT_DOUBLE_EQ(s.mean, 2.5);
  EXPECT_DOUBLE_EQ(s.sd, std::sqrt(5.0 / 3));
  EXPECT_DOUBLE_EQ(s.se, std::sqrt(5.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(s.min, 1);
  EXPECT_DOUBLE_EQ(s.q05, 1.15);
  EXPECT_DOUBLE_EQ(s.q25, 1.75);
  EXPECT_DOUBLE_EQ(s.q50, 2.5);
  EXPECT_DOUBLE_EQ(s.q75, 3.25);
  EXPECT_DOUBLE_EQ(s.q95, 3.85);
  EXPECT_DOUBLE_EQ(s.max, 4);
  // actions 3 and 2: joint action 5 is 2,1; 0 is 0,0; 3 is 1,1
  EXPECT_EQ(cell.shares.at("joint"),
            (std::map<std::string, double>{{"2,1", 0.5}, {"0,0", 0.25}, {"1,1", 0.25}}));
  EXPECT_EQ(cell.shares.at("yes"),
            (std::map<std::string, double>{{"true", 0.75}, {"false", 0.25}}));
  EXPECT_EQ(cell.shares.at("length"), (std::map<std::string, double>{{"12", 0.25}, {"2", 0.75}}));
  ASSERT_EQ(cell.curves.at("c").size(), 2u);
  EXPECT_DOUBLE_EQ(cell.curves.at("c")[0].mean, 2.5);
  EXPECT_DOUBLE_EQ(cell.curves.at("c")[1].mean, 10);
  EXPECT_EQ(cell.columns, (std::vector<std::string>{"converged", "joint_steps", "m", "joint", "yes",
                                                    "length", "c_0", "c_1"}));
  EXPECT_EQ(cell.run_ids, (std::vector<uint64_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(std::vector<double>(cell.values.begin(), cell.values.begin() + 16),
            (std::vector<double>{1, 10, 4, 5, 1, 12, 1, 10, 0, 20, 1, 0, 0, 2, 2, 10}));
}

TEST(Summary, OfACell) { expect_summary(summarise(summary_cell()[0], summary_rows())); }

TEST(Summary, OfNothingAndOfNoNumbers) {
  const CellResult none = summarise(summary_cell()[0], {});
  EXPECT_EQ(none.runs, 0u);
  EXPECT_EQ(none.metrics.at("m").n, 0u);
  EXPECT_TRUE(none.shares.at("yes").empty());
  const Statistic s = statistic({1, kNan, 2});
  EXPECT_EQ(s.n, 2u);
  EXPECT_TRUE(s.mean == 1.5 && s.q50 == 1.5 && s.max == 2);
  const Statistic no = statistic({kNan});
  EXPECT_EQ(no.n, 0u);
  EXPECT_TRUE(std::isnan(no.mean) && std::isnan(no.q50) && std::isnan(no.max));
  EXPECT_EQ(statistic({7}).sd, 0);
}

TEST(Summary, HashIsOfIdsAndRowsInOrder) {
  const CellRows rows = summary_rows();
  std::string bytes;
  for (size_t r = 0; r < 5; ++r) {
    bytes.append(reinterpret_cast<const char*>(&rows.runs[r]), 8);
    bytes.append(reinterpret_cast<const char*>(&rows.rows[12 * r]), 12 * 8);
  }
  // the one-shot function of the library
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  EXPECT_EQ(summarise(header(5), summary_cell(), {rows}).result_hash, text);
}

TEST(Summary, GoesIntoTablesAndOutAgain) {
  const Folder folder;
  const std::string dir = folder / "s";
  {
    ResultStore store = ResultStore::create(dir, header(5), summary_cell());
    store.append(0, summary_rows());
    store.commit();
    Result result = summarise(store);
    result.seconds = 1.25;
    store.finish(result);
    EXPECT_TRUE(store.complete());
  }
  EXPECT_FALSE(fs::exists(dir + "/results.sqlite-wal"));
  EXPECT_FALSE(fs::exists(dir + "/results.sqlite-shm"));
  const Result result = load_result(dir);
  expect_summary(result.cells.at(0));
  EXPECT_EQ(result.experiment, "test");
  EXPECT_EQ(result.device, "cpu");
  EXPECT_EQ(result.seconds, 1.25);
  EXPECT_EQ(result.resolved_config, header(5).config);
  EXPECT_FALSE(result.interrupted);
  EXPECT_EQ(result.result_hash, summarise(header(5), summary_cell(), {summary_rows()}).result_hash);
  EXPECT_EQ(query(dir, "SELECT value FROM experiment WHERE key = 'result_hash'"),
            result.result_hash);
  EXPECT_EQ(query(dir, "SELECT value FROM experiment WHERE key = 'joint_steps'"), "150");
  EXPECT_EQ(query(dir, "SELECT n || ' ' || mean || ' ' || q75 FROM metrics WHERE name = 'm'"),
            "4 2.5 3.25");
  EXPECT_EQ(query(dir, "SELECT share FROM shares WHERE name = 'joint' AND label = '2,1'"), "0.5");
  EXPECT_EQ(query(dir, "SELECT mean FROM curve_points WHERE name = 'c' AND point = 1"), "10.0");
  {
    ResultStore store = ResultStore::open(dir);
    EXPECT_TRUE(store.complete());
    EXPECT_EQ(store.seconds(), 1.25);
    EXPECT_EQ(store.result_hash(), result.result_hash);
    store.append(0, one_row(summary_rows(), 4, 4));
    store.commit();
    EXPECT_FALSE(store.complete());
  }
  EXPECT_EQ(query(dir, "SELECT count(*) FROM metrics"), "0");
  EXPECT_TRUE(load_result(dir).interrupted);
}

// ---- merging -------------------------------------------------------------------------------------

/// A store of the runs [first, last) of many_rows(100).
void write_part(const std::string& dir, uint64_t first, uint64_t last,
                const std::string& fingerprint = "ab12", double change = 0) {
  const CellRows all = many_rows(100);
  const auto at = [&](uint64_t run) {
    return all.rows.begin() + static_cast<std::ptrdiff_t>(10 * run);
  };
  CellRows part{{all.runs.begin() + static_cast<std::ptrdiff_t>(first),
                 all.runs.begin() + static_cast<std::ptrdiff_t>(last)},
                {at(first), at(last)}};
  part.rows.back() += change;
  ResultStore store = ResultStore::create(dir, header(100, fingerprint), plain_cell());
  store.append(0, part);
  store.commit();
  Result result = summarise(store);
  result.seconds = 2;
  store.finish(result);
}

TEST(Merge, GivesTheHashOfTheWhole) {
  const Folder folder;
  write_part(folder / "whole", 0, 100);
  write_part(folder / "c", 60, 100);
  write_part(folder / "a", 0, 25);
  write_part(folder / "b", 20, 60);  // five runs twice
  const Merged merged = merge_results({folder / "c", folder / "a", folder / "b"}, folder / "all");
  const Result whole = load_result(folder / "whole");
  EXPECT_EQ(merged.result.result_hash, whole.result_hash);
  EXPECT_EQ(merged.result.runs, 100u);
  EXPECT_EQ(merged.wanted, 100u);
  EXPECT_FALSE(merged.result.interrupted);
  const Result all = load_result(folder / "all");
  EXPECT_EQ(all.result_hash, whole.result_hash);
  EXPECT_EQ(all.seconds, 6);
  EXPECT_FALSE(all.interrupted);
  EXPECT_TRUE(fs::exists(folder / "all/result.json"));
  EXPECT_TRUE(fs::exists(folder / "all/config.toml"));
  const Merged part = merge_results({folder / "a", folder / "c"}, folder / "part");
  EXPECT_EQ(part.result.runs, 65u);
  EXPECT_TRUE(part.result.interrupted);
  EXPECT_TRUE(load_result(folder / "part").interrupted);
}

TEST(Merge, NamesTheFoldersThatDoNotFit) {
  const Folder folder;
  write_part(folder / "a", 0, 50);
  write_part(folder / "other", 50, 100, "cd34");
  write_part(folder / "liar", 30, 60, "ab12", 0);
  write_part(folder / "liar2", 30, 41, "ab12", 1e-9);
  const std::string a = folder / "a", out = folder / "out";
  EXPECT_EQ(io_error([&] {
              merge_results({a, folder / "other"}, out);
            }),
            (folder / "other") + ": is of another experiment than " + a +
                ": the configurations (config.toml) differ");
  EXPECT_EQ(io_error([&] {
              merge_results({a, folder / "liar2"}, out);
            }),
            (folder / "liar2") + ": run 40 has other values than in " + a);
  EXPECT_FALSE(fs::exists(out));
  EXPECT_EQ(io_error([&] { merge_results({a, folder / "liar"}, out); }), "");
  EXPECT_NE(io_error([&] { merge_results({a}, out); }).find("there are results already"),
            std::string::npos);
  EXPECT_EQ(load_result(out).runs, 60u);  // not touched
  EXPECT_NE(io_error([&] {
              merge_results({a, folder / "none"}, folder / "x");
            }).find("there are no results"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "x"));
}

}  // namespace
}  // namespace cumarl
