#pragma once
#include <string>

namespace locald::oci {

/// Login for one registry. Sent to that registry and to its own token service
/// alone, over TLS or loopback (oci/registry/url.h: realm_may_see_login).
struct Credentials {
  std::string user;
  std::string password;
};

}  // namespace locald::oci
