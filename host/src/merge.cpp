#include "host/src/merge.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>

#include "host/src/store.hpp"
#include "host/src/summary.hpp"

namespace cumarl {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBatch = 10'000;  // runs a transaction

bool same_cells(const std::vector<StoreCell>& a, const std::vector<StoreCell>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const StoreCell& one, const StoreCell& other) {
                      const auto &ours = one.meaning.columns, &theirs = other.meaning.columns;
                      return one.set == other.set && one.meaning.actions == other.meaning.actions &&
                             std::equal(ours.begin(), ours.end(), theirs.begin(), theirs.end(),
                                        [](const OutcomeColumn& x, const OutcomeColumn& y) {
                                          return x.kind == y.kind && x.name == y.name &&
                                                 x.label == y.label && x.point == y.point;
                                        });
                    });
}

/// Throws unless both are of one experiment.
void check_same(const ResultStore& first, const ResultStore& other) {
  if (first.header().fingerprint != other.header().fingerprint) {
    throw IoError(other.directory(), "is of another experiment than " + first.directory() +
                                         ": the configurations (config.toml) differ");
  }
  if (!same_cells(first.cells(), other.cells())) {
    throw IoError(other.directory(), "was written by another version of cumarl than " +
                                         first.directory() + ": it reports other measures");
  }
}

/// Rows of all stores by run id, each once, into `out`.
uint64_t copy_rows(const std::vector<ResultStore>& stores, ResultStore& out) {
  std::vector<RowReader> readers;
  std::vector<bool> has;
  for (const ResultStore& store : stores) has.push_back(readers.emplace_back(store).next());
  CellRows batch;
  size_t cell = 0;
  const auto flush = [&] {
    if (batch.runs.empty()) return;
    out.append(cell, batch);
    out.commit();
    batch = {};
  };
  for (;;) {
    std::optional<size_t> lowest;
    for (size_t i = 0; i < readers.size(); ++i) {
      if (has[i] && (!lowest || readers[i].run() < readers[*lowest].run())) lowest = i;
    }
    if (!lowest) break;
    const RowReader& from = readers[*lowest];
    if (from.cell() != cell || batch.runs.size() == kBatch) flush();
    cell = from.cell();
    const uint64_t run = from.run();
    batch.runs.push_back(run);
    batch.rows.insert(batch.rows.end(), from.row().begin(), from.row().end());
    for (size_t i = *lowest + 1; i < readers.size(); ++i) {
      if (!has[i] || readers[i].run() != run) continue;
      if (readers[i].cell() != cell ||
          std::memcmp(readers[i].row().data(), from.row().data(), from.row().size_bytes()) != 0) {
        throw IoError(stores[i].directory(), "run " + std::to_string(run) +
                                                 " has other values than in " +
                                                 stores[*lowest].directory());
      }
      has[i] = readers[i].next();
    }
    has[*lowest] = readers[*lowest].next();
  }
  flush();
  uint64_t damaged = 0;
  for (const RowReader& reader : readers) damaged += reader.damaged();
  return damaged;
}

}  // namespace

Merged merge_results(const std::vector<std::string>& directories, const std::string& out) {
  std::vector<ResultStore> stores;
  double seconds = 0;
  for (const std::string& directory : directories) {
    stores.push_back(ResultStore::open(directory, ResultStore::Access::read));
    check_same(stores.front(), stores.back());
    seconds += stores.back().seconds();
  }
  std::error_code error;
  const bool new_folder = !fs::exists(out, error);
  const ResultStore& first = stores.front();
  StoreHeader header = first.header();
  header.shard = 0;
  header.shards = 1;
  std::optional<ResultStore> store;
  try {
    store = ResultStore::create(out, header, first.cells());
    Merged merged;
    merged.damaged = copy_rows(stores, *store);
    merged.wanted = first.header().runs_per_cell * first.cells().size();
    std::map<uint64_t, std::vector<double>> tables;
    for (const ResultStore& one : stores) tables.merge(one.tables());
    for (const auto& [run, values] : tables) store->append_tables(run, values);
    merged.result = summarise(*store);
    for (auto& [run, values] : tables) merged.result.tables.push_back(std::move(values));
    merged.result.seconds = seconds;
    merged.result.interrupted = merged.result.runs < merged.wanted;
    store->finish(merged.result);
    write_result(merged.result, out);
    return merged;
  } catch (...) {
    if (store) {  // otherwise the results there are another's
      store.reset();
      const fs::path file = fs::path(out) / ResultStore::kFile;
      for (const char* companion : {"", "-wal", "-shm", "-journal"}) {
        fs::remove(file.string() + companion, error);
      }
    }
    if (new_folder) fs::remove(out, error);  // where it is empty
    throw;
  }
}

}  // namespace cumarl
