#pragma once
#include <functional>
#include <optional>
#include <string>

#include "base/json/json.h"
#include "base/result.h"
#include "project/project_spec.h"

namespace locald::project {

/// Where a project is looked for.
struct ProjectRef {
  std::string dir;   ///< absolute
  std::string file;  ///< absolute; empty: locald.toml is looked for from `dir` upward
  std::string name;  ///< overrides the file's; empty: does not
  /// The network of containers of the project of that name whose file names none; empty: the
  /// host's.
  std::function<NetworkUse::Mode(const std::string& name)> default_network = {};
};

/// The file meant by `ref`.
/// @return Errc::not_found saying where it was looked for.
Result<std::string> find_project_file(const ProjectRef& ref);

/// A file that was read and checked. With problems, only they are of use.
struct LoadedProject {
  ProjectSpec spec;
  std::string name;
  bool names_networks = false;  ///< the file says which network
  Problems problems;
};
/// @return an error where the file cannot be found or read; what is wrong inside is in `problems`.
Result<LoadedProject> load_project(const ProjectRef& ref);

/// All problems as the one error that a request fails with: message for people, and the "problems"
/// member of ipc/api.h.
Error problems_error(const Problems& problems);
Json problems_json(const Problems& problems);

}  // namespace locald::project
