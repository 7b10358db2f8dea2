/// \file
/// The configuration: a tree of values from a TOML file, `--set` and the program, each of which
/// knows where it came from; the reader that fills a component's Config struct from it; and the
/// sweep. Everything wrong with a configuration is a ConfigError (cumarl/error.hpp).
///
///     Config config = Config::from_file("experiment.toml");
///     config.set("learner.alpha=0.1");
///     config.set("experiment.runs", {int64_t{1000}}, "--runs 1000");
///     const std::string env = config.take_name("env", registered_envs());
///     read(config, "env", [&](FieldVisitor& v) { Env::fields(v, env_config); });
///     config.reject_unknown({"experiment", "env", "learner", "stop"});
///     const Sweep sweep = config.sweep();
///
/// Keys are paths: "env.firms", "learner.exploration.start". Where the file has several
/// [[learner]] tables, "learner[1].alpha" and "learner.1.alpha" both mean the second one, and
/// "learner.alpha" means all of them where something is set or swept.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "cumarl/error.hpp"
#include "kernels/core/fields.hpp"

namespace cumarl {

/// Where a value came from: a line of a file, a command-line option, or the built-in default.
struct Origin {
  std::shared_ptr<const std::string> source;  ///< file or option; null for a default
  int line = 0;                               ///< 1-based; 0 where the source is no file

  /// "experiment.toml:12", "--set learner.alpha=0.1" or "default".
  std::string text() const;
};

struct ConfigEntry;

/// A node of the tree: a scalar, a list or a table. Table entries keep the order of the file.
struct ConfigValue {
  using List = std::vector<ConfigValue>;
  using Table = std::vector<ConfigEntry>;

  std::variant<bool, int64_t, double, std::string, List, Table> data;
  Origin origin = {};

  template <class T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
};

struct ConfigEntry {
  std::string key;
  ConfigValue value;
};

/// `value` as TOML text on one line, ASCII only; parses back to the same value, to the bit.
std::string to_text(const ConfigValue& value);
nlohmann::ordered_json to_json(const ConfigValue& value);

/// The one of `names` that `word` most likely means, "" where none is near. Sees swapped,
/// missing and wrong letters, wrong case, '-' for '_', and words cut short.
std::string nearest_name(std::string_view word, const std::vector<std::string>& names);

/// The address of a value, with the index into [[tables]] resolved.
struct ConfigPath {
  std::string table;              ///< top-level table: "learner"
  int index = -1;                 ///< which of several [[learner]] tables; -1 for a plain table
  std::vector<std::string> keys;  ///< the rest: {"exploration", "start"}

  /// "learner[1].exploration.start"; keys that are no bare words are quoted.
  std::string text() const;
};

/// Keys and values of one cell of a sweep.
using SweepCell = std::vector<std::pair<std::string, ConfigValue>>;

/// How the random axes of a sweep are drawn: the keys `samples`, `seed` and `design` of [sweep].
struct SweepDraws {
  int64_t samples = 0;           ///< draws an axis; 0: none are asked for
  uint64_t seed = 1;             ///< of the draws alone, not of the runs
  bool latin_hypercube = false;  ///< one draw in each of `samples` equal parts of every axis
};

/// What a swept key takes, where that is known.
enum class SweepNumbers { by_spelling, whole, real };

/// One key of a sweep with its values. Its forms:
///
///     [0.1, 0.2]                                   the values
///     { start, stop, step }                        start + i step, up to and including stop
///     { start, stop, count }                       count values, evenly spaced
///     { start, stop, count, scale = "log" }        the same for their logarithms
///     { random = [low, high] }                     draws between two numbers
///     { random = [low, high], scale = "log" }      the same for their logarithms
///     { random = ["a", "b"] }                      draws among values
///     { random = [2, 4, 8], scale = "choice" }     the same among numbers
///
/// Steps and even spacing are taken in decimal where the numbers are short decimals, so that the
/// values equal those written out by hand; the last value of steps never passes stop by more than
/// rounding. A key that takes whole numbers gets whole numbers: `count` rounds to the nearest, draws
/// are from low to high inclusive, with scale = "log" the whole part of a draw from [low, high + 1).
/// A draw is a function of the sweep's seed, the key and the number of the sample alone (Philox4x32,
/// kernels/core/rng.hpp), and the same on every machine.
/// Source of the design: McKay, Beckman, Conover 1979, section 2.1 (Latin hypercube sampling).
class SweepAxis {
 public:
  /// Throws ConfigError where `value` has none of these forms.
  SweepAxis(std::string key, const ConfigValue& value, const SweepDraws& draws = {},
            SweepNumbers numbers = SweepNumbers::by_spelling);

