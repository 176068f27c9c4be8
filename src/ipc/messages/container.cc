#include "ipc/messages/container.h"

namespace locald::ipc {

const Fields& ContainerRunRequest::fields() {
  using R = ContainerRunRequest;
  static const Fields table =
      FieldsOf<R>("request container/run")
          .required("image", &R::image, "a name like redis:7, or oci:DIR:TAG")
          .field("argv", &R::argv, "the command's words; empty: the image's command")
          .field("entrypoint", &R::entrypoint, "in place of the image's; \"\": none")
          .field("env", &R::env, "added to the image's environment")
          .field("tmpfs", &R::tmpfs, "each /path or /path:size=SIZE")
          .field("volumes", &R::volumes, "each NAME:/path, ./folder:/path[:ro] or /path")
          .field("user", &R::user, "empty: the image's")
          .field("workdir", &R::workdir, "the command's folder; empty: the image's")
          .path("cwd", &R::cwd, "absolute: relative paths of `image` and `volumes` start here")
          .field("home", &R::home, "what `~/` in `volumes` means")
          .field("tty", &R::tty, "the command gets a terminal")
          .field("stdin", &R::open_stdin, "its input is that of the client")
          .field("rm", &R::rm, "removed when it has ended")
          .field("init", &R::init, "an init in front of the command")
          .field("detach", &R::detach, "answered when it runs; hanging up stops nothing")
          .field("pull", &R::pull, "missing, always or never")
          .field("network", &R::network,
                 "own (the default), host, none, PROJECT or PROJECT/NETWORK")
          .field("ports", &R::ports, "to publish, as in a service's `ports`")
          .flat(&R::size)
          .field("name", &R::name, "one that no other container has; empty: none")
          .field("login_files", &R::login_files, "absolute paths: where logins for registries are");
  return table;
}

const Fields& ContainerListRequest::fields() {
  static const Fields table = FieldsOf<ContainerListRequest>("request container/ls");
  return table;
}

const Fields& ContainerRemoveRequest::fields() {
  using R = ContainerRemoveRequest;
  static const Fields table = FieldsOf<R>("request container/rm")
                                  .field("ids", &R::ids, "ids, beginnings of ids, or names")
                                  .field("force", &R::force, "kills those that run");
  return table;
}

const Fields& ContainerRunReply::fields() {
  using R = ContainerRunReply;
  static const Fields table =
      FieldsOf<R>("reply container/run")
          .always("id", &R::id, "of the container")
          .field("socket", &R::socket, "of its shim: src/base/log/attach_protocol.h; if it runs")
          .field("nonce", &R::nonce, "of its run, which is attached to")
          .field("exit_code", &R::exit_code, "of a detached one that never ran")
          .field("reason", &R::reason, "why that never ran");
  return table;
}

const Fields& ContainerStatus::fields() {
  using R = ContainerStatus;
  static const Fields table =
      FieldsOf<R>("container")
          .always("id", &R::id, "twelve hexadecimal digits")
          .always("name", &R::name, "that `container run --name` gave")
          .always("image", &R::image, "as it was asked for")
          .always("command", &R::command, "its words; empty: the image's")
          .always("state", &R::state, "starting, running, exited or failed")
          .always("pid", &R::pid, "of its main process")
          .always("created_at", &R::created_at, "RFC 3339, UTC")
          .always("started_at", &R::started_at, "RFC 3339, UTC")
          .always("exit_code", &R::exit_code, "of its end")
          .always("signal", &R::signal, "the name of the one that ended it: SIGKILL")
          .always("reason", &R::reason, "why it is in its state, for people")
          .always("network", &R::network, "as it was asked for")
          .field("ports", &R::ports, "that are published");
  return table;
}

const Fields& ContainerListReply::fields() {
  using R = ContainerListReply;
  static const Fields table =
      FieldsOf<R>("reply container/ls").always("containers", &R::containers, "by id");
  return table;
}

const Fields& ContainerRemoveReply::fields() {
  using R = ContainerRemoveReply;
  static const Fields table =
      FieldsOf<R>("reply container/rm").always("removed", &R::removed, "ids");
  return table;
}

}  // namespace locald::ipc
