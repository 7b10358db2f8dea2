/// \file
/// Exact replication of the pricing duopoly of Calvano, Calzolari, Denicolo and Pastorello,
/// "Artificial Intelligence, Algorithmic Pricing, and Collusion", AER 2020 (package: openICPSR
/// 119462): two Q-learning firms, 15 prices, memory of one period, run in the authors' own order of
/// random draws and of floating-point operations. Sessions agree with their output in every field.
/// Build with -ffp-contract=off (g++, clang++) and --fmad=false (nvcc): contraction breaks
/// identity.
///
/// Prices and states are numbered from 0 here and from 1 in the package's files. A state is the
/// last period's price pair, state = 15 * price[0] + price[1]; it also numbers the joint action.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/core/hd.hpp"

namespace cumarl::inline CUMARL_VARIANT {

inline constexpr int kExactFirms = 2;
inline constexpr int kExactPrices = 15;
inline constexpr int kExactStates = kExactPrices * kExactPrices;
inline constexpr int kExactMaxCycle = 64;  // cycle states kept; the cycle's length is always exact

/// L'Ecuyer's combined generator with a Bays-Durham shuffle: RAN2 of Numerical Recipes in Fortran
/// 77, p. 272. Deviation: scaled in double, as the package does. Products are taken modulo m in 64
/// bits, which gives the same integers as the book's 32-bit (Schrage) form.
struct Ran2 {
  static constexpr std::uint32_t kM1 = 2147483563u, kM2 = 2147483399u;
  static constexpr int kTable = 32;

  std::uint32_t s1, s2;  // the two congruential states, in 1..m-1
  std::int32_t last;     // last output, in 1..m1-1; picks the next table entry
  std::int32_t table[kTable];

  /// Starts the stream that the package seeds with -seed. Pre: 1 <= seed < 2147483399.
  CUMARL_HD explicit Ran2(std::uint32_t seed) : s1(seed), s2(seed) {
    for (int j = kTable + 7; j >= 0; --j) {
      step1();
      if (j < kTable) table[j] = static_cast<std::int32_t>(s1);
    }
    last = table[0];
  }

  /// Next uniform draw, in (0, 1 - 1.2e-7].
  CUMARL_HD double operator()() {
    step1();
    s2 = static_cast<std::uint32_t>(40692ull * s2 % kM2);
    const std::uint32_t j = static_cast<std::uint32_t>(last) / (1u + (kM1 - 1u) / kTable);
    last = table[j] - static_cast<std::int32_t>(s2);
    table[j] = static_cast<std::int32_t>(s1);
    if (last < 1) last += static_cast<std::int32_t>(kM1 - 1u);
    const double u = (1.0 / kM1) * last;
    return u < 1.0 - 1.2e-7 ? u : 1.0 - 1.2e-7;
  }

