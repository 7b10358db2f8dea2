/// \file
/// Stores that decide who ships an order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "envs/market_tools.hpp"
#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Orders arrive one after another. For each, every store's distance (1 to max_distance) and
/// inventory (0 to max_inventory) are drawn uniformly; to ship costs a store
///     distance + (inventory < low_inventory ? low_penalty : 0).
/// With rule = "highest_bid" exactly one store ships: every store bids, and the highest bid ships,
/// of equal ones that with the lowest number. If a store bids by what it thinks shipping is worth
/// to it over not shipping, Q_i(1) - Q_i(0), this is the arg-max over stores of that difference.
/// With rule = "independent" every store says whether it ships, and all that say so ship and pay.
/// Then stores that each do what is better for themselves, Q_i(1) = -cost against Q_i(0) = 0, ship
/// nothing; `lost_cost`, paid by everybody for an order that nobody ships, can change that.
///
/// With rule = "clock" a fee is offered for the order that rises by 1 from .5 until a store says
/// that it ships; of several that with the lowest number. It earns the fee less its cost, all others
/// nothing; a round of the clock is a joint step. The sign of Q_i(1) - Q_i(0) at a fee is then that
/// of fee - cost for a store that looks at the present round only (gamma = 0): its first yes comes
/// at the first fee above its cost, so the first to say yes is the arg-max over stores of the
/// difference that shipping makes to them, and exactly one ships. Stores that look ahead wait for
/// higher fees. Fees go up to the first one above every cost; an order refused there is lost.
///
/// The reward is minus the costs of all stores, and lost_cost ("shared"), or minus the own ones
/// ("individual"); fees are paid with "individual" only, since all stores together would keep none.
/// Source: the assignment of one task by its bidders' costs, e.g. Gerkey and Mataric, "A formal
/// analysis and taxonomy of task allocation in multi-robot systems", IJRR 2004. The clock is a reverse auction with a
/// rising price, e.g. Milgrom, "Putting Auction Theory to Work", 2004. Deviation: none.
struct Fulfilment {
  static constexpr EnvFacts kFacts{"fulfilment",
                                   "Stores that decide who ships an order",
                                   "task allocation by costs, Gerkey and Mataric, IJRR 2004",
                                   Family::market,
                                   "highest_bid: the bid, 0 the lowest; independent and clock: 0 "
                                   "do not ship, 1 ship; as a number "
                                   "0 to 1, from 0.5 on ship",
                                   "floats: own distance, own inventory, and the clock's fee; "
                                   "table index: own distance, whether "
                                   "the inventory is low, and the clock's round",
                                   "stores = 3\nbids = 4\n"};
  static constexpr int kMaxAgents = 10;
  static constexpr bool kSharedObservation = false;

  struct Config {
    int stores = 10;
    Choice rule;
    int bids = 16;
    int max_distance = 15;
    int max_inventory = 9;
    int low_inventory = 3;
    double low_penalty = 10.0;
    double lost_cost = 0.0;
    Choice reward;
    int orders = 20;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("stores", c.stores, Bounds{2, kMaxAgents}, "", "number of stores");
    v.choice("rule", c.rule, {"highest_bid", "independent", "clock"},
             "the highest bid ships, everybody who says so, or who does first as a fee rises");
    v("bids", c.bids, Bounds{2, 1024}, "", "highest_bid: levels of bids to choose from");
    v("max_distance", c.max_distance, Bounds{1, 1000}, "km", "longest way; a km costs 1");
    v("max_inventory", c.max_inventory, Bounds{0, 1000}, "units", "largest inventory");
    v("low_inventory", c.low_inventory, Bounds{0, 1001}, "units", "inventories below it are low");
    v("low_penalty", c.low_penalty, Bounds{0, 1e6}, "reward", "cost of shipping at low inventory");
    v("lost_cost", c.lost_cost, Bounds{0, 1e6}, "reward",
      "independent, clock: what everybody is charged for an order that nobody ships");
    v.choice("reward", c.reward, {"shared", "individual"}, "minus all costs, or minus own costs");
    v("orders", c.orders, Bounds{1, 1e9}, "", "orders of an episode");
  }

  struct Params {
    int32_t stores;
    int32_t bids;  ///< actions; 2 unless the rule is "highest_bid"
    int32_t max_distance;
    int32_t max_inventory;
    int32_t low_inventory;
    uint32_t orders;
    int32_t rounds;  ///< of the clock, at most; 1 with the other rules
    bool independent;
    bool clock;
    bool shared;
    double low_penalty;
    double lost_cost;
  };

