#include "net/host_routes.h"

#include <arpa/inet.h>

#include <bit>
#include <charconv>
#include <optional>

#include "base/strings.h"
#include "base/sys/fs_at.h"

namespace locald::net {
namespace {

/// As it lies in memory: the bytes of an address, printed as one number.
std::optional<std::uint32_t> number(std::string_view hex) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
  if (error != std::errc() || end != hex.data() + hex.size()) return std::nullopt;
  return ntohl(value);
}

}  // namespace

std::vector<HostRoute> parse_host_routes(std::string_view text) {
  std::vector<HostRoute> out;
  for (const std::string& line : split(text, '\n')) {
    const std::vector<std::string> fields = split(line, '\t');
    if (fields.size() < 8) continue;
    const auto to = number(fields[1]), mask = number(trim(fields[7]));
    if (!to || !mask || *mask == 0) continue;
    out.push_back({{IpAddress::v4(*to), std::popcount(*mask)}, fields[0]});
  }
  return out;
}

std::vector<HostRoute> host_routes() {
  return parse_host_routes(read_file("/proc/net/route", 1u << 20).value_or(""));
}

}  // namespace locald::net
