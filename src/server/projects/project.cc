#include "server/projects/project.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "project/canonical_text.h"
#include "project/compose_front/compose_front.h"
#include "project/wording.h"
#include "server/http/request.h"
#include "server/launch/command_note.h"
#include "server/projects/unmanaged.h"
#include "server/supervise/service_status.h"

namespace locald::server {
namespace {

/// What a service publishes.
std::string ports_text(const project::ServiceConfig& config) {
  std::vector<std::string> lines;
  for (const project::PortConfig& port : config.ports)
    lines.push_back(project::port_line(port, config.container_port));
  return lines.empty() ? "none" : join(lines, ", ");
}

}  // namespace

Project::Project(Deps deps, std::string name, std::string dir, std::string file)
    : deps_(std::move(deps)),
      name_(std::move(name)),
      dir_(std::move(dir)),
      file_(std::move(file)),
      compose_(project::compose::is_compose_file(file_)),
      supervisor_(
          deps_.loop, deps_.launcher, name_, dir_,
          {[this](const std::string& service) { changed(service); },
           [this](const std::string& service, const ipc::ProgressEvent& progress) {
             send_progress(service, progress);
           },
           [this](const std::string& service, const std::string& text) { notice(service, text); },
           [this](const std::string& service) {
             if (on_running) on_running(service);
           }}),
      builds_({deps_.build, [this](const std::string& service) { changed(service); },
               [this](const std::string& service, const ipc::ProgressEvent& progress) {
                 send_progress(service, progress);
               }}) {}

Project::~Project() { *alive_ = false; }

const Supervisor::Unit* Project::find(const std::string& service) const {
  return vanished_.contains(service) ? nullptr : supervisor_.find(service);
}

std::map<std::string, int> Project::auto_ports() const {
  std::map<std::string, int> out;
  for (const auto& [name, unit] : supervisor_.units())
    if (unit.config->auto_port && !vanished_.contains(name)) out[name] = unit.config->port;
  return out;
}

std::optional<project::CapturedValue> Project::captured(const std::string& service,
                                                        const std::string& name) const {
  if (captured_) {
    const auto it = captured_->find(name);
    return it == captured_->end() ? std::nullopt : std::optional(it->second);
  }
  const Supervisor::Unit* unit = supervisor_.find(service);
  const auto context = unit != nullptr ? unit->user : user();
  if (!context) return std::nullopt;
  const auto it = context->env.find(name);
  if (it == context->env.end()) return std::nullopt;
  return project::CapturedValue{it->second, /*from_env=*/true};
}

std::shared_ptr<const project::UserContext> Project::user() const {
  if (user_ || supervisor_.units().empty()) return user_;
  return supervisor_.units().begin()->second.user;
}

void Project::capture(project::Capture capture, std::shared_ptr<const project::UserContext> user) {
  captured_ = std::move(capture);
  user_ = std::move(user);
}

Result<std::set<std::string>> Project::apply(
    const std::map<std::string, project::ServiceConfig>& configs,
    const std::set<std::string>& selected, std::shared_ptr<const project::UserContext> user,
    const std::set<std::string>& renewed, bool refresh,
    const std::map<std::string, std::string>& again) {
  std::set<std::string> vanished, restart, start, await;
  republished_.clear();
  for (const auto& [name, unit] : supervisor_.units())
    if (!configs.contains(name)) vanished.insert(name);
  for (const auto& [name, config] : configs) {
    const Supervisor::Unit* unit = supervisor_.find(name);
    const bool wanted = selected.contains(name);
    const Json now = project::canonical_form(config);
    const Json before = unit != nullptr ? project::canonical_form(*unit->config) : Json();
    const bool same = before == now;
    if (wanted) await.insert(name);
    const bool other = !same || renewed.contains(name);
    const bool republished = unit != nullptr && same && unit->config->ports != config.ports;
    if (republished && !unit->state.ended()) republished_.insert(name);
    if (wanted)
      changes_[name] =
          unit == nullptr || (unit->state.ended() && !(other && unit->state.phase == Phase::exited))
              ? "started"
          : other       ? "recreated: " + (same ? "a new build" : changed_keys(before, now))
          : republished ? "ports changed: now " + ports_text(config)
                        : "unchanged";
    if (wanted && unit != nullptr && other && !unit->state.ended()) {
      restart.insert(name);
    } else if (wanted && !other && again.contains(name)) {
      start.insert(name);
      changes_[name] = again.at(name);
    } else if (wanted && (unit == nullptr || other || unit->state.phase != Phase::exited ||
                          !(unit->state.exit && unit->state.exit->success()))) {
      start.insert(name);
    } else if (wanted) {
      changes_[name] = "unchanged";  // it has completed, as before
    }
    // One that is not asked for keeps what it runs on.
    if (unit == nullptr)
      supervisor_.define(name, std::make_shared<project::ServiceConfig>(config), user,
                         next_segment(name));
    else if (wanted && (!same || refresh))
      supervisor_.define(name, std::make_shared<project::ServiceConfig>(config),
                         refresh ? user : unit->user, unit->first_segment);
    else if (same && (unit->config->late != config.late || unit->config->ports != config.ports ||
                      unit->config->port != config.port || unit->config->once != config.once ||
                      unit->config->watch != config.watch))
      // Says the same, and more or less of why; what is published netd does.
      supervisor_.define(name, std::make_shared<project::ServiceConfig>(config), unit->user,
                         unit->first_segment);
    if (wanted) unwanted_.erase(name);
    vanished_.erase(name);
  }
  vanished_.insert(vanished.begin(), vanished.end());
  await.insert(vanished.begin(), vanished.end());
  TRY(define_networks());
  TRY(save_configs());
  supervisor_.stop(vanished);
  supervisor_.note_built(renewed);
  taken_up(restart);
  taken_up(start);
  watch_again(restart);
  watch_again(start);
  supervisor_.restart(restart);
  supervisor_.start(start);
  return await;
}

Networks::Services Project::after(const std::map<std::string, project::ServiceConfig>& configs,
                                  const std::set<std::string>& selected) const {
  Networks::Services out;
  for (const auto& [name, config] : configs) {
    const Supervisor::Unit* unit = supervisor_.find(name);
    if (unit != nullptr && !selected.contains(name) &&
        project::canonical_form(*unit->config) != project::canonical_form(config))
      out[name] = unit->config;
    else
      out[name] = std::make_shared<project::ServiceConfig>(config);
  }
  return out;
}

PortTrial Project::ports_to_try(const std::map<std::string, project::ServiceConfig>& configs,
                                const std::set<std::string>& selected) const {
  PortTrial out;
  const Networks::Services after = this->after(configs, selected);
  for (const auto& [name, unit] : supervisor_.units()) {
    if (unit.state.ended()) continue;
    // What is published is what its configuration says now, without a restart.
    for (const auto& now : {unit.active, unit.config})
      if (now != nullptr)
        for (PublishedPort& port : host_ports(*now)) out.held.push_back(std::move(port));
    if (const auto next = after.find(name); next != after.end())
      for (PublishedPort& port : host_ports(*next->second)) out.wanted.push_back(std::move(port));
  }
  std::erase_if(out.wanted, [&](const PublishedPort& port) {
    return std::find_if(out.held.begin(), out.held.end(), [&](const PublishedPort& held) {
             return held.udp == port.udp && held.outside == port.outside;
           }) != out.held.end();
  });
  return out;
}

Result<void> Project::define_networks() {
  if (deps_.networks == nullptr) return {};
  Networks::Services services;
  for (const auto& [name, unit] : supervisor_.units()) services[name] = unit.config;
  return deps_.networks->define(name_, services);
}

/// What its published ports and those who reach it by name meet now.
void Project::tell_network(const std::string& service) {
  const Supervisor::Unit* unit = supervisor_.find(service);
  if (deps_.networks == nullptr || service.empty()) return;
  if (unit != nullptr && unit->config->network == "host")
    return deps_.networks->set_listening(name_, service, unit->endpoint, unit->sockets);
  Gate gate = Gate::closed;
  if (unit != nullptr && unit->state.phase == Phase::running)
    gate = Gate::open;
  else if (unit != nullptr && !unit->state.ended() &&
           (unit->state.phase != Phase::stopping || unit->state.again))
    gate = Gate::reset;
  deps_.networks->set_gate(name_, service, gate);
  if (unit == nullptr) deps_.networks->set_listening(name_, service, {}, {});
}

void Project::build(const RunningApp& app, std::function<void(Result<Json> content)> done) {
  // The last word counts: an earlier `stop` may still be at work; one that comes during the build
  // leaves them stopped.
  for (const std::string& service : app.services) unwanted_.erase(service);
  builds_.start(app, std::move(done));
}

void Project::start(const std::set<std::string>& services) {
  for (const std::string& s : services) unwanted_.erase(s);
  taken_up(services);
  watch_again(services);
  supervisor_.start(services);
}

void Project::stop(const std::set<std::string>& services) {
  unwanted_.insert(services.begin(), services.end());
  supervisor_.stop(services);
  for (const std::string& s : services) changed(s);
}

void Project::restart(const std::set<std::string>& services) {
  watch_again(services);
  restart_now(services);
}

void Project::restart_now(const std::set<std::string>& services) {
  for (const std::string& s : services) unwanted_.erase(s);
  taken_up(services);
  supervisor_.restart(services);
}

void Project::bring_down(bool volumes, bool kill) {
  going_down_ = true;
  remove_volumes_ = remove_volumes_ || volumes;
  builds_.cancel_all();
  std::set<std::string> all;
  for (const auto& [name, unit] : supervisor_.units()) all.insert(name);
  save_state();
  end_waits(/*all=*/false);
  supervisor_.stop(all, kill);
  check_down();
}

void Project::check_down() {
  if (!going_down_ || is_down_) return;
  for (const auto& [name, unit] : supervisor_.units())
    if (!supervisor_.quiet(name)) return;
  is_down_ = true;
  deps_.loop.post([quiet = deps_.quiet, name = name_] { quiet(name); });
}

void Project::close() {
  for (const auto& [service, unit] : supervisor_.units()) deps_.launcher.removed(name_, service);
  remove_records(deps_.paths, name_);
  for (const ReplyPtr& reply : watchers_) reply->result(ipc::EmptyReply());
  watchers_.clear();
  end_waits(/*all=*/true);
}

Project::Subscription Project::subscribe(ReplyPtr reply, std::set<std::string> services,
                                         bool present) {
  const Subscription id = next_id_++;
  reply->on_hangup([this, alive = alive_, id] {
    if (*alive) unsubscribe(id);
  });
  if (present)
    for (const auto& [name, unit] : supervisor_.units())
      if (services.empty() || services.contains(name)) send_state(reply, *status(name));
  subscribers_[id] = {std::move(reply), std::move(services)};
  return id;
}

void Project::unsubscribe(Subscription id) { subscribers_.erase(id); }

void Project::watch(const ReplyPtr& reply) {
  subscribe(reply, {}, /*present=*/true);
  watchers_.push_back(reply);
}

std::string Project::worded(const std::string& text) const {
  return compose_ ? project::in_compose_words(text) : text;
}

void Project::notice(const std::string& service, const std::string& text) {
  const std::string told = worded(text);
  if (deps_.happened)
    deps_.happened({.kind = "notice", .project = name_, .service = service, .text = told});
  send(encode_text(ipc::NoticeEvent{.service = service, .text = told}), service);
}

void Project::send(const JsonText& event, const std::string& service) {
  for (const auto& [id, s] : subscribers_)
    if (s.services.empty() || s.services.contains(service)) s.reply->event(event);
}

void Project::send_progress(const std::string& service, ipc::ProgressEvent progress) {
  progress.service = service;
  send(encode_text(progress), service);
}

void Project::changed(const std::string& service) {
  if (!service.empty()) dirty_.insert(service);
  if (std::exchange(flush_posted_, true)) return;
  deps_.loop.post([this, alive = alive_] {
    if (*alive) flush();
  });
}

void Project::flush() {
  flush_posted_ = false;
  bool save = false, removed = false;
  const std::set<std::string> dirty = std::exchange(dirty_, {});
  for (const std::string& service : dirty) {
    tell_network(service);
    watch_files(service);
    if (vanished_.contains(service) && supervisor_.quiet(service)) {
      vanished_.erase(service);
      supervisor_.remove(service);
      removed = true;
    }
    if (supervisor_.find(service) != nullptr) {
      std::string now = record(service);
      std::string& before = records_[service];
      save = save || now != before;
      before = std::move(now);
    } else {
      save = records_.erase(service) != 0 || save;
    }
  }
  // Its name and its address are nobody's from now on. Fewer services always fit.
  if (removed && !going_down_) (void)define_networks();
  // Before anybody hears of it.
  if (save && !is_down_) save_state();
  for (const std::string& service : dirty) {
    tell_change(service);
    check(service);
  }
  std::erase_if(watchers_, [](const ReplyPtr& reply) { return !reply->open(); });
  check_down();
}

void Project::tell_change(const std::string& service) {
  const bool there = supervisor_.find(service) != nullptr;
  if (subscribers_.empty() && !deps_.happened) return;
  const auto now = there ? status(service) : std::nullopt;
  if (deps_.happened && !service.empty())
    deps_.happened(
        {.kind = there ? "state" : "removed", .project = name_, .service = service, .status = now});
  if (now && !subscribers_.empty()) send(encode_text(ipc::StateEvent{.service = *now}), service);
}

void Project::set_exposed(const std::string& service, int shim_pid, const std::string& text) {
  exposed_[service] = {shim_pid, text};
  notice(service, text);
}

std::optional<ipc::ServiceStatus> Project::status(const std::string& service) const {
  const Supervisor::Unit* unit = supervisor_.find(service);
  if (unit == nullptr) return std::nullopt;
  ipc::ServiceStatus out = service_status(service, *unit, supervisor_.probe_failure(service));
  if (deps_.networks != nullptr && out.network == "project")
    for (auto& [name, address] : deps_.networks->places(name_, service))
      out.networks.push_back({std::move(name), std::move(address)});
  const auto it = exposed_.find(service);
  if (it != exposed_.end() && it->second.first == unit->shim_pid && unit->shim_pid != 0 &&
      unit->state.phase == Phase::running && !out.reason)
    out.reason = it->second.second;
  if (deps_.networks != nullptr && !out.reason)
    if (std::string lacking = deps_.networks->lacking(name_, service); !lacking.empty())
      out.reason = std::move(lacking);
  if (const auto paused = watched_.find(service);
      paused != watched_.end() && !paused->second.paused.empty() && !out.reason)
    out.reason = paused->second.paused;
  if (builds_.under_way(service))
    out.reason = "still running; checking whether its build is up to date";
  if (out.reason) out.reason = worded(*out.reason);
  return out;
}

std::vector<ipc::ServiceStatus> Project::status() const {
  std::vector<ipc::ServiceStatus> out;
  out.reserve(supervisor_.units().size());
  for (const auto& [name, unit] : supervisor_.units())
    if (!vanished_.contains(name)) out.push_back(*status(name));
  return out;
}

}  // namespace locald::server
