#include "server/networks/recorded_process.h"

#include <poll.h>

#include <csignal>

#include "base/sys/sys.h"
#include "runtime/processes.h"

namespace locald::server {

const Fields& RecordedProcess::fields() {
  using R = RecordedProcess;
  static const Fields table = FieldsOf<R>("process")
                                  .required("pid", &R::pid, "")
                                  .required("start_time", &R::start_time, "clock ticks")
                                  .required("boot_id", &R::boot_id, "");
  return table;
}

Result<RecordedProcess> RecordedProcess::of(pid_t pid) {
  const auto stat = runtime::process_stat(pid);
  if (!stat) return Error(Errc::not_found, "process " + std::to_string(pid) + " has ended");
  return RecordedProcess{pid, stat->start_time, runtime::boot_id()};
}

Result<UniqueFd> RecordedProcess::open() const {
  if (boot_id != runtime::boot_id())
    return Error(Errc::not_found,
                 "process " + std::to_string(pid) + " ended with the machine's last run");
  return runtime::open_process(pid, start_time);
}

void end_process(int pidfd) {
  constexpr int kEndMs = 1000;
  (void)sys::pidfd_signal(pidfd, SIGKILL);
  pollfd wait{pidfd, POLLIN, 0};
  (void)::poll(&wait, 1, kEndMs);
}

std::string network_marker(const std::string& folder) { return "LOCALD_NETWORK=" + folder; }

void end_marked(std::string_view name, const std::string& folder) {
  const std::string marker = network_marker(folder);
  (void)runtime::each_process([&](pid_t pid) {
    // Held first: what is looked at is what is ended.
    const auto pidfd = sys::pidfd_open(pid);
    const auto stat = runtime::process_stat(pid);
    if (pidfd && stat && stat->name.starts_with(name) && runtime::environment_has(pid, marker))
      end_process(pidfd->get());
  });
}

}  // namespace locald::server
