// locald-server: `run` is the server (server.h), `worker` one job inside the user namespace
// (worker_main.h).
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "base/paths.h"
#include "base/sys/standard_fds.h"
#include "ipc/version.h"
#include "server/server.h"
#include "server/worker_main.h"

namespace locald::server {
namespace {

int check_server() {
  const auto look = []() -> Result<void> { return check_start(TRY(Paths::from_process())); };
  if (const auto looked = look(); !looked) {
    fmt::print(stderr, "{}\n", looked.error().text());
    return 1;
  }
  fmt::print("locald-server {} ({})\n", ipc::kVersion, ipc::kBuild);
  return 0;
}

int run_server(UniqueFd ready) {
  if (ready) ::fcntl(ready.get(), F_SETFD, FD_CLOEXEC);
  // Few arenas: many short-lived threads must not each keep memory of their own.
  ::mallopt(M_ARENA_MAX, 2);
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(077);
  if (::chdir("/") != 0) return 1;
  auto paths = Paths::from_process();
  if (!paths) {
    fmt::print(stderr, "locald-server: {}\n", paths.error().text());
    return 1;
  }
  return run(std::move(*paths), std::move(ready));
}

}  // namespace
}  // namespace locald::server

int main(int argc, char** argv) {
  locald::fill_standard_fds();
  const std::string_view verb = argc > 1 ? argv[1] : "";
  if (verb == "worker") return locald::server::worker_main(argc, argv);
  if (verb == "run" && argc == 2) return locald::server::run_server({});
  if (verb == "run" && argc == 4 && std::string_view(argv[2]) == "--ready-fd")
    return locald::server::run_server(locald::UniqueFd(::atoi(argv[3])));
  if (verb == "--check" && argc == 2) return locald::server::check_server();
  if (verb == "--version") {
    fmt::print("locald-server {} ({})\n", locald::ipc::kVersion, locald::ipc::kBuild);
    return std::fflush(stdout) == 0 ? 0 : 1;
  }
  fmt::print(stderr, "usage: locald-server run\nPeople use: locald server run\n");
  return 2;
}
