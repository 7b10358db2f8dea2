/// Harvest, Cleanup, Overcooked and box pushing: the rules by hand, symmetries, chances, errors.
/// The expected values are worked out from the rules of the papers that the headers name.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "envs/box_pushing.hpp"
#include "envs/cleanup.hpp"
#include "envs/harvest.hpp"
#include "envs/overcooked.hpp"
#include "kernels/rollout/launch_args.hpp"

namespace {

using namespace cumarl;

using Numbers = std::vector<int64_t>;
using Words = std::map<std::string, Numbers>;
using Rewards = std::vector<float>;

/// Reads a state's fields, or replaces those named.
class Fields : public StateVisitor {
 public:
  explicit Fields(Words in = {}) : words(std::move(in)) {}
  void operator()(const char* key, int64_t* values, int count) override {
    const auto found = words.find(key);
    if (found == words.end()) {
      words[key] = Numbers(values, values + count);
    } else {
      ASSERT_EQ(found->second.size(), static_cast<size_t>(count)) << key;
      std::copy(found->second.begin(), found->second.end(), values);
    }
  }
  Words words;
};

/// A game with its memory.
template <class G>
struct Play {
  explicit Play(const typename G::Config& c) : params(G::make(c, arena)) { reset(0); }

  Words words() {
    Fields fields;
    G::state_fields(fields, params, state);
    return fields.words;
  }
  void set(const Words& words) {
    Fields fields(words);
    G::state_fields(fields, params, state);
  }
  void reset(uint64_t run) {
    Rng rng({1, run}, 0, Stream::reset);
    G::reset(params, state, rng);
  }
  Episode step(std::vector<int> actions, uint64_t run = 0, uint64_t t = 0) {
    actions.resize(G::kMaxAgents);
    rewards.assign(G::kMaxAgents, -9.0F);
    Rng rng({1, run}, t, Stream::dynamics);
    const Episode episode = G::step(params, state, actions.data(), rewards.data(), rng);
    Rng fresh({1, run}, t, Stream::dynamics);
    drew = rng.word() != fresh.word();
    rewards.resize(static_cast<size_t>(G::agents(params)));
    return episode;
  }
  /// All that an agent sees: the cells in `order` (its own numbers of rows and columns), extras.
  std::vector<float> seen(int agent) {
    std::vector<float> out;
    float channel[G::kChannels], extra[G::kMaxExtra];
    for (int row = 0; row < G::rows(params); ++row) {
      for (int col = 0; col < G::cols(params); ++col) {
        G::view(params, state, agent, row, col, channel);
        out.insert(out.end(), channel, channel + G::kChannels);
      }
    }
    G::extra(params, state, agent, extra);
    out.insert(out.end(), extra, extra + G::extras(params));
    out.push_back(static_cast<float>(G::cell_of(params, state, agent)));
    return out;
  }
  uint32_t index(int agent) { return G::index(params, state, agent); }

