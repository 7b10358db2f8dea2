/// Level-based foraging: the rules by hand, figures of random play, symmetries, spawning, errors.
/// tests/oracle/lbf_oracle.py compares every transition with the Python package.
#include "envs/lbf.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace {

using namespace cumarl;

enum { kNone, kNorth, kSouth, kWest, kEast, kLoad };

/// The state as named lists.
struct Words {
  std::vector<int64_t> players, foods, step{0}, spawned{}, messages{};
  bool operator==(const Words&) const = default;
};

class Reader : public StateVisitor {
 public:
  void operator()(const char* key, int64_t* values, int count) override {
    at(key).assign(values, values + count);
  }
  std::vector<int64_t>& at(const std::string& key) {
    if (key == "players") return words.players;
    if (key == "foods") return words.foods;
    if (key == "step") return words.step;
    if (key == "messages") return words.messages;
    EXPECT_EQ(key, "spawned");
    return words.spawned;
  }
  Words words;
};

class Writer : public Reader {
 public:
  explicit Writer(const Words& w) { words = w; }
  void operator()(const char* key, int64_t* values, int count) override {
    ASSERT_EQ(at(key).size(), static_cast<size_t>(count)) << key;
    std::copy(at(key).begin(), at(key).end(), values);
  }
};

/// A game with its memory.
struct Game {
  explicit Game(const Lbf::Config& c) : params(Lbf::make(c, arena)) {}

  Words words() {
    Reader reader;
    Lbf::state_fields(reader, params, state);
    return reader.words;
  }
  void set(const Words& words) {
    Writer writer(words);
    Lbf::state_fields(writer, params, state);
  }
  /// Foods not named are gone; `spawned` is the sum of those named unless given.
  void set(std::vector<int64_t> players, std::vector<int64_t> foods, int64_t spawned = 0) {
    Words words{std::move(players), std::move(foods), {0}, {spawned}};
    if (params.messages > 1) words.messages.resize(params.agents);
    for (size_t i = 2; spawned == 0 && i < words.foods.size(); i += 3) {
      words.spawned[0] += words.foods[i];
    }
    while (words.foods.size() < 3 * params.foods) {
      words.foods.insert(words.foods.end(), {-1, -1, 0});
    }
    set(words);
  }
  void reset(uint64_t run) {
    Rng rng({1, run}, 0, Stream::reset);
    Lbf::reset(params, state, rng);
  }
  Episode step(std::vector<int> actions) {
    EXPECT_EQ(actions.size(), params.agents);
    actions.resize(Lbf::kMaxAgents);
    rewards.assign(Lbf::kMaxAgents, -9.0F);
    Rng rng({1, 0}, 0, Stream::dynamics);
    const Episode episode = Lbf::step(params, state, actions.data(), rewards.data(), rng);
    rewards.resize(params.agents);
    return episode;
  }
  /// Positions of the agents after a joint action.
  std::vector<int64_t> moved(const std::vector<int>& actions) {
    step(actions);
    const Words now = words();
    std::vector<int64_t> cells;
    for (size_t i = 0; i < now.players.size(); ++i) {
      if (i % 3 != 2) cells.push_back(now.players[i]);
    }
    return cells;
  }
  std::vector<float> features(int agent) {
    std::vector<float> out(static_cast<size_t>(Lbf::features(params, agent)));
    Lbf::observe(params, state, agent, out.data());
    return out;
  }
  uint32_t index(int agent) { return Lbf::observe_index(params, state, agent); }

  HostArena arena;
  Lbf::Params params;
  Lbf::State state{};
  std::vector<float> rewards;
};

Lbf::Config config(int rows, int cols, int players, int foods) {
  Lbf::Config c;
  c.size = {rows, cols};
  c.players = players;
  c.foods = foods;
  return c;
}

using Cells = std::vector<int64_t>;
using Rewards = std::vector<float>;

TEST(Lbf, LoadingPaysByLevel) {
  Game game(config(5, 5, 2, 1));
  game.set({2, 1, 2, 2, 3, 2}, {2, 2, 2});
  EXPECT_EQ(game.step({kLoad, kLoad}), Episode::ended);
  EXPECT_EQ(game.rewards, (Rewards{0.5F, 0.5F}));

  game.set({2, 1, 2, 2, 3, 2}, {2, 2, 2});
  EXPECT_EQ(game.step({kLoad, kNone}), Episode::ended);
  EXPECT_EQ(game.rewards, (Rewards{1.0F, 0.0F}));
  EXPECT_EQ(game.words().foods, (Cells{-1, -1, 0}));

  game.set({1, 2, 2, 3, 2, 1}, {2, 2, 3});
  EXPECT_EQ(game.step({kLoad, kLoad}), Episode::ended);
  EXPECT_EQ(game.rewards, (Rewards{2.0F / 3.0F, 1.0F / 3.0F}));

  game.set({1, 2, 2, 3, 2, 1}, {2, 2, 3});
  EXPECT_EQ(game.step({kLoad, kNone}), Episode::goes_on);
  EXPECT_EQ(game.rewards, (Rewards{0.0F, 0.0F}));
  EXPECT_EQ(game.words().foods, (Cells{2, 2, 3}));
}

