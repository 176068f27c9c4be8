#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/path_judge.h"
#include "cnb/app.h"

namespace locald::cnb {

/// A service binding: credentials and certificates as files.
/// Spec: servicebinding.io, workload projection.
struct Binding {
  std::string name;
  std::map<std::string, std::string> files;  ///< name -> content; `type` is always there
};

/// Reads the folder of a binding: its regular files, symlinks to such too, but no hidden ones
/// (`..data` of a mounted secret).
/// @return Errc::not_found; Errc::invalid_input: no `type`, a bad name, a file of over 1 MiB.
Result<Binding> read_binding(const std::string& name, const std::string& folder,
                             const PathJudge& judge);

/// The host's certificates as a binding of type "ca-certificates", so that buildpacks reach what
/// the host reaches behind a company's proxy.
/// @return nullopt where `app` says no, or says nothing and the host has no certificates of its own
///         but those of its distribution.
Result<std::optional<Binding>> host_ca_binding(const AppSpec& app);

/// Makes the new folder `dir` what is mounted at /platform: env/<NAME>, bindings/<name>/<file>, all
/// readable for every user inside. Names with a "/" in them are Errc::invalid_input.
/// Spec: CNB platform.md#provided-by-the-platform, buildpack.md#provided-by-the-platform.
Result<void> write_platform_dir(const std::string& dir,
                                const std::map<std::string, std::string>& env,
                                const std::vector<Binding>& bindings);

}  // namespace locald::cnb
