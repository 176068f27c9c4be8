#include "net/resolv_file.h"

#include "base/strings.h"

namespace locald::net {
namespace {

constexpr std::uint16_t kDns = 53;

}  // namespace

std::vector<AddressAndPort> resolvers(std::string_view text) {
  std::vector<AddressAndPort> out;
  for (const std::string& line : split(std::string(text), '\n')) {
    std::string word, address;
    std::size_t at = 0;
    const auto next = [&] {
      std::string token;
      while (at < line.size() && (line[at] == ' ' || line[at] == '\t')) ++at;
      while (at < line.size() && line[at] != ' ' && line[at] != '\t') token += line[at++];
      return token;
    };
    if (next() != "nameserver") continue;
    if (const auto parsed = IpAddress::parse(next())) out.push_back({*parsed, kDns});
  }
  if (out.empty()) out.push_back({IpAddress::v4(0x7F000001), kDns});
  return out;
}

std::string resolv_text(const std::vector<std::string>& nameservers,
                        const std::vector<std::string>& search,
                        const std::vector<std::string>& options) {
  std::string text;
  for (const std::string& address : nameservers) text += "nameserver " + address + "\n";
  if (!search.empty()) text += "search " + join(search, " ") + "\n";
  if (!options.empty()) text += "options " + join(options, " ") + "\n";
  return text;
}

}  // namespace locald::net
