#include "net/cni/plugin.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/spawn.h"
#include "base/sys/sys.h"
#include "net/cni/conflist.h"
#include "net/sandbox/sandbox.h"

namespace locald::net {
namespace {

constexpr std::size_t kMaxOutput = 1u << 20, kMaxTold = 1000;
/// The container's namespace in the plugin, which its own children have too.
constexpr int kNetnsFd = 3;
const std::string kNetnsPath = "/proc/self/fd/" + std::to_string(kNetnsFd);

/// What of the host's a plugin has no business with. What cannot be hidden stays: it is the host's
/// user who has chosen the plugin.
Result<void> enter_view(const CniWorld& world) {
  if (::unshare(CLONE_NEWNS) != 0) return Error::from_errno(errno, "make a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return Error::from_errno(errno, "make the mounts private");
  (void)::mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  if (exists("/run/dbus"))
    (void)::mount("tmpfs", "/run/dbus", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755");
  if (exists("/var/lib/cni")) {
    const std::string own = world.folder + "/lib";
    (void)TRY(make_dirs(own));
    if (::mount(own.c_str(), "/var/lib/cni", nullptr, MS_BIND, nullptr) != 0)
      return Error::from_errno(errno, "put a folder of their own over /var/lib/cni");
  }
  if (::unshare(CLONE_NEWPID) != 0) return Error::from_errno(errno, "make a pid namespace");
  return {};
}

Result<UniqueFd> input_of(const std::string& text) {
  UniqueFd file(::memfd_create("cni", MFD_CLOEXEC));
  if (!file) return Error::from_errno(errno, "memfd_create");
  TRY(sys::write_all(file.get(), text));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return Error::from_errno(errno, "lseek");
  return file;
}

/// Of one that failed. Spec: CNI 1.0.0, section 5, Error.
Error told(const Output& output) {
  const auto json = Json::parse(output.out);
  std::string text = json ? (*json)["msg"].as_string() : "";
  if (json && !(*json)["details"].as_string().empty())
    text += (text.empty() ? "" : ": ") + (*json)["details"].as_string();
  if (text.empty()) text = trim(output.err);
  if (text.empty()) text = trim(output.out);
  std::string how = output.exit.signal != 0
                        ? "it was ended by signal " + std::to_string(output.exit.signal)
                        : "exit code " + std::to_string(output.exit.code);
  if (text.empty()) return Error(Errc::failed, std::move(how));
  return Error(Errc::failed, to_utf8(shortened(text, kMaxTold)));
}

Result<Json> run_here(const CniWorld& world, const PluginCall& call) {
  const std::string program = find_plugin(call.type, world.path);
  if (program.empty())
    return Error(Errc::not_found, "it is not in " + join(world.path, " or "))
        .with_hint("sudo apt-get install containernetworking-plugins");
  const UniqueFd input = TRY(input_of(call.config.dump()));
  SpawnOptions options;
  options.argv = {program};
  options.env = {"CNI_COMMAND=" + call.command, "CNI_CONTAINERID=" + call.container,
                 "CNI_NETNS=" + (call.netns >= 0 ? kNetnsPath : ""), "CNI_IFNAME=" + call.link,
                 "CNI_PATH=" + join(world.path, ":"), "PATH=" + world.search_path,
                 // The default one is root's alone.
                 "XTABLES_LOCKFILE=" + world.folder + "/xtables.lock"};
  options.stdin_fd = input.get();
  if (call.netns >= 0) options.fds = {{call.netns, kNetnsFd}};
  options.ends_with_thread = true;
  options.own_proc = true;
  TRY(enter_view(world));
  auto output = run_program(std::move(options), world.limit, kMaxOutput);
  if (!output && output.error().code() == Errc::timed_out)
    return Error(Errc::timed_out,
                 "no answer within " + std::to_string(world.limit.count()) + " ms; it was ended")
        .with_hint("how long it may take: `cni_timeout` in locald's config.toml");
  const Output done = TRY(std::move(output));
  if (!done.exit.ok()) return told(done);
  if (trim(done.out).empty()) return Json();
  return TRY(Json::parse(done.out).context("its answer"));
}

}  // namespace

Result<Json> run_plugin(const CniWorld& world, const PluginCall& call) {
  Result<Json> out = Json();
  // A thread of its own: namespaces are entered for good.
  const auto done = in_namespace(world.sandbox, [&]() -> Result<void> {
    out = run_here(world, call);
    return {};
  });
  if (!done) return done.error();
  if (!out)
    return std::move(out).error().with_context("CNI plugin " + call.type + ", " + call.command);
  return out;
}

}  // namespace locald::net
