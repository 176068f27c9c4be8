// The way to a shim that an earlier server started, and what is known while it is closed.
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/sys/sys.h"
#include "runtime/processes.h"
#include "runtime/shim_handle.h"
#include "shim/protocol.h"

namespace locald::runtime {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstPause{200}, kLongestPause{30'000};

/// For ways that stay closed.
Error closed(std::string what) {
  return Error(Errc::unavailable, std::move(what))
      .with_hint("end it and start it again: locald restart SERVICE");
}

}  // namespace

Result<UniqueFd> above_reserve(UniqueFd fd) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return fd;
  const rlim_t reserve = std::clamp<rlim_t>(limit.rlim_cur / 4, 8, 48);
  if (static_cast<rlim_t>(fd.get()) + reserve >= limit.rlim_cur)
    return Error::from_errno(EMFILE,
                             "the limit of open files is " + std::to_string(limit.rlim_cur));
  return fd;
}

Result<UniqueFd> connect_control(const std::string& folder) {
  const UniqueFd dir = TRY(sys::open(folder, O_PATH | O_DIRECTORY));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path =
      "/proc/self/fd/" + std::to_string(dir.get()) + "/" + shim::kControlSocket;
  std::memcpy(address.sun_path, path.c_str(), std::min(path.size() + 1, sizeof address.sun_path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return Error::from_errno(errno, "socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return Error::from_errno(errno, "connect " + folder + "/" + shim::kControlSocket);
  return fd;
}

Result<std::unique_ptr<ShimHandle>> ShimHandle::find(InstanceRecord record) {
  const std::string boot = boot_id();
  if (!boot.empty() && record.boot_id != boot)
    return Error(Errc::not_found, record.name + ": the machine has been restarted since");
  std::unique_ptr<ShimHandle> handle(new ShimHandle(std::move(record)));
  TRY(handle->reach());
  return handle;
}

/// Everything that leads to a shim that lives, as far as it goes.
Result<void> ShimHandle::reach() {
  if (!pidfd_) {
    auto proof = open_process(record_.shim_pid, record_.shim_start);
    if (!proof && proof.error().code() == Errc::not_found)
      return std::move(proof).error().with_context("the shim of " + record_.name);
    if (proof) proof = above_reserve(std::move(*proof));
    if (!proof) {
      trouble_ = std::move(proof).error().with_context("it cannot be reached");
      return {};
    }
    pidfd_ = std::move(*proof);
  }
  if (has_ended()) return Error(Errc::not_found, "the shim of " + record_.name + " has ended");
  if (control_) return {};
  auto socket = connect_control(record_.folder);
  if (socket) socket = above_reserve(std::move(*socket));
  if (!socket) {
    const int why = socket.error().sys_errno();
    unreachable_ = why == ENOENT || why == ECONNREFUSED || why == ENOTDIR || why == ENOTSOCK;
    // The file is there and nobody listens: of a process that is just ending.
    ending_ = why == ECONNREFUSED;
    if (unreachable_)
      trouble_ = closed("it cannot be reached: " + control_socket() +
                        " was deleted; stop and down end it, attach and exec do not work");
    else
      trouble_ = std::move(socket).error().with_context("it cannot be reached");
    return {};
  }
  control_ = std::move(*socket);
  buffer_.clear();
  unreachable_ = answered_ = ending_ = false;
  trouble_ = Error(Errc::unavailable,
                   "its shim (process " + std::to_string(record_.shim_pid) + ") does not answer")
                 .with_hint("continue a stopped process with SIGCONT: kill -CONT " +
                            std::to_string(record_.shim_pid));
  say_hello();
  return {};
}

void ShimHandle::say_hello() {
  struct {
    FrameHeader header;
    FrameHello hello;
  } hello{};
  static_assert(sizeof hello == sizeof(FrameHeader) + sizeof(FrameHello));
  hello.header = {sizeof hello.hello, static_cast<std::uint8_t>(Frame::hello), {}};
  hello.hello.version = kAttachVersion;
  hello.hello.role = AttachRole::control;
  std::memcpy(hello.hello.nonce, record_.nonce.data(),
              std::min(record_.nonce.size(), sizeof hello.hello.nonce));
  (void)!::send(control_.get(), &hello, sizeof hello, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/// The status that comes first. False: trouble_ says what is wrong with it.
bool ShimHandle::take_first(const FrameHeader& header, const std::string& body) {
  FrameStatus status{};
  if (header.type != static_cast<std::uint8_t>(Frame::status) || body.size() != sizeof status) {
    trouble_ = closed("the shim said something unexpected first");
    return false;
  }
  std::memcpy(&status, body.data(), sizeof status);
  if (status.version != kAttachVersion) {
    trouble_ = closed("the shim speaks another version of the protocol");
    return false;
  }
  if (record_.shim_pid != 0 && status.shim_pid != record_.shim_pid) {
    trouble_ = closed("another process answers at its control socket");
    return false;
  }
  record_.shim_pid = status.shim_pid;
  answered_ = true;
  trouble_.reset();
  pause_ = milliseconds(0);
  take_status(status);
  return true;
}

void ShimHandle::await(Clock::time_point deadline) {
  if (!control_ && ending_ && pidfd_) wait_for_end(deadline);
  while (control_ && !answered_) {
    FrameHeader header{};
    std::string body;
    if (next(header, body)) {
      if (!take_first(header, body)) control_.reset();
      continue;
    }
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    pollfd readable{control_.get(), POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(std::max<long>(left, 0))) <= 0) {
      if (left <= 0) return;
      continue;
    }
    const auto open = receive();
    if (open && *open) continue;
    // It may be at its very end: then its socket closes first.
    control_.reset();
    trouble_ =
        closed("its shim (process " + std::to_string(record_.shim_pid) + ") refuses this server");
    wait_for_end(deadline);
  }
}

void ShimHandle::wait_for_end(Clock::time_point deadline) const {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  pollfd ended{pidfd_.get(), POLLIN, 0};
  (void)::poll(&ended, 1, static_cast<int>(std::max<long>(left, 0)));
}

bool ShimHandle::has_ended() const {
  pollfd ended{pidfd_.get(), POLLIN, 0};
  return pidfd_ && ::poll(&ended, 1, 0) == 1;
}

/// It lives, as far as we know, and the way to it is closed: not for ever.
void ShimHandle::try_later() {
  pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
  retry_ = loop_->after(pause_, [this] {
    if (over_ || control_) return;
    if (!reach()) return on_shim_gone();
    set_trouble(trouble_);
    watch();
  });
}

void ShimHandle::set_trouble(std::optional<Error> trouble) {
  trouble_ = std::move(trouble);
  if (events_.trouble) events_.trouble();
}

}  // namespace locald::runtime
