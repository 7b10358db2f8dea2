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
    drew = rng.word() != Rng({1, run}, t, Stream::dynamics).word();
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
  bool drew = false;  ///< whether the last step used random numbers
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
/// No policy is faster alone: the coin is reached on a shortest way, and the next is drawn while
/// the agent stands where this one was.
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

// ------------------------------------------------------------------------------- In the matrix

namespace matrix {

enum { kLeft, kRight, kForward, kInteract, kStay };
enum { kNorth, kEast, kSouth, kWest };

InTheMatrixGame::Config config(int game = 0, int players = 2) {
  InTheMatrixGame::Config c;
  c.game.value = game;
  c.players = players;
  return c;
}

using Arena8 = Play<InTheMatrixGame>;

/// Agents as row, column, direction each, not frozen; nobody holds anything unless told.
Words standing(const List& places, const List& holds = {}, int64_t kinds = 2) {
  Words words;
  for (size_t i = 0; i < places.size(); i += 3) {
    words["agents"].insert(words["agents"].end(), {places[i], places[i + 1], places[i + 2], 0, -1});
  }
  words["holds"] = holds;
  words["holds"].resize(places.size() / 3 * static_cast<size_t>(kinds));
  words["present"] = List(12, 0);
  return words;
}

/// Row, column, direction of all agents.
List places(Arena8& game) {
  List out;
  const List all = game.words().at("agents");
  for (size_t i = 0; i < all.size(); i += 5) {
    out.insert(out.end(), {all[i], all[i + 1], all[i + 2]});
  }
  return out;
}

/// STORM's places (COIN_SPAWNS of storm_2p.py) in its order: every other one is of the same kind.
TEST(InTheMatrix, ResourcesLieAsInStorm) {
  Arena8 game(config());
  const int storm[12][2] = {{1, 1}, {1, 2}, {2, 1}, {1, 6}, {2, 6}, {1, 5},
                            {6, 2}, {5, 1}, {6, 1}, {6, 6}, {6, 5}, {5, 6}};
  game.set(standing({0, 0, 0, 7, 7, 0}));
  game.set({{"present", List(12, 1)}});
  for (int k = 0; k < 12; ++k) {
    const Glyph glyph = InTheMatrixGame::glyph(game.params, game.state, storm[k][0], storm[k][1]);
    EXPECT_EQ(glyph.symbol, k % 2 == 0 ? '0' : '1') << k;
  }
  EXPECT_EQ(game.picture(),
            "A       \n"
            " 01  11 \n"
            " 0    0 \n"
            "        \n"
            "        \n"
            " 1    1 \n"
            " 00  01 \n"
            "       B\n");
  InTheMatrixGame::Config c = config();
  c.size = {3, 4};
  Arena8 small(c);
  small.set({{"agents", {0, 0, 0, 0, -1, 2, 3, 0, 0, -1}}, {"holds", {0, 0, 0, 0}}});
  EXPECT_EQ(small.picture(),
            "A   \n"
            " 01 \n"
            "   B\n");
}

TEST(InTheMatrix, TurnsAndMoves) {
  Arena8 game(config());
  game.set(standing({3, 3, kNorth, 7, 7, kSouth}));
  const auto after = [&](int action) {
    game.step({action, kStay});
    List at = places(game);
    at.resize(3);
    return at;
  };
  EXPECT_EQ(after(kRight), (List{3, 3, kEast}));
  EXPECT_EQ(after(kForward), (List{3, 4, kEast}));
  EXPECT_EQ(after(kRight), (List{3, 4, kSouth}));
  EXPECT_EQ(after(kForward), (List{4, 4, kSouth}));
  EXPECT_EQ(after(kRight), (List{4, 4, kWest}));
  EXPECT_EQ(after(kForward), (List{4, 3, kWest}));
  EXPECT_EQ(after(kRight), (List{4, 3, kNorth}));
  EXPECT_EQ(after(kForward), (List{3, 3, kNorth}));
  EXPECT_EQ(after(kLeft), (List{3, 3, kWest}));
  EXPECT_EQ(after(kStay), (List{3, 3, kWest}));
  EXPECT_EQ(after(kInteract), (List{3, 3, kWest}));
  const int64_t edges[4][2] = {{0, 3}, {3, 7}, {7, 3}, {3, 0}};
  for (int64_t facing = 0; facing < 4; ++facing) {
    const int64_t row = edges[facing][0], col = edges[facing][1];
    game.set(standing({row, col, facing, 4, 4, kSouth}));
    EXPECT_EQ(after(kForward), (List{row, col, facing}));
  }
}

TEST(InTheMatrix, AgentsSwapFollowAndStop) {
  Arena8 game(config(0, 4));
  const auto play = [&](const List& at, const Actions& actions) {
    List all = at;
    for (const int64_t x : {7, 0, 0, 7, 7, 0}) {
      if (all.size() < 12) all.push_back(x);
    }
    Actions four = actions;
    four.resize(4, kStay);
    game.set(standing(all));
    game.step(four);
    List now = places(game);
    now.resize(at.size());
    return now;
  };
  EXPECT_EQ(play({3, 3, kEast, 3, 4, kWest}, {kForward, kForward}),
            (List{3, 4, kEast, 3, 3, kWest}))
      << "swap";
  EXPECT_EQ(play({3, 3, kEast, 3, 4, kEast}, {kForward, kForward}),
            (List{3, 4, kEast, 3, 5, kEast}))
      << "follow";
  EXPECT_EQ(play({3, 3, kEast, 3, 4, kEast}, {kForward, kInteract}),
            (List{3, 3, kEast, 3, 4, kEast}))
      << "into one that stays";
  EXPECT_EQ(play({3, 5, kEast, 3, 6, kEast, 3, 7, kEast}, {kForward, kForward, kForward}),
            (List{3, 5, kEast, 3, 6, kEast, 3, 7, kEast}))
      << "a queue that the edge stops";
  EXPECT_EQ(play({3, 3, kEast, 3, 4, kSouth, 4, 4, kWest, 4, 3, kNorth},
                 {kForward, kForward, kForward, kForward}),
            (List{3, 4, kEast, 4, 4, kSouth, 4, 3, kWest, 3, 3, kNorth}))
      << "a circle";
}

/// 0 and 1 want (3, 4), 2 follows 0: 3,000 draws, half of them for 0.
TEST(InTheMatrix, RivalsForACellDraw) {
  Arena8 game(config(0, 3));
  int first = 0;
  constexpr int kDraws = 3000;
  for (uint64_t run = 0; run < kDraws; ++run) {
    game.set(standing({3, 3, kEast, 3, 5, kWest, 3, 2, kEast}));
    game.step({kForward, kForward, kForward}, run);
    const List now = places(game);
    const bool zero = now == List{3, 4, kEast, 3, 5, kWest, 3, 3, kEast};
    const bool one = now == List{3, 3, kEast, 3, 4, kWest, 3, 2, kEast};
    ASSERT_TRUE(zero || one);
    first += zero ? 1 : 0;
  }
  EXPECT_NEAR(first, kDraws / 2, 4 * std::sqrt(kDraws / 4.0));
}

TEST(InTheMatrix, AgentsCollect) {
  InTheMatrixGame::Config c = config();
  c.capacity = 2;
  Arena8 game(c);
  Words words = standing({1, 0, kEast, 7, 7, kNorth}, {1, 2, 0, 0});
  words["present"] = List(12, 1);
  game.set(words);
  game.step({kForward, kStay});
  EXPECT_EQ(game.words().at("holds"), (List{2, 2, 0, 0}));
  EXPECT_EQ(game.words().at("present"), (List{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(game.extras(0), (Rewards{1, 1, 0, 1, 0, 0, 0, 0, 0}));
  game.step({kForward, kStay});
  EXPECT_EQ(game.words().at("holds"), (List{2, 2, 0, 0})) << "no more than the capacity";
  EXPECT_EQ(game.words().at("present"), (List{0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(game.rewards, (Rewards{0, 0}));
}

/// Agent 0 at (3, 3) holds x = (2/3, 1/3), agent 1 at (3, 4) y = (1/2, 1/2). By hand:
///   prisoner's dilemma: 3/3 + 5/6 + 1/6 = 2; 3/3 + 5/3 + 1/6 = 17/6
///   chicken (3 2 / 5 0): 3/3 + 2/3 + 5/6 = 5/2; 3/3 + 5/3 + 2/6 = 3
///   stag hunt (4 0 / 2 2): 4/3 + 2/6 + 2/6 = 2; 4/3 + 2/3 + 2/6 = 7/3
///   matching pennies: every y = (1/2, 1/2) gives 0
///   Bach or Stravinsky (3, 2 / 2, 3): 3/3 + 2/6 = 4/3; 2/3 + 3/6 = 7/6
TEST(InTheMatrix, SharesOfHoldingsAreTheStrategies) {
  const double pays[6][2] = {{2, 17.0 / 6}, {2.5, 3}, {2, 7.0 / 3}, {0, 0}, {}, {4.0 / 3, 7.0 / 6}};
  for (const int which : {0, 1, 2, 3, 5}) {
    for (const Actions& who :
         {Actions{kInteract, kStay}, Actions{kStay, kInteract}, Actions{kInteract, kInteract}}) {
      Arena8 game(config(which));
      game.set(standing({3, 3, kEast, 3, 4, kWest}, {4, 2, 3, 3}));
      game.step(who);
      EXPECT_NEAR(static_cast<double>(game.rewards[0]), pays[which][0], 1e-6) << which;
      EXPECT_NEAR(static_cast<double>(game.rewards[1]), pays[which][1], 1e-6) << which;
    }
  }
  // Rock against two parts of paper, to which it loses 10, and one of scissors.
  Arena8 game(config(4));
  game.set(standing({3, 3, kEast, 3, 4, kWest}, {5, 0, 0, 0, 2, 1}, 3));
  game.step({kInteract, kStay});
  EXPECT_NEAR(static_cast<double>(game.rewards[0]), -10.0 * 2 / 3 + 10.0 / 3, 1e-6);
  EXPECT_NEAR(static_cast<double>(game.rewards[1]), 10.0 / 3, 1e-6);
  EXPECT_EQ(InTheMatrixGame::reward_bounds(game.params).min, -10);
  EXPECT_EQ(InTheMatrixGame::reward_bounds(game.params).max, 10);
}

TEST(InTheMatrix, PayoffsCanBeGiven) {
  const auto pays = [](const Tensor& payoffs, const List& holds) {
    InTheMatrixGame::Config c = config();
    c.payoffs = payoffs;
    Arena8 game(c);
    game.set(standing({3, 3, kEast, 3, 4, kWest}, holds));
    game.step({kInteract, kStay});
    return game.rewards;
  };
  const Tensor both{{1, 2, 3, 4, 5, 6, 7, 8}, {2, 2, 2}}, common{{1, 2, 3, 4}, {2, 2}};
  EXPECT_EQ(pays(both, {1, 0, 0, 1}), (Rewards{2, 6}));
  EXPECT_EQ(pays(both, {0, 1, 1, 0}), (Rewards{3, 7}));
  EXPECT_EQ(pays(common, {0, 3, 2, 0}), (Rewards{3, 3}));
}

/// Which cells around an agent its beam covers: it looks up at '^'.
TEST(InTheMatrix, BeamByHand) {
  const std::string beam[5] = {"..#..",  // two ahead
                               ".###.",  // ahead, and to both sides of that
                               "..^..",  //
                               ".....",  //
                               "....."};
  for (int facing = 0; facing < 4; ++facing) {
    for (int down = -2; down <= 2; ++down) {
      for (int right = -2; right <= 2; ++right) {
        if (down == 0 && right == 0) continue;
        // Turned clockwise by `facing` quarters.
        int row = down, col = right;
        for (int k = 0; k < facing; ++k) {
          const int old = row;
          row = col;
          col = -old;
        }
        for (const bool reversed : {false, true}) {  // who fires
          Arena8 game(config());
          const List shooter = {3, 4, facing}, target = {3 + row, 4 + col, (facing + 1) & 3};
          List at = reversed ? target : shooter;
          at.insert(at.end(), (reversed ? shooter : target).begin(),
                    (reversed ? shooter : target).end());
          game.set(standing(at, {1, 0, 1, 0}));
          game.step(reversed ? Actions{kStay, kInteract} : Actions{kInteract, kStay});
          const bool hit = beam[down + 2][static_cast<size_t>(right + 2)] == '#';
          EXPECT_EQ(game.rewards, (Rewards{hit ? 3.0F : 0.0F, hit ? 3.0F : 0.0F}))
              << facing << " " << down << " " << right;
        }
      }
    }
  }
}

TEST(InTheMatrix, OnlyReadyAgentsPlay) {
  Arena8 game(config());
  for (const List& holds : {List{0, 0, 1, 0}, List{0, 1, 0, 0}, List{0, 0, 0, 0}}) {
    game.set(standing({3, 3, kEast, 3, 4, kWest}, holds));
    game.step({kInteract, kInteract});
    EXPECT_EQ(game.rewards, (Rewards{0, 0}));
    EXPECT_EQ(game.words().at("holds"), holds);
  }
}

/// A whole game: freeze for five steps with each other's holdings in sight, then a new start.
TEST(InTheMatrix, PlayersFreezeAndComeBack) {
  Arena8 game(config());
  game.set(standing({3, 3, kEast, 3, 4, kWest}, {1, 0, 1, 2}));
  game.step({kInteract, kStay});
  for (int left = 5; left > 0; --left) {
    EXPECT_EQ(game.words().at("agents"), (List{3, 3, kEast, left, 1, 3, 4, kWest, left, 0}));
    EXPECT_EQ(game.words().at("holds"), (List{1, 0, 1, 2}));
    EXPECT_EQ(game.words().at("present"), List(12, 0));
    const float frozen = static_cast<float>(left) / 5, one = 1.0F / 15, two = 2.0F / 15;
    EXPECT_EQ(game.extras(0), (Rewards{one, 0, 0, 1, 0, 0, frozen, one, two}));
    EXPECT_EQ(game.extras(1), (Rewards{one, two, 0, 0, 0, 1, frozen, one, 0}));
    game.step({kInteract, left % 2 == 0 ? kForward : kLeft}, 0, static_cast<uint64_t>(left));
    EXPECT_EQ(game.rewards, (Rewards{0, 0})) << "frozen agents do not play";
  }
  const Words words = game.words();
  EXPECT_EQ(words.at("holds"), (List{0, 0, 0, 0}));
  EXPECT_EQ(words.at("present"), List(12, 1));
  EXPECT_EQ((List{words.at("agents")[3], words.at("agents")[4]}), (List{0, -1}));
  EXPECT_EQ((List{words.at("agents")[8], words.at("agents")[9]}), (List{0, -1}));
  EXPECT_EQ(game.extras(0)[6], 0.0F);

  InTheMatrixGame::Config c = config();
  c.freeze = 0;
  Arena8 prompt(c);
  prompt.set(standing({3, 3, kEast, 3, 4, kWest}, {1, 0, 1, 0}));
  prompt.step({kInteract, kStay});
  EXPECT_EQ(prompt.rewards, (Rewards{3, 3}));
  EXPECT_EQ(prompt.words().at("holds"), (List{0, 0, 0, 0})) << "at once";
}

TEST(InTheMatrix, ResourcesComeBackWithTheLastAgent) {
  InTheMatrixGame::Config c = config(0, 4);
  c.freeze = 0;
  Arena8 game(c);
  const List at = {0, 0, kEast, 0, 1, kWest, 7, 7, kWest, 7, 6, kEast};
  game.set(standing(at, {1, 0, 0, 1, 0, 1, 0, 1}));
  game.step({kInteract, kStay, kStay, kStay});
  EXPECT_EQ(game.words().at("holds"), (List{0, 0, 0, 0, 0, 1, 0, 1}));
  EXPECT_EQ(game.words().at("present"), List(12, 0)) << "two of four are back";
  game.set(standing(at, {1, 0, 0, 1, 0, 1, 0, 1}));
  game.step({kInteract, kStay, kStay, kInteract});
  EXPECT_EQ(game.words().at("holds"), List(8, 0));
  EXPECT_EQ(game.words().at("present"), List(12, 1));
}

/// 20,000 starts: 52 cells without resources and four directions, for both agents.
TEST(InTheMatrix, AgentsStartAnywhereOffTheResources) {
  Arena8 game(config());
  std::map<int64_t, int> first, second, pair;
  for (uint64_t run = 0; run < 20000; ++run) {
    game.reset(run);
    const List at = places(game);
    EXPECT_EQ(game.words().at("present"), List(12, 1));
    ++first[(at[0] * 8 + at[1]) * 4 + at[2]];
    ++second[(at[3] * 8 + at[4]) * 4 + at[5]];
    ++pair[(at[0] * 8 + at[1]) * 64 + at[3] * 8 + at[4]];
  }
  EXPECT_EQ(first.size(), 52U * 4);
  EXPECT_LT(std::abs(deviate(first, 52 * 4)), 4);
  EXPECT_LT(std::abs(deviate(second, 52 * 4)), 4);
  EXPECT_LT(std::abs(deviate(pair, 52 * 51)), 4);
}

TEST(InTheMatrix, ShuffleDealsTheSameKindsElsewhere) {
  InTheMatrixGame::Config c = config(4);
  c.shuffle = true;
  Arena8 game(c);
  std::map<int64_t, int> kinds[12];
  for (uint64_t run = 0; run < 6000; ++run) {
    game.reset(run);
    const List dealt = game.words().at("kinds");  // four of each, or reading would throw
    for (size_t k = 0; k < 12; ++k) ++kinds[k][dealt[k]];
  }
  for (const auto& counts : kinds) EXPECT_LT(std::abs(deviate(counts, 3)), 4.5);
}

/// 0 stands in the way of 1 and 2: each fires at 0 alone, one of them plays. 3 is far away.
TEST(InTheMatrix, OneOfSeveralPairsIsDrawn) {
  Arena8 game(config(0, 4));
  int first = 0;
  constexpr int kDraws = 3000;
  for (uint64_t run = 0; run < kDraws; ++run) {
    game.set(
        standing({3, 3, kNorth, 3, 2, kEast, 3, 4, kWest, 7, 7, kNorth}, {0, 1, 1, 0, 0, 1, 1, 0}));
    game.step({kStay, kInteract, kInteract, kInteract}, run);
    const List at = game.words().at("agents");
    const bool one = game.rewards == Rewards{5, 0, 0, 0} && at[4] == 1 && at[9] == 0;
    const bool two = game.rewards == Rewards{1, 0, 1, 0} && at[4] == 2 && at[14] == 0;
    // Agents 1 and 2 are two cells apart with 0 between them: the beam goes through, so they
    // may play each other.
    const bool others = game.rewards == Rewards{0, 0, 5, 0} && at[9] == 2 && at[14] == 1;
    ASSERT_TRUE(one || two || others);
    first += one ? 1 : 0;
  }
  EXPECT_NEAR(first, kDraws / 3, 4 * std::sqrt(kDraws * 2.0 / 9));
}

TEST(InTheMatrix, TwoPairsPlayInOneStep) {
  Arena8 game(config(0, 4));
  game.set(
      standing({0, 0, kEast, 0, 1, kWest, 7, 7, kWest, 7, 6, kEast}, {1, 0, 0, 1, 0, 1, 0, 1}));
  game.step({kInteract, kInteract, kStay, kInteract});
  EXPECT_EQ(game.rewards, (Rewards{0, 5, 1, 1}));
  EXPECT_EQ(game.words().at("agents"), (List{0, 0, kEast, 5, 1, 0, 1, kWest, 5, 0,  //
                                             7, 7, kWest, 5, 3, 7, 6, kEast, 5, 2}));
}

TEST(InTheMatrix, ResourcesComeBack) {
  InTheMatrixGame::Config c = config();
  c.regrowth = 0.02;
  Arena8 game(c);
  int back = 0;
  constexpr int kDraws = 5000;
  for (uint64_t run = 0; run < kDraws; ++run) {
    game.set(standing({1, 1, kNorth, 7, 7, kNorth}, {1, 0, 0, 0}));
    game.step({kStay, kStay}, run);
    const List there = game.words().at("present");
    EXPECT_EQ(there[0], 0) << "an agent stands there";
    for (const int64_t one : there) back += static_cast<int>(one);
  }
  const double n = 11.0 * kDraws;
  EXPECT_NEAR(back / n, 0.02, 4 * std::sqrt(0.02 * 0.98 / n));
  c.regrowth = 1;
  Arena8 always(c);
  always.set(standing({1, 1, kNorth, 7, 7, kNorth}, {1, 0, 0, 0}));
  always.step({kStay, kStay});
  EXPECT_EQ(always.words().at("present"), (List{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
}

/// STORM's window: what is ahead is up, the agent is in the middle of the last row.
TEST(InTheMatrix, WindowByHand) {
  InTheMatrix::Config c;
  c.sight = 2;
  HostArena arena;
  const auto p = InTheMatrix::make(c, arena);
  // Agent 0 at (1, 4) looks east; the other, ready, at (2, 6) looks north, that is to its left.
  // In sight: columns 4 to 8 (8 is off the grid), rows -1 (off the grid) to 3.
  Arena8 game(c.game);
  Words words = standing({1, 4, kEast, 2, 6, kNorth}, {0, 0, 0, 3});
  words["present"] = {0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0};  // (1, 6) and (1, 5), both kind 1
  game.set(words);
  InTheMatrix::State s{game.state, 0, 0};
  std::vector<float> out(static_cast<size_t>(InTheMatrix::features(p, 0)));
  InTheMatrix::observe(p, s, 0, out.data());
  // Channels: outside; resources 0 to 2; self, other; same way, right, back, left; ready, frozen.
  constexpr size_t kCell = 12;
  ASSERT_EQ(out.size(), 25 * kCell + 9);
  std::vector<float> expected(25 * kCell, 0.0F);
  const auto at = [&](size_t row, size_t col) {
    return expected.begin() + static_cast<int>((row * 5 + col) * kCell);
  };
  for (size_t col = 0; col < 5; ++col) at(0, col)[0] = 1;  // beyond the eastern edge
  for (size_t row = 0; row < 5; ++row) at(row, 0)[0] = 1;  // beyond the northern edge, on the left
  at(4, 2)[4] = at(4, 2)[6] = 1;                           // itself
  at(3, 2)[2] = 1;                                         // one ahead: kind 1
  at(2, 2)[2] = 1;                                         // two ahead: kind 1
  at(2, 3)[5] = at(2, 3)[9] = at(2, 3)[10] = 1;            // two ahead, one to the right
  out.resize(25 * kCell);
  EXPECT_EQ(out, expected);
}

TEST(InTheMatrix, TableIndexByHand) {
  InTheMatrixGame::Config c = config();
  c.size = {3, 4};
  c.capacity = 1;
  c.freeze = 2;
  Arena8 game(c);
  // Places 12 * 4, holdings 4, frozen 1 + 2 * 4, the other 12 * 8, sites 2 * 2.
  EXPECT_EQ(InTheMatrixGame::observations(game.params), 48U * 4 * 9 * 96 * 4);
  game.set({{"agents", {0, 0, kSouth, 0, -1, 2, 3, kWest, 0, -1}},
            {"holds", {0, 0, 0, 1}},
            {"present", {1, 0}}});
  EXPECT_EQ(game.index(0), (((2U * 4 + 0) * 9 + 0) * 96 + (47 * 2 + 1)) * 4 + 2);
  EXPECT_EQ(game.index(1), (((47U * 4 + 1) * 9 + 0) * 96 + (2 * 2 + 0)) * 4 + 2);
  game.set({{"agents", {0, 0, kSouth, 2, 1, 2, 3, kWest, 2, 0}},
            {"holds", {1, 0, 0, 1}},
            {"present", {0, 1}}});
  EXPECT_EQ(game.index(0), (((2U * 4 + 2) * 9 + 1 + 4 + 1) * 96 + (47 * 2 + 1)) * 4 + 1);
  Arena8 whole(config());
  EXPECT_EQ(InTheMatrixGame::observations(whole.params), 0U);
}

/// Naming the agents in another order names rewards and observations so, in symmetric games.
/// Steps with draws (rivals, several pairs, agents that come back) are left out.
TEST(InTheMatrix, AgentsAreInterchangeable) {
  for (const int players : {2, 3, 5}) {
    Arena8 game(config(1, players)), other(config(1, players));
    const auto n = static_cast<size_t>(players);
    int compared = 0, paid = 0;
    for (uint64_t run = 0; run < 150; ++run) {
      game.reset(run);
      for (uint64_t t = 1; t <= 60; ++t) {
        Words words = game.words();
        List& who = words["agents"];
        List& holds = words["holds"];
        const auto reverse = [&](List& list, size_t each) {
          for (size_t i = 0, j = n - 1; i < j; ++i, --j) {
            for (size_t k = 0; k < each; ++k) std::swap(list[i * each + k], list[j * each + k]);
          }
        };
        reverse(who, 5);
        reverse(holds, 2);
        for (size_t i = 0; i < n; ++i) {
          if (who[5 * i + 4] >= 0) who[5 * i + 4] = static_cast<int64_t>(n) - 1 - who[5 * i + 4];
        }
        other.set(words);
        for (int i = 0; i < players; ++i) {
          ASSERT_EQ(game.sees(i), other.sees(players - 1 - i));
        }
        Actions actions = random_actions(players, 5, run, t);
        game.step(actions, run, t);
        std::reverse(actions.begin(), actions.end());
        other.step(actions, run, t);
        const Words after = game.words();
        List back = after.at("agents");
        reverse(back, 5);
        for (size_t i = 0; i < n; ++i) {
          if (back[5 * i + 4] >= 0) back[5 * i + 4] = static_cast<int64_t>(n) - 1 - back[5 * i + 4];
        }
        ASSERT_EQ(other.drew, game.drew);
        if (game.drew) continue;
        ++compared;
        ASSERT_EQ(other.words().at("agents"), back);
        std::reverse(other.rewards.begin(), other.rewards.end());
        ASSERT_EQ(other.rewards, game.rewards);
        for (const float reward : game.rewards) paid += reward != 0 ? 1 : 0;
      }
    }
    EXPECT_GT(compared, 4000);
    EXPECT_GT(paid, 10);
  }
}

TEST(InTheMatrix, RandomPlay) {
  InTheMatrixGame::Config c = config();
  c.size = {3, 4};
  c.capacity = 1;
  c.freeze = 1;
  c.regrowth = 0.1;
  play_at_random<InTheMatrixGame>(c, 40, 100, true);
  c.shuffle = true;
  c.game.value = 5;  // asymmetric
  play_at_random<InTheMatrixGame>(c, 40, 100, true);
  c.game.value = 0;
  c.shuffle = false;
  c.players = 3;
  c.freeze = 0;
  play_at_random<InTheMatrixGame>(c, 40, 100, true);
  for (const int players : {2, 5, 8}) {
    InTheMatrixGame::Config big = config(4, players);
    big.regrowth = 0.02;
    play_at_random<InTheMatrixGame>(big, 10, 152, false);
    big.size = {5, 4};
    big.freeze = 0;
    play_at_random<InTheMatrixGame>(big, 20, 152, false);
  }
}

TEST(InTheMatrix, StatesAreChecked) {
  const Words good{{"agents", {3, 3, 1, 2, 1, 3, 4, 3, 2, 0}},
                   {"holds", {1, 0, 0, 2}},
                   {"present", {1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}}};
  for (const List& bad :
       {List{8, 3, 1, 2, 1, 3, 4, 3, 2, 0}, List{3, -1, 1, 2, 1, 3, 4, 3, 2, 0},
        List{3, 3, 4, 2, 1, 3, 4, 3, 2, 0}, List{3, 3, 1, 6, 1, 3, 4, 3, 6, 0},
        List{3, 3, 1, 2, 0, 3, 4, 3, 2, 0}, List{3, 3, 1, 2, 1, 3, 4, 3, 1, 0},
        List{3, 3, 1, 0, 1, 3, 4, 3, 2, 0}, List{3, 3, 1, 2, -1, 3, 4, 3, 2, 0},
        List{3, 3, 1, 2, 1, 3, 3, 3, 2, 0}, List{3, 3, 1, 0, -1, 3, 4, 3, 2, 0}}) {
    rejects_state<InTheMatrixGame>(config(), good, "agents", bad);
  }
  for (const List& bad : {List{0, 0, 0, 2}, List{16, 0, 0, 2}, List{-1, 1, 0, 2}}) {
    rejects_state<InTheMatrixGame>(config(), good, "holds", bad);
  }
  rejects_state<InTheMatrixGame>(config(), good, "present", List(12, 2));
  Words beside = good;
  beside["agents"] = {1, 2, 1, 2, 1, 3, 4, 3, 2, 0};
  rejects_state<InTheMatrixGame>(config(), beside, "present", List(12, 1));
  rejects_state<InTheMatrixGame>(config(), good, "kinds", {1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1});
  InTheMatrixGame::Config c = config();
  c.shuffle = true;
  rejects_state<InTheMatrixGame>(c, good, "kinds", List(12, 0));
  rejects_state<InTheMatrixGame>(c, good, "kinds", {2, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1});
}

TEST(InTheMatrix, ConfigurationsAreChecked) {
  using Config = InTheMatrixGame::Config;
  const auto rejects = [](const std::string& key, auto change) {
    rejects_config<InTheMatrixGame>(key, change);
  };
  rejects("size", [](Config& c) { c.size = {8}; });
  rejects("size", [](Config& c) { c.size = {8, 9}; });
  rejects("size", [](Config& c) { c.size = {2, 8}; });
  rejects("size", [](Config& c) { c.size = {3, 3}; });  // one place for two kinds
  rejects("size", [](Config& c) { c.size = {3, 4}, c.game.value = 4; });
  rejects("players", [](Config& c) { c.players = 1; });
  rejects("players", [](Config& c) { c.players = 9; });
  rejects("players", [](Config& c) { c.players = 3, c.game.value = 5; });
  rejects("players", [](Config& c) { c.players = 4, c.game.value = 3; });
  rejects("game", [](Config& c) { c.game.value = 6; });
  rejects("capacity", [](Config& c) { c.capacity = 0; });
  rejects("capacity", [](Config& c) { c.capacity = 16; });
  rejects("freeze", [](Config& c) { c.freeze = 32; });
  rejects("regrowth", [](Config& c) { c.regrowth = 1.1; });
  rejects("regrowth", [](Config& c) { c.regrowth = std::nan(""); });
  rejects("ahead", [](Config& c) { c.ahead = 8; });
  rejects("payoffs", [](Config& c) { c.payoffs = {{1, 2, 3, 4, 5, 6}, {2, 3}}; });
  rejects("payoffs", [](Config& c) { c.payoffs = {{1, 2}, {2}}; });
  rejects("payoffs", [](Config& c) { c.payoffs = {std::vector<double>(32, 1), {2, 4, 4}}; });
  rejects("payoffs", [](Config& c) { c.payoffs = {std::vector<double>(24, 1), {3, 2, 2, 2}}; });
  rejects("payoffs", [](Config& c) { c.payoffs = {{1, 2, 3, 1e7}, {2, 2}}; });
}

}  // namespace matrix

}  // namespace
