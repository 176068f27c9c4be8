#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/loop/event_loop.h"
#include "base/result.h"
#include "runtime/service_handle.h"

namespace locald::runtime {

/// An instance in the hands of its owner, from its start until nothing of it is left: holds the
/// handle, listens to it, and has cleaned up what the end leaves. Services, containers and sessions
/// are all owned this way.
///
///     starting ──own()──> running ──it ends──> ending ──cleaned up──> gone
///
/// Loop thread only. Dropping it leaves the process running, for the next server (R-SILENCE), and
/// no event comes after that. An event may drop it.
class Instance {
 public:
  enum class State : std::uint8_t {
    gone,      ///< nothing of it is left, or it was never begun
    starting,  ///< its handle is not there yet
    running,   ///< it has a handle: also where that is in trouble
    ending,    ///< it has ended; what it leaves is being removed
  };
  /// ProcessRuntime::clean() as a job, or more than that; `done` comes once, on the loop, later.
  using Clean = std::function<void(const std::string& id, const std::string& nonce,
                                   std::function<void(Result<void>)> done)>;
  /// Each comes at most once, but for `trouble`. Each may be empty.
  struct Events {
    std::function<void(int pid)> started = {};
    std::function<void(const ExitStatus&)> ended = {};           ///< the handle is gone already
    std::function<void(const Result<void>& cleaned)> gone = {};  ///< last
    std::function<void()> trouble = {};  ///< ServiceHandle::trouble() says something else
  };

  Instance() = default;  ///< gone
  /// Of one that is being started, or was found.
  Instance(EventLoop& loop, std::string id, std::string nonce, Clean clean, Events events);

  /// It is there: from here on the events come.
  void own(std::unique_ptr<ServiceHandle> handle);
  /// It has ended, also where there never was a handle: `ended` comes at once, then it is cleaned.
  void end(const ExitStatus& status);
  /// Removes what is left of one that does not run; `gone` tells the end.
  void clean();

  /// ServiceHandle::stop(); before own(): as soon as it is there.
  /// @return Errc::not_found  it has ended
  Result<void> stop(int signal, std::chrono::milliseconds timeout);
  /// stop() came before own().
  bool unwanted() const;

  State state() const;
  /// Null where nothing runs.
  ServiceHandle* handle() const;
  /// ServiceHandle::write_back(), where it runs.
  Result<void> write_back() const;

 private:
  struct Core;
  std::shared_ptr<Core> core_;  // ours alone; callbacks hold it weakly
};

}  // namespace locald::runtime
