#include "server/instances/containers.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/units.h"
#include "builder/image_source.h"
#include "builder/volume_text.h"
#include "builder/volumes.h"
#include "net/network.h"
#include "project/project_spec.h"
#include "project/service_config.h"
#include "project/units.h"
#include "runtime/kept_handle.h"
#include "server/http/request.h"
#include "server/launch/command_note.h"
#include "server/launch/container_source.h"
#include "server/progress_event.h"
#include "server/state/state_file.h"

namespace locald::server {
namespace {

constexpr int kFormat = 1;
constexpr const char* kProject = "container";  // whose volumes and logs
constexpr std::chrono::seconds kAtOnce{5};

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

/// By the same rules as a project's: a bind's source exists, and is not one of locald's folders.
Result<std::vector<builder::VolumeMount>> mounts_of(const ipc::ContainerRunRequest& request,
                                                    const PathJudge& judge,
                                                    std::vector<std::string>& notices) {
  std::vector<builder::VolumeMount> out;
  for (const std::string& text : request.volumes) {
    const auto volume = TRY(builder::parse_volume(
        text, request.cwd, [&request] { return request.home; }, notices));
    out.push_back(TRY(builder::VolumeMount::of(volume).context("volume \"" + text + "\"")));
    if (out.back().kind == builder::VolumeMount::Kind::bind)
      TRY(builder::open_bind(out.back().source, judge));
  }
  for (const std::string& text : request.tmpfs)
    out.push_back(TRY(builder::VolumeMount::of(TRY(builder::parse_tmpfs(text)))));
  return out;
}

}  // namespace

Result<Containers> Containers::load(World world, std::string& notice) {
  const std::string file = world.paths.containers_file();
  Containers out(std::move(world));
  const Json doc = TRY(load_state_file(file, kFormat, notice));
  for (const auto& [id, json] : doc["containers"].as_object()) {
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
    c.at = ContainerState::ended;  // adopt() finds those that are not
    c.created_at = entry.created_at;
    c.started_at = entry.started_at;
    c.exit_code = entry.exit_code;
    c.signal = entry.signal;
    c.reason = entry.reason;
  }
  // Their list was damaged, or deleted (settle() sees to it that there is one): what they left on
  // disk still tells of them, so that it can be removed.
  const bool lost = !notice.empty() || !exists(file);
  for (const std::string& id :
       lost ? names_in(out.world_.paths.containers()) : std::vector<std::string>()) {
    if (!is_id(id)) continue;
    Container& c = out.all_[id];
    if (!c.id.empty()) continue;
    c.id = id;
    c.at = ContainerState::ended;
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
  if (auto written = save_state_file(world_.paths.containers_file(), kFormat, doc); !written)
    fmt::print(stderr, "containers.json: {}\n", written.error().text());
}

void Containers::run(const ipc::ContainerRunRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    const std::string& image = request.image;
    const std::string& network = request.network;
    if (network != net::HostNetwork::kName && !network.empty())
      return Error(Errc::unsupported, fmt::format("--network {} is not supported yet", network))
          .with_hint("use --network host, the only one so far");
    SourceRequest source{FromImage{TRY(oci::ImageReference::parse(image, request.cwd)),
                                   TRY(oci::parse_pull_policy(request.pull))},
                         {},
                         {}};
    builder::ContainerOptions& options = source.options;
    options.project = kProject;
    if (request.entrypoint)
      options.entrypoint = request.entrypoint->empty() ? std::vector<std::string>()
                                                       : std::vector{*request.entrypoint};
    if (!request.argv.empty()) options.command = request.argv;
    options.env = request.env;
    options.user = request.user;
    options.workdir = request.workdir;
    options.init = request.init;
    options.tty = request.tty;
    options.rows = request.size.rows;
    options.columns = request.size.columns;
    if (options.tty) options.env.emplace("TERM", "xterm");
    std::vector<std::string> notices;
    options.mounts = TRY(mounts_of(request, world_.environment.judge(), notices));
    for (const std::string& text : notices) send_notice(reply, "", text);

    const std::string& name = request.name;
    if (!name.empty()) {
      if (!project::valid_name(name))
        return Error(Errc::invalid_input,
                     fmt::format("\"{}\" cannot be the name of a container", name));
      switch (meets(ContainerVerb::run, state_of(name))) {
        case Meets::go:
          break;
        case Meets::queue:  // its name is free in a moment
          (*find(name))->when_gone.emplace_back([this, request, reply](const Result<void>&) {
            if (reply->open()) run(request, reply);
          });
          return {};
        case Meets::join:
        case Meets::refuse:
          return Error(Errc::already_exists, fmt::format("there is a container {} already", name))
              .with_hint("remove it: locald container rm " + name);
      }
    }
    const std::string id = random_hex(6);
    Container& c = all_[id];
    c.id = id;
    c.name = name;
    c.image = image;
    c.nonce = random_hex(16);
    c.command = request.argv;
    c.own_command = request.argv.empty() && !request.entrypoint;
    c.rm = request.rm;
    c.created_at = now_text();
    source.container_key = id;
    options.hostname = name;

    runtime::InstanceSpec instance;
    instance.id = id;
    instance.nonce = c.nonce;
    instance.name = "container/" + (name.empty() ? id : name);
    std::vector<std::string> writable;
    for (const builder::VolumeMount& mount : options.mounts)
      if (mount.kind == builder::VolumeMount::Kind::bind && !mount.read_only)
        writable.push_back(mount.source);
    share(c, writable);
    instance.meta = runtime::InstanceMeta{.kind = runtime::InstanceMeta::Kind::container,
                                          .name = name,
                                          .image = image,
                                          .rm = c.rm,
                                          .writable = writable}
                        .to_text();
    instance.tty = options.tty;
    instance.rows = options.rows;
    instance.columns = options.columns;
    instance.open_stdin = request.open_stdin;
    instance.hold = !request.detach;
    // What is attached to and then removed has its output seen; a log of it nobody could ask for.
    if (!c.rm || !instance.hold) instance.log_dir = world_.paths.service_log(kProject, id);

    auto job = world_.start(
        "container run " + image,
        [&loop = world_.loop, source = std::move(source), instance, reply,
         login_files = request.login_files](const Tools& tools,
                                            const std::stop_token& stop) -> Started {
          const auto made = make_source(tools.environment, source);
          builder::PrepareContext context;
          context.stop = stop;
          context.login_files = login_files;
          context.progress = [&loop, reply](const builder::PrepareProgress& p) {
            loop.post([reply, event = encode(progress_event(p))] { reply->event(event); });
          };
          context.notice = [&loop, reply](const std::string& text) {
            loop.post([reply, text] { send_notice(reply, "", text); });
          };
          if (const std::string text = tools.notice(); !text.empty()) context.notice(text);
          return tools.runtime.run_container(instance, *made, context);
        },
        [this, id, reply, detach = request.detach](Started result) {
          started(id, detach, reply, std::move(result));
        });
    c.start = job;
    // A client that hangs up during a pull does not want it any more.
    if (!request.detach) reply->on_hangup([job]() mutable { job.cancel(); });
    return {};
  });
}

