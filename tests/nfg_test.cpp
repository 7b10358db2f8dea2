/// The reader of Gambit's .nfg files: every form of the format, and errors with line and column.
#include "host/src/nfg.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "cumarl/error.hpp"

namespace {

using namespace cumarl;
using Numbers = std::vector<double>;
using Names = std::vector<std::string>;

TEST(Nfg, PayoffsWithCounts) {
  // Player 1's strategy runs fastest in a file, the last player's in our tables.
  const auto game = read_nfg(
      "NFG 1 R \"Two by three\" { \"Row\" \"Column\" } { 2 3 }\n"
      "1 -1 2 -2  3 -3 4 -4  5 -5 6 -6\n",
      "g.nfg");
  EXPECT_EQ(game.name, "Two by three");
  EXPECT_EQ(game.players, (Names{"Row", "Column"}));
  EXPECT_EQ(game.actions, (std::vector<Names>{{"1", "2"}, {"1", "2", "3"}}));
  EXPECT_EQ(game.payoffs, (Numbers{1, -1, 3, -3, 5, -5, 2, -2, 4, -4, 6, -6}));
  EXPECT_EQ(game.exact[2], "3");
}

TEST(Nfg, NumbersOfEveryForm) {
  const auto game = read_nfg(
      "NFG 1 D \"\" { \"A\" } { { \"a\" \"b \\\"c\\\\\" \"c\" \"d\" \"e\" \"f\" } }\n"
      "\"A comment { with } braces\"\n 1/3 -0.5 1e-3 +2 .25 -10/4",
      "g.nfg");
  EXPECT_EQ(game.name, "g.nfg");  // no title: the source
  EXPECT_EQ(game.actions[0][1], "b \"c\\");
  EXPECT_EQ(game.payoffs, (Numbers{1.0 / 3.0, -0.5, 1e-3, 2, 0.25, -2.5}));
  EXPECT_EQ(game.exact, (Names{"1/3", "-0.5", "1e-3", "+2", ".25", "-10/4"}));
}

TEST(Nfg, Outcomes) {
  const auto game = read_nfg(
      "NFG 1 R \"Outcomes\" { \"P1\" \"P2\" }\n"
      "{ { \"up\" \"down\" } { \"left\" \"right\" } }\n\"\"\n"
      "{\n{ \"win\" 1, -1 }\n{ \"\" 1/2 -1/2 }\n}\n1 2 0 1",
      "g.nfg");
  EXPECT_EQ(game.payoffs, (Numbers{1, -1, 0, 0, 0.5, -0.5, 1, -1}));
  EXPECT_EQ(game.exact[4], "1/2");
  EXPECT_EQ(game.actions[0], (Names{"up", "down"}));
}

TEST(Nfg, ThreePlayers) {
  std::string text = "NFG 1 R \"t\" { \"a\" \"b\" \"c\" } { 2 1 3 }\n";
  for (int k = 0; k < 18; ++k) text += std::to_string(k) + ' ';
  const auto game = read_nfg(text, "g.nfg");
  // Joint action (1, 0, 2) is 1 * 3 + 2 in our table and 1 + 2 * 2 in the file.
  EXPECT_EQ(game.payoffs[3 * 5], 3.0 * 5);
  EXPECT_EQ(game.payoffs[3 * 2 + 1], 3.0 * 4 + 1);  // (0, 0, 2): 4 in the file
}

TEST(Nfg, ForeignBytesBecomeQuestionMarks) {
  EXPECT_EQ(read_nfg("NFG 1 R \"caf\xe9 \xc3\xa9\" { \"a\" } { 1 } 0", "g").name, "caf? \xc3\xa9");
}

std::string error_of(const std::string& text) {
  try {
    read_nfg(text, "g.nfg");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Nfg, ErrorsNameLineColumnAndWhatWasExpected) {
  const std::string start = "NFG 1 R \"t\" { \"a\" \"b\" } ";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"",
       "g.nfg:1: column 1: expected NFG, which every such file starts with, not the end of the "
       "file"},
      {"EFG 2 R",
       "g.nfg:1: column 1: expected NFG, which every such file starts with, not \"EFG\""},
      {"NFG 2 R", "g.nfg:1: column 5: expected the format's version 1, not \"2\""},
      {"NFG 1 X", "g.nfg:1: column 7: expected R or D, not \"X\""},
      {"NFG 1 R title",
       "g.nfg:1: column 9: expected the game's title in quotation marks, not \"title\""},
      {"NFG 1 R \"title", "g.nfg:1: column 9: this quotation mark is never closed"},
      {"NFG 1 R \"t\"\n  { a }",
       "g.nfg:2: column 5: expected a player's name in quotation marks, or }, not \"a\""},
      {"NFG 1 R \"t\" { }", "g.nfg:1: column 15: expected a player's name, not }"},
      {"NFG 1 R \"t\" { \"1\" \"2\" \"3\" \"4\" \"5\" \"6\" \"7\" }",
       "g.nfg:1: column 39: more players than this program takes: at most 6"},
      {start + "{ 2 x }",
       "g.nfg:1: column 29: expected the number of a player's strategies, not "
       "\"x\""},
      {start + "{ 2 0 }",
       "g.nfg:1: column 29: the number of a player's strategies must be from 1 to 4194304, not 0"},
      {start + "{ 2 2 2 }",
       "g.nfg:1: column 31: expected } after the strategies of 2 players, not "
       "\"2\""},
      {start + "{ 2000 2000 }",
       "g.nfg:1: column 36: more payoffs than this program takes: at most 4194304 (joint "
       "strategies "
       "times players)"},
      {start + "{ 99999999999999999999 1 }",
       "g.nfg:1: column 27: the number of a player's strategies must be from 1 to 4194304, not "
       "99999999999999999999"},
      {start + "{ { } { \"x\" } }", "g.nfg:1: column 27: a player needs at least one strategy"},
      {start + "{ 1 2 }\n1 2\n3 four",
       "g.nfg:3: column 3: expected payoff 4 of 4: a number like 3, -0.5, 1e-3 or 2/3, not "
       "\"four\""},
      {start + "{ 1 1 }\n1",
       "g.nfg:2: column 2: expected payoff 2 of 2: a number like 3, -0.5, 1e-3 or 2/3, not the end "
       "of the file"},
      {start + "{ 1 1 } 1 2 3",
       "g.nfg:1: column 37: expected the end of the file after the last payoff, not \"3\""},
      {start + "{ 1 1 } 1 1e999", "g.nfg:1: column 35: 1e999 is beyond the range of a double"},
      {start + "{ 1 1 } 1 1/0",
       "g.nfg:1: column 35: expected payoff 2 of 2: a number like 3, -0.5, 1e-3 or 2/3, not "
       "\"1/0\""},
      {start + "{ 1 1 } 1 nan",
       "g.nfg:1: column 35: expected payoff 2 of 2: a number like 3, -0.5, 1e-3 or 2/3, not "
       "\"nan\""},
      {start + "{ 1 1 } { { \"o\" 1 } } 1",
       "g.nfg:1: column 43: expected the payoff of player 2: a number like 3, -0.5, 1e-3 or 2/3, "
       "not "
       "\"}\""},
      {start + "{ 1 1 } { { \"o\" 1, 2, 3 } } 1",
       "g.nfg:1: column 47: expected } after an outcome's 2 payoffs, not \"3\""},
      {start + "{ 1 1 } { { \"o\" 1, 2 } } 2",
       "g.nfg:1: column 50: the number of an outcome (0: all get 0) must be from 0 to 1, not 2"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(error_of(text), message) << text;
}

TEST(Nfg, Files) {
  EXPECT_THROW(load_nfg("/nowhere/game.nfg"), IoError);
  EXPECT_THROW(load_nfg("/"), IoError);  // a directory
  const std::string path = testing::TempDir() + "cumarl_nfg_test.nfg";
  std::ofstream(path) << "NFG 1 R \"on disk\" { \"a\" } { 2 } 1 2";
  EXPECT_EQ(load_nfg(path).payoffs, (Numbers{1, 2}));
  std::remove(path.c_str());
}

}  // namespace
