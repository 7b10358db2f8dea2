/// \file
/// A stage game played over and over by agents who see the last joint actions: the environment
/// behind every matrix game and every pricing game. A stage game is one small struct (see
/// matrix_game.hpp); history, horizon, limit cycles and their measures are written here, once.
///
/// A stage game `Stage` gives
///   kFacts, kMaxPlayers, Config, fields(v, c), Params, make(c, arena)
///   players(p), actions(p, i)
///   payoffs(p, actions, out)          expected payoffs [players], double, host-device
///   payoff_bounds(p)                  host: bounds of a single payoff
///   and may give
///   sample(p, actions, out, rng)      realised payoffs, where stochastic(p) says they are chancy
///   costs(p, actions, out)            what a joint action costs [players], for limits on it
///   rewards(p, actions, out)          expected rewards that agents learn from, where they are not
///                                     the payoffs; sample then draws rewards
///   default_action(p, agent)          what difference rewards are taken against
///   measure(p, path, sink)            its own measures over a limit cycle or a played path
///   level(p, agent, action)           the quantity behind an action (a price); with it come the
///                                     impulse responses
///   reference_action(p, agent, which) host: nearest grid action to Nash (0) or monopoly (1)
///   hides_actions(p)                  host: whether players see their own action and payoff only
///   Shapes                            sizes worth a compiled kernel of their own
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/env.hpp"
#include "kernels/core/learner.hpp"
#include "kernels/core/outcome.hpp"
#include "kernels/solvers/play_measures.hpp"
#include "kernels/solvers/support_enumeration.hpp"

namespace cumarl::inline CUMARL_VARIANT {

template <class Stage>
struct RepeatedGame {
  static constexpr EnvFacts kFacts = Stage::kFacts;
  static constexpr int kMaxAgents = Stage::kMaxPlayers;
  static constexpr bool kSharedObservation = true;
  static constexpr bool kSharedView = true;
  /// Joint payoffs are tabulated up to this many entries (4 bytes each).
  static constexpr uint64_t kMaxTable = uint64_t{1} << 22;
  static constexpr uint64_t kMaxHistories = uint64_t{1} << 24;
  /// Games of up to this many joint actions are judged by strategies (Params::game), and the
  /// equilibria of two players with up to kMaxSupport actions are found.
  static constexpr uint32_t kMaxJudged = 4096;
  static constexpr int kMaxSupport = 5;
  using Shapes = typename Stage::Shapes;

  struct Config {
    typename Stage::Config stage;
    int memory = Stage::kDefaultMemory;
    int64_t horizon = 0;
  };
  static void fields(FieldVisitor& v, Config& c) {
    Stage::fields(v, c.stage);
    v("memory", c.memory, Bounds{0, 8}, "period", "past joint actions that agents observe");
    v("horizon", c.horizon, Bounds{0, 1e9}, "period", "length of an episode; 0: endless");
  }

  struct Params {
    typename Stage::Params stage;
    int32_t players;
    int32_t memory;
    uint32_t horizon;
    uint32_t joint;      ///< number of joint actions
    uint32_t older;      ///< joint^(memory-1): histories without the oldest period
    uint32_t histories;  ///< joint^memory
    int32_t actions[kMaxAgents];
    uint32_t weight[kMaxAgents];  ///< joint action = sum of action * weight, agent 0 highest
    const float* payoffs;         ///< [joint][players], or null: computed at each step
    /// A matrix game without memory is judged by its players' strategies: expected payoffs
    /// [joint][players], else null; and its equilibria, if they are known, [equilibria][profile].
    const double* game;
    const double* equilibrium;
    int32_t equilibria;
    int32_t profile;          ///< actions of all players
    int32_t payoff_dominant;  ///< the equilibrium that all players prefer to all others; -1: none
    int32_t risk_dominant;    ///< the risk-dominant equilibrium of a 2 x 2 game; -1: none
    Bounds reward;            ///< of a single reward
  };

  struct State {
    uint32_t history;  ///< the last `memory` joint actions, newest in the lowest digit
    uint32_t period;   ///< within the episode; stays 0 when endless
  };

