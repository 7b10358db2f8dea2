/// \file
/// Birds on a torus that turn, and are paid for flying as a flock.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "envs/market_tools.hpp"
#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// n birds fly on a torus of side 1, each `speed` a step along its heading, one of `directions`
/// equal ones. In a step all turn at once, by up to max_turn directions, then all move. Bird i's
/// neighbours are those nearer than `radius`, and it is paid
///     alignment mean_j (u_i . u_j) - cohesion mean_j (d_ij / radius)^2 - separation share_i,
/// means over neighbours, u unit headings, d distances, share_i the share of all others that are
/// nearer than `too_near`. Without neighbours it is paid -cohesion.
///
/// Positions are whole multiples of 2^-32, where a torus is the natural overflow of an integer, and
/// headings whole numbers; steps use no sine or cosine but a table of them.
///
/// Source: the three rules of Reynolds, "Flocks, herds, and schools", SIGGRAPH 1987; the order
/// parameter of Vicsek et al., Physical Review Letters 75(6), 1995. Deviation: headings are
/// discrete, and are chosen, not averaged.
struct Flocking {
  static constexpr EnvFacts kFacts{
      "flocking",
      "Birds on a torus: alignment, cohesion, separation",
      "Reynolds, SIGGRAPH 1987; Vicsek et al., Physical Review Letters 1995",
      Family::market,
      "the turn: from max_turn directions to the right to as many to the left, equally spaced; or "
      "the turn as a number of directions, rounded",
      "floats, in the bird's own frame, its heading first, its left second: mean offset of the "
      "neighbours and offset of the nearest, both over radius, mean heading of the neighbours, and "
      "the share of others that are neighbours; table index: eighths of the circle in which that "
      "mean heading and mean offset lie, and whether one is too near; 0 without neighbours",
      "birds = 3\nturns = 3\n"};
  static constexpr int kMaxAgents = 16;
  static constexpr bool kSharedObservation = false;

  struct Config {
    int birds = 8;
    int directions = 64;
    int turns = 5;
    int max_turn = 4;
    double speed = 0.02;
    double radius = 0.25;
    double too_near = 0.03;
    double alignment = 1.0;
    double cohesion = 0.5;
    double separation = 1.0;
    int horizon = 200;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("birds", c.birds, Bounds{2, kMaxAgents}, "", "number of birds");
    v("directions", c.directions, Bounds{4, 4096}, "", "headings on the circle");
    v("turns", c.turns, Bounds{3, 129}, "", "turns to choose from, an odd number");
    v("max_turn", c.max_turn, Bounds{1, 2048}, "directions", "largest turn of a step");
    v("speed", c.speed, Bounds{0, 0.25}, "sides", "way of a step");
    v("radius", c.radius, Bounds{1e-3, 0.5}, "sides", "how far a bird sees");
    v("too_near", c.too_near, Bounds{0, 0.5}, "sides", "distance below which birds disturb");
    v("alignment", c.alignment, Bounds{0, 1e3}, "reward", "weight of flying the same way");
    v("cohesion", c.cohesion, Bounds{0, 1e3}, "reward", "weight of staying close");
    v("separation", c.separation, Bounds{0, 1e3}, "reward", "weight of not being too near");
    v("horizon", c.horizon, Bounds{0, 1e9}, "steps",
      "length of an episode, a time limit; 0: endless");
  }

  /// A direction of the circle.
  struct Direction {
    double x, y;     ///< unit vector
    int32_t dx, dy;  ///< the way of a step, in units of 2^-32 sides
  };

  struct Params {
    int32_t birds;
    int32_t directions;
    int32_t turns;
    int32_t max_turn;
    uint32_t horizon;
    double radius, too_near;
    double alignment, cohesion, separation;
    const Direction* direction;  ///< [directions], counter-clockwise from (1, 0)
  };

