/// \file
/// Files that appear whole under their names, or not at all, whatever happens while they are written.
#pragma once

#include <string>

#include "cumarl/error.hpp"

namespace cumarl {

/// Writes to PATH.partial; `commit` makes it durable and gives it its name. Without a commit nothing
/// is left behind. All members throw IoError with the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(const void* data, size_t bytes);
  void write(const std::string& text) { write(text.data(), text.size()); }
  /// With `previous` the file that has the name now is kept under that one.
  void commit(const std::string& previous = {});

 private:
  [[noreturn]] void fail() const;
  std::string path_, partial_;
  std::FILE* file_;
};

}  // namespace cumarl