TEST(Lbf, RewardsCountAllFoodSpawned) {
  Game game(config(8, 8, 2, 3));
  game.set({2, 1, 2, 5, 3, 1}, {2, 2, 2, 6, 6, 4, 5, 4, 1});
  EXPECT_EQ(game.words().foods, (Cells{2, 2, 2, 5, 4, 1, 6, 6, 4})) << "row by row";
  EXPECT_EQ(game.step({kLoad, kLoad}), Episode::goes_on);  // each a food of its own
  EXPECT_EQ(game.rewards, (Rewards{2.0F / 7.0F, 1.0F / 7.0F}));
  EXPECT_EQ(game.words().foods, (Cells{6, 6, 4, -1, -1, 0, -1, -1, 0}));
  EXPECT_EQ(game.words().spawned, Cells{7});
}

TEST(Lbf, RawRewardsAndPenalty) {
  Lbf::Config c = config(5, 5, 3, 1);
  c.normalize_reward = false;
  c.penalty = 0.1;
  Game game(c);
  game.set({1, 2, 2, 3, 2, 1, 0, 0, 2}, {2, 2, 4});
  game.step({kLoad, kLoad, kLoad});  // the third is beside no food: "none", no penalty
  EXPECT_EQ(game.rewards, (Rewards{-0.1F, -0.1F, 0.0F}));
  game.set({1, 2, 2, 3, 2, 1, 0, 0, 2}, {2, 2, 3});
  game.step({kLoad, kLoad, kNone});
  EXPECT_EQ(game.rewards, (Rewards{6.0F, 3.0F, 0.0F}));
}

TEST(Lbf, OnlyLoadersBesideTheFoodCount) {
  Game game(config(5, 5, 3, 1));
  // The second walks up to the food in this very step, the third stands diagonally.
  game.set({1, 2, 2, 4, 2, 2, 1, 1, 2}, {2, 2, 4});
  EXPECT_EQ(game.moved({kLoad, kNorth, kLoad}), (Cells{1, 2, 3, 2, 1, 1}));
  EXPECT_EQ(game.rewards, (Rewards{0.0F, 0.0F, 0.0F}));
  EXPECT_EQ(game.step({kLoad, kLoad, kLoad}), Episode::ended);
  EXPECT_EQ(game.rewards, (Rewards{0.5F, 0.5F, 0.0F}));
}

TEST(Lbf, WallsAndFoodsStopMoves) {
  for (int rows : {3, 9, 15}) {
    for (int cols : {3, 8, 15}) {
      Game game(config(rows, cols, 1, 1));
      const int64_t south = rows - 1, east = cols - 1;
      game.set({0, 0, 1}, {1, 1, 1});
      EXPECT_EQ(game.moved({kNorth}), (Cells{0, 0}));
      EXPECT_EQ(game.moved({kWest}), (Cells{0, 0}));
      EXPECT_EQ(game.moved({kLoad}), (Cells{0, 0}));
      game.set({south, east, 1}, {1, 1, 1});
      EXPECT_EQ(game.moved({kSouth}), (Cells{south, east}));
      EXPECT_EQ(game.moved({kEast}), (Cells{south, east}));
      EXPECT_EQ(game.moved({kNorth}), (Cells{south - 1, east}));
      EXPECT_EQ(game.moved({kSouth}), (Cells{south, east}));
      EXPECT_EQ(game.moved({kWest}), (Cells{south, east - 1}));
      EXPECT_EQ(game.moved({kEast}), (Cells{south, east}));
      game.set({0, 1, 1}, {1, 1, 1});
      EXPECT_EQ(game.moved({kSouth}), (Cells{0, 1})) << "food in the way";
      game.set({1, 2, 1}, {1, 1, 1});
      EXPECT_EQ(game.moved({kWest}), (Cells{1, 2})) << "food in the way";
    }
  }
}

