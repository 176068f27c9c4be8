#pragma once
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/sys/unique_fd.h"

/// Packets with descriptors over sockets of type SOCK_SEQPACKET.
namespace locald::net {

inline constexpr std::size_t kMaxPacketFds = 250;     ///< the kernel's own limit is 253
inline constexpr std::size_t kMaxPacket = 66 * 1024;  ///< a DNS reply, and what is around it

/// @param wait  until the other side has room.
/// @return false: it was not sent.
bool send_packet(int socket, std::string_view bytes, std::span<const int> fds, bool wait = false);

/// One that came. Its bytes are overwritten by the next one that the thread receives.
class Packet {
 public:
  /// Without waiting. @return false: none is there.
  bool receive(int socket);
  /// The other side has ended; no more come.
  bool ended() const noexcept { return ended_; }

  /// Takes a `T` off the front. @return false: there are fewer bytes.
  template <typename T>
  bool take(T& out) {
    if (bytes_.size() < sizeof out) return false;
    std::memcpy(&out, bytes_.data(), sizeof out);
    bytes_.remove_prefix(sizeof out);
    return true;
  }
  std::string_view rest() const noexcept { return bytes_; }
  std::vector<UniqueFd>& fds() noexcept { return fds_; }

 private:
  bool ended_ = false;
  std::string_view bytes_;
  std::vector<UniqueFd> fds_;
};

template <typename T>
std::string_view as_bytes(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace locald::net
