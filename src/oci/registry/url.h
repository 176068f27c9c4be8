#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace locald::oci {

/// An absolute http or https URL without user and password. A value.
struct Url {
  std::string scheme;      ///< "https" or "http"
  std::string host;        ///< lower case; numeric addresses in their usual form, IPv6 in brackets
  std::uint16_t port = 0;  ///< never 0
  std::string target;      ///< path and query, begins with "/"

  /// @return Errc::invalid_input: no URL, another scheme, user information in it.
  static Result<Url> parse(std::string_view text);
  /// `location`, absolute or relative to this one (RFC 3986 §5).
  Result<Url> resolve(std::string_view location) const;

  std::string str() const;
  std::string origin() const;     ///< "https://host:port"
  std::string host_port() const;  ///< "host:port"

  friend bool operator==(const Url&, const Url&) = default;
};

/// What kind of address a host is, as far as its text tells.
enum class HostClass : std::uint8_t {
  name,         ///< a DNS name or a public address
  loopback,     ///< "localhost", 127.0.0.0/8, ::1
  link_local,   ///< 169.254.0.0/16 (where clouds keep secrets), fe80::/10, 0.0.0.0/8, ::
  private_net,  ///< 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7
};
/// @param host  As in Url::host.
HostClass classify_host(std::string_view host);

/// Where a registry may send us with a redirect: never
/// from https down to http, never by http but to loopback, never to an address
/// inside of our machine or network unless the registry itself is there.
/// The caller drops Authorization when the origin changes.
Result<Url> check_redirect(const Url& registry, const Url& from, std::string_view location);

/// Where tokens may be fetched: https, or http when the
/// registry itself is loopback by http; no numeric inside address but the registry's own host and
/// port.
Result<Url> check_realm(const Url& registry, std::string_view realm);

/// True if a login for `registry` may be shown to `realm`: the same host, or one under a common
/// parent domain (auth.docker.io for registry-1.docker.io). Never a stranger's.
bool realm_may_see_login(const Url& registry, const Url& realm);

}  // namespace locald::oci
