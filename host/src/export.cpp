#include "host/src/export.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "host/src/atomic_file.hpp"
#include "host/src/config.hpp"
#include "host/src/store.hpp"
#include "host/src/summary.hpp"

namespace cumarl {
namespace {

bool has_diverged(const RowReader& reader) {
  return reader.row()[0] == static_cast<double>(RunStatus::diverged);
}

/// What a sweep set, as a value. Pre: TOML.
ConfigValue swept_value(const std::pair<std::string, std::string>& set) {
  ConfigValue value{set.second};
  std::string why;
  if (!toml_text::parse_value(set.second, set.first, {}, value, why)) value.data = set.second;
  return value;
}

/// A swept value as it is shown: words without quotes, everything else as TOML.
std::string swept_text(const std::pair<std::string, std::string>& set) {
  const ConfigValue value = swept_value(set);
  const auto* word = value.as<std::string>();
  const bool plain = word != nullptr && std::all_of(word->begin(), word->end(), [](char c) {
                       return static_cast<unsigned char>(c) < 0x80;
                     });
  return plain ? *word : set.second;
}

// ---- CSV -----------------------------------------------------------------------------------------

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string field = "\"";
  for (const char c : text) field += c == '"' ? std::string("\"\"") : std::string(1, c);
  return field + '"';
}

/// The shortest text that reads back to the same double; whole numbers without a point.
void append_number(std::string& text, double value) {
  if (std::isnan(value)) {
    text += "NaN";
  } else {
    fmt::format_to(std::back_inserter(text), "{}", value);
  }
}

/// Cells may report different measures: the header names all, and what a cell lacks is empty.
uint64_t write_csv(const ResultStore& store, AtomicFile& file) {
  constexpr size_t kBuffer = size_t{1} << 20;
  std::vector<std::string> names;
  std::unordered_map<std::string, size_t> places;
  for (const StoreCell& cell : store.cells()) {
    for (const RunColumn& column : run_columns(cell.meaning)) {
      if (places.try_emplace(column.name, names.size()).second) names.push_back(column.name);
    }
  }
  std::string text = "run";
  if (!store.cells().empty()) {
    for (const auto& [key, value] : store.cells()[0].set) text += ',' + csv_field(key);
  }
  for (const std::string& name : names) text += ',' + csv_field(name);
  text += '\n';

  uint64_t rows = 0;
  std::optional<size_t> cell;
  std::string swept;
  std::vector<std::optional<RunColumn>> columns;  // [names], of this cell
  for (RowReader reader(store); reader.next(); ++rows) {
    if (cell != reader.cell()) {
      cell = reader.cell();
      const StoreCell& now = store.cells()[*cell];
      swept.clear();
      for (const auto& set : now.set) swept += ',' + csv_field(swept_text(set));
      columns.assign(names.size(), std::nullopt);
      for (const RunColumn& column : run_columns(now.meaning)) {
        columns[places.at(column.name)] = column;
      }
    }
    fmt::format_to(std::back_inserter(text), "{}", reader.run());
    text += swept;
    const bool diverged = has_diverged(reader);
    for (const std::optional<RunColumn>& column : columns) {
      text += ',';
      if (column && (!diverged || column->at < kOutcomeHead)) {
        append_number(text, run_value(*column, reader.row()));
      }
    }
    text += '\n';
    if (text.size() > kBuffer) {
      file.write(text);
      text.clear();
    }
  }
  file.write(text);
  return rows;
}

// ---- NPZ -----------------------------------------------------------------------------------------

/// A zip archive of stored files. Sizes are always written in the 64-bit form (zip64), which every
/// reader of arrays knows, so that there is no other form for large ones.
/// Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3.
class ZipFile {
 public:
  explicit ZipFile(AtomicFile& file) : file_(file) {}

  /// One file in two parts.
  void add(const std::string& name, const std::string& head, const std::vector<std::byte>& body) {
    boost::crc_32_type crc;
    crc.process_bytes(head.data(), head.size());
    crc.process_bytes(body.data(), body.size());
    const uint64_t size = head.size() + body.size();
    std::string local, sizes;
    number<uint64_t>(sizes, size);
    number<uint64_t>(sizes, size);
    number<uint32_t>(local, 0x04034B50);
    common(local, crc.checksum(), name, static_cast<uint16_t>(4 + sizes.size()));
    local += name;
    number<uint16_t>(local, kZip64);
    number<uint16_t>(local, static_cast<uint16_t>(sizes.size()));
    local += sizes;

    std::string extra = sizes;
    number<uint64_t>(extra, at_);
    number<uint32_t>(directory_, 0x02014B50);
    number<uint16_t>(directory_, kVersion);
    common(directory_, crc.checksum(), name, static_cast<uint16_t>(4 + extra.size()));
    number<uint16_t>(directory_, 0);           // comment
    number<uint16_t>(directory_, 0);           // disk
    number<uint16_t>(directory_, 0);           // internal attributes
    number<uint32_t>(directory_, 0);           // external attributes
    number<uint32_t>(directory_, 0xFFFFFFFF);  // offset, in the extra field
    directory_ += name;
    number<uint16_t>(directory_, kZip64);
    number<uint16_t>(directory_, static_cast<uint16_t>(extra.size()));
    directory_ += extra;
    ++files_;

    file_.write(local);
    file_.write(head);
    file_.write(body.data(), body.size());
    at_ += local.size() + size;
  }

