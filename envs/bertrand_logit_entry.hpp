/// \file
/// Price competition with logit demand and a firm that enters and leaves at random.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "envs/bertrand_logit.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The market of bertrand_logit, whose last firm, the outsider, comes and goes by chance: out, it
/// is in the market of the next period with probability `entry`; in, it is out of the next with
/// probability `exit`. Out, it sells and earns nothing. Everybody sees last period's prices, of
/// which "out" is one more for the outsider. In the period in which it enters it answers a history
/// in which it was out.
///
/// What being out is to the outsider, `out` says. "absent": no part of the game; its action is
/// ignored, and it does not learn. "action": one more action, by which it leaves, or stays out, of
/// its own accord; and where chance has put it out, that is what it has played and learns from.
///
/// All prices lie on the grids of the market with all firms in. Initial values of kind "expected"
/// are means over rivals' actions among which every rival, as in the replication package, has one
/// more: being out. A run starts at random prices, the outsider in with the probability that it is
/// in the long run, entry / (entry + exit).
///
/// Source: Calvano, Calzolari, Denicolo, Pastorello, AER 110(10), 2020, section on a variable
/// market structure, and the program "entryexit" of its replication package (openICPSR 119462).
/// There being out is an action of the outsider's, who learns as outside_option_q does, and the
/// profit gains of table A7 are of those periods of limit cycles in which it is out of its own
/// accord. Deviation: that is the option "action". With "absent", the default, the outsider chooses
/// among prices only, and every run measures the market without it and the one with it.
struct BertrandLogitEntry {
  static constexpr EnvFacts kFacts{
      "bertrand_logit_entry",
      "Price competition with logit demand; one firm enters and leaves at random",
      "Calvano, Calzolari, Denicolo, Pastorello, AER 2020, variable market structure",
      Family::market,
      "position on the firm's price grid, 0 the lowest price; one more: being out",
      "all firms' prices of last period; the last firm's, or that it was out",
      "prices = 4"};
  static constexpr int kMaxAgents = BertrandStage::kMaxPlayers;
  static constexpr bool kSharedObservation = true;
  static constexpr InitKind kCustomInit = InitKind::expected;
  static constexpr uint64_t kMaxHistories = uint64_t{1} << 24;

  /// What being out is to the outsider.
  enum Out : int32_t { kAbsent = 0, kAction = 1 };

  struct Config : BertrandStage::Config {
    Config() { firms = 3; }
    double entry = 0.001;
    double exit = 0.001;
    Choice out{kAbsent};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("firms", c.firms, Bounds{3, kMaxAgents}, "",
      "number of firms, the last of which enters and leaves; all of them set the grid's bounds");
    BertrandStage::market_fields(v, c);
    v("entry", c.entry, Bounds{0, 1}, "",
      "probability that the last firm, out, enters in a period");
    v("exit", c.exit, Bounds{0, 1}, "", "probability that the last firm, in, is out of the next");
    v.choice("out", c.out, {"absent", "action"},
             "what being out is to the last firm: no part of the game, or one of its actions");
  }

  struct Params {
    BertrandStage::Params market;  ///< with all firms
    uint32_t histories;
    double entry;
    double exit;
    double start_in;  ///< probability that a run starts with the outsider in
    Out out;
    /// Of the market without the outsider, in Nash equilibrium and at greatest joint profit.
    double nash_profit[kMaxAgents];
    double monopoly_profit[kMaxAgents];
  };

  /// Last period's actions, firm 0 the highest digit; the outsider's digit has one value more.
  struct State {
    uint32_t history;
  };

