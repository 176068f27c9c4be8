#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/paths.h"
#include "cli/args.h"
#include "ipc/client.h"
#include "ipc/messages/common.h"

namespace locald::cli {

/// What every verb gets: the options before it and the way to the server.
struct Context {
  std::optional<std::string> file;          ///< -f, absolute
  std::optional<std::string> project_name;  ///< -p or LOCALD_PROJECT
  std::vector<std::string> more_files;      ///< -f again, absolute
  std::vector<std::string> profiles;        ///< --profile

  Result<Paths> paths() const { return Paths::from_process(); }
  /// Connects, starting the server where it does not run; notices go to stderr.
  Result<ipc::Client> connect() const;
  /// As connect(), but Errc::not_found where no server runs.
  Result<ipc::Client> connect_running() const;
  /// Where the project is looked for, and by which environment.
  Result<ipc::ProjectPlace> project() const;
  /// The same of a request that has an environment of its own.
  Result<ipc::ProjectPlace> place() const;
};

/// The working folder. Errc::not_found where it has been removed.
Result<std::string> working_dir();

/// This process's environment, without what ties it to a service that it runs in.
std::map<std::string, std::string> environment();

/// What `-e K=V` and `-e K` (the value from our own environment) say, in order.
Result<std::map<std::string, std::string>> environment_options(
    const std::vector<std::string>& options);

/// The same of a command that runs in a service or container, with TERM where it gets a terminal:
/// without its kind that is of little use. An explicit -e wins.
Result<std::map<std::string, std::string>> command_environment(
    const std::vector<std::string>& options, bool tty);

/// An image as the server needs it: paths of oci:DIR:TAG and the like made absolute.
Result<std::string> image_name(const std::string& reference);

/// "./api", ".", "/src/api": a folder, where a verb about builds takes services too.
bool is_folder(const std::string& argument);
/// A path of the user's as the server needs it: from "/", without "." and "..".
Result<std::string> absolute_path(const std::string& argument);

/// Where this user's logins for registries are, as Podman, Skopeo and Docker keep them; the server
/// reads them when it needs one. They may not exist.
std::vector<std::string> login_files();

/// What goes along with requests that start something: environment, umask, limits, logins.
ipc::World world();

/// An error in what was typed, found by the verb itself: printed, and exit code 2.
int usage_error(const std::string& message, const std::string& hint = "");
int usage_error(const Error& error);

}  // namespace locald::cli
