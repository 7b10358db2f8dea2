#include "host/src/summary.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <set>

namespace cumarl {
namespace {

bool has_status(double status, RunStatus which) { return status == static_cast<double>(which); }

}  // namespace

Statistic statistic(std::vector<double> values) {
  std::erase_if(values, [](double v) { return std::isnan(v); });
  if (values.empty()) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    return {0, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan};
  }
  Statistic s;
  s.n = values.size();
  const auto n = static_cast<double>(values.size());
  for (const double v : values) s.mean += v;
  s.mean /= n;
  double squares = 0;
  for (const double v : values) squares += (v - s.mean) * (v - s.mean);
  s.sd = values.size() > 1 ? std::sqrt(squares / (n - 1)) : 0.0;
  s.se = s.sd / std::sqrt(n);
  std::sort(values.begin(), values.end());
  const auto quantile = [&](double q) {
    const double place = q * (n - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, values.size() - 1);
    return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
  };
  s.min = values.front();
  s.max = values.back();
  s.q05 = quantile(0.05);
  s.q25 = quantile(0.25);
  s.q50 = quantile(0.50);
  s.q75 = quantile(0.75);
  s.q95 = quantile(0.95);
  return s;
}

std::string label_text(const RowMeaning& meaning, Label label, double value) {
  const auto code = static_cast<uint64_t>(value);
  if (label == Label::yes_no) return code != 0 ? "true" : "false";
  if (label == Label::number) return std::to_string(code);
  std::string text;
  uint64_t rest = code;
  for (size_t i = meaning.actions.size(); i-- > 0;) {
    const auto actions = static_cast<uint64_t>(meaning.actions[i]);
    text = std::to_string(rest % actions) + (text.empty() ? "" : ",") + text;
    rest /= actions;
  }
  return text;
}

std::vector<RunColumn> run_columns(const RowMeaning& meaning) {
  std::set<std::string> metrics;
  for (const OutcomeColumn& one : meaning.columns) {
    if (one.kind == OutcomeColumn::Kind::metric) metrics.insert(one.name);
  }
  std::vector<RunColumn> columns{{"converged", 0}, {"joint_steps", 1}};
  for (size_t c = 0; c < meaning.columns.size(); ++c) {
    const OutcomeColumn& one = meaning.columns[c];
    if (one.kind == OutcomeColumn::Kind::share && metrics.contains(one.name)) continue;
    columns.push_back({one.kind == OutcomeColumn::Kind::curve
                           ? one.name + "_" + std::to_string(one.point)
                           : one.name,
                       kOutcomeHead + c});
  }
  return columns;
}

double run_value(const RunColumn& column, std::span<const double> row) {
  if (column.at > 0) return row[column.at];
  return has_status(row[0], RunStatus::converged) ? 1.0 : 0.0;
}

