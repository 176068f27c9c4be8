#include "cnb/buildpacks/buildpack_tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "cnb/buildpacks/buildpack_toml.h"
#include "cnb/lifecycle/lifecycle_files.h"
#include "cnb/source/staging.h"
#include "cnb/store/app_folder.h"
#include "oci/layer/layer_apply.h"
#include "oci/layer/layer_attributes.h"
#include "oci/layer/layer_path.h"

namespace locald::cnb {
namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
constexpr int kMaxDepth = 256;

Error bad_tree(std::string message) { return {Errc::invalid_input, std::move(message)}; }

/// As text: does `target`, in a symlink `depth` folders below the top, stay below it?
bool stays_inside(std::string_view target, int depth) {
  if (target.starts_with('/')) return false;
  for (const std::string& part : split(target, '/')) {
    if (part == "..") --depth;
    if (depth < 0) return false;
    if (part != ".." && part != "." && !part.empty()) ++depth;
  }
  return true;
}

/// Owners, modes and times of a buildpack, as pack writes them into layers.
class Normaliser {
 public:
  explicit Normaliser(BuildpackTree::Links links) : links_(links) {}

  Result<void> folder(int dir, const std::string& path, int depth) {
    if (depth > kMaxDepth) return bad_tree(path + ": folders nested too deep");
    TRY(list_dir(dir, [&](const std::string& name, unsigned char) {
      return entry(dir, name, path.empty() ? name : path + "/" + name, depth);
    }));
    return own(dir, 0755, path);
  }

 private:
  Result<void> entry(int dir, const std::string& name, const std::string& path, int depth) {
    struct stat st {};
    if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
      return Error::from_errno(errno, path);
    if (S_ISLNK(st.st_mode)) return symlink(dir, name, path, depth);
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
      return bad_tree(path + " is a " +
                      (S_ISSOCK(st.st_mode)   ? "socket"
                       : S_ISFIFO(st.st_mode) ? "FIFO"
                                              : "device") +
                      ", which no buildpack has");
    // What its owner may not open is opened as root, or given the right first.
    const mode_t rights = S_ISDIR(st.st_mode) ? 0700 : 0600;
    if ((st.st_mode & rights) != rights)
      (void)::fchmodat(dir, name.c_str(), st.st_mode | rights, 0);
    const UniqueFd fd =
        TRY(sys::openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).context(path));
    if (S_ISDIR(st.st_mode)) return folder(fd.get(), path, depth + 1);
    const bool program = (st.st_mode & 0111) != 0 || path == "bin/build" || path == "bin/detect";
    return own(fd.get(), program ? 0755 : 0644, path);
  }

  Result<void> symlink(int dir, const std::string& name, const std::string& path, int depth) const {
    std::array<char, 4097> target{};
    const ssize_t size = ::readlinkat(dir, name.c_str(), target.data(), target.size() - 1);
    if (size < 0) return Error::from_errno(errno, path);
    if (links_ == BuildpackTree::Links::stay_inside && !stays_inside(target.data(), depth))
      return bad_tree("the symlink " + path + " leads out of the buildpack, to " + target.data())
          .with_hint("nothing but the buildpack's own folder comes along: copy what it points to");
    if (::fchownat(dir, name.c_str(), 0, 0, AT_SYMLINK_NOFOLLOW) != 0)
      return Error::from_errno(errno, "chown " + path);
    if (::utimensat(dir, name.c_str(), kNormalTimes, AT_SYMLINK_NOFOLLOW) != 0)
      return Error::from_errno(errno, "set times of " + path);
    return {};
  }

  static Result<void> own(int fd, mode_t mode, const std::string& path) {
    if (::fchown(fd, 0, 0) != 0) return Error::from_errno(errno, "chown " + path);
    if (::fchmod(fd, mode) != 0) return Error::from_errno(errno, "chmod " + path);
    if (::futimens(fd, kNormalTimes) != 0) return Error::from_errno(errno, "set times of " + path);
    return {};
  }

  BuildpackTree::Links links_;
};

Result<Module> read_module(int dir) {
  const auto file = open_in_root(dir, "buildpack.toml", O_RDONLY | O_NONBLOCK);
  if (!file && file.error().code() == Errc::not_found)
    return bad_tree("there is no buildpack.toml in it")
        .with_hint("a buildpack's folder has buildpack.toml, bin/detect and bin/build");
  struct stat st {};
  if (!file) return file.error();
  if (::fstat(file->get(), &st) != 0) return Error::from_errno(errno, "buildpack.toml");
  if (!S_ISREG(st.st_mode)) return bad_tree("buildpack.toml is not a regular file");
  return parse_buildpack_toml(
      TRY(read_all(file->get(), kMaxBuildpackToml).context("buildpack.toml")), "buildpack.toml");
}

Result<void> check_programs(int dir, const Module& module) {
  if (!module.order.empty()) return {};  // made of others: it runs nothing itself
  for (const char* program : {"bin/detect", "bin/build"}) {
    const auto fd = open_in_root(dir, program, O_PATH);
    struct stat st {};
    if (!fd || ::fstat(fd->get(), &st) != 0 || !S_ISREG(st.st_mode))
      return bad_tree(std::string("there is no ") + program + " in it")
          .with_hint("a buildpack has bin/detect and bin/build, or an [[order]] of others");
  }
  return {};
}

}  // namespace

