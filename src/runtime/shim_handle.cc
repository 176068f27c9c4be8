#include "runtime/shim_handle.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include "base/json/json.h"
#include "base/sys/fs_at.h"
#include "base/sys/sys.h"
#include "base/transient.h"
#include "runtime/orphans.h"
#include "runtime/processes.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kShimPatience{
    12'000};  // above what it takes itself to kill what cannot die (shim/instance_state.h)
constexpr milliseconds kSweepPause{5};
constexpr int kSweeps = 400;             // 2 s
constexpr milliseconds kLookAgain{200};  // for what a shim has left, when it could not be seen

std::chrono::system_clock::time_point wall(std::uint64_t ns) {
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          std::chrono::nanoseconds(ns)));
}

ExitStatus from_frame(const FrameExit& frame, std::string text, bool never_ran) {
  ExitStatus status;
  if (frame.code >= 0) status.code = frame.code;
  if (frame.signal > 0) status.signal = frame.signal;
  status.ended_at = wall(frame.ended_ns);
  status.dropped_bytes = frame.dropped_bytes;
  status.reason = std::move(text);
  status.never_ran = never_ran;
  status.may_pass = never_ran && may_pass(status.reason);
  return status;
}

/// Why a shim could not take over. It does not know the name of its folder.
Error failure_of(std::string why, const std::string& folder) {
  if (why.starts_with(shim::kInstanceFile)) why = folder + "/" + why;
  const bool passes = may_pass(why), full = why.find("No space left") != std::string::npos;
  return Error(passes ? Errc::unavailable : Errc::failed, std::move(why))
      .with_hint(full ? "make room there (df -h " + folder + "), then try again" : "");
}

/// How the shim itself ended, as far as its parent can know.
std::string death_of(int pidfd) {
  siginfo_t info{};
  if (pidfd < 0 ||
      ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
               WEXITED | WNOHANG) != 0 ||
      info.si_pid == 0)
    return "its shim was killed";
  if (info.si_code == CLD_EXITED)
    return "its shim ended with code " + std::to_string(info.si_status);
  return "its shim was killed by signal " + std::to_string(info.si_status);
}

}  // namespace

Result<ExitStatus> read_exit(const std::string& folder, const std::string& nonce) {
  const auto parsed = Json::parse(TRY(read_file(folder + "/" + shim::kExitFile, 64 << 10)));
  if (!parsed || !(*parsed)["format"].is_int())
    return Error(Errc::corrupt, folder + "/exit.json is damaged");
  const Json& doc = *parsed;
  if (doc["format"].as_int() != 1 || doc["nonce"].as_string() != nonce)
    return Error(Errc::not_found, folder + "/exit.json is of another instance or version");
  ExitStatus status;
  if (doc["code"].is_int()) status.code = static_cast<int>(doc["code"].as_int());
  if (doc["signal"].is_int()) status.signal = static_cast<int>(doc["signal"].as_int());
  status.never_ran = doc["never_ran"].as_bool();
  status.reason = doc["reason"].as_string();
  status.may_pass = status.never_ran && may_pass(status.reason);
  status.ended_at = wall(static_cast<std::uint64_t>(doc["ended_ns"].as_int()));
  status.dropped_bytes = static_cast<std::uint64_t>(doc["dropped_bytes"].as_int());
  return status;
}

ShimHandle::~ShimHandle() = default;

std::string ShimHandle::control_socket() const {
  return record_.folder + "/" + shim::kControlSocket;
}

Result<std::unique_ptr<ShimHandle>> ShimHandle::take(InstanceRecord record, UniqueFd control,
                                                     milliseconds limit) {
  std::unique_ptr<ShimHandle> handle(new ShimHandle(std::move(record)));
  handle->control_ = std::move(control);
  const auto deadline = Clock::now() + limit;
  while (true) {
    FrameHeader header{};
    std::string body;
    if (handle->next(header, body)) {
      if (header.type == static_cast<std::uint8_t>(Frame::failed) &&
          body.size() >= sizeof(FrameExit))
        return failure_of(body.substr(sizeof(FrameExit)), handle->record_.folder);
      if (!handle->take_first(header, body)) return *std::move(handle->trouble_);
      auto pidfd = sys::pidfd_open(handle->record_.shim_pid);
      if (const auto stat = process_stat(handle->record_.shim_pid))
        handle->record_.shim_start = stat->start_time;
      // The number was the shim's as long as its end of the connection is open: look only now.
      pollfd peer{handle->control_.get(), POLLRDHUP, 0};
      if (::poll(&peer, 1, 0) == 0) {
        if (pidfd) handle->pidfd_ = std::move(*pidfd);
      } else {
        handle->record_.shim_start = 0;
      }
      return handle;
    }
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    if (left <= 0)
      return Error(Errc::timed_out,
                   "the shim did not answer within " + std::to_string(limit.count()) + " ms");
    pollfd readable{handle->control_.get(), POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(left)) <= 0) continue;
    if (!TRY(handle->receive()))
      return Error(Errc::failed, "the shim ended before it had taken over");
  }
}