/// What it can write to on the host; none: nothing any more.
void Containers::share(const Container& c, const std::vector<std::string>& writable) {
  std::vector<SharedFolder> folders;
  for (const std::string& path : writable)
    folders.push_back({path, "container " + (c.name.empty() ? c.id : c.name)});
  world_.environment.shared().set("container " + c.id, std::move(folders));
}

void Containers::started(const std::string& id, bool detach, const ReplyPtr& reply,
                         Started result) {
  Container& c = all_.at(id);  // nothing removes one that is starting
  c.start = {};
  const auto called_off = [fate = c.fate, name = c.name.empty() ? id : c.name] {
    return fate == Container::Fate::stop
               ? Error(Errc::cancelled, "the server is stopping").with_hint("try again in a moment")
               : Error(Errc::cancelled, fmt::format("container {} was removed", name));
  };
  if (!result) {
    const Error error = c.fate == Container::Fate::keep ? result.error() : called_off();
    return discard(id, [reply, error](const Result<void>&) { reply->error(error); });
  }
  c.at = ContainerState::running;
  c.handle = std::move(*result);
  // Who asked for it has hung up before it could be attached to: nobody else ever will.
  if (!detach && !reply->open()) c.fate = Container::Fate::remove;
  if (c.fate == Container::Fate::keep && detach) c.detached = reply;
  if (c.fate == Container::Fate::keep && !detach)
    reply->result(
        Json::object({{"id", id}, {"socket", c.handle->control_socket()}, {"nonce", c.nonce}}));
  if (c.fate != Container::Fate::keep) {
    const bool remove = c.fate == Container::Fate::remove;
    c.rm = c.rm || remove;
    (void)c.handle->stop(remove ? SIGKILL : 0, std::chrono::seconds(remove ? 0 : 10));
    reply->error(called_off());
  }
  if (!c.rm) save();
  listen(c);
}

