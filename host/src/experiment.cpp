#include "host/src/experiment.hpp"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

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
constexpr int kMostFixed28Actions = 16;  ///< that `auto` takes fixed28 for

const std::vector<std::string> kTables{"experiment", "env", "learner", "stop", "evaluation"};

void read_table(Config& config, const std::string& at, Choice& table) {
  read(config, at, [&](FieldVisitor& v) {
    v.choice("table", table, {"auto", "fixed28", "float32", "float64"},
             "number type of the table; auto: fixed28 for up to 16 actions in pricing games, else "
             "float32");
  });
}

/// Its place in learner_entries(). Pre: it is registered.
int learner_kind(const std::string& name) {
  const auto& entries = learner_entries();
  const auto at = std::find_if(entries.begin(), entries.end(),
                               [&](const LearnerEntry& e) { return name == e.facts.name; });
  return static_cast<int>(at - entries.begin());
}

/// What cells of a sweep have in common is read and made once: an object is kept with the tables it
/// was read from, and serves all cells where the axes that touch these tables stand at the same
/// values.
class SharedParts {
 public:
  SharedParts(const Config& config, const Sweep& sweep) : axes_(sweep.axes().size()) {
    for (std::size_t a = 0; a < axes_; ++a) {
      for (const std::string& table : config.tables_of(sweep.axes()[a].key())) {
        touching_[table].push_back(a);
      }
    }
  }
  /// `places`: of the cell that is read from now on, see Sweep::places().
  void move_to(std::vector<int64_t> places) { places_ = std::move(places); }

  /// The object of `tag` (what it is) for `tables` (what it was read from); `make` makes it.
  template <class T, class Make>
  std::shared_ptr<T> get(const void* tag, std::initializer_list<std::string_view> tables,
                         const Make& make) {
    std::vector<int64_t> key;
    std::size_t touched = 0;
    std::string name;
    for (const std::string_view table : tables) {
      name.append(table).push_back(' ');
      const auto axes = touching_.find(table);
      if (axes == touching_.end()) continue;
      touched += axes->second.size();
      for (const std::size_t a : axes->second) key.push_back(places_[a]);
    }
    if (touched == axes_) return make();  // no two cells share it
    std::shared_ptr<void>& kept = kept_[{tag, std::move(name), std::move(key)}];
    if (!kept) kept = make();
    return std::static_pointer_cast<T>(kept);
  }

 private:
  std::size_t axes_;
  std::map<std::string, std::vector<std::size_t>, std::less<>> touching_;
  std::vector<int64_t> places_;
  std::map<std::tuple<const void*, std::string, std::vector<int64_t>>, std::shared_ptr<void>> kept_;
};

/// The environment of a cell.
struct EnvPart {
  const EnvModel* model = nullptr;
  std::shared_ptr<Settings> settings;
  int most_actions = 0;  ///< of any agent; 0: not asked for yet
};

/// Reads cells one after another. The first error of any kind is thrown with its place.
class CellReader {
 public:
  /// `agentwise`: every cell is read as a mix even if all agents have one learner, so that a
  /// match-up of learners shares launches. So is a cell whose measures have to be taken step by
  /// step.
  CellReader(Experiment& experiment, bool agentwise)
      : experiment_(experiment),
        agentwise_(agentwise),
        env_names_(env_names()),
        learner_names_(learner_names()) {}

  /// `shared`: null where nothing is kept.
  ExperimentCell read_cell(Config& config, const CommonSettings& common, SharedParts* shared);

 private:
  using Pairs = std::vector<const PairModel*>;

  template <class T, class Make>
  static std::shared_ptr<T> part(SharedParts* shared, const void* tag,
                                 std::initializer_list<std::string_view> tables, const Make& make) {
    return shared == nullptr ? make() : shared->get<T>(tag, tables, make);
  }
  const Pairs& pairs(const std::string& env, const std::string& learner) {
    const auto [at, fresh] = pairs_.try_emplace({env, learner});
    if (fresh) at->second = pairs_of(env, learner);
    return at->second;
  }
  /// The tables of the experiment in a folder; none for "". Throws IoError.
  const TrainedTables& trained(const std::string& from) {
    const TrainedTables*& tables = trained_[from];
    if (tables == nullptr) {
      auto loaded = std::make_unique<TrainedTables>();
      if (!from.empty()) *loaded = load_tables(from);
      tables = experiment_.trained.emplace_back(std::move(loaded)).get();
    }
    return *tables;
  }
  static int most_actions(Config& config, EnvPart& env);

  Experiment& experiment_;
  bool agentwise_;
  std::vector<std::string> env_names_, learner_names_;
  std::map<std::pair<std::string, std::string>, Pairs> pairs_;
  std::map<std::string, const TrainedTables*> trained_;
};

int CellReader::most_actions(Config& config, EnvPart& env) {
  if (env.most_actions == 0) {
    try {
      const std::vector<int> actions = env.model->actions(*env.settings);
      env.most_actions = *std::max_element(actions.begin(), actions.end());
    } catch (const ParameterError& error) {
      throw config.locate("env", error);
    }
  }
  return env.most_actions;
}

