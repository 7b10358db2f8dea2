// Markets beside the baseline of Calvano et al. (2020), against figures of their papers and by
// hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "cumarl/runner.hpp"
#include "envs/bertrand_homogeneous.hpp"
#include "envs/bertrand_logit_entry.hpp"
#include "envs/bertrand_logit_shocks.hpp"
#include "envs/cournot_shocks.hpp"
#include "envs/klein_duopoly.hpp"
#include "envs/singh_vives.hpp"
#include "kernels/rollout/launch_args.hpp"
#include "kernels/tabular/turn_q.hpp"

namespace cumarl {
namespace {

// Inputs of the replication package (table A12): gamma, Nash price, monopoly price.
TEST(SinghVives, SolvesThePublishedMarkets) {
  const struct {
    double gamma, nash;
  } cases[] = {{0.01, 0.497487}, {0.4, 0.375},       {0.5, 0.333333333},
               {0.75, 0.2},      {0.9, 0.090909091}, {0.99, 0.00990099}};
  for (const auto& c : cases) {
    HostArena arena;
    SinghVivesStage::Config config;
    config.gamma = c.gamma;
    const auto p = SinghVivesStage::make(config, arena);
    EXPECT_NEAR(p.nash_price, c.nash, 5e-7) << c.gamma;
    EXPECT_EQ(p.monopoly_price, 0.5);
    EXPECT_NEAR(p.price[14], 0.5 + 0.1 * (0.5 - c.nash), 1e-6);
    EXPECT_NEAR(p.price[0], std::max(0.0, c.nash - 0.1 * (0.5 - c.nash)), 1e-6);
  }
}

// gamma = 1/2, prices 1/3, 2/3 and 1: (1/3, 1/3) is Nash with profits 1/3 * 4/9; against 2/3 a firm
// at 1/3 sells 2/3, just as much as alone, and its rival nothing; nobody buys at 1.
TEST(SinghVives, PaysByHand) {
  HostArena arena;
  SinghVivesStage::Config config;
  config.prices = 3;
  config.xi = {0.0, 3.0};
  const auto p = SinghVivesStage::make(config, arena);
  ASSERT_NEAR(p.price[1], 2.0 / 3, 1e-15);
  const auto pay = [&](int a, int b) {
    const int actions[] = {a, b};
    double out[2];
    SinghVivesStage::payoffs(p, actions, out);
    return std::vector<double>(out, out + 2);
  };
  EXPECT_NEAR(pay(0, 0)[0], 4.0 / 27, 1e-15);
  EXPECT_NEAR(pay(0, 0)[1], 4.0 / 27, 1e-15);
  EXPECT_NEAR(pay(0, 1)[0], 2.0 / 9, 1e-15);
  EXPECT_NEAR(pay(0, 1)[1], 0.0, 1e-15);
  EXPECT_NEAR(pay(2, 0)[0], 0.0, 1e-15);
  EXPECT_NEAR(pay(2, 0)[1], 2.0 / 9, 1e-15);   // (1/3, 1) without the bound would sell 8/9
  EXPECT_NEAR(pay(1, 1)[0], 4.0 / 27, 1e-15);  // (1 - 1/2 - 2/3 + 1/3) / (3/4) = 2/9 sold
  EXPECT_NEAR(p.nash_profit[0], 4.0 / 27, 1e-15);
  EXPECT_NEAR(p.monopoly_profit[0], 1.0 / 6, 1e-15);
}

// With a cost, too: nobody gains by leaving Nash alone, nor both by leaving the monopoly price.
TEST(SinghVives, NashAndMonopolyAreOptimal) {
  for (const double gamma : {0.01, 0.3, 0.75, 0.99}) {
    for (const double cost : {0.0, 0.25}) {
      HostArena arena;
      SinghVivesStage::Config config;
      config.gamma = gamma;
      config.cost = cost;
      const auto p = SinghVivesStage::make(config, arena);
      const auto profit = [&](double own, double rival) {
        const double beside = (1 - gamma - own + gamma * rival) / (1 - gamma * gamma);
        return (own - cost) * std::max(0.0, std::min(1 - own, beside));
      };
      for (int k = 0; k <= 1000; ++k) {
        const double price = k / 1000.0;
        EXPECT_LE(profit(price, p.nash_price), p.nash_profit[0] + 1e-12);
        EXPECT_LE(profit(price, price), p.monopoly_profit[0] + 1e-12);
      }
      EXPECT_NEAR(profit(p.nash_price, p.nash_price), p.nash_profit[0], 1e-15);
      EXPECT_NEAR(profit(p.monopoly_price, p.monopoly_price), p.monopoly_profit[0], 1e-15);
    }
  }
}

// Inputs of the replication package (table A8) for a_0 = -1/4, 0, 1/4: the grid starts below the
// lowest Nash price, 1.44331, and ends above the highest monopoly price, 2.11343.
TEST(BertrandLogitShocks, GridSpansAllMarkets) {
  HostArena arena;
  BertrandShocksStage::Config config;
  config.outside_quality = {0.25, -0.25, 0.0};
  const auto p = BertrandShocksStage::make(config, arena);
  EXPECT_NEAR(p.nash_price[0], (1.48865 + 1.47293 + 1.44331) / 3, 1e-5);
  EXPECT_NEAR(p.monopoly_price[1], (2.11343 + 1.92498 + 1.75) / 3, 1e-5);
  EXPECT_NEAR(p.price[0], 1.44331 - 0.1 * (2.11343 - 1.44331), 1.2e-5);
  EXPECT_NEAR(p.price[14], 2.11343 + 0.1 * (2.11343 - 1.44331), 1.2e-5);
  EXPECT_TRUE(BertrandShocksStage::stochastic(p));
}

TEST(BertrandLogitShocks, OneLevelIsTheBaseline) {
  HostArena arena;
  BertrandShocksStage::Config config;
  config.outside_quality = {0.0};
  const auto p = BertrandShocksStage::make(config, arena);
  const auto q = BertrandStage::make({}, arena);
  EXPECT_FALSE(BertrandShocksStage::stochastic(p));
  for (int a = 0; a < 15; ++a) {
    for (int b = 0; b < 15; ++b) {
      const int actions[] = {a, b};
      double one[6], other[6];
      BertrandShocksStage::payoffs(p, actions, one);
      BertrandStage::payoffs(q, actions, other);
      EXPECT_NEAR(one[0], other[0], 1e-13);
      EXPECT_NEAR(one[1], other[1], 1e-13);
    }
  }
  EXPECT_EQ(p.nash_profit[0], q.nash_profit[0]);
  EXPECT_EQ(p.monopoly_profit[1], q.monopoly_profit[1]);
}

// Each sample is the payoff at one of the a_0, each equally often; `payoffs` is their mean.
TEST(BertrandLogitShocks, SamplesOneLevelAPeriod) {
  HostArena arena;
  BertrandShocksStage::Config config;
  config.outside_quality = {-0.2, 0.0, 0.3};
  const auto p = BertrandShocksStage::make(config, arena);
  const int actions[] = {3, 11};
  std::vector<double> expected;
  for (const double a0 : config.outside_quality) {
    const double e1 = std::exp((2.0 - p.price[3]) / 0.25);
    const double e2 = std::exp((2.0 - p.price[11]) / 0.25);
    expected.push_back((p.price[3] - 1) * e1 / (e1 + e2 + std::exp(a0 / 0.25)));
  }
  double mean[6] = {};
  BertrandShocksStage::payoffs(p, actions, mean);
  EXPECT_NEAR(mean[0], (expected[0] + expected[1] + expected[2]) / 3, 1e-14);
  constexpr int kDraws = 30'000;
  int count[3] = {};
  for (uint64_t t = 0; t < kDraws; ++t) {
    Rng rng({1, 0}, t, Stream::dynamics);
    double out[6] = {};
    BertrandShocksStage::sample(p, actions, out, rng);
    const auto which = std::find_if(expected.begin(), expected.end(),
                                    [&](double e) { return std::fabs(e - out[0]) < 1e-14; });
    ASSERT_NE(which, expected.end());
    ++count[which - expected.begin()];
    ASSERT_GE(out[1], BertrandShocksStage::payoff_bounds(p).min);
    ASSERT_LE(out[1], BertrandShocksStage::payoff_bounds(p).max);
  }
  // standard error sqrt(30,000 * 1/3 * 2/3) = 82
  for (const int n : count) EXPECT_NEAR(n, kDraws / 3.0, 4 * 82);
}

/// Everybody repeats the own price of two periods ago.
struct Echo {
  void act(const BertrandLogit::Params& p, const BertrandLogit::State& s, int* actions,
           uint64_t = 0) const {
    for (int i = 0; i < 2; ++i) {
      actions[i] = static_cast<int>(BertrandLogit::action_of(p, s.history / p.joint, i));
    }
  }
  bool deterministic() const { return true; }
  double discount(int) const { return 0.95; }
  Evaluation evaluation() const { return {}; }
};

struct Measures {
  std::vector<std::pair<std::string, double>> all;
  void metric(const char* name, double value, int agent = -1) {
    all.emplace_back(agent < 0 ? name : name + std::to_string(agent), value);
  }
  void share(const char* name, uint64_t label, Label = Label::number) {
    all.emplace_back(name, static_cast<double>(label));
  }
  void curve(const char*, int, double) {}
  double operator[](const std::string& name) const {
    for (const auto& [key, value] : all) {
      if (key == name) return value;
    }
    ADD_FAILURE() << name;
    return 0;
  }
};

// The replication package's memory of two: the last prices, (3, 8) and before that (10, 12), are
// packed as 3, 8, 10, 12 (computeStateNumber) and unpacked as (3, 10) and (8, 12)
// (ConvergenceResults).
TEST(BertrandLogit, MemoryTwoIsReplayedAsPublished) {
  HostArena arena;
  BertrandLogit::Config config;
  config.memory = 2;
  const auto p = BertrandLogit::make(config, arena);
  const auto gain = [&](std::vector<std::vector<int>> path) {
    double profit = 0;
    for (const auto& actions : path) {
      double out[6];
      BertrandStage::payoffs(p.stage, actions.data(), out);
      profit += (out[0] + out[1]) / 4;
    }
    return (profit - p.stage.nash_profit[0]) /
           (p.stage.monopoly_profit[0] - p.stage.nash_profit[0]);
  };
  const int newest[] = {3, 8};
  const int before[] = {10, 12};
  const uint32_t history =
      BertrandLogit::joint_of(p, before) * p.joint + BertrandLogit::joint_of(p, newest);
  Measures out;
  BertrandLogit::evaluate(p, {history, 0}, Echo{}, RunFacts{500, 400, true}, out);
  EXPECT_EQ(out["cycle_length"], 2.0);
  EXPECT_NEAR(out["profit_gain"], gain({{3, 8}, {10, 12}}), 1e-12);
  EXPECT_NEAR(out["profit_gain_as_published"], gain({{3, 10}, {8, 12}}), 1e-12);
}

/// Fixed replies to the other's price, as KleinDuopoly::evaluate asks for a policy.
struct Replies {
  std::vector<int> reply[2];
  void act(const KleinDuopoly::Params&, const KleinDuopoly::State& s, int* actions,
           uint64_t = 0) const {
    actions[0] = actions[1] = 0;
    actions[s.mover] = reply[s.mover][static_cast<size_t>(s.price[1 - s.mover])];
  }
  bool deterministic() const { return true; }
  double discount(int) const { return 0.95; }
  Evaluation evaluation() const { return {}; }
};

Measures judge(int intervals, const std::vector<int>& first, const std::vector<int>& second) {
  HostArena arena;
  KleinDuopoly::Config config;
  config.intervals = intervals;
  const auto p = KleinDuopoly::make(config, arena);
  Measures out;
  KleinDuopoly::evaluate(p, {{0, 0}, 0}, Replies{{first, second}}, RunFacts{500, 400, false}, out);
  return out;
}

// Prices 3/6 and 4/6, firm 0 moves first: 3/6 alone earns 1/4; then both at 3/6 earn 1/8 each.
TEST(KleinDuopoly, FirmsMoveInTurns) {
  HostArena arena;
  const auto p = KleinDuopoly::make({}, arena);
  KleinDuopoly::State s{{1, 4}, 0};
  Rng rng({1, 1}, 0, Stream::dynamics);
  EXPECT_EQ(KleinDuopoly::observations(p, 0), 8u);
  EXPECT_EQ(KleinDuopoly::observe_index(p, s, 0), 4u);  // sees the other's price
  EXPECT_EQ(KleinDuopoly::observe_index(p, s, 1), 7u);  // has to wait
  EXPECT_EQ(KleinDuopoly::waiting_observation(p, 1), 7);
  float paid[2];
  const int first[] = {3, 0};  // the 0 is ignored
  EXPECT_EQ(KleinDuopoly::step(p, s, first, paid, rng), Episode::goes_on);
  EXPECT_EQ(paid[0], 0.25F);
  EXPECT_EQ(paid[1], 0.0F);
  EXPECT_EQ(KleinDuopoly::observe_index(p, s, 0), 7u);
  EXPECT_EQ(KleinDuopoly::observe_index(p, s, 1), 3u);
  const int second[] = {6, 3};
  KleinDuopoly::step(p, s, second, paid, rng);
  EXPECT_EQ(paid[0], 0.125F);
  EXPECT_EQ(paid[1], 0.125F);
  EXPECT_EQ(s.mover, 0);
}

// Klein's competitive benchmark for k = 6 (his page 546): firms undercut by one step, and who sees
// 0 goes back to one step above the monopoly price; a firm earns .0611 a period. By hand: 3/6, 2/6
// and 1/6 are sold at in turn, then twice nothing is earned: (9 + 8 + 5) / 36 / 10.
TEST(KleinDuopoly, CompetitiveCycleEarnsThePublishedProfit) {
  const std::vector<int> undercut{4, 0, 1, 2, 3, 4, 4};
  const Measures m = judge(6, undercut, undercut);
  EXPECT_NEAR(m["mean_profit"], 22.0 / 360, 1e-15);
  EXPECT_NEAR(m["mean_profit"], 0.0611, 5e-5);
  EXPECT_NEAR(m["mean_profit0"], 22.0 / 360, 1e-15);
  EXPECT_EQ(m["cycle_length"], 10.0);  // 5 periods, then the same with the firms exchanged
  EXPECT_NEAR(m["market_price"], (3 + 2 + 1) / 6.0 / 5, 1e-15);
  EXPECT_EQ(m["equal_profits"], 1.0);
  EXPECT_EQ(m["joint_maximum_nash"], 0.0);
}

// Always 3/6: the joint maximum, 1/8 each; but then undercutting by one step earns 2/9 for ever, so
// that the policy is worth (1/8) / (2/9) of the best response. Always 1/6: profit 5/72, and the
// best response to itself, as undercutting gives the good away.
TEST(KleinDuopoly, JudgesConstantPrices) {
  const Measures high = judge(6, std::vector<int>(7, 3), std::vector<int>(7, 3));
  EXPECT_NEAR(high["mean_profit"], 0.125, 1e-15);
  EXPECT_NEAR(high["optimality"], 9.0 / 16, 1e-9);
  EXPECT_EQ(high["nash_on_path"], 0.0);
  EXPECT_EQ(high["joint_maximum_nash"], 0.0);
  const Measures low = judge(6, std::vector<int>(7, 1), std::vector<int>(7, 1));
  EXPECT_NEAR(low["mean_profit"], 5.0 / 72, 1e-15);
  EXPECT_NEAR(low["optimality"], 1.0, 1e-9);
  EXPECT_EQ(low["nash_on_path"], 1.0);
  EXPECT_EQ(low["joint_maximum_nash"], 0.0);
}

// After Maskin and Tirole's kinked demand curve: 3/6 is answered by 3/6, and 1/6 and 2/6 by 1/6.
// Staying earns 1/8 a period. Undercutting to 2/6 earns 2/9 once and then nothing, and another
// period of nothing on the way back up; 1/6 earns 5/36 and then 5/72. So with discount .95 both
// stay.
TEST(KleinDuopoly, FindsTheJointMaximumEquilibrium) {
  const std::vector<int> kinked{3, 1, 1, 3, 3, 3, 3};
  const Measures m = judge(6, kinked, kinked);
  EXPECT_NEAR(m["optimality"], 1.0, 1e-9);
  EXPECT_EQ(m["nash_on_path"], 1.0);
  EXPECT_EQ(m["joint_maximum_nash"], 1.0);
  EXPECT_EQ(m["cycle_length"], 2.0);  // two states: either firm is the mover
}

// Firm 1 answers 4 by 4 and 3 by 2 (in sixths), and all else by 0. Firm 0 answers 4 by 3, which
// sells alone (1/4) and is undercut (0), and 2 by 4, which sells nothing (0) and then half of 2/9:
// from 4 on that is worth (1/4 + d^3 / 9) / (1 - d^4), d the discount. Best is to stay at 4: 1/9 a
// period.
TEST(KleinDuopoly, DiscountsPeriodByPeriod) {
  const Measures m = judge(6, {4, 4, 4, 4, 3, 4, 4}, {0, 0, 0, 2, 4, 0, 0});
  EXPECT_EQ(m["cycle_length"], 4.0);
  EXPECT_NEAR(m["mean_profit0"], (0.25 + 1.0 / 9) / 4, 1e-15);
  const double d = 0.95;
  const double own = (0.25 + d * d * d / 9) / (1 - d * d * d * d);
  const double best = 1.0 / 9 / (1 - d);
  const double from4 = own / best;
  const double from2 = (d / 9 + d * d * own) / (d / 9 + d * d * best);  // a period later
  const double share = m["optimality0"];
  EXPECT_TRUE(std::fabs(share - from4) < 1e-9 || std::fabs(share - from2) < 1e-9) << share;
}

// alpha 1/2, gamma 1/2, every entry 4 at first; observation 2 means waiting.
TEST(TurnQ, LearnsFromOneOwnMoveToTheNext) {
  HostArena arena;
  TurnQ::Config config;
  config.alpha = 0.5;
  config.gamma = 0.5;
  AgentSpec spec{};
  spec.agents = 2;
  spec.actions = 2;
  spec.observations = 3;
  spec.reward_high = 10;
  spec.initial_runs = 1;
  spec.init.kind.value = static_cast<int>(InitKind::constant);
  spec.init.value = 4;
  const auto learn = [&](int64_t waiting, uint32_t to, Episode second_ends) {
    spec.waiting = waiting;
    const auto p = TurnQ::make(config, spec, arena);
    std::vector<uint64_t> words(TurnQ::bytes(p) / 8 + 1);
    auto* memory = reinterpret_cast<std::byte*>(words.data());
    TurnQ::init(p, memory, RunKey{1, 1}, 0);
    const int actions[] = {1, 0};
    const float one[] = {1.0F, 0.0F};
    const float two[] = {2.0F, 0.0F};
    TurnQ::learn(p, memory, 0, 2,
                 Transition{actions, one, 0, 2, Episode::goes_on, 0, {1, 1}, nullptr});
    TurnQ::learn(p, memory, 2, to, Transition{actions, two, 0, 2, second_ends, 1, {1, 1}, nullptr});
    if (waiting == 2 && second_ends != Episode::goes_on) {  // a new episode begins with waiting
      TurnQ::learn(p, memory, 2, 1,
                   Transition{actions, two, 0, 2, Episode::goes_on, 2, {1, 1}, nullptr});
    }
    std::vector<double> q;
    for (uint32_t s = 0; s < 3; ++s) {
      for (int a = 0; a < 2; ++a) q.push_back(TurnQ::Base::row(p, memory, s)[a]);
    }
    return q;
  };
  // target 1 + 2/2 + 4/4 = 3
  EXPECT_EQ(learn(2, 1, Episode::goes_on), (std::vector<double>{4, 3.5, 4, 4, 4, 4}));
  // target 1 + 2/2 = 2 where the episode ends, nothing where it is cut before the next own move
  EXPECT_EQ(learn(2, 2, Episode::ended), (std::vector<double>{4, 3, 4, 4, 4, 4}));
  EXPECT_EQ(learn(2, 2, Episode::cut), (std::vector<double>{4, 4, 4, 4, 4, 4}));
  // without turns: Q-learning, targets 1 + 4/2 and 2 + 4/2
  EXPECT_EQ(learn(-1, 1, Episode::goes_on), (std::vector<double>{4, 3.5, 4, 4, 4, 4}));
}

// The static Nash prices of the paper's grid are 2.0282 and 2.1291 (AEA P&P 2022, section I).
TEST(BertrandHomogeneous, PaysTheCheapest) {
  HostArena arena;
  BertrandHomogeneous::Config config;
  config.firms = 3;
  const auto p = BertrandHomogeneous::make(config, arena);
  EXPECT_NEAR(p.price[20], 2.0282, 5e-5);
  EXPECT_NEAR(p.price[21], 2.1291, 5e-5);
  BertrandHomogeneous::State s{};
  Rng rng({1, 1}, 0, Stream::dynamics);
  float paid[BertrandHomogeneous::kMaxAgents] = {};
  int actions[BertrandHomogeneous::kMaxAgents] = {99, 99, 99};
  BertrandHomogeneous::step(p, s, actions, paid, rng);
  EXPECT_FLOAT_EQ(paid[1], 8.0F / 3);  // at 10 everybody still buys
  actions[2] = 21;
  BertrandHomogeneous::step(p, s, actions, paid, rng);
  EXPECT_EQ(paid[0], 0.0F);
  EXPECT_NEAR(paid[2], 0.1291, 1e-4);
  actions[0] = 0;
  actions[1] = 0;
  BertrandHomogeneous::step(p, s, actions, paid, rng);
  EXPECT_NEAR(paid[1], (0.01 - 2) / 2, 1e-6);  // below cost
  EXPECT_NEAR(BertrandHomogeneous::reward_bounds(p).min, -1.99, 1e-12);
  EXPECT_NEAR(BertrandHomogeneous::reward_bounds(p).max, 8, 1e-12);
}

// Table 1 of NBER working paper 28535, asynchronous, two firms: all runs end above static Nash,
// half of them above 8.39. 200 runs: that share has a standard error of .035.
TEST(BertrandHomogeneous, GreedyLearnersStayAboveNash) {
  RunRequest request;
  request.config_text =
      "[env]\nname = \"bertrand_homogeneous\"\n[learner]\nname = \"q_learning\"\nalpha = 0.1\n"
      "gamma = 0.0\ninit = { kind = \"uniform\", low = 10, high = 20 }\n"
      "exploration = { start = 0.0 }\n[stop]\nmax_steps = 20000\n";
  request.runs = 200;
  const CellResult cell = Runner(request).run().cells[0];
  const auto at = static_cast<size_t>(
      std::find_if(cell.columns.begin(), cell.columns.end(),
                   [](const auto& column) { return column == "market_price"; }) -
      cell.columns.begin());
  ASSERT_LT(at, cell.columns.size());
  int above = 0;
  for (size_t r = 0; r < 200; ++r) {
    const double price = cell.values[r * cell.columns.size() + at];
    EXPECT_GT(price, 2.13) << r;
    above += price > 8.385 ? 1 : 0;
  }
  EXPECT_NEAR(above / 200.0, 0.5, 4 * 0.035);
}

// The baseline of Calvano et al. 2021 (their pages 6 and 8): 37 prices from 80 to 170; Cournot
// profit 10,000, collusive 11,250.
TEST(CournotShocks, HasThePublishedMarket) {
  HostArena arena;
  CournotShocks::Config config;
  const auto p = CournotShocks::make(config, arena);
  EXPECT_EQ(CournotShocks::observations(p, 0), 37u);
  EXPECT_NEAR(p.nash_profit, 10'000, 1e-9);
  EXPECT_NEAR(p.collusive_profit, 11'250, 1e-9);
  config.monitoring.value = CournotShocks::kQuantities;
  EXPECT_EQ(CournotShocks::observations(CournotShocks::make(config, arena), 0), 225u);
  // rivals who choose uniformly leave a price of 300 - 87.5 - q: the best reply to them is 105, as
  // in the start of their figure 2, and worth 105 * 107.5 for ever
  AgentSpec spec{};
  spec.init.kind.value = static_cast<int>(InitKind::expected);
  const auto q = CournotShocks::initial_values(p, spec, 0.95);
  EXPECT_NEAR(q[0], 105 * 107.5 / 0.05, 1e-6);
  EXPECT_EQ(std::max_element(q.begin(), q.end()) - q.begin(), 0);
  EXPECT_NEAR(q[14], 70 * 142.5 / 0.05, 1e-6);
}

// Quantities 105 and 70 at demand 290 or 310: prices 115 or 135, places 14 and 22 above 80.
TEST(CournotShocks, PaysAndShowsByDemand) {
  HostArena arena;
  CournotShocks::Config config;
  const auto p = CournotShocks::make(config, arena);
  const int actions[CournotShocks::kMaxAgents] = {0, 14};
  std::set<uint32_t> seen;
  int high = 0;
  constexpr int kDraws = 10'000;
  for (uint64_t t = 0; t < kDraws; ++t) {
    CournotShocks::State s{};
    Rng rng({2, 0}, t, Stream::dynamics);
    float paid[CournotShocks::kMaxAgents] = {};
    CournotShocks::step(p, s, actions, paid, rng);
    seen.insert(s.seen);
    const float price = s.seen == 14 ? 115.0F : 135.0F;
    ASSERT_EQ(paid[0], 105 * price);
    ASSERT_EQ(paid[1], 70 * price);
    high += s.seen == 22 ? 1 : 0;
  }
  EXPECT_EQ(seen, (std::set<uint32_t>{14, 22}));
  EXPECT_NEAR(high, kDraws / 2.0, 4 * 50);  // standard error 50
  config.monitoring.value = CournotShocks::kQuantities;
  const auto other = CournotShocks::make(config, arena);
  CournotShocks::State s{};
  Rng rng({2, 0}, 0, Stream::dynamics);
  float paid[CournotShocks::kMaxAgents] = {};
  CournotShocks::step(other, s, actions, paid, rng);
  EXPECT_EQ(s.seen, 14u);  // actions 0, 14 in base 15
  float view[2];
  CournotShocks::observe(other, s, 1, view);
  EXPECT_EQ(view[0], 0.0F);
  EXPECT_EQ(view[1], 14.0F);
}

TEST(CournotShocks, RefusesDemandOffTheGrid) {
  HostArena arena;
  CournotShocks::Config config;
  config.demand = {290, 301};
  EXPECT_THROW(CournotShocks::make(config, arena), ParameterError);
  config.demand = {190};  // below what two firms can sell
  EXPECT_THROW(CournotShocks::make(config, arena), ParameterError);
}

// Inputs of the replication package (table A7): Nash prices 1.37016 of three firms and 1.47293 of
// two, joint-monopoly prices 2 and 1.92498. The grid is that of three firms.
TEST(BertrandLogitEntry, HasThePublishedMarket) {
  HostArena arena;
  const auto p = BertrandLogitEntry::make({}, arena);
  EXPECT_EQ(BertrandLogitEntry::observations(p, 0), 15U * 15 * 16);
  EXPECT_NEAR(p.market.price[0], 1.37016 - 0.1 * (2 - 1.37016), 1e-5);
  EXPECT_NEAR(p.market.price[44], 2 + 0.1 * (2 - 1.37016), 1e-5);
  const auto profit = [](double price, int firms) {
    const double e = std::exp((2 - price) / 0.25);
    return (price - 1) * e / (firms * e + 1);
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_NEAR(p.nash_profit[i], profit(1.47293, 2), 1e-5);
    EXPECT_NEAR(p.monopoly_profit[i], profit(1.92498, 2), 1e-5);
    EXPECT_NEAR(p.market.nash_profit[i], profit(1.37016, 3), 1e-5);
    EXPECT_NEAR(p.market.monopoly_profit[i], profit(2, 3), 1e-5);
  }
  EXPECT_EQ(p.start_in, 0.5);
}

/// Profits of firms with costs of 1 and qualities of 2 by the formula; price 0: the firm is out.
std::vector<double> logit_profits(const std::vector<double>& prices) {
  double total = 1;
  for (const double price : prices) total += price > 0 ? std::exp((2 - price) / 0.25) : 0;
  std::vector<double> out;
  for (const double price : prices) {
    out.push_back(price > 0 ? (price - 1) * std::exp((2 - price) / 0.25) / total : 0);
  }
  return out;
}

TEST(BertrandLogitEntry, PaysWhoIsIn) {
  using Env = BertrandLogitEntry;
  for (const bool in : {true, false}) {
    Env::Config config;
    config.entry = in ? 1 : 0;
    config.exit = in ? 0 : 1;
    HostArena arena;
    const auto p = Env::make(config, arena);
    for (const uint32_t before : {7U, 15U}) {  // the outsider was in, or was out
      Env::State s{before};
      EXPECT_EQ(Env::absent(p, s, 2), before == 15);
      const int actions[Env::kMaxAgents] = {3, 11, 6};
      float paid[Env::kMaxAgents] = {};
      Rng rng({1, 1}, 0, Stream::dynamics);
      EXPECT_EQ(Env::step(p, s, actions, paid, rng), Episode::goes_on);
      const auto expected = logit_profits(
          {p.market.price[3], p.market.price[15 + 11], in ? p.market.price[30 + 6] : 0.0});
      for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(paid[i], expected[i], 1e-7);
      EXPECT_EQ(s.history, (3U * 15 + 11) * 16 + (in ? 6 : 15));
      EXPECT_EQ(Env::absent(p, s, 2), !in);
      EXPECT_FALSE(Env::absent(p, s, 0) || Env::absent(p, s, 1));
      float seen[3] = {};
      Env::observe(p, s, 0, seen);
      EXPECT_EQ(std::vector<float>(seen, seen + 3), (std::vector<float>{3, 11, in ? 6.0F : 15.0F}));
    }
  }
}

// Entry .3, exit .1: in the long run in 3/4 of the time, which is also how runs start. Of n draws a
// share q has a standard error of sqrt(q (1 - q) / n).
TEST(BertrandLogitEntry, ComesAndGoesByChance) {
  using Env = BertrandLogitEntry;
  Env::Config config;
  config.entry = 0.3;
  config.exit = 0.1;
  HostArena arena;
  const auto p = Env::make(config, arena);
  const int actions[Env::kMaxAgents] = {};
  float paid[Env::kMaxAgents] = {};
  double was[2] = {};
  double moved[2] = {};
  double starts = 0;
  Env::State s{15};
  constexpr int kDraws = 40'000;
  for (uint64_t t = 0; t < kDraws; ++t) {
    Env::State first{};
    Rng fresh({5, 0}, t, Stream::reset);
    Env::reset(p, first, fresh);
    starts += Env::absent(p, first, 2) ? 0 : 1;
    const int out = Env::absent(p, s, 2) ? 1 : 0;
    Rng rng({5, 0}, t, Stream::dynamics);
    Env::step(p, s, actions, paid, rng);
    was[out] += 1;
    moved[out] += (Env::absent(p, s, 2) ? 1 : 0) != out ? 1 : 0;
  }
  const auto near = [](double hits, double draws, double share) {
    EXPECT_NEAR(hits / draws, share, 4 * std::sqrt(share * (1 - share) / draws));
  };
  near(moved[0], was[0], 0.1);
  near(moved[1], was[1], 0.3);
  near(starts, kDraws, 0.75);
}

// Two prices, so that a rival plays one of three: low, high, out.
TEST(BertrandLogitEntry, InitialValuesAverageOverTheRivals) {
  using Env = BertrandLogitEntry;
  Env::Config config;
  config.prices = 2;
  HostArena arena;
  const auto p = Env::make(config, arena);
  AgentSpec spec{};
  spec.init.kind.value = static_cast<int>(InitKind::expected);
  for (const int me : {0, 2}) {
    spec.agent = me;
    const auto q = Env::initial_values(p, spec, 0.9);
    ASSERT_EQ(q.size(), 2U);
    for (size_t own = 0; own < 2; ++own) {
      double sum = 0;
      for (const double one : {p.market.price[0], p.market.price[1], 0.0}) {
        for (const double other : {p.market.price[0], p.market.price[1], 0.0}) {
          sum += logit_profits({p.market.price[own], one, other})[0];
        }
      }
      EXPECT_NEAR(q[own], sum / 9 / 0.1, 1e-9);
    }
  }
  spec.init.kind.value = static_cast<int>(InitKind::grim_trigger);
  EXPECT_THROW(Env::initial_values(p, spec, 0.9), ParameterError);
}

/// Firms 0 and 1 play 5 where the outsider was in, and change between 8 and 12 where it was out; the
/// outsider plays 2.
struct Alternate {
  void act(const BertrandLogitEntry::Params&, const BertrandLogitEntry::State& s, int* actions,
           uint64_t = 0) const {
    const uint32_t last = s.history / 16 / 15;  // of firm 0
    actions[0] = s.history % 16 != 15 ? 5 : (last == 8 ? 12 : 8);
    actions[1] = actions[0];
    actions[2] = 2;
  }
  bool deterministic() const { return true; }
  Evaluation evaluation() const { return {}; }
};

TEST(BertrandLogitEntry, MeasuresBothMarkets) {
  using Env = BertrandLogitEntry;
  HostArena arena;
  const auto p = Env::make({}, arena);
  const double* price = p.market.price;
  for (const uint32_t last : {0U, 15U}) {  // wherever the run has ended
    Measures m;
    Env::evaluate(p, {last}, Alternate{}, RunFacts{500, 400, true}, m);
    const double two =
        (logit_profits({price[8], price[8]})[0] + logit_profits({price[12], price[12]})[0]) / 2;
    const auto three = logit_profits({price[5], price[5], price[2]});
    const double all = (three[0] + three[1] + three[2]) / 3;
    EXPECT_NEAR(m["mean_profit_out"], two, 1e-12);
    EXPECT_NEAR(m["mean_profit_in"], all, 1e-12);
    EXPECT_NEAR(m["mean_price_out"], (price[8] + price[12]) / 2, 1e-12);
    EXPECT_NEAR(m["mean_price_in"], (2 * price[5] + price[2]) / 3, 1e-12);
    EXPECT_NEAR(m["profit_gain_out"], (two - 0.222928) / (0.337490 - 0.222928), 1e-4);
    const double nash = p.market.nash_profit[0];
    EXPECT_NEAR(m["profit_gain_in"], (all - nash) / (p.market.monopoly_profit[0] - nash), 1e-12);
    EXPECT_EQ(m["cycle_length_out"], 2.0);
    EXPECT_EQ(m["cycle_length_in"], 1.0);
    EXPECT_EQ(m["time_to_convergence"], 400.0);
  }
}

/// Firms 0 and 1 play 5, and after a period without the outsider 8; the outsider plays 2 twice, then
/// stays out twice, and so on.
struct ComeAndGo {
  void act(const BertrandLogitEntry::Params&, const BertrandLogitEntry::State& s, int* actions,
           uint64_t = 0) const {
    const uint32_t own = s.history % 16;
    actions[0] = own == 15 ? 8 : 5;
    actions[1] = actions[0];
    const bool second = s.history / 16 / 15 == (own == 15 ? 8U : 5U);
    actions[2] = (own == 15) != second ? 15 : 2;
  }
  bool deterministic() const { return true; }
  Evaluation evaluation() const { return {}; }
};

// A cycle of four periods: (8, 8, 2), (5, 5, 2), (5, 5, out), (8, 8, out).
TEST(BertrandLogitEntry, MeasuresWhatAnOutsiderChooses) {
  using Env = BertrandLogitEntry;
  Env::Config config;
  config.out.value = Env::kAction;
  HostArena arena;
  const auto p = Env::make(config, arena);
  const double* price = p.market.price;
  for (const uint32_t last : {0U, 15U}) {
    Measures m;
    Env::evaluate(p, {last}, ComeAndGo{}, RunFacts{500, 400, true}, m);
    double all = 0;
    for (const int own : {8, 5}) {
      for (const double profit : logit_profits({price[own], price[own], price[2]})) all += profit;
    }
    const double two =
        (logit_profits({price[5], price[5]})[0] + logit_profits({price[8], price[8]})[0]) / 2;
    EXPECT_NEAR(m["mean_profit_in"], all / 6, 1e-12);
    EXPECT_NEAR(m["mean_profit_out"], two, 1e-12);
    EXPECT_NEAR(m["mean_price_in"], (2 * (price[8] + price[5]) + 2 * price[2]) / 6, 1e-12);
    EXPECT_NEAR(m["mean_price_out"], (price[5] + price[8]) / 2, 1e-12);
    const double nash = p.market.nash_profit[0];
    EXPECT_NEAR(m["profit_gain_in"], (all / 6 - nash) / (p.market.monopoly_profit[0] - nash),
                1e-12);
    EXPECT_NEAR(m["profit_gain_out"], (two - 0.222928) / (0.337490 - 0.222928), 1e-4);
    EXPECT_EQ(m["cycle_length"], 4.0);
    EXPECT_EQ(m["leaves"], 1.0);
  }
  Measures never;  // Alternate's outsider stays in
  Env::evaluate(p, {0}, Alternate{}, RunFacts{500, 400, true}, never);
  EXPECT_TRUE(std::isnan(never["profit_gain_out"]) && std::isnan(never["mean_price_out"]));
  EXPECT_EQ(never["leaves"], 0.0);
  EXPECT_EQ(never["cycle_length"], 1.0);
}

// In the market or out of it, by chance or of its own accord.
TEST(BertrandLogitEntry, LeavesByChoice) {
  using Env = BertrandLogitEntry;
  for (const bool may_be_in : {true, false}) {
    Env::Config config;
    config.out.value = Env::kAction;
    config.entry = may_be_in ? 1 : 0;
    config.exit = may_be_in ? 0 : 1;
    HostArena arena;
    const auto p = Env::make(config, arena);
    EXPECT_EQ(Env::actions(p, 1), 15);
    EXPECT_EQ(Env::actions(p, 2), 16);
    for (const int chosen : {6, 15}) {
      for (const uint32_t before : {7U, 15U}) {
        Env::State s{before};
        const int actions[Env::kMaxAgents] = {3, 11, chosen};
        float paid[Env::kMaxAgents] = {};
        Rng rng({1, 1}, 0, Stream::dynamics);
        Env::step(p, s, actions, paid, rng);
        const bool in = may_be_in && chosen == 6;
        const auto expected = logit_profits(
            {p.market.price[3], p.market.price[15 + 11], in ? p.market.price[30 + 6] : 0.0});
        for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(paid[i], expected[i], 1e-7);
        EXPECT_EQ(s.history, (3U * 15 + 11) * 16 + (in ? 6 : 15));
        EXPECT_FALSE(Env::absent(p, s, 2));
        EXPECT_EQ(Env::played(p, s, 2, chosen), in ? 6 : 15);
        EXPECT_EQ(Env::played(p, s, 0, 3), 3);
      }
    }
    AgentSpec spec{};
    spec.agent = 2;
    spec.init.kind.value = static_cast<int>(InitKind::expected);
    const auto q = Env::initial_values(p, spec, 0.95);
    ASSERT_EQ(q.size(), 16U);
    EXPECT_EQ(q[15], 0.0);
    EXPECT_GT(*std::min_element(q.begin(), q.begin() + 15), 0.0);
  }
}

// An outsider that never enters learns of being out, whatever it would have chosen.
TEST(BertrandLogitEntry, LearnsOfBeingPutOut) {
  const auto hash = [](const char* learner, const char* alpha, const char* epsilon) {
    const std::string insider =
        "[[learner]]\nname = \"q_learning\"\ngamma = 0.9\nalpha = 0.2\nexploration = { start = 1.0 "
        "}\n";
    RunRequest request;
    request.config_text =
        "[env]\nname = \"bertrand_logit_entry\"\nprices = 4\nentry = 0.0\nexit = 1.0\nout = "
        "\"action\"\n[stop]\nmax_steps = 5000\n" +
        insider + insider + "[[learner]]\nname = \"" + learner +
        "\"\ngamma = 0.9\nalpha = " + alpha + "\nexploration = { start = " + epsilon + " }\n";
    request.runs = 8;
    return Runner(request).run().result_hash;
  };
  for (const char* learner : {"q_learning", "outside_option_q"}) {
    EXPECT_EQ(hash(learner, "0.1", "1.0"), hash(learner, "0.1", "0.0")) << learner;
    EXPECT_NE(hash(learner, "0.1", "1.0"), hash(learner, "0.9", "1.0")) << learner;
  }
}

// An outsider that never enters learns nothing, so it does not matter how fast it would.
TEST(BertrandLogitEntry, TheAbsentDoNotLearn) {
  const auto hash = [](const char* entry, const char* alpha) {
    const std::string head =
        "[env]\nname = \"bertrand_logit_entry\"\nprices = 4\nexit = 1.0\n[stop]\nmax_steps = "
        "5000\n";
    const std::string learner =
        "[[learner]]\nname = \"q_learning\"\ngamma = 0.9\nexploration = { start = 1.0 }\nalpha = ";
    RunRequest request;
    request.config_text = head + learner + "0.2\n" + learner + "0.2\n" + learner + alpha + "\n";
    request.sets = {std::string("env.entry=") + entry};
    request.runs = 8;
    return Runner(request).run().result_hash;
  };
  EXPECT_EQ(hash("0.0", "0.1"), hash("0.0", "0.9"));
  EXPECT_NE(hash("0.5", "0.1"), hash("0.5", "0.9"));
}

TEST(BertrandLogitEntry, RefusesWhatCannotBe) {
  HostArena arena;
  const auto rejects = [&](const std::string& key, auto change) {
    BertrandLogitEntry::Config config;
    change(config);
    try {
      BertrandLogitEntry::make(config, arena);
      ADD_FAILURE() << "accepted a wrong " << key;
    } catch (const ParameterError& error) {
      EXPECT_EQ(error.key(), key);
    }
  };
  using Config = BertrandLogitEntry::Config;
  rejects("entry", [](Config& c) { c.entry = c.exit = 0; });
  rejects("quality", [](Config& c) { c.quality = {2, 2}; });
  rejects("prices", [](Config& c) {
    c.firms = 5;
    c.prices = 40;
  });
  const auto p = BertrandLogitEntry::make({}, arena);
  BertrandLogitEntry::State s{};
  struct Put final : StateVisitor {
    explicit Put(std::vector<int64_t> given) : last(std::move(given)) {}
    void operator()(const char*, int64_t* values, int count) override {
      std::copy(last.begin(), last.begin() + count, values);
    }
    std::vector<int64_t> last;
  };
  Put good({14, 0, 15});
  BertrandLogitEntry::state_fields(good, p, s);
  EXPECT_EQ(s.history, 14U * 15 * 16 + 15);
  Put bad({15, 0, 15});  // only the outsider can be out
  EXPECT_THROW(BertrandLogitEntry::state_fields(bad, p, s), ParameterError);
}

}  // namespace
}  // namespace cumarl
