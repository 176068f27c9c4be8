#include "netd/poller.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace locald::netd {
namespace {

constexpr int kQuietMs = 1000;

epoll_event event_of(std::uint32_t events, std::uint32_t slot, std::uint32_t generation) {
  epoll_event out{};
  out.events = events;
  out.data.u64 = std::uint64_t{generation} << 32 | slot;
  return out;
}

}  // namespace

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}

Poller::Watch Poller::watch(int fd, std::uint32_t events, Ready ready) {
  std::uint32_t slot = 0;
  if (free_.empty()) {
    slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  slots_[slot].ready = std::make_shared<Ready>(std::move(ready));
  epoll_event event = event_of(events, slot, slots_[slot].generation);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  Watch out;
  out.poller_ = this;
  out.fd_ = fd;
  out.slot_ = slot;
  out.events_ = events;
  return out;
}

Poller::Watch& Poller::Watch::operator=(Watch&& other) noexcept {
  if (this != &other) {
    reset();
    poller_ = std::exchange(other.poller_, nullptr);
    fd_ = other.fd_;
    slot_ = other.slot_;
    events_ = other.events_;
  }
  return *this;
}

void Poller::Watch::want(std::uint32_t events) {
  if (poller_ == nullptr || events == std::exchange(events_, events)) return;
  epoll_event event = event_of(events, slot_, poller_->slots_[slot_].generation);
  ::epoll_ctl(poller_->epoll_.get(), EPOLL_CTL_MOD, fd_, &event);
}

void Poller::Watch::reset() {
  Poller* poller = std::exchange(poller_, nullptr);
  if (poller == nullptr) return;
  ::epoll_ctl(poller->epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
  // Events of this round that name the old generation are nobody's.
  ++poller->slots_[slot_].generation;
  poller->slots_[slot_].ready.reset();
  poller->free_.push_back(slot_);
}

Poller::Timer Poller::after(std::chrono::milliseconds delay, std::function<void()> fire) {
  Timer out;
  out.poller_ = this;
  out.due_ = {Clock::now() + delay, next_timer_++};
  timers_.emplace(out.due_, std::move(fire));
  return out;
}

Poller::Timer& Poller::Timer::operator=(Timer&& other) noexcept {
  if (this != &other) {
    reset();
    poller_ = std::exchange(other.poller_, nullptr);
    due_ = other.due_;
  }
  return *this;
}

void Poller::Timer::reset() {
  if (Poller* poller = std::exchange(poller_, nullptr)) poller->timers_.erase(due_);
}

int Poller::wait_ms(std::chrono::milliseconds limit) const {
  if (timers_.empty()) return static_cast<int>(limit.count());
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first - Clock::now());
  const auto due = std::max<std::int64_t>(left.count(), 0);
  return static_cast<int>(limit.count() < 0 ? due : std::min<std::int64_t>(due, limit.count()));
}

bool Poller::fire_due() {
  if (timers_.empty()) return false;
  bool fired = false;
  const auto now = Clock::now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    const auto fire = std::move(timers_.begin()->second);
    timers_.erase(timers_.begin());
    fire();
    fired = true;
  }
  return fired;
}

void Poller::turn(std::chrono::milliseconds limit) {
  std::array<epoll_event, 64> events{};
  int wait = wait_ms(limit);
  const bool may_be_quiet = quiet_ && active_ && (wait < 0 || wait > kQuietMs);
  if (may_be_quiet) wait = kQuietMs;
  const int n = ::epoll_wait(epoll_.get(), events.data(), events.size(), wait);
  if (n == 0 && may_be_quiet) {
    active_ = false;
    return quiet_();
  }
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    const Slot& slot = slots_[static_cast<std::uint32_t>(event.data.u64)];
    if (slot.generation != event.data.u64 >> 32 || !slot.ready) continue;
    const auto ready = slot.ready;  // its watch may go while it is called
    (*ready)(event.events);
  }
  if (fire_due() || n > 0) active_ = true;
}

void Poller::run() {
  while (running_) turn(std::chrono::milliseconds(-1));
}

}  // namespace locald::netd