  const std::string& key() const { return key_; }
  const Origin& origin() const { return origin_; }
  int64_t size() const { return size_; }
  bool random() const { return form_ == Form::draws || form_ == Form::choices; }
  /// Value number i, 0 <= i < size().
  ConfigValue value(int64_t i) const;

 private:
  enum class Form { list, steps, spaced, choices, draws };
  using Parts = std::map<std::string, const ConfigValue*, std::less<>>;

  void set_steps(const ConfigValue& spec, const Parts& parts);
  void set_decimal_range(int64_t start, int64_t stop, int64_t step);
  void set_count(const ConfigValue& spec, const Parts& parts, SweepNumbers numbers);
  void set_random(const ConfigValue& spec, const Parts& parts, const SweepDraws& draws,
                  SweepNumbers numbers);
  void set_ends(const ConfigValue& spec, const ConfigValue& low, const ConfigValue& high,
                SweepNumbers numbers);
  void shuffle_parts();
  int64_t spaced_whole(int64_t i) const;
  double spaced_real(int64_t i) const;
  double unit(int64_t i) const;
  int64_t drawn_whole(double unit) const;
  double drawn_real(double unit) const;
  [[noreturn]] void fail(const ConfigValue& value, const std::string& why,
                         const std::string& nearest = {}) const;

  std::string key_;
  Origin origin_;
  Form form_ = Form::list;
  int64_t size_ = 0;
  ConfigValue::List list_;  ///< of list and choices
  bool whole_ = false;      ///< values are whole numbers
  bool log_ = false;
  // steps
  double scale_ = 0;  ///< > 0: value i is (first_ + i*step_) / scale_
  int64_t first_ = 0, step_ = 0;
  double start_ = 0, stride_ = 0;  ///< scale_ == 0: value i is start_ + i*stride_
  // spaced, draws
  double low_ = 0, high_ = 0;
  int64_t whole_low_ = 0, whole_high_ = 0;
  SweepDraws draws_;
  uint64_t name_hash_ = 0;
  std::vector<uint32_t> part_;  ///< Latin hypercube: which part of the axis sample i is drawn from
};

/// The cells of a [sweep] table: the product of its axes, where those of one group go together. All
/// random axes are one group, the slowest; the others go in the order of the file, last fastest.
class Sweep {
 public:
  static constexpr int64_t kMaxCells = 10'000'000;

  /// `groups`: positions in `axes` of those that take their i-th values together. Throws ConfigError
  /// where there are more than kMaxCells cells. Pre: axes of a group have one length, and no axis is
  /// random or in two groups.
  explicit Sweep(std::vector<SweepAxis> axes,
                 const std::vector<std::vector<std::size_t>>& groups = {});

  const std::vector<SweepAxis>& axes() const { return axes_; }
  /// Number of cells; 1 (with nothing set) where there are no axes.
  int64_t size() const { return size_; }
  /// Which value each axis has in cell number i, 0 <= i < size(). Shape: [axes].
  std::vector<int64_t> places(int64_t i) const;
  /// Cell number i, 0 <= i < size().
  SweepCell cell(int64_t i) const;

 private:
  struct Dimension {
    std::vector<std::size_t> axes;
    int64_t size;
  };
  std::vector<SweepAxis> axes_;
  std::vector<Dimension> dimensions_;  ///< slowest first
  int64_t size_ = 1;
};

/// A configuration and what has been read from it. All members that take a key throw ConfigError
/// where it is no path. Load, then set, then read, then reject_unknown and the rest.
class Config {
 public:
  static constexpr std::size_t kMaxFileBytes = std::size_t{16} << 20;

  /// Throws ConfigError where the file cannot be read, is larger than kMaxFileBytes, holds a byte
  /// outside of printable ASCII, or is not valid TOML.
  static Config from_file(const std::string& path);
  /// The same for text in memory; `name` is what messages call it.
  static Config from_text(std::string_view text, std::string name);

  /// One `--set`: "key.path=value". The value is TOML; a word that is no TOML value is a string.
  void set(std::string_view assignment);
  /// Sets a value from the program; `source` is the origin to show, such as "--runs 1000".
  void set(std::string_view key, ConfigValue value, const std::string& source);

  /// How many tables there are at `table`: 0, 1 for [learner], n for n [[learner]] tables.
  int count(std::string_view table) const;

  /// The `name` key of a table; marks it as read. Throws where it is missing, no string, or not
  /// one of `names` (empty `names`: anything goes).
  std::string take_name(std::string_view table, const std::vector<std::string>& names = {});

  /// Throws at the first key, in the order of the tree, that nobody has read, with the nearest
  /// one that somebody has. `tables`: the top-level tables that there may be.
  void reject_unknown(const std::vector<std::string>& tables) const;

  /// An error about `key` that carries its value and where it (or its table) was written.
  ConfigError error(std::string_view key, const std::string& why,
                    const std::string& nearest = {}) const;
  /// The same for what a component's make() threw; the component was read from `table`.
  ConfigError locate(std::string_view table, const ParameterError& cause) const;

