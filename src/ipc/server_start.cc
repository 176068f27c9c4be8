#include "ipc/server_start.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/strings.h"
#include "base/sys/fs_at.h"
#include "base/sys/set_aside.h"
#include "base/sys/spawn.h"
#include "base/sys/sys.h"
#include "ipc/living_server.h"
#include "ipc/version.h"

extern char** environ;

namespace locald::ipc {
namespace {

using Notice = std::function<void(const std::string& text)>;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
constexpr milliseconds kCheckPatience{10'000};
constexpr milliseconds kWriteBack{3'000};  // for a living server whose run folder was deleted
constexpr milliseconds kMoment{300};

/// Our environment, for finding HOME, proxies and the like, without what ties a
/// process to the service that we may be running in.
std::vector<char*> server_environment() {
  std::vector<char*> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view pair = *entry;
    const auto is = [&](std::string_view name) {
      return pair.starts_with(name) && pair.substr(name.size()).starts_with('=');
    };
    if (!is("LOCALD_INSTANCE") && !is("NOTIFY_SOCKET") && !is("LISTEN_FDS") && !is("LISTEN_PID"))
      env.push_back(*entry);
  }
  env.push_back(nullptr);
  return env;
}

/// The daemon's half, after the first fork: no return, no allocation needed.
[[noreturn]] void become_daemon(char* const* argv, char* const* env, int log_fd, int null_fd,
                                int report_fd, int ready_fd) {
  ::setsid();
  const pid_t pid = ::fork();
  if (pid != 0) {
    (void)!::write(report_fd, &pid, sizeof pid);
    ::_exit(0);
  }
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int s = 1; s < NSIG; ++s) ::signal(s, SIG_DFL);
  int err = 0;
  if (::chdir("/") != 0 || ::dup2(null_fd, 0) < 0 || ::dup2(log_fd, 1) < 0 ||
      ::dup2(log_fd, 2) < 0 || ::fcntl(ready_fd, F_SETFD, 0) != 0)
    err = errno;
  if (err == 0) {
    ::execve(argv[0], argv, env);
    err = errno;
  }
  (void)!::write(report_fd, &err, sizeof err);
  ::_exit(127);
}

/// server.log to append to. Anything else in its place (a folder, a pipe that nobody reads, a link
/// that leads elsewhere) is set aside: it shall not lock anybody out.
Result<UniqueFd> open_log(const std::string& path, const Notice& notice) {
  std::string aside;
  while (true) {
    auto fd = sys::open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0600);
    struct stat st {};
    const int error = fd ? 0 : fd.error().sys_errno();
    const bool odd = error == EISDIR || error == ELOOP || error == ENXIO ||
                     (fd && ::fstat(fd->get(), &st) == 0 && !S_ISREG(st.st_mode));
    if (!odd || !aside.empty()) {
      if (!fd) return std::move(fd).context("the server's log");
      TRY(sys::set_nonblocking(fd->get(), false));
      if (aside.empty()) return fd;
      const std::string text = path + " was not a file; it was set aside as " + aside;
      (void)sys::write_all(fd->get(), text + "\n");
      if (notice) notice(text);
      return fd;
    }
    aside = TRY(set_aside(AT_FDCWD, path).context("the server's log"));
  }
}

/// Starts the daemon. @return a pipe: one byte comes when it listens, EOF when it has ended.
/// (Not inotify on the socket: closing that takes the kernel 10 to 20 ms.)
Result<UniqueFd> daemonise(const std::string& program, const std::string& log,
                           const Notice& notice) {
  const UniqueFd log_fd = TRY(open_log(log, notice));
  const UniqueFd null_fd = TRY(sys::open("/dev/null", O_RDWR));
  auto [read_end, write_end] = TRY(sys::pipe());
  auto [ready_read, ready_write] = TRY(sys::pipe());
  const auto env = server_environment();
  std::string words[] = {program, "run", "--ready-fd", std::to_string(ready_write.get())};
  char* const argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(),
                        nullptr};
  const pid_t middle = ::fork();
  if (middle < 0) return Error::from_errno(errno, "fork");
  if (middle == 0)
    become_daemon(argv, env.data(), log_fd.get(), null_fd.get(), write_end.get(),
                  ready_write.get());
  write_end.reset();
  ready_write.reset();
  while (::waitpid(middle, nullptr, 0) < 0 && errno == EINTR) {
  }
  // The pid, then EOF at the exec, or the errno of what failed before it.
  std::string report;
  std::array<char, 16> buffer{};
  while (const std::size_t n = TRY(sys::read_some(read_end.get(), buffer.data(), buffer.size())))
    report.append(buffer.data(), n);
  int numbers[2] = {-1, 0};
  report.copy(reinterpret_cast<char*>(numbers), sizeof numbers);
  if (numbers[0] <= 0) return Error(Errc::failed, "fork: the server could not be started");
  if (numbers[1] != 0) return Error::from_errno(numbers[1], "execute " + program);
  return std::move(ready_read);
}

