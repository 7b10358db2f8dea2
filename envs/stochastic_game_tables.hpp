/// \file
/// Builders of the games of stochastic_game.hpp: rules in, complete transition tables out. Host only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/core/fields.hpp"
#include "kernels/core/hd.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// `count` coordinates of a state that are shown together; a list ends with a null key.
struct CoordName {
  const char* key;
  int count;
};

/// A stochastic game as tables. Cell (s, j) is entry s * joint() + j, agent 0's action the highest
/// digit of joint action j.
struct GameTable {
  static constexpr int kMaxPlayers = 2;
  static constexpr size_t kMaxCells = size_t{1} << 22;

  /// What can follow a joint action.
  struct Successor {
    int next;
    double probability;
    std::array<double, kMaxPlayers> paid;
  };

  int players = 2;
  std::array<int, kMaxPlayers> actions{};
  int coords = 0;
  const CoordName* names = nullptr;
  std::vector<int16_t> coord;             ///< [states][coords], distinct
  std::vector<unsigned char> terminal;    ///< [states]
  std::vector<int> start;                 ///< states an episode can start in
  std::vector<double> start_probability;  ///< [start]
  std::vector<int> first{0};              ///< [cells + 1]
  std::vector<int> next;                  ///< of a successor
  std::vector<double> probability;        ///< of a successor; sums to 1 over a cell
  std::vector<double> paid;               ///< [successors][players]

  size_t states() const { return terminal.size(); }
  int joint() const {
    int product = 1;
    for (int i = 0; i < players; ++i) product *= actions[static_cast<size_t>(i)];
    return product;
  }

  void add_state(std::initializer_list<int> coordinates, bool over = false) {
    for (const int x : coordinates) coord.push_back(static_cast<int16_t>(x));
    terminal.push_back(over ? 1 : 0);
  }
  void start_in(int state, double chance) {
    start.push_back(state);
    start_probability.push_back(chance);
  }

  /// Fills all cells, once the states are there: `outcomes(state, actions)` lists the successors
  /// (equal ones are merged). A state where the game is over leads to itself and pays nothing.
  template <class Outcomes>
  void fill(Outcomes outcomes) {
    for (size_t s = 0; s < states(); ++s) {
      for (int j = 0; j < joint(); ++j) {
        std::array<int, kMaxPlayers> chosen{};
        int rest = j;
        for (int i = players - 1; i >= 0; --i) {
          const auto agent = static_cast<size_t>(i);
          chosen[agent] = rest % actions[agent];
          rest /= actions[agent];
        }
        std::vector<Successor> list;
        if (terminal[s] != 0) {
          list.push_back({static_cast<int>(s), 1.0, {}});
        } else {
          for (const Successor& one : outcomes(static_cast<int>(s), chosen)) merge(list, one);
        }
        for (const Successor& one : list) {
          next.push_back(one.next);
          probability.push_back(one.probability);
          for (int i = 0; i < players; ++i) paid.push_back(one.paid[static_cast<size_t>(i)]);
        }
        first.push_back(static_cast<int>(next.size()));
      }
    }
  }

 private:
  static void merge(std::vector<Successor>& list, const Successor& one) {
    if (!(one.probability > 0)) return;
    for (Successor& other : list) {
      if (other.next == one.next && other.paid == one.paid) {
        other.probability += one.probability;
        return;
      }
    }
    list.push_back(one);
  }
};

/// Moves of a grid: 0 north, 1 south, 2 west, 3 east, 4 stand. Row 0 is north.
struct GridMove {
  static constexpr int kRow[] = {-1, 1, 0, 0, 0};
  static constexpr int kColumn[] = {0, 0, -1, 1, 0};
};

