#pragma once
#include <string>
#include <string_view>

#include "project/compose/report.h"
#include "project/compose/request.h"

namespace locald::project::compose {

/// Finds the files of a project and reads its `.env`. In this order: `-f`; COMPOSE_FILE of the
/// shell or of `.env`; compose.yaml, compose.yml, docker-compose.yml, docker-compose.yaml in
/// `request.dir` and the folders above it, with the override file beside the first one that is
/// there. What is not there, or cannot be read, is a problem.
Located find_project(const Request& request, const FileAccess& access, Report& report);

/// The name for what is not named: lower case, [a-z0-9_-] kept, _ and - cut in front.
std::string project_name_of(std::string_view text);

/// -p, else COMPOSE_PROJECT_NAME, else `written` (the `name:` of the files, interpolated), else the
/// folder's name. Names that are given must be valid; one that is made may come out empty, which is
/// a problem as well.
std::string choose_name(const Request& request, const Located& located, const std::string& written,
                        Report& report);

}  // namespace locald::project::compose
