#include "server/instances/sessions.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "runtime/instance_meta.h"
#include "server/http/request.h"
#include "server/launch/launch_plan.h"

namespace locald::server {

void Sessions::exec(const ipc::ExecRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    Project& project = *TRY(deps_.projects.find_up(request.project, ProjectVerb::exec));
    const std::string& service = request.service;
    const Supervisor::Unit& unit = *TRY(Projects::find_service(project, service));
    if (unit.state.phase != Phase::running)
      return Error(Errc::invalid_input,
                   fmt::format("{} is {}{}", service, to_string(unit.state.phase),
                               unit.state.reason.empty() ? "" : ": " + unit.state.reason))
          .with_hint(fmt::format("start it: locald start {}", service));
    std::vector<std::string> argv = request.argv;
    if (argv.empty())
      return Error(Errc::invalid_input, "exec: no command")
          .with_hint("for example: locald exec " + service + " -- sh");
    const std::string& user = request.user;
    const std::string& cwd = request.cwd;

    runtime::InstanceSpec instance;
    instance.id = random_hex(6);
    instance.nonce = random_hex(16);
    instance.name = project.name() + "/" + service + " exec";
    instance.meta = runtime::InstanceMeta{.kind = runtime::InstanceMeta::Kind::exec,
                                          .project = project.name(),
                                          .service = service}
                        .to_text();
    instance.tty = request.tty;
    instance.rows = request.size.rows;
    instance.columns = request.size.columns;
    instance.open_stdin = request.open_stdin;
    instance.hold = true;

    const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
    Start start;
    if (config.kind == project::ServiceKind::exec) {
      if (!user.empty())
        return Error(Errc::unsupported,
                     fmt::format("{} is a host process: it has no other users", service));
      runtime::HostProcess process = host_process(config, *unit.user, std::move(argv));
      if (!cwd.empty()) process.cwd = cwd;
      for (const auto& [name, value] : request.env) process.env.push_back(name + "=" + value);
      start = [instance, process,
               &environment = deps_.environment](runtime::ProcessRuntime& runtime) -> Started {
        runtime::HostProcess run = process;
        TRY(open_workdir(run, environment.judge()));
        return runtime.run_host(instance, run);
      };
    } else {
      // In the environment that the launcher makes for the app's own processes.
      if (config.kind == project::ServiceKind::cnb)
        argv.insert(argv.begin(), {std::string(cnb::kLauncher), "--"});
      runtime::ExecSpec spec{std::move(argv), {}, user.empty() ? config.user : user, cwd};
      for (const auto& [name, value] : request.env) spec.env.push_back(name + "=" + value);
      if (instance.tty && !request.env.contains("TERM")) spec.env.push_back("TERM=xterm");
      start = [instance, target = unit.instance, spec](runtime::ProcessRuntime& runtime) {
        return runtime.exec(instance, target, spec);
      };
    }
    // From here on it is one of the project's: who brings that down waits for it.
    begin(project.name(), instance.id, instance.nonce);
    deps_.start(
        "exec in " + service, std::move(start),
        [this, reply, id = instance.id](Started result) { started(id, reply, std::move(result)); });
    return {};
  });
}

void Sessions::started(const std::string& id, const ReplyPtr& reply, Started result) {
  Session& session = sessions_.at(id);
  const std::string project = session.project;
  const bool unwanted = session.instance.unwanted();
  session.start = {};
  if (!result) {
    const Error error = unwanted ? brought_down(project) : result.error();
    if (session.own != nullptr) {  // a container may have left something on disk
      session.when_gone = [reply, error] { reply->error(error); };
      return session.instance.clean();
    }
    sessions_.erase(id);
    reply->error(error);
    return look_if_quiet();
  }
  // Who has hung up does not know where to attach, and nobody else ever will.
  if (!reply->open()) (void)session.instance.stop(SIGKILL, std::chrono::milliseconds(0));
  const ipc::ExecReply answer{(*result)->control_socket(), (*result)->nonce()};
  session.instance.own(std::move(*result));
  if (unwanted) return reply->error(brought_down(project));
  reply->result(answer);
}

void Sessions::attach(const ipc::AttachRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    Project& project = *TRY(deps_.projects.find_up(request.project, ProjectVerb::attach));
    const std::string& service = request.service;
    const Supervisor::Unit& unit = *TRY(Projects::find_service(project, service));
    runtime::ServiceHandle* handle = project.supervisor().handle(service);
    if (handle == nullptr)
      return Error(Errc::invalid_input,
                   fmt::format("{} is {}", service, to_string(unit.state.phase)))
          .with_hint(fmt::format("start it: locald start {}", service));
    const project::ServiceConfig& config = unit.active ? *unit.active : *unit.config;
    reply->result(ipc::AttachReply{handle->control_socket(), handle->nonce(), config.tty});
    return {};
  });
}

void Sessions::adopt(const std::string& project, const std::string& instance,
                     const std::string& nonce, std::unique_ptr<runtime::ServiceHandle> live) {
  runtime::Instance& session = begin(project, instance, nonce);
  if (live != nullptr) return session.own(std::move(live));
  session.clean();
}

runtime::Instance& Sessions::begin(const std::string& project, const std::string& id,
                                   const std::string& nonce) {
  runtime::Instance::Events events;
  events.gone = [this, id](const Result<void>&) {
    const auto node = sessions_.extract(id);
    if (node.mapped().when_gone) node.mapped().when_gone();
    look_if_quiet();
  };
  const auto clean = [this](const std::string& one, const std::string& its_nonce,
                            std::function<void(Result<void>)> done) {
    this->clean(one, its_nonce, std::move(done));
  };
  Session& session = sessions_[id];
  session.project = project;
  session.instance = {deps_.loop, id, nonce, clean, std::move(events)};
  return session.instance;
}

void Sessions::write_back() {
  for (const auto& [id, session] : sessions_) (void)session.instance.write_back();
}

void Sessions::end(const std::string& project, std::function<void()> done) {
  kill_and_wait({project, std::move(done)});
}

void Sessions::stop_all(std::function<void()> done) { kill_and_wait({"", std::move(done)}); }

void Sessions::kill_and_wait(Waiter waiter) {
  for (auto& [id, session] : sessions_)
    if (waiter.project.empty() || session.project == waiter.project) {
      session.start.cancel();
      (void)session.instance.stop(SIGKILL, std::chrono::milliseconds(0));
    }
  waiters_.push_back(std::move(waiter));
  look_if_quiet();
}

bool Sessions::any_of(const std::string& project) const {
  return std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
    return project.empty() || entry.second.project == project;
  });
}

void Sessions::look_if_quiet() {
  std::vector<std::function<void()>> quiet;
  std::erase_if(waiters_, [&](Waiter& waiter) {
    if (any_of(waiter.project)) return false;
    quiet.push_back(std::move(waiter.done));
    return true;
  });
  for (const auto& done : quiet) done();
}

}  // namespace locald::server