 private:
  CUMARL_HD void step1() { s1 = static_cast<std::uint32_t>(40014ull * s1 % kM1); }
};

/// Logit duopoly of section II.A of the paper. The defaults are the package's baseline, whose
/// static Nash and joint-monopoly prices are inputs rounded to five decimals; units: price index.
struct ExactDemand {
  double a[kExactFirms] = {2.0, 2.0};  // product quality
  double c[kExactFirms] = {1.0, 1.0};  // marginal cost
  double a0 = 0.0;                     // outside good
  double mu = 0.25;                    // differentiation, > 0
  // The grid overshoots [nash_price, monopoly_price] by these shares of its width, below and above.
  // A negative xi[0] makes cost * (1 + xi[0]) the lowest price instead.
  double xi[2] = {0.1, 0.1};
  double nash_price[kExactFirms] = {1.47293, 1.47293};
  double monopoly_price[kExactFirms] = {1.92498, 1.92498};
};

/// Learning parameters; the defaults are the package's baseline.
struct ExactLearning {
  double alpha = 0.15;                     // learning rate
  double beta = 0.1 / 25000;               // exploration decay: epsilon(t) = exp(-beta t)
  double delta = 0.95;                     // discount factor, in [0, 1)
  std::uint32_t window = 100000;           // periods with unchanged strategies that end a session
  std::uint64_t max_periods = 1250000000;  // cap, window included
};

/// Everything that a session reads; trivially copyable.
struct ExactMarket {
  double profit[kExactStates][kExactFirms];  // by joint action; profit per period
  double price[kExactFirms][kExactPrices];   // grid; price index
  double nash_profit[kExactFirms];           // at the Nash prices given, off the grid
  double monopoly_profit[kExactFirms];       // at the joint-monopoly prices given, off the grid
  double alpha, delta, epsilon_decay;        // epsilon_decay = exp(-beta)
  std::uint32_t window;
  std::uint64_t max_periods;
};

/// One session's tables (62,144 B), given by the caller, one per session in flight. Contents on
/// entry do not matter. Rows of q are padded to 16 (128 B) with -infinity, which no maximum picks.
struct alignas(64) ExactWorkspace {
  double q[kExactStates][kExactFirms][kExactPrices + 1];
  double max_q[kExactStates][kExactFirms];
  std::uint8_t greedy[kExactStates][kExactFirms];  // prices of max_q
  std::uint8_t stored[kExactStates][kExactFirms];  // those last seen by the stability counter
};

/// Outcome of one session.
struct ExactSession {
  std::uint8_t converged;                            // 0: stopped by the cap
  std::uint8_t strategy[kExactFirms][kExactStates];  // final prices by state
  std::uint16_t last_state;                          // state in which the session stopped
  std::uint16_t cycle_length;                        // 1..225
  std::uint16_t cycle_state[kExactMaxCycle];         // in time order; zeros beyond
  std::uint64_t periods;                             // all periods played
  std::uint64_t ttc;  // time to convergence in periods: without the window (all, if not converged)
};

/// Profits of both firms at prices p[0..1]. Host only: uses the C library's exp.
inline void exact_logit_profit(const ExactDemand& d, const double* p, double* profit) {
  const double e[kExactFirms] = {std::exp((d.a[0] - p[0]) / d.mu),
                                 std::exp((d.a[1] - p[1]) / d.mu)};
  const double all = e[0] + e[1] + std::exp(d.a0 / d.mu);
  for (int i = 0; i < kExactFirms; ++i) profit[i] = (p[i] - d.c[i]) * (e[i] / all);
}

/// Tabulates a market in double. Host only.
/// Pre: mu > 0, monopoly_price > nash_price, delta < 1 (checked by the caller).
inline ExactMarket make_exact_market(const ExactDemand& d = {}, const ExactLearning& l = {}) {
  ExactMarket m{};
  for (int i = 0; i < kExactFirms; ++i) {
    const double width = d.monopoly_price[i] - d.nash_price[i];
    const double low = d.xi[0] < 0 ? d.c[i] + d.xi[0] * d.c[i] : d.nash_price[i] - d.xi[0] * width;
    const double high = d.monopoly_price[i] + d.xi[1] * width;
    const double gap = (high - low) / (kExactPrices - 1);
    m.price[i][0] = low;
    for (int p = 1; p < kExactPrices - 1; ++p) m.price[i][p] = m.price[i][p - 1] + gap;
    m.price[i][kExactPrices - 1] = high;
  }
  for (int s = 0; s < kExactStates; ++s) {
    const double p[kExactFirms] = {m.price[0][s / kExactPrices], m.price[1][s % kExactPrices]};
    exact_logit_profit(d, p, m.profit[s]);
  }
  exact_logit_profit(d, d.nash_price, m.nash_profit);
  exact_logit_profit(d, d.monopoly_price, m.monopoly_profit);
  m.alpha = l.alpha;
  m.delta = l.delta;
  m.epsilon_decay = std::exp(-l.beta);
  m.window = l.window;
  m.max_periods = l.max_periods;
  return m;
}

/// Initial states of sessions 1..n, into state[0..n-1]: one stream, seeded -1, for all of them.
/// Being sequential, it is drawn once for the whole experiment.
CUMARL_HD inline void draw_exact_initial_states(int n, std::uint32_t* state) {
  Ran2 draw(1);
  for (int i = 0; i < n; ++i) {
    const auto p0 = static_cast<std::uint32_t>(kExactPrices * draw());
    const auto p1 = static_cast<std::uint32_t>(kExactPrices * draw());
    state[i] = kExactPrices * p0 + p1;
  }
}

namespace exact_detail {

CUMARL_HD inline int lowest_bit(std::uint32_t mask) {  // Pre: mask != 0
#ifdef __CUDA_ARCH__
  return __ffs(static_cast<int>(mask)) - 1;
#else
  return __builtin_ctz(mask);
#endif
}

// Recomputes a row's maximum and its price. Entries within 2^-52 (absolute) of the maximum tie;
// ties are broken by one draw, and without a tie nothing is drawn.
CUMARL_HD inline void arg_max(const double* row, Ran2& ties, double& max_q, std::uint8_t& greedy) {
  double m[4] = {row[0], row[1], row[2], row[3]};  // four chains, not one, for the latency
  for (int p = 4; p < kExactPrices + 1; p += 4)
    for (int j = 0; j < 4; ++j) m[j] = row[p + j] > m[j] ? row[p + j] : m[j];
  const double low = m[0] > m[1] ? m[0] : m[1], high = m[2] > m[3] ? m[2] : m[3];
  const double best = low > high ? low : high;
  max_q = best;
  std::uint32_t tied = 0;  // bit p: price p ties for the maximum
  for (int p = kExactPrices - 1; p >= 0; --p) tied = 2 * tied + (best - row[p] <= 0x1p-52 ? 1 : 0);
  if ((tied & (tied - 1)) != 0) {
    int count = 0;
    for (std::uint32_t rest = tied; rest != 0; rest &= rest - 1) ++count;
    for (int skip = static_cast<int>(count * ties()); skip > 0; --skip) tied &= tied - 1;
  }
  greedy = static_cast<std::uint8_t>(lowest_bit(tied));
}

// Type O tables: what a price earns for ever against a rival that draws its price uniformly.
CUMARL_HD inline void init_tables(const ExactMarket& m, ExactWorkspace& w, Ran2& ties) {
  for (int i = 0; i < kExactFirms; ++i) {
    double q0[kExactPrices];
    for (int p = 0; p < kExactPrices; ++p) {
      double sum = 0.0;
      for (int r = 0; r < kExactPrices; ++r)
        sum += m.profit[i == 0 ? kExactPrices * p + r : kExactPrices * r + p][i];
      q0[p] = sum / (kExactPrices * (1.0 - m.delta));
    }
    for (int s = 0; s < kExactStates; ++s) {
      for (int p = 0; p < kExactPrices; ++p) w.q[s][i][p] = q0[p];
      w.q[s][i][kExactPrices] = -HUGE_VAL;
      arg_max(w.q[s][i], ties, w.max_q[s][i], w.greedy[s][i]);
      w.stored[s][i] = w.greedy[s][i];
    }
  }
}

// Follows the final strategies from the last state into their limit cycle. The cycle is listed in
// time order and ends with the first state seen twice, as in the package.
CUMARL_HD inline void find_cycle(ExactSession& out) {
  std::uint32_t seen[(kExactStates + 31) / 32] = {};
  auto next = [&out](std::uint32_t s) -> std::uint32_t {
    return kExactPrices * out.strategy[0][s] + out.strategy[1][s];
  };
  std::uint32_t s = next(out.last_state);
  for (; (seen[s / 32] >> (s % 32) & 1u) == 0; s = next(s)) seen[s / 32] |= 1u << (s % 32);
  const std::uint32_t last = s;
  int n = 0;
  do {
    s = next(s);
    if (n < kExactMaxCycle) out.cycle_state[n] = static_cast<std::uint16_t>(s);
    ++n;
  } while (s != last);
  for (int i = n; i < kExactMaxCycle; ++i) out.cycle_state[i] = 0;
  out.cycle_length = static_cast<std::uint16_t>(n);
}

}  // namespace exact_detail

/// Runs one session to convergence or to the cap: the package's session of that number.
/// `initial_state` is state[session - 1] of draw_exact_initial_states.
/// Pre: initial_state < 225, session >= 1. Sessions are independent; one thread runs one session.
CUMARL_HD inline void run_exact_session(const ExactMarket& m, ExactWorkspace& w,
                                        std::uint32_t initial_state, int session,
                                        ExactSession& out) {
  Ran2 explore(static_cast<std::uint32_t>(session)), ties(static_cast<std::uint32_t>(session));
  exact_detail::init_tables(m, w, ties);

  std::uint32_t state = initial_state, stable = 0;
  std::uint64_t t = 0;
  double epsilon = 1.0;  // both firms' epsilons have the same history
  while (true) {
    ++t;
    const double u[kExactFirms] = {explore(), explore()};
    const double v[kExactFirms] = {explore(), explore()};
    std::uint32_t price[kExactFirms];
    for (int i = 0; i < kExactFirms; ++i)
      price[i] =
          u[i] <= epsilon ? static_cast<std::uint32_t>(kExactPrices * v[i]) : w.greedy[state][i];
    epsilon *= m.epsilon_decay;
    const std::uint32_t next = kExactPrices * price[0] + price[1];

    bool same = true;
    for (int i = 0; i < kExactFirms; ++i) {
      double& q = w.q[state][i][price[i]];
      double& max_q = w.max_q[state][i];
      std::uint8_t& greedy = w.greedy[state][i];
      const double updated = q + m.alpha * (m.profit[next][i] + m.delta * w.max_q[next][i] - q);
      q = updated;
      if (updated > max_q) {
        max_q = updated;
        greedy = static_cast<std::uint8_t>(price[i]);
      } else if (updated < max_q && greedy == price[i]) {
        exact_detail::arg_max(w.q[state][i], ties, max_q, greedy);
      }
      same = same && greedy == w.stored[state][i];
    }
    stable = same ? stable + 1 : 1;
    if (stable >= m.window || t >= m.max_periods) break;
    for (int i = 0; i < kExactFirms; ++i) w.stored[state][i] = w.greedy[state][i];
    state = next;
  }

  out.converged = stable >= m.window;
  out.periods = t;
  out.ttc = out.converged ? t - m.window : t;
  out.last_state = static_cast<std::uint16_t>(state);
  for (int s = 0; s < kExactStates; ++s)
    for (int i = 0; i < kExactFirms; ++i) out.strategy[i][s] = w.stored[s][i];
  exact_detail::find_cycle(out);
}

}  // namespace cumarl::inline CUMARL_VARIANT
