#pragma once
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "net/netd_handover.h"
#include "net/socket_address.h"

namespace locald::net {

/// The server's side of one of netd's controls (netd/control.h). Blocks for as long as netd takes,
/// kLimit at most. Not thread-safe.
class NetdClient {
 public:
  /// @return Errc::unavailable: nobody listens at `path`.
  static Result<NetdClient> connect(const std::string& path);

  Result<int> version();
  /// @param handed  Borrowed; those that the plan says are handed over.
  Result<void> plan(const std::string& text, const std::vector<UniqueFd>& handed = {});
  /// A connection inside the sandbox.
  /// @return what connect(2) said, as sys_errno().
  Result<UniqueFd> dial(const AddressAndPort& to);

  /// The network namespace that it holds.
  Result<UniqueFd> sandbox();
  /// The network namespace of a service of its plan. @return Errc::failed: it has none.
  Result<UniqueFd> service_namespace(const std::string& service);

  /// All its sockets; it keeps them, too.
  Result<NetdSockets> hand_over();
  /// It takes no more connections and no plan, and ends once those that it has are over. Until
  /// then its controls answer.
  Result<void> retire();
  /// It ends now, and its connections with it. That it is gone before its answer is read counts as
  /// done.
  Result<void> end();

 private:
  struct Answer {
    std::string words;
    std::vector<UniqueFd> fds;
  };
  Result<UniqueFd> ask_for_one(const std::string& verb, const std::string& words);
  explicit NetdClient(UniqueFd socket) : socket_(std::move(socket)) {}
  Result<Answer> ask(const std::string& verb, const std::string& words, std::span<const int> fds);

  UniqueFd socket_;
  std::uint64_t next_ = 1;
};

}  // namespace locald::net
