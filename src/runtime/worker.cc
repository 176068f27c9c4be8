#include "runtime/worker.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

#include "base/strings.h"
#include "base/sys/resources.h"
#include "base/sys/spawn.h"
#include "base/sys/sys.h"

extern char** environ;

namespace locald::runtime {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMaxLine =
    64u << 20;  // a job or a reply: two files of 1 MiB, escaped, are the largest we send
constexpr int kJobFd = 3, kUsernsFd = 4, kHandedFd = 5;  // in the worker
/// Names of files are any bytes, and stand in both.
constexpr Json::ParseOptions kParsing{
    .max_bytes = kMaxLine, .max_depth = 64, .reject_duplicates = false, .any_bytes = true};

/// Lines from a socket.
class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}

  /// The next line; nullopt at the end (an unfinished line is none).
  /// @param deadline  Errc::timed_out after it.
  Result<std::optional<std::string>> next(Clock::time_point deadline) {
    while (true) {
      if (const std::size_t end = buffer_.find('\n', searched_); end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        searched_ = 0;
        return std::optional(std::move(line));
      }
      searched_ = buffer_.size();
      if (buffer_.size() > kMaxLine)
        return Error(Errc::invalid_input, "a line of more than 64 MiB");
      if (deadline != Clock::time_point::max()) TRY(wait(deadline));
      std::array<char, 65536> chunk;
      const std::size_t n = TRY(sys::read_some(fd_, chunk.data(), chunk.size()));
      if (n == 0) return std::optional<std::string>();
      buffer_.append(chunk.data(), n);
    }
  }

 private:
  Result<void> wait(Clock::time_point deadline) const {
    while (true) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) return Error(Errc::timed_out, "timed out waiting for a reply");
      pollfd p{fd_, POLLIN, 0};
      const int n = ::poll(&p, 1, static_cast<int>(std::min<long long>(left, 1 << 30)));
      if (n > 0) return {};
      if (n < 0 && errno != EINTR) return Error::from_errno(errno, "poll");
    }
  }

  int fd_;
  std::string buffer_;
  std::size_t searched_ = 0;
};

Json error_to_json(const Error& error) {
  return Json::object(
      {{"code", to_string(error.code())}, {"message", error.message()}, {"hint", error.hint()}});
}

Error error_from_json(const Json& json) {
  Error error(errc_from_string(json["code"].as_string()), json["message"].as_string());
  if (const std::string& hint = json["hint"].as_string(); !hint.empty())
    return std::move(error).with_hint(hint);
  return error;
}

Error died(const std::string& op, Result<Child::Exit> exit) {
  std::string how = "ended without a reply";
  if (exit && exit->signal != 0)
    how = std::string("was killed by ") + ::sigabbrev_np(exit->signal);
  else if (exit)
    how += " (exit code " + std::to_string(exit->code) + ")";
  // By the kernel, for want of memory, most often.
  const bool killed = exit && exit->signal == SIGKILL;
  return Error(killed ? Errc::unavailable : Errc::failed, "the worker for \"" + op + "\" " + how)
      .with_hint("the server's log may say more");
}

}  // namespace

