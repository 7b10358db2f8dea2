/// \file
/// The errors that cuMARL throws. Every message is one line, ready to be shown to a user.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cumarl {

/// Base of all errors thrown by cuMARL. Control characters in the message are written as `\xNN`,
/// so that it stays on one line whatever a file or a command line held.
class Error : public std::runtime_error {
 public:
  explicit Error(std::string_view message) : std::runtime_error(one_line(message)) {}

  /// `text` with every control character replaced by `\xNN`.
  static std::string one_line(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string line;
    line.reserve(text.size());
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte >= 0x20 && byte != 0x7f) {
        line += c;
      } else {
        line += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15u]};
      }
    }
    return line;
  }
};

/// What is wrong with a configuration, part by part. Parts that do not apply are empty or 0.
struct ConfigProblem {
  std::string source = {};   ///< file name, "--set learner.alpha=x", "default"
  int line = 0;              ///< 1-based line in the file
  std::string key = {};      ///< full path: "learner.alpha", "learner[1].alpha", "env.quality[2]"
  std::string value = {};    ///< the value as TOML text, shortened when long
  std::string why = {};      ///< what is allowed, or what is wrong
  std::string nearest = {};  ///< the nearest valid name
};

/// A configuration that cannot be used. Messages read
///
///     experiment.toml:12: learner.alhpa: unknown key; did you mean "learner.alpha"?
///     experiment.toml:7: env.firms = 9: must be a whole number from 2 to 6
///     --set learner.alpha=x: must be a number from 0 to 1
class ConfigError : public Error {
 public:
  explicit ConfigError(ConfigProblem problem)
      : Error(message(problem)), problem_(std::move(problem)) {}

  const ConfigProblem& problem() const { return problem_; }

 private:
  static std::string message(const ConfigProblem& p) {
    std::string text = p.source;
    if (p.line > 0) text += ':' + std::to_string(p.line);
    // "--set KEY=VALUE" already says key and value.
    if (!p.key.empty() && !p.source.starts_with("--set " + p.key + '=')) {
      if (!text.empty()) text += ": ";
      text += p.key;
      if (!p.value.empty()) text += " = " + p.value;
    }
    if (!text.empty()) text += ": ";
    text += p.why;
    if (!p.nearest.empty()) text += "; did you mean \"" + p.nearest + "\"?";
    return text;
  }

  ConfigProblem problem_;
};

/// A device that was asked for and is not there. There is no silent fallback.
class DeviceError : public Error {
 public:
  /// `asked`: as the user wrote it ("cuda:2"). `present`: the devices that could be asked for
  /// ("cpu", "cuda:0"). `why`: what is missing, "" where there is nothing to add.
  DeviceError(std::string asked, std::vector<std::string> present, std::string_view why = {})
      : Error(message(asked, present, why)),
        asked_(std::move(asked)),
        present_(std::move(present)) {}

  const std::string& asked() const { return asked_; }
  const std::vector<std::string>& present() const { return present_; }

 private:
  static std::string message(const std::string& asked, const std::vector<std::string>& present,
                             std::string_view why) {
    std::string text = "device \"" + asked + "\" is not there";
    if (!why.empty()) text += std::string(" (") + std::string(why) + ')';
    text += "; present: ";
    if (present.empty()) text += "none";
    for (std::size_t i = 0; i < present.size(); ++i) text += (i > 0 ? ", " : "") + present[i];
    return text;
  }

  std::string asked_;
  std::vector<std::string> present_;
};

/// A call into the CUDA runtime or one of its libraries that failed.
class CudaError : public Error {
 public:
  /// `expression`, `file`, `line`: the failing call. `text`: the runtime's own words.
  CudaError(std::string expression, std::string file, int line, std::string text)
      : Error(file + ':' + std::to_string(line) + ": " + expression + ": " + text),
        expression_(std::move(expression)),
        file_(std::move(file)),
        line_(line),
        text_(std::move(text)) {}

  const std::string& expression() const { return expression_; }
  const std::string& file() const { return file_; }
  int line() const { return line_; }
  const std::string& text() const { return text_; }

 private:
  std::string expression_;
  std::string file_;
  int line_;
  std::string text_;
};

/// A file or directory that could not be read or written.
class IoError : public Error {
 public:
  IoError(std::string path, std::string_view why)
      : Error(path + ": " + std::string(why)), path_(std::move(path)) {}

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace cumarl
