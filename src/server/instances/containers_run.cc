// A container from its request to its end.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/strings.h"
#include "base/units.h"
#include "builder/image_source.h"
#include "builder/volume_text.h"
#include "builder/volumes.h"
#include "net/network.h"
#include "project/project_spec.h"
#include "project/units.h"
#include "server/http/request.h"
#include "server/instances/containers.h"
#include "server/launch/command_note.h"
#include "server/launch/connecting.h"
#include "server/launch/container_source.h"
#include "server/progress_event.h"

namespace locald::server {
namespace {

constexpr std::chrono::seconds kSurprisinglySoon{5};

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

void Containers::run(const ipc::ContainerRunRequest& request, const ReplyPtr& reply) {
  or_error(reply, [&]() -> Result<void> {
    const std::string& image = request.image;
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
    options.mounts = TRY(mounts_of(request, deps_.environment.judge(), notices));
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
    ContainerNetwork network;
    if (deps_.networks != nullptr) {
      network = TRY(deps_.networks->find(id, name, request.network, request.ports));
      TRY(deps_.networks->enter(network));
    }
    options.network.kind = network.attachment;
    Container& c = all_[id];
    c.network = network;
    c.id = id;
    c.name = name;
    c.image = image;
    c.nonce = random_hex(16);
    c.command = request.argv;
    c.own_command = request.argv.empty() && !request.entrypoint;
    c.rm = request.rm;
    c.created_at = now_text();
    c.instance = begin(c);
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
                                          .writable = writable,
                                          .network = network.text,
                                          .range = network.range,
                                          .ports = network.ports}
                        .to_text();
    instance.tty = options.tty;
    instance.rows = options.rows;
    instance.columns = options.columns;
    instance.open_stdin = request.open_stdin;
    instance.hold = !request.detach;
    // What is attached to and then removed has its output seen; a log of it nobody could ask for.
    if (!c.rm || !instance.hold) instance.log_dir = deps_.paths.service_log(kProject, id);

    auto job = deps_.start(
        "container run " + image,
        [&loop = deps_.loop, networks = deps_.networks, network, source = std::move(source),
         instance, reply, login_files = request.login_files](
            const Tools& tools, const std::stop_token& stop) -> Started {
          const auto made = make_source(tools.environment, source);
          builder::PrepareContext context;
          context.stop = stop;
          context.login_files = login_files;
          context.progress = [&loop, reply](const builder::PrepareProgress& p) {
            loop.post([reply, event = encode_text(progress_event(p))] { reply->event(event); });
          };
          context.notice = [&loop, reply](const std::string& text) {
            loop.post([reply, text] { send_notice(reply, "", text); });
          };
          if (const std::string text = tools.notice(); !text.empty()) context.notice(text);
          Connecting::Attach attach;
          if (network.connected())
            attach = [&](const std::stop_token& token) { return networks->attach(network, token); };
          return start_connected(attach, context, [&](const builder::PrepareContext& prepare) {
            return tools.runtime.run_container(instance, *made, prepare);
          });
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
  deps_.environment.shared().set("container " + c.id, std::move(folders));
}

void Containers::started(const std::string& id, bool detach, const ReplyPtr& reply,
                         Started result) {
  Container& c = all_.at(id);  // nothing removes one that is starting
  c.start = {};
  const bool unwanted = c.instance.unwanted();
  const Error called_off =
      c.when_gone.empty()
          ? Error(Errc::cancelled, "the server is stopping").with_hint("try again in a moment")
          : Error(Errc::cancelled,
                  fmt::format("container {} was removed", c.name.empty() ? id : c.name));
  if (!result) {
    c.when_gone.emplace_back([reply, error = unwanted ? called_off : result.error()](
                                 const Result<void>&) { reply->error(error); });
    return discard(c);
  }
  // Who asked for it has hung up before it could be attached to: nobody else ever will.
  if (!detach && !reply->open()) {
    c.rm = true;
    (void)c.instance.stop(SIGKILL, std::chrono::milliseconds(0));
  }
  c.instance.own(std::move(*result));
  if (unwanted)
    reply->error(called_off);
  else if (detach)
    c.detached = reply;
  else
    answer(c, reply);
  if (!c.rm) save();
}

/// Where its client attaches to it.
void Containers::answer(const Container& c, const ReplyPtr& reply) {
  reply->result(ipc::ContainerRunReply{
      .id = c.id, .socket = c.instance.handle()->control_socket(), .nonce = c.nonce});
}

runtime::Instance Containers::begin(const Container& c) {
  runtime::Instance::Events events;
  events.started = [this, id = c.id](int pid) {
    Container& now = all_.at(id);
    if (deps_.networks != nullptr) deps_.networks->set_running(now.network, true);
    now.pid = pid;
    now.state = "running";
    now.started_at = now_text();
    now.running_since = EventLoop::Clock::now();
    if (const ReplyPtr reply = std::exchange(now.detached, nullptr)) answer(now, reply);
    if (!now.rm) save();
  };
  events.ended = [this, id = c.id](const runtime::ExitStatus& status) {
    ended(all_.at(id), status);
  };
  events.gone = [this, id = c.id](const Result<void>& result) { cleaned(id, result); };
  const auto clean = [this](const std::string& id, const std::string& nonce,
                            std::function<void(Result<void>)> done) {
    (all_.at(id).rm ? deps_.discard : deps_.clean)(id, nonce, std::move(done));
  };
  return {deps_.loop, c.id, c.nonce, clean, std::move(events)};
}

void Containers::ended(Container& c, const runtime::ExitStatus& status) {
  share(c, {});
  if (deps_.networks != nullptr) deps_.networks->set_running(c.network, false);
  c.pid = 0;
  c.state = status.never_ran ? "failed" : "exited";
  c.exit_code = status.signal ? std::nullopt : status.code;
  c.signal = status.signal;
  c.reason = status.reason;
  // That the image's own command (a shell, it may be) ended so soon surprises.
  if (c.own_command && c.reason.empty() && status.known() && !c.rm &&
      EventLoop::Clock::now() - c.running_since < kSurprisinglySoon)
    c.reason = (status.signal ? "was ended by " + project::signal_name(*status.signal)
                              : "exited with code " + std::to_string(status.code.value_or(0))) +
               ": " + command_note(deps_.paths, c.id, kImagesOwn);
  const bool written_down = !c.rm;
  if (const ReplyPtr reply = std::exchange(c.detached, nullptr)) {
    if (!status.never_ran) {
      reply->result(ipc::ContainerRunReply{.id = c.id});
    } else {
      const ipc::ContainerRunReply result{
          .id = c.id, .exit_code = status.code.value_or(125), .reason = status.reason};
      c.rm = true;
      c.when_gone.emplace_back([reply, result](const Result<void>&) { reply->result(result); });
    }
  }
  if (written_down) save();
}

}  // namespace locald::server
