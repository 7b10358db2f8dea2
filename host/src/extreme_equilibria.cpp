#include "host/src/extreme_equilibria.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string>
#include <utility>

#include "cumarl/error.hpp"

namespace cumarl {

namespace {

/// A ray of the cone over a polytope: homogeneous coordinates, the last one that of the right
/// side; and the set of inequalities that hold with equality.
struct Ray {
  std::vector<Integer> at;
  uint64_t tight = 0;
};

void shorten(std::vector<Integer>& at) {
  Integer divisor = 0;
  for (const Integer& value : at) {
    divisor = gcd(divisor, value);
    if (divisor == 1) return;
  }
  for (Integer& value : at) value /= divisor;
}

/// Positive whole numbers in the proportions of `payoffs` moved above 0: no equilibrium changes.
std::vector<Integer> positive_integers(const std::vector<Rational>& payoffs) {
  Integer common = 1;
  for (const Rational& u : payoffs) common = lcm(common, denominator(u));
  std::vector<Integer> out;
  for (const Rational& u : payoffs) out.push_back(numerator(u) * (common / denominator(u)));
  const Integer low = *std::min_element(out.begin(), out.end());
  for (Integer& value : out) value -= low - 1;
  shorten(out);
  return out;
}

/// The vertices of { z >= 0, sum_k faces[f][k] z_k <= 1 } as rays. Bit k of `tight` stands for
/// z_k = 0, bit dimension + f for face f.
std::vector<Ray> vertices(const std::vector<std::vector<Integer>>& faces, std::size_t dimension) {
  // The cone z >= 0, right side >= 0 (bit 63) to start with.
  std::vector<Ray> rays(dimension + 1);
  const uint64_t origin = ((uint64_t{1} << dimension) - 1) | (uint64_t{1} << 63);
  for (std::size_t k = 0; k <= dimension; ++k) {
    rays[k].at.assign(dimension + 1, Integer(0));
    rays[k].at[k] = 1;
    rays[k].tight = origin & ~(uint64_t{1} << (k == dimension ? 63 : k));
  }
  for (std::size_t f = 0; f < faces.size(); ++f) {
    const uint64_t bit = uint64_t{1} << (dimension + f);
    std::vector<Integer> room(rays.size());
    std::vector<std::size_t> inside;
    std::vector<std::size_t> outside;
    for (std::size_t r = 0; r < rays.size(); ++r) {
      room[r] = rays[r].at[dimension];
      for (std::size_t k = 0; k < dimension; ++k) room[r] -= faces[f][k] * rays[r].at[k];
      if (room[r] > 0) inside.push_back(r);
      if (room[r] < 0) outside.push_back(r);
    }
    std::vector<Ray> cut;
    for (const std::size_t p : inside) {
      for (const std::size_t m : outside) {
        const uint64_t common = rays[p].tight & rays[m].tight;
        if (static_cast<std::size_t>(std::popcount(common)) + 1 < dimension) continue;
        // Neighbours: no third ray lies on all faces that these two share.
        bool neighbours = true;
        for (std::size_t r = 0; r < rays.size() && neighbours; ++r) {
          neighbours = (rays[r].tight & common) != common || r == p || r == m;
        }
        if (!neighbours) continue;
        Ray ray{std::vector<Integer>(dimension + 1), common | bit};
        for (std::size_t k = 0; k <= dimension; ++k) {
          ray.at[k] = room[p] * rays[m].at[k] - room[m] * rays[p].at[k];
        }
        shorten(ray.at);
        cut.push_back(std::move(ray));
        if (cut.size() > kMostVertices) break;
      }
    }
    std::vector<Ray> kept;
    for (std::size_t r = 0; r < rays.size(); ++r) {
      if (room[r] < 0) continue;
      if (room[r] == 0) rays[r].tight |= bit;
      kept.push_back(std::move(rays[r]));
    }
    for (Ray& ray : cut) kept.push_back(std::move(ray));
    rays = std::move(kept);
    if (rays.size() > kMostVertices) {
      throw Error("this game's polytopes have more vertices than this solver takes: at most " +
                  std::to_string(kMostVertices));
    }
  }
  return rays;
}

/// The strategy of a vertex: its coordinates divided by their sum.
std::vector<Rational> strategy(const Ray& ray) {
  Integer sum = 0;
  for (std::size_t k = 0; k + 1 < ray.at.size(); ++k) sum += ray.at[k];
  std::vector<Rational> out;
  for (std::size_t k = 0; k + 1 < ray.at.size(); ++k) out.emplace_back(ray.at[k], sum);
  return out;
}

bool is_origin(const Ray& ray, std::size_t dimension) {
  return std::all_of(ray.at.begin(), ray.at.begin() + static_cast<std::ptrdiff_t>(dimension),
                     [](const Integer& value) { return value == 0; });
}

}  // namespace

std::vector<ExactEquilibrium> extreme_equilibria(const std::vector<Rational>& u1,
                                                 const std::vector<Rational>& u2, int rows,
                                                 int columns) {
  if (rows < 1 || columns < 1 || rows > kMostExactActions || columns > kMostExactActions) {
    throw Error("more actions than this solver takes: " + std::to_string(std::max(rows, columns)) +
                " of at most " + std::to_string(kMostExactActions));
  }
  const auto m = static_cast<std::size_t>(rows);
  const auto n = static_cast<std::size_t>(columns);
  const std::vector<Integer> a = positive_integers(u1);
  const std::vector<Integer> b = positive_integers(u2);
  std::vector<std::vector<Integer>> row_faces(n, std::vector<Integer>(m));
  std::vector<std::vector<Integer>> column_faces(m, std::vector<Integer>(n));
  for (std::size_t i = 0; i < m; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      row_faces[j][i] = b[i * n + j];
      column_faces[i][j] = a[i * n + j];
    }
  }
  const std::vector<Ray> xs = vertices(row_faces, m);
  const std::vector<Ray> ys = vertices(column_faces, n);

