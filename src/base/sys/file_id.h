#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <optional>

namespace locald {

/// A file, folder or namespace itself, whatever its name. Of that one alone for as long as something
/// holds it open or mounted: its numbers go to another one afterwards.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;

  FileId() = default;
  explicit FileId(const struct stat& st) : device(st.st_dev), inode(st.st_ino) {}

  /// Nothing where it cannot be looked at; then errno says why.
  static std::optional<FileId> of(int fd) {
    struct stat st {};
    if (::fstat(fd, &st) != 0) return std::nullopt;
    return FileId(st);
  }
  /// What `path`, seen from `dir_fd`, leads to; `flags` as fstatat's (AT_SYMLINK_NOFOLLOW: the link
  /// itself).
  static std::optional<FileId> of(int dir_fd, const char* path, int flags = 0) {
    struct stat st {};
    if (::fstatat(dir_fd, path, &st, flags) != 0) return std::nullopt;
    return FileId(st);
  }

  friend bool operator==(const FileId&, const FileId&) = default;
};

}  // namespace locald