  struct State {
    uint32_t x[kMaxAgents];  ///< in units of 2^-32 sides
    uint32_t y[kMaxAgents];
    uint16_t heading[kMaxAgents];
    uint32_t period;  ///< within the episode; stays 0 when endless
  };

  /// Throws ParameterError for an even number of turns, turns that directions cannot tell apart or
  /// beyond half a circle, and a too_near above radius.
  static Params make(const Config& c, Arena& arena) {
    if (c.turns % 2 == 0) throw ParameterError("turns", "must be odd, so that 0 is among them");
    if (c.max_turn % (c.turns / 2) != 0) {
      throw ParameterError("max_turn", "must be a multiple of " + std::to_string(c.turns / 2) +
                                           ", so that all turns are whole");
    }
    if (2 * c.max_turn > c.directions) {
      throw ParameterError("max_turn", "must not be above half of directions");
    }
    if (c.too_near > c.radius) throw ParameterError("too_near", "must not be above radius");
    Params p{};
    p.birds = c.birds;
    p.directions = c.directions;
    p.turns = c.turns;
    p.max_turn = c.max_turn;
    p.horizon = static_cast<uint32_t>(c.horizon);
    p.radius = c.radius;
    p.too_near = c.too_near;
    p.alignment = c.alignment;
    p.cohesion = c.cohesion;
    p.separation = c.separation;
    std::vector<Direction> table;
    for (int k = 0; k < c.directions; ++k) table.push_back(direction(k, c.directions, c.speed));
    p.direction = arena.store(table);
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.birds; }
  CUMARL_HD static int actions(const Params& p, int) { return p.turns; }
  static Bounds action_range(const Params& p, int) {
    return {-static_cast<double>(p.max_turn), static_cast<double>(p.max_turn)};
  }
  /// The turn in directions, to the left above 0.
  CUMARL_HD static double action_value(const Params& p, int, int action) {
    return static_cast<double>((action - p.turns / 2) * (p.max_turn / (p.turns / 2)));
  }

  CUMARL_HD static uint32_t observations(const Params&, int) { return 1 + 8 * 8 * 2; }
  CUMARL_HD static uint32_t observe_index(const Params& p, const State& s, int agent) {
    const View view = look(p, s, agent);
    if (view.neighbours == 0) return 0;
    return static_cast<uint32_t>(1 + (eighth(view.heading) * 8 + eighth(view.centre)) * 2 +
                                 (view.too_near > 0 ? 1 : 0));
  }
  CUMARL_HD static int features(const Params&, int) { return 7; }
  CUMARL_HD static void observe(const Params& p, const State& s, int agent, float* out) {
    const View view = look(p, s, agent);
    out[0] = static_cast<float>(view.centre.x / p.radius);
    out[1] = static_cast<float>(view.centre.y / p.radius);
    out[2] = static_cast<float>(view.nearest.x / p.radius);
    out[3] = static_cast<float>(view.nearest.y / p.radius);
    out[4] = static_cast<float>(view.heading.x);
    out[5] = static_cast<float>(view.heading.y);
    out[6] = static_cast<float>(static_cast<double>(view.neighbours) / (p.birds - 1));
  }
  static Bounds feature_range(const Params&, int, int k) { return {k == 6 ? 0.0 : -1.0, 1.0}; }

