/// \file
/// The configuration tree, the reader and the sweep. See config.hpp.
#include "host/src/config.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <set>
#include <system_error>

#include "host/src/nfg.hpp"
#include "kernels/core/math.hpp"
#include "kernels/core/rng.hpp"

namespace cumarl {
namespace {

using Json = nlohmann::ordered_json;
using List = ConfigValue::List;
using Table = ConfigValue::Table;

// Generous limits, so that no file takes long to be refused.
constexpr std::size_t kMaxKeyParts = 16;
constexpr int kMaxTables = 1000;                 // [[learner]] tables
constexpr std::size_t kMaxAxes = 100;            // keys of a sweep
constexpr int64_t kMaxExact = int64_t{1} << 53;  // doubles hold whole numbers up to here
constexpr int kMaxPlaces = 22;  // 10^22 is the largest power of ten that a double holds

// ---- text ----

std::string shorten(const std::string& text, std::size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 3) + "...";
}

/// What fmt::join does; that draws a false warning from g++ 12 at -O3.
std::string join(const std::vector<std::string>& parts, const char* between = ", ") {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += between;
    text += parts[i];
  }
  return text;
}

std::string value_text(const ConfigValue& value) { return shorten(to_text(value), 60); }

std::string real_text(double value) {
  const std::string text = fmt::format("{}", value);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

bool is_bare(std::string_view key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

std::string key_text(std::string_view key) {
  return is_bare(key) ? std::string(key) : toml_text::quote(key);
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Origins stand in comments of TOML text, which is ASCII; file names need not be.
std::string ascii(const std::string& text) {
  const std::string quoted = toml_text::quote(text);
  return quoted == '"' + text + '"' ? text : quoted;
}

std::string origin_source(const Origin& origin) {
  return origin.source ? *origin.source : "default";
}

ConfigError make_error(const Origin& origin, const std::string& key, std::string value,
                       std::string why, std::string nearest = {}) {
  return ConfigError({origin_source(origin), origin.line, shorten(key, 200), std::move(value),
                      std::move(why), std::move(nearest)});
}

// ---- the tree ----

Origin named_origin(std::string source) {
  return {std::make_shared<const std::string>(std::move(source)), 0};
}

template <class Entries>
auto find_entry(Entries& entries, std::string_view key) -> decltype(&entries.front()) {
  for (auto& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

bool is_table_list(const ConfigValue& value) {
  const List* list = value.as<List>();
  return list != nullptr && !list->empty() &&
         std::all_of(list->begin(), list->end(),
                     [](const ConfigValue& v) { return v.as<Table>() != nullptr; });
}

void set_origin(ConfigValue& value, const Origin& origin) {
  value.origin = origin;
  if (auto* list = std::get_if<List>(&value.data)) {
    for (ConfigValue& element : *list) set_origin(element, origin);
  }
  if (auto* table = std::get_if<Table>(&value.data)) {
    for (ConfigEntry& entry : *table) set_origin(entry.value, origin);
  }
}

bool is_finite(const ConfigValue& value) {
  if (const auto* list = value.as<List>())
    return std::all_of(list->begin(), list->end(), is_finite);
  if (const auto* table = value.as<Table>()) {
    return std::all_of(table->begin(), table->end(),
                       [](const ConfigEntry& entry) { return is_finite(entry.value); });
  }
  const auto* real = value.as<double>();
  return real == nullptr || std::isfinite(*real);
}

/// The position that a part of a key stands for, -1 where it is a name.
int as_index(std::string_view part) {
  int index = -1;
  if (part.empty() || part.size() > 9) return -1;
  const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  return error == std::errc{} && end == part.data() + part.size() ? index : -1;
}

/// "learner[1].exploration.start" as {"learner", "1", "exploration", "start"}.
std::vector<std::string> split_key(std::string_view key, const Origin& origin) {
  std::vector<std::string> parts;
  const auto fail = [&](const std::string& why) -> ConfigError {
    return make_error(origin, "", "",
                      fmt::format("\"{}\" is no key: {}", shorten(std::string(key), 60), why));
  };
  for (std::string_view rest = key;;) {
    const std::size_t dot = rest.find('.');
    std::string_view part = trim(rest.substr(0, dot));
    std::string_view index;
    if (const std::size_t open = part.find('['); open != std::string_view::npos) {
      if (!part.ends_with(']')) throw fail("a '[' without its ']'");
      index = part.substr(open + 1, part.size() - open - 2);
      if (as_index(index) < 0) throw fail("what stands in [] must be a whole number");
      part = trim(part.substr(0, open));
    }
    if (!is_bare(part)) throw fail("parts are letters, digits, '_' and '-', joined by points");
    parts.emplace_back(part);
    if (!index.empty()) parts.emplace_back(index);
    if (parts.size() > kMaxKeyParts) throw fail("too many parts");
    if (dot == std::string_view::npos) return parts;
    rest.remove_prefix(dot + 1);
  }
}

/// Appends the parts of "exploration.start" to a path, as they are.
void append_keys(ConfigPath& path, std::string_view key) {
  for (std::size_t dot; (dot = key.find('.')) != std::string_view::npos;) {
    path.keys.emplace_back(key.substr(0, dot));
    key.remove_prefix(dot + 1);
  }
  path.keys.emplace_back(key);
}

std::string join_key(const std::vector<std::string>& parts, std::size_t from = 0) {
  return join({parts.begin() + static_cast<std::ptrdiff_t>(from), parts.end()}, ".");
}

// ---- nearest names ----

std::string fold_case(std::string_view text) {
  std::string folded(text);
  for (char& c : folded) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '-') c = '_';
  }
  return folded;
}

/// Letters to insert, drop, change or swap with their neighbour to turn `a` into `b` (optimal
/// string alignment).
int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> row_before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 1; i <= a.size(); ++i) {
    next[0] = static_cast<int>(i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      next[j] = std::min({row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        next[j] = std::min(next[j], row_before[j - 2] + 1);
      }
    }
    std::swap(row_before, row);
    std::swap(row, next);
  }
  return row[b.size()];
}

/// How far `word` is from `name`, nothing where too far for the one to be meant by the other.
std::optional<int> typo_cost(std::string_view word, std::string_view name) {
  constexpr std::size_t kMaxLength = 64;
  if (word.empty() || word.size() > kMaxLength || name.size() > kMaxLength) return {};
  const std::string a = fold_case(word);
  const std::string b = fold_case(name);
  const auto length = static_cast<int>(std::max(a.size(), b.size()));
  const int distance = edit_distance(a, b);
  if (distance <= std::max(1, (length + 1) / 3) && distance < length) return distance;
  if (std::min(a.size(), b.size()) >= 3 && (b.starts_with(a) || a.starts_with(b))) return length;
  return {};
}

// ---- what is allowed ----

std::string bound_text(double bound) {
  if (bound == std::floor(bound) && std::abs(bound) < 1e15) {
    return fmt::format("{}", static_cast<int64_t>(bound));
  }
  return fmt::format("{}", bound);
}

/// "must be a whole number from 2 to 6, in periods".
std::string allowed_text(const char* kind, Bounds bounds, std::string_view unit) {
  const bool low = std::isfinite(bounds.min);
  const bool high = std::isfinite(bounds.max);
  std::string text = fmt::format("must be a {}", kind);
  if (low && high) {
    text += fmt::format(" from {} to {}", bound_text(bounds.min), bound_text(bounds.max));
  } else if (low) {
    text += fmt::format(" of at least {}", bound_text(bounds.min));
  } else if (high) {
    text += fmt::format(" of at most {}", bound_text(bounds.max));
  }
  if (!unit.empty()) text += fmt::format(", in {}", unit);
  return text;
}

bool in_bounds(int64_t value, Bounds bounds) {
  constexpr double kTwo63 = 9223372036854775808.0;
  if (bounds.min >= kTwo63 || bounds.max < -kTwo63) return false;
  const bool above = bounds.min < -kTwo63 || value >= static_cast<int64_t>(std::ceil(bounds.min));
  const bool below = bounds.max >= kTwo63 || value <= static_cast<int64_t>(std::floor(bounds.max));
  return above && below;
}

/// Where someone wrote 1e6 or 2.0 for a whole number: how to write it.
std::string whole_hint(const ConfigValue& value, Bounds bounds) {
  const double* real = value.as<double>();
  if (real == nullptr || *real != std::floor(*real) || std::abs(*real) >= 9e18) return "";
  const auto whole = static_cast<int64_t>(*real);
  return in_bounds(whole, bounds) ? fmt::format(" (write {})", whole) : "";
}

// ---- defaults as values ----

ConfigValue to_value(int value) { return {int64_t{value}}; }
ConfigValue to_value(int64_t value) { return {value}; }
ConfigValue to_value(double value) { return {value}; }
ConfigValue to_value(bool value) { return {value}; }
ConfigValue to_value(const std::string& value) { return {value}; }

template <class T>
ConfigValue to_value(const std::vector<T>& values) {
  List list;
  for (const T& value : values) list.push_back(to_value(value));
  return {std::move(list)};
}

/// The part of a tensor at `offset`, `stride` values long, whose shape starts at `axis`.
ConfigValue to_value(const Tensor& tensor, std::size_t axis, std::size_t offset,
                     std::size_t stride) {
  if (axis == tensor.shape.size()) return {tensor.values[offset]};
  const auto count = static_cast<std::size_t>(tensor.shape[axis]);
  List list;
  for (std::size_t i = 0; i < count; ++i) {
    list.push_back(to_value(tensor, axis + 1, offset + i * (stride / count), stride / count));
  }
  return {std::move(list)};
}

ConfigValue to_value(const Tensor& tensor) {
  return tensor.empty() ? ConfigValue{List{}} : to_value(tensor, 0, 0, tensor.values.size());
}

ConfigValue to_value(const Choice& choice, const std::vector<std::string>& names) {
  const auto i = static_cast<std::size_t>(choice.value);
  return {i < names.size() ? names[i] : std::string{}};
}

std::vector<std::string> name_list(std::initializer_list<const char*> names) {
  return {names.begin(), names.end()};
}

}  // namespace

std::string Origin::text() const {
  return line > 0 ? fmt::format("{}:{}", origin_source(*this), line) : origin_source(*this);
}

std::string to_text(const ConfigValue& value) {
  struct Writer {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(int64_t v) const { return fmt::format("{}", v); }
    std::string operator()(double v) const { return real_text(v); }
    std::string operator()(const std::string& v) const { return toml_text::quote(v); }
    std::string operator()(const List& list) const {
      std::vector<std::string> parts;
      for (const ConfigValue& v : list) parts.push_back(to_text(v));
      return fmt::format("[{}]", join(parts));
    }
    std::string operator()(const Table& table) const {
      std::vector<std::string> parts;
      for (const ConfigEntry& entry : table) {
        parts.push_back(key_text(entry.key) + " = " + to_text(entry.value));
      }
      return parts.empty() ? "{}" : fmt::format("{{ {} }}", join(parts));
    }
  };
  return std::visit(Writer{}, value.data);
}

nlohmann::ordered_json to_json(const ConfigValue& value) {
  if (const auto* list = value.as<List>()) {
    Json json = Json::array();
    for (const ConfigValue& v : *list) json.push_back(to_json(v));
    return json;
  }
  if (const auto* table = value.as<Table>()) {
    Json json = Json::object();
    for (const ConfigEntry& entry : *table) json[entry.key] = to_json(entry.value);
    return json;
  }
  if (const auto* text = value.as<std::string>()) return *text;
  if (const auto* whole = value.as<int64_t>()) return *whole;
  if (const auto* real = value.as<double>()) return *real;
  return *value.as<bool>();
}

std::string nearest_name(std::string_view word, const std::vector<std::string>& names) {
  std::string nearest;
  int best = std::numeric_limits<int>::max();
  for (const std::string& name : names) {
    const std::optional<int> cost = typo_cost(word, name);
    if (cost && *cost < best) {
      best = *cost;
      nearest = name;
    }
  }
  return nearest;
}

std::string ConfigPath::text() const {
  std::string text = key_text(table);
  if (index >= 0) text += fmt::format("[{}]", index);
  for (const std::string& key : keys) text += '.' + key_text(key);
  return text;
}

// ---- SweepAxis ----

namespace {

/// A number written as digits * 10^-places.
struct Decimal {
  int64_t digits;
  int places;
};

/// The shortest decimal that reads back as `value`, if doubles hold its digits exactly.
std::optional<Decimal> to_decimal(double value) {
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific)
          .ptr;
  Decimal decimal{0, 0};
  bool fraction = false;
  const char* at = text.data() + (text[0] == '-' ? 1 : 0);
  for (; *at != 'e'; ++at) {
    if (*at == '.') {
      fraction = true;
      continue;
    }
    decimal.digits = decimal.digits * 10 + (*at - '0');
    decimal.places += fraction ? 1 : 0;
  }
  int exponent = 0;
  std::from_chars(at + (at[1] == '+' ? 2 : 1), end, exponent);
  decimal.places -= exponent;
  for (; decimal.places < 0; ++decimal.places) {
    if (decimal.digits > kMaxExact) return {};
    decimal.digits *= 10;
  }
  if (decimal.digits > kMaxExact) return {};
  if (text[0] == '-') decimal.digits = -decimal.digits;
  return decimal;
}

/// The same number with more places, if that stays exact.
std::optional<int64_t> with_places(Decimal decimal, int places) {
  for (; decimal.places < places; ++decimal.places) {
    if (std::abs(decimal.digits) > kMaxExact / 10) return {};
    decimal.digits *= 10;
  }
  return decimal.digits;
}

std::optional<double> as_number(const ConfigValue& value) {
  if (const auto* whole = value.as<int64_t>()) return static_cast<double>(*whole);
  if (const auto* real = value.as<double>()) return *real;
  return {};
}

}  // namespace

