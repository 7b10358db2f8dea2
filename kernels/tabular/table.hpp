/// \file
/// Action-value tables: what a row of Q(s, .) is made of and how one entry moves.
///
/// A table type gives
///   Entry                        what is stored
///   Best                         the best entry of a row: its worth and its action
///   Codec                        how rewards and values map to entries (one per learner)
///   Rate                         a step size in the table's arithmetic
///   scan(team, row, n)           the best entry; the lowest action wins a tie
///   error(codec, row[a], r, next)   r + gamma * next - Q, in the table's units, sign of the value
///   error_to(codec, row[a], target)  the same for a target that is no maximum, a double
///   moved(entry, action, rate, e)   the entry after Q += rate * e
///   pad()                        what fills the end of a padded row; never the best
/// All arithmetic is plain multiply and add (or integer), so results agree to the bit everywhere.
#pragma once

#include <cstdint>

#include "kernels/core/hd.hpp"
#include "kernels/core/simd.hpp"
#include "kernels/core/team.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Entries a row of `actions` values takes: a multiple of 16 where that wastes under 10% (so that
/// 15 prices fill one 64-byte line), else exactly `actions`.
CUMARL_HD constexpr int row_stride(int actions) {
  const int padded = (actions + 15) / 16 * 16;
  return 10 * (padded - actions) < actions ? padded : actions;
}

/// Bounds of the values a table must hold: every return r/(1-gamma) and every initial value.
struct ValueRange {
  double low;
  double high;
};

/// Plain floating-point tables.
template <class Real>
struct FloatTable {
  using Entry = Real;
  using Error = Real;
  using Rate = Real;
  struct Best {
    Real value;
    uint32_t action;
  };
  struct Codec {
    Real gamma;
  };
  static constexpr bool kFixedPoint = false;

  static Codec codec(ValueRange, double gamma) { return {static_cast<Real>(gamma)}; }
  static Rate rate(double alpha) { return static_cast<Real>(alpha); }

  /// Adding zero keeps -0 out: teams of different sizes would disagree on the sign of a tie.
  CUMARL_HD static Entry encode(const Codec&, double value, uint32_t) {
    return static_cast<Real>(value) + Real{0};
  }
  CUMARL_HD static double decode(const Codec&, Entry entry) { return static_cast<double>(entry); }
  CUMARL_HD static Entry pad() { return -static_cast<Real>(__builtin_huge_val()); }
  CUMARL_HD static CUMARL_INLINE uint32_t action(const Best& best) { return best.action; }
  CUMARL_HD static CUMARL_INLINE double worth(const Codec&, const Best& best) {
    return static_cast<double>(best.value);
  }

  template <class Team>
  CUMARL_HD static CUMARL_INLINE Best scan(const Team& team, const Entry* row, int n) {
    if constexpr (Team::size() == 1) {
      const Real top = simd::max(row, n);
      return {top, simd::first_equal(row, n, top)};
    } else {
      Best mine{pad(), 0xFFFFFFFFu};
      for (int i = team.rank(); i < n; i += team.size()) {
        if (row[i] > mine.value) mine = {row[i], static_cast<uint32_t>(i)};
      }
      const Real top = team.max(mine.value);
      return {top, team.min(mine.value == top ? mine.action : 0xFFFFFFFFu)};
    }
  }
  CUMARL_HD static CUMARL_INLINE Error error(const Codec& codec, Entry entry, float reward,
                                             const Best& next) {
    return static_cast<Real>(reward) + codec.gamma * next.value - entry;
  }
  /// The same at the end of an episode: nothing follows.
  CUMARL_HD static CUMARL_INLINE Error final_error(const Codec&, Entry entry, float reward) {
    return static_cast<Real>(reward) - entry;
  }
  CUMARL_HD static CUMARL_INLINE Error error_to(const Codec&, Entry entry, double target) {
    return static_cast<Real>(target) - entry;
  }
  CUMARL_HD static CUMARL_INLINE bool is_loss(Error error) { return error < 0; }
  CUMARL_HD static CUMARL_INLINE Entry moved(Entry entry, uint32_t, Rate rate, Error error) {
    return entry + rate * error + Real{0};
  }
  /// The row's best after entry `a` went from `was` to `now`, if that can be told without reading
  /// the row; otherwise `known` comes back false.
  CUMARL_HD static CUMARL_INLINE Best patched(const Best& best, uint32_t a, Entry was, Entry now,
                                              bool& known) {
    (void)was;
    known = a != best.action || now >= best.value;
    const bool wins = now > best.value || (now == best.value && a <= best.action);
    return wins ? Best{now, a} : best;
  }
};
using Float32 = FloatTable<float>;
using Float64 = FloatTable<double>;

