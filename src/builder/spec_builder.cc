#include "builder/spec_builder.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/strings.h"
#include "base/sys/signals.h"
#include "builder/capabilities.h"
#include "builder/limits.h"
#include "builder/seccomp_profile.h"
#include "runtime/container_init.h"

namespace locald::builder {
namespace {

using oci::spec::Mount;
using runtime::ContainerInit;
using runtime::IdMapKind;

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

bool is_below(const std::string& path, const std::string& folder) {
  return path == folder ||
         (path.starts_with(folder) && (folder == "/" || path[folder.size()] == '/'));
}

Result<std::vector<std::string>> command_line(const oci::ImageConfig& image,
                                              const ContainerOptions& options) {
  std::vector<std::string> args = options.entrypoint.value_or(image.entrypoint);
  if (options.command)
    args.insert(args.end(), options.command->begin(), options.command->end());
  else if (!options.entrypoint)  // an entry point of the user's own takes the image's Cmd away, as
                                 // Docker does
    args.insert(args.end(), image.cmd.begin(), image.cmd.end());
  for (const std::string& word : args)
    if (word.find('\0') != std::string::npos)
      return Error(Errc::invalid_input, "the command has a NUL byte in it");
  if (args.empty() || args[0].empty())
    return Error(Errc::invalid_input, "no command: the image names none, and none was given")
        .with_hint(
            "give one: command = [\"/bin/sh\"] in the project file, or after the image on the "
            "command line");
  return args;
}

/// The value of `name` in "K=V" pairs.
bool has_variable(const std::vector<std::string>& env, std::string_view name) {
  return std::any_of(env.begin(), env.end(), [&](const std::string& pair) {
    return pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=';
  });
}

/// An image is from outside, and so is the length of its Env. runc's time grows with the square of
/// the number: this many take it a second or two.
constexpr std::size_t kMaxVariables = 20'000;
constexpr std::size_t kMaxEnvironment = 4u << 20;  // bytes: execve(2) takes less

Result<std::vector<std::string>> environment(const SpecInput& in, const ResolvedUser& user,
                                             const std::string& hostname) {
  std::vector<std::string> env;
  std::unordered_map<std::string, std::size_t> places;  // name -> index in env
  const std::set<std::string> unset(in.options.env_unset.begin(), in.options.env_unset.end());
  std::size_t bytes = 0;
  const auto put = [&](const std::string& name, const std::string& value) {
    std::string pair = name + "=" + value;
    bytes += pair.size();
    const auto [place, fresh] = places.try_emplace(name, env.size());
    if (fresh)
      env.push_back(std::move(pair));
    else
      env[place->second] = std::move(pair);
  };
  if (in.image.env.size() > kMaxVariables)
    return Error(Errc::unsupported, "the image's Env has " + std::to_string(in.image.env.size()) +
                                        " entries; at most " + std::to_string(kMaxVariables) +
                                        " are taken")
        .with_hint("use another image, or rebuild this one without them");
  for (const std::string& pair : in.image.env)
    if (const std::size_t equals = pair.find('='); equals != std::string::npos && equals != 0)
      if (const std::string name = pair.substr(0, equals); !unset.contains(name))
        put(name, pair.substr(equals + 1));
  for (const auto& [name, value] : in.options.env) put(name, value);
  if (bytes > kMaxEnvironment)
    return Error(Errc::unsupported,
                 "the environment of the container, the image's Env with what "
                 "the service adds, has " +
                     std::to_string(bytes >> 10) + " KiB; at most " +
                     std::to_string(kMaxEnvironment >> 10) + " KiB are taken")
        .with_hint("use another image, or pass the names of files");
  if (!places.contains("PATH")) env.insert(env.begin(), std::string("PATH=") + kDefaultPath);
  if (!has_variable(env, "HOSTNAME")) env.push_back("HOSTNAME=" + hostname);
  if (in.options.tty && !has_variable(env, "TERM")) env.emplace_back("TERM=xterm");
  if (!has_variable(env, "HOME")) env.push_back("HOME=" + user.home);
  return env;
}

std::vector<Mount> system_mounts(const SpecInput& in) {
  const bool root = in.host.id_map == IdMapKind::root;
  const std::string shm_size = "size=" + std::to_string(in.options.shm_bytes);
  std::vector<Mount> mounts;
  mounts.push_back({.destination = "/proc",
                    .type = "proc",
                    .source = "proc",
                    .options = {"nosuid", "noexec", "nodev"}});
  mounts.push_back({.destination = "/dev",
                    .type = "tmpfs",
                    .source = "tmpfs",
                    .options = {"nosuid", "strictatime", "mode=755", "size=65536k"}});
  Mount pts{.destination = "/dev/pts",
            .type = "devpts",
            .source = "devpts",
            .options = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}};
  if (in.host.id_map != IdMapKind::single)
    pts.options.push_back("gid=5");  // group tty must exist in the map
  mounts.push_back(std::move(pts));
  mounts.push_back({.destination = "/dev/shm",
                    .type = "tmpfs",
                    .source = "shm",
                    .options = {"nosuid", "noexec", "nodev", "mode=1777", shm_size}});
  mounts.push_back({.destination = "/dev/mqueue",
                    .type = "mqueue",
                    .source = "mqueue",
                    .options = {"nosuid", "noexec", "nodev"}});
  if (root) {
    mounts.push_back({.destination = "/sys",
                      .type = "sysfs",
                      .source = "sysfs",
                      .options = {"nosuid", "noexec", "nodev", "ro"}});
    mounts.push_back({.destination = "/sys/fs/cgroup",
                      .type = "cgroup",
                      .source = "cgroup",
                      .options = {"nosuid", "noexec", "nodev", "relatime", "ro"}});
  } else {
    // A user namespace may mount sysfs only where the network is its own; else a bind of the host's,
    // cgroups covered, is what there is.
    const char* read_only = in.host.recursive_read_only ? "rro" : "ro";
    if (in.options.network.kind == net::Attachment::Kind::host)
      mounts.push_back({.destination = "/sys",
                        .source = "/sys",
                        .options = {"rbind", "nosuid", "noexec", "nodev", read_only}});
    else
      mounts.push_back({.destination = "/sys",
                        .type = "sysfs",
                        .source = "sysfs",
                        .options = {"nosuid", "noexec", "nodev", "ro"}});
    mounts.push_back({.destination = "/sys/fs/cgroup",
                      .type = "tmpfs",
                      .source = "tmpfs",
                      .options = {"nosuid", "noexec", "nodev", "mode=755", "size=64k", "ro"}});
  }
  return mounts;
}

Mount user_mount(const ReadyMount& ready, const HostFacts& host) {
  if (ready.kind == VolumeMount::Kind::tmpfs) {
    Mount m{.destination = ready.target,
            .type = "tmpfs",
            .source = "tmpfs",
            .options = {"nosuid", "nodev", "mode=1777"}};
    if (ready.tmpfs_bytes != 0) m.options.push_back("size=" + std::to_string(ready.tmpfs_bytes));
    if (ready.read_only) m.options.emplace_back("ro");
    return m;
  }
  // Not "nosuid", "ro" …: those mean a remount, which in a user namespace fails where the
  // source's own mount has a flag (noexec) that it would clear. The recursive ones only add.
  Mount m{.destination = ready.target, .source = ready.source, .options = {"rbind", "rprivate"}};
  if (host.recursive_read_only) {
    m.options.insert(m.options.end(), {"rnosuid", "rnodev"});
    if (ready.read_only) m.options.emplace_back("rro");
  } else if (ready.read_only) {
    m.options.emplace_back("ro");  // mounts below stay writable
  }
  return m;
}

Result<oci::spec::Resources> resources(const ResourceLimits& limits) {
  oci::spec::Resources r;
  TRY(check_minimum(limits));
  // The runtime's own list of harmless devices follows this rule.
  r.devices.push_back({.allow = false, .access = "rwm"});
  if (limits.memory_bytes) r.memory_limit = static_cast<std::int64_t>(*limits.memory_bytes);
  if (limits.cpus) {
    r.cpu_period = 100000;
    r.cpu_quota = static_cast<std::int64_t>(std::llround(*limits.cpus * 100000));
  }
  if (limits.pids) r.pids_limit = *limits.pids;
  return r;
}

std::vector<std::string> masked_paths(const HostFacts& host) {
  std::vector<std::string> paths = {"/proc/acpi",
                                    "/proc/asound",
                                    "/proc/interrupts",
                                    "/proc/kcore",
                                    "/proc/keys",
                                    "/proc/latency_stats",
                                    "/proc/sched_debug",
                                    "/proc/scsi",
                                    "/proc/timer_list",
                                    "/proc/timer_stats",
                                    "/sys/devices/virtual/powercap",
                                    "/sys/firmware"};
  paths.insert(paths.end(), host.masked_paths.begin(), host.masked_paths.end());
  return paths;
}

/// What stands in front of the command; nullopt: nothing.
std::optional<ContainerInit> helper(const SpecInput& in, const ResolvedUser& user) {
  ContainerInit init;
  if (in.host.id_map == IdMapKind::single && (user.uid != 0 || user.gid != 0)) {
    init.map = ContainerInit::Ids{user.uid, user.gid};
    // The user's own filter, or none, is the user's own affair.
    init.seal = in.options.seccomp_profile.empty();
  }
  if (!init.map && !in.options.init) return std::nullopt;
  init.exec = !in.options.init;
  return init;
}

}  // namespace

