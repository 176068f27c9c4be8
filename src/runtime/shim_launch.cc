#include "runtime/shim_launch.h"

#include <sys/socket.h>

#include <chrono>
#include <cstring>

#include "base/fs_at.h"
#include "base/json.h"
#include "base/spawn.h"
#include "base/sys.h"
#include "runtime/processes.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

using std::chrono::seconds;
constexpr seconds kTakeOver{10};
constexpr seconds kHello{1};

/// Without its last brace: the shim adds its own pid and start time.
std::string instance_text(const ShimLaunch& launch) {
  const InstanceSpec& i = launch.instance;
  std::string text = Json::object({{"format", 1},
                                   {"id", i.id},
                                   {"nonce", i.nonce},
                                   {"name", i.name},
                                   {"kind", launch.kind},
                                   {"meta", i.meta},
                                   {"log_dir", i.log_dir},
                                   {"boot_id", boot_id()}})
                         .dump();
  text.pop_back();
  return text;
}

}  // namespace

Result<std::unique_ptr<ShimHandle>> launch_shim(ShimLaunch launch) {
  const InstanceSpec& i = launch.instance;
  launch.spec.set(shim::kKeyKind, launch.kind)
      .set(shim::kKeyId, i.id)
      .set(shim::kKeyNonce, i.nonce)
      .set(shim::kKeyInstance, instance_text(launch))
      .set(shim::kKeyRows, i.rows)
      .set(shim::kKeyColumns, i.columns)
      .flag(shim::kKeyTty, i.tty)
      .flag(shim::kKeyStdin, i.open_stdin)
      .flag(shim::kKeyHold, i.hold)
      .flag(shim::kKeyLog, !i.log_dir.empty())
      .set(shim::kKeyLogMax, i.log_max_bytes);
  UniqueFd log;
  if (!i.log_dir.empty()) {
    TRY(make_dirs(i.log_dir, 0700).context("create the log folder " + i.log_dir));
    log = TRY(sys::open(i.log_dir, O_RDONLY | O_DIRECTORY).context("the log folder " + i.log_dir));
  }
  const UniqueFd spec = TRY(launch.spec.to_fd());
  const UniqueFd folder = TRY(sys::open(launch.folder, O_RDONLY | O_DIRECTORY));
  auto [ours, theirs] = TRY(sys::socketpair(SOCK_STREAM));
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
  ShimIdentity identity{i.id, i.nonce, launch.folder, launch.kind == "host", launch.kind == "exec"};
  auto handle = ShimHandle::take(std::move(identity), std::move(ours), kTakeOver);
  (void)first.wait(std::chrono::steady_clock::now() + kTakeOver);  // it only forks
  return handle;
}

Result<InstanceRecord> read_instance(const std::string& folder) {
  const std::string path = folder + "/" + shim::kInstanceFile;
  const Json doc = TRY(Json::parse(TRY(read_file(path, 1 << 20))).context(path));
  if (doc["format"].as_int() != 1) return Error(Errc::unsupported, path + ": of a newer locald");
  InstanceRecord record;
  record.id = TRY(doc.get_string("id").context(path));
  record.nonce = TRY(doc.get_string("nonce").context(path));
  record.name = doc["name"].as_string();
  record.kind = TRY(doc.get_string("kind").context(path));
  record.meta = doc["meta"].as_string();
  record.log_dir = doc["log_dir"].as_string();
  record.boot_id = doc["boot_id"].as_string();
  record.shim_pid = static_cast<int>(TRY(doc.get_int("shim_pid").context(path)));
  record.shim_start = static_cast<std::uint64_t>(TRY(doc.get_int("shim_start").context(path)));
  return record;
}

Result<std::unique_ptr<ShimHandle>> connect_shim(const std::string& folder,
                                                 const InstanceRecord& record) {
  if (record.boot_id != boot_id())
    return Error(Errc::not_found, record.name + ": the machine has been started anew");
  const UniqueFd proof =
      TRY(open_process(record.shim_pid, record.shim_start).context("the shim of " + record.name));
  UniqueFd socket = TRY(
      sys::unix_connect(folder + "/" + shim::kControlSocket).context("the shim of " + record.name));
  struct {
    FrameHeader header;
    FrameHello hello;
  } hello{};
  static_assert(sizeof hello == sizeof(FrameHeader) + sizeof(FrameHello));
  hello.header = {sizeof hello.hello, static_cast<std::uint8_t>(Frame::hello), {}};
  hello.hello.version = kAttachVersion;
  hello.hello.role = AttachRole::control;
  std::memcpy(hello.hello.nonce, record.nonce.data(),
              std::min(record.nonce.size(), sizeof hello.hello.nonce));
  TRY(sys::write_all(socket.get(),
                     std::string_view(reinterpret_cast<const char*>(&hello), sizeof hello)));
  ShimIdentity identity{record.id, record.nonce, folder, record.kind == "host",
                        record.kind == "exec"};
  auto handle = TRY(ShimHandle::take(std::move(identity), std::move(socket), kHello));
  if (handle->shim_pid() != record.shim_pid)
    return Error(Errc::not_found, record.name + ": another process answers at its control socket");
  return handle;
}

}  // namespace locald::runtime