/// 28-bit fixed-point value and 4-bit action in one word, for up to 16 actions.
///
/// A word is (cost << 4) | action with cost = (high - value) / unit, so the *smallest* word of a row
/// is its best entry with the lowest action on ties: an arg-max is one integer minimum. Values
/// are clamped to nothing: [low, high] covers every reachable value (ValueRange), widened by 1e-6.
struct Fixed28 {
  using Entry = uint32_t;
  using Error = int32_t;  ///< in units, positive when the value should rise
  using Rate = uint32_t;  ///< fraction of 2^32
  struct Best {
    uint32_t word;
  };
  struct Codec {
    float scale;         ///< units per unit of reward
    float offset;        ///< cost of a reward r that goes on:  offset - r * scale
    float final_offset;  ///< cost of a reward r that ends:     final_offset - r * scale
    uint32_t gamma;      ///< fraction of 2^32
    double high;         ///< the value of cost 0
    double unit;         ///< value of one unit
  };
  static constexpr bool kFixedPoint = true;
  static constexpr int kMaxActions = 16;
  static constexpr double kUnits = 268435455.0;  // 2^28 - 1

  static Codec codec(ValueRange range, double gamma) {
    double width = range.high - range.low;
    if (!(width > 0)) width = 1.0;
    const double low = range.low - 1e-6 * width;
    const double high = range.high + 1e-6 * width;
    const double unit = (high - low) / kUnits;
    // cost(r + gamma v) = (high - r - gamma (high - unit cost(v))) / unit
    return {static_cast<float>(1.0 / unit),
            static_cast<float>(high * (1.0 - gamma) / unit),
            static_cast<float>(high / unit),
            rate(gamma),
            high,
            unit};
  }
  static Rate rate(double alpha) {
    const double fraction = alpha * 4294967296.0 + 0.5;
    return fraction >= 4294967295.0 ? 0xFFFFFFFFu : static_cast<uint32_t>(fraction);
  }

  CUMARL_HD static Entry encode(const Codec& codec, double value, uint32_t action) {
    double cost = (codec.high - value) / codec.unit + 0.5;
    cost = cost < 0.0 ? 0.0 : (cost > kUnits ? kUnits : cost);
    return (static_cast<uint32_t>(cost) << 4) | action;
  }
  CUMARL_HD static double decode(const Codec& codec, Entry word) {
    return codec.high - static_cast<double>(word >> 4) * codec.unit;
  }
  CUMARL_HD static Entry pad() { return 0xFFFFFFFFu; }
  CUMARL_HD static CUMARL_INLINE uint32_t action(const Best& best) { return best.word & 15u; }
  CUMARL_HD static CUMARL_INLINE double worth(const Codec& codec, const Best& best) {
    return decode(codec, best.word);
  }

  template <class Team>
  CUMARL_HD static CUMARL_INLINE Best scan(const Team& team, const Entry* row, int n) {
    if constexpr (Team::size() == 1) {
      return {simd::min(row, n)};
    } else {
      uint32_t mine = pad();
      for (int i = team.rank(); i < n; i += team.size()) mine = row[i] < mine ? row[i] : mine;
      return {team.min(mine)};
    }
  }
  /// The cost of a reward, before what follows it is added.
  CUMARL_HD static CUMARL_INLINE int32_t reward_cost(const Codec& codec, float reward) {
    return static_cast<int32_t>(codec.offset - reward * codec.scale);
  }
  CUMARL_HD static CUMARL_INLINE Error error(const Codec& codec, Entry entry, float reward,
                                             const Best& next) {
    const auto following = static_cast<int32_t>((uint64_t{next.word >> 4} * codec.gamma) >> 32);
    return static_cast<int32_t>(entry >> 4) - (reward_cost(codec, reward) + following);
  }
  CUMARL_HD static CUMARL_INLINE Error final_error(const Codec& codec, Entry entry, float reward) {
    return static_cast<int32_t>(entry >> 4) -
           static_cast<int32_t>(codec.final_offset - reward * codec.scale);
  }
  CUMARL_HD static CUMARL_INLINE Error error_to(const Codec& codec, Entry entry, double target) {
    return static_cast<int32_t>(entry >> 4) - static_cast<int32_t>(encode(codec, target, 0) >> 4);
  }
  CUMARL_HD static CUMARL_INLINE bool is_loss(Error error) { return error < 0; }
  /// Rounds half up in cost; |change| <= |error|.
  CUMARL_HD static CUMARL_INLINE Entry moved(Entry entry, uint32_t action, Rate rate, Error error) {
    const int64_t product = -static_cast<int64_t>(error) * static_cast<int64_t>(rate);
    const auto change = static_cast<int32_t>((product + (int64_t{1} << 31)) >> 32);
    const auto cost = static_cast<uint32_t>(static_cast<int32_t>(entry >> 4) + change);
    return (cost << 4) | action;
  }
  CUMARL_HD static CUMARL_INLINE Best patched(const Best& best, uint32_t, Entry was, Entry now,
                                              bool& known) {
    known = was != best.word || now <= best.word;
    return {now < best.word ? now : best.word};
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
