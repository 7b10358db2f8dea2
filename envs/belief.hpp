/// \file
/// Small partially observable problems, played on the belief of a Bayes filter.
#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/core/env.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// A partially observable problem with up to 16 hidden states, all static. Hidden states, actions
/// and symbols (what an agent hears or sees) are numbered from 0.
///
///  - `kFacts`, `kMaxAgents` (16 at most), `kMaxHidden` (16 at most), `kMaxSteps` (default of
///    `max_steps`)
///  - `Config`, `fields`, `Params`, `make(config, arena)`: as every environment's. The keys of
///    Believing::fields are taken.
///  - `agents(p)`, `hidden(p)`, `actions(p, i)`, `symbols(p, i)`: numbers of agents, of hidden
///    states, and of actions and symbols of agent i (254 at most each). Called on the host too,
///    as is `reward_bounds(p)`, of one agent in one step and of the float that is paid: they read
///    no table of the arena.
///  - `initial(p, s)`: probability that an episode begins in hidden state s
///  - `transition(p, s, actions, next)`: probability of `next` after s and the joint actions,
///    int [agents]
///  - `emission(p, agent, next, actions, symbol)`: probability that the joint actions, having led
///    to `next`, give `agent` that symbol. Given those, the agents' symbols are independent.
///  - `reward(p, s, actions, next, rewards)`: writes float [agents]
///  - `ends(p, s, actions, next)`: whether that step ends the episode
///
/// The last five run in steps: CUMARL_HD, no draws, the same result for the same arguments. The
/// probabilities are doubles that add up to 1 (see check_probabilities).
template <class H>
concept HiddenProblem = H::kMaxAgents >= 1 && H::kMaxAgents <= 16 && H::kMaxHidden >= 1 &&
                        H::kMaxHidden <= 16 &&
                        requires(const typename H::Params& p, const int* actions, float* out,
                                 FieldVisitor& f, typename H::Config& c, Arena& arena) {
  { H::make(c, arena) } -> std::same_as<typename H::Params>;
  H::fields(f, c);
  { H::agents(p) } -> std::same_as<int>;
  { H::hidden(p) } -> std::same_as<int>;
  { H::actions(p, 0) } -> std::same_as<int>;
  { H::symbols(p, 0) } -> std::same_as<int>;
  { H::initial(p, 0) } -> std::same_as<double>;
  { H::transition(p, 0, actions, 0) } -> std::same_as<double>;
  { H::emission(p, 0, 0, actions, 0) } -> std::same_as<double>;
  H::reward(p, 0, actions, 0, out);
  { H::ends(p, 0, actions, 0) } -> std::same_as<bool>;
  { H::reward_bounds(p) } -> std::same_as<Bounds>;
};

/// Checks that the probabilities of `H` are not negative and add up to 1, to within 1e-9: of the
/// initial states, and for every hidden state and joint action of the next states and of each
/// agent's symbols. Host only; p is made with a HostArena. Throws ParameterError("probabilities").
template <HiddenProblem H>
void check_probabilities(const typename H::Params& p) {
  const int n = H::agents(p), states = H::hidden(p);
  const auto check = [](int count, const auto& probability, const std::string& of) {
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      const double x = probability(k);
      if (!(x >= 0)) throw ParameterError("probabilities", "of " + of + ": one is negative");
      sum += x;
    }
    if (!(std::abs(sum - 1) <= 1e-9)) {
      throw ParameterError("probabilities", "of " + of + " add up to " + std::to_string(sum));
    }
  };
  check(
      states, [&](int s) { return H::initial(p, s); }, "initial states");
  int joint[H::kMaxAgents] = {};
  for (bool more = true; more;) {
    for (int s = 0; s < states; ++s) {
      check(
          states, [&](int next) { return H::transition(p, s, joint, next); },
          "the states after state " + std::to_string(s));
      for (int i = 0; i < n; ++i) {
        check(
            H::symbols(p, i), [&](int o) { return H::emission(p, i, s, joint, o); },
            "agent " + std::to_string(i) + "'s symbols in state " + std::to_string(s));
      }
    }
    more = false;
    for (int i = 0; i < n && !more; ++i) {
      joint[i] = (joint[i] + 1) % H::actions(p, i);
      more = joint[i] != 0;
    }
  }
}

