/// \file
/// The basis functions of linear approximators: from an environment's features to the vector x
/// whose product with the weights is the value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/arena.hpp"
#include "kernels/core/fields.hpp"
#include "kernels/core/math.hpp"
#include "kernels/linear/vector_ops.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Features z of an agent, scaled to [0, 1] by the ranges that the environment states, become
///   dense      z itself, times `range`
///   one_hot    a one at the table index of the observation
///   quadratic  z and all products z_i z_j, i <= j, of z times `range`
///   fourier    cos(pi c.z) for all c in {0..order}^d, or, not `coupled`, for the multiples of
///              single features only. Source: Konidaris, Osentoski, Thomas, AAAI 2011
///   tiles      `tilings` grids of `tiles` intervals a feature, each shifted by a further
///              1 / tilings of an interval; a one for the cell that z lies in, over all features
///              together or, not `coupled`, feature by feature. Source: Sutton and Barto, 2nd ed.
///              2018, section 9.5.4. Deviation: shifts are equal in all dimensions; no hashing.
/// and a one behind them as the bias (but for one_hot, and fourier and tiles, which contain it).
struct Basis {
  enum Kind : int32_t { kDense, kOneHot, kQuadratic, kFourier, kTiles };
  static constexpr int kMaxSize = 8192;
  /// Of coupled waves a feature has order + 1, and kMaxSize leaves two features up to 65 each; three
  /// and more have fewer together.
  static constexpr int kMaxWaves = 130;

  struct Config {
    Choice kind{kDense};
    int order = 3;
    int tilings = 8;
    int tiles = 8;
    bool coupled = true;
    double range = 1.0;

    void fields(FieldVisitor& v) {
      v.choice("features.kind", kind, {"dense", "one_hot", "quadratic", "fourier", "tiles"},
               "basis functions over the environment's features");
      v("features.order", order, Bounds{1, kMaxWaves / 2 - 1}, "",
        "fourier: highest multiple of a half wave");
      v("features.tilings", tilings, Bounds{1, 64}, "", "tiles: grids, shifted against each other");
      v("features.tiles", tiles, Bounds{2, 64}, "", "tiles: intervals of a feature");
      v("features.coupled", coupled,
        "fourier, tiles: over all features together; false: feature by feature");
      v("features.range", range, Bounds{1e-6, 1e6}, "",
        "dense, quadratic: features are scaled to run from 0 to this");
    }
  };

  Kind kind;
  int32_t inputs;  ///< features of the environment
  int32_t size;    ///< entries of x, without padding
  int32_t order;
  int32_t tilings;
  int32_t tiles;
  bool coupled;
  float range;         ///< of a feature when it is scaled
  const float* low;    ///< [inputs]
  const float* scale;  ///< [inputs] range / (high - low); 0 where they are equal
  /// quadratic: column k is the product of factors first[k] and second[k], see factor();
  /// [padded(size)]
  const int32_t* first;
  const int32_t* second;

  /// `indices`: the number of table indices, 0 where there is none. Throws ParameterError.
  static Basis make(const Config& c, const std::vector<Bounds>& ranges, uint32_t indices,
                    Arena& arena) {
    Basis b{};
    b.kind = static_cast<Kind>(c.kind.value);
    b.inputs = static_cast<int32_t>(ranges.size());
    b.order = c.order;
    b.tilings = c.tilings;
    b.tiles = c.tiles;
    b.coupled = c.coupled;
    const bool stretched = b.kind == kDense || b.kind == kQuadratic;
    const double upper = stretched ? c.range : 1.0;
    b.range = static_cast<float>(upper);
    std::vector<float> low, scale;
    for (const Bounds& range : ranges) {
      low.push_back(static_cast<float>(range.min));
      scale.push_back(range.max > range.min ? static_cast<float>(upper / (range.max - range.min))
                                            : 0.0F);
    }
    b.low = arena.store(low);
    b.scale = arena.store(scale);
    const double d = b.inputs;
    double size = d + 1;
    if (b.kind == kOneHot) {
      if (indices == 0) {
        throw ParameterError("features.kind",
                             "\"one_hot\" needs an observation with a table index, and this "
                             "environment has none with these settings");
      }
      size = indices;
    } else if (b.kind == kQuadratic) {
      size = d + d * (d + 1) / 2 + 1;
    } else if (b.kind == kFourier) {
      size = c.coupled ? power(c.order + 1, b.inputs) : 1 + d * c.order;
    } else if (b.kind == kTiles) {
      size = c.tilings * (c.coupled ? power(c.tiles + 1, b.inputs) : d * (c.tiles + 1));
    }
    if (size > kMaxSize) {
      throw ParameterError(
          "features.kind",
          "makes " + std::to_string(static_cast<long long>(size)) + " basis functions of " +
              std::to_string(b.inputs) + " features; allowed are up to " +
              std::to_string(kMaxSize) +
              (c.coupled && b.kind >= kFourier ? " (try features.coupled = false)" : ""));
    }
    b.size = static_cast<int32_t>(size);
    if (b.kind == kQuadratic) b.pair_factors(arena);
    return b;
  }

