#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "project/compose/request.h"

namespace locald::project::compose {
namespace {

constexpr std::size_t kMaxFileSize = 4u << 20;  // bytes

PathKind kind_on_disk(const std::string& path) {
  struct stat st {};
  if (::stat(path.c_str(), &st) != 0)
    return ::lstat(path.c_str(), &st) == 0 ? PathKind::astray : PathKind::none;
  return S_ISDIR(st.st_mode) ? PathKind::folder : PathKind::file;
}

Result<std::string> read_from_disk(const std::string& path) {
  // A FIFO in its place must not hang the reader: hence the flag, and the look at what it is.
  const UniqueFd fd = TRY(sys::open(path, O_RDONLY | O_NONBLOCK));
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return Error::from_errno(errno, "stat " + path);
  if (!S_ISREG(st.st_mode))
    return Error(Errc::invalid_input, fmt::format("{} is not a regular file", path));
  return read_all(fd.get(), kMaxFileSize).context(path);
}

}  // namespace

FileAccess disk_files() { return {kind_on_disk, read_from_disk}; }

}  // namespace locald::project::compose