Result<ResolvedUser> container_user(const oci::ImageConfig& image, const ContainerOptions& options,
                                    const ImageFacts& facts, const HostFacts& host) {
  const bool by_option = !options.user.empty();
  ResolvedUser user = TRY(resolve_user(by_option ? options.user : image.user, facts.users)
                              .context(by_option ? "user" : "the image's USER"));
  if (host.id_map == IdMapKind::single) {
    user.additional_gids.clear();  // setgroups(2) is denied under such a map
    return user;
  }
  const auto check = [&](std::uint32_t id, const char* what) -> Result<void> {
    if (id < host.id_count) return {};
    return Error(Errc::unsupported, std::string(what) + " " + std::to_string(id) +
                                        " is outside of the " + std::to_string(host.id_count) +
                                        " ids mapped for you")
        .with_hint(
            "enlarge your range in /etc/subuid and /etc/subgid, then `locald server restart`");
  };
  TRY(check(user.uid, "uid"));
  TRY(check(user.gid, "gid"));
  std::erase_if(user.additional_gids, [&](std::uint32_t gid) { return gid >= host.id_count; });
  return user;
}

Result<std::string> container_workdir(const oci::ImageConfig& image,
                                      const ContainerOptions& options) {
  const bool by_option = !options.workdir.empty();
  const std::string& text = by_option ? options.workdir : image.working_dir;
  if (text.empty()) return std::string("/");
  std::string path = TRY(normal_path(text.front() == '/' ? text : "/" + text,
                                     by_option ? "workdir" : "the image's WORKDIR"));
  if (is_below(path, "/proc"))
    return Error(Errc::invalid_input, "the working folder " + path + " is in /proc");
  return path;
}