  static Params make(const Config& c, Arena& arena) {
    Params p{};
    p.stage = Stage::make(c.stage, arena);
    p.payoff_dominant = -1;
    p.risk_dominant = -1;
    p.players = Stage::players(p.stage);
    p.memory = c.memory;
    p.horizon = static_cast<uint32_t>(c.horizon);
    uint64_t joint = 1;
    for (int i = p.players - 1; i >= 0; --i) {
      p.actions[i] = Stage::actions(p.stage, i);
      p.weight[i] = static_cast<uint32_t>(joint);
      joint *= static_cast<uint64_t>(p.actions[i]);
      if (joint > 0xFFFFFFFFu)
        throw ParameterError(Stage::kSizeKey, "too many joint actions (2^32)");
    }
    p.joint = static_cast<uint32_t>(joint);
    uint64_t histories = 1;
    for (int k = 0; k < c.memory; ++k) {
      p.older = static_cast<uint32_t>(histories);
      histories *= joint;
      if (histories > kMaxHistories) {
        throw ParameterError("memory",
                             "the agents would have to tell more than 2^24 histories apart");
      }
    }
    p.histories = static_cast<uint32_t>(histories);
    if (hides_actions(p) && c.memory > 0) {
      throw ParameterError("memory", "must be 0: the players do not see each other's actions");
    }
    HostArena host;
    const auto stage = Stage::make(c.stage, host);
    p.reward = Stage::payoff_bounds(stage);
    if (!stochastic(stage) && joint * static_cast<uint64_t>(p.players) <= kMaxTable) {
      std::vector<float> table(joint * static_cast<uint64_t>(p.players));
      int chosen[kMaxAgents] = {};
      double payoff[kMaxAgents] = {};
      for (uint32_t j = 0; j < p.joint; ++j) {
        for (int i = 0; i < p.players; ++i) chosen[i] = static_cast<int>(action_of(p, j, i));
        expected_rewards(stage, chosen, payoff);
        for (int i = 0; i < p.players; ++i) {
          table[size_t{j} * static_cast<size_t>(p.players) + static_cast<size_t>(i)] =
              static_cast<float>(payoff[i]);
        }
      }
      p.payoffs = arena.store(table);
    }
    if constexpr (kFacts.family == Family::matrix) {
      if (p.memory == 0 && p.joint <= kMaxJudged) judge_strategies(p, stage, arena);
    }
    return p;
  }

  CUMARL_HD static CUMARL_INLINE int agents(const Params& p) { return p.players; }
  CUMARL_HD static CUMARL_INLINE int actions(const Params& p, int agent) {
    return p.actions[agent];
  }
  CUMARL_HD static CUMARL_INLINE uint32_t observations(const Params& p, int) { return p.histories; }
  CUMARL_HD static CUMARL_INLINE uint32_t observe_index(const Params&, const State& s, int) {
    return s.history;
  }
  CUMARL_HD static CUMARL_INLINE int features(const Params& p, int) { return p.memory * p.players; }
  /// The observed actions, newest period first.
  CUMARL_HD static void observe(const Params& p, const State& s, int, float* out) {
    uint32_t history = s.history;
    for (int k = 0; k < p.memory; ++k) {
      const uint32_t joint = history % p.joint;
      history /= p.joint;
      for (int i = 0; i < p.players; ++i) {
        out[k * p.players + i] = static_cast<float>(action_of(p, joint, i));
      }
    }
  }

  /// The action of agent i in a joint action.
  CUMARL_HD static CUMARL_INLINE uint32_t action_of(const Params& p, uint32_t joint, int i) {
    return joint / p.weight[i] % static_cast<uint32_t>(p.actions[i]);
  }
  CUMARL_HD static CUMARL_INLINE uint32_t joint_of(const Params& p, const int* actions) {
    uint32_t joint = 0;
    for (int i = 0; i < kMaxAgents && i < p.players; ++i) {
      joint += static_cast<uint32_t>(actions[i]) * p.weight[i];
    }
    return joint;
  }
  CUMARL_HD static CUMARL_INLINE uint32_t remember(const Params& p, uint32_t history,
                                                   uint32_t joint) {
    if (p.memory == 1) return joint;
    return p.memory == 0 ? 0 : history % p.older * p.joint + joint;
  }

  /// A history drawn uniformly.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    s.history = rng.below(p.histories);
    s.period = 0;
  }

