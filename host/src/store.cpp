#include "host/src/store.hpp"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <tuple>

#include "host/src/config.hpp"
#include "host/src/folder_lock.hpp"
#include "host/src/summary.hpp"

namespace cumarl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

static_assert(std::endian::native == std::endian::little,
              "curves are stored as they lie in memory");

constexpr int kApplicationId = 0x634D524C;  // "cMRL"
constexpr int kSchemaVersion = 1;
constexpr int kPageBytes = 16384;
constexpr int kPatience = 10'000;                   // milliseconds that another process may take
constexpr double kWholeLimit = 9007199254740992.0;  // 2^53

/// An identifier in SQL.
std::string identifier(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

/// A text in SQL.
std::string literal(const std::string& value) {
  std::string text = "'";
  for (const char c : value) text += c == '\'' ? std::string("''") : std::string(1, c);
  return text + '\'';
}

/// The connection to a file.
class Database {
 public:
  Database(std::string path, const std::string& uri, int flags) : path_(std::move(path)) {
    const int code =
        sqlite3_open_v2(uri.c_str(), &db_, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, nullptr);
    if (code != SQLITE_OK) {
      const std::string why = db_ == nullptr ? "out of memory" : reason();
      sqlite3_close(db_);
      throw IoError(path_, why);
    }
    sqlite3_extended_result_codes(db_, 1);
    sqlite3_busy_timeout(db_, kPatience);
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { sqlite3_close_v2(db_); }

  sqlite3* get() const { return db_; }
  const std::string& path() const { return path_; }
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  /// Ends the open transaction, if any, without keeping it.
  void rollback() const { sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr); }
  [[noreturn]] void fail() const {
    const std::string why = reason();
    if (in_transaction()) rollback();
    throw IoError(path_, why);
  }
  void execute(const std::string& sql) const {
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail();
  }

 private:
  std::string reason() const {
    const int code = sqlite3_extended_errcode(db_);
    const int cause = sqlite3_system_errno(db_);
    switch (code & 0xFF) {
      case SQLITE_CORRUPT:
        return "is damaged; `cumarl merge` copies what can be read into a new folder";
      case SQLITE_NOTADB: return "is not a results file of cumarl";
      case SQLITE_FULL: return "cannot be written: the disk is full";
      case SQLITE_BUSY:
      case SQLITE_LOCKED: return "is in use by another process";
      case SQLITE_NOMEM: return "out of memory";
      case SQLITE_READONLY: return "cannot be written: no permission";
      case SQLITE_CANTOPEN:
      case SQLITE_IOERR:
      case SQLITE_PERM:
        if (cause != 0) return std::strerror(cause);
        if (code == SQLITE_IOERR_WRITE) {
          return "cannot be written: a limit on file sizes (ulimit -f), or a failing disk";
        }
        break;
      default: break;
    }
    return sqlite3_errmsg(db_);
  }

  std::string path_;
  sqlite3* db_ = nullptr;
};

/// A prepared statement. Parameters count from 1, columns from 0.
class Statement {
 public:
  Statement(const Database& db, const std::string& sql) : db_(&db) {
    if (sqlite3_prepare_v3(db.get(), sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &statement_,
                           nullptr) != SQLITE_OK) {
      db.fail();
    }
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { sqlite3_finalize(statement_); }

  void bind(int at, int64_t value) { sqlite3_bind_int64(statement_, at, value); }
  void bind(int at, uint64_t value) { bind(at, static_cast<int64_t>(value)); }
  void bind(int at, double value) { sqlite3_bind_double(statement_, at, value); }
  void bind_null(int at) { sqlite3_bind_null(statement_, at); }
  /// The text or bytes have to stay until the statement has been run.
  void bind(int at, const std::string& text) {
    sqlite3_bind_text64(statement_, at, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  void bind_blob(int at, const void* data, size_t bytes) {
    sqlite3_bind_blob64(statement_, at, data, bytes, SQLITE_STATIC);
  }
  void bind(int at, const ConfigValue& value) {
    if (const auto* whole = value.as<int64_t>()) return bind(at, *whole);
    if (const auto* real = value.as<double>()) return bind(at, *real);
    if (const auto* yes = value.as<bool>()) return bind(at, int64_t{*yes ? 1 : 0});
    const auto* word = value.as<std::string>();
    const std::string text = word != nullptr ? *word : to_text(value);
    sqlite3_bind_text64(statement_, at, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }

  /// SQLITE_ROW, SQLITE_DONE, or an error.
  int try_step() { return sqlite3_step(statement_); }
  /// True where there is a row.
  bool step() {
    const int code = try_step();
    if (code != SQLITE_ROW && code != SQLITE_DONE) db_->fail();
    return code == SQLITE_ROW;
  }
  void reset() { sqlite3_reset(statement_); }
  /// Runs a statement that gives no rows, and makes it ready for the next time.
  void run() {
    step();
    reset();
  }

  bool is_null(int at) const { return sqlite3_column_type(statement_, at) == SQLITE_NULL; }
  int64_t whole(int at) const { return sqlite3_column_int64(statement_, at); }
  double real(int at) const { return sqlite3_column_double(statement_, at); }
  std::string text(int at) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, at));
    return data == nullptr
               ? std::string()
               : std::string(data, static_cast<size_t>(sqlite3_column_bytes(statement_, at)));
  }
  std::span<const std::byte> blob(int at) const {
    const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_, at));
    return {data, static_cast<size_t>(sqlite3_column_bytes(statement_, at))};
  }

 private:
  const Database* db_;
  sqlite3_stmt* statement_ = nullptr;
};

/// A hash over texts, each with its length.
class TextHash {
 public:
  TextHash() { XXH3_128bits_reset(state_.get()); }
  void add(const std::string& text) {
    add(text.size());
    XXH3_128bits_update(state_.get(), text.data(), text.size());
  }
  void add(uint64_t value) { XXH3_128bits_update(state_.get(), &value, sizeof(value)); }
  std::string text() const {
    const XXH128_hash_t digest = XXH3_128bits_digest(state_.get());
    char hex[33];
    std::snprintf(hex, sizeof(hex), "%016llx%016llx",
                  static_cast<unsigned long long>(digest.high64),
                  static_cast<unsigned long long>(digest.low64));
    return hex;
  }

