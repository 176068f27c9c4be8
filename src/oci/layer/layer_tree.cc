#include "oci/layer/layer_tree.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "oci/layer/layer_path.h"

namespace locald::oci {
namespace {

constexpr std::size_t kOpenDirs = 64;
constexpr std::size_t kNames = 8192;
constexpr int kMaxLinks = 255;  // the kernel allows 40; images made elsewhere may chain more

Result<std::string> read_link(int dir, const std::string& name, std::uint32_t max_bytes) {
  std::string target(max_bytes + 1, '\0');
  const ssize_t size = ::readlinkat(dir, name.c_str(), target.data(), target.size());
  if (size < 0) return Error::from_errno(errno, "read the link " + name);
  target.resize(static_cast<std::size_t>(size));
  return target;
}

std::string key_of(std::span<const std::string> parts) {
  std::string key;
  for (const std::string& part : parts) {
    if (!key.empty()) key += '/';
    key += part;
  }
  return key;
}

}  // namespace

LayerTree::LayerTree(Form form, int root, const LowerLayers& lowers, const ApplyOptions& options,
                     LayerAttributes& attributes, Warnings& warnings)
    : form_(form),
      root_fd_(root),
      lowers_(lowers),
      options_(options),
      attributes_(attributes),
      warnings_(warnings) {}

Result<void> LayerTree::start() {
  struct stat st {};
  if (::fstat(root_fd_, &st) != 0) return Error::from_errno(errno, "stat the layer's root");
  root_ = add("", st);
  root_->hides_lower = form_ == Form::flat;
  root_->touched_by_layer = true;
  return {};
}

Result<int> LayerTree::fd(LayerDir& dir) {
  if (dir.fd) {
    open_.splice(open_.end(), open_, dir.use);
    return dir.fd.get();
  }
  dir.fd = TRY(open_beneath(root_fd_, dir.path, O_RDONLY | O_DIRECTORY));
  dir.use = open_.insert(open_.end(), &dir);
  if (open_.size() > kOpenDirs) {
    open_.front()->fd.reset();
    open_.pop_front();
  }
  return dir.fd.get();
}

LayerDir* LayerTree::add(std::string path, const struct stat& st) {
  auto [at, added] = dirs_.try_emplace(std::move(path));
  if (added) {
    at->second.path = at->first;
    at->second.mtime = st.st_mtim;
  }
  return &at->second;
}

LayerDir* LayerTree::known(std::string_view path) {
  const auto at = dirs_.find(path);
  return at == dirs_.end() ? nullptr : &at->second;
}

/// Forgets the folder and all below: it is gone.
void LayerTree::forget(const std::string& path) {
  const auto erase = [this](auto at) {
    if (at->second.fd) open_.erase(at->second.use);
    return dirs_.erase(at);
  };
  if (const auto at = dirs_.find(path); at != dirs_.end()) erase(at);
  const std::string below = path + "/";
  for (auto at = dirs_.lower_bound(below); at != dirs_.end() && at->first.starts_with(below);)
    at = erase(at);
  copied_.erase(path);
  for (auto at = copied_.lower_bound(below); at != copied_.end() && at->starts_with(below);)
    at = copied_.erase(at);
  by_name_.clear();
  lower_links_.clear();
}

/// Something new stands at `path`: names that led through a lower layer's symlink there lead
/// elsewhere now.
void LayerTree::shadowed(const std::string& path) {
  if (lower_links_.empty() || !lower_links_.contains(path)) return;
  by_name_.clear();
  lower_links_.clear();
}

Result<LowerTree*> LayerTree::lower() {
  if (!lower_) {
    // Also without lower layers: upon others the same bytes would come to something else.
    std::vector<std::string> paths;
    if (lowers_.wait) paths = TRY(lowers_.wait().context("wait for the lower layers"));
    lower_ = TRY(LowerTree::open(paths, opaque_xattr(options_.id_map)));
  }
  return &*lower_;
}

Result<LayerTree::Node> LayerTree::look(const Place& at, const std::string& name) {
  const std::string path = join_path(at.path, name);
  if (at.in_upper) {
    if (known(path) != nullptr) return Node{Node::Where::upper, S_IFDIR, {}};
    const int dir = TRY(fd(*known(at.path)));
    struct stat st {};
    if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) {
      if (form_ == Form::overlay && is_whiteout(st)) return Node{};
      Node node{Node::Where::upper, st.st_mode & S_IFMT, {}};
      if (S_ISDIR(st.st_mode)) add(path, st);
      if (S_ISLNK(st.st_mode))
        node.target = TRY(read_link(dir, name, options_.limits.max_link_bytes));
      return node;
    }
    if (errno != ENOENT) return Error::from_errno(errno, "stat " + path);
  }
  if (!at.lower_visible) return Node{};
  const LowerTree* below = TRY(lower());
  const auto found = TRY(below->lookup(path));
  if (!found.found) return Node{};
  Node node{Node::Where::lower, found.st.st_mode & S_IFMT, {}};
  if (S_ISLNK(found.st.st_mode)) {
    node.target = TRY(read_link(found.parent.get(), found.name, options_.limits.max_link_bytes));
    lower_links_.insert(path);
  }
  return node;
}

