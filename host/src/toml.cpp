/// \file
/// TOML in and out, by way of toml++ 3.3.0 as Debian has it. That version has undefined behaviour
/// on non-ASCII input, and no limit to the depth of dotted keys (its destructor then overflows
/// the stack), so both are refused before it sees the text.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/src/config.hpp"

#ifndef NDEBUG
#error "compile this file with -DNDEBUG: toml++ 3.3.0 aborts on malformed input such as \"[;\""
#endif
// With NDEBUG the same assertions turn into __builtin_assume under clang, which makes malformed
// input undefined behaviour. An assumption that does nothing leaves it to the checks after it.
#include <toml++/impl/preprocessor.h>
#undef TOML_ASSUME
#define TOML_ASSUME(...) static_assert(true)
#include <toml++/toml.h>

namespace cumarl {
namespace {

using Source = std::shared_ptr<const std::string>;

/// Limit to nested brackets, to the parts of a dotted key, and to the depth of the tree.
constexpr int kMaxDepth = 32;

ConfigError text_error(const Origin& origin, int line, const std::string& why) {
  ConfigProblem problem;
  problem.source = origin.source ? *origin.source : "";
  problem.line = line;
  problem.why = why;
  return ConfigError(std::move(problem));
}

/// Walks over text as far as strings, comments and brackets go.
class Scanner {
 public:
  /// `in_file`: lines are counted from 1; otherwise messages have no line.
  Scanner(std::string_view text, const Origin& origin, bool in_file)
      : text_(text), origin_(origin), in_file_(in_file) {}

  /// Throws ConfigError for bytes other than printable ASCII, tabs and line ends.
  void check_bytes() const {
    int line = 1;
    std::size_t line_start = 0;
    for (std::size_t i = 0; i < text_.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text_[i]);
      if (byte == '\n') {
        ++line;
        line_start = i + 1;
      } else if (byte >= 0x7f || (byte < 0x20 && byte != '\t' && byte != '\r')) {
        throw text_error(origin_, in_file_ ? line : 0,
                         fmt::format("column {}: byte 0x{:02x} is not ASCII text; write other "
                                     "characters as \"\\uXXXX\"",
                                     i - line_start + 1, byte));
      }
    }
  }

  /// Throws ConfigError where brackets or dotted keys go deeper than kMaxDepth. Returns whether
  /// there was a comment.
  bool check_depth() {
    bool comment = false;
    int brackets = 0;
    int dots = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'') {
        skip_string(c);
        continue;
      }
      if (c == '#') {
        comment = true;
        at_ = std::min(text_.find('\n', at_), text_.size());
        continue;
      }
      if (c == '[' || c == '{') ++brackets;
      if (c == ']' || c == '}') --brackets;
      if (c == '.') ++dots;
      if (c == '\n') ++line_;
      if (std::string_view(",=[]{}\n").find(c) != std::string_view::npos) dots = 0;
      if (brackets > kMaxDepth || dots >= kMaxDepth) {
        throw text_error(origin_, in_file_ ? line_ : 0,
                         fmt::format("nested deeper than {} levels", kMaxDepth));
      }
      ++at_;
    }
    return comment;
  }

 private:
  /// Moves behind the string that starts here. A line end stops a string of one line.
  void skip_string(char quote) {
    const std::string triple(3, quote);
    const bool multi_line = text_.substr(at_, 3) == triple;
    at_ += multi_line ? 3 : 1;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\n') {
        if (!multi_line) return;
        ++line_;
      }
      if (c == '\\' && quote == '"') {
        // An escaped line end still counts as a line.
        at_ += text_.substr(at_, 2) == "\\\n" ? 1 : 2;
        continue;
      }
      if (c == quote && (!multi_line || text_.substr(at_, 3) == triple)) {
        at_ += multi_line ? 3 : 1;
        // Up to two quotes may stand right before the closing three.
        for (int extra = 0; multi_line && extra < 2; ++extra) {
          if (at_ < text_.size() && text_[at_] == quote) ++at_;
        }
        return;
      }
      ++at_;
    }
  }

  std::string_view text_;
  Origin origin_;
  bool in_file_;
  std::size_t at_ = 0;
  int line_ = 1;
};

/// The way from the root to a node, for messages; costs nothing until one is needed.
struct Trail {
  const Trail* up = nullptr;
  std::string_view key;
  std::size_t index = 0;
  bool in_list = false;
  int depth = 0;

  std::string text() const {
    std::string before = up != nullptr ? up->text() : "";
    if (in_list) return fmt::format("{}[{}]", before, index);
    return before.empty() ? std::string(key) : fmt::format("{}.{}", before, key);
  }
};

