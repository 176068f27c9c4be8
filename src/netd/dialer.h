#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "net/ip_address.h"
#include "netd/poller.h"
#include "netd/resolver.h"

/// The process that holds connections makes none: code that took it over could connect the host's
/// sockets to the host's own loopback. Sockets are made and connected by two small processes that
/// hold no connection, one in the host's network namespace and one in the sandbox's.
///
///     netd                         dialer
///      | -- DialRequest ------------->|   connects
///      |<-- DialReply, the socket ----|   once it is connected, or why it is not
///      | -- DialRequest, a query ---->|   asks the host's resolvers
///      |<-- DialReply, the answer ----|
///
/// over a socketpair of type SOCK_SEQPACKET, one message a packet. Both are the same program.
namespace locald::netd {

struct DialRequest {
  enum class Kind : std::uint8_t { connect, cancel, query, datagrams };
  std::uint64_t id = 0;
  Kind kind = Kind::connect;
  std::uint8_t v6 = 0;
  std::uint16_t port = 0;  ///< as the host counts
  std::array<std::uint8_t, 16> address{};
};
struct DialReply {
  std::uint64_t id = 0;
  std::int32_t error = 0;  ///< an errno; 0: the socket comes with it
};

/// netd's side.
class Dialer {
 public:
  using Done = std::function<void(Result<UniqueFd>)>;
  using Answered = std::function<void(std::string reply)>;

  /// @param died  The process is gone: nothing is dialled any more.
  Dialer(Poller& poller, UniqueFd socket, std::function<void()> died);

  /// A wish that is let go is cancelled, and `done` not called.
  class Pending {
   public:
    Pending() = default;
    ~Pending() { reset(); }
    Pending(Pending&& other) noexcept { *this = std::move(other); }
    Pending& operator=(Pending&& other) noexcept;
    void reset();

   private:
    friend class Dialer;
    Dialer* dialer_ = nullptr;
    std::uint64_t id_ = 0;
  };
  /// @param done  With the connected, non-blocking socket, or what connect(2) said.
  /// @return Errc::unavailable: the dialer is too far behind; `done` is not called.
  /// @param kind  connect: TCP; datagrams: UDP, inside only.
  Result<Pending> connect(const net::IpAddress& address, std::uint16_t port, Done done,
                          DialRequest::Kind kind = DialRequest::Kind::connect);
  /// Has the host's resolvers asked, as Resolver::ask().
  void query(const std::string& query, Answered done);

 private:
  void receive();

  UniqueFd socket_;
  Poller::Watch watch_;
  std::function<void()> died_;
  std::map<std::uint64_t, Done> waiting_;
  std::map<std::uint64_t, Answered> queries_;
  std::uint64_t next_ = 1;
};

/// Where a dialer connects to instead, or the errno that it answers with.
struct Destination {
  net::IpAddress address;
  std::uint16_t port = 0;
};
using DialPolicy =
    std::function<std::optional<Destination>(const net::IpAddress& address, std::uint16_t port)>;

/// The other side: answers requests until `socket` ends, which stops the poller. What `policy`
/// gives no destination for is refused (ECONNREFUSED).
class DialServer {
 public:
  /// @param socket  Borrowed.
  /// @param resolver  Null: queries are answered with SERVFAIL, and sockets for UDP are made.
  DialServer(Poller& poller, int socket, DialPolicy policy, Resolver* resolver);

 private:
  struct Attempt {
    UniqueFd fd;
    Poller::Watch watch;
    Poller::Timer limit;
  };
  void receive();
  void dial(const DialRequest& request);
  void ask(std::uint64_t id, std::string query);
  void answer(std::uint64_t id, int error, int fd = -1);

  Poller& poller_;
  int socket_;
  DialPolicy policy_;
  Resolver* resolver_;
  Poller::Watch watch_;
  std::map<std::uint64_t, Attempt> attempts_;
};

}  // namespace locald::netd
