#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "base/sys/unique_fd.h"
#include "netd/poller.h"

namespace locald::netd {

/// Bytes between two connected sockets, both ways, until both have ended: an end of one side's
/// sending is passed on while the other direction stays open, a reset as a reset. Neither side is read
/// while the other does not take what was read.
class Forward {
 public:
  /// @param said  What `one` has said already: the first that `other` hears.
  /// @param ended  Called once, from the poller: the owner then lets go of this.
  Forward(Poller& poller, UniqueFd one, UniqueFd other, std::string said,
          std::function<void()> ended);
  Forward(const Forward&) = delete;
  Forward& operator=(const Forward&) = delete;

  /// Gives back the memory that they all share, until it is needed again.
  static void release_buffer();
  /// Closes `socket` so that its peer hears a reset, not an orderly end.
  static void reset(UniqueFd socket);

 private:
  struct Side {
    UniqueFd fd;
    Poller::Watch watch;
    std::string waiting;      ///< read of the other side, not yet taken by this one
    bool ended = false;       ///< sends no more
    bool told_ended = false;  ///< has been told that the other side sends no more
  };
  void ready(Side& side, Side& other, std::uint32_t events);
  /// @return false: all is over.
  bool read(Side& from, Side& to);
  bool flush(Side& to, Side& from);
  void want(Side& side, const Side& other);
  void finish(bool reset);

  std::function<void()> ended_;
  Side one_, other_;
};

}  // namespace locald::netd
