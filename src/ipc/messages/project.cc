#include "ipc/messages/project.h"

namespace locald::ipc {
namespace {

constexpr const char* kProjectDoc = "where the project is looked for";
constexpr const char* kAllDoc = "names; empty: all";
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

const Fields& UpRequest::fields() {
  static const Fields table =
      project_fields<UpRequest>()
          .field("services", &UpRequest::services,
                 "names; their dependencies come up too; empty: all")
          .flat(&UpRequest::world)
          .field("env_refresh", &UpRequest::env_refresh,
                 "captures this environment in place of the one captured before")
          .field("wait", &UpRequest::wait,
                 "answered when every service is healthy, not when it has started")
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
  static const Fields table = project_fields<ConfigCheckRequest>().field(
      "env", &ConfigCheckRequest::env, "the environment that `${VAR}` reads");
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

const Fields& AttachRequest::fields() {
  static const Fields table = project_fields<AttachRequest>().required(
      "service", &AttachRequest::service, "a service that runs");
  return table;
}

}  // namespace locald::ipc
