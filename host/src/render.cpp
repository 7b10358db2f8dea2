#include "host/src/render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace cumarl {
namespace {

constexpr size_t kLineWidth = 78;  // of the agents' lines

/// 'A', 'B', ... as in pictures; numbers from the 27th agent on.
std::string agent_name(int agent) {
  return agent < 26 ? std::string(1, static_cast<char>('A' + agent)) : std::to_string(agent);
}

std::string action_text(const Cast& cast, int action) {
  return cast.actions.empty() ? std::to_string(action) : cast.actions[static_cast<size_t>(action)];
}

/// Short, and without a minus before 0.
std::string reward_text(float reward) { return fmt::format("{:.4g}", reward + 0.0F); }

char printable(char c) { return c >= ' ' && c <= '~' ? c : '?'; }

char symbol_at(const Picture& picture, size_t cell) {
  return printable(picture.glyphs[cell].symbol);
}

char mark_at(const Picture& picture, size_t cell) {
  return picture.marks.empty() ? ' ' : printable(picture.marks[cell]);
}

/// `text` in the nearest colour of the palette's 6 x 6 x 6 cube, whose levels are 0, 95, 135, ...
std::string colored(const std::string& text, uint32_t rgb) {
  const auto level = [rgb](int shift) {
    const uint32_t value = (rgb >> shift) & 255;
    return value < 48 ? 0U : value < 115 ? 1U : (value - 35) / 40;
  };
  return fmt::format("\033[1;38;5;{}m{}\033[0m", 16 + 36 * level(16) + 6 * level(8) + level(0),
                     text);
}

/// The agent's colour in a picture; false if it is not there.
bool color_of(const std::string& name, const Picture& picture, uint32_t& rgb) {
  for (const Glyph& glyph : picture.glyphs) {
    if (name.size() == 1 && glyph.symbol == name[0]) {
      rgb = glyph.rgb;
      return true;
    }
  }
  return false;
}

std::string rtrim(std::string text) {
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

// ---- SVG ---------------------------------------------------------------------------------------

constexpr int kCell = 36, kMargin = 14, kTop = 44, kAgentLine = 22, kAgentWidth = 190, kDigit = 9;
constexpr const char* kInk = "#1f2933";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      default: out += printable(c);
    }
  }
  return out;
}

/// Whether dark letters read better on this colour than white ones.
bool is_light(uint32_t rgb) {
  const uint32_t r = (rgb >> 16) & 255, g = (rgb >> 8) & 255, b = rgb & 255;
  return 299 * r + 587 * g + 114 * b > 150'000;
}

/// The frames at which something is seen.
using Shown = std::vector<bool>;

/// When elements come and go.
class Timeline {
 public:
  Timeline(size_t frames, int fps) : frames_(frames), total_(frames + static_cast<size_t>(fps)) {
    duration_ = fmt::format("{:.6g}s", static_cast<double>(total_) / fps);
  }

  /// `element` without its end, such as "<use x=\"3\"" and "use", with `content`, at those frames.
  std::string at(const std::string& element, const char* tag, const std::string& content,
                 const Shown& shown) const {
    std::string values, times;
    for (size_t k = 0; k < frames_; ++k) {
      if (k > 0 && shown[k] == shown[k - 1]) continue;
      if (k > 0) values += ';', times += ';';
      values += shown[k] ? '1' : '0';
      times += fmt::format("{:.6g}", static_cast<double>(k) / static_cast<double>(total_));
    }
    if (values == "0") return "";
    if (values == "1") {
      return content.empty() ? element + "/>\n"
                             : fmt::format("{}>{}</{}>\n", element, content, tag);
    }
    return fmt::format(
        "{}{}>{}<animate attributeName=\"opacity\" calcMode=\"discrete\" "
        "repeatCount=\"indefinite\" "
        "dur=\"{}\" values=\"{}\" keyTimes=\"{}\"/></{}>\n",
        element, shown[0] ? "" : " opacity=\"0\"", content, duration_, values, times, tag);
  }

  /// A place for one text, which changes from frame to frame; empty texts show nothing.
  std::string texts(const std::string& element, const std::vector<std::string>& texts) const {
    std::map<std::string, Shown> by_text;
    for (size_t k = 0; k < frames_; ++k) {
      if (!texts[k].empty()) by_text.try_emplace(texts[k], Shown(frames_)).first->second[k] = true;
    }
    std::string out;
    for (const auto& [text, shown] : by_text) out += at(element, "text", escaped(text), shown);
    return out;
  }

 private:
  size_t frames_, total_;
  std::string duration_;
};

