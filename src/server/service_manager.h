#pragma once
#include <string>
#include <string_view>

namespace locald::server {

/// A service manager that started this server and waits to hear from it: systemd, with
/// `Type=notify` (sd_notify(3)). Without one it does nothing.
class ServiceManager {
 public:
  /// Takes NOTIFY_SOCKET out of the environment: what this server starts shall not answer for it.
  /// In a process that has one thread.
  static ServiceManager take();

  /// The server listens, and has found what an earlier one left.
  void ready() const { tell("READY=1\n"); }
  void stopping() const { tell("STOPPING=1\n"); }

 private:
  /// Does not block. What does not arrive is not an error: the manager's deadline judges.
  void tell(std::string_view state) const;

  std::string socket_;  ///< a path, or '@' and an abstract name; empty: nobody waits
};

}  // namespace locald::server
