#include "shim/client.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>

#include "base/sys/file_id.h"
#include "shim/kernel.h"
#include "shim/protocol.h"
#include "shim/text.h"

namespace locald::shim {

void Client::open(int fd) {
  *this = Client();
  fd_ = fd;
  set_nonblocking(fd);
}

void Client::close() {
  if (fd_ >= 0) ::close(fd_);
  if (passed >= 0) ::close(passed);
  unmap_memory(out_, kOutMax);
  unmap_memory(in_, kInMax);
  *this = Client();
}

void Client::append(const void* data, std::size_t size) {
  const char* from = static_cast<const char*>(data);
  while (size > 0) {
    const std::uint32_t end = (out_at_ + out_used_) % kOutMax;
    std::size_t n = kOutMax - end;
    if (n > size) n = size;
    std::memcpy(out_ + end, from, n);
    from += n, size -= n;
    out_used_ += static_cast<std::uint32_t>(n);
  }
}

void Client::send(Frame type, const void* data, std::size_t size, const void* more,
                  std::size_t more_size) {
  if (fd_ < 0 || closing_) return;
  FrameHeader header{
      static_cast<std::uint32_t>(size + more_size), static_cast<std::uint8_t>(type), {}};
  const iovec parts[3] = {{&header, sizeof header},
                          {const_cast<void*>(data), size},
                          {const_cast<void*>(more), more_size}};
  std::size_t skip = 0;
  if (out_used_ == 0) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = 3;
    const ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      close();
      return;
    }
    skip = n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  std::size_t rest = sizeof header + size + more_size - skip;
  if (rest == 0) return;
  if (out_ == nullptr && (out_ = map_memory(kOutMax)) == nullptr) return close();
  // Room for a last header is always kept. A frame that was begun is always finished: it cannot be
  // larger than the buffer.
  if (rest + sizeof header > kOutMax - out_used_) {
    const FrameHeader lost{0, static_cast<std::uint8_t>(Frame::lost), {}};
    append(&lost, sizeof lost);
    closing_ = true;
    flush();
    return;
  }
  for (const iovec& part : parts) {
    if (skip >= part.iov_len) {
      skip -= part.iov_len;
      continue;
    }
    append(static_cast<const char*>(part.iov_base) + skip, part.iov_len - skip);
    skip = 0;
  }
}

void Client::flush() {
  while (out_used_ > 0) {
    std::size_t n = kOutMax - out_at_;
    if (n > out_used_) n = out_used_;
    const ssize_t sent = ::send(fd_, out_ + out_at_, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return;
    if (sent < 0) return close();
    out_at_ = (out_at_ + static_cast<std::uint32_t>(sent)) % kOutMax;
    out_used_ -= static_cast<std::uint32_t>(sent);
  }
  unmap_memory(out_, kOutMax);  // it may be full of touched pages: back to the kernel
  out_ = nullptr;
  out_at_ = 0;
  if (closing_) close();
}

bool Client::receive() {
  if (in_ == nullptr && (in_ = map_memory(kInMax)) == nullptr) return false;
  for (;;) {
    if (!can_receive()) return true;
    iovec part{in_ + in_used_, kInMax - in_used_};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];  // room for one: others are dropped
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t n = ::recvmsg(fd_, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
      if (passed >= 0) ::close(passed);
      std::memcpy(&passed, CMSG_DATA(header), sizeof passed);
    }
    if (n == 0) return false;
    in_used_ += static_cast<std::uint32_t>(n);
    if (in_used_ < kInMax) return true;
  }
}

const FrameHeader* Client::frame(const char** body) {
  if (fd_ < 0 || in_used_ < sizeof(FrameHeader)) return nullptr;
  const auto* header = reinterpret_cast<const FrameHeader*>(in_);
  if (header->length > kFrameMax) {
    close();
    return nullptr;
  }
  if (in_used_ < sizeof(FrameHeader) + header->length) return nullptr;
  *body = in_ + sizeof(FrameHeader);
  return header;
}

void Client::consume(std::uint32_t body_bytes) {
  const auto n = static_cast<std::uint32_t>(sizeof(FrameHeader)) + body_bytes;
  std::memmove(in_, in_ + n, in_used_ - n);
  in_used_ -= n;
  frame_done = 0;
  if (in_used_ == 0 && n > 4096) {
    unmap_memory(in_, kInMax);
    in_ = nullptr;
  }
}

int listen_control(int folder) {
  // Relative to the folder: a path of any length fits (sun_path holds 107 bytes).
  if (::fchdir(folder) != 0) return -1;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, kControlSocket, sizeof kControlSocket);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  ::unlink(kControlSocket);
  const mode_t before = ::umask(0177);
  const bool ok = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                  ::listen(fd, 16) == 0;
  const int err = errno;
  ::umask(before);
  if (ok) return fd;
  ::close(fd);
  errno = err;
  return -1;
}

bool peer_allowed(int fd, int proc, bool inside) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != ::getuid())
    return false;
  if (inside) return peer.pid == 0;
  for (const char* name : {"user", "pid"}) {
    TextOf<48> theirs, own;
    theirs.number(peer.pid).add("/ns/").add(name);
    own.add("self/ns/").add(name);
    const auto peer_s = FileId::of(proc, theirs.data());
    if (!peer_s || peer_s != FileId::of(proc, own.data())) return false;
  }
  return true;
}

}  // namespace locald::shim