TEST(Lbf, AgentsSwapFollowAndCollide) {
  Game game(config(8, 8, 3, 1));
  const auto play = [&](const Cells& cells, const std::vector<int>& actions) {
    game.set({cells[0], cells[1], 1, cells[2], cells[3], 1, cells[4], cells[5], 1}, {6, 6, 1});
    return game.moved(actions);
  };
  EXPECT_EQ(play({1, 1, 1, 2, 5, 5}, {kEast, kWest, kNone}), (Cells{1, 2, 1, 1, 5, 5})) << "swap";
  EXPECT_EQ(play({1, 1, 1, 2, 1, 3}, {kEast, kEast, kEast}), (Cells{1, 2, 1, 3, 1, 4})) << "follow";
  EXPECT_EQ(play({1, 1, 1, 3, 5, 5}, {kEast, kWest, kNone}), (Cells{1, 1, 1, 3, 5, 5}))
      << "two movers into one cell";
  EXPECT_EQ(play({1, 1, 1, 3, 2, 2}, {kEast, kWest, kNorth}), (Cells{1, 1, 1, 3, 2, 2}))
      << "three movers into one cell";
  EXPECT_EQ(play({1, 1, 1, 2, 5, 5}, {kEast, kNone, kNone}), (Cells{1, 1, 1, 2, 5, 5}))
      << "into one that stays";
  EXPECT_EQ(play({0, 1, 0, 2, 5, 5}, {kEast, kNorth, kNone}), (Cells{0, 1, 0, 2, 5, 5}))
      << "into one whose move is invalid";
  EXPECT_EQ(play({6, 4, 6, 5, 5, 5}, {kEast, kLoad, kNone}), (Cells{6, 4, 6, 5, 5, 5}))
      << "into a loader";
  // The first two want (1, 2) and stay; the third runs over the first.
  EXPECT_EQ(play({1, 1, 1, 3, 2, 1}, {kEast, kWest, kNorth}), (Cells{1, 1, 1, 3, 1, 1}));
  // Both in one cell: staying keeps them there, and each may leave.
  EXPECT_EQ(game.moved({kNone, kNone, kNone}), (Cells{1, 1, 1, 3, 1, 1}));
  EXPECT_EQ(game.moved({kWest, kNone, kSouth}), (Cells{1, 0, 1, 3, 2, 1}));
}

TEST(Lbf, EndsAtTheStepLimit) {
  Lbf::Config c = config(5, 5, 2, 1);
  c.max_steps = 3;
  Game game(c);
  game.set({0, 0, 1, 4, 4, 1}, {2, 2, 2});
  EXPECT_EQ(game.step({kNone, kNone}), Episode::goes_on);
  EXPECT_EQ(game.step({kNone, kNone}), Episode::goes_on);
  EXPECT_EQ(game.step({kNone, kNone}), Episode::ended);
  EXPECT_EQ(game.words().step, Cells{3});
  c.max_steps = 65535;
  Game longest(c);
  Words last = game.words();
  last.step = {65533};
  longest.set(last);
  EXPECT_EQ(longest.step({kNone, kEast}), Episode::goes_on);
  EXPECT_EQ(longest.step({kNone, kNone}), Episode::ended);
}

/// A random state that play reaches: a reset and a few joint steps.
void wander(Game& game, uint64_t run) {
  game.reset(run);
  Rng rng({2, run}, 0, Stream::explore);
  for (uint32_t left = rng.below(30); left > 0; --left) {
    const Lbf::State before = game.state;
    std::vector<int> actions;
    for (uint32_t i = 0; i < game.params.agents; ++i) {
      actions.push_back(static_cast<int>(rng.below(6)));
    }
    if (game.step(actions) == Episode::ended) {
      game.state = before;
      return;
    }
  }
}

std::vector<int> random_actions(int agents, uint64_t run) {
  Rng rng({3, run}, 0, Stream::explore);
  std::vector<int> actions;
  // Loading is half of it, so that it happens.
  for (int i = 0; i < agents; ++i) {
    actions.push_back(rng.below(2) == 0 ? kLoad : static_cast<int>(rng.below(6)));
  }
  return actions;
}

/// Applies `cell` to all positions of a state.
template <class F>
Words mapped(Words words, F cell) {
  for (auto* list : {&words.players, &words.foods}) {
    for (size_t i = 0; i < list->size(); i += 3) {
      if ((*list)[i] >= 0) cell((*list)[i], (*list)[i + 1]);
    }
  }
  return words;
}

TEST(Lbf, MirrorsAndTransposes) {
  struct Symmetry {
    std::array<int, 6> action;
    void (*cell)(int64_t&, int64_t&);
  };
  const Symmetry symmetries[] = {
      {{0, 2, 1, 3, 4, 5}, [](int64_t& y, int64_t&) { y = 8 - y; }},
      {{0, 1, 2, 4, 3, 5}, [](int64_t&, int64_t& x) { x = 8 - x; }},
      {{0, 3, 4, 1, 2, 5}, [](int64_t& y, int64_t& x) { std::swap(y, x); }},
  };
  for (int agents = 1; agents <= Lbf::kMaxAgents; ++agents) {
    Lbf::Config c = config(9, 9, agents, 4);
    c.penalty = 0.5;
    c.min_food_level = 1;
    c.max_food_level = 3;
    Game a(c), b(c);
    int paid = 0;
    for (uint64_t run = 0; run < 3000; ++run) {
      wander(a, run);
      const Words before = a.words();
      const std::vector<int> actions = random_actions(agents, run);
      const Episode outcome = a.step(actions);
      const Words after = a.words();
      paid += std::any_of(a.rewards.begin(), a.rewards.end(), [](float r) { return r != 0.0F; });
      for (const Symmetry& s : symmetries) {
        b.set(mapped(before, s.cell));
        std::vector<int> turned;
        for (int action : actions) turned.push_back(s.action[static_cast<size_t>(action)]);
        EXPECT_EQ(b.step(turned), outcome);
        EXPECT_EQ(b.rewards, a.rewards);
        const Words got = b.words();
        b.set(mapped(after, s.cell));  // sorts the foods
        EXPECT_EQ(got, b.words());
      }
      // Agents in reverse order: nothing depends on it.
      const auto reversed = [](Words words) {
        for (size_t i = 0, j = words.players.size() - 3; i < j; i += 3, j -= 3) {
          std::swap_ranges(words.players.begin() + static_cast<std::ptrdiff_t>(i),
                           words.players.begin() + static_cast<std::ptrdiff_t>(i) + 3,
                           words.players.begin() + static_cast<std::ptrdiff_t>(j));
        }
        return words;
      };
      b.set(reversed(before));
      b.step({actions.rbegin(), actions.rend()});
      EXPECT_EQ(b.words(), reversed(after));
      EXPECT_EQ(b.rewards, (Rewards{a.rewards.rbegin(), a.rewards.rend()}));
      if (HasFailure()) FAIL() << agents << " agents, run " << run;
    }
    EXPECT_GT(paid, 100);
  }
}

