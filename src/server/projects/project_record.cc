// What is written down of a Project, and how the next server goes on from it.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json/fields.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "project/canonical_text.h"
#include "server/projects/project.h"

namespace locald::server {
namespace {

constexpr int kRecordFormat = 1;

/// A service in the project's record.
struct ServiceEntry {
  Json config;
  std::vector<Json> late;
  std::optional<std::size_t> context;  ///< which of the record's
  std::uint64_t first_segment = 0;

  static const Fields& fields() {
    using E = ServiceEntry;
    static const Fields table = FieldsOf<E>("service")
                                    .required("config", &E::config, "a ServiceConfig")
                                    .always("late", &E::late, "LateTexts")
                                    .required("context", &E::context, "")
                                    .always("first_segment", &E::first_segment, "");
    return table;
  }
};

struct CapturedEntry {
  bool from_env = false;
  std::optional<std::string> value;

  static const Fields& fields() {
    using E = CapturedEntry;
    static const Fields table = FieldsOf<E>("captured variable")
                                    .always("env", &E::from_env, "")
                                    .field("value", &E::value, "");
    return table;
  }
};

struct CapturedPart {
  std::map<std::string, CapturedEntry> values;
  std::optional<std::size_t> context;

  static const Fields& fields() {
    using E = CapturedPart;
    static const Fields table =
        FieldsOf<E>("captured").always("values", &E::values, "").field("context", &E::context, "");
    return table;
  }
};

struct RecordEntry {
  int format = 0;
  std::string name, dir, file;
  std::vector<Json> contexts;
  std::map<std::string, ServiceEntry> services;
  std::optional<CapturedPart> captured;
  std::optional<Wishes> wishes;

  static const Fields& fields() {
    using E = RecordEntry;
    static const Fields table = FieldsOf<E>("the project's record")
                                    .always("format", &E::format, "")
                                    .always("name", &E::name, "")
                                    .required("dir", &E::dir, "")
                                    .required("file", &E::file, "")
                                    .always("contexts", &E::contexts, "UserContexts")
                                    .always("services", &E::services, "")
                                    .field("captured", &E::captured, "")
                                    .field("wishes", &E::wishes, "");
    return table;
  }
};

/// What became of a service, in the project's state.
struct StateEntry {
  bool wanted = true;
  int restarts = 0;
  std::string phase, reason;  ///< exited and failed alone are written
  bool inherited = false;
  std::uint64_t life = 0;
  std::optional<int> code, signal;
  std::string exit_reason;
  std::optional<bool> never_ran;           ///< its end is known
  std::optional<std::uint64_t> due_after;  ///< it is to be started when that life is over

  static const Fields& fields() {
    using E = StateEntry;
    static const Fields table = FieldsOf<E>("service")
                                    .always("wanted", &E::wanted, "")
                                    .field("restarts", &E::restarts, "")
                                    .field("phase", &E::phase, "")
                                    .field("reason", &E::reason, "")
                                    .field("inherited", &E::inherited, "")
                                    .field("life", &E::life, "")
                                    .field("code", &E::code, "")
                                    .field("signal", &E::signal, "")
                                    .field("exit_reason", &E::exit_reason, "")
                                    .field("never_ran", &E::never_ran, "")
                                    .field("due_after", &E::due_after, "");
    return table;
  }
};

struct StateRecord {
  int format = kRecordFormat;
  bool down = false, volumes = false;
  std::map<std::string, StateEntry> services;