/// The problem `H` as an environment. A joint step draws the next hidden state, then each agent's
/// private symbol. The joint actions are public: everybody knows what everybody did.
///
/// Each agent has a belief b, the probabilities of the hidden states given the joint actions and
/// its own symbols so far:
///
///     b'(s') is proportional to emission(s', a, o) * sum over s of transition(s, a, s') b(s)
///
/// This is the exact posterior if actions are taken as given, as when they are set from outside.
/// What another agent's choice may tell about the symbols it got depends on its policy and is not
/// inferred; nor are rewards taken as evidence. Beliefs are doubles, summed in the order of states
/// and divided by their sum. Where rounding has left probability 0 for a symbol that was drawn,
/// the belief begins anew from equal probabilities of all states and that symbol.
///
/// Features of an agent: its belief as floats [hidden], or with observe = "symbols" the last
/// symbol, one-hot [symbols], zeros before the first. With last_actions follow, one-hot agent by
/// agent, the actions of the last joint step, zeros before the first.
///
/// Table index: cumulative probabilities b(0), b(0) + b(1), ... are rounded to the nearest of
/// `bins` equally spaced numbers 0, ..., 1, halves up; with two hidden states b(0) alone. With
/// h hidden states there are C(bins + h - 2, h - 1) of these. Or the last symbol plus 1, 0 before
/// the first. With last_actions the joint action is a further digit; see observe_index.
///
/// The state that a central critic sees is the hidden state, one-hot. The step limit is
/// Episode::cut: learners still bootstrap from it.
///
/// Source: Bayes filter: Astrom, Journal of Mathematical Analysis and Applications 10, 1965;
/// Kaelbling, Littman and Cassandra, Artificial Intelligence 101, 1998, section 3.3.
/// Deviation: none.
template <HiddenProblem H>
struct Believing {
  static constexpr EnvFacts kFacts = H::kFacts;
  static constexpr int kMaxAgents = H::kMaxAgents;
  static constexpr int kMaxHidden = H::kMaxHidden;
  static constexpr int kMaxBins = 4096;
  static constexpr uint32_t kMaxObservations = 1U << 24;  ///< largest table index space
  static constexpr bool kSharedObservation = false;

  /// What agents see.
  enum Observe { kBelief, kSymbols };

  /// What a user may set. Checked by make().
  struct Config {
    typename H::Config problem;
    Choice observe{kBelief};
    int bins = 41;
    bool last_actions = false;
    int max_steps = H::kMaxSteps;
  };

  static void fields(FieldVisitor& v, Config& c) {
    H::fields(v, c.problem);
    v.choice("observe", c.observe, {"belief", "symbols"},
             "what an agent sees: its belief over the hidden states given the public joint "
             "actions and its own symbols, or its last symbol only");
    v("bins", c.bins, Bounds{2, kMaxBins}, "",
      "belief: equally spaced probabilities that table indices round to");
    v("last_actions", c.last_actions, "agents see the last joint action too");
    v("max_steps", c.max_steps, Bounds{1, 65535}, "joint steps", "length limit of an episode");
  }

  struct Params {
    typename H::Params problem;
    uint32_t max_steps;
    int32_t bins;
    uint32_t joint_actions;                ///< with last_actions, where there is an index; else 0
    uint32_t observations[H::kMaxAgents];  ///< 0: too many
    bool symbols;                          ///< agents see symbols, not beliefs
    bool last_actions;
  };

  struct State {
    double belief[kMaxAgents][kMaxHidden];  ///< 0 for agents and states that are not there
    uint8_t symbol[kMaxAgents];             ///< the last one plus 1; 0 before the first
    uint8_t action[kMaxAgents];             ///< likewise
    uint16_t steps;                         ///< joint steps done
    uint8_t hidden;
  };

