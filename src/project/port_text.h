#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace locald::project {

/// A port of the host's that leads into a service.
struct PortConfig {
  std::string address;     ///< of the host; empty: 127.0.0.1
  int port = 0;            ///< 0: one is chosen
  int last = 0;            ///< another than 0: the first free one from `port` to this one is chosen
  int container_port = 0;  ///< where the service listens; 0: as ServiceConfig::container_port
  bool udp = false;

  bool chosen() const noexcept { return port == 0 || last != 0; }
  friend bool operator==(const PortConfig&, const PortConfig&) = default;
};

/// "80", "8080:80", "127.0.0.1:9000-9002:9000-9002", "[::1]:53:53/udp": one for each port of a
/// range; with several ports of the host and one of the service, the first free of them. Spec:
/// compose-spec, ports, short syntax.
/// @return Errc::invalid_input: the text, and what is wrong with it.
Result<std::vector<PortConfig>> parse_ports(std::string_view text);

/// How far ports move up: "+8000".
/// @return Errc::invalid_input: the text, and what is wrong with it.
Result<int> parse_low_ports(std::string_view text);

/// As it would be written: what a chosen port is remembered by.
std::string port_key(const std::string& service, const PortConfig& port);

/// Both cannot be taken: the same port, of addresses of which one is the other, or all of its
/// family.
bool collide(const PortConfig& one, const PortConfig& other);

/// "127.0.0.1:8080->80", "[::1]:53->53/udp". @param container_port  where the service listens, for
/// one that does not say
std::string port_line(const PortConfig& port, int container_port);

}  // namespace locald::project
