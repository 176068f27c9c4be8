#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "ipc/messages/look.h"
#include "server/http/reply.h"

namespace locald::server {

/// What happens in all projects, in order: kept for a while, so that a client which was cut off
/// hears what it has missed, and told to those who listen. Loop thread only.
class EventLog {
 public:
  static constexpr std::size_t kKept = 4096;

  /// Numbers begin with the time of day, in µs: they grow from one server to the next.
  EventLog();
  ~EventLog();  ///< listeners are told that the server ends
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  /// Gives it its number and its time. A state that is the last one known is none.
  void add(ipc::ChangeEvent change);
  std::uint64_t last() const noexcept { return last_; }
  /// All that came after `seq` is kept.
  bool knows_after(std::uint64_t seq) const noexcept { return seq >= first_ && seq <= last_; }

  /// Tells `reply` of changes until its client hangs up.
  /// @param project  whose; empty: of all. @param services  empty: of all.
  /// @param since  begins with the kept ones that came after it
  void subscribe(const ReplyPtr& reply, const std::string& project,
                 const std::set<std::string>& services, std::optional<std::uint64_t> since);

 private:
  struct Kept {
    std::uint64_t seq;
    std::string project, service;
    JsonText text;
  };
  struct Listener {
    ReplyPtr reply;
    std::string project;
    std::set<std::string> services;
    bool wants(const Kept& change) const;
  };

  std::uint64_t first_ = 0;  // of which all that came later is kept
  std::uint64_t last_ = 0;
  std::deque<Kept> kept_;
  std::map<std::string, std::string> states_;  // the last one of PROJECT/SERVICE, as text
  std::deque<Listener> listeners_;
};

/// Now, as events have it.
std::string event_time();

}  // namespace locald::server
