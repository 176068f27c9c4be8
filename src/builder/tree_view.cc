#include "builder/tree_view.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald::builder {
namespace {

// The new mount interface; numbers and names as in linux/mount.h, which clashes with sys/mount.h.
constexpr unsigned kFsconfigSetFlag = 0, kFsconfigSetString = 1, kFsconfigCreate = 6;
constexpr unsigned kFsopenCloexec = 1, kFsmountCloexec = 1, kMoveEmptyPath = 4;
constexpr unsigned kMountReadOnly = 1, kMountNosuid = 2, kMountNodev = 4;

constexpr std::size_t kMountPage = 4096;        // what the kernel takes of options, with their end
constexpr int kMaxLinks = 40;                   // as the kernel
constexpr std::size_t kMaxUserFile = 1u << 20;  // 1 MiB

/// For a value in mount options: "," ends an option there, ":" a lower folder.
std::string escape(const std::string& path, const char* special) {
  std::string out;
  for (const char c : path) {
    if (std::strchr(special, c) != nullptr) out += '\\';
    out += c;
  }
  return out;
}

/// The same mount layer by layer, where the options of all of them are longer than a page. False,
/// and errno, where the kernel refuses it or does not know how.
bool mount_long(const std::vector<std::string>& lowers, const runtime::Rootfs& rootfs,
                const std::string& target, bool user_xattr) {
  const UniqueFd fs(static_cast<int>(::syscall(SYS_fsopen, "overlay", kFsopenCloexec)));
  if (!fs) return false;
  const auto set = [&](const char* key, const std::string& value) {
    return ::syscall(SYS_fsconfig, fs.get(), kFsconfigSetString, key, value.c_str(), 0) == 0;
  };
  for (const std::string& lower : lowers)
    if (!set("lowerdir+", lower)) return false;
  const bool writable = !rootfs.upper.empty();
  if (writable && !(set("upperdir", rootfs.upper) && set("workdir", rootfs.work))) return false;
  if (user_xattr &&
      ::syscall(SYS_fsconfig, fs.get(), kFsconfigSetFlag, "userxattr", nullptr, 0) != 0)
    return false;
  if (::syscall(SYS_fsconfig, fs.get(), kFsconfigCreate, nullptr, nullptr, 0) != 0) return false;
  const unsigned attributes = kMountNosuid | kMountNodev | (writable ? 0 : kMountReadOnly);
  const UniqueFd made(
      static_cast<int>(::syscall(SYS_fsmount, fs.get(), kFsmountCloexec, attributes)));
  return made &&
         ::syscall(SYS_move_mount, made.get(), "", AT_FDCWD, target.c_str(), kMoveEmptyPath) == 0;
}

std::string opened_path(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

bool has_xattrs(int fd) {
  std::array<char, 4096> names;
  const ssize_t size = ::listxattr(opened_path(fd).c_str(), names.data(), names.size());
  if (size < 0) return errno == ERANGE;
  for (ssize_t at = 0; at < size; at += static_cast<ssize_t>(std::strlen(names.data() + at)) + 1)
    if (std::strcmp(names.data() + at, "security.selinux") != 0)
      return true;  // the host's own labelling
  return false;
}

Result<Attributes> attributes_of(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return Error::from_errno(errno, "fstat");
  return Attributes{st.st_uid, st.st_gid, st.st_mode & 07777u, !has_xattrs(fd)};
}

Result<bool> is_empty(int fd) {
  const UniqueFd dir = TRY(sys::openat(fd, ".", O_RDONLY | O_DIRECTORY));
  bool empty = true;
  // An error of the visitor ends the listing: the first name is enough.
  (void)list_dir(dir.get(), [&](const std::string&, unsigned char) -> Result<void> {
    empty = false;
    return Error(Errc::cancelled, "enough");
  });
  return empty;
}

Result<std::string> read_link(int fd) {
  std::array<char, 4097> target;
  const ssize_t size = ::readlinkat(fd, "", target.data(), target.size());
  if (size < 0) return Error::from_errno(errno, "readlink");
  if (static_cast<std::size_t>(size) == target.size())
    return Error(Errc::invalid_input, "a symlink of over 4096 bytes");
  return std::string(target.data(), static_cast<std::size_t>(size));
}

/// A walk from the root of the tree, one name at a time.
struct Walk {
  struct Step {
    std::string name;
    UniqueFd fd;  // a folder
  };
  int root;
  std::vector<Step> folders;         // that exist
  std::vector<std::string> missing;  // behind them
  std::string leaf;                  // no folder: the end of the walk
  UniqueFd leaf_fd;
  bool blocked = false;  // the path goes on behind the leaf

  int here() const { return folders.empty() ? root : folders.back().fd.get(); }

  std::string resolved() const {
    std::string path;
    for (const Step& step : folders) path += "/" + step.name;
    if (!leaf.empty()) path += "/" + leaf;
    for (const std::string& name : missing) path += "/" + name;
    return path.empty() ? "/" : path;
  }

  void up() {
    if (!missing.empty())
      missing.pop_back();
    else if (!folders.empty())
      folders.pop_back();
  }

  Result<void> go(const std::string& path) {
    std::deque<std::string> names;
    for (std::string& name : split(path, '/')) names.push_back(std::move(name));
    int links = 0;
    while (!names.empty()) {
      std::string name = std::move(names.front());
      names.pop_front();
      if (name.empty() || name == ".") continue;
      if (leaf_fd) {
        blocked = true;
        return {};
      }
      if (name == "..") {
        up();
        continue;
      }
      if (!missing.empty()) {
        missing.push_back(std::move(name));
        continue;
      }
      UniqueFd fd(::openat(here(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
      if (!fd) {
        if (errno != ENOENT) return Error::from_errno(errno, "look at " + path);
        missing.push_back(std::move(name));
        continue;
      }
      struct stat st {};
      if (::fstat(fd.get(), &st) != 0) return Error::from_errno(errno, "look at " + path);
      if (S_ISLNK(st.st_mode)) {
        if (++links > kMaxLinks)
          return Error(Errc::invalid_input, path + ": more than 40 symlinks");
        const std::string target = TRY(read_link(fd.get()).context(path));
        if (target.starts_with('/')) folders.clear();
        std::vector<std::string> inner = split(target, '/');
        names.insert(names.begin(), std::make_move_iterator(inner.begin()),
                     std::make_move_iterator(inner.end()));
      } else if (S_ISDIR(st.st_mode)) {
        folders.push_back({std::move(name), std::move(fd)});
      } else {
        leaf = std::move(name);
        leaf_fd = std::move(fd);
      }
    }
    return {};
  }

  Result<PathFacts> facts() const {
    PathFacts out;
    out.resolved = resolved();
    if (leaf_fd) {
      struct stat st {};
      if (::fstat(leaf_fd.get(), &st) != 0) return Error::from_errno(errno, "fstat");
      out.kind = S_ISREG(st.st_mode) && !blocked ? PathFacts::Kind::file : PathFacts::Kind::other;
      out.attributes = TRY(attributes_of(leaf_fd.get()));
    } else if (missing.empty()) {
      out.kind = PathFacts::Kind::folder;
      out.attributes = TRY(attributes_of(here()));
      out.empty = TRY(is_empty(here()));
    }
    for (const Step& step : folders) out.ancestors.push_back(TRY(attributes_of(step.fd.get())));
    // The place itself is not one of its ancestors.
    if (out.kind == PathFacts::Kind::folder && !out.ancestors.empty()) out.ancestors.pop_back();
    return out;
  }
};

/// A small regular file of the tree as text; why not, in `problem`. One that is missing is neither.
std::string read_user_file(int root, const std::string& path, std::string& problem) {
  const auto look = open_in_root(root, path, O_PATH);
  if (!look) {
    if (look.error().code() != Errc::not_found) problem = look.error().message();
    return {};
  }
  struct stat st {};
  if (::fstat(look->get(), &st) != 0 || !S_ISREG(st.st_mode)) {
    problem = "/" + path + " is not a regular file";
    return {};
  }
  // Only now opened for reading: a FIFO would hang us, a device act.
  const auto file = sys::open(opened_path(look->get()), O_RDONLY);
  if (!file) {
    problem = file.error().message();
    return {};
  }
  auto text = read_all(file->get(), kMaxUserFile);
  if (!text) {
    problem = "/" + path + " is larger than 1 MiB";
    return {};
  }
  // What is not text cannot be carried by JSON, nor be a line of it: such bytes become "?".
  for (char& c : *text)
    if (static_cast<unsigned char>(c) >= 0x80 || c == '\0') c = '?';
  return std::move(text).value();
}

}  // namespace

Result<TreeView> TreeView::mount(const runtime::Rootfs& rootfs, const std::string& scratch,
                                 bool user_xattr, std::size_t room) {
  // The scratch folder's mounts are seen by this process alone and go with it.
  if (::unshare(CLONE_NEWNS) != 0) return Error::from_errno(errno, "unshare the mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return Error::from_errno(errno, "make mounts private");
  if (::mount("tmpfs", scratch.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=700,size=64k") != 0)
    return Error::from_errno(errno, "mount a tmpfs on " + scratch);
  const std::string root = scratch + "/root", empty = scratch + "/empty";
  TRY(sys::mkdirat(AT_FDCWD, root, 0700));
  TRY(sys::mkdirat(AT_FDCWD, empty, 0755));

  std::vector<std::string> lowers = rootfs.lowers;
  // One lower folder alone is not an overlay: an empty one on top makes two.
  if (rootfs.upper.empty()) lowers.insert(lowers.begin(), empty);
  std::string lower;
  for (const std::string& layer : lowers)
    lower += (lower.empty() ? "" : ":") + escape(layer, "\\:,");
  std::string options = "lowerdir=" + lower;
  if (!rootfs.upper.empty())
    options +=
        ",upperdir=" + escape(rootfs.upper, "\\,") + ",workdir=" + escape(rootfs.work, "\\,");
  if (user_xattr) options += ",userxattr";
  if (!rootfs.lower_base.empty() && ::chdir(rootfs.lower_base.c_str()) != 0)
    return Error::from_errno(errno, "chdir to " + rootfs.lower_base);
  const unsigned long flags =
      MS_NOSUID | MS_NODEV | (rootfs.upper.empty() ? static_cast<unsigned long>(MS_RDONLY) : 0ul);
  const bool mounted =
      options.size() + room < kMountPage
          ? ::mount("overlay", root.c_str(), "overlay", flags, options.c_str()) == 0
          : mount_long(lowers, rootfs, root, user_xattr);
  if (!mounted) {
    const int err = errno;
    (void)!::chdir("/");
    ::umount2(scratch.c_str(), MNT_DETACH);
    return Error::from_errno(err, "mount the layers (overlay)")
        .with_hint("`locald doctor` says what this host lacks");
  }
  (void)!::chdir("/");
  TreeView view;
  view.mounted_ = scratch;
  view.root_ = TRY(sys::open(root, O_PATH | O_DIRECTORY));
  return view;
}

TreeView::~TreeView() {
  if (!root_) return;  // moved from
  root_.reset();
  ::umount2((mounted_ + "/root").c_str(), MNT_DETACH);
  ::umount2(mounted_.c_str(), MNT_DETACH);
}

Result<PathFacts> locate(int root, const std::string& path) {
  Walk walk{.root = root, .folders = {}, .missing = {}, .leaf = {}, .leaf_fd = {}};
  TRY(walk.go(path));
  return walk.facts();
}

Result<PathFacts> make_mount_point(int root, const std::string& path, PathFacts::Kind kind) {
  Walk walk{.root = root, .folders = {}, .missing = {}, .leaf = {}, .leaf_fd = {}};
  TRY(walk.go(path));
  // What is below these is the kernel's, once the container runs: a symlink that leads there is
  // for the caller to refuse.
  const std::string where = walk.resolved();
  for (const char* system : {"/proc/", "/sys/", "/dev/"})
    if (where.starts_with(system)) return walk.facts();
  for (std::size_t i = 0; i < walk.missing.size(); ++i) {
    const std::string& name = walk.missing[i];
    if (i + 1 == walk.missing.size() && kind == PathFacts::Kind::file) {
      const UniqueFd file =
          TRY(sys::openat(walk.here(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644)
                  .context("create " + path));
      if (::fchmod(file.get(), 0644) != 0) return Error::from_errno(errno, "chmod " + path);
      break;
    }
    if (::mkdirat(walk.here(), name.c_str(), 0755) != 0)
      return Error::from_errno(errno, "create folder " + path);
    UniqueFd fd = TRY(sys::openat(walk.here(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    if (::fchmod(fd.get(), 0755) != 0) return Error::from_errno(errno, "chmod " + path);
    walk.folders.push_back({name, std::move(fd)});
  }
  return locate(root, path);
}

Result<ImageFacts> collect_facts(int root, const std::vector<std::string>& paths) {
  ImageFacts facts;
  facts.root = TRY(attributes_of(root));
  facts.users.passwd = read_user_file(root, "etc/passwd", facts.users.problem);
  facts.users.group = read_user_file(root, "etc/group", facts.users.problem);
  for (const std::string& path : paths) facts.paths.emplace(path, TRY(locate(root, path)));
  return facts;
}

}  // namespace locald::builder
