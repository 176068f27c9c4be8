#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/log/attach_protocol.h"
#include "base/loop/event_loop.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"
#include "runtime/service_handle.h"
#include "runtime/shim_record.h"

namespace locald::runtime {

/// The server's end of one shim: frames over its control socket, its pidfd.
///
/// A shim that is alive and cannot be spoken to (it is stopped, we have no descriptor left, its
/// folder was deleted) is not dead (R-SILENCE): trouble() says what is wrong, the handle keeps
/// trying, and only stop() ends anything.
class ShimHandle final : public ServiceHandle {
 public:
  using Clock = std::chrono::steady_clock;

  /// Of a shim that was just started: waits for its first frame on `control`. Fills in the
  /// record's pid and start time.
  /// @return the error of the `failed` frame where the shim could not take over; Errc::timed_out.
  static Result<std::unique_ptr<ShimHandle>> take(InstanceRecord record, UniqueFd control,
                                                  std::chrono::milliseconds limit);
  /// Of a shim that an earlier server started: proves the process by boot id and start time,
  /// connects and says hello. Does not wait for the answer: await(), or listen().
  /// @return Errc::not_found  it has ended.
  static Result<std::unique_ptr<ShimHandle>> find(InstanceRecord record);
  /// Until it has answered or cannot any more; trouble() tells. Not after listen().
  void await(Clock::time_point deadline);

  ~ShimHandle() override;
  void listen(EventLoop& loop, Events events) override;
  const std::string& instance() const override { return record_.id; }
  const std::string& nonce() const override { return record_.nonce; }
  std::string control_socket() const override;
  int shim_pid() const override { return record_.shim_pid; }
  int pid() const override { return pid_; }
  std::chrono::system_clock::time_point started_at() const override { return started_at_; }
  /// The same with its hint.
  const std::optional<Error>& problem() const { return trouble_; }
  std::string trouble() const override { return trouble_ ? trouble_->message() : ""; }
  std::string kind() const override { return record_.kind; }
  Result<void> signal(int number) override;
  Result<void> stop(int signal, std::chrono::milliseconds timeout) override;
  Result<void> write_back() override;

  const InstanceRecord& record() const noexcept { return record_; }
  /// Writes the record to the state folder, now and in write_back().
  void keep_in(const Paths& paths);
  /// Only in write_back(): the shim has written it itself.
  void kept_in(const Paths& paths) { paths_ = paths; }
  /// True once the process is known to have ended.
  bool has_ended() const;

 private:
  explicit ShimHandle(InstanceRecord record) : record_(std::move(record)) {}
  bool host() const { return record_.kind == "host"; }
  bool exec() const { return record_.kind == "exec"; }
  Result<void> reach();
  void say_hello();
  void wait_for_end(Clock::time_point deadline) const;
  bool take_first(const FrameHeader& header, const std::string& body);
  Result<void> send(Frame type, const void* data, std::size_t size);
  Result<bool> receive();  ///< false at the end of the connection
  bool next(FrameHeader& header, std::string& body);
  void take_status(const FrameStatus& status);
  void hold_process();  ///< opens main_pidfd_, proven by its parent
  void watch();
  void on_readable();
  void on_shim_gone();
  void try_later();
  void set_trouble(std::optional<Error> trouble);
  void sweep_and_report(int attempts_left);
  void report(ExitStatus status);

  InstanceRecord record_;
  std::optional<Paths> paths_;  ///< where the record is kept
  UniqueFd control_, pidfd_;
  UniqueFd main_pidfd_;  ///< of the process, where its shim's death alone does not end it
  int pid_ = 0;
  std::chrono::system_clock::time_point started_at_{};
  std::string buffer_, death_;
  std::optional<Error> trouble_;        ///< why it cannot be spoken to; none: it can
  bool answered_ = false;               ///< its status came over `control_`
  bool unreachable_ = false;            ///< nothing listens at its socket: no use in trying again
  bool ending_ = false;                 ///< its socket refused us: it is likely about to end
  std::chrono::milliseconds pause_{0};  ///< before the next try
  Events events_;
  EventLoop* loop_ = nullptr;
  EventLoop::Handle overdue_;  ///< the stop should have been over
  EventLoop::Handle control_watch_, pidfd_watch_, timer_, retry_;
  bool over_ = false, started_told_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  ///< callbacks may destroy us
};

/// Connects to the control socket in `folder`; the descriptor does not block. Never waits for a
/// shim that does not accept (EAGAIN).
Result<UniqueFd> connect_control(const std::string& folder);

/// `fd`, unless it is one of the last descriptors that this process may have (R-RESERVE).
/// @return errno EMFILE.
Result<UniqueFd> above_reserve(UniqueFd fd);

/// What the shim wrote to exit.json in `folder` for this nonce.
/// @return Errc::not_found  there is none: the shim did not end by itself
///         Errc::corrupt    it is damaged
///         anything else    it cannot be read now (says_something())
Result<ExitStatus> read_exit(const std::string& folder, const std::string& nonce);

}  // namespace locald::runtime
