#pragma once
#include <memory>
#include <optional>
#include <regex>
#include <string>

#include "base/log/log_reader.h"
#include "base/loop/event_loop.h"
#include "server/supervise/health.h"

namespace locald::server {

/// Healthy once the instance `nonce` has written a line that the pattern is found in. Only
/// its own lines count: an earlier life's are in the same folder. Follows by inotify; once seen, it
/// rests.
class LogProber final : public Prober {
 public:
  /// @param pattern  an ECMAScript regular expression that has been checked (project_check.h)
  LogProber(EventLoop& loop, std::string log_dir, std::string nonce, const std::string& pattern);

  void start(project::Milliseconds timeout, Done done) override;
  void cancel() override;
  bool once() const override { return true; }

 private:
  void read();
  void finish(net::Verdict verdict);

  EventLoop& loop_;
  std::string log_dir_, nonce_;
  std::regex pattern_;
  bool seen_ = false;
  std::optional<LogReader> reader_;
  Done done_;
  EventLoop::Handle watch_, timer_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for posts that may come after us
};

}  // namespace locald::server