/// A cell's content as the element that <use> repeats.
std::string glyph_definition(size_t id, char symbol, char mark, uint32_t rgb) {
  if (symbol == '#') {
    return fmt::format("<g id=\"g{}\"><rect width=\"{}\" height=\"{}\" fill=\"#{:06x}\"/></g>\n",
                       id, kCell, kCell, rgb);
  }
  const std::string small = mark == ' ' ? ""
                                        : fmt::format("<tspan font-size=\"12\" dy=\"4\">{}</tspan>",
                                                      escaped(std::string(1, mark)));
  return fmt::format(
      "<g id=\"g{}\"><rect x=\"3\" y=\"3\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"#{:06x}\"/>"
      "<text x=\"{}\" y=\"25\" text-anchor=\"middle\" font-size=\"19\" font-weight=\"bold\" "
      "fill=\"{}\">{}{}</text></g>\n",
      id, kCell - 6, kCell - 6, rgb, kCell / 2, is_light(rgb) ? kInk : "#ffffff",
      escaped(std::string(1, symbol)), small);
}

}  // namespace

std::vector<std::string> action_names(const std::string& text, int count) {
  std::vector<std::string> names;
  size_t at = 0;
  for (int k = 0; k < count; ++k) {
    const std::string number = std::to_string(k) + ' ';
    if (at >= text.size() || text.compare(at, number.size(), number) != 0) return {};
    at += number.size();
    const size_t end = std::min(text.find_first_of(",;(", at), text.size());
    names.push_back(rtrim(text.substr(at, end - at)));
    if (names.back().empty()) return {};
    at = std::min(text.find_first_not_of(", ", end), text.size());
  }
  return names;
}

std::string to_text(const Cast& cast, const Frame& frame, bool color) {
  const Picture& picture = frame.picture;
  const auto cols = static_cast<size_t>(picture.cols);
  const bool marks = !picture.marks.empty();
  const std::string border = '+' + std::string((marks ? 3 : 2) * cols + 1, '-') + "+\n";
  std::string out = frame.t < 0 ? fmt::format("{}, start\n", cast.env)
                                : fmt::format("{}, t {}\n", cast.env, frame.t);
  out += border;
  for (size_t row = 0; row < static_cast<size_t>(picture.rows); ++row) {
    out += '|';
    for (size_t cell = row * cols; cell < (row + 1) * cols; ++cell) {
      const char symbol = symbol_at(picture, cell);
      std::string text(1, symbol == ' ' ? '.' : symbol);
      if (marks) text += mark_at(picture, cell);
      const uint32_t floor = 0x5F5F5F;
      if (color) text = colored(text, symbol == ' ' ? floor : picture.glyphs[cell].rgb);
      out += ' ' + text;
    }
    out += " |\n";
  }
  out += border;

  size_t name_width = agent_name(cast.agents - 1).size(), action_width = 1;
  for (const std::string& name : cast.actions) action_width = std::max(action_width, name.size());
  if (cast.agents >= 26) name_width = std::max(name_width, size_t{2});
  const size_t width = name_width + action_width + 12;  // two blanks, ten places for the reward
  const size_t per_line = std::max(size_t{1}, (kLineWidth + 2) / (width + 2));
  std::string line;
  size_t blanks = 0;  // not yet written: a line ends without them
  for (int i = 0; i < cast.agents; ++i) {
    const auto agent = static_cast<size_t>(i);
    const std::string name = agent_name(i);
    std::string rest;
    if (frame.t >= 0) {
      rest = fmt::format("{:{}} {:<{}} {}", "", name_width - name.size(),
                         action_text(cast, frame.actions[agent]), action_width,
                         reward_text(frame.rewards[agent]));
    }
    uint32_t rgb = 0;
    line += std::string(blanks, ' ');
    line += color && color_of(name, picture, rgb) ? colored(name, rgb) : name;
    line += rest;
    const size_t used = name.size() + rest.size();
    blanks = used < width ? width - used + 2 : 2;
    if ((agent + 1) % per_line == 0 || i + 1 == cast.agents) {
      out += line + '\n';
      line.clear();
      blanks = 0;
    }
  }
  return out;
}

