#include "host/src/nfg.hpp"

#include <charconv>
#include <cmath>
#include <fstream>
#include <utility>

#include "cumarl/error.hpp"
#include "host/src/rational.hpp"
#include "kernels/solvers/strategies.hpp"

namespace cumarl {

namespace {

constexpr auto kMostPlayers = static_cast<std::size_t>(NormalFormView::kMaxPlayers);
constexpr std::streamoff kMostBytes = std::streamoff{256} << 20;

/// `text` with every byte that is not part of UTF-8 replaced by '?'.
std::string valid_utf8(std::string text) {
  for (std::size_t k = 0; k < text.size();) {
    const auto lead = static_cast<unsigned char>(text[k]);
    const std::size_t length = lead < 0x80                    ? 1
                               : lead >= 0xC2 && lead <= 0xDF ? 2
                               : lead >= 0xE0 && lead <= 0xEF ? 3
                               : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                              : 0;
    bool good = length > 0 && k + length <= text.size();
    for (std::size_t t = 1; good && t < length; ++t) {
      const auto next = static_cast<unsigned char>(text[k + t]);
      good = next >= 0x80 && next <= 0xBF;
      // Overlong forms, surrogates and what lies beyond the last code point.
      if (t == 1 && lead == 0xE0) good = good && next >= 0xA0;
      if (t == 1 && lead == 0xED) good = good && next <= 0x9F;
      if (t == 1 && lead == 0xF0) good = good && next >= 0x90;
      if (t == 1 && lead == 0xF4) good = good && next <= 0x8F;
    }
    if (!good) text[k] = '?';
    k += good ? length : 1;
  }
  return text;
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  NormalFormGame game() {
    header();
    NormalFormGame game;
    skip_blanks();
    game.name = quoted("the game's title in quotation marks");
    player_names(game);
    strategies(game);
    sizes(game);
    skip_blanks();
    if (peek() == '"') {
      quoted("a comment");
      skip_blanks();
    }
    if (peek() == '{') {
      outcomes(game);
    } else {
      payoffs(game);
    }
    skip_blanks();
    if (at_ < text_.size()) fail("the end of the file after the last payoff");
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      auto& names = game.actions[i];
      while (static_cast<int64_t>(names.size()) < counts_[i]) {
        names.push_back(std::to_string(names.size() + 1));
      }
    }
    return game;
  }

 private:
  [[noreturn]] void fail_at(std::size_t at, const std::string& why) const {
    int line = 1;
    std::size_t start = 0;
    for (std::size_t k = 0; k < at && k < text_.size(); ++k) {
      if (text_[k] == '\n') {
        ++line;
        start = k + 1;
      }
    }
    throw ConfigError({.source = source_,
                       .line = line,
                       .key = "column " + std::to_string(at - start + 1),
                       .why = why});
  }
  /// The token here is not what the format wants.
  [[noreturn]] void fail(const std::string& expected) const {
    std::size_t end = at_;
    while (end < text_.size() && end < at_ + 40 && !is_blank(text_[end])) ++end;
    const std::string found =
        at_ >= text_.size() ? std::string("the end of the file")
                            : '"' + valid_utf8(std::string(text_.substr(at_, end - at_))) + '"';
    fail_at(at_, "expected " + expected + ", not " + found);
  }

  static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_blanks() {
    while (at_ < text_.size() && is_blank(text_[at_])) ++at_;
  }
  void open(const std::string& expected) {
    skip_blanks();
    if (peek() != '{') fail("{ and " + expected);
    ++at_;
  }
  /// True at a }, which is taken.
  bool closes() {
    skip_blanks();
    if (peek() != '}') return false;
    ++at_;
    return true;
  }
  std::string_view word() {
    skip_blanks();
    const std::size_t start = at_;
    while (at_ < text_.size() && !is_blank(text_[at_]) && text_[at_] != '{' && text_[at_] != '}' &&
           text_[at_] != '"' && text_[at_] != ',') {
      ++at_;
    }
    return text_.substr(start, at_ - start);
  }

