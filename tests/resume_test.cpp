// Checkpoints and folders of experiments: what is there is taken up, what is damaged is refused.
// That runs go on to the same bits is tested for every pair in pairs_test.cpp, and with the
// program killed at random moments in resume_test.py.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "cumarl/runner.hpp"
#include "host/src/checkpoint.hpp"
#include "host/src/folder_lock.hpp"

namespace cumarl {
namespace {

namespace fs = std::filesystem;

const std::string kMark(32, 'a');
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int kMoment = 400;  // milliseconds that a call may work: sanitizers are slow
#else
constexpr int kMoment = 8;
#endif

/// A folder that goes away with the test.
class Folder : public testing::Test {
 protected:
  Folder()
      : path_(testing::TempDir() + "cumarl_" +
              testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() override { fs::remove_all(path_); }

  std::string bytes(const std::string& name) const {
    std::ifstream file(path_ + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void overwrite(const std::string& name, const std::string& content) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << content;
  }
  /// A checkpoint with one run, told apart by its id.
  void write(uint64_t id) const {
    CheckpointWriter writer(path_, kMark);
    writer.add({id, 2, std::vector<std::byte>(8, std::byte{1}), std::vector<std::byte>(64)});
    writer.commit();
  }

  std::string path_;
};

using CheckpointFile = Folder;

TEST_F(CheckpointFile, ComesBackToTheByte) {
  const SavedRun run{77, 3, {std::byte{1}, std::byte{255}}, {std::byte{9}}};
  const SavedRun empty{78, 0, {}, {}};
  {
    CheckpointWriter writer(path_, kMark);
    writer.add(run);
    writer.add(empty);
    writer.commit();
  }
  const Checkpoint back = read_checkpoint(path_, kMark);
  EXPECT_TRUE(back.refused.empty());
  ASSERT_EQ(back.runs.size(), 2u);
  EXPECT_EQ(back.runs[0].run, 77u);
  EXPECT_EQ(back.runs[0].cell, 3u);
  EXPECT_EQ(back.runs[0].state, run.state);
  EXPECT_EQ(back.runs[0].memory, run.memory);
  EXPECT_EQ(back.runs[1].run, 78u);
}

TEST_F(CheckpointFile, WithoutACommitNothingChanges) {
  write(1);
  {
    CheckpointWriter writer(path_, kMark);
    writer.add({2, 0, {}, {}});
  }
  EXPECT_EQ(read_checkpoint(path_, kMark).runs.at(0).run, 1u);
  EXPECT_FALSE(fs::exists(path_ + "/checkpoint.partial"));
}

TEST_F(CheckpointFile, EveryTruncationIsRefusedAndThePreviousOneTaken) {
  write(1);
  write(2);
  const std::string good = bytes("checkpoint");
  for (size_t length = 0; length < good.size(); ++length) {
    overwrite("checkpoint", good.substr(0, length));
    const Checkpoint back = read_checkpoint(path_, kMark);
    ASSERT_EQ(back.refused.size(), 1u) << length;
    ASSERT_EQ(back.runs.size(), 1u) << length;
    ASSERT_EQ(back.runs[0].run, 1u) << length;
  }
  overwrite("checkpoint", good + '\0');
  EXPECT_EQ(read_checkpoint(path_, kMark).runs.at(0).run, 1u);
}

TEST_F(CheckpointFile, EveryFlippedBitIsRefused) {
  write(1);
  const std::string good = bytes("checkpoint");
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    overwrite("checkpoint", bad);
    const Checkpoint back = read_checkpoint(path_, kMark);
    ASSERT_EQ(back.refused.size(), 1u) << bit;
    ASSERT_TRUE(back.runs.empty()) << bit;
  }
}

TEST_F(CheckpointFile, OfAnotherExperimentIsRefused) {
  write(1);
  const Checkpoint back = read_checkpoint(path_, std::string(32, 'b'));
  ASSERT_EQ(back.refused.size(), 1u);
  EXPECT_NE(back.refused[0].find("another experiment"), std::string::npos);
  EXPECT_TRUE(back.runs.empty());
}

using LockedFolder = Folder;

TEST_F(LockedFolder, HasOneHolder) {
  EXPECT_FALSE(FolderLock::held(path_));
  {
    const FolderLock lock(path_);
    EXPECT_TRUE(FolderLock::held(path_));
    EXPECT_THROW(FolderLock{path_}, IoError);
  }
  EXPECT_FALSE(FolderLock::held(path_));
  const FolderLock again(path_);
}

using StudyInAFolder = Folder;

RunRequest dilemma(const std::string& folder) {
  RunRequest request;
  request.config_text = R"(
[env]
name = "matrix_game"
game = "prisoners_dilemma"
memory = 1
[learner]
name = "q_learning"
[stop]
max_steps = 200_000
)";
  request.runs = 64;
  request.device = "cpu";
  request.threads = 2;
  request.directory = folder;
  return request;
}

TEST_F(StudyInAFolder, GoesOnAfterInterruptions) {
  const std::string expected = Runner(dilemma("")).run().result_hash;
  Result result;
  int calls = 0;
  do {
    InterruptFlag stop{false};
    const std::jthread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(kMoment));
      stop = true;
    });
    result = Runner(dilemma(path_)).run({}, &stop);
    ASSERT_LT(++calls, 1000);
  } while (result.interrupted);
  EXPECT_GT(calls, 1);
  EXPECT_EQ(result.result_hash, expected);
  EXPECT_EQ(result.runs, 64u);
  EXPECT_FALSE(fs::exists(path_ + "/checkpoint"));
  // a complete folder gives its results again
  EXPECT_EQ(Runner(dilemma(path_)).run().result_hash, expected);
}

TEST_F(StudyInAFolder, TablesGoOnToo) {
  RunRequest request = dilemma("");
  request.keep_tables = true;
  const auto expected = Runner(request).run().tables;
  request.directory = path_;
  request.max_seconds = 1e-3 * kMoment;
  Result result;
  int calls = 0;
  do {
    result = Runner(request).run();
    ASSERT_LT(++calls, 1000);
  } while (result.interrupted);
  EXPECT_GT(calls, 1);
  EXPECT_EQ(result.tables, expected);
}

TEST_F(StudyInAFolder, OfOtherSettingsIsRefused) {
  Runner(dilemma(path_)).run();
  RunRequest other = dilemma(path_);
  other.sets = {"learner.alpha=0.3"};
  EXPECT_THROW(Runner(other).run(), ConfigError);
  RunRequest shard = dilemma(path_);
  shard.shards = 2;
  EXPECT_THROW(Runner(shard).run(), ConfigError);
}

TEST_F(StudyInAFolder, DamagedCheckpointCostsNothingButTime) {
  const std::string expected = Runner(dilemma("")).run().result_hash;
  RunRequest request = dilemma(path_);
  request.max_seconds = 1e-3 * kMoment;
  ASSERT_TRUE(Runner(request).run().interrupted);
  std::string damaged = bytes("checkpoint");
  damaged[damaged.size() / 2] ^= 4;
  overwrite("checkpoint", damaged);
  std::vector<std::string> notes;
  request.max_seconds = 0;
  const Result result =
      Runner(request).run({}, nullptr, [&](const std::string& note) { notes.push_back(note); });
  EXPECT_EQ(result.result_hash, expected);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_NE(notes[0].find("damaged"), std::string::npos) << notes[0];
}

}  // namespace
}  // namespace cumarl
