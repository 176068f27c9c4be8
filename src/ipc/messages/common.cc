#include "ipc/messages/common.h"

namespace locald::ipc {

const Fields& ProjectPlace::fields() {
  static const Fields table =
      FieldsOf<ProjectPlace>("project")
          .required_path("dir", &ProjectPlace::dir,
                         "absolute: the folder from which locald.toml, or else a compose file, is "
                         "looked for upward (-C)")
          .path("file", &ProjectPlace::file, "absolute: the file itself (-f)")
          .field("more_files", &ProjectPlace::more_files,
                 "absolute: compose files that are merged over it, in their order (-f again)")
          .field("name", &ProjectPlace::name,
                 "overrides the name that the file gives (-p, LOCALD_PROJECT)")
          .field("env", &ProjectPlace::env,
                 "what `${VAR}` of a compose file reads, and where COMPOSE_FILE stands; requests "
                 "with an environment of their own have it there");
  return table;
}

const Fields& World::fields() {
  static const Fields table =
      FieldsOf<World>("world")
          .field("env", &World::env, "the environment; its values may be any bytes")
          .field("umask", &World::umask, "of host processes; 18 is 022")
          .field("rlimits", &World::rlimits,
                 "resource limits, as {\"NOFILE\": [SOFT, HARD]}; null is no limit")
          .field("login_files", &World::login_files,
                 "absolute paths: where logins for registries are; read when one is needed");
  return table;
}

const Fields& WindowSize::fields() {
  static const Fields table = FieldsOf<WindowSize>("size")
                                  .field("rows", &WindowSize::rows, "of the terminal")
                                  .field("columns", &WindowSize::columns, "of the terminal");
  return table;
}

const Fields& EmptyReply::fields() {
  static const Fields table = FieldsOf<EmptyReply>("reply");
  return table;
}

}  // namespace locald::ipc