  HostArena arena;
  typename G::Params params;
  typename G::State state{};
  Rewards rewards;
  bool drew = false;  ///< whether the last step used random numbers
};

std::vector<int> random_actions(int agents, int actions, uint64_t run, uint64_t t) {
  Rng rng({3, run}, t, Stream::explore);
  std::vector<int> out;
  for (int i = 0; i < agents; ++i) {
    out.push_back(static_cast<int>(rng.below(static_cast<uint32_t>(actions))));
  }
  return out;
}

/// Random play: rewards keep to their bounds, values seen to [0, 1]; fields read back give the same
/// state; what an agent sees and its index are one to one.
template <class G>
void keeps_invariants(const typename G::Config& c, int runs, int steps) {
  Play<G> game(c);
  const int n = G::agents(game.params);
  const Bounds bounds = G::reward_bounds(game.params);
  const uint32_t observations = G::observations(game.params);
  std::map<uint32_t, std::vector<float>> by_index;
  std::map<std::vector<float>, uint32_t> by_view;
  for (uint64_t run = 0; run < static_cast<uint64_t>(runs); ++run) {
    game.reset(run);
    for (uint64_t t = 1; t <= static_cast<uint64_t>(steps); ++t) {
      const Episode episode = game.step(random_actions(n, G::kActions, run, t), run, t);
      for (const float reward : game.rewards) {
        ASSERT_GE(static_cast<double>(reward), bounds.min);
        ASSERT_LE(static_cast<double>(reward), bounds.max);
      }
      const Words words = game.words();  // throws for a state that cannot be
      const typename G::State before = game.state;
      game.state = {};
      game.reset(run + 1000);
      game.set(words);
      ASSERT_EQ(game.words(), words);
      for (int i = 0; i < n; ++i) {
        const std::vector<float> seen = game.seen(i);
        for (const float number : seen) ASSERT_GE(number, 0.0F);
        ASSERT_LE(*std::max_element(seen.begin(), seen.end() - 1), 1.0F);
        if (observations == 0) continue;
        const uint32_t index = game.index(i);
        ASSERT_LT(index, observations);
        ASSERT_EQ(by_index.emplace(index, seen).first->second, seen) << "one index, two views";
        ASSERT_EQ(by_view.emplace(seen, index).first->second, index) << "one view, two indices";
      }
      game.state = before;
      if (episode == Episode::ended) break;
    }
  }
  if (observations > 0) {
    EXPECT_GT(by_index.size(), 100U);
  }
}

template <class G, class Change>
std::string refused(Change change) {
  typename G::Config c;
  change(c);
  HostArena arena;
  try {
    G::make(c, arena);
  } catch (const ParameterError& error) {
    return error.key();
  }
  return "";
}

template <class G>
std::string refused_state(Play<G>& game, const char* key, size_t at, int64_t value) {
  Words words = game.words();
  words.at(key).at(at) = value;
  try {
    game.set(words);
  } catch (const ParameterError& error) {
    return error.key();
  }
  return "";
}

// ---------------------------------------------------------------------------------------------
// Harvest

enum { kStay, kAhead, kBack, kLeft, kRight, kTurnLeft, kTurnRight, kTag, kClean };
enum { kNorth, kEast, kSouth, kWest };

HarvestGame::Config harvest(const std::string& map, int players) {
  HarvestGame::Config c;
  c.world.map = map;
  c.world.players = players;
  c.regrowth = {0};
  return c;
}

TEST(Harvest, PlayThroughByHand) {
  Play<HarvestGame> game(harvest("#####/#PAA#/#A.P#/#####", 2));
  game.set({{"agents", {1, 1, kEast, 0, 2, 3, kNorth, 0}}, {"apples", {1, 1, 1}}});
  // A goes east onto an apple, B goes left (west) onto floor.
  game.step({kAhead, kLeft});
  EXPECT_EQ(game.rewards, (Rewards{1, 0}));
  EXPECT_EQ(game.words()["agents"], (Numbers{1, 2, kEast, 0, 2, 2, kNorth, 0}));
  EXPECT_EQ(game.words()["apples"], (Numbers{0, 1, 1}));
  // A turns to the south, B steps back into the wall.
  game.step({kTurnRight, kBack});
  EXPECT_EQ(game.rewards, (Rewards{0, 0}));
  EXPECT_EQ(game.words()["agents"], (Numbers{1, 2, kSouth, 0, 2, 2, kNorth, 0}));
  // Each has the other ahead.
  game.step({kTag, kStay});
  EXPECT_EQ(game.rewards, (Rewards{-1, -50}));
  game.step({kTag, kTag});
  EXPECT_EQ(game.rewards, (Rewards{-51, -51}));
  // B leaves to the west and eats; the beam's side rays begin beside A, B is diagonally below.
  game.step({kTag, kLeft});
  EXPECT_EQ(game.rewards, (Rewards{-1, -49}));
  EXPECT_EQ(game.words()["apples"], (Numbers{0, 1, 0}));
}

TEST(Harvest, TheBeamIsThreeCellsWide) {
  HarvestGame::Config c = harvest("......A/......./......./......./......./......./.......", 2);
  c.world.beam_length = 2;
  Play<HarvestGame> game(c);
  // From (3, 3): ahead two cells; left and right of it two cells each, the first beside the agent.
  const std::map<int, std::set<std::pair<int64_t, int64_t>>> covered{
      {kNorth, {{2, 3}, {1, 3}, {3, 2}, {2, 2}, {3, 4}, {2, 4}}},
      {kEast, {{3, 4}, {3, 5}, {2, 3}, {2, 4}, {4, 3}, {4, 4}}},
      {kSouth, {{4, 3}, {5, 3}, {3, 2}, {4, 2}, {3, 4}, {4, 4}}},
      {kWest, {{3, 2}, {3, 1}, {2, 3}, {2, 2}, {4, 3}, {4, 2}}}};
  for (const auto& [heading, cells] : covered) {
    for (int64_t row = 0; row < 7; ++row) {
      for (int64_t col = 0; col < 7; ++col) {
        if (row == 3 && col == 3) continue;
        game.set({{"agents", {3, 3, heading, 0, row, col, 0, 0}}, {"apples", {0}}});
        game.step({kTag, kStay});
        const bool hit = cells.count({row, col}) > 0;
        EXPECT_EQ(game.rewards, (Rewards{-1, hit ? -50.0F : 0.0F}))
            << heading << " at " << row << " " << col;
      }
    }
  }
}

TEST(Harvest, WallsAndAgentsStopTheBeam) {
  Play<HarvestGame> game(harvest("A......./.......#/........", 3));
  // A at (0, 1) faces east: the centre ray meets B at (0, 3) and ends before C at (0, 4).
  game.set({{"agents", {0, 1, kEast, 0, 0, 3, 0, 0, 0, 4, 0, 0}}, {"apples", {0}}});
  game.step({kTag, kStay, kStay});
  EXPECT_EQ(game.rewards, (Rewards{-1, -50, 0}));
  // The right ray runs through (1, 5), (1, 6) to the wall at (1, 7).
  game.set({{"agents", {0, 5, kEast, 0, 1, 6, 0, 0, 2, 5, 0, 0}}, {"apples", {0}}});
  game.step({kTag, kStay, kStay});
  EXPECT_EQ(game.rewards, (Rewards{-1, -50, 0}));
  // From (0, 7) facing west, the ray to the left would begin in the wall: (1, 6) is safe.
  game.set({{"agents", {0, 7, kWest, 0, 1, 6, 0, 0, 2, 5, 0, 0}}, {"apples", {0}}});
  game.step({kTag, kStay, kStay});
  EXPECT_EQ(game.rewards, (Rewards{-1, 0, 0}));
  // Two beams at once count twice.
  game.set({{"agents", {0, 1, kEast, 0, 0, 3, 0, 0, 0, 5, kWest, 0}}, {"apples", {0}}});
  game.step({kTag, kStay, kTag});
  EXPECT_EQ(game.rewards, (Rewards{-1, -100, -1}));
}

TEST(Harvest, ATimeoutTakesAgentsAway) {
  HarvestGame::Config c = harvest("P..AP", 2);
  c.world.beam.value = Commons::kTimeout;
  c.world.beam_cost = 0;
  c.world.timeout = 3;
  Play<HarvestGame> game(c);
  game.set({{"agents", {0, 0, kEast, 0, 0, 2, kEast, 0}}, {"apples", {1}}});
  game.step({kTag, kAhead});  // B eats before it is hit
  EXPECT_EQ(game.rewards, (Rewards{0, 1}));
  EXPECT_EQ(game.words()["agents"], (Numbers{0, 0, kEast, 0, 0, 3, 0, 3}));
  game.step({kTag, kTag});  // nobody is there
  game.step({kAhead, kTag});
  EXPECT_EQ(game.rewards, (Rewards{0, 0}));
  EXPECT_EQ(game.words()["agents"], (Numbers{0, 1, kEast, 0, 0, 3, 0, 1}));
  game.step({kStay, kAhead});  // the third step away, after which B is back
  const Numbers agents = game.words()["agents"];
  EXPECT_EQ(agents[7], 0);
  EXPECT_TRUE(agents[5] == 0 || agents[5] == 4);
}

TEST(Harvest, MovesAreSimultaneous) {
  HarvestGame::Config c = harvest("A...../....../......", 4);
  c.world.orientation = false;
  Play<HarvestGame> game(c);
  const auto play = [&](const Numbers& cells, const std::vector<int>& actions, uint64_t run = 0) {
    Numbers agents;
    for (size_t i = 0; i < 8; i += 2) {
      agents.insert(agents.end(), {cells[i], cells[i + 1], 0, 0});
    }
    game.set({{"agents", agents}, {"apples", {0}}});
    game.step(actions, run);
    agents = game.words()["agents"];
    Numbers out;
    for (size_t i = 0; i < 16; i += 4) out.insert(out.end(), {agents[i], agents[i + 1]});
    return out;
  };
  const int north = kAhead, south = kBack, west = kLeft, east = kRight;
  EXPECT_EQ(play({1, 1, 1, 2, 1, 3, 0, 5}, {east, east, east, north}),
            (Numbers{1, 2, 1, 3, 1, 4, 0, 5}))
      << "follow";
  EXPECT_EQ(play({1, 1, 1, 2, 2, 5, 0, 5}, {east, west, kStay, kStay}),
            (Numbers{1, 1, 1, 2, 2, 5, 0, 5}))
      << "no swap";
  EXPECT_EQ(play({1, 1, 1, 2, 2, 2, 2, 1}, {east, south, west, north}),
            (Numbers{1, 2, 2, 2, 2, 1, 1, 1}))
      << "a circle";
  EXPECT_EQ(play({1, 1, 1, 2, 1, 3, 0, 0}, {east, east, kStay, kStay}),
            (Numbers{1, 1, 1, 2, 1, 3, 0, 0}))
      << "a queue behind one that stays";
  // Three into (1, 2): each wins with chance 1/3; n = 3,000, standard error 26.
  int wins[3] = {};
  for (uint64_t run = 0; run < 3000; ++run) {
    const Numbers after = play({1, 1, 1, 3, 2, 2, 0, 5}, {east, west, north, kStay}, run);
    int won = 0;
    for (size_t i = 0; i < 3; ++i) {
      if (after[2 * i] == 1 && after[2 * i + 1] == 2) {
        ++wins[i];
        ++won;
      }
    }
    ASSERT_EQ(won, 1);
  }
  for (const int count : wins) EXPECT_NEAR(count, 1000, 4 * 26);
}

TEST(Harvest, ApplesGrowBackByTheirNeighbours) {
  // The place in the middle of 5 x 5 is empty; around it are k apples, further out some more that
  // do not count. n = 40,000 steps each, standard error sqrt(p (1 - p) / n).
  HarvestGame::Config c;
  c.world.map = "AAAAA/AAAAA/AAAAA/AAAAA/AAAAA/P....";
  c.world.players = 1;
  Play<HarvestGame> game(c);
  const double chance[] = {0, 0.005, 0.02, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05};
  const size_t around[] = {6, 7, 8, 11, 13, 16, 17, 18};
  constexpr int kSteps = 40000;
  for (size_t k = 0; k <= 8; ++k) {
    Numbers apples(25, 0);
    for (const size_t far : {size_t{0}, size_t{2}, size_t{10}, size_t{24}}) apples[far] = 1;
    for (size_t j = 0; j < k; ++j) apples[around[(3 * j + k) % 8]] = 1;
    game.set({{"agents", {5, 0, 0, 0}}, {"apples", apples}});
    const HarvestGame::State start = game.state;
    int grown = 0;
    for (uint64_t t = 1; t <= kSteps; ++t) {
      game.state = start;
      game.step({kStay}, k, t);
      grown += Commons::has(game.state.apples, 12) ? 1 : 0;
    }
    const double error = std::sqrt(chance[k] * (1 - chance[k]) / kSteps);
    EXPECT_NEAR(static_cast<double>(grown) / kSteps, chance[k], 4 * error) << k;
  }
}

TEST(Harvest, NothingGrowsUnderAnAgentOrInTheSameStep) {
  HarvestGame::Config c = harvest("AAA/P..", 1);
  c.regrowth = {0, 1};
  Play<HarvestGame> game(c);
  game.set({{"agents", {0, 1, 0, 0}}, {"apples", {1, 0, 0}}});
  game.step({kStay});
  EXPECT_EQ(game.words()["apples"], (Numbers{1, 0, 0}));  // (0, 2) has no neighbour
  game.set({{"agents", {1, 2, 0, 0}}, {"apples", {1, 0, 0}}});
  game.step({kStay});
  EXPECT_EQ(game.words()["apples"], (Numbers{1, 1, 0}))
      << "counts apples before this step's growth";
  game.step({kStay});
  EXPECT_EQ(game.words()["apples"], (Numbers{1, 1, 1}));
}

/// Mirrored and reordered states have mirrored and reordered successors. `map` is its own mirror
/// image, and nothing grows in `c`.
template <class G>
void mirrors_and_permutes(const typename G::Config& c) {
  Play<G> game(c), other(c);
  const int n = game.params.agents, cols = game.params.cols;
  const auto mirror_bits = [&](Numbers& bits, const uint16_t* cells) {
    const Numbers old = bits;
    for (size_t k = 0; k < old.size(); ++k) {
      const int cell = cells[k] / cols * cols + cols - 1 - cells[k] % cols;
      bits[game.params.number[cell]] = old[k];
    }
  };
  const auto mirrored = [&](Words words) {
    Numbers& agents = words["agents"];
    for (size_t i = 0; i < agents.size(); i += 4) {
      agents[i + 1] = cols - 1 - agents[i + 1];
      if (agents[i + 2] % 2 == 1) agents[i + 2] = 4 - agents[i + 2];
    }
    mirror_bits(words["apples"], game.params.place);
    if (words.count("waste") > 0) mirror_bits(words["waste"], game.params.river);
    return words;
  };
  const auto reversed = [](Words words) {
    Numbers& agents = words["agents"];
    for (size_t i = 0, j = agents.size() - 4; i < j; i += 4, j -= 4) {
      for (size_t k = 0; k < 4; ++k) std::swap(agents[i + k], agents[j + k]);
    }
    return words;
  };
  constexpr int kMirror[] = {0, 1, 2, 4, 3, 6, 5, 7, 8};
  int compared = 0, paid = 0;
  for (uint64_t run = 0; run < 3000; ++run) {
    game.reset(run);
    for (uint64_t t = 1; t <= run % 12; ++t) {
      game.step(random_actions(n, G::kActions, run, t), run, t);
    }
    const Words before = game.words();
    const std::vector<int> actions = random_actions(n, G::kActions, run, 99);
    game.step(actions, run, 1);
    const Words after = game.words();
    if (game.drew) continue;  // a contest, which chance decides
    ++compared;
    paid += std::any_of(game.rewards.begin(), game.rewards.end(), [](float r) { return r != 0; });
    const Rewards rewards = game.rewards;

    other.set(mirrored(before));
    std::vector<int> turned_actions;
    for (const int a : actions) turned_actions.push_back(kMirror[a]);
    other.step(turned_actions);
    EXPECT_EQ(other.words(), mirrored(after));
    EXPECT_EQ(other.rewards, rewards);

    other.set(reversed(before));
    game.set(before);
    for (int i = 0; i < n; ++i) {
      EXPECT_EQ(other.seen(i), game.seen(n - 1 - i));
      if (game.params.observations > 0) {
        EXPECT_EQ(other.index(i), game.index(n - 1 - i));
      }
    }
    other.step({actions.rbegin(), actions.rend()});
    EXPECT_EQ(other.words(), reversed(after));
    EXPECT_EQ(other.rewards, Rewards(rewards.rbegin(), rewards.rend()));
    if (testing::Test::HasFailure()) FAIL() << "run " << run;
  }
  EXPECT_GT(compared, 2000);
  EXPECT_GT(paid, 500);
}

TEST(Harvest, MirrorsAndPermutes) {
  mirrors_and_permutes<HarvestGame>(harvest("A...A/.###./.AAA./...../.....", 4));
  mirrors_and_permutes<HarvestGame>(harvest("PAP/.P.", 3));  // small enough for table indices
}

TEST(Harvest, RandomPlayKeepsInvariants) {
  HarvestGame::Config c = harvest("PAA/A.P/..P", 3);
  c.regrowth = {0.1, 0.5};
  keeps_invariants<HarvestGame>(c, 40, 60);
  c.world.players = 2;
  c.world.beam.value = Commons::kTimeout;
  c.world.timeout = 4;
  keeps_invariants<HarvestGame>(c, 40, 60);
  c.world.orientation = false;
  c.world.beam.value = Commons::kNoBeam;
  keeps_invariants<HarvestGame>(c, 40, 60);
  keeps_invariants<HarvestGame>({}, 3, 60);
}

TEST(Harvest, TheWindowTurnsWithTheAgent) {
  HarvestGame::Config c = harvest("A../.../...", 1);
  Play<HarvestGame> game(c);
  // The apple is north-west of the centre: for one that faces east that is left behind.
  const int down[] = {-1, 1, 1, -1}, right[] = {-1, -1, 1, 1};
  for (int heading = 0; heading < 4; ++heading) {
    game.set({{"agents", {1, 1, heading, 0}}, {"apples", {1}}});
    EXPECT_EQ(HarvestGame::look(game.params, game.state, 0, down[heading], right[heading]), 0);
  }
  EXPECT_EQ(HarvestGame::look(game.params, game.state, 0, -2, 0), -1);
}

/// The agent that begins in row 0 goes east all the time; the other does `first`, then `then`.
struct Scripted {
  int first, then;
  Evaluation evaluation() const { return {3, 0, 0}; }
  RunKey key() const { return {1, 0}; }
  Episode play(const Harvest::Params& p, Harvest::State& s, double* values, float* rewards,
               uint64_t t) const {
    int actions[Commons::kMaxAgents] = {};
    for (int i = 0; i < 2; ++i) {
      const bool upper = s.game.cell[i] / p.game.cols == 0;
      actions[i] =
          upper ? int{kRight} : (s.steps == 0 ? first : (s.steps == 1 ? then : int{kStay}));
      values[i] = actions[i];
    }
    Rng rng(key(), t, Stream::dynamics);
    return Harvest::step(p, s, actions, rewards, rng);
  }
};

struct Metrics {
  void metric(const char* name, double value, int = -1) { values[name] = value; }
  std::map<std::string, double> values;
};

std::map<std::string, double> measured(const std::string& map, Commons::Beam beam,
                                       Scripted script) {
  Harvest::Config c;
  c.game = harvest(map, 2);
  c.game.world.orientation = false;
  c.game.world.beam.value = beam;
  c.game.world.timeout = 2;
  c.max_steps = 4;
  HostArena arena;
  const Harvest::Params p = Harvest::make(c, arena);
  Metrics sink;
  Harvest::judge_policies(p, script, sink);
  return sink.values;
}

TEST(Harvest, SocialMeasuresByHand) {
  // R = (4, 0), eaten in steps 1 to 4.
  auto m = measured("PAAAA/P....", Commons::kFine, {kStay, kStay});
  EXPECT_DOUBLE_EQ(m["efficiency"], 1.0);
  EXPECT_DOUBLE_EQ(m["equality"], 0.5);  // 1 - 2 * 4 / (2 * 2 * 4)
  EXPECT_DOUBLE_EQ(m["sustainability"], 1.25);
  EXPECT_DOUBLE_EQ(m["peace"], 2.0);
  // R = (4, 1); in step 2 the lower one, at (1, 1) facing east, hits the upper one at (0, 2).
  m = measured("PAAAA/PA...", Commons::kFine, {kRight, kTag});
  EXPECT_DOUBLE_EQ(m["efficiency"], 1.25);
  EXPECT_DOUBLE_EQ(m["equality"], 0.7);  // 1 - 2 * 3 / (2 * 2 * 5)
  EXPECT_DOUBLE_EQ(m["sustainability"], 1.75);
  EXPECT_DOUBLE_EQ(m["peace"], 1.75);
  // The same with a time-out of 2: away after steps 2 and 3, R = (2, 1).
  m = measured("PAAAA/PA...", Commons::kTimeout, {kRight, kTag});
  EXPECT_DOUBLE_EQ(m["efficiency"], 0.75);
  EXPECT_DOUBLE_EQ(m["equality"], 1 - 2.0 / 12);
  EXPECT_DOUBLE_EQ(m["sustainability"], 1.25);
  EXPECT_DOUBLE_EQ(m["peace"], 1.5);
  m = measured("P..../P...A", Commons::kFine, {kStay, kStay});
  EXPECT_DOUBLE_EQ(m["efficiency"], 0);
  EXPECT_DOUBLE_EQ(m["equality"], 1);
  EXPECT_DOUBLE_EQ(m["sustainability"], 0);
}

TEST(Harvest, BadConfigurationsAndStates) {
  using C = HarvestGame::Config;
  EXPECT_EQ(refused<HarvestGame>([](C&) {}), "");
  EXPECT_EQ(refused<HarvestGame>([](C& c) { c.world.map = ""; }), "map");
  EXPECT_EQ(refused<HarvestGame>([](C& c) { c.world.map = "PPPPP/PA"; }), "map");
  EXPECT_EQ(refused<HarvestGame>([](C& c) { c.world.map = "PPPPPPW"; }), "map");
  EXPECT_EQ(refused<HarvestGame>([](C& c) { c.world.map = "PPPPPP"; }), "map") << "no apples";
  EXPECT_EQ(refused<HarvestGame>([](C& c) { c.world.map = "PAPPP."; }), "players");
  EXPECT_EQ(refused<HarvestGame>([](C& c) { c.world.map = std::string(1025, 'A'); }), "map");
  EXPECT_EQ(refused<HarvestGame>([](C& c) { c.world.players = 9; }), "players");
  EXPECT_EQ(refused<HarvestGame>([](C& c) { c.regrowth.clear(); }), "regrowth");
  EXPECT_EQ(refused<HarvestGame>([](C& c) { c.regrowth = {1.5}; }), "regrowth");
  Play<HarvestGame> game(harvest("A#P/.PP", 2));
  game.set({{"agents", {0, 2, 0, 0, 1, 1, 0, 0}}, {"apples", {1}}});
  EXPECT_EQ(refused_state(game, "agents", 1, 1), "agents") << "in a wall";
  EXPECT_EQ(refused_state(game, "agents", 1, 3), "agents");
  EXPECT_EQ(refused_state(game, "agents", 2, 4), "agents");
  EXPECT_EQ(refused_state(game, "agents", 3, 1), "agents") << "no time-outs";
  EXPECT_EQ(refused_state(game, "agents", 1, 0), "apples") << "an apple under an agent";
  EXPECT_EQ(refused_state(game, "apples", 0, 2), "apples");
}

// ---------------------------------------------------------------------------------------------
// Cleanup

CleanupGame::Config cleanup(const std::string& map, int players) {
  CleanupGame::Config c;
  c.world.map = map;
  c.world.players = players;
  return c;
}

TEST(Cleanup, GrowthDependsOnTheRiver) {
  // Ten river cells, d of which are dirty: apples with .05 (1 - d / 4), none from 4 on; waste with
  // .5, on each clean cell alike, none from 4 on. n = 40,000.
  Play<CleanupGame> game(cleanup("RRRRRWWWWW/A........P", 1));
  constexpr int kSteps = 40000;
  for (const int dirty : {0, 2, 3, 4, 10}) {
    Numbers waste(10, 0);
    for (int k = 0; k < dirty; ++k) waste[static_cast<size_t>((3 * k) % 10)] = 1;
    game.set({{"agents", {1, 9, 0, 0}}, {"apples", {0}}, {"waste", waste}});
    const CleanupGame::State start = game.state;
    int grown = 0, wasted = 0;
    std::vector<int> where(10, 0);
    for (uint64_t t = 1; t <= kSteps; ++t) {
      game.state = start;
      game.step({kStay}, static_cast<uint64_t>(dirty), t);
      grown += static_cast<int>(game.state.apples[0]);
      for (size_t k = 0; k < 10; ++k) {
        if (waste[k] == 1 || !Commons::has(game.state.waste, static_cast<int>(k))) continue;
        ++wasted;
        ++where[k];
      }
    }
    const double apple = dirty < 4 ? 0.05 * (1 - dirty / 4.0) : 0;
    EXPECT_NEAR(static_cast<double>(grown) / kSteps, apple,
                4 * std::sqrt(apple * (1 - apple) / kSteps));
    EXPECT_NEAR(static_cast<double>(wasted) / kSteps, dirty < 4 ? 0.5 : 0, 4 * 0.5 / 200);
    for (size_t k = 0; k < 10 && dirty < 4; ++k) {
      const double share = waste[k] == 1 ? 0 : 0.5 / (10 - dirty);
      EXPECT_NEAR(static_cast<double>(where[k]) / kSteps, share,
                  4 * std::sqrt(share * (1 - share) / kSteps))
          << dirty << " dirty, cell " << k;
    }
  }
}

TEST(Cleanup, EachRayRemovesTheFirstWaste) {
  // Row 0 to 2 are river, the agents stand on the plain.
  Play<CleanupGame> game(cleanup("WWWW.../WWWW.../W#WW.../A....PP", 2));
  const Numbers all(11, 1);
  const auto cleaned = [&](const Numbers& agents) {
    game.set({{"agents", agents}, {"apples", {0}}, {"waste", all}});
    game.step({kClean, kStay});
    EXPECT_EQ(game.rewards, (Rewards{0, 0}));
    std::set<int> out;
    for (int k = 0; k < 11; ++k) {
      if (!Commons::has(game.state.waste, k)) out.insert(k);
    }
    return out;
  };
  // River cells: row 0: 0-3, row 1: 4-7, row 2: 8, wall, 9, 10.
  EXPECT_EQ(cleaned({1, 5, kWest, 0, 3, 6, 0, 0}), (std::set<int>{3, 7, 10}));
  EXPECT_EQ(cleaned({1, 5, kEast, 0, 3, 6, 0, 0}), (std::set<int>{}));
  EXPECT_EQ(cleaned({1, 5, kWest, 0, 1, 4, 0, 0}), (std::set<int>{3, 10})) << "B is in the way";
  EXPECT_EQ(cleaned({3, 1, kNorth, 0, 3, 6, 0, 0}), (std::set<int>{8, 9})) << "a wall ahead";
  // From inside of the river: ahead (0, 1); beside it (1, 0) and (1, 2).
  EXPECT_EQ(cleaned({1, 1, kNorth, 0, 3, 6, 0, 0}), (std::set<int>{1, 4, 6}));
}

TEST(Cleanup, CleaningAndTaggingByHand) {
  Play<CleanupGame> game(cleanup("RRRRW/A.P.P", 2));
  game.set(
      {{"agents", {1, 2, kEast, 0, 1, 4, kNorth, 0}}, {"apples", {1}}, {"waste", {1, 1, 1, 0, 1}}});
  game.step({kTag, kClean});  // B is hit, and cleans (0, 4) all the same
  EXPECT_EQ(game.rewards, (Rewards{-1, -50}));
  EXPECT_EQ(game.words()["waste"], (Numbers{1, 1, 1, 0, 0}));
  game.step({kBack, kStay});
  game.step({kBack, kStay});
  EXPECT_EQ(game.rewards, (Rewards{1, 0}));
  EXPECT_EQ(game.words()["apples"], (Numbers{0}));  // d = .6: nothing grows
}

TEST(Cleanup, MirrorsAndPermutes) {
  CleanupGame::Config c = cleanup("WWWWW/W###W/.A.A./.RAR./.....", 3);
  c.depletion = 1e-6;
  mirrors_and_permutes<CleanupGame>(c);
}

TEST(Cleanup, RandomPlayKeepsInvariants) {
  CleanupGame::Config c = cleanup("WRR/A.A/PP.", 2);
  c.apple_chance = 0.5;
  c.depletion = 0.9;
  keeps_invariants<CleanupGame>(c, 40, 60);
  keeps_invariants<CleanupGame>({}, 3, 60);
}

TEST(Cleanup, BadConfigurationsAndStates) {
  using C = CleanupGame::Config;
  EXPECT_EQ(refused<CleanupGame>([](C&) {}), "");
  EXPECT_EQ(refused<CleanupGame>([](C& c) { c.world.map = "PPPPPA"; }), "map") << "no river";
  EXPECT_EQ(refused<CleanupGame>([](C& c) { c.depletion = 0; }), "depletion");
  EXPECT_EQ(refused<CleanupGame>([](C& c) { c.waste_chance = 2; }), "waste_chance");
  EXPECT_EQ(refused<CleanupGame>([](C& c) { c.apple_chance = -1; }), "apple_chance");
  Play<CleanupGame> game(cleanup("WRA/PP.", 2));
  EXPECT_EQ(refused_state(game, "waste", 0, 3), "waste");
}

// ---------------------------------------------------------------------------------------------
// Overcooked

namespace cook {
enum { kUp, kDown, kEastward, kWestward, kWait, kInteract };
}

TEST(Overcooked, ASoupByHand) {
  using namespace cook;
  // cramped_room:  X X P X X
  //                O . . B O     B puts three onions into the pot, A takes a dish,
  //                X A . . X     waits, and delivers.
  //                X D X S X
  Play<OvercookedGame> game({});
  EXPECT_EQ(game.words()["agents"], (Numbers{2, 1, 0, 0, 1, 3, 0, 0}));
  std::vector<int> a{kDown, kInteract, kUp}, b;
  for (int onion = 0; onion < 3; ++onion) {
    b.insert(b.end(), {kEastward, kInteract, kWestward, kUp, kInteract});
  }
  a.resize(15, kWait);
  for (size_t t = 0; t < 15; ++t) {
    game.step({a[t], b[t]});
    EXPECT_EQ(game.rewards, (Rewards{0, 0}));
  }
  // The third onion went in with step 15, the end of which is the first of 20 steps of cooking.
  EXPECT_EQ(game.words()["pots"], (Numbers{3, 1}));
  EXPECT_EQ(game.words()["agents"], (Numbers{1, 1, 0, 2, 1, 2, 0, 0}));
  game.step({kEastward, kEastward});  // A follows B
  game.step({kUp, kWait});
  EXPECT_EQ(game.words()["agents"], (Numbers{1, 2, 0, 2, 1, 3, 1, 0}));
  for (int t = 18; t <= 34; ++t) game.step({kInteract, kWait});
  EXPECT_EQ(game.words()["pots"], (Numbers{3, 20}));
  EXPECT_EQ(game.words()["agents"][3], 2) << "still a dish";
  game.step({kInteract, kWait});
  EXPECT_EQ(game.words()["pots"], (Numbers{0, 0}));
  EXPECT_EQ(game.words()["agents"][3], 3);
  for (const int action : {kDown, kEastward, kDown}) {
    game.step({action, kWait});
    EXPECT_EQ(game.rewards, (Rewards{0, 0}));
  }
  EXPECT_EQ(game.step({kInteract, kWait}), Episode::goes_on);
  EXPECT_EQ(game.rewards, (Rewards{20, 20}));
  EXPECT_EQ(game.words()["agents"], (Numbers{2, 3, 2, 0, 1, 3, 1, 0}));
}

TEST(Overcooked, HandsCountersAndPots) {
  using namespace cook;
  OvercookedGame::Config c;
  c.shaping = 1;
  Play<OvercookedGame> game(c);
  const Numbers none(9, 0);
  // Counters of cramped_room, row by row: (0,0) (0,1) (0,3) (0,4) (2,0) (2,4) (3,0) (3,2) (3,4).
  const auto set = [&](const Numbers& agents, const Numbers& pots, const Numbers& counters) {
    game.set({{"agents", agents}, {"pots", pots}, {"counters", counters}});
  };
  // A puts a dish onto (0, 1), B tries to put an onion there from nowhere near; then A takes it.
  set({1, 1, 0, 2, 2, 3, 1, 1}, {0, 0}, none);
  game.step({kInteract, kInteract});
  EXPECT_EQ(game.words()["counters"], (Numbers{0, 2, 0, 0, 0, 1, 0, 0, 0}));
  game.step({kInteract, kWait});
  EXPECT_EQ(game.words()["counters"], (Numbers{0, 0, 0, 0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(game.words()["agents"][3], 2);
  // With a thing in hand nothing is taken; a full pot takes no onion; soup is not thrown away.
  set({1, 1, 0, 1, 2, 3, 2, 1}, {0, 0}, {0, 2, 0, 0, 0, 0, 0, 0, 0});
  game.step({kInteract, kInteract});  // B: an onion is not delivered
  EXPECT_EQ(game.words()["agents"], (Numbers{1, 1, 0, 1, 2, 3, 2, 1}));
  set({1, 2, 0, 1, 2, 3, 2, 0}, {3, 5}, none);
  game.step({kInteract, kWait});
  EXPECT_EQ(game.words()["pots"], (Numbers{3, 6}));
  EXPECT_EQ(game.words()["agents"][3], 1);
  // Shaping: 3 for an onion, 5 for a soup, to the one that does it.
  set({1, 2, 0, 1, 2, 3, 2, 3}, {1, 0}, none);
  game.step({kInteract, kInteract});  // and B delivers
  EXPECT_EQ(game.rewards, (Rewards{23, 20}));
  set({2, 1, 2, 0, 1, 2, 0, 2}, {3, 20}, none);
  game.step({kWait, kInteract});
  EXPECT_EQ(game.rewards, (Rewards{0, 5}));
  // 3 for a dish, if a pot is in use, no dish lies about and fewer are held than pots are in use.
  const auto dish = [&](const Numbers& agents, const Numbers& pots, const Numbers& counters) {
    set(agents, pots, counters);
    game.step({kInteract, kWait});
    EXPECT_EQ(game.words()["agents"][3], 2);
    return game.rewards[0];
  };
  EXPECT_EQ(dish({2, 1, 2, 0, 1, 2, 0, 0}, {1, 0}, none), 3.0F);
  EXPECT_EQ(dish({2, 1, 2, 0, 1, 2, 0, 0}, {0, 0}, none), 0.0F);
  EXPECT_EQ(dish({2, 1, 2, 0, 1, 2, 0, 2}, {1, 0}, none), 0.0F);
  EXPECT_EQ(dish({2, 1, 2, 0, 1, 2, 0, 0}, {1, 0}, {2, 0, 0, 0, 0, 0, 0, 0, 0}), 0.0F);
}

TEST(Overcooked, CooksCollide) {
  using namespace cook;
  OvercookedGame::Config c;
  c.layout.value = OvercookedGame::kCoordinationRing;
  Play<OvercookedGame> game(c);
  // X X X P X
  // X . 1 . P     eight floor cells around a counter
  // D 2 X . X
  // O . . . X
  // X O S X X
  EXPECT_EQ(game.words()["agents"], (Numbers{1, 2, 0, 0, 2, 1, 0, 0}));
  EXPECT_EQ(game.params.floors, 8);
  EXPECT_EQ(game.params.pots, 2);
  game.step({kWestward, kUp});  // both into (1, 1): they turn and stay
  EXPECT_EQ(game.words()["agents"], (Numbers{1, 2, 3, 0, 2, 1, 0, 0}));
  game.step({kWestward, kWait});
  game.step({kDown, kUp});  // no swap
  EXPECT_EQ(game.words()["agents"], (Numbers{1, 1, 2, 0, 2, 1, 0, 0}));
  game.step({kDown, kDown});  // following
  EXPECT_EQ(game.words()["agents"], (Numbers{2, 1, 2, 0, 3, 1, 2, 0}));
  game.step({kDown, kWestward});  // into one that faces a dispenser and stays
  EXPECT_EQ(game.words()["agents"], (Numbers{2, 1, 2, 0, 3, 1, 3, 0}));
}

TEST(Overcooked, BothAgentsAreAlike) {
  Play<OvercookedGame> game({}), other({});
  const auto swapped = [](Words words) {
    Numbers& agents = words["agents"];
    for (size_t k = 0; k < 4; ++k) std::swap(agents[k], agents[4 + k]);
    return words;
  };
  int interactions = 0;
  for (uint64_t run = 0; run < 4000; ++run) {
    if (run % 40 == 0) game.reset(run);
    const Words before = game.words();
    const std::vector<int> actions = random_actions(2, 6, run, 0);
    other.set(swapped(before));
    EXPECT_EQ(other.seen(0), game.seen(1));
    game.step(actions);
    if (actions[0] == 5 && actions[1] == 5) continue;  // agent 0 comes first
    interactions += actions[0] == 5 || actions[1] == 5 ? 1 : 0;
    other.step({actions[1], actions[0]});
    EXPECT_EQ(other.words(), swapped(game.words()));
    EXPECT_EQ(other.rewards, (Rewards{game.rewards[1], game.rewards[0]}));
    if (HasFailure()) FAIL() << "run " << run;
  }
  EXPECT_GT(interactions, 500);
}

TEST(Overcooked, RandomPlayKeepsInvariants) {
  OvercookedGame::Config c;
  keeps_invariants<OvercookedGame>(c, 4, 400);
  c.counters = false;
  c.random_start = true;
  c.shaping = 1;
  c.cook_time = 3;
  c.onions = 1;
  keeps_invariants<OvercookedGame>(c, 10, 400);
  c.layout.value = OvercookedGame::kCoordinationRing;
  keeps_invariants<OvercookedGame>(c, 10, 400);
  // Cells, headings and things of both, 23 states of the pot: 96 * 96 * 23.
  c = {};
  c.counters = false;
  EXPECT_EQ(Play<OvercookedGame>(c).params.observations, 211968U);
}

TEST(Overcooked, BadConfigurationsAndStates) {
  using C = OvercookedGame::Config;
  const auto map = [](const char* text) {
    return refused<OvercookedGame>([&](C& c) {
      c.layout.value = OvercookedGame::kOwnMap;
      c.map = text;
    });
  };
  EXPECT_EQ(map("XOXPX/X1.2X/XDXSX"), "");
  EXPECT_EQ(map("XOXPX/X1..X/XDXSX"), "map") << "one agent";
  EXPECT_EQ(map("XOXPX/X112X/XDXSX"), "map");
  EXPECT_EQ(map("XOXXX/X1.2X/XDXSX"), "map") << "no pot";
  EXPECT_EQ(map("XOXPX/.1.2X/XDXSX"), "map") << "floor on the border";
  EXPECT_EQ(map("XOXPX/X1?2X/XDXSX"), "map");
  EXPECT_EQ(refused<OvercookedGame>([](C& c) { c.map = "X"; }), "map");
  EXPECT_EQ(refused<OvercookedGame>([](C& c) { c.cook_time = 0; }), "cook_time");
  EXPECT_EQ(refused<OvercookedGame>([](C& c) { c.onions = 4; }), "onions");
  Play<OvercookedGame> game({});
  EXPECT_EQ(refused_state(game, "agents", 0, 0), "agents") << "on a counter";
  EXPECT_EQ(refused_state(game, "agents", 3, 4), "agents");
  EXPECT_EQ(refused_state(game, "pots", 0, 3), "pots") << "full and not cooking";
  EXPECT_EQ(refused_state(game, "pots", 1, 3), "pots") << "cooking and not full";
  EXPECT_EQ(refused_state(game, "counters", 0, 4), "counters");
}

// ---------------------------------------------------------------------------------------------
// Box pushing

namespace box {
enum { kAnticlockwise, kClockwise, kGo, kWait };
}

BoxPushingGame::Config boxes(int rows, int cols) {
  BoxPushingGame::Config c;
  c.size = {rows, cols};
  c.success = 1;
  return c;
}

TEST(BoxPushing, ByHand) {
  using namespace box;
  Play<BoxPushingGame> game(boxes(3, 4));
  const Words start = game.words();
  EXPECT_EQ(start.at("agents"), (Numbers{2, 0, kEast, 2, 3, kWest}));
  EXPECT_EQ(start.at("small"), (Numbers{1, 0, 1, 3}));
  EXPECT_EQ(start.at("large"), (Numbers{1, 1}));
  // The large box, together.
  EXPECT_EQ(game.step({kGo, kGo}), Episode::goes_on);
  EXPECT_EQ(game.rewards, (Rewards{-0.1F, -0.1F}));
  game.step({kAnticlockwise, kClockwise});
  EXPECT_EQ(game.words()["agents"], (Numbers{2, 1, kNorth, 2, 2, kNorth}));
  const BoxPushingGame::State below = game.state;
  EXPECT_EQ(game.step({kGo, kGo}), Episode::ended);
  EXPECT_EQ(game.rewards, (Rewards{-0.1F + 50, -0.1F + 50}));
  EXPECT_EQ(game.words(), start);
  // Alone it does not move.
  game.state = below;
  EXPECT_EQ(game.step({kGo, kWait}), Episode::goes_on);
  EXPECT_EQ(game.rewards, (Rewards{-0.1F - 5, -0.1F}));
  EXPECT_EQ(game.words()["agents"], (Numbers{2, 1, kNorth, 2, 2, kNorth}));
  // A small box; the other bumps into the wall.
  game.set(start);
  game.step({kAnticlockwise, kAnticlockwise});
  EXPECT_EQ(game.words()["agents"], (Numbers{2, 0, kNorth, 2, 3, kSouth}));
  EXPECT_EQ(game.step({kGo, kGo}), Episode::ended);
  EXPECT_EQ(game.rewards, (Rewards{-0.1F + 10, -0.1F - 5}));
  // Into the other agent, and both into one cell.
  game.set({{"agents", {2, 1, kEast, 2, 2, kNorth}}});
  game.step({kGo, kWait});
  EXPECT_EQ(game.rewards, (Rewards{-0.1F - 5, -0.1F}));
  game.set({{"agents", {2, 1, kEast, 2, 3, kWest}}});
  game.step({kGo, kGo});
  EXPECT_EQ(game.rewards, (Rewards{-0.1F - 5, -0.1F - 5}));
  EXPECT_EQ(game.words()["agents"], (Numbers{2, 1, kEast, 2, 3, kWest}));
}

TEST(BoxPushing, LargerGridsByHand) {
  using namespace box;
  BoxPushingGame::Config c = boxes(5, 6);
  c.goal.value = BoxPushingGame::kContinues;
  Play<BoxPushingGame> game(c);
  EXPECT_EQ(game.words()["small"], (Numbers{2, 0, 2, 5}));
  EXPECT_EQ(game.words()["large"], (Numbers{2, 2}));
  // Two steps north with the large box.
  game.set({{"agents", {3, 3, kNorth, 3, 2, kNorth}}});
  EXPECT_EQ(game.step({kGo, kGo}), Episode::goes_on);
  EXPECT_EQ(game.rewards, (Rewards{-0.1F, -0.1F}));
  EXPECT_EQ(game.words()["large"], (Numbers{1, 2}));
  EXPECT_EQ(game.words()["agents"], (Numbers{2, 3, kNorth, 2, 2, kNorth}));
  EXPECT_EQ(game.step({kGo, kGo}), Episode::goes_on);
  EXPECT_EQ(game.rewards, (Rewards{-0.1F + 50, -0.1F + 50}));
  EXPECT_EQ(game.words()["large"], (Numbers{2, 2})) << "all is back in its place";
  // A small box to the side, until the large box stops it.
  game.set({{"agents", {2, 0, kEast, 4, 5, kNorth}}, {"small", {2, 1, 2, 5}}, {"large", {2, 3}}});
  game.step({kGo, kWait});
  EXPECT_EQ(game.words()["small"], (Numbers{2, 2, 2, 5}));
  EXPECT_EQ(game.words()["agents"], (Numbers{2, 1, kEast, 4, 5, kNorth}));
  game.step({kGo, kWait});
  EXPECT_EQ(game.rewards[0], -0.1F - 5);
  // Back to back on two sides the large box gives way to neither; on one side in two directions too.
  game.set({{"agents", {1, 2, kSouth, 3, 3, kNorth}}, {"small", {2, 0, 2, 5}}, {"large", {2, 2}}});
  game.step({kGo, kGo});
  EXPECT_EQ(game.rewards, (Rewards{-0.1F - 5, -0.1F - 5}));
  EXPECT_EQ(game.words()["large"], (Numbers{2, 2}));
}

TEST(BoxPushing, ValueOfThePublishedOptimumWithHorizonTwo) {
  using namespace box;
  // 17.6 (boxPushingUAI07 of the Dec-POMDP benchmarks): each turns to its small box and pushes it.
  // n = 100,000; a sum has variance 2 * 100 * .09, standard error .0134.
  Play<BoxPushingGame> game({});
  constexpr int kRuns = 100000;
  double total = 0;
  for (uint64_t run = 0; run < kRuns; ++run) {
    game.reset(run);
    for (uint64_t t = 1; t <= 2; ++t) {
      game.step(t == 1 ? std::vector<int>{kAnticlockwise, kClockwise} : std::vector<int>{kGo, kGo},
                run, t);
      total += static_cast<double>(game.rewards[0]) + static_cast<double>(game.rewards[1]);
    }
  }
  EXPECT_NEAR(total / kRuns, 17.6, 4 * 0.0134);
}

TEST(BoxPushing, MirrorsAndPermutes) {
  Play<BoxPushingGame> game(boxes(5, 6)), other(boxes(5, 6));
  const auto mirrored = [](Words words) {
    Numbers& agents = words["agents"];
    for (size_t i = 0; i < 6; i += 3) {
      agents[i + 1] = 5 - agents[i + 1];
      if (agents[i + 2] % 2 == 1) agents[i + 2] = 4 - agents[i + 2];
    }
    Numbers& small = words["small"];
    small[1] = 5 - small[1];
    small[3] = 5 - small[3];
    if (std::pair(small[0], small[1]) > std::pair(small[2], small[3])) {
      std::swap(small[0], small[2]);
      std::swap(small[1], small[3]);
    }
    words["large"][1] = 4 - words["large"][1];
    return words;
  };
  const auto swapped = [](Words words) {
    Numbers& agents = words["agents"];
    for (size_t k = 0; k < 3; ++k) std::swap(agents[k], agents[3 + k]);
    return words;
  };
  constexpr int kMirror[] = {1, 0, 2, 3};
  int moved = 0;
  for (uint64_t run = 0; run < 5000; ++run) {
    if (run % 100 == 0) game.reset(run);
    const Words before = game.words();
    std::vector<int> actions = random_actions(2, 4, run, 0);
    for (int& a : actions) a = a == box::kWait ? int{box::kGo} : a;  // half of the actions
    other.set(swapped(before));
    EXPECT_EQ(other.seen(0), game.seen(1));
    EXPECT_EQ(other.index(0), game.index(1));
    if (game.step(actions) == Episode::ended) {
      game.reset(run);
      continue;
    }
    moved += game.words().at("small") != before.at("small") ? 1 : 0;
    other.step({actions[1], actions[0]});
    EXPECT_EQ(other.words(), swapped(game.words()));
    EXPECT_EQ(other.rewards, (Rewards{game.rewards[1], game.rewards[0]}));
    other.set(mirrored(before));
    other.step({kMirror[actions[0]], kMirror[actions[1]]});
    EXPECT_EQ(other.words(), mirrored(game.words()));
    EXPECT_EQ(other.rewards, game.rewards);
    if (HasFailure()) FAIL() << "run " << run;
  }
  EXPECT_GT(moved, 50);
}

TEST(BoxPushing, WhatIsAhead) {
  BoxPushingGame::Config c = boxes(3, 4);
  c.observe.value = BoxPushingGame::kFront;
  Play<BoxPushingGame> game(c);
  EXPECT_EQ(game.params.observations, 5U);
  const auto seen = [&](int64_t col, int64_t heading) {
    game.set({{"agents", {2, col, heading, 2, 3, kWest}}});
    return game.index(0);
  };
  EXPECT_EQ(seen(0, kEast), 0U);
  EXPECT_EQ(seen(0, kSouth), 1U);
  EXPECT_EQ(seen(0, kWest), 1U);
  EXPECT_EQ(seen(2, kEast), 2U);
  EXPECT_EQ(seen(0, kNorth), 3U);
  EXPECT_EQ(seen(1, kNorth), 4U);
}

TEST(BoxPushing, RandomPlayKeepsInvariants) {
  keeps_invariants<BoxPushingGame>({}, 100, 50);
  BoxPushingGame::Config c = boxes(4, 4);
  c.goal.value = BoxPushingGame::kContinues;
  c.turn_success = 0.5;
  keeps_invariants<BoxPushingGame>(c, 40, 200);
  EXPECT_GT(Play<BoxPushingGame>(c).params.observations, 0U);
  // 3 x 4: only the last row is walked on: (4 places, 4 headings) squared.
  EXPECT_EQ(Play<BoxPushingGame>({}).params.observations, 256U);
}

TEST(BoxPushing, BadConfigurationsAndStates) {
  using C = BoxPushingGame::Config;
  EXPECT_EQ(refused<BoxPushingGame>([](C& c) { c.size = {3}; }), "size");
  EXPECT_EQ(refused<BoxPushingGame>([](C& c) { c.size = {3, 5}; }), "size");
  EXPECT_EQ(refused<BoxPushingGame>([](C& c) { c.size = {2, 4}; }), "size");
  EXPECT_EQ(refused<BoxPushingGame>([](C& c) { c.success = 1.1; }), "success");
  EXPECT_EQ(refused<BoxPushingGame>([](C& c) { c.large = -1; }), "large");
  Play<BoxPushingGame> game(boxes(5, 6));
  EXPECT_EQ(refused_state(game, "small", 0, 0), "small") << "in the goal row";
  EXPECT_EQ(refused_state(game, "large", 1, 5), "large") << "half off the grid";
  EXPECT_EQ(refused_state(game, "large", 1, 4), "large") << "on a small box";
  EXPECT_EQ(refused_state(game, "agents", 2, 4), "agents");
  Play<BoxPushingGame> paper(boxes(3, 4));
  EXPECT_EQ(refused_state(paper, "agents", 0, 0), "agents");
}

}  // namespace
