#include <cstdlib>

#include "oci/registry/registry_session.h"
#include "oci/registry/www_authenticate.h"

/// Property: it ends, schemes are words, nothing grows beyond the input.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::size_t total = 0;
  for (const auto& challenge : locald::oci::parse_www_authenticate(text)) {
    if (challenge.scheme.empty()) std::abort();
    total += challenge.scheme.size();
    for (const auto& [key, value] : challenge.params) total += key.size() + value.size();
  }
  if (total > size) std::abort();
  if (const auto wait = locald::oci::retry_after_seconds(std::string(text), 1'700'000'000))
    if (*wait < 0) std::abort();
  return 0;
}
