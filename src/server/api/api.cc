#include "server/api/api.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "base/sys/out_of_memory.h"
#include "ipc/version.h"
#include "project/user_config.h"
#include "server/api/doctor.h"

namespace locald::server {

Api::Api(World world) : world_(std::move(world)) {
  const auto to = [](auto& object, auto member) -> Handler {
    return [&object, member](const Json& body, const ReplyPtr& reply) {
      (object.*member)(body, reply);
    };
  };
  Projects& p = world_.projects;
  handlers_ = {
      {"version", to(*this, &Api::version)},
      {"server/status", to(*this, &Api::server_status)},
      {"server/stop", to(*this, &Api::server_stop)},
      {"doctor", to(*this, &Api::doctor)},
      {"up", to(p, &Projects::up)},
      {"down", to(p, &Projects::down)},
      {"start", to(p, &Projects::start)},
      {"stop", to(p, &Projects::stop)},
      {"restart", to(p, &Projects::restart)},
      {"kill", to(p, &Projects::kill)},
      {"status", to(p, &Projects::status)},
      {"watch", to(p, &Projects::watch)},
      {"logs", to(p, &Projects::logs)},
      {"config/check", to(p, &Projects::config_check)},
      {"project/forget", to(p, &Projects::forget)},
      {"project/ls", to(p, &Projects::list)},
      {"exec", to(world_.sessions, &Sessions::exec)},
      {"attach", to(world_.sessions, &Sessions::attach)},
      {"container/run", to(world_.containers, &Containers::run)},
      {"container/ls", to(world_.containers, &Containers::list)},
      {"container/rm", to(world_.containers, &Containers::remove)},
      {"build", [&b = world_.builds, &p = world_.projects](
                    const Json& body, const ReplyPtr& reply) { b.build(p, body, reply); }},
      {"build/logs", [&b = world_.builds, &p = world_.projects](
                         const Json& body, const ReplyPtr& reply) { b.logs(p, body, reply); }},
      {"cache/ls", to(world_.builds, &Builds::list_caches)},
      {"cache/rm", to(world_.builds, &Builds::remove_caches)},
      {"cache/prune", to(world_.builds, &Builds::prune_caches)},
      {"image/pull", to(world_.images, &Images::pull)},
      {"image/ls", to(world_.images, &Images::list)},
      {"image/rm", to(world_.images, &Images::remove)},
      {"image/unpack", to(world_.images, &Images::unpack)},
      {"image/export", to(world_.images, &Images::export_to)},
      {"image/push", to(world_.images, &Images::push)},
      {"image/rebase", to(world_.images, &Images::rebase)},
  };
  if (world_.unmanaged != nullptr) guard_unmanaged();
}

/// Requests about a project whose services run without being managed are theirs to answer.
void Api::guard_unmanaged() {
  const auto guard = [this](const char* name, auto member) {
    Handler& handler = handlers_.at(name);
    handler = [this, member, managed = handler](const Json& body, const ReplyPtr& reply) {
      Unmanaged& u = *world_.unmanaged;
      const bool all = body["all"].as_bool();  // status of every project
      const auto project = all ? std::nullopt : u.meant_by(body);
      if (!project || world_.projects.find(*project) != nullptr) return managed(body, reply);
      (u.*member)(*project, body, reply);
    };
  };
  using Member = void (Unmanaged::*)(const std::string&, const Json&, const ReplyPtr&);
  guard("down", Member(&Unmanaged::down));
  guard("stop", Member(&Unmanaged::stop));
  guard("kill", Member(&Unmanaged::kill));
  guard("status", Member(&Unmanaged::status));
  guard("logs", Member(&Unmanaged::logs));
  for (const char* name : {"up", "start", "restart", "watch", "exec", "attach"})
    guard(name, Member(&Unmanaged::refuse));
}

void Api::handle(const Request& request, const ReplyPtr& reply) {
  const auto it = handlers_.find(request.name);
  if (it == handlers_.end())
    return reply->error(
        Error(Errc::not_found,
              fmt::format("this server ({}) knows no request \"{}\"", ipc::kVersion, request.name))
            .with_hint("the server may be older than the command: locald server restart"));
  if (meets(request.name, ending_ ? ServerState::stopping : ServerState::serving) == Meets::refuse)
    return reply->error(
        Error(Errc::cancelled, "the server is stopping").with_hint("try again in a moment"));
  try {
    it->second(request.body, reply);
  } catch (const std::bad_alloc&) {
    reply->error(out_of_memory().with_context(request.name));
  } catch (const std::length_error&) {
    reply->error(out_of_memory().with_context(request.name));
  }
}

std::vector<std::string> Api::requests() const {
  std::vector<std::string> out;
  for (const auto& [name, handler] : handlers_) out.push_back(name);
  return out;
}

std::size_t Api::services() const {
  return world_.projects.running_services() +
         (world_.unmanaged != nullptr ? world_.unmanaged->running() : 0);
}

std::size_t Api::jobs() const {
  return world_.jobs.unfinished() + world_.launcher.unfinished() + world_.builds.unfinished();
}

void Api::version(const Json&, const ReplyPtr& reply) {
  reply->result(Json::object(
      {{"version", ipc::kVersion}, {"build", ipc::kBuild}, {"pid", ::getpid()}, {"jobs", jobs()}}));
}

void Api::server_status(const Json&, const ReplyPtr& reply) {
  const auto uptime =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_)
          .count();
  const std::string map = world_.user_namespace.map_id();
  reply->result(Json::object({{"pid", ::getpid()},
                              {"version", ipc::kVersion},
                              {"build", ipc::kBuild},
                              {"uptime_s", uptime},
                              {"projects", world_.projects.count()},
                              {"services", services()},
                              {"containers", world_.containers.running()},
                              {"jobs", jobs()},
                              {"paths", Json::object({{"data", world_.paths.data()},
                                                      {"state", world_.paths.state()},
                                                      {"run", world_.paths.run()}})},
                              {"id_map", map.empty() ? Json() : Json(map)}}));
}