  /// Feature k at `raw`, moved by a share of its range and kept within it.
  CUMARL_HD float moved(int k, float raw, float share) const {
    const float width = scale[k] > 0 ? range / scale[k] : 0.0F;
    const float to = raw + share * width;
    const float high = low[k] + width;
    return to < low[k] ? low[k] : (to > high ? high : to);
  }

  /// How many entries of x are one, where all others are 0; 0 where there are other ones.
  CUMARL_HD int ones() const {
    if (kind == kOneHot) return 1;
    return kind == kTiles ? tilings * (coupled ? 1 : inputs) : 0;
  }
  /// Whether x is better had by the columns of its ones: a product takes a step for each of them
  /// instead of one for every 16 columns.
  CUMARL_HD bool sparse() const { return ones() > 0 && ones() <= padded(size) / kColumns; }

  /// The columns of x's ones, increasing, [ones()]; to be read by all lanes behind the next sync.
  template <class Team>
  CUMARL_HD void list_ones(const Team& team, const float* raw, uint32_t index, int32_t* out) const {
    if (kind == kOneHot) {
      if (team.rank() == 0) out[0] = static_cast<int32_t>(index);
    } else {
      each_tile(team, raw, [&](int number, int k) { out[number] = k; });
    }
  }

  /// x [padded(size)] of the features `raw` [inputs] (or of table index `index`), by all lanes; a
  /// lane writes its own columns.
  template <class Real, class Team>
  CUMARL_HD void expand(const Team& team, const float* raw, uint32_t index, Real* x) const {
    const int n = padded(size);
    switch (kind) {
      case kDense:
        for_columns(team, n, [&](int k) {
          x[k] = k < inputs ? scaled<Real>(raw, k) : Real(k == inputs ? 1 : 0);
        });
        break;
      case kOneHot: unit_vector(team, x, static_cast<int>(index), n); break;
      case kQuadratic: quadratic(team, raw, x, n); break;
      case kFourier:
        if (coupled) {
          coupled_waves(team, raw, x, n);
        } else {
          for_columns(team, n,
                      [&](int k) { x[k] = k < size ? single_wave<Real>(raw, k) : Real(0); });
        }
        break;
      default: tile(team, raw, x, n);
    }
  }

 private:
  static double power(int base, int exponent) {
    double out = 1;
    for (int k = 0; k < exponent && out <= 1e12; ++k) out *= base;
    return out;
  }

  template <class Real>
  CUMARL_HD CUMARL_INLINE Real scaled(const float* raw, int k) const {
    return (static_cast<Real>(raw[k]) - static_cast<Real>(low[k])) * static_cast<Real>(scale[k]);
  }

  /// Factor i of the products: feature i, behind them a one, and then zeros.
  template <class Real>
  CUMARL_HD CUMARL_INLINE Real factor(const float* raw, int i) const {
    return i < inputs ? scaled<Real>(raw, i) : Real(i == inputs ? 1 : 0);
  }

  void pair_factors(Arena& arena) {
    const int one = inputs, zero = inputs + 1;
    const auto columns = static_cast<size_t>(padded(size));
    std::vector<int32_t> left, right;
    const auto add = [&](int i, int j) {
      left.push_back(i);
      right.push_back(j);
    };
    for (int i = 0; i < inputs; ++i) add(i, one);
    for (int i = 0; i < inputs; ++i) {
      for (int j = i; j < inputs; ++j) add(i, j);
    }
    add(one, one);
    left.resize(columns, zero);
    right.resize(columns, zero);
    first = arena.store(left);
    second = arena.store(right);
  }

