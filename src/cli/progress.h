#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ipc/messages/container.h"
#include "ipc/messages/events.h"

namespace locald::cli {

/// Shows a stream's events (api.h) on stderr: on a terminal a block of lines that is
/// redrawn in place, with bars; elsewhere one plain line for each change.
///
/// Other output goes through above(), which keeps the block below it.
class Progress {
 public:
  Progress();
  ~Progress();  ///< as finish()
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void event(const Json& event);
  /// Removes the block, so that the caller may print; the next event draws it again.
  void clear();
  /// Leaves the last states as plain lines.
  void finish();

 private:
  struct Amount {
    std::uint64_t done = 0, total = 0;
  };
  /// A layer: both halves of its work overlap with those of others.
  struct Item {
    Amount fetched, applied;
    bool done = false;
  };
  struct Row {
    std::string phase, step, state, health, detail;
    std::map<std::string, Item> items;
    std::string last;            // where there is no terminal: the state that was printed last
    std::set<std::string> said;  // where there is no terminal: lines that were printed, each once
  };
  static Amount sum(const Row& row, Amount Item::*part);
  static std::string work(const Row& row);
  static bool is_build(const std::string& phase);
  Row& row(const std::string& name);
  bool progress(const ipc::ProgressEvent& event);
  void state(const ipc::ServiceStatus& service);
  void draw(bool now);
  void plain(const std::string& name, Row& row, const std::string& text);
  std::string text(const std::string& name, const Row& row, std::size_t width) const;

  const bool terminal_, colour_;
  std::vector<std::string> order_;
  std::map<std::string, Row> rows_;
  std::size_t drawn_ = 0;  // lines of the block on the screen
  std::chrono::steady_clock::time_point last_{};
};

/// "pull" -> "pulling": what a row says while the phase lasts; "" for one that says nothing.
std::string phase_text(const std::string& phase);

/// "running (healthy)", "exited 3", "failed: reason".
std::string state_text(const ipc::ServiceStatus& service, bool with_reason = true);
std::string state_text(const ipc::ContainerStatus& container);

}  // namespace locald::cli
