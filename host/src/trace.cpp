#include "host/src/trace.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "cumarl/error.hpp"
#include "host/src/config.hpp"
#include "host/src/experiment.hpp"
#include "host/src/model.hpp"
#include "host/src/plot.hpp"
#include "host/src/render.hpp"

namespace cumarl {
namespace {

using Json = nlohmann::ordered_json;

class StatePrinter final : public StateVisitor {
 public:
  void operator()(const char* key, int64_t* values, int count) override {
    if (count == 1) {
      out[key] = values[0];
    } else {
      out[key] = std::vector<int64_t>(values, values + count);
    }
  }
  Json out = Json::object();
};

/// Overwrites a state with the values of a JSON object; every key must be there with its length.
class StateReader final : public StateVisitor {
 public:
  StateReader(const Json& in, std::string file) : in_(in), file_(std::move(file)) {}
  void operator()(const char* key, int64_t* values, int count) override {
    if (!in_.contains(key)) fail(key, "is missing from the state");
    const Json& given = in_[key];
    const Json list = given.is_array() ? given : Json::array({given});
    if (list.size() != static_cast<size_t>(count)) {
      fail(key,
           "must have " + std::to_string(count) + " values, not " + std::to_string(list.size()));
    }
    for (int i = 0; i < count; ++i) {
      if (!list[static_cast<size_t>(i)].is_number_integer()) fail(key, "must be whole numbers");
      values[i] = list[static_cast<size_t>(i)].get<int64_t>();
    }
  }

 private:
  [[noreturn]] void fail(const char* key, const std::string& why) const {
    throw ConfigError({.source = file_, .key = key, .why = why});
  }
  const Json& in_;
  std::string file_;
};

std::string slurp(const std::string& path) {
  std::error_code ignored;
  std::ifstream file(path);
  if (!file || std::filesystem::is_directory(path, ignored))
    throw ConfigError({.source = path, .why = "cannot be read"});
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) throw ConfigError({.source = path, .why = "cannot be read"});
  return text;
}

void read_state(const std::string& path, EnvPlay& play) {
  const std::string text = slurp(path);
  const Json first = Json::parse(text.substr(0, text.find('\n')), nullptr, false);
  const Json whole = first.is_discarded() ? Json::parse(text, nullptr, false) : first;
  if (!whole.is_object())
    throw ConfigError({.source = path, .line = 1, .why = "is no JSON object"});
  const Json& state = whole.contains("state") ? whole["state"] : whole;
  StateReader reader(state, path);
  try {
    play.state(reader);
  } catch (const ParameterError& error) {
    throw ConfigError({.source = path, .key = error.key(), .why = error.why()});
  }
}

/// Joint actions from a file, checked against the environment.
std::vector<std::vector<int>> read_actions(const std::string& path, const EnvPlay& play) {
  std::vector<std::vector<int>> actions;
  std::istringstream file(slurp(path));
  int line = 0;
  for (std::string text; std::getline(file, text);) {
    ++line;
    if (text.empty()) continue;
    std::vector<int> joint;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at <= end) {
      while (at < end && *at == ' ') ++at;
      int action = 0;
      const auto [after, error] = std::from_chars(at, end, action);
      const auto agent = static_cast<int>(joint.size());
      if (error != std::errc{} || agent >= play.agents() || action < 0 ||
          action >= play.actions(agent)) {
        throw ConfigError({.source = path,
                           .line = line,
                           .why = agent >= play.agents()
                                      ? "more than " + std::to_string(play.agents()) + " actions"
                                      : "action " + std::to_string(agent) +
                                            " must be a whole number from 0 to " +
                                            std::to_string(play.actions(agent) - 1)});
      }
      joint.push_back(action);
      at = after;
      while (at < end && (*at == ' ' || *at == '\r')) ++at;
      if (at == end) break;
      if (*at++ != ',')
        throw ConfigError({.source = path, .line = line, .why = "expected a comma"});
    }
    if (joint.size() != static_cast<size_t>(play.agents())) {
      throw ConfigError({.source = path,
                         .line = line,
                         .why = "must have one action an agent, " + std::to_string(play.agents())});
    }
    actions.push_back(std::move(joint));
  }
  return actions;
}

