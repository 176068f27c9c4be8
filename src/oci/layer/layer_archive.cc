#include "oci/layer/layer_archive.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "base/sys/unique_fd.h"

namespace locald::oci {
namespace {

constexpr int kMaxNesting = 900;  // a descriptor each, and paths end there too (PATH_MAX)
constexpr std::size_t kFileBytes = 256u << 10;

TarHeader::Type type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return TarHeader::Type::folder;
    case S_IFLNK:
      return TarHeader::Type::symlink;
    case S_IFIFO:
      return TarHeader::Type::fifo;
    case S_IFCHR:
      return TarHeader::Type::character_device;
    case S_IFBLK:
      return TarHeader::Type::block_device;
    default:
      return TarHeader::Type::file;
  }
}

Result<std::string> read_link(int dir, const std::string& name) {
  std::array<char, 4097> target{};
  const ssize_t size = ::readlinkat(dir, name.c_str(), target.data(), target.size());
  if (size < 0) return Error::from_errno(errno, "read the symlink");
  return std::string(target.data(), static_cast<std::size_t>(size));
}

Result<struct stat> stat_of(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return Error::from_errno(errno, "stat");
  return st;
}

}  // namespace

struct LayerArchive::Walk {
  const std::string& name;
  ArchiveOwner owner;
  Order order;
  const Filter& filter;

  bool wants(const std::string& path) const { return !filter || filter(path); }
};

Result<void> LayerArchive::folder(int dir, const std::string& name,
                                  const std::function<ArchiveOwner(uid_t, gid_t)>& owner) {
  const struct stat st = TRY(stat_of(dir).context(name));
  return entry(dir, "", name, owner(st.st_uid, st.st_gid), st).context(name);
}

Result<void> LayerArchive::tree(int dir, const std::string& name, ArchiveOwner owner, Order order,
                                const Filter& filter) {
  const Walk walk{name, owner, order, filter};
  const struct stat st = TRY(stat_of(dir).context(name));
  if (walk.wants("")) TRY(entry(dir, "", name, owner, st).context(name));
  return content(walk, dir, "", 0);
}

Result<void> LayerArchive::content(const Walk& walk, int dir, const std::string& path, int depth) {
  if (depth > kMaxNesting)
    return Error(Errc::invalid_input,
                 walk.name + ": folders nested more than " + std::to_string(kMaxNesting) + " deep");
  struct Step {
    std::string key;
    bool inside;  // the folder's content, not the entry itself
  };
  std::vector<Step> steps;
  // A second descriptor: reading the names moves the position of the first.
  const UniqueFd names = TRY(sys::openat(dir, ".", O_RDONLY | O_DIRECTORY));
  TRY(list_dir(names.get(), [&](const std::string& name, unsigned char type) -> Result<void> {
    steps.push_back({name, false});
    if (walk.order == Order::by_path && (type == DT_DIR || type == DT_UNKNOWN))
      steps.push_back({name + "/", true});
    return {};
  }));
  std::sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) { return a.key < b.key; });
  for (Step& step : steps) {
    std::string name = std::move(step.key);
    if (step.inside) name.pop_back();
    const std::string below = path.empty() ? name : path + "/" + name;
    const std::string full = walk.name + "/" + below;
    struct stat st {};
    if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
      return Error::from_errno(errno, "stat " + full);
    if (!step.inside && walk.wants(below))
      TRY(entry(dir, name, full, walk.owner, st).context(full));
    if (S_ISDIR(st.st_mode) && (step.inside || walk.order == Order::folder_first)) {
      const UniqueFd inner =
          TRY(sys::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW).context("open " + full));
      TRY(content(walk, inner.get(), below, depth + 1));
    }
  }
  return {};
}

Result<void> LayerArchive::entry(int dir, const std::string& name, const std::string& full,
                                 ArchiveOwner owner, const struct stat& st) {
  if (S_ISSOCK(st.st_mode)) return {};
  TarHeader header{.type = type_of(st.st_mode),
                   .name = full,
                   .mode = st.st_mode & 07777u,
                   .uid = owner.uid,
                   .gid = owner.gid,
                   .mtime = mtime_};
  if (S_ISLNK(st.st_mode)) header.link = TRY(read_link(dir, name));
  if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
    header.major = major(st.st_rdev);
    header.minor = minor(st.st_rdev);
  }
  if (!S_ISREG(st.st_mode)) return tar_.entry(header);
  const UniqueFd file = TRY(sys::openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  const struct stat opened = TRY(stat_of(file.get()));
  if (!S_ISREG(opened.st_mode)) return Error(Errc::failed, "it changes while it is packed");
  header.size = static_cast<std::uint64_t>(opened.st_size);
  TRY(tar_.entry(header));
  return bytes(file.get(), opened);
}

Result<void> LayerArchive::bytes(int file, const struct stat& st) {
  buffer_.resize(kFileBytes);
  for (auto left = static_cast<std::uint64_t>(st.st_size); left > 0;) {
    const std::size_t n =
        TRY(sys::read_some(file, buffer_.data(), std::min<std::uint64_t>(buffer_.size(), left)));
    if (n == 0) return Error(Errc::failed, "it shrinks while it is packed");
    TRY(tar_.write(std::span(buffer_).first(n)));
    left -= n;
  }
  return {};
}

Result<void> LayerArchive::file(int file, const std::string& name, std::uint32_t mode) {
  const struct stat st = TRY(stat_of(file).context(name));
  if (!S_ISREG(st.st_mode)) return Error(Errc::invalid_input, name + " is not a regular file");
  TRY(tar_.entry({.name = name,
                  .mode = mode,
                  .size = static_cast<std::uint64_t>(st.st_size),
                  .mtime = mtime_}));
  return bytes(file, st).context(name);
}

Result<void> LayerArchive::made_folder(const std::string& name) {
  return tar_.entry({.type = TarHeader::Type::folder, .name = name, .mode = 0755, .mtime = mtime_});
}

Result<void> LayerArchive::made_symlink(const std::string& name, const std::string& target) {
  return tar_.entry({.type = TarHeader::Type::symlink,
                     .name = name,
                     .link = target,
                     .mode = 0755,
                     .mtime = mtime_});
}

}  // namespace locald::oci
