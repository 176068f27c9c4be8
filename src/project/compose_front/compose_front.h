#pragma once
#include <string>

#include "project/compose/request.h"
#include "project/project_file.h"

namespace locald::project::compose {

/// A compose project as a ProjectSpec whose texts are final. What Compose has and locald has not is
/// a problem each, all of them at once (key_effects.h). Reads the files by `access`, and starts
/// nothing.
LoadedProject read_project(const ProjectRef& ref, const FileAccess& access);

/// The project's first file, looked for as Compose does; "" where there is none.
/// @return Errc::invalid_input where `.env` cannot be read, or COMPOSE_FILE names what is not there.
Result<std::string> find_file(const ProjectRef& ref, const FileAccess& access);
/// The project's name, which needs no value to be right but the name's own.
Result<std::string> find_name(const ProjectRef& ref, const FileAccess& access);

/// "compose.yaml", "docker-compose.yml"…: as opposed to locald.toml.
bool is_compose_file(std::string_view path);

}  // namespace locald::project::compose
