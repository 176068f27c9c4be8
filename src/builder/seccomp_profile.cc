#include "builder/seccomp_profile.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/sys/fs_at.h"

namespace locald::builder {
namespace {

constexpr const char* kAllow = "SCMP_ACT_ALLOW";
constexpr const char* kErrno = "SCMP_ACT_ERRNO";

#if defined(__x86_64__)
constexpr const char* kArch = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
constexpr const char* kArch = "SCMP_ARCH_AARCH64";
#elif defined(__riscv)
constexpr const char* kArch = "SCMP_ARCH_RISCV64";
#elif defined(__powerpc64__)
constexpr const char* kArch = "SCMP_ARCH_PPC64LE";
#elif defined(__s390x__)
constexpr const char* kArch = "SCMP_ARCH_S390X";
#else
#error "name this architecture as libseccomp does"
#endif

// By what a program does with them. A name that this host's libseccomp or ABI does not have is
// skipped by the runtime.
// clang-format off
constexpr const char* const kFiles[] = {
    "access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup", "dup2",
    "dup3", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod", "fchmodat", "fchmodat2",
    "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr", "fsetxattr",
    "fstat", "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd", "getdents", "getdents64", "getxattr",
    "getxattrat", "ioctl", "lchown", "lgetxattr", "link", "linkat", "listxattr", "listxattrat", "llistxattr",
    "lremovexattr", "lseek", "lsetxattr", "lstat", "mkdir", "mkdirat", "mknod", "mknodat", "name_to_handle_at",
    "newfstatat", "open", "openat", "openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2",
    "read", "readahead", "readlink", "readlinkat", "readv", "removexattr", "removexattrat", "rename", "renameat",
    "renameat2", "rmdir", "sendfile", "setxattr", "setxattrat", "splice", "stat", "statfs", "statx", "symlink",
    "symlinkat", "sync", "sync_file_range", "syncfs", "tee", "truncate", "umask", "unlink", "unlinkat", "utime",
    "utimensat", "utimes", "vmsplice", "write", "writev", "chroot", "fanotify_mark", "inotify_add_watch",
    "inotify_init", "inotify_init1", "inotify_rm_watch", "statmount", "listmount", "file_getattr", "file_setattr"};
constexpr const char* const kMemory[] = {
    "brk", "madvise", "map_shadow_stack", "membarrier", "memfd_create", "memfd_secret", "mincore", "mlock",
    "mlock2", "mlockall", "mmap", "mprotect", "mremap", "mseal", "msync", "munlock", "munlockall", "munmap",
    "pkey_alloc", "pkey_free", "pkey_mprotect", "remap_file_pages", "cachestat", "process_mrelease"};
constexpr const char* const kProcesses[] = {
    "execve", "execveat", "exit", "exit_group", "fork", "vfork", "wait4", "waitid", "kill", "tkill", "tgkill",
    "pidfd_open", "pidfd_send_signal", "ptrace", "process_vm_readv", "process_vm_writev", "prctl", "seccomp",
    "arch_prctl", "modify_ldt", "set_tid_address", "set_robust_list", "get_robust_list", "rseq",
    "restart_syscall", "futex", "futex_requeue", "futex_wait", "futex_waitv", "futex_wake", "capget", "capset",
    "getegid", "geteuid", "getgid", "getgroups", "getpgid", "getpgrp", "getpid", "getppid", "getpriority",
    "getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "ioprio_get", "ioprio_set",
    "prlimit64", "setfsgid", "setfsuid", "setgid", "setgroups", "setpgid", "setpriority", "setregid", "setresgid",
    "setresuid", "setreuid", "setrlimit", "setsid", "setuid", "sched_getaffinity", "sched_getattr",
    "sched_getparam", "sched_get_priority_max", "sched_get_priority_min", "sched_getscheduler",
    "sched_rr_get_interval", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler",
    "sched_yield", "getcpu", "getrandom", "sysinfo", "times", "uname", "landlock_add_rule",
    "landlock_create_ruleset", "landlock_restrict_self", "riscv_hwprobe", "riscv_flush_icache",
    "s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"};
constexpr const char* const kSignalsAndTime[] = {
    "pause", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn",
    "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo", "sigaltstack", "signalfd", "signalfd4", "alarm",
    "adjtimex", "clock_adjtime", "clock_getres", "clock_gettime", "clock_nanosleep", "getitimer", "gettimeofday",
    "nanosleep", "setitimer", "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime",
    "timer_settime", "timerfd_create", "timerfd_gettime", "timerfd_settime"};
constexpr const char* const kTalking[] = {
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom",
    "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair",
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "epoll_wait_old", "eventfd", "eventfd2", "pipe", "pipe2", "poll", "ppoll", "pselect6", "select", "io_cancel",
    "io_destroy", "io_getevents", "io_pgetevents", "io_setup", "io_submit", "mq_getsetattr", "mq_notify",
    "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd", "semctl",
    "semget", "semop", "semtimedop", "shmat", "shmctl", "shmdt", "shmget"};
// clang-format on

struct WithCapability {
  std::string_view capability;
  std::vector<std::string> calls;
};
const std::vector<WithCapability>& with_capability() {
  static const std::vector<WithCapability> table = {
      {"CAP_SYS_ADMIN",
       {"bpf",           "clone",         "clone3",      "fanotify_init",   "fsconfig",
        "fsmount",       "fsopen",        "fspick",      "lookup_dcookie",  "mount",
        "mount_setattr", "move_mount",    "open_tree",   "perf_event_open", "quotactl",
        "quotactl_fd",   "setdomainname", "sethostname", "setns",           "syslog",
        "umount2",       "unshare"}},
      {"CAP_SYS_PTRACE", {"kcmp", "pidfd_getfd", "process_madvise"}},
      {"CAP_SYS_NICE", {"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"}},
      {"CAP_DAC_READ_SEARCH", {"open_by_handle_at"}},
      {"CAP_SYS_BOOT", {"reboot"}},
      {"CAP_SYS_MODULE", {"delete_module", "finit_module", "init_module"}},
      {"CAP_SYS_PACCT", {"acct"}},
      {"CAP_SYS_RAWIO", {"ioperm", "iopl"}},
      {"CAP_SYS_TIME", {"clock_settime", "settimeofday"}},
      {"CAP_SYS_TTY_CONFIG", {"vhangup"}},
      {"CAP_SYSLOG", {"syslog"}},
      {"CAP_BPF", {"bpf"}},
      {"CAP_PERFMON", {"perf_event_open"}}};
  return table;
}

oci::spec::SeccompRule equal(const char* call, std::int64_t value) {
  return {.names = {call}, .action = kAllow, .args = {{.index = 0, .value = value}}};
}

}  // namespace

oci::spec::Seccomp default_seccomp(const std::vector<std::string>& capabilities, bool nesting) {
  oci::spec::Seccomp filter;
  filter.default_action = kErrno;
  filter.default_errno_ret = EPERM;
  filter.architectures = {kArch};

  std::vector<std::string> names;
  names.reserve(400);
  const auto add = [&](const auto& group) {
    names.insert(names.end(), std::begin(group), std::end(group));
  };
  add(kFiles);
  add(kMemory);
  add(kProcesses);
  add(kSignalsAndTime);
  add(kTalking);
  const auto has = [&](std::string_view name) {
    return std::find(capabilities.begin(), capabilities.end(), name) != capabilities.end();
  };
  for (const auto& [capability, calls] : with_capability())
    if (has(capability))
      for (const std::string& call : calls)
        if (std::find(names.begin(), names.end(), call) == names.end()) names.push_back(call);
  filter.syscalls.push_back({.names = std::move(names), .action = kAllow});

  if (!has("CAP_SYS_ADMIN")) {
    // No new namespaces: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET must be
    // clear.
#if defined(__s390x__)
    constexpr std::uint32_t flags = 1;
#else
    constexpr std::uint32_t flags = 0;
#endif
    filter.syscalls.push_back(
        {.names = {"clone"},
         .action = kAllow,
         .args = {
             {.index = flags, .value = 0x7E020000, .value_two = 0, .op = "SCMP_CMP_MASKED_EQ"}}});
    // Its flags are behind a pointer: "not there" makes C libraries take clone instead.
    filter.syscalls.push_back({.names = {"clone3"}, .action = kErrno, .errno_ret = ENOSYS});
  }
  if (nesting) filter.syscalls.push_back(equal("unshare", CLONE_NEWUSER));
  for (const int family : {1 /*UNIX*/, 2 /*INET*/, 10 /*INET6*/, 16 /*NETLINK*/, 17 /*PACKET*/})
    filter.syscalls.push_back(equal("socket", family));
  // PER_LINUX, PER_LINUX32, both with UNAME26, and the question what it is.
  for (const std::int64_t persona : {0x0L, 0x8L, 0x20000L, 0x20008L, 0xffffffffL})
    filter.syscalls.push_back(equal("personality", persona));
  return filter;
}

Result<std::optional<oci::spec::Seccomp>> choose_seccomp(
    const std::string& profile, const std::vector<std::string>& capabilities, bool nesting) {
  if (profile.empty()) return std::optional(default_seccomp(capabilities, nesting));
  if (profile == "unconfined") return std::optional<oci::spec::Seccomp>();
  const std::string where = "seccomp profile " + profile;
  const std::string text = TRY(read_file(profile, 1u << 20).context(where));
  const Json json = TRY(Json::parse(text).context(where));
  return std::optional(TRY(oci::spec::Seccomp::from_json(json).context(where).hint(
      "it must be an object as \"linux.seccomp\" of the OCI runtime spec has it; Docker's profiles "
      "with \"includes\" "
      "and \"archMap\" are not read")));
}

}  // namespace locald::builder
