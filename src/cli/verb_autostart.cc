#include <unistd.h>

#include <cstdlib>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/spawn.h"
#include "cli/context.h"
#include "cli/failures.h"
#include "cli/print.h"
#include "cli/verbs.h"
#include "ipc/messages/look.h"

namespace locald::cli {
namespace {

constexpr const char* kServerUnit = "locald.service";
constexpr const char* kProjectsUnit = "locald-projects.service";
constexpr std::chrono::seconds kPatience{30};

Result<Output> run(std::vector<std::string> argv) {
  const char* path = std::getenv("PATH");
  const auto program = find_program(argv[0], path != nullptr ? path : "/usr/bin:/bin");
  if (!program) return Error(Errc::not_found, argv[0] + " is not installed");
  argv[0] = *program;
  SpawnOptions options{.argv = std::move(argv), .env = {}};
  for (const auto& [name, value] : environment()) options.env.push_back(name + "=" + value);
  return run_program(std::move(options), kPatience);
}

Error no_systemd(const Error& why) {
  return Error(Errc::unsupported, "autostart needs systemd: " + why.message())
      .with_hint("elsewhere, run `locald autostart run` at login");
}

/// `systemctl --user …`, which has to go well.
Result<void> systemctl(std::vector<std::string> words) {
  words.insert(words.begin(), {"systemctl", "--user"});
  const auto done = run(words);
  if (done && done->exit.ok()) return {};
  const std::string what = join(words, " ");
  if (!done) return no_systemd(done.error());
  return Error(Errc::failed,
               what + ": " + std::string(trim(done->err.empty() ? done->out : done->err)))
      .with_hint("is systemd's user manager running? systemctl --user status");
}

/// Where a user's own units lie.
Result<std::string> unit_folder() {
  const char* config = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  if (config != nullptr && *config == '/') return std::string(config) + "/systemd/user";
  if (home != nullptr && *home == '/') return std::string(home) + "/.config/systemd/user";
  return Error(Errc::not_found, "there is no place for a unit").with_hint("set HOME");
}

/// As the package has it.
std::string server_unit(const std::string& cli, const std::string& server) {
  return "[Unit]\nDescription=locald: runs the services of projects\n\n[Service]\nType=notify\n"
         "ExecStartPre=-" +
         cli + " server stop\nExecStart=" + server +
         " run\nKillMode=process\nRestart=on-failure\nDelegate=yes\nOOMPolicy=continue\n"
         "TasksMax=infinity\n\n[Install]\nWantedBy=default.target\n";
}

std::string projects_unit(const std::string& cli) {
  return "# Written by `locald autostart on`; `locald autostart off` removes it.\n[Unit]\n"
         "Description=locald: brings up the projects that were up\nWants=locald.service\n"
         "After=locald.service network-online.target\n\n[Service]\nType=oneshot\n"
         "RemainAfterExit=yes\nTimeoutStartSec=infinity\nExecStart=" +
         cli + " autostart run\n\n[Install]\nWantedBy=default.target\n";
}

std::string own_path() {
  char path[4096];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : "/usr/bin/locald";
}

/// Without it the user manager, and all that it runs, ends with the last session.
bool lingers() {
  const auto said = run({"loginctl", "show-user", std::to_string(::geteuid()), "-p", "Linger"});
  return said && said->out.find("Linger=yes") != std::string::npos;
}

Result<int> autostart_on(Context&, const Args&) {
  const std::string folder = TRY(unit_folder());
  const std::string cli = own_path();
  const auto installed = run({"systemctl", "--user", "cat", kServerUnit});
  if (!installed) return no_systemd(installed.error());
  TRY(make_dirs(folder, 0755));
  if (!installed->exit.ok())
    TRY(write_file_atomic(folder + "/" + kServerUnit,
                          server_unit(cli, TRY(find_own_program("locald-server"))), 0644));
  TRY(write_file_atomic(folder + "/" + kProjectsUnit, projects_unit(cli), 0644));
  TRY(systemctl({"daemon-reload"}));
  TRY(systemctl({"enable", kServerUnit, kProjectsUnit}));
  TRY(systemctl({"start", kServerUnit}));
  err("on: the server starts with your login, and brings up the projects that were up\n");
  if (!lingers())
    err("hint: from the boot on, without a login: sudo loginctl enable-linger $USER\n");
  return 0;
}

Result<int> autostart_off(Context&, const Args&) {
  const std::string folder = TRY(unit_folder());
  TRY(systemctl({"disable", kServerUnit, kProjectsUnit}));
  ::unlink((folder + "/" + kProjectsUnit).c_str());
  TRY(systemctl({"daemon-reload"}));
  err("off: running services stay up\n");
  return 0;
}

/// One after the other, each once what was up before has started.
Result<int> autostart_run(Context& context, const Args&) {
  auto client = TRY(context.connect());
  const auto left = TRY(client.ask(ipc::LeftRequest{}));
  if (left.projects.empty()) err("there is nothing to bring up\n");
  int code = 0;
  for (const ipc::LeftProject& project : left.projects) {
    const ipc::UpRequest request{
        .project = {.dir = project.dir, .file = project.file, .name = project.name, .env = {}},
        .services = project.services,
        .world = world()};
    const auto up = client.ask(request);
    if (!up) print_error(Error(up.error()).with_context("project " + project.name));
    const bool well = up && report_up(context, *up) == 0;
    if (well) err("project " + project.name + ": up\n");
    code = well ? code : 1;
  }
  return code;
}

}  // namespace

const Verb kAutostartOn{
    .name = "autostart on",
    .usage = "",
    .summary = "bring up at each login, or boot, the projects that were up",
    .details =
        "Enables units of systemd's user manager: the server, and `locald autostart run`. A\n"
        "project that was up when the machine went down comes up again, with the services that\n"
        "were wanted, in the order in which projects had come up; one that `locald down` has\n"
        "brought down does not. Values for ${…} come from the file, from .env beside it and from\n"
        "the user manager (systemctl --user set-environment): what the shell of the first `up`\n"
        "had is gone after a boot.\n",
    .options = {},
    .max_arguments = 0,
    .run = autostart_on,
};
const Verb kAutostartOff{
    .name = "autostart off",
    .usage = "",
    .summary = "undo `autostart on`",
    .details = "Running services stay up.\n",
    .options = {},
    .max_arguments = 0,
    .run = autostart_off,
};
const Verb kAutostartRun{
    .name = "autostart run",
    .usage = "",
    .summary = "bring up the projects that were up when the machine went down",
    .details =
        "What `autostart on` has systemd run; by hand where there is no systemd. Each project is\n"
        "waited for until its services have started. Exits with 1 where one did not.\n",
    .options = {},
    .max_arguments = 0,
    .run = autostart_run,
};

}  // namespace locald::cli
