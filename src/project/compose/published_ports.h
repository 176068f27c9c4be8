#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace locald::project::compose {

/// One container port and where it is published.
struct PublishedPort {
  std::string address;    ///< of the host; empty: any
  std::string published;  ///< a port, or a range "8000-8005" of which one is taken; empty: any
  int target = 0;
  std::string protocol;  ///< tcp, udp or sctp
};

/// The short form of ports: `80`, `8080:80`, `127.0.0.1:8080:80/udp`, `[::1]::80`, with ranges of
/// one length on both sides, or one of host ports for a single port. Pure.
/// @return Errc::invalid_input with what is wrong; else at least one port, in the order of their
/// texts ("100" before "99").
Result<std::vector<PublishedPort>> parse_published_ports(std::string_view text);

/// Whether `text` is an address of IP, without brackets.
bool valid_address(const std::string& text);

}  // namespace locald::project::compose