namespace {

constexpr const char* kSweepOptions[] = {"samples", "seed", "design", "zip"};

bool is_sweep_option(std::string_view key) {
  return std::find(std::begin(kSweepOptions), std::end(kSweepOptions), key) !=
         std::end(kSweepOptions);
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923 has the constants).
uint64_t hash_name(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return hash;
}

/// The draws of an axis: block i of a Philox sequence of its own.
Philox draw_block(uint64_t seed, uint64_t name, uint64_t i) {
  return Philox::block(static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32),
                       static_cast<uint32_t>(name), static_cast<uint32_t>(name >> 32),
                       static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

/// `value`, or the number of up to nine digits that it is but for rounding.
double without_rounding(double value) {
  std::array<char, 32> text{};
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific, 8)
          .ptr;
  double rounded = value;
  std::from_chars(text.data(), end, rounded);
  return std::abs(rounded - value) <= 4e-14 * std::abs(value) ? rounded : value;
}

}  // namespace

SweepAxis::SweepAxis(std::string key, const ConfigValue& value, const SweepDraws& draws,
                     SweepNumbers numbers)
    : key_(std::move(key)), origin_(value.origin), draws_(draws), name_hash_(hash_name(key_)) {
  if (const auto* list = value.as<List>()) {
    if (list->empty()) fail(value, "must hold at least one value");
    for (const ConfigValue& element : *list) {
      if (element.as<Table>() != nullptr) fail(value, "must be a list of values, not of tables");
    }
    list_ = *list;
    size_ = static_cast<int64_t>(list_.size());
    return;
  }
  const auto* table = value.as<Table>();
  if (table == nullptr) {
    fail(value,
         "must be a list of values, { start, stop, step }, { start, stop, count } or { random }");
  }
  const std::vector<std::string> names{"start", "stop", "step", "count", "scale", "random"};
  Parts parts;
  for (const ConfigEntry& entry : *table) {
    if (std::find(names.begin(), names.end(), entry.key) == names.end()) {
      fail(value, fmt::format("{} is none of {}", key_text(entry.key), join(names)),
           nearest_name(entry.key, names));
    }
    parts[entry.key] = &entry.value;
  }
  const auto together = [&](const char* a, const char* b) {
    if (parts.contains(a) && parts.contains(b)) {
      fail(value, fmt::format("{} and {} do not go together", a, b));
    }
  };
  for (const char* other : {"start", "stop", "step", "count"}) together("random", other);
  together("step", "count");
  together("step", "scale");
  if (parts.contains("random")) {
    set_random(value, parts, draws, numbers);
    return;
  }
  for (const char* end : {"start", "stop"}) {
    if (!parts.contains(end)) fail(value, fmt::format("has no {}", end));
  }
  if (!parts.contains("step") && !parts.contains("count")) {
    fail(value, "has no step and no count");
  }
  for (const auto& [name, part] : parts) {
    if (name != "scale" && !as_number(*part)) fail(value, fmt::format("{} must be a number", name));
  }
  if (parts.contains("step")) {
    set_steps(value, parts);
  } else {
    set_count(value, parts, numbers);
  }
}

