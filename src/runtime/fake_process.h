#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/service_handle.h"

namespace locald::runtime {

/// For tests: a process that runs only in words. The test says what happens to it; what it was told
/// is recorded.
struct FakeProcess : std::enable_shared_from_this<FakeProcess> {
  std::string instance = "0123456789ab", nonce = "nonce", kind = "host";
  std::string trouble;  ///< set_trouble() tells its owner
  int shim_pid = 99;
  bool refuses_stop = false;
  ServiceHandle::Events events;  ///< empty until its owner listens
  std::vector<int> stops;        ///< signals of stop()
  int written_back = 0;
  bool held = false, running = false, ended = false;
  bool let_go = false;  ///< its handle went while it lived

  std::unique_ptr<ServiceHandle> handle();
  void start(int pid = 100) {
    running = true;
    if (events.started) events.started(pid);
  }
  void exit(ExitStatus status) {
    ended = true;
    running = false;
    if (const auto exited = events.exited) exited(status);
  }
  void exit(int code) {
    ExitStatus status;
    status.code = code;
    exit(status);
  }
  void set_trouble(std::string text) {
    trouble = std::move(text);
    if (events.trouble) events.trouble();
  }
};

class FakeHandle final : public ServiceHandle {
 public:
  explicit FakeHandle(std::shared_ptr<FakeProcess> process) : process_(std::move(process)) {
    process_->held = true;
  }
  ~FakeHandle() override {
    process_->held = false;
    process_->let_go = !process_->ended;
  }
  void listen(EventLoop&, Events events) override { process_->events = std::move(events); }
  const std::string& instance() const override { return process_->instance; }
  const std::string& nonce() const override { return process_->nonce; }
  std::string control_socket() const override { return "/svc/" + process_->instance; }
  int shim_pid() const override { return process_->shim_pid; }
  int pid() const override { return process_->running ? 100 : 0; }
  std::string kind() const override { return process_->kind; }
  std::string trouble() const override { return process_->trouble; }
  Result<void> signal(int) override { return {}; }
  Result<void> stop(int number, std::chrono::milliseconds) override {
    if (process_->refuses_stop) return Error(Errc::failed, "cannot be stopped now");
    process_->stops.push_back(number);
    return {};
  }
  Result<void> write_back() override { return ++process_->written_back, Result<void>(); }

 private:
  std::shared_ptr<FakeProcess> process_;
};

inline std::unique_ptr<ServiceHandle> FakeProcess::handle() {
  return std::make_unique<FakeHandle>(shared_from_this());
}

}  // namespace locald::runtime