 private:
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_{XXH3_createState(),
                                                                         XXH3_freeState};
};

/// Tells whether what open() has read is what create() wrote.
std::string description_hash(const StoreHeader& header, const std::vector<StoreCell>& cells) {
  TextHash hash;
  for (const std::string* text :
       {&header.experiment, &header.fingerprint, &header.config, &header.version, &header.device}) {
    hash.add(*text);
  }
  hash.add(static_cast<uint64_t>(header.seed));
  hash.add(header.runs_per_cell);
  hash.add(header.shard);
  hash.add(header.shards);
  hash.add(cells.size());
  for (const StoreCell& cell : cells) {
    hash.add(cell.set.size());
    for (const auto& [key, value] : cell.set) {
      hash.add(key);
      hash.add(value);
    }
    hash.add(cell.meaning.columns.size());
    for (const OutcomeColumn& one : cell.meaning.columns) {
      hash.add(one.name);
      hash.add(static_cast<uint64_t>(one.kind));
      hash.add(static_cast<uint64_t>(one.label));
      hash.add(static_cast<uint64_t>(one.point));
    }
    hash.add(cell.meaning.actions.size());
    for (const int actions : cell.meaning.actions) hash.add(static_cast<uint64_t>(actions));
  }
  return hash.text();
}

uint64_t row_hash(uint64_t run, uint64_t cell, std::span<const double> row) {
  const uint64_t place[2] = {run, cell};
  return XXH3_64bits_withSeed(row.data(), row.size_bytes(), XXH3_64bits(place, sizeof(place)));
}

/// Hands out column names that are different to SQLite, which does not tell cases apart.
class Names {
 public:
  explicit Names(std::initializer_list<const char*> taken) {
    for (const char* name : taken) taken_.insert(name);
  }
  std::string take(const std::string& name, const std::string& suffix) {
    std::string candidate = name;
    for (int i = 1; !taken_.insert(lower(candidate)).second; ++i) {
      candidate = name + suffix + (i > 1 ? "_" + std::to_string(i) : "");
    }
    return candidate;
  }

 private:
  static std::string lower(std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    return text;
  }
  std::set<std::string> taken_;
};

/// Names of OutcomeColumn::Kind and of Label, by their values.
constexpr const char* kKinds[] = {"metric", "share", "curve"};
constexpr const char* kLabels[] = {"number", "yes_no", "joint_action"};

/// Where the file keeps one column of outcome rows.
struct Place {
  size_t column = 0;    ///< of Impl::columns, or of its meaning's curves
  size_t point = 0;     ///< place in a curve
  bool curve = false;   ///< in the table `curves`, otherwise `runs`
  bool share = false;   ///< a whole number
  bool labels = false;  ///< whose text is in the table `labels`
};

/// How the rows of cells of one meaning are kept.
struct Layout {
  std::vector<Place> places;                       ///< [columns]
  std::vector<std::string> curves;                 ///< names in the table `curves`
  std::vector<std::vector<double>> points;         ///< [curves], one run's
  std::vector<std::pair<size_t, size_t>> columns;  ///< (column of Impl::columns, place)
};

/// The value of a swept key. Pre: TOML, as the configuration writes it.
ConfigValue parsed(const std::string& key, const std::string& toml) {
  ConfigValue value{std::string(toml)};
  std::string why;
  if (!toml_text::parse_value(toml, key, {}, value, why)) value.data = toml;
  return value;
}

/// The SQL type of a swept key: that of its values.
const char* swept_type(const std::vector<StoreCell>& cells, size_t key) {
  bool whole = true, real = true, text = true;
  for (const StoreCell& cell : cells) {
    const ConfigValue value = parsed(cell.set[key].first, cell.set[key].second);
    const bool is_whole = value.as<int64_t>() != nullptr || value.as<bool>() != nullptr;
    whole = whole && is_whole;
    real = real && (is_whole || value.as<double>() != nullptr);
    text = text && value.as<std::string>() != nullptr;
  }
  return whole ? " INTEGER" : real ? " REAL" : text ? " TEXT" : "";
}

constexpr const char* kFixedTables = R"(
CREATE TABLE experiment(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE meanings(meaning INTEGER PRIMARY KEY, actions TEXT);
CREATE TABLE measures(meaning INTEGER, position INTEGER, name TEXT, kind TEXT, label TEXT,
  point INTEGER, stored_in TEXT, stored_as TEXT, PRIMARY KEY(meaning, position)) WITHOUT ROWID;
CREATE TABLE curves(run INTEGER, name TEXT, points BLOB, PRIMARY KEY(run, name)) WITHOUT ROWID;
CREATE TABLE tables(run INTEGER PRIMARY KEY, "values" BLOB);
CREATE TABLE labels(meaning INTEGER, name TEXT, value INTEGER, label TEXT,
  PRIMARY KEY(meaning, name, value)) WITHOUT ROWID;
CREATE TABLE metrics(cell INTEGER, name TEXT, n INTEGER, mean REAL, sd REAL, se REAL, min REAL,
  q05 REAL, q25 REAL, q50 REAL, q75 REAL, q95 REAL, max REAL,
  PRIMARY KEY(cell, name)) WITHOUT ROWID;
CREATE TABLE shares(cell INTEGER, name TEXT, label TEXT, share REAL,
  PRIMARY KEY(cell, name, label)) WITHOUT ROWID;
CREATE TABLE curve_points(cell INTEGER, name TEXT, point INTEGER, n INTEGER, mean REAL, sd REAL,
  se REAL, min REAL, q05 REAL, q25 REAL, q50 REAL, q75 REAL, q95 REAL, max REAL,
  PRIMARY KEY(cell, name, point)) WITHOUT ROWID;
)";

/// Sets a key of the table `experiment`.
void put(Statement& into, const std::string& key, const auto& value) {
  into.bind(1, key);
  into.bind(2, value);
  into.run();
}