void Containers::listen(Container& c) {
  runtime::ServiceHandle::Events events;
  events.started = [this, id = c.id](int pid) {
    const auto it = all_.find(id);
    if (it == all_.end()) return;
    it->second.pid = pid;
    it->second.state = "running";
    it->second.started_at = now_text();
    it->second.running_since = EventLoop::Clock::now();
    if (const ReplyPtr reply = std::exchange(it->second.detached, nullptr))
      reply->result(Json::object({{"id", id},
                                  {"socket", it->second.handle->control_socket()},
                                  {"nonce", it->second.nonce}}));
    if (!it->second.rm) save();
  };
  events.exited = [this, id = c.id](const runtime::ExitStatus& status) {
    world_.loop.post([this, id, status] { ended(id, status); });
  };
  c.handle->listen(world_.loop, std::move(events));
}

void Containers::ended(const std::string& id, const runtime::ExitStatus& status) {
  const auto it = all_.find(id);
  if (it == all_.end()) return;
  Container& c = it->second;
  c.handle.reset();
  share(c, {});
  c.at = ContainerState::ending;
  c.pid = 0;
  c.state = status.never_ran ? "failed" : "exited";
  c.exit_code = status.signal ? std::nullopt : status.code;
  c.signal = status.signal;
  c.reason = status.reason;
  // That the image's own command (a shell, it may be) ended so soon surprises.
  if (c.own_command && c.reason.empty() && status.known() && !c.rm &&
      EventLoop::Clock::now() - c.running_since < kAtOnce)
    c.reason = (status.signal ? "was ended by " + project::signal_name(*status.signal)
                              : "exited with code " + std::to_string(status.code.value_or(0))) +
               ": " + command_note(world_.paths, id, kImagesOwn);
  if (const ReplyPtr reply = std::exchange(c.detached, nullptr)) {
    if (!status.never_ran) {
      reply->result(Json::object({{"id", id}}));
    } else {
      const Json result = Json::object(
          {{"id", id}, {"exit_code", status.code.value_or(125)}, {"reason", status.reason}});
      return discard(id, [reply, result](const Result<void>&) { reply->result(result); });
    }
  }
  if (c.rm) return discard(id, {});
  save();
  ++sweeping_;
  world_.clean(id, c.nonce, [this, id](const Result<void>&) {
    if (const auto found = all_.find(id); found != all_.end()) {
      found->second.at = ContainerState::ended;
      for (const auto& call : std::exchange(found->second.when_settled, {})) call();
    }
    sweep_done();
  });
}

void Containers::sweep_done() {
  if (--sweeping_ == 0)
    for (const auto& call : std::exchange(when_swept_, {})) call();
}