  template <class Real, class Team>
  CUMARL_HD void quadratic(const Team& team, const float* raw, Real* x, int n) const {
#if CUMARL_AVX512
    if constexpr (Team::size() == 1 && sizeof(Real) == sizeof(float)) {
      if (inputs + 2 <= kColumns) {
        vector_ops::pair_products(sixteen_factors(raw), first, second, x, n);
        return;
      }
    }
#endif
    for_columns(team, n,
                [&](int k) { x[k] = factor<Real>(raw, first[k]) * factor<Real>(raw, second[k]); });
  }
#if CUMARL_AVX512
  CUMARL_INLINE __m512 sixteen_factors(const float* raw) const {
    const auto there = static_cast<__mmask16>((1U << inputs) - 1);
    const __m512 above =
        _mm512_sub_ps(_mm512_maskz_loadu_ps(there, raw), _mm512_maskz_loadu_ps(there, low));
    const __m512 z = _mm512_mul_ps(above, _mm512_maskz_loadu_ps(there, scale));
    return _mm512_mask_mov_ps(z, static_cast<__mmask16>(1U << inputs), _mm512_set1_ps(1.0F));
  }
#endif

  /// Column 0 is a one, then come cos(pi c z_i) for c = 1 to `order` feature by feature.
  template <class Real>
  CUMARL_HD Real single_wave(const float* raw, int k) const {
    if (k == 0) return Real(1);
    const double phase = ((k - 1) % order + 1) * scaled<double>(raw, (k - 1) / order);
    return static_cast<Real>(portable_cos_pi(phase));
  }

  /// Column k is the real part of the product of exp(i pi c_i z_i) over the features i, where the c_i
  /// are the digits of k in base order + 1, feature 0's the lowest: a cosine and a sine a feature,
  /// all else is multiplied up.
  template <class Real, class Team>
  CUMARL_HD void coupled_waves(const Team& team, const float* raw, Real* x, int n) const {
    double re[kMaxWaves], im[kMaxWaves];  // exp(i pi c z_i), from i * base on
    const int base = inputs > 0 ? order + 1 : 1;
    re[0] = 1;
    im[0] = 0;
    for (int i = 0; i < inputs; ++i) {
      const double z = scaled<double>(raw, i);
      const double cosine = portable_cos_pi(z), sine = portable_cos_pi(z - 0.5);
      double power_re = 1, power_im = 0;
      for (int at = i * base; at <= i * base + order; ++at) {
        re[at] = power_re;
        im[at] = power_im;
        power_re = re[at] * cosine - im[at] * sine;
        power_im = re[at] * sine + im[at] * cosine;
      }
    }
    double others_re = 1, others_im = 0;  // the product over all features but the first
    const auto multiply_others = [&](int digits) {
      others_re = 1;
      others_im = 0;
      for (int i = 1; i < inputs; ++i) {
        const int at = i * base + digits % base;
        digits /= base;
        const double was = others_re;
        others_re = was * re[at] - others_im * im[at];
        others_im = was * im[at] + others_im * re[at];
      }
    };
    const auto with_first = [&](int c) {
      return static_cast<Real>(others_re * re[c] - others_im * im[c]);
    };
    if constexpr (Team::size() == 1) {
      for (int k = 0; k < size; k += base) {
        multiply_others(k / base);
        each_column(team, base, [&](int c) { x[k + c] = with_first(c); });
      }
      for (int k = size; k < n; ++k) x[k] = 0;
    } else {
      for_columns(team, n, [&](int k) {
        multiply_others(k / base);
        x[k] = k < size ? with_first(k % base) : Real(0);
      });
    }
  }

  template <class Real, class Team>
  CUMARL_HD void tile(const Team& team, const float* raw, Real* x, int n) const {
    fill(team, x, Real(0), n);
    team.sync();
    each_tile(team, raw, [&](int, int k) { x[k] = 1; });
    team.sync();
  }

  /// Calls f(number, k) for every tile that z lies in, shared among the lanes: its column is k, and
  /// of tiles with higher numbers it is higher.
  template <class Team, class F>
  CUMARL_HD void each_tile(const Team& team, const float* raw, F f) const {
    const int grid = size / tilings;
    for (int g = team.rank(); g < tilings; g += Team::size()) {
      const double shift = static_cast<double>(g) / tilings;
      int at = 0, width = 1;
      for (int i = 0; i < inputs; ++i) {
        auto cell = static_cast<int>(scaled<double>(raw, i) * tiles + shift);
        cell = cell < 0 ? 0 : (cell > tiles ? tiles : cell);
        if (coupled) {
          at += cell * width;
          width *= tiles + 1;
        } else {
          f(g * inputs + i, g * grid + i * (tiles + 1) + cell);
        }
      }
      if (coupled) f(g, g * grid + at);
    }
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
