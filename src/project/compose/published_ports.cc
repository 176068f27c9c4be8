#include "project/compose/published_ports.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/strings.h"

namespace locald::project::compose {
namespace {

struct PortRange {
  std::uint64_t first = 0, last = 0;
  std::uint64_t more() const { return last - first; }
};

std::optional<std::uint64_t> port_number(std::string_view text) {
  const auto number = parse_u64(text);
  return number && *number <= 65535 ? number : std::nullopt;
}

std::optional<PortRange> port_range(std::string_view text) {
  const std::size_t dash = text.find('-');
  const auto first = port_number(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : port_number(text.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  return PortRange{*first, *last};
}

}  // namespace

bool valid_address(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> out{};
  return ::inet_pton(AF_INET, text.c_str(), out.data()) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), out.data()) == 1;
}

Result<std::vector<PublishedPort>> parse_published_ports(std::string_view text) {
  const auto bad = [&](std::string why) {
    return Error(Errc::invalid_input,
                 fmt::format("invalid port \"{}\": {}", shortened(text, 80), why))
        .with_hint("like 8080:80, ADDRESS:8080:80 or 53:53/udp");
  };
  std::string_view rest = text;
  PublishedPort port;
  // The last two parts are ports; an address may have colons itself.
  const std::size_t last = rest.rfind(':');
  std::string_view container = last == std::string_view::npos ? rest : rest.substr(last + 1);
  rest = last == std::string_view::npos ? std::string_view() : rest.substr(0, last);
  const std::size_t before = rest.rfind(':');
  const std::string_view host = before == std::string_view::npos ? rest : rest.substr(before + 1);
  if (before != std::string_view::npos) {
    std::string_view address = rest.substr(0, before);
    const bool brackets = address.starts_with('[') && address.ends_with(']');
    if (brackets) address = address.substr(1, address.size() - 2);
    port.address = address;
    if (!address.empty() && (!valid_address(port.address) ||
                             (!brackets && address.find(':') != std::string_view::npos)))
      return bad(fmt::format("\"{}\" is not an address", shortened(rest.substr(0, before), 60)));
  }
  port.protocol = "tcp";
  if (const std::size_t slash = container.find('/'); slash != std::string_view::npos) {
    const std::string named = to_lower(container.substr(slash + 1));
    if (!named.empty()) port.protocol = named;
    container = container.substr(0, slash);
  }
  if (container.empty()) return bad("the container's port is missing");
  const auto inside = port_range(container);
  if (!inside) return bad(fmt::format("\"{}\" is not a port", shortened(container, 40)));
  std::optional<PortRange> outside;
  if (!host.empty()) {
    outside = port_range(host);
    if (!outside) return bad(fmt::format("\"{}\" is not a port", shortened(host, 40)));
    if (inside->more() != 0 && inside->more() != outside->more())
      return bad("the ranges of host and container differ in length");
  }
  if (port.protocol != "tcp" && port.protocol != "udp" && port.protocol != "sctp")
    return bad(fmt::format("\"{}\" is not a protocol", shortened(port.protocol, 40)));
  std::vector<PublishedPort> out;
  for (std::uint64_t i = 0; i <= inside->more(); ++i) {
    port.target = static_cast<int>(inside->first + i);
    if (outside && inside->more() == 0 && outside->more() != 0)
      port.published = fmt::format("{}-{}", outside->first, outside->last);
    else if (outside)
      port.published = fmt::to_string(outside->first + i);
    out.push_back(port);
  }
  std::sort(out.begin(), out.end(), [](const PublishedPort& a, const PublishedPort& b) {
    return fmt::to_string(a.target) < fmt::to_string(b.target);
  });
  return out;
}

}  // namespace locald::project::compose