Json state_json(EnvPlay& play) {
  StatePrinter printer;
  play.state(printer);
  return printer.out;
}

Json observations_json(const EnvPlay& play) {
  Json all = Json::array();
  for (int i = 0; i < play.agents(); ++i) all.push_back(play.observation(i));
  return all;
}

/// The environment in play, and what its agents do: a script, learnt tables or random actions.
class Player {
 public:
  explicit Player(const TraceRequest& request) : key_{request.seed, 0}, steps_(request.steps) {
    Config config = Config::from_text("", "command line");
    config.set("env.name", {request.env}, "trace " + request.env);
    for (const std::string& assignment : request.sets) config.set(assignment);
    const std::string name = config.take_name("env", env_names());
    for (const EnvModel* one : env_models()) {
      if (name == one->facts().name) model_ = one;
    }
    const auto settings = model_->settings();
    if (request.policy != "random") read_folder(request.policy, name, *settings);
    read(config, "env", [&](FieldVisitor& v) { settings->fields(v); });
    config.reject_unknown({"env"});
    try {
      play_ = model_->play(*settings);
    } catch (const ParameterError& error) {
      throw config.locate("env", error);
    }
    if (request.policy != "random") read_tables(request.policy);

    const auto agents = static_cast<size_t>(play_->agents());
    actions.resize(agents);
    rewards.resize(agents);
    play_->reset(key_, 0);
    if (!request.state_file.empty()) read_state(request.state_file, *play_);
    if (!request.actions_file.empty()) {
      script_ = read_actions(request.actions_file, *play_);
      steps_ = std::min(steps_, static_cast<int64_t>(script_.size()));
    }
  }

  const EnvModel& model() const { return *model_; }
  EnvPlay& env() { return *play_; }
  /// How many joint steps there are to play.
  int64_t steps() const { return steps_; }

  /// Joint step t; leaves what was done and paid in `actions` and `rewards`.
  Episode step(int64_t t) {
    const auto now = static_cast<uint64_t>(t);
    if (!script_.empty()) {
      actions = script_[static_cast<size_t>(t)];
    } else if (!tables_.empty()) {
      choose_best();
    } else {
      Rng rng(key_, now, Stream::explore);
      for (int i = 0; i < play_->agents(); ++i) {
        actions[static_cast<size_t>(i)] =
            static_cast<int>(rng.below(static_cast<uint32_t>(play_->actions(i))));
      }
    }
    return play_->step(key_, now, actions, rewards);
  }
  /// Joint step t with `actions` as they are. Pre: they have been set.
  Episode play(int64_t t) { return play_->step(key_, static_cast<uint64_t>(t), actions, rewards); }
  /// Puts the best entry of everybody's row into `actions`, the lowest action of equals. Pre: the
  /// policy is a folder.
  void choose_best() {
    size_t table = 0;
    for (int i = 0; i < play_->agents(); ++i) {
      const auto count = static_cast<size_t>(play_->actions(i));
      const auto row =
          tables_.begin() + static_cast<ptrdiff_t>(table + play_->observation_index(i) * count);
      const auto best = std::max_element(row, row + static_cast<ptrdiff_t>(count));
      actions[static_cast<size_t>(i)] = static_cast<int>(best - row);
      table += play_->observations(i) * count;
    }
  }
  /// The next episode, after joint step t ended one.
  void next_episode(int64_t t) { play_->reset(key_, static_cast<uint64_t>(t) + 1); }

  std::vector<int> actions;
  std::vector<float> rewards;

