#include "oci/ref/pull_policy.h"

#include <string>

namespace locald::oci {

std::string_view to_string(PullPolicy policy) noexcept {
  switch (policy) {
    case PullPolicy::missing:
      return "missing";
    case PullPolicy::always:
      return "always";
    case PullPolicy::never:
      return "never";
  }
  return "missing";
}

Result<PullPolicy> parse_pull_policy(std::string_view text) {
  if (text.empty()) return PullPolicy::missing;
  for (const PullPolicy policy : {PullPolicy::missing, PullPolicy::always, PullPolicy::never})
    if (text == to_string(policy)) return policy;
  return Error(Errc::invalid_input,
               "invalid pull policy \"" + std::string(text) + "\" (missing, always, never)");
}

}  // namespace locald::oci
