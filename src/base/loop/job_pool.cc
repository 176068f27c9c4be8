#include "base/loop/job_pool.h"

#include <sys/prctl.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace locald {
namespace {

constexpr auto kThreadAgain = std::chrono::milliseconds(200);

}  // namespace

struct JobPool::Impl {
  struct Item {
    std::string name;
    std::stop_source stop;
    Work work;
  };

  /// The job that a thread runs.
  struct Here {
    std::shared_ptr<Impl> pool;
    std::stop_token stop;
    bool aside = false;
  };
  static thread_local Here here;

  Impl(EventLoop& event_loop, std::size_t jobs) : loop(event_loop), at_once(jobs) {}

  EventLoop& loop;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<Item>> waiting;
  std::vector<std::shared_ptr<Item>> running;
  std::condition_variable_any place;  // for those that were aside
  bool closing = false;
  const std::size_t at_once;
  std::size_t counted = 0;    // that run and are not aside
  std::size_t aside = 0;      // their threads do not count either
  std::size_t returning = 0;  // of them, that wait for a place
  std::size_t idle = 0;
  std::vector<std::thread> threads;
  bool short_of_threads = false;
  EventLoop::Handle again;  // the loop's thread's

  /// With the mutex held, after anything that may let a waiting job begin. Threads are made when
  /// first needed: an idle server has one.
  void see_to_waiting(const std::shared_ptr<Impl>& self) {
    if (closing || waiting.empty() || returning != 0 || counted >= at_once) return;
    if (idle < waiting.size() && threads.size() < at_once + aside) {
      try {
        threads.emplace_back([self] { self->serve(self); });
      } catch (const std::system_error&) {  // no further one may be made now
        if (!std::exchange(short_of_threads, true))
          loop.post([weak = std::weak_ptr<Impl>(self)] { try_again_later(weak); });
      }
    }
    changed.notify_all();
  }

  /// On the loop's thread. Jobs that run may wait for the one that waits for a thread: it is not
  /// enough to look again once they end.
  static void try_again_later(const std::weak_ptr<Impl>& weak) {
    const auto self = weak.lock();
    if (!self) return;
    self->again = self->loop.after(kThreadAgain, [weak] {
      const auto pool = weak.lock();
      if (!pool) return;
      const std::lock_guard lock(pool->mutex);
      pool->short_of_threads = false;
      pool->see_to_waiting(pool);
    });
  }

  void serve(const std::shared_ptr<Impl>& self) {
    std::unique_lock lock(mutex);
    while (true) {
      ++idle;
      changed.wait(lock, [this] {
        return closing || (!waiting.empty() && returning == 0 && counted < at_once);
      });
      --idle;
      if (closing) return;
      const auto item = std::move(waiting.front());
      waiting.pop_front();
      running.push_back(item);
      ++counted;
      see_to_waiting(self);
      lock.unlock();
      here = {self, item->stop.get_token()};
      ::prctl(PR_SET_NAME, item->name.c_str());  // for `top -H`: what is it busy with
      auto done = item->work(item->stop.get_token());
      item->work = nullptr;
      here = {};
      lock.lock();
      --counted;
      place.notify_all();
      std::erase(running, item);
      if (!closing) loop.post(std::move(done));
    }
  }
};

thread_local JobPool::Impl::Here JobPool::Impl::here;

JobPool::JobPool(EventLoop& loop, std::size_t at_once)
    : impl_(std::make_shared<Impl>(loop, at_once)) {}

JobPool::~JobPool() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->closing = true;
    impl_->waiting.clear();
    for (const auto& item : impl_->running) item->stop.request_stop();
  }
  impl_->changed.notify_all();
  impl_->place.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

JobPool::Job JobPool::submit(std::string name, Work work) {
  auto item = std::make_shared<Impl::Item>();
  item->name = std::move(name);
  item->work = std::move(work);
  Job job(item->stop);
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->waiting.push_back(std::move(item));
    impl_->see_to_waiting(impl_);
  }
  return job;
}

JobPool::UncountedScope::UncountedScope()
    : counted_(Impl::here.pool != nullptr && !Impl::here.aside) {
  if (!counted_) return;
  Impl::here.aside = true;
  const std::shared_ptr<Impl> pool = Impl::here.pool;
  const std::lock_guard lock(pool->mutex);
  --pool->counted;
  ++pool->aside;
  pool->place.notify_all();
  pool->see_to_waiting(pool);
}

JobPool::UncountedScope::~UncountedScope() {
  if (!counted_) return;
  Impl::here.aside = false;
  const std::shared_ptr<Impl> pool = Impl::here.pool;
  std::unique_lock lock(pool->mutex);
  ++pool->returning;
  pool->place.wait(lock, Impl::here.stop,
                   [&] { return pool->closing || pool->counted < pool->at_once; });
  --pool->returning;
  --pool->aside;
  ++pool->counted;
  pool->see_to_waiting(pool);
}

std::size_t JobPool::unfinished() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->waiting.size() + impl_->running.size();
}

}  // namespace locald
