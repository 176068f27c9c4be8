#pragma once
#include <string>
#include <string_view>

#include "project/project_check.h"
#include "project/toml/toml_front.h"

/// For tests: what is said of a project file.
namespace locald::project {

inline Problems problems_of(std::string_view text) {
  ParsedProject parsed = parse_project_toml(text, "/p/locald.toml");
  if (parsed.problems.empty() || !parsed.spec.services.empty())
    check_project(parsed.spec, parsed.problems);
  return parsed.problems;
}

/// "LINE: message (hint)" of the only problem.
inline std::string only_problem(std::string_view text) {
  const Problems p = problems_of(text);
  if (p.size() != 1) return std::to_string(p.size()) + " problems: " + describe(p);
  return std::to_string(p[0].at.line) + ": " + p[0].message +
         (p[0].hint.empty() ? "" : " (" + p[0].hint + ")");
}

}  // namespace locald::project
