#include "server/project_spec.h"

#include <algorithm>

namespace locald::server {

std::string_view to_string(ServiceKind kind) noexcept {
  switch (kind) {
    case ServiceKind::exec:
      return "exec";
    case ServiceKind::container:
      return "container";
    case ServiceKind::cnb:
      return "cnb";
  }
  return "exec";
}

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

const ServiceSpec* ProjectSpec::find(const std::string& service) const {
  const auto it = std::find_if(services.begin(), services.end(),
                               [&](const ServiceSpec& s) { return s.name == service; });
  return it == services.end() ? nullptr : &*it;
}

bool valid_name(std::string_view name) noexcept {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 63 && plain(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return plain(c) || c == '_' || c == '-'; });
}

}  // namespace locald::server
