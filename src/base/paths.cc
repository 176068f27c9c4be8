#include "base/paths.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/sys/fs_at.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

bool absolute(const std::optional<std::string>& path) {
  return path && !path->empty() && path->front() == '/';
}

/// A folder that is ours alone: no symlink, our uid, nobody else may enter.
Result<void> check_private(const std::string& path) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0) return Error::from_errno(errno, "stat " + path);
  if (!S_ISDIR(st.st_mode)) return Error(Errc::denied, path + " is not a folder");
  if (st.st_uid != ::geteuid())
    return Error(Errc::denied, path + " belongs to user " + std::to_string(st.st_uid))
        .with_hint("remove it, or set LOCALD_HOME to a folder of your own");
  if ((st.st_mode & 077) != 0 && ::chmod(path.c_str(), 0700) != 0)
    return Error::from_errno(errno, "chmod " + path);
  return {};
}

/// The nearest folder above `path` that is there.
std::string existing_above(std::string path, struct stat& st) {
  while (path.size() > 1 && ::lstat(path.c_str(), &st) != 0)
    path.resize(std::max<std::size_t>(path.rfind('/'), 1));
  if (path.size() == 1) ::lstat("/", &st);
  return path;
}

/// What to do where the folder `root` cannot be made: which variable named it, and why that is
/// likely wrong.
std::string advice(const std::string& root, int error) {
  std::string variable;
  for (const char* name :
       {"LOCALD_HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_STATE_HOME", "HOME"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value != '/' || !(root + "/").starts_with(value)) continue;
    variable = name;
    break;
  }
  const std::string named = variable.empty()
                                ? "it is the usual place"
                                : variable + "=" + std::getenv(variable.c_str()) + " names it";
  const std::string instead = variable.empty() || variable == "LOCALD_HOME"
                                  ? "set LOCALD_HOME to a folder of your own"
                                  : "correct " + variable +
                                        ", or set LOCALD_HOME to a folder of "
                                        "your own";
  struct stat st {};
  const std::string above = existing_above(root, st);
  if (error == ENOSPC || error == EDQUOT) return named + ", and " + above + " is full: make room";
  if (error == EROFS) return named + ", and " + above + " is read-only; " + instead;
  if (error == ENOTDIR || !S_ISDIR(st.st_mode))
    return named + ", but " + above + " is a file; " + instead;
  if (st.st_uid != ::geteuid())
    return named + ", but " + above + " belongs to user " + std::to_string(st.st_uid) +
           ", and you are " + std::to_string(::geteuid()) +
           (variable.empty() ? "; " : " (su and sudo may keep the variables of who calls them); ") +
           instead;
  return named + "; " + instead;
}

}  // namespace

Result<Paths> Paths::from_env(const Env& env, unsigned uid) {
  Paths p;
  if (const auto home = env("LOCALD_HOME"); home && !home->empty()) {
    if (home->front() != '/')
      return Error(Errc::invalid_input, "LOCALD_HOME=" + *home + " is not an absolute path")
          .with_hint("write it from / on: LOCALD_HOME=\"$PWD/" + *home + "\"");
    p.data_ = *home + "/data";
    p.state_ = *home + "/state";
    p.run_ = *home + "/run";
    p.config_ = *home + "/config.toml";
    return p;
  }
  if (uid == 0) {
    p.data_ = "/var/lib/locald";
    p.state_ = "/var/lib/locald/state";
    p.run_ = "/run/locald";
    p.config_ = "/etc/locald/config.toml";
    return p;
  }
  const auto home = env("HOME");
  auto under = [&](const char* variable, const char* fallback) -> Result<std::string> {
    if (const auto value = env(variable); absolute(value)) return *value + "/locald";
    if (!absolute(home))
      return Error(Errc::invalid_input, "HOME is not set to an absolute path")
          .with_hint("set HOME, or LOCALD_HOME to the folder that locald may use");
    return *home + fallback + "/locald";
  };
  p.data_ = TRY(under("XDG_DATA_HOME", "/.local/share"));
  p.state_ = TRY(under("XDG_STATE_HOME", "/.local/state"));
  p.config_ = TRY(under("XDG_CONFIG_HOME", "/.config")) + "/config.toml";
  const std::string user_run = "/run/user/" + std::to_string(uid);
  struct stat st {};
  if (const auto value = env("XDG_RUNTIME_DIR"); absolute(value)) {
    p.run_ = *value + "/locald";
  } else if (::lstat(user_run.c_str(), &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid) {
    p.run_ = user_run + "/locald";
  } else {
    p.run_ = "/tmp/locald-" + std::to_string(uid);
    p.fallback_ = true;
  }
  return p;
}

Result<Paths> Paths::from_process() {
  return from_env(
      [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
      },
      ::getuid());
}

Result<void> Paths::create() const {
  for (const std::string& root : {data_, state_, run_}) {
    if (auto made = make_dirs(root, 0700); !made) {
      const int error = made.error().sys_errno();
      // The folder is named once: what make_dirs() was at is a part of it.
      return Error::from_errno(error, "create the folder " + root).with_hint(advice(root, error));
    }
    TRY(check_private(root));
  }
  return {};
}

Result<std::string> find_own_program(std::string_view name) {
  std::array<char, 4096> self{};
  const ssize_t n = ::readlink("/proc/self/exe", self.data(), self.size() - 1);
  if (n <= 0) return Error::from_errno(errno, "readlink /proc/self/exe");
  std::string dir(self.data(), static_cast<std::size_t>(n));
  dir.resize(dir.rfind('/'));
  // PREFIX/bin, PREFIX/libexec/locald, or a test program anywhere in a build tree.
  while (true) {
    const std::string path =
        dir + (name == "locald" ? "/bin/" : "/libexec/locald/") + std::string(name);
    if (::access(path.c_str(), X_OK) == 0) return path;
    const auto slash = dir.rfind('/');
    if (slash == std::string::npos || slash == 0) break;
    dir.resize(slash);
  }
  return Error(Errc::not_found, std::string(name) + " was not found beside " + self.data())
      .with_hint("reinstall locald: bin/locald needs libexec/locald/" + std::string(name) +
                 " beside it");
}

}  // namespace locald
