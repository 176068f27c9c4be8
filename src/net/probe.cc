#include "net/probe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "base/sys/unique_fd.h"

namespace locald::net {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

std::vector<Address> resolve(const std::string& host, std::uint16_t port) {
  std::vector<Address> found;
  auto add_v4 = [&](const char* text) {
    Address a;
    auto* sa = reinterpret_cast<sockaddr_in*>(&a.storage);
    if (::inet_pton(AF_INET, text, &sa->sin_addr) != 1) return;
    sa->sin_family = AF_INET;
    sa->sin_port = htons(port);
    a.size = sizeof *sa;
    found.push_back(a);
  };
  auto add_v6 = [&](const char* text) {
    Address a;
    auto* sa = reinterpret_cast<sockaddr_in6*>(&a.storage);
    if (::inet_pton(AF_INET6, text, &sa->sin6_addr) != 1) return;
    sa->sin6_family = AF_INET6;
    sa->sin6_port = htons(port);
    a.size = sizeof *sa;
    found.push_back(a);
  };
  if (host == "localhost") {
    add_v4("127.0.0.1");
    add_v6("::1");
  } else {
    add_v4(host.c_str());
    add_v6(host.c_str());
  }
  return found;
}

class Attempt final : public Probe {
 public:
  Attempt(EventLoop& loop, const std::string& host, std::uint16_t port, std::string request,
          std::chrono::milliseconds timeout, std::function<void(Verdict)> done, ProbeSocket given)
      : loop_(loop),
        given_(std::move(given)),
        where_((host.find(':') != std::string::npos ? "[" + host + "]" : host) + ":" +
               std::to_string(port)),
        addresses_(resolve(host, port)),
        request_(std::move(request)),
        done_(std::move(done)) {
    deadline_ = loop_.after(timeout, [this, timeout] {
      finish(Error(Errc::timed_out,
                   where_ + " gave no answer within " + std::to_string(timeout.count()) + " ms"));
    });
    // Not from the constructor: the owner must hold the probe before `done` can come.
    start_ = loop_.after(std::chrono::milliseconds(0), [this] { connect_next(); });
  }

 private:
  void connect_next() {
    watch_.reset();
    if (next_ == addresses_.size()) {
      if (addresses_.empty())
        return finish(Error(Errc::invalid_input, where_ + " is not an address or localhost"));
      return finish(Error::from_errno(errno_, "connect " + where_));
    }
    const Address& to = addresses_[next_++];
    if (given_ != nullptr) {
      if (to.storage.ss_family != AF_INET) return connect_next();
      // What is left of the probe before ends here.
      const sockaddr nowhere{AF_UNSPEC, {}};
      (void)::connect(given_->get(), &nowhere, sizeof nowhere);
      socket_.reset(::fcntl(given_->get(), F_DUPFD_CLOEXEC, 0));
    } else {
      socket_.reset(::socket(to.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    }
    if (!socket_) return finish(Verdict::unknown(Error::from_errno(errno, "socket")));
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.size) == 0)
      return connected();
    if (errno != EINPROGRESS) {
      // Every local port is taken, or every byte: not the service's fault.
      if (errno == EADDRNOTAVAIL || errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
        return finish(Verdict::unknown(Error::from_errno(errno, "connect " + where_)));
      errno_ = errno;
      return connect_next();
    }
    watch_ = loop_.watch_writable(socket_.get(), [this] {
      int err = 0;
      socklen_t size = sizeof err;
      ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &err, &size);
      watch_.reset();
      if (err == 0) return connected();
      errno_ = err;
      connect_next();
    });
  }

  void connected() {
    if (request_.empty()) return finish(Result<void>());
    // A request of a few hundred bytes fits an empty socket buffer.
    if (::send(socket_.get(), request_.data(), request_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request_.size()))
      return finish(Error::from_errno(errno, "write to " + where_));
    watch_ = loop_.watch_readable(socket_.get(), [this] { read_status(); });
  }

  void read_status() {
    std::array<char, 4096> buffer;
    const ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) return finish(Error::from_errno(errno, "read from " + where_));
    answer_.append(buffer.data(), static_cast<std::size_t>(n));
    const auto end = answer_.find('\n');
    if (end == std::string::npos && n > 0 && answer_.size() < buffer.size()) return;
    // "HTTP/1.1 200 OK"
    const std::string line(trim(answer_.substr(0, end)));
    const auto status = line.size() >= 12 ? parse_u64(line.substr(9, 3)) : std::nullopt;
    if (line.rfind("HTTP/1.", 0) != 0 || !status)
      return finish(Error(Errc::failed, where_ + " does not speak HTTP"));
    if (*status >= 200 && *status < 400) return finish(Result<void>());
    finish(Error(Errc::failed, where_ + " answered " + line.substr(9, 80)));
  }

  void finish(Verdict verdict) {
    watch_.reset();
    deadline_.reset();
    // The given one stays open: its peer hears an orderly end, not a reset.
    if (given_ != nullptr && socket_) ::shutdown(socket_.get(), SHUT_RDWR);
    socket_.reset();
    // `done` may drop this probe: nothing of it is touched afterwards.
    if (auto done = std::exchange(done_, nullptr)) done(std::move(verdict));
  }

  EventLoop& loop_;
  ProbeSocket given_;
  std::string where_;
  std::vector<Address> addresses_;
  std::string request_, answer_;
  std::function<void(Verdict)> done_;
  std::size_t next_ = 0;
  int errno_ = ECONNREFUSED;
  UniqueFd socket_;
  EventLoop::Handle start_, deadline_, watch_;  // last: they end before the socket closes
};

}  // namespace

std::unique_ptr<Probe> probe_tcp(EventLoop& loop, const std::string& host, std::uint16_t port,
                                 std::chrono::milliseconds timeout,
                                 std::function<void(Verdict)> done, ProbeSocket socket) {
  return std::make_unique<Attempt>(loop, host, port, "", timeout, std::move(done),
                                   std::move(socket));
}

std::unique_ptr<Probe> probe_http(EventLoop& loop, const HttpHost& host, std::uint16_t port,
                                  const std::string& path, std::chrono::milliseconds timeout,
                                  std::function<void(Verdict)> done, ProbeSocket socket) {
  const std::string authority =
      host.name.find(':') != std::string::npos ? "[" + host.name + "]" : host.name;
  std::string request = "GET " + path + " HTTP/1.1\r\nHost: " + authority + ":" +
                        std::to_string(port) +
                        "\r\nUser-Agent: locald\r\nAccept: */*\r\nConnection: close\r\n\r\n";
  return std::make_unique<Attempt>(loop, host.address, port, std::move(request), timeout,
                                   std::move(done), std::move(socket));
}

}  // namespace locald::net
