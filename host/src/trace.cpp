#include "host/src/trace.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cumarl/error.hpp"
#include "host/src/config.hpp"
#include "host/src/experiment.hpp"
#include "host/src/model.hpp"

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

}  // namespace

void trace(const TraceRequest& request, std::ostream& out) {
  Config config = Config::from_text("", "command line");
  config.set("env.name", {request.env}, "trace " + request.env);
  for (const std::string& assignment : request.sets) config.set(assignment);
  const std::string name = config.take_name("env", env_names());
  const EnvModel* model = nullptr;
  for (const EnvModel* one : env_models()) {
    if (name == one->facts().name) model = one;
  }
  const auto settings = model->settings();
  read(config, "env", [&](FieldVisitor& v) { settings->fields(v); });
  config.reject_unknown({"env"});
  std::unique_ptr<EnvPlay> play;
  try {
    play = model->play(*settings);
  } catch (const ParameterError& error) {
    throw config.locate("env", error);
  }

  const RunKey key{request.seed, 0};
  play->reset(key, 0);
  if (!request.state_file.empty()) read_state(request.state_file, *play);
  std::vector<std::vector<int>> script;
  if (!request.actions_file.empty()) script = read_actions(request.actions_file, *play);
  const int64_t steps = request.actions_file.empty()
                            ? request.steps
                            : std::min(request.steps, static_cast<int64_t>(script.size()));

  out << Json{{"t", 0}, {"state", state_json(*play)}, {"observations", observations_json(*play)}}
             .dump()
      << '\n';
  std::vector<float> rewards(static_cast<size_t>(play->agents()));
  std::vector<int> actions(static_cast<size_t>(play->agents()));
  for (int64_t t = 0; t < steps; ++t) {
    const auto now = static_cast<uint64_t>(t);
    if (script.empty()) {
      Rng rng(key, now, Stream::explore);
      for (int i = 0; i < play->agents(); ++i) {
        actions[static_cast<size_t>(i)] =
            static_cast<int>(rng.below(static_cast<uint32_t>(play->actions(i))));
      }
    } else {
      actions = script[static_cast<size_t>(t)];
    }
    const Episode episode = play->step(key, now, actions, rewards);
    Json line{{"t", t},
              {"actions", actions},
              {"rewards", rewards},
              {"done", episode != Episode::goes_on},
              {"state", state_json(*play)},
              {"observations", observations_json(*play)}};
    if (episode != Episode::goes_on) {
      play->reset(key, now + 1);
      line["next_state"] = state_json(*play);
    }
    out << line.dump() << '\n';
  }
}

}  // namespace cumarl
