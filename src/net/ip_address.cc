#include "net/ip_address.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>

#include "base/strings.h"

namespace locald::net {

IpAddress IpAddress::v4(std::uint32_t host_order) {
  IpAddress out;
  for (int i = 0; i < 4; ++i)
    out.bytes_[static_cast<std::size_t>(i)] =
        static_cast<std::uint8_t>(host_order >> (8 * (3 - i)));
  return out;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
  IpAddress out;
  out.v6_ = true;
  out.bytes_ = bytes;
  return out;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  IpAddress out;
  out.v6_ = text.find(':') != std::string_view::npos;
  const std::string terminated(text.substr(0, text.find('\0')));
  if (terminated.size() != text.size() ||
      ::inet_pton(out.family(), terminated.c_str(), out.bytes_.data()) != 1)
    return Error(Errc::invalid_input, "invalid address: " + terminated);
  return out;
}

int IpAddress::family() const noexcept { return v6_ ? AF_INET6 : AF_INET; }

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> out{};
  ::inet_ntop(family(), bytes_.data(), out.data(), out.size());
  return out.data();
}

IpAddress IpAddress::masked(int length) const {
  IpAddress out = *this;
  for (int i = 0; i < bits() / 8; ++i) {
    const int keep = std::clamp(length - 8 * i, 0, 8);
    out.bytes_[static_cast<std::size_t>(i)] &= static_cast<std::uint8_t>(0xFF00 >> keep);
  }
  return out;
}

IpAddress IpAddress::plus(std::uint32_t offset) const {
  IpAddress out = *this;
  const std::size_t last = bytes().size();
  std::uint32_t number = 0;
  for (std::size_t i = last - 4; i < last; ++i) number = number << 8 | out.bytes_[i];
  number += offset;
  for (std::size_t i = last; i-- > last - 4; number >>= 8)
    out.bytes_[i] = static_cast<std::uint8_t>(number);
  return out;
}

Result<Subnet> Subnet::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto length =
      slash == std::string_view::npos ? std::nullopt : parse_u64(text.substr(slash + 1));
  const Subnet out{TRY(IpAddress::parse(text.substr(0, slash))),
                   length && *length <= 128 ? static_cast<int>(*length) : -1};
  if (out.length < 0 || out.length > out.address.bits())
    return Error(Errc::invalid_input, "invalid subnet: " + std::string(text))
        .with_hint("an address and the length of its prefix, as in 10.20.30.0/24");
  return out;
}

bool Subnet::contains(const IpAddress& other) const {
  return other.is_v6() == address.is_v6() && other.masked(length) == network();
}

bool Subnet::overlaps(const Subnet& other) const {
  return contains(other.network()) || other.contains(network());
}

std::uint32_t Subnet::size() const {
  const int host_bits = address.bits() - length;
  return host_bits >= 32 ? std::numeric_limits<std::uint32_t>::max()
                         : std::uint32_t{1} << host_bits;
}

}  // namespace locald::net
