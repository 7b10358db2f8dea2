/// \file
/// What all tabular learners share: memory, initial values, the cursor, epsilon-greedy and
/// Boltzmann choice. A learner derives from Tabular and adds `learn` (see q_learning.hpp).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/core/learner.hpp"
#include "kernels/core/math.hpp"
#include "kernels/core/team.hpp"
#include "kernels/tabular/exploration.hpp"
#include "kernels/tabular/table.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Base of the tabular learners. Memory of one agent in one run: observations x stride entries,
/// row-major, rows padded to `row_stride(actions)`.
///
/// The cursor is what an agent knows of its present observation: the row and the row's best entry,
/// read once and used twice, as the bootstrap value of the step that led there and as the greedy
/// action of the next.
template <class TableType, class ShapeType>
struct Tabular {
  using Table = TableType;
  using Entry = typename Table::Entry;
  using Best = typename Table::Best;

  static constexpr bool kTabular = true;
  static constexpr bool kAgentwise = false;    ///< all agents have this learner
  static constexpr bool kWatched = true;       ///< its greedy actions tell convergence
  static constexpr bool kGreedyPolicy = true;  ///< its evaluated policy is deterministic

  struct Config {
    double gamma = 0.95;
    Exploration::Config exploration;
    InitConfig init;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("gamma", c.gamma, Bounds{0, 1}, "", "discount factor");
    c.exploration.fields(v);
    c.init.fields(v);
  }

  struct Params {
    Exploration exploration;
    typename Table::Codec codec;
    uint32_t observations;
    int32_t actions;
    int32_t stride;
    InitKind init;
    double init_low;
    double init_width;
    double gamma;
    const double* initial;  ///< AgentSpec::initial on the backend
    bool initial_per_action;
    uint64_t initial_runs;

    CUMARL_HD CUMARL_INLINE int row_actions() const {
      return ShapeType::kActions > 0 ? ShapeType::kActions : actions;
    }
    CUMARL_HD CUMARL_INLINE int row_pitch() const {
      return ShapeType::kActions > 0 ? row_stride(ShapeType::kActions) : stride;
    }
  };

  using Memo = Exploration::Memo;

  struct Cursor {
    uint32_t observation;
    Best best;
  };

