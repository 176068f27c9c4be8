#include "runtime/process_runtime.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "runtime/cgroups.h"
#include "runtime/container_init.h"
#include "runtime/exec_process.h"
#include "runtime/orphans.h"
#include "runtime/process_runtime_impl.h"
#include "runtime/processes.h"
#include "runtime/runtime_program.h"
#include "runtime/shim_launch.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

/// Within it a container's end is seen that has ended a command in it.
constexpr int kTargetEnds = 200;  // ms

void put_env(std::vector<std::string>& env, const std::string& name, const std::string& value) {
  std::erase_if(env, [&](const std::string& pair) {
    return pair.compare(0, name.size() + 1, name + "=") == 0;
  });
  env.push_back(name + "=" + value);
}

Result<void> check_id(const InstanceSpec& instance) {
  if (instance.id.empty() || instance.id.size() > 48 || instance.nonce.size() != 32)
    return Error(Errc::invalid_input, "instance " + instance.id + ": a bad id or nonce");
  for (const char c : instance.id)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-'))
      return Error(Errc::invalid_input, "instance " + instance.id + ": a bad id");
  return {};
}

/// mkdir itself is the test: an id is used once.
Result<void> make_instance_folder(const Paths& paths, const std::string& id) {
  if (::mkdir(paths.instance(id).c_str(), 0700) == 0) return {};
  if (errno == ENOENT) {
    TRY(make_dirs(paths.instances(), 0700));
    if (::mkdir(paths.instance(id).c_str(), 0700) == 0) return {};
  }
  return Error::from_errno(errno, "create " + paths.instance(id));
}

}  // namespace

ShimSpec host_spec(const HostProcess& process, const std::string& nonce) {
  ShimSpec spec;
  spec.list(shim::kKeyArg, process.argv);
  std::vector<std::string> env = process.env;
  put_env(env, "LOCALD_INSTANCE", nonce);
  spec.list(shim::kKeyEnv, env);
  spec.set(shim::kKeyCwd, process.cwd.empty() ? "/" : process.cwd);
  spec.flag(shim::kKeyCwdOpen, process.folder != nullptr);
  spec.set(shim::kKeyUmask, process.umask);
  for (const auto& [resource, limit] : process.rlimits)
    spec.set(shim::kKeyRlimit, std::to_string(resource) + ":" + std::to_string(limit.rlim_cur) +
                                   ":" + std::to_string(limit.rlim_max));
  return spec;
}

std::vector<int> host_fds(const HostProcess& process) {
  if (process.folder == nullptr) return {};
  return {process.folder->get()};
}

