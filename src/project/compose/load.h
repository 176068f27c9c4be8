#pragma once
#include "project/compose/report.h"
#include "project/compose/request.h"

/// Compose files, from their texts to one complete model. Nothing is started, and of the disk only
/// files are read, by a FileAccess.
///
///     find       files, `.env`, profiles                             find.h
///     read       YAML, variables, `include`, `extends`, merging      model_reader.h
///     complete   defaults, absolute paths, types, implied values     complete.h, decode.h
///     check      profiles, what must go together, env files          check.h, env_files.h
namespace locald::project::compose {

struct Project {
  std::string name;
  Located located;
  /// A table with `name`, `services` (enabled ones), `networks`, `volumes`, `secrets`, `configs`,
  /// `models`: long forms, decoded. Every value knows the file and the place that it is from.
  Node model;
  Node disabled;  ///< the services that no profile enables, by name
  Report report;  ///< with a problem in it nothing else here is to be used
};

Project load_project(const Request& request, const FileAccess& access);

}  // namespace locald::project::compose
