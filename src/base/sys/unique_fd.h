#pragma once
#include <unistd.h>

#include <utility>

namespace locald {

/// Owns one file descriptor; closes it exactly once. Shim-safe.
/// (Known elsewhere as unique_fd, ScopedFd, AutoCloseFD: named here for grep.)
///
/// Thread-compatible. Moved-from and default objects hold no descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) noexcept : fd_(fd) {}  ///< takes ownership; -1 means none
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~UniqueFd() { reset(); }

  /// Borrow. Deleted on temporaries: `open(…).get()` would already be closed.
  int get() const& noexcept { return fd_; }
  int get() const&& = delete;
  explicit operator bool() const noexcept { return fd_ >= 0; }

  /// Gives the descriptor away; the caller must close it.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

  /// Closes what is held, then owns `fd`. close(2) errors are ignored, and it is
  /// never retried on EINTR: on Linux the descriptor is gone either way
  /// (close(2), "Dealing with error returns"). Where a lost write matters,
  /// fsync before this.
  void reset(int fd = -1) noexcept {
    if (int old = std::exchange(fd_, fd); old >= 0) ::close(old);
  }

 private:
  int fd_ = -1;
};

int close(const UniqueFd&) = delete;  // a double close is a compile error

}  // namespace locald
