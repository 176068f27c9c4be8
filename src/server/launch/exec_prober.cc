#include "server/launch/exec_prober.h"

#include <fmt/format.h>

#include <utility>

#include "base/strings.h"
#include "base/transient.h"
#include "server/launch/launch_plan.h"

namespace locald::server {
namespace {

Result<runtime::ProcessRuntime::ProbeResult> run(runtime::ProcessRuntime& runtime,
                                                 const builder::Environment& environment,
                                                 const LaunchRequest& request,
                                                 project::Milliseconds timeout,
                                                 const std::stop_token& stop) {
  const project::ServiceConfig& config = *request.config;
  if (config.kind != project::ServiceKind::exec)
    return runtime.probe(request.instance, {config.health.argv, {}, config.user, config.cwd},
                         timeout, stop);
  runtime::HostProcess process = host_process(config, *request.user, config.health.argv);
  TRY(open_workdir(process, environment.judge()));
  return runtime.probe_host(process, timeout, stop);
}

/// Not for a moment: runc's record of the container was deleted or damaged ("EOF", "invalid
/// character …", "container does not exist"). Of a process that was killed under runc nothing is
/// known.
bool lasting(std::string_view why) {
  return !may_pass(why) && why.find("init-p: ") == std::string_view::npos &&
         why.find("executing setns process") == std::string_view::npos;
}

net::Verdict probe(runtime::ProcessRuntime& runtime, const builder::Environment& environment,
                   const LaunchRequest& request, project::Milliseconds timeout,
                   const std::stop_token& stop) {
  const project::ServiceConfig& config = *request.config;
  const auto probed = run(runtime, environment, request, timeout, stop);
  if (!probed) {
    // Too late is an answer. All else is our own trouble with asking.
    if (probed.error().code() == Errc::timed_out) return probed.error();
    return net::Verdict::unknown(probed.error(), probed.error().code() == Errc::corrupt);
  }
  const auto& result = *probed;
  if (result.code == 0) return Result<void>();
  const std::string_view said = trim(result.output);
  // Without a log file of its own, runc writes there what failed before the command.
  if (constexpr std::string_view kMsg = "level=error msg=";
      result.code == 255 && said.starts_with("time=") &&
      said.find(kMsg) != std::string_view::npos) {
    const std::string_view why = said.substr(said.find(kMsg) + kMsg.size());
    return net::Verdict::unknown(
        Error(Errc::failed, fmt::format("{} cannot be run: {}", config.health.argv.back(), why)),
        lasting(why));
  }
  return Error(Errc::failed,
               fmt::format("{} exited with code {}{}{}", config.health.argv.back(), result.code,
                           said.empty() ? "" : ": ", said.substr(0, 300)));
}

}  // namespace

RunningProbes::Scope::Scope(RunningProbes& all, const std::string& instance)
    : all_(all), instance_(instance) {
  const std::lock_guard lock(all_.mutex_);
  ++all_.commands_[instance_];
}

RunningProbes::Scope::~Scope() {
  const std::lock_guard lock(all_.mutex_);
  const auto running = all_.commands_.find(instance_);
  if (--running->second != 0) return;
  all_.commands_.erase(running);
  all_.ended_.notify_all();
}

bool RunningProbes::wait(const std::string& instance, std::chrono::milliseconds limit) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, limit, [&] { return !commands_.contains(instance); });
}

ExecProber::ExecProber(JobPool& jobs, RunningProbes& running, runtime::ProcessRuntime& runtime,
                       const builder::Environment& environment, LaunchRequest request,
                       Effective effective)
    : jobs_(jobs),
      running_(running),
      runtime_(runtime),
      environment_(environment),
      request_(std::move(request)),
      effective_(std::move(effective)) {}

ExecProber::~ExecProber() { cancel(); }

void ExecProber::start(project::Milliseconds timeout, Done done) {
  cancel();
  alive_ = std::make_shared<bool>(true);
  job_ = jobs_.run<net::Verdict>(
      "probe " + request_.config->name,
      [&running = running_, &runtime = runtime_, &environment = environment_, request = request_,
       effective = effective_, timeout](const std::stop_token& stop) mutable {
        const RunningProbes::Scope scope(running, request.instance);
        request.config = effective(request);
        return probe(runtime, environment, request, timeout, stop);
      },
      [alive = alive_, done = std::move(done)](const net::Verdict& verdict) {
        if (*alive) done(verdict);
      });
}

void ExecProber::cancel() {
  if (alive_) *alive_ = false;
  job_.cancel();
}

}  // namespace locald::server
