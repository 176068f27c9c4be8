// LayerTree, the half that deals with lower layers: whiteouts, opaque folders, copies from below.
#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "oci/layer/layer_path.h"
#include "oci/layer/layer_tree.h"

namespace locald::oci {
namespace {

Result<void> copy_data(int from, int to, const std::string& path) {
  while (true) {
    const ssize_t n = ::copy_file_range(from, nullptr, to, nullptr, 1u << 30, 0);
    if (n == 0) return {};
    if (n > 0) continue;
    if (errno == EINTR) continue;
    if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS &&
        errno != EPERM)
      return Error::from_errno(errno, "copy " + path);
    break;
  }
  std::string buffer(256u << 10, '\0');
  while (true) {
    const std::size_t n = TRY(sys::read_some(from, buffer.data(), buffer.size()));
    if (n == 0) return {};
    TRY(sys::write_all(to, std::string_view(buffer).substr(0, n)));
  }
}

}  // namespace

Result<LayerDir*> LayerTree::copy_dir(LayerDir& parent, const std::string& name,
                                      LowerTree::Node& node) {
  const std::string path = join_path(parent.path, name);
  const TarEntry entry = TRY(attributes_.read(node.parent.get(), node.name, node.st, path));
  const Made made = TRY(make_dir(parent, name));
  made.dir->deferred_xattrs = TRY(attributes_.set_dir(TRY(fd(*made.dir)), entry));
  made.dir->mtime = entry.mtime;
  return made.dir;
}