CellResult summarise(const StoreCell& cell, const CellRows& rows) {
  CellResult out;
  out.set = cell.set;
  const size_t n = rows.runs.size();
  const size_t width = cell.meaning.width();
  const auto diverged = [&](size_t r) {
    return has_status(rows.rows[r * width], RunStatus::diverged);
  };
  const auto column = [&](size_t c) {
    std::vector<double> values;
    values.reserve(n);
    for (size_t r = 0; r < n; ++r) {
      if (!diverged(r)) values.push_back(rows.rows[r * width + c]);
    }
    return values;
  };
  out.runs = n;
  for (size_t r = 0; r < n; ++r) {
    out.converged += has_status(rows.rows[r * width], RunStatus::converged) ? 1 : 0;
    const auto steps = static_cast<uint64_t>(rows.rows[r * width + 1]);
    out.joint_steps += steps;
    if (diverged(r)) {
      out.diverged.push_back({rows.runs[r], static_cast<int>(rows.rows[r * width + 2]), steps});
    }
  }
  out.run_ids = rows.runs;
  for (size_t c = 0; c < cell.meaning.columns.size(); ++c) {
    const OutcomeColumn& one = cell.meaning.columns[c];
    const size_t at = kOutcomeHead + c;
    switch (one.kind) {
      case OutcomeColumn::Kind::metric: out.metrics[one.name] = statistic(column(at)); break;
      case OutcomeColumn::Kind::share: {
        std::map<double, double> counts;
        for (const double value : column(at)) counts[value] += 1;
        auto& shares = out.shares[one.name];
        for (const auto& [value, count] : counts) {
          shares[label_text(cell.meaning, one.label, value)] += count;
        }
        for (auto& [label, share] : shares) share /= static_cast<double>(n - out.diverged.size());
        break;
      }
      case OutcomeColumn::Kind::curve: out.curves[one.name].push_back(statistic(column(at))); break;
    }
  }
  const std::vector<RunColumn> columns = run_columns(cell.meaning);
  for (const RunColumn& one : columns) out.columns.push_back(one.name);
  out.values.reserve(n * columns.size());
  for (size_t r = 0; r < n; ++r) {
    const std::span row(rows.rows.data() + r * width, width);
    for (const RunColumn& one : columns) out.values.push_back(run_value(one, row));
  }
  return out;
}

struct ResultHash::State {
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> hash{XXH3_createState(),
                                                                       XXH3_freeState};
};

ResultHash::ResultHash() : state_(new State) { XXH3_128bits_reset(state_->hash.get()); }
ResultHash::ResultHash(ResultHash&&) noexcept = default;
ResultHash::~ResultHash() = default;

void ResultHash::add(uint64_t run, std::span<const double> row) {
  XXH3_128bits_update(state_->hash.get(), &run, sizeof(run));
  XXH3_128bits_update(state_->hash.get(), row.data(), row.size_bytes());
}

std::string ResultHash::text() const {
  const XXH128_hash_t digest = XXH3_128bits_digest(state_->hash.get());
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx",
                static_cast<unsigned long long>(digest.high64),
                static_cast<unsigned long long>(digest.low64));
  return text;
}

namespace {

/// A result to which cells are added in order.
class Sum {
 public:
  explicit Sum(const StoreHeader& header) {
    result_.experiment = header.experiment;
    result_.device = header.device;
    result_.resolved_config = header.config;
  }
  void add(const StoreCell& cell, const CellRows& rows) {
    const size_t width = cell.meaning.width();
    for (size_t r = 0; r < rows.runs.size(); ++r) {
      hash_.add(rows.runs[r], {rows.rows.data() + r * width, width});
    }
    result_.cells.push_back(summarise(cell, rows));
    result_.runs += result_.cells.back().runs;
    result_.converged += result_.cells.back().converged;
    result_.joint_steps += result_.cells.back().joint_steps;
  }
  Result end() {
    result_.result_hash = hash_.text();
    return std::move(result_);
  }

 private:
  Result result_;
  ResultHash hash_;
};

}  // namespace

Result summarise(const StoreHeader& header, const std::vector<StoreCell>& cells,
                 const std::vector<CellRows>& rows) {
  Sum sum(header);
  for (size_t c = 0; c < cells.size(); ++c) sum.add(cells[c], rows[c]);
  return sum.end();
}

Result summarise(const ResultStore& store) {
  const std::vector<StoreCell>& cells = store.cells();
  Sum sum(store.header());
  CellRows rows;
  size_t cell = 0;
  const auto end_cells_before = [&](size_t next) {
    for (; cell < next; ++cell) {
      sum.add(cells[cell], rows);
      rows.runs.clear();
      rows.rows.clear();
    }
  };
  // run ids rise with cells: cell * runs + number
  for (RowReader reader(store); reader.next();) {
    end_cells_before(reader.cell());
    rows.runs.push_back(reader.run());
    rows.rows.insert(rows.rows.end(), reader.row().begin(), reader.row().end());
  }
  end_cells_before(cells.size());
  return sum.end();
}

}  // namespace cumarl
