#include "server/supervise/notify_prober.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/sys/fs_at.h"

namespace locald::server {
Result<UniqueFd> bind_notify_socket(const Paths& paths, const std::string& instance) {
  const std::string path = paths.notify_socket(instance);
  const UniqueFd dir = TRY(make_dirs(path.substr(0, path.rfind('/'))));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The service gets this very path, so it cannot be reached through a descriptor.
  if (path.size() >= sizeof address.sun_path)
    return Error(Errc::invalid_input, "the notify socket's path is too long: " + path)
        .with_hint("use a shorter LOCALD_HOME");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return Error::from_errno(errno, "socket");
  ::unlink(path.c_str());
  // Its folder is 0700 all the way: nobody else gets here.
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Error::from_errno(errno, "bind " + path);
  return fd;
}

void remove_notify_socket(const Paths& paths, const std::string& instance) {
  ::unlink(paths.notify_socket(instance).c_str());
  ::unlink(paths.notify_marker(instance).c_str());
}

void remove_stale_notify_sockets(const Paths& paths) {
  const std::string any = paths.notify_socket("");
  for (const std::string& name : names_in(any.substr(0, any.size() - 1))) {
    const std::string instance = name.substr(0, name.find('.'));
    if (exists(paths.instance(instance)) || exists(paths.instance_record(instance))) continue;
    remove_notify_socket(paths, instance);
  }
}

void mark_ready(const Paths& paths, const std::string& instance) {
  const std::string marker = paths.notify_marker(instance);
  if (exists(marker) || !make_dirs(marker.substr(0, marker.rfind('/')))) return;
  (void)write_file_atomic(marker, "", 0600);
}

bool says_ready(std::string_view message) noexcept {
  while (!message.empty()) {
    const std::size_t end = message.find('\n');
    if (message.substr(0, end) == "READY=1") return true;
    message.remove_prefix(end == std::string_view::npos ? message.size() : end + 1);
  }
  return false;
}

NotifyProber::NotifyProber(EventLoop& loop, const Paths& paths, const std::string& instance,
                           std::function<Result<int>()> socket)
    : loop_(loop),
      marker_(paths.notify_marker(instance)),
      socket_(std::move(socket)),
      ready_(exists(marker_)) {}

void NotifyProber::start(project::Milliseconds timeout, Done done) {
  done_ = std::move(done);
  if (!ready_) {
    const auto socket = socket_();
    if (!socket) {
      timer_ = loop_.after(project::Milliseconds(0), [this, error = socket.error()] {
        finish(net::Verdict::unknown(error));
      });
      return;
    }
    watch_ = loop_.watch_readable(*socket, [this, fd = *socket] { read(fd); });
  }
  timer_ = loop_.after(ready_ ? project::Milliseconds(0) : timeout, [this] {
    if (ready_) return finish(Result<void>());
    finish(Error(Errc::timed_out, "it has not said READY=1 yet"));
  });
}

void NotifyProber::read(int socket) {
  char buffer[4096];
  while (true) {
    const ssize_t n = ::recv(socket, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0) return;
    if (!says_ready({buffer, static_cast<std::size_t>(n)})) continue;
    ready_ = true;
    (void)write_file_atomic(marker_, "", 0600);
    return finish(Result<void>());
  }
}

void NotifyProber::finish(net::Verdict verdict) {
  const Done done = std::exchange(done_, nullptr);
  watch_.reset();
  timer_.reset();
  if (done) done(std::move(verdict));
}

void NotifyProber::cancel() {
  done_ = nullptr;
  watch_.reset();
  timer_.reset();
}

}  // namespace locald::server
