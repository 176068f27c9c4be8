#include "server/instances/containers.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/transient.h"
#include "base/units.h"
#include "builder/image_source.h"
#include "builder/volume_text.h"
#include "builder/volumes.h"
#include "net/network.h"
#include "project/project_spec.h"
#include "project/service_config.h"
#include "project/units.h"
#include "server/http/request.h"
#include "server/launch/command_note.h"
#include "server/launch/container_source.h"
#include "server/progress_event.h"
#include "server/state/state_file.h"

namespace locald::server {
namespace {

constexpr int kFormat = 1;
constexpr std::chrono::seconds kRetry{1};

/// One of containers.json.
struct ContainerEntry {
  std::string name, image, nonce;
  std::vector<std::string> command;
  std::string state, created_at, started_at;
  std::optional<int> exit_code, signal;
  std::string reason;

  static const Fields& fields() {
    using E = ContainerEntry;
    static const Fields table = FieldsOf<E>("container")
                                    .always("name", &E::name, "")
                                    .always("image", &E::image, "")
                                    .always("nonce", &E::nonce, "")
                                    .always("command", &E::command, "")
                                    .always("state", &E::state, "")
                                    .always("created_at", &E::created_at, "")
                                    .always("started_at", &E::started_at, "")
                                    .always("exit_code", &E::exit_code, "")
                                    .always("signal", &E::signal, "")
                                    .always("reason", &E::reason, "");
    return table;
  }
};

bool is_id(const std::string& name) {
  return name.size() == 12 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

Result<Containers> Containers::load(Deps deps, std::string& notice) {
  const std::string file = deps.paths.containers_file();
  Containers out(std::move(deps));
  const Json doc = TRY(load_state_file(file, kFormat, "containers", notice));
  std::string damaged;
  for (const auto& [id, json] : doc["containers"].as_object()) {
    if (!is_id(id) || !json.is_object()) {
      damaged = id;
      continue;
    }
    // What cannot be read of one is lost, its folder is not.
    const ContainerEntry entry =
        decode<ContainerEntry>(json, Reading::tolerant).value_or(ContainerEntry());
    Container& c = out.all_[id];
    c.id = id;
    c.name = entry.name;
    c.image = entry.image;
    c.nonce = entry.nonce;
    c.command = entry.command;
    c.state = entry.state;
    c.created_at = entry.created_at;
    c.started_at = entry.started_at;
    c.exit_code = entry.exit_code;
    c.signal = entry.signal;
    c.reason = entry.reason;
  }
  if (!damaged.empty())  // settle() writes the others down again
    set_state_file_aside(file, "the entry \"" + damaged + "\" is damaged", notice);
  // Their list was damaged, or deleted (settle() sees to it that there is one): what they left on
  // disk still tells of them, so that it can be removed.
  const bool lost = !notice.empty() || !exists(file);
  for (const std::string& id :
       lost ? names_in(out.deps_.paths.containers()) : std::vector<std::string>()) {
    if (!is_id(id)) continue;
    Container& c = out.all_[id];
    if (!c.id.empty()) continue;
    c.id = id;
    c.state = "exited";
    c.reason = "its record was lost; its image and exit status are unknown";
  }
  return out;
}

void Containers::save() {
  Json list = Json::object();
  for (const auto& [id, c] : all_)
    if (!c.rm)
      list.set(id, encode(ContainerEntry{c.name, c.image, c.nonce, c.command, c.state, c.created_at,
                                         c.started_at, c.exit_code, c.signal, c.reason}));
  const Json doc = Json::object({{"containers", std::move(list)}});
  if (auto written = save_state_file(deps_.paths.containers_file(), kFormat, doc); !written)
    fmt::print(stderr, "containers.json: {}\n", written.error().text());
}

/// All of one that does not run.
void Containers::discard(Container& c) {
  if (!std::exchange(c.rm, true)) save();
  share(c, {});
  c.instance = begin(c);
  c.instance.clean();
}

void Containers::cleaned(const std::string& id, const Result<void>& result) {
  Container& c = all_.at(id);
  if (deps_.networks != nullptr) deps_.networks->leave(c.network);
  if (c.rm) {
    if (!result) fmt::print(stderr, "container {}: {}\n", id, result.error().text());
    if (!result && may_pass(result.error())) {
      // Callers that wait are told now; the rest is removed once there is room for it.
      for (const auto& call : std::exchange(c.when_gone, {})) call(result);
      c.retry = deps_.loop.after(kRetry, [this, id] {
        Container& left = all_.at(id);  // its timer ends with it
        if (left.instance.state() == runtime::Instance::State::gone) discard(left);
      });
      return;
    }
    const auto node = all_.extract(id);
    for (const auto& call : node.mapped().when_gone) call(result);
  } else if (!c.when_gone.empty()) {  // asked for while it was being cleaned up
    discard(c);
  }
  look_if_quiet();
}

void Containers::look_if_quiet() {
  for (const auto& [id, c] : all_)
    if (c.instance.state() != runtime::Instance::State::gone) return;
  for (const auto& call : std::exchange(when_quiet_, {})) call();
}

Result<void> Containers::discard(const Tools& tools, const std::string& id,
                                 const std::string& nonce, const std::stop_token& stop) {
  TRY(tools.runtime.clean(id, nonce));
  TRY(builder::discard_anonymous_volumes(tools.environment, kProject, id));
  const std::string log = tools.environment.paths().service_log(kProject, id);
  TRY(remove_tree(log.substr(0, log.rfind('/'))));
  TRY(builder::discard_container(tools.environment, id));
  return builder::sweep_discarded(tools.environment, stop).context("remove container " + id);
}

ipc::ContainerStatus Containers::describe(const Container& c) {
  ipc::ContainerStatus out{.id = c.id,
                           .image = c.image,
                           .command = c.command,
                           .state = c.state,
                           .created_at = c.created_at,
                           .exit_code = c.exit_code,
                           .network = c.network.text,
                           .ports = c.network.published()};
  if (!c.name.empty()) out.name = c.name;
  if (c.pid != 0) out.pid = c.pid;
  if (!c.started_at.empty()) out.started_at = c.started_at;
  if (c.signal) out.signal = project::signal_name(*c.signal);
  if (!c.reason.empty()) out.reason = c.reason;
  return out;
}

void Containers::list(const ipc::ContainerListRequest&, const ReplyPtr& reply) {
  ipc::ContainerListReply out;
  for (const auto& [id, c] : all_) out.containers.push_back(describe(c));
  reply->result(out);
}

Result<Containers::Container*> Containers::find(const std::string& text) {
  for (auto& [id, c] : all_)
    if (id == text || (!c.name.empty() && c.name == text)) return &c;
  Container* found = nullptr;
  for (auto& [id, c] : all_)
    if (!text.empty() && id.starts_with(text)) {
      if (found != nullptr)
        return Error(Errc::invalid_input, fmt::format("ambiguous container id \"{}\"", text))
            .with_hint("give more characters of the id");
      found = &c;
    }
  if (found == nullptr)
    return Error(Errc::not_found, fmt::format("there is no container \"{}\"", text))
        .with_hint("see them: locald container ls");
  return found;
}

void Containers::remove(const ipc::ContainerRemoveRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    const bool force = request.force;
    const ContainerVerb verb = force ? ContainerVerb::remove_forced : ContainerVerb::remove;
    std::set<std::string> ids;  // two words may mean one
    for (const std::string& text : request.ids) {
      Container& c = *TRY(find(text));
      if (meets(verb, state_of(c)) == Meets::refuse)
        return Error(Errc::invalid_input,
                     fmt::format(
                         "container {} is {}", text,
                         state_of(c) == ContainerState::starting ? "being started" : "running"))
            .with_hint("stop it at once and remove it: locald container rm -f " + text);
      ids.insert(c.id);
    }
    struct Work {
      std::size_t left;
      ipc::ContainerRemoveReply reply;
      std::optional<Error> error;
    };
    auto work = std::make_shared<Work>(Work{ids.size(), {}, std::nullopt});
    if (ids.empty()) reply->result(work->reply);
    for (const std::string& id : ids)
      remove_one(all_.at(id), force, [work, reply, id](const Result<void>& result) {
        if (result)
          work->reply.removed.push_back(id);
        else if (!work->error)
          work->error = result.error();
        if (--work->left != 0) return;
        if (work->error)
          reply->error(*work->error);
        else
          reply->result(work->reply);
      });
    save();
    return {};
  });
}

/// @param done  Once, when it is gone or could not be removed.
void Containers::remove_one(Container& c, bool force,
                            std::function<void(const Result<void>&)> done) {
  switch (meets(force ? ContainerVerb::remove_forced : ContainerVerb::remove, state_of(c))) {
    case Meets::refuse:
      return done(Error(Errc::invalid_input, fmt::format("container {} is running", c.id)));
    case Meets::queue:
    case Meets::join:
      c.when_gone.push_back(std::move(done));
      return;
    case Meets::go:
      break;
  }
  if (state_of(c) == ContainerState::ended) {
    c.when_gone.push_back(std::move(done));
    return discard(c);
  }
  c.start.cancel();
  if (auto killed = c.instance.stop(SIGKILL, std::chrono::milliseconds(0));
      !killed && killed.error().code() != Errc::not_found)  // else it ends by itself now
    return done(killed);
  // Its end does the rest: as one with --rm it is discarded then.
  c.rm = true;
  c.when_gone.push_back(std::move(done));
}

void Containers::adopt(const runtime::InstanceMeta& meta, const std::string& instance,
                       const std::string& nonce, std::unique_ptr<runtime::ServiceHandle> live,
                       const runtime::ExitStatus& exit) {
  Container& c = all_[instance];
  if (c.image.empty()) {
    c.id = instance;
    c.state = "starting";
    c.reason.clear();
    c.name = meta.name;
    c.image = meta.image;
    c.created_at = now_text();
    c.rm = meta.rm;
  }
  c.nonce = nonce;
  c.instance = begin(c);
  if (live == nullptr) return c.instance.end(exit);
  share(c, meta.writable);
  c.network.text = meta.network.empty() ? net::HostNetwork::kName : meta.network;
  c.network.range = meta.range;
  c.network.ports = meta.ports;
  if (deps_.networks != nullptr) deps_.networks->expect(c.id, c.name, c.network.text);
  c.instance.own(std::move(live));
}

/// One that runs since an earlier server's time, with what it is connected to.
Result<void> Containers::reconnect(Container& c) {
  if (c.instance.handle() == nullptr || deps_.networks == nullptr) return {};
  auto network = TRY(
      deps_.networks->find(c.id, c.name, c.network.text, c.network.ports).context("its network"));
  network.range = c.network.range;
  c.network = std::move(network);
  TRY(deps_.networks->adopt(c.network, c.instance.handle()->shim_pid()));
  deps_.networks->set_running(c.network, true);
  return {};
}

bool Containers::is_rest(const std::string& instance) const {
  return is_id(instance) && !all_.contains(instance) && exists(deps_.paths.container(instance));
}

void Containers::remove_rest(const std::string& instance, const std::string& nonce) {
  Container& c = all_[instance];
  c.id = instance;
  c.nonce = nonce;
  c.rm = true;
  c.state = "exited";
  c.reason = "its start or its removal was interrupted";
  discard(c);
}

void Containers::settle() {
  for (auto& [id, c] : all_)
    if (auto connected = reconnect(c); !connected)
      fmt::print(stderr, "container {}: {}\n", id, connected.error().text());
  for (auto& [id, c] : all_)
    if (c.instance.handle() == nullptr && (c.state == "running" || c.state == "starting")) {
      c.state = "exited";
      c.reason = "its exit status is unknown: no server was running";
    }
  for (const std::string& id : names_in(deps_.paths.containers()))
    if (is_rest(id) && !exists(deps_.paths.instance(id)) &&
        !exists(deps_.paths.instance_record(id)))
      remove_rest(id, "");
  if (!exists(deps_.paths.containers_file())) save();
}

ContainerState Containers::state_of(const std::string& name) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const auto& entry) {
    return entry.first == name || entry.second.name == name;
  });
  return found == all_.end() ? ContainerState::none : state_of(found->second);
}

