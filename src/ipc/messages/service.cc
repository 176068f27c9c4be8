#include "ipc/messages/service.h"

namespace locald::ipc {

const Fields& ServiceApp::fields() {
  using R = ServiceApp;
  static const Fields table =
      FieldsOf<R>("app of a service")
          .always("name", &R::name, "as in `cache/ls`")
          .always("path", &R::path, "the source's folder")
          .always("process", &R::process, "its type; null: the default one")
          .always("generation", &R::generation, "the number of the build that runs")
          .always("built_at", &R::built_at, "RFC 3339, UTC")
          .always("live", &R::live, "folders whose changes need no build");
  return table;
}

const Fields& ServiceStatus::fields() {
  using R = ServiceStatus;
  static const Fields table =
      FieldsOf<R>("service")
          .always("name", &R::name, "as in the project's file")
          .always("kind", &R::kind, "exec, container or cnb")
          .always("state", &R::state,
                  "stopped, waiting, preparing, starting, running, stopping, crash-loop, exited or "
                  "failed")
          .always("health", &R::health, "none, starting, healthy or unhealthy")
          .field("managed", &R::managed,
                 "false: an earlier server started it, whose record of it is lost")
          .always("pid", &R::pid, "of its main process")
          .always("shim_pid", &R::shim_pid, "of its locald-shim")
          .always("port", &R::port, "on which it listens")
          .always("url", &R::url, "where it is reached, if it speaks HTTP")
          .always("exit_code", &R::exit_code, "of its last end")
          .always("signal", &R::signal, "the name of the one that ended it last: SIGKILL")
          .always("restarts", &R::restarts, "by its `restart` policy")
          .always("started_at", &R::started_at, "RFC 3339, UTC; while it runs")
          .always("reason", &R::reason, "why it is in its state, for people")
          .always("network", &R::network, "host")
          .always("app", &R::app, "of kind cnb");
  return table;
}

}  // namespace locald::ipc
