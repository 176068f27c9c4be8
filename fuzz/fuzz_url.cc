#include <cstdlib>

#include "oci/registry/url.h"

/// Property: wherever a stranger's registry sends us, it is https and not
/// inside of our machine or network; a login goes to nobody but its owner.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace locald::oci;
  static const Url registry = *Url::parse("https://registry.example.com/v2/a/blobs/x");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto url = Url::parse(text)) {
    auto again = Url::parse(url->str());
    if (!again || again->origin() != url->origin()) std::abort();
  }
  for (const bool realm : {false, true}) {
    auto next = realm ? check_realm(registry, text) : check_redirect(registry, registry, text);
    if (!next) continue;
    if (next->scheme != "https" || next->port == 0) std::abort();
    if (classify_host(next->host) != HostClass::name) std::abort();
    if (next->str().find_first_of("\r\n \t") != std::string::npos || next->target.empty() ||
        next->target[0] != '/')
      std::abort();
    if (realm_may_see_login(registry, *next)) {
      const std::string& host = next->host;
      const std::string owner = "example.com";
      if (host != owner && (host.size() <= owner.size() ||
                            host.substr(host.size() - owner.size() - 1) != "." + owner))
        std::abort();
    }
  }
  return 0;
}
