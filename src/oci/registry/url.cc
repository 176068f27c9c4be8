#include "oci/registry/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>

#include <cstring>
#include <memory>

#include "base/strings.h"

namespace locald::oci {
namespace {

struct FreeUrl {
  void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
};
using Handle = std::unique_ptr<CURLU, FreeUrl>;

std::string part(CURLU* url, CURLUPart what, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, what, &text, flags) != CURLUE_OK || text == nullptr) return {};
  std::string out = text;
  curl_free(text);
  return out;
}

std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 200)) out += c >= ' ' && c < 0x7f ? c : '?';
  return "\"" + out + "\"";
}

/// A name, an address as inet_pton(3) reads it, or IPv6 in brackets. Nothing that another parser,
/// or this one at a second look, could take for another address: "2130706433.", "%32130706433",
/// "0x7f.1".
bool is_plain_host(const std::string& host) {
  if (host.front() == '[') {
    const std::string inner = host.substr(1, host.size() - 2);
    return host.back() == ']' && inner.find_first_not_of("0123456789abcdef:.") == std::string::npos;
  }
  if (host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") != std::string::npos)
    return false;
  const std::string last = host.substr(host.rfind('.') + 1);
  if (last.empty()) return false;
  const bool number =
      last.find_first_not_of("0123456789") == std::string::npos || last.starts_with("0x");
  in_addr v4{};
  return !number || ::inet_pton(AF_INET, host.c_str(), &v4) == 1;
}

/// Sets `handle` to `text` (relative to what it holds, if anything) and reads the result.
Result<Url> load(CURLU* handle, std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7f)
      return Error(Errc::invalid_input,
                   "a blank, control or non-ASCII character in the URL " + shown(text));
  const std::string copy(text);
  if (const CURLUcode rc = curl_url_set(handle, CURLUPART_URL, copy.c_str(),
                                        CURLU_DISALLOW_USER | CURLU_NON_SUPPORT_SCHEME);
      rc != CURLUE_OK)
    return Error(Errc::invalid_input,
                 "no usable URL: " + shown(text) + " (" + curl_url_strerror(rc) + ")");
  Url out;
  out.scheme = to_lower(part(handle, CURLUPART_SCHEME));
  if (out.scheme != "https" && out.scheme != "http")
    return Error(Errc::invalid_input, "neither https nor http: " + shown(text));
  out.host = to_lower(part(handle, CURLUPART_HOST));
  if (!is_plain_host(out.host))
    return Error(Errc::invalid_input, "no usable host in the URL " + shown(text));
  const auto port = parse_u64(part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT));
  if (!port || *port == 0 || *port > 65535)
    return Error(Errc::invalid_input, "no usable port in the URL " + shown(text));
  out.port = static_cast<std::uint16_t>(*port);
  out.target = part(handle, CURLUPART_PATH);
  if (out.target.empty() || out.target[0] != '/') out.target.insert(0, "/");
  if (const std::string query = part(handle, CURLUPART_QUERY); !query.empty())
    out.target += "?" + query;
  return out;
}

HostClass classify_v4(const unsigned char* a) {
  if (a[0] == 127) return HostClass::loopback;
  if (a[0] == 0 || (a[0] == 169 && a[1] == 254)) return HostClass::link_local;
  if (a[0] == 10 || (a[0] == 172 && (a[1] & 0xf0) == 16) || (a[0] == 192 && a[1] == 168) ||
      (a[0] == 100 && (a[1] & 0xc0) == 64))
    return HostClass::private_net;
  return HostClass::name;
}

std::string_view words(HostClass host) {
  switch (host) {
    case HostClass::loopback:
      return "this machine";
    case HostClass::link_local:
      return "a link-local address";
    case HostClass::private_net:
      return "a private address";
    case HostClass::name:
      break;
  }
  return "the network";
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  const Handle handle(curl_url());
  return load(handle.get(), text);
}

Result<Url> Url::resolve(std::string_view location) const {
  const Handle handle(curl_url());
  (void)TRY(load(handle.get(), str()));
  return load(handle.get(), location);
}