  struct State {
    int16_t distance[kMaxAgents];
    int16_t inventory[kMaxAgents];
    uint32_t order;  ///< orders served in this episode
    uint32_t round;  ///< of the clock; else 0
  };

  static Params make(const Config& c, Arena&) {
    Params p{};
    p.stores = c.stores;
    p.independent = c.rule.value == 1;
    p.clock = c.rule.value == 2;
    p.bids = p.independent || p.clock ? 2 : c.bids;
    p.max_distance = c.max_distance;
    p.max_inventory = c.max_inventory;
    p.low_inventory = c.low_inventory;
    p.orders = static_cast<uint32_t>(c.orders);
    p.shared = c.reward.value == 0;
    p.low_penalty = c.low_penalty;
    p.lost_cost = c.lost_cost;
    p.rounds = 1;
    if (p.clock) {
      const double most = c.max_distance + c.low_penalty;
      if (most * c.max_distance * 2 > 1 << 24) {
        throw ParameterError("low_penalty", "makes more than 2^24 table indices of the clock");
      }
      p.rounds = static_cast<int32_t>(most) + 1;  // the last fee is rounds - .5 or above
      if (p.rounds - 0.5 <= most) ++p.rounds;
    }
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return p.stores; }
  CUMARL_HD static int actions(const Params& p, int) { return p.bids; }
  static Bounds action_range(const Params&, int) { return {0.0, 1.0}; }
  CUMARL_HD static double action_value(const Params& p, int, int action) {
    return grid_value(0.0, 1.0, p.bids, action);
  }

  CUMARL_HD static uint32_t observations(const Params& p, int) {
    return static_cast<uint32_t>(2 * p.max_distance) * static_cast<uint32_t>(p.rounds);
  }
  CUMARL_HD static uint32_t observe_index(const Params& p, const State& s, int agent) {
    return s.round * static_cast<uint32_t>(2 * p.max_distance) +
           static_cast<uint32_t>(2 * (s.distance[agent] - 1)) +
           (s.inventory[agent] < p.low_inventory ? 1U : 0U);
  }
  CUMARL_HD static int features(const Params& p, int) { return p.clock ? 3 : 2; }
  CUMARL_HD static void observe(const Params& p, const State& s, int agent, float* out) {
    out[0] = static_cast<float>(s.distance[agent]);
    out[1] = static_cast<float>(s.inventory[agent]);
    if (p.clock) out[2] = static_cast<float>(fee(s));
  }
  static Bounds feature_range(const Params& p, int, int k) {
    if (k == 2) return {0.0, p.rounds - 0.5};
    return k == 0 ? Bounds{0.0, static_cast<double>(p.max_distance)}
                  : Bounds{0.0, std::max(1.0, static_cast<double>(p.max_inventory))};
  }

  /// What shipping the present order costs a store.
  CUMARL_HD static double cost(const Params& p, const State& s, int store) {
    return s.distance[store] + (s.inventory[store] < p.low_inventory ? p.low_penalty : 0.0);
  }

  /// What the clock offers in the present round.
  CUMARL_HD static double fee(const State& s) { return s.round + 0.5; }

  /// The store of the highest bid, of equal ones the lowest number. Shape: bids double [stores].
  CUMARL_HD static int highest_bid(const Params& p, const double* bids) {
    int best = 0;
    for (int i = 1; i < kMaxAgents && i < p.stores; ++i) best = bids[i] > bids[best] ? i : best;
    return best;
  }