 private:
  /// The environment's settings of a finished experiment.
  static void read_folder(const std::string& folder, const std::string& name, Settings& settings) {
    std::error_code ignored;
    if (!std::filesystem::exists(folder + "/config.toml", ignored)) {
      throw ConfigError({.source = "--policy " + folder,
                         .why = "must be \"random\" or the folder of an experiment's results"});
    }
    Config config = Config::from_file(folder + "/config.toml");
    const std::string trained_on = config.take_name("env", env_names());
    if (trained_on != name) {
      throw config.error("env.name", "the policies in " + folder + " are not for " + name);
    }
    read(config, "env", [&](FieldVisitor& v) { settings.fields(v); });
  }

  /// The tables of the experiment's first run.
  void read_tables(const std::string& folder) {
    TrainedTables trained;
    try {
      trained = load_tables(folder);
    } catch (const IoError& error) {
      throw ConfigError({.source = "--policy " + folder, .why = error.what()});
    }
    size_t entries = 0;
    for (int i = 0; i < play_->agents(); ++i) {
      entries += size_t{play_->observations(i)} * static_cast<size_t>(play_->actions(i));
    }
    if (trained.runs == 0 || trained.values.size() != trained.runs * entries || entries == 0) {
      throw ConfigError({.source = "--policy " + folder,
                         .why = "holds tables of another shape than this environment's"});
    }
    tables_.assign(trained.values.begin(),
                   trained.values.begin() + static_cast<ptrdiff_t>(entries));
  }

  RunKey key_;
  int64_t steps_;
  const EnvModel* model_ = nullptr;
  std::unique_ptr<EnvPlay> play_;
  std::vector<std::vector<int>> script_;
  std::vector<double> tables_;  // [agents][observations][actions]
};

bool stopped(const InterruptFlag* interrupt) { return interrupt != nullptr && *interrupt; }

/// Refuses an environment without a picture.
void expect_picture(const TraceRequest& request, const EnvModel& model) {
  if (model.has_picture()) return;
  std::string names;
  for (const EnvModel* one : env_models()) {
    if (one->has_picture()) names += (names.empty() ? "" : ", ") + std::string(one->facts().name);
  }
  throw ConfigError(
      {.source = "trace " + request.env,
       .why = "has no picture; environments with one: " + (names.empty() ? "none" : names)});
}

Cast cast_of(Player& player) {
  const EnvFacts& facts = player.model().facts();
  int most = 0;
  for (int i = 0; i < player.env().agents(); ++i) most = std::max(most, player.env().actions(i));
  return {facts.name, player.env().agents(), action_names(facts.actions, most)};
}

/// Plays one episode and shows each frame, until `show` says false.
void play_episode(Player& player, const std::function<bool(Frame)>& show) {
  bool on = show({-1, player.env().picture(), {}, {}});
  for (int64_t t = 0; on && t < player.steps(); ++t) {
    const Episode episode = player.step(t);
    on = show({t, player.env().picture(), player.actions, player.rewards}) &&
         episode == Episode::goes_on;
  }
}

/// The frames of a picture. `option`: what errors are about.
std::vector<Frame> svg_frames(Player& player, const TraceRequest& request,
                              const std::string& option, const InterruptFlag* interrupt) {
  expect_picture(request, player.model());
  std::vector<Frame> frames;
  play_episode(player, [&](Frame frame) {
    if (frame.t >= kMostSvgSteps) {
      throw ConfigError({.source = option,
                         .why = "the episode is longer than the " + std::to_string(kMostSvgSteps) +
                                " joint steps of a picture; ask for fewer with --steps"});
    }
    frames.push_back(std::move(frame));
    return !stopped(interrupt);
  });
  return frames;
}

}  // namespace