/// Follows `parts` as a walk from "/" would, without changing anything. What is
/// missing (or no folder) is passed by name: the rest of the path is what would be made.
Result<LayerTree::Place> LayerTree::resolve(std::span<const std::string> parts) {
  std::vector<Place> trail{{"", true, true, !root_->hides_lower}};  // back() is where we are
  std::deque<std::string> rest(parts.begin(), parts.end());
  int links = 0;
  while (!rest.empty()) {
    const std::string name = std::move(rest.front());
    rest.pop_front();
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      if (trail.size() > 1) trail.pop_back();
      continue;
    }
    const Place& here = trail.back();
    Place next{join_path(here.path, name), false, false, false};
    if (here.exists) {
      Node node = TRY(look(here, name));
      if (node.type == S_IFLNK) {
        if (++links > kMaxLinks)
          return Error(Errc::invalid_input, "too many symlinks lead to one another");
        const bool absolute = node.target.starts_with('/');
        std::size_t at = 0;
        for (std::string_view target = node.target; !target.empty();) {
          const std::size_t slash = target.find('/');
          rest.emplace(rest.begin() + static_cast<std::ptrdiff_t>(at++), target.substr(0, slash));
          target.remove_prefix(slash == std::string_view::npos ? target.size() : slash + 1);
        }
        if (absolute) trail.erase(trail.begin() + 1, trail.end());
        continue;
      }
      if (node.type == S_IFDIR) {
        next.exists = true;
        next.in_upper = node.where == Node::Where::upper;
        next.lower_visible =
            here.lower_visible && !(next.in_upper && known(next.path)->hides_lower);
      }
    }
    trail.push_back(std::move(next));
  }
  return std::move(trail.back());
}

Result<LayerDir*> LayerTree::ensure(const std::string& path, const timespec& mtime) {
  if (LayerDir* there = known(path)) return there;
  LayerDir* dir = root_;
  bool lower_visible = !root_->hides_lower;
  for (std::size_t end = 0; end != std::string::npos;) {
    const std::size_t start = end == 0 ? 0 : end + 1;
    end = path.find('/', start);
    const std::string name = path.substr(start, end == std::string::npos ? end : end - start);
    LayerDir* next = known(path.substr(0, end));
    if (next == nullptr && lower_visible) {
      const Node node = TRY(look({dir->path, true, true, true}, name));
      if (node.where == Node::Where::lower && node.type == S_IFDIR) {
        const LowerTree* below = TRY(lower());
        auto found = TRY(below->lookup(path.substr(0, end)));
        next = TRY(copy_dir(*dir, name, found));
      }
    }
    if (next == nullptr) {
      const Made made = TRY(make_dir(*dir, name));
      next = made.dir;
      if (!made.existed) {
        // Nobody described it: as Docker and containerd make such folders.
        TarEntry entry;
        entry.type = TarEntry::Type::dir;
        entry.path = next->path;
        entry.mode = 0755;
        TRY(attributes_.set_dir(TRY(fd(*next)), entry));
        next->mtime = mtime;
        next->changed = true;
        next->hides_lower =
            true;  // nothing that one could walk into is below: so there is no need to ask again
      }
    }
    dir = next;
    lower_visible = lower_visible && !dir->hides_lower;
  }
  return dir;
}

Result<LayerDir*> LayerTree::parent(std::span<const std::string> parts, const timespec& mtime) {
  if (parts.empty()) return root_;
  std::string key = key_of(parts);
  if (const auto at = by_name_.find(key); at != by_name_.end()) return at->second;
  const Place place = TRY(resolve(parts));
  LayerDir* dir = TRY(ensure(place.path, mtime));
  if (by_name_.size() >= kNames) by_name_.clear();
  by_name_.emplace(std::move(key), dir);
  return dir;
}

