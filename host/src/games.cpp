#include "host/src/games.hpp"

#include <algorithm>

#include "cumarl/error.hpp"
#include "host/src/config.hpp"
#include "host/src/doctor.hpp"
#include "host/src/experiment.hpp"
#include "host/src/model.hpp"

namespace cumarl {

NormalFormGame find_game(const std::string& what, const std::vector<std::string>& sets) {
  if (what.ends_with(".nfg")) {
    if (!sets.empty()) {
      throw ConfigError({.key = "--set", .value = sets.front(), .why = "a file has no settings"});
    }
    return load_nfg(what);
  }
  std::vector<std::string> known;
  for (const auto& [name, text] : game_names()) known.push_back(name);
  const bool named = std::find(known.begin(), known.end(), what) != known.end();
  const EnvModel* model = nullptr;
  for (const EnvModel* one : env_models()) {
    const std::string name = one->facts().name;
    if (name == (named ? "matrix_game" : what)) model = one;
    if (one->facts().family == Family::matrix && name != "matrix_game") known.push_back(name);
  }
  if (model == nullptr) {
    throw ConfigError({.key = "solve",
                       .value = what,
                       .why = "no such game (`cumarl list games`), matrix environment or .nfg file",
                       .nearest = nearest_name(what, known)});
  }
  Config config = Config::from_text("[env]\nname = \"" + std::string(model->facts().name) + "\"\n" +
                                        (named ? "game = \"" + what + "\"\n" : ""),
                                    "solve " + what);
  for (const std::string& assignment : sets) config.set(assignment);
  config.take_name("env", env_names());
  auto settings = model->settings();
  read(config, "env", [&](FieldVisitor& v) { settings->fields(v); });
  config.reject_unknown({"env"});
  try {
    std::vector<int> actions;
    std::vector<double> payoffs = model->payoff_table(*settings, actions);
    if (payoffs.empty()) {
      throw ParameterError("name", "this game has no single payoff table to solve");
    }
    return make_game(what, actions, std::move(payoffs));
  } catch (const ParameterError& error) {
    throw config.locate("env", error);
  }
}

}  // namespace cumarl
