#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "shim/kernel.h"
#include "shim/protocol.h"
#include "shim/rootfs.h"
#include "shim/runc.h"

namespace locald::shim {
namespace {

/// A container: the shim is PID 1 of the pid namespace in which runc makes it.
class ContainerProcess final : public RuncProcess {
 public:
  ContainerProcess() : RuncProcess(Rest::killed) {}

  bool join(const Spec& spec, Text& why) override {
    if (spec.userns && ::setns(kShimJoin, CLONE_NEWUSER) != 0)
      return why.add("join the user namespace: ").add(error_text(errno)), false;
    if (!become_root(spec, why)) return false;
    if (const char* netns = spec.first(kKeyNetns);
        netns != nullptr && ::setns(static_cast<int>(parse_number(netns)), CLONE_NEWNET) != 0)
      return why.add("join the service's network: ").add(error_text(errno)), false;
    if (::unshare(CLONE_NEWPID) != 0)
      return why.add("a pid namespace cannot be made: ").add(error_text(errno)), false;
    return true;
  }

  StartResult start(const Spec& spec, int proc, int folder, const int child[3],
                    Text& why) override {
    proc_ = own_proc_ = proc;
    if (!make_mounts(why) || !mount_binds(spec, why) || !mount_rootfs(spec, why)) return {125};
    const char* bundle = spec.first(kKeyBundle);
    rootfs_mounted_ = spec.first(kKeyLower) != nullptr;
    Text(rootfs_path_, sizeof rootfs_path_).add(bundle).add("/rootfs");
    (void)!::chdir("/");
    own_proc_ = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return run(spec, folder, "run", {"--bundle", bundle, spec.id}, child, why);
  }

  /// It is PID 1 of its namespace: what it neither catches nor blocks does not reach it. What it
  /// ignores on purpose counts as heard: it has been told.
  bool hears(int number) const override {
    TextOf<32> path;
    path.number(pid_).add("/status");
    return signal_has_effect(own_proc_, path.data(), number);
  }

  const char* root() const override { return rootfs_path_[0] == '\0' ? nullptr : rootfs_path_; }

  void clean() override {
    // Everything below it is dead; what is still held elsewhere goes with its holder.
    if (rootfs_mounted_) ::umount2(rootfs_path_, MNT_DETACH);
  }

  pid_t start_probe(const Spec&, const int*, int*, Text& why, int* code) override {
    why.add("a probe of kind \"container\" is not possible");
    return *code = 125, -1;
  }

 protected:
  KillResult kill_tree(Reaped reaped, void* context) override {
    return {kill_namespace(kKillLimitMs, reaped, context)};
  }

 private:
  bool rootfs_mounted_ = false;
  char rootfs_path_[4096] = {};
};

ContainerProcess container_instance;

}  // namespace

Process& container_process() { return container_instance; }

}  // namespace locald::shim