void trace(const TraceRequest& request, std::ostream& out, const InterruptFlag* interrupt) {
  Player player(request);
  EnvPlay& play = player.env();
  out << Json{{"t", 0}, {"state", state_json(play)}, {"observations", observations_json(play)}}
             .dump()
      << '\n';
  for (int64_t t = 0; t < player.steps() && !stopped(interrupt); ++t) {
    const Episode episode = player.step(t);
    Json line{{"t", t},
              {"actions", player.actions},
              {"rewards", player.rewards},
              {"done", episode != Episode::goes_on},
              {"state", state_json(play)},
              {"observations", observations_json(play)}};
    if (episode != Episode::goes_on) {
      player.next_episode(t);
      line["next_state"] = state_json(play);
    }
    out << line.dump() << '\n';
  }
}

void render(const TraceRequest& request, const Screen& screen, std::ostream& out,
            const InterruptFlag* interrupt) {
  Player player(request);
  expect_picture(request, player.model());
  const Cast cast = cast_of(player);
  const auto frame_time = std::chrono::duration<double>(1.0 / request.fps);
  const auto begin = std::chrono::steady_clock::now();
  int64_t frames = 0;
  play_episode(player, [&](const Frame& frame) {
    const std::string text = to_text(cast, frame, screen.color);
    const auto lines = std::count(text.begin(), text.end(), '\n');
    if (frames > 0) {
      if (lines < screen.rows) {
        out << "\033[" << lines << 'A';
      } else {
        out << '\n';
      }
    }
    for (const char c : text) {
      if (c == '\n' && screen.rows > 0) out << "\033[K";
      out << c;
    }
    out.flush();
    ++frames;
    while (screen.rows > 0 && !stopped(interrupt)) {
      const auto left =
          begin + frame_time * static_cast<double>(frames) - std::chrono::steady_clock::now();
      if (left <= std::chrono::seconds(0)) break;
      std::this_thread::sleep_for(
          std::min<std::chrono::duration<double>>(left, std::chrono::milliseconds(50)));
    }
    return out.good() && !stopped(interrupt);
  });
}

int64_t write_svg(const TraceRequest& request, const std::string& path,
                  const InterruptFlag* interrupt) {
  namespace fs = std::filesystem;
  const std::string option = "--svg " + path;
  std::error_code error;
  if (path.empty() || path.back() == '/' || fs::is_directory(path, error))
    throw ConfigError({.source = option, .why = "must be a file, not a folder"});
  Player player(request);
  const std::vector<Frame> frames = svg_frames(player, request, option, interrupt);
  if (stopped(interrupt)) return 0;
  try {
    write_picture(to_svg(cast_of(player), frames, request.fps), path);
  } catch (const IoError& failure) {
    fs::remove(path + ".partial", error);
    throw ConfigError(
        {.source = option, .why = std::string("cannot be written: ") + failure.what()});
  }
  return static_cast<int64_t>(frames.size());
}

std::string episode_svg(const TraceRequest& request) {
  Player player(request);
  const std::vector<Frame> frames = svg_frames(player, request, "trace " + request.env, nullptr);
  return to_svg(cast_of(player), frames, request.fps);
}

Cast visit_states(const TraceRequest& request, double explore,
                  const std::function<void(const Picture&, const std::vector<int>& best)>& visit) {
  Player player(request);
  expect_picture(request, player.model());
  const auto threshold = static_cast<uint64_t>(explore * 4294967296.0);  // of 32 random bits
  for (int64_t t = 0; t < player.steps(); ++t) {
    player.choose_best();
    visit(player.env().picture(), player.actions);
    Rng rng({request.seed, 0}, static_cast<uint64_t>(t), Stream::explore);
    for (int i = 0; i < player.env().agents(); ++i) {
      if (rng.word() >= threshold) continue;
      player.actions[static_cast<size_t>(i)] =
          static_cast<int>(rng.below(static_cast<uint32_t>(player.env().actions(i))));
    }
    if (player.play(t) != Episode::goes_on) player.next_episode(t);
  }
  return cast_of(player);
}

}  // namespace cumarl
