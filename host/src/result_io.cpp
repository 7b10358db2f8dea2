#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cumarl/runner.hpp"
#include "host/src/atomic_file.hpp"
#include "host/src/experiment.hpp"

namespace cumarl {
namespace {

using Json = nlohmann::ordered_json;

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json statistic_json(const Statistic& s) {
  return {{"mean", number(s.mean)}, {"sd", number(s.sd)},   {"se", number(s.se)},
          {"min", number(s.min)},   {"q05", number(s.q05)}, {"q25", number(s.q25)},
          {"q50", number(s.q50)},   {"q75", number(s.q75)}, {"q95", number(s.q95)},
          {"max", number(s.max)}};
}

/// "metrics", "shares" and "curves" of a cell.
void add_cell(Json& out, const CellResult& cell) {
  out["metrics"] = Json::object();
  for (const auto& [name, s] : cell.metrics) out["metrics"][name] = statistic_json(s);
  out["shares"] = Json::object();
  for (const auto& [name, labels] : cell.shares) {
    Json& shares = out["shares"][name] = Json::object();
    for (const auto& [label, share] : labels) shares[label] = number(share);
  }
  if (!cell.diverged.empty()) {
    constexpr size_t kNamed = 100;
    Json& diverged = out["diverged"] = {{"runs", cell.diverged.size()}, {"first", Json::array()}};
    for (size_t k = 0; k < std::min(kNamed, cell.diverged.size()); ++k) {
      const Divergence& one = cell.diverged[k];
      diverged["first"].push_back({{"run", one.run}, {"agent", one.agent}, {"step", one.step}});
    }
  }
  if (!cell.curves.empty()) {
    Json& curves = out["curves"] = Json::object();
    for (const auto& [name, points] : cell.curves) {
      Json& curve = curves[name] = {{"mean", Json::array()}, {"se", Json::array()}};
      for (const Statistic& s : points) {
        curve["mean"].push_back(number(s.mean));
        curve["se"].push_back(number(s.se));
      }
    }
  }
}

void write_text(const std::filesystem::path& path, const std::string& text) {
  AtomicFile file(path.string());
  file.write(text);
  file.commit();
}

constexpr char kTablesMagic[8] = {'c', 'u', 'M', 'A', 'R', 'L', 'q', '1'};

}  // namespace

std::string to_json(const Result& result) {
  Json out{{"experiment", result.experiment},  {"runs", result.runs},
           {"converged", result.converged},    {"joint_steps", result.joint_steps},
           {"seconds", result.seconds},        {"device", result.device},
           {"result_hash", result.result_hash}};
  if (result.cells.size() == 1 && result.cells[0].set.empty()) {
    add_cell(out, result.cells[0]);
    return out.dump();
  }
  // Cell by cell: the objects of all cells take many times the memory of their text.
  std::string text = out.dump();
  text.pop_back();
  text += ",\"cells\":[";
  bool first = true;
  for (const CellResult& cell : result.cells) {
    Json one{{"set", Json::object()}, {"runs", cell.runs}, {"converged", cell.converged}};
    for (const auto& [key, value] : cell.set) {
      const Json parsed = Json::parse(value, nullptr, false);
      one["set"][key] = parsed.is_discarded() ? Json(value) : parsed;
    }
    add_cell(one, cell);
    if (!first) text += ',';
    first = false;
    text += one.dump();
  }
  return text + "]}";
}

void save_tables(const Result& result, const std::string& path) {
  AtomicFile file(path);
  file.write(kTablesMagic, sizeof(kTablesMagic));
  const uint64_t head[2] = {result.tables.size(),
                            result.tables.empty() ? 0 : result.tables[0].size()};
  file.write(head, sizeof(head));
  for (const auto& run : result.tables) file.write(run.data(), run.size() * sizeof(double));
  file.commit();
}

TrainedTables load_tables(const std::string& directory) {
  const std::string path = directory + "/tables.bin";
  std::ifstream file(path, std::ios::binary);
  char magic[sizeof(kTablesMagic)];
  uint64_t head[2];
  if (!file.read(magic, sizeof(magic)) || !file.read(reinterpret_cast<char*>(head), sizeof(head)) ||
      std::memcmp(magic, kTablesMagic, sizeof(magic)) != 0) {
    throw IoError(path, "no tables there; run that experiment with experiment.save_tables = true");
  }
  std::error_code ignored;
  const auto size = std::filesystem::file_size(path, ignored);
  if (size != sizeof(magic) + sizeof(head) + head[0] * head[1] * sizeof(double)) {
    throw IoError(path, "is cut short or not a table file");
  }
  TrainedTables tables;
  tables.runs = head[0];
  tables.values.resize(head[0] * head[1]);
  file.read(reinterpret_cast<char*>(tables.values.data()),
            static_cast<std::streamsize>(tables.values.size() * sizeof(double)));
  return tables;
}

void write_result(const Result& result, const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) throw IoError(directory, error.message());
  const fs::path at(directory);
  write_text(at / "config.toml", result.resolved_config);
  if (!result.tables.empty()) save_tables(result, (at / "tables.bin").string());
  write_text(at / "result.json", to_json(result) + "\n");
}

}  // namespace cumarl
