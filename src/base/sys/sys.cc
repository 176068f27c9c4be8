#include "base/sys/sys.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace locald::sys {
namespace {

Error fail(std::string_view what) { return Error::from_errno(errno, what); }

/// sockaddr_un holds 107 bytes: reach the socket through the folder's descriptor.
Result<sockaddr_un> address_in(int dir_fd, const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(dir_fd) + "/" + name;
  if (path.size() >= sizeof address.sun_path)
    return Error(Errc::invalid_input, "socket name " + name + " is too long");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace

Result<UniqueFd> openat(int dir_fd, const std::string& path, int flags, mode_t mode) {
  while (true) {
    UniqueFd fd(::openat(dir_fd, path.c_str(), flags | O_CLOEXEC, mode));
    if (fd) return fd;
    if (errno != EINTR) return fail("open " + path);
  }
}

Result<void> mkdirat(int dir_fd, const std::string& path, mode_t mode) {
  if (::mkdirat(dir_fd, path.c_str(), mode) == 0) return {};
  const int err = errno;
  struct stat st {};
  if (err == EEXIST && ::fstatat(dir_fd, path.c_str(), &st, 0) == 0 && S_ISDIR(st.st_mode))
    return {};
  return Error::from_errno(err, "mkdir " + path);
}

Result<void> write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = ::write(fd, data.data(), data.size());
    if (n >= 0) {
      data.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      pollfd p{fd, POLLOUT, 0};
      ::poll(&p, 1, -1);
    } else if (errno != EINTR) {
      return fail("write");
    }
  }
  return {};
}

Result<std::size_t> read_some(int fd, void* buffer, std::size_t size) {
  while (true) {
    const ssize_t n = ::read(fd, buffer, size);
    if (n >= 0) return static_cast<std::size_t>(n);
    if (errno != EINTR) return fail("read");
  }
}

Result<std::pair<UniqueFd, UniqueFd>> pipe(int flags) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC | flags) != 0) return fail("pipe");
  return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<std::pair<UniqueFd, UniqueFd>> socketpair(int type) {
  int fds[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0) return fail("socketpair");
  return std::pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

Result<UniqueFd> memfd(const char* name, std::string_view content) {
  UniqueFd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd) return fail("memfd_create");
  TRY(write_all(fd.get(), content));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0) return fail("lseek");
  return fd;
}

Result<UniqueFd> pidfd_open(pid_t pid) {
  UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (fd) return fd;
  if (errno == ESRCH)
    return Error(Errc::not_found, "process " + std::to_string(pid) + " has ended");
  return fail("pidfd_open " + std::to_string(pid));
}

Result<void> pidfd_signal(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0) return {};
  if (errno == ESRCH) return Error(Errc::not_found, "the process has ended");
  return fail("pidfd_send_signal");
}

Result<void> set_nonblocking(int fd, bool on) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
    return fail("fcntl");
  return {};
}

Result<void> send_fds(int socket, std::string_view data, std::span<const int> fds) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(16 * sizeof(int))> control{};
  if (fds.size() > 16) return Error(Errc::invalid_input, "send_fds: more than 16 descriptors");
  iovec io{const_cast<char*>(data.data()), data.size()};
  msghdr msg{};
  msg.msg_iov = &io;
  msg.msg_iovlen = 1;
  if (!fds.empty()) {
    msg.msg_control = control.data();
    msg.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&msg);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  while (::sendmsg(socket, &msg, MSG_NOSIGNAL) < 0)
    if (errno != EINTR) return fail("sendmsg");
  return {};
}

Result<UniqueFd> unix_listen(int dir_fd, const std::string& name, int backlog) {
  // Under another name until it listens: who waits for the name, waits for an answer.
  const std::string fresh = "." + name + ".new";
  const sockaddr_un address = TRY(address_in(dir_fd, fresh));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail("socket");
  if (::unlinkat(dir_fd, fresh.c_str(), 0) != 0 && errno != ENOENT) return fail("unlink " + fresh);
  // The mode is fixed before anyone can connect: bind honours the descriptor's mode.
  ::fchmod(fd.get(), 0600);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail("bind " + name);
  if (::fchmodat(dir_fd, fresh.c_str(), 0600, 0) != 0) return fail("chmod " + name);
  if (::listen(fd.get(), backlog) != 0) return fail("listen " + name);
  if (::renameat(dir_fd, fresh.c_str(), dir_fd, name.c_str()) != 0) return fail("rename " + name);
  return fd;
}

Result<UniqueFd> unix_connect(const std::string& path) {
  const auto slash = path.rfind('/');
  const std::string dir =
      slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const UniqueFd dir_fd = TRY(open(dir, O_PATH | O_DIRECTORY));
  const sockaddr_un address = TRY(address_in(dir_fd.get(), name));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail("socket");
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    if (errno != EINTR) return fail("connect " + path);
  return fd;
}

Result<PeerCred> peer_cred(int socket) {
  ucred cred{};
  socklen_t size = sizeof cred;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &cred, &size) != 0) return fail("SO_PEERCRED");
  return PeerCred{cred.pid, cred.uid, cred.gid};
}

}  // namespace locald::sys
