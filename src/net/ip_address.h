#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace locald::net {

/// An IPv4 or IPv6 address, without a zone.
class IpAddress {
 public:
  /// 0.0.0.0
  IpAddress() = default;
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);
  /// "10.1.2.3", "fd00::1". @return Errc::invalid_input: it is neither.
  static Result<IpAddress> parse(std::string_view text);

  bool is_v6() const noexcept { return v6_; }
  int family() const noexcept;  ///< AF_INET, AF_INET6
  int bits() const noexcept { return v6_ ? 128 : 32; }
  /// In network byte order: 4 or 16.
  std::span<const std::uint8_t> bytes() const noexcept {
    return {bytes_.data(), v6_ ? std::size_t{16} : std::size_t{4}};
  }
  std::string text() const;

  /// The first `length` bits, the others 0.
  IpAddress masked(int length) const;
  /// This address and `offset` in its last 32 bits, without a carry beyond them.
  IpAddress plus(std::uint32_t offset) const;

  auto operator<=>(const IpAddress&) const = default;

 private:
  bool v6_ = false;
  std::array<std::uint8_t, 16> bytes_{};
};

/// A network, or an address with the length of its network's prefix.
struct Subnet {
  IpAddress address;
  int length = 0;

  /// "10.1.2.0/24". @return Errc::invalid_input: the text, and what is wrong with it.
  static Result<Subnet> parse(std::string_view text);
  std::string text() const { return address.text() + "/" + std::to_string(length); }

  IpAddress network() const { return address.masked(length); }
  bool contains(const IpAddress& other) const;
  bool overlaps(const Subnet& other) const;
  /// How many addresses it has, 2^32 - 1 where they are more.
  std::uint32_t size() const;

  auto operator<=>(const Subnet&) const = default;
};

}  // namespace locald::net