  /// Throws ParameterError for what the table type cannot hold.
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    if (spec.observations == 0) {
      throw ParameterError("name", "this environment has no tabular observation of this size");
    }
    ValueRange range = value_range(c, spec);
    if constexpr (Table::kFixedPoint) {
      if (spec.actions > Table::kMaxActions) {
        throw ParameterError("table", "fixed28 holds up to 16 actions; use float32");
      }
      if (c.gamma >= 1.0) {
        throw ParameterError("table", "fixed28 needs gamma below 1; use float32");
      }
    }
    Params p{};
    p.exploration = Exploration::make(c.exploration, spec.actions);
    p.codec = Table::codec(range, c.gamma);
    p.gamma = c.gamma;
    p.observations = spec.observations;
    p.actions = spec.actions;
    p.stride = row_stride(spec.actions);
    p.init = spec.init.kind.value == static_cast<int>(InitKind::uniform) ? InitKind::uniform
                                                                         : InitKind::constant;
    p.init_low = p.init == InitKind::uniform ? spec.init.low : spec.init.value;
    p.init_width = spec.init.high - spec.init.low;
    if (spec.initial != nullptr && !spec.initial->empty()) p.initial = arena.store(*spec.initial);
    p.initial_per_action = spec.initial_per_action;
    p.initial_runs = spec.initial_runs;
    return p;
  }

  /// Bytes of one agent's memory in one run.
  CUMARL_HD static size_t bytes(const Params& p) {
    return static_cast<size_t>(p.observations) * static_cast<size_t>(p.stride) * sizeof(Entry);
  }

  CUMARL_HD static CUMARL_INLINE Entry* row(const Params& p, std::byte* memory,
                                            uint32_t observation) {
    return reinterpret_cast<Entry*>(memory) +
           static_cast<size_t>(observation) * static_cast<size_t>(p.row_pitch());
  }

  template <class Team>
  CUMARL_HD static void init(const Team& team, const Params& p, std::byte* memory, RunKey key,
                             int agent) {
    for (uint32_t s = static_cast<uint32_t>(team.rank()); s < p.observations;
         s += static_cast<uint32_t>(team.size())) {
      Entry* entries = row(p, memory, s);
      for (int a = 0; a < p.row_pitch(); ++a) {
        entries[a] = a < p.row_actions() ? Table::encode(p.codec, initial(p, key, agent, s, a),
                                                         static_cast<uint32_t>(a))
                                         : Table::pad();
      }
    }
    team.sync();
  }

  /// Comes to an observation: reads its row.
  template <class Team>
  CUMARL_HD static CUMARL_INLINE Cursor arrive(const Team& team, const Params& p, std::byte* memory,
                                               uint32_t observation) {
    return {observation, Table::scan(team, row(p, memory, observation), scan_width(p))};
  }

  CUMARL_HD static double discount(const Params& p) { return p.gamma; }

  CUMARL_HD static CUMARL_INLINE uint32_t greedy(const Cursor& at) {
    return Table::action(at.best);
  }

  /// Decisions of steps t .. t+count from one random word each (words[k * pitch]). Pre: count <=
  /// Exploration::kPeriod.
  CUMARL_HD static CUMARL_INLINE void decide(const Params& p, Memo& memo, uint64_t t, int count,
                                             const uint32_t* __restrict words, int pitch,
                                             uint32_t* __restrict keep,
                                             uint32_t* __restrict forced) {
    const Exploration& e = p.exploration;
    const uint32_t actions = e.actions;
    if (e.kind == Exploration::kBoltzmann) {
      for (int k = 0; k < count; ++k) {
        keep[k] = 0;
        forced[k] = words[k * pitch];
      }
    } else if (e.schedule == Exploration::kLinear) {
      for (int k = 0; k < count; ++k) {
        const Decision d =
            Exploration::decide(e.line(t + static_cast<uint64_t>(k)), actions, words[k * pitch]);
        keep[k] = d.keep;
        forced[k] = d.forced;
      }
    } else {
      const auto offset = static_cast<int>(t % Exploration::kPeriod);
      const uint64_t period = t / Exploration::kPeriod;
      const int split = Exploration::kPeriod - offset;
      const float before = e.anchor(period, memo);
      const float after = count > split ? e.anchor(period + 1, memo) : before;
      const float* __restrict power = e.power + offset;
      const auto floor = static_cast<float>(e.end);
      for (int k = 0; k < count; ++k) {
        const float anchored = k < split ? before : after;
        const Decision d = Exploration::decide(Exploration::continued(anchored, power[k], floor),
                                               actions, words[k * pitch]);
        keep[k] = d.keep;
        forced[k] = d.forced;
      }
    }
  }

  /// The action of a step: epsilon-greedy by mask, Boltzmann by inversion of one random word.
  CUMARL_HD static CUMARL_INLINE uint32_t act(const Params& p, std::byte* memory, const Cursor& at,
                                              Decision decision, uint64_t t) {
    if (p.exploration.kind == Exploration::kBoltzmann) {
      return boltzmann(p, row(p, memory, at.observation), at.best,
                       static_cast<double>(p.exploration.at(t)), decision.forced);
    }
    return (greedy(at) & decision.keep) | decision.forced;
  }

  /// The evaluated policy: greedy.
  CUMARL_HD static CUMARL_INLINE uint32_t evaluate(const Params&, std::byte*, const Cursor& at,
                                                   uint32_t) {
    return greedy(at);
  }
  /// The same as probabilities, [actions].
  CUMARL_HD static void policy(const Params& p, const Cursor& at, double* out) {
    for (int a = 0; a < p.row_actions(); ++a) out[a] = static_cast<uint32_t>(a) == greedy(at);
  }

  /// Writes entry `a` of the row at `from` and keeps both cursors true to the table.
  template <class Team>
  CUMARL_HD static CUMARL_INLINE void write(const Team& team, const Params& p, std::byte* memory,
                                            Cursor& from, uint32_t a, Entry was, Entry now,
                                            Cursor& next) {
    Entry* entries = row(p, memory, from.observation);
    team.once([&] { entries[a] = now; });
    bool known = true;
    from.best = Table::patched(from.best, a, was, now, known);
    if (!known) from.best = Table::scan(team, entries, scan_width(p));
    if (next.observation == from.observation) next.best = from.best;
  }

  /// Fills and padding are never the best, so a padded row may be scanned whole.
  CUMARL_HD static CUMARL_INLINE int scan_width(const Params& p) { return p.row_pitch(); }

  /// Softmax over the row at `temperature`.
  CUMARL_HD static uint32_t boltzmann(const Params& p, const Entry* entries, const Best& best,
                                      double temperature, uint32_t word) {
    const auto value = [&](int a) { return Table::decode(p.codec, entries[a]); };
    return static_cast<uint32_t>(
        draw_softmax(value, p.row_actions(), Table::worth(p.codec, best), temperature, word));
  }

 private:
  CUMARL_HD static double initial(const Params& p, RunKey key, int agent, uint32_t s, int a) {
    if (p.initial != nullptr) {
      const uint64_t per_run = uint64_t{p.observations} * static_cast<uint64_t>(p.row_actions());
      const uint64_t offset = p.initial_per_action
                                  ? 0
                                  : (key.run % p.initial_runs) * per_run +
                                        uint64_t{s} * static_cast<uint64_t>(p.row_actions());
      return p.initial[offset + static_cast<uint64_t>(a)];
    }
    if (p.init == InitKind::constant) return p.init_low;
    const uint64_t index =
        uint64_t{s} * static_cast<uint64_t>(p.row_actions()) + static_cast<uint64_t>(a);
    const Philox block = philox(key, index, Stream::init, static_cast<uint32_t>(agent));
    return p.init_low + unit_double(block.x0) * p.init_width;
  }

  /// Every value the table can take: returns lie between the reward bounds / (1 - gamma).
  static ValueRange value_range(const Config& c, const AgentSpec& spec) {
    const double horizon = c.gamma < 1.0 ? 1.0 / (1.0 - c.gamma) : 1.0;
    const auto least = [](double x, double y) { return x < y ? x : y; };
    const auto most = [](double x, double y) { return x > y ? x : y; };
    ValueRange range{least(spec.reward_low, spec.reward_low * horizon),
                     most(spec.reward_high, spec.reward_high * horizon)};
    const auto include = [&](double value) {
      range.low = least(range.low, value);
      range.high = most(range.high, value);
    };
    if (spec.init.kind.value == static_cast<int>(InitKind::uniform)) {
      include(spec.init.low);
      include(spec.init.high);
    } else if (spec.initial == nullptr || spec.initial->empty()) {
      include(spec.init.value);
    } else {
      for (const double value : *spec.initial) include(value);
    }
    return range;
  }
};

/// A table that moves at one constant learning rate.
template <class TableType, class ShapeType>
struct ConstantRate : Tabular<TableType, ShapeType> {
  using Values = Tabular<TableType, ShapeType>;

  struct Config : Values::Config {
    double alpha = 0.1;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("alpha", c.alpha, Bounds{0, 1}, "", "learning rate");
    Values::fields(v, c);
  }

  struct Params : Values::Params {
    typename TableType::Rate alpha;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena& arena) {
    return {Values::make(c, spec, arena), TableType::rate(c.alpha)};
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
