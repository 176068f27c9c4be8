#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json/json.h"

namespace locald::project {

struct ServiceConfig;

/// A text of a service's configuration that says where another service is reached
/// (`${services.NAME.host}`, `.url`). The configuration itself holds it resolved with the address
/// that most servers listen on, so that it is the same text whatever is found; where the other one
/// has been found elsewhere, a start puts that in (with_endpoints).
struct LateText {
  enum class Place : std::uint8_t { env, argv, entrypoint, args, health };
  struct Piece {
    std::string text;     ///< as it is, or what the reference was resolved to
    std::string service;  ///< whose; empty: no reference
    std::string field;    ///< "host" or "url"
    friend bool operator==(const Piece&, const Piece&) = default;
  };
  Place place = Place::env;
  std::string key;  ///< env: the variable; else the number of the word
  std::vector<Piece> pieces;

  friend bool operator==(const LateText&, const LateText&) = default;
  Json to_json() const;
  static LateText from_json(const Json& json);
};

/// The configuration with the addresses (Endpoint::host) of other services as `host_of` knows them;
/// nullopt there keeps what was resolved. An IPv6 address stands in brackets in a URL and where a
/// colon follows it, as in "${services.db.host}:${services.db.port}".
ServiceConfig with_endpoints(
    const ServiceConfig& config,
    const std::function<std::optional<std::string>(const std::string& service)>& host_of);

}  // namespace locald::project
