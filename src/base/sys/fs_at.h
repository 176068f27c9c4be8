#pragma once
#include <sys/stat.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"

/// Files and folders by descriptor. Use these, never std::filesystem, for
/// anything whose path or content comes from outside (R-FD).
namespace locald {

/// Opens `path` below the folder `root`; never outside of it, whatever
/// symlinks or ".." the path holds (openat2(2), RESOLVE_IN_ROOT: links are
/// read as if `root` were "/"; magic links refused). O_CLOEXEC is added; the
/// kernel's EAGAIN under rename races is retried.
/// @return Errc::unsupported before Linux 5.6 or where seccomp hides openat2.
Result<UniqueFd> open_in_root(int root, const std::string& path, int flags, mode_t mode = 0);

/// Creates `path` and its missing parents (each `mode`), like `mkdir -p`, and
/// opens it. Follows symlinks: for our own folders only.
Result<UniqueFd> make_dirs(const std::string& path, mode_t mode = 0700);

/// All of a regular file or pipe. More than `max_bytes` is Errc::invalid_input.
Result<std::string> read_all(int fd, std::size_t max_bytes);

/// All of the file at `path` (follows symlinks: our own files only).
Result<std::string> read_file(const std::string& path, std::size_t max_bytes = 16u << 20);

enum class Durability { renamed, synced };

/// Replaces `name` in the folder `dir_fd` by `content` (R-ATOMIC); `synced` adds fsync of file and
/// folder. On error the old file stays and no temporary one is left.
Result<void> write_file_atomic(int dir_fd, const std::string& name, std::string_view content,
                               mode_t mode = 0600, Durability durability = Durability::renamed);
Result<void> write_file_atomic(const std::string& path, std::string_view content,
                               mode_t mode = 0600, Durability durability = Durability::renamed);

/// Removes `name` in `dir_fd` with all below it; never follows a symlink, never
/// crosses into another mount, iterative (any depth, also more than there may be descriptors).
/// Folders without write permission are given it first. What is missing is fine, also where
/// somebody else removes it at the same time. Goes on after a failed entry and returns the first
/// error.
Result<void> remove_tree(int dir_fd, const std::string& name);
Result<void> remove_tree(const std::string& path);

/// Calls `visit` with each name in the folder but "." and "..", in no order;
/// stops at the first error. `dir_fd` is only borrowed.
Result<void> list_dir(
    int dir_fd,
    const std::function<Result<void>(const std::string& name, unsigned char d_type)>& visit);
/// The same names as a list; what can be read of them, and none where `folder` is not a folder.
std::vector<std::string> names_in(const std::string& folder);

/// True where `path` exists, whatever it is (symlinks not followed).
bool exists(const std::string& path);

/// fsync of the folder, so that renames in it last.
Result<void> sync_dir(int dir_fd);

}  // namespace locald
