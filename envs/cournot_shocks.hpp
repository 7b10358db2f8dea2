/// \file
/// Quantity competition with random demand, watched through the price: the market of Green and
/// Porter.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/env.hpp"
#include "kernels/core/learner.hpp"
#include "kernels/core/outcome.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// n firms without costs choose quantities q_i at the same time, from one equally spaced grid. Then
/// a demand d is drawn, independently and uniformly, from a list; the price is max(0, d - sum q),
/// and profit the price times q_i. With monitoring = "price" everybody sees last period's price
/// only, so that a low one may come from a rival or from low demand; with "quantities" everybody
/// sees last period's quantities. The demands have to be whole steps of the grid apart, so that all
/// prices lie on one grid of that step, and with monitoring = "price" no price may be below 0.
/// The profit gain compares expected profits (pi) with those of the one-shot Nash equilibrium at
/// mean demand D, q = D / (n + 1), and of the greatest joint profit, q = D / 2n.
/// Source: Green and Porter, Econometrica 52(1), 1984; as a market of Q-learners: Calvano,
/// Calzolari, Denicolo, Pastorello, "Algorithmic collusion with imperfect monitoring",
/// International Journal of Industrial Organization 79, 2021. Deviation: none. Action 0 is the
/// highest quantity, so that ties go to it, as there.
struct CournotShocks {
  static constexpr EnvFacts kFacts{
      "cournot_shocks",
      "Repeated quantity competition with random demand",
      "Green and Porter, Econometrica 1984; Calvano et al., IJIO 2021",
      Family::market,
      "position on the grid of quantities from the top: 0 the highest quantity",
      "last period's price as a position on the grid of prices, 0 the lowest; or all quantities",
      "quantities = 4"};
  static constexpr int kMaxAgents = 4;
  static constexpr int kMaxDemands = 16;
  static constexpr bool kSharedObservation = true;
  static constexpr uint32_t kMaxObservations = 1U << 20;
  static constexpr InitKind kCustomInit = InitKind::expected;
  enum Monitoring : int32_t { kPrice = 0, kQuantities = 1 };

  struct Config {
    int firms = 2;
    int quantities = 15;
    double lowest = 70.0;
    double step = 2.5;
    std::vector<double> demand{290.0, 310.0};
    Choice monitoring{kPrice};
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("firms", c.firms, Bounds{2, kMaxAgents}, "", "number of firms");
    v("quantities", c.quantities, Bounds{2, 128}, "", "quantities to choose from");
    v("lowest", c.lowest, Bounds{0, 1e6}, "quantity", "lowest quantity");
    v("step", c.step, Bounds{1e-6, 1e6}, "quantity", "from one quantity to the next");
    v("demand", c.demand, Bounds{1e-6, 1e6}, "price",
      "prices at which nothing is bought: equally likely values, up to 16");
    v.choice("monitoring", c.monitoring, {"price", "quantities"}, "what firms see of last period");
  }

  struct Params {
    int32_t firms;
    int32_t quantities;
    int32_t demands;
    Monitoring monitoring;
    uint32_t observations;
    double highest;  ///< quantity
    double step;
    double demand[kMaxDemands];
    int32_t place[kMaxDemands];  ///< (demand - lowest demand) / step
    double mean_demand;
    double nash_profit;
    double collusive_profit;
  };

