#include "base/job_pool.h"

#include <sys/prctl.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace locald {

struct JobPool::Impl {
  struct Item {
    std::string name;
    std::stop_source stop;
    Work work;
  };

  explicit Impl(EventLoop& event_loop) : loop(event_loop) {}

  EventLoop& loop;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::shared_ptr<Item>> waiting;
  std::vector<std::shared_ptr<Item>> running;
  bool closing = false;
  std::size_t threads_wanted = 0;
  std::size_t idle = 0;
  std::vector<std::thread> threads;

  void serve() {
    std::unique_lock lock(mutex);
    while (true) {
      ++idle;
      changed.wait(lock, [this] { return closing || !waiting.empty(); });
      --idle;
      if (closing) return;
      const auto item = std::move(waiting.front());
      waiting.pop_front();
      running.push_back(item);
      lock.unlock();
      ::prctl(PR_SET_NAME, item->name.c_str());  // for `top -H`: what is it busy with
      auto done = item->work(item->stop.get_token());
      item->work = nullptr;
      lock.lock();
      std::erase(running, item);
      if (!closing) loop.post(std::move(done));
    }
  }
};

JobPool::JobPool(EventLoop& loop, std::size_t threads) : impl_(std::make_shared<Impl>(loop)) {
  impl_->threads_wanted = threads;
}

JobPool::~JobPool() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->closing = true;
    impl_->waiting.clear();
    for (const auto& item : impl_->running) item->stop.request_stop();
  }
  impl_->changed.notify_all();
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
    // Threads are made when first needed: an idle server has one.
    if (impl_->idle < impl_->waiting.size() && impl_->threads.size() < impl_->threads_wanted)
      impl_->threads.emplace_back([impl = impl_] { impl->serve(); });
  }
  impl_->changed.notify_one();
  return job;
}

std::size_t JobPool::unfinished() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->waiting.size() + impl_->running.size();
}

}  // namespace locald
