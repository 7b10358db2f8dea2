#include "host/src/nash_search.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

namespace cumarl {

namespace {

constexpr int kMostUnknowns = 10;
/// Points without an isolated equilibrium after which a choice of supports is given up.
constexpr int kMostDegenerate = 50;

using Vector = std::vector<double>;
using Matrix = std::vector<Vector>;

struct Box {
  Vector low;
  Vector high;
};

/// Pivots of matrices of differences of payoffs, the range of payoffs being 1.
constexpr double kSingular = 1e-9;

/// The inverse of a square matrix; empty if it is (nearly) singular.
Matrix inverse(Matrix a) {
  const std::size_t n = a.size();
  Matrix out(n, Vector(n, 0.0));
  for (std::size_t k = 0; k < n; ++k) out[k][k] = 1.0;
  for (std::size_t c = 0; c < n; ++c) {
    std::size_t top = c;
    for (std::size_t r = c + 1; r < n; ++r) {
      if (std::fabs(a[r][c]) > std::fabs(a[top][c])) top = r;
    }
    if (std::fabs(a[top][c]) < kSingular) return {};
    std::swap(a[c], a[top]);
    std::swap(out[c], out[top]);
    const double scale = 1.0 / a[c][c];
    for (std::size_t k = 0; k < n; ++k) {
      a[c][k] *= scale;
      out[c][k] *= scale;
    }
    for (std::size_t r = 0; r < n; ++r) {
      const double factor = a[r][c];
      if (r == c || factor == 0.0) continue;
      for (std::size_t k = 0; k < n; ++k) {
        a[r][k] -= factor * a[c][k];
        out[r][k] -= factor * out[c][k];
      }
    }
  }
  return out;
}

class Search {
 public:
  explicit Search(const NormalFormView& game) : game_(game) {
    double low = game.payoffs[0];
    double high = low;
    for (int k = 0; k < game.joint * game.players; ++k) {
      low = std::min(low, game.payoffs[k]);
      high = std::max(high, game.payoffs[k]);
    }
    range_ = high > low ? high - low : 1.0;
    for (int i = 0; i < game.players; ++i)
      profile_size_ += static_cast<std::size_t>(game.actions[i]);
  }

  NashSearch run() {
    for (int cell = 0; cell < game_.joint; ++cell) {
      if (!is_pure_nash(game_, cell)) continue;
      Vector profile(profile_size_, 0.0);
      for (int i = 0; i < game_.players; ++i) {
        profile[static_cast<std::size_t>(game_.offset[i] + game_.action_of(cell, i))] = 1.0;
      }
      found_.profiles.push_back(std::move(profile));
    }
    if (game_.players > 1) supports(0);  // one player: the pure ones are the extreme ones
    std::sort(found_.profiles.begin(), found_.profiles.end(), std::greater<>());
    return std::move(found_);
  }

 private:
  bool spent() {
    if (work_ > kMostSearchWork) found_.complete = false;
    return work_ > kMostSearchWork;
  }

  /// Tries all supports of the players from `player` on.
  void supports(int player) {
    if (spent()) return;
    if (player >= game_.players || player >= NormalFormView::kMaxPlayers) {
      solve();
      return;
    }
    if (game_.actions[player] > 20) {
      found_.complete = false;
      return;
    }
    for (uint32_t set = 1; set < uint32_t{1} << game_.actions[player]; ++set) {
      support_[player].clear();
      for (int a = 0; a < game_.actions[player]; ++a) {
        if ((set >> a & 1u) != 0) support_[player].push_back(a);
      }
      supports(player + 1);
      if (spent()) return;
    }
  }

