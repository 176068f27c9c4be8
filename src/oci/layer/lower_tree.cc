#include "oci/layer/lower_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/xattr.h>

#include <cerrno>
#include <set>
#include <string_view>
#include <utility>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "oci/layer/layer_path.h"

namespace locald::oci {
namespace {

bool is_opaque(int dir, const char* xattr) {
  char value = 0;
  // fgetxattr needs a descriptor that is open for reading.
  return ::fgetxattr(dir, xattr, &value, 1) == 1 && value == 'y';
}

}  // namespace

Result<LowerTree> LowerTree::open(const std::vector<std::string>& paths, const char* opaque_xattr) {
  LowerTree tree;
  tree.opaque_xattr_ = opaque_xattr;
  for (const std::string& path : paths)
    tree.roots_.push_back(TRY(sys::open(path, O_RDONLY | O_DIRECTORY)));
  return tree;
}

Result<LowerTree::Node> LowerTree::lookup(const std::string& path) const {
  std::vector<UniqueFd> opened;  // keeps `here` alive
  std::vector<int> here;         // the folders that together are the merged one, uppermost first
  for (const UniqueFd& root : roots_)
    here.push_back(root.get());  // a root's own opaque mark counts for nothing
  std::string_view rest = path;
  while (true) {
    const std::size_t slash = rest.find('/');
    const std::string name(rest.substr(0, slash));
    const bool last = slash == std::string_view::npos;
    std::vector<int> below;
    std::vector<UniqueFd> opened_below;
    for (const int dir : here) {
      struct stat st {};
      if (::fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;
        return Error::from_errno(errno, "stat " + path + " in a lower layer");
      }
      if (last) {
        if (is_whiteout(st)) return Node{};
        return Node{true, st, TRY(sys::openat(dir, ".", O_PATH | O_DIRECTORY)), name};
      }
      if (!S_ISDIR(st.st_mode))
        break;  // hides what is further below; and is nothing to walk through
      opened_below.push_back(TRY(sys::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)));
      below.push_back(opened_below.back().get());
      if (is_opaque(below.back(), opaque_xattr_)) break;
    }
    if (last || below.empty()) return Node{};
    here = std::move(below);
    opened = std::move(opened_below);
    rest.remove_prefix(slash + 1);
  }
}

Result<std::vector<std::string>> LowerTree::root_names() const {
  std::set<std::string> names;
  std::set<std::string> hidden;
  for (const UniqueFd& root : roots_) {
    TRY(list_dir(root.get(), [&](const std::string& name, unsigned char type) -> Result<void> {
      struct stat st {};
      const bool device = type == DT_CHR || type == DT_UNKNOWN;
      if (device && ::fstatat(root.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
          is_whiteout(st)) {
        if (!names.contains(name)) hidden.insert(name);
      } else if (!hidden.contains(name)) {
        names.insert(name);
      }
      return {};
    }));
  }
  return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace locald::oci