void SweepAxis::fail(const ConfigValue& value, const std::string& why,
                     const std::string& nearest) const {
  throw make_error(value.origin, "sweep." + key_, value_text(value), why, nearest);
}

void SweepAxis::set_steps(const ConfigValue& spec, const Parts& parts) {
  form_ = Form::steps;
  const ConfigValue& from = *parts.at("start");
  const ConfigValue& to = *parts.at("stop");
  const ConfigValue& by = *parts.at("step");
  const double start = *as_number(from);
  const double stop = *as_number(to);
  const double step = *as_number(by);
  if (step == 0) fail(spec, "step must not be 0");
  whole_ = from.as<int64_t>() && to.as<int64_t>() && by.as<int64_t>();
  const bool up = whole_ ? *from.as<int64_t>() <= *to.as<int64_t>() : start <= stop;
  const bool down = whole_ ? *from.as<int64_t>() >= *to.as<int64_t>() : start >= stop;
  if (!(step > 0 ? up : down)) fail(spec, "never gets from start to stop: step has the wrong sign");
  const double steps = stop / step - start / step;
  if (!(steps < static_cast<double>(Sweep::kMaxCells))) {
    fail(spec, fmt::format("has more than {} values", Sweep::kMaxCells));
  }
  if (whole_) {
    set_decimal_range(*from.as<int64_t>(), *to.as<int64_t>(), *by.as<int64_t>());
    return;
  }
  const auto a = to_decimal(start), b = to_decimal(stop), c = to_decimal(step);
  if (a && b && c) {
    const int places = std::max({a->places, b->places, c->places});
    const auto first = with_places(*a, places), last = with_places(*b, places);
    const auto stride = with_places(*c, places);
    if (first && last && stride && places <= kMaxPlaces) {
      set_decimal_range(*first, *last, *stride);
      for (int i = 0; i < places; ++i) scale_ *= 10;
      return;
    }
  }
  start_ = start;
  stride_ = step;
  size_ = static_cast<int64_t>(steps + 1e-9) + 1;
}

void SweepAxis::set_decimal_range(int64_t start, int64_t stop, int64_t step) {
  // Unsigned, since stop - start need not fit a signed 64-bit number.
  const auto from = static_cast<uint64_t>(start), to = static_cast<uint64_t>(stop);
  const auto by = static_cast<uint64_t>(step);
  const uint64_t steps = step > 0 ? (to - from) / by : (from - to) / (0 - by);
  first_ = start;
  step_ = step;
  scale_ = 1;
  size_ = static_cast<int64_t>(steps) + 1;
}

/// Takes the two ends of `count` or `random`, and whether values between them are whole numbers.
void SweepAxis::set_ends(const ConfigValue& spec, const ConfigValue& low, const ConfigValue& high,
                         SweepNumbers numbers) {
  const auto* from = low.as<int64_t>();
  const auto* to = high.as<int64_t>();
  whole_ = numbers == SweepNumbers::whole ||
           (numbers == SweepNumbers::by_spelling && from != nullptr && to != nullptr);
  if (whole_ && (from == nullptr || to == nullptr)) {
    fail(spec, "must run between whole numbers, as the key takes no others");
  }
  low_ = *as_number(low);
  high_ = *as_number(high);
  if (whole_) {
    whole_low_ = *from;
    whole_high_ = *to;
  }
  if (whole_ ? whole_low_ == whole_high_ : low_ == high_) fail(spec, "both ends are the same");
  // Beyond these the logarithm is that of a denormal number, or the exponential overflows.
  if (log_ && !(std::min(low_, high_) >= 1e-300 && std::max(low_, high_) <= 1e300)) {
    fail(spec, "needs ends from 1e-300 to 1e300 where scale = \"log\"");
  }
}

void SweepAxis::set_count(const ConfigValue& spec, const Parts& parts, SweepNumbers numbers) {
  form_ = Form::spaced;
  const auto* count = parts.at("count")->as<int64_t>();
  if (count == nullptr || *count < 2 || *count > Sweep::kMaxCells) {
    fail(spec, fmt::format("count must be a whole number from 2 to {}", Sweep::kMaxCells));
  }
  if (const auto scale = parts.find("scale"); scale != parts.end()) {
    const auto* word = scale->second->as<std::string>();
    if (word == nullptr || (*word != "linear" && *word != "log")) {
      fail(spec, "scale must be one of linear, log",
           word == nullptr ? "" : nearest_name(*word, {"linear", "log"}));
    }
    log_ = *word == "log";
  }
  set_ends(spec, *parts.at("start"), *parts.at("stop"), numbers);
  size_ = *count;
  if (whole_) {
    for (int64_t i = 1; i < size_; ++i) {
      if (spaced_whole(i) != spaced_whole(i - 1)) continue;
      fail(spec, fmt::format("rounds two values to {}: the key takes whole numbers, and count is "
                             "too large for that",
                             spaced_whole(i)));
    }
    return;
  }
  if (log_) return;
  // In decimal: (first (count - 1) + i (last - first)) / ((count - 1) 10^places), one rounding.
  const auto a = to_decimal(low_), b = to_decimal(high_);
  if (!a || !b) return;
  const int places = std::max(a->places, b->places);
  const auto first = with_places(*a, places), last = with_places(*b, places);
  if (!first || !last || places > kMaxPlaces) return;
  const int64_t widest = std::max(std::abs(*first), std::abs(*last));
  if (widest > kMaxExact / 2 / (size_ - 1)) return;
  double scale = static_cast<double>(size_ - 1);
  for (int i = 0; i < places; ++i) scale *= 10;
  if (scale > static_cast<double>(kMaxExact)) return;
  first_ = *first * (size_ - 1);
  step_ = *last - *first;
  scale_ = scale;
}

void SweepAxis::set_random(const ConfigValue& spec, const Parts& parts, const SweepDraws& draws,
                           SweepNumbers numbers) {
  const auto* list = parts.at("random")->as<List>();
  if (list == nullptr || list->empty()) {
    fail(spec, "random must be [low, high], or a list of values to draw among");
  }
  std::string scale;
  if (const auto part = parts.find("scale"); part != parts.end()) {
    const auto* word = part->second->as<std::string>();
    const std::vector<std::string> known{"linear", "log", "choice"};
    if (word == nullptr || std::find(known.begin(), known.end(), *word) == known.end()) {
      fail(spec, "scale must be one of " + join(known),
           word == nullptr ? "" : nearest_name(*word, known));
    }
    scale = *word;
  }
  const bool all_numbers = std::all_of(
      list->begin(), list->end(), [](const ConfigValue& v) { return as_number(v).has_value(); });
  if (scale.empty()) scale = all_numbers ? "linear" : "choice";
  if (draws.samples == 0) fail(spec, "random needs sweep.samples, the number of draws");
  size_ = draws.samples;
  if (scale == "choice") {
    for (const ConfigValue& element : *list) {
      if (element.as<Table>() != nullptr) fail(spec, "draws among values, not among tables");
    }
    form_ = Form::choices;
    list_ = *list;
  } else {
    if (!all_numbers || list->size() != 2) {
      fail(spec,
           "must be two numbers, [low, high]; with scale = \"choice\" it draws among those "
           "listed");
    }
    form_ = Form::draws;
    log_ = scale == "log";
    set_ends(spec, list->front(), list->back(), numbers);
    if (whole_ ? whole_low_ > whole_high_ : low_ > high_) fail(spec, "low is above high");
  }
  if (draws.latin_hypercube) shuffle_parts();
}