  /// The profile where the unknowns, each player's probabilities but the first of its support, are
  /// `at`.
  void spread(const Vector& at, Vector& profile) const {
    std::fill(profile.begin(), profile.end(), 0.0);
    std::size_t k = 0;
    for (int i = 0; i < game_.players; ++i) {
      double rest = 1.0;
      for (std::size_t a = 1; a < support_[i].size(); ++a, ++k) {
        profile[static_cast<std::size_t>(game_.offset[i] + support_[i][a])] = at[k];
        rest -= at[k];
      }
      profile[static_cast<std::size_t>(game_.offset[i] + support_[i][0])] = rest;
    }
  }
  /// What playing another action than the first of the support gains: first those of the
  /// supports, one an unknown, then the actions outside of them.
  void gains(const Vector& at, Vector& inside, Vector& outside) {
    Vector profile(profile_size_);
    spread(at, profile);
    inside.clear();
    outside.clear();
    for (int i = 0; i < game_.players; ++i) {
      const double base = action_value(game_, profile.data(), i, support_[i][0]);
      std::size_t next = 0;
      for (int a = 0; a < game_.actions[i]; ++a) {
        const bool in = next < support_[i].size() && support_[i][next] == a;
        if (in && next++ == 0) continue;
        const double gain = (action_value(game_, profile.data(), i, a) - base) / range_;
        (in ? inside : outside).push_back(gain);
      }
      work_ += static_cast<double>(game_.joint);
    }
  }

  void solve() {
    unknowns_ = 0;
    for (int i = 0; i < game_.players; ++i) unknowns_ += support_[i].size() - 1;
    if (unknowns_ == 0) return;  // pure: listed already
    if (unknowns_ > kMostUnknowns) {
      found_.complete = false;
      return;
    }
    std::vector<Box> open{{Vector(unknowns_, 0.0), Vector(unknowns_, 1.0)}};
    degenerate_ = 0;
    while (!open.empty() && !spent()) {
      if (degenerate_ > kMostDegenerate) return;
      Box box = std::move(open.back());
      open.pop_back();
      examine(std::move(box), open);
    }
  }

  /// Drops a box without an equilibrium, ends one with a single one, or leaves smaller ones.
  void examine(Box box, std::vector<Box>& open) {
    constexpr double kSlop = 1e-12;
    const std::size_t n = unknowns_;
    std::size_t k = 0;
    for (int i = 0; i < game_.players; ++i) {
      double least = 0.0;
      for (std::size_t a = 1; a < support_[i].size(); ++a) least += box.low[k++];
      if (least > 1.0 + kSlop) return;
    }
    const std::size_t corners = std::size_t{1} << n;
    Matrix inside(corners);
    Vector outside;
    Vector least_outside;
    Vector at(n);
    for (std::size_t c = 0; c < corners; ++c) {
      for (std::size_t d = 0; d < n; ++d) at[d] = (c >> d & 1u) != 0 ? box.high[d] : box.low[d];
      gains(at, inside[c], outside);
      if (c == 0) least_outside = outside;
      for (std::size_t d = 0; d < outside.size(); ++d) {
        least_outside[d] = std::min(least_outside[d], outside[d]);
      }
    }
    for (const double gain : least_outside) {
      if (gain > kSlop) return;
    }
    Vector mean(n, 0.0);
    for (std::size_t e = 0; e < n; ++e) {
      double low = inside[0][e];
      double high = low;
      for (const Vector& values : inside) {
        low = std::min(low, values[e]);
        high = std::max(high, values[e]);
        mean[e] += values[e] / static_cast<double>(corners);
      }
      if (low > kSlop || high < -kSlop) return;
    }

    double widest = 0.0;
    std::size_t widest_at = 0;
    for (std::size_t d = 0; d < n; ++d) {
      if (box.high[d] - box.low[d] > widest) {
        widest = box.high[d] - box.low[d];
        widest_at = d;
      }
    }
    if (widest < 1e-7) {
      refine(box);
      return;
    }
    // Krawczyk: with g affine in each unknown, the mean of the corners is the value at the centre
    // and the range of a derivative that of its differences along edges.
    Matrix slope(n, Vector(n, 0.0));
    const auto derivative = [&](std::size_t c, std::size_t e, std::size_t d) {
      const std::size_t bit = std::size_t{1} << d;
      const double width = box.high[d] - box.low[d];
      return width > 0.0 ? (inside[c | bit][e] - inside[c & ~bit][e]) / width : 0.0;
    };
    for (std::size_t e = 0; e < n; ++e) {
      for (std::size_t d = 0; d < n; ++d) {
        for (std::size_t c = 0; c < corners; ++c) {
          slope[e][d] += derivative(c, e, d) / static_cast<double>(corners);
        }
      }
    }
    const Matrix precondition = inverse(slope);
    if (!precondition.empty()) {
      Box cut = box;
      bool smaller = false;
      for (std::size_t r = 0; r < n; ++r) {
        double step = 0.0;
        for (std::size_t e = 0; e < n; ++e) step += precondition[r][e] * mean[e];
        double reach = 0.0;
        for (std::size_t d = 0; d < n; ++d) {
          double most = 0.0;
          for (std::size_t c = 0; c < corners; ++c) {
            double entry = r == d ? -1.0 : 0.0;
            for (std::size_t e = 0; e < n; ++e) entry += precondition[r][e] * derivative(c, e, d);
            most = std::max(most, std::fabs(entry));
          }
          reach += most * 0.5 * (box.high[d] - box.low[d]);
        }
        const double centre = 0.5 * (box.low[r] + box.high[r]) - step;
        const double slop = 1e-9 * (box.high[r] - box.low[r]) + kSlop;
        cut.low[r] = std::max(cut.low[r], centre - reach - slop);
        cut.high[r] = std::min(cut.high[r], centre + reach + slop);
        if (cut.low[r] > cut.high[r]) return;
        smaller = smaller || cut.high[r] - cut.low[r] < 0.5 * (box.high[r] - box.low[r]);
      }
      if (smaller) {
        open.push_back(std::move(cut));
        return;
      }
    }
    Box upper = box;
    const double middle = 0.5 * (box.low[widest_at] + box.high[widest_at]);
    box.high[widest_at] = middle;
    upper.low[widest_at] = middle;
    open.push_back(std::move(box));
    open.push_back(std::move(upper));
  }

