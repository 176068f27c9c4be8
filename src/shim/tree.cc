#include "shim/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "shim/kernel.h"
#include "shim/text.h"

namespace locald::shim {
namespace {

constexpr int kDepthMax =
    64;  // each level costs a descriptor; what lies deeper comes up when its parents are dead

/// Calls `visit(pid)` for each child of `parent`. False: /proc shows no lists of children (kernel
/// option).
template <typename Visit>
bool each_child(int proc, pid_t parent, const Visit& visit) {
  TextOf<64> path;
  path.number(parent).add("/task");
  const int tasks = ::openat(proc, path.data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (tasks < 0) return true;  // it has ended
  bool supported = true;
  alignas(dirent64) char names[1024];
  long have;
  while ((have = ::syscall(SYS_getdents64, tasks, names, sizeof names)) > 0) {
    for (long at = 0; at < have;) {
      const auto* entry = reinterpret_cast<const dirent64*>(names + at);
      at += entry->d_reclen;
      if (entry->d_name[0] == '.') continue;
      TextOf<64> list;
      list.add(entry->d_name).add("/children");
      const int fd = ::openat(tasks, list.data(), O_RDONLY | O_CLOEXEC);
      if (fd < 0) {
        if (errno == ENOENT && ::faccessat(tasks, entry->d_name, F_OK, 0) == 0) supported = false;
        continue;
      }
      char text[1024];
      pid_t pid = 0;
      ssize_t n;
      while ((n = ::read(fd, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < n; ++i) {
          if (text[i] >= '0' && text[i] <= '9') {
            pid = pid * 10 + (text[i] - '0');
          } else if (pid > 0) {
            visit(pid);
            pid = 0;
          }
        }
      if (pid > 0) visit(pid);
      ::close(fd);
    }
  }
  ::close(tasks);
  return supported;
}

/// Direct children only, from every process's stat: where the kernel keeps no lists. Enough in
/// the end, since the orphans of what was killed come up one level.
template <typename Visit>
void each_child_slowly(int proc, pid_t parent, const Visit& visit) {
  const int dir = ::openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir < 0) return;
  alignas(dirent64) char names[2048];
  long have;
  while ((have = ::syscall(SYS_getdents64, dir, names, sizeof names)) > 0)
    for (long at = 0; at < have;) {
      const auto* entry = reinterpret_cast<const dirent64*>(names + at);
      at += entry->d_reclen;
      const auto pid = static_cast<pid_t>(parse_number(entry->d_name));
      if (pid > 0 && parent_of(dir, pid) == parent) visit(pid);
    }
  ::close(dir);
}

struct Walk {
  int proc, number;
  pid_t self;
  Awaited* awaited = nullptr;
  int signalled = 0;
  pid_t refused = 0;

  void below(pid_t parent, int depth) {
    if (depth >= kDepthMax) return;
    auto visit = [&](pid_t pid) {
      below(pid, depth + 1);  // leaves first: what is killed cannot fork behind us
      one(parent, pid);
    };
    if (!each_child(proc, parent, visit) && depth == 0) each_child_slowly(proc, parent, visit);
  }

  void one(pid_t parent, pid_t pid) {
    const int fd = pidfd_open(pid);
    if (fd < 0) return;
    const pid_t now = parent_of(proc, pid);
    if (now == parent || now == self) {
      if (pidfd_signal(fd, number) == 0) {
        ++signalled;
        if (awaited != nullptr) return awaited->add(fd);
      } else if (errno == EPERM) {
        refused = pid;
      }
    }
    ::close(fd);
  }
};

/// Waits for a child's end, at most `ms`.
void wait_child(int ms) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  timespec limit{ms / 1000, (ms % 1000) * 1'000'000L};
  (void)::sigtimedwait(&child, nullptr, &limit);
}

}  // namespace

void Awaited::add(int pidfd) {
  if (count_ == kMost)
    ::close(pidfd);
  else
    fds_[count_++] = pidfd;
}

bool Awaited::next() {
  for (; count_ > 0; ::close(fds_[--count_])) {
    pollfd last{fd(), POLLIN, 0};
    if (::poll(&last, 1, 0) == 0) return false;
  }
  return true;
}

void Awaited::clear() {
  while (count_ > 0) ::close(fds_[--count_]);
}

int signal_below(int proc, pid_t root, int number, pid_t* refused, Awaited* awaited) {
  Walk walk{proc, number, ::getpid(), awaited};
  walk.below(root, 0);
  if (refused != nullptr) *refused = walk.refused;
  return walk.signalled;
}

bool has_children(int proc, pid_t root) {
  bool any = false;
  if (!each_child(proc, root, [&](pid_t) { any = true; }))
    each_child_slowly(proc, root, [&](pid_t) { any = true; });
  return any;
}

bool reap(Reaped reaped, void* context) {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG | __WALL);
    if (pid > 0) {
      reaped(context, pid, status);
    } else if (pid == 0) {
      return true;
    } else if (errno != EINTR) {
      return false;
    }
  }
}

TreeEnd kill_below(int proc, pid_t self, int limit_ms, Reaped reaped, void* context, pid_t* left) {
  const std::int64_t deadline = monotonic_ms() + limit_ms;
  *left = 0;
  while (reap(reaped, context)) {
    pid_t refused = 0;
    const int signalled = signal_below(proc, self, SIGKILL, &refused);
    if (!reap(reaped, context)) break;
    if (monotonic_ms() >= deadline) {
      each_child(proc, self, [&](pid_t pid) { *left = pid; });
      return refused != 0 ? (*left = refused, TreeEnd::refused) : TreeEnd::late;
    }
    wait_child(signalled > 0 ? 2 : 20);
  }
  return TreeEnd::gone;
}

TreeEnd kill_namespace(int limit_ms, Reaped reaped, void* context) {
  if (::getpid() != 1)
    return TreeEnd::refused;  // outside of a namespace of ours kill(-1) would reach everything of
                              // the user
  const std::int64_t deadline = monotonic_ms() + limit_ms;
  while (reap(reaped, context)) {
    ::kill(-1, SIGKILL);
    if (!reap(reaped, context)) break;
    if (monotonic_ms() >= deadline) return TreeEnd::late;
    wait_child(5);
  }
  return TreeEnd::gone;
}

}  // namespace locald::shim
