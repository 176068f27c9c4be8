#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "base/fs_at.h"
#include "base/strings.h"
#include "base/sys.h"
#include "runtime/cgroups.h"
#include "runtime/orphans.h"
#include "runtime/process_runtime_impl.h"
#include "runtime/processes.h"
#include "runtime/shim_launch.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;
constexpr milliseconds kGone{2000};

/// Ends a shim that never said its end: it is stuck, or a stranger to this server.
Result<void> end_shim(const InstanceRecord& record) {
  if (record.boot_id != boot_id()) return {};
  auto pidfd = open_process(record.shim_pid, record.shim_start);
  if (!pidfd) return {};
  (void)sys::pidfd_signal(pidfd->get(), SIGKILL);
  pollfd ended{pidfd->get(), POLLIN, 0};
  if (::poll(&ended, 1, static_cast<int>(kGone.count())) <= 0)
    return Error(Errc::timed_out, "the shim of " + record.name + " (process " +
                                      std::to_string(record.shim_pid) + ") does not end");
  reap_orphans();
  return {};
}

Result<void> sweep_all(const std::string& nonce, const std::string& name) {
  const auto deadline = Clock::now() + kGone;
  int found = sweep(nonce);
  while (found > 0 && Clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(2));
    found = sweep(nonce);
  }
  if (found == 0) return {};
  return Error(Errc::failed,
               std::to_string(found) + " processes of " + name + " could not be killed");
}

Result<void> must_be_gone(const std::string& path) {
  if (exists(path)) return Error(Errc::failed, path + " could not be removed");
  return {};
}

/// As list_dir(); nothing where there is no such folder.
Result<void> each_in(const std::string& folder,
                     const std::function<Result<void>(const std::string&, unsigned char)>& visit) {
  const auto dir = sys::open(folder, O_RDONLY | O_DIRECTORY);
  if (dir) return list_dir(dir->get(), visit);
  return dir.error().code() == Errc::not_found ? Result<void>() : Result<void>(dir.error());
}

}  // namespace

Result<std::vector<ProcessRuntime::Found>> ProcessRuntime::find_instances() {
  std::vector<Found> all;
  const std::string root = impl_->options.paths.instances();
  TRY(each_in(root, [&](const std::string& id, unsigned char) -> Result<void> {
    const std::string folder = root + "/" + id;
    Found found;
    found.id = id;
    auto record = read_instance(folder);
    if (!record) {
      found.exit.reason = "its start was cut short: " + record.error().message();
      all.push_back(std::move(found));
      return {};
    }
    found.nonce = record->nonce;
    found.meta = record->meta;
    auto recorded = read_exit(folder, record->nonce);
    if (recorded) {
      found.exit = std::move(*recorded);
    } else if (auto live = connect_shim(folder, *record)) {
      found.live = std::move(*live);
    } else if (recorded = read_exit(folder, record->nonce);
               recorded) {  // it ended between the two looks
      found.exit = std::move(*recorded);
    } else {
      found.exit.reason = live.error().message() + "; the exit status is unknown";
    }
    all.push_back(std::move(found));
    return {};
  }));
  // Assembled, and never started.
  TRY(each_in(impl_->options.paths.bundles(),
              [&](const std::string& id, unsigned char) -> Result<void> {
                if (exists(root + "/" + id)) return {};
                Found found;
                found.id = id;
                found.exit.reason = "its start was cut short";
                all.push_back(std::move(found));
                return {};
              }));
  return all;
}

Result<void> ProcessRuntime::clean(const std::string& id, const std::string& nonce) {
  const Paths& paths = impl_->options.paths;
  const std::string folder = paths.instance(id);
  const auto record = read_instance(folder);
  // With exit.json the shim itself has proved that its tree is gone. Without, it is proved here.
  if (!read_exit(folder, nonce)) {
    if (record) TRY(end_shim(*record));
    if (!nonce.empty() && (!record || record->kind != "container")) TRY(sweep_all(nonce, id));
  }
  // A command in a container has only its folder.
  TRY(remove_tree(paths.runc_root() + "/" + id));
  if (::geteuid() == 0 && (!record || record->kind == "container")) TRY(remove_cgroups(id));
  TRY(remove_tree(paths.bundle(id)));
  TRY(remove_tree(folder));
  TRY(must_be_gone(paths.runc_root() + "/" + id));
  TRY(must_be_gone(paths.bundle(id)));
  return must_be_gone(folder);
}

}  // namespace locald::runtime
