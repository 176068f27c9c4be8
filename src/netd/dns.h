#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/ip_address.h"

/// Names of a network, asked by DNS (RFC 1035; EDNS: RFC 6891). Pure: from bytes to bytes.
namespace locald::netd {

/// What a network's services are called: lower case, without a final dot.
using Names = std::map<std::string, std::vector<net::IpAddress>, std::less<>>;
/// Of the networks that an asker is in, in their order: the first that has a name answers it.
using NameTables = std::vector<std::shared_ptr<const Names>>;

struct DnsVerdict {
  enum class Kind : std::uint8_t {
    ignore,   ///< no query: nothing is said
    reply,    ///< with `bytes`
    forward,  ///< as it came, to the host's resolver
  };
  Kind kind = Kind::ignore;
  std::string bytes;
};

/// What becomes of a packet from a container.
///
/// A name of the networks has an answer, or none of that type (NOERROR: musl gives up a lookup whose AAAA
/// is NXDOMAIN). A name without a dot that is not among them is nobody's (NXDOMAIN): it never leaves.
/// @param turn  Which of several addresses comes first, so that clients spread.
/// @param limit  Bytes of a reply where the query names no other; 0: none (TCP).
DnsVerdict decide(std::string_view packet, const NameTables& names, std::uint32_t turn,
                  std::size_t limit = 512);

/// A reply to `query` that could not be had elsewhere (SERVFAIL).
std::string server_failure(std::string_view query);

/// True if `reply` may be passed on as the answer to `query`: the same question, and not one that
/// another server may know better (REFUSED, SERVFAIL).
bool answers(std::string_view reply, std::string_view query);

}  // namespace locald::netd
