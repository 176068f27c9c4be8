#include "ipc/messages/project.h"

namespace locald::ipc {
namespace {

constexpr const char* kProjectDoc = "where the project is looked for";
constexpr const char* kAllDoc = "names; empty: all";
constexpr const char* kSocketDoc = "of its shim: src/base/log/attach_protocol.h";
constexpr const char* kNonceDoc = "of its present run, which is attached to";
constexpr const char* kTimeoutDoc = "ms after which it is answered with how far it has come";

template <class R>
FieldsOf<R> project_fields() {
  return FieldsOf<R>(std::string("request ") + R::kName)
      .required("project", &R::project, kProjectDoc);
}

template <class R>
Fields services_fields() {
  return project_fields<R>()
      .field("services", &R::services, kAllDoc)
      .field("timeout_ms", &R::timeout, kTimeoutDoc);
}

}  // namespace

const Fields& ComposeWishes::fields() {
  static const Fields table =
      FieldsOf<ComposeWishes>("compose")
          .field("profiles", &ComposeWishes::profiles, "that are enabled; `*` is all")
          .field("allow_unsupported", &ComposeWishes::allow_unsupported,
                 "words: what is refused of these is left out instead")
          .field("publish_address", &ComposeWishes::publish_address,
                 "of ports that name none; empty: loopback");
  return table;
}

const Fields& UpRequest::fields() {
  static const Fields table =
      project_fields<UpRequest>()
          .field("services", &UpRequest::services,
                 "names; their dependencies come up too; empty: all")
          .flat(&UpRequest::world)
          .field("env_refresh", &UpRequest::env_refresh,
                 "captures this environment in place of the one captured before")
          .field("low_ports", &UpRequest::low_ports,
                 "\"+8000\": moves published ports up that need privileges, in place of what "
                 "the file says")
          .field("compose", &UpRequest::compose, "of a compose file")
          .field("wait", &UpRequest::wait,
                 "answered when every service is healthy, not when it has started")
          .field("dependencies", &UpRequest::dependencies,
                 "what the named services depend on, not they themselves")
          .field("timeout_ms", &UpRequest::timeout, kTimeoutDoc);
  return table;
}

const Fields& DownRequest::fields() {
  static const Fields table = project_fields<DownRequest>().field(
      "volumes", &DownRequest::volumes, "removes the project's volumes with their data too");
  return table;
}

const Fields& StartRequest::fields() {
  static const Fields table = services_fields<StartRequest>();
  return table;
}

const Fields& StopRequest::fields() {
  static const Fields table = services_fields<StopRequest>();
  return table;
}

const Fields& RestartRequest::fields() {
  static const Fields table = services_fields<RestartRequest>();
  return table;
}

const Fields& WaitRequest::fields() {
  static const Fields table =
      project_fields<WaitRequest>()
          .required("services", &WaitRequest::services, "names; at least one")
          .field("exited", &WaitRequest::exited,
                 "waits for their ends; else until they are healthy")
          .field("timeout_ms", &WaitRequest::timeout, kTimeoutDoc);
  return table;
}

const Fields& KillRequest::fields() {
  static const Fields table = project_fields<KillRequest>();
  return table;
}

const Fields& StatusRequest::fields() {
  static const Fields table =
      FieldsOf<StatusRequest>("request status")
          .field("project", &StatusRequest::project, "where it is looked for; not with \"all\"")
          .field("all", &StatusRequest::all, "every project that the server knows");
  return table;
}

const Fields& WatchRequest::fields() {
  static const Fields table = project_fields<WatchRequest>();
  return table;
}

const Fields& LogsRequest::fields() {
  static const Fields table =
      project_fields<LogsRequest>().field("services", &LogsRequest::services, kAllDoc);
  return table;
}

const Fields& ConfigCheckRequest::fields() {
  static const Fields table =
      project_fields<ConfigCheckRequest>()
          .field("env", &ConfigCheckRequest::env, "the environment that `${VAR}` reads")
          .field("compose", &ConfigCheckRequest::compose, "of a compose file");
  return table;
}

const Fields& ConfigSchemaRequest::fields() {
  static const Fields table = FieldsOf<ConfigSchemaRequest>("request config/schema");
  return table;
}

const Fields& InitRequest::fields() {
  static const Fields table =
      FieldsOf<InitRequest>("request init")
          .required("dir", &InitRequest::dir, "the folder that is looked at, absolute")
          .field("without", &InitRequest::without, "services that are left out");
  return table;
}

const Fields& ProjectListRequest::fields() {
  static const Fields table = FieldsOf<ProjectListRequest>("request project/ls");
  return table;
}

const Fields& ProjectForgetRequest::fields() {
  static const Fields table =
      FieldsOf<ProjectForgetRequest>("request project/forget")
          .required("name", &ProjectForgetRequest::name, "of a project that is down");
  return table;
}

const Fields& ExecRequest::fields() {
  static const Fields table =
      project_fields<ExecRequest>()
          .required("service", &ExecRequest::service, "a service that runs")
          .field("argv", &ExecRequest::argv, "the command's words, at least one")
          .field("env", &ExecRequest::env, "added to the service's environment")
          .field("user", &ExecRequest::user, "of a container; empty: the service's")
          .field("cwd", &ExecRequest::cwd, "the command's folder; empty: the service's")
          .field("tty", &ExecRequest::tty, "it gets a terminal")
          .field("stdin", &ExecRequest::open_stdin, "its input is that of the client")
          .flat(&ExecRequest::size);
  return table;
}

const Fields& RunRequest::fields() {
  static const Fields table =
      project_fields<RunRequest>()
          .required("service", &RunRequest::service, "the service whose process it is like")
          .field("argv", &RunRequest::argv, "the command's words; empty: the service's")
          .field("env", &RunRequest::env, "added to the service's environment")
          .field("user", &RunRequest::user, "of a container; empty: the service's")
          .field("cwd", &RunRequest::cwd, "the command's folder; empty: the service's")
          .field("tty", &RunRequest::tty, "it gets a terminal")
          .field("stdin", &RunRequest::open_stdin, "its input is that of the client")
          .flat(&RunRequest::size);
  return table;
}

const Fields& StatsRequest::fields() {
  static const Fields table =
      project_fields<StatsRequest>().field("services", &StatsRequest::services, kAllDoc);
  return table;
}

const Fields& InspectRequest::fields() {
  static const Fields table =
      project_fields<InspectRequest>()
          .required("service", &InspectRequest::service, "one of the project's")
          .field("env", &InspectRequest::env, "with the values of its environment");
  return table;
}

const Fields& ServiceUsage::fields() {
  using R = ServiceUsage;
  static const Fields table =
      FieldsOf<R>("service usage")
          .always("name", &R::name, "a service that runs")
          .always("cpu_ns", &R::cpu_ns, "processor time since its start")
          .always("memory", &R::memory, "bytes: resident, or what its cgroup is charged with")
          .always("tasks", &R::tasks, "processes and threads")
          .always("read", &R::read, "bytes from devices")
          .always("written", &R::written, "bytes to devices")
          .always("source", &R::source, "cgroup, or processes: the sum over them");
  return table;
}

const Fields& StatsReply::fields() {
  using R = StatsReply;
  static const Fields table =
      FieldsOf<R>("reply stats")
          .always("taken_at_ns", &R::taken_at_ns, "when, by a clock that only runs forward")
          .always("services", &R::services, "those that run");
  return table;
}

const Fields& InspectReply::fields() {
  using R = InspectReply;
  static const Fields table =
      FieldsOf<R>("reply inspect")
          .always("project", &R::project, "its name")
          .always("service", &R::service, "as status has it")
          .always("config", &R::config, "what it runs with, or will be started with")
          .always("image_digest", &R::image_digest, "of the image in the store");
  return table;
}

const Fields& AttachRequest::fields() {
  static const Fields table = project_fields<AttachRequest>().required(
      "service", &AttachRequest::service, "a service that runs");
  return table;
}

const Fields& UpReply::fields() {
  using R = UpReply;
  static const Fields table =
      FieldsOf<R>("reply up")
          .always("project", &R::project, "its name")
          .always("services", &R::services, "those that were meant, as they are now")
          .always("failed", &R::failed, "names; those that were not in time too")
          .always("reasons", &R::reasons, "why, for each that failed")
          .always("changes", &R::changes,
                  "what `up` made of each: started, unchanged, or \"recreated: KEYS\"")
          .always("timed_out", &R::timed_out, "the time was over before all were there");
  return table;
}

const Fields& ProjectStatus::fields() {
  using R = ProjectStatus;
  static const Fields table = FieldsOf<R>("project and services")
                                  .always("project", &R::project, "its name")
                                  .always("dir", &R::dir, "its folder; empty: not known")
                                  .always("services", &R::services, "none where it is not up");
  return table;
}

const Fields& StatusReply::fields() {
  using R = StatusReply;
  static const Fields table = FieldsOf<R>("reply status")
                                  .field("project", &R::project, "its name; not with \"all\"")
                                  .field("services", &R::services, "not with \"all\"")
                                  .field("projects", &R::projects, "with \"all\"")
                                  .field("notices", &R::notices, "what to tell the user, once");
  return table;
}

const Fields& LogPlace::fields() {
  using R = LogPlace;
  static const Fields table =
      FieldsOf<R>("log of a service")
          .always("name", &R::name, "of the service")
          .always("dir", &R::dir, "the segments' folder: src/base/log/log_format.h")
          .always("first_segment", &R::first_segment, "where its present or last run begins")
          .always("nonce", &R::nonce, "of that run; empty: not known");
  return table;
}

const Fields& LogsReply::fields() {
  static const Fields table =
      FieldsOf<LogsReply>("reply logs").always("services", &LogsReply::services, "their logs");
  return table;
}

const Fields& ServiceNotice::fields() {
  using R = ServiceNotice;
  static const Fields table = FieldsOf<R>("notice")
                                  .always("service", &R::service, "whose; empty: of none")
                                  .always("text", &R::text, "a sentence for people");
  return table;
}

const Fields& ConfigCheckReply::fields() {
  using R = ConfigCheckReply;
  static const Fields table = FieldsOf<R>("reply config/check")
                                  .always("project", &R::project, "its name")
                                  .always("services", &R::services, "names")
                                  .always("file", &R::file, "the one that was read")
                                  .always("notices", &R::notices, "what is odd and no error");
  return table;
}

const Fields& ConfigSchemaReply::fields() {
  static const Fields table = FieldsOf<ConfigSchemaReply>("reply config/schema")
                                  .always("schema", &ConfigSchemaReply::schema, "draft 7");
  return table;
}

const Fields& ProposedService::fields() {
  using R = ProposedService;
  static const Fields table = FieldsOf<R>("proposed service")
                                  .always("name", &R::name, "of the service")
                                  .always("what", &R::what, "its command or image")
                                  .always("from", &R::from, "the file that tells of it");
  return table;
}

const Fields& InitReply::fields() {
  using R = InitReply;
  static const Fields table =
      FieldsOf<R>("reply init")
          .always("text", &R::text, "of the file: TOML")
          .always("services", &R::services, "that it has")
          .always("files", &R::files, "that were read, relative to the folder")
          .always("notes", &R::notes, "what people have to know: sentences");
  return table;
}

const Fields& KnownProject::fields() {
  using R = KnownProject;
  static const Fields table = FieldsOf<R>("known project")
                                  .always("name", &R::name, "as in its file")
                                  .always("dir", &R::dir, "its folder; empty: not known")
                                  .always("running", &R::running, "it is up");
  return table;
}

const Fields& ProjectListReply::fields() {
  using R = ProjectListReply;
  static const Fields table =
      FieldsOf<R>("reply project/ls").always("projects", &R::projects, "by name");
  return table;
}

const Fields& ExecReply::fields() {
  using R = ExecReply;
  static const Fields table =
      FieldsOf<R>("reply exec")
          .always("socket", &R::socket,
                  "of its shim: src/base/log/attach_protocol.h, with \"hold\"")
          .always("nonce", &R::nonce, kNonceDoc);
  return table;
}

const Fields& AttachReply::fields() {
  using R = AttachReply;
  static const Fields table = FieldsOf<R>("reply attach")
                                  .always("socket", &R::socket, kSocketDoc)
                                  .always("nonce", &R::nonce, kNonceDoc)
                                  .always("tty", &R::tty, "it has a terminal");
  return table;
}

}  // namespace locald::ipc