/// Littman's soccer. Two players, A and B, on a grid; one has the ball. Both choose a move, and the
/// moves are executed in random order. A move into the other's cell does not take place, and the
/// ball goes to (or stays with) the other. A player with the ball who leaves the grid from a cell
/// of the middle row, or the two middle rows, scores: A at the east end, B at the west end, +1 and
/// -1 for the other. Other moves off the grid do nothing. Kick-off: A on row rows / 2 one column
/// from the west end, B mirrored, the ball with either by chance (with three columns, at the ends).
/// On the published 4 x 5 grid: A at (2, 1), B at (1, 3), goals on rows 1 and 2, 760 states.
/// `restart`: a goal is followed by the next kick-off, as published; else it ends the episode, in a
/// last state with all coordinates -1. By symmetry the value of a kick-off is 0 before the ball is
/// given, so that both have the same values.
/// Pre: rows >= 2, columns >= 3. Throws ParameterError beyond, or where the tables get too large.
/// Source: Littman, "Markov games as a framework for multi-agent reinforcement learning", ICML
/// 1994. Deviation: none known; the published picture may be the mirror image.
inline GameTable soccer_table(int rows, int columns, bool restart) {
  static constexpr CoordName kNames[] = {{"players", 4}, {"ball", 1}, {nullptr, 0}};
  constexpr int kActions = 5;
  if (rows < 2) throw ParameterError("rows", "soccer needs 2 or more");
  if (columns < 3) throw ParameterError("columns", "soccer needs 3 or more");
  const int cells = rows * columns;
  if (static_cast<size_t>(cells) * static_cast<size_t>(cells) * 2 * kActions * kActions >
      GameTable::kMaxCells) {
    throw ParameterError("rows",
                         "the field is too large for tables: 2 (rows * columns)^2 states "
                         "of 25 joint actions exceed 2^22");
  }
  GameTable t;
  t.actions = {kActions, kActions};
  t.coords = 5;
  t.names = kNames;
  // state number of (cell of A, cell of B, ball), cells row by row
  const auto number = [&](int a, int b, int ball) {
    return (a * (cells - 1) + (b > a ? b - 1 : b)) * 2 + ball;
  };
  for (int a = 0; a < cells; ++a) {
    for (int b = 0; b < cells; ++b) {
      if (a == b) continue;
      for (int ball = 0; ball < 2; ++ball) {
        t.add_state({a / columns, a % columns, b / columns, b % columns, ball});
      }
    }
  }
  const int over = static_cast<int>(t.states());
  if (!restart) t.add_state({-1, -1, -1, -1, -1}, true);
  const int column = columns > 3 ? 1 : 0;
  const int start_a = rows / 2 * columns + column;
  const int start_b = (rows - 1) / 2 * columns + columns - 1 - column;
  const int kickoff[] = {number(start_a, start_b, 0), number(start_a, start_b, 1)};
  for (const int s : kickoff) t.start_in(s, 0.5);

  struct Play {
    int cell[2];
    int ball;
    int scorer;  ///< -1: nobody
  };
  const auto move = [&](Play& play, int who, int action) {
    const auto m = static_cast<size_t>(action);
    const int row = play.cell[who] / columns + GridMove::kRow[m];
    const int col = play.cell[who] % columns + GridMove::kColumn[m];
    if (col < 0 || col >= columns) {
      const bool goal_row = row >= (rows - 1) / 2 && row <= rows / 2;
      const bool own_end = who == 0 ? col >= columns : col < 0;
      if (goal_row && own_end && play.ball == who) play.scorer = who;
      return;
    }
    if (row < 0 || row >= rows) return;
    const int to = row * columns + col;
    if (to == play.cell[1 - who]) {
      play.ball = 1 - who;
    } else {
      play.cell[who] = to;
    }
  };
  t.fill([&](int s, const std::array<int, GameTable::kMaxPlayers>& chosen) {
    const int16_t* at = &t.coord[static_cast<size_t>(s) * 5];
    std::vector<GameTable::Successor> list;
    for (int leader = 0; leader < 2; ++leader) {
      Play play{{at[0] * columns + at[1], at[2] * columns + at[3]}, at[4], -1};
      for (const int who : {leader, 1 - leader}) {
        if (play.scorer < 0 && chosen[static_cast<size_t>(who)] != 4) {
          move(play, who, chosen[static_cast<size_t>(who)]);
        }
      }
      if (play.scorer < 0) {
        list.push_back({number(play.cell[0], play.cell[1], play.ball), 0.5, {}});
        continue;
      }
      const double a = play.scorer == 0 ? 1.0 : -1.0;
      if (restart) {
        for (const int k : kickoff) list.push_back({k, 0.25, {a, -a}});
      } else {
        list.push_back({over, 0.5, {a, -a}});
      }
    }
    return list;
  });
  return t;
}

/// The two-state game without deterministic stationary equilibrium. In state 0 player 0 decides, in
/// state 1 player 1: action 0 keeps the state, 1 sends play to the other; the other player's action
/// has no effect. Payoffs (player 0, player 1): state 0 keep (1, 0), send (0, 3); state 1 keep
/// (3, 1), send (0, 0). Endless. With gamma = 3/4 the only stationary equilibrium sends with
/// probability 2/3 in state 0 and 5/12 in state 1; values (4, 16/3) and (16/3, 4).
/// Source: Zinkevich, Greenwald and Littman, "Cyclic equilibria in Markov games", NIPS 2005.
/// Deviation: an episode starts in state 0 or 1 by chance.
inline GameTable two_state_table() {
  static constexpr CoordName kNames[] = {{"state", 1}, {nullptr, 0}};
  GameTable t;
  t.actions = {2, 2};
  t.coords = 1;
  t.names = kNames;
  for (int s = 0; s < 2; ++s) {
    t.add_state({s});
    t.start_in(s, 0.5);
  }
  t.fill([](int s, const std::array<int, GameTable::kMaxPlayers>& chosen) {
    const bool send = chosen[static_cast<size_t>(s)] == 1;
    std::array<double, GameTable::kMaxPlayers> paid{};
    if (s == 0) {
      paid = send ? std::array{0.0, 3.0} : std::array{1.0, 0.0};
    } else {
      paid = send ? std::array{0.0, 0.0} : std::array{3.0, 1.0};
    }
    return std::vector<GameTable::Successor>{{send ? 1 - s : s, 1.0, paid}};
  });
  return t;
}

