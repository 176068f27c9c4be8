#pragma once
#include <cstdint>
#include <string>

#include "runtime/job_world.h"
#include "runtime/worker.h"

namespace locald::builder {

/// Copies between a folder of the host's, which is the job's file, and a container that runs.
struct CopyJob {
  static constexpr const char* kOp = "copy";
  std::string op = kOp;
  int pid = 0;  ///< the container's process
  std::uint64_t start_time = 0;
  std::string inside;  ///< absolute, in the container
  bool out = false;
  bool contents = false, into = false, follow_link = false;
  std::string name;  ///< in the folder of the host's; empty: the folder itself
  std::string as;    ///< what it is called where it comes into a folder of the container's
  runtime::JobWorld world = {};
  static const Fields& fields();
};

/// Its result: {entries, bytes, left_out}.
Result<Json> copy_job(const Json& job);

}  // namespace locald::builder