TEST(Lbf, IdleAgentsFarAwayChangeNothing) {
  Lbf::Config c = config(9, 5, 2, 1);
  c.max_food_level = 4;
  Game two(c);
  for (int agents = 3; agents <= Lbf::kMaxAgents; ++agents) {
    c.size = {15, 5};
    c.players = agents;
    Game more(c);
    for (uint64_t run = 0; run < 2000; ++run) {
      wander(two, run);
      Words before = two.words();
      for (int i = 2; i < agents; ++i) {
        before.players.insert(before.players.end(), {14, i - 2, 1});
      }
      more.set(before);
      std::vector<int> actions = random_actions(2, run);
      if (before.players[0] == 8 && actions[0] == kSouth) actions[0] = kNone;  // no wall there
      if (before.players[3] == 8 && actions[1] == kSouth) actions[1] = kNone;
      EXPECT_EQ(two.step(actions), [&] {
        std::vector<int> all = actions;
        all.resize(static_cast<size_t>(agents), kNone);
        return more.step(all);
      }());
      Words after = more.words();
      after.players.resize(6);
      EXPECT_EQ(after, two.words());
      more.rewards.resize(2);
      EXPECT_EQ(more.rewards, two.rewards);
      if (HasFailure()) FAIL() << agents << " agents, run " << run;
    }
  }
}

struct Figure {
  int side, foods;
  bool coop;
  double mean, error;
};

class LbfRandomPlay : public testing::TestWithParam<Figure> {};

/// Mean summed return of uniformly random play, against what the package gave.
TEST_P(LbfRandomPlay, ReturnIsThePackages) {
  const Figure figure = GetParam();
  Lbf::Config c = config(figure.side, figure.side, 2, figure.foods);
  c.coop = figure.coop;
  Game game(c);
  constexpr int kEpisodes = 100000;
  double sum = 0, squares = 0;
  for (uint64_t run = 0; run < kEpisodes; ++run) {
    game.reset(run);
    double total = 0;
    Episode episode = Episode::goes_on;
    for (uint64_t t = 1; episode == Episode::goes_on; ++t) {
      const Philox words = philox({1, run}, t, Stream::explore, 0);
      const int actions[Lbf::kMaxAgents] = {static_cast<int>(below(words.x0, 6)),
                                            static_cast<int>(below(words.x2, 6))};
      float rewards[Lbf::kMaxAgents] = {};
      Rng rng({1, run}, t, Stream::dynamics);
      episode = Lbf::step(game.params, game.state, actions, rewards, rng);
      total += static_cast<double>(rewards[0]) + static_cast<double>(rewards[1]);
    }
    EXPECT_LE(total, 1 + 1e-6);
    sum += total;
    squares += total * total;
  }
  const double mean = sum / kEpisodes;
  const double error = std::sqrt((squares / kEpisodes - mean * mean) / kEpisodes);
  EXPECT_NEAR(mean, figure.mean, 4 * std::hypot(error, figure.error));
  RecordProperty("mean", std::to_string(mean));
  RecordProperty("standard_error", std::to_string(error));
}

INSTANTIATE_TEST_SUITE_P(Figures, LbfRandomPlay,
                         testing::Values(Figure{5, 1, false, .461, .008},
                                         Figure{8, 1, false, .228, .007},
                                         Figure{8, 2, true, .0055, .0008},
                                         Figure{8, 3, false, .178, .003}));

/// Chi-squared statistic against equal shares, as standard normal deviate.
double deviate(const std::map<int64_t, int>& counts, size_t cells) {
  double n = 0, sum = 0;
  for (const auto& [cell, count] : counts) n += count;
  const double expected = n / static_cast<double>(cells);
  for (const auto& [cell, count] : counts) sum += (count - expected) * (count - expected);
  sum = sum / expected + expected * static_cast<double>(cells - counts.size());
  const double freedom = static_cast<double>(cells) - 1;
  return (sum - freedom) / std::sqrt(2 * freedom);
}