Result<Json> Worker::run(const Json& job, const std::function<void(const Json& progress)>& progress,
                         const std::stop_token& stop, std::chrono::milliseconds limit,
                         int file) const {
  const std::string op = job["op"].as_string();
  if (stop.stop_requested()) return Error(Errc::cancelled, op + ": cancelled");
  const int userns = TRY(options_.user_namespace());
  auto [ours, theirs] = TRY(sys::socketpair(SOCK_STREAM));

  SpawnOptions spawning;
  spawning.argv = {options_.server_binary, "worker", "--job-fd", std::to_string(kJobFd)};
  spawning.fds = {{theirs.get(), kJobFd}};
  if (userns >= 0) {
    spawning.argv.insert(spawning.argv.end(), {"--userns-fd", std::to_string(kUsernsFd)});
    spawning.fds.emplace_back(userns, kUsernsFd);
  }
  Json sent = job;
  if (file >= 0) {
    spawning.fds.emplace_back(file, kHandedFd);
    sent.set("file", kHandedFd);
  }
  // Proxies, certificates and the like are the user's; no job acts on anything else in it.
  for (char** pair = environ; *pair != nullptr; ++pair) spawning.env.emplace_back(*pair);
  spawning.stderr_fd = STDERR_FILENO;
  Child child = TRY(spawn(spawning).context("start a worker"));
  theirs.reset();

  // Killed from here, it closes its end, and the loop below sees that.
  const std::stop_callback kill_on_stop(stop, [&child] { (void)child.signal(SIGKILL); });
  const auto deadline = limit.count() > 0 ? Clock::now() + limit : Clock::time_point::max();

  if (auto written = sys::write_all(ours.get(), sent.dump() + "\n"); !written) {
    if (stop.stop_requested()) return Error(Errc::cancelled, op + ": cancelled");
    return died(op, child.wait(Clock::now() + std::chrono::seconds(10)));
  }
  LineReader reader(ours.get());
  while (true) {
    Result<std::optional<std::string>> line = reader.next(deadline);
    if (!line && line.error().code() == Errc::timed_out) {
      child.kill();
      return Error(Errc::timed_out, op + ": no end after " + std::to_string(limit.count()) + " ms");
    }
    if (!line || !line->has_value()) {
      if (stop.stop_requested()) return Error(Errc::cancelled, op + ": cancelled");
      return died(op, child.wait(Clock::now() + std::chrono::seconds(10)));
    }
    // Only our own program writes here, yet it has read what strangers wrote.
    Json reply = TRY(Json::parse(**line, kParsing).context("the worker's reply"));
    if (reply.contains("progress")) {
      if (progress) progress(reply["progress"]);
      continue;
    }
    // It ends by itself now; a moment's wait lets its mounts go with it, and the destructor
    // insists.
    (void)child.wait(Clock::now() + std::chrono::seconds(10), stop);
    if (reply.contains("error")) return error_from_json(reply["error"]);
    return reply["result"];
  }
}

int serve_worker_job(int fd,
                     const std::function<WorkerHandler(const std::string& op)>& find_handler) {
  ::signal(SIGPIPE, SIG_IGN);
  std::mutex writing;
  const auto send = [&](const char* what, Json value) {
    const std::string line = Json::object({{what, std::move(value)}}).dump() + "\n";
    const std::lock_guard lock(writing);
    return static_cast<bool>(sys::write_all(fd, line));
  };
  Result<Json> result = within_resources([&]() -> Result<Json> {
    const auto line = TRY(LineReader(fd).next(Clock::time_point::max()));
    if (!line) return Error(Errc::cancelled, "no job came");
    const Json job = TRY(Json::parse(*line, kParsing));
    const std::string op = TRY(job.get_string("op"));
    const WorkerHandler handler = find_handler(op);
    if (!handler) return Error(Errc::unsupported, "\"" + op + "\": no such job");
    return handler(job, [&](Json progress) { (void)send("progress", std::move(progress)); });
  });
  if (result) return send("result", std::move(result).value()) ? 0 : 1;
  (void)send("error", error_to_json(result.error()));
  return 1;
}

Result<UniqueFd> handed_file(const Json& job) {
  if (!job["file"].is_int()) return Error(Errc::invalid_input, "the job came without its file");
  UniqueFd fd(::fcntl(static_cast<int>(job["file"].as_int()), F_DUPFD_CLOEXEC, 0));
  if (!fd) return Error::from_errno(errno, "take the job's file");
  return fd;
}

Result<void> join_user_namespace(int userns_fd) {
  if (::setns(userns_fd, CLONE_NEWUSER) != 0)
    return Error::from_errno(errno, "join the user namespace");
  // Refused where the map was made without newgidmap ("deny"): there are no other groups to drop
  // then but our own.
  if (::setgroups(0, nullptr) != 0 && errno != EPERM) return Error::from_errno(errno, "setgroups");
  if (::setresgid(0, 0, 0) != 0)
    return Error::from_errno(errno, "become group 0 of the user namespace");
  if (::setresuid(0, 0, 0) != 0)
    return Error::from_errno(errno, "become root of the user namespace");
  return {};
}

}  // namespace locald::runtime