  // Labels: action i of the row player is i, action j of the column player m + j. A vertex x has
  // those of its unplayed actions and of best responses to it; y is numbered the other way round.
  const uint64_t all = (uint64_t{1} << (m + n)) - 1;
  const uint64_t low = (uint64_t{1} << n) - 1;
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  for (std::size_t q = 0; q < ys.size(); ++q) {
    if (is_origin(ys[q], n)) continue;
    const uint64_t labels = ((ys[q].tight & low) << m) | ((ys[q].tight >> n) & (all >> n));
    for (std::size_t p = 0; p < xs.size(); ++p) {
      if (((xs[p].tight | labels) & all) == all && !is_origin(xs[p], m)) pairs.emplace_back(p, q);
    }
  }
  std::vector<ExactEquilibrium> out;
  for (const auto& [p, q] : pairs) {
    ExactEquilibrium e{strategy(xs[p]), strategy(ys[q]), {}};
    for (std::size_t i = 0; i < m; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        if (e.row[i] == 0 || e.column[j] == 0) continue;
        const Rational probability = e.row[i] * e.column[j];
        e.values[0] += probability * u1[i * n + j];
        e.values[1] += probability * u2[i * n + j];
      }
    }
    out.push_back(std::move(e));
  }
  std::sort(out.begin(), out.end(), [](const ExactEquilibrium& s, const ExactEquilibrium& t) {
    return s.row != t.row ? s.row > t.row : s.column > t.column;
  });
  return out;
}

std::vector<ExactEquilibrium> extreme_equilibria(const std::vector<double>& u1,
                                                 const std::vector<double>& u2, int rows,
                                                 int columns) {
  std::vector<Rational> exact[2];
  for (const double u : u1) exact[0].push_back(exact_rational(u));
  for (const double u : u2) exact[1].push_back(exact_rational(u));
  return extreme_equilibria(exact[0], exact[1], rows, columns);
}

}  // namespace cumarl
