#pragma once
#include <functional>

#include "base/sys/unique_fd.h"
#include "netd/poller.h"

namespace locald::netd {

/// Takes connections from a listening socket. Where there is no room for one, or this process or the
/// machine has no descriptor left, it pauses: the kernel keeps the connections waiting.
class Acceptor {
 public:
  /// @param room  Whether one more may be taken; none: always.
  Acceptor(Poller& poller, UniqueFd listener, std::function<void(UniqueFd connection)> accepted,
           std::function<bool()> room = nullptr);

  int listener() const noexcept { return listener_.get(); }

 private:
  void accept();
  void pause();

  Poller& poller_;
  UniqueFd listener_;
  std::function<void(UniqueFd)> accepted_;
  std::function<bool()> room_;
  Poller::Watch watch_;
  Poller::Timer pause_;
};

}  // namespace locald::netd
