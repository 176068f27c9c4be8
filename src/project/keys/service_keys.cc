#include "project/keys/service_keys.h"

#include <algorithm>

#include "base/sys/signals.h"
#include "project/keys/network_reader.h"
#include "project/keys/value_readers.h"

namespace locald::project {
namespace {

void append(KeyFields& to, KeyFields more) {
  for (Field& field : more) to.push_back(std::move(field));
}

const Shape& port_or_auto() {
  static const Shape automatic{.kind = Shape::Kind::words, .words = {"auto"}};
  static const Shape shape{.kind = Shape::Kind::either, .parts = {&shapes::port(), &automatic}};
  return shape;
}

/// What every service has.
KeyFields common_fields(Sink& sink, ServiceSpec& out) {
  return {
      command_field(
          "command",
          {.text = "What runs. A string is run by `sh -c`, in which `$VAR` is the shell's; an "
                   "array is executed as it is. A host process must have one. In a container it "
                   "stands in place of the image's `CMD`, behind its entry point; in an app it "
                   "runs in the environment that the launcher makes, in place of a process type.",
           .otherwise = "the image's, or the app's default process",
           .example = "command = [\"python3\", \"-u\", \"app.py\"]"},
          sink, out.command),
      {"port",
       port_or_auto(),
       {.text =
            "The port of the host's loopback at which the service is reached. A host process finds "
            "it as `PORT` in its environment and has to listen there; for a container or an "
            "app it leads to `container_port`. `\"auto\"` is a free one, which stays the "
            "service's.",
        .example = "port = \"auto\""},
       [&](const Node& v, const std::string& at) {
         out.port_at = v.at();
         if (v.is_string() && v.as_string() == "auto")
           out.auto_port = true;
         else if (v.is_string())
           sink.add(v.at(), "`port` must be a number or \"auto\"");
         else
           read_int(v, at, sink, shapes::port().low, shapes::port().high, out.port);
       }},
      {"env",
       shapes::variables(),
       {.text = "Variables of the service's environment, over those of `env_file`. A host process "
                "also has the environment of the first `up`; a container has what its image says.",
        .example = "env = { LOG_LEVEL = \"debug\", WORKERS = 2 }"},
       [&](const Node& v, const std::string& at) { read_variables(v, at, sink, out.env); }},
      texts_field("env_file",
                  {.text = "Files with lines `NAME=VALUE`; what a later one says counts. Their "
                           "grammar: [variables.md](variables.md).",
                   .example = "env_file = [\".env\"]"},
                  sink, out.env_file, /*one_is_fine=*/true),
      {"depends_on",
       dependencies_shape(),
       {.text = "Services that come before this one. `\"healthy\"` waits for their health check, "
                "`\"started\"` for their process, `\"completed\"` for their end with exit code "
                "0. In a list it is healthy where there is a check, else started. They also stop "
                "after it.",
        .example = "depends_on = { db = \"healthy\" }"},
       [&](const Node& v, const std::string& at) { read_depends(v, at, sink, out.depends_on); }},
      {"health",
       health_shape(),
       {.text = "What tells that the service is ready for use. A string is short for "
                "`{ http = \"/healthz\" }`.",
        .otherwise = "none: it counts as ready when it is started",
        .example = "health = \"/healthz\""},
       [&](const Node& v, const std::string& at) { read_health(v, at, sink, out.health); }},
      {"restart",
       restart_shape(),
       {.text = "Whether it is started again when it has ended: `\"on-failure\"` after another "
                "exit code than 0 or a signal, `\"always\"` and `\"unless-stopped\"` after every "
                "end but that by `stop`. The delay doubles, from 0.1 s to a minute. A string is "
                "short for `{ policy = … }`.",
        .fallback = "\"no\"",
        .example = "restart = \"on-failure\""},
       [&](const Node& v, const std::string& at) { read_restart(v, at, sink, out.restart); }},
      bool_field(
          "once",
          {.text = "It runs to its end, with success, before what depends on it starts: each waits "
                   "for `\"completed\"`; of an app's process, the app's other processes too. `up` "
                   "starts it where it has not succeeded since the project came up, where its "
                   "configuration, its image here or its app's build is another one, and where it "
                   "is named. It is not restarted, unless `restart` is `\"on-failure\"`.",
           .fallback = "false",
           .example = "once = true",
           .since = "0.2; of an app's processes 0.1"},
          sink, out.once),
      {"stop_signal",
       shapes::text(),
       {.text = "The signal that asks it to end, by name or number.",
        .otherwise = "the image's, or `\"SIGTERM\"`",
        .example = "stop_signal = \"SIGINT\""},
       [&](const Node& v, const std::string& at) {
         Text word;
         if (!read_text(v, at, sink, word)) return;
         auto signal = parse_signal(word.raw);
         if (!signal) return sink.add(word.at, at, signal.error());
         out.stop_signal = *signal;
       }},
      duration_field(
          "stop_timeout",
          {.text = "How long it may take to end before it is killed. A container whose PID 1 has "
                   "no handler for the signal cannot hear it: the processes below that "
                   "one get it instead, and when none is left it is killed at once.",
           .fallback = "\"10s\"",
           .example = "stop_timeout = \"1m\""},
          sink, out.stop_timeout),
      bool_field(
          "tty",
          {.text = "Gives it a terminal, for `locald attach`; its output is then one stream.",
           .fallback = "false",
           .example = "tty = true"},
          sink, out.tty),
      {"network",
       network_shape(),
       {.text = "`\"project\"`: in the network `default` of the project; `\"host\"`: on the "
                "host's; `\"none\"`: a loopback of its own alone; `\"service:NAME\"`: in that "
                "service's network, whose loopback it shares. A host process is on the host's, "
                "always. [networks.md](networks.md) has all about it.",
        .otherwise = "what `[project]` says, `\"project\"` where it says nothing",
        .example = "network = \"host\"",
        .since = "0.1; others than `\"host\"` 0.2"},
       [&](const Node& v, const std::string& at) { read_network_mode(v, at, sink, out.network); }},
  };
}

Field workdir_field(Sink& sink, ServiceSpec& out) {
  return text_field("workdir",
                    {.text = "The folder that the command runs in; of a host process relative to "
                             "the folder of the file.",
                     .otherwise = "the file's folder, or the image's",
                     .example = "workdir = \"/srv\""},
                    sink, out.workdir);
}

Field watch_field(Sink& sink, ServiceSpec& out) {
  return {"watch",
          watch_shape(),
          {.text = "Files whose change restarts the service, also one that has ended: patterns as "
                   "in a `.gitignore`, relative to the `workdir` of a host process, and for a "
                   "container to the folder of the file. .git, node_modules, __pycache__, "
                   ".venv and what editors write beside a file are left out.",
           .example = "watch = [\"*.py\", \"templates/\"]",
           .since = "0.2"},
          [&](const Node& v, const std::string& at) { read_watch(v, at, sink, out.watch); }};
}

/// How one process type of an app is run.
KeyFields process_fields(Sink& sink, ServiceSpec& out) {
  return {text_field("process",
                     {.text = "The process type of the app that runs.",
                      .otherwise = "the app's default; in `processes` the table's name",
                      .example = "process = \"web\""},
                     sink, out.process),
          texts_field("args",
                      {.text = "In place of the arguments of that process type.",
                       .otherwise = "the process type's",
                       .example = "args = [\"-n\", \"2\"]"},
                      sink, out.args)};
}

constexpr std::pair<std::string_view, PullPolicy> kPulls[] = {
    {"missing", PullPolicy::missing}, {"always", PullPolicy::always}, {"never", PullPolicy::never}};

const Shape& processes_shape() {
  static const Shape table{.kind = Shape::Kind::table,
                           .fields = looked_at<ServiceSpec, process_table_fields>};
  static const Shape tables{.kind = Shape::Kind::names,
                            .called = "table of process types",
                            .pattern = shapes::kNamePattern,
                            .parts = {&table}};
  static const Shape shape{.kind = Shape::Kind::either, .parts = {&shapes::texts(), &tables}};
  return shape;
}

}  // namespace

KeyFields container_fields(Sink& sink, ServiceSpec& out) {
  static const Shape pulls{.kind = Shape::Kind::words, .words = shapes::words_of(kPulls)};
  static const Shape cpus{.kind = Shape::Kind::number};
  static const Shape& pids = shapes::whole<1, 4194304>();
  return {
      {"pull",
       pulls,
       {.text = "When its image, or an app's builder, is asked for at its registry.",
        .fallback = "\"missing\"",
        .example = "pull = \"always\""},
       [&](const Node& v, const std::string& at) { read_choice(v, at, sink, kPulls, out.pull); }},
      {"volumes",
       volumes_shape(),
       {.text = "What is mounted: `\"NAME:/path\"` a volume of the project, which stays over "
                "`down`; `\"./folder:/path\"` a folder or file of the host (a name that begins "
                "with `/`, `.` or `~`); `\"/path\"` a volume without a name. `:ro` at the end: "
                "read-only.",
        .example = "volumes = [\"data:/data\", \"./seed:/seed:ro\"]"},
       [&](const Node& v, const std::string& at) { read_volumes(v, at, sink, out.volumes); }},
      texts_field("tmpfs",
                  {.text = "Folders in memory, each with a size where it is written.",
                   .example = "tmpfs = [\"/run\", \"/tmp:size=64m\"]"},
                  sink, out.tmpfs, /*one_is_fine=*/true),
      text_field("user",
                 {.text = "The user, and the group, that it runs as: names of the image's, or "
                          "numbers.",
                  .otherwise = "the image's",
                  .example = "user = \"postgres:postgres\""},
                 sink, out.user),
      {"memory",
       shapes::size(),
       {.text = "The most memory that it may have. Limits need a cgroup v2 that is delegated to "
                "you; without one they are refused.",
        .otherwise = "no limit",
        .example = "memory = \"512m\""},
       [&](const Node& v, const std::string& at) {
         out.limits_at.memory = v.at();
         read_size(v, at, sink, out.memory);
       }},
      {"cpus",
       cpus,
       {.text = "How many processors' time it may take.",
        .otherwise = "no limit",
        .example = "cpus = 1.5"},
       [&](const Node& v, const std::string& at) {
         if (!v.is_number() || !(v.as_double() > 0) || v.as_double() > 100000)
           return sink.expected(v, at, "a number above 0");
         out.limits_at.cpus = v.at();
         out.cpus = v.as_double();
       }},
      {"pids",
       pids,
       {.text = "How many processes and threads it may have.",
        .otherwise = "no limit",
        .example = "pids = 512"},
       [&](const Node& v, const std::string& at) {
         out.limits_at.pids = v.at();
         read_int(v, at, sink, pids.low, pids.high, out.pids);
       }},
      bool_field("init",
                 {.text = "Runs a small init process as PID 1, which forwards signals and reaps "
                          "the processes that the command leaves behind.",
                  .otherwise = "`false`; of apps `true`",
                  .example = "init = true"},
                 sink, out.init),
      text_field("hostname",
                 {.text = "Its host name, as `hostname` prints it; no other service knows it by "
                          "that.",
                  .otherwise = "the service's name",
                  .example = "hostname = \"db1\"",
                  .since = "0.2"},
                 sink, out.hostname),
      bool_field("read_only",
                 {.text = "Its root file system is read-only; `volumes` and `tmpfs` are not.",
                  .fallback = "false",
                  .example = "read_only = true",
                  .since = "0.2"},
                 sink, out.read_only),
      {"shm_size",
       shapes::size(),
       {.text = "The size of its /dev/shm.",
        .fallback = "\"64m\"",
        .example = "shm_size = \"256m\"",
        .since = "0.2"},
       [&](const Node& v, const std::string& at) { read_size(v, at, sink, out.shm_size); }},
      texts_field("cap_add",
                  {.text = "Capabilities beside Docker's default ones, or `\"ALL\"`. For a user "
                           "other than root they count within the container's user namespace "
                           "alone; as root they are the host's.",
                   .example = "cap_add = [\"NET_ADMIN\"]",
                   .since = "0.2"},
                  sink, out.cap_add),
      texts_field("cap_drop",
                  {.text = "Capabilities that it is not to have, or `\"ALL\"`; what `cap_add` "
                           "names it has all the same.",
                   .example = "cap_drop = [\"ALL\"]",
                   .since = "0.2"},
                  sink, out.cap_drop),
      {"ulimits",
       ulimits_shape(),
       {.text = "Limits of each of its processes, as setrlimit(2) has them: a number for both, or "
                "`{ soft, hard }`; -1 is no limit. One above what you may set is lowered to that, "
                "and a notice says so.",
        .otherwise = "those of the server",
        .example = "ulimits = { nofile = 65536, core = { soft = 0, hard = -1 } }",
        .since = "0.2"},
       [&](const Node& v, const std::string& at) { read_ulimits(v, at, sink, out.ulimits); }},
      {"networks",
       members_shape(),
       {.text = "Networks of the project that it is in, in place of `network`: names of "
                "`[networks.NAME]`, or `\"default\"`.",
        .otherwise = "`[\"default\"]`",
        .example = "networks = [\"front\", { name = \"back\", aliases = [\"pg\"] }]",
        .since = "0.2"},
       [&](const Node& v, const std::string& at) { read_members(v, at, sink, out.networks); }},
      {"ports",
       ports_shape(),
       {.text = "More ports of the host that lead to it, as in Compose, but on loopback where no "
                "address is written: `\"8080:80\"`, `\"9000-9002:9000-9002\"`, "
                "`\"[::1]:53:53/udp\"`, `\"8000-8009:80\"` (the first free one), `\"80\"` (any "
                "free one).",
        .example = "ports = [\"8080:80\", \"0.0.0.0:5353:53/udp\"]",
        .since = "0.2"},
       [&](const Node& v, const std::string& at) { read_ports(v, at, sink, out.ports); }},
      {"container_port",
       shapes::port(),
       {.text = "Where it listens inside. An app is given it as `PORT`.",
        .otherwise = "the one TCP port that the image exposes; of apps 8080",
        .example = "container_port = 5432"},
       [&](const Node& v, const std::string& at) {
         if (read_int(v, at, sink, shapes::port().low, shapes::port().high, out.container_port) &&
             out.port == 0 && !out.auto_port)
           out.port_at = v.at();
       }},
  };
}

KeyFields image_fields(Sink& sink, ServiceSpec& out) {
  return {text_field("image",
                     {.text = "The image: a name as `docker pull` takes it, `oci:FOLDER:TAG`, or "
                              "`oci-archive:FILE`. It must be there.",
                      .example = "image = \"postgres:15\""},
                     sink, out.image),
          workdir_field(sink, out), watch_field(sink, out),
          command_field("entrypoint",
                        {.text = "In place of the image's `ENTRYPOINT`, whose `CMD` is then not "
                                 "used.",
                         .otherwise = "the image's",
                         .example = "entrypoint = [\"/usr/bin/env\"]"},
                        sink, out.entrypoint)};
}

KeyFields process_table_fields(Sink& sink, ServiceSpec& out) {
  KeyFields fields = common_fields(sink, out);
  append(fields, container_fields(sink, out));
  append(fields, process_fields(sink, out));
  return fields;
}

KeyFields app_fields(Sink& sink, ServiceReading& out) {
  KeyFields fields = build_fields(sink, out.spec);
  append(fields, process_fields(sink, out.spec));
  fields.push_back(
      {"processes",
       processes_shape(),
       {.text = "More services of the same build, one for each process type: the service "
                "`api/worker`. A list names them; in tables they have keys of their own, and what "
                "is left out is as in the app.",
        .example = "processes = [\"worker\"]"},
       [&out](const Node& v, const std::string&) { out.processes = &v; }});
  return fields;
}

KeyFields service_fields(ServiceKind kind, Sink& sink, ServiceReading& out) {
  static const Shape kinds{.kind = Shape::Kind::words, .words = shapes::words_of(kServiceKinds)};
  ServiceSpec& spec = out.spec;
  KeyFields fields{
      {"type",
       kinds,
       {.text = "What it is: `\"exec\"` a process on the host, `\"container\"` an image, "
                "`\"cnb\"` an app that is built from its source.",
        .otherwise = "`\"container\"` where there is an `image`, else `\"exec\"`",
        .example = ""},
       [](const Node&, const std::string&) {}}};  // it was read before the others
  append(fields, common_fields(sink, spec));
  if (kind == ServiceKind::exec)
    append(fields, {workdir_field(sink, spec), watch_field(sink, spec)});
  if (kind != ServiceKind::exec) append(fields, container_fields(sink, spec));
  if (kind == ServiceKind::container) append(fields, image_fields(sink, spec));
  if (kind != ServiceKind::cnb) return fields;
  append(fields, app_fields(sink, out));
  return fields;
}

}  // namespace locald::project
