#include "base/loop/event_loop.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <utility>

#include "base/loop/event_loop_testing.h"

namespace locald {

namespace asio = boost::asio;

struct EventLoop::Impl {
  asio::io_context io{1};
};

/// Shared with the pending operation, which may run once more after the handle
/// has gone: `live` tells it to do nothing.
struct EventLoop::Handle::State : std::enable_shared_from_this<State> {
  bool live = true;
  std::optional<asio::posix::stream_descriptor> descriptor;  // borrowed: released, never closed
  std::optional<asio::steady_timer> timer;
  asio::posix::stream_descriptor::wait_type wait = asio::posix::stream_descriptor::wait_read;
  std::function<void()> callback;

  void arm() {
    descriptor->async_wait(wait, [self = shared_from_this()](const boost::system::error_code& ec) {
      if (!self->live || ec == asio::error::operation_aborted) return;
      self->callback();
      if (self->live) self->arm();
    });
  }
  void end() {
    if (!std::exchange(live, false)) return;
    if (descriptor) descriptor->release();
    if (timer) timer->cancel();
    // The callback may own what owns this handle, and may be running: let it go
    // only when the last reference does.
  }
};

EventLoop::Handle::Handle(std::shared_ptr<State> state) : state_(std::move(state)) {}
EventLoop::Handle::~Handle() { reset(); }
EventLoop::Handle::Handle(Handle&& other) noexcept : state_(std::move(other.state_)) {}
EventLoop::Handle& EventLoop::Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    reset();
    state_ = std::move(other.state_);
  }
  return *this;
}
void EventLoop::Handle::reset() {
  if (const auto state = std::exchange(state_, nullptr)) state->end();
}

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

EventLoop::Handle EventLoop::watch_readable(int fd, std::function<void()> ready) {
  auto state = std::make_shared<Handle::State>();
  state->descriptor.emplace(impl_->io, fd);
  state->callback = std::move(ready);
  state->arm();
  return Handle(std::move(state));
}

EventLoop::Handle EventLoop::watch_writable(int fd, std::function<void()> ready) {
  auto state = std::make_shared<Handle::State>();
  state->descriptor.emplace(impl_->io, fd);
  state->wait = asio::posix::stream_descriptor::wait_write;
  state->callback = std::move(ready);
  state->arm();
  return Handle(std::move(state));
}

EventLoop::Handle EventLoop::after(Clock::duration delay, std::function<void()> fire) {
  auto state = std::make_shared<Handle::State>();
  state->callback = std::move(fire);
  if (ManualTime::take(delay, [state] {
        if (state->live) state->callback();
      }))
    return Handle(std::move(state));
  state->timer.emplace(impl_->io, delay);
  state->timer->async_wait([state](const boost::system::error_code& ec) {
    if (state->live && !ec) state->callback();
  });
  return Handle(std::move(state));
}

void EventLoop::post(std::function<void()> work) { asio::post(impl_->io, std::move(work)); }

void EventLoop::run() {
  const auto keep = asio::make_work_guard(impl_->io);
  impl_->io.run();
  impl_->io.restart();  // run() may follow again, as in tests
}

void EventLoop::stop() { impl_->io.stop(); }

asio::io_context& EventLoop::io() { return impl_->io; }

namespace {
thread_local ManualTime* manual_time = nullptr;
}  // namespace

ManualTime::ManualTime() { manual_time = this; }
ManualTime::~ManualTime() { manual_time = nullptr; }

bool ManualTime::take(Duration delay, std::function<void()> fire) {
  if (manual_time == nullptr) return false;
  manual_time->timers_.emplace(manual_time->now_ + delay, std::move(fire));
  return true;
}

void ManualTime::advance(Duration time) {
  const Duration until = now_ + time;
  while (!timers_.empty() && timers_.begin()->first <= until) {
    auto node = timers_.extract(timers_.begin());
    now_ = std::max(now_, node.key());
    node.mapped()();
  }
  now_ = until;
}

std::optional<ManualTime::Duration> ManualTime::next() const {
  if (timers_.empty()) return std::nullopt;
  return std::max(timers_.begin()->first - now_, Duration(0));
}

}  // namespace locald
