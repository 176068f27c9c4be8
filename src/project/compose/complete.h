#pragma once
#include <map>
#include <string>

#include "project/compose/report.h"

/// What is added to a model that its files leave open, in the order in which it is done.
namespace locald::project::compose {

/// The variables of a project: those of the shell, then those of `.env`.
using Environment = std::map<std::string, std::string>;

/// The member of a secret or config that is a variable, which holds its value.
inline constexpr const char* kContentKey = "x-content";

/// Values that stand for what is not written: a build's context, the mode of a port…
void set_defaults(Node& model);

/// Makes paths absolute: relative ones start at `dir`, `~` is `home`.
void resolve_paths(Node& model, const std::string& dir, const std::string& home, Report& report);

/// `- NAME` in a service's environment, and secrets and configs that are variables, get the values
/// that `environment` has. Members `NAME:` without one stay for fill_in().
void resolve_variables(Node& model, const Environment& environment);

/// Of a decoded model, what its keys imply: the default network, names of networks and volumes
/// (PROJECT_KEY), dependencies by links and shared namespaces, values of `NAME:`.
void fill_in(Node& model, const std::string& project, const Environment& environment);

/// `path` below `dir` where it is relative; "~" and what follows below `home`.
std::string absolute_path(const std::string& path, const std::string& dir, const std::string& home);

}  // namespace locald::project::compose
