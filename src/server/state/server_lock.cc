#include "server/state/server_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "base/sys/file_id.h"
#include "base/sys/file_lock.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "ipc/living_server.h"

namespace locald::server {
namespace {

/// As ipc::lock_signature() reads it: for the message of the server that finds the lock taken.
void sign(int fd, const Paths& paths) {
  const std::string text = std::to_string(::getpid()) + " " + paths.run() + "\n";
  if (::ftruncate(fd, 0) == 0) (void)sys::write_all(fd, text);
}

Error taken(const Paths& paths) {
  const auto [number, run] = ipc::lock_signature(paths);
  if (number == 0)
    return Error(Errc::already_exists, "a server is running already")
        .with_hint("see it: locald server status");
  const std::string pid = std::to_string(number);
  if (run == paths.run())
    return Error(Errc::already_exists, "a server is running already: process " + pid)
        .with_hint("see it: locald server status");
  return Error(Errc::already_exists, "a server of " + paths.state() +
                                         " is running already: process " + pid +
                                         ", with the run folder " + run + ", not " + paths.run())
      .with_hint(
          "set XDG_RUNTIME_DIR as it was when that one was started; or end it (its services keep "
          "running): kill " +
          pid);
}

/// True if `fd` is what `path` leads to (symlinks followed).
bool leads_to(int fd, const std::string& path) {
  const auto mine = FileId::of(fd);
  return mine && mine == FileId::of(AT_FDCWD, path.c_str());
}

}  // namespace

/// Only a server of this user that holds it is an obstacle: whatever else is in the way, the lock
/// files decide alone.
Result<void> ServerLock::take_lasting(const Paths& paths) {
  const std::string folder = ipc::lasting_folder(paths);
  if (lasting_ && leads_to(lasting_.get(), folder)) return {};
  auto fd = sys::open(folder, O_RDONLY | O_DIRECTORY);
  if (!fd) return {};
  while (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    const int living = errno == EWOULDBLOCK ? ipc::living_server(paths) : 0;
    if (living == 0) return {};
    // Like a client that finds the file locked: it makes that server look after its folders at once.
    (void)sys::open(paths.state_lock(), O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
    if (ipc::lock_signature(paths).pid == living) return taken(paths);
    return Error(Errc::already_exists, "a server is running already: process " +
                                           std::to_string(living) +
                                           ", and its folders were deleted")
        .with_hint(ipc::way_out(paths, living));
  }
  lasting_ = std::move(*fd);
  return {};
}

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
  // In this order: who waits for one has not touched the next.
  TRY(take_lasting(paths));
  TRY(renew_one(state_, paths.state_lock()));
  return renew_one(run_, paths.server_lock());
}

}  // namespace locald::server
