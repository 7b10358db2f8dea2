/// Switch, the coin game and in the matrix: their rules by hand, optima, symmetries, observations,
/// errors.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "envs/coin_game.hpp"
#include "envs/in_the_matrix.hpp"
#include "envs/switch.hpp"

namespace {

using namespace cumarl;

using List = std::vector<int64_t>;
using Words = std::map<std::string, List>;  ///< a state as named lists
using Rewards = std::vector<float>;
using Actions = std::vector<int>;

class Reader : public StateVisitor {
 public:
  void operator()(const char* key, int64_t* values, int count) override {
    words[key].assign(values, values + count);
  }
  Words words;
};

class Writer : public StateVisitor {
 public:
  explicit Writer(const Words& w) : words_(w) {}
  void operator()(const char* key, int64_t* values, int count) override {
    const auto at = words_.find(key);
    if (at == words_.end()) return;  // stays as it is
    ASSERT_EQ(at->second.size(), static_cast<size_t>(count)) << key;
    std::copy(at->second.begin(), at->second.end(), values);
  }

 private:
  const Words& words_;
};

/// The rules of a game with their memory.
template <class Game>
struct Play {
  explicit Play(const typename Game::Config& c) : params(Game::make(c, arena)) { reset(0); }

  int agents() const { return Game::agents(params); }
  Words words() {
    Reader reader;
    Game::state_fields(reader, params, state);
    return reader.words;
  }
  /// Lists that are not named stay as they are.
  void set(const Words& words) {
    Writer writer(words);
    Game::state_fields(writer, params, state);
  }
  void reset(uint64_t run) {
    Rng rng({1, run}, 0, Stream::reset);
    Game::reset(params, state, rng);
  }
  Episode step(Actions actions, uint64_t run = 0, uint64_t t = 0) {
    EXPECT_EQ(actions.size(), static_cast<size_t>(agents()));
    actions.resize(Game::kMaxAgents);
    rewards.assign(Game::kMaxAgents, -9.0F);
    Rng rng({1, run}, t, Stream::dynamics);
    const Episode episode = Game::step(params, state, actions.data(), rewards.data(), rng);
    rewards.resize(static_cast<size_t>(agents()));
    return episode;
  }
  std::vector<float> view(int agent, int row, int col) {
    std::vector<float> out(Game::kChannels, -9.0F);
    Game::view(params, state, agent, row, col, out.data());
    return out;
  }
  /// All that an agent sees of the whole grid and knows besides.
  std::vector<float> sees(int agent) {
    std::vector<float> all;
    for (int row = 0; row < Game::rows(params); ++row) {
      for (int col = 0; col < Game::cols(params); ++col) {
        const auto cell = view(agent, row, col);
        all.insert(all.end(), cell.begin(), cell.end());
      }
    }
    const auto extra = extras(agent);
    all.insert(all.end(), extra.begin(), extra.end());
    return all;
  }
  std::vector<float> extras(int agent) {
    std::vector<float> out(static_cast<size_t>(Game::extras(params)), -9.0F);
    EXPECT_LE(out.size(), static_cast<size_t>(Game::kMaxExtra));
    Game::extra(params, state, agent, out.data());
    return out;
  }
  uint32_t index(int agent) { return Game::index(params, state, agent); }
  std::string picture() {
    std::string all;
    for (int row = 0; row < Game::rows(params); ++row) {
      for (int col = 0; col < Game::cols(params); ++col) {
        all += Game::glyph(params, state, row, col).symbol;
      }
      all += '\n';
    }
    return all;
  }