  CUMARL_HD static CUMARL_INLINE Episode step(const Params& p, State& s, const int* actions,
                                              float* rewards, Rng& rng) {
    const uint32_t joint = joint_of(p, actions);
    if (p.payoffs != nullptr) {
      for (int i = 0; i < kMaxAgents && i < p.players; ++i) {
        rewards[i] = p.payoffs[static_cast<size_t>(joint) * static_cast<size_t>(p.players) +
                               static_cast<size_t>(i)];
      }
    } else {
      double payoff[kMaxAgents] = {};
      sample(p.stage, actions, payoff, rng);
      for (int i = 0; i < kMaxAgents && i < p.players; ++i) {
        rewards[i] = static_cast<float>(payoff[i]);
      }
    }
    s.history = remember(p, s.history, joint);
    if (p.horizon == 0) return Episode::goes_on;
    return ++s.period >= p.horizon ? Episode::ended : Episode::goes_on;
  }
  static Bounds reward_bounds(const Params& p) { return p.reward; }

  /// Costs of a joint step, [players], of actions as positions on the grid.
  CUMARL_HD static void costs(const Params& p, const State&, const double* actions, const State&,
                              float* out) requires requires(int* played, double* cost) {
    Stage::costs(p.stage, played, cost);
  }
  {
    int played[kMaxAgents] = {};
    double cost[kMaxAgents] = {};
    for (int i = 0; i < kMaxAgents && i < p.players; ++i) played[i] = static_cast<int>(actions[i]);
    Stage::costs(p.stage, played, cost);
    for (int i = 0; i < kMaxAgents && i < p.players; ++i) out[i] = static_cast<float>(cost[i]);
  }
  static bool endless(const Params& p) { return p.horizon == 0; }

  /// Host: whether players are kept from seeing what the others do, so that learners of joint
  /// actions have to be refused.
  static bool hides_actions(const Params& p) {
    if constexpr (requires { Stage::hides_actions(p.stage); }) {
      return Stage::hides_actions(p.stage);
    } else {
      return false;
    }
  }

  /// Expected rewards [joint][players] of a game that is judged by strategies; else empty. `host`
  /// was made with a HostArena.
  static std::vector<double> payoff_table(const Params& host) {
    if (host.game == nullptr) return {};
    const auto players = static_cast<size_t>(host.players);
    std::vector<double> table(host.joint * players);
    int chosen[kMaxAgents] = {};
    for (uint32_t j = 0; j < host.joint; ++j) {
      for (int i = 0; i < host.players; ++i) chosen[i] = static_cast<int>(action_of(host, j, i));
      expected_rewards(host.stage, chosen, table.data() + j * players);
    }
    return table;
  }