Result<BuildpackTree> BuildpackTree::begin(const std::string& store_dir, std::string map) {
  TRY(make_dirs(store_dir));
  BuildpackTree made(store_dir, ".new-" + random_hex(8), std::move(map));
  made.store_ = TRY(sys::open(store_dir, kFolder));
  TRY(sys::mkdirat(made.store_.get(), made.name_, 0700));
  made.top_ = TRY(sys::openat(made.store_.get(), made.name_, kFolder));
  if (::flock(made.top_.get(), LOCK_EX | LOCK_NB) != 0)
    return Error::from_errno(errno, "lock " + made.path());
  for (const char* folder : {"raw", "tree", "tree/cnb", "tree/cnb/buildpacks"}) {
    TRY(sys::mkdirat(made.top_.get(), folder, 0755));
    if (::fchmodat(made.top_.get(), folder, 0755, 0) != 0)
      return Error::from_errno(errno, "chmod " + made.path());
  }
  made.raw_ = TRY(sys::openat(made.top_.get(), "raw", kFolder));
  made.buildpacks_ = TRY(sys::openat(made.top_.get(), "tree/cnb/buildpacks", kFolder));
  return made;
}

BuildpackTree::~BuildpackTree() {
  if (store_ && !name_.empty()) (void)remove_tree(store_.get(), name_);
}

Result<UniqueFd> BuildpackTree::scratch_file(const std::string& name) const {
  return sys::openat(top_.get(), name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

Result<UniqueFd> BuildpackTree::make_id_dir(const std::string& id) const {
  const std::string name = escape_id(id);
  TRY(sys::mkdirat(buildpacks_.get(), name, 0755));
  UniqueFd dir = TRY(sys::openat(buildpacks_.get(), name, kFolder));
  if (::fchmod(dir.get(), 0755) != 0) return Error::from_errno(errno, "chmod " + name);
  return dir;
}

Result<void> BuildpackTree::make_opaque(int dir) const {
  const oci::IdMap map = map_ == "root" ? oci::IdMap::root : oci::IdMap::subuid;
  if (::fsetxattr(dir, oci::opaque_xattr(map), "y", 1, 0) != 0)
    return Error::from_errno(errno, "make a buildpack's folder opaque");
  return {};
}

Result<Module> BuildpackTree::place(const std::string& folder, Links links) {
  const std::string name = folder.empty() ? "raw" : name_of(folder);
  const UniqueFd above =
      folder.empty() ? TRY(sys::openat(top_.get(), ".", kFolder))
                     : TRY(oci::open_beneath(raw(), parent_of(folder), kFolder).context(folder));
  const UniqueFd dir = TRY(sys::openat(above.get(), name, kFolder).context(folder));
  TRY(Normaliser(links).folder(dir.get(), "", 0));
  Module module = TRY(read_module(dir.get()));
  TRY(check_programs(dir.get(), module));
  const UniqueFd id = TRY(make_id_dir(module.id));
  if (::renameat2(above.get(), name.c_str(), id.get(), module.version.c_str(), RENAME_NOREPLACE) !=
      0) {
    if (errno == EEXIST) return bad_tree("it holds " + module.name() + " twice");
    return Error::from_errno(errno, "move " + name);
  }
  TRY(make_opaque(dir.get()));
  module.added = true;
  return module;
}

Result<void> BuildpackTree::hide(const std::string& id, const std::string& version) {
  const UniqueFd dir = TRY(make_id_dir(id));
  TRY(sys::mkdirat(dir.get(), version, 0755));
  const UniqueFd inner = TRY(sys::openat(dir.get(), version, kFolder));
  if (::fchmod(inner.get(), 0755) != 0) return Error::from_errno(errno, "chmod " + version);
  return make_opaque(inner.get());
}

Result<void> BuildpackTree::commit(const std::string& key, std::vector<Module> modules,
                                   std::string_view kind, bool durable) {
  const BuildpackStore store(store_dir_);
  TRY(remove_tree(top_.get(), "raw"));
  TRY(scratch_file("used"));
  const Json record = buildpack_record({key, std::move(modules)}, kind, durable);
  if (durable && ::syncfs(top_.get()) != 0) return Error::from_errno(errno, "syncfs");
  TRY(write_file_atomic(top_.get(), "record.json", record.dump(), 0600,
                        durable ? Durability::synced : Durability::renamed));
  for (int tries = 0; tries < 2; ++tries) {
    if (::renameat2(store_.get(), name_.c_str(), store_.get(), key.c_str(), RENAME_NOREPLACE) ==
        0) {
      name_.clear();  // the folder of that name is no longer ours to remove
      return {};
    }
    if (errno != EEXIST) return Error::from_errno(errno, "name " + key);
    if (store.find(key)) return {};       // somebody was faster
    TRY(remove_tree(store_.get(), key));  // of another boot, or damaged
  }
  return Error(Errc::failed, "another process makes " + key + " again and again");
}

}  // namespace locald::cnb