void Containers::discard(const std::string& id, std::function<void(const Result<void>&)> done) {
  const auto it = all_.find(id);
  if (it == all_.end()) {
    if (done) done({});
    return;
  }
  if (done) it->second.when_gone.push_back(std::move(done));
  if (std::exchange(it->second.at, ContainerState::removing) == ContainerState::removing) return;
  const bool kept = !it->second.rm;
  share(it->second, {});
  ++sweeping_;
  world_.discard(id, it->second.nonce, [this, id, kept](const Result<void>& result) {
    auto node = all_.extract(id);
    if (kept) save();
    if (!result) fmt::print(stderr, "container {}: {}\n", id, result.error().text());
    if (!node.empty()) {
      for (const auto& call : node.mapped().when_settled) call();
      for (const auto& call : node.mapped().when_gone) call(result);
    }
    sweep_done();
  });
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

Json Containers::describe(const Container& c) const {
  return Json::object({{"id", c.id},
                       {"name", c.name.empty() ? Json() : Json(c.name)},
                       {"image", c.image},
                       {"command", c.command},
                       {"state", c.state},
                       {"pid", c.pid == 0 ? Json() : Json(c.pid)},
                       {"created_at", c.created_at},
                       {"started_at", c.started_at.empty() ? Json() : Json(c.started_at)},
                       {"exit_code", c.exit_code ? Json(*c.exit_code) : Json()},
                       {"signal", c.signal ? Json(project::signal_name(*c.signal)) : Json()},
                       {"reason", c.reason.empty() ? Json() : Json(c.reason)},
                       {"network", net::HostNetwork::kName}});
}

void Containers::list(const ipc::ContainerListRequest&, const ReplyPtr& reply) {
  Json out = Json::array();
  for (const auto& [id, c] : all_) out.push(describe(c));
  reply->result(Json::object({{"containers", std::move(out)}}));
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
                     fmt::format("container {} is {}", text,
                                 c.at == ContainerState::starting ? "being started" : "running"))
            .with_hint("stop it at once and remove it: locald container rm -f " + text);
      ids.insert(c.id);
    }
    struct Work {
      std::size_t left;
      Json removed = Json::array();
      std::optional<Error> error;
    };
    auto work = std::make_shared<Work>(Work{ids.size(), Json::array(), std::nullopt});
    if (ids.empty()) reply->result(Json::object({{"removed", Json::array()}}));
    for (const std::string& id : ids)
      remove_one(all_.at(id), force, [work, reply, id](const Result<void>& result) {
        if (result)
          work->removed.push(id);
        else if (!work->error)
          work->error = result.error();
        if (--work->left != 0) return;
        if (work->error)
          reply->error(*work->error);
        else
          reply->result(Json::object({{"removed", std::move(work->removed)}}));
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
      c.when_settled.emplace_back([this, id = c.id, done] { discard(id, done); });
      return;
    case Meets::join:
      c.when_gone.push_back(std::move(done));
      return;
    case Meets::go:
      break;
  }
  if (c.at == ContainerState::ended) return discard(c.id, std::move(done));
  if (c.at == ContainerState::starting) {
    c.fate = Container::Fate::remove;
    c.start.cancel();
  } else if (auto killed = c.handle->stop(SIGKILL, std::chrono::milliseconds(0));
             !killed && killed.error().code() != Errc::not_found) {  // else it ends by itself now
    return done(killed);
  }
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
  if (live == nullptr) return ended(instance, exit);
  c.handle = std::move(live);
  share(c, meta.writable);
  c.at = ContainerState::running;
  listen(c);
}

bool Containers::is_rest(const std::string& instance) const {
  return is_id(instance) && !all_.contains(instance) && exists(world_.paths.container(instance));
}

void Containers::remove_rest(const std::string& instance, const std::string& nonce) {
  Container& c = all_[instance];
  c.id = instance;
  c.nonce = nonce;
  c.rm = true;
  c.state = "exited";
  c.reason = "its start or its removal was interrupted";
  discard(instance, {});
}

void Containers::settle() {
  for (auto& [id, c] : all_)
    if (c.handle == nullptr && (c.state == "running" || c.state == "starting")) {
      c.state = "exited";
      c.reason = "its exit status is unknown: no server was running";
    }
  for (const std::string& id : names_in(world_.paths.containers()))
    if (is_rest(id) && !exists(world_.paths.instance(id)) &&
        !exists(world_.paths.instance_record(id)))
      remove_rest(id, "");
  if (!exists(world_.paths.containers_file())) save();
}

ContainerState Containers::state_of(const std::string& name) const {
  const auto found = std::find_if(all_.begin(), all_.end(), [&](const auto& entry) {
    return entry.first == name || entry.second.name == name;
  });
  return found == all_.end() ? ContainerState::none : state_of(found->second);
}

ContainerState Containers::state_of(const Container& c) {
  // Its removal was asked for: that it has still to end changes nothing for others.
  return c.when_gone.empty() ? c.at : ContainerState::removing;
}

void Containers::write_back() {
  bool written_down = false;
  for (const auto& [id, c] : all_) {
    if (c.handle != nullptr) (void)runtime::write_back(c.handle.get());
    written_down = written_down || !c.rm;
  }
  if (written_down && !exists(world_.paths.containers_file())) save();
}

std::size_t Containers::running() const {
  return static_cast<std::size_t>(std::count_if(
      all_.begin(), all_.end(), [](const auto& e) { return e.second.handle != nullptr; }));
}

void Containers::stop_all(std::function<void()> done) {
  auto left = std::make_shared<std::size_t>(1);
  const auto one = [this, left, done] {
    if (--*left != 0) return;
    if (sweeping_ == 0) return done();
    when_swept_.push_back(done);
  };
  for (auto& [id, c] : all_) {
    if (c.at != ContainerState::starting && c.at != ContainerState::running) continue;
    ++*left;
    c.when_settled.push_back(one);
    if (c.at == ContainerState::running) {
      (void)c.handle->stop(0, std::chrono::seconds(10));
      continue;
    }
    if (c.fate == Container::Fate::keep) c.fate = Container::Fate::stop;
    c.start.cancel();
  }
  one();
}

}  // namespace locald::server