/// The last lines of the server's log, from `from` on: why it ended.
std::string log_since(const std::string& path, off_t from) {
  auto fd = sys::open(path, O_RDONLY | O_NONBLOCK);
  if (!fd) return {};
  std::array<char, 2000> buffer{};
  const off_t size = ::lseek(fd->get(), 0, SEEK_END);
  const ssize_t n =
      ::pread(fd->get(), buffer.data(), buffer.size(), std::max<off_t>(from, size - 2000));
  return n > 0 ? std::string(trim(std::string_view(buffer.data(), static_cast<std::size_t>(n))))
               : "";
}

/// True while some process holds a flock on `path`: another server that starts or
/// adopts. Looked up without taking the lock, which would disturb its rightful taker.
bool is_locked(const std::string& path) { return lock_holder(path) != 0; }

off_t size_of(const std::string& path) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : 0;
}

Error not_written_back(const Paths& paths, int pid) {
  return Error(Errc::timed_out, "a server is running, process " + std::to_string(pid) +
                                    ", whose socket is gone: it has not written it back within " +
                                    std::to_string(kWriteBack.count() / 1000) + " s")
      .with_hint(way_out(paths, pid));
}

/// One whose run folder another XDG_RUNTIME_DIR names: there is nothing to wait for, and the server
/// that we start says what to do.
bool lives_elsewhere(const Paths& paths, int pid) {
  const LockSignature signature = lock_signature(paths);
  return signature.pid == pid && signature.run != paths.run();
}

/// How a program ended that said nothing.
std::string end_text(const Child::Exit& exit) {
  if (exit.signal == 0) return "it ended with exit code " + std::to_string(exit.code);
  const char* name = ::sigabbrev_np(exit.signal);
  return "it was ended by " +
         (name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(exit.signal));
}

/// The first line of what a program said, no longer than a person reads.
std::string first_line(std::string_view text) {
  text = trim(text);
  return std::string(trim(text.substr(0, std::min<std::size_t>(text.find('\n'), 200))));
}

}  // namespace

Result<UniqueFd> connect_server(const std::string& socket) {
  auto fd = sys::unix_connect(socket);
  if (!fd) {
    if (fd.error().sys_errno() == ECONNREFUSED || fd.error().code() == Errc::not_found)
      return Error(Errc::not_found, "no server is running (" + socket + ")")
          .with_hint("start it: locald server start");
    if (fd.error().code() == Errc::denied)
      return std::move(fd)
          .context("connect to the server")
          .hint(
              "run locald as the user whose folder that is, or set LOCALD_HOME to a folder of your "
              "own");
    return std::move(fd).context("connect to the server");
  }
  const auto peer = TRY(sys::peer_cred(fd->get()));
  if (peer.uid != ::geteuid())
    return Error(Errc::denied, socket + " belongs to a program of user " +
                                   std::to_string(peer.uid) + ", not to yours")
        .with_hint("run locald as that user, or set LOCALD_HOME to a folder of your own");
  return fd;
}

