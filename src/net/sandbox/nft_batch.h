#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/ip_address.h"
#include "net/sandbox/netlink_message.h"

namespace locald::net {

/// One rule: what must be true of a packet, in order, and at the end what becomes of it. Works on
/// the registers of nf_tables: each match loads what it looks at and compares.
class NftRule {
 public:
  NftRule& from(const std::string& link);
  NftRule& out_by(const std::string& link);    ///< of what is forwarded
  NftRule& from_group(std::uint32_t group);    ///< a link's (Netlink::set_group())
  NftRule& out_by_group(std::uint32_t group);  ///< the same, of what is forwarded
  NftRule& protocol(std::uint8_t l4);          ///< IPPROTO_TCP, …
  NftRule& to(const Subnet& destination);
  NftRule& from(const Subnet& source);
  NftRule& v6();
  NftRule& to_port(std::uint16_t port);    ///< after protocol()
  NftRule& from_port(std::uint16_t port);  ///< after protocol()
  NftRule& redirected();                   ///< by redirect_to()
  NftRule& established();

  NftRule& accept();
  NftRule& drop();
  NftRule& reset();   ///< TCP
  NftRule& reject();  ///< ICMP: prohibited by the administrator
  NftRule& masquerade();
  NftRule& redirect_to(std::uint16_t port);  ///< of the address of the link it came in by

  /// Writes another port into the packet, whatever connection it belongs to. `l4` as of protocol().
  NftRule& set_to_port(std::uint8_t l4, std::uint16_t port);
  NftRule& set_from_port(std::uint8_t l4, std::uint16_t port);

 private:
  friend class NftBatch;
  struct Expression {
    std::string name;
    std::string attributes;  ///< encoded
  };
  template <typename Fill>
  NftRule& add(const char* name, const Fill& fill);
  NftRule& compare(std::string_view value);
  NftRule& address(const Subnet& network, bool destination);
  NftRule& port_at(std::uint32_t offset, std::uint16_t port);
  NftRule& set_port_at(std::uint32_t offset, std::uint8_t l4, std::uint16_t port);
  NftRule& any_bit(std::uint32_t bits);
  NftRule& link(std::uint32_t key, const std::string& name);
  NftRule& group(std::uint32_t key, std::uint32_t group);
  NftRule& verdict(int code);
  std::vector<Expression> expressions_;
};

/// What a chain is called for.
struct NftChain {
  enum class Hook : std::uint8_t { prerouting, input, forward, output, postrouting };
  std::string name;
  std::string type;  ///< "filter", "nat"
  Hook hook;
  int priority;
};

/// One table of family inet.
class NftBatch {
 public:
  /// Writes what `fill` adds, in the network namespace of the calling thread and in place of what
  /// the table held there. All of it or nothing. Where there was one it takes the kernel some
  /// 10 ms, where there was none 0.2.
  /// @return the kernel's first complaint; Errc::unsupported: it has no nf_tables, or not all of
  ///         these expressions.
  static Result<void> write(const std::string& table, const std::function<void(NftBatch&)>& fill);

  void chain(const NftChain& chain);
  void rule(const std::string& chain, const NftRule& rule);

 private:
  NftBatch(std::string table, bool exists);
  NetlinkMessage& message(std::uint16_t type, std::uint16_t flags);

  Result<void> commit();

  std::string table_;
  std::vector<NetlinkMessage> messages_;
};

}  // namespace locald::net