  /// Newton's method from the centre of a tiny box; what it finds is kept if it is an equilibrium.
  void refine(const Box& box) {
    const std::size_t n = unknowns_;
    Vector at(n);
    for (std::size_t d = 0; d < n; ++d) at[d] = 0.5 * (box.low[d] + box.high[d]);
    Vector values;
    Vector outside;
    Vector other;
    for (int step = 0; step < 4; ++step) {
      gains(at, values, outside);
      Matrix slope(n, Vector(n));
      for (std::size_t d = 0; d < n; ++d) {
        Vector moved = at;
        moved[d] = at[d] > 0.5 ? 0.0 : 1.0;
        gains(moved, other, outside);
        for (std::size_t e = 0; e < n; ++e)
          slope[e][d] = (other[e] - values[e]) / (moved[d] - at[d]);
      }
      const Matrix back = inverse(slope);
      if (back.empty()) {
        // Part of a continuum, or an equilibrium where several meet.
        found_.complete = false;
        ++degenerate_;
        return;
      }
      Vector next = at;
      double moved = 0.0;
      for (std::size_t r = 0; r < n; ++r) {
        for (std::size_t e = 0; e < n; ++e) next[r] -= back[r][e] * values[e];
        moved = std::max(moved, std::fabs(next[r] - at[r]));
      }
      if (!(moved < 1e-5)) break;
      at = next;
    }
    Vector profile(profile_size_);
    spread(at, profile);
    for (int i = 0; i < game_.players; ++i) {
      double sum = 0.0;
      for (int a = 0; a < game_.actions[i]; ++a) {
        double& p = profile[static_cast<std::size_t>(game_.offset[i] + a)];
        if (p < -1e-9) return;
        p = p < 1e-12 ? 0.0 : p;
        sum += p;
      }
      for (int a = 0; a < game_.actions[i]; ++a) {
        profile[static_cast<std::size_t>(game_.offset[i] + a)] /= sum;
      }
    }
    if (nash_gap(game_, profile.data()).epsilon > 1e-9 * range_) return;
    for (const Vector& known : found_.profiles) {
      double apart = 0.0;
      for (std::size_t a = 0; a < profile_size_; ++a) {
        apart = std::max(apart, std::fabs(known[a] - profile[a]));
      }
      if (apart < 1e-6) return;
    }
    found_.profiles.push_back(std::move(profile));
  }

  const NormalFormView& game_;
  double range_ = 1.0;
  std::size_t profile_size_ = 0;
  std::size_t unknowns_ = 0;
  std::vector<int> support_[NormalFormView::kMaxPlayers];
  double work_ = 0.0;
  int degenerate_ = 0;  ///< in the present supports
  NashSearch found_;
};

}  // namespace

NashSearch search_equilibria(const NormalFormView& game) { return Search(game).run(); }

}  // namespace cumarl
