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
#include "runtime/kept_handle.h"

namespace locald::server {
namespace {

using Found = runtime::ProcessRuntime::Found;

/// Of what its server wrote for its successor; null where that is damaged.
Json meta_of(const Found& found) {
  auto meta = Json::parse(found.meta);
  return meta ? std::move(*meta) : Json();
}

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
    std::vector<Found> found = TRY(heirs_.runtime.find_instances());
    // The newest life of a service first: an older one can only be a remainder.
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
      return meta_of(a)["life"].as_int() > meta_of(b)["life"].as_int();
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
    const Json meta = meta_of(f);
    if (f.live != nullptr) {
      ++live_;
      (void)heirs_.user_namespace.adopt(f.live->shim_pid());
      if (const std::string why = runtime::trouble_of(f.live.get()); !why.empty())
        heirs_.log(fmt::format("instance {}: {}", f.id, why));
    }
    const std::string& project = meta["project"].as_string();
    if (meta["container"].as_bool())
      return heirs_.containers.adopt(meta, f.id, f.nonce, std::move(f.live), f.exit);
    if (f.live == nullptr && project.empty() && heirs_.containers.is_rest(f.id))
      return heirs_.containers.remove_rest(f.id, f.nonce);
    if (meta["exec"].as_bool())
      return heirs_.sessions.adopt(project, f.id, f.nonce, std::move(f.live));
    // The client of a build is gone with the server; an instance without a name could not be ended.
    if (!meta["build"].as_string().empty() || project.empty())
      return remove(f, project, "a build phase without a client");
    take_service(f, meta, project, meta["service"].as_string());
  }

  void take_service(Found& f, const Json& meta, const std::string& project_name,
                    const std::string& service) {
    Project* project = heirs_.projects.find(project_name);
    const Supervisor::Unit* unit =
        project != nullptr ? project->supervisor().find(service) : nullptr;
    const bool older = adopted_[project_name].contains(service);
    if (unit == nullptr && f.live != nullptr && !older) {
      adopted_[project_name].insert(service);
      return heirs_.unmanaged.adopt(project_name, service, std::move(f.live));
    }
    if (unit == nullptr || older)
      return remove(f, project_name,
                    fmt::format("{}/{}, {}", project_name, service,
                                older ? "left over from an earlier start" : "ended"));
    adopted_[project_name].insert(service);
    const auto life = static_cast<std::uint64_t>(meta["life"].as_int());
    const int restarts = static_cast<int>(meta["restarts"].as_int());
    if (f.live == nullptr)
      return project->supervisor().adopt_ended(service, f.id, f.nonce, f.exit, life, restarts);
    heirs_.launcher.remember(f.live->shim_pid(), f.id, project_name + "/" + service);
    project->supervisor().adopt(service, std::move(f.live), unit->config, life, restarts);
  }

  void remove(Found& f, const std::string& project, std::string_view what) {
    heirs_.log(fmt::format("instance {} ({}): stopping and removing it", f.id, what));
    if (f.live != nullptr) (void)f.live->stop(SIGKILL, std::chrono::milliseconds(0));
    heirs_.sessions.adopt(project, f.id, f.nonce, std::move(f.live));
  }

  const Heirs& heirs_;
  std::size_t live_ = 0;
  std::map<std::string, std::set<std::string>> adopted_;  // project -> its services
};

}  // namespace

Result<void> adopt(const Heirs& heirs) { return Adoption(heirs).run(); }

}  // namespace locald::server