Result<void> check_own_server() {
  SpawnOptions options;
  options.argv = {TRY(find_own_program("locald-server")), "--check"};
  for (char** entry = environ; *entry != nullptr; ++entry) options.env.emplace_back(*entry);
  constexpr const char* kTogether = "install the programs of one build together";
  const Output output = TRY(run_program(options, kCheckPatience).hint(kTogether));
  const std::string problem(trim(output.err));
  if (!output.exit.ok() && problem.empty())
    return Error(Errc::failed,
                 options.argv[0] + " cannot start: " + end_text(output.exit) + " and said nothing")
        .with_hint(kTogether);
  if (!output.exit.ok()) return Error(Errc::failed, options.argv[0] + " cannot start: " + problem);
  const std::string version = first_line(output.out);
  const std::string wanted =
      "locald-server " + std::string(kVersion) + " (" + std::string(kBuild) + ")";
  if (version != wanted)
    return Error(Errc::unsupported,
                 options.argv[0] +
                     (version.empty() ? " said nothing of its version" : " is " + version) +
                     ", this locald needs " + wanted)
        .with_hint(kTogether);
  return {};
}

Result<UniqueFd> await_server(const Paths& paths) {
  // One that has its lock is starting, ending, or just done with writing back.
  const bool locked = is_locked(paths.server_lock());
  const auto deadline = Clock::now() + (locked ? kMoment : kWriteBack);
  while (true) {
    const int living = living_server(paths);  // before: it may listen, and be done, in between
    auto fd = connect_server(paths.server_socket());
    if (fd || fd.error().code() != Errc::not_found || living == 0 || lives_elsewhere(paths, living))
      return fd;
    if (Clock::now() >= deadline) {
      if (locked) return fd;
      return not_written_back(paths, living);
    }
    ::poll(nullptr, 0, 5);
  }
}

Result<UniqueFd> start_server(const Paths& paths, const Notice& notice, milliseconds patience) {
  const std::string program = TRY(find_own_program("locald-server"));
  TRY(paths.create());
  off_t log_size = size_of(paths.server_log());
  UniqueFd ready = TRY(daemonise(program, paths.server_log(), notice));
  const auto deadline = Clock::now() + patience;
  std::optional<Clock::time_point> folderless;  // since when one lives that has no run folder
  // One that was killed may hold the lock for a moment yet: then ours has ended, and by now the
  // lock is free. So the first end is not an answer yet.
  bool lost_race = true;
  while (true) {
    // Without `ready` another process's server is waited for, which cannot tell us.
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    pollfd listens{ready.get(), POLLIN, 0};
    ::poll(&listens, 1, static_cast<int>(ready ? left.count() : std::min<long>(left.count(), 5)));
    char byte = 0;
    const bool ended = !ready || (listens.revents != 0 && ::read(ready.get(), &byte, 1) == 0);
    auto fd = connect_server(paths.server_socket());
    if (fd || fd.error().code() != Errc::not_found) return fd;
    if (Clock::now() >= deadline)
      return Error(Errc::timed_out, "the server does not listen after " +
                                        std::to_string(patience.count() / 1000) + " s")
          .with_hint("look into " + paths.server_log());
    if (!ended) continue;
    ready.reset();
    // Ours has ended. Where another one holds the lock, that one is waited for; where that one ends
    // first (it was told to), ours is started again.
    if (is_locked(paths.server_lock())) {
      lost_race = true;
      folderless.reset();
      continue;
    }
    // The run folder of a living one was deleted: ours, on its way, has told it to look.
    const int living = living_server(paths);
    if (living == 0 && !is_locked(paths.state_lock()))
      folderless.reset();
    else if (Clock::now() < folderless.value_or(Clock::now()) + kWriteBack) {
      if (!folderless) folderless = Clock::now();
      continue;
    }
    if (living != 0 && !lives_elsewhere(paths, living)) return not_written_back(paths, living);
    if (lost_race) {
      lost_race = false;
      log_size = size_of(paths.server_log());
      ready = TRY(daemonise(program, paths.server_log(), notice));
      continue;
    }
    if (auto last = connect_server(paths.server_socket())) return last;
    const std::string log = log_since(paths.server_log(), log_size);
    return Error(Errc::failed,
                 "the server ended as soon as it was started" + (log.empty() ? "" : ":\n" + log))
        .with_hint("look into " + paths.server_log() + ", or see it live: locald server run");
  }
}

}  // namespace locald::ipc