Result<void> LayerTree::copy_up(LayerDir& parent, const std::string& name, LowerTree::Node& node) {
  const std::string path = join_path(parent.path, name);
  const TarEntry entry = TRY(attributes_.read(node.parent.get(), node.name, node.st, path));
  const int at = TRY(fd(parent));
  const char* to = name.c_str();
  switch (entry.type) {
    case TarEntry::Type::file: {
      const UniqueFd from = TRY(sys::openat(node.parent.get(), node.name, O_RDONLY | O_NOFOLLOW));
      const UniqueFd file =
          TRY(sys::openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
      TRY(copy_data(from.get(), file.get(), path));
      TRY(attributes_.set_file(file.get(), entry));
      break;
    }
    case TarEntry::Type::symlink: {
      std::string target(static_cast<std::size_t>(node.st.st_size) + 1, '\0');
      const ssize_t size =
          ::readlinkat(node.parent.get(), node.name.c_str(), target.data(), target.size());
      if (size < 0) return Error::from_errno(errno, "read the link " + path);
      target.resize(static_cast<std::size_t>(size));
      if (::symlinkat(target.c_str(), at, to) != 0)
        return Error::from_errno(errno, "symlink " + path);
      TRY(attributes_.set_node(at, name, entry));
      break;
    }
    default:
      if (::mknodat(at, to, (node.st.st_mode & S_IFMT) | 0600u, node.st.st_rdev) != 0)
        return Error::from_errno(errno, "mknod " + path);
      TRY(attributes_.set_node(at, name, entry));
  }
  parent.changed = true;
  copied_.insert(path);
  return {};
}

/// Takes away what was copied from below into `dir`, which shows nothing from below any more.
Result<void> LayerTree::remove_copies(LayerDir& dir) {
  const std::string below = join_path(dir.path, "");
  std::vector<std::string> gone;
  for (auto at = dirs_.lower_bound(below); at != dirs_.end() && at->first.starts_with(below); ++at)
    if (!at->second.touched_by_layer && !at->first.empty() &&
        (gone.empty() || !at->first.starts_with(gone.back() + "/")))
      gone.push_back(at->first);
  for (auto at = copied_.lower_bound(below); at != copied_.end() && at->starts_with(below);) {
    gone.push_back(*at);
    at = copied_.erase(at);
  }
  for (const std::string& path : gone)
    if (LayerDir* parent = known(parent_path(path)))
      TRY(remove_conflicting(*parent, std::string(last_part(path))));
  return {};
}

Result<void> LayerTree::set_opaque(LayerDir& dir) {
  const int at = TRY(fd(dir));
  if (::fsetxattr(at, opaque_xattr(options_.id_map), "y", 1, 0) != 0)
    return Error::from_errno(errno, "make the folder " + dir.path + " opaque")
        .with_hint(
            "the store's file system must support extended attributes (user.* without root)");
  dir.hides_lower = true;
  TRY(remove_copies(dir));
  by_name_.clear();  // a name may have led through a symlink that is hidden now
  return {};
}

Result<void> LayerTree::make_opaque(LayerDir& dir) {
  dir.changed = true;
  if (form_ == Form::flat) return prune(dir);
  if (&dir != root_) return set_opaque(dir);
  // overlayfs asks no layer's root whether it is opaque: hide what is there name by name.
  const LowerTree* below = TRY(lower());
  TRY(remove_copies(dir));
  for (const std::string& name : TRY(below->root_names())) {
    if (LayerDir* folder = known(name))
      TRY(set_opaque(*folder));
    else
      TRY(hide(dir, name));
  }
  return {};
}

/// Overlay form: a whiteout, unless this layer has something there. @return whether it has.
Result<bool> LayerTree::hide(LayerDir& dir, const std::string& name) {
  const std::string path = join_path(dir.path, name);
  if (copied_.erase(path) != 0) TRY(remove_conflicting(dir, name));
  const int at = TRY(fd(dir));
  if (::mknodat(at, name.c_str(), S_IFCHR, 0) == 0) {
    dir.changed = true;
    dir.has_whiteouts = true;
    shadowed(path);
    return false;
  }
  if (errno != EEXIST)
    return Error::from_errno(errno, "make the whiteout " + path)
        .with_hint("whiteouts need Linux 5.8 or later and a store on an ordinary file system");
  struct stat st {};
  return ::fstatat(at, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         !(S_ISCHR(st.st_mode) && st.st_rdev == 0);
}

/// Flat form: true where this layer has put something at or below `name`.
Result<bool> LayerTree::keep_own_entry(LayerDir& dir, const std::string& name) {
  const std::string path = join_path(dir.path, name);
  if (LayerDir* folder = known(path); folder != nullptr && folder->touched_by_layer) {
    TRY(prune(*folder));
    return true;
  }
  return written_.contains(path);
}

/// Flat form: removes what the layers below have put into the folder. The depth
/// of the recursion is that of this layer's own entries, which is limited.
Result<void> LayerTree::prune(LayerDir& dir) {
  std::vector<std::string> names;
  TRY(list_dir(TRY(fd(dir)),
               [&names](const std::string& name, unsigned char /*type*/) -> Result<void> {
                 names.push_back(name);
                 return {};
               }));
  for (const std::string& name : names) {
    if (TRY(keep_own_entry(dir, name))) continue;
    TRY(remove_tree(TRY(fd(dir)), name));
    forget(join_path(dir.path, name));
    dir.changed = true;
  }
  return {};
}

bool LayerTree::lower_hidden(const LayerDir& dir) {
  for (const LayerDir* at = &dir; at != nullptr;
       at = at->path.empty() ? nullptr : known(parent_path(at->path)))
    if (at->hides_lower) return true;
  return false;
}

/// Whiteouts that came before their folder was found to hide everything below
/// have nothing left to do, and overlayfs would list them: it looks for whiteouts in merged folders
/// alone.
Result<void> LayerTree::remove_whiteouts(LayerDir& dir) {
  const int at = TRY(fd(dir));
  std::vector<std::string> names;
  TRY(list_dir(at, [&](const std::string& name, unsigned char /*type*/) -> Result<void> {
    struct stat st {};
    if (::fstatat(at, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISCHR(st.st_mode) &&
        st.st_rdev == 0)
      names.push_back(name);
    return {};
  }));
  for (const std::string& name : names)
    if (::unlinkat(at, name.c_str(), 0) != 0)
      return Error::from_errno(errno, "remove the whiteout " + name);
  return {};
}

Result<void> LayerTree::whiteout(LayerDir& dir, const std::string& name) {
  const std::string path = join_path(dir.path, name);
  const auto kept = [&] {
    warnings_.add(path + " is whited out by the layer that holds it; it was kept");
  };
  if (form_ == Form::flat) {
    if (TRY(keep_own_entry(dir, name))) return kept(), Result<void>();
    const int at = TRY(fd(dir));
    TRY(remove_tree(at, name));
    forget(path);
    dir.changed = true;
    return {};
  }
  if (LayerDir* folder = known(path); folder != nullptr && folder->touched_by_layer) {
    kept();
    return set_opaque(*folder);
  } else if (folder != nullptr) {
    TRY(remove_conflicting(dir, name));
  }
  if (lower_hidden(dir)) return {};  // nothing of that name below
  if (TRY(hide(dir, name))) kept();
  return {};
}

}  // namespace locald::oci
