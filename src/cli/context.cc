#include "cli/context.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/strings.h"
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

Result<ipc::ProjectPlace> Context::project() const {
  return ipc::ProjectPlace{TRY(working_dir()), file, project_name, environment(), more_files};
}

Result<ipc::ProjectPlace> Context::place() const {
  return ipc::ProjectPlace{TRY(working_dir()), file, project_name, {}, more_files};
}

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view pair = *entry;
    const auto equals = pair.find('=', 1);
    if (equals == std::string_view::npos) continue;
    const auto name = pair.substr(0, equals);
    if (name == "LOCALD_INSTANCE" || name == "NOTIFY_SOCKET" || name == "LISTEN_FDS" ||
        name == "LISTEN_PID")
      continue;
    env[std::string(name)] = pair.substr(equals + 1);
  }
  return env;
}

std::vector<std::string> login_files() {
  std::vector<std::string> files;
  const auto add = [&](const char* variable, const char* below) {
    const char* value = std::getenv(variable);
    if (value != nullptr && *value == '/') files.push_back(std::string(value) + below);
    return value != nullptr && *value != '\0';
  };
  if (add("REGISTRY_AUTH_FILE", "")) return files;
  add("XDG_RUNTIME_DIR", "/containers/auth.json");
  if (!add("XDG_CONFIG_HOME", "/containers/auth.json"))
    add("HOME", "/.config/containers/auth.json");
  if (!add("DOCKER_CONFIG", "/config.json")) add("HOME", "/.docker/config.json");
  return files;
}

Result<std::map<std::string, std::string>> environment_options(
    const std::vector<std::string>& options) {
  std::map<std::string, std::string> env;
  for (const std::string& option : options) {
    const auto equals = option.find('=');
    if (option.empty() || equals == 0)
      return Error(Errc::invalid_input, "-e " + option + ": a name is missing");
    if (equals != std::string::npos) {
      env[option.substr(0, equals)] = option.substr(equals + 1);
    } else if (const char* value = std::getenv(option.c_str()); value != nullptr) {
      env[option] = value;
    }
  }
  return env;
}

Result<std::map<std::string, std::string>> command_environment(
    const std::vector<std::string>& options, bool tty) {
  auto env = TRY(environment_options(options).hint("-e NAME=VALUE, or -e NAME for our own value"));
  if (const char* term = std::getenv("TERM"); tty && term != nullptr) env.try_emplace("TERM", term);
  return env;
}

ipc::World world() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  ipc::World out{.env = environment(), .umask = mask, .rlimits = {}, .login_files = login_files()};
  const auto value = [](rlim_t limit) {
    return limit == RLIM_INFINITY ? std::nullopt : std::optional(static_cast<std::int64_t>(limit));
  };
  for (const RlimitName& limit : kRlimits) {
    rlimit now{};
    if (::getrlimit(limit.number, &now) == 0)
      out.rlimits[std::string(limit.name)] = {value(now.rlim_cur), value(now.rlim_max)};
  }
  return out;
}

bool is_folder(const std::string& argument) {
  return argument.starts_with('.') || argument.starts_with('/');
}

Result<std::string> absolute_path(const std::string& argument) {
  return tidy_path(argument.starts_with('/') ? argument : TRY(working_dir()) + "/" + argument);
}

int usage_error(const std::string& message, const std::string& hint) {
  return usage_error(Error(Errc::invalid_input, message).with_hint(hint));
}

int usage_error(const Error& error) {
  print_error(error);
  return 2;
}

}  // namespace locald::cli