  /// Checks the configuration. Throws ParameterError.
  static Params make(const Config& c, Arena& arena) {
    Params p{};
    p.problem = H::make(c.problem, arena);
    const auto between = [](const char* key, int value, int min, int max) {
      if (value >= min && value <= max) return;
      throw ParameterError(key, "is " + std::to_string(value) + ", allowed are " +
                                    std::to_string(min) + " to " + std::to_string(max));
    };
    between("observe", c.observe, kBelief, kSymbols);
    between("bins", c.bins, 2, kMaxBins);
    between("max_steps", c.max_steps, 1, 65535);
    const int n = H::agents(p.problem), states = H::hidden(p.problem);
    between("agents", n, 1, kMaxAgents);
    between("hidden states", states, 1, kMaxHidden);
    uint64_t joints = 1;
    for (int i = 0; i < n; ++i) {
      between("actions", H::actions(p.problem, i), 1, 254);
      between("symbols", H::symbols(p.problem, i), 1, 254);
      joints *= static_cast<uint64_t>(H::actions(p.problem, i));
      if (joints > kMaxObservations) joints = kMaxObservations;
    }
    p.max_steps = static_cast<uint32_t>(c.max_steps);
    p.bins = c.bins;
    p.symbols = c.observe == kSymbols;
    p.last_actions = c.last_actions;
    p.joint_actions = c.last_actions ? static_cast<uint32_t>(joints) : 0;
    for (int i = 0; i < n; ++i) {
      uint64_t count = p.symbols ? static_cast<uint64_t>(H::symbols(p.problem, i)) + 1
                                 : sequences(c.bins, states - 1);
      if (c.last_actions) count *= joints + 1;
      p.observations[i] = count <= kMaxObservations ? static_cast<uint32_t>(count) : 0;
    }
    return p;
  }

  CUMARL_HD static int agents(const Params& p) { return H::agents(p.problem); }
  CUMARL_HD static int actions(const Params& p, int agent) { return H::actions(p.problem, agent); }

  /// Bounds of an agent's reward of one step.
  static Bounds reward_bounds(const Params& p) { return H::reward_bounds(p.problem); }

  /// Draws the hidden state; every belief is the distribution it is drawn from.
  CUMARL_HD static void reset(const Params& p, State& s, Rng& rng) {
    const int n = agents(p), states = H::hidden(p.problem);
    const auto initial = [&](int k) { return H::initial(p.problem, k); };
    s.hidden = static_cast<uint8_t>(draw(states, initial, rng));
    for (int i = 0; i < kMaxAgents; ++i) {
      for (int k = 0; k < kMaxHidden; ++k) {
        s.belief[i][k] = i < n && k < states ? initial(k) : 0.0;
      }
      if (i < n) normalise(s.belief[i], states);
      s.symbol[i] = 0;
      s.action[i] = 0;
    }
    s.steps = 0;
  }

  /// One joint step. Shapes: actions int [agents], rewards float [agents]. Draws 1 + agents words:
  /// for the next hidden state, then for the symbols in agent order. Pre: 0 <= action < actions().
  CUMARL_HD static Episode step(const Params& p, State& s, const int* actions, float* rewards,
                                Rng& rng) {
    const int n = agents(p), states = H::hidden(p.problem), from = s.hidden;
    const int next = draw(
        states, [&](int k) { return H::transition(p.problem, from, actions, k); }, rng);
    H::reward(p.problem, from, actions, next, rewards);
    for (int i = 0; i < n; ++i) {
      const auto emission = [&](int symbol) {
        return H::emission(p.problem, i, next, actions, symbol);
      };
      const int symbol = draw(H::symbols(p.problem, i), emission, rng);
      filter(p.problem, i, actions, symbol, s.belief[i]);
      s.symbol[i] = static_cast<uint8_t>(symbol + 1);
      s.action[i] = static_cast<uint8_t>(actions[i] + 1);
    }
    s.hidden = static_cast<uint8_t>(next);
    s.steps = static_cast<uint16_t>(s.steps + 1);
    if (H::ends(p.problem, from, actions, next)) return Episode::ended;
    return s.steps >= p.max_steps ? Episode::cut : Episode::goes_on;
  }

