/// \file
/// One process at a time writes into a results folder.
#pragma once

#include <string>

#include "cumarl/error.hpp"

namespace cumarl {

/// A folder, locked against a second writer while this lives. The system releases it when the
/// process ends, however it ends.
class FolderLock {
 public:
  /// Throws IoError where another process has it. Some network file systems lock no folders: there
  /// nobody is kept out.
  explicit FolderLock(const std::string& directory);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

  /// New names in the folder are on disk.
  void sync() const;

  /// Whether a process may have it now; always, where folders cannot be locked.
  static bool held(const std::string& directory);

 private:
  int descriptor_;
};

}  // namespace cumarl