  /// A first order; two random words a store.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s = State{};
    arrive(p, s, rng);
  }

  /// One order, then the next one arrives: two random words a store; or one round of the clock, and
  /// no random word while nobody says yes. Shapes: actions int [agents], rewards float [agents].
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    double bids[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) bids[i] = action_value(p, i, actions[i]);
    return step_real(p, s, bids, rewards, rng);
  }

  /// The same with bids, double [agents], which are kept within [0, 1].
  CUMARL_HD static Episode step_real(const Params& p, State& s, const double* bids, float* rewards,
                                     Rng& rng) {
    const uint32_t shippers = ships(p, bids);
    double total = 0;
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
      if (shippers >> i & 1U) total += cost(p, s, i);
    }
    const bool settled = settles(p, s, shippers);
    const double lost = settled && shippers == 0 ? p.lost_cost : 0.0;
    const double earned = p.clock && !p.shared ? fee(s) : 0.0;
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
      const double own = shippers >> i & 1U ? cost(p, s, i) - earned : 0.0;
      rewards[i] = static_cast<float>(-(p.shared ? total : own) - lost);
    }
    if (!settled) {
      ++s.round;
      return Episode::goes_on;
    }
    s.round = 0;
    arrive(p, s, rng);
    return ++s.order >= p.orders ? Episode::ended : Episode::goes_on;
  }

  static Bounds reward_bounds(const Params& p) {
    const double dearest = p.max_distance + p.low_penalty;
    const double all = p.independent && p.shared ? dearest * p.stores : dearest;
    const double fees = p.clock && !p.shared ? p.rounds - 1.5 : 0.0;  // distances are 1 or more
    return {-std::max(all, p.independent || p.clock ? p.lost_cost : 0.0), fees};
  }

  /// Shows the state as "distance", "inventory", "order" and "round". Throws ParameterError for numbers that
  /// are never drawn.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t distance[kMaxAgents], inventory[kMaxAgents];
    int64_t order = s.order, round = s.round;
    for (int i = 0; i < p.stores; ++i) {
      distance[i] = s.distance[i];
      inventory[i] = s.inventory[i];
    }
    v("distance", distance, p.stores);
    v("inventory", inventory, p.stores);
    v("order", &order, 1);
    v("round", &round, 1);
    State read{};
    for (int i = 0; i < p.stores; ++i) {
      read.distance[i] = static_cast<int16_t>(checked("distance", distance[i], 1, p.max_distance));
      read.inventory[i] =
          static_cast<int16_t>(checked("inventory", inventory[i], 0, p.max_inventory));
    }
    read.order = static_cast<uint32_t>(checked("order", order, 0, p.orders));
    read.round = static_cast<uint32_t>(checked("round", round, 0, p.rounds - 1));
    s = read;
  }

  /// The learned policies serve `evaluation.episodes` episodes (see watch_market). Besides what
  /// that reports, per order: the share that a store of lowest cost ships, and no other
  /// (best_store_share); the shares that nobody ships (lost_share) and that several ship
  /// (several_share); the costs of all who ship (mean_cost), and what the cheapest store would have
  /// cost (best_cost).
  template <class Policy, class Facts, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const Facts& facts, Sink& sink) {
    double by_best = 0, lost = 0, several = 0, paid = 0, least = 0, orders = 0;
    watch_market<Fulfilment>(p, last, policy, facts, true, sink,
                             [&](const State& before, const double* bids, const State&) {
                               const uint32_t shippers = ships(p, bids);
                               if (!settles(p, before, shippers)) return;
                               ++orders;
                               double lowest = cost(p, before, 0), total = 0;
                               int count = 0;
                               for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
                                 const double own = cost(p, before, i);
                                 lowest = own < lowest ? own : lowest;
                                 if (shippers >> i & 1U) {
                                   total += own;
                                   ++count;
                                 }
                               }
                               by_best += count == 1 && total == lowest ? 1 : 0;
                               lost += count == 0 ? 1 : 0;
                               several += count > 1 ? 1 : 0;
                               paid += total;
                               least += lowest;
                             });
    sink.metric("best_store_share", by_best / orders);
    sink.metric("lost_share", lost / orders);
    sink.metric("several_share", several / orders);
    sink.metric("mean_cost", paid / orders);
    sink.metric("best_cost", least / orders);
  }

 private:
  /// The stores that ship, a bit each.
  CUMARL_HD static uint32_t ships(const Params& p, const double* bids) {
    double kept[kMaxAgents] = {};
    uint32_t willing = 0;
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
      kept[i] = clipped(bids[i], 0.0, 1.0);
      willing |= kept[i] >= 0.5 ? 1U << i : 0U;
    }
    if (p.clock) return willing & (~willing + 1U);  // the lowest number
    return p.independent ? willing : 1U << highest_bid(p, kept);
  }

  /// Whether a joint step is the order's last one.
  CUMARL_HD static CUMARL_INLINE bool settles(const Params& p, const State& s, uint32_t shippers) {
    return !p.clock || shippers != 0 || static_cast<int>(s.round) + 1 >= p.rounds;
  }

  CUMARL_HD static void arrive(const Params& p, State& s, Rng& rng) {
    for (int i = 0; i < kMaxAgents && i < p.stores; ++i) {
      s.distance[i] = static_cast<int16_t>(1 + rng.below(static_cast<uint32_t>(p.max_distance)));
      s.inventory[i] = static_cast<int16_t>(rng.below(static_cast<uint32_t>(p.max_inventory) + 1));
    }
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