/// A random permutation: the order of 64-bit draws, which come after those of the values.
void SweepAxis::shuffle_parts() {
  std::vector<std::pair<uint64_t, uint32_t>> order(static_cast<std::size_t>(size_));
  for (uint32_t i = 0; i < order.size(); ++i) {
    const Philox block = draw_block(draws_.seed, name_hash_, i);
    order[i] = {uint64_t{block.x2} << 32 | block.x3, i};
  }
  std::sort(order.begin(), order.end());
  part_.resize(order.size());
  for (uint32_t i = 0; i < order.size(); ++i) part_[order[i].second] = i;
}

/// Sample i of the axis as a number in [0, 1): 53 bits of a block of draws.
double SweepAxis::unit(int64_t i) const {
  const Philox block = draw_block(draws_.seed, name_hash_, static_cast<uint64_t>(i));
  const uint64_t bits = (uint64_t{block.x0} << 32 | block.x1) >> 11;
  const double fraction = static_cast<double>(bits) * 0x1p-53;
  if (part_.empty()) return fraction;
  const double place = static_cast<double>(part_[static_cast<std::size_t>(i)]) + fraction;
  return std::min(place / static_cast<double>(size_), 1 - 0x1p-53);
}

/// low + (high - low) i / (count - 1), or the same for logarithms, to the nearest whole number.
int64_t SweepAxis::spaced_whole(int64_t i) const {
  if (i == 0) return whole_low_;
  if (i == size_ - 1) return whole_high_;
  if (log_) return static_cast<int64_t>(std::floor(spaced_real(i) + 0.5));
  using Wide = __int128;
  const Wide way = Wide{whole_high_} - whole_low_;
  const Wide size = way < 0 ? -way : way;
  const Wide rounded = (2 * size * i + (size_ - 1)) / (2 * Wide{size_ - 1});
  return static_cast<int64_t>(whole_low_ + (way < 0 ? -rounded : rounded));
}

double SweepAxis::spaced_real(int64_t i) const {
  if (i == 0) return low_;
  if (i == size_ - 1) return high_;
  const double t = static_cast<double>(i) / static_cast<double>(size_ - 1);
  if (!log_) return without_rounding(low_ * (1 - t) + high_ * t);
  const double a = portable_log(low_), b = portable_log(high_);
  return without_rounding(portable_exp(a + (b - a) * t));
}

int64_t SweepAxis::drawn_whole(double u) const {
  if (log_) {
    const double a = portable_log(low_), b = portable_log(high_ + 1);
    const double value = std::clamp(portable_exp(a + (b - a) * u), low_, high_);
    return std::clamp(static_cast<int64_t>(std::min(value, 9e18)), whole_low_, whole_high_);
  }
  // Unsigned, since high - low need not fit a signed 64-bit number.
  const uint64_t span = static_cast<uint64_t>(whole_high_) - static_cast<uint64_t>(whole_low_);
  const double steps = std::min(std::floor(u * (static_cast<double>(span) + 1)), 0x1.fp63);
  const uint64_t up = std::min(static_cast<uint64_t>(steps), span);
  return static_cast<int64_t>(static_cast<uint64_t>(whole_low_) + up);
}

double SweepAxis::drawn_real(double u) const {
  if (!log_) return std::clamp(low_ * (1 - u) + high_ * u, low_, high_);
  const double a = portable_log(low_), b = portable_log(high_);
  return std::clamp(portable_exp(a + (b - a) * u), low_, high_);
}

ConfigValue SweepAxis::value(int64_t i) const {
  switch (form_) {
    case Form::list: return list_[static_cast<std::size_t>(i)];
    case Form::choices: {
      const auto count = static_cast<double>(list_.size());
      const auto chosen = static_cast<std::size_t>(unit(i) * count);
      return list_[std::min(chosen, list_.size() - 1)];
    }
    case Form::draws:
      if (whole_) return {drawn_whole(unit(i)), origin_};
      return {drawn_real(unit(i)), origin_};
    case Form::spaced:
      if (whole_) return {spaced_whole(i), origin_};
      if (scale_ == 0) return {spaced_real(i), origin_};
      break;
    case Form::steps: break;
  }
  // Unsigned, since i * step need not fit even where the sum does.
  const auto exact = static_cast<int64_t>(static_cast<uint64_t>(first_) +
                                          static_cast<uint64_t>(i) * static_cast<uint64_t>(step_));
  if (whole_) return {exact, origin_};
  if (scale_ > 0) return {static_cast<double>(exact) / scale_, origin_};
  return {start_ + static_cast<double>(i) * stride_, origin_};
}

// ---- Sweep ----

Sweep::Sweep(std::vector<SweepAxis> axes, const std::vector<std::vector<std::size_t>>& groups)
    : axes_(std::move(axes)) {
  std::vector<int> group_of(axes_.size(), -1);
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (const std::size_t a : groups[g]) group_of[a] = static_cast<int>(g);
  }
  Dimension drawn{{}, 0};
  std::vector<bool> placed(groups.size(), false);
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    if (axes_[a].random()) {
      drawn.axes.push_back(a);
      drawn.size = axes_[a].size();
    } else if (group_of[a] < 0) {
      dimensions_.push_back({{a}, axes_[a].size()});
    } else if (const auto g = static_cast<std::size_t>(group_of[a]); !placed[g]) {
      placed[g] = true;
      dimensions_.push_back({groups[g], axes_[a].size()});
    }
  }
  if (!drawn.axes.empty()) dimensions_.insert(dimensions_.begin(), std::move(drawn));
  for (const Dimension& dimension : dimensions_) {
    if (dimension.size > kMaxCells / size_) {
      const SweepAxis& axis = axes_[dimension.axes.front()];
      throw make_error(axis.origin(), "sweep." + axis.key(), "",
                       fmt::format("the sweep has more than {} cells", kMaxCells));
    }
    size_ *= dimension.size;
  }
}

std::vector<int64_t> Sweep::places(int64_t i) const {
  std::vector<int64_t> places(axes_.size());
  for (std::size_t d = dimensions_.size(); d-- > 0;) {
    for (const std::size_t a : dimensions_[d].axes) places[a] = i % dimensions_[d].size;
    i /= dimensions_[d].size;
  }
  return places;
}

SweepCell Sweep::cell(int64_t i) const {
  const std::vector<int64_t> at = places(i);
  SweepCell cell;
  cell.reserve(axes_.size());
  for (std::size_t a = 0; a < axes_.size(); ++a) {
    cell.emplace_back(axes_[a].key(), axes_[a].value(at[a]));
  }
  return cell;
}

// ---- Config: loading and setting ----

Config Config::from_file(const std::string& path) {
  const auto fail = [&](const std::string& why) {
    return make_error(named_origin(path), "", "", why);
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw fail("is a directory, not a file");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                             std::fclose);
  const auto system_text = [] { return std::generic_category().message(errno); };
  if (file == nullptr) throw fail("cannot be opened: " + system_text());
  std::string text;
  std::array<char, 1 << 16> buffer{};
  while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
    text.append(buffer.data(), count);
    if (text.size() > kMaxFileBytes) throw fail("is larger than 16 MiB");
  }
  if (std::ferror(file.get()) != 0) throw fail("cannot be read: " + system_text());
  return from_text(text, path);
}

Config Config::from_text(std::string_view text, std::string name) {
  Config config;
  config.name_ = std::move(name);
  if (text.size() > kMaxFileBytes) {
    throw make_error(named_origin(config.name_), "", "", "is larger than 16 MiB");
  }
  for (ConfigEntry& entry : toml_text::parse_document(text, config.name_)) {
    if (entry.key == "sweep") {
      config.add_sweep("", entry.value);
    } else {
      config.root_.push_back(std::move(entry));
    }
  }
  return config;
}

void Config::set(std::string_view assignment) {
  const Origin origin = named_origin(shorten("--set " + std::string(assignment), 100));
  const auto fail = [&](const std::string& why) { return make_error(origin, "", "", why); };
  if (assignment.find_first_of("\r\n") != std::string_view::npos) throw fail("has a line end");
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) throw fail("must be key=value");
  const std::vector<std::string> parts = split_key(assignment.substr(0, equals), origin);
  const std::string_view text = trim(assignment.substr(equals + 1));
  if (text.empty()) throw fail("has no value");

  ConfigValue value;
  std::string why;
  if (!toml_text::parse_value(text, join_key(parts), origin, value, why)) {
    const bool number = text.find_first_not_of("+-_0123456789") == std::string_view::npos;
    const bool bracket = std::string_view("[]{}\"'").find(text[0]) != std::string_view::npos;
    if (number || bracket) throw fail(why);
    value = {std::string(text), origin};
  }
  assign(parts, value);
}

