#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "project/compose/complete.h"
#include "project/project_spec.h"

namespace locald::project::compose {

enum class PathKind : std::uint8_t {
  none,
  file,
  folder,
  astray,  ///< a symlink to what does not exist
};

/// How files are looked at; paths are absolute. Tests have files in memory.
struct FileAccess {
  std::function<PathKind(const std::string& path)> kind;
  /// @return Errc::not_found where there is none.
  std::function<Result<std::string>(const std::string& path)> read;
};
/// Those of the disk: regular files of at most 4 MiB.
FileAccess disk_files();

/// What a compose project is made of. Empty members are not given.
struct Request {
  std::string dir;                     ///< absolute: where the search begins
  std::vector<std::string> files;      ///< -f; relative ones start at `dir`
  std::string project_dir;             ///< --project-directory
  std::vector<std::string> env_files;  ///< --env-file
  std::string name;                    ///< -p
  std::vector<std::string> profiles;   ///< --profile; `*` is all
  std::vector<std::string> services;   ///< named ones: their profiles are enabled
  Environment shell;
  std::string home;  ///< what `~` in paths stands for
};

/// Where a project's parts are: the result of find_project().
struct Located {
  std::vector<std::string> files;  ///< absolute, the first one first; none: there is no project
  std::string dir;                 ///< absolute: paths of the files start here
  Environment environment;         ///< the shell's variables, then those of `.env`
  std::vector<std::string> profiles;
};

}  // namespace locald::project::compose
