#pragma once
#include <sys/stat.h>

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"

/// A path gone folder by folder, each opened once and held: what was opened stays what it is, while
/// names may lead elsewhere by then.
namespace locald {

/// A file or folder on the way, held open.
struct PathStep {
  UniqueFd fd;  ///< O_PATH
  struct stat st {};
  std::string name;
  /// Another uid may exchange what this folder, or one above it, holds: which folder, and who.
  std::string open_to;
};

/// Whether what belongs to `uid` is this user's word: it is root's, or the user's own.
bool is_trusted(uid_t uid);

/// The path of the last step, "/" for none.
std::string path_of(const std::vector<PathStep>& steps);
std::string path_below(const std::vector<PathStep>& steps, const std::string& name);

/// `name` in the last of `steps`, or "/" where there is none yet. A link is not followed.
Result<PathStep> enter_path(const std::vector<PathStep>& steps, const std::string& name);

/// Is asked about each symlink, with the steps to the folder that it is in; an error ends the walk.
using MayFollow =
    std::function<Result<void>(const std::vector<PathStep>& steps, const PathStep& link)>;

/// From "/" to what `path` leads to, the last one.
/// @param path  absolute  @param may_follow  null: all links are followed
/// @return Errc::not_found, Errc::invalid_input (not absolute; not a folder on the way; more than 40
///         links), or what `may_follow` said.
Result<std::vector<PathStep>> walk_path(const std::string& path, const MayFollow& may_follow = {});

}  // namespace locald
