#pragma once
#include <chrono>
#include <functional>
#include <stop_token>
#include <string>

#include "base/json/json.h"
#include "base/result.h"
#include "base/sys/unique_fd.h"

namespace locald::runtime {

/// What must see mapped ids, or takes long, runs in a worker: a fresh
/// `locald-server worker` that joins the user namespace first (as root it does
/// not), does one job and ends. It is single-threaded until it has joined.
///
///     server                              worker
///       | -- job, one line of JSON ---------->|   {"op":"pull","image":"redis:7",…}
///       |<-- {"progress":{…}} lines ----------|
///       |<-- {"result":{…}} | {"error":{…}} --|   then it ends
///
/// over a socketpair. `stop`, a deadline and the server's death kill the worker
/// (SIGKILL, PDEATHSIG), whatever it is doing: what jobs write is staged and
/// renamed. A worker starts threads, and no process but one that ends with it, so that nothing is
/// left.
class Worker {
 public:
  struct Options {
    std::string server_binary;                    ///< path of locald-server
    std::function<Result<int>()> user_namespace;  ///< fd to join, -1 as root; borrowed
  };
  explicit Worker(Options options) : options_(std::move(options)) {}

  /// Runs one job to its end. Blocking: on a job's thread, which must live until
  /// then (PDEATHSIG means the thread that forked). Thread-safe.
  /// @param limit  The worker is killed after this long; zero: no limit.
  /// @param file  Borrowed; the job has it as the descriptor that its member "file" names
  ///              (handed_file). -1: none.
  /// @return the job's result; the job's own error with its code and hint; Errc::cancelled after
  ///         `stop`; Errc::timed_out; Errc::failed when the worker died (its signal is named).
  Result<Json> run(const Json& job, const std::function<void(const Json& progress)>& progress,
                   const std::stop_token& stop, std::chrono::milliseconds limit = {},
                   int file = -1) const;

 private:
  Options options_;
};

/// The worker's side: reads the job from `fd`, runs the handler of its "op", writes the reply.
/// `find_handler` gives an empty function for an unknown op.
/// @return the exit code of the process.
using WorkerHandler =
    std::function<Result<Json>(const Json& job, const std::function<void(Json)>& progress)>;
int serve_worker_job(int fd,
                     const std::function<WorkerHandler(const std::string& op)>& find_handler);

/// In a handler: the job's "file", a descriptor of its own. Errc::invalid_input where it has none.
Result<UniqueFd> handed_file(const Json& job);

/// Makes this process root of the user namespace behind `userns_fd`. Single-threaded
/// processes only (setns(2)). @return Errc::denied, Errc::failed naming the step.
Result<void> join_user_namespace(int userns_fd);

}  // namespace locald::runtime