TEST(Lbf, SpawnRules) {
  struct Case {
    int rows, cols, players, foods, max_food;
    bool coop;
  };
  for (const Case k :
       {Case{8, 8, 2, 3, 0, false}, Case{5, 5, 4, 2, 0, true}, Case{6, 9, 6, 3, 2, false},
        Case{15, 15, 1, 8, 0, false}, Case{10, 7, 3, 4, 4, true}, Case{3, 3, 6, 1, 0, false}}) {
    Lbf::Config c = config(k.rows, k.cols, k.players, k.foods);
    c.max_food_level = k.max_food;
    c.coop = k.coop;
    Game game(c);
    int fewer = 0;
    for (uint64_t run = 0; run < 4000; ++run) {
      game.reset(run);
      const Words w = game.words();  // also checks that the state is a legal one
      EXPECT_EQ(w.step, Cells{0});
      std::vector<int64_t> levels;
      std::set<int64_t> cells;
      for (size_t i = 0; i < w.players.size(); i += 3) {
        cells.insert(w.players[i] * 16 + w.players[i + 1]);
        levels.push_back(w.players[i + 2]);
      }
      EXPECT_EQ(cells.size(), static_cast<size_t>(k.players)) << "agents share a cell";
      std::sort(levels.begin(), levels.end());
      int64_t highest = k.max_food;
      for (size_t i = 0; k.max_food == 0 && i < std::min<size_t>(3, levels.size()); ++i) {
        highest += levels[i];
      }
      int64_t sum = 0;
      for (size_t i = 0; i < w.foods.size(); i += 3) {
        const int64_t level = w.foods[i + 2];
        sum += level;
        fewer += level == 0;
        EXPECT_TRUE(level == 0 || (level <= highest && level >= (k.coop ? highest : 1)));
      }
      EXPECT_EQ(w.spawned, Cells{sum});
    }
    EXPECT_EQ(fewer == 0, k.rows >= 6) << "small grids can block their last food";
    if (HasFailure()) FAIL() << k.rows << "x" << k.cols;
  }
}

TEST(Lbf, SpawnsUniformly) {
  Game game(config(8, 8, 2, 3));
  std::map<int64_t, int> first, second, both, level_of_four, pair_levels;
  for (uint64_t run = 0; run < 200000; ++run) {
    game.reset(run);
    const Words w = game.words();
    ++first[w.players[0] * 8 + w.players[1]];
    ++second[w.players[3] * 8 + w.players[4]];
    ++both[(w.players[0] * 8 + w.players[1]) * 64 + w.players[3] * 8 + w.players[4]];
    ++pair_levels[w.players[2] * 2 + w.players[5]];
    if (w.players[2] + w.players[5] == 4) ++level_of_four[w.foods[2]];
  }
  EXPECT_LT(std::abs(deviate(first, 64)), 4);
  EXPECT_LT(std::abs(deviate(second, 64)), 4);
  EXPECT_LT(std::abs(deviate(both, 64 * 63)), 4);
  EXPECT_LT(std::abs(deviate(pair_levels, 4)), 4);
  EXPECT_LT(std::abs(deviate(level_of_four, 4)), 4);

  Game single(config(8, 7, 2, 1));
  std::map<int64_t, int> food;
  for (uint64_t run = 0; run < 100000; ++run) {
    single.reset(run);
    const Words w = single.words();
    ++food[w.foods[0] * 7 + w.foods[1]];
  }
  EXPECT_LT(std::abs(deviate(food, 6 * 5)), 4);
}

TEST(Lbf, ObservesFoodsSelfOthers) {
  Game game(config(8, 8, 3, 2));
  game.set({1, 0, 2, 7, 7, 1, 3, 4, 2}, {5, 6, 3});
  EXPECT_EQ(game.features(0), (Rewards{5, 6, 3, -1, -1, 0, 1, 0, 2, 7, 7, 1, 3, 4, 2}));
  EXPECT_EQ(game.features(1), (Rewards{5, 6, 3, -1, -1, 0, 7, 7, 1, 1, 0, 2, 3, 4, 2}));
  EXPECT_EQ(game.features(2), (Rewards{5, 6, 3, -1, -1, 0, 3, 4, 2, 1, 0, 2, 7, 7, 1}));
}

TEST(Lbf, SightHidesAndShifts) {
  Lbf::Config c = config(8, 8, 3, 2);
  c.sight = 2;
  Game game(c);
  // Agent 0 at (5, 4): its window starts at (3, 2). Food (5, 6) is at (2, 4) there, food (1, 1) and
  // agent 1 at (0, 0) are out of sight; agent 2 at (7, 6) is at (4, 4).
  game.set({5, 4, 2, 0, 0, 1, 7, 6, 1}, {5, 6, 3, 1, 1, 2});
  EXPECT_EQ(game.features(0), (Rewards{2, 4, 3, -1, -1, 0, 2, 2, 2, 4, 4, 1, -1, -1, 0}));
  // In the corner the window starts at the walls; agents show up to row 4 (2 * sight), foods only
  // up to row 2.
  game.set({4, 3, 2, 0, 0, 1, 5, 0, 1}, {3, 1, 3, 1, 2, 2});
  EXPECT_EQ(game.features(1), (Rewards{1, 2, 2, -1, -1, 0, 0, 0, 1, 4, 3, 2, -1, -1, 0}));
}