std::string to_svg(const Cast& cast, const std::vector<Frame>& frames, int fps) {
  const size_t n = frames.size();
  const int rows = frames[0].picture.rows, cols = frames[0].picture.cols;
  const int per_line = std::max(1, std::min(cast.agents, cols * kCell / kAgentWidth));
  const int agent_lines = (cast.agents + per_line - 1) / per_line;
  const int width = 2 * kMargin + std::max(cols * kCell, per_line * kAgentWidth);
  const int below = kTop + rows * kCell;
  const int height = below + agent_lines * kAgentLine + kMargin;
  const Timeline time(n, fps);

  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" role=\"img\" font-family=\"ui-monospace, Menlo, Consolas, "
      "'DejaVu Sans Mono', monospace\" font-size=\"14\" fill=\"{2}\">\n"
      "<title>{3}: an episode of {4} joint steps</title>\n<desc>{5} frames, {6} a second</desc>\n",
      width, height, kInk, escaped(cast.env), frames.back().t + 1, n, fps);

  // Every glyph that occurs, and at which frames it stands in which cell.
  std::map<std::tuple<char, char, uint32_t>, size_t> glyphs;
  std::map<std::pair<size_t, size_t>, Shown> shown;  // by cell and glyph
  for (size_t k = 0; k < n; ++k) {
    const Picture& picture = frames[k].picture;
    for (size_t cell = 0; cell < picture.glyphs.size(); ++cell) {
      const char symbol = symbol_at(picture, cell);
      if (symbol == ' ') continue;
      const uint32_t rgb = picture.glyphs[cell].rgb & 0xFFFFFF;
      const size_t id =
          glyphs.try_emplace({symbol, mark_at(picture, cell), rgb}, glyphs.size()).first->second;
      shown.try_emplace({cell, id}, Shown(n)).first->second[k] = true;
    }
  }
  out += "<defs>\n";
  for (const auto& [glyph, id] : glyphs) {
    out += glyph_definition(id, std::get<0>(glyph), std::get<1>(glyph), std::get<2>(glyph));
  }
  out += fmt::format(
      "</defs>\n<rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"#ffffff\" "
      "stroke=\"#cbd2d9\"/>\n<text x=\"{}\" y=\"28\" font-weight=\"bold\">{}</text>\n",
      width - 1, height - 1, kMargin, escaped(cast.env));

  // The counter, digit by digit: ten elements a place however many frames there are.
  const size_t places = std::to_string(std::max(frames.back().t, int64_t{0})).size();
  std::vector<std::vector<std::string>> digits(places, std::vector<std::string>(n));
  std::vector<std::string> label(n, "t");
  for (size_t k = 0; k < n; ++k) {
    if (frames[k].t < 0) {
      label[k] = "";
      continue;
    }
    const std::string t = std::to_string(frames[k].t);
    for (size_t place = 0; place < t.size(); ++place) {
      digits[place][k] = std::string(1, t[t.size() - 1 - place]);
    }
  }
  const int right = width - kMargin;
  std::vector<std::string> start(n);
  start[0] = frames[0].t < 0 ? "start" : "";
  out += time.texts(fmt::format("<text x=\"{}\" y=\"28\" text-anchor=\"end\"", right), start);
  out += time.texts(fmt::format("<text x=\"{}\" y=\"28\" text-anchor=\"end\"",
                                right - kDigit * (static_cast<int>(places) + 1)),
                    label);
  for (size_t place = 0; place < places; ++place) {
    out += time.texts(fmt::format("<text x=\"{}\" y=\"28\" text-anchor=\"end\"",
                                  right - kDigit * static_cast<int>(place)),
                      digits[place]);
  }

  // The grid, and what stands on it.
  out += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"#f5f7fa\"/>\n",
                     kMargin, kTop, cols * kCell, rows * kCell);
  std::string lines;
  for (int row = 0; row <= rows; ++row) {
    lines += fmt::format("M{} {}h{}", kMargin, kTop + row * kCell, cols * kCell);
  }
  for (int col = 0; col <= cols; ++col) {
    lines += fmt::format("M{} {}v{}", kMargin + col * kCell, kTop, rows * kCell);
  }
  out += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"#cbd2d9\"/>\n", lines);
  for (const auto& [where, when] : shown) {
    const int row = static_cast<int>(where.first) / cols,
              col = static_cast<int>(where.first) % cols;
    out += time.at(fmt::format("<use href=\"#g{}\" x=\"{}\" y=\"{}\"", where.second,
                               kMargin + col * kCell, kTop + row * kCell),
                   "use", "", when);
  }

  // The agents' actions and rewards.
  for (int i = 0; i < cast.agents; ++i) {
    const int x = kMargin + (i % per_line) * kAgentWidth;
    const int y = below + (i / per_line + 1) * kAgentLine;
    uint32_t rgb = 0x1f2933;
    for (const Frame& frame : frames) {
      if (color_of(agent_name(i), frame.picture, rgb)) break;
    }
    out += fmt::format(
        "<rect x=\"{}\" y=\"{}\" width=\"10\" height=\"10\" rx=\"2\" fill=\"#{:06x}\"/>"
        "<text x=\"{}\" y=\"{}\" font-weight=\"bold\">{}</text>\n",
        x, y - 10, rgb & 0xFFFFFF, x + 16, y, agent_name(i));
    std::vector<std::string> actions(n), rewards(n);
    for (size_t k = 0; k < n; ++k) {
      if (frames[k].t < 0) continue;
      actions[k] = action_text(cast, frames[k].actions[static_cast<size_t>(i)]);
      rewards[k] = reward_text(frames[k].rewards[static_cast<size_t>(i)]);
    }
    out += time.texts(fmt::format("<text x=\"{}\" y=\"{}\"", x + 44, y), actions);
    out += time.texts(
        fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"end\"", x + kAgentWidth - 20, y),
        rewards);
  }
  return out + "</svg>\n";
}

}  // namespace cumarl
