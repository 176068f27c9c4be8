#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "base/error_kind.h"
#include "base/json/json.h"
#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "runtime/cgroups.h"
#include "runtime/instance_meta.h"
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
constexpr milliseconds kAnswer{1000};                // of all shims together
constexpr milliseconds kRoom{5000}, kRoomPause{20};  // for descriptors to come free

/// Ends a shim that never said its end: it is stuck, or a stranger to this server.
Result<void> end_shim(const InstanceRecord& record) {
  if (record.boot_id != boot_id()) return {};
  auto pidfd = open_process(record.shim_pid, record.shim_start);
  if (!pidfd && pidfd.error().code() != Errc::not_found) return std::move(pidfd).error();
  if (!pidfd) return {};
  (void)sys::pidfd_signal(pidfd->get(), SIGKILL);
  pollfd ended{pidfd->get(), POLLIN, 0};
  if (::poll(&ended, 1, static_cast<int>(kGone.count())) <= 0)
    return Error(Errc::timed_out, "the shim of " + record.name + " (process " +
                                      std::to_string(record.shim_pid) + ") does not end");
  (void)reap_orphans();
  return {};
}

Result<void> sweep_all(const std::string& nonce, const std::string& name) {
  const auto deadline = Clock::now() + kGone;
  std::optional<int> found = sweep(nonce);
  while (found != 0 && Clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(2));
    found = sweep(nonce);
  }
  if (found == 0) return {};
  if (!found)
    return Error(Errc::unavailable, "what is left of " + name + " cannot be looked for in /proc");
  return Error(Errc::failed,
               std::to_string(*found) + " processes of " + name + " could not be killed");
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

bool same(const InstanceRecord& a, const InstanceRecord& b) {
  return a.id == b.id && a.nonce == b.nonce && a.kind == b.kind && a.meta == b.meta &&
         a.boot_id == b.boot_id && a.shim_pid == b.shim_pid && a.shim_start == b.shim_start &&
         a.writable == b.writable;
}

/// Who the instance is: two records that agree, or the only one; else the shim itself is asked.
/// @return Errc::not_found where nothing tells of it.
Result<InstanceRecord> identify(const Paths& paths, const std::string& id) {
  const std::string folder = paths.instance(id);
  auto told = read_instance(folder);
  if (told && told->id != id)
    told = Error(Errc::corrupt, folder + "/instance.json is of another instance");
  auto kept = read_kept(paths, id);
  if (told && kept && same(*told, *kept)) return told;
  const auto absent = [](const auto& r) { return !r && r.error().code() == Errc::not_found; };
  if (told && absent(kept)) return told;  // of an older server
  if (absent(told) && kept) return kept;
  if (absent(told) && absent(kept)) return told;
  auto asked = ask_shim(folder, id);
  if (asked) return asked;
  if (kept) return kept;
  return told;
}

}  // namespace

