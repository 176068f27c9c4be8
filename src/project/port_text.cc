#include "project/port_text.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/strings.h"
#include "net/ip_address.h"
#include "net/socket_address.h"

namespace locald::project {
namespace {

constexpr std::string_view kForms =
    R"(write "8080:80", "127.0.0.1:8080:80" or "80" (any free port))";

Error wrong(std::string_view text, std::string_view why, std::string_view hint = kForms) {
  return Error(Errc::invalid_input, fmt::format("invalid port \"{}\": {}", text, why))
      .with_hint(std::string(hint));
}

struct Range {
  int first = 0, last = 0;
  int size() const { return last - first + 1; }
};

/// @return Errc::invalid_input: what is wrong with it, for wrong().
Result<int> parse_port(std::string_view text) {
  const auto port = parse_u64(text);
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  if (port && *port >= 1 && *port <= 65535) return static_cast<int>(*port);
  return Error(Errc::invalid_input,
               digits ? fmt::format("{} is out of range: ports go from 1 to 65535", text)
                      : fmt::format("\"{}\" is not a port", text));
}

/// The same.
Result<Range> parse_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  Range range;
  range.first = TRY(parse_port(text.substr(0, dash)));
  range.last =
      dash == std::string_view::npos ? range.first : TRY(parse_port(text.substr(dash + 1)));
  if (range.first > range.last)
    return Error(Errc::invalid_input, fmt::format("the range {} ends before it begins", text));
  return range;
}

std::string ports_text(int count) { return fmt::format("{} port{}", count, count == 1 ? "" : "s"); }

/// An address in front of the ports, with or without brackets.
Result<std::string> parse_host(std::string_view text, std::string_view address) {
  if (address.starts_with("[") && address.ends_with("]"))
    address = address.substr(1, address.size() - 2);
  const auto parsed = net::IpAddress::parse(address);
  if (!parsed)
    return wrong(text, fmt::format("\"{}\" is not an address", address),
                 address == "localhost" ? "write 127.0.0.1 or [::1]" : kForms);
  if (address.starts_with("::ffff:"))
    return wrong(text, fmt::format("{} is an IPv4 address in the form of IPv6", address),
                 "write it as an IPv4 address, like 127.0.0.1");
  return parsed->text();
}

net::IpAddress address_of(const PortConfig& port) {
  return net::IpAddress::parse(port.address).value_or(net::IpAddress::v4(0x7F000001));
}

}  // namespace

Result<std::vector<PortConfig>> parse_ports(std::string_view text) {
  PortConfig one;
  std::string_view rest = text;
  if (const std::size_t slash = rest.rfind('/'); slash != std::string_view::npos) {
    const std::string_view protocol = rest.substr(slash + 1);
    if (protocol != "tcp" && protocol != "udp")
      return wrong(text, fmt::format("\"{}\" is neither tcp nor udp", protocol));
    one.udp = protocol == "udp";
    rest = rest.substr(0, slash);
  }
  const std::size_t colon = rest.rfind(':');
  if (rest.empty()) return wrong(text, "there is no port");
  if (colon + 1 == rest.size()) return wrong(text, "there is nothing after the colon");
  const auto inside = parse_range(rest.substr(colon == std::string_view::npos ? 0 : colon + 1));
  if (!inside) return wrong(text, inside.error().message());
  std::optional<Range> outside;
  if (colon != std::string_view::npos) {
    std::string_view host = rest.substr(0, colon);
    // What is left of the last colon but one is an address.
    const std::size_t second = host.ends_with("]") ? std::string_view::npos : host.rfind(':');
    std::string_view address;
    if (host.ends_with("]") || second != std::string_view::npos) {
      address = host.substr(0, host.ends_with("]") ? host.size() : second);
      host = host.ends_with("]") ? std::string_view() : host.substr(second + 1);
      one.address = TRY(parse_host(text, address));
    }
    if (address.empty() && net::IpAddress::parse(host))
      return wrong(text, fmt::format("a port of {} is missing", host),
                   fmt::format(R"(write "{0}:8080:{1}", or "{0}::{1}" (any free port))", host,
                               rest.substr(colon + 1)));
    if (!host.empty()) {
      auto range = parse_range(host);
      if (!range) return wrong(text, range.error().message());
      outside = *range;
    } else if (address.empty()) {
      return wrong(text, "there is nothing before the colon");
    }
  }
  std::vector<PortConfig> out;
  if (outside && outside->size() > 1 && inside->size() == 1) {
    one.port = outside->first;
    one.last = outside->last;
    one.container_port = inside->first;
    return std::vector{one};
  }
  if (outside && outside->size() != inside->size())
    return wrong(text,
                 fmt::format("{} of the host for {} of the service", ports_text(outside->size()),
                             ports_text(inside->size())),
                 "give both sides as many ports, or several of the host to one of the service, "
                 "which gets the first free one");
  for (int n = 0; n < inside->size(); ++n) {
    one.port = outside ? outside->first + n : 0;
    one.container_port = inside->first + n;
    out.push_back(one);
  }
  return out;
}

Result<int> parse_low_ports(std::string_view text) {
  const auto by = text.starts_with("+") ? parse_u64(text.substr(1)) : std::nullopt;
  if (by && *by >= 1024 && *by <= 64511) return static_cast<int>(*by);
  return Error(Errc::invalid_input,
               fmt::format("invalid low_ports \"{}\": {}", text,
                           by ? "ports move by 1024 to 64511" : "not a plus and a number"))
      .with_hint("\"+8000\" publishes what is written as port 80 at 8080");
}

std::string port_key(const std::string& service, const PortConfig& port) {
  std::string key = service + ":" + std::to_string(port.container_port);
  if (port.udp) key += "/udp";
  if (!port.address.empty()) key += "@" + port.address;
  if (port.last != 0) key += fmt::format("({}-{})", port.port, port.last);
  return key;
}

bool collide(const PortConfig& one, const PortConfig& other) {
  const auto at = [](const PortConfig& port) {
    return net::AddressAndPort{address_of(port), static_cast<std::uint16_t>(port.port)};
  };
  return one.port != 0 && one.udp == other.udp && net::collide(at(one), at(other));
}

std::string port_line(const PortConfig& port, int container_port) {
  const net::IpAddress address = address_of(port);
  const std::string text = address.text();
  return fmt::format("{}:{}->{}{}", address.is_v6() ? "[" + text + "]" : text, port.port,
                     port.container_port != 0 ? port.container_port : container_port,
                     port.udp ? "/udp" : "");
}

}  // namespace locald::project