ExperimentCell CellReader::read_cell(Config& config, const CommonSettings& common,
                                     SharedParts* shared) {
  const auto env = part<EnvPart>(shared, &env_names_, {"env"}, [&] {
    auto made = std::make_shared<EnvPart>();
    made->model = &env_named(config.take_name("env", env_names_));
    made->settings = made->model->settings();
    read(config, "env", [&](FieldVisitor& v) { made->settings->fields(v); });
    return made;
  });
  const std::string env_name = env->model->facts().name;

  const int learners = std::max(1, config.count("learner"));
  std::vector<std::string> tables;
  std::vector<std::string> names;
  for (int i = 0; i < learners; ++i) {
    tables.push_back(learner_table(config, i));
    names.push_back(config.take_name(tables.back(), learner_names_));
    if (pairs(env_name, names.back()).empty()) {
      throw config.error(tables.back() + ".name", names.back() +
                                                      " learns for all agents together, and " +
                                                      env_name + " has too many of them");
    }
  }
  const bool mixed = agentwise_ || common.measures ||
                     std::any_of(names.begin(), names.end(),
                                 [&](const std::string& name) { return name != names[0]; });

  // `problem` makes the problem from everybody's settings, as the models at hand do it.
  const auto build = [&](const auto& settings_of, const auto& problem) {
    std::vector<std::shared_ptr<Settings>> owned;
    std::vector<const Settings*> settings;
    const TrainedTables* start = nullptr;
    for (int i = 0; i < learners; ++i) {
      const std::string& at = tables[static_cast<size_t>(i)];
      const auto [made, from] = settings_of(static_cast<size_t>(i), [&](Settings& fresh) {
        read(config, at, [&](FieldVisitor& v) { fresh.fields(v); });
      });
      owned.push_back(made);
      settings.push_back(made.get());
      if (!from.empty() && start == nullptr) {
        try {
          start = &trained(from);
        } catch (const IoError& error) {
          throw config.error(at + ".init.from", error.what());
        }
      }
    }
    if (start == nullptr) start = &trained("");
    int agent = -1;
    try {
      const Stop stop{static_cast<uint64_t>(common.stable_periods),
                      static_cast<uint64_t>(common.max_steps)};
      const Evaluation evaluation{static_cast<uint32_t>(common.episodes),
                                  static_cast<uint32_t>(common.steps),
                                  static_cast<uint32_t>(common.points), common.measures};
      return problem(settings, stop, evaluation, *start, agent);
    } catch (const ParameterError& error) {
      if (agent == kStopInError) throw config.locate("stop", error);
      if (agent == kEvaluationInError) throw config.locate("evaluation", error);
      throw config.locate(agent < 0 ? "env" : tables[static_cast<size_t>(agent)], error);
    }
  };

  ExperimentCell cell;
  for (size_t i = 0; i < names.size() && mixed; ++i) {
    if (pairs(env_name, names[i]).front()->joint()) {
      throw config.error(tables[i] + ".name",
                         names[i] +
                             " learns for all agents together and cannot be one agent's "
                             "among others'");
    }
  }
  if (mixed) {
    const MixModel& mix = mix_model(env_name);
    std::vector<int> kinds;
    for (size_t i = 0; i < names.size(); ++i) {
      kinds.push_back(learner_kind(names[i]));
      if (*pairs(env_name, names[i]).front()->table() == '\0') continue;
      Choice table;
      read_table(config, tables[i], table);
      if (table.value != kAutoTable && table.value != kFloat64Table) {
        throw config.error(tables[i] + ".table",
                           "must be \"float64\" or \"auto\" where agents have different learners, "
                           "or with evaluation.measures");
      }
    }
    cell.pair = &mix;
    cell.problem = build(
        [&](size_t i, const auto& read_fields) {
          const LearnerEntry& entry = learner_entries()[static_cast<size_t>(kinds[i])];
          auto made = part<Settings>(shared, &entry, {tables[i]}, [&] {
            std::shared_ptr<Settings> fresh = entry.settings();
            read_fields(*fresh);
            return fresh;
          });
          std::string from = entry.trained_from(made->config().get());
          return std::pair(std::move(made), std::move(from));
        },
        [&](const auto& settings, Stop stop, Evaluation evaluation, const TrainedTables& start,
            int& agent) {
          return mix.mix(*env->settings, kinds, settings, stop, evaluation, start, agent);
        });
    return cell;
  }

  const Pairs& known = pairs(env_name, names[0]);
  const auto build_pair = [&](const PairModel& pair) {
    cell.pair = &pair;
    cell.problem = build(
        [&](size_t i, const auto& read_fields) {
          auto made = part<Settings>(shared, &pair, {tables[i]}, [&] {
            std::shared_ptr<Settings> fresh = pair.learner_settings();
            read_fields(*fresh);
            return fresh;
          });
          std::string from = pair.trained_from(*made);
          return std::pair(std::move(made), std::move(from));
        },
        [&](const auto& settings, Stop stop, Evaluation evaluation, const TrainedTables& start,
            int& agent) {
          return pair.problem(*env->settings, settings, stop, evaluation, start, agent);
        });
  };
  if (*known.front()->table() == '\0') {
    build_pair(*known.front());
    return cell;
  }
  Choice table;
  for (int i = 0; i < learners; ++i) {
    const std::string& at = tables[static_cast<size_t>(i)];
    Choice mine;
    read_table(config, at, mine);
    if (i == 0) table = mine;
    if (mine.value != table.value) {
      throw config.error(at + ".table", "all agents must use one table type");
    }
  }
  std::string type = kTableNames[table.value];
  if (table.value == kAutoTable) {
    const bool small = env->model->facts().family == Family::pricing &&
                       most_actions(config, *env) <= kMostFixed28Actions;
    type = small ? "fixed28" : "float32";
  }
  build_pair(*pair_with_table(known, type));
  return cell;
}