  static const Fields& fields() {
    using E = StateRecord;
    static const Fields table = FieldsOf<E>("the project's state")
                                    .always("format", &E::format, "")
                                    .always("down", &E::down, "")
                                    .always("volumes", &E::volumes, "")
                                    .always("services", &E::services, "");
    return table;
  }
};

StateEntry state_entry(const Supervisor::Unit& unit, bool wanted) {
  const ServiceState& s = unit.state;
  StateEntry out{.wanted = wanted};
  out.restarts = s.history.restarts;
  if (wanted) out.due_after = unit.due_after();
  if (s.phase == Phase::exited || s.phase == Phase::failed) {
    out.phase = to_string(s.phase);
    out.reason = s.reason;
    out.inherited = s.inherited;
    out.life = unit.life;
  }
  if (s.exit && s.ended()) {
    out.code = s.exit->code;
    out.signal = s.exit->signal;
    out.exit_reason = s.exit->reason;
    out.never_ran = s.exit->never_ran;
  }
  return out;
}

ServiceState restored_state(const StateEntry& entry) {
  ServiceState state;
  state.phase = entry.phase == "exited"   ? Phase::exited
                : entry.phase == "failed" ? Phase::failed
                                          : Phase::stopped;
  state.reason = entry.reason;
  state.inherited = entry.inherited;
  state.history.restarts = entry.restarts;
  if (entry.never_ran) {
    ExitInfo exit;
    exit.code = entry.code;
    exit.signal = entry.signal;
    exit.reason = entry.exit_reason;
    exit.never_ran = *entry.never_ran;
    state.exit = std::move(exit);
  }
  return state;
}

/// Without it (the server died in between) everything counts as wanted.
StateRecord read_state(const Json& document) {
  return decode<StateRecord>(document, Reading::tolerant).value_or(StateRecord());
}

}  // namespace

std::uint64_t Project::next_segment(const std::string& service) const {
  std::uint64_t last = 0;
  auto dir =
      sys::open(deps_.paths.service_log(name_, project::slug(service)), O_RDONLY | O_DIRECTORY);
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
  RecordEntry out{
      .format = kRecordFormat, .name = name_, .dir = dir_, .file = file_, .contexts = {}};
  std::vector<const project::UserContext*> contexts;
  const auto number_of = [&](const project::UserContext* context) {
    auto it = std::find(contexts.begin(), contexts.end(), context);
    if (it == contexts.end()) it = contexts.insert(it, context);
    return static_cast<std::size_t>(it - contexts.begin());
  };
  for (const auto& [service, unit] : supervisor_.units()) {
    ServiceEntry& entry = out.services[service];
    entry.config = unit.config->to_json();
    for (const project::LateText& text : unit.config->late) entry.late.push_back(text.to_json());
    entry.context = number_of(unit.user.get());
    entry.first_segment = unit.first_segment;
  }
  if (captured_) {
    out.captured.emplace();
    for (const auto& [variable, value] : *captured_)
      out.captured->values[variable] = {value.from_env, value.value};
    if (user_) out.captured->context = number_of(user_.get());
  }
  if (wishes_.any()) out.wishes = wishes_;
  for (const project::UserContext* context : contexts) out.contexts.push_back(context->to_json());
  (void)TRY(make_dirs(deps_.paths.run_projects()));
  return write_file_atomic(deps_.paths.run_project(name_), encode_text(out).str(), 0600)
      .context("write down project " + name_);
}

std::string Project::record(const std::string& service) const {
  const bool wanted = !unwanted_.contains(service) && !vanished_.contains(service);
  return encode_text(state_entry(*supervisor_.find(service), wanted)).str();
}

void Project::save_state() {
  StateRecord out{.down = going_down_, .volumes = remove_volumes_, .services = {}};
  for (const auto& [service, unit] : supervisor_.units())
    out.services[service] =
        state_entry(unit, !unwanted_.contains(service) && !vanished_.contains(service));
  const std::string text = encode_text(out).str();
  if (auto written = write_file_atomic(deps_.paths.run_project_state(name_), text, 0600); !written)
    notice("", "the project's state could not be written down: " + written.error().text());
}

Result<void> Project::write_back() {
  if (is_down_) return {};
  if (!exists(deps_.paths.run_project(name_))) TRY(save_configs());
  if (!exists(deps_.paths.run_project_state(name_))) save_state();
  supervisor_.write_back();
  return {};
}

Result<std::unique_ptr<Project>> Project::restore(Deps deps, const std::string& name) {
  const std::string path = deps.paths.run_project(name);
  // Environments are any bytes, and their names may differ in case alone.
  const Json doc =
      TRY(Json::parse(TRY(read_file(path)), {.reject_duplicates = false, .any_bytes = true})
              .context(path));
  if (doc["format"].as_int() != kRecordFormat)
    return Error(Errc::unsupported, fmt::format("{} has format {}, this locald knows {}", path,
                                                doc["format"].as_int(), kRecordFormat));
  const RecordEntry record = TRY(decode<RecordEntry>(doc, Reading::tolerant).context(path));
  if (record.name != name)
    return Error(Errc::corrupt, fmt::format("{} is of project \"{}\"", path, record.name));
  std::vector<std::shared_ptr<const project::UserContext>> contexts;
  for (const Json& c : record.contexts)
    contexts.push_back(
        std::make_shared<project::UserContext>(TRY(project::UserContext::from_json(c))));
  auto project = std::make_unique<Project>(std::move(deps), name, record.dir, record.file);
  for (const auto& [service, entry] : record.services) {
    if (!entry.context || *entry.context >= contexts.size())
      return Error(Errc::corrupt, fmt::format("{}: {} has no context", path, service));
    auto config = std::make_shared<project::ServiceConfig>(
        TRY(project::ServiceConfig::from_json(entry.config)));
    for (const Json& text : entry.late) config->late.push_back(project::LateText::from_json(text));
    project->supervisor_.define(service, std::move(config), contexts[*entry.context],
                                entry.first_segment);
  }
  if (record.captured) {
    project::Capture values;
    for (const auto& [variable, entry] : record.captured->values)
      values[variable] = {entry.value, entry.from_env};
    const std::size_t index = record.captured->context.value_or(contexts.size());
    project->capture(std::move(values), index < contexts.size() ? contexts[index] : nullptr);
  }
  project->wishes_ = record.wishes.value_or(Wishes());
  if (auto text = read_file(project->deps_.paths.run_project_state(name)))
    if (auto state = Json::parse(*text)) project->restored_ = std::move(*state);
  for (const auto& [service, entry] : read_state(project->restored_).services)
    if (!entry.wanted) project->unwanted_.insert(service);
  return project;
}

void Project::adopt_networks() {
  if (deps_.networks == nullptr) return;
  if (auto defined = define_networks(); !defined)
    return notice("", "the project's network: " + defined.error().text());
  std::map<std::string, int> shims;
  for (const auto& [name, unit] : supervisor_.units())
    if (unit.shim_pid != 0) shims[name] = unit.shim_pid;
  deps_.networks->adopt(name_, shims);
}

void Project::settle(const Adopted& adopted) {
  adopt_networks();
  const StateRecord restored = read_state(restored_);
  std::set<std::string> start, restart, stop;
  for (const auto& [name, unit] : supervisor_.units()) {
    const auto found = restored.services.find(name);
    const StateEntry entry = found == restored.services.end() ? StateEntry() : found->second;
    if (const auto found_life = adopted.find(name); found_life != adopted.end()) {
      const std::string& started_with = found_life->second;
      if (unwanted_.contains(name))
        stop.insert(name);
      else if ((entry.due_after && unit.life <= *entry.due_after) ||
               (!started_with.empty() && started_with != project::configuration_id(*unit.config)))
        restart.insert(name);
      continue;
    }
    if (!entry.phase.empty() || entry.code || entry.signal)
      supervisor_.restore(name, restored_state(entry), entry.life);
    else if (!unwanted_.contains(name))
      start.insert(name);
  }
  if (restored.down) return bring_down(restored.volumes);
  supervisor_.stop(stop);
  supervisor_.restart(restart);
  supervisor_.start(start);
}

}  // namespace locald::server