void Config::set(std::string_view key, ConfigValue value, const std::string& source) {
  set_origin(value, named_origin(source));
  const std::vector<std::string> parts = split_key(key, value.origin);
  if (!is_finite(value)) {
    throw make_error(value.origin, join_key(parts), value_text(value), "must be finite");
  }
  assign(parts, value);
}

void Config::assign(std::vector<std::string> segments, const ConfigValue& value) {
  if (segments[0] == "sweep") {
    add_sweep(join_key(segments, 1), value);
    return;
  }
  for (const ConfigPath& path : targets(std::move(segments), value.origin)) assign_at(path, value);
}

/// Puts a value at its place; makes the tables on the way where there are none.
void Config::assign_at(const ConfigPath& path, const ConfigValue& value) {
  const auto fail = [&](const ConfigValue& place, const std::string& why) {
    return make_error(value.origin, path.text(), value_text(value),
                      fmt::format("{} ({})", why, place.origin.text()));
  };
  std::vector<std::string> names{path.table};
  names.insert(names.end(), path.keys.begin(), path.keys.end());
  Table* table = &root_;
  ConfigValue* place = nullptr;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (place != nullptr) {
      table = std::get_if<Table>(&place->data);
      if (table == nullptr) throw fail(*place, fmt::format("{} is no table", names[i - 1]));
    }
    ConfigEntry* entry = find_entry(*table, names[i]);
    if (entry == nullptr) {
      table->push_back({names[i], {Table{}, value.origin}});
      entry = &table->back();
      if (i + 1 == names.size()) entry->value = value;
    }
    place = &entry->value;
    if (i == 0 && path.index >= 0) {
      place = &std::get<List>(place->data)[static_cast<std::size_t>(path.index)];
    }
  }
  const bool tables = place->as<Table>() != nullptr || is_table_list(*place);
  if (tables && value.as<Table>() == nullptr && !is_table_list(value)) {
    throw fail(*place, "is a table here; set its keys");
  }
  *place = value;
}

/// Adds what stands under `prefix` ("" for [sweep] itself) to the sweep, key by key.
void Config::add_sweep(const std::string& prefix, const ConfigValue& value) {
  const auto* table = value.as<Table>();
  const auto branches = [](const ConfigEntry& entry) {
    return entry.value.as<Table>() != nullptr || entry.value.as<List>() != nullptr;
  };
  const bool nested = table != nullptr && find_entry(*table, "random") == nullptr &&
                      std::any_of(table->begin(), table->end(), branches);
  if (nested || (prefix.empty() && table != nullptr)) {
    for (const ConfigEntry& entry : *table) {
      const std::string key = join_key(split_key(entry.key, entry.value.origin));
      add_sweep(prefix.empty() ? key : fmt::format("{}.{}", prefix, key), entry.value);
    }
    return;
  }
  if (prefix.empty()) throw make_error(value.origin, "sweep", value_text(value), "must be a table");
  if (ConfigEntry* entry = find_entry(sweep_, prefix)) {
    if (value.origin.line > 0) {
      throw make_error(value.origin, "sweep." + prefix, "",
                       "is already in " + entry->value.origin.text());
    }
    entry->value = value;
  } else {
    if (sweep_.size() == kMaxAxes) {
      throw make_error(value.origin, "sweep." + prefix, "",
                       fmt::format("more than {} keys are swept", kMaxAxes));
    }
    sweep_.push_back({prefix, value});
  }
}

// ---- Config: finding ----

const ConfigValue* Config::top(std::string_view table) const {
  const ConfigEntry* entry = find_entry(root_, table);
  return entry == nullptr ? nullptr : &entry->value;
}

/// The value at `path`, null where there is none.
const ConfigValue* Config::find(const ConfigPath& path) const {
  const ConfigValue* value = top(path.table);
  if (value != nullptr && path.index >= 0) {
    const auto* list = value->as<List>();
    const auto i = static_cast<std::size_t>(path.index);
    value = list != nullptr && i < list->size() ? &(*list)[i] : nullptr;
  }
  for (const std::string& key : path.keys) {
    const auto* table = value == nullptr ? nullptr : value->as<Table>();
    const ConfigEntry* entry = table == nullptr ? nullptr : find_entry(*table, key);
    value = entry == nullptr ? nullptr : &entry->value;
  }
  return value;
}

/// Tells the index into [[tables]] from the keys. "learner.0" is [learner] where that is plain.
ConfigPath Config::canonical(std::vector<std::string> segments) const {
  ConfigPath path;
  path.table = segments[0];
  std::size_t keys = 1;
  const int index = segments.size() > 1 ? as_index(segments[1]) : -1;
  if (index >= 0) {
    const ConfigValue* value = top(path.table);
    const bool plain = value == nullptr || !is_table_list(*value);
    if (!plain || index > 0) path.index = index;
    keys = 2;
  }
  path.keys.assign(segments.begin() + static_cast<std::ptrdiff_t>(keys), segments.end());
  return path;
}

/// The places that a key stands for: more than one where it names a key of several [[tables]].
std::vector<ConfigPath> Config::targets(std::vector<std::string> segments,
                                        const Origin& origin) const {
  ConfigPath path = canonical(std::move(segments));
  const int tables = count(path.table);
  if (tables > kMaxTables) {
    throw make_error(top(path.table)->origin, path.table, "",
                     fmt::format("more than {} tables", kMaxTables));
  }
  if (path.index >= std::max(tables, 1)) {
    throw make_error(origin, path.text(), "",
                     fmt::format("there is no such table; the file has {}", tables));
  }
  const ConfigValue* value = top(path.table);
  if (path.index >= 0 || path.keys.empty() || value == nullptr || !is_table_list(*value)) {
    return {path};
  }
  std::vector<ConfigPath> paths(static_cast<std::size_t>(tables), path);
  for (int i = 0; i < tables; ++i) paths[static_cast<std::size_t>(i)].index = i;
  return paths;
}

int Config::count(std::string_view table) const {
  const ConfigValue* value = top(table);
  if (value == nullptr) return 0;
  return is_table_list(*value) ? static_cast<int>(value->as<List>()->size()) : 1;
}

/// The one table that `table` names. Throws where that is no table, or several.
ConfigPath Config::only_table(std::string_view table) const {
  const Origin origin = named_origin(name_);
  ConfigPath path = targets(split_key(table, origin), origin).front();
  const ConfigValue* value = find(path);
  if (value != nullptr && is_table_list(*value)) {
    throw make_error(
        value->origin, path.text(), "",
        fmt::format("must be one table, [{0}], not a list of [[{0}]] tables", path.text()));
  }
  if (value != nullptr && value->as<Table>() == nullptr) {
    throw make_error(value->origin, path.text(), value_text(*value), "must be a table");
  }
  return path;
}

void Config::record(ConfigPath path, ConfigValue value) {
  if (!recording_) return;
  const auto [at, fresh] = read_index_.try_emplace(path.text(), read_.size());
  if (fresh) {
    read_.push_back({std::move(path), std::move(value)});
  } else {
    read_[at->second].value = std::move(value);
  }
}

std::string Config::take_name(std::string_view table, const std::vector<std::string>& names) {
  ConfigPath path = only_table(table);
  path.keys.emplace_back("name");
  const std::string allowed =
      names.empty() ? "must be a string" : fmt::format("must be one of {}", join(names));
  const ConfigValue* value = find(path);
  if (value == nullptr) throw error(path.text(), "is missing; " + allowed);
  const auto* name = value->as<std::string>();
  if (name == nullptr) throw error(path.text(), allowed);
  if (!names.empty() && std::find(names.begin(), names.end(), *name) == names.end()) {
    throw error(path.text(), allowed, nearest_name(*name, names));
  }
  record(path, *value);
  return *name;
}

// ---- Config: errors ----

ConfigError Config::error(std::string_view key, const std::string& why,
                          const std::string& nearest) const {
  const ConfigPath path = canonical(split_key(key, named_origin(name_)));
  return error_at(path, path.text(), why, nearest);
}