  /// Positions and headings drawn uniformly; three random words a bird.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s = State{};
    for (int i = 0; i < kMaxAgents && i < p.birds; ++i) {
      s.x[i] = rng.word();
      s.y[i] = rng.word();
      s.heading[i] = static_cast<uint16_t>(rng.below(static_cast<uint32_t>(p.directions)));
    }
  }

  /// One step; uses no random numbers. Shapes: actions int [agents], rewards float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    double turn[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < p.birds; ++i) turn[i] = action_value(p, i, actions[i]);
    return step_real(p, s, turn, rewards, rng);
  }

  /// The same with turns in directions, double [agents], which are kept within [-max_turn,
  /// max_turn] and rounded, halves up.
  CUMARL_HD static Episode step_real(const Params& p, State& s, const double* turns, float* rewards,
                                     Rng&) {
    for (int i = 0; i < kMaxAgents && i < p.birds; ++i) {
      const double turn = clipped(turns[i], -p.max_turn, p.max_turn);
      const int steps = static_cast<int>(turn + p.max_turn + 0.5) - p.max_turn;
      const int heading = (s.heading[i] + steps + p.directions) % p.directions;
      s.heading[i] = static_cast<uint16_t>(heading);
      s.x[i] += static_cast<uint32_t>(p.direction[heading].dx);
      s.y[i] += static_cast<uint32_t>(p.direction[heading].dy);
    }
    for (int i = 0; i < kMaxAgents && i < p.birds; ++i) {
      const View view = look(p, s, i);
      double reward = -p.cohesion;
      if (view.neighbours > 0) {
        reward = p.alignment * view.heading.x - p.cohesion * view.spread -
                 p.separation * view.too_near / (p.birds - 1);
      }
      rewards[i] = static_cast<float>(reward);
    }
    if (p.horizon == 0) return Episode::goes_on;
    return ++s.period >= p.horizon ? Episode::cut : Episode::goes_on;
  }

  static Bounds reward_bounds(const Params& p) {
    return {-p.alignment - p.cohesion - p.separation, p.alignment};
  }

  /// Shows the state as "x" and "y" (in units of 2^-32 sides), "heading" and "period". Throws
  /// ParameterError for numbers off their range.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t x[kMaxAgents], y[kMaxAgents], heading[kMaxAgents];
    int64_t period = s.period;
    for (int i = 0; i < p.birds; ++i) {
      x[i] = s.x[i];
      y[i] = s.y[i];
      heading[i] = s.heading[i];
    }
    v("x", x, p.birds);
    v("y", y, p.birds);
    v("heading", heading, p.birds);
    v("period", &period, 1);
    State read{};
    for (int i = 0; i < p.birds; ++i) {
      read.x[i] = static_cast<uint32_t>(checked("x", x[i], 0, 0xFFFFFFFF));
      read.y[i] = static_cast<uint32_t>(checked("y", y[i], 0, 0xFFFFFFFF));
      read.heading[i] = static_cast<uint16_t>(checked("heading", heading[i], 0, p.directions - 1));
    }
    read.period = static_cast<uint32_t>(checked("period", period, 0, p.horizon));
    s = read;
  }

  /// The length of the mean heading, 0 to 1.
  CUMARL_HD static double order(const Params& p, const State& s) {
    double x = 0, y = 0;
    for (int i = 0; i < kMaxAgents && i < p.birds; ++i) {
      x += p.direction[s.heading[i]].x;
      y += p.direction[s.heading[i]].y;
    }
    return __builtin_sqrt(x * x + y * y) / p.birds;
  }

  /// The learned policies fly (see watch_market). Besides what that reports, means after steps: of
  /// the order parameter, the length of the birds' mean heading; of the share of others that are
  /// neighbours; and of the share of others that are too near.
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    double ordered = 0, neighbours = 0, disturbed = 0;
    const auto steps = static_cast<double>(
        watch_market<Flocking>(p, last, policy, facts, p.horizon > 0, sink,
                               [&](const State&, const double*, const State& after) {
                                 ordered += order(p, after);
                                 for (int i = 0; i < kMaxAgents && i < p.birds; ++i) {
                                   const View view = look(p, after, i);
                                   neighbours += view.neighbours;
                                   disturbed += view.too_near;
                                 }
                               }));
    const double pairs = static_cast<double>(p.birds) * (p.birds - 1) * steps;
    sink.metric("order_parameter", ordered / steps);
    sink.metric("neighbour_share", neighbours / pairs);
    sink.metric("too_near_share", disturbed / pairs);
  }

 private:
  struct Vector {
    double x, y;
  };
  /// What a bird sees, in its own frame.
  struct View {
    Vector centre;   ///< mean offset of neighbours
    Vector nearest;  ///< offset of the nearest one
    Vector heading;  ///< mean heading of neighbours
    double spread;   ///< mean squared distance of neighbours over radius^2
    int neighbours;
    int too_near;
  };

  CUMARL_HD static View look(const Params& p, const State& s, int agent) {
    View view{};
    const Direction own = p.direction[s.heading[agent]];
    double least = p.radius * p.radius;
    for (int j = 0; j < kMaxAgents && j < p.birds; ++j) {
      if (j == agent) continue;
      const Vector off{side(s.x[j] - s.x[agent]), side(s.y[j] - s.y[agent])};
      const double square = off.x * off.x + off.y * off.y;
      if (!(square < p.radius * p.radius)) continue;
      ++view.neighbours;
      view.too_near += square < p.too_near * p.too_near ? 1 : 0;
      view.spread += square;
      view.centre.x += off.x;
      view.centre.y += off.y;
      view.heading.x += p.direction[s.heading[j]].x;
      view.heading.y += p.direction[s.heading[j]].y;
      if (square < least) {
        least = square;
        view.nearest = off;
      }
    }
    if (view.neighbours == 0) return view;
    view.spread /= view.neighbours * (p.radius * p.radius);
    view.nearest = turned(own, view.nearest, 1);
    view.centre = turned(own, view.centre, view.neighbours);
    view.heading = turned(own, view.heading, view.neighbours);
    return view;
  }
  /// A difference of positions, the short way round.
  CUMARL_HD static CUMARL_INLINE double side(uint32_t difference) {
    return static_cast<double>(static_cast<int32_t>(difference)) * (1.0 / 4294967296.0);
  }
  CUMARL_HD static CUMARL_INLINE Vector turned(const Direction& own, Vector v, int count) {
    return {(own.x * v.x + own.y * v.y) / count, (own.x * v.y - own.y * v.x) / count};
  }
  /// The eighth of the circle around straight ahead (0), ahead on the left (1), and so on.
  CUMARL_HD static int eighth(Vector v) {
    constexpr double kDiagonal = 0.70710678118654752;
    const double along[4] = {v.x, (v.x + v.y) * kDiagonal, v.y, (v.y - v.x) * kDiagonal};
    int best = 0;
    double most = along[0];
    for (int k = 1; k < 8; ++k) {
      const double here = k < 4 ? along[k] : -along[k - 4];
      best = here > most ? k : best;
      most = here > most ? here : most;
    }
    return best;
  }

  /// Direction k of n. Cosine and sine of up to an eighth of the circle by their Taylor series, and
  /// the rest of the circle by symmetry: the same bits with every compiler and library.
  static Direction direction(int k, int n, double speed) {
    const int quarter = 4 * k / n, rest = 4 * k - quarter * n;  // rest / n of a quarter circle
    const bool mirrored = 2 * rest > n;
    const double angle = 1.5707963267948966 * (mirrored ? n - rest : rest) / n;
    double cosine = 1, sine = angle, term = angle;
    for (int m = 2; m < 24; ++m) {
      term = term * angle / m;
      double& sum = m % 2 == 0 ? cosine : sine;
      sum += m / 2 % 2 == 1 ? -term : term;
    }
    if (mirrored) std::swap(cosine, sine);
    Direction d{};
    switch (quarter) {
      case 0: d.x = cosine, d.y = sine; break;
      case 1: d.x = -sine, d.y = cosine; break;
      case 2: d.x = -cosine, d.y = -sine; break;
      default: d.x = sine, d.y = -cosine; break;
    }
    const double way = speed * 4294967296.0;
    d.dx = static_cast<int32_t>(way * d.x + (d.x < 0 ? -0.5 : 0.5));
    d.dy = static_cast<int32_t>(way * d.y + (d.y < 0 ? -0.5 : 0.5));
    return d;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