ContainerState Containers::state_of(const Container& c) {
  // Its removal was asked for: that it has still to end changes nothing for others.
  if (!c.when_gone.empty()) return ContainerState::removing;
  switch (c.instance.state()) {
    case runtime::Instance::State::starting:
      return ContainerState::starting;
    case runtime::Instance::State::running:
      return ContainerState::running;
    case runtime::Instance::State::ending:
      return c.rm ? ContainerState::removing : ContainerState::ending;
    case runtime::Instance::State::gone:
      break;
  }
  return ContainerState::ended;
}

void Containers::write_back() {
  bool written_down = false;
  for (const auto& [id, c] : all_) {
    (void)c.instance.write_back();
    written_down = written_down || !c.rm;
  }
  if (written_down && !exists(deps_.paths.containers_file())) save();
}

std::size_t Containers::running() const {
  return static_cast<std::size_t>(std::count_if(all_.begin(), all_.end(), [](const auto& e) {
    return e.second.instance.handle() != nullptr;
  }));
}

void Containers::stop_all(std::function<void()> done) {
  for (auto& [id, c] : all_) {
    c.start.cancel();
    (void)c.instance.stop(0, std::chrono::seconds(10));
  }
  when_quiet_.push_back(std::move(done));
  look_if_quiet();
}

}  // namespace locald::server
