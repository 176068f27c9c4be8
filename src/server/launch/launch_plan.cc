#include "server/launch/launch_plan.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <utility>

#include "base/strings.h"
#include "base/sys/rlimits.h"
#include "project/canonical_text.h"
#include "project/resolve/workdir.h"
#include "project/units.h"

namespace locald::server {
namespace {

/// What an app has besides: its own command, and service bindings. Spec: servicebinding.io,
/// workload projection.
void app_options(const project::ServiceConfig& config, builder::ContainerOptions& out) {
  if (!config.argv.empty())
    out.entrypoint = std::vector{std::string(cnb::kLauncher)};
  else if (!config.args.empty())
    out.command = config.args;
  if (config.bindings.empty()) return;
  out.env.emplace("SERVICE_BINDING_ROOT", "/bindings");
  for (const auto& [name, folder] : config.bindings)
    out.mounts.push_back({.kind = builder::VolumeMount::Kind::bind,
                          .source = folder,
                          .target = "/bindings/" + name,
                          .read_only = true});
}

}  // namespace

runtime::HostProcess host_process(const project::ServiceConfig& config,
                                  const project::UserContext& user, std::vector<std::string> argv) {
  std::map<std::string, std::string> env = user.env;
  // `up` may run inside of a service itself: what ties a process to that one is not for this one.
  for (const char* name : {"LOCALD_INSTANCE", "NOTIFY_SOCKET"}) env.erase(name);
  for (const std::string& name : config.unset) env.erase(name);
  for (const auto& [name, value] : config.env) env[name] = value;
  runtime::HostProcess process;
  process.argv = std::move(argv);
  process.env.reserve(env.size());
  for (const auto& [name, value] : env) process.env.push_back(name + "=" + value);
  process.cwd = config.cwd;
  process.umask = user.umask;
  for (const auto& [name, limit] : user.rlimits)
    for (const RlimitName& known : kRlimits)
      if (known.name == name)
        process.rlimits.emplace_back(known.number, rlimit{limit.first, limit.second});
  return process;
}

Result<void> open_workdir(runtime::HostProcess& process, const PathJudge& judge) {
  JudgedPath folder = TRY(project::open_workdir(process.cwd, judge));
  process.folder = std::make_shared<const UniqueFd>(std::move(folder.fd));
  return {};
}

std::string container_key(const std::string& project, const project::ServiceConfig& config) {
  return fmt::format("{}.{}.{}", project, project::slug(config.name),
                     project::configuration_id(config).substr(0, 8));
}

net::AttachRequest attach_request(const LaunchRequest& request) {
  net::AttachRequest out{request.project, request.config->name, {}};
  for (const std::string& name : request.hosts) {
    const auto peer = request.peers.find(name);
    out.peers.push_back(
        {project::slug(name), peer == request.peers.end() ? std::nullopt : peer->second.endpoint});
  }
  return out;
}

Result<builder::ContainerOptions> container_options(const LaunchRequest& request,
                                                    const net::Attachment& attachment) {
  const project::ServiceConfig& config = *request.config;
  builder::ContainerOptions out;
  out.project = request.project;
  out.hostname = config.hostname.empty() ? project::slug(config.name) : config.hostname;
  out.volume_key = project::slug(config.name);
  if (!config.entrypoint.empty()) out.entrypoint = config.entrypoint;
  if (!config.argv.empty()) out.command = config.argv;
  out.env = config.env;
  out.env_unset = config.unset;
  if (config.app) app_options(config, out);
  out.user = config.user;
  out.workdir = config.cwd;
  out.init = config.init;
  out.tty = config.tty;
  out.read_only = config.read_only;
  if (config.shm_size != 0) out.shm_bytes = config.shm_size;
  out.cap_add = config.cap_add;
  out.cap_drop = config.cap_drop;
  out.ulimits = config.ulimits;
  if (config.stop_signal != 0) out.stop_signal = std::to_string(config.stop_signal);
  out.network = attachment;
  if (config.memory != 0) out.limits.memory_bytes = config.memory;
  if (config.cpus != 0) out.limits.cpus = config.cpus;
  if (config.pids != 0) out.limits.pids = config.pids;
  for (const project::VolumeConfig& volume : config.volumes)
    out.mounts.push_back(TRY(builder::VolumeMount::of(volume)));
  return out;
}

Result<SourceRequest> source_request(const LaunchRequest& request,
                                     const net::Attachment& attachment) {
  const project::ServiceConfig& config = *request.config;
  builder::ContainerOptions options = TRY(container_options(request, attachment));
  std::string key = container_key(request.project, config);
  if (config.app)
    // An automatic restart builds nothing, whatever has changed: it runs the newest
    // generation (where there is one), which may not be the one that ended.
    return SourceRequest{FromApp{.app = app_of(config, *request.user),
                                 .process = config.process,
                                 .build = request.restarts == 0 && !request.built},
                         std::move(options), std::move(key)};
  return SourceRequest{
      FromImage{TRY(oci::ImageReference::parse(config.image, request.dir)), config.pull},
      std::move(options), std::move(key)};
}

cnb::AppSpec app_of(const project::ServiceConfig& config, const project::UserContext& user) {
  cnb::AppSpec app = *config.app;
  for (const char* name :
       {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"})
    if (const auto found = user.env.find(name); found != user.env.end() && !found->second.empty())
      app.proxies[name] = found->second;
  if (const auto found = user.env.find("SSL_CERT_FILE"); found != user.env.end())
    app.host_ca_file = found->second;
  return app;
}

}  // namespace locald::server