  void end() {
    std::string tail;
    number<uint32_t>(tail, 0x06064B50);  // end of central directory, 64 bits
    number<uint64_t>(tail, 44);
    number<uint16_t>(tail, kVersion);
    number<uint16_t>(tail, kVersion);
    number<uint32_t>(tail, 0);
    number<uint32_t>(tail, 0);
    number<uint64_t>(tail, files_);
    number<uint64_t>(tail, files_);
    number<uint64_t>(tail, directory_.size());
    number<uint64_t>(tail, at_);
    number<uint32_t>(tail, 0x07064B50);  // its locator
    number<uint32_t>(tail, 0);
    number<uint64_t>(tail, at_ + directory_.size());
    number<uint32_t>(tail, 1);
    number<uint32_t>(tail, 0x06054B50);  // end of central directory: look above
    number<uint16_t>(tail, 0);
    number<uint16_t>(tail, 0);
    number<uint16_t>(tail, 0xFFFF);
    number<uint16_t>(tail, 0xFFFF);
    number<uint32_t>(tail, 0xFFFFFFFF);
    number<uint32_t>(tail, 0xFFFFFFFF);
    number<uint16_t>(tail, 0);
    file_.write(directory_);
    file_.write(tail);
  }

 private:
  static constexpr uint16_t kVersion = 45;  // the first with zip64
  static constexpr uint16_t kZip64 = 1;     // id of the extra field

  template <class T>
  static void number(std::string& text, T value) {
    for (size_t i = 0; i < sizeof(T); ++i) text += static_cast<char>((value >> 8 * i) & 0xFF);
  }
  /// From the version needed to the length of the extra field, alike in both headers.
  static void common(std::string& text, uint32_t crc, const std::string& name, uint16_t extra) {
    number<uint16_t>(text, kVersion);
    number<uint16_t>(text, 0x0800);  // names are UTF-8
    number<uint16_t>(text, 0);       // stored
    number<uint16_t>(text, 0);       // midnight
    number<uint16_t>(text, 0x21);    // of 1980-01-01: equal results, equal archives
    number<uint32_t>(text, crc);
    number<uint32_t>(text, 0xFFFFFFFF);  // sizes, in the extra field
    number<uint32_t>(text, 0xFFFFFFFF);
    number<uint16_t>(text, static_cast<uint16_t>(name.size()));
    number<uint16_t>(text, extra);
  }

