// What can be asked of a project whose services run without being managed.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "project/project_file.h"
#include "server/http/request.h"
#include "server/projects/unmanaged.h"
#include "server/supervise/service_status.h"

namespace locald::server {
namespace {

/// The services of the file that the request means, as far as that can be read.
std::vector<project::ServiceSpec> services_in_file(const ipc::ProjectPlace& place) {
  auto loaded = project::load_project(project_ref(place));
  return loaded ? std::move(loaded->spec.services) : std::vector<project::ServiceSpec>();
}

}  // namespace

std::optional<std::string> Unmanaged::meant_by(const ipc::ProjectPlace& place) const {
  if (all_.empty()) return std::nullopt;
  const project::ProjectRef ref = project_ref(place);
  std::string name = ref.name;
  if (name.empty())
    if (auto loaded = project::load_project(ref)) name = loaded->name;
  return any(name) ? std::optional(name) : std::nullopt;
}

void Unmanaged::end_for(const ReplyPtr& reply, const std::string& project,
                        const std::set<std::string>& services,
                        std::function<void(Result<void>)> done) {
  std::set<std::string> ending;
  for (const std::string& name : this->services(project))
    if (services.empty() || services.contains(name)) ending.insert(name);
  end(project, services, /*at_once=*/false,
      [this, reply, project, ending, done = std::move(done)](const Result<void>& ended) {
        const std::vector<std::string> left = this->services(project);
        for (const std::string& name : ending) {
          project::ServiceSpec spec;
          spec.name = name;
          if (std::find(left.begin(), left.end(), name) == left.end())
            send_state(reply, stopped_status(spec));
        }
        done(ended);
      });
  for (ipc::ServiceStatus& service : status(project))
    if (ending.contains(service.name) && service.state == "stopping") {
      service.reason.reset();  // that it is not managed is not news here
      send_state(reply, std::move(service));
    }
}

void Unmanaged::down(const std::string& project, const ipc::DownRequest& request,
                     const ReplyPtr& reply) {
  end_for(reply, project, {}, [this, request, reply](const Result<void>& ended) {
    if (!ended) return reply->error(ended.error());
    deps_.down(request, reply);
  });
}

void Unmanaged::stop(const std::string& project, const ipc::StopRequest& request,
                     const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    std::vector<std::string> known = services(project);
    for (const project::ServiceSpec& s : services_in_file(request.project)) known.push_back(s.name);
    std::set<std::string> wanted;
    for (const std::string& name : request.services) {
      if (std::find(known.begin(), known.end(), name) == known.end())
        return no_service(name, known);
      wanted.insert(name);
    }
    const auto answer = [this, project, reply, wanted](bool timed_out) {
      ipc::UpReply out{.project = project, .services = status(project), .timed_out = timed_out};
      if (timed_out)
        for (const std::string& name : services(project))
          if (wanted.empty() || wanted.contains(name)) {
            out.failed.push_back(name);
            out.reasons[name] = "not in time (stopping)";
          }
      reply->result(out);
    };
    auto timer = std::make_shared<EventLoop::Handle>();
    end_for(reply, project, wanted, [reply, answer, timer](const Result<void>& ended) {
      timer->reset();
      if (!ended) return reply->error(ended.error());
      answer(/*timed_out=*/false);
    });
    if (const auto limit = request.timeout)
      *timer = deps_.loop.after(*limit, [answer] { answer(/*timed_out=*/true); });
    return {};
  });
}

void Unmanaged::kill(const std::string& project, const ipc::KillRequest&, const ReplyPtr& reply) {
  end(project, {}, /*at_once=*/true, [](const Result<void>&) {});
  reply->result(ipc::EmptyReply());
}

void Unmanaged::status(const std::string& project, const ipc::StatusRequest& request,
                       const ReplyPtr& reply) {
  ipc::StatusReply out{.project = project, .services = status(project)};
  const std::vector<std::string> here = services(project);
  for (const project::ServiceSpec& s :
       request.project ? services_in_file(*request.project) : std::vector<project::ServiceSpec>())
    if (std::find(here.begin(), here.end(), s.name) == here.end())
      out.services->push_back(stopped_status(s));
  reply->result(out);
}

void Unmanaged::logs(const std::string& project, const ipc::LogsRequest& request,
                     const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    std::vector<std::string> known = services(project);
    for (const project::ServiceSpec& s : services_in_file(request.project))
      if (std::find(known.begin(), known.end(), s.name) == known.end()) known.push_back(s.name);
    std::vector<std::string> wanted = request.services;
    for (const std::string& name : wanted)
      if (std::find(known.begin(), known.end(), name) == known.end())
        return no_service(name, known);
    if (wanted.empty()) wanted = known;
    ipc::LogsReply out;
    for (const std::string& name : wanted)  // where the present run began in them is lost
      out.services.push_back({.name = name,
                              .dir = deps_.paths.service_log(project, project::slug(name)),
                              .first_segment = 1});
    reply->result(out);
    return {};
  });
}

void Unmanaged::refuse(const std::string& project, const ReplyPtr& reply) const {
  reply->error(refusal(project));
}

}  // namespace locald::server
