#include "host/src/bench_compare.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "cumarl/error.hpp"
#include "host/src/bench_tools.hpp"

namespace cumarl {
namespace {

using Json = nlohmann::json;

struct Row {
  std::string bench, device;
  int64_t threads = 0;
  double median = 0, half_width = 0;  ///< of the median's interval
  bool check = false;
};

[[noreturn]] void fail(const std::string& file, const std::string& key, const std::string& why,
                       const std::string& value = "") {
  throw ConfigError({.source = file, .key = key, .value = value, .why = why});
}

const Json& at(const Json& object, const std::string& file, const std::string& place,
               const char* key) {
  const auto found = object.find(key);
  if (found == object.end()) fail(file, place + key, "is missing");
  return *found;
}

std::string text_at(const Json& object, const std::string& file, const std::string& place,
                    const char* key) {
  const Json& value = at(object, file, place, key);
  if (!value.is_string()) fail(file, place + key, "must be a string", value.dump());
  return value.get<std::string>();
}

double number_at(const Json& object, const std::string& file, const std::string& place,
                 const char* key, double least, double most, const char* range) {
  const Json& value = at(object, file, place, key);
  if (!value.is_number() || !(value.get<double>() >= least && value.get<double>() <= most)) {
    fail(file, place + key, std::string("must be ") + range, value.dump());
  }
  return value.get<double>();
}

Row row_of(const Json& object, const std::string& file, const std::string& place) {
  if (!object.is_object())
    fail(file, place.substr(0, place.size() - 1), "must be an object of `cumarl bench --json`");
  Row row;
  row.bench = text_at(object, file, place, "bench");
  if (const auto set = object.find("set"); set != object.end()) {
    if (!set->is_object()) fail(file, place + "set", "must be an object", set->dump());
    for (const auto& [key, value] : set->items()) row.bench += " " + key + "=" + value.dump();
  }
  row.device = text_at(object, file, place, "device");
  row.threads = static_cast<int64_t>(
      number_at(object, file, place, "threads", 0, 1e6, "a number from 0 to 1e6"));
  row.median =
      number_at(object, file, place, "median", 1e-9, 1e18, "a number of joint steps/s above 0");
  const double iqr =
      number_at(object, file, place, "iqr", 0, 1e18, "a number of joint steps/s from 0 on");
  const double repeats =
      number_at(object, file, place, "repeats", 1, 1e6, "a whole number from 1 to 1e6");
  row.half_width = 1.57 * iqr / std::sqrt(repeats);
  row.check = text_at(object, file, place, "check") == "ok";
  return row;
}

std::vector<Row> rows_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf())) fail(file, "", "cannot be read");
  const Json whole = Json::parse(text.str(), nullptr, false);
  if (whole.is_discarded()) fail(file, "", "is no JSON");
  if (!whole.is_object()) fail(file, "", "must be an object of `cumarl bench --json`");
  std::vector<Row> rows;
  if (const auto list = whole.find("benches"); list != whole.end()) {
    if (!list->is_array()) fail(file, "benches", "must be an array");
    for (size_t k = 0; k < list->size(); ++k) {
      rows.push_back(row_of((*list)[k], file, fmt::format("benches[{}].", k)));
    }
  } else {
    rows.push_back(row_of(whole, file, ""));
  }
  for (size_t k = 0; k < rows.size(); ++k) {
    for (size_t j = 0; j < k; ++j) {
      if (rows[j].bench == rows[k].bench) fail(file, "bench", "is there twice", rows[k].bench);
    }
  }
  return rows;
}

const Row* find(const std::vector<Row>& rows, const std::string& bench) {
  const auto found =
      std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.bench == bench; });
  return found == rows.end() ? nullptr : &*found;
}