  /// One step of `agent`'s filter: belief, double [hidden], becomes the posterior after the joint
  /// actions and its symbol. Pre: some state gives that symbol after these actions.
  CUMARL_HD static void filter(const typename H::Params& p, int agent, const int* actions,
                               int symbol, double* belief) {
    const int states = H::hidden(p);
    double prior[kMaxHidden];
    for (int k = 0; k < states; ++k) prior[k] = belief[k];
    double sum = 0;
    for (int next = 0; next < states; ++next) {
      double predicted = 0;
      for (int k = 0; k < states; ++k) {
        if (prior[k] > 0) predicted += prior[k] * H::transition(p, k, actions, next);
      }
      belief[next] = predicted * H::emission(p, agent, next, actions, symbol);
      sum += belief[next];
    }
    if (!(sum > 0)) {
      for (int next = 0; next < states; ++next) {
        belief[next] = H::emission(p, agent, next, actions, symbol);
      }
    }
    normalise(belief, states);
  }

  /// Number of table indices; 0 where it would exceed kMaxObservations.
  CUMARL_HD static uint32_t observations(const Params& p, int agent) {
    return p.observations[agent];
  }

  /// What `agent` sees, as one number below observations(); 0 if that is 0. With last_actions it
  /// is (number of the belief or symbol) * (joint actions + 1) + (joint action + 1, or 0 before
  /// the first step), where a joint action's digits are the agents' actions, agent 0's first.
  CUMARL_HD static uint32_t observe_index(const Params& p, const State& s, int agent) {
    if (p.observations[agent] == 0) return 0;
    uint32_t index = p.symbols ? s.symbol[agent] : belief_index(p, s.belief[agent]);
    if (p.last_actions) {
      uint32_t joint = 0;
      for (int i = 0; i < agents(p) && s.steps > 0; ++i) {
        joint = joint * static_cast<uint32_t>(actions(p, i)) + s.action[i] - 1;
      }
      index = index * (p.joint_actions + 1) + (s.steps > 0 ? joint + 1 : 0);
    }
    return index;
  }

  /// Length of the float observation.
  CUMARL_HD static int features(const Params& p, int agent) {
    int count = p.symbols ? H::symbols(p.problem, agent) : H::hidden(p.problem);
    for (int i = 0; i < agents(p) && p.last_actions; ++i) count += actions(p, i);
    return count;
  }

  /// Bounds of a feature.
  static Bounds feature_range(const Params&, int, int) { return {0, 1}; }

  /// What `agent` sees; out: float [features].
  CUMARL_HD static void observe(const Params& p, const State& s, int agent, float* out) {
    if (p.symbols) {
      out = put_one_hot(s.symbol[agent], H::symbols(p.problem, agent), out);
    } else {
      for (int k = 0; k < H::hidden(p.problem); ++k) {
        *out++ = static_cast<float>(s.belief[agent][k]);
      }
    }
    for (int i = 0; i < agents(p) && p.last_actions; ++i) {
      out = put_one_hot(s.action[i], actions(p, i), out);
    }
  }

  /// Length of the state that a central critic sees.
  CUMARL_HD static int global_features(const Params& p) { return H::hidden(p.problem); }

  /// The hidden state, one-hot; out: float [global_features].
  CUMARL_HD static void observe_global(const Params& p, const State& s, float* out) {
    put_one_hot(s.hidden + 1U, H::hidden(p.problem), out);
  }