  void header() {
    const auto expect = [this](std::string_view wanted, const std::string& what) {
      skip_blanks();
      const std::size_t start = at_;
      if (word() == wanted) return;
      at_ = start;
      fail(what);
    };
    expect("NFG", "NFG, which every such file starts with");
    expect("1", "the format's version 1");
    skip_blanks();
    const std::size_t start = at_;
    const std::string_view kind = word();
    if (kind != "R" && kind != "D") {
      at_ = start;
      fail("R or D");
    }
  }

  std::string quoted(const std::string& expected) {
    if (peek() != '"') fail(expected);
    const std::size_t start = at_;
    std::string out;
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      const bool escaped = text_[at_] == '\\' && at_ + 1 < text_.size() &&
                           (text_[at_ + 1] == '"' || text_[at_ + 1] == '\\');
      if (escaped) ++at_;
      out += text_[at_];
    }
    if (at_ >= text_.size()) fail_at(start, "this quotation mark is never closed");
    ++at_;
    return valid_utf8(std::move(out));
  }

  void player_names(NormalFormGame& game) {
    open("the players' names");
    while (!closes()) {
      if (game.players.size() == kMostPlayers) {
        fail_at(at_,
                "more players than this program takes: at most " + std::to_string(kMostPlayers));
      }
      game.players.push_back(quoted("a player's name in quotation marks, or }"));
    }
    if (game.players.empty()) fail_at(at_ - 1, "expected a player's name, not }");
  }

  void strategies(NormalFormGame& game) {
    open("the players' strategies, counted or named");
    skip_blanks();
    const bool named = peek() == '{';
    for (std::size_t i = 0; i < game.players.size(); ++i) {
      std::vector<std::string> names;
      if (named) {
        open("the names of player " + std::to_string(i + 1) + "'s strategies");
        const std::size_t start = at_ - 1;
        while (!closes()) names.push_back(quoted("a strategy's name in quotation marks, or }"));
        if (names.empty()) fail_at(start, "a player needs at least one strategy");
        skip_blanks();
      } else {
        const int64_t count = whole(1, kMostPayoffs, "the number of a player's strategies");
        check_size(count, game.players.size());
        counts_.push_back(count);
      }
      if (named) {
        check_size(static_cast<int64_t>(names.size()), game.players.size());
        counts_.push_back(static_cast<int64_t>(names.size()));
      }
      game.actions.push_back(std::move(names));
    }
    if (!closes()) {
      fail("} after the strategies of " + std::to_string(game.players.size()) +
           (game.players.size() == 1 ? " player" : " players"));
    }
  }
  void check_size(int64_t count, std::size_t players) {
    if (count > kMostPayoffs / cells_ / static_cast<int64_t>(players)) {
      fail_at(at_, "more payoffs than this program takes: at most " + std::to_string(kMostPayoffs) +
                       " (joint strategies times players)");
    }
    cells_ *= count;
  }
  void sizes(NormalFormGame& game) {
    const std::size_t count = static_cast<std::size_t>(cells_) * game.players.size();
    game.payoffs.assign(count, 0.0);
    if (static_cast<int64_t>(count) <= kMostExactPayoffs) game.exact.assign(count, "0");
  }

