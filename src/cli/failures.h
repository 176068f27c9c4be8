#pragma once
#include <map>
#include <string>
#include <vector>

#include "cli/context.h"
#include "ipc/messages/project.h"

namespace locald::cli {

/// Says which services of an `up` (of start and restart too) failed and why, with the last lines of
/// what each wrote. @return the exit code.
int report_up(Context& context, const ipc::UpReply& reply);

/// Says what an `up` made of each service: "web: recreated (env)".
void report_changes(const ipc::UpReply& reply);

/// The failures of services while one looks on, so that the end can repeat what has scrolled away.
class Failures {
 public:
  /// One that does well again is forgotten.
  void note(const ipc::ServiceStatus& service);
  /// Says them all, the oldest first.
  void repeat() const;

 private:
  std::vector<std::string> order_;
  std::map<std::string, std::string> texts_;
};

}  // namespace locald::cli
