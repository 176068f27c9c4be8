#pragma once
#include <fcntl.h>
#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"

/// The thin seam to the kernel: EINTR retried, O_CLOEXEC always set, errno
/// becomes an Error that names the call and its object. No policy. All
/// functions are thread-safe as the calls beneath them are.
namespace locald::sys {

inline std::int64_t nanoseconds(const timespec& time) noexcept {
  return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

/// openat(2). `dir_fd` may be AT_FDCWD. O_CLOEXEC is added.
Result<UniqueFd> openat(int dir_fd, const std::string& path, int flags, mode_t mode = 0);

/// open(2) of an absolute path, or of one relative to the working folder.
inline Result<UniqueFd> open(const std::string& path, int flags, mode_t mode = 0) {
  return openat(AT_FDCWD, path, flags, mode);
}

/// mkdirat(2); an existing *folder* is fine.
Result<void> mkdirat(int dir_fd, const std::string& path, mode_t mode);

/// Writes all of `data`, whatever the number of calls it takes.
Result<void> write_all(int fd, std::string_view data);

/// Reads up to `size` bytes; 0 at the end. EINTR is retried.
Result<std::size_t> read_some(int fd, void* buffer, std::size_t size);

/// pipe2(O_CLOEXEC | flags): {read end, write end}.
Result<std::pair<UniqueFd, UniqueFd>> pipe(int flags = 0);

/// socketpair(AF_UNIX, type | SOCK_CLOEXEC).
Result<std::pair<UniqueFd, UniqueFd>> socketpair(int type);

/// memfd_create(MFD_CLOEXEC) holding `content`, read position 0.
Result<UniqueFd> memfd(const char* name, std::string_view content);

/// pidfd_open(2). Errc::not_found when there is no such process any more.
Result<UniqueFd> pidfd_open(pid_t pid);

/// pidfd_send_signal(2). Errc::not_found when the process has ended.
Result<void> pidfd_signal(int pidfd, int signal);

/// fcntl(F_SETFL) with O_NONBLOCK set or cleared.
Result<void> set_nonblocking(int fd, bool on);

/// Sends `data` and the descriptors `fds` in one message (SCM_RIGHTS). At most 16 fds.
Result<void> send_fds(int socket, std::string_view data, std::span<const int> fds);

/// Binds and listens (SOCK_STREAM, 0600) at `name` in the folder `dir_fd`,
/// through the descriptor, so that the path's length does not matter
/// (sockaddr_un holds 107 bytes). An existing socket of that name is replaced:
/// the caller holds the lock that makes this safe.
Result<UniqueFd> unix_listen(int dir_fd, const std::string& name, int backlog = 128);

/// Connects to `path`, of whatever length. Errc::not_found where there is no
/// socket; errno ECONNREFUSED where nobody listens.
Result<UniqueFd> unix_connect(const std::string& path);

struct PeerCred {
  pid_t pid = 0;  ///< 0 when the peer is outside of our pid namespace
  uid_t uid = 0;
  gid_t gid = 0;
};
/// SO_PEERCRED: who connected (as of connect(2), not now).
Result<PeerCred> peer_cred(int socket);

}  // namespace locald::sys
