#pragma once
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/json/json.h"
#include "base/result.h"
#include "net/listeners.h"
#include "runtime/job_world.h"

/// Whose the listening sockets are (net/listeners.h): found by the processes that have them open.
namespace locald::runtime {

/// Of each process of `roots` and all below it, each in its own network namespace: those with
/// `port` (0: all). The same order as `roots`. Blocks: some 100 µs for a tree of a few.
Result<std::vector<net::TreeListeners>> listeners_below(const std::vector<pid_t>& roots,
                                                        std::uint16_t port = 0);

/// The listeners of services, also of those in containers whose users are only root of the user
/// namespace can see: the part that this process may not see is asked of a worker in there.
/// Thread-safe; blocks: on a job's thread.
class ListenerSearch {
 public:
  /// Runs a job in a worker (builder::Environment::run); empty: everything is visible (root).
  using RunJob = std::function<Result<Json>(Json job)>;
  explicit ListenerSearch(RunJob run = {}) : run_(std::move(run)) {}

  /// As listeners_below(). A worker (some 10 ms) runs only where a listener has not been found in
  /// what is visible, and not all is.
  Result<std::vector<net::TreeListeners>> below(const std::vector<pid_t>& roots,
                                                std::uint16_t port = 0) const;

 private:
  /// Adds what only a worker may see.
  Result<void> look_into_hidden(const std::vector<pid_t>& roots, std::uint16_t port,
                                std::vector<net::TreeListeners>& out) const;
  RunJob run_;
};

/// The worker's side.
struct ListenersJob {
  static constexpr const char* kOp = "listeners";
  std::string op = kOp;
  std::vector<pid_t> roots;
  std::uint16_t port = 0;
  JobWorld world = {};
  static const Fields& fields();
};

/// One of `roots`.
struct ListenersTree {
  std::vector<net::Listener> listeners;
  std::vector<uid_t> unreadable;
  static const Fields& fields();
};

struct ListenersResult {
  std::vector<ListenersTree> trees;
  static const Fields& fields();
};

/// @param job  ListenersJob. @return ListenersResult
Result<Json> listeners_job(const Json& job);

}  // namespace locald::runtime
