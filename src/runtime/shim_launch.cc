#include "runtime/shim_launch.h"

#include <sys/socket.h>

#include <chrono>
#include <cstring>

#include "base/json/json.h"
#include "base/sys/fs_at.h"
#include "base/sys/spawn.h"
#include "base/sys/sys.h"
#include "runtime/processes.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

using std::chrono::seconds;
constexpr seconds kTakeOver{10};

InstanceRecord record_of(const ShimLaunch& launch) {
  const InstanceSpec& i = launch.instance;
  InstanceRecord record;
  record.id = i.id;
  record.nonce = i.nonce;
  record.name = i.name;
  record.kind = launch.kind;
  record.meta = i.meta;
  record.log_dir = i.log_dir;
  record.boot_id = boot_id();
  record.folder = launch.folder;
  record.writable = launch.writable;
  return record;
}

/// Without its last brace: the shim adds its own pid and start time.
std::string instance_text(const InstanceRecord& r) {
  std::string text = r.without_shim().dump();
  text.pop_back();
  return text;
}

}  // namespace

Result<std::unique_ptr<ShimHandle>> launch_shim(ShimLaunch launch) {
  const InstanceSpec& i = launch.instance;
  InstanceRecord record = record_of(launch);
  launch.spec.set(shim::kKeyKind, launch.kind)
      .set(shim::kKeyId, i.id)
      .set(shim::kKeyNonce, i.nonce)
      .set(shim::kKeyInstance, instance_text(record))
      .set(shim::kKeyRows, i.rows)
      .set(shim::kKeyColumns, i.columns)
      .flag(shim::kKeyTty, i.tty)
      .flag(shim::kKeyStdin, i.open_stdin)
      .flag(shim::kKeyHold, i.hold)
      .flag(shim::kKeyLog, !i.log_dir.empty())
      .set(shim::kKeyLogMax, i.log_max_bytes);
  // A failure does not stop the start: the one in the run folder stands.
  if (make_dirs(launch.paths.instance_records(), 0700))
    launch.spec.set(shim::kKeyKept, launch.paths.instance_records());
  UniqueFd log;
  if (!i.log_dir.empty()) {
    TRY(make_dirs(i.log_dir, 0700).context("create the log folder " + i.log_dir));
    log = TRY(sys::open(i.log_dir, O_RDONLY | O_DIRECTORY).context("the log folder " + i.log_dir));
  }
  const UniqueFd spec = TRY(launch.spec.to_fd());
  const UniqueFd folder = TRY(sys::open(launch.folder, O_RDONLY | O_DIRECTORY));
  auto [ours, theirs] = TRY(sys::socketpair(SOCK_STREAM));
  ours =
      TRY(above_reserve(std::move(ours))
              .context("start the shim")
              .hint("raise the limit (ulimit -n) and restart the server: locald server restart"));
  SpawnOptions spawn_options;
  spawn_options.argv = {launch.shim, shim::kModeRun, i.name};
  spawn_options.fds = {{spec.get(), shim::kShimSpec},
                       {folder.get(), shim::kShimFolder},
                       {theirs.get(), shim::kShimControl}};
  if (log) spawn_options.fds.emplace_back(log.get(), shim::kShimLog);
  if (launch.join_fd >= 0) spawn_options.fds.emplace_back(launch.join_fd, shim::kShimJoin);
  for (std::size_t n = 0; n < launch.extra_fds.size(); ++n)
    spawn_options.fds.emplace_back(launch.extra_fds[n], shim::kShimExtra + static_cast<int>(n));
  auto spawned = spawn(spawn_options);
  if (!spawned) {
    Error error = std::move(spawned).error().with_context("start the shim");
    // Any other cause is the machine's, not the installation's.
    if (error.code() == Errc::not_found || error.code() == Errc::denied)
      return std::move(error).with_hint("reinstall locald: it needs " + launch.shim);
    return error;
  }
  Child first = std::move(*spawned);
  theirs.reset();
  auto handle = ShimHandle::take(std::move(record), std::move(ours), kTakeOver);
  (void)first.wait(std::chrono::steady_clock::now() + kTakeOver);  // it only forks
  if (handle) (*handle)->kept_in(launch.paths);
  return handle;
}

}  // namespace locald::runtime