  /// Throws ParameterError for demands that are not whole steps apart or too low for the
  /// quantities, and for too many observations.
  static Params make(const Config& c, Arena&) {
    if (c.demand.empty() || c.demand.size() > size_t{kMaxDemands}) {
      throw ParameterError("demand", "from 1 to 16 values");
    }
    Params p{};
    p.firms = c.firms;
    p.quantities = c.quantities;
    p.demands = static_cast<int32_t>(c.demand.size());
    p.monitoring = static_cast<Monitoring>(c.monitoring.value);
    p.highest = c.lowest + c.step * (c.quantities - 1);
    p.step = c.step;
    double least = c.demand[0];
    for (const double d : c.demand) least = std::fmin(least, d);
    int32_t top = 0;
    for (int k = 0; k < p.demands; ++k) {
      p.demand[k] = c.demand[static_cast<size_t>(k)];
      p.mean_demand += p.demand[k] / p.demands;
      const double steps = (p.demand[k] - least) / c.step;
      if (steps > 1e6 || std::fabs(steps - std::round(steps)) > 1e-9) {
        throw ParameterError("demand", "values must be whole steps of the quantities apart");
      }
      p.place[k] = static_cast<int32_t>(std::lround(steps));
      top = p.place[k] > top ? p.place[k] : top;
    }
    uint64_t seen = 1;
    if (p.monitoring == kPrice) {
      if (least < c.firms * p.highest) {
        throw ParameterError("demand", "the firms could sell more than is wanted at a price of 0");
      }
      seen = static_cast<uint64_t>(top) + static_cast<uint64_t>(c.firms * (c.quantities - 1)) + 1;
    } else {
      for (int i = 0; i < c.firms; ++i) seen *= static_cast<uint64_t>(c.quantities);
    }
    if (seen > kMaxObservations) {
      throw ParameterError("quantities", "firms would have to tell more than 2^20 states apart");
    }
    p.observations = static_cast<uint32_t>(seen);
    const double each = p.mean_demand / (c.firms + 1);
    p.nash_profit = each * each;
    p.collusive_profit = p.mean_demand * p.mean_demand / (4.0 * c.firms);
    return p;
  }

  struct State {
    uint32_t seen;  ///< everybody's observation
  };

  CUMARL_HD static int agents(const Params& p) { return p.firms; }
  CUMARL_HD static int actions(const Params& p, int) { return p.quantities; }
  CUMARL_HD static uint32_t observations(const Params& p, int) { return p.observations; }
  CUMARL_HD static uint32_t observe_index(const Params&, const State& s, int) { return s.seen; }
  CUMARL_HD static int features(const Params& p, int) {
    return p.monitoring == kPrice ? 1 : p.firms;
  }
  /// The position of last period's price; or last period's actions.
  CUMARL_HD static void observe(const Params& p, const State& s, int, float* out) {
    if (p.monitoring == kPrice) {
      out[0] = static_cast<float>(s.seen);
      return;
    }
    uint32_t rest = s.seen;
    for (int i = p.firms - 1; i >= 0; --i) {
      out[i] = static_cast<float>(rest % static_cast<uint32_t>(p.quantities));
      rest /= static_cast<uint32_t>(p.quantities);
    }
  }
  static Bounds feature_range(const Params& p, int, int) {
    return {0.0, p.monitoring == kPrice ? p.observations - 1.0 : p.quantities - 1.0};
  }
  /// Nobody is paid less than nothing, nor more than alone at the highest demand.
  static Bounds reward_bounds(const Params& p) {
    double top = 0;
    for (int k = 0; k < p.demands; ++k) top = std::fmax(top, p.demand[k]);
    return {0.0, top * p.highest};
  }