  AtomicFile& file_;
  std::string directory_;
  uint64_t at_ = 0, files_ = 0;
};

/// The head of a .npy file of format 1.0.
/// Source: NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays".
std::string npy_head(const std::string& type, uint64_t rows, uint64_t points) {
  std::string text = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" +
                     std::to_string(rows) + ',' +
                     (points > 0 ? ' ' + std::to_string(points) : std::string()) + "), }";
  constexpr size_t kBefore = 10, kAlign = 64;
  text.append(kAlign - (kBefore + text.size() + 1) % kAlign, ' ');
  text += '\n';
  std::string head("\x93NUMPY\x01\x00", 8);
  head += static_cast<char>(text.size() & 0xFF);
  head += static_cast<char>(text.size() >> 8);
  return head + text;
}

/// One array of the archive.
struct Array {
  enum class Kind : uint8_t { run, cell, converged, diverged, joint_steps, swept, real, label };
  Kind kind;
  std::string name;
  std::string type;     ///< of NumPy: "<f8"
  size_t bytes;         ///< of an element
  size_t key = 0;       ///< of a swept key
  uint64_t points = 0;  ///< of a curve; 0: there is one number a run
};

template <class T>
void store_as(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

/// A swept key as the type that holds all its values.
Array swept_array(const ResultStore& store, size_t key) {
  bool whole = true, real = true, yes_no = true;
  size_t longest = 1;
  for (const StoreCell& cell : store.cells()) {
    const ConfigValue value = swept_value(cell.set[key]);
    whole = whole && value.as<int64_t>() != nullptr;
    real = real && (value.as<int64_t>() != nullptr || value.as<double>() != nullptr);
    yes_no = yes_no && value.as<bool>() != nullptr;
    longest = std::max(longest, swept_text(cell.set[key]).size());
  }
  Array array{Array::Kind::swept, store.cells()[0].set[key].first, "<i8", 8, key};
  if (yes_no) {
    array.type = "|b1";
    array.bytes = 1;
  } else if (!whole && real) {
    array.type = "<f8";
  } else if (!whole) {
    array.type = "<U" + std::to_string(longest);
    array.bytes = 4 * longest;
  }
  return array;
}

/// One element of a swept key's array.
std::vector<std::byte> swept_element(const Array& array,
                                     const std::pair<std::string, std::string>& set) {
  std::vector<std::byte> element(array.bytes);
  const ConfigValue value = swept_value(set);
  if (array.type == "|b1") {
    store_as<char>(element.data(), *value.as<bool>() ? 1 : 0);
  } else if (array.type == "<i8") {
    store_as(element.data(), *value.as<int64_t>());
  } else if (array.type == "<f8") {
    const auto* whole = value.as<int64_t>();
    store_as(element.data(), whole != nullptr ? static_cast<double>(*whole) : *value.as<double>());
  } else {
    const std::string text = swept_text(set);
    for (size_t i = 0; i < text.size(); ++i) {
      store_as(element.data() + 4 * i, static_cast<uint32_t>(text[i]));
    }
  }
  return element;
}

/// The arrays of an archive, and where the columns of cells go.
class Arrays {
 public:
  explicit Arrays(const ResultStore& store) {
    using enum Array::Kind;
    list_ = {{run, "run", "<i8", 8}, {cell, "cell", "<i8", 8}};
    if (!store.cells().empty()) {
      for (size_t k = 0; k < store.cells()[0].set.size(); ++k)
        list_.push_back(swept_array(store, k));
    }
    list_.insert(list_.end(), {{converged, "converged", "|b1", 1},
                               {diverged, "diverged", "|b1", 1},
                               {joint_steps, "joint_steps", "<i8", 8}});
    for (const StoreCell& one : store.cells()) note_measures(one.meaning);
    for (const StoreCell& one : store.cells()) note_curves(one.meaning);
  }

  const std::vector<Array>& list() const { return list_; }

  /// Where the row's columns from kOutcomeHead on go: array and point.
  std::vector<std::pair<size_t, size_t>> places(const RowMeaning& meaning) const {
    std::vector<std::pair<size_t, size_t>> to;
    std::map<std::string, size_t> points;
    for (const OutcomeColumn& one : meaning.columns) {
      const bool curve = one.kind == OutcomeColumn::Kind::curve;
      to.emplace_back(curve ? curves_.at(one.name) : measures_.at(one.name),
                      curve ? points[one.name]++ : 0);
    }
    return to;
  }

 private:
  void note_measures(const RowMeaning& meaning) {
    for (const OutcomeColumn& one : meaning.columns) {
      if (one.kind == OutcomeColumn::Kind::curve) continue;
      const auto [at, fresh] = measures_.try_emplace(one.name, list_.size());
      if (fresh) list_.push_back({Array::Kind::label, one.name, "<i8", 8});
      // a metric of the same name says the same
      if (one.kind == OutcomeColumn::Kind::metric) {
        list_[at->second].kind = Array::Kind::real;
        list_[at->second].type = "<f8";
      }
    }
  }
  void note_curves(const RowMeaning& meaning) {
    std::map<std::string, uint64_t> points;
    for (const OutcomeColumn& one : meaning.columns) {
      if (one.kind != OutcomeColumn::Kind::curve) continue;
      const auto [at, fresh] = curves_.try_emplace(one.name, list_.size());
      if (fresh) {
        const bool taken = std::any_of(list_.begin(), list_.end(),
                                       [&](const Array& a) { return a.name == one.name; });
        list_.push_back({Array::Kind::real, taken ? one.name + "_curve" : one.name, "<f8", 8});
      }
      Array& array = list_[at->second];
      array.points = std::max(array.points, ++points[one.name]);
    }
  }

  std::vector<Array> list_;
  std::map<std::string, size_t> measures_, curves_;
};

/// Fills the arrays [first, last) with all runs.
std::vector<std::vector<std::byte>> fill(const ResultStore& store, const Arrays& arrays,
                                         size_t first, size_t last, uint64_t runs) {
  const std::vector<Array>& list = arrays.list();
  std::vector<std::vector<std::byte>> filled(last - first);
  for (size_t a = first; a < last; ++a) {
    filled[a - first].resize(runs * list[a].bytes * std::max<uint64_t>(list[a].points, 1));
  }
  const auto element = [&](size_t a, uint64_t row, size_t point) {
    return filled[a - first].data() +
           (row * std::max<uint64_t>(list[a].points, 1) + point) * list[a].bytes;
  };
  std::optional<size_t> cell;
  std::vector<std::pair<size_t, size_t>> places;
  std::vector<std::vector<std::byte>> swept(list.size());
  uint64_t row = 0;
  for (RowReader reader(store); reader.next() && row < runs; ++row) {
    if (cell != reader.cell()) {
      cell = reader.cell();
      const StoreCell& now = store.cells()[*cell];
      places = arrays.places(now.meaning);
      for (size_t a = first; a < last; ++a) {
        if (list[a].kind == Array::Kind::swept) {
          swept[a] = swept_element(list[a], now.set[list[a].key]);
        }
      }
    }
    const double status = reader.row()[0];
    const bool diverged = has_diverged(reader);
    for (size_t a = first; a < last; ++a) {
      std::byte* const to = element(a, row, 0);
      switch (list[a].kind) {
        case Array::Kind::run: store_as(to, static_cast<int64_t>(reader.run())); break;
        case Array::Kind::cell: store_as(to, static_cast<int64_t>(*cell)); break;
        case Array::Kind::converged:
          store_as<char>(to, status == static_cast<double>(RunStatus::converged) ? 1 : 0);
          break;
        case Array::Kind::diverged: store_as<char>(to, diverged ? 1 : 0); break;
        case Array::Kind::joint_steps: store_as(to, static_cast<int64_t>(reader.row()[1])); break;
        case Array::Kind::swept: std::copy(swept[a].begin(), swept[a].end(), to); break;
        case Array::Kind::label: store_as(to, int64_t{-1}); break;
        case Array::Kind::real:
          for (size_t p = 0; p < std::max<uint64_t>(list[a].points, 1); ++p) {
            store_as(element(a, row, p), std::numeric_limits<double>::quiet_NaN());
          }
          break;
      }
    }
    for (size_t c = 0; c < places.size() && !diverged; ++c) {
      const auto [a, point] = places[c];
      if (a < first || a >= last) continue;
      const double value = reader.row()[kOutcomeHead + c];
      if (list[a].kind == Array::Kind::real) {
        store_as(element(a, row, point), value);
      } else if (!std::isnan(value)) {
        store_as(element(a, row, point), static_cast<int64_t>(value));
      }
    }
  }
  return filled;
}

uint64_t write_npz(const ResultStore& store, AtomicFile& file) {
  constexpr uint64_t kMemory = uint64_t{256} << 20;  // for the arrays of one pass over the rows
  const Arrays arrays(store);
  // Counts, and stays: all passes below then read the same moment of the store.
  RowReader counter(store);
  uint64_t runs = 0;
  while (counter.next()) ++runs;
  ZipFile zip(file);
  const std::vector<Array>& list = arrays.list();
  for (size_t first = 0; first < list.size();) {
    size_t last = first;
    uint64_t bytes = 0;
    do {
      bytes += runs * list[last].bytes * std::max<uint64_t>(list[last].points, 1);
      ++last;
    } while (last < list.size() && bytes < kMemory);
    const auto filled = fill(store, arrays, first, last, runs);
    for (size_t a = first; a < last; ++a) {
      zip.add(list[a].name + ".npy", npy_head(list[a].type, runs, list[a].points),
              filled[a - first]);
    }
    first = last;
  }
  zip.end();
  return runs;
}

}  // namespace

ExportFormat parse_format(const std::string& name) {
  if (name == "csv") return ExportFormat::csv;
  if (name == "npz") return ExportFormat::npz;
  throw ConfigError({.key = "--format",
                     .value = name,
                     .why = "must be csv or npz",
                     .nearest = nearest_name(name, {"csv", "npz"})});
}

Exported export_runs(const std::string& directory, ExportFormat format, const std::string& out) {
  const ResultStore store = ResultStore::open(directory, ResultStore::Access::read);
  const bool csv = format == ExportFormat::csv;
  Exported exported;
  exported.path =
      out.empty() ? (std::filesystem::path(directory) / (csv ? "runs.csv" : "runs.npz")).string()
                  : out;
  AtomicFile file(exported.path);
  exported.runs = csv ? write_csv(store, file) : write_npz(store, file);
  file.commit();
  exported.wanted = store.header().runs_per_cell * store.cells().size();
  exported.damaged = store.damaged();
  return exported;
}

Result load_result(const std::string& directory) {
  const ResultStore store = ResultStore::open(directory, ResultStore::Access::read);
  Result result = summarise(store);
  result.seconds = store.seconds();
  result.interrupted = !store.complete() || store.damaged() > 0;
  return result;
}

}  // namespace cumarl
