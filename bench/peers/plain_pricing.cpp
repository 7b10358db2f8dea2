/// \file
/// The pricing duopoly with learning in plain double C++, as a careful engineer writes it for one
/// machine: one session after the other on each thread, no vector code by hand. For
/// bench/peers/compare.py, not a part of the library.
///
/// usage: plain_pricing SESSIONS PERIODS THREADS SECONDS. Prints {"ready", "versions"}, then reads
/// lines from standard input; for each it plays all sessions, again until SECONDS have passed, and
/// prints {"joint_steps", "seconds", "cpu_seconds"}.
///
/// Source: Calvano, Calzolari, Denicolo, Pastorello, American Economic Review 110, 2020, baseline:
/// two firms, 15 prices, memory 1, alpha .15, delta .95, beta 4e-6. As in their program the best
/// value of every row is kept, and a row is searched again only when its best value falls.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kPrices = 15;
constexpr int kStates = kPrices * kPrices;
using Matrix = std::array<std::array<double, kPrices>, kPrices>;

/// A firm's values of one state, two cache lines: its best value stands behind them.
struct alignas(64) Row {
  std::array<double, kPrices> q;
  double best;
};

struct Firm {
  std::array<Row, kStates> rows;
  std::array<int, kStates> greedy;
};

/// Profit of a firm by own price and rival's price; the firms are alike.
Matrix make_profits() {
  const double nash = 1.47293, monopoly = 1.92498, xi = 0.1, mu = 0.25, quality = 2, cost = 1;
  const double low = nash - xi * (monopoly - nash), high = monopoly + xi * (monopoly - nash);
  Matrix profit{};
  for (size_t own = 0; own < kPrices; ++own) {
    for (size_t rival = 0; rival < kPrices; ++rival) {
      const double p = low + (high - low) * static_cast<double>(own) / (kPrices - 1);
      const double r = low + (high - low) * static_cast<double>(rival) / (kPrices - 1);
      const double mine = std::exp((quality - p) / mu), other = std::exp((quality - r) / mu);
      profit[own][rival] = (p - cost) * mine / (mine + other + 1);
    }
  }
  return profit;
}

/// splitmix64 (Steele, Lea, Flood 2014): 64 random bits of a counter.
uint64_t draw(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void search(Firm& firm, size_t state) {
  Row& row = firm.rows[state];
  double best = row.q[0];
  for (size_t a = 1; a < kPrices; ++a) best = std::max(best, row.q[a]);
  int where = 0;
  for (int a = kPrices - 1; a >= 0; --a) where = row.q[static_cast<size_t>(a)] == best ? a : where;
  firm.greedy[state] = where;
  row.best = best;
}

/// One session of `periods`; returns the last period in which a strategy changed, so that nothing
/// of it can be left out.
long session(const Matrix& profit, uint64_t seed, long periods) {
  uint64_t random = seed << 32;
  std::array<Firm, 2> firms;
  for (Firm& firm : firms) {
    for (size_t s = 0; s < kStates; ++s) {
      for (size_t a = 0; a < kPrices; ++a) {
        double sum = 0;
        for (const double one : profit[a]) sum += one;
        firm.rows[s].q[a] = sum / kPrices / (1 - 0.95);
      }
      search(firm, s);
    }
  }
  auto state = static_cast<size_t>(draw(random) % kStates);
  double epsilon =
      std::ldexp(1.0, 32);  // in units of 2^-32: compared with the upper half of a draw
  const double decay = std::exp(-4e-6);
  long changed = 0;
  for (long t = 0; t < periods; ++t) {
    std::array<int, 2> action{};
    for (size_t i = 0; i < 2; ++i) {
      const uint64_t bits = draw(random);
      action[i] = static_cast<double>(bits >> 32) < epsilon
                      ? static_cast<int>(((bits & 0xffffffff) * kPrices) >> 32)
                      : firms[i].greedy[state];
    }
    epsilon *= decay;
    const auto next = static_cast<size_t>(action[0] * kPrices + action[1]);
    for (size_t i = 0; i < 2; ++i) {
      Firm& firm = firms[i];
      const auto own = static_cast<size_t>(action[i]), rival = static_cast<size_t>(action[1 - i]);
      Row& row = firm.rows[state];
      const double old = row.q[own];
      const double value = old + 0.15 * (profit[own][rival] + 0.95 * firm.rows[next].best - old);
      row.q[own] = value;
      const int before = firm.greedy[state];
      if (value > row.best) {
        row.best = value;
        firm.greedy[state] = action[i];
      } else if (before == action[i] && value < row.best) {
        search(firm, state);
      }
      if (firm.greedy[state] != before) changed = t;
    }
    state = next;
  }
  return changed;
}

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

}  // namespace

int main(int count, char** arguments) {
  const long sessions = count == 5 ? std::atol(arguments[1]) : 0;
  const long periods = count == 5 ? std::atol(arguments[2]) : 0;
  const long threads = count == 5 ? std::atol(arguments[3]) : 0;
  const double seconds = count == 5 ? std::atof(arguments[4]) : 0;
  if (sessions < 1 || periods < 1 || threads < 1 || seconds <= 0) {
    std::fprintf(stderr, "usage: plain_pricing SESSIONS PERIODS THREADS SECONDS, all above 0\n");
    return 2;
  }
  const Matrix profit = make_profits();
  std::vector<long> changed(static_cast<size_t>(sessions));
  uint64_t seed = 0;
  std::printf("{\"ready\": \"plain double C++\", \"versions\": {\"compiler\": \"%s\"}}\n",
              __VERSION__);
  std::fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto begin = std::chrono::steady_clock::now();
    const double used = cpu_seconds();
    std::chrono::duration<double> time{};
    long steps = 0;
    do {
      std::vector<std::jthread> workers;
      for (long w = 0; w < threads; ++w) {
        workers.emplace_back([&, w] {
          for (long s = w; s < sessions; s += threads) {
            changed[static_cast<size_t>(s)] =
                session(profit, seed + static_cast<uint64_t>(s) + 1, periods);
          }
        });
      }
      workers.clear();  // joins them
      seed += static_cast<uint64_t>(sessions);
      steps += sessions * periods;
      time = std::chrono::steady_clock::now() - begin;
    } while (time.count() < seconds);
    long sum = 0;
    for (const long c : changed) sum += c;
    std::printf("{\"joint_steps\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"sum\": %ld}\n",
                steps, time.count(), cpu_seconds() - used, sum);
    std::fflush(stdout);
  }
  return 0;
}
