#include "runtime/orphans.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/sys/spawn.h"
#include "runtime/processes.h"

namespace locald::runtime {
namespace {

/// Children of the server that are meant to live.
constexpr char kShimName[] = "locald-shim", kNetdName[] = "locald-netd";

}  // namespace

Result<void> become_subreaper() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
    return Error::from_errno(errno, "prctl PR_SET_CHILD_SUBREAPER");
  return {};
}

bool reap_orphans() {
  Reaped first = Reaped::yes;
  while (first == Reaped::yes) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
      return true;
    first = reap_unowned(info.si_pid);
  }
  // It hides those behind it. Only now is every child looked at: with 200 services that is 200
  // files of /proc, each time.
  bool all = true;
  each_child(::getpid(), [&](pid_t pid) {
    const auto stat = process_stat(pid);
    if (stat && stat->state == 'Z' && reap_unowned(pid) == Reaped::later) all = false;
  });
  return all;
}

std::optional<int> sweep(const std::string& nonce) {
  int found = 0;
  const pid_t session = ::getsid(0);
  const auto self = process_stat(::getpid());
  if (!self) return std::nullopt;
  const std::string own_name = self->name;
  each_child(::getpid(), [&](pid_t pid) {
    const auto stat = process_stat(pid);
    if (!stat) return;
    if (stat->state == 'Z') {
      (void)reap_unowned(pid);
      return;
    }
    if (stat->session == session) return;
    // Our own name: another thread's start of a shim, between fork and exec.
    if (stat->name == kShimName || stat->name == kNetdName || stat->name == own_name) return;
    ++found;
    kill_tree(pid);
  });
  if (nonce.empty()) return found;
  const std::string marker = "LOCALD_INSTANCE=" + nonce;
  const bool all = each_process([&](pid_t pid) {
    if (pid == ::getpid() || !environment_has(pid, marker)) return;
    const auto stat = process_stat(pid);
    if (!stat || stat->state == 'Z') return;
    ++found;
    kill_tree(pid);
  });
  if (!all) return std::nullopt;
  return found;
}

}  // namespace locald::runtime