ConfigError Config::locate(std::string_view table, const ParameterError& cause) const {
  ConfigPath path = canonical(split_key(table, named_origin(name_)));
  std::string shown = path.text();
  if (!cause.key().empty()) {
    shown += '.' + cause.key();
    append_keys(path, std::string_view(cause.key()).substr(0, cause.key().find('[')));
  }
  return error_at(std::move(path), shown, cause.why(), "");
}

ConfigError Config::error_at(ConfigPath path, const std::string& shown, const std::string& why,
                             const std::string& nearest) const {
  if (const ConfigValue* value = find(path)) {
    const bool table = value->as<Table>() != nullptr || is_table_list(*value);
    return make_error(value->origin, shown, table ? "" : value_text(*value), why, nearest);
  }
  // Not in the tree: the value is the default, the place the innermost table that is there.
  const auto read = read_index_.find(path.text());
  const ConfigValue* table = nullptr;
  while (table == nullptr && !path.keys.empty()) {
    path.keys.pop_back();
    table = find(path);
  }
  Origin origin = table != nullptr ? table->origin : named_origin(name_);
  std::string value;
  if (read != read_index_.end()) {
    value = value_text(read_[read->second].value);
    if (table == nullptr) origin = {};
    if (table != nullptr) value += " (default)";
  }
  return make_error(origin, shown, value, why, nearest);
}

void Config::reject_unknown(const std::vector<std::string>& tables) const {
  for (const auto& [key, value] : root_) {
    const bool table = value.as<Table>() != nullptr || is_table_list(value);
    if (std::find(tables.begin(), tables.end(), key) == tables.end()) {
      if (!table) throw unknown_key({key, -1, {}}, value.origin);
      const std::string nearest = nearest_name(key, tables);
      throw make_error(value.origin, key_text(key), "",
                       nearest.empty() ? fmt::format("unknown table; there are {}", join(tables))
                                       : "unknown table",
                       nearest);
    }
    if (!table) throw make_error(value.origin, key, value_text(value), "must be a table");
    if (const auto* list = value.as<List>()) {
      for (std::size_t i = 0; i < list->size(); ++i) {
        reject_unread({key, static_cast<int>(i), {}}, (*list)[i]);
      }
    } else {
      reject_unread({key, -1, {}}, value);
    }
  }
}

void Config::reject_unread(const ConfigPath& path, const ConfigValue& value) const {
  const auto* table = value.as<Table>();
  if (table == nullptr) {
    if (!is_read(path)) throw unknown_key(path, value.origin);
    return;
  }
  const bool empty = table->empty() && !path.keys.empty();
  const std::string inside = path.text() + '.';
  const auto next = read_index_.lower_bound(inside);
  if (empty && (next == read_index_.end() || !next->first.starts_with(inside))) {
    throw unknown_key(path, value.origin);
  }
  for (const ConfigEntry& entry : *table) {
    ConfigPath child = path;
    child.keys.push_back(entry.key);
    reject_unread(child, entry.value);
  }
}

ConfigError Config::unknown_key(const ConfigPath& path, const Origin& origin) const {
  const auto split = [](ConfigPath p) {
    std::string last = p.table;
    if (p.keys.empty()) return std::pair(std::string(), last);
    last = p.keys.back();
    p.keys.pop_back();
    return std::pair(p.text(), last);
  };
  const auto [parent, last] = split(path);
  const std::string short_parent = shorten(parent, 100);
  // The last part of a key counts first, then how near the rest is.
  std::string nearest;
  std::vector<std::string> known;
  auto best = std::pair(std::numeric_limits<int>::max(), 0);
  for (const Read& read : read_) {
    const auto [other_parent, name] = split(read.path);
    if (read.path.table == path.table && read.path.index == path.index) {
      known.push_back(join_key(read.path.keys));
    }
    const std::optional<int> cost = typo_cost(last, name);
    if (!cost) continue;
    const auto score = std::pair(*cost, edit_distance(short_parent, other_parent));
    if (score < best) {
      best = score;
      nearest = read.path.text();
    }
  }
  std::string why = "unknown key";
  if (nearest.empty() && !known.empty()) {
    why += fmt::format("; {} has {}", ConfigPath{path.table, path.index, {}}.text(), join(known));
  }
  return make_error(origin, path.text(), "", why, nearest);
}

// ---- Config: the sweep ----

namespace {

/// The keys of [sweep] that are about all axes.
struct SweepOptions {
  SweepDraws draws;
  std::vector<const ConfigEntry*> of_draws;  ///< samples, seed, design where given
  const ConfigEntry* zip = nullptr;
  std::vector<std::vector<std::string>> zipped;  ///< keys, group by group

  void take(const ConfigEntry& entry) {
    const auto fail = [&](const std::string& why, const std::string& nearest = {}) {
      return make_error(entry.value.origin, "sweep." + entry.key, value_text(entry.value), why,
                        nearest);
    };
    const auto* whole = entry.value.as<int64_t>();
    if (entry.key == "zip") {
      zip = &entry;
      take_zip(fail);
      return;
    }
    of_draws.push_back(&entry);
    if (entry.key == "samples") {
      if (whole == nullptr || *whole < 1 || *whole > Sweep::kMaxCells) {
        throw fail(fmt::format("must be a whole number from 1 to {}", Sweep::kMaxCells));
      }
      draws.samples = *whole;
    } else if (entry.key == "seed") {
      if (whole == nullptr || *whole < 0) throw fail("must be a whole number of at least 0");
      draws.seed = static_cast<uint64_t>(*whole);
    } else {
      const std::vector<std::string> known{"independent", "latin_hypercube"};
      const auto* word = entry.value.as<std::string>();
      if (word == nullptr || std::find(known.begin(), known.end(), *word) == known.end()) {
        throw fail("must be one of " + join(known),
                   word == nullptr ? "" : nearest_name(*word, known));
      }
      draws.latin_hypercube = *word == known[1];
    }
  }

 private:
  template <class Fail>
  void take_zip(const Fail& fail) {
    constexpr const char* kForm =
        "must be a list of two keys or more that go together, or a list of such lists";
    const auto* list = zip->value.as<List>();
    if (list == nullptr || list->empty()) throw fail(kForm);
    const bool one = list->front().as<std::string>() != nullptr;
    const auto take_group = [&](const List& keys) {
      std::vector<std::string>& group = zipped.emplace_back();
      for (const ConfigValue& key : keys) {
        const auto* text = key.as<std::string>();
        if (text == nullptr) throw fail(kForm);
        group.push_back(join_key(split_key(*text, zip->value.origin)));
      }
      if (group.size() < 2) throw fail(kForm);
    };
    if (one) {
      take_group(*list);
      return;
    }
    for (const ConfigValue& group : *list) {
      if (group.as<List>() == nullptr) throw fail(kForm);
      take_group(*group.as<List>());
    }
  }
};

/// Positions of the zipped axes, group by group. Throws ConfigError.
std::vector<std::vector<std::size_t>> zip_groups(const SweepOptions& options,
                                                 const std::vector<SweepAxis>& axes) {
  std::vector<std::vector<std::size_t>> groups;
  std::set<std::size_t> taken;
  std::vector<std::string> names;
  for (const SweepAxis& axis : axes) names.push_back(axis.key());
  for (const auto& keys : options.zipped) {
    const auto fail = [&](const std::string& why, const std::string& nearest = {}) {
      return make_error(options.zip->value.origin, "sweep.zip", value_text(options.zip->value), why,
                        nearest);
    };
    std::vector<std::size_t>& group = groups.emplace_back();
    for (const std::string& key : keys) {
      const auto a =
          static_cast<std::size_t>(std::find(names.begin(), names.end(), key) - names.begin());
      if (a == names.size()) {
        throw fail(fmt::format("{} is not swept", shorten(key, 60)), nearest_name(key, names));
      }
      if (axes[a].random()) {
        throw fail(key + " is random; random keys are drawn together as they are");
      }
      if (!taken.insert(a).second) throw fail(key + " is zipped twice");
      const SweepAxis& first = axes[group.empty() ? a : group.front()];
      if (axes[a].size() != first.size()) {
        throw fail(fmt::format("{} has {} values, and {} has {}", first.key(), first.size(), key,
                               axes[a].size()));
      }
      group.push_back(a);
    }
  }
  return groups;
}

}  // namespace

