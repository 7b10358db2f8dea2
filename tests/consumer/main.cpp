// Uses cuMARL as any program would: the public headers, a configuration in a string, a result.
#include <cstdio>
#include <string>

#include "cumarl/error.hpp"
#include "cumarl/runner.hpp"

namespace {

int failures = 0;

void expect(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "FAILED: %s\n", what);
  ++failures;
}

// Mutual defection is the dominant-strategy equilibrium, so learners without memory who do not
// discount the future end there: 1 a period each.
constexpr const char* kConfig = R"(
[experiment]
name = "consumer"
runs = 32
seed = 5
[env]
name = "matrix_game"
game = "prisoners_dilemma"
[learner]
name = "q_learning"
alpha = 0.1
gamma = 0.0
exploration = { start = 1.0, decay_rate = 1e-3 }
[stop]
stable_periods = 5_000
max_steps = 100_000
)";

}  // namespace

int main() {
  cumarl::RunRequest request;
  request.config_text = kConfig;
  request.device = "cpu";
  const cumarl::Runner runner(request);
  expect(runner.plan().runs == 32, "the plan knows the number of runs");

  const cumarl::Result result = runner.run();
  const cumarl::CellResult& cell = result.cells.at(0);
  expect(result.runs == 32 && result.converged == 32, "every run converges");
  expect(cell.metrics.at("return_per_step").mean == 1.0, "both defect in every run");
  expect(cell.shares.at("greedy_joint_action").at("1,1") == 1.0, "the greedy joint action is 1,1");

  request.threads = 1;
  request.batch = 3;
  expect(cumarl::Runner(request).run().result_hash == result.result_hash,
         "threads and batches do not change the result hash");

  request.sets = {"learner.alpha=2"};
  try {
    const cumarl::Runner wrong(request);
    expect(false, "a learning rate of 2 is an error");
  } catch (const cumarl::ConfigError& error) {
    expect(error.problem().source.find("learner.alpha=2") != std::string::npos,
           "the error names the value");
  }
  std::printf("%s\n", failures == 0 ? "consumer: all as expected" : "consumer: FAILED");
  return failures == 0 ? 0 : 1;
}