/// The two-step game. In state 0 agent 0 chooses state 1 (2A, action 0) or 2 (2B, action 1), unpaid;
/// there both choose once: 2A pays 7 always, 2B pays 0 1 / 1 8, to each; state 3 is the end. The
/// optimum is 8.
/// Source: Rashid et al., "QMIX", ICML 2018, section 5. Deviation: none.
inline GameTable two_step_table() {
  static constexpr CoordName kNames[] = {{"state", 1}, {nullptr, 0}};
  GameTable t;
  t.actions = {2, 2};
  t.coords = 1;
  t.names = kNames;
  for (int s = 0; s < 4; ++s) t.add_state({s}, s == 3);
  t.start_in(0, 1.0);
  t.fill([](int s, const std::array<int, GameTable::kMaxPlayers>& chosen) {
    constexpr double k2B[] = {0, 1, 1, 8};
    if (s == 0) return std::vector<GameTable::Successor>{{1 + chosen[0], 1.0, {}}};
    const double paid = s == 1 ? 7.0 : k2B[2 * chosen[0] + chosen[1]];
    return std::vector<GameTable::Successor>{{3, 1.0, {paid, paid}}};
  });
  return t;
}

/// The k-step matrix game. The first joint action chooses a branch (2 * action 0 + action 1); from
/// then on the same joint action must be repeated: each time pays 1 to both, another one pays 0 and
/// ends the game, and so do at once, with 2 good branches, the branches 1 and 2. Only branch 0
/// differs in the last of k steps, where it pays 1 1 / 1 4, whatever was played before. The optimum
/// is k + 3; branch 3, where nothing more has to be found out, is the decoy with k.
/// Pre: k >= 2, good_branches 2 or 4. Throws ParameterError.
/// Source: Mahajan et al., "MAVEN", NeurIPS 2019, and its code, nstep_matrix_game.py.
/// Deviation: none.
inline GameTable k_step_table(int k, int good_branches) {
  static constexpr CoordName kNames[] = {{"steps", 1}, {"branch", 1}, {nullptr, 0}};
  if (good_branches != 2 && good_branches != 4) {
    throw ParameterError("good_branches", "must be 2 or 4");
  }
  GameTable t;
  t.actions = {2, 2};
  t.coords = 2;
  t.names = kNames;
  t.add_state({0, 0});
  std::vector<int> slot(4, -1);
  int width = 0;
  for (int b = 0; b < 4; ++b) {
    if (good_branches == 4 || b == 0 || b == 3) slot[static_cast<size_t>(b)] = width++;
  }
  const auto number = [&](int done, int branch) {
    return 1 + (done - 1) * width + slot[static_cast<size_t>(branch)];
  };
  for (int done = 1; done < k; ++done) {
    for (int b = 0; b < 4; ++b) {
      if (slot[static_cast<size_t>(b)] >= 0) t.add_state({done, b});
    }
  }
  const int over = static_cast<int>(t.states());
  t.add_state({-1, -1}, true);
  t.start_in(0, 1.0);
  t.fill([&](int s, const std::array<int, GameTable::kMaxPlayers>& chosen) {
    const int done = t.coord[static_cast<size_t>(s) * 2];
    const int played = 2 * chosen[0] + chosen[1];
    const int branch = done == 0 ? played : t.coord[static_cast<size_t>(s) * 2 + 1];
    double paid = played == branch && slot[static_cast<size_t>(branch)] >= 0 ? 1.0 : 0.0;
    if (done == k - 1 && branch == 0) paid = played == 3 ? 4.0 : 1.0;
    const bool on = done + 1 < k && paid > 0;
    return std::vector<GameTable::Successor>{
        {on ? number(done + 1, branch) : over, 1.0, {paid, paid}}};
  });
  return t;
}

