/// \file
/// The settings of environments and learners without their types, and the list of learners.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/core/learner.hpp"

namespace cumarl {

/// A component's Config struct, to be filled by FieldVisitors.
class Settings {
 public:
  virtual ~Settings() = default;
  virtual void fields(FieldVisitor& v) = 0;
  /// A copy of the Config struct.
  virtual std::shared_ptr<const void> config() const = 0;
};

/// Settings of a component `Owner`.
template <class ConfigT, class Owner>
class SettingsOf final : public Settings {
 public:
  ConfigT values{};
  void fields(FieldVisitor& v) override { Owner::fields(v, values); }
  std::shared_ptr<const void> config() const override { return std::make_shared<ConfigT>(values); }
};

/// InitConfig::from of a Config struct where it is to be used, else "".
template <class ConfigT>
std::string trained_from(const ConfigT& config) {
  if constexpr (requires { config.init; }) {
    if (config.init.kind.value == static_cast<int>(InitKind::trained)) return config.init.from;
  }
  return "";
}

/// A learner as one agent's among others'; its place in learner_entries() is its kind.
struct LearnerEntry {
  LearnerFacts facts;
  bool learns;  ///< it is no scripted player
  std::unique_ptr<Settings> (*settings)();
  /// trained_from() of its Config struct.
  std::string (*trained_from)(const void* config);
};

/// Every learner, in the order of learners.def.
const std::vector<LearnerEntry>& learner_entries();

}  // namespace cumarl
