// Commands that have a process, or a container, of their own (`run`).
#include <fmt/format.h>

#include <utility>

#include "base/strings.h"
#include "server/http/request.h"
#include "server/instances/sessions.h"
#include "server/progress_event.h"

namespace locald::server {
namespace {

constexpr std::size_t kLongestPart = 48;  // of a name of 63 characters at most

/// What runs: the service, but what belongs to the one that others reach.
Result<project::ServiceConfig> one_off_of(const project::ServiceConfig& service,
                                          const ipc::RunRequest& request, const std::string& id) {
  project::ServiceConfig out = service;
  out.name = project::slug(service.name).substr(0, kLongestPart) + "-run-" + id.substr(0, 6);
  out.ports.clear();
  out.health = {};
  out.tty = request.tty;
  for (project::MemberConfig& member : out.networks) {
    member.aliases.clear();
    member.address.clear();
  }
  for (const auto& [name, value] : request.env) {
    out.env[name] = value;
    std::erase(out.unset, name);
  }
  if (!request.cwd.empty()) out.cwd = request.cwd;
  if (!request.argv.empty()) {
    out.argv = request.argv;
    // As the launcher of an app wants it. Spec: CNB platform.md#launcher.
    if (out.kind == project::ServiceKind::cnb) out.argv.insert(out.argv.begin(), "--");
    std::erase_if(out.late, [](const project::LateText& late) {
      return late.place == project::LateText::Place::argv;
    });
  }
  if (out.kind == project::ServiceKind::exec) {
    if (!request.user.empty())
      return Error(Errc::unsupported,
                   fmt::format("{} is a host process: it has no other users", service.name));
    return out;
  }
  out.port = 0;
  out.auto_port = false;
  if (!request.user.empty()) out.user = request.user;
  if (out.tty) out.env.emplace("TERM", "xterm");
  return out;
}

}  // namespace

void Sessions::run(const ipc::RunRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    Project& project = *TRY(deps_.projects.find_up(request.project, ProjectVerb::run));
    const Supervisor::Unit& unit = *TRY(Projects::find_service(project, request.service));
    const std::string id = random_hex(6);
    const auto config =
        std::make_shared<const project::ServiceConfig>(TRY(one_off_of(*unit.config, request, id)));
    LaunchRequest launch = project.supervisor().request_beside(
        config, unit.user != nullptr ? unit.user : project.user());
    launch.instance = id;
    launch.nonce = random_hex(16);
    launch.one_off = LaunchRequest::OneOff{.service = request.service,
                                           .open_stdin = request.open_stdin,
                                           .rows = request.size.rows,
                                           .columns = request.size.columns};
    const bool guest = config->network != "host" && config->network != "none";
    if (guest && deps_.networks != nullptr)
      TRY(deps_.networks->set_guest(project.name(), config->name, config));

    begin(project.name(), id, launch.nonce);
    Session& session = sessions_.at(id);
    session.own = config;
    Launcher::LaunchEvents events;
    events.progress = [reply, service = request.service](ipc::ProgressEvent progress) {
      progress.service = service;
      reply->event(encode_text(progress));
    };
    events.notice = [reply, service = request.service](const std::string& text) {
      send_notice(reply, service, text);
    };
    events.done = [this, reply, id](Started result) { started(id, reply, std::move(result)); };
    session.start = deps_.launcher->launch(launch, std::move(events));
    // A client that hangs up during a pull or a build does not want it any more.
    reply->on_hangup([job = session.start]() mutable { job.cancel(); });
    return {};
  });
}

/// What it leaves: its runtime, then what a container had on disk and its place in the network.
void Sessions::clean(const std::string& id, const std::string& nonce,
                     std::function<void(Result<void>)> done) {
  const Session& session = sessions_.at(id);
  if (session.own == nullptr) return deps_.clean(id, nonce, std::move(done));
  deps_.launcher->clean(id, nonce,
                        [this, project = session.project, own = session.own,
                         done = std::move(done)](Result<void> cleaned) {
                          if (own->kind == project::ServiceKind::exec) return done(cleaned);
                          if (deps_.networks != nullptr)
                            (void)deps_.networks->set_guest(project, own->name, nullptr);
                          deps_.discard(project, *own, [done, cleaned](const Result<void>& gone) {
                            done(cleaned ? gone : cleaned);
                          });
                        });
}

}  // namespace locald::server
