#pragma once
#include <chrono>
#include <cstddef>
#include <optional>
#include <set>
#include <string>

namespace locald::server {

/// Tells a service that writes files which it is restarted for from people who write them: its
/// files change soon after each start, again and again. A value.
class OwnChanges {
 public:
  using Duration = std::chrono::steady_clock::duration;
  static constexpr std::chrono::seconds kSoon{3};  ///< after a start
  static constexpr std::size_t kSameFile = 5;      ///< starts in a row, each before the same file
  static constexpr std::size_t kAnyFile = 10;      ///< the same where it is always another one

  /// Before each restart for `paths`, at least one.
  /// @param up  How long the service has been running; nullopt: it is starting, or has ended.
  /// @return the file that it seems to write, where it is time to stop that.
  std::optional<std::string> changed(const std::set<std::string>& paths,
                                     std::optional<Duration> up);
  std::size_t starts() const noexcept { return starts_; }  ///< in a row

 private:
  std::size_t starts_ = 0, same_ = 0;
  std::set<std::string> common_;  // of the last same_
};

}  // namespace locald::server
