/// \file
/// Learning with opponent-learning awareness.
#pragma once

#include "kernels/tabular/mixed_strategy.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// The discounted value of memory-1 strategies in a 2x2 game, and its exact derivatives. States are
/// the last joint actions, 2 a + b; the first one is drawn uniformly, as RepeatedGame does.
///
/// With M(s, s') the chance of joint action s' after s, r the payoffs, v = M (r + gamma v),
/// q = r + gamma v, K = 1 / (1 - gamma M) and w = K' (1/4, 1/4, 1/4, 1/4), a change dM changes the
/// value by w'dM q, and d w'dM q follows from dK = gamma K dM K and dq = gamma K dM q. A parameter of
/// state s changes only row s of M, so that all products are sums over four entries.
struct Memory1Game {
  double cooperate[2][4];  ///< chance that player i plays action 0 after state s
  double payoff[2][4];     ///< of joint actions
  double gamma;
  double inverse[4][4];  ///< K
  double occupancy[4];   ///< w
  double q[2][4];

  /// Fills K, w and q from the rest.
  CUMARL_HD void solve() {
    double m[4][4];
    double left[4][4];
    for (int s = 0; s < 4; ++s) {
      for (int k = 0; k < 4; ++k) {
        m[s][k] = chance(0, s, k >> 1) * chance(1, s, k & 1);
        left[s][k] = (s == k ? 1.0 : 0.0) - gamma * m[s][k];
        inverse[s][k] = s == k ? 1.0 : 0.0;
      }
    }
    // Gauss-Jordan without exchanges: 1 - gamma M is diagonally dominant by rows.
    for (int c = 0; c < 4; ++c) {
      const double pivot = 1.0 / left[c][c];
      for (int k = 0; k < 4; ++k) {
        left[c][k] *= pivot;
        inverse[c][k] *= pivot;
      }
      for (int s = 0; s < 4; ++s) {
        if (s == c) continue;
        const double factor = left[s][c];
        for (int k = 0; k < 4; ++k) {
          left[s][k] -= factor * left[c][k];
          inverse[s][k] -= factor * inverse[c][k];
        }
      }
    }
    for (int s = 0; s < 4; ++s) {
      occupancy[s] = 0.0;
      for (int k = 0; k < 4; ++k) occupancy[s] += 0.25 * inverse[k][s];
    }
    for (int i = 0; i < 2; ++i) {
      double now[4];  // M r
      for (int s = 0; s < 4; ++s) {
        now[s] = 0.0;
        for (int k = 0; k < 4; ++k) now[s] += m[s][k] * payoff[i][k];
      }
      for (int s = 0; s < 4; ++s) {
        double value = 0.0;
        for (int k = 0; k < 4; ++k) value += inverse[s][k] * now[k];
        q[i][s] = payoff[i][s] + gamma * value;
      }
    }
  }
  /// (1 - gamma) times the discounted payoffs: per period.
  CUMARL_HD double value(int player) const {
    double sum = 0.0;
    for (int s = 0; s < 4; ++s) {
      for (int k = 0; k < 4; ++k) {
        sum += occupancy[s] * chance(0, s, k >> 1) * chance(1, s, k & 1) * payoff[player][k];
      }
    }
    return (1.0 - gamma) * sum;
  }

