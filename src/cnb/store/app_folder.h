#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "cnb/jobs.h"

namespace locald::cnb {

/// An app's folder (AppStore) as a worker sees it. What lies below it was in the hands of
/// containers (R-INSIDE). Paths are relative to it.
class AppFolder {
 public:
  static Result<AppFolder> open(const JobApp& app);

  int top() const noexcept { return top_.get(); }
  const std::string& path() const noexcept { return path_; }
  uid_t uid() const noexcept { return uid_; }
  gid_t gid() const noexcept { return gid_; }

  Result<UniqueFd> dir(const std::string& path) const;
  bool has(const std::string& path) const;
  /// The folder, made where it is missing: what is made, and the folder itself, belong to the build
  /// user (`own_dir`) or to root (`root_dir`), and have mode 0755 resp. `mode`.
  Result<UniqueFd> own_dir(const std::string& path, mode_t mode = 0755) const {
    return make_dir(path, uid_, gid_, mode);
  }
  Result<UniqueFd> root_dir(const std::string& path) const { return make_dir(path, 0, 0, 0755); }
  /// Removes what stands on the way to a folder, or in its place, and is not a folder.
  Result<void> clear_way(const std::string& path) const;
  /// A new file of the build user's, 0644, instead of whatever is there; so are folders on the way
  /// that are missing.
  Result<void> own_file(const std::string& path, const std::string& text) const;
  Result<std::string> read_file(const std::string& path, std::size_t max_bytes) const;

  /// rename(2); what is at `to` must not exist.
  Result<void> move(const std::string& from, const std::string& to) const;
  Result<void> remove(const std::string& path) const;
  /// Removes all in the folder but the names that stay; a folder that is not there is fine.
  Result<void> thin_out(const std::string& path, const std::vector<std::string>& stay) const;

 private:
  Result<UniqueFd> make_dir(const std::string& path, uid_t uid, gid_t gid, mode_t mode) const;

  UniqueFd top_;
  std::string path_;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
};

std::string parent_of(const std::string& path);  ///< "a/b/c" -> "a/b"; "" for a bare name
std::string name_of(const std::string& path);    ///< "a/b/c" -> "c"

}  // namespace locald::cnb
