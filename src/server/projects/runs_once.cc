// Services with `once`: when they run again.
#include "server/projects/runs_once.h"

#include <algorithm>

#include "builder/storage.h"
#include "server/launch/launch_plan.h"
#include "server/projects/app_builds.h"
#include "server/projects/projects.h"

namespace locald::server {

std::map<std::string, std::string> done_again(
    const Supervisor& supervisor, const std::map<std::string, project::ServiceConfig>& configs,
    const std::set<std::string>& selected, const std::vector<std::string>& named, bool all,
    const std::function<bool(const project::ServiceConfig&)>& image_changed) {
  std::map<std::string, std::string> out;
  for (const std::string& service : selected) {
    const auto config = configs.find(service);
    if (config == configs.end() || !has_completed(supervisor.find(service)) ||
        !(all || config->second.once))
      continue;
    if (all || std::find(named.begin(), named.end(), service) != named.end())
      out[service] = "started";
    else if (image_changed(config->second))
      out[service] = "recreated: a new image";
  }
  return out;
}

void leave_done(const Supervisor& supervisor, std::set<std::string>& services) {
  std::erase_if(services, [&](const std::string& service) {
    const Supervisor::Unit* unit = supervisor.find(service);
    return has_completed(unit) && unit->config->once;
  });
}

/// The image here is another one than the container ran on. Reads a few small files, as
/// ImageAnswers::find() does.
bool Projects::image_changed(const std::string& project, const std::string& dir,
                             const project::ServiceConfig& config) const {
  if (config.kind != project::ServiceKind::container || !deps_.image_digest) return false;
  const std::string now = deps_.image_digest(config.image, dir);
  const std::string ran = builder::container_stamp(deps_.paths, container_key(project, config));
  return !now.empty() && !ran.empty() && now != ran;
}

}  // namespace locald::server
