#include "server/worker_main.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <optional>
#include <string_view>

#include "base/strings.h"
#include "builder/worker_jobs.h"
#include "cnb/worker_jobs.h"
#include "net/listeners.h"
#include "runtime/listener_search.h"
#include "runtime/worker.h"
#include "server/networks/cni_job.h"
#include "server/networks/network_job.h"

namespace locald::server {

int worker_main(int argc, char** argv) {
  std::optional<std::uint64_t> job_fd, userns_fd;
  for (int i = 2; i + 1 < argc; i += 2) {
    if (std::string_view(argv[i]) == "--job-fd") job_fd = parse_u64(argv[i + 1]);
    if (std::string_view(argv[i]) == "--userns-fd") userns_fd = parse_u64(argv[i + 1]);
  }
  if (!job_fd) {
    std::fputs(
        "locald-server worker: --job-fd is missing (the server starts workers, people do not)\n",
        stderr);
    return 2;
  }
  // What jobs make has the modes they say, and they say them all.
  ::umask(022);
  if (userns_fd) {
    if (auto joined = runtime::join_user_namespace(static_cast<int>(*userns_fd)); !joined) {
      std::fprintf(stderr, "locald-server worker: %s\n", joined.error().text().c_str());
      return 1;
    }
    ::close(static_cast<int>(*userns_fd));
  }
  // After the change of ids, which clears it. A server that died before this line closed
  // its end of the socket, and the job never comes.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  return runtime::serve_worker_job(
      static_cast<int>(*job_fd), [](const std::string& op) -> runtime::WorkerHandler {
        if (op == runtime::ListenersJob::kOp)
          return [](const Json& job, const std::function<void(Json)>&) {
            return runtime::listeners_job(job);
          };
        if (auto job = find_network_job(op)) return job;
        if (auto job = find_cni_job(op)) return job;
        if (auto job = builder::find_worker_job(op)) return job;
        return cnb::find_worker_job(op);
      });
}

}  // namespace locald::server
