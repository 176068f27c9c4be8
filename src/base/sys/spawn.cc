#include "base/sys/spawn.h"

#include <linux/close_range.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <functional>
#include <mutex>
#include <set>

#include "base/strings.h"
#include "base/sys/resources.h"
#include "base/sys/sys.h"

namespace locald {
namespace {

using Clock = std::chrono::steady_clock;

/// The children that a Child stands for. A number is taken out in one step with its waitpid(2),
/// after which the kernel may give it to another.
std::mutex owned_mutex;
std::set<pid_t> owned;
/// Starts whose child may be there and is not in `owned` yet.
std::atomic<int> under_way{0};

/// Reaps an ended child. @return its status, or -1 with errno.
int reap(pid_t pid) {
  const std::lock_guard guard(owned_mutex);
  owned.erase(pid);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return status;
}

int timeout_ms(Clock::time_point deadline) {
  if (deadline == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1 << 30));
}

/// Makes a stop token something that poll(2) sees.
class StopFd {
 public:
  explicit StopFd(const std::stop_token& stop)
      : fd_(stop.stop_possible() ? ::eventfd(0, EFD_CLOEXEC) : -1), wake_(stop, [this] {
          const std::uint64_t one = 1;
          if (fd_) (void)!::write(fd_.get(), &one, sizeof one);
        }) {}
  int get() const { return fd_.get(); }  // -1 is ignored by poll

 private:
  UniqueFd fd_;
  std::stop_callback<std::function<void()>> wake_;
};

struct UnderWay {
  UnderWay() { ++under_way; }
  ~UnderWay() { --under_way; }
};

/// The lowest number above all that the child is to have.
int above_all(const SpawnOptions& o) noexcept {
  int number = 3;
  for (const auto& [ours, theirs] : o.fds) number = std::max(number, theirs + 1);
  return number;
}

/// A duplicate that no dup2 to a number of the child overwrites. -1: errno says why.
int lifted(int fd, const SpawnOptions& o) noexcept {
  const int high = ::fcntl(fd, F_DUPFD_CLOEXEC, above_all(o));
  if (high < 0 && errno == EINVAL) errno = EMFILE;  // the limit is below what the child is to have
  return high;
}

/// In the child of vfork: only calls that are safe there, no allocation.
/// Returns errno of the step that failed.
int become(const SpawnOptions& o, char* const* argv, char* const* env, int null_fd,
           const int* moved) {
  sigset_t none;
  sigemptyset(&none);
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  for (int s = 1; s < NSIG; ++s) ::sigaction(s, &standard, nullptr);
  const int stdio[3] = {o.stdin_fd, o.stdout_fd, o.stderr_fd};
  int high[3];
  for (int i = 0; i < 3; ++i)
    if ((high[i] = lifted(stdio[i] >= 0 ? stdio[i] : null_fd, o)) < 0) return errno;
  ::syscall(SYS_close_range, 3u, ~0u,
            CLOSE_RANGE_CLOEXEC);  // no descriptor leaks to a program
  for (int i = 0; i < 3; ++i)
    if (::dup2(high[i], i) < 0) return errno;
  for (std::size_t i = 0; i < o.fds.size(); ++i)
    if (::dup2(moved[i], o.fds[i].second) < 0) return errno;
  if (o.own_proc &&
      ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
    return errno;
  if (::chdir(o.cwd.c_str()) != 0) return errno;
  if (o.ends_with_thread && ::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execve(o.argv[0].c_str(), argv, env);
  return errno;
}

/// The pidfd of a child that runs already. Where no descriptor is left another thread will soon give
/// one back: to kill the child would not do, which may have children of its own by now.
UniqueFd pidfd_of_child(pid_t pid) {
  const auto deadline = Clock::now() + std::chrono::seconds(5);
  while (true) {
    UniqueFd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (fd || (errno != EMFILE && errno != ENFILE && errno != ENOMEM) || Clock::now() >= deadline)
      return fd;
    ::poll(nullptr, 0, 1);
  }
}

}  // namespace

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    kill();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
  }
  return *this;
}

Child::~Child() { kill(); }

