#include <fmt/format.h>

#include "base/strings.h"
#include "project/resolve/resolve.h"

namespace locald::project {

Result<std::string> project_name(const ProjectSpec& spec, const std::string& override_name) {
  if (!override_name.empty() || !spec.name.empty()) {
    const std::string& name = override_name.empty() ? spec.name : override_name;
    if (!valid_name(name))
      return Error(Errc::invalid_input, fmt::format("\"{}\" cannot be the name of a project", name))
          .with_hint("small letters, digits, - and _, at most 63, a letter or digit first");
    return name;
  }
  std::string name;
  for (const char c : to_lower(spec.dir.substr(spec.dir.rfind('/') + 1))) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (good && (!name.empty() || (c != '_' && c != '-')))
      name += c;
    else if (!good && !name.empty() && name.back() != '-')
      name += '-';
  }
  if (name.size() > 63) name.resize(63);
  while (!name.empty() && name.back() == '-') name.pop_back();
  if (!valid_name(name))
    return Error(Errc::invalid_input,
                 fmt::format("the name of the folder {} cannot become a project name", spec.dir))
        .with_hint("write one:\n  [project]\n  name = \"shop\"");
  return name;
}

}  // namespace locald::project
