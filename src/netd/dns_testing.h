#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "net/ip_address.h"

/// DNS packets for tests, written and read by hand.
namespace locald::netd::testing {

inline constexpr int kA = 1, kAaaa = 28;

inline std::string query(const std::string& name, int type = 1, bool edns = false, int udp = 4096) {
  std::string out("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00", 11);
  out += edns ? '\1' : '\0';
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    out += static_cast<char>(dot - at);
    out += name.substr(at, dot - at);
    at = dot + 1;
  }
  out += std::string("\0\0", 2) + static_cast<char>(type) + std::string("\0\1", 2);
  if (edns)
    out += std::string("\0\0\x29", 3) + static_cast<char>(udp >> 8) + static_cast<char>(udp) +
           std::string(6, '\0');
  return out;
}
inline int code(const std::string& reply) { return reply.at(3) & 0x0F; }
inline int count(const std::string& reply) {
  return reply.at(6) << 8 | static_cast<std::uint8_t>(reply.at(7));
}
/// The addresses of a reply whose answers all have the question's name.
inline std::vector<net::IpAddress> addresses(const std::string& reply) {
  std::vector<net::IpAddress> out;
  std::size_t at = reply.find('\0', 12) + 5;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(reply.at(i)); };
  for (int i = 0; i < count(reply); ++i) {
    const std::size_t size = byte(at + 11);
    std::array<std::uint8_t, 16> v6{};
    for (std::size_t k = 0; k < std::min<std::size_t>(size, 16); ++k) v6[k] = byte(at + 12 + k);
    if (size == 16) out.push_back(net::IpAddress::v6(v6));
    if (size == 4)
      out.push_back(net::IpAddress::v4(static_cast<std::uint32_t>(v6[0]) << 24 |
                                       static_cast<std::uint32_t>(v6[1]) << 16 |
                                       static_cast<std::uint32_t>(v6[2]) << 8 | v6[3]));
    at += 12 + size;
  }
  return out;
}
/// A reply to `query` with `addresses`.
inline std::string reply(const std::string& query, const std::vector<net::IpAddress>& addresses,
                         int code = 0, bool truncated = false) {
  std::string out = query.substr(0, query.find('\0', 12) + 5);
  out[2] = truncated ? '\x83' : '\x81';
  out[3] = static_cast<char>(0x80 | code);
  out.replace(6, 6, std::string("\0\0\0\0\0\0", 6));
  out[6] = static_cast<char>(addresses.size() >> 8);
  out[7] = static_cast<char>(addresses.size());
  for (const net::IpAddress& each : addresses) {
    const auto size = static_cast<char>(each.bytes().size());
    out += std::string("\xc0\x0c\0", 3) + static_cast<char>(each.is_v6() ? kAaaa : kA) +
           std::string("\0\1\0\0\0\1\0", 7) + size;
    out.append(reinterpret_cast<const char*>(each.bytes().data()), each.bytes().size());
  }
  return out;
}

}  // namespace locald::netd::testing