void Child::kill() {
  if (pid_ < 0) return;
  (void)sys::pidfd_signal(pidfd_.get(), SIGKILL);
  pollfd ended{pidfd_.get(), POLLIN, 0};  // without the lock that reap() holds
  while (::poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  (void)reap(pid_);
  pid_ = -1;
}

Result<void> Child::signal(int number) const {
  if (pid_ < 0) return Error(Errc::not_found, "the process has ended");
  return sys::pidfd_signal(pidfd_.get(), number);
}

Result<Child::Exit> Child::wait(Clock::time_point deadline, const std::stop_token& stop) {
  if (pid_ < 0) return Error(Errc::not_found, "the process has been waited for already");
  const StopFd stop_fd(stop);
  while (true) {
    std::array<pollfd, 2> fds{pollfd{pidfd_.get(), POLLIN, 0}, pollfd{stop_fd.get(), POLLIN, 0}};
    const int n = ::poll(fds.data(), fds.size(), timeout_ms(deadline));
    if (n < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
    if (n > 0 && (fds[0].revents & POLLIN) != 0) break;
    if (stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
    if (Clock::now() >= deadline) return Error(Errc::timed_out, "timed out");
  }
  const int status = reap(std::exchange(pid_, -1));
  if (status < 0) return Error::from_errno(errno, "waitpid");
  if (WIFSIGNALED(status)) return Exit{-1, WTERMSIG(status)};
  return Exit{WEXITSTATUS(status), 0};
}

Result<Child> spawn(const SpawnOptions& options) {
  std::vector<char*> argv, env;
  for (const std::string& word : options.argv) argv.push_back(const_cast<char*>(word.c_str()));
  for (const std::string& pair : options.env) env.push_back(const_cast<char*>(pair.c_str()));
  argv.push_back(nullptr);
  env.push_back(nullptr);
  const UniqueFd null_fd = TRY(sys::open("/dev/null", O_RDWR));
  std::vector<UniqueFd> held;
  std::vector<int> moved;
  for (const auto& [ours, theirs] : options.fds) {
    held.emplace_back(lifted(ours, options));
    if (!held.back())
      return Error::from_errno(errno, "duplicate a descriptor for " + options.argv[0]);
    moved.push_back(held.back().get());
  }
  // The parent's handlers must not run in the child while it shares our memory.
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  volatile int failed = 0;
  const UnderWay starting;
  const pid_t pid = ::vfork();
  if (pid == 0) {
    failed = become(options, argv.data(), env.data(), null_fd.get(), moved.data());
    ::_exit(127);
  }
  const int fork_errno = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) {
    Error error = Error::from_errno(fork_errno, "fork");
    if (fork_errno != EAGAIN) return error;
    return std::move(error).with_hint(out_of_processes().hint());
  }
  if (failed != 0) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return Error::from_errno(failed, "execute " + options.argv[0]);
  }
  UniqueFd pidfd = pidfd_of_child(pid);
  if (!pidfd) {
    const int err = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return Error::from_errno(err, "pidfd_open");
  }
  const std::lock_guard guard(owned_mutex);
  owned.insert(pid);
  return Child(pid, std::move(pidfd));
}

Reaped reap_unowned(pid_t pid) {
  // In this order: a start that is over has put its child among the owned.
  if (under_way != 0) return Reaped::later;
  const std::lock_guard guard(owned_mutex);
  if (owned.contains(pid)) return Reaped::owned;
  (void)::waitpid(pid, nullptr, WNOHANG);
  return Reaped::yes;
}

std::optional<std::string> find_program(const std::string& name, const std::string& path) {
  auto runnable = [](const std::string& file) {
    struct stat st {};
    return ::stat(file.c_str(), &st) == 0 && S_ISREG(st.st_mode) &&
           ::access(file.c_str(), X_OK) == 0;
  };
  if (name.find('/') != std::string::npos)
    return runnable(name) ? std::optional(name) : std::nullopt;
  for (const std::string& dir : split(path, ':'))
    if (!dir.empty() && runnable(dir + "/" + name)) return dir + "/" + name;
  return std::nullopt;
}

Result<Output> run_program(SpawnOptions options, std::chrono::milliseconds timeout,
                           std::size_t max_output, const std::stop_token& stop) {
  auto [out_read, out_write] = TRY(sys::pipe());
  auto [err_read, err_write] = TRY(sys::pipe());
  options.stdout_fd = out_write.get();
  options.stderr_fd = err_write.get();
  Child child = TRY(spawn(options));
  out_write.reset();
  err_write.reset();
  const auto deadline = Clock::now() + timeout;
  const StopFd stop_fd(stop);
  Output output;
  std::array<pollfd, 3> fds{pollfd{out_read.get(), POLLIN, 0}, pollfd{err_read.get(), POLLIN, 0},
                            pollfd{stop_fd.get(), POLLIN, 0}};
  std::array<char, 16384> buffer{};
  while (fds[0].fd >= 0 || fds[1].fd >= 0) {
    if (::poll(fds.data(), fds.size(), timeout_ms(deadline)) < 0 && errno != EINTR)
      return Error::from_errno(errno, "poll");
    if (stop.stop_requested()) return Error(Errc::cancelled, options.argv[0] + ": cancelled");
    if (Clock::now() >= deadline)
      return Error(Errc::timed_out,
                   options.argv[0] + ": no end after " + std::to_string(timeout.count()) + " ms");
    for (int i = 0; i < 2; ++i) {
      pollfd& p = fds[static_cast<std::size_t>(i)];
      if (p.fd < 0 || p.revents == 0) continue;
      const std::size_t n = TRY(sys::read_some(p.fd, buffer.data(), buffer.size()));
      std::string& kept = i == 0 ? output.out : output.err;
      kept.append(buffer.data(), std::min(n, max_output - std::min(max_output, kept.size())));
      if (n == 0) p.fd = -1;
    }
  }
  output.exit = TRY(child.wait(deadline, stop).context(options.argv[0]));
  return output;
}

}  // namespace locald
