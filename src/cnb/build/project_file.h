#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/sys/path_judge.h"
#include "cnb/inputs/project_descriptor.h"
#include "cnb/source/path_filter.h"

namespace locald::cnb {

/// The project.toml of an app, read and without problems.
struct ProjectFile {
  std::string file;  ///< absolute
  ProjectDescriptor descriptor;
};

/// Reads `folder`/project.toml: a regular file of at most 1 MiB; a symlink counts where it leads to
/// one below `folder`.
/// @return nullopt where there is none; Errc::invalid_input with all that is wrong in it.
Result<std::optional<ProjectFile>> read_project_file(const JudgedPath& folder);

/// What of the app is sent into a build: what its project.toml says, and never what is never sent.
PathFilter source_filter(const ProjectDescriptor& project);

/// The variables for buildpacks: those of the project.toml that count in `exec_env` ("":
/// production), and `asked_for` (the service's, the command line's), which wins.
std::map<std::string, std::string> build_environment(
    const ProjectDescriptor& project, std::string_view exec_env,
    const std::map<std::string, std::string>& asked_for);

}  // namespace locald::cnb
