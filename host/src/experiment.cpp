#include "host/src/experiment.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

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

constexpr const char* kTableNames[] = {"auto", "fixed28", "float32", "float64"};
constexpr int kAutoTable = 0;
constexpr int kFloat64Table = 3;

void read_table(Config& config, const std::string& at, Choice& table) {
  read(config, at, [&](FieldVisitor& v) {
    v.choice("table", table, {"auto", "fixed28", "float32", "float64"},
             "number type of the table; auto: fixed28 for up to 16 actions in pricing games, else "
             "float32");
  });
}

bool has_table(const std::string& env, const std::string& learner) {
  return *pairs_of(env, learner).front()->table() != '\0';
}

/// Its place in learner_entries(). Pre: it is registered.
int learner_kind(const std::string& name) {
  const auto& entries = learner_entries();
  const auto at = std::find_if(entries.begin(), entries.end(),
                               [&](const LearnerEntry& e) { return name == e.facts.name; });
  return static_cast<int>(at - entries.begin());
}

/// Reads one cell. The first error of any kind is thrown with its place. `agentwise`: as a mix even if
/// all agents have one learner, so that a match-up of learners shares launches. So is a cell whose
/// measures have to be taken step by step.
ExperimentCell read_cell(Config& config, const CommonSettings& common, Experiment& experiment,
                         bool agentwise = false) {
  const std::string env_name = config.take_name("env", env_names());
  const EnvModel& env_model = env_named(env_name);
  auto env = env_model.settings();
  read(config, "env", [&](FieldVisitor& v) { env->fields(v); });

  const int learners = std::max(1, config.count("learner"));
  std::vector<std::string> names;
  for (int i = 0; i < learners; ++i) {
    const std::string at = learner_table(config, i);
    names.push_back(config.take_name(at, learner_names()));
    if (pairs_of(env_name, names.back()).empty()) {
      throw config.error(at + ".name", names.back() + " learns for all agents together, and " +
                                           env_name + " has too many of them");
    }
  }
  const bool mixed = agentwise || common.measures ||
                     std::any_of(names.begin(), names.end(),
                                 [&](const std::string& name) { return name != names[0]; });

  // `problem` makes the problem from everybody's settings, as the models at hand do it.
  const auto build = [&](const auto& settings_of, const auto& problem) {
    std::vector<std::unique_ptr<Settings>> owned;
    std::vector<const Settings*> settings;
    TrainedTables* trained = experiment.trained.emplace_back(new TrainedTables).get();
    for (int i = 0; i < learners; ++i) {
      const std::string at = learner_table(config, i);
      auto& learner = owned.emplace_back();
      const std::string from = settings_of(static_cast<size_t>(i), learner, [&](Settings& made) {
        read(config, at, [&](FieldVisitor& v) { made.fields(v); });
      });
      settings.push_back(learner.get());
      if (!from.empty() && trained->runs == 0) {
        try {
          *trained = load_tables(from);
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
                                  static_cast<uint32_t>(common.steps),
                                  static_cast<uint32_t>(common.points), common.measures};
      return problem(settings, stop, evaluation, *trained, agent);
    } catch (const ParameterError& error) {
      if (agent == kStopInError) throw config.locate("stop", error);
      if (agent == kEvaluationInError) throw config.locate("evaluation", error);
      throw config.locate(agent < 0 ? "env" : learner_table(config, agent), error);
    }
  };

  ExperimentCell cell;
  for (size_t i = 0; i < names.size() && mixed; ++i) {
    if (pairs_of(env_name, names[i]).front()->joint()) {
      throw config.error(learner_table(config, static_cast<int>(i)) + ".name",
                         names[i] +
                             " learns for all agents together and cannot be one agent's "
                             "among others'");
    }
  }
  if (mixed) {
    const MixModel& mix = mix_model(env_name);
    std::vector<int> kinds;
    for (int i = 0; i < learners; ++i) {
      const auto& name = names[static_cast<size_t>(i)];
      kinds.push_back(learner_kind(name));
      if (!has_table(env_name, name)) continue;
      const std::string at = learner_table(config, i);
      Choice table;
      read_table(config, at, table);
      if (table.value != kAutoTable && table.value != kFloat64Table) {
        throw config.error(at + ".table",
                           "must be \"float64\" or \"auto\" where agents have different learners, "
                           "or with evaluation.measures");
      }
    }
    cell.pair = &mix;
    cell.problem = build(
        [&](size_t i, std::unique_ptr<Settings>& made, const auto& read_fields) {
          const LearnerEntry& entry = learner_entries()[static_cast<size_t>(kinds[i])];
          made = entry.settings();
          read_fields(*made);
          return entry.trained_from(made->config().get());
        },
        [&](const auto& settings, Stop stop, Evaluation evaluation, const TrainedTables& trained,
            int& agent) {
          return mix.mix(*env, kinds, settings, stop, evaluation, trained, agent);
        });
    return cell;
  }

  const auto pairs = pairs_of(env_name, names[0]);
  const auto build_pair = [&](const PairModel& pair) {
    cell.pair = &pair;
    cell.problem = build(
        [&](size_t, std::unique_ptr<Settings>& made, const auto& read_fields) {
          made = pair.learner_settings();
          read_fields(*made);
          return pair.trained_from(*made);
        },
        [&](const auto& settings, Stop stop, Evaluation evaluation, const TrainedTables& trained,
            int& agent) { return pair.problem(*env, settings, stop, evaluation, trained, agent); });
  };
  if (!has_table(env_name, names[0])) {
    build_pair(*pairs.front());
    return cell;
  }
  Choice table;
  for (int i = 0; i < learners; ++i) {
    const std::string at = learner_table(config, i);
    Choice mine;
    read_table(config, at, mine);
    if (i == 0) table = mine;
    if (mine.value != table.value) {
      throw config.error(at + ".table", "all agents must use one table type");
    }
  }
  // The number of actions decides what `auto` means: ask the plain table first.
  build_pair(
      *pair_with_table(pairs, table.value == kAutoTable ? "float32" : kTableNames[table.value]));
  if (table.value == kAutoTable && env_model.facts().family == Family::pricing) {
    int most = 0;
    for (int i = 0; i < cell.problem->agents(); ++i) {
      most = std::max(most, cell.problem->actions(i));
    }
    if (most <= 16) build_pair(*pair_with_table(pairs, "fixed28"));
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
  v("points", points, Bounds{0, 5000}, "",
    "moments of the run at which strategies are judged (matrix games without memory); 0: none");
  v("measures", measures,
    "regrets, convergence, welfare, selection, transfer entropy (matrix games without memory); win "
    "shares (soccer)");
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
  experiment.canonical = config.to_json().dump();
  experiment.watched = common.stable_periods > 0;
  if (!config.has_sweep()) return experiment;

  const Sweep sweep = config.sweep();
  const bool matchup = std::any_of(sweep.axes().begin(), sweep.axes().end(), [](const auto& axis) {
    return axis.key().starts_with("learner") && axis.key().ends_with(".name");
  });
  experiment.cells.clear();
  for (int64_t i = 0; i < sweep.size(); ++i) {
    const SweepCell set = sweep.cell(i);
    Config one = config.with(set);
    read_common(one);
    if (common.runs != experiment.runs || common.seed != experiment.seed) {
      throw config.error("experiment", "runs and seed are one for all cells of a sweep");
    }
    experiment.cells.push_back(read_cell(one, common, experiment, matchup));
    one.reject_unknown(tables);
    experiment.cells.back().set = set;
  }
  return experiment;
}

}  // namespace cumarl