  CUMARL_HD double chance(int player, int s, int action) const {
    return action == 0 ? cooperate[player][s] : 1.0 - cooperate[player][s];
  }
  /// d chance / d logit of player's cooperation in s.
  CUMARL_HD double slope(int player, int s, int action) const {
    const double d = cooperate[player][s] * (1.0 - cooperate[player][s]);
    return action == 0 ? d : -d;
  }
  /// Entry k of row s of dM, by player's logit of state s.
  CUMARL_HD double row(int player, int s, int k) const {
    return player == 0 ? slope(0, s, k >> 1) * chance(1, s, k & 1)
                       : chance(0, s, k >> 1) * slope(1, s, k & 1);
  }
  /// d value(of) / d (by's logit in s).
  CUMARL_HD double gradient(int of, int by, int s) const {
    double sum = 0.0;
    for (int k = 0; k < 4; ++k) sum += row(by, s, k) * q[of][k];
    return (1.0 - gamma) * occupancy[s] * sum;
  }
  /// d^2 value(of) / d (player 0's logit in s) d (player 1's logit in u).
  CUMARL_HD double mixed(int of, int s, int u) const {
    double first = 0.0;      // row(0, s) . q
    double second = 0.0;     // row(1, u) . q
    double to_second = 0.0;  // row(0, s) . K e_u
    double to_first = 0.0;   // row(1, u) . K e_s
    double both = 0.0;
    for (int k = 0; k < 4; ++k) {
      first += row(0, s, k) * q[of][k];
      second += row(1, u, k) * q[of][k];
      to_second += row(0, s, k) * inverse[k][u];
      to_first += row(1, u, k) * inverse[k][s];
      both += slope(0, s, k >> 1) * slope(1, s, k & 1) * q[of][k];
    }
    return (1.0 - gamma) *
           (gamma * occupancy[s] * to_second * second + gamma * occupancy[u] * to_first * first +
            (s == u ? occupancy[s] * both : 0.0));
  }
  /// What LOLA moves player's logit in s by, per unit of step size: the own gradient, and the effect
  /// on the own value, at first order, of a gradient step of size `lookahead` by the other.
  CUMARL_HD double direction(int player, int s, double lookahead) const {
    double sum = 0.0;
    for (int u = 0; u < 4; ++u) {
      const double cross = player == 0 ? mixed(1, s, u) : mixed(0, u, s);
      sum += gradient(player, 1 - player, u) * cross;
    }
    return gradient(player, player, s) + lookahead * sum;
  }
};

/// Ascends the exact value of its memory-1 strategy by
///   theta_i += step [dV_i/dtheta_i + lookahead (dV_i/dtheta_j)' d^2V_j/(dtheta_j dtheta_i)],
/// theta the logits of action 0 after each of the four last joint actions, V the discounted payoffs
/// times 1 - gamma. lookahead = 0 is a naive learner.
/// Source: Foerster et al., "Learning with opponent-learning awareness", AAMAS 2018, eq. (4.1) with
/// exact gradients. Deviations: the first history is uniform instead of an opening move; payoffs are
/// those seen (updates start when all four joint actions have been). The rival's strategy is, with
/// rival = "twin", that of a LOLA learner with the same settings and its own first strategy (which
/// any agent can compute, as draws are functions of the run): exact if the other is one. With
/// "observed" it is the discounted frequency of its actions (section 4.4, opponent modelling).
///
/// Memory: chances of action 0 [2][4], logits [2][4], payoffs [2][4], joint actions seen [4].
struct Lola {
  static constexpr LearnerFacts kFacts{"lola", "Learning with opponent-learning awareness",
                                       "Foerster et al. 2018, eq. (4.1), exact gradients",
                                       Sees::joint};
  static constexpr bool kGreedy = false;
  static constexpr int kEntries = 28;
  /// Logits stay within +-30, where a sigmoid has long been 0 or 1 to the eye.
  static constexpr double kFurthest = 30.0;

  struct Config {
    double gamma = 0.96;
    double step = 1.0;
    double lookahead = 10.0;
    double spread = 1.0;
    Choice rival{0};
    double memory = 0.01;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("gamma", c.gamma, Bounds{0, 0.999999}, "", "discount factor");
    v("step", c.step, Bounds{0, 1e6}, "", "own step size");
    v("lookahead", c.lookahead, Bounds{0, 1e6}, "",
      "step size that the rival is taken to have; 0: a naive learner");
    v("spread", c.spread, Bounds{0, 30}, "", "first logits are uniform between -spread and spread");
    v.choice("rival", c.rival, {"twin", "observed"},
             "the rival learns alike, or is modelled by how often it did what");
    v("memory", c.memory, Bounds{0, 1}, "", "observed: weight of the newest action");
  }