std::string Url::host_port() const { return host + ":" + std::to_string(port); }
std::string Url::origin() const { return scheme + "://" + host_port(); }
std::string Url::str() const {
  const bool usual = port == (scheme == "https" ? 443 : 80);
  return scheme + "://" + (usual ? host : host_port()) + target;
}

HostClass classify_host(std::string_view raw) {
  std::string host = to_lower(raw);
  if (host == "localhost" || (host.size() > 10 && host.substr(host.size() - 10) == ".localhost"))
    return HostClass::loopback;
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1)
    return classify_v4(reinterpret_cast<const unsigned char*>(&v4));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (const auto zone = host.find('%'); zone != std::string::npos) host.resize(zone);
  in6_addr v6{};
  if (::inet_pton(AF_INET6, host.c_str(), &v6) != 1) return HostClass::name;
  const unsigned char* a = v6.s6_addr;
  if (IN6_IS_ADDR_LOOPBACK(&v6)) return HostClass::loopback;
  if (IN6_IS_ADDR_UNSPECIFIED(&v6) || IN6_IS_ADDR_LINKLOCAL(&v6)) return HostClass::link_local;
  if ((a[0] & 0xfe) == 0xfc) return HostClass::private_net;
  constexpr unsigned char kNat64[12] = {0, 0x64, 0xff, 0x9b};
  if (IN6_IS_ADDR_V4MAPPED(&v6) || IN6_IS_ADDR_V4COMPAT(&v6) ||
      std::memcmp(a, kNat64, sizeof kNat64) == 0)
    return classify_v4(a + 12);
  return HostClass::name;
}

Result<Url> check_redirect(const Url& registry, const Url& from, std::string_view location) {
  Url next = TRY(from.resolve(location));
  const HostClass there = classify_host(next.host);
  if (next.scheme == "http" && from.scheme == "https")
    return Error(Errc::denied,
                 "the registry redirects from https down to http (" + next.origin() + "); refused");
  if (next.scheme == "http" && there != HostClass::loopback)
    return Error(Errc::denied,
                 "the registry redirects to " + next.origin() + " without TLS; refused");
  if (next.host == registry.host) return next;
  const bool inside = there != HostClass::name;
  if (inside && (there == HostClass::link_local || there != classify_host(registry.host)))
    return Error(Errc::denied, "the registry redirects to " + std::string(words(there)) + " (" +
                                   next.origin() + "); refused");
  return next;
}

Result<Url> check_realm(const Url& registry, std::string_view realm) {
  Url url = TRY(Url::parse(realm).context("token service"));
  if (url.scheme == "http" &&
      !(registry.scheme == "http" && classify_host(url.host) == HostClass::loopback))
    return Error(Errc::denied,
                 "the registry names a token service without TLS (" + url.origin() + "); refused");
  if (url.host_port() == registry.host_port()) return url;
  if (const HostClass there = classify_host(url.host); there != HostClass::name)
    return Error(Errc::denied, "the registry names a token service on " +
                                   std::string(words(there)) + " (" + url.origin() + "); refused");
  return url;
}

bool realm_may_see_login(const Url& registry, const Url& realm) {
  if (realm.host == registry.host)
    return realm.scheme == registry.scheme || realm.scheme == "https";
  if (realm.scheme != "https" || classify_host(realm.host) != HostClass::name ||
      classify_host(registry.host) != HostClass::name)
    return false;
  const auto a = split(registry.host, '.');
  const auto b = split(realm.host, '.');
  std::size_t common = 0;
  while (common < a.size() && common < b.size() &&
         a[a.size() - 1 - common] == b[b.size() - 1 - common])
    ++common;
  // Two labels in common are a domain of one owner, unless the second is as
  // short as "co.uk": then three. Numeric addresses have no parent.
  const bool numeric = a.back().find_first_not_of("0123456789") == std::string::npos;
  return !numeric && common >= 2 && (common >= 3 || a[a.size() - 2].size() > 3);
}

}  // namespace locald::oci
