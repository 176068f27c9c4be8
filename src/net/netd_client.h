#pragma once
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sys/unique_fd.h"
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

 private:
  struct Answer {
    std::string words;
    UniqueFd fd;
  };
  explicit NetdClient(UniqueFd socket) : socket_(std::move(socket)) {}
  Result<Answer> ask(const std::string& verb, const std::string& words, std::span<const int> fds);

  UniqueFd socket_;
  std::uint64_t next_ = 1;
};

}  // namespace locald::net
