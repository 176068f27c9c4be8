#include "server/api/api.h"

#include <fmt/format.h>
#include <unistd.h>

#include <functional>
#include <optional>
#include <utility>

#include "base/sys/resources.h"
#include "ipc/version.h"
#include "project/init/proposal.h"
#include "project/reference/key_schema.h"
#include "project/user_config.h"
#include "server/api/doctor.h"

namespace locald::server {

namespace {

constexpr const char* kFieldsHint = "docs/api.md has the fields of each request";

/// Reads the request before it is handled; one that cannot be read is answered with the place.
/// @param reading  In place of the request's own.
template <class R, class F>
auto reader(F handle, std::optional<Reading> reading = std::nullopt) {
  return [handle = std::move(handle), reading](const Request& request, const ReplyPtr& reply) {
    auto message = decode<R>(request.body, reading.value_or(request.reading));
    if (!message) return reply->error(std::move(message).error().with_hint(kFieldsHint));
    handle(*message, reply);
  };
}

/// The request goes to a member function of `object`, which says which request it is.
template <class O, class R>
std::pair<const std::string_view, std::function<void(const Request&, const ReplyPtr&)>> to(
    O& object, void (O::*member)(const R&, const ReplyPtr&),
    std::optional<Reading> reading = std::nullopt) {
  return {R::kName,
          reader<R>([&object, member](const R& request,
                                      const ReplyPtr& reply) { (object.*member)(request, reply); },
                    reading)};
}

std::optional<std::string> meant_by(const Unmanaged& unmanaged, const auto& request) {
  return unmanaged.meant_by(request.project);
}
std::optional<std::string> meant_by(const Unmanaged& unmanaged, const ipc::StatusRequest& request) {
  if (request.all || !request.project) return std::nullopt;
  return unmanaged.meant_by(*request.project);
}

}  // namespace

Api::Api(Deps deps) : deps_(std::move(deps)) {
  add_server();
  add_projects();
  add_instances();
  add_images_and_builds();
}

/// Servers and clients of any two builds say these to each other.
void Api::add_server() {
  handlers_.insert(to(*this, &Api::version, Reading::tolerant));
  handlers_.insert(to(*this, &Api::server_stop, Reading::tolerant));
  handlers_.insert(to(*this, &Api::server_status));
  handlers_.insert(to(*this, &Api::doctor));
}

void Api::add_projects() {
  Projects& p = deps_.projects;
  // Requests about a project whose services run without being managed are theirs to answer.
  const auto managed = [this]<class O, class R>(O& object,
                                                void (O::*member)(const R&, const ReplyPtr&),
                                                auto otherwise) {
    handlers_[R::kName] =
        reader<R>([this, &object, member, otherwise](const R& request, const ReplyPtr& reply) {
          Unmanaged* const unmanaged = deps_.unmanaged;
          const auto project =
              unmanaged != nullptr ? meant_by(*unmanaged, request) : std::optional<std::string>();
          if (!project || deps_.projects.find(*project) != nullptr)
            return (object.*member)(request, reply);
          std::invoke(otherwise, *unmanaged, *project, request, reply);
        });
  };
  const auto refuse = [](const Unmanaged& unmanaged, const std::string& project, const auto&,
                         const ReplyPtr& reply) { unmanaged.refuse(project, reply); };
  using Status =
      void (Unmanaged::*)(const std::string&, const ipc::StatusRequest&, const ReplyPtr&);
  managed(p, &Projects::up, refuse);
  managed(p, &Projects::down, &Unmanaged::down);
  managed(p, &Projects::start, refuse);
  managed(p, &Projects::stop, &Unmanaged::stop);
  managed(p, &Projects::restart, refuse);
  managed(p, &Projects::kill, &Unmanaged::kill);
  managed(p, &Projects::wait, refuse);
  managed(p, &Projects::status, Status(&Unmanaged::status));
  managed(p, &Projects::watch, refuse);
  managed(p, &Projects::logs, &Unmanaged::logs);
  managed(deps_.sessions, &Sessions::exec, refuse);
  managed(deps_.sessions, &Sessions::run, refuse);
  managed(deps_.sessions, &Sessions::attach, refuse);
  managed(p, &Projects::stats, refuse);
  managed(p, &Projects::inspect, refuse);
  managed(p, &Projects::top, refuse);
  managed(deps_.copies, &Copies::copy, refuse);
  handlers_.insert(to(p, &Projects::events));
  handlers_.insert(to(p, &Projects::config_check));
  handlers_.insert(to(*this, &Api::config_schema));
  handlers_.insert(to(*this, &Api::init));
  handlers_.insert(to(p, &Projects::forget));
  handlers_.insert(to(p, &Projects::list));
  handlers_.insert(to(p, &Projects::left));
}

void Api::add_instances() {
  handlers_.insert(to(deps_.containers, &Containers::run));
  handlers_.insert(to(deps_.containers, &Containers::list));
  handlers_.insert(to(deps_.containers, &Containers::remove));
}

void Api::add_images_and_builds() {
  Images& i = deps_.images;
  handlers_.insert(to(i, &Images::pull));
  handlers_.insert(to(i, &Images::list));
  handlers_.insert(to(i, &Images::inspect));
  handlers_.insert(to(i, &Images::remove));
  handlers_.insert(to(i, &Images::unpack));
  handlers_.insert(to(i, &Images::export_to));
  handlers_.insert(to(i, &Images::push));
  handlers_.insert(to(i, &Images::rebase));
  StoreCare& s = deps_.store;
  handlers_.insert(to(s, &StoreCare::tag));
  handlers_.insert(to(s, &StoreCare::history));
  handlers_.insert(to(s, &StoreCare::prune));
  handlers_.insert(to(s, &StoreCare::login));
  handlers_.insert(to(s, &StoreCare::disk));
  Builds& b = deps_.builds;
  handlers_[ipc::BuildRequest::kName] = reader<ipc::BuildRequest>(
      [&b, &p = deps_.projects](const ipc::BuildRequest& request, const ReplyPtr& reply) {
        b.build(p, request, reply);
      });
  handlers_[ipc::BuildLogsRequest::kName] = reader<ipc::BuildLogsRequest>(
      [&b, &p = deps_.projects](const ipc::BuildLogsRequest& request, const ReplyPtr& reply) {
        b.logs(p, request, reply);
      });
  handlers_.insert(to(b, &Builds::list_caches));
  handlers_.insert(to(b, &Builds::remove_caches));
  handlers_.insert(to(b, &Builds::prune_caches));
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
  auto handled = within_resources([&]() -> Result<void> {
    it->second(request, reply);
    return {};
  });
  if (!handled) reply->error(std::move(handled).error().with_context(request.name));
}

std::vector<std::string> Api::requests() const {
  std::vector<std::string> out;
  for (const auto& [name, handler] : handlers_) out.push_back(name);
  return out;
}

std::size_t Api::services() const {
  return deps_.projects.running_services() +
         (deps_.unmanaged != nullptr ? deps_.unmanaged->running() : 0);
}

std::size_t Api::jobs() const {
  return deps_.jobs.unfinished() + deps_.launcher.unfinished() + deps_.builds.unfinished();
}

void Api::version(const ipc::VersionRequest&, const ReplyPtr& reply) {
  reply->result(ipc::VersionReply{.version = std::string(ipc::kVersion),
                                  .build = std::string(ipc::kBuild),
                                  .pid = ::getpid(),
                                  .jobs = jobs()});
}

void Api::server_status(const ipc::ServerStatusRequest&, const ReplyPtr& reply) {
  const auto uptime =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - started_)
          .count();
  ipc::ServerStatusReply out{.pid = ::getpid(),
                             .version = std::string(ipc::kVersion),
                             .build = std::string(ipc::kBuild),
                             .uptime_s = uptime,
                             .projects = deps_.projects.count(),
                             .services = services(),
                             .containers = deps_.containers.running(),
                             .jobs = jobs(),
                             .paths = {deps_.paths.data(), deps_.paths.state(), deps_.paths.run()}};
  if (std::string map = deps_.user_namespace.map_id(); !map.empty()) out.id_map = std::move(map);
  reply->result(out);
}

