#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "builder/environment.h"

namespace locald::cnb {

/// Held by whoever changes anything of an app: a build, its housekeeping, its removal. A build may
/// hold it for an hour, so whoever waits may be called off, and is aside (base/loop/job_pool.h)
/// meanwhile.
class AppLock {
 public:
  /// @param on_wait  Called once, when another one holds it; may be empty.
  /// @return Errc::cancelled when `stop` was asked for before it was free.
  static Result<AppLock> take(builder::Environment& environment, const std::string& app,
                              const std::stop_token& stop,
                              const std::function<void()>& on_wait = {});

 private:
  AppLock(std::shared_ptr<std::mutex> mutex, std::unique_lock<std::mutex> lock)
      : mutex_(std::move(mutex)), lock_(std::move(lock)) {}
  std::shared_ptr<std::mutex> mutex_;
  std::unique_lock<std::mutex> lock_;  // after what it locks, to go before it
};

}  // namespace locald::cnb
