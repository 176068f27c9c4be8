#pragma once
#include <string>
#include <vector>

#include "project/compose/report.h"
#include "project/compose/request.h"

/// Files of variables in and beside compose files: the grammar of resolve/dotenv.h in compose's
/// dialect.
namespace locald::project::compose {

/// Adds what `files` say to `environment`; what it has stays, of the files the last one counts.
/// `$NAME` in them is looked up in `environment`, then in what was read before. Files that cannot
/// be read are problems.
void read_env_files(const std::vector<std::string>& files, const FileAccess& access,
                    Environment& environment, Report& report);

/// Reads the `env_file` and `label_file` of every service of a complete model into its
/// `environment` and `labels`, whose own members win. A `format: raw` file has lines NAME=VALUE
/// that are taken as they are.
void read_service_files(Node& model, const Environment& environment, const FileAccess& access,
                        Report& report);

}  // namespace locald::project::compose