/// The different meanings among cells.
struct Meanings {
  std::vector<const RowMeaning*> different;
  std::vector<size_t> of_cell;  ///< [cells]
};

Meanings find_meanings(const std::vector<StoreCell>& cells) {
  Meanings meanings;
  std::map<std::string, size_t> known;
  for (const StoreCell& cell : cells) {
    std::string key = Json(cell.meaning.actions).dump();
    for (const OutcomeColumn& one : cell.meaning.columns) {
      key += one.name + '\n' + std::to_string(static_cast<int>(one.kind)) + ' ' +
             std::to_string(static_cast<int>(one.label)) + ' ' + std::to_string(one.point) + '\n';
    }
    const auto [at, fresh] = known.try_emplace(std::move(key), known.size());
    if (fresh) meanings.different.push_back(&cell.meaning);
    meanings.of_cell.push_back(at->second);
  }
  return meanings;
}

/// A metric or share as the tables have it: the same column for all cells that report it.
struct StoredMeasure {
  OutcomeColumn measure;
  std::string name;    ///< a column of `runs`, or in `curves`
  bool in_runs;        ///< otherwise in `curves`
  bool first_of_name;  ///< otherwise a share with a metric's name, or a repetition
};

/// Kind, name, and how many of both came before in the row.
using MeasureKey = std::tuple<OutcomeColumn::Kind, std::string, int>;

/// The keys of a meaning's metrics and shares; curves have none that matters.
std::vector<MeasureKey> measure_keys(const RowMeaning& meaning) {
  std::map<std::pair<OutcomeColumn::Kind, std::string>, int> seen;
  std::vector<MeasureKey> keys;
  for (const OutcomeColumn& one : meaning.columns) {
    keys.emplace_back(one.kind, one.name, seen[{one.kind, one.name}]++);
  }
  return keys;
}

/// All metrics and shares in the order of their columns, and where each key is among them. Metrics
/// come first: they keep their name where a share has the same one.
std::pair<std::vector<StoredMeasure>, std::map<MeasureKey, size_t>> name_measures(
    const Meanings& meanings, Names& names) {
  std::vector<StoredMeasure> measures;
  std::map<MeasureKey, size_t> places;
  std::set<std::string> shown;
  for (const auto kind : {OutcomeColumn::Kind::metric, OutcomeColumn::Kind::share}) {
    const char* const suffix = kind == OutcomeColumn::Kind::share ? "_label" : "_metric";
    for (const RowMeaning* meaning : meanings.different) {
      const std::vector<MeasureKey> keys = measure_keys(*meaning);
      for (size_t c = 0; c < keys.size(); ++c) {
        const OutcomeColumn& one = meaning->columns[c];
        if (one.kind != kind || !places.try_emplace(keys[c], measures.size()).second) continue;
        const bool in_runs = measures.size() < ResultStore::kMaxMeasures;
        const std::string name = names.take(one.name, suffix);
        // a space: no curve has such a name
        measures.push_back({one, in_runs ? name : name + " value", in_runs,
                            in_runs && shown.insert(one.name).second});
      }
    }
  }
  return {std::move(measures), std::move(places)};
}

/// The empty tables of an experiment. docs/results.md describes them.
void write_schema(const Database& db, const StoreHeader& header,
                  const std::vector<StoreCell>& cells) {
  db.execute(kFixedTables);
  {
    Statement into(db, "INSERT INTO experiment VALUES(?, ?)");
    put(into, "experiment", header.experiment);
    put(into, "fingerprint", header.fingerprint);
    put(into, "config", header.config);
    put(into, "version", header.version);
    put(into, "device", header.device);
    put(into, "seed", header.seed);
    put(into, "runs_per_cell", header.runs_per_cell);
    put(into, "shard", header.shard);
    put(into, "shards", header.shards);
    put(into, "description_hash", description_hash(header, cells));
    put(into, "complete", int64_t{0});
  }

  Names cell_names{"cell", "meaning", "toml"};
  Names run_names{"run",         "cell",   "status",         "converged", "joint_steps",
                  "last_change", "digest", "diverged_agent", "hash"};
  std::string cell_columns, cell_parameters, swept;
  for (size_t k = 0; !cells.empty() && k < cells[0].set.size(); ++k) {
    const std::string name = cell_names.take(cells[0].set[k].first, "_swept");
    run_names.take(name, "");
    cell_columns += ", " + identifier(name) + swept_type(cells, k);
    cell_parameters += ", ?";
    swept += ", c." + identifier(name);
  }
  const Meanings meanings = find_meanings(cells);
  const auto [measures, places] = name_measures(meanings, run_names);
  std::string run_columns, shown;
  for (const StoredMeasure& one : measures) {
    if (!one.in_runs) continue;
    const bool share = one.measure.kind == OutcomeColumn::Kind::share;
    run_columns += ", " + identifier(one.name) + (share ? " INTEGER" : " REAL");
    if (!one.first_of_name) continue;
    std::string value = "r." + identifier(one.name);
    if (share && one.measure.label == Label::joint_action) {
      value = "(SELECT l.label FROM labels l WHERE l.meaning = c.meaning AND l.name = " +
              literal(one.measure.name) + " AND l.value = " + value + ")";
    }
    shown += ", CASE WHEN r.status <> 3 THEN " + value + " END AS " + identifier(one.name);
  }

  db.execute("CREATE TABLE cells(cell INTEGER PRIMARY KEY" + cell_columns +
             ", meaning INTEGER, toml TEXT)");
  db.execute(
      "CREATE TABLE runs(run INTEGER PRIMARY KEY, cell INTEGER, status INTEGER,"
      " joint_steps INTEGER, last_change INTEGER, digest INTEGER, hash INTEGER" +
      run_columns + ")");
  db.execute("CREATE VIEW results AS SELECT r.run, r.cell" + swept +
             ", CASE r.status WHEN 1 THEN 'converged' WHEN 2 THEN 'out_of_steps'"
             " WHEN 3 THEN 'diverged' END AS status, r.status = 1 AS converged, r.joint_steps,"
             " CASE WHEN r.status <> 3 THEN r.last_change END AS last_change,"
             " CASE WHEN r.status = 3 THEN r.last_change END AS diverged_agent" +
             shown + " FROM runs r JOIN cells c ON c.cell = r.cell");

  Statement put_meaning(db, "INSERT INTO meanings VALUES(?, ?)");
  Statement put_measure(db, "INSERT INTO measures VALUES(?, ?, ?, ?, ?, ?, ?, ?)");
  for (size_t m = 0; m < meanings.different.size(); ++m) {
    const RowMeaning& meaning = *meanings.different[m];
    const std::string actions = Json(meaning.actions).dump();
    put_meaning.bind(1, static_cast<int64_t>(m));
    put_meaning.bind(2, actions);
    put_meaning.run();
    const std::vector<MeasureKey> keys = measure_keys(meaning);
    for (size_t p = 0; p < keys.size(); ++p) {
      const OutcomeColumn& one = meaning.columns[p];
      const bool curve = one.kind == OutcomeColumn::Kind::curve;
      const StoredMeasure* measure = curve ? nullptr : &measures[places.at(keys[p])];
      const std::string kind = kKinds[static_cast<size_t>(one.kind)];
      const std::string label = kLabels[static_cast<size_t>(one.label)];
      const std::string table = !curve && measure->in_runs ? "runs" : "curves";
      const std::string& name = curve ? one.name : measure->name;
      put_measure.bind(1, static_cast<int64_t>(m));
      put_measure.bind(2, static_cast<int64_t>(p));
      put_measure.bind(3, one.name);
      put_measure.bind(4, kind);
      put_measure.bind(5, label);
      put_measure.bind(6, static_cast<int64_t>(one.point));
      put_measure.bind(7, table);
      put_measure.bind(8, name);
      put_measure.run();
    }
  }

  Statement put_cell(db, "INSERT INTO cells VALUES(?" + cell_parameters + ", ?, ?)");
  for (size_t c = 0; c < cells.size(); ++c) {
    put_cell.bind(1, static_cast<int64_t>(c));
    Json toml = Json::object();
    int parameter = 2;
    for (const auto& [key, value] : cells[c].set) {
      put_cell.bind(parameter++, parsed(key, value));
      toml[key] = value;
    }
    const std::string text = toml.dump();
    put_cell.bind(parameter++, static_cast<int64_t>(meanings.of_cell[c]));
    put_cell.bind(parameter, text);
    put_cell.run();
  }
}

