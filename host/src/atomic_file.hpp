/// \file
/// A file that appears whole under its name, or not at all.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

#include "cumarl/error.hpp"

namespace cumarl {

/// Written beside its place as NAME.partial and renamed by commit(); without that, nothing is left.
/// All members throw IoError.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path)
      : path_(std::move(path)),
        partial_(path_.string() + ".partial"),
        file_(std::fopen(partial_.c_str(), "wb")) {
    if (file_ == nullptr) fail();
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    if (file_ != nullptr) std::fclose(file_);
    if (!partial_.empty()) std::remove(partial_.c_str());
  }

  void write(const void* data, size_t bytes) {
    if (bytes > 0 && std::fwrite(data, 1, bytes, file_) != bytes) fail();
  }
  void write(const std::string& text) { write(text.data(), text.size()); }

  /// When it returns, the file is on disk.
  void commit() {
    if (std::fflush(file_) != 0 || fsync(fileno(file_)) != 0) fail();
    std::FILE* const file = std::exchange(file_, nullptr);
    if (std::fclose(file) != 0 || std::rename(partial_.c_str(), path_.c_str()) != 0) fail();
    partial_.clear();
  }

 private:
  /// Where the constructor fails there is no destructor to clean up, and nothing to clean up.
  [[noreturn]] void fail() const { throw IoError(path_.string(), std::strerror(errno)); }

  std::filesystem::path path_;
  std::string partial_;
  std::FILE* file_;
};

}  // namespace cumarl