  /// Throws ParameterError for a state that the game cannot be in.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    int64_t history = s.history;
    int64_t period = s.period;
    v("history", &history, 1);
    v("period", &period, 1);
    const int64_t last = p.horizon == 0 ? 0 : int64_t{p.horizon};
    if (history < 0 || history >= int64_t{p.histories}) {
      throw ParameterError("history", "must be from 0 to " + std::to_string(p.histories - 1));
    }
    if (period < 0 || period > last) {
      throw ParameterError("period", "must be from 0 to " + std::to_string(last));
    }
    s = {static_cast<uint32_t>(history), static_cast<uint32_t>(period)};
  }

  /// Q0 for `spec.init`: [actions] for expected and fixed_rivals, [histories][actions] for
  /// grim_trigger. `host` was made with a HostArena. Source: Calvano et al. 2020, section II and
  /// online appendix A4.4.
  static std::vector<double> initial_values(const Params& host, const AgentSpec& spec,
                                            double gamma);

  /// The custom of the family, for init.kind = "auto".
  static constexpr InitKind kCustomInit = Stage::kCustomInit;

  /// Measures of a finished run: the greedy policies are followed from the run's last state to
  /// their limit cycle (Brent's algorithm), and everything is averaged over the cycle. A policy
  /// that is not deterministic is played for `policy.evaluation().steps` periods instead.
  /// In a matrix game without memory the agents' strategies themselves are judged.
  template <class Policy, class Sink>
  CUMARL_HD static void evaluate(const Params& p, const State& last, const Policy& policy,
                                 const RunFacts& facts, Sink& sink);

  /// Measures that are taken at points in time where [evaluation] points asks for them: NashConv and
  /// the distance to the nearest equilibrium of what the agents play.
  static constexpr int kProbes = 2;
  CUMARL_HD static bool probes(const Params& p) { return p.game != nullptr; }
  /// How many they are, with [evaluation] measures or without.
  CUMARL_HD static int probe_width(const Params& p, bool measures) {
    return measures ? kRegret + 2 * p.players : kProbes;
  }
  template <class Policy>
  CUMARL_HD static void probe(const Params& p, const State& s, const Policy& policy, double* out) {
    if constexpr (kFacts.family == Family::matrix) {
      double profile[kMaxProfile] = {};
      read_profile(p, s, policy, profile);
      take_measures(p, judge(p, profile), tally_of(policy), out);
    }
  }

  /// Whether [evaluation] measures has something to report here, for which runs are tallied: what is
  /// played is counted at every step, in tally_bytes of the run's memory that start as zeros.
  static constexpr bool kTallies = kFacts.family == Family::matrix;
  static bool measures(const Params& p) { return probes(p); }
  CUMARL_HD static size_t tally_bytes(const Params& p) {
    return PlayTally::entries(normal_form(p.players, p.actions, nullptr)) * sizeof(double);
  }
  /// Counts a joint step. The tally begins with the strategies that were played, agent after agent.
  /// `late`: the step is in the last fifth of the longest run.
  CUMARL_HD static void tally(const Params& p, const int* actions, Episode episode, bool late,
                              std::byte* memory) {
    const NormalFormView game = normal_form(p.players, p.actions, nullptr);
    PlayTally(game, reinterpret_cast<double*>(memory))
        .add(game, actions, episode != Episode::goes_on, late);
  }

 private:
  /// Fills Params::game and what comes with it. `stage` was made with a HostArena.
  static void judge_strategies(Params& p, const typename Stage::Params& stage, Arena& arena) {
    const auto players = static_cast<size_t>(p.players);
    std::vector<double> table(p.joint * players);
    int chosen[kMaxAgents] = {};
    for (uint32_t j = 0; j < p.joint; ++j) {
      for (int i = 0; i < p.players; ++i) chosen[i] = static_cast<int>(action_of(p, j, i));
      Stage::payoffs(stage, chosen, table.data() + j * players);
    }
    for (int i = 0; i < p.players; ++i) p.profile += p.actions[i];
    if (p.profile > kMaxProfile) return;
    p.game = arena.store(table);
    if (p.players != 2 || p.actions[0] > kMaxSupport || p.actions[1] > kMaxSupport) return;
    std::vector<double> all;
    const NormalFormView game = normal_form(2, p.actions, table.data());
    for (const auto& one : support_equilibria(game)) {
      all.insert(all.end(), one.begin(), one.end());
      ++p.equilibria;
    }
    select_equilibria(p, game, all.data());
    p.equilibrium = arena.store(all);
  }
  /// Fills Params::payoff_dominant and risk_dominant from the equilibria `all`.
  static void select_equilibria(Params& p, const NormalFormView& game, const double* all) {
    const int risk = risk_dominant(game);
    double value[kMaxAgents] = {};
    double other[kMaxAgents] = {};
    for (int e = 0; e < p.equilibria; ++e) {
      const double* profile = all + e * p.profile;
      expected_payoffs(game, profile, value);
      bool dominant = p.equilibria > 1;
      for (int f = 0; f < p.equilibria && dominant; ++f) {
        expected_payoffs(game, all + f * p.profile, other);
        dominant = f == e || (value[0] > other[0] && value[1] > other[1]);
      }
      if (dominant) p.payoff_dominant = e;
      if (risk >= 0 && joint_probability(game, profile, risk, -1) == 1.0) p.risk_dominant = e;
    }
  }

  /// Measures of strategies, see Params::game: expected payoffs, NashConv and, where equilibria are
  /// known, the mean |difference| of a probability to the nearest one's.
  struct Judgement {
    double payoff[kMaxAgents];
    double nash_conv;
    double distance;
    int nearest;  ///< that equilibrium
  };
  static constexpr int kMaxProfile = 512;
  /// An equilibrium within this distance counts as reached.
  static constexpr double kReached = 0.05;
  /// What a probe holds with [evaluation] measures; then come kRegret + i, the regret of agent i's
  /// play, and kRegret + players + i, that of its strategies.
  enum Measure : int {
    kNashConv,
    kPolicyDistance,
    kWelfare,
    kExpectedReturn,
    kEmpirical,
    kAveragePolicy,
    kEmpiricalMarginals,
    kAverageMarginals,
    kAverageReturn,
    kRegret
  };
  static constexpr int kMostMeasures = kRegret + 2 * kMaxAgents;
  /// What the agents play in state s, agent after agent.
  template <class Policy>
  CUMARL_HD static void read_profile(const Params& p, const State& s, const Policy& policy,
                                     double* profile) {
    for (int i = 0; i < p.players; ++i) {
      policy.distribution(p, s, i, profile);
      profile += p.actions[i];
    }
  }
  CUMARL_HD static Judgement judge(const Params& p, const double* profile);
  /// Mean |difference| of a probability between a profile and a known equilibrium.
  CUMARL_HD static double profile_distance(const Params& p, const double* profile,
                                           int equilibrium) {
    double apart = 0;
    for (int k = 0; k < p.profile; ++k) {
      const double d = profile[k] - p.equilibrium[equilibrium * p.profile + k];
      apart += d < 0 ? -d : d;
    }
    return apart / p.profile;
  }
  /// The run's tally; null where it keeps none. A policy without a run need not know the word.
  template <class Policy>
  CUMARL_HD static double* tally_of(const Policy& policy) {
    if constexpr (requires { policy.tally(); }) {
      return reinterpret_cast<double*>(policy.tally());
    } else {
      return nullptr;
    }
  }
  /// Writes the first kProbes measures, and with a tally all of them.
  CUMARL_HD static void take_measures(const Params& p, const Judgement& now, double* tally,
                                      double* out);
  /// Reports what [evaluation] measures asks for, but for its course over time.
  template <class Sink>
  CUMARL_HD static void report_measures(const Params& p, const double* profile,
                                        const Judgement& end, uint32_t top, double* tally,
                                        const double* measured, Sink& sink);
  template <class Policy, class Sink>
  CUMARL_HD static void evaluate_strategies(const Params& p, const State& last,
                                            const Policy& policy, const RunFacts& facts,
                                            Sink& sink);
  /// Follows deterministic policies from the history `start` to their limit cycle (Brent's
  /// algorithm); `start` becomes a history on it.
  template <class Policy>
  CUMARL_HD static void find_cycle(const Params& p, const Policy& policy, uint32_t& start,
                                   uint32_t& length);
  template <class Policy, class Sink>
  CUMARL_HD static void report_misread_start(const Params& p, const Policy& policy, uint32_t last,
                                             Sink& sink);
  template <class Policy, class Sink>
  CUMARL_HD static void report_impulse(const Params& p, const Policy& policy, uint32_t start,
                                       uint32_t length, bool as_published,
                                       const char* deviator_name, const char* rival_name,
                                       Sink& sink);

  /// Agent i's action that is best for one period against the others in `actions`.
  CUMARL_HD static int best_reply(const Params& p, const int* actions, int i) {
    int trial[kMaxAgents] = {};
    double payoff[kMaxAgents] = {};
    for (int j = 0; j < p.players; ++j) trial[j] = actions[j];
    int best = 0;
    double best_payoff = 0;
    for (int a = 0; a < p.actions[i]; ++a) {
      trial[i] = a;
      Stage::payoffs(p.stage, trial, payoff);
      if (a == 0 || payoff[i] > best_payoff) {
        best_payoff = payoff[i];
        best = a;
      }
    }
    return best;
  }
  CUMARL_HD static bool stochastic(const typename Stage::Params& stage) {
    if constexpr (requires { Stage::stochastic(stage); }) {
      return Stage::stochastic(stage);
    } else {
      return false;
    }
  }
  CUMARL_HD static void sample(const typename Stage::Params& stage, const int* actions,
                               double* payoff, Rng& rng) {
    if constexpr (requires { Stage::sample(stage, actions, payoff, rng); }) {
      Stage::sample(stage, actions, payoff, rng);
    } else {
      expected_rewards(stage, actions, payoff);
    }
  }
  /// Expected rewards of a joint action: the payoffs, unless the stage says otherwise.
  CUMARL_HD static void expected_rewards(const typename Stage::Params& stage, const int* actions,
                                         double* out) {
    if constexpr (requires { Stage::rewards(stage, actions, out); }) {
      Stage::rewards(stage, actions, out);
    } else {
      Stage::payoffs(stage, actions, out);
    }
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT

#include "envs/repeated_game_measures.hpp"
