/// \file
/// What is compiled in and what this machine has, for `cumarl doctor`, `list` and `describe`.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "host/src/config.hpp"

namespace cumarl {

/// "0.1.0"
const char* version();

/// CPU features and threads, memory, CUDA devices; what is missing and how to get it.
std::string doctor_text();
std::string doctor_json();

/// An environment or a learner, for people and as JSON.
struct Description {
  std::string name, kind, title, source, actions, observations;
  std::vector<FieldInfo> fields;
  nlohmann::ordered_json json;
};

/// Throws ConfigError for an unknown name, with the nearest one.
Description describe_component(const std::string& name);

/// The games of matrix_game: name and size.
std::vector<std::pair<std::string, std::string>> game_names();

}  // namespace cumarl
