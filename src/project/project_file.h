#pragma once
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "base/sys/path_judge.h"
#include "project/project_spec.h"
#include "project/rights.h"

namespace locald::project {

/// What compose files heed beside what they say themselves.
struct ComposeOptions {
  std::map<std::string, std::string> env = {};  ///< of the one who asks: `${VAR}`, COMPOSE_FILE…
  std::vector<std::string> services = {};       ///< named ones: their profiles are enabled
  std::set<std::string> profiles = {};
  std::set<std::string> allowed = {};        ///< what is refused of these is left out instead
  std::string publish_address = {};          ///< of ports without one; empty: loopback
  std::vector<std::string> more_files = {};  ///< absolute: merged over ProjectRef::file
  Rights rights = {};
};

/// Where a project is looked for.
struct ProjectRef {
  std::string dir;   ///< absolute
  std::string file;  ///< absolute; empty: locald.toml is looked for from `dir` upward, where there
                     ///< is none a compose file
  std::string name;  ///< overrides the file's; empty: does not
  /// Containers of the project of that name and folder stay on the host's network where its file
  /// names none; empty: those of no project do.
  std::function<bool(const std::string& name, const std::string& dir)> stays_on_host = {};
  ComposeOptions compose = {};
  /// Of what a compose project reads; null: all of it is fine. It learns what the project's own
  /// containers can write to.
  std::shared_ptr<PathJudge> judge = {};
};

/// The file meant by `ref`; of a compose project, its first one.
/// @return Errc::not_found saying where it was looked for.
Result<std::string> find_project_file(const ProjectRef& ref);
/// The name of the project that `ref` means. Of a compose file nothing else needs to be right.
/// @return also an error where the file, or its name, is wrong
Result<std::string> find_project_name(const ProjectRef& ref);

/// A file that was read and checked. With problems, only they are of use.
struct LoadedProject {
  ProjectSpec spec;
  std::string name;
  bool stays_on_host = false;  ///< ProjectRef::stays_on_host; its containers do
  Problems problems;
  std::vector<std::string> notices;   ///< sentences; also beside problems
  std::vector<std::string> disabled;  ///< services of a compose file that no profile enables
};
/// @return an error where the file cannot be found or read; what is wrong inside is in `problems`.
Result<LoadedProject> load_project(const ProjectRef& ref);

/// All problems as the one error that a request fails with: message for people, and the "problems"
/// member of ipc/api.h.
Error problems_error(const Problems& problems);
Json problems_json(const Problems& problems);

}  // namespace locald::project