void Api::server_stop(const Json& body, const ReplyPtr& reply) {
  stops_.push_back(reply);
  if (meets("server/stop", ending_ ? ServerState::stopping : ServerState::serving) == Meets::join)
    return;
  const auto end = [this] {
    for (const ReplyPtr& stop : std::exchange(stops_, {}))
      stop->result(Json::object({{"services_left", services() + world_.containers.running()}}));
    world_.end();
  };
  ending_ = true;
  if (!body["all"].as_bool()) return end();
  const auto rest = [this, end] {
    world_.containers.stop_all([this, end] { world_.sessions.stop_all(end); });
  };
  world_.projects.bring_all_down([this, rest] {
    if (world_.unmanaged == nullptr) return rest();
    world_.unmanaged->stop_all(rest);
  });
}

void Api::doctor(const Json&, const ReplyPtr& reply) {
  DoctorInputs inputs{world_.paths, world_.runtime_name, {}, ::geteuid() == 0, {}, {}};
  inputs.search_path = project::program_search_path();
  inputs.user_namespace = [&ns = world_.user_namespace]() -> Result<DoctorInputs::IdMap> {
    (void)TRY(ns.fd());
    return DoctorInputs::IdMap{ns.map_id(), ns.notice()};
  };
  world_.jobs.run<Json>(
      "doctor",
      [inputs](const std::stop_token& stop) {
        Json checks = Json::array();
        for (const Check& c : run_doctor(inputs, stop))
          checks.push(Json::object({{"name", c.name},
                                    {"status", to_string(c.status)},
                                    {"message", c.message},
                                    {"hint", c.hint}}));
        return checks;
      },
      [reply](Json checks) {
        reply->result(Json::object({{"checks", std::move(checks)}}));
      });
}

}  // namespace locald::server