  /// Throws ParameterError for lists of the wrong length, markets without a price range, and an
  /// outsider that neither enters nor leaves.
  static Params make(const Config& c, Arena& arena) {
    if (!(c.entry + c.exit > 0)) throw ParameterError("entry", "entry and exit are both 0");
    Params p{};
    p.market = BertrandStage::make(c, arena);
    uint64_t histories = static_cast<uint64_t>(c.prices) + 1;
    for (int i = 0; i + 1 < c.firms; ++i) histories *= static_cast<uint64_t>(c.prices);
    if (histories > kMaxHistories) {
      throw ParameterError("prices", "the firms would have to tell more than 2^24 histories apart");
    }
    p.histories = static_cast<uint32_t>(histories);
    p.entry = c.entry;
    p.exit = c.exit;
    p.start_in = c.entry / (c.entry + c.exit);
    p.out = static_cast<Out>(c.out.value);

    BertrandStage::Config inside = c;
    inside.firms = c.firms - 1;
    const auto without_last = [&](std::vector<double>& values) {
      if (values.size() > 1) values.pop_back();
    };
    without_last(inside.quality);
    without_last(inside.cost);
    HostArena scratch;
    const auto market = BertrandStage::make(inside, scratch);
    for (int i = 0; i < inside.firms; ++i) {
      p.nash_profit[i] = market.nash_profit[i];
      p.monopoly_profit[i] = market.monopoly_profit[i];
    }
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.market.firms; }
  CUMARL_HD static int actions(const Params& p, int agent) {
    return chooses(p) && outsider(p, agent) ? p.market.prices + 1 : p.market.prices;
  }
  CUMARL_HD static uint32_t observations(const Params& p, int) { return p.histories; }
  CUMARL_HD static uint32_t observe_index(const Params&, const State& s, int) { return s.history; }
  CUMARL_HD static int features(const Params& p, int) { return p.market.firms; }
  /// Last period's actions, `prices` for an outsider that was out.
  CUMARL_HD static void observe(const Params& p, const State& s, int, float* out) {
    int last[kMaxAgents] = {};
    digits(p, s.history, last);
    for (int i = 0; i < kMaxAgents && i < p.market.firms; ++i) out[i] = static_cast<float>(last[i]);
  }
  static Bounds feature_range(const Params& p, int, int) {
    return {0.0, static_cast<double>(p.market.prices)};
  }

  /// Whether the agent had no part in the period that led to `s`; it then learns nothing from it.
  CUMARL_HD static bool absent(const Params& p, const State& s, int agent) {
    return !chooses(p) && outsider(p, agent) && out(p, s);
  }
  /// What an agent who chose `action` has played in the period that led to `s`: chance may have put
  /// it out.
  CUMARL_HD static int played(const Params& p, const State& s, int agent, int action) {
    return chooses(p) && outsider(p, agent) && out(p, s) ? p.market.prices : action;
  }