/// What kind of numbers the key at `path` takes, from what has been read of it.
SweepNumbers Config::numbers_of(const ConfigPath& path) const {
  const auto at = read_index_.find(path.text());
  if (at == read_index_.end()) return SweepNumbers::by_spelling;
  const ConfigValue* value = &read_[at->second].value;
  for (const List* list; (list = value->as<List>()) != nullptr && !list->empty();) {
    value = &list->front();
  }
  if (value->as<int64_t>() != nullptr) return SweepNumbers::whole;
  return value->as<double>() != nullptr ? SweepNumbers::real : SweepNumbers::by_spelling;
}

Sweep Config::sweep() const {
  SweepOptions options;
  for (const ConfigEntry& entry : sweep_) {
    if (is_sweep_option(entry.key)) options.take(entry);
  }
  std::vector<SweepAxis> axes;
  std::set<std::string> swept;
  for (const auto& [key, value] : sweep_) {
    if (is_sweep_option(key)) continue;
    const std::string shown = "sweep." + key;
    const auto paths = targets(split_key(key, value.origin), value.origin);
    axes.emplace_back(key, value, options.draws, numbers_of(paths.front()));
    for (const ConfigPath& path : paths) {
      if (!is_read(path)) {
        ConfigProblem problem = unknown_key(path, value.origin).problem();
        problem.key = shown;
        throw ConfigError(std::move(problem));
      }
      if (!swept.insert(path.text()).second) {
        throw make_error(value.origin, shown, "", fmt::format("{} is swept twice", path.text()));
      }
      const ConfigValue* fixed = find(path);
      if (fixed != nullptr && fixed->origin.line == 0) {
        throw make_error(value.origin, shown, "",
                         fmt::format("{} is also fixed by {}; sweep it or fix it", path.text(),
                                     fixed->origin.text()));
      }
    }
  }
  const bool drawn =
      std::any_of(axes.begin(), axes.end(), [](const auto& a) { return a.random(); });
  if (!options.of_draws.empty() && !drawn) {
    const ConfigEntry& idle = *options.of_draws.front();
    throw make_error(idle.value.origin, "sweep." + idle.key, value_text(idle.value),
                     "has nothing to act on: no key of the sweep is { random = ... }");
  }
  const auto groups = zip_groups(options, axes);
  return Sweep(std::move(axes), groups);
}

Config Config::with(const SweepCell& cell) const {
  Config config;
  config.name_ = name_;
  config.root_ = root_;
  for (const auto& [key, value] : cell) config.assign(split_key(key, value.origin), value);
  return config;
}

void Config::replace(const SweepCell& cell) {
  recording_ = false;
  for (const auto& [key, value] : cell) assign(split_key(key, value.origin), value);
}

std::vector<std::string> Config::tables_of(const std::string& key) const {
  const Origin origin = named_origin(name_);
  std::vector<std::string> tables;
  for (ConfigPath& path : targets(split_key(key, origin), origin)) {
    path.keys.clear();
    tables.push_back(path.text());
  }
  return tables;
}

// ---- Config: writing ----

/// The tables that have been read: name, and how many or -1 for a plain one.
std::vector<std::pair<std::string, int>> Config::read_tables() const {
  std::vector<std::pair<std::string, int>> tables;
  for (const Read& read : read_) {
    auto at = std::find_if(tables.begin(), tables.end(),
                           [&](const auto& table) { return table.first == read.path.table; });
    if (at == tables.end()) at = tables.insert(at, {read.path.table, -1});
    if (read.path.index >= 0) at->second = std::max(at->second, read.path.index + 1);
  }
  return tables;
}

std::string Config::to_toml() const {
  std::string text;
  const auto write_table = [&](const std::string& name, int index) {
    text += index < 0 ? fmt::format("[{}]\n", name) : fmt::format("[[{}]]\n", name);
    for (const auto& [path, value] : read_) {
      if (path.table != name || path.index != index) continue;
      // An empty list stands for "not given" and is refused when read.
      const bool absent = value.as<List>() != nullptr && value.as<List>()->empty();
      text += fmt::format("{}{} = {}  # {}\n", absent ? "# " : "", join_key(path.keys),
                          to_text(value), ascii(value.origin.text()));
    }
    text += '\n';
  };
  for (const auto& [name, count] : read_tables()) {
    if (count < 0) write_table(name, -1);
    for (int i = 0; i < count; ++i) write_table(name, i);
  }
  if (has_sweep()) text += "[sweep]\n";
  for (const auto& [key, value] : sweep_) {
    text += fmt::format("\"{}\" = {}  # {}\n", key, to_text(value), ascii(value.origin.text()));
  }
  return text;
}

nlohmann::ordered_json Config::to_json() const {
  Json json = Json::object();
  for (const auto& [name, count] : read_tables()) {
    json[name] = count < 0 ? Json::object() : Json(static_cast<std::size_t>(count), Json::object());
  }
  for (const auto& [path, value] : read_) {
    Json* place = &json[path.table];
    if (path.index >= 0) place = &(*place)[static_cast<std::size_t>(path.index)];
    for (const std::string& key : path.keys) place = &(*place)[key];
    *place = cumarl::to_json(value);
  }
  return json;
}

nlohmann::ordered_json Config::origins_json() const {
  Json json = Json::object();
  for (const auto& [path, value] : read_) json[path.text()] = ascii(value.origin.text());
  return json;
}

// ---- the reader ----

class ConfigReader final : public FieldVisitor {
 public:
  ConfigReader(Config& config, std::string_view table)
      : config_(config), base_(config.only_table(table)), table_(config.find(base_)) {}

  void operator()(const char* key, int& value, Bounds bounds, const char* unit,
                  const char*) override {
    field(key, value, [&](const Place& at) { return small(at, bounds, unit); });
  }
  void operator()(const char* key, int64_t& value, Bounds bounds, const char* unit,
                  const char*) override {
    field(key, value, [&](const Place& at) { return whole(at, bounds, unit, ""); });
  }
  void operator()(const char* key, double& value, Bounds bounds, const char* unit,
                  const char*) override {
    field(key, value, [&](const Place& at) { return real(at, bounds, unit, ""); });
  }
  void operator()(const char* key, bool& value, const char*) override {
    field(key, value, [](const Place& at) {
      const auto* flag = at.value.as<bool>();
      if (flag == nullptr) at.fail("must be true or false");
      return *flag;
    });
  }
  void operator()(const char* key, std::string& value, const char*) override {
    field(key, value, [](const Place& at) {
      const auto* text = at.value.as<std::string>();
      if (text == nullptr) at.fail("must be a string");
      return *text;
    });
  }
  void operator()(const char* key, std::vector<double>& value, Bounds bounds, const char* unit,
                  const char*) override {
    field(key, value, [&](const Place& at) {
      return list<double>(
          at, [&](const Place& one, const char* more) { return real(one, bounds, unit, more); });
    });
  }
  void operator()(const char* key, std::vector<int>& value, Bounds bounds, const char* unit,
                  const char*) override {
    field(key, value, [&](const Place& at) {
      return list<int>(
          at, [&](const Place& one, const char* more) { return small(one, bounds, unit, more); });
    });
  }
  void operator()(const char* key, Tensor& value, const char*, const char*) override {
    field(key, value, [](const Place& at) {
      Tensor tensor;
      const ConfigValue* first = &at.value;
      if (const auto* file = first->as<std::string>()) return payoffs_of(*file, at);
      for (const List* row; (row = first->as<List>()) != nullptr; first = &row->front()) {
        if (row->empty()) at.fail("must be nested lists of numbers, none of them empty");
        tensor.shape.push_back(static_cast<int>(row->size()));
      }
      if (tensor.shape.empty()) at.fail("must be nested lists of numbers");
      fill(tensor, at, 0);
      return tensor;
    });
  }
  void choice(const char* key, Choice& value, std::initializer_list<const char*> names,
              const char*) override {
    const ConfigValue* given = given_at(key);
    if (given != nullptr) {
      const auto* word = given->as<std::string>();
      const auto at = word == nullptr ? names.end() : std::find(names.begin(), names.end(), *word);
      if (at == names.end()) {
        const std::vector<std::string> known = name_list(names);
        Place{base_, key, "", *given}.fail(fmt::format("must be one of {}", join(known)),
                                           word == nullptr ? "" : nearest_name(*word, known));
      }
      value.value = static_cast<int>(at - names.begin());
    }
    if (config_.recording_) record(key, to_value(value, name_list(names)), given);
  }

