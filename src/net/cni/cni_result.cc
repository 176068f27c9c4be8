#include "net/cni/cni_result.h"

#include <algorithm>

namespace locald::net {
namespace {

constexpr std::size_t kMaxAddresses = 16, kMaxLinks = 64, kMaxLine = 255;

/// A word of resolv.conf: what else would stand in it could add lines.
bool is_word(const std::string& text) {
  return !text.empty() && text.size() <= kMaxLine &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

Result<std::vector<std::string>> words(const Json& json, const char* key) {
  auto out = TRY(json.get_strings(key).context("dns"));
  for (const std::string& word : out)
    if (!is_word(word))
      return Error(Errc::invalid_input, std::string("dns: ") + key + ": invalid \"" + word + "\"");
  return out;
}

}  // namespace

Result<CniResult> CniResult::parse(const Json& json) {
  if (!json.is_object()) return Error(Errc::invalid_input, "the result is not an object");
  CniResult out;
  const Json::Array& links = json["interfaces"].as_array();
  if (links.size() > kMaxLinks) return Error(Errc::invalid_input, "interfaces: too many");
  const auto is_outside = [](const Json& link) { return link["sandbox"].as_string().empty(); };
  for (const Json& link : links)
    if (is_outside(link)) out.outside.push_back(TRY(link.get_string("name").context("interfaces")));
  for (const Json& ip : json["ips"].as_array()) {
    // One of a link that is not the service's is not the service's either.
    if (const Json& index = ip["interface"]; index.is_int()) {
      if (index.as_int() < 0 || static_cast<std::size_t>(index.as_int()) >= links.size())
        return Error(Errc::invalid_input, "ips: interface: there is none of this number");
      if (is_outside(links[static_cast<std::size_t>(index.as_int())])) continue;
    }
    Address one;
    one.address = TRY(Subnet::parse(TRY(ip.get_string("address").context("ips"))).context("ips"));
    if (const std::string gateway = TRY(ip.get_string_or("gateway", "")); !gateway.empty())
      one.gateway = TRY(IpAddress::parse(gateway).context("ips: gateway"));
    out.addresses.push_back(one);
  }
  if (out.addresses.empty())
    return Error(Errc::invalid_input, "the result has no address for the service")
        .with_hint("give a plugin an \"ipam\", as in \"ipam\": {\"type\": \"host-local\", …}");
  if (out.addresses.size() > kMaxAddresses) return Error(Errc::invalid_input, "ips: too many");
  const Json& dns = json["dns"];
  out.dns.nameservers = TRY(words(dns, "nameservers"));
  for (const std::string& each : out.dns.nameservers)
    (void)TRY(IpAddress::parse(each).context("dns: nameservers"));
  out.dns.search = TRY(words(dns, "search"));
  if (const std::string& domain = dns["domain"].as_string(); !domain.empty()) {
    if (!is_word(domain)) return Error(Errc::invalid_input, "dns: domain: invalid");
    if (std::find(out.dns.search.begin(), out.dns.search.end(), domain) == out.dns.search.end())
      out.dns.search.insert(out.dns.search.begin(), domain);
  }
  out.dns.options = TRY(words(dns, "options"));
  return out;
}

}  // namespace locald::net
