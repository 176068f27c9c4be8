#pragma once
#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "base/sys/path_judge.h"

namespace locald {

/// Where something is to be made: the folder that it will lie in, and its name there.
struct JudgedParent {
  JudgedPath folder;
  std::string name;
};
/// Of `path`, absolute; it need not exist itself. Errors as PathJudge::open's, for the folder.
Result<JudgedParent> judged_parent(const PathJudge& judge, const std::string& path);

struct MadeFolder {
  JudgedPath folder;
  bool made = false;  ///< it was not there; those above it are not counted
};
/// `path`, made where it is missing, and what is missing above it too (`mode`, whatever the umask),
/// each in the folder that was judged.
Result<MadeFolder> make_judged_folder(const PathJudge& judge, const std::string& path, mode_t mode);

}  // namespace locald
