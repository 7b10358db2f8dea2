/// \file
/// How an environment or a learner states its parameters: once, for parsing, checking,
/// `cumarl describe` and the resolved config alike. Host only.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace cumarl {

/// Closed interval of allowed values.
struct Bounds {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
};

/// A value that the configuration rejects. `key` is relative to its table ("alpha",
/// "exploration.start"); the configuration reader adds the table's path, the file and the line.
class ParameterError : public std::invalid_argument {
 public:
  ParameterError(std::string key, const std::string& why)
      : std::invalid_argument(key + ": " + why), key_(std::move(key)), why_(why) {}
  const std::string& key() const { return key_; }
  const std::string& why() const { return why_; }

 private:
  std::string key_;
  std::string why_;
};

/// Nested lists of numbers of one shape (payoff tables), row-major.
struct Tensor {
  std::vector<double> values;
  std::vector<int> shape;
  bool empty() const { return values.empty(); }
};

/// One of a fixed list of names; `value` is its position.
struct Choice {
  int value = 0;
  operator int() const { return value; }  // NOLINT(google-explicit-constructor)
};

/// The interface of a parameter visitor. A component writes
///
///     template <class Visitor> static void fields(Visitor& v, Config& c) {
///       v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate");
///       v.choice("kind", c.kind, {"a", "b"}, "which one");
///     }
///
/// and every tool (reader, describer, dumper) is one implementation of this class.
/// Keys with a dot ("exploration.start") live in a sub-table. Units: "" for pure numbers.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  virtual void operator()(const char* key, int& value, Bounds bounds, const char* unit,
                          const char* text) = 0;
  virtual void operator()(const char* key, int64_t& value, Bounds bounds, const char* unit,
                          const char* text) = 0;
  virtual void operator()(const char* key, double& value, Bounds bounds, const char* unit,
                          const char* text) = 0;
  virtual void operator()(const char* key, bool& value, const char* text) = 0;
  virtual void operator()(const char* key, std::string& value, const char* text) = 0;
  /// One number for all agents, or a list with one number an agent.
  virtual void operator()(const char* key, std::vector<double>& value, Bounds bounds,
                          const char* unit, const char* text) = 0;
  virtual void operator()(const char* key, std::vector<int>& value, Bounds bounds, const char* unit,
                          const char* text) = 0;
  virtual void operator()(const char* key, Tensor& value, const char* unit, const char* text) = 0;
  virtual void choice(const char* key, Choice& value, std::initializer_list<const char*> names,
                      const char* text) = 0;
};

}  // namespace cumarl