std::string file_of(const std::string& directory) {
  return (fs::path(directory) / ResultStore::kFile).string();
}

/// A path as SQLite's URI.
std::string uri_of(const std::string& path, const std::string& options = {}) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string uri = "file:";
  for (const char c : fs::absolute(path).string()) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '/' || c == '.' || c == '-' || c == '_') {
      uri += c;
    } else {
      uri += {'%', kHex[byte >> 4], kHex[byte & 15u]};
    }
  }
  return uri + options;
}

int64_t pragma(const Database& db, const std::string& name) {
  Statement read(db, "PRAGMA " + name);
  return read.step() ? read.whole(0) : 0;
}

bool may_write(const fs::path& folder) {
  return faccessat(AT_FDCWD, folder.empty() ? "." : folder.c_str(), W_OK, AT_EACCESS) == 0;
}

/// A file that a writer left with changes beside it cannot be read from a folder that nobody may
/// write to, unless nobody changes it.
std::unique_ptr<Database> open_to_read(const std::string& path) {
  try {
    auto db = std::make_unique<Database>(path, uri_of(path), SQLITE_OPEN_READONLY);
    pragma(*db, "schema_version");
    return db;
  } catch (const IoError&) {
    std::error_code error;
    const auto beside = fs::file_size(path + "-wal", error);
    const bool alone = error || beside == 0;
    if (!alone || may_write(fs::path(path).parent_path())) throw;
    return std::make_unique<Database>(path, uri_of(path, "?immutable=1"), SQLITE_OPEN_READONLY);
  }
}

}  // namespace

double canonical(double value) {
  if (std::isnan(value)) return std::numeric_limits<double>::quiet_NaN();
  return value == 0 ? 0.0 : value;
}

struct ResultStore::Impl {
  std::string directory;
  std::unique_ptr<FolderLock> lock;  ///< null: to read only
  std::unique_ptr<Database> db;
  StoreHeader header;
  std::vector<StoreCell> cells;
  std::vector<size_t> meaning_of_cell;
  std::vector<std::string> columns;  ///< of measures in `runs`
  std::vector<Layout> layouts;       ///< [meanings]
  bool complete = false;
  double seconds = 0;
  std::string result_hash;
  mutable uint64_t damaged = 0;

  // what append() has prepared
  size_t prepared_meaning = SIZE_MAX;
  std::unique_ptr<Statement> put_run, put_curve, put_label;
  std::set<std::tuple<size_t, size_t, int64_t>> known_labels;  ///< meaning, place, value

  static ResultStore open(const std::string& directory, std::unique_ptr<FolderLock> lock);
  void read_header();
  void read_meanings(std::vector<RowMeaning>& meanings);
  void read_cells(const std::vector<RowMeaning>& meanings);
  void begin();
  void prepare(size_t meaning);
  void put_row(size_t cell, uint64_t run, std::span<const double> row);
  void note_label(size_t meaning, size_t place, double value);
  void abandon();
  void forget_statements();
};