TEST(Lbf, TableIndexSaysWhatTheFeaturesSay) {
  struct Case {
    int rows, cols, players, foods, max_level, max_food, sight;
    bool coop;
    uint32_t size;
  };
  for (const Case k : {
           // own, other: cells * 2 levels; foods: 9 inner cells * 4 levels, or none
           Case{5, 5, 2, 1, 2, 0, 0, false, 50 * 50 * 37},
           // levels of foods follow from the agents'
           Case{8, 8, 2, 2, 2, 0, 0, true, 128 * 128 * (1 + 36 + 630)},
           Case{6, 5, 2, 1, 1, 1, 0, false, 30 * 30 * 13},
           // sight 1: own 2 * 2 cells, window 3 * 3; others can be hidden
           Case{8, 8, 3, 2, 1, 1, 1, false, 4 * 10 * 10 * (1 + 9 + 36)},
           Case{8, 8, 2, 2, 2, 0, 1, true, 8 * 19 * (1 + 27 + 351)},  // food levels 2 to 4
           Case{7, 4, 2, 2, 2, 0, 3, false, 32 * 57 * (1 + 112 + 6216)},
           Case{5, 5, 2, 2, 1, 2, 4, false, 25 * 25 * (1 + 18 + 153)},  // sees everything
           Case{8, 8, 2, 3, 2, 0, 0, false, 0},
       }) {
    Lbf::Config c = config(k.rows, k.cols, k.players, k.foods);
    c.max_player_level = k.max_level;
    c.max_food_level = k.max_food;
    c.sight = k.sight;
    c.coop = k.coop;
    Game game(c);
    EXPECT_EQ(Lbf::observations(game.params, 0), k.size);
    std::map<uint32_t, std::vector<float>> features;
    std::map<std::vector<float>, uint32_t> index;
    for (uint64_t run = 0; run < 20000; ++run) {
      wander(game, run);
      for (int agent = 0; agent < k.players; ++agent) {
        const uint32_t i = game.index(agent);
        if (k.size == 0) {
          EXPECT_EQ(i, 0U);
          continue;
        }
        // Hidden agents leave a gap at the end of the features but keep their digit in the index:
        // who is hidden is only told apart where two others exist.
        EXPECT_LT(i, k.size);
        const std::vector<float> f = game.features(agent);
        const auto [at, fresh] = features.emplace(i, f);
        EXPECT_EQ(at->second, f);
        if (k.players == 2) {
          const auto [where, first] = index.emplace(f, i);
          EXPECT_EQ(where->second, i);
        }
      }
      if (HasFailure()) FAIL() << k.rows << "x" << k.cols << " run " << run;
    }
  }
}

TEST(Lbf, TableIndexByHand) {
  Game game(config(5, 6, 2, 2));  // 30 cells, 12 inner cells, agents' levels 2, foods' 4
  game.set({1, 2, 2, 4, 5, 1}, {1, 1, 3, 3, 4, 1});
  const uint32_t sets = 1 + 48 + 48 * 47 / 2;
  const uint32_t own = (1 * 6 + 2) * 2 + 1, other = (4 * 6 + 5) * 2 + 0;
  const uint32_t low = 0 * 4 + 2, high = (2 * 4 + 3) * 4 + 0;
  EXPECT_EQ(Lbf::observations(game.params, 0), 60 * 60 * sets);
  EXPECT_EQ(game.index(0), (own * 60 + other) * sets + 1 + low + 48 + high * (high - 1) / 2);
  EXPECT_EQ(game.index(1), (other * 60 + own) * sets + 1 + low + 48 + high * (high - 1) / 2);
  game.set({1, 2, 2, 4, 5, 1}, {3, 4, 1}, 4);
  EXPECT_EQ(game.index(0), (own * 60 + other) * sets + 1 + high);
}

// Three agents of levels 2, 1 and 1; the first two load a food of level 3, for 2 * 3 and 1 * 3 where
// rewards are not divided. The mean of 6, 3 and 0 is 3.
TEST(Lbf, SharedRewardsByHand) {
  Lbf::Config c = config(8, 8, 3, 1);
  c.normalize_reward = false;
  const auto paid = [&](int rewards, double mix) {
    c.rewards.value = rewards;
    c.mix = mix;
    Game game(c);
    game.set({3, 2, 2, 3, 4, 1, 7, 7, 1}, {3, 3, 3});
    EXPECT_EQ(game.step({kLoad, kLoad, kNone}), Episode::ended);
    return game.rewards;
  };
  using Options = Lbf::Options;
  EXPECT_EQ(paid(Options::kIndividual, 0.5), (Rewards{6, 3, 0}));
  EXPECT_EQ(paid(Options::kShared, 0.5), (Rewards{3, 3, 3}));
  EXPECT_EQ(paid(Options::kMixed, 0.25), (Rewards{5.25F, 3, 0.75F}));
  EXPECT_EQ(paid(Options::kMixed, 1), (Rewards{3, 3, 3}));
}