Result<std::vector<ProcessRuntime::Found>> ProcessRuntime::find_instances() {
  const Paths& paths = impl_->options.paths;
  const std::string root = paths.instances();
  std::set<std::string> ids;
  for (std::string& id : TRY(kept_ids(paths))) ids.insert(std::move(id));
  TRY(each_in(root, [&](const std::string& id, unsigned char) -> Result<void> {
    ids.insert(id);
    return {};
  }));
  std::vector<Found> all;
  std::vector<std::unique_ptr<ShimHandle>> shims;  // of the same index
  for (const std::string& id : ids) {
    Found found;
    found.id = id;
    std::unique_ptr<ShimHandle> shim;
    auto record = identify(paths, id);
    if (!record) {
      if (!says_something(record.error()) || record.error().code() == Errc::unsupported) {
        std::fprintf(stderr, "instance %s is left alone: %s\n", id.c_str(),
                     record.error().message().c_str());
        continue;
      }
      found.exit.reason =
          (record.error().code() == Errc::not_found ? "its start was interrupted: " : "") +
          record.error().message();
    } else {
      found.nonce = record->nonce;
      found.meta = record->meta;
      if (auto recorded = read_exit(record->folder, record->nonce)) {
        found.exit = std::move(*recorded);
      } else if (auto live = ShimHandle::find(*record)) {
        shim = std::move(*live);
      } else {
        found.exit.reason = live.error().message() + "; the exit status is unknown";
      }
    }
    all.push_back(std::move(found));
    shims.push_back(std::move(shim));
  }
  // One second for all of them, however many do not answer.
  const auto deadline = Clock::now() + kAnswer;
  for (std::size_t i = 0; i < all.size(); ++i) {
    // Its end was written down by the server that saw it, before the folder went: the copy knows no
    // better, and says no more than that something is to be cleaned. (Of --rm: that all is to go.)
    if (shims[i] == nullptr && !exists(paths.instance(all[i].id)) &&
        !InstanceMeta::from_text(all[i].meta).rm)
      all[i].meta.clear();
    if (shims[i] == nullptr) continue;
    shims[i]->await(deadline);
    const InstanceRecord& record = shims[i]->record();
    const bool ended = shims[i]->has_ended();
    // It may have come to its end between the looks.
    auto recorded = ended || !shims[i]->trouble().empty()
                        ? read_exit(record.folder, record.nonce)
                        : Result<ExitStatus>(Error(Errc::not_found, ""));
    if (recorded) {
      all[i].exit = std::move(*recorded);
    } else if (ended) {
      all[i].exit.reason = "its shim has ended; the exit status is unknown";
    } else {
      impl_->share(record.id, record.shared());
      shims[i]->keep_in(paths);
      all[i].live = std::move(shims[i]);
    }
  }
  // Assembled, and never started.
  TRY(each_in(paths.bundles(), [&](const std::string& id, unsigned char) -> Result<void> {
    if (ids.contains(id)) return {};
    Found found;
    found.id = id;
    found.exit.reason = "its start was interrupted";
    all.push_back(std::move(found));
    return {};
  }));
  return all;
}

Result<void> ProcessRuntime::clean(const std::string& id, const std::string& nonce) {
  const auto passes = [](const Result<void>& done) {
    return !done && (!says_something(done.error()) || done.error().code() == Errc::unavailable);
  };
  const auto deadline = Clock::now() + kRoom;
  Result<void> cleaned = impl_->clean_now(id, nonce);
  while (passes(cleaned) && Clock::now() < deadline) {
    std::this_thread::sleep_for(kRoomPause);
    cleaned = impl_->clean_now(id, nonce);
  }
  std::map<std::string, std::string> unfinished;
  {
    const std::lock_guard lock(impl_->mutex);
    unfinished.swap(impl_->unfinished);
  }
  if (passes(cleaned)) unfinished[id] = nonce;
  if (cleaned)
    std::erase_if(unfinished, [&](const auto& other) {
      return !passes(impl_->clean_now(other.first, other.second));
    });
  const std::lock_guard lock(impl_->mutex);
  impl_->unfinished.merge(unfinished);
  return cleaned;
}

Result<void> ProcessRuntime::Impl::clean_now(const std::string& id, const std::string& nonce) {
  const Paths& paths = options.paths;
  const std::string folder = paths.instance(id);
  const auto record = identify(paths, id);
  if (!record && !says_something(record.error()))
    return record.error();  // it may be anything, also alive
  // R-GONE: with exit.json the shim itself has proved it (R-EXIT). Without, it is proved here.
  const auto ended = read_exit(record ? record->folder : folder, nonce);
  if (!ended && !says_something(ended.error())) return ended.error();
  if (!ended) {
    if (record) TRY(end_shim(*record));
    if (!nonce.empty() && (!record || record->kind != "container")) TRY(sweep_all(nonce, id));
  }
  // A command in a container has only its folder.
  TRY(remove_tree(paths.runc_root() + "/" + id));
  if (::geteuid() == 0 && (!record || record->kind == "container")) TRY(remove_cgroups(id));
  TRY(remove_tree(paths.bundle(id)));
  // Its server may have been killed, or know no more what it was.
  TRY(remove_tree(paths.notify_socket(id)));
  TRY(remove_tree(paths.notify_marker(id)));
  TRY(remove_tree(folder));
  // Of a server with another run folder.
  if (record && record->folder != folder && record->folder.ends_with("/svc/" + id))
    TRY(remove_tree(record->folder));
  TRY(must_be_gone(paths.runc_root() + "/" + id));
  TRY(must_be_gone(paths.bundle(id)));
  TRY(must_be_gone(folder));
  forget(paths, id);
  share(id, {});
  return {};
}

}  // namespace locald::runtime