/// The configuration that a request names, with what the command line sets.
Config load_config(const RunRequest& request) {
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
  return config;
}

CommonSettings read_common(Config& config) {
  CommonSettings common;
  read(config, "experiment", [&](FieldVisitor& v) { common.experiment_fields(v); });
  read(config, "stop", [&](FieldVisitor& v) { common.stop_fields(v); });
  read(config, "evaluation", [&](FieldVisitor& v) { common.evaluation_fields(v); });
  return common;
}

/// Reads the cells of a sweep. Pre: the configuration itself has been read.
class SweepReader {
 public:
  SweepReader(const Config& config, const CommonSettings& common, Experiment& experiment)
      : config_(config),
        cell_config_(config),
        common_(common),
        sweep_(config.sweep()),
        cells_(experiment, is_matchup(sweep_)),
        shared_(config, sweep_) {}

  int64_t size() const { return sweep_.size(); }

  ExperimentCell read_cell(int64_t i) {
    const SweepCell set = sweep_.cell(i);
    std::vector<int64_t> places = sweep_.places(i);
    std::vector<int64_t> names;
    for (std::size_t a = 0; a < places.size(); ++a) {
      if (sweep_.axes()[a].key().ends_with(".name")) names.push_back(places[a]);
    }
    // Which keys there are depends on the names alone, so that one cell of each kind is read in
    // full, down to keys that nobody knows. So is one with an error, for the sake of the message.
    ExperimentCell cell;
    if (known_.insert(std::move(names)).second) {
      cell = read_in_full(set);
    } else {
      try {
        cell_config_.replace(set);
        shared_.move_to(std::move(places));
        const auto common =
            shared_.get<CommonSettings>(&common_, {"experiment", "stop", "evaluation"}, [&] {
              return std::make_shared<CommonSettings>(read_common(cell_config_));
            });
        check(*common);
        cell = cells_.read_cell(cell_config_, *common, &shared_);
      } catch (const ConfigError&) {
        cell = read_in_full(set);
      }
    }
    cell.set = set;
    return cell;
  }

 private:
  static bool is_matchup(const Sweep& sweep) {
    return std::any_of(sweep.axes().begin(), sweep.axes().end(), [](const auto& axis) {
      return axis.key().starts_with("learner") && axis.key().ends_with(".name");
    });
  }
  void check(const CommonSettings& common) const {
    if (common.runs != common_.runs || common.seed != common_.seed) {
      throw config_.error("experiment", "runs and seed are one for all cells of a sweep");
    }
  }
  ExperimentCell read_in_full(const SweepCell& set) {
    Config one = config_.with(set);
    const CommonSettings common = read_common(one);
    check(common);
    ExperimentCell cell = cells_.read_cell(one, common, nullptr);
    one.reject_unknown(kTables);
    return cell;
  }

  const Config& config_;
  Config cell_config_;  ///< with the last cell's values
  CommonSettings common_;
  Sweep sweep_;
  CellReader cells_;
  SharedParts shared_;
  std::set<std::vector<int64_t>> known_;
};

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
    "moments of the run at which strategies are judged (matrix games without memory) or "
    "`episodes` episodes are played (joint learners, episodic games); 0: none");
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

bool saves_tables(const RunRequest& request) {
  Config config = load_config(request);
  return read_common(config).save_tables;
}

Experiment read_experiment(const RunRequest& request) {
  Config config = load_config(request);
  Experiment experiment;
  const CommonSettings common = read_common(config);
  experiment.name = common.name;
  experiment.runs = common.runs;
  experiment.seed = common.seed;
  experiment.save_tables = common.save_tables;
  experiment.cells.push_back(CellReader(experiment, false).read_cell(config, common, nullptr));
  config.reject_unknown(kTables);
  experiment.resolved = config.to_toml();
  experiment.canonical = config.to_json().dump();
  experiment.watched = common.stable_periods > 0;
  if (!config.has_sweep()) return experiment;

  SweepReader reader(config, common, experiment);
  experiment.cells.clear();
  experiment.cells.reserve(static_cast<size_t>(reader.size()));
  for (int64_t i = 0; i < reader.size(); ++i) experiment.cells.push_back(reader.read_cell(i));
  return experiment;
}

}  // namespace cumarl
