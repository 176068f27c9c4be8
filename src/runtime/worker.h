#pragma once
#include <functional>
#include <stop_token>
#include <string>

#include "base/json.h"
#include "base/result.h"

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
/// over a socketpair; closing it, or `stop`, kills the worker with all it started.
class Worker {
 public:
  struct Options {
    std::string server_binary;                    ///< path of locald-server
    std::function<Result<int>()> user_namespace;  ///< fd to join, -1 as root; borrowed
  };
  explicit Worker(Options options) : options_(std::move(options)) {}

  /// Runs one job to its end. Blocking: on a job's thread. Thread-safe.
  /// @return the job's result; the job's own error with its code and hint;
  ///         Errc::cancelled after `stop`; Errc::failed when the worker died (its signal is named).
  Result<Json> run(const Json& job, const std::function<void(const Json& progress)>& progress,
                   const std::stop_token& stop) const;

 private:
  Options options_;
};

/// The worker's side: reads the job from `fd`, runs the handler of its "op", writes the reply.
/// @return the exit code of the process.
using WorkerHandler = std::function<Result<Json>(const Json& job, const std::function<void(Json)>& progress)>;
int serve_worker_job(int fd, const std::function<WorkerHandler(const std::string& op)>& find_handler);

}  // namespace locald::runtime
