// Every registered environment and every registered pair, without naming any: what is added to
// envs.def or learners.def is tested here from its first build on.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <set>

#include "cumarl/runner.hpp"
#include "host/src/flight.hpp"
#include "host/src/kernel_choice.hpp"
#include "host/src/model.hpp"

namespace cumarl {
namespace {

std::string pair_label(const PairModel& pair) {
  std::string name = std::string(pair.env().name) + "_" + pair.learner().name;
  if (*pair.table() != '\0') name += std::string("_") + pair.table();
  return name;
}

#if defined(__SANITIZE_ADDRESS__)
constexpr int kSteps = 300;  // the sanitizers look at accesses, not at outcomes
constexpr uint64_t kBatches[] = {4};
constexpr int kThreads[] = {2};
#else
constexpr int kSteps = 3000;
constexpr uint64_t kBatches[] = {1, 4, 9};
constexpr int kThreads[] = {1, 2, 3};
#endif

RunRequest small_run(const PairModel& pair, const std::string& more = "") {
  RunRequest request;
  request.config_text = std::string("[env]\nname = \"") + pair.env().name + "\"\n" +
                        pair.env().small + "\n[learner]\nname = \"" + pair.learner().name + "\"\n";
  if (*pair.table() != '\0') {
    request.config_text += std::string("table = \"") + pair.table() +
                           "\"\nexploration = { start = 0.8, decay_rate = 1e-3 }\n" + more;
  }
  // policy learners may solve a game of many actions a step, joint ones move a network
  const int steps = *pair.table() != '\0' ? kSteps : kSteps / (pair.joint() ? 50 : 30);
  request.config_text +=
      "[evaluation]\nepisodes = 3\nsteps = 20\n[stop]\nmax_steps = " + std::to_string(steps) + "\n";
  if (pair.learns() && !pair.joint())
    request.config_text += "stable_periods = " + std::to_string(steps / 4) + "\n";
  request.runs = 9;
  request.device = "cpu";
  request.threads = 1;
  return request;
}

/// Why a learner does not go with an environment, "" if it does.
std::string refusal(const PairModel& pair) {
  try {
    Runner runner(small_run(pair));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

/// The pairs of an environment, one after another: a test a pair would start two thousand programs.
class EveryPair : public testing::TestWithParam<const EnvModel*> {
 protected:
  /// Calls check(pair) for every learner that goes with the environment; the others must say why.
  template <class Check>
  void each(const Check& check) {
    int fitting = 0;
    for (const PairModel* pair : pair_models()) {
      if (std::string(pair->env().name) != GetParam()->facts().name) continue;
      SCOPED_TRACE(pair_label(*pair));
      const std::string why = refusal(*pair);
      if (!why.empty()) {
        EXPECT_NE(why.find("learner"), std::string::npos) << why;
        continue;
      }
      ++fitting;
      check(*pair);
    }
    EXPECT_GT(fitting, 0);
  }
};

// A run's result depends on its config, seed and id, and on nothing else.
TEST_P(EveryPair, HashDoesNotDependOnThreadsBatchOrInstructionSet) {
  each([](const PairModel& pair) {
    const RunRequest reference = small_run(pair);
    const Result expected = Runner(reference).run();
    ASSERT_EQ(expected.runs, 9u);
    for (const uint64_t batch : kBatches) {
      for (const int threads : kThreads) {
        RunRequest request = reference;
        request.batch = batch;
        request.threads = threads;
        EXPECT_EQ(Runner(request).run().result_hash, expected.result_hash)
            << "batch " << batch << ", threads " << threads;
      }
    }
    CpuVariant last = cpu_variant();
    for (const char* most : {"x86_64_v3", "generic"}) {
      setenv("CUMARL_CPU", most, 1);
      if (cpu_variant() != last) {  // compiled, and this machine has it
        EXPECT_EQ(Runner(reference).run().result_hash, expected.result_hash) << most;
      }
      last = cpu_variant();
    }
    unsetenv("CUMARL_CPU");
  });
}

// Shards partition the runs: the same run ids, the same values.
TEST_P(EveryPair, ShardsGiveTheSameRuns) {
  each([](const PairModel& pair) {
    const RunRequest reference = small_run(pair);
    const CellResult whole = Runner(reference).run().cells[0];
    std::vector<uint64_t> ids;
    std::vector<double> values;
    for (uint64_t i = 0; i < 4; ++i) {
      RunRequest request = reference;
      request.shard = i;
      request.shards = 4;
      const CellResult part = Runner(request).run().cells[0];
      ids.insert(ids.end(), part.run_ids.begin(), part.run_ids.end());
      values.insert(values.end(), part.values.begin(), part.values.end());
    }
    EXPECT_EQ(ids, whole.run_ids);
    EXPECT_EQ(values, whole.values);
  });
}

TEST_P(EveryPair, SeedsAndRunsDiffer) {
  each([](const PairModel& pair) {
    RunRequest request = small_run(pair);
    const Result one = Runner(request).run();
    request.seed = 2;
    const std::string other = Runner(request).run().result_hash;
    // others may be deterministic, or judged by strategies that no seed changes
    if (*pair.table() != '\0') {
      EXPECT_NE(other, one.result_hash);
    }
    for (const auto& [name, s] : one.cells[0].metrics) {
      EXPECT_TRUE(std::isfinite(s.mean)) << name;
      EXPECT_LE(s.min, s.q50) << name;
      EXPECT_LE(s.q50, s.max) << name;
    }
  });
}

// Boltzmann exploration runs on every table type.
TEST_P(EveryPair, BoltzmannGivesTheSameBits) {
  each([](const PairModel& pair) {
    if (*pair.table() == '\0') return;  // no exploration to set
    RunRequest request = small_run(pair);
    request.sets = {"learner.exploration.kind=boltzmann"};
    const std::string expected = Runner(request).run().result_hash;
    request.threads = 2;
    request.batch = 4;
    setenv("CUMARL_CPU", "generic", 1);
    EXPECT_EQ(Runner(request).run().result_hash, expected);
    unsetenv("CUMARL_CPU");
  });
}

/// Outcome rows by run id.
using Rows = std::map<uint64_t, std::vector<double>>;

void keep(Rows& rows, const FinishedRun& run) { rows[run.run] = {run.row.begin(), run.row.end()}; }

// Runs that go on from checkpoints end as runs that were never stopped.
TEST_P(EveryPair, GoesOnFromACheckpoint) {
  // in memory, where there is such a folder: a checkpoint is made durable each time
  const std::string home = std::filesystem::exists("/dev/shm") ? "/dev/shm/" : testing::TempDir();
  const std::string folder = home + "cumarl_checkpoint_" + GetParam()->facts().name;
  std::filesystem::create_directories(folder);
  const std::string mark(32, 'f');
  each([&](const PairModel& pair) {
    const Experiment experiment = read_experiment(small_run(pair));
    const std::vector<Group> groups = group_cells(experiment);
    ASSERT_EQ(groups.size(), 1u);
    const auto executor = make_executor("cpu", 1);
    const std::atomic<bool> never{false};
    std::atomic<uint64_t> steps{0};
    Rows whole, parts;
    {
      Flight flight(experiment, groups[0], *executor, {{0, 9, {}}}, 9, ~uint64_t{0}, false);
      while (flight.advance(never, steps, [&](const FinishedRun& run) { keep(whole, run); })) {
      }
    }
    ASSERT_EQ(whole.size(), 9u);
    remove_checkpoints(folder);
    int flights = 0;
    for (bool going = true; going; ++flights) {
      ASSERT_LT(flights, 1000);
      CellWork work{0, 9, {}};
      for (const auto& [run, row] : parts) work.skip.push_back(run);
      std::vector<SavedRun> saved = read_checkpoint(folder, mark).runs;
      for (const SavedRun& run : saved) work.skip.push_back(run.run);
      std::sort(work.skip.begin(), work.skip.end());
      // places for four of the nine, and prime numbers of steps between checkpoints
      Flight flight(experiment, groups[0], *executor, {work}, 4, pair.joint() ? 7 : 311, false);
      for (SavedRun& run : saved) flight.restore(std::move(run));
      for (int launch = 0; launch < 3 && going; ++launch) {
        going = flight.advance(never, steps, [&](const FinishedRun& run) { keep(parts, run); });
      }
      CheckpointWriter writer(folder, mark);
      flight.save(writer);
      writer.commit();
    }
    EXPECT_GT(flights, 1);
    EXPECT_EQ(parts, whole);
  });
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryPair, testing::ValuesIn(env_models()),
                         [](const auto& one) { return std::string(one.param->facts().name); });

class Recorder final : public StateVisitor {
 public:
  void operator()(const char* key, int64_t* values, int count) override {
    keys.emplace_back(key);
    all.insert(all.end(), values, values + count);
  }
  std::vector<std::string> keys;
  std::vector<int64_t> all;
};

class Restorer final : public StateVisitor {
 public:
  explicit Restorer(std::vector<int64_t> values) : all_(std::move(values)) {}
  void operator()(const char*, int64_t* values, int count) override {
    for (int i = 0; i < count; ++i) values[i] = all_[at_++];
  }

 private:
  std::vector<int64_t> all_;
  size_t at_ = 0;
};

class EveryEnv : public testing::TestWithParam<const EnvModel*> {
 protected:
  std::unique_ptr<EnvPlay> play_ = GetParam()->play(*GetParam()->settings());
  std::vector<int> actions_ = std::vector<int>(static_cast<size_t>(play_->agents()));
  std::vector<float> rewards_ = std::vector<float>(static_cast<size_t>(play_->agents()));

  Episode random_step(RunKey key, uint64_t t) {
    Rng rng(key, t, Stream::explore);
    for (int i = 0; i < play_->agents(); ++i) {
      actions_[static_cast<size_t>(i)] =
          static_cast<int>(rng.below(static_cast<uint32_t>(play_->actions(i))));
    }
    return play_->step(key, t, actions_, rewards_);
  }
  std::vector<int64_t> state() {
    Recorder recorder;
    play_->state(recorder);
    return recorder.all;
  }
};

TEST_P(EveryEnv, FactsAreComplete) {
  const EnvFacts& facts = GetParam()->facts();
  for (const char* text :
       {facts.name, facts.title, facts.source, facts.actions, facts.observations}) {
    ASSERT_NE(text, nullptr);
    EXPECT_NE(std::string(text), "");
  }
}

TEST_P(EveryEnv, EqualSeedsPlayEqually) {
  const auto other = GetParam()->play(*GetParam()->settings());
  const RunKey key{7, 3};
  play_->reset(key, 0);
  other->reset(key, 0);
  std::vector<float> rewards(rewards_.size());
  for (uint64_t t = 0; t < 200; ++t) {
    const Episode episode = random_step(key, t);
    EXPECT_EQ(other->step(key, t, actions_, rewards), episode);
    EXPECT_EQ(rewards, rewards_);
    for (int i = 0; i < play_->agents(); ++i) {
      EXPECT_EQ(play_->observation(i), other->observation(i));
    }
    if (episode != Episode::goes_on) {
      play_->reset(key, t + 1);
      other->reset(key, t + 1);
    }
  }
}

// A state survives being printed and read back, and nothing of it hides elsewhere.
TEST_P(EveryEnv, StateRoundTripsThroughItsFields) {
  const RunKey key{11, 0};
  play_->reset(key, 0);
  for (uint64_t t = 0; t < 60; ++t) {
    const std::vector<int64_t> before = state();
    const auto copy = GetParam()->play(*GetParam()->settings());
    copy->reset({99, 99}, 5);
    Restorer restorer(before);
    copy->state(restorer);
    const Episode episode = random_step(key, t);
    std::vector<float> rewards(rewards_.size());
    EXPECT_EQ(copy->step(key, t, actions_, rewards), episode);
    EXPECT_EQ(rewards, rewards_);
    Recorder recorder;
    copy->state(recorder);
    EXPECT_EQ(recorder.all, state());
    if (episode != Episode::goes_on) play_->reset(key, t + 1);
  }
}

TEST_P(EveryEnv, ResetsAndRewardsVary) {
  std::set<std::vector<int64_t>> states;
  std::set<float> rewards;
  for (uint64_t run = 0; run < 50; ++run) {
    const RunKey key{1, run};
    play_->reset(key, 0);
    // some games pay random play once in thousands of steps
    for (uint64_t t = 0; t < 40 || (t < 4000 && rewards.size() < 2); ++t) {
      const Episode episode = random_step(key, t);
      if (t < 40) states.insert(state());
      for (const float r : rewards_) {
        EXPECT_TRUE(std::isfinite(r));
        rewards.insert(r);
      }
      if (episode != Episode::goes_on) play_->reset(key, t + 1);
    }
  }
  EXPECT_GE(rewards.size(), 2u);
  EXPECT_GE(states.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryEnv, testing::ValuesIn(env_models()),
                         [](const auto& one) { return std::string(one.param->facts().name); });

// What goes with nothing is of no use to anybody; and learners without loops of their own exist as
// one agent's among others' too.
TEST(Registry, EverythingRunsSomewhere) {
  std::set<std::string> running;
  std::set<std::string> all;
  for (const PairModel* pair : pair_models()) {
    all.insert(pair->env().name);
    all.insert(pair->learner().name);
    if (!refusal(*pair).empty()) continue;
    running.insert(pair->env().name);
    running.insert(pair->learner().name);
  }
  EXPECT_EQ(running, all);
  std::set<std::string> entries;
  for (const LearnerEntry& entry : learner_entries()) entries.insert(entry.facts.name);
  for (const PairModel* pair : pair_models()) {
    EXPECT_NE(entries.contains(pair->learner().name), pair->joint()) << pair->learner().name;
  }
}

// Rates of 1/2 and above use the uppermost bit of a fixed-point fraction.
TEST(PairLane, AnyLearningRate) {
  for (const char* alpha : {"0.0", "0.3", "0.49999", "0.5", "0.7", "1.0"}) {
    RunRequest request;
    request.config_text =
        std::string(
            "[env]\nname = \"bertrand_logit\"\n[learner]\nname = \"q_learning\"\n"
            "table = \"fixed28\"\nexploration = { start = 0.9, decay_rate = 1e-3 }\n") +
        "alpha = " + alpha + "\n[stop]\nmax_steps = 4000\nstable_periods = 900\n";
    request.runs = 5;
    request.device = "cpu";
    const std::string expected = Runner(request).run().result_hash;
    setenv("CUMARL_CPU", "generic", 1);
    EXPECT_EQ(Runner(request).run().result_hash, expected) << alpha;
    unsetenv("CUMARL_CPU");
  }
}

// A learner among others has the rules, memory and draws of its own loops.
TEST(Mix, AgentwiseQLearningIsQLearning) {
  const auto request = [](const std::string& learners) {
    RunRequest r;
    r.config_text = "[env]\nname = \"matrix_game\"\nmemory = 1\n" + learners +
                    "[stop]\nmax_steps = 5000\nstable_periods = 900\n";
    r.runs = 9;
    r.device = "cpu";
    return r;
  };
  const std::string settings =
      "exploration = { start = 0.9, decay_rate = 1e-3 }\nalpha = 0.2\ninit.kind = \"uniform\"\n"
      "init.high = 1.0\n";
  const std::string one = "[learner]\nname = \"q_learning\"\ntable = \"float64\"\n" + settings;
  const std::string two = "[[learner]]\nname = \"q_learning\"\n" + settings +
                          "[[learner]]\nname = \"hysteretic_q\"\nbeta = 0.2\n" + settings;
  const CellResult own = Runner(request(one)).run().cells[0];
  const CellResult mixed = Runner(request(two)).run().cells[0];
  ASSERT_EQ(own.columns, mixed.columns);
  EXPECT_EQ(own.values, mixed.values);
}

TEST(Registry, NamesAreUnique) {
  std::set<std::string> names;
  for (const EnvModel* model : env_models()) {
    EXPECT_TRUE(names.insert(model->facts().name).second) << model->facts().name;
  }
  for (const PairModel* pair : pair_models()) {
    EXPECT_TRUE(names.insert(pair_label(*pair)).second) << pair_label(*pair);
  }
}

}  // namespace
}  // namespace cumarl
