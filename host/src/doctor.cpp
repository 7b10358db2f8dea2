#include "host/src/doctor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "envs/matrix_game.hpp"
#include "host/src/executor.hpp"
#include "host/src/experiment.hpp"
#include "host/src/kernel_choice.hpp"

namespace cumarl {
namespace {

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

}  // namespace

const char* version() { return CUMARL_VERSION; }

std::string doctor_json() {
  const auto cpu = make_executor("cpu", 0);
  return nlohmann::ordered_json{{"version", version()},
                                {"compiler", __VERSION__},
                                {"cpu", cpu_model()},
                                {"cpu_kernels", cpu_variant_name()},
                                {"threads", std::thread::hardware_concurrency()},
                                {"free_memory", cpu->free_memory()},
                                {"cuda", cuda_description()},
                                {"devices", present_devices()}}
             .dump() +
         "\n";
}

std::string doctor_text() {
  const auto cpu = make_executor("cpu", 0);
  std::string text = fmt::format("cumarl {}, compiled with {}\n", version(), __VERSION__);
  text +=
      fmt::format("cpu       {}, {} threads\n", cpu_model(), std::thread::hardware_concurrency());
  text += fmt::format("kernels   {}{}\n", cpu_variant_name(),
                      cpu_variant() == CpuVariant::x86_64_v4
                          ? ""
                          : " (the fastest need AVX-512: F, BW, CD, DQ and VL)");
  text += fmt::format("memory    {:.1f} GiB free\n",
                      static_cast<double>(cpu->free_memory()) / (1 << 30));
  for (const std::string& line : cuda_description()) text += "cuda      " + line + "\n";
  text += fmt::format("devices   {}\n", fmt::join(present_devices(), ", "));
  if (cuda_device_count() == 0) {
    text +=
        "missing   a CUDA device: needs an NVIDIA GPU (compute capability 7.5 or newer), its "
        "driver, and a build with nvcc on PATH (cmake --preset cuda)\n";
  }
  return text;
}

Description describe_component(const std::string& name) {
  Description d;
  std::string small;
  const auto finish = [&d](Settings& settings) {
    d.fields = describe([&](FieldVisitor& v) { settings.fields(v); });
  };
  for (const EnvModel* model : env_models()) {
    const EnvFacts& facts = model->facts();
    if (name != facts.name) continue;
    d = {facts.name,    "environment",      facts.title, facts.source,
         facts.actions, facts.observations, {},          {}};
    finish(*model->settings());
    small = facts.small;
  }
  for (const PairModel* model : pair_models()) {
    const LearnerFacts& facts = model->learner();
    if (name != facts.name || !d.name.empty()) continue;
    d = {facts.name, "learner", facts.title, facts.source, "", "", {}, {}};
    finish(*model->learner_settings());
    if (*model->table() != '\0') {
      Choice table;
      const auto more = describe([&](FieldVisitor& v) {
        v.choice("table", table, {"auto", "fixed28", "float32", "float64"},
                 "number type of the table");
      });
      d.fields.insert(d.fields.end(), more.begin(), more.end());
    }
  }
  if (d.name.empty()) {
    std::vector<std::string> names = env_names();
    const auto learners = learner_names();
    names.insert(names.end(), learners.begin(), learners.end());
    throw ConfigError(
        {.key = "describe",
         .value = name,
         .why = "no such environment or learner (`cumarl list envs`, `list learners`)",
         .nearest = nearest_name(name, names)});
  }
  d.json = {{"name", d.name}, {"kind", d.kind}, {"title", d.title}, {"source", d.source}};
  if (!d.actions.empty()) {
    d.json["actions"] = d.actions;
    d.json["observations"] = d.observations;
    d.json["small"] = small;  // settings of a small instance, as TOML
  }
  d.json["parameters"] = nlohmann::ordered_json::array();
  for (const FieldInfo& f : d.fields) d.json["parameters"].push_back(to_json(f));
  return d;
}

std::vector<std::pair<std::string, std::string>> game_names() {
  std::vector<std::pair<std::string, std::string>> names;
  for (const NamedGame& game : named_games(-100)) {
    names.emplace_back(game.name, fmt::format("{} x {}{}", game.rows, game.columns,
                                              game.other.empty() ? "" : ", stochastic payoffs"));
  }
  return names;
}

}  // namespace cumarl