void ShimHandle::take_status(const FrameStatus& status) {
  pid_ = status.pid;
  if (status.started_ns != 0) started_at_ = wall(status.started_ns);
  hold_process();
}

void ShimHandle::hold_process() {
  if (pid_ == 0 || main_pidfd_ || !(host() || exec())) return;
  auto fd = sys::pidfd_open(pid_);
  if (fd) fd = above_reserve(std::move(*fd));
  const auto stat = process_stat(pid_);
  if (fd && stat && stat->parent == record_.shim_pid) main_pidfd_ = std::move(*fd);
}

Result<bool> ShimHandle::receive() {
  char chunk[4096];
  while (true) {
    const ssize_t n = ::recv(control_.get(), chunk, sizeof chunk, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n < 0) return Error::from_errno(errno, "read from the shim of " + record_.id);
    if (n == 0) return false;
    buffer_.append(chunk, static_cast<std::size_t>(n));
    if (static_cast<std::size_t>(n) < sizeof chunk) return true;
  }
}

bool ShimHandle::next(FrameHeader& header, std::string& body) {
  if (buffer_.size() < sizeof header) return false;
  std::memcpy(&header, buffer_.data(), sizeof header);
  if (buffer_.size() < sizeof header + header.length) return false;
  body = buffer_.substr(sizeof header, header.length);
  buffer_.erase(0, sizeof header + header.length);
  return true;
}

void ShimHandle::listen(EventLoop& loop, Events events) {
  loop_ = &loop;
  events_ = std::move(events);
  std::weak_ptr<int> alive = alive_;
  loop.post([this, alive] {
    if (alive.expired()) return;
    if (pid_ != 0 && !started_told_) {
      started_told_ = true;
      if (events_.started) events_.started(pid_);
      if (alive.expired()) return;
    }
    watch();
    on_readable();
  });
}

void ShimHandle::watch() {
  if (control_)
    control_watch_ = loop_->watch_readable(control_.get(), [this] { on_readable(); });
  else if (!unreachable_)
    try_later();
  if (pidfd_ && !pidfd_watch_)
    pidfd_watch_ = loop_->watch_readable(pidfd_.get(), [this] { on_shim_gone(); });
}

void ShimHandle::on_readable() {
  if (over_ || !control_) return;
  std::weak_ptr<int> alive = alive_;
  const auto open = receive();
  FrameHeader header{};
  std::string body;
  while (!over_ && next(header, body)) {
    const auto type = static_cast<Frame>(header.type);
    if (!answered_) {
      if (!take_first(header, body)) {  // of no use, whatever else it says
        control_watch_.reset();
        control_.reset();
        set_trouble(trouble_);
        if (!alive.expired()) try_later();
        return;
      }
      set_trouble({});
      if (alive.expired()) return;
    } else if ((type == Frame::started || type == Frame::status) &&
               body.size() == sizeof(FrameStatus)) {
      FrameStatus status{};
      std::memcpy(&status, body.data(), sizeof status);
      take_status(status);
    } else if ((type == Frame::exited || type == Frame::failed) &&
               body.size() >= sizeof(FrameExit)) {
      FrameExit exit{};
      std::memcpy(&exit, body.data(), sizeof exit);
      return report(from_frame(exit, body.substr(sizeof exit), type == Frame::failed));
    }
    if (pid_ != 0 && !started_told_) {
      started_told_ = true;
      if (events_.started) events_.started(pid_);
      if (alive.expired()) return;
    }
  }
  if (over_ || (open && *open)) return;
  // The connection ended without a word: the shim is dead, or dies just now; or it lives, and has
  // taken us for a reader that is too slow.
  control_watch_.reset();
  control_.reset();
  answered_ = false;
  try_later();
}

void ShimHandle::on_shim_gone() {
  std::weak_ptr<int> alive = alive_;
  if (control_) {
    on_readable();  // what it still said counts
    if (alive.expired() || over_) return;
  }
  retry_.reset();
  pidfd_watch_.reset();
  control_watch_.reset();
  control_.reset();
  death_ = death_of(pidfd_.get());  // before the sweep reaps it
  sweep_and_report(kSweeps);
}