void ResultStore::Impl::read_header() {
  std::map<std::string, std::string> texts;
  Statement read(*db, "SELECT key, value FROM experiment");
  while (read.step()) {
    const std::string key = read.text(0);
    if (key == "seed") header.seed = read.whole(1);
    if (key == "runs_per_cell") header.runs_per_cell = static_cast<uint64_t>(read.whole(1));
    if (key == "shard") header.shard = static_cast<uint64_t>(read.whole(1));
    if (key == "shards") header.shards = static_cast<uint64_t>(read.whole(1));
    if (key == "complete") complete = read.whole(1) != 0;
    if (key == "seconds") seconds = read.real(1);
    texts[key] = read.text(1);
  }
  header.experiment = texts["experiment"];
  header.fingerprint = texts["fingerprint"];
  header.config = texts["config"];
  header.version = texts["version"];
  header.device = texts["device"];
  result_hash = texts["result_hash"];

  std::vector<RowMeaning> meanings;
  read_meanings(meanings);
  read_cells(meanings);
  if (description_hash(header, cells) != texts["description_hash"]) {
    throw IoError(db->path(), "is damaged: what it says of the experiment has changed");
  }
}

void ResultStore::Impl::read_meanings(std::vector<RowMeaning>& meanings) {
  {
    Statement read(*db, "SELECT actions FROM meanings ORDER BY meaning");
    while (read.step()) {
      const Json actions = Json::parse(read.text(0), nullptr, false);
      RowMeaning& meaning = meanings.emplace_back();
      for (const Json& one : actions.is_array() ? actions : Json::array()) {
        meaning.actions.push_back(one.is_number_integer() ? one.get<int>() : 1);
      }
    }
  }
  layouts.resize(meanings.size());
  std::map<std::string, size_t> column_at;
  Statement read(*db,
                 "SELECT meaning, name, kind, label, point, stored_in, stored_as FROM measures "
                 "ORDER BY meaning, position");
  const auto index = [](const auto& names, const std::string& name) {
    return static_cast<size_t>(std::find(std::begin(names), std::end(names), name) -
                               std::begin(names));
  };
  while (read.step()) {
    const auto m = static_cast<size_t>(read.whole(0));
    const size_t kind = index(kKinds, read.text(2)), label = index(kLabels, read.text(3));
    if (m >= meanings.size() || kind == std::size(kKinds) || label == std::size(kLabels)) {
      throw IoError(db->path(), "is damaged: a measure that there cannot be");
    }
    const OutcomeColumn one{static_cast<OutcomeColumn::Kind>(kind), read.text(1),
                            static_cast<Label>(label), static_cast<int>(read.whole(4))};
    Layout& layout = layouts[m];
    Place place;
    place.share = one.kind == OutcomeColumn::Kind::share;
    place.labels = place.share && one.label == Label::joint_action;
    place.curve = read.text(5) == "curves";
    const std::string name = read.text(6);
    if (place.curve) {
      place.column = index(layout.curves, name);
      if (place.column == layout.curves.size()) {
        layout.curves.push_back(name);
        layout.points.emplace_back();
      }
      place.point = layout.points[place.column].size();
      layout.points[place.column].push_back(0);
    } else {
      const auto [at, fresh] = column_at.try_emplace(name, columns.size());
      if (fresh) columns.push_back(name);
      place.column = at->second;
      layout.columns.emplace_back(place.column, layout.places.size());
    }
    layout.places.push_back(place);
    meanings[m].columns.push_back(one);
  }
}

void ResultStore::Impl::read_cells(const std::vector<RowMeaning>& meanings) {
  Statement read(*db, "SELECT cell, meaning, toml FROM cells ORDER BY cell");
  while (read.step()) {
    const auto meaning = static_cast<size_t>(read.whole(1));
    const Json toml = Json::parse(read.text(2), nullptr, false);
    if (static_cast<size_t>(read.whole(0)) != cells.size() || meaning >= meanings.size() ||
        !toml.is_object()) {
      throw IoError(db->path(), "is damaged: a cell that there cannot be");
    }
    StoreCell& cell = cells.emplace_back();
    for (const auto& [key, value] : toml.items()) {
      cell.set.emplace_back(key, value.is_string() ? value.get<std::string>() : value.dump());
    }
    cell.meaning = meanings[meaning];
    meaning_of_cell.push_back(meaning);
  }
}

ResultStore::ResultStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ResultStore::ResultStore(ResultStore&&) noexcept = default;
ResultStore& ResultStore::operator=(ResultStore&&) noexcept = default;
ResultStore::~ResultStore() = default;

bool ResultStore::exists(const std::string& directory) {
  std::error_code error;
  return fs::exists(file_of(directory), error);
}

ResultStore ResultStore::create(const std::string& directory, const StoreHeader& header,
                                const std::vector<StoreCell>& cells) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) throw IoError(directory, error.message());
  const std::string path = file_of(directory);
  if (!cells.empty() && cells[0].set.size() > kMaxSweptKeys) {
    throw IoError(path, "holds at most " + std::to_string(kMaxSweptKeys) + " swept keys, and " +
                            std::to_string(cells[0].set.size()) + " are swept");
  }
  auto lock = std::make_unique<FolderLock>(directory);
  if (exists(directory)) throw IoError(path, "there are results already");
  const std::string partial = path + ".partial";
  fs::remove(partial, error);
  fs::remove(partial + "-journal", error);
  try {
    const Database db(partial, uri_of(partial), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    db.execute("PRAGMA page_size = " + std::to_string(kPageBytes));
    db.execute("BEGIN");
    db.execute("PRAGMA application_id = " + std::to_string(kApplicationId));
    db.execute("PRAGMA user_version = " + std::to_string(kSchemaVersion));
    write_schema(db, header, cells);
    db.execute("COMMIT");
  } catch (const IoError& failure) {
    fs::remove(partial, error);
    fs::remove(partial + "-journal", error);
    // the message is about the file that was asked for
    throw IoError(path, std::string_view(failure.what()).substr(failure.path().size() + 2));
  }
  fs::rename(partial, path, error);
  if (error) throw IoError(path, error.message());
  lock->sync();
  return Impl::open(directory, std::move(lock));
}

ResultStore ResultStore::open(const std::string& directory, Access access) {
  if (!exists(directory)) throw IoError(file_of(directory), "there are no results");
  return Impl::open(directory, access == Access::write ? std::make_unique<FolderLock>(directory)
                                                       : std::unique_ptr<FolderLock>());
}

