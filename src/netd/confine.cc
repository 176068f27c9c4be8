#include "netd/confine.h"

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <initializer_list>
#include <vector>

namespace locald::netd {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "which AUDIT_ARCH_… is this?"
#endif

/// An allow-list as a BPF program (seccomp(2)).
class Filter {
 public:
  Filter() {
    load(offsetof(seccomp_data, arch));
    jump_unless_equal(kArchitecture, 1);
    jump_over(1);
    finish(SECCOMP_RET_KILL_PROCESS);
    load(offsetof(seccomp_data, nr));
  }
  void allow(std::initializer_list<long> calls) {
    for (const long call : calls) {
      jump_unless_equal(static_cast<std::uint32_t>(call), 1);
      finish(SECCOMP_RET_ALLOW);
    }
  }
  /// Only where argument `index` is one of `values`.
  void allow(long call, int index, std::initializer_list<int> values) {
    const auto checks = static_cast<std::uint8_t>(2 * values.size() + 2);
    jump_unless_equal(static_cast<std::uint32_t>(call), checks);
    load(argument(index));
    for (const int value : values) {
      jump_unless_equal(static_cast<std::uint32_t>(value), 1);
      finish(SECCOMP_RET_ALLOW);
    }
    finish(SECCOMP_RET_ERRNO | EPERM);
  }
  /// Only where argument `index` has none of `bits`.
  void allow_without(long call, int index, std::uint32_t bits) {
    jump_unless_equal(static_cast<std::uint32_t>(call), 4);
    load(argument(index));
    program_.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1));
    finish(SECCOMP_RET_ERRNO | EPERM);
    finish(SECCOMP_RET_ALLOW);
  }
  Result<void> install() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return {};  // a sanitizer's runtime makes calls of its own
#endif
    finish(SECCOMP_RET_ERRNO | EPERM);
    const sock_fprog program{static_cast<unsigned short>(program_.size()), program_.data()};
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
      return Error::from_errno(errno, "install a filter of system calls");
    return {};
  }

 private:
  static std::uint32_t argument(int index) {  // its low half, where the byte order is little
    return static_cast<std::uint32_t>(offsetof(seccomp_data, args) +
                                      8 * static_cast<unsigned>(index));
  }
  void load(std::size_t offset) {
    program_.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
  }
  void jump_unless_equal(std::uint32_t value, std::uint8_t over) {
    program_.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, over));
  }
  void jump_over(std::uint32_t count) { program_.push_back(BPF_STMT(BPF_JMP | BPF_JA, count)); }
  void finish(std::uint32_t action) { program_.push_back(BPF_STMT(BPF_RET | BPF_K, action)); }

  std::vector<sock_filter> program_;
};

/// An empty folder of a file system of its own, as the root.
Result<void> empty_root() {
  const bool own = ::unshare(CLONE_NEWNS) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
  if (!own) return Error::from_errno(errno, "make a mount namespace");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return Error::from_errno(errno, "make mounts private");
  constexpr unsigned long kFlags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount("none", "/proc", "tmpfs", kFlags, "size=4k,mode=0555") != 0)
    return Error::from_errno(errno, "mount an empty file system");
  if (::mount(nullptr, "/proc", nullptr, MS_REMOUNT | MS_RDONLY | kFlags, nullptr) != 0)
    return Error::from_errno(errno, "make the empty file system read-only");
  if (::chroot("/proc") != 0 || ::chdir("/") != 0)
    return Error::from_errno(errno, "make the empty file system the root");
  return {};
}

Result<void> drop_capabilities() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int capability = 0; ::prctl(PR_CAPBSET_DROP, capability) == 0; ++capability) {
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const std::array<__user_cap_data_struct, 2> none{};
  if (::syscall(SYS_capset, &header, none.data()) != 0)
    return Error::from_errno(errno, "give up capabilities");
  return {};
}

}  // namespace

Result<void> confine(Role role) {
  TRY(empty_root());
  TRY(drop_capabilities());
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return Error::from_errno(errno, "give up further privileges");
  Filter filter;
  filter.allow({SYS_epoll_pwait,    SYS_epoll_ctl,
                SYS_accept4,        SYS_read,
                SYS_write,          SYS_pread64,
                SYS_recvfrom,       SYS_recvmsg,
                SYS_shutdown,       SYS_getsockopt,
                SYS_close,          SYS_munmap,
                SYS_mremap,         SYS_brk,
                SYS_madvise,        SYS_futex,
                SYS_clock_gettime,  SYS_exit,
                SYS_exit_group,     SYS_rt_sigreturn,
                SYS_rt_sigprocmask, SYS_restart_syscall,
                SYS_getrandom,      SYS_getpid,
                SYS_gettid,         SYS_tgkill,
                SYS_ppoll});
#ifdef SYS_epoll_wait
  filter.allow({SYS_epoll_wait, SYS_poll});
#endif
  filter.allow(SYS_mmap, 2, {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE});
  filter.allow(SYS_setsockopt, 2, {SO_LINGER, TCP_NODELAY});
  // Sending may connect, too: TCP Fast Open.
  filter.allow_without(SYS_sendto, 3, MSG_FASTOPEN);
  filter.allow_without(SYS_sendmsg, 2, MSG_FASTOPEN);
  if (role != Role::connections) {
    filter.allow({SYS_connect});
    if (role == Role::inside)
      filter.allow(SYS_socket, 0, {AF_INET, AF_INET6});
    else
      filter.allow(SYS_socket, 0, {AF_INET, AF_INET6, AF_NETLINK});
  }
  return filter.install();
}

}  // namespace locald::netd