  /// A random word a firm, and one for whether the outsider is in.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    const auto prices = static_cast<uint32_t>(p.market.prices);
    int first[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < p.market.firms; ++i) {
      first[i] = static_cast<int>(rng.below(prices));
      const bool outside = i == p.market.firms - 1 && !(unit_double(rng.word()) < p.start_in);
      if (outside) first[i] = p.market.prices;
    }
    s.history = number(p, first);
  }

  /// One period; one random word. Shapes: actions int [agents], rewards float [agents], in arrays
  /// of kMaxAgents.
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    const double draw = unit_double(rng.word());
    double profit[kMaxAgents] = {};
    advance(p, s, actions, out(p, s) ? draw < p.entry : !(draw < p.exit), profit);
    for (int i = 0; i < kMaxAgents && i < p.market.firms; ++i) {
      rewards[i] = static_cast<float>(profit[i]);
    }
    return Episode::goes_on;
  }

  /// Profit is monotone in the rivals' prices, and being out is a price without sales.
  static Bounds reward_bounds(const Params& p) {
    Bounds bounds{0.0, 0.0};
    const int n = p.market.firms;
    for (int i = 0; i < n; ++i) {
      for (int own = 0; own < p.market.prices; ++own) {
        for (const int rivals : {0, p.market.prices - 1}) {
          int chosen[kMaxAgents] = {};
          for (int j = 0; j < n; ++j) chosen[j] = rivals;
          chosen[i] = own;
          if (rivals > 0 && i + 1 < n) chosen[n - 1] = p.market.prices;
          double profit[kMaxAgents] = {};
          profits(p, chosen, profit);
          bounds = {std::fmin(bounds.min, profit[i]), std::fmax(bounds.max, profit[i])};
        }
      }
    }
    return bounds;
  }

  /// Shows the state as "last", everybody's last action, `prices` for an outsider that was out.
  /// Throws ParameterError for others than there are.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    const int n = p.market.firms;
    int last[kMaxAgents] = {};
    digits(p, s.history, last);
    int64_t shown[kMaxAgents] = {};
    for (int i = 0; i < n; ++i) shown[i] = last[i];
    v("last", shown, n);
    for (int i = 0; i < n; ++i) {
      const int64_t highest = i + 1 < n ? p.market.prices - 1 : p.market.prices;
      if (shown[i] < 0 || shown[i] > highest) {
        throw ParameterError("last", "of firm " + std::to_string(i) + " must be from 0 to " +
                                         std::to_string(highest));
      }
      last[i] = static_cast<int>(shown[i]);
    }
    s.history = number(p, last);
  }

  /// Q0(a) = mean profit of a over the rivals' actions, being out among them, / (1 - gamma), and so
  /// 0 for being out: [actions]. Throws ParameterError for other kinds, gamma of 1, and more than
  /// 10^8 joint actions.
  static std::vector<double> initial_values(const Params& host, const AgentSpec& spec,
                                            double gamma) {
    if (static_cast<InitKind>(spec.init.kind.value) != InitKind::expected) {
      throw ParameterError("init.kind", "must be expected, constant, uniform or trained");
    }
    if (!(gamma < 1.0)) {
      throw ParameterError("init.kind", "values of an endless game need gamma < 1");
    }
    const int n = host.market.firms;
    double rivals = 1;
    for (int i = 0; i + 1 < n; ++i) rivals *= host.market.prices + 1;
    if (rivals * host.market.prices > 1e8) {
      throw ParameterError("init.kind", "too many joint actions to average over (10^8)");
    }
    std::vector<double> q(static_cast<size_t>(actions(host, spec.agent)), 0.0);
    for (int own = 0; own < actions(host, spec.agent); ++own) {
      int chosen[kMaxAgents] = {};
      chosen[spec.agent] = own;
      double sum = 0;
      for (bool more = true; more;) {
        double profit[kMaxAgents] = {};
        profits(host, chosen, profit);
        sum += profit[spec.agent];
        more = false;
        for (int i = n - 1; i >= 0 && !more; --i) {  // the next combination
          if (i == spec.agent) continue;
          more = chosen[i] < host.market.prices;
          chosen[i] = more ? chosen[i] + 1 : 0;
        }
      }
      q[static_cast<size_t>(own)] = sum / rivals / (1.0 - gamma);
    }
    return q;
  }

  /// With out = "absent": from the run's last state on the outsider is held out of the market, and
  /// then, again from the last state, in it, while everybody in the market follows the greedy
  /// policies to their limit cycle (Brent's algorithm; `evaluation.steps` periods of policies that
  /// are not deterministic). With "action": everybody follows them to one cycle, in which the
  /// outsider is out where that is what it plays.
  ///
  /// Of the periods with the outsider out, and of those with it in, are reported the profit gain
  /// (pi - piN) / (piM - piN) of the firms that are in, by the benchmarks of their number, their
  /// mean price and mean profit: `profit_gain_out`, `profit_gain_in`, and so on; no numbers where
  /// there are no such periods. `leaves`: whether an outsider who may is out in some.
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    Market two{};
    Market all{};
    const uint32_t length_out = chooses(p) ? 0 : cycle(p, last, policy, false, two, all);
    const uint32_t length = cycle(p, last, policy, true, two, all);
    two.average(p.nash_profit, p.monopoly_profit, p.market.firms - 1);
    all.average(p.market.nash_profit, p.market.monopoly_profit, p.market.firms);
    sink.metric("profit_gain_out", two.gain);
    sink.metric("profit_gain_in", all.gain);
    sink.metric("mean_price_out", two.price);
    sink.metric("mean_price_in", all.price);
    sink.metric("mean_profit_out", two.profit);
    sink.metric("mean_profit_in", all.profit);
    sink.metric("time_to_convergence", static_cast<double>(facts.last_change));
    if (chooses(p)) sink.share("leaves", two.periods > 0, Label::yes_no);
    if (!policy.deterministic()) return;
    if (chooses(p)) {
      sink.share("cycle_length", length);
    } else {
      sink.share("cycle_length_out", length_out);
      sink.share("cycle_length_in", length);
    }
  }

 private:
  /// The market with one number of firms: sums over periods and firms, and what they come to.
  struct Market {
    double gain, price, profit;
    uint32_t periods;

    /// Where there are no periods, to no numbers, with the same bits on every machine (those of 0 / 0
    /// differ).
    CUMARL_HD void average(const double* nash_profit, const double* monopoly_profit, int firms) {
      if (periods == 0) {
        gain = price = profit = __builtin_nan("");
        return;
      }
      const double count = static_cast<double>(periods) * firms;
      profit /= count;
      price /= count;
      double nash = 0;
      double monopoly = 0;
      for (int i = 0; i < kMaxAgents && i < firms; ++i) {
        nash += nash_profit[i];
        monopoly += monopoly_profit[i];
      }
      gain = (profit * firms - nash) / (monopoly - nash);
    }
  };

  CUMARL_HD static bool chooses(const Params& p) { return p.out == kAction; }
  CUMARL_HD static bool outsider(const Params& p, int agent) { return agent == p.market.firms - 1; }
  CUMARL_HD static bool out(const Params& p, const State& s) {
    const auto digit = static_cast<uint32_t>(p.market.prices);
    return s.history % (digit + 1) == digit;
  }
  CUMARL_HD static uint32_t number(const Params& p, const int* actions) {
    const auto prices = static_cast<uint32_t>(p.market.prices);
    uint32_t history = 0;
    for (int i = 0; i < kMaxAgents && i < p.market.firms; ++i) {
      const uint32_t base = i == p.market.firms - 1 ? prices + 1 : prices;
      history = history * base + static_cast<uint32_t>(actions[i]);
    }
    return history;
  }
  CUMARL_HD static void digits(const Params& p, uint32_t history, int* actions) {
    const auto prices = static_cast<uint32_t>(p.market.prices);
    for (int i = kMaxAgents - 1; i >= 0; --i) {
      if (i >= p.market.firms) continue;
      const uint32_t base = i == p.market.firms - 1 ? prices + 1 : prices;
      actions[i] = static_cast<int>(history % base);
      history /= base;
    }
  }

  /// Profits where an action of `prices` is being out.
  CUMARL_HD static void profits(const Params& p, const int* actions, double* profit) {
    const int prices = p.market.prices;
    double total = p.market.outside;
    for (int i = 0; i < kMaxAgents && i < p.market.firms; ++i) {
      if (actions[i] < prices) total += p.market.attraction[i * prices + actions[i]];
    }
    for (int i = 0; i < kMaxAgents && i < p.market.firms; ++i) {
      profit[i] = 0;
      if (actions[i] == prices) continue;
      const int at = i * prices + actions[i];
      profit[i] = (p.market.price[at] - p.market.cost[i]) * (p.market.attraction[at] / total);
    }
  }

  /// A period with the outsider in or out.
  CUMARL_HD static void advance(const Params& p, State& s, const int* actions, bool in,
                                double* profit) {
    int played[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < p.market.firms; ++i) {
      played[i] = !in && i == p.market.firms - 1 ? p.market.prices : actions[i];
    }
    profits(p, played, profit);
    s.history = number(p, played);
  }

  /// Adds up the limit cycle that is reached from `s` with the outsider held in the market, as far
  /// as it wants to be, or out: periods without it to `two`, with it to `all`. Returns its length.
  template <class Policy>
  CUMARL_HD static uint32_t cycle(const Params& p, State s, const Policy& policy, bool in,
                                  Market& two, Market& all) {
    double profit[kMaxAgents] = {};
    const auto follow = [&](State& at, uint64_t t) {
      int chosen[kMaxAgents] = {};
      policy.act(p, at, chosen, t);
      advance(p, at, chosen, in, profit);
    };
    uint32_t length = policy.evaluation().steps;
    if (policy.deterministic()) {
      length = 1;
      uint32_t power = 1;
      State hare = s;
      follow(hare, 0);
      while (s.history != hare.history) {
        if (power == length) {
          s = hare;
          power *= 2;
          length = 0;
        }
        follow(hare, 0);
        ++length;
      }
    }
    for (uint32_t t = 0; t < length; ++t) {
      follow(s, t);
      int charged[kMaxAgents] = {};
      digits(p, s.history, charged);
      Market& found = out(p, s) ? two : all;
      ++found.periods;
      for (int i = 0; i < kMaxAgents && i < p.market.firms; ++i) {
        if (charged[i] == p.market.prices) continue;
        found.profit += profit[i];
        found.price += p.market.price[i * p.market.prices + charged[i]];
      }
    }
    return length;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
