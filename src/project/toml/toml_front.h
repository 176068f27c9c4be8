#pragma once
#include <string>
#include <string_view>

#include "project/keys/key_reader.h"
#include "project/project_spec.h"

namespace locald::project {

/// Reads `locald.toml`. Strict: an unknown key is a problem with its
/// line and the key that was likely meant; a key that the format knows and this
/// version does not act on yet is refused by name. All problems of the file are
/// found at once, in its order; `spec` is only of use when there are none.
/// Pure: no file is opened, nothing is looked up (project_check.h goes on).
///
/// @param file  The absolute path that `text` was read from; relative paths start in its folder.
struct ParsedProject {
  ProjectSpec spec;
  Problems problems;
};
ParsedProject parse_project_toml(std::string_view text, const std::string& file);

/// All keys of the file, for those who describe them (reference/).
KeyFields file_fields(Sink& sink, ProjectSpec& spec);
/// A service's table, one for each type, by which it is `called`.
const std::vector<Shape>& service_shapes();

}  // namespace locald::project