 private:
  /// A value and what messages call it.
  struct Place {
    const ConfigPath& base;
    std::string_view key;
    std::string index;  ///< "[2]" of an element
    const ConfigValue& value;

    Place element(std::size_t i) const {
      return {base, key, fmt::format("{}[{}]", index, i), (*value.as<List>())[i]};
    }
    [[noreturn]] void fail(const std::string& why, const std::string& nearest = {}) const {
      ConfigPath path = base;
      append_keys(path, key);
      throw make_error(value.origin, path.text() + index, value_text(value), why, nearest);
    }
  };

  /// What the configuration gives for `key`, null where nothing. Throws where something on the way
  /// is no table.
  const ConfigValue* given_at(std::string_view key) const {
    const ConfigValue* at = table_;
    for (std::size_t from = 0; at != nullptr;) {
      const std::size_t dot = std::min(key.find('.', from), key.size());
      const std::string_view part = key.substr(from, dot - from);
      const auto* table = at->as<Table>();
      if (table == nullptr) {
        Place{base_, key.substr(0, from - 1), "", *at}.fail(
            fmt::format("must be a table, with the key {}", part));
      }
      const ConfigEntry* entry = find_entry(*table, part);
      at = entry == nullptr ? nullptr : &entry->value;
      if (dot == key.size()) return at;
      from = dot + 1;
    }
    return nullptr;
  }

  void record(std::string_view key, ConfigValue taken, const ConfigValue* given) {
    if (given != nullptr) taken.origin = given->origin;
    ConfigPath path = base_;
    append_keys(path, key);
    config_.record(std::move(path), std::move(taken));
  }

  /// Reads a field where it is given, and records what it is in the end.
  template <class T, class Parse>
  void field(const char* key, T& value, const Parse& parse) {
    const ConfigValue* given = given_at(key);
    if (given != nullptr) value = parse(Place{base_, key, "", *given});
    if (config_.recording_) record(key, to_value(value), given);
  }

  static int64_t whole(const Place& at, Bounds bounds, const char* unit, const char* more) {
    const auto* value = at.value.as<int64_t>();
    if (value == nullptr || !in_bounds(*value, bounds)) {
      at.fail(allowed_text("whole number", bounds, unit) + more + whole_hint(at.value, bounds));
    }
    return *value;
  }

  /// A whole number that fits an int.
  static int small(const Place& at, Bounds bounds, const char* unit, const char* more = "") {
    using Limits = std::numeric_limits<int>;
    const auto* value = at.value.as<int64_t>();
    if (value != nullptr && (*value < Limits::min() || *value > Limits::max())) {
      bounds.min = std::max<double>(bounds.min, Limits::min());
      bounds.max = std::min<double>(bounds.max, Limits::max());
    }
    return static_cast<int>(whole(at, bounds, unit, more));
  }

  static double real(const Place& at, Bounds bounds, const char* unit, const char* more) {
    const std::optional<double> value = as_number(at.value);
    if (!value || *value < bounds.min || *value > bounds.max) {
      at.fail(allowed_text("number", bounds, unit) + more);
    }
    return *value;
  }

  template <class T, class Parse>
  static std::vector<T> list(const Place& at, const Parse& parse) {
    const auto* elements = at.value.as<List>();
    if (elements == nullptr) return {parse(at, ", or a list of such numbers")};
    if (elements->empty()) at.fail("must hold at least one number");
    std::vector<T> values;
    values.reserve(elements->size());
    for (std::size_t i = 0; i < elements->size(); ++i) values.push_back(parse(at.element(i), ""));
    return values;
  }

  /// Appends the numbers under `at`, which must have the shape that starts at `axis`.
  /// The payoffs of a Gambit file, [player][action of player 0][action of player 1]...
  static Tensor payoffs_of(const std::string& file, const Place& at) {
    if (!file.ends_with(".nfg")) at.fail("must be nested lists of numbers, or a Gambit .nfg file");
    NormalFormGame game;
    try {
      game = load_nfg(file);
    } catch (const IoError& error) {
      at.fail(error.what());
    }
    const std::size_t players = game.players.size();
    const std::size_t joint = game.payoffs.size() / players;
    Tensor tensor{std::vector<double>(game.payoffs.size()), {static_cast<int>(players)}};
    for (std::size_t i = 0; i < players; ++i) {
      tensor.shape.push_back(game.action_count(i));
      for (std::size_t j = 0; j < joint; ++j) {
        tensor.values[i * joint + j] = game.payoffs[j * players + i];
      }
    }
    return tensor;
  }
  static void fill(Tensor& tensor, const Place& at, std::size_t axis) {
    if (axis == tensor.shape.size()) {
      const std::optional<double> value = as_number(at.value);
      if (!value) at.fail("must be a number");
      tensor.values.push_back(*value);
      return;
    }
    const auto* row = at.value.as<List>();
    const auto size = static_cast<std::size_t>(tensor.shape[axis]);
    if (row == nullptr || row->size() != size) {
      at.fail(fmt::format("ragged: must be a list of {}, like the first one at this depth", size));
    }
    for (std::size_t i = 0; i < size; ++i) fill(tensor, at.element(i), axis + 1);
  }

  Config& config_;
  ConfigPath base_;
  const ConfigValue* table_;  ///< what stands there; null where nothing
};

void read(Config& config, std::string_view table,
          const std::function<void(FieldVisitor&)>& fields) {
  ConfigReader reader(config, table);
  fields(reader);
}

// ---- describing ----

namespace {

class Describer final : public FieldVisitor {
 public:
  std::vector<FieldInfo> take() { return std::move(fields_); }

  void operator()(const char* key, int& value, Bounds bounds, const char* unit,
                  const char* text) override {
    add(key, "whole", to_value(value), text, bounds, unit);
  }
  void operator()(const char* key, int64_t& value, Bounds bounds, const char* unit,
                  const char* text) override {
    add(key, "whole", to_value(value), text, bounds, unit);
  }
  void operator()(const char* key, double& value, Bounds bounds, const char* unit,
                  const char* text) override {
    add(key, "real", to_value(value), text, bounds, unit);
  }
  void operator()(const char* key, bool& value, const char* text) override {
    add(key, "bool", to_value(value), text);
  }
  void operator()(const char* key, std::string& value, const char* text) override {
    add(key, "string", to_value(value), text);
  }
  void operator()(const char* key, std::vector<double>& value, Bounds bounds, const char* unit,
                  const char* text) override {
    add(key, "reals", to_value(value), text, bounds, unit);
  }
  void operator()(const char* key, std::vector<int>& value, Bounds bounds, const char* unit,
                  const char* text) override {
    add(key, "wholes", to_value(value), text, bounds, unit);
  }
  void operator()(const char* key, Tensor& value, const char* unit, const char* text) override {
    add(key, "tensor", to_value(value), text, {}, unit);
  }
  void choice(const char* key, Choice& value, std::initializer_list<const char*> names,
              const char* text) override {
    const std::vector<std::string> known = name_list(names);
    add(key, "choice", to_value(value, known), text);
    fields_.back().choices = known;
  }

 private:
  void add(const char* key, const char* type, ConfigValue value, const char* text,
           Bounds bounds = {}, const char* unit = "") {
    fields_.push_back({key, type, std::move(value), bounds, unit, {}, text});
  }

  std::vector<FieldInfo> fields_;
};

}  // namespace

std::vector<FieldInfo> describe(const std::function<void(FieldVisitor&)>& fields) {
  Describer describer;
  fields(describer);
  return describer.take();
}

nlohmann::ordered_json to_json(const FieldInfo& field) {
  const bool whole = field.type == "whole" || field.type == "wholes";
  const auto bound = [&](double value) -> Json {
    if (!std::isfinite(value)) return nullptr;
    if (whole && std::abs(value) < 9e18) return static_cast<int64_t>(value);
    return value;
  };
  return {{"key", field.key},
          {"type", field.type},
          {"default", to_json(field.default_value)},
          {"min", bound(field.bounds.min)},
          {"max", bound(field.bounds.max)},
          {"unit", field.unit},
          {"choices", field.choices},
          {"text", field.text}};
}

}  // namespace cumarl
