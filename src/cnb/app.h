#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"

namespace locald::cnb {

/// Where every app has the program that starts its processes in their environment.
/// Spec: CNB platform.md#launcher.
inline constexpr std::string_view kLauncher = "/cnb/lifecycle/launcher";
/// CNB_EXEC_ENV where nothing else is wanted.
inline constexpr const char* kDefaultExecEnv = "production";

/// What is to be built, in the words of the project file or the command line. Plain
/// values: paths are absolute, `${…}` is replaced. Two that are equal build the same.
struct AppSpec {
  std::string project;  ///< "" for a folder that belongs to none
  std::string path;     ///< the source's folder, absolute
  /// Tells apart what a project builds of one folder with one builder, otherwise; mostly "".
  std::string variant;
  std::string builder;    ///< an image; "" = what project.toml says
  std::string run_image;  ///< "" = the builder's
  std::string base_dir;   ///< where relative paths in `builder` and `run_image` start
  std::string pull = "missing";
  std::map<std::string, std::string> env;       ///< for buildpacks
  std::map<std::string, std::string> bindings;  ///< name -> folder, absolute
  std::optional<bool>
      host_ca;  ///< the host's certificates as a binding; absent: where it has own ones
  std::string host_ca_file;                    ///< which; "" = the system's
  std::map<std::string, std::string> proxies;  ///< HTTP_PROXY and its like, of the client
  std::string exec_env;           ///< CNB_EXEC_ENV; "" = the lifecycle's default, production
  std::vector<std::string> live;  ///< folders below `path` whose changes need no build ("src")
  bool strict = false;            ///< all five real phases
  std::chrono::milliseconds timeout{3'600'000};  ///< of a whole build

  /// Names the app's folder on disk: its project, folder, builder and variant, readable and hashed.
  /// What else is asked of a build may change, and it stays the same app.
  std::string key() const;

  Json to_json() const;
  static Result<AppSpec> from_json(const Json& json);
  friend bool operator==(const AppSpec&, const AppSpec&) = default;
};

/// A process type of a built app. Spec: CNB platform.md#metadatatoml-toml.
struct Process {
  std::string type;
  std::vector<std::string> command;  ///< always given
  std::vector<std::string> args;     ///< replaced by what the user gives
  bool has_args = false;             ///< `args` is given, also if it is empty
  bool direct = true;                ///< false: by a shell
  std::string buildpack_id;
  std::string working_dir;
  std::vector<std::string> exec_env;
};

}  // namespace locald::cnb
