#include "server/instances/adoption.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "base/sys/fs_at.h"
#include "runtime/instance_meta.h"

namespace locald::server {
namespace {

using Found = runtime::ProcessRuntime::Found;
using runtime::InstanceMeta;

InstanceMeta meta_of(const Found& found) { return InstanceMeta::from_text(found.meta); }

/// What an earlier server was writing when it was killed (write_file_atomic): it may hold
/// environments. A shim's own it may just be writing.
void remove_half_written(const Paths& paths) {
  constexpr std::string_view kShims = ".json.new";
  for (const std::string& folder :
       {paths.state(), paths.instance_records(), paths.run_projects(), paths.notify_socket("")})
    for (const std::string& name : names_in(folder)) {
      if (!name.starts_with('.')) continue;
      if (name.ends_with(kShims) &&
          exists(paths.instance(name.substr(1, name.size() - 1 - kShims.size()))))
        continue;
      ::unlink((folder + "/" + name).c_str());
    }
}

class Adoption {
 public:
  explicit Adoption(const Heirs& heirs) : heirs_(heirs) {}

  Result<void> run() {
    remove_half_written(heirs_.paths);
    for (const std::string& problem : heirs_.projects.restore()) heirs_.log(problem);
    std::vector<Found> found = TRY(heirs_.find());
    // The newest life of a service first: an older one can only be a remainder.
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
      return meta_of(a).life > meta_of(b).life;
    });
    for (Found& f : found) take(f);
    heirs_.projects.settle(adopted_);
    heirs_.containers.settle();
    if (!found.empty())
      heirs_.log(fmt::format("adopted {} running of {} instances", live_, found.size()));
    return {};
  }

 private:
  void take(Found& f) {
    const InstanceMeta meta = meta_of(f);
    if (f.live != nullptr) {
      ++live_;
      heirs_.lives(f.live->shim_pid());
      if (const std::string why = f.live->trouble(); !why.empty())
        heirs_.log(fmt::format("instance {}: {}", f.id, why));
    }
    switch (meta.kind) {
      case InstanceMeta::Kind::container:
        return heirs_.containers.adopt(meta, f.id, f.nonce, std::move(f.live), f.exit);
      case InstanceMeta::Kind::exec:
        return heirs_.sessions.adopt(meta.project, f.id, f.nonce, std::move(f.live));
      case InstanceMeta::Kind::service:
        return take_service(f, meta);
      case InstanceMeta::Kind::build:
        return remove(f, meta.project, "a build phase without a client");
      case InstanceMeta::Kind::unknown:
        if (f.live == nullptr && heirs_.containers.is_rest(f.id))
          return heirs_.containers.remove_rest(f.id, f.nonce);
        return remove(f, meta.project, "nothing tells whose it is");
    }
  }

  void take_service(Found& f, const InstanceMeta& meta) {
    const std::string &project_name = meta.project, &service = meta.service;
    Project* project = heirs_.projects.find(project_name);
    const Supervisor::Unit* unit =
        project != nullptr ? project->supervisor().find(service) : nullptr;
    const bool older = adopted_[project_name].contains(service);
    if (unit == nullptr && f.live != nullptr && !older) {
      adopted_[project_name][service] = meta.configuration;
      return heirs_.unmanaged.adopt(project_name, service, std::move(f.live));
    }
    if (unit == nullptr || older)
      return remove(f, project_name,
                    fmt::format("{}/{}, {}", project_name, service,
                                older ? "left over from an earlier start" : "ended"));
    adopted_[project_name][service] = meta.configuration;
    if (f.live == nullptr)
      return project->supervisor().adopt_ended(service, f.id, f.nonce, f.exit, meta.life,
                                               meta.restarts);
    project->supervisor().adopt(service, std::move(f.live), unit->config, meta.life, meta.restarts);
  }

  void remove(Found& f, const std::string& project, std::string_view what) {
    heirs_.log(fmt::format("instance {} ({}): stopping and removing it", f.id, what));
    if (f.live != nullptr) (void)f.live->stop(SIGKILL, std::chrono::milliseconds(0));
    heirs_.sessions.adopt(project, f.id, f.nonce, std::move(f.live));
  }

  const Heirs& heirs_;
  std::size_t live_ = 0;
  std::map<std::string, Project::Adopted> adopted_;  // project -> its services
};

}  // namespace

Result<void> adopt(const Heirs& heirs) { return Adoption(heirs).run(); }

}  // namespace locald::server
