#include "server/projects/unmanaged.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "net/network.h"

namespace locald::server {
namespace {

constexpr std::chrono::seconds kTimeout{10};  // their own stop_timeout is lost

}  // namespace

std::string aside(const std::string& record) { return record + ".unreadable"; }

void remove_records(const Paths& paths, const std::string& project) {
  for (const std::string& record : {paths.run_project(project), paths.run_project_state(project)})
    for (const std::string& path : {record, aside(record)}) (void)remove_tree(path);
}

void Unmanaged::adopt(const std::string& project, const std::string& service,
                      std::unique_ptr<runtime::ServiceHandle> live) {
  const std::string id = live->instance();
  runtime::Instance::Events events;
  events.gone = [this, id](const Result<void>& cleaned) {
    const auto node = all_.extract(id);
    for (const auto& call : node.mapped().when_gone) call(cleaned);
  };
  Entry& entry = all_[id];
  entry = {project, service, live->kind() == "host" ? "exec" : live->kind(),
           runtime::Instance(deps_.loop, id, live->nonce(), deps_.clean, std::move(events))};
  deps_.log(fmt::format("{}/{} runs and is not managed: {}", project, service, why(project)));
  entry.instance.own(std::move(live));
}

void Unmanaged::write_back() {
  for (const auto& [id, entry] : all_) (void)entry.instance.write_back();
}

bool Unmanaged::any(const std::string& project) const {
  return std::any_of(all_.begin(), all_.end(),
                     [&](const auto& e) { return e.second.project == project; });
}

std::set<std::string> Unmanaged::projects() const {
  std::set<std::string> names;
  for (const auto& [instance, entry] : all_) names.insert(entry.project);
  return names;
}

std::vector<std::string> Unmanaged::services(const std::string& project) const {
  std::set<std::string> names;
  for (const auto& [instance, entry] : all_)
    if (entry.project == project) names.insert(entry.service);
  return {names.begin(), names.end()};
}

std::string Unmanaged::why(const std::string& project) const {
  const std::string record = deps_.paths.run_project(project);
  if (exists(aside(record)))
    return "the project's record was damaged, it is set aside as " + aside(record);
  if (exists(record)) return "the project's record, " + record + ", cannot be read now";
  return "the project's record, " + record + ", was deleted";
}

std::vector<ipc::ServiceStatus> Unmanaged::status(const std::string& project) const {
  std::vector<ipc::ServiceStatus> list;
  for (const auto& [instance, e] : all_) {
    if (e.project != project) continue;
    const runtime::ServiceHandle* handle = e.instance.handle();
    const int pid = handle == nullptr ? 0 : handle->pid();
    const int shim = handle == nullptr ? 0 : handle->shim_pid();
    const std::string trouble = handle == nullptr ? "" : handle->trouble();
    list.push_back(
        {.name = e.service,
         .kind = e.kind,
         .state = handle == nullptr || e.stopping ? "stopping" : "running",
         .health = "none",
         .managed = false,
         .pid = pid == 0 ? std::nullopt : std::optional(pid),
         .shim_pid = shim == 0 ? std::nullopt : std::optional(shim),
         .reason = fmt::format("not managed: {}{}; end it: locald -p {} down", why(project),
                               trouble.empty() ? "" : "; " + trouble, project),
         .network = net::HostNetwork::kName});
  }
  return list;
}

Error Unmanaged::refusal(const std::string& project) const {
  return Error(Errc::already_exists,
               fmt::format("project {}: {} of an earlier server {} and cannot be managed: {}",
                           project, join(services(project), ", "),
                           services(project).size() == 1 ? "runs" : "run", why(project)))
      .with_hint(fmt::format("end what runs first: locald -p {} down", project));
}

void Unmanaged::end(const std::string& project, const std::set<std::string>& services, bool at_once,
                    std::function<void(Result<void>)> done) {
  struct Work {
    std::size_t left = 1;
    std::optional<Error> error;
    std::function<void(Result<void>)> done;
  };
  auto work = std::make_shared<Work>();
  work->done = std::move(done);
  const auto one = [work](const Result<void>& gone) {
    if (!gone && !work->error) work->error = gone.error();
    if (--work->left != 0) return;
    work->done(work->error ? Result<void>(*work->error) : Result<void>());
  };
  for (auto& [instance, entry] : all_) {
    if (entry.project != project) continue;
    if (!services.empty() && !services.contains(entry.service)) continue;
    if (entry.instance.handle() != nullptr)
      if (auto told = entry.instance.stop(at_once ? SIGKILL : 0,
                                          at_once ? std::chrono::milliseconds(0) : kTimeout);
          !told) {
        if (!work->error) work->error = told.error();
        continue;
      }
    ++work->left;
    entry.stopping = true;
    entry.when_gone.push_back(one);
  }
  deps_.loop.post([one] { one({}); });
}

void Unmanaged::stop_all(std::function<void()> done) {
  auto left = std::make_shared<std::size_t>(1);
  const auto one = [left, done = std::move(done)](const Result<void>&) {
    if (--*left == 0) done();
  };
  for (const std::string& project : projects()) {
    ++*left;
    end(project, {}, /*at_once=*/false, one);
  }
  one({});
}

}  // namespace locald::server
