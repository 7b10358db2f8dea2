// Writes a results store as standard input says, for export_test.py.
//
// usage: store_probe DIR < JSON
//
// {"fingerprint": "ab", "runs_per_cell": 3, "finish": true,
//  "cells": [{"set": [["learner.alpha", "0.1"]], "actions": [2, 2],
//             "columns": [["metric", "gain", "number", 0]],
//             "runs": [0], "rows": [[1, 10, 5, 0, 0, 0.25]]}]}
//
// In rows null is NaN, and "inf" and "-inf" are infinite.
#include <cstdio>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>

#include "host/src/store.hpp"
#include "host/src/summary.hpp"

namespace {

using Json = nlohmann::json;

double number(const Json& value) {
  if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (!value.is_string()) return value.get<double>();
  const double infinity = std::numeric_limits<double>::infinity();
  return value == "inf" ? infinity : -infinity;
}

cumarl::OutcomeColumn column(const Json& value) {
  using Kind = cumarl::OutcomeColumn::Kind;
  using cumarl::Label;
  return {value[0] == "metric"  ? Kind::metric
          : value[0] == "share" ? Kind::share
                                : Kind::curve,
          value[1],
          value[2] == "yes_no"         ? Label::yes_no
          : value[2] == "joint_action" ? Label::joint_action
                                       : Label::number,
          value[3]};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    const Json given = Json::parse(std::cin);
    cumarl::StoreHeader header;
    header.experiment = "probe";
    header.fingerprint = given["fingerprint"];
    header.config = "[experiment]\n";
    header.device = "cpu";
    header.runs_per_cell = given["runs_per_cell"];
    std::vector<cumarl::StoreCell> cells;
    std::vector<cumarl::CellRows> rows;
    for (const Json& one : given["cells"]) {
      cumarl::StoreCell& cell = cells.emplace_back();
      for (const Json& set : one["set"]) cell.set.emplace_back(set[0], set[1]);
      for (const Json& actions : one["actions"]) cell.meaning.actions.push_back(actions);
      for (const Json& of_row : one["columns"]) cell.meaning.columns.push_back(column(of_row));
      cumarl::CellRows& of_cell = rows.emplace_back();
      for (const Json& run : one["runs"]) of_cell.runs.push_back(run);
      for (const Json& row : one["rows"]) {
        for (const Json& value : row) of_cell.rows.push_back(number(value));
      }
    }
    auto store = cumarl::ResultStore::create(argv[1], header, cells);
    for (size_t c = 0; c < cells.size(); ++c) store.append(c, rows[c]);
    store.commit();
    if (given["finish"]) store.finish(cumarl::summarise(store));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "store_probe: %s\n", error.what());
    return 1;
  }
}
