/// \file
/// The repeated public goods game.
#pragma once

#include <cstdint>

#include "envs/repeated_game.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Each of n players puts part of an endowment e into a common pot; the pot is multiplied and
/// shared equally: u_i = e - c_i + (multiplier / n) * sum_j c_j. With 1 < multiplier < n giving
/// nothing is dominant and giving everything is best for all.
/// Source: Ledyard, "Public goods: a survey of experimental research", 1995, section 1.
struct PublicGoodsStage {
  static constexpr EnvFacts kFacts{"public_goods",
                                   "Repeated public goods game, 2 to 6 players",
                                   "Ledyard, Public goods: a survey of experimental research, 1995",
                                   Family::matrix,
                                   "contribution: action / (levels - 1) of the endowment",
                                   "all contributions of the last `memory` periods"};
  static constexpr int kMaxPlayers = 6;
  static constexpr int kDefaultMemory = 1;
  static constexpr const char* kSizeKey = "levels";
  static constexpr InitKind kCustomInit = InitKind::constant;
  using Shapes = ShapeList<Shape<2, 2>>;

  struct Config {
    int players = 2;
    int levels = 2;
    double endowment = 1.0;
    double multiplier = 1.5;
  };
  static void fields(FieldVisitor& v, Config& c) {
    v("players", c.players, Bounds{2, kMaxPlayers}, "", "number of players");
    v("levels", c.levels, Bounds{2, 64}, "", "contributions to choose from, from none to all");
    v("endowment", c.endowment, Bounds{1e-6, 1e6}, "payoff", "what a player has each period");
    v("multiplier", c.multiplier, Bounds{0, 1e3}, "", "what the pot is multiplied by");
  }

  struct Params {
    int32_t players;
    int32_t levels;
    double endowment;
    double return_each;  ///< multiplier / players
  };
  static Params make(const Config& c, Arena&) {
    return {c.players, c.levels, c.endowment, c.multiplier / c.players};
  }

  CUMARL_HD static int players(const Params& p) { return p.players; }
  CUMARL_HD static int actions(const Params& p, int) { return p.levels; }

  CUMARL_HD static void payoffs(const Params& p, const int* actions, double* out) {
    double pot = 0;
    for (int i = 0; i < p.players; ++i) pot += level(p, i, actions[i]);
    for (int i = 0; i < p.players; ++i) {
      out[i] = p.endowment - level(p, i, actions[i]) + p.return_each * pot;
    }
  }

  /// From all others giving nothing while I give all, to the reverse, whichever way round.
  static Bounds payoff_bounds(const Params& p) {
    const double alone = p.return_each * p.endowment;
    const double carried = p.endowment + p.return_each * (p.players - 1) * p.endowment;
    const double together = p.return_each * p.players * p.endowment;
    return {alone < p.endowment ? alone : p.endowment, carried > together ? carried : together};
  }

  /// The contribution behind an action.
  CUMARL_HD static double level(const Params& p, int, int action) {
    return p.endowment * action / (p.levels - 1);
  }

  /// Mean contribution as a share of the endowment, 0 to 1.
  template <class Path, class Sink>
  CUMARL_HD static void measure(const Params& p, const Path& path, Sink& sink) {
    double given = 0;
    for (int i = 0; i < p.players; ++i) given += path.level[i];
    sink.metric("contribution", given / (p.players * p.endowment));
  }
};

using PublicGoods = RepeatedGame<PublicGoodsStage>;

}  // namespace cumarl::inline CUMARL_VARIANT
