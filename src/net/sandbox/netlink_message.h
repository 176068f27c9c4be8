#pragma once
#include <linux/netlink.h>

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace locald::net {

/// A request to the kernel over netlink, grown attribute by attribute (netlink(7)).
class NetlinkMessage {
 public:
  template <typename Body>
  NetlinkMessage(std::uint16_t type, std::uint16_t flags, const Body& body) {
    const nlmsghdr header{0, type, static_cast<std::uint16_t>(NLM_F_REQUEST | flags), 0, 0};
    append(&header, sizeof header);
    append(&body, sizeof body);
  }

  void append(const void* data, std::size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  void add(int type, const void* data, std::size_t size) {
    const nlattr attribute{static_cast<std::uint16_t>(NLA_HDRLEN + size),
                           static_cast<std::uint16_t>(type)};
    append(&attribute, sizeof attribute);
    append(data, size);
  }
  void add(int type, const std::string& text) { add(type, text.c_str(), text.size() + 1); }
  void add(int type, std::uint32_t number) { add(type, &number, sizeof number); }
  void add(int type, int number) { add(type, &number, sizeof number); }
  void add(int type, std::span<const std::uint8_t> bytes) { add(type, bytes.data(), bytes.size()); }

  /// What `fill` adds stands inside an attribute of its own.
  template <typename Fill>
  void nest(int type, const Fill& fill) {
    const std::size_t at = bytes_.size();
    add(type, nullptr, 0);
    fill();
    const auto size = static_cast<std::uint16_t>(bytes_.size() - at);
    std::memcpy(bytes_.data() + at, &size, sizeof size);  // nla_len comes first
  }

  /// As it is sent.
  std::string_view finish(std::uint32_t sequence) {
    nlmsghdr header{};
    std::memcpy(&header, bytes_.data(), sizeof header);
    header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
    header.nlmsg_seq = sequence;
    std::memcpy(bytes_.data(), &header, sizeof header);
    return bytes_;
  }

 private:
  std::string bytes_;
};

}  // namespace locald::net