  /// Shows "hidden" (the hidden state), "step" (joint steps done), "symbols" and "actions" (the
  /// last of each agent, -1 before the first) and "beliefs": agent by agent the probabilities of
  /// the hidden states, each as the 64 bits of its double, so that reading it back is exact.
  /// Rebuilds the state from what the visitor leaves there. Throws ParameterError for what cannot
  /// be, also for beliefs that do not add up to 1 to within 1e-9; then nothing has changed.
  static void state_fields(StateVisitor& v, const Params& p, State& s) {
    const int n = agents(p), states = H::hidden(p.problem);
    int64_t hidden = s.hidden, step = s.steps;
    int64_t symbols[kMaxAgents] = {}, last[kMaxAgents] = {};
    int64_t beliefs[kMaxAgents * kMaxHidden] = {};
    for (int i = 0; i < n; ++i) {
      symbols[i] = s.symbol[i] - 1;
      last[i] = s.action[i] - 1;
      for (int k = 0; k < states; ++k) {
        beliefs[i * states + k] = std::bit_cast<int64_t>(s.belief[i][k]);
      }
    }
    v("hidden", &hidden, 1);
    v("step", &step, 1);
    v("symbols", symbols, n);
    v("actions", last, n);
    v("beliefs", beliefs, n * states);
    const auto between = [](const char* key, int64_t value, int64_t min, int64_t max) {
      if (value >= min && value <= max) return;
      throw ParameterError(key, "has a value of " + std::to_string(value) + ", allowed are " +
                                    std::to_string(min) + " to " + std::to_string(max));
    };
    State out{};
    between("hidden", hidden, 0, states - 1);
    between("step", step, 0, p.max_steps);
    out.hidden = static_cast<uint8_t>(hidden);
    out.steps = static_cast<uint16_t>(step);
    const int64_t first = step > 0 ? 0 : -1;  // before the first step there are none
    for (int i = 0; i < n; ++i) {
      between("symbols", symbols[i], first, step > 0 ? H::symbols(p.problem, i) - 1 : -1);
      between("actions", last[i], first, step > 0 ? actions(p, i) - 1 : -1);
      out.symbol[i] = static_cast<uint8_t>(symbols[i] + 1);
      out.action[i] = static_cast<uint8_t>(last[i] + 1);
      double sum = 0;
      for (int k = 0; k < states; ++k) {
        const auto x = std::bit_cast<double>(beliefs[i * states + k]);
        if (!(x >= 0 && x <= 1)) throw ParameterError("beliefs", "has no probability in [0, 1]");
        out.belief[i][k] = x;
        sum += x;
      }
      if (!(std::abs(sum - 1) <= 1e-9)) {
        throw ParameterError("beliefs",
                             "of agent " + std::to_string(i) + " add up to " + std::to_string(sum));
      }
    }
    for (int i = 0; i < kMaxAgents; ++i) {
      for (int k = 0; k < kMaxHidden; ++k) s.belief[i][k] = out.belief[i][k];
      s.symbol[i] = out.symbol[i];
      s.action[i] = out.action[i];
    }
    s.steps = out.steps;
    s.hidden = out.hidden;
  }

 private:
  /// A number below `count`, k with probability(k), by inversion of one word.
  template <class Probability>
  CUMARL_HD static int draw(int count, const Probability& probability, Rng& rng) {
    const double u = unit_double(rng.word());
    double sum = 0;
    int drawn = 0;
    for (int k = 0; k < count; ++k) {
      const double x = probability(k);
      if (x > 0) {
        drawn = k;  // the last that can be, where the sum rounds to less than 1
        sum += x;
        if (u < sum) break;
      }
    }
    return drawn;
  }

  CUMARL_HD static void normalise(double* belief, int states) {
    double sum = 0;
    for (int k = 0; k < states; ++k) sum += belief[k];
    for (int k = 0; k < states; ++k) belief[k] /= sum;
  }

  /// The number of non-decreasing sequences of `length` numbers below `values`,
  /// C(values + length - 1, length); something above kMaxObservations for all larger counts.
  CUMARL_HD static uint64_t sequences(int values, int length) {
    uint64_t count = 1;
    for (int k = 1; k <= length && count <= kMaxObservations; ++k) {
      count = count * static_cast<uint64_t>(values + k - 1) / static_cast<uint64_t>(k);
    }
    return count;
  }

  /// The number of the rounded cumulative probabilities c_1 <= c_2 <= ... among all such sequences:
  /// sum of C(c_k + k - 1, k), the combinatorial number system of the strictly increasing
  /// c_k + k - 1.
  CUMARL_HD static uint32_t belief_index(const Params& p, const double* belief) {
    const int states = H::hidden(p.problem);
    double sum = 0;
    uint64_t index = 0;
    for (int k = 1; k < states; ++k) {
      sum += belief[k - 1];
      const double clipped = sum < 1.0 ? sum : 1.0;
      const auto rounded = static_cast<int>(clipped * (p.bins - 1) + 0.5);
      if (rounded > 0) index += sequences(rounded, k);
    }
    return static_cast<uint32_t>(index);
  }

  /// One-hot of `count` numbers at number - 1, zeros for 0; returns the place behind.
  CUMARL_HD static float* put_one_hot(uint32_t number, int count, float* out) {
    for (int k = 1; k <= count; ++k) *out++ = static_cast<int>(number) == k ? 1.0F : 0.0F;
    return out;
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
