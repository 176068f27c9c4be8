#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "net/ip_address.h"

namespace locald::net {

/// What a chain of CNI plugins says that it has made. Spec: CNI 1.0.0, section 5.
struct CniResult {
  struct Address {
    Subnet address;
    std::optional<IpAddress> gateway;
  };
  std::vector<Address> addresses;    ///< of the service; at least one
  std::vector<std::string> outside;  ///< links that stay where the plugins ran
  struct Dns {
    std::vector<std::string> nameservers, search, options;  ///< `domain` is among `search`
    friend bool operator==(const Dns&, const Dns&) = default;
  };
  Dns dns;

  /// Of versions 0.3.1 to 1.0.0.
  /// @return Errc::invalid_input: what cannot be used, and where.
  static Result<CniResult> parse(const Json& json);
};

}  // namespace locald::net
