#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace locald::oci {

/// One way to log in that a server offers. A value.
struct Challenge {
  std::string scheme;                         ///< lower case: "bearer", "basic"
  std::map<std::string, std::string> params;  ///< keys in lower case; the first of each counts
};

/// Reads a WWW-Authenticate header, which may hold several challenges
/// (RFC 9110 §11.6.1). What cannot be read ends the list; never fails.
std::vector<Challenge> parse_www_authenticate(std::string_view header);

}  // namespace locald::oci