/// Without a lock: to read only.
ResultStore ResultStore::Impl::open(const std::string& directory,
                                    std::unique_ptr<FolderLock> lock) {
  const std::string path = file_of(directory);
  const bool writing = lock != nullptr;
  auto impl = std::make_unique<Impl>();
  impl->directory = directory;
  impl->lock = std::move(lock);
  impl->db = writing ? std::make_unique<Database>(path, uri_of(path), SQLITE_OPEN_READWRITE)
                     : open_to_read(path);
  const Database& db = *impl->db;
  db.execute("PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF");
  if (pragma(db, "application_id") != kApplicationId) {
    throw IoError(path, "is not a results file of cumarl");
  }
  if (pragma(db, "user_version") != kSchemaVersion) {
    throw IoError(path, "was written by another version of cumarl, with tables of version " +
                            std::to_string(pragma(db, "user_version")) + ", not " +
                            std::to_string(kSchemaVersion));
  }
  if (writing) {
    // Where the file system has no shared memory it stays with a rollback journal.
    db.execute(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "PRAGMA wal_autocheckpoint = 4000");
  }
  impl->read_header();
  return ResultStore(std::move(impl));
}

const std::string& ResultStore::directory() const { return impl_->directory; }
const StoreHeader& ResultStore::header() const { return impl_->header; }
const std::vector<StoreCell>& ResultStore::cells() const { return impl_->cells; }
uint64_t ResultStore::damaged() const { return impl_->damaged; }
bool ResultStore::complete() const { return impl_->complete; }
double ResultStore::seconds() const { return impl_->seconds; }
const std::string& ResultStore::result_hash() const { return impl_->result_hash; }

// ---- writing -----------------------------------------------------------------------------------

void ResultStore::Impl::begin() {
  if (lock == nullptr) throw IoError(db->path(), "is open to read only");
  if (db->in_transaction()) return;
  db->execute("BEGIN IMMEDIATE");
  if (!result_hash.empty()) {
    db->execute(
        "UPDATE experiment SET value = 0 WHERE key = 'complete';"
        "DELETE FROM experiment WHERE key = 'result_hash';"
        "DELETE FROM metrics; DELETE FROM shares; DELETE FROM curve_points");
  }
}

/// The statement for rows of a meaning.
void ResultStore::Impl::prepare(size_t meaning) {
  if (meaning == prepared_meaning) return;
  std::string names = "run, cell, status, joint_steps, last_change, digest, hash";
  std::string parameters = "?, ?, ?, ?, ?, ?, ?";
  for (const auto& [column, place] : layouts[meaning].columns) {
    names += ", " + identifier(columns[column]);
    parameters += ", ?";
  }
  put_run = std::make_unique<Statement>(*db, "INSERT OR REPLACE INTO runs(" + names + ") VALUES(" +
                                                 parameters + ")");
  if (put_curve == nullptr) {
    put_curve = std::make_unique<Statement>(*db, "INSERT OR REPLACE INTO curves VALUES(?, ?, ?)");
    put_label = std::make_unique<Statement>(*db, "INSERT OR IGNORE INTO labels VALUES(?, ?, ?, ?)");
  }
  prepared_meaning = meaning;
}

void ResultStore::Impl::note_label(size_t meaning, size_t place, double value) {
  const auto whole = static_cast<int64_t>(value);
  constexpr size_t kRemembered = 1'000'000;
  if (known_labels.size() >= kRemembered) known_labels.clear();
  if (!known_labels.insert({meaning, place, whole}).second) return;
  const auto cell = static_cast<size_t>(
      std::find(meaning_of_cell.begin(), meaning_of_cell.end(), meaning) - meaning_of_cell.begin());
  const RowMeaning& of_rows = cells[cell].meaning;
  const std::string text = label_text(of_rows, Label::joint_action, value);
  put_label->bind(1, static_cast<int64_t>(meaning));
  put_label->bind(2, of_rows.columns[place].name);
  put_label->bind(3, whole);
  put_label->bind(4, text);
  put_label->run();
}

void ResultStore::Impl::put_row(size_t cell, uint64_t run, std::span<const double> row) {
  const size_t meaning = meaning_of_cell[cell];
  Layout& layout = layouts[meaning];
  for (size_t k = 0; k < kOutcomeHead; ++k) {
    const double limit = k < 3 ? kWholeLimit : 4294967295.0;
    if (!(row[k] >= 0 && row[k] <= limit && row[k] == std::floor(row[k]))) {
      throw Error("run " + std::to_string(run) + ": number " + std::to_string(k) +
                  " of its outcome is no whole number in range");
    }
  }
  const std::span<const double> values = row.subspan(kOutcomeHead);
  Statement& put = *put_run;
  put.bind(1, run);
  put.bind(2, static_cast<int64_t>(cell));
  for (int k = 0; k < 3; ++k) put.bind(3 + k, static_cast<int64_t>(row[static_cast<size_t>(k)]));
  put.bind(6, static_cast<uint64_t>(row[3]) << 32 | static_cast<uint64_t>(row[4]));
  put.bind(7, row_hash(run, cell, row));
  int parameter = 8;
  for (const auto& [column, place] : layout.columns) {
    const double value = values[place];
    if (std::isnan(value)) {
      put.bind_null(parameter++);
    } else if (layout.places[place].share) {
      if (!(value >= 0 && value <= kWholeLimit && value == std::floor(value))) {
        throw Error("run " + std::to_string(run) + ": a label that is no whole number");
      }
      if (layout.places[place].labels) note_label(meaning, place, value);
      put.bind(parameter++, static_cast<int64_t>(value));
    } else {
      put.bind(parameter++, value);
    }
  }
  put.run();
  if (layout.curves.empty()) return;
  for (size_t p = 0; p < layout.places.size(); ++p) {
    const Place& place = layout.places[p];
    if (place.curve) layout.points[place.column][place.point] = values[p];
  }
  for (size_t k = 0; k < layout.curves.size(); ++k) {
    put_curve->bind(1, run);
    put_curve->bind(2, layout.curves[k]);
    put_curve->bind_blob(3, layout.points[k].data(), layout.points[k].size() * sizeof(double));
    put_curve->run();
  }
}

