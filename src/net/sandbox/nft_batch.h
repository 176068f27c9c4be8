#pragma once
#include <cstdint>
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
  NftRule& protocol(std::uint8_t l4);  ///< IPPROTO_TCP, …
  NftRule& to(const Subnet& destination);
  NftRule& v6();
  NftRule& to_port(std::uint16_t port);  ///< after protocol()
  NftRule& redirected();                 ///< by redirect_to()
  NftRule& established();

  NftRule& accept();
  NftRule& drop();
  NftRule& reset();                          ///< TCP
  NftRule& reject();                         ///< ICMP: prohibited by the administrator
  NftRule& redirect_to(std::uint16_t port);  ///< of the address of the link it came in by

 private:
  friend class NftBatch;
  struct Expression {
    std::string name;
    std::string attributes;  ///< encoded
  };
  template <typename Fill>
  NftRule& add(const char* name, const Fill& fill);
  NftRule& compare(std::string_view value);
  NftRule& any_bit(std::uint32_t bits);
  NftRule& verdict(int code);
  std::vector<Expression> expressions_;
};

/// What a chain is called for.
struct NftChain {
  enum class Hook : std::uint8_t { prerouting, input };  // as NF_INET_PRE_ROUTING, …
  std::string name;
  std::string type;  ///< "filter", "nat"
  Hook hook;
  int priority;
};

/// Writes one table of family inet in place of what it held before. All of it or nothing.
class NftBatch {
 public:
  explicit NftBatch(std::string table);

  void chain(const NftChain& chain);
  void rule(const std::string& chain, const NftRule& rule);

  /// In the network namespace of the calling thread. Once.
  /// @return the kernel's first complaint.
  Result<void> commit();

 private:
  NetlinkMessage& message(std::uint16_t type, std::uint16_t flags);

  std::string table_;
  std::vector<NetlinkMessage> messages_;
};

}  // namespace locald::net
