#include "host/src/experiment.hpp"

#include <algorithm>
#include <map>

namespace cumarl {
namespace {

template <class Models, class Facts>
std::vector<std::string> unique_names(const Models& models, Facts facts) {
  std::vector<std::string> names;
  for (const auto* model : models) {
    const std::string name = facts(*model).name;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

const EnvModel& env_named(const std::string& name) {
  for (const EnvModel* model : env_models()) {
    if (name == model->facts().name) return *model;
  }
  throw Error("no environment \"" + name + "\"");  // take_name has checked it
}

/// The tables of a learner, in order; "" for a learner without any.
std::vector<const PairModel*> pairs_of(const std::string& env, const std::string& learner) {
  std::vector<const PairModel*> pairs;
  for (const PairModel* pair : pair_models()) {
    if (env == pair->env().name && learner == pair->learner().name) pairs.push_back(pair);
  }
  return pairs;
}

std::string learner_table(const Config& config, int index) {
  return config.count("learner") > 1 ? "learner[" + std::to_string(index) + "]" : "learner";
}

const PairModel* pair_with_table(const std::vector<const PairModel*>& pairs,
                                 const std::string& table) {
  for (const PairModel* pair : pairs) {
    if (table == pair->table()) return pair;
  }
  return nullptr;
}

/// Reads one cell. The first error of any kind is thrown with its place.
ExperimentCell read_cell(Config& config, const CommonSettings& common, Experiment& experiment) {
  const std::string env_name = config.take_name("env", env_names());
  const EnvModel& env_model = env_named(env_name);
  auto env = env_model.settings();
  read(config, "env", [&](FieldVisitor& v) { env->fields(v); });

  const int learners = std::max(1, config.count("learner"));
  std::string learner_name;
  Choice table;  // auto, fixed28, float32, float64
  for (int i = 0; i < learners; ++i) {
    const std::string at = learner_table(config, i);
    const std::string name = config.take_name(at, learner_names());
    Choice this_table;
    if (std::string(pairs_of(env_name, name).front()->table()) != "") {
      read(config, at, [&](FieldVisitor& v) {
        v.choice("table", this_table, {"auto", "fixed28", "float32", "float64"},
                 "number type of the table; auto: fixed28 for up to 16 actions in pricing games, "
                 "else float32");
      });
    }
    if (i == 0) {
      learner_name = name;
      table = this_table;
    } else if (name != learner_name) {
      throw config.error(at + ".name", "all agents must use one learner, here \"" + learner_name +
                                           "\"; their parameters may differ");
    } else if (this_table.value != table.value) {
      throw config.error(at + ".table", "all agents must use one table type");
    }
  }
  const auto pairs = pairs_of(env_name, learner_name);

  // The number of actions decides what `auto` means: ask the plain table first.
  const auto build = [&](const PairModel& pair) {
    std::vector<std::unique_ptr<Settings>> owned;
    std::vector<const Settings*> settings;
    TrainedTables* trained = experiment.trained.emplace_back(new TrainedTables).get();
    for (int i = 0; i < learners; ++i) {
      const std::string at = learner_table(config, i);
      auto& learner = owned.emplace_back(pair.learner_settings());
      read(config, at, [&](FieldVisitor& v) { learner->fields(v); });
      settings.push_back(learner.get());
      const InitConfig* init = pair.init_of(*learner);
      if (init != nullptr && init->kind.value == static_cast<int>(InitKind::trained) &&
          trained->runs == 0) {
        try {
          *trained = load_tables(init->from);
        } catch (const IoError& error) {
          throw config.error(at + ".init.from", error.what());
        }
      }
    }
    int agent = -1;
    try {
      const Stop stop{static_cast<uint64_t>(common.stable_periods),
                      static_cast<uint64_t>(common.max_steps)};
      const Evaluation evaluation{static_cast<uint32_t>(common.episodes),
                                  static_cast<uint32_t>(common.steps)};
      return pair.problem(*env, settings, stop, evaluation, *trained, agent);
    } catch (const ParameterError& error) {
      if (agent == kStopInError) throw config.locate("stop", error);
      throw config.locate(agent < 0 ? "env" : learner_table(config, agent), error);
    }
  };

  ExperimentCell cell;
  if (std::string(pairs.front()->table()) == "") {
    cell.pair = pairs.front();
    cell.problem = build(*cell.pair);
    return cell;
  }
  const char* const names[] = {"", "fixed28", "float32", "float64"};
  cell.pair = pair_with_table(pairs, table.value == 0 ? "float32" : names[table.value]);
  cell.problem = build(*cell.pair);
  if (table.value == 0 && env_model.facts().family == Family::pricing) {
    int most = 0;
    for (int i = 0; i < cell.problem->agents(); ++i) {
      most = std::max(most, cell.problem->actions(i));
    }
    if (most <= 16) {
      cell.pair = pair_with_table(pairs, "fixed28");
      cell.problem = build(*cell.pair);
    }
  }
  return cell;
}

}  // namespace

void CommonSettings::experiment_fields(FieldVisitor& v) {
  v("name", name, "what results are filed under");
  v("runs", runs, Bounds{1, 1e15}, "run", "independent runs a cell");
  v("seed", seed, Bounds{0, 9e18}, "", "seed of all random numbers");
  v("save_tables", save_tables, "write the final tables to DIR/tables.bin");
}

void CommonSettings::stop_fields(FieldVisitor& v) {
  v("stable_periods", stable_periods, Bounds{0, 1e15}, "joint step",
    "a run has converged when no greedy action has changed for so long; 0: never");
  v("max_steps", max_steps, Bounds{1, 1e14}, "joint step", "a run ends here at the latest");
}

void CommonSettings::evaluation_fields(FieldVisitor& v) {
  v("episodes", episodes, Bounds{1, 1e9}, "episode",
    "played to evaluate a run of an episodic game");
  v("steps", steps, Bounds{1, 1e9}, "joint step",
    "played to evaluate a stochastic policy in an endless game");
}

std::vector<std::string> env_names() {
  return unique_names(env_models(), [](const EnvModel& m) { return m.facts(); });
}
std::vector<std::string> learner_names() {
  return unique_names(pair_models(), [](const PairModel& m) { return m.learner(); });
}

Experiment read_experiment(const RunRequest& request) {
  Config config = request.config_file.empty()
                      ? Config::from_text(request.config_text, request.config_name)
                      : Config::from_file(request.config_file);
  for (const std::string& assignment : request.sets) config.set(assignment);
  if (request.runs) {
    config.set("experiment.runs", {*request.runs}, "--runs " + std::to_string(*request.runs));
  }
  if (request.seed) {
    config.set("experiment.seed", {*request.seed}, "--seed " + std::to_string(*request.seed));
  }

  CommonSettings common;
  const auto read_common = [&](Config& from) {
    common = CommonSettings{};
    read(from, "experiment", [&](FieldVisitor& v) { common.experiment_fields(v); });
    read(from, "stop", [&](FieldVisitor& v) { common.stop_fields(v); });
    read(from, "evaluation", [&](FieldVisitor& v) { common.evaluation_fields(v); });
  };
  const std::vector<std::string> tables{"experiment", "env", "learner", "stop", "evaluation"};

  Experiment experiment;
  read_common(config);
  experiment.name = common.name;
  experiment.runs = common.runs;
  experiment.seed = common.seed;
  experiment.save_tables = common.save_tables;
  experiment.cells.push_back(read_cell(config, common, experiment));
  config.reject_unknown(tables);
  experiment.resolved = config.to_toml();
  if (!config.has_sweep()) return experiment;

  const Sweep sweep = config.sweep();
  experiment.cells.clear();
  for (int64_t i = 0; i < sweep.size(); ++i) {
    const SweepCell set = sweep.cell(i);
    Config one = config.with(set);
    read_common(one);
    if (common.runs != experiment.runs || common.seed != experiment.seed) {
      throw config.error("experiment", "runs and seed are one for all cells of a sweep");
    }
    experiment.cells.push_back(read_cell(one, common, experiment));
    one.reject_unknown(tables);
    experiment.cells.back().set = set;
  }
  return experiment;
}

}  // namespace cumarl
