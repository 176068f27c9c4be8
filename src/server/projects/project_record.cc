// What is written down of a Project, and how the next server goes on from it.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "server/projects/project.h"

namespace locald::server {
namespace {

constexpr int kRecordFormat = 1;

}  // namespace

std::uint64_t Project::next_segment(const std::string& service) const {
  std::uint64_t last = 0;
  auto dir =
      sys::open(world_.paths.service_log(name_, project::slug(service)), O_RDONLY | O_DIRECTORY);
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
  std::vector<const project::UserContext*> contexts;
  const auto number_of = [&](const project::UserContext* context) {
    auto it = std::find(contexts.begin(), contexts.end(), context);
    if (it == contexts.end()) it = contexts.insert(it, context);
    return it - contexts.begin();
  };
  Json services = Json::object();
  for (const auto& [name, unit] : supervisor_.units()) {
    Json late = Json::array();
    for (const project::LateText& text : unit.config->late) late.push(text.to_json());
    services.set(name, Json::object({{"config", unit.config->to_json()},
                                     {"late", late},
                                     {"context", number_of(unit.user.get())},
                                     {"first_segment", unit.first_segment}}));
  }
  Json captured;
  if (captured_) {
    Json::Object values;
    for (const auto& [name, value] : *captured_) {
      Json entry = Json::object({{"env", value.from_env}});
      if (value.value) entry.set("value", *value.value);
      values.emplace_back(name, std::move(entry));
    }
    captured = Json::object({{"values", Json(std::move(values))}});
    if (user_) captured.set("context", number_of(user_.get()));
  }
  Json users = Json::array();
  for (const project::UserContext* context : contexts) users.push(context->to_json());
  Json document = Json::object({{"format", kRecordFormat},
                                {"name", name_},
                                {"dir", dir_},
                                {"file", file_},
                                {"contexts", users},
                                {"services", services}});
  if (!captured.is_null()) document.set("captured", std::move(captured));
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
    if (s.inherited) out.set("inherited", true);
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
                                 kRecordFormat, going_down_, remove_volumes_);
  bool first = true;
  for (const auto& [name, unit] : supervisor_.units()) {
    text += fmt::format("{}\"{}\":{}", std::exchange(first, false) ? "" : ",", name, record(name));
  }
  text += "}}";
  if (auto written = write_file_atomic(world_.paths.run_project_state(name_), text, 0600); !written)
    notice("", "the project's state could not be written down: " + written.error().text());
}

Result<void> Project::write_back() {
  if (is_down_) return {};
  if (!exists(world_.paths.run_project(name_))) TRY(save_configs());
  if (!exists(world_.paths.run_project_state(name_))) save_state();
  supervisor_.write_back();
  return {};
}

Result<std::unique_ptr<Project>> Project::restore(World world, const std::string& name) {
  const std::string path = world.paths.run_project(name);
  // Environments are any bytes, and their names may differ in case alone.
  const Json doc =
      TRY(Json::parse(TRY(read_file(path)), {.reject_duplicates = false, .any_bytes = true})
              .context(path));
  if (doc["format"].as_int() != kRecordFormat)
    return Error(Errc::unsupported, fmt::format("{} has format {}, this locald knows {}", path,
                                                doc["format"].as_int(), kRecordFormat));
  if (doc["name"].as_string() != name)
    return Error(Errc::corrupt,
                 fmt::format("{} is of project \"{}\"", path, doc["name"].as_string()));
  std::vector<std::shared_ptr<const project::UserContext>> contexts;
  for (const Json& c : doc["contexts"].as_array())
    contexts.push_back(
        std::make_shared<project::UserContext>(TRY(project::UserContext::from_json(c))));
  auto project = std::make_unique<Project>(std::move(world), name, TRY(doc.get_string("dir")),
                                           TRY(doc.get_string("file")));
  for (const auto& [service, entry] : doc["services"].as_object()) {
    const auto index = static_cast<std::size_t>(entry["context"].as_int(-1));
    if (index >= contexts.size())
      return Error(Errc::corrupt, fmt::format("{}: {} has no context", path, service));
    auto config = std::make_shared<project::ServiceConfig>(
        TRY(project::ServiceConfig::from_json(entry["config"])));
    for (const Json& text : entry["late"].as_array())
      config->late.push_back(project::LateText::from_json(text));
    project->supervisor_.define(service, std::move(config), contexts[index],
                                static_cast<std::uint64_t>(entry["first_segment"].as_int()));
  }
  if (const Json& captured = doc["captured"]; captured.is_object()) {
    project::Capture values;
    for (const auto& [variable, entry] : captured["values"].as_object())
      values[variable] = {
          entry.contains("value") ? std::optional(entry["value"].as_string()) : std::nullopt,
          entry["env"].as_bool()};
    const auto index = static_cast<std::size_t>(captured["context"].as_int(-1));
    project->capture(std::move(values), index < contexts.size() ? contexts[index] : nullptr);
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
      state.inherited = entry["inherited"].as_bool();
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
