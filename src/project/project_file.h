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
  /// Containers of the project of that name and folder stay on the host's network where its file
  /// names none; empty: those of no project do.
  std::function<bool(const std::string& name, const std::string& dir)> stays_on_host = {};
};

/// The file meant by `ref`.
/// @return Errc::not_found saying where it was looked for.
Result<std::string> find_project_file(const ProjectRef& ref);

/// A file that was read and checked. With problems, only they are of use.
struct LoadedProject {
  ProjectSpec spec;
  std::string name;
  bool stays_on_host = false;  ///< ProjectRef::stays_on_host; its containers do
  Problems problems;
};
/// @return an error where the file cannot be found or read; what is wrong inside is in `problems`.
Result<LoadedProject> load_project(const ProjectRef& ref);

/// All problems as the one error that a request fails with: message for people, and the "problems"
/// member of ipc/api.h.
Error problems_error(const Problems& problems);
Json problems_json(const Problems& problems);

}  // namespace locald::project
