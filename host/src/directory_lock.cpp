#include "host/src/directory_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace cumarl {

DirectoryLock::DirectoryLock(const std::string& directory)
    : file_(open((directory + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (file_ < 0) throw IoError(directory + "/lock", std::strerror(errno));
  char owner[24] = {};
  if (flock(file_, LOCK_EX | LOCK_NB) != 0) {
    const ssize_t length = read(file_, owner, sizeof(owner) - 1);
    close(file_);
    throw IoError(directory, length > 0 ? std::string("process ") + owner + " is working there"
                                        : "another process is working there");
  }
  const std::string mine = std::to_string(getpid());
  if (ftruncate(file_, 0) != 0 ||
      pwrite(file_, mine.data(), mine.size(), 0) != static_cast<ssize_t>(mine.size())) {
    const int error = errno;
    close(file_);
    throw IoError(directory + "/lock", std::strerror(error));
  }
}

DirectoryLock::~DirectoryLock() { close(file_); }

bool DirectoryLock::held(const std::string& directory) {
  const int file = open((directory + "/lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool free = flock(file, LOCK_SH | LOCK_NB) == 0;
  close(file);
  return !free;
}

}  // namespace cumarl
