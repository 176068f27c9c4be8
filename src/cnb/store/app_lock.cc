#include "cnb/store/app_lock.h"

#include <chrono>
#include <thread>
#include <utility>

#include "base/loop/job_pool.h"

namespace locald::cnb {

Result<AppLock> AppLock::take(builder::Environment& environment, const std::string& app,
                              const std::stop_token& stop, const std::function<void()>& on_wait) {
  constexpr std::chrono::milliseconds kLook{5};
  auto mutex = environment.lock_for("cnb/" + app);
  std::unique_lock lock(*mutex, std::try_to_lock);
  if (lock.owns_lock()) return AppLock(std::move(mutex), std::move(lock));
  const JobPool::UncountedScope uncounted;
  for (bool told = false; !lock.owns_lock(); told = true) {
    if (stop.stop_requested()) return Error(Errc::cancelled, "cancelled");
    if (!told && on_wait) on_wait();
    std::this_thread::sleep_for(kLook);
    (void)lock.try_lock();
  }
  return AppLock(std::move(mutex), std::move(lock));
}

}  // namespace locald::cnb