/// Nobody else ends what a killed shim has left: again and again until nothing is found.
void ShimHandle::sweep_and_report(int attempts_left) {
  if (over_) return;
  int found = 0;
  if (main_pidfd_ && kill_tree(pid_, main_pidfd_.get())) ++found;
  if (host() || exec()) {
    const std::optional<int> swept = sweep(record_.nonce);
    if (!swept) {  // it could not be looked: R-UNKNOWN
      timer_ = loop_->after(kLookAgain, [this, attempts_left] { sweep_and_report(attempts_left); });
      return;
    }
    found += *swept;
  }
  if (found > 0 && attempts_left > 0) {
    timer_ =
        loop_->after(kSweepPause, [this, attempts_left] { sweep_and_report(attempts_left - 1); });
    return;
  }
  if (auto recorded = read_exit(record_.folder, record_.nonce)) return report(std::move(*recorded));
  ExitStatus unknown;
  unknown.ended_at = std::chrono::system_clock::now();
  unknown.reason =
      death_ + (exec() ? ", or its container ended" : "") + "; the exit status is unknown";
  if (found > 0)
    unknown.reason += "; " + std::to_string(found) + " of its processes could not be killed";
  report(std::move(unknown));
}

void ShimHandle::report(ExitStatus status) {
  over_ = true;
  control_watch_.reset();
  pidfd_watch_.reset();
  timer_.reset();
  retry_.reset();
  if (pidfd_)
    (void)::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd_.get()), nullptr,
                   WEXITED | WNOHANG);
  auto exited = std::move(events_.exited);  // it may destroy us
  if (exited) exited(status);
}

Result<void> ShimHandle::send(Frame type, const void* data, std::size_t size) {
  if (!control_ || over_) return Error(Errc::not_found, record_.id + " has ended");
  char message[64];
  const FrameHeader header{static_cast<std::uint32_t>(size), static_cast<std::uint8_t>(type), {}};
  std::memcpy(message, &header, sizeof header);
  std::memcpy(message + sizeof header, data, size);
  const auto wanted = static_cast<ssize_t>(sizeof header + size);
  const ssize_t n = ::send(control_.get(), message, static_cast<std::size_t>(wanted),
                           MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n == wanted) return {};
  if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
    return Error(Errc::not_found, record_.id + " has ended");
  return Error::from_errno(n < 0 ? errno : EAGAIN, "tell the shim of " + record_.id);
}

Result<void> ShimHandle::signal(int number) {
  const auto value = static_cast<std::int32_t>(number);
  return send(Frame::signal, &value, sizeof value);
}

Result<void> ShimHandle::stop(int signal, milliseconds timeout) {
  const bool at_once = timeout.count() <= 0;
  const FrameStop frame{signal, static_cast<std::uint32_t>(at_once ? 0 : timeout.count())};
  if (over_) return Error(Errc::not_found, record_.id + " has ended");
  if (!control_ && !pidfd_) (void)reach();
  if (control_) {
    TRY(send(Frame::stop, &frame, sizeof frame));
    // One that does not answer does not do it either; what it held ends with it.
    if (at_once && !answered_ && pidfd_) (void)sys::pidfd_signal(pidfd_.get(), SIGKILL);
  } else if (pidfd_) {
    // Without a connection: a shim ends well by SIGTERM, in 10 s of its own.
    TRY(sys::pidfd_signal(pidfd_.get(), at_once ? SIGKILL : SIGTERM));
  } else {
    return Error(*trouble_).with_context(record_.name + " cannot be stopped now");
  }
  // A shim does this within the time it was given and its own limit for killing. One that does not
  // is stopped itself (SIGSTOP, a debugger): its death ends what it holds.
  if (loop_ != nullptr)
    overdue_ = loop_->after(timeout + kShimPatience, [this] {
      if (!over_ && pidfd_) (void)sys::pidfd_signal(pidfd_.get(), SIGKILL);
    });
  return {};
}

void ShimHandle::keep_in(const Paths& paths) {
  paths_ = paths;
  if (!record_.nonce.empty()) (void)keep(paths, record_);
}

Result<void> ShimHandle::write_back() {
  if (over_) return {};
  if (paths_ && !exists(paths_->instance_record(record_.id))) keep_in(*paths_);
  if (exists(control_socket())) return {};
  const UniqueFd folder = TRY(make_dirs(record_.folder, 0700));
  TRY(write_file_atomic(folder.get(), shim::kInstanceFile, record_.to_text(), 0600));
  if (!control_) return {};
  // By descriptor: in the shim's mount namespace the path may lead elsewhere, or nowhere.
  const FrameHeader header{0, static_cast<std::uint8_t>(Frame::folder), {}};
  const int fds[] = {folder.get()};
  return sys::send_fds(control_.get(), {reinterpret_cast<const char*>(&header), sizeof header},
                       fds);
}

}  // namespace locald::runtime
