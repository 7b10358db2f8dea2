/// \file
/// The measures that pricing games share: how much of the way from Nash to joint profit was gone.
#pragma once

#include "kernels/core/hd.hpp"

namespace cumarl::inline CUMARL_VARIANT {

/// Reports profit gain Delta = (pi - piN) / (piM - piN), of the firms' mean profits, and a firm at
/// a time; mean price and profit. `path` holds averages a firm over a limit cycle; `nash_profit`
/// and `monopoly_profit` are of one period, [firms]. Source: Calvano et al., AER 2020, eq. (9).
template <class Path, class Sink>
CUMARL_HD void report_profit_gain(int firms, const double* nash_profit,
                                  const double* monopoly_profit, const Path& path, Sink& sink) {
  double profit = 0, nash = 0, monopoly = 0, price = 0;
  for (int i = 0; i < firms; ++i) {
    profit += path.payoff[i];
    price += path.level[i];
    nash += nash_profit[i];
    monopoly += monopoly_profit[i];
  }
  sink.metric("profit_gain", (profit - nash) / (monopoly - nash));
  sink.metric("mean_price", price / firms);
  sink.metric("mean_profit", profit / firms);
  for (int i = 0; i < firms; ++i) {
    sink.metric("profit_gain",
                (path.payoff[i] - nash_profit[i]) / (monopoly_profit[i] - nash_profit[i]), i);
    sink.metric("mean_price", path.level[i], i);
    sink.metric("mean_profit", path.payoff[i], i);
  }
}

/// Of `count` prices, ascending, the position of the one nearest to `wanted`; of two the lower.
/// Host only.
inline int nearest_price(const double* price, int count, double wanted) {
  const auto apart = [&](int k) {
    return price[k] < wanted ? wanted - price[k] : price[k] - wanted;
  };
  int best = 0;
  for (int k = 1; k < count; ++k) best = apart(k) < apart(best) ? k : best;
  return best;
}

}  // namespace cumarl::inline CUMARL_VARIANT
