#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/node/text_problem.h"
#include "base/result.h"
#include "cnb/inputs/buildpack_uri.h"
#include "cnb/inputs/order.h"

/// The files that describe a buildpack which is added to a build. Pure; what is
/// read was written by strangers.
namespace locald::cnb {

inline constexpr std::size_t kMaxBuildpackToml = 1u << 20;  ///< bytes

/// What must be known of a buildpack.toml before a lifecycle reads it (spec:
/// buildpack.md#buildpacktoml-toml): its name, its API, and of what it is made where it is a
/// composite one. Targets and stacks are the lifecycle's affair.
/// @param file  For messages.
/// @return Errc::invalid_input with the line: not TOML, no `api`, no id or version, or such that
///         cannot be in a path; an extension; an order beside targets or stacks.
Result<Module> parse_buildpack_toml(std::string_view text, const std::string& file);

/// The package.toml in a composite buildpack's folder: where its parts come from. It is a file of
/// pack's, which takes the parts along when it builds with such a folder.
struct PackageToml {
  std::string base;  ///< where relative uris start, relative to the file's folder; "" is that
  struct Dependency {
    BuildpackUri uri;
    SourcePos at;
  };
  std::vector<Dependency> dependencies;
};
/// @param file  Absolute: relative image layouts start in its folder.
Result<PackageToml> parse_package_toml(std::string_view text, const std::string& file);

/// A buildpack that is one script, as files (path -> text; what is in bin/ is to be executable):
/// it passes for every app, and its build is the script.
struct ScriptFiles {
  std::string buildpack_toml, detect, build;
};
ScriptFiles script_files(const std::string& id, const std::string& version, const std::string& api,
                         const std::string& shell, const std::string& body);

}  // namespace locald::cnb
