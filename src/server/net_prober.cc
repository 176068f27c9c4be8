#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/strings.h"
#include "base/unique_fd.h"
#include "server/health.h"

namespace locald::server {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Address make_address(const std::string& host, int port) {
  Address a;
  if (auto* v4 = reinterpret_cast<sockaddr_in*>(&a.storage);
      ::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(port));
    a.size = sizeof *v4;
    return a;
  }
  if (auto* v6 = reinterpret_cast<sockaddr_in6*>(&a.storage);
      ::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(port));
    a.size = sizeof *v6;
  }
  return a;
}

constexpr std::size_t kMaxHead = 4096;  // of the answer, in which its first line must end

class NetProber : public Prober {
 public:
  NetProber(EventLoop& loop, const std::string& host, int port, const std::string& path)
      : loop_(loop) {
    if (host == "localhost" || host == "127.0.0.1")
      hosts_ = {"127.0.0.1", "::1"};
    else
      hosts_ = {host};
    port_ = port;
    if (!path.empty())
      request_ = fmt::format(
          "GET {} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: locald\r\nAccept: */*\r\nConnection: "
          "close\r\n\r\n",
          path, host.find(':') == std::string::npos ? host : "[" + host + "]", port);
  }
  ~NetProber() override { cancel(); }

  void start(Milliseconds timeout, Done done) override {
    cancel();
    done_ = std::move(done);
    timer_ = loop_.after(timeout, [this, timeout] {
      finish(Error(Errc::timed_out,
                   fmt::format("{}: no answer within {} ms", where(), timeout.count())));
    });
    next_ = 0;
    first_error_.reset();
    connect_next();
  }

  void cancel() override {
    watch_.reset();
    timer_.reset();
    socket_.reset();
    done_ = nullptr;
  }

 private:
  std::string where() const { return fmt::format("port {}", port_); }

  void finish(Result<void> result) {
    const Done done = std::move(done_);
    cancel();
    if (done) done(std::move(result));
  }

  void failed(Error error) {
    // The first address is the one that people mean.
    if (!first_error_) first_error_ = std::move(error);
    watch_.reset();
    socket_.reset();
    if (next_ < hosts_.size()) return connect_next();
    finish(std::move(*first_error_));
  }

  void connect_next() {
    const Address address = make_address(hosts_[next_++], port_);
    socket_.reset(
        ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket_) return later(Error::from_errno(errno, "socket"));
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address.storage),
                  address.size) == 0)
      return connected();
    if (errno != EINPROGRESS) return later(Error::from_errno(errno, where()));
    watch_ = loop_.watch_writable(socket_.get(), [this] {
      int err = 0;
      socklen_t size = sizeof err;
      ::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &err, &size);
      if (err != 0) return failed(Error::from_errno(err, where()));
      connected();
    });
  }

  /// `done` is never called from within start().
  void later(Error error) {
    if (next_ < hosts_.size()) return failed(std::move(error));
    watch_ = loop_.after(Milliseconds(0), [this, error = std::move(error)] { failed(error); });
  }

  void connected() {
    if (request_.empty()) {
      watch_ = loop_.after(Milliseconds(0), [this] { finish({}); });
      return;
    }
    // A fresh socket's buffer holds a request of this size.
    const ssize_t n = ::send(socket_.get(), request_.data(), request_.size(), MSG_NOSIGNAL);
    if (n != static_cast<ssize_t>(request_.size()))
      return failed(n < 0 ? Error::from_errno(errno, where())
                          : Error(Errc::failed, where() + ": the request was not taken"));
    head_.clear();
    watch_ = loop_.watch_readable(socket_.get(), [this] { read(); });
  }

  void read() {
    char buffer[kMaxHead];
    const ssize_t n = ::recv(socket_.get(), buffer, sizeof buffer - head_.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0) return failed(Error::from_errno(errno, where()));
    head_.append(buffer, static_cast<std::size_t>(n));
    const std::size_t end = head_.find('\n');
    if (end == std::string::npos) {
      if (n == 0 || head_.size() >= kMaxHead)
        failed(Error(Errc::failed, where() + ": the answer is not HTTP"));
      return;
    }
    // "HTTP/1.1 200 OK"
    const std::string line(trim(std::string_view(head_).substr(0, end)));
    const std::size_t blank = line.find(' ');
    const auto status = blank == std::string::npos
                            ? std::nullopt
                            : parse_u64(std::string_view(line).substr(blank + 1, 3));
    if (!line.starts_with("HTTP/1.") || !status)
      return failed(Error(Errc::failed, where() + ": the answer is not HTTP"));
    if (*status < 200 || *status > 399) {
      next_ = hosts_.size();  // it answered: the other address would be another service
      first_error_.reset();
      return failed(
          Error(Errc::failed, fmt::format("{} answered with status {}", where(), *status)));
    }
    finish({});
  }

  EventLoop& loop_;
  std::vector<std::string> hosts_;
  int port_ = 0;
  std::string request_;  // empty: connecting is enough
  std::string head_;
  std::size_t next_ = 0;  // in hosts_
  std::optional<Error> first_error_;
  Done done_;
  UniqueFd socket_;
  EventLoop::Handle watch_, timer_;  // before socket_ goes, they must have
};

}  // namespace

std::unique_ptr<Prober> make_net_prober(EventLoop& loop, const std::string& host, int port,
                                        const std::string& path) {
  return std::make_unique<NetProber>(loop, host, port, path);
}

}  // namespace locald::server