  struct Params {
    double gamma;
    double step;
    double lookahead;
    double spread;
    double memory;
    int32_t agent;
    bool twin;
  };
  static Params make(const Config& c, const AgentSpec& spec, Arena&) {
    if (spec.agents != 2 || spec.all_actions[0] != 2 || spec.all_actions[1] != 2 ||
        spec.observations != 4) {
      throw ParameterError("name", "LOLA is for two agents with two actions and memory = 1");
    }
    return {c.gamma, c.step, c.lookahead, c.spread, c.memory, spec.agent, c.rival.value == 0};
  }
  CUMARL_HD static size_t bytes(const Params&) { return kEntries * sizeof(double); }
  CUMARL_HD static void init(const Params& p, std::byte* memory, RunKey key, int) {
    double* const chances = doubles(memory);
    for (int k = 0; k < kEntries; ++k) chances[k] = 0.0;
    for (int i = 0; i < 2; ++i) {
      for (int s = 0; s < 4; ++s) {
        const Philox block =
            philox(key, static_cast<uint64_t>(s), Stream::init, static_cast<uint32_t>(i));
        const double logit = (2.0 * unit_double(block.x0) - 1.0) * p.spread;
        set_logit(memory, i, s, i == p.agent || p.twin ? logit : 0.0);
      }
    }
  }
  CUMARL_HD static double logit(std::byte* memory, int player, int s) {
    return doubles(memory)[8 + 4 * player + s];
  }
  CUMARL_HD static double chance(std::byte* memory, int player, int s) {
    return doubles(memory)[4 * player + s];
  }
  CUMARL_HD static void set_logit(std::byte* memory, int player, int s, double to) {
    const double kept = to > kFurthest ? kFurthest : to < -kFurthest ? -kFurthest : to;
    doubles(memory)[8 + 4 * player + s] = kept;
    doubles(memory)[4 * player + s] = 1.0 / (1.0 + portable_exp(-kept));
  }

  CUMARL_HD static int act(const Params& p, std::byte* memory, uint32_t observation, uint32_t word,
                           uint64_t) {
    return unit_double(word) < chance(memory, p.agent, static_cast<int>(observation)) ? 0 : 1;
  }
  CUMARL_HD static void policy(const Params& p, std::byte* memory, uint32_t observation,
                               double* out) {
    out[0] = chance(memory, p.agent, static_cast<int>(observation));
    out[1] = 1.0 - out[0];
  }
  CUMARL_HD static void learn(const Params& p, std::byte* memory, uint32_t from, uint32_t,
                              const Transition& step) {
    double* const payoffs = doubles(memory) + 16;
    double* const seen = doubles(memory) + 24;
    const int joint = 2 * step.actions[0] + step.actions[1];
    payoffs[joint] = static_cast<double>(step.rewards[0]);
    payoffs[4 + joint] = static_cast<double>(step.rewards[1]);
    seen[joint] = 1.0;
    if (!p.twin) {
      double& modelled = doubles(memory)[4 * (1 - p.agent) + static_cast<int>(from)];
      modelled += p.memory * ((step.actions[1 - p.agent] == 0 ? 1.0 : 0.0) - modelled);
    }
    if (seen[0] + seen[1] + seen[2] + seen[3] < 4.0) return;
    Memory1Game game{};
    game.gamma = p.gamma;
    for (int s = 0; s < 4; ++s) {
      for (int i = 0; i < 2; ++i) {
        game.cooperate[i][s] = chance(memory, i, s);
        game.payoff[i][s] = payoffs[4 * i + s];
      }
    }
    game.solve();
    for (int i = 0; i < 2; ++i) {
      if (i != p.agent && !p.twin) continue;
      for (int s = 0; s < 4; ++s) {
        set_logit(memory, i, s, logit(memory, i, s) + p.step * game.direction(i, s, p.lookahead));
      }
    }
  }
};

}  // namespace cumarl::inline CUMARL_VARIANT
