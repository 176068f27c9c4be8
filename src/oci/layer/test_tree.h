#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/sys/fs_at.h"

namespace locald::oci::test {

/// A folder that goes with the test.
class TempDir {
 public:
  TempDir() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base != nullptr ? base : "/tmp") + "/locald-layer-XXXXXX";
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TempDir() { (void)remove_tree(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  /// A new folder in it.
  std::string make(const std::string& name) const {
    ::mkdir((path_ + "/" + name).c_str(), 0755);
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

/// "dir 755", "file 644 hello", "link ../x", "fifo 644", "whiteout"; hard links end in "
/// =first/name". `full` adds owner, mtime and xattrs (those of overlayfs left out).
inline std::map<std::string, std::string> snapshot(const std::string& root, bool full = false) {
  std::map<std::string, std::string> out;
  std::map<ino_t, std::string> inodes;
  std::vector<std::string> names{""};
  const auto describe = [&](const std::string& rel) {
    const std::string path = root + "/" + rel;
    struct stat st {};
    // overlayfs lists whiteouts that hide nothing, and denies them.
    if (::lstat(path.c_str(), &st) != 0) return;
    char mode[8];
    std::snprintf(mode, sizeof mode, "%o", st.st_mode & 07777u);
    std::string text;
    if (S_ISDIR(st.st_mode)) text = std::string("dir ") + mode;
    if (S_ISREG(st.st_mode))
      text = std::string("file ") + mode + " " + read_file(path).value_or("?");
    if (S_ISFIFO(st.st_mode)) text = std::string("fifo ") + mode;
    if (S_ISBLK(st.st_mode)) text = std::string("block ") + mode;
    if (S_ISCHR(st.st_mode)) text = st.st_rdev == 0 ? "whiteout" : std::string("char ") + mode;
    if (S_ISLNK(st.st_mode)) {
      std::string target(5000, '\0');
      target.resize(static_cast<std::size_t>(
          std::max<ssize_t>(0, ::readlink(path.c_str(), target.data(), target.size()))));
      text = "link " + target;
    }
    if (full) {
      text += " " + std::to_string(st.st_uid) + ":" + std::to_string(st.st_gid) + " @" +
              std::to_string(st.st_mtim.tv_sec) + "." + std::to_string(st.st_mtim.tv_nsec);
      std::string list(65536, '\0');
      const ssize_t size = ::llistxattr(path.c_str(), list.data(), list.size());
      std::map<std::string, std::string> xattrs;
      for (ssize_t at = 0; at < size;) {
        const std::string name = list.c_str() + at;
        at += static_cast<ssize_t>(name.size()) + 1;
        if (name.find(".overlay.") != std::string::npos || name == "security.selinux") continue;
        std::string value(65536, '\0');
        value.resize(static_cast<std::size_t>(std::max<ssize_t>(
            0, ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size()))));
        xattrs[name] = value;
      }
      for (const auto& [name, value] : xattrs) text += " " + name + "=" + value;
    }
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && text != "whiteout") {
      const auto [first, added] = inodes.emplace(st.st_ino, rel);
      if (!added) text += " =" + first->second;
    }
    out[rel] = text;
    if (!S_ISDIR(st.st_mode)) return;
    if (DIR* dir = ::opendir(path.c_str())) {
      while (const dirent* entry = ::readdir(dir)) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(rel.empty() ? name : rel + "/" + name);
      }
      ::closedir(dir);
    }
  };
  // In order of names, so that the "first" of hard links is the same in two trees.
  while (!names.empty()) {
    std::sort(names.begin(), names.end(), std::greater<>());
    const std::string rel = names.back();
    names.pop_back();
    describe(rel);
  }
  return out;
}

}  // namespace locald::oci::test