Result<BuiltSpec> build_spec(const SpecInput& in) {
  BuiltSpec built;
  const ContainerOptions& options = in.options;
  TRY(check_limits(options.limits, in.host.id_map == IdMapKind::root));
  built.user = TRY(container_user(in.image, options, in.facts, in.host));
  const std::string hostname = options.hostname.empty() ? in.fallback_hostname : options.hostname;

  oci::spec::Process process;
  process.args = TRY(command_line(in.image, options));
  process.cwd = TRY(container_workdir(in.image, options));
  if (const PathFacts* cwd = in.facts.find(process.cwd);
      cwd != nullptr && is_below(cwd->resolved, "/proc"))
    return Error(Errc::invalid_input, "the working folder " + process.cwd + " leads into /proc");
  process.env = TRY(environment(in, built.user, hostname));
  process.terminal = options.tty;
  if (options.tty) process.console_size = oci::spec::ConsoleSize{options.rows, options.columns};
  process.user = {
      .uid = built.user.uid, .gid = built.user.gid, .additional_gids = built.user.additional_gids};
  process.capabilities =
      TRY(container_capabilities(options.cap_add, options.cap_drop, built.user.uid));
  const std::optional<ContainerInit> init = helper(in, built.user);
  const bool nested = init && init->map;
  if (nested) {
    process.user = {};
    const std::vector<std::string> needed = {"CAP_SETFCAP"};
    process.capabilities = oci::spec::Capabilities{.bounding = needed,
                                                   .effective = needed,
                                                   .inheritable = {},
                                                   .permitted = needed,
                                                   .ambient = {}};
  }
  process.no_new_privileges = options.no_new_privileges;
  process.rlimits = process_limits(options.ulimits, in.host.hard_limits, built.notices);
  // Rootless it stays the server's: a process of systemd's user manager may not lower its own, which
  // is 100 or 200, and runc would fail.
  if (in.host.id_map == IdMapKind::root) process.oom_score_adj = 0;

  oci::spec::Linux part;
  for (const char* type : {"pid", "mount", "ipc", "uts", "cgroup"})
    part.namespaces.push_back({.type = type});
  // One that is joined is joined by the shim (ContainerBundle::netns).
  if (options.network.kind == net::Attachment::Kind::none)
    part.namespaces.push_back({.type = "network"});
  part.seccomp =
      TRY(choose_seccomp(options.seccomp_profile, process.capabilities->bounding, nested));
  part.masked_paths = masked_paths(in.host);
  part.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  if (in.host.id_map == IdMapKind::root) part.resources = TRY(resources(options.limits));

  oci::RuntimeSpec& spec = built.spec;
  spec.root = oci::spec::Root{.path = "rootfs", .readonly = options.read_only};
  spec.hostname = hostname;
  spec.mounts = system_mounts(in);
  // A mount of the user's stands in for ours at the same place; what it covers is left as the user
  // has it.
  const auto covered = [&](const std::string& path) {
    return std::any_of(in.mounts.begin(), in.mounts.end(),
                       [&](const ReadyMount& m) { return is_below(path, m.target); });
  };
  std::erase_if(spec.mounts, [&](const Mount& m) { return covered(m.destination); });
  if (init) {
    if (in.host.init_program.empty())
      return Error(Errc::failed, "the program that becomes /dev/init is not known");
    if (covered(runtime::kContainerInitPath))
      return Error(Errc::invalid_input,
                   "something is mounted at /dev/init, where this container "
                   "has locald's own init")
          .with_hint("choose another target for that mount");
    spec.mounts.push_back(user_mount(
        {.source = in.host.init_program, .target = runtime::kContainerInitPath, .read_only = true},
        in.host));
    const std::vector<std::string> words = init->words();
    process.args.insert(process.args.begin(), words.begin(), words.end());
  }
  for (const ReadyMount& file : in.own_files)
    if (!covered(file.target)) spec.mounts.push_back(user_mount(file, in.host));
  std::vector<ReadyMount> sorted = in.mounts;
  sorted.insert(sorted.end(), in.files_in_volume.begin(), in.files_in_volume.end());
  // Outer ones first, so that none is hidden by a later one.
  std::stable_sort(sorted.begin(), sorted.end(), [](const ReadyMount& a, const ReadyMount& b) {
    return std::count(a.target.begin(), a.target.end(), '/') <
           std::count(b.target.begin(), b.target.end(), '/');
  });
  for (const ReadyMount& mount : sorted) spec.mounts.push_back(user_mount(mount, in.host));

  const std::string& wanted =
      options.stop_signal.empty() ? in.image.stop_signal : options.stop_signal;
  if (const auto known = parse_signal(wanted)) {
    built.stop_signal = *known;
  } else if (!options.stop_signal.empty()) {
    return known.error();
  } else if (!wanted.empty()) {
    built.notices.push_back("the image has the invalid stop signal \"" + wanted +
                            "\"; SIGTERM is used");
  }
  spec.process = std::move(process);
  spec.linux_ = std::move(part);
  return built;
}

}  // namespace locald::builder
