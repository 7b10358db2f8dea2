/// \file
/// The pricing duopoly with learning as one would write it first: plain double loops, one session
/// after the other. For bench/peers/compare.py, not a part of the library.
///
/// usage: plain_pricing SESSIONS PERIODS THREADS. Reads lines from standard input; for each it plays
/// all sessions and prints {"joint_steps", "seconds", "cpu_seconds"}.
///
/// Source: Calvano, Calzolari, Denicolo, Pastorello, American Economic Review 110, 2020, baseline:
/// two firms, 15 prices, memory 1, alpha .15, delta .95, beta 4e-6.
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kPrices = 15;
constexpr int kStates = kPrices * kPrices;
using Rows = std::vector<std::array<double, kPrices>>;

struct Game {
  double profit[2][kPrices][kPrices];  ///< [firm][own price][rival's price]
};

Game make_game() {
  const double nash = 1.47293, monopoly = 1.92498, xi = 0.1, mu = 0.25, quality = 2, cost = 1;
  const double low = nash - xi * (monopoly - nash), high = monopoly + xi * (monopoly - nash);
  Game game{};
  for (int own = 0; own < kPrices; ++own) {
    for (int rival = 0; rival < kPrices; ++rival) {
      const double p = low + (high - low) * own / (kPrices - 1);
      const double r = low + (high - low) * rival / (kPrices - 1);
      const double mine = std::exp((quality - p) / mu), other = std::exp((quality - r) / mu);
      const double profit = (p - cost) * mine / (mine + other + 1);
      game.profit[0][own][rival] = game.profit[1][own][rival] = profit;
    }
  }
  return game;
}

int best(const std::array<double, kPrices>& row) {
  int at = 0;
  for (int a = 1; a < kPrices; ++a) {
    if (row[static_cast<size_t>(a)] > row[static_cast<size_t>(at)]) at = a;
  }
  return at;
}

/// One session of `periods`; returns the last period in which a strategy changed, so that nothing
/// of it can be left out.
long session(const Game& game, unsigned seed, long periods) {
  std::mt19937_64 rng(seed);
  std::uniform_real_distribution<double> unit(0, 1);
  std::array<Rows, 2> q{Rows(kStates), Rows(kStates)};
  for (int i = 0; i < 2; ++i) {
    for (auto& row : q[static_cast<size_t>(i)]) {
      for (int a = 0; a < kPrices; ++a) {
        double sum = 0;
        for (int rival = 0; rival < kPrices; ++rival) sum += game.profit[i][a][rival];
        row[static_cast<size_t>(a)] = sum / kPrices / (1 - 0.95);
      }
    }
  }
  size_t state = rng() % kStates;
  double epsilon = 1;
  long changed = 0;
  const double decay = std::exp(-4e-6);
  for (long t = 0; t < periods; ++t) {
    int action[2];
    for (int i = 0; i < 2; ++i) {
      action[i] = unit(rng) < epsilon ? static_cast<int>(unit(rng) * kPrices)
                                      : best(q[static_cast<size_t>(i)][state]);
    }
    epsilon *= decay;
    const auto next = static_cast<size_t>(action[0] * kPrices + action[1]);
    for (int i = 0; i < 2; ++i) {
      Rows& rows = q[static_cast<size_t>(i)];
      const int before = best(rows[state]);
      const double later = rows[next][static_cast<size_t>(best(rows[next]))];
      double& value = rows[state][static_cast<size_t>(action[i])];
      value += 0.15 * (game.profit[i][action[i]][action[1 - i]] + 0.95 * later - value);
      if (best(rows[state]) != before) changed = t;
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
  const long sessions = count == 4 ? std::atol(arguments[1]) : 0;
  const long periods = count == 4 ? std::atol(arguments[2]) : 0;
  const long threads = count == 4 ? std::atol(arguments[3]) : 0;
  if (sessions < 1 || periods < 1 || threads < 1) {
    std::fprintf(stderr, "usage: plain_pricing SESSIONS PERIODS THREADS, all above 0\n");
    return 2;
  }
  const Game game = make_game();
  std::vector<long> changed(static_cast<size_t>(sessions));
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto begin = std::chrono::steady_clock::now();
    const double used = cpu_seconds();
    {
      std::vector<std::jthread> workers;
      for (long w = 0; w < threads; ++w) {
        workers.emplace_back([&, w] {
          for (long s = w; s < sessions; s += threads) {
            changed[static_cast<size_t>(s)] = session(game, static_cast<unsigned>(s + 1), periods);
          }
        });
      }
    }
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    long sum = 0;
    for (const long c : changed) sum += c;
    std::printf("{\"joint_steps\": %ld, \"seconds\": %.6f, \"cpu_seconds\": %.6f, \"sum\": %ld}\n",
                sessions * periods, time.count(), cpu_seconds() - used, sum);
    std::fflush(stdout);
  }
  return 0;
}
