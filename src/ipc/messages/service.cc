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

const Fields& ServicePort::fields() {
  using R = ServicePort;
  static const Fields table = FieldsOf<R>("port of a service")
                                  .always("address", &R::address, "of the host")
                                  .always("port", &R::port, "of the host")
                                  .always("container_port", &R::container_port, "where it leads")
                                  .always("protocol", &R::protocol, "tcp or udp");
  return table;
}

const Fields& ServiceNetwork::fields() {
  using R = ServiceNetwork;
  static const Fields table = FieldsOf<R>("network of a service")
                                  .always("name", &R::name, "")
                                  .always("address", &R::address, "its own in that network");
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
          .always("port", &R::port, "that the host reaches it by")
          .always("url", &R::url, "where it is reached, if it speaks HTTP")
          .always("exit_code", &R::exit_code, "of its last end")
          .always("signal", &R::signal, "the name of the one that ended it last: SIGKILL")
          .always("restarts", &R::restarts, "by its `restart` policy")
          .always("started_at", &R::started_at, "RFC 3339, UTC; while it runs")
          .always("reason", &R::reason, "why it is in its state, for people")
          .always("network", &R::network, "host, none, project or service:NAME")
          .always("container_port", &R::container_port,
                  "where it listens, in a network that is not the host's")
          .field("ports", &R::ports, "that are published")
          .field("networks", &R::networks, "of the project's")
          .always("app", &R::app, "of kind cnb");
  return table;
}

}  // namespace locald::ipc