void ResultStore::append(size_t cell, const CellRows& rows) {
  Impl& impl = *impl_;
  const size_t width = cell < impl.cells.size() ? impl.cells[cell].meaning.width() : 0;
  if (width == 0 || rows.rows.size() != rows.runs.size() * width) {
    throw Error("rows of cell " + std::to_string(cell) + " do not fit the experiment");
  }
  if (rows.runs.empty()) return;
  impl.begin();
  try {
    impl.prepare(impl.meaning_of_cell[cell]);
    // in the order of the file: neighbours share pages
    std::vector<size_t> order(rows.runs.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return rows.runs[a] < rows.runs[b]; });
    std::vector<double> row(width);
    const uint64_t per_cell = impl.header.runs_per_cell;
    for (const size_t r : order) {
      if (per_cell == 0 || rows.runs[r] / per_cell != cell) {
        throw Error("run " + std::to_string(rows.runs[r]) + " is none of cell " +
                    std::to_string(cell));
      }
      std::transform(rows.rows.begin() + static_cast<std::ptrdiff_t>(r * width),
                     rows.rows.begin() + static_cast<std::ptrdiff_t>((r + 1) * width), row.begin(),
                     canonical);
      impl.put_row(cell, rows.runs[r], row);
    }
  } catch (...) {
    impl.abandon();
    throw;
  }
}

void ResultStore::append_tables(uint64_t run, std::span<const double> values) {
  Impl& impl = *impl_;
  impl.begin();
  try {
    Statement put(*impl.db, "INSERT OR REPLACE INTO tables VALUES(?, ?)");
    put.bind(1, run);
    put.bind_blob(2, values.data(), values.size_bytes());
    put.run();
  } catch (...) {
    impl.abandon();
    throw;
  }
}

std::map<uint64_t, std::vector<double>> ResultStore::tables() const {
  std::map<uint64_t, std::vector<double>> tables;
  Statement read(*impl_->db, "SELECT run, \"values\" FROM tables ORDER BY run");
  while (read.step()) {
    const std::span<const std::byte> bytes = read.blob(1);
    std::vector<double>& values = tables[static_cast<uint64_t>(read.whole(0))];
    values.resize(bytes.size() / sizeof(double));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(double));
  }
  return tables;
}

void ResultStore::set_seconds(double seconds) {
  Impl& impl = *impl_;
  impl.begin();
  Statement into(*impl.db, "INSERT OR REPLACE INTO experiment VALUES(?, ?)");
  put(into, "seconds", seconds);
  impl.seconds = seconds;
}

/// Ends the open transaction without keeping it.
void ResultStore::Impl::abandon() {
  forget_statements();
  if (db->in_transaction()) db->rollback();
  known_labels.clear();
}

void ResultStore::Impl::forget_statements() {
  put_run.reset();
  put_curve.reset();
  put_label.reset();
  prepared_meaning = SIZE_MAX;
}

void ResultStore::commit() {
  Impl& impl = *impl_;
  if (!impl.db->in_transaction()) return;
  try {
    impl.db->execute("COMMIT");
  } catch (...) {
    impl.abandon();
    throw;
  }
  impl.complete = false;
  impl.result_hash.clear();
}

namespace {

void bind_statistic(Statement& into, int at, const Statistic& s) {
  into.bind(at++, s.n);
  for (const double value : {s.mean, s.sd, s.se, s.min, s.q05, s.q25, s.q50, s.q75, s.q95, s.max}) {
    into.bind(at++, value);  // SQLite takes NaN for NULL
  }
}

}  // namespace

