#pragma once
#include <memory>
#include <string>

#include "base/attach_protocol.h"
#include "base/event_loop.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "runtime/service_handle.h"

namespace locald::runtime {

/// What a handle must know of its instance.
struct ShimIdentity {
  std::string id, nonce;
  std::string folder;  ///< svc/<id>, absolute
  bool host = false;   ///< a host process: its orphans are swept when the shim was killed
  bool exec = false;   ///< a command in a container: the same, and it ends with that container
};

/// The server's end of one shim: frames over its control socket, its pidfd.
class ShimHandle final : public ServiceHandle {
 public:
  /// Waits for the shim's first frame on `control`.
  /// @return the error of the `failed` frame where the shim could not take over; Errc::timed_out.
  static Result<std::unique_ptr<ShimHandle>> take(ShimIdentity identity, UniqueFd control,
                                                  std::chrono::milliseconds limit);

  ~ShimHandle() override;
  void listen(EventLoop& loop, Events events) override;
  const std::string& instance() const override { return identity_.id; }
  const std::string& nonce() const override { return identity_.nonce; }
  std::string control_socket() const override;
  int shim_pid() const override { return shim_pid_; }
  int pid() const override { return pid_; }
  std::chrono::system_clock::time_point started_at() const override { return started_at_; }
  Result<void> signal(int number) override;
  Result<void> stop(int signal, std::chrono::milliseconds timeout) override;

  int pidfd() const { return pidfd_.get(); }

 private:
  explicit ShimHandle(ShimIdentity identity) : identity_(std::move(identity)) {}
  Result<void> send(Frame type, const void* data, std::size_t size);
  Result<bool> receive();  ///< false at the end of the connection
  bool next(FrameHeader& header, std::string& body);
  void take_status(const FrameStatus& status);
  void hold_process();  ///< opens main_pidfd_, proven by its parent
  void on_readable();
  void on_shim_gone();
  void sweep_and_report(int attempts_left);
  void report(ExitStatus status);

  ShimIdentity identity_;
  UniqueFd control_, pidfd_;
  UniqueFd main_pidfd_;  ///< of the process, where its shim's death alone does not end it
  int shim_pid_ = 0, pid_ = 0;
  std::chrono::system_clock::time_point started_at_{};
  std::string buffer_, death_;
  Events events_;
  EventLoop* loop_ = nullptr;
  EventLoop::Handle overdue_;  ///< the stop should have been over
  EventLoop::Handle control_watch_, pidfd_watch_, timer_;
  bool over_ = false, started_told_ = false;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);  ///< callbacks may destroy us
};

/// What the shim wrote to exit.json in `folder` for this nonce.
/// @return Errc::not_found where there is none: the shim did not end by itself.
Result<ExitStatus> read_exit(const std::string& folder, const std::string& nonce);

}  // namespace locald::runtime
