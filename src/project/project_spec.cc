#include "project/project_spec.h"

#include <algorithm>

namespace locald::project {

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

DependsCondition condition_of(const DependencySpec& dependency,
                              const ServiceSpec* target) noexcept {
  if (dependency.condition != DependsCondition::ready) return dependency.condition;
  if (target != nullptr && target->once) return DependsCondition::completed;
  return target != nullptr && target->health.kind != HealthSpec::Kind::none
             ? DependsCondition::healthy
             : DependsCondition::started;
}

const ServiceSpec* ProjectSpec::find(const std::string& service) const {
  const auto it = std::find_if(services.begin(), services.end(),
                               [&](const ServiceSpec& s) { return s.name == service; });
  return it == services.end() ? nullptr : &*it;
}

const std::string& ProjectSpec::file_of(SourcePos at) const {
  return at.file == 0 || at.file > more_files.size() ? file : more_files[at.file - 1];
}

Text literal_text(std::string_view text, SourcePos at) {
  Text out{{}, at};
  for (const char c : text) out.raw.append(c == '$' ? 2 : 1, c);
  return out;
}

bool valid_name(std::string_view name) noexcept {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 63 && plain(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return plain(c) || c == '_' || c == '-'; });
}

bool valid_service_name(std::string_view name) noexcept {
  const std::size_t slash = name.find('/');
  return valid_name(name.substr(0, slash)) &&
         (slash == std::string_view::npos || valid_name(name.substr(slash + 1)));
}

bool valid_compose_name(std::string_view name) noexcept {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !name.empty() && name.size() <= 63 && plain(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return plain(c) || c == '_' || c == '-' || c == '.'; });
}

bool valid_alias(std::string_view name) noexcept {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  if (name.empty() || name.size() > 253 || !std::all_of(name.begin(), name.end(), plain))
    return false;
  std::size_t label = 0;  // its length
  for (const char c : name) {
    if (c == '.' && (label == 0 || label > 63)) return false;
    label = c == '.' ? 0 : label + 1;
  }
  return label > 0 && label <= 63;
}

std::string slug(std::string_view service) {
  std::string out(service);
  std::replace(out.begin(), out.end(), '/', '.');
  return out;
}

}  // namespace locald::project