void ResultStore::finish(const Result& result) {
  Impl& impl = *impl_;
  impl.begin();
  const Database& db = *impl.db;
  db.execute("DELETE FROM metrics; DELETE FROM shares; DELETE FROM curve_points");
  {
    Statement metric(db, "INSERT INTO metrics VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    Statement share(db, "INSERT INTO shares VALUES(?, ?, ?, ?)");
    Statement point(db,
                    "INSERT INTO curve_points VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    for (size_t c = 0; c < result.cells.size(); ++c) {
      const CellResult& cell = result.cells[c];
      const auto id = static_cast<int64_t>(c);
      for (const auto& [name, s] : cell.metrics) {
        metric.bind(1, id);
        metric.bind(2, name);
        bind_statistic(metric, 3, s);
        metric.run();
      }
      for (const auto& [name, labels] : cell.shares) {
        for (const auto& [label, part] : labels) {
          share.bind(1, id);
          share.bind(2, name);
          share.bind(3, label);
          share.bind(4, part);
          share.run();
        }
      }
      for (const auto& [name, points] : cell.curves) {
        for (size_t k = 0; k < points.size(); ++k) {
          point.bind(1, id);
          point.bind(2, name);
          point.bind(3, static_cast<int64_t>(k));
          bind_statistic(point, 4, points[k]);
          point.run();
        }
      }
    }
    Statement into(db, "INSERT OR REPLACE INTO experiment VALUES(?, ?)");
    put(into, "complete", int64_t{result.interrupted ? 0 : 1});
    put(into, "runs", result.runs);
    put(into, "converged", result.converged);
    put(into, "joint_steps", result.joint_steps);
    put(into, "seconds", result.seconds);
    put(into, "result_hash", result.result_hash);
  }
  commit();
  impl.complete = !result.interrupted;
  impl.seconds = result.seconds;
  impl.result_hash = result.result_hash;
  // Where somebody else is reading, the file keeps its companions: the results are there anyway.
  impl.forget_statements();
  sqlite3_busy_timeout(db.get(), 0);
  sqlite3_exec(db.get(), "PRAGMA journal_mode = DELETE", nullptr, nullptr, nullptr);
  sqlite3_busy_timeout(db.get(), kPatience);
}

// ---- reading -----------------------------------------------------------------------------------

struct RowReader::Impl {
  const ResultStore::Impl& store;
  bool own_transaction;
  Statement runs, curves;
  bool over = false;
  uint64_t trusted = 0;  ///< ids up to here have been read, or given up
  uint64_t damaged = 0;
  size_t cell = 0;
  uint64_t run = 0;
  std::vector<double> row;

  explicit Impl(const ResultStore::Impl& of);
  ~Impl();
  int read_from(uint64_t id);
  int skip_damage();
  bool take();
  void take_curves(const Layout& layout);
};

namespace {

/// Begins a reading transaction, unless one is open.
bool begin_reading(const Database& db) {
  if (db.in_transaction()) return false;
  db.execute("BEGIN");
  return true;
}

std::string select_runs(const std::vector<std::string>& columns) {
  std::string sql = "SELECT run, cell, status, joint_steps, last_change, digest, hash";
  for (const std::string& name : columns) sql += ", " + identifier(name);
  return sql + " FROM runs WHERE run >= ? ORDER BY run";
}

}  // namespace

RowReader::Impl::Impl(const ResultStore::Impl& of)
    : store(of),
      own_transaction(begin_reading(*of.db)),
      runs(*of.db, select_runs(of.columns)),
      curves(*of.db, "SELECT name, points FROM curves WHERE run = ?") {
  runs.bind(1, int64_t{0});
}

RowReader::Impl::~Impl() {
  runs.reset();
  curves.reset();
  if (own_transaction) store.db->rollback();
}

/// SQLITE_ROW where the first row from `id` on can be read.
int RowReader::Impl::read_from(uint64_t id) {
  runs.reset();
  runs.bind(1, id);
  return runs.try_step();
}

/// Goes to the first row behind a stretch that cannot be read. Seeks to ids in it fail, seeks behind
/// it do not: the first that succeeds is found by doubling and then by halving.
int RowReader::Impl::skip_damage() {
  ++damaged;
  const uint64_t last = std::numeric_limits<int64_t>::max();
  uint64_t bad = trusted;
  uint64_t step = 1;
  uint64_t good = 0;
  for (;;) {
    const uint64_t id = step < last - trusted ? trusted + step : last;
    if ((read_from(id) & 0xFF) != SQLITE_CORRUPT) {
      good = id;
      break;
    }
    if (id == last) return SQLITE_DONE;
    bad = id;
    step *= 2;
  }
  while (good - bad > 1) {
    const uint64_t middle = bad + (good - bad) / 2;
    ((read_from(middle) & 0xFF) == SQLITE_CORRUPT ? bad : good) = middle;
  }
  trusted = good;
  return read_from(good);
}

void RowReader::Impl::take_curves(const Layout& layout) {
  curves.reset();
  curves.bind(1, run);
  int code = 0;
  while ((code = curves.try_step()) == SQLITE_ROW) {
    const auto at = std::find(layout.curves.begin(), layout.curves.end(), curves.text(0));
    const std::span<const std::byte> points = curves.blob(1);
    if (at == layout.curves.end()) continue;
    const auto curve = static_cast<size_t>(at - layout.curves.begin());
    if (points.size() != layout.points[curve].size() * sizeof(double)) continue;
    for (size_t p = 0; p < layout.places.size(); ++p) {
      const Place& place = layout.places[p];
      if (!place.curve || place.column != curve) continue;
      std::memcpy(&row[kOutcomeHead + p], points.data() + place.point * sizeof(double),
                  sizeof(double));
    }
  }
  if (code != SQLITE_DONE && (code & 0xFF) != SQLITE_CORRUPT) store.db->fail();
}

/// The row that the statement stands on; false where it is damaged.
bool RowReader::Impl::take() {
  run = static_cast<uint64_t>(runs.whole(0));
  const int64_t of_cell = runs.whole(1);
  if (of_cell < 0 || static_cast<size_t>(of_cell) >= store.cells.size()) return false;
  cell = static_cast<size_t>(of_cell);
  const Layout& layout = store.layouts[store.meaning_of_cell[cell]];
  row.assign(kOutcomeHead + layout.places.size(), std::numeric_limits<double>::quiet_NaN());
  for (int k = 0; k < 3; ++k) row[static_cast<size_t>(k)] = runs.real(2 + k);
  const auto digest = static_cast<uint64_t>(runs.whole(5));
  row[3] = static_cast<double>(digest >> 32);
  row[4] = static_cast<double>(digest & 0xFFFFFFFFu);
  for (const auto& [column, place] : layout.columns) {
    const int at = 7 + static_cast<int>(column);
    if (!runs.is_null(at)) row[kOutcomeHead + place] = runs.real(at);
  }
  if (!layout.curves.empty()) take_curves(layout);
  return row_hash(run, cell, row) == static_cast<uint64_t>(runs.whole(6));
}

RowReader::RowReader(const ResultStore& store) : impl_(new Impl(*store.impl_)) {}
RowReader::RowReader(RowReader&&) noexcept = default;
RowReader::~RowReader() = default;

bool RowReader::next() {
  Impl& impl = *impl_;
  while (!impl.over) {
    int code = impl.runs.try_step();
    while ((code & 0xFF) == SQLITE_CORRUPT) code = impl.skip_damage();
    if (code == SQLITE_DONE) {
      impl.over = true;
      impl.store.damaged = impl.damaged;
    } else if (code != SQLITE_ROW) {
      impl.store.db->fail();
    } else if (impl.take()) {
      impl.trusted = std::max(impl.trusted, impl.run);
      return true;
    } else {
      ++impl.damaged;
    }
  }
  return false;
}

size_t RowReader::cell() const { return impl_->cell; }
uint64_t RowReader::run() const { return impl_->run; }
std::span<const double> RowReader::row() const { return impl_->row; }
uint64_t RowReader::damaged() const { return impl_->damaged; }

std::vector<CellRows> ResultStore::rows() const {
  std::vector<CellRows> rows(impl_->cells.size());
  for (RowReader reader(*this); reader.next();) {
    CellRows& of_cell = rows[reader.cell()];
    of_cell.runs.push_back(reader.run());
    of_cell.rows.insert(of_cell.rows.end(), reader.row().begin(), reader.row().end());
  }
  return rows;
}

}  // namespace cumarl