  int64_t whole(int64_t least, int64_t most, const std::string& what) {
    skip_blanks();
    const std::size_t start = at_;
    const std::string_view text = word();
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error == std::errc::invalid_argument || end != text.data() + text.size()) {
      at_ = start;
      fail(what);
    }
    if (error != std::errc() || value < least || value > most) {
      fail_at(start, what + " must be from " + std::to_string(least) + " to " +
                         std::to_string(most) + ", not " + std::string(text.substr(0, 40)));
    }
    return value;
  }

  /// A payoff: its value and its text. `what()` says what it is, for the error.
  template <class What>
  std::pair<double, std::string_view> number(const What& what) {
    skip_blanks();
    const std::size_t start = at_;
    const std::string_view text = word();
    std::string_view digits = text;
    if (digits.starts_with('+')) digits.remove_prefix(1);
    double value = 0;
    const bool plain =
        !digits.empty() && digits.find_first_not_of("0123456789.-eE+") == std::string_view::npos;
    if (plain && text.size() <= 1000) {
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (error == std::errc() && end == digits.data() + digits.size() &&
          !(text.starts_with('+') && digits.starts_with('-'))) {
        return {value, text};
      }
      if (error == std::errc::result_out_of_range) {
        fail_at(start, std::string(text.substr(0, 40)) + " is beyond the range of a double");
      }
    } else if (const auto exact = parse_rational(text)) {
      value = to_double(*exact);
      if (std::isfinite(value)) return {value, text};
      fail_at(start, std::string(text.substr(0, 40)) + " is beyond the range of a double");
    }
    at_ = start;
    fail(what() + ": a number like 3, -0.5, 1e-3 or 2/3");
  }

  /// The position in our table of the cell that comes `k`th in a file, where player 0's strategy
  /// runs fastest.
  std::size_t cell(int64_t k) const {
    int64_t weight = cells_;
    int64_t joint = 0;
    for (const int64_t count : counts_) {
      weight /= count;
      joint += k % count * weight;
      k /= count;
    }
    return static_cast<std::size_t>(joint);
  }
  void set(NormalFormGame& game, std::size_t joint, std::size_t player, double value,
           std::string_view text) {
    const std::size_t k = joint * game.players.size() + player;
    game.payoffs[k] = value;
    if (!game.exact.empty()) game.exact[k] = text;
  }

  void payoffs(NormalFormGame& game) {
    for (int64_t k = 0; k < cells_; ++k) {
      const std::size_t joint = cell(k);
      for (std::size_t i = 0; i < game.players.size(); ++i) {
        const auto [value, text] = number([&] {
          const auto count = static_cast<int64_t>(game.players.size());
          return "payoff " + std::to_string(k * count + static_cast<int64_t>(i) + 1) + " of " +
                 std::to_string(cells_ * count);
        });
        set(game, joint, i, value, text);
      }
    }
  }

  void outcomes(NormalFormGame& game) {
    const std::size_t players = game.players.size();
    std::vector<std::pair<double, std::string_view>> table;
    open("the outcomes");
    while (!closes()) {
      open("an outcome's name and payoffs, or }");
      skip_blanks();
      if (peek() == '"') quoted("an outcome's name");
      for (std::size_t i = 0; i < players; ++i) {
        table.push_back(number([i] { return "the payoff of player " + std::to_string(i + 1); }));
        skip_blanks();
        if (peek() == ',') ++at_;
      }
      if (!closes()) fail("} after an outcome's " + std::to_string(players) + " payoffs");
    }
    const auto count = static_cast<int64_t>(table.size() / players);
    for (int64_t k = 0; k < cells_; ++k) {
      const int64_t outcome = whole(0, count, "the number of an outcome (0: all get 0)");
      if (outcome == 0) continue;
      const std::size_t joint = cell(k);
      for (std::size_t i = 0; i < players; ++i) {
        const auto& [value, text] = table[static_cast<std::size_t>(outcome - 1) * players + i];
        set(game, joint, i, value, text);
      }
    }
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
  int64_t cells_ = 1;            ///< joint strategies of the players read so far
  std::vector<int64_t> counts_;  ///< their strategies
};

}  // namespace

NormalFormGame make_game(std::string name, const std::vector<int>& actions,
                         std::vector<double> payoffs) {
  NormalFormGame game;
  game.name = std::move(name);
  game.payoffs = std::move(payoffs);
  for (std::size_t i = 0; i < actions.size(); ++i) {
    game.players.push_back("Player " + std::to_string(i + 1));
    game.actions.emplace_back();
    for (int a = 1; a <= actions[i]; ++a) game.actions.back().push_back(std::to_string(a));
  }
  return game;
}

NormalFormGame read_nfg(std::string_view text, const std::string& source) {
  NormalFormGame game = Reader(text, source).game();
  if (game.name.empty()) game.name = source;
  return game;
}

NormalFormGame load_nfg(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw IoError(path, "cannot be opened");
  std::string text;
  char block[65536];
  while (file.read(block, sizeof block) || file.gcount() > 0) {
    text.append(block, static_cast<std::size_t>(file.gcount()));
    if (static_cast<std::streamoff>(text.size()) > kMostBytes) {
      throw IoError(path, "is larger than the 256 MiB that a game may have");
    }
  }
  if (file.bad() || (!file.eof() && file.fail())) throw IoError(path, "cannot be read");
  return read_nfg(text, path);
}

}  // namespace cumarl