  HostArena arena;
  typename Game::Params params;
  typename Game::State state{};
  Rewards rewards;
};

Actions random_actions(int agents, int actions, uint64_t run, uint64_t t) {
  Rng rng({2, run}, t, Stream::explore);
  Actions out;
  for (int i = 0; i < agents; ++i) {
    out.push_back(static_cast<int>(rng.below(static_cast<uint32_t>(actions))));
  }
  return out;
}

/// Random play: states survive printing and reading, rewards keep their bounds, all that is seen is
/// in [0, 1], and (with `tables`) table index and sight tell the same.
template <class Game>
void play_at_random(const typename Game::Config& c, uint64_t episodes, uint64_t steps,
                    bool tables) {
  Play<Game> game(c);
  const int n = game.agents();
  const Bounds bounds = Game::reward_bounds(game.params);
  const uint32_t count = Game::observations(game.params);
  EXPECT_EQ(count > 0, tables);
  std::map<uint32_t, std::vector<float>> seen;
  std::map<std::vector<float>, uint32_t> index;
  for (uint64_t run = 0; run < episodes; ++run) {
    game.reset(run);
    Episode episode = Episode::goes_on;
    for (uint64_t t = 1; t <= steps && episode == Episode::goes_on; ++t) {
      episode = game.step(random_actions(n, Game::kActions, run, t), run, t);
      const Words words = game.words();  // throws for what cannot be
      EXPECT_EQ(game.words(), words);
      for (int i = 0; i < n; ++i) {
        const double reward = static_cast<double>(game.rewards[static_cast<size_t>(i)]);
        EXPECT_GE(reward, bounds.min);
        EXPECT_LE(reward, bounds.max);
        const int cell = Game::cell_of(game.params, game.state, i);
        EXPECT_GE(cell, 0);
        EXPECT_LT(cell, Game::rows(game.params) * Game::cols(game.params));
        const std::vector<float> all = game.sees(i);
        for (const float x : all) EXPECT_TRUE(x >= 0 && x <= 1) << x;
        if (!tables) continue;
        const uint32_t k = game.index(i);
        EXPECT_LT(k, count);
        EXPECT_EQ(seen.emplace(k, all).first->second, all) << "one index for two sights";
        EXPECT_EQ(index.emplace(all, k).first->second, k) << "two indices for one sight";
      }
      if (testing::Test::HasFailure()) FAIL() << "run " << run << " step " << t;
    }
  }
  if (tables) {
    EXPECT_GT(seen.size(), 20U);
  }
}

template <class Game>
void rejects_state(const typename Game::Config& c, const Words& good, const std::string& key,
                   const List& bad) {
  Play<Game> game(c);
  game.set(good);
  const Words before = game.words();
  for (const auto& [name, list] : good) EXPECT_EQ(before.at(name), list);
  try {
    game.set({{key, bad}});
    ADD_FAILURE() << "accepted wrong " << key;
  } catch (const ParameterError& error) {
    EXPECT_EQ(error.key(), key) << error.what();
  }
  EXPECT_EQ(game.words(), before) << "a rejected state changes nothing";
}

template <class Game, class Change>
void rejects_config(const std::string& key, Change change) {
  typename Game::Config c;
  change(c);
  HostArena arena;
  try {
    Game::make(c, arena);
    ADD_FAILURE() << "accepted a wrong " << key;
  } catch (const ParameterError& error) {
    EXPECT_EQ(error.key(), key) << error.what();
    EXPECT_FALSE(error.why().empty());
  }
}

/// Chi-squared statistic against equal shares over `cells` cells, as standard normal deviate.
double deviate(const std::map<int64_t, int>& counts, size_t cells) {
  double n = 0, sum = 0;
  for (const auto& [cell, count] : counts) n += count;
  const double expected = n / static_cast<double>(cells);
  for (const auto& [cell, count] : counts) sum += (count - expected) * (count - expected);
  sum = sum / expected + expected * static_cast<double>(cells - counts.size());
  const double freedom = static_cast<double>(cells) - 1;
  return (sum - freedom) / std::sqrt(2 * freedom);
}

// ---------------------------------------------------------------------------------- Switch

namespace corridor {

enum { kSouth, kWest, kNorth, kEast, kStay };

SwitchGame::Config config(int players, int length = 3) {
  SwitchGame::Config c;
  c.players = players;
  c.corridor = length;
  return c;
}

constexpr float kStep = -0.1F, kGoal = 5.0F;

TEST(Switch, AgentsStartBesideTheOthersGoals) {
  Play<SwitchGame> two(config(2)), four(config(4)), longer(config(4, 5));
  EXPECT_EQ(two.picture(),
            "bA###Ba\n"
            "       \n"
            "  ###  \n");
  EXPECT_EQ(four.picture(),
            "bA###Ba\n"
            "       \n"
            "dC###Dc\n");
  EXPECT_EQ(longer.picture(),
            "bA#####Ba\n"
            "         \n"
            "dC#####Dc\n");
  EXPECT_EQ(four.words().at("agents"), (List{0, 1, 0, 5, 2, 1, 2, 5}));
}

/// The best play, by hand: agent 0 walks through, agent 1 waits beside the corridor's end.
TEST(Switch, BestPlayTakesTwelveStepsAndPaysEightPointThree) {
  Play<SwitchGame> game(config(2));
  const std::vector<Actions> plan = {
      {kSouth, kStay}, {kEast, kStay}, {kEast, kStay},
      {kEast, kStay},  {kEast, kStay}, {kEast, kSouth},  // 0 leaves (1, 5), then 1 enters it
      {kNorth, kWest}, {kStay, kWest}, {kStay, kWest},
      {kStay, kWest},  {kStay, kWest}, {kStay, kNorth}};
  double sum = 0;
  for (size_t t = 0; t < plan.size(); ++t) {
    EXPECT_EQ(game.step(plan[t]), t == 11 ? Episode::ended : Episode::goes_on);
    EXPECT_EQ(game.rewards,
              (Rewards{t < 6 ? kStep : (t == 6 ? kGoal : 0.0F), t < 11 ? kStep : kGoal}));
    if (t == 5) {
      EXPECT_EQ(game.words().at("agents"), (List{1, 6, 1, 5}));
    }
    sum += static_cast<double>(game.rewards[0]) + static_cast<double>(game.rewards[1]);
  }
  EXPECT_NEAR(sum, 8.3, 1e-6);
  EXPECT_EQ(game.words().at("agents"), (List{0, 6, 0, 0}));
}

/// Exhaustively over all joint plays: the best undiscounted sum is 8.3, and no joint play ends
/// before step 12 (both as recomputed for ma-gym by others than this code).
TEST(Switch, OptimumOfTwoAgents) {
  Play<SwitchGame> game(config(2));
  struct Node {
    double value = -1e9;          // best sum from here
    std::vector<uint32_t> next;   // [joint action]
    std::vector<double> rewards;  // [joint action]
    std::vector<bool> over;       // [joint action]
    int depth = 0;
  };
  std::map<uint32_t, Node> nodes;
  std::queue<uint32_t> open;
  const uint32_t start = game.state.places;
  nodes[start];
  open.push(start);
  int shortest = -1;
  while (!open.empty()) {
    const uint32_t at = open.front();
    open.pop();
    Node& node = nodes[at];
    for (int joint = 0; joint < 25; ++joint) {
      game.state.places = at;
      const bool over = game.step({joint / 5, joint % 5}) == Episode::ended;
      const uint32_t to = game.state.places;
      node.next.push_back(to);
      node.over.push_back(over);
      node.rewards.push_back(static_cast<double>(game.rewards[0]) +
                             static_cast<double>(game.rewards[1]));
      if (over && shortest < 0) shortest = node.depth + 1;  // breadth first
      if (over || nodes.count(to) != 0) continue;
      nodes[to].depth = node.depth + 1;
      open.push(to);
    }
  }
  EXPECT_EQ(shortest, 12);
  for (int sweep = 0; sweep < 60; ++sweep) {
    for (auto& [at, node] : nodes) {
      for (size_t a = 0; a < 25; ++a) {
        const double rest = node.over[a] ? 0.0 : nodes.at(node.next[a]).value;
        node.value = std::max(node.value, node.rewards[a] + rest);
      }
    }
  }
  EXPECT_NEAR(nodes.at(start).value, 8.3, 1e-5);
}

TEST(Switch, AgentsMoveInTurn) {
  Play<SwitchGame> game(config(2));
  game.set({{"agents", {1, 3, 1, 2}}});
  game.step({kEast, kEast});  // 1 follows: 0 has left
  EXPECT_EQ(game.words().at("agents"), (List{1, 4, 1, 3}));
  game.step({kWest, kWest});  // 0 cannot follow: 1 still stands there
  EXPECT_EQ(game.words().at("agents"), (List{1, 4, 1, 2}));
  game.set({{"agents", {1, 2, 1, 4}}});
  game.step({kEast, kWest});  // 0 is there first
  EXPECT_EQ(game.words().at("agents"), (List{1, 3, 1, 4}));
  game.step({kEast, kWest});  // no swap
  EXPECT_EQ(game.words().at("agents"), (List{1, 3, 1, 4}));
  EXPECT_EQ(game.rewards, (Rewards{kStep, kStep}));
}

TEST(Switch, WallsStopMoves) {
  Play<SwitchGame> game(config(2));
  const auto stays = [&](int64_t row, int64_t col, const Actions& into) {
    for (const int action : into) {
      game.set({{"agents", {row, col, 2, 6}}});
      game.step({action, kStay});
      EXPECT_EQ(game.words().at("agents"), (List{row, col, 2, 6})) << row << col << action;
    }
  };
  stays(0, 0, {kNorth, kWest});
  stays(1, 0, {kWest});
  stays(2, 0, {kSouth, kWest});
  stays(0, 1, {kNorth, kEast});
  stays(2, 1, {kSouth, kEast});
  for (int64_t col = 2; col < 5; ++col) stays(1, col, {kNorth, kSouth});
  stays(0, 5, {kNorth, kWest});
  stays(2, 5, {kSouth, kWest, kEast});  // the other agent is in the east
  stays(0, 6, {kNorth, kEast});
  stays(1, 6, {kEast, kSouth});
}

TEST(Switch, ArrivedAgentsStayInTheWay) {
  Play<SwitchGame> game(config(4));
  game.set({{"agents", {1, 6, 1, 5, 1, 1, 1, 3}}});
  EXPECT_EQ(game.step({kNorth, kEast, kStay, kStay}), Episode::goes_on);
  EXPECT_EQ(game.rewards, (Rewards{kGoal, kStep, kStep, kStep}));
  EXPECT_EQ(game.step({kSouth, kNorth, kStay, kStay}), Episode::goes_on);
  EXPECT_EQ(game.rewards, (Rewards{0.0F, kStep, kStep, kStep}));
  EXPECT_EQ(game.words().at("agents"), (List{0, 6, 1, 6, 1, 1, 1, 3})) << "0 stays, 1 is blocked";
  EXPECT_EQ(game.picture(),
            "b ### A\n"
            " C D  B\n"
            "d ### c\n");
  game.set({{"agents", {0, 6, 0, 0, 2, 6, 1, 0}}});
  EXPECT_EQ(game.step({kStay, kStay, kStay, kSouth}), Episode::ended);
  EXPECT_EQ(game.rewards, (Rewards{0.0F, 0.0F, 0.0F, kGoal}));
}

TEST(Switch, RewardsAreOptions) {
  SwitchGame::Config c = config(2);
  c.step_reward = -0.25;
  c.goal_reward = 2;
  Play<SwitchGame> game(c);
  game.set({{"agents", {1, 6, 1, 0}}});
  game.step({kNorth, kEast});
  EXPECT_EQ(game.rewards, (Rewards{2.0F, -0.25F}));
  EXPECT_EQ(SwitchGame::reward_bounds(game.params).min, -0.25);
  EXPECT_EQ(SwitchGame::reward_bounds(game.params).max, 2.0);
}

/// Mirrors the grid; agents change names with their goals: 0 and 1, 2 and 3 swap east and west,
/// 0 and 2, 1 and 3 north and south. Agents act in turn, so this holds where they are too far
/// apart to meet.
TEST(Switch, MirrorSymmetry) {
  for (const bool east_west : {true, false}) {
    Play<SwitchGame> game(config(4)), mirror(config(4));
    const int flip = east_west ? 1 : 2;
    const auto mirrored = [&](const List& at) {
      List out(8);
      for (size_t i = 0; i < 4; ++i) {
        const size_t j = 2 * (i ^ static_cast<size_t>(flip));
        out[j] = east_west ? at[2 * i] : 2 - at[2 * i];
        out[j + 1] = east_west ? 6 - at[2 * i + 1] : at[2 * i + 1];
      }
      return out;
    };
    int compared = 0;
    for (uint64_t run = 0; run < 300; ++run) {
      game.reset(run);
      for (uint64_t t = 1; t <= 40; ++t) {
        const List at = game.words().at("agents");
        bool apart = true;
        for (size_t i = 0; i < 4; ++i) {
          for (size_t j = 0; j < i; ++j) {
            const int64_t distance =
                std::abs(at[2 * i] - at[2 * j]) + std::abs(at[2 * i + 1] - at[2 * j + 1]);
            apart = apart && distance > 2;
          }
        }
        mirror.set({{"agents", mirrored(at)}});
        for (int i = 0; i < 4; ++i) {
          for (int row = 0; row < 3; ++row) {
            for (int col = 0; col < 7; ++col) {
              ASSERT_EQ(game.view(i, row, col), east_west ? mirror.view(i ^ flip, row, 6 - col)
                                                          : mirror.view(i ^ flip, 2 - row, col));
            }
          }
        }
        const Actions actions = random_actions(4, 5, run, t);
        Actions other(4);
        for (size_t i = 0; i < 4; ++i) {
          constexpr int kEastWest[] = {kSouth, kEast, kNorth, kWest, kStay};
          constexpr int kNorthSouth[] = {kNorth, kWest, kSouth, kEast, kStay};
          other[i ^ static_cast<size_t>(flip)] = (east_west ? kEastWest : kNorthSouth)[actions[i]];
        }
        game.step(actions);
        if (!apart) continue;
        mirror.step(other);
        ASSERT_EQ(mirror.words().at("agents"), mirrored(game.words().at("agents")));
        for (size_t i = 0; i < 4; ++i) {
          ASSERT_EQ(mirror.rewards[i ^ static_cast<size_t>(flip)], game.rewards[i]);
        }
        ++compared;
      }
    }
    EXPECT_GT(compared, 100);
  }
}

TEST(Switch, ViewByHand) {
  Play<SwitchGame> game(config(4));
  EXPECT_EQ(game.view(0, 0, 1), (Rewards{0, 1, 0, 0, 0, 0})) << "self";
  EXPECT_EQ(game.view(0, 0, 2), (Rewards{1, 0, 0, 0, 0, 0})) << "wall";
  EXPECT_EQ(game.view(0, 0, 6), (Rewards{0, 0, 1, 0, 0, 0})) << "own goal";
  EXPECT_EQ(game.view(0, 2, 1), (Rewards{0, 0, 0, 1, 0, 0})) << "heads the same way";
  EXPECT_EQ(game.view(0, 0, 5), (Rewards{0, 0, 0, 0, 1, 0})) << "other way, same row";
  EXPECT_EQ(game.view(0, 2, 5), (Rewards{0, 0, 0, 0, 0, 1})) << "other way, other row";
  EXPECT_EQ(game.view(3, 2, 1), (Rewards{0, 0, 0, 0, 1, 0}));
  EXPECT_EQ(game.extras(0), (Rewards{0, 1}));
  EXPECT_EQ(game.extras(3), (Rewards{1, 0}));
}

TEST(Switch, TableIndexByHand) {
  Play<SwitchGame> two(config(2)), three(config(3));
  EXPECT_EQ(SwitchGame::observations(two.params), 2U * 15 * 15);
  EXPECT_EQ(SwitchGame::observations(three.params), 3U * 15 * 15 * 15);
  // The floor's cells, row by row: 0 to 3, 4 to 10, 11 to 14. Starts: 1, 2, 12.
  EXPECT_EQ(two.index(0), 0U * 225 + 1 * 15 + 2);
  EXPECT_EQ(two.index(1), 1U * 225 + 2 * 15 + 1);
  EXPECT_EQ(three.index(0), (0U * 15 + 1) * 225 + 12 * 15 + 2);
  EXPECT_EQ(three.index(1), (1U * 15 + 2) * 225 + 1 * 15 + 12) << "3 is not there";
  EXPECT_EQ(three.index(2), (2U * 15 + 12) * 225 + 1 * 15 + 2);
}

TEST(Switch, RandomPlay) {
  for (int players = 2; players <= 4; ++players) {
    play_at_random<SwitchGame>(config(players), 150, 50, true);
  }
  play_at_random<SwitchGame>(config(4, 11), 30, 50, true);
}

TEST(Switch, StatesAndConfigurationsAreChecked) {
  const Words good{{"agents", {0, 0, 2, 6}}};
  for (const List& bad : {List{0, 2, 2, 6}, List{0, 7, 2, 6}, List{3, 0, 2, 6}, List{-1, 0, 2, 6},
                          List{0, -1, 2, 6}, List{2, 6, 2, 6}}) {
    rejects_state<SwitchGame>(config(2), good, "agents", bad);
  }
  using Config = SwitchGame::Config;
  rejects_config<SwitchGame>("players", [](Config& c) { c.players = 1; });
  rejects_config<SwitchGame>("players", [](Config& c) { c.players = 5; });
  rejects_config<SwitchGame>("corridor", [](Config& c) { c.corridor = 0; });
  rejects_config<SwitchGame>("corridor", [](Config& c) { c.corridor = 12; });
  rejects_config<SwitchGame>("step_reward", [](Config& c) { c.step_reward = std::nan(""); });
  rejects_config<SwitchGame>("goal_reward", [](Config& c) { c.goal_reward = 1e7; });
}

}  // namespace corridor

// ------------------------------------------------------------------------------- Coin game

namespace coin {

enum { kEast, kWest, kSouth, kNorth, kStay };

CoinGameRules::Config config(int coins, int rows = 3, int cols = 3) {
  CoinGameRules::Config c;
  c.coins.value = coins;
  c.size = {rows, cols};
  return c;
}
constexpr int kAlternate = CoinGameRules::kAlternate, kRandom = CoinGameRules::kRandom,
              kBoth = CoinGameRules::kBoth;

TEST(CoinGame, CoinsPayAndTheftCosts) {
  Play<CoinGameRules> game(config(kAlternate));
  const auto play = [&](const List& agents, const List& coins, const Actions& actions) {
    game.set({{"agents", agents}, {"coins", coins}});
    EXPECT_EQ(game.step(actions), Episode::goes_on);
    return game.rewards;
  };
  // The red coin is in the middle.
  EXPECT_EQ(play({1, 0, 0, 0}, {1, 1, -1, -1}, {kEast, kStay}), (Rewards{1, 0}));
  EXPECT_EQ(play({0, 0, 1, 0}, {1, 1, -1, -1}, {kStay, kEast}), (Rewards{-2, 1}));
  EXPECT_EQ(play({1, 0, 0, 1}, {1, 1, -1, -1}, {kEast, kSouth}), (Rewards{-1, 1}));
  EXPECT_EQ(play({1, 0, 0, 1}, {1, 1, -1, -1}, {kStay, kStay}), (Rewards{0, 0}));
  EXPECT_EQ(game.words().at("coins"), (List{1, 1, -1, -1}));
  // The blue one.
  EXPECT_EQ(play({1, 0, 0, 0}, {-1, -1, 1, 1}, {kEast, kStay}), (Rewards{1, -2}));
  EXPECT_EQ(play({0, 0, 1, 0}, {-1, -1, 1, 1}, {kStay, kEast}), (Rewards{0, 1}));
  EXPECT_EQ(play({1, 0, 0, 1}, {-1, -1, 1, 1}, {kEast, kSouth}), (Rewards{1, -1}));
  EXPECT_EQ(game.words().at("agents"), (List{1, 1, 1, 1})) << "agents may share a cell";

  CoinGameRules::Config c = config(kBoth);
  c.coin_reward = 3;
  c.theft_reward = -4;
  Play<CoinGameRules> both(c);
  both.set({{"agents", {0, 0, 2, 2}}, {"coins", {2, 1, 0, 1}}});
  both.step({kEast, kWest});  // each takes the other's
  EXPECT_EQ(both.rewards, (Rewards{-1, -1}));
  EXPECT_EQ(CoinGameRules::reward_bounds(both.params).min, -4);
  EXPECT_EQ(CoinGameRules::reward_bounds(both.params).max, 3);
}

TEST(CoinGame, EdgesJoin) {
  Play<CoinGameRules> game(config(kAlternate, 3, 4));
  game.set({{"agents", {0, 0, 2, 3}}, {"coins", {1, 1, -1, -1}}});
  game.step({kNorth, kSouth});
  EXPECT_EQ(game.words().at("agents"), (List{2, 0, 0, 3}));
  game.step({kWest, kEast});
  EXPECT_EQ(game.words().at("agents"), (List{2, 3, 0, 0}));
  game.step({kSouth, kNorth});
  EXPECT_EQ(game.words().at("agents"), (List{0, 3, 2, 0}));
  game.step({kEast, kWest});
  EXPECT_EQ(game.words().at("agents"), (List{0, 0, 2, 3}));
  EXPECT_EQ(game.picture(),
            "A   \n"
            " a  \n"
            "   B\n");
}

TEST(CoinGame, CoinsAreReplaced) {
  // Red takes the coin; 20,000 draws: 7 cells are free with one coin, 6 with two.
  constexpr int kDraws = 20000;
  for (const int coins : {kAlternate, kRandom, kBoth}) {
    Play<CoinGameRules> game(config(coins));
    for (const bool red : {true, false}) {
      std::map<int64_t, int> cells;
      int turned = 0;
      for (uint64_t run = 0; run < kDraws; ++run) {
        const List there = {1, 1}, other = coins == kBoth ? List{2, 0} : List{-1, -1};
        List all = red ? there : other;
        const List& rest = red ? other : there;
        all.insert(all.end(), rest.begin(), rest.end());
        game.set({{"agents", {1, 0, 2, 2}}, {"coins", all}});
        game.step({kEast, kStay}, run, 5);
        const List now = game.words().at("coins");
        const size_t own = red ? 0 : 2;
        const bool turn = now[own] == -1;
        turned += turn ? 1 : 0;
        const size_t at = turn ? 2 - own : own;
        ++cells[now[at] * 3 + now[at + 1]];
        if (coins == kBoth) {
          ASSERT_EQ((List{now[2 - own], now[3 - own]}), other);
        }
      }
      EXPECT_EQ(cells.size(), coins == kBoth ? 6U : 7U);
      EXPECT_EQ(cells.count(4) + cells.count(8), 0U) << "the agents' cells";
      EXPECT_LT(std::abs(deviate(cells, cells.size())), 4);
      if (coins == kAlternate) {
        EXPECT_EQ(turned, kDraws);
      }
      if (coins == kBoth) {
        EXPECT_EQ(turned, 0);
      }
      if (coins == kRandom) {
        EXPECT_NEAR(turned, kDraws / 2, 4 * std::sqrt(kDraws / 4.0));
      }
    }
  }
}

TEST(CoinGame, BeginsAnywhere) {
  Play<CoinGameRules> game(config(kAlternate)), both(config(kBoth));
  std::map<int64_t, int> places, all;
  constexpr uint64_t kRuns = 60000;
  for (uint64_t run = 0; run < kRuns; ++run) {
    game.reset(run);
    const auto& s = game.state;
    const int colour = s.coins[0] == CoinGameRules::kNowhere ? 1 : 0;
    ++places[((s.agents[0] * 9 + s.agents[1]) * 9 + s.coins[colour]) * 2 + colour];
    both.reset(run);
    const auto& t = both.state;
    ++all[((t.agents[0] * 9 + t.agents[1]) * 9 + t.coins[0]) * 9 + t.coins[1]];
  }
  EXPECT_LT(std::abs(deviate(places, 9 * 8 * 7 * 2)), 4);
  EXPECT_LT(std::abs(deviate(all, 9 * 8 * 7 * 6)), 4);
}

/// An action of `agent` on a shortest way to the coin.
int greedy(const CoinGameRules::State& s, int agent) {
  const int coin = s.coins[0] == CoinGameRules::kNowhere ? s.coins[1] : s.coins[0];
  const int right = (coin % 3 - s.agents[agent] % 3 + 3) % 3;
  if (right != 0) return right == 1 ? kEast : kWest;
  const int down = (coin / 3 - s.agents[agent] / 3 + 3) % 3;
  return down == 1 ? kSouth : kNorth;
}

/// A greedy agent beside one that never moves, by hand. On the 3 x 3 torus each cell has 4 cells
/// at distance 1 and 4 at distance 2. The idle agent is at distance 1 or 2 of the greedy one when a
/// coin is drawn, uniformly over the 7 cells left. With state N (idle agent at 1) or F (at 2) when
/// the coin is drawn, the chances of (steps to the coin, next state), by counting cells:
///   from N: (1, N) 1/7, (1, F) 2/7, (2, N) 2/7, (2, F) 2/7
///   from F: (1, N) 2/7, (1, F) 2/7, (2, N) 2/7, (2, F) 1/7
/// N and F are equally likely at the start and stay so; a coin takes 3/2 steps in the mean. So:
///   coins in 1 step:  P(1 step) = (3/7 + 4/7) / 2 = 1/2
///   coins in 2 steps: 1/2 + [P(2) + P(1, then 1)] = 1/2 + 1/2 + (11/49 + 14/49) / 2 = 123/98
///   coins a step in the long run: 2/3, half of them the other's, which costs it 2 each.
/// No policy is faster alone: the coin is reached on a shortest way, and where the agent is when the
/// next one is drawn is where this one was.
TEST(CoinGame, GreedyAgentAloneEarnsTwoThirdsAStep) {
  Play<CoinGameRules> game(config(kAlternate));
  constexpr uint64_t kRuns = 100000;
  double one = 0, two = 0, two_squares = 0;
  for (uint64_t run = 0; run < kRuns; ++run) {
    game.reset(run);
    game.step({greedy(game.state, 0), kStay}, run, 1);
    const double first = static_cast<double>(game.rewards[0]);
    game.step({greedy(game.state, 0), kStay}, run, 2);
    const double both = first + static_cast<double>(game.rewards[0]);
    one += first;
    two += both;
    two_squares += both * both;
  }
  const double n = kRuns;
  EXPECT_NEAR(one / n, 0.5, 4 * 0.5 / std::sqrt(n));  // standard error .0016
  const double error = std::sqrt((two_squares / n - two * two / n / n) / n);
  EXPECT_NEAR(two / n, 123.0 / 98, 4 * error);
  EXPECT_LT(error, 0.003);

  // 2,000 episodes of 150 steps; standard error over episodes.
  double sum = 0, squares = 0, robbed = 0;
  for (uint64_t run = 0; run < 2000; ++run) {
    game.reset(run);
    double coins = 0;
    for (uint64_t t = 1; t <= 150; ++t) {
      game.step({greedy(game.state, 0), kStay}, run, t);
      coins += static_cast<double>(game.rewards[0]) / 150;
      robbed += static_cast<double>(game.rewards[1]) / 150 / 2000;
    }
    sum += coins;
    squares += coins * coins;
  }
  const double mean = sum / 2000, spread = std::sqrt((squares / 2000 - mean * mean) / 2000);
  EXPECT_LT(spread, 0.001);
  // A coin that was begun before step 150 and taken after it: up to one, so 1/150 a step less.
  EXPECT_NEAR(mean, 2.0 / 3, 4 * spread + 1.0 / 150);
  EXPECT_NEAR(robbed, -2.0 / 3, 4 * spread + 2.0 / 150);
}

/// Swapping agents and colours swaps rewards and observations; moving everything around the torus
/// changes no reward and no window.
TEST(CoinGame, Symmetries) {
  for (const int coins : {kAlternate, kBoth}) {
    Gridworld<CoinGameRules>::Config c;
    c.game = config(coins, 3, 4);
    c.sight = 1;
    HostArena arena;
    const auto window = Gridworld<CoinGameRules>::make(c, arena);
    const auto seen = [&](const CoinGameRules::State& s, int agent) {
      Gridworld<CoinGameRules>::State whole{s, 0, 0};
      std::vector<float> out(static_cast<size_t>(CoinGame::features(window, agent)));
      CoinGame::observe(window, whole, agent, out.data());
      return out;
    };
    Play<CoinGameRules> game(c.game), other(c.game);
    for (uint64_t run = 0; run < 2000; ++run) {
      game.reset(run);
      const Words before = game.words();
      const List &at = before.at("agents"), &lie = before.at("coins");
      const Actions actions = random_actions(2, 5, run, 0);

      other.set(
          {{"agents", {at[2], at[3], at[0], at[1]}}, {"coins", {lie[2], lie[3], lie[0], lie[1]}}});
      EXPECT_EQ(game.sees(0), other.sees(1));
      EXPECT_EQ(game.sees(1), other.sees(0));
      EXPECT_EQ(game.index(0), other.index(1));
      EXPECT_EQ(game.index(1), other.index(0));
      EXPECT_EQ(seen(game.state, 0), seen(other.state, 1));
      const auto start = game.state;
      game.step(actions);
      other.step({actions[1], actions[0]});
      EXPECT_EQ(game.rewards, (Rewards{other.rewards[1], other.rewards[0]}));

      game.state = start;
      const int64_t down = static_cast<int64_t>(run % 3), right = static_cast<int64_t>(run % 4);
      const auto moved = [&](List list) {
        for (size_t i = 0; i < 4; i += 2) {
          if (list[i] < 0) continue;
          list[i] = (list[i] + down) % 3;
          list[i + 1] = (list[i + 1] + right) % 4;
        }
        return list;
      };
      other.set({{"agents", moved(at)}, {"coins", moved(lie)}});
      EXPECT_EQ(seen(game.state, 0), seen(other.state, 0));
      EXPECT_EQ(seen(game.state, 1), seen(other.state, 1));
      game.step(actions);
      other.step(actions);
      EXPECT_EQ(game.rewards, other.rewards);
      if (HasFailure()) FAIL() << "run " << run;
    }
  }
}

TEST(CoinGame, WindowsGoOnAcrossTheEdges) {
  Gridworld<CoinGameRules>::Config c;
  c.game = config(kAlternate, 3, 3);
  c.sight = 1;
  HostArena arena;
  const auto p = CoinGame::make(c, arena);
  CoinGame::State s{
      {{0, 8}, {CoinGameRules::kNowhere, 2}}, 0, 0};  // (0, 0), (2, 2); blue at (0, 2)
  std::vector<float> out(static_cast<size_t>(CoinGame::features(p, 0)));
  ASSERT_EQ(out.size(), 45U);
  CoinGame::observe(p, s, 0, out.data());
  std::vector<float> expected(45, 0.0F);
  expected[0 * 5 + 1 + 1] = 1;  // north-west: the other
  expected[3 * 5 + 1 + 3] = 1;  // west: the other's coin
  expected[4 * 5 + 1 + 0] = 1;  // self
  EXPECT_EQ(out, expected);
}

TEST(CoinGame, TableIndexByHand) {
  Play<CoinGameRules> one(config(kAlternate)), two(config(kBoth, 8, 8));
  EXPECT_EQ(CoinGameRules::observations(one.params), 2U * 9 * 9 * 9);
  EXPECT_EQ(CoinGameRules::observations(two.params), 1U << 24);
  one.set({{"agents", {0, 1, 2, 2}}, {"coins", {-1, -1, 1, 0}}});
  EXPECT_EQ(one.index(0), ((1U * 9 + 8) * 9 + 3) * 2 + 1);
  EXPECT_EQ(one.index(1), ((8U * 9 + 1) * 9 + 3) * 2 + 0);
  two.set({{"agents", {7, 7, 0, 1}}, {"coins", {1, 0, 7, 6}}});
  EXPECT_EQ(two.index(0), ((63U * 64 + 1) * 64 + 8) * 64 + 62);
  EXPECT_EQ(two.index(1), ((1U * 64 + 63) * 64 + 62) * 64 + 8);
}

TEST(CoinGame, RandomPlay) {
  for (const int coins : {kAlternate, kRandom, kBoth}) {
    play_at_random<CoinGameRules>(config(coins), 40, 150, true);
    play_at_random<CoinGameRules>(config(coins, 8, 8), 10, 100, true);
  }
  play_at_random<CoinGameRules>(config(kAlternate, 2, 2), 10, 100, true);
  play_at_random<CoinGameRules>(config(kBoth, 2, 3), 10, 100, true);
}

TEST(CoinGame, StatesAndConfigurationsAreChecked) {
  const Words good{{"agents", {0, 0, 2, 2}}, {"coins", {1, 1, -1, -1}}};
  rejects_state<CoinGameRules>(config(kAlternate), good, "agents", {0, 3, 2, 2});
  rejects_state<CoinGameRules>(config(kAlternate), good, "agents", {0, 0, -1, 2});
  for (const List& bad : {List{2, 2, -1, -1}, List{1, 1, 0, 1}, List{-1, -1, -1, -1},
                          List{1, -1, -1, -1}, List{3, 0, -1, -1}}) {
    rejects_state<CoinGameRules>(config(kAlternate), good, "coins", bad);
  }
  const Words two{{"agents", {0, 0, 2, 2}}, {"coins", {1, 1, 0, 1}}};
  rejects_state<CoinGameRules>(config(kBoth), two, "coins", {1, 1, 1, 1});
  rejects_state<CoinGameRules>(config(kBoth), two, "coins", {1, 1, -1, -1});
  using Config = CoinGameRules::Config;
  rejects_config<CoinGameRules>("size", [](Config& c) { c.size = {3}; });
  rejects_config<CoinGameRules>("size", [](Config& c) { c.size = {1, 5}; });
  rejects_config<CoinGameRules>("size", [](Config& c) { c.size = {3, 9}; });
  rejects_config<CoinGameRules>("size", [](Config& c) { c.size = {2, 2}, c.coins.value = kBoth; });
  rejects_config<CoinGameRules>("coins", [](Config& c) { c.coins.value = 3; });
  rejects_config<CoinGameRules>("coin_reward", [](Config& c) { c.coin_reward = std::nan(""); });
  rejects_config<CoinGameRules>("theft_reward", [](Config& c) { c.theft_reward = -1e7; });
}

}  // namespace coin

}  // namespace