void Api::server_stop(const ipc::ServerStopRequest& request, const ReplyPtr& reply) {
  stops_.push_back(reply);
  if (meets(ipc::ServerStopRequest::kName,
            ending_ ? ServerState::stopping : ServerState::serving) == Meets::join)
    return;
  const auto end = [this] {
    for (const ReplyPtr& stop : std::exchange(stops_, {}))
      stop->result(ipc::ServerStopReply{services() + deps_.containers.running()});
    deps_.end();
  };
  ending_ = true;
  if (!request.all) return end();
  const auto rest = [this, end] {
    deps_.containers.stop_all([this, end] { deps_.sessions.stop_all(end); });
  };
  deps_.projects.bring_all_down([this, rest] {
    if (deps_.unmanaged == nullptr) return rest();
    deps_.unmanaged->stop_all(rest);
  });
}

void Api::doctor(const ipc::DoctorRequest&, const ReplyPtr& reply) {
  DoctorInputs inputs{.paths = deps_.paths,
                      .runtime_name = deps_.runtime_name,
                      .search_path = project::program_search_path(),
                      .root = ::geteuid() == 0,
                      .network = deps_.network,
                      .cni_path = deps_.cni_path};
  inputs.user_namespace = [&ns = deps_.user_namespace]() -> Result<DoctorInputs::IdMap> {
    (void)TRY(ns.fd());
    return DoctorInputs::IdMap{ns.map_id(), ns.notice()};
  };
  deps_.jobs.run<ipc::DoctorReply>(
      "doctor",
      [inputs](const std::stop_token& stop) {
        ipc::DoctorReply out;
        for (const Check& c : run_doctor(inputs, stop))
          out.checks.push_back({c.name, std::string(to_string(c.status)), c.message, c.hint});
        return out;
      },
      [reply](const ipc::DoctorReply& out) { reply->result(out); });
}

/// A job: it parses the example of every key.
void Api::config_schema(const ipc::ConfigSchemaRequest&, const ReplyPtr& reply) {
  deps_.jobs.run<ipc::ConfigSchemaReply>(
      "config schema",
      [](const std::stop_token&) { return ipc::ConfigSchemaReply{project::key_schema()}; },
      [reply](const ipc::ConfigSchemaReply& out) { reply->result(out); });
}

/// A job: it looks at the disk.
void Api::init(const ipc::InitRequest& request, const ReplyPtr& reply) {
  deps_.jobs.run<Result<ipc::InitReply>>(
      "init",
      [request](const std::stop_token&) -> Result<ipc::InitReply> {
        namespace init = project::init;
        const std::set<std::string> without(request.without.begin(), request.without.end());
        const init::Proposal made = TRY(init::propose(init::disk_folder(request.dir), without));
        ipc::InitReply out{
            .text = made.text, .services = {}, .files = made.files, .notes = made.notes};
        for (const init::ProposedService& service : made.services)
          out.services.push_back({service.name, service.what, service.from});
        return out;
      },
      [reply](const Result<ipc::InitReply>& out) {
        if (!out) return reply->error(out.error());
        reply->result(*out);
      });
}

}  // namespace locald::server
