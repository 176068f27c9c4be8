#include "runtime/instance.h"

#include <optional>
#include <utility>

namespace locald::runtime {

struct Instance::Core {
  struct Stop {
    int signal;
    std::chrono::milliseconds timeout;
  };

  EventLoop& loop;
  std::string id, nonce;
  Clean cleaner;
  Events events;
  State state = State::starting;
  std::optional<Stop> early_stop = std::nullopt;  // before the handle
  std::unique_ptr<ServiceHandle> handle = nullptr;

  /// `call` for later: nothing where the instance has been dropped by then.
  template <typename F>
  static auto if_there(const std::shared_ptr<Core>& core, F call) {
    return [weak = std::weak_ptr(core), call = std::move(call)](const auto&... args) {
      if (const auto there = weak.lock()) call(there, args...);
    };
  }

  static void end(const std::shared_ptr<Core>& core, const ExitStatus& status) {
    core->handle.reset();
    core->state = State::ending;
    if (core->events.ended) core->events.ended(status);
    clean(core);
  }

  static void clean(const std::shared_ptr<Core>& core) {
    core->state = State::ending;
    // After what the end has changed is written down (owners do that in posts of their own): until
    // then exit.json is the only record of it.
    core->loop.post(if_there(core, [](const auto& there) {
      there->cleaner(there->id, there->nonce,
                     if_there(there, [](const auto& cleaned, const Result<void>& result) {
                       cleaned->state = State::gone;
                       if (cleaned->events.gone) cleaned->events.gone(result);
                     }));
    }));
  }
};

Instance::Instance(EventLoop& loop, std::string id, std::string nonce, Clean clean, Events events)
    : core_(new Core{loop, std::move(id), std::move(nonce), std::move(clean), std::move(events)}) {}

void Instance::own(std::unique_ptr<ServiceHandle> handle) {
  const std::shared_ptr<Core> core = core_;
  core->state = State::running;
  core->handle = std::move(handle);
  ServiceHandle::Events events;
  events.started = Core::if_there(core, [](const auto& there, int pid) {
    if (there->events.started) there->events.started(pid);
  });
  events.exited = Core::if_there(core, [](const auto& there, const ExitStatus& status) {
    // Never from within the handle's own callback: end() destroys it.
    there->loop.post(
        Core::if_there(there, [status](const auto& left) { Core::end(left, status); }));
  });
  events.trouble = Core::if_there(core, [](const auto& there) {
    if (there->events.trouble) there->events.trouble();
  });
  core->handle->listen(core->loop, std::move(events));
  if (const auto& stop = core->early_stop) (void)core->handle->stop(stop->signal, stop->timeout);
}

void Instance::end(const ExitStatus& status) { Core::end(std::shared_ptr(core_), status); }

void Instance::clean() { Core::clean(core_); }

Result<void> Instance::stop(int signal, std::chrono::milliseconds timeout) {
  if (state() == State::running) return core_->handle->stop(signal, timeout);
  if (state() != State::starting) return Error(Errc::not_found, "it has ended");
  std::optional<Core::Stop>& early = core_->early_stop;
  if (!early || timeout < early->timeout) early = {signal, timeout};
  return {};
}

bool Instance::unwanted() const { return core_ != nullptr && core_->early_stop.has_value(); }

Instance::State Instance::state() const { return core_ != nullptr ? core_->state : State::gone; }

ServiceHandle* Instance::handle() const { return core_ != nullptr ? core_->handle.get() : nullptr; }

Result<void> Instance::write_back() const {
  return handle() != nullptr ? handle()->write_back() : Result<void>();
}

}  // namespace locald::runtime
