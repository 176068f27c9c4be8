#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/sys/path_judge.h"
#include "project/project_spec.h"
#include "project/resolve/variables.h"
#include "project/rights.h"
#include "project/service_config.h"

namespace locald::project {

/// Programs that keys of the file may need.
struct Programs {
  std::vector<std::string> cni_path;         ///< folders of CNI plugins
  std::function<Result<void>()> pasta = {};  ///< whether pasta can be used; not there: it can
};

struct ResolveInput {
  const ProjectSpec& spec;
  std::string project;  ///< its name
  const UserContext& user;
  /// Port of each service with port = "auto".
  const std::map<std::string, int>& auto_ports;
  const Paths& paths;  ///< locald's own folders: no path of a service leads there
  /// What containers can write to now; what these services can is added.
  std::vector<SharedFolder> shared;
  /// As of Variables::Input: what an earlier `up` captured, and whether this one does it again.
  std::function<std::optional<CapturedValue>(const std::string& service, const std::string& name)>
      captured = {};
  bool refresh = false;
  Rights rights = {};
  /// Services whose port only their image tells, which is not here (asked_images.h): what follows
  /// from it is left out, and is not a problem.
  std::set<std::string> undecided = {};
  Programs programs = {};
};

struct Resolved {
  std::map<std::string, ServiceConfig> services;
  std::vector<std::pair<std::string, std::string>> notices;    ///< {service or "", text}
  Capture capture;                                             ///< the variables that the file uses
  Uses uses;                                                   ///< and which service uses each
  std::vector<std::pair<std::string, std::string>> to_create;  ///< {service, folder}: not there yet
  Problems problems;  ///< when there are any, `services` is not to be used
};

/// Looks everything up: `${…}`, env files, paths, binds, names of images. Reads files, changes
/// none. What it yields is bounded: a value by kMaxValue, a service by kMaxServiceText.
Resolved resolve(const ResolveInput& input);

/// The name of a project: `override_name`, else the file's, else the folder's made valid.
/// @return Errc::invalid_input when the result is not a name.
Result<std::string> project_name(const ProjectSpec& spec, const std::string& override_name);

}  // namespace locald::project