// Three agents on 5 x 6 cells, three messages, agent numbers.
TEST(Lbf, MessagesAndNumbersByHand) {
  Lbf::Config c = config(5, 6, 3, 1);
  c.max_player_level = 1;
  c.max_food_level = 1;
  c.messages = 3;
  c.agent_ids = true;
  Game game(c);
  EXPECT_EQ(Lbf::actions(game.params, 0), 18);
  game.set({1, 2, 1, 4, 5, 1, 0, 0, 1}, {3, 4, 1});
  EXPECT_EQ(game.words().messages, (Cells{0, 0, 0})) << "as if all had sent 0";
  EXPECT_EQ(game.step({3 * kEast + 2, 3 * kNone + 0, 3 * kSouth + 1}), Episode::goes_on);
  EXPECT_EQ(game.words().messages, (Cells{2, 0, 1}));
  EXPECT_EQ(game.words().players, (Cells{1, 3, 1, 4, 5, 1, 1, 0, 1}));
  EXPECT_EQ(game.features(0), (Rewards{3, 4, 1, 1, 3, 1, 4, 5, 1, 1, 0, 1,  //
                                       1, 0, 0, 0, 1, 0, 1, 0, 0}));
  EXPECT_EQ(game.features(2), (Rewards{3, 4, 1, 1, 0, 1, 1, 3, 1, 4, 5, 1,  //
                                       0, 0, 1, 1, 0, 0, 0, 0, 1}));
  const Bounds last = Lbf::feature_range(game.params, 0, 20);
  EXPECT_EQ(last.min, 0);
  EXPECT_EQ(last.max, 1);
  // 30 cells each; no food, or one on 12 inner cells: the food at (3, 4) has the code 2 * 4 + 3
  const uint32_t sets = 13;
  EXPECT_EQ(Lbf::observations(game.params, 0), 30U * 30 * 30 * sets * 3 * 3 * 3);
  const uint32_t food = 1 + 11;
  EXPECT_EQ(game.index(0), (((9 * 30 + 29) * 30 + 6) * sets + food) * 27 + (0 * 3 + 1) * 3 + 0);
  EXPECT_EQ(game.index(1), (((29 * 30 + 9) * 30 + 6) * sets + food) * 27 + (2 * 3 + 1) * 3 + 1);
  EXPECT_EQ(game.index(2), (((6 * 30 + 9) * 30 + 29) * sets + food) * 27 + (2 * 3 + 0) * 3 + 2);
  game.reset(5);
  EXPECT_EQ(game.words().messages, (Cells{0, 0, 0}));
  Words wrong = game.words();
  wrong.messages[1] = 3;
  EXPECT_THROW(game.set(wrong), ParameterError);
}

TEST(Lbf, OptionsLeaveTheGameAlone) {
  for (const int rewards : {0, 1, 2}) {
    for (const int messages : {1, 4}) {
      Lbf::Config c = config(8, 8, 3, 3);
      c.penalty = 0.25;
      c.max_food_level = 3;
      Game plain(c);
      c.rewards.value = rewards;
      c.mix = 0.3;
      c.messages = messages;
      c.agent_ids = messages > 1;
      Game game(c);
      const double mix = rewards == 0 ? 0.0 : (rewards == 1 ? 1.0 : 0.3);
      int paid = 0;
      for (uint64_t run = 0; run < 2000; ++run) {
        wander(plain, run);
        Words words = plain.words();
        if (messages > 1) words.messages = {0, 0, 0};
        game.set(words);
        std::vector<int> actions = random_actions(3, run);
        const Episode outcome = plain.step(actions);
        for (size_t i = 0; i < 3; ++i) {
          const int said = static_cast<int>(run + i) % messages;
          actions[i] = actions[i] * messages + said;
        }
        EXPECT_EQ(game.step(actions), outcome);
        Words now = game.words();
        now.messages.clear();
        EXPECT_EQ(now, plain.words());
        double mean = 0;
        for (const float r : plain.rewards) mean += static_cast<double>(r) / 3;
        paid += mean != 0 ? 1 : 0;
        for (size_t i = 0; i < 3; ++i) {
          const double own = static_cast<double>(plain.rewards[i]);
          EXPECT_NEAR(static_cast<double>(game.rewards[i]), own + mix * (mean - own), 1e-7);
        }
        if (HasFailure()) FAIL() << "rewards " << rewards << ", run " << run;
      }
      EXPECT_GT(paid, 100);
    }
  }
}

