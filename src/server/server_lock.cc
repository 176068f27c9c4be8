#include "server/server_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "base/file_lock.h"
#include "base/fs_at.h"
#include "base/strings.h"
#include "base/sys.h"

namespace locald::server {
namespace {

/// "PID RUN": for the message of the server that finds the lock taken.
void sign(int fd, const Paths& paths) {
  const std::string text = std::to_string(::getpid()) + " " + paths.run() + "\n";
  if (::ftruncate(fd, 0) == 0) (void)sys::write_all(fd, text);
}

Error taken(const Paths& paths) {
  const auto text = read_file(paths.state_lock(), 8192);
  const std::string signed_by = text ? std::string(trim(*text)) : std::string();
  const auto blank = signed_by.find(' ');
  if (blank == std::string::npos)
    return Error(Errc::already_exists, "a server is running already")
        .with_hint("see it: locald server status");
  const std::string pid = signed_by.substr(0, blank), run = signed_by.substr(blank + 1);
  if (run == paths.run())
    return Error(Errc::already_exists, "a server is running already: process " + pid)
        .with_hint("see it: locald server status");
  return Error(Errc::already_exists, "a server of " + paths.state() +
                                         " is running already: process " + pid +
                                         ", with the run folder " + run + ", not " + paths.run())
      .with_hint(
          "set XDG_RUNTIME_DIR as it was when that one was started; or end it, its services "
          "go on: kill " +
          pid);
}

}  // namespace

Result<ServerLock> ServerLock::take(const Paths& paths) {
  ServerLock lock;
  TRY(lock.renew(paths));
  return lock;
}

Result<void> ServerLock::renew(const Paths& paths) {
  const auto renew_one = [&](UniqueFd& held, const std::string& path) -> Result<void> {
    if (held && still_named(held.get(), AT_FDCWD, path)) return {};
    auto fresh = lock_file(path, /*wait=*/false);
    if (!fresh && fresh.error().code() == Errc::already_exists) return taken(paths);
    held = TRY(std::move(fresh));
    sign(held.get(), paths);
    return {};
  };
  // In this order: who waits for the first has not touched the second.
  TRY(renew_one(state_, paths.state_lock()));
  return renew_one(run_, paths.server_lock());
}

}  // namespace locald::server
