#include "host/cli/report_command.hpp"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cumarl/runner.hpp"
#include "host/src/plot.hpp"
#include "host/src/report.hpp"

namespace cumarl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw IoError(path.string(), "cannot be read");
  return {std::istreambuf_iterator<char>(file), {}};
}

double real(const Json& value) { return value.is_number() ? value.get<double>() : NAN; }

/// What to_json() wrote of a cell.
void read_cell(const Json& in, CellResult& cell) {
  if (in.contains("diverged")) {
    for (const Json& one : in["diverged"]["first"]) {
      cell.diverged.push_back({one["run"], one["agent"], one["step"]});
    }
    cell.diverged.resize(in["diverged"]["runs"].get<size_t>());
  }
  const uint64_t n = cell.runs - cell.diverged.size();
  for (const auto& [name, s] : in["metrics"].items()) {
    cell.metrics[name] = {n,
                          real(s["mean"]),
                          real(s["sd"]),
                          real(s["se"]),
                          real(s["min"]),
                          real(s["q05"]),
                          real(s["q25"]),
                          real(s["q50"]),
                          real(s["q75"]),
                          real(s["q95"]),
                          real(s["max"])};
  }
  for (const auto& [name, labels] : in["shares"].items()) {
    for (const auto& [label, share] : labels.items()) cell.shares[name][label] = real(share);
  }
  if (!in.contains("curves")) return;
  for (const auto& [name, curve] : in["curves"].items()) {
    for (size_t k = 0; k < curve["mean"].size(); ++k) {
      Statistic point;
      point.n = n;
      point.mean = real(curve["mean"][k]);
      point.se = real(curve["se"][k]);
      cell.curves[name].push_back(point);
    }
  }
}

/// Raw values from runs.csv, whose rows stand in the order of cells.
void read_runs(const std::string& text, Result& result) {
  std::istringstream lines(text);
  std::string line, word;
  std::getline(lines, line);
  std::vector<std::string> names;
  for (std::istringstream head(line); std::getline(head, word, ',');) names.push_back(word);
  for (CellResult& cell : result.cells) {
    const size_t first = 1 + cell.set.size();
    cell.columns.assign(names.begin() + static_cast<ptrdiff_t>(std::min(first, names.size())),
                        names.end());
    for (uint64_t r = 0; r < cell.runs && std::getline(lines, line); ++r) {
      size_t k = 0, from = 0;
      bool quoted = false;
      line += ',';
      for (size_t at = 0; at < line.size(); ++at) {
        if (line[at] == '"') quoted = !quoted;
        if (line[at] != ',' || quoted) continue;
        const std::string value = line.substr(from, at - from);
        if (k == 0) cell.run_ids.push_back(std::stoull(value));
        if (k >= first) cell.values.push_back(value.empty() ? NAN : std::stod(value));
        ++k;
        from = at + 1;
      }
    }
  }
}

Result read_result(const std::string& directory) {
  const fs::path at(directory);
  const Json in = Json::parse(slurp(at / "result.json"), nullptr, false);
  if (!in.is_object()) throw IoError((at / "result.json").string(), "is no JSON object");
  Result result;
  result.experiment = in["experiment"];
  result.device = in["device"];
  result.runs = in["runs"];
  result.converged = in["converged"];
  result.joint_steps = in["joint_steps"];
  result.seconds = real(in["seconds"]);
  result.result_hash = in["result_hash"];
  result.resolved_config = slurp(at / "config.toml");
  const Json whole = Json::array({in});
  for (const Json& one : in.contains("cells") ? in["cells"] : whole) {
    CellResult& cell = result.cells.emplace_back();
    cell.runs = one["runs"];
    cell.converged = one["converged"];
    if (one.contains("set")) {
      for (const auto& [key, value] : one["set"].items()) cell.set.emplace_back(key, value.dump());
    }
    read_cell(one, cell);
  }
  read_runs(slurp(at / "runs.csv"), result);
  return result;
}

}  // namespace

std::string report_command(const std::string& directory, const std::string& out) {
  std::error_code error;
  if (!fs::is_directory(directory, error)) {
    throw ConfigError({.source = "report " + directory, .why = "is no folder of results"});
  }
  const std::string path = out.empty() ? (fs::path(directory) / "report.html").string() : out;
  if (path.back() == '/' || fs::is_directory(path, error)) {
    throw ConfigError({.source = "--out " + path, .why = "must be a file, not a folder"});
  }
  Result result;
  try {
    result = read_result(directory);
  } catch (const IoError& failure) {
    throw ConfigError({.source = "report " + directory, .why = failure.what()});
  }
  const std::string page = html_report(result, find_extras(result, directory));
  try {
    write_picture(page, path);
  } catch (const IoError& failure) {
    fs::remove(path + ".partial", error);
    throw ConfigError(
        {.source = "--out " + path, .why = std::string("cannot be written: ") + failure.what()});
  }
  return path;
}

}  // namespace cumarl
