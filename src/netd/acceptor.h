#pragma once
#include <functional>

#include "base/sys/unique_fd.h"
#include "netd/poller.h"

namespace locald::netd {

/// Takes connections from a listening socket. Where this process or the machine has no descriptor
/// left it pauses: the kernel keeps the connections waiting.
class Acceptor {
 public:
  Acceptor(Poller& poller, UniqueFd listener, std::function<void(UniqueFd connection)> accepted);

  int listener() const noexcept { return listener_.get(); }

 private:
  void accept();

  Poller& poller_;
  UniqueFd listener_;
  std::function<void(UniqueFd)> accepted_;
  Poller::Watch watch_;
  Poller::Timer pause_;
};

}  // namespace locald::netd
