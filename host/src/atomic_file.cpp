#include "host/src/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace cumarl {

AtomicFile::AtomicFile(std::string path)
    : path_(std::move(path)),
      partial_(path_ + ".partial"),
      file_(std::fopen(partial_.c_str(), "wb")) {
  if (file_ == nullptr) fail();
}

AtomicFile::~AtomicFile() {
  if (file_ != nullptr) {
    std::fclose(file_);
    std::remove(partial_.c_str());
  }
}

void AtomicFile::write(const void* data, size_t bytes) {
  if (bytes > 0 && std::fwrite(data, 1, bytes, file_) != bytes) fail();
}

void AtomicFile::commit(const std::string& previous) {
  if (std::fflush(file_) != 0 || fsync(fileno(file_)) != 0) fail();
  if (!previous.empty() && std::rename(path_.c_str(), previous.c_str()) != 0 && errno != ENOENT) {
    fail();
  }
  std::FILE* const file = file_;
  file_ = nullptr;
  if (std::fclose(file) != 0 || std::rename(partial_.c_str(), path_.c_str()) != 0) fail();
  // the names are durable when their folder is
  const std::string folder = std::filesystem::absolute(path_).parent_path().string();
  const int directory = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    fsync(directory);
    close(directory);
  }
}

void AtomicFile::fail() const { throw IoError(path_, std::strerror(errno)); }

}  // namespace cumarl