  bool has_sweep() const { return !sweep_.empty(); }
  /// The sweep, checked against the keys that have been read so far. Bounds are checked when a
  /// cell is read. Throws ConfigError for a bad axis, a key that nobody reads, a key that two
  /// axes or an axis and the command line set, a bad `samples`, `seed`, `design` or `zip`, and too
  /// many cells.
  Sweep sweep() const;
  /// This configuration with a cell's values in place of the sweep; nothing has been read of it.
  Config with(const SweepCell& cell) const;
  /// Puts a cell's values in place of the last cell's, and from now on keeps no record of what is
  /// read: made for many cells of one sweep. Pre: the cells set the same keys.
  void replace(const SweepCell& cell);
  /// The top-level tables that `key` names, as read() takes them: "env", or "learner[0]" and
  /// "learner[1]" for "learner.alpha" where there are two. Throws ConfigError.
  std::vector<std::string> tables_of(const std::string& key) const;

  /// What has been read, defaults included, as TOML with every value's origin in a comment. Read
  /// back it gives the same values. The sweep, if any, follows.
  std::string to_toml() const;
  /// The same values as nested objects, without the sweep.
  nlohmann::ordered_json to_json() const;
  /// Full key -> Origin::text() of everything that has been read.
  nlohmann::ordered_json origins_json() const;

 private:
  friend class ConfigReader;
  struct Read {
    ConfigPath path;
    ConfigValue value;
  };

  bool is_read(const ConfigPath& path) const { return read_index_.contains(path.text()); }
  void record(ConfigPath path, ConfigValue value);
  const ConfigValue* top(std::string_view table) const;
  const ConfigValue* find(const ConfigPath& path) const;
  ConfigPath canonical(std::vector<std::string> segments) const;
  std::vector<ConfigPath> targets(std::vector<std::string> segments, const Origin& origin) const;
  ConfigPath only_table(std::string_view table) const;
  void assign(std::vector<std::string> segments, const ConfigValue& value);
  void assign_at(const ConfigPath& path, const ConfigValue& value);
  void add_sweep(const std::string& prefix, const ConfigValue& value);
  SweepNumbers numbers_of(const ConfigPath& path) const;
  void reject_unread(const ConfigPath& path, const ConfigValue& value) const;
  ConfigError error_at(ConfigPath path, const std::string& shown, const std::string& why,
                       const std::string& nearest) const;
  ConfigError unknown_key(const ConfigPath& path, const Origin& origin) const;
  std::vector<std::pair<std::string, int>> read_tables() const;

  std::string name_;                               ///< the file
  ConfigValue::Table root_;                        ///< without [sweep]
  ConfigValue::Table sweep_;                       ///< flattened: "learner.alpha" -> its axis
  bool recording_ = true;                          ///< false after replace()
  std::vector<Read> read_;                         ///< everything read, defaults included, in order
  std::map<std::string, std::size_t> read_index_;  ///< ConfigPath::text() -> place in read_
};

/// Fills a component's Config struct from the table at `table` ("env", "learner", "learner[1]").
/// Keys that are absent leave their field as it is, the default. Throws ConfigError for a wrong
/// type, a value out of bounds, an unknown choice, a ragged tensor; the message says what is
/// allowed. Whole numbers are taken for real fields, never the other way round.
void read(Config& config, std::string_view table, const std::function<void(FieldVisitor&)>& fields);

/// What `cumarl describe` says about one parameter.
struct FieldInfo {
  std::string key;
  std::string type;  ///< whole, real, bool, string, reals, wholes, tensor or choice
  ConfigValue default_value;
  Bounds bounds = {};
  std::string unit;
  std::vector<std::string> choices;  ///< for a choice
  std::string text;
};

/// The parameters of a component, in order; the struct that `fields` visits holds the defaults.
std::vector<FieldInfo> describe(const std::function<void(FieldVisitor&)>& fields);
/// {"key", "type", "default", "min", "max", "unit", "choices", "text"}; no bound: null.
nlohmann::ordered_json to_json(const FieldInfo& field);

/// Reading and writing TOML text (toml.cpp, the only file that knows toml++).
namespace toml_text {

/// The tree of a TOML document. Throws ConfigError.
ConfigValue::Table parse_document(std::string_view text, const std::string& name);

/// One value, as it stands to the right of `key =`. Returns false and says why where `text` is no
/// TOML value. Throws ConfigError where it is one that configurations do not hold (nan, dates).
bool parse_value(std::string_view text, const std::string& key, const Origin& origin,
                 ConfigValue& value, std::string& why);

/// `text` as a TOML basic string, ASCII only.
std::string quote(std::string_view text);

}  // namespace toml_text

}  // namespace cumarl