ProcessRuntime::ProcessRuntime(Options options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
ProcessRuntime::~ProcessRuntime() = default;

std::string ProcessRuntime::bundle_dir(const InstanceSpec& instance) const {
  return impl_->options.paths.bundle(instance.id);
}

Result<std::string> ProcessRuntime::Impl::runc() const {
  std::string path = find_runtime(options.runc, options.search_path);
  if (!path.empty() && ::access(path.c_str(), X_OK) == 0) return path;
  const std::string looked = options.runc.empty() ? "runc" : options.runc;
  return Error(Errc::not_found,
               "no OCI runtime: " + (path.empty() ? looked : path) + " cannot be executed")
      .with_hint("sudo apt-get install runc, or set `runtime` in locald's config.toml");
}

Result<std::unique_ptr<ServiceHandle>> ProcessRuntime::run_host(const InstanceSpec& instance,
                                                                const HostProcess& process) {
  TRY(check_id(instance));
  if (process.argv.empty() || process.argv[0].empty())
    return Error(Errc::invalid_input, instance.name + ": no command");
  const Paths& paths = impl_->options.paths;
  TRY(make_instance_folder(paths, instance.id));
  auto handle = launch_shim({.paths = paths,
                             .instance = instance,
                             .kind = "host",
                             .shim = impl_->options.shim,
                             .folder = paths.instance(instance.id),
                             .spec = host_spec(process, instance.nonce),
                             .extra_fds = host_fds(process)});
  if (!handle) {
    (void)clean(instance.id, instance.nonce);  // it may have started all the same
    return std::move(handle).error().with_context(instance.name);
  }
  return std::unique_ptr<ServiceHandle>(std::move(*handle));
}

Result<std::unique_ptr<ServiceHandle>> ProcessRuntime::start_container(const InstanceSpec& instance,
                                                                       ContainerBundle bundle) {
  const Paths& paths = impl_->options.paths;
  auto start = [&]() -> Result<std::unique_ptr<ShimHandle>> {
    TRY(check_id(instance));
    const std::string runc = TRY(impl_->runc());
    const int userns = TRY(impl_->options.user_namespace());
    // What only this moment knows: the terminal, the marker, the cgroup.
    oci::RuntimeSpec& config = bundle.config;
    if (!config.process) return Error(Errc::invalid_input, "the bundle says no process");
    config.process->terminal = instance.tty;
    if (instance.tty)
      config.process->console_size = oci::spec::ConsoleSize{instance.rows, instance.columns};
    put_env(config.process->env, "LOCALD_INSTANCE", instance.nonce);
    if (!config.linux_) config.linux_.emplace();
    // A flat name: runc makes it in every hierarchy, and clean() takes it away again.
    // Rootless there is no cgroup to make.
    config.linux_->cgroups_path = userns < 0 ? cgroup_name(instance.id) : "";
    TRY(write_file_atomic(bundle.dir + "/config.json", config.to_json().dump(), 0600));
    TRY(make_dirs(paths.runc_root(), 0700));
    TRY(make_instance_folder(paths, instance.id));
    ShimSpec spec;
    spec.set(shim::kKeyRunc, runc)
        .set(shim::kKeyRuncRoot, paths.runc_root())
        .set(shim::kKeyRunDir, paths.instance(instance.id))
        .set(shim::kKeyBundle, bundle.dir)
        .flag(shim::kKeyReport, ContainerInit::of(config).has_value())
        .flag(shim::kKeyUserns, userns >= 0);
    if (bundle.stop_signal != 0)
      spec.set(shim::kKeyStopSignal, static_cast<std::uint64_t>(bundle.stop_signal));
    if (!bundle.rootfs.lowers.empty())
      spec.set(shim::kKeyLowerBase, bundle.rootfs.lower_base)
          .list(shim::kKeyLower, bundle.rootfs.lowers)
          .set(shim::kKeyUpper, bundle.rootfs.upper)
          .set(shim::kKeyWork, bundle.rootfs.work);
    std::vector<int> handed;
    InstanceRecord known;
    known.id = instance.id;
    known.name = instance.name;
    for (const HostBind& bind : bundle.binds) {
      spec.set(shim::kKeyBind, bind.path);
      handed.push_back(bind.fd.get());
      if (!bind.is_folder || bind.read_only) continue;
      struct stat st {};
      if (::fstat(bind.fd.get(), &st) != 0) return Error::from_errno(errno, "stat " + bind.path);
      known.writable.push_back({FileId(st), bind.path});
    }
    if (bundle.netns != nullptr) {
      spec.set(shim::kKeyNetns, static_cast<std::uint64_t>(shim::kShimExtra) + handed.size());
      handed.push_back(bundle.netns->get());
      if (bundle.sandbox != nullptr) handed.push_back(bundle.sandbox->get());
    }
    impl_->share(instance.id, known.shared());
    return launch_shim({.paths = paths,
                        .instance = instance,
                        .kind = "container",
                        .shim = impl_->options.shim,
                        .folder = paths.instance(instance.id),
                        .spec = std::move(spec),
                        .extra_fds = std::move(handed),
                        .join_fd = userns,
                        .writable = std::move(known.writable)});
  };
  auto handle = start();
  if (!handle) {
    (void)clean(instance.id, instance.nonce);
    return std::move(handle).error().with_context(instance.name);
  }
  return std::unique_ptr<ServiceHandle>(std::move(*handle));
}

Result<std::unique_ptr<ServiceHandle>> ProcessRuntime::exec(const InstanceSpec& instance,
                                                            const std::string& target_instance,
                                                            const ExecSpec& command) {
  TRY(check_id(instance));
  const std::string runc = TRY(impl_->runc());
  const Paths& paths = impl_->options.paths;
  const ExecTarget target = TRY(impl_->exec_target(target_instance));
  auto made = TRY(exec_process(target, command));
  oci::spec::Process& process = made.process;
  process.terminal = instance.tty;
  process.console_size.reset();
  if (instance.tty) process.console_size = oci::spec::ConsoleSize{instance.rows, instance.columns};
  put_env(process.env, "LOCALD_INSTANCE", instance.nonce);
  TRY(make_instance_folder(paths, instance.id));
  auto start = [&]() -> Result<std::unique_ptr<ShimHandle>> {
    const std::string folder = paths.instance(instance.id);
    TRY(write_file_atomic(folder + "/" + shim::kProcessFile, process.to_json().dump(), 0600));
    ShimSpec spec;
    spec.set(shim::kKeyRunc, runc)
        .set(shim::kKeyRuncRoot, paths.runc_root())
        .set(shim::kKeyRunDir, folder)
        .set(shim::kKeyTarget, target_instance)
        .flag(shim::kKeyReport, made.init)
        .flag(shim::kKeyUserns, target.in_user_namespace)
        .flag(shim::kKeyNetns, target.own_network);
    return launch_shim({.paths = paths,
                        .instance = instance,
                        .kind = "exec",
                        .shim = impl_->options.shim,
                        .folder = folder,
                        .spec = std::move(spec),
                        .join_fd = target.shim_pidfd.get()});
  };
  auto handle = start();
  if (!handle) {
    (void)clean(instance.id, instance.nonce);  // it may have started all the same
    // The end of the container takes all that has joined it along, before it is told.
    pollfd ended{target.shim_pidfd.get(), POLLIN, 0};
    if (::poll(&ended, 1, kTargetEnds) > 0)
      return Error(Errc::not_found, target.name + " has ended");
    return std::move(handle).error().with_context(instance.name);
  }
  return std::unique_ptr<ServiceHandle>(std::move(*handle));
}

}  // namespace locald::runtime
