/// \file
/// One program at a time writes into a results folder.
#pragma once

#include <string>

#include "cumarl/error.hpp"

namespace cumarl {

/// Holds DIR/lock while it lives. The system releases it when the process ends, however it ends.
class DirectoryLock {
 public:
  /// Throws IoError where another process holds it (with its process id) or DIR cannot be written.
  explicit DirectoryLock(const std::string& directory);
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;
  ~DirectoryLock();

  /// Whether some process holds the lock of a folder now.
  static bool held(const std::string& directory);

 private:
  int file_;
};

}  // namespace cumarl
