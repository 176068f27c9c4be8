#include "ipc/messages/server.h"

namespace locald::ipc {

const Fields& VersionRequest::fields() {
  static const Fields table = FieldsOf<VersionRequest>("request version");
  return table;
}

const Fields& ServerStatusRequest::fields() {
  static const Fields table = FieldsOf<ServerStatusRequest>("request server/status");
  return table;
}

const Fields& ServerStopRequest::fields() {
  static const Fields table =
      FieldsOf<ServerStopRequest>("request server/stop")
          .always("all", &ServerStopRequest::all, "stops all services and containers first");
  return table;
}

const Fields& DoctorRequest::fields() {
  static const Fields table = FieldsOf<DoctorRequest>("request doctor");
  return table;
}

const Fields& VersionReply::fields() {
  using R = VersionReply;
  static const Fields table = FieldsOf<R>("reply version")
                                  .always("version", &R::version, "as in 0.5.0")
                                  .always("build", &R::build, "src/ipc/version.h")
                                  .always("pid", &R::pid, "of the server")
                                  .always("jobs", &R::jobs, "that are in progress");
  return table;
}

const Fields& ServerPaths::fields() {
  using R = ServerPaths;
  static const Fields table = FieldsOf<R>("paths")
                                  .always("data", &R::data, "images, layers, volumes, apps")
                                  .always("state", &R::state, "records and the server's log")
                                  .always("run", &R::run, "sockets and what runs");
  return table;
}

const Fields& ServerStatusReply::fields() {
  using R = ServerStatusReply;
  static const Fields table =
      FieldsOf<R>("reply server/status")
          .always("pid", &R::pid, "of the server")
          .always("version", &R::version, "as in `version`")
          .always("build", &R::build, "as in `version`")
          .always("uptime_s", &R::uptime_s, "seconds")
          .always("projects", &R::projects, "that are up")
          .always("services", &R::services, "that run")
          .always("containers", &R::containers, "of no project, that run")
          .always("jobs", &R::jobs, "that are in progress")
          .always("paths", &R::paths, "its folders")
          .always("id_map", &R::id_map, "the ids of containers; null: the user's one");
  return table;
}

const Fields& ServerStopReply::fields() {
  using R = ServerStopReply;
  static const Fields table =
      FieldsOf<R>("reply server/stop")
          .always("services_left", &R::services_left, "services and containers that run on");
  return table;
}

const Fields& DoctorCheck::fields() {
  using R = DoctorCheck;
  static const Fields table = FieldsOf<R>("check")
                                  .always("name", &R::name, "of what is tried")
                                  .always("status", &R::status, "ok, warn or fail")
                                  .always("message", &R::message, "what was found")
                                  .always("hint", &R::hint, "what to do; empty: nothing");
  return table;
}

const Fields& DoctorReply::fields() {
  static const Fields table =
      FieldsOf<DoctorReply>("reply doctor")
          .always("checks", &DoctorReply::checks, "in the order in which they are tried");
  return table;
}

}  // namespace locald::ipc
