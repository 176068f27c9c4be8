#pragma once
#include <csignal>
#include <initializer_list>
#include <optional>

#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::cli {

/// Signals as something that poll(2) sees. They are blocked while it lives, and
/// SIGPIPE is ignored: writes then say that nobody reads.
class Signals {
 public:
  static Result<Signals> create(std::initializer_list<int> signals);
  int fd() const noexcept { return fd_.get(); }
  /// The next signal that came, or nothing.
  std::optional<int> next() const;

 private:
  explicit Signals(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace locald::cli
