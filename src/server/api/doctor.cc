#include "server/api/doctor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/spawn.h"
#include "base/sys/sys.h"
#include "server/api/runc_holes.h"

namespace locald::server {
namespace {

using namespace std::chrono_literals;
using Status = Check::Status;

constexpr auto kProgramTimeout = 5s;

std::optional<std::string> read_setting(const DoctorInputs& in, const std::string& path) {
  auto text = read_file(in.sysroot + path, 64 << 10);
  return text ? std::optional<std::string>(trim(*text)) : std::nullopt;
}

Check check_runtime(const DoctorInputs& in, const std::stop_token& stop) {
  const std::string path =
      runtime::find_runtime(in.runtime_name, in.search_path, in.packaged_runtime);
  if (path.empty())
    return {"runtime", Status::fail,
            "no OCI runtime: looked for " + in.runtime_name + " in " + in.search_path,
            "sudo apt-get install runc"};
  SpawnOptions options;
  options.argv = {path, "--version"};
  options.env = {"PATH=" + in.search_path};
  const auto output = run_program(options, kProgramTimeout, 4096, stop);
  if (!output)
    return {"runtime", Status::fail, path + " cannot run: " + output.error().message(),
            output.error().hint().empty()
                ? "install it again: sudo apt-get install --reinstall runc"
                : output.error().hint()};
  if (!output->exit.ok())
    return {"runtime", Status::fail, path + " --version failed: " + std::string(trim(output->err)),
            "install it again: sudo apt-get install --reinstall runc"};
  const std::string first = split(output->out, '\n').front();
  const std::string version = first.substr(first.rfind(' ') + 1);
  const auto holes =
      path.find("runc") == std::string::npos ? std::vector<std::string>() : runc_holes(version);
  if (holes.empty()) return {"runtime", Status::ok, path + " (" + first + ")", ""};
  const auto package = runc_package(in.sysroot, path, holes, stop);
  std::vector<std::string> open;
  for (const std::string& hole : holes)
    if (!package ||
        std::find(package->fixed.begin(), package->fixed.end(), hole) == package->fixed.end())
      open.push_back(hole);
  const std::string what = path + " (runc " + (package ? package->version : version) + ")";
  const std::string fixed = package && !package->fixed.empty()
                                ? join(package->fixed, ", ") +
                                      (package->fixed.size() == 1 ? " is" : " are") +
                                      " fixed in this package"
                                : "";
  if (open.empty()) return {"runtime", Status::ok, what + ": " + fixed, ""};
  return {
      "runtime", Status::warn,
      what + ": " + (fixed.empty() ? "" : fixed + "; ") + "open: " + join(open, ", ") +
          (in.root ? ". A hostile image that uses one has the whole machine"
                   : ". A hostile image that uses one has what you have, not root"),
      "the package locald-runc closes them, and leaves this runc as it is; made and installed in a "
      "clone of locald: scripts/package --runc --install"};
}

Check check_user_namespace(const DoctorInputs& in) {
  if (in.root) return {"user-namespaces", Status::ok, "not needed: the server runs as root", ""};
  if (read_setting(in, "/proc/sys/user/max_user_namespaces") == "0")
    return {"user-namespaces", Status::fail,
            "user namespaces are disabled (user.max_user_namespaces=0); containers need them",
            "echo 'user.max_user_namespaces=28633' | sudo tee /etc/sysctl.d/51-locald.conf && sudo "
            "sysctl --system"};
  if (read_setting(in, "/proc/sys/kernel/unprivileged_userns_clone") == "0")
    return {"user-namespaces", Status::fail,
            "this kernel forbids unprivileged user namespaces (kernel.unprivileged_userns_clone=0)",
            "echo 'kernel.unprivileged_userns_clone=1' | sudo tee /etc/sysctl.d/51-locald.conf && "
            "sudo sysctl --system"};
  auto map = in.user_namespace();
  if (!map) {
    const bool apparmor =
        read_setting(in, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1";
    return {"user-namespaces", Status::fail, map.error().message(),
            apparmor
                ? "AppArmor lets only programs with a profile make user namespaces here "
                  "(kernel.apparmor_restrict_unprivileged_userns=1); locald's package installs "
                  "one for /usr/libexec/locald, /etc/apparmor.d/locald"
                : map.error().hint()};
  }
  if (!map->notice.empty()) return {"user-namespaces", Status::warn, map->notice, ""};
  return {"user-namespaces", Status::ok, "ids are mapped to " + map->map_id, ""};
}

Check check_overlay(const DoctorInputs& in, const std::stop_token& stop) {
  const std::string base = in.paths.data() + "/.doctor-" + random_hex(4);
  const auto made = [&]() -> Result<void> {
    for (const char* part : {"/l", "/u", "/w", "/m"}) (void)TRY(make_dirs(base + part));
    return {};
  }();
  if (!made)
    return {"overlay", Status::fail, "cannot write to the store: " + made.error().message(),
            made.error().hint()};
  SpawnOptions options;
  // unshare and mount come with util-linux, which Debian cannot be without; `-r` is not for root.
  const std::string mount = "mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w" +
                            std::string(in.root ? "" : ",userxattr") +
                            " m && echo x > m/x && rm m/x";
  options.argv = {"/usr/bin/unshare"};
  if (!in.root) options.argv.emplace_back("-r");
  options.argv.insert(options.argv.end(), {"-m", "sh", "-c", mount});
  options.env = {"PATH=" + in.search_path};
  options.cwd = base;
  const auto output = run_program(options, kProgramTimeout, 4096, stop);
  (void)remove_tree(base);
  if (!output)
    return {"overlay", Status::warn,
            "overlay mounts could not be tried: " + output.error().message(), ""};
  if (output->exit.ok())
    return {"overlay", Status::ok, "overlay mounts work on " + in.paths.data(), ""};
  return {
      "overlay", Status::fail,
      "overlay mounts do not work on " + in.paths.data() + ": " + std::string(trim(output->err)),
      "put the store on ext4, xfs, btrfs or tmpfs (XDG_DATA_HOME or LOCALD_HOME), on a kernel from "
      "5.13 on"};
}

Check check_cgroups(const DoctorInputs& in) {
  if (!in.root)
    return {"cgroups", Status::warn,
            "memory, cpus and pids limits are refused: rootless containers have no cgroup of their "
            "own in this version",
            "leave them out of the service, or run locald as root"};
  const auto controllers = read_setting(in, "/sys/fs/cgroup/cgroup.controllers");
  return {
      "cgroups", Status::ok,
      controllers ? "cgroup v2 with " + *controllers : "cgroup v1 or hybrid: limits work as root",
      ""};
}

Check check_folders(const DoctorInputs& in) {
  if (in.paths.runtime_dir_is_fallback())
    return {"folders", Status::warn,
            "XDG_RUNTIME_DIR is not set; " + in.paths.run() +
                " is used, which others can occupy before you",
            "log in properly (not by su), or: sudo loginctl enable-linger $USER"};
  return {"folders", Status::ok, in.paths.data() + ", " + in.paths.state() + ", " + in.paths.run(),
          ""};
}

Check check_store(const DoctorInputs& in) {
  struct statfs fs {};
  struct statvfs vfs {};
  if (::statfs(in.paths.data().c_str(), &fs) != 0 || ::statvfs(in.paths.data().c_str(), &vfs) != 0)
    return {"store", Status::fail, in.paths.data() + " cannot be read", "check its owner and mode"};
  const std::uint64_t free = static_cast<std::uint64_t>(vfs.f_bavail) * vfs.f_frsize;
  const std::string where = in.paths.data() + " has " + human_bytes(free) + " free";
  if (fs.f_type == NFS_SUPER_MAGIC)
    return {"store", Status::fail, where + ", but is on NFS, which cannot hold containers' files",
            "set XDG_DATA_HOME or LOCALD_HOME to a local disk"};
  if ((vfs.f_flag & ST_NOEXEC) != 0)
    return {"store", Status::fail, where + ", but is mounted noexec",
            "set XDG_DATA_HOME or LOCALD_HOME to another disk"};
  if (free < (1ull << 30))
    return {"store", Status::warn, where, "free space for images: locald image rm …"};
  return {"store", Status::ok, where, ""};
}

Check check_ports(const DoctorInputs& in) {
  const auto first = read_setting(in, "/proc/sys/net/ipv4/ip_unprivileged_port_start");
  if (in.root || !first || *first == "0")
    return {"ports", Status::ok, "every port can be used", ""};
  return {"ports", Status::ok, "ports from " + *first + " on can be used", ""};
}

Check failed(const std::string& name, const Error& error, const std::string& hint) {
  return {name, Status::fail, error.message(), error.hint().empty() ? hint : error.hint()};
}

/// What network = "project" needs.
void check_networks(const DoctorInputs& in, const std::stop_token& stop, std::vector<Check>& out) {
  if (!in.network) return;
  const NetworkTrial trial = in.network(stop);
  if (!trial.network) {
    out.push_back(failed("networks", trial.network.error(),
                         "services with network = \"host\" need none of this"));
    return;
  }
  out.push_back({"networks", Status::ok,
                 "a network namespace with a bridge, links and nf_tables rules can be made", ""});
  if (trial.netd)
    out.push_back({"netd", Status::ok, "locald-netd starts and is confined", ""});
  else
    out.push_back(failed("netd", trial.netd.error(), "reinstall locald"));
}

/// What outbound = "pasta" takes: for information alone.
Check check_tun(const DoctorInputs& in) {
  const std::string path = in.sysroot + "/dev/net/tun";
  const auto tun = sys::open(path, O_RDWR);
  const auto pasta = find_program("pasta", in.search_path);
  return {"tun", Status::ok,
          fmt::format("{}; {}; networks without outbound = \"pasta\" need neither",
                      tun ? path + " can be opened" : tun.error().message(),
                      pasta ? "pasta is " + *pasta : "no pasta (sudo apt-get install passt)"),
          ""};
}

Check check_cni(const DoctorInputs& in) {
  for (const std::string& folder : in.cni_path)
    if (exists(in.sysroot + folder + "/bridge"))
      return {"cni", Status::ok,
              fmt::format("plugins are in {}; networks without `cni` do not need them", folder),
              ""};
  return {"cni", Status::ok,
          fmt::format("no CNI plugins in {}; networks without `cni` do not need them (sudo apt-get "
                      "install containernetworking-plugins)",
                      join(in.cni_path, " or ")),
          ""};
}

}  // namespace

std::string_view to_string(Status status) noexcept {
  switch (status) {
    case Status::ok:
      return "ok";
    case Status::warn:
      return "warn";
    case Status::fail:
      break;
  }
  return "fail";
}

std::vector<Check> run_doctor(const DoctorInputs& inputs, const std::stop_token& stop) {
  std::vector<Check> out{check_runtime(inputs, stop), check_user_namespace(inputs),
                         check_overlay(inputs, stop), check_cgroups(inputs),
                         check_folders(inputs),       check_store(inputs),
                         check_ports(inputs)};
  // Without a user namespace there is nothing to try, and its own check says why.
  if (out[1].status != Status::fail) check_networks(inputs, stop, out);
  out.push_back(check_tun(inputs));
  out.push_back(check_cni(inputs));
  return out;
}

}  // namespace locald::server
