#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "shim/kernel.h"
#include "shim/protocol.h"
#include "shim/runc.h"

namespace locald::shim {
namespace {

/// A command in a container that runs: the shim is in the namespaces of the container's shim.
class ExecProcess final : public RuncProcess {
 public:
  ExecProcess() : RuncProcess(Rest::left) {}

  bool join(const Spec& spec, Text& why) override {
    // A pidfd joins several namespaces of that process at once.
    const int namespaces = CLONE_NEWNS | CLONE_NEWPID | (spec.userns ? CLONE_NEWUSER : 0) |
                           (spec.flag(kKeyNetns) ? CLONE_NEWNET : 0);
    if (::setns(kShimJoin, namespaces) != 0) {
      why.add("join the namespaces of the container: ").add(error_text(errno));
      if (errno == ESRCH) why.add(" (it has ended)");
      return false;
    }
    return become_root(spec, why);
  }

  StartResult start(const Spec& spec, int proc, int folder, const int child[3],
                    Text& why) override {
    proc_ = own_proc_ = proc;
    if (!own_mounts()) {
      why.add("a mount namespace cannot be made: ").add(error_text(errno));
      return {125};
    }
    own_proc_ = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    TextOf<4200> process;
    process.add(spec.first(kKeyRunDir)).add("/").add(kProcessFile);
    return run(spec, folder, "exec", {"--process", process.data(), spec.first(kKeyTarget)}, child,
               why);
  }

  pid_t start_probe(const Spec& spec, const int child[3], int* report, Text& why,
                    int* code) override {
    *code = 125;
    (void)own_mounts();
    TextOf<48> file;
    file.add("/proc/").number(::getpid()).add("/fd/").number(kShimFolder);
    int ends[2] = {-1, -1};
    const bool reports = spec.flag(kKeyReport) && ::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0;
    const char* argv[] = {spec.first(kKeyRunc),
                          "--root",
                          spec.first(kKeyRuncRoot),
                          "exec",
                          "--process",
                          file.data(),
                          "--preserve-fds",
                          reports ? "1" : "0",
                          spec.first(kKeyTarget),
                          nullptr};
    const pid_t pid = spawn_runc(argv, child, ends[1]);
    if (reports) ::close(ends[1]), *report = ends[0];
    if (pid < 0) why.add(argv[0]).add(": cannot be executed: ").add(error_text(errno));
    return pid;
  }

 protected:
  /// Also the processes below the command; those that have left it belong to the container.
  KillResult kill_tree(Reaped, void*) override {
    if (starter_ != 0) ::kill(starter_, SIGKILL);
    if (pidfd_ < 0) return {};
    signal_below(own_proc_, pid_, SIGKILL, nullptr);
    signal(SIGKILL);
    return {TreeEnd::gone, 0, /*pending=*/true};
  }

 private:
  /// runc copies itself into memory unless it may mount: a mount namespace of its own saves 8 ms.
  static bool own_mounts() {
    if (::unshare(CLONE_NEWNS) != 0) return false;
    ::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr);
    return true;
  }
};

ExecProcess exec_instance;

}  // namespace

Process& exec_process() { return exec_instance; }

}  // namespace locald::shim
