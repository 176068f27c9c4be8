#include "base/limit.h"

namespace locald {

Limit::Place::~Place() {
  if (limit_ == nullptr) return;
  const std::lock_guard lock(limit_->mutex_);
  ++limit_->free_;
  limit_->changed_.notify_all();
}

Result<Limit::Place> Limit::take(const std::stop_token& stop,
                                 const std::function<void()>& on_wait) {
  std::unique_lock lock(mutex_);
  if (free_ == 0 || !waiting_.empty()) {
    const int me = 0;  // its address is the ticket
    waiting_.push_back(&me);
    if (on_wait) {
      lock.unlock();
      on_wait();
      lock.lock();
    }
    const bool mine =
        changed_.wait(lock, stop, [&] { return free_ != 0 && waiting_.front() == &me; });
    std::erase(waiting_, &me);
    changed_.notify_all();  // the next one may be the first now
    if (!mine) return Error(Errc::cancelled, "cancelled");
  }
  --free_;
  return Place(*this);
}

}  // namespace locald
