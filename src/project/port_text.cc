#include "project/port_text.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "base/strings.h"
#include "net/ip_address.h"

namespace locald::project {
namespace {

Error wrong(std::string_view text, std::string_view why) {
  return Error(Errc::invalid_input, fmt::format("invalid port \"{}\": {}", text, why))
      .with_hint(R"(write "8080:80", "127.0.0.1:8080:80" or "80" (any free port))");
}

struct Range {
  int first = 0, last = 0;
  int size() const { return last - first + 1; }
};

std::optional<Range> parse_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = parse_u64(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_u64(text.substr(dash + 1));
  if (!first || !last || *first == 0 || *last > 65535 || *first > *last) return std::nullopt;
  return Range{static_cast<int>(*first), static_cast<int>(*last)};
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
  const auto inside = parse_range(rest.substr(colon == std::string_view::npos ? 0 : colon + 1));
  if (!inside) return wrong(text, "ports go from 1 to 65535");
  std::optional<Range> outside;
  if (colon != std::string_view::npos) {
    std::string_view host = rest.substr(0, colon);
    // What is left of the last colon but one is an address.
    const std::size_t second = host.ends_with("]") ? std::string_view::npos : host.rfind(':');
    std::string_view address;
    if (host.ends_with("]") || second != std::string_view::npos) {
      address = host.substr(0, host.ends_with("]") ? host.size() : second);
      host = host.ends_with("]") ? std::string_view() : host.substr(second + 1);
      if (address.starts_with("[") && address.ends_with("]"))
        address = address.substr(1, address.size() - 2);
      auto parsed = net::IpAddress::parse(address);
      if (!parsed) return wrong(text, fmt::format("\"{}\" is not an address", address));
      one.address = parsed->text();
    }
    if (!host.empty()) {
      outside = parse_range(host);
      if (!outside) return wrong(text, "ports go from 1 to 65535");
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
    return wrong(text, fmt::format("{} ports of the host for {} of the service", outside->size(),
                                   inside->size()));
  for (int n = 0; n < inside->size(); ++n) {
    one.port = outside ? outside->first + n : 0;
    one.container_port = inside->first + n;
    out.push_back(one);
  }
  return out;
}

std::string port_key(const std::string& service, const PortConfig& port) {
  std::string key = service + ":" + std::to_string(port.container_port);
  if (port.udp) key += "/udp";
  if (!port.address.empty()) key += "@" + port.address;
  if (port.last != 0) key += fmt::format("({}-{})", port.port, port.last);
  return key;
}

}  // namespace locald::project