/// Grid games. Two agents start in the lower corners (agent 0 left), and move at the same time; the
/// game ends when one or both reach their goal, which pays `goal`. If both would stand in one cell
/// that is no goal of either, both stay where they are and get `collision`; moves off the grid do
/// nothing; swapping places is allowed.
///  - 1: agent 0's goal is the upper right corner, agent 1's the upper left one.
///  - 2: one goal for both in the middle of the top row; to go north from a lower corner, a barrier
///    has to be passed, which succeeds with probability `barrier`.
///  - 3: as 2 without barriers, but if both enter the goal together, from the sides they get 1.2
///    `goal` each, and if one comes from below, it gets 1.25 `goal` and the other `goal`.
/// The end is one state with all coordinates -1.
/// Pre: rows, columns >= 2, columns odd in 2 and 3. Throws ParameterError.
/// Source: 1 and 2: Hu and Wellman, "Nash Q-learning for general-sum stochastic games", JMLR 4,
/// 2003; 3: Greenwald and Hall, "Correlated Q-learning", ICML 2003 ("GG3", chicken).
/// Deviations: the papers leave open what a move off the grid, swapped places and in 3 an agent
/// alone in the goal (here `goal`) amount to.
inline GameTable grid_game_table(int which, int rows, int columns, double goal, double collision,
                                 double barrier) {
  static constexpr CoordName kNames[] = {{"players", 4}, {nullptr, 0}};
  constexpr int kActions = 4;
  if (rows < 2) throw ParameterError("rows", "grid games need 2 or more");
  if (columns < 2) throw ParameterError("columns", "grid games need 2 or more");
  if (which != 1 && columns % 2 == 0) {
    throw ParameterError("columns", "must be odd: the goal is in the middle");
  }
  const int cells = rows * columns;
  if (static_cast<size_t>(cells) * static_cast<size_t>(cells) * kActions * kActions >
      GameTable::kMaxCells) {
    throw ParameterError("rows",
                         "the grid is too large for tables: (rows * columns)^2 states of "
                         "16 joint actions exceed 2^22");
  }
  const int middle = columns / 2;
  const int goals[] = {which == 1 ? columns - 1 : middle, which == 1 ? 0 : middle};
  const int corner[] = {(rows - 1) * columns, rows * columns - 1};
  GameTable t;
  t.actions = {kActions, kActions};
  t.coords = 4;
  t.names = kNames;
  std::vector<int> number(static_cast<size_t>(cells) * static_cast<size_t>(cells), -1);
  const auto pair = [&](int a, int b) { return static_cast<size_t>(a * cells + b); };
  for (int a = 0; a < cells; ++a) {
    for (int b = 0; b < cells; ++b) {
      if (a == b || a == goals[0] || b == goals[1]) continue;
      number[pair(a, b)] = static_cast<int>(t.states());
      t.add_state({a / columns, a % columns, b / columns, b % columns});
    }
  }
  const int over = static_cast<int>(t.states());
  t.add_state({-1, -1, -1, -1}, true);
  t.start_in(number[pair(corner[0], corner[1])], 1.0);
  t.fill([&](int s, const std::array<int, GameTable::kMaxPlayers>& chosen) {
    const int16_t* at = &t.coord[static_cast<size_t>(s) * 4];
    const int from[] = {at[0] * columns + at[1], at[2] * columns + at[3]};
    int to[2];
    double pass[2];  // probability that the move is made
    for (size_t i = 0; i < 2; ++i) {
      const auto m = static_cast<size_t>(chosen[i]);
      const int row = from[i] / columns + GridMove::kRow[m];
      const int col = from[i] % columns + GridMove::kColumn[m];
      const bool inside = row >= 0 && row < rows && col >= 0 && col < columns;
      to[i] = inside ? row * columns + col : from[i];
      const bool barred = which == 2 && m == 0 && (from[i] == corner[0] || from[i] == corner[1]);
      pass[i] = barred ? barrier : 1.0;
    }
    std::vector<GameTable::Successor> list;
    for (int mask = 0; mask < 4; ++mask) {
      GameTable::Successor one{over, 1.0, {}};
      int end[2];
      for (size_t i = 0; i < 2; ++i) {
        const bool moves = (mask >> i & 1) == 0;
        one.probability *= moves ? pass[i] : 1.0 - pass[i];
        end[i] = moves ? to[i] : from[i];
      }
      const bool home[] = {end[0] == goals[0], end[1] == goals[1]};
      if (home[0] || home[1]) {
        for (size_t i = 0; i < 2; ++i) one.paid[i] = home[i] ? goal : 0.0;
        if (which == 3 && home[0] && home[1]) {
          const bool below[] = {from[0] == middle + columns, from[1] == middle + columns};
          for (size_t i = 0; i < 2; ++i) {
            one.paid[i] = goal * (below[i] ? 1.25 : below[1 - i] ? 1.0 : 1.2);
          }
        }
      } else if (end[0] == end[1]) {
        one.next = s;
        one.paid = {collision, collision};
      } else {
        one.next = number[pair(end[0], end[1])];
      }
      list.push_back(one);
    }
    return list;
  });
  return t;
}

}  // namespace cumarl::inline CUMARL_VARIANT
