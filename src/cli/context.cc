#include "cli/context.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/sys/rlimits.h"
#include "cli/print.h"

extern char** environ;

namespace locald::cli {

Result<ipc::Client> Context::connect() const {
  return ipc::Client::connect(TRY(paths()), {.start = true, .notice = notice});
}

Result<ipc::Client> Context::connect_running() const {
  return ipc::Client::connect(TRY(paths()),
                              {.start = false, .notice = notice, .any_version = true});
}

Result<std::string> working_dir() {
  char* dir = ::getcwd(nullptr, 0);
  if (dir == nullptr) return Error::from_errno(errno, "the working folder");
  std::string path(dir);
  std::free(dir);
  return path;
}

Result<Json> Context::project_request() const {
  Json where = Json::object({{"dir", TRY(working_dir())}, {"file", nullptr}, {"name", nullptr}});
  if (file) where.set("file", *file);
  if (project) where.set("name", *project);
  return Json::object({{"project", std::move(where)}});
}

Json environment() {
  Json::Object env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view pair = *entry;
    const auto equals = pair.find('=', 1);
    if (equals == std::string_view::npos) continue;
    const auto name = pair.substr(0, equals);
    if (name == "LOCALD_INSTANCE" || name == "NOTIFY_SOCKET" || name == "LISTEN_FDS" ||
        name == "LISTEN_PID")
      continue;
    env.emplace_back(std::string(name), std::string(pair.substr(equals + 1)));
  }
  return Json(std::move(env));
}

Json login_files() {
  Json files = Json::array();
  const auto add = [&](const char* variable, const char* below) {
    const char* value = std::getenv(variable);
    if (value != nullptr && *value == '/') files.push(std::string(value) + below);
    return value != nullptr && *value != '\0';
  };
  if (add("REGISTRY_AUTH_FILE", "")) return files;
  add("XDG_RUNTIME_DIR", "/containers/auth.json");
  if (!add("XDG_CONFIG_HOME", "/containers/auth.json"))
    add("HOME", "/.config/containers/auth.json");
  if (!add("DOCKER_CONFIG", "/config.json")) add("HOME", "/.docker/config.json");
  return files;
}

Result<Json> environment_options(const std::vector<std::string>& options) {
  Json env = Json::object();
  for (const std::string& option : options) {
    const auto equals = option.find('=');
    if (option.empty() || equals == 0)
      return Error(Errc::invalid_input, "-e " + option + ": a name is missing");
    if (equals != std::string::npos) {
      env.set(option.substr(0, equals), option.substr(equals + 1));
    } else if (const char* value = std::getenv(option.c_str()); value != nullptr) {
      env.set(option, value);
    }
  }
  return env;
}

Json resource_limits() {
  const auto value = [](rlim_t limit) {
    return limit == RLIM_INFINITY ? Json(nullptr) : Json(limit);
  };
  Json limits = Json::object();
  for (const RlimitName& limit : kRlimits) {
    rlimit now{};
    if (::getrlimit(limit.number, &now) == 0)
      limits.set(std::string(limit.name), Json::array({value(now.rlim_cur), value(now.rlim_max)}));
  }
  return limits;
}

unsigned umask_of_process() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mask;
}

int usage_error(const std::string& message, const std::string& hint) {
  print_error(Error(Errc::invalid_input, message).with_hint(hint));
  return 2;
}

}  // namespace locald::cli
