#include "server/project.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/fs_at.h"
#include "base/strings.h"
#include "base/sys.h"
#include "server/service_status.h"

namespace locald::server {
namespace {

constexpr int kFormat = 1;

/// Nullopt: still to be waited for; else why it failed, "" for well.
std::optional<std::string> settled(const Supervisor::Unit& unit, Project::Until until,
                                   const std::string& probe_failure) {
  const ServiceState& s = unit.state;
  const auto why = [&](std::string_view what) {
    return s.reason.empty() ? std::string(what) : s.reason;
  };
  switch (s.phase) {
    case Phase::failed:
      return why("failed");
    case Phase::stopped:
      return why("was stopped");
    case Phase::exited:
      return s.exit && s.exit->success() ? std::string() : why("has ended");
    case Phase::running:
      if (until == Project::Until::started || unit.health == Health::none ||
          unit.health == Health::healthy)
        return "";
      if (unit.health == Health::unhealthy)
        return "unhealthy" + (probe_failure.empty() ? "" : ": " + probe_failure);
      return std::nullopt;
    case Phase::backoff:
      if (until == Project::Until::started) return "";  // it did
      if (s.history.failures >= kHopelessFailures) return "ends again and again: " + s.reason;
      return std::nullopt;
    case Phase::waiting:
    case Phase::preparing:
    case Phase::starting:
    case Phase::stopping:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

Project::Project(World world, std::string name, std::string dir, std::string file)
    : world_(std::move(world)),
      name_(std::move(name)),
      dir_(std::move(dir)),
      file_(std::move(file)),
      supervisor_(
          world_.loop, world_.launcher, name_, dir_,
          {[this](const std::string& service) { changed(service); },
           [this](const std::string& service, const Json& progress) {
             send_progress(service, progress);
           },
           [this](const std::string& service, const std::string& text) { notice(service, text); },
           [this](const std::string& service) {
             if (on_running) on_running(service);
           }}),
      builds_({world_.build, [this](const std::string& service) { changed(service); },
               [this](const std::string& service, const Json& progress) {
                 send_progress(service, progress);
               }}) {}

Project::~Project() { *alive_ = false; }

std::map<std::string, int> Project::auto_ports() const {
  std::map<std::string, int> out;
  for (const auto& [name, unit] : supervisor_.units())
    if (unit.config->auto_port && !vanished_.contains(name)) out[name] = unit.config->port;
  return out;
}

Result<std::set<std::string>> Project::apply(const std::map<std::string, ServiceConfig>& configs,
                                             const std::set<std::string>& selected,
                                             std::shared_ptr<const UserContext> user,
                                             const std::set<std::string>& renewed) {
  std::set<std::string> vanished, restart, start, await;
  for (const auto& [name, unit] : supervisor_.units())
    if (!configs.contains(name)) vanished.insert(name);
  for (const auto& [name, config] : configs) {
    const Supervisor::Unit* unit = supervisor_.find(name);
    const bool wanted = selected.contains(name);
    const bool same = unit != nullptr && unit->config->to_json() == config.to_json();
    if (wanted) await.insert(name);
    const bool other = !same || renewed.contains(name);
    if (wanted && unit != nullptr && other && !unit->state.ended())
      restart.insert(name);
    else if (wanted && (unit == nullptr || other || unit->state.phase != Phase::exited ||
                        !(unit->state.exit && unit->state.exit->success())))
      start.insert(name);
    // One that is not asked for keeps what it runs on.
    if (unit == nullptr || (wanted && !same))
      supervisor_.define(name, std::make_shared<ServiceConfig>(config), user,
                         unit == nullptr ? next_segment(name) : unit->first_segment);
    if (wanted) unwanted_.erase(name);
    vanished_.erase(name);
  }
  vanished_.insert(vanished.begin(), vanished.end());
  await.insert(vanished.begin(), vanished.end());
  TRY(save_configs());
  supervisor_.stop(vanished);
  supervisor_.restart(restart);
  supervisor_.start(start);
  return await;
}

void Project::build(const RunningApp& app, std::function<void(Result<Json> content)> done) {
  builds_.start(app, std::move(done));
}

void Project::start(const std::set<std::string>& services) {
  for (const std::string& s : services) unwanted_.erase(s);
  supervisor_.start(services);
}

void Project::stop(const std::set<std::string>& services) {
  unwanted_.insert(services.begin(), services.end());
  supervisor_.stop(services);
  for (const std::string& s : services) changed(s);
}

void Project::restart(const std::set<std::string>& services) {
  for (const std::string& s : services) unwanted_.erase(s);
  supervisor_.restart(services);
}

void Project::bring_down(bool volumes, bool kill) {
  going_down_ = true;
  remove_volumes_ = remove_volumes_ || volumes;
  builds_.cancel_all();
  std::set<std::string> all;
  for (const auto& [name, unit] : supervisor_.units()) all.insert(name);
  save_state();
  supervisor_.stop(all, kill);
  check_down();
}

void Project::check_down() {
  if (!going_down_ || is_down_) return;
  for (const auto& [name, unit] : supervisor_.units())
    if (!supervisor_.quiet(name)) return;
  is_down_ = true;
  world_.loop.post([quiet = world_.quiet, name = name_] { quiet(name); });
}

void Project::close() {
  (void)::unlink(world_.paths.run_project(name_).c_str());
  (void)::unlink(world_.paths.run_project_state(name_).c_str());
  for (const ReplyPtr& reply : watchers_) reply->result(Json::object());
  watchers_.clear();
}

void Project::wait(std::set<std::string> services, Until until, std::optional<Milliseconds> timeout,
                   std::function<void(Outcome)> done) {
  const std::uint64_t id = next_id_++;
  Waiting& waiting = waits_[id];
  waiting.services = services;
  waiting.pending = std::move(services);
  waiting.until = until;
  waiting.done = std::move(done);
  if (timeout)
    waiting.timer = world_.loop.after(*timeout, [this, id] {
      waits_[id].outcome.pending = waits_[id].pending;
      finish(id);
    });
  // Looked at in the next flush, with everything that happens until then.
  for (const std::string& s : waiting.pending) dirty_.insert(s);
  if (waiting.pending.empty()) dirty_.insert({});
  changed({});
}

void Project::check(const std::string& service) {
  std::vector<std::uint64_t> finished;
  const Supervisor::Unit* unit = supervisor_.find(service);
  for (auto& [id, waiting] : waits_) {
    if (waiting.pending.empty()) {
      finished.push_back(id);
      continue;
    }
    if (!waiting.pending.contains(service)) continue;
    std::optional<std::string> result;
    if (waiting.until == Until::quiet)
      result = supervisor_.quiet(service) ? std::optional<std::string>("") : std::nullopt;
    else if (vanished_.contains(service))
      continue;  // until it is gone
    else if (unit == nullptr)
      result = "";
    else
      result = settled(*unit, waiting.until, supervisor_.probe_failure(service));
    if (!result) continue;
    if (!result->empty()) waiting.outcome.failed[service] = *result;
    waiting.pending.erase(service);
    if (waiting.pending.empty()) finished.push_back(id);
  }
  for (const std::uint64_t id : finished) finish(id);
}

void Project::finish(std::uint64_t id) {
  auto node = waits_.extract(id);
  if (node.empty()) return;
  // One that was well when it was looked at may have failed while others were waited for.
  Waiting& waiting = node.mapped();
  for (const std::string& service :
       waiting.until == Until::ready ? waiting.services : std::set<std::string>()) {
    const Supervisor::Unit* unit = supervisor_.find(service);
    if (unit == nullptr || waiting.pending.contains(service)) continue;
    if (const auto result = settled(*unit, waiting.until, supervisor_.probe_failure(service));
        result && !result->empty())
      waiting.outcome.failed[service] = *result;
  }
  // By post: whoever waited may go on to change what we are in the middle of.
  world_.loop.post([done = std::move(node.mapped().done),
                    outcome = std::move(node.mapped().outcome)] { done(outcome); });
}

Project::Subscription Project::subscribe(ReplyPtr reply, std::set<std::string> services,
                                         bool present) {
  const Subscription id = next_id_++;
  reply->on_hangup([this, alive = alive_, id] {
    if (*alive) unsubscribe(id);
  });
  if (present)
    for (const auto& [name, unit] : supervisor_.units())
      if (services.empty() || services.contains(name))
        reply->event(Json::object({{"event", "state"}, {"service", status(name)}}));
  subscribers_[id] = {std::move(reply), std::move(services)};
  return id;
}

void Project::unsubscribe(Subscription id) { subscribers_.erase(id); }

void Project::watch(const ReplyPtr& reply) {
  subscribe(reply, {}, /*present=*/true);
  watchers_.push_back(reply);
}

void Project::notice(const std::string& service, const std::string& text) {
  send(Json::object({{"event", "notice"}, {"service", service}, {"text", text}}), service);
}

void Project::send(const Json& event, const std::string& service) {
  for (const auto& [id, s] : subscribers_)
    if (s.services.empty() || s.services.contains(service)) s.reply->event(event);
}

void Project::send_progress(const std::string& service, const Json& progress) {
  Json event = Json::object({{"event", "progress"}, {"service", service}});
  for (const auto& [key, value] : progress.as_object()) event.set(key, value);
  send(event, service);
}

void Project::changed(const std::string& service) {
  if (!service.empty()) dirty_.insert(service);
  if (std::exchange(flush_posted_, true)) return;
  world_.loop.post([this, alive = alive_] {
    if (*alive) flush();
  });
}

void Project::flush() {
  flush_posted_ = false;
  bool save = false;
  const std::set<std::string> dirty = std::exchange(dirty_, {});
  for (const std::string& service : dirty) {
    if (vanished_.contains(service) && supervisor_.quiet(service)) {
      vanished_.erase(service);
      supervisor_.remove(service);
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
  // Before anybody hears of it.
  if (save && !is_down_) save_state();
  for (const std::string& service : dirty) {
    if (supervisor_.find(service) != nullptr && !subscribers_.empty())
      send(Json::object({{"event", "state"}, {"service", status(service)}}), service);
    check(service);
  }
  std::erase_if(watchers_, [](const ReplyPtr& reply) { return !reply->open(); });
  check_down();
}

void Project::set_exposed(const std::string& service, int shim_pid, const std::string& text) {
  exposed_[service] = {shim_pid, text};
  notice(service, text);
}

Json Project::status(const std::string& service) const {
  const Supervisor::Unit* unit = supervisor_.find(service);
  if (unit == nullptr) return {};
  Json out = status_json(service, *unit, supervisor_.probe_failure(service));
  const auto it = exposed_.find(service);
  if (it != exposed_.end() && it->second.first == unit->shim_pid && unit->shim_pid != 0 &&
      out["reason"].is_null())
    out.set("reason", it->second.second);
  if (builds_.under_way(service)) out.set("reason", "is being built anew, and goes on meanwhile");
  return out;
}

Json Project::status() const {
  Json::Array out;
  out.reserve(supervisor_.units().size());
  for (const auto& [name, unit] : supervisor_.units())
    if (!vanished_.contains(name)) out.push_back(status(name));
  return Json(std::move(out));
}

std::uint64_t Project::next_segment(const std::string& service) const {
  std::uint64_t last = 0;
  auto dir = sys::open(world_.paths.service_log(name_, slug(service)), O_RDONLY | O_DIRECTORY);
  if (!dir) return 1;  // never logged
  (void)list_dir(dir->get(), [&](const std::string& file, unsigned char) -> Result<void> {
    if (file.ends_with(".idx"))
      if (const auto number = parse_u64(std::string_view(file).substr(0, file.size() - 4)))
        last = std::max(last, *number);
    return {};
  });
  return last + 1;
}

Result<void> Project::save_configs() const {
  std::vector<const UserContext*> contexts;
  Json services = Json::object();
  for (const auto& [name, unit] : supervisor_.units()) {
    auto it = std::find(contexts.begin(), contexts.end(), unit.user.get());
    if (it == contexts.end()) it = contexts.insert(it, unit.user.get());
    services.set(name, Json::object({{"config", unit.config->to_json()},
                                     {"context", it - contexts.begin()},
                                     {"first_segment", unit.first_segment}}));
  }
  Json users = Json::array();
  for (const UserContext* context : contexts) users.push(context->to_json());
  const Json document = Json::object({{"format", kFormat},
                                      {"name", name_},
                                      {"dir", dir_},
                                      {"file", file_},
                                      {"contexts", users},
                                      {"services", services}});
  (void)TRY(make_dirs(world_.paths.run_projects()));
  return write_file_atomic(world_.paths.run_project(name_), document.dump(), 0600)
      .context("write down project " + name_);
}

std::string Project::record(const std::string& service) const {
  const Supervisor::Unit* unit = supervisor_.find(service);
  const ServiceState& s = unit->state;
  Json out =
      Json::object({{"wanted", !unwanted_.contains(service) && !vanished_.contains(service)}});
  if (s.history.restarts != 0) out.set("restarts", s.history.restarts);
  if (s.phase == Phase::exited || s.phase == Phase::failed) {
    out.set("phase", to_string(s.phase));
    out.set("reason", s.reason);
    out.set("life", unit->life);
  }
  if (s.exit && s.ended()) {
    if (s.exit->code) out.set("code", *s.exit->code);
    if (s.exit->signal) out.set("signal", *s.exit->signal);
    out.set("exit_reason", s.exit->reason);
    out.set("never_ran", s.exit->never_ran);
  }
  return out.dump();
}

void Project::save_state() {
  std::string text = fmt::format("{{\"format\":{},\"down\":{},\"volumes\":{},\"services\":{{",
                                 kFormat, going_down_, remove_volumes_);
  bool first = true;
  for (const auto& [name, unit] : supervisor_.units()) {
    text += fmt::format("{}\"{}\":{}", std::exchange(first, false) ? "" : ",", name, record(name));
  }
  text += "}}";
  if (auto written = write_file_atomic(world_.paths.run_project_state(name_), text, 0600); !written)
    notice("", "the project's state could not be written down: " + written.error().text());
}

Result<std::unique_ptr<Project>> Project::restore(World world, const std::string& name) {
  const std::string path = world.paths.run_project(name);
  // Environments are any bytes, and their names may differ in case alone.
  const Json doc =
      TRY(Json::parse(TRY(read_file(path)), {.reject_duplicates = false, .any_bytes = true})
              .context(path));
  if (doc["format"].as_int() != kFormat)
    return Error(Errc::unsupported, fmt::format("{} has format {}, this locald knows {}", path,
                                                doc["format"].as_int(), kFormat));
  std::vector<std::shared_ptr<const UserContext>> contexts;
  for (const Json& c : doc["contexts"].as_array())
    contexts.push_back(std::make_shared<UserContext>(TRY(UserContext::from_json(c))));
  auto project = std::make_unique<Project>(std::move(world), name, TRY(doc.get_string("dir")),
                                           TRY(doc.get_string("file")));
  for (const auto& [service, entry] : doc["services"].as_object()) {
    const auto index = static_cast<std::size_t>(entry["context"].as_int(-1));
    if (index >= contexts.size())
      return Error(Errc::corrupt, fmt::format("{}: {} has no context", path, service));
    project->supervisor_.define(
        service, std::make_shared<ServiceConfig>(TRY(ServiceConfig::from_json(entry["config"]))),
        contexts[index], static_cast<std::uint64_t>(entry["first_segment"].as_int()));
  }
  // Without it (the server died in between) everything counts as wanted.
  if (auto text = read_file(project->world_.paths.run_project_state(name)))
    if (auto state = Json::parse(*text)) project->restored_ = std::move(*state);
  for (const auto& [service, entry] : project->restored_["services"].as_object())
    if (!entry["wanted"].as_bool(true)) project->unwanted_.insert(service);
  return project;
}

void Project::settle(const std::set<std::string>& adopted) {
  std::set<std::string> start, stop;
  for (const auto& [name, unit] : supervisor_.units()) {
    const Json& entry = restored_["services"][name];
    if (adopted.contains(name)) {
      if (unwanted_.contains(name)) stop.insert(name);
      continue;
    }
    ServiceState state;
    if (entry.contains("phase") || entry.contains("code") || entry.contains("signal")) {
      state.phase = entry["phase"].as_string() == "exited"   ? Phase::exited
                    : entry["phase"].as_string() == "failed" ? Phase::failed
                                                             : Phase::stopped;
      state.reason = entry["reason"].as_string();
      state.history.restarts = static_cast<int>(entry["restarts"].as_int());
      if (entry.contains("never_ran")) {
        ExitInfo exit;
        if (entry.contains("code")) exit.code = static_cast<int>(entry["code"].as_int());
        if (entry.contains("signal")) exit.signal = static_cast<int>(entry["signal"].as_int());
        exit.reason = entry["exit_reason"].as_string();
        exit.never_ran = entry["never_ran"].as_bool();
        state.exit = std::move(exit);
      }
      supervisor_.restore(name, std::move(state),
                          static_cast<std::uint64_t>(entry["life"].as_int()));
    } else if (!unwanted_.contains(name)) {
      start.insert(name);
    }
  }
  if (restored_["down"].as_bool()) return bring_down(restored_["volumes"].as_bool());
  supervisor_.stop(stop);
  supervisor_.start(start);
}

}  // namespace locald::server