BenchRatio ratio_of(const Row& a, const Row& b) {
  BenchRatio out;
  out.bench = a.bench;
  out.a = a.median;
  out.b = b.median;
  out.ratio = b.median / a.median;
  // A median whose interval reaches 0 says nothing on the far side.
  const double least_a = a.median - a.half_width;
  out.low = std::max(0.0, b.median - b.half_width) / (a.median + a.half_width);
  out.high =
      least_a > 0 ? (b.median + b.half_width) / least_a : std::numeric_limits<double>::infinity();
  out.differs = out.low > 1 || out.high < 1;
  if (a.device != b.device) out.notes.push_back("device " + a.device + " and " + b.device);
  if (a.threads != b.threads) {
    out.notes.push_back(fmt::format("{} and {} threads", a.threads, b.threads));
  }
  if (!a.check) out.notes.push_back("check failed in the first");
  if (!b.check) out.notes.push_back("check failed in the second");
  return out;
}

}  // namespace

BenchComparison compare_benches(const std::string& file_a, const std::string& file_b) {
  const std::vector<Row> a = rows_of(file_a), b = rows_of(file_b);
  BenchComparison out;
  for (const Row& row : a) {
    if (const Row* other = find(b, row.bench)) {
      out.rows.push_back(ratio_of(row, *other));
    } else {
      out.only_in_a.push_back(row.bench);
    }
  }
  for (const Row& row : b) {
    if (find(a, row.bench) == nullptr) out.only_in_b.push_back(row.bench);
  }
  if (out.rows.empty()) fail(file_b, "bench", "has no bench in common with " + file_a);
  return out;
}

std::string to_text(const BenchComparison& comparison) {
  std::string text = fmt::format("{:<32} {:>12} {:>12} {:>8}  {:<18} {}\n", "bench", "a", "b",
                                 "b / a", "interval", "verdict");
  size_t different = 0;
  for (const BenchRatio& row : comparison.rows) {
    different += row.differs ? 1 : 0;
    const char* verdict = "within the noise";
    if (row.differs) verdict = row.ratio > 1 ? "faster" : "slower";
    text += fmt::format("{:<32} {:>12.4g} {:>12.4g} {:>8.3f}  {:<18} {}\n", row.bench, row.a, row.b,
                        row.ratio, fmt::format("{:.3f} to {:.3f}", row.low, row.high), verdict);
    for (const std::string& note : row.notes) text += fmt::format("  note: {}\n", note);
  }
  for (const std::string& bench : comparison.only_in_a) text += bench + ": only in the first\n";
  for (const std::string& bench : comparison.only_in_b) text += bench + ": only in the second\n";
  return text + fmt::format("{} of {} differ by more than the noise (joint steps/s; medians)\n",
                            different, comparison.rows.size());
}

std::string to_json(const BenchComparison& comparison) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const BenchRatio& row : comparison.rows) {
    rows.push_back({{"bench", row.bench},
                    {"a", row.a},
                    {"b", row.b},
                    {"ratio", row.ratio},
                    {"low", row.low},
                    {"high", row.high},
                    {"differs", row.differs},
                    {"notes", row.notes}});
  }
  return nlohmann::ordered_json{
      {"rows", rows}, {"only_in_a", comparison.only_in_a}, {"only_in_b", comparison.only_in_b}}
      .dump();
}

std::string noise_warning(const std::string& bench, double median, double iqr) {
  if (!(iqr > 0.1 * median)) return "";
  return fmt::format("{}: the interquartile range is {:.0f}% of the median: noisy", bench,
                     100 * iqr / median);
}

std::string throttling_warning(const std::string& bench, const std::vector<double>& rates) {
  const auto half = static_cast<std::ptrdiff_t>(rates.size() / 2);
  if (half < 3) return "";
  const std::vector<double> first(rates.begin(), rates.begin() + half);
  const std::vector<double> last(rates.end() - half, rates.end());
  const double slower = 1 - quantile(last, 0.5) / quantile(first, 0.5);
  if (*std::max_element(last.begin(), last.end()) >=
          *std::min_element(first.begin(), first.end()) ||
      !(slower > 0.03)) {
    return "";
  }
  return fmt::format(
      "{}: the last {} repeats are {:.0f}% slower than the first {}: the machine slows down, by "
      "heat "
      "or by what else it runs",
      bench, half, 100 * slower, half);
}

std::string load_warning() {
  double load = 0;
  const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
  if (getloadavg(&load, 1) != 1 || load <= cores) return "";
  return fmt::format("the load average is {:.1f} on {} cores: other programs take their time", load,
                     cores);
}

}  // namespace cumarl
