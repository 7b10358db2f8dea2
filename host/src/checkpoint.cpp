#include "host/src/checkpoint.hpp"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>

namespace cumarl {
namespace {

constexpr char kMagic[8] = {'c', 'u', 'M', 'A', 'R', 'L', 'c', '1'};
constexpr size_t kFingerprint = 32;
constexpr uint64_t kEnd = ~uint64_t{0};

std::string current_name(const std::string& directory) { return directory + "/checkpoint"; }
std::string previous_name(const std::string& directory) {
  return directory + "/checkpoint.previous";
}

/// Why a file was refused.
struct Refusal {
  std::string why;
};

/// Reads a file front to back and hashes what it reads.
class Reader {
 public:
  explicit Reader(const std::string& path)
      : file_(path, std::ios::binary), hash_(XXH3_createState(), XXH3_freeState) {
    std::error_code error;
    left_ = std::filesystem::file_size(path, error);
    if (!file_ || error) throw Refusal{"cannot be read"};
    XXH3_128bits_reset(hash_.get());
  }

  /// Throws before anything is allocated for what the file does not hold.
  void want(uint64_t bytes) const {
    if (bytes > left_) throw Refusal{"is cut short"};
  }
  void read(void* data, uint64_t bytes) {
    want(bytes);
    if (!file_.read(static_cast<char*>(data), static_cast<std::streamsize>(bytes))) {
      throw Refusal{"cannot be read"};
    }
    XXH3_128bits_update(hash_.get(), data, bytes);
    left_ -= bytes;
  }
  template <class T>
  T value() {
    T v;
    read(&v, sizeof(v));
    return v;
  }
  std::vector<std::byte> bytes(uint64_t count) {
    want(count);
    std::vector<std::byte> data(count);
    read(data.data(), count);
    return data;
  }
  XXH128_hash_t hash() const { return XXH3_128bits_digest(hash_.get()); }
  uint64_t left() const { return left_; }

 private:
  std::ifstream file_;
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> hash_;
  uint64_t left_ = 0;
};

std::vector<SavedRun> read_runs(const std::string& path, const std::string& fingerprint) {
  Reader reader(path);
  char magic[sizeof(kMagic)];
  reader.read(magic, sizeof(magic));
  if (std::memcmp(magic, kMagic, sizeof(magic)) != 0) throw Refusal{"is no checkpoint"};
  char whose[kFingerprint];
  reader.read(whose, sizeof(whose));
  std::vector<SavedRun> runs;
  for (uint64_t id = reader.value<uint64_t>(); id != kEnd; id = reader.value<uint64_t>()) {
    SavedRun& run = runs.emplace_back();
    run.run = id;
    run.cell = reader.value<uint32_t>();
    const auto state = reader.value<uint32_t>();
    const auto memory = reader.value<uint64_t>();
    run.state = reader.bytes(state);
    run.memory = reader.bytes(memory);
  }
  const auto count = reader.value<uint64_t>();
  const XXH128_hash_t hash = reader.hash();
  const auto low = reader.value<uint64_t>();
  const auto high = reader.value<uint64_t>();
  if (low != hash.low64 || high != hash.high64 || count != runs.size() || reader.left() != 0) {
    throw Refusal{"is damaged: its checksum does not fit"};
  }
  if (std::memcmp(whose, fingerprint.data(), kFingerprint) != 0) {
    throw Refusal{"is of another experiment"};
  }
  return runs;
}

}  // namespace

CheckpointWriter::CheckpointWriter(const std::string& directory, const std::string& fingerprint)
    : current_(current_name(directory)),
      file_(current_),
      hash_(XXH3_createState(), XXH3_freeState) {
  XXH3_128bits_reset(hash_.get());
  write(kMagic, sizeof(kMagic));
  write(fingerprint.data(), kFingerprint);
}

void CheckpointWriter::write(const void* data, size_t bytes) {
  XXH3_128bits_update(hash_.get(), data, bytes);
  file_.write(data, bytes);
}

void CheckpointWriter::add(const SavedRun& run) {
  const auto state = static_cast<uint32_t>(run.state.size());
  const auto memory = static_cast<uint64_t>(run.memory.size());
  write(&run.run, sizeof(run.run));
  write(&run.cell, sizeof(run.cell));
  write(&state, sizeof(state));
  write(&memory, sizeof(memory));
  write(run.state.data(), run.state.size());
  write(run.memory.data(), run.memory.size());
  ++runs_;
}

void CheckpointWriter::commit() {
  write(&kEnd, sizeof(kEnd));
  write(&runs_, sizeof(runs_));
  const XXH128_hash_t hash = XXH3_128bits_digest(hash_.get());
  file_.write(&hash.low64, sizeof(hash.low64));
  file_.write(&hash.high64, sizeof(hash.high64));
  file_.commit(current_ + ".previous");
}

Checkpoint read_checkpoint(const std::string& directory, const std::string& fingerprint) {
  Checkpoint checkpoint;
  for (const std::string& path : {current_name(directory), previous_name(directory)}) {
    if (!std::filesystem::exists(path)) continue;
    try {
      checkpoint.runs = read_runs(path, fingerprint);
      break;
    } catch (const Refusal& refusal) {
      checkpoint.refused.push_back(path + " " + refusal.why);
    }
  }
  return checkpoint;
}

void remove_checkpoints(const std::string& directory) {
  std::error_code ignored;
  for (const std::string& path : {current_name(directory), previous_name(directory)}) {
    std::filesystem::remove(path, ignored);
    std::filesystem::remove(path + ".partial", ignored);
  }
}

}  // namespace cumarl