Result<LayerDir*> LayerTree::find_dir(std::span<const std::string> parts) {
  if (const auto at = by_name_.find(key_of(parts)); at != by_name_.end()) return at->second;
  const Place place = TRY(resolve(parts));
  if (!place.exists) return static_cast<LayerDir*>(nullptr);
  return ensure(place.path, {});
}

Result<LayerTree::Made> LayerTree::make_dir(LayerDir& dir, const std::string& name) {
  std::string path = join_path(dir.path, name);
  if (LayerDir* there = known(path)) return Made{there, true};
  const int at = TRY(fd(dir));
  struct stat st {};
  bool replaced = false;
  while (::mkdirat(at, name.c_str(), 0700) != 0) {
    if (errno != EEXIST || replaced) return Error::from_errno(errno, "mkdir " + path);
    if (::fstatat(at, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
      return Error::from_errno(errno, "stat " + path);
    if (S_ISDIR(st.st_mode)) return Made{add(std::move(path), st), true};
    TRY(remove_conflicting(dir, name));
    replaced = true;
  }
  shadowed(path);
  dir.changed = true;
  LayerDir* made = add(path, st);
  made->changed = true;
  // What stood here hid the lower layers' folder of this name; so must its successor.
  if (replaced && form_ == Form::overlay) TRY(set_opaque(*made));
  return Made{made, false};
}

Result<LayerTree::Target> LayerTree::link_target(std::span<const std::string> parts) {
  if (parts.empty()) return Target{};
  const Place place = TRY(resolve(parts.first(parts.size() - 1)));
  if (!place.exists) return Target{};
  const std::string& name = parts.back();
  const Node node = TRY(look(place, name));
  if (node.where == Node::Where::nowhere) return Target{};
  if (node.type == S_IFDIR) return Error(Errc::invalid_input, "a hard link to a folder");
  LayerDir* dir = TRY(ensure(place.path, {}));
  if (node.where == Node::Where::lower) {
    const LowerTree* below = TRY(lower());
    auto found = TRY(below->lookup(join_path(place.path, name)));
    TRY(copy_up(*dir, name, found));
  }
  return Target{dir, name};
}

Result<void> LayerTree::remove_conflicting(LayerDir& dir, const std::string& name) {
  const std::string path = join_path(dir.path, name);
  const int at = TRY(fd(dir));
  if (::unlinkat(at, name.c_str(), 0) != 0) {
    if (errno != EISDIR && errno != EPERM && errno != ENOENT)
      return Error::from_errno(errno, "remove " + path);
    TRY(remove_tree(at, name));
  }
  dir.changed = true;
  forget(path);
  return {};
}

void LayerTree::mark_mine(LayerDir& dir) {
  for (LayerDir* at = &dir; at != nullptr && !at->touched_by_layer;
       at = known(parent_path(at->path)))
    at->touched_by_layer = true;
}

void LayerTree::note_written(LayerDir& dir, const std::string& name) {
  dir.changed = true;
  mark_mine(dir);
  std::string path = join_path(dir.path, name);
  LayerDir* made = known(path);
  if (made != nullptr) made->touched_by_layer = true;
  if (form_ == Form::overlay) {
    shadowed(path);
    copied_.erase(path);
  } else if (made == nullptr) {
    written_.insert(std::move(path));
  }
}

Result<void> LayerTree::drop(const std::string& name) {
  const int at = TRY(fd(*root_));
  forget(name);
  return remove_tree(at, name);
}

Result<void> LayerTree::finish() {
  for (auto& [path, dir] : dirs_) {
    if (dir.has_whiteouts && lower_hidden(dir)) TRY(remove_whiteouts(dir));
    if (!dir.changed && form_ == Form::flat) continue;
    // Not by fd(): one use each, and the cache would only churn.
    UniqueFd own;
    if (!dir.fd) own = TRY(open_beneath(root_fd_, path, O_RDONLY | O_DIRECTORY));
    const int at = dir.fd ? dir.fd.get() : own.get();
    for (const auto& xattr : dir.deferred_xattrs) TRY(attributes_.set_late(at, path, xattr));
    const timespec times[2] = {dir.mtime, dir.mtime};
    if (::futimens(at, times) != 0) return Error::from_errno(errno, "set the times of " + path);
  }
  return {};
}

}  // namespace locald::oci