/// Turns nodes of toml++ into nodes of ours.
class Converter {
 public:
  /// `in_file`: lines come from the nodes; otherwise there are none.
  Converter(Source source, bool in_file) : source_(std::move(source)), in_file_(in_file) {}

  ConfigValue convert(const toml::node& node, uint32_t line, const Trail& trail) const {
    ConfigValue value;
    value.origin = {source_, in_file_ ? static_cast<int>(line) : 0};
    if (trail.depth > kMaxDepth) {
      fail(value, trail, fmt::format("nested deeper than {} levels", kMaxDepth));
    }
    if (const auto* table = node.as_table()) {
      value.data = convert_table(*table, trail);
    } else if (const auto* array = node.as_array()) {
      value.data = convert_list(*array, trail);
    } else if (const auto* text = node.as_string()) {
      value.data = text->get();
    } else if (const auto* whole = node.as_integer()) {
      value.data = whole->get();
    } else if (const auto* real = node.as_floating_point()) {
      if (!std::isfinite(real->get())) fail(value, trail, "nan and inf are no values here");
      value.data = real->get();
    } else if (const auto* boolean = node.as_boolean()) {
      value.data = boolean->get();
    } else {
      fail(value, trail, "dates and times are no values here; quote it to make it a string");
    }
    return value;
  }

  ConfigValue::Table convert_table(const toml::table& table, const Trail& trail) const {
    std::vector<std::pair<const toml::key*, const toml::node*>> children;
    children.reserve(table.size());
    for (const auto& [key, node] : table) children.emplace_back(&key, &node);
    std::sort(children.begin(), children.end(), [](const auto& a, const auto& b) {
      return a.first->source().begin < b.first->source().begin;
    });
    ConfigValue::Table entries;
    entries.reserve(children.size());
    for (const auto& [key, node] : children) {
      const Trail here{&trail, key->str(), 0, false, trail.depth + 1};
      entries.push_back({std::string(key->str()), convert(*node, key->source().begin.line, here)});
    }
    return entries;
  }

 private:
  ConfigValue::List convert_list(const toml::array& array, const Trail& trail) const {
    ConfigValue::List list;
    list.reserve(array.size());
    for (const toml::node& node : array) {
      const Trail here{&trail, {}, list.size(), true, trail.depth + 1};
      list.push_back(convert(node, node.source().begin.line, here));
    }
    return list;
  }

  [[noreturn]] static void fail(const ConfigValue& value, const Trail& trail,
                                const std::string& why) {
    throw ConfigError({*value.origin.source, value.origin.line, trail.text(), "", why, ""});
  }

  Source source_;
  bool in_file_;
};

/// The Unicode code point at the start of `text`, and its length in bytes. Bytes that are not
/// UTF-8 give U+FFFD, one each.
std::pair<uint32_t, std::size_t> decode_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  constexpr std::pair<uint32_t, std::size_t> kBad{0xFFFD, 1};
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return kBad;
  uint32_t code = lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0u) != 0x80u) return kBad;
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kSmallest[length] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return kBad;
  return {code, length};
}

}  // namespace

namespace toml_text {

ConfigValue::Table parse_document(std::string_view text, const std::string& name) {
  const Origin origin{std::make_shared<const std::string>(name), 0};
  Scanner scanner(text, origin, true);
  scanner.check_bytes();
  scanner.check_depth();
  try {
    const toml::table document = toml::parse(text);
    return Converter(origin.source, true).convert_table(document, Trail{});
  } catch (const toml::parse_error& error) {
    const toml::source_position at = error.source().begin;
    throw text_error(origin, static_cast<int>(at.line),
                     fmt::format("column {}: {:.300}", at.column, error.description()));
  }
}

bool parse_value(std::string_view text, const std::string& key, const Origin& origin,
                 ConfigValue& value, std::string& why) {
  Scanner scanner(text, origin, false);
  scanner.check_bytes();
  if (scanner.check_depth()) {
    why = "a comment has no place here";
    return false;
  }
  try {
    const toml::table document = toml::parse(fmt::format("value = {}", text));
    Trail trail;
    trail.key = key;
    value = Converter(origin.source, false).convert(*document.get("value"), 0, trail);
    return true;
  } catch (const toml::parse_error& error) {
    why = fmt::format("{:.300}", error.description());
    return false;
  }
}

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const auto [code, length] = decode_utf8(text);
    if (code == '"' || code == '\\') {
      quoted += {'\\', static_cast<char>(code)};
    } else if (code >= 0x20 && code < 0x7F) {
      quoted += static_cast<char>(code);
    } else {
      quoted += code < 0x10000 ? fmt::format("\\u{:04X}", code) : fmt::format("\\U{:08X}", code);
    }
    text.remove_prefix(length);
  }
  return quoted + '"';
}

}  // namespace toml_text
}  // namespace cumarl
