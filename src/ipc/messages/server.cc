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

}  // namespace locald::ipc
