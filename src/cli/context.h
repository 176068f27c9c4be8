#pragma once
#include <optional>
#include <string>

#include "base/json/json.h"
#include "base/paths.h"
#include "cli/args.h"
#include "ipc/client.h"

namespace locald::cli {

/// What every verb gets: the options before it and the way to the server.
struct Context {
  std::optional<std::string> file;     ///< -f, absolute
  std::optional<std::string> project;  ///< -p or LOCALD_PROJECT

  Result<Paths> paths() const { return Paths::from_process(); }
  /// Connects, starting the server where it does not run; notices go to stderr.
  Result<ipc::Client> connect() const;
  /// As connect(), but Errc::not_found where no server runs.
  Result<ipc::Client> connect_running() const;
  /// {"dir", "file", "name"} as api.h wants it, and "project" around it.
  Result<Json> project_request() const;
};

/// The working folder. Errc::not_found where it has been removed.
Result<std::string> working_dir();

/// This process's environment as an object, without what ties it to a service that it runs in.
Json environment();

/// What `-e K=V` and `-e K` (the value from our own environment) say, in order.
Result<Json> environment_options(const std::vector<std::string>& options);

/// An image as the server needs it: paths of oci:DIR:TAG and the like made absolute.
Result<std::string> image_name(const std::string& reference);

/// Whose builds are meant: {"path"} for ".", "./api", "/src/api", else services of the project with
/// what their file may refer to (api.h).
Result<Json> build_request(Context& context, const std::vector<std::string>& arguments);

/// Where this user's logins for registries are, as Podman, Skopeo and Docker keep them; the server
/// reads them when it needs one. They may not exist.
Json login_files();

/// {"NOFILE": [soft, hard], …}, null for infinity; and the umask, unchanged.
Json resource_limits();
unsigned umask_of_process();

/// An error in what was typed, found by the verb itself: printed, and exit code 2.
int usage_error(const std::string& message, const std::string& hint = "");

}  // namespace locald::cli