  /// An observation drawn uniformly; one random word.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s.seen = rng.below(p.observations);
  }

  /// One period; one random word where demand is random. Shapes: actions int [firms], rewards float
  /// [firms].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    const int k = p.demands > 1 ? static_cast<int>(rng.below(static_cast<uint32_t>(p.demands))) : 0;
    const double price = price_of(p, actions, p.demand[k]);
    for (int i = 0; i < kMaxAgents && i < p.firms; ++i) {
      rewards[i] = static_cast<float>(price * quantity(p, actions[i]));
    }
    s.seen = next_seen(p, actions, k);
    return Episode::goes_on;
  }

  /// Shows the state as "seen", the observation. Throws ParameterError for one that cannot be.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t seen = s.seen;
    v("seen", &seen, 1);
    if (seen < 0 || seen >= int64_t{p.observations}) {
      throw ParameterError("seen", "must be from 0 to " + std::to_string(p.observations - 1));
    }
    s.seen = static_cast<uint32_t>(seen);
  }

  /// Q0 = own expected profit against rivals who choose uniformly, for ever, [actions]. `host` was
  /// made with a HostArena. Throws ParameterError for other kinds of initial values. Source:
  /// Calvano et al. 2021, footnote 12.
  static std::vector<double> initial_values(const Params& host, const AgentSpec& spec,
                                            double gamma) {
    if (spec.init.kind.value != static_cast<int>(InitKind::expected)) {
      throw ParameterError("init.kind", "this market knows expected, constant and uniform");
    }
    if (!(gamma < 1.0)) {
      throw ParameterError("init.kind", "values of an endless game need gamma < 1");
    }
    uint64_t joint = 1;
    for (int i = 0; i < host.firms; ++i) joint *= static_cast<uint64_t>(host.quantities);
    std::vector<double> q(static_cast<size_t>(host.quantities), 0.0);
    const double weight = static_cast<double>(host.quantities) / static_cast<double>(joint) /
                          host.demands / (1.0 - gamma);
    for (uint64_t j = 0; j < joint; ++j) {
      int chosen[kMaxAgents] = {};
      uint64_t rest = j;
      for (int i = 0; i < host.firms; ++i) {
        chosen[i] = static_cast<int>(rest % static_cast<uint64_t>(host.quantities));
        rest /= static_cast<uint64_t>(host.quantities);
      }
      const int mine = chosen[spec.agent];
      for (int k = 0; k < host.demands; ++k) {
        q[static_cast<size_t>(mine)] +=
            price_of(host, chosen, host.demand[k]) * quantity(host, mine) * weight;
      }
    }
    return q;
  }

  /// The learned policies play `evaluation.steps` periods from the run's last state. Reported are
  /// means over them: the profit gain, of profits expected before demand is known; that profit, and
  /// the quantity, of all and each firm; the price.
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    const uint32_t steps = policy.evaluation().steps;
    double paid[kMaxAgents] = {};
    double sold[kMaxAgents] = {};
    double prices = 0;
    State s = last;
    for (uint32_t t = 0; t < steps; ++t) {
      int chosen[kMaxAgents] = {};
      policy.act(p, s, chosen, t);
      double price = 0;
      for (int k = 0; k < p.demands; ++k) price += price_of(p, chosen, p.demand[k]) / p.demands;
      prices += price;
      for (int i = 0; i < kMaxAgents && i < p.firms; ++i) {
        paid[i] += price * quantity(p, chosen[i]);
        sold[i] += quantity(p, chosen[i]);
      }
      Rng rng(policy.key(), (uint64_t{2} << 32) + t, Stream::evaluate);
      s.seen = next_seen(p, chosen, static_cast<int>(rng.below(static_cast<uint32_t>(p.demands))));
    }
    double all_paid = 0, all_sold = 0;
    for (int i = 0; i < kMaxAgents && i < p.firms; ++i) {
      all_paid += paid[i];
      all_sold += sold[i];
    }
    const double profit = all_paid / p.firms / steps;
    sink.metric("profit_gain", (profit - p.nash_profit) / (p.collusive_profit - p.nash_profit));
    sink.metric("mean_profit", profit);
    sink.metric("mean_quantity", all_sold / p.firms / steps);
    sink.metric("mean_price", prices / steps);
    for (int i = 0; i < p.firms; ++i) {
      sink.metric("mean_profit", paid[i] / steps, i);
      sink.metric("mean_quantity", sold[i] / steps, i);
    }
    sink.metric("time_to_convergence", static_cast<double>(facts.last_change));
  }

 private:
  CUMARL_HD static CUMARL_INLINE double quantity(const Params& p, int action) {
    return p.highest - p.step * action;
  }
  CUMARL_HD static CUMARL_INLINE double price_of(const Params& p, const int* actions,
                                                 double demand) {
    double sold = 0;
    for (int i = 0; i < kMaxAgents && i < p.firms; ++i) sold += quantity(p, actions[i]);
    return demand > sold ? demand - sold : 0.0;
  }
  CUMARL_HD static CUMARL_INLINE uint32_t next_seen(const Params& p, const int* actions,
                                                    int demand) {
    int sum = p.place[demand];
    uint32_t joint = 0;
    for (int i = 0; i < kMaxAgents && i < p.firms; ++i) {
      sum += actions[i];
      joint = joint * static_cast<uint32_t>(p.quantities) + static_cast<uint32_t>(actions[i]);
    }
    return p.monitoring == kPrice ? static_cast<uint32_t>(sum) : joint;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
