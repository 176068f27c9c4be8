#pragma once
#include <string>
#include <vector>

#include "base/result.h"
#include "net/ip_address.h"

namespace locald::server {

/// As jobs of workers and records have them.
inline std::vector<std::string> texts(const std::vector<net::Subnet>& subnets) {
  std::vector<std::string> out;
  for (const net::Subnet& subnet : subnets) out.push_back(subnet.text());
  return out;
}

/// @return Errc::invalid_input: one of them is not an address with a length.
inline Result<std::vector<net::Subnet>> subnets(const std::vector<std::string>& texts) {
  std::vector<net::Subnet> out;
  for (const std::string& text : texts) out.push_back(TRY(net::Subnet::parse(text)));
  return out;
}

}  // namespace locald::server