TEST(Lbf, StatesAreChecked) {
  Game game(config(8, 8, 2, 2));
  const Words good{{0, 0, 1, 7, 7, 2}, {3, 3, 1, 5, 5, 2}, {49}, {4}};
  game.set(good);
  EXPECT_EQ(game.words(), good);
  const auto rejects = [&](Words words, const std::string& key) {
    try {
      game.set(words);
      ADD_FAILURE() << "accepted a wrong " << key;
    } catch (const ParameterError& error) {
      EXPECT_EQ(error.key(), key);
    }
  };
  rejects({{0, 8, 1, 7, 7, 2}, good.foods, {0}, {4}}, "players");
  rejects({{-1, 0, 1, 7, 7, 2}, good.foods, {0}, {4}}, "players");
  rejects({{0, 0, 3, 7, 7, 2}, good.foods, {0}, {4}}, "players");
  rejects({{0, 0, 0, 7, 7, 2}, good.foods, {0}, {4}}, "players");
  rejects({{3, 3, 1, 7, 7, 2}, good.foods, {0}, {4}}, "foods");
  rejects({good.players, {3, 3, 1, 3, 5, 2}, {0}, {4}}, "foods");
  rejects({good.players, {0, 3, 1, 5, 5, 2}, {0}, {4}}, "foods");
  rejects({good.players, {3, 7, 1, 5, 5, 2}, {0}, {4}}, "foods");
  rejects({good.players, {3, 3, 5, 5, 5, 2}, {0}, {8}}, "foods");
  rejects({good.players, {3, 3, 0, 5, 5, 2}, {0}, {4}}, "foods");
  rejects({good.players, good.foods, {51}, {4}}, "step");
  rejects({good.players, good.foods, {-1}, {4}}, "step");
  rejects({good.players, good.foods, {0}, {2}}, "spawned");
  EXPECT_EQ(game.words(), good) << "a rejected state changes nothing";
}

TEST(Lbf, ConfigurationsAreChecked) {
  const auto rejects = [](const std::string& key, auto change) {
    Lbf::Config c;
    change(c);
    HostArena arena;
    try {
      Lbf::make(c, arena);
      ADD_FAILURE() << "accepted a wrong " << key;
    } catch (const ParameterError& error) {
      EXPECT_EQ(error.key(), key) << error.what();
      EXPECT_FALSE(error.why().empty());
    }
  };
  using Config = Lbf::Config;
  rejects("size", [](Config& c) { c.size = {8}; });
  rejects("rewards", [](Config& c) { c.rewards.value = 3; });
  rejects("mix", [](Config& c) { c.mix = 1.5; });
  rejects("messages", [](Config& c) { c.messages = 0; });
  rejects("messages", [](Config& c) { c.messages = 17; });
  rejects("messages", [](Config& c) {
    c.players = 1;
    c.messages = 2;
  });
  rejects("size", [](Config& c) { c.size = {8, 8, 8}; });
  rejects("size", [](Config& c) { c.size = {2, 8}; });
  rejects("size", [](Config& c) { c.size = {8, 16}; });
  rejects("players", [](Config& c) { c.players = 0; });
  rejects("players", [](Config& c) { c.players = 7; });
  rejects("foods", [](Config& c) { c.foods = 9; });
  rejects("foods", [](Config& c) { c.size = {4, 4}, c.foods = 2; });
  rejects("foods", [](Config& c) { c.size = {5, 5}, c.foods = 3; });
  rejects("foods", [](Config& c) { c.size = {3, 15}, c.foods = 6; });
  rejects("min_player_level", [](Config& c) { c.min_player_level = 0; });
  rejects("max_player_level", [](Config& c) { c.min_player_level = 3; });
  rejects("max_player_level", [](Config& c) { c.players = 3, c.max_player_level = 6; });
  rejects("min_food_level", [](Config& c) { c.min_food_level = 3; });
  rejects("max_food_level", [](Config& c) { c.max_food_level = 2, c.min_food_level = 3; });
  rejects("max_food_level", [](Config& c) { c.max_food_level = 16; });
  rejects("sight", [](Config& c) { c.sight = 9; });
  rejects("sight", [](Config& c) { c.sight = -1; });
  rejects("penalty", [](Config& c) { c.penalty = -0.1; });
  rejects("penalty", [](Config& c) { c.penalty = std::nan(""); });
  rejects("max_steps", [](Config& c) { c.max_steps = 0; });
  rejects("max_steps", [](Config& c) { c.max_steps = 65536; });

  HostArena arena;
  Config c;
  c.size = {3, 15}, c.foods = 5;
  EXPECT_NO_THROW(Lbf::make(c, arena)) << "every third cell of the middle row";
  c.size = {15, 15}, c.foods = 8, c.players = 6, c.max_player_level = 5, c.sight = 15;
  EXPECT_NO_THROW(Lbf::make(c, arena));
  c.coop = true, c.min_food_level = 9;
  EXPECT_NO_THROW(Lbf::make(c, arena)) << "min_food_level is not used with coop";
}

}  // namespace
